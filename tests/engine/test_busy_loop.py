"""A loop that did something else for longer than the client's ``socket_timeout``: that is no silence of the server."""

from __future__ import annotations

import asyncio
import time

import pytest
from redis.asyncio import Redis
from redis.exceptions import TimeoutError

from purse.embedded import Server
from tests.support.clients import connect
from tests.support.proxy import Proxy
from tests.support.selection import size
from tests.support.tasks import no_task_left
from tests.support.units import send

LIMIT = 0.2
BUSY = 1.5 * LIMIT


def hold_up(seconds: float) -> None:
    """Somebody's synchronous work."""
    time.sleep(seconds)


@pytest.mark.rows(2)
@pytest.mark.parametrize("before", [0.0, BUSY])
@pytest.mark.parametrize("steps", range(6))
async def test_what_was_answered_meanwhile(redis: Redis, server: Server, before: float, steps: int) -> None:
    """Wherever the loop is held up before and after a write is sent, its reply is read."""
    await _answered_meanwhile(server.url, before, steps)


@pytest.mark.rows(1)
@pytest.mark.parametrize("steps", range(4))
def test_uvloop(server: Server, steps: int) -> None:
    """uvloop looks at its timers before it reads."""
    uvloop = pytest.importorskip("uvloop", reason="there is no uvloop for this Python")
    with asyncio.Runner(loop_factory=uvloop.new_event_loop) as runner:
        runner.run(_answered_meanwhile(server.url, 0.0, steps))


async def _answered_meanwhile(url: str, before: float, steps: int) -> None:
    client = connect(url, socket_timeout=LIMIT)
    await send(client, "SET", "big", b"x" * 56_000)
    await send(client, "PING")
    await asyncio.sleep(LIMIT / 2)  # the timer of this call is still set
    hold_up(before)
    call = asyncio.create_task(send(client, "GETSET", "big", b"x" * 56_000))
    for _ in range(steps):
        await asyncio.sleep(0)
    asyncio.get_running_loop().call_soon(hold_up, BUSY)
    assert await call == b"x" * 56_000
    await client.aclose()


@pytest.mark.rows(1)
async def test_a_connection_that_opens_meanwhile(server: Server) -> None:
    """A connection that was made, and its greeting answered, while the loop was held up."""
    for steps in range(0, 12, size(4, 1)):
        client = connect(server.url, socket_timeout=LIMIT, client_name="busy")
        call = asyncio.create_task(send(client, "PING"))
        for _ in range(steps):
            await asyncio.sleep(0)
        hold_up(BUSY)
        assert await call == b"PONG"
        await client.aclose()


async def test_a_server_that_is_silent_indeed(proxy: Proxy) -> None:
    """It is noticed, also by a loop that is held up now and then."""
    client = connect(proxy.url, socket_timeout=LIMIT)
    await send(client, "PING")
    proxy.swallow()

    call = asyncio.create_task(send(client, "INCR", "n"))
    await asyncio.sleep(0)
    hold_up(BUSY)
    with pytest.raises(TimeoutError, match=r"0\.2 s"):
        async with asyncio.timeout(30):
            await call
    await client.aclose()
    assert await no_task_left()
