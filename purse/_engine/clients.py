"""What purse needs of a redis-py client: which clients it takes, and how it opens connections of theirs.

redis-py does what it is good at: TCP, unix sockets, TLS, authentication, database numbers, HELLO,
Sentinel's lookup of the primary. Connections are made by the client's own pool, so all of its settings
hold, with one exception: redis-py's retries. They would send a write again whose reply was lost, and
they hold back the error of a refused connection for seconds; the executor has rules of its own.
"""

from __future__ import annotations

from collections.abc import MutableSet
from typing import Protocol, TypeAlias, cast
from weakref import WeakSet

import redis
from redis.asyncio import Redis, RedisCluster
from redis.asyncio.client import Pipeline
from redis.asyncio.retry import Retry
from redis.backoff import NoBackoff

from purse._engine.cancellation import cancellation_kept
from purse._engine.replies import Reply

__all__ = ["Connection", "Pool", "RedisClient", "check_client", "forget", "open_connection", "pool_of", "remember"]

RedisClient: TypeAlias = Redis
"""A client of ``redis.asyncio``: what stores and collections are bound to."""


class Connection(Protocol):
    """The public methods of a redis-py connection that the engine calls."""

    retry: Retry
    socket_timeout: float | None

    @property
    def is_connected(self) -> bool: ...
    async def connect(self) -> None: ...
    async def disconnect(self, nowait: bool = ...) -> None: ...
    async def send_packed_command(self, command: list[bytes], check_health: bool = ...) -> None: ...
    async def read_response(
        self, disable_decoding: bool = ..., timeout: float | None = ..., *, disconnect_on_error: bool = ...
    ) -> Reply: ...


class Pool(Protocol):
    """The public part of a redis-py connection pool that the engine uses."""

    max_connections: int

    def make_connection(self) -> Connection: ...


def check_client(client: object) -> RedisClient:
    """``client``, if collections can be bound to it.

    Raises:
        TypeError: it is something else; the message says what to pass.
    """
    if isinstance(client, RedisCluster):
        raise TypeError("RedisCluster is not supported yet; pass redis.asyncio.Redis, connected to one server")
    if isinstance(client, Pipeline):
        raise TypeError(
            "a redis-py Pipeline cannot carry purse calls; pass its client: concurrent calls are pipelined anyway"
        )
    if isinstance(client, redis.Redis):
        raise TypeError("redis.Redis is the synchronous client; pass redis.asyncio.Redis")
    if not isinstance(client, Redis):
        raise TypeError(f"expected a redis.asyncio.Redis, got {type(client).__name__}")
    return client


def pool_of(client: RedisClient) -> Pool:
    """The client's connection pool."""
    return cast("Pool", client.connection_pool)


async def open_connection(pool: Pool) -> Connection:
    """An open connection with the client's settings that nobody else uses and that never retries by itself.

    Raises:
        redis.exceptions.ConnectionError, redis.exceptions.TimeoutError: it cannot be opened; nothing is
            left behind. The same when the caller is cancelled.
    """
    connection = pool.make_connection()
    connection.retry = Retry(NoBackoff(), 0)
    try:
        with cancellation_kept():
            await connection.connect()
    except BaseException:
        await connection.disconnect(nowait=True)
        raise
    return connection


def remember(pool: Pool, connection: Connection) -> None:
    """Let ``client.aclose()`` close this connection too.

    A pool of one keeps its place for the caller's own commands.
    """
    in_use = _in_use(pool)
    if in_use is not None and pool.max_connections > 1:
        in_use.add(connection)


def forget(pool: Pool, connection: Connection) -> None:
    """Undo ``remember``."""
    in_use = _in_use(pool)
    if in_use is not None:
        in_use.discard(connection)


def _in_use(pool: Pool) -> MutableSet[Connection] | None:
    # The one private attribute of redis-py that is touched. Where it has another shape, the connection
    # is closed with the loop or the client object instead.
    in_use: object = getattr(pool, "_in_use_connections", None)
    return cast("MutableSet[Connection]", in_use) if isinstance(in_use, (set, WeakSet)) else None
