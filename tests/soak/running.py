"""The whole soak: rounds one after the other, then everything is closed and nothing may be left."""

from __future__ import annotations

import asyncio
import logging
from dataclasses import dataclass

from tests.soak.flatness import Flatness, Sample
from tests.soak.journal import EVERYWHERE, Journal
from tests.soak.rounds import run_round
from tests.soak.scene import Mode, Scene
from tests.support.polling import until
from tests.support.tasks import tasks_in_memory

__all__ = ["Report", "soak"]

_ROUND = 10.0  # seconds of a long soak's rounds
_CLOSING = 10.0  # seconds in which all tasks of the library have ended; one may pause for a few before it looks


@dataclass(frozen=True, slots=True)
class Report:
    """What a soak has done and found.

    Attributes:
        seed: which decided what was done.
        mode: of the engine.
        tasks: that worked at the same time.
        tally: what was counted.
        samples: memory, tasks and connections after each round.
        findings: what must not be.
    """

    seed: int
    mode: Mode
    tasks: int
    tally: dict[str, int]
    samples: list[Sample]
    findings: list[str]

    def __str__(self) -> str:
        lines = [f"soak: seed {self.seed}, mode {self.mode}, {self.tasks} tasks"]
        lines += [f"  {times:>9,}  {what}" for what, times in sorted(self.tally.items())]
        if self.samples:
            lines += [f"  after the first round: {self.samples[0]}", f"  after the last round:  {self.samples[-1]}"]
        lines += [f"FINDING {number}: {finding}" for number, finding in enumerate(self.findings, 1)]
        lines.append(f"{len(self.findings)} findings" if self.findings else "nothing was found")
        return "\n".join(lines)


async def soak(*, seconds: float, seed: int, mode: Mode, round_seconds: float | None = None) -> Report:
    """Soak for so many seconds, and a moment after each round.

    Args:
        seconds: for which the tasks work in all.
        seed: decides what is done, and what goes wrong when.
        mode: how calls reach Redis.
        round_seconds: of one round; by default 10, or half of ``seconds``, so that there are two.
    """
    length = round_seconds or min(_ROUND, seconds / 2)
    journal, flatness = Journal(), Flatness()
    loop = asyncio.get_running_loop()
    loop.set_exception_handler(lambda _, context: journal.find(EVERYWHERE, f"the event loop was told: {context}"))
    heard = _Heard(journal)
    logging.getLogger("purse").addHandler(heard)
    tasks = number = 0
    try:
        async with Scene(mode) as scene:
            while number * length < seconds:
                tasks = await run_round(scene, journal, seed=seed, number=number, seconds=length)
                await flatness.sample(scene)
                number += 1
        await _nothing_left(journal)
    finally:
        logging.getLogger("purse").removeHandler(heard)
        loop.set_exception_handler(None)
    flatness.judge(journal)
    if journal.dropped:
        journal.findings.append(f"and {journal.dropped} more")
    return Report(seed, mode, tasks, dict(+journal.tally), flatness.samples, journal.findings)


class _Heard(logging.Handler):
    """What the library logs is an event of the history."""

    def __init__(self, journal: Journal) -> None:
        super().__init__(logging.INFO)
        self._journal = journal

    def emit(self, record: logging.LogRecord) -> None:
        """Write it down."""
        self._journal.count(f"log: {record.levelname.lower()}")
        self._journal.note(EVERYWHERE, f"log: {record.levelname} {record.getMessage():.200}")


async def _nothing_left(journal: Journal) -> None:
    """All clients are closed: no task of the library goes on."""

    async def left() -> list[str]:
        return tasks_in_memory()

    none: list[str] = []
    try:
        await until(left, none, seconds=_CLOSING)
    except AssertionError as error:
        journal.find(EVERYWHERE, f"all clients were closed, and there are tasks: {error}")
