"""What could not be given back is given back later: after a server that hangs, is cut off or refuses for a while."""

from __future__ import annotations

import asyncio
import os
import signal
from collections.abc import AsyncIterator, Awaitable, Callable, Generator, Mapping
from contextlib import contextmanager

import anyio
import pytest
from redis.asyncio import Redis
from redis.exceptions import RedisError, ResponseError

from purse import Store, configure
from purse._coordination.beside import beside
from purse._coordination.debts import Debts
from purse._coordination.lock_line import LockLine, lock_line
from purse._engine.registry import executor_for
from purse.embedded import Server
from purse.limits import RedisSemaphore
from purse.locks import RedisLock
from purse.redlock import Redlock
from tests.support.clients import command, connect
from tests.support.engines import parametrize
from tests.support.masters import Masters, no_keys_on
from tests.support.polling import until
from tests.support.proxy import Proxy
from tests.support.scripts import ROOT, run
from tests.support.tasks import purse_tasks

ROUNDS = int(os.environ.get("PURSE_ROUNDS", "1"))
"""How often each way to give up is tried; the big run has 25."""

KEY = "gate"
LEASE = 60.0
SOON = 15.0

GiveUp = Callable[[], Awaitable[object]]


def pytest_generate_tests(metafunc: pytest.Metafunc) -> None:
    """All of this holds however calls reach Redis."""
    parametrize(metafunc, "shared", thorough=["dedicated"])


@pytest.fixture
async def own(own_server: Server) -> AsyncIterator[Redis]:
    """A client of a server that may be paused; it never loses patience by itself."""
    async with connect(own_server.url, socket_timeout=None, socket_connect_timeout=None) as client:
        yield client


@pytest.fixture
async def eye(own_server: Server) -> AsyncIterator[Redis]:
    """Another client of it, which only looks."""
    async with connect(own_server.url) as client:
        yield client


@contextmanager
def hung(server: Server) -> Generator[None]:
    """The server takes connections and requests, and answers nothing."""
    os.kill(server.pid, signal.SIGSTOP)
    try:
        yield
    finally:
        os.kill(server.pid, signal.SIGCONT)


async def nothing_left(client: Redis, *locks: str) -> int:
    """How many keys of locks there are, but for their fences."""
    others = [beside(lock, name) for lock in locks or (KEY,) for name in ("queue", "sessions")]
    return int(await client.exists(*(locks or (KEY,)), *others))


async def debts() -> int:
    """Tasks that give something back."""
    return purse_tasks().count("purse: giving back")


def line_of(client: Redis) -> LockLine:
    """The line of the lock."""
    return lock_line(executor_for(client), KEY)


# --- ways to give up on a server that hangs ---------------------------------------------------------


async def known(lock: RedisLock) -> None:
    """Have the server know the scripts: it executes nothing of a script that it does not know."""
    async with lock:
        pass


async def releasing(lock: RedisLock) -> GiveUp:
    """The lock is held, and released; the first time by a script that the server does not know."""
    lease = await lock.acquire()
    assert lease is not None
    return lease.release


async def leaving(lock: RedisLock) -> GiveUp:
    """The lock is held in a block, which ends."""
    await known(lock)
    block = lock.within(5)
    await block.__aenter__()
    return lambda: block.__aexit__(None, None, None)


async def a_timeout(lock: RedisLock) -> GiveUp:
    """The lock is free, and acquired with a timeout."""
    await known(lock)
    return lambda: lock.acquire(timeout=0.05)


async def at_once(lock: RedisLock) -> GiveUp:
    """The lock is free, and acquired without waiting."""
    await known(lock)
    return lambda: lock.acquire(blocking=False)


async def cancelled(lock: RedisLock) -> GiveUp:
    """The lock is free, and the task that acquires it is cancelled."""
    await known(lock)
    return lambda: asyncio.wait_for(lock.acquire(), 0.05)


async def a_scope(lock: RedisLock) -> GiveUp:
    """The same by anyio, which cancels again at each await."""
    await known(lock)

    async def give_up() -> None:
        with anyio.move_on_after(0.05):
            await lock.acquire()

    return give_up


async def places(lock: RedisLock) -> GiveUp:
    """The lock is held by another client, and three tasks wait and are cancelled."""
    await lock.redis.set(lock.rkey, "somebody")
    waiting = [asyncio.create_task(lock.acquire()) for _ in range(3)]
    await until(lambda: lock.redis.zcard(beside(lock.rkey, "queue")), 3)

    async def give_up() -> None:
        for task in waiting:
            task.cancel()
        await asyncio.wait(waiting)

    return give_up


WAYS = [releasing, leaving, a_timeout, at_once, cancelled, a_scope, places]


async def test_what_was_given_up_while_the_server_hung(own_server: Server, own: Redis, eye: Redis) -> None:
    """Callers go on in bounded time. Soon after the server answers all locks are free, and no place is left.

    (PURSE_ROUNDS=25 does it so often.)
    """
    loop = asyncio.get_running_loop()
    locks: dict[str, RedisLock] = {}
    for _ in range(ROUNDS):
        locks.update({way.__name__: RedisLock(own, way.__name__, lease=LEASE) for way in WAYS})
        give_up = [await way(locks[way.__name__]) for way in WAYS]
        with hung(own_server):
            next_one = asyncio.create_task(locks["releasing"].acquire(timeout=20))
            started = loop.time()
            outcomes = await asyncio.gather(*(call() for call in give_up), return_exceptions=True)
            assert loop.time() - started < 5
        assert all(isinstance(outcome, RedisError | TimeoutError | None | tuple) for outcome in outcomes), outcomes
        lease = await asyncio.wait_for(next_one, SOON)  # it had waited while the server hung
        assert lease is not None
        await lease.release()
        await eye.delete("places")
        await until(lambda: nothing_left(eye, *locks), 0, seconds=SOON)
        await until(debts, 0, seconds=SOON)


@pytest.mark.thorough
async def test_a_silent_server_is_asked_nothing_more(own_server: Server, own: Redis, eye: Redis) -> None:
    """Callers that try again and again while the server hangs return in time, and leave no more behind."""
    lock = RedisLock(own, KEY, lease=LEASE)
    await known(lock)
    with hung(own_server):
        for _ in range(5):
            assert await lock.acquire(timeout=0.01) is None
        line = line_of(own)

        async def silent() -> bool:
            return line._debts.is_silent  # pyright: ignore[reportPrivateUsage]

        await until(silent, True)
        before = len(line._debts), len(purse_tasks())  # pyright: ignore[reportPrivateUsage]
        for _ in range(50):
            assert await lock.acquire(timeout=0.001) is None
        assert (len(line._debts), len(purse_tasks())) == before  # pyright: ignore[reportPrivateUsage]

    await until(lambda: nothing_left(eye), 0, seconds=SOON)
    lease = await lock.acquire(timeout=5)
    assert lease is not None
    await lease.release()


@pytest.mark.engines("shared")
async def test_a_server_that_is_busy(own: Redis, eye: Redis) -> None:
    """A server that refuses because a script runs is told again when that has ended."""
    await command(eye, "CONFIG", "SET", "lua-time-limit", 1)
    lock = RedisLock(own, KEY, lease=LEASE)
    assert await lock.acquire()
    async with connect(f"redis://127.0.0.1:{eye.connection_pool.connection_kwargs['port']}") as spinning:
        endless = asyncio.create_task(command(spinning, "EVAL", "while true do end", 0))

        async def is_busy() -> bool:
            try:
                return not await command(eye, "PING")
            except ResponseError:
                return True

        await until(is_busy, True)
        with pytest.raises(ResponseError, match="BUSY"):
            await lock.release()
        await command(eye, "SCRIPT", "KILL")
        with pytest.raises(ResponseError):
            await endless

    await until(lambda: nothing_left(eye), 0, seconds=SOON)


# --- connections that are lost ------------------------------------------------------------------------


@pytest.mark.thorough
async def test_a_server_that_cannot_be_reached_for_a_while(redis: Redis, proxy: Proxy) -> None:
    """What was held, and what was granted by a reply that was lost, is free soon after it can be reached again."""
    async with connect(proxy.url) as client:
        held, lost = RedisLock(client, "held", lease=LEASE), RedisLock(client, "lost", lease=LEASE)
        permits, lost_permits = (RedisSemaphore(client, name, limit=3, lease=LEASE) for name in ("permits", "taken"))
        await known(lost)
        await asyncio.gather(*(held.locked() for _ in range(8)))  # as many connections, if each call has one
        await (await lost_permits.acquire()).release()
        assert await held.acquire()
        permit = await permits.acquire()
        proxy.swallow()
        acquiring = [asyncio.create_task(lost.acquire()), *(asyncio.create_task(lost_permits.acquire()) for _ in "abc")]
        await until(lambda: redis.exists("lost", "taken"), 2)
        await proxy.refuse()
        proxy.drop()

        outcomes = await asyncio.gather(held.release(), permit.release(), *acquiring, return_exceptions=True)
        assert all(isinstance(outcome, RedisError) for outcome in outcomes), outcomes
        await asyncio.sleep(1.5)  # longer than a lost connection is tried to be opened again
        proxy.heal()
        await proxy.listen_again()

        await until(lambda: redis.exists("held", "lost", "permits", "taken"), 0, seconds=SOON)


async def test_a_server_that_stays_away_is_not_asked_for_ever(redis: Redis, proxy: Proxy) -> None:
    """What is owed is forgotten when its time is over: nothing of it is left anyway."""
    async with connect(proxy.url) as client:
        ask = executor_for(client)
        owed = Debts[None](lambda names: ask.ask(("DEL", *names), RedisLock(client, KEY)), lambda: True)
        await client.set("first", 1)
        await proxy.refuse()
        proxy.drop()

        owed.owe("first", None, 0.1)
        await until(debts, 0, seconds=SOON)

        assert len(owed) == 0


# --- debts --------------------------------------------------------------------------------------------


def deleting(client: Redis) -> Debts[None]:
    """Owners are keys; to give one back is to delete it."""
    executor = executor_for(client)
    return Debts(lambda names: executor.ask(("DEL", *names), RedisLock(client, KEY)), lambda: True)


@pytest.mark.thorough
async def test_the_time_of_a_debt_stands_still_while_the_server_hangs(own_server: Server, own: Redis) -> None:
    """A server that hangs for much longer than what is owed would last is told when it goes on."""
    owed = deleting(own)
    await own.set("key", 1)
    with hung(own_server):
        owed.owe("key", None, 0.05)
        await asyncio.sleep(1.3)

    await until(lambda: own.exists("key"), 0, seconds=SOON)


@pytest.mark.thorough
async def test_what_is_executed_late(own_server: Server, own: Redis, eye: Redis) -> None:
    """In doubt one answer is not enough: what reaches the server after it, as late as the outage was long, goes too."""
    owed = deleting(own)
    await own.set("other", 1)
    with hung(own_server):
        tried = owed.owe("late", None, LEASE, in_doubt=True)
        await asyncio.sleep(0.4)
    await tried
    await eye.set("late", 1)

    await until(lambda: eye.exists("late"), 0, seconds=SOON)
    await until(debts, 0, seconds=SOON)
    assert len(owed) == 0


async def test_what_is_certain_is_paid_once(redis: Redis) -> None:
    """All that is owed in one moment goes in one command, and one answer ends it."""
    sent: list[list[str]] = []
    executor = executor_for(redis)

    async def delete(names: Mapping[str, None]) -> object:
        sent.append([*names])
        return await executor.ask(("DEL", *sent[-1]), RedisLock(redis, KEY))

    owed = Debts[None](delete, lambda: True)
    for name in ("a", "b", "c"):
        owed.owe(name, None, LEASE)

    await until(debts, 0)
    assert sent == [["a", "b", "c"]]


# --- semaphores -----------------------------------------------------------------------------------------


async def test_permits_of_callers_that_gave_up(own_server: Server, own: Redis, eye: Redis) -> None:
    """What a server that hung gives to callers that are gone comes back; so does what they had released."""
    semaphore = RedisSemaphore(own, KEY, limit=3, lease=LEASE)
    permit = await semaphore.acquire()
    with hung(own_server):
        for blocking in (True, False):
            with anyio.move_on_after(0.05):
                await semaphore.acquire(blocking=blocking)
        with anyio.move_on_after(0.05):
            await permit.release()

    await until(RedisSemaphore(eye, KEY, limit=3).available, 3, seconds=SOON)


# --- Redlock ----------------------------------------------------------------------------------------------


async def test_a_master_that_hung_has_no_key_soon_after(
    cluster: Masters, masters: list[Redis], others: list[Redis]
) -> None:
    """What was cancelled or released while it hung for longer than the lease is gone from it soon after that."""
    for master in others:
        configure(master, engine="dedicated")
    locks = [Redlock(name, clients, auto_release_time=500) for name, clients in (("a", masters), ("b", others))]
    assert all([await lock.acquire() for lock in locks])
    with cluster.paused(1):
        await asyncio.gather(*(lock.release() for lock in locks))
        for lock in locks:
            with anyio.move_on_after(0.001):
                await lock.acquire()
            lock.auto_release_time = 60_000
            for _ in range(3):
                assert await lock.acquire(timeout=1)
                await lock.release()
        await asyncio.sleep(0.7)

    await no_keys_on(masters, seconds=SOON)


# --- the end ------------------------------------------------------------------------------------------------


@pytest.mark.engines("shared")
async def test_a_store_that_is_closed_owes_nothing(own_server: Server) -> None:
    """Closing it while the server hangs ends what was being given back; no task is left."""

    class Garden(Store, namespace="garden"):
        gate: RedisLock = RedisLock.field(lease=LEASE)

    async with Garden.open(own_server.url) as garden:
        assert await garden.gate.acquire()
        with hung(own_server):
            with pytest.raises(RedisError):
                await garden.gate.release()
            assert await debts() == 1
            await garden.aclose()
            await until(debts, 0, seconds=SOON)


PROGRAM = """
import asyncio, logging, os, signal, sys
from redis.asyncio import Redis
from redis.exceptions import TimeoutError
import purse
from purse.limits import RedisSemaphore
from purse.locks import RedisLock

pid = int(sys.argv[2])
logging.getLogger("asyncio").addFilter(lambda record: not record.msg.startswith("Executing"))  # a busy machine

async def check(client):
    for _ in range(300):
        if not await client.exists("gate", "{gate}:queue", "workers"):
            break
        await asyncio.sleep(0.01)
    assert not await client.exists("gate", "{gate}:queue", "workers"), await client.keys()
    await client.aclose()

async def held_in_a_block(lock):
    async with lock:
        os.kill(pid, signal.SIGSTOP)
        await asyncio.sleep(60)

async def given_up(lock):
    async with lock:  # the server knows the scripts: one that it does not know cannot be left to it
        pass
    holding = asyncio.create_task(held_in_a_block(lock))
    await asyncio.sleep(0.05)

async def released(lock):
    assert await lock.acquire()
    os.kill(pid, signal.SIGSTOP)
    try:
        await lock.release()
    except TimeoutError:
        pass

async def work(semaphore, blocking):
    permit = await semaphore.acquire(blocking=blocking)
    if permit is not None:
        async with permit:
            await asyncio.sleep(60)

async def permits(semaphore, steps):
    await semaphore.available()
    global pending
    pending = [asyncio.create_task(work(semaphore, number == 0)) for number in range(3)]
    for _ in range(steps):
        await asyncio.sleep(0)

for engine in ("auto", "dedicated"):
    client = Redis.from_url(sys.argv[1])
    purse.configure(client, engine=engine)
    lock = RedisLock(client, "gate", lease=60)
    for program in (given_up, released):
        asyncio.run(program(lock))
        os.kill(pid, signal.SIGCONT)
        asyncio.run(check(client))
    if engine == "auto":
        semaphore = RedisSemaphore(client, "workers", limit=3, lease=60)
        for steps in range(1, 12, 2):
            asyncio.run(permits(semaphore, steps))
            asyncio.run(check(client))
"""


@pytest.mark.thorough
@pytest.mark.engines("shared")
def test_the_end_of_the_loop(own_server: Server) -> None:
    """A loop that ends tries once more, in bounded time, and prints nothing under ``-X dev -W error``."""
    ended = run(["-c", PROGRAM, own_server.url, str(own_server.pid)], cwd=ROOT)

    assert ended.err == ""
    assert ended.code == 0
