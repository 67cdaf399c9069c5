"""The modes of the engine, and the stores: an ordinary one, one of a restricted user, one behind a proxy."""

from __future__ import annotations

from collections.abc import AsyncIterator, Awaitable, Callable

import pytest
from redis.asyncio import Redis

from purse.embedded import Server
from tests.atomic.garden import Garden
from tests.support import engines
from tests.support.clients import connect
from tests.support.monitor import Monitor
from tests.support.proxy import Proxy


def pytest_generate_tests(metafunc: pytest.Metafunc) -> None:
    """All of these tests hold whether calls share a connection or not."""
    engines.parametrize(metafunc, "shared", "dedicated")


@pytest.fixture
def garden(redis: Redis) -> Garden:
    """A store on an empty database."""
    return Garden(redis)


@pytest.fixture
async def monitor(server: Server, garden: Garden) -> AsyncIterator[Monitor]:
    """A monitor that begins when the store is connected."""
    assert server.port is not None
    await garden.visits.exists()
    async with Monitor(server.port) as monitor:
        yield monitor


@pytest.fixture
async def restricted(server: Server, redis: Redis) -> AsyncIterator[Callable[[str], Awaitable[Garden]]]:
    """Makes the store of a user who may do everything but one command."""

    async def without(command: str) -> Garden:
        # redis-py leaves execute_command untyped.
        rules = ("ACL", "SETUSER", "gardener", "on", ">secret", "~*", "+@all", f"-{command}")
        await redis.execute_command(*rules)  # type: ignore[no-untyped-call]  # pyright: ignore
        return Garden(connect(server.url, username="gardener", password="secret"))

    yield without
    await redis.acl_deluser("gardener")  # pyright: ignore[reportUnknownMemberType]


@pytest.fixture
async def wire(proxy: Proxy, redis: Redis) -> Garden:
    """A store behind the proxy; its server has nothing stored."""
    return Garden(connect(proxy.url))
