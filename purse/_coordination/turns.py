"""Turns: the tasks of one event loop that want the same lock wait in one line, and only the first asks the masters.

    tasks of this loop      D  C  B --> A  asks, waits, asks again           other processes ask for themselves
                                        |
                                        v
                                    holds it. B waits for A's release or the end of A's lease, and asks no master

So a lock changes hands between tasks without polling, and tasks of one loop never compete for the masters. But a
process whose tasks pass the lock to each other would never let it go. So a task that is refused leaves a note on the
masters for a moment, and the release reads it. After ``IN_A_ROW`` grants in one loop while others wait, the first task
pauses once, for longer than others wait between two questions.
"""

from __future__ import annotations

import asyncio
from asyncio import get_running_loop
from collections.abc import Sequence
from secrets import token_hex
from weakref import WeakValueDictionary

from purse._coordination.leases import Lease
from purse._engine.clients import RedisClient
from purse._engine.loops import PerLoop, everywhere

__all__ = ["ASK_FIRST", "ASK_LAST", "Line", "line_of"]

ASK_FIRST, ASK_LAST = 0.01, 0.1
"""Seconds between two questions of one line, at first and later. Each pause is drawn from half to whole."""

IN_A_ROW = 8
"""Grants in one event loop after which others get their turn."""

_PAUSE = 1.25 * ASK_LAST


class Line:
    """The tasks of one event loop that want one lock.

    Attributes:
        name: the name of this event loop for other event loops.
        token: the greatest fencing token seen so far, or -1.
    """

    def __init__(self) -> None:
        self.name = token_hex(8)
        self.token = -1
        self._turn = asyncio.Lock()
        self._holder: Lease | None = None
        self._left: asyncio.Future[None] | None = None
        self._in_a_row = 0
        self._others_wait = False

    @property
    def is_held(self) -> bool:
        """Whether a task of this loop holds the lock."""
        return self._holder is not None and self._holder.until > get_running_loop().time()

    async def enter(self, deadline: float | None) -> bool:
        """Wait until no task is ahead and no task of this loop holds the lock. The caller must call ``exit`` then.

        Args:
            deadline: the loop's time at which to give up, or None to wait for ever.

        Returns:
            False if the deadline came first. Then ``exit`` must not be called.
        """
        try:
            async with asyncio.timeout_at(deadline):
                await self._turn.acquire()
        except TimeoutError:
            return False
        try:
            if await self.vacant(deadline):
                if self._others_wait and self._in_a_row >= IN_A_ROW:
                    self.yielded()
                    await asyncio.sleep(_PAUSE)
                return True
        except BaseException:
            self._turn.release()
            raise
        self._turn.release()
        return False

    def exit(self) -> None:
        """Let the next one ask."""
        self._turn.release()

    async def vacant(self, deadline: float | None) -> bool:
        """Wait until no task of this loop holds the lock. False if the deadline came first. For the first task only."""
        # Not the lease's ``remaining``, which is 0 as soon as its release has begun: a question then would be refused.
        while self._holder is not None and (left := self._holder.until - get_running_loop().time()) > 0:
            if deadline is not None:
                left = min(left, deadline - get_running_loop().time())
                if left <= 0:
                    return False
            self._left = get_running_loop().create_future()
            await asyncio.wait((self._left,), timeout=left)
        return True

    def hold(self, lease: Lease) -> None:
        """Note that ``lease`` is granted."""
        self._holder = lease
        self._in_a_row += 1

    def leave(self, lease: Lease, *, others_wait: bool) -> None:
        """Note that ``lease`` is released."""
        self._others_wait = others_wait
        if self._holder is lease:
            self._holder = None
            if self._left is not None and not self._left.done():
                self._left.set_result(None)

    def yielded(self) -> None:
        """Note that others have the lock, or had time to take it."""
        self._in_a_row = 0


_here: PerLoop[WeakValueDictionary[tuple[str, tuple[int, ...]], Line]] = everywhere()


def line_of(key: str, masters: Sequence[RedisClient]) -> Line:
    """The line of the running loop for the lock ``key`` on ``masters``. It lives while something refers to it."""
    lines = _here.here(WeakValueDictionary)
    name = key, tuple(sorted(map(id, masters)))
    line = lines.get(name)
    if line is None:
        line = lines[name] = Line()
    return line
