"""Rate limits: never more hits in a time than may pass in it."""

from __future__ import annotations

from bisect import insort
from collections.abc import Callable

from tests.soak.journal import Journal

__all__ = ["Rates"]

_CLOCKS = 0.01  # by how much the server's clock may run faster than ours


class Rates:
    """Hits that passed, each at some time between its beginning and its end.

    Args:
        name: the limiter, the subject of findings.
        journal: for findings.
    """

    def __init__(self, name: str, journal: Journal) -> None:
        self._name = name
        self._journal = journal
        self._hits: list[tuple[float, float]] = []

    def passed(self, began: float, ended: float) -> None:
        """A hit passed."""
        self._hits.append((began, ended))

    def judge_window(self, count: int, seconds: float) -> None:
        """At most ``count`` in any window of so many seconds."""
        self._judge(lambda number, span: number <= count or span * (1 + _CLOCKS) >= seconds)

    def judge_bucket(self, burst: int, per_second: float) -> None:
        """At most ``burst`` and so many a second in any time."""
        self._judge(lambda number, span: number <= burst + per_second * span * (1 + _CLOCKS))

    def _judge(self, may: Callable[[int, float], bool]) -> None:
        self._journal.count("hits", len(self._hits))
        ends: list[float] = []
        for began, ended in sorted(self._hits, reverse=True):
            insort(ends, ended)  # of all that began at this time or later
            for nth, end in enumerate(ends, 1):
                if not may(nth, end - began):
                    self._journal.find(self._name, f"{nth} hits have passed within {end - began:.4f} s")
                    return
