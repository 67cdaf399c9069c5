"""What every structure with one key can do with it, as calls on a list."""

from __future__ import annotations

from typing import TypeAlias

from redis.asyncio import Redis

from purse.collections import RedisList
from purse.ttl import TTL
from tests.collections.tables.case import Case

__all__ = ["CALLS", "KEY", "build", "fill", "spoil"]

Ints: TypeAlias = RedisList[int]

KEY = "thing"


async def fill(redis: Redis) -> None:
    """Two elements."""
    await redis.rpush(KEY, "1", "2")


async def spoil(redis: Redis) -> None:
    """Elements that are no int."""
    await redis.rpush(KEY, "x", "x")


def build(redis: Redis, ttl: TTL | None = None) -> Ints:
    """The list under ``KEY``."""
    return RedisList(redis, KEY, int, ttl=ttl)


async def _expires_in(xs: Ints) -> None:
    await xs.expires_in()


async def _restore(xs: Ints) -> None:
    dumped = await xs.dump()
    assert dumped is not None
    await xs.restore(dumped, replace=True)


CALLS: list[Case[Ints]] = [
    Case("expire", lambda xs: xs.expire(1000.5), ("PEXPIRE thing 1000500",), ("PEXPIRE",), touches=False),
    Case("ttl", lambda xs: xs.ttl(), ("TTL thing",), ("TTL",), touches=False, clock="look"),
    Case("pttl", lambda xs: xs.pttl(), ("PTTL thing",), ("PTTL",), touches=False, clock="look"),
    Case("expires_in", _expires_in, ("PTTL thing",), ("PTTL",), touches=False, clock="look"),
    Case("persist", lambda xs: xs.persist(), ("PERSIST thing",), ("PERSIST",), touches=False),
    Case("dump", lambda xs: xs.dump(), ("DUMP thing",), ("DUMP",), touches=False, clock="look"),
    Case(
        "restore",
        _restore,
        ("DUMP thing", "RESTORE thing"),
        ("DUMP", "RESTORE"),
        trips=2,
        touches=False,
        timed=("DUMP thing", "EVALSHA with_ttl thing"),
    ),
    Case("key_type", lambda xs: xs.key_type(), ("TYPE thing",), ("TYPE",), touches=False, clock="look"),
    Case("exists", lambda xs: xs.exists(), ("EXISTS thing",), ("EXISTS",), touches=False, clock="look"),
    Case("delete_redis_key", lambda xs: xs.delete_redis_key(), ("UNLINK thing",), ("UNLINK",), touches=False),
    Case("clear", lambda xs: xs.clear(), ("UNLINK thing",), ("UNLINK",), touches=False),
]
