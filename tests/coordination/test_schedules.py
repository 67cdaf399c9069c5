"""Redlock under random schedules: masters are paused and killed while several processes take the lock.

A schedule is a seed. The one that fails is in the message, and PURSE_LOCK_SEED=n replays it: the same faults at the
same times, although processes never do quite the same twice. PURSE_LOCK_SECONDS=n makes each of the tests run for n
seconds, in schedules of 20 seconds at most, and -s prints what happened.
"""

from __future__ import annotations

import asyncio
import json
import os
import random
import time
from collections.abc import Iterator
from dataclasses import asdict

import pytest

from purse.embedded import Server
from purse.redlock import Redlock
from tests.support.children import start_python
from tests.support.clients import connect
from tests.support.masters import KEEPING, Masters, no_keys_on
from tests.support.polling import until
from tests.support.redlock_worker import Done, Work, work
from tests.support.selection import size, thorough_but
from tests.support.tasks import purse_tasks

SECONDS = float(os.environ.get("PURSE_LOCK_SECONDS", size("0.8", "2")))
SEED = os.environ.get("PURSE_LOCK_SEED")


@pytest.fixture(scope="module")
def witness() -> Iterator[Server]:
    """A server that nobody disturbs."""
    with Server(port=0, password="") as server:
        yield server


@pytest.fixture
def forgetting() -> Iterator[list[Server]]:
    """Three masters that forget everything when they are killed."""
    with Server(port=0, password="") as one, Server(port=0, password="") as two, Server(port=0, password="") as three:
        yield [one, two, three]


@pytest.fixture(params=thorough_but("keeping", every=["keeping", "forgetting"]))
def victims(request: pytest.FixtureRequest) -> Iterator[tuple[bool, Masters]]:
    """Five masters, and whether they keep their data when they are killed."""
    keeping = request.param == "keeping"
    servers = [Server(port=0, password="", config=KEEPING if keeping else {}) for _ in range(5)]
    masters = Masters(servers)
    try:
        for server in servers:
            server.start()
        yield keeping, masters
    finally:
        masters.resume()
        for server in servers:
            server.close()


async def test_never_two_holders(victims: tuple[bool, Masters], witness: Server) -> None:
    """Minorities are paused, killed and started again: with their data, or empty with ``min_uptime``.

    Two processes and this one, three tasks each, some with a lock of their own, some with one that they share. Never
    are two inside their validity at once; with masters that keep their data tokens grow; every call ends in time; at
    the end no key is left, and the lock is to be had.
    """
    keeping, cluster = victims
    seeds = random.Random(SEED or time.time_ns())
    total, faults, schedules = Done(), 0, 0
    left = SECONDS
    while left > 0:
        seed = int(SEED) if SEED else seeds.randrange(10**6)
        seconds = min(left, 20)
        left -= seconds
        done, count = await schedule(keeping, cluster, witness, seed, seconds)
        total.add(done)
        faults += count
        schedules += 1

    print(f"\n{'keeping' if keeping else 'forgetting'}: {schedules} schedules, {faults} faults, {asdict(total)}")
    assert total.grants > 5 * schedules


async def schedule(keeping: bool, cluster: Masters, witness: Server, seed: int, seconds: float) -> tuple[Done, int]:
    """One schedule; what was done by all processes, and how many faults there were."""
    replay = f"replay with PURSE_LOCK_SEED={seed}"
    watching = connect(witness.url)
    await watching.delete("holder", "violations", "grants")
    job = Work(
        [server.url for server in cluster.servers],
        witness.url,
        seed,
        seconds,
        fencing=keeping,
        min_uptime=None if keeping else 1.0,
    )
    clients = [connect(url, socket_timeout=None) for url in job.masters]
    # What is new needs all masters, for a while: that is another test's.
    lock = Redlock("gate", clients, fencing=keeping, min_uptime=job.min_uptime)
    assert await lock.acquire(timeout=10), replay
    await lock.release()
    processes = [
        await start_python(
            "-m",
            "tests.support.redlock_worker",
            json.dumps(asdict(job) | {"seed": seed + 1 + number}),
            stdout=asyncio.subprocess.PIPE,
        )
        for number in range(2)
    ]
    disturbing = asyncio.create_task(disturb(cluster, random.Random(seed), seconds))
    done = await work(job)
    for process in processes:
        out, _ = await process.communicate()
        assert process.returncode == 0, replay
        done.add(Done(**json.loads(out)))
    faults = await disturbing
    assert await watching.lrange("violations", 0, -1) == [], replay
    assert done.slowest < 1, replay
    await no_keys_on(clients, seconds=3)
    assert await lock.acquire(timeout=10), replay
    await lock.release()
    await no_keys_on(clients)
    await asyncio.gather(*(client.aclose() for client in (watching, *clients)))
    await until(tasks_left, 0)
    return done, faults


async def tasks_left() -> int:
    """Tasks of purse that are still there."""
    return len(purse_tasks())


async def disturb(cluster: Masters, rng: random.Random, seconds: float) -> int:
    """Pause and kill one or two masters at a time, for a while; how often."""
    loop = asyncio.get_running_loop()
    end = loop.time() + seconds
    faults = 0
    try:
        while loop.time() < end:
            await asyncio.sleep(rng.uniform(0, 0.2))
            for number in rng.sample(range(5), rng.choice((1, 2, 2))):
                faults += 1
                if rng.random() < 0.6:
                    cluster.pause(number)
                else:
                    cluster.servers[number].kill()
            await asyncio.sleep(rng.choice((0.01, 0.1, 0.3, 0.9, 1.5)) * rng.uniform(0.5, 1))
            await asyncio.to_thread(cluster.heal)
    finally:
        cluster.heal()
    return faults


@pytest.mark.thorough
async def test_the_witness_sees_two_holders(forgetting: list[Server], witness: Server) -> None:
    """The check itself: with masters that forget, and nothing done about it, the witness finds a violation."""
    watching = connect(witness.url)
    await watching.delete("holder", "violations", "grants")
    job = Work([server.url for server in forgetting], witness.url, 1, 60, fencing=False, lease_ms=2000, hold=0.3)

    async with asyncio.timeout(50), asyncio.TaskGroup() as group:
        jobs = [group.create_task(work(job)) for _ in range(3)]
        while not await watching.exists("violations"):
            for server in forgetting:  # in a thread, so that the tasks go on meanwhile
                await asyncio.to_thread(server.kill)
                await asyncio.to_thread(server.start)
            await asyncio.sleep(0.02)
        for one in jobs:
            one.cancel()
