"""Taking: the replies to a request that removes something, if its caller has left.

They are read to the end, and passed to the function that ``Leave`` has returned. See ``link``.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from typing import TypeAlias

from purse._engine.replies import Reply

__all__ = ["Arrived", "Taking", "tell_of"]

Arrived: TypeAlias = Callable[[list[Reply] | None], None]
"""Called with the replies, or with None if the connection was lost before they came."""


class Taking:
    """The replies to one request on a shared link, and the function to call with them if its caller has left."""

    __slots__ = ("_arrived", "_over", "_replies")

    def __init__(self) -> None:
        self._replies: list[Reply] | None = None
        self._over = False
        self._arrived: Arrived | None = None

    def tell(self, arrived: Arrived) -> None:
        """Call ``arrived`` with the replies: at once if they have come, otherwise when they come."""
        self._arrived = arrived
        if self._over:
            arrived(self._replies)

    def end(self, replies: list[Reply] | None) -> None:
        """Note that the replies have come, or that none will come (None)."""
        self._replies, self._over = replies, True
        if self._arrived is not None:
            self._arrived(replies)


def tell_of(taking: asyncio.Task[list[Reply]], arrived: Arrived) -> None:
    """Call ``arrived`` with the replies of ``taking``, a task that makes the request in place of its caller."""

    def ended(taking: asyncio.Task[list[Reply]]) -> None:
        arrived(None if taking.cancelled() or taking.exception() is not None else taking.result())

    if taking.done():
        ended(taking)
    else:
        taking.add_done_callback(ended)
