"""The lesson of train.py, from its first line to the end of `main`, keeps the budget that no feature may spend."""

from __future__ import annotations

import ast
import io
import tokenize

import pytest
from conftest import ROOT

LAYOUT = (tokenize.NEWLINE, tokenize.NL, tokenize.INDENT, tokenize.DEDENT, tokenize.ENDMARKER)


@pytest.fixture(scope="module")
def main() -> ast.FunctionDef:
    tree = ast.parse((ROOT / "train.py").read_text(encoding="utf-8"))
    return next(node for node in tree.body if isinstance(node, ast.FunctionDef) and node.name == "main")


@pytest.fixture(scope="module")
def tokens(main) -> list[tokenize.TokenInfo]:
    lines = (ROOT / "train.py").read_text(encoding="utf-8").splitlines(keepends=True)[: main.end_lineno]
    return [
        token for token in tokenize.generate_tokens(io.StringIO("".join(lines)).readline) if token.type not in LAYOUT
    ]


def test_the_lesson_can_be_read_in_one_sitting(main, tokens):
    assert main.end_lineno <= 600
    assert len(tokens) <= 5000


def test_main_reads_like_a_page(main):
    (loop,) = [node for node in main.body if isinstance(node, ast.For)]
    assert main.end_lineno - main.lineno + 1 <= 80
    assert loop.end_lineno - loop.lineno + 1 <= 40


def test_comments_stand_where_a_newcomer_stops(tokens):
    comments = [token for token in tokens if token.type == tokenize.COMMENT and "fmt:" not in token.string]
    code = {token.start[0] for token in tokens if token.type not in (tokenize.COMMENT, tokenize.STRING)}
    assert 12 <= 100 * len(comments) / len(code) <= 25
