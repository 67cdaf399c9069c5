"""What a server receives: MONITOR on a connection of its own, made deterministic.

MONITOR prints commands in the order in which they are executed, MULTI and EXEC around what they
enclose. An ECHO of a fresh marker is sent when the commands so far are asked for, and lines are read
until it appears, so nothing is waited for that has not happened yet.
"""

from __future__ import annotations

import asyncio
import itertools
import re
from importlib.resources import files
from types import TracebackType
from typing import Self

from redis.asyncio import Redis

from purse._engine.scripts import load_script

_LINE = re.compile(rb'\+[\d.]+ \[\d+ (\S+)\] (".*)\r\n')
_ARGUMENT = re.compile(rb'"((?:[^"\\]|\\.)*)"')
_ESCAPE = re.compile(rb"\\(x[0-9a-f]{2}|.)")
_NAMED_ESCAPES = {b"n": b"\n", b"r": b"\r", b"t": b"\t", b"a": b"\a", b"b": b"\b"}


class Monitor:
    """Records the commands that other clients send to 127.0.0.1:port.

    A script shows as its file's name, ``("EVALSHA", "hash_setdefault", ...)``, whatever its body or hash
    is; the commands that a script calls are left out.
    """

    def __init__(self, port: int) -> None:
        self._port = port
        self._markers = (b"monitor-marker-%d" % n for n in itertools.count())
        names = [file.name.removesuffix(".lua") for file in files("purse").joinpath("lua").iterdir()]
        scripts = [load_script(name) for name in names if name != "renew"]
        self._scripts = {s.sha: s.name for s in scripts} | {s.body.decode(): s.name for s in scripts}

    async def __aenter__(self) -> Self:
        self._lines, self._monitoring = await asyncio.open_connection("127.0.0.1", self._port, limit=2**24)
        self._replies, self._marking = await asyncio.open_connection("127.0.0.1", self._port)
        self._monitoring.write(b"MONITOR\r\n")
        assert await self._lines.readline() == b"+OK\r\n"
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        for stream in (self._monitoring, self._marking):
            stream.close()
            await stream.wait_closed()

    async def commands(self) -> list[tuple[str, ...]]:
        """The commands that were executed since this was last asked, each a tuple of its words."""
        marker = next(self._markers)
        self._marking.write(b"ECHO %s\r\n" % marker)
        await self._replies.readline()  # its reply: the length, then the marker
        await self._replies.readline()
        received: list[tuple[str, ...]] = []
        while True:
            line = await self._lines.readline()
            match = _LINE.fullmatch(line)
            assert match, f"not a line of MONITOR: {line!r}"
            words = tuple(_unescaped(word) for word in _ARGUMENT.findall(match[2]))
            if words == ("ECHO", marker.decode()):
                return received
            if match[1] != b"lua":
                received.append(self._named(words))

    def _named(self, words: tuple[str, ...]) -> tuple[str, ...]:
        if words[0] in ("EVAL", "EVALSHA"):
            return words[0], self._scripts.get(words[1], words[1]), *words[2:]
        return words


def spoken(command: tuple[str, ...]) -> str:
    """A command as the documentation has it: a script by its name and its keys, which are what is promised of it."""
    if command[0] in ("EVAL", "EVALSHA"):
        return " ".join((*command[:2], *command[3 : 3 + int(command[2])]))
    if command[0] == "RESTORE":
        return " ".join(command[:2])  # without what a server has made
    return " ".join(command)


def _unescaped(word: bytes) -> str:
    def meaning(escape: re.Match[bytes]) -> bytes:
        code = escape[1]
        return bytes.fromhex(code[1:].decode()) if len(code) == 3 else _NAMED_ESCAPES.get(code, code)

    return _ESCAPE.sub(meaning, word).decode("utf-8", "backslashreplace")


async def load_scripts(client: Redis) -> None:
    """Have the server know the scripts, as it does after the first call of each."""
    for file in files("purse").joinpath("lua").iterdir():
        await client.script_load(load_script(file.name.removesuffix(".lua")).body.decode())
