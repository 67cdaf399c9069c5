r"""SharedLink: one connection that many tasks use at the same time.

    caller A --\                                      /-- reply 1 --> A
    caller B ---+--> outbox --> [flush] ==> server ===--- reply 2 --> B
    caller C --/     (one write for all that came     \-- reply 3 --> C
                      during one loop iteration)   (in the order of the commands: a FIFO)

Each request has a future. A flush moves requests from the outbox to the FIFO *before* their bytes
leave, and each reply belongs to the oldest request of the FIFO. Two consequences carry the promises of
the whole library:

* a cancelled caller only cancels its future: its replies are still read, in order, and dropped, so a
  late reply can never answer another call;
* when the connection is lost, what is in the outbox provably never left (``LinkLost.sent`` is False)
  and may be sent again; what is in the FIFO may or may not have been executed.

When is a flush? Once in a loop iteration, after all tasks that are ready have issued their commands: that
makes ``gather`` a pipeline. There are two exceptions. A caller that is alone would pay a loop iteration for
nothing, so on an idle link after which nobody else came last time the write is made at once. And when fifty
requests have come together they go, so that the server works on them while the next are being issued.

What bounds memory: no flush while the socket does not take more (``pause_writing``), at most ``IN_FLIGHT``
requests that wait for replies, and at most about ``OUTBOX`` bytes of requests that wait to be sent.
Callers beyond that wait in ``room``, in their order, with nothing packed.

What bounds time: one timer for the link, not one for each command. If replies are due and nothing at all
came for the client's ``socket_timeout``, the link is given up, after a second look: the loop may have been held up
and not have read what came (see ``deadlines``). The timer also asks whether the
connection should be replaced (new credentials, a server that is about to move).

A transaction stays in the outbox, and what came after it as well, until the server has said that it executes
transactions; see ``gate``.

What is known of a connection that has been idle: nothing, if a firewall has dropped it silently. With the client's
``health_check_interval`` a link that was idle for longer is asked first (PING), and nothing leaves the outbox before
the answer. If there is none, the link is lost with nothing sent, so every call is sent on the next one.

What an exception leaves behind: nothing. A Ctrl-C or a MemoryError can come between any two lines, also where the
outbox, the FIFO and the bytes on the wire do not fit each other. So whatever escapes from a step of the link aborts
the link, and is raised as well. Three rules make that complete:

* a request is in the outbox or in the FIFO at every moment, and leaves the FIFO after its caller was told;
* ``abort`` hangs up first, and can be called again: the second call does what an exception kept the first from doing;
* a callback of the loop that may be lost before its first line (``_flush``, ``_check``) is made good by another one.

Commands that block on the server, subscribe, or change the connection's state never go here.
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

_EARLY = 50  # requests after which a write is not put off any longer
_TICK = 5.0  # seconds between two looks at a busy connection that has no socket_timeout
_AGAIN = 1.0  # seconds after which an abort is begun again that an exception kept from its end


class SharedLink(ABC):
    """The queues, the deadline and the limits; how bytes come and go is for subclasses.

    Args:
        socket_timeout: seconds without any byte after which a link that owes replies is given up; None: never.
        outdated: asked now and then while the link is busy; True retires it.
        health_check_interval: seconds for which it may be idle and still be trusted; 0: for ever.
    """

    def __init__(
        self, socket_timeout: float | None, outdated: Callable[[], bool], health_check_interval: float
    ) -> None:
        self._loop = asyncio.get_running_loop()
        # In place of loop.create_future, which is one more call of Python.
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
        self._company = 1  # requests in flight after the last write: was it alone?
        self._progress = monotonic()
        self._suspected = 0.0  # the progress after which the deadline was over when it was last looked at
        self._interval = health_check_interval
        self._ping: Request | None = None  # on its way
        self._timer: asyncio.TimerHandle | None = None
        self._due = 0.0  # when the timer fires, or fired
        self._disowned = False
        self._lost: BaseException | None = None
        self._gate = Gate(self._outbox)
        self.ready = True
        self.is_open = True
        self.traffic = Traffic()

    # --- what subclasses know how to do -----------------------------------------------------------

    @abstractmethod
    def _transmit(self, data: bytes) -> None:
        """Write ``data``; may call ``pause_writing`` before it returns."""

    @abstractmethod
    def _writable(self) -> bool:
        """Whether bytes that are transmitted now can leave at all."""

    @abstractmethod
    def _hang_up(self) -> None:
        """Close the connection, at once, what was not sent included; then call ``abort`` again. May be called twice."""

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
                self._admit()  # it may have waited for room, and does not need it now
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
                    self._flushing = True  # as _call_flush does it, without the call
                    self._loop.call_soon(self._flush)
                    self._loop.call_soon(self._flush)
            elif len(outbox.requests) >= _EARLY:
                self._flush()
                self._flushing = True  # that of the end of the iteration is still to come
        except BaseException as error:
            future.cancel()  # its caller is told by the exception itself
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
            future.cancel()  # the caller may be gone in another way: its coroutine was closed
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
        """Let those who wait for room go on, as far as there is some."""
        room, queued = self._room, self._outbox.size
        while room and queued + room.reserved < OUTBOX:
            room.grant()
        self.ready = self.is_open and not room and not room.reserved and queued < OUTBOX

    def _call_flush(self) -> None:
        self._flushing = True
        # Twice: a Ctrl-C between the loop and the first line of the callback loses one of them, and without the other
        # what is in the outbox would wait for ever.
        self._loop.call_soon(self._flush)
        self._loop.call_soon(self._flush)

    def _flush(self) -> None:
        """Send what is in the outbox, as far as the limits allow."""
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
                    self._progress = now = monotonic()  # nothing was due until now
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
        """Whether the server has answered lately, or nothing is known against it; otherwise it is being asked."""
        now = monotonic()
        if self._ping is None and not self._in_flight and now - self._progress > self._interval:
            nobody = self._create_future()
            nobody.set_result([])  # the answer is looked at when it is delivered
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
            self.abort(ConnectionError(f"the server sent a reply that nobody asked for: {shown(reply)}"))
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
            if request is self._ping:  # whatever it is: the server is there
                self._ping = None
            asked = request is self._gate.question
            if asked or (isinstance(reply, Exception) and type(request) is tuple):
                self._learn(replies, asked=asked)

    def _drop(self, future: Future, replies: list[Reply] | None = None) -> None:
        """What becomes of replies whose caller is gone: nothing, unless they carry what must not get lost.

        Args:
            replies: None if there will be none.
        """
        taking = self._taking.pop(future, None)
        if taking is not None:
            taking.end(replies)

    def _delivered(self) -> None:
        """To be called after each piece of input: there may be room for more in flight now."""
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
        """Draw the consequences of a transaction that was not executed, or of the answer to the question."""
        verdict = self._gate.learn(replies, asked=asked)
        if verdict.error is not None:
            self._admit()
        if verdict.stuck:
            if asked:  # only single commands came after it, and the server has executed none of them
                self._outbox.requests[:0] = self._in_flight
                self._in_flight.clear()
            self.abort(
                ConnectionError(f"the server does not end a transaction that it has begun: {said(verdict.error)}")
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
        # First of all, because an exception in what follows must not leave the link without its timer.
        self._watch(left if left > 0 else _AGAIN if silent else LOOK_AGAIN)
        self._outbox.sweep(self._drop)
        if not self._writable():
            self.abort(Ended("The connection was closed."))
        elif not self._in_flight:  # all that was sent is answered, so there is nothing to wait for
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
        self._hang_up()  # first: when the connection is closed, this is called again
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
        """Abort, because ``error`` came in the middle of a step: queues and bytes may not fit each other any more."""
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
        """Touch neither the loop nor the connection any more."""
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
        """What has closed it; None while it is open."""
        return self._lost
