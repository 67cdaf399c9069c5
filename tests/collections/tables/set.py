"""Every method of RedisSet, as a call on the set {1, 2, 3} beside {2, 3, 4}."""

from __future__ import annotations

from typing import TypeAlias

from redis.asyncio import Redis

from purse.collections.set import RedisSet
from purse.ttl import TTL
from tests.collections.garden import collect
from tests.collections.tables.case import Case, clocked

__all__ = ["CALLS", "KEY", "build", "fill", "spoil"]

Ints: TypeAlias = RedisSet[int]

KEY = "{numbers}:set"
OTHER = "{numbers}:other"
TARGET = "{numbers}:target"

_SCRIPT = ("EVALSHA", "EVAL")


async def fill(redis: Redis) -> None:
    """{1, 2, 3} and {2, 3, 4}; the target is empty."""
    await redis.delete(KEY, OTHER, TARGET)
    await redis.sadd(KEY, "1", "2", "3")
    await redis.sadd(OTHER, "2", "3", "4")


async def spoil(redis: Redis) -> None:
    """No member is an int, whichever of them a call meets."""
    await redis.delete(KEY, OTHER, TARGET)
    await redis.sadd(KEY, "x", "y")
    await redis.sadd(OTHER, "x", "z")


def build(redis: Redis, ttl: TTL | None = None) -> Ints:
    """The set under ``KEY``."""
    return RedisSet(redis, KEY, int, ttl=ttl)


def other(s: Ints) -> Ints:
    return RedisSet(s.redis, OTHER, int)


def target(s: Ints) -> Ints:
    return RedisSet(s.redis, TARGET, int)


def _stores(*keys: str) -> tuple[str]:
    """The script of the STORE commands."""
    return (f"EVALSHA set_store {' '.join(keys)}",)


WRITES: list[Case[Ints]] = [
    Case("add", lambda s: s.add(5), (f"SADD {KEY} 5",), ("SADD",)),
    Case("update", lambda s: s.update(5, 6), (f"SADD {KEY} 5 6",), ("SADD",)),
    Case("remove", lambda s: s.remove(1, 9), (f"SREM {KEY} 1 9",), ("SREM",)),
    Case("discard", lambda s: s.discard(1), (f"SREM {KEY} 1",), ("SREM",)),
    Case("pop", lambda s: s.pop(), (f"SPOP {KEY}",), ("SPOP",), reads=True, same=False),
    Case("pop with a count", lambda s: s.pop(2), (f"SPOP {KEY} 2",), ("SPOP", "SADD"), reads=True, same=False),
    Case(
        "move",
        lambda s: s.move(target(s), 1),
        (f"SMOVE {KEY} {TARGET} 1",),
        ("SMOVE",),
        timed=(f"EVALSHA with_ttl {KEY} {TARGET}",),
    ),
    Case("move to itself", lambda s: s.move(s, 1), (f"SMOVE {KEY} {KEY} 1",), ("SMOVE",)),
    Case(
        "union_update",
        lambda s: s.union_update(other(s)),
        _stores(KEY, KEY, OTHER),
        (*_SCRIPT, "SCARD", "PTTL", "PEXPIRE", "SUNIONSTORE"),
    ),
    Case(
        "intersection_update",
        lambda s: s.intersection_update(other(s)),
        _stores(KEY, KEY, OTHER),
        (*_SCRIPT, "SCARD", "PTTL", "PEXPIRE", "SINTERSTORE"),
    ),
    Case(
        "difference_update",
        lambda s: s.difference_update(other(s)),
        _stores(KEY, KEY, OTHER),
        (*_SCRIPT, "SCARD", "PTTL", "PEXPIRE", "SDIFFSTORE"),
    ),
]
READS: list[Case[Ints]] = [
    Case("random", lambda s: s.random(), (f"SRANDMEMBER {KEY}",), ("SRANDMEMBER",), reads=True),
    Case("random with a count", lambda s: s.random(2), (f"SRANDMEMBER {KEY} 2",), ("SRANDMEMBER",), reads=True),
    Case(
        "union",
        lambda s: s.union(other(s)),
        (f"SUNION {KEY} {OTHER}",),
        ("SUNION",),
        reads=True,
        timed=(f"EVALSHA with_ttl {KEY} {OTHER}",),
    ),
    Case("union of one", lambda s: s.union(), (f"SUNION {KEY}",), ("SUNION",), reads=True),
    Case(
        "intersection",
        lambda s: s.intersection(other(s)),
        (f"SINTER {KEY} {OTHER}",),
        ("SINTER",),
        reads=True,
        timed=(f"EVALSHA with_ttl {KEY} {OTHER}",),
    ),
    Case(
        "difference",
        lambda s: s.difference(other(s)),
        (f"SDIFF {KEY} {OTHER}",),
        ("SDIFF",),
        reads=True,
        timed=(f"EVALSHA with_ttl {KEY} {OTHER}",),
    ),
    Case(
        "union_store",
        lambda s: s.union_store(target(s), other(s)),
        _stores(TARGET, KEY, OTHER),
        (*_SCRIPT, "SCARD", "SUNIONSTORE"),
    ),
    Case(
        "union_store of one",
        lambda s: s.union_store(target(s)),
        _stores(TARGET, KEY),
        (*_SCRIPT, "SCARD", "SUNIONSTORE"),
    ),
    Case(
        "intersection_store",
        lambda s: s.intersection_store(target(s), other(s)),
        _stores(TARGET, KEY, OTHER),
        (*_SCRIPT, "SCARD", "SINTERSTORE"),
    ),
    Case(
        "difference_store",
        lambda s: s.difference_store(target(s), other(s)),
        _stores(TARGET, KEY, OTHER),
        (*_SCRIPT, "SCARD", "SDIFFSTORE"),
    ),
    Case("members", lambda s: s.members(), (f"SMEMBERS {KEY}",), ("SMEMBERS",), reads=True),
]
LOOKS: list[Case[Ints]] = [
    Case("update with nothing", lambda s: s.update(), (), (), trips=0, touches=False),
    Case("remove with nothing", lambda s: s.remove(), (), (), trips=0, touches=False),
    Case("contains", lambda s: s.contains(1), (f"SISMEMBER {KEY} 1",), ("SISMEMBER",)),
    Case("contains_many", lambda s: s.contains_many([1, 9]), (f"SMISMEMBER {KEY} 1 9",), ("SMISMEMBER",)),
    Case("contains_many of nothing", lambda s: s.contains_many([]), (), (), trips=0, touches=False),
    Case("pop with a count of 0", lambda s: s.pop(0), (), (), trips=0, touches=False),
    Case("random with a count of 0", lambda s: s.random(0), (), (), trips=0, touches=False),
    Case("union_update with nothing", lambda s: s.union_update(), (), (), trips=0, touches=False),
    Case(
        "is_subset",
        lambda s: s.is_subset(other(s)),
        (f"EVALSHA set_subset {KEY} {OTHER}",),
        (*_SCRIPT, "SCARD", "SSCAN", "SMISMEMBER"),
    ),
    Case("len", lambda s: s.len(), (f"SCARD {KEY}",), ("SCARD",)),
    Case("values", lambda s: collect(s.values()), (f"SSCAN {KEY} 0 COUNT 500",), ("SSCAN",), reads=True),
    Case(
        "values that match",
        lambda s: collect(s.values("*", 10)),
        (f"SSCAN {KEY} 0 COUNT 10 MATCH *",),
        ("SSCAN",),
        reads=True,
    ),
    Case("async for", collect, (f"SSCAN {KEY} 0 COUNT 500",), ("SSCAN",), reads=True),
]
OTHERS: list[Case[Ints]] = [
    Case(
        "pop all",
        lambda s: s.pop(9),
        (f"SPOP {KEY} 9",),
        ("SPOP", "SADD"),
        reads=True,
        timed=(f"EVALSHA with_ttl {KEY}",),
    ),
]
CALLS = clocked(WRITES, READS, LOOKS, OTHERS)
