"""Redlock: one lock on five masters."""

from __future__ import annotations

import asyncio
import inspect
import time
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack

import pytest
from redis.asyncio import Redis

from purse._coordination.leases import Lease
from purse.errors import LockError, LockLost, LockNotAcquired
from purse.redlock import Redlock
from tests.support.clients import command, connect
from tests.support.locking import LEASE, delete_everywhere, in_block
from tests.support.masters import Masters, keys_on, no_keys_on
from tests.support.monitor import Monitor
from tests.support.proxy import Proxy

# --- what 2.x had ---------------------------------------------------------------------------------


def test_the_arguments_of_2x_are_where_they_were() -> None:
    """Names, order and defaults of redis-purse 2.x; what is new comes behind, by name."""
    parameters = [*inspect.signature(Redlock).parameters.values()]

    assert [(p.name, p.default) for p in parameters if p.kind is p.POSITIONAL_OR_KEYWORD] == [
        ("key", inspect.Parameter.empty),
        ("masters", inspect.Parameter.empty),
        ("raise_on_redis_errors", False),
        ("auto_release_time", 10_000),
        ("num_extensions", 3),
        ("context_manager_blocking", True),
        ("context_manager_timeout", -1),
    ]
    assert {p.name: p.default for p in parameters if p.kind is p.KEYWORD_ONLY} == {
        "watchdog": False,
        "fencing": False,
        "min_uptime": None,
    }


def test_attributes_of_2x_can_be_read_and_set(masters: list[Redis]) -> None:
    """The key, the masters and the settings are attributes, and what is set counts from then on."""
    lock = Redlock("gate", masters)

    lock.key, lock.auto_release_time, lock.num_extensions = "other", 2000, -1

    assert (lock.key, lock.auto_release_time, lock.num_extensions) == ("other", 2000, -1)
    assert lock.masters == masters
    assert (lock.raise_on_redis_errors, lock.context_manager_blocking, lock.context_manager_timeout) == (
        False,
        True,
        -1,
    )


async def test_acquire_locked_extend_release(masters: list[Redis]) -> None:
    """Acquired: True, some milliseconds of validity; released: None, zero, and no key anywhere."""
    lock = Redlock("gate", masters)

    assert await lock.acquire() is True
    assert 9000 < await lock.locked() <= 10_000 - 100 - 2
    await lock.extend()
    await lock.release()

    assert await lock.locked() == 0
    await no_keys_on(masters)


async def test_a_second_one_is_refused_until_the_first_releases(masters: list[Redis], others: list[Redis]) -> None:
    """From the same loop and as another process does: False while it is held, True after that."""
    first, second = Redlock("gate", masters), Redlock("gate", others)
    assert await first.acquire()

    assert await Redlock("gate", masters).acquire(blocking=False) is False
    assert await second.acquire(blocking=False) is False
    assert await second.acquire(timeout=0.05) is False
    assert await second.locked() == 0
    await first.release()

    assert await second.acquire(blocking=False) is True
    await second.release()


async def test_it_is_locked_for_those_who_hold_it_alone(masters: list[Redis]) -> None:
    """``locked`` of another object is 0, as is that of the holder once the key is gone from the masters."""
    lock = Redlock("gate", masters)
    assert await lock.acquire()

    assert await Redlock("gate", masters).locked() == 0
    await delete_everywhere(masters, "gate")

    assert await lock.locked() == 0


@pytest.mark.parametrize("what", ["extend", "release"])
async def test_what_is_not_held_is_neither_extended_nor_released(masters: list[Redis], what: str) -> None:
    """Both raise a ``LockError``, which is the ``RuntimeError`` of 2.x."""
    lock = Redlock("gate", masters)

    with pytest.raises(LockError, match="not held"):
        await getattr(lock, what)()
    with pytest.raises(RuntimeError):
        await getattr(lock, what)()


async def test_refused_arguments(masters: list[Redis]) -> None:
    """A timeout without waiting, no masters, the same master twice, a lease of no validity, and no client."""
    with pytest.raises(ValueError, match="timeout"):
        Redlock("gate", masters, context_manager_blocking=False, context_manager_timeout=1)
    with pytest.raises(ValueError, match="timeout"):
        await Redlock("gate", masters).acquire(blocking=False, timeout=1)
    with pytest.raises(ValueError, match="masters"):
        Redlock("gate", [])
    with pytest.raises(ValueError, match="masters"):
        Redlock("gate", masters[:1] * 3)
    with pytest.raises(ValueError, match="milliseconds"):
        Redlock("gate", masters, auto_release_time=2)
    with pytest.raises(TypeError):
        Redlock("gate", ["redis://localhost"])  # type: ignore[list-item]  # pyright: ignore[reportArgumentType]


async def test_what_is_sent(cluster: Masters, masters: list[Redis]) -> None:
    """Alone, acquiring is one SET and releasing one script on each master."""
    lock = Redlock("gate", masters)
    await lock.acquire()
    await lock.release()
    port = cluster.servers[0].port
    assert port is not None
    async with Monitor(port) as monitor:
        await lock.acquire()
        await lock.release()
        await no_keys_on(masters[:1])
        sent = [words for words in await monitor.commands() if words[0] != "KEYS"]

    (_, key, owner, *rest), (_, name, _, *keys_and_owner) = sent
    assert (key, rest) == ("gate", ["NX", "PX", "10000"])
    assert (name, keys_and_owner[:3]) == ("redlock_release", ["gate", "!waiting!{gate}", owner])


@pytest.mark.parametrize("protocol", [2, 3])
async def test_both_protocols_and_old_fashioned_clients(cluster: Masters, masters: list[Redis], protocol: int) -> None:
    """RESP2 and RESP3, decoded responses, and redis-py's own timeouts change nothing."""
    clients = [connect(server.url, protocol=protocol, decode_responses=True) for server in cluster.servers]
    lock = Redlock("gate", clients, min_uptime=0)

    async with lock as lease:
        await lease.extend()
        assert await lock.locked() > 9000

    await no_keys_on(masters)


# --- what is somebody else's --------------------------------------------------------------------


async def test_other_values_and_types_are_left_alone(masters: list[Redis]) -> None:
    """A key of somebody else's on a majority, a list or a string: not acquired, and still there."""
    for master in masters[:3]:
        await master.rpush("gate", "mine")
    for master in masters[3:]:
        await master.set("gate", "mine")

    assert await Redlock("gate", masters).acquire(timeout=0.05) is False

    assert [await command(master, "TYPE", "gate") for master in masters] == [b"list"] * 3 + [b"string"] * 2


async def test_a_late_release_takes_nothing_away(masters: list[Redis], others: list[Redis]) -> None:
    """Released after somebody else took over: ``LockLost``, and the other still holds it."""
    late, next_one = Redlock("gate", masters, auto_release_time=LEASE), Redlock("gate", others)
    assert await late.acquire()
    assert await next_one.acquire()

    with pytest.raises(LockLost):
        await late.release()

    assert await next_one.locked() > 9000
    await next_one.release()


async def test_a_stolen_lock_is_reported(masters: list[Redis], others: list[Redis]) -> None:
    """Somebody deletes the key and another takes the lock: release and extend raise ``LockLost``, and touch nothing."""
    robbed, robber = Redlock("gate", masters), Redlock("gate", others)
    assert await robbed.acquire()
    await delete_everywhere(masters, "gate")
    assert await robber.acquire()

    with pytest.raises(LockLost):
        await robbed.extend()
    with pytest.raises(LockLost):
        await robbed.release()

    assert await robber.locked() > 9000
    await robber.release()


# --- validity -------------------------------------------------------------------------------------


@pytest.fixture
async def wires(cluster: Masters, masters: list[Redis]) -> AsyncIterator[list[Proxy]]:
    """A proxy in front of each master."""
    async with AsyncExitStack() as stack:
        yield [await stack.enter_async_context(Proxy(server.port or 0)) for server in cluster.servers]


async def test_validity_that_was_spent_on_the_way_is_not_handed_out(wires: list[Proxy], masters: list[Redis]) -> None:
    """Replies take longer than the lease: nothing is granted, although every master said yes; no key stays."""
    clients = [connect(wire.url, socket_timeout=None) for wire in wires]
    await asyncio.gather(*(client.ping() for client in clients))  # pyright: ignore[reportUnknownMemberType]
    for wire in wires:
        wire.delay(0.25)

    assert await Redlock("gate", clients, auto_release_time=200).acquire(timeout=0.3) is False

    await no_keys_on(masters, seconds=2)


async def test_the_clock_starts_before_the_first_request(wires: list[Proxy]) -> None:
    """What the round took is taken off the validity, and the drift of the clocks."""
    clients = [connect(wire.url, socket_timeout=None) for wire in wires]
    await asyncio.gather(*(client.ping() for client in clients))  # pyright: ignore[reportUnknownMemberType]
    for wire in wires:
        wire.delay(0.1)

    async with Redlock("gate", clients, auto_release_time=2000) as lease:
        assert 0 < lease.remaining <= 2 - 0.1 - 0.02 - 0.002


async def test_a_wall_clock_that_jumps_changes_nothing(
    masters: list[Redis], others: list[Redis], monkeypatch: pytest.MonkeyPatch
) -> None:
    """An hour forth and back while it is held: validity goes on, and nobody else gets it."""
    lock = Redlock("gate", masters)
    assert await lock.acquire()
    now, now_ns = time.time, time.time_ns
    for hours in (1, -1):
        monkeypatch.setattr(time, "time", lambda hours=hours: now() + 3600 * hours)
        monkeypatch.setattr(time, "time_ns", lambda hours=hours: now_ns() + 3600 * 10**9 * hours)

        assert 8000 < await lock.locked() < 10_000
        await lock.extend()
        assert not await Redlock("gate", others).acquire(timeout=0.05)

    await lock.release()


# --- extending --------------------------------------------------------------------------------------


async def test_extending_starts_the_lease_again(masters: list[Redis]) -> None:
    """Extended twice, it is held for longer than its lease."""
    lock = Redlock("gate", masters, auto_release_time=LEASE)
    async with lock as lease:
        for _ in range(2):
            await asyncio.sleep(0.6 * LEASE / 1000)
            await lease.extend()
        assert lease.remaining > 0.3
        assert lease.extensions == 2


async def test_extensions_are_capped_for_each_holding(masters: list[Redis]) -> None:
    """``num_extensions`` is a limit, from anew for each acquisition; -1 is none."""
    lock = Redlock("gate", masters, num_extensions=1)
    for _ in range(2):
        async with lock as lease:
            await lock.extend()
            with pytest.raises(LockError, match="num_extensions"):
                await lock.extend()
            assert lease.remaining > 9

    async with Redlock("gate", masters, num_extensions=-1) as lease:
        for _ in range(10):
            await lease.extend()


async def test_extending_never_revives(masters: list[Redis]) -> None:
    """After the lease has ended, or once a majority forgot it: ``LockLost``, and no key comes back."""
    lock = Redlock("gate", masters, auto_release_time=LEASE)
    assert await lock.acquire()
    await asyncio.sleep(LEASE / 1000)
    with pytest.raises(LockLost):
        await lock.extend()

    assert await keys_on(masters) == []
    assert await lock.acquire()
    await delete_everywhere(masters[:3], "gate")
    with pytest.raises(LockLost):
        await lock.extend()
    assert await keys_on(masters[:3]) == []


async def test_extending_counts_a_majority(cluster: Masters, masters: list[Redis]) -> None:
    """A master that is gone, and one that has forgotten it, change nothing; the third does."""
    lock = Redlock("gate", masters)
    async with lock:
        with cluster.paused(0):
            await delete_everywhere(masters[1:2], "gate")
            await lock.extend()
            await delete_everywhere(masters[2:3], "gate")
            with pytest.raises(LockLost):
                await lock.extend()


# --- the block --------------------------------------------------------------------------------------


async def test_a_block_that_cannot_have_the_lock(masters: list[Redis], others: list[Redis]) -> None:
    """``LockNotAcquired``, at once or after the timeout of the block, and the body does not run."""
    async with Redlock("gate", others):
        for settings in ((False, -1), (True, 0.1)):
            lock = Redlock("gate", masters, context_manager_blocking=settings[0], context_manager_timeout=settings[1])
            with pytest.raises(LockNotAcquired):
                async with lock:
                    pytest.fail("it is held by somebody else")


async def test_leaving_a_block_too_late_is_reported(masters: list[Redis]) -> None:
    """The lease has ended in the block: ``LockLost`` at its end."""

    async def late(lease: Lease) -> None:
        await asyncio.sleep(LEASE / 1000)
        assert lease.remaining == 0

    with pytest.raises(LockLost):
        await in_block(Redlock("gate", masters, auto_release_time=LEASE), late)


async def test_the_bodys_exception_is_never_masked(masters: list[Redis]) -> None:
    """The body raised, and the lease had ended: the body's exception, with a note."""

    async def failing(lease: Lease) -> None:
        await asyncio.sleep(LEASE / 1000)
        raise KeyError("mine")

    with pytest.raises(KeyError) as raised:
        await in_block(Redlock("gate", masters, auto_release_time=LEASE), failing)

    assert "gate" in raised.value.__notes__[0]


async def test_leaving_a_block_while_masters_are_down(cluster: Masters, masters: list[Redis]) -> None:
    """A majority hangs at the end of a block whose lease is valid: the body was alone, so nothing is raised."""
    async with Redlock("gate", masters):
        cluster.pause(0, 1, 2)
    cluster.resume()

    await no_keys_on(masters, seconds=2)
