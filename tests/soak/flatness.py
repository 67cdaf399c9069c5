"""Memory, tasks and connections: the same after the last rounds as after those in the middle."""

from __future__ import annotations

import asyncio
import gc
import os
from dataclasses import asdict, dataclass, fields
from pathlib import Path
from statistics import median, stdev
from typing import cast

from purse import statistics
from tests.soak.journal import EVERYWHERE, Journal
from tests.soak.scene import Scene
from tests.support.clients import command
from tests.support.tasks import tasks_in_memory

__all__ = ["Flatness", "Sample"]

_FEWEST = 9  # samples that can be judged


@dataclass(frozen=True, slots=True)
class Sample:
    """What there is at a quiet moment.

    Attributes:
        memory: of this process, in kB.
        objects: that the garbage collector knows.
        tasks: of this process, those of the library that ``asyncio.all_tasks`` does not list included.
        connections: that the library says it has.
        clients: that the main server says it has.
    """

    memory: int
    objects: int
    tasks: int
    connections: int
    clients: int


_SLACK = Sample(memory=8_000, objects=5_000, tasks=4, connections=4, clients=6)
_FLUCTUATES = {"tasks", "connections", "clients"}
_SHARE = Sample(memory=8, objects=4, tasks=0, connections=10, clients=10)  # per cent


class Flatness:
    """Samples, one after each round."""

    def __init__(self) -> None:
        self.samples: list[Sample] = []

    async def sample(self, scene: Scene) -> None:
        """Look at a quiet moment."""
        gc.collect()
        clients = [*scene.clients, *(client for some in scene.of_masters for client in some)]
        listed = cast("bytes", await command(scene.control, "CLIENT", "LIST"))  # a line for each
        self.samples.append(
            Sample(
                memory=_resident(),
                objects=len(gc.get_objects()),
                tasks=len(asyncio.all_tasks()) + len(tasks_in_memory()),
                connections=sum(statistics(client).connections for client in clients),
                clients=len(listed.splitlines()),
            )
        )

    def judge(self, journal: Journal) -> None:
        """The median of the last third against that of the second, with some slack; too few are not judged."""
        if len(self.samples) < _FEWEST:
            return
        third = len(self.samples) // 3
        for name in (field.name for field in fields(Sample)):
            numbers = [cast("int", asdict(sample)[name]) for sample in self.samples]
            before, after = median(numbers[third : 2 * third]), median(numbers[2 * third :])
            share, slack = asdict(_SHARE)[name], asdict(_SLACK)[name]
            # The dedicated mode has as many connections, and tasks, as there were calls at a time.
            spread = stdev(numbers[third : 2 * third]) if name in _FLUCTUATES else 0
            if after > before * (1 + share / 100) + slack + spread:
                journal.find(EVERYWHERE, f"{name} is not flat: {before:g}, then {after:g}, of {numbers}")


def _resident() -> int:
    """The resident memory of this process, in kB."""
    return int(Path("/proc/self/statm").read_text().split()[1]) * os.sysconf("SC_PAGE_SIZE") // 1024
