"""Nothing hurts a run of train.py: what can happen on a desk at home in a week of training, and what it may cost."""

from __future__ import annotations

import contextlib
import errno
import json
import math
import os
import pty
import random
import select
import shutil
import signal
import subprocess
import sys
import time
from pathlib import Path
from types import SimpleNamespace

import pytest
import torch
from conftest import (
    HANG_S,
    ROOT,
    call,
    metrics,
    mistake,
    read_jsonl,
    run_script,
    signals_kept,
    small_run,
    start_script,
    wait_until_it_loads,
)
from safetensors.torch import load_file, save_file
from transformers import AutoModelForCausalLM, GPT2Config, GPT2LMHeadModel

import train

SHORT = ["--max_steps", 4, "--eval_every", 2, "--save_every", 2, "--log_every", 1]
ENDLESS = ["--max_steps", 10**6, "--eval_every", 10**6, "--save_every", 10**6, "--log_every", 10]


def contents(folder: Path) -> dict[str, bytes]:
    return {str(path.relative_to(folder)): path.read_bytes() for path in sorted(folder.rglob("*")) if path.is_file()}


@pytest.fixture(scope="module")
def finished(chat_data, tmp_path_factory) -> Path:
    with signals_kept():
        call(train.main, *small_run(chat_data, tmp_path_factory.mktemp("finished") / "run", *SHORT))
    return next(tmp_path_factory.getbasetemp().glob("finished*/run"))


@pytest.fixture
def run(finished, tmp_path) -> Path:
    """A run of four steps with two snapshots, finished."""
    return shutil.copytree(finished, tmp_path / "run")


@pytest.fixture
def base(chatbot, tmp_path) -> Path:
    """A model folder as a stranger would give it away."""
    return shutil.copytree(chatbot, tmp_path / "base", ignore=shutil.ignore_patterns("step-*", "runs", "metrics.jsonl"))


# --- saying something -----------------------------------------------------------------------------------------


class Gone:
    """An outlet that is gone, as the system says it."""

    encoding = "utf-8"

    def __init__(self, number: int):
        self.number = number

    def write(self, text: str) -> None:
        raise OSError(self.number, os.strerror(self.number))

    flush = isatty = lambda self: self.write("")


@pytest.mark.parametrize("number", [errno.EPIPE, errno.ENOSPC])
def test_an_outlet_that_is_gone_does_not_end_a_run(chat_data, tmp_path, monkeypatch, number):
    monkeypatch.setattr(sys, "stdout", Gone(number))
    monkeypatch.setattr(sys, "stderr", Gone(number))
    call(train.main, *small_run(chat_data, tmp_path / "run", *SHORT))
    assert metrics(tmp_path / "run")[-1] == {"step": 4, "finished": True}


def wait_for(end, word: bytes) -> None:
    seen, until = b"", time.time() + HANG_S
    while word not in seen and time.time() < until:
        if select.select([end], [], [], 1)[0]:
            seen += os.read(end, 65536)
    assert word in seen


def close_the_terminal(command) -> subprocess.Popen:
    controller, terminal = pty.openpty()
    login = (
        "import fcntl, os, sys, termios; fcntl.ioctl(1, termios.TIOCSCTTY, 0); os.execv(sys.executable, sys.argv[1:])"
    )
    process = subprocess.Popen(
        [sys.executable, "-c", login, *command], stdin=terminal, stdout=terminal, stderr=terminal
    )
    os.close(terminal)
    wait_for(controller, b"step      10")
    os.close(controller)  # the system sends SIGHUP, and every write fails from here on
    return process


def interrupt_a_pipe(command) -> subprocess.Popen:
    process = subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.STDOUT)
    wait_for(process.stdout.fileno(), b"step      10")
    process.stdout.close()  # as tee does, which dies of the same Ctrl-C
    process.send_signal(signal.SIGINT)
    return process


@pytest.mark.parametrize("happens", [close_the_terminal, interrupt_a_pipe])
def test_a_stop_saves_whatever_became_of_the_terminal(chat_data, tmp_path, happens):
    arguments = map(str, small_run(chat_data, tmp_path / "run", *ENDLESS))
    process = happens([sys.executable, str(ROOT / "train.py"), *arguments])
    assert process.wait(HANG_S) == 0
    (snapshot,) = train.snapshots(tmp_path / "run")
    assert train.verifies(snapshot) and train.step_of(snapshot) >= 10


def test_a_run_that_nohup_started_does_not_end_with_the_terminal():
    signal.signal(signal.SIGHUP, signal.SIG_IGN)
    train.stop_on_signals()
    assert signal.getsignal(signal.SIGHUP) is signal.SIG_IGN


@pytest.mark.parametrize("what", ["add_scalar", "add_text", "__init__", "close"])
def test_tensorboard_that_cannot_write_is_said_once(chat_data, tmp_path, monkeypatch, capsys, what):
    def full(*_, **__):
        raise OSError(errno.ENOSPC, "No space left on device")

    monkeypatch.setattr(train.SummaryWriter, what, full)
    call(train.main, *small_run(chat_data, tmp_path / "run", *SHORT))
    assert capsys.readouterr().out.count("warning: TensorBoard cannot be written") == 1
    assert len(metrics(tmp_path / "run", "loss")) == 4


def test_rows_that_could_not_be_written_come_with_the_last(chat_data, tmp_path, monkeypatch, capsys):
    append, calls = train.Metrics.append, iter(range(100))

    def full_for_a_while(self, line):
        if 1 <= next(calls) <= 3:
            raise OSError(errno.ENOSPC, "No space left on device")
        append(self, line)

    monkeypatch.setattr(train.Metrics, "append", full_for_a_while)
    call(train.main, *small_run(chat_data, tmp_path / "run", *SHORT))
    assert capsys.readouterr().out.count("warning: metrics.jsonl cannot be written") == 1
    assert len(metrics(tmp_path / "run", "loss")) == 4 and len(metrics(tmp_path / "run", "val_loss")) == 3


@pytest.mark.parametrize("script", ["train.py", "inference.py", "prep_data.py"])
def test_ctrl_c_while_the_libraries_load_is_no_traceback(script):
    process = start_script(script, "--help")
    wait_until_it_loads(process)
    process.send_signal(signal.SIGINT)
    _, err = process.communicate(timeout=HANG_S)
    assert "Traceback" not in err and len(err.splitlines()) <= 1
    assert process.returncode in (130, 0)  # 0: it was quicker


# --- one writer, and what is not ours -------------------------------------------------------------------------


def test_both_scripts_hold_a_folder_by_the_same_text():
    texts = [
        (ROOT / name).read_text().partition("\ndef hold(")[2].partition("\n\n\n")[0]
        for name in ("prep_data.py", "train.py")
    ]
    assert texts[0] and texts[0] == texts[1]


@pytest.mark.parametrize("begun", [True, False])
def test_a_second_start_is_told_who_writes_there(run, chat_data, tmp_path, capsys, begun):
    folder = run if begun else tmp_path / "new"
    held = folder if begun else train.temporary(folder)
    holder = "import pathlib, sys, prep_data\nwith prep_data.hold(pathlib.Path(sys.argv[1])): print('held', flush=True), input()"
    process = start_script("-c", holder, held, stdin=subprocess.PIPE)
    assert process.stdout.readline() == "held\n"
    before = contents(run)
    for flags in ([], ["--resume", "never"]):
        line = mistake(capsys, train.main, small_run(chat_data, folder, *SHORT, *flags))
        assert f"is being written by process {process.pid};" in line
    assert {name: data for name, data in contents(run).items() if name != ".writer.lock"} == before or begun
    process.kill()
    process.wait()
    call(train.main, *small_run(chat_data, folder, *SHORT))
    assert not (folder / ".writer.lock").exists()


@pytest.mark.parametrize(
    "flags",
    [["--lr", "-1"], ["--dropout", "nan"], ["--seq_len", 8], ["--init_from", "nowhere"], ["--n_embd", 63]],
    ids=lambda flags: flags[0],
)
def test_a_refused_start_over_leaves_everything(run, chat_data, capsys, flags):
    before = contents(run)
    mistake(capsys, train.main, small_run(chat_data, run, *SHORT, "--resume", "never", *flags))
    assert contents(run) == before


def test_an_optimizer_that_is_not_installed_deletes_nothing(run, chat_data, monkeypatch):
    before = contents(run)
    monkeypatch.setitem(sys.modules, "bitsandbytes", None)
    with pytest.raises((ImportError, SystemExit)):
        call(train.main, *small_run(chat_data, run, *SHORT, "--resume", "never", "--optim", "adamw8bit"))
    assert contents(run) == before


NOT_OURS = [
    "README.md",
    "config.json",
    "tokenizer.json",
    "loss.png",
    "notes/thesis.txt",
    "runs/mine/events.out.tfevents.1",
]
NOT_OURS += ["step-by-step/notes", "step-000001/notes", "metrics.jsonl", "model.safetensors"]


@pytest.mark.parametrize("resume", ["auto", "never"])
@pytest.mark.parametrize("name", NOT_OURS)
def test_a_folder_of_the_users_is_left_alone(chat_data, tmp_path, capsys, name, resume):
    (tmp_path / "mine" / name).parent.mkdir(parents=True, exist_ok=True)
    (tmp_path / "mine" / name).write_text('{"mine": 1}\n')
    line = mistake(capsys, train.main, small_run(chat_data, tmp_path / "mine", *SHORT, "--resume", resume))
    assert f"holds {name.partition('/')[0]}, which this script did not train" in line
    assert contents(tmp_path / "mine") == {name: b'{"mine": 1}\n'}


def test_what_a_user_puts_into_a_run_stays(run, chat_data):
    for name in (
        "notes.txt",
        "runs/mine/events",
        "step-by-step/notes",
        "step-000004/notes",
        "step-000001/notes",
        "x.tmp/y",
    ):
        (run / name).parent.mkdir(parents=True, exist_ok=True)
        (run / name).write_text("mine")
    mine = {name for name, data in contents(run).items() if data == b"mine"}
    call(train.main, *small_run(chat_data, run, *SHORT, "--resume", "never", "--lr", 1e-3, "--n_head", 1))
    assert {name for name, data in contents(run).items() if data == b"mine"} == mine and len(mine) == 6
    assert AutoModelForCausalLM.from_pretrained(run).config.n_head == 1


@pytest.mark.parametrize("name", ["model_dir", "data_dir", "init_from"])
def test_an_empty_name_is_refused(chat_data, tmp_path, capsys, monkeypatch, name):
    monkeypatch.chdir(tmp_path)
    assert f"--{name} is empty" in mistake(capsys, train.main, small_run(chat_data, "m", f"--{name}="))
    assert not list(tmp_path.iterdir())


# --- settings -------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "flags, word",
    [
        (["--warmup_steps", 50], "never reaches its peak"),
        (["--eval_every", 70], "no evaluation but the first and the last"),
        (["--save_every", 70], "no snapshot but the last"),
        (["--patience", 9, "--eval_every", 2], "it ends nothing"),
        (["--muon_lr", 0.1], "nothing without --optim muon"),
        (["--dropout", 0.1, "--arch", "llama"], "--dropout does nothing"),
        ([], None),
    ],
    ids=lambda value: str(value)[:24],
)
def test_settings_that_contradict_one_another_get_a_word(chat_data, tmp_path, capsys, flags, word):
    call(train.main, *small_run(chat_data, tmp_path / "run", "--max_steps", 8, "--dry_run", *flags))
    warnings = [line for line in capsys.readouterr().out.splitlines() if line.startswith("warning")]
    assert len(warnings) == bool(word) and all(word in line for line in warnings)
    assert not (tmp_path / "run").exists()


@pytest.mark.parametrize(
    "flags, word",
    [
        (["--arch", "llama", "--n_embd", 15, "--n_head", 3], "--n_head"),
        (["--arch", "llama", "--n_embd", 6, "--n_head", 6], "--n_head"),
        (["--n_embd", 10**6, "--n_head", 1], "GiB of memory"),
        (["--seq_len", 10**6, "--n_embd", 10**5, "--n_head", 1], "GiB of memory"),
    ],
)
def test_a_shape_that_cannot_be_is_one_line(chat_data, tmp_path, capsys, flags, word):
    assert word in mistake(capsys, train.main, small_run(chat_data, tmp_path / "run", *flags))
    assert not (tmp_path / "run").exists()


VALUES = [
    "nan",
    "inf",
    "-inf",
    "0",
    "-0",
    "1",
    "-1",
    "2",
    "1e9",
    "1e-9",
    "1e999",
    "-1e-9",
    "0x1",
    "1_0",
    "",
    " ",
    "x",
    "\x1b[2J",
]
VALUES += [
    "9" * 25,
    "9" * 5000,
    "0.5",
    "1.0",
    ".",
    "auto",
    "never",
    "true",
    "None",
    "\udcff",
    "²",
    "/",
    "nowhere",
    "--",
]


class Accepted(Exception):
    pass


def test_two_thousand_flags_are_accepted_or_one_line(chat_data, tmp_path, capsys, monkeypatch):
    def stop(args):
        raise Accepted

    monkeypatch.setattr(train, "set_up_machine", stop)
    flags = [
        action.option_strings[-1] for action in train.build_parser()._actions if action.option_strings[-1] != "--help"
    ]
    rng, before, seen = random.Random(0), contents(chat_data), {True: 0, False: 0}
    for _ in range(2000):
        some = rng.sample(flags, rng.choice((1, 1, 1, 2, 5)))
        extra = [f"{flag}={rng.choice(VALUES)}" for flag in some]
        try:
            with contextlib.suppress(Accepted):
                call(train.main, *small_run(chat_data, tmp_path / "run", *extra))
            accepted = True
        except SystemExit as ended:
            accepted, lines = False, capsys.readouterr().err.splitlines()
            assert (ended.code, len(lines)) == (2, 1) and lines[0].isprintable(), (extra, lines)
        seen[accepted] += 1
        assert not list(tmp_path.iterdir()), extra
    assert contents(chat_data) == before and min(seen.values()) > 50


# --- a stranger's model ---------------------------------------------------------------------------------------


def rewrite(name: str, change):
    def mutate(folder: Path) -> None:
        value = change(json.loads((folder / name).read_text()))
        (folder / name).write_text(value if isinstance(value, str) else json.dumps(value))

    return mutate


def put(**keys):
    return rewrite("config.json", lambda config: {**config, **keys})


def weigh(change):
    def mutate(folder: Path) -> None:
        file = folder / "model.safetensors"
        weights = load_file(file)
        save_file(change(weights) or weights, file, metadata={"format": "pt"})

    return mutate


def as_pickle(folder: Path) -> None:
    torch.save(load_file(folder / "model.safetensors"), folder / "pytorch_model.bin")
    (folder / "model.safetensors").unlink()


def with_code(folder: Path) -> None:
    put(model_type="evil", auto_map={"AutoConfig": "evil.C"})(folder)
    (folder / "evil.py").write_text(
        "open('RAN', 'w')\nfrom transformers import GPT2Config\nclass C(GPT2Config): pass\n"
    )


def swap_tokens(tokenizer: dict) -> dict:
    vocabulary = tokenizer["model"]["vocab"]
    first, second = list(vocabulary)[300:302]
    vocabulary[first], vocabulary[second] = vocabulary[second], vocabulary[first]
    return tokenizer


WEIGHT = "transformer.h.0.mlp.c_fc.weight"
REFUSED = {
    "a list": (rewrite("config.json", lambda _: []), "config.json"),
    "null": (rewrite("config.json", lambda _: "null"), "config.json"),
    "no JSON": (rewrite("config.json", lambda _: "{"), "config.json"),
    "layers x": (put(n_layer="x"), "config.json"),
    "layers 10^9": (put(n_layer=10**9), "no such model"),
    "width 0": (put(n_embd=0), "base"),
    "heads 0": (put(n_head=0), "base"),
    "positions x": (put(n_positions="x"), "config.json"),
    "activation 5": (put(activation_function=5), "base"),
    "another type": (put(model_type="bert"), "bert"),
    "type with an escape": (put(model_type="\x1b[2Jx"), "config.json"),
    "quantized": (put(quantization_config={"quant_method": "gptq"}), "base"),
    "fewer layers": (put(n_layer=1), "of which config.json says nothing"),
    "more layers": (put(n_layer=3), "the weights lack"),
    "other width": (put(n_embd=128), "base"),
    "code": (with_code, "config.json"),
    "a pickle": (as_pickle, "is a pickle"),
    "no weights": (lambda folder: (folder / "model.safetensors").unlink(), "its weights"),
    "half the weights": (lambda folder: os.truncate(folder / "model.safetensors", 9999), "its weights"),
    "a weight is not there": (weigh(lambda w: w.pop(WEIGHT) is None), "the weights lack"),
    "NaN": (weigh(lambda w: w[WEIGHT].fill_(math.nan) is None), "not finite"),
    "one infinity": (weigh(lambda w: w[WEIGHT][3].fill_(math.inf) is None), "not finite"),
    "10^30": (weigh(lambda w: w[WEIGHT].fill_(1e30) is None), "too large"),
    "other tokens": (rewrite("tokenizer.json", swap_tokens), "another tokenizer"),
    "tokenizer a list": (rewrite("tokenizer.json", lambda _: []), "tokenizer"),
    "an adapter": (lambda folder: (folder / "adapter_config.json").write_text("{}"), "adapter"),
    "epsilon x": (put(layer_norm_epsilon="x"), "base"),
    "epsilon NaN": (put(layer_norm_epsilon=math.nan), "base"),
}


@pytest.mark.parametrize("what", REFUSED)
def test_a_foreign_model_is_read_whole_or_refused(base, chat_data, tmp_path, capsys, monkeypatch, what):
    mutate, word = REFUSED[what]
    mutate(base)
    monkeypatch.chdir(tmp_path)
    line = mistake(capsys, train.main, small_run(chat_data, tmp_path / "run", "--init_from", base))
    assert word in line and str(base) in line and line.isprintable()
    assert [path.name for path in tmp_path.iterdir()] == ["base"]


@pytest.mark.parametrize(
    "error, cause, words",
    [
        ("You are trying to access a gated repo.", 403, ["gated repo", "huggingface.co/who/what, then hf auth login"]),
        ("who/what is not a valid model identifier", 401, ["not a valid model identifier", "check the name", "hf auth login"]),
        ("who/what does not appear to have a file named model.safetensors", None, ["named model.safetensors", "a model folder"]),
        ("no model.safetensors. Please do not set `use_safetensors=True`.", None, ["its weights are pickles", "a model folder"]),
        ("We couldn't connect", ConnectionRefusedError(111, "Connection refused"), ["Connection refused", "the network"]),
    ],
)  # fmt: skip
def test_why_the_hub_does_not_give_a_model_is_said(chat_data, tmp_path, capsys, monkeypatch, error, cause, words):
    def refuse(*args, **kwargs):
        of_client = cause if isinstance(cause, Exception) else RuntimeError("of the client")
        of_client.response = SimpleNamespace(status_code=cause)
        raise OSError(error) from of_client

    monkeypatch.setattr(train.transformers.AutoConfig, "from_pretrained", refuse)
    line = mistake(capsys, train.main, small_run(chat_data, tmp_path / "run", "--init_from", "who/what"))
    assert all(word in line for word in words) and not (tmp_path / "run").exists()


def test_no_question_is_asked_on_a_terminal(base, chat_data, tmp_path):
    with_code(base)
    (base / "tokenizer_config.json").write_text(
        '{"tokenizer_class": "T", "auto_map": {"AutoTokenizer": ["evil.C", null]}}'
    )
    controller, terminal = pty.openpty()
    os.write(controller, b"y\ny\n")
    command = ["train.py", *small_run(chat_data, tmp_path / "run", "--init_from", base)]
    done = run_script(*command, stdin=terminal, capture_output=False, stdout=terminal, stderr=subprocess.PIPE)
    os.close(terminal)
    os.close(controller)
    assert (done.returncode, len(done.stderr.splitlines())) == (2, 1), done.stderr
    assert not list(ROOT.glob("RAN")) and not list(tmp_path.rglob("RAN"))


def test_an_activation_is_left_alone_unless_it_is_the_same_function(chat_data, tmp_path):
    for given, trained in (("gelu_new", "gelu_pytorch_tanh"), ("relu", "relu"), ("gelu", "gelu")):
        folder = tmp_path / given
        GPT2LMHeadModel(
            GPT2Config(vocab_size=400, n_positions=64, n_embd=16, n_layer=1, n_head=2, activation_function=given)
        ).save_pretrained(folder)
        args = train.build_parser().parse_args(["--model_dir", "x", "--init_from", str(folder), "--seq_len", "64"])
        assert train.build_config(args, 400).activation_function == trained


def test_settings_for_generation_do_not_come_along(base, chat_data, tmp_path):
    (base / "generation_config.json").write_text('{"num_beams": 3, "max_time": 1e-9, "eos_token_id": 5}')
    call(train.main, *small_run(chat_data, tmp_path / "run", *SHORT, "--init_from", base))
    assert json.loads((tmp_path / "run/generation_config.json").read_text())["top_p"] == 0.9


def random_value(rng: random.Random):
    return rng.choice([None, True, -1, 0, 1, 2**40, 0.5, "x", "", [], [1], {}, {"a": 1}, 1e308, "\x1b[2J", math.nan])


def mutate_at_random(folder: Path, rng: random.Random) -> str:
    """Change one thing in a model folder; returns what."""
    file = rng.choice([path for path in sorted(folder.iterdir()) if path.suffix in (".json", ".safetensors", ".jinja")])
    how = rng.choice(("value", "value", "value", "cut", "flip", "gone"))
    data = bytearray(file.read_bytes())
    if how == "value" and file.suffix == ".json":
        content = json.loads(data)
        where = content
        while True:
            key = rng.choice(list(where) if isinstance(where, dict) else range(len(where)))
            if not (isinstance(where[key], (dict, list)) and where[key] and rng.random() < 0.7):
                break
            where = where[key]
        where[key] = random_value(rng)
        file.write_text(json.dumps(content))
        return f"{file.name}: {key} = {where[key]!r}"
    if how == "gone":
        file.unlink()
    elif how == "cut":
        os.truncate(file, rng.randrange(len(data)))
    else:
        data[rng.randrange(min(len(data), 4000))] ^= 1 << rng.randrange(8)
        file.write_bytes(data)
    return f"{file.name} {how}"


def mutated_folders(count: int, chatbot, chat_data, tmp_path, capsys, monkeypatch) -> None:
    def stop(*_):
        raise Accepted

    monkeypatch.setattr(train, "begin_or_resume", stop)
    monkeypatch.setattr(train, "matmul_peak", lambda *_: 1e9)
    rng, seen = random.Random(0), {True: 0, False: 0}
    for number in range(count):
        folder = tmp_path / str(number)
        shutil.copytree(
            chatbot, folder, ignore=shutil.ignore_patterns("step-*", "runs", "metrics.jsonl", "*.png", "*.md")
        )
        what, before = mutate_at_random(folder, rng), contents(folder)
        try:
            call(train.main, *small_run(chat_data, tmp_path / "run", "--init_from", folder))
        except Accepted:
            accepted = True
        except SystemExit as ended:
            accepted, lines = False, capsys.readouterr().err.splitlines()
            assert (ended.code, len(lines)) == (2, 1) and lines[0].isprintable(), (what, lines)
        except Exception as error:
            raise AssertionError(what) from error
        seen[accepted] += 1
        assert contents(folder) == before and not (tmp_path / "run").exists(), what
        shutil.rmtree(folder)
    assert min(seen.values()) > count // 20, seen


def test_mutated_model_folders_are_one_line_or_work(chatbot, chat_data, tmp_path, capsys, monkeypatch):
    mutated_folders(30, chatbot, chat_data, tmp_path, capsys, monkeypatch)


@pytest.mark.slow
def test_a_thousand_mutated_model_folders(chatbot, chat_data, tmp_path, capsys, monkeypatch):
    mutated_folders(1000, chatbot, chat_data, tmp_path, capsys, monkeypatch)


# --- done, order, data, versions ------------------------------------------------------------------------------


@pytest.mark.parametrize("part", ["draw_losses", "write_model_card", "Metrics.finish"])
def test_what_a_kill_at_the_end_left_undone_is_completed(chat_data, tmp_path, monkeypatch, part):
    class Killed(BaseException):
        pass

    def kill(*_, **__):
        raise Killed

    argv = small_run(chat_data, tmp_path / "run", *SHORT)
    owner, name = (train.Metrics, "finish") if "." in part else (train, part)
    with monkeypatch.context() as patched:
        patched.setattr(owner, name, kill)
        with pytest.raises(Killed):
            call(train.main, *argv)
    call(train.main, *argv)
    card = (tmp_path / "run/README.md").read_text()
    assert "Greedy answers" in card and "<|assistant|>" in card and (tmp_path / "run/loss.png").exists()
    assert metrics(tmp_path / "run")[-1] == {"step": 4, "finished": True}


def test_data_that_go_away_during_the_run_are_not_missed(chat_data, tmp_path, monkeypatch):
    data, step = shutil.copytree(chat_data, tmp_path / "data"), train.training_step

    def moved(*args, **kwargs):
        shutil.rmtree(data, ignore_errors=True)
        return step(*args, **kwargs)

    monkeypatch.setattr(train, "training_step", moved)
    call(train.main, *small_run(data, tmp_path / "run", *SHORT))
    assert "tokens a row" in (tmp_path / "run/README.md").read_text()


@pytest.mark.parametrize(
    "name, begun",
    [
        ("train_tokenized.jsonl", False),
        ("val_tokenized.jsonl", True),
        ("tokenizer/tokenizer.json", False),
        ("tokenizer/chat_template.jinja", True),
    ],
)
def test_data_are_what_the_manifest_says(run, chat_data, tmp_path, capsys, name, begun):
    data = shutil.copytree(chat_data, tmp_path / "data")
    text = (data / name).read_text()
    (data / name).write_text(text.partition("\n")[0] + "\n" if name.endswith("jsonl") else text + "\n")
    folder = run if begun else tmp_path / "new"
    line = mistake(capsys, train.main, small_run(data, folder, *SHORT))
    assert f"{name} is not the file that" in line and f"prep_data.py --overwrite --out_dir {data}" in line
    assert begun or not folder.exists()


@pytest.mark.parametrize(
    "content", ["", "[]", "{}", "null", '{"sha256": 1, "card": ""}', '{"sha256": {}, "card": 5}', "[" * 10**5]
)
def test_a_damaged_manifest_is_one_line(chat_data, tmp_path, capsys, content):
    data = shutil.copytree(chat_data, tmp_path / "data")
    (data / "manifest.json").write_text(content)
    assert "manifest.json is damaged" in mistake(capsys, train.main, small_run(data, tmp_path / "run", *SHORT))


@pytest.mark.parametrize(
    "name", ["train_tokens.00000.ids", "val_tokens.00000.bounds", "tokenizer", "tokenizer/tokenizer.json"]
)
def test_data_that_are_not_there_are_one_line(chat_data, tmp_path, capsys, name):
    data = shutil.copytree(chat_data, tmp_path / "data")
    shutil.rmtree(data / name) if (data / name).is_dir() else (data / name).unlink()
    assert "make the data again" in mistake(capsys, train.main, small_run(data, tmp_path / "run", *SHORT))


def test_snapshots_are_in_the_order_of_their_numbers(tmp_path):
    for name in ("step-000009", "step-999999", "step-1000000", "step-by-step", "step-12000000", "step-000010.old"):
        (tmp_path / name).mkdir()
        (tmp_path / name / "trainer_state.pt").touch()
    (tmp_path / "step-000011").mkdir()  # has the name and none of the files
    names = [path.name for path in train.snapshots(tmp_path)]
    assert names == ["step-12000000", "step-1000000", "step-999999", "step-000009"]


def test_going_back_gives_up_what_came_after(run, chat_data, capsys):
    assert [path.name for path in train.snapshots(run)] == ["step-000004", "step-000002"]
    argv = small_run(chat_data, run, *SHORT, "--lr", 1e-9)
    call(train.main, *argv, "--resume", run / "step-000002", "--max_steps", 3)
    assert [path.name for path in train.snapshots(run)] == ["step-000003", "step-000002"]
    assert [row["step"] for row in metrics(run) if "loss" in row] == [1, 2, 3]
    state = torch.load(run / "step-000003/trainer_state.pt", weights_only=True)["state"]
    best = AutoModelForCausalLM.from_pretrained(run)
    there = load_file(run / f"step-{state['best_step']:06d}/model.safetensors")["transformer.wte.weight"][
        : len(best.transformer.wte.weight)
    ]
    assert torch.equal(best.transformer.wte.weight, there)


def test_a_snapshot_of_another_run_is_refused(run, chat_data, tmp_path, capsys):
    argv = small_run(chat_data, tmp_path / "new", *SHORT, "--resume", run / "step-000002")
    assert f"is of another run; give --model_dir {run}" in mistake(capsys, train.main, argv)
    assert not (tmp_path / "new").exists()


def edit_state(snapshot: Path, change) -> None:
    state = torch.load(snapshot / "trainer_state.pt", weights_only=True)
    state = change(state) or state
    torch.save(state, snapshot / "trainer_state.pt")
    sums = {name: train.sha256(snapshot / name) for name in ("model.safetensors", "trainer_state.pt")}
    (snapshot / "checksums.json").write_text(json.dumps(sums))


@pytest.mark.parametrize(
    "change, taken",
    [
        (lambda state: state["rng"][0].update(torch=state["rng"][0]["torch"][:5000]), True),
        (lambda state: state["rng"][0].pop("python") and None, True),
        (lambda state: state["run"].pop("tokenizer") and None, True),
        (lambda state: state["state"].update(novelty=1), False),
        (lambda state: state.pop("optimizers") and None, False),
        (lambda state: state["optimizers"][0].update(state="x"), False),
        (lambda state: [state], False),
    ],
)
def test_state_of_another_version_is_taken_or_refused_in_a_line(run, chat_data, capsys, change, taken):
    edit_state(run / "step-000004", change)
    argv = small_run(chat_data, run, *SHORT, "--max_steps", 5)
    if taken:
        call(train.main, *argv)
        assert "done: 5 steps" in capsys.readouterr().out
    else:
        assert "is of another version" in mistake(capsys, train.main, argv)


# --- the machine as it is -------------------------------------------------------------------------------------


def broken_log(run: Path, change) -> None:
    lines = (run / "metrics.jsonl").read_bytes().splitlines(keepends=True)
    (run / "metrics.jsonl").write_bytes(b"".join(change(lines)))


@pytest.mark.parametrize(
    "change",
    [
        lambda lines: [lines[0], bytes(40), b"\n", *lines[1:]],
        lambda lines: [*lines, b'{"step": 4, "lo'],
        lambda lines: [b"[1]\n", *lines[1:]],
        lambda lines: [],
    ],
)
def test_a_damaged_log_is_not_in_the_way_of_snapshots(run, chat_data, capsys, change):
    broken_log(run, change)
    call(train.main, *small_run(chat_data, run, *SHORT, "--max_steps", 5))
    rows = read_jsonl(run / "metrics.jsonl")
    assert rows[0]["run"] and rows[-1] == {"step": 5, "finished": True}


def test_a_place_that_cannot_be_a_folder_is_one_line(chat_data, tmp_path, capsys):
    (tmp_path / "file").write_text("mine")
    for name in ("file", "file/below"):
        assert "file" in mistake(capsys, train.main, small_run(chat_data, tmp_path / name, *SHORT))
    assert contents(tmp_path) == {"file": b"mine"}


def test_a_link_to_a_folder_to_be_is_followed(chat_data, tmp_path):
    (tmp_path / "link").symlink_to(tmp_path / "disk")
    call(train.main, *small_run(chat_data, tmp_path / "link", *SHORT))
    assert (tmp_path / "disk/model.safetensors").exists() and (tmp_path / "link").is_symlink()


def test_no_program_but_python_is_taken_for_granted(chat_data, tmp_path, monkeypatch):
    monkeypatch.setenv("PATH", str(tmp_path))
    for name in ("HOME", "TERM"):
        monkeypatch.delenv(name, raising=False)
    call(train.main, *small_run(chat_data, tmp_path / "run", *SHORT))
    assert metrics(tmp_path / "run")[0]["git_commit"] is None


@pytest.mark.parametrize(
    "job, number",
    [
        ("torch.save", errno.ENOSPC),
        ("torch.save", errno.EFBIG),
        ("safetensors.torch.save_file", errno.EDQUOT),
        ("os.replace", errno.EROFS),
        ("sync_to_disk", errno.EIO),
    ],
)
def test_what_cannot_be_written_ends_in_one_line_and_leaves_nothing(run, chat_data, monkeypatch, capsys, job, number):
    def fails(*_, **__):
        raise OSError(number, os.strerror(number))

    with monkeypatch.context() as patched:
        patched.setattr(f"train.{job}", fails)
        line = mistake(capsys, train.main, small_run(chat_data, run, *SHORT, "--max_steps", 6))
    words = "is full" if number in (errno.ENOSPC, errno.EDQUOT) else os.strerror(number)
    assert words in line and "run the same command" in line
    assert not list(run.rglob("*train-tmp*"))
    assert train.verifies(train.snapshots(run)[0])


def test_what_is_printed_can_be_pasted(chat_data, tmp_path, capsys):
    folder = tmp_path / "my models' \x1b[2J"
    call(train.main, *small_run(chat_data, folder, *SHORT))
    said = capsys.readouterr().out
    assert "\x1b" not in said and f"python inference.py --model_dir {train.quoted(folder)}\n" in said


ROWS = {  # of the tutorial's table: the test that proves it
    "Ctrl-C, also behind a pipe to `tee`; `kill`": "test_a_stop_saves_whatever_became_of_the_terminal",
    "the terminal is closed, ssh drops": "test_a_stop_saves_whatever_became_of_the_terminal",
    "the same to a run that `nohup` started": "test_a_run_that_nohup_started_does_not_end_with_the_terminal",
    "a power cut, `kill -9`, the machine freezes": "test_the_same_command_ends_as_if_nothing_had_been",
    "nobody takes its output any more, or not that character": "test_an_outlet_that_is_gone_does_not_end_a_run",
    "`metrics.jsonl` cannot be written": "test_rows_that_could_not_be_written_come_with_the_last",
    "TensorBoard's events cannot be written": "test_tensorboard_that_cannot_write_is_said_once",
    "the disk is full, a quota, read-only, at a snapshot": "test_what_cannot_be_written_ends_in_one_line_and_leaves_nothing",
    "a snapshot is damaged": "test_a_damaged_snapshot_is_passed_over",
    "`metrics.jsonl` is damaged": "test_a_damaged_log_is_not_in_the_way_of_snapshots",
    "a stop while the model card is written": "test_what_a_kill_at_the_end_left_undone_is_completed",
    "the command is started twice": "test_a_second_start_is_told_who_writes_there",
    "`--resume never` and a mistake in a flag": "test_a_refused_start_over_leaves_everything",
    "`--model_dir` holds files of yours": "test_a_folder_of_the_users_is_left_alone",
    "the data, its tokenizer or the validation data changed": "test_data_are_what_the_manifest_says",
    "the data folder goes away while it trains": "test_data_that_go_away_during_the_run_are_not_missed",
    "`--resume` with an older snapshot": "test_going_back_gives_up_what_came_after",
    "another torch or transformers": "test_state_of_another_version_is_taken_or_refused_in_a_line",
    "a loss that is not finite": "test_a_step_that_is_not_finite_is_skipped_and_kept_for_a_look",
    "the GPU's memory runs out": "test_out_of_memory_halves_the_micro_batch_and_changes_nothing_else",
}


def test_each_row_of_the_tutorials_table_is_a_test():
    page = (ROOT / "tutorial.md").read_text(encoding="utf-8")
    table = page.partition("### What can happen to a run, and what you lose\n")[2].partition("\n## ")[0]
    rows = [line.split(" | ")[0][2:] for line in table.splitlines() if line.startswith("| ")]
    assert rows[1:] == list(ROWS)
    tests = "".join(
        (ROOT / "tests" / name).read_text(encoding="utf-8")
        for name in ("test_hurt_train.py", "test_train.py", "test_pulled_plugs.py")
    )
    assert not [test for test in ROWS.values() if f"\ndef {test}(" not in tests]
