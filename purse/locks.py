"""RedisLock: a lock on one Redis deployment, for the tasks of any number of processes.

    {garden}:lock             "7c0f.../12/10000"  the holder. Expires with the lease
    fence!{garden}:lock       41                  the latest fencing token. Never expires
    queue!{garden}:lock       sorted set          the waiting tasks, in the order of arrival. Removed with the last
    sessions!{garden}:lock    sorted set          the event loops of those tasks, and until when they keep their places

One script takes a free lock for the task that came first, or gives a place in the queue: see
``_coordination.lock_line``. While the lock is held, each waiting event loop sends one question every two seconds, and
one for each change of the key.

A lock is a lease: the server removes it when its time is over, no matter what its holder does. See
``_coordination.leases`` and docs/locks.md. One server stores the lock. If a replica that does not have the lock yet
replaces that server, two tasks can hold it. ``replicas=`` makes that rarer, ``Redlock`` asks a majority of independent
servers instead.
"""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Coroutine
from contextlib import AbstractAsyncContextManager
from datetime import timedelta
from types import TracebackType
from typing import TYPE_CHECKING, ClassVar

from redis.exceptions import ConnectionError, RedisError
from redis.exceptions import TimeoutError as ServerTimeout

from purse._coordination.beside import beside
from purse._coordination.debts import is_final
from purse._coordination.fencing import fenced_set
from purse._coordination.first_connection import CONNECTING
from purse._coordination.foreign import found_in
from purse._coordination.leases import Lease, LeasedLock, running_task
from purse._coordination.lock_line import BESIDE, Grant, LockLine, lock_line, validity
from purse._coordination.replicas import write_and_wait
from purse._engine.deadlines import Within
from purse._engine.hooks import refuse_in_atomic
from purse._engine.loops import PerLoop
from purse._engine.replies import as_flag
from purse._engine.scripts import load_script
from purse.codecs._shown import named, shown
from purse.collections._base import milliseconds
from purse.collections._field_options import field_options
from purse.collections._object import RedisObject, RedisType
from purse.errors import DeclarationError, LockError, LockNotAcquired, WrongKind

if TYPE_CHECKING:
    from purse._engine.clients import RedisClient

__all__ = ["Lease", "RedisLock", "fenced_set"]

_AT_ONCE = 0.8  # seconds within which a server must answer a caller that does not wait
_RELEASE = 1.0  # seconds within which a server must answer a caller that gives the lock back
_SHORTEST_MS = 10


class RedisLock(RedisObject, LeasedLock):
    """A lock that at most one task of all processes holds at a time, first come first served.

        async with lock as lease:               # waits for ever
            await write(..., lease.token)
        async with lock.within(5) as lease:     # LockNotAcquired after 5 s
            await write(..., lease.token)

    Args:
        redis: the client of one server, or of the primary that Sentinel names. A lock never closes it.
        rkey: the key, used unchanged. Three more keys are stored beside it, in the same hash slot.
        lease: seconds, or a ``timedelta``, after which the lock is free again unless it was extended.
        watchdog: extend the lease in blocks at a third of its time, and cancel the body when it is lost.
        replicas: how many replicas must confirm the lock before it counts as acquired or extended.
        replicas_timeout: seconds, or a ``timedelta``, within which they must confirm it.

    Raises:
        TypeError: ``redis`` is not a ``redis.asyncio.Redis``, or ``rkey`` not a ``str``.
        DeclarationError: an option has a wrong value. It is also a ``TypeError``.

    ``release`` and ``extend`` act on the lease of the task that calls them, or else on the latest lease whose task has
    ended. Any other lease has both methods itself. Any number of tasks may share one object, and several event loops
    may use it one after the other.
    """

    __slots__ = ("_lease_ms", "_line", "_replicas", "_replicas_ms", "rkey")

    __purse_structure__ = True
    redis_type: ClassVar[RedisType] = "string"
    __purse_beside__: ClassVar[tuple[str, ...]] = BESIDE
    _gives_leases = "acquire()"

    rkey: str

    def __init__(
        self,
        redis: RedisClient,
        rkey: str,
        *,
        lease: float | timedelta = 10.0,
        watchdog: bool = False,
        replicas: int = 0,
        replicas_timeout: float | timedelta = 1.0,
    ) -> None:
        RedisObject.__init__(self, redis, rkey)
        if type(replicas) is not int or replicas < 0:
            raise DeclarationError(f"{named(rkey)}: replicas= must be an int, 0 for none, not {shown(replicas)}")
        self._lease_ms = _duration_ms(rkey, "lease", lease, _SHORTEST_MS)
        self._replicas = replicas
        self._replicas_ms = _duration_ms(rkey, "replicas_timeout", replicas_timeout, 1)
        self._lines: PerLoop[LockLine] = PerLoop()
        self.rkey = rkey
        LeasedLock.__init__(self, rkey, self._lease_ms / 1000, watchdog=watchdog)

    @staticmethod
    def field(
        *,
        lease: float | timedelta | None = None,
        watchdog: bool | None = None,
        replicas: int | None = None,
        replicas_timeout: float | timedelta | None = None,
        key: str | None = None,
        rkey: str | None = None,
    ) -> RedisLock:
        """Options of a field of a ``Store``: ``gate: RedisLock = RedisLock.field(lease=30)``.

        Args:
            lease: seconds, or a ``timedelta``, after which the lock is free again unless it was extended.
            watchdog: extend the lease in blocks at a third of its time, and cancel the body when it is lost.
            replicas: how many replicas must confirm the lock before it counts as acquired or extended.
            replicas_timeout: seconds, or a ``timedelta``, within which they must confirm it.
            key, rkey: as for ``purse.field``.
        """
        return field_options(
            RedisLock,
            key=key,
            rkey=rkey,
            lease=lease,
            watchdog=watchdog,
            replicas=replicas,
            replicas_timeout=replicas_timeout,
        )

    # --- acquire ------------------------------------------------------------------------------------

    async def acquire(self, *, blocking: bool = True, timeout: float | timedelta | None = None) -> Lease | None:
        """Take the lock, after all tasks that came before. ``release`` gives it back, or it ends with its lease.

        ``async with`` is safer: it releases, and reports a lock that was lost. A call that is cancelled at any moment
        leaves neither the lock nor a place in the queue. If the server hangs, it removes them when it answers again.

        Args:
            blocking: whether to wait. With False the lock is taken only if it is free and no task waits for it.
            timeout: seconds, or a ``timedelta``, to wait at most. None waits for ever.

        Returns:
            The lease, or None if the lock could not be acquired in time.

        Raises:
            ValueError: ``timeout`` was given with ``blocking=False``, or is negative.
            LockError: this task holds the lock already, and would wait for itself.
            LockNotAcquired: fewer than ``replicas`` confirmed the lock in time, so it was given back.
            redis.exceptions.RedisError: the server refused, or could not be reached for about a second.

        Returns within ``timeout`` plus a second, or within a second if it does not wait, even if the server hangs.
        Without waiting, add ``replicas_timeout``, and up to two seconds for the first connection of the client.

        One round trip if the lock is free, O(log n) for n places in the queue. Sends: EVALSHA lock_acquire. While it
        waits EXISTS. With ``replicas`` EVAL lock_extend and WAIT, on a separate connection that is opened for it.
        """
        if timeout is None:
            seconds = None if blocking else 0.0
        elif not blocking:
            raise ValueError("acquire(blocking=False) does not wait, so it takes no timeout=: omit one of the two")
        else:
            seconds = _seconds(timeout)
        lease = await self._take(seconds)
        if lease is not None:
            self._hold(lease)
        return lease

    def within(self, timeout: float | timedelta) -> AbstractAsyncContextManager[Lease]:
        """``async with lock.within(5) as lease``: the block of ``async with lock``, or ``LockNotAcquired`` after 5 s.

        Args:
            timeout: seconds, or a ``timedelta``, to wait at most. 0 takes the lock if it is free and no task waits.

        Raises:
            ValueError: ``timeout`` is negative.

        The beginning of the block raises, costs and sends the same as ``acquire``, its end the same as ``release``. The
        body's own exception is never masked.
        """
        seconds = _seconds(timeout)
        return _Within(lambda: self._enter_within(seconds), self._leave)

    # --- release and extend -----------------------------------------------------------------------

    def release(self) -> Coroutine[object, object, None]:
        """Give back the lock that this task holds. The next task in the queue is notified at once.

        The lock of another task is never affected, whether that task shares this object or not. If the call is
        cancelled, the lock is released nevertheless.

        Raises:
            LockError: neither this task nor a task that has ended holds a lock through this object. Nothing was sent.
            LockLost: the lease had run out, or another client removed the lock. Another task may have held it since.
            redis.exceptions.RedisError: the server refused, or cannot be reached. The lock is released as soon as the
                server can be reached, or ends with its lease.

        One round trip, O(log n) for n places in the queue, at most a second. Sends: EVALSHA lock_release.
        """
        return self._release(running_task())

    async def _release(self, task: asyncio.Task[object] | None) -> None:
        await self._release_lease(self._lease_for("release", task))

    def extend(self) -> Coroutine[object, object, None]:
        """Start the time of the lease that this task holds again, from now.

        A lease that has run out is never revived, even if no other task has the lock.

        Raises:
            LockError: this task holds no lock, as for ``release``, or fewer than ``replicas`` confirmed the extension.
                Then the lease ends when it would have ended.
            LockLost: the lock is not held any more.
            redis.exceptions.RedisError: the server refused or cannot be reached. The end of the lease has not changed.

        One round trip, O(1). Sends: EVALSHA lock_extend. With ``replicas`` as ``acquire``.
        """
        return self._extend(running_task())

    async def _extend(self, task: asyncio.Task[object] | None) -> None:
        await self._extend_lease(self._lease_for("extend", task))

    async def locked(self) -> bool:
        """Whether a task of any process holds the lock.

        One round trip, O(1). Sends: EXISTS.
        """
        return as_flag(await self._read_plain(("EXISTS", self.rkey)))

    def __purse_explain__(self, error: Exception, field: object) -> Exception:
        """See ``Origin``."""
        found = found_in(error)
        if found is None:
            return super().__purse_explain__(error, field)
        keys = ", ".join(named(beside(self.rkey, name)) for name in BESIDE)
        return WrongKind(
            f"{named(self.rkey)}: another program has written to one of the keys beside the lock ({keys}): found "
            f"{found}. It was not changed. Delete that key, or choose another key for the lock.",
            key=self.rkey,
        )

    # --- for leases ---------------------------------------------------------------------------------

    def _disown(self) -> None:
        super()._disown()
        self._lines.disown()

    async def _take_for_block(self) -> Lease | None:
        return await self._take(None)

    async def _enter_within(self, seconds: float) -> Lease:
        lease = await self._take(seconds)
        if lease is None:
            raise LockNotAcquired(f"{named(self.rkey)}: could not acquire the lock within {seconds:g} s", key=self.rkey)
        return self._enter(lease)

    async def _take(self, seconds: float | None) -> Lease | None:
        refuse_in_atomic("acquire", "may have to wait for the lock")
        line = self._line_here()
        if line.is_held_by(asyncio.current_task()):
            raise LockError(
                f"{named(self.rkey)}: this task holds the lock already and would wait for itself, because a RedisLock "
                "is not re-entrant: acquire it once, around both blocks",
                key=self.rkey,
            )
        if seconds == 0 and not await self._connected(line):
            return None
        at_once = _AT_ONCE + (self._replicas_ms / 1000 if self._replicas else 0)
        limit = Within(at_once) if seconds == 0 else asyncio.timeout(seconds)
        try:
            async with limit:
                grant = await line.take(self._lease_time, self, wait=seconds is None or seconds > 0)
                if grant is not None and self._replicas:
                    grant = await self._replicated(line, grant)
        except TimeoutError:
            if not limit.expired():
                raise
            return None
        if grant is None:
            return None
        lease = Lease(self, self.rkey, grant.owner, grant.until, grant.token)
        line.hold(lease)
        return lease

    async def _connected(self, line: LockLine) -> bool:
        """Whether the client has, or had, a connection. Waits briefly for the first one."""
        if line.connection.is_late:
            return False
        limit = asyncio.timeout(CONNECTING)
        try:
            async with limit:
                await line.connection.wait()
        except TimeoutError:
            if not limit.expired():
                raise
            return False
        return True

    async def _replicated(self, line: LockLine, grant: Grant) -> Grant:
        """``grant``, when enough replicas have confirmed it. Otherwise the lock is given back."""
        try:
            try:
                until = await self._extend_replicated(grant.owner, grant.until)
            except _TooFew as error:
                raise LockNotAcquired(
                    f"{named(self.rkey)}: {error}, so the lock was given back: try again, or require fewer replicas=",
                    key=self.rkey,
                ) from None
            if until is None:
                raise LockNotAcquired(
                    f"{named(self.rkey)}: the lock was lost while the replicas confirmed it: try again", key=self.rkey
                )
        except BaseException:
            await line.take_back(grant.owner, self._lease_time, self)
            raise
        return grant._replace(until=until)

    async def _renew(self, lease: Lease) -> float | None:
        refuse_in_atomic("extend", "may have to wait for replicas")
        if not lease.remaining:
            return None
        if self._replicas:
            try:
                return await self._extend_replicated(lease.owner, asyncio.get_running_loop().time() + lease.remaining)
            except _TooFew as error:
                raise LockError(
                    f"{named(self.rkey)}: {error}, so the extension does not count: "
                    "the lease ends when it would have ended",
                    key=self.rkey,
                ) from None
        started = asyncio.get_running_loop().time()
        call = load_script("lock_extend")((self.rkey,), lease.owner, self._lease_ms)
        try:
            async with asyncio.timeout(lease.remaining):
                extended = as_flag(await self._executor.ask_again(call, self))  # a second execution is harmless
        except TimeoutError:
            return None
        return validity(started, self._lease_time) if extended else None

    async def _extend_replicated(self, owner: str, limit: float) -> float | None:
        """Extend on a separate connection, and wait there for replicas. None if ``owner`` does not hold the lock."""
        loop = asyncio.get_running_loop()
        started = loop.time()
        call = load_script("lock_extend")((self.rkey,), owner, self._lease_ms)
        have = 0
        try:
            async with asyncio.timeout_at(limit):
                extended, have = await write_and_wait(self.redis, call, self._replicas, self._replicas_ms)
                if not as_flag(extended):
                    return None
        except TimeoutError:
            pass
        until = validity(started, self._lease_time)
        if have < self._replicas or until <= loop.time():
            raise _TooFew(
                f"{have} of {self._replicas} replicas confirmed the lock within {self._replicas_ms / 1000:g} s"
            )
        return until

    async def _give_back(self, lease: Lease) -> bool:
        line = self._line_here()
        try:
            async with Within(_RELEASE):
                try:
                    return as_flag(await line.release(lease.owner, self))
                except (ConnectionError, ServerTimeout):
                    # The reply was lost, so the lock may have been released, and the second reply cannot tell.
                    await line.release(lease.owner, self)
                    return True
        except TimeoutError:
            line.owe(lease.owner, self._lease_time, self)
            raise ServerTimeout(
                f"{named(self.rkey)}: the server did not answer within {_RELEASE:g} s. The lock is released as "
                "soon as the server answers, or when its lease ends"
            ) from None
        except asyncio.CancelledError:  # the loop ends
            await line.take_back(lease.owner, self._lease_time, self)
            raise
        except (RedisError, OSError) as error:
            if not is_final(error):
                line.owe(lease.owner, self._lease_time, self)
            raise

    def _line_here(self) -> LockLine:
        line = self._lines.get(asyncio.get_running_loop())
        if line is None:
            self._lines.take_ended()
            # Shared, so that another object for the same key knows which task holds the lock.
            line = self._lines.here(lambda: lock_line(self._executor, self.rkey))
        return line


class _TooFew(Exception):
    """Fewer replicas than required have confirmed a write in time."""


class _Within(AbstractAsyncContextManager[Lease]):
    """The block of ``lock.within(5)``. It keeps its lease."""

    def __init__(
        self,
        enter: Callable[[], Awaitable[Lease]],
        leave: Callable[[Lease, BaseException | None], Awaitable[None]],
    ) -> None:
        self._enter = enter
        self._leave = leave
        self._leases: list[Lease] = []  # one, unless the object is entered again in its own block

    async def __aenter__(self) -> Lease:
        lease = await self._enter()
        self._leases.append(lease)
        return lease

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        await self._leave(self._leases.pop(), error)


def _duration_ms(rkey: str, option: str, given: object, least: int) -> int:
    number = isinstance(given, (int, float)) and not isinstance(given, bool) and abs(given) < 1e12
    if isinstance(given, timedelta) or (number and isinstance(given, (int, float))):
        duration_ms = milliseconds(given, 1000)
        if duration_ms >= least:
            return duration_ms
    raise DeclarationError(
        f"{named(rkey)}: {option}= must be seconds or a timedelta, at least {least} ms, not {shown(given)}"
    )


def _seconds(timeout: float | timedelta) -> float:
    seconds = timeout.total_seconds() if isinstance(timeout, timedelta) else timeout
    if not seconds >= 0:
        raise ValueError(f"timeout= must be at least 0 seconds, not {shown(timeout)}: omit it to wait for ever")
    return seconds
