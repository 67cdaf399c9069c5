"""Debts: locks, places and permits that could not be given back, and the task that keeps trying to.

    release()  --sent-->  no answer: the caller is told within a second or so
                          owe() --> [one task] --sent again--> ... --sent again--> answered: paid

    acquire()  --X------------------------------------------> executed late: taken, without a holder
               given up, owe() --> [one task] --Y--> answered     --Y--> answered: paid

Without this, a server that hangs or a connection that is lost would leave a lock taken, with no holder, until its lease
ends. So the caller continues after a bounded time, and one task for each ``Debts`` tries again with growing pauses.
It stops when the server has answered, the lease of the debt has ended, the event loop ends or the client is closed.
Releasing something that is not held is harmless.

**In doubt.** If a caller gives up waiting for an answer, or its connection is lost, the question may be executed
*after* a release that was sent later: on another connection, or from the buffers of a closed one (X before Y above, or
after it). In this case a release that found nothing proves nothing. Such a debt is paid only by another release that is
answered later, by as much time as the server had been silent before. A kernel that sends again doubles its pauses, so
everything that it still has to send arrives by then.

While the server is silent the time of a debt does not run: a question in the server's buffers takes effect when the
server wakes up, and its lease begins then.
"""

from __future__ import annotations

import asyncio
import random
from asyncio import get_running_loop
from collections.abc import Awaitable, Callable, Mapping
from contextlib import suppress
from typing import Generic, TypeVar

from redis.exceptions import ClusterDownError, ReadOnlyError, RedisError, ResponseError, TryAgainError
from redis.exceptions import TimeoutError as ServerTimeout

from purse._engine.deadlines import Within
from purse._engine.detached import detached
from purse._engine.executor import ClientExecutor
from purse.errors import StoreClosed

__all__ = ["PATIENCE", "Debts", "has_link", "is_final"]

T = TypeVar("T")

PATIENCE = 0.25
"""Seconds to wait for the answer to a question that is being given up, and for the last try when the loop ends."""

_FIRST, _LAST = 0.03, 4.0  # seconds between two tries, each drawn from half to whole
_BRIEF, _LONG = 1.5, 8.0  # seconds for which one try waits for its answer (opening a lost connection may take 1.2)
_LONGEST_DOUBT = 60.0  # seconds
_MOST = 10_000  # debts that are kept while the server does not answer


class _Debt(Generic[T]):
    """The debt of one owner.

    Attributes:
        what: the data that is needed to give it back.
        question: the last question for this owner, whose answer may still come.
        is_in_doubt: whether the lock may be taken after it was given back.
        until: the loop's time at which nothing will be left to give back.
        clear: the loop's time after which an answer ends the doubt.
        tried: done after the first try, whether it succeeded or not.
    """

    __slots__ = ("clear", "is_in_doubt", "lasts", "question", "since", "tried", "until", "what")

    def __init__(self, what: T, lasts: float, question: asyncio.Task[object] | None, *, in_doubt: bool) -> None:
        self.what = what
        self.question = question
        self.is_in_doubt = in_doubt
        self.lasts = lasts
        self.since = get_running_loop().time()
        self.until = self.since + lasts
        self.clear: float | None = None
        self.tried: asyncio.Future[None] = get_running_loop().create_future()


class Debts(Generic[T]):
    """The debts of one event loop to one server.

    Args:
        give_back: sends one release for all of these owners, and returns when the server has answered.
        connected: whether there is a connection.
    """

    def __init__(
        self, give_back: Callable[[Mapping[str, T]], Awaitable[object]], connected: Callable[[], bool]
    ) -> None:
        self._give_back = give_back
        self._connected = connected
        self._owed: dict[str, _Debt[T]] = {}
        self._task: asyncio.Task[None] | None = None
        self._more = asyncio.Event()
        self._speaks = asyncio.Event()
        self._speaks.set()

    def __len__(self) -> int:
        """The number of owners with a debt."""
        return len(self._owed)

    def owe(
        self,
        owner: str,
        what: T,
        lasts: float,
        question: asyncio.Task[object] | None = None,
        *,
        in_doubt: bool = False,
    ) -> asyncio.Future[None]:
        """Release what ``owner`` holds or may still get, and repeat this until the release is certain.

        Args:
            lasts: seconds after which the lease has ended by itself, if it is not taken later than now.
            question: a question for the owner that may not have been answered yet. It is waited for briefly and then
                given up.
            in_doubt: the lock may be taken after it was given back.

        Returns:
            A future that is done after the first try. Wait for it with a timeout.
        """
        debt = self._owed[owner] = _Debt(what, lasts, question, in_doubt=in_doubt)
        self._more.set()
        if self._task is None or self._task.done():
            self._task = detached(self._pay(), "giving back", hasten=self._hasten)
        return debt.tried

    @property
    def is_silent(self) -> bool:
        """Whether the server has not answered the last try."""
        return not self._speaks.is_set()

    def heard(self) -> None:
        """Note that the server has answered another call."""
        self._speaks.set()

    async def until_heard(self) -> None:
        """Wait while the server is silent. A question sent in that time would not be answered and become a debt."""
        await self._speaks.wait()

    def _hasten(self) -> None:
        if self._task is not None:
            self._task.cancel()  # which makes it try once more

    # --- paying -------------------------------------------------------------------------------------

    async def _pay(self) -> None:
        pause, patience = _FIRST, _BRIEF
        try:
            await asyncio.sleep(0)  # several callers may give up in this iteration of the loop: one script for them all
            while self._owed:
                self._more.clear()
                await self._end_questions()
                if await self._try(patience):
                    patience = _BRIEF
                elif self.is_silent:  # then the try itself was a pause
                    patience = min(2 * patience, _LONG)
                    pause = _FIRST
                if self._owed:
                    with suppress(TimeoutError):
                        async with asyncio.timeout(pause * random.uniform(0.5, 1)):
                            await self._more.wait()
                    pause = min(2 * pause, _LAST)
        except asyncio.CancelledError:
            # The loop ends. Without a connection nothing is tried: a new one would not be closed any more.
            if self._owed and self._connected():
                for debt in self._owed.values():
                    debt.question = None
                await self._try(PATIENCE)
            raise
        finally:
            self._speaks.set()

    async def _end_questions(self) -> None:
        """Wait briefly for the questions of callers that have given up, and mark the unanswered ones as in doubt."""
        asked = [debt for debt in self._owed.values() if debt.question is not None]
        pending = [debt.question for debt in asked if debt.question is not None and not debt.question.done()]
        if pending:
            await asyncio.wait(pending, timeout=PATIENCE)
        for debt in asked:
            question, debt.question = debt.question, None
            if question is not None and not _is_known(question):
                question.cancel()
                debt.is_in_doubt = True

    async def _try(self, patience: float) -> bool:
        """Give everything back once. Returns whether the server has answered."""
        loop = get_running_loop()
        owed = {owner: debt for owner, debt in self._owed.items() if debt.question is None}
        started = loop.time()
        try:
            async with Within(patience):
                await self._give_back({owner: debt.what for owner, debt in owed.items()})
        except StoreClosed:
            self._owed.clear()
            return False
        except (TimeoutError, ServerTimeout):
            self._speaks.clear()
            for debt in owed.values():
                debt.until = loop.time() + debt.lasts
        except (RedisError, OSError) as error:
            self._speaks.set()
            if is_final(error):
                self._settle(owed, started)
        else:
            self._speaks.set()
            self._settle(owed, started)
            return True
        finally:
            for debt in owed.values():
                if not debt.tried.done():
                    debt.tried.set_result(None)
        self._forget_those_that_ended()
        return False

    def _settle(self, owed: dict[str, _Debt[T]], started: float) -> None:
        """Note that the release for ``owed`` that was sent at ``started`` has been answered."""
        now = get_running_loop().time()
        for owner, debt in owed.items():
            if debt.is_in_doubt and debt.clear is None:
                debt.clear = now + min(now - debt.since, _LONGEST_DOUBT)
            elif (not debt.is_in_doubt or (debt.clear or 0) <= started) and self._owed.get(owner) is debt:
                del self._owed[owner]

    def _forget_those_that_ended(self) -> None:
        now = get_running_loop().time()
        owed = [(owner, debt) for owner, debt in self._owed.items() if debt.until > now]
        self._owed = dict(owed[-_MOST:])


def _is_known(question: asyncio.Task[object]) -> bool:
    """Whether the answer has come, or the server has refused the question."""
    if not question.done() or question.cancelled():
        return False
    error = question.exception()
    return error is None or is_final(error)


def is_final(error: BaseException) -> bool:
    """Whether the server has refused and would refuse again."""
    passing = isinstance(error, (ReadOnlyError, ClusterDownError, TryAgainError)) or str(error).startswith("BUSY ")
    return isinstance(error, StoreClosed) or (isinstance(error, ResponseError) and not passing)


def has_link(executor: object) -> bool:
    """Whether ``executor`` has an open connection in the running loop, as far as that can be known."""
    if not isinstance(executor, ClientExecutor):
        return True
    link = executor.links.by_loop.get(get_running_loop())
    return link is not None and link.is_open
