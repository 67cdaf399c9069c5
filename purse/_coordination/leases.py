"""Leases: what it means to hold a lock for a while, for every lock there is.

    acquire          a third        two thirds                          the end of the validity
      |-----------------|---------------|-----------------------------------|
      body runs         watchdog extends, and the clock starts again        LockLost

A lock is never more than a lease: the server forgets it when its time is up, whatever its holder does. So everything
here asks the monotonic clock how long the lease is good for, and says so when it is not any more:

- ``async with lock as lease`` reports with ``LockLost`` at the end of the block that the lease had run out or was
  taken, unless the body raised something itself, which is never masked;
- a watchdog (opt-in) extends the lease at a third of its time, and cancels the body with ``LockLost`` when it is lost;
- releasing is done by a task of its own, so a caller that is cancelled meanwhile still releases.

How a lock is taken, extended and given back is for subclasses: on one server or on a majority of several.
"""

from __future__ import annotations

import asyncio
import weakref
from abc import ABC, abstractmethod
from types import TracebackType
from typing import ClassVar

from purse._engine.detached import background, detached
from purse._engine.forks import in_child, keep
from purse.codecs._shown import named, quoted
from purse.errors import LockError, LockLost, LockNotAcquired

# pyright: reportPrivateUsage=false
# A lease, its lock and its watchdog are one thing; what they tell each other is nobody else's business.

__all__ = ["Lease", "LeasedLock", "has_ended", "refuse_to_end", "running_task"]

_locks: weakref.WeakSet[LeasedLock] = weakref.WeakSet()


def _disown_all() -> None:
    """Hold nothing: the leases are the parent's."""
    for lock in list(_locks):  # the child has one thread, so nothing is added meanwhile
        lock._disown()


in_child(_disown_all)


def running_task() -> asyncio.Task[object] | None:
    """The running task, if there is one.

    A method asks when it is called, and returns a coroutine: ``wait_for`` (up to Python 3.11), ``shield``, ``gather``
    and ``create_task`` run that in another task, and it concerns the lease of the caller all the same.
    """
    try:
        return asyncio.current_task()
    except RuntimeError:  # no loop runs here
        return None


def has_ended(task: asyncio.Task[object] | None) -> bool:
    """Whether ``task`` will never run again; None stands for one that is not there any more."""
    return task is None or task.done() or task.get_loop().is_closed()


class Lease:
    """One holding of a lock, from its acquisition to its release: what ``async with lock as lease`` gives.

    Attributes:
        key: the lock's key.
        owner: what is stored under it while this lease holds it; unique.
    """

    __slots__ = ("__weakref__", "_body", "_fence", "_lock", "_lost", "_until", "extensions", "key", "owner")

    def __init__(self, lock: LeasedLock, key: str, owner: str, until: float, fence: int | None) -> None:
        self.key: str = key
        self.owner: str = owner
        self.extensions: int = 0
        self._lock = lock
        self._until = until
        self._fence = fence
        self._lost = False
        task = asyncio.current_task()
        self._body = None if task is None else weakref.ref(task)

    @property
    def token(self) -> int:
        """The fencing token: greater than that of every earlier holder, for whatever must not be changed by a late one.

        Raises:
            LockError: the lock was made without ``fencing=True``.
        """
        if self._fence is None:
            raise LockError(
                f"{named(self.key)}: there are no tokens without fencing=True where the lock is made", key=self.key
            )
        return self._fence

    @property
    def until(self) -> float:
        """The loop's time to which it is good, unless it is lost or released before."""
        return self._until

    @property
    def remaining(self) -> float:
        """Seconds for which the lock is certainly held by this lease alone; 0.0 when it is lost or released."""
        if self._lost:
            return 0.0
        return max(0.0, self._until - asyncio.get_running_loop().time())

    async def extend(self) -> None:
        """Start the lease's time again; see the lock's ``extend``."""
        await self._lock._extend_lease(self)

    async def release(self) -> None:
        """Give the lock back; see the lock's ``release``."""
        await self._lock._release_lease(self)

    def is_of(self, task: asyncio.Task[object] | None) -> bool:
        """Whether ``task`` acquired it."""
        return task is not None and self._body is not None and self._body() is task

    @property
    def is_orphan(self) -> bool:
        """Whether the task that acquired it has ended, or was left behind by a loop that is closed."""
        return has_ended(None if self._body is None else self._body())


class LeasedLock(ABC):
    """What locks have in common: who holds what, the block, the watchdog.

    A lease belongs to the task that acquired it. When that task has ended, it belongs to every task that uses the
    lock's object: ``wait_for`` (up to Python 3.11), ``create_task``, ``gather`` and fixtures acquire in tasks that end.

    Args:
        watchdog: whether ``async with`` extends by itself, and cancels its body when the lock is lost.
    """

    _gives_leases: ClassVar[str] = "`async with`"

    def __init__(self, key: str, lease_time: float, *, watchdog: bool) -> None:
        self._key = key
        self._lease_time = lease_time
        self._watchdog = watchdog
        # A lock may be shared by threads. Both are changed by one call at a time, and looked through in copies.
        self._held: list[Lease] = []
        self._blocks: dict[Lease, _Watchdog | None] = {}  # those of ``async with``, in their order
        _locks.add(self)

    def _disown(self) -> None:
        """Forget every lease: this process is a fork, they are its parent's."""
        keep((self._held, self._blocks))
        self._held, self._blocks = [], {}

    # --- what subclasses know how to do -----------------------------------------------------------

    @abstractmethod
    async def _take_for_block(self) -> Lease | None:
        """Acquire, as ``async with`` is to do it; None if it could not be had. Not yet in ``_held``."""

    @abstractmethod
    async def _renew(self, lease: Lease) -> float | None:
        """Start the time of ``lease`` again where it still holds; the loop's time until which it is good, or None."""

    @abstractmethod
    async def _give_back(self, lease: Lease) -> bool:
        """Release; whether it was still held. Bounded in time, and left behind nothing when cancelled."""

    # --- who holds what ---------------------------------------------------------------------------

    def _hold(self, lease: Lease) -> None:
        """Count ``lease`` among those that are held, and no longer those that ran out without being released."""
        for one in self._held.copy():
            if one.remaining <= 0 and one not in self._blocks:
                self._let_go(one)
        self._held.append(lease)

    def _let_go(self, lease: Lease) -> bool:
        """Hold ``lease`` no longer; False if it is not held, or another caller is just letting it go."""
        try:
            self._held.remove(lease)
        except ValueError:
            return False
        return True

    def _mine(self) -> Lease | None:
        """What ``_lease_of`` says of the running task."""
        return self._lease_of(running_task())

    def _lease_of(self, task: asyncio.Task[object] | None) -> Lease | None:
        """The latest lease of ``task``, or else of a task that has ended, unless its block will release it."""
        latest = self._held.copy()[::-1]
        mine = (lease for lease in latest if lease.is_of(task))
        return next(mine, None) or next((one for one in latest if one.is_orphan and one not in self._blocks), None)

    def _lease_for(self, method: str, task: asyncio.Task[object] | None) -> Lease:
        """``_lease_of``, for the method of that name.

        Raises:
            LockError: there is none; nothing was sent.
        """
        lease = self._lease_of(task)
        if lease is None:
            raise LockError(
                f"{named(self._key)}: {method}() by a task for which, through this object, the lock is not "
                "held; acquire() it "
                f"first, or call lease.{method}() on the lease that {self._gives_leases} gave to its holder",
                key=self._key,
            )
        return lease

    async def _extend_lease(self, lease: Lease) -> None:
        until = await self._renew(lease) if lease in self._held else None
        if until is None:
            lease._lost = True
            raise LockLost(f"{named(self._key)}: the lock is not held any more, so it was not extended", key=self._key)
        lease._until = until
        lease.extensions += 1

    async def _release_lease(self, lease: Lease) -> None:
        if not await self._released(lease):
            raise LockLost(
                f"{named(self._key)}: the lock was not held any more when it was released; somebody else may "
                "have had it "
                "meanwhile",
                key=self._key,
            )

    async def _released(self, lease: Lease) -> bool:
        """Release ``lease``, also if this task is cancelled meanwhile; whether it had been held all the time."""
        if not self._let_go(lease):
            return False
        watchdog = self._blocks.get(lease)
        if watchdog is not None:  # released in the block: there is nothing to watch any more
            watchdog.stop()
        held = lease.remaining > 0
        lease._lost = True
        # A task of its own: under a scope of anyio, whoever is cancelled is cancelled again at each await.
        giving = detached(self._give_back(lease), "release")
        await asyncio.wait((giving,))
        return giving.result() and held

    # --- the block --------------------------------------------------------------------------------

    async def __aenter__(self) -> Lease:
        return self._enter(await self._take_for_block())

    def _enter(self, lease: Lease | None) -> Lease:
        """Begin the block that holds ``lease``; there is no await between its acquisition and this."""
        if lease is None:
            raise LockNotAcquired(
                f"{named(self._key)}: the lock is held by others, or there is no quorum", key=self._key
            )
        self._hold(lease)
        self._blocks[lease] = _Watchdog(self, lease) if self._watchdog else None
        return lease

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        if not self._blocks:  # this process is a fork, and the block was its parent's
            return
        lease = self._ending(running_task())
        if lease is None:
            refuse_to_end(self._key, error)
        else:
            await self._leave(lease, error)

    async def _leave(self, lease: Lease, error: BaseException | None) -> None:
        """End the block of ``lease``, whose body has raised ``error``."""
        try:
            watchdog = self._blocks.pop(lease)
        except KeyError:  # ended already, or by another caller at this moment
            return
        lost = watchdog is not None and watchdog.stop() and watchdog.take_back()
        try:
            held = lease not in self._held or await self._released(lease)  # it may have been released in the block
        except Exception as failure:
            if error is not None:
                error.add_note(
                    f"purse: the lock {named(self._key)} was not released, and ends with its lease: {quoted(failure)}"
                )
            elif not lost:
                raise
            held = True
        if lost and (error is None or isinstance(error, asyncio.CancelledError)):
            raise LockLost(
                f"{named(self._key)}: the lock was lost, and the block was cancelled", key=self._key
            ) from error
        if held and not lost:
            return
        if error is not None:
            error.add_note(f"purse: the lock {named(self._key)} was not held any more at the end of the block")
            return
        raise LockLost(
            f"{named(self._key)}: the lock was not held to the end of the block; somebody else may have had it "
            "meanwhile",
            key=self._key,
        )

    def _ending(self, task: asyncio.Task[object] | None) -> Lease | None:
        """The lease of the block that ``task`` ends: the latest of its own, or else of a task that has ended."""
        latest = [*self._blocks.copy()][::-1]
        mine = [lease for lease in latest if lease.is_of(task)]
        # A block may be entered by one task and left by another, as those of fixtures are.
        return next(iter(mine or [lease for lease in latest if lease.is_orphan]), None)


def refuse_to_end(key: str, error: BaseException | None) -> None:
    """Tell a task that leaves a block of a task that still runs; ``error``, which the body raised, is not masked.

    Raises:
        LockError: the body raised nothing.
    """
    told = f"{key}: the block belongs to another task, so it was not ended. Leave it there, or call release() on "
    told += "what `async with` gave that task"
    if error is None:
        raise LockError(told, key=key)
    error.add_note(f"purse: {told}")


class _Watchdog:
    """Keeps a lease alive while the body of a block runs; tells the body when it cannot."""

    def __init__(self, lock: LeasedLock, lease: Lease) -> None:
        self._lock = lock
        self._lease = lease
        self._body = asyncio.current_task()
        self._before = self._body.cancelling() if self._body is not None else 0
        self._cancelled = False
        self._task = background(self._watch(), "watchdog")

    async def _watch(self) -> None:
        lease = self._lease
        third = self._lock._lease_time / 3
        pause = third
        while lease.remaining > 0:
            await asyncio.sleep(min(pause, lease.remaining))
            try:
                async with asyncio.timeout(lease.remaining):
                    until = await self._lock._renew(lease)
            except Exception:
                pause = third / 4  # the lease still holds: whoever cannot be reached now may be back in time
                continue
            if until is None:
                break
            lease._until = until
            pause = third
        lease._lost = True
        self._cancelled = True
        if self._body is not None:
            self._body.cancel()

    def stop(self) -> bool:
        """End it; whether it has cancelled the body."""
        loop = self._task.get_loop()
        if loop is asyncio.get_running_loop():
            self._task.cancel()
        elif not loop.is_closed():  # left by a task of another thread's loop
            loop.call_soon_threadsafe(self._task.cancel)
        return self._cancelled

    def take_back(self) -> bool:
        """Take its own cancellation of the body back, which has reached it; False if somebody else has cancelled it."""
        return self._body is not None and self._body.uncancel() <= self._before
