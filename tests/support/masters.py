"""Several servers of a test's own that keep their data, to be paused, killed and started again."""

from __future__ import annotations

import asyncio
import os
import signal
from collections.abc import Generator, Iterable
from contextlib import contextmanager

from redis.asyncio import Redis

from purse._engine.replies import as_all_bytes
from purse.embedded import Server
from tests.support.clients import command
from tests.support.polling import until
from tests.support.units import read

__all__ = ["KEEPING", "Masters", "calls_of", "keys_on", "no_keys_on"]

KEEPING = {"appendonly": "yes", "appendfsync": "always"}
"""The configuration of a server that loses nothing when it is killed."""


class Masters:
    """Servers by their number, 0 being the first.

    Args:
        servers: running ones, of this test's own.
    """

    def __init__(self, servers: list[Server]) -> None:
        self.servers = servers
        self._paused: set[int] = set()

    def pause(self, *numbers: int) -> None:
        """SIGSTOP: they take connections and requests, and answer nothing."""
        for number in numbers:
            os.kill(self.servers[number].pid, signal.SIGSTOP)
            self._paused.add(number)

    def resume(self, *numbers: int) -> None:
        """SIGCONT those, or all that are paused."""
        for number in numbers or tuple(self._paused):
            if number in self._paused:
                self._paused.remove(number)
                os.kill(self.servers[number].pid, signal.SIGCONT)

    @contextmanager
    def paused(self, *numbers: int) -> Generator[None]:
        """They are paused in the block."""
        self.pause(*numbers)
        try:
            yield
        finally:
            self.resume(*numbers)

    @contextmanager
    def dead(self, *numbers: int) -> Generator[None]:
        """They are killed before the block, and started again with their data after it."""
        for number in numbers:
            self.servers[number].kill()
        try:
            yield
        finally:
            for number in numbers:
                self.servers[number].start()

    def heal(self) -> None:
        """All of them run."""
        self.resume()
        for server in self.servers:
            server.start()


async def keys_on(masters: Iterable[Redis]) -> list[bytes]:
    """The keys of all of them together, but for the notes of those that wait, which vanish by themselves."""
    found = await asyncio.gather(*(read(master, "KEYS", "*") for master in masters))
    keys = [key for keys in found for key in as_all_bytes(keys)]
    return [key for key in keys if not key.removeprefix(b"!").startswith((b"waiting!", b"fence!"))]


async def no_keys_on(masters: Iterable[Redis], seconds: float = 1) -> None:
    """Wait until there are no keys; fail after ``seconds``."""
    asked = list(masters)
    none: list[bytes] = []
    await until(lambda: keys_on(asked), none, seconds=seconds)


async def calls_of(master: Redis, name: str) -> int:
    """How often a command was executed since the statistics were reset."""
    statistics = await command(master, "INFO", "commandstats")
    return int(statistics.get(f"cmdstat_{name}", {"calls": 0})["calls"])
