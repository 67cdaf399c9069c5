"""Several masters asked at once, as one.

    master 1  --take-->  yes   \
    master 2  --take-->  yes    >  a majority: decided, nobody waits for the others
    master 3  --take-->  yes   /
    master 4  --take-->  ...       its answer may still come; whoever asked then knows it, or cleans up behind it
    master 5  (silent)             it owes an answer for longer than ``PATIENCE``: it is not asked until it has given it

A ``Round`` is one question to all of them. It is decided as soon as a majority has said yes, or cannot say yes any
more, or its time is up: the client's own timeouts play no part. The time of a master begins when it can be asked. To
open its first connection takes up to six trips (TCP, TLS, what redis-py says), and has a bound of its own,
``CONNECTING``: else a master that answers after 300 ms would be taken for one that hangs. A question that still waits
for that connection can be withdrawn, and then has never been sent.

What a master is asked goes over one connection in the order in which it is asked, so a release that is sent behind a
take whose answer has not come yet is executed behind it. Where each call has a connection to itself, the release waits
for that answer. Where the order is not certain all the same (the connection was lost) the master keeps the release as a
debt and sends it again, until it is certain or the lease has ended anyway: see ``.debts``.

A silent master would else be sent a take and a release by every acquisition, all of which it would execute when it
wakes up, and each of which would be a task that waits for it.
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
    """How many of ``count`` masters are a majority: any two majorities have a master in common."""
    return count // 2 + 1


class Master:
    """One master, as the tasks of one event loop see it: what it owes them, and what they owe it.

    Attributes:
        connection: the first one to it.
    """

    def __init__(self, executor: ClientExecutor) -> None:
        self._executor = executor
        self._scripts = KnownScripts(executor)
        self.connection = FirstConnection(executor)
        self._unanswered: dict[object, float] = {}  # since when, in the order of the questions
        self._debts: Debts[tuple[ScriptCall, Origin]] = Debts(self._pay, lambda: has_link(executor))

    @property
    def is_silent(self) -> bool:
        """Whether a question waits for its answer for longer than ``PATIENCE``, or its first connection is late."""
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
        """Send the release ``call`` behind a take, and again later if it is not certain that it came behind it.

        Args:
            owner: of the key that was taken, perhaps.
            lease: seconds after which the key has expired in any case.
            taking: the round in which it was taken, perhaps.
            place: of this master in there.

        Raises:
            redis.exceptions.RedisError: the server refused, or cannot be reached; it will be tried again.
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
        """Whether what is asked later is executed later."""
        mode = self._executor.links.mode
        return mode is None or mode.name == "shared"

    async def _pay(self, owed: Mapping[str, tuple[ScriptCall, Origin]]) -> None:
        """Send each release once.

        Raises:
            redis.exceptions.RedisError, OSError: one of them was not answered, or may be granted the next time.
        """
        answers = await asyncio.gather(*(self.ask(*what) for what in owed.values()), return_exceptions=True)
        for answer in answers:
            if isinstance(answer, StoreClosed) or (isinstance(answer, BaseException) and not is_final(answer)):
                raise answer


@dataclass(frozen=True, slots=True)
class Ask:
    """A question that is to be asked.

    Attributes:
        master: who is asked.
        put: asks it. No coroutine: one whose task is cancelled before it began would be warned of.
    """

    master: Master
    put: Callable[[], Coroutine[object, None, Reply]]


class Round:
    """One question to every master, each asked by a task of its own.

    Args:
        asks: what each is asked; or the answer of one that need not be asked, or cannot.
        is_yes: which answers are a yes.
        lasts: seconds after which nobody wants to know late answers any more.
        needed: how many have to say yes; None: a majority.
        ask_in_vain: ask even when it is clear before that not so many can say yes.

    Attributes:
        started: the loop's time when it began; nothing had been sent.
        answers: of each master in its order; an exception where it could not answer.
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
        self._begun = [self.started] * len(asks)  # when each could be asked; inf: it has no connection yet
        self._within: float | None = None  # nobody waits for the decision yet
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
        except (RedisError, OSError, RuntimeError) as error:  # the last: its store was closed
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

        If the event loop was held up by somebody's work, the masters are not blamed for it: they are given as much time
        again, once.

        Args:
            within: seconds for which each may take, from the beginning of the round.
            connecting: seconds for which one without a connection may take to have one; its time begins then.
            strictly: a later yes is none, whoever is to blame.
        """
        self._within, self._connecting, self._lenient = within, connecting, not strictly
        self._look()
        try:
            # This process may have been stopped meanwhile, and read old answers before it looks at its timers.
            return await self._decision and (not strictly or self._loop.time() <= self.started + connecting + within)
        finally:
            self._within = None
            self._look()

    def _look(self) -> None:
        """Decide against it when the time of so many is up that the others are not a majority."""
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
        """Wait for all answers, those that no decision needs as well, for so many seconds from now at most."""
        if self._answered < len(self.answers) and self._tasks:
            await asyncio.wait(self._tasks.values(), timeout=within)

    async def answer_of(self, place: int, within: float) -> None:
        """Wait for the answer of one, for so many seconds from now at most."""
        if self.answers[place] is PENDING and place in self._tasks:
            await asyncio.wait((self._tasks[place],), timeout=within)

    def withdraw(self, place: int) -> bool:
        """Do not send the question to that master, if it still waits for a connection; whether it was never sent."""
        if self._begun[place] < math.inf:
            return False
        if self.answers[place] is PENDING:
            self._tasks[place].cancel()
            self._count(place, NotAsked("it had no connection yet"))
        return True

    def says_no(self, place: int) -> bool:
        """Whether that master has answered, and not with yes."""
        answer = self.answers[place]
        return answer is not PENDING and not isinstance(answer, Exception) and not self._is_yes(answer)

    @property
    def is_refused(self) -> bool:
        """Whether those that answered with no suffice to keep the others from being a majority."""
        return sum(map(self.says_no, range(len(self.answers)))) > len(self.answers) - self._needed

    @property
    def faults(self) -> ExceptionGroup[Exception] | None:
        """What kept masters from answering, if without them no majority was possible."""
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
    """Whether a take has certainly taken nothing: it was refused, or never sent."""
    return isinstance(answer, ResponseError | NotAsked) or (_is_answer(answer) and not took(answer))


def is_positive(answer: Answer) -> bool:
    """Whether it is a number above 0."""
    return isinstance(answer, int) and answer > 0


def ask_all(
    masters: Sequence[Master],
    call: Command | ScriptCall,
    origin: Origin,
    is_yes: Callable[[Reply], bool],
    lasts: float,
) -> Round:
    """Ask every master the same, except those that are silent."""
    silent = NotAsked("it owes an answer for too long to be asked again before it has given it")
    asks: list[Ask | Reply] = [
        silent if master.is_silent else Ask(master, partial(master.ask, call, origin)) for master in masters
    ]
    return Round(asks, is_yes, lasts, ask_in_vain=False)


async def connected(masters: Sequence[Master], within: float) -> None:
    """Wait until a majority has had a connection, or will not have one, for so many seconds at most."""
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
    """What the running loop knows of ``client``'s server; made when it is first asked for.

    Raises:
        TypeError: ``client`` is not a ``redis.asyncio.Redis``.
    """
    masters = _here.here(WeakKeyDictionary)
    master = masters.get(client)
    if master is None:
        master = masters[client] = Master(executor_for(client))
    return master
