"""Every test of the engine runs in each of its modes, unless it is marked for some."""

from __future__ import annotations

from collections.abc import AsyncIterator
from typing import Any

import pytest
from redis.asyncio import Redis

from purse._engine.registry import executor_for
from tests.support.clients import Connect, connect
from tests.support.engines import parametrize


def pytest_generate_tests(metafunc: pytest.Metafunc) -> None:
    """All of these tests hold however calls reach Redis."""
    parametrize(metafunc, "shared", "dedicated", thorough=["driven"])


@pytest.fixture
async def client_of() -> AsyncIterator[Connect]:
    """Makes clients, and closes them after the test."""
    clients: list[Redis] = []

    def make(url: str, **settings: Any) -> Redis:
        clients.append(connect(url, **settings))
        return clients[-1]

    yield make
    for client in clients:
        await executor_for(client).aclose()
        await client.aclose()
