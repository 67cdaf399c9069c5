"""``replicas=``: the lock counts when enough replicas have heard of it, and what that is worth in a failover."""

from __future__ import annotations

import asyncio
import os
import signal
from collections.abc import AsyncIterator

import pytest
from redis.asyncio import Redis

from purse.embedded import Server
from purse.errors import LockError, LockLost, LockNotAcquired
from purse.locks import RedisLock
from tests.support.clients import all_keys, command, connect
from tests.support.monitor import Monitor
from tests.support.polling import until
from tests.support.sentinel import AT_ONCE, SentinelProcess, replicate

KEY = "gate"
FENCE = b"!fence!{gate}"


@pytest.fixture
async def servers() -> AsyncIterator[tuple[Server, Server]]:
    """A primary, and a replica that has its data."""
    async with (
        Server(port=0, password="", config=AT_ONCE) as primary,
        Server(port=0, password="", config=AT_ONCE) as replica,
    ):
        await replicate(replica, primary)
        yield primary, replica


@pytest.fixture
async def primary(servers: tuple[Server, Server]) -> AsyncIterator[Redis]:
    """A client of the primary."""
    async with connect(servers[0].url) as client:
        await until(lambda: _online(client), True)
        yield client


async def _online(client: Redis) -> bool:
    """Whether the replica confirms what it has."""
    await client.set("ping", 1)
    confirmed = bool(await command(client, "WAIT", 1, 10) == 1)
    await client.delete("ping")
    return confirmed


@pytest.fixture
async def replica(servers: tuple[Server, Server]) -> AsyncIterator[Redis]:
    """A client of the replica."""
    async with connect(servers[1].url) as client:
        yield client


async def test_the_replica_has_it(primary: Redis, replica: Redis) -> None:
    """When the block begins the replica has the lock already, for as long as the primary; and each extension."""
    lock = RedisLock(primary, KEY, lease=60, replicas=1, replicas_timeout=5)
    for _ in range(10):
        async with lock as lease:
            assert await replica.get(KEY) == lease.owner.encode()
            assert await replica.pttl(KEY) > 50_000
            await primary.pexpire(KEY, 30_000)
            await lock.extend()
            assert await replica.pttl(KEY) > 50_000
            assert lease.remaining > 50
    assert await all_keys(primary) == [FENCE]


async def test_the_write_and_the_wait_share_a_connection(primary: Redis, servers: tuple[Server, Server]) -> None:
    """WAIT speaks of its own connection's writes, so it follows one; the shared connection carries neither."""
    lock = RedisLock(primary, KEY, replicas=1, replicas_timeout=5)
    await lock.locked()
    assert servers[0].port is not None
    async with Monitor(servers[0].port) as monitor:
        async with lock:
            pass
        sent = await monitor.commands()

    names = [words[1] if words[0] in ("EVAL", "EVALSHA") else words[0] for words in sent]
    extend = names.index("lock_extend")
    assert sent[extend][0] == "EVAL"
    assert sent[extend + 1] == ("WAIT", "1", "5000")
    assert names.index("lock_acquire") < extend < names.index("lock_release")


async def test_too_few_replicas(primary: Redis) -> None:
    """Where there are not as many, or they are too slow, the lock is given back: LockNotAcquired, in time."""
    lock = RedisLock(primary, KEY, replicas=2, replicas_timeout=0.05)

    with pytest.raises(
        LockNotAcquired, match=r"1 of 2 replicas confirmed the lock within 0\.05 s, so the lock was given back"
    ):
        await lock.acquire(blocking=False)
    with pytest.raises(LockNotAcquired) as caught:
        async with lock:
            pytest.fail("not reached")

    assert caught.value.key == KEY
    assert await all_keys(primary) == [FENCE]


@pytest.mark.thorough
async def test_a_replica_that_hangs(primary: Redis, servers: tuple[Server, Server]) -> None:
    """It has not heard of the lock, nor of an extension; other calls of the client are not held up meanwhile."""
    lock = RedisLock(primary, KEY, replicas=1, replicas_timeout=0.5)
    lease = await lock.acquire()
    assert lease is not None
    os.kill(servers[1].pid, signal.SIGSTOP)
    try:
        extending = asyncio.create_task(lease.extend())
        calls = 0
        while not extending.done():
            await lock.locked()
            calls += 1
        with pytest.raises(LockError, match="the lease ends when it would have ended") as caught:
            await extending
        assert not isinstance(caught.value, LockLost)
        assert calls > 20
        assert lease.remaining > 0
        await lease.release()

        with pytest.raises(LockNotAcquired):
            await lock.acquire()
        assert await lock.acquire(timeout=0.1) is None  # the caller's limit comes first
        await until(lock.locked, False)
    finally:
        os.kill(servers[1].pid, signal.SIGCONT)

    assert await lock.acquire(timeout=10) is not None


async def test_cancelled_while_it_is_replicated(primary: Redis, servers: tuple[Server, Server]) -> None:
    """The lock is given back, and the connection is closed."""
    lock = RedisLock(primary, KEY, replicas=1, replicas_timeout=60)
    async with lock:
        pass
    before = len(await primary.client_list(_type="normal"))  # pyright: ignore[reportUnknownMemberType]
    os.kill(servers[1].pid, signal.SIGSTOP)
    try:
        acquiring = asyncio.create_task(lock.acquire())
        await until(lock.locked, True)
        acquiring.cancel()
        with pytest.raises(asyncio.CancelledError):
            await acquiring
        await until(lock.locked, False)

        async def normal() -> int:
            return len(await primary.client_list(_type="normal"))  # pyright: ignore[reportUnknownMemberType]

        await until(normal, before)
    finally:
        os.kill(servers[1].pid, signal.SIGCONT)


async def test_lost_while_it_is_replicated(primary: Redis) -> None:
    """An extension of a lock that somebody has taken away is LockLost, and creates no key."""
    lock = RedisLock(primary, KEY, replicas=1)
    lease = await lock.acquire()
    assert lease is not None
    await primary.delete(KEY)

    with pytest.raises(LockLost):
        await lease.extend()

    assert not await lock.locked()


async def test_a_failover_keeps_a_replicated_lock(servers: tuple[Server, Server], primary: Redis) -> None:
    """Through Sentinel: after the replica was promoted the holder still has the lock, and others still wait."""
    async with SentinelProcess(servers[0]) as sentinel:
        client = sentinel.master_for()
        lock = RedisLock(client, KEY, lease=60, replicas=1, replicas_timeout=5)
        lease = await lock.acquire()
        assert lease is not None
        await sentinel.fail_over()

        async def promoted() -> bool:
            return bool((await command(client, "ROLE"))[0] == b"master")

        await until(promoted, True, seconds=10)
        other = RedisLock(client, KEY)
        assert await asyncio.create_task(other.acquire(blocking=False)) is None
        await lease.release()
        after = await other.acquire(timeout=10)
        assert after is not None
        assert after.token == lease.token + 1
        await client.aclose()


async def test_a_failover_loses_one_that_is_not(servers: tuple[Server, Server], primary: Redis, replica: Redis) -> None:
    """A replica that was cut off when the lock was taken knows nothing of it: once promoted, it lets a second in.

    What the documentation says of failovers is so: both hold it, with the same token.
    """
    await command(replica, "REPLICAOF", "127.0.0.1", 1)  # where nobody is
    first = await RedisLock(primary, KEY).acquire()
    await command(replica, "REPLICAOF", "NO", "ONE")

    second = await asyncio.create_task(RedisLock(replica, KEY).acquire(timeout=5))

    assert first is not None
    assert second is not None
    assert first.remaining > 0
    assert first.token == second.token
