"""Waiting for elements: ten thousand callers on a few connections, and none of them loses anything."""

from __future__ import annotations

import asyncio
import random

import anyio
import pytest
from redis.asyncio import Redis
from redis.exceptions import RedisError

from purse import statistics
from purse._engine import dedicated, wakeups
from purse._engine.registry import executor_for
from purse._engine.replies import as_array, as_bytes
from purse._engine.unit import Unit
from purse._engine.waiting import Line
from purse.embedded import Server
from purse.errors import StoreClosed
from tests.support.clients import connect
from tests.support.polling import until
from tests.support.proxy import Proxy
from tests.support.tasks import no_task_left
from tests.support.units import Unexplained, read, send

# How calls themselves reach Redis makes no difference here but in whether the server tells of changes.
pytestmark = pytest.mark.engines("shared", "dedicated")


def line(client: Redis, key: str = "queue") -> Line[bytes]:
    """Those who wait for elements at the left of a list."""

    def take(most: int) -> Unit[list[bytes]]:
        return Unit(
            (("LPOP", key, most),),
            lambda replies: [] if replies[0] is None else [as_bytes(raw) for raw in as_array(replies[0])],
            Unexplained(),
        )

    def put_back(elements: list[bytes]) -> Unit[object]:
        return Unit((("LPUSH", key, *reversed(elements)),), lambda replies: None, Unexplained())

    return executor_for(client).line(key, "left", take, put_back)


async def get(client: Redis, key: str = "queue") -> int:
    """Wait for the next number."""
    return int(await line(client, key).get())


async def put(client: Redis, *numbers: int, key: str = "queue") -> None:
    await send(client, "RPUSH", key, *numbers)


async def connections(redis: Redis) -> int:
    """How many clients the server has."""
    return len(await redis.client_list())  # pyright: ignore[reportUnknownMemberType]


async def test_what_is_there_is_taken_at_once(redis: Redis) -> None:
    """Elements that were put before are handed out in their order."""
    await put(redis, 1, 2, 3)

    assert [await get(redis) for _ in range(3)] == [1, 2, 3]
    assert await read(redis, "EXISTS", "queue") == 0


async def test_who_came_first_is_served_first(redis: Redis) -> None:
    """A hundred callers that wait get the elements in the order in which they came."""
    waiting = [asyncio.create_task(get(redis)) for _ in range(100)]
    await until(lambda: _length(redis), 100)

    for number in range(0, 100, 4):
        await put(redis, *range(number, number + 4))

    assert await asyncio.gather(*waiting) == [*range(100)]
    await until(no_task_left, True)


async def _length(client: Redis, key: str = "queue") -> int:
    return len(line(client, key))


async def test_nothing_is_taken_for_those_who_are_gone(redis: Redis) -> None:
    """After all callers were cancelled nothing is taken any more, and no task is left."""
    waiting = [asyncio.create_task(get(redis)) for _ in range(10)]
    await until(lambda: _length(redis), 10)
    for task in waiting:
        task.cancel()
    await asyncio.gather(*waiting, return_exceptions=True)
    await until(no_task_left, True)

    await put(redis, 1)

    assert await read(redis, "LRANGE", "queue", 0, -1) == [b"1"]


async def test_cancelling_at_every_moment_loses_nothing(redis: Redis, engine: str) -> None:
    """A single caller is cancelled after each number of steps: elements that are there or come stay, in order."""
    numbers = [*range(5)]
    for steps in range(60):
        await send(redis, "DEL", "queue")
        if steps % 2:
            await put(redis, *numbers)
        waiting = asyncio.create_task(get(redis))
        if not steps % 2:
            await asyncio.sleep(0)
            await put(redis, *numbers)
        for _ in range(steps // 2):
            await asyncio.sleep(0)
        waiting.cancel()
        (outcome,) = await asyncio.gather(waiting, return_exceptions=True)
        await until(no_task_left, True)

        left = [int(as_bytes(raw)) for raw in as_array(await read(redis, "LRANGE", "queue", 0, -1))]
        assert left == (numbers if isinstance(outcome, asyncio.CancelledError) else numbers[1:]), steps


@pytest.mark.rows(1)
@pytest.mark.parametrize("scopes", ["asyncio", "anyio"])
async def test_two_thousand_cancellations_while_producers_run(redis: Redis, scopes: str) -> None:
    """Callers that give up at random moments, and others that do not: each element is seen once, in order."""
    chance = random.Random(20261124)
    seen: list[int] = []
    given_up = 0

    async def impatient() -> None:
        nonlocal given_up
        while given_up < 2000:
            patience = chance.uniform(0, 0.004)
            if scopes == "asyncio":
                try:
                    async with asyncio.timeout(patience):
                        seen.append(await get(redis))
                except TimeoutError:
                    given_up += 1
            else:
                with anyio.move_on_after(patience) as scope:
                    seen.append(await get(redis))
                given_up += scope.cancelled_caught

    async def produce() -> int:
        number = 0
        while given_up < 2000:
            await put(redis, *range(number, number + 3))
            number += 3
            await asyncio.sleep(0.001)
        return number

    producing = asyncio.create_task(produce())
    await asyncio.gather(*(impatient() for _ in range(20)))
    total = await producing
    await until(no_task_left, True)
    seen += [int(as_bytes(raw)) for raw in as_array(await read(redis, "LRANGE", "queue", 0, -1))]

    assert sorted(seen) == [*range(total)]
    assert seen == [*range(total)]  # one process, one line: not even the order is disturbed


async def test_ten_thousand_wait_on_a_few_connections(redis: Redis, engine: str) -> None:
    """Ten thousand callers on one key and a thousand on a hundred others: a handful of connections, all served.

    (Where each call has a connection to itself, those of the looks at a hundred keys come on top.)
    """
    await send(redis, "PING")
    many = [asyncio.create_task(get(redis)) for _ in range(10_000)]
    keys = [f"queue {n}" for n in range(100)]
    few = [asyncio.create_task(get(redis, key)) for key in keys for _ in range(10)]
    await until(lambda: _length(redis), 10_000)
    await until(lambda: _length(redis, keys[-1]), 10)

    assert await connections(redis) < (10 if engine == "shared" else 10 + dedicated.LIMIT)
    assert await send(redis, "PING") == b"PONG"
    await put(redis, *range(10_000))
    await asyncio.gather(*(put(redis, *range(10), key=key) for key in keys))

    assert await asyncio.gather(*many) == [*range(10_000)]
    assert await asyncio.gather(*few) == [*range(10)] * 100


async def test_each_element_goes_to_one_of_many_clients(redis: Redis, server: Server) -> None:
    """Callers of three clients share what comes; nothing twice, nothing lost."""
    clients = [connect(server.url) for _ in range(3)]
    waiting = [asyncio.create_task(get(client)) for client in clients for _ in range(100)]

    for number in range(0, 300, 10):
        await put(redis, *range(number, number + 10))

    assert sorted(await asyncio.gather(*waiting)) == [*range(300)]
    for client in clients:
        await client.aclose()


@pytest.mark.rows(2)
@pytest.mark.parametrize("protocol", [2, 3])
async def test_waiting_outlasts_the_socket_timeout(redis: Redis, server: Server, protocol: int) -> None:
    """A caller may wait far longer than the client's socket timeout, and give up far earlier."""
    client = connect(server.url, socket_timeout=0.1, protocol=protocol)
    waiting = asyncio.create_task(get(client))
    with pytest.raises(TimeoutError):
        async with asyncio.timeout(0.01):
            await get(client)
    done, _ = await asyncio.wait([waiting], timeout=0.4)
    assert not done

    await put(redis, 7)

    assert await waiting == 7


@pytest.mark.engines("shared")
async def test_no_look_is_needed_to_learn_of_an_element(redis: Redis, monkeypatch: pytest.MonkeyPatch) -> None:
    """The server tells: with looks hours apart an element that is put arrives nevertheless."""
    monkeypatch.setattr(wakeups, "CHECK", 3600)
    for number in range(20):
        waiting = asyncio.create_task(get(redis))
        await until(lambda: _length(redis), 1)
        await put(redis, number)

        assert await asyncio.wait_for(waiting, 5) == number


@pytest.mark.engines("shared")
async def test_a_connection_that_died_unnoticed_is_found_out(
    redis: Redis, proxy: Proxy, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A link that is dead without having been closed holds nobody up for longer than a look and the socket timeout."""
    monkeypatch.setattr(wakeups, "CHECK", 0.2)
    client = connect(proxy.url, socket_timeout=0.2)
    waiting = asyncio.create_task(get(client))
    await until(lambda: _listening(client), 2)
    proxy.stall()
    await put(redis, 1)
    await asyncio.sleep(0.3)  # longer than a look: it is under way when the wire is healed for others
    proxy.drop()
    proxy.heal()

    assert await asyncio.wait_for(waiting, 5) == 1


async def _listening(client: Redis) -> int:
    return statistics(client).connections


async def _only_waits(client: Redis) -> bool:
    """Whether nothing is on its way: what is taken in the moment when the wire breaks may be lost."""
    return line(client).idle


async def test_losing_every_connection_while_waiting_loses_nothing(redis: Redis, proxy: Proxy) -> None:
    """Connections break again and again while callers wait: they go on waiting, and are served."""
    client = connect(proxy.url)
    waiting = [asyncio.create_task(get(client)) for _ in range(10)]
    for number in range(10):
        await until(lambda: _only_waits(client), True)
        proxy.drop()
        await put(redis, number)
        await until(lambda: _length(client), 9 - number)

    assert await asyncio.gather(*waiting) == [*range(10)]


async def test_refusals_reach_those_who_wait(redis: Redis) -> None:
    """If the key turns into another type, everybody who waits is told."""
    waiting = [asyncio.create_task(get(redis)) for _ in range(3)]
    await until(lambda: _length(redis), 3)

    await send(redis, "SET", "queue", "x")

    outcomes = await asyncio.gather(*waiting, return_exceptions=True)
    assert all(isinstance(outcome, RedisError) and "WRONGTYPE" in str(outcome) for outcome in outcomes)


async def test_a_flushed_database_is_waited_on_as_before(redis: Redis) -> None:
    """FLUSHALL while callers wait changes nothing for them."""
    waiting = asyncio.create_task(get(redis))
    await until(lambda: _length(redis), 1)
    await send(redis, "FLUSHALL")

    await put(redis, 1)

    assert await waiting == 1


async def test_without_permission_to_track_keys_are_looked_at(redis: Redis, server: Server) -> None:
    """A user who may not use CLIENT TRACKING waits as well, a little longer."""
    await send(redis, "ACL", "SETUSER", "poller", "on", ">secret", "~*", "+@all", "-client")
    client = connect(server.url, username="poller", password="secret")
    waiting = asyncio.create_task(get(client))
    await until(lambda: _length(client), 1)

    await put(redis, 1)

    assert await asyncio.wait_for(waiting, 5) == 1
    await client.aclose()
    await send(redis, "ACL", "DELUSER", "poller")


async def test_closing_ends_the_waiting(redis: Redis, server: Server) -> None:
    """When the store is closed everybody who waits is told, and no task and no connection is left."""
    await until(lambda: connections(redis), 1)
    client = connect(server.url)
    waiting = [asyncio.create_task(get(client)) for _ in range(3)]
    await until(lambda: _length(client), 3)

    await executor_for(client).aclose()

    outcomes = await asyncio.gather(*waiting, return_exceptions=True)
    assert all(isinstance(outcome, StoreClosed) for outcome in outcomes)
    await until(no_task_left, True)
    await until(lambda: connections(redis), 1)
    await client.aclose()
