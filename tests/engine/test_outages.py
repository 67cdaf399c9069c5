"""A server that is away for a while: who waits goes on waiting, and the log has a line when it goes and comes back."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Awaitable, Callable, Iterator
from typing import Any, TypeAlias

import pytest
from redis.asyncio import Redis
from redis.exceptions import AuthenticationError, ConnectionError
from redis.exceptions import TimeoutError as ServerTimeout

from purse import RedisHash, RedisQueue, RedisSortedSet, configure
from purse._engine.registry import executor_for
from purse.embedded import Server
from tests.support.clients import Connect, command, connect
from tests.support.polling import until
from tests.support.proxy import Proxy


@pytest.fixture
def own_server() -> Iterator[Server]:
    """A server that a test may kill and restart."""
    with Server(port=0, password="", config={"appendonly": "yes", "appendfsync": "always"}) as server:
        yield server


@pytest.fixture(autouse=True)
def every_line(caplog: pytest.LogCaptureFixture) -> None:
    """What is logged at INFO is looked at, too."""
    caplog.set_level(logging.INFO, logger="purse")


Take: TypeAlias = Callable[[Redis, float], Awaitable[object]]
TAKES: dict[str, tuple[Take, tuple[str | int, ...], object]] = {
    "queue": (lambda redis, t: RedisQueue(redis, "x", int).get(t), ("RPUSH", "x", 7), 7),
    "sorted set": (
        lambda redis, t: RedisSortedSet(redis, "x", int).blocking_pop_min(t),
        ("ZADD", "x", 1, 7),
        (7, 1.0),
    ),
}
every_take = pytest.mark.parametrize(("take", "put", "taken"), TAKES.values(), ids=TAKES)


async def _taken(call: Awaitable[object]) -> object:
    return await call


async def _waits(client: Redis, callers: int) -> bool:
    """Whether so many callers wait, and nothing is on its way."""
    waits = executor_for(client)._waits_here()  # pyright: ignore[reportPrivateUsage]
    lines = list(waits._lines.values())  # pyright: ignore[reportPrivateUsage]
    return len(waits) == callers and all(line.idle for line in lines)


async def _fails(client: Redis) -> bool:
    """Whether a call raises because the server is away."""
    try:
        await RedisHash(client, "other", int).len()
    except ConnectionError:
        return True
    return False


def _levels(caplog: pytest.LogCaptureFixture) -> list[str]:
    return [record.levelname for record in caplog.records if record.name == "purse" and "shared" not in record.msg]


@pytest.mark.rows(1)
@every_take
@pytest.mark.parametrize("timeout", [0, 3600])
async def test_who_waits_goes_on_waiting(
    own_server: Server, client_of: Connect, take: Take, put: tuple[Any, ...], taken: object, timeout: float
) -> None:
    """Nothing was taken, so nobody is told; other calls are. When the server is back, all is as it was."""
    client = client_of(own_server.url)
    waiting = [asyncio.ensure_future(_taken(take(client, timeout))) for _ in range(3)]
    await until(lambda: _waits(client, 3), True)

    own_server.kill()
    for _ in range(2):  # each takes its second of patience
        assert await _fails(client)
    assert not any(task.done() for task in waiting)
    own_server.start()

    other = client_of(own_server.url)
    for task in waiting:
        await command(other, *put)
        assert await asyncio.wait_for(task, 20) == taken


@pytest.mark.thorough
@every_take
async def test_a_timeout_ends_in_the_middle_of_an_outage(
    own_server: Server, client_of: Connect, take: Take, put: tuple[Any, ...], taken: object
) -> None:
    """Then whether there was an item is not known: the error is that of the connection, and not that it was empty."""
    client = client_of(own_server.url)
    with pytest.raises((asyncio.QueueEmpty, TimeoutError)):
        await take(client, 0.01)
    own_server.kill()
    assert await _fails(client)

    for timeout in (0.1, 5):  # less than an attempt to open a connection takes, and more
        with pytest.raises(ConnectionError):
            await asyncio.wait_for(take(client, timeout), 20)

    own_server.start()
    with pytest.raises((asyncio.QueueEmpty, TimeoutError)):
        await asyncio.wait_for(take(client, 2), 20)


@every_take
async def test_a_server_that_was_never_there_is_reported_at_once(
    proxy: Proxy, client_of: Connect, take: Take, put: tuple[Any, ...], taken: object, caplog: pytest.LogCaptureFixture
) -> None:
    """A wrong address is no outage: the first call raises, also one that waits for ever, and nothing is logged."""
    await proxy.refuse()
    client = client_of(proxy.url)

    with pytest.raises(ConnectionError):
        await asyncio.wait_for(take(client, 0), 10)

    assert _levels(caplog) == []


@every_take
async def test_an_item_that_may_be_lost_is_reported(
    redis: Redis,
    proxy: Proxy,
    client_of: Connect,
    take: Take,
    put: tuple[Any, ...],
    taken: object,
) -> None:
    """If the connection was lost when an item may have been taken, the caller is told, as ever."""
    client = client_of(proxy.url)
    await command(redis, *put)
    assert await take(client, 0) == taken
    await command(redis, *put)
    proxy.swallow()
    waiting = asyncio.ensure_future(_taken(take(client, 0)))
    await proxy.swallowed()
    proxy.heal()
    proxy.drop()

    with pytest.raises((ConnectionError, ServerTimeout), match="not sent again"):
        await asyncio.wait_for(waiting, 10)


async def test_a_password_that_has_changed_is_not_waited_for(redis: Redis, proxy: Proxy, client_of: Connect) -> None:
    """It will not come back by itself."""
    await command(redis, "ACL", "SETUSER", "worker", "on", ">secret", "~*", "+@all")
    client = client_of(proxy.url, username="worker", password="secret")
    waiting = asyncio.ensure_future(_taken(RedisQueue(client, "x", int).get()))
    await until(lambda: _waits(client, 1), True)

    await command(redis, "ACL", "SETUSER", "worker", "resetpass", ">other")
    proxy.drop()

    with pytest.raises(AuthenticationError):
        await asyncio.wait_for(waiting, 10)
    await command(redis, "ACL", "DELUSER", "worker")


@pytest.mark.thorough
async def test_the_log_has_one_line_when_it_goes_and_one_when_it_is_back(
    own_server: Server, client_of: Connect, caplog: pytest.LogCaptureFixture
) -> None:
    """However many calls fail meanwhile, and however many wait."""
    client = client_of(own_server.url)
    queues = [RedisQueue(client, f"x{nth}", int) for nth in range(20)]
    other = RedisHash(client, "other", int)
    await other.len()
    waiting = [asyncio.ensure_future(_taken(queue.get())) for queue in queues]
    await until(lambda: _waits(client, 20), True)
    assert _levels(caplog) == []

    for _ in range(2):
        caplog.clear()
        own_server.kill()
        for _ in range(2):
            outcomes = await asyncio.gather(*(other.len() for _ in range(50)), return_exceptions=True)
            assert all(isinstance(outcome, ConnectionError) for outcome in outcomes)
        assert _levels(caplog) == ["WARNING"]
        assert f"127.0.0.1:{own_server.port}" in caplog.text
        own_server.start()
        assert await other.len() == 0
        assert _levels(caplog) == ["WARNING", "INFO"]
        assert f"127.0.0.1:{own_server.port}" in caplog.records[-1].getMessage()
        await until(lambda: _waits(client, 20), True, seconds=20)  # none is just taking

    for queue in queues:
        await queue.put(1)
    assert await asyncio.wait_for(asyncio.gather(*waiting), 20) == [1] * 20


async def test_who_only_waits_is_in_the_log_too(
    own_server: Server, client_of: Connect, caplog: pytest.LogCaptureFixture
) -> None:
    """A worker that makes no other call: the line is there without one."""
    client = client_of(own_server.url)
    waiting = asyncio.ensure_future(_taken(RedisQueue(client, "x", int).get()))
    await until(lambda: _waits(client, 1), True)

    own_server.kill()
    await until(lambda: _logged(caplog), ["WARNING"], seconds=20)
    own_server.start()
    await until(lambda: _logged(caplog), ["WARNING", "INFO"], seconds=20)

    await command(client_of(own_server.url), "RPUSH", "x", 7)
    assert await asyncio.wait_for(waiting, 20) == 7


async def _logged(caplog: pytest.LogCaptureFixture) -> list[str]:
    return _levels(caplog)


async def test_an_orderly_end_is_no_loss(server: Server, redis: Redis, caplog: pytest.LogCaptureFixture) -> None:
    """The client, the store or the loop is closed, a connection is replaced: nothing is logged."""

    async def use(client: Redis) -> None:
        with pytest.raises(asyncio.QueueEmpty):
            await RedisQueue(client, "x", int).get(timeout=0.01)

    client = connect(server.url)
    await use(client)
    configure(client, engine="dedicated")
    await use(client)
    configure(client, engine="shared")
    await use(client)
    await client.aclose()
    await use(client)
    await executor_for(client).aclose()
    await client.aclose()

    def in_a_loop_of_its_own() -> None:
        client = connect(server.url)
        asyncio.run(use(client))
        asyncio.run(use(client))
        loop = asyncio.new_event_loop()
        loop.run_until_complete(use(client))
        loop.close()
        executor_for(client).forget_ended()

    await asyncio.to_thread(in_a_loop_of_its_own)
    assert _levels(caplog) == []
