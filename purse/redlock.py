"""Redlock: one lock on several independent masters, held by the task that took it on a majority of them.

    task                 master 1   master 2   master 3   master 4   master 5
    acquire() -- take -->  yes        yes        (held)     yes        ...       3 of 5: granted

                started                granted                                    the keys expire
    lease          |----------------------|---------------------------------------------|
    validity                              |-------------------------------------|
                                                                    drift: 1 % and 2 ms

The keys on each master, for ``Redlock("gate", masters)``:

    gate             string  the owner's name, 32 random hex digits. Expires with the lease
    !waiting!{gate}  string  the event loop that was refused, for 300 ms at most. Only if several want the lock
    !fence!{gate}    string  the greatest token accepted, for ever. Only with ``fencing=True``, see ``.fencing``

(A module with a dot in front is in ``purse._coordination``.)

**Algorithm.** Each attempt has a new name and sends SET NX PX with it to all masters at once. If a majority accepts it
and some validity is left, the lock is held. Otherwise the name is released again on every master that said yes or has
not answered. A minority is not waited for: a round ends when it is decided, and at the latest after
``min(lease, PATIENCE)`` seconds, counted from when the masters can be asked. Because each retry has a new name, late
answers to an earlier attempt have no effect on it. Tasks of one event loop wait in a queue (``.turns``). Between
processes there is no order: the process that asks when the lock is free gets it. Retries start at 5 to 10 ms and grow
to 50 to 100 ms.

**Arithmetic.** ``validity = lease - elapsed - lease / 100 - 2 ms``. ``elapsed`` counts from before the first SET was
sent, on the monotonic clock. A key that was set after ``started`` lives at least until ``started + lease`` on its
master's clock. The last two terms allow for a master's clock that runs up to 1 % faster than ours. Extending does the
same calculation from the start of the extension. It counts only if a majority still had the owner's name and the old
validity had not ended before the answer came.

**Assumptions.** (1) Masters are independent: they are not replicas of each other, nor databases of one server.
(2) Clocks run at about the same rate. The time that they show does not matter. (3) A master does not forget a key
before its time: its data survives a restart (appendonly, appendfsync always), or ``min_uptime`` keeps it from voting
until the leases that it may have forgotten have ended. (4) Keys are not evicted, deleted or flushed by others.

**Violations.** Without (3): A holds masters 1, 2 and 3. Master 3 restarts empty. B takes 3, 4 and 5, and there are
two holders. Without (2), or with a holder that is suspended: A looks at ``remaining``, is stopped for a minute (by a
debugger, the lid of a laptop, the garbage collector) and continues while B holds the lock. No lock with a lease can
prevent that. If A must not write then, its writes have to carry its token: use ``fencing=True`` and
``purse.locks.fenced_set``.
"""

from __future__ import annotations

import asyncio
import random
from asyncio import get_running_loop
from collections.abc import Coroutine, Sequence

from purse._coordination.attempts import Attempt, drift_of
from purse._coordination.beside import beside
from purse._coordination.first_connection import CONNECTING
from purse._coordination.foreign import found_in
from purse._coordination.leases import Lease, LeasedLock, running_task
from purse._coordination.quorum import PATIENCE, Round, ask_all, connected, is_positive, majority_of, master_of
from purse._coordination.turns import ASK_FIRST, ASK_LAST, Line, line_of
from purse._engine import hooks
from purse._engine.clients import RedisClient, check_client
from purse._engine.loops import PerLoop
from purse._engine.scripts import ScriptCall, load_script
from purse._engine.slots import hash_tag
from purse.codecs._shown import named
from purse.errors import LockError, LockLost, LockNotAcquired, WrongKind

__all__ = ["Redlock"]

_EXTEND, _LEFT = load_script("redlock_extend"), load_script("redlock_left")


class Redlock(LeasedLock):
    """A lock on several independent Redis masters: an advisory lease, held by at most one task at a time.

        lock = Redlock("gate", [Redis(host=h) for h in ("a", "b", "c")], auto_release_time=10_000)
        async with lock as lease:
            ...

    The lock stays available, and still excludes, while a minority of the masters is down, hung or cut off. A task holds
    it for ``auto_release_time`` at most, unless the lease is extended. Leaving the block later than that raises
    ``LockLost``. Tasks may share one object, and they exclude each other. It can be used again, also from another event
    loop.

    Args:
        key: the key on each master.
        masters: clients of 3 or 5 independent servers. Their timeouts do not matter.
        raise_on_redis_errors: raise if so many masters fail that there can be no majority, instead of trying again or
            returning False. The argument of a method overrides it.
        auto_release_time: the lease in milliseconds.
        num_extensions: how often one holding may be extended by ``extend``, or -1 for no limit.
        context_manager_blocking: whether ``async with`` waits for the lock.
        context_manager_timeout: seconds for which it waits, or -1 to wait for ever.
        watchdog: extend in ``async with`` at each third of the lease, however often, and cancel the body with
            ``LockLost`` if the lock is lost.
        fencing: give each holding a token, ``lease.token``, greater than that of every earlier one. For the very first
            token of a key all masters must answer, and have been up for three seconds.
        min_uptime: seconds for which a master's server must have been up to have a vote. For masters that may be
            restarted without their data it must be at least the lease. None: any uptime.

    Raises:
        ValueError: there are no masters, or one of them is given twice. The lease is too short to be valid for any
            time. Or there is a timeout without waiting.
        TypeError: a master is not a ``redis.asyncio.Redis``.
    """

    __purse_spread__ = False

    def __init__(
        self,
        key: str,
        masters: Sequence[RedisClient],
        raise_on_redis_errors: bool = False,
        auto_release_time: int = 10_000,
        num_extensions: int = 3,
        context_manager_blocking: bool = True,
        context_manager_timeout: float = -1,
        *,
        watchdog: bool = False,
        fencing: bool = False,
        min_uptime: float | None = None,
    ) -> None:
        _check_timeout(context_manager_blocking, context_manager_timeout)
        if not masters or len({*map(id, masters)}) < len(masters):
            raise ValueError(
                f"{key}: masters= must be one or more clients, each of a different server: pass for example 3 or 5"
            )
        for master in masters:
            check_client(master)
        lease = auto_release_time / 1000
        if lease - drift_of(lease) <= 0:
            raise ValueError(
                f"{key}: auto_release_time={auto_release_time} is too short: it counts milliseconds, write for example "
                "10_000"
            )
        super().__init__(key, lease, watchdog=watchdog)
        self.masters = masters
        self.raise_on_redis_errors = raise_on_redis_errors
        self.num_extensions = num_extensions
        self.context_manager_blocking = context_manager_blocking
        self.context_manager_timeout = context_manager_timeout
        self.fencing = fencing
        self.min_uptime = min_uptime
        self._token = -1
        self._lines: PerLoop[Line] = PerLoop()  # kept, so that grants in a row are counted while no task waits

    @property
    def key(self) -> str:
        """The key on each master. Changing it does not affect a lease that is held."""
        return self._key

    @key.setter
    def key(self, value: str) -> None:
        self._key = value

    @property
    def auto_release_time(self) -> int:
        """The lease in milliseconds. A change applies from the next ``acquire`` or ``extend`` on."""
        return round(self._lease_time * 1000)

    @auto_release_time.setter
    def auto_release_time(self, value: int) -> None:
        self._lease_time = value / 1000

    # --- what users call --------------------------------------------------------------------------

    async def acquire(
        self, *, blocking: bool = True, timeout: float = -1, raise_on_redis_errors: bool | None = None
    ) -> bool:
        """Take the lock, or wait for it.

        Tasks of one event loop are served in their order. Other processes get their turn after a few of them. An
        attempt that is cancelled or comes too late holds nothing: a background task cleans it up, within a second on
        masters that answer.

        Args:
            blocking: False tries once, which takes less than a second whatever the masters do, up to two seconds more
                for masters that have never been connected, and 0.8 s more with ``fencing``.
            timeout: seconds to wait, or -1 to wait for ever. The call returns within a second after that.
            raise_on_redis_errors: see the class.

        Returns:
            Whether it is held now. False if it could not be acquired in time, or there was no majority.

        Raises:
            LockNotAcquired: too many masters failed, and ``raise_on_redis_errors`` holds. The cause has their errors.
            ValueError: a timeout without waiting.

        One round trip to all masters at once, O(1), for each try. Sends: SET, and EVALSHA redlock_take for retries and
        with ``fencing`` or ``min_uptime``.
        """
        lease = await self._acquire(blocking, timeout, raise_on_redis_errors)
        if lease is not None:
            self._hold(lease)
        return lease is not None

    def locked(self, *, raise_on_redis_errors: bool | None = None) -> Coroutine[object, object, int]:
        """Ask the masters how long the lock is still good for.

        Returns:
            Milliseconds of validity left. 0 if this task does not hold the lock (as for ``release``), or no majority
            confirms it within 0.8 s.

        Raises:
            LockError: too many masters failed, and ``raise_on_redis_errors`` holds. The cause has their errors.

        One round trip to all masters at once, O(1). Sends: EVALSHA redlock_left, or nothing if the lock is not held.
        """
        return self._validity(running_task(), raise_on_redis_errors)

    async def _validity(self, task: asyncio.Task[object] | None, raise_errors: bool | None) -> int:
        hooks.refuse_in_atomic("Redlock.locked")
        lease = self._lease_of(task) or self._ending(task)
        if lease is None or not lease.remaining:
            return 0
        asked = self._ask(_LEFT((lease.key,), lease.owner))
        if await asked.won(self._bound):
            times = sorted(answer for answer in asked.answers if isinstance(answer, int))
            left = times[-majority_of(len(asked.answers))]
            elapsed = get_running_loop().time() - asked.started
            return max(0, int(1000 * min(lease.remaining, left / 1000 - elapsed - drift_of(self._lease_time))))
        self._report(asked, raise_errors, LockError)
        return 0

    def extend(self, *, raise_on_redis_errors: bool | None = None) -> Coroutine[object, object, None]:
        """Start the lease again, from now.

        Only for the holder, while the lease is valid and a majority still has it. A key that is gone is not restored.

        Args:
            raise_on_redis_errors: kept for 2.x. An extension that fails always raises.

        Raises:
            LockError: there have been ``num_extensions`` already, or this task holds nothing (as for ``release``).
            LockLost: the lease has run out, or no majority confirmed within 0.8 s. In the second case the lock is
                still held for as long as ``lease.remaining`` says.

        One round trip to all masters at once, O(1). Sends: EVALSHA redlock_extend.
        """
        return self._extend(running_task())

    async def _extend(self, task: asyncio.Task[object] | None) -> None:
        await self._extend_lease(self._lease_for("extend", task))

    def release(self, *, raise_on_redis_errors: bool | None = None) -> Coroutine[object, object, None]:
        """Give the lock back.

        Releases the lease of the running task, or else the latest lease whose task has ended, unless a block will
        release that one. The lease of another task that runs is never touched, even if it shares this object. If this
        call is cancelled, the lock is released nevertheless. A master that does not answer is asked again until it
        answers or its key has expired.

        Args:
            raise_on_redis_errors: kept for 2.x. A release that fails always raises.

        Raises:
            LockLost: the lock was not held any more.
            LockError: neither this task nor a task that has ended holds the lock through this object, and nothing was
                sent. Or no majority confirmed within 0.8 s: then the lock is free at the latest when the lease ends.

        One round trip to all masters at once, O(1). Sends: EVALSHA redlock_release.
        """
        return self._release(running_task())

    async def _release(self, task: asyncio.Task[object] | None) -> None:
        await self._release_lease(self._lease_for("release", task))

    # --- acquiring ----------------------------------------------------------------------------------

    async def _take_for_block(self) -> Lease | None:
        return await self._acquire(self.context_manager_blocking, self.context_manager_timeout, None)

    async def _acquire(self, blocking: bool, timeout: float, raise_errors: bool | None) -> Lease | None:
        _check_timeout(blocking, timeout)
        hooks.refuse_in_atomic("Redlock.acquire")
        loop = get_running_loop()
        line = line_of(self._key, self.masters)
        self._lines.take_ended()
        self._lines.put(loop, line)
        if not blocking:
            return None if line.is_held else (await self._try(line, raise_errors, None, waiting=False))
        deadline = None if timeout < 0 else loop.time() + timeout
        if not await line.enter(deadline):
            return None
        try:
            pause, waiting = ASK_FIRST, False
            while True:
                lease = await self._try(line, raise_errors, deadline, waiting=waiting)
                if lease is not None:
                    return lease
                now = loop.time()
                if deadline is not None and now >= deadline:
                    return None
                line.yielded()
                waiting = True
                wait = pause * random.uniform(0.5, 1)
                await asyncio.sleep(wait if deadline is None else min(wait, deadline - now))
                if not await line.vacant(deadline):  # another task of this loop got it without waiting
                    return None
                pause = min(1.6 * pause, ASK_LAST)
        finally:
            line.exit()

    async def _try(
        self, line: Line, raise_errors: bool | None, deadline: float | None, *, waiting: bool
    ) -> Lease | None:
        """Make one attempt. With tokens, repeat it while the token is the reason for a refusal and there is time."""
        loop = get_running_loop()
        began = loop.time()
        connecting = CONNECTING if deadline is None else min(CONNECTING, max(0.0, deadline - began))
        await connected([master_of(master) for master in self.masters], connecting)
        ready = loop.time()
        end = ready + (2 * PATIENCE if self.fencing else PATIENCE)
        if deadline is not None:
            end = min(end, max(deadline, ready) + PATIENCE)
        while True:
            token = max(line.token, self._token) + 1 if self.fencing else None
            attempt = Attempt(self._key, self.masters, self._lease_time, self, line.name, token, self.min_uptime)
            now = loop.time()
            until = await attempt.take(
                note=waiting,
                within=min(PATIENCE, end - now),
                connecting=max(0.0, began + connecting - now),
            )
            if token is not None:
                self._token = line.token = max(self._token, attempt.greatest_token)
            if until is not None:
                lease = _Holding(self, attempt, line, until)
                line.hold(lease)
                return lease
            if not await attempt.repair(end) or loop.time() >= end:
                break
        self._report(attempt.round, raise_errors, LockNotAcquired)
        return None

    def _report(self, asked: Round, raise_errors: bool | None, kind: type[LockError]) -> None:
        """Raise, if the caller wants it, that so many masters failed that there was no majority."""
        if self.raise_on_redis_errors if raise_errors is None else raise_errors:
            faults = asked.faults
            if faults is not None:
                raise kind(
                    f"{named(self._key)}: most of the masters did not answer: see the cause for their errors",
                    key=self._key,
                ) from faults

    # --- extending and releasing ----------------------------------------------------------------------

    async def _extend_lease(self, lease: Lease) -> None:
        hooks.refuse_in_atomic("Redlock.extend")
        if 0 <= self.num_extensions <= lease.extensions:
            raise LockError(
                f"{named(self._key)}: the lock was extended {lease.extensions} times already, and num_extensions= "
                "allows no more: raise it, or write num_extensions=-1 for no limit",
                key=self._key,
            )
        await super()._extend_lease(lease)

    async def _renew(self, lease: Lease) -> float | None:
        assert isinstance(lease, _Holding)
        if not lease.remaining:
            return None
        asked = self._ask(_EXTEND((lease.key,), lease.owner, self.auto_release_time))
        if await asked.won(self._bound):
            until = asked.started + self._lease_time - drift_of(self._lease_time)
            lease.attempt.prolong(asked.started + self._lease_time)
            return until if lease.remaining and until > get_running_loop().time() else None
        if asked.is_refused:
            return None
        raise LockLost(
            f"{named(self._key)}: the lock was not extended, because no majority answered. It is held for another "
            f"{lease.remaining:.3f} s: call extend() again before that",
            key=self._key,
        ) from asked.faults

    async def _release_lease(self, lease: Lease) -> None:
        hooks.refuse_in_atomic("Redlock.release")
        await super()._release_lease(lease)
        if isinstance(lease, _Holding) and not lease.is_confirmed:
            raise LockError(
                f"{named(self._key)}: the lock was released, but no majority of the masters has confirmed it. Masters "
                "that do not answer forget it when the lease ends",
                key=self._key,
            )

    async def _give_back(self, lease: Lease) -> bool:
        assert isinstance(lease, _Holding)
        others_wait = False
        try:
            given = lease.attempt.release()
            lease.is_confirmed = await given.won(PATIENCE)
            others_wait = 2 in given.answers
            return lease.is_confirmed or not given.is_refused
        finally:
            lease.line.leave(lease, others_wait=others_wait)

    # --- asking the masters ---------------------------------------------------------------------------

    @property
    def _bound(self) -> float:
        return min(self._lease_time, PATIENCE)

    def _ask(self, call: ScriptCall) -> Round:
        return ask_all([master_of(master) for master in self.masters], call, self, is_positive, self._lease_time)

    def __purse_slot_of__(self, field: object) -> str:
        """See ``Origin``."""
        return hash_tag(self._key)

    def __purse_explain__(self, error: Exception, field: object) -> Exception:
        """See ``Origin``."""
        found = found_in(error)
        if found is not None:
            fence = named(beside(self._key, "fence"))
            return WrongKind(
                f"{named(self._key)}: the key {fence} must hold the lock's fence, but another program has written to "
                f"it: found {found}. This master has no vote. See docs/redlock.md on fences that are lost.",
                key=self._key,
            )
        error.add_note(f"purse: the lock {named(self._key)}")
        return error


class _Holding(Lease):
    """A lease, and the attempt that acquired it."""

    __slots__ = ("attempt", "is_confirmed", "line")

    def __init__(self, lock: Redlock, attempt: Attempt, line: Line, until: float) -> None:
        super().__init__(lock, attempt.key, attempt.owner, until, attempt.token)
        self.attempt = attempt
        self.line = line
        self.is_confirmed = True


def _check_timeout(blocking: bool, timeout: float) -> None:
    if not blocking and timeout != -1:
        raise ValueError("a timeout needs blocking=True: omit the timeout, or leave blocking=True")
