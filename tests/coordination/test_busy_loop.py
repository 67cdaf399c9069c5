"""A loop that did something else for longer than a lock waits for its server: the server has answered in time."""

from __future__ import annotations

import asyncio
import time

import pytest
from redis.asyncio import Redis

from purse import RedisLock
from tests.support.selection import thorough_but

BUSY = 1.5  # seconds; more than any of the bounds


def hold_up() -> None:
    """Somebody's synchronous work."""
    time.sleep(BUSY)


@pytest.mark.parametrize("steps", thorough_but(1, every=range(4)))
async def test_acquired_at_once(redis: Redis, steps: int) -> None:
    """A free lock is had, although the answer was not read in time."""
    async with RedisLock(redis, "gate"):
        pass
    acquiring = asyncio.create_task(RedisLock(redis, "gate").acquire(blocking=False))
    for _ in range(steps):
        await asyncio.sleep(0)
    asyncio.get_running_loop().call_soon(hold_up)

    lease = await acquiring
    assert lease is not None
    await lease.release()


@pytest.mark.thorough
@pytest.mark.parametrize("steps", thorough_but(1, every=range(4)))
async def test_released(redis: Redis, steps: int) -> None:
    """A release that the server has confirmed is not reported as one that it has not."""
    lease = await RedisLock(redis, "gate").acquire()
    assert lease is not None
    releasing = asyncio.create_task(lease.release())
    for _ in range(steps):
        await asyncio.sleep(0)
    asyncio.get_running_loop().call_soon(hold_up)

    await releasing
    assert not await redis.exists("gate")
