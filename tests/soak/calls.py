"""One call, and what came of it: done, refused, or nobody knows.

Done      it returned
Refused   it raised something that says that nothing was executed: an empty queue, no memory, no connection
Unsure    it was cancelled, or its reply was lost: executed at most once, now or later
"""

from __future__ import annotations

import asyncio
from collections.abc import Coroutine
from dataclasses import dataclass
from random import Random
from types import CoroutineType
from typing import Any, Generic, TypeAlias, TypeVar

from redis.exceptions import BusyLoadingError, ConnectionError, OutOfMemoryError, ResponseError, TimeoutError

from purse._engine.link import reply_was_lost
from tests.soak.journal import Breaks, Journal

__all__ = ["Caller", "Done", "Outcome", "Refused", "Unsure"]

T = TypeVar("T")
T_co = TypeVar("T_co", covariant=True)

HANGS = 45.0
"""Seconds after which a call hangs: every call of the soak is done in a few."""

_CANCELLED = 0.2  # of all calls
_DELAYS = (0.0, 0.0, 0.0005, 0.001, 0.003, 0.01, 0.05)  # seconds after which a call is cancelled


@dataclass(frozen=True, slots=True)
class Done(Generic[T_co]):
    """The call returned ``value``; times are the event loop's."""

    value: T_co
    began: float
    ended: float


@dataclass(frozen=True, slots=True)
class Refused:
    """The call raised ``error``, which says that it was not executed."""

    error: Exception
    began: float
    ended: float


@dataclass(frozen=True, slots=True)
class Unsure:
    """The call was cancelled (``error`` is None), or its reply was lost."""

    error: Exception | None
    began: float
    ended: float


Outcome: TypeAlias = Done[T] | Refused | Unsure


class Caller:
    """One task's way of making calls: it counts them, cancels some, and says what came of each.

    Args:
        name: unique in the round; values carry it.
        rng: decides which calls are cancelled, and when.
        journal: for counts and findings.
        breaks: learns of lost replies.
    """

    def __init__(self, name: str, rng: Random, journal: Journal, breaks: Breaks) -> None:
        self.name = name
        self.rng = rng
        self._journal = journal
        self._breaks = breaks
        self._number = 0

    def fresh(self) -> str:
        """A value that nobody else has."""
        self._number += 1
        return f"{self.name}/{self._number}"

    async def call(
        self,
        subject: str,
        what: str,
        call: Coroutine[Any, Any, T],
        *answers: type[Exception],
        within: float | None = None,
        steady: bool = False,
    ) -> Outcome[T]:
        """Make a call.

        Args:
            subject: the structure.
            what: the call, for the history.
            call: the coroutine.
            answers: errors that are answers, and say that nothing was done.
            within: cancel it after so many seconds in any case.
            steady: never cancel it.
        """
        loop = asyncio.get_running_loop()
        cancelling = not steady and self.rng.random() < _CANCELLED
        after = self.rng.choice(_DELAYS) if cancelling else within
        by_timeout = self.rng.random() < 0.5
        began = loop.time()
        task = asyncio.create_task(_within(call, after) if by_timeout else call, name=f"soak: {self.name} {what}")
        timer = None if after is None or by_timeout else loop.call_later(after, task.cancel)
        try:
            await asyncio.wait((task,), timeout=HANGS)
        except asyncio.CancelledError:  # the body of a lock that was lost, while the call goes on
            task.add_done_callback(_retrieve)
            raise
        finally:
            if timer is not None:
                timer.cancel()
        if not task.done():
            self._journal.find(subject, f"{self.name} {what} hangs for {HANGS} s, at {_place(task)}", self.name)
            task.cancel()
            return Unsure(None, began, loop.time())
        outcome = self._outcome(subject, what, task, answers, began, loop.time())
        self._write_down(subject, what, outcome)
        return outcome

    def _outcome(
        self,
        subject: str,
        what: str,
        task: asyncio.Task[T],
        answers: tuple[type[Exception], ...],
        began: float,
        ended: float,
    ) -> Outcome[T]:
        if task.cancelled():
            return Unsure(None, began, ended)
        error = task.exception()
        if error is None:
            return Done(task.result(), began, ended)
        if isinstance(error, _TimeIsUp):
            return Unsure(None, began, ended)
        if isinstance(error, answers) or _was_refused(error):
            assert isinstance(error, Exception)
            return Refused(error, began, ended)
        if isinstance(error, (ConnectionError, TimeoutError, OSError)):
            self._breaks.add(began, ended)
            return Unsure(error, began, ended) if reply_was_lost(error) else Refused(error, began, ended)
        self._journal.find(subject, f"{self.name} {what} raised an unexpected {error!r}", self.name)
        return Unsure(error if isinstance(error, Exception) else None, began, ended)

    def _write_down(self, subject: str, what: str, outcome: Outcome[T]) -> None:
        self._journal.count("calls")
        text = "cancelled"
        match outcome:
            case Done(value):
                self._journal.count("done")
                text = repr(value)
            case Refused(error):
                self._journal.count(f"refused: {type(error).__name__}")
                text = repr(error)[:120]
            case Unsure(None):
                self._journal.count("cancelled")
            case Unsure(error):
                self._journal.count("reply lost")
                text = repr(error)[:120]
        self._journal.note(subject, f"{self.name} {what} [{outcome.ended - outcome.began:.4f} s] -> {text}")


class _TimeIsUp(Exception):
    """The soak's own timeout, which no call raises itself."""


def _retrieve(task: asyncio.Task[Any]) -> None:
    if not task.cancelled():
        task.exception()


def _place(task: asyncio.Task[Any]) -> str:
    """The lines at which a task waits, from the outermost call to the innermost."""
    places: list[str] = []
    waits: object = task.get_coro()
    while isinstance(waits, CoroutineType):
        frame = waits.cr_frame
        places.append(f"{waits.__qualname__}:{frame.f_lineno if frame else '?'}")
        waits = waits.cr_await
    return " > ".join(places)


async def _within(call: Coroutine[Any, Any, T], seconds: float | None) -> T:
    scope = asyncio.timeout(seconds)
    try:
        async with scope:
            return await call
    except OSError as error:  # the builtin TimeoutError is one
        if scope.expired():
            raise _TimeIsUp from error
        raise


def _was_refused(error: BaseException) -> bool:
    """Whether the server has said that it did not execute the call."""
    # A script has the server's error in words of its own.
    return isinstance(error, (BusyLoadingError, OutOfMemoryError)) or (
        isinstance(error, ResponseError) and "OOM command not allowed" in str(error)
    )
