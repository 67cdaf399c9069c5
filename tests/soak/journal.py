"""What happened, what was counted and what was found."""

from __future__ import annotations

import time
from collections import Counter, deque

__all__ = ["EVERYWHERE", "Breaks", "Journal"]

EVERYWHERE = "faults"
"""The subject of events that concern every structure."""

_KEPT = 20_000  # events; enough for a round, and soon full, so that it does not look like a leak
_SHOWN = 60  # of them in a finding
_MOST_FINDINGS = 50  # more than that are the same


class Journal:
    """Events by their subject, counts by their name, and findings.

    Attributes:
        tally: how often things happened.
        findings: what must not be, each with the events that led to it.
        dropped: findings beyond the first 50.
    """

    def __init__(self) -> None:
        self._events: deque[tuple[float, str, str]] = deque(maxlen=_KEPT)
        self._started = time.monotonic()
        self.tally: Counter[str] = Counter()
        self.findings: list[str] = []
        self.dropped = 0

    def count(self, what: str, times: int = 1) -> None:
        """Count something."""
        self.tally[what] += times

    def note(self, subject: str, text: str) -> None:
        """Write an event down."""
        self._events.append((time.monotonic() - self._started, subject, text))

    def find(self, subject: str, what: str, *words: str) -> None:
        """Something must not be.

        Args:
            subject: the structure; the finding shows its latest events, and the faults.
            what: what it is.
            words: show only events that have one of them.
        """
        if len(self.findings) >= _MOST_FINDINGS:
            self.dropped += 1
            return
        events = [
            f"    {at:9.4f}  {about}: {text}"
            for at, about, text in self._events
            if about == EVERYWHERE or (about == subject and (not words or any(word in text for word in words)))
        ]
        self.findings.append("\n".join([f"{subject}: {what}", *events[-_SHOWN:]]))


class Breaks:
    """When connections were lost, or may have been: the only times at which something that was taken may be lost."""

    def __init__(self) -> None:
        self._spans: list[tuple[float, float]] = []

    def add(self, began: float, ended: float) -> None:
        """There was a break somewhere in this time."""
        self._spans.append((began, ended))

    def any_in(self, began: float, ended: float) -> bool:
        """Whether there was a break in this time."""
        return any(start <= ended and end >= began for start, end in self._spans)
