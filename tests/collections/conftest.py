"""Settings of Hypothesis, and the two collections that most tests here use.

``--all`` runs more examples than the default run, ``PURSE_HYPOTHESIS=long`` many more.
"""

from __future__ import annotations

import os
from collections.abc import AsyncIterator

import pytest
from hypothesis import HealthCheck, settings
from redis.asyncio import Redis

from purse.collections import RedisHash, RedisList
from purse.embedded import Server
from tests.collections.garden import Plant
from tests.support.engines import parametrize
from tests.support.monitor import Monitor, load_scripts
from tests.support.selection import size

# The server is one for the whole session, which is what a real server is; its speed is not ours to judge.
_CHECKS = [HealthCheck.too_slow, HealthCheck.function_scoped_fixture]
for name, examples, steps in [("short", 12, 25), ("thorough", 30, 30), ("long", 500, 60)]:
    settings.register_profile(
        name, max_examples=examples, stateful_step_count=steps, deadline=None, suppress_health_check=_CHECKS
    )
settings.load_profile(os.environ.get("PURSE_HYPOTHESIS") or size("short", "thorough"))


def pytest_generate_tests(metafunc: pytest.Metafunc) -> None:
    """All of these tests hold whether calls share a connection or not."""
    parametrize(metafunc, "shared", thorough=["dedicated"])


@pytest.fixture
def plants(redis: Redis) -> RedisHash[Plant]:
    """An empty hash of models."""
    return RedisHash(redis, "{garden}:plants", Plant)


@pytest.fixture
def log(redis: Redis) -> RedisList[str]:
    """An empty list of strings."""
    return RedisList(redis, "{garden}:log", str)


@pytest.fixture
async def monitor(server: Server, redis: Redis) -> AsyncIterator[Monitor]:
    """A monitor of a server that has the scripts, as it has after the first call of each."""
    await load_scripts(redis)
    assert server.port is not None
    async with Monitor(server.port) as monitor:
        yield monitor
