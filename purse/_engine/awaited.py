"""One task that many callers wait for: cancelling a caller does not cancel the task, and leaving is O(1).

``asyncio.shield`` and ``asyncio.wait`` do the same, but each caller that leaves searches the callbacks of all
others, so that a hundred thousand callers that are cancelled together take minutes.
"""

from __future__ import annotations

import asyncio
from typing import Generic, TypeVar

__all__ = ["Awaited"]

T = TypeVar("T")


class Awaited(Generic[T]):
    """A task and the callers that wait for it.

    Attributes:
        task: the task. Cancelling a caller does not cancel it.
    """

    def __init__(self, task: asyncio.Task[T]) -> None:
        self.task: asyncio.Task[T] = task
        self._waiters: dict[asyncio.Future[None], None] = {}  # a set that keeps the order
        # Twice: a Ctrl-C before the first line of a callback loses one of them.
        task.add_done_callback(self._tell)
        task.add_done_callback(self._tell)

    async def done(self) -> None:
        """Wait until the task has returned, raised or been cancelled. Returns at once if it is done."""
        if self.task.done():
            return
        waiter: asyncio.Future[None] = self.task.get_loop().create_future()
        self._waiters[waiter] = None
        try:
            await waiter
        finally:
            if waiter.done():  # otherwise its coroutine was closed, and the task that runs it has to be woken
                self._waiters.pop(waiter, None)

    async def result(self) -> T:
        """Wait until the task is done, and return its result.

        Raises:
            BaseException: the task raised it. ``CancelledError`` if the task, or this caller, was cancelled.
        """
        await self.done()
        return self.task.result()

    def _tell(self, task: asyncio.Task[T]) -> None:
        if not task.cancelled():
            task.exception()  # retrieved, even if no caller waits any more
        for waiter in self._waiters:
            if not waiter.done():
                waiter.set_result(None)
