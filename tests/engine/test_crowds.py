"""Very many callers that wait for one thing, and are cancelled together: each costs the same."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator

import pytest
from redis.asyncio import Redis

from purse.collections import RedisKeySpace
from tests.support.clients import connect
from tests.support.proxy import Proxy
from tests.support.units import send

CROWD = 60_000
PATIENCE = 60
"""Seconds. Where leaving costs a look at everybody else, it takes many minutes."""


@pytest.fixture
async def stalled(proxy: Proxy) -> AsyncIterator[Redis]:
    """A client that is never connected."""
    proxy.stall()
    client = connect(proxy.url, socket_timeout=10 * PATIENCE)
    yield client
    await client.aclose()


async def _all_leave(calls: list[asyncio.Task[object]]) -> None:
    await asyncio.sleep(0.1)
    async with asyncio.timeout(PATIENCE):
        for call in reversed(calls):
            call.cancel()
        outcomes = await asyncio.gather(*calls, return_exceptions=True)
    assert all(isinstance(outcome, asyncio.CancelledError) for outcome in outcomes)


@pytest.mark.thorough
@pytest.mark.engines("shared")
async def test_who_waits_for_a_connection(stalled: Redis) -> None:
    """A server is away, and a program gives up all its calls."""
    await _all_leave([asyncio.create_task(send(stalled, "PING")) for _ in range(CROWD)])


@pytest.mark.thorough
@pytest.mark.engines("shared")
async def test_who_waits_for_a_value_that_is_made(redis: Redis) -> None:
    """All want one value of a key space, and it takes long."""
    space = RedisKeySpace(redis, "made:", int)

    async def never() -> int:
        await asyncio.Event().wait()
        return 1

    await _all_leave([asyncio.create_task(space.get_or_create("a", never)) for _ in range(CROWD // 3)])


@pytest.mark.thorough
async def test_who_waits_for_room(proxy: Proxy, redis: Redis) -> None:
    """A server reads nothing, and all calls are given up."""
    client = connect(proxy.url, socket_timeout=10 * PATIENCE)
    await send(client, "PING")
    proxy.stall()
    large = [asyncio.create_task(send(client, "SET", "k", b"x" * 2**20)) for _ in range(64)]
    await _all_leave([*large, *(asyncio.create_task(send(client, "PING")) for _ in range(CROWD))])
