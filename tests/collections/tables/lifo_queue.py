"""The calls of ``RedisLifoQueue``."""

from __future__ import annotations

from redis.asyncio import Redis

from purse.collections.queue import RedisLifoQueue
from tests.collections.tables.case import Case
from tests.collections.tables.queue import Builder, calls

KEY = "stack"


async def fill(redis: Redis) -> None:
    """Three items: 3 comes first."""
    await redis.rpush(KEY, "1", "2", "3")


async def spoil(redis: Redis) -> None:
    """Items that are no int."""
    await redis.rpush(KEY, "x", "x", "x")


build = Builder(lambda redis, ttl, maxsize: RedisLifoQueue(redis, KEY, int, ttl=ttl, maxsize=maxsize))

CALLS: list[Case[RedisLifoQueue[int]]] = calls(build.bounded, KEY, "RPUSH")
