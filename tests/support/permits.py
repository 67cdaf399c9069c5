"""What the tests of semaphores ask."""

from __future__ import annotations

from redis.asyncio import Redis

from purse.limits import RedisSemaphore
from tests.support.clients import command
from tests.support.tasks import purse_tasks

__all__ = ["Watch", "expiries", "no_task_left", "only_waits", "waiters_of"]


async def no_task_left() -> bool:
    """Whether nothing of purse waits or cleans up any more."""
    return not any("permit" in name or name == "purse: giving back" for name in purse_tasks())


async def waiters_of(semaphore: RedisSemaphore) -> int:
    """How many callers of this loop wait."""
    return len(semaphore._line())  # pyright: ignore[reportPrivateUsage]


async def only_waits(semaphore: RedisSemaphore) -> bool:
    """Whether nothing is on its way: what is taken in the moment when the connection breaks may be lost."""
    return semaphore._line()._idle  # pyright: ignore[reportPrivateUsage]


async def expiries(redis: Redis) -> dict[bytes, float]:
    """When each permit expires."""
    names = await command(redis, "ZRANGE", "workers", 0, -1)
    return {name: float(await command(redis, "ZSCORE", "workers", name)) for name in names}


class Watch:
    """Counts who is inside."""

    def __init__(self, limit: int) -> None:
        self._limit = limit
        self.inside = 0
        self.most = 0
        self.entries = 0

    def enter(self) -> None:
        self.inside += 1
        self.entries += 1
        self.most = max(self.most, self.inside)
        assert self.inside <= self._limit

    def leave(self) -> None:
        self.inside -= 1
