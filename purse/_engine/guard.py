"""The end of an event loop, without warnings and without tasks that wait for it.

A link has no task that a loop could cancel at its end, and a socket that is still open when its loop is
closed is a ResourceWarning. So one asynchronous generator is parked in each loop that has links:
``asyncio.run``, ``Runner`` and test frameworks all end a loop by ``shutdown_asyncgens()``, which runs the
generator's ``finally``, and that closes the links while the loop still turns.
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncGenerator

from purse._engine.detached import end_of_detached
from purse._engine.link import Link

__all__ = ["disown_all", "forget_link", "guard_link"]


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
    loop = asyncio.get_running_loop()
    guard = _guards.get(loop)
    if guard is None:
        for ended in [other for other in _guards if other.is_closed()]:
            _guards.pop(ended, None)
        guard = _guards[loop] = _Guard()
        guard.links.add(link)
        await anext(guard.parked)
    else:
        guard.links.add(link)


def forget_link(loop: asyncio.AbstractEventLoop, link: Link) -> None:
    """``link`` is closed; nothing is left to do for it when ``loop`` ends."""
    guard = _guards.get(loop)
    if guard is not None:
        guard.links.discard(link)


def disown_all() -> None:
    """Forget every guard: this process is a fork, the loops and sockets are its parent's."""
    for guard in _guards.values():  # kept: to drop one would wake the parent's loop
        guard.links.clear()
        _inherited.append(guard)
    _guards.clear()
