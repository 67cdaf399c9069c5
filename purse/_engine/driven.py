"""DrivenLink: a shared link on a redis-py connection whose transport cannot be adopted.

One task reads replies, one writes what a flush hands over, both through redis-py's public methods. Slower
than an adopted transport by half, faster than a connection for each call by an order of magnitude.
"""

from __future__ import annotations

import asyncio
import itertools
from collections.abc import Callable

from redis.exceptions import ConnectionError

from purse._engine.clients import Connection, outdated, read_reply, send_packed
from purse._engine.detached import hidden
from purse._engine.shared import SharedLink

__all__ = ["DrivenLink"]

_BURST = 256
"""Replies after which the reader lets other tasks run: reading what is already there never suspends."""


class DrivenLink(SharedLink):
    """A shared link that two tasks drive.

    Args:
        connection: an open connection that nobody else uses; closed when the link is lost.
        on_close: called once, when it is closed.
    """

    def __init__(self, connection: Connection, on_close: Callable[[DrivenLink], None]) -> None:
        super().__init__(connection.socket_timeout, lambda: outdated(connection))
        self._connection = connection
        self._on_close = on_close
        self._wake = asyncio.Event()
        self._bytes = b""
        self._disowned = False
        self._driver = hidden(self._drive(), "reader")

    def _writable(self) -> bool:
        # send_packed_command would quietly open a second connection in place of a closed one.
        return self._connection.is_connected

    def _transmit(self, data: bytes) -> None:
        self._bytes = data
        self.pause_writing()  # until the writer is through with it
        self._wake.set()

    def _hang_up(self) -> None:
        if self._driver is not asyncio.current_task():
            self._driver.cancel()

    def disown(self) -> None:
        """See ``Link.disown``."""
        super().disown()
        self._disowned = True

    async def aclose(self) -> None:
        """See ``Link.aclose``."""
        self.abort(ConnectionError("the connection was closed by aclose()"))
        await asyncio.wait([self._driver])

    async def _drive(self) -> None:
        writer = hidden(self._write(), "writer")
        writer.add_done_callback(self._writer_ended)
        try:
            await self._read()
        except Exception as error:  # whatever ended it is handed to every waiting caller
            self.abort(error)
        finally:
            self.abort(ConnectionError("the event loop was shut down"))
            writer.cancel()
            if not self._disowned:
                await self._connection.disconnect(nowait=True)
                self._on_close(self)

    def _writer_ended(self, writer: asyncio.Task[None]) -> None:
        if not writer.cancelled():
            self.abort(writer.exception() or ConnectionError("the writer ended"))

    async def _write(self) -> None:
        while True:
            await self._wake.wait()
            self._wake.clear()
            await send_packed(self._connection, self._bytes)
            self._bytes = b""
            self.resume_writing()

    async def _read(self) -> None:
        for nth in itertools.count(1):
            if nth % _BURST == 0:
                await asyncio.sleep(0)
            reply = await read_reply(self._connection, forever=True)
            self._deliver(reply)
            if not self._connection.is_connected:
                # A connection of Sentinel's closes itself when its server refuses because it is no longer the
                # primary; so the server has refused the rest of the unit as well.
                while self._replies:
                    self._deliver(reply)
                raise ConnectionError("the server is no longer the primary")
            self._delivered()
