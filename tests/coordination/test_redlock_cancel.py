"""Cancelling Redlock's calls at every moment: nothing is left behind, and what was to be released is."""

from __future__ import annotations

import asyncio
import random
from collections.abc import Awaitable, Callable

import anyio
import pytest
from redis.asyncio import Redis

from purse import configure
from purse.redlock import Redlock
from tests.support.masters import Masters, keys_on, no_keys_on
from tests.support.polling import until
from tests.support.tasks import purse_tasks

Cancel = Callable[[Callable[[], Awaitable[object]], int], Awaitable[bool]]


async def by_asyncio(call: Callable[[], Awaitable[object]], steps: int) -> bool:
    """Cancel the task that makes the call after so many iterations of the loop; whether that came in time."""
    task = asyncio.ensure_future(call())
    for _ in range(steps):
        await asyncio.sleep(0)
    task.cancel()
    await asyncio.wait((task,))
    return task.cancelled()


async def by_anyio(call: Callable[[], Awaitable[object]], steps: int) -> bool:
    """Cancel the scope around the call, which cancels it again and again; whether that came in time."""
    ended = False

    async def work(scope: anyio.CancelScope) -> None:
        nonlocal ended
        with scope:
            await call()
            ended = True

    async with anyio.create_task_group() as group:
        scope = anyio.CancelScope()
        group.start_soon(work, scope)
        for _ in range(steps):
            await asyncio.sleep(0)
        scope.cancel()
    return not ended


async def tasks_left() -> int:
    """Tasks of purse that are still there."""
    return len(purse_tasks())


@pytest.mark.rows(3)
@pytest.mark.parametrize("engine", ["shared", "dedicated"])
@pytest.mark.parametrize("fencing", [False, True])
@pytest.mark.parametrize("cancel", [by_asyncio, by_anyio])
async def test_a_cancelled_acquire_leaves_nothing(
    masters: list[Redis], cancel: Cancel, fencing: bool, engine: str
) -> None:
    """Cancelled at each step until it succeeds: no key after a second, no task, and the lock is free at once."""
    for master in masters:
        configure(master, engine="dedicated" if engine == "dedicated" else "auto")
    lock = Redlock("gate", masters, fencing=fencing)
    assert await lock.acquire(timeout=10)
    await lock.release()

    steps = 0
    while await cancel(lock.acquire, steps):
        await no_keys_on(masters)
        steps += 1
        assert steps < 1000

    assert steps > 2
    await lock.release()
    await no_keys_on(masters)
    await until(tasks_left, 0)


@pytest.mark.parametrize("cancel", [by_asyncio, by_anyio])
async def test_a_cancelled_wait_leaves_nothing(masters: list[Redis], others: list[Redis], cancel: Cancel) -> None:
    """Cancelled while another process holds it: the holder keeps it, and the next in line gets it after that."""
    holder, lock = Redlock("gate", others), Redlock("gate", masters)
    assert await holder.acquire()
    owner = await masters[0].get("gate")
    for steps in (0, 1, 2, 3, 5, 8, 13, 50, 200):
        assert await cancel(lock.acquire, steps)

    assert [await master.get("gate") for master in masters] == [owner] * 5
    await holder.release()
    assert await lock.acquire(timeout=5)
    await lock.release()
    await no_keys_on(masters)


@pytest.mark.parametrize("cancel", [by_asyncio, by_anyio])
async def test_a_cancelled_place_in_the_line(masters: list[Redis], cancel: Cancel) -> None:
    """Some of those who wait in one loop are cancelled at any moment: all others get the lock, in their order."""
    lock = Redlock("gate", masters)
    order: list[int] = []

    async def work(number: int) -> None:
        async with lock:
            order.append(number)
            await asyncio.sleep(0.002)

    async def wait_in_vain() -> None:
        assert await lock.acquire()
        await lock.release()

    working = [asyncio.create_task(work(number)) for number in range(10)]
    for steps in (1, 5, 20, 50):
        await cancel(wait_in_vain, steps)
    await asyncio.gather(*working)

    assert order == [*range(10)]
    await no_keys_on(masters)


async def test_a_hung_master_keeps_a_key_only_until_the_lease_ends(cluster: Masters, masters: list[Redis]) -> None:
    """Cancelled while one hangs: the others have no key after a second, that one none when it wakes up."""
    lock = Redlock("gate", masters)
    await lock.acquire()
    await lock.release()
    with cluster.paused(1):
        for steps in range(12):
            if not await by_asyncio(lock.acquire, steps):
                await lock.release()
        await no_keys_on([master for number, master in enumerate(masters) if number != 1])

    await no_keys_on(masters)
    await until(tasks_left, 0)


@pytest.mark.rows(2)
@pytest.mark.parametrize("engine", ["shared", "dedicated"])
@pytest.mark.parametrize("cancel", [by_asyncio, by_anyio])
async def test_a_cancelled_release_still_releases(masters: list[Redis], cancel: Cancel, engine: str) -> None:
    """Cancelled at each step: the keys go, and the lock is free."""
    for master in masters:
        configure(master, engine="dedicated" if engine == "dedicated" else "auto")
    lock = Redlock("gate", masters)
    for steps in range(1, 30):  # after no step at all it has not begun
        assert await asyncio.ensure_future(lock.acquire(timeout=5))
        await cancel(lock.release, steps)
        await no_keys_on(masters)

    await until(tasks_left, 0)


@pytest.mark.parametrize("cancel", [by_asyncio, by_anyio])
async def test_a_cancelled_block_releases(masters: list[Redis], cancel: Cancel) -> None:
    """Cancelled at each step of entering, in the body and of leaving: no key, and never two inside."""
    lock = Redlock("gate", masters, watchdog=True)
    inside = 0

    async def block() -> None:
        nonlocal inside
        async with lock:
            inside += 1
            assert inside == 1
            try:
                await asyncio.sleep(0.001)
            finally:
                inside -= 1

    for steps in range(40):
        await cancel(block, steps)
        await no_keys_on(masters)

    await until(tasks_left, 0)


async def test_timeouts_at_any_moment(masters: list[Redis], others: list[Redis]) -> None:
    """``asyncio.timeout`` around blocks of two lines, after times of any length: never two inside, no key left."""
    rng = random.Random(5)
    inside = entered = 0

    async def work(clients: list[Redis]) -> None:
        nonlocal inside, entered
        for _ in range(15):
            try:
                async with asyncio.timeout(rng.uniform(0, 0.03)), Redlock("gate", clients):
                    inside += 1
                    assert inside == 1
                    entered += 1
                    try:
                        await asyncio.sleep(rng.uniform(0, 0.005))
                    finally:
                        inside -= 1
            except TimeoutError:
                pass

    await asyncio.gather(*(work(clients) for clients in (masters, others) for _ in range(4)))

    assert entered > 5
    await no_keys_on(masters)
    assert await keys_on(masters) == []
    await until(tasks_left, 0)
