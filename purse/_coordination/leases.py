"""Leases: holding a lock for a limited time. All kinds of locks share this module.

    acquire          a third        two thirds                          the end of the validity
      |-----------------|---------------|-----------------------------------|
      body runs         watchdog extends, and the clock starts again        LockLost

A lock is always a lease: the server forgets it when its time is up, whatever the holder does. So the code here asks the
monotonic clock how long the lease is valid, and reports when it is not valid any more:

- ``async with lock as lease`` raises ``LockLost`` at the end of the block if the lease had run out or was taken. An
  exception of the body is never masked.
- A watchdog (opt-in) extends the lease at a third of its time, and cancels the body with ``LockLost`` when it is lost.
- A background task releases the lock, so a caller that is cancelled while it releases still releases.

Subclasses take, extend and release: on one server, or on a majority of several.
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
# A lease, its lock and its watchdog belong together, so they use private names of each other.

__all__ = ["Lease", "LeasedLock", "has_ended", "refuse_to_end", "running_task"]

_locks: weakref.WeakSet[LeasedLock] = weakref.WeakSet()


def _disown_all() -> None:
    """Forget all leases in a forked child: they belong to the parent."""
    for lock in list(_locks):  # the child has one thread, so nothing is added during the loop
        lock._disown()


in_child(_disown_all)


def running_task() -> asyncio.Task[object] | None:
    """The running task, if there is one.

    A method asks for it when it is called, and then returns a coroutine. ``wait_for`` (up to Python 3.11), ``shield``,
    ``gather`` and ``create_task`` run that coroutine in another task, but it still acts on the lease of the caller.
    """
    try:
        return asyncio.current_task()
    except RuntimeError:  # no loop runs here
        return None


def has_ended(task: asyncio.Task[object] | None) -> bool:
    """Whether ``task`` will never run again. None stands for a task that does not exist any more."""
    return task is None or task.done() or task.get_loop().is_closed()


class Lease:
    """One holding of a lock, from its acquisition to its release, as ``async with lock as lease`` returns it.

    Attributes:
        key: the lock's key.
        owner: the unique value that is stored under the key while this lease holds the lock.
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
        """The fencing token, greater than that of every earlier holder. It protects data from writes of a late holder.

        Raises:
            LockError: the lock was made without ``fencing=True``.
        """
        if self._fence is None:
            raise LockError(
                f"{named(self.key)}: this lock gives no tokens: write fencing=True where it is made", key=self.key
            )
        return self._fence

    @property
    def until(self) -> float:
        """The loop's time until which the lease is valid, unless it is lost or released before."""
        return self._until

    @property
    def remaining(self) -> float:
        """Seconds for which this lease certainly holds the lock. 0.0 when it is lost or released."""
        if self._lost:
            return 0.0
        return max(0.0, self._until - asyncio.get_running_loop().time())

    async def extend(self) -> None:
        """Start the lease's time again, as the lock's ``extend`` does."""
        await self._lock._extend_lease(self)

    async def release(self) -> None:
        """Give the lock back, as the lock's ``release`` does."""
        await self._lock._release_lease(self)

    def __purse_is_of__(self, task: asyncio.Task[object] | None) -> bool:
        """Whether ``task`` acquired this lease."""
        return task is not None and self._body is not None and self._body() is task

    @property
    def __purse_is_orphan__(self) -> bool:
        """Whether the task that acquired this lease has ended, or belongs to a loop that is closed."""
        return has_ended(None if self._body is None else self._body())


class LeasedLock(ABC):
    """The common part of locks: the held leases, the block, the watchdog.

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
        """Forget every lease: this process is a fork, and they belong to its parent."""
        keep((self._held, self._blocks))
        self._held, self._blocks = [], {}

    # --- for subclasses ---------------------------------------------------------------------------

    @abstractmethod
    async def _take_for_block(self) -> Lease | None:
        """Acquire for ``async with``. None if the lock could not be acquired. The lease is not in ``_held`` yet."""

    @abstractmethod
    async def _renew(self, lease: Lease) -> float | None:
        """Start the time of ``lease`` again. Returns the loop's time until which it is valid, or None if it is lost."""

    @abstractmethod
    async def _give_back(self, lease: Lease) -> bool:
        """Release. Returns whether the lock was still held. Bounded in time, and releases even when cancelled."""

    # --- held leases ------------------------------------------------------------------------------

    def _hold(self, lease: Lease) -> None:
        """Add ``lease`` to the held ones, and remove those that ran out without being released."""
        for one in self._held.copy():
            if one.remaining <= 0 and one not in self._blocks:
                self._let_go(one)
        self._held.append(lease)

    def _let_go(self, lease: Lease) -> bool:
        """Remove ``lease`` from the held ones. False if it is not held, or another caller is just removing it."""
        try:
            self._held.remove(lease)
        except ValueError:
            return False
        return True

    def _mine(self) -> Lease | None:
        """The result of ``_lease_of`` for the running task."""
        return self._lease_of(running_task())

    def _lease_of(self, task: asyncio.Task[object] | None) -> Lease | None:
        """The latest lease of ``task``, or else of a task that has ended, unless its block will release the lease."""
        latest = self._held.copy()[::-1]
        mine = (lease for lease in latest if lease.__purse_is_of__(task))
        return next(mine, None) or next(
            (one for one in latest if one.__purse_is_orphan__ and one not in self._blocks), None
        )

    def _lease_for(self, method: str, task: asyncio.Task[object] | None) -> Lease:
        """The result of ``_lease_of``, for the method of that name.

        Raises:
            LockError: there is no such lease. Nothing was sent.
        """
        lease = self._lease_of(task)
        if lease is None:
            raise LockError(
                f"{named(self._key)}: {method}() failed, because the lock is not held by this task through this "
                f"object: acquire() it first, or call lease.{method}() on the lease that {self._gives_leases} gave to "
                "its holder",
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
                f"{named(self._key)}: the lock was not held any more when it was released, so another client may have "
                "held it since. Make the lease longer, or extend it in time",
                key=self._key,
            )

    async def _released(self, lease: Lease) -> bool:
        """Release ``lease``, even if this task is cancelled. Returns whether it had been held all the time."""
        if not self._let_go(lease):
            return False
        watchdog = self._blocks.get(lease)
        if watchdog is not None:  # released in the block: there is nothing to watch any more
            watchdog.stop()
        held = lease.remaining > 0
        lease._lost = True
        # In a separate task: in a scope of anyio, a cancelled task is cancelled again at each await.
        giving = detached(self._give_back(lease), "release")
        await asyncio.wait((giving,))
        return giving.result() and held

    # --- the block --------------------------------------------------------------------------------

    async def __aenter__(self) -> Lease:
        return self._enter(await self._take_for_block())

    def _enter(self, lease: Lease | None) -> Lease:
        """Begin the block that holds ``lease``. Between its acquisition and this call there must be no await."""
        if lease is None:
            raise LockNotAcquired(
                f"{named(self._key)}: could not acquire the lock: others hold it, or most of the masters did not "
                "answer. Wait longer, or try again later",
                key=self._key,
            )
        self._hold(lease)
        self._blocks[lease] = _Watchdog(self, lease) if self._watchdog else None
        return lease

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        if not self._blocks:  # this process is a fork, and the block belonged to its parent
            return
        lease = self._ending(running_task())
        if lease is None:
            refuse_to_end(self._key, error)
        else:
            await self._leave(lease, error)

    async def _leave(self, lease: Lease, error: BaseException | None) -> None:
        """End the block of ``lease``. ``error`` is the exception of its body, if any."""
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
                    f"purse: could not release the lock {named(self._key)}, which ends with its lease: "
                    f"{quoted(failure)}"
                )
            elif not lost:
                raise
            held = True
        if lost and (error is None or isinstance(error, asyncio.CancelledError)):
            raise LockLost(
                f"{named(self._key)}: the lock was lost, so its watchdog has cancelled the block", key=self._key
            ) from error
        if held and not lost:
            return
        if error is not None:
            error.add_note(f"purse: the lock {named(self._key)} was not held any more at the end of the block")
            return
        raise LockLost(
            f"{named(self._key)}: the lock was not held until the end of the block, so another client may have held it "
            "since. Make the lease longer, or pass watchdog=True",
            key=self._key,
        )

    def _ending(self, task: asyncio.Task[object] | None) -> Lease | None:
        """The lease of the block that ``task`` ends: the latest of ``task``, or else of a task that has ended."""
        latest = [*self._blocks.copy()][::-1]
        mine = [lease for lease in latest if lease.__purse_is_of__(task)]
        # A block may be entered by one task and left by another, as fixtures do.
        return next(iter(mine or [lease for lease in latest if lease.__purse_is_orphan__]), None)


def refuse_to_end(key: str, error: BaseException | None) -> None:
    """Refuse to end the block of another task that still runs. ``error``, if the body raised it, is not masked.

    Raises:
        LockError: the body raised nothing.
    """
    told = f"{key}: the block belongs to another task, so it was not ended. Leave it in that task, or call release() "
    told += "on the object that `async with` gave to it"
    if error is None:
        raise LockError(told, key=key)
    error.add_note(f"purse: {told}")


class _Watchdog:
    """Keeps a lease alive while the body of a block runs. Cancels the body when the lease is lost."""

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
                pause = third / 4  # the lease still holds, and the server may be back in time
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
        """End the watchdog. Returns whether it has cancelled the body."""
        loop = self._task.get_loop()
        if loop is asyncio.get_running_loop():
            self._task.cancel()
        elif not loop.is_closed():  # left by a task of another thread's loop
            loop.call_soon_threadsafe(self._task.cancel)
        return self._cancelled

    def take_back(self) -> bool:
        """Undo the watchdog's cancellation of the body. False if the body was also cancelled for another reason."""
        return self._body is not None and self._body.uncancel() <= self._before
