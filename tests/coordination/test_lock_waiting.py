"""Waiting for a RedisLock: in the order in which they came, without asking all the time, and leaving no trace."""

from __future__ import annotations

import asyncio
import contextlib
import itertools
import os
import random
import signal
from collections.abc import AsyncIterator
from typing import Any

import anyio
import pytest
from redis.asyncio import Redis

from purse import configure
from purse._coordination.lock_line import PLACE, lock_line
from purse._engine.registry import executor_for
from purse.embedded import Server
from purse.errors import StoreClosed
from purse.locks import Lease, RedisLock
from tests.support.children import start_python
from tests.support.clients import all_keys, command, connect
from tests.support.masters import calls_of
from tests.support.pages import documented_permissions
from tests.support.polling import until
from tests.support.tasks import purse_tasks

KEY = "gate"
QUEUE = "!queue!{gate}"
SESSIONS = "!sessions!{gate}"
FENCE = b"!fence!{gate}"

LONG = float(os.environ.get("PURSE_LOCK_SECONDS", "0"))
"""Seconds for the long schedules; without it they are short."""


@pytest.fixture(params=["shared", "dedicated"])
async def clients(request: pytest.FixtureRequest, server: Server, redis: Redis) -> AsyncIterator[list[Redis]]:
    """Three clients, as of three processes; on one connection each, and with a connection for each call."""
    made = [connect(server.url) for _ in range(3)]
    for client in made:
        configure(client, engine="dedicated" if request.param == "dedicated" else "auto")
    yield made
    for client in made:
        await client.aclose()


async def queued(redis: Redis) -> int:
    """How many stand in the queue."""
    return int(await command(redis, "ZCARD", QUEUE))


async def test_first_come_first_served_across_clients(redis: Redis, clients: list[Redis]) -> None:
    """Thirty tasks of three clients get the lock in the order in which they came, whoever's they are."""
    chance = random.Random(20261126)
    served: list[int] = []

    async def wait(number: int, lock: RedisLock) -> None:
        async with lock:
            served.append(number)

    async with RedisLock(redis, KEY):
        waiting: list[asyncio.Task[None]] = []
        for number in range(30):
            waiting.append(asyncio.create_task(wait(number, RedisLock(chance.choice(clients), KEY))))
            await until(lambda: queued(redis), number + 1)
    await asyncio.gather(*waiting)

    assert served == [*range(30)]
    assert await all_keys(redis) == [FENCE]


@pytest.mark.rows(1)
async def test_a_free_lock_is_not_slept_through(redis: Redis, clients: list[Redis]) -> None:
    """While tasks of three clients take turns nobody misses its own: there is no pause of a second between two."""
    loop = asyncio.get_running_loop()
    times: list[float] = []

    async def turn(lock: RedisLock) -> None:
        async with lock:
            times.append(loop.time())
            await asyncio.sleep(0)

    locks = [RedisLock(client, KEY) for client in clients]
    await asyncio.gather(*(turn(locks[number % 3]) for number in range(300)))

    assert max(later - earlier for earlier, later in itertools.pairwise(times)) < 1.5  # RENEW is 2


async def test_nobody_overtakes_the_queue(redis: Redis, clients: list[Redis]) -> None:
    """While somebody waits, who does not want to wait does not get the lock in the moment in which it is free."""
    first = await RedisLock(redis, KEY).acquire()
    assert first is not None
    waiting = asyncio.create_task(RedisLock(clients[0], KEY).acquire())
    await until(lambda: queued(redis), 1)

    _, hasty = await asyncio.gather(first.release(), RedisLock(clients[1], KEY).acquire(blocking=False))

    assert hasty is None
    assert await asyncio.wait_for(waiting, 5) is not None


@pytest.mark.thorough
async def test_a_hundred_wait_without_asking(redis: Redis, server: Server) -> None:
    """While a hundred tasks of two clients wait for two seconds, the server hears of them a handful of times."""
    tasks: list[asyncio.Task[Lease | None]] = []
    async with connect(server.url) as one, connect(server.url) as other, RedisLock(redis, KEY, lease=60):
        tasks += [asyncio.create_task(RedisLock(c, KEY).acquire()) for c in (one, other) for _ in range(50)]
        await until(lambda: queued(redis), 100)
        await command(redis, "CONFIG", "RESETSTAT")
        await asyncio.sleep(2)
        stats: dict[str, Any] = await redis.info("commandstats")  # pyright: ignore[reportUnknownMemberType]
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)
        assert await queued(redis) == 0

    asked = {name.removeprefix("cmdstat_"): int(stat["calls"]) for name, stat in stats.items()}
    assert asked.get("evalsha", 0) <= 6  # one a client every two seconds, and those on the way at the beginning
    assert asked.get("exists", 0) <= 6
    assert sum(asked.values()) < 120  # with what the scripts call


@pytest.mark.thorough
async def test_the_turn_of_somebody_who_does_not_come(redis: Redis, server: Server) -> None:
    """While a free lock is the turn of somebody else, who waits asks at growing intervals, and is served after that."""
    await redis.set(KEY, "somebody")
    async with connect(server.url) as client:
        await command(redis, "ZADD", QUEUE, 0, "absent/1")
        await command(redis, "ZADD", SESSIONS, 2**42, "absent")
        waiting = asyncio.create_task(RedisLock(client, KEY).acquire())
        await until(lambda: queued(redis), 2)
        await command(redis, "CONFIG", "RESETSTAT")
        await redis.delete(KEY)
        await asyncio.sleep(1)
        stats: dict[str, Any] = await redis.info("commandstats")  # pyright: ignore[reportUnknownMemberType]
        assert await RedisLock(client, KEY).locked() is False
        await command(redis, "ZADD", SESSIONS, "XX", 1, "absent")
        lease = await asyncio.wait_for(waiting, 10)
        assert lease is not None
        await lease.release()

    asked = {name.removeprefix("cmdstat_"): int(stat["calls"]) for name, stat in stats.items()}
    assert 3 < asked["evalsha"] < 20


@pytest.mark.rows(1)
async def test_a_lease_that_ends_is_noticed(redis: Redis, clients: list[Redis]) -> None:
    """Nobody releases the lock of a dead holder: the first who waits has it when its lease is over."""
    dead = await asyncio.create_task(RedisLock(redis, KEY, lease=0.3).acquire())
    assert dead is not None

    lease = await RedisLock(clients[0], KEY).acquire(timeout=10)

    assert lease is not None
    assert dead.remaining == 0
    assert lease.token == dead.token + 1


async def test_a_lock_that_somebody_deletes(redis: Redis, clients: list[Redis]) -> None:
    """Who waits hears of a key that is deleted by hand, or with the whole database, too."""
    for wipe in ("DEL gate", "UNLINK gate", "RENAME gate other", "FLUSHALL"):
        await redis.set(KEY, "somebody")
        waiting = asyncio.create_task(RedisLock(clients[0], KEY).acquire(timeout=10))
        await until(lambda: queued(redis), 1)
        await command(redis, *wipe.split())
        lease = await waiting
        assert lease is not None, wipe
        await lease.release()


WAITING = """
import asyncio, sys
from redis.asyncio import Redis
from purse.locks import RedisLock

async def main():
    lock = RedisLock(Redis.from_url(sys.argv[1]), "gate")
    await asyncio.gather(*(lock.acquire() for _ in range(3)))

asyncio.run(main())
"""


@pytest.mark.rows(1)
@pytest.mark.parametrize("how", ["SIGKILL", "SIGSTOP"])
async def test_a_dead_process_is_passed_over(redis: Redis, server: Server, how: str) -> None:
    """A process that stands first and is killed, or hangs, loses its places after some seconds; the next is served."""
    lock = RedisLock(redis, KEY, lease=60)
    async with lock:
        process = await start_python("-c", WAITING, server.url)
        await until(lambda: queued(redis), 3, seconds=30)
        next_one = asyncio.create_task(lock.acquire(timeout=60))
        await until(lambda: queued(redis), 4)
        process.send_signal(getattr(signal, how))
        # The clock of the places is the server's; a test does not wait for it, but sets it.
        await _forfeit(redis, process_of=0)
    lease = await next_one
    with contextlib.suppress(ProcessLookupError):
        process.kill()
    await process.wait()

    assert lease is not None
    assert await queued(redis) == 0
    await lease.release()


async def _forfeit(redis: Redis, process_of: int) -> None:
    """Let the places of the session at this rank of the queue be forfeit now."""
    (owner,) = await command(redis, "ZRANGE", QUEUE, process_of, process_of)
    (session, _, _) = owner.partition(b"/")
    await command(redis, "ZADD", SESSIONS, "XX", 1, session)


@pytest.mark.skipif(not LONG, reason="waits for several seconds: PURSE_LOCK_SECONDS=10")
async def test_a_dead_process_is_passed_over_in_time(redis: Redis, server: Server) -> None:
    """The same without setting the clock; with PURSE_LOCK_SECONDS."""
    lock = RedisLock(redis, KEY, lease=60)
    async with lock:
        process = await start_python("-c", WAITING, server.url)
        await until(lambda: queued(redis), 3, seconds=30)
        next_one = asyncio.create_task(lock.acquire(timeout=60))
        await until(lambda: queued(redis), 4)
        process.kill()
    started = asyncio.get_running_loop().time()
    lease = await next_one
    await process.wait()

    assert lease is not None
    assert asyncio.get_running_loop().time() - started < PLACE + 2


async def test_a_place_that_nobody_could_take_back(redis: Redis, server: Server) -> None:
    """A place of a task that is gone, in a loop that lives, is removed by those who come after it."""
    lock = RedisLock(redis, KEY)
    async with connect(server.url) as client:
        async with lock:
            waiting = asyncio.create_task(RedisLock(client, KEY).acquire(timeout=10))
            await until(lambda: queued(redis), 1)
            (owner,) = await command(redis, "ZRANGE", QUEUE, 0, 0)
            (session, _, _) = owner.partition(b"/")
            await command(redis, "ZADD", QUEUE, -1, session + b"/gone")
        lease = await waiting
        assert lease is not None
        await lease.release()
    assert await all_keys(redis) == [FENCE]


async def test_a_loop_that_lost_its_places_lines_up_again(redis: Redis, clients: list[Redis]) -> None:
    """A loop that hung so long that its places were forfeit goes to the end of the queue, and is served."""
    served: list[str] = []

    async def wait(name: str, client: Redis) -> None:
        async with RedisLock(client, KEY):
            served.append(name)

    async with RedisLock(redis, KEY):
        hung = [asyncio.create_task(wait("hung", clients[0])) for _ in range(3)]
        await until(lambda: queued(redis), 3)
        other = asyncio.create_task(wait("other", clients[1]))
        await until(lambda: queued(redis), 4)
        await command(redis, "ZREMRANGEBYRANK", QUEUE, 0, 0)
        await command(redis, "DEL", SESSIONS)
    await asyncio.gather(*hung, other)

    assert sorted(served) == ["hung", "hung", "hung", "other"]
    assert await all_keys(redis) == [FENCE]


async def test_who_gives_up_is_forgotten(redis: Redis, clients: list[Redis]) -> None:
    """Of ninety who wait two thirds are cancelled, the first among them: the others are served in order."""
    served: list[int] = []
    locks = [RedisLock(client, KEY) for client in clients]

    async def wait(number: int) -> None:
        async with locks[number % 3]:
            served.append(number)

    async with RedisLock(redis, KEY):
        waiting: list[asyncio.Task[None]] = []
        for number in range(90):
            waiting.append(asyncio.create_task(wait(number)))
            if number % 10 == 9:
                await until(lambda: queued(redis), number + 1)
        for number, task in enumerate(waiting):
            if number % 9 < 6:
                task.cancel()
        await until(lambda: queued(redis), 30)
    outcomes = await asyncio.gather(*waiting, return_exceptions=True)

    assert sum(isinstance(outcome, asyncio.CancelledError) for outcome in outcomes) == 60
    by_client = [[number for number in served if number % 3 == client] for client in range(3)]
    assert by_client == [[n for n in range(90) if n % 9 >= 6 and n % 3 == client] for client in range(3)]
    assert await all_keys(redis) == [FENCE]


async def test_those_who_give_up_together_leave_together(redis: Redis, clients: list[Redis]) -> None:
    """Of two hundred cancelled at once all are taken back by few scripts: each needs no connection of its own."""
    lock = RedisLock(clients[0], KEY)

    async def wait() -> None:
        async with lock:
            pass

    async with RedisLock(redis, KEY):
        waiting = [asyncio.create_task(wait()) for _ in range(200)]
        await until(lambda: queued(redis), 200)
        before = await calls_of(redis, "eval")
        for task in waiting:
            task.cancel()
        await asyncio.gather(*waiting, return_exceptions=True)
        assert await queued(redis) == 0
        assert await calls_of(redis, "eval") - before <= 4


@pytest.mark.rows(2)
@pytest.mark.parametrize("scopes", ["asyncio", "anyio"])
@pytest.mark.parametrize("state", ["free", "held", "released meanwhile", "with a watchdog"])
async def test_cancelled_at_every_moment(redis: Redis, clients: list[Redis], scopes: str, state: str) -> None:
    """An acquire that is cancelled after each number of steps leaves neither the lock nor a place in the queue."""
    lock = RedisLock(clients[0], KEY, watchdog=state == "with a watchdog")
    await lock.locked()
    entered = 0
    for steps in range(40):
        if state in ("held", "released meanwhile"):
            await redis.set(KEY, "somebody", px=60_000)

        async def enter() -> None:
            nonlocal entered
            async with lock:
                entered += 1

        async def enter_in_a_scope(scope: anyio.CancelScope) -> None:
            with scope:
                await enter()

        scope = anyio.CancelScope()
        task = asyncio.create_task(enter() if scopes == "asyncio" else enter_in_a_scope(scope))
        for step in range(steps):
            if step == steps // 2 and state == "released meanwhile":
                await redis.delete(KEY)
            await asyncio.sleep(0)
        if scopes == "asyncio":
            task.cancel()
        else:
            scope.cancel()
        await asyncio.wait((task,))
        if state in ("held", "released meanwhile"):
            await until(lambda: _without_somebody(redis), True)
        await redis.delete(*([KEY] if await redis.get(KEY) == b"somebody" else ["nothing"]))
        await until(lambda: redis.exists(KEY, QUEUE, SESSIONS), 0)
        await until(_nothing_left, True)
        assert len(lock_line(executor_for(clients[0]), KEY)) == 0


async def _without_somebody(redis: Redis) -> bool:
    """Whether nobody but the one of the test is there."""
    return await redis.get(KEY) in (None, b"somebody") and await queued(redis) == 0


async def _nothing_left() -> bool:
    """Whether no task of a lock is left."""
    return not _NAMES.intersection(purse_tasks())


_NAMES = {"purse: lock", "purse: release", "purse: watchdog"}


@pytest.mark.rows(1)
@pytest.mark.parametrize("scopes", ["asyncio", "anyio"])
async def test_impatient_tasks(redis: Redis, clients: list[Redis], scopes: str) -> None:
    """Tasks that give up at random moments, from three clients: never two inside, and nothing left. PURSE_LOCK_SECONDS
    makes it longer.
    """
    seed = random.randrange(2**32)
    chance = random.Random(seed)
    loop = asyncio.get_running_loop()
    until_then = loop.time() + LONG
    inside = most = grants = given_up = 0
    tokens: list[int] = []

    async def work(lock: RedisLock) -> None:
        nonlocal inside, most, grants
        async with lock as lease:
            inside += 1
            most = max(most, inside)
            grants += 1
            tokens.append(lease.token)
            try:
                await asyncio.sleep(chance.choice((0, 0, 0.002)))
            finally:
                inside -= 1

    async def impatient(lock: RedisLock) -> None:
        nonlocal given_up
        while loop.time() < until_then or min(grants, given_up) < 100:
            patience = chance.uniform(0, 0.02 if given_up < 100 or LONG else 1)
            if scopes == "asyncio":
                try:
                    async with asyncio.timeout(patience):
                        await work(lock)
                except TimeoutError:
                    given_up += 1
            else:
                with anyio.move_on_after(patience) as scope:
                    await work(lock)
                given_up += scope.cancelled_caught

    locks = [RedisLock(client, KEY, watchdog=n == 0) for n, client in enumerate(clients)]
    async with asyncio.timeout(60 + LONG):
        await asyncio.gather(*(impatient(lock) for lock in locks for _ in range(4)))

    assert most == 1, seed
    assert tokens == sorted(set(tokens)), seed
    await until(lambda: redis.exists(KEY, QUEUE, SESSIONS), 0)
    await until(_nothing_left, True)


async def test_a_release_that_is_cancelled_releases(redis: Redis, clients: list[Redis]) -> None:
    """After each number of steps, by asyncio and by a scope of anyio, the lock is free soon after."""
    lock = RedisLock(clients[0], KEY)
    for steps in range(12):
        for scoped in (False, True):
            ready = asyncio.Event()
            scope = anyio.CancelScope()

            async def block(ready: asyncio.Event = ready, scope: anyio.CancelScope = scope) -> None:
                with scope:
                    async with lock:
                        ready.set()

            task = asyncio.create_task(block())
            await ready.wait()
            for _ in range(steps):
                await asyncio.sleep(0)
            if scoped:
                scope.cancel()
            else:
                task.cancel()
            await asyncio.wait((task,))
            await until(lambda: redis.exists(KEY), 0)


async def test_closing_ends_the_waiting(redis: Redis, clients: list[Redis]) -> None:
    """When the store, or its client, is closed everybody who waits is told."""
    async with RedisLock(redis, KEY):
        waiting = [asyncio.create_task(RedisLock(clients[0], KEY).acquire()) for _ in range(3)]
        await until(lambda: queued(redis), 3)

        await executor_for(clients[0]).aclose()

        async with asyncio.timeout(10):
            outcomes = await asyncio.gather(*waiting, return_exceptions=True)
    assert all(isinstance(outcome, StoreClosed) for outcome in outcomes), outcomes


async def test_who_may_not_listen_looks(redis: Redis, server: Server) -> None:
    """A user who is not allowed CLIENT looks several times a second, and is served."""
    await command(redis, "ACL", "SETUSER", "looker", "on", "nopass", "~*", "+@all", "-client")
    try:
        async with connect(server.url, username="looker", password="any") as client:
            async with RedisLock(redis, KEY):
                waiting = asyncio.create_task(RedisLock(client, KEY).acquire(timeout=10))
                await until(lambda: queued(redis), 1)
            assert await waiting is not None
    finally:
        await command(redis, "ACL", "DELUSER", "looker")


async def test_the_commands_that_a_user_needs(redis: Redis, server: Server) -> None:
    """A user who may run what docs/locks.md says, and nothing else, can wait, hold, extend, release and look."""
    documented = documented_permissions("locks")
    # Who waits for ``acquire`` may give up, which takes back what it has asked for.
    needed = ("acquire", "within", "async with", "extend", "release", "locked")
    allowed = ["+" + name for method in needed for name in documented.get(method, ())]
    await command(redis, "ACL", "SETUSER", "gardener", "on", "nopass", "~*", "-@all", "+hello", "+ping", *allowed)
    try:
        async with connect(server.url, username="gardener", password="any") as client:
            lock = RedisLock(client, KEY)
            async with RedisLock(redis, KEY):
                assert await lock.locked()
                waiting = asyncio.create_task(lock.acquire(timeout=10))
                await until(lambda: queued(redis), 1)
            lease = await waiting
            assert lease is not None
            await lease.extend()
            await lease.release()
    finally:
        await command(redis, "ACL", "DELUSER", "gardener")
