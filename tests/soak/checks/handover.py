"""What is put comes out at most once, and exactly once where no connection was lost."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal, TypeAlias

from tests.soak.calls import Done, Outcome, Refused, Unsure
from tests.soak.journal import Breaks, Journal

__all__ = ["Handover", "InOrder"]

_LATER = 10.0  # seconds in which what a cancelled caller has taken goes back
_NAMED = 5  # items in a finding

_Put: TypeAlias = Literal["being put", "put", "maybe put", "refused"]


@dataclass(slots=True)
class _Item:
    put: _Put = "being put"
    taker: str | None = None


class Handover:
    """Unique items that go through one structure.

    An item that was put for certain must come out, unless somebody took it whose connection broke in that moment: so as
    many may be missing as were being taken by calls that did not see the end of it, with a break at that time.

    Args:
        name: the structure, the subject of findings.
        journal: for findings.
        breaks: when connections were lost.
    """

    def __init__(self, name: str, journal: Journal, breaks: Breaks) -> None:
        self._name = name
        self._journal = journal
        self._breaks = breaks
        self._items: dict[str, _Item] = {}
        self._unseen: list[tuple[int, float, float]] = []

    def putting(self, *items: str) -> None:
        """They are about to be put."""
        for item in items:
            self._items[item] = _Item()

    def put(self, outcome: Outcome[object], *items: str) -> None:
        """What came of putting them."""
        for item in items:
            entry = self._items[item]
            match outcome:
                case Done():
                    entry.put = "put"
                case Unsure():
                    entry.put = "maybe put"
                case Refused():
                    entry.put = "refused"
                    if entry.taker is not None:
                        self._refused_and_taken(item, entry)

    def took(self, taker: str, items: Sequence[str]) -> None:
        """They came out."""
        for item in items:
            entry = self._items.get(item)
            if entry is None:
                self._journal.find(self._name, f"{taker} took {item!r}, which nobody has put: a wrong answer")
            elif entry.taker is not None:
                self._journal.find(self._name, f"doubled: {taker} took {item!r}, as {entry.taker} did before", item)
            else:
                entry.taker = taker
                if entry.put == "refused":
                    self._refused_and_taken(item, entry)

    def may_have_taken(self, outcome: Unsure, most: int) -> None:
        """A call that takes did not see the end of it."""
        self._unseen.append((most, outcome.began, outcome.ended + _LATER))

    def missing(self) -> list[str]:
        """Items that were put for certain and have not come out."""
        return [name for name, item in self._items.items() if item.put == "put" and item.taker is None]

    def excused(self) -> int:
        """How many items may be missing."""
        return sum(most for most, began, ended in self._unseen if self._breaks.any_in(began, ended))

    def judge(self) -> None:
        """All is over, and what was left has been taken out."""
        self._journal.count("items handed over", sum(item.taker is not None for item in self._items.values()))
        missing, excused = self.missing(), self.excused()
        self._journal.count("items lost with their connection", len(missing))
        if len(missing) > excused:
            self._journal.find(
                self._name,
                f"lost: {len(missing)} items were put and never came out, {excused} of them may have been lost with a "
                f"connection: {missing[:_NAMED]}",
                *missing[:_NAMED],
            )

    def _refused_and_taken(self, item: str, entry: _Item) -> None:
        self._journal.find(self._name, f"{item!r} was refused, and {entry.taker} has taken it: a refused write", item)


class InOrder:
    """One consumer gets the items of each producer in the order in which they were put.

    Args:
        name: the structure, the subject of findings.
        journal: for findings.
        breaks: an item that was being put back when a connection broke may come back late.
    """

    def __init__(self, name: str, journal: Journal, breaks: Breaks) -> None:
        self._name = name
        self._journal = journal
        self._breaks = breaks
        self._latest: dict[str, int] = {}
        self._sure: set[str] = set()

    def put(self, outcome: Outcome[object], item: str) -> None:
        """What came of putting it, before the producer puts the next."""
        if isinstance(outcome, Done):
            self._sure.add(item)

    def took(self, item: str, now: float) -> None:
        """The consumer has got it."""
        producer, _, digits = item.rpartition("/")
        number = int(digits)
        latest = self._latest.get(producer, 0)
        if number < latest and item in self._sure and not self._breaks.any_in(now - _LATER, now):
            self._journal.find(
                self._name, f"out of order: {item!r} came after {producer}/{latest}", item, f"{producer}/{latest}"
            )
        self._latest[producer] = max(latest, number)
