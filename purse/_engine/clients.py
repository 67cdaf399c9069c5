"""The clients that purse accepts, and the methods that it calls on their connections.

redis-py does TCP, unix sockets, TLS, authentication, database numbers, HELLO and Sentinel's lookup of the primary.
Only public methods are called here. The few private attributes that are read may be missing or have another shape.
"""

from __future__ import annotations

import asyncio
import builtins
import contextlib
import math
from collections.abc import Awaitable, Callable, MutableSet
from typing import Protocol, TypeAlias, cast
from weakref import WeakSet

import hiredis
import redis
from redis.asyncio import Redis, RedisCluster, SSLConnection
from redis.asyncio.client import Pipeline
from redis.asyncio.retry import Retry
from redis.exceptions import ConnectionError, ReadOnlyError, RedisError, ResponseError, TimeoutError

from purse._engine.deadlines import Within
from purse._engine.replies import Reply

__all__ = [
    "Connection",
    "Pool",
    "RedisClient",
    "address_of",
    "check_client",
    "database_of",
    "forget",
    "has_unread",
    "health_check_interval",
    "is_closed_here",
    "outdated",
    "pool_of",
    "read_reply",
    "remember",
    "send_packed",
    "speaks_tls",
    "was_closed_by_client",
]

RedisClient: TypeAlias = Redis
"""A client of ``redis.asyncio``. Stores and collections are bound to one."""


class Connection(Protocol):
    """The public methods of a redis-py connection that the engine calls."""

    retry: Retry
    socket_timeout: float | None
    socket_connect_timeout: float | None

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

    @property
    def connection_kwargs(self) -> dict[str, object]: ...
    def make_connection(self) -> Connection: ...


def check_client(client: object) -> RedisClient:
    """Return ``client``, if collections can be bound to it.

    Raises:
        TypeError: it is something else. The message says what to pass.
    """
    if isinstance(client, RedisCluster):
        raise TypeError("RedisCluster is not supported yet: pass redis.asyncio.Redis, connected to one server")
    if isinstance(client, Pipeline):
        raise TypeError(
            "a redis-py Pipeline cannot send purse calls: pass its client, which pipelines concurrent calls anyway"
        )
    if isinstance(client, redis.Redis):
        raise TypeError("redis.Redis is the synchronous client: pass redis.asyncio.Redis")
    if not isinstance(client, Redis):
        raise TypeError(f"expected a redis.asyncio.Redis, got {type(client).__name__}")
    return client


def pool_of(client: RedisClient) -> Pool:
    """The client's connection pool."""
    return cast("Pool", client.connection_pool)


def remember(pool: Pool, connection: Connection) -> None:
    """Let ``client.aclose()`` close this connection as well, in any loop in which that is called.

    The place in a pool of one connection stays free for the caller's own commands.
    """
    in_use = _in_use(pool)
    if in_use is not None and pool.max_connections > 1:
        in_use.add(_Guest(connection))


def forget(pool: Pool, connection: Connection) -> None:
    """Undo ``remember``. Any thread may call it."""
    in_use = _in_use(pool)
    if in_use is not None:
        in_use.discard(_Guest(connection))


_CLOSED_BY_CLIENT = "purse_closed_by_client"


class _Guest:
    """One of purse's connections in the client's pool. It belongs to one event loop, and only that loop may close it.

    Two guests are equal if they stand for the same connection.
    """

    def __init__(self, connection: Connection) -> None:
        self._connection = connection
        self._loop: asyncio.AbstractEventLoop | None = None  # stays None for a guest that is only compared
        with contextlib.suppress(RuntimeError):
            self._loop = asyncio.get_running_loop()

    def __getattr__(self, name: str) -> object:
        return cast("object", getattr(self._connection, name))  # for anything else that redis-py does with it

    def __eq__(self, other: object) -> bool:
        return isinstance(other, _Guest) and other._connection is self._connection

    def __hash__(self) -> int:
        return id(self._connection)

    async def disconnect(self, nowait: bool = False) -> None:
        """Close the connection: at once if its own loop runs here, otherwise soon in that loop's thread."""
        with contextlib.suppress(AttributeError):  # if it has slots, it does not show that the client closed it
            setattr(self._connection, _CLOSED_BY_CLIENT, True)
        if self._loop is None or self._loop is asyncio.get_running_loop():
            await self._connection.disconnect(nowait)
        else:
            with contextlib.suppress(RuntimeError):  # that loop is closed: forget_ended closes what it has left open
                self._loop.call_soon_threadsafe(self._close)

    def _close(self) -> None:
        # The coroutine is made here and not before: Python warns of one that the loop never runs.
        self._closing = asyncio.ensure_future(self._connection.disconnect())


def address_of(pool: Pool) -> tuple[str, int | None]:
    """Host and port, or the path of the unix socket and None. For a Sentinel's pool: its service and None."""
    settings = pool.connection_kwargs
    path = settings.get("path")
    if isinstance(path, str):
        return path, None
    service: object = getattr(pool, "service_name", None)
    host, port = settings.get("host", service or "localhost"), settings.get("port", None if service else 6379)
    return str(host), port if isinstance(port, int) else None


def speaks_tls(pool: Pool) -> bool:
    """Whether connections of this pool are encrypted."""
    kind: object = getattr(pool, "connection_class", None)
    return isinstance(kind, type) and issubclass(kind, SSLConnection)


def database_of(pool: Pool) -> int:
    """The number of the database."""
    number = pool.connection_kwargs.get("db")
    return number if isinstance(number, int) else 0


async def send_packed(connection: Connection, payload: bytes) -> None:
    """Write ``payload``, within the client's ``socket_timeout``.

    redis-py's own timer is ``asyncio.wait_for``. On Python 3.11 that is a task, which the end of a loop cancels
    although the caller is not cancelled, and it may swallow a cancellation of the caller.

    Raises:
        redis.exceptions.RedisError, OSError: the connection is lost.
    """
    timeout, connection.socket_timeout = connection.socket_timeout, None
    limit = Within(timeout)
    try:
        async with limit:
            await connection.send_packed_command([payload], check_health=False)
            await _drain(connection)
    except builtins.TimeoutError:
        if not limit.expired():
            raise
        raise TimeoutError("Timeout writing to socket") from None
    finally:
        connection.socket_timeout = timeout


async def _drain(connection: Connection) -> None:
    """Wait until the transport takes more.

    redis-py writes with ``writelines``, which does not stop the writer in CPython 3.12.0 to 3.12.8 and 3.13.0 to
    3.13.1, however full the buffer is. Setting the limits of the buffer makes the transport check it.
    """
    writer: object = getattr(connection, "_writer", None)
    if isinstance(writer, asyncio.StreamWriter) and not writer.transport.is_closing():
        transport = writer.transport
        low, high = transport.get_write_buffer_limits()
        if transport.get_write_buffer_size() > high:
            transport.set_write_buffer_limits(high, low)
            await writer.drain()


async def read_reply(connection: Connection, *, seconds: float | None) -> Reply:
    """Read the next reply. An error that the server sent is returned as a value.

    Args:
        seconds: how long to wait, or None to wait for ever.

    Raises:
        redis.exceptions.RedisError, OSError: the connection is lost.
    """
    limit = Within(seconds)
    try:
        async with limit:
            return await _next_reply(connection)
    except builtins.TimeoutError:
        if not limit.expired():
            raise
        raise TimeoutError(f"no reply for {seconds:g} s (socket_timeout)") from None


async def _next_reply(connection: Connection) -> Reply:
    while True:
        try:
            reply = await connection.read_response(disable_decoding=True, timeout=math.inf, disconnect_on_error=False)
        except RedisError as error:
            if isinstance(error.__context__, ReadOnlyError):  # a connection of Sentinel's reports READONLY like this
                return error.__context__
            if not _is_reply(error):
                raise
            return error
        if not isinstance(reply, hiredis.PushNotification):  # redis-py before 6 hands these out as replies
            return reply


def _is_reply(error: RedisError) -> bool:
    """Whether redis-py raised an error that the *server* sent (NOPERM, LOADING, ...), so the connection still works.

    LOADING and NOAUTH are subclasses of its ConnectionError. The plain class means the network.
    """
    return isinstance(error, ResponseError) or (
        isinstance(error, ConnectionError) and type(error) is not ConnectionError
    )


async def has_unread(connection: Connection) -> bool:
    """Whether an idle connection is closed, or has received bytes that were not asked for."""
    if not connection.is_connected:
        return True
    # redis-py 8.0 renamed it, and warns about the former name.
    ask: object = getattr(connection, "can_read", None) or getattr(connection, "can_read_destructive", None)
    try:
        return callable(ask) and bool(await cast("Callable[[], Awaitable[bool]]", ask)())
    except (RedisError, OSError):
        return True


def was_closed_by_client(connection: Connection) -> bool:
    """Whether ``client.aclose()`` has closed it."""
    return hasattr(connection, _CLOSED_BY_CLIENT)


def is_closed_here(connection: Connection) -> bool:
    """Whether this side has closed the connection, or is about to."""
    writer: object = getattr(connection, "_writer", None)
    return not connection.is_connected or (isinstance(writer, asyncio.StreamWriter) and writer.is_closing())


def health_check_interval(connection: Connection) -> float:
    """Seconds for which this connection may be idle before a PING has to show that it works, or 0 for no such check."""
    interval: object = getattr(connection, "health_check_interval", 0)
    return interval if isinstance(interval, (int, float)) else 0


def outdated(connection: Connection) -> bool:
    """Whether redis-py asks to replace this connection: the server moves, or there are new credentials."""
    ask: object = getattr(connection, "should_reconnect", None)  # redis-py 7.0 and later
    if callable(ask) and ask():
        return True
    return getattr(connection, "_re_auth_token", None) is not None


def _in_use(pool: Pool) -> MutableSet[_Guest] | None:
    # If it has another shape, the connection is closed with the loop or the client object instead.
    in_use: object = getattr(pool, "_in_use_connections", None)
    return cast("MutableSet[_Guest]", in_use) if isinstance(in_use, (set, WeakSet)) else None
