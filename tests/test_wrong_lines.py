"""The wrong lines of ``tests/typing``: that each is wrong by one token, and that type checkers see just these lines."""

from __future__ import annotations

import re
import tokenize
import tomllib
from collections.abc import Iterator
from dataclasses import dataclass
from io import StringIO
from pathlib import Path

import pytest

from tests.support.checkers import CHECKERS, IGNORED, faults_of, verdict_of
from tests.support.scripts import ROOT

TYPING = ROOT / "tests" / "typing"
DOCUMENTATION = (ROOT / "docs" / "typing.md").read_text("utf-8")
FILES = ("wrong.py", "wrong_calls.py")
MARKS = re.compile(r"  # type: ignore\[[\w, -]+\]  # pyright: ignore\[[\w, ]+\]$")


@dataclass(frozen=True)
class Line:
    """A logical line: where it is, how far it is indented, its tokens without comments, and its text."""

    number: int
    indent: int
    tokens: tuple[str, ...]
    text: str

    @property
    def is_wrong(self) -> bool:
        """Whether checkers are told that they will report it."""
        return IGNORED.search(self.text) is not None


def lines_of(path: Path) -> Iterator[Line]:
    """The logical lines of a file."""
    text = path.read_text("utf-8")
    begin, tokens = None, list[str]()
    for token in tokenize.generate_tokens(StringIO(text).readline):
        if token.type == tokenize.NEWLINE and begin is not None:
            number, indent = begin
            yield Line(number, indent, tuple(tokens), text.splitlines()[number - 1])
            begin, tokens = None, []
        elif token.type not in (tokenize.COMMENT, tokenize.NL, tokenize.INDENT, tokenize.DEDENT):
            begin = begin or token.start
            tokens.append(token.string)


def pairs_of(path: Path) -> Iterator[tuple[Line | None, Line]]:
    """Each wrong line with the line above it in its block; what is indented further does not count."""
    above: dict[int, Line] = {}
    for line in lines_of(path):
        above = {indent: each for indent, each in above.items() if indent <= line.indent}
        if line.is_wrong:
            yield above.get(line.indent), line
        above[line.indent] = line


def without_name(tokens: tuple[str, ...]) -> tuple[str, ...]:
    """A line's tokens but for the name that it defines, which cannot be the same twice."""
    if tokens[0] == "class":
        return tokens[:1] + tokens[2:]
    if tokens[:2] == ("async", "def"):
        return tokens[:2] + tokens[3:]
    return tokens[1:] if tokens[1] == ":" else tokens


def is_one_token(right: tuple[str, ...], wrong: tuple[str, ...]) -> bool:
    """Whether one token was changed, left out or added."""
    same = 0
    while right[same : same + 1] == wrong[same : same + 1] != ():
        same += 1
    right, wrong = right[same:], wrong[same:]
    return right != wrong and (right[1:] == wrong[1:] or right[1:] == wrong or right == wrong[1:])


ALL = [(FILE, *pair) for FILE in FILES for pair in pairs_of(TYPING / FILE)]


@pytest.mark.rows(12)
@pytest.mark.parametrize(
    ("right", "wrong"), [pair for _, *pair in ALL], ids=[f"{name}:{wrong.number}" for name, _, wrong in ALL]
)
def test_a_wrong_line_is_a_right_one_with_one_token_changed(right: Line | None, wrong: Line) -> None:
    """What is above it is the same line, right."""
    assert right is not None
    assert not right.is_wrong
    assert MARKS.search(wrong.text)
    assert is_one_token(without_name(right.tokens), without_name(wrong.tokens)), f"{right.text}\n{wrong.text}"


def test_there_are_enough_of_them() -> None:
    """At least forty, and as many as there are ignore comments: the tokenizer has overlooked none."""
    ignored = sum(len(IGNORED.findall((TYPING / name).read_text("utf-8"))) for name in FILES)

    assert len(ALL) == ignored
    assert len(ALL) >= 40


@pytest.mark.thorough
@pytest.mark.parametrize("checker", CHECKERS)
def test_a_checker_refuses_the_wrong_lines_and_no_other(checker: str, tmp_path: Path) -> None:
    """Line by line, in its strict mode, but for the checker's own faults, each of which is listed with its reason."""
    verdict = verdict_of(checker, tmp_path)

    assert (verdict.refused, verdict.accepted) == faults_of(checker)


def test_faults_are_few_and_explained() -> None:
    """mypy, pyright and basedpyright accept every right line; no checker has more than ten faults."""
    faults = tomllib.loads((TYPING / "faults.toml").read_text("utf-8"))["fault"]

    assert all(fault["checker"] in CHECKERS and fault["reason"].endswith(".") for fault in faults)
    assert not any(faults_of(checker)[0] for checker in ("mypy", "pyright", "basedpyright"))
    assert all(sum(map(len, faults_of(checker))) <= 10 for checker in CHECKERS)


def test_the_documentation_counts_the_faults() -> None:
    """The table in ``docs/typing.md`` has as many for each checker as the list of them."""
    row = re.compile(r"^\| (\w+) [\d.]+.* \| all(?: but (\d+))? \| all(?: but (\d+))? \|$", re.MULTILINE)

    assert {name: (int(right or 0), int(wrong or 0)) for name, right, wrong in row.findall(DOCUMENTATION)} == {
        name: (len(faults_of(name)[0]), len(faults_of(name)[1])) for name in CHECKERS
    }
