"""One task that many callers wait for: none of them cancels it, and leaving costs each of them the same.

``asyncio.shield`` and ``asyncio.wait`` do that, too, but each caller that leaves looks through the callbacks of all
others, so that a hundred thousand callers which are cancelled together take minutes.
"""

from __future__ import annotations

import asyncio
from typing import Generic, TypeVar

__all__ = ["Awaited"]

T = TypeVar("T")


class Awaited(Generic[T]):
    """Who waits for ``task``.

    Attributes:
        task: what they wait for. Cancelling a caller does not cancel it.
    """

    def __init__(self, task: asyncio.Task[T]) -> None:
        self.task: asyncio.Task[T] = task
        self._waiters: dict[asyncio.Future[None], None] = {}  # a set that keeps the order
        # Twice: a Ctrl-C before the first line of a callback loses one of them.
        task.add_done_callback(self._tell)
        task.add_done_callback(self._tell)

    async def done(self) -> None:
        """Wait until the task is done, in whatever way; at once if it is."""
        if self.task.done():
            return
        waiter: asyncio.Future[None] = self.task.get_loop().create_future()
        self._waiters[waiter] = None
        try:
            await waiter
        finally:
            if waiter.done():  # or else its coroutine was closed, and the task that runs it has to be woken
                self._waiters.pop(waiter, None)

    async def result(self) -> T:
        """What the task returns.

        Raises:
            BaseException: what the task raised; ``CancelledError`` if it, or this caller, was cancelled.
        """
        await self.done()
        return self.task.result()

    def _tell(self, task: asyncio.Task[T]) -> None:
        if not task.cancelled():
            task.exception()  # retrieved, even if nobody waits any more
        for waiter in self._waiters:
            if not waiter.done():
                waiter.set_result(None)
