"""Rows of single calls: get and set of a hash, append of a list, by 1 to 1000 concurrent tasks.

The by-hand side is written as a service would have it: one small function that encodes or decodes and
awaits one command of the shared client.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Iterator
from contextlib import AbstractContextManager
from itertools import cycle, islice
from typing import TypeAlias, cast

from benchmarks.data import Arena, Plant, plants_by_name, to_json, validate_json
from benchmarks.measure import Row, Sample, Stopwatch, TimedRow, Trial, spread
from purse import RedisHash, RedisList

__all__ = ["NAMES", "PLANTS", "TARGETS", "Get", "call_rows", "get_each"]

TARGETS = {1: 1.2, 10: 4.0, 100: 10.0, 1000: 8.0}
"""The ratio to reach, by the number of concurrent tasks."""

PLANTS = plants_by_name(100)
NAMES = [*PLANTS]

Get: TypeAlias = Callable[[str], Awaitable[Plant | None]]


def call_rows(arena: Arena, calls: int) -> Iterator[Row]:
    """The rows of this module, of ``calls`` calls in each trial."""
    for tasks, target in TARGETS.items():
        yield hash_get(arena, calls, tasks, target)
    for tasks, target in TARGETS.items():
        yield hash_set(arena, calls, tasks, target)
    for tasks, target in TARGETS.items():
        yield list_append(arena, calls, tasks, target)


def hash_get(arena: Arena, calls: int, tasks: int, target: float) -> Row:
    """Read and decode one field."""
    key = arena.key("get")
    plants = RedisHash(arena.purse, key, Plant)
    client = arena.hand

    async def load() -> None:
        await client.hset(key, mapping={name: to_json(plant) for name, plant in PLANTS.items()})

    async def get_plant(name: str) -> Plant | None:
        raw = await client.hget(key, name)
        return None if raw is None else validate_json(raw)

    def trial(get: Get) -> Trial:
        async def run() -> Sample:
            watch = Stopwatch()
            await get_each(get, calls, tasks, watch)
            return watch.sample

        return run

    return TimedRow(_named("hash get", tasks), calls, target, trial(plants.get), trial(get_plant), load)


def hash_set(arena: Arena, calls: int, tasks: int, target: float) -> Row:
    """Encode and store one field."""
    plants = RedisHash(arena.purse, arena.key("set by purse"), Plant)
    client = arena.hand
    key = arena.key("set by hand")

    async def set_plant(name: str, plant: Plant) -> int:
        return await client.hset(key, name, to_json(plant))

    def trial(rkey: str, store: Callable[[str, Plant], Awaitable[int]]) -> Trial:
        async def run() -> Sample:
            await client.unlink(rkey)
            watch = Stopwatch()
            new = await spread(store, [(name, PLANTS[name]) for name in _names(calls)], tasks, watch)
            stored = cast("dict[bytes, bytes]", await client.hgetall(rkey))
            written = min(calls, len(NAMES))
            assert sum(new) == written
            assert {name.decode(): validate_json(raw) for name, raw in stored.items()} == {
                name: PLANTS[name] for name in NAMES[:written]
            }
            return watch.sample

        return run

    return TimedRow(_named("hash set", tasks), calls, target, trial(plants.rkey, plants.set), trial(key, set_plant))


def list_append(arena: Arena, calls: int, tasks: int, target: float) -> Row:
    """Encode and push one element."""
    log = RedisList(arena.purse, arena.key("append by purse"), Plant)
    client = arena.hand
    key = arena.key("append by hand")

    async def append_plant(plant: Plant) -> int:
        return await client.rpush(key, to_json(plant))

    def trial(rkey: str, append: Callable[[Plant], Awaitable[int]]) -> Trial:
        async def run() -> Sample:
            await client.unlink(rkey)
            given = [PLANTS[name] for name in _names(calls)]
            watch = Stopwatch()
            lengths = await spread(append, [(plant,) for plant in given], tasks, watch)
            stored = [validate_json(raw) for raw in await client.lrange(rkey, 0, -1)]
            # Each call returned the length, so it also says where its plant must be.
            assert sorted(lengths) == [*range(1, calls + 1)]
            assert [stored[length - 1] for length in lengths] == given
            return watch.sample

        return run

    return TimedRow(_named("list append", tasks), calls, target, trial(log.rkey, log.append), trial(key, append_plant))


async def get_each(get: Get, calls: int, tasks: int, watch: AbstractContextManager[object]) -> None:
    """Read ``PLANTS``, which must be stored, with ``calls`` calls of ``get`` inside ``watch``, and compare them."""
    names = _names(calls)
    found = await spread(get, [(name,) for name in names], tasks, watch)
    assert found == [PLANTS[name] for name in names]


def _names(calls: int) -> list[str]:
    return [*islice(cycle(NAMES), calls)]


def _named(call: str, tasks: int) -> str:
    return f"{call}, {tasks} task{'s' if tasks > 1 else ''}"
