"""A client for a URL, and what has to be closed with it: for ``Store.open`` and applications.

redis://, rediss://, unix://    a client
embedded://                     a server that is started for it, gone with its data when the client is closed or
                                dropped; if the environment has PURSE_REDIS_URL, a client of that server instead
"""

from __future__ import annotations

import asyncio
import weakref
from contextlib import AsyncExitStack
from dataclasses import dataclass
from typing import TYPE_CHECKING

from purse._engine.clients import RedisClient
from purse._engine.registry import executor_for
from purse._engine.urls import check_url, client_for, embedded_is_at

if TYPE_CHECKING:
    from purse.embedded._server import Server

__all__ = ["Opened", "open_client"]


@dataclass(frozen=True, slots=True)
class Opened:
    """A client that was made for a URL, and the server that was started for it, if one was."""

    client: RedisClient
    server: Server | None

    async def aclose(self) -> None:
        """Close the connections of purse, the client, and the server, each even if another has failed.

        Sends nothing.
        """
        async with AsyncExitStack() as stack:  # last in, first out
            if self.server is not None:
                stack.push_async_callback(asyncio.to_thread, self.server.close)
            stack.push_async_callback(self.client.aclose)
            stack.push_async_callback(executor_for(self.client).aclose)

    def discard(self) -> None:
        """Stop the server of a client that was never used; it blocks until that has ended."""
        if self.server is not None:
            self.server.close()


def open_client(url: str, asked: str) -> Opened:
    """A client for ``url``; its first call opens the connection.

    Args:
        url: as ``Store.open`` takes it.
        asked: the function that was given the URL, for messages: ``open()``.

    Raises:
        ValueError: not such a URL; the message shows no part of it that may be a password.
        ServerNotFound, ServerFailed: there is no embedded server to run, or it did not start.

    No I/O with Redis. Starting a server blocks for 10 to 30 ms.
    """
    if check_url(url, asked) == "embedded":
        elsewhere = embedded_is_at()
        if elsewhere is None:
            return _with_server()
        url = elsewhere
    return Opened(client_for(url), None)


def _with_server() -> Opened:
    from purse.embedded._server import Server  # not loaded for a server that runs elsewhere

    server = Server()
    server.start()
    try:
        client = client_for(server.url)
    except BaseException:
        server.close()
        raise
    # A caller that keeps only a collection keeps its client, and with it the server.
    weakref.finalize(client, server.close)
    return Opened(client, server)
