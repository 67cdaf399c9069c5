"""A key that one task writes: it reads what it wrote last."""

from __future__ import annotations

from tests.soak.calls import Done, Outcome, Unsure
from tests.soak.journal import Journal

__all__ = ["Register"]


class Register:
    """What may be under a key of which only one task at a time makes calls.

    A write that nobody saw the end of may happen at any later time, but once: so after it was seen and another was
    written over it, it never comes back.

    Args:
        name: the structure, the subject of findings.
        key: the key in it.
        journal: for findings.
    """

    def __init__(self, name: str, key: str, journal: Journal) -> None:
        self._name = name
        self._key = key
        self._journal = journal
        self._value: str | None = None
        self._pending: list[str | None] = []

    def wrote(self, value: str | None, outcome: Outcome[object]) -> None:
        """What came of writing ``value``; None is a deletion."""
        if isinstance(outcome, Done):
            self._value = value
        elif isinstance(outcome, Unsure):
            self._pending.append(value)

    def read(self, outcome: Outcome[str | None]) -> None:
        """What came of reading."""
        if not isinstance(outcome, Done) or outcome.value == self._value:
            return
        if outcome.value in self._pending:
            self._pending.remove(outcome.value)
            self._value = outcome.value
        else:
            self._journal.find(
                self._name,
                f"{self._key} is {outcome.value!r}, but {self._value!r} was written last, and perhaps later one of "
                f"{self._pending}: a wrong answer",
                self._key,
            )
