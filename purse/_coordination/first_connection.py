"""FirstConnection: waiting for a client's first connection, with a separate time limit.

Opening a connection takes up to six round trips: TCP, TLS, and the commands of redis-py. Some calls have to return soon
whatever the server does. If they counted those trips, a server that answers after 300 ms would look like one that
hangs. So their time begins when there is a connection, and opening the first one may take ``CONNECTING`` seconds. The
time to open a connection again does count: that is tried for about a second, see ``_engine.connecting``.
"""

from __future__ import annotations

import copy
from asyncio import get_running_loop

from purse._engine.awaited import Awaited
from purse._engine.detached import background
from purse._engine.executor import ClientExecutor
from purse._engine.interface import Executor

__all__ = ["CONNECTING", "FirstConnection"]

CONNECTING = 2.0
"""Seconds for which a call that has to return soon waits for a first connection, before its own time begins."""


class FirstConnection:
    """The first connection of a client in the running loop.

    Args:
        executor: the client's.
    """

    def __init__(self, executor: Executor) -> None:
        self._links = executor.links if isinstance(executor, ClientExecutor) else None
        self._opening: Awaited[None] | None = None
        self._since = 0.0

    @property
    def is_missing(self) -> bool:
        """Whether there was no connection yet."""
        if self._links is None:
            return False
        if get_running_loop() in self._links.by_loop:
            self._links = None  # there was one, for good
        return self._links is not None

    @property
    def is_late(self) -> bool:
        """Whether a task has waited for it for longer than ``CONNECTING``."""
        waiting = self._opening is not None and not self._opening.task.done()
        return waiting and get_running_loop().time() - self._since > CONNECTING

    def opening(self) -> Awaited[None]:
        """The task that opens the connection. All waiting callers share it, and it continues if they are cancelled."""
        if self._opening is None or self._opening.task.done():
            self._since = get_running_loop().time()
            self._opening = Awaited(background(self._open(), "connecting"))
        return self._opening

    async def _open(self) -> None:
        if self._links is not None:
            await self._links.ready(lambda: 0)

    async def wait(self) -> None:
        """Wait until there has been a connection. Returns at once if there was one already.

        Raises:
            redis.exceptions.RedisError, OSError, StoreClosed: the connection cannot be opened.
        """
        if self.is_missing:
            opening = self.opening()
            await opening.done()
            # A program that cancels every task has also cancelled this one. Then the call itself opens a connection.
            if not opening.task.cancelled() and (error := opening.task.exception()) is not None:
                raise copy.copy(error)
