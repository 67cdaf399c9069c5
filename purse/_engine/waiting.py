r"""Line: callers that wait for elements of one key, served in the order in which they came.

    get() --\                                   wait for a change of the key (wakeups)
    get() ---+--> waiters ==> [one task] <====>
    get() --/                                   take as many elements as there are waiters, without blocking

One task for each key that is waited for, on the connection that all calls share: ten thousand waiting callers
cost ten thousand futures. Nothing is taken before somebody is there to have it, and whoever is cancelled
while an element is on its way leaves it to the next: the task that takes is none of the callers' and is not
cancelled with them. If there is no next, the elements are put back where they were, before any other is taken.

Who waits for room stands in the same line, at its other end: one of them at a time tries to put what it brings, the
others wait behind it. There is no task for that: a put that was sent may have been executed, whoever is gone.

What can be lost is what was taken and not delivered when the process is killed, the event loop ends, or the
connection breaks in that very moment.
"""

from __future__ import annotations

import asyncio
import copy
import logging
from collections import deque
from collections.abc import Awaitable, Callable
from datetime import timedelta
from typing import TYPE_CHECKING, Generic, TypeVar, cast
from weakref import WeakValueDictionary

from redis.exceptions import RedisError

from purse._engine.replies import Reply
from purse._engine.unit import Unit
from purse._engine.wakeups import Look, Wakeups
from purse.errors import StoreClosed

if TYPE_CHECKING:
    from purse._engine.unit import Executor

__all__ = ["Line", "NothingCame", "Waits"]

E = TypeVar("E")

_log = logging.getLogger("purse")
MOST = 1000
"""Elements that are taken at a time."""


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
        take: the unit that removes at most so many elements, and returns them; none if there are none.
        put_back: the unit that puts elements back in front, in their order.
    """

    def __init__(
        self,
        executor: Executor,
        wakeups: Wakeups,
        key: str,
        take: Callable[[int], Unit[list[E]]],
        put_back: Callable[[list[E]], Unit[object]],
    ) -> None:
        self._executor = executor
        self._wakeups = wakeups
        self._key = key
        self._take = take
        self._put_back = put_back
        self._waiters: deque[_Waiter[E]] = deque()
        self._delivered: deque[_Waiter[E]] = deque()  # told, and not yet running again
        self._hand: deque[E] = deque()  # taken, and not delivered yet
        self._task: asyncio.Task[None] | None = None
        self._live = 0  # waiters that were not cancelled
        self._door = asyncio.Lock()
        self._bringing = 0  # callers that wait for room
        self._failures = 0  # of those who were first of them
        self.idle: bool = False  # nothing is under way: the task waits for a change of the key
        self._closed = False

    def __len__(self) -> int:
        """How many callers wait."""
        return self._live

    async def get(self) -> E:
        """Wait for an element, without limit; it is removed from Redis, and goes to no one else.

        Cancelling it at any moment loses no element and lets nobody overtake.

        Raises:
            redis.exceptions.RedisError: the server refused, or cannot be reached.
            StoreClosed: after ``close``.
        """
        self._check_open()
        mine: _Waiter[E] = _Waiter(asyncio.get_running_loop().create_future())
        self._waiters.append(mine)
        self._live += 1
        self._serve()
        try:
            await mine.told
        except asyncio.CancelledError:
            if mine.told.cancelled():
                self._live -= 1
                if not self._live and self.idle and self._task is not None:
                    self._task.cancel()
            elif mine.told.exception() is None:  # delivered in the moment of the cancellation
                self._pass_on(mine)
                self._serve()
            raise
        self._delivered.remove(mine)
        return mine.element

    async def get_within(self, timeout: float | timedelta | None) -> E:
        """``get``, for so many seconds or a ``timedelta`` at most; 0 and None are without limit.

        Raises:
            NothingCame: the time is over.
            ValueError: ``timeout`` is negative.
        """
        seconds = timeout.total_seconds() if isinstance(timeout, timedelta) else timeout or 0
        if not seconds >= 0:  # also true for nan
            raise ValueError(f"timeout= must be 0 (for ever) or positive, not {timeout!r}")
        if not seconds:
            return await self.get()
        limit = asyncio.timeout(seconds)
        try:
            async with limit:
                return await self.get()
        except TimeoutError:
            if not limit.expired():  # the operating system's, from a connection
                raise
            raise NothingCame(seconds) from None

    @property
    def bringing(self) -> int:
        """How many callers wait for room."""
        return self._bringing

    async def bring(self, offer: Callable[[], Awaitable[Reply]], room: Look) -> Reply:
        """Wait until there is room, one caller at a time, in the order in which they came.

        Cancelling it leaves the place to the next. An offer that was already sent may still be executed, once.

        Args:
            offer: sends what the caller brings; answers None if there was no room for it.
            room: the look that tells whether there is.

        Returns:
            What the offer answered.

        Raises:
            redis.exceptions.RedisError: the server refused, or cannot be reached.
            StoreClosed: after ``close``.
        """
        self._bringing += 1
        try:
            while True:
                failures = self._failures
                async with self._door:
                    if self._failures == failures:
                        return await self._bring_first(offer, room)
                # Who was ahead has failed, maybe after a second's patience with a server that is gone. Those behind
                # find out together, and not each of them a second later.
                self._check_open()
                reply = await offer()
                if reply is not None:
                    return reply
        finally:
            self._bringing -= 1

    async def _bring_first(self, offer: Callable[[], Awaitable[Reply]], room: Look) -> Reply:
        looks = 0
        try:
            while True:
                self._check_open()
                reply = await offer()
                if reply is not None:
                    return reply
                await self._wakeups.wait(self._key, looks, room)
                looks += 1
        except Exception:
            self._failures += 1
            raise

    def close(self, error: BaseException) -> None:
        """Tell everybody who waits that nothing will come."""
        self._closed = True
        self._fail(error)
        if self._task is not None:
            self._task.cancel()

    def _check_open(self) -> None:
        if self._closed:
            raise StoreClosed("this store was closed by aclose() while a call waited on it")

    def _serve(self) -> None:
        if self._task is None:
            self._task = asyncio.get_running_loop().create_task(self._run(), name="purse: waiting")

    async def _run(self) -> None:
        looks = 0
        try:
            while self._live or self._hand:
                if self._hand and self._live:
                    waiter = self._next_waiter()
                    waiter.element = self._hand.popleft()
                    waiter.told.set_result(None)
                    self._delivered.append(waiter)
                    looks = 0
                elif self._hand:
                    await self._return_hand()
                elif taken := await self._executor.execute(self._take(min(self._live, MOST))):
                    self._hand.extend(taken)
                elif self._live:  # all of them may have left meanwhile
                    self.idle = True
                    await self._wakeups.wait(self._key, looks)
                    self.idle = False
                    looks += 1
        except Exception as error:
            self._fail(error)
        finally:
            self.idle = False
            self._task = None
            if (self._live or self._hand) and not self._closed:
                self._serve()  # somebody came while this task was told to stop

    def _pass_on(self, gone: _Waiter[E]) -> None:
        """Leave the element of a caller who is gone to the next, that one's to the one after, and so on."""
        element = gone.element
        for nth in range(self._delivered.index(gone) + 1, len(self._delivered)):
            waiter = self._delivered[nth]
            waiter.element, element = element, waiter.element
        self._hand.appendleft(element)
        self._delivered.remove(gone)

    def _next_waiter(self) -> _Waiter[E]:
        """The first of those who wait, who waits no more."""
        while True:
            waiter = self._waiters.popleft()
            if not waiter.told.done():
                self._live -= 1
                return waiter

    async def _return_hand(self) -> None:
        """Put back what nobody waits for any more."""
        elements = list(self._hand)
        self._hand.clear()
        try:
            await self._executor.execute(self._put_back(elements))
        except RedisError:
            _log.exception("purse: %d elements that were taken from %r could not be put back", len(elements), self._key)

    def _fail(self, error: BaseException) -> None:
        while self._live:
            self._next_waiter().told.set_exception(copy.copy(error))


class Waits:
    """All lines of one client in one event loop.

    Args:
        executor: the client's executor.
        wakeups: the changes of its keys in this loop.
    """

    def __init__(self, executor: Executor, wakeups: Wakeups) -> None:
        self.wakeups = wakeups
        self._executor = executor
        self._lines: WeakValueDictionary[tuple[str, str], Line[object]] = WeakValueDictionary()

    def line(
        self,
        key: str,
        what: str,
        take: Callable[[int], Unit[list[E]]],
        put_back: Callable[[list[E]], Unit[object]],
    ) -> Line[E]:
        """The line for ``what`` of ``key``; there is one as long as anybody waits in it."""
        found = self._lines.get((key, what))
        if found is not None:
            return cast("Line[E]", found)
        line = Line(self._executor, self.wakeups, key, take, put_back)
        self._lines[key, what] = cast("Line[object]", line)
        return line

    def __len__(self) -> int:
        """How many callers wait."""
        return sum(len(line) for line in list(self._lines.values()))

    async def aclose(self, error: BaseException) -> None:
        """Tell everybody who waits that nothing will come, and close the connection."""
        for line in list(self._lines.values()):
            line.close(error)
        await self.wakeups.aclose()
