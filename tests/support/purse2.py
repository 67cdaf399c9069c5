"""A program for redis-purse 2.0.2: writes hashes and lists of every value type it has, or checks what it reads.

    python purse2.py write redis://...
    python purse2.py check redis://...

It runs in an environment where ``purse`` is the 2.x package; the tests import only ``SAMPLES`` from here. Known
bugs of 2.x are stepped around: ``contains`` is False at index 0, ``remove`` is never awaited.
"""

from __future__ import annotations

import asyncio
import sys

from pydantic import BaseModel
from redis.asyncio import Redis

from purse.collections import RedisHash, RedisList


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


async def main(what: str, url: str) -> None:
    """Do ``what`` with all samples."""
    client = Redis.from_url(url)  # pyright: ignore[reportUnknownMemberType]  # redis-py leaves **kwargs untyped
    for sample in SAMPLES:
        await (write(client, sample) if what == "write" else check(client, sample))
    await client.aclose()


if __name__ == "__main__":
    asyncio.run(main(sys.argv[1], sys.argv[2]))
