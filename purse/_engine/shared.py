r"""SharedLink: one connection that many tasks use at the same time.

    caller A --\                                      /-- reply 1 --> A
    caller B ---+--> outbox --> [flush] ==> server ===--- reply 2 --> B
    caller C --/     (one write for all that came     \-- reply 3 --> C
                      during one loop iteration)   (in the order of the commands: a FIFO)

Each request has a future. A flush moves requests from the outbox to the FIFO *before* their bytes are
sent, and each reply belongs to the oldest request of the FIFO. The promises of the library follow from that:

* A cancelled caller only cancels its future. Its replies are still read, in order, and dropped, so a
  late reply can never answer another call.
* When the connection is lost, the requests in the outbox were certainly not sent (``LinkLost.sent`` is False),
  and may be sent again. The requests in the FIFO may or may not have been executed.

Flush: once in a loop iteration, after all tasks that are ready have issued their commands. That
makes ``gather`` a pipeline. There are two exceptions. A single caller should not wait for the next loop iteration, so
on an idle link the write is made at once if the last write had only one request. And fifty requests that have come
together are sent at once, so that the server works on them while the next are being issued.

Memory: no flush while the socket does not take more (``pause_writing``), at most ``IN_FLIGHT``
requests that wait for replies, and at most about ``OUTBOX`` bytes of requests that wait to be sent.
Callers beyond that wait in ``room``, in their order, with nothing packed.

Time: one timer for the link, not one for each command. If replies are due and no byte has come for the client's
``socket_timeout``, the link is given up, but only after a second check: the loop may have been held up and not have
read the bytes that came (see ``deadlines``). The timer also asks whether the connection should be replaced (new
credentials, a server that is about to move).

Transactions: they stay in the outbox, and all requests behind them as well, until the server has said that it executes
transactions. See ``gate``.

Idle connections: a firewall may have dropped one silently. With the client's ``health_check_interval``, a link that was
idle for longer has to answer a PING first, and no request leaves the outbox before that. Without an answer the link is
lost with nothing sent, so every call is sent on the next one.

Exceptions: a Ctrl-C or a MemoryError can come between any two lines, even when the outbox, the FIFO and the bytes on
the wire do not match each other. So any exception that leaves a step of the link aborts the link, and is raised as
well. Three rules make that complete:

* A request is in the outbox or in the FIFO at every moment, and leaves the FIFO only after its future is done.
* ``abort`` closes the connection first, and can be called again: the second call does the rest that an exception kept
  the first from doing.
* A callback of the loop that may be lost before its first line (``_flush``, ``_check``) is scheduled a second time.

Commands that block on the server, subscribe, or change the connection's state are never sent on it.
"""

from __future__ import annotations

import asyncio
from abc import ABC, abstractmethod
from collections import deque
from collections.abc import Callable
from functools import partial
from time import monotonic

from redis.exceptions import ConnectionError, TimeoutError

from purse._engine.deadlines import LOOK_AGAIN
from purse._engine.gate import Gate
from purse._engine.link import Ended, Leave, LinkLost, Traffic
from purse._engine.outbox import OUTBOX, Future, Loose, Outbox, Request, future_of
from purse._engine.packing import PING, Packed
from purse._engine.replies import Reply
from purse._engine.room import Room
from purse._engine.taking import Taking
from purse._engine.transactions import Permission
from purse.codecs._shown import quoted, said, shown

__all__ = ["SharedLink"]

IN_FLIGHT = 8192
"""Requests that may wait for their replies at a time."""

_EARLY = 50  # requests after which a write is not delayed any longer
_TICK = 5.0  # seconds between two checks of a busy connection that has no socket_timeout
_AGAIN = 1.0  # seconds after which an abort that an exception has interrupted is begun again


class SharedLink(ABC):
    """The queues, the deadline and the limits. Subclasses send and receive the bytes.

    Args:
        socket_timeout: seconds without any byte after which a link that waits for replies is given up. None: never.
        outdated: called at times while the link is busy. If it returns True, the link retires.
        health_check_interval: seconds for which it may be idle before a PING has to show that it works. 0: no PING.
    """

    def __init__(
        self, socket_timeout: float | None, outdated: Callable[[], bool], health_check_interval: float
    ) -> None:
        self._loop = asyncio.get_running_loop()
        # Instead of loop.create_future, which is one more Python call.
        self._create_future: Callable[[], Future] = partial(asyncio.Future, loop=self._loop)
        self._timeout = socket_timeout
        self._outdated = outdated
        self._outbox = Outbox()
        self._in_flight: deque[Request] = deque()
        self._replies: list[Reply] = []  # so far, to the oldest request in flight
        self._taking: dict[Future, Taking] = {}  # requests that remove something
        self._room = Room()
        self._flushing = False
        self._paused = False
        self._company = 1  # requests in flight after the last write: 1 if it was alone
        self._progress = monotonic()
        self._suspected = 0.0  # the progress at the last check of the deadline
        self._interval = health_check_interval
        self._ping: Request | None = None  # the PING that is in flight
        self._timer: asyncio.TimerHandle | None = None
        self._due = 0.0  # when the timer fires, or fired
        self._disowned = False
        self._lost: BaseException | None = None
        self._gate = Gate(self._outbox)
        self.ready = True
        self.is_open = True
        self.traffic = Traffic()

    # --- for subclasses to implement --------------------------------------------------------------

    @abstractmethod
    def _transmit(self, data: bytes) -> None:
        """Write ``data``. It may call ``pause_writing`` before it returns."""

    @abstractmethod
    def _writable(self) -> bool:
        """Whether bytes that are transmitted now can be sent at all."""

    @abstractmethod
    def _hang_up(self) -> None:
        """Close the connection at once, without sending the rest. Then call ``abort`` again. May be called twice."""

    @abstractmethod
    async def aclose(self) -> None:
        """See ``Link.aclose``."""

    # --- requests -----------------------------------------------------------------------------------

    def request(self, packed: Packed) -> Future:
        """See ``Link.request``."""
        future = self._create_future()
        if self._lost is not None:
            future.set_exception(LinkLost(self._lost, sent=False))
            return future
        payload, wanted = packed
        try:
            request: Request
            if wanted == 1:
                request = future
            elif wanted < 0:
                request = Loose((future, -wanted))
            elif self._gate.lets_in(future):
                request = (future, wanted)
            else:
                self._admit()  # its caller may have waited for room, and does not need it now
                return future
            outbox = self._outbox
            outbox.payloads.append(payload)
            outbox.requests.append(request)
            outbox.size += len(payload)
            if outbox.size > OUTBOX:
                self.ready = False
            if not self._flushing:
                if self._company == 1 and not self._in_flight:
                    self._flush()
                else:
                    self._flushing = True  # the same as _call_flush, without the call
                    self._loop.call_soon(self._flush)
                    self._loop.call_soon(self._flush)
            elif len(outbox.requests) >= _EARLY:
                self._flush()
                self._flushing = True  # the flush at the end of the iteration is still to come
        except BaseException as error:
            future.cancel()  # its caller receives the exception itself
            self._give_up(error)
            raise
        return future

    async def take(self, packed: Packed, leave: Leave) -> list[Reply]:
        """See ``Link.take``."""
        future = self.request(packed)
        taking = self._taking[future] = Taking()
        try:
            return await future
        except BaseException:
            future.cancel()  # it is not cancelled yet if the caller's coroutine was closed
            if future.cancelled():
                taking.tell(leave())
            elif future.exception() is None:  # the reply came in the moment of the cancellation
                leave()(future.result())
            raise
        finally:
            if not future.cancelled():
                self._taking.pop(future, None)

    async def room(self, size: int) -> None:
        """See ``Link.room``."""
        if self._lost is not None:
            raise LinkLost(self._lost, sent=False)
        try:
            await self._room.wait(size, self._admit)
        except (asyncio.CancelledError, LinkLost, GeneratorExit):
            raise
        except BaseException as error:
            self._give_up(error)
            raise

    def _admit(self) -> None:
        """Let callers that wait for room continue, as far as there is room."""
        room, queued = self._room, self._outbox.size
        while room and queued + room.reserved < OUTBOX:
            room.grant()
        self.ready = self.is_open and not room and not room.reserved and queued < OUTBOX

    def _call_flush(self) -> None:
        self._flushing = True
        # Twice: a Ctrl-C between the loop and the first line of the callback loses one of them, and without the other
        # the requests in the outbox would wait for ever.
        self._loop.call_soon(self._flush)
        self._loop.call_soon(self._flush)

    def _flush(self) -> None:
        """Send the requests in the outbox, as far as the limits allow."""
        try:
            self._flushing = False
            in_flight = self._in_flight
            batch = 0
            outbox, gate = self._outbox, self._gate
            while outbox.requests and not self._paused and len(in_flight) < IN_FLIGHT:
                if not self._writable():
                    self.abort(Ended("The connection was closed."))
                    return
                most = IN_FLIGHT - len(in_flight)
                if self._interval and not self._is_well():
                    break
                if gate.holding and not (most := min(most, gate.before_transactions())):
                    break
                if not in_flight:
                    self._progress = now = monotonic()  # no reply was due until now
                    if self._due < now:
                        self._watch(self._timeout or _TICK)
                asks = outbox.requests[0] is gate.question
                payloads = outbox.take(most, in_flight, self._drop)
                if payloads:
                    batch += len(payloads) - asks
                    self._transmit(b"".join(payloads) if len(payloads) > 1 else payloads[0])
            if batch:
                self._company = len(in_flight) - (in_flight[0] is gate.question)
                self.traffic.count(batch)
            if outbox.is_crowded:
                outbox.sweep(self._drop)
            if not self.ready:
                self._admit()
        except BaseException as error:
            self._give_up(error)
            raise

    def _is_well(self) -> bool:
        """Whether the server has answered lately, or no check is due. If not, a PING is in flight."""
        now = monotonic()
        if self._ping is None and not self._in_flight and now - self._progress > self._interval:
            nobody = self._create_future()
            nobody.set_result([])  # no caller waits for it: _deliver handles the answer
            self._ping = Loose((nobody, 1))
            self._in_flight.append(self._ping)
            self._progress = now
            self._watch(self._timeout or _TICK)
            self._transmit(PING)
        return self._ping is None

    def pause_writing(self) -> None:
        """The socket takes no more for now."""
        self._paused = True

    def resume_writing(self) -> None:
        """The socket takes bytes again."""
        self._paused = False
        self._flush_soon()

    def _flush_soon(self) -> None:
        if self._outbox and not self._flushing and self._lost is None:
            self._call_flush()

    # --- replies --------------------------------------------------------------------------------------

    def _deliver(self, reply: Reply) -> None:
        """Hand a reply to the oldest request in flight."""
        in_flight = self._in_flight
        if not in_flight:
            self.abort(ConnectionError(f"the server sent a reply without a request: {shown(reply)}"))
            return
        request = in_flight[0]
        future, wanted = request if isinstance(request, tuple) else (request, 1)
        replies = self._replies
        replies.append(reply)
        if len(replies) == wanted:
            if not future.done():
                future.set_result(replies)
            else:
                self._drop(future, replies)
            in_flight.popleft()
            self._replies = []
            if request is self._ping:  # any reply shows that the server answers
                self._ping = None
            asked = request is self._gate.question
            if asked or (isinstance(reply, Exception) and type(request) is tuple):
                self._learn(replies, asked=asked)

    def _drop(self, future: Future, replies: list[Reply] | None = None) -> None:
        """Drop replies whose caller has left. Those with elements that must not get lost go to their ``Taking``.

        Args:
            replies: the replies, or None if none will come.
        """
        taking = self._taking.pop(future, None)
        if taking is not None:
            taking.end(replies)

    def _delivered(self) -> None:
        """Send more if there is room in flight. Called after each piece of input."""
        self._progress = monotonic()
        if not self._in_flight:
            if not self.is_open and not self._outbox:
                self.abort(Ended("the connection was replaced"))
            elif self._outbox:
                self._flush_soon()
        elif self._outbox and len(self._in_flight) < IN_FLIGHT // 2:
            self._flush_soon()

    # --- transactions ---------------------------------------------------------------------------------

    def permit(self, permission: Permission) -> None:
        """See ``Link.permit``."""
        if self._lost is not None:
            return
        try:
            if self._gate.permit(permission):
                self._flush()
        except BaseException as error:
            self._give_up(error)
            raise

    def _learn(self, replies: list[Reply], *, asked: bool) -> None:
        """Handle the replies to a transaction that was not executed, or the answer to the question."""
        verdict = self._gate.learn(replies, asked=asked)
        if verdict.error is not None:
            self._admit()
        if verdict.stuck:
            if asked:  # only single commands came after it, and the server has executed none of them
                self._outbox.requests[:0] = self._in_flight
                self._in_flight.clear()
            self.abort(
                ConnectionError(f"the server has begun a transaction and refuses to end it: {said(verdict.error)}")
            )

    # --- the deadline ---------------------------------------------------------------------------------

    def _watch(self, seconds: float) -> None:
        if self._timer is not None:
            self._timer.cancel()
        self._timer = self._loop.call_later(seconds, self._check)
        self._due = monotonic() + seconds

    def _check(self) -> None:
        if not self._in_flight and not self._outbox:
            if self.is_open and self._outdated():
                self.retire()
            return  # the next flush starts the timer again
        left = _TICK if self._timeout is None else self._progress + self._timeout - monotonic()
        suspected, self._suspected = self._suspected, self._progress
        silent = left <= 0 and suspected == self._progress
        # First, because an exception in the lines below must not leave the link without its timer.
        self._watch(left if left > 0 else _AGAIN if silent else LOOK_AGAIN)
        self._outbox.sweep(self._drop)
        if not self._writable():
            self.abort(Ended("The connection was closed."))
        elif not self._in_flight:  # every request that was sent is answered, so no reply is due
            self._paused = False
            self._flush()
        elif silent:
            self.abort(TimeoutError(f"no reply for {self._timeout:g} s (socket_timeout)"))
        elif self.is_open and self._outdated():
            self.retire()

    # --- the end --------------------------------------------------------------------------------------

    def retire(self) -> None:
        """See ``Link.retire``."""
        self.is_open = self.ready = False
        self._room.turn_away(Ended("the connection was replaced"))
        if not self._in_flight and not self._outbox:
            self.abort(Ended("the connection was replaced"))

    def abort(self, cause: BaseException) -> None:
        """See ``Link.abort``."""
        if self._disowned:
            return
        self._hang_up()  # first: this method is called again when the connection is closed
        if self._lost is None:
            self._lost = cause
            self._gate.lost(self)
        self.is_open = self.ready = False
        for request in self._in_flight:
            self._fail(future_of(request), LinkLost(self._lost, sent=True))
        for request in self._outbox.requests:
            self._fail(future_of(request), LinkLost(self._lost, sent=False))
        self._room.turn_away(self._lost)
        self._forget_all()
        if self._timer is not None:
            self._timer.cancel()

    def _give_up(self, error: BaseException) -> None:
        """Abort, because ``error`` came in the middle of a step: queues and bytes may not match each other any more."""
        self.abort(
            ConnectionError(f"The connection was closed because {quoted(error)} was raised while it was in use.")
        )

    def disown(self) -> None:
        """See ``Link.disown``."""
        self._leave("this process is a fork")

    @abstractmethod
    def drop(self) -> None:
        """See ``Link.drop``."""

    def _leave(self, reason: str) -> None:
        """Use neither the loop nor the connection any more."""
        self._disowned = True
        self._lost = Ended(reason)
        self.is_open = self.ready = False
        self._forget_all()

    def _forget_all(self) -> None:
        self._in_flight.clear()
        self._outbox.clear()

    def _fail(self, future: Future, lost: LinkLost) -> None:
        if not future.done():
            future.set_exception(lost)
            future.exception()  # retrieved, even if an exception has ended its caller
        elif future.cancelled():
            self._drop(future)

    # --- what can be watched ----------------------------------------------------------------------------

    @property
    def in_flight(self) -> int:
        """See ``Link.in_flight``."""
        return len(self._in_flight)

    @property
    def waiting(self) -> int:
        """See ``Link.waiting``."""
        return len(self._outbox) + len(self._room)

    @property
    def connections(self) -> int:
        """See ``Link.connections``."""
        return int(self._lost is None)

    @property
    def lost_by(self) -> BaseException | None:
        """The exception that has closed it, or None while it is open."""
        return self._lost
