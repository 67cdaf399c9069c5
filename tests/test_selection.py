"""Which tests a run takes: the default run, ``--all``, and a file that is named."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from tests.support.scripts import run
from tests.support.selection import thorough_but

CONFTEST = """
import pytest
from tests.support import selection

pytest_addoption = selection.add_option
pytest_configure = selection.configure

@pytest.hookimpl(wrapper=True)
def pytest_collection_modifyitems(config, items):
    selection.mark_rows(items)
    yield
    selection.choose(config, items)

@pytest.hookimpl(optionalhook=True)
def pytest_testnodedown(node):
    selection.count(node.config, node)
"""

TESTS = """
import pytest
from tests.support.selection import size, thorough_but

@pytest.mark.parametrize("short", thorough_but("b", every="abc"))
def test_marked_parameters(short):
    pass

@pytest.mark.rows(3)
@pytest.mark.parametrize("row", range(9))
def test_a_long_table(row):
    pass

@pytest.mark.thorough
def test_thorough():
    pass

def test_size():
    print(f"as far as {size('here', 'there')}")
"""

HEART = {"marked_parameters[b]", "a_long_table[0]", "a_long_table[4]", "a_long_table[8]", "size"}
EVERY = HEART | {"marked_parameters[a]", "marked_parameters[c]", "thorough"} | {f"a_long_table[{n}]" for n in range(9)}


@pytest.fixture
def project(tmp_path: Path) -> Path:
    """A folder of tests that selects as this one does."""
    (tmp_path / "pytest.ini").write_text("[pytest]\nmarkers =\n    thorough\n    rows\n")
    (tmp_path / "conftest.py").write_text(CONFTEST)
    (tmp_path / "test_some.py").write_text(TESTS)
    return tmp_path


RUNS: dict[str, tuple[set[str], str]] = {
    "": (HEART, "here"),
    "--all": (EVERY, "there"),
    "test_some.py": (EVERY, "here"),
    ".": (HEART, "here"),
    "-m thorough": (EVERY - HEART, "nowhere"),
    "-p xdist -n 2": (HEART, "here"),
}
"""Arguments of pytest, the tests that it takes, and what the one that has a size prints where it can be seen."""


@pytest.mark.parametrize("arguments", thorough_but("", every=RUNS))
def test_a_run_takes(arguments: str, project: Path) -> None:
    """The heart by default and of a folder, everything with ``--all`` or by name; what is left out is counted."""
    tests, how_far = RUNS[arguments]

    ended = run(
        ["-m", "pytest", "-rA", *arguments.split()], cwd=project, environment={"PYTEST_DISABLE_PLUGIN_AUTOLOAD": "1"}
    )

    assert ended.code == 0, ended.out + ended.err
    assert set(re.findall(r"^PASSED test_some.py::test_(\S+)$", ended.out, re.MULTILINE)) == tests
    assert re.findall("as far as (.*)", ended.out) == ([how_far] if how_far != "nowhere" else [])
    counted = re.search(r"(\d+) deselected", ended.out)
    assert int(counted[1] if counted else 0) == len(EVERY) - len(tests)
