"""A connection that was dropped without a word while it was idle: the client's ``health_check_interval`` finds out."""

from __future__ import annotations

import asyncio
import time

import pytest
from redis.asyncio import Redis
from redis.exceptions import TimeoutError

from purse import statistics
from purse._engine import dedicated, shared
from purse.collections import RedisHash, RedisQueue
from tests.support.clients import command, connect
from tests.support.proxy import Proxy
from tests.support.units import read, send

INTERVAL = 1


@pytest.fixture
def later(monkeypatch: pytest.MonkeyPatch) -> list[float]:
    """A clock of the links that a test can set forward: its only item is by how many seconds."""
    ahead = [0.0]
    for module in (shared, dedicated):
        monkeypatch.setattr(module, "monotonic", lambda: time.monotonic() + ahead[0])
    return ahead


@pytest.mark.rows(1)
async def test_the_first_write_after_a_silent_drop(redis: Redis, proxy: Proxy, later: list[float]) -> None:
    """The write goes out on a new connection, once, and is answered; so do writes that come together."""
    client = connect(proxy.url, socket_timeout=0.5, health_check_interval=INTERVAL)
    visits = RedisHash(client, "visits", int)
    await visits.increment("gate")

    proxy.lose()
    later[0] += INTERVAL + 0.1
    assert await visits.increment("gate") == 2
    proxy.lose()
    later[0] += INTERVAL + 0.1
    assert sorted(await asyncio.gather(*(visits.increment("gate") for _ in range(5)))) == [3, 4, 5, 6, 7]
    assert await visits.pop("gate") == 7


async def test_without_an_interval_it_is_an_error(redis: Redis, proxy: Proxy, later: list[float]) -> None:
    """Nobody asks: the write may have been executed, and is not sent again."""
    client = connect(proxy.url, socket_timeout=0.2)
    await send(client, "INCR", "n")

    proxy.lose()
    later[0] += 60
    with pytest.raises(TimeoutError, match="not sent again"):
        await send(client, "INCR", "n")


async def test_a_ping_after_idleness_alone(redis: Redis, proxy: Proxy, later: list[float]) -> None:
    """A busy connection is not asked, an idle one is asked once before its call; no ping is counted as a call."""
    client = connect(proxy.url, health_check_interval=INTERVAL)
    await send(client, "SET", "a", "x")
    await read(client, "GET", "a")
    proxy.requests.clear()
    commands = statistics(client).commands

    assert await read(client, "GET", "a") == b"x"
    assert (proxy.requests.count(b"PING"), statistics(client).commands) == (0, commands + 1)
    later[0] += INTERVAL + 0.1
    assert await read(client, "GET", "a") == b"x"
    assert await read(client, "GET", "a") == b"x"
    assert (proxy.requests.count(b"PING"), statistics(client).commands) == (1, commands + 3)


async def test_a_user_who_may_not_ping(redis: Redis, proxy: Proxy, later: list[float]) -> None:
    """An error is an answer, too."""
    await command(redis, "ACL", "SETUSER", "quiet", "on", ">secret", "~*", "+@all", "-ping")
    client = connect(proxy.url, health_check_interval=INTERVAL, username="quiet", password="secret")
    await send(client, "SET", "a", "x")

    later[0] += INTERVAL + 0.1
    assert await read(client, "GET", "a") == b"x"
    await client.aclose()
    await command(redis, "ACL", "DELUSER", "quiet")


async def test_a_caller_that_is_cancelled_while_the_server_is_asked(
    redis: Redis, proxy: Proxy, later: list[float]
) -> None:
    """Its call was not sent; the next one is."""
    client = connect(proxy.url, socket_timeout=0.5, health_check_interval=INTERVAL)
    queue = RedisQueue(client, "queue", int)
    await queue.put_many([1, 2])

    proxy.lose()
    later[0] += INTERVAL + 0.1
    calling = asyncio.create_task(queue.get_nowait())
    await asyncio.sleep(0.05)
    calling.cancel()
    await asyncio.gather(calling, return_exceptions=True)

    assert await queue.get_many(9) == [1, 2]
