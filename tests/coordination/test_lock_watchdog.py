"""The watchdog of a lock: it keeps the lease alive, and cancels the body of a lock that is lost."""

from __future__ import annotations

import asyncio

import anyio
import pytest
from redis.asyncio import Redis

from purse.errors import LockLost
from purse.locks import RedisLock
from tests.support.clients import connect
from tests.support.polling import until
from tests.support.proxy import Proxy

KEY = "{garden}:gate"


async def test_a_watchdog_keeps_the_lock(redis: Redis) -> None:
    """A body may take several times its lease; at the end the watchdog is gone."""
    lock = RedisLock(redis, KEY, lease=0.6, watchdog=True)
    async with lock as lease:
        await asyncio.sleep(1.3)
        assert lease.remaining > 0
        assert await redis.get(KEY) == lease.owner.encode()
    assert not await lock.locked()
    assert no_watchdog()


def no_watchdog() -> bool:
    """Whether all watchdogs have ended, or were told to."""
    return not any(t.get_name() == "purse: watchdog" and not t.cancelling() for t in asyncio.all_tasks())


async def test_a_watchdog_cancels_the_body_of_a_lost_lock(redis: Redis) -> None:
    """When somebody deletes the key the body is cancelled, and the block raises LockLost; the task goes on."""
    lock = RedisLock(redis, KEY, lease=0.3, watchdog=True)
    cancelled: list[asyncio.CancelledError] = []

    async def block() -> None:
        async with lock:
            await redis.delete(KEY)
            try:
                await asyncio.sleep(60)
            except asyncio.CancelledError as error:
                cancelled.append(error)
                raise

    with pytest.raises(LockLost, match="its watchdog has cancelled the block") as caught:
        await block()

    assert cancelled == [caught.value.__cause__]
    assert not being_cancelled()
    await asyncio.sleep(0)


def being_cancelled() -> int:
    """Whether somebody has cancelled this task and not taken it back."""
    task = asyncio.current_task()
    assert task is not None
    return task.cancelling()


@pytest.mark.parametrize("scope", ["timeout", "anyio", "task group"])
async def test_a_watchdog_and_the_scopes_of_others(redis: Redis, scope: str) -> None:
    """LockLost passes through a timeout, a scope of anyio and a task group around the block, which stay quiet."""
    lock = RedisLock(redis, KEY, lease=0.15, watchdog=True)

    async def lose() -> None:
        async with lock:
            await redis.delete(KEY)
            with anyio.CancelScope():
                await anyio.sleep(60)

    with pytest.raises(LockLost) if scope != "task group" else pytest.RaisesGroup(LockLost):
        if scope == "timeout":
            async with asyncio.timeout(60):
                await lose()
        elif scope == "anyio":
            with anyio.move_on_after(60):
                await lose()
        else:
            async with asyncio.TaskGroup() as group:
                group.create_task(lose())


async def test_a_watchdog_masks_no_exception(redis: Redis) -> None:
    """What a body raises when it is cancelled by the watchdog comes out, with a note."""
    lock = RedisLock(redis, KEY, lease=0.15, watchdog=True)

    async def block() -> None:
        async with lock:
            await redis.delete(KEY)
            try:
                await asyncio.sleep(60)
            finally:
                raise KeyError("mine")

    with pytest.raises(KeyError) as caught:
        await block()

    assert not being_cancelled()
    assert "not held any more" in caught.value.__notes__[0]


async def test_a_body_that_ends_in_the_moment_of_the_loss(redis: Redis) -> None:
    """The cancellation that comes too late for the body reaches nobody else: LockLost, and the task goes on."""
    lock = RedisLock(redis, KEY, lease=0.06, watchdog=True)

    async def block(steps: int) -> None:
        async with lock as lease:
            await redis.delete(KEY)
            for _ in range(10_000):
                if not lease.remaining:
                    break
                await asyncio.sleep(0)
            for _ in range(steps):
                await asyncio.sleep(0)

    for steps in range(6):
        with pytest.raises(LockLost):
            await block(steps)
        assert not being_cancelled()
        await asyncio.sleep(0)


async def test_a_cancellation_from_elsewhere_stays_one(redis: Redis) -> None:
    """Who cancels a task whose lock was lost at the same time sees it cancelled."""
    lock = RedisLock(redis, KEY, lease=0.1, watchdog=True)
    lost = asyncio.Event()

    async def body() -> None:
        async with lock:
            await redis.delete(KEY)
            try:
                await asyncio.sleep(60)
            except asyncio.CancelledError:
                lost.set()
                await asyncio.sleep(60)

    task = asyncio.create_task(body())
    await lost.wait()
    task.cancel()

    with pytest.raises(asyncio.CancelledError):
        await task


@pytest.mark.thorough
async def test_a_watchdog_has_patience_with_the_network(redis: Redis, proxy: Proxy) -> None:
    """An extension that fails is tried again while the lease lasts; a server that stays away is a loss."""
    async with connect(proxy.url) as client:
        lock = RedisLock(client, KEY, lease=1.5, watchdog=True)
        async with lock as lease:

            async def extended() -> bool:
                return lease.remaining > 1.1

            proxy.answer(b"-ERR not now\r\n", 1)
            await until(extended, False)
            await until(extended, True)

        async def block() -> None:
            async with RedisLock(client, KEY, lease=0.3, watchdog=True):
                await proxy.refuse()
                proxy.drop()
                await asyncio.sleep(60)

        with pytest.raises(LockLost):
            await block()
        await proxy.listen_again()
