"""A cancellation must not get lost on the way through redis-py.

Python 3.11's ``asyncio.wait_for``, which redis-py puts around every send, swallows a cancellation that
arrives in the same loop iteration as the result. A task that goes on after that may wait for ever, and
keep ``asyncio.run`` from returning.
"""

from __future__ import annotations

import asyncio
from collections.abc import Generator
from contextlib import contextmanager

__all__ = ["cancellation_kept"]


@contextmanager
def cancellation_kept() -> Generator[None, None, None]:
    """Raise ``CancelledError`` at the end of the block if the task was cancelled inside and nothing has."""
    task = asyncio.current_task()
    before = task.cancelling() if task is not None else 0
    yield
    if task is not None and task.cancelling() > before:
        raise asyncio.CancelledError
