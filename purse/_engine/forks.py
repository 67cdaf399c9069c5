"""Forks: how a child process treats the objects of its parent's event loops and threads.

    ``keep``         refers to sockets, tasks and transports of the parent's loops: dropping one would close it, or wake
                     that loop
    ``in_child``     has a function called in each child, before anything else runs there
    ``ThreadLock``   a lock of threads that is free in the child, even if a thread of the parent held it

A child has one thread, a copy of the one that forked. So nothing here needs to be protected.
"""

from __future__ import annotations

import os
import threading
import weakref
from collections.abc import Callable
from types import TracebackType

__all__ = ["ThreadLock", "in_child", "keep"]

_kept: list[object] = []


def keep(inherited: object) -> None:
    """Refer to ``inherited`` until the process ends."""
    _kept.append(inherited)


def in_child(do: Callable[[], None]) -> None:
    """Call ``do`` in each child process that is forked from now on."""
    if hasattr(os, "register_at_fork"):  # not on Windows
        os.register_at_fork(after_in_child=do)


class ThreadLock:
    """``threading.RLock`` in a ``with`` statement, for changes that take several steps.

    Re-entrant, because the garbage collector may call a finalizer that needs it while this thread holds it.
    """

    __slots__ = ("__weakref__", "_lock")

    def __init__(self) -> None:
        self.renew()
        _locks.add(self)

    def renew(self) -> None:
        """Make it free: the thread that held it does not exist in this process."""
        self._lock = threading.RLock()

    def __enter__(self) -> None:
        self._lock.acquire()

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        self._lock.release()


_locks: weakref.WeakSet[ThreadLock] = weakref.WeakSet()


def _renew_all() -> None:
    for lock in _locks:
        lock.renew()


in_child(_renew_all)
