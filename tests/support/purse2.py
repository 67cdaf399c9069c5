"""A program for redis-purse 2.0.2: writes its structures with every value type it has, or checks what it reads.

    python purse2.py write redis://...
    python purse2.py check redis://...

It runs in an environment where ``purse`` is the 2.x package; the tests import only ``SAMPLES`` from here. Known
bugs of 2.x are stepped around: ``contains`` is False at index 0, ``remove`` is never awaited.
"""

from __future__ import annotations

import asyncio
import sys
from collections.abc import Sequence

from pydantic import BaseModel
from redis.asyncio import Redis

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


class Soil(BaseModel):
    kind: str
    parts: dict[str, float]


class Plant(BaseModel):
    name: str
    healthiness: float
    tasty: bool | None = None
    soil: Soil | None = None
    notes: list[str] = []
    count: int = 0


class Sample:
    """A value type and values of it; no two are equal."""

    def __init__(self, value_type: type[object], values: list[object]) -> None:
        self.value_type = value_type
        self.values = values

    @property
    def name(self) -> str:
        """The end of the keys."""
        return self.value_type.__name__

    @property
    def mapping(self) -> dict[str, object]:
        """The values under hash fields that are hard to carry, too."""
        return dict(zip(NAMES, self.values, strict=False))


NAMES = ["field", "", "with space", "grün 🌱", "glob*?[a]", 'quote"\\', "line\nfeed", "nul\0", "last"]

SAMPLES = (
    Sample(str, ["spinach", "", "grün 🌱", "two words", "line\nfeed", "nul\0", '{"json": 1}', "1", "x" * 10_000]),
    Sample(bytes, [b"spinach", b"", bytes(range(256)), "grün".encode(), b"\r\n"]),
    Sample(
        dict,
        [
            {},
            {"b": 1, "a": 2},  # 2.x keeps the order of the keys
            {"name": "grün 🌱", "nested": {"z": [1, 2.5, None, True], "a": {"deep": "é"}}},
            {"float": 0.1, "big": 2**70, "exponent": 1e300, "whole": 3.0, "minus": -5},
            {"text": 'quote"\\ and\nline', "empty": "", "list": [], "none": None},
        ],
    ),
    Sample(
        Plant,
        [
            Plant(name="spinach", healthiness=9.8, tasty=False),
            Plant(name="grün 🌱", healthiness=3, tasty=True),
            Plant(name="", healthiness=-0.5, count=2**70),
            Plant(name="rooted", healthiness=1e300, soil=Soil(kind="löss", parts={"sand": 0.1, "clay": 0.9})),
            Plant(name="noted", healthiness=0.1, notes=["watered\n", 'said "hello"', ""]),
        ],
    ),
)


def holds_mapping(value: object) -> bool:
    """Whether ``value`` is a dict or a model with one inside."""
    return isinstance(value, dict) or (isinstance(value, Plant) and value.soil is not None)


async def write(client: Redis, sample: Sample) -> None:
    """Write ``sample`` with every method of 2.x that writes."""
    rhash = RedisHash(client, f"hash:{sample.name}", sample.value_type)
    first, *others = sample.mapping.items()
    await rhash.set(*first)
    await rhash.update(dict(others))
    rlist = RedisList(client, f"list:{sample.name}", sample.value_type)
    head, second, *rest = sample.values
    await rlist.append(second)
    await rlist.appendleft(head)
    await rlist.extend(rest)


async def check(client: Redis, sample: Sample) -> None:
    """Read ``sample`` with every method of 2.x that reads."""
    rhash = RedisHash(client, f"hash:{sample.name}", sample.value_type)
    mapping = sample.mapping
    assert await rhash.len() == len(mapping)
    assert await rhash.dict() == mapping
    assert {key: value async for key, value in rhash.items()} == mapping
    for key, value in mapping.items():
        assert await rhash.contains(key)
        assert await rhash.get(key) == value
    rlist = RedisList(client, f"list:{sample.name}", sample.value_type)
    assert await rlist.len() == len(sample.values)
    assert await rlist.slice(0, len(sample.values)) == sample.values
    assert [value async for value in rlist] == sample.values
    for at, value in enumerate(sample.values):
        assert await rlist.getitem(at) == value
        if not holds_mapping(value):  # 2.x looks for its own form of a dict: other spaces, another order
            assert await rlist.index(value) == at
    key, value = list(mapping.items())[-1]
    assert await rhash.pop(key) == value
    assert await rlist.pop() == sample.values[-1]


async def write_others(client: Redis, sample: Sample) -> None:
    """Write ``sample`` into the other structures."""
    kind, name = sample.value_type, sample.name
    members = RedisSet(client, f"set:{name}", kind)
    await members.add(sample.values[0])
    await members.update(*sample.values)
    ranking = RedisSortedSet(client, f"ranking:{name}", kind)
    await ranking.add((sample.values[0], -1))
    await ranking.add_multi(scored(sample.values))
    space = RedisKeySpace(client, f"space:{name}:", kind)
    first, *others = sample.mapping.items()
    await space.set(*first, ex=3600)
    await space.update(dict(others))
    queue, lifo = RedisQueue(client, f"queue:{name}", kind), RedisLifoQueue(client, f"lifo:{name}", kind)
    priorities = RedisPriorityQueue(client, f"priorities:{name}", kind)
    for nth, value in enumerate(sample.values):
        await queue.put(value)
        await lifo.put(value)
        await priorities.put((value, -nth))


async def check_others(client: Redis, sample: Sample) -> None:
    """Read ``sample`` from the other structures; queues are empty after that."""
    kind, name, values = sample.value_type, sample.name, sample.values
    members = RedisSet(client, f"set:{name}", kind)
    assert await members.len() == len(values)
    assert same([value async for value in members], values)
    ranking = RedisSortedSet(client, f"ranking:{name}", kind)
    assert await ranking.slice_by_rank(0, -1) == scored(values)
    assert await ranking.slice_by_score(0, 1) == scored(values)[:3]
    assert same([value async for value in ranking], scored(values))
    for nth, value in enumerate(values):
        if not holds_mapping(value):
            assert await members.contains(value)
            assert await ranking.rank(value) == nth
            assert await ranking.score(value) == nth / 2
    assert await ranking.pop_min() == scored(values)[:1]
    space = RedisKeySpace(client, f"space:{name}:", kind)
    assert {key: value async for key, value in space} == sample.mapping
    for key, value in sample.mapping.items():
        assert await space.contains(key)
        assert await space.get(key) == value
    assert await space.ttl(next(iter(sample.mapping))) > 3500
    queue, lifo = RedisQueue(client, f"queue:{name}", kind), RedisLifoQueue(client, f"lifo:{name}", kind)
    priorities = RedisPriorityQueue(client, f"priorities:{name}", kind)
    assert await queue.qsize() == await lifo.qsize() == await priorities.qsize() == len(values)
    assert [await queue.get(1) for _ in values] == values
    assert [await lifo.get(1) for _ in values] == values[::-1]
    assert [await priorities.get(1) for _ in values] == [(value, -nth) for nth, value in enumerate(values)][::-1]


def scored(values: list[object]) -> list[tuple[object, float]]:
    """Each value with half of its number as the score."""
    return [(value, nth / 2) for nth, value in enumerate(values)]


def same(found: Sequence[object], wanted: Sequence[object]) -> bool:
    """Whether both have the same elements, which may not be hashable."""
    return len(found) == len(wanted) and all(element in found for element in wanted)


async def main(what: str, url: str) -> None:
    """Do ``what`` with all samples."""
    client = Redis.from_url(url)  # pyright: ignore[reportUnknownMemberType]  # redis-py leaves **kwargs untyped
    for sample in SAMPLES:
        if what == "write":
            await write(client, sample)
            await write_others(client, sample)
        else:
            await check(client, sample)
            await check_others(client, sample)
    await client.aclose()


if __name__ == "__main__":
    asyncio.run(main(sys.argv[1], sys.argv[2]))
