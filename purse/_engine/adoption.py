"""AdoptedLink: a shared link that reads and writes the transport of a redis-py connection itself.

redis-py connects, authenticates and selects the database. Then its transport is *adopted*: the link replaces the
transport's protocol, feeds received bytes to its ``hiredis.Reader`` and writes packed bytes. That is ten
times cheaper than a read and a write through redis-py's coroutines, and leaves out nothing that matters
on an open connection.

``adopt`` changes private attributes of redis-py, and checks their types first. If they have another shape (a fake, a
future redis-py) it raises ``NotAdoptable``, and the connection is used through its public methods instead.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from dataclasses import dataclass
from typing import cast

import hiredis
from redis.exceptions import ConnectionError, InvalidResponse, RedisError

from purse._engine.clients import Connection, health_check_interval, outdated
from purse._engine.link import Ended
from purse._engine.loops import close_connection, let_go, was_hung_up
from purse._engine.replies import Reply
from purse._engine.shared import SharedLink
from purse.codecs._shown import said

__all__ = ["AdoptedLink", "NotAdoptable", "adopt"]

_NOT_ENOUGH = object()  # hiredis' own default is False, which is also a reply
_UNHEARD = 1.0  # seconds after which a link is closed without connection_lost, because an exception has cost that call
_BUFFER = 64 * 2**10  # bytes that are read at a time
_UNTOUCHED = 0xFF  # first in the buffer while nothing is read into it: no text and hardly any other data begins so


class NotAdoptable(Exception):
    """This connection has no transport that can be adopted. Nothing was changed."""


@dataclass(slots=True)
class _Socket:
    """The parts of a redis-py connection that adoption takes over."""

    transport: asyncio.Transport
    former: asyncio.Protocol
    unread: bytes
    reply_error: Callable[[str], Exception]


def adopt(connection: Connection, on_close: Callable[[AdoptedLink], None]) -> AdoptedLink:
    """Take over an open connection that is not used elsewhere.

    Args:
        on_close: called once, when the socket is closed.

    Raises:
        NotAdoptable: this is not a connection as redis-py makes them. It was not changed.
    """
    socket = _socket_of(connection)
    link = AdoptedLink(connection, socket, on_close)
    socket.transport.pause_reading()  # uvloop chooses how it reads when it begins to
    socket.transport.set_protocol(link)
    socket.transport.resume_reading()
    link.read_again(socket.unread)
    # client.aclose() calls it. redis-py's own method waits until all bytes are sent, even if the server never reads.
    setattr(connection, "disconnect", link.disconnect)  # noqa: B010 - it is a method to type checkers
    return link


def _socket_of(connection: Connection) -> _Socket:
    writer: object = getattr(connection, "_writer", None)
    reader: object = getattr(connection, "_reader", None)
    parser: object = getattr(connection, "_parser", None)
    buffer: object = getattr(reader, "_buffer", None)
    reply_error: object = getattr(parser, "parse_error", None)
    if not (isinstance(writer, asyncio.StreamWriter) and isinstance(reader, asyncio.StreamReader)):
        raise NotAdoptable(f"{type(connection).__name__} does not read and write asyncio streams")
    transport = cast("asyncio.Transport", writer.transport)
    if not (isinstance(buffer, bytearray) and callable(reply_error) and hasattr(transport, "set_protocol")):
        raise NotAdoptable(f"the streams of this {type(connection).__name__} are not those that purse knows")
    if reader.at_eof():
        raise ConnectionError("Connection closed by server.")
    if transport.is_closing():
        raise Ended("The client was closed.")
    former = cast("asyncio.Protocol", transport.get_protocol())
    unread = bytes(buffer)
    buffer.clear()
    return _Socket(transport, former, unread, cast("Callable[[str], Exception]", reply_error))


class AdoptedLink(SharedLink, asyncio.BufferedProtocol):
    """A shared link on a transport. ``adopt`` makes it.

    The transport reads into a buffer of the link. That is cheaper than a bytes object for each read, and it shows
    if bytes were read and never handed over. A Ctrl-C between the two steps would otherwise shift all later replies.
    """

    def __init__(self, connection: Connection, socket: _Socket, on_close: Callable[[AdoptedLink], None]) -> None:
        super().__init__(connection.socket_timeout, lambda: outdated(connection), health_check_interval(connection))
        self._connection = connection  # its StreamWriter closes the transport when it is collected
        self._transport = socket.transport
        self._former = socket.former
        self._on_close: Callable[[AdoptedLink], None] | None = on_close
        self._closed = self._loop.create_future()
        self._unheard: asyncio.TimerHandle | None = None
        self.on_push: Callable[[list[Reply]], None] | None = None  # for messages that the server sends unasked
        self._reader = hiredis.Reader(
            protocolError=InvalidResponse, replyError=socket.reply_error, notEnoughData=_NOT_ENOUGH
        )
        # Its stub says that it takes bytes only.
        self._feed = cast("Callable[[memoryview, int, int], None]", self._reader.feed)
        self._buffer = bytearray(_BUFFER)
        self._buffer[0] = _UNTOUCHED
        self._view = memoryview(self._buffer)

    def _transmit(self, data: bytes) -> None:
        self._transport.write(data)

    def _writable(self) -> bool:
        return self._buffer[0] == _UNTOUCHED and not self._transport.is_closing()

    def _hang_up(self) -> None:
        self._transport.abort()
        was_hung_up(self._loop, self._transport)
        if self._on_close is not None and self._unheard is None:
            self._unheard = self._loop.call_later(_UNHEARD, self._finish)

    async def aclose(self) -> None:
        """See ``Link.aclose``."""
        self.abort(Ended("the connection was closed by aclose()"))
        await asyncio.wait([self._closed], timeout=2 * _UNHEARD)

    async def disconnect(self, nowait: bool = False, **_: object) -> None:
        """Close the link. redis-py calls this to close its connection."""
        if nowait:
            self.abort(ConnectionError("the client was closed"))
        else:
            await self.aclose()

    def drop(self) -> None:
        """See ``Link.drop``."""
        self._leave("the event loop was closed")
        close_connection(self._connection)
        self._forget()

    # --- asyncio.BufferedProtocol -----------------------------------------------------------------

    def get_buffer(self, sizehint: int) -> memoryview:
        """Return the buffer that the transport reads into."""
        if self._buffer[0] != _UNTOUCHED:
            self.abort(ConnectionError("The connection was closed because an exception lost a part of a reply."))
        return self._view

    def buffer_updated(self, nbytes: int) -> None:
        """Hand each complete reply to its request."""
        try:
            self._feed(self._view, 0, nbytes)
            gets, in_flight = cast("Callable[[], Reply]", self._reader.gets), self._in_flight
            try:
                while (reply := gets()) is not _NOT_ENOUGH:
                    if reply.__class__ is hiredis.PushNotification:
                        if self.on_push is not None:
                            self.on_push(cast("list[Reply]", reply))
                        continue
                    request = in_flight[0] if in_flight else None
                    if isinstance(request, asyncio.Future):  # the same as _deliver, without the call
                        if not request.done():
                            request.set_result([reply])
                        else:
                            self._drop(request, [reply])
                        in_flight.popleft()
                    else:
                        self._deliver(reply)
            except RedisError as error:  # not the Redis protocol: nothing after it can be trusted
                self.abort(ConnectionError(f"the server's reply is not valid Redis protocol: {said(error)}"))
            self._delivered()
            self._buffer[0] = _UNTOUCHED
        except BaseException as error:
            self._give_up(error)
            raise

    def read_again(self, unread: bytes) -> None:
        """Process bytes that redis-py has read and not used."""
        for start in range(0, len(unread), _BUFFER):
            piece = unread[start : start + _BUFFER]
            self._view[: len(piece)] = piece
            self.buffer_updated(len(piece))

    def eof_received(self) -> None:
        """Abort: the server has closed its side, and the transport closes ours."""
        # Under TLS the server's answer to a client that closes arrives here as well.
        closed = Ended("The client was closed.") if self._transport.is_closing() else None
        self.abort(closed or ConnectionError("Connection closed by server."))

    def connection_lost(self, exc: Exception | None) -> None:
        """Finish: the socket is closed, by this side or by the other."""
        # If the server closes, ``eof_received`` is called first.
        self.abort(Ended("The client was closed.") if exc is None else ConnectionError(f"Connection lost: {said(exc)}"))
        self._finish()

    def _finish(self) -> None:
        if self._on_close is not None:
            self._former.connection_lost(None)  # redis-py's disconnect() waits for it
            if not self._closed.done():
                self._closed.set_result(None)
            self._forget()

    def _forget(self) -> None:
        on_close = self._on_close  # if the loop is closed, the garbage collector may call this as well
        if on_close is not None:
            let_go(self._connection)
            vars(self._connection).pop("disconnect", None)
            on_close(self)
            self._on_close = None  # last: after an exception before this line, everything is done again
        if self._unheard is not None:
            self._unheard.cancel()
