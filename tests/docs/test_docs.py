"""The documentation beyond its blocks of Python: the tutorial, the docstrings, the errors, the site.

``test_readme.py`` runs the blocks. Here: what the tutorial shows is what its programs are and print, examples in
docstrings run, what can be raised is explained, and what messages and the site's table of contents name is there.
"""

from __future__ import annotations

import ast
import builtins
import importlib
import json
import re
from collections import Counter
from collections.abc import Iterator
from pathlib import Path

import pytest

from purse import errors
from purse.errors import DecodeError, PurseError
from tests.support.docstrings import Example, examples
from tests.support.scripts import ROOT, run
from tests.support.tutorial import FILES, PAGES, run_as_a_user, shown_on
from tests.test_public_names import MODULES

DOCS = ROOT / "docs"
SOURCES = sorted((ROOT / "purse").rglob("*.py"))
EXAMPLES = {example.place: example for example in examples()}

DRAWINGS = {
    "purse/_declaration/nested.py": "what each line means stands beside it",
    "purse/store.py": "the keys stand beside the fields",
    "purse/testing/_counting.py": "the trips stand beside the calls",
}
"""Blocks that look like code, and are no Python."""


def headings_of(page: Path) -> set[str]:
    """The anchors of a page, as GitHub and the site make them."""
    headings = re.findall(r"^#+ (.*)$", page.read_text("utf-8"), re.MULTILINE)
    return {re.sub(r"[^\w -]", "", heading).lower().replace(" ", "-") for heading in headings}


@pytest.mark.thorough
@pytest.mark.parametrize("file", FILES, ids=lambda file: file.name)
def test_the_tutorial_shows_its_programs_and_what_they_print(file: Path, tmp_path: Path) -> None:
    """A program stands on one page, as it is; it runs without a word on standard error, and prints what stands below.

    If this fails after a change of the program: python -m tests.support.tutorial
    """
    [shown] = [shown for page in PAGES for shown_file, shown in shown_on(page) if shown_file == file]

    ended = run_as_a_user(file, tmp_path)

    assert ended.err == ""
    assert ended.code == 0
    assert ended.out == shown.printed
    assert file.read_text("utf-8") == shown.code
    assert not list(tmp_path.iterdir())


def test_the_tutorial_shows_nothing_else() -> None:
    """Every block with the name of a file is one of the programs, followed by what it prints."""
    for page in PAGES:
        named = re.findall(r'^```python title="(.*)"$', page.read_text("utf-8"), re.MULTILINE)
        assert [ROOT / name for name in named] == [file for file, _ in shown_on(page)]
        assert {*named} <= {str(file.relative_to(ROOT)) for file in FILES}


@pytest.fixture(scope="module")
def outcomes(tmp_path_factory: pytest.TempPathFactory) -> dict[str, str]:
    """For each example in a docstring its traceback, or nothing."""
    ended = run(["-m", "tests.support.docstring_runner"], cwd=tmp_path_factory.mktemp("empty"))

    assert ended.code == 0, ended.err
    assert ended.err == ""
    found: dict[str, str] = json.loads(ended.out)
    return found


@pytest.mark.thorough
@pytest.mark.parametrize("place", sorted(EXAMPLES.keys() - DRAWINGS))
def test_every_example_in_a_docstring_runs(place: str, outcomes: dict[str, str]) -> None:
    """On a real server, with the names that it needs: see ``tests.support.docstring_runner``."""
    assert not outcomes[place], outcomes[place]


@pytest.mark.parametrize("place", DRAWINGS)
def test_a_drawing_is_no_program(place: str) -> None:
    """What is listed as a drawing is there, and could not be run."""
    with pytest.raises(SyntaxError):
        EXAMPLES[place].compiled()


def test_an_example_that_is_wrong_would_be_found() -> None:
    """Blocks are found in docstrings of modules, classes and methods, and code in them is told from drawings."""
    assert {"purse/__init__.py", "purse/embedded/_server.py Server", "purse/store.py Store.atomic"} <= EXAMPLES.keys()
    with pytest.raises(SyntaxError):
        Example("here", "async with lock:").compiled()


def test_every_error_has_its_section() -> None:
    """The page of errors has a heading for each class, which the class names."""
    headings = headings_of(DOCS / "errors.md")

    for name in errors.__all__:
        kind: type[PurseError] = getattr(errors, name)
        assert kind.docs == f"docs/errors.md#{name.lower()}"
        assert name.lower() in headings


def test_an_error_of_a_user_is_explained_where_its_base_is() -> None:
    """A subclass of somebody else's has no section of its own."""

    class Withered(DecodeError):
        pass

    assert Withered("no").docs == "docs/errors.md#decodeerror"


def raised_in(source: Path) -> Iterator[str]:
    """The classes that a module raises by name; its own private ones aside."""
    tree = ast.parse(source.read_text("utf-8"))
    for node in ast.walk(tree):
        if isinstance(node, ast.Raise) and isinstance(node.exc, ast.Call):
            kind = node.exc.func
            yield kind.attr if isinstance(kind, ast.Attribute) else getattr(kind, "id", "")


def test_every_builtin_error_that_is_raised_is_on_the_page() -> None:
    """Python's own exceptions, those of asyncio and of redis-py that purse raises by name stand in its tables."""
    others = {"QueueEmpty", "QueueFull", "ConnectionError", "TimeoutError", "ResponseError"}
    raised = {name for source in SOURCES for name in raised_in(source)}
    raised = {name for name in raised if isinstance(getattr(builtins, name, None), type) or name in others}
    # About the program that is running, not about a call; and those that nobody outside sees.
    raised -= {"AssertionError", "AttributeError", "RuntimeError"}

    assert {"KeyError", "TypeError", "ValueError", "ModuleNotFoundError"} <= raised
    page = (DOCS / "errors.md").read_text("utf-8")
    assert [name for name in sorted(raised) if not re.search(rf"`(\w+\.)*{name}`", page)] == []


def test_what_the_code_says_about_the_documentation_is_true() -> None:
    """A page or section that a message, a docstring or a comment names is there."""
    named = [
        reference for source in SOURCES for reference in re.findall(r"docs/\w+\.md(?:#[\w-]+)?", source.read_text())
    ]

    assert named
    for reference in named:
        page, _, section = reference.partition("#")
        assert (ROOT / page).is_file(), reference
        assert not section or section in headings_of(ROOT / page), reference


def test_the_site_has_every_page_once() -> None:
    """The table of contents in mkdocs.yml names each page of docs/, and nothing that is not there."""
    contents = (ROOT / "mkdocs.yml").read_text("utf-8").partition("\nnav:\n")[2]
    named = Counter(re.findall(r"(\S+\.md)$", contents, re.MULTILINE))

    assert named == {str(page.relative_to(DOCS)): 1 for page in DOCS.rglob("*.md")}


def test_the_overview_links_to_every_page() -> None:
    """Those who read in the repository have no table of contents beside the page; the reference is for the site."""
    overview = {*re.findall(r"\]\(([\w/]+\.md)\)", (DOCS / "index.md").read_text("utf-8"))}
    pages = {str(page.relative_to(DOCS)) for page in DOCS.rglob("*.md")}

    assert {page for page in pages if not page.startswith("reference/")} - {"index.md"} <= overview
    assert "reference/index.md" in overview


def test_the_reference_has_every_public_name() -> None:
    """Each name of a public module is on a page of the reference, by itself or with its module."""
    shown = {
        name
        for page in (DOCS / "reference").glob("*.md")
        for name in re.findall(r"^::: (\S+)$", page.read_text("utf-8"), re.MULTILINE)
    }
    somewhere = {name.rpartition(".")[2] for name in shown}
    for module in MODULES:
        if module in shown:
            somewhere |= {*importlib.import_module(module).__all__}

    wanted = {name for module in ["purse", *MODULES] for name in importlib.import_module(module).__all__}
    assert wanted - somewhere == {"purse_redis", "purse_server", "purse_store"}  # fixtures: docs/testing.md has them
    assert {*importlib.import_module("purse").__all__} <= somewhere
    for name in shown:
        module, _, attribute = name.rpartition(".")
        assert name in MODULES or hasattr(importlib.import_module(module), attribute), name
