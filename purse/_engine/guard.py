"""Close the links of an event loop when the loop ends, without warnings and without a task that waits for that.

A link does not have a task that a loop could cancel at its end, and a socket that is still open when its loop is closed
causes a ResourceWarning. So the links of a loop are closed when it is shut down, after the tasks that may need them
have ended (``loops.at_end``). If a loop was only closed and not shut down, its links are closed later, without their
loop (``loops.forget_ended``).
"""

from __future__ import annotations

import asyncio
import atexit

from purse._engine.link import Link
from purse._engine.loops import PerLoop, at_end, everywhere, forget_ended

__all__ = ["forget_link", "guard_link"]


class _Guard:
    """The links of one event loop that are closed together with it."""

    def __init__(self) -> None:
        self.links: dict[Link, None] = {}

    async def close(self) -> None:
        """Close them through the loop, which is being shut down."""
        while self.links:
            await self.links.popitem()[0].aclose()

    def drop(self) -> None:
        """Close them without the loop, which is closed."""
        for link in self.links.copy():
            link.drop()


_guards: PerLoop[_Guard] = everywhere(_Guard.drop)


async def guard_link(link: Link) -> None:
    """Close ``link`` when the running loop ends, unless ``forget_link`` is called before."""
    guard = _guards.get(asyncio.get_running_loop())
    if guard is None:
        forget_ended()
        guard = _guards.here(_Guard)
        at_end(guard.close, last=True)
    guard.links[link] = None


def forget_link(loop: asyncio.AbstractEventLoop, link: Link) -> None:
    """Undo ``guard_link``: ``link`` is closed already."""
    guard = _guards.get(loop)
    if guard is not None:
        guard.links.pop(link, None)


atexit.register(forget_ended)  # otherwise a socket of such a loop would warn when the program ends
