"""Servers of the soak's own, a proxy, and clients in one mode of the engine."""

from __future__ import annotations

import asyncio
from contextlib import AsyncExitStack
from types import TracebackType
from typing import Literal, Self, TypeAlias

from redis.asyncio import Redis
from redis.asyncio.retry import Retry
from redis.backoff import NoBackoff

from purse import RedisClient, RedisHash, Store, configure
from purse.embedded import Server
from tests.support.masters import KEEPING, Masters
from tests.support.proxy import Proxy

__all__ = ["SOCKET_TIMEOUT", "Mode", "Scene"]

Mode: TypeAlias = Literal["shared", "dedicated"]
"""A mode of the engine."""

SOCKET_TIMEOUT = 2.0
"""Seconds of silence after which a client gives a connection up."""

_MASTERS = 3


class _Owner(Store, namespace="soak"):
    """Owns a client, so that its end is the orderly one, with all that was taken put back."""

    field: RedisHash[str]


class Scene:
    """What the soak plays on; ``async with`` starts everything and takes it down.

    Args:
        mode: how the clients' calls reach Redis.

    Attributes:
        main: a one-server ``Masters`` that keeps its data.
        masters: three servers for Redlock, which keep their data.
        proxy: in front of the main server.
        clients: two straight to the main server, one through the proxy.
        of_masters: two clients for each of the three.
        control: redis-py alone, over the unix socket, without any retry: the outsider, and the one that causes faults.
    """

    def __init__(self, mode: Mode) -> None:
        self.mode: Mode = mode
        # Small files load fast, so that a restart takes tenths of seconds also after ten minutes.
        self.main = Masters([Server(port=0, password="", config={**KEEPING, "auto-aof-rewrite-min-size": "4mb"})])
        self.masters = Masters([Server(port=0, password="", config=KEEPING) for _ in range(_MASTERS)])
        self.clients: list[RedisClient] = []
        self.of_masters: list[list[RedisClient]] = []
        self._open = AsyncExitStack()

    @property
    def server(self) -> Server:
        """The main server."""
        return self.main.servers[0]

    async def __aenter__(self) -> Self:
        async with AsyncExitStack() as opening:
            for server in (self.server, *self.masters.servers):
                await opening.enter_async_context(server)
            opening.callback(self._resume)
            assert self.server.port is not None
            self.proxy = await opening.enter_async_context(Proxy(self.server.port, keep_requests=False))
            self.control = Redis(unix_socket_path=str(self.server.socket_path), retry=Retry(NoBackoff(), 0))
            opening.push_async_callback(self.control.aclose)
            for url in (self.server.url, self.server.url, self.proxy.url):
                self.clients.append(self._client(opening, url))
            for _ in range(2):
                self.of_masters.append([self._client(opening, server.url) for server in self.masters.servers])
            self._open = opening.pop_all()
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        await self._open.aclose()

    def _client(self, opening: AsyncExitStack, url: str) -> RedisClient:
        owner = _Owner.open(f"{url}?socket_timeout={SOCKET_TIMEOUT}")
        opening.push_async_callback(owner.aclose)
        client = owner.field.redis
        configure(client, engine=self.mode)
        return client

    def _resume(self) -> None:
        self.main.resume()
        self.masters.resume()

    async def heal(self) -> None:
        """Everything runs again, and answers."""
        self.proxy.heal()
        await asyncio.to_thread(self.main.heal)
        await asyncio.to_thread(self.masters.heal)
