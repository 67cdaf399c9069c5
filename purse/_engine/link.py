r"""Link: one open connection that many tasks share, from its first command to its loss.

    caller A --\                                          /-- reply 1 --> A
    caller B ---+--> outbox --> [writer task] ==> server ==> [reader task]
    caller C --/     (one write for all that came          (replies come in the order
                      during one loop iteration)            of the commands: a FIFO)

Each request has a future. The writer moves requests from the outbox to the FIFO *before* their bytes
leave, the reader hands each reply to the oldest request of the FIFO. Two consequences carry the
promises of the whole library:

* a cancelled caller only cancels its future: its replies are still read, in order, and dropped, so a
  late reply can never answer another call;
* when the connection is lost, what is in the outbox provably never left (``LinkLost.sent`` is False)
  and may be sent again; what is in the FIFO may or may not have been executed.

A link lives once: it is never reopened, the executor opens another. Commands that block on the
server, subscribe, or change the connection's state never go here.
"""

from __future__ import annotations

import asyncio
import itertools
import math
from collections import deque

import hiredis
from redis.exceptions import ConnectionError, RedisError, ResponseError, TimeoutError

from purse._engine.cancellation import cancellation_kept
from purse._engine.clients import Connection
from purse._engine.packing import Packed
from purse._engine.replies import Reply

__all__ = ["Link", "LinkLost"]

_BURST = 256
"""Replies after which the reader lets other tasks run: reading what is already there never suspends."""


class LinkLost(Exception):
    """The link closed before all replies to a request had come.

    Attributes:
        sent: False if no byte of the request left this process.
        cause: what closed the link.
    """

    def __init__(self, cause: BaseException, *, sent: bool) -> None:
        super().__init__(cause, sent)
        self.cause = cause
        self.sent = sent


class _Request:
    __slots__ = ("future", "payload", "replies", "wanted")

    def __init__(self, packed: Packed, future: asyncio.Future[list[Reply]]) -> None:
        self.payload, self.wanted = packed
        self.replies: list[Reply] = []
        self.future = future


class Link:
    """One connection, driven through redis-py's public methods until it is lost.

    Args:
        connection: an open connection that nobody else uses; ``run`` closes it.
    """

    def __init__(self, connection: Connection) -> None:
        self._connection = connection
        self._loop = asyncio.get_running_loop()
        self._driver: asyncio.Task[object] | None = None
        self._outbox: deque[_Request] = deque()
        self._in_flight: deque[_Request] = deque()
        self._wake = asyncio.Event()
        self._last_progress = 0.0
        self._watchdog: asyncio.TimerHandle | None = None
        self._lost: BaseException | None = None

    @property
    def is_open(self) -> bool:
        """False from the moment the link is lost or closed."""
        return self._lost is None

    def request(self, packed: Packed) -> asyncio.Future[list[Reply]]:
        """Queue one contiguous write; the future brings its replies, errors among them as values.

        The future raises ``LinkLost`` if the link is lost first. Cancelling it is always safe.
        """
        future: asyncio.Future[list[Reply]] = self._loop.create_future()
        if self._lost is not None:
            future.set_exception(LinkLost(self._lost, sent=False))
        else:
            self._outbox.append(_Request(packed, future))
            self._wake.set()
        return future

    async def run(self) -> None:
        """Read replies, and write what is requested, until the link is lost; however that comes, close the socket.

        To be awaited by a task that has already started: one that is cancelled before its first step would
        never get to close anything.
        """
        self._driver = asyncio.current_task()
        writer = self._loop.create_task(self._write(), name="purse: writer")
        writer.add_done_callback(self._writer_ended)
        try:
            await self._read()
        except Exception as error:  # whatever ended it is handed to every waiting caller
            self.abort(error)
        finally:
            self.abort(ConnectionError("the event loop was shut down"))
            writer.cancel()
            await self._connection.disconnect(nowait=True)

    def abort(self, cause: BaseException) -> None:
        """Fail every request that is under way and stop ``run``.

        Only for the loop's own thread. The first cause counts; later calls do nothing.
        """
        if self._lost is not None:
            return
        self._lost = cause
        if self._watchdog is not None:
            self._watchdog.cancel()
        for requests, sent in ((self._in_flight, True), (self._outbox, False)):
            while requests:
                future = requests.popleft().future
                if not future.done():
                    future.set_exception(LinkLost(cause, sent=sent))
        if self._driver is not None and self._driver is not asyncio.current_task():
            self._driver.cancel()

    async def aclose(self) -> None:
        """Fail what is under way and wait until the socket is closed."""
        self.abort(ConnectionError("the connection was closed by aclose()"))
        if self._driver is not None:
            await asyncio.wait([self._driver])

    # --- the two directions ----------------------------------------------------------------------

    def _writer_ended(self, writer: asyncio.Task[None]) -> None:
        if not writer.cancelled():
            self.abort(writer.exception() or ConnectionError("the writer ended"))

    async def _write(self) -> None:
        while True:
            await self._wake.wait()
            self._wake.clear()
            # Asked before anything counts as sent, and because send_packed_command would quietly open a
            # second connection in place of a closed one.
            if not self._connection.is_connected:
                raise ConnectionError("Connection closed by server.")
            chunks: list[bytes] = []
            if not self._in_flight:
                self._last_progress = self._loop.time()  # nothing was due until now
            while self._outbox:
                request = self._outbox.popleft()
                if not request.future.cancelled():  # cancelled before it left: it never happened
                    chunks.append(request.payload)
                    self._in_flight.append(request)
            if not chunks:
                continue
            self._watch()
            with cancellation_kept():
                await self._connection.send_packed_command([b"".join(chunks)], check_health=False)

    async def _read(self) -> None:
        for nth in itertools.count(1):
            if nth % _BURST == 0:
                await asyncio.sleep(0)
            # An endless read: the end of an idle connection is seen at once, and no timer is started
            # for each reply. The watchdog keeps the client's socket timeout.
            try:
                reply = await self._connection.read_response(
                    disable_decoding=True, timeout=math.inf, disconnect_on_error=False
                )
            except RedisError as error:
                if not _is_reply(error):
                    raise
                reply = error
            if isinstance(reply, hiredis.PushNotification):  # redis-py before 6 hands these out as replies
                continue
            self._last_progress = self._loop.time()
            self._deliver(reply)

    def _deliver(self, reply: Reply) -> None:
        if not self._in_flight:
            raise ConnectionError(f"the server sent a reply that nobody asked for: {reply!r}")
        request = self._in_flight[0]
        request.replies.append(reply)
        if len(request.replies) == request.wanted:
            self._in_flight.popleft()
            if not request.future.done():
                request.future.set_result(request.replies)

    # --- the deadline ---------------------------------------------------------------------------

    def _watch(self) -> None:
        """Start the watchdog for replies that are now due, unless it runs already."""
        timeout = self._connection.socket_timeout
        if timeout is not None and self._watchdog is None:
            self._watchdog = self._loop.call_later(timeout, self._check_progress, timeout)

    def _check_progress(self, timeout: float) -> None:
        self._watchdog = None
        if not self._in_flight:
            return
        left = self._last_progress + timeout - self._loop.time()
        if left <= 0:
            self.abort(TimeoutError(f"no reply for {timeout} s (the client's socket_timeout)"))
        else:
            self._watchdog = self._loop.call_later(left, self._check_progress, timeout)


def _is_reply(error: RedisError) -> bool:
    """Whether redis-py raised what the *server* said (NOPERM, LOADING, ...); the connection goes on.

    LOADING and NOAUTH are subclasses of its ConnectionError; the plain class means the network.
    """
    return isinstance(error, ResponseError) or (
        isinstance(error, ConnectionError) and type(error) is not ConnectionError
    )
