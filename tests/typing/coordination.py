"""Locks, limiters and semaphores as type checkers see them. Read by mypy and pyright, never run."""

from __future__ import annotations

from typing import assert_type

from redis.asyncio import Redis

from purse import RedisLock, RedisRateLimiter, RedisSemaphore, Redlock, Store, field
from purse.limits import Permit, RateLimit
from purse.locks import Lease


class Garden(Store, namespace="typing-coordination"):
    """Each of them as a field."""

    lock: RedisLock = field(lease=30, watchdog=True)
    api: RedisRateLimiter = field(rate="10/second", burst=20)
    beds: RedisSemaphore = field(limit=3)


async def of_a_store(garden: Garden) -> None:
    """A field is what its annotation says."""
    assert_type(garden.lock, RedisLock)
    async with garden.lock as lease:
        assert_type(lease, Lease)
        assert_type(lease.token, int)
        assert_type(lease.remaining, float)
    assert_type(await garden.lock.acquire(timeout=1), Lease | None)
    assert_type(await garden.lock.locked(), bool)
    assert_type(await garden.api.hit("me", cost=2), RateLimit)
    assert_type((await garden.api.peek("me")).retry_after, float)
    async with garden.beds as permit:
        assert_type(permit, Permit)
        assert_type(permit.remaining, float)
    assert_type(await garden.beds.available(), int)


async def redlock(masters: list[Redis]) -> None:
    """As 2.x had it."""
    lock = Redlock("k", masters, False, 10_000, 3, True, -1)
    assert_type(await lock.acquire(blocking=True, timeout=1), bool)
    assert_type(await lock.locked(), int)
    assert_type(await lock.release(), None)
    async with Redlock("k", masters, watchdog=True, fencing=True) as lease:
        assert_type(lease, Lease)


async def wrong(garden: Garden, client: Redis) -> None:
    """What both checkers refuse."""
    Redlock("k", client)  # type: ignore[arg-type]  # pyright: ignore[reportArgumentType]
    RedisLock(client)  # type: ignore[call-arg]  # pyright: ignore[reportCallIssue]
    RedisRateLimiter(client, "k")  # type: ignore[call-arg]  # pyright: ignore[reportCallIssue]
    RedisSemaphore(client, "k", limit="3")  # type: ignore[arg-type]  # pyright: ignore[reportArgumentType]
    await garden.api.hit("me", cost="2")  # type: ignore[arg-type]  # pyright: ignore[reportArgumentType]
