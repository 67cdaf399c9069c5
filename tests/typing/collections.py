"""Hashes, lists, and what every collection can do, as type checkers see them. Read by mypy and pyright, never run."""

from __future__ import annotations

from collections.abc import AsyncIterator
from datetime import datetime, timedelta
from typing import Annotated, Literal, assert_type

from pydantic import BaseModel, Field
from redis.asyncio import Redis
from typing_extensions import TypedDict

from purse import (
    TTL,
    RedisHash,
    RedisLifoQueue,
    RedisList,
    RedisPriorityQueue,
    RedisQueue,
    RedisSet,
    RedisSortedSet,
    codec_for,
)


class Plant(BaseModel):
    """A value."""

    name: str


class Row(TypedDict):
    """A value that is a dict."""

    id: int


def grow(plant: Plant) -> Plant:
    """A change for ``modify``."""
    return plant


def constructors(client: Redis) -> None:
    """Value first, key second, and every form of type."""
    assert_type(RedisHash(client, "k", Plant), RedisHash[Plant, str])
    assert_type(RedisHash(redis=client, rkey="k", value_type=Plant), RedisHash[Plant, str])
    assert_type(RedisHash(client, "k", int | None), RedisHash[int | None, str])
    assert_type(RedisHash(client, "k", list[Plant]), RedisHash[list[Plant], str])
    assert_type(RedisHash(client, "k", Row), RedisHash[Row, str])
    assert_type(RedisHash(client, "k", Literal["a", "b"]), RedisHash[Literal["a", "b"], str])
    assert_type(RedisHash(client, "k", Annotated[int, Field(gt=0)]), RedisHash[int, str])
    assert_type(RedisHash(client, "k", Plant, key_type=int), RedisHash[Plant, int])
    assert_type(RedisHash(client, "k", str | None, key_type=datetime), RedisHash[str | None, datetime])
    assert_type(RedisHash(client, "k", Plant, ttl=TTL(hours=1, per_item=True)), RedisHash[Plant, str])
    assert_type(RedisHash(client, "k", Plant, ttl=timedelta(hours=1)), RedisHash[Plant, str])
    assert_type(RedisList(client, "k", Plant, ttl=60), RedisList[Plant])
    assert_type(RedisHash(client, "k", Plant, codec=codec_for), RedisHash[Plant, str])
    assert_type(RedisHash(client, "k", int, default=0), RedisHash[int, str])
    assert_type(RedisHash(client, "k", list[int], default_factory=list), RedisHash[list[int], str])
    assert_type(RedisList(client, "k", str), RedisList[str])
    assert_type(RedisList(client, "k", int | None, maxlen=3), RedisList[int | None])
    assert_type(RedisList(redis=client, rkey="k", value_type=str), RedisList[str])


async def keys(
    key: RedisHash[int]
    | RedisList[int]
    | RedisSet[int]
    | RedisSortedSet[int]
    | RedisQueue[int]
    | RedisLifoQueue[int]
    | RedisPriorityQueue[int],
) -> None:
    """What every collection can do that is one key."""
    assert_type(key.redis, Redis)
    assert_type(key.rkey, str)
    assert_type(await key.expire(60), bool)
    assert_type(await key.expire(timedelta(hours=1)), bool)
    assert_type(await key.ttl(), int)
    assert_type(await key.pttl(), int)
    assert_type(await key.expires_in(), timedelta | None)
    assert_type(await key.persist(), bool)
    assert_type(await key.dump(), bytes | None)
    assert_type(await key.restore(b"", 0, True), bool)
    assert_type(await key.restore(b"", timedelta(hours=1), replace=True), bool)
    assert_type(await key.key_type(), str)
    assert_type(await key.exists(), bool)
    assert_type(await key.delete_redis_key(), None)
    assert_type(await key.clear(), int)


async def hashes(plants: RedisHash[Plant], by_id: RedisHash[Plant, int], plant: Plant) -> None:
    """``RedisHash``, an awaitable dict."""
    assert_type(await plants.set("a", plant), int)
    assert_type(await plants.get("a"), Plant | None)
    assert_type(await plants.get("a", plant), Plant)
    assert_type(await plants.get("a", default=3), Plant | int)
    assert_type(await plants.setdefault("a", plant), Plant)
    assert_type(await plants.pop("a"), Plant | None)
    assert_type(await plants.pop("a", plant), Plant)
    assert_type(await plants.pop("a", ""), Plant | str)
    assert_type(await plants.delete("a"), int)
    assert_type(await plants.contains("a"), bool)
    assert_type(await plants.modify("a", grow), Plant)
    assert_type(await plants.modify("a", lambda p: p, default=plant, attempts=3), Plant)
    assert_type(await plants.patch("a", name="leek"), Plant)
    async with plants.edit("a") as edited:
        assert_type(edited, Plant)
    async with plants.edit("a", default=plant) as edited:
        assert_type(edited, Plant)
    assert_type(await plants.update({"a": plant}), int)
    assert_type(await plants.get_many(["a"]), dict[str, Plant])
    assert_type(await plants.delete_many(["a"]), int)
    assert_type(await plants.len(), int)
    assert_type(await plants.dict(), dict[str, Plant])
    assert_type(plants.keys(), AsyncIterator[str])
    assert_type(plants.values(on_error="skip"), AsyncIterator[Plant])
    assert_type(plants.items("s*", 10), AsyncIterator[tuple[str, Plant]])
    assert_type([pair async for pair in plants], list[tuple[str, Plant]])

    assert_type(await by_id.get(3), Plant | None)
    assert_type(await by_id.dict(), dict[int, Plant])
    assert_type(await by_id.get_many([1, 2]), dict[int, Plant])
    assert_type(by_id.items(), AsyncIterator[tuple[int, Plant]])
    async for key, value in by_id:
        assert_type(key, int)
        assert_type(value, Plant)


async def counters(ints: RedisHash[int], floats: RedisHash[float, int]) -> None:
    """``increment`` returns what the values are."""
    assert_type(await ints.increment("a"), int)
    assert_type(await ints.increment("a", 5), int)
    assert_type(await floats.increment(3), float)
    assert_type(await floats.increment(3, 0.5), float)


async def lists(log: RedisList[str], plants: RedisList[Plant]) -> None:
    """``RedisList``, an awaitable list and deque."""
    assert_type(await log.append("a"), int)
    assert_type(await log.appendleft("a"), int)
    assert_type(await log.extend(["a"]), int)
    assert_type(await log.extendleft(iter("ab")), int)
    assert_type(await log.pop(), str)
    assert_type(await log.popleft(), str)
    assert_type(await log.move(log, src="left", dest="right"), str)
    assert_type(await log.getitem(-1), str)
    assert_type(await log.setitem(0, "a"), bool)
    assert_type(await log.insert(0, "a"), None)
    assert_type(await log.slice(0, 3), list[str])
    assert_type(await log.slice(2), list[str])
    assert_type(await log.trim(0, 10), None)
    assert_type(await log.contains("a"), bool)
    assert_type(await log.index("a"), int | None)
    assert_type(await log.remove("a", 1), int)
    assert_type(await log.len(), int)
    assert_type(log.values(), AsyncIterator[str])
    assert_type(log.values(batch_size=None, on_error="skip"), AsyncIterator[str])
    async for entry in log:
        assert_type(entry, str)
    assert_type([plant async for plant in plants], list[Plant])
    assert_type(await plants.getitem(0), Plant)
