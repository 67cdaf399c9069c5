"""Layers: who may import whom, and what importing purse brings with it."""

from __future__ import annotations

import ast
import re
import subprocess
import sys
from importlib.metadata import packages_distributions, requires
from pathlib import Path

import pytest
from packaging.requirements import Requirement

from tests.support.scripts import ROOT, run

PACKAGES = sorted(path.parent for path in (ROOT / "purse").glob("*/__init__.py"))


def test_every_module_keeps_to_its_layer() -> None:
    """The contracts in pyproject.toml hold, also for imports that only type checkers see, and name every module."""
    lint = "from importlinter.cli import lint_imports_command; lint_imports_command()"

    ended = subprocess.run(
        [sys.executable, "-c", lint, "--no-cache"], capture_output=True, text=True, cwd=ROOT, check=False
    )

    assert ended.returncode == 0, ended.stdout + ended.stderr


@pytest.mark.parametrize("package", PACKAGES, ids=lambda package: package.name)
def test_each_package_has_a_map(package: Path) -> None:
    """The docstring of its ``__init__`` names every module, but for the structures, which ``_structures`` lists."""
    words = set(re.findall(r"\w+", ast.get_docstring(ast.parse((package / "__init__.py").read_text("utf-8"))) or ""))
    modules = {path.stem for path in package.glob("*.py") if path.stem.startswith("_") or package.name[0] == "_"}

    assert {name for name in modules if not {name, name.strip("_")} & words} - {"__init__"} == set()


def needed_by(*distributions: str) -> set[str]:
    """The names of distributions and of all they need here, normalised."""
    found: set[str] = set()
    wanted = list(distributions)
    while wanted:
        name = wanted.pop().lower().replace("_", "-")
        if name not in found:
            found.add(name)
            requirements = map(Requirement, requires(name) or ())
            wanted += [r.name for r in requirements if r.marker is None or r.marker.evaluate({"extra": ""})]
    return found


@pytest.mark.thorough
@pytest.mark.parametrize("modules", ["purse.collections, purse.codecs, purse.ttl", "purse.store, purse.inspect"])
def test_importing_brings_only_what_is_declared(modules: str) -> None:
    """The dependencies in pyproject.toml and what they need; no extra, nothing that only tests have."""
    # What redis-py and pydantic take along where it is installed (OpenTelemetry) is their affair.
    taken_along = distributions_loaded_by("redis.asyncio, pydantic")

    names = distributions_loaded_by(modules) - {"redis-purse"}

    assert {"redis", "pydantic"} <= names
    assert names <= needed_by("redis", "hiredis", "pydantic", "orjson", "typing-extensions") | taken_along


def distributions_loaded_by(modules: str) -> set[str]:
    """The distributions of what a fresh interpreter has loaded after importing ``modules``."""
    show = f"import sys; before = {{*sys.modules}}; import {modules}; print(*({{*sys.modules}} - before))"
    ended = run(["-c", show], cwd=ROOT)
    assert ended.err == ""
    homes = packages_distributions()
    loaded = {home for module in ended.out.split() for home in homes.get(module.partition(".")[0], ())}
    return {home.lower().replace("_", "-") for home in loaded}
