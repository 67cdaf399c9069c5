"""Lines of waiting callers, of every kind: a caller that is gone leaves its line, in whatever moment."""

from __future__ import annotations

import asyncio
import gc
import logging
from collections.abc import Awaitable, Callable, Iterator
from contextlib import suppress
from dataclasses import dataclass
from typing import Any

import pytest
from redis.asyncio import Redis
from redis.exceptions import RedisError

from purse import RedisLock, RedisQueue, RedisRateLimiter, RedisSemaphore, RedisSortedSet, statistics
from purse._engine.registry import executor_for
from purse.embedded import Server
from purse.errors import StoreClosed
from purse.redlock import Redlock
from tests.support.clients import Connect, command
from tests.support.polling import until
from tests.support.proxy import Proxy
from tests.support.selection import thorough_but
from tests.support.tasks import purse_tasks

pytestmark = pytest.mark.engines("shared", "dedicated")

SECONDS = 0.005


@dataclass(frozen=True)
class Waiting:
    """A call that waits for what is not there.

    Attributes:
        take_away: makes it so that the call has to wait, by way of another client.
        call: waits, for so many seconds or for ever.
        let_go: gives to one that waits what it waits for.
    """

    take_away: Callable[[Redis, str], Awaitable[object]]
    call: Callable[[Redis, str, float | None], Awaitable[object]]
    let_go: Callable[[Redis, str], Awaitable[object]]


async def _put(redis: Redis, key: str, timeout: float | None) -> object:
    async with asyncio.timeout(timeout):
        return await RedisQueue(redis, key, int, maxsize=1).put(2)


async def _limited(redis: Redis, key: str, timeout: float | None) -> object:
    # A later caller waits behind the first one, however long its own timeout is.
    async with asyncio.timeout(timeout):
        return await RedisRateLimiter(redis, key, rate="1/minute").wait()


async def _nothing(redis: Redis, key: str) -> None:
    pass


KINDS: dict[str, Waiting] = {
    "queue.get": Waiting(
        _nothing,
        lambda redis, key, t: RedisQueue(redis, key, int).get(t),
        lambda redis, key: command(redis, "RPUSH", key, 1),
    ),
    "blocking_pop_min": Waiting(
        _nothing,
        lambda redis, key, t: RedisSortedSet(redis, key, int).blocking_pop_min(t),
        lambda redis, key: command(redis, "ZADD", key, 1, 1),
    ),
    "queue.put": Waiting(
        lambda redis, key: command(redis, "RPUSH", key, 1), _put, lambda redis, key: command(redis, "RPOP", key)
    ),
    "semaphore": Waiting(
        lambda redis, key: RedisSemaphore(redis, key, limit=1).acquire(),
        lambda redis, key, t: RedisSemaphore(redis, key, limit=1).acquire(timeout=t),
        lambda redis, key: command(redis, "DEL", key),
    ),
    "lock": Waiting(
        lambda redis, key: command(redis, "SET", key, "somebody", "PX", 60_000),
        lambda redis, key, t: RedisLock(redis, key).acquire(timeout=t),
        lambda redis, key: command(redis, "DEL", key),
    ),
    "redlock": Waiting(
        lambda redis, key: command(redis, "SET", key, "somebody", "PX", 60_000),
        lambda redis, key, t: Redlock(key, [redis]).acquire(timeout=-1 if t is None else t),
        lambda redis, key: command(redis, "DEL", key),
    ),
    "limiter": Waiting(
        lambda redis, key: RedisRateLimiter(redis, key, rate="1/minute").hit(),
        _limited,
        lambda redis, key: command(redis, "DEL", key),
    ),
}
every_kind = pytest.mark.parametrize("kind", KINDS.values(), ids=KINDS)
COMMANDS = ["HELLO", "TRACKING", "EXISTS", "LLEN", "ZCARD"]
IN_LINE = ["queue.get", "blocking_pop_min", "queue.put", "semaphore", "lock"]
every_line = pytest.mark.parametrize("kind", [KINDS[name] for name in IN_LINE], ids=IN_LINE)


def objects() -> int:
    """How many objects of the library and of asyncio there are."""
    gc.collect()
    return sum(
        str(type(one).__module__).partition(".")[0] in ("purse", "_asyncio", "asyncio") for one in gc.get_objects()
    )


async def _more_than(some: int) -> bool:
    return objects() > some


@pytest.mark.rows(1)
@every_kind
async def test_callers_that_gave_up_leave_nothing_behind(
    redis: Redis, server: Server, client_of: Connect, kind: Waiting
) -> None:
    """While one caller waits for ever, any number of others may come, wait in vain and go: memory stays as it was."""
    client = client_of(server.url)
    await kind.take_away(redis, "x")
    for_ever = asyncio.create_task(_for_ever(kind, client))

    async def in_vain() -> None:
        with suppress(asyncio.QueueEmpty, TimeoutError):
            assert await kind.call(client, "x", SECONDS) in (None, False)

    await asyncio.gather(*(in_vain() for _ in range(10)))
    before = objects()
    for _ in range(10):
        await asyncio.gather(*(in_vain() for _ in range(10)))

    # What is still being taken back goes by itself; what a caller leaves would be a hundred objects or more.
    await until(lambda: _more_than(before + 50), False)
    for_ever.cancel()
    await asyncio.wait([for_ever])


async def _for_ever(kind: Waiting, client: Redis, key: str = "x") -> object:
    return await kind.call(client, key, None)


@pytest.mark.rows(4)
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
        await until(_no_task_left, True)  # or the error of what was asked for those might reach the next caller

        await command(redis, "DEL", "x")
        await kind.take_away(redis, "x")
        waiting = asyncio.create_task(_for_ever(kind, redis))
        for _ in range(steps % 7):
            await asyncio.sleep(0)
        await kind.let_go(redis, "x")
        async with asyncio.timeout(10):
            assert await waiting is not None
        steps += 1
    assert steps > 3


@pytest.mark.rows(4)
@every_line
@pytest.mark.parametrize("callers", [1, 3])
async def test_closing_right_after_a_cancellation(
    redis: Redis, server: Server, client_of: Connect, kind: Waiting, callers: int
) -> None:
    """``worker.cancel(); await store.aclose()``, with nobody awaiting the worker: all is closed, nothing goes on."""
    await kind.take_away(redis, "x")
    for steps in [*range(12), None]:
        client = client_of(server.url)
        workers = [asyncio.create_task(_for_ever(kind, client)) for _ in range(callers)]
        if steps is None:
            await until(lambda: _is_told_of_changes(client), True)  # noqa: B023 - awaited in this iteration
        for _ in range(steps or 0):
            await asyncio.sleep(0)

        for worker in workers:
            worker.cancel()
        await executor_for(client).aclose()

        assert statistics(client).connections == 0
        outcomes = await asyncio.gather(*workers, return_exceptions=True)
        assert all(isinstance(outcome, asyncio.CancelledError | StoreClosed) for outcome in outcomes), outcomes
        await until(_no_task_left, True)


async def test_an_end_that_is_cancelled_closes_its_connections(redis: Redis, proxy: Proxy, client_of: Connect) -> None:
    """``aclose`` waits a moment for what is being put back; cancelled there, it leaves no connection open."""
    client = client_of(proxy.url)
    queue = RedisQueue(client, "x", int)
    await queue.put(1)
    proxy.hold()
    waiting = asyncio.create_task(queue.get())
    await until(lambda: _is_away(redis), True)
    waiting.cancel()  # its item is on the way

    with pytest.raises(TimeoutError):
        async with asyncio.timeout(0.05):
            await executor_for(client).aclose()

    assert statistics(client).connections == 0
    proxy.release()
    await asyncio.gather(waiting, return_exceptions=True)


async def _is_away(redis: Redis) -> bool:
    return not await command(redis, "EXISTS", "x")


async def _is_told_of_changes(client: Redis) -> bool:
    waits: Any = executor_for(client)
    return bool(waits.wakeups("queue")._waiting)


async def _no_task_left() -> bool:
    return not purse_tasks()


# --- a server that forgets what it tracks -------------------------------------------------------


@pytest.fixture
def forgetful() -> Iterator[Server]:
    """A server that tracks one key at a time, and says of all others that they have changed."""
    with Server(port=0, password="", config={"tracking-table-max-keys": "1"}) as server:
        yield server


async def _processed(redis: Redis) -> int:
    return int((await command(redis, "INFO", "stats"))["total_commands_processed"])


@pytest.mark.thorough
@pytest.mark.parametrize("kind", thorough_but(KINDS["queue.get"], every=map(KINDS.get, IN_LINE)), ids=IN_LINE)
async def test_a_server_that_forgets_is_not_asked_without_a_pause(
    forgetful: Server, client_of: Connect, kind: Waiting
) -> None:
    """Twenty callers of twenty keys are told of changes that are none: they ask some times a second, not thousands."""
    direct, client = client_of(forgetful.url), client_of(forgetful.url)
    for nth in range(20):
        await kind.take_away(direct, f"x{nth}")
    waiting = [asyncio.create_task(_for_ever(kind, client, f"x{nth}")) for nth in range(20)]
    await asyncio.wait(waiting, timeout=0.5)  # they grow patient
    before = await _processed(direct)
    await asyncio.wait(waiting, timeout=1)
    asked = await _processed(direct) - before

    assert asked < 20 * 100  # those inside scripts included
    for nth in range(20):
        await kind.let_go(direct, f"x{nth}")
    async with asyncio.timeout(10):
        assert None not in await asyncio.gather(*waiting)


# --- what stands between client and server --------------------------------------------------------


@pytest.mark.rows(2)
@every_line
@pytest.mark.parametrize("refused", thorough_but("HELLO", "LLEN", every=COMMANDS))
async def test_a_proxy_that_refuses_by_hanging_up(
    redis: Redis, proxy: Proxy, client_of: Connect, kind: Waiting, refused: str, caplog: pytest.LogCaptureFixture
) -> None:
    """It closes the connection at a command that it does not know: callers wait nevertheless, by looking or trying."""
    caplog.set_level(logging.INFO, logger="purse")
    client = client_of(proxy.url, protocol=2)  # or redis-py itself says HELLO
    await kind.take_away(redis, "x")
    proxy.hang_up_at(f"\r\n{refused}\r\n".encode())
    waiting = [asyncio.create_task(_for_ever(kind, client)) for _ in range(2)]
    done, _ = await asyncio.wait(waiting, timeout=0.3)
    assert not done, [task.exception() for task in done]

    await kind.let_go(redis, "x")
    async with asyncio.timeout(10):
        done, left = await asyncio.wait(waiting, return_when=asyncio.FIRST_COMPLETED)
    assert None not in [task.result() for task in done]
    assert proxy.accepted <= 16  # what cannot be sent is not sent again and again
    assert caplog.text.count("hangs up") <= 1
    for task in left:
        task.cancel()
    await asyncio.gather(*left, return_exceptions=True)


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
