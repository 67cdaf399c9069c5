"""Rows of bulk work: many models written in one call, and whole collections read.

What is compared is not always the same promise. purse's bulk writes are one MULTI of 500 elements a command
and its iteration one page at a time, so that other calls get in between; one HSET of everything or one
HGETALL holds the server and the connection for as long as it takes.
"""

from __future__ import annotations

from collections.abc import AsyncIterator, Awaitable, Callable, Iterator
from typing import TypeVar, cast

from benchmarks.data import Arena, Plant, plants_by_name, to_json, validate_json
from benchmarks.measure import Row, Sample, Stopwatch, TimedRow, Trial
from purse import RedisHash, RedisList

__all__ = ["bulk_rows", "timed"]

T = TypeVar("T")


def bulk_rows(arena: Arena, items: int) -> Iterator[Row]:
    """The rows of this module, with ``items`` models each."""
    plants = plants_by_name(items)
    yield from hash_update(arena, plants)
    yield list_extend(arena, plants)
    yield from hash_iteration(arena, plants)
    yield list_iteration(arena, plants)


def hash_update(arena: Arena, plants: dict[str, Plant]) -> Iterator[Row]:
    """Store many fields: against one HSET, and against a pipeline of one HSET each."""
    update = RedisHash(arena.purse, arena.key("update by purse"), Plant)
    client = arena.hand
    key = arena.key("update by hand")

    async def one_hset() -> int:
        return await client.hset(key, mapping={name: to_json(plant) for name, plant in plants.items()})

    async def pipeline_of_hsets() -> int:
        async with client.pipeline(transaction=False) as pipe:
            for name, plant in plants.items():
                # A pipeline's methods queue; what they return is the pipeline.
                _ = pipe.hset(key, name, to_json(plant))
            return sum(cast("list[int]", await pipe.execute()))

    def trial(rkey: str, write: Callable[[], Awaitable[int]]) -> Trial:
        async def run() -> Sample:
            await client.unlink(rkey)
            sample, new = await timed(write)
            assert new == len(plants)
            stored = cast("dict[bytes, bytes]", await client.hgetall(rkey))
            assert {name.decode(): validate_json(raw) for name, raw in stored.items()} == plants
            return sample

        return run

    ours = trial(update.rkey, lambda: update.update(plants))
    name = f"hash update of {len(plants):,}, against"
    yield TimedRow(f"{name} one HSET", len(plants), 2.0, ours, trial(key, one_hset))
    yield TimedRow(f"{name} a pipeline", len(plants), 8.0, ours, trial(key, pipeline_of_hsets))


def list_extend(arena: Arena, plants: dict[str, Plant]) -> Row:
    """Push many elements, against one RPUSH."""
    log = RedisList(arena.purse, arena.key("extend by purse"), Plant)
    client = arena.hand
    key = arena.key("extend by hand")
    wanted = [*plants.values()]

    async def one_rpush() -> int:
        return await client.rpush(key, *map(to_json, wanted))

    def trial(rkey: str, write: Callable[[], Awaitable[int]]) -> Trial:
        async def run() -> Sample:
            await client.unlink(rkey)
            sample, length = await timed(write)
            assert length == len(wanted)
            assert [validate_json(raw) for raw in await client.lrange(rkey, 0, -1)] == wanted
            return sample

        return run

    ours = trial(log.rkey, lambda: log.extend(wanted))
    return TimedRow(f"list extend of {len(wanted):,}, against one RPUSH", len(wanted), 2.0, ours, trial(key, one_rpush))


def hash_iteration(arena: Arena, plants: dict[str, Plant]) -> Iterator[Row]:
    """Read a whole hash into a dict: against HGETALL, and against redis-py's own iterator as it comes."""
    key = arena.key("iterated hash")
    hashed = RedisHash(arena.purse, key, Plant)
    client = arena.hand

    async def load() -> None:
        await client.hset(key, mapping={name: to_json(plant) for name, plant in plants.items()})

    async def async_for() -> dict[str, Plant]:
        return {name: plant async for name, plant in hashed}

    async def hgetall() -> dict[str, Plant]:
        found = cast("dict[bytes, bytes]", await client.hgetall(key))
        return {name.decode(): validate_json(raw) for name, raw in found.items()}

    async def hscan_iter() -> dict[str, Plant]:
        # redis-py leaves the pairs untyped.
        pairs = cast("AsyncIterator[tuple[bytes, bytes]]", client.hscan_iter(key))  # pyright: ignore[reportUnknownMemberType]
        return {name.decode(): validate_json(raw) async for name, raw in pairs}

    name = f"iterate a hash of {len(plants):,}, against"
    ours = _reading(async_for, plants)
    yield TimedRow(f"{name} HGETALL", len(plants), 1.5, ours, _reading(hgetall, plants), load)
    yield TimedRow(f"{name} hscan_iter", len(plants), 8.0, ours, _reading(hscan_iter, plants), load)


def list_iteration(arena: Arena, plants: dict[str, Plant]) -> Row:
    """Read a whole list into a list, against LRANGE."""
    key = arena.key("iterated list")
    log = RedisList(arena.purse, key, Plant)
    client = arena.hand
    wanted = [*plants.values()]

    async def load() -> None:
        await client.unlink(key)
        await client.rpush(key, *map(to_json, wanted))

    async def async_for() -> list[Plant]:
        return [plant async for plant in log]

    async def lrange() -> list[Plant]:
        return [validate_json(raw) for raw in await client.lrange(key, 0, -1)]

    name = f"iterate a list of {len(wanted):,}, against LRANGE"
    return TimedRow(name, len(wanted), 1.5, _reading(async_for, wanted), _reading(lrange, wanted), load)


def _reading(read: Callable[[], Awaitable[T]], wanted: T) -> Trial:
    async def run() -> Sample:
        sample, found = await timed(read)
        assert found == wanted
        return sample

    return run


async def timed(work: Callable[[], Awaitable[T]]) -> tuple[Sample, T]:
    """What ``work`` took, and what it returned."""
    with Stopwatch() as watch:
        result = await work()
    return watch.sample, result
