"""Single flight: of the callers in one event loop who miss the same value at the same time, one makes it.

    caller A   look: missing    flight: make() ............ store .... its value
    caller B         look: missing      waits for that flight ........ the same
    caller C                                        look: missing ...  waits for its end, and looks again

C came while the value was being stored, or later. What C sees missing may have been stored and removed meanwhile, so
the value of that flight would be older than C's call. Those who came before the store share the outcome, also if they
hear only after its end that the value was missing.

A flight is a task of its own: whoever is cancelled leaves it to the others. When nobody is left it is cancelled, too,
so nothing runs on that nobody waits for.
"""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Hashable

from purse._engine.detached import background

__all__ = ["single_flight"]


class _Flight:
    """One attempt to make the value and store it."""

    def __init__(self, make: Callable[[], Awaitable[bytes]], store: Callable[[bytes], Awaitable[bytes]]) -> None:
        self.storing = False
        self.task = background(self._run(make, store), "single flight")
        self.task.add_done_callback(_retrieve)

    async def _run(self, make: Callable[[], Awaitable[bytes]], store: Callable[[bytes], Awaitable[bytes]]) -> bytes:
        made = await make()
        self.storing = True
        return await store(made)

    @property
    def decided(self) -> bool:
        """Whether what comes of it is older than a call that begins now."""
        return self.storing or self.task.done()


class _Callers:
    """Those who want one value now, and the last flight that one of them began."""

    def __init__(self) -> None:
        self.count = 0
        self.flight: _Flight | None = None


_wanted: dict[tuple[asyncio.AbstractEventLoop, Hashable], _Callers] = {}


async def single_flight(
    what: Hashable,
    look: Callable[[], Awaitable[bytes | None]],
    make: Callable[[], Awaitable[bytes]],
    store: Callable[[bytes], Awaitable[bytes]],
) -> bytes:
    """What ``look`` finds; if it finds None, what was made and stored, by this caller or by another one.

    Args:
        what: names the value; callers of one event loop with an equal one share flights.
        look: reads the value.
        make: makes it.
        store: stores what was made unless there is a value by now, and returns the one that is stored.

    Raises:
        RuntimeError: ``make`` asks for the very value that it makes.
        Exception: what ``make`` or ``store`` raised, to all who waited for it.
    """
    place = (asyncio.get_running_loop(), what)
    callers = _wanted.setdefault(place, _Callers())
    callers.count += 1
    try:
        while True:
            flight = callers.flight
            too_old = flight if flight is not None and flight.decided else None
            found = await look()
            if found is not None:
                return found
            flight = callers.flight
            if flight is None or (flight is too_old and flight.task.done()):
                flight = callers.flight = _Flight(make, store)
            if flight.task is asyncio.current_task():
                raise RuntimeError("a factory asks for the very value that it makes")
            await asyncio.wait([flight.task])
            if flight is not too_old:
                return flight.task.result()
    finally:
        callers.count -= 1
        if not callers.count:
            del _wanted[place]
            if callers.flight is not None:
                callers.flight.task.cancel()


def _retrieve(task: asyncio.Task[bytes]) -> None:
    """Look at the error of a flight that may have nobody left to tell: asyncio would complain."""
    if not task.cancelled():
        task.exception()
