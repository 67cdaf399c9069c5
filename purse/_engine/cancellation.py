"""Keep cancellations intact while redis-py runs: none may be lost there, and none may come from there.

Python 3.11's ``asyncio.wait_for``, which redis-py puts around every send, swallows a cancellation that
arrives in the same loop iteration as the result. A task that continues after that may wait for ever, and
keep ``asyncio.run`` from returning. ``wait_for`` also runs the send in a separate task, which the end of
``asyncio.run`` cancels: the caller sees a cancellation, although it was not cancelled.
"""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable
from typing import TypeVar

from redis.exceptions import ConnectionError

__all__ = ["CAME_BETWEEN", "keeping_cancellation"]

CAME_BETWEEN = (asyncio.CancelledError, KeyboardInterrupt, SystemExit, MemoryError)
"""Exceptions that can end a task between any two lines. Another task has to do its work again."""

T = TypeVar("T")


async def keeping_cancellation(call: Awaitable[T]) -> T:
    """Await ``call``. Raises ``CancelledError`` if and only if the task was cancelled by then.

    Raises:
        redis.exceptions.ConnectionError: a task inside ``call`` was cancelled, and the calling task was not.
    """
    task = asyncio.current_task()
    before = task.cancelling() if task is not None else 0
    try:
        result = await call
    except asyncio.CancelledError:
        if task is None or before or task.cancelling():
            raise
        raise ConnectionError("the event loop has cancelled an operation of the connection") from None
    if task is not None and task.cancelling() > before:
        # A scope of anyio recognises its own cancellation by the message, which is lost. It cancels again until the
        # task has left it, so let it do so. A cancellation of asyncio comes only once.
        for _ in range(3):
            await asyncio.sleep(0)
        raise asyncio.CancelledError
    return result
