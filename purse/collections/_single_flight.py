"""Single flight: if several callers in one event loop miss the same value at the same time, one of them makes it.

    caller A   look: missing    flight: claim .. make() ............ store .... its value
    caller B         look: missing               waits for that flight ........ the same
    caller C                                                look: missing ...  waits for its end, and looks again

C came while the value was being stored, or later. The value that C misses may have been stored and removed in between,
so the value of that flight would be older than C's call. Callers that came before the store share the outcome, even if
they learn only after its end that the value was missing.

If the value was removed while it was made, nothing is stored. Only the caller that began the flight returns it, because
its call is older than the removal. The other callers may have come later, so they look again.

A flight is a background task: a cancelled caller leaves it to the other callers. When the last caller is cancelled, the
flight is cancelled too, so no task runs without a caller that waits for it.
"""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Hashable
from enum import IntEnum
from typing import Protocol

from purse._engine.awaited import Awaited
from purse._engine.detached import background
from purse._engine.loops import PerLoop, everywhere

__all__ = ["Attempt", "single_flight"]


class Attempt(Protocol):
    """How one flight stores what it makes."""

    async def claim(self) -> bytes | None:
        """Called before the value is made. Returns the value if one exists by now, else None."""
        ...

    async def store(self, made: bytes) -> bytes | None:
        """Store the made value unless one exists by now. Returns the stored value, or None if it was removed."""
        ...

    async def give_up(self) -> None:
        """Called if no value was made. Raises nothing."""
        ...


class _Phase(IntEnum):
    CLAIMING = 0
    MAKING = 1
    STORING = 2
    OVER = 3


class _Flight:
    """One attempt to make the value and store it.

    Attributes:
        decided: the phase from which on a call that begins is newer than the outcome.
        outdated: the value was removed while it was made.
    """

    def __init__(self, attempt: Attempt, make: Callable[[], Awaitable[bytes]]) -> None:
        self.decided = _Phase.STORING
        self.outdated = False
        self._phase = _Phase.CLAIMING
        self.task = background(self._run(attempt, make), "single flight")
        self._awaited = Awaited(self.task)

    @property
    def phase(self) -> _Phase:
        return _Phase.OVER if self.task.done() else self._phase

    async def done(self) -> None:
        """Wait for it."""
        await self._awaited.done()

    async def _run(self, attempt: Attempt, make: Callable[[], Awaitable[bytes]]) -> bytes:
        try:
            found = await attempt.claim()
            if found is not None:
                self.decided = _Phase.CLAIMING
                return found
            self._phase = _Phase.MAKING
            made = await make()
        except (Exception, asyncio.CancelledError) as error:
            unmade = self._phase is _Phase.MAKING or isinstance(error, asyncio.CancelledError)
            self._phase = _Phase.OVER  # a caller that comes now tries again
            if unmade:
                await attempt.give_up()
            raise
        self._phase = _Phase.STORING
        stored = await attempt.store(made)
        self.outdated = stored is None
        return made if stored is None else stored


class _Callers:
    """The callers that want one value now, and the last flight that one of them began."""

    def __init__(self) -> None:
        self.count = 0
        self.flight: _Flight | None = None


_wanted: PerLoop[dict[Hashable, _Callers]] = everywhere()


async def single_flight(
    what: Hashable,
    look: Callable[[], Awaitable[bytes | None]],
    make: Callable[[], Awaitable[bytes]],
    attempt: Callable[[], Attempt],
) -> bytes:
    """Return the value that ``look`` finds, or else the value that this or another caller made and stored.

    Args:
        what: names the value. Callers of one event loop with an equal name share flights.
        look: reads the value.
        make: makes the value.
        attempt: begins an attempt to store it.

    Raises:
        RuntimeError: ``make`` asks for the value that it makes.
        Exception: the error of ``make`` or of the attempt, raised in all callers that waited for it.
    """
    wanted = _wanted.here(dict)
    callers = wanted.setdefault(what, _Callers())
    callers.count += 1
    try:
        while True:
            seen = callers.flight
            since = seen.phase if seen is not None else _Phase.CLAIMING
            found = await look()
            if found is not None:
                return found
            flight = callers.flight
            begins = flight is None or (flight.task.done() and (flight.outdated or _is_newer(since, flight, seen)))
            if flight is None or begins:
                flight = callers.flight = _Flight(attempt(), make)
            if flight.task is asyncio.current_task():
                raise RuntimeError("a factory asks for the value that it makes, and would wait for itself")
            await flight.done()
            if begins or not (flight.outdated or _is_newer(since, flight, seen)):
                return flight.task.result()
    finally:
        callers.count -= 1
        if not callers.count:
            del wanted[what]
            if callers.flight is not None and not callers.flight.task.done():
                callers.flight.task.cancel()


def _is_newer(since: _Phase, flight: _Flight, seen: _Flight | None) -> bool:
    """Whether a call that began when ``seen`` had come to ``since`` is newer than the outcome of ``flight``."""
    return flight is seen and since >= flight.decided
