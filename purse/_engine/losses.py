"""Losses: connections that are lost over the same words.

A proxy may refuse a command that it does not know by hanging up. One lost connection says nothing: a server was
restarted in that moment. After ``MOST`` of them, one after the other, the command is not sent any more for a while.
Three things are asked in this way: whether the server executes transactions (``transactions``), whether it is a node of
a cluster (``nodes``), and whether it tells of changed keys (``wakeups``).
"""

from __future__ import annotations

import weakref

__all__ = ["MOST", "Losses"]

MOST = 3
"""Connections that may be lost over the same words, one after the other."""


class Losses:
    """How many connections were lost over some words since these were last answered.

    Attributes:
        count: how many.
    """

    __slots__ = ("_last", "count")

    def __init__(self) -> None:
        self.count: int = 0
        self._last: weakref.ref[object] | None = None

    def add(self, lost: object) -> bool:
        """Count a connection; whether they are too many now.

        Args:
            lost: stands for the connection, which counts once however many calls have waited for its answer.
        """
        if self._last is None or self._last() is not lost:
            self._last = weakref.ref(lost)
            self.count += 1
        return self.count >= MOST

    def clear(self) -> None:
        """An answer has come."""
        self.count, self._last = 0, None
