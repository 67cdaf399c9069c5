"""RedisSemaphore: callers who give up, servers that fail, processes that die."""

from __future__ import annotations

import asyncio
import os
import random
import signal
from typing import Any

import anyio
import pytest
from redis.asyncio import Redis
from redis.exceptions import ConnectionError

from purse.embedded import Server
from purse.limits import Permit, RedisSemaphore
from tests.support.children import start_python
from tests.support.clients import all_keys, connect
from tests.support.permits import Watch, no_task_left, only_waits, waiters_of
from tests.support.polling import until
from tests.support.proxy import Proxy
from tests.support.scripts import run
from tests.support.selection import size

SECONDS = float(os.environ.get("PURSE_LOCK_SECONDS", size("0.5", "1.5")))


# --- giving up ----------------------------------------------------------------------------------


@pytest.mark.parametrize("blocking", [True, False])
@pytest.mark.parametrize("scopes", ["asyncio", "anyio"])
async def test_cancelling_at_every_moment_leaves_no_permit(redis: Redis, blocking: bool, scopes: str) -> None:
    """An acquire that is cancelled after any number of steps has left nothing a moment later."""
    semaphore = RedisSemaphore(redis, "workers", limit=1)
    scope = anyio.CancelScope()

    async def attempt() -> Permit | None:
        with scope:
            return await semaphore.acquire(blocking=blocking)
        return None

    cancelled = 0
    for steps in range(40):
        scope = anyio.CancelScope()
        acquiring = asyncio.create_task(attempt())
        for _ in range(steps):
            await asyncio.sleep(0)
        if scopes == "asyncio":
            acquiring.cancel()
        else:
            scope.cancel()
        (outcome,) = await asyncio.gather(acquiring, return_exceptions=True)
        if isinstance(outcome, Permit):
            await outcome.release()
        else:
            cancelled += 1
        await until(lambda: semaphore.available(), 1)
        await until(no_task_left, True)
    assert cancelled > 3
    assert await all_keys(redis) == []


@pytest.mark.parametrize("scopes", ["asyncio", "anyio"])
async def test_a_cancelled_release_releases(redis: Redis, scopes: str) -> None:
    """Whenever a block is cancelled, at its end, too, its permit is given back."""
    semaphore = RedisSemaphore(redis, "workers", limit=1)
    scope = anyio.CancelScope()

    async def work() -> None:
        with scope:
            async with semaphore:
                await asyncio.sleep(0)

    for steps in range(40):
        scope = anyio.CancelScope()
        working = asyncio.create_task(work())
        for _ in range(steps):
            await asyncio.sleep(0)
        if scopes == "asyncio":
            working.cancel()
        else:
            scope.cancel()
        await asyncio.gather(working, return_exceptions=True)
        await until(lambda: semaphore.available(), 1)
    await until(no_task_left, True)


async def test_impatient_callers_leave_nothing(clients: list[Redis]) -> None:
    """Callers that give up at random moments, among others: never too many inside, and in the end all permits free.

    (PURSE_LOCK_SECONDS=600 goes on for ten minutes.)
    """
    semaphores = [RedisSemaphore(client, "workers", limit=3) for client in clients]
    seed = random.randrange(2**32)
    ends = asyncio.get_running_loop().time() + SECONDS
    watch = Watch(3)
    given_up = 0

    async def insist(nth: int) -> None:
        nonlocal given_up
        chance = random.Random(seed + nth)
        while asyncio.get_running_loop().time() < ends:
            semaphore = semaphores[chance.randrange(4)]
            with anyio.move_on_after(chance.uniform(0, 0.01)) as scope:
                async with semaphore:
                    watch.enter()
                    try:
                        await asyncio.sleep(chance.uniform(0, 0.003))
                    finally:
                        watch.leave()
            given_up += scope.cancelled_caught
            if chance.random() < 0.1:
                permit = await semaphore.acquire(blocking=False)
                if permit is not None:
                    watch.enter()
                    watch.leave()
                    await permit.release()

    print(f"seed {seed}")
    await asyncio.gather(*(insist(nth) for nth in range(30)))

    assert watch.entries > 50
    assert given_up > 50
    await until(lambda: semaphores[0].available(), 3)
    await until(no_task_left, True)


async def test_who_is_gone_leaves_its_permit_to_the_next(redis: Redis) -> None:
    """A permit that arrives for a caller in the moment of its cancellation goes to who stands behind it."""
    semaphore = RedisSemaphore(redis, "workers", limit=1)
    line = semaphore._line()  # pyright: ignore[reportPrivateUsage]
    permit = await semaphore.acquire()
    first, second = (asyncio.create_task(semaphore.acquire()) for _ in range(2))
    await until(lambda: waiters_of(semaphore), 2)

    line._hand(permit)  # pyright: ignore[reportPrivateUsage] - the first has it now, and has not run yet
    first.cancel()

    assert await second is permit
    assert (await asyncio.gather(first, return_exceptions=True))[0].__class__ is asyncio.CancelledError
    await permit.release()


# --- faults -------------------------------------------------------------------------------------


async def test_a_permit_whose_reply_was_lost_comes_back(redis: Redis, proxy: Proxy) -> None:
    """Whoever waited is told, and what was taken for it is given back as soon as the server can be reached."""
    client = connect(proxy.url)
    semaphore = RedisSemaphore(client, "workers", limit=1)
    await (await semaphore.acquire()).release()  # the server knows the script
    proxy.swallow()
    acquiring = asyncio.create_task(semaphore.acquire())
    await proxy.swallowed()
    assert await RedisSemaphore(redis, "workers", limit=1).available() == 0

    proxy.heal()
    proxy.drop()

    with pytest.raises(ConnectionError, match="not sent again"):
        await acquiring
    await until(lambda: semaphore.available(), 1)
    await until(no_task_left, True)


async def test_a_server_that_hangs_holds_nobody_up_for_longer(own_server: Server) -> None:
    """A timeout holds although the client has none; what is taken when the server goes on is given back."""
    client = connect(own_server.url)
    semaphore = RedisSemaphore(client, "workers", limit=1)
    await semaphore.available()
    loop = asyncio.get_running_loop()
    os.kill(own_server.pid, signal.SIGSTOP)
    try:
        before = loop.time()
        assert await semaphore.acquire(timeout=0.1) is None
        assert loop.time() - before < 5
    finally:
        os.kill(own_server.pid, signal.SIGCONT)

    await until(lambda: semaphore.available(), 1)
    await until(no_task_left, True)


async def test_time_that_is_already_spent_is_never_handed_out(own_server: Server) -> None:
    """A permit whose reply took longer than its lease is not given to anybody; the next one is."""
    client = connect(own_server.url)
    semaphore = RedisSemaphore(client, "workers", limit=1, lease=0.2)
    await semaphore.available()
    os.kill(own_server.pid, signal.SIGSTOP)
    acquiring = asyncio.create_task(semaphore.acquire())
    once = asyncio.create_task(semaphore.acquire(blocking=False))
    await asyncio.sleep(0.4)
    os.kill(own_server.pid, signal.SIGCONT)

    assert (await asyncio.wait_for(acquiring, 30)).remaining > 0
    assert await once is None


async def test_permits_outlive_a_server_that_keeps_its_data(own_server: Server) -> None:
    """After a restart with data the permits are what they were, and those who wait go on waiting."""
    client = connect(own_server.url)
    semaphore = RedisSemaphore(client, "workers", limit=1)
    permit = await semaphore.acquire()
    waiting = asyncio.create_task(semaphore.acquire())
    await until(lambda: only_waits(semaphore), True)
    own_server.kill()
    own_server.start()

    assert await semaphore.available() == 0
    await permit.release()

    assert (await asyncio.wait_for(waiting, 30)).remaining > 0


@pytest.mark.thorough
async def test_a_server_that_stays_away_is_reported(own_server: Server) -> None:
    """Everybody who waits gets the error, and nothing is left behind; afterwards all works again."""
    client = connect(own_server.url)
    semaphore = RedisSemaphore(client, "workers", limit=1)
    await semaphore.acquire()
    waiting = [asyncio.create_task(semaphore.acquire()) for _ in range(5)]
    await until(lambda: only_waits(semaphore), True)
    assert await waiters_of(semaphore) == 5
    own_server.kill()

    outcomes = await asyncio.wait_for(asyncio.gather(*waiting, return_exceptions=True), 30)

    assert all(isinstance(outcome, ConnectionError) for outcome in outcomes)
    await until(no_task_left, True, seconds=10)
    own_server.start()
    assert await semaphore.available() == 0
    assert await RedisSemaphore(client, "workers", limit=2).acquire(timeout=30) is not None


HOLD = """
import asyncio, sys
from redis.asyncio import Redis
from purse.limits import RedisSemaphore

async def main():
    semaphore = RedisSemaphore(Redis.from_url(sys.argv[1]), sys.argv[2], limit=1, lease=0.5)
    {body}

asyncio.run(main())
"""


@pytest.mark.thorough
async def test_a_killed_process_keeps_its_permit_for_its_lease_only(redis: Redis, server: Server) -> None:
    """SIGKILL in a block: the others get in when the lease is over."""
    body = "async with semaphore:\n        print('in', flush=True)\n        await asyncio.sleep(60)"
    holder = await start_python("-c", HOLD.format(body=body), server.url, "workers", stdout=asyncio.subprocess.PIPE)
    assert holder.stdout is not None
    assert await holder.stdout.readline() == b"in\n"
    semaphore = RedisSemaphore(redis, "workers", limit=1)
    holder.kill()
    await holder.wait()

    assert await semaphore.acquire(timeout=30) is not None


@pytest.mark.rows(1)
@pytest.mark.parametrize(
    "body",
    [
        "await semaphore.acquire()",
        "await semaphore.acquire(); asyncio.create_task(semaphore.acquire()); await asyncio.sleep(0.1)",
        "asyncio.create_task(semaphore.acquire()); await asyncio.sleep(0)",
        "async with semaphore: await semaphore.acquire(timeout=0.1)",
    ],
)
def test_leaving_the_interpreter_is_silent(server: Server, tmp_path: Any, body: str) -> None:
    """Whatever is under way when the event loop ends: no warning, no task that was destroyed."""
    closing = "; await semaphore.redis.aclose()"
    ended = run(["-c", HOLD.format(body=body + closing), server.url, tmp_path.name], cwd=tmp_path)

    assert ended.err == ""
    assert ended.code == 0
