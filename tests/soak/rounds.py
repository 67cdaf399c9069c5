"""One round: all jobs at once while things go wrong, then a quiet moment in which it is judged."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence

from tests.soak.calls import HANGS
from tests.soak.faults import inflict
from tests.soak.journal import EVERYWHERE, Breaks, Journal
from tests.soak.plan import plan
from tests.soak.scene import Scene
from tests.soak.work import counting, handing_over, histories, limiting, locking, making, registers
from tests.soak.work.job import Job, Round
from tests.support.clients import command

__all__ = ["run_round"]

_ALL = (handing_over, counting, registers, histories, making, locking, limiting)


async def run_round(scene: Scene, journal: Journal, *, seed: int, number: int, seconds: float) -> int:
    """Run one round, rough if its number is odd; how many tasks there were.

    Args:
        scene: servers and clients.
        journal: for counts, events and findings.
        seed: of the soak.
        number: of the round.
        seconds: for which the tasks work.
    """
    rough = number % 2 == 1
    breaks = Breaks()
    end = asyncio.get_running_loop().time() + seconds
    this_round = Round(seed, number, end, scene, journal, breaks)
    jobs: Sequence[Job] = [job for module in _ALL for job in module.jobs(this_round)]
    journal.note(EVERYWHERE, f"round {number} begins, {'rough' if rough else 'calm'}")
    workers = [
        asyncio.create_task(worker, name=f"soak: {type(job).__name__}") for job in jobs for worker in job.workers()
    ]
    try:
        await inflict(plan(seed, number, seconds, rough=rough), scene, breaks, journal)
    finally:
        await scene.heal()
    _, late = await asyncio.wait(workers, timeout=seconds + 2 * HANGS)
    for worker in workers:
        if worker in late:
            worker.cancel()
            journal.find(EVERYWHERE, f"{worker.get_name()} does not end")
        elif not worker.cancelled() and (error := worker.exception()) is not None:
            raise error
    await asyncio.gather(*(job.judge() for job in jobs))
    await command(scene.control, "FLUSHALL")
    journal.count("rounds")
    return len(workers)
