"""A call that takes and is cancelled with the reply on its way: what it took is back where it was.

``PURSE_CANCELS=20000`` makes the random test that long.
"""

from __future__ import annotations

import asyncio
import logging
import os
import random
from collections import Counter
from collections.abc import AsyncIterator, Awaitable, Callable, Coroutine, Iterator
from contextlib import suppress
from dataclasses import dataclass
from typing import Any, NamedTuple

import anyio
import pytest
from redis.asyncio import Redis
from redis.exceptions import OutOfMemoryError

from purse import TTL
from purse._engine.registry import executor_for
from purse.codecs import hide_values
from purse.collections import (
    RedisHash,
    RedisKeySpace,
    RedisLifoQueue,
    RedisList,
    RedisPriorityQueue,
    RedisQueue,
    RedisSet,
    RedisSortedSet,
)
from purse.embedded import Server
from tests.support.clients import command, connect
from tests.support.monitor import load_scripts
from tests.support.polling import until
from tests.support.proxy import Proxy
from tests.support.tasks import no_task_left

CANCELS = int(os.environ.get("PURSE_CANCELS", "600"))
CLOCK = TTL(hours=1)

Call = Callable[[Any], Coroutine[Any, Any, Any]]
Make = Callable[[Redis, TTL | None], Any]


@dataclass(frozen=True)
class Taking:
    """A call that takes.

    Attributes:
        make: the collection on a client.
        fill: puts the elements 1 to 4.
        call: takes some of them; returns them in a list.
        contents: all elements that are there, in their order.
    """

    make: Make
    fill: Call
    call: Call
    contents: Call


async def _values(collection: Any) -> list[int]:
    return sorted([value async for value in collection.values()])


async def _hash_contents(x: Any) -> list[int]:
    return sorted((await x.dict()).values())


def _taken(call: Callable[[Any], Awaitable[Any]]) -> Call:
    async def take(collection: Any) -> list[Any]:
        found: Any = await call(collection)
        return found if type(found) is list else [found]  # pyright: ignore[reportUnknownVariableType] - it is Any

    return take


FOUR = {str(n): n for n in range(1, 5)}

LIST: Make = lambda redis, ttl: RedisList(redis, "x", int, ttl=ttl)  # noqa: E731
HASH: Make = lambda redis, ttl: RedisHash(redis, "x", int, ttl=ttl)  # noqa: E731
SET: Make = lambda redis, ttl: RedisSet(redis, "x", int, ttl=ttl)  # noqa: E731
RANKING: Make = lambda redis, ttl: RedisSortedSet(redis, "x", int, ttl=ttl)  # noqa: E731
SPACE: Make = lambda redis, ttl: RedisKeySpace(redis, "x:", int, ttl=ttl)  # noqa: E731
QUEUE: Make = lambda redis, ttl: RedisQueue(redis, "x", int, ttl=ttl)  # noqa: E731
STACK: Make = lambda redis, ttl: RedisLifoQueue(redis, "x", int, ttl=ttl)  # noqa: E731
PRIORITIES: Make = lambda redis, ttl: RedisPriorityQueue(redis, "x", int, ttl=ttl)  # noqa: E731


def _in_list(call: Call) -> Taking:
    return Taking(LIST, lambda x: x.extend(range(1, 5)), _taken(call), lambda x: x.slice(0))


def _in_set(call: Call) -> Taking:
    return Taking(SET, lambda x: x.update(*range(1, 5)), _taken(call), _values)


def _in_ranking(call: Call) -> Taking:
    fill: Call = lambda x: x.add_multi([(n, n / 2) for n in range(1, 5)])  # noqa: E731
    return Taking(RANKING, fill, _taken(call), lambda x: x.slice_by_rank(0, -1))


def _in_queue(kind: Make, call: Call) -> Taking:
    many: list[Any] = [(n, n // 2) for n in range(1, 5)] if kind is PRIORITIES else [*range(1, 5)]

    async def contents(x: Any) -> list[Any]:
        # Raw, because to look at all of them is to take them.
        if kind is PRIORITIES:
            return [(member, float(score)) for member, score in await x.redis.zrange(x.rkey, 0, -1, withscores=True)]
        return list(await command(x.redis, "LRANGE", x.rkey, 0, -1))

    return Taking(kind, lambda x: x.put_many(many), _taken(call), contents)


QUEUES: dict[str, Make] = {"queue": QUEUE, "stack": STACK, "priority queue": PRIORITIES}
GETS: dict[str, Call] = {
    "get": lambda x: x.get(),
    "get_nowait": lambda x: x.get_nowait(),
    "get_many": lambda x: x.get_many(3),
}

TAKINGS: dict[str, Taking] = {
    "list.pop": _in_list(lambda x: x.pop()),
    "list.popleft": _in_list(lambda x: x.popleft()),
    "hash.pop": Taking(HASH, lambda x: x.update(FOUR), _taken(lambda x: x.pop("2")), _hash_contents),
    "set.pop": _in_set(lambda x: x.pop()),
    "set.pop several": _in_set(lambda x: x.pop(3)),
    "sorted set.pop_min": _in_ranking(lambda x: x.pop_min()),
    "sorted set.pop_max several": _in_ranking(lambda x: x.pop_max(3)),
    "sorted set.blocking_pop_min": _in_ranking(lambda x: x.blocking_pop_min()),
    "key space.pop": Taking(SPACE, lambda x: x.update(FOUR), _taken(lambda x: x.pop("2")), _values),
    **{f"{name}.{method}": _in_queue(kind, call) for name, kind in QUEUES.items() for method, call in GETS.items()},
}


@pytest.fixture
def own_server() -> Iterator[Server]:
    """A server whose memory a test may limit."""
    with Server(port=0, password="") as server:
        yield server


@pytest.fixture
async def behind(proxy: Proxy, redis: Redis) -> AsyncIterator[Redis]:
    """A client whose replies a test can hold back."""
    await load_scripts(redis)  # a NOSCRIPT that is held back would take nothing
    client = connect(proxy.url)
    yield client
    await client.aclose()


every_taking = pytest.mark.parametrize("name", TAKINGS)
every_policy = pytest.mark.parametrize("ttl", [None, CLOCK], ids=["no policy", "a policy"])


@pytest.mark.rows(12)
@every_taking
@every_policy
async def test_what_was_taken_is_put_back(
    redis: Redis, proxy: Proxy, behind: Redis, name: str, ttl: TTL | None
) -> None:
    """The caller is cancelled after the server has taken the elements: they are back, in their order and place."""
    taking = TAKINGS[name]
    x, seen = taking.make(behind, ttl), taking.make(redis, ttl)
    await taking.fill(x)
    before = await taking.contents(seen)

    async def changed() -> bool:
        return bool(await taking.contents(seen) != before)

    proxy.hold()
    calling = asyncio.create_task(taking.call(x))
    await until(changed, True)
    calling.cancel()
    await asyncio.gather(calling, return_exceptions=True)
    proxy.release()

    await until(changed, False)
    if ttl is not None and "space" not in name:
        assert await command(redis, "PTTL", "x") > 0
    await until(no_task_left, True)
    assert len(await taking.call(x)) >= 1  # the connection goes on


@every_taking
async def test_a_caller_that_stays_has_what_it_took(redis: Redis, name: str) -> None:
    """Without a cancellation nothing is put back."""
    taking = TAKINGS[name]
    x = taking.make(redis, None)
    await taking.fill(x)
    before = await taking.contents(x)

    taken = await taking.call(x)

    await until(no_task_left, True)
    assert len(await taking.contents(x)) < len(before)
    assert taken


@pytest.mark.rows(24)
@pytest.mark.parametrize("steps", range(14))
@pytest.mark.parametrize("name", ["list.popleft", "hash.pop", "set.pop", "key space.pop", "queue.get_nowait"])
async def test_cancelled_at_every_step(redis: Redis, name: str, steps: int) -> None:
    """Cancelled after any number of steps, the caller has the element or it is back."""
    taking = TAKINGS[name]
    x = taking.make(redis, None)
    await taking.fill(x)
    before = await taking.contents(x)

    calling = asyncio.create_task(taking.call(x))
    for _ in range(steps):
        await asyncio.sleep(0)
    calling.cancel()
    await asyncio.wait((calling,))
    await until(no_task_left, True)

    if calling.cancelled():
        assert await taking.contents(x) == before
    else:
        assert len(await taking.contents(x)) == len(before) - 1


async def test_a_newer_value_is_not_overwritten(redis: Redis, proxy: Proxy, behind: Redis) -> None:
    """Where somebody stored another value under the key by then, that one stays."""
    for x, seen in [(HASH(behind, None), HASH(redis, None)), (SPACE(behind, None), SPACE(redis, None))]:
        await x.set("2", 2)

        async def gone(seen: Any = seen) -> bool:
            return not await seen.contains("2")

        proxy.hold()
        calling = asyncio.create_task(x.pop("2"))
        await until(gone, True)
        calling.cancel()
        await asyncio.gather(calling, return_exceptions=True)
        await seen.set("2", 99)
        proxy.release()
        await until(no_task_left, True)

        assert await seen.get("2") == 99
        await command(redis, "FLUSHALL")


async def test_an_entry_comes_back_with_the_time_it_had_left(redis: Redis, proxy: Proxy, behind: Redis) -> None:
    """An entry of a key space that was stored for a minute does not come back for ever."""
    space, seen = RedisKeySpace(behind, "x:", int), RedisKeySpace(redis, "x:", int)
    await space.set("2", 2, ex=60)

    async def there() -> bool:
        return await seen.contains("2")

    proxy.hold()
    calling = asyncio.create_task(space.pop("2"))
    await until(there, False)
    calling.cancel()
    await asyncio.gather(calling, return_exceptions=True)
    proxy.release()
    await until(there, True)

    assert 0 < await command(redis, "PTTL", "x:2") <= 60_000


@pytest.mark.engines("shared")  # where each call has a connection, nobody knows which was first
async def test_callers_cancelled_together_keep_the_order(redis: Redis, proxy: Proxy, behind: Redis) -> None:
    """Ten callers are cancelled with ten replies on their way: the elements are in the order in which they were."""
    queue, items = RedisQueue(behind, "queue", int), RedisList(behind, "list", int)
    await queue.put_many(range(20))
    await items.extend(range(20))

    async def left() -> tuple[Any, Any]:
        return await command(redis, "LLEN", "queue"), await command(redis, "LLEN", "list")

    proxy.hold()
    calls = [asyncio.create_task(call()) for _ in range(10) for call in (queue.get_nowait, items.popleft)]
    await until(left, (10, 10))
    for call in calls:
        call.cancel()
    await asyncio.gather(*calls, return_exceptions=True)
    proxy.release()
    await until(left, (20, 20))

    assert await items.slice(0) == [*range(20)]
    assert await queue.get_many(20) == [*range(20)]


async def test_what_a_waiting_caller_can_have_is_not_put_back(redis: Redis, proxy: Proxy, behind: Redis) -> None:
    """Another caller of the client waits in get(): it receives what the cancelled one took."""
    queue = RedisQueue(behind, "queue", int)
    await queue.put(1)

    async def left() -> Any:
        return await command(redis, "LLEN", "queue")

    proxy.hold()
    calling = asyncio.create_task(queue.get_nowait())
    await until(left, 0)
    waiting = asyncio.create_task(queue.get())
    await asyncio.sleep(0)
    calling.cancel()
    await asyncio.gather(calling, return_exceptions=True)
    proxy.release()

    assert await asyncio.wait_for(waiting, 5) == 1


# --- a server that does not take back ------------------------------------------------------------


FORGING = "queue\nERROR forged\x1b[31m"
"""A key whose text would be a line of its own in a log, and a colour of the terminal."""


class Stranded(NamedTuple):
    """A queue whose getter was cancelled with its element on the way, while the server refuses to take it back."""

    queue: RedisQueue[str]
    redis: Redis
    how: str

    async def allow(self) -> None:
        """Let the server take it back."""
        if self.how == "out of memory":
            await command(self.redis, "CONFIG", "SET", "maxmemory", "0")
        else:
            await command(self.redis, "DEL", FORGING)


SECRET = "the secret" + "!" * 300


@pytest.fixture(params=["out of memory", "another type"])
async def stranded(own_server: Server, request: pytest.FixtureRequest) -> AsyncIterator[Stranded]:
    """RPOP was executed, and RPUSH is refused."""
    assert own_server.port is not None
    redis = connect(own_server.url)
    async with Proxy(own_server.port) as proxy:
        queue = RedisQueue(connect(proxy.url), FORGING, str)
        await queue.put(SECRET)

        async def length() -> Any:
            return await command(redis, "LLEN", FORGING)

        proxy.hold()
        getter = asyncio.create_task(queue.get())
        await until(length, 0)
        if request.param == "out of memory":
            await command(redis, "CONFIG", "SET", "maxmemory", "1")
        else:
            await command(redis, "SET", FORGING, "something else")
        getter.cancel()
        await asyncio.gather(getter, return_exceptions=True)
        proxy.release()
        yield Stranded(queue, redis, request.param)
        await queue.redis.aclose()
    await redis.aclose()


async def _warned(caplog: pytest.LogCaptureFixture) -> bool:
    return "does not take back" in caplog.text


async def test_what_the_server_refuses_is_kept(stranded: Stranded, caplog: pytest.LogCaptureFixture) -> None:
    """The element waits in the process, and is put back when the server takes it again."""
    await until(lambda: _warned(caplog), True)
    assert SECRET not in caplog.text  # it is not lost
    await stranded.allow()

    async def length() -> Any:
        return await command(stranded.redis, "LLEN", FORGING)

    await until(length, 1, seconds=10)
    assert await stranded.queue.get_nowait() == SECRET


async def test_the_next_caller_has_what_the_server_refuses(
    stranded: Stranded, caplog: pytest.LogCaptureFixture
) -> None:
    """While the server refuses, the next getter of this process receives the element."""
    await until(lambda: _warned(caplog), True)

    assert await asyncio.wait_for(stranded.queue.get(), 5) == SECRET


@pytest.mark.parametrize("hidden", [False, True])
async def test_the_log_has_what_could_never_be_put_back(
    stranded: Stranded, caplog: pytest.LogCaptureFixture, hidden: bool
) -> None:
    """The store ends while the server still refuses: the log has the bytes, unless values are hidden."""
    await until(lambda: _warned(caplog), True)
    hide_values(hidden)
    try:
        await executor_for(stranded.queue.redis).aclose()
    finally:
        hide_values(False)

    last = [record for record in caplog.records if record.levelno == logging.ERROR][-1].getMessage()
    assert "could not be put back" in last
    assert all(record.getMessage().isprintable() for record in caplog.records)
    assert (SECRET in last) is not hidden
    assert ("<hidden>" in last) is hidden


class Flow:
    """Elements that are put again and again, each with another number, and taken by calls that are cancelled."""

    def __init__(self, taking: Taking, key: str, client: Redis, direct: Redis) -> None:
        self.taking = taking
        self.put: Counter[str] = Counter()
        self.received: Counter[str] = Counter()
        self._x, self._direct = _renamed(taking, client, key), _renamed(taking, direct, key)
        self._next = 0

    async def fill(self) -> None:
        """Put four, unless the server is out of memory."""
        numbers = [*range(self._next, self._next + 4)]
        kind = self.taking.make
        with suppress(OutOfMemoryError):
            if kind in (HASH, SPACE):
                await self._direct.update({str(n): n for n in numbers})
            elif kind is SET:
                await self._direct.update(*numbers)
            elif kind is RANKING:
                await self._direct.add_multi([(n, n) for n in numbers])
            elif kind is LIST:
                await self._direct.extend(numbers)
            else:
                await self._direct.put_many([(n, n % 3) for n in numbers] if kind is PRIORITIES else numbers)
            self._next += 4
            self.put.update(map(str, numbers))

    async def take(self) -> None:
        """One call."""
        if self.taking.make in (HASH, SPACE):
            key = random.randrange(max(0, self._next - 12), self._next + 1)
            found = [n for n in [await self._x.pop(str(key))] if n is not None]
        else:
            found = await self.taking.call(self._x)
        self.received.update(_identity(item) for item in found)

    async def left(self) -> Counter[str]:
        """What is there."""
        found: list[Any] = await self.taking.contents(self._direct)
        if self.taking.make is PRIORITIES:
            found = [member[36:].decode() for member, _ in found]
        elif self.taking.make in (QUEUE, STACK):
            found = [raw.decode() for raw in found]
        return Counter(_identity(item) for item in found)


def _renamed(taking: Taking, client: Redis, key: str) -> Any:
    x = taking.make(client, None)
    if taking.make is SPACE:
        return RedisKeySpace(client, f"{key}:", int)
    x.rkey = key
    return x


def _identity(item: Any) -> str:
    return str(item[0] if type(item) is tuple else item)  # pyright: ignore[reportUnknownArgumentType] - it is Any


async def test_random_cancels_on_a_slow_wire_and_a_server_out_of_memory(own_server: Server) -> None:
    """Every call that takes is cancelled at random moments, half of the time without memory: nothing is lost."""
    chance = random.Random(20261128)
    assert own_server.port is not None
    redis = connect(own_server.url)
    async with Proxy(own_server.port) as proxy:
        client = connect(proxy.url)
        flows = [Flow(taking, f"key of {name}", client, redis) for name, taking in TAKINGS.items()]
        cancels = 0

        async def taker(flow: Flow) -> None:
            nonlocal cancels
            while cancels < CANCELS or not flow.received:  # on a busy machine the first calls may all be cancelled
                await flow.fill()
                for _ in range(3):
                    with (
                        anyio.move_on_after(chance.uniform(0, chance.choice([0.006, 0.1]))) as scope,
                        suppress(IndexError, KeyError, asyncio.QueueEmpty, OutOfMemoryError),
                    ):
                        await flow.take()
                    cancels += scope.cancelled_caught
                    await asyncio.sleep(0)

        async def disturb() -> None:
            while cancels < CANCELS:
                proxy.delay(chance.choice([0, 0.001, 0.003]))
                await command(redis, "CONFIG", "SET", "maxmemory", chance.choice(["0", "1"]))
                await asyncio.sleep(0.01)
            await command(redis, "CONFIG", "SET", "maxmemory", "0")
            proxy.heal()

        await asyncio.gather(disturb(), *map(taker, flows))
        await until(no_task_left, True, seconds=30)

        for flow, name in zip(flows, TAKINGS, strict=True):
            assert flow.received + await flow.left() == flow.put, name
            assert flow.received, name
        await client.aclose()
