"""DrivenLink: a shared link on a redis-py connection whose transport cannot be adopted.

One task reads replies and one writes the bytes of each flush, both through redis-py's public methods. A call takes
about twice as long as on an adopted transport, and a tenth of the time of a connection for each call.
"""

from __future__ import annotations

import asyncio
import itertools
import sys
from collections.abc import Callable
from operator import methodcaller

from redis.exceptions import ConnectionError, RedisError

from purse._engine.cancellation import CAME_BETWEEN
from purse._engine.clients import Connection, health_check_interval, is_closed_here, outdated, read_reply, send_packed
from purse._engine.detached import hidden
from purse._engine.link import Ended
from purse._engine.loops import close_connection, drop, hang_up
from purse._engine.shared import SharedLink

__all__ = ["DrivenLink"]

_BURST = 256
"""Replies after which the reader lets other tasks run: reading bytes that have already come never suspends."""

_is_done = methodcaller("done")


class DrivenLink(SharedLink):
    """A shared link that two tasks drive. When one of them ends, for any reason, the link is lost.

    Args:
        connection: an open connection that is not used elsewhere. It is closed when the link is lost.
        on_close: called once, when it is closed.
    """

    def __init__(self, connection: Connection, on_close: Callable[[DrivenLink], None]) -> None:
        super().__init__(connection.socket_timeout, lambda: outdated(connection), health_check_interval(connection))
        self._connection = connection
        self._on_close: Callable[[DrivenLink], None] | None = on_close
        self._wake = asyncio.Event()
        self._bytes = b""
        self._run: object = None
        self._closing: asyncio.Task[None] | None = None
        self._drivers: list[asyncio.Task[None]] = []
        for work, name in ((self._read, "reader"), (self._write, "writer")):
            self._drivers.append(hidden(work(), name))
            self._drivers[-1].add_done_callback(self._ended)

    def _ended(self, task: asyncio.Task[None]) -> None:
        error = asyncio.CancelledError() if task.cancelled() else task.exception()
        if task is self._closing and not isinstance(error, CAME_BETWEEN):
            self._forget()  # it is closed
        if task.cancelled():
            self.abort(Ended("the event loop was shut down"))
        elif isinstance(error, CAME_BETWEEN):
            self._give_up(error)
        else:
            self.abort(error or Ended("the connection was closed"))

    def _writable(self) -> bool:
        # send_packed_command would silently open a second connection in place of a closed one.
        return (
            self._connection.is_connected
            and self._closing is None
            and not any(map(_is_done, self._drivers))
            and self._complete()
        )

    def _complete(self) -> bool:
        """Whether no part of a reply can have been lost.

        A Ctrl-C ends a run of the loop, and may come when redis-py's stream has received bytes and not kept them yet.
        The link cannot see that, so replies that are due when a run ends are not trusted in the next run. A run is
        recognised by the hooks for asynchronous generators that it sets.
        """
        run = sys.get_asyncgen_hooks().firstiter
        if run is not self._run and self._in_flight:
            return False
        self._run = run
        return True

    def _transmit(self, data: bytes) -> None:
        self._bytes = data
        self.pause_writing()  # until the writer task has sent it
        self._wake.set()

    def _hang_up(self) -> None:
        if self._on_close is not None and (self._closing is None or self._closing.done()):
            self._closing = hidden(self._close(), "closing")
            self._closing.add_done_callback(self._ended)

    async def aclose(self) -> None:
        """See ``Link.aclose``."""
        self.abort(Ended("the connection was closed by aclose()"))
        while self._closing is not None and not self._closing.done():
            await asyncio.wait([self._closing])

    async def _close(self) -> None:
        for driver in self._drivers:
            driver.cancel()
        await asyncio.wait(self._drivers)
        await hang_up(self._connection)

    def _forget(self) -> None:
        on_close = self._on_close
        if on_close is not None:
            on_close(self)
            self._on_close = None  # last: after an exception before this line, it is done again

    def drop(self) -> None:
        """See ``Link.drop``."""
        self._leave("the event loop was closed")
        for task in (*self._drivers, self._closing):
            drop(task)
        close_connection(self._connection)
        self._forget()

    async def _write(self) -> None:
        while True:
            await self._wake.wait()
            self._wake.clear()
            data, self._bytes = self._bytes, b""
            await send_packed(self._connection, data)
            self.resume_writing()

    async def _read(self) -> None:
        for nth in itertools.count(1):
            if nth % _BURST == 0:
                await asyncio.sleep(0)
            try:
                reply = await read_reply(self._connection, seconds=None)
            except (RedisError, OSError) as error:
                if is_closed_here(self._connection):
                    raise Ended("The client was closed.") from error
                raise
            if not self._complete():
                raise ConnectionError(
                    "The connection was closed because the event loop was stopped while replies were due."
                )
            self._deliver(reply)
            if not self._connection.is_connected:
                # A connection of Sentinel's closes itself when its server refuses because it is no longer the
                # primary. So the server has refused the rest of the unit as well.
                while self._replies:
                    self._deliver(reply)
                raise ConnectionError("the server is no longer the primary")
            self._delivered()
