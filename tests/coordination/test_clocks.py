"""A server whose clock was set back: nothing of before lasts longer than it was given.

What is written here is what a process leaves that was killed while its server's clock was an hour ahead.
"""

from __future__ import annotations

import asyncio

import pytest
from redis.asyncio import Redis

from purse._coordination.beside import beside
from purse._coordination.lock_line import PLACE
from purse.limits import RedisRateLimiter, RedisSemaphore
from purse.locks import RedisLock
from purse.redlock import Redlock
from tests.support.clients import all_keys, command

KEY = "gate"
HOUR = 3600


async def server_time(redis: Redis) -> float:
    """Seconds, by the server's clock."""
    seconds, microseconds = await command(redis, "TIME")
    return float(seconds) + float(microseconds) / 1e6


async def expires(redis: Redis, key: str, member: str) -> float:
    """Seconds until a permit expires, or a place is forfeit, by the unit that its score is in."""
    score, now = float(await command(redis, "ZSCORE", key, member)), await server_time(redis)
    return score / (1e6 if score > 1e14 else 1e3) - now


@pytest.mark.parametrize("ahead", [HOUR, 1e9, float("inf")])
async def test_places_of_a_process_that_was_killed(redis: Redis, ahead: float) -> None:
    """They are kept for as long as the places of a process that was killed now, and then given up."""
    queue, sessions = beside(KEY, "queue"), beside(KEY, "sessions")
    await redis.zadd(queue, {"dead/1/10000": 1, "dead/2/10000": 2})
    await redis.zadd(sessions, {"dead": 1e3 * (await server_time(redis) + ahead)})
    await redis.expire(queue, HOUR)
    await redis.expire(sessions, HOUR)
    lock = RedisLock(redis, KEY)

    assert await lock.acquire(blocking=False) is None  # it looks as if they were alive
    assert await expires(redis, sessions, "dead") <= PLACE
    await command(redis, "ZADD", sessions, "XX", 1e3 * await server_time(redis) - 1, "dead")  # that long after
    lease = await lock.acquire(blocking=False)
    assert lease is not None
    await lease.release()
    assert await all_keys(redis) == [beside(KEY, "fence").encode()]


async def test_a_lock_of_a_process_that_was_killed(redis: Redis) -> None:
    """It is held for its lease at most from when somebody wants it; of a live one that is no less than it has."""
    dead = "dead/1/400"
    await redis.set(KEY, dead, px=HOUR * 1000)
    lock = RedisLock(redis, KEY)

    async with asyncio.timeout(20), lock:
        assert await redis.get(KEY) != dead.encode()

    long = await RedisLock(redis, KEY, lease=60).acquire()
    assert long is not None
    assert await asyncio.create_task(RedisLock(redis, KEY, lease=1).acquire(blocking=False)) is None
    assert await redis.pttl(KEY) > 50_000
    await long.release()


async def test_a_lock_whose_lease_is_not_known(redis: Redis) -> None:
    """What somebody else has stored under the key is left as it is."""
    for value in ("somebody", "a/b/c", "a/1/nan", "a/1/"):
        await redis.set(KEY, value, px=HOUR * 1000)
        assert await RedisLock(redis, KEY).acquire(blocking=False) is None
        assert await redis.pttl(KEY) > 10_000


async def test_permits_of_a_process_that_was_killed(redis: Redis) -> None:
    """They expire within the lease that they say in their names, or else in that of the caller that wants one."""
    semaphore, now = RedisSemaphore(redis, "workers", limit=3, lease=0.5), await server_time(redis)
    long = await RedisSemaphore(redis, "workers", limit=3, lease=60).acquire()
    await redis.zadd("workers", dict.fromkeys(("dead-1:300000", "foreign"), 1000000.0 * (now + HOUR)))

    assert await semaphore.acquire(blocking=False) is None
    assert await expires(redis, "workers", "dead-1:300000") <= 0.3
    assert await expires(redis, "workers", "foreign") <= 0.5
    async with asyncio.timeout(20):
        for _ in range(2):
            await semaphore.acquire()
    assert await expires(redis, "workers", long.id) > 30


async def test_a_rate_limiter_is_full_at_most(redis: Redis) -> None:
    """Hits of an hour ahead count as of now."""
    for algorithm in ("gcra", "sliding_window"):
        limiter = RedisRateLimiter(redis, algorithm, rate="2/second", algorithm=algorithm)
        ahead = f"{1e6 * (await server_time(redis) + HOUR):.0f}"
        if algorithm == "gcra":
            await redis.set(algorithm, f"{ahead} 0")
        else:
            await redis.rpush(algorithm, ahead, ahead)
        assert (await limiter.hit()).retry_after <= 1


async def test_a_note_that_somebody_waits(masters: list[Redis]) -> None:
    """A note on a master that is kept for longer than notes are kept does not say that anybody waits."""
    await asyncio.gather(*(m.set(beside(KEY, "waiting"), "somebody", px=HOUR * 1000) for m in masters))
    lock = Redlock(KEY, masters)
    for _ in range(2):
        assert await lock.acquire()
        line = lock._lines.get(asyncio.get_running_loop())  # pyright: ignore[reportPrivateUsage]
        await lock.release()
        assert line is not None
        assert not line._others_wait  # pyright: ignore[reportPrivateUsage]
