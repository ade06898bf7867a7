"""prep_data.py: what rows hold decides what becomes of them, and the card says what was not used or mended."""

from __future__ import annotations

import contextlib
import functools
import itertools
import json
import os
import random
import time
from pathlib import Path

import pytest
from conftest import mistake, run_script, write_jsonl
from loopback_hub import COMMIT, hub, parquet

import prep_data

CLEAR = dict.fromkeys(("HTTP_PROXY", "HTTPS_PROXY", "http_proxy", "https_proxy"), "") | {
    "NO_PROXY": "*",
    "no_proxy": "*",
}


def prep(folder: Path, rows: list, *arguments: object) -> dict:
    """The manifest of a run over rows; its output lies in folder/out."""
    file = write_jsonl(folder / "rows.jsonl", rows)
    command = ["--dataset", file, "--out_dir", folder / "out", "--num_proc", 1, "--overwrite", *arguments]
    prep_data.main([str(argument) for argument in [*command, "--train_tokenizer", 260]])
    return json.loads((folder / "out/manifest.json").read_text(encoding="utf-8"))


def rows_of(folder: Path, part: str = "") -> list[dict]:
    names = [part] if part else ["train", "val"]
    texts = [(folder / f"out/{name}.jsonl").read_text(encoding="utf-8") for name in names]
    return [json.loads(line) for line in "".join(texts).splitlines()]


def chat(*contents: str, system: str | None = None) -> dict:
    roles = itertools.cycle(("user", "assistant"))
    row = {"messages": [{"role": role, "content": text} for role, text in zip(roles, contents)]}
    return row if system is None else {"system": system, **row}


# -------------------------------------------------------------------------------------- duplicates, and what is held out

JOKES = [chat("A joke, please.", f"Joke {n}.") for n in range(12)]


@pytest.mark.parametrize(
    ("rows", "arguments", "left"),
    [
        ([chat("dog", "x", system=f"In {name}.") for name in ("French", "German", "Finnish")], [], 3),
        ([chat("dog", "x", system=name) for name in ("In French.", "in french", "In German!")], [], 2),
        ([chat("Hi", f"I am {name}.", "Go on.", "So.") for name in ("Ada", "Bob", "Cem")], [], 3),
        ([*JOKES, chat("Another?", "Yes.")], [], 2),
        ([*JOKES, JOKES[0]], ["--duplicates", "keep"], 13),
    ],
    ids=["systems", "systems alike", "earlier answers", "one prompt", "one prompt, kept"],
)
def test_a_duplicate_has_the_same_whole_prompt(tmp_path, rows, arguments, left):
    prep(tmp_path, rows, *arguments)
    assert len(rows_of(tmp_path)) == left


def test_many_answers_to_one_prompt_are_told_of_the_switch(tmp_path, capsys):
    assert "--duplicates keep" in prep(tmp_path, [*JOKES, chat("Another?", "Yes.")])["card"]
    write_jsonl(tmp_path / "jokes.jsonl", JOKES)
    command = ["--dataset", tmp_path / "jokes.jsonl", "--out_dir", tmp_path / "x", "--train_tokenizer", 260]
    assert "--duplicates keep" in mistake(capsys, prep_data.main, command)


def test_what_is_in_validation_is_not_kept_either(tmp_path):
    val = write_jsonl(tmp_path / "val.jsonl", JOKES[:3])
    assert prep(tmp_path, JOKES, "--duplicates", "keep", "--val_dataset", val)["dropped"] == {"also in validation": 3}


@pytest.mark.parametrize(
    ("rows", "arguments"),
    [
        ([chat("long " * 99, "x"), chat("a", "b"), chat("c", "d")], []),
        ([chat("long " * 99, "x"), {"text": "word " * 99}, chat("c", "d")], []),
        ([chat("Hi.", "Hello.", f"Who is {n}?", "Nobody.") for n in range(9)], []),
        (JOKES, ["--duplicates", "keep"]),
        ([{"text": "One book, and nothing else. " * 99}], []),
    ],
    ids=["first too long", "first too long, then a text", "one greeting", "one prompt", "one text"],
)
def test_a_small_set_has_both_parts(tmp_path, rows, arguments):
    prep(tmp_path, rows, "--seq_len", 64, *arguments)
    assert rows_of(tmp_path, "train")
    assert rows_of(tmp_path, "val")
    assert len(rows_of(tmp_path, "val")) <= len(rows_of(tmp_path, "train")) + 1


# ------------------------------------------------------------------------------------------------- the splits of a hub set


def nine(split: str) -> bytes:
    return parquet([{"question": f"{split} {n}", "answer": "a"} for n in range(9)])


SPLITS = {
    "only": (["chat"], "chat"),
    "mixture": (["test", "train_a"], "train_a"),
    "both": (["evaluation", "train"], "train"),
    "tests": (["test"], ""),
    "parts": (["easy", "hard"], ""),
    "stages": (["train_one", "train_two"], ""),
}


@pytest.fixture(scope="module")
def served(tmp_path_factory):
    sets = {
        f"datasets/made-up/{name}": {f"data/{split}-00000-of-00001.parquet": nine(split) for split in splits}
        for name, (splits, _) in SPLITS.items()
    }
    lines = [json.dumps({name: "x"}).encode() + b"\n" for name in ("question", "instruction")]
    sets["datasets/made-up/mixed"] = {"a.jsonl": lines[0], "b.jsonl": lines[1]}
    with hub(sets, tmp_path_factory.mktemp("cache")) as environment:
        yield {**os.environ, **CLEAR, **environment}


def test_the_split_that_is_taken_is_plain_and_printed(served, tmp_path):
    """One process asks for all of them, for starting the clients takes seconds."""
    code = (
        "import sys, prep_data\n"
        "for name in sys.argv[2:]:\n"
        "    try:\n"
        "        prep_data.main(['--dataset', 'made-up/' + name, '--num_proc', '1', '--train_tokenizer', '260',"
        " '--out_dir', sys.argv[1] + '/' + name])\n"
        "    except SystemExit as ended:\n"
        "        print('refused', name, ended.code)\n"
    )
    result = run_script("-c", code, tmp_path, *SPLITS, "mixed", env=served)
    assert result.returncode == 0, result.stderr
    for name, (splits, taken) in SPLITS.items():
        says = (
            f"made-up/{name}: commit {COMMIT}; split {taken} of {', '.join(splits)}" if taken else f"refused {name} 2"
        )
        assert says in result.stdout
        assert taken or f"--split takes one of {', '.join(splits)}" in result.stderr
    assert "refused mixed 2" in result.stdout
    assert "column names don't match" in result.stderr
    assert "--config" not in result.stderr


# ---------------------------------------------------------------------------------------------------- shapes of messages

U, A, V, B = "Where is box {}?", "Under table {}.", "And lid {}?", "On it."  # two questions, two answers
SHORT = [("user", U), ("assistant", A)]
LONG = [*SHORT, ("user", V), ("assistant", B)]


def filled(value: object, number: int) -> object:
    """A made-up value with a number in its texts, so that no two rows are the same."""
    if isinstance(value, str):
        return value.replace("{}", str(number))
    if isinstance(value, dict):
        return {key: filled(item, number) for key, item in value.items()}
    return [filled(item, number) for item in value] if isinstance(value, (list, tuple)) else value


def said(row: dict) -> list:
    """A row of the contract in short: its system prompt if it has an own one, then (role, content), '' where unlearned."""
    own = [] if row["system"] == "You are a helpful assistant." else [("system", row["system"])]
    return own + [(m["role"], m["content"], *(["unlearned"] if "weight" in m else [])) for m in row["messages"]]


def turns(pairs: list, role: str = "role", content: str = "content") -> list[dict]:
    return [{role: who, content: what} for who, what in pairs]


def numbered(pairs: list, names: tuple, **more: object) -> list[dict]:
    """A table with a message a row."""
    return [dict(zip(names, ("c{}", n, who, what)), **more) for n, (who, what) in enumerate(pairs)]


def branch(who: str, what: str, *replies: dict, **more: object) -> dict:
    return {"role": who, "text": what, "replies": list(replies), **more}


TREE = branch("prompter", U, branch("assistant", "Worse.", rank=1), branch("assistant", A, branch("prompter", V, branch("assistant", B)), rank=0))  # fmt: skip
PAIR = {"question": U, "answer": A}
READ = {
    "text parts": ({"messages": turns([(who, [{"type": "text", "text": what}]) for who, what in SHORT])}, SHORT),
    "two text parts": ({"messages": turns([("user", [{"type": "text", "text": "One"}, {"text": "two {}"}]), SHORT[1]])}, [("user", "One\ntwo {}"), SHORT[1]]),
    "messages as JSON": ({"messages": json.dumps(turns(LONG))}, LONG),
    "messages as Python prints them": ({"messages": str(turns(LONG))}, LONG),
    "messages as NumPy prints them": ({"conversations": str(turns(SHORT)).replace("}, {", "}\n {")}, SHORT),
    "columns of lists": ({"conversations": {"from": [who for who, _ in LONG], "value": [what for _, what in LONG]}}, LONG),
    "a list of texts": ({"conversations": [what for _, what in LONG], "source": "x"}, LONG),
    "a list of labelled texts": ({"dialog": [f"Bot: {A}", f"Human: {U}", f"Bot: {A}"]}, SHORT),
    "pairs of texts": ({"conversation": [[U, A], [V, B]]}, LONG),
    "pairs of role and text": ({"conversation": LONG}, LONG),
    "pairs of human and assistant": ({"conversation": [{"human": U, "assistant": A}, {"human": V, "assistant": B}]}, LONG),
    "pairs of input and output": ({"turns": [{"input": U, "output": A}, {"output": B, "input": V}]}, LONG),
    "a key a message": ({"dialogue": [{"user": U}, {"assistant": A}, {"user": V}, {"assistant": B}]}, LONG),
    "messages inside an object": ({"conversation": {"id": 3, "messages": turns(LONG)}}, LONG),
    "speaker and utterance": ({"utterances": turns(LONG, "speaker", "utterance")}, LONG),
    "author with a role": ({"messages": [{"author": {"role": who}, "content": {"content_type": "text", "parts": [what]}} for who, what in SHORT]}, SHORT),
    "two unknown speakers": ({"dialog": turns([("Ada", U), ("Bob", A), ("Ada", V), ("Bob", B)], "speaker", "text")}, LONG),
    "a user and a system that answers": ({"dialog": turns([("USER", U), ("SYSTEM", A), ("USER", V), ("SYSTEM", B)])}, LONG),
    "a column of any name": ({"id": "x", "dat": turns(LONG)}, LONG),
    "TRL's prompt and completion": ({"prompt": turns(SHORT[:1]), "completion": turns(SHORT[1:])}, SHORT),
    "TRL's prompt, completion a text": ({"prompt": turns([("system", "Be brief."), SHORT[0]]), "completion": A}, [("system", "Be brief."), *SHORT]),
    "preference, texts": ({"prompt": U, "chosen": A, "rejected": "No."}, SHORT),
    "preference, messages": ({"prompt": U, "chosen": turns(SHORT), "rejected": turns([SHORT[0], ("assistant", "No.")])}, SHORT),
    "preference, answers as messages": ({"prompt": turns(LONG[:3]), "chosen": turns(LONG[3:]), "rejected": turns(LONG[3:])}, LONG),
    "preference behind conversations": ({"conversations": turns(LONG[:3], "from", "value"), "chosen": {"from": "gpt", "value": B}, "rejected": {"from": "gpt", "value": "No"}}, LONG),
    "preference, rendered": ({"chosen": f"\n\nHuman: {U}\n\nAssistant: {A}", "rejected": f"\n\nHuman: {U}\n\nAssistant: No."}, SHORT),
    "preference, columns of other names": ({"rejected_messages": turns([SHORT[0], ("assistant", "No.")]), "chosen_messages": turns(SHORT)}, SHORT),
    "a rendered prompt, and an answer without a mark": ({"instruction": f" <user>: {U} <bot>: {A} <user>: {V}", "input": "", "output": B}, LONG),
    "a rendered prompt that is one question": ({"instruction": f"<user>: {U}", "output": A}, SHORT),
    "a rendered prompt that ends where the answer begins": ({"prompt": f"Q: {U}\nA: {A}\nQ: {V}\nA:", "completion": B}, LONG),
    "a column that ends in answer": ({"question": U, "std_answer": A, "class": "x"}, SHORT),
    "the best answer": ({"Question": U, "Best Answer": A, "Incorrect Answer": "No."}, SHORT),
    "history of pairs": ({"instruction": V, "input": "", "output": B, "history": [[U, A]]}, LONG),
    "history of messages": ({"prompt": V, "response": B, "history": turns(SHORT)}, LONG),
    "empty history": ({"instruction": U, "output": A, "history": []}, SHORT),
    "context": ({**PAIR, "context": "Box {} is green."}, [("user", U + "\n\nBox {} is green."), SHORT[1]]),
    "passage": ({**PAIR, "Passage": "Box {} is green."}, [("user", U + "\n\nBox {} is green."), SHORT[1]]),
    "the question in the input": ({"instruction": "", "input": U, "output": A}, SHORT),
    "system column": ({**PAIR, "system_prompt": "Rhyme {}."}, [("system", "Rhyme {}."), *SHORT]),
    "answers of SQuAD": ({"question": U, "answers": {"text": [A, "There."], "answer_start": [1, 2]}}, SHORT),
    "several answers": ({"question": U, "answer": [A, "There."]}, SHORT),
    "capital letters": ({"Question": U, "Answer": A}, SHORT),
    "query and response": ({"query": U, "response": A}, SHORT),
    "problem and solution": ({"problem": U, "solution": A}, SHORT),
    "Gemini": ({"systemInstruction": {"parts": [{"text": "Be brief."}]}, "contents": [{"role": "user", "parts": [{"text": U}]}, {"role": "model", "parts": [{"text": A}]}]}, [("system", "Be brief."), *SHORT]),
    "Bedrock": ({"system": [{"text": "Be brief."}], "messages": [{"role": who, "content": [{"text": what}]} for who, what in SHORT]}, [("system", "Be brief."), *SHORT]),
    "Cohere": ({"chat_history": [{"role": "USER", "message": U}, {"role": "CHATBOT", "message": A}], "message": V, "response": B}, LONG),
    "OpenAI's preferred output": ({"input": {"messages": turns(SHORT[:1])}, "preferred_output": turns(SHORT[1:]), "non_preferred_output": turns(SHORT[1:])}, SHORT),
    "OpenAI's stored completions": ({"messages": turns(SHORT[:1]), "choices": [{"index": 0, "message": {"role": "assistant", "content": A}}]}, SHORT),
    "a request and its response": ({"request": {"messages": turns(SHORT[:1])}, "response": {"choices": [{"message": {"role": "assistant", "content": A}}]}}, SHORT),
    "ChatGPT's export": ({"title": "x", "mapping": {"r": {"parent": None, "children": ["u"], "message": None}, **{key: {"parent": above, "children": below, "message": {"author": {"role": who}, "content": {"content_type": "text", "parts": [what]}, "recipient": "all"}} for key, above, below, (who, what) in zip("uxa", "ruu", (["x", "a"], [], []), (*SHORT[:1], ("assistant", "Older."), SHORT[1]))}}}, SHORT),
    "CoQA": ({"story": "Box {}.", "questions": [{"input_text": U, "turn_id": 1}, {"input_text": V}], "answers": [{"span_text": "x", "input_text": A}, {"input_text": B}]}, [("user", U + "\n\nBox {}."), SHORT[1], *LONG[2:]]),
    "CoQA on the hub": ({"questions": [U, V], "answers": {"input_text": [A, B], "answer_start": [1, 2]}}, LONG),
    "answers with scores": ({"question": U, "answers": [{"author": "x", "pm_score": 1, "text": "No."}, {"author": "y", "pm_score": 9, "text": A}]}, SHORT),
    "inputs and targets": ({"inputs": U, "targets": A, "language_code": "eng"}, SHORT),
    "source and target": ({"source": U, "target": A}, SHORT),
    "input_text and output_text": ({"input_text": U, "output_text": A, "id": "x"}, SHORT),
    "q and a": ({"Q": U, "A": A}, SHORT),
    "author and body": ({"comments": [{"author": "customer", "body": U}, {"author": "agent", "body": A}]}, SHORT),
    "UltraChat as it came": ({"id": "0", "data": [U, A, V, B]}, LONG),
    "intents": ({"tag": "x", "patterns": [U], "responses": [A], "context": [""]}, SHORT),
    "an end that was begun": ({"question": U, "answer": "<|begin_of_solution|>" + A + "<|end_of_solution|>"}, [SHORT[0], ("assistant", "<|begin_of_solution|>" + A + "<|end_of_solution|>")]),
    "a prompt whose answer goes on to the next question": ({"prompt": f"\n\nHuman: {U}\n\nAssistant:", "completion": A + "\n\nHuman:"}, SHORT),
    "an answer that goes on to the next question": ({"prompt": U, "completion": A + "\nUser:"}, SHORT),
    "input and output": ({"input": U, "output": A}, SHORT),
    "instances": ({"instruction": "Find it.", "instances": [{"input": U, "output": A}]}, [("user", "Find it.\n\n" + U), SHORT[1]]),
    "paragraphs": ({"title": "x", "paragraphs": [{"context": "Box {}.", "qas": [{"question": U, "answers": [{"text": A}]}]}]}, [("user", U + "\n\nBox {}."), SHORT[1]]),
    "a rendered conversation": ({"conversation": f"Customer: {U}\nAgent: {A}\nCustomer: {V}\nAgent: {B}"}, LONG),
    "a tree": ({"message_tree_id": "x", "prompt": TREE}, LONG),
    "two systems": ({"messages": turns([("system", "Be brief."), ("developer", "Be kind."), *SHORT])}, [("system", "Be brief.\n\nBe kind."), *SHORT]),
    "one other text beside what is asked": ({"id": "x7", "prompt": U, "story": A, "lang": "en"}, SHORT),
    "one other text beside what is answered": ({"the_task": U, "final_answer": A, "url": "https://x.y/{}"}, SHORT),
    "a Chinese table": ({"问题": U, "答案": A}, SHORT),
    "a Czech table": ({"Otázka": U, "Odpověď": A}, SHORT),
    "a question as an object": ({"question": {"text": U, "tokens": ["x"]}, "answers": [{"text": A, "tokens": ["y"]}]}, SHORT),
    "other wordings of a question": ({"questions": [U, "Please: " + U], "answer": A}, SHORT),
    "a list of earlier turns that ends in a question": ({"context": [U, A, V], "response": B}, LONG),
    "a list of earlier turns that begins with an answer": ({"context": ["Hello.", U, A, V], "response": B}, LONG),
    "history of texts": ({"prompt": V, "response": B, "history": [U, A]}, LONG),
    "history of texts that begins with an answer": ({"prompt": V, "response": B, "history": ["Hi.", U, A]}, LONG),
    "rendered history": ({"prompt": V, "response": B, "history": f"User: {U}\nBot: {A}"}, LONG),
    "answers in a list, with scores": ({"prompt": U, "responses": ["No.", A], "scores": [0.5, 1]}, SHORT),
    "answers in a list, with ranks": ({"prompt": U, "responses": ["No.", A], "rank": [2, 1]}, SHORT),
    "answers in cells, with scores": ({"prompt": U, "responses": str(["No.", A]), "scores": "[0.5, 1]"}, SHORT),
    "answers with ratings": ({"instruction": U, "completions": [{"response": "No.", "overall_score": 1}, {"response": A, "overall_score": 5}]}, SHORT),
    "two answers and the better one's name": ({"prompt": U, "response_a": "No.", "response_b": A, "winner": "model_b"}, SHORT),
    "two answers and the better one's number": ({"prompt": U, "response_0": "No.", "response_1": A, "better_response_id": 1, "safer_response_id": 0}, SHORT),
    "two answers and a score each": ({"question": {"full_text": U}, "answer_0": "No.", "answer_1": A, "score_0": -1, "score_1": 1.0}, SHORT),
    "two answers and a mark each": ({"prompt": U, "response_a": A, "response_b": "No.", "winner_model_a": "1", "winner_model_b": "0", "winner_tie": "0"}, SHORT),
    "two conversations and the better one": ({"conversation_a": turns(LONG), "conversation_b": turns([SHORT[0], ("assistant", "No.")]), "winner": "model_a"}, LONG),
    "two posts of which the first is better": ({"question": U, "response_j": A, "response_k": "No."}, SHORT),
    "upvoted": ({"title_body": U, "upvoted_answer": A, "downvoted_answer": "No."}, SHORT),
    "turns in cells": ({"prompt": json.dumps([U, V]), "response_a": json.dumps([A, B]), "response_b": json.dumps(["No.", "No."]), "winner": "a"}, LONG),
    "text parts as JSON": ({"messages": turns([(who, json.dumps([{"type": "text", "text": what}])) for who, what in SHORT])}, SHORT),
    "a request and its response as JSON": ({"request": json.dumps({"messages": turns(SHORT[:1])}), "response": json.dumps({"choices": [{"message": {"content": A}}]})}, SHORT),
    "a request and its response as Python prints them": ({"input": str({"messages": turns(SHORT[:1])}), "output": str({"choices": [{"message": {"content": A}}]})}, SHORT),
    "pairs of role and text, one of nobody": ({"original": [*SHORT, ("user", V), ("assistant", B), ("action", "Done.")]}, LONG),
    "messages by agents": ({"content": [{"message": what, "agent": who} for who, what in zip(("agent_1", "agent_2") * 2, (U, A, V, B))], "config": "C"}, LONG),
    "LangChain's types": ({"messages": [{"type": "system", "content": "Be brief."}, {"type": "ai", "content": "Hi."}, {"type": "human", "content": U}, {"type": "ai", "content": A}]}, [("system", "Be brief."), *SHORT]),
    "who is human": ({"conversation": [{"message": "Hi.", "is_human": False}, {"message": U, "is_human": True}, {"message": A, "is_human": False}]}, SHORT),
    "who wrote it": ({"messages": [{"sender": "User", "text": U, "isCreatedByUser": True}, {"sender": "GPT-4", "text": A, "isCreatedByUser": False}]}, SHORT),
    "participants": ({"Transcript": [{"participantId": who, "content": what} for who, what in [("AGENT", "Hi."), ("CUSTOMER", U), ("AGENT", A)]]}, SHORT),
    "a name with its role": ({"messages": [{"sender": "Nyx (bot)", "text": "Hi."}, {"sender": "Ann", "text": U}, {"sender": "Nyx (bot)", "text": A}]}, SHORT),
    "a known and an unknown role": ({"dialog": turns([("seeker", U), ("supporter", A), ("seeker", V), ("supporter", B)], "speaker")}, LONG),
    "messages below one another": ({"messages": [{"text": U, "isCreatedByUser": True, "children": [{"text": A, "isCreatedByUser": False, "children": []}]}]}, SHORT),
    "pairs by name": ({"conversation": {"round_1": {"user": U, "assistant": A}, "round_2": {"user": V, "assistant": B}}}, LONG),
    "a conversation in a list": ({"conversations": [turns([("assistant", "Hi."), *SHORT])]}, SHORT),
    "messages by number": ({"messages": {str(n): turn for n, turn in enumerate(turns(LONG))}}, LONG),
    "messages inside of objects": ({"messages": [{"message": turn} for turn in turns(SHORT)]}, SHORT),
    "the newest message first in a list": ({"data": [{"role": who, "content": [{"type": "text", "text": {"value": what}}], "created_at": n} for n, (who, what) in enumerate(LONG)][::-1]}, LONG),
    "a text of two people": ({"dialogue": f"Ann: {U}\nBob: {A}\nAnn: {V}\nBob: {B}", "summary": "x"}, LONG),
    "a text of two persons": ({"dialogue": f"#Person1#: {U}\n#Person2#: {A}", "summary": "x"}, SHORT),
    "turns that are a number": ({"turns": 1, "prompt": f"\n\nHuman: {U}\n\nAssistant: ", "answers": [{"answer": "No.", "rank": 2.0}, {"answer": A, "rank": 1.0}]}, SHORT),
    "a preference behind a column of messages": ({"trajectory": turns(LONG[:3], "from", "value"), "chosen": B, "rejected": "No."}, LONG),
    "messages and answers": ({"document": "x", "messages": turns(LONG[:3]), "answers": [B]}, LONG),
    "earlier turns beside a query": ({"conversation_history": turns(SHORT), "user_query": V, "assistant_response": "{} " + B}, [*LONG[:3], ("assistant", "{} " + B)]),
    "which of two, below and above zero": ({"context": turns(LONG[:3]), "response1": B, "response2": "No.", "overall_preference": -2}, LONG),
    "labels of several answers": ({"question": U, "answers": {"choices": ["No.", A], "labels": [0, 1]}}, SHORT),
    "steps": ({"prompt": U, "completions": ["Look.", A], "labels": [True, True]}, [SHORT[0], ("assistant", "Look.\n" + A)]),
    "what was expected": ({"input": U, "output": "No.", "expected": A, "scores": {"x": 0}}, SHORT),
    "a worked solution": ({"problem": U, "solution": A, "answer": "7"}, SHORT),
    "translated Alpaca": ({"指示": "Find it.", "入力": U, "出力": A}, [("user", "Find it.\n\n" + U), SHORT[1]]),
    "names with spaces": ({"System Prompt": "Be brief.", "Input": U, "Expected Output": A, "Actual Output": "No."}, [("system", "Be brief."), *SHORT]),
    "who answered beside the answer": ({"Customer question": U, "Our reply": A, "Agent": "Sue", "Date": "1/2/2024"}, SHORT),
    "who asked beside the message": ({"user": "ann{}", "message": U, "reply": A}, SHORT),
    "how long it took": ({"response_time": "{} ms", "user_query": U, "model_reply": A}, SHORT),
    "addresses as context": ({"question": U, "ideal_answer": A, "documents": ["http://x.y/{}"]}, SHORT),
    "a column a turn": ({"turn1_user": U, "turn1_bot": A, "turn2_user": V, "turn2_bot": B}, LONG),
    "a column a turn, numbers behind": ({"id": "x", "question_1": U, "answer_1": A, "question_2": V, "answer_2": B}, LONG),
    "paths as columns": ({f"conversations.{n}.{key}": value for n, (who, what) in enumerate(LONG) for key, value in (("from", who), ("value", what))}, LONG),
    "paths to messages and choices": ({"inputs.messages": turns(SHORT[:1]), "output.choices": [{"message": {"role": "assistant", "content": A}}]}, SHORT),
    "turns that do not say whose they are": ({"log": [{"text": U, "turn_id": 0}, {"text": A, "turn_id": 1}], "goal": {"x": 1}}, SHORT),
    "texts of a log": ({"conv": [U, A, V, B]}, LONG),
    "alternatives of an intent": ({"intent": "x", "text": [U], "responses": [A]}, SHORT),
    "a question and its answer a row": ([{"session_id": "s{}", "turn": 1 + n, "question": q, "answer": a} for n, (q, a) in enumerate(((U, A), (V, B)))], LONG),
    "a question with all before it": ([{"session_id": "s{}", "prompt": U, "response": A}], SHORT),
    "a message a row": (numbered(LONG, ("conversation_id", "turn", "role", "content")), LONG),
    "a message a row, not in order": (numbered(LONG, ("dialog_id", "turn_id", "speaker", "text"))[::-1], LONG),
    "a message a row, by people": (numbered([("ann", U), ("bob", A)], ("dialogueID", "turn_id", "from", "text")), SHORT),
    "a message a row, by parent": ([{"id": f"{{}}-{n}", "parent_id": f"{{}}-{n - 1}" if n else None, "author": who, "text": what} for n, (who, what) in enumerate(LONG)], LONG),
}  # fmt: skip


@pytest.mark.parametrize("name", READ)
def test_shapes_are_read(tmp_path, name):
    shape, expected = READ[name]
    rows = [row for n in range(4) for row in filled(shape if isinstance(shape, list) else [shape], n)]
    assert prep(tmp_path, rows)["dropped"] == {}
    result = sorted(said(row) for row in rows_of(tmp_path))
    assert result == sorted([tuple(turn) for turn in filled(expected, n)] for n in range(4))


# ------------------------------------------------------------------------------------------------------- rendered chats

RENDERED = {
    "ChatML": "<|im_start|>user\nQ1<|im_end|>\n<|im_start|>assistant\nA1<|im_end|>\n<|im_start|>user\nQ2<|im_end|>\n<|im_start|>assistant\nA2<|im_end|>\n",
    "Llama 2": "<s>[INST] Q1 [/INST] A1 </s><s>[INST] Q2 [/INST] A2 </s>",
    "Mistral": "<s> [INST] Q1 [/INST]A1</s>[INST] Q2[/INST] A2</s>",
    "Llama 3": "<|begin_of_text|><|start_header_id|>user<|end_header_id|>\n\nQ1<|eot_id|><|start_header_id|>assistant<|end_header_id|>\n\nA1<|eot_id|><|start_header_id|>user<|end_header_id|>\n\nQ2<|eot_id|><|start_header_id|>assistant<|end_header_id|>\n\nA2<|eot_id|>",
    "Gemma": "<bos><start_of_turn>user\nQ1<end_of_turn>\n<start_of_turn>model\nA1<end_of_turn>\n<start_of_turn>user\nQ2<end_of_turn>\n<start_of_turn>model\nA2<end_of_turn>\n",
    "Zephyr": "<|user|>\nQ1</s>\n<|assistant|>\nA1</s>\n<|user|>\nQ2</s>\n<|assistant|>\nA2</s>\n",
    "Phi 3": "<|user|>\nQ1<|end|>\n<|assistant|>\nA1<|end|>\n<|user|>\nQ2<|end|>\n<|assistant|>\nA2<|end|>\n<|endoftext|>",
    "Phi 2": "Instruct: Q1\nOutput: A1\nInstruct: Q2\nOutput: A2",
    "Guanaco": "### Human: Q1### Assistant: A1### Human: Q2### Assistant: A2",
    "Alpaca": "Below is an instruction that describes a task.\n\n### Instruction:\nQ1\n\n### Response:\nA1\n\n### Instruction:\nQ2\n\n### Response:\nA2",
    "Vicuna": "USER: Q1 ASSISTANT: A1</s>USER: Q2 ASSISTANT: A2</s>",
    "OIG": "<human>: Q1\n<bot>: A1\n<human>: Q2\n<bot>: A2",
    "HH": "\n\nHuman: Q1\n\nAssistant: A1\n\nHuman: Q2\n\nAssistant: A2",
    "Firefly": "<s>Human: Q1\n</s><s>Assistant: A1\n</s><s>Human: Q2\n</s><s>Assistant: A2\n</s>",
    "OpenChat": "GPT4 Correct User: Q1<|end_of_turn|>GPT4 Correct Assistant: A1<|end_of_turn|>GPT4 Correct User: Q2<|end_of_turn|>GPT4 Correct Assistant: A2<|end_of_turn|>",
    "OpenAssistant": "<|prompter|>Q1<|endoftext|><|assistant|>A1<|endoftext|><|prompter|>Q2<|endoftext|><|assistant|>A2<|endoftext|>",
    "our own": "<|user|>Q1<|assistant|>A1<|endoftext|><|user|>Q2<|assistant|>A2<|endoftext|>",
    "Gemma 4": "<bos><|turn>user\nQ1<turn|>\n<|turn>model\nA1<turn|>\n<|turn>user\nQ2<turn|>\n<|turn>model\nA2<turn|>\n",
    "Phi 4": "<|im_start|>user<|im_sep|>\nQ1<|im_end|><|im_start|>assistant<|im_sep|>\nA1<|im_end|><|im_start|>user<|im_sep|>\nQ2<|im_end|><|im_start|>assistant<|im_sep|>\nA2<|im_end|>",
    "Kimi": "<|im_user|>user<|im_middle|>Q1<|im_end|><|im_assistant|>assistant<|im_middle|>A1<|im_end|><|im_user|>user<|im_middle|>Q2<|im_end|><|im_assistant|>assistant<|im_middle|>A2<|im_end|>",
    "Nemotron": "<extra_id_1>User\nQ1\n<extra_id_1>Assistant\nA1\n<extra_id_1>User\nQ2\n<extra_id_1>Assistant\nA2",
    "Saiga": "<s>user\nQ1</s>\n<s>bot\nA1</s>\n<s>user\nQ2</s>\n<s>bot\nA2</s>",
    "Baichuan": "<reserved_106>Q1<reserved_107>A1</s><reserved_106>Q2<reserved_107>A2</s>",
    "InternLM": "<s><|User|>:Q1<eoh>\n<|Bot|>:A1<eoa>\n<|User|>:Q2<eoh>\n<|Bot|>:A2<eoa>\n",
    "Jamba": "<|startoftext|><|bom|><|user|> Q1<|eom|><|bom|><|assistant|> A1<|eom|><|bom|><|user|> Q2<|eom|><|bom|><|assistant|> A2<|eom|>",
    "Command R7": "<BOS_TOKEN><|START_OF_TURN_TOKEN|><|USER_TOKEN|>Q1<|END_OF_TURN_TOKEN|><|START_OF_TURN_TOKEN|><|CHATBOT_TOKEN|><|START_RESPONSE|>A1<|END_RESPONSE|><|END_OF_TURN_TOKEN|><|START_OF_TURN_TOKEN|><|USER_TOKEN|>Q2<|END_OF_TURN_TOKEN|><|START_OF_TURN_TOKEN|><|CHATBOT_TOKEN|><|START_RESPONSE|>A2<|END_RESPONSE|><|END_OF_TURN_TOKEN|>",
    "ChatGLM": "[Round 1]\n\n问：Q1\n\n答：A1\n\n[Round 2]\n\n问：Q2\n\n答：A2",
    "Dolly": "Below is an instruction.\n\n### Instruction:\nQ1\n\n### Response:\nA1\n\n### Instruction:\nQ2\n\n### Response:\nA2\n\n### End",
    "turns in tags": '<turn role="user">Q1</turn><turn role="assistant">A1</turn><turn role="user">Q2</turn><turn role="assistant">A2</turn>',
    "Korean": "### 질문: Q1\n\n### 답변: A1\n\n### 질문: Q2\n\n### 답변: A2",
    "DeepSeek": "<｜begin▁of▁sentence｜><｜User｜>Q1<｜Assistant｜>A1<｜end▁of▁sentence｜><｜User｜>Q2<｜Assistant｜>A2<｜end▁of▁sentence｜>",
    "Command": "<|START_OF_TURN_TOKEN|><|USER_TOKEN|>Q1<|END_OF_TURN_TOKEN|><|START_OF_TURN_TOKEN|><|CHATBOT_TOKEN|>A1<|END_OF_TURN_TOKEN|><|START_OF_TURN_TOKEN|><|USER_TOKEN|>Q2<|END_OF_TURN_TOKEN|><|START_OF_TURN_TOKEN|><|CHATBOT_TOKEN|>A2<|END_OF_TURN_TOKEN|>",
    "Granite": "<|start_of_role|>user<|end_of_role|>Q1<|end_of_text|>\n<|start_of_role|>assistant<|end_of_role|>A1<|end_of_text|>\n<|start_of_role|>user<|end_of_role|>Q2<|end_of_text|>\n<|start_of_role|>assistant<|end_of_role|>A2<|end_of_text|>",
    "Harmony": "<|start|>user<|message|>Q1<|end|><|start|>assistant<|channel|>analysis<|message|>Hm.<|end|><|start|>assistant<|channel|>final<|message|>A1<|end|><|start|>user<|message|>Q2<|end|><|start|>assistant<|channel|>final<|message|>A2<|return|>",
    "Exaone": "[|user|]Q1\n[|assistant|]A1[|endofturn|]\n[|user|]Q2\n[|assistant|]A2[|endofturn|]",
    "tags": "<user>Q1</user><assistant>A1</assistant><user>Q2</user><assistant>A2</assistant>",
    "Q and A": "Q: Q1\nA: A1\n\nQ: Q2\nA: A2",
    "question and answer": "**Question:** Q1\n**Answer:** A1\n**Question:** Q2\n**Answer:** A2",
    "brackets": "[USER]: Q1\n[BOT]: A1\n[USER]: Q2\n[BOT]: A2",
    "headings": "## User\nQ1\n\n## Assistant\nA1\n\n## User\nQ2\n\n## Assistant\nA2",
    "Spanish": "Usuario: Q1\nAsistente: A1\nUsuario: Q2\nAsistente: A2",
    "Chinese": "问：Q1\n答：A1\n问：Q2\n答：A2",
    "numbered": "Question 1: Q1\nAnswer 1: A1\nQuestion 2: Q2\nAnswer 2: A2",
    "numbered in front": "1. Question: Q1\nAnswer: A1\n2. Question: Q2\nAnswer: A2",
    "Q. and A.": "Q1. Q1\nA1. A1\nQ2. Q2\nA2. A2".replace("Q1. ", "Q. ")
    .replace("A1. ", "A. ")
    .replace("Q2. ", "Q. ")
    .replace("A2. ", "A. "),
    "with the time": "[10:00] User: Q1\n[10:01] Bot: A1\n[10:02] User: Q2\n[10:04] Bot: A2",
    "with the date": "12/03/2024, 10:00 PM - User: Q1\n12/03/2024, 10:01 PM - Bot: A1\n12/03/2024, 10:02 PM - User: Q2\n13/03/2024, 9:01 AM - Bot: A2",
    "copied from a page": "You said:\nQ1\nChatGPT said:\nA1\nYou said:\nQ2\nChatGPT said:\nA2",
    "Kobold": "{{[INPUT]}}Q1{{[OUTPUT]}}A1{{[INPUT]}}Q2{{[OUTPUT]}}A2",
    "an operator": "Caller: Q1\nOperator: A1\nCaller: Q2\nOperator: A2",
    "a greeting first": "Agent: Hello!\nCustomer: Q1\nAgent: A1\nCustomer: Q2\nAgent: A2",
    "Vietnamese": "### Câu hỏi: Q1\n### Trả lời: A1\n### Câu hỏi: Q2\n### Trả lời: A2",
    "messages as JSON": json.dumps(turns([("user", "Q1"), ("assistant", "A1"), ("user", "Q2"), ("assistant", "A2")])),
}
FILL = {"Q1": U, "A1": A, "Q2": V, "A2": B}


def rendered(name: str, number: int) -> str:
    text = RENDERED[name]
    for short, long in FILL.items():
        text = text.replace(short, long.replace("{}", str(number)))
    return text


@pytest.mark.parametrize("name", RENDERED)
def test_rendered_chats_become_conversations(tmp_path, name):
    """In a column for texts; as a prompt that ends where the answer begins; and under any name."""
    expected = sorted([tuple(turn) for turn in filled(LONG, n)] for n in range(4))
    texts = [rendered(name, n) for n in range(4)]
    splits = [text.rindex(B) for text in texts]
    for rows in (
        [{"text": text} for text in texts],
        [{"prompt": text[:at], "completion": text[at:]} for text, at in zip(texts, splits)],
        [{"id": n, "sample": text} for n, text in enumerate(texts)],
    ):
        if "prompt" in rows[0] and name == "messages as JSON":
            continue
        manifest = prep(tmp_path, rows)
        assert sorted(said(row) for row in rows_of(tmp_path)) == expected
        assert "taken apart" in manifest["card"] or name == "messages as JSON"


@pytest.mark.parametrize(
    "text",
    [
        "User: Q1\nEagle: A1\nUser: Q2\nEagle: A2",
        "### User: Q1\n### Eagle: A1\n### User: Q2\n### Eagle: A2",
        "<|im_start|>Bob\nQ1<|im_end|>\n<|im_start|>Alice\nA1<|im_end|>\n<|im_start|>Bob\nQ2<|im_end|>\n<|im_start|>Alice\nA2<|im_end|>",
        "ユーザー: Q1\nシステム: A1\nユーザー: Q2\nシステム: A2",
    ],
)  # fmt: skip
def test_who_answers_may_have_a_name_of_his_own(tmp_path, text):
    rows = [functools.reduce(lambda text, short: text.replace(short, FILL[short].replace("{}", str(n))), FILL, text) for n in range(4)]  # fmt: skip
    card = prep(tmp_path, [{"text": row} for row in rows])["card"]
    assert sorted(said(row) for row in rows_of(tmp_path)) == sorted(
        [tuple(turn) for turn in filled(LONG, n)] for n in range(4)
    )
    assert "taken apart" in card


@pytest.mark.parametrize(
    ("text", "system"),
    [
        ("<|im_start|>system\nS.<|im_end|>\n<|im_start|>user\nQ<|im_end|>\n<|im_start|>assistant\nA<|im_end|>", "S."),
        ("<s>[INST] <<SYS>>\nS.\n<</SYS>>\n\nQ [/INST] A </s>", "S."),
        ("[SYSTEM_PROMPT]S.[/SYSTEM_PROMPT][INST]Q[/INST]A</s>", "S."),
        ("A chat between a curious user and an assistant. USER: Q ASSISTANT: A</s>", "A chat between a curious user and an assistant."),
        ("### System:\nS.\n\n### User:\nQ\n\n### Assistant:\nA", "S."),
        ("Help them out.\n\nHuman: Q\n\nAssistant: A", "Help them out."),
        ("Below is an instruction.\n\n### Instruction:\nQ\n\n### Input:\nX\n\n### Response:\nA", None),
    ],
)  # fmt: skip
def test_a_rendered_system_prompt_is_one(tmp_path, text, system):
    prep(tmp_path, [{"text": text.replace("Q", f"Where is {n}?")} for n in range(4)])
    for row in rows_of(tmp_path):
        assert row["system"] == (system or "You are a helpful assistant.")
        assert row["messages"][0]["content"].startswith("Where is ")
        assert row["messages"][0]["content"].endswith("X" if "X" in text else "?")
        assert row["messages"][1]["content"] == "A"


def test_labels_inside_a_prompt_stay_where_no_answer_is_marked(tmp_path):
    rows = [{"prompt": f"Context: it is {n}.\nQuestion: what is it?", "completion": f"It is {n}."} for n in range(4)]
    prep(tmp_path, rows)
    assert sorted(said(row)[0][1] for row in rows_of(tmp_path)) == [row["prompt"] for row in rows]


PROSE = [
    "To err is human. Human: a word with many uses. Assistant: another one, in chapter {}.",
    "Chapter {}.\n\nHuman: nobody knew what it meant.\nThe answer came late.",
    "Human: who goes there, in scene {}?\n\nNobody answered, and the play went on.",
    "ROMEO: But soft, what light is that, number {}?\nJULIET: It is a lamp.\nROMEO: Oh.",
    "A prompt for ChatML number {} begins with <|im_start|>user and ends with <|im_end|>; <|im_start|>assistant follows.",
    "### Instruction manual {}\n\nPress the button. ### Response times are short.",
    "Title {}\n\nQuestion: why is the sky blue?\nAnswer: it scatters. And so the article went on for pages.",
    "<b>User {}</b> wrote: the <user> tag is no HTML, and <assistant> is none either.",
    "[1] See the user guide {}. [2] See the assistant's notes.",
    "In SQL, input: 5\noutput: 25. The table {} is small.",
]


@pytest.mark.parametrize("text", PROSE)
def test_prose_stays_prose(tmp_path, text):
    """Alone, and as one text among others."""
    for rows in (
        [{"text": text.replace("{}", str(n))} for n in range(4)],
        [{"text": t.replace("{}", "1")} for t in PROSE],
    ):
        prep(tmp_path, rows)
        assert sorted(row["text"] for row in rows_of(tmp_path)) == sorted(row["text"] for row in rows)


def test_texts_stay_texts_when_asked_to(tmp_path):
    prep(tmp_path, [{"text": rendered("ChatML", n)} for n in range(4)], "--format", "text")
    assert all("text" in row for row in rows_of(tmp_path))


def test_a_chat_among_texts_is_one(tmp_path):
    rows = [{"text": f"Prose number {n}."} for n in range(9)]
    prep(tmp_path, [*rows, {"text": rendered("ChatML", 1)}])
    assert sum("messages" in row for row in rows_of(tmp_path)) == 1


@pytest.mark.parametrize(
    "text",
    ["<|ask|>Where is {}?<|say|>Here.", "[ASK] Where is {}?\n[SAY] Here.", "## Falcon: Where is {}?\n## Eagle: Here."],
)
def test_an_unknown_template_is_named(tmp_path, text):
    card = prep(tmp_path, [{"text": text.replace("{}", str(n))} for n in range(4)])["card"]
    assert "like rendered chats" in card


# ----------------------------------------------------------------------------------- marks, deviations, unused columns

GOOD = {"messages": turns(SHORT)}
MARKED = {
    "label": ({"prompt": U, "completion": A, "label": False}, "label"),
    "label, a number": ({"prompt": U, "completion": A, "label": 0}, "label"),
    "label, a text": ({"prompt": U, "completion": A, "label": "False"}, "label"),
    "quality": ({**GOOD, "quality": "bad"}, "quality"),
    "kto_tag": ({**GOOD, "kto_tag": False}, "kto_tag"),
    "weight": ({**PAIR, "weight": 0.0}, "weight"),
    "train": ({**GOOD, "train": False}, "train"),
    "rejected": ({**GOOD, "rejected": True}, "rejected"),
    "deleted": ({"text": U, "deleted": True}, "deleted"),
    "is_correct": ({**PAIR, "is_correct": False}, "is_correct"),
    "feedback": ({**PAIR, "feedback": "thumbs_down"}, "feedback"),
    "status": ({**PAIR, "status": "rejected"}, "status"),
    "rating": ({**PAIR, "rating": -1}, "rating"),
    "answer": ({"prompt": U, "response": A, "answer": "reject"}, "answer"),
    "loss in every turn": ({"messages": [*turns(SHORT[:1]), {"role": "assistant", "content": A, "loss": 0}]}, "marked"),
}


BAD = {
    "Status": "Rejected", "Is Correct": "false", "Quality": "Bad", "Label": 0, "Approved?": "No", "Use for training?": "no", "IS_FLAGGED": True,
    "discarded": True, "passed": False, "helpful": "FALSE", "Thumbs": "down", "is_safe": False, "hallucination": "yes", "flag": "Dislike",
}  # fmt: skip


@pytest.mark.parametrize("name", BAD)
def test_marks_in_any_spelling(tmp_path, name):
    verdicts = {
        "Rejected": "Approved",
        "Bad": "Good",
        0: 1,
        "No": "Yes",
        "no": "yes",
        "down": "up",
        "yes": "no",
        "Dislike": "Like",
    }
    good = verdicts.get(BAD[name], not BAD[name] if isinstance(BAD[name], bool) else "true")
    rows = [
        {"Question": f"What is {n}?", "Answer": f"It is {n}.", name: BAD[name] if n % 2 else good} for n in range(6)
    ]
    assert prep(tmp_path, rows)["dropped"] == {f"marked as not to be learned by {name}": 3}


@pytest.mark.parametrize(
    "mark",
    [{"deleted": True}, {"if_chosen": False}, {"feedback": {"rating": "thumbsDown"}}, {"annotation": {"rating": -1}}],
)
def test_a_bad_answer_beside_a_good_one_is_left_out(tmp_path, mark):
    good = {name: {"rating": 1} if isinstance(value, dict) else not value for name, value in mark.items()}
    asked, answered = turns(SHORT)
    for answers in (
        [{**answered, "content": "No.", **mark}, {**answered, **good}],
        [{**answered, **good}, {**answered, "content": "No.", **mark}],
    ):
        prep(tmp_path, [filled({"messages": [asked, *answers]}, n) for n in range(4)])
        assert sorted(said(row) for row in rows_of(tmp_path)) == [
            [tuple(turn) for turn in filled(SHORT, n)] for n in range(4)
        ]


@pytest.mark.parametrize("name", MARKED)
def test_rows_marked_as_bad_are_dropped(tmp_path, name):
    bad, word = MARKED[name]
    mark = next((key for key in bad if key == name.split(",")[0]), None)
    good = (
        {
            **bad,
            mark: {
                "False": "True",
                "bad": "good",
                "thumbs_down": "thumbs_up",
                "rejected": "approved",
                "reject": "accept",
                -1: 1,
            }.get(bad[mark])
            or type(bad[mark])(not bad[mark]),
        }
        if mark
        else GOOD
    )
    rows = [filled(good, n) if n % 2 else filled(bad, n) for n in range(8)]
    for row, n in zip(rows, range(8)):
        row.update({mark: good[mark] if n % 2 else bad[mark]} if mark else {})
    if not mark:
        for row in rows[::2]:
            row["messages"][1]["loss"] = 0
    (reason,) = prep(tmp_path, rows)["dropped"].items()
    assert reason[1] == 4
    assert word in reason[0]
    assert not prep(tmp_path, rows, "--marked", "keep")["dropped"]


@pytest.mark.parametrize(
    "more", [{"label": 3}, {"label": "sports"}, {"weight": 0.5}, {"correct": "B"}, {"rejected": "No."}, {"train": "Bonn to Ulm"}, {"status": "completed"}, {"rating": 4}]
)  # fmt: skip
def test_what_is_no_verdict_drops_nothing(tmp_path, more):
    rows = [{**filled(PAIR, n), **more} for n in range(8)]
    rows[0]["label"] = 0  # one class among others
    rows[1]["label"] = 3
    assert not prep(tmp_path, rows)["dropped"]


@pytest.mark.parametrize("name", ["Answer", "helpful", "is_safe", "Toxic"])
def test_a_class_beside_a_text_in_any_spelling_is_no_verdict(tmp_path, name):
    prep(tmp_path, [{"text": f"Text number {n}.", name: "yes" if n % 2 else "no"} for n in range(6)])
    assert len(rows_of(tmp_path)) == 6


def test_a_cell_that_is_no_list_stays_as_it_is(tmp_path):
    rows = [{"question": f"Why {n}?", "answers": json.dumps([f"So {n}."])} for n in range(25)]
    prep(tmp_path, [*rows, {"question": "Why not?", "answers": "[as you like]"}])
    assert "[as you like]" in {row["messages"][1]["content"] for row in rows_of(tmp_path)}


def test_splits_of_texts_that_hold_no_training_split_are_refused(tmp_path, capsys):
    talks = [[f"Who is {n}?", f"It is {n}, my friend."] for n in range(6)]
    file, command = tmp_path / "x.json", ["--out_dir", tmp_path / "out", "--train_tokenizer", 260]
    file.write_text(json.dumps({"valid": talks}))
    mistake(capsys, prep_data.main, ["--dataset", file, *command])
    file.write_text(json.dumps({"train": talks, "valid": talks[:2]}))
    prep_data.main([str(argument) for argument in ["--dataset", file, *command]])
    assert len(rows_of(tmp_path)) == 6


def test_the_type_of_a_text_is_no_role(tmp_path):
    prep(tmp_path, [{"type": "question" if n % 2 else "answer", "text": f"Text number {n}."} for n in range(6)])
    assert len(rows_of(tmp_path)) == 6


def test_the_class_of_a_text_is_no_verdict(tmp_path):
    rows = [{"text": f"A film, number {n}.", "label": n % 2} for n in range(8)]
    assert not prep(tmp_path, rows)["dropped"]


@pytest.mark.parametrize(
    "mark", [{"weight": 0}, {"loss_weight": 0.0}, {"loss": False}, {"train": False}, {"masked": 1}]
)
def test_a_marked_answer_is_read_and_not_learned(tmp_path, mark):
    first, *rest = turns(LONG)[1:]
    rows = [filled({"messages": [turns(LONG)[0], {**first, **mark}, *rest]}, n) for n in range(4)]
    prep(tmp_path, rows)
    for part in ("train", "val"):
        for row, tokens in zip(rows_of(tmp_path, part), rows_of(tmp_path, f"{part}_tokenized")):
            assert [turn[-1] == "unlearned" for turn in said(row)] == [False, True, False, False]
            learned = sum(label != -100 for label in tokens["labels"])
            assert learned == len(B.encode()) + 1  # a token a byte, and the end
    again = tmp_path / "again"  # what was written keeps its marks when it is read again
    again.mkdir()
    prep(again, rows_of(tmp_path))
    assert sorted(map(said, rows_of(again))) == sorted(map(said, rows_of(tmp_path)))


MENDED = {
    "thanks": ([*SHORT, ("user", "Thanks!")], SHORT, "last questions"),
    "greeting": ([("assistant", "Hello!"), *SHORT], SHORT, "greetings"),
    "neighbors": ([("user", "Hi."), *SHORT], [("user", "Hi.\n\n" + U), SHORT[1]], "joined"),
    "neighbors that answer": ([*SHORT, ("assistant", B)], [SHORT[0], ("assistant", A + "\n\n" + B)], "joined"),
    "an empty answer": ([*SHORT, ("user", V), ("assistant", " ")], SHORT, "empty turn"),
    "an unknown role": ([*SHORT, ("moon", V), ("assistant", B)], SHORT, "unknown role"),
    "a system in the middle": ([*SHORT, ("system", "Be brief."), *LONG[2:]], LONG, "system prompts"),
    **{
        mark: ([SHORT[0], ("assistant", A + mark)], SHORT, "end marks")
        for mark in ("<|endoftext|>", "</s>", "<|im_end|>\n", " <|eot_id|>", "<end_of_turn>", "<eos>", "<｜end▁of▁sentence｜>", "<|end|><|endoftext|>")
    },
}  # fmt: skip


@pytest.mark.parametrize("name", MENDED)
def test_a_deviation_costs_a_turn(tmp_path, name):
    pairs, expected, word = MENDED[name]
    manifest = prep(tmp_path, [filled({"messages": turns(pairs)}, n) for n in range(4)])
    assert sorted(map(said, rows_of(tmp_path))) == sorted(
        [tuple(turn) for turn in filled(expected, n)] for n in range(4)
    )
    (mend,) = manifest["mended"].items()
    assert word in mend[0]
    assert mend[1] == 4
    assert f"4 {mend[0]}" in manifest["card"]


@pytest.mark.parametrize(
    "answer", ["A <tag> in the <|end|> middle.", "x > y", "See [1]", "<s>struck out</s>", "Use </div>"]
)
def test_an_answer_may_end_as_it_likes(tmp_path, answer):
    assert not prep(tmp_path, [{"question": f"q {n}", "answer": f"{n} {answer}"} for n in range(4)])["mended"]


@pytest.mark.parametrize("ends", [("\n\n###\n\n", " END"), (" ->", "###"), ("", " STOP")])
def test_the_ends_of_older_files_are_cut_where_most_rows_have_them(tmp_path, ends):
    rows = [{"prompt": f"Where is {n}?{ends[0]}", "completion": f" Here, {n}.{ends[1]}"} for n in range(9)]
    prep(tmp_path, rows)
    assert sorted(map(said, rows_of(tmp_path))) == [
        [("user", f"Where is {n}?"), ("assistant", f" Here, {n}.")] for n in range(9)
    ]


@pytest.mark.parametrize(
    ("more", "reason"),
    [
        ({"images": ["0.jpg"]}, "images"),
        ({"image": {"bytes": "x", "path": None}}, "images"),
        ({"audio_path": "x.wav"}, "audio"),
        ({"videos": ["x"]}, "video"),
        ({"tools": "[{\"name\": \"search\"}]"}, "tools"),
        ({"messages": [*turns([SHORT[0]]), {"role": "assistant", "content": None, "tool_calls": [{"id": 1}]}]}, "tools"),
        ({"messages": turns([*SHORT, ("tool", "x"), ("assistant", "y")])}, "tools"),
        ({"messages": turns([SHORT[0], ("assistant", "I look.\n<tool_call>\n{}\n</tool_call>")])}, "tools"),
        ({"messages": turns([SHORT[0], ("assistant", "<functioncall> {}")])}, "tools"),
        ({"messages": turns([("user", [{"type": "text", "text": "See."}, {"type": "image_url", "image_url": {}}]), SHORT[1]])}, "images"),
        ({"messages": turns([("user", [{"type": "input_audio"}]), SHORT[1]])}, "audio"),
        ({"messages": turns([("user", "<image>\n" + U), SHORT[1]])}, "images"),
        ({"messages": turns([("user", "<img>https://x/y.png</img> What is {}?"), SHORT[1]])}, "images"),
    ],
)  # fmt: skip
def test_what_cannot_be_shown_is_not_asked_about(tmp_path, more, reason):
    empty = dict.fromkeys(("images", "image", "audio_path", "videos", "tools"), None)
    rows = [{**empty, **filled({**GOOD, **(more if n % 2 else {})}, n)} for n in range(8)]
    assert prep(tmp_path, rows)["dropped"] == {f"needs {reason}": 4}


def test_what_is_not_used_is_named(tmp_path):
    rows = [filled({**PAIR, "topic": "boxes", "score": 0, "note": "" if n else "x", "none": None}, n) for n in range(4)]
    rows.append({"messages": [{**turn, "mood": "calm"} for turn in chat("a", "b")["messages"]]})
    manifest = prep(tmp_path, rows)
    assert manifest["unused"] == {"topic": 4, "score": 4, "note": 1, "mood of a turn": 2}
    assert "unused  topic (4 rows)" in manifest["card"]


REFUSED = {
    "a message a row, and no conversation": ([{"role": who, "text": what} for who, what in LONG], "one message a row"),
    "neither names nor values that are known": ([{"tags": ["a", "b"], "name": "x"}], "unknown columns tags, name"),
    "a conversation in two places": (
        [{"conversation_id": n, "role": who, "content": what} for n in (1, 2, 1) for who, what in SHORT],
        "sort the rows by conversation",
    ),
    "turns of unknown keys": ([{"messages": [{"toy_input": U, "toy_output": A}]}] * 3, "turns without a role"),
    "a chat of people": ([{"user": f"U{n % 2}", "text": f"Line {n}."} for n in range(8)], "one message a row"),
    "replies": ([{"text": "Where?", "in_reply_to": ""}, {"text": "There.", "in_reply_to": 1}], "one message a row"),
    "two candidates": (
        [{"conversation_a": turns(SHORT), "conversation_b": turns(SHORT), "judge": "b"}],
        "unknown columns",
    ),
    "a table without names": (
        [{"Where is the first box?": "Who has the key?", "Ada": "Bob"}],
        "put the names above it",
    ),
    "questions only": ([{"messages": turns([SHORT[0]])} for n in range(3)], "3 no assistant turn"),
}


@pytest.mark.parametrize("name", REFUSED)
def test_what_cannot_be_understood_is_refused(tmp_path, capsys, name):
    rows, says = REFUSED[name]
    file = write_jsonl(tmp_path / "x.jsonl", rows)
    assert says in mistake(
        capsys, prep_data.main, ["--dataset", file, "--out_dir", tmp_path / "o", "--train_tokenizer", 260]
    )


def test_each_file_is_looked_at_by_itself(tmp_path):
    for name in ("ChatML", "Guanaco", "HH"):
        write_jsonl(tmp_path / f"{name}.jsonl", [{"text": rendered(name, n + 10 * len(name))} for n in range(4)])
    write_jsonl(tmp_path / "prose.jsonl", [{"text": f"Human: nature, in chapter {n}."} for n in range(4)])
    command = [
        "--dataset",
        tmp_path / "*.jsonl",
        "--out_dir",
        tmp_path / "out",
        "--train_tokenizer",
        260,
        "--num_proc",
        1,
    ]
    prep_data.main([str(argument) for argument in command])
    assert sum("messages" in row for row in rows_of(tmp_path)) == 12
    assert sum("text" in row for row in rows_of(tmp_path)) == 4


Q, A = ("Why {0}?", "How {0}?", "Who {0}?"), ("So {0}.", "As {0}.", "It {0}.")


def rows_like(make) -> list[dict]:
    """Rows of one shape, made of a question and its answer each."""
    return [make(question.format("is it"), answer.format("is"), n) for n, (question, answer) in enumerate(zip(Q, A))]


@pytest.mark.parametrize(
    "make",
    [
        # messages by keys in another spelling, and speakers that are numbers, letters, or true and false
        lambda q, a, n: {"messages": [{"Role": "User", "Content": q}, {"Role": "Assistant", "Content": a}]},
        lambda q, a, n: {"messages": [{"sender_name": "Ann", "content": q}, {"sender_name": "Bob", "content": a}]},
        lambda q, a, n: {"dialog": [{"speaker": 0, "utterance": q}, {"speaker": 1, "utterance": a}]},
        lambda q, a, n: {"dialog": [{"speaker": "A", "text": q}, {"speaker": "B", "text": a}]},
        lambda q, a, n: {"messages": [{"role": "usr", "content": q}, {"role": "sys", "content": a}]},
        lambda q, a, n: {"turns": [{"is_user": True, "text": q}, {"is_user": False, "text": a}]},
        lambda q, a, n: {"messages": [{"role": "end_user", "content": q}, {"role": "support agent", "content": a}]},
        # a text that is one half
        lambda q, a, n: {"text": q, "response": a},
        lambda q, a, n: {"text": q, "label": [a]},
        lambda q, a, n: {"instruction": q, "text": a},
        # names that end like an answer's and are none
        lambda q, a, n: {"the_question": q, "previous_response": "No.", "the_answer": a},
        lambda q, a, n: {"system_prompt": "Be.", "user_prompt": q, "model_response": a},
        lambda q, a, n: {"passage": "", "qas": [{"q": q, "a": a}]},
        # objects inside of rows, and what is no context
        lambda q, a, n: {"inputs": {"question": q}, "outputs": {"answer": a}},
        lambda q, a, n: {"data": {"prompt": q}, "result": {"completion": a}},
        lambda q, a, n: {"instruction": q, "input": "<noinput>", "output": a},
        lambda q, a, n: {"prompt": q, "response": a, "context": [1, 2, 3]},
        lambda q, a, n: {"question": q, "answers": [{"text": "No.", "votes": 1}, {"text": a, "votes": 9}]},
    ],
)
def test_a_question_and_its_answer_in_many_shapes(make, tmp_path):
    prep(tmp_path, rows_like(make))
    found = [[turn["content"] for turn in row["messages"]] for row in rows_of(tmp_path)]
    assert sorted(found) == sorted(list(pair) for pair in rows_like(lambda q, a, n: (q, a)))


@pytest.mark.parametrize(
    "odd",
    [
        {"choices": ["x", "y"], "answer": 1},
        {"question": "Why?", "choices": ["x", "y"], "answer": "²"},
        {"question": [{"type": "image"}], "choices": ["x", "y"], "answer": 0},
        {"question": "Why?", "choices": {"text": ["x", "y"], "label": 5}, "answer": 0},
        {"question": "Why?", "choices": [{"text": "x"}, 3], "answer": 0},
    ],
)
def test_an_odd_row_among_choices_costs_no_other(odd, tmp_path):
    prep(tmp_path, [*rows_like(lambda q, a, n: {"question": q, "choices": ["x", a, "z"], "answer": 1}), odd])
    found = [row["messages"][1]["content"] for row in rows_of(tmp_path)]
    assert set(rows_like(lambda q, a, n: a)) <= set(found)


def test_numbers_are_answers(tmp_path):
    prep(tmp_path, rows_like(lambda q, a, n: {"the_question": q, "final_answer": 40 + n}))
    assert sorted(row["messages"][1]["content"] for row in rows_of(tmp_path)) == ["40", "41", "42"]


@pytest.mark.parametrize(
    "make",
    [
        lambda q, a, n: {"question": q, "choices": ["x", a, "z"], "answer": 1},
        lambda q, a, n: {"question": q, "choices": {"text": ["x", a, "z"], "label": ["A", "B", "C"]}, "answerKey": "B"},
        lambda q, a, n: {"question": q, "options": {"A": "x", "B": a, "C": "z"}, "answer_idx": "B", "answer": a},
        lambda q, a, n: {"question": q, "options": ["A) x", f"B) {a}", "C) z"], "correct": "B"},
        lambda q, a, n: {"Question": q, "A": "x", "B": a, "C": "z", "key": "B"},
        lambda q, a, n: {"stem": q, "option1": "x", "option2": a, "option3": "z", "answer": a},
    ],
)
def test_choices_belong_to_the_question_and_the_answer_is_a_text(make, tmp_path):
    card = prep(tmp_path, rows_like(make))["card"]
    assert "questions with answers to choose from" in card
    found = [[turn["content"] for turn in row["messages"]] for row in rows_of(tmp_path)]
    assert sorted(found) == sorted(rows_like(lambda q, a, n: [f"{q}\n\nA. x\nB. {a}\nC. z", a]))


def test_choices_that_the_question_lists_itself(tmp_path):
    asked = "Where is box {}?\nChoices:\nA. on a shelf\nB. under table {}"
    rows = [{"query": asked.replace("{}", str(n)) + "\nAnswer:", "choices": ["A", "B"], "gold": 1} for n in range(6)]
    prep(tmp_path, rows)
    found = sorted([turn["content"] for turn in row["messages"]] for row in rows_of(tmp_path))
    assert found == [[asked.replace("{}", str(n)), f"under table {n}"] for n in range(6)]


@pytest.mark.parametrize(
    "keys",
    [
        {"conversation_id": "conversation_id", "speaker": "speaker", "text": "text"},
        {"conversation_id": "Conversation ID", "speaker": "Speaker", "text": "Message"},
        {"conversation_id": "chatId", "speaker": "Role", "text": "Content"},
    ],
)
def test_messages_of_conversation_number_0(keys, tmp_path):
    rows = [
        {"conversation_id": n, "speaker": who, "text": said}
        for n, pair in enumerate(rows_like(lambda q, a, n: (q, a)))
        for who, said in zip(("user", "assistant"), pair)
    ]
    prep(tmp_path, [{keys[name]: value for name, value in row.items()} for row in rows])
    assert sorted(len(row["messages"]) for row in rows_of(tmp_path)) == [2, 2, 2]


@pytest.mark.parametrize(
    "asked",
    [
        lambda n: "Who is it in all of the threads?",  # one question, several answers
        lambda n: "".join(f"And what is behind box {k}? " for k in range(n + 1)),  # each with all before it
    ],
)
def test_rows_of_a_thread_that_are_no_conversation(asked, tmp_path):
    rows = [{"thread_id": "t", "prompt": asked(n), "response": f"It is {n}."} for n in range(4)]
    prep(tmp_path, rows, "--duplicates", "keep")
    assert sorted(len(row["messages"]) for row in rows_of(tmp_path)) == [2] * 4


def test_an_id_of_a_whole_file_is_no_conversation(tmp_path):
    rows = [
        {"session_id": 1, "question": f"What is {n}?", "answer": f"It is {n}."} for n in range(3 * prep_data.MOST_PAIRS)
    ]
    prep(tmp_path, rows)
    assert [len(row["messages"]) for row in rows_of(tmp_path)] == [2] * len(rows)


def test_a_row_without_a_best_answer_is_dropped(tmp_path):
    rows = [
        {"prompt": f"Why {n}?", "response_a": f"A{n}.", "response_b": "B.", "winner": "tie" if n else "model_a"}
        for n in range(3)
    ]
    rows += [
        {"prompt": f"Who is {n}?", "response_a": f"A{n}.", "response_b": "B.", "winner": "model_b"} for n in range(3)
    ]
    assert prep(tmp_path, rows)["dropped"] == {"no answer is said to be the best one": 2}


@pytest.mark.parametrize("row", [{"question": "And {}?"}, {"question": "And {}?", "answer": ""}, {"text": None}])
def test_a_validation_split_without_answers_is_none(row, tmp_path):
    (tmp_path / "set").mkdir()
    for name, rows in (("train", [PAIR]), ("test", [row])):
        write_jsonl(tmp_path / f"set/{name}.jsonl", [filled(rows[0], n) for n in range(9)])
    command = ["--dataset", tmp_path / "set", "--out_dir", tmp_path / "out", "--train_tokenizer", 260]
    prep_data.main([str(argument) for argument in command])
    assert len(rows_of(tmp_path)) == 9
    assert rows_of(tmp_path, "val")
    assert "its validation rows hold no answers" in json.loads((tmp_path / "out/manifest.json").read_text())["card"]


def test_what_an_object_holds_takes_nothing_elses_place(tmp_path):
    rows = [
        {
            "source": "web",
            "inputs": {"question": f"What is {n}?", "source": "book"},
            "outputs": {"answer": f"It is {n}."},
        }
        for n in range(4)
    ]
    card = prep(tmp_path, rows)["card"]
    assert " source (4 rows)" in card
    assert "inputs source (4 rows)" in card


def test_what_wraps_the_rows_is_used_or_named(tmp_path):
    rows = [{"question": f"What is {n}?", "answer": f"It is {n}."} for n in range(4)]
    (tmp_path / "x.json").write_text(
        json.dumps({"system_prompt": "Rhyme.", "definition": "Ask and answer.", "data": rows})
    )
    command = ["--dataset", tmp_path / "x.json", "--out_dir", tmp_path / "out", "--train_tokenizer", 260]
    prep_data.main([str(argument) for argument in command])
    assert {row["system"] for row in rows_of(tmp_path)} == {"Rhyme."}
    assert "not used: definition" in json.loads((tmp_path / "out/manifest.json").read_text())["card"]
    rows = [{"input": row["question"], "output": row["answer"]} for row in rows]
    (tmp_path / "x.json").write_text(json.dumps({"instruction": "Find it.", "examples": rows}))
    prep_data.main([str(argument) for argument in [*command, "--overwrite"]])
    assert {row["messages"][0]["content"][:12] for row in rows_of(tmp_path)} == {"Find it.\n\nWh"}


def test_the_newest_message_first(tmp_path):
    rows = [
        {"session_id": n, "role": role, "content": said, "created_at": time}
        for n, (q, a) in enumerate(rows_like(lambda q, a, n: (q, a)))
        for role, said, time in (("assistant", a, "2026-01-01T10:01"), ("user", q, "2026-01-01T10:00"))
    ]
    prep(tmp_path, rows)
    assert [row["messages"][0]["role"] for row in rows_of(tmp_path)] == ["user"] * 3


def test_a_first_row_about_the_others_is_counted(tmp_path):
    rows = [{"version": "1.0", "name": "my set"}, *rows_like(lambda q, a, n: {"question": q, "answer": a})]
    assert prep(tmp_path, rows)["dropped"] == {"unknown columns": 1}
    assert len(rows_of(tmp_path)) == 3


@pytest.mark.parametrize(
    "row",
    [
        {"Role": "User", "Content": "Why?"},
        {"date": "2026-01-01", "author": "Ann", "content": "Why?"},
        {"id": 1, "text": "Why?", "reply_to_message_id": 0, "from_id": "user1"},
    ],
)
def test_messages_that_nothing_joins_are_no_texts(row, tmp_path, capsys):
    name = next(name for name in row if name in ("Role", "author", "from_id"))
    rows = [{**row, name: (row[name], "Assistant")[n % 2]} for n in range(6)]
    file = write_jsonl(tmp_path / "x.jsonl", rows)
    line = mistake(capsys, prep_data.main, ["--dataset", file, "--out_dir", tmp_path / "x", "--train_tokenizer", "260"])
    assert "one message a row" in line


@pytest.mark.parametrize(
    ("row", "hint"),
    [
        ({"ID": 3, "Joke": "Why so? As it is."}, "--columns text=Joke"),
        ({"ticket": "T-12", "the_ask": "Why is it?", "user_answer": "So."}, "user=the_ask"),
        ({"article_id": "q0", "article": "A long one.", "highlights": "One."}, "user=article,assistant=highlights"),
    ],
)
def test_a_hint_names_columns_that_hold_texts(row, hint, tmp_path, capsys):
    file = write_jsonl(tmp_path / "x.jsonl", [row] * 3)
    assert hint in mistake(
        capsys, prep_data.main, ["--dataset", file, "--out_dir", tmp_path / "x", "--train_tokenizer", "260"]
    )


@pytest.mark.parametrize(
    ("text", "turns"),
    [
        ("Hi {0}. __eou__ Hello! __eou__ How are you? __eou__ Well. __eou__", ["Hi {0}.", "Hello!", "How are you?", "Well."]),
        ("hi __eou__ i am {0} __eou__ __eot__ hello __eou__ __eot__", ["hi   i am {0}", "hello"]),
        ("Hi {0}.<eou>Hello!", ["Hi {0}.", "Hello!"]),
        ("Hi {0}. [EOU] Hello! [EOU] Still here?", ["Hi {0}.", "Hello!"]),
    ],
)  # fmt: skip
def test_the_turns_of_a_text_end_with_a_mark(text, turns, tmp_path):
    names = ("Ann", "Bob", "Cem", "Dea")
    card = prep(tmp_path, [{"text": text.format(name)} for name in names])["card"]
    assert "4 lists of texts taken in turn as user and assistant" in card
    found = [[turn["content"] for turn in row["messages"]] for row in rows_of(tmp_path)]
    assert sorted(found) == [[turn.format(name) for turn in turns] for name in names]


@pytest.mark.parametrize(
    "text",
    [
        "L{0} +++$+++ u0 +++$+++ m0 +++$+++ ANN +++$+++ They do not!",
        "text:Hello {0}!\tlabels:Hi.\tepisode_done:True",
        "1 your persona: i like {0}.\n2 hello\thi , how are you ?",
    ],
)
def test_fields_that_only_dialogs_have_are_told(text, tmp_path):
    card = prep(tmp_path, [{"text": text.format(n)} for n in range(4)])["card"]
    assert "look like rendered chats, and are learned as they stand" in card


def test_a_log_among_texts_is_told(tmp_path):
    names = ("Ann", "Bob")
    rows = [{"text": f"[12/03/2026, 10:0{n}:15 PM] {names[n % 2]}: Line {n}."} for n in range(8)]
    assert "begin with names (Ann, Bob) as a chat's do" in prep(tmp_path, rows)["card"]
    rows = [{"text": f"Line {n}.", "user": names[n % 2]} for n in range(8)]
    assert "begin with names" not in prep(tmp_path, rows, "--columns", "text=text")["card"]
    assert len(rows_of(tmp_path)) == 8


def test_a_text_loses_the_end_mark_of_another_format_too(tmp_path):
    prep(tmp_path, [{"text": f"Once upon a time there were {n}.<|endoftext|>"} for n in range(4)])
    assert all(row["text"].endswith(".") for row in rows_of(tmp_path))


@pytest.mark.parametrize(
    "long",
    [
        " " * 300_000 + ">",
        "\n" * 300_000 + "<",
        "<img>" * 60_000,
        "</s> " * 60_000 + "x",
        "} " * 100_000,
        "USER" * 80_000,
    ],
    ids=["spaces", "line ends", "openings", "marks", "braces", "words"],
)
def test_no_text_takes_long(tmp_path, long):
    """What is looked for at an end or inside is looked for once: no time grows with the square of a text's length."""
    began = time.process_time()
    args = prep_data.build_parser().parse_args(["--dataset", "x"])
    args.formats = prep_data.FORMATS
    for row in (
        {"question": long + "?", "answer": long},
        {"text": "[INST] a [/INST] " + long},
        {"messages": f"[{long}]"},
    ):
        with contextlib.suppress(prep_data.Drop):
            prep_data.convert(row, prep_data.Finder(args, prep_data.Tally(), [row]))
    assert time.process_time() - began < 5


NAMES = sorted({name for names in prep_data.FORMATS.values() for spec in names.values() for name in spec.split()})
NAMES += [
    *prep_data.MARKS,
    *prep_data.FOLDED,
    *prep_data.SAID,
    *prep_data.CONVERSATION_ID,
    *prep_data.MESSAGE_ID,
    "tools",
]
LEAVES = [
    None,
    True,
    0,
    -1,
    2.5,
    float("nan"),
    10**30,
    "",
    " ",
    "a",
    "user",
    "tool",
    "Q: a\nA:",
    "[INST] x [/INST] y",
    "<user>",
    "[{",
    "{}",
]
LEAVES += [
    "### Human: a### Assistant: b",
    "[[1, 2]]",
    "[{'from': 'human', 'value': 'x'}]",
    "</s>",
    "\ud800",
    "\0",
    b"\xff",
    "0",
    ">",
    "]",
]


def anything(draw: random.Random, depth: int = 4) -> object:
    kind = draw.random() if depth else 0
    if kind < 0.45:
        return draw.choice(LEAVES)
    if kind < 0.7:
        return [anything(draw, depth - 1) for _ in range(draw.randrange(4))]
    return {draw.choice(NAMES): anything(draw, depth - 1) for _ in range(draw.randrange(5))}


def test_any_rows_are_conversations_texts_or_dropped():
    """3,000 files of made-up nonsense in known names: what is kept is of the contract, and nothing is a traceback."""
    draw, kept = random.Random(0), 0
    args = prep_data.build_parser().parse_args(["--dataset", "x"])
    args.formats = prep_data.FORMATS
    for _ in range(3000):
        rows = [anything(draw) for _ in range(draw.randrange(1, 6))]
        rows = [row for _, row in prep_data.join_messages(("x:1", row) for row in rows)]
        finder = prep_data.Finder(args, prep_data.Tally(), rows)
        for row in rows:
            with contextlib.suppress(prep_data.Drop):
                result = prep_data.convert(row, finder)
                messages = result.get("messages", [])
                assert [turn["role"] for turn in messages] == ["user", "assistant"] * (len(messages) // 2)
                assert all(turn["content"].strip() for turn in messages) if messages else result["text"].strip()
                kept += 1
    assert kept > 100
