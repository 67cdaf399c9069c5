r"""Line: callers that wait for elements of one key, in the order in which they came, and elements to put back.

    get() --\                                   wait for a change of the key (wakeups)
    get() ---+--> waiters ==> [one task] <====>
    get() --/                     |             take as many elements as there are waiters, without blocking
                                  |
    cancelled get, pop, ... --> hand ==> the next waiter, or back to where it was

There is one task for each key with waiting callers, on the connection that all calls share: ten thousand waiting
callers cost ten thousand futures. No element is taken unless a caller waits for it. If a caller is cancelled while an
element is on its way, the next caller receives the element: the task that takes is detached from every caller, and
neither a cancelled caller nor the end of ``asyncio.run`` cancels it with a request in flight.

The *hand* contains elements that were removed from Redis and have no caller. They go to the next caller that waits. If
there is none, they are put back where they were, before any other is taken. If the server refuses to take them back
(out of memory, read-only, a key of another type), they stay in the hand, are given to the next caller that comes, and
are offered to the server again with growing pauses. If the store or the event loop ends and the last offer is refused
as well, their bytes are logged.

Calls that take without waiting (``pop``, ``get_nowait``) need a line only if they are cancelled with the reply on its
way: the line expects that reply, and its elements go to the hand. Replies that are expected together go back
together, so that their order is kept.

Callers that wait for room stand in the same line, at its other end. See ``bringing``.

An element that was taken and not delivered yet is lost only if the process is killed or the connection breaks in that
moment.
"""

from __future__ import annotations

import asyncio
import copy
import logging
from collections import OrderedDict, deque
from collections.abc import Awaitable, Callable, Sequence
from datetime import timedelta
from typing import Generic, Protocol, TypeVar, cast

from redis.exceptions import AuthenticationError, ConnectionError, RedisError
from redis.exceptions import TimeoutError as ServerTimeout

from purse._engine.bringing import Bringers, check_open
from purse._engine.connecting import pause
from purse._engine.detached import detached
from purse._engine.link import reply_was_lost
from purse._engine.replies import Reply
from purse._engine.unit import Unit
from purse._engine.wakeups import Look, Wakeups
from purse.codecs._shown import named, quoted, said, shown
from purse.errors import StoreClosed

__all__ = ["Executes", "Line", "NothingCame"]

E = TypeVar("E")
T = TypeVar("T")

_log = logging.getLogger("purse")
BATCH = 1000
"""Elements that are taken at a time."""

_LAST_OFFERS = 3  # how often refused elements are offered again when the loop or the store ends
_OUTAGE = 0.5  # seconds between two attempts to reach a server that is away: each attempt takes about a second
_FIRST_PAUSE, _LAST_PAUSE = 0.02, 5.0  # seconds between two offers of elements that the server does not take back


class Executes(Protocol):
    """The part of an executor that a line uses."""

    async def execute(self, unit: Unit[T], /) -> T:
        """See ``Executor.execute``."""
        ...


class NothingCame(Exception):
    """No element came in time.

    Attributes:
        seconds: the time limit.
    """

    def __init__(self, seconds: float) -> None:
        super().__init__(seconds)
        self.seconds = seconds


class _Waiter(Generic[E]):
    """A waiting caller, and the element for it.

    The element is not the result of the future, because it may go to another caller until this one runs again.
    """

    __slots__ = ("element", "told")

    def __init__(self, told: asyncio.Future[None]) -> None:
        self.told = told
        self.element: E  # set when the future is done


class Line(Generic[E]):
    """The callers of one client and event loop that wait for elements of one key, and those that wait for room.

    Args:
        executor: sends the units that take elements and put them back.
        wakeups: reports when the key has changed.
        key: the key.
        take: makes the unit that removes and returns at most so many elements. None if no caller waits for an element.
        put_back: makes the unit that puts elements back where they were, in their order.
    """

    def __init__(
        self,
        executor: Executes,
        wakeups: Wakeups,
        key: str,
        take: Callable[[int], Unit[list[E]]] | None,
        put_back: Callable[[list[E]], Unit[object]],
    ) -> None:
        self._executor = executor
        self._wakeups = wakeups
        self._key = key
        self._take = take
        self._put_back = put_back
        # Callers remove themselves, at any position: it contains no caller that has left, and its length is exact.
        self._waiters: OrderedDict[_Waiter[E], None] = OrderedDict()
        self._delivered: deque[_Waiter[E]] = deque()  # have an element, and do not run again yet
        self._hand: deque[E] = deque()  # taken, and without a caller
        self._expected: set[object] = set()  # replies to calls that were cancelled after they had been sent
        self._outage: Exception | None = None  # why the server could not be reached the last time
        self._refused = 0  # how often in a row the server did not take the hand back
        self._task: asyncio.Task[None] | None = None
        self._stirred: asyncio.Future[None] | None = None  # ends a pause of the task
        self._offering = False  # elements are on their way back
        self._offered: asyncio.Future[Exception | None] | None = (
            None  # done when the elements that are in the hand now have been offered
        )
        self._bringers = Bringers(key, wakeups)
        self.idle: bool = False  # no request is under way: the task waits for a change of the key
        self._closed = False
        self._hurried = False  # the loop or the store ends: only a few more offers are made
        self._over = False  # it has ended

    def __len__(self) -> int:
        """How many callers wait."""
        return len(self._waiters)

    async def get(self) -> E:
        """Wait for an element, without limit. It is removed from Redis, and no other caller receives it.

        Cancelling it at any moment loses no element and keeps the order of the other callers. If a server that could be
        reached before cannot be reached now, it keeps waiting.

        Raises:
            redis.exceptions.RedisError: the server refused, or could never be reached, or the connection was lost
                when an element may have been taken.
            StoreClosed: after ``close``.
        """
        check_open(closed=self._closed)
        mine: _Waiter[E] = _Waiter(asyncio.get_running_loop().create_future())
        self._waiters[mine] = None
        if self._hand:
            # Not at once: callers in ``_delivered`` have earlier elements, and should run first.
            asyncio.get_running_loop().call_soon(self._go_on)
        else:
            self._go_on()
        try:
            await mine.told
        except BaseException:  # it was cancelled, or received an error, or its coroutine was closed
            self._waiters.pop(mine, None)
            mine.told.cancel()
            if not mine.told.cancelled() and mine.told.exception() is None:  # delivered in this very moment
                self._pass_on(mine)
            self._go_on()
            raise
        self._delivered.remove(mine)
        return mine.element

    async def get_within(self, timeout: float | timedelta | None) -> E:
        """``get`` with a time limit.

        Args:
            timeout: seconds or a ``timedelta``. 0 and None mean no limit.

        Raises:
            NothingCame: no element came in time.
            redis.exceptions.RedisError: as ``get``, or no element came in time and the server cannot be reached.
            ValueError: ``timeout`` is negative.
        """
        seconds = timeout.total_seconds() if isinstance(timeout, timedelta) else timeout or 0
        if not seconds >= 0:  # also true for nan
            raise ValueError(f"timeout= must be 0 (for ever) or positive, not {quoted(timeout)}")
        if not seconds:
            return await self.get()
        limit = asyncio.timeout(seconds)
        try:
            async with limit:
                return await self.get()
        except TimeoutError:
            if not limit.expired():  # the operating system has raised it, for a connection
                raise
            if self._outage is not None:
                raise copy.copy(self._outage) from None
            if self._wakeups.contact.is_lost:  # attempts to open it again are under way
                raise ConnectionError(
                    f"{named(self._key)}: no element came within {seconds} s, and the connection to the server is lost"
                ) from None
            raise NothingCame(seconds) from None

    @property
    def bringing(self) -> int:
        """How many callers wait for room."""
        return len(self._bringers)

    async def bring(self, offer: Callable[[], Awaitable[Reply]], room: Look) -> Reply:
        """See ``Bringers.bring``."""
        return await self._bringers.bring(offer, room)

    # --- what comes back ----------------------------------------------------------------------------

    def expect(self) -> Callable[[Sequence[E]], None]:
        """Note that a call that takes elements was cancelled, and that its reply is on the way.

        Returns:
            A function to call with the elements of the reply, or with an empty list if there are none or it was lost.
        """
        reply = object()
        self._expected.add(reply)
        self._go_on()

        def arrive(elements: Sequence[E]) -> None:
            self._expected.discard(reply)
            self._hand.extend(elements)
            self._go_on()

        return arrive

    async def give_back(self, elements: Sequence[E]) -> Exception | None:
        """Put back elements that a call has taken and cannot use. Returns after the first offer to the server.

        If the server refuses, or this caller is cancelled, the line keeps the elements and offers them again.

        Returns:
            The error of a server that refused, or None if the elements were put back or went to other callers.
        """
        self._hand.extend(elements)
        if self._offered is None:
            self._offered = asyncio.get_running_loop().create_future()
        offered = self._offered
        self._go_on()
        await asyncio.wait((offered,))
        return offered.result()

    def close(self, error: BaseException) -> asyncio.Task[None] | None:
        """Let all waiting callers raise ``error``. Returns the task that puts back the rest, if there is one."""
        self._closed = self._bringers.closed = True
        self._fail(error)
        self._hurry()
        return self._task

    # --- the task -----------------------------------------------------------------------------------

    def _go_on(self) -> None:
        """Hand elements out, and start, stop or wake the task as needed. Called after every change."""
        if self._over:
            self._give_up()
            return
        self._hand_out()
        if self._task is None:
            if self._first_waiter() is not None or self._hand or self._expected:
                self._task = detached(self._run(), "waiting", hasten=self._hurry)
        elif self.idle and self._first_waiter() is None:
            self._task.cancel()  # no request is under way, and another task begins if there is work
        elif self._stirred is not None and not self._stirred.done():
            self._stirred.set_result(None)

    def _hurry(self) -> None:
        self._hurried = True
        self._go_on()

    async def _run(self) -> None:
        looks = 0
        over = False
        try:
            while True:
                self._hand_out()
                if self._take is not None and self._first_waiter() is not None:
                    looks = await self._take_some(self._take, looks)
                elif self._expected:
                    await self._stir(None)
                elif self._hand:
                    await self._return_hand()
                else:
                    return
        except asyncio.CancelledError:
            # While it is idle, the line cancels it. With a request under way, only the end of the loop does.
            over = not self.idle or (self._hurried and self._first_waiter() is not None)
            raise
        except GeneratorExit:  # its loop was closed
            over = True
            raise
        finally:
            self.idle = False
            self._task = None
            self._over = self._over or over
            self._go_on()  # a caller may have come while this task was being cancelled

    async def _take_some(self, take: Callable[[int], Unit[list[E]]], looks: int) -> int:
        """Take elements for waiting callers, or wait for a change of the key. Returns ``looks`` for the next time."""
        try:
            taken = await self._executor.execute(take(min(len(self._waiters), BATCH)))
        except Exception as error:
            await self._failed(error, nothing_taken=not reply_was_lost(error))
            return looks
        self._outage = None
        if taken:
            self._hand.extend(taken)
            return 0
        if self._first_waiter() is not None and not self._hand:  # all callers may have left by now
            self.idle = True
            try:
                looks = await self._wakeups.wait(self._key, looks)
            except Exception as error:
                await self._failed(error, nothing_taken=True)
            self.idle = False
        return looks

    async def _failed(self, error: Exception, *, nothing_taken: bool) -> None:
        """Keep the callers waiting during an outage. Let them raise any other error."""
        if not (nothing_taken and self._wakeups.contact.was_made and _passes(error)):
            self._fail(error)
            return
        self._outage = error
        self.idle = True
        await pause(_OUTAGE)
        self.idle = False

    async def _stir(self, seconds: float | None) -> None:
        """Wait for a change of the line, at most ``seconds``. None: without limit."""
        self._stirred = asyncio.get_running_loop().create_future()
        try:
            await asyncio.wait((self._stirred,), timeout=seconds)
        finally:
            self._stirred = None

    def _hand_out(self) -> None:
        """Give the elements in the hand to the waiting callers."""
        while self._hand and (waiter := self._first_waiter()) is not None:
            del self._waiters[waiter]
            waiter.element = self._hand.popleft()
            waiter.told.set_result(None)
            self._delivered.append(waiter)
        if not self._hand and not self._offering:
            self._tell_of_offer(None)

    def _tell_of_offer(self, refusal: Exception | None) -> None:
        offered, self._offered = self._offered, None
        if offered is not None and not offered.done():
            offered.set_result(refusal)

    def _pass_on(self, gone: _Waiter[E]) -> None:
        """Give the element of a caller that has left to the next caller, that one's to the one after it, and so on."""
        element = gone.element
        for nth in range(self._delivered.index(gone) + 1, len(self._delivered)):
            waiter = self._delivered[nth]
            waiter.element, element = element, waiter.element
        self._hand.appendleft(element)
        self._delivered.remove(gone)

    def _first_waiter(self) -> _Waiter[E] | None:
        """The first waiting caller that was not cancelled. The cancelled ones before it are dropped."""
        while (first := next(iter(self._waiters), None)) is not None and first.told.done():
            del self._waiters[first]
        return first

    async def _return_hand(self) -> None:
        """Offer the server the elements in the hand, which no caller waits for. If it refuses, pause."""
        elements = [*self._hand]
        self._hand.clear()
        self._offering = True
        try:
            await self._executor.execute(self._put_back(elements))
            self._refused = 0
        except (RedisError, StoreClosed) as error:
            if reply_was_lost(error):
                _log.error("purse: %s", self._report(elements, f"may or may not be back, because {said(error)}"))
            else:
                self._hand.extendleft(reversed(elements))
                await self._refusal(error)
        except BaseException:
            self._hand.extendleft(reversed(elements))
            raise
        finally:
            self._offering = False

    async def _refusal(self, error: Exception) -> None:
        """Keep the elements that the server did not take back, for the next caller or the next offer."""
        self._offering = False
        if self._hurried and self._refused >= _LAST_OFFERS:
            self._give_up(error)
            return
        if not self._refused and not self._hurried:
            _log.warning(
                "purse: the server does not take back %d elements that were taken from %s (%s): they are kept for the "
                "next caller, and offered again",
                len(self._hand),
                quoted(self._key),
                said(error),
            )
        self._tell_of_offer(error)
        seconds = min(_FIRST_PAUSE * 2.0 ** min(self._refused, 20), _LAST_PAUSE)
        self._refused += 1
        await self._stir(seconds)

    def _give_up(self, error: Exception | None = None) -> None:
        """Log the elements that are left in the hand, because they cannot be put back any more."""
        if self._hand:
            why = "could not be put back" + ("" if error is None else f": {said(error)}")
            _log.error("purse: %s", self._report([*self._hand], why))
            self._hand.clear()
        self._tell_of_offer(error or StoreClosed("the event loop or the store has ended"))

    def _report(self, elements: list[E], what: str) -> str:
        words = ", ".join(_shown(element) for element in elements)
        return f"{len(elements)} elements that were taken from {quoted(self._key)} {what}. They are: {words}"

    def _fail(self, error: BaseException) -> None:
        self._outage = None
        while (waiter := self._first_waiter()) is not None:
            del self._waiters[waiter]
            waiter.told.set_exception(copy.copy(error))


def _passes(error: Exception) -> bool:
    """Whether the server may be reached later, with the same settings."""
    return isinstance(error, (ConnectionError, ServerTimeout)) and not isinstance(error, AuthenticationError)


def _shown(element: object) -> str:
    """The bytes of an element, and the other values of a tuple, as text."""
    if isinstance(element, bytes):
        return shown(element, None)
    if isinstance(element, tuple):
        return f"({', '.join(map(_shown, cast('tuple[object, ...]', element)))})"
    return quoted(element)
