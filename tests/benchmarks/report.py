"""How a benchmark writes down what it found: a title, one line that says when, on what and with what, and its lines."""

from __future__ import annotations

import os
import platform
import re
import subprocess
from datetime import date
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
RESULTS = ROOT / "tests" / "benchmarks" / "results"
# what decides how fast a CPU multiplies, as Linux names it
UNITS = {"avx2": "AVX2", "avx512f": "AVX-512", "avx512_bf16": "bf16", "amx_bf16": "AMX"}


def processor() -> str:
    """`2 cores of an AMD EPYC with AVX2, AVX-512`: the kind of processor, which other machines have as well."""
    said = Path("/proc/cpuinfo").read_text() if Path("/proc/cpuinfo").exists() else ""
    about = dict(re.findall(r"^(\w[\w ]*?)\s*: (.*)$", said, re.M))
    units = [name for flag, name in UNITS.items() if flag in about.get("flags", "").split()]
    kind = about.get("model name") or platform.processor() or platform.machine()
    return f"{os.cpu_count()} cores of {kind}" + (f" with {', '.join(units)}" if units else "")


def commit() -> str:
    """The commit that was measured, `(changed)` where the files differ from it."""
    try:
        said = [
            subprocess.run(["git", *command], cwd=ROOT, capture_output=True, text=True, check=True).stdout.strip()
            for command in (["rev-parse", "--short", "HEAD"], ["status", "--porcelain", "--untracked-files=no"])
        ]
    except (OSError, subprocess.CalledProcessError):
        return "commit unknown"
    return f"commit {said[0]}{' (changed)' if said[1] else ''}"


def stamp(*packages: str, hardware: str | None = None, versions: str | None = None) -> str:
    """When, on what and with what: `packages` as they are installed here, or `versions` as they are elsewhere."""
    if versions is None:
        versions = ", ".join(f"{name} {version(name)}" for name in packages if installed(name))
    return f"{date.today()}, {commit()}, {hardware or processor()}; Python {platform.python_version()}, {versions}."


def installed(package: str) -> bool:
    try:
        return bool(version(package))
    except PackageNotFoundError:
        return False


def write(path: Path, title: str, lines: list[str]) -> None:
    """Write `# title` and the lines to `path`."""
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text("\n".join([f"# {title}", "", *lines]).rstrip() + "\n", encoding="utf-8")


def write_section(path: Path, title: str, script: str, section: str) -> None:
    """Put `## heading ...` in the place of the section with that heading, or behind the others."""
    old = path.read_text(encoding="utf-8").split("\n## ")[1:] if path.exists() else []
    sections = {each.splitlines()[0]: "## " + each.strip() + "\n" for each in old}
    sections[section.splitlines()[0][3:]] = section
    head = f"Written by `python tests/benchmarks/{script}`; each section says when and where it was run."
    write(path, title, [head, "", *sections.values()])
