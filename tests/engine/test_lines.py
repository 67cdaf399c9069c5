"""Lines of waiting callers, of every kind: a caller that is gone is gone from its line, in whatever moment it leaves."""

from __future__ import annotations

import asyncio
import gc
from collections.abc import Awaitable, Callable
from contextlib import suppress
from typing import Any, NamedTuple

import pytest
from redis.asyncio import Redis
from redis.exceptions import RedisError

from purse import RedisLock, RedisQueue, RedisRateLimiter, RedisSemaphore, RedisSortedSet, statistics
from purse._engine.executor import executor_for
from purse.embedded import Server
from purse.errors import StoreClosed
from purse.redlock import Redlock
from tests.support.clients import command, connect
from tests.support.polling import until
from tests.support.tasks import purse_tasks

pytestmark = pytest.mark.engines("shared", "dedicated")

SECONDS = 0.005


class Waiting(NamedTuple):
    """A call that waits for what is not there.

    Attributes:
        take_away: makes it so that the call has to wait, by way of another client.
        call: waits, for so many seconds or for ever.
        let_go: gives to one that waits what it waits for.
    """

    take_away: Callable[[Redis], Awaitable[object]]
    call: Callable[[Redis, float | None], Awaitable[object]]
    let_go: Callable[[Redis], Awaitable[object]]


async def _put(redis: Redis, timeout: float | None) -> object:
    async with asyncio.timeout(timeout):
        return await RedisQueue(redis, "x", int, maxsize=1).put(2)


async def _limited(redis: Redis, timeout: float | None) -> object:
    # A later caller waits behind the first one, however long its own timeout is.
    async with asyncio.timeout(timeout):
        return await RedisRateLimiter(redis, "x", rate="1/minute").wait()


async def _nothing(redis: Redis) -> None:
    pass


KINDS = {
    "queue.get": Waiting(
        _nothing, lambda redis, t: RedisQueue(redis, "x", int).get(t), lambda redis: command(redis, "RPUSH", "x", 1)
    ),
    "blocking_pop_min": Waiting(
        _nothing,
        lambda redis, t: RedisSortedSet(redis, "x", int).blocking_pop_min(t),
        lambda redis: command(redis, "ZADD", "x", 1, 1),
    ),
    "queue.put": Waiting(
        lambda redis: command(redis, "RPUSH", "x", 1), _put, lambda redis: command(redis, "RPOP", "x")
    ),
    "semaphore": Waiting(
        lambda redis: RedisSemaphore(redis, "x", limit=1).acquire(),
        lambda redis, t: RedisSemaphore(redis, "x", limit=1).acquire(timeout=t),
        lambda redis: command(redis, "DEL", "x"),
    ),
    "lock": Waiting(
        lambda redis: command(redis, "SET", "x", "somebody", "PX", 60_000),
        lambda redis, t: RedisLock(redis, "x").acquire(timeout=t),
        lambda redis: command(redis, "DEL", "x"),
    ),
    "redlock": Waiting(
        lambda redis: command(redis, "SET", "x", "somebody", "PX", 60_000),
        lambda redis, t: Redlock("x", [redis]).acquire(timeout=-1 if t is None else t),
        lambda redis: command(redis, "DEL", "x"),
    ),
    "limiter": Waiting(
        lambda redis: RedisRateLimiter(redis, "x", rate="1/minute").hit(),
        _limited,
        lambda redis: command(redis, "DEL", "x"),
    ),
}
every_kind = pytest.mark.parametrize("kind", KINDS.values(), ids=KINDS)
IN_LINE = ["queue.get", "blocking_pop_min", "queue.put", "semaphore", "lock"]
every_line = pytest.mark.parametrize("kind", [KINDS[name] for name in IN_LINE], ids=IN_LINE)


def objects() -> int:
    """How many objects of the library and of asyncio there are."""
    gc.collect()
    return sum(type(one).__module__.partition(".")[0] in ("purse", "_asyncio", "asyncio") for one in gc.get_objects())


@every_kind
async def test_callers_that_gave_up_leave_nothing_behind(redis: Redis, server: Server, kind: Waiting) -> None:
    """While one caller waits for ever, any number of others may come, wait in vain and go: memory stays as it was."""
    client = connect(server.url)
    await kind.take_away(redis)
    for_ever = asyncio.create_task(_for_ever(kind, client))

    async def in_vain() -> None:
        with suppress(asyncio.QueueEmpty, TimeoutError):
            assert await kind.call(client, SECONDS) in (None, False)

    await asyncio.gather(*(in_vain() for _ in range(10)))
    before = objects()
    for _ in range(10):
        await asyncio.gather(*(in_vain() for _ in range(10)))

    assert objects() - before < 50
    for_ever.cancel()
    await asyncio.wait([for_ever])
    await client.aclose()


async def _for_ever(kind: Waiting, client: Redis) -> object:
    return await kind.call(client, None)


@every_line
async def test_leaving_in_the_moment_of_an_error(redis: Redis, kind: Waiting) -> None:
    """A caller that is cancelled just before, while or after an error arrives: the next one is served as ever."""
    steps = 0
    ended = False
    while not ended:
        await command(redis, "DEL", "x")
        await command(redis, "HSET", "x", "of another", "type")
        others = [asyncio.create_task(_for_ever(kind, redis)) for _ in range(2)]
        for _ in range(steps):
            await asyncio.sleep(0)
        ended = all(task.done() for task in others)
        for task in others:
            task.cancel()
        outcomes = await asyncio.gather(*others, return_exceptions=True)
        assert all(isinstance(outcome, RedisError | asyncio.CancelledError) for outcome in outcomes), outcomes

        await command(redis, "DEL", "x")
        await kind.take_away(redis)
        waiting = asyncio.create_task(_for_ever(kind, redis))
        for _ in range(steps % 7):
            await asyncio.sleep(0)
        await kind.let_go(redis)
        async with asyncio.timeout(10):
            assert await waiting is not None
        steps += 1
    assert steps > 3


@every_line
@pytest.mark.parametrize("callers", [1, 3])
async def test_closing_right_after_a_cancellation(redis: Redis, server: Server, kind: Waiting, callers: int) -> None:
    """``worker.cancel(); await store.aclose()``, with nobody awaiting the worker: all is closed, nothing goes on."""
    await kind.take_away(redis)
    for steps in [*range(12), None]:
        client = connect(server.url)
        workers = [asyncio.create_task(_for_ever(kind, client)) for _ in range(callers)]
        if steps is None:
            await until(lambda: _is_told_of_changes(client), True)
        for _ in range(steps or 0):
            await asyncio.sleep(0)

        for worker in workers:
            worker.cancel()
        await executor_for(client).aclose()

        assert statistics(client).connections == 0
        await client.aclose()
        outcomes = await asyncio.gather(*workers, return_exceptions=True)
        assert all(isinstance(outcome, asyncio.CancelledError | StoreClosed) for outcome in outcomes), outcomes
        await until(_tasks, [])


async def _is_told_of_changes(client: Redis) -> bool:
    waits: Any = executor_for(client)
    return bool(waits.wakeups()._waiting)


async def _tasks() -> list[str]:
    return purse_tasks()


async def test_a_semaphore_whose_waiter_leaves_as_it_is_told_of_an_error(redis: Redis) -> None:
    """Nobody is counted who is gone: a free permit goes to the next caller."""
    semaphore = RedisSemaphore(redis, "x", limit=1)
    line = semaphore._line()  # pyright: ignore[reportPrivateUsage]
    permit = await semaphore.acquire()
    for nth in range(3):
        waiting = [asyncio.create_task(semaphore.acquire()) for _ in range(nth + 1)]
        await until(lambda: _length(line), nth + 1)
        for task in waiting:
            task.cancel()
        line._fail(ConnectionError("the same iteration of the loop"))  # pyright: ignore[reportPrivateUsage]
        await asyncio.gather(*waiting, return_exceptions=True)
        assert len(line) == 0
    await permit.release()

    assert await semaphore.acquire(timeout=10) is not None


async def _length(line: Any) -> int:
    return len(line)
