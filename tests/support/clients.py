"""Clients for tests: redis-py's, with its untyped keyword arguments kept in one place."""

from __future__ import annotations

from typing import Any

from redis.asyncio import Redis

from tests.support.engines import choose_engine


def connect(url: str, **settings: Any) -> Redis:
    """A client with redis-py's default settings and these, in the mode of the test that runs; no I/O."""
    client = Redis.from_url(url, **settings)  # pyright: ignore[reportUnknownMemberType]
    choose_engine(client)
    return client
