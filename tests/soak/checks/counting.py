"""Counters: each increment returns a number of its own, and none is counted that was refused."""

from __future__ import annotations

from tests.soak.calls import Done, Outcome, Refused
from tests.soak.journal import Journal

__all__ = ["Count"]


class Count:
    """One counter, to which every call adds 1.

    Args:
        name: the structure, the subject of findings.
        field: the counter in it.
        journal: for findings.
    """

    def __init__(self, name: str, field: str, journal: Journal) -> None:
        self._name = name
        self._field = field
        self._journal = journal
        self._seen: dict[int, str] = {}
        self._greatest = 0  # that any call has seen which has ended
        self._begun = 0
        self._refused = 0
        self._done = 0

    def begin(self, *, adding: bool) -> int:
        """A call begins; it cannot see less than the number that is returned."""
        self._begun += adding
        return self._greatest

    def added(self, caller: str, outcome: Outcome[float], least: int) -> None:
        """What came of adding 1."""
        if isinstance(outcome, Refused):
            self._refused += 1
        elif isinstance(outcome, Done):
            number = int(outcome.value)
            self._done += 1
            if number in self._seen:
                self._find(f"{caller} added 1 and got {number}, as {self._seen[number]} did before")
            self._seen[number] = caller
            self._saw(caller, number, least + 1)

    def read(self, caller: str, outcome: Outcome[float | None], least: int) -> None:
        """What came of reading."""
        if isinstance(outcome, Done):
            self._saw(caller, int(outcome.value or 0), least)

    def judge(self, final: float | None) -> None:
        """All is over, and the counter is at ``final``."""
        number = int(final or 0)
        most = self._begun - self._refused
        self._journal.count("counted", number)
        if not self._done <= number <= most:
            self._find(f"is {number}, but {self._done} calls have added 1 and {most} may have")

    def _saw(self, caller: str, number: int, least: int) -> None:
        most = self._begun - self._refused
        if not least <= number <= most:
            self._find(f"{caller} saw {number}, which is not from {least} to {most}")
        self._greatest = max(self._greatest, number)

    def _find(self, what: str) -> None:
        self._journal.find(self._name, f"{self._field}: {what}: a wrong answer", self._field)
