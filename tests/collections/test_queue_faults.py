"""Queues under concurrent callers and on a wire that breaks: each item once or, if a reply is lost, at most once."""

from __future__ import annotations

import asyncio
import random
from bisect import bisect_left, bisect_right
from collections.abc import AsyncIterator, Callable, Coroutine
from typing import Any, TypeAlias

import pytest
from redis.asyncio import Redis
from redis.exceptions import ConnectionError, TimeoutError

from purse._engine.scripts import load_script
from purse.collections._queue_base import BaseQueue
from purse.collections.priority_queue import RedisPriorityQueue
from purse.collections.queue import RedisLifoQueue, RedisQueue
from purse.embedded import Server
from tests.support.clients import connect
from tests.support.linearizable import History, PutBack, Recorded, Step
from tests.support.proxy import Proxy

AnyQueue: TypeAlias = BaseQueue[Any, Any]
Make: TypeAlias = Callable[..., AnyQueue]
Items: TypeAlias = tuple[Any, ...]

KINDS: dict[str, Make] = {"queue": RedisQueue, "stack": RedisLifoQueue, "priority queue": RedisPriorityQueue}
every_kind = pytest.mark.parametrize("name", KINDS)


def item_of(name: str, number: int, priority: int = 0) -> Any:
    """A number as an item of such a queue."""
    return (number, priority) if name == "priority queue" else number


# --- concurrent callers -------------------------------------------------------------------------


@every_kind
async def test_fifty_takers(redis: Redis, server: Server, name: str) -> None:
    """Of fifty callers of five clients that take in four ways each gets other items, and none is lost."""
    clients = [connect(server.url) for _ in range(5)]
    queues = [KINDS[name](client, "queue", int) for client in clients]
    items = [item_of(name, n) for n in range(100)]
    await queues[0].put_many(items)

    async def take(nth: int) -> list[Any]:
        queue = queues[nth % 5]
        match nth % 4:
            case 0:
                return [await queue.get()]
            case 1:
                return [await queue.get_nowait()]
            case 2:
                return await queue.get_many(3)
            case _:
                return [await anext(queue)]

    taken = await asyncio.gather(*(take(nth) for nth in range(50)))

    rest = await queues[0].get_many(100)
    assert sorted(item for some in [*taken, rest] for item in some) == items
    for client in clients:
        await client.aclose()


@every_kind
async def test_fifty_putters_into_a_small_queue(redis: Redis, server: Server, name: str) -> None:
    """Of fifty concurrent puts as many succeed as there is room for; the others raise and have put nothing."""
    clients = [connect(server.url) for _ in range(5)]
    queues = [KINDS[name](client, "queue", int, maxsize=7) for client in clients]

    outcomes = await asyncio.gather(
        *(queues[n % 5].put_nowait(item_of(name, n)) for n in range(50)), return_exceptions=True
    )

    put = [item_of(name, n) for n, outcome in enumerate(outcomes) if not isinstance(outcome, BaseException)]
    assert len(put) == 7
    assert all(isinstance(outcome, int | asyncio.QueueFull) for outcome in outcomes)
    assert sorted(await queues[0].get_many(50)) == put
    for client in clients:
        await client.aclose()


async def test_items_put_together_are_taken_together(redis: Redis, server: Server) -> None:
    """While batches are put, whoever takes a batch never sees the half of one."""
    client = connect(server.url)
    queue, other = RedisQueue(redis, "queue", int), RedisQueue(client, "queue", int)
    seen: list[list[int]] = []

    async def take() -> None:
        while sum(map(len, seen)) < 1800:
            seen.append(await other.get_many(600))

    taking = asyncio.create_task(take())
    for start in (0, 600, 1200):
        await queue.put_many(range(start, start + 600))
    await taking

    assert [batch for batch in seen if batch] == [[*range(start, start + 600)] for start in (0, 600, 1200)]


# --- lost replies -------------------------------------------------------------------------------

CALLS: dict[str, tuple[Callable[[AnyQueue, str], Coroutine[Any, Any, object]], list[int]]] = {
    "put": (lambda q, name: q.put(item_of(name, 9)), [1, 2, 3, 9]),
    "put_nowait": (lambda q, name: q.put_nowait(item_of(name, 9)), [1, 2, 3, 9]),
    "put_many": (lambda q, name: q.put_many([item_of(name, 8), item_of(name, 9)]), [1, 2, 3, 8, 9]),
    "get": (lambda q, name: q.get(), [2, 3]),
    "get_nowait": (lambda q, name: q.get_nowait(), [2, 3]),
    "get_many": (lambda q, name: q.get_many(2), [3]),
}
every_call = pytest.mark.parametrize(("call", "after"), CALLS.values(), ids=CALLS.keys())


@pytest.mark.rows(8)
@every_call
@pytest.mark.parametrize("name", ["queue", "priority queue"])
@pytest.mark.parametrize("maxsize", [0, 9])
async def test_a_swallowed_reply_is_an_error_and_one_effect(
    redis: Redis,
    proxy: Proxy,
    name: str,
    maxsize: int,
    call: Callable[[AnyQueue, str], Coroutine[Any, Any, object]],
    after: list[int],
) -> None:
    """The server executed the call and its reply vanished: the caller is told, and it happened exactly once."""
    client = connect(proxy.url)
    queue = KINDS[name](client, "queue", int, maxsize=maxsize)
    for script in ("queue_put", "priority_queue_put"):
        await redis.script_load(load_script(script).body.decode())
    await queue.put_many([item_of(name, n) for n in (1, 2, 3)])
    proxy.cut_after(0)

    with pytest.raises(ConnectionError, match="not sent again"):
        await call(queue, name)

    assert await queue.get_many(9) == [item_of(name, n) for n in after]


async def test_a_put_that_waits_is_put_once_on_a_wire_that_breaks(redis: Redis, proxy: Proxy) -> None:
    """Connections break while puts wait for room: whoever returns has put once, whoever raises at most once."""
    chance = random.Random(5)
    client = connect(proxy.url)
    queue = RedisQueue(client, "queue", int, maxsize=1)
    await queue.put(-1)

    async def put(n: int) -> bool:
        try:
            await queue.put(n)
        except (ConnectionError, TimeoutError):
            return False
        return True

    putting = [asyncio.create_task(put(n)) for n in range(15)]
    direct = RedisQueue(redis, "queue", int)
    seen: list[int] = []
    while not all(task.done() for task in putting):
        for _ in range(chance.randrange(20)):
            await asyncio.sleep(0)
        if not chance.randrange(3):
            proxy.drop()
        seen += await direct.get_many(1)
    seen += await direct.get_many(9)

    returned = {n for n, task in enumerate(putting) if await task}
    assert len(seen) == len({*seen})
    assert returned <= {*seen}


# --- histories ----------------------------------------------------------------------------------


@pytest.fixture
async def clients(proxy: Proxy, redis: Redis) -> AsyncIterator[list[Redis]]:
    """Clients with connections of their own, all through one proxy to an empty server."""
    clients = [connect(proxy.url) for _ in range(3)]
    yield clients
    for client in clients:
        await client.aclose()


async def outcome(call: Coroutine[Any, Any, object]) -> object:
    """What a call returns; that a queue is full or empty is an answer, too."""
    try:
        return await call
    except (asyncio.QueueEmpty, asyncio.QueueFull) as error:
        return type(error)


def a_call(name: str, queue: AnyQueue, chance: random.Random) -> Recorded:
    """One call on a queue for up to three items, and its model.

    ``get`` is not among them: an item that it took for somebody who is gone is for a moment nowhere.
    """
    item, other = (item_of(name, chance.randrange(100), chance.randrange(2)) for _ in range(2))
    first = -1 if name == "stack" else 0

    def put(*items: Any) -> Step[Items]:
        def step(state: Items) -> tuple[Items, object]:
            if len(state) + len(items) > 3:
                return state, asyncio.QueueFull
            after = [*state]
            for new in items:
                if name == "priority queue":
                    after.insert(bisect_right(after, new[1], key=lambda old: old[1]), new)
                else:
                    after.append(new)
            return tuple(after), len(items) if name == "priority queue" else len(after)

        return step

    def taken(state: Items) -> tuple[Items, object]:
        if not state:
            return state, asyncio.QueueEmpty
        return (state[:-1] if name == "stack" else state[1:]), state[first]

    def many_taken(state: Items) -> tuple[Items, object]:
        return (state[:-2], [*reversed(state[-2:])]) if name == "stack" else (state[2:], [*state[:2]])

    def back(state: Items, result: Any) -> Items:
        if result is asyncio.QueueEmpty:
            return state
        after = [*state]
        several: list[Any] = result if type(result) is list else [result]  # pyright: ignore[reportUnknownVariableType]
        for old in reversed(several):
            if name == "priority queue":
                after.insert(bisect_left(after, old[1], key=lambda other: other[1]), old)
            else:
                after.insert(len(after) if name == "stack" else 0, old)
        return tuple(after)

    match chance.randrange(6):
        case 0:
            return (
                f"put {item}",
                outcome(queue.put_nowait(item)),
                put(item),
            )
        case 1:
            return (
                f"put_many {item} {other}",
                outcome(queue.put_many_nowait([item, other])),
                put(item, other),
            )
        case 2:
            return "get_nowait", outcome(queue.get_nowait()), taken, PutBack(back)
        case 3:
            return "get_many", queue.get_many(2), many_taken, PutBack(back)
        case 4:
            return (
                "peek",
                outcome(queue.peek()),
                lambda s: (s, s[first] if s else asyncio.QueueEmpty),
            )
        case _:
            return "qsize", queue.qsize(), lambda s: (s, len(s))


@pytest.mark.rows(1)
@every_kind
async def test_every_history_has_an_explanation(proxy: Proxy, clients: list[Redis], name: str) -> None:
    """Three clients use one queue while calls are cancelled and the wire is cut: some order explains each history."""
    for seed in range(50):
        chance = random.Random(seed)
        history: History[Items] = History()

        async def call(client: Redis, key: str = f"q{seed}") -> None:
            queue = KINDS[name](client, key, int, maxsize=3)
            for _ in range(5):
                await history.record(*a_call(name, queue, chance))  # noqa: B023 - awaited in this very iteration

        tasks = [asyncio.create_task(call(client)) for client in clients]
        for _ in range(chance.randrange(12)):
            await asyncio.sleep(0)
        match chance.randrange(4):
            case 0:
                proxy.drop()
            case 1:
                proxy.cut_after(chance.randrange(60))
            case 2:
                chance.choice(tasks).cancel()
            case _:
                pass
        await asyncio.gather(*tasks, return_exceptions=True)
        proxy.heal()

        assert history.explained_from(()), f"seed {seed}:\n{history}"
