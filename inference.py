"""Chat in the terminal with a model that train.py saved, ask it from a script, or score it on a file of questions.

Reads   --model_dir: config.json, model.safetensors, generation_config.json, tokenizer and chat template
Writes  what you ask for (/save FILE, the answers of --prompts_file) and the input history in ~/.local/state/chatbot

    python inference.py --model_dir checkpoints/demo
    python inference.py --model_dir checkpoints/demo --prompts_file data/demo/val.jsonl

Answers go to standard output, all else to standard error, so that pipes stay clean. Loading takes a few seconds, scoring
1,000 questions with the `tiny` model half a minute on two CPU cores. Exit codes: 0 done, 2 a mistake in what was asked
for, 130 interrupted.

Sections 1 to 3 are the lesson: from a folder of weights to an answer on the screen; `main` ends it. Section 4 makes the
same answers come faster. Sections 5 to 8 guard against strange folders, read and write files, score a model, and name the
flags.
"""

from __future__ import annotations

import gc
import os
import signal

if __name__ == "__main__":  # Ctrl-C while the rest still loads ends without a word
    signal.signal(signal.SIGINT, lambda *_: os._exit(130))
    gc.disable()  # nothing of what loads is garbage, and to look at it takes a tenth of the start

import argparse
import atexit
import codecs
import contextlib
import difflib
import functools
import getpass
import importlib.util
import inspect
import itertools
import json
import logging
import math
import platform
import re
import shlex
import shutil
import sys
import sysconfig
import tempfile
import time
import warnings
from collections.abc import Callable, Iterable, Iterator
from pathlib import Path
from typing import NoReturn

# Before torch loads: its threads spin while they wait, and beside a busy program a shorter spin is 5x faster.
os.environ.setdefault("GOMP_SPINCOUNT", "10000")
try:
    getpass.getuser()
except (ImportError, KeyError, OSError):  # no name, as in a container; torch 2.10 names a folder by it as it loads
    os.environ["LOGNAME"] = "nobody"
try:
    tempfile.gettempdir()
except OSError:  # on a full or read-only disk there is none; torch asks for one as it loads, and needs none
    tempfile.tempdir = os.curdir

import torch
import torch.nn.functional as F
import transformers
from safetensors import safe_open
from torch.nn.attention import SDPBackend, sdpa_kernel
from transformers.cache_utils import Cache, DynamicLayer, StaticCache
from transformers.generation import MinPLogitsWarper, RepetitionPenaltyLogitsProcessor, TopPLogitsWarper

ROLES = ("<|system|>", "<|user|>", "<|assistant|>")
DTYPES = {"bf16": torch.bfloat16, "fp16": torch.float16, "fp32": torch.float32}
BOOTSTRAP_SAMPLES = 1000
LARGEST_SCORE = 1e30  # of a token; beyond, settings could make it infinite

# name: (default, meaning), for the flags, generation_config.json and /set
SETTINGS: dict[str, tuple[float, str]] = {
    "temperature": (0.7, "how freely to choose; 0 always takes the likeliest token"),
    "top_k": (50, "choose among this many likeliest tokens; 0 means all"),
    "top_p": (0.9, "choose among the likeliest tokens that hold this share of the probability"),
    "min_p": (0.0, "leave out tokens below this share of the likeliest one's probability"),
    "repetition_penalty": (1.0, "above 1, tokens that have occurred become less likely"),
    "max_new_tokens": (256, "longest answer in tokens; half of the context is left for questions"),
}
RANGES: dict[str, tuple[type, float, float]] = {  # of every number: type, lowest, highest
    "temperature": (float, 0, 100),
    "top_k": (int, 0, 10**9),
    "top_p": (float, 0.001, 1),
    "min_p": (float, 0, 1),
    "repetition_penalty": (float, 0.01, 100),
    "max_new_tokens": (int, 1, 10**9),
    "seed": (int, 0, 2**63 - 1),
    "batch_size": (int, 1, 10**6),
}
GREEDY = {name: default for name, (default, _) in SETTINGS.items()} | {"temperature": 0}


class Mistake(argparse.ArgumentTypeError):
    """What the user can mend: one line in the chat, one line and exit code 2 elsewhere."""


def clean(text: str) -> str:
    """Half of a surrogate pair (a broken pipe, a JSON escape) is no character and no tokenizer takes it: U+FFFD."""
    return re.sub("[\ud800-\udfff]", "\ufffd", text)


def say(text: str, color: str = "2", end: str = "\n") -> None:
    """Print what is no answer: on standard error, dim unless another color is given."""
    text = visible(text)
    colored = sys.stderr.isatty() and not os.environ.get("NO_COLOR")
    sys.stdout.flush()  # where both go to one file, in the order in which they were said
    print(f"\x1b[{color}m{text}\x1b[0m" if colored else text, end=end, file=sys.stderr, flush=True)


def put(text: str = "", end: str = "\n") -> None:
    """Print an answer, or a piece of one; where nobody can read it any more, there is no use in going on."""
    print(text, end=end, flush=True)
    if error := getattr(sys.stdout, "error", None):
        raise error


# ---------------------------------------------------------------------------------------------------------
# 1 The chatbot: a model, what fits into it, and an answer token by token


class Chatbot:
    """A model, its tokenizer, and a cache of the keys and values of the ids that it has read.

    An id is a token, a word or a piece of one, by its number. To say what comes next, each layer looks back at all ids so
    far, by a key and a value of each. Kept, they need not be made again: a token more costs the work of one.
    """

    def __init__(self, model_dir: str, device: str, dtype: str, quantize: str | None, compile: bool):
        self.name = model_dir
        self.device = device if device != "auto" else "cuda" if torch.cuda.is_available() else "cpu"
        if self.device == "cuda" and not torch.cuda.is_available():
            raise Mistake("--device cuda: torch finds no such device here; --device cpu computes without it")
        if compile and (lacking := why_no_compile(self.device)):
            say(f"--compile needs {lacking}: going on without")
            compile = False
        self.load(dtype, quantize)
        self.check()
        with reading(Path(model_dir), "config.json", *WEIGHTS):
            self.prepare(quantize, compile)

    def load(self, dtype: str, quantize: str | None) -> None:
        """Read the folder, which may be a stranger's: no network, no pickle, no code of its own, no question."""
        folder, only_read = Path(self.name), {"local_files_only": True, "trust_remote_code": False}
        self.advice = f"train one: python train.py --data_dir data --model_dir {quoted(folder)}"
        n_tensors = look_at(folder, self.advice)
        if quantize and not importlib.util.find_spec("bitsandbytes"):
            raise Mistake("--quantize needs a package: pip install bitsandbytes")
        kind = choose_dtype(dtype, self.device, quantize)
        options = {"dtype": kind, "use_safetensors": True, "attn_implementation": "sdpa"} | only_read
        if quantize:
            how = {"load_in_8bit": True} if quantize == "int8" else {"load_in_4bit": True, "bnb_4bit_quant_type": "nf4"}
            how["bnb_4bit_compute_dtype"] = kind
            options |= {"quantization_config": transformers.BitsAndBytesConfig(**how), "device_map": {"": self.device}}
        with reading(folder, "config.json"):
            config = transformers.AutoConfig.from_pretrained(folder, **only_read)
            take_rope_parameters(config)
            if config.num_hidden_layers > n_tensors:  # building so many would take for ever
                raise ValueError(f"{config.num_hidden_layers} layers are more than the weights have")
        with reading(folder, *TOKENIZER):
            self.tokenizer = tokenizer_class(folder).from_pretrained(self.name, config=config, **only_read)
        self.defaults = {}
        if (folder / "generation_config.json").is_file():
            with reading(folder, "generation_config.json"):
                transformers.GenerationConfig.from_pretrained(folder, local_files_only=True)
                self.defaults = json.loads((folder / "generation_config.json").read_text(encoding="utf-8"))
        with reading(folder, "config.json", *WEIGHTS):
            self.model, info = transformers.AutoModelForCausalLM.from_pretrained(
                self.name, config=config, output_loading_info=True, **options
            )
            self.model = (self.model if quantize else self.model.to(self.device)).eval()
            self.model.generation_config = transformers.GenerationConfig()  # the folder's wishes are in the settings
            see_that_it_is_whole(self.model, info, self.advice)

    def check(self) -> None:
        """Refuse what would answer nonsense: a model that was never taught to chat, or whose parts do not fit."""
        folder, vocabulary = Path(self.name), self.tokenizer.get_vocab()
        if not self.tokenizer.chat_template:
            raise Mistake(f"{quoted(folder)} is no chat model: its tokenizer has no chat template; {self.advice}")
        # another's breaks up no control strings, and puts what it likes around a message
        self.is_ours = has_template_of_prep_data(self.tokenizer)
        with reading(folder, "tokenizer.json", "config.json"):
            if self.tokenizer.eos_token_id is None or max(vocabulary.values()) >= self.model.config.vocab_size:
                raise ValueError("there is no token that ends an answer, or there are more tokens than embeddings")
        with reading(folder, "chat_template.jinja", "tokenizer_config.json"):
            special = [token.content for token in self.tokenizer.added_tokens_decoder.values() if token.special]
            self.control = [] if self.is_ours else special  # what a message must not hold
            if any(len(token) < 3 or re.search(r"\s", token) for token in self.control):
                raise ValueError("a text could fake its special tokens")
            turns = [{"role": "user", "content": ""}, {"role": "assistant", "content": ""}]
            self.markup = {*self.ids("", turns)}
            if self.tokenizer.eos_token_id not in self.markup:
                end = f"a rendered conversation has no end token {self.tokenizer.eos_token!r}"
                raise ValueError(f"{end}, as in a base that was never taught to chat")

    def prepare(self, quantize: str | None, compile: bool) -> None:
        """Look up once what every answer needs, make the single step fast, and see that it works."""
        config, self.n_parameters = self.model.config, self.model.num_parameters()
        self.n_positions, self.end = config.max_position_embeddings, self.tokenizer.eos_token_id
        parameters = inspect.signature(self.model.forward).parameters  # transformers 5.24 renamed it
        self.cache_argument = "cache" if "cache" in parameters else "past_key_values"
        # what an answer must not contain: role tokens, or the assistant would go on and play the user as well
        self.banned = torch.ones(config.vocab_size, dtype=torch.bool, device=self.device)
        self.banned[[*self.tokenizer.get_vocab().values()]] = False  # what is no token's is padding of the embedding
        special = [i for i, token in self.tokenizer.added_tokens_decoder.items() if token.special and i != self.end]
        roles = [id for token, id in self.tokenizer.get_vocab().items() if token in ROLES]
        self.banned[special + roles] = True  # an answer is text, and ends
        rendered = self.tokenizer.apply_chat_template([{"role": "user", "content": ""}], tokenize=False)
        own = rendered.partition("<|user|>")[0].replace("<|system|>", "")  # the template's own
        self.system = own if self.is_ours else ""
        self.packed = can_be_packed(self.model) and not quantize and not compile
        if self.packed:
            pack(self.model)
        self.step = torch.compile(self.model.forward, mode="reduce-overhead") if compile else None
        self.cache: Cache | None = None
        self.forget()
        if not list(self.generate(sorted(self.markup), GREEDY | {"max_new_tokens": 1}, torch.Generator())):
            raise ValueError(f"its {self.n_positions} positions leave no room for an answer")
        self.forget()

    @torch.inference_mode()
    def forget(self) -> None:
        """Empty the cache; --compile wants one of fixed size, and the same one for as long as the program runs."""
        config, self.cached_ids = self.model.config, []
        if self.step and self.cache:
            self.cache.reset()
        elif self.step:
            self.cache = StaticCache(config=config, max_cache_len=self.n_positions)
        else:
            self.cache = Cache(layers=[RoomyLayer(self.n_positions) for _ in range(config.num_hidden_layers)])

    def ids(self, system: str, turns: list[dict], **options) -> list[int]:
        """A conversation's ids. The template defuses control strings in it; options: add_generation_prompt."""
        # the template of training: a prompt begins, id for id, as a row does that the model was trained on
        messages = [{"role": "system", "content": system}, *turns]
        messages = messages if self.is_ours else for_a_strangers_template(messages, self.control)
        return self.tokenizer.apply_chat_template(messages, tokenize=True, return_dict=False, **options)

    def fit(self, system: str, turns: list[dict], max_new_tokens: int) -> tuple[list[int], list[dict], str]:
        """Prompt ids that leave room for the answer, the turns that are in them, and a word on what had to go or "".

        The oldest pairs of turns go first; a last message too long by itself loses its end.
        """
        # the model knows so many positions and no more; the answer may have up to half of them
        room = self.n_positions - min(max_new_tokens, self.n_positions // 2)
        prompt = functools.partial(self.ids, system, add_generation_prompt=True)
        before, ids, note = len(turns), prompt(turns), ""
        while len(ids) > room and len(turns) > 1:
            # a question goes with its answer: training has never seen a conversation that begins with an answer
            turns = turns[2:]
            ids = prompt(turns)
        if len(turns) < before:
            note = f"[the context is full: the oldest {before - len(turns)} messages are forgotten]"
        if len(ids) > room:
            empty = prompt([{"role": "user", "content": ""}])
            begin = next((i for i, pair in enumerate(zip(ids, empty)) if pair[0] != pair[1]), len(empty))
            keep, too_long = room - len(empty), len(ids) - len(empty)
            note = f"[your message is too long: of its {too_long:,} tokens only the first {max(keep, 0):,} are read]"
            while len(ids) > room and keep > 0:  # its ids stand between <|user|> and the closing <|assistant|>
                text = self.tokenizer.decode(ids[begin : begin + keep]).rstrip("\ufffd")
                turns, keep = [{"role": "user", "content": text}], keep - 1
                ids = prompt(turns)
            if len(ids) > room:
                raise Mistake(f"the system prompt fills the {self.n_positions} positions; give a shorter one (/system)")
        return ids, turns, note

    def not_cached(self, prompt: list[int]) -> list[int]:
        """The end of the prompt that the cache does not hold; what the cache holds besides the rest is cut off."""
        # of the prompt at least the last id is run again, for it says what comes next
        shared = len(list(itertools.takewhile(lambda x: x[0] == x[1], zip(self.cached_ids, prompt[:-1]))))
        if shared == 0 or (self.step and shared != int(self.cache.get_seq_length())):
            self.forget()
            shared = 0
        elif not self.step:  # cut even at full length: Ctrl-C may have left some layers longer than others
            for layer in self.cache.layers:
                layer.keys, layer.values = layer.keys[:, :, :shared], layer.values[:, :, :shared]
        self.cached_ids = self.cached_ids[:shared]
        return prompt[shared:]

    @torch.inference_mode()
    def generate(self, prompt: list[int], settings: dict, generator: torch.Generator) -> Iterator[int]:
        """Yield the answer's ids, the closing `<|endoftext|>` included. Only what is not in the cache is run."""
        self.times = [time.perf_counter()]  # of the start and of every token
        new = self.not_cached(prompt)
        words = [token for token in prompt if token not in self.markup]  # a role token is no repetition
        for _ in range(min(settings["max_new_tokens"], self.n_positions - len(prompt))):
            forward = self.step if self.step and len(new) == 1 else self.model  # compiled for one shape, a token
            # at first all that is new in the prompt, then token by token; what the last place says is what counts
            inputs = torch.tensor([new], device=self.device)
            options = {self.cache_argument: self.cache, "use_cache": True, "logits_to_keep": 1}
            # for one bf16 token on a CPU the plain formula takes half as long as the fused kernel
            plain = self.packed and len(new) == 1 and self.model.dtype is torch.bfloat16
            with sdpa_kernel(SDPBackend.MATH) if plain else contextlib.nullcontext():
                logits = forward(inputs, **options).logits[0, -1]
            self.cached_ids += new
            new = [choose(self.speakable(inputs, logits), words, settings, generator)]
            words += new
            self.times.append(time.perf_counter())
            yield new[0]
            if new[0] == self.end:
                return

    def speakable(self, ids: torch.Tensor, logits: torch.Tensor) -> torch.Tensor:
        """The logits (..., V) behind `ids`, with -inf for what no answer may contain."""
        if not (logits.abs() < LARGEST_SCORE).all():  # as NaN never is
            raise Mistake(f"{self.name}: the model's scores are no numbers in {self.model.dtype}; try --dtype fp32")
        return logits.float().masked_fill(self.banned, -math.inf)

    def text(self, ids: Iterable[int]) -> Iterator[str]:
        """Ids to text as they come, in whole characters: half an emoji waits for its other half."""
        pending, shown, decoded = [], 0, ""
        for token in ids:
            if token == self.end:
                break
            pending.append(token)
            # a token is a few bytes, and bytes that are no whole character yet decode to U+FFFD
            decoded = self.tokenizer.decode(pending, clean_up_tokenization_spaces=False)
            whole = decoded.rstrip("\ufffd")
            yield whole[shown:]
            shown = len(whole)
            if whole == decoded:
                pending, shown, decoded = [], 0, ""
        yield decoded[shown:]


def choose(logits: torch.Tensor, words: list[int], settings: dict, generator: torch.Generator) -> int:
    """The next id, given logits (V,) and the ids of what has been said so far, markup left out."""
    # small models repeat themselves: what was said once may be made less likely
    if settings["repetition_penalty"] != 1 and words:
        seen = torch.tensor([words], device=logits.device)
        logits = RepetitionPenaltyLogitsProcessor(settings["repetition_penalty"])(seen, logits[None])[0]
    # The logits are scores, one for each token of the vocabulary; softmax makes probabilities of them.
    # The temperature divides them: below 1 likely tokens become likelier still, and at 0 the likeliest is taken.
    if settings["temperature"] == 0:
        return int(logits.argmax())
    # Drawn is from the top_k likeliest; of them from the fewest that have the share top_p together; from none that is less
    # likely than min_p times the likeliest.
    # The shortlist first: to sort 50 tokens instead of 50,000 saves milliseconds at every step.
    scores, tokens = logits.topk(min(settings["top_k"] or len(logits), len(logits)))
    # the best one's score is 0 now, so that no temperature, however low, makes it infinite
    scores = (scores - scores[0])[None].cpu() / max(settings["temperature"], 1e-6)
    for name, warper in (("top_p", TopPLogitsWarper), ("min_p", MinPLogitsWarper)):
        if settings[name] != {"top_p": 1, "min_p": 0}[name]:
            scores = warper(settings[name])(None, scores)
    return int(tokens[torch.multinomial(scores.softmax(-1), 1, generator=generator)[0, 0]])


# ---------------------------------------------------------------------------------------------------------
# 2 The conversation: what was said, the commands, the terminal


class Chat:
    """A conversation, and the commands that act on it."""

    def __init__(self, bot: Chatbot, settings: dict, system: str, generator: torch.Generator, interactive: bool):
        self.bot, self.settings, self.system, self.generator = bot, settings, system, generator
        # the model remembers nothing from question to question: these turns, read again each time, are its memory
        self.interactive, self.turns, self.forgotten = interactive, [], 0  # the first turns that no longer fit
        self.draft = ""  # what the next prompt begins with
        self.file: Path | None = None  # what /save has written or /load has read, and may write again

    def ask(self, text: str) -> None:
        """Stream the answer to standard output; question and answer, or what there is of it, join the conversation."""
        question, limit = {"role": "user", "content": clean(text)}, self.settings["max_new_tokens"]
        ids, kept, note = self.bot.fit(self.system, [*self.turns[self.forgotten :], question], limit)
        pieces: list[str] = []
        show = functools.partial(print, flush=True) if self.interactive else put
        if note:
            say(note)
        if self.interactive:
            say("Assistant: ", "1;32", end="")
        try:
            for piece in self.bot.text(self.bot.generate(ids, self.settings, self.generator)):
                pieces.append(piece)
                show(visible(piece), end="")
        except KeyboardInterrupt:
            if not self.interactive:
                raise
            say(" [stopped]", end="")  # what there is of the answer stays in the conversation
        self.forgotten = len(self.turns) + 1 - len(kept)
        self.turns = [*self.turns, kept[-1], {"role": "assistant", "content": "".join(pieces)}]
        show()
        start, *times = self.bot.times
        if self.interactive and len(times) > 1:
            speed = (len(times) - 1) / (times[-1] - times[0])
            used = f"{len(ids) + len(times):,}/{self.bot.n_positions:,} tokens"
            say(f"[{used}, {speed:.1f} tokens/s, the first after {times[0] - start:.2f} s]")

    def ask_again(self, text: str = "") -> None:
        """In the place of the last question, or the same once more; where that is not answered, all stays as it was."""
        before = self.turns, self.forgotten
        question = self.take_back()
        try:
            self.ask(text or question)
        except BaseException:
            self.turns, self.forgotten = before
            raise

    def reset(self, _: str) -> None:
        self.turns, self.forgotten = [], 0
        say("a new conversation")

    def take_back(self) -> str:
        if not self.turns:
            raise Mistake("nothing has been said yet")
        question, self.turns = self.turns[-2]["content"], self.turns[:-2]
        self.forgotten = min(self.forgotten, len(self.turns))
        return question

    def edit(self, text: str) -> None:
        if text:
            self.ask_again(text)
        else:
            self.draft = self.take_back()

    def set_system(self, text: str) -> None:
        self.system = "" if text == '""' else clean(text) or self.bot.system
        say(f"system prompt: {self.system or 'none'}")

    def set(self, text: str) -> None:
        name, _, value = text.replace(" ", "").partition("=")
        if name not in SETTINGS:
            raise Mistake(f"/set takes NAME=VALUE; the names are {', '.join(SETTINGS)}")
        self.settings[name] = parse_setting(name, value)
        say(f"{name} = {self.settings[name]}")

    def show(self, _: str) -> None:
        say(f"{quoted(self.bot.name)}: " + ", ".join(f"{name}={value}" for name, value in self.settings.items()))
        for turn in [{"role": "system", "content": self.system}, *self.turns]:
            say(f"{turn['role']}: {turn['content']}")

    def tokens(self, _: str) -> None:
        used = len(self.bot.ids(self.system, self.turns[self.forgotten :]))
        say(
            f"{used:,} of {self.bot.n_positions:,} tokens; {len(self.turns)} messages, {self.forgotten} of them forgotten"
        )

    def save(self, name: str) -> None:
        if not name or not self.turns:
            raise Mistake("nothing to save yet" if name else "/save takes a file name")
        path = typed_path(name)
        with file_mistakes(path):
            if os.path.lexists(path) and path != self.file:
                raise Mistake(f"{quoted(path)} exists; choose another name")
            write_lines(path, [json_line({"system": self.system, "messages": self.turns})])
        self.file = path
        say(f"saved {len(self.turns)} messages in {quoted(path)}")

    def load(self, name: str) -> None:
        if not name:
            raise Mistake("/load takes a file name")
        path = typed_path(name)
        with file_mistakes(path):
            if path.exists() and not path.is_file():
                raise Mistake(f"{quoted(path)} is no file")
        rows = [read_row(*row, self.bot.system) for row in itertools.islice(rows_in(path), 2)]
        if len(rows) != 1 or rows[0] is None or rows[0][1][-1]["role"] != "assistant":
            raise Mistake(f"{quoted(path)} holds no single conversation that ends with an answer, as /save writes it")
        (self.system, self.turns), self.forgotten, self.file = rows[0], 0, path
        say(f"{len(self.turns)} messages from {quoted(path)}")

    def help(self, _: str) -> None:
        for name, (_, argument, meaning) in COMMANDS.items():
            say(f"{name + ' ' + argument:<18} {meaning}")
        say("Alt-Enter, or \\ at the end of a line, begins a new line. Ctrl-C stops an answer, Ctrl-D leaves.")
        say("A message that begins with / needs a space in front.")

    def exit(self, _: str) -> NoReturn:
        raise EOFError


COMMANDS: dict[str, tuple[Callable[[Chat, str], object], str, str]] = {
    "/reset": (Chat.reset, "", "begin a new conversation"),
    "/retry": (lambda chat, _: chat.ask_again(), "", "answer the last question again"),
    "/undo": (lambda chat, _: say(f"taken back: {chat.take_back()}"), "", "take back the last question and its answer"),
    "/edit": (Chat.edit, "[TEXT]", "change the last question and ask it again"),
    "/system": (Chat.set_system, "[TEXT]", 'change the system prompt; "" for none, nothing for the model\'s own'),
    "/set": (Chat.set, "NAME=VALUE", "change a setting, such as temperature=0.7"),
    "/show": (Chat.show, "", "show the settings and the conversation"),
    "/tokens": (Chat.tokens, "", "show how much of the context is used"),
    "/save": (Chat.save, "FILE", "write the conversation as a row of training data"),
    "/load": (Chat.load, "FILE", "go on with a saved conversation"),
    "/help": (Chat.help, "", "show this list"),
    "/exit": (Chat.exit, "", "leave"),
}


def terminal_reader(chat: Chat) -> Callable[[], str]:
    """A function that reads a message from the terminal, with line editing, history, completion and several lines."""
    from prompt_toolkit import ANSI, PromptSession, completion, history, key_binding, output, shortcuts

    class History(history.FileHistory):
        """What was typed, as long as the file can be read and written; the chat goes on without."""

        def load_history_strings(self) -> Iterable[str]:
            with contextlib.suppress(OSError):
                return list(super().load_history_strings())
            return []

        def store_string(self, string: str) -> None:
            with contextlib.suppress(OSError):
                super().store_string(clean(string))

    past = None
    with contextlib.suppress(OSError, RuntimeError, KeyError):  # no home, or one that cannot be written
        state = Path(os.environ.get("XDG_STATE_HOME") or Path.home() / ".local/state") / "chatbot"
        state.mkdir(mode=0o700, parents=True, exist_ok=True)
        (state / "history").touch(mode=0o600)
        past = History(str(state / "history")) if (state / "history").is_file() else None
    keys = key_binding.KeyBindings()

    @keys.add("enter")
    def enter(event) -> None:
        buffer = event.current_buffer
        if buffer.document.is_cursor_at_the_end and buffer.text.endswith("\\"):
            buffer.delete_before_cursor()
            buffer.insert_text("\n")
        else:
            buffer.validate_and_handle()

    keys.add("escape", "enter")(lambda event: event.current_buffer.insert_text("\n"))
    session: PromptSession = PromptSession(
        ANSI("User: " if os.environ.get("NO_COLOR") else "\x1b[1;36mUser: \x1b[0m"),
        multiline=True,  # with Enter as above, so that a pasted text is one message
        key_bindings=keys,
        history=past,
        completer=completion.WordCompleter(list(COMMANDS), sentence=True),
        complete_while_typing=False,
        complete_style=shortcuts.CompleteStyle.READLINE_LIKE,
        output=output.create_output(sys.stderr),
    )

    def read() -> str:
        draft, chat.draft = chat.draft, ""
        try:
            return session.prompt(default=draft)
        except KeyboardInterrupt:
            if session.default_buffer.text:
                return ""  # as in a shell, the line is given up
            raise
        except OSError:  # the terminal is gone
            raise EOFError from None

    return read


def converse(chat: Chat, read: Callable[[], str]) -> None:
    """Read and act until the end of input or /exit. On a terminal no mistake and no single Ctrl-C ends the chat."""
    asked = False
    while True:
        try:
            line = read().rstrip("\r\n")
            asked = False
            name, _, argument = line.partition(" ")
            if name in COMMANDS:
                COMMANDS[name][0](chat, argument.strip())
            elif line.startswith("/"):  # rather a mistyped command than a question
                near = difflib.get_close_matches(name[:20], COMMANDS, 3, 0.5) or ["/help"]
                raise Mistake(f"unknown command {name[:40]}; did you mean {' or '.join(near)}?")
            elif line.strip():
                chat.ask(line)
        except (EOFError, StopIteration):
            return
        except (Mistake, torch.OutOfMemoryError) as mistake:
            if not chat.interactive:
                raise
            say(str(mistake), "31")
        except KeyboardInterrupt:
            if not chat.interactive:
                raise
            if asked:
                return
            asked = True
            say("press Ctrl-C again or type /exit to leave")


# ---------------------------------------------------------------------------------------------------------
# 3 The run: which of the ways to ask is wanted


def run(args: argparse.Namespace) -> None:
    look_for_contradictions(args)
    how = {name: getattr(args, name) for name in ("device", "dtype", "quantize", "compile")}
    load = functools.partial(Chatbot, **how)
    bot = load(args.model_dir)
    gc.freeze()  # nor does it become any: to look at it again, at the exit too, takes a quarter of a short call
    gc.enable()
    flags = {name: getattr(args, name) for name in SETTINGS} | ({"temperature": 0.0} if args.greedy else {})
    settings = {}
    with reading(Path(bot.name), "generation_config.json"):
        for name, (default, _) in SETTINGS.items():  # the first that is given
            given = [value for value in (flags[name], bot.defaults.get(name), default) if value is not None]
            settings[name] = number(name, str(given[0]))
    generator = torch.Generator()
    generator.manual_seed(args.seed) if args.seed is not None else generator.seed()
    interactive = sys.stdin.isatty() and sys.stderr.isatty() and args.prompt is None and not args.jsonl
    chat = Chat(bot, settings, bot.system if args.system is None else clean(args.system), generator, interactive)
    if args.prompts_file:
        bots, source = [bot, *([load(args.compare)] if args.compare else [])], Path(args.prompts_file)
        out = Path(args.out or Path(args.model_dir) / f"answers-{source.stem}.jsonl")
        score_sheet(bots, source, chat.system, settings["max_new_tokens"], args.batch_size, out)
    elif args.prompt is not None:
        chat.ask(args.prompt)
    elif interactive:
        say(
            f"{quoted(bot.name)}: {bot.n_parameters:,} parameters, {bot.model.dtype}, {bot.device}. /help lists the commands."
        )
        converse(chat, terminal_reader(chat))
    else:
        sys.stdin.reconfigure(encoding="utf-8-sig", errors="replace")  # a byte order mark is no text
        answer_rows(chat) if args.jsonl else converse(chat, lambda: next(sys.stdin))


def main(argv: list[str] | None = None) -> None:
    guard_streams()
    try:
        args = build_parser().parse_args(argv)
        warnings.simplefilter("ignore")
        transformers.utils.logging.set_verbosity_error()
        transformers.utils.logging.disable_progress_bar()
        logging.getLogger("bitsandbytes").setLevel(logging.ERROR)  # it says a line for every layer and token
        sys.stdout.reconfigure(encoding="utf-8")
        run(args)
        if sys.stdout.error:
            raise sys.stdout.error
    except Mistake as mistake:
        fail(str(mistake))
    except KeyboardInterrupt:
        raise SystemExit(130) from None
    except torch.OutOfMemoryError:
        fail("the GPU's memory is full; try a smaller --batch_size, --quantize int8 or --device cpu")
    except OSError as error:
        if error is not sys.stdout.error:
            raise
        if not isinstance(error, BrokenPipeError):  # else `| head` has seen enough
            fail(f"the answers cannot be written: {error.strerror}")


# ---------------------------------------------------------------------------------------------------------
# 4 Faster and smaller: the number format, a cache with room, packed weights. To understand chat, skip it


@functools.cache  # the second model of --compare computes as the first does
def cpu_speeds() -> tuple[float, float]:
    """FLOP/s of one thread in (float32, bfloat16), in 0.1 s.

    AVX-512 with bf16 units multiplies bf16 twice as fast as float32, other CPUs at a half to a hundredth of its speed, and
    the name of an instruction set does not tell. One thread, since several wait for one another on a busy machine.
    """
    n_threads, size, speeds = torch.get_num_threads(), 256, []
    torch.set_num_threads(1)
    for dtype in (torch.float32, torch.bfloat16):
        a, products = torch.ones(size, size, dtype=dtype), []
        while len(products) < 2 or sum(products) < 0.03:  # seconds; the first product prepares the kernel
            start = time.perf_counter()
            a @ a
            products.append(time.perf_counter() - start)
        speeds.append(2 * size**3 / min(products))
    torch.set_num_threads(n_threads)
    return speeds[0], speeds[1]


def choose_dtype(wanted: str, device: str, quantize: str | None) -> torch.dtype:
    """The number format asked for; unasked bf16 where the hardware multiplies it faster than float32. A CPU that is
    slower in bf16 computes in float32 even when asked for bf16: up to a hundred times slower, it would seem to hang."""
    if device == "cuda":  # GPUs before the RTX 30 series have bf16 only by emulation, which is slow
        unasked = torch.bfloat16 if torch.cuda.is_bf16_supported(including_emulation=False) else torch.float32
    elif quantize:  # unpacked into bf16, half as many bytes, the weights are read sooner on a CPU without bf16 as well
        unasked = torch.bfloat16
    elif device == "cpu" and wanted in ("auto", "bf16"):
        fp32, bf16 = cpu_speeds()
        if wanted == "bf16" and bf16 <= fp32:
            say(f"bf16 is {fp32 / bf16:.2g} times slower than float32 on this CPU: the model runs in float32")
        return torch.bfloat16 if bf16 > fp32 else torch.float32
    else:
        unasked = torch.float32
    return DTYPES.get(wanted, unasked)


def why_no_compile(device: str) -> str | None:
    """What torch.compile lacks here to make code for the device, and the command that brings it, or None."""
    on_gpu = device == "cuda"
    if on_gpu and torch.cuda.get_device_capability() < (7, 0):
        return "a GPU of compute capability 7.0 or more"
    if on_gpu and not importlib.util.find_spec("triton"):
        return "the package triton (pip install triton)"
    chosen, usual = ("CC", ["gcc", "clang"]) if on_gpu else ("CXX", ["g++"])
    if not any(map(shutil.which, [os.environ[chosen]] if chosen in os.environ else usual)):
        return f"a {'C' if on_gpu else 'C++'} compiler (sudo apt install {usual[0]})"
    headers = sysconfig.get_paths("posix_prefix")["include"]  # Debian's own scheme names another folder
    return None if Path(headers, "Python.h").exists() else "the headers of Python (sudo apt install python3-dev)"


class RoomyLayer(DynamicLayer):
    """A layer's keys and values (1, heads, T, head size) in buffers with room to spare, so that a step writes one row,
    where DynamicLayer copies them all. They grow with the chat: 8,192 positions may take more than the weights."""

    def __init__(self, room: int):
        super().__init__()
        self.room, self.is_initialized = room, True
        self.keys = self.values = torch.empty(1, 1, 0, 1)

    def update(self, key_states: torch.Tensor, value_states: torch.Tensor, *args, **kwargs):
        start, new = self.keys.shape[2], (key_states, value_states)
        end = start + key_states.shape[2]
        if start == 0 or end > self.buffers[0].shape[2]:
            room, old = min(self.room, max(1024, 2 * end)), (self.keys, self.values)
            self.buffers = [x.new_empty(*x.shape[:2], max(room, end), x.shape[3]) for x in new]
            for buffer, x in zip(self.buffers, old if start else ()):
                buffer[:, :, :start] = x
        for buffer, x in zip(self.buffers, new):
            buffer[:, :, start:end] = x
        self.keys, self.values = (buffer[:, :, :end] for buffer in self.buffers)
        return self.keys, self.values


class PackedLinear(torch.nn.Module):
    """A linear layer with its weight (out, in) as oneDNN's kernel for x86 wants it; a single token is 1.5x faster."""

    def __init__(self, weight: torch.Tensor, bias: torch.Tensor | None):
        super().__init__()
        self.weight, self.bias = torch.ops.mkldnn._reorder_linear_weight(weight.contiguous(), 1), bias

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return torch.ops.mkldnn._linear_pointwise(x, self.weight, self.bias, "none", [], "")


def can_be_packed(model: torch.nn.Module) -> bool:
    """oneDNN has the kernel for x86: in float32, and in bf16 where the processor has instructions for it."""
    if model.device.type != "cpu" or platform.machine() not in ("x86_64", "AMD64"):
        return False
    is_bf16 = model.dtype == torch.bfloat16 and torch.ops.mkldnn._is_mkldnn_bf16_supported()
    return torch.backends.mkldnn.is_available() and (is_bf16 or model.dtype == torch.float32)


LEAST_PACKED = 500_000  # weights; a call of the kernel costs more than the product of a thin layer


def pack(model: torch.nn.Module) -> None:
    """Put PackedLinear in the place of every linear layer that is no thin one."""
    for module in list(model.modules()):
        for name, child in module.named_children():
            is_linear = isinstance(child, (torch.nn.Linear, transformers.pytorch_utils.Conv1D))  # Conv1D's is (in, out)
            if is_linear and child.weight.numel() > LEAST_PACKED:
                weight = child.weight.data if isinstance(child, torch.nn.Linear) else child.weight.data.T
                setattr(module, name, PackedLinear(weight, child.bias))


# ---------------------------------------------------------------------------------------------------------
# 5 A model folder, which may be a stranger's: read whole or refused


# what transformers reads from a model folder
WEIGHTS = ("model.safetensors", "model.safetensors.index.json")
TOKENIZER = ("tokenizer.json", "tokenizer_config.json", "special_tokens_map.json", "added_tokens.json", "vocab.json")
TEXTS = ("config.json", "generation_config.json", "chat_template.jinja", WEIGHTS[1], *TOKENIZER)
CONVERT = (
    "import sys, transformers as t; t.AutoModelForCausalLM.from_pretrained(sys.argv[1]).save_pretrained(sys.argv[1])"
)


@contextlib.contextmanager
def reading(folder: Path, *names: str) -> Iterator[None]:
    """Whatever goes wrong inside is one line that names the files it stands in: what a file of a stranger's makes a
    library raise is in nobody's list."""
    try:
        yield
    except (Mistake, torch.OutOfMemoryError):  # the latter says nothing of the folder
        raise
    except Exception as error:
        there = ", ".join(name for name in names if (folder / name).exists())
        why = str(error) or type(error).__name__
        if "ignore_mismatched_sizes" in why or "size mismatch" in why:  # of transformers 5 and 4
            why = "a weight has another shape than config.json says"
        raise Mistake(f"cannot load {quoted(folder)}: {there}: {' '.join(why.split())[:200]}") from None


def look_at(folder: Path, advice: str) -> int:
    """Refuse, before a library opens it, what is no model and what leads out of JSON, template and safetensors.

    Returns the number of weights.
    """
    if not (folder / "config.json").is_file() or not any(folder.glob("model*.safetensors")):
        pickles = [file.name for file in folder.glob("*.bin")]
        if pickles:  # a pickle can run code
            advice = f"{pickles[0]} is a pickle; if you trust it: python -c '{CONVERT}' {quoted(folder)}"
        raise Mistake(f"no model in {quoted(folder)} (config.json and model.safetensors); {advice}")
    for name in filter(lambda name: (folder / name).exists(), TEXTS):
        with reading(folder, name):
            text = (folder / name).read_bytes().decode("utf-8") if (folder / name).is_file() else ""
            content = json.loads(text) if name.endswith(".json") else {}
            if not text or not isinstance(content, dict):
                raise ValueError("it holds no JSON object")
            shards = content["weight_map"].values() if name.endswith(".index.json") else ()
            if not all(shard.endswith(".safetensors") and Path(shard).name == shard for shard in shards):
                raise ValueError("it names files that are no safetensors of this folder")
    if (folder / "adapter_config.json").exists():  # transformers would load the model that it names
        raise Mistake(f"{quoted(folder)} holds an adapter (adapter_config.json); merge it with its model first")
    with reading(folder, *WEIGHTS):
        return sum(len(safe_open(file, "pt").keys()) for file in folder.glob("model*.safetensors"))


def take_rope_parameters(config) -> None:
    """What transformers 5 writes of RoPE, under the names of 4: that does not know `rope_parameters`, and takes 10,000 for
    `rope_theta` without a word."""
    rope = getattr(config, "rope_parameters", None)
    if not rope or int(transformers.__version__.split(".")[0]) > 4:
        return
    if "rope_theta" not in rope:  # one for each kind of layer
        raise ValueError("its rope_parameters want transformers 5; pip install --upgrade transformers")
    config.rope_theta = rope["rope_theta"]
    if rope.get("rope_type", "default") != "default":
        config.rope_scaling = {key: value for key, value in rope.items() if key != "rope_theta"}


def tokenizer_class(folder: Path) -> type:
    """The class that its folder names, which is not always AutoTokenizer's choice: transformers 5.24 cuts words as Qwen2's
    beside any qwen2 model, and 4 does not know what 5 calls TokenizersBackend."""
    said = folder / "tokenizer_config.json"
    name = json.loads(said.read_text(encoding="utf-8")).get("tokenizer_class") if said.is_file() else None
    general = ("PreTrainedTokenizerFast", "TokenizersBackend")  # one class, by its names in 4 and in 5
    return transformers.PreTrainedTokenizerFast if name in general else transformers.AutoTokenizer


def see_that_it_is_whole(model: torch.nn.Module, info: dict, advice: str) -> None:
    """Every weight is there and finite. transformers makes up what is missing at random and leaves out what is too much."""
    for keys, trouble in (("missing_keys", "lacks"), ("unexpected_keys", "should not have")):
        for name in sorted(info[keys])[:1]:
            raise ValueError(f"by config.json the model {trouble} {name}; {advice}")
    for name, weight in model.named_parameters():
        if weight.is_floating_point() and not weight.sum(dtype=torch.float32).isfinite():
            raise ValueError(f"not every number of {name} is finite in {weight.dtype}")


def has_template_of_prep_data(tokenizer) -> bool:
    """Role tokens and texts with nothing between, and no control string of a text left whole: others' have such roles, too."""

    def rendered(content: str) -> str:
        talk = [{"role": role, "content": content} for role in ("system", "user", "assistant", "user")]
        return tokenizer.apply_chat_template(talk, tokenize=False, add_generation_prompt=True)

    special = {token.content for token in tokenizer.added_tokens_decoder.values() if token.special}
    form = "<|system|>T<|user|>T<|assistant|>T<|endoftext|><|user|>T<|assistant|>"
    try:
        given, hostile = rendered("T"), rendered(" ".join(special))
    except Exception:  # of many kinds: a template may refuse what it likes
        return False
    is_defused = all(hostile.count(token) == form.count(token) for token in special)
    return given == form and is_defused and {*ROLES} <= special


def for_a_strangers_template(messages: list[dict], control: list[str]) -> list[dict]:
    """The messages as a template that is not of prep_data.py may have them: it breaks up no control strings, as ours does
    with a space, and has a system prompt of its own where there is none."""
    given = []
    for message in messages:
        content = message["content"]
        while found := [token for token in control if token in content]:
            for token in found:
                content = content.replace(token, f"{token[:-2]} {token[-2:]}")
        given.append({**message, "content": content})
    return given if given[0]["content"] else given[1:]


# ---------------------------------------------------------------------------------------------------------
# 6 Files of conversations


@contextlib.contextmanager
def file_mistakes(path: Path) -> Iterator[None]:
    try:
        yield
    except (OSError, ValueError) as error:
        raise Mistake(f"{quoted(path)}: {getattr(error, 'strerror', None) or error}") from None


def typed_path(text: str) -> Path:
    """A path as it was typed after a command, or as `quoted` shows it."""
    with contextlib.suppress(ValueError):
        text = shlex.split(text)[0] if text[:1] in ("'", '"') else text
    return Path(text)


def write_lines(path: Path, lines: Iterable[str]) -> None:
    """Write under a name that nobody else has, flush and rename: nobody sees half a file, nor loses one of his own."""
    path = Path(os.path.realpath(path))  # what a link points to is replaced, not the link
    with file_mistakes(path):
        handle, temporary = tempfile.mkstemp(dir=path.parent, prefix=f".{path.name[:50]}.", suffix=".tmp")
        try:
            with open(handle, "w", encoding="utf-8") as file:
                file.writelines(line + "\n" for line in lines)
                file.flush()
                os.fsync(file.fileno())
            os.umask(mask := os.umask(0))
            os.chmod(temporary, 0o666 & ~mask)  # mkstemp makes it private
            os.replace(temporary, path)
        finally:
            Path(temporary).unlink(missing_ok=True)


def json_line(content: dict) -> str:
    """One line of JSON in which what could steer a terminal is an escape, as JSON allows."""
    return json.dumps(content, ensure_ascii=False).translate({code: f"\\u{code:04x}" for code in VISIBLE})


def rows_in(source: Path | Iterable[str]) -> Iterator[tuple[str, str]]:
    """(where it stands, line) of each line that is not empty; a byte order mark, of UTF-16 as well, is no text."""
    name, lines = "standard input", source
    if isinstance(source, Path):
        name = quoted(source)
        with file_mistakes(source):
            data = source.read_bytes()
            kind = "utf-16" if data.startswith((codecs.BOM_UTF16_LE, codecs.BOM_UTF16_BE)) else "utf-8-sig"
            lines = data.decode(kind, errors="replace").split("\n")
    yield from ((f"{name}, line {number}", line) for number, line in enumerate(lines, 1) if line.strip())


def read_row(where: str, line: str, system: str) -> tuple[str, list[dict]] | None:
    """(system prompt, turns) of a line, None for a row of plain text; `system` where the row has none."""
    try:
        row = json.loads(line)
        if "messages" not in row and isinstance(row["text"], str):
            return None
        turns = [
            {
                "role": turn["role"],
                "content": clean(turn["content"]),
                **({"weight": 0} if turn.get("weight") == 0 else {}),
            }
            for turn in row["messages"]
        ]
        first = {"role": "system", "content": clean(row.get("system", system))}
        system_turn = turns.pop(0) if turns and turns[0]["role"] == "system" else first
        if not turns or any(turn["role"] != ("user", "assistant")[i % 2] for i, turn in enumerate(turns)):
            raise ValueError
    except (ValueError, TypeError, KeyError, AttributeError, RecursionError):
        wanted = '{"messages": [{"role": "user", "content": "..."}, ...]}, user and assistant in turn'
        raise Mistake(f"{where} is no conversation: {wanted}; prep_data.py writes such rows") from None
    return system_turn["content"], turns


def report(where: str, mistake: Mistake) -> None:
    """Say what is wrong with one row, as the last line of a program would; the next row has its turn."""
    with contextlib.suppress(SystemExit):
        fail(str(mistake) if where in str(mistake) else f"{where}: {mistake}")


def answer_rows(chat: Chat) -> None:
    """--jsonl: each row of standard input is a conversation that waits for its answer; the row goes out with it."""
    failed = 0
    for where, line in rows_in(sys.stdin):
        try:
            row = read_row(where, line, chat.system)
            if row is None or row[1][-1]["role"] != "user":
                raise Mistake("--jsonl answers rows that end with a user message; --prompts_file takes complete ones")
            system, turns = row
            ids, _, note = chat.bot.fit(system, turns, chat.settings["max_new_tokens"])
            answer = "".join(chat.bot.text(chat.bot.generate(ids, chat.settings, chat.generator)))
        except Mistake as mistake:
            report(where, mistake)
            failed += 1
            continue
        put(json_line({"system": system, "messages": [*turns, {"role": "assistant", "content": answer}]}))
        if note:
            say(f"{where}: {note}")
    if failed:
        raise SystemExit(2)


# ---------------------------------------------------------------------------------------------------------
# 7 The score sheet


# label, name in the JSON, what is summed, over what, from their ratio to the number, how it is shown
METRICS: tuple[tuple[str, str, str, str, Callable[[float], float], str], ...] = (
    ("exact match", "exact_match", "exact_match", "references", float, "{:.1%}"),
    ("perplexity", "perplexity", "reference_nats", "reference_tokens", math.exp, "{:.3f}"),
    ("bits per byte", "bits_per_byte", "reference_nats", "reference_bytes", lambda x: x / math.log(2), "{:.3f}"),
    ("stopped by itself", "stopped", "stopped", "answers", float, "{:.1%}"),
    ("repeated 4-gram", "repeated", "repeated", "answers", float, "{:.1%}"),
    ("mean length, tokens", "answer_tokens", "answer_tokens", "answers", float, "{:.1f}"),
)
PER_TOKEN = ("perplexity", "answer_tokens")  # what cannot be compared between tokenizers


@torch.inference_mode()
def answer_all(bot: Chatbot, prompts: list[list[int]], max_new_tokens: int, batch_size: int) -> list[list[int]]:
    """Greedy answers, `<|endoftext|>` included where it came: those of one at a time, in batches of similar length, which
    are halved where the GPU's memory does not suffice."""
    answers: list[list[int]] = [[] for _ in prompts]
    order, done = sorted(range(len(prompts)), key=lambda i: len(prompts[i])), 0
    while done < len(order):
        batch, found = order[done : done + batch_size], None
        with contextlib.suppress(torch.OutOfMemoryError) if len(batch) > 1 else contextlib.nullcontext():
            found = answer_batch(bot, [prompts[i] for i in batch], max_new_tokens)
        if found is None:
            torch.cuda.empty_cache()
            batch_size = len(batch) // 2
            say(f"out of GPU memory: from here {batch_size} questions at a time, the same answers")
            continue
        for i, answer in zip(batch, found):
            answers[i] = answer
        done += len(batch)
        if sys.stderr.isatty():
            print(f"\r{done:,} of {len(order):,} answered", end="", file=sys.stderr, flush=True)
    return answers


def answer_batch(bot: Chatbot, prompts: list[list[int]], max_new_tokens: int) -> list[list[int]]:
    """The answers to some prompts, which are computed side by side; the last is the longest."""
    width = len(prompts[-1])
    pads = [width - len(prompt) for prompt in prompts]  # on the left: all answers begin in one column
    ids = torch.tensor([[bot.end] * pad + prompt for pad, prompt in zip(pads, prompts)], device=bot.device)
    mask = torch.tensor([[0] * pad + [1] * len(prompt) for pad, prompt in zip(pads, prompts)], device=bot.device)
    found = bot.model.generate(
        ids, attention_mask=mask, max_new_tokens=min(max_new_tokens, bot.n_positions - width), do_sample=False,
        logits_processor=[bot.speakable], eos_token_id=bot.end, pad_token_id=bot.end,
    )[:, width:].tolist()  # fmt: skip
    answers = [answer[: answer.index(bot.end) + 1] if bot.end in answer else answer for answer in found]
    for prompt, answer in zip(prompts, answers):
        if answer[-1] != bot.end:  # a prompt shorter than the last leaves room for more
            settings = GREEDY | {"max_new_tokens": max_new_tokens - len(answer)}
            answer += bot.generate(prompt + answer, settings, torch.Generator())
    return answers


def read_questions(bots: list[Chatbot], source: Path, system: str, max_new_tokens: int):
    """(records, prompts, failed): a record a conversation, each model's prompts for them, and how many rows cannot be
    asked, which is said."""
    records: list[dict] = []
    prompts: list[list[list[int]]] = [[] for _ in bots]
    failed: list[tuple[str, Mistake]] = []
    texts = cut = 0
    for where, line in rows_in(source):
        try:
            row = read_row(where, line, system)
            if row is None:
                texts += 1
                continue
            questions = row[1][: len(row[1]) - (row[1][-1]["role"] == "assistant")]
            answer = row[1][-1] if len(questions) < len(row[1]) else {}
            reference = None if answer.get("weight") == 0 else answer.get("content")  # marked as bad, it is no measure
            fitted = [bot.fit(row[0], questions, max_new_tokens) for bot in bots]
            if any(note for *_, note in fitted):
                cut += 1
                reference = reference if len(bots) == 1 else None  # the other model has read more of the question
            for known, (ids, *_) in zip(prompts, fitted):
                known.append(ids)
            records.append({"system": row[0], "messages": questions, "reference": reference})
        except Mistake as mistake:
            failed.append((where, mistake))
    if not records and failed:  # another kind of file: its first line says it
        report(*failed[0])
        raise SystemExit(2)
    if not records:
        raise Mistake(f"{quoted(source)} holds no conversation; prep_data.py makes data/val.jsonl")
    for where, mistake in failed:
        report(where, mistake)
    if texts:
        say(f"{texts:,} rows of plain text are skipped")
    if cut:
        unequal = ", and not compared with their references" if len(bots) > 1 else ""
        say(f"{cut:,} conversations are longer than the context: they are cut as in the chat{unequal}")
    return records, prompts, len(failed)


@torch.inference_mode()
def score(bot: Chatbot, questions: list[dict], prompts: list[list[int]], max_new_tokens: int, batch_size: int) -> list:
    """Answer each question. A record for each: the texts, and the counts that METRICS sums."""
    records = [dict(question) for question in questions]
    for record, prompt, ids in zip(records, prompts, answer_all(bot, prompts, max_new_tokens, batch_size)):
        answer, reference, stopped = "".join(bot.text(ids)), record["reference"], ids[-1] == bot.end
        words = answer.split()
        grams = [tuple(words[i : i + 4]) for i in range(len(words) - 3)]
        record |= {"answer": answer, "exact_match": answer == reference, "stopped": stopped, "answers": 1}
        record |= {"answer_tokens": len(ids) - stopped, "repeated": len(set(grams)) < len(grams)}
        nats, size, target = 0.0, 0, []
        if reference is not None:
            ask = [{"role": "user", "content": ""}]
            frame = len(bot.ids("", ask, add_generation_prompt=True))
            target = bot.ids("", [*ask, {"role": "assistant", "content": reference}])[frame:]
            target = target[: target.index(bot.end) + 1]  # some templates begin a new line behind it
            target = target if len(prompt) + len(target) <= bot.n_positions else []  # more than the model can hold
        if target:
            inputs = torch.tensor([prompt + target], device=bot.device)
            logits = bot.model(inputs, use_cache=False, logits_to_keep=len(target) + 1).logits[0, :-1]
            nats = F.cross_entropy(logits.float(), inputs[0, len(prompt) :], reduction="sum").item()
            size = len(reference.encode("utf-8"))
        record |= {"references": int(reference is not None), "reference_tokens": len(target)}
        record |= {"reference_nats": nats, "reference_bytes": size}
    return records


def bootstrap(records: list[dict], over: str, under: str, finish: Callable[[float], float]) -> torch.Tensor:
    """The number, followed by BOOTSTRAP_SAMPLES times that of as many conversations drawn with replacement."""
    table = torch.tensor([[record[over], record[under]] for record in records], dtype=torch.float64)
    generator = torch.Generator().manual_seed(0)  # the same draws for each model: differences are paired
    draws = (torch.randint(len(table), (len(table),), generator=generator) for _ in range(BOOTSTRAP_SAMPLES))
    sums = [table.sum(0), *(table[draw].sum(0) for draw in draws)]
    return torch.tensor([finish((a / b).item()) if b else math.nan for a, b in sums], dtype=torch.float64)


def may_replace(path: Path, whole: bool, *keys: str) -> None:
    """Refuse, before any work is done, a path that cannot be written or that holds something else than an older `path`:
    JSON with these keys, in the whole file or in its first line."""
    with file_mistakes(path):
        if not os.access(path.parent, os.W_OK):
            raise Mistake(f"{quoted(path.parent)} is no folder that can be written; make it, or choose another --out")
        if os.path.lexists(path):
            found = None
            with contextlib.suppress(ValueError, IsADirectoryError):
                text = path.read_text(encoding="utf-8") if path.is_file() else ""
                found = json.loads(text if whole else text.partition("\n")[0])
            if not isinstance(found, dict) or not {*keys} <= {*found}:
                raise Mistake(f"{quoted(path)} exists and is not from a score sheet; choose another --out")


def score_sheet(
    bots: list[Chatbot], source: Path, system: str, max_new_tokens: int, batch_size: int, out: Path
) -> None:
    """Write the answers and the numbers, print the numbers: a column for each model, then the difference."""
    out_numbers = out.with_suffix(".score.json")
    may_replace(out, False, "messages", "answer")
    may_replace(out_numbers, True, "prompts_file", "scores")
    questions, prompts, failed = read_questions(bots, source, system, max_new_tokens)
    columns = [score(bot, questions, ids, max_new_tokens, batch_size) for bot, ids in zip(bots, prompts)]
    for records in zip(*columns):  # what one of the models cannot hold measures neither
        if not all(record["reference_tokens"] for record in records):
            for record in records:
                record.update(reference_tokens=0, reference_nats=0.0, reference_bytes=0)
    same_tokens = all(bot.tokenizer.get_vocab() == bots[0].tokenizer.get_vocab() for bot in bots)
    sheets: list[dict] = [{"model_dir": bot.name, "scores": {}} for bot in bots]
    print(
        f"{quoted(source)}: {len(questions):,} conversations, last question answered greedily, 95 % bootstrap intervals"
    )
    names = "".join(f"{visible(bot.name)[-28:]:<30}" for bot in bots)
    print(" " * 21 + names + "difference" * (len(bots) - 1))
    for label, name, over, under, finish, form in METRICS:
        values = [bootstrap(records, over, under, finish) for records in columns]
        if values[0].isnan().all():  # no row has a reference
            continue
        line = f"{label:<21}"
        comparable = len(bots) > 1 and (same_tokens or name not in PER_TOKEN)
        for sheet, value in zip([*sheets, {"scores": {}}], values + [values[-1] - values[0]] * comparable):
            low, high = value[1:].nanquantile(torch.tensor([0.025, 0.975], dtype=torch.float64)).tolist()
            sheet["scores"][name] = {"value": value[0].item(), "low": low, "high": high}
            line += f"{form.format(value[0].item())} [{form.format(low)}, {form.format(high)}]".ljust(30)
        print(line.rstrip())
    if not same_tokens:
        say("their tokens differ: perplexity and length count different things, bits per byte the same")
    for record, other in zip(columns[0], columns[-1] if len(bots) > 1 else []):
        record["compare"] = {key: other[key] for key in ("answer", "exact_match", "stopped")}
    write_lines(out, map(json_line, columns[0]))
    numbers = {"prompts_file": str(source), "conversations": len(questions), **sheets[0], "compare": sheets[1:]}
    write_lines(out_numbers, [json.dumps(numbers, indent=1)])
    say(f"answers: {quoted(out)}; numbers: {quoted(out_numbers)}")
    say(f"Chat with it: python inference.py --model_dir {quoted(bots[0].name)}")
    if failed:
        raise SystemExit(2)


# ---------------------------------------------------------------------------------------------------------
# 8 The command line


def look_for_contradictions(args: argparse.Namespace) -> None:
    """A word on what has no effect beside the rest of the command line; what cannot be meant is refused."""
    for name in ("out", "compare"):
        if getattr(args, name) and not args.prompts_file:
            raise Mistake(f"--{name} belongs to the score sheet; name its questions with --prompts_file FILE")
    if args.prompts_file or args.greedy or args.temperature == 0:
        idle = ["top_k", "top_p", "min_p", *["temperature"] * bool(args.temperature)]
        idle += ["repetition_penalty"] if args.prompts_file else []
        given = [f"--{name}" for name in idle if getattr(args, name) is not None]
        if given:
            say(f"always the likeliest token: {', '.join(given)} without effect")


def parse_setting(name: str, text: str) -> float:
    try:
        return number(name, text)
    except argparse.ArgumentTypeError as error:
        raise Mistake(str(error)) from None


def build_parser() -> OneLineParser:
    parser = OneLineParser(__doc__)
    add = parser.add_argument_group("model").add_argument
    add("--model_dir", required=True, help="folder that train.py writes, also while it still trains")
    add("--device", choices=("auto", "cpu", "cuda", "mps"), default="auto", help="auto: the GPU where there is one")
    add(
        "--dtype",
        choices=("auto", *DTYPES),
        default="auto",
        help="auto: bf16 where the hardware is faster in it, else fp32",
    )
    add("--quantize", choices=("int8", "nf4"), help="smaller weights by bitsandbytes: 8 or 4 bits, a little less exact")
    add("--compile", action="store_true", help="compile the step: a minute at the start, faster answers on a GPU")
    add = parser.add_argument_group("answers").add_argument
    for name, (default, meaning) in SETTINGS.items():
        why = f"{meaning} (default: that of generation_config.json, else {default})"
        add(f"--{name}", metavar="N", help=why)
    add("--greedy", action="store_true", help="the same as --temperature 0")
    add("--seed", help="makes a run repeatable (default: different answers each time)")
    add("--system", help="system prompt (default: the one that the model was trained with)")
    scripts = parser.add_argument_group("scripts")
    add, way = scripts.add_argument, scripts.add_mutually_exclusive_group().add_argument
    way("--prompt", help="answer this question and leave; a pipe works as well: a line a question, one conversation")
    way("--jsonl", action="store_true", help='answer rows {"messages": [...]} from standard input, each on its own')
    way("--prompts_file", help="answer each row's last question greedily, as data/val.jsonl, and print the score sheet")
    add("--out", help="where the answers go (default: MODEL_DIR/answers-NAME.jsonl, numbers in .score.json beside it)")
    add("--compare", metavar="MODEL_DIR", help="a second model for the score sheet")
    add("--batch_size", default=64, help="questions at a time; fewer save memory")
    return parser


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
    main()
