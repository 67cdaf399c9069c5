"""Clients for tests: redis-py's, with its untyped keyword arguments kept in one place."""

from __future__ import annotations

from collections.abc import AsyncIterator, Awaitable, Callable
from typing import Any, cast

from redis.asyncio import Redis

from tests.support.engines import choose_engine


def connect(url: str, **settings: Any) -> Redis:
    """A client with redis-py's default settings and these, in the mode of the test that runs; no I/O."""
    client = Redis.from_url(url, **settings)  # pyright: ignore[reportUnknownMemberType]
    choose_engine(client)
    return client


async def all_keys(client: Redis) -> list[bytes]:
    """Every key of the database, sorted."""
    # redis-py leaves its **kwargs, and what it yields, untyped.
    found = cast("AsyncIterator[bytes]", client.scan_iter())  # pyright: ignore[reportUnknownMemberType]
    return sorted([key async for key in found])


async def command(client: Redis, *words: bytes | str | int | float) -> Any:
    """The reply to one command, as redis-py gives it."""
    execute = cast("Callable[..., Awaitable[Any]]", client.execute_command)  # pyright: ignore[reportUnknownMemberType]
    return await execute(*words)
