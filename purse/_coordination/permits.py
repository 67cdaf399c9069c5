"""Permits: each is one holding of a semaphore. And the line of the callers that wait for them.

    acquire() --\\                                   wait for a change of the key, or for the next expiry
    acquire() ---+--> waiters ==> [one task] <====>
    acquire() --/                                   take as many permits as there are waiters, in one script

There is one line for each semaphore and event loop, and the line has one task while callers wait. The task takes the
permits, the callers do not. If a caller is cancelled while a permit is on its way, the next caller gets the permit, and
without a next caller it is given back. So a cancellation never interrupts a request that was sent.

A permit whose reply was lost has no holder. It is a debt, like a permit that could not be given back: see ``.debts``.
The permits of processes that died expire.
"""

from __future__ import annotations

import asyncio
import builtins
import copy
import math
import secrets
from collections import OrderedDict
from collections.abc import Mapping, Sequence
from types import TracebackType
from typing import TYPE_CHECKING
from weakref import WeakValueDictionary

from redis.exceptions import ConnectionError, RedisError, TimeoutError

from purse._coordination.debts import PATIENCE, Debts, has_link, is_final
from purse._engine.detached import detached
from purse._engine.hooks import refuse_in_atomic
from purse._engine.replies import as_array, as_flag, as_int
from purse._engine.scripts import ScriptCall, load_script
from purse._engine.wakeups import Look
from purse.codecs._shown import named, quoted
from purse.errors import LockError, LockLost

if TYPE_CHECKING:
    from typing import Self

    from purse._engine.interface import Executor
    from purse._engine.unit import Origin

__all__ = ["Permit", "PermitLine", "line_of"]

_PATIENCE = 5.0  # seconds without a try (a server whose clock was set forward has permits earlier than it said)


class Permit:
    """One permit of a ``RedisSemaphore``, from when it was acquired until it is released or expires.

    ``async with permit`` releases it at the end of the block, and raises ``LockLost`` if it had expired by then.

    Attributes:
        key: the semaphore's key.
        id: the unique name of the permit in the semaphore.
    """

    __slots__ = ("_line", "_released", "_until", "id", "key")

    def __init__(self, line: PermitLine, key: str, name: str, until: float) -> None:
        self.key: str = key
        self.id: str = name
        self._line = line
        self._until = until
        self._released = False

    def __repr__(self) -> str:
        return f"<Permit of {quoted(self.key)}{', released' if self._released else ''}>"

    @property
    def remaining(self) -> float:
        """Seconds for which the permit is certainly held. 0.0 when it has expired or was released.

        Counted by the monotonic clock of this process, so changes of the time of day have no effect. It counts from
        before the request was sent, so the server keeps the permit a little longer.
        """
        if self._released:
            return 0.0
        return max(0.0, self._until - asyncio.get_running_loop().time())

    async def extend(self) -> None:
        """Start the permit's lease again, from now. It can be extended any number of times.

        Raises:
            LockLost: the permit had expired and stays expired: another caller may have had its place.
            LockError: the permit was released.

        One round trip, O(log(permits)). Sends: EVALSHA semaphore_extend.
        """
        refuse_in_atomic("extend", "is about time that passes")
        self._check()
        started = asyncio.get_running_loop().time()
        extended = await self._line.extend(self.id)
        if not extended:
            self._until = -math.inf
            raise LockLost(
                f"{named(self.key)}: the permit had expired, so it was not extended. Give the semaphore a longer "
                "lease=, or extend() earlier",
                key=self.key,
            )
        self._until = started + self._line.lease

    async def release(self) -> None:
        """Give the permit back. If the caller is cancelled while it waits, the permit is given back nevertheless.

        Raises:
            LockLost: the permit had expired, and another caller may have had its place since.
            LockError: the permit was released before.
            redis.exceptions.ConnectionError, redis.exceptions.TimeoutError: the server cannot be reached, or its reply
                was lost. The permit is released as soon as the server can be reached, or expires.

        One round trip, O(log(permits)). Sends: EVALSHA semaphore_release.
        """
        refuse_in_atomic("release", "is also sent if its caller is cancelled")
        self._check()
        if not await self._give_back():
            raise self._lost()

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        if self._released:  # in the block, where release() has reported a loss
            return
        try:
            good = await self._give_back()
        except Exception as failure:
            if error is None:
                raise
            error.add_note(
                f"purse: could not give back the permit of {named(self.key)}, which expires: {quoted(failure)}"
            )
            return
        if not good and error is None:
            raise self._lost()
        if not good and error is not None:
            error.add_note(f"purse: the permit of {named(self.key)} had expired before the end of the block")

    def _check(self) -> None:
        if self._released:
            raise LockError(f"{named(self.key)}: this permit was released already: acquire another one", key=self.key)

    async def _give_back(self) -> bool:
        self._released = True
        # In a separate task: in a scope of anyio, a cancelled task is cancelled again at each await.
        return await asyncio.shield(detached(self._line.give_back(self.id), "giving a permit back"))

    def _lost(self) -> LockLost:
        return LockLost(
            f"{named(self.key)}: the permit expired before it was released, so another caller may have had its place. "
            "Give the semaphore a longer lease=, or extend() the permit in time",
            key=self.key,
        )


class PermitLine:
    """The callers of one event loop that wait for permits of one semaphore, and the task that serves them.

    Args:
        executor: sends the calls.
        origin: explains errors.
        key: the semaphore's key.
        limit: how many permits there may be at a time.
        lease_us: how long one permit is valid, in microseconds.
    """

    def __init__(self, executor: Executor, origin: Origin, key: str, limit: int, lease_us: int) -> None:
        self._executor = executor
        self._origin = origin
        self._key = key
        self._limit = limit
        self._lease_us = lease_us
        self._room = Look("ZCARD", self._has_room, self._count)
        # Callers remove themselves, from any position: it contains no callers that have left, and its length is exact.
        self._waiters: OrderedDict[asyncio.Future[Permit], None] = OrderedDict()
        self._task: asyncio.Task[None] | None = None
        self._idle = False  # nothing is under way: the task waits for a permit to become free
        self._debts: Debts[None] = Debts(self._release_all, lambda: has_link(executor))

    @property
    def lease(self) -> float:
        """How long a permit is valid, in seconds."""
        return self._lease_us / 1e6

    def __len__(self) -> int:
        """The number of waiting callers."""
        return len(self._waiters)

    async def get(self) -> Permit:
        """Wait for a permit, without a time limit, behind all callers that came before.

        Raises:
            redis.exceptions.RedisError: the server refused, or cannot be reached.
            StoreClosed: the client was closed.
        """
        waiter: asyncio.Future[Permit] = asyncio.get_running_loop().create_future()
        self._waiters[waiter] = None
        self._serve()
        try:
            return await waiter
        except BaseException:  # cancelled, or told of an error, or its coroutine was closed
            self._waiters.pop(waiter, None)
            waiter.cancel()
            if not waiter.cancelled() and waiter.exception() is None:  # served in this very moment
                self._hand(waiter.result())
            if not self._waiters and self._idle and self._task is not None:
                self._task.cancel()
            raise

    async def get_nowait(self) -> Permit | None:
        """A permit if one is free and no caller waits for it, else None.

        Raises:
            redis.exceptions.RedisError: the server refused, or cannot be reached.
        """
        if self._waiters:
            return None
        taking = detached(self._take(1), "taking a permit")
        try:
            permits, _ = await asyncio.shield(taking)
        except asyncio.CancelledError:
            taking.add_done_callback(self._hand_all)
            raise
        return permits[0] if permits and permits[0].remaining > 0 else None

    async def extend(self, name: str) -> bool:
        """Start the time of a permit again. Returns whether it was still valid."""
        call = load_script("semaphore_extend")((self._key,), name, self._lease_us)
        return as_flag(await self._executor.ask(call, self._origin))

    async def give_back(self, name: str) -> bool:
        """Release a permit, now or later. Returns whether it was still valid."""
        try:
            return as_flag(await self._executor.ask(self._releasing(name), self._origin))
        except asyncio.CancelledError:  # the loop ends
            await self._owe([name])
            raise
        except (RedisError, OSError) as error:
            if not is_final(error):
                self._debts.owe(name, None, self.lease)
            raise

    def _releasing(self, *names: str) -> ScriptCall:
        return load_script("semaphore_release")((self._key,), *names)

    async def _release_all(self, owed: Mapping[str, None]) -> None:
        await self._executor.ask(self._releasing(*owed).by_body(), self._origin)

    async def _owe(self, names: Sequence[str], *, in_doubt: bool = False) -> None:
        """Have permits given back, and wait briefly for the first try."""
        tried = [self._debts.owe(name, None, self.lease, in_doubt=in_doubt) for name in names]
        await asyncio.wait(tried, timeout=2 * PATIENCE)

    # --- serving ----------------------------------------------------------------------------------

    def _serve(self) -> None:
        if self._task is None:
            self._task = detached(self._run(), "waiting for permits")

    async def _run(self) -> None:
        vain = 0
        try:
            while self._waiters:
                permits, free_us = await self._take(min(len(self._waiters), self._limit))
                good = [permit for permit in permits if permit.remaining > 0]
                for permit in permits:
                    self._hand(permit)
                if good:
                    vain = 0
                if self._waiters:
                    vain = await self._changed(free_us, vain)
        except Exception as error:
            self._fail(error)
        finally:
            self._task = None
            if self._waiters:
                self._serve()  # a caller came while this task was being stopped

    async def _take(self, wanted: int) -> tuple[list[Permit], int]:
        """Take up to ``wanted`` free permits. Returns them, and in how many microseconds the next one expires."""
        name = secrets.token_hex(12)
        started = asyncio.get_running_loop().time()  # before it is sent: the server starts counting later
        call = load_script("semaphore_acquire")((self._key,), self._limit, self._lease_us, name, wanted)
        names = [f"{name}-{nth}:{self._lease_us}" for nth in range(1, wanted + 1)]
        try:
            taken, free_us = map(as_int, as_array(await self._executor.ask(call, self._origin)))
        except (ConnectionError, TimeoutError):
            for name in names:
                self._debts.owe(name, None, self.lease, in_doubt=True)
            raise
        except asyncio.CancelledError:  # the loop ends
            await self._owe(names, in_doubt=True)
            raise
        return [Permit(self, self._key, name, started + self.lease) for name in names[:taken]], free_us

    async def _changed(self, free_us: int, vain: int) -> int:
        """Wait until a permit may be free, because one was given back or has expired.

        Returns:
            How patient to be the next time.
        """
        expiry = asyncio.timeout(min(free_us / 1e6 + 0.001, _PATIENCE))
        self._idle = True
        try:
            async with expiry:
                return await self._executor.wakeups(self._key).wait(self._key, vain, self._room)
        except builtins.TimeoutError:
            if not expiry.expired():
                raise
            return 0
        finally:
            self._idle = False

    def _has_room(self, size: int) -> bool:
        return size < self._limit

    async def _count(self) -> int:
        """The number of permits, including those that have expired and were not removed yet."""
        return as_int(await self._executor.ask_again(("ZCARD", self._key), self._origin))

    def _hand(self, permit: Permit) -> None:
        """Give a permit to the first waiting caller. Without one, or if its time is over already, give it back."""
        while self._waiters and permit.remaining > 0:
            waiter, _ = self._waiters.popitem(last=False)
            if not waiter.done():
                waiter.set_result(permit)
                return
        detached(self.give_back(permit.id), "giving a permit back")

    def _hand_all(self, taking: asyncio.Task[tuple[list[Permit], int]]) -> None:
        if not taking.cancelled() and taking.exception() is None:
            for permit in taking.result()[0]:
                self._hand(permit)

    def _fail(self, error: Exception) -> None:
        while self._waiters:
            waiter, _ = self._waiters.popitem(last=False)
            if not waiter.done():
                waiter.set_exception(copy.copy(error))


_lines: WeakValueDictionary[tuple[object, ...], PermitLine] = WeakValueDictionary()


def line_of(executor: Executor, origin: Origin, key: str, limit: int, lease_us: int) -> PermitLine:
    """The line of a semaphore in the running loop, the same for all its objects. It is kept while it is in use."""
    place = (asyncio.get_running_loop(), executor, key, limit, lease_us)
    line = _lines.get(place)
    if line is None:
        line = _lines[place] = PermitLine(executor, origin, key, limit, lease_us)
    return line
