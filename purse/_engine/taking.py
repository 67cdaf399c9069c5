"""Taking: what becomes of the replies to a request that removes something, if its caller is gone.

They are read to the end, and handed to what ``Leave`` has returned; see ``link``.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from typing import TypeAlias

from purse._engine.replies import Reply

__all__ = ["Arrived", "Taking", "tell_of"]

Arrived: TypeAlias = Callable[[list[Reply] | None], None]
"""Takes the replies; None if there are none, because the connection was lost before."""


class Taking:
    """The replies to one request on a shared link, and what is to be told of them."""

    __slots__ = ("_arrived", "_over", "_replies")

    def __init__(self) -> None:
        self._replies: list[Reply] | None = None
        self._over = False
        self._arrived: Arrived | None = None

    def tell(self, arrived: Arrived) -> None:
        """Have ``arrived`` called with the replies, at once if they have come by now."""
        self._arrived = arrived
        if self._over:
            arrived(self._replies)

    def end(self, replies: list[Reply] | None) -> None:
        """The replies have come, or None if there will be none."""
        self._replies, self._over = replies, True
        if self._arrived is not None:
            self._arrived(replies)


def tell_of(taking: asyncio.Task[list[Reply]], arrived: Arrived) -> None:
    """Have ``arrived`` called with what a task brings that makes the request in place of its caller."""

    def ended(taking: asyncio.Task[list[Reply]]) -> None:
        arrived(None if taking.cancelled() or taking.exception() is not None else taking.result())

    if taking.done():
        ended(taking)
    else:
        taking.add_done_callback(ended)
