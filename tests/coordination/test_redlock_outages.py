"""Redlock while masters hang, are dead, or have forgotten what they knew."""

from __future__ import annotations

import asyncio
import statistics
import time
from collections.abc import AsyncIterator
from typing import cast

import pytest
from redis.asyncio import Redis

from purse._coordination.first_connection import CONNECTING
from purse.embedded import Server
from purse.errors import LockError, LockLost, LockNotAcquired
from purse.redlock import Redlock
from tests.support.clients import connect
from tests.support.locking import elapsed
from tests.support.masters import Masters, no_keys_on
from tests.support.units import read

# --- masters that hang or are dead ----------------------------------------------------------------


@pytest.mark.parametrize("fault", ["paused", "dead"])
async def test_one_bad_master_costs_nothing(cluster: Masters, masters: list[Redis], fault: str) -> None:
    """One of five hangs or is dead: the median of acquire and release stays far below half a second."""
    lock = Redlock("gate", masters)
    await lock.acquire()
    await lock.release()
    with getattr(cluster, fault)(1):
        times = [await elapsed(lambda: one_cycle(lock)) for _ in range(50)]

    assert statistics.median(times) < 0.1
    assert sorted(times)[-5] < 0.5
    await no_keys_on(masters, seconds=2)


async def one_cycle(lock: Redlock) -> None:
    """Acquire and release."""
    assert await lock.acquire(timeout=5)
    await lock.release()


@pytest.mark.rows(1)
@pytest.mark.parametrize("fault", ["paused", "dead"])
async def test_without_a_majority_every_call_ends_in_time(
    cluster: Masters, masters: list[Redis], others: list[Redis], fault: str
) -> None:
    """Three of five are bad: no call takes a second more than its timeout, nothing is granted; then it works.

    A call without a timeout gives masters that hang, and have never been connected, the time for a first connection.
    """
    holder, lock = Redlock("other", masters), Redlock("gate", masters)
    assert await holder.acquire()
    with getattr(cluster, fault)(0, 2, 4):
        for timeout in (0, 0.5):
            started = time.monotonic()
            assert not await lock.acquire(timeout=timeout)
            assert time.monotonic() - started < timeout + 1
        started = time.monotonic()
        assert not await Redlock("gate", others).acquire(blocking=False)
        assert time.monotonic() - started < 1 + (CONNECTING if fault == "paused" else 0)
        assert await holder.locked() == 0
        with pytest.raises(LockLost, match="no majority answered"):
            await holder.extend()
        started = time.monotonic()
        with pytest.raises(LockError, match="released, but"):
            await holder.release()
        assert time.monotonic() - started < 1

    assert await lock.acquire(timeout=5)
    await lock.release()
    await no_keys_on(masters, seconds=3)


@pytest.mark.thorough
async def test_masters_that_hang_while_connecting(cluster: Masters, masters: list[Redis], others: list[Redis]) -> None:
    """Clients that have never been connected, and three masters that accept and say nothing: bounded as well."""
    with cluster.paused(0, 1, 2):
        assert await elapsed(lambda: Redlock("gate", others).acquire(timeout=0.2)) < 1.2
        assert await elapsed(lambda: Redlock("gate", others).acquire(blocking=False)) < CONNECTING + 1
        assert await elapsed(lambda: Redlock("gate", others).acquire(blocking=False)) < 1  # no longer waited for

    assert await Redlock("gate", others).acquire(timeout=5)


async def test_the_redis_errors_are_shown_to_those_who_want_them(cluster: Masters, masters: list[Redis]) -> None:
    """A majority is dead: False, or with ``raise_on_redis_errors`` a ``LockNotAcquired`` with every master's error."""
    quiet, loud = Redlock("gate", masters), Redlock("gate", masters, True)
    with cluster.dead(0, 1, 2):
        assert not await quiet.acquire(blocking=False)
        assert not await loud.acquire(blocking=False, raise_on_redis_errors=False)
        with pytest.raises(LockNotAcquired) as raised:
            await loud.acquire()
        with pytest.raises(LockNotAcquired):
            await quiet.acquire(raise_on_redis_errors=True)

    cause = cast("ExceptionGroup[Exception]", raised.value.__cause__)
    assert len(cause.exceptions) >= 3


async def test_a_minority_that_fails_is_no_error(cluster: Masters, masters: list[Redis]) -> None:
    """Two of five are dead: acquired, with ``raise_on_redis_errors`` too; and if it is held, False."""
    lock = Redlock("gate", masters, True)
    with cluster.dead(0, 1):
        assert await lock.acquire()
        assert not await Redlock("gate", masters, True).acquire(blocking=False)
        await lock.release()


async def test_a_master_that_was_killed_is_cleaned_up_when_it_is_back(cluster: Masters, masters: list[Redis]) -> None:
    """It had taken the lock when it was killed: its key, which it kept, goes within a second or so."""
    lock = Redlock("gate", masters, auto_release_time=60_000)
    assert await lock.acquire()
    with cluster.dead(3):
        await lock.release()

    await no_keys_on(masters, seconds=4)


# --- masters that forget ------------------------------------------------------------------------------


@pytest.fixture
async def forgetful() -> AsyncIterator[tuple[Masters, list[Redis]]]:
    """Three masters that lose everything when they are killed, and have been up for a while."""
    servers = [Server(port=0, password="") for _ in range(3)]
    try:
        for server in servers:
            server.start()
        clients = [connect(server.url, socket_timeout=None) for server in servers]
        yield Masters(servers), clients
        await asyncio.gather(*(client.aclose() for client in clients))
    finally:
        for server in servers:
            server.close()


async def held_by_two_of_three(cluster: Masters, clients: list[Redis]) -> Redlock:
    """A lock that the first two masters have, the second of which forgets it."""
    await clients[2].set("gate", "in the way")
    holder = Redlock("gate", clients)
    assert await holder.acquire()
    await read(clients[2], "PING")  # behind the take, which nobody waits for
    await clients[2].delete("gate")
    with cluster.dead(1):
        pass
    return holder


@pytest.mark.thorough
async def test_a_master_that_forgets_lets_a_second_holder_in(forgetful: tuple[Masters, list[Redis]]) -> None:
    """The documented hole: a master restarts empty, and with it others have a majority."""
    cluster, clients = forgetful
    holder = await held_by_two_of_three(cluster, clients)

    assert await Redlock("gate", clients[:0:-1] + clients[:1]).acquire(timeout=1) is False  # a task of this loop
    second = [connect(server.url) for server in cluster.servers]

    assert await Redlock("gate", second).acquire(timeout=1)
    assert holder._held[0].remaining > 0  # pyright: ignore[reportPrivateUsage]


async def test_min_uptime_keeps_masters_out_that_may_have_forgotten(forgetful: tuple[Masters, list[Redis]]) -> None:
    """A master that restarts empty has no vote until it has been up for that long; then it has one again."""
    cluster, clients = forgetful
    holder = await held_by_two_of_three(cluster, clients)
    assert await holder.locked() == 0  # the majority is gone, but nobody else can have one either

    second = [connect(server.url) for server in cluster.servers]
    lock = Redlock("gate", second, min_uptime=2)
    assert not await lock.acquire(timeout=0.5)
    with pytest.raises(LockLost):
        await holder.release()

    assert await lock.acquire(timeout=6)
    await lock.release()
