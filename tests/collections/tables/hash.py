"""Every method of RedisHash, as a call on the hash {"a": 1, "b": 2}."""

from __future__ import annotations

from typing import TypeAlias

from redis.asyncio import Redis

from purse.collections import RedisHash
from purse.ttl import TTL
from tests.collections.garden import collect
from tests.collections.tables.case import Case, clocked

__all__ = ["CALLS", "KEY", "build", "fill", "spoil"]

Ints: TypeAlias = RedisHash[int]

KEY = "visits"

_SCAN = "HSCAN visits 0 COUNT 500"
_REPLACE = "EVALSHA hash_replace visits"
_REPLACING = ("HGET", "EVALSHA", "EVAL", "HSET")


async def fill(redis: Redis) -> None:
    """Two fields."""
    await redis.hset(KEY, mapping={"a": "1", "b": "2"})


async def spoil(redis: Redis) -> None:
    """Both values are no int."""
    await redis.hset(KEY, mapping={"a": "x", "b": "x"})


def build(redis: Redis, ttl: TTL | None = None) -> Ints:
    """The hash under ``KEY``."""
    return RedisHash(redis, KEY, int, ttl=ttl)


async def _increment_a_float(h: Ints) -> None:
    await RedisHash(h.redis, KEY, float).increment("a", 0.25)


async def _patch(h: Ints) -> None:
    await RedisHash(h.redis, KEY, dict[str, int], default={"n": 0}).patch("new", n=1)


async def _edit(h: Ints) -> None:
    async with RedisHash(h.redis, KEY, list[int]).edit("new", default=[]) as bed:
        bed.append(1)


async def _edit_nothing(h: Ints) -> None:
    async with RedisHash(h.redis, KEY, list[int]).edit("new", default=[]):
        pass


WRITES: list[Case[Ints]] = [
    Case("set", lambda h: h.set("a", 5), ("HSET visits a 5",), ("HSET",)),
    Case(
        "setdefault of a new one",
        lambda h: h.setdefault("new", 5),
        ("EVALSHA hash_setdefault visits",),
        ("EVALSHA", "EVAL", "HGET", "HSET"),
    ),
    Case(
        "pop", lambda h: h.pop("a"), ("HGET visits a", "HDEL visits a"), ("MULTI", "EXEC", "HGET", "HDEL"), reads=True
    ),
    Case("delete", lambda h: h.delete("a"), ("HDEL visits a",), ("HDEL",)),
    Case("increment", lambda h: h.increment("a", -3), ("HINCRBY visits a -3",), ("HINCRBY",), reads=True),
    Case(
        "modify", lambda h: h.modify("a", lambda n: n + 1), ("HGET visits a", _REPLACE), _REPLACING, trips=2, reads=True
    ),
    Case(
        "modify a new one",
        lambda h: h.modify("new", lambda n: n + 1, default=0),
        ("HGET visits new", _REPLACE),
        _REPLACING,
        trips=2,
    ),
    Case("update", lambda h: h.update({"a": 5, "new": 6}), ("HSET visits a 5 new 6",), ("HSET",)),
    Case("delete_many", lambda h: h.delete_many(["a", "x"]), ("HDEL visits a x",), ("HDEL",)),
]
READS: list[Case[Ints]] = [
    Case("get", lambda h: h.get("a"), ("HGET visits a",), ("HGET",), reads=True),
    Case("get with a default", lambda h: h.get("a", 7), ("HGET visits a",), ("HGET",), reads=True),
    Case(
        "setdefault",
        lambda h: h.setdefault("a", 5),
        ("EVALSHA hash_setdefault visits",),
        ("EVALSHA", "EVAL", "HGET"),
        reads=True,
    ),
    Case("get_many", lambda h: h.get_many(["a", "x"]), ("HMGET visits a x",), ("HMGET",), reads=True),
    Case("dict", lambda h: h.dict(), ("HGETALL visits",), ("HGETALL",), reads=True),
]
LOOKS: list[Case[Ints]] = [
    Case("contains", lambda h: h.contains("a"), ("HEXISTS visits a",), ("HEXISTS",)),
    Case("update with nothing", lambda h: h.update({}), (), (), trips=0, touches=False),
    Case("get_many of nothing", lambda h: h.get_many([]), (), (), trips=0, touches=False),
    Case("delete_many of nothing", lambda h: h.delete_many(iter(())), (), (), trips=0, touches=False),
    Case("len", lambda h: h.len(), ("HLEN visits",), ("HLEN",)),
    Case("keys", lambda h: collect(h.keys()), (_SCAN,), ("HSCAN",)),
    Case("values that match", lambda h: collect(h.values("a*")), (f"{_SCAN} MATCH a*",), ("HSCAN",), reads=True),
    Case("items", lambda h: collect(h.items(batch_hint=10)), ("HSCAN visits 0 COUNT 10",), ("HSCAN",), reads=True),
    Case("async for", collect, (_SCAN,), ("HSCAN",), reads=True),
]
OTHERS: list[Case[Ints]] = [
    Case("increment a float", _increment_a_float, ("HINCRBYFLOAT visits a 0.25",), ("HINCRBYFLOAT",), reads=True),
    Case("modify to the same", lambda h: h.modify("a", lambda n: n), ("HGET visits a",), ("HGET",), reads=True),
    Case("patch", _patch, ("HGET visits new", _REPLACE), _REPLACING, trips=2),
    Case("edit", _edit, ("HGET visits new", _REPLACE), _REPLACING, trips=2),
    Case("edit nothing", _edit_nothing, ("HGET visits new", _REPLACE), _REPLACING, trips=2),
]
CALLS = clocked(WRITES, READS, LOOKS, OTHERS)
