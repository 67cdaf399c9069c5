"""Five servers for the session, which keep their data, and clients that never lose patience by themselves."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Iterator

import pytest
from redis.asyncio import Redis

from purse.embedded import Server
from tests.support.clients import connect
from tests.support.masters import KEEPING, Masters


@pytest.fixture(scope="session")
def five_servers() -> Iterator[list[Server]]:
    """Five servers that lose nothing when they are killed."""
    servers = [Server(port=0, password="", config=KEEPING) for _ in range(5)]
    try:
        for server in servers:
            server.start()
        yield servers
    finally:
        for server in servers:
            server.close()


@pytest.fixture
def cluster(five_servers: list[Server]) -> Iterator[Masters]:
    """The five servers, to be paused and killed; all of them run when the test has ended."""
    masters = Masters(five_servers)
    yield masters
    masters.heal()


@pytest.fixture
def server_pids(five_servers: list[Server]) -> list[int]:
    """The process of each of the five servers."""
    return [server.pid for server in five_servers]


@pytest.fixture
async def masters(cluster: Masters) -> AsyncIterator[list[Redis]]:
    """A client of each of the five servers, empty; without any timeout, the hardest for a lock."""
    clients = [connect(server.url, socket_timeout=None) for server in cluster.servers]
    await asyncio.gather(*(client.flushall() for client in clients))  # pyright: ignore[reportUnknownMemberType]
    yield clients
    cluster.heal()


@pytest.fixture
async def others(cluster: Masters, masters: list[Redis]) -> AsyncIterator[list[Redis]]:
    """Other clients of the same servers: what another process would have, with the clock and the loop of this one."""
    clients = [connect(server.url, socket_timeout=None) for server in cluster.servers]
    yield clients
    cluster.heal()


@pytest.fixture
async def clients(redis: Redis, server: Server) -> list[Redis]:
    """Four clients, each with a connection of its own."""
    return [connect(server.url) for _ in range(4)]


@pytest.fixture
def own_server() -> Iterator[Server]:
    """A server that a test may pause and kill, and that loses nothing."""
    with Server(port=0, password="", config={"appendonly": "yes", "appendfsync": "always"}) as server:
        yield server
