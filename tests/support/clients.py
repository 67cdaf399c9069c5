"""Clients for tests: redis-py's, with its untyped keyword arguments kept in one place.

A client that is made in a test is closed when the test ends, however it ends: see ``close_clients``.
"""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import AsyncIterator, Awaitable, Callable
from typing import Any, TypeAlias, cast
from weakref import ReferenceType, WeakKeyDictionary, ref

from redis.asyncio import ConnectionPool, Redis
from redis.exceptions import RedisError

from purse import statistics
from purse._engine.registry import executor_for
from tests.support.engines import choose_engine

# A pool, and not its client: that a client which is dropped is closed is what some tests are about.
_made: WeakKeyDictionary[asyncio.AbstractEventLoop, list[tuple[ConnectionPool, ReferenceType[Redis]]]] = (
    WeakKeyDictionary()
)

_PATIENCE = 5.0  # seconds in which a client is closed, or its server hangs


Connect: TypeAlias = Callable[..., Redis]
"""What makes clients as ``connect`` does."""


def connect(url: str, **settings: Any) -> Redis:
    """A client with redis-py's default settings and these, in the mode of the test that runs; no I/O."""
    client = Redis.from_url(url, **settings)  # pyright: ignore[reportUnknownMemberType]
    choose_engine(client)
    with contextlib.suppress(RuntimeError):  # no loop runs: whoever runs one closes it
        _made.setdefault(asyncio.get_running_loop(), []).append((client.connection_pool, ref(client)))
    return client


async def close_clients() -> None:
    """Close the clients that were made in the running loop.

    Those that a test has closed are not harmed. One that fails in the middle would else leave sockets to the next.
    """
    for pool, made in _made.pop(asyncio.get_running_loop(), ()):
        with contextlib.suppress(TimeoutError, RedisError, OSError):
            async with asyncio.timeout(_PATIENCE):
                await pool.disconnect()
        client = made()
        if client is not None and statistics(client).connections:
            executor_for(client).abandon()  # the pool knows nothing of those that wait, and of its only one
    await asyncio.sleep(0)  # in which aborted connections are closed
    await asyncio.sleep(0)


async def all_keys(client: Redis) -> list[bytes]:
    """Every key of the database, sorted."""
    # redis-py leaves its **kwargs, and what it yields, untyped.
    found = cast("AsyncIterator[bytes]", client.scan_iter())  # pyright: ignore[reportUnknownMemberType]
    return sorted([key async for key in found])


async def command(client: Redis, *words: bytes | str | int | float) -> Any:
    """The reply to one command, as redis-py gives it."""
    execute = cast("Callable[..., Awaitable[Any]]", client.execute_command)  # pyright: ignore[reportUnknownMemberType]
    return await execute(*words)
