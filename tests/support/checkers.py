"""Five type checkers, and what each reports for the programs in ``tests/typing`` and ``examples``.

A line with an ignore comment is wrong on purpose. The comments are taken away, each checker reads the same programs in
its strict mode, and the lines that it reports are compared with the wrong ones. What a checker itself gets wrong is in
``tests/typing/faults.toml``, by the text of the line and with the reason.

    python -m tests.support.checkers        prints how many lines each accepts and refuses; fails if one is unexpected
"""

from __future__ import annotations

import json
import os
import re
import shutil
import subprocess
import sys
import sysconfig
import tempfile
import tomllib
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import cast

from tests.support.scripts import ROOT

__all__ = ["CHECKERS", "IGNORED", "Verdict", "faults_of", "verdict_of"]

# What is unknown to pyright alone, because redis-py does not say it, is not wrong.
IGNORED = re.compile(r"  # (?:type|pyright): ignore\[(?!reportUnknown).*")
_REPORTED = re.compile(r"^\s*(?:ERROR |WARN )?([^\s:]+\.py):(\d+)\b(?!: note)", re.MULTILINE)
_SETTINGS = ROOT / "pyproject.toml"
_FOLDERS = {"lines": ROOT / "tests" / "typing", "examples": ROOT / "examples"}


@dataclass(frozen=True)
class Verdict:
    """What a checker makes of all lines.

    Attributes:
        right: how many lines are right.
        wrong: how many are wrong on purpose.
        refused: right lines that it reports.
        accepted: wrong lines that it does not report.
    """

    right: int
    wrong: int
    refused: frozenset[str]
    accepted: frozenset[str]


def _mypy(work: Path) -> list[str]:
    return ["mypy", "--config-file", str(ROOT / "mypy.ini"), "--cache-dir", str(work / ".mypy"), *_FOLDERS]


def _pyright(work: Path, **rules: str) -> list[str]:
    settings = _settings("pyright") | {"include": list(_FOLDERS), "exclude": [], "extraPaths": [str(ROOT)], **rules}
    (work / "pyrightconfig.json").write_text(json.dumps(settings), "utf-8")
    return ["pyright", "--pythonpath", sys.executable]


def _basedpyright(work: Path) -> list[str]:
    # The one rule of its usual mode that would refuse every field of a store.
    return ["basedpyright", *_pyright(work, reportUninitializedInstanceVariable="error")[1:]]


def _ty(work: Path) -> list[str]:
    (work / "ty.toml").write_text("\n".join(_as_toml(_settings("ty"))), "utf-8")
    # A program of the tutorial imports its neighbour.
    folders = ("--extra-search-path", str(ROOT), "--extra-search-path", str(work / "examples" / "tutorial"))
    return ["ty", "check", "--output-format", "concise", "--python", sys.executable, *folders, *_FOLDERS]


def _pyrefly(work: Path) -> list[str]:
    # Without search paths it takes lines/fastapi.py for the module fastapi.
    paths = {"search-path": [str(ROOT), str(work / "examples" / "tutorial")], "python-interpreter-path": sys.executable}
    (work / "pyrefly.toml").write_text("\n".join(_as_toml(_settings("pyrefly") | paths)), "utf-8")
    return ["pyrefly", "check", "--output-format", "min-text", *_FOLDERS]


def _settings(checker: str) -> dict[str, object]:
    """What ``pyproject.toml`` says to a checker."""
    settings: dict[str, object] = tomllib.loads(_SETTINGS.read_text("utf-8"))["tool"][checker]
    return settings


def _as_toml(table: Mapping[str, object], prefix: str = "") -> Iterator[str]:
    for name, value in table.items():
        if isinstance(value, dict):
            yield from _as_toml(cast("dict[str, object]", value), f"{prefix}{name}.")
        else:
            yield f"{prefix}{name} = {json.dumps(value)}"


CHECKERS: Mapping[str, Callable[[Path], list[str]]] = {
    "mypy": _mypy,
    "pyright": _pyright,
    "basedpyright": _basedpyright,
    "ty": _ty,
    "pyrefly": _pyrefly,
}
"""For each checker what to run with ``python -m`` in a folder that has the programs."""


def faults_of(checker: str) -> tuple[frozenset[str], frozenset[str]]:
    """Right lines that this checker refuses, and wrong lines that it accepts, by its own fault."""
    faults = tomllib.loads((_FOLDERS["lines"] / "faults.toml").read_text("utf-8"))["fault"]
    its = [fault for fault in faults if fault["checker"] == checker]
    refused, accepted = (
        frozenset(line for fault in its for line in fault.get(kind, ())) for kind in ("refuses", "accepts")
    )
    return refused, accepted


def verdict_of(checker: str, work: Path) -> Verdict:
    """Run a checker of this environment on this version of purse, in an empty folder."""
    texts = dict[tuple[str, int], str]()
    wrong = set[tuple[str, int]]()
    for name, folder in _FOLDERS.items():
        shutil.copytree(folder, work / name, ignore=shutil.ignore_patterns("__pycache__"))
        for path in (work / name).rglob("*.py"):
            lines = path.read_text("utf-8").splitlines()
            for number, line in enumerate(lines, 1):
                where = (path.relative_to(work).as_posix(), number)
                texts[where] = line.partition("  # ")[0].strip()
                if IGNORED.search(line):
                    wrong.add(where)
            path.write_text("\n".join(IGNORED.sub("", line) for line in lines) + "\n", "utf-8")
    (work / "lines" / "__init__.py").touch()
    # A launcher such as pyrefly's looks for its program on PATH, also if the environment is not activated.
    programs = os.pathsep.join((sysconfig.get_path("scripts"), os.environ.get("PATH", os.defpath)))
    ended = subprocess.run(
        [sys.executable, "-m", *CHECKERS[checker](work)],
        cwd=work,
        env=os.environ | {"MYPYPATH": str(ROOT), "PATH": programs},
        capture_output=True,
        text=True,
        check=False,
    )
    reported = {
        ((work / path).relative_to(work).as_posix(), int(number)) for path, number in _REPORTED.findall(ended.stdout)
    }
    assert reported & wrong, ended.stdout + ended.stderr
    code = {where for where, text in texts.items() if text and not text.startswith("#")}
    return Verdict(
        right=len(code - wrong),
        wrong=len(wrong),
        refused=frozenset(texts[where] for where in reported - wrong),
        accepted=frozenset(texts[where] for where in wrong - reported),
    )


def main() -> int:
    """Print the table, and each line that is unexpected."""
    unexpected = list[str]()
    print(f"{'checker':<14}{'right lines accepted':>22}{'wrong lines refused':>22}")
    for checker in CHECKERS:
        with tempfile.TemporaryDirectory() as work:
            verdict = verdict_of(checker, Path(work).resolve())
        accepted = f"{verdict.right - len(verdict.refused)} of {verdict.right}"
        refused = f"{verdict.wrong - len(verdict.accepted)} of {verdict.wrong}"
        print(f"{checker:<14}{accepted:>22}{refused:>22}")
        known = faults_of(checker)
        for kind, lines, expected in zip(
            ("refuses", "accepts"), (verdict.refused, verdict.accepted), known, strict=True
        ):
            unexpected += [f"{checker} {kind}: {line}" for line in sorted(lines - expected)]
            unexpected += [f"{checker} no longer {kind}: {line}" for line in sorted(expected - lines)]
    print(*unexpected, sep="\n")
    return int(bool(unexpected))


if __name__ == "__main__":
    sys.exit(main())
