"""A cancellation must not get lost on the way through redis-py, and none must come from there.

Python 3.11's ``asyncio.wait_for``, which redis-py puts around every send, swallows a cancellation that
arrives in the same loop iteration as the result. A task that goes on after that may wait for ever, and
keep ``asyncio.run`` from returning. And it runs the send in a separate task, which the end of ``asyncio.run``
cancels: the caller sees a cancellation, although nobody has cancelled it.
"""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable
from typing import TypeVar

from redis.exceptions import ConnectionError

__all__ = ["CAME_BETWEEN", "keeping_cancellation"]

CAME_BETWEEN = (asyncio.CancelledError, KeyboardInterrupt, SystemExit, MemoryError)
"""What can end a task between any two lines, whatever it does there: its work is to be done again by another."""

T = TypeVar("T")


async def keeping_cancellation(call: Awaitable[T]) -> T:
    """Await ``call``; raise ``CancelledError`` if and only if the task was cancelled by then.

    Raises:
        redis.exceptions.ConnectionError: something inside of ``call`` was cancelled, and the task was not.
    """
    task = asyncio.current_task()
    before = task.cancelling() if task is not None else 0
    try:
        result = await call
    except asyncio.CancelledError:
        if task is None or before or task.cancelling():
            raise
        raise ConnectionError("the event loop has cancelled what the connection was doing") from None
    if task is not None and task.cancelling() > before:
        # A scope of anyio knows its own cancellation by the message, which is lost, and cancels again
        # until the task has left it: let it. One of asyncio comes only once.
        for _ in range(3):
            await asyncio.sleep(0)
        raise asyncio.CancelledError
    return result
