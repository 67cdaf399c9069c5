"""LockLine: the tasks of one event loop that wait for one lock, and their places in the queue that Redis keeps.

    event loop A                            Redis                                    event loop B
      task 1 --asks--> [1 first]            queue!{g}:gate     A/1  B/1  A/2  A/3       [1 first] <--asks-- task 1
      task 2           [2, 3 wait here]     sessions!{g}:gate  A until 12:00:06
      task 3                                                   B until 12:00:05
                                            {g}:gate           "C/7/10000", for 8.3 s more
                                            fence!{g}:gate     41

Each task takes a place in the queue when it arrives, in one round trip, so there is one order for all processes. From
then on only the first task of each loop asks: when it hears that the lock's key has changed (wakeups), when the lease
of the holder, as last reported, has run out, and every ``RENEW`` seconds. Asking keeps the places of all tasks of that
loop. A loop that has not asked for ``PLACE`` seconds, because its process is dead or hangs, loses its places when they
are reached, so the next live task is served. This time is measured by the server's clock.

An owner is named ``session/number/lease``, with a random session and a counter: unique for each acquisition. If the
script is called again for an owner that has the lock, it gives the same answer, so a question whose reply was lost can
be repeated. The name contains the lease in milliseconds. So others notice a lock that lasts longer than that, because
its server's clock was set back.

A caller may give up waiting, for any reason. A task of the line takes back its request, because in a scope of anyio a
cancelled task is cancelled again at each await. One script takes back everything that is due: a thousand callers should
not need a thousand connections in the dedicated mode. If the server does not answer, the request remains a debt, see
``.debts``, and while the server is silent nothing new is asked for.
"""

from __future__ import annotations

import asyncio
import copy
from collections import OrderedDict
from collections.abc import Mapping
from itertools import count
from typing import NamedTuple
from uuid import uuid4
from weakref import WeakValueDictionary, ref

from redis.exceptions import RedisError

from purse._coordination.attempts import drift_of
from purse._coordination.beside import beside
from purse._coordination.debts import PATIENCE, Debts, has_link
from purse._coordination.first_connection import FirstConnection
from purse._coordination.known_scripts import KnownScripts
from purse._coordination.leases import Lease
from purse._engine.detached import detached
from purse._engine.interface import Executor
from purse._engine.replies import Reply, as_array, as_int
from purse._engine.scripts import ScriptCall, load_script
from purse._engine.unit import Origin
from purse._engine.wakeups import Look
from purse.errors import StoreClosed

__all__ = ["BESIDE", "Grant", "LockLine", "lock_line", "validity"]

BESIDE = ("fence", "queue", "sessions")
"""The additional keys beside the key of a lock."""

PLACE = 6.0
"""Seconds after which a loop that does not ask loses the places of its tasks."""

RENEW = 2.0
"""Seconds between two questions of a loop, if no other event makes it ask."""

Loop = asyncio.AbstractEventLoop

_FIRST_PAUSE, _LAST_PAUSE = 0.005, 0.25  # seconds between two questions while the lock is free and it is another's turn


class Grant(NamedTuple):
    """A granted lock.

    Attributes:
        owner: the value of its key.
        token: the fencing token.
        until: the loop's time until which it is certainly held.
    """

    owner: str
    token: int
    until: float


class _Refusal(NamedTuple):
    again_ms: int  # after which the lock may be free although no change was reported, or -1: never
    held: bool  # False: it is another owner's turn
    fence: Reply  # as long as it is the same, no other owner has had the lock


def _free(found: int) -> bool:
    return not found


def _taken(found: int) -> bool:
    return bool(found)


def validity(started: float, lease: float) -> float:
    """The loop's time until which a lease of so many seconds is valid if it was asked for at ``started``."""
    return started + lease - drift_of(lease)


class LockLine:
    """The tasks of the running loop that wait for one lock, or hold it.

    Args:
        executor: the client's executor.
        key: the lock's key.

    Attributes:
        connection: the first connection of the client.
    """

    def __init__(self, executor: Executor, key: str) -> None:
        self._executor = executor
        self._scripts = KnownScripts(executor)
        self.connection = FirstConnection(executor)
        self._keys = (key, *(beside(key, name) for name in BESIDE))
        self._session = uuid4().hex
        self._numbers = count(1)
        self._waiting: OrderedDict[str, asyncio.Future[None]] = OrderedDict()
        self._asking: dict[str, asyncio.Task[Reply]] = {}
        self._debts: Debts[Origin] = Debts(self._release_all, lambda: has_link(executor))
        self.loop = asyncio.get_running_loop()
        self._leases: list[ref[Lease]] = []

    def __len__(self) -> int:
        """The number of waiting tasks."""
        return len(self._waiting)

    def is_held_by(self, task: asyncio.Task[object] | None) -> bool:
        """Whether ``task`` holds the lock, through any object."""
        leases = (lease() for lease in self._leases)
        return any(lease is not None and lease.__purse_is_of__(task) and lease.remaining > 0 for lease in leases)

    def hold(self, lease: Lease) -> None:
        """Note that ``lease`` is granted. It is known here while there is a reference to it."""
        # A WeakSet would remove leases in the thread that drops them, so this is a list.
        self._leases = [*(one for one in self._leases if one() is not None), ref(lease)]

    async def take(self, lease: float, origin: Origin, *, wait: bool) -> Grant | None:
        """Take the lock for ``lease`` seconds, after all callers that came before.

        A caller that is cancelled here leaves neither the lock nor a place in the queue behind.

        Args:
            origin: explains errors.
            wait: wait as long as it takes. False takes the lock only if it is free and no task waits, else returns
                None.

        Raises:
            redis.exceptions.RedisError: the server refused, or cannot be reached.
        """
        owner = f"{self._session}/{next(self._numbers)}/{round(lease * 1000)}"
        try:
            if wait:
                return await self._wait(owner, lease, origin)
            answer = await self._ask(owner, lease, origin, wait=False)
            if isinstance(answer, Grant) and answer.until <= self.loop.time():
                await self.take_back(owner, lease, origin)
                return None
        except BaseException:
            if owner in self._asking:
                await self.take_back(owner, lease, origin)
            raise
        finally:
            self._asking.pop(owner, None)
        return answer if isinstance(answer, Grant) else None

    async def take_back(self, owner: str, lease: float, origin: Origin) -> None:
        """Undo the request of ``owner``, even if this task is cancelled while it waits. Bounded in time."""
        await asyncio.wait((self.owe(owner, lease, origin),), timeout=2 * PATIENCE)

    def owe(self, owner: str, lease: float, origin: Origin) -> asyncio.Future[None]:
        """Take back the lock or request of ``owner`` until that is certain. The future is done after the first try."""
        return self._debts.owe(owner, origin, max(lease, PLACE), self._asking.pop(owner, None))

    async def release(self, owner: str, origin: Origin) -> Reply:
        """Give up the lock, or the place in the queue. The reply is 1 if it was the lock."""
        reply = await self._scripts.ask(self._releasing(owner), origin)
        self._debts.heard()
        return reply

    def _releasing(self, *owners: str) -> ScriptCall:
        lock, _, queue, sessions = self._keys
        return load_script("lock_release")((lock, queue, sessions), *owners)

    async def _release_all(self, owed: Mapping[str, Origin]) -> None:
        # EVAL, not EVALSHA: after a NOSCRIPT the caller may not be there any more to send it again.
        await self._executor.ask(self._releasing(*owed).by_body(), next(iter(owed.values())))

    # --- waiting ----------------------------------------------------------------------------------

    async def _wait(self, owner: str, lease: float, origin: Origin) -> Grant:
        turn: asyncio.Future[None] = self.loop.create_future()
        self._waiting[owner] = turn
        looks = 0
        before: _Refusal | None = None
        try:
            while True:
                answer = await self._ask(owner, lease, origin, wait=True)
                if isinstance(answer, Grant):
                    if answer.until > self.loop.time():
                        return answer
                    await self.release(owner, origin)  # the lease ended before the reply came
                elif self._first() == owner:
                    if before is None or answer[1:] != before[1:]:
                        looks = 0
                    before = answer
                    looks = await self._change(answer, looks, origin)
                else:
                    await turn
        except (RedisError, StoreClosed) as error:
            if self._first() == owner:
                self._fail_others(error)
            raise
        finally:
            del self._waiting[owner]
            if (first := self._first()) is not None and not self._waiting[first].done():
                self._waiting[first].set_result(None)

    def _first(self) -> str | None:
        return next(iter(self._waiting), None)

    async def _ask(self, owner: str, lease: float, origin: Origin, *, wait: bool) -> Grant | _Refusal:
        ahead = self._first() or owner
        lease_ms, place_ms = round(lease * 1000), round(PLACE * 1000)
        call = load_script("lock_acquire")(self._keys, owner, lease_ms, ahead, place_ms, int(wait))
        if self._debts.is_silent:
            await self._debts.until_heard()
        started = self.loop.time()
        # Sent again if the reply is lost. In a separate task, because taking it back has to wait for its end.
        asking = self._asking[owner] = detached(self._scripts.ask(call, origin, read_only=True), "lock")
        await asyncio.wait((asking,))
        granted, number, *refusal = as_array(asking.result())
        self._debts.heard()
        if as_int(granted):
            return Grant(owner, as_int(number), validity(started, lease))
        held, fence = refusal
        return _Refusal(as_int(number), as_int(held) == 1, fence)

    async def _change(self, refusal: _Refusal, looks: int, origin: Origin) -> int:
        """Wait until it is worth asking again.

        Args:
            looks: how patient to be: 0 if the lock has changed hands since the last question, or else the value that
                this method returned then.
        """

        async def exists() -> int:
            return as_int(await self._executor.ask_again(("EXISTS", self._keys[0]), origin))

        patience = RENEW if refusal.again_ms < 0 else min(RENEW, (refusal.again_ms + 1) / 1000)
        if refusal.held:
            look = Look("EXISTS", _free, exists)
        else:
            # The lock will be taken soon, which is a change. But it may have been taken and released before we look, or
            # the owner whose turn it is may give up, and then nothing changes: so the wait is short.
            look = Look("EXISTS", _taken, exists)
            patience = min(patience, _FIRST_PAUSE * 2 ** min(looks, 10), _LAST_PAUSE)
        try:
            async with asyncio.timeout(patience):
                return await self._executor.wakeups(self._keys[0]).wait(self._keys[0], looks, look)
        except TimeoutError:
            return 0 if refusal.held else looks + 1

    def _fail_others(self, error: Exception) -> None:
        """Raise ``error`` in the tasks behind at once. Otherwise each of them would fail a second after the other."""
        for turn in self._waiting.values():
            if not turn.done():
                turn.set_exception(copy.copy(error))
                turn.exception()  # mark it as retrieved, also for tasks that are cancelled now


_lines: WeakValueDictionary[tuple[Executor, Loop, str], LockLine] = WeakValueDictionary()


def lock_line(executor: Executor, key: str) -> LockLine:
    """The line for the lock ``key`` in the running loop. It exists while something refers to it."""
    which = (executor, asyncio.get_running_loop(), key)
    line = _lines.get(which)
    if line is None:
        line = _lines[which] = LockLine(executor, key)
    return line
