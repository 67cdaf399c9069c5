"""Trials, rows and the comparison: how a fair ratio comes about on a noisy machine.

A trial is one side's work of one round, measured by itself: it prepares, starts the clock, works, stops the
clock, and checks what came out. The two sides of a row run in the same process within the same second, and
the order alternates, so that whatever slows the machine down slows both.

    round     0 (warm-up)      1                2                3
    runs      purse, by hand   by hand, purse   purse, by hand   by hand, purse

A ratio is taken in each round; the row's ratio is the median of these, not the ratio of medians.
"""

from __future__ import annotations

import asyncio
import gc
import statistics
import time
from collections.abc import Awaitable, Callable, Sequence
from contextlib import AbstractContextManager
from dataclasses import dataclass, field
from typing import Protocol, Self, TypeAlias, TypeVar, TypeVarTuple

__all__ = ["Comparison", "Progress", "Raw", "Result", "Row", "Sample", "Stopwatch", "TimedRow", "Trial", "spread"]

T = TypeVar("T")
Arguments = TypeVarTuple("Arguments")

Raw: TypeAlias = "str | int | float | bool | list[float] | None"
"""What a result writes into the JSON file."""

Progress: TypeAlias = Callable[[str], None]


@dataclass(frozen=True)
class Sample:
    """Seconds that one trial took: on the clock, and of this process's CPU."""

    wall: float
    cpu: float


Trial: TypeAlias = Callable[[], Awaitable[Sample]]


class Stopwatch:
    """``with Stopwatch() as watch: ...`` and then ``watch.sample``; entered again it goes on counting.

    Garbage of whoever ran before is collected first, so that nobody pays for the other side's.
    """

    def __init__(self) -> None:
        self.sample = Sample(0.0, 0.0)
        gc.collect()

    def __enter__(self) -> Self:
        self._wall, self._cpu = time.perf_counter(), time.process_time()
        return self

    def __exit__(self, *exc_info: object) -> None:
        wall, cpu = time.perf_counter() - self._wall, time.process_time() - self._cpu
        self.sample = Sample(self.sample.wall + wall, self.sample.cpu + cpu)


class Result(Protocol):
    """What a row found out."""

    def cells(self) -> tuple[str, ...]:
        """The row as the table prints it; see ``table.HEADINGS``."""
        ...

    def raw(self) -> dict[str, Raw]:
        """The row as the JSON file has it."""
        ...


class Row(Protocol):
    """One line of the table, yet to be measured."""

    @property
    def name(self) -> str:
        """What is compared with what."""
        ...

    async def measure(self, rounds: int, progress: Progress) -> Result:
        """Compare both sides ``rounds`` times, after a warm-up."""
        ...


@dataclass(frozen=True)
class Comparison:
    """The samples of both sides, round by round, and what they say."""

    name: str
    amount: int
    target: float
    target_text: str
    purse: list[Sample]
    hand: list[Sample]

    @property
    def wall(self) -> float:
        """How many times as fast purse is, by the clock."""
        return statistics.median(h.wall / p.wall for p, h in zip(self.purse, self.hand, strict=True))

    @property
    def cpu(self) -> float:
        """How many times less CPU time purse takes."""
        return statistics.median(h.cpu / p.cpu for p, h in zip(self.purse, self.hand, strict=True))

    @property
    def reached(self) -> str:
        """Whether the median of the wall-clock and the CPU ratio is at least the target."""
        return "yes" if statistics.median([self.wall, self.cpu]) >= self.target else "no"

    def cells(self) -> tuple[str, ...]:
        """See ``Result``."""
        ratios = (f"{self.wall:.2f}x", f"{self.cpu:.2f}x")
        return (self.name, self._rate(self.purse), self._rate(self.hand), *ratios, self.target_text, self.reached)

    def raw(self) -> dict[str, Raw]:
        """See ``Result``."""
        sides = {"purse": self.purse, "by hand": self.hand}
        seconds: dict[str, Raw] = {}
        for side, samples in sides.items():
            seconds[f"{side}: wall-clock seconds"] = [sample.wall for sample in samples]
            seconds[f"{side}: CPU seconds"] = [sample.cpu for sample in samples]
        return {
            "name": self.name,
            "amount": self.amount,
            "wall ratio": self.wall,
            "CPU ratio": self.cpu,
            "target": self.target,
            "reached": self.reached,
            **seconds,
        }

    def _rate(self, samples: list[Sample]) -> str:
        rate = self.amount / statistics.median(sample.wall for sample in samples)
        return f"{rate:,.0f}" if rate >= 100 else f"{rate:.2g}"


async def nothing_to_set_up() -> None:
    """The ``setup`` of rows that need none."""


@dataclass(frozen=True)
class TimedRow:
    """A row that compares the time two sides take for the same ``amount`` of calls or items.

    Args:
        name: what is compared with what.
        amount: calls or items in one trial.
        target: the ratio to reach.
        purse: purse's trial.
        hand: the hand-written trial.
        setup: called once before the first round.
        target_text: the target in words, if "1.2x" does not say it.
    """

    name: str
    amount: int
    target: float
    purse: Trial
    hand: Trial
    setup: Callable[[], Awaitable[None]] = nothing_to_set_up
    target_text: str = field(default="")

    async def measure(self, rounds: int, progress: Progress) -> Comparison:
        """See ``Row``."""
        await self.setup()
        comparison = Comparison(self.name, self.amount, self.target, self.target_text or f"{self.target:g}x", [], [])
        for nth in range(rounds + 1):
            progress(f"{self.name}: round {nth} of {rounds}" if nth else f"{self.name}: warming up")
            if nth % 2:
                hand, purse = await self.hand(), await self.purse()
            else:
                purse, hand = await self.purse(), await self.hand()
            if nth:
                comparison.purse.append(purse)
                comparison.hand.append(hand)
        return comparison


async def spread(
    call: Callable[[*Arguments], Awaitable[T]],
    arguments: Sequence[tuple[*Arguments]],
    tasks: int,
    watch: AbstractContextManager[object],
) -> list[T]:
    """One call for each of ``arguments``, by ``tasks`` tasks and inside ``watch``; the results in their order."""
    calls = len(arguments)
    results: dict[int, T] = {}

    async def work(first: int) -> None:
        for nth in range(first, calls, tasks):
            results[nth] = await call(*arguments[nth])

    with watch:
        await asyncio.gather(*(work(first) for first in range(min(tasks, calls))))
    return [results[nth] for nth in range(calls)]
