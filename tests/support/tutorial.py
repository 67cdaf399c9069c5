"""The tutorial: each page shows whole files of ``examples/tutorial`` and what they print.

    python -m tests.support.tutorial      copies the files, and what they print now, into the pages

A page has each of them once, as a block of Python with a title, and below it a block of text:

    ```python title="examples/tutorial/first_store.py"
    ```
    ...
    ```text
    ```
"""

from __future__ import annotations

import os
import re
import tempfile
from collections.abc import Iterator
from dataclasses import dataclass
from importlib.metadata import entry_points
from pathlib import Path

from tests.support.scripts import ROOT, Ended, run

__all__ = ["FILES", "PAGES", "Shown", "run_as_a_user", "shown_on"]

PAGES = sorted((ROOT / "docs" / "tutorial").glob("*.md"))
FILES = sorted((ROOT / "examples" / "tutorial").glob("*.py"))

_SHOWN = re.compile(
    r'(^```python title="(?P<file>[^"]+)"\n)(?P<code>.*?)(^```\n(?:(?!^```).)*^```text\n)(?P<printed>.*?)(?=^```$)',
    re.MULTILINE | re.DOTALL,
)


@dataclass(frozen=True)
class Shown:
    """A file as it stands on a page, and what it is said to print."""

    page: str
    code: str
    printed: str


def shown_on(page: Path) -> Iterator[tuple[Path, Shown]]:
    """The files on a page."""
    for block in _SHOWN.finditer(page.read_text("utf-8")):
        yield ROOT / block["file"], Shown(page.name, block["code"], block["printed"])


def run_as_a_user(file: Path, cwd: Path) -> Ended:
    """``python file.py`` in an empty directory; a file of tests by pytest, as a project without settings has it."""
    if not file.name.startswith("test_"):
        return run([file], cwd=cwd)
    registered = any(entry.value == "purse.pytest_plugin" for entry in entry_points(group="pytest11"))
    plugin = [] if registered else ["-p", "purse.pytest_plugin"]
    scope = ["-o", "asyncio_default_fixture_loop_scope=function"]  # without it pytest-asyncio warns
    ended = run(
        [
            "-m",
            "pytest",
            "-q",
            *plugin,
            *scope,
            "-c",
            os.devnull,
            f"--rootdir={file.parent}",
            "-p",
            "no:cacheprovider",
            file,
        ],
        cwd=cwd,
        environment={"PYTHONDONTWRITEBYTECODE": "1"},
    )
    return Ended(ended.code, re.sub(r" in \d+\.\d+s", "", ended.out), ended.err)


def _refresh(page: Path, directory: Path) -> None:
    def fresh(block: re.Match[str]) -> str:
        file = ROOT / block["file"]
        ended = run_as_a_user(file, directory)
        assert ended.code == 0, ended.err
        return block[1] + file.read_text("utf-8") + block[4] + ended.out

    page.write_text(_SHOWN.sub(fresh, page.read_text("utf-8")), "utf-8")


if __name__ == "__main__":
    with tempfile.TemporaryDirectory() as empty:
        for tutorial_page in PAGES:
            _refresh(tutorial_page, Path(empty))
