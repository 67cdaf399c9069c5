"""Asking several masters at once, and deciding by majority.

    master 1  --take-->  yes   \
    master 2  --take-->  yes    >  a majority: decided, the others are not waited for
    master 3  --take-->  yes   /
    master 4  --take-->  ...       its answer may still come: the caller uses it, or cleans up behind it
    master 5  (silent)             it has owed an answer for longer than ``PATIENCE``: it is not asked until it answers

A ``Round`` is one question to all masters. It is decided as soon as a majority has said yes, or cannot say yes any
more, or its time is up, independent of the client's timeouts. The time of a master begins when it can be asked. Opening
its first connection takes up to six trips (TCP, TLS, the commands of redis-py), and has a separate limit,
``CONNECTING``. Otherwise a master that answers after 300 ms would look like one that hangs. A question that still waits
for that connection can be withdrawn, and then it has never been sent.

The questions to a master go over one connection in their order. So a release that is sent behind a take whose answer
has not come yet is executed behind it. If each call has a separate connection, the release waits for that answer. If
the order is still uncertain (the connection was lost), the master keeps the release as a debt and sends it again, until
it is certain or the lease has ended: see ``.debts``.

If silent masters were asked, every acquisition would send a take and a release. The master would execute all of them
when it wakes up, and each would be a task that waits for it.
"""

from __future__ import annotations

import asyncio
import math
from asyncio import get_running_loop
from collections.abc import Callable, Coroutine, Mapping, Sequence
from dataclasses import dataclass
from enum import Enum
from functools import partial
from typing import Final, TypeAlias
from weakref import WeakKeyDictionary

from redis.exceptions import RedisError, ResponseError, TimeoutError

from purse._coordination.debts import PATIENCE as DEBT_PATIENCE
from purse._coordination.debts import Debts, has_link, is_final
from purse._coordination.first_connection import FirstConnection
from purse._coordination.known_scripts import KnownScripts
from purse._engine.clients import RedisClient
from purse._engine.deadlines import Within
from purse._engine.detached import detached
from purse._engine.executor import ClientExecutor
from purse._engine.loops import PerLoop, everywhere
from purse._engine.registry import executor_for
from purse._engine.replies import Reply, as_int
from purse._engine.scripts import ScriptCall
from purse._engine.unit import Command, Origin
from purse.errors import StoreClosed

__all__ = [
    "PATIENCE",
    "PENDING",
    "Answer",
    "Ask",
    "Master",
    "NotAsked",
    "Round",
    "ask_all",
    "connected",
    "is_positive",
    "majority_of",
    "master_of",
    "took",
    "took_nothing",
]

PATIENCE = 0.8
"""Seconds for which an attempt waits for masters that can be asked."""

_HELD_UP = 0.05  # seconds by which a timer is late if the event loop was held up


class _Pending(Enum):
    PENDING = "no answer yet"


PENDING: Final = _Pending.PENDING
Answer: TypeAlias = "Reply | _Pending"


class NotAsked(TimeoutError):
    """A master was not asked."""


def majority_of(count: int) -> int:
    """How many of ``count`` masters are a majority. Any two majorities have a master in common."""
    return count // 2 + 1


class Master:
    """One master, for the tasks of one event loop: the answers that it still owes them, and the releases they owe it.

    Attributes:
        connection: the first connection to it.
    """

    def __init__(self, executor: ClientExecutor) -> None:
        self._executor = executor
        self._scripts = KnownScripts(executor)
        self.connection = FirstConnection(executor)
        self._unanswered: dict[object, float] = {}  # question -> when it was asked, in that order
        self._debts: Debts[tuple[ScriptCall, Origin]] = Debts(self._pay, lambda: has_link(executor))

    @property
    def is_silent(self) -> bool:
        """Whether a question has waited longer than ``PATIENCE`` for its answer, or the first connection is late."""
        oldest = next(iter(self._unanswered.values()), None)
        waits = oldest is not None and get_running_loop().time() - oldest > PATIENCE
        return self._debts.is_silent or waits or self.connection.is_late

    # --- questions ------------------------------------------------------------------------------------

    async def ask(self, call: Command | ScriptCall, origin: Origin) -> Reply:
        """One round trip.

        Raises:
            redis.exceptions.RedisError: as ``Executor.ask``.
        """
        question = object()
        self._unanswered[question] = get_running_loop().time()
        try:
            answer = await self._scripts.ask(call, origin)
        finally:
            del self._unanswered[question]
        self._debts.heard()
        return answer

    async def release(
        self, call: ScriptCall, owner: str, origin: Origin, lease: float, taking: Round, place: int
    ) -> Reply:
        """Send the release ``call`` behind a take, and again later if it is not certain that it came behind the take.

        Args:
            owner: the owner of the key that may have been taken.
            lease: seconds after which the key has expired in any case.
            taking: the round in which the key may have been taken.
            place: the position of this master in that round.

        Raises:
            redis.exceptions.RedisError: the server refused, or cannot be reached. In the latter case the release will
                be tried again.
        """

        def taken() -> Answer:
            return taking.answers[place]

        certain = False
        try:
            if not self._keeps_order:
                await taking.answer_of(place, PATIENCE)
            certain = _is_answer(taken())
            async with Within(PATIENCE):
                released = as_int(await self.ask(call, origin))
        except (RedisError, OSError, asyncio.CancelledError) as error:
            if not is_final(error):
                in_doubt = not certain and not took_nothing(taken())
                tried = self._debts.owe(owner, (call, origin), lease, in_doubt=in_doubt)
                if isinstance(error, asyncio.CancelledError):  # the loop ends, or the lease
                    await asyncio.wait((tried,), timeout=DEBT_PATIENCE)
            raise
        if not released and not certain and not took_nothing(taken()):
            self._debts.owe(owner, (call, origin), lease, in_doubt=True)
        return released

    @property
    def _keeps_order(self) -> bool:
        """Whether a later question is executed later."""
        mode = self._executor.links.mode
        return mode is None or mode.name == "shared"

    async def _pay(self, owed: Mapping[str, tuple[ScriptCall, Origin]]) -> None:
        """Send each release once.

        Raises:
            redis.exceptions.RedisError, OSError: one of them was not answered, or may succeed the next time.
        """
        answers = await asyncio.gather(*(self.ask(*what) for what in owed.values()), return_exceptions=True)
        for answer in answers:
            if isinstance(answer, StoreClosed) or (isinstance(answer, BaseException) and not is_final(answer)):
                raise answer


@dataclass(frozen=True, slots=True)
class Ask:
    """A question that will be asked.

    Attributes:
        master: the master to ask.
        put: asks the question. It is not a coroutine yet, because Python warns of a coroutine that never began.
    """

    master: Master
    put: Callable[[], Coroutine[object, None, Reply]]


class Round:
    """One question to every master. A separate task asks each of them.

    Args:
        asks: for each master the question, or the answer of a master that need not or cannot be asked.
        is_yes: tells whether an answer is a yes.
        lasts: seconds after which late answers are ignored.
        needed: how many have to say yes, or None for a majority.
        ask_in_vain: ask even if it is clear in advance that not enough masters can say yes.

    Attributes:
        started: the loop's time when the round began, before anything was sent.
        answers: the answer of each master in their order, or an exception if it could not answer.
        times: the loop's time when each answer came.
    """

    def __init__(
        self,
        asks: Sequence[Ask | Reply],
        is_yes: Callable[[Reply], bool],
        lasts: float,
        *,
        needed: int | None = None,
        ask_in_vain: bool = True,
    ) -> None:
        loop = self._loop = get_running_loop()
        self.started = loop.time()
        self.answers: list[Answer] = [PENDING] * len(asks)
        self.times = [0.0] * len(asks)
        self._is_yes = is_yes
        self._needed = majority_of(len(asks)) if needed is None else needed
        self._yes = self._no = self._answered = 0
        self._decision: asyncio.Future[bool] = loop.create_future()
        self._tasks: dict[int, asyncio.Task[None]] = {}
        self._begun = [self.started] * len(asks)  # when each could be asked, or inf while it has no connection yet
        self._within: float | None = None  # no task waits for the decision yet
        self._connecting = 0.0
        self._lenient = False
        self._timer: asyncio.TimerHandle | None = None
        self._end = loop.call_at(self.started + lasts, self._stop)
        asking: list[tuple[int, Ask]] = []
        for place, ask in enumerate(asks):
            if isinstance(ask, Ask):
                asking.append((place, ask))
            else:
                self._count(place, ask)
        for place, ask in asking:
            if self._decision.done() and not ask_in_vain:
                self._count(place, NotAsked("too many of the others do not answer"))
            else:
                if ask.master.connection.is_missing:
                    self._begun[place] = math.inf
                self._tasks[place] = detached(self._put(place, ask), "asking")

    async def _put(self, place: int, ask: Ask) -> None:
        try:
            if self._begun[place] == math.inf:
                await ask.master.connection.wait()
                self._begun[place] = self._loop.time()
                self._look()
            answer = await ask.put()
        except (RedisError, OSError, RuntimeError) as error:  # RuntimeError: its store was closed
            answer = error
        self._count(place, answer)

    def _count(self, place: int, answer: Reply) -> None:
        self.answers[place] = answer
        self.times[place] = self._loop.time()
        self._answered += 1
        if self._answered == len(self.answers):
            self._end.cancel()
        if not isinstance(answer, Exception) and self._is_yes(answer):
            self._yes += 1
            if self._yes == self._needed:
                self._decide(decision=True)
        else:
            self._no += 1
            if self._no == len(self.answers) - self._needed + 1:
                self._decide(decision=False)

    def _decide(self, *, decision: bool) -> None:
        if not self._decision.done():
            self._decision.set_result(decision)

    def _stop(self) -> None:
        self._decide(decision=False)
        for task in self._tasks.values():
            task.cancel()

    async def won(self, within: float, *, connecting: float = 0.0, strictly: bool = False) -> bool:
        """Whether a majority said yes.

        If other work has held up the event loop, the masters are given as much time again, once.

        Args:
            within: seconds that each master may take, from the beginning of the round.
            connecting: seconds that a master without a connection may take to open one. Its time begins after that.
            strictly: do not count a later yes, even if this process caused the delay.
        """
        self._within, self._connecting, self._lenient = within, connecting, not strictly
        self._look()
        try:
            # This process may have been stopped during the wait, and read old answers before it looks at its timers.
            return await self._decision and (not strictly or self._loop.time() <= self.started + connecting + within)
        finally:
            self._within = None
            self._look()

    def _look(self) -> None:
        """Decide "no" when the time of so many masters is up that the others are not a majority."""
        if self._timer is not None:
            self._timer.cancel()
        if self._decision.done() or self._within is None:
            return
        ends = sorted(
            min(begun, self.started + self._connecting) + self._within
            for begun, answer in zip(self._begun, self.answers, strict=True)
            if answer is PENDING
        )
        end = ends[self._yes - self._needed]  # the earliest at which too few are left
        late = self._loop.time() - end
        if late > _HELD_UP and self._lenient:
            self._lenient = False  # answers may lie in the socket's buffer, or questions in ours
            self._timer = self._loop.call_later(min(late, self._within), self._look)
        elif late >= 0:
            self._decide(decision=False)
        else:
            self._timer = self._loop.call_at(end, self._look)

    async def answered(self, within: float) -> None:
        """Wait for all answers, also those that the decision does not need, for at most so many seconds from now."""
        if self._answered < len(self.answers) and self._tasks:
            await asyncio.wait(self._tasks.values(), timeout=within)

    async def answer_of(self, place: int, within: float) -> None:
        """Wait for the answer of one master, for at most so many seconds from now."""
        if self.answers[place] is PENDING and place in self._tasks:
            await asyncio.wait((self._tasks[place],), timeout=within)

    def withdraw(self, place: int) -> bool:
        """Cancel the question to that master if it still waits for a connection. Returns whether it was never sent."""
        if self._begun[place] < math.inf:
            return False
        if self.answers[place] is PENDING:
            self._tasks[place].cancel()
            self._count(place, NotAsked("it had no connection yet"))
        return True

    def says_no(self, place: int) -> bool:
        """Whether that master has answered something else than yes."""
        answer = self.answers[place]
        return answer is not PENDING and not isinstance(answer, Exception) and not self._is_yes(answer)

    @property
    def is_refused(self) -> bool:
        """Whether so many masters answered no that the others cannot be a majority."""
        return sum(map(self.says_no, range(len(self.answers)))) > len(self.answers) - self._needed

    @property
    def faults(self) -> ExceptionGroup[Exception] | None:
        """The errors of the masters that did not answer, if no majority was possible without them."""
        faults = [TimeoutError("no answer in time") if answer is PENDING else answer for answer in self.answers]
        errors = [fault for fault in faults if isinstance(fault, Exception)]
        if len(errors) <= len(self.answers) - self._needed:
            return None
        return ExceptionGroup("most of the masters did not answer", errors)


def _is_answer(answer: Answer) -> bool:
    return answer is not PENDING and not isinstance(answer, Exception)


def took(answer: Answer) -> bool:
    """Whether a take, SET or redlock_take.lua, has taken the lock."""
    return answer == b"OK" or (isinstance(answer, list) and answer[0] == b"took")


def took_nothing(answer: Answer) -> bool:
    """Whether a take has certainly taken nothing: it was refused or never sent."""
    return isinstance(answer, ResponseError | NotAsked) or (_is_answer(answer) and not took(answer))


def is_positive(answer: Answer) -> bool:
    """Whether the answer is a number above 0."""
    return isinstance(answer, int) and answer > 0


def ask_all(
    masters: Sequence[Master],
    call: Command | ScriptCall,
    origin: Origin,
    is_yes: Callable[[Reply], bool],
    lasts: float,
) -> Round:
    """Ask every master the same question, except the silent ones."""
    silent = NotAsked("it was not asked: it has not answered an earlier question for too long")
    asks: list[Ask | Reply] = [
        silent if master.is_silent else Ask(master, partial(master.ask, call, origin)) for master in masters
    ]
    return Round(asks, is_yes, lasts, ask_in_vain=False)


async def connected(masters: Sequence[Master], within: float) -> None:
    """Wait until a majority has had a connection, or cannot have one, for at most so many seconds."""
    connections = [master.connection for master in masters if master.connection.is_missing]
    missing = majority_of(len(masters)) - (len(masters) - len(connections))
    opening = {connection.opening().task for connection in connections if not connection.is_late}
    end = get_running_loop().time() + within
    while 0 < missing <= len(opening):
        left = end - get_running_loop().time()
        done, opening = await asyncio.wait(opening, timeout=left, return_when=asyncio.FIRST_COMPLETED)
        if not done:
            return
        missing -= sum(not task.cancelled() and task.exception() is None for task in done)


_here: PerLoop[WeakKeyDictionary[RedisClient, Master]] = everywhere()


def master_of(client: RedisClient) -> Master:
    """The ``Master`` of the running loop for ``client``'s server. The first call makes it.

    Raises:
        TypeError: ``client`` is not a ``redis.asyncio.Redis``.
    """
    masters = _here.here(WeakKeyDictionary)
    master = masters.get(client)
    if master is None:
        master = masters[client] = Master(executor_for(client))
    return master
