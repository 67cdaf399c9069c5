"""A caller that is cancelled as its element arrives: the element goes to the next caller, or back, at once."""

from __future__ import annotations

import asyncio
import contextlib
import random
import sys
from collections.abc import Callable, Coroutine
from typing import Any

import pytest
from redis.asyncio import Redis

import purse
from purse.collections import RedisQueue, RedisSortedSet
from purse.embedded import Server
from tests.support.clients import connect
from tests.support.polling import until
from tests.support.tasks import no_task_left
from tests.support.units import read

pytestmark = pytest.mark.engines("shared", "dedicated")

EAGER = pytest.param(
    True, marks=pytest.mark.skipif(sys.version_info < (3, 12), reason="eager tasks came with Python 3.12")
)


async def told(queue: RedisQueue[int]) -> bool:
    """Whether a caller has been told of an element, and has not run yet."""
    return bool(queue._line()._delivered)  # pyright: ignore[reportPrivateUsage] - nothing else shows this moment


@pytest.mark.rows(1)
async def test_a_getter_cancelled_between_being_told_and_running(redis: Redis, server: Server) -> None:
    """Of two waiting getters the first is cancelled in that moment: the second has the element, no other is needed."""
    queue, producer = RedisQueue(redis, "queue", int), RedisQueue(connect(server.url), "queue", int)
    staged = 0
    for n in range(60):
        first, second = (asyncio.create_task(queue.get()) for _ in range(2))
        await asyncio.sleep(0)
        putting = asyncio.create_task(producer.put(n))
        while not (await told(queue) or first.done()):  # noqa: ASYNC110 - no event is set at that moment
            await asyncio.sleep(0)
        staged += first.cancel()
        (came,) = await asyncio.gather(first, return_exceptions=True)
        if came == n:
            second.cancel()
            await asyncio.gather(second, return_exceptions=True)
        else:
            async with asyncio.timeout(2):
                assert await second == n
        await putting
    assert staged
    await producer.redis.aclose()


@pytest.mark.rows(1)
@pytest.mark.parametrize("pop", ["queue", "sorted set"])
async def test_short_timeouts_strand_nothing(redis: Redis, server: Server, pop: str) -> None:
    """Three workers give up every few milliseconds while one element at a time is put: each is taken, soon."""
    chance = random.Random(11)
    other = connect(server.url)
    queue, ranking = RedisQueue(redis, "queue", int), RedisSortedSet(redis, "ranking", int)
    seen: list[int] = []

    async def work() -> None:
        while True:
            patience = chance.uniform(0.004, 0.012)
            with contextlib.suppress(asyncio.QueueEmpty, TimeoutError):
                seen.append(
                    await queue.get(timeout=patience)
                    if pop == "queue"
                    else (await ranking.blocking_pop_min(patience))[0]
                )

    async def count() -> int:
        return len(seen)

    workers = [asyncio.create_task(work()) for _ in range(3)]
    for n in range(150):
        if pop == "queue":
            await RedisQueue(other, "queue", int).put(n)
        else:
            await RedisSortedSet(other, "ranking", int).add((n, n))
        await until(count, n + 1)
    for worker in workers:
        worker.cancel()
    await asyncio.gather(*workers, return_exceptions=True)

    assert seen == [*range(150)]


async def test_all_getters_are_cancelled_together(redis: Redis, server: Server) -> None:
    """Elements arrive for twenty getters that are cancelled at that moment: all are put back, in their order."""
    other = connect(server.url)
    queue = RedisQueue(redis, "queue", int)
    for steps in range(25):
        getters = [asyncio.create_task(queue.get()) for _ in range(20)]
        await asyncio.sleep(0)
        await RedisQueue(other, "queue", int).put_many(range(10))
        for _ in range(steps):
            await asyncio.sleep(0)
        for getter in getters:
            getter.cancel()
        outcomes = await asyncio.gather(*getters, return_exceptions=True)
        await until(no_task_left, True)

        taken = [outcome for outcome in outcomes if isinstance(outcome, int)]
        assert taken + await queue.get_many(20) == [*range(10)], steps


@pytest.mark.parametrize("eager", [False, EAGER])
def test_whatever_the_task_factory_is(server: Server, engine: str, eager: bool) -> None:
    """Getters, cancelled ones among them, locks, iteration and many first calls, where a task may begin at once."""

    async def use(client: Redis) -> None:
        loop = asyncio.get_running_loop()
        if eager:
            factory: Callable[..., Any] = getattr(asyncio, "eager_task_factory")  # noqa: B009 - since Python 3.12
            loop.set_task_factory(factory)
        queue = RedisQueue(client, "queue", int)
        await queue.clear()
        seen: list[int] = []

        async def take() -> None:
            seen.append(await queue.get())

        for n in range(30):
            takers: list[asyncio.Task[None]] = [asyncio.create_task(take()) for _ in range(3)]
            putting: Coroutine[Any, Any, int] = queue.put(n)
            await putting
            takers[n % 3].cancel()
            while len(seen) <= n:
                takers.append(asyncio.create_task(take()))
                await asyncio.sleep(0.001)
            for taker in takers:
                taker.cancel()
            await asyncio.gather(*takers, return_exceptions=True)
        await until(no_task_left, True)
        assert seen == [*range(30)]
        space = purse.RedisKeySpace(client, "space:", int)
        assert await asyncio.gather(*(space.get_or_create("x", lambda: 7) for _ in range(5))) == [7] * 5
        assert await asyncio.wait_for(purse.RedisLock(client, "lock").acquire(timeout=1), 2)
        await purse.RedisList(client, "list", int).extend(range(1200))
        assert [n async for n in purse.RedisList(client, "list", int)] == [*range(1200)]
        assert await read(client, "LLEN", "queue") == 0
        await client.flushdb()  # pyright: ignore[reportUnknownMemberType]

    async def main() -> None:
        client = connect(server.url)
        async with asyncio.timeout(20):
            await use(client)
        await client.aclose()

    asyncio.run(main())
