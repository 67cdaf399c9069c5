"""Rows of the other structures: sets, sorted sets, key spaces, queues.

The by-hand side is the careful code that a service would have: one command for each call, SCAN with COUNT 500 and MGET
or UNLINK of a page, BRPOP and BZPOPMIN with a connection for each consumer.
"""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Iterator
from itertools import count
from typing import Any, TypeVar

from benchmarks.bulk import timed
from benchmarks.calls import NAMES, PLANTS, TARGETS
from benchmarks.data import Arena, Plant, plants_by_name, to_json, validate_json
from benchmarks.measure import Row, Sample, Stopwatch, TimedRow, Trial, spread
from purse import TTL, RedisKeySpace, RedisPriorityQueue, RedisQueue, RedisSet, RedisSortedSet

__all__ = ["structure_rows"]

T = TypeVar("T")

TASKS = 100
CONSUMERS = 10


def structure_rows(arena: Arena, calls: int, items: int) -> Iterator[Row]:
    """The rows of this module: of ``calls`` calls, of ``items`` entries, and of half as many queued items as calls."""
    yield set_add_and_contains(arena, calls)
    yield sorted_set_add_and_top_ten(arena, calls)
    yield key_space_set_and_get(arena, calls)
    yield key_space_iteration(arena, items)
    yield key_space_clear(arena, items)
    yield queue(arena, calls // 2)
    yield priority_queue(arena, calls // 2)


def set_add_and_contains(arena: Arena, calls: int) -> Row:
    """Add a member, and ask for one."""
    plants = RedisSet(arena.purse, arena.key("set by purse"), Plant)
    client, key = _untyped(arena), arena.key("set by hand")

    async def by_purse(nth: int) -> bool:
        await plants.add(_plant(nth))
        return await plants.contains(_plant(nth + 1))

    async def by_hand(nth: int) -> bool:
        await client.sadd(key, to_json(_plant(nth)))
        return bool(await client.sismember(key, to_json(_plant(nth + 1))))

    def trial(rkey: str, call: Callable[[int], Awaitable[bool]]) -> Trial:
        async def run() -> Sample:
            await client.unlink(rkey)
            watch = Stopwatch()
            await spread(call, [(nth,) for nth in range(calls)], TASKS, watch)
            members = await client.smembers(rkey)
            assert sorted(validate_json(raw).name for raw in members) == sorted(NAMES[:calls])
            return watch.sample

        return run

    name = f"set add and contains, {TASKS} tasks"
    return TimedRow(name, 2 * calls, TARGETS[TASKS], trial(plants.rkey, by_purse), trial(key, by_hand))


def sorted_set_add_and_top_ten(arena: Arena, calls: int) -> Row:
    """Set a member's score, and read the ten best."""
    ranking = RedisSortedSet(arena.purse, arena.key("ranking by purse"), str)
    client, key = _untyped(arena), arena.key("ranking by hand")

    async def by_purse(nth: int) -> list[tuple[str, float]]:
        await ranking.add((NAMES[nth % len(NAMES)], nth))
        return await ranking.slice_by_rank(0, 9, descending=True)

    async def by_hand(nth: int) -> list[tuple[str, float]]:
        await client.zadd(key, {NAMES[nth % len(NAMES)]: nth})
        best = await client.zrange(key, 0, 9, desc=True, withscores=True)
        return [(name.decode(), score) for name, score in best]

    def trial(rkey: str, call: Callable[[int], Awaitable[list[tuple[str, float]]]]) -> Trial:
        async def run() -> Sample:
            await client.unlink(rkey)
            watch = Stopwatch()
            tops = await spread(call, [(nth,) for nth in range(calls)], TASKS, watch)
            assert all(len(top) <= 10 and top == sorted(top, key=lambda pair: -pair[1]) for top in tops)
            assert max(tops[-1], key=lambda pair: pair[1])[1] >= calls - TASKS
            return watch.sample

        return run

    name = f"sorted set add and top ten, {TASKS} tasks"
    return TimedRow(name, 2 * calls, 1.0, trial(ranking.rkey, by_purse), trial(key, by_hand))


def key_space_set_and_get(arena: Arena, calls: int) -> Row:
    """Store an entry that expires, and read it."""
    space = RedisKeySpace(arena.purse, arena.prefix_of("entries by purse"), Plant, ttl=TTL(hours=1))
    client, prefix = _untyped(arena), arena.prefix_of("entries by hand")

    async def by_purse(nth: int) -> Plant | None:
        await space.set(NAMES[nth % len(NAMES)], _plant(nth))
        return await space.get(NAMES[nth % len(NAMES)])

    async def by_hand(nth: int) -> Plant | None:
        await client.set(prefix + NAMES[nth % len(NAMES)], to_json(_plant(nth)), px=3_600_000)
        raw = await client.get(prefix + NAMES[nth % len(NAMES)])
        return None if raw is None else validate_json(raw)

    def trial(prefix: str, call: Callable[[int], Awaitable[Plant | None]]) -> Trial:
        async def run() -> Sample:
            watch = Stopwatch()
            found = await spread(call, [(nth,) for nth in range(calls)], TASKS, watch)
            assert found == [_plant(nth) for nth in range(calls)]
            assert await client.ttl(prefix + NAMES[0]) > 3000
            return watch.sample

        return run

    name = f"key space set and get with a TTL, {TASKS} tasks"
    return TimedRow(name, 2 * calls, TARGETS[TASKS], trial(space.prefix, by_purse), trial(prefix, by_hand))


def key_space_iteration(arena: Arena, items: int) -> Row:
    """Read all entries into a dict."""
    plants = plants_by_name(items)
    prefix = arena.prefix_of("iterated")
    space = RedisKeySpace(arena.purse, prefix, Plant)
    client = _untyped(arena)

    async def by_purse() -> dict[str, Plant]:
        return {key: plant async for key, plant in space}

    async def by_hand() -> dict[str, Plant]:
        found: dict[str, Plant] = {}
        cursor = -1
        while cursor:
            cursor, keys = await client.scan(max(cursor, 0), match=f"{prefix}*", count=500)
            if keys:
                raws = await client.mget(keys)
                for key, raw in zip(keys, raws, strict=True):
                    if raw is not None:
                        found[key.decode()[len(prefix) :]] = validate_json(raw)
        return found

    def trial(read: Callable[[], Awaitable[dict[str, Plant]]]) -> Trial:
        async def run() -> Sample:
            sample, found = await timed(read)
            assert found == plants
            return sample

        return run

    async def load() -> None:
        await space.clear()
        await client.mset({prefix + name: to_json(plant) for name, plant in plants.items()})

    return TimedRow(f"iterate a key space of {items:,}", items, 1.0, trial(by_purse), trial(by_hand), load)


def key_space_clear(arena: Arena, items: int) -> Row:
    """Delete all entries."""
    plants = {name: to_json(plant) for name, plant in plants_by_name(items).items()}
    prefix = arena.prefix_of("cleared")
    space = RedisKeySpace(arena.purse, prefix, Plant)
    client = _untyped(arena)

    async def by_hand() -> int:
        deleted, cursor = 0, -1
        while cursor:
            cursor, keys = await client.scan(max(cursor, 0), match=f"{prefix}*", count=500)
            if keys:
                deleted += await client.unlink(*keys)
        return deleted

    def trial(clear: Callable[[], Awaitable[int]]) -> Trial:
        async def run() -> Sample:
            await client.mset({prefix + name: raw for name, raw in plants.items()})
            sample, deleted = await timed(clear)
            assert deleted == items
            return sample

        return run

    return TimedRow(f"clear a key space of {items:,}", items, 1.0, trial(space.clear), trial(by_hand))


def queue(arena: Arena, items: int) -> Row:
    """Items through a queue, from one producer to ten consumers that wait for them."""
    tasks = RedisQueue(arena.purse, arena.key("queue by purse"), Plant)
    client, key = _untyped(arena), arena.key("queue by hand")

    async def put(nth: int) -> object:
        return await client.lpush(key, to_json(_plant(nth)))

    async def get() -> Plant:
        plant: Plant = validate_json((await client.brpop([key], timeout=0))[1])
        return plant

    ours = _through(items, lambda nth: tasks.put(_plant(nth)), tasks.get)
    name = f"{items:,} items through a queue"
    return TimedRow(name, items, 1.0, ours, _through(items, put, get))


def priority_queue(arena: Arena, items: int) -> Row:
    """The same through a priority queue."""
    tasks = RedisPriorityQueue(arena.purse, arena.key("priority queue by purse"), Plant)
    client, key = _untyped(arena), arena.key("priority queue by hand")
    number = count()

    async def put(nth: int) -> object:
        return await client.zadd(key, {b"%036d" % next(number) + to_json(_plant(nth)): nth % 3})

    async def get() -> Plant:
        plant: Plant = validate_json((await client.bzpopmin([key], timeout=0))[1][36:])
        return plant

    async def ours() -> Plant:
        plant, _ = await tasks.get()
        return plant

    name = f"{items:,} items through a priority queue"
    return TimedRow(
        name,
        items,
        1.0,
        _through(items, lambda nth: tasks.put((_plant(nth), nth % 3)), ours),
        _through(items, put, get),
    )


def _through(items: int, put: Callable[[int], Awaitable[object]], get: Callable[[], Awaitable[Plant]]) -> Trial:
    async def run() -> Sample:
        got: list[Plant] = []

        async def consume(share: int) -> None:
            for _ in range(share):
                got.append(await get())

        async def produce() -> None:
            for first in range(0, items, TASKS):
                await asyncio.gather(*(put(nth) for nth in range(first, min(first + TASKS, items))))

        watch = Stopwatch()
        shares = [len(range(nth, items, CONSUMERS)) for nth in range(CONSUMERS)]
        with watch:
            await asyncio.gather(produce(), *map(consume, shares))
        assert sorted(plant.name for plant in got) == sorted(_plant(nth).name for nth in range(items))
        return watch.sample

    return run


def _untyped(arena: Arena) -> Any:
    """The hand-written side's client. redis-py leaves much of what is called here untyped, or types it too widely."""
    return arena.hand


def _plant(nth: int) -> Plant:
    return PLANTS[NAMES[nth % len(NAMES)]]
