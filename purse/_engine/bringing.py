"""Bringers: callers that wait until there is room for their elements, the other end of a ``Line``.

One caller at a time offers its elements, and the others wait behind it. The callers do that themselves, without a
task: an offer that was sent may have been executed, although its caller has left.
"""

from __future__ import annotations

import asyncio
from collections import OrderedDict
from collections.abc import Awaitable, Callable

from purse._engine.replies import Reply
from purse._engine.wakeups import Look, Wakeups
from purse.errors import StoreClosed

__all__ = ["Bringers", "check_open"]


class Bringers:
    """The callers of one client and event loop that wait for room under one key.

    Args:
        key: the key.
        wakeups: reports when the key has changed.

    Attributes:
        closed: the line has ended, so each of these callers raises ``StoreClosed``.
    """

    def __init__(self, key: str, wakeups: Wakeups) -> None:
        self._key = key
        self._wakeups = wakeups
        self.closed: bool = False
        self._places: OrderedDict[object, asyncio.Future[None]] = OrderedDict()

    def __len__(self) -> int:
        """How many callers wait."""
        return len(self._places)

    async def bring(self, offer: Callable[[], Awaitable[Reply]], room: Look) -> Reply:
        """Wait until there is room, one caller at a time, in the order in which they came.

        Cancelling it leaves the place to the next caller. An offer that was already sent may still be executed, once.

        Args:
            offer: sends the caller's elements. It returns None if there was no room for them.
            room: the ``Look`` that tells whether there is room.

        Returns:
            The reply to the offer.

        Raises:
            redis.exceptions.RedisError: the server refused, or cannot be reached.
            StoreClosed: after the end of the line.
        """
        places, place = self._places, object()
        places[place] = asyncio.get_running_loop().create_future()
        try:
            while next(iter(places)) is not place:
                await places[place]  # until this caller is the first, or the first has failed
                if next(iter(places)) is not place:
                    # The first may have tried for a second to reach a server that is away. The callers behind it try
                    # together, and not each of them a second after the one before.
                    places[place] = asyncio.get_running_loop().create_future()
                    check_open(closed=self.closed)
                    reply = await offer()
                    if reply is not None:
                        return reply
            return await self._bring_first(offer, room)
        finally:
            del places[place]
            _wake(next(iter(places.values()), None))

    async def _bring_first(self, offer: Callable[[], Awaitable[Reply]], room: Look) -> Reply:
        looks = 0
        try:
            while True:
                check_open(closed=self.closed)
                reply = await offer()
                if reply is not None:
                    return reply
                looks = await self._wakeups.wait(self._key, looks, room)
        except Exception:
            for turn in self._places.values():
                _wake(turn)
            raise


def check_open(*, closed: bool) -> None:
    """Refuse to wait after the end of a line.

    Raises:
        StoreClosed: it has ended.
    """
    if closed:
        raise StoreClosed("this store was closed by aclose() while a call waited: keep it open until calls return")


def _wake(turn: asyncio.Future[None] | None) -> None:
    if turn is not None and not turn.done():
        turn.set_result(None)
