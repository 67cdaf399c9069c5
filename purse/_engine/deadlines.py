"""Deadlines for a silent server, which do not mistake a busy event loop for silence.

A loop that was held up by synchronous work finds its timers overdue before it has read the bytes that have
come. So a deadline that has passed is only a suspicion. The loop then has ``LOOK_AGAIN`` seconds to read, and only
if nothing has come by then, the server is silent.

    loop   ... | write | held up for 0.6 s | [deadline of 0.5 s]  read the reply | ...
                                              check again in 20 ms: it is answered
"""

from __future__ import annotations

import asyncio
from types import TracebackType
from typing import Self

__all__ = ["LOOK_AGAIN", "Within"]

LOOK_AGAIN = 0.02
"""Seconds between a deadline and its second check. The loop polls its sockets at least once in between."""


class Within:
    """``asyncio.timeout`` for a reply of the server, by the rule of this module.

    Args:
        seconds: the limit. None and 0 mean no limit.

    Raises:
        TimeoutError: Python's own class, raised at the end of the block.
    """

    def __init__(self, seconds: float | None) -> None:
        self._seconds = seconds
        self._limit = asyncio.timeout(None)
        self._timer: asyncio.TimerHandle | None = None

    def expired(self) -> bool:
        """Whether the time limit has ended the block."""
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
