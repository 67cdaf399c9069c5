"""Running: the start-ups of applications, and finding the start-up that serves a request.

    _running    id of the application    [its start-ups]      almost always one. The same application may be started in
                id of its router         [the same]           several event loops at once, as tests do

The scope of a request contains its application, and the router that received it first. For an application that is
mounted in another one, that is the router of the outer application. So the mounted application uses the stores of the
outer one, unless it is started by itself.
"""

from __future__ import annotations

import asyncio
import inspect
from collections.abc import AsyncGenerator, Callable, Mapping
from contextlib import AbstractAsyncContextManager, AsyncExitStack, asynccontextmanager
from typing import Concatenate, ParamSpec, TypeVar, cast, overload

from starlette.applications import Starlette
from starlette.requests import HTTPConnection

from purse._engine.clients import RedisClient, check_client
from purse._engine.forks import ThreadLock
from purse.codecs._shown import shown
from purse.embedded._opening import open_client
from purse.store import Store

__all__ = ["Servers", "bind", "check_store", "lifespan", "servers_for"]

A = TypeVar("A", bound=Starlette)
P = ParamSpec("P")
S = TypeVar("S", bound=Store)
T = TypeVar("T")


class Servers:
    """The clients of one start-up, and the plain stores that were bound to them."""

    def __init__(self, default: RedisClient, placed: Mapping[type[Store], RedisClient]) -> None:
        self.loop = asyncio.get_running_loop()
        self._default = default
        self._placed = placed
        self._stores: dict[type[Store], Store] = {}

    def client_of(self, cls: type[Store]) -> RedisClient:
        """The client for stores of ``cls``: the one given for ``cls`` or its nearest base, else the default."""
        if not self._placed:
            return self._default
        return next((self._placed[base] for base in cls.__mro__ if base in self._placed), self._default)

    def plain(self, cls: type[S]) -> S:
        """The one store of ``cls``."""
        store = self._stores.get(cls)
        if store is None:  # perhaps in several threads at once, and all of them get the same store
            store = self._stores.setdefault(cls, cls(self.client_of(cls)))
        return cast("S", store)


# By the id of the application and by the id of its router, because a request to a mounted application knows only the
# router of the outer one. An id cannot be reused while it is here: a running lifespan holds its application.
_running: dict[int, list[Servers]] = {}
# Its lists are replaced, never changed.
_changing = ThreadLock()  # event loops are started and ended in several threads


@overload
def lifespan(
    server: str | RedisClient, *, stores: Mapping[type[Store], str | RedisClient] = ...
) -> Callable[[Starlette], AbstractAsyncContextManager[None]]: ...
@overload
def lifespan(
    server: str | RedisClient,
    *,
    stores: Mapping[type[Store], str | RedisClient] = ...,
    inner: Callable[[A], AbstractAsyncContextManager[T]],
) -> Callable[[A], AbstractAsyncContextManager[T]]: ...
def lifespan(
    server: str | RedisClient,
    *,
    stores: Mapping[type[Store], str | RedisClient] | None = None,
    inner: Callable[[A], AbstractAsyncContextManager[T]] | None = None,
) -> Callable[[A], AbstractAsyncContextManager[T | None]]:
    """A lifespan that makes stores usable in an application: ``FastAPI(lifespan=lifespan("redis://localhost"))``.

    At start-up it makes one client for each URL, and at shutdown it closes them, also if the start-up or shutdown of
    ``inner`` fails. A client that is passed in stays open, because the caller owns it. One application may be started
    any number of times, one after the other or in several event loops at once. Each start-up has separate clients. If
    one application has several such lifespans, for example on its routers, the one that starts last serves all stores.

    Args:
        server: the server of the stores: a URL as ``Store.open`` takes it, ``embedded://`` included, or a client.
        stores: other servers for some store classes and their subclasses: ``{Sessions: "redis://sessions"}``. Equal
            URLs share one client, and equal ``embedded://`` URLs share one server.
        inner: your own lifespan. It runs inside of this one, so ``bind(app, Garden)`` works in it from its first line
            to its last. The value that it yields is passed on.

    Raises:
        TypeError: an argument is something else. At start-up: this is not the lifespan of an application.
        ValueError, ServerNotFound, ServerFailed: at start-up, as from ``Store.open``.

    No I/O with Redis at start-up: the first call of a store opens the connection.
    """
    placed = dict(stores or {})
    for where in (server, *placed.values()):
        if not isinstance(where, str):
            _check_server(where)
    for cls in placed:
        check_store(cls, "lifespan(stores={...})")
    if inspect.isasyncgenfunction(inner):
        raise TypeError(f"inner={inner.__name__} is an async generator: write @asynccontextmanager above it")

    @asynccontextmanager
    async def running(app: A) -> AsyncGenerator[T | None]:
        _check_app(app)
        async with AsyncExitStack() as stack:
            clients = {
                url: _opened(url, stack) for url in dict.fromkeys((server, *placed.values())) if isinstance(url, str)
            }
            servers = Servers(
                clients[server] if isinstance(server, str) else server,
                {cls: clients[where] if isinstance(where, str) else where for cls, where in placed.items()},
            )
            for place in (id(app), id(app.router)):
                _began(place, servers)
                stack.callback(_ended, place, servers)
            yield None if inner is None else await stack.enter_async_context(inner(app))

    return running


def _opened(url: str, stack: AsyncExitStack) -> RedisClient:
    opened = open_client(url, "lifespan()")
    stack.push_async_callback(opened.aclose)
    return opened.client


def _began(place: int, servers: Servers) -> None:
    with _changing:
        _running[place] = [*_running.get(place, ()), servers]


def _ended(place: int, servers: Servers) -> None:
    with _changing:
        left = [other for other in _running.pop(place) if other is not servers]
        if left:
            _running[place] = left


@overload
def bind(where: Starlette | HTTPConnection, store: Callable[[RedisClient], S], /) -> S: ...
@overload
def bind(
    where: Starlette | HTTPConnection,
    store: Callable[Concatenate[RedisClient, P], S],
    /,
    *args: P.args,
    **kwargs: P.kwargs,
) -> S: ...
def bind(
    where: Starlette | HTTPConnection,
    store: Callable[Concatenate[RedisClient, P], S],
    /,
    *args: P.args,
    **kwargs: P.kwargs,
) -> S:
    """Bind a store outside of a handler's parameters: ``bind(app, Garden)``, ``bind(request, UserStore, user_id=7)``.

    For lifespans, workers, middleware, and dependencies that find the store's parameters by themselves.

    Args:
        where: the application, or a request or WebSocket that it has received.
        store: the store class.
        args, kwargs: the parameters of the store.

    Raises:
        RuntimeError: ``lifespan(...)`` is not running for this application.
        TypeError, ValueError, DeclarationError: as from the store class.

    No I/O. A store without parameters is always the same object while the application runs.
    """
    cls = cast("type[S]", check_store(store, "bind()"))
    servers = servers_for(where.scope if isinstance(where, HTTPConnection) else {"app": where}, cls)
    if not args and not kwargs:
        return servers.plain(cls)
    return store(servers.client_of(cls), *args, **kwargs)


def servers_for(scope: Mapping[str, object], cls: type[Store]) -> Servers:
    """The start-up that serves a request.

    Raises:
        RuntimeError: there is no start-up for its application.
    """
    app = scope.get("app")
    runs = _running.get(id(app)) or _running.get(id(scope.get("router", app)))
    if runs is None:
        raise RuntimeError(
            f"no server for {cls.__name__}: the lifespan(...) of purse.fastapi is not running for this application. "
            'Write FastAPI(lifespan=lifespan("redis://localhost")). If it is there already, start it: in tests '
            "write `with TestClient(app) as client:`. httpx's ASGITransport does not start it, so with that write "
            "`async with app.router.lifespan_context(app):` around the requests."
        )
    if len(runs) > 1:
        try:
            loop = asyncio.get_running_loop()
        except RuntimeError:  # in a thread without a loop
            return runs[-1]
        return next((servers for servers in reversed(runs) if servers.loop is loop), runs[-1])
    return runs[0]


def _check_app(given: object) -> None:
    """Refuse an object that is not an application.

    Raises:
        TypeError: ``given`` is not an application.
    """
    if not isinstance(given, Starlette):
        raise TypeError(f"lifespan(...) is for a FastAPI or Starlette application, not a {type(given).__name__}")


def _check_server(given: object) -> None:
    if isinstance(given, Starlette):
        raise TypeError(
            'lifespan() takes a server, not an application: write FastAPI(lifespan=lifespan("redis://localhost"))'
        )
    check_client(given)


def check_store(given: object, where: str) -> type[Store]:
    """Return ``given`` if it is a store class.

    Raises:
        TypeError: it is something else.
    """
    if isinstance(given, type) and issubclass(given, Store):
        return given
    told = shown(given)  # pyright: ignore[reportUnknownArgumentType] - narrowed to type[Unknown]
    raise TypeError(f"{where} takes a store class, not {told}")
