"""A transaction is a coroutine like any other: how it is run, forgotten, closed and cancelled."""

from __future__ import annotations

import asyncio
import inspect
import textwrap
from collections.abc import Awaitable, Callable
from contextvars import ContextVar
from pathlib import Path
from typing import Any

import anyio
import pytest
from redis.asyncio import Redis

from purse import RedisHash
from purse.codecs import Codec
from purse.embedded import Server
from tests.atomic.garden import Call, Garden, heard, requests, state
from tests.support.clients import connect
from tests.support.polling import until
from tests.support.scripts import run

WAYS: dict[str, Callable[[Call], Awaitable[object]]] = {
    "await": lambda call: call,
    "create_task": asyncio.create_task,
    "gather": lambda call: asyncio.gather(call),
    "wait_for": lambda call: asyncio.wait_for(call, 10),
    "shield": asyncio.shield,
    "TaskGroup": lambda call: in_task_group(call),
    "to_thread": lambda call: asyncio.to_thread(asyncio.run, call),
}


async def in_task_group(call: Call) -> object:
    """The result of a task of a group."""
    async with asyncio.TaskGroup() as group:
        task = group.create_task(call)
    return task.result()


@pytest.mark.parametrize("way", WAYS.values(), ids=WAYS.keys())
async def test_whatever_runs_coroutines_runs_it(garden: Garden, way: Callable[[Call], Awaitable[object]]) -> None:
    """Tasks, groups and timeouts take it, and give its results."""
    with heard():
        results = await way(garden.atomic(garden.visits.increment("gate"), garden.log.append("x")))

    assert results in ((1, 1), [(1, 1)])


async def test_a_forgotten_await_is_told_once(garden: Garden) -> None:
    """The warning names ``Store.atomic``, not each of its calls; these are closed, and nothing is sent."""
    calls = garden.log.append("x"), garden.visits.increment("gate")

    with heard("coroutine 'Store.atomic' was never awaited"):
        garden.atomic(*calls)  # type: ignore[unused-coroutine]  # pyright: ignore[reportUnusedCoroutine]

    assert {*map(state, calls)} == {inspect.CORO_CLOSED}
    assert requests(garden) == 0


@pytest.mark.parametrize("how", ["cancelled", "closed"])
async def test_what_never_begins_leaves_nothing(garden: Garden, how: str) -> None:
    """Closed, or cancelled before its first step, it closes its calls, silently, and nothing is sent."""
    calls = garden.log.append("x"), garden.visits.increment("gate")

    with heard():
        transaction = garden.atomic(*calls)
        if how == "cancelled":
            task = asyncio.create_task(transaction)
            task.cancel()
            await asyncio.wait([task])
            assert task.cancelled()
        transaction.close()

    assert {*map(state, calls)} == {inspect.CORO_CLOSED}
    assert requests(garden) == 0


@pytest.mark.thorough
@pytest.mark.engines("shared")
async def test_a_program_hears_of_its_mistakes_once(tmp_path: Path, redis: Redis, server: Server) -> None:
    """With all of Python's own checks on, a forgotten await is one warning; errors and cancellations are none."""
    program = """
        import asyncio, sys
        from redis.asyncio import Redis
        from purse import RedisHash, RedisList, Store

        class Garden(Store, namespace="atomic-program"):
            log: RedisList[str]
            visits: RedisHash[int]

        async def main():
            async with Garden.open(sys.argv[1]) as garden:
                good = lambda: (garden.log.append("x"), garden.visits.increment("a"))
                for bad in (garden.log.append(3), garden.visits.modify("a", abs), 3, asyncio.sleep(0)):
                    try:
                        await garden.atomic(*good(), bad, *good())
                    except (TypeError, ValueError):
                        print("refused")
                task = asyncio.create_task(garden.atomic(*good()))
                task.cancel()
                await asyncio.wait([task])
                print(task.cancelled(), await garden.atomic(*good()))
                if sys.argv[2] == "forgets":
                    garden.atomic(*good())

        asyncio.run(main())
        """
    for what, warned in (("awaits", 0), ("forgets", 1)):
        ended = run(["-c", textwrap.dedent(program), server.url, what], cwd=tmp_path)
        assert ended.out == "refused\n" * 4 + f"True ({warned + 1}, {warned + 1})\n"
        assert ended.err.count("never awaited") == ended.err.count("'Store.atomic' was never") == warned
        assert bool(ended.err) == bool(warned)


@pytest.mark.rows(3)
@pytest.mark.parametrize("scopes", ["asyncio", "anyio"])
@pytest.mark.parametrize("connected", [True, False])
async def test_cancelling_at_every_moment(redis: Redis, server: Server, scopes: str, connected: bool) -> None:
    """A cancelled transaction is executed as a whole or not at all, leaves no task, and the next call is right."""
    garden = Garden(connect(server.url))
    before = asyncio.all_tasks()
    ended = 0

    async def transaction() -> None:
        nonlocal ended
        await garden.atomic(garden.visits.increment("gate"), garden.hour.increment("gate"))
        ended += 1

    async def settled() -> set[asyncio.Task[Any]]:
        return asyncio.all_tasks()

    for steps in range(40):
        if connected:
            await garden.log.len()
        else:
            await garden.log.redis.aclose()
        if scopes == "asyncio":
            task = asyncio.create_task(transaction())
            for _ in range(steps):
                await asyncio.sleep(0)
            task.cancel()
            await asyncio.gather(task, return_exceptions=True)
        else:
            async with anyio.create_task_group() as group:
                group.start_soon(transaction)
                for _ in range(steps):
                    await asyncio.sleep(0)
                group.cancel_scope.cancel()
        here, there = await garden.atomic(garden.visits.get("gate", 0), garden.hour.get("gate", 0))
        assert here == there >= ended

    assert ended < 40
    await garden.log.redis.aclose()
    await until(settled, before)


current: ContextVar[str] = ContextVar("current", default="nothing")


class Leaking(Codec[str]):
    """A codec that changes a context variable, and writes down what it was."""

    def __init__(self) -> None:
        self.before: list[str] = []
        self.decoded: list[str] = []

    def encode(self, value: str, /) -> bytes:
        self.before.append(current.get())
        current.set(value)
        return value.encode()

    def decode(self, raw: bytes, /) -> str:
        self.decoded.append(current.get())
        return raw.decode()


async def test_each_call_has_a_context_of_its_own(redis: Redis, garden: Garden) -> None:
    """What a call changes in its context is there when it decodes, and neither seen by others nor by the caller."""
    codec = Leaking()
    words = RedisHash(redis, "words", str, codec=codec)
    await redis.hset("words", mapping={"a": "x", "b": "y"})
    token = current.set("outside")

    assert await garden.atomic(words.setdefault("a", "1"), words.setdefault("b", "2")) == ("x", "y")

    after = current.get()
    current.reset(token)
    assert after == "outside"
    assert codec.before == ["outside", "outside"]
    assert codec.decoded[-2:] == ["1", "2"]
