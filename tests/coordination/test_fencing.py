"""Fencing tokens on real masters: they grow, and writes can depend on them."""

from __future__ import annotations

import asyncio
import itertools
import os
import random
from collections.abc import AsyncIterator
from functools import partial

import pytest
from redis.asyncio import Redis
from redis.exceptions import ResponseError

from purse._coordination.beside import beside
from purse._coordination.fencing import YOUNG, Reading, fenced_set, judge, reading_of, vote_of
from purse._coordination.leases import Lease
from purse._coordination.quorum import PENDING
from purse._engine.registry import executor_for
from purse._engine.scripts import load_script
from purse.embedded import Server
from purse.errors import LockError, LockLost
from purse.redlock import Redlock
from tests.support.clients import command, connect
from tests.support.masters import Masters, calls_of
from tests.support.polling import until
from tests.support.units import unit

SECONDS = float(os.environ.get("PURSE_LOCK_SECONDS", "0"))


@pytest.fixture(autouse=True)
async def grown(cluster: Masters, masters: list[Redis]) -> None:
    """No master is young any more."""
    for master in masters:
        await until(partial(is_young, master), False)


async def is_young(master: Redis) -> bool:
    """Whether its server started a moment ago."""
    return int((await command(master, "INFO", "server"))["uptime_in_seconds"]) < YOUNG


async def fences(masters: list[Redis], key: str = "gate") -> list[int | None]:
    """The fence of each master."""
    found = await asyncio.gather(*(master.get(beside(key, "fence")) for master in masters))
    return [None if value is None else int(value) for value in found]


async def a_token(lock: Redlock) -> int:
    """Hold the lock for a moment."""
    async with lock as lease:
        return lease.token


async def test_tokens_grow_by_one_in_one_trip_each(masters: list[Redis]) -> None:
    """Whoever knows the last token takes the lock with the next: one script on each master."""
    lock = Redlock("gate", masters, fencing=True)
    assert await a_token(lock) == 1
    await asyncio.gather(*(command(master, "CONFIG", "RESETSTAT") for master in masters))

    assert [await a_token(lock) for _ in range(20)] == [*range(2, 22)]

    assert await calls_of(masters[0], "evalsha") == 2 * 20
    assert sum(token == 21 for token in await fences(masters)) >= 3


async def test_who_does_not_know_the_last_token_learns_it(masters: list[Redis], others: list[Redis]) -> None:
    """Another process proposes too small a token, is refused by the masters' fences, and starts above them at once."""
    lock = Redlock("gate", masters, fencing=True)
    for _ in range(3):
        await a_token(lock)

    assert await a_token(Redlock("gate", others, fencing=True)) == 4
    assert await a_token(lock) == 5


async def test_tokens_grow_through_many_hands(masters: list[Redis], others: list[Redis]) -> None:
    """Tasks of two lines, which know nothing of each other: in the order of the holdings tokens grow."""
    tokens: list[int] = []

    async def work(clients: list[Redis]) -> None:
        for _ in range(10):
            async with Redlock("gate", clients, fencing=True) as lease:
                tokens.append(lease.token)
                await asyncio.sleep(0)

    await asyncio.gather(*(work(clients) for clients in (masters, others) for _ in range(3)))

    assert len(tokens) == 60
    assert tokens == sorted(set(tokens))


async def test_there_are_no_tokens_unless_asked_for(masters: list[Redis]) -> None:
    """``lease.token`` of a plain lock is a ``LockError`` that says what to do; no fence is left behind."""
    async with Redlock("gate", masters) as lease:
        with pytest.raises(LockError, match="fencing=True"):
            _ = lease.token

    assert await fences(masters) == [None] * 5


async def test_the_first_time_needs_all_masters(cluster: Masters, masters: list[Redis]) -> None:
    """While one is missing nobody can tell a new lock from one that was forgotten: not granted until it is there."""
    lock = Redlock("gate", masters, fencing=True)
    with cluster.paused(4):
        assert not await lock.acquire(timeout=0.3)

    assert await lock.acquire(timeout=5)
    await lock.release()


async def test_a_first_time_that_was_interrupted_goes_on(masters: list[Redis]) -> None:
    """Some masters have got their first fence, 0, others have not: the next one completes it."""
    for master in masters[:2]:
        await master.set("!fence!{gate}", 0)

    assert await a_token(Redlock("gate", masters, fencing=True)) == 1


async def test_a_master_that_has_no_fence_gets_one(masters: list[Redis]) -> None:
    """It has no vote; it is given the greatest that a majority knows, and votes again."""
    lock = Redlock("gate", masters, fencing=True)
    for _ in range(3):
        await a_token(lock)
    await asyncio.gather(*(master.delete("!fence!{gate}") for master in masters[:2]))

    assert await a_token(lock) == 4
    while None in await fences(masters):
        await a_token(lock)

    assert min(token or 0 for token in await fences(masters)) >= 4


async def test_without_a_majority_of_fences_nothing_is_granted(masters: list[Redis]) -> None:
    """Three of five have forgotten their fence: no token, rather than one that was given before."""
    lock = Redlock("gate", masters, fencing=True)
    await a_token(lock)
    await asyncio.gather(*(master.delete("!fence!{gate}") for master in masters[:3]))

    assert not await Redlock("gate", masters, fencing=True).acquire(timeout=0.3)


@pytest.fixture
async def fresh() -> AsyncIterator[list[Redis]]:
    """Three servers that have just been started."""
    servers = [Server(port=0, password="") for _ in range(3)]
    try:
        for server in servers:
            server.start()
        clients = [connect(server.url) for server in servers]
        yield clients
        await asyncio.gather(*(client.aclose() for client in clients))
    finally:
        for server in servers:
            server.close()


@pytest.mark.thorough
async def test_a_young_master_gets_no_fence(fresh: list[Redis]) -> None:
    """Servers that started a moment ago: refused at once, granted to those who wait for three seconds."""
    lock = Redlock("gate", fresh, fencing=True)

    assert not await lock.acquire(blocking=False)
    assert await fences(fresh) == [None] * 3
    assert await lock.acquire(timeout=8)


@pytest.mark.parametrize("held", [False, True])
async def test_masters_vote_as_the_model_does(masters: list[Redis], held: bool) -> None:
    """The script and ``vote_of``, which the model check goes through, answer the same in every case."""
    master = masters[0]
    for fence, token in itertools.product((None, 0, 1, 9, 10, 2**53 - 2), (1, 2, 10, 2**53 - 1)):
        await master.delete("gate", "!fence!{gate}")
        if held:
            await master.set("gate", "somebody")
        if fence is not None:
            await master.set("!fence!{gate}", fence)
        take = load_script("redlock_take")(("gate", "!waiting!{gate}", "!fence!{gate}"), "me", 9999, 0, "", token)

        (answer,) = await executor_for(master).execute(unit(take))

        reading = reading_of(answer)
        assert reading is not None
        assert reading.vote == vote_of(held=held, fence=fence, token=token)
        assert reading.fence == (token if reading.vote == "took" else fence)
        assert await master.get("!fence!{gate}") == (None if reading.fence is None else str(reading.fence).encode())
        assert bool(reading.run) == (fence is None)


def test_what_follows_from_the_answers() -> None:
    """The next token is above all fences; a fence is that of a majority, or 0 if all have none."""
    took, low, none = Reading("took", 5), Reading("low", 9), Reading("unfenced", None)

    assert judge([took, low, low], 5).token == 10
    assert judge([took, low, none], 5).repair == 9
    assert judge([took, None, none], 5).repair is None
    assert judge([none, none, none], 1).repair == 0
    assert judge([none, none, None], 1).repair is None
    assert judge([Reading("low", 0), none, none], 1).repair == 0
    assert judge([Reading("low", 1), none, none], 1).repair is None
    assert judge([None, None, None], 7).token == 7
    assert judge([Reading("low", 4), none, None], 0).token == 0
    assert reading_of(PENDING) is None
    assert reading_of(ResponseError("no")) is None


def test_keys_beside_a_lock_share_its_slot() -> None:
    """The hash tag of the key, or else the whole key."""
    assert beside("{garden}:gate", "fence") == "fence!{garden}:gate"
    assert beside("gate", "fence") == "!fence!{gate}"
    assert beside("redlock:list_lock", "fence") == "!fence!{redlock:list_lock}"


# --- writes that depend on a token ------------------------------------------------------------------


async def test_a_late_holder_cannot_overwrite(masters: list[Redis], others: list[Redis]) -> None:
    """A holder sleeps past its lease and then writes: refused, because a later one has written."""
    store = masters[0]
    late = Redlock("gate", masters, auto_release_time=200, fencing=True)
    assert await late.acquire()
    async with Redlock("gate", others, fencing=True) as lease:
        await fenced_set(store, "plan", "new", lease)
        await fenced_set(store, "plan", "newer", lease)

    (slept,) = late._held  # pyright: ignore[reportPrivateUsage]
    with pytest.raises(LockLost, match="plan was not set"):
        await fenced_set(store, "plan", "old", slept)

    assert await store.get("plan") == b"newer"


async def test_a_fenced_write_needs_a_token(masters: list[Redis]) -> None:
    """Without ``fencing=True`` there is nothing to check: a ``LockError``, and nothing is written."""
    async with Redlock("gate", masters) as lease:
        with pytest.raises(LockError, match="fencing=True"):
            await fenced_set(masters[0], "plan", "x", lease)

    assert not await masters[0].exists("plan")


async def test_of_many_fenced_writes_the_last_token_stays(masters: list[Redis]) -> None:
    """Written in any order, what the greatest token wrote is what is there at the end."""
    lock = Redlock("gate", masters, fencing=True)
    leases: list[Lease] = []
    for _ in range(10):
        async with lock as lease:
            leases.append(lease)
    random.Random(7).shuffle(leases)

    written = await asyncio.gather(
        *(fenced_set(masters[0], "plan", lease.token, lease) for lease in leases), return_exceptions=True
    )

    assert await masters[0].get("plan") == str(max(lease.token for lease in leases)).encode()
    assert all(error is None or isinstance(error, LockLost) for error in written)


# --- restarts ---------------------------------------------------------------------------------------


async def test_tokens_grow_through_restarts(cluster: Masters, masters: list[Redis], others: list[Redis]) -> None:
    """Masters are killed and started again with their data, one after the other: tokens go on growing.

    200 tokens; with PURSE_LOCK_SECONDS=10 or more it is 1000.
    """
    count = 1000 if SECONDS >= 10 else 200
    tokens = [await a_token(Redlock("gate", masters, fencing=True))]
    for number in range(1, count):
        if number % (count // 10) == 0:
            with cluster.dead(number // (count // 10) % 5):
                tokens.append(await a_token(Redlock("gate", (masters, others)[number % 2], fencing=True)))
        else:
            tokens.append(await a_token(Redlock("gate", (masters, others)[number % 2], fencing=True)))

    assert len(tokens) == count
    assert tokens == sorted(set(tokens))


@pytest.mark.thorough
async def test_a_fence_is_refused_by_another_run(cluster: Masters, masters: list[Redis]) -> None:
    """A fence for a master that was started again since it was seen to have none is not taken."""
    give = load_script("redlock_fence")
    run = (await command(masters[0], "INFO", "server"))["run_id"]
    with cluster.dead(0):
        pass

    (late,) = await executor_for(masters[0]).execute(unit(give(("!fence!{gate}",), 7, run)))
    again = connect(cluster.servers[0].url)
    run = (await command(again, "INFO", "server"))["run_id"]
    (given,) = await executor_for(again).execute(unit(give(("!fence!{gate}",), 7, run)))
    (twice,) = await executor_for(again).execute(unit(give(("!fence!{gate}",), 8, run)))

    assert (late, given, twice) == (0, 1, 0)
    assert await again.get("!fence!{gate}") == b"7"
