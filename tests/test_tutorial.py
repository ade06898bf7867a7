"""The tutorial is true: its commands run, its outputs are what the commands print, its numbers were measured.

Marks in tutorial.md (comments, so that a reader of the page does not see them):

    <!-- takes hours -->         before a bash fence: the test runs it with fewer steps and a smaller model
    <!-- needs a GPU -->         before a bash fence: its flags go through the script's real parser
    <!-- installs -->            before a bash fence: only its syntax is checked
    <!-- output of COMMAND -->   before a text fence: the output meant, when it is not the command right before it
    <!-- a trained model's words -->  before a text fence: not printed by the cut run, so compared with the walk alone
    <!-- recorded: NAME -->      before a text fence: word for word in the results file under that name
    <!-- from FILE -->           before any fence: an excerpt of that file
    <!-- rows of FILE -->        before a table: its rows are rows of that file
    219 s<!--demo_train_s-->     a measured number: it stands in the results file under that name
    3.28<!--= 100*2**15/1e6-->   a computed number: the test computes it again
    ≈ 35 hours<!--~ EXPR-->      an estimate: likewise, and the sign says so to the reader

A text fence without a mark is output of the bash fence before it. It is compared twice: word for word with what the
command printed when the tutorial was walked (`...` stands for lines left out), and with digits masked with what it
prints here. The walk is one command; it runs every unmarked command in full, in a fresh clone, and fills in
tests/benchmarks/results/tutorial.json, then the outputs and the numbers on the page that it finds changed:

    python tests/test_tutorial.py FOLDER                       what is not recorded yet
    python tests/test_tutorial.py FOLDER COMMAND_NUMBER ...    these as well
"""

from __future__ import annotations

import argparse
import contextlib
import io
import json
import math
import os
import re
import runpy
import shlex
import shutil
import socket
import subprocess
import sys
import tempfile
import textwrap
import time
import traceback
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path

import pytest
from conftest import HANG_S

ROOT = Path(__file__).resolve().parent.parent
TUTORIAL, README = ROOT / "tutorial.md", ROOT / "README.md"
RESULTS = ROOT / "tests" / "benchmarks" / "results" / "tutorial.json"


@dataclass
class Fence:
    line: int  # of its first line in the file
    kind: str  # bash, text, python, ...
    mark: str  # "", "takes hours", "recorded: chat", ...
    text: str


def read_fences(markdown: str) -> list[Fence]:
    fences, mark, lines = [], "", markdown.splitlines()
    inside = None
    for number, line in enumerate(lines, 1):
        if inside is None and (start := re.fullmatch(r"```(\w*)", line)):
            inside = Fence(number + 1, start[1], mark, "")
        elif inside is not None and line == "```":
            fences.append(inside)
            inside, mark = None, ""
        elif inside is not None:
            inside.text += line + "\n"
        elif comment := re.fullmatch(r"<!-- (.+) -->", line):
            mark = comment[1]
        elif line:
            mark = ""
    return fences


def walk(folder: Path, only: set[int]) -> None:
    """Run the unmarked commands as a reader does, in a clone, and record time and output of each."""
    if not folder.exists():
        subprocess.run(["git", "clone", "--quiet", ROOT, folder], check=True)
    environment = {**os.environ, "PATH": f"{folder}/.venv/bin:{os.environ['PATH']}", "NO_COLOR": "1"}
    environment.pop("HF_HUB_OFFLINE", None)  # conftest.py keeps the tests offline; a reader is not
    results = json.loads(RESULTS.read_text(encoding="utf-8"))
    commands = [fence for fence in read_fences(TUTORIAL.read_text(encoding="utf-8")) if fence.kind == "bash"]
    known = {entry["command"]: entry for entry in results["walk"]}
    walked = []
    for number, fence in enumerate(commands, 1):
        if fence.mark:
            continue
        entry = known.get(fence.text)
        if entry is None or number in only:
            print(f"== {number}\n{fence.text}", end="", flush=True)
            began = time.monotonic()
            with tempfile.TemporaryFile("w+") as said:
                process = subprocess.Popen(["bash", "-euo", "pipefail", "-c", fence.text], cwd=folder, env=environment,
                                           stdin=subprocess.DEVNULL, stdout=said, stderr=subprocess.STDOUT)  # fmt: skip
                _, status, usage = os.wait4(process.pid, 0)
                said.seek(0)
                output = said.read()
            entry = {"command": fence.text, "seconds": round(time.monotonic() - began, 1)}
            entry["peak_mb"] = usage.ru_maxrss // 1024  # of the largest process
            # a progress line is what remains of it
            entry["output"] = [re.sub(r".*\r", "", line).rstrip() for line in output.splitlines()]
            print(output + f"-- {entry['seconds']} s", flush=True)
            if status:
                sys.exit(f"command {number} ended with wait status {status}")
        walked.append(entry)
        rest = [entry for entry in results["walk"] if entry["command"] not in {entry["command"] for entry in walked}]
        save({**results, "walk": walked + rest})
    results["walk"] = walked
    for entry in results["numbers"].values():
        entry["value"] = measured(entry, results) or entry["value"]
    save(results)
    for page in (TUTORIAL, README):
        page.write_text(updated(page.read_text(encoding="utf-8"), results), encoding="utf-8")


def save(results: dict) -> None:
    RESULTS.write_text(json.dumps(results, indent=1, ensure_ascii=False) + "\n", encoding="utf-8")


def updated(markdown: str, results: dict) -> str:
    """The page with what was recorded where it shows another run's digits; what differs in words stays, for a person."""
    walked, command = {entry["command"]: entry for entry in results["walk"]}, ""
    lines = markdown.splitlines(keepends=True)
    for fence in read_fences(markdown):
        if fence.kind == "bash":
            command = fence.text
        elif fence.kind == "text" and not fence.mark.startswith(("from ", "recorded: ")):
            output, place = walked.get(named(fence, walked) or command, {}).get("output", []), 0
            masked = [mask(line) for line in output]
            for number, line in enumerate(fence.text.splitlines(), fence.line - 1):
                with contextlib.suppress(ValueError):
                    place = masked.index(mask(line), place) if line.strip() not in ("", "...") else place
                    lines[number] = output[place].rstrip() + "\n" if line.strip() not in ("", "...") else lines[number]
                    place += line.strip() not in ("", "...")
    for name, entry in results["numbers"].items():
        lines = [re.sub(rf"{NUMBER}(?=[^\d<]*<!--{name}-->)", entry["value"], line) for line in lines]
    return "".join(lines)


# What the page says, checked without running its commands: each check yields a complaint a fault. -----------------


def prose(markdown: str) -> list[tuple[int, str]]:
    """(number, text) of the lines that are neither in a fence nor indented code."""
    fenced, lines = False, []
    for number, line in enumerate(markdown.splitlines(), 1):
        if line.startswith("```"):
            fenced = not fenced
        elif not fenced and not line.startswith("    "):
            lines.append((number, line))
    return lines


def anchors(markdown: str) -> set[str]:
    """The names that GitHub gives to headings."""
    titles = [line.lstrip("#").strip() for _, line in prose(markdown) if re.match("#+ ", line)]
    return {re.sub(r"[^\w\- ]", "", title.lower()).replace(" ", "-") for title in titles}


def check_links(markdown: str) -> Iterator[str]:
    for number, line in prose(markdown):
        for target in re.findall(r"\]\(([^)]+)\)", line):
            path, _, anchor = target.partition("#")
            if re.match("https?://", target):
                continue
            if not (ROOT / path).exists():
                yield f"line {number}: there is no {path}"
            elif anchor and anchor not in anchors((ROOT / path).read_text() if path else markdown):
                yield f"line {number}: there is no section #{anchor}"


def parsers() -> dict[str, argparse.ArgumentParser]:
    import inference
    import prep_data
    import train

    scripts = {"prep_data.py": prep_data, "train.py": train, "inference.py": inference}
    return {name: script.build_parser() for name, script in scripts.items()}


def flags_of(parser: argparse.ArgumentParser) -> dict[str, argparse.Action]:
    return {flag: a for a in parser._actions for flag in a.option_strings if flag.startswith("--") and flag != "--help"}


def check_flags(markdown: str) -> Iterator[str]:
    """Every flag has its row in a table, with its default, under the script's section; no other flag is named."""
    flags = {script: flags_of(parser) for script, parser in parsers().items()}
    section_of = {"## 4": "prep_data.py", "## 5": "train.py", "## 7": "inference.py"}
    script, explained = None, {name: set() for name in flags}
    for number, line in prose(markdown):
        if line.startswith("## "):
            script = next((name for start, name in section_of.items() if line.startswith(start)), None)
        if row := re.fullmatch(r"\| (`--\w+`(?:, `--\w+`)*) \| (.+?) \| .+ \|", line):
            for flag in re.findall(r"`(--\w+)`", row[1]):
                if script is None or flag not in flags[script]:
                    yield f"line {number}: {script} has no {flag}"
                    continue
                explained[script].add(flag)
                action = flags[script][flag]
                default = "required" if action.required else "off" if action.default is False else action.default
                default = default if default in ("required", "off") else "none" if default is None else f"`{default}`"
                if row[2] != default:
                    yield f"line {number}: the default of {flag} is {default}, not {row[2]}"
        for code in re.findall(r"`([^`]+)`", line):
            known = next(
                (flags[name] for name in flags if name in code), {f: 0 for part in flags.values() for f in part}
            )
            if not re.match(r"(pip|transformers|tensorboard|accelerate|lm_eval|llama-\w+|ollama|vllm) ", code):
                for flag in re.findall(r"(?<![\w-])--\w[\w-]*", code):
                    if flag not in known:
                        yield f"line {number}: no script has {flag}"
    for name, every in flags.items():
        yield from (f"{name}: {flag} is not explained" for flag in every if flag not in explained[name])


def check_commands(markdown: str) -> Iterator[str]:
    """bash reads each fence, and each command line of a script in it goes through that script's parser."""
    known = parsers()
    for fence in read_fences(markdown):
        if fence.kind != "bash":
            continue
        syntax = subprocess.run(["bash", "-n", "-c", fence.text], capture_output=True, text=True)
        if syntax.returncode:
            yield f"line {fence.line}: {syntax.stderr.strip()}"
            continue
        for line in fence.text.replace("\\\n", " ").splitlines():
            lexer = shlex.shlex(line, posix=True, punctuation_chars=True)
            lexer.whitespace_split = True
            words = list(lexer) if "<<" not in line else []
            if "accelerate" in words:
                from accelerate.commands.launch import launch_command_parser

                with contextlib.redirect_stderr(io.StringIO()) as said:
                    try:
                        words = ["python", *launch_command_parser().parse_args(words[2:]).training_script_args]
                        words.insert(1, "train.py")
                    except SystemExit:
                        yield f"line {fence.line}: accelerate launch: {said.getvalue().strip().splitlines()[-1]}"
            for place, word in enumerate(words[1:], 1):
                if word in known and words[place - 1] == "python":
                    arguments = words[place + 1 :]
                    end = next((i for i, w in enumerate(arguments) if set(w) <= set("|;&<>()")), len(arguments))
                    with contextlib.redirect_stderr(io.StringIO()) as said:
                        try:
                            known[word].parse_args(arguments[:end])
                        except SystemExit:
                            yield f"line {fence.line}: {said.getvalue().strip()}"
            if words[:1] == ["./run_all.sh"] and len(words) > 1:
                modes = re.findall(r"^(\w+)\)$", (ROOT / "run_all.sh").read_text(), re.M)
                if words[1] not in modes:
                    yield f"line {fence.line}: run_all.sh has no mode {words[1]}"


NUMBER = r"\d[\d,]*(?:\.\d+)?"
TAG = re.compile(r"<!--(?! )(.+?)-->")
UNIT = re.compile(
    rf"({NUMBER})[  ]?(s|ms|min|minutes?|hours?|h|days?|kB|MB|GB|MiB|GiB|W|kWh|tokens/s|GFLOP|TFLOP/s|%)(?![\w/])"
)


def check_numbers(markdown: str, results: dict) -> Iterator[str]:
    names = {**vars(math), "round": round, "__builtins__": {}, **results["assumptions"]}
    for name, entry in results["numbers"].items():
        names[name] = float(entry["value"].replace(",", ""))
        if measured(entry, results) != entry["value"]:
            yield f"{RESULTS.name}: {name} is {entry['value']}, but {measured(entry, results)} in {entry['by']}"
    used, quoted = set(), quoted_rows(markdown)
    for number, line in prose(markdown):
        for tag in TAG.finditer(line):
            kind, what = (tag[1][0], tag[1][1:]) if tag[1][0] in "=~" else ("", tag[1])
            if what == "spec":
                continue
            before = TAG.sub("", line[: tag.start()])[-60:]
            if not kind and what not in results["numbers"]:
                yield f"line {number}: nobody measured {what}"
                continue
            used.add(what)
            expressions = what.split(";") if kind else [what]
            shown = list(re.finditer(NUMBER, before))[-len(expressions) :]
            for text, expression in zip(shown, expressions):
                try:
                    value = eval(expression.strip(), names)  # the names above and arithmetic, nothing else
                except Exception as error:
                    yield f"line {number}: {expression}: {error}"
                    continue
                digits = text[0].replace(",", "")
                if abs(float(digits) - value) > 0.500001 * 10.0 ** -len(digits.partition(".")[2]):
                    yield f"line {number}: {text[0]} is {value:,.4f} ({expression.strip()})"
            if (kind == "~") != before[: shown[0].start()].endswith("≈ "):
                yield f"line {number}: an estimate, and only that, has the sign ≈: {before!r}"
        bare = re.sub(r"`[^`]*`", lambda code: "_" * len(code[0]), line)
        for match in UNIT.finditer(TAG.sub(lambda tag: "<" * len(tag[0]), bare)) if number not in quoted else ():
            is_card = match[2] == "GB" and match[1] in ("8", "12", "16", "24")
            if not is_card and not re.match(r"[^\d|<]{0,40}<!--(?! )", line[match.end() :]):
                yield f"line {number}: {match[0]} is neither measured, computed, estimated nor a specification"
    yield from (
        f"{RESULTS.name}: {name} is not used" for name in results["numbers"] if not any(name in u for u in used)
    )


def measured(entry: dict, results: dict) -> str | None:
    """A number as its pattern finds it in a command's record, in a recording, or in a file."""
    by, text = entry["by"], ""
    if by.startswith("walk: "):
        record = next((e for e in results["walk"] if e["command"].startswith(by[6:])), None)
        text = (
            "\n".join([*record["output"], f"seconds: {record['seconds']}", f"peak_mb: {record.get('peak_mb')}"])
            if record
            else ""
        )
    elif by.startswith("recorded: "):
        text = "\n".join(results["recordings"].get(by[10:], []))
    elif (ROOT / by).is_file():
        text = (ROOT / by).read_text(encoding="utf-8")
    found = re.search(entry["pattern"], text, re.M)
    return found[1] if found else None


def in_order(lines: list[str], output: list[str], masked: Callable[[str], str]) -> str | None:
    """The first of `lines` that does not come in `output` after the one before, `...` and blank lines aside."""
    place = 0
    seen = [masked(line) for line in output]
    for line in lines:
        if line.strip() in ("", "...") or (place and masked(line) == seen[place - 1]):
            continue
        try:
            place = seen.index(masked(line), place) + 1
        except ValueError:
            return line
    return None


def check_outputs(markdown: str, results: dict) -> Iterator[str]:
    """Text fences against what was recorded, word for word; excerpts against their files."""
    walked, command = {entry["command"]: entry for entry in results["walk"]}, ""
    for fence in read_fences(markdown):
        lines = fence.text.splitlines()
        if fence.kind == "bash":
            command = fence.text
            if not fence.mark and command not in walked:
                yield f"line {fence.line}: this command was not walked"
        elif fence.mark.startswith("from "):
            source = (ROOT / fence.mark[5:]).read_text(encoding="utf-8")
            if squeeze(fence.text) not in squeeze(source):
                yield f"line {fence.line}: {fence.mark[5:]} does not say this (any more)"
        elif fence.mark.startswith("recorded: "):
            if lines != results["recordings"].get(fence.mark[10:]):
                yield f"line {fence.line}: not what was recorded under this name"
        elif fence.kind == "text":
            command = named(fence, walked) or command
            wrong = in_order(lines, walked.get(command, {}).get("output", []), str.rstrip)
            if wrong is not None:
                yield f"line {fence.line}: the command did not print: {wrong}"
        else:
            yield f"line {fence.line}: a {fence.kind} fence without a mark is not checked"


def named(fence: Fence, commands: Iterable[str]) -> str | None:
    """The command that a fence's mark names by its beginning."""
    beginning = fence.mark[10:] if fence.mark.startswith("output of ") else None
    return next((command for command in commands if beginning and command.startswith(beginning)), None)


def quoted_rows(markdown: str) -> dict[int, str]:
    """Line number -> file, of the table rows that are marked as rows of a file."""
    source, quoted = "", {}
    for number, line in enumerate(markdown.splitlines(), 1):
        if mark := re.fullmatch("<!-- rows of (.+) -->", line):
            source = mark[1]
        elif not line.startswith("|"):
            source = ""
        elif source:
            quoted[number] = source
    return quoted


def check_tables(markdown: str) -> Iterator[str]:
    lines = markdown.splitlines()
    for number, source in quoted_rows(markdown).items():
        if lines[number - 1] not in (ROOT / source).read_text(encoding="utf-8").splitlines():
            yield f"line {number}: this row is not in {source}"


def squeeze(code: str) -> str:
    """Code without its common indentation and what differs between a whole and an excerpt of it."""
    return "\n".join(line.strip() for line in code.splitlines()).strip()


def complaints(markdown: str, results: dict) -> list[str]:
    checks = (check_links(markdown), check_flags(markdown), check_commands(markdown), check_numbers(markdown, results),
              check_outputs(markdown, results), check_tables(markdown))  # fmt: skip
    return [complaint for check in checks for complaint in check]


# The commands, run ------------------------------------------------------------------------------------------------

CUTS = {  # appended to a script's arguments: the last one given counts
    "train.py": ["--max_steps", "2", "--n_layer", "2", "--n_embd", "64", "--n_head", "2"],
    "inference.py": ["--max_new_tokens", "4"],
    "prep_data.py": [],
}


def client(address: str, cuts: dict[str, list[str]]) -> str:
    """The `python` of the scratch copy: our scripts and what is in line go to the warm interpreter, all else to the real one."""
    return textwrap.dedent(f"""\
        #!{sys.executable} -ESs
        import json, os, socket, sys
        cuts = {{"-c": [], "-": [], **{cuts!r}}}
        if len(sys.argv) < 2 or sys.argv[1] not in cuts:
            os.execv({sys.executable!r}, [{sys.executable!r}, *sys.argv[1:]])
        arguments = [word for word in sys.argv[1:] if word != "--compile"] + cuts[sys.argv[1]]
        connection = socket.socket(socket.AF_UNIX)
        connection.connect({address!r})
        request = json.dumps([os.getcwd(), dict(os.environ), arguments]).encode()
        socket.send_fds(connection, [len(request).to_bytes(8, "big")], [0, 1, 2])
        connection.sendall(request)
        sys.exit(int(connection.recv(8) or 1))
        """)


def serve(address: str) -> None:
    """Run scripts in forks of an interpreter that has imported what they need: seconds less for each command."""
    import accelerate  # noqa: F401
    import datasets  # noqa: F401
    import matplotlib.pyplot  # noqa: F401
    import torch._subclasses.fake_tensor
    import torch.distributed._tools.mem_tracker
    import torch.utils.tensorboard  # noqa: F401
    import transformers.models.gpt2.modeling_gpt2
    import transformers.models.llama.modeling_llama  # noqa: F401

    server = socket.socket(socket.AF_UNIX)
    server.bind(address)
    server.listen()
    print("ready", flush=True)
    while True:
        connection, _ = server.accept()
        with contextlib.suppress(ChildProcessError):
            while os.waitpid(-1, os.WNOHANG)[0]:
                pass
        if os.fork() == 0:
            break
        connection.close()
    size, descriptors, *_ = socket.recv_fds(connection, 8, 3)
    with connection.makefile("rb") as stream:
        folder, environment, sys.argv = json.loads(stream.read(int.from_bytes(size, "big")))
    for target, descriptor in enumerate(descriptors):
        os.dup2(descriptor, target)
        os.close(descriptor)
    os.chdir(folder)
    os.environ.clear()
    os.environ.update(environment)
    code = 0
    try:
        if sys.argv[0] in ("-c", "-"):
            exec(sys.argv.pop(1) if sys.argv[0] == "-c" else sys.stdin.read(), {"__name__": "__main__"})
        else:
            runpy.run_path(sys.argv[0], run_name="__main__")
    except SystemExit as stop:
        code = stop.code or 0
    except BaseException:
        traceback.print_exc()
        code = 1
    sys.stdout.flush()
    sys.stderr.flush()
    connection.sendall(str(code).encode())
    os._exit(0)


def mask(line: str) -> str:
    """A line of output without what differs from machine to machine and from model to model."""
    line = re.sub(r"#+$", "BAR", line)
    line = re.sub(r"\b(fp32|bf16|fp16)\b", "PRECISION", line)
    line = re.sub(r"-?\d[\d,]*(\.\d+)?(e[-+]\d+)?", "N", line)
    line = re.sub(r"\bN (min|h|d|s)\b", "DURATION", line)
    line = re.sub(r"(\w+ N \+ )*\w+ N = N GiB", "PARTS = N GiB", line)  # a small model has none of some
    line = line.replace("at least ", "")  # of a time that was not measured, being long
    line = re.sub(r"\bN[KMG]\b", "SIZE", line)
    return " ".join(line.split())


def tutorial_repositories() -> dict[str, dict[str, bytes]]:
    """What the tutorial asks the hub for, small."""
    import torch
    import transformers
    from loopback_hub import alpaca_rows, parquet, sample_repositories

    repositories = sample_repositories()
    repositories["datasets/tatsu-lab/alpaca"] = {"data/train.parquet": parquet([*alpaca_rows(), alpaca_rows()[7]])}
    gpt2 = repositories["models/gpt2"]
    n_vocab = len(json.loads(gpt2["tokenizer.json"])["model"]["vocab"])
    n_vocab += "<|endoftext|>" not in json.loads(gpt2["tokenizer.json"])["model"]["vocab"]
    torch.manual_seed(0)
    config = transformers.GPT2Config(vocab_size=n_vocab, n_layer=2, n_embd=64, n_head=2)
    weights = {
        name: w for name, w in transformers.GPT2LMHeadModel(config).state_dict().items() if "lm_head" not in name
    }
    from safetensors.torch import save

    repositories["models/gpt2-medium"] = {
        **gpt2, "config.json": config.to_json_string().encode(), "model.safetensors": save(weights, {"format": "pt"})
    }  # fmt: skip
    texts = [{"text": f"Page {n}. " + " ".join(f"word{n * i % 97}" for i in range(200))} for n in range(200)]
    repositories["datasets/HuggingFaceFW/fineweb-edu"] = {
        "README.md": b"---\nconfigs:\n- config_name: sample-10BT\n  data_files: sample/10BT/*\n---\n",
        "sample/10BT/000.parquet": parquet(texts),
    }
    repositories["datasets/HuggingFaceH4/ultrachat_200k"] = repositories["datasets/made-up/splits"]
    return repositories


@pytest.fixture(scope="module")
def page() -> str:
    return TUTORIAL.read_text(encoding="utf-8")


@pytest.fixture(scope="module")
def results() -> dict:
    return json.loads(RESULTS.read_text(encoding="utf-8"))


@pytest.fixture(scope="module")
def reader(tmp_path_factory) -> Iterator[Callable[[str], subprocess.CompletedProcess]]:
    """Runs a command as the reader would: in a copy of the project, with `.venv` and a hub that is at hand."""
    from loopback_hub import hub

    folder = tmp_path_factory.mktemp("reader") / "project"
    for name in (
        "prep_data.py",
        "train.py",
        "inference.py",
        "run_all.sh",
        "requirements.txt",
        "data/sample",
        "tests/tools",
    ):
        if (ROOT / name).is_dir():
            shutil.copytree(ROOT / name, folder / name)
        elif (ROOT / name).exists():
            folder.mkdir(parents=True, exist_ok=True)
            shutil.copy2(ROOT / name, folder)
    for name, n_rows in (("train", 600), ("val", 60)):  # of which a fifth is enough to make a tokenizer of 2,048
        path = folder / "data" / "sample" / f"{name}.jsonl"
        lines = path.read_text(encoding="utf-8").splitlines(keepends=True)
        path.write_text("".join(lines[:: len(lines) // n_rows]), encoding="utf-8")
    programs = folder / ".venv" / "bin"
    programs.mkdir(parents=True)
    address = str(tmp_path_factory.mktemp("warm") / "socket")
    (programs / "python").write_text(client(address, CUTS))
    (programs / "python").chmod(0o755)
    (programs / "activate").write_text(f"export PATH={shlex.quote(str(programs))}:$PATH\n")
    stamp = subprocess.run("cat requirements.txt | cksum | cut -d' ' -f1", shell=True, cwd=folder, capture_output=True)
    (folder / ".venv" / f"installed-{stamp.stdout.decode().strip()}").touch()

    with hub(tutorial_repositories(), tmp_path_factory.mktemp("cache")) as hub_environment:
        # one thread is fastest for models this small, and OpenMP reads that when the warm interpreter starts
        environment = {**os.environ, **hub_environment, "NO_PROXY": "*", "no_proxy": "*", "NO_COLOR": "1",
                       "OMP_NUM_THREADS": "1",
                       "PATH": f"{programs}:{Path(sys.executable).parent}:{os.environ['PATH']}"}  # fmt: skip
        warm = subprocess.Popen(
            [sys.executable, __file__, "--serve", address], env=environment, stdout=subprocess.PIPE, text=True
        )
        try:
            assert warm.stdout.readline() == "ready\n"
            yield lambda command: subprocess.run(
                ["bash", "-euo", "pipefail", "-c", command], cwd=folder, env=environment, timeout=HANG_S,
                stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True,
            )  # fmt: skip
        finally:
            warm.kill()
            warm.wait()


def test_the_page_is_true(page, results):
    assert not complaints(page, results)


FALSE = [  # (what is true, what is not, the check that must see it, what it says)
    ("(docs/loss.png)", "(docs/lost.png)", check_links, "there is no docs/lost.png"),
    ("(#three-recipes)", "(#four-recipes)", check_links, "no section #four-recipes"),
    ("| `--patience` | none |", "| `--patent` | none |", check_flags, "train.py has no --patent"),
    ("| `--patience` | none |", "| `--seed` | `1337` |", check_flags, "train.py: --patience is not explained"),
    (
        "| `--val_fraction` | `0.02` |",
        "| `--val_fraction` | `0.2` |",
        check_flags,
        "the default of --val_fraction is `0.02`",
    ),
    ("`--patience 5`", "`--patient 5`", check_flags, "no script has --patient"),
    ("--epochs 3 --use_flash_attn", "--epochs 3 --flash_attn", check_commands, "unrecognized arguments: --flash_attn"),
    ("--cfg heavier_420m", "--cfg heavier_505m", check_commands, "invalid choice: 'heavier_505m'"),
    ("--num_processes 2 train.py", "--num_processes two train.py", check_commands, "accelerate launch"),
    ("train.py --data_dir data --model_dir checkpoints/two", "train.py --data data", check_commands, "--model_dir"),
    ("./run_all.sh\n```", "./run_all.sh everything\n```", check_commands, "no mode everything"),
    ("echo /help |", "echo /help |&|", check_commands, "syntax error"),
    (re.compile(r"\d+ s(?=<!--demo_train_s-->)"), "9 s", check_numbers, ": 9 is "),
    ("<!--demo_train_s-->", "", check_numbers, "s is neither measured"),
    ("<!--demo_train_s-->", "<!--demo_nights-->", check_numbers, "nobody measured demo_nights"),
    ("354,826,240<!--=", "354,826,241<!--=", check_numbers, "354,826,241 is 354,826,240"),
    ("≈ 101 to 152 hours<!--~", "101 to 152 hours<!--~", check_numbers, "has the sign ≈"),
    ("≈ 101 to 152 hours<!--~", "≈ 101 to 153 hours<!--~", check_numbers, "153 is 151.7"),
    (re.compile(r"(?m)^(step +10/\d+ \| loss) [\d.]+"), r"\1 9.8765", check_outputs, "did not print: step      10/"),
    ("The longest river in Europe is the Volga", "It is the Yangtze", check_outputs, "not what was recorded"),
    ("n_learned = int(", "n_graded = int(", check_outputs, "train.py does not say this"),
    ("./run_all.sh\n```", "./run_all.sh demo\n```", check_outputs, "this command was not walked"),
    (
        "| TRL `SFTTrainer`, packed | 1",
        "| TRL `SFTTrainer`, packed | 2",
        check_tables,
        "this row is not in tests/bench",
    ),
]


@pytest.mark.parametrize(("true", "false", "check", "says"), FALSE, ids=[case[3] for case in FALSE])
def test_what_is_false_is_seen(page, results, true, false, check, says):
    pattern = re.compile(re.escape(true)) if isinstance(true, str) else true
    changed, n_changes = pattern.subn(false if isinstance(true, re.Pattern) else lambda _: false, page)
    assert n_changes
    arguments = (results,) if check in (check_numbers, check_outputs) else ()
    assert any(says in complaint for complaint in check(changed, *arguments))


def test_a_number_that_was_not_printed_is_seen(page, results):
    number = results["numbers"]["demo_train_s"]
    numbers = {**results["numbers"], "demo_train_s": {**number, "value": "9"}}
    found = list(check_numbers(page, {**results, "numbers": numbers}))
    assert any(f"demo_train_s is 9, but {number['value']} in walk: ./run_all.sh" in complaint for complaint in found)


def test_the_page_follows_a_new_walk(page, results):
    walk = json.loads(json.dumps(results["walk"]).replace(results["numbers"]["demo_train_s"]["value"], "9"))
    numbers = {name: dict(entry) for name, entry in results["numbers"].items()}
    for entry in numbers.values():
        entry["value"] = measured(entry, {**results, "walk": walk}) or entry["value"]
    other = {**results, "walk": walk, "numbers": numbers}
    assert [*check_outputs(page, other)] and [*check_numbers(page, other)]
    assert not [*check_outputs(updated(page, other), other), *check_numbers(updated(page, other), other)]


def test_outputs_differ_in_digits_only():
    shown = ["step      10/259 | loss 5.2744 | 2,898 tok/s | eta 5.8 min", "...", "done"]
    printed = ["step       2/2 | loss 7.1 | 12,000 tok/s | eta 1.0 h", "and more", "done"]
    assert in_order(shown, printed, mask) is None
    assert in_order(shown, printed, str) == shown[0]
    assert in_order(["done", *shown], printed, mask) == shown[0]  # the order counts
    assert in_order(["step 10/259 | train loss 5.2744"], printed, mask)


def test_the_readme_is_true(results):
    readme = README.read_text(encoding="utf-8")
    of_the_page = [complaint for complaint in check_numbers(readme, results) if complaint.startswith("line")]
    assert not [*check_links(readme), *check_commands(readme), *of_the_page]


def test_every_command_runs_and_prints_what_is_shown(page, reader):
    assert reader("python train.py --no_such_flag").returncode == 2  # exit codes come through
    said: dict[str, list[str]] = {}
    for fence in read_fences(page):
        if fence.kind == "bash" and fence.mark in ("", "takes hours"):
            began = time.monotonic()
            done, command = reader(fence.text), fence.text
            said[command] = [re.sub(r".*\r", "", line) for line in done.stdout.splitlines()]
            print(f"{time.monotonic() - began:.1f} s: {fence.text}", end="")
            assert done.returncode == 0, f"tutorial.md, line {fence.line}:\n{fence.text}\n{done.stdout}"
        elif fence.kind == "text" and (not fence.mark or named(fence, said)):
            printed = said[named(fence, said) or command]
            wrong = in_order(fence.text.splitlines(), printed, mask)
            assert wrong is None, f"tutorial.md, line {fence.line}: not printed: {wrong}\n\n" + "\n".join(printed)


if __name__ == "__main__":
    if sys.argv[1] == "--serve":
        serve(sys.argv[2])
    else:
        walk(Path(sys.argv[1]).resolve(), {int(number) for number in sys.argv[2:]})
