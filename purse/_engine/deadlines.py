"""Deadlines for a server's silence, which do not take our own delay for it.

A loop that was held up by somebody's synchronous work finds its timers overdue before it has read what has
come. So a deadline that is over is only a suspicion: the loop has ``LOOK_AGAIN`` seconds to read, and what has
not come by then has not come.

    loop   ... | write | held up for 0.6 s | [deadline of 0.5 s]  read the reply | ...
                                              look again in 20 ms, and find it answered
"""

from __future__ import annotations

import asyncio
from types import TracebackType
from typing import Self

__all__ = ["LOOK_AGAIN", "Within"]

LOOK_AGAIN = 0.02
"""Seconds after which a deadline that is over is believed. The loop polls its sockets at least once in between."""


class Within:
    """``asyncio.timeout`` for an answer of a server, by this rule.

    Args:
        seconds: None or 0: without limit.

    Raises:
        TimeoutError: Python's; at the end of the block.
    """

    def __init__(self, seconds: float | None) -> None:
        self._seconds = seconds
        self._limit = asyncio.timeout(None)
        self._timer: asyncio.TimerHandle | None = None

    def expired(self) -> bool:
        """Whether the time was over."""
        return self._limit.expired()

    async def __aenter__(self) -> Self:
        await self._limit.__aenter__()
        if self._seconds:
            self._timer = asyncio.get_running_loop().call_later(self._seconds, self._suspect)
        return self

    def _suspect(self) -> None:
        self._timer = asyncio.get_running_loop().call_later(LOOK_AGAIN, self._limit.reschedule, 0.0)

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        if self._timer is not None:
            self._timer.cancel()
        await self._limit.__aexit__(kind, error, trace)
