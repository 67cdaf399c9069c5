"""Lua scripts: one atomic operation per file under ``purse/lua``.

A script that is alone in its unit is sent as EVALSHA, and as EVAL if the server answers NOSCRIPT
(which means: not executed). Inside MULTI it is always EVAL: after a SCRIPT FLUSH in between, a
NOSCRIPT would come too late to retry, with half of the transaction applied. So bodies are kept small:
comment lines are for the reader of the file and are never sent.

A line ``--#include NAME`` is replaced by the lines of ``NAME.lua``.
"""

from __future__ import annotations

import hashlib
import re
from functools import cache
from importlib.resources import files

__all__ = ["Script", "ScriptCall", "load_script"]

_INCLUDE = re.compile(r"^--#include (\w+)$", re.MULTILINE)


class Script:
    """A Lua script: the body that is sent, and the body's SHA-1, by which the server finds the script."""

    __slots__ = ("body", "name", "sha")

    def __init__(self, name: str, body: bytes) -> None:
        self.name: str = name
        self.body: bytes = body
        self.sha: str = hashlib.sha1(body, usedforsecurity=False).hexdigest()

    def __call__(self, keys: tuple[bytes | str, ...], *arguments: bytes | str | int | float) -> ScriptCall:
        """Make a call of this script with its KEYS and ARGV, for a unit."""
        return ScriptCall(self, keys, arguments)


class ScriptCall:
    """A script with its keys and arguments."""

    __slots__ = ("arguments", "keys", "script")

    def __init__(
        self, script: Script, keys: tuple[bytes | str, ...], arguments: tuple[bytes | str | int | float, ...]
    ) -> None:
        self.script: Script = script
        self.keys: tuple[bytes | str, ...] = keys
        self.arguments: tuple[bytes | str | int | float, ...] = arguments

    def by_sha(self) -> tuple[bytes | str | int | float, ...]:
        """The EVALSHA command."""
        return ("EVALSHA", self.script.sha, len(self.keys), *self.keys, *self.arguments)

    def by_body(self) -> tuple[bytes | str | int | float, ...]:
        """The EVAL command."""
        return ("EVAL", self.script.body, len(self.keys), *self.keys, *self.arguments)


@cache
def load_script(name: str) -> Script:
    """The script ``purse/lua/<name>.lua``, read once per process."""
    text = _INCLUDE.sub(lambda line: _read(line[1]), _read(name))
    lines = (line.strip() for line in text.splitlines())
    return Script(name, "\n".join(line for line in lines if line and not line.startswith("--")).encode())


def _read(name: str) -> str:
    return files("purse").joinpath("lua", f"{name}.lua").read_text("utf-8")
