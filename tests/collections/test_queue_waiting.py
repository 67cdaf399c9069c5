"""Waiting for items and for room: nobody blocks anybody, and nothing is lost, doubled or reordered on the way."""

from __future__ import annotations

import asyncio
import itertools
import random
import time
from collections.abc import Awaitable, Callable, Coroutine, Iterator
from datetime import timedelta
from typing import Any, TypeAlias

import anyio
import pytest
from redis.asyncio import Redis
from redis.exceptions import ConnectionError

from purse._engine import dedicated, wakeups
from purse._engine.adoption import AdoptedLink
from purse._engine.guard import guard_link
from purse._engine.registry import executor_for
from purse.codecs import hide_values
from purse.collections.priority_queue import RedisPriorityQueue
from purse.collections.queue import RedisLifoQueue, RedisQueue
from purse.embedded import Server
from purse.errors import DecodeError, StoreClosed
from tests.support.clients import connect
from tests.support.polling import until
from tests.support.proxy import Proxy
from tests.support.tasks import no_task_left
from tests.support.units import send

Number: TypeAlias = tuple[int, float]


@pytest.fixture
def own_server() -> Iterator[Server]:
    """A server that a test may kill and restart."""
    with Server(port=0, password="", config={"appendonly": "yes", "appendfsync": "always"}) as server:
        yield server


def numbers(redis: Redis, *, maxsize: int = 0, key: str = "queue") -> RedisQueue[int]:
    return RedisQueue(redis, key, int, maxsize=maxsize)


async def connections(redis: Redis) -> int:
    """How many clients the server has."""
    return len(await redis.client_list())  # pyright: ignore[reportUnknownMemberType]


async def waits(queue: RedisQueue[int] | RedisLifoQueue[int] | RedisPriorityQueue[int]) -> tuple[int, int]:
    """How many callers wait for items, and how many for room."""
    line = queue._line()  # pyright: ignore[reportPrivateUsage]
    return len(line), line.bringing


async def only_waits(queue: RedisQueue[int]) -> bool:
    """Whether nothing is on its way: what is taken in the moment when the wire breaks may be lost."""
    return queue._line().idle  # pyright: ignore[reportPrivateUsage]


async def looks_on(queue: RedisQueue[int]) -> bool:
    """Whether somebody has found that there is nothing, or no room, and waits for a change."""
    wakeups = queue._line()._wakeups  # pyright: ignore[reportPrivateUsage]
    return queue.rkey.encode() in wakeups._waiting  # pyright: ignore[reportPrivateUsage]


def starting(call: Callable[[], Awaitable[object]]) -> asyncio.Task[object]:
    """A call that goes on by itself."""

    async def run() -> object:
        return await call()

    return asyncio.create_task(run())


# --- get ----------------------------------------------------------------------------------------


async def test_who_came_first_is_served_first(redis: Redis) -> None:
    """A hundred waiting callers get the items in the order in which they came; ``async for`` is one of them."""
    queue = numbers(redis)
    waiting = [asyncio.create_task(queue.get()) for _ in range(50)]
    waiting += [asyncio.create_task(queue.__anext__()) for _ in range(50)]
    await until(lambda: waits(queue), (100, 0))

    for n in range(0, 100, 4):
        await numbers(redis).put_many(range(n, n + 4))

    assert await asyncio.gather(*waiting) == [*range(100)]
    await until(no_task_left, True)


async def test_a_stack_and_a_priority_queue_wait_too(redis: Redis) -> None:
    """Each of the queues hands an item to who waits for it."""
    stack, jobs = RedisLifoQueue(redis, "stack", int), RedisPriorityQueue(redis, "jobs", int)
    waiting = asyncio.gather(stack.get(), jobs.get(timeout=60))
    await until(lambda: waits(jobs), (1, 0))

    await stack.put(1)
    await jobs.put((2, 0.5))

    assert tuple(await waiting) == (1, (2, 0.5))


async def test_timeouts_are_kept(redis: Redis, server: Server) -> None:
    """Far below the client's socket timeout and far above it; in seconds or as a timedelta."""
    client = connect(server.url, socket_timeout=0.05)
    queue = numbers(client)
    await queue.exists()
    for timeout, least in ((0.01, 0.01), (timedelta(milliseconds=20), 0.02), (0.15, 0.15)):
        began = time.monotonic()
        with pytest.raises(asyncio.QueueEmpty):
            await queue.get(timeout)
        assert least - 0.001 <= time.monotonic() - began < least + 1
    waiting = asyncio.create_task(queue.get(timeout=3600))
    for_ever = asyncio.create_task(queue.get(timeout=None))
    await asyncio.wait([waiting, for_ever], timeout=0.1)

    await numbers(redis).put_many([1, 2])

    assert (await waiting, await for_ever) == (1, 2)


async def test_a_timeout_loses_nothing(redis: Redis) -> None:
    """However short it is: an item that was on its way to who has given up is the next one."""
    queue = numbers(redis)
    await queue.put_many(range(50))
    chance = random.Random(7)
    seen: list[int] = []
    while len(seen) < 50:
        try:
            seen.append(await queue.get(timeout=chance.uniform(1e-6, 2e-3)))
        except asyncio.QueueEmpty:
            continue

    assert seen == [*range(50)]


async def test_idle_callers_cost_no_connections(redis: Redis, engine: str) -> None:
    """Ten thousand callers on one queue and a thousand on a hundred others; other calls go on, and all are served."""
    queues = [numbers(redis, key=f"queue {n}") for n in range(100)]
    queue = numbers(redis)
    many = [asyncio.create_task(queue.get()) for _ in range(10_000)]
    few = [asyncio.create_task(each.get()) for each in queues for _ in range(10)]
    await until(lambda: waits(queue), (10_000, 0))
    await until(lambda: waits(queues[-1]), (10, 0))

    assert await connections(redis) < (10 if engine == "shared" else 10 + dedicated.LIMIT)
    assert await asyncio.wait_for(numbers(redis, key="other").put(1), 1) == 1
    await queue.put_many(range(10_000))
    await asyncio.gather(*(each.put_many(range(10)) for each in queues))

    assert await asyncio.gather(*many) == [*range(10_000)]
    assert await asyncio.gather(*few) == [*range(10)] * 100
    await until(no_task_left, True)


async def test_a_killed_server_that_comes_back(own_server: Server) -> None:
    """Callers that wait for items and for room go on when the server was killed and restarted; nothing is lost."""
    client = connect(own_server.url)
    queue, full = numbers(client), numbers(client, maxsize=1, key="full")
    await full.put(0)
    getting = [asyncio.create_task(queue.get()) for _ in range(5)]
    putting = [asyncio.create_task(full.put(n)) for n in (1, 2)]
    await until(lambda: only_waits(queue), True)
    await until(lambda: waits(full), (0, 2))
    await until(lambda: looks_on(full), True)

    own_server.kill()
    own_server.start()
    other = connect(own_server.url)
    await numbers(other).put_many(range(5))

    assert await asyncio.wait_for(asyncio.gather(*getting), 10) == [*range(5)]
    assert {await asyncio.wait_for(full.get(), 10) for _ in range(3)} == {0, 1, 2}
    await asyncio.gather(*putting)


async def test_losing_every_connection_while_waiting_loses_nothing(redis: Redis, proxy: Proxy) -> None:
    """Connections break again and again: who waits goes on waiting, and is served in order."""
    client = connect(proxy.url)
    queue = numbers(client)
    waiting = [asyncio.create_task(queue.get()) for _ in range(10)]
    for n in range(10):
        await until(lambda: only_waits(queue), True)
        proxy.drop()
        await numbers(redis).put(n)
        await until(lambda: waits(queue), (9 - n, 0))

    assert await asyncio.gather(*waiting) == [*range(10)]


@pytest.mark.engines("shared")
async def test_a_connection_that_is_lost_while_it_is_set_up(
    redis: Redis, proxy: Proxy, monkeypatch: pytest.MonkeyPatch
) -> None:
    """If the server goes away just when it is asked to tell of changes, it is asked again, and nobody is told."""
    client = connect(proxy.url)
    queue = numbers(client)
    await queue.exists()
    setups: list[object] = []

    async def lossy(link: AdoptedLink) -> None:
        await guard_link(link)
        setups.append(link)
        if len(setups) < 3:
            proxy.drop()

    monkeypatch.setattr("purse._engine.wakeups.guard_link", lossy)
    waiting = asyncio.create_task(queue.get())
    await until(lambda: _count(setups), 3)
    await numbers(redis).put(1)

    assert await asyncio.wait_for(waiting, 5) == 1


@pytest.mark.engines("shared")
@pytest.mark.parametrize("looks", [0, 10_000])
async def test_however_often_somebody_has_looked(redis: Redis, looks: int) -> None:
    """The pauses between looks grow to a quarter of a second and no further, after hours too."""
    queue = numbers(redis)
    await queue.put(1)
    line = queue._line()  # pyright: ignore[reportPrivateUsage]

    async with asyncio.timeout(0.25 + 1):
        await line._wakeups.wait("queue", looks)  # pyright: ignore[reportPrivateUsage]


# --- put ----------------------------------------------------------------------------------------


@pytest.mark.parametrize("kind", [RedisQueue, RedisLifoQueue, RedisPriorityQueue])
async def test_a_put_waits_for_room(redis: Redis, kind: Callable[..., Any]) -> None:
    """A full queue makes ``put`` and ``put_many`` wait until there is room for all that they bring."""
    queue = kind(redis, "queue", int, maxsize=2)

    def item(n: int) -> Any:
        return (n, n) if kind is RedisPriorityQueue else n

    await queue.put_many([item(1), item(2)])
    one = starting(lambda: queue.put(item(3)))
    await until(lambda: waits(queue), (0, 1))
    assert await queue.get_many(2) == ([item(2), item(1)] if kind is RedisLifoQueue else [item(1), item(2)])
    assert await asyncio.wait_for(one, 5) == 1

    two = starting(lambda: queue.put_many([item(4), item(5)]))
    await until(lambda: waits(queue), (0, 1))
    assert await queue.qsize() == 1  # there is room for one of the two
    assert await queue.get() == item(3)
    assert await asyncio.wait_for(two, 5) == 2
    assert sorted(await queue.get_many(5)) == [item(4), item(5)]


async def test_who_waits_for_room_is_let_through_in_order(redis: Redis, server: Server) -> None:
    """Of one client the puts that wait keep their order, whoever takes; a later put does not overtake them."""
    queue = numbers(redis, maxsize=3)
    await queue.put_many([0, 1, 2])
    putting = [asyncio.create_task(queue.put(3))]
    await until(lambda: waits(queue), (0, 1))
    putting += [asyncio.create_task(queue.put(n)) for n in range(4, 41)]
    client = connect(server.url)
    other = numbers(client, maxsize=3)

    seen: list[int] = []
    while len(seen) < 41:
        seen += [await other.get(), *await other.get_many(1)]
        assert await other.qsize() <= 3

    assert seen[:41] == [*range(41)]
    await asyncio.gather(*putting)


async def test_who_gives_up_waiting_for_room_puts_nothing(redis: Redis) -> None:
    """Cancelled while it waits a put leaves nothing behind, and the next one moves up."""
    queue = numbers(redis, maxsize=1)
    await queue.put(0)
    putting = [asyncio.create_task(queue.put(1))]
    await until(lambda: waits(queue), (0, 1))
    putting += [asyncio.create_task(queue.put(n)) for n in range(2, 5)]
    await until(lambda: waits(queue), (0, 4))
    await until(lambda: looks_on(queue), True)
    for gone in (putting[0], putting[2]):
        gone.cancel()
    await asyncio.gather(putting[0], putting[2], return_exceptions=True)

    assert [await queue.get() for _ in range(3)] == [0, 2, 4]
    assert [await task for task in (putting[1], putting[3])] == [1, 1]
    assert await queue.empty()


@pytest.mark.engines("shared")
async def test_no_look_is_needed_to_learn_of_room(redis: Redis, monkeypatch: pytest.MonkeyPatch) -> None:
    """The server tells: with looks hours apart a put that waits goes on as soon as there is room."""
    monkeypatch.setattr(wakeups, "CHECK", 3600)
    queue = numbers(redis, maxsize=1)
    await queue.put(0)
    for n in range(1, 20):
        putting = asyncio.create_task(queue.put(n))
        await until(lambda: waits(queue), (0, 1))
        assert await queue.get() == n - 1
        assert await asyncio.wait_for(putting, 5) == 1


async def test_room_that_a_deleted_or_expired_key_leaves(redis: Redis) -> None:
    """Whatever makes room is noticed."""
    queue = numbers(redis, maxsize=1)
    room: list[Callable[[], Awaitable[object]]] = [
        queue.clear,
        queue.get,
        lambda: queue.expire(0.02),
        lambda: send(redis, "FLUSHDB"),
        lambda: send(redis, "RENAME", "queue", "elsewhere"),
    ]
    for make in room:
        await queue.clear()
        await queue.put(0)
        putting = asyncio.create_task(queue.put(1))
        await until(lambda: waits(queue), (0, 1))
        await make()
        assert await asyncio.wait_for(putting, 5) == 1


async def test_many_clients_share_the_room(redis: Redis, server: Server) -> None:
    """Three clients put into a small queue and three take: never too full, each item once, in order per producer."""
    clients = [connect(server.url) for _ in range(3)]
    seen: list[int] = []
    sizes: list[int] = []

    async def produce(client: Redis, producer: int) -> None:
        for n in range(40):
            sizes.append(await numbers(client, maxsize=2).put(producer * 1000 + n))

    async def consume(client: Redis) -> None:
        async for number in numbers(client):
            seen.append(number)

    consuming = [asyncio.create_task(consume(redis))]
    await asyncio.gather(*(produce(client, nth) for nth, client in enumerate(clients)))
    await until(lambda: _count(seen), 120)
    consuming[0].cancel()
    await asyncio.wait(consuming)

    assert max(sizes) <= 2
    for producer in range(3):
        assert [n - producer * 1000 for n in seen if n // 1000 == producer] == [*range(40)]
    for client in clients:
        await client.aclose()


async def _count(seen: list[Any]) -> int:
    return len(seen)


async def test_without_permission_to_look_or_to_be_told(redis: Redis, server: Server) -> None:
    """A user who may not use CLIENT TRACKING, nor ask for the size by itself, tries again and again."""
    await send(redis, "ACL", "SETUSER", "poller", "on", ">secret", "~*", "+@all", "-client")
    client = connect(server.url, username="poller", password="secret")
    queue = numbers(client, maxsize=1)
    await queue.put(0)
    putting = asyncio.create_task(queue.put(1))
    await until(lambda: waits(queue), (0, 1))

    assert await numbers(redis).get() == 0

    assert await asyncio.wait_for(putting, 5) == 1
    await client.aclose()
    await send(redis, "ACL", "DELUSER", "poller")


# --- the end ------------------------------------------------------------------------------------


async def test_closing_ends_all_waiting(redis: Redis, server: Server) -> None:
    """When the client's store is closed everybody who waits is told, and no task and no connection is left."""
    await until(lambda: connections(redis), 1)
    client = connect(server.url)
    queue, full = numbers(client), numbers(client, maxsize=1, key="full")
    await full.put(0)
    waiting = [starting(call) for call in (queue.get, lambda: full.put(1), lambda: full.put_many([2]))]
    await until(lambda: waits(queue), (1, 0))
    await until(lambda: waits(full), (0, 2))
    await until(lambda: looks_on(full), True)

    await executor_for(client).aclose()

    outcomes = await asyncio.gather(*waiting, return_exceptions=True)
    assert [type(outcome) for outcome in outcomes] == [StoreClosed] * 3
    await until(no_task_left, True)
    await until(lambda: connections(redis), 1)
    assert await redis.llen("full") == 1


@pytest.mark.engines("shared")
async def test_a_server_that_stays_away_is_reported(own_server: Server, monkeypatch: pytest.MonkeyPatch) -> None:
    """If the server does not come back, all who wait for room are told, and not one after the other."""
    monkeypatch.setattr("purse._engine.connecting.DELAYS", (0.0, 0.2))
    client = connect(own_server.url)
    full = numbers(client, maxsize=1, key="full")
    await full.put(0)
    waiting = [starting(lambda: full.put(1)) for _ in range(50)]
    await until(lambda: waits(full), (0, 50))
    await until(lambda: looks_on(full), True)
    own_server.kill()

    outcomes = await asyncio.wait_for(asyncio.gather(*waiting, return_exceptions=True), 4)

    assert all(isinstance(outcome, ConnectionError) for outcome in outcomes)
    own_server.start()
    assert await full.get_many(5) == [0]


# --- cancelling ---------------------------------------------------------------------------------


async def test_cancelling_at_every_moment(redis: Redis) -> None:
    """A single caller is cancelled after each number of steps: items that are there or come stay, in order."""
    queue = RedisPriorityQueue(redis, "queue", int)
    items: list[Number] = [(n, n // 2) for n in range(5)]
    for steps in range(60):
        await queue.clear()
        if steps % 2:
            await queue.put_many(items)
        waiting = asyncio.create_task(queue.get())
        if not steps % 2:
            await asyncio.sleep(0)
            await queue.put_many(items)
        for _ in range(steps // 2):
            await asyncio.sleep(0)
        waiting.cancel()
        (outcome,) = await asyncio.gather(waiting, return_exceptions=True)
        await until(no_task_left, True)

        left = await queue.get_many(9)
        assert left == (items if isinstance(outcome, asyncio.CancelledError) else items[1:]), steps


async def within(patience: float, scope: str, call: Callable[[], Coroutine[Any, Any, None]]) -> bool:
    """Whether ``call`` came to its end before it was cancelled."""
    if scope == "anyio":
        with anyio.move_on_after(patience) as cancelling:
            await call()
        return not cancelling.cancelled_caught
    try:
        if scope == "wait_for":
            await asyncio.wait_for(call(), patience)
        else:
            async with asyncio.timeout(patience):
                await call()
    except TimeoutError:
        return False
    return True


@pytest.mark.rows(2)
@pytest.mark.parametrize("kind", [RedisQueue, RedisPriorityQueue])
@pytest.mark.parametrize("scope", ["timeout", "anyio", "wait_for"])
async def test_random_cancellations_while_producers_run(redis: Redis, scope: str, kind: Callable[..., Any]) -> None:
    """A thousand callers that give up at random moments, and others that do not: each item once, in order."""
    chance = random.Random(20261126)
    queue = kind(redis, "queue", int)
    seen: list[Any] = []
    given_up = 0

    def item(n: int) -> Any:
        return (n, 1) if kind is RedisPriorityQueue else n

    async def take() -> None:
        seen.append(await queue.get())

    async def consume() -> None:
        nonlocal given_up
        while given_up < 1000:
            gave_up = not await within(chance.uniform(0, 0.004), scope, take)
            given_up += gave_up

    async def produce() -> int:
        n = 0
        while given_up < 1000:
            await queue.put_many([item(n), item(n + 1)])
            await queue.put(item(n + 2))
            n += 3
            await asyncio.sleep(0.001)
        return n

    producing = asyncio.create_task(produce())
    await asyncio.gather(*(consume() for _ in range(20)))
    total = await producing
    await until(no_task_left, True)
    seen += await queue.get_many(10_000)

    assert seen == [item(n) for n in range(total)]  # one process, one line: not even the order is disturbed


@pytest.mark.parametrize("scope", ["timeout", "anyio"])
async def test_random_cancellations_of_puts_and_gets(redis: Redis, server: Server, scope: str) -> None:
    """Into a small queue: what a put returned for is seen once, what it gave up at most once; never too full."""
    chance = random.Random(20261127)
    client = connect(server.url)
    full, queue = numbers(redis, maxsize=3), numbers(client)
    seen: list[int] = []
    put: list[int] = []
    given_up = 0

    async def produce(producer: int) -> None:
        nonlocal given_up
        for number in itertools.count(producer * 10**6):
            if given_up >= 300:
                return

            async def offer(number: int = number) -> None:
                assert await full.put(number) <= 3
                put.append(number)

            gave_up = not await within(chance.uniform(0, 0.01), scope, offer)
            given_up += gave_up

    async def take() -> None:
        seen.append(await queue.get())

    async def consume() -> None:
        while given_up < 300:
            await within(chance.uniform(0, 0.01), scope, take)
            await asyncio.sleep(chance.uniform(0, 0.002))

    await asyncio.gather(*(produce(producer) for producer in range(10)), consume())
    await until(no_task_left, True)
    seen += await queue.get_many(100)

    assert len({*seen}) == len(seen)
    assert {*put} <= {*seen}
    for producer in range(10):
        mine = [n for n in seen if n // 10**6 == producer]
        assert mine == sorted(mine)


# --- what cannot be read ------------------------------------------------------------------------


@pytest.mark.parametrize("hidden", [False, True])
@pytest.mark.parametrize("kind", [RedisQueue, RedisLifoQueue, RedisPriorityQueue])
async def test_a_worker_can_skip_what_it_cannot_read(
    redis: Redis, kind: Callable[..., Any], hidden: bool, caplog: pytest.LogCaptureFixture
) -> None:
    """Each such item is one ERROR with the key and the bytes; the loop goes on with the next, and loses none."""
    queue, text = kind(redis, "queue", int), kind(redis, "queue", str)
    items: list[Any] = [1, "a secret", 2, "x" * 300 + "another one", 3]
    seen: list[int] = []
    for nth, item in enumerate(items):
        await text.put((str(item), nth) if kind is RedisPriorityQueue else str(item))
    hide_values(hidden)
    try:
        async with asyncio.timeout(20):
            async for found in queue.consume(on_error="skip"):
                seen.append(found[0] if kind is RedisPriorityQueue else found)
                if len(seen) == 3:
                    break
    finally:
        hide_values(False)

    assert seen == ([3, 2, 1] if kind is RedisLifoQueue else [1, 2, 3])
    assert [record.levelname for record in caplog.records] == ["ERROR"] * 2
    assert all("queue" in record.getMessage() for record in caplog.records)
    for secret in ("a secret", "another one"):
        assert (secret in caplog.text) is not hidden


async def test_a_worker_is_told_what_it_cannot_read_unless_it_skips(redis: Redis) -> None:
    """``consume`` without ``on_error`` is what ``async for`` over the queue is; another word is refused at once."""
    queue = numbers(redis)
    await send(redis, "LPUSH", "queue", "x", "1")

    with pytest.raises(DecodeError, match="queue"):
        await anext(aiter(queue.consume()))

    assert await anext(aiter(queue.consume())) == 1
    with pytest.raises(ValueError, match="on_error= must be"):
        queue.consume(on_error="ignore")  # type: ignore[arg-type] # pyright: ignore[reportArgumentType]
