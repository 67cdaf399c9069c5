"""Rows of locks over five masters: the same protocol, by hand with redis-py and gather.

uncontended   one caller acquires and releases, again and again
contended     ten callers of one process want the same lock; the by-hand side waits as redis-purse 2.x did, a random
              time up to 0.2 s between two tries
"""

from __future__ import annotations

import asyncio
import random
import secrets
import time
from collections.abc import Awaitable, Callable, Iterator

from redis.asyncio import Redis

from benchmarks.data import Arena
from benchmarks.measure import Row, Sample, Stopwatch, TimedRow, Trial
from purse.embedded import Server
from purse.redlock import Redlock

__all__ = ["lock_rows"]

MASTERS = 5
CALLERS = 10
LEASE_MS = 10_000
RELEASE = "if redis.call('get', KEYS[1]) == ARGV[1] then return redis.call('del', KEYS[1]) else return 0 end"


class ByHand:
    """Redlock as one would write it on redis-py: SET NX PX on all masters at once, and a script to release."""

    def __init__(self, key: str, masters: list[Redis]) -> None:
        self._key = key
        self._masters = masters
        self._release = masters[0].register_script(RELEASE)
        self._token = ""

    async def acquire(self) -> bool:
        """One try."""
        self._token = secrets.token_hex(16)
        begun = time.monotonic()
        sets = (m.set(self._key, self._token, nx=True, px=LEASE_MS) for m in self._masters)
        granted = sum(reply is True for reply in await asyncio.gather(*sets, return_exceptions=True))
        validity = LEASE_MS / 1000 * 0.99 - 0.002 - (time.monotonic() - begun)
        if granted > len(self._masters) // 2 and validity > 0:
            return True
        await self.release()
        return False

    async def release(self) -> None:
        """On all masters."""
        calls = (self._release(keys=[self._key], args=[self._token], client=m) for m in self._masters)
        await asyncio.gather(*calls, return_exceptions=True)


def lock_rows(arena: Arena, calls: int) -> Iterator[Row]:
    """The rows of this module; a lock takes ten requests, so there are fewer calls than elsewhere."""
    masters: dict[str, list[Redis]] = {"purse": [], "hand": []}

    async def start() -> None:
        if masters["hand"]:
            return
        for _ in range(MASTERS):
            server = arena.closing.enter_context(Server(port=0, password=""))
            for clients in masters.values():
                client = Redis.from_url(server.url)  # pyright: ignore[reportUnknownMemberType]
                clients.append(client)
                arena.closing.push_async_callback(client.aclose)

    async def alone_by_purse() -> Sample:
        lock = Redlock(arena.key("lock by purse"), masters["purse"])

        async def hold() -> None:
            assert await lock.acquire()
            await lock.release()

        return await _timed(hold, calls // 10)

    async def alone_by_hand() -> Sample:
        lock = ByHand(arena.key("lock by hand"), masters["hand"])

        async def hold() -> None:
            assert await lock.acquire()
            await lock.release()

        return await _timed(hold, calls // 10)

    yield TimedRow(f"lock over {MASTERS} masters", calls // 10, 1.5, alone_by_purse, alone_by_hand, start)

    held = max(calls // 200, 1)
    name = f"lock over {MASTERS} masters, {CALLERS} callers"
    yield TimedRow(
        name,
        CALLERS * held,
        1.0,
        _contended(held, lambda: _by_purse(arena, masters["purse"])),
        _contended(held, lambda: _as_2x(arena, masters["hand"])),
        start,
    )


def _by_purse(arena: Arena, masters: list[Redis]) -> Callable[[Callable[[], None]], Awaitable[None]]:
    lock = Redlock(arena.key("wanted by purse"), masters)

    async def hold(work: Callable[[], None]) -> None:
        async with lock:
            work()

    return hold


def _as_2x(arena: Arena, masters: list[Redis]) -> Callable[[Callable[[], None]], Awaitable[None]]:
    lock = ByHand(arena.key("wanted by hand"), masters)

    async def hold(work: Callable[[], None]) -> None:
        while not await lock.acquire():  # noqa: ASYNC110 - what is measured
            await asyncio.sleep(random.uniform(0, 0.2))
        work()
        await lock.release()

    return hold


def _contended(held: int, make: Callable[[], Callable[[Callable[[], None]], Awaitable[None]]]) -> Trial:
    async def run() -> Sample:
        done = 0

        def work() -> None:
            nonlocal done
            done += 1

        async def call(hold: Callable[[Callable[[], None]], Awaitable[None]]) -> None:
            for _ in range(held):
                await hold(work)

        watch = Stopwatch()
        with watch:
            await asyncio.gather(*(call(make()) for _ in range(CALLERS)))
        assert done == CALLERS * held
        return watch.sample

    return run


async def _timed(hold: Callable[[], Awaitable[None]], times: int) -> Sample:
    watch = Stopwatch()
    with watch:
        for _ in range(times):
            await hold()
    return watch.sample
