"""The wrong lines of ``tests/typing``: that each is wrong by one token, and that both checkers see just these lines."""

from __future__ import annotations

import json
import os
import re
import subprocess
import sys
import tokenize
import tomllib
from collections.abc import Iterator
from dataclasses import dataclass
from io import StringIO
from pathlib import Path

import pytest

from tests.support.scripts import ROOT

FILES = ("wrong.py", "wrong_calls.py")
IGNORED = re.compile(r"  # (?:type|pyright): ignore\[.*")
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


ALL = [(FILE, *pair) for FILE in FILES for pair in pairs_of(ROOT / "tests" / "typing" / FILE)]


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
    ignored = sum(len(IGNORED.findall((ROOT / "tests" / "typing" / name).read_text("utf-8"))) for name in FILES)

    assert len(ALL) == ignored
    assert len(ALL) >= 40


@pytest.fixture(scope="module")
def unmarked(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A package with the wrong lines, and nothing that says so."""
    package = tmp_path_factory.mktemp("wrong") / "unmarked"
    package.mkdir()
    (package / "__init__.py").touch()
    for name in FILES:
        text = (ROOT / "tests" / "typing" / name).read_text("utf-8")
        (package / name).write_text(IGNORED.sub("", text), "utf-8")
    return package


EXPECTED = {(name, wrong.number) for name, _, wrong in ALL}


def test_mypy_reports_the_wrong_lines_and_no_other(unmarked: Path) -> None:
    """Line by line, in strict mode."""
    command = ["mypy", "--config-file", "mypy.ini", "--cache-dir", str(unmarked.parent / "mypy"), "--output", "json"]

    ended = checked(*command, *(str(unmarked / name) for name in FILES))

    assert ended.stdout, ended.stderr
    found = [json.loads(line) for line in ended.stdout.splitlines() if line.startswith("{")]
    assert {(Path(each["file"]).name, each["line"]) for each in found if each["severity"] == "error"} == EXPECTED


def test_pyright_reports_the_wrong_lines_and_no_other(unmarked: Path) -> None:
    """Line by line, in strict mode."""
    settings = tomllib.loads((ROOT / "pyproject.toml").read_text("utf-8"))["tool"]["pyright"]
    settings |= {"include": ["unmarked"], "exclude": [], "extraPaths": [str(ROOT)]}
    project = unmarked.parent / "pyrightconfig.json"
    project.write_text(json.dumps(settings), "utf-8")

    ended = checked("pyright", "--outputjson", "--project", str(project))

    assert ended.stdout, ended.stderr
    found = json.loads(ended.stdout)["generalDiagnostics"]
    lines = {(Path(each["file"]).name, each["range"]["start"]["line"] + 1) for each in found}
    assert lines == EXPECTED


def checked(module: str, *arguments: str) -> subprocess.CompletedProcess[str]:
    """Run a checker of this environment on this version of purse."""
    return subprocess.run(
        [sys.executable, "-m", module, *arguments],
        cwd=ROOT,
        env=os.environ | {"MYPYPATH": str(ROOT)},
        capture_output=True,
        text=True,
        check=False,
    )
