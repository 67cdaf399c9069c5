"""The testing kit as type checkers see it. Read by mypy and pyright, never run."""
# pyright: reportUnnecessaryTypeIgnoreComment=true

from __future__ import annotations

from typing import assert_type

from redis.asyncio import Redis

from purse import RedisHash, Store
from purse.testing import RoundTrips, StoreFactory, isolated, round_trips, serving


class Garden(Store, namespace="typing-testing"):
    """A plain store."""

    plants: RedisHash[int]


class UserStore(Store, namespace="typing-testing:user:{user_id}"):
    """A store with a parameter."""

    prefs: RedisHash[str]

    def __init__(self, redis: Redis, *, user_id: int) -> None:
        super().__init__(redis, user_id=user_id)


async def stores(purse_store: StoreFactory) -> None:
    """A store is what its class says, and so are its parameters."""
    garden = purse_store(Garden)
    assert_type(garden, Garden)
    assert_type(await garden.plants.get("a"), int | None)
    assert_type(purse_store(UserStore, user_id=42), UserStore)


def counted(garden: Garden, client: Redis) -> None:
    """A counter counts all, or one client."""
    with round_trips(max=1) as trips:
        assert_type(trips, RoundTrips)
        assert_type(trips.count, int)
        assert_type(trips.trips, tuple[tuple[str, ...], ...])
    with round_trips(garden), round_trips(client, max=2):
        pass


def without_pytest() -> None:
    """The same as context managers."""
    with serving() as url, isolated(url) as client:
        assert_type(url, str)
        assert_type(client, Redis)
        assert_type(StoreFactory(client)(Garden), Garden)


def wrong(purse_store: StoreFactory, url: str) -> None:
    """What both checkers refuse."""
    purse_store(UserStore)  # type: ignore[arg-type]  # pyright: ignore[reportCallIssue]
    purse_store(UserStore, user="42")  # type: ignore[call-overload]  # pyright: ignore[reportCallIssue]
    purse_store(UserStore, user_id="42")  # type: ignore[call-overload]  # pyright: ignore[reportArgumentType]
    round_trips(url)  # type: ignore[arg-type]  # pyright: ignore[reportArgumentType]
    round_trips(max="2")  # type: ignore[arg-type]  # pyright: ignore[reportArgumentType]
