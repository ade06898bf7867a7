"""Turn any chat data into clean, tokenized training rows.

Reads   hub data sets and local files of JSON in any layout, CSV of any dialect, plain text, Parquet and Arrow (.gz and
        .zst too), folders and globs, in any of the FORMATS below, recognized by their columns and by what these hold.
        Rows are streamed: memory stays flat.
Writes  into --out_dir: train.jsonl and val.jsonl (a conversation a line), train_tokenized.jsonl and
        val_tokenized.jsonl (the same rows as input_ids and labels), train_tokens.* and val_tokens.* (the same again
        as plain integers: Store), tokenizer/ (with the chat template: the one place where the chat format is
        defined) and, last, manifest.json: its presence means complete.

    python prep_data.py --dataset tatsu-lab/alpaca --out_dir data
    python prep_data.py --dataset data/sample --out_dir data/demo --train_tokenizer 2048 --seq_len 256

Takes about 10 seconds for Alpaca's 52,002 rows on two cores.

Sections 1 to 7 are the lesson, in the order in which a row meets them; `main` ends it. Sections 8 to 14 are what it takes
besides: speed, kinds of files and of rows, disk, the command line. To understand how a chat becomes training data, stop
reading after `main`.
"""

from __future__ import annotations

import os
import signal

if __name__ == "__main__":  # Ctrl-C while the rest still loads ends without a word
    signal.signal(signal.SIGINT, lambda *_: os._exit(130))

import argparse
import ast
import atexit
import bisect
import bz2
import codecs
import contextlib
import csv
import ctypes
import errno
import functools
import gc
import glob
import gzip
import hashlib
import io
import itertools
import json
import lzma
import math
import multiprocessing.pool
import operator
import re
import shlex
import shutil
import struct
import sys
import tempfile
import time
import unicodedata
import urllib.error
import urllib.request
import warnings
import zipfile
from array import array
from collections import Counter, defaultdict, deque
from collections.abc import Callable, Iterable, Iterator, Mapping
from contextlib import ExitStack
from dataclasses import dataclass, field, replace
from importlib.metadata import version
from pathlib import Path
from typing import Any, NamedTuple, NoReturn

import jinja2
import numpy as np
from tqdm import tqdm

# ---------------------------------------------------------------------------------------------------------
# 1 Roles, template, formats

# Rendered, with nothing between the pieces: <|system|>S<|user|>U<|assistant|>A<|endoftext|><|user|>...
# A control string inside content gets a space before its end (`<|user |>`): no content becomes a control token. The same
# goes for the special tokens that a tokenizer brings along (neutral_forms).
EOS, ROLE_TOKENS = "<|endoftext|>", ("<|system|>", "<|user|>", "<|assistant|>")
# Jinja, as in every tokenizer's folder: turns messages into that text. `generation` marks what is learned, for tools that ask;
# `add_generation_prompt` ends where an answer is to begin, which is how the chat asks for one.
CHAT_TEMPLATE = """\
{%- if not messages or messages[0]['role'] != 'system' -%}
  {%- set messages = [{'role': 'system', 'content': DEFAULT_SYSTEM}] + messages -%}
{%- endif -%}
{%- for message in messages -%}
  {%- set content = message['content'] NEUTRALIZED -%}
  {%- if message['role'] == 'assistant' -%}<|assistant|>{% generation %}{{ content }}<|endoftext|>{% endgeneration %}
  {%- elif message['role'] == 'user' -%}<|user|>{{ content }}
  {%- elif message['role'] != 'system' -%}{{ raise_exception('the roles are system, user and assistant') }}
  {%- elif content -%}<|system|>{{ content }}
  {%- endif -%}
{%- endfor -%}
{%- if add_generation_prompt -%}<|assistant|>{%- endif -%}
"""
IGNORED = -100  # the label of a token that is not learned
IGNORED_TEXT = f"{IGNORED}, "

# Which column holds which part; where several names stand, the first that is there does. The first format whose columns
# are all there is taken (so Alpaca's extra `text` does no harm). Any format may have a system prompt, earlier turns and a
# context besides: OPTIONAL in section 10, with all else that is known about what rows hold.
FORMATS = {
    "messages": {"messages": "messages"},
    "sharegpt": {"messages": "conversations"},
    "dialog": {"messages": "conversation dialog dialogue dialogs utterances turns chat contents mapping"},
    "preference": {
        "user": "prompt question instruction input query history post title_body context",
        "assistant": "chosen chosen_response response_chosen preferred preferred_output preferred_response better_response "
        "upvoted_answer",
    },
    "chosen": {"messages": "chosen chosen_messages"},
    "expected": {
        "user": "input question prompt query instruction",
        "assistant": "expected_output expected expected_answer expected_response",
    },
    "alpaca": {"user": "instruction", "context": "input", "assistant": "output"},
    "translated": {
        "user": "指示 指令 instruksi talimat instrução instrucción istruzione anweisung instruction",
        "context": "入力 输入 masukan giriş entrada eingabe",
        "assistant": "出力 输出 keluaran çıktı saída salida ausgabe",
    },
    "dolly": {"user": "instruction", "context": "context", "assistant": "response"},
    "openorca": {"system": "system_prompt", "user": "question", "assistant": "response"},
    "prompt": {"user": "prompt", "assistant": "completion response"},
    "worked": {"user": "problem question", "assistant": "generated_solution solution"},
    "qa": {"user": "question", "assistant": "answer answers"},
    "pair": {
        "user": "instruction question prompt query problem input message request user human context",
        "assistant": "response output answer completion solution reply assistant chatbot bot gpt",
    },
    "questions": {"user": "questions", "assistant": "answers"},
    "several": {
        "user": "instruction question prompt query problem input",
        "assistant": "completions responses outputs answers replies ideal",
    },
    "target": {
        "user": "inputs_pretokenized inputs source src input",
        "assistant": "targets_pretokenized targets target tgt",
    },
    "text": {"text": "text content"},
}
# Who speaks, by the names that data sets and rendered chats have for it; ~ stands for a space.
SPEAKERS = {
    "user": "user usr human prompter customer client patient student questioner seeker instruction instruct question query prompt q "
    "input context usuario utilisateur nutzer benutzer frage anweisung pergunta pregunta instrução instrucción instrucciones istruzione "
    "domanda utente usuário kullanıcı soru pytanie użytkownik gebruiker vraag вопрос пользователь инструкция 用户 问 人类 指令 问题 "
    "指示 質問 入力 ユーザー 질문 명령어 입력 지시 사용자 سؤال السؤال المستخدم تعليمات प्रश्न you caller interviewer asker câu~hỏi người~dùng "
    "提问 問題 提問 題目 用戶 病人 患者 otázka fråga spørgsmål spørsmål kysymys kérdés întrebare pertanyaan питання запитання въпрос питање ερώτηση "
    "שאלה پرسش سوال প্রশ্ন คำถาม instructie opdracht пациент",
    "assistant": "assistant gpt gpt4 chatgpt bot chatbot model bard bing ai agent doctor therapist counselor teacher tutor expert "
    "claude answer response output completion solution reply a asistente assistente assistent antwort resposta respuesta risposta réponse cevap "
    "odpowiedź antwoord ответ ассистент 助手 助理 答 回答 回复 応答 アシスタント 답변 응답 답 جواب الجواب الإجابة المساعد उत्तर operator interviewee "
    "representative falcon vicuna gemini copilot deepseek moss 答案 回覆 解答 医生 醫生 odpověď odpoveď svar "
    "vastaus válasz răspuns jawaban відповідь отговор одговор απάντηση תשובה پاسخ উত্তর คำตอบ врач trả~lời trợ~lý",
    "system": "system developer sys",
    "tool": "tool function ipython observation function_call function_response tool_call tool_response tool_result",
}
ROLES = {name.replace("~", " "): role for role, names in SPEAKERS.items() for name in names.split()}
# What near duplicates may differ in: space and the punctuation of prose. The signs of sums and code do count.
PROSE = re.compile(r"[\s.,;:!?¡¿…\"'`´‘’“”„«»()\[\]{}]+")
OUTPUTS = ("train.jsonl", "val.jsonl", "train_tokenized.jsonl", "val_tokenized.jsonl")
STATE = "state.npz"  # where a run goes on that was cut off, or is to have more tokens: save_state
STORED = re.compile(r"(train|val)_tokens\.\d{5}\.(ids|bounds|learned)")  # by Store


class Drop(Exception):
    """A row that is not used; the message is the reason under which it is counted."""


# ---------------------------------------------------------------------------------------------------------
# 2 Sources: hub data sets and local files, row by row


@dataclass(eq=False)
class Source:
    """One data set. `parts` maps train and val to local files or a hub split; a hub id starts with none."""

    name: str
    weight: float | None
    parts: dict[str, Any]
    rows: Counter = field(default_factory=Counter)  # "train read", "train clean" and so on
    places: dict[str, Any] = field(default_factory=dict)  # where the last row of a hub's part is: read_hub
    fetched: Counter = field(default_factory=Counter)  # its rows, before messages are joined to conversations
    commit: str | None = None  # of a hub data set, where that is known
    notes: dict[str, None] = field(default_factory=dict)  # where rows come from and how they were read, for the card


def find_source(spec: str, asked: str | None = None, held_out: bool = False) -> Source:
    """NAME_OR_PATH[:WEIGHT] -> its files; those of a folder keep the parts that their names and folders give them."""
    weighted = None if os.path.lexists(spec) else re.fullmatch(r"(.+):(?=.*[1-9])(\d*\.?\d+)", spec)
    name, weight = (weighted[1], float(weighted[2])) if weighted else (spec, None)
    source = Source(name, weight, {})
    if os.path.isdir(name):
        found, others = files_below(Path(name))
        by_split = files_by_split(Path(name), found) or {"": []}
        train, *val = choose_split(name, list(by_split), asked, held_out)
        source.parts["train"] = by_split[train]
        if val:
            source.parts["val"] = [path for split in val for path in by_split[split]]
        others += [path for split in by_split.keys() - {train, *val} for path in by_split[split]]
    else:
        files = (
            [Path(name)] if os.path.lexists(name) else [Path(path) for path in sorted(glob.glob(name, recursive=True))]
        )
        files = [path for path in files if not os.path.isdir(path)]
        if not files and re.fullmatch(r"\w[\w.-]*(/[\w.-]+)?", name) and not DATA_FILE.fullmatch(Path(name).name):
            return source  # a hub id
        source.parts["train"], others = files, []
        by_part = {part: [path for path in files if part_of(path.name) == part] for part in ("", "train", "val")}
        if by_part["train"] and by_part["val"] and not held_out:  # data/*.parquet of a cloned hub repository
            source.parts = {"train": by_part[""] + by_part["train"], "val": by_part["val"]}
    if not any(source.parts.values()):
        seen = f", but {some(sorted(path.name for path in others), 3)}" if others else ""
        fail(
            f"{quoted(name)}: no data file{seen} (known are {', '.join(KINDS)}, also .gz or .zst); give a file, a folder or a hub id"
        )
    for path in itertools.chain(*source.parts.values()):
        if not os.path.isfile(path):
            fail(f"{quoted(path)}: no regular file but a broken link, a pipe or a device; give a file or remove it")
    top = name if os.path.isdir(name) else ""
    names = {
        part: some([quoted(path.relative_to(top) if top else path.name) for path in paths])
        for part, paths in source.parts.items()
    }
    source.notes["from " + ", validation from ".join(names.values())] = None
    if others:
        source.notes[f"not read: {some(sorted(quoted(path.relative_to(top)) for path in others), 5)}"] = None
    return source


def read_hub(source: Source, part: str, dataset: Any) -> Iterator[dict]:
    """The rows of a split. Where a run that was cut off had come to is in `source.places`: what lies between the first rows
    and there is not fetched again. The place, kept up to date, is the state of a stream before a batch, and how many rows
    of that batch were read; None where there is no such state, as for a set that is on the disk."""
    begun = source.places.get(part)
    if begun:
        yield from (row for row, _ in itertools.islice(in_places(dataset, None, FIRST_ROWS), FIRST_ROWS))
    state, n_rows = begun or (None, 0)
    for row, place in itertools.islice(in_places(dataset, state), n_rows, None):
        source.places[part] = place
        source.fetched[part] += 1
        yield row


def in_places(dataset: Any, state: Any, batch_size: int = 1000) -> Iterator[tuple[dict, Any]]:
    """(row, place) of a split, from a state of its stream on."""
    has_state = hasattr(dataset, "load_state_dict")
    if state is not None:
        dataset.load_state_dict(state)
    batches = dataset.iter(batch_size=batch_size)
    while batch := next(batches, None):
        for number, values in enumerate(zip(*batch.values()), 1):
            yield dict(zip(batch, values)), [state, number] if has_state else None
        state = dataset.state_dict() if has_state else None


def choose_split(name: str, splits: list[str], asked: str | None = None, held_out: bool = False) -> list[str]:
    """The split to train on and those to validate on; fails where none is plainly for training. Of a set that is
    `held_out` whole, by --val_dataset, the one to validate on."""
    val = sorted((split for split in splits if part_of(split) == "val"), reverse=True)  # validation before test
    if held_out and val and not asked:
        return val[:1]
    others = [split for split in splits if split not in val]
    known = [split for split in ("train", "train_sft") if split in others]
    plain = known[:1] or [split for split in others if part_of(split) == "train"] or others
    train = asked or (plain[0] if len(plain) == 1 else None)
    if train not in splits:
        wrong = f"no split {asked}" if asked else "no split is plainly the one to train on"
        fail(f"{quoted(name)}: {wrong}; --split takes one of {some(filter(None, sorted(splits)))}")
    # train_sft goes with test_sft; a --split that was asked for stands alone
    ending = re.sub(f"^(?:{TRAIN})", "", train, flags=re.I) if part_of(train) == "train" else ""
    return [train, *(split for split in val if not asked and split.endswith(ending))]


def find_commit(name: str, revision: str | None) -> str | None:
    """Which commit a branch or a tag of a hub data set is now; None without a hub, when what is cached is read."""
    from huggingface_hub import HfApi

    try:
        return HfApi().dataset_info(name, revision=revision, timeout=10).sha
    except Exception:  # of many kinds; whoever loads the set next says what is the matter
        return None


def load_hub(source: Source, args: argparse.Namespace, held_out: bool) -> None:
    """Loads the train split of a hub data set, and the validation split that belongs to it."""
    from datasets import load_dataset

    source.commit = source.commit or find_commit(source.name, args.revision)
    try:
        revision = source.commit or args.revision
        sets = load_dataset(source.name, args.config, revision=revision, streaming=args.streaming)
    except Exception as error:  # of many kinds, and none is a fault of this script
        mend = "check the id, --config and the network, or give a local file"
        if "column" in reason(error):
            mend = "its files differ: fetch them, and give those that belong together to --dataset"
        fail(f"{source.name}: {reason(error)}; {mend}")
    splits = choose_split(source.name, list(sets), args.split, held_out)
    source.parts = {part: sets[split] for part, split in zip(("train", "val"), splits)}
    source.notes.update({f"commit {source.commit}": None} if source.commit else {})
    source.notes[f"split {splits[0]} of {some(sorted(sets))}"] = None
    source.notes.update((f"{split} is for validation", None) for split in splits[1:2])


def read(source: Source, part: str) -> Iterator[tuple[str, Any]]:
    """(place, row) of all rows of a part, the place being file:line; a Drop stands for a malformed row."""
    places = source.parts[part] if isinstance(source.parts[part], list) else [source.parts[part]]
    for place in places:
        shown = quoted(place if isinstance(place, Path) else source.name)
        try:
            if isinstance(place, Path):
                for line, row in read_file(place, source.notes, alone=len(places) == 1):
                    yield f"{shown}:{line}", row
            else:
                yield from ((shown, row) for row in read_hub(source, part, place))
        except Exception as error:  # whatever the readers of all kinds of files and the network raise
            fail(f"{shown}: cannot be read: {reason(error)}; mend it or leave it out")


# ---------------------------------------------------------------------------------------------------------
# 3 Rows of any format become conversations


def cell(value: Any) -> Any:
    """A cell as text, whatever container its table came in: a number is its digits, NaN is empty like null."""
    if value is None or isinstance(value, (str, list, dict)):
        return value
    if isinstance(value, bytes):  # what some writers of Parquet make of text
        return value.decode("utf-8", "surrogateescape")
    return str(value) if value == value else None


def is_blank(value: Any) -> bool:
    value = cell(value)
    return value is None or (isinstance(value, str) and not value.strip())


def check_text(value: Any, may_be_empty: bool = False) -> str:
    value = cell(value)
    if not isinstance(value, str) and value is not None:
        raise Drop("turn is not text")
    if value is None or not (value.strip() or may_be_empty):
        raise Drop("empty turn")
    return value


def convert(row: Any, finder: Finder) -> dict:
    """A row of any format -> `{"system", "messages"}` or `{"text"}`; Drop when it is no usable conversation. The finder
    (section 10) knows the file's first rows: which column is what, and which kind of chat a text may be."""
    return convert_reshaped(finder.reshaped(row), finder)


def convert_reshaped(row: Any, finder: Finder) -> dict:
    layout = finder.layout_of(row)
    finder.check(row, layout)
    turns = finder.turns_of(row, layout)
    if turns is None:
        text = check_text(row[layout.parts["text"]])
        return {"text": without_end(text) or text}
    mended: dict[str, int] = defaultdict(int)
    system, messages = in_order(turns, mended)
    if system is None and layout.optional["system"]:
        system = text_of(row[layout.optional["system"][0]])
    system = "" if cell(system) is None else check_text(system, may_be_empty=True)
    if "weight" in messages[1] and all("weight" in message for message in messages[1::2]):
        raise Drop("every answer is marked as not to be learned")
    if mended:
        finder.tally.mended.update(mended)
    return {"system": system or finder.args.system, "messages": messages}


def in_order(turns: list[dict], mended: dict[str, int]) -> tuple[str | None, list[dict]]:
    """(system prompt, messages of user and assistant in turn). A deviation costs a turn, and is counted; Drop when no
    question with its answer is left. An answer with `weight` 0 is read, not learned."""
    system, messages, broken = None, [], ""
    roles = roles_of(turns)
    for role, turn in zip(roles, turns):
        if role == "tool":
            raise Drop("needs tools")
        if role == "system":
            if not messages:
                system = turn["content"] if system is None else f"{system}\n\n{turn['content']}"
            else:
                mended["system prompts in the middle cut"] += 1
            continue
        try:
            content = turn["content"]
            if isinstance(content, str) and content[:2] == "[{" and "type" in content[2:10]:  # parts, printed
                content = from_json(content) or content
            content = check_text(content if isinstance(content, str) else text_of(content))
            if role == "unknown":
                raise Drop("unknown role")
        except Drop as reason:
            broken = str(reason)
            break
        if "<" in content:
            if role == "user" and (match := PLACEHOLDER.search(content)):
                name = next(filter(None, match.groups()))
                raise Drop(f"needs {'images' if name in ('image', 'img') else name}")
            if TOOL_CALL.search(content):
                raise Drop("needs tools")
        if content.rstrip()[-1] in ">]" and (cut := without_end(content)) != content and cut:
            mended["end marks of another format cut"] += 1
            content = cut
        message = {
            "role": role,
            "content": content,
            **({"weight": 0} if "weight" in turn and role == "assistant" else {}),
        }
        if not messages and role == "assistant":
            mended["greetings before the first question cut"] += 1
        elif (
            messages
            and messages[-1]["role"] == role == "assistant"
            and ("weight" in messages[-1]) != ("weight" in message)
        ):
            mended["answers marked as bad left out for another"] += 1
            messages[-1] = message if "weight" in messages[-1] else messages[-1]
        elif messages and messages[-1]["role"] == role:
            mended["neighbors of one role joined"] += 1
            messages[-1] = {**messages[-1], **message, "content": f"{messages[-1]['content']}\n\n{content}"}
        else:
            messages.append(message)
    if broken.startswith("needs") or (broken and len(messages) < 2):
        raise Drop(broken)
    if broken:
        mended[f"conversations cut at a turn: {broken}"] += 1
    elif messages and messages[-1]["role"] == "user":
        mended["last questions without an answer cut"] += 1
    messages = messages[: len(messages) // 2 * 2]
    if not messages:
        raise Drop("wrong role order" if "assistant" in roles else "no assistant turn")
    return system, messages


# ---------------------------------------------------------------------------------------------------------
# 4 Validate, dedupe, mix, split


def digest(text: str) -> int:
    """64 bits of a text: equal texts are found without keeping them, with a chance of 1e-8 of one mistake."""
    return int.from_bytes(hashlib.blake2b(text.encode(), digest_size=8).digest(), "little")


def plain(text: str) -> str:
    """A text without what near duplicates may differ in: case, space, the punctuation of prose."""
    return PROSE.sub(" ", unicodedata.normalize("NFKC", text).casefold()).strip() or text


plain_system = functools.lru_cache(16)(plain)  # the same in most rows


def keys_of(row: dict, line: str) -> tuple[int, int, int]:
    """Digests of a row, from coarse to fine: of system and first question, of the whole prompt, of all of it."""
    if "text" in row:
        return (digest(plain(row["text"])),) * 2 + (digest(line),)
    # not the last answer: a question that is asked again is no news, whatever is answered
    prompt = [plain_system(row["system"]), *(plain(turn["content"]) for turn in row["messages"][:-1])]
    first = digest("\0".join(prompt[:2]))
    return first, first if len(prompt) == 2 else digest("\0".join(prompt)), digest(line)


def check_new(keys: tuple[int, int, int], part: str, seen: Seen, duplicates: str = "drop") -> None:
    """Drops what occurred before or in validation: a prompt, or with --duplicates keep the whole row in validation."""
    _, prompt, exact = keys
    # One set holds both parts: validation's keys are kept with their last bit turned, so as to tell where they occurred.
    key = prompt if duplicates == "drop" else exact
    key_in_val = key ^ 1
    is_in_val = key_in_val in seen
    if part != "val" and is_in_val:  # else validation would measure what was learned by heart
        raise Drop("also in validation")
    if duplicates == "drop" and (is_in_val or key in seen):
        raise Drop("exact duplicate" if exact in seen else "near duplicate")
    if duplicates == "drop":
        seen.add(exact)
    if duplicates == "drop" or part == "val":
        seen.add(key_in_val if part == "val" else key)


def clean(source: Source, part: str, seen: Seen, tally: Tally, args: argparse.Namespace) -> Iterator[tuple]:
    """(keys, row as JSON) of every good row; the others are counted by reason. Rows that are counted as read already, by
    a run that was cut off, are read once more as far as they show how the others are to be read, and left out."""
    done = min(source.rows[f"{part} read"], FIRST_ROWS if part in source.places else math.inf)
    for _, rows in itertools.groupby(join_messages(read(source, part)), key=lambda item: item[0].rpartition(":")[0]):
        head = list(itertools.islice(rows, FIRST_ROWS))
        finder = Finder(args, Tally() if done else tally, [row for _, row in head])
        finder.tally = tally  # what was noticed at the first rows is counted once
        for number, (place, row) in enumerate(itertools.chain(head, rows)):
            if done:
                done -= 1
                continue
            source.rows[f"{part} read"] += 1
            try:
                if isinstance(row, Drop):
                    if not args.skip_bad_lines:
                        fail(f"{place}: {row}; mend the line, or count such lines as dropped with --skip_bad_lines")
                    raise Drop("malformed line")
                row = convert(row, finder)
                line = json.dumps(row, ensure_ascii=False)
                keys = keys_of(row, line)
                check_new(keys, part, seen, args.duplicates)
            except UnicodeEncodeError:
                tally.dropped["broken encoding"] += 1
            except Drop as reason:
                tally.dropped[str(reason)] += 1
                if number == 0 and (
                    str(reason) != "unknown columns" or not any(finder.reads(row) for _, row in head[1:20])
                ):
                    if part == "val" and not args.val_dataset:  # a test set may keep its answers to itself
                        break
                    refuse(place, row, str(reason), args.formats, finder)
            else:
                source.rows[f"{part} clean"] += 1
                yield keys, line
    if not source.rows[f"{part} read"] and (part == "train" or args.val_dataset):
        fail(f"{quoted(source.name)}: holds no rows; check the file")


def mix(sources: list[Source], rows: list[Iterator]) -> Iterator:
    """Without weights one source after the other. With weights the next row comes from the source furthest behind
    its share, until one runs out: the shares are those asked for, and no row comes twice."""
    if all(source.weight is None for source in sources):
        yield from itertools.chain(*rows)
        return
    # by counting, not by drawing: the shares hold after every few rows, and again in the next run
    taken = [source.rows["train clean"] for source in sources]
    while True:
        turn = min(range(len(rows)), key=lambda i: (taken[i] + 1) / (sources[i].weight or 1))
        taken[turn] += 1
        try:
            yield next(rows[turn])
        except StopIteration:
            return


def split(rows: Iterable[tuple], fraction: float, seed: int, how: dict[str, Any] | None = None) -> Iterator[tuple]:
    """(part, keys, ...) with train or val where part is still "", drawn by the first question: rows that share it stay
    together. The very first is always validation, so that a small set has some; where it is the first question of most
    rows at the start, whole prompts are drawn, or whole rows, or pieces of a text. That is noted in `how`, and held to
    where it is known already."""
    rows, how = iter(rows), {} if how is None else how
    head = [] if how else list(itertools.islice(rows, 300))
    # a question on both sides would let validation measure memory; where all ask the same one, it cannot tell them apart
    open_rows = [(*keys, digest(line)) for part, keys, line, *_ in head if not part]
    if not how:
        level = next((i for i, keys in enumerate(zip(*open_rows)) if 2 * keys.count(keys[0]) <= len(keys)), None)
        how.update(level=level, always=None if level is None else open_rows[0][level])
    level, always = how["level"], how["always"]
    for part, keys, line, *rest in itertools.chain(head, rows):
        if not part:
            key = digest(line) if level == 3 else keys[level or 0]
            held_out = key == always or (level is not None and digest(f"{seed} {key}") / 2**64 < fraction)
            part = "val" if held_out else "train"
        yield part, keys, line, *rest


# ---------------------------------------------------------------------------------------------------------
# 5 Tokenizer, ids and labels


def make_tokenizer(args: argparse.Namespace, texts: Iterable[str]) -> Any:
    """A byte-level BPE with role tokens and chat template: that of --tokenizer, or one trained on the texts.

    It is of the class that keeps what it is made of: GPT2TokenizerFast of transformers 5 cuts words as GPT-2 does, always.
    """
    from tokenizers import AddedToken, Tokenizer, decoders, models, pre_tokenizers, processors, trainers
    from transformers import PreTrainedTokenizerFast

    if args.train_tokenizer:
        # Byte-pair encoding: the 256 bytes are tokens, so every text can be written; then the most frequent pair of neighbors
        # becomes a token as well, and so on to the number asked for. Frequent words end up as one token, rare ones as several.
        bpe, byte_level = Tokenizer(models.BPE()), pre_tokenizers.ByteLevel(add_prefix_space=False)
        bpe.pre_tokenizer, bpe.decoder = byte_level, decoders.ByteLevel()
        size, alphabet = args.train_tokenizer - len(ROLE_TOKENS), byte_level.alphabet()
        options = {"special_tokens": [EOS], "initial_alphabet": alphabet, "show_progress": sys.stderr.isatty()}
        bpe.train_from_iterator(texts, trainers.BpeTrainer(vocab_size=size, **options))
    else:
        bpe = load_bpe(args.tokenizer)
    bpe.post_processor = processors.ByteLevel(trim_offsets=False)  # else some add a token of their own to each text
    # one id each, found before the text is cut into words
    roles = [AddedToken(token, special=True, normalized=False) for token in (EOS, *ROLE_TOKENS)]
    bpe.add_special_tokens(roles)
    names = dict.fromkeys(("bos_token", "eos_token", "unk_token", "pad_token"), EOS)
    inputs = ["input_ids", "attention_mask"]  # GPT-2 would take token_type_ids for tokens
    tokenizer = PreTrainedTokenizerFast(
        tokenizer_object=bpe, **names, model_input_names=inputs, clean_up_tokenization_spaces=False
    )
    filters = "".join(f"| replace({token!r}, {neutral!r})" for token, neutral in neutral_forms(tokenizer))
    system = json.dumps(args.system, ensure_ascii=False)
    tokenizer.chat_template = CHAT_TEMPLATE.replace("NEUTRALIZED", filters).replace("DEFAULT_SYSTEM", system)
    if args.train_tokenizer and len(tokenizer) != args.train_tokenizer:
        fail(f"the data yields only {len(tokenizer)} tokens; use --train_tokenizer {len(tokenizer)}")
    return tokenizer


class Encoder:
    """Makes tokens of rows, by way of the saved template; each process has one."""

    def __init__(self, tokenizer: Any, args: argparse.Namespace) -> None:
        self.tokenizer, self.args, self.neutral_forms = tokenizer, args, neutral_forms(tokenizer)
        self.letter = {"<u2": "H", "<u4": "I"}[id_type(tokenizer)]  # of struct
        self.words = Words(tokenizer.backend_tokenizer) if splits_like_gpt2(tokenizer) else None
        self.digits = [str(i) for i in range(len(tokenizer))]  # of each id, made once
        self.eos, self.assistant = tokenizer.convert_tokens_to_ids([EOS, "<|assistant|>"])
        # the template as it is, without transformers' wrapping, which takes four times as long
        template = re.sub(r"{%-? (end)?generation -?%}", "", tokenizer.chat_template)
        self.template = jinja2.Environment().from_string(template)

    def render(self, row: dict) -> str:
        """What is tokenized; a text's control strings become as harmless as the template makes those of content."""
        if "messages" in row:
            return self.template.render(messages=[{"role": "system", "content": row["system"]}, *row["messages"]])
        text = row["text"]
        # plain text has no template that would do it
        for token, neutral in self.neutral_forms:
            text = text.replace(token, neutral)
        return text + EOS

    def encode(self, text: str) -> list[int]:
        ids: list[int] = []
        for piece in pieces(text):
            if self.words is not None and LATIN.fullmatch(piece):  # the same ids at a fifth of the time (section 8)
                ids += encode_by_words(piece, self.words)
            else:
                ids += self.tokenizer.backend_tokenizer.encode(piece, add_special_tokens=False).ids
        if self.words is None and not same_text(self.tokenizer.decode(ids), text):
            raise Drop("changed by the tokenizer")
        return ids

    def spans(self, ids: list[int]) -> Iterator[tuple[bool, list[int]]]:
        """A conversation's ids in pieces (learned, ids): learned is an answer up to and with its `<|endoftext|>`."""
        end = 0
        for _ in range(ids.count(self.assistant)):
            # no text can hold these two ids, so they are where answers begin and end
            start = ids.index(self.assistant, end) + 1
            yield False, ids[end:start]
            end = ids.index(self.eos, start) + 1
            yield True, ids[start:end]

    def shorten(self, row: dict, ids: list[int]) -> Iterator[tuple[dict, list[int]]]:
        """(row, ids) of what a row longer than --seq_len becomes: a conversation keeps its first complete turns, a
        text is cut between words into several rows, of which only the last ends in `<|endoftext|>`."""
        seq_len, start = self.args.seq_len, 0
        if self.args.too_long == "drop":
            raise Drop("too long")
        if "messages" in row:
            if self.eos not in ids[:seq_len]:
                raise Drop("first answer ends beyond --seq_len")
            ids = ids[: seq_len - ids[seq_len - 1 :: -1].index(self.eos)]
            yield {**row, "messages": row["messages"][: 2 * ids.count(self.eos)]}, ids
            return
        begins = bytearray()  # of each token whether a word begins with it
        for piece in pieces(self.render(row)):
            words = self.tokenizer.backend_tokenizer.encode(piece, add_special_tokens=False).word_ids
            begins.extend(map(operator.ne, [-1, *words], words))
        while start < len(ids):
            end = min(start + seq_len, len(ids))
            while start < end < len(ids) and not begins[end]:
                end -= 1
            if start == end:
                raise Drop("word longer than --seq_len")
            yield {"text": self.tokenizer.decode(ids[start:end], skip_special_tokens=True)}, ids[start:end]
            start = end

    def __call__(self, lines: list[str]) -> list[Any]:
        """What becomes of each row as JSON: [(row as JSON, "" where it stays as it is; a Tokens as a tuple; counts), ...],
        or the reason of a drop."""
        result: list[Any] = []
        for line in lines:
            row = json.loads(line)
            try:
                ids = self.encode(self.render(row))
                kept = [("", row, ids)]
                if len(ids) > self.args.seq_len:
                    kept = [(json.dumps(row, ensure_ascii=False), row, ids) for row, ids in self.shorten(row, ids)]
                result.append([(text, *self.tokens_of(row, ids)) for text, row, ids in kept])
            except Drop as reason:
                result.append(str(reason))
        return result

    def tokens_of(self, row: dict, ids: list[int]) -> tuple[tuple, dict]:
        """A row's ids as they are written: (Tokens as a tuple, which goes to another process in half the time; counts)."""
        pieces = list(self.spans(ids)) if "messages" in row else [(True, ids)]
        weights = [message.get("weight") for message in row.get("messages", [])[1::2]]
        if 0 in weights:  # marked by the data set: read, not learned
            answers = iter(weights)
            pieces = [(learned and next(answers) != 0, piece) for learned, piece in pieces]
        places, supervised, end = [], 0, 0
        for learned, piece in pieces:
            start, end = end, end + len(piece)
            if learned:
                places += (start, end)
                supervised += end - start
        if not supervised:
            raise Drop("every answer is marked as not to be learned")
        counts = {"rows": 1, "turns": ids.count(self.eos), "tokens": end, "supervised": supervised}
        as_integers = struct.pack(f"<{end}{self.letter}", *ids)
        if self.args.jsonl == "text":
            return ("", as_integers, places), counts
        # a label for each id: the id itself where it is learned, so the text of the ids serves for both lists
        texts = [(learned, len(piece), ", ".join(map(self.digits.__getitem__, piece))) for learned, piece in pieces]
        labels = [text if learned else IGNORED_TEXT * (size - 1) + str(IGNORED) for learned, size, text in texts]
        text = f'{{"input_ids": [{", ".join(text for *_, text in texts)}], "labels": [{", ".join(labels)}]}}'
        return (text, as_integers, places), counts


class Tokens(NamedTuple):
    """A row as it is written: ids and labels as JSON (empty with --jsonl text), the ids as integers, and from where to
    where they are learned: begin, end, begin, end ..."""

    json: str
    ids: bytes
    learned: list[int]


def id_type(tokenizer: Any) -> str:
    """An id as an unsigned integer, in the notation of numpy: of 2 bytes, or of 4 where those do not suffice."""
    return "<u2" if len(tokenizer) <= 1 << 16 else "<u4"


def start_worker(tokenizer: Any, args: argparse.Namespace) -> None:
    global encoder  # of this process
    encoder = Encoder(tokenizer, args)
    if args.num_proc > 1:  # else this is a thread, which has no signals
        signal.signal(signal.SIGINT, signal.SIG_IGN)  # Ctrl-C is for the main process
        signal.signal(signal.SIGTERM, signal.SIG_DFL)  # whatever a program that calls main has made of it
        hold_signals(block=False)
        if sys.platform == "linux":  # when that one is killed, they go with it, and do not complain of its pipes
            ctypes.CDLL(None).prctl(1, signal.SIGKILL)  # PR_SET_PDEATHSIG


def hold_signals(block: bool) -> None:
    """Let the SIGTERM that ends a process wait until the process knows what it means: a handler of the program that
    started it would take it for its own, and nobody would end."""
    if hasattr(signal, "pthread_sigmask"):  # Windows has neither
        signal.pthread_sigmask(signal.SIG_BLOCK if block else signal.SIG_UNBLOCK, {signal.SIGTERM})


def encode_batch(lines: list[str]) -> list[Any]:
    return encoder(lines)


def in_batches(rows: Iterable[tuple]) -> Iterator[list[tuple]]:
    """Of 100 rows, or of fewer where they are long: what waits for a process is in memory."""
    batch, size = [], 0
    for row in rows:
        batch.append(row)
        size += len(row[2])
        if len(batch) == 100 or size > 1_000_000:
            yield batch
            batch, size = [], 0
    if batch:
        yield batch


@contextlib.contextmanager
def encoders(tokenizer: Any, args: argparse.Namespace) -> Iterator[Any]:
    """The processes that tokenize."""
    # a process of its own would only cost time where there is but one
    make_pool = multiprocessing.Pool if args.num_proc > 1 else multiprocessing.pool.ThreadPool
    os.environ["TOKENIZERS_PARALLELISM"] = "false"  # the processes are the parallelism
    gc.freeze()  # the collector would touch what all of them share, and each would get a copy
    hold_signals(block=True)
    with make_pool(args.num_proc, start_worker, (tokenizer, args)) as pool:
        hold_signals(block=False)
        yield pool


def encode(rows: Iterator, pool: Any, args: argparse.Namespace, seen: Seen, dropped: Counter) -> Iterator[tuple]:
    """(part, keys, row) -> (part, keys, row, tokens, counts) in order, whatever the number of processes; drops are counted."""
    queue, batches = deque(), in_batches(rows)
    while (batch := next(batches, None)) or queue:
        if batch:
            queue.append((batch, pool.apply_async(encode_batch, ([line for *_, line in batch],))))
        # results are taken in order, and only so many are waited for as keep the processes busy
        if len(queue) <= 2 * args.num_proc and batch:
            continue
        done, encoded = queue.popleft()
        for (part, keys, line), found in zip(done, encoded.get()):
            try:
                if isinstance(found, str):
                    raise Drop(found)
                for shorter, tokens, counts in found:
                    if shorter and '"messages"' in shorter:  # what is left may be in the data already
                        keys = keys_of(json.loads(shorter), shorter)
                        check_new(keys, part, seen, args.duplicates)
                    yield part, keys, shorter or line, Tokens(*tokens), {**counts, "truncated": int(shorter != "")}
            except Drop as reason:
                dropped[str(reason)] += 1


# ---------------------------------------------------------------------------------------------------------
# 6 Data card


def data_card(stats: dict[str, Counter], lengths: array, dropped: Counter, seq_len: int, notes: list[str]) -> str:
    """What there is to learn from: counts, lengths of the training rows with a histogram, steps an epoch."""
    card = []
    for part, count in stats.items():
        learned, cut = count["supervised"] / max(1, count["tokens"]), count["truncated"] / max(1, count["rows"])
        card.append("{:5} {rows:,} rows, {turns:,} turns, {tokens:,} tokens".format(part, **count))
        card[-1] += f", of which {learned:.1%} are learned; {cut:.1%} of the rows truncated"
    card.append("dropped " + ("; ".join(f"{count:,} {why}" for why, count in sorted(dropped.items())) or "nothing"))
    copies = sum(count for why, count in dropped.items() if "duplicate" in why)
    if 10 * copies > sum(count["rows"] for count in stats.values()):
        card[-1] += f" ({ADVICE['duplicate']})"
    percents = (5, 25, 50, 75, 95, 99, 100)
    values = np.percentile(lengths, percents, method="inverted_cdf").astype(int)
    card.append("tokens a row: " + ", ".join(f"{p} % have up to {value}" for p, value in zip(percents, values)))
    # one very long row would make a single bar of all others: the percentiles above tell what the bars do not
    counts, edges = np.histogram(lengths, bins=10)
    for count, low, high in zip(counts, edges, edges[1:]):
        card.append(f"{low:9.0f} to {high:5.0f} {count:10,} {'#' * -int(-40 * count // counts.max())}")
    steps = [f"{max(1, round(stats['train']['tokens'] / seq_len / size)):,} of {size}" for size in (8, 32, 128)]
    return "\n".join([*card, f"an epoch in steps of packed rows of {seq_len} tokens: {', '.join(steps)}", *notes])


@dataclass
class Tally:
    """Counts by name: rows not used, turns mended, ways in which rows were understood, and columns not used."""

    dropped: Counter = field(default_factory=Counter)
    mended: Counter = field(default_factory=Counter)
    found: Counter = field(default_factory=Counter)
    unused: Counter = field(default_factory=Counter)

    def notes(self) -> list[str]:
        """A line of the card for each kind that occurred; long lists of columns are cut."""
        notes = []
        for title in ("found", "mended", "unused"):
            counts = getattr(self, title).most_common()
            texts = [
                f"{count:,} {name}" if title != "unused" else f"{name[:40]} ({count:,} rows)"
                for name, count in counts
                if count
            ]
            more = [f"{len(texts) - 12} more"] if len(texts) > 12 else []
            if texts:
                notes.append(f"{title:7} {'; '.join(texts[:12] + more)}")
        return notes


# What helps when most rows go for one reason. The rest is a matter of how the file is read.
ADVICE = {
    "duplicate": "several answers to one prompt are kept with --duplicates keep",
    "--seq_len": "raise --seq_len",
    "too long": "raise --seq_len, or take --too_long truncate",
    "marked": "--marked keep learns what the data set marks as bad",
    "broken encoding": "the file is no UTF-8 and its code page could not be told; save it as UTF-8",
    "turns are not": "where the conversations are no conversations, name what is: --columns user=COLUMN,assistant=COLUMN",
    "too few rows": "two rows at least are wanted, one to train on and one to validate; one long conversation is one row",
    "needs": "a model of text cannot learn from such rows; take another data set",
}


def advice(dropped: Counter) -> str:
    reason = max(dropped, key=dropped.__getitem__, default="")
    return next((text for word, text in ADVICE.items() if word in reason), "check --format and --columns")


def read_how(sources: list[Source]) -> list[str]:
    """A line a source: where its rows come from, by which split, and what was guessed or found out about its files."""
    return [visible(f"read    {source.name}: {'; '.join(source.notes)}") for source in sources]


def refuse(place: str, row: Any, reason: str, formats: dict[str, dict[str, str]], finder: Finder) -> None:
    """Ends the run where already the first row of a file shows that it cannot be read."""
    if reason == "unknown columns":
        known = "; ".join(
            f"{name} ({', '.join('/'.join([*spec.split()[:3], *['...'] * (spec.count(' ') > 2)]) for spec in parts.values())})"
            for name, parts in formats.items()
        )
        row = row if isinstance(row, dict) else {}
        texts = [name for name in row if re.fullmatch(r"[\w. -]{1,40}", name) and are_varied([row[name]])]
        asked, answered = ((names or ["COLUMN"])[0] for names in finder.likely(row))
        mend = f"use --columns {quoted(f'user={asked},assistant={answered}')}, with the names of what is asked and what is answered"
        if len(texts) == 1 and "COLUMN" in (asked, answered):
            mend = f"for plain texts use --columns {quoted(f'text={texts[0]}')}; else {mend}"
        if any(len(name) > 40 or name.count(" ") > 2 for name in row):
            mend = (
                f"where the first line is a row, put the names above it (sed -i '1i question,answer' FILE); else {mend}"
            )
        fail(f"{place}: unknown columns {some(row) or 'none'}; {mend}; known are {known}")
    if reason == "one message a row":
        mend = 'add a column conversation_id, write {"messages": [...]} a row, or take --columns text=COLUMN'
        fail(f"{place}: one message a row, and nothing says which belong together; {mend}")


def show(tokens: Tokens, tokenizer: Any) -> str:
    """A row as the model sees it; what is learned is green on a terminal."""
    green, plain = ("\033[32m", "\033[0m") if sys.stdout.isatty() and "NO_COLOR" not in os.environ else ("", "")
    ids, text = np.frombuffer(tokens.ids, id_type(tokenizer)).tolist(), ""
    places = [0, *tokens.learned, len(ids)]  # where learning begins and ends, in turn
    for number, (start, end) in enumerate(zip(places, places[1:])):
        piece = tokenizer.decode(ids[start:end])
        piece = "".join(letter if letter.isprintable() or letter == "\n" else "\ufffd" for letter in piece)
        text += green + piece + plain if number % 2 else piece
    return text


# ---------------------------------------------------------------------------------------------------------
# 7 The run


@dataclass
class Plan:
    """What a run reads, under which arguments, and where its result goes."""

    args: argparse.Namespace
    recorded: dict[str, Any]  # the arguments that decide about the result, for the manifest
    sources: list[Source]
    val_sources: list[Source]  # the same objects as `sources`, unless --val_dataset names another
    inputs: dict[str, list]  # path: [sha256, lines] of each local file
    begun: Begun | None = None  # what an earlier run has done of it: find_begun

    def __post_init__(self) -> None:
        self.out, self.workdir = self.args.out_dir, self.args.out_dir / "prep.tmp"

    @property
    def all_sources(self) -> list[Source]:
        return list(dict.fromkeys(self.sources + self.val_sources))

    @property
    def next_command(self) -> str:
        start, base, seq_len = "--cfg baseline_355m", Path(self.args.tokenizer), self.args.seq_len
        is_model = not base.is_dir() or any((*base.glob("*.safetensors"), *base.glob("*.bin")))  # not a tokenizer alone
        if self.args.train_tokenizer:
            start = "--cfg tiny"
        elif str(base) != "gpt2" and is_model:
            start = f"--init_from {quoted(self.args.tokenizer)}"
            with contextlib.suppress(OSError, ValueError, LookupError, TypeError):  # where its config is at hand
                config = json.loads((base / "config.json").read_text(encoding="utf-8"))
                seq_len = min(seq_len, config["n_positions" if "n_positions" in config else "max_position_embeddings"])
        model_dir = Path("checkpoints", self.out.resolve().name)
        command = f"python train.py --data_dir {quoted(self.out)} --model_dir {quoted(model_dir)}"
        return f"{command} {start} --seq_len {seq_len}"


@dataclass
class Result:
    """What was written into the work folder: counts by part, and the length in tokens of each training row."""

    tokenizer: Any
    tally: Tally = field(default_factory=lambda: Tally())
    stats: dict[str, Counter] = field(default_factory=lambda: {"train": Counter(), "val": Counter()})
    lengths: array = field(default_factory=lambda: array("I"))
    shards: dict[str, int] = field(default_factory=lambda: {"train": 0, "val": 0})
    how: dict[str, Any] = field(default_factory=dict)  # rows are drawn for validation: split
    portions: list[dict] = field(default_factory=list)  # all of the above as it was behind each of them: save_state
    example: Tokens | None = None  # the first training row


def plan(args: argparse.Namespace) -> Plan:
    """Finds the files to be read and their fingerprints. Nothing is written yet."""
    recorded = {key: value for key, value in vars(args).items() if key not in ("out_dir", "overwrite", "num_proc")}
    args.formats = {name: FORMATS[name] for name in ([args.format] if args.format else FORMATS)}
    args.formats = {"columns": args.columns} if args.columns else args.formats
    sources = [find_source(spec, args.split) for spec in args.dataset]
    val_sources = [find_source(args.val_dataset, held_out=True)] if args.val_dataset else sources
    both = list(dict.fromkeys(sources + val_sources))
    paths = [path for source in both for part in source.parts.values() for path in part]
    try:
        inputs = {str(path): fingerprint(path) for path in [*paths, *Path(args.tokenizer).glob("tokenizer.json")]}
    except OSError as error:
        fail(f"{quoted(error.filename)}: cannot be read: {error.strerror}; mend the file or leave it out")
    if {(args.out_dir / name).resolve() for name in OUTPUTS} & {path.resolve() for path in paths}:
        fail(f"{quoted(args.out_dir)} holds a file that would be read and written; choose another --out_dir")
    return Plan(args, recorded, sources, val_sources, inputs)


def load_what_is_not_local(plan: Plan) -> Any:
    """Hub data sets into their sources, before the long work begins. Returns the tokenizer, None if one is trained."""
    args = plan.args
    for library in ("TRANSFORMERS", "DATASETS", "HF_HUB"):
        os.environ.setdefault(f"{library}_VERBOSITY", "error")
    hub = [source for source in plan.all_sources if not source.parts]
    if hub or not (args.train_tokenizer or Path(args.tokenizer).is_dir()):
        prefer_cache()
    tokenizer = None if args.train_tokenizer else make_tokenizer(args, ())
    for source, commit in zip(plan.all_sources, plan.begun.state["commits"] if plan.begun else ()):
        source.commit = commit  # a set that has changed since is read on as it was
    for source in hub:
        load_hub(source, args, held_out=source not in plan.sources)
    if args.val_dataset:
        plan.val_sources[0].parts.setdefault("val", plan.val_sources[0].parts["train"])
    return tokenizer


VAL_ROOM = 5_000_000  # characters of JSON: some million tokens, which tell models apart; more take time from training


def hold_out(source: Source, rows: Iterator, room: int) -> Iterator:
    """The validation rows of a source in a run that streams: all of a file, and of a hub's split, which may take hours to
    fetch, the first ones that fill `room` characters."""
    if isinstance(source.parts["val"], list):
        yield from rows
        return
    while source.rows["val characters"] < room and (row := next(rows, None)):
        source.rows["val characters"] += len(row[1])
        yield row
    if source.rows["val characters"] >= room:
        source.notes[f"validation ends behind {source.rows['val clean']:,} of its rows, as it is streamed"] = None


def rows_of(plan: Plan, seen: Seen, tally: Tally) -> Any:
    """(part, keys, row as JSON): read, cleaned and mixed, one at a time, with a bar that counts them. The part is ""
    where validation is still to be drawn, which happens when it is known which rows survive."""
    args, sources = plan.args, plan.sources
    held_out: list[tuple[Source, Iterator]] = []  # validation comes first: what is in it must not be trained on
    for source in plan.val_sources:
        if "val" in source.parts:
            rows = clean(source, "val", seen, tally, args)
            first = next(rows, None)
            if first or source.rows["val clean"] or args.val_dataset:
                held_out.append((source, itertools.chain([first] if first else [], rows)))
            else:
                source.notes["its validation rows hold no answers, and a part of the others is held out instead"] = None
    with_val = [source for source, _ in held_out]
    train = mix(sources, [clean(source, "train", seen, tally, args) for source in sources])
    n_done = sum(source.rows["train clean"] for source in sources)  # by a run that was cut off
    train = itertools.islice(train, args.max_rows and max(0, args.max_rows - n_done))
    if with_val:
        room = VAL_ROOM // len(with_val)
        each = [hold_out(*one, room) if args.streaming else one[1] for one in held_out]
        rows = (("val", *row) for row in itertools.chain(*each))
        rows = itertools.chain(rows, (("train", *row) for row in train))
    else:
        rows = (("", *row) for row in train)
    parts = [source.parts["train"] for source in sources] + [source.parts["val"] for source in with_val]
    counts = [count_rows(part, plan.inputs) for part in parts]
    total = None if None in counts else min(sum(counts), args.max_rows or sum(counts))
    return tqdm(rows, "reading", total, unit=" rows", initial=n_done, disable=True if args.max_tokens else None)


def stream(plan: Plan, tokenizer: Any) -> Result:
    """Rows flow through, one at a time, into files in the work folder: memory stays flat however many there are.

    They come in portions. Behind each one all that was read is written, its shards are whole, and where the run is
    stopped after that, it goes on from there.
    """
    args, seen, spool = plan.args, Seen(), plan.workdir / "rows"
    result = Result(tokenizer)
    go_on(plan, result, seen)
    write = functools.partial(open, mode="a" if plan.begun else "w", encoding="utf-8", newline="\n")
    rows = iter(()) if plan.begun and plan.begun.is_enough else rows_of(plan, seen, result.tally)
    if args.train_tokenizer:  # it needs the rows twice: to learn its words from, and to encode
        with write(spool) as file:
            file.writelines(f"{part}\t{' '.join(map(str, keys))}\t{line}\n" for part, keys, line in rows)
        result.tokenizer = make_tokenizer(args, texts_of(split(read_spool(spool), args.val_fraction, args.seed)))
        rows = tqdm(read_spool(spool), "encoding", rows.n, unit=" rows", disable=None)
    rows = iter(rows)
    head = list(itertools.islice(rows, 1))
    if args.jsonl is None:  # of a corpus that is streamed because it is large, the ids are kept once
        args.jsonl = "text" if args.streaming and head and head[0][2].startswith('{"text"') else "all"
    with ExitStack() as stack:
        names = OUTPUTS if args.jsonl == "all" else OUTPUTS[:2]
        files = {name: stack.enter_context(write(plan.workdir / name)) for name in names}
        stores = {
            part: stack.enter_context(contextlib.closing(Store(plan.workdir, part, result.shards[part])))
            for part in result.stats
        }
        pool = stack.enter_context(encoders(result.tokenizer, args))
        progress = stack.enter_context(Progress(args.max_tokens, result.stats["train"]))
        portion, rows = Portion(head), itertools.chain(head, rows)
        while portion.is_full:
            portion = Portion(rows)
            encoded = encode(portion, pool, args, seen, result.tally.dropped)
            for part, _, line, tokens, counts in split(encoded, args.val_fraction, args.seed, result.how):
                # no row is held out, then dropped
                files[f"{part}.jsonl"].write(line + "\n")
                if tokens.json:
                    files[f"{part}_tokenized.jsonl"].write(tokens.json + "\n")
                stores[part].add(tokens, counts["tokens"])
                for name, count in counts.items():  # faster than Counter.update
                    result.stats[part][name] += count
                if part == "train":
                    result.example = result.example or tokens
                    result.lengths.append(counts["tokens"])
                    progress.update(counts["tokens"])
                if args.max_tokens and result.stats["train"]["tokens"] >= args.max_tokens:
                    portion.is_full = False
                    break
            for store in stores.values():
                store.close()
            result.shards = {part: store.number for part, store in stores.items()}
            if portion.is_full and not args.train_tokenizer:
                save_state(plan, result, seen, files)
                progress.say()
        for part, count in result.stats.items():
            if not count["supervised"]:  # a model would be trained on nothing, or judged by nothing
                reasons = sorted(result.tally.dropped.items())
                few = sum(row["rows"] for row in result.stats.values()) or not reasons  # what is left is only one row
                why = ", ".join(f"{count} {why}" for why, count in reasons) or "too few rows"
                mend = advice(result.tally.dropped or Counter(["too few rows"] if few else []))
                fail(f"nothing to learn is left in {part} (dropped: {why}); {mend}")
    spool.unlink(missing_ok=True)
    save_tokenizer(result.tokenizer, plan.workdir / "tokenizer")
    return result


def write_manifest(plan: Plan, result: Result, card: str) -> None:
    """manifest.json in the work folder, which lists every file there. Before it is, all that it lists is on the disk."""
    paths = [path for path in sorted(plan.workdir.rglob("*")) if path.is_file()]
    for path in paths:
        sync(path)
    libraries = ("datasets", "tokenizers", "transformers")  # local files do without the first
    versions = {name: version(name) for name in libraries if sys.modules.get(name)}
    record = {"complete": True, "arguments": plan.recorded, "seed": plan.args.seed, "inputs": plan.inputs}
    record["sources"] = [
        {"name": source.name, "weight": source.weight, "commit": source.commit, **source.rows}
        for source in plan.all_sources
    ]
    record |= {**result.stats, **{name: dict(sorted(counts.items())) for name, counts in vars(result.tally).items()}}
    record |= {"vocab_size": len(result.tokenizer), "card": card}
    names = {path.relative_to(plan.workdir).as_posix(): path for path in paths}
    record["sha256"] = {name: fingerprint(path)[0] for name, path in names.items()}
    record["bytes"] = {name: path.stat().st_size for name, path in names.items()}
    # the types of what the files hold, and which tokenized JSONL they say the same as
    types = {"ids": id_type(result.tokenizer), "bounds": "<u4", "learned": "<u4"}
    record["store"] = {
        part: {**types, "shards": result.shards[part], "jsonl": record["sha256"].get(f"{part}_tokenized.jsonl")}
        for part in result.stats
    }
    record["versions"] = {"python": sys.version.split()[0], **versions}
    manifest = plan.workdir / "manifest.json"
    text = json.dumps(record, indent=1, ensure_ascii=False) + "\n"
    manifest.write_text(text, "utf-8", "backslashreplace")  # a file name may hold bytes that are no UTF-8
    sync(manifest)


def publish(plan: Plan) -> None:
    """Everything to its final place, the manifest last: its presence means that all the rest is there."""
    listed = json.loads((plan.workdir / "manifest.json").read_text(encoding="utf-8"))["sha256"]
    names = [*listed, "manifest.json"]
    left = [name for name in names if (plan.workdir / name).exists()]  # fewer where this was cut off before
    (plan.out / "manifest.json").unlink(missing_ok=True)
    (plan.out / "tokenizer").mkdir(exist_ok=True)
    # what this run has not written, or an older version, would be read beside the new ones
    kept = {plan.out / name for name in names}
    old = [path for path in plan.out.iterdir() if path.name in (*OUTPUTS, STATE) or STORED.fullmatch(path.name)]
    old += [path for path in (plan.out / "tokenizer").iterdir() if TOKENIZER_FILE.fullmatch(path.name)]
    for path in old:
        if path not in kept:
            path.unlink()
    for name in left:
        os.replace(plan.workdir / name, plan.out / name)
    shutil.rmtree(plan.workdir)


def main(argv: list[str] | None = None) -> None:
    guard_streams()
    parser = build_parser()
    args = parser.parse_args(argv)
    args.num_proc = args.num_proc or os.cpu_count() or 1
    if args.streaming and not (args.max_rows or args.max_tokens):
        parser.error("--streaming reads without end: add --max_rows or --max_tokens")
    if args.train_tokenizer and args.max_tokens:
        parser.error("--max_tokens needs a tokenizer to count with: use --max_rows with --train_tokenizer")

    run = plan(args)
    with disk_mistakes(run.out):
        check_ours(run.out)
    if not args.overwrite and is_left_to_publish(run):
        with hold(run.out), disk_mistakes(run.out):
            publish(run)
    if not args.overwrite and is_complete(run.out, run.recorded, run.inputs):
        print(f"{quoted(run.out)} is complete already; --overwrite builds it again\n\nNext: {run.next_command}")
        return
    with hold(run.out):
        run.begun = find_begun(run)
        tokenizer = load_what_is_not_local(run)
        with disk_mistakes(run.out), ExitStack() as stack:
            stack.callback(give_up, run.workdir)  # whatever ends the run before it is published
            result = stream(run, tokenizer)
            notes = read_how(run.all_sources) + result.tally.notes()
            card = data_card(result.stats, result.lengths, result.tally.dropped, args.seq_len, notes)
            write_manifest(run, result, card)
            stack.pop_all()  # from here on the work folder stays until all of it is in place
            publish(run)
    first_row = show(result.example, result.tokenizer)
    print(card, "\nThe first training row, as the model sees it:", first_row, sep="\n")
    print(f"\nNext: {run.next_command}")


# ---------------------------------------------------------------------------------------------------------
# 8 Faster and smaller: words and digests that are met again and again
#
# What `tokenizers` does to text in Latin letters, at a fifth of the time: a language repeats its words, so their ids are
# looked up in a cache, and each word goes through byte-pair encoding once. Leave it out and the files stay the same.

LATIN = re.compile(r"[\0-\x7fÀ-ÿ°‘’“”–—…]*")
CONTROL_TOKEN = re.compile("(" + "|".join(map(re.escape, (EOS, *ROLE_TOKENS))) + ")")
LETTER = "A-Za-zÀ-ÖØ-öø-ÿ"
WORD = re.compile(rf"'(?:[sdmt]|ll|ve|re)| ?[{LETTER}]+| ?[0-9]+| ?[^\s{LETTER}0-9]+|\s+(?!\S)|\s+", re.ASCII)


class Words(dict):
    """The ids of words, as they come up, as integers of 4 bytes: as Python's they would take three times the memory."""

    def __init__(self, bpe: Any) -> None:
        self.bpe = bpe

    def __missing__(self, word: str) -> bytes:
        ids = array("I", self.bpe.encode(word, add_special_tokens=False).ids).tobytes()
        if len(self) < 30_000 and len(word) < 100:  # so that memory stays flat
            self[word] = ids
        return ids


PIECE = 50_000  # characters that are tokenized at once: the library takes 250 bytes for each
WORD_ENDS = re.compile(r"[^\W_](?=[ \n]\S|[。，、！？；])")  # where no tokenizer's word goes on, nor could


def pieces(text: str) -> Iterator[str]:
    """A long text in pieces whose tokens are, one after the other, those of the whole."""
    if len(text) <= PIECE:
        yield text
        return
    for part in filter(None, CONTROL_TOKEN.split(text)):
        start = 0
        while len(part) - start > PIECE:
            end = WORD_ENDS.search(part, start + PIECE // 2, start + PIECE)
            yield part[start : (start := end.end() if end else start + PIECE)]  # a word that long is cut
        yield part[start:]


def encode_by_words(text: str, words: Words) -> list[int]:
    found: list[str] = []
    for piece in CONTROL_TOKEN.split(text):
        found += (piece,) if CONTROL_TOKEN.fullmatch(piece) else WORD.findall(piece)
    return array("I", b"".join(map(words.__getitem__, found))).tolist()


class Seen:
    """A growing set of 64-bit digests in some 20 bytes each, where Python's own takes 80."""

    def __init__(self) -> None:
        self.sorted, self.recent = memoryview(np.empty(0, np.uint64)), set()
        self.added, self.n_sorted = array("Q"), 0  # all of them as they came, the first `n_sorted` sorted by portions

    def __contains__(self, digest: int) -> bool:
        if digest in self.recent:
            return True
        at = bisect.bisect_left(self.sorted, digest)  # half the time of numpy's, which is made for many at once
        return at < len(self.sorted) and self.sorted[at] == digest

    def add(self, digest: int) -> None:
        self.added.append(digest)
        self.recent.add(digest)
        if len(self.recent) > 10_000 + len(self.sorted) // 32:
            digests = np.append(self.sorted, np.fromiter(self.recent, np.uint64))
            digests.sort()
            self.sorted, self.recent = memoryview(digests), set()

    def end_portion(self) -> int:
        """How many there are. Which of several processes was first no longer shows in their order."""
        np.frombuffer(self.added, np.uint64)[self.n_sorted :].sort()
        self.n_sorted = len(self.added)
        return self.n_sorted

    def restore(self, digests: np.ndarray) -> None:
        self.added.frombytes(digests.tobytes())
        self.sorted, self.n_sorted = memoryview(np.sort(digests).astype(np.uint64)), len(digests)


# ---------------------------------------------------------------------------------------------------------
# 9 Files: what they hold decides how they are read, and not what they are called

KINDS = (".json", ".jsonl", ".ndjson", ".csv", ".tsv", ".txt", ".parquet", ".arrow")
# What is no data by its name: the metadata of libraries, what prep_data.py itself wrote beside its rows, notes.
NO_DATA = r"\.|cache-.*\.arrow|(manifest|state|dataset_infos?|dataset_dict|package|config)\.json$|.*_tokenized\.|(requirements|licen[cs]e|readme)\b"
ABOUT_DATA = re.compile(rf"{NO_DATA}|_|.+\.(md|py|sh|ya?ml|lock|crc|toml|cfg|bib|cff)$", re.I)
DATA_FILE = re.compile(rf"(?!{NO_DATA}).+({'|'.join(map(re.escape, KINDS))})(\.gz|\.zst|\.bz2|\.xz)?", re.IGNORECASE)
HELD_OUT = r"val(?:id(?:ation)?)?|dev|test(?:ing)?|eval(?:uation)?|h[eo]ld_?out"
TRAIN = r"train(?:ing)?"
# train_sft.jsonl, train_2.csv, gsm8k-test.jsonl, QATest.json; but not unit_test_cases.jsonl, which may be anything
SPLIT = re.compile(
    rf"(?:({TRAIN}(?:set|_[a-z]+)?)|((?:{HELD_OUT})(?:set|_[a-z]+)?)"
    rf"|.*(?:[-_.]|(?<=\w)(?-i:(?=[TDVEH][a-z])))(?:({TRAIN})|({HELD_OUT})))(?:_?\d+)?(?:[-.].*)?",
    re.I,
)
MAX_ROW = (
    8_000_000  # characters: a book of 3,000 pages; what is longer is no row but a file without line ends, or a trap
)
MAX_DOCUMENT = (
    1_000_000  # characters after which a plain text is cut at the end of a line: it becomes several rows anyhow
)
LOOK = 1 << 16  # bytes from which the kind of a file, its encoding and its delimiter are found
# The pages that are tried on bytes that are no UTF-8: those of Windows, and what else many files were written in.
PAGES = ("cp1250", "cp1251", "cp1252", "cp1253", "cp1254", "cp1255", "cp1256", "cp1257", "cp1258", "cp932", "cp949", "gb18030", "big5",
         "big5hkscs", "cp874", "euc-jp", "koi8_r", "koi8_u", "cp866", "cp850", "cp852", "mac_roman")  # fmt: skip
FOREIGN = {  # how files begin that are no data, or not yet
    b"pk\x03\x04": "a zip archive or an Excel workbook: unpack it, or save it as CSV",
    b"\xd0\xcf\x11\xe0": "an old Excel workbook: save it as CSV",
    b"%pdf": "a PDF: save its text as .txt",
    b"sqlite format 3": "a SQLite database: export the table as CSV",
    b"version https://git-lfs": "a pointer of Git LFS and not the file itself: run git lfs pull where it was cloned",
    b"<!doctype": "a web page and not the file: download it again",
    b"<html": "a web page and not the file: download it again",
    b"\x80\x04": "a pickle, which could run code when it is read: save it as Parquet or JSON",
}


def some(names: Iterable[Any], most: int = 8) -> str:
    """The first few names, each cut, so that a line stays a line whatever a file holds."""
    names = [str(name) for name in names]
    shown = [name if len(name) <= 40 else name[:40] + "..." for name in names[:most]]
    return ", ".join(shown) + (f" and {len(names) - most:,} more" if len(names) > most else "")


def reason(error: BaseException) -> str:
    """What a library says about an error, with what it says of the cause underneath."""
    causes = [error]
    while (cause := causes[-1].__cause__ or causes[-1].__context__) and cause not in causes:
        causes.append(cause)
    texts = [" ".join(str(error).split()) or type(error).__name__ for error in (causes[0], causes[-1])]
    texts = [text if len(text) <= 400 else text[:400] + "..." for text in texts]
    return texts[0] if texts[1] in texts[0] else f"{texts[0]} ({texts[1]})"


def part_of(name: str) -> str:
    """'train', 'val' or '', of the name of a file, a folder or a hub split."""
    match = SPLIT.fullmatch(name)
    return "" if match is None else "train" if match[1] or match[3] else "val"


def files_below(folder: Path) -> tuple[list[Path], list[Path]]:
    """(the data files in a folder and in every folder below, the files there that are neither data nor about data)."""
    found: list[Path] = []
    others: list[Path] = []
    for where, folders, names in os.walk(folder):
        made_by_us = {"manifest.json", "train_tokenized.jsonl"} <= {*names} or Path(where).name == "prep.tmp"
        if Path(where) != folder and (made_by_us or "tokenizer.json" in names):
            folders.clear()
            continue
        folders[:] = sorted(name for name in folders if not name.startswith("."))
        found += [Path(where, name) for name in sorted(names) if DATA_FILE.fullmatch(name)]
        others += [Path(where, name) for name in names if not (DATA_FILE.fullmatch(name) or ABOUT_DATA.match(name))]
    tables = [path for path in found if kind_of(path) != ".txt"]  # beside data a text is a note about it
    return tables or found, others + [path for path in found if tables and kind_of(path) == ".txt"]


def files_by_split(folder: Path, paths: list[Path]) -> dict[str, list[Path]]:
    """{split: its files}, by the name of the file or of a folder around it."""
    splits: dict[str, list[Path]] = {}
    for path in paths:
        inside = reversed(path.relative_to(folder).parts)
        matches = [match for match in map(SPLIT.fullmatch, inside) if match]
        splits.setdefault(next(filter(None, matches[0].groups())) if matches else "", []).append(path)
    return splits


def kind_of(path: Path) -> str:
    """The last of KINDS in a file's name, empty without one: .csv of rows.csv.gz."""
    return next((suffix for suffix in reversed([*map(str.lower, path.suffixes)]) if suffix in KINDS), "")


class ZstdFile(io.RawIOBase):
    """What gzip.GzipFile is for .gz: unpacked in small pieces, and a file that was cut off is an error, not a short one."""

    def __init__(self, path: Path) -> None:
        self.raw, self.frame, self.ready = path.open("rb"), None, b""

    def readable(self) -> bool:
        return True

    def readinto(self, buffer: Any) -> int:
        from zstandard import ZstdDecompressor

        while not self.ready:
            between = self.frame is None or self.frame.eof
            packed = (self.frame.unused_data if self.frame and between else b"") or self.raw.read(512)
            if not packed and not between:
                raise EOFError("the file ends in the middle")
            if not packed:
                return 0
            self.frame = ZstdDecompressor().decompressobj() if between else self.frame
            self.ready = self.frame.decompress(packed)
        size = min(len(buffer), len(self.ready))
        buffer[:size], self.ready = self.ready[:size], self.ready[size:]
        return size

    def close(self) -> None:
        self.raw.close()
        super().close()


def open_zstd(path: Path, mode: str) -> Any:
    return io.BufferedReader(ZstdFile(path), 1 << 16)


UNPACK = {b"\x1f\x8b": gzip.open, b"\x28\xb5\x2f\xfd": open_zstd, b"BZh": bz2.open, b"\xfd7zXZ\0": lzma.open}


def open_bytes(path: Path) -> Any:
    """The content of a file, packed or not, as its first bytes say."""
    with open(path, "rb") as file:
        magic = file.read(6)
    return next((unpack for start, unpack in UNPACK.items() if magic.startswith(start)), open)(path, "rb")


@dataclass
class Look:
    """What one look at the beginning of a file tells the readers."""

    path: Path
    notes: dict[str, None]
    alone: bool  # whether it is the only file of its part
    head: bytes
    kind: str = ""
    encoding: str = ""
    text: str = ""  # the head, decoded, without the line that it cuts

    def note(self, what: str) -> None:
        self.notes[f"{self.path.name}: {what}"] = None

    def open(self, newline: str | None = "") -> io.TextIOWrapper:
        # bytes that the encoding does not have become lone surrogates: they mark their own row as broken, and no other
        return io.TextIOWrapper(open_bytes(self.path), self.encoding, errors="surrogateescape", newline=newline)


def read_file(path: Path, notes: dict[str, None], alone: bool) -> Iterator[tuple[int, Any]]:
    """(line, row) of a local file; a Drop stands for a malformed row. The first of READERS that knows it reads it."""
    with open_bytes(path) as file:
        look = Look(path, notes, alone, file.read(LOOK))
    if not look.head:
        return
    for start, what in FOREIGN.items():
        if look.head[:30].lower().lstrip().startswith(start):
            raise ValueError(f"it is {what}")
    if look.head[257:262] == b"ustar":
        raise ValueError("it is a tar archive: unpack it")
    look.kind = kind_of(path)
    for knows, reader in READERS.items():
        if reader is read_json:  # from here on it is text
            look.encoding = find_encoding(look)
            whole = len(look.head) < LOOK
            look.text = look.head.decode(look.encoding, "replace")
            look.text = look.text if whole else look.text[: look.text.rfind("\n") + 1] or look.text
        if knows(look):
            yield from reader(look)
            return
    raise ValueError(f"it begins neither like {', '.join(KINDS)}; give its name the ending that says what it is")


def find_encoding(look: Look) -> str:
    """UTF-8 unless the bytes say otherwise: a mark or the zeros of UTF-16, or sequences that UTF-8 does not have."""
    # the mark of UTF-32 begins with that of UTF-16
    marks = {b"\xff\xfe\0\0": "utf-32", b"\0\0\xfe\xff": "utf-32", b"\xff\xfe": "utf-16", b"\xfe\xff": "utf-16"}
    head = look.head
    encoding = next((name for mark, name in marks.items() if head.startswith(mark)), None)
    if encoding is None and head.count(0) * 3 > len(head) and head.strip(b"\0"):
        encoding = json.detect_encoding(head)  # by where the zeros of the first letters stand
    encoding = encoding or find_page(look.path)
    if encoding != "utf-8-sig":
        look.note(f"read as {encoding}" + ("" if encoding.startswith("utf") else ", a guess from its bytes"))
    return encoding


def find_page(path: Path) -> str:
    """The code page of a file that is no UTF-8, where two lines or more tell; UTF-8 otherwise."""
    strict, strange = codecs.getincrementaldecoder("utf-8")(), []
    with open_bytes(path) as file:
        try:
            for _ in range(256):  # MB: what is strange first after that is a broken row
                if not (block := file.read(1 << 20)):
                    return "utf-8-sig"
                strict.decode(block)
            return "utf-8-sig"
        except UnicodeDecodeError:
            pass
    with open_bytes(path) as file:
        for line in itertools.islice(iter(lambda: file.readline(LOOK), b""), 1_000_000):
            if not line.isascii():
                strange.append(line)
            if len(strange) > 300:
                break
    text = b"".join(strange).decode("utf-8", "surrogateescape")
    escaped = sum("\udc80" <= letter <= "\udcff" for letter in text)
    if len(strange) < 2 or escaped < sum("\x7f" < letter < "\udc80" or letter > "\udcff" for letter in text):
        return "utf-8-sig"  # a few broken bytes
    return guess_page(b"".join(strange)[:LOOK])


def guess_page(sample: bytes) -> str:
    """The page of bytes in any language. chardet 7 took 1 of 936 samples of 3 to 60 translated messages in 40 languages for another
    page, charset-normalizer 4 of 10; that one is left to Python 3.9."""
    if sys.version_info < (3, 10):
        from charset_normalizer import from_bytes

        lean = {**dict.fromkeys(PAGES[:13], 0.0), "cp1252": 0.055, "cp932": 0.05, "cp1257": -0.15}
        matches = reversed(list(from_bytes(sample, cp_isolation=list(lean))))
        names = {name: match for match in matches for name in match.could_be_from_charset if name in lean}
        return max(names, key=lambda name: names[name].coherence - names[name].chaos + lean[name], default="cp1252")
    import chardet

    found = chardet.detect_all(sample, ignore_threshold=True, include_encodings=PAGES, no_match_encoding="windows-1252")
    names = [codecs.lookup(page["encoding"]).name for page in found if page["encoding"]]
    return next((name for name in names if not mixes_alphabets(sample.decode(name, "replace"))), "cp1252")


def mixes_alphabets(text: str) -> bool:
    """Whether many words are half in Latin letters and half in Greek, Cyrillic or the like: a wrong page made them so."""
    return 10 * len(re.findall("(?<=[A-Za-z])[\u0370-\u0fff]|[\u0370-\u0fff](?=[A-Za-z])", text)) > sum(
        map("\x7f".__lt__, text)
    )


def read_parquet(look: Look) -> Iterator[tuple[int, Any]]:
    from pyarrow.parquet import ParquetFile

    with seekable(look) as file:
        table = ParquetFile(file)
        groups = [table.metadata.row_group(number) for number in range(table.num_row_groups)]
        widest = max((group.total_byte_size // max(1, group.num_rows) for group in groups), default=0)
        yield from table_rows(table.iter_batches(batch_size=max(1, min(1000, MAX_ROW // (widest + 1)))))


def read_arrow(look: Look) -> Iterator[tuple[int, Any]]:
    """Files of Arrow: the folders that `datasets` saves hold streams of them, Feather is the other kind."""
    import pyarrow

    with seekable(look) as file:
        if look.head.startswith(b"ARROW1"):
            table = pyarrow.ipc.open_file(file)
            yield from table_rows(table.get_batch(number) for number in range(table.num_record_batches))
        else:
            yield from table_rows(pyarrow.ipc.open_stream(file))


def seekable(look: Look) -> Any:
    """The content as a file that can be read from any place: a packed one is unpacked to disk."""
    file = open_bytes(look.path)
    if isinstance(file, io.BufferedReader) and not isinstance(file.raw, ZstdFile):
        return file
    unpacked = tempfile.TemporaryFile()  # noqa: SIM115  (the caller closes it)
    with file:
        shutil.copyfileobj(file, unpacked)
    unpacked.seek(0)
    return unpacked


def table_rows(batches: Iterable[Any]) -> Iterator[tuple[int, Any]]:
    """(number, row) of the batches of a table; few at a time, so that Python never holds much of it."""
    number = 0
    for batch in batches:
        batch.validate(full=True)  # Arrow trusts its offsets: damaged ones would end the process
        step = max(1, min(1000, MAX_ROW * len(batch) // (batch.nbytes + 1)))
        for start in range(0, len(batch), step):
            piece = batch.slice(start, step)
            too_long = step == 1 and piece.nbytes > MAX_ROW
            for row in [TOO_LONG] if too_long else piece.to_pylist():
                number += 1
                yield number, row


TOO_LONG = Drop(f"a row of more than {MAX_ROW:,} characters: split it")


def looks_like_json(look: Look) -> bool:
    return look.kind in (".json", ".jsonl", ".ndjson") or re.match(r'\s*[\[{]\s*["\[{]', look.text) is not None


def read_json(look: Look) -> Iterator[tuple[int, Any]]:
    """JSON in any layout: a value a line, or values spread over lines that hold the rows one way or another."""
    with look.open() as text:
        lines = iter(functools.partial(text.readline, MAX_ROW), "")
        lines = (line for line in lines if not line.isspace() and not line.lstrip().startswith(COMMENT))
        first, second = next(lines, ""), next(lines, "")
    # one line that is whole makes it a value a line, also where the first is damaged; `{` alone begins a layout
    damaged = is_whole(second) and first.rstrip()[-1:] not in "[{,"
    begins = first.lstrip().startswith(("[", "{", "/*")) or ASSIGNED.match(first)
    a_line = (bool(second) and (is_whole(first) or damaged)) or not begins
    with look.open() as text:
        values, header = json_lines(look, text) if a_line else json_document(look, JsonText(look, text)), None
        texts = None  # whether the file is one of texts, as its first value is
        for line, value in values:
            texts = isinstance(value, str) if texts is None else texts
            rows = [{"text": value}] if texts and isinstance(value, str) else [value]
            if (
                isinstance(value, list)
                and value
                and all(isinstance(item, dict) and not is_turn(item) for item in value)
            ):
                rows = value  # several rows in one list
            elif isinstance(value, list) and header:
                rows = [dict(zip(header, value))]
            elif isinstance(value, list) and value and n_known(value) == len(value):
                header, rows = value, []
            elif isinstance(value, list):
                rows = [{"messages": value}]
            yield from ((line, row) for row in rows)


@functools.lru_cache(None)
def known_columns() -> set[str]:
    """Every name of a column in FORMATS, in small letters."""
    return {name for columns in FORMATS.values() for names in columns.values() for name in names.split()}


def n_known(names: Iterable[Any]) -> int:
    return len(known_columns().intersection(str(name).strip(' "\r').lower() for name in names))


def is_whole(line: str) -> bool:
    try:
        return isinstance(json.loads(line), (dict, list))
    except (ValueError, RecursionError):
        return False


PAIR = {"human", "user", "assistant", "gpt", "bot", "model"}


def is_turn(value: Any) -> bool:
    """Whether a part of a list is a message, or a pair of them, and not a row."""
    return isinstance(value, dict) and (
        not as_message(value).keys().isdisjoint(SPEAKER) or (bool(value) and value.keys() <= PAIR)
    )


# What people write into JSON though it is none: comments, a comma before a bracket, a name before all of it.
COMMENT, ASSIGNED = ("//", "#"), re.compile(r"\s*[\w.$ \t]{1,100}=\s*(?=[\[{])")
# A text without its end goes on to the end of all: what is looked for is looked for once.
STRING = r"""\"[^"\\]*(?:\\.[^"\\]*)*(?:"|\Z)|'[^'\\]*(?:\\.[^'\\]*)*(?:'|\Z)"""
NO_JSON = r"(?://|#)[^\n]*|/\*[^*]*(?:\*(?!/)[^*]*)*(?:\*/|\Z)"
SPACE, BETWEEN = re.compile(r"[ \t\r\n\x1e]*"), re.compile(NO_JSON)
BRACKETS = re.compile(rf"\\.|{STRING}|{NO_JSON}|[\[\]{{}}]", re.S)
LEFT_OUT = [re.compile(rf"({STRING})|{what}", re.S) for what in (NO_JSON, r",(?=\s*[\]}])")]


def loosely(look: Look, text: str) -> Any:
    """What a text is meant to hold that is no JSON to the letter, in Python's quotes too; None where nothing can be made of it."""
    for left_out in LEFT_OUT if len(text) <= MAX_DOCUMENT else []:
        text = left_out.sub(lambda match: match[1] or " ", text)
    value = from_json(text) if len(text) <= MAX_DOCUMENT else None
    value = value if is_container(value) else None  # {"a"} is a set in Python
    if value is not None:
        look.note("no JSON to the letter (comments, commas or quotes), read as it is meant")
    return value


def json_lines(look: Look, text: io.TextIOWrapper) -> Iterator[tuple[int, Any]]:
    number = 0
    while line := text.readline(MAX_ROW):
        number += 1
        if line[-1] in "\r\n" or len(line) < MAX_ROW:
            try:
                if not line.isspace():
                    yield number, json.loads(line)
            except (ValueError, RecursionError) as error:
                value = loosely(look, line)
                if value is not None or not line.lstrip().startswith(COMMENT):
                    yield number, Drop(f"not JSON: {error}") if value is None else value
        else:
            yield number, TOO_LONG
            while (rest := text.readline(MAX_ROW)) and rest[-1] not in "\r\n":
                pass


class JsonText:
    """The values of a JSON text one after the other, from a buffer that holds little more than one of them."""

    def __init__(self, look: Look, text: io.TextIOWrapper) -> None:
        self.look, self.text, self.buffer, self.at, self.lines = look, text, "", 0, 1
        self.decode = json.JSONDecoder().raw_decode

    @property
    def line(self) -> int:
        return self.lines + self.buffer.count("\n", 0, self.at)

    def more(self) -> bool:
        """Reads on, as much again as waits there already."""
        if got := self.text.read(max(LOOK, len(self.buffer) - self.at)):
            self.lines, self.buffer, self.at = self.line, self.buffer[self.at :] + got, 0
        return bool(got)

    def next(self) -> str:
        """The next character that is neither space nor comment, empty at the end."""
        while True:
            self.at = SPACE.match(self.buffer, self.at).end()
            sign = self.buffer[self.at : self.at + 1]
            if sign and sign not in "/#":
                return sign
            comment = BETWEEN.match(self.buffer, self.at)
            if comment and comment.end() < len(self.buffer):
                self.at = comment.end()
            elif sign and not comment and self.at + 1 < len(self.buffer):
                return sign
            elif len(self.buffer) - self.at > MAX_ROW:
                self.wrong("a comment without an end")
            elif not self.more():
                self.at = len(self.buffer)
                return ""

    def take(self, sign: str) -> bool:
        found = self.next() == sign
        self.at += found
        return found

    def value(self) -> Any:
        self.next()
        while True:
            try:
                value, end = self.decode(self.buffer, self.at)
            except ValueError as error:
                what, place = str(getattr(error, "msg", error)), getattr(error, "pos", self.at)
            else:
                if end < len(self.buffer) or not self.more():  # a number may go on beyond the buffer
                    self.at = end
                    return value
                continue
            is_cut = what.startswith("Unterminated") or place + 20 > len(self.buffer)
            if is_cut and len(self.buffer) - self.at > MAX_ROW:
                raise TOO_LONG
            if is_cut and self.more():
                continue
            before = self.at
            end = self.end_of_value()
            value = loosely(self.look, self.buffer[self.at : end])
            if value is None:
                self.at = min(len(self.buffer), place + self.at - before)
                self.wrong(what)
            self.at = end
            return value

    def end_of_value(self) -> int:
        """Where the bracket is closed that opens here, however what is between them is written."""
        while True:
            depth = 0
            for mark in BRACKETS.finditer(self.buffer, self.at):
                depth += {"[": 1, "{": 1, "]": -1, "}": -1}.get(mark[0], 0)
                if depth <= 0 and mark.end() < len(self.buffer):
                    return mark.end()
            if len(self.buffer) - self.at > MAX_DOCUMENT or not self.more():
                return len(self.buffer)

    def items(self) -> Iterator[tuple[int, Any]]:
        """(line, value) of a list, whose bracket was taken."""
        while not self.take("]"):
            yield self.line, self.value()
            if not self.take(",") and self.next() != "]":
                self.wrong("expecting ',' or ']'")

    def wrong(self, what: str) -> NoReturn:
        raise ValueError(f"line {self.line}: not JSON: {what}")


def json_document(look: Look, text: JsonText) -> Iterator[tuple[int, Any]]:
    """(line, value) of what a JSON file holds that is not a value a line."""
    text.next()
    if assigned := ASSIGNED.match(text.buffer, text.at):  # as in a script
        text.at = assigned.end()
    if text.take("["):
        yield from text.items()
    while text.take(",") or text.take(";") or text.next() == "{":
        if text.next() != "{":
            continue
        line = text.line
        try:
            value = text.value()
        except Drop:  # too large for a row, so the rows are inside
            yield from json_members(look, text)
            continue
        alone = line == 1 and not text.next()
        yield from ((line, row) for row in (unwrap(look, value) if alone else [value]))
    if text.next():
        text.wrong("more behind its end")


def json_members(look: Look, text: JsonText) -> Iterator[tuple[int, Any]]:
    """The rows of a large object: those in its lists, or its members themselves, one at a time."""
    text.take("{")
    rows = 0
    while not text.take("}"):
        key = text.value()
        if not text.take(":"):
            text.wrong("expecting ':'")
        held_out = part_of(str(key)) == "val"
        look.note(f"validation rows under {key!r} are not used" if held_out else "rows inside of one object")
        for line, value in text.items() if text.take("[") else iter([(text.line, text.value())]):
            if is_container(value) and not held_out:
                rows += 1
                yield line, value
        if not text.take(",") and text.next() != "}":
            text.wrong("expecting ',' or '}'")
    if not rows:
        raise ValueError(f"a table by columns of more than {MAX_ROW:,} characters: save it as CSV or a row a line")


def unwrap(look: Look, value: dict) -> list[Any]:
    """The rows of an object: itself, or those that it wraps by name, by id, or column by column."""
    if not value:
        return []
    lists = {key: item for key, item in value.items() if isinstance(item, list)}
    known = {name: item for name, item in value.items() if name.lower() in known_columns()}
    texts = [name for name, item in known.items() if isinstance(item, str)]
    rows_below = [row for key, item in lists.items() if key not in known for row in item[:1]]
    above = len(texts) < 2 and any(
        isinstance(row, dict) and n_known(row) for row in rows_below
    )  # an instruction for all
    if any(isinstance(item, list) and any(map(is_turn, item)) for item in known.values()) or (texts and not above):
        return [value]
    if isinstance(value.get("columns"), list) and isinstance(value.get("data"), list):
        look.note("a table as columns and data")
        return [dict(zip(map(str, value["columns"]), row)) for row in value["data"] if isinstance(row, list)]
    by_name = {key: item for key, item in lists.items() if item and all(isinstance(row, dict) for row in item)}
    if (
        by_name.keys() == value.keys()
        and not any(map(part_of, value))
        and all(map(is_conversation, by_name, by_name.values()))
    ):
        look.note("an object by id")
        return [{"messages": item} for item in by_name.values()]
    if any(is_conversation(key, item) for key, item in by_name.items() if not part_of(key)):
        return [value]
    told = {key: n_known(name for row in item[:1] for name in names_below(row)) for key, item in by_name.items()}
    if used := [key for key in by_name if part_of(key) != "val" and (told[key] or not any(told.values()))]:
        shared = {
            key: text
            for key, text in value.items()
            if key in texts or (key.lower() in SYSTEMS and isinstance(text, str))
        }
        rest = [key for key in value if key not in used and key not in shared and holds(value[key])]
        look.note(f"rows under {some(used)}" + f"; not used: {some(rest)}" * bool(rest))
        return [{**shared, **row} if shared else row for key in used for row in by_name[key]]
    if (
        len(lists) == len(value)
        and {"train"} <= {*map(part_of, value)} <= {"train", "val"}
        and all(row and all(map(are_sentences, row)) for row in lists.values())
    ):
        used = [key for key in lists if part_of(key) != "val"]
        look.note(
            f"lists of texts under {some(used)}" + f"; not used: {some(lists.keys() - set(used))}" * (used != [*lists])
        )
        return [{"messages": row} for key in used for row in lists[key]]
    if lists and len(lists) == len(value) and len(set(map(len, lists.values()))) == 1:
        look.note("a table by columns")
        return [dict(zip(lists, row)) for row in zip(*lists.values())]
    if not all(isinstance(item, dict) for item in value.values()):
        inner = [(key, item) for key, item in value.items() if isinstance(item, dict)]
        rows = unwrap(look, inner[0][1]) if len(inner) == 1 and not known else [value]
        if rows[:1] not in ([value], [item for _, item in inner]):
            look.note(f"rows under {inner[0][0]}")
            return rows
        if len(value) > 1 and all(isinstance(item, str) and key.count(" ") > 1 for key, item in value.items()):
            look.note("an object of questions and answers")
            return [{"question": key, "answer": item} for key, item in value.items()]
        return [value]
    first = next(iter(value.values()))
    if all(map(str.isdigit, first)) and not all(map(str.isdigit, value)) and not any(map(is_container, first.values())):
        look.note("a table by columns")
        return [{key: column.get(number) for key, column in value.items()} for number in first]
    look.note("an object by id")
    return [row for key, item in value.items() if part_of(key) != "val" for row in unwrap(look, item)]


def is_conversation(name: str, value: list) -> bool:
    """Whether a list holds the messages of one conversation, and none names another one."""
    is_chat = all(map(is_turn, value)) or (name in LOGS and len(said_by_nobody(value)) > 1)
    return is_chat and not any(first_of(turn, CONVERSATION_ID) for turn in value)


def names_below(row: dict) -> list[str]:
    """The names in a row, and in an object right inside of it."""
    return [name for item in (row, *row.values()) if isinstance(item, dict) for name in item]


def is_container(value: Any) -> bool:
    return isinstance(value, (dict, list))


def find_dialect(text: str) -> tuple[dict[str, Any], int]:
    """(the delimiter and the quoting by which the first rows have known columns and are all as wide as the first, how many
    rows stand above the names of the columns)."""
    if given := re.match(r'"?sep=(.)"?\r?\n', text):
        return {"delimiter": given[1]}, 0
    best: tuple = (-1, 0.0, 0, {}, 0)
    quoting = [{}, *([{"escapechar": "\\", "doublequote": False}] if '\\"' in text else [])]
    quoting += [{"skipinitialspace": True}] if re.search(r'[,;|] +"', text) else []
    quoting += [{"quotechar": "'"}] if text.lstrip().startswith("'") else []
    unquoted = {"delimiter": "\t", "quoting": csv.QUOTE_NONE}  # as only tables of tabs are written
    for dialect in [*({"delimiter": sign, **more} for sign in ",;\t|" for more in quoting), unquoted]:
        rows, ended = [], False
        try:
            rows.extend(row for row in csv.reader(io.StringIO(text, newline=""), strict=True, **dialect) if row)
            ended = True
        except csv.Error:  # in the middle, or of a cell that the look cut
            pass
        above = n_above(rows)
        if rows := rows[above:]:
            even = sum(len(row) == len(rows[0]) for row in rows) / (len(rows) + (not ended))
            best = max(best, (n_known(rows[0]), even, len(rows[0]), dialect, above), key=lambda found: found[:3])
    return best[3:]


def n_above(rows: list[list[str]]) -> int:
    """How many rows at the start are no more than a title or a comment: one cell above the known names of several columns."""
    return next((n for n, row in enumerate(rows[:10]) if n_known(row) > 1 and all(sum(map(bool, title)) < 2 for title in rows[:n])), 0)  # fmt: skip


def column_names(cells: list[str]) -> list[str]:
    """The names in a header, each once: a column without a name is `column 3`, the second `answer` is `answer 2`."""
    names: list[str] = []
    for number, name in enumerate((cell.strip().lstrip("\ufeff") for cell in cells), 1):
        name, same = name or f"column {number}", 2
        while f"{name} {same}" in names:
            same += 1
        names.append(f"{name} {same}" if name in names else name)
    return names


def looks_like_table(look: Look) -> bool:
    first = look.text.partition("\n")[0].split(find_dialect(look.text)[0].get("delimiter", ","))
    return look.kind in (".csv", ".tsv") or n_known(first) > 1


def read_csv(look: Look) -> Iterator[tuple[int, Any]]:
    (dialect, above), size, line, header = find_dialect(look.text), 0, 0, None
    delimiter = dialect.setdefault("delimiter", ",")
    between = f"with {delimiter!r} between the cells"
    if delimiter != ("\t" if look.kind == ".tsv" else ","):
        look.note(f"read {between}")
    if above:
        look.note(f"not used: {above} above the names of the columns")
    csv.field_size_limit(MAX_ROW)

    def lines() -> Iterator[str]:
        nonlocal size
        while read := text.readline(MAX_ROW):
            size += len(read)
            if size >= MAX_ROW:
                raise ValueError(f"line {line + 1}: {TOO_LONG}, or close the quote that it opens")
            yield read

    with look.open() as text:
        line = first = len(text.readline()[:1]) if re.match(r'"?sep=.', look.text) else 0
        reader = csv.reader(lines(), strict=True, **dialect)
        try:
            for cells in itertools.islice(filter(None, reader), above, None):
                line, size = reader.line_num + first, 0
                if header is None:
                    header = column_names(cells)
                elif len(cells) < len(header) or any(cells[len(header) :]):
                    yield (
                        line,
                        Drop(
                            f"another number of columns ({len(cells)}) than the first line ({len(header)}), {between}"
                        ),
                    )
                else:
                    yield line, dict(zip(header, cells))
        except csv.Error as error:
            raise ValueError(f"line {line + 1}: {error}, {between}") from None


def read_text(look: Look) -> Iterator[tuple[int, Any]]:
    """Documents of plain text, cut at the end of a line where they are longer than MAX_DOCUMENT."""
    marked, blank = EOS in look.text, re.search(r"\S[ \t]*\r?\n[ \t]*\r?\n\s*\S", look.text)
    how = f"between {EOS}" if marked else "a file" if not look.alone else "between blank lines" if blank else "a line"
    has_tabs = not marked and tabbed(look.text)
    chat = chat_without_ends(look.text, blank is not None) if look.alone and not marked else None
    how = f"from one {chat[1]} turn to the next" if chat else how
    look.notes["a question, a tab and its answer a line" if has_tabs else f"plain text, a document {how}"] = None
    document, size, start = [], 0, 1
    with look.open(newline=None) as text:
        for number, line in enumerate(iter(functools.partial(text.readline, MAX_DOCUMENT), ""), 1):
            if has_tabs and "\t" in line:
                yield number, dict(zip(("question", "answer"), line.rstrip("\n").split("\t", 1)))
                continue
            pieces = line.split(EOS) if marked else [line]
            mark = chat[0].mark.match(line) if chat else None
            pieces = ["", *pieces] if mark and MARK_ROLES[mark[1].lower()] == chat[1] else pieces
            ended = how == "a line" or (how == "between blank lines" and line.isspace())
            for place, piece in enumerate([*pieces, ""] if ended else pieces):
                if place or size > MAX_DOCUMENT:
                    if whole := "".join(document).strip("\n"):
                        yield start, {"text": whole}
                    document, size, start = [], 0, number
                document.append(piece)
                size += len(piece)
    if whole := "".join(document).strip("\n"):
        yield start, {"text": whole}


def tabbed(text: str) -> bool:
    """Whether every line is a text, a tab and another text, and the first ones are not the names of a few classes."""
    lines = [line.split("\t") for line in text.split("\n") if line.strip()]
    if len(lines) < 2 or not all(len(line) == 2 and line[0].strip() and line[1].strip() for line in lines):
        return False
    return 2 * len({first for first, _ in lines}) > len(lines)


def chat_without_ends(text: str, has_blocks: bool) -> tuple[Template, str] | None:
    """(the template, the role that begins) of a chat of which nothing tells where one conversation ends and the next begins."""
    if has_blocks and most_alike([(block, None) for block in re.split(r"\n\s*\n", text)[:100]])[0]:
        return None
    for template in RENDERED:
        marks = [(MARK_ROLES[mark[1].lower()], mark.start()) for mark in template.mark.finditer(text)]
        starts = [start for role, start in marks if role == marks[0][0]]
        if len(starts) > 1 and marks[0][0] in ("user", "system") and template.turns(text[: starts[-1]]):
            return template, marks[0][0]
    return None


# The first that knows a file reads it: by its first bytes, by the shape of its first lines, and last by its name.
READERS = {
    lambda look: look.head.startswith(b"PAR1"): read_parquet,
    lambda look: look.head.startswith((b"ARROW1", b"\xff\xff\xff\xff")): read_arrow,
    looks_like_json: read_json,
    looks_like_table: read_csv,
    lambda look: look.kind == ".txt": read_text,
}


# ---------------------------------------------------------------------------------------------------------
# 10 What rows hold: tables of names, shapes, marks and templates, and how they are applied
#
# A kind of row that is not understood yet is a line in one of the tables. What the first rows of a file show decides what
# no single row can: whether texts with `Human:` in them are chats, and whether `label` is a verdict or a class.

FIRST_ROWS = 300
# Why rows are dropped that do not hold what the names of their columns promise.
SHAPELESS = {"turns are not a list of messages", "turns without a role", "turn is not text", "unknown role"}

# Parts that any format may have besides its own; every column that is there is used.
OPTIONAL = {
    "system": "system system_prompt system_message system_instruction systeminstruction",
    "history": "history chat_history dialogue_history dialog_history conversation_history message_history previous_turns",
    "context": "context input passage paragraph document article story background contexts passages documents support body",
    "closing": "chosen completion response answer answers output choices expected_output reference_answer ground_truth",  # the answer to a list of messages that ends in a question
}
SYSTEMS = OPTIONAL["system"].split()
SPEAKER = ("role", "from", "speaker", "author", "sender")
SAID = (
    "content",
    "value",
    "text",
    "message",
    "utterance",
    "parts",
    "body",
    "transcript",
    "input_text",
    "blocks",
    "mes",
)
# Columns that are a conversation if they hold sentences; LOGS are one as well where these do not say whose they are.
LOGS = (*FORMATS["dialog"]["messages"].split(), "log", "conv", "convo")
TALKS = (*LOGS[-3:], "data", "lines", "thread", "session", "exchange", "exchanges", "previous_utterance")
ANSWER = ("text", "value", "content", "answer", "answers", "input_text", "message", "response", "choices")
MERITS = ("rank", "selected", "is_accepted", "pm_score", "overall_score", "score", "votes", "upvotes", "likes")
NO_INPUT = {
    "<noinput>",
    "<no input>",
    "no input",
    "noinput",
    "nan",
    "none",
    "n/a",
    "null",
}  # in the column of the input
CONVERSATION_ID = (
    "message_tree_id",
    "conversation_id",
    "conv_id",
    "dialog_id",
    "dialogue_id",
    "thread_id",
    "session_id",
    "chat_id",
    "ticket_id",
    "channel_id",
    "convo_id",
    "call_id",
    "case_id",
    "room_id",
    "transcript_id",
    "thread",
    "conversation",
)
# Beside a text, what shows that it is a message among others: who sent it, and what it replies to.
SENDER, REPLIED = (
    ("from", "sender", "speaker", "user", "from_number"),
    ("in_response_to_tweet_id", "in_reply_to", "reply_to", "reply_to_id", "reply_to_message_id", "thread_ts"),
)
# Who sent it, where its time stands beside it; without, an author may have written whole books.
SENDER_AT_A_TIME = (*SENDER, "author", "name", "username", "user_id", "from_id", "author_id", "from_number")
TIMES = ("created_at", "timestamp", "time", "date", "datetime", "sent_at", "created", "ts")
MESSAGE_TYPES = {"human", "user", "ai", "assistant", "system", "tool", "function"}
# Keys that say who speaks by true and false: the value that stands for the user.
IS_USER = {
    **dict.fromkeys(("isuser", "fromuser", "isfromuser", "ishuman", "iscustomer", "fromcustomer", "iscreatedbyuser", "inbound"), True),
    **dict.fromkeys(("isbot", "frombot", "fromme", "isassistant", "isai", "isagent"), False),
}  # fmt: skip
PARENT_ID, MESSAGE_ID = ("parent_id", "parent_message_id", "parent", "reply_to"), ("message_id", "id", "msg_id")
# A conversation is joined of so many rows; beyond, they are no conversation, or are cut.
MOST_PAIRS, MOST_MESSAGES = 100, 10_000
# Questions with their answers whose rows name a conversation, unless earlier turns stand in the row.
ASKS = [name for name in FORMATS["pair"]["user"].split() if name not in ("context", "input")]
EARLIER_FOLDED = {name.replace("_", "") for name in OPTIONAL["history"].split()}
REPLIES_TO, EARLIER = FORMATS["pair"]["assistant"].split(), {*OPTIONAL["history"].split(), "messages", "conversations"}
# Names of these that are more than another spelling (`Role`, `chatId` and `Conversation ID` are found without).
KEYS = {
    "sendername": "sender",
    "authorname": "author",
    "sendertype": "role",
    "fromname": "from",
    "speakeridx": "speaker",
    "agent": "speaker",
    "interlocutor": "speaker",
    "participant": "speaker",
    "participantid": "speaker",
    "who": "speaker",
    "utterancetext": "utterance",
    "messagetext": "message",
}
TURN_NUMBER = ("turn", "turn_id", "turn_index", "message_index", "turn_number", "index", "position", "order", "seq")
REPLIES, NESTED = ("replies", "children"), ("instances", "paragraphs", "qas", "qa_pairs")
for known in (*SPEAKER, *SAID, *CONVERSATION_ID, *PARENT_ID, *MESSAGE_ID, *TURN_NUMBER):
    KEYS.setdefault(known.replace("_", ""), known)
FOLDED = frozenset(
    (*SPEAKER, *NESTED, "prompt", "responses", *CONVERSATION_ID)
)  # what a row has that is less, or more, than one conversation

# Columns, and keys of a turn, that tell which answers are not to be learned: those for which the mark has this value.
NOT_TO_BE_LEARNED = {
    False: "label kto_tag weight loss_weight loss train training trainable learn is_correct correct accepted is_accepted valid "
    "is_valid good is_good approved review_result train_on_turn compute_loss use_for_training include keep quality verdict vote "
    "feedback user_feedback human_feedback thumbs rating status decision review judgement judgment answer annotation flag passed pass "
    "helpful is_helpful safe is_safe if_chosen is_chosen use use_in_training",
    True: "flagged is_flagged discarded is_discarded discard skip toxic is_toxic harmful is_harmful hallucination is_hallucination rejected is_rejected deleted is_deleted bad is_bad masked mask is_masked ignore ignored ignore_loss exclude excluded",
}
MARKS = {name: value for value, names in NOT_TO_BE_LEARNED.items() for name in names.split()}
CLASSES = {
    "helpful",
    "is_helpful",
    "safe",
    "is_safe",
    "harmful",
    "is_harmful",
    "flag",
    "pass",
    "use",
    "skip",
    "toxic",
    "is_toxic",
    "label",
    "correct",
    "is_correct",
    "valid",
    "is_valid",
    "good",
    "is_good",
}  # what these say of a plain text
AMOUNTS = {"weight", "loss_weight", "loss"}  # their 0 is a verdict whatever else occurs
YES = "true yes ok okay positive desirable helpful good correct accept accepted approve approved chosen up thumbs_up thumbs-up thumbsup 👍 like liked keep 👍 1 1.0"
NO = "false no negative undesirable unhelpful bad wrong incorrect reject rejected declined down thumbs_down thumbs-down thumbsdown dislike disliked discard 👎 0 0.0 -1 -1.0"
VERDICTS = {**dict.fromkeys(YES.split(), True), **dict.fromkeys(NO.split(), False)}
# What cannot be learned without: by the name of a column, of a key in a turn, or of a part of a message.
NEEDS = re.compile(
    r"(?:(?P<images>\w*images?|img|picture|photo)|(?P<audio>(?:input_)?audios?|speech)|(?P<video>videos?)|(?P<files>(?:input_)?files?"
    r"|attachments?))(?:_?(?:url|path|file|bytes|id|name)s?)?|(?P<tools>(?:available_)?tools|functions|(?:tool|function)_(?:call|use|result)s?)"
)

PLACEHOLDER = re.compile(
    r"(?:\A|\n)[ \t]*<(image|audio|video)>[ \t]*(?:\n|\Z)|\A<(image)>|<(img)>\S{1,500}</img>"  # no run may be read twice
)
TOOL_CALL = re.compile(
    r"^[ \t]*<\|?(?:tool_calls?|function_?call|function_response|tool_response|python_tag|function=\w+)\|?>", re.M
)
# How unknown columns may end that hold what is asked and answered, and begin that hold what is not to be learned.
ASKED = re.compile(r"(?:^|[\W_])(?:question|instruction|prompt|query)$", re.I)
ANSWERED = re.compile(r"(?:^|[\W_])(?:answer|response|output|completion|solution|reply)$", re.I)
# Words in a column's name by which it is none of both, though it ends so: `has_answer`, `previous_response`, `input_output`.
NEITHER = re.compile(
    r"(?:^|[\W_])(?:previous|prev|has|have|is|no|num|n|count|max|min|un\w+|input|inputs|expected_input|predicted|student|system|image|user(?=[\W_]+(?:answer|response|output|completion))|"
    r"negative|wrong|bad|rejected|incorrect|hallucinated|fake|corrupted|next|follow_?up|original|old)(?=[\W_])",
    re.I,
)
CONTENT = {"instruction", "question", "prompt", "query", "q", "input", "answer", "response", "output", "completion", "solution", "reply", "a"}  # fmt: skip
ABOUT_TEXTS = re.compile(
    r"date|time|model|author|source|title|url|name|email|lang(?:uage)?|topic|subject|category|domain|tags?$|type|act$|id_?list|[\W_]?[ab\d]$",
    re.I,
)
# Columns beside a text of which the text is the question, and those of which it is the answer.
ANSWERS_TEXT = (*FORMATS["pair"]["assistant"].split(), "target", "summary", "sql", "code", "label")
ASKS_TEXT = ("question", "instruction", "prompt", "query")
NOT_GOOD = re.compile(
    r"(?:non_preferred|dispreferred|(?:response_)?rejected|bad|wrong|incorrect|worse|neg(?:ative)?(?![a-z])|downvoted|losing)",
    re.I,
)
CHOSEN = re.compile(r"(?:response_)?chosen|preferred|better_", re.I)
# Several answers to one question: in columns whose names differ by the last letter or number, the numbers that say how good
# each one is, and the column that says which is the best.
CANDIDATES = re.compile(r"(\w*?[a-z])[\W_]?([abjk]|\d)", re.I)
ANSWERS = re.compile(r"(?:^|[\W_])(?:answer|response|output|completion|solution|conversation|repl(?:y|ie)|candidate|generation|summary|messages|ref)s?$", re.I)  # fmt: skip
MERIT = re.compile(r"(?:^|[\W_])(?:scores?|ratings?|rewards?|winner|votes|ranks?|rankings?|preferences?|likes)(?:_model)?(?:[\W_]?[ab\d])?$", re.I)  # fmt: skip
BEST = re.compile(
    r"(?:winner|preferences?|preferred|(?:human|overall)_preference|(?:better|best|chosen|preferred)(?:_(?:response|answer|output|completion))?(?:_(?:id|idx|index))?)",
    re.I,
)
ENVELOPE = {"messages", "choices", "conversations", "contents", "candidates"}
LISTS = {"answers", "solutions", "completions", "responses", "outputs", "candidates", "generations", "choices", "options", "scores", "ratings", "ranks"}  # fmt: skip
# Questions with several answers to choose from: the columns of these, alone or together, and of which one is right.
OPTIONS, OPTION = (
    ("choices", "options", "endings", "answer_choices"),
    re.compile(r"(option|opt|choice|op|ending|sol|answer|ans|holding|hyp)?[_ ]?([a-f]|[0-5])", re.I),
)
ASKED_TO_CHOOSE = ("question", "question_stem", "stem", "query", "problem", "premise", "sentence", "ctx", "goal", "q", "prompt", "citing_prompt")  # fmt: skip
RIGHT_ONE = ("answerkey", "answer_key", "answer_idx", "answer_index", "correct_option", "correct_answer", "correct_idx", "correct", "cop",
             "key", "gold", "answer", "label", "target")  # fmt: skip
# What a column's name may have besides the word that says who speaks; and how the names of two candidates end.
PADDING, CANDIDATE = (
    re.compile(r"[\W_]*(?:text|message|msg|content|turn|utterance)[\W_]*", re.I),
    re.compile(r"[\W_]?[ab12]$", re.I),
)

# The time before a line of a log.
TIME = r"[\[(]?\d[\d/.,:\- ]{3,30}(?:[ap]\.?m\.?)?[\])]?[ -]{0,3}"
# What chats are rendered with. ROLE stands for any word of ROLES; the first group of a pattern is the role. No prose
# begins with the marks that are `sure`; the others make a chat only where most rows of the file look alike.
TEMPLATES = {
    "<|im_start|>user": (True, r"<\|im_start\|>[ \t]*(ROLE)\b(?: name=\w+)?(?:<\|im_sep\|>)?[ \t]*\n?"),
    "<|im_user|>": (True, r"<\|im_(ROLE)\|>[^<|\n]{0,40}<\|im_middle\|>"),
    "<extra_id_1>User": (True, r"<extra_id_\d>(ROLE)\b[ \t]*\n?"),
    "<s>user": (True, r"<s>(ROLE)\n"),
    "<reserved_106>": (True, r"(<reserved_10[2367]>)"),
    "<|start_header_id|>user": (
        True,
        r"<\|(?:start_header_id|header_start)\|>\s*(ROLE)\s*<\|(?:end_header_id|header_end)\|>",
    ),
    "<start_of_turn>user": (True, r"<(?:start_of_turn|\|turn)>[ \t]*(ROLE)\b[ \t]*\n?"),
    "<|start|>user<|message|>": (
        True,
        r"<\|(?:start|start_of_role)\|>\s*(assistant<\|channel\|>(?:analysis|commentary)|ROLE)(?:<\|channel\|>final)?"
        r"\s*<\|(?:message|end_of_role)\|>",
    ),
    "<|USER_TOKEN|>": (True, r"(?:<\|START_OF_TURN_TOKEN\|>)?<\|(ROLE)_TOKEN\|>(?:<\|START_RESPONSE\|>)?"),
    "[INST]": (True, r"(\[/?INST\]|\[SYSTEM_PROMPT\]|<</?SYS>>|\[(?:/?AVAILABLE_TOOLS|TOOL_CALLS|/?TOOL_RESULTS)\])"),
    "<|user|>": (True, r"(?:<\|bom\|>)?<[|｜](ROLE)[|｜]>:?"),
    "[|user|]": (True, r"\[\|(ROLE)\|\]:?"),
    "{{[INPUT]}}": (True, r"\{\{\[(INPUT|OUTPUT|SYSTEM)\]\}\}\n?"),
    "<user>": (True, r"<(?:(?:turn|message|msg) (?:role|from|speaker)=[\"'])?(ROLE)[\"']?>:?"),
    "### user:": (False, r"#{2,4} ?(ROLE)(?: ?:|[ \t]*\n)"),
    "**user:**": (False, r"^\*\*(ROLE)(?: ?:\*\*|\*\* ?:|\*\*[ \t]*$)"),
    "[user]:": (False, r"^\[(ROLE)\] ?:?"),
    "USER: ASSISTANT:": (False, r"(?<![^\s>])(?-i:(USER|HUMAN|SYSTEM|ASSISTANT|BOT|AI|GPT)) ?:"),
    "Q. A.": (False, r"^[ \t]*(Q|A) ?\d{0,4}[.)](?=\s)"),
    "user:": (
        False,
        rf"(?:^|(?<=>))[ \t]*(?:\[Round \d+\]\s{{0,4}}|{TIME})?(?:\d{{1,4}}[.)] ?|[*-] )?(?:GPT4 Correct )?(ROLE)(?: ?\d{{1,4}}| said)? ?[:：]",
    ),
}
# Marks of chats in which somebody has a name of his own.
NAMED = {
    "#NAME#:": (True, r"^#(NAME)# ?:"),
    "<|im_start|>NAME": (True, r"<\|im_start\|>[ \t]*(NAME)[ \t]*\n"),
    "NAME:": (False, rf"^(?:{TIME})?(NAME) ?[:：](?=\s)"),
    "### NAME:": (False, r"^#{2,4} ?(NAME)(?: ?[:：]|[ \t]*$)"),
    "**NAME:**": (False, r"^\*\*(NAME)(?: ?:\*\*|\*\* ?:)"),
    "[NAME]:": (False, r"^\[(NAME)\] ?:?"),
}
NAMED_LINE = re.compile(NAMED["NAME:"][1].replace("NAME", r"#?[^\W\d_][\w .'-]{0,24}#?"), re.M)
MARK_ROLES = {**ROLES, "[inst]": "user", "[/inst]": "assistant", "[system_prompt]": "system", "<<sys>>": "system"}
MARK_ROLES.update(
    {f"<reserved_10{n}>": role for n, role in (("2", "user"), ("6", "user"), ("3", "assistant"), ("7", "assistant"))}
)
MARK_ROLES.update(
    {
        f"[{word}]": "tool"
        for word in ["available_tools", "/available_tools", "tool_calls", "tool_results", "/tool_results"]
    }
)
MARK_ROLES.update(
    {"<</sys>>": "user", "assistant<|channel|>analysis": "skip", "assistant<|channel|>commentary": "skip"}
)
BEGIN = re.compile(
    r"(?:\s*(?:<s>|<bos>|<BOS_TOKEN>|\[BOS\]|\[gMASK\]|<sop>|<[|｜](?:[^<>|｜]*(?:begin|start)[^<>|｜]*text|begin▁of▁sentence|endoftext)[|｜]>))*\s*",
    re.I,
)
END = re.compile(
    r"(?:\s*(?:</s>|[<\[][|｜][^<>|｜\s]{0,12}(?:end|eo[stmd]|return)[^<>|｜\s]{0,20}[|｜][>\]]|<(?:end_of_turn|end_of_utterance|eos|eot|eod|eoh|eoa|pad|turn\|)>|#{2,4} ?End\b"
    r"|<s>|\[/?(?:EOS|SYSTEM_PROMPT)\]))+\s*\Z",
    re.I,
)
CLOSING_TAG = re.compile(rf"\s*</(?:turn|message|msg|{'|'.join(map(re.escape, ROLES))})>\s*\Z", re.I)
# The ends of prompts and completions of older fine-tuning files; they are cut where most rows have them.
ENDS_OF_MOST = re.compile(
    r"\s*(?:->|=>|###|\bEND\b|\bSTOP\b|<END>|<STOP>|\[DONE\]|\n[# ]{0,5}(?i:human|user|instruction|question|q):)\s*\Z"
)
BOILERPLATE = re.compile(
    r"Below (?:is|are) |BEGINNING OF CONVERSATION", re.I
)  # it says that a task comes; as a system prompt it would be none
KNOWN_PRELUDE = re.compile(
    r"below (?:is|are) |beginning of conversation|a chat between |the following is a conversation|you are ", re.I
)
# What looks like a role mark at the start of a text, of a template that nobody has written down here.
UNKNOWN_MARK = re.compile(r"(<[|｜][^<>|｜\n]{1,30}[|｜]>|^\[\|?[A-Z_]{3,20}\|?\]|^#{2,4} ?\w[\w ]{0,20}:)", re.M)


# Between the turns of texts in sets of dialogs, what ends more first; and what else only such sets have in their texts.
TURN_ENDS = ("__eot__", "__eou__", "<eou>", "[EOU]", "[SEP]", "<sep>", "<SEP>")
FIELD_MARK = re.compile(r"\+\+\+\$\+\+\+|\tlabels:|\tepisode_done:|^\d+ (?:your|partner's) persona:", re.M)
# A line of a log: its time, if it has one, and who speaks.
LABEL = re.compile(
    r"^(?:[\[(]?\d[\d/.,:\-\s]{5,30}(?:[ap]\.?m\.?)?[\])]?[ -]{0,3})?([^\W\d_][\w .'-]{0,24}): ?\S", re.M | re.I
)

END_LENGTH = 400  # characters in which an end mark is looked for: in a long run of spaces the search would take hours


def without_end(text: str) -> str:
    """A text without another format's end marks at its very end; where `<s>` is open, `</s>` is no mark but HTML."""
    if not text.rstrip().endswith((">", "]", " End", "#End")):
        return text
    cut = text[:-END_LENGTH] + END.sub("", text[-END_LENGTH:])
    opened = re.search(r"end_of_(\w+)\|>\s*\Z", text[len(cut) :])  # as <|begin_of_solution|> may have
    if opened and re.search(rf"<\|(?:begin|start)_of_{opened[1]}\|>", cut):
        return text
    return text if "</s>" in text[len(cut) :] and "<s>" in cut.lstrip()[1:] else cut


def without_tag(text: str) -> str:
    return text[:-END_LENGTH] + CLOSING_TAG.sub("", text[-END_LENGTH:])


@dataclass(frozen=True)
class Template:
    """How a kind of chat is rendered; `words` and `preludes` are those that most rows of a file have."""

    name: str
    sure: bool
    mark: re.Pattern
    words: frozenset | None = None
    preludes: frozenset = frozenset()
    roles: Mapping[str, str] = field(default_factory=lambda: MARK_ROLES)

    def turns(self, text: str, answer: str | None = None, strict: bool = True) -> list[dict] | None:
        """The turns of a rendered chat, None when it is none; an answer that stands in a column of its own is the last."""
        begins = None if answer is None else self.mark.match(answer.lstrip())
        if answer is None or (begins and self.roles[begins[1].lower()] == "assistant"):
            return self.take_apart(text if answer is None else f"{text}\n{answer}", strict)
        turns, answer = self.take_apart(text, strict, prompt=True), without_tag(without_end(answer))
        for mark in self.mark.finditer(answer[-END_LENGTH:]):  # of the question that came next
            if self.roles[mark[1].lower()] == "user" and not answer[-END_LENGTH:][mark.end() :].strip():
                answer = answer[:-END_LENGTH] + answer[-END_LENGTH:][: mark.start()].rstrip()
                break
        if turns and turns[-1]["role"] == "assistant":  # the prompt ends where the answer begins
            turns[-1]["content"] += answer
        elif turns:
            turns.append({"role": "assistant", "content": answer})
        return turns

    def take_apart(self, text: str, strict: bool, prompt: bool = False) -> list[dict] | None:
        """Strict: the text begins with a mark, and answers follow questions. A prompt's last answer may be to come."""
        marks = [mark for mark in self.mark.finditer(text) if self.words is None or mark[1].lower() in self.words]
        if not marks:
            return None
        turns, prelude = [], text[BEGIN.match(text).end() : marks[0].start()].strip()
        for mark, end in zip(marks, [*(mark.start() for mark in marks[1:]), len(text)]):
            role, content = (self.roles[mark[1].lower()], without_tag(without_end(text[mark.end() : end])).strip())
            if role != "skip" and (content or (role == "assistant" and (prompt or mark is not marks[-1]))):
                turns.append({"role": role, "content": content})
        roles = [turn["role"] for turn in turns if turn["role"] != "system"]
        if "user" not in roles or ("assistant" not in roles and not (prompt and self.sure)):
            return None
        if strict and prelude and prelude not in self.preludes and not KNOWN_PRELUDE.match(prelude):
            return None
        if strict and not self.sure:  # one word for the answers, which follow questions to the last
            words = {mark[1].lower() for mark in marks if self.roles[mark[1].lower()] == "assistant"}
            merged = [role for role, _ in itertools.groupby(roles)]
            if merged[0] == "assistant":  # a greeting
                merged = merged[1:]
            merged = merged[: len(merged) // 2 * 2]  # the last question may be left open
            if len(words) > 1 or not merged or merged != ["user", "assistant"] * (len(merged) // 2):
                return None
        if prelude and not BOILERPLATE.match(prelude) and turns[0]["role"] != "system":
            turns.insert(0, {"role": "system", "content": prelude})
        return turns


def compile_templates() -> list[Template]:
    role = "(?:" + "|".join(sorted(map(re.escape, ROLES), key=len, reverse=True)) + ")"
    compiled = ((name, sure, pattern.replace("ROLE", role)) for name, (sure, pattern) in TEMPLATES.items())
    return [Template(name, sure, re.compile(pattern, re.I | re.M)) for name, sure, pattern in compiled]


RENDERED = compile_templates()


def by_names(text: str) -> list[dict]:
    """The turns of a text that is known to be a conversation, from the names at the start of its lines."""
    marks = list(NAMED_LINE.finditer(text))
    if len(marks) < 2 or text[: marks[0].start()].strip():
        return []
    ends = [*(mark.start() for mark in marks[1:]), len(text)]
    return [{"role": mark[1], "content": text[mark.end() : end].strip()} for mark, end in zip(marks, ends)]


@functools.lru_cache(None)  # most runs do without it
def surely_a_chat() -> re.Pattern:
    """What a text begins with that is a chat whatever the other texts are."""
    return re.compile("|".join(f"(?:{template.mark.pattern})" for template in RENDERED if template.sure), re.I)


def most_alike(texts: list[tuple[str, str | None]]) -> tuple[Template | None, int]:
    """(the template that most of the texts, or prompts and answers, were rendered with, how many); None where no half of
    them agrees."""
    best, most = None, 0
    for template in RENDERED:
        found = [(text, answer, template.mark.search(text)) for text, answer in texts]
        starts = Counter(text[BEGIN.match(text).end() : mark.start()].strip() for text, _, mark in found if mark)
        preludes = frozenset(start for start, count in starts.items() if count > 1 and 10 * count >= len(texts))
        candidate = replace(template, preludes=preludes)
        chats = [text for text, answer, mark in found if mark and candidate.turns(text, answer)]
        if len(chats) > most:
            words = Counter(
                word for text in chats for word in {mark[1].lower() for mark in template.mark.finditer(text)}
            )
            common = frozenset(word for word, count in words.items() if 10 * count >= len(chats))
            best, most = replace(candidate, words=None if template.sure else common), len(chats)
    return (best if 2 * most >= len(texts) else None), most


def between_two(texts: list[str]) -> Template | None:
    """The template of chats between two who have the same names in most texts, of which one is no known role: who begins
    asks."""
    for name, (sure, shape) in NAMED.items():
        mark = re.compile(shape.replace("NAME", r"[^\W\d_][\w .'-]{0,24}"), re.M | re.I)
        pairs: Counter = Counter()
        for text in texts:
            spoken = [found[1].lower() for found in mark.finditer(text)]
            spoken = [who for who, _ in itertools.groupby(spoken) if MARK_ROLES.get(who) != "system"]
            is_told = sure or MARK_ROLES.get(spoken[0] if spoken else "") == "user"  # Romeo and Juliet may be prose
            if len(set(spoken)) == 2 and is_told and mark.match(text, BEGIN.match(text).end()):
                pairs[(spoken[0], spoken[1])] += 1
        for pair, count in pairs.most_common(1):
            if count > 1 and 2 * count >= len(texts):
                names = "|".join([*map(re.escape, pair), "system"])
                roles = {pair[0]: "user", pair[1]: "assistant", "system": "system"}
                compiled = re.compile(shape.replace("NAME", names), re.M | re.I)
                return Template(" ".join(name.replace("NAME", who) for who in pair), sure, compiled, roles=roles)
    return None


def fold(name: Any) -> str:
    return re.sub(r"[\W_]+", "", str(name)).lower()


def spelled(columns: tuple) -> dict[str, str]:
    """{name: column} with the names as they are, in small letters, and with `_` for what stands between words."""
    small = {name.lower(): name for name in reversed(columns)}
    words = {re.sub(r"[\W_]+", "_", name).strip("_"): column for name, column in small.items()}
    return {**words, **small, **{name: name for name in columns}}


@functools.lru_cache(1000)  # rows of a file have the same few
def spellings(names: tuple) -> dict[str, str]:
    """{key: its name in the tables} where the keys are those of a message in another spelling."""
    found: dict[str, str] = {}
    flag = next((name for name in names if fold(name) in IS_USER), None)
    if flag and "role" not in names:
        found[flag] = "role"
    for name in names:
        known = KEYS.get(fold(name))
        if known and known not in names and known not in found.values():
            found[name] = known
    has = {*names, *found.values()}
    return found if has & {*SAID} and ({*has, *found.values()} & {*SPEAKER}) else {}


def as_message(row: dict) -> dict:
    """A row, with the names of the tables for the keys of a message."""
    if not (found := spellings(tuple(row))):
        kind = row.get("type")  # as LangChain calls a role
        if isinstance(kind, str) and kind.lower() in MESSAGE_TYPES and not given(row, SPEAKER) and first_of(row, SAID):
            return {"role" if name == "type" else name: value for name, value in row.items()}
        return row
    flags = {
        name: "user" if bool(row[name]) == IS_USER[fold(name)] else "assistant"
        for name in found
        if fold(name) in IS_USER and found[name] == "role"
    }
    return {found.get(name, name): flags.get(name, value) for name, value in row.items()}


def given(row: dict, names: Iterable[str]) -> str | None:
    """The first of the names that is a key of the row, with whatever value: a speaker or a conversation may be number 0."""
    return next((name for name in names if row.get(name) is not None and row[name] != ""), None)


def first_of(row: dict, names: Iterable[str]) -> str | None:
    """The first of the names that is a key of the row and holds something."""
    return next((name for name in names if holds(row.get(name))), None)


def holds(value: Any) -> bool:
    return value not in (None, "", False, "[]", "{}", "null") and value != [] and value != {} and value == value


def are_varied(values: list) -> bool:
    """Whether the values of a column are texts that differ from row to row, and no numbers, dates, ids or classes."""
    values = [value[0] if isinstance(value, list) and value else value for value in values]
    texts = [value.strip() for value in values if isinstance(value, str) and value.strip()]
    plain = [text for text in texts if verdict(text) is None and re.search(r"[^\W\d_]", text) and not text.isupper()]
    return (
        bool(plain)
        and 2 * len(plain) >= len(values)
        and 2 * len(set(plain)) > len(plain)
        and not any(map(is_id, plain[:20]))
    )


def is_id(text: str) -> bool:
    return re.fullmatch(r"(?=.*\d)[\w.:/+-]{3,}", text, re.A) is not None


@functools.lru_cache(1000)
def mark_of(name: str) -> str | None:
    """Which of MARKS a column or key is, in whatever spelling: `Is Correct`, `Approved?`, `ifChosen`."""
    name = re.sub(r"(?<=[a-z])(?=[A-Z])", "_", str(name))
    name = re.sub(r"[\W_]+", "_", name).strip("_").lower()
    return name if name in MARKS else None


def is_marked(name: str, value: Any) -> bool:
    """Whether a mark's value says that the answer is not to be learned."""
    if isinstance(value, dict):
        value = next((value[key] for key in ("rating", "score", "label", "value", "type") if key in value), None)
    return verdict(value) is MARKS[mark_of(name) or name]


def from_json(text: str) -> Any:
    """What a JSON string holds, or the text that Python's or NumPy's printing made of a list; None for anything else."""
    if text.lstrip()[:1] not in ("[", "{") or len(text) > 10_000_000:
        return None
    with warnings.catch_warnings():  # Python has something to say about `1a`
        warnings.simplefilter("ignore")
        for read in (json.loads, ast.literal_eval, lambda text: ast.literal_eval(re.sub(r"\}\s+\{", "}, {", text))):
            with contextlib.suppress(ValueError, SyntaxError, TypeError, MemoryError, RecursionError):
                return read(text)
    return None


def best_path(node: dict) -> list[dict]:
    """The messages from a tree's root down, by the best ranked reply that is not marked as bad."""
    path: list[dict] = []
    nodes = [node]
    while nodes and len(path) < 10_000:
        path.append(min(nodes, key=rank))
        replies = path[-1].get(first_of(path[-1], REPLIES) or "")
        nodes = [reply for reply in replies if is_good(reply)] if isinstance(replies, list) else []
    return [message_of(as_message(node)) for node in path]


def are_sentences(value: Any) -> bool:
    """Whether a value is a list of texts that may be said in turn, and not one of tags."""
    value = said_by_nobody(value) or value
    texts = isinstance(value, list) and len(value) > 1 and all(isinstance(text, str) for text in value)
    return texts and sum(text.count(" ") for text in value) >= len(value)


def say_who_speaks(pairs: list) -> bool:
    """Whether the first of each two is a role, or a short name among roles of both sides."""
    names = [
        pair[0] for pair in pairs if isinstance(pair, (list, tuple)) and len(pair) == 2 and isinstance(pair[0], str)
    ]
    roles = {role_of(name) for name in names}
    known = ("unknown" not in roles and {*names} != {"a"}) or (
        roles >= {"user", "assistant"} and max(map(len, names)) < 20
    )
    return len(names) == len(pairs) > 0 and known


def is_role(name: Any) -> bool:
    return str(name).lower() in ROLES


def said_by_nobody(value: Any) -> list[str]:
    """The texts of messages that do not say whose they are, where the list holds no others."""
    texts = []
    for turn in value if isinstance(value, list) else []:
        turn = as_message(turn) if isinstance(turn, dict) else {}
        said = first_of(turn, SAID)
        if not said or given(turn, SPEAKER) or not isinstance(turn[said], str) or any(map(is_role, turn)):
            return []
        texts.append(turn[said])
    return texts


def last_branch(nodes: dict[str, dict]) -> list[dict]:
    """The messages of a chat exported as nodes by id, along the branch that was written last."""
    path: list[dict] = []
    node = next((node for node in nodes.values() if not holds(node["parent"])), None)
    while node is not None and len(path) < 10_000:
        path.append(node.get("message") or {})
        children = node["children"] if isinstance(node["children"], list) else []
        node = nodes.get(str(children[-1])) if children else None
    shown = [message for message in path if isinstance(message, dict) and first_of(message, SAID)]
    to_tools = [{"role": "tool", "content": ""} for message in shown if message.get("recipient", "all") != "all"]
    return to_tools or [{name: message[name] for name in ("author", "content") if name in message} for message in shown]


def message_of(node: dict) -> dict:
    """A node of a tree, or a row that is one message, without its number and place."""
    return {"role": node.get(first_of(node, SPEAKER) or ""), "content": node.get(first_of(node, SAID) or "")}


def rank(node: dict) -> float:
    return node["rank"] if isinstance(node.get("rank"), (int, float)) else 1e9


def is_good(node: Any) -> bool:
    return isinstance(node, dict) and not any(mark_of(name) and is_marked(name, value) for name, value in node.items())


def role_of(name: Any) -> str:
    if not isinstance(name, str):
        return "unknown"
    return (
        ROLES.get(name)
        or ROLES.get(name.strip(" :").lower())
        or ROLES.get(re.split(r"[ _()\[\]-]", name.lower().rstrip(")] "))[-1], "unknown")
    )


def roles_of(turns: list[dict]) -> list[str]:
    """The role of each turn. Two names that nobody knows are who asks and who answers, in the order of their appearance."""
    roles = [role_of(turn["role"]) for turn in turns]
    if roles == ["user", "assistant"]:  # nearly all
        return roles
    if "system" in roles[1:] and "assistant" not in roles and "user" in roles:  # in some sets the system is who answers
        return ["assistant" if role == "system" else role for role in roles]
    if "unknown" not in roles or not all(isinstance(turn["role"], (str, int)) for turn in turns):
        return roles
    names = list(dict.fromkeys(str(turn["role"]) for role, turn in zip(roles, turns) if role not in ("system", "tool")))
    known = [role_of(name) for name in names] if {*map(str.lower, names)} != {"a", "b"} else ["unknown"] * 2
    if len(names) != 2:
        return roles
    found = {names[0]: "user", names[1]: "assistant"}
    if "unknown" in known and {"user", "assistant"} & {*known}:  # who has another name is the other one
        found = {
            name: {"user": "assistant", "assistant": "user"}.get(known[1 - n], known[n]) for n, name in enumerate(names)
        }
        found |= {name: role for name, role in zip(names, known) if role != "unknown"}
    elif known != ["unknown"] * 2:
        return roles
    return [found.get(str(turn["role"]), role) for role, turn in zip(roles, turns)]


def verdict(value: Any) -> bool | None:
    """True or False of a value that says so in one of the usual ways, None of any other."""
    plain = isinstance(value, (int, float)) or (isinstance(value, str) and len(value) < 20)
    return VERDICTS.get(str(value).strip().lower()) if plain else None


def text_of(content: Any, depth: int = 0) -> Any:
    """The content of a message as text: parts are joined; Drop where a part is a picture or the like."""
    if isinstance(content, list):
        parts = [text_of(part, depth + 1) for part in content] if depth < 4 else [None]
        if not all(isinstance(part, str) for part in parts):
            raise Drop("turn is not text")
        return "\n".join(part for part in parts if part)
    if isinstance(content, dict):
        kind = str(content.get("type") or content.get("content_type") or "text")
        if match := NEEDS.fullmatch(kind):
            raise Drop(f"needs {match.lastgroup or match[0]}")
        if kind in ("thinking", "reasoning", "redacted_thinking"):
            return ""
        name = first_of(content, ("text", "value", "content", "parts", "input_text", "full_text"))
        return text_of(content[name], depth + 1) if name and depth < 4 else content
    return cell(content)


@dataclass
class Layout:
    """Which column of a row is what."""

    format: str
    parts: dict[str, str]
    optional: dict[str, list[str]]
    marks: list[str]
    needs: list[tuple[str, str]]  # (column, what it is)
    unused: list[str]
    chosen: bool  # whether the answer is the chosen one of several


class Finder:
    """What the first rows of a file showed, and by it how its rows are read. What is noticed goes to the tally."""

    def __init__(self, args: argparse.Namespace, tally: Tally, head: list) -> None:
        self.args, self.tally, self.formats, self.layouts = args, tally, dict(args.formats), {}
        self.template: Template | None = None
        self.turn_end: str | None = None
        self.ends = False
        rows = [row for row in head if isinstance(row, dict)]
        names = [name for name in dict.fromkeys(name for row in rows for name in row) if mark_of(name)]
        values = {
            name: [verdict(row[name]) for row in rows if holds(row.get(name)) or row.get(name) is False]
            for name in names
        }
        # `label` is a verdict where it is true or false throughout; elsewhere it is a class
        self.marks = {name for name, found in values.items() if found and None not in found} | AMOUNTS
        self.marks |= {name for name in names if mark_of(name) in AMOUNTS}
        if not any(row.get("answer") in ("accept", "reject") for row in rows):
            self.marks = {
                name for name in self.marks if mark_of(name) != "answer"
            }  # yes and no may be what is asked for
        if args.marked == "keep":
            self.marks = set()
        at_a_time = rows and any(name.lower() in TIMES and holds(value) for name, value in rows[0].items())
        columns = SENDER_AT_A_TIME if at_a_time else SENDER
        senders = [{str(row[name]) for row in rows} for name in columns if all(holds(row.get(name)) for row in rows)]
        self.is_log = any(2 <= len(people) <= len(rows) // 2 for people in senders)  # few, again and again
        self.is_log |= any(given(row, REPLIED) for row in rows)
        self.reshapers: list[Reshape] = []  # what becomes of rows before they are read
        is_open = not (args.format or args.columns)
        for find in (find_lists, find_candidates, find_choices, find_turns) if is_open else ():
            rows = self.reshape_by(find(rows, tally), rows)
        self.find_columns(rows)
        for find in (find_dotted, self.find_nested) if is_open else ():
            if not any(map(self.knows, rows)):
                rows = self.reshape_by(find(rows, tally), rows)
        if args.format != "text":
            self.find_template(rows[:100])
        if is_open:
            self.find_another_format(rows[:20])

    def reshaped(self, row: Any) -> Any:
        for reshape in self.reshapers:
            row = reshape(row)
        return row

    def reshape_by(self, reshape: Reshape | None, rows: list[dict]) -> list[dict]:
        """The rows, reshaped from here on if one of the functions of section 11 has found how."""
        if not reshape:
            return rows
        self.reshapers.append(reshape)
        result = []
        for row in rows:
            with contextlib.suppress(Drop):
                result.append(reshape(row))
        return result

    def find_another_format(self, rows: list[dict]) -> None:
        """Where a format fits by its names and no row holds what these promise, such as a number of `turns`: the next one
        under which conversations can be read."""
        before = self.tally, self.formats, self.template
        for n in range(5):
            if not rows or not all(self.reason(row) in SHAPELESS for row in rows):
                break
            self.tally, self.formats, self.layouts = Tally(), dict(self.formats), {}
            try:
                del self.formats[self.layout_of(rows[0]).format]
                self.layouts = {}
                self.find_columns(rows)
                self.find_template(rows)
                layout = self.layout_of(rows[0])
            except Drop:
                layout = None
            if layout is None or "text" in layout.parts or n == 4:
                self.tally, self.formats, self.template = before
                self.layouts = {}
                return
        if self.tally is not before[0]:
            before[0].found.update(self.tally.found)
            self.tally = before[0]

    def reason(self, row: Any) -> str:
        """Why a row is dropped, "" if it is not; counted by nobody."""
        tally, self.tally = self.tally, Tally()
        try:
            convert_reshaped(row, self)
        except Drop as reason:
            return str(reason)
        finally:
            self.tally = tally
        return ""

    def knows(self, row: Any) -> bool:
        """Whether a format fits."""
        with contextlib.suppress(Drop):
            return bool(self.layout_of(row))
        return False

    def reads(self, row: Any) -> bool:
        """Whether a row is a usable one."""
        return not self.reason(row)

    def find_nested(self, rows: list[dict], tally: Tally) -> Reshape | None:
        """Where no format fits, but one would if what stands in objects inside of a row stood in the row."""

        def reshape(row: Any) -> Any:
            if not isinstance(row, dict):
                return row
            flat = {name: value for name, value in row.items() if not isinstance(value, dict)}
            for name, value in row.items():
                for inner, item in value.items() if isinstance(value, dict) else ():
                    flat[f"{name} {inner}" if inner in flat else inner] = item  # both keep their place
            return flat

        flat = [reshape(row) for row in rows if any(isinstance(value, dict) for value in row.values())]
        formats, self.layouts = dict(self.formats), {}
        self.find_columns(flat)
        if any(self.reads(row) and "text" not in self.layout_of(row).parts for row in flat[:20]):
            self.tally.found["file whose rows hold objects, read as if what these hold stood in the rows"] += 1
            return reshape
        self.formats, self.layouts = formats, {}
        return None

    def find_columns(self, rows: list[dict]) -> None:
        """Where no format fits: a column that holds messages, or rendered chats, is one whatever it is called. Where only
        that of plain texts fits, the text may be a question beside its answer, or the answer."""
        chosen = self.args.format or self.args.columns
        for row in rows:  # the first may be about the others
            with contextlib.suppress(Drop):
                parts = self.layout_of(row).parts
                if "text" in parts and not chosen:
                    self.find_other_half(parts["text"], rows)
                return
        self.layouts = {}
        if chosen:
            return
        names = [name for name in dict.fromkeys(name for row in rows[:20] for name in row) if not NOT_GOOD.match(name)]
        stems = Counter(CANDIDATE.sub("", name) for name in names)
        asked, answered = self.asked_and_answered(rows)
        for name in names:
            if len(asked) == len(answered) == 1 and fold(name) in EARLIER_FOLDED:
                continue
            values = [row[name] for row in rows if holds(row.get(name))]
            found = sum(self.is_chat(value) or (name in TALKS and are_sentences(value)) for value in values)
            texts = [(value, None) for value in values if isinstance(value, str)][:100]
            stem = CANDIDATE.sub("", name)
            if found and stem != name and stems[stem] > 1:  # two answers, and which is the better one stands elsewhere
                return
            if found and 2 * found >= len(rows):
                self.formats["found"] = {"messages": name}
            elif texts and most_alike(texts)[0]:
                self.formats["found"] = {"text": name}
            else:
                continue
            self.tally.found[f"file whose column {name[:40]} holds the conversations"] += 1
            return
        self.find_pair(rows, asked, answered)

    def find_pair(self, rows: list[dict], asked: list[str], answered: list[str]) -> None:
        """A question and its answer in the columns that their names tell, or in one of these and the only other text."""
        others = [name for name in self.other_texts(rows, [*asked, *answered]) if not ABOUT_TEXTS.search(name)]
        others = [name for name in others if answered or not re.search("description|comment|note", name, re.I)]
        if len(asked) + len(answered) == len(others) == 1:
            asked, answered = asked or others, answered or others  # what is left can be nothing else
        if not len(asked) == len(answered) == 1:
            return
        self.formats["found"] = {"user": asked[0], "assistant": answered[0]}
        if any(map(self.reads, rows[:20])):
            self.tally.found[f"file whose columns {asked[0][:40]} and {answered[0][:40]} are question and answer"] += 1
        else:
            del self.formats["found"]

    def likely(self, row: dict) -> tuple[list[str], list[str]]:
        """For a hint: columns whose names say that they are asked or answered, or else the first ones that hold texts."""
        asked, answered = self.asked_and_answered([row])
        others = self.other_texts([row], [*asked, *answered])
        best = sorted(others, key=lambda name: (ABOUT_TEXTS.search(name) is not None, str(row[name]).count(" ") < 3))
        likely = best[: 2 - bool(asked) - bool(answered)]
        others = [name for name in others if name in likely]
        return asked or others[:1], answered or others[not asked :][:1]

    def other_texts(self, rows: list[dict], known: list[str]) -> list[str]:
        """Columns besides the known ones that hold texts, of which nothing says that they are something else."""
        names = [name for name in dict.fromkeys(name for row in rows[:20] for name in row) if name not in known]
        return [
            name
            for name in names
            if re.fullmatch(r"(?!.*(?:id|index)$)[\w. -]{1,40}", name)
            and not NEITHER.search(name)
            and not NOT_GOOD.match(name)
            and role_of(name) != "system"
            and are_varied([row.get(name) for row in rows])
        ]

    def asked_and_answered(self, rows: list[dict]) -> tuple[list[str], list[str]]:
        """The columns that by their names hold what is asked, and what is answered: a word for it, or a name that ends in
        one, where the texts differ or are numbers. `A` is no answer beside `B`."""
        names = [name for name in dict.fromkeys(name for row in rows[:20] for name in row) if not NOT_GOOD.match(name)]

        def is_half(name: str, ends: re.Pattern, role: str) -> bool:
            values = [cell(row.get(name)) for row in rows]
            if ROLES.get(PADDING.sub("", name).lower()) == role:
                texts = [value for value in values if isinstance(value, str) and not is_id(value)] or [""]
                are_said = name.lower() in CONTENT or not "".join(texts).isascii()
                are_said |= sum(len(text.split()) > 3 for text in texts) * 3 >= len(texts)  # not who said it
                return are_said and (name.lower() != "a" or not {"b", "B"} & {*names})
            numbers = all(isinstance(value, str) and re.fullmatch(r"[-+$]?\d[\d.,/ ]*%?", value) for value in values)
            return bool(ends.search(name)) and not NEITHER.search(name) and (numbers or are_varied(values))

        halves = ((ASKED, "user"), (ANSWERED, "assistant"))
        return tuple([name for name in names if is_half(name, *half)] for half in halves)

    def find_other_half(self, text: str, rows: list[dict]) -> None:
        for part, names in (("assistant", ANSWERS_TEXT), ("user", ASKS_TEXT)):
            found = [name for name in names if are_varied([row.get(name) for row in rows])]
            if found and are_varied([row.get(text) for row in rows]):
                columns = {"user": text, "assistant": text, part: found[0]}
                self.formats, self.layouts = {"found": columns, **self.formats}, {}
                asked, answered = columns["user"], columns["assistant"]
                self.tally.found[f"file whose columns {asked[:40]} and {answered[:40]} are question and answer"] += 1
                return

    def find_template(self, rows: list[dict]) -> None:
        texts, answers, plain = [], [], False
        for row in rows:
            with contextlib.suppress(Drop):
                parts = self.layout_of(row).parts
                values = [cell(row[parts[part]]) for part in ("text", "messages", "user", "assistant") if part in parts]
                if "assistant" in parts and not isinstance(
                    values[-1], str
                ):  # several answers, or one inside of something
                    values[-1] = "..."
                if all(isinstance(value, str) and len(value) < 50_000 for value in values):
                    texts.append((values[0], values[1] if len(values) > 1 else None))
                    answers += values[1:]
                    plain = "text" in parts
        self.template, alike = most_alike(texts)
        ends = [text for text in answers if ENDS_OF_MOST.search(text[-END_LENGTH:])]
        self.ends = len(ends) > 1 and 5 * len(ends) >= 4 * len(answers)
        if plain and not self.template:
            most = [
                mark
                for mark in TURN_ENDS
                if sum(mark in text.strip()[: -len(mark)] for text, _ in texts) * 2 >= len(texts)
            ]
            self.turn_end = most[0] if most else None
            self.template = None if most else between_two([text for text, _ in texts])
        if plain and not self.template:
            fields = Counter(mark[0].strip() for text, _ in texts if (mark := FIELD_MARK.search(text)))
            marks = [tuple(dict.fromkeys(UNKNOWN_MARK.findall(text))) for text, _ in texts]
            common, count = next(iter(Counter(found for found in marks if len(found) > 1).most_common(1)), ((), 0))
            which = "some texts" if alike else f"texts with {' and '.join(common[:3])}"
            if not alike and 2 * sum(fields.values()) >= len(texts) > 0:
                which, alike = f"texts with {some(fields, 3)}", len(texts)
            if not self.turn_end and (alike or (count > 1 and 2 * count >= len(texts))):
                name = f"file in which {which} look like rendered chats, and are learned as they stand: write them as messages"
                self.tally.found[name] += 1
                return
            lines = sum(len(text.strip().split("\n")) for text, _ in texts)
            names = Counter(name for text, _ in texts for name in LABEL.findall(text)).most_common(4)
            if len(names) > 1 and names[1][1] > 1 and 5 * sum(count for _, count in names) >= 4 * lines:
                who = some((name for name, _ in names), 3)
                self.tally.found[
                    f"file whose lines begin with names ({who}) as a chat's do, and are learned as they stand: write them as messages"
                ] += 1

    def is_chat(self, value: Any) -> bool:
        """Whether a value is a list of messages with known roles, a question and an answer among them."""
        value = from_json(value) if isinstance(value, str) else value
        if said_by_nobody(value):
            return False
        try:
            is_told = isinstance(value, dict) or (value and (isinstance(value[0], dict) or say_who_speaks(value)))
            turns = self.turns_from(value) if is_told else []
        except (Drop, TypeError, KeyError):
            return False
        return {"user", "assistant"} <= {role_of(turn["role"]) for turn in turns}

    def layout_of(self, row: Any) -> Layout:
        """Drop when no format fits. Looked up by the names of the columns, and of those that hold something."""
        if not isinstance(row, dict):
            raise Drop("unknown columns")
        held = tuple([name for name, value in row.items() if value is not None and value != "" and value != []])
        key = (tuple(row), held)
        if key not in self.layouts:
            if len(self.layouts) > 1000:
                self.layouts.clear()
            self.layouts[key] = self.make_layout(row, held)
        return self.layouts[key]

    def make_layout(self, row: dict, held: tuple[str, ...]) -> Layout:
        names, names_held = spelled(tuple(row)), spelled(held)

        def column(names_: dict, spec: str) -> str | None:
            return next((names_[name] for name in [spec, *spec.split()] if name in names_), None)

        for least in (
            1,
            0,
        ):  # a table of mixed kinds of rows is filled up with None: one of the columns is something else
            for entry in self.formats.items():
                columns = entry[1]
                needed = {part: spec for part, spec in columns.items() if part not in OPTIONAL}
                parts = {part: column(names_held, spec) or column(names, spec) for part, spec in needed.items()}
                if all(parts.values()) and sum(name in held for name in parts.values()) >= least:
                    break
            else:
                continue
            break
        else:
            raise Drop("unknown columns")
        speaker = first_of(row, SPEAKER)
        is_message = self.is_log or (speaker and role_of(row[speaker]) in SPEAKERS)
        if "text" in parts and is_message and not (self.args.columns or self.args.format):
            raise Drop("one message a row")
        used, optional = set(parts.values()), {}
        for part, spec in OPTIONAL.items():
            own = [name for name in columns.get(part, "").split() if name in row] or (
                [columns[part]] if columns.get(part) in row else []
            )
            if not own and (columns is not self.args.columns or part == "system") and "text" not in parts:
                own = [names[name] for name in spec.split() if name in names and names[name] not in used]
            if part == ("context" if "messages" in parts else "closing") or (part == "closing" and "question" in names):
                own = []
            own = own[:1] if part in ("system", "closing") else own
            optional[part] = own
            used.update(own)
        rest = [name for name in row if name not in used]
        marks = [name for name in rest if name in self.marks and not ("text" in parts and mark_of(name) in CLASSES)]
        rest = [name for name in rest if name not in marks]
        needs = (
            []
            if "text" in parts
            else [(name, match.lastgroup) for name in rest if (match := NEEDS.fullmatch(name.lower()))]
        )
        unused = [name for name in rest if name not in dict(needs)]
        chosen = any(CHOSEN.match(name) for name in used)
        unused = [name for name in unused if not (chosen and NOT_GOOD.match(name))]
        return Layout(entry[0], parts, optional, marks, needs, unused, chosen)

    def check(self, row: dict, layout: Layout) -> None:
        """Drops a row that its data set marks as bad, or that shows what cannot be shown; counts what is not used."""
        for name in layout.marks:
            if is_marked(name, row[name]):
                raise Drop(f"marked as not to be learned by {name}")
        for name, what in layout.needs:
            if holds(row[name]):
                raise Drop(f"needs {what}")
        if layout.chosen:
            self.tally.found["chosen answers of preference pairs, not the rejected ones"] += 1
        for name in layout.unused:
            if row[name] or row[name] == 0:
                self.tally.unused[name] += 1

    def turns_of(self, row: dict, layout: Layout) -> list[dict] | None:
        """The turns of a row; None for a plain text."""
        parts, optional = layout.parts, layout.optional
        if "text" in parts:
            text = cell(row[parts["text"]])
            if isinstance(text, str):
                return self.rendered(text, all_alike=True)
            return self.turns_from(text) if text else None
        turns = [turn for name in optional["history"] if holds(row[name]) for turn in self.earlier_turns(row[name])]
        if "messages" not in parts:
            return turns + self.question_and_answer(row, layout)
        turns += self.turns_from(row[parts["messages"]])
        for name in optional["closing"]:
            if turns and role_of(turns[-1]["role"]) == "user":
                turns += self.answer(row[name])
            elif holds(row[name]) and not layout.chosen:
                self.tally.unused[name] += 1
        return turns

    def earlier_turns(self, value: Any) -> list[dict]:
        """The turns before a question, of whatever represents them; a rendered chat may end in either role."""
        if isinstance(value, list) and all(isinstance(text, str) for text in value):
            return self.spoken_in_turn(value, last="assistant")
        if isinstance(value, str) and from_json(value) is None:
            for template in RENDERED:
                if turns := template.take_apart(value, strict=False, prompt=True):
                    self.tally.found[f"rendered chats ({template.name}) taken apart"] += 1
                    return turns
        return self.turns_from(value)

    def question_and_answer(self, row: dict, layout: Layout) -> list[dict]:
        """The turns of a row that has a column for what is asked and one for what is answered."""
        user, answer = cell(row[layout.parts["user"]]), cell(row[layout.parts["assistant"]])
        context = [
            text for name in layout.optional["context"] if row[name] != "" and (text := self.context_of(name, row))
        ]
        if isinstance(user, list) and not (user and isinstance(user[0], dict) and first_of(user[0], SPEAKER)):
            columns = answer.values() if isinstance(answer, dict) else [answer]  # a list of texts, where they begin ...
            answers = next((column for column in columns if isinstance(column, list) and len(column) == len(user)), [])
            pairs = [
                ({"role": "user", "content": text_of(text)}, *self.answer(said)) for text, said in zip(user, answers)
            ]
            turns = [turn for pair in pairs for turn in pair]
            if turns and context:
                turns[0]["content"] = "\n\n".join([check_text(turns[0]["content"]), *context])
            if turns:
                return turns
        if isinstance(answer, list) and self.template:
            said = self.answer(answer)
            answer = said[0]["content"] if len(said) == 1 and isinstance(said[0]["content"], str) else answer
        if isinstance(user, str) and isinstance(answer, str):
            if not context and (self.template or user.lstrip()[:1] in ("<", "[")):
                turns = self.rendered(user, answer)
                if turns:
                    return turns
            if self.ends:
                self.tally.mended["end marks of prompts and answers cut"] += 1
                user, answer = (
                    text[:-END_LENGTH] + ENDS_OF_MOST.sub("", text[-END_LENGTH:]) for text in (user, answer)
                )
        user = (
            text_of(user) if isinstance(user, dict) and not first_of(user, ("messages", *SPEAKER, *REPLIES)) else user
        )
        if isinstance(user, list) and user and all(isinstance(text, str) for text in user):
            if re.search(
                "(?:question|quer|instruction)(?:s|y|ies)?$", layout.parts["user"].lower()
            ):  # other wordings of it
                self.tally.found["first of several questions"] += len(user) > 1
                asked = [{"role": "user", "content": user[0]}]
            else:
                asked = self.spoken_in_turn(user, last="user")
        elif user is None or (isinstance(user, str) and not (user[:2] == "[{" and from_json(user))):
            question = "\n\n".join([user, *context] if not is_blank(user) else context) if context else user
            asked = [{"role": "user", "content": question}]
        else:
            asked = self.turns_from(user)
        if isinstance(answer, str) and answer[:2] != "[{":
            return [*asked, {"role": "assistant", "content": answer}]
        answers = self.answer(answer)
        repeats_prompt = role_of(answers[0]["role"]) in ("user", "system") if answers else False
        return answers if repeats_prompt else [*asked, *answers]

    def context_of(self, name: str, row: dict) -> str | None:
        """What stands beside a question, as text; one that is none, such as numbers, is counted as not used."""
        value = row[name]
        try:
            text = None if isinstance(value, list) and value and isinstance(value[0], (int, float)) else text_of(value)
            text = text if is_blank(text) else check_text(text)
            text = None if text and re.fullmatch(r"(?:https?://\S+\s*)+", text) else text
        except Drop:
            text = None
        if text is None and holds(value):
            self.tally.unused[name] += 1
        return None if text is None or is_blank(text) or text.strip().lower() in NO_INPUT else text

    def answer(self, value: Any) -> list[dict]:
        """The turns of an answer: a text, the first of several, messages, or a dict that holds one of these."""
        if isinstance(value, str) and value[:2] == "[{":
            value = from_json(value) or value
        for _ in range(3):
            first = value[0] if isinstance(value, list) and value else value
            speaker = first_of(first, SPEAKER) if isinstance(first, dict) else None
            if speaker and (
                speaker != "author" or isinstance(first[speaker], dict) or role_of(first[speaker]) in SPEAKERS
            ):
                return self.turns_from(value)
            if isinstance(value, list):
                merit = first_of(first, MERITS) if isinstance(first, dict) else None
                if merit and all(
                    isinstance(item, dict) and isinstance(item.get(merit), (int, float)) for item in value
                ):
                    best = min if merit == "rank" else max
                    first = best(value, key=operator.itemgetter(merit))
                    self.tally.found[f"best of several answers by {merit}"] += len(value) > 1
                else:
                    self.tally.found["first of several answers"] += len(value) > 1
                value = first if value else None
            elif isinstance(value, dict):
                name = next((name for name in ANSWER if name in value), None)
                marks, texts = value.get("labels"), value.get(name or "")
                if (
                    isinstance(marks, list) and isinstance(texts, list) and 1 in marks[: len(texts)]
                ):  # which ones are right
                    value = {name: texts[marks.index(1)]}
                value = value[name] if name else value
        return [{"role": "assistant", "content": value}]

    def rendered(self, text: str, answer: str | None = None, all_alike: bool = False) -> list[dict] | None:
        """The turns of a rendered chat, or of a prompt that is one and its answer; None for any other text."""
        if self.args.format == "text":
            return None
        template, turns = self.template, None
        if template:
            turns = template.turns(text, answer, strict=False)
            if not turns and all_alike and template.mark.match(text):
                raise Drop("rendered chat without a question and its answer")
        if not turns and surely_a_chat().match(text, BEGIN.match(text).end()):
            found = ((template, template.turns(text, answer)) for template in RENDERED if template.sure)
            template, turns = next(((template, turns) for template, turns in found if turns), (None, None))
        if not turns and answer is None and text[:2] in ("[{", '{"') and self.is_chat(text):
            return self.turns_from(from_json(text))
        if not turns and answer is None and all_alike and self.turn_end:
            said = (part.replace("__eou__", " ").strip() for part in text.split(self.turn_end))
            return self.spoken_in_turn([part for part in said if part])
        if turns:
            self.tally.found[f"rendered chats ({template.name}) taken apart"] += 1
        return turns

    def turns_from(self, value: Any, depth: int = 0) -> list[dict]:
        """The turns of whatever represents a conversation, each with `role` and `content`, as they stand."""
        if isinstance(value, str) and depth < 4:
            turns = from_json(value)
            turns = self.rendered(value) or by_names(value) if turns is None else self.turns_from(turns, depth + 1)
            if turns:
                return turns
        if isinstance(value, dict) and depth < 4:
            if first_of(value, REPLIES):
                return self.turns_from(best_path(value), depth + 1)
            if value and all(
                isinstance(node, dict) and {"parent", "children"} <= node.keys() for node in value.values()
            ):
                return self.turns_from(last_branch(value), depth + 1)
            if value and all(str(key).isdecimal() for key in value):
                return self.turns_from(as_lists({str(key): turn for key, turn in value.items()}), depth + 1)
            if len(value) > 1 and all(map(is_turn, value.values())):  # by names such as round_1
                return self.turns_from([*value.values()], depth + 1)
            columns = [column for column in value.values() if isinstance(column, list)]
            if first_of(value, SPEAKER) and len(columns) == len(value) and len(set(map(len, columns))) == 1:
                return self.turns_from([dict(zip(value, values)) for values in zip(*columns)], depth + 1)
            inner = first_of(value, ("messages", "conversations", *FORMATS["dialog"]["messages"].split()))
            return self.turns_from(value[inner] if inner else [value], depth + 1)
        if not isinstance(value, list):
            raise Drop("turns are not a list of messages")
        if value and all(isinstance(turn, str) for turn in value):
            return self.spoken_in_turn(value)
        if len(value) == 1 and isinstance(value[0], dict) and first_of(value[0], REPLIES) and depth < 4:
            return self.turns_from(best_path(value[0]), depth + 1)
        if value and all(isinstance(turn, list) and turn and all(map(is_turn, turn)) for turn in value):
            if len(value) > 1:
                raise Drop("several conversations in one row: a row each")
            return self.turns_from(value[0], depth + 1)
        if value and isinstance(value[0], list) and value[0] and isinstance(value[0][0], tuple):  # maps of Arrow
            value = [dict(turn) for turn in value]
        if value and all(isinstance(turn, (list, tuple)) and len(turn) == 2 for turn in value):
            if say_who_speaks(value):
                return [{"role": role, "content": content} for role, content in value]
            return self.spoken_in_turn([content for pair in value for content in pair])
        if texts := said_by_nobody(value[:2]) and said_by_nobody(value):
            return self.spoken_in_turn(texts)
        if any(name in TIMES for name in value[0]) if value and isinstance(value[0], dict) else False:
            value = in_time(value)[0] if all(isinstance(turn, dict) for turn in value) else value
        turns: list[dict] = []
        for turn in value:
            if not isinstance(turn, dict):
                raise Drop("turns are not a list of messages")
            turns += self.turn_from(turn)
        return turns

    def turn_from(self, turn: dict) -> list[dict]:
        """A message as a turn; a pair of question and answer, by whatever names, as two."""
        role = turn.get("role") or turn.get("from")
        content = turn.get("content")
        if content is None:
            content = turn.get("value")
        if len(turn) == 2 and role is not None and isinstance(content, str):  # nearly all
            return [{"role": role, "content": content}]
        inner = next(iter(turn.values())) if len(turn) == 1 else None
        turn = as_message(inner if isinstance(inner, dict) and given(inner, SPEAKER) else turn)
        speaker = given(turn, SPEAKER)
        if speaker is None:
            pair = [(ROLES[name.lower()], turn[name]) for name in turn if name.lower() in ROLES]
            if not pair:
                raise Drop("turns without a role")
            pair.sort(key=lambda side: ("system", "user", "assistant", "tool").index(side[0]))
            return [{"role": role, "content": text_of(text)} for role, text in pair if cell(text) is not None]
        said = next((name for name in SAID if cell(turn.get(name)) is not None), None)
        role = turn[speaker]
        role = role.get("role") or role.get("name") if isinstance(role, dict) else role
        result = {"role": role, "content": text_of(turn[said]) if said else None}
        for name, value in turn.items():
            if name in (speaker, said):
                continue
            if (
                mark_of(name)
                and self.args.marked == "drop"
                and is_marked(name, value)
                and (name != "label" or isinstance(value, bool))
            ):
                result["weight"] = 0
            elif (match := NEEDS.fullmatch(name.lower())) and holds(value):
                raise Drop(f"needs {match.lastgroup}")
            elif holds(value) and not mark_of(name):
                self.tally.unused[f"{name} of a turn"] += 1
        return [result]

    def spoken_in_turn(self, texts: list, last: str | None = None) -> list[dict]:
        """Texts without roles: those of their labels (`Human: ...`) if all have one, else user and assistant in turn, such
        that the last one is what the caller knows it to be."""
        label = RENDERED[-1].mark
        marks = [label.match(text) if isinstance(text, str) else None for text in texts]
        if all(marks):
            return [{"role": mark[1], "content": text[mark.end() :].strip()} for mark, text in zip(marks, texts)]
        self.tally.found["lists of texts taken in turn as user and assistant"] += 1
        roles = ("user", "assistant")
        if last and (last == "user") != (len(texts) % 2 == 1):
            roles = ("assistant", "user")
        return [{"role": role, "content": text} for role, text in zip(itertools.cycle(roles), texts)]


def join_messages(rows: Iterable[tuple[str, Any]]) -> Iterator[tuple[str, Any]]:
    """Joins the neighboring rows of a table with a message a row to conversations, and takes nested rows apart.

    Of a tree, that is the path of best ranked replies. A conversation whose rows do not stand together is a Drop.
    """
    seen, group, last = Seen(), [], None
    for place, row in itertools.chain(rows, [("", None)]):
        row = as_message(row) if isinstance(row, dict) else row
        if not group and isinstance(row, dict) and FOLDED.isdisjoint(row):  # nearly all
            yield place, row
            continue
        number = conversation_number(row, last)
        if group and (number is None or number != last):
            yield from joined(group)
            group = []
        if number is None:
            if place:
                yield from ((place, nested) for nested in unnested(row))
        elif number != last and digest(number) in seen and pair_of(row):  # as good alone
            yield place, row
            number = None
        elif number != last and digest(number) in seen:
            yield place, Drop("its conversation began further up: sort the rows by conversation")
            number = None
        else:
            group.append((place, row))
            seen.add(digest(number))
            if len(group) > MOST_PAIRS and pair_of(row):  # the id is no conversation's
                yield from group
                group, number = [], None
            elif len(group) >= MOST_MESSAGES:
                yield from joined(group)
                group = []
        last = number


def conversation_number(row: Any, last: str | None) -> str | None:
    """Which conversation a message belongs to; None of a row that is no message."""
    if not isinstance(row, dict) or first_of(row, ("messages", "instruction")):
        return None
    if first_of(row, ("prompt",)) and not given(row, CONVERSATION_ID):
        return None
    speaker, said = given(row, SPEAKER), first_of(row, SAID)
    if not (said and speaker) and not pair_of(row):
        return None
    if (name := given(row, CONVERSATION_ID)) and isinstance(row[name], (str, int)):
        return f"{name} {row[name]!a}"  # what is no text in UTF-8 may be a name too
    parent = next((name for name in PARENT_ID if name in row), None)
    own = first_of(row, MESSAGE_ID)
    if not parent or not own or not speaker or role_of(row[speaker]) not in SPEAKERS:
        return None
    return f"{own} {row[own]!a}" if not holds(row[parent]) else last  # a tree begins with its root


def pair_of(row: dict) -> tuple[str, str] | None:
    """The columns of a row that hold a question and its answer, where it has no column with earlier turns."""
    names = {name.lower(): name for name, value in row.items() if isinstance(value, str)}
    if given(row, SPEAKER) or any(name.lower() in EARLIER for name in row):
        return None
    pair = [next((names[name] for name in some if name in names), None) for some in (ASKS, REPLIES_TO)]
    return (pair[0], pair[1]) if pair[0] and pair[1] else None


def joined(group: list[tuple[str, dict]]) -> Iterator[tuple[str, Any]]:
    """One conversation of the messages of a tree, or of a list in the order of their numbers; the same of questions with
    their answers, unless these are several answers to one question."""
    (place, first), nodes = group[0], [node for _, node in group]
    if pair := pair_of(first):
        asked = [str(node.get(pair[0])) for node in nodes]
        repeats = any(len(one) > 20 and one in two for one, two in zip(asked, asked[1:]))  # a prompt with all before it
        if len(set(asked)) < len(nodes) or len(nodes) < 2 or repeats:
            yield from group
            return
        turns, (nodes, number) = [], in_time(nodes)
        for node in nodes:
            marks = {name: value for name, value in node.items() if mark_of(name)}
            turns += [
                {"role": "user", "content": node.get(pair[0])},
                {"role": "assistant", "content": node.get(pair[1]), **marks},
            ]
        hidden = {*pair, number, *filter(mark_of, first), *CONVERSATION_ID}
        yield place, {**{name: value for name, value in first.items() if name not in hidden}, "messages": turns}
        return
    yield place, messages_joined(nodes)


def in_time(nodes: list[dict]) -> tuple[list[dict], str | None]:
    """(messages in the order of their numbers, or turned round where the newest stands first; the name of the number)."""
    number = next((name for name in TURN_NUMBER if all(str(node.get(name)).isdigit() for node in nodes)), None)
    turns = sorted(nodes, key=lambda node: int(node[number])) if number else nodes
    times = next(
        (list(map(str, values)) for name in TIMES if None not in (values := [node.get(name) for node in nodes])), []
    )
    newest_first = not number and len(set(times)) > 1 and times == sorted(times, reverse=True)
    return (nodes[::-1] if newest_first else turns), number


def messages_joined(nodes: list[dict]) -> Any:
    parent = next((name for name in PARENT_ID if name in nodes[0]), None)
    if parent is None:
        turns, number = in_time(nodes)
        hidden = {number, *CONVERSATION_ID, *MESSAGE_ID}
        return {"messages": [{key: value for key, value in turn.items() if key not in hidden} for turn in turns]}
    path, above = [], None
    for _ in nodes:
        replies = [node for node in nodes if (node.get(parent) or None) == above and is_good(node)]
        if not replies:
            break
        path.append(min(replies, key=rank))
        above = path[-1].get(first_of(path[-1], MESSAGE_ID) or "", "")
    return {"messages": [message_of(node) for node in path]}


def unnested(row: Any, depth: int = 0) -> Iterator[Any]:
    """The rows inside a row: its instances, or the questions below a paragraph, each with what they share."""
    name = first_of(row, NESTED) if isinstance(row, dict) and len(row) < 100 else None
    said = row.get("responses") if isinstance(row, dict) else None
    asked = row.get(first_of(row, ("patterns", "examples", "text")) or "") if said else None
    if (
        isinstance(asked, list) and isinstance(said, list) and first_of(row, ("patterns", "intent", "tag"))
    ):  # a chatbot of rules
        rest = {key: value for key, value in row.items() if value is not asked and value is not said}
        yield from ({**rest, "question": text, "answer": said[n % len(said)]} for n, text in enumerate(asked))
        return
    if (
        name is None
        or depth > 3
        or not isinstance(row[name], list)
        or not all(isinstance(item, dict) for item in row[name])
    ):
        if isinstance(row, dict) and isinstance(row.get("prompt"), dict) and first_of(row["prompt"], REPLIES):
            row = {"messages": best_path(row["prompt"])}
        yield row
        return
    for item in row[name]:
        yield from unnested({**{key: value for key, value in row.items() if key != name}, **item}, depth + 1)


# ---------------------------------------------------------------------------------------------------------
# 11 Rows that become other rows before they are read
#
# Each function looks at the first rows and gives back what makes every row one that section 10 knows, or None.

Reshape = Callable[[Any], Any]


def find_lists(rows: list[dict], tally: Tally) -> Reshape | None:
    """Columns that hold lists as a table of cells has them, as JSON or as Python or NumPy print them: those that by their
    names hold several values, or all of a row's, one for each turn."""
    names = dict.fromkeys(name for row in rows[:20] for name in row)
    values = {name: [row[name] for row in rows[:20] if holds(row.get(name))] for name in names}
    values = {
        name: [listed(text) for text in texts]
        for name, texts in values.items()
        if texts and all(isinstance(text, str) and text[:1] in "[{" for text in texts)
    }
    found = [name for name in values if all(map(is_container, values[name]))]
    spoken = [name for name in found if all(isinstance(value, list) for value in values[name]) and ASKED.search(name)]
    found = [name for name in found if spoken or name.lower() in LISTS or all(map(is_envelope, values[name]))]
    if not found:
        return None

    def reshape(row: Any) -> Any:
        if not isinstance(row, dict):
            return row
        return {
            name: (listed(value) or value) if name in found and isinstance(value, str) else value
            for name, value in row.items()
        }

    return reshape


def find_candidates(rows: list[dict], tally: Tally) -> Reshape | None:
    """Rows with several answers, in a list or in a column each, and what tells which is the best: a number for each, or
    the best one's name or number. The best is the answer; a row in which two are the best is a Drop."""
    names = list(dict.fromkeys(name for row in rows[:20] for name in row))
    groups: dict[str, dict[str, str]] = defaultdict(dict)
    for name in names:
        if match := CANDIDATES.fullmatch(name):
            groups[match[1].lower()][match[2].lower()] = name
    groups = {stem: group for stem, group in groups.items() if len(group) > 1}
    numbers = {stem: group for stem, group in groups.items() if MERIT.search(stem)}
    answers = {
        stem: group
        for stem, group in groups.items()
        if stem not in numbers
        and ANSWERS.search(stem)
        and all(isinstance(row.get(name), (str, list, dict)) for name in group.values() for row in rows[:20])
    }
    is_list = {name: all(isinstance(row.get(name), list) for row in rows[:20]) for name in names}
    lists = [name for name in names if is_list[name] and ANSWERS.search(name) and name.lower() not in OPTIONS]
    scores = [name for name in names if is_list[name] and (MERIT.search(name) or name == "labels")]
    best = next((name for name in names if BEST.fullmatch(name)), None)
    if len(answers) == 1:
        (columns,) = answers.values()
        merits = next((group for group in numbers.values() if group.keys() >= columns.keys()), None)
        if not merits and not best and columns.keys() != {"j", "k"}:
            return None
    elif not answers and lists in (["completions"], ["steps"]) and is_list.get("labels"):
        return steps_joined(lists[0])
    elif not answers and len(lists) == len(scores) == 1:
        columns, merits = {}, {}
    else:
        return None
    merit = scores[0] if not columns else next(iter(merits.values())) if merits else ""
    sign = -1 if "rank" in merit.lower() else 1
    told = {str(row.get(best)).lower() for row in rows}

    def pick(row: dict) -> Any:
        """The best answer of a row; None where nothing tells."""
        if not columns:
            given = list(zip(row[lists[0]], row[scores[0]]))
        elif merits:
            given = [(row[column], row[merits[key]]) for key, column in columns.items()]
        else:
            key = better(str(row.get(best)).lower(), sorted(columns), told) if best else "j"
            return row[columns[key]] if key else None
        ranked = sorted(((sign * float(number), place) for place, (_, number) in enumerate(given)), reverse=True)
        return given[ranked[0][1]][0] if len(ranked) > 1 and ranked[0][0] > ranked[1][0] else None

    def reshape(row: Any) -> Any:
        try:
            answer = pick(row)
        except (KeyError, TypeError, ValueError):
            return row
        if answer is None:
            raise Drop("no answer is said to be the best one")
        hidden = {lists[0], scores[0]} if not columns else {*columns.values(), *(merits or {}).values(), best}
        return {**{name: value for name, value in row.items() if name not in hidden}, "chosen": answer}

    picked = 0
    for row in rows:
        with contextlib.suppress(Drop):
            picked += "chosen" in reshape(row)
    return reshape if 3 * picked >= len(rows) > 0 else None


def find_choices(rows: list[dict], tally: Tally) -> Reshape | None:
    """Whether rows ask to choose from several answers: then those belong to the question, and the answer is the right
    one's text, not its letter or number."""
    names = {name.lower(): name for row in rows[:1] for name in row}
    asks = [names[name] for name in ASKED_TO_CHOOSE if name in names]
    asked = next((name for name in asks if are_varied([row.get(name) for row in rows])), None)
    columns = [names[name] for name in OPTIONS if name in names][:1]
    columns = columns or [name for name in names.values() if OPTION.fullmatch(name) and name != asked]
    if not asked or not columns or any(name in names for name in ("messages", "conversations")):
        return None
    for key in (names[name] for name in RIGHT_ONE if name in names and names[name] not in columns):
        found = [options_of(row, columns) for row in rows]
        numbers = [int(str(row[key])) for row in rows if str(row.get(key)).isdecimal()]
        first = int(bool(numbers) and 0 not in numbers and max(numbers) >= max(map(len, found)))
        right = [right_option(row.get(key), options, first) for row, options in zip(rows, found)]
        if 2 * sum(text is not None for text in right) > len(rows):
            break
    else:
        return None

    def reshape(row: Any) -> Any:
        options = options_of(row, columns) if isinstance(row, dict) else {}
        text = right_option(row[key], options, first) if options and key in row else None
        if text is None or not isinstance(row.get(asked), str):
            return row
        rest = {
            name: value
            for name, value in row.items()
            if name not in (asked, *columns) and name.lower() not in RIGHT_ONE
        }
        question = re.sub(r"\n\s*(?:Answer|A) ?: *\Z", "", row[asked])  # where a prompt ends for a model that goes on
        listed = "\n".join(f"{letter}. {option}" for letter, option in options.items())
        if all(letter == option for letter, option in options.items()):  # the letters of what the question lists itself
            written = re.search(rf"^\(?{re.escape(text)}[).:] ?(.+)$", question, re.M)
            return {**rest, "question": question, "answer": written[1] if written else text}
        return {**rest, "question": f"{question}\n\n{listed}", "answer": text}

    tally.found[
        "file of questions with answers to choose from: they are asked with them, and answered by the right one"
    ] += 1
    return reshape


def steps_joined(steps: str) -> Reshape:
    """The steps of an answer as one, where all are marked as right; a row with a wrong one is a Drop."""

    def reshape(row: Any) -> Any:
        if not isinstance(row, dict) or not all(isinstance(row.get(name), list) for name in (steps, "labels")):
            return row
        if not all(map(verdict, row["labels"])):
            raise Drop("a step of the answer is marked as wrong")
        joined = "\n".join(map(str, row[steps]))
        return {
            "completion" if name == steps else name: joined if name == steps else row[name]
            for name in row
            if name != "labels"
        }

    return reshape


def find_turns(rows: list[dict], tally: Tally) -> Reshape | None:
    """Conversations with a column a turn, numbered: `user_1`, `bot_1`, `user_2`, `bot_2`."""
    turns: dict[int, dict[str, str]] = defaultdict(dict)
    for name in dict.fromkeys(name for row in rows[:20] for name in row):
        numbers, words = re.findall(r"\d{1,9}", name), re.split(r"[\W\d_]+", name.lower())
        roles = [ROLES[word] for word in words if ROLES.get(word) in ("user", "assistant") and word != "a"]
        if len(numbers) == 1 and roles:
            turns[int(numbers[0])][roles[-1]] = name
    if len(turns) < 2 or not all(len(pair) == 2 for pair in turns.values()):
        return None
    order = [(role, turns[number][role]) for number in sorted(turns) for role in ("user", "assistant")]

    def reshape(row: Any) -> Any:
        if not isinstance(row, dict):
            return row
        said = [{"role": role, "content": row[name]} for role, name in order if holds(row.get(name))]
        return {
            "messages": said,
            **{name: value for name, value in row.items() if name not in dict(map(reversed, order))},
        }

    tally.found["file of conversations with a column a turn"] += 1
    return reshape


def find_dotted(rows: list[dict], tally: Tally) -> Reshape | None:
    """Columns whose names are paths into what a row held: `messages.0.role`, `inputs.messages`."""
    return unflattened if any(re.fullmatch(r"\w+(?:[./]\w+)+", name) for row in rows[:20] for name in row) else None


def listed(text: str) -> Any:
    """What a cell holds that is a list as JSON, Python or NumPy write it; NumPy puts no comma between its texts."""
    is_numpy = text[:2] in ("['", '["') and not re.search(r"[\"']\s*,", text)
    return from_json(re.sub(r"(?<=[\"'])\s+(?=[\"'])", ", ", text) if is_numpy else text)


def is_envelope(value: Any) -> bool:
    """Whether an object is what a chat service was sent or has sent back."""
    return isinstance(value, dict) and (not ENVELOPE.isdisjoint(value) or {"role", "content"} <= value.keys())


def better(value: str, keys: list[str], told: set[str]) -> str | None:
    """Which of the candidates a column names: by its letter or number, alone or behind a word, or counted from zero or one."""
    if any(mark.startswith("-") for mark in told) and len(keys) == 2:  # below zero for the first, above for the second
        return keys[float(value) > 0] if re.fullmatch(r"-?[1-9]\d*(\.0)?", value) else None
    value = re.split(r"[\W_]+", value)[-1]
    if value in keys:
        return value
    first = 0 if "0" in told else 1
    if value.isdecimal() and 0 <= int(value) - first < len(keys) and (keys[0].isdecimal() or "2" in told):
        return keys[int(value) - first]
    return None


def unflattened(row: Any) -> Any:
    """A row whose columns' names are paths, with the objects and lists that these lead into."""
    if not isinstance(row, dict):
        return row
    result: dict = {}
    for path, value in row.items():
        place, names = result, re.split(r"[./]", path)
        for name in names[:-1]:
            place = place.setdefault(name, {}) if isinstance(place, dict) else {}
        if isinstance(place, dict) and (holds(value) or len(names) == 1):
            place[names[-1]] = value
    return as_lists(result)


def as_lists(value: Any) -> Any:
    """Objects whose keys are all numbers as lists."""
    if not isinstance(value, dict):
        return value
    items = [(name, as_lists(item)) for name, item in value.items()]
    if items and all(name.isdecimal() for name, _ in items):
        return [item for _, item in sorted(items, key=lambda item: int(item[0]))]
    return dict(items)


def options_of(row: dict, columns: list[str]) -> dict[str, str]:
    """{letter: text} of the answers to choose from, in a column of them, or in a column each."""
    value = row.get(columns[0]) if len(columns) == 1 else [row.get(name) for name in columns]
    letters: Any = "ABCDEFGHIJ"
    if isinstance(value, str):  # one below the other
        lines = re.findall(r"^\s*\(?([A-J])[).:\s]\s*(\S.*)$", value, re.M)
        value, letters = [text for _, text in lines], [letter for letter, _ in lines]
    if isinstance(value, dict) and isinstance(value.get("text"), list):
        value, letters = value["text"], value.get("label") or letters
    elif isinstance(value, dict):
        value, letters = list(value.values()), list(value)
    elif isinstance(value, list) and value and isinstance(value[0], dict):
        items = [item if isinstance(item, dict) else {} for item in value]
        value, letters = [item.get("text") for item in items], [item.get("label") or item.get("key") for item in items]
    if (
        not isinstance(value, list)
        or not isinstance(letters, (str, list))
        or not 1 < len(value) <= len(letters)
        or not all(isinstance(text, (str, int, float)) for text in value)
    ):
        return {}
    return {str(letter): re.sub(r"^\(?[A-J][).:] ?", "", str(text)) for letter, text in zip(letters, value)}


def right_option(value: Any, options: dict[str, str], first: int) -> str | None:
    """The text of the right answer, given by its letter, its number (the first one's is `first`) or as it is."""
    text = str(value).strip()
    if text.isdecimal() and text not in options and 0 <= int(text) - first < len(options):
        return list(options.values())[int(text) - first]
    return options.get(text, options.get(text.strip("(). ").upper(), text if text in options.values() else None))


# ---------------------------------------------------------------------------------------------------------
# 12 Tokenizers of others

KNOWN_TOKENIZERS = "use gpt2, HuggingFaceTB/SmolLM2-135M, Qwen/Qwen3-0.6B or their like, or --train_tokenizer 8192"
MOST_TOKENS = 10**6  # of any tokenizer: the largest have some 260,000, and a damaged file any number
PROBE = "Zoë: 1 + 12 = 345,\n  \t naïve  東京 🙂 ½ ﬁ don't\r\n\n x\0"  # what a tokenizer must give back unchanged


def load_bpe(name: str) -> Any:
    """The tokenizer of a hub id or folder, if it is a byte-level BPE: text goes into its ids and comes out again.

    SmolLM2's lacks 21 bytes, such as control characters; a row that holds one is dropped when it is encoded.
    """
    from tokenizers import Tokenizer

    try:
        parts, special = read_tokenizer(name)
        for token in parts["added_tokens"]:
            if token["special"] or token["content"] in (EOS, *ROLE_TOKENS, *special):
                # some take the spaces around them along, or letters that only look like theirs
                token.update(special=True, normalized=False, lstrip=False, rstrip=False, single_word=False)
        if parts["model"].get("type") == "BPE":
            parts["model"]["dropout"] = None  # which draws other ids for the same text each time
            fill_holes(parts)
        bpe = Tokenizer.from_str(json.dumps({**parts, "truncation": None, "padding": None}))
    except Exception as error:  # of many kinds, and none is a fault of this script
        fail(f"--tokenizer {quoted(name)}: {reason(error)}; check it and the network, or use --train_tokenizer 8192")
    is_byte_level = parts["model"].get("type") == "BPE" and '"ByteLevel"' in json.dumps(parts["decoder"])
    if not (is_byte_level and bpe.decode(bpe.encode(PROBE, add_special_tokens=False).ids) == PROBE):
        fail(f"--tokenizer {quoted(name)} is not a byte-level BPE (SentencePiece is not); {KNOWN_TOKENIZERS}")
    return bpe


def read_tokenizer(name: str) -> tuple[dict, set[str]]:
    """(tokenizer.json of a hub id or folder, the special tokens that only tokenizer_config.json knows as such)."""
    from huggingface_hub import hf_hub_download
    from huggingface_hub.errors import EntryNotFoundError, LocalEntryNotFoundError

    def read_json(file: str) -> dict:
        path = Path(name, file) if Path(name).is_dir() else Path(hf_hub_download(name, file))
        return json.loads(path.read_text(encoding="utf-8"))

    missing = (FileNotFoundError, EntryNotFoundError)
    try:
        parts = read_json("tokenizer.json")
    except missing as error:
        if isinstance(error, LocalEntryNotFoundError):  # it was the network
            raise
        parts = read_old_tokenizer(name)
    try:
        told = read_json("tokenizer_config.json").get("added_tokens_decoder", {}).values()
    except missing:
        told = []
    return parts, {token["content"] for token in told if token.get("special")}


def read_old_tokenizer(name: str) -> dict:
    """What tokenizer.json would hold, of the vocab.json and merges.txt that older models have instead."""
    from transformers import AutoTokenizer

    try:
        tokenizer = AutoTokenizer.from_pretrained(name, trust_remote_code=False)
        if not tokenizer.get_vocab():  # what it makes of no file
            raise ValueError
        return json.loads(tokenizer.backend_tokenizer.to_str())
    except Exception:
        files = "tokenizer.json, nor vocab.json and merges.txt"
        raise ValueError(f"it has no {files} (files of SentencePiece and tiktoken are not read)") from None


def fill_holes(parts: dict) -> None:
    """A token for each id that has none below the highest: new tokens get the ids that follow the number of tokens.

    Its name holds a space, which in GPT-2's byte alphabet is another letter, so no text becomes one.
    """
    vocabulary = parts["model"]["vocab"]
    used = {*vocabulary.values(), *(token["id"] for token in parts["added_tokens"])}
    if max(used, default=0) >= MOST_TOKENS:
        raise ValueError(f"the id {max(used):,} is beyond all vocabularies")
    vocabulary.update((f"<|unused {i}|>", i) for i in range(max(used, default=0)) if i not in used)


def neutral_forms(tokenizer: Any) -> list[tuple[str, str]]:
    """(control string, what stands for it in content) for every special token, to be replaced one after the other.

    A space breaks each, and none has one itself, so no replacement makes a control string anew. Of a numbered family
    (`<|reserved_special_token_7|>`) what they begin with is broken, once for all.
    """
    added = tokenizer.added_tokens_decoder.values()
    for token in added:  # such as "<|user|>name", which is found first where a question begins with "name"
        if any(role in token.content != role for role in (EOS, *ROLE_TOKENS)):
            fail(f"the token {token.content!r} of this tokenizer holds one of the chat format; {KNOWN_TOKENIZERS}")
    tokens = [token.content for token in added if token.special]
    stems = {token: match[1] for token in tokens if (match := re.match(r"(.{4,}?)\d+\D*$", token))}
    families = Counter(stems.values())
    strings = [stems[token] if families[stems.get(token)] > 3 else token for token in tokens]
    forms = []
    for string in dict.fromkeys(strings):
        overlap = max(i for i in range(len(string)) if string.endswith(string[:i]))  # "|x|x|" holds "|x|" twice
        runs_on = any(
            string[i:] and role.startswith(string[i:]) for role in (EOS, *ROLE_TOKENS) for i in range(1, len(string))
        )
        if len(string) < 3 or re.search(r"\s", string) or 2 * overlap > len(string) or runs_on:
            fail(f"a text could fake the special token {string!r} of this tokenizer; {KNOWN_TOKENIZERS}")
        forms += [(string, f"{string[:-2]} {string[-2:]}")] * (2 if overlap else 1)
    return forms


def splits_like_gpt2(tokenizer: Any) -> bool:
    """Does it cut text into words as section 8 does, and know each byte and no tokens besides but the four of the chat format?"""
    from tokenizers import pre_tokenizers

    parts = json.loads(tokenizer.backend_tokenizer.to_str())
    words = {**(parts["pre_tokenizer"] or {}), "trim_offsets": 0}
    gpt2 = {"type": "ByteLevel", "add_prefix_space": False, "use_regex": True, "trim_offsets": 0}
    every_byte = parts["model"]["vocab"].keys() >= set(pre_tokenizers.ByteLevel.alphabet())
    only_ours = len(tokenizer.get_added_vocab()) == len((EOS, *ROLE_TOKENS))
    return words == gpt2 and every_byte and only_ours and not parts["normalizer"]


def save_tokenizer(tokenizer: Any, folder: Path) -> None:
    """`save_pretrained`, under the one name of the class that transformers 4 and 5 both know."""
    tokenizer.save_pretrained(folder)
    config = json.loads((folder / "tokenizer_config.json").read_text(encoding="utf-8"))
    config["tokenizer_class"] = "PreTrainedTokenizerFast"
    (folder / "tokenizer_config.json").write_text(
        json.dumps(config, indent=2, ensure_ascii=False) + "\n", encoding="utf-8"
    )


def same_text(decoded: str, text: str) -> bool:
    """Equal, or in another form of Unicode: Qwen composes accents (NFC), which no reader can see."""
    return decoded == text or decoded == unicodedata.normalize("NFC", text)


# ---------------------------------------------------------------------------------------------------------
# 13 On disk: tokens as integers, what is there already, what is kept between two passes


SHARD_TOKENS = 100_000_000  # in 200 or 400 MB
PORTION = 400_000_000  # characters of JSON: some 90 million tokens of English; what a stop costs at most


class Store:
    """Tokens of a part as plain integers, in shards that are each complete by themselves: no document goes on in the next.

    PART_tokens.NNNNN.ids      the ids of all documents, one behind another: 2 bytes each, 4 with more than 65,536 tokens
    PART_tokens.NNNNN.bounds   where in .ids each document begins, and where the last one ends: documents + 1 places
    PART_tokens.NNNNN.learned  from where to where is learned: pairs of places. Not there when that is everything

    All are little-endian and unsigned, places of 4 bytes, and nothing else is in the files. A document is a row of the JSONL.
    The first shard written is `number`.
    """

    def __init__(self, folder: Path, part: str, number: int = 0) -> None:
        self.folder, self.part, self.number, self.ids = folder, part, number, None

    def path(self, kind: str) -> Path:
        return self.folder / f"{self.part}_tokens.{self.number:05}.{kind}"

    def add(self, tokens: Tokens, size: int) -> None:
        if self.ids is None:
            self.ids = open(self.path("ids"), "wb")  # noqa: SIM115 - until the shard is full
            self.bounds, self.learned, self.all_learned = array("I", [0]), array("I"), True
        start = self.bounds[-1]
        self.ids.write(tokens.ids)
        self.bounds.append(start + size)
        self.learned.extend(start + place for place in tokens.learned)
        self.all_learned = self.all_learned and tokens.learned == [0, size]
        if start + size >= SHARD_TOKENS:
            self.close()

    def close(self) -> None:
        """The shard is full, or the part is at its end."""
        if self.ids is None:
            return
        self.ids.close()
        places = {"bounds": self.bounds} if self.all_learned else {"bounds": self.bounds, "learned": self.learned}
        for kind, values in places.items():
            self.path(kind).write_bytes(np.array(values, "<u4").tobytes())
        self.number, self.ids = self.number + 1, None


def fingerprint(path: Path) -> list:
    """[sha256, number of lines] of a file."""
    total, lines = hashlib.sha256(), 0
    with open(path, "rb") as file:
        while block := file.read(1 << 20):
            total.update(block)
            lines += block.count(b"\n")
    return [total.hexdigest(), lines]


def sync(path: Path) -> None:
    """Waits until a file is on the disk: a power cut may leave the name and the size of one whose content never arrived."""
    with open(path, "rb+") as file:
        os.fsync(file.fileno())


@contextlib.contextmanager
def hold(folder: Path) -> Iterator[None]:
    """Makes the folder and keeps other writers out while the block runs; one line says which process is there already.

    The system takes the lock back however the process ends, SIGKILL included, and no child inherits it; where a kill
    left the file that carries it, that is in nobody's way. A folder that the block leaves empty goes again.
    """
    path, made = folder / ".writer.lock", not folder.exists()
    try:
        folder.mkdir(parents=True, exist_ok=True)
        while True:
            file = os.open(path, os.O_RDWR | os.O_CREAT, 0o666)
            try:
                if os.name == "nt":
                    import msvcrt

                    os.lseek(file, 1 << 30, os.SEEK_SET)  # what is locked there cannot be read, and the number is at 0
                    msvcrt.locking(file, msvcrt.LK_NBLCK, 1)
                else:
                    import fcntl

                    fcntl.lockf(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
            except (BlockingIOError, PermissionError):
                os.lseek(file, 0, os.SEEK_SET)
                owner = os.read(file, 20).decode("ascii", "replace").strip() or "of an unknown number"
                fail(
                    f"{quoted(folder)} is being written by process {owner}; wait until that has ended, or choose another folder"
                )
            except OSError:
                pass  # a file system without locks: better unguarded than not at all
            if os.fstat(file).st_nlink:
                break
            os.close(file)  # its last owner removed it between our two steps
    except OSError as error:
        fail(f"{quoted(folder)}: {error.strerror}; choose a folder that can be written")
    try:
        with contextlib.suppress(OSError):  # on a full disk the lock has no name, and holds
            os.lseek(file, 0, os.SEEK_SET)
            os.write(file, f"{os.getpid():<20}".encode())
        yield
    finally:
        with contextlib.suppress(OSError):
            path.unlink()
        os.close(file)
        if made:
            with contextlib.suppress(OSError):
                folder.rmdir()


def prefer_cache() -> None:
    """An unreachable hub is retried for up to 46 seconds; with this, what is not cached fails at once."""
    endpoint = os.environ.get("HF_ENDPOINT") or "https://huggingface.co"
    try:
        urllib.request.urlopen(endpoint, timeout=10)
    except urllib.error.HTTPError:
        pass  # it answers
    except OSError:
        os.environ["HF_HUB_OFFLINE"] = "1"
    except ValueError as error:
        fail(f"HF_ENDPOINT={quoted(endpoint)} is no address of a hub: {error}; run unset HF_ENDPOINT")


def read_spool(path: Path) -> Iterator[tuple[str, tuple, str]]:
    with open(path, encoding="utf-8", newline="\n") as file:
        for part, keys, line in (line.rstrip("\n").split("\t", 2) for line in file):
            yield part, tuple(map(int, keys.split())), line


def texts_of(rows: Iterable[tuple[str, tuple, str]]) -> Iterator[str]:
    """What the training rows say, for the tokenizer to learn from."""
    for row in (json.loads(line) for part, _, line in rows if part == "train"):
        text = row["text"] if "text" in row else "\n".join([row["system"], *(m["content"] for m in row["messages"])])
        yield from pieces(text)


def count_rows(part: Any, inputs: dict[str, list]) -> int | None:
    """How many rows there are to read, where that is known at once."""
    if not isinstance(part, list):
        return getattr(part, "num_rows", None)
    countable = all(path.suffix in (".jsonl", ".csv") for path in part)
    return sum(inputs[str(path)][1] for path in part) if countable else None


# What save_pretrained of any version calls the files of a tokenizer.
TOKENIZER_FILE = re.compile(
    r"tokenizer(_config)?\.json|vocab\.json|merges\.txt|(special_tokens_map|added_tokens)\.json|chat_template\.\w+"
)


def check_ours(out: Path) -> None:
    """Fails where something that prep_data.py did not make has one of its names; it would be replaced or removed."""
    try:
        str(out).encode()
    except UnicodeEncodeError:  # the tokenizer's library takes no other name
        fail(f"--out_dir {quoted(out)}: its name is no UTF-8; choose another")
    work = out / "prep.tmp"
    stored = [path.name for path in out.iterdir() if STORED.fullmatch(path.name)] if out.is_dir() else []
    strange = [out / name for name in (*OUTPUTS, *stored, "manifest.json") if (out / name).is_dir()]
    strange += [
        path for path in (out / "tokenizer", work) if os.path.lexists(path) and (path.is_symlink() or not path.is_dir())
    ]
    if not strange and work.is_dir():
        ours = ("rows", "tokenizer", *OUTPUTS, "manifest.json", STATE, f"{STATE}.tmp")
        strange = [path for path in work.iterdir() if path.name not in ours and not STORED.fullmatch(path.name)]
    if strange:
        fail(
            f"{quoted(strange[0])} is not of prep_data.py's making and in its way; move it, or choose another --out_dir"
        )


@contextlib.contextmanager
def disk_mistakes(folder: Path) -> Iterator[None]:
    """One line for what a disk does: full, over a quota, taken away. Libraries in Rust give its number in words."""
    try:
        yield
    except Exception as error:
        told = re.search(r"\(os error (\d+)\)", str(error))
        number = getattr(error, "errno", None) or (int(told[1]) if told else None)
        if errno.errorcode.get(number) not in (
            "ENOSPC",
            "EDQUOT",
            "EFBIG",
            "EROFS",
            "EACCES",
            "EPERM",
            "EIO",
            "ENOENT",
        ):
            raise
        fail(
            f"{quoted(folder)}: {os.strerror(number)}; see to the disk and run the same command again, or choose another --out_dir"
        )


class Portion:
    """So many rows (part, keys, row) that their JSON has PORTION characters, or the last ones: then it is not full."""

    def __init__(self, rows: Iterable[tuple]) -> None:
        self.rows, self.is_full = rows, True

    def __iter__(self) -> Iterator[tuple]:
        room, self.is_full = PORTION, False
        for row in self.rows:
            yield row
            room -= len(row[2])
            if room <= 0:
                self.is_full = True
                return


class Progress:
    """Tokens so far, with their rate and the time that is left: a bar on a terminal, and a line a portion."""

    def __init__(self, total: int | None, count: Counter) -> None:
        self.total, self.count, self.before, self.began = total, count, count["tokens"], time.monotonic()
        self.bar = tqdm(
            None, "tokens", total, unit=" tokens", unit_scale=True, initial=self.before, disable=None if total else True
        )

    def __enter__(self) -> Progress:
        return self

    def __exit__(self, *_: Any) -> None:
        self.bar.close()

    def update(self, n_tokens: int) -> None:
        self.bar.update(n_tokens)

    def say(self) -> None:
        done = self.count["tokens"]
        per_s = (done - self.before) / max(1e-9, time.monotonic() - self.began)
        left = f" of {self.total:,}, {(self.total - done) / max(1, per_s) / 60:.0f} min to go" if self.total else ""
        tqdm.write(f"{done:,} tokens{left}; {per_s:,.0f} a second")


# What need not be the same when a run goes on, and what it counts: more rows or tokens than before only add to what is
# there, and with fewer the run ends behind an earlier portion.
LIMITS = {"max_rows": "rows", "max_tokens": "tokens"}


@dataclass
class Begun:
    """What an earlier run has done, up to a portion: its state, and the digests and lengths of its rows, from `folder`."""

    folder: Path
    state: dict[str, Any]
    digests: np.ndarray
    lengths: np.ndarray
    is_enough: bool = False  # with that portion this run is at its --max_rows or --max_tokens

    @property
    def portion(self) -> dict[str, Any]:
        return self.state["portions"][-1]

    def end_with(self, portion: dict[str, Any]) -> None:
        """Leaves out what came later."""
        del self.state["portions"][self.state["portions"].index(portion) + 1 :]
        self.digests, self.lengths = self.digests[: portion["digests"]], self.lengths[: portion["lengths"]]


def save_state(plan: Plan, result: Result, seen: Seen, files: dict[str, Any]) -> None:
    """What is needed to go on behind this portion, or an earlier one, and what must be on the disk for that."""
    for file in files.values():
        file.flush()
    written = [path for path in plan.workdir.iterdir() if path.name in OUTPUTS or STORED.fullmatch(path.name)]
    for path in written:
        sync(path)
    sources = []
    for source in plan.all_sources:
        # a place counts in rows as they are fetched; where messages were joined to conversations, rows are others
        places = {
            part: place
            for part, place in source.places.items()
            if place and FIRST_ROWS <= source.rows[f"{part} read"] == source.fetched[part]
        }
        sources.append([source.rows, places, list(source.notes)])
    portion = {
        "rows": sum(source.rows["train clean"] for source in plan.all_sources),
        "tokens": result.stats["train"]["tokens"],
        "suffices": all(counts["supervised"] for counts in result.stats.values()),  # to train on, and to validate on
        "sources": sources,
        "tally": vars(result.tally),
        "stats": result.stats,
        "shards": result.shards,
        "digests": seen.end_portion(),
        "lengths": len(result.lengths),
        "bytes": {path.name: path.stat().st_size for path in written},
    }
    result.portions.append(json.loads(json.dumps(portion)))  # as it is now
    state = {
        "arguments": {key: value for key, value in plan.recorded.items() if key not in LIMITS},
        "inputs": plan.inputs,
        "commits": [source.commit for source in plan.all_sources],
        "tokenizer": made_of(result.tokenizer),
        "jsonl": plan.args.jsonl,
        "how": result.how,
        "example": [result.example.json, result.example.ids.hex(), result.example.learned] if result.example else None,
        "portions": result.portions,
    }
    write_state(plan.workdir, state, np.frombuffer(seen.added, np.uint64), np.array(result.lengths, np.uint32))


def made_of(tokenizer: Any) -> str:
    return hashlib.sha256(tokenizer.backend_tokenizer.to_str().encode()).hexdigest()


def write_state(folder: Path, state: dict[str, Any], digests: np.ndarray, lengths: np.ndarray) -> None:
    text = np.frombuffer(json.dumps(state).encode("utf-8", "surrogatepass"), np.uint8)
    temporary = folder / f"{STATE}.tmp"
    with open(temporary, "wb") as file:
        np.savez(file, state=text, digests=digests, lengths=lengths)
    sync(temporary)
    os.replace(temporary, folder / STATE)


def find_begun(plan: Plan) -> Begun | None:
    """What a run has done whose rows are the beginning of this one's: cut off, or complete. It may have taken hours, so
    without --overwrite nothing of another run is lost: this one fails where it would take its place."""
    found = []
    for folder in (plan.workdir,) if plan.args.overwrite else (plan.workdir, plan.out):
        try:
            with np.load(folder / STATE) as arrays:
                begun = Begun(folder, json.loads(arrays["state"].tobytes()), arrays["digests"], arrays["lengths"])
            others = differences(plan, begun.state)
        except FileNotFoundError:
            continue
        except (OSError, ValueError, KeyError, TypeError, EOFError, zipfile.BadZipFile):
            spare(plan, f"{STATE} is damaged or of another version")
            continue
        if others:
            spare(plan, f"{begun.portion['tokens']:,} tokens made with {', '.join(others)}; give the same to keep them")
        else:
            found.append(begun)
    return next((begun for begun in found if fit(plan, begun)), None)


def spare(plan: Plan, what: str) -> None:
    """Fails rather than to replace what may have taken hours."""
    if not plan.args.overwrite:
        fail(f"{quoted(plan.out)} holds {what}; --overwrite starts over, and another --out_dir leaves it alone")


def differences(plan: Plan, state: dict[str, Any]) -> list[str]:
    """What another run was given and this one is not, as it stands on a command line."""
    old, new = state["arguments"], {key: value for key, value in plan.recorded.items() if key not in LIMITS}
    flags = [as_flag(name, old.get(name)) for name in {**new, **old} if old.get(name) != new.get(name)]
    old, new = state["inputs"], plan.inputs
    return flags or [f"another {quoted(path)}" for path in {**new, **old} if old.get(path) != new.get(path)]


def as_flag(name: str, value: Any) -> str:
    if value is None or isinstance(value, bool):
        return f"--{name}" if value else f"no --{name}"
    if isinstance(value, dict):
        value = ",".join(map("=".join, value.items()))
    return " ".join(f"--{name} {quoted(each)}" for each in (value if isinstance(value, list) else [value]))


def fit(plan: Plan, begun: Begun) -> bool:
    """Ends what was done with the last portion within --max_rows and --max_tokens; says whether this run can go on there."""
    portions = begun.state["portions"]
    limits = {name: limit for name in LIMITS if (limit := vars(plan.args)[name])}
    within = [portion for portion in portions if all(portion[LIMITS[name]] <= limits[name] for name in limits)]
    is_cut, n_tokens = len(within) < len(portions), portions[-1]["tokens"]
    if is_cut:
        ends = [portion for portion in portions if portion["suffices"]]
        within = [portion for portion in within if portion in ends]
        if not within or plan.args.overwrite:
            first = "in its first portion {tokens:,} and {rows:,} rows".format(**(ends or portions)[0])
            flags = " and ".join(as_flag(*limit) for limit in limits.items())
            spare(plan, f"{n_tokens:,} tokens, {first}, which is more than {flags}; give as many to end there")
            return False
    if not is_as_left(begun.folder, within[-1]["bytes"], is_published=begun.folder == plan.out):
        spare(plan, f"{n_tokens:,} tokens in files that are not as they were written")
        return False
    begun.end_with(within[-1])
    # or was it cut by this same command already, which was ended before it was done?
    is_cut = begun.state.pop("cut_for", None) == limits or is_cut
    if is_cut:
        begun.state["cut_for"] = limits
    begun.is_enough = is_cut or begun.portion["tokens"] == plan.args.max_tokens
    if begun.is_enough:
        print(f"ending behind {begun.portion['tokens']:,} of the {n_tokens:,} tokens that are there", flush=True)
    return True


def is_as_left(folder: Path, sizes: dict[str, int], is_published: bool) -> bool:
    """Whether the files of portions are there, and of what is complete each is the one that was written."""
    try:
        if is_published:
            manifest = json.loads((folder / "manifest.json").read_text(encoding="utf-8"))
            return all(is_as_written(folder, manifest, name) for name in (*sizes, STATE))
        return all((folder / name).stat().st_size >= size for name, size in sizes.items())
    except (OSError, ValueError, KeyError, TypeError):
        return False


def go_on(plan: Plan, result: Result, seen: Seen) -> None:
    """Puts into the work folder, and into the arguments, what this run goes on from, and empties it where that is nothing.
    The folder it comes from stays as it is: what is complete remains so until all of the new is there."""
    begun = plan.begun
    if begun and begun.state["tokenizer"] != made_of(result.tokenizer):
        spare(plan, f"{begun.portion['tokens']:,} tokens of another {as_flag('tokenizer', plan.args.tokenizer)}")
        begun = plan.begun = None
    if begun is None or begun.folder != plan.workdir:
        shutil.rmtree(plan.workdir, ignore_errors=True)
        plan.workdir.mkdir()
    if begun is None:
        return
    state, portion = begun.state, begun.portion
    if begun.folder != plan.workdir:
        for name in portion["bytes"]:
            if STORED.fullmatch(name):  # nobody changes a shard
                link_or_copy(begun.folder / name, plan.workdir / name)
            else:
                shutil.copyfile(begun.folder / name, plan.workdir / name)
            sync(plan.workdir / name)
    # the state counts on all these, and no longer on what is cut off next
    write_state(plan.workdir, state, begun.digests, begun.lengths)
    for path in plan.workdir.iterdir():
        if path.name in portion["bytes"]:
            if path.stat().st_size > portion["bytes"][path.name]:
                os.truncate(path, portion["bytes"][path.name])
        elif path.name != STATE:
            shutil.rmtree(path) if path.is_dir() else path.unlink()
    for source, (rows, places, notes) in zip(plan.all_sources, portion["sources"]):
        source.rows, source.places = Counter(rows), dict(places)
        # a place stays what it is until a row behind it comes, which may be never
        source.fetched = Counter({part: rows[f"{part} read"] for part in places})
        source.notes = {**dict.fromkeys(notes), **source.notes}
    result.tally = Tally(**{name: Counter(counts) for name, counts in portion["tally"].items()})
    result.stats = {part: Counter(counts) for part, counts in portion["stats"].items()}
    result.shards, result.how, plan.args.jsonl = portion["shards"], state["how"], state["jsonl"]
    result.portions = state["portions"]
    if state["example"]:
        text, ids, learned = state["example"]
        result.example = Tokens(text, bytes.fromhex(ids), learned)
    result.lengths.frombytes(begun.lengths.tobytes())
    seen.restore(begun.digests)
    begun.digests = begun.lengths = np.empty(0)  # so as not to be in memory twice
    if not begun.is_enough:
        print(f"going on behind {portion['tokens']:,} tokens", flush=True)


def give_up(workdir: Path) -> None:
    """Leaves of a run that was ended only what a later one can go on from."""
    if not (workdir / STATE).exists():
        shutil.rmtree(workdir, ignore_errors=True)


def is_left_to_publish(plan: Plan) -> bool:
    """Whether a run was ended while its files went to their places: each is here or there, and whole, as they were on the
    disk before the manifest was."""
    try:
        record = json.loads((plan.workdir / "manifest.json").read_text(encoding="utf-8"))
        places = {name: plan.workdir / name for name in record["sha256"]}
        places = {name: path if path.exists() else plan.out / name for name, path in places.items()}
        sizes = {name: path.stat().st_size for name, path in places.items()}
        is_same = (record["arguments"], record["inputs"]) == (plan.recorded, plan.inputs)
        # where some are in their places already, all must go there to be a whole, whatever this run is to make
        return sizes == record["bytes"] and (is_same or not (plan.out / "manifest.json").exists())
    except (OSError, ValueError, KeyError, TypeError):  # none, or it is not written to its end
        return False


def link_or_copy(path: Path, new: Path) -> None:
    """The same file under another name, where the file system has such links."""
    try:
        os.link(path, new)
    except OSError:
        shutil.copy2(path, new)


def is_as_written(out: Path, manifest: dict, name: str) -> bool:
    """Whether a file is still the one that the manifest lists: of its size and older than the manifest, which is written
    last, or else of its sha256. Gigabytes need not be read for that each time."""
    stat = (out / name).stat()
    untouched = stat.st_mtime_ns < (out / "manifest.json").stat().st_mtime_ns
    if untouched and stat.st_size == manifest.get("bytes", {}).get(name):
        return True
    return fingerprint(out / name)[0] == manifest["sha256"][name]


def is_complete(out: Path, recorded: dict, inputs: dict[str, list]) -> bool:
    """Whether an earlier run wrote the same from the same into `out`; fails on files there that are not ours."""
    manifest = out / "manifest.json"
    try:
        old = json.loads(manifest.read_text(encoding="utf-8"))
        same = (old["arguments"], old["inputs"]) == (recorded, inputs)
        return same and all(is_as_written(out, old, name) for name in old["sha256"])
    except OSError:  # no manifest, or a file that it lists is gone; prep.tmp is what a cut off run leaves
        strange = [name for name in ("tokenizer", *OUTPUTS) if (out / name).exists()]
        strange += [path.name for path in out.iterdir() if STORED.fullmatch(path.name)] if out.is_dir() else []
        strange = [] if manifest.exists() or (out / "prep.tmp").exists() else strange
    except (ValueError, KeyError, TypeError):
        strange = ["manifest.json"]
    if strange:
        fail(
            f"{quoted(out / strange[0])} is not of prep_data.py's making; choose another --out_dir, or add --overwrite"
        )
    return False


# ---------------------------------------------------------------------------------------------------------
# 14 The command line


def columns_format(text: str) -> dict[str, str]:
    columns = dict(pair.partition("=")[::2] for pair in text.split(","))
    wanted = ({"user", "assistant"}, {"messages"}, {"text"})
    if not all(columns.values()) or set(columns) - {"system", "context", "history"} not in wanted:
        raise argparse.ArgumentTypeError("takes user=COLUMN,assistant=COLUMN, messages=COLUMN or text=COLUMN")
    return columns


RANGES: dict[str, tuple[type, float, float]] = {  # of every number: type, lowest, highest
    "val_fraction": (float, 1e-6, 0.999),
    "max_rows": (int, 2, 10**12),
    "max_tokens": (int, 1, 10**15),
    "train_tokenizer": (int, 260, 10**7),
    "seq_len": (int, 8, 10**6),
    "num_proc": (int, 1, 1024),
    "seed": (int, 0, 2**63 - 1),
}


# fmt: off
def build_parser() -> OneLineParser:
    parser = OneLineParser(__doc__)
    add = parser.add_argument_group("sources").add_argument
    add("--dataset", action="append", required=True, metavar="NAME_OR_PATH[:WEIGHT]", help="hub id, local file, folder or glob; repeat to join several, one after the other, or mixed by weights until one runs out")
    add("--val_dataset", metavar="NAME_OR_PATH", help="validation data (default: the validation files or split that --dataset has, else a part of it)")
    add("--val_fraction", default=0.02, help="share held out when there is no validation data, 0 to 1")
    add("--config", help="configuration of a hub data set that has several (default: its only one)")
    add("--split", help="split of a hub data set or a folder to train on (default: its train split)")
    add("--revision", help="commit, branch or tag of a hub data set, to pin what is read (default: the newest, which the card names; what is added later is of the same)")
    add("--streaming", action="store_true", help="read a hub data set without storing it, for one larger than the disk, and of its validation split some million tokens; needs --max_rows or --max_tokens")
    add("--max_rows", help="stop after this many clean rows of --dataset (default: all); see --max_tokens")
    add("--max_tokens", help="stop after this many training tokens (default: all); given again with more it adds to what is there, with less it ends with the last portion there that fits")
    add = parser.add_argument_group("format and cleaning").add_argument
    add("--format", choices=FORMATS, help="format of the rows (default: recognized by their columns)")
    add("--columns", type=columns_format, metavar="PART=COLUMN,...", help="columns of any other format: user=q,assistant=a and if need be context=c,system=s; or messages=m; or text=t")
    add("--system", default="You are a helpful assistant.", help="system prompt of conversations without one, empty for none")
    add("--duplicates", choices=("drop", "keep"), default="drop", help="rows whose whole prompt occurred before: only the first one stays (drop), or all, for sets with several answers to one prompt (keep)")
    add("--marked", choices=("drop", "keep"), default="drop", help="answers that the data set marks as bad or not to be learned (label: false, weight: 0 and the like): not learned (drop), or like any other (keep)")
    add("--skip_bad_lines", action="store_true", help="count lines that are no JSON as dropped, instead of stopping at the first")
    add = parser.add_argument_group("tokens").add_argument
    add("--tokenizer", default="gpt2", help="hub id or folder of a byte-level BPE: gpt2, SmolLM2, Qwen, Llama 3 ...")
    add("--train_tokenizer", metavar="N", help="train a byte-level BPE of N tokens on the data instead: a tiny model does not want 50,257 embeddings")
    add("--seq_len", default=1024, help="most tokens in a row, at most the positions of the model")
    add("--jsonl", choices=("all", "text"), help="write train_tokenized.jsonl and val_tokenized.jsonl beside the same tokens as integers, which take a seventh of the disk (all), or leave them out (text); (default: text for plain text with --streaming, else all)")
    add("--too_long", choices=("truncate", "drop"), default="truncate", help="longer conversations keep their first complete turns, longer texts become several rows (truncate), or both go (drop)")
    add = parser.add_argument_group("run").add_argument
    add("--out_dir", type=Path, default=Path("data"), help="folder to write")
    add("--overwrite", action="store_true", help="build again what is complete, replace what took hours and was made with other flags, and files that another program made")
    add("--num_proc", help="processes that tokenize (default: one a core); the output is the same")
    add("--seed", default=0, help="draws which rows are held out")
    return parser
# fmt: on

# From here on the same to the letter in prep_data.py, train.py and inference.py, which do not import one another: nothing
# that is said can end the program or steer a terminal, a mistake of the user's is one line and exit code 2, every number
# has a range, flags are written out, and the help shows defaults by itself.


class Outlet:
    """Standard output or error that never raises: what a closed terminal, a dead pipe or a full disk does not take is lost.

    A character that its encoding lacks is written as an escape. `error` is the first failure, or None.
    """

    def __init__(self, stream):
        self.stream, self.error = stream, None

    def __getattr__(self, name: str):
        return getattr(self.stream, name)

    def attempt(self, job, *args) -> None:
        try:
            job(*args)
        except UnicodeEncodeError:
            encoding = self.stream.encoding
            self.attempt(job, args[0].encode(encoding, "backslashreplace").decode(encoding))
        except (OSError, ValueError) as error:  # a closed file is a ValueError
            self.error = self.error or error

    def write(self, text: str) -> int:
        self.attempt(self.stream.write, text)
        return len(text)

    def flush(self) -> None:
        self.attempt(self.stream.flush)


def guard_streams() -> None:
    """Make standard output and error Outlets; where a stream was closed before the start, it is empty."""
    sys.stdin = sys.stdin or open(os.devnull)  # noqa: SIM115 - for as long as the program runs
    for name in ("stdout", "stderr"):
        stream = getattr(sys, name) or open(os.devnull, "w")  # noqa: SIM115
        if type(stream).__name__ != "Outlet":
            setattr(sys, name, Outlet(stream))


@atexit.register
def give_up_dead_streams() -> None:
    """Python flushes both at its exit and ends in an error when that fails: what cannot be written goes nowhere."""
    for stream in filter(None, (sys.__stdout__, sys.__stderr__)):
        try:
            stream.flush()
        except (OSError, ValueError):
            if not stream.closed:
                os.dup2(os.open(os.devnull, os.O_WRONLY), stream.fileno())


# What could move the cursor, retitle the window or reorder the line: C0, DEL, C1 and the bidirectional controls; and
# halves of surrogate pairs, which is how bytes that are no UTF-8 arrive and what no terminal can be sent.
STEERING = [*range(32), *range(127, 160), 0x61C, 0x200E, 0x200F, *range(0x202A, 0x202F), *range(0x2066, 0x206A)]
VISIBLE = {code: ascii(chr(code))[1:-1] for code in (*STEERING, *range(0xD800, 0xE000)) if chr(code) not in "\n\t"}
LONGEST_LINE = 1200  # characters of an error: a name in it may be as long as a file


def visible(text: str) -> str:
    """Text that cannot steer a terminal: an escape character is shown as `\\x1b`, a right-to-left override `\\u202e`."""
    return text.translate(VISIBLE)


def quoted(path: str | Path) -> str:
    """A path or a word as it can be pasted into a shell."""
    return visible(shlex.quote(str(path)))


def fail(message: str, code: int = 2) -> NoReturn:
    line = visible(" ".join(message.split()))
    if len(line) > LONGEST_LINE:  # what is wrong stands first, the command that mends it last
        line = f"{line[: LONGEST_LINE * 2 // 3]} ... {line[-LONGEST_LINE // 3 :]}"
    kind = "" if code == 130 else "error: "  # what the user interrupted is none
    print(f"{Path(__file__).name}: {kind}{line}", file=sys.stderr)
    raise SystemExit(code)


def number(name: str, text: str) -> float:
    """The number in `text`, if RANGES allows it for `name`: no NaN, no infinity, no fraction of a thing that is counted."""
    kind, low, high = RANGES[name]
    try:
        value = kind(text)
        if low <= value <= high:  # as NaN never is
            return value
    except ValueError:
        pass
    raise argparse.ArgumentTypeError(
        f"{name} is a {'whole ' * (kind is int)}number from {low:,} to {high:,}, not {text[:40]!r}"
    )


class Formatter(argparse.ArgumentDefaultsHelpFormatter, argparse.RawDescriptionHelpFormatter):
    def _get_help_string(self, action: argparse.Action) -> str | None:
        nothing = action.default is None or action.default is False  # 0 is something
        return action.help if nothing else super()._get_help_string(action)


class OneLineParser(argparse.ArgumentParser):
    """Flags as RANGES has them, written out; a mistake is one line."""

    def __init__(self, description: str):
        # abbreviations would change their meaning with the next flag that begins alike
        super().__init__(Path(__file__).name, description=description, formatter_class=Formatter, allow_abbrev=False)

    def parse_args(self, args=None, namespace=None):
        for action in self._actions:
            if action.dest in RANGES:
                action.type = lambda text, name=action.dest: number(name, text)
        parsed = super().parse_args(args, namespace)
        for name, value in vars(parsed).items():
            if value == [] or value == [[]]:  # what argparse makes of --flag=--
                self.error(f"argument --{name}: expected one argument")
        return parsed

    def error(self, message: str) -> NoReturn:
        fail(f"{message}; see python {self.prog} --help")


if __name__ == "__main__":
    signal.signal(signal.SIGINT, signal.default_int_handler)
    try:
        main()
    except KeyboardInterrupt:
        fail(
            "stopped, and nothing was replaced; the same command goes on behind the last portion, or starts over; with "
            "the number of tokens last said as --max_tokens it takes what is there",
            code=130,
        )
