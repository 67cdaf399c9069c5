"""A connection that is silent: a server that accepts and says nothing, a NAT that has forgotten. No client hangs."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable

import pytest
from redis.asyncio import Redis
from redis.exceptions import RedisError, TimeoutError

from purse import configure, statistics
from purse._engine import connecting
from purse._engine.connecting import SOCKET_TIMEOUT
from purse.collections import RedisQueue
from tests.support.clients import connect
from tests.support.polling import until
from tests.support.proxy import Proxy
from tests.support.units import send

LIMIT = 0.3


@pytest.fixture
async def patient(proxy: Proxy) -> AsyncIterator[Callable[[], Redis]]:
    """Makes clients without a ``socket_timeout``, as redis-py before 8 makes them."""
    clients: list[Redis] = []

    def client() -> Redis:
        clients.append(connect(proxy.url, socket_timeout=None, socket_connect_timeout=None))
        return clients[-1]

    yield client
    for one in clients:
        await one.aclose()


async def _connections(client: Redis) -> int:
    return statistics(client).connections


async def _outcomes(*calls: asyncio.Task[object]) -> list[str]:
    async with asyncio.timeout(30):
        return [type(outcome).__name__ for outcome in await asyncio.gather(*calls, return_exceptions=True)]


async def test_there_is_a_limit_by_default(
    redis: Redis, proxy: Proxy, patient: Callable[[], Redis], monkeypatch: pytest.MonkeyPatch
) -> None:
    """Callers of a silent connection are told after the default, and later ones are served."""
    assert SOCKET_TIMEOUT == 5
    monkeypatch.setattr(connecting, "SOCKET_TIMEOUT", LIMIT)
    client = patient()
    await send(client, "PING")
    proxy.lose()

    with pytest.raises(TimeoutError, match=r"0\.3 s.*not sent again"):
        async with asyncio.timeout(30):
            await send(client, "INCR", "n")

    assert await send(client, "INCR", "n") == 1


async def test_accepted_and_never_answered(redis: Redis, proxy: Proxy, patient: Callable[[], Redis]) -> None:
    """Whoever waits for such a connection is told in time, in one attempt for all; the next call tries anew."""
    client = patient()
    configure(client, socket_timeout=LIMIT)
    proxy.stall()

    calls = [asyncio.create_task(send(client, "PING")) for _ in range(5)]
    assert await _outcomes(*calls) == ["TimeoutError"] * 5

    proxy.heal()
    assert await send(client, "PING") == b"PONG"


@pytest.mark.thorough
async def test_who_waits_for_an_element(redis: Redis, proxy: Proxy, patient: Callable[[], Redis], engine: str) -> None:
    """The connection on which the server tells of changes was forgotten: the element is noticed all the same."""
    client = patient()
    configure(client, socket_timeout=LIMIT)
    queue = RedisQueue(client, "queue", int)
    getting = asyncio.create_task(queue.get())
    await until(lambda: _connections(client), 1 if engine == "dedicated" else 2)
    proxy.lose()
    with pytest.raises(TimeoutError):  # the connection of its calls is another one, and is replaced
        await send(client, "INCR", "n")

    await RedisQueue(redis, "queue", int).put(7)

    async with asyncio.timeout(30):
        assert await getting == 7


@pytest.mark.thorough
async def test_none_is_no_limit(redis: Redis, proxy: Proxy, patient: Callable[[], Redis]) -> None:
    """A program may want to wait for ever; and it may change its mind, as far as new connections are concerned."""
    client = patient()
    configure(client, socket_timeout=LIMIT)
    await send(client, "PING")
    configure(client, socket_timeout=None)
    await send(client, "PING")
    proxy.hold()

    call = asyncio.create_task(send(client, "INCR", "n"))
    await asyncio.sleep(4 * LIMIT)
    assert not call.done()
    proxy.release()
    assert await call == 1


async def test_the_clients_own_limit_holds(redis: Redis, proxy: Proxy) -> None:
    """``configure`` is for clients that have none."""
    client = connect(proxy.url, socket_timeout=LIMIT)
    configure(client, socket_timeout=None)
    await send(client, "PING")
    proxy.swallow()

    with pytest.raises(TimeoutError):
        async with asyncio.timeout(30):
            await send(client, "INCR", "n")


@pytest.mark.thorough
@pytest.mark.engines("shared")
async def test_closing_while_nothing_can_be_sent(redis: Redis, proxy: Proxy, patient: Callable[[], Redis]) -> None:
    """``client.aclose()`` does not wait for a server that reads nothing; what waits for it is told."""
    client = patient()
    await send(client, "PING")
    proxy.stall()
    calls = [asyncio.create_task(send(client, "SET", "k", b"x" * 2**20)) for _ in range(32)]
    await asyncio.sleep(0.1)

    async with asyncio.timeout(30):
        await client.aclose()

    assert "ConnectionError" in await _outcomes(*calls)


@pytest.mark.parametrize("seconds", [0, -1, float("nan")])
def test_what_is_no_limit(seconds: float) -> None:
    """Neither a negative number nor zero is; None is the word."""
    with pytest.raises(ValueError, match="must be positive, or None"):
        configure(Redis(), socket_timeout=seconds)


def test_engine_and_limit_are_independent() -> None:
    """Each may be set without the other."""
    client = Redis()
    configure(client, engine="dedicated")
    configure(client, socket_timeout=1)
    with pytest.raises(ValueError, match="engine"):
        configure(client, engine="other")  # type: ignore[arg-type]  # pyright: ignore[reportArgumentType]
    assert issubclass(TimeoutError, RedisError)
