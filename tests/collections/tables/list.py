"""Every method of RedisList, as a call on the list [1, 2, 3]."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from typing import TypeAlias

from redis.asyncio import Redis

from purse.collections import RedisList
from tests.collections.garden import collect
from tests.collections.tables.case import Case, clocked
from tests.collections.tables.queue import Builder

__all__ = ["CALLS", "KEY", "build", "fill", "spoil"]

Ints: TypeAlias = RedisList[int]

KEY = "numbers"

_INSIDE = ("EVALSHA", "EVAL", "LLEN", "RPUSH", "LPUSH", "LINSERT", "LINDEX", "LSET")


async def fill(redis: Redis) -> None:
    """Three elements."""
    await redis.rpush(KEY, "1", "2", "3")


async def spoil(redis: Redis) -> None:
    """Elements that are no int."""
    await redis.rpush(KEY, "x", "x", "x")


build = Builder(lambda redis, ttl, most: RedisList(redis, KEY, int, ttl=ttl, maxlen=most or None))
bounded = build.bounded


def _beside(xs: Ints) -> Ints:
    return RedisList(xs.redis, "others", int)


def _bounded(name: str, call: Callable[[Ints], Awaitable[object]], sent: str, kept: str) -> Case[Ints]:
    """A push to a list with ``maxlen=9``, of which the indexes ``kept`` are kept."""
    acl = ("MULTI", "EXEC", sent.split()[0], "LTRIM")
    return Case(f"{name}, bounded", call, (sent, f"LTRIM numbers {kept}"), acl, reads=name == "move")


WRITES: list[Case[Ints]] = [
    Case("append", lambda xs: xs.append(5), ("RPUSH numbers 5",), ("RPUSH",)),
    Case("appendleft", lambda xs: xs.appendleft(5), ("LPUSH numbers 5",), ("LPUSH",)),
    Case("extend", lambda xs: xs.extend([5, 6]), ("RPUSH numbers 5 6",), ("RPUSH",)),
    Case("extendleft", lambda xs: xs.extendleft([5, 6]), ("LPUSH numbers 5 6",), ("LPUSH",)),
    Case("pop", lambda xs: xs.pop(), ("RPOP numbers",), ("RPOP",), reads=True),
    Case("popleft", lambda xs: xs.popleft(), ("LPOP numbers",), ("LPOP",), reads=True),
    Case("move", lambda xs: xs.move(xs), ("LMOVE numbers numbers LEFT RIGHT",), ("LMOVE",), reads=True),
    Case(
        "move to another",
        lambda xs: xs.move(_beside(xs), src="right", dest="left"),
        ("LMOVE numbers others RIGHT LEFT",),
        ("LMOVE",),
        reads=True,
        timed=("EVALSHA with_ttl numbers others",),
    ),
    Case("setitem", lambda xs: xs.setitem(1, 5), ("LSET numbers 1 5",), ("LSET",)),
    Case("insert", lambda xs: xs.insert(1, 5), ("EVALSHA list_insert numbers",), _INSIDE),
    Case("trim", lambda xs: xs.trim(1, 3), ("LTRIM numbers 1 2",), ("LTRIM",)),
    Case("remove", lambda xs: xs.remove(2, -1), ("LREM numbers -1 2",), ("LREM",)),
    _bounded("append", lambda xs: bounded(xs).append(5), "RPUSH numbers 5", "-9 -1"),
    _bounded("appendleft", lambda xs: bounded(xs).appendleft(5), "LPUSH numbers 5", "0 8"),
    _bounded("extend", lambda xs: bounded(xs).extend([5, 6]), "RPUSH numbers 5 6", "-9 -1"),
    _bounded("extendleft", lambda xs: bounded(xs).extendleft([5, 6]), "LPUSH numbers 5 6", "0 8"),
    _bounded("move", lambda xs: xs.move(bounded(xs), dest="left"), "LMOVE numbers numbers LEFT LEFT", "0 8"),
    Case("insert, bounded", lambda xs: bounded(xs).insert(1, 5), ("EVALSHA list_insert numbers",), (*_INSIDE, "LTRIM")),
]
READS: list[Case[Ints]] = [
    Case("getitem", lambda xs: xs.getitem(-1), ("LINDEX numbers -1",), ("LINDEX",), reads=True),
    Case("slice", lambda xs: xs.slice(0, 2), ("LRANGE numbers 0 1",), ("LRANGE",), reads=True),
    Case("slice to the end", lambda xs: xs.slice(1), ("LRANGE numbers 1 -1",), ("LRANGE",), reads=True),
    Case("slice to the second last", lambda xs: xs.slice(0, -1), ("LRANGE numbers 0 -2",), ("LRANGE",), reads=True),
]
LOOKS: list[Case[Ints]] = [
    Case("extend with nothing", lambda xs: xs.extend([]), (), (), trips=0, touches=False),
    Case("extendleft with nothing", lambda xs: xs.extendleft([]), (), (), trips=0, touches=False),
    Case("contains", lambda xs: xs.contains(2), ("LPOS numbers 2",), ("LPOS",)),
    Case("index", lambda xs: xs.index(2), ("LPOS numbers 2",), ("LPOS",)),
    Case("len", lambda xs: xs.len(), ("LLEN numbers",), ("LLEN",)),
    Case("values", lambda xs: collect(xs.values()), ("LRANGE numbers 0 499",), ("LRANGE",), reads=True),
    Case("async for", collect, ("LRANGE numbers 0 499",), ("LRANGE",), reads=True),
]
OTHERS: list[Case[Ints]] = []
CALLS = clocked(WRITES, READS, LOOKS, OTHERS)
