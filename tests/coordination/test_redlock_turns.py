"""Redlock: who is next, and the watchdog."""

from __future__ import annotations

import asyncio
import threading
import time

import pytest
from redis.asyncio import Redis

from purse._coordination.leases import Lease
from purse.errors import LockLost
from purse.redlock import Redlock
from tests.support.clients import command
from tests.support.locking import LEASE, delete_everywhere, in_block
from tests.support.masters import Masters, calls_of, no_keys_on

# --- the watchdog -----------------------------------------------------------------------------------


@pytest.mark.thorough
async def test_a_watchdog_keeps_the_lock(cluster: Masters, masters: list[Redis]) -> None:
    """A body of three leases, a master hanging: still held, not counting as extensions; nothing is left running."""
    async with Redlock("gate", masters, auto_release_time=LEASE, num_extensions=0, watchdog=True) as lease:
        with cluster.paused(2):
            await asyncio.sleep(3 * LEASE / 1000)
        assert lease.remaining > 0

    await no_keys_on(masters)


async def test_a_watchdog_cancels_a_body_that_has_lost_the_lock(masters: list[Redis]) -> None:
    """The key is taken away: the body is cancelled, the block raises ``LockLost``, and the task goes on uncancelled."""
    task = asyncio.current_task()
    assert task is not None

    async def robbed(lease: Lease) -> None:
        await delete_everywhere(masters, "gate")
        await asyncio.sleep(10)
        pytest.fail("it was to be cancelled")

    with pytest.raises(LockLost):
        await in_block(Redlock("gate", masters, auto_release_time=LEASE, watchdog=True), robbed)

    assert task.cancelling() == 0
    await asyncio.sleep(0)


@pytest.mark.thorough
async def test_a_watchdog_gives_up_when_the_majority_stays_away(cluster: Masters, masters: list[Redis]) -> None:
    """Hanging masters are asked until the lease ends, and the body is cancelled then."""

    async def alone(lease: Lease) -> None:
        cluster.pause(0, 1, 2)
        await asyncio.sleep(10)

    started = time.monotonic()
    with pytest.raises(LockLost):
        await in_block(Redlock("gate", masters, auto_release_time=1000, watchdog=True), alone)
    cluster.resume()

    assert time.monotonic() - started < 3


# --- turns ----------------------------------------------------------------------------------------------


async def test_tasks_hand_it_over_without_polling(masters: list[Redis]) -> None:
    """Fifty tasks with a lock object each: served in their order, each asking each master once."""
    await asyncio.gather(*(command(master, "CONFIG", "RESETSTAT") for master in masters))
    order: list[int] = []

    async def work(number: int) -> None:
        async with Redlock("gate", masters):
            order.append(number)
            await asyncio.sleep(0.001)

    await asyncio.gather(*map(work, range(50)))

    assert order == [*range(50)]
    assert [await calls_of(master, "set") for master in masters] == [50] * 5


async def test_a_waiting_task_can_give_up_its_place(masters: list[Redis]) -> None:
    """Timeouts hold in the line too, and those behind move up."""
    lock = Redlock("gate", masters)
    async with lock:
        first = asyncio.create_task(lock.acquire(timeout=0.05))
        second = asyncio.create_task(lock.acquire())
        assert await first is False
        assert not second.done()

    assert await second is True
    await lock.release()


async def test_a_lock_that_runs_out_goes_to_the_next_in_line(masters: list[Redis]) -> None:
    """The holder forgets to release: the next gets it when the lease has ended."""
    assert await Redlock("gate", masters, auto_release_time=LEASE).acquire()

    started = time.monotonic()
    assert await Redlock("gate", masters).acquire(timeout=5)
    assert 0.3 < time.monotonic() - started < 3


async def test_a_busy_loop_lets_others_in(masters: list[Redis], others: list[Redis]) -> None:
    """Ten tasks of one line hand the lock over without end: another line gets it all the same, several times."""
    busy = True
    handed_over = 0

    async def work() -> None:
        nonlocal handed_over
        while busy:
            async with Redlock("gate", masters):
                handed_over += 1
                await asyncio.sleep(0.001)

    workers = [asyncio.create_task(work()) for _ in range(10)]
    try:
        for _ in range(5):
            lock = Redlock("gate", others)
            assert await lock.acquire(timeout=10)
            await lock.release()
    finally:
        busy = False
        await asyncio.gather(*workers)

    assert handed_over > 5


async def test_a_second_event_loop(cluster: Masters, masters: list[Redis]) -> None:
    """One object, used in a loop that runs in another thread at the same time: it excludes, and nothing gets stuck."""
    lock = Redlock("gate", masters)
    entered = 0
    inside = 0

    async def work() -> None:
        nonlocal entered, inside
        for _ in range(10):
            async with lock:
                inside += 1
                assert inside == 1
                await asyncio.sleep(0.001)
                inside -= 1
                entered += 1

    thread = threading.Thread(target=lambda: asyncio.run(work()))
    thread.start()
    await work()
    await asyncio.to_thread(thread.join)

    assert entered == 20
