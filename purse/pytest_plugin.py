"""The plugin that pytest loads: three fixtures. The rest of purse is imported when a test asks for one of them.

    purse_server    session     the URL of a server
    purse_redis     function    a client of that server, whose stores have keys that no other test has
    purse_store     function    a factory: garden = purse_store(Garden)

pytest loads this in each run, also for people who only have purse installed. So only pytest is imported here, and
``purse.testing`` does the work.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

if TYPE_CHECKING:
    from collections.abc import Iterator

    from purse._engine.clients import RedisClient
    from purse.testing import StoreFactory

__all__ = ["purse_redis", "purse_server", "purse_store"]


@pytest.fixture(scope="session")
def purse_server() -> Iterator[str]:
    """The URL of a Redis server: PURSE_REDIS_URL, or a server that is started for this session and removed after it."""
    from purse.testing import serving

    with serving() as url:
        yield url


@pytest.fixture
def purse_redis(purse_server: str) -> Iterator[RedisClient]:
    """A redis.asyncio.Redis client. The stores that are bound to it have keys that no other test has."""
    from purse.testing import isolated

    with isolated(purse_server) as client:
        yield client


@pytest.fixture
def purse_store(purse_redis: RedisClient) -> StoreFactory:
    """A factory of stores on purse_redis: garden = purse_store(Garden), purse_store(UserStore, user_id=42)."""
    from purse.testing import StoreFactory

    return StoreFactory(purse_redis)
