"""A cancellation must not get lost on the way through redis-py.

Python 3.11's ``asyncio.wait_for``, which redis-py puts around every send, swallows a cancellation that
arrives in the same loop iteration as the result. A task that goes on after that may wait for ever, and
keep ``asyncio.run`` from returning.
"""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable
from typing import TypeVar

__all__ = ["keeping_cancellation"]

T = TypeVar("T")


async def keeping_cancellation(call: Awaitable[T]) -> T:
    """Await ``call``; raise ``CancelledError`` if the task was cancelled meanwhile and nothing else says so."""
    task = asyncio.current_task()
    before = task.cancelling() if task is not None else 0
    result = await call
    if task is not None and task.cancelling() > before:
        # A scope of anyio knows its own cancellation by the message, which is lost, and cancels again
        # until the task has left it: let it. One of asyncio comes only once.
        for _ in range(3):
            await asyncio.sleep(0)
        raise asyncio.CancelledError
    return result
