"""The end of an event loop, without warnings and without tasks that wait for it.

A link has no task that a loop could cancel at its end, and a socket that is still open when its loop is
closed is a ResourceWarning. So one asynchronous generator is parked in each loop that has links:
``asyncio.run``, ``Runner`` and test frameworks all end a loop by ``shutdown_asyncgens()``, which runs the
generator's ``finally``, and that closes the links while the loop still turns. A loop that was only closed did
not run it: its links are closed at the next opportunity (``close_ended``), without their loop.
"""

from __future__ import annotations

import asyncio
import atexit
from collections.abc import AsyncGenerator

from purse._engine.detached import end_of_detached, forget_ended
from purse._engine.link import Link
from purse._engine.loops import close_hung_up, take_ended

__all__ = ["close_ended", "disown_all", "forget_link", "guard_link"]


class _Guard:
    def __init__(self) -> None:
        self.links: set[Link] = set()
        self.parked = self._park()

    async def _park(self) -> AsyncGenerator[None, None]:
        try:
            yield
        finally:
            await end_of_detached()  # they may need the links
            while self.links:
                await self.links.pop().aclose()


_guards: dict[asyncio.AbstractEventLoop, _Guard] = {}
_inherited: list[_Guard] = []


async def guard_link(link: Link) -> None:
    """Close ``link`` when the running loop ends, unless it is forgotten before."""
    close_ended()
    loop = asyncio.get_running_loop()
    guard = _guards.get(loop)
    if guard is None:
        guard = _Guard()
        guard.links.add(link)
        await anext(guard.parked)  # before it is known: one that is not parked would never run
        _guards[loop] = guard
    else:
        guard.links.add(link)


def forget_link(loop: asyncio.AbstractEventLoop, link: Link) -> None:
    """``link`` is closed; nothing is left to do for it when ``loop`` ends."""
    guard = _guards.get(loop)
    if guard is not None:
        guard.links.discard(link)


def close_ended() -> None:
    """Close the links of loops that were closed without being shut down; any thread may call it."""
    forget_ended()
    close_hung_up()
    for guard in take_ended(_guards):
        for link in list(guard.links):
            link.drop()


atexit.register(close_ended)  # or a socket of such a loop would warn when the program ends


def disown_all() -> None:
    """Forget every guard: this process is a fork, the loops and sockets are its parent's."""
    for guard in _guards.values():  # kept: to drop one would wake the parent's loop
        guard.links.clear()
        _inherited.append(guard)
    _guards.clear()
