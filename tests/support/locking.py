"""What the tests of locks do with a lock."""

from __future__ import annotations

import asyncio
import inspect
import time
from collections.abc import Awaitable, Callable

from redis.asyncio import Redis

from purse._coordination.leases import Lease
from purse.redlock import Redlock

__all__ = ["LEASE", "delete_everywhere", "elapsed", "in_block"]

LEASE = 500
"""Milliseconds, where a test waits for a lease's end."""


async def delete_everywhere(masters: list[Redis], key: str) -> None:
    """Take the lock away from whoever holds it."""
    await asyncio.gather(*(master.delete(key) for master in masters))


async def in_block(lock: Redlock, body: Callable[[Lease], Awaitable[None]]) -> None:
    """Run ``body`` while ``lock`` is held."""
    async with lock as lease:
        await body(lease)


async def elapsed(call: Callable[[], object]) -> float:
    """Seconds that a call takes."""
    started = time.monotonic()
    result = call()
    if inspect.isawaitable(result):
        await result
    return time.monotonic() - started
