"""Isolation: a server for the session, and for each test a client whose stores have keys of their own.

    PURSE_REDIS_URL=redis://...     that server, as it is; never flushed. Workers of xdist share it and do not meet
    otherwise                       an embedded server for each process, which is emptied after each test

    test A   purse_redis   Garden(purse_redis).plants    {t5e0c41d0b7a2:garden}:plants
    test B   purse_redis   Garden(purse_redis).plants    {t91b8f6a03c55:garden}:plants

Nothing here is a coroutine: it works with each plugin that runs asynchronous tests, and without any. What a test
has opened is closed in the event loop that opened it: at the end of the loop, or at the end of the test if the loop
lives longer. Keys are deleted by redis-py's synchronous client, which needs no loop.
"""

from __future__ import annotations

import asyncio
import contextlib
import secrets
from collections.abc import Callable, Generator, Iterator
from functools import partial
from typing import TYPE_CHECKING, Any, Concatenate, ParamSpec, TypeVar, cast, overload
from weakref import WeakSet

import redis
from redis.asyncio import ConnectionPool, Redis

from purse._declaration.isolation import Isolation, isolate
from purse._declaration.metaclass import declaration_of
from purse._declaration.nested import flattened
from purse._engine.loops import PerLoop, at_end, everywhere, forget_ended
from purse._engine.registry import executor_for
from purse._engine.urls import check_url, embedded_is_at
from purse.embedded import Server

if TYPE_CHECKING:
    from purse._engine.clients import Connection, RedisClient

__all__ = ["StoreFactory", "isolated", "serving"]

P = ParamSpec("P")
S = TypeVar("S")

_CLOSING = 5.0  # seconds for a loop of another thread to close its connections
_PAGE = 1000  # keys that SCAN looks at in one round trip

_ours: set[str] = set()
"""URLs of servers that were started here, and may be emptied."""

_outlived: PerLoop[list[object]] = everywhere()
"""What must live until its loop ends, because it is closed there."""


@contextlib.contextmanager
def serving() -> Generator[str]:
    """A server for tests: the fixture ``purse_server``.

    Returns:
        Its URL: what PURSE_REDIS_URL says, else ``unix:///...`` of a server that is gone with its data at the end
        of the block.

    Raises:
        ValueError: PURSE_REDIS_URL is not a URL of Redis.
        ServerNotFound, ServerFailed: there is no server to run, or it did not start.

    Nothing is sent to a server that is not started here. Starting one blocks for 10 to 30 ms.
    """
    elsewhere = embedded_is_at()
    if elsewhere is not None:
        yield elsewhere
        return
    with Server() as server:
        url = server.url
        _ours.add(url)
        try:
            yield url
        finally:
            _ours.discard(url)


@contextlib.contextmanager
def isolated(url: str) -> Generator[RedisClient]:
    """A client for one test: the fixture ``purse_redis``.

    Stores that are bound to it, wherever that happens, have a namespace that nobody else has:
    ``{t5e0c41d0b7a2:garden}:plants``. Collections that are built directly, and fields with ``rkey=``, have the keys
    that they were given.

    At the end of the block its connections are closed, in all event loops, and the keys are deleted: on a server of
    ``serving()`` all keys of the database, on any other those of the namespace and those that ``field(rkey=...)``
    of a bound store names (not the entries of a key space: who knows whose they are).

    Args:
        url: as ``redis.asyncio.Redis.from_url`` takes it.

    Raises:
        ValueError: not such a URL.
        redis.exceptions.ConnectionError: keys cannot be deleted at the end: the server is gone.

    Used inside a coroutine, its connections are closed when the event loop ends.

    No I/O before the first call. If there was one, at the end FLUSHDB, or SCAN of the whole database and UNLINK.
    """
    forget_ended()
    check_url(url, "isolated()")
    pool = _Pool.from_url(url)  # pyright: ignore[reportUnknownMemberType]  # redis-py leaves **kwargs untyped
    client = Redis.from_pool(pool)
    isolation = isolate(client, f"t{secrets.token_hex(6)}")
    try:
        yield client
    finally:
        _close(client, pool)
        if pool.used:
            _delete(url, isolation)


class StoreFactory:
    """Makes stores on the client of a test: what the fixture ``purse_store`` is.

    garden = purse_store(Garden)
    user = purse_store(UserStore, user_id=42)

    Args:
        redis: the client.
    """

    def __init__(self, redis: RedisClient) -> None:
        self._redis = redis

    # Of a store without parameters mypy sees **parameters, which could hold "redis" again: it does not fit below.
    @overload
    def __call__(self, store: Callable[[RedisClient], S], /) -> S: ...
    @overload
    def __call__(self, store: Callable[Concatenate[RedisClient, P], S], /, *args: P.args, **kwargs: P.kwargs) -> S: ...
    def __call__(self, store: Callable[Concatenate[RedisClient, P], S], /, *args: P.args, **kwargs: P.kwargs) -> S:
        """``store(redis, ...)``: a store of this class, bound to the client of this test.

        Its namespace is that of the test: two stores of one class in one test share their keys, two tests never.

        Raises:
            DeclarationError, TypeError, ValueError: as the class itself.

        No I/O.
        """
        return store(self._redis, *args, **kwargs)


class _Pool(ConnectionPool):
    """A pool that knows in which event loops connections were opened, and closes them there.

    redis-py leaves the idle connections of a loop that has ended in its pool, for the next loop to stumble over, and
    Python warns of the sockets. The engine's own connections come from ``make_connection`` and have their own guard.
    """

    def __init__(self, **settings: Any) -> None:
        super().__init__(**settings)  # pyright: ignore[reportUnknownMemberType]  # redis-py leaves **kwargs untyped
        self.used = False
        self.opened: PerLoop[WeakSet[Connection]] = PerLoop()

    def make_connection(self) -> Any:
        self.used = True
        return super().make_connection()  # type: ignore[no-untyped-call]  # redis-py leaves it untyped

    async def get_connection(self, *ignored: Any, **settings: Any) -> Any:
        # Until redis-py 5.2 a command name had to be passed here; nothing was ever done with it.
        connection = await super().get_connection(*ignored, **settings)  # type: ignore[no-untyped-call]  # as above
        opened = self.opened.get(asyncio.get_running_loop())
        if opened is None:
            opened = self.opened.here(WeakSet)
            at_end(partial(_disconnect, opened), last=True)
        opened.add(connection)
        return connection

    async def leave(self) -> None:
        """Close what was opened in the running loop."""
        opened = self.opened.get(asyncio.get_running_loop())
        if opened is not None:
            await _disconnect(opened)


async def _disconnect(connections: WeakSet[Connection]) -> None:
    while connections:
        # It is closed, one way or another; or it was the last, and has just been dropped in another thread.
        with contextlib.suppress(redis.RedisError, OSError, KeyError):
            await connections.pop().disconnect()


def _close(client: RedisClient, pool: _Pool) -> None:
    """Close the connections of each event loop in that loop."""
    executor = executor_for(client)

    async def leave() -> None:
        await executor.aclose()
        await pool.leave()

    for loop in executor.links.by_loop.copy() | pool.opened.copy():
        if loop.is_closed():
            continue
        if not loop.is_running():
            loop.run_until_complete(leave())
        elif loop is _running_loop():  # used inside a coroutine, where nobody can wait: the loop's end closes them
            _outlived.here(list).append((client, pool))
        else:  # an application that runs in another thread; if its loop ends in this moment, that closes them, too
            leaving = leave()
            with contextlib.suppress(TimeoutError, RuntimeError):
                asyncio.run_coroutine_threadsafe(leaving, loop).result(_CLOSING)
            leaving.close()


def _running_loop() -> asyncio.AbstractEventLoop | None:
    try:
        return asyncio.get_running_loop()
    except RuntimeError:
        return None


def _delete(url: str, isolation: Isolation) -> None:
    # Untyped: redis-py gives the results of both of its clients one type.
    with cast("Any", redis.Redis).from_url(url) as client:
        if url in _ours:
            client.flushdb()
            return
        # With slots="key" the prefix stands elsewhere than behind the first brace; it is long enough to be unique.
        keys = list(client.scan_iter(match=f"*{isolation.prefix}*", count=_PAGE))
        keys += _named_by(isolation)
        for start in range(0, len(keys), _PAGE):
            client.unlink(*keys[start : start + _PAGE])


def _named_by(isolation: Isolation) -> Iterator[str]:
    """The keys that ``field(rkey=...)`` names in the stores that were bound, and those beside them."""
    for bound in isolation.classes.copy():
        for _, spec in flattened(declaration_of(bound).members):
            if spec.rkey is not None:
                yield from spec.reach_in("").keys
