"""Losses: connections that are lost over the same command.

A proxy may refuse a command that it does not know by closing the connection. One lost connection does not prove that:
the server may have been restarted in that moment. After ``MOST`` of them, one after the other, the command is not sent
any more. Three questions are asked in this way: whether the server executes transactions (``transactions``, asked again
after a second), whether it is a node of a cluster (``nodes``, never asked again), and whether it reports changed keys
(``wakeups``, asked again after five minutes).
"""

from __future__ import annotations

import weakref

__all__ = ["MOST", "Losses"]

MOST = 3
"""Connections lost over the same command, one after the other, after which it is not sent any more."""


class Losses:
    """Counts the connections that were lost over one command since it was last answered.

    Attributes:
        count: the number of them.
    """

    __slots__ = ("_last", "count")

    def __init__(self) -> None:
        self.count: int = 0
        self._last: weakref.ref[object] | None = None

    def add(self, lost: object) -> bool:
        """Count a lost connection. Returns whether there are ``MOST`` of them now.

        Args:
            lost: stands for the connection, which counts once even if many calls have waited for its answer.
        """
        if self._last is None or self._last() is not lost:
            self._last = weakref.ref(lost)
            self.count += 1
        return self.count >= MOST

    def clear(self) -> None:
        """Count from 0 again, because an answer has come."""
        self.count, self._last = 0, None
