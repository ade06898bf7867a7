"""What stands on the pages and whether it is true, without running their commands: each check yields a complaint a fault.

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
"""

from __future__ import annotations

import argparse
import contextlib
import io
import math
import re
import shlex
import subprocess
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
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
