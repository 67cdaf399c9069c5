"""Every method of RedisSet, as a call on the set {1, 2, 3} beside {2, 3, 4}."""

from __future__ import annotations

from typing import TypeAlias

from redis.asyncio import Redis

from purse.collections.set import RedisSet
from purse.ttl import TTL
from tests.collections.garden import collect
from tests.collections.tables.case import Case

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


CALLS: list[Case[Ints]] = [
    Case("add", lambda s: s.add(5), (f"SADD {KEY} 5",), ("SADD",), clock="write"),
    Case("update", lambda s: s.update(5, 6), (f"SADD {KEY} 5 6",), ("SADD",), clock="write"),
    Case("update with nothing", lambda s: s.update(), (), (), trips=0, touches=False, clock="look"),
    Case("remove", lambda s: s.remove(1, 9), (f"SREM {KEY} 1 9",), ("SREM",), clock="write"),
    Case("remove with nothing", lambda s: s.remove(), (), (), trips=0, touches=False, clock="look"),
    Case("discard", lambda s: s.discard(1), (f"SREM {KEY} 1",), ("SREM",), clock="write"),
    Case("contains", lambda s: s.contains(1), (f"SISMEMBER {KEY} 1",), ("SISMEMBER",), clock="look"),
    Case("contains_many", lambda s: s.contains_many([1, 9]), (f"SMISMEMBER {KEY} 1 9",), ("SMISMEMBER",), clock="look"),
    Case("contains_many of nothing", lambda s: s.contains_many([]), (), (), trips=0, touches=False, clock="look"),
    Case("pop", lambda s: s.pop(), (f"SPOP {KEY}",), ("SPOP",), reads=True, same=False, clock="write"),
    Case(
        "pop with a count",
        lambda s: s.pop(2),
        (f"SPOP {KEY} 2",),
        ("SPOP", "SADD"),
        reads=True,
        same=False,
        clock="write",
    ),
    Case(
        "pop all",
        lambda s: s.pop(9),
        (f"SPOP {KEY} 9",),
        ("SPOP", "SADD"),
        reads=True,
        timed=(f"EVALSHA with_ttl {KEY}",),
    ),
    Case("pop with a count of 0", lambda s: s.pop(0), (), (), trips=0, touches=False, clock="look"),
    Case("random", lambda s: s.random(), (f"SRANDMEMBER {KEY}",), ("SRANDMEMBER",), reads=True, clock="read"),
    Case(
        "random with a count",
        lambda s: s.random(2),
        (f"SRANDMEMBER {KEY} 2",),
        ("SRANDMEMBER",),
        reads=True,
        clock="read",
    ),
    Case("random with a count of 0", lambda s: s.random(0), (), (), trips=0, touches=False, clock="look"),
    Case(
        "move",
        lambda s: s.move(target(s), 1),
        (f"SMOVE {KEY} {TARGET} 1",),
        ("SMOVE",),
        clock="write",
        timed=(f"EVALSHA with_ttl {KEY} {TARGET}",),
    ),
    Case("move to itself", lambda s: s.move(s, 1), (f"SMOVE {KEY} {KEY} 1",), ("SMOVE",), clock="write"),
    Case(
        "union",
        lambda s: s.union(other(s)),
        (f"SUNION {KEY} {OTHER}",),
        ("SUNION",),
        reads=True,
        clock="read",
        timed=(f"EVALSHA with_ttl {KEY} {OTHER}",),
    ),
    Case("union of one", lambda s: s.union(), (f"SUNION {KEY}",), ("SUNION",), reads=True, clock="read"),
    Case(
        "intersection",
        lambda s: s.intersection(other(s)),
        (f"SINTER {KEY} {OTHER}",),
        ("SINTER",),
        reads=True,
        clock="read",
        timed=(f"EVALSHA with_ttl {KEY} {OTHER}",),
    ),
    Case(
        "difference",
        lambda s: s.difference(other(s)),
        (f"SDIFF {KEY} {OTHER}",),
        ("SDIFF",),
        reads=True,
        clock="read",
        timed=(f"EVALSHA with_ttl {KEY} {OTHER}",),
    ),
    Case(
        "union_update",
        lambda s: s.union_update(other(s)),
        _stores(KEY, KEY, OTHER),
        (*_SCRIPT, "SCARD", "PTTL", "PEXPIRE", "SUNIONSTORE"),
        clock="write",
    ),
    Case("union_update with nothing", lambda s: s.union_update(), (), (), trips=0, touches=False, clock="look"),
    Case(
        "intersection_update",
        lambda s: s.intersection_update(other(s)),
        _stores(KEY, KEY, OTHER),
        (*_SCRIPT, "SCARD", "PTTL", "PEXPIRE", "SINTERSTORE"),
        clock="write",
    ),
    Case(
        "difference_update",
        lambda s: s.difference_update(other(s)),
        _stores(KEY, KEY, OTHER),
        (*_SCRIPT, "SCARD", "PTTL", "PEXPIRE", "SDIFFSTORE"),
        clock="write",
    ),
    Case(
        "union_store",
        lambda s: s.union_store(target(s), other(s)),
        _stores(TARGET, KEY, OTHER),
        (*_SCRIPT, "SCARD", "SUNIONSTORE"),
        clock="read",
    ),
    Case(
        "union_store of one",
        lambda s: s.union_store(target(s)),
        _stores(TARGET, KEY),
        (*_SCRIPT, "SCARD", "SUNIONSTORE"),
        clock="read",
    ),
    Case(
        "intersection_store",
        lambda s: s.intersection_store(target(s), other(s)),
        _stores(TARGET, KEY, OTHER),
        (*_SCRIPT, "SCARD", "SINTERSTORE"),
        clock="read",
    ),
    Case(
        "difference_store",
        lambda s: s.difference_store(target(s), other(s)),
        _stores(TARGET, KEY, OTHER),
        (*_SCRIPT, "SCARD", "SDIFFSTORE"),
        clock="read",
    ),
    Case(
        "is_subset",
        lambda s: s.is_subset(other(s)),
        (f"EVALSHA set_subset {KEY} {OTHER}",),
        (*_SCRIPT, "SCARD", "SSCAN", "SMISMEMBER"),
        clock="look",
    ),
    Case("len", lambda s: s.len(), (f"SCARD {KEY}",), ("SCARD",), clock="look"),
    Case("members", lambda s: s.members(), (f"SMEMBERS {KEY}",), ("SMEMBERS",), reads=True, clock="read"),
    Case("values", lambda s: collect(s.values()), (f"SSCAN {KEY} 0 COUNT 500",), ("SSCAN",), reads=True, clock="look"),
    Case(
        "values that match",
        lambda s: collect(s.values("*", 10)),
        (f"SSCAN {KEY} 0 COUNT 10 MATCH *",),
        ("SSCAN",),
        reads=True,
        clock="look",
    ),
    Case("async for", collect, (f"SSCAN {KEY} 0 COUNT 500",), ("SSCAN",), reads=True, clock="look"),
]
