"""RedisSemaphore: never more permits than the limit, and none of them lost for longer than its lease."""

from __future__ import annotations

import asyncio
import os
from datetime import timedelta
from typing import Any, assert_type

import pytest
from redis.asyncio import Redis
from redis.exceptions import ConnectionError

from purse.embedded import Server
from purse.errors import DeclarationError, LockError, LockLost, WrongKind
from purse.limits import Permit, RedisSemaphore
from tests.support.clients import all_keys, command, connect
from tests.support.monitor import Monitor
from tests.support.permits import Watch, expiries, no_task_left, waiters_of
from tests.support.polling import until
from tests.support.proxy import Proxy

SECONDS = float(os.environ.get("PURSE_LOCK_SECONDS", "1.5"))


# --- declaring ----------------------------------------------------------------------------------


async def test_what_makes_no_sense_is_refused(redis: Redis) -> None:
    """A limit is an int of at least 1 and a lease a time; a TTL or a codec is not even an argument."""
    make: Any = RedisSemaphore
    for limit in (0, -1, 1.0, True, "3", None, 10**7):
        with pytest.raises(DeclarationError, match="workers: limit="):
            make(redis, "workers", limit=limit)
    for lease in (0, -1, True, "60", None, timedelta(0), float("nan"), float("inf"), timedelta(days=9999)):
        with pytest.raises(DeclarationError, match="workers: lease="):
            make(redis, "workers", limit=1, lease=lease)
    for options in ({"ttl": None}, {"codec": None}):
        with pytest.raises(TypeError, match="unexpected keyword"):
            make(redis, "workers", limit=1, **options)
    assert make(redis, "workers", limit=1).lease == 60.0
    assert make(redis, "workers", limit=1, lease=timedelta(milliseconds=1)).lease == 0.001


# --- one caller ---------------------------------------------------------------------------------


async def test_a_block_holds_a_permit(redis: Redis) -> None:
    """Inside of the block there is one less, and at its end the key is gone."""
    semaphore = RedisSemaphore(redis, "workers", limit=3)

    async with semaphore as permit:
        assert_type(permit, Permit)
        assert permit.key == "workers"
        assert 50 < permit.remaining <= 60
        assert await semaphore.available() == 2
        async with semaphore as another:
            assert another.id != permit.id
            assert await semaphore.available() == 1
        assert another.remaining == 0.0
        assert permit.remaining > 0

    assert permit.remaining == 0.0
    assert await semaphore.available() == 3
    assert await all_keys(redis) == []


async def test_without_waiting_there_is_one_or_none(redis: Redis) -> None:
    """``blocking=False`` asks once, and a timeout ends the waiting with None."""
    semaphore = RedisSemaphore(redis, "workers", limit=1)
    permit = await semaphore.acquire(blocking=False)
    assert permit is not None

    assert await semaphore.acquire(blocking=False) is None
    assert await semaphore.acquire(timeout=0.05) is None
    assert await semaphore.acquire(timeout=timedelta(milliseconds=50)) is None

    await permit.release()
    assert_type(await semaphore.acquire(), Permit)
    for timeout in (0, -1, float("nan")):
        with pytest.raises(ValueError, match="must be positive"):
            await semaphore.acquire(timeout=timeout)
    with pytest.raises(ValueError, match="omit one of the two"):
        await semaphore.acquire(blocking=False, timeout=1)
    await until(no_task_left, True)


async def test_a_permit_is_released_once(redis: Redis) -> None:
    """A second release, and an extension after it, are errors that say so; ``async with`` knows that it was."""
    semaphore = RedisSemaphore(redis, "workers", limit=1)
    async with semaphore as permit:
        await permit.release()
        async with await semaphore.acquire() as another:  # it was free again
            with pytest.raises(LockError, match="released already"):
                await permit.release()
            with pytest.raises(LockError, match="released already"):
                await permit.extend()
            assert another.remaining > 0

    assert await semaphore.available() == 1


async def test_extending_starts_the_lease_again(redis: Redis) -> None:
    """A permit that is extended outlives its lease, and its key does, too."""
    semaphore = RedisSemaphore(redis, "workers", limit=1, lease=30)
    permit = await semaphore.acquire()
    stored = await expiries(redis)
    await redis.pexpire("workers", 5_000)

    await permit.extend()

    extended = await expiries(redis)
    assert [*extended] == [*stored] == [permit.id.encode()]
    assert extended[permit.id.encode()] > stored[permit.id.encode()]
    assert 29 < permit.remaining <= 30
    assert await redis.pttl("workers") > 29_000


async def test_what_has_expired_is_not_revived(redis: Redis) -> None:
    """Extending or releasing after the lease is a LockLost; the permit is somebody else's, and stays theirs."""
    semaphore = RedisSemaphore(redis, "workers", limit=1, lease=0.05)
    longer = RedisSemaphore(redis, "workers", limit=1, lease=60)
    alone = await semaphore.acquire()
    await until(lambda: semaphore.available(), 1)
    with pytest.raises(LockLost, match="workers: the permit had expired"):
        await alone.extend()
    assert await semaphore.available() == 1
    late, later = await semaphore.acquire(), await semaphore.acquire(timeout=30)
    assert later is not None
    theirs = await longer.acquire(timeout=30)
    assert theirs is not None

    with pytest.raises(LockLost, match="workers: the permit had expired") as caught:
        await late.extend()
    assert caught.value.key == "workers"
    with pytest.raises(LockLost, match="lease="):
        await late.release()
    with pytest.raises(LockLost):
        await later.release()

    assert late.remaining == later.remaining == 0.0
    await theirs.release()


async def test_a_block_that_outlives_its_permit_is_told(redis: Redis) -> None:
    """The end of the block raises LockLost; an exception of the body comes out as it is, with a note."""
    semaphore = RedisSemaphore(redis, "workers", limit=1, lease=0.02)

    async def outlive(error: Exception | None) -> None:
        async with semaphore as permit:
            await until(lambda: semaphore.available(), 1)
            assert permit.remaining == 0.0
            if error is not None:
                raise error

    with pytest.raises(LockLost, match="workers"):
        await outlive(None)

    with pytest.raises(ZeroDivisionError) as caught:
        await outlive(ZeroDivisionError())
    assert "had expired" in caught.value.__notes__[0]

    with pytest.raises(ZeroDivisionError) as caught:
        async with RedisSemaphore(redis, "others", limit=1):
            raise ZeroDivisionError
    assert not hasattr(caught.value, "__notes__")
    assert await redis.exists("others") == 0


async def test_a_failed_release_does_not_mask_the_body(redis: Redis, proxy: Proxy) -> None:
    """If the server is gone at the end of a block the body's exception comes out, with a note; else the error."""
    client = connect(proxy.url)
    semaphore = RedisSemaphore(client, "workers", limit=2)

    async def lose_the_server(error: Exception | None) -> None:
        async with semaphore:
            await proxy.refuse()
            proxy.drop()
            if error is not None:
                raise error

    with pytest.raises(ZeroDivisionError) as caught:
        await lose_the_server(ZeroDivisionError())
    assert "could not give back the permit" in caught.value.__notes__[0]
    await proxy.listen_again()
    await until(RedisSemaphore(redis, "workers", limit=2).available, 2)  # it is given back later

    with pytest.raises(ConnectionError):
        await lose_the_server(None)

    assert await RedisSemaphore(redis, "workers", limit=2).available() == 1


async def test_each_call_is_one_script(redis: Redis, server: Server) -> None:
    """An uncontended block is two round trips."""
    semaphore = RedisSemaphore(redis, "{shop}:workers", limit=1)
    await semaphore.available()
    assert server.port is not None
    async with Monitor(server.port) as monitor:
        async with semaphore as permit:
            await permit.extend()
            await semaphore.available()

        sent = await monitor.commands()

    names = ["semaphore_acquire", "semaphore_extend", "semaphore_used", "semaphore_release"]
    assert [words[1] for words in sent if words[0] in ("EVAL", "EVALSHA")] == [
        name for name in names for _ in range(1 if name == "semaphore_used" else 2)
    ]  # the first time the server has not seen them
    assert all(words[3] == "{shop}:workers" for words in sent)


async def test_foreign_values_are_left_alone(redis: Redis) -> None:
    """A key that holds something else, also somebody's sorted set, is refused and stays."""
    await redis.set("text", "precious")
    await redis.zadd("ranking", {"ada": 3, "bob": 5})
    before = [await redis.dump(key) for key in await all_keys(redis)]
    for key in ("text", "ranking"):
        with pytest.raises(WrongKind, match=f"{key}.*did not change it") as caught:
            await RedisSemaphore(redis, key, limit=9).acquire()
        assert caught.value.key == key
        with pytest.raises(WrongKind, match=f"{key}.*did not change it"):
            await RedisSemaphore(redis, key, limit=9).acquire(blocking=False)

    assert [await redis.dump(key) for key in await all_keys(redis)] == before


# --- many callers -------------------------------------------------------------------------------


async def test_never_more_than_the_limit(clients: list[Redis]) -> None:
    """Two hundred callers of four clients go through a semaphore of three; never more are inside, and all get in."""
    semaphores = [RedisSemaphore(client, "workers", limit=3) for client in clients]
    watch = Watch(3)

    async def work(nth: int) -> None:
        async with semaphores[nth % 4]:
            watch.enter()
            await asyncio.sleep(0.001)
            watch.leave()

    await asyncio.wait_for(asyncio.gather(*(work(nth) for nth in range(200))), 60)

    assert watch.entries == 200
    assert watch.most == 3
    assert await semaphores[0].available() == 3
    await until(no_task_left, True)


async def test_who_came_first_is_served_first(redis: Redis) -> None:
    """Callers of one process get in in the order in which they came, through whichever object of the same key."""
    semaphore, twin = (RedisSemaphore(redis, "workers", limit=2) for _ in range(2))
    order: list[int] = []

    async def work(nth: int) -> None:
        async with semaphore if nth % 2 else twin:
            order.append(nth)
            await asyncio.sleep(0)

    await asyncio.gather(*(work(nth) for nth in range(100)))

    assert order == [*range(100)]


async def test_who_waits_has_precedence(redis: Redis) -> None:
    """``blocking=False`` gets nothing while somebody of this process waits."""
    semaphore = RedisSemaphore(redis, "workers", limit=1)
    permit = await semaphore.acquire()
    waiting = asyncio.create_task(semaphore.acquire())
    await until(lambda: waiters_of(semaphore), 1)

    releasing = asyncio.create_task(permit.release())
    assert await semaphore.acquire(blocking=False) is None

    await releasing
    await (await waiting).release()


async def test_many_at_once_are_one_round_trip(redis: Redis, server: Server) -> None:
    """A hundred callers that find a hundred free permits are served by two scripts, not by a hundred."""
    semaphore = RedisSemaphore(redis, "workers", limit=100)
    await semaphore.available()
    assert server.port is not None
    async with Monitor(server.port) as monitor:
        permits = await asyncio.gather(*(semaphore.acquire() for _ in range(100)))
        sent = await monitor.commands()

    assert len({permit.id for permit in permits}) == 100
    assert sum("semaphore_acquire" in words for words in sent) <= 3
    assert await semaphore.available() == 0


async def test_permits_of_the_dead_come_back(clients: list[Redis]) -> None:
    """What nobody releases is free after its lease, and those who wait are served then without having polled."""
    dead = RedisSemaphore(clients[0], "workers", limit=2, lease=0.3)
    semaphore = RedisSemaphore(clients[1], "workers", limit=2)
    before = asyncio.get_running_loop().time()
    await asyncio.gather(dead.acquire(), dead.acquire())

    permits = await asyncio.wait_for(asyncio.gather(semaphore.acquire(), semaphore.acquire()), 30)

    assert asyncio.get_running_loop().time() - before > 0.25
    assert len({permit.id for permit in permits}) == 2
    assert await semaphore.available() == 0


async def test_waiting_is_not_polling(redis: Redis, server: Server) -> None:
    """While nothing changes, those who wait send nothing; a release wakes them at once."""
    semaphore = RedisSemaphore(redis, "workers", limit=1)
    permit = await semaphore.acquire()
    waiting = asyncio.create_task(semaphore.acquire())
    await until(lambda: _listening(redis), True)
    assert server.port is not None
    async with Monitor(server.port) as monitor:
        await asyncio.sleep(0.5)
        idle = await monitor.commands()
        await permit.release()
        await asyncio.wait_for(waiting, 30)
        sent = await monitor.commands()

    assert len(idle) <= 2
    assert len(sent) <= 8


async def _listening(redis: Redis) -> bool:
    """Whether the look of those who wait has been sent: the server tells from then on."""
    info = await redis.info("stats")  # pyright: ignore[reportUnknownMemberType]
    return int(info["tracking_total_keys"]) > 0


async def test_where_the_server_tells_nothing_it_is_asked(redis: Redis, server: Server) -> None:
    """A user who may not use CLIENT TRACKING waits as well, a little longer."""
    await command(redis, "ACL", "SETUSER", "poller", "on", ">secret", "~*", "+@all", "-client")
    client = connect(server.url, username="poller", password="secret")
    semaphore = RedisSemaphore(client, "workers", limit=1)
    permit = await semaphore.acquire()
    waiting = asyncio.create_task(semaphore.acquire())
    await until(lambda: waiters_of(semaphore), 1)

    await permit.release()

    assert (await asyncio.wait_for(waiting, 30)).remaining > 0
    await client.aclose()
    await command(redis, "ACL", "DELUSER", "poller")
