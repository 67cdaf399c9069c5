"""RedisLock: who may hold it, whose it is, and for how long."""

from __future__ import annotations

import asyncio
from datetime import timedelta
from typing import Any

import pytest
from redis.asyncio import Redis

from purse import Engine, Store, configure
from purse._coordination.beside import beside
from purse.embedded import Server
from purse.errors import DeclarationError, LockError, LockLost, LockNotAcquired, WrongKind
from purse.locks import Lease, RedisLock
from tests.support.children import start_python
from tests.support.clients import all_keys, command, connect
from tests.support.monitor import Monitor
from tests.support.polling import until

KEY = "{garden}:gate"


@pytest.fixture
def lock(redis: Redis) -> RedisLock:
    """A lock with ten seconds of lease."""
    return RedisLock(redis, KEY)


async def held_by_somebody(redis: Redis, key: str = KEY) -> None:
    """Put the lock into somebody else's hands."""
    await redis.set(key, "somebody")


# --- one holder ---------------------------------------------------------------------------------------


async def test_a_block_holds_the_lock(redis: Redis, lock: RedisLock) -> None:
    """Inside the lock is held, for about ten seconds; afterwards it is free, and only the fence is left."""
    async with lock as lease:
        assert await lock.locked()
        assert await redis.get(KEY) == lease.owner.encode()
        assert 9 < lease.remaining < 10
        assert lease.key == KEY
        assert lease.token == 1

    assert not await lock.locked()
    assert lease.remaining == 0
    assert await all_keys(redis) == [beside(KEY, "fence").encode()]


async def test_fifty_tasks_hold_it_one_at_a_time(redis: Redis, lock: RedisLock) -> None:
    """Read, wait, write: with the lock around it no step of fifty tasks is lost."""
    tokens: list[int] = []

    async def step() -> None:
        async with lock as lease:
            number = int(await redis.get("counter") or 0)
            await asyncio.sleep(0)
            await redis.set("counter", number + 1)
            tokens.append(lease.token)

    await asyncio.gather(*(step() for _ in range(50)))

    assert await redis.get("counter") == b"50"
    assert tokens == [*range(1, 51)]
    assert await all_keys(redis) == [b"counter", beside(KEY, "fence").encode()]


COUNTING = """
import asyncio, sys
from redis.asyncio import Redis
from purse.locks import RedisLock

async def main():
    redis = Redis.from_url(sys.argv[1])
    async def step(lock):
        async with lock as lease:
            number = int(await redis.get("counter") or 0)
            await asyncio.sleep(0.0005)
            await redis.set("counter", number + 1)
            assert await redis.rpush("tokens", lease.token) == number + 1
    locks = [RedisLock(redis, "gate") for _ in range(2)]
    await asyncio.gather(*(step(locks[n % 2]) for n in range(40)))
    await redis.aclose()

asyncio.run(main())
"""


async def test_several_processes_hold_it_one_at_a_time(redis: Redis, server: Server) -> None:
    """Three processes of forty tasks each count to 120 together, and their tokens grow with each step."""
    running = [await start_python("-c", COUNTING, server.url, stderr=asyncio.subprocess.PIPE) for _ in range(3)]
    outcomes = await asyncio.wait_for(asyncio.gather(*(process.communicate() for process in running)), 60)

    assert [err for _, err in outcomes] == [b""] * 3
    assert await redis.get("counter") == b"120"
    tokens = [int(token) for token in await redis.lrange("tokens", 0, -1)]
    assert tokens == [*range(1, 121)]


async def test_free_or_not_at_all(redis: Redis, lock: RedisLock) -> None:
    """``acquire`` returns the lease; without waiting, or when the time is up, None."""
    await held_by_somebody(redis)
    assert await lock.acquire(blocking=False) is None
    assert await lock.acquire(timeout=0) is None
    assert await lock.acquire(timeout=timedelta(milliseconds=20)) is None
    assert await all_keys(redis) == [KEY.encode()]
    await redis.delete(KEY)

    lease = await lock.acquire(blocking=False)

    assert isinstance(lease, Lease)
    await lock.release()
    assert not await lock.locked()


async def test_a_block_with_a_limit(redis: Redis, lock: RedisLock) -> None:
    """``within`` is the same block, or LockNotAcquired that names the lock."""
    async with lock.within(5) as lease:
        assert lease.remaining > 9
    assert not await lock.locked()
    await held_by_somebody(redis)

    for seconds in (0, 0.02):
        with pytest.raises(LockNotAcquired, match="gate: could not acquire the lock within") as caught:
            async with lock.within(seconds):
                pytest.fail("not reached")
        assert caught.value.key == KEY


async def test_arguments_that_contradict_each_other(lock: RedisLock) -> None:
    """A limit for somebody who does not wait, and negative limits, are ValueErrors."""
    with pytest.raises(ValueError, match="omit one of the two"):
        await lock.acquire(blocking=False, timeout=1)
    for negative in (-1, timedelta(seconds=-1), float("nan")):
        with pytest.raises(ValueError, match="at least 0"):
            await lock.acquire(timeout=negative)
        with pytest.raises(ValueError, match="at least 0"):
            lock.within(negative)


@pytest.mark.parametrize(
    "options",
    [
        {"lease": 0},
        {"lease": -1},
        {"lease": True},
        {"lease": "10"},
        {"lease": float("nan")},
        {"lease": float("inf")},
        {"lease": timedelta(0)},
        {"replicas": -1},
        {"replicas": 1.5},
        {"replicas_timeout": 0},
    ],
    ids=str,
)
async def test_declarations_that_mean_nothing(redis: Redis, options: dict[str, Any]) -> None:
    """They are refused when the lock is made, with the name of the lock and of the option."""
    with pytest.raises(DeclarationError, match=rf"gate.*{next(iter(options))}="):
        RedisLock(redis, "gate", **options)


async def test_nobody_waits_for_oneself(redis: Redis, lock: RedisLock) -> None:
    """Whoever holds it and acquires it again, through whichever object, is told; it stays held."""
    async with lock:
        for again in (lock, RedisLock(redis, KEY)):
            with pytest.raises(LockError, match="this task holds the lock already") as caught:
                await again.acquire(blocking=False)
            assert type(caught.value) is LockError
            with pytest.raises(LockError, match="not re-entrant"):
                async with again:
                    pytest.fail("not reached")
        async with RedisLock(redis, "another"):
            assert await lock.locked()

    async with lock:
        pass


async def test_a_lease_that_ran_out_can_be_acquired_again(redis: Redis) -> None:
    """Whoever forgot to release does not have to; each lease has a greater token than the one before."""
    lock = RedisLock(redis, KEY, lease=0.05)
    tokens: list[int] = []
    for _ in range(4):
        lease = await lock.acquire(timeout=60)
        assert lease is not None
        tokens.append(lease.token)
        await until(lock.locked, False)

    # Not 1 to 4: on a busy machine a lease may be spent before its grant is here. Then that is given back, and the
    # next one has a greater token.
    assert tokens == sorted({*tokens})


# --- whose it is --------------------------------------------------------------------------------------


async def test_only_the_owner_releases_and_extends(redis: Redis, lock: RedisLock) -> None:
    """What somebody else has put there, of whatever type, is left alone, and the former owner is told."""
    for put in (("SET", KEY, "somebody"), ("RPUSH", KEY, "a list")):
        lease = await lock.acquire()
        assert lease is not None
        await redis.delete(KEY)
        await command(redis, *put)
        before = await redis.dump(KEY)

        with pytest.raises(LockLost, match="not extended"):
            await lease.extend()
        assert lease.remaining == 0
        with pytest.raises(LockLost, match="not held any more"):
            await lock.release()
        with pytest.raises(LockError, match="not held by this task"):
            await lock.release()

        assert await redis.dump(KEY) == before
        await redis.delete(KEY)


async def test_a_late_release_touches_nobody(redis: Redis, lock: RedisLock) -> None:
    """After the lease has run out and the next has the lock, the release of the first is refused."""
    short = RedisLock(redis, KEY, lease=0.02)
    late = await asyncio.create_task(short.acquire())
    async with lock as lease:
        assert late is not None
        with pytest.raises(LockLost):
            await late.release()
        assert await redis.get(KEY) == lease.owner.encode()
        assert lease.token > late.token


async def test_nothing_to_release(lock: RedisLock) -> None:
    """Releasing and extending what was never acquired is a LockError that says what to do."""
    for method in (lock.release, lock.extend):
        with pytest.raises(LockError, match="acquire\\(\\) it first") as caught:
            await method()
        assert caught.value.key == KEY


async def test_the_lease_can_be_handed_to_another_task(lock: RedisLock) -> None:
    """A lease knows its lock: whichever task has it can extend and release it."""
    lease = await lock.acquire()
    assert lease is not None

    await asyncio.create_task(lease.extend())
    await asyncio.create_task(lease.release())

    assert not await lock.locked()


async def test_tasks_that_share_a_lock_release_their_own(redis: Redis, lock: RedisLock) -> None:
    """A task that fails to acquire does not disturb the one that holds, and cannot release it in its block."""
    async with lock as lease:

        async def other() -> None:
            assert await lock.acquire(timeout=0.01) is None
            with pytest.raises(LockError):
                await lock.release()

        await asyncio.create_task(other())
        assert await redis.get(KEY) == lease.owner.encode()


async def test_another_kind_of_key(redis: Redis, lock: RedisLock) -> None:
    """A key that is no lock is not waited for: WrongKind names it, and it is left alone."""
    await command(redis, "RPUSH", KEY, "mine")

    with pytest.raises(WrongKind, match="gate: the key does not hold a string"):
        await lock.acquire()

    assert await redis.lrange(KEY, 0, -1) == [b"mine"]
    assert await all_keys(redis) == [KEY.encode()]


@pytest.mark.parametrize(
    ("key", "fence"),
    [
        ("gate", "!fence!{gate}"),
        ("{garden}:gate", "fence!{garden}:gate"),
        ("{garden::gate}", "fence!{garden::gate}"),
        ("a{b}{c}", "fence!a{b}{c}"),
        ("a{b", "!fence!{a{b}"),
        ("ma\nny sp*ces ü", "!fence!{ma\nny sp*ces ü}"),
    ],
)
async def test_what_is_kept_beside_the_lock_is_in_its_slot(redis: Redis, key: str, fence: str) -> None:
    """The other keys have the hash tag of the lock, or the lock's key is their tag."""
    async with RedisLock(redis, key).within(1):
        assert await all_keys(redis) == sorted([key.encode(), fence.encode()])
    assert _slot_part(key) == _slot_part(fence)


def _slot_part(key: str) -> str:
    """What of a key decides its slot, by the rule of Redis Cluster."""
    _, brace, rest = key.partition("{")
    tag, end, _ = rest.partition("}")
    return tag if brace and end and tag else key


# --- for how long -------------------------------------------------------------------------------------


async def test_extending_starts_the_time_again(redis: Redis) -> None:
    """The lease and its key have their whole time again, as often as is asked for; the token stays."""
    lock = RedisLock(redis, KEY, lease=timedelta(seconds=5))
    async with lock as lease:
        await redis.pexpire(KEY, 1000)
        for extensions in (1, 2):
            before = lease.until
            await lock.extend()
            assert lease.until > before
            assert await redis.pttl(KEY) > 4000
            assert (lease.extensions, lease.token) == (extensions, 1)


async def test_a_lease_that_ran_out_is_not_revived(redis: Redis) -> None:
    """Also if nobody else has taken the lock: extending it is LockLost, and no key appears."""
    lock = RedisLock(redis, KEY, lease=0.02)
    lease = await lock.acquire()
    assert lease is not None
    await until(lock.locked, False)

    with pytest.raises(LockLost):
        await lock.extend()

    assert lease.remaining == 0
    assert not await lock.locked()


async def test_the_lock_outlives_no_lease(redis: Redis) -> None:
    """``remaining`` is over before the server forgets, so that nobody else can be inside meanwhile."""
    for _ in range(20):
        lease = await RedisLock(redis, KEY, lease=0.02).acquire()
        assert lease is not None
        while await redis.exists(KEY):
            pass
        assert lease.remaining == 0


async def test_a_block_that_took_too_long(redis: Redis) -> None:
    """Without a watchdog the block is told at its end, with LockLost."""
    lock = RedisLock(redis, KEY, lease=0.02)
    with pytest.raises(LockLost, match="not held until the end of the block"):
        async with lock:
            await until(lock.locked, False)


async def test_what_the_body_raises_is_not_masked(redis: Redis) -> None:
    """The body's own exception comes out, with a note that the lock was lost."""
    lock = RedisLock(redis, KEY, lease=0.02)

    async def block() -> None:
        async with lock:
            await until(lock.locked, False)
            raise KeyError("mine")

    with pytest.raises(KeyError) as caught:
        await block()
    assert "not held any more" in caught.value.__notes__[0]


async def test_released_in_its_block(lock: RedisLock) -> None:
    """A block whose lock was released inside ends as if nothing were."""
    for watchdog in (False, True):
        watched = RedisLock(lock.redis, KEY, lease=0.3, watchdog=watchdog)
        async with watched as lease:
            await lease.release()
            async with RedisLock(lock.redis, KEY, lease=1):  # in the hands of somebody else meanwhile
                await asyncio.sleep(0.35)


async def test_a_block_of_an_exit_stack(lock: RedisLock) -> None:
    """What one task has entered another may leave."""
    lease = await asyncio.create_task(lock.__aenter__())
    assert lease.remaining > 9

    await lock.__aexit__(None, None, None)

    assert not await lock.locked()


# --- the rest -----------------------------------------------------------------------------------------


async def test_what_is_sent(redis: Redis, server: Server, lock: RedisLock) -> None:
    """A free lock costs one script to take, one to extend, one to give back."""
    await lock.locked()
    assert server.port is not None
    async with Monitor(server.port) as monitor:
        for _ in range(2):  # the second time the server knows the scripts
            await monitor.commands()
            async with lock:
                await lock.extend()
        sent = await monitor.commands()

    names = [words[1] if words[0] == "EVALSHA" else words[0] for words in sent]
    assert names == ["lock_acquire", "lock_extend", "lock_release"]


async def test_not_in_a_transaction(redis: Redis, lock: RedisLock) -> None:
    """``atomic`` refuses it: a lock may have to wait."""

    class Garden(Store, namespace="garden"):
        pass

    with pytest.raises(TypeError, match="acquire\\(\\) may have to wait"):
        await Garden(redis).atomic(lock.acquire())


@pytest.mark.parametrize("settings", [{}, {"protocol": 3}, {"decode_responses": True}], ids=str)
@pytest.mark.parametrize("engine", ["auto", "dedicated"])
async def test_other_ways_to_reach_redis(
    redis: Redis, server: Server, settings: dict[str, Any], engine: Engine
) -> None:
    """RESP3, decoded responses and a connection for each call change nothing."""
    async with connect(server.url, **settings) as client:
        configure(client, engine=engine)
        first, second = RedisLock(client, KEY), RedisLock(client, KEY)
        async with first:
            waiting = asyncio.create_task(second.acquire(timeout=10))
            await until(lambda: client.zcard(beside(KEY, "queue")), 1)
        lease = await waiting
        assert lease is not None
        await lease.release()
        assert not await first.locked()


async def test_a_second_event_loop(server: Server, redis: Redis) -> None:
    """A lock that was used in one loop works in the next, and in another thread's."""
    shared = RedisLock(connect(server.url), KEY)

    async def use() -> int:
        async with shared.within(10) as lease:
            await asyncio.sleep(0.001)
        return lease.token

    tokens = [await asyncio.to_thread(asyncio.run, use()) for _ in range(3)]
    tokens += await asyncio.gather(*(asyncio.to_thread(asyncio.run, use()) for _ in range(4)))

    assert sorted(tokens) == [*range(1, 8)]
