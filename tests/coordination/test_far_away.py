"""Locks on servers that answer after 300 ms, which is late and not never."""

from __future__ import annotations

import asyncio
import time
from collections.abc import AsyncIterator, Coroutine
from contextlib import AsyncExitStack
from typing import Any

import pytest
from redis.asyncio import Redis

from purse import statistics
from purse._coordination.fencing import YOUNG
from purse._coordination.quorum import PATIENCE
from purse.embedded import Server
from purse.locks import RedisLock
from purse.redlock import Redlock
from tests.support.clients import command, connect
from tests.support.masters import keys_on, no_keys_on
from tests.support.polling import until
from tests.support.proxy import Proxy
from tests.support.selection import thorough_but

FAR = 0.3
"""Seconds until a reply is here."""


def pytest_generate_tests(metafunc: pytest.Metafunc) -> None:
    """All of this holds however calls reach Redis."""
    mark = metafunc.definition.get_closest_marker("engines")
    engines = mark.args if mark else thorough_but("shared", every=("shared", "dedicated"))
    metafunc.parametrize("engine", engines, indirect=True)


@pytest.fixture
async def lines(five_servers: list[Server], masters: list[Redis]) -> AsyncIterator[list[Proxy]]:
    """A line to each of five servers, which are empty and know no scripts."""
    async with AsyncExitStack() as stack:
        for master in masters:
            await master.script_flush()
        yield [await stack.enter_async_context(Proxy(server.port)) for server in five_servers if server.port]


@pytest.fixture
async def near(lines: list[Proxy]) -> AsyncIterator[list[Redis]]:
    """Clients of the five servers that were never connected."""
    clients = [connect(line.url, socket_timeout=None) for line in lines]
    yield clients
    await asyncio.gather(*(client.aclose() for client in clients))


@pytest.fixture
def far(lines: list[Proxy], near: list[Redis]) -> list[Redis]:
    """The same, and the servers are far away."""
    for line in lines:
        line.delay(FAR)
    return near


async def old_enough(masters: list[Redis]) -> bool:
    """Whether all of them have been up for so long that they may be given a fence."""
    ages = [int((await command(master, "INFO", "server"))["uptime_in_seconds"]) for master in masters]
    return min(ages) > YOUNG


async def connections(client: Redis) -> int:
    """How many there are."""
    return statistics(client).connections


@pytest.mark.parametrize("options", thorough_but({}, every=[{}, {"min_uptime": 1.0}, {"fencing": True}]), ids=str)
async def test_a_first_question_to_masters_that_are_far_away(
    masters: list[Redis], lines: list[Proxy], far: list[Redis], options: dict[str, Any]
) -> None:
    """``blocking=False`` takes a free lock, over connections that are yet to be opened, by scripts nobody knows yet."""
    if options.get("fencing"):  # its rounds have to be short, and a busy machine adds to each
        for line in lines:
            line.delay(FAR / 2)
    await until(lambda: old_enough(masters), True, seconds=10)
    lock = Redlock("gate", far, **options)

    assert await lock.acquire(blocking=False)
    await lock.release()
    assert await keys_on(masters) == []


@pytest.mark.thorough
async def test_a_majority_that_is_far_away(lines: list[Proxy], far: list[Redis]) -> None:
    """One master is near and has somebody else's lock, one is dead: what counts are the three that are far away."""
    lines[0].delay(0)
    await far[0].set("gate", "somebody")
    await lines[1].refuse()

    assert await Redlock("gate", far).acquire(blocking=False)


@pytest.mark.thorough
async def test_a_release_of_a_lock_that_is_far_away(masters: list[Redis], lines: list[Proxy], far: list[Redis]) -> None:
    """One trip is enough, by a script that the masters do not know: with two it would not be confirmed in time."""
    lock = Redlock("gate", far)
    assert await lock.acquire()
    for line in lines:
        line.delay(0.45)

    await lock.release()
    assert await keys_on(masters) == []


@pytest.mark.thorough
async def test_an_extension_of_a_lock_that_is_far_away(lines: list[Proxy], far: list[Redis]) -> None:
    """The same of ``extend`` and ``locked``."""
    lock = Redlock("gate", far)
    assert await lock.acquire()
    for line in lines:
        line.delay(0.45)

    await lock.extend()
    assert await lock.locked() > 0


@pytest.mark.parametrize("steps", [0, 1, 5, 50])
async def test_a_question_that_waits_for_a_connection_is_withdrawn(
    masters: list[Redis], lines: list[Proxy], near: list[Redis], steps: int
) -> None:
    """Released, or cancelled, while the connection to the fifth master is opened: it is never told of the lock."""
    lines[4].stall()
    locks = [Redlock(name, near) for name in ("released", "cancelled")]
    assert await locks[0].acquire(timeout=5)
    acquiring = asyncio.create_task(locks[1].acquire())
    for _ in range(steps):
        await asyncio.sleep(0)
    acquiring.cancel()
    await asyncio.wait((acquiring,))
    if not acquiring.cancelled() and acquiring.exception() is None:
        await locks[1].release()
    await locks[0].release()
    lines[4].heal()

    await RedisLock(near[4], "other").locked()  # over the connection on which the lock would have been taken
    assert b"released" not in lines[4].requests
    assert b"cancelled" not in lines[4].requests
    await no_keys_on(masters)


@pytest.mark.parametrize("pause", thorough_but(0.5, every=[0.0, 0.5, FAR * 3.5]))
async def test_a_release_just_before_the_loop_ends(masters: list[Redis], lines: list[Proxy], pause: float) -> None:
    """The fifth master is far away, and still being connected, or asked: it keeps no key."""
    lines[4].delay(FAR)

    async def program() -> None:
        clients = [connect(line.url, socket_timeout=None) for line in lines]
        lock = Redlock("gate", clients, auto_release_time=60_000)
        assert await lock.acquire(timeout=5)
        await asyncio.sleep(pause)
        await lock.release()

    await asyncio.to_thread(asyncio.run, program())

    await no_keys_on(masters)


@pytest.mark.thorough
async def test_a_lock_on_one_server_that_is_far_away(lines: list[Proxy], far: list[Redis]) -> None:
    """``RedisLock`` too takes a free lock without waiting, though connecting alone takes three trips."""
    lock = RedisLock(far[0], "gate")

    assert await lock.acquire(blocking=False)
    await lock.release()


@pytest.mark.thorough
async def test_a_server_that_hangs_while_connecting(lines: list[Proxy], near: list[Redis]) -> None:
    """The first call gives it time for a connection, the next ones do not; both return, with nothing sent."""
    lines[0].stall()
    lock = RedisLock(near[0], "gate")
    async with asyncio.timeout(20):
        assert await lock.acquire(blocking=False) is None
        assert await lock.acquire(blocking=False) is None
    assert statistics(near[0]).commands == 0
    lines[0].heal()

    assert await lock.acquire(timeout=5)


@pytest.mark.engines("shared")
async def test_a_script_is_sent_whole_once_for_each_connection(lines: list[Proxy], near: list[Redis]) -> None:
    """EVAL, then EVALSHA; EVAL again on a new connection, which may lead to a server that was restarted."""
    lock, words = RedisLock(near[0], "gate"), (b"EVAL\r\n", b"EVALSHA\r\n")

    async def sent() -> list[int]:
        lines[0].requests.clear()
        async with lock:
            pass
        return [lines[0].requests.count(word) for word in words]

    assert await sent() == [2, 0]
    assert await sent() == [0, 2]
    lines[0].drop()
    await until(lambda: connections(near[0]), 0)
    assert await sent() == [2, 0]
    assert await sent() == [0, 2]
    await near[0].script_flush()
    assert await sent() == [2, 2]


@pytest.mark.thorough
@pytest.mark.parametrize("steps", thorough_but(3, every=[1, 2, 3, 5, 8]))
async def test_work_that_holds_up_the_loop(masters: list[Redis], steps: int) -> None:
    """Somebody's synchronous work is not taken for silence of the masters: the lock is acquired and extended."""
    lock = Redlock("gate", masters)

    async def beside_work(call: Coroutine[object, object, object]) -> object:
        task = asyncio.create_task(call)
        for _ in range(steps):
            await asyncio.sleep(0)
        time.sleep(PATIENCE + 0.2)  # noqa: ASYNC251 - a callback that does not return
        return await task

    assert await beside_work(lock.acquire(blocking=False))
    await beside_work(lock.extend())
    assert await beside_work(lock.locked())
    await lock.release()
