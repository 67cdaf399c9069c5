"""Locks, limiters and semaphores as type checkers see them. Read by mypy and pyright, never run."""

from __future__ import annotations

from datetime import timedelta
from typing import Literal, assert_type

from redis.asyncio import Redis

from purse import RedisLock, RedisRateLimiter, RedisSemaphore, Redlock
from purse.limits import Permit, Rate, RateLimit
from purse.locks import Lease, fenced_set


def constructors(client: Redis, masters: list[Redis]) -> None:
    """Seconds or ``timedelta``, text or ``Rate``."""
    assert_type(RedisLock(client, "k", lease=30, watchdog=True), RedisLock)
    assert_type(RedisLock(client, "k", lease=timedelta(seconds=5), replicas=1, replicas_timeout=0.5), RedisLock)
    assert_type(RedisRateLimiter(client, "k", rate="10/second", burst=20), RedisRateLimiter)
    assert_type(RedisRateLimiter(client, "k", rate=Rate(5, timedelta(1)), algorithm="sliding_window"), RedisRateLimiter)
    assert_type(RedisSemaphore(client, "k", limit=3, lease=30), RedisSemaphore)
    assert_type(Redlock("k", masters, False, 10_000, 3, True, -1), Redlock)
    assert_type(Redlock("k", masters, watchdog=True, fencing=True, min_uptime=60), Redlock)


async def locks(lock: RedisLock) -> None:
    """``RedisLock``."""
    assert_type(lock.redis, Redis)
    assert_type(lock.rkey, str)
    async with lock as lease:
        assert_type(lease, Lease)
    async with lock.within(5) as lease:
        assert_type(lease, Lease)
    async with lock.within(timedelta(seconds=5)):
        pass
    assert_type(await lock.acquire(), Lease | None)
    assert_type(await lock.acquire(blocking=False, timeout=1), Lease | None)
    assert_type(await lock.extend(), None)
    assert_type(await lock.locked(), bool)
    assert_type(await lock.release(), None)


async def leases(lease: Lease, client: Redis) -> None:
    """``Lease``, one holding of a lock."""
    assert_type(lease.key, str)
    assert_type(lease.token, int)
    assert_type(lease.remaining, float)
    assert_type(lease.extensions, int)
    assert_type(await lease.extend(), None)
    assert_type(await lease.release(), None)
    assert_type(await fenced_set(client, "k", b"value", lease), None)


async def redlocks(lock: Redlock) -> None:
    """``Redlock``, as 2.x had it."""
    assert_type(lock.key, str)
    assert_type(lock.auto_release_time, int)
    assert_type(await lock.acquire(), bool)
    assert_type(await lock.acquire(blocking=True, timeout=1, raise_on_redis_errors=True), bool)
    assert_type(await lock.extend(raise_on_redis_errors=True), None)
    assert_type(await lock.locked(), int)
    assert_type(await lock.release(), None)
    async with lock as lease:
        assert_type(lease, Lease)


async def limiters(api: RedisRateLimiter) -> None:
    """``RedisRateLimiter``."""
    assert_type(api.redis, Redis)
    assert_type(api.rkey, str)
    assert_type(api.rate, Rate)
    assert_type(api.limit, int)
    assert_type(api.algorithm, Literal["gcra", "sliding_window"])
    assert_type(await api.hit(), RateLimit)
    assert_type(await api.hit("me", cost=2), RateLimit)
    assert_type(await api.hit(7), RateLimit)
    assert_type(await api.peek("me"), RateLimit)
    assert_type(await api.wait("me", cost=2, timeout=timedelta(seconds=1)), RateLimit)
    assert_type(await api.reset("me"), bool)


def rates(rate: Rate, limit: RateLimit) -> None:
    """``Rate`` and ``RateLimit``."""
    assert_type(Rate.parse("5/10 seconds"), Rate)
    assert_type(rate.count, int)
    assert_type(rate.per, timedelta)
    assert_type(limit.allowed, bool)
    assert_type(limit.remaining, int)
    assert_type(limit.limit, int)
    assert_type(limit.retry_after, float)
    assert_type(limit.reset_after, float)


async def semaphores(beds: RedisSemaphore) -> None:
    """``RedisSemaphore``."""
    assert_type(beds.redis, Redis)
    assert_type(beds.rkey, str)
    assert_type(beds.limit, int)
    assert_type(beds.lease, float)
    async with beds as permit:
        assert_type(permit, Permit)
    assert_type(await beds.acquire(), Permit)
    assert_type(await beds.acquire(timeout=1), Permit | None)
    assert_type(await beds.acquire(blocking=False), Permit | None)
    assert_type(await beds.available(), int)


async def permits(permit: Permit) -> None:
    """``Permit``, one place of a semaphore."""
    assert_type(permit.key, str)
    assert_type(permit.id, str)
    assert_type(permit.remaining, float)
    assert_type(await permit.extend(), None)
    assert_type(await permit.release(), None)
    async with permit as same:
        assert_type(same, Permit)
