"""RedisSet under many callers, on a wire that breaks, and with callers that go away."""

from __future__ import annotations

import asyncio
import random
from collections.abc import AsyncIterator, Awaitable, Callable
from typing import Any, TypeAlias

import pytest
from redis.asyncio import Redis
from redis.exceptions import ConnectionError

from purse import statistics
from purse.collections.set import RedisSet
from purse.embedded import Server
from purse.ttl import TTL
from tests.collections.test_concurrency import beside
from tests.support.clients import connect
from tests.support.linearizable import History, PutBack, Recorded
from tests.support.polling import until
from tests.support.proxy import Proxy

Ints: TypeAlias = RedisSet[int]


@pytest.fixture
async def clients(redis: Redis, server: Server) -> AsyncIterator[list[Redis]]:
    """Four clients, each with a connection of its own."""
    clients = [connect(server.url) for _ in range(4)]
    yield clients
    await asyncio.gather(*(client.aclose() for client in clients))


# --- many callers -------------------------------------------------------------------------------


async def test_a_member_is_new_for_one_caller(clients: list[Redis]) -> None:
    """Of 50 concurrent callers that add one member exactly one is told that it is new; so it is for ``discard``."""
    sets = [RedisSet(client, "tags", str) for client in clients]

    added = await asyncio.gather(*(sets[i % 4].add("a") for i in range(50)))
    discarded = await asyncio.gather(*(sets[i % 4].discard("a") for i in range(50)))

    assert sum(added) == 1
    assert discarded.count(True) == 1


async def test_a_member_is_popped_once(clients: list[Redis]) -> None:
    """Of 200 concurrent pops, of one and of several, each of 80 members goes to exactly one caller."""
    sets = [RedisSet(client, "numbers", int) for client in clients]
    await sets[0].update(*range(80))

    async def pop(s: Ints, count: int) -> list[int]:
        if count > 1:
            return await s.pop(count)
        try:
            return [await s.pop()]
        except KeyError:
            return []

    popped = await asyncio.gather(*(pop(sets[i % 4], i % 3) for i in range(200)))

    assert sorted(number for numbers in popped for number in numbers) == [*range(80)]


async def test_a_member_moves_once(clients: list[Redis]) -> None:
    """Of 50 concurrent callers that move one member to different sets exactly one does."""
    sets = [RedisSet(client, "tags", str) for client in clients]
    await sets[0].add("a")

    moved = await asyncio.gather(
        *(sets[i % 4].move(RedisSet(clients[i % 4], f"target {i % 7}", str), "a") for i in range(50))
    )

    assert moved.count(True) == 1
    assert sum([await RedisSet(clients[0], f"target {i}", str).len() for i in range(7)]) == 1


async def test_an_update_is_seen_all_at_once(clients: list[Redis]) -> None:
    """A reader beside updates and removals of 1200 members sees all of them or none."""
    writer, reader = (RedisSet(client, "numbers", int) for client in clients[:2])

    async def write() -> None:
        for _ in range(10):
            await writer.update(*range(1200))
            await writer.remove(*range(1200))

    async def watch() -> None:
        assert len(await reader.members()) in (0, 1200)
        assert {*await reader.contains_many(range(0, 1200, 100))} in ({True}, {False})
        assert await reader.len() in (0, 1200)

    assert await beside(write(), watch) > 1


async def test_a_moving_member_is_always_in_one_set(clients: list[Redis]) -> None:
    """While members move between two sets, a union at one moment has each of them, an intersection none."""
    here, there = (RedisSet(clients[0], key, int) for key in ("here", "there"))
    this, that = (RedisSet(clients[1], key, int) for key in ("here", "there"))
    await here.update(*range(10))

    async def circle(number: int) -> None:
        for _ in range(30):
            await here.move(there, number)
            await there.move(here, number)

    async def watch() -> None:
        assert sorted(await this.union(that)) == [*range(10)]
        assert await this.intersection(that) == []

    assert await beside(asyncio.gather(*map(circle, range(10))), watch) > 10


async def test_updates_in_place_lose_nothing(clients: list[Redis]) -> None:
    """Members that others add beside ``union_update`` and ``difference_update`` in a loop are all there afterwards."""
    sets = [RedisSet(client, "numbers", int) for client in clients]
    more, less = RedisSet(clients[0], "more", int), RedisSet(clients[0], "less", int)
    await more.update(*range(1000, 1100))
    await less.update(*range(2000, 2100))

    async def add(s: Ints, start: int) -> None:
        for number in range(start, start + 100):
            await s.add(number)

    async def watch() -> None:
        await sets[0].union_update(more)
        await sets[0].difference_update(less)

    assert await beside(asyncio.gather(*(add(s, 100 * i) for i, s in enumerate(sets[1:]))), watch) > 5
    assert sorted(await sets[0].members()) == [*range(300), *range(1000, 1100)]


async def test_a_store_replaces_all_at_once(clients: list[Redis]) -> None:
    """A destination that is replaced again and again never shows a mixture, and is never missing."""
    low, high, target = (RedisSet(clients[0], key, int) for key in ("low", "high", "target"))
    reader = RedisSet(clients[1], "target", int)
    await low.update(*range(600))
    await high.update(*range(600, 1200))
    await low.union_store(target)

    async def write() -> None:
        for _ in range(20):
            await high.union_store(target)
            await low.difference_store(target, high)

    async def watch() -> None:
        assert sorted(await reader.members()) in ([*range(600)], [*range(600, 1200)])

    assert await beside(write(), watch) > 1


async def test_scripts_survive_a_flush_at_any_moment(clients: list[Redis]) -> None:
    """With SCRIPT FLUSH in a loop beside them, calls that run a script do their work exactly once."""
    numbers, target = RedisSet(clients[0], "numbers", int), RedisSet(clients[0], "target", int, ttl=TTL(hours=1))

    async def work() -> None:
        for n in range(40):
            added, size, within = await asyncio.gather(
                numbers.add(n), numbers.union_store(target), target.is_subset(numbers)
            )
            assert (added, within) == (1, True)
            assert size in (n, n + 1)

    async def flush() -> None:
        await clients[1].script_flush()

    assert await beside(work(), flush) > 10


async def test_many_calls_at_once(redis: Redis) -> None:
    """Thousands of concurrent calls are each answered with their own value."""
    numbers = RedisSet(redis, "numbers", int)
    await numbers.update(*range(0, 4000, 2))

    found = await asyncio.gather(*(numbers.contains(n) for n in range(4000)))

    assert found == [n % 2 == 0 for n in range(4000)]


# --- a wire that breaks -------------------------------------------------------------------------

NUMBERS, OTHER = {1, 2, 3}, {3, 4}
State: TypeAlias = tuple[set[int], set[int]]
WRITES: dict[str, tuple[Callable[[Ints, Ints], Awaitable[object]], State]] = {
    "add": (lambda s, t: s.add(7), ({1, 2, 3, 7}, OTHER)),
    "update": (lambda s, t: s.update(7, 8), ({1, 2, 3, 7, 8}, OTHER)),
    "remove": (lambda s, t: s.remove(1, 2), ({3}, OTHER)),
    "discard": (lambda s, t: s.discard(1), ({2, 3}, OTHER)),
    "pop": (lambda s, t: s.pop(3), (set(), OTHER)),
    "move": (lambda s, t: s.move(t, 1), ({2, 3}, {1, 3, 4})),
    "union_update": (lambda s, t: s.union_update(t), ({1, 2, 3, 4}, OTHER)),
    "difference_store": (lambda s, t: s.difference_store(t, t), (NUMBERS, {1, 2})),
}
every_write = pytest.mark.parametrize(("write", "after"), WRITES.values(), ids=WRITES.keys())


async def stored(redis: Redis) -> State:
    """What is stored, read past the proxy."""
    return {*await RedisSet(redis, "numbers", int).members()}, {*await RedisSet(redis, "other", int).members()}


async def refill(redis: Redis) -> None:
    await redis.delete("numbers", "other")
    await redis.sadd("numbers", *map(str, NUMBERS))
    await redis.sadd("other", *map(str, OTHER))


@pytest.mark.engines("shared")
@every_write
async def test_a_swallowed_reply_is_an_error_and_one_effect(
    redis: Redis, proxy: Proxy, write: Callable[[Ints, Ints], Awaitable[object]], after: State
) -> None:
    """The server executed the write and its reply vanished: the caller is told, and it happened exactly once."""
    client = connect(proxy.url)
    numbers, other = RedisSet(client, "numbers", int), RedisSet(client, "other", int)
    await numbers.union_store(RedisSet(client, "warm", int))  # a NOSCRIPT reply would be swallowed, too
    await refill(redis)
    proxy.cut_after(0)

    with pytest.raises(ConnectionError, match="not sent again"):
        await write(numbers, other)

    assert await stored(redis) == after


@pytest.mark.parametrize("method", ["members", "random", "union", "is_subset"])
async def test_a_read_is_sent_again(redis: Redis, proxy: Proxy, method: str) -> None:
    """A read whose reply was cut is sent again, scripts too, and returns the right answer."""
    client = connect(proxy.url)
    numbers, other = RedisSet(client, "numbers", int), RedisSet(client, "other", int)
    await refill(redis)
    calls: dict[str, tuple[Callable[[], Awaitable[object]], list[object]]] = {
        "members": (lambda: _sorted(numbers.members()), [[1, 2, 3]]),
        "random": (numbers.random, [1, 2, 3]),
        "union": (lambda: _sorted(numbers.union(other)), [[1, 2, 3, 4]]),
        "is_subset": (lambda: other.is_subset(numbers), [False]),
    }
    call, expected = calls[method]
    assert await call() in expected

    for cut in range(3):
        proxy.cut_after(cut)
        assert await call() in expected
        proxy.heal()


# --- recorded histories -------------------------------------------------------------------------

Members: TypeAlias = frozenset[int]
Both: TypeAlias = tuple[Members, Members]


async def _sorted(call: Awaitable[list[int]]) -> list[int]:
    return sorted(await call)


def one_call(s: Ints, t: Ints, chance: random.Random) -> Recorded:
    """One call on two sets, and its model. (``pop`` takes all, because a model has no choice.)"""
    n = chance.randrange(4)
    one = frozenset({n})

    def back(b: Both, popped: Any) -> Both:
        return b[0] | frozenset(popped), b[1]

    match chance.randrange(12):
        case 0 | 1:
            return f"add {n}", s.add(n), lambda b: ((b[0] | one, b[1]), int(n not in b[0]))
        case 2:
            return f"add {n} to other", t.add(n), lambda b: ((b[0], b[1] | one), int(n not in b[1]))
        case 3:
            return f"discard {n}", s.discard(n), lambda b: ((b[0] - one, b[1]), n in b[0])
        case 4:
            return f"contains {n}", s.contains(n), lambda b: (b, n in b[0])
        case 5:
            return "pop all", _sorted(s.pop(9)), lambda b: ((frozenset(), b[1]), sorted(b[0])), PutBack(back)
        case 6:
            return "move", s.move(t, n), lambda b: ((b[0] - one, b[1] | one), True) if n in b[0] else (b, False)
        case 7:
            return "union_update", s.union_update(t), lambda b: ((b[0] | b[1], b[1]), None)
        case 8:
            return "difference_update", s.difference_update(t), lambda b: ((b[0] - b[1], b[1]), None)
        case 9:
            return "union_store", s.union_store(t, t), lambda b: ((b[0], b[0] | b[1]), len(b[0] | b[1]))
        case 10:
            return "is_subset", s.is_subset(t), lambda b: (b, b[0] <= b[1])
        case _:
            return "intersection", _sorted(s.intersection(t)), lambda b: (b, sorted(b[0] & b[1]))


async def test_every_history_has_an_explanation(proxy: Proxy, redis: Redis) -> None:
    """Three clients use two sets while calls are cancelled and the wire is cut: some order explains each history."""
    clients = [connect(proxy.url) for _ in range(3)]

    async def call(client: Redis, seed: int, chance: random.Random, history: History[Both]) -> None:
        for _ in range(5):
            s, t = RedisSet(client, f"s{seed}", int), RedisSet(client, f"t{seed}", int)
            await history.record(*one_call(s, t, chance))

    for seed in range(80):
        chance = random.Random(seed)
        history: History[Both] = History()
        tasks = [asyncio.create_task(call(client, seed, chance, history)) for client in clients]
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

        assert history.explained_from((frozenset(), frozenset())), f"seed {seed}:\n{history}"
    for client in clients:
        await client.aclose()


# --- cancellation -------------------------------------------------------------------------------


async def test_rounds_of_cancellation(redis: Redis) -> None:
    """Of pops some of which are cancelled no member reaches two callers, and only those lose one; no task is left."""
    chance = random.Random(7)
    numbers = RedisSet(redis, "numbers", int)
    await numbers.len()
    before = asyncio.all_tasks()

    for _ in range(40):
        await numbers.update(*range(40))
        calls = [asyncio.create_task(numbers.pop()) for _ in range(30)]
        for _ in range(chance.randrange(4)):
            await asyncio.sleep(0)
        for call in chance.sample(calls, 8):
            call.cancel()
        outcomes = await asyncio.gather(*calls, return_exceptions=True)

        popped = [outcome for outcome in outcomes if isinstance(outcome, int)]
        cancelled = [outcome for outcome in outcomes if isinstance(outcome, asyncio.CancelledError)]
        left = await numbers.members()
        assert len(popped) + len(cancelled) == 30
        assert len({*popped, *left}) == len(popped) + len(left)
        assert 40 - len(cancelled) <= len(popped) + len(left) <= 40

    async def settled() -> bool:
        return asyncio.all_tasks() <= before

    await until(settled, True)
    assert statistics(redis).waiting == 0
