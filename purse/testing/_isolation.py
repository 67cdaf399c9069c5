"""Isolation: a server for the session, and for each test a client whose stores have separate keys.

    PURSE_REDIS_URL=redis://...     that server, never flushed. Workers of xdist share it with separate keys
    otherwise                       an embedded server for each process, which is emptied after each test

    test A   purse_redis   Garden(purse_redis).plants    {t5e0c41d0b7a2:garden}:plants
    test B   purse_redis   Garden(purse_redis).plants    {t91b8f6a03c55:garden}:plants

Nothing here is a coroutine, so it works with every plugin that runs asynchronous tests, and without one. The
connections of a test are closed in the event loop that opened them: at the end of the loop, or at the end of the test
if the loop lives longer. Keys are deleted by redis-py's synchronous client, which needs no loop.
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

from purse._declaration.declared import declaration_of, flattened
from purse._declaration.isolation import Isolation, isolate
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
"""URLs of servers that were started here, so they may be emptied."""

_outlived: PerLoop[list[object]] = everywhere()
"""Objects that must live until their loop ends, because they are closed there."""


@contextlib.contextmanager
def serving() -> Generator[str]:
    """A server for tests: the fixture ``purse_server``.

    Returns:
        Its URL: the value of PURSE_REDIS_URL, else ``unix:///...`` of a server that is removed with its data at the end
        of the block.

    Raises:
        ValueError: PURSE_REDIS_URL is not a URL of Redis.
        ServerNotFound, ServerFailed: no server program was found, or it did not start.

    Sends nothing to a server that it has not started. Starting a server blocks for 10 to 30 ms.
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

    All stores that are bound to the client have a unique namespace: ``{t5e0c41d0b7a2:garden}:plants``. Collections that
    are built directly, and fields with ``rkey=``, keep the keys that they were given.

    At the end of the block the client's connections are closed, in all event loops, and keys are deleted. On a server
    of ``serving()`` these are all keys of the database. On another server they are the keys of the namespace, and the
    keys that ``field(rkey=...)`` of a bound store names. The entries of a key space with ``rkey=`` are not deleted,
    because other programs may own them.

    Args:
        url: as ``redis.asyncio.Redis.from_url`` takes it.

    Raises:
        ValueError: ``url`` is not such a URL.
        redis.exceptions.ConnectionError: the keys cannot be deleted at the end, because the server is gone.

    If the block is inside a coroutine, the connections are closed when the event loop ends.

    No I/O before the first call. If there was a call, sends at the end FLUSHDB, or SCAN of the whole database and
    UNLINK.
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
    """Makes stores on the client of a test. The fixture ``purse_store`` is one.

    garden = purse_store(Garden)
    user = purse_store(UserStore, user_id=42)

    Args:
        redis: the client.
    """

    def __init__(self, redis: RedisClient) -> None:
        self._redis = redis

    # For a store without parameters mypy sees **parameters, which could contain "redis" again: it does not fit below.
    @overload
    def __call__(self, store: Callable[[RedisClient], S], /) -> S: ...
    @overload
    def __call__(self, store: Callable[Concatenate[RedisClient, P], S], /, *args: P.args, **kwargs: P.kwargs) -> S: ...
    def __call__(self, store: Callable[Concatenate[RedisClient, P], S], /, *args: P.args, **kwargs: P.kwargs) -> S:
        """``store(redis, ...)``: a store of this class, bound to the client of this test.

        Its namespace belongs to the test: two stores of one class in one test share their keys, but two tests never do.

        Raises:
            DeclarationError, TypeError, ValueError: as from the class itself.

        No I/O.
        """
        return store(self._redis, *args, **kwargs)


class _Pool(ConnectionPool):
    """A pool that knows in which event loops connections were opened, and closes them there.

    redis-py leaves the idle connections of a loop that has ended in its pool, where the next loop would use them, and
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
        # Until redis-py 5.2 a command name had to be passed here, but it was never used.
        connection = await super().get_connection(*ignored, **settings)  # type: ignore[no-untyped-call]  # as above
        opened = self.opened.get(asyncio.get_running_loop())
        if opened is None:
            opened = self.opened.here(WeakSet)
            at_end(partial(_disconnect, opened), last=True)
        opened.add(connection)
        return connection

    async def leave(self) -> None:
        """Close the connections that were opened in the running loop."""
        opened = self.opened.get(asyncio.get_running_loop())
        if opened is not None:
            await _disconnect(opened)


async def _disconnect(connections: WeakSet[Connection]) -> None:
    while connections:
        # The connection is closed even after an error. KeyError: the last one has just been dropped in another thread.
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
        elif loop is _running_loop():  # inside a coroutine, where this function cannot wait: the loop's end closes them
            _outlived.here(list).append((client, pool))
        else:  # an application in another thread (if its loop ends at this moment, that also closes them)
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
        # With slots="key" the prefix is not behind the first brace, but it is long enough to be unique.
        keys = list(client.scan_iter(match=f"*{isolation.prefix}*", count=_PAGE))
        keys += _named_by(isolation)
        for start in range(0, len(keys), _PAGE):
            client.unlink(*keys[start : start + _PAGE])


def _named_by(isolation: Isolation) -> Iterator[str]:
    """The keys that ``field(rkey=...)`` names in the stores that were bound, and the keys beside them."""
    for bound in isolation.classes.copy():
        for _, spec in flattened(declaration_of(bound).members):
            if spec.rkey is not None:
                yield from spec.__purse_reach__("").keys
