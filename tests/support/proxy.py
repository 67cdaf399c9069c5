"""A TCP proxy between client and server that breaks the wire on request.

Everything it is told applies from that moment on, so a test can let a connection be set up and then
cut the very next reply.
"""

from __future__ import annotations

import asyncio
import contextlib
from types import TracebackType
from typing import Self


class Proxy:
    """Forwards 127.0.0.1:port to a server.

    Attributes:
        accepted: how many connections were made.
        requests: bytes that clients have sent to the server, if they are to be kept.
    """

    def __init__(self, port: int, *, keep_requests: bool = True) -> None:
        self._server_port = port
        self._keep_requests = keep_requests
        self._listener: asyncio.Server | None = None
        self._streams: set[asyncio.StreamWriter] = set()
        self._tasks: set[asyncio.Task[None]] = set()
        self._replies_left: int | None = None
        self._swallowing = False
        self._swallowed = asyncio.Event()
        self._answers: list[bytes] = []
        self._silent: set[asyncio.StreamWriter] = set()
        self._forbidden: bytes | None = None
        self._delay = 0.0
        self._flowing = asyncio.Event()
        self._flowing.set()
        self._released = asyncio.Event()
        self._released.set()
        self.port = 0
        self.accepted = 0
        self.requests = bytearray()

    @property
    def url(self) -> str:
        """The URL of the proxy."""
        return f"redis://127.0.0.1:{self.port}"

    async def __aenter__(self) -> Self:
        self._listener = await asyncio.start_server(self._accept, "127.0.0.1", 0)
        self.port = self._listener.sockets[0].getsockname()[1]
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        await self.refuse()
        self.drop()
        for task in self._tasks:
            task.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)

    # --- faults ---------------------------------------------------------------------------------

    def cut_after(self, reply_bytes: int) -> None:
        """Let this many more bytes of replies through, then close every connection; once."""
        self._replies_left = reply_bytes

    def swallow(self) -> None:
        """Let requests through, and drop every reply."""
        self._swallowing = True
        self._swallowed.clear()

    async def swallowed(self) -> None:
        """Wait until a reply was dropped: the server has executed the command."""
        await self._swallowed.wait()

    def delay(self, seconds: float) -> None:
        """Hold back each piece of a reply for this long."""
        self._delay = seconds

    def hold(self) -> None:
        """Let requests through, and hold every reply back until ``release``."""
        self._released.clear()

    def release(self) -> None:
        """Let the replies go that ``hold`` has held back."""
        self._released.set()

    def lose(self) -> None:
        """Drop every byte of the connections that are there, without closing them. New ones work."""
        self._silent |= self._streams

    def stall(self) -> None:
        """Forward nothing any more, in either direction, but keep the connections."""
        self._flowing.clear()

    def heal(self) -> None:
        """Forward everything again."""
        self._replies_left = None
        self._swallowing = False
        self._answers = []
        self._forbidden = None
        self._delay = 0.0
        self._flowing.set()
        self._released.set()

    def answer(self, reply: bytes, times: int) -> None:
        """Answer the next so many pieces of requests with ``reply``; the server never sees them."""
        self._answers = [reply] * times

    def hang_up_at(self, word: bytes) -> None:
        """Close each connection on which a request has this word, as some proxies do; the server never sees it."""
        self._forbidden = word

    def drop(self) -> None:
        """Close every connection, both ways, now."""
        for writer in self._streams:
            writer.transport.abort()

    async def refuse(self) -> None:
        """Stop listening: new connections are refused, open ones live on."""
        if self._listener is not None:
            self._listener.close()
            self._listener = None
        await asyncio.sleep(0)

    async def listen_again(self) -> None:
        """Undo ``refuse``, on the same port."""
        self._listener = await asyncio.start_server(self._accept, "127.0.0.1", self.port)

    # --- forwarding -----------------------------------------------------------------------------

    async def _accept(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self.accepted += 1
        task = asyncio.current_task()
        assert task is not None
        self._tasks.add(task)
        upstream: asyncio.StreamWriter | None = None
        pumps: list[asyncio.Task[None]] = []
        try:
            from_server, upstream = await asyncio.open_connection("127.0.0.1", self._server_port)
            self._streams |= {writer, upstream}
            pumps += [
                asyncio.create_task(self._pump_requests(reader, upstream, writer)),
                asyncio.create_task(self._pump_replies(from_server, writer)),
            ]
            await asyncio.wait(pumps, return_when=asyncio.FIRST_COMPLETED)
        except ConnectionError:
            pass  # the server is away, and so is the proxy's side
        finally:
            for pump in pumps:
                pump.cancel()
            for stream in (writer, upstream):
                if stream is not None:
                    stream.transport.abort()
                    self._streams.discard(stream)
            self._tasks.discard(task)

    async def _pump_requests(
        self, source: asyncio.StreamReader, target: asyncio.StreamWriter, back: asyncio.StreamWriter
    ) -> None:
        with contextlib.suppress(OSError):
            while data := await source.read(65536):
                await self._flowing.wait()
                if self._keep_requests:
                    self.requests += data
                if target in self._silent:
                    continue
                if self._forbidden is not None and self._forbidden in data:
                    back.transport.abort()
                    return
                if self._answers:
                    back.write(self._answers.pop())
                    continue
                target.write(data)
                await target.drain()

    async def _pump_replies(self, source: asyncio.StreamReader, target: asyncio.StreamWriter) -> None:
        with contextlib.suppress(OSError):
            while data := await source.read(65536):
                await self._flowing.wait()
                await self._released.wait()
                if self._delay:
                    await asyncio.sleep(self._delay)
                if target in self._silent:
                    continue
                if self._swallowing:
                    self._swallowed.set()
                    continue
                if self._replies_left is not None and len(data) >= self._replies_left:
                    target.write(data[: self._replies_left])
                    self._replies_left = None
                    await target.drain()
                    target.close()
                    await target.wait_closed()
                    return
                if self._replies_left is not None:
                    self._replies_left -= len(data)
                target.write(data)
                await target.drain()
