"""Room: callers that wait until they may make a request, first come first served.

    caller --> waiting (its size, not packed yet) --> granted (its size counts as used) --> makes its request

Each link has a ``Room``, and decides itself how much room there is.
"""

from __future__ import annotations

import asyncio
from collections import OrderedDict
from collections.abc import Callable

from purse._engine.link import LinkLost

__all__ = ["Room"]


class Room:
    """The callers that wait for room on one link.

    It does not refer to the link, because that would be a cycle: a closed link is freed at once, with its buffers.

    Attributes:
        reserved: bytes of callers that were granted room and have not used it yet.
    """

    __slots__ = ("_granted", "_loop", "_waiting", "reserved")

    def __init__(self) -> None:
        self._loop = asyncio.get_running_loop()
        self._waiting: OrderedDict[asyncio.Future[None], int] = OrderedDict()  # and the bytes of their requests
        self._granted: dict[asyncio.Future[None], int] = {}
        self.reserved: int = 0

    def __len__(self) -> int:
        """How many callers wait."""
        return len(self._waiting)

    @property
    def granted(self) -> int:
        """How many callers were granted room and have not used it yet."""
        return len(self._granted)

    async def wait(self, size: int, admit: Callable[[], None]) -> None:
        """Wait until a request of ``size`` bytes may be made. The caller has to make it at once.

        Args:
            admit: calls ``grant`` as often as there is room. It is called when that may have changed.

        Raises:
            LinkLost: the link was lost or retired.
        """
        granted: asyncio.Future[None] = self._loop.create_future()
        try:
            self._waiting[granted] = size
            admit()  # there may be room by now
            await granted
            self._use(granted)  # the request that follows at once counts itself ...
            self._loop.call_soon(admit)  # ... unless an exception keeps it from following
        except GeneratorExit:  # its coroutine was closed, and its task has to be woken, or the loop is closed
            raise
        except BaseException:
            granted.cancel()
            self._waiting.pop(granted, None)
            self._use(granted)
            admit()
            raise

    def grant(self) -> None:
        """Let the first waiting caller continue."""
        granted = next(iter(self._waiting))
        if not granted.done():
            size = self._granted[granted] = self._waiting[granted]
            self.reserved += size
            granted.set_result(None)
        self._waiting.pop(granted, None)

    def _use(self, granted: asyncio.Future[None]) -> None:
        self.reserved -= self._granted.pop(granted, 0)

    def recount(self) -> None:
        """Correct ``reserved``, in case an exception came between two lines of this class."""
        self.reserved = sum(self._granted.values())

    def turn_away(self, cause: BaseException) -> None:
        """Let all waiting callers raise ``LinkLost``: the link takes no more requests."""
        while self._waiting:
            granted = next(iter(self._waiting))
            if not granted.done():
                granted.set_exception(LinkLost(cause, sent=False))
                granted.exception()  # retrieved, even if an exception has ended its caller
            self._waiting.pop(granted, None)
