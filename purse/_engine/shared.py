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
transactions; see ``transactions``.

What is known of a connection that has been idle: nothing, if a firewall has dropped it silently. With the client's
``health_check_interval`` a link that was idle for longer is asked first (PING), and nothing leaves the outbox before
the answer. If there is none, the link is lost with nothing sent, so every call is sent on the next one.

What an exception leaves behind: nothing. A Ctrl-C or a MemoryError can come between any two lines, also where the
outbox, the FIFO and the bytes on the wire do not fit each other. So whatever escapes from a step of the link aborts
the link, and is raised as well. Three rules make that complete:

* a request is in the outbox or in the FIFO at every moment, and leaves the FIFO after its caller was told;
* ``abort`` hangs up first, and can be called again: the second call does what an exception kept the first from doing;
* a callback of the loop that may be lost before its first line (``_flush``, ``_look``) is made good by another one.

Commands that block on the server, subscribe, or change the connection's state never go here.
"""

from __future__ import annotations

import asyncio
import operator
from abc import ABC, abstractmethod
from collections import OrderedDict, deque
from collections.abc import Callable
from functools import partial
from itertools import accumulate, compress, islice
from time import monotonic
from typing import TypeAlias, cast

from redis.exceptions import ConnectionError, RedisError, TimeoutError

from purse._engine.deadlines import LOOK_AGAIN
from purse._engine.link import Ended, Leave, LinkLost, Traffic
from purse._engine.packing import PING, Packed
from purse._engine.replies import Reply
from purse._engine.transactions import QUESTION, Permission, annotate, judge, told
from purse.codecs._shown import quoted, said, shown

__all__ = ["SharedLink"]

IN_FLIGHT = 8192
"""Requests that may wait for their replies at a time."""

OUTBOX = 4 * 2**20
"""Bytes of requests that may wait to be sent; a single larger request is let through alone."""

_EARLY = 50  # requests after which a write is not put off any longer
_CHUNK = 256 * 2**10  # bytes joined into one write; the socket says after each whether it takes more
_CROWDED = 128  # requests that are never too many for the outbox
_TICK = 5.0  # seconds between two looks at a busy connection that has no socket_timeout
_AGAIN = 1.0  # seconds after which an abort is begun again that an exception kept from its end

Future = asyncio.Future[list[Reply]]

# Who waits for how many replies; for a single one the bare future. At a thousand calls in flight each
# further object for each of them is one more that the garbage collector visits again and again.
Request: TypeAlias = "Future | tuple[Future, int]"


class _Loose(tuple[Future, int]):
    """A request of commands that are not a transaction."""

    __slots__ = ()


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
        self._payloads: list[bytes] = []  # the outbox: bytes to send ...
        self._outbox: list[Request] = []  # ... and, beside each, who waits for what they bring
        self._in_flight: deque[Request] = deque()
        self._replies: list[Reply] = []  # so far, to the oldest request in flight
        self._taking: dict[Future, _Taking] = {}  # requests that remove something
        self._queued = 0  # bytes in the outbox
        self._crowded = _CROWDED  # requests in the outbox at which it is swept
        self._room: OrderedDict[asyncio.Future[None], int] = OrderedDict()
        self._reserved = 0  # bytes of callers that were told there is room and have not used it yet
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
        self._permission = Permission()
        self._transacts = False  # the server has said here that it executes transactions
        self._question: Request | None = None  # on its way
        self._holding = False  # a transaction is in the outbox, and waits for the answer
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
                request = _Loose((future, -wanted))
            elif self._transacts or self._awaits_answer(future):
                request = (future, wanted)
            else:
                return future
            self._payloads.append(payload)
            self._outbox.append(request)
            self._queued += len(payload)
            if self._queued > OUTBOX:
                self.ready = False
            if not self._flushing:
                if self._company == 1 and not self._in_flight:
                    self._flush()
                else:
                    self._flushing = True  # as _call_flush does it, without the call
                    self._loop.call_soon(self._flush)
                    self._loop.call_soon(self._flush)
            elif len(self._outbox) >= _EARLY:
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
        taking = self._taking[future] = _Taking()
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
        granted: asyncio.Future[None] = self._loop.create_future()
        try:
            self._room[granted] = size
            self._admit()  # there may be room by now
            await granted
            self._reserved -= size  # the request that follows at once counts itself ...
            self._loop.call_soon(self._admit)  # ... unless something keeps it from following
        except asyncio.CancelledError:
            if not granted.cancelled() and granted.exception() is None:
                self._reserved -= size
                self._admit()
            raise
        except (LinkLost, GeneratorExit):
            raise
        except BaseException as error:
            self._give_up(error)
            raise
        finally:
            if granted.done():  # or else its coroutine was closed, and the task that runs it has to be woken
                self._room.pop(granted, None)

    def _admit(self) -> None:
        """Let those who wait for room go on, as far as there is some."""
        while self._room and self._queued + self._reserved < OUTBOX:
            granted = next(iter(self._room))
            if not granted.done():
                self._reserved += self._room[granted]
                granted.set_result(None)
            self._room.pop(granted, None)
        self.ready = self.is_open and not self._room and not self._reserved and self._queued < OUTBOX

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
            while self._outbox and not self._paused and len(in_flight) < IN_FLIGHT:
                if not self._writable():
                    self.abort(Ended("The connection was closed."))
                    return
                most = IN_FLIGHT - len(in_flight)
                if self._interval and not self._is_well():
                    break
                if self._holding and not (most := min(most, self._before_transactions())):
                    break
                if not in_flight:
                    self._progress = now = monotonic()  # nothing was due until now
                    if self._due < now:
                        self._watch(self._timeout or _TICK)
                asks = self._outbox[0] is self._question
                payloads = self._take_from_outbox(most)
                if payloads:
                    batch += len(payloads) - asks
                    self._transmit(b"".join(payloads) if len(payloads) > 1 else payloads[0])
            if batch:
                self._company = len(in_flight) - (in_flight[0] is self._question)
                self.traffic.count(batch)
            if len(self._outbox) >= self._crowded:  # it does not get shorter by itself
                self._sweep()
            if not self.ready:
                self._admit()
        except BaseException as error:
            self._give_up(error)
            raise

    def _sweep(self) -> None:
        """Drop what was cancelled while nothing could be sent."""
        kept = [not _future_of(request).cancelled() for request in self._outbox]
        for request in compress(self._outbox, map(operator.not_, kept)):
            self._drop(_future_of(request), None)
        self._keep(kept)
        self._crowded = max(_CROWDED, 2 * len(self._outbox))

    def _keep(self, kept: list[bool]) -> None:
        """Leave only these requests in the outbox."""
        self._payloads, self._outbox = [*compress(self._payloads, kept)], [*compress(self._outbox, kept)]
        self._queued = sum(map(len, self._payloads))

    def _is_well(self) -> bool:
        """Whether the server has answered lately, or nothing is known against it; otherwise it is being asked."""
        now = monotonic()
        if self._ping is None and not self._in_flight and now - self._progress > self._interval:
            nobody = self._create_future()
            nobody.set_result([])  # the answer is looked at when it is delivered
            self._ping = _Loose((nobody, 1))
            self._in_flight.append(self._ping)
            self._progress = now
            self._watch(self._timeout or _TICK)
            self._transmit(PING)
        return self._ping is None

    def _take_from_outbox(self, most: int) -> list[bytes]:
        """Move the next chunk from the outbox to the FIFO; what was cancelled before is dropped, it never happened.

        Returns:
            What to transmit for it.
        """
        payloads, requests = self._payloads, self._outbox
        later: tuple[list[bytes], list[Request], int] | None = None
        if self._queued > _CHUNK or len(requests) > most:  # not all of it
            sizes = accumulate(map(len, islice(payloads, most)))
            count, size = next(((n, size) for n, size in enumerate(sizes, 1) if size >= _CHUNK), (most, 0))
            later = payloads[count:], requests[count:], self._queued - (size or sum(map(len, payloads[:count])))
            payloads, requests = payloads[:count], requests[:count]
        # A loop, not any(...): this is passed for every request.
        for request in requests:
            if (request[0] if isinstance(request, tuple) else request).cancelled():
                kept = [not _future_of(request).cancelled() for request in requests]
                for request in compress(requests, map(operator.not_, kept)):
                    self._drop(_future_of(request), None)
                payloads, requests = [*compress(payloads, kept)], [*compress(requests, kept)]
                break
        self._in_flight += requests  # before they leave the outbox, so that an abort finds each of them
        self._payloads, self._outbox, self._queued = later or ([], [], 0)
        return payloads

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
            if request is self._question or (isinstance(reply, Exception) and type(request) is tuple):
                self._learn(replies, asked=request is self._question)

    def _drop(self, future: Future | asyncio.Future[None], replies: list[Reply] | None) -> None:
        """What becomes of replies whose caller is gone: nothing, unless they carry what must not get lost.

        Args:
            replies: None if there will be none.
        """
        taking = self._taking.pop(cast("Future", future), None)
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
        self._permission = permission
        if self._lost is not None or not permission.eager:
            return
        try:
            self._ask()
            self._flush()
        except BaseException as error:
            self._give_up(error)
            raise

    def _ask(self) -> None:
        """Put the question in front of all that waits to be sent."""
        nobody = self._create_future()
        nobody.set_result([])  # nobody waits for it: the answer is looked at when it is delivered
        self._question = (nobody, QUESTION[1])
        self._outbox.insert(0, self._question)
        self._payloads.insert(0, QUESTION[0])
        self._queued += len(QUESTION[0])

    def _awaits_answer(self, future: Future) -> bool:
        """Whether a transaction may join the outbox; otherwise ``future`` has its answer."""
        if self._question is None:
            refusal = self._permission.refusal()
            if refusal is not None:
                future.set_result([refusal])
                self._admit()  # it may have waited for room, and does not need it now
                return False
            self._ask()
        self._holding = True
        return True

    def _before_transactions(self) -> int:
        """How many requests of the outbox may go before the answer is there."""
        held = (n for n, request in enumerate(self._outbox) if self._is_transaction(request))
        return next(held, len(self._outbox))

    def _is_transaction(self, request: Request) -> bool:
        return type(request) is tuple and request is not self._question

    def _learn(self, replies: list[Reply], *, asked: bool) -> None:
        """Draw the consequences of a transaction that was not executed, or of the answer to the question."""
        verdict = judge(replies)
        if verdict.refused and verdict.error is not None:
            self._permission.refuse(verdict.error)
        if asked:
            self._question = None
            self._holding = False
            self._transacts = verdict.error is None
            if verdict.error is None:
                self._permission.allow()
        else:
            annotate(replies, verdict)
            self._transacts = self._transacts and not verdict.refused
        if verdict.error is not None and (asked or verdict.refused):
            self._turn_away_transactions(verdict.error)
        if verdict.stuck:
            if asked:  # only single commands came after it, and the server has executed none of them
                self._outbox[:0] = self._in_flight
                self._in_flight.clear()
            self.abort(
                ConnectionError(f"the server does not end a transaction that it has begun: {said(verdict.error)}")
            )

    def _turn_away_transactions(self, error: RedisError) -> None:
        """Answer the transactions in the outbox: they are not sent."""
        kept = [not self._is_transaction(request) for request in self._outbox]
        for request, stays in zip(self._outbox, kept, strict=True):
            if not stays and not _future_of(request).done():
                _future_of(request).set_result([told(error)])
        self._keep(kept)
        self._admit()

    # --- the deadline ---------------------------------------------------------------------------------

    def _watch(self, seconds: float) -> None:
        if self._timer is not None:
            self._timer.cancel()
        self._timer = self._loop.call_later(seconds, self._look)
        self._due = monotonic() + seconds

    def _look(self) -> None:
        if not self._in_flight and not self._outbox:
            if self.is_open and self._outdated():
                self.retire()
            return  # the next flush starts the timer again
        left = _TICK if self._timeout is None else self._progress + self._timeout - monotonic()
        suspected, self._suspected = self._suspected, self._progress
        silent = left <= 0 and suspected == self._progress
        # First of all, because an exception in what follows must not leave the link without its timer.
        self._watch(left if left > 0 else _AGAIN if silent else LOOK_AGAIN)
        self._sweep()
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
        self._turn_away(Ended("the connection was replaced"))
        if not self._in_flight and not self._outbox:
            self.abort(Ended("the connection was replaced"))

    def abort(self, cause: BaseException) -> None:
        """See ``Link.abort``."""
        if self._disowned:
            return
        self._hang_up()  # first: when the connection is closed, this is called again
        if self._lost is None:
            self._lost = cause
            if self._question is not None:
                self._permission.lost()
        self.is_open = self.ready = False
        for request in self._in_flight:
            self._fail(_future_of(request), LinkLost(self._lost, sent=True))
        for request in self._outbox:
            self._fail(_future_of(request), LinkLost(self._lost, sent=False))
        self._turn_away(self._lost)
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
        self._payloads.clear()
        self._queued = 0

    def _turn_away(self, cause: BaseException) -> None:
        while self._room:
            granted = next(iter(self._room))
            self._fail(granted, LinkLost(cause, sent=False))
            self._room.pop(granted, None)

    def _fail(self, future: Future | asyncio.Future[None], lost: LinkLost) -> None:
        if not future.done():
            future.set_exception(lost)
            future.exception()  # retrieved, even if an exception has ended its caller
        elif future.cancelled():
            self._drop(future, None)

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


class _Taking:
    """What becomes of the replies to a request that removes something, if its caller is cancelled."""

    __slots__ = ("_arrived", "_over", "_replies")

    def __init__(self) -> None:
        self._replies: list[Reply] | None = None
        self._over = False
        self._arrived: Callable[[list[Reply] | None], None] | None = None

    def tell(self, arrived: Callable[[list[Reply] | None], None]) -> None:
        """Have ``arrived`` called with the replies, at once if they have come by now."""
        self._arrived = arrived
        if self._over:
            arrived(self._replies)

    def end(self, replies: list[Reply] | None) -> None:
        """The replies have come, or None if there will be none."""
        self._replies, self._over = replies, True
        if self._arrived is not None:
            self._arrived(replies)


def _future_of(request: Request) -> Future:
    return request[0] if isinstance(request, tuple) else request
