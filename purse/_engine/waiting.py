r"""Line: callers that wait for elements of one key, served in the order in which they came, and what must go back.

    get() --\                                   wait for a change of the key (wakeups)
    get() ---+--> waiters ==> [one task] <====>
    get() --/                     |             take as many elements as there are waiters, without blocking
                                  |
    cancelled get, pop, ... --> hand ==> the next waiter, or back to where it was

One task for each key that is waited for, on the connection that all calls share: ten thousand waiting callers
cost ten thousand futures. Nothing is taken before a caller is there to have it, and a caller that is cancelled
while an element is on its way leaves it to the next: the task that takes is detached from every caller, and neither a
cancelled caller nor the end of ``asyncio.run`` cancels it with a request in flight.

The *hand* holds elements that were removed from Redis and have no caller. They go to the next caller that waits. If
there is none, they are put back where they were, before any other is taken. If the server refuses to take them back
(out of memory, read-only, a key of another type), they stay in the hand, are given to the next caller that comes, and
are offered to the server again with growing pauses. When the store or the event loop ends and the last offer is refused
too, the log has their bytes.

Calls that take without waiting (``pop``, ``get_nowait``) need a line only if they are cancelled with the reply on its
way: the line expects that reply, and what it brings goes to the hand. Replies that are expected together go back
together, so that their order is kept.

Callers that wait for room stand in the same line, at its other end; see ``bringing``.

What can be lost is what was taken and not delivered when the process is killed or the connection breaks in that moment.
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

_LAST_OFFERS = 3  # how often they are offered when the loop or the store ends, if they were refused before
_OUTAGE = 0.5  # seconds between two attempts to reach a server that is away, each of which takes about a second
_FIRST_PAUSE, _LAST_PAUSE = 0.02, 5.0  # seconds between two offers of elements that the server does not take back


class Executes(Protocol):
    """What a line needs of an executor."""

    async def execute(self, unit: Unit[T], /) -> T:
        """See ``Executor.execute``."""
        ...


class NothingCame(Exception):
    """No element came in time.

    Attributes:
        seconds: how long was waited.
    """

    def __init__(self, seconds: float) -> None:
        super().__init__(seconds)
        self.seconds = seconds


class _Waiter(Generic[E]):
    """A caller who waits, and the element that is meant for it.

    The element is not the result of the future, because it may change hands until the caller runs again.
    """

    __slots__ = ("element", "told")

    def __init__(self, told: asyncio.Future[None]) -> None:
        self.told = told
        self.element: E  # as soon as it has been told


class Line(Generic[E]):
    """The callers of one client and event loop that wait for elements of one key, and those that wait for room.

    Args:
        executor: sends what takes elements and puts them back.
        wakeups: tells when the key has changed.
        key: the key.
        take: the unit that removes at most so many elements, and returns them; none if there are none. None where
            no caller waits for an element.
        put_back: the unit that puts elements back where they were, in their order.
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
        # Callers leave it themselves, from wherever they stand: it holds nobody who is gone, and its length is exact.
        self._waiters: OrderedDict[_Waiter[E], None] = OrderedDict()
        self._delivered: deque[_Waiter[E]] = deque()  # told, and not yet running again
        self._hand: deque[E] = deque()  # taken, and nobody's
        self._expected: set[object] = set()  # replies to calls that were cancelled after they had been sent
        self._outage: Exception | None = None  # why the server could not be reached the last time
        self._refused = 0  # how often in a row the server did not take the hand back
        self._task: asyncio.Task[None] | None = None
        self._stirred: asyncio.Future[None] | None = None  # ends a pause of the task
        self._offering = False  # elements are on their way back
        self._offered: asyncio.Future[Exception | None] | None = (
            None  # done when what is in the hand now has been offered
        )
        self._bringers = Bringers(key, wakeups)
        self.idle: bool = False  # nothing is under way: the task waits for a change of the key
        self._closed = False
        self._hurried = False  # the loop or the store ends: the next refusal is the last
        self._over = False  # it has ended

    def __len__(self) -> int:
        """How many callers wait."""
        return len(self._waiters)

    async def get(self) -> E:
        """Wait for an element, without limit; it is removed from Redis, and goes to no one else.

        Cancelling it at any moment loses no element and lets nobody overtake. While a server cannot be reached that
        could be reached before, it goes on waiting.

        Raises:
            redis.exceptions.RedisError: the server refused, or could never be reached, or the connection was lost
                when an element may have been taken.
            StoreClosed: after ``close``.
        """
        check_open(closed=self._closed)
        mine: _Waiter[E] = _Waiter(asyncio.get_running_loop().create_future())
        self._waiters[mine] = None
        if self._hand:
            # Not at once: callers that were told before, and have not run yet, hold earlier elements.
            asyncio.get_running_loop().call_soon(self._go_on)
        else:
            self._go_on()
        try:
            await mine.told
        except BaseException:  # cancelled, or told of an error, or its coroutine was closed
            self._waiters.pop(mine, None)
            mine.told.cancel()
            if not mine.told.cancelled() and mine.told.exception() is None:  # delivered in this very moment
                self._pass_on(mine)
            self._go_on()
            raise
        self._delivered.remove(mine)
        return mine.element

    async def get_within(self, timeout: float | timedelta | None) -> E:
        """``get``, for so many seconds or a ``timedelta`` at most; 0 and None are without limit.

        Raises:
            NothingCame: the time is over.
            redis.exceptions.RedisError: as ``get``; or the time is over, and the server cannot be reached.
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
            if not limit.expired():  # the operating system's, from a connection
                raise
            if self._outage is not None:
                raise copy.copy(self._outage) from None
            if self._wakeups.contact.is_lost:  # and it is being tried whether it can be opened again
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
        """A call that takes was cancelled, and its reply is on the way.

        Returns:
            To be called with what the reply brought; with nothing if it brought nothing, or was lost.
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
        """Put back what a call has taken and cannot use; returns after the first offer to the server.

        If the server refuses, or this caller is cancelled, the elements stay in the line's care.

        Returns:
            Why the server refused; None if the elements are back, or with other callers.
        """
        self._hand.extend(elements)
        if self._offered is None:
            self._offered = asyncio.get_running_loop().create_future()
        offered = self._offered
        self._go_on()
        await asyncio.wait((offered,))
        return offered.result()

    def close(self, error: BaseException) -> asyncio.Task[None] | None:
        """Tell everybody who waits that nothing will come; the task that puts back what is left, if there is one."""
        self._closed = self._bringers.closed = True
        self._fail(error)
        self._hurry()
        return self._task

    # --- the task -----------------------------------------------------------------------------------

    def _go_on(self) -> None:
        """To be called after every change: hand elements out, and see that the task has its work and only that."""
        if self._over:
            self._give_up()
            return
        self._hand_out()
        if self._task is None:
            if self._first_waiter() is not None or self._hand or self._expected:
                self._task = detached(self._run(), "waiting", hasten=self._hurry)
        elif self.idle and self._first_waiter() is None:
            self._task.cancel()  # it sends nothing now, and begins again if there is something to do
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
            # While it is idle the line cancels it. With something under way only the end of the loop does.
            over = not self.idle or (self._hurried and self._first_waiter() is not None)
            raise
        except GeneratorExit:  # its loop was closed
            over = True
            raise
        finally:
            self.idle = False
            self._task = None
            self._over = self._over or over
            self._go_on()  # somebody came while this task was told to stop

    async def _take_some(self, take: Callable[[int], Unit[list[E]]], looks: int) -> int:
        """Take elements for those who wait, or wait for a change of the key; how patient to be the next time."""
        try:
            taken = await self._executor.execute(take(min(len(self._waiters), BATCH)))
        except Exception as error:
            await self._failed(error, nothing_taken=not reply_was_lost(error))
            return looks
        self._outage = None
        if taken:
            self._hand.extend(taken)
            return 0
        if self._first_waiter() is not None and not self._hand:  # all of them may have left by now
            self.idle = True
            try:
                looks = await self._wakeups.wait(self._key, looks)
            except Exception as error:
                await self._failed(error, nothing_taken=True)
            self.idle = False
        return looks

    async def _failed(self, error: Exception, *, nothing_taken: bool) -> None:
        """Let those who wait go on waiting through an outage; tell them of everything else."""
        if not (nothing_taken and self._wakeups.contact.was_made and _passes(error)):
            self._fail(error)
            return
        self._outage = error
        self.idle = True
        await pause(_OUTAGE)
        self.idle = False

    async def _stir(self, seconds: float | None) -> None:
        """Wait for a change of the line, so many seconds at most."""
        self._stirred = asyncio.get_running_loop().create_future()
        try:
            await asyncio.wait((self._stirred,), timeout=seconds)
        finally:
            self._stirred = None

    def _hand_out(self) -> None:
        """Give what is in the hand to those who wait."""
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
        """Leave the element of a caller who is gone to the next, that one's to the one after, and so on."""
        element = gone.element
        for nth in range(self._delivered.index(gone) + 1, len(self._delivered)):
            waiter = self._delivered[nth]
            waiter.element, element = element, waiter.element
        self._hand.appendleft(element)
        self._delivered.remove(gone)

    def _first_waiter(self) -> _Waiter[E] | None:
        """The first of those who wait and were not cancelled; the cancelled ones before it are dropped."""
        while (first := next(iter(self._waiters), None)) is not None and first.told.done():
            del self._waiters[first]
        return first

    async def _return_hand(self) -> None:
        """Offer the server what nobody waits for any more; if it refuses, pause."""
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
        """Keep what the server did not take back, for the next caller or the next offer."""
        self._offering = False
        if self._hurried and self._refused >= _LAST_OFFERS:
            self._give_up(error)
            return
        if not self._refused and not self._hurried:
            _log.warning(
                "purse: the server does not take back %d elements that were taken from %s (%s); they are kept for the "
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
        """Nothing can be done any more for what is left in the hand: log it."""
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
    """The bytes of an element, and what else is stored with them."""
    if isinstance(element, bytes):
        return shown(element, None)
    if isinstance(element, tuple):
        return f"({', '.join(map(_shown, cast('tuple[object, ...]', element)))})"
    return quoted(element)
