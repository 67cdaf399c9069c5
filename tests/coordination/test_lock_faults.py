"""What becomes of a RedisLock when replies are lost, servers hang, restart or are gone, and programs end."""

from __future__ import annotations

import asyncio
import os
import signal
import textwrap
from collections.abc import AsyncIterator, Iterator

import pytest
from redis.asyncio import Redis
from redis.exceptions import ConnectionError, TimeoutError

from purse._coordination.beside import beside
from purse.embedded import Server
from purse.locks import RedisLock
from tests.support.clients import connect
from tests.support.polling import until
from tests.support.proxy import Proxy
from tests.support.scripts import ROOT, run
from tests.support.selection import thorough_but

KEY = "{garden}:gate"


@pytest.fixture
def lock(redis: Redis) -> RedisLock:
    """A lock with ten seconds of lease."""
    return RedisLock(redis, KEY)


@pytest.fixture
def own_server() -> Iterator[Server]:
    """A server that a test may stop, kill and restart; it forgets nothing."""
    with Server(port=0, password="", config={"appendonly": "yes", "appendfsync": "always"}) as server:
        yield server


@pytest.fixture
async def own(own_server: Server) -> AsyncIterator[Redis]:
    """A client of it."""
    async with connect(own_server.url) as client:
        yield client


async def test_scripts_that_the_server_has_forgotten(redis: Redis, lock: RedisLock) -> None:
    """After SCRIPT FLUSH everything works as before."""
    await redis.script_flush()
    lease = await lock.acquire()
    assert lease is not None
    await redis.script_flush()
    await lock.extend()
    await redis.script_flush()
    await lock.release()
    assert not await lock.locked()


async def test_a_grant_whose_reply_was_lost(redis: Redis, proxy: Proxy) -> None:
    """It is asked for again, and is the same grant: one token, and no lock that nobody knows of."""
    async with connect(proxy.url) as client:
        lock = RedisLock(client, KEY)
        async with lock:  # so that the server knows the scripts
            pass
        proxy.cut_after(1)
        async with lock as lease:
            assert lease.token == 2
            assert await redis.get(KEY) == lease.owner.encode()


async def test_a_release_whose_reply_was_lost(redis: Redis, proxy: Proxy) -> None:
    """The lock is released, and that is what the caller is told."""
    async with connect(proxy.url) as client:
        lock = RedisLock(client, KEY)
        async with lock:
            pass
        async with lock:
            proxy.cut_after(1)
        assert not await redis.exists(KEY)


@pytest.mark.thorough
async def test_no_way_to_release(redis: Redis, proxy: Proxy) -> None:
    """If the server cannot be reached the block says so, unless its body has something to say itself."""
    async with connect(proxy.url) as client:
        lock = RedisLock(client, KEY, lease=5)

        async def block(error: KeyError | None) -> None:
            async with lock:
                await proxy.refuse()
                proxy.drop()
                if error is not None:
                    raise error

        with pytest.raises((ConnectionError, TimeoutError)):
            await block(None)
        await proxy.listen_again()
        await redis.delete(KEY)
        with pytest.raises(KeyError) as caught:
            await block(KeyError("mine"))
        assert "could not release the lock" in caught.value.__notes__[0]


async def test_a_server_that_hangs(own_server: Server, own: Redis) -> None:
    """Bounded calls return within a second of their bounds, and leave nothing behind when it wakes up."""
    lock = RedisLock(own, KEY)
    held = await RedisLock(own, "held").acquire()
    assert held is not None
    loop = asyncio.get_running_loop()
    os.kill(own_server.pid, signal.SIGSTOP)
    try:
        started = loop.time()
        waiting, hasty, release = await asyncio.gather(
            lock.acquire(timeout=0.3),
            lock.acquire(blocking=False),
            held.release(),
            return_exceptions=True,
        )
        took = loop.time() - started
    finally:
        os.kill(own_server.pid, signal.SIGCONT)

    assert waiting is None
    assert hasty is None
    assert isinstance(release, TimeoutError)
    assert took < 4  # 1.3 s, on a machine that has nothing else to do
    await until(lambda: own.exists(KEY, beside(KEY, "queue"), "held"), 0)
    async with lock.within(5):
        pass


async def test_a_server_that_restarts(own_server: Server, own: Redis) -> None:
    """Who holds the lock holds it afterwards, who waits still waits, and the tokens go on."""
    lock = RedisLock(own, KEY)
    async with lock as lease:
        waiting = asyncio.create_task(lock.acquire())
        await until(lambda: own.zcard(beside(KEY, "queue")), 1)
        await asyncio.to_thread(own_server.kill)
        await asyncio.to_thread(own_server.start)
        await lock.extend()
        assert lease.remaining > 9

    after = await asyncio.wait_for(waiting, 10)
    assert after is not None
    assert after.token > lease.token


@pytest.mark.thorough
async def test_a_server_that_is_gone(own_server: Server, own: Redis) -> None:
    """All who wait are told together, after about a second's patience, and not one after the other."""
    lock = RedisLock(own, KEY)
    async with lock.within(5):
        waiting = [asyncio.create_task(lock.acquire()) for _ in range(20)]
        await until(lambda: own.zcard(beside(KEY, "queue")), 20)
        await asyncio.to_thread(own_server.kill)
        async with asyncio.timeout(10):
            outcomes = await asyncio.gather(*waiting, return_exceptions=True)
        assert all(isinstance(outcome, ConnectionError) for outcome in outcomes)
        assert len({id(outcome) for outcome in outcomes}) == 20
        await asyncio.to_thread(own_server.start)


PROLOGUE = """
import asyncio, gc, sys
from redis.asyncio import Redis
from purse.locks import RedisLock

client = Redis.from_url(sys.argv[1])
lock = RedisLock(client, "gate", lease=0.5, watchdog=True)

async def hold():
    async with lock:
        await asyncio.sleep(60)
"""

PROGRAMS = {
    "waiters are pending": """
        async def main(steps):
            global pending
            pending = [asyncio.create_task(hold()) for _ in range(5)]
            for _ in range(steps):
                await asyncio.sleep(0)
        for steps in range(0, 120, 7):
            asyncio.run(main(steps))
        gc.collect()
        async def check():
            assert not await client.exists("gate", "!queue!{gate}"), await client.keys()
            await client.aclose()
        asyncio.run(check())
    """,
    "the lock is held, and nothing is closed": """
        async def main():
            global pending
            pending = [asyncio.create_task(hold()) for _ in range(5)]
            await asyncio.sleep(0.1)
        asyncio.run(main())
    """,
    "the loop is closed over everything": """
        loop = asyncio.new_event_loop()
        async def main():
            assert await lock.acquire()
        loop.run_until_complete(main())
        loop.close()
    """,
}


@pytest.mark.thorough
@pytest.mark.parametrize("name", thorough_but("waiters are pending", every=PROGRAMS))
def test_nothing_is_said_at_the_end(name: str, server: Server) -> None:
    """A program that ends like this prints nothing under ``-X dev -W error``."""
    program = textwrap.dedent(PROLOGUE) + textwrap.dedent(PROGRAMS[name])

    ended = run(["-c", program, server.url], cwd=ROOT)

    assert ended.err == ""
    assert ended.code == 0
