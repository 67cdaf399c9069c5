"""Which tests a run takes.

    python -m pytest                      the default run: the heart of every promise, in at most two minutes
    python -m pytest --all                every test
    python -m pytest tests/test_ttl.py    a file or a test that is named runs with all that it has
    python -m pytest tests/engine         a folder is taken as in the default run, with --all completely

A test is left to ``--all`` by ``@pytest.mark.thorough``: it takes long, or it repeats with other data what the default
run proves. The mark stands on a test, on a module (``pytestmark``) or on one parameter
(``pytest.param(..., marks=pytest.mark.thorough)``), and ``engines.parametrize`` puts it on modes of the engine.
``@pytest.mark.rows(4)`` is for a long table of parameters whose rows show one rule with other data: the default run
takes four of them, from the first to the last at equal distances, and the others are marked thorough. A test without
these marks is in the default run. The last line of pytest counts the others as deselected.

A search that has a size, such as a number of random examples, asks ``size`` for it.
"""

from __future__ import annotations

from collections.abc import Iterable
from types import SimpleNamespace
from typing import TypeVar, cast

import pytest
from _pytest.mark import ParameterSet
from _pytest.terminal import TerminalReporter

__all__ = ["add_option", "choose", "configure", "count", "mark_rows", "size", "thorough_but"]

T = TypeVar("T")

_LEFT_OUT = "thorough tests left out"

_everything = False


def add_option(parser: pytest.Parser) -> None:
    """Register ``--all``."""
    parser.addoption("--all", action="store_true", help="run the tests that are marked thorough as well")


def configure(config: pytest.Config) -> None:
    """Note whether this run takes everything, for ``size``."""
    global _everything
    _everything = config.getoption("--all")


def size(default: T, thorough: T) -> T:
    """How far a test goes in the default run, and how far with ``--all``; for a module to ask when it is imported."""
    return thorough if _everything else default


def thorough_but(*default: T, every: Iterable[T]) -> list[T | ParameterSet]:
    """All of these parameters of a test, tuples if they have several values; all but ``default`` are thorough."""

    def thorough(one: T) -> ParameterSet:
        values = cast("tuple[object, ...]", one) if isinstance(one, tuple) else (one,)
        return pytest.param(*values, marks=pytest.mark.thorough)

    return [one if one in default else thorough(one) for one in every]


def mark_rows(items: list[pytest.Item]) -> None:
    """Mark as thorough what a test with ``rows`` leaves out; before ``-m`` looks at the marks."""
    tables: dict[str, list[pytest.Item]] = {}
    for item in items:
        if item.get_closest_marker("rows") and not item.get_closest_marker("thorough"):
            tables.setdefault(item.nodeid.partition("[")[0], []).append(item)
    for rows in tables.values():
        mark = rows[0].get_closest_marker("rows")
        number: int = mark.args[0] if mark else 0
        steps = max(number - 1, 1)
        taken = {step * (len(rows) - 1) // steps for step in range(number)}
        for position, row in enumerate(rows):
            if position not in taken and number < len(rows):
                row.add_marker(pytest.mark.thorough)


def choose(config: pytest.Config, items: list[pytest.Item]) -> None:
    """Leave out the tests that are marked thorough, unless they are asked for."""
    if _everything or "thorough" in config.option.markexpr:
        return
    directory = config.invocation_params.dir
    named = {(directory / argument.partition("::")[0]).resolve() for argument in config.args}
    taken: list[pytest.Item] = []
    left: list[pytest.Item] = []
    for item in items:
        (left if item.get_closest_marker("thorough") and item.path not in named else taken).append(item)
    if left:
        items[:] = taken
        config.hook.pytest_deselected(items=left)
        if (output := getattr(config, "workeroutput", None)) is not None:
            output[_LEFT_OUT] = len(left)


def count(config: pytest.Config, worker: object) -> None:
    """Count what a worker of xdist has left out, which xdist itself does not pass on."""
    reporter = cast("TerminalReporter | None", config.pluginmanager.get_plugin("terminalreporter"))
    output = cast("dict[str, int]", getattr(worker, "workeroutput", {}))
    if reporter and not reporter.stats.get("deselected"):  # the workers all leave out the same
        reporter.stats["deselected"] = [SimpleNamespace() for _ in range(output.get(_LEFT_OUT, 0))]
