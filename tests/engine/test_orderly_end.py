"""However a program ends in an orderly way, no element is lost: what was received and what is queued is what was put.

``PURSE_ROUNDS=200`` repeats each end that often.
"""

from __future__ import annotations

import asyncio
import os
import random
import sys
from collections import Counter
from collections.abc import Awaitable, Callable
from contextlib import suppress
from typing import Any

import anyio
import pytest

from purse import RedisQueue, RedisSortedSet, Store
from purse.embedded import Server
from tests.support.clients import connect
from tests.support.engines import choose_engine

# Not "driven": such a link does not trust replies that were due when a run of the loop ended (see its docstring).
pytestmark = pytest.mark.engines("shared", "dedicated")

ROUNDS = int(os.environ.get("PURSE_ROUNDS", "6"))
WORKERS = 20


class Jobs(Store, namespace="jobs-that-end"):
    """What the workers take."""

    queue: RedisQueue[int]
    ranking: RedisSortedSet[int]


class Run:
    """One program: what it has put and received."""

    def __init__(self, url: str, seed: int) -> None:
        self.url = url
        self.chance = random.Random(seed)
        self.put: list[int] = []
        self.received: list[int] = []
        self.tasks: list[asyncio.Task[None]] = []

    def store(self) -> Jobs:
        """On a client of the caller's, which nobody closes."""
        return Jobs(connect(self.url))

    def opened(self) -> Jobs:
        """A store that closes its client."""
        store = Jobs.open(self.url)
        choose_engine(store.queue.redis)
        return store

    async def work(self, jobs: Jobs) -> None:
        """A worker, as the documentation writes it."""
        async for job in jobs.queue:
            self.received.append(job)

    async def work_on_ranking(self, jobs: Jobs) -> None:
        """A worker that waits for the lowest."""
        while True:
            self.received.append((await jobs.ranking.blocking_pop_min())[0])

    async def poll(self, jobs: Jobs) -> None:
        """A worker that takes without waiting."""
        while True:
            with suppress(asyncio.QueueEmpty):
                self.received.append(await jobs.queue.get_nowait())
            with suppress(asyncio.QueueEmpty):
                self.received += await jobs.queue.get_many(3)

    def start(self, jobs: Jobs, work: Callable[[Jobs], Awaitable[None]] | None = None) -> None:
        """Let workers work."""

        async def run() -> None:
            await (work or self.work)(jobs)

        self.tasks += [asyncio.create_task(run()) for _ in range(WORKERS)]

    async def feed(self, jobs: Jobs) -> None:
        """Put, in bursts."""
        for _ in range(12):
            items = [*range(len(self.put), len(self.put) + self.chance.randrange(1, 6))]
            await jobs.queue.put_many(items)
            self.put += items
            await asyncio.sleep(self.chance.choice([0, 0, 0.0005]))

    async def stop(self) -> None:
        """Cancel the workers and wait for them."""
        for task in self.tasks:
            task.cancel()
        await asyncio.gather(*self.tasks, return_exceptions=True)


async def at_the_end_of_run(run: Run) -> None:
    jobs = run.store()
    run.start(jobs)
    await run.feed(jobs)


async def of_a_task_group(run: Run) -> None:
    class Stop(Exception):
        pass

    jobs = run.store()
    with suppress(BaseExceptionGroup):
        async with asyncio.TaskGroup() as group:
            for _ in range(WORKERS):
                group.create_task(run.work(jobs))
            await run.feed(jobs)
            raise Stop


async def of_a_store_after_its_workers(run: Run) -> None:
    async with run.opened() as jobs:
        run.start(jobs)
        await run.feed(jobs)
        await run.stop()


async def of_a_store_before_its_workers(run: Run) -> None:
    async with run.opened() as jobs:
        run.start(jobs)
        await run.feed(jobs)
    await run.stop()


async def of_a_group_of_anyio(run: Run) -> None:
    async with run.opened() as jobs, anyio.create_task_group() as group:
        for _ in range(WORKERS):
            group.start_soon(run.work, jobs)
        await run.feed(jobs)
        group.cancel_scope.cancel()


async def of_callers_that_do_not_wait(run: Run) -> None:
    jobs = run.store()
    run.start(jobs, run.poll)
    await run.feed(jobs)


async def of_callers_of_a_sorted_set(run: Run) -> None:
    async with run.opened() as jobs:
        run.start(jobs, run.work_on_ranking)
        for _ in range(12):
            items = [*range(len(run.put), len(run.put) + run.chance.randrange(1, 6))]
            await jobs.ranking.add_multi([(item, item) for item in items])
            run.put += items
        await run.stop()


ENDS = [
    at_the_end_of_run,
    of_a_task_group,
    of_a_store_after_its_workers,
    of_a_store_before_its_workers,
    of_a_group_of_anyio,
    of_callers_that_do_not_wait,
    of_callers_of_a_sorted_set,
]

FACTORIES = [
    "usual",
    pytest.param("eager", marks=pytest.mark.skipif(sys.version_info < (3, 12), reason="since Python 3.12")),
]


@pytest.mark.rows(8)
@pytest.mark.parametrize("factory", FACTORIES)
@pytest.mark.parametrize("end", ENDS, ids=lambda end: end.__name__)
def test_the_end_loses_nothing(server: Server, end: Callable[[Run], Awaitable[None]], factory: str) -> None:
    """Twenty workers wait for jobs or take them while the end comes: each job was received once, or is there."""

    async def main(run: Run) -> None:
        if factory == "eager":
            eager: Callable[..., Any] = getattr(asyncio, "eager_task_factory")  # noqa: B009 - since Python 3.12
            asyncio.get_running_loop().set_task_factory(eager)
        await end(run)

    async def left() -> list[int]:
        client = connect(server.url)
        jobs = Jobs(client)
        found = await jobs.queue.get_many(10_000) + [n for n, _ in await jobs.ranking.slice_by_rank(0, -1)]
        await jobs.clear()
        await client.aclose()
        return found

    asyncio.run(left())
    for seed in range(ROUNDS):
        run = Run(server.url, seed)
        asyncio.run(main(run))
        queued = asyncio.run(left())
        assert Counter(run.received + queued) == Counter(run.put), f"seed {seed}"
