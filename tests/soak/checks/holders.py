"""Locks and permits: never more inside than may be; tokens grow; a late holder overwrites nothing."""

from __future__ import annotations

from collections.abc import Generator
from contextlib import contextmanager
from typing import Protocol

from tests.soak.calls import Done, Outcome, Refused
from tests.soak.journal import Journal

__all__ = ["Fence", "Holders"]


class Validity(Protocol):
    """A lease or a permit."""

    @property
    def remaining(self) -> float:
        """Seconds for which it is certainly good."""
        ...


class Holders:
    """Who is inside, with what is left of the time for which it may be.

    Args:
        name: the lock, the subject of findings.
        limit: how many may be inside at once.
        journal: for findings.

    Attributes:
        entries: how often somebody came in.
    """

    def __init__(self, name: str, limit: int, journal: Journal) -> None:
        self._name = name
        self._limit = limit
        self._journal = journal
        self._inside: dict[object, tuple[str, Validity]] = {}
        self._latest = 0
        self.entries = 0

    @contextmanager
    def inside(self, who: str, lease: Validity, token: int | None = None) -> Generator[None]:
        """``who`` is inside; outside its validity it does not count."""
        place = object()
        if lease.remaining > 0:
            self.entries += 1
            others = [
                f"{other} for {held.remaining:.4f} s" for other, held in self._inside.values() if held.remaining > 0
            ]
            if len(others) >= self._limit:
                self._journal.find(self._name, f"{who} came in while there were inside: {', '.join(others)}")
            if token is not None:
                if token <= self._latest:
                    self._journal.find(self._name, f"{who} has the token {token}, after {self._latest}")
                self._latest = max(self._latest, token)
        self._inside[place] = who, lease
        self._journal.note(self._name, f"{who} is inside, token {token}, for {lease.remaining:.4f} s")
        try:
            yield
        finally:
            del self._inside[place]
            self._journal.note(self._name, f"{who} is outside, {lease.remaining:.4f} s before it had to be")


class Fence:
    """A value that is written under tokens: it never goes back to an earlier one.

    Args:
        name: the value, the subject of findings.
        journal: for findings.
    """

    def __init__(self, name: str, journal: Journal) -> None:
        self._name = name
        self._journal = journal
        self._written = 0  # the greatest token whose write has ended
        self._begun: set[int] = {0}

    def begin(self, token: int) -> int:
        """A write begins, over what was written at least."""
        self._begun.add(token)
        return self._written

    @property
    def floor(self) -> int:
        """What a read that begins now sees at least."""
        return self._written

    def wrote(self, token: int, outcome: Outcome[None], floor: int) -> None:
        """What came of writing; a refusal says that a later holder has written."""
        if isinstance(outcome, Done):
            if token < floor:
                self._journal.find(self._name, f"{token} was written over {floor}")
            self._written = max(self._written, token)
        elif isinstance(outcome, Refused) and type(outcome.error).__name__ == "LockLost" and max(self._begun) <= token:
            self._journal.find(self._name, f"{token} was refused, and nobody had a later token: a wrong answer")

    def read(self, token: int, floor: int) -> None:
        """What was read."""
        if token < floor or token not in self._begun:
            self._journal.find(self._name, f"{token} was read; {floor} had been written before: a wrong answer")
        self._written = max(self._written, token)
