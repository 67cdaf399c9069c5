"""Single flight: of the callers in one event loop who miss the same value at the same time, one makes it.

    caller A   look: missing    flight: claim .. make() ............ store .... its value
    caller B         look: missing               waits for that flight ........ the same
    caller C                                                look: missing ...  waits for its end, and looks again

C came while the value was being stored, or later. What C sees missing may have been stored and removed meanwhile, so
the value of that flight would be older than C's call. Those who came before the store share the outcome, also if they
hear only after its end that the value was missing.

If the value was removed while it was made, nothing is stored. Only the caller that began the flight returns it: its
call is older than the removal. The others may have come later, and look again.

A flight is a task of its own: whoever is cancelled leaves it to the others. When nobody is left it is cancelled, too,
so nothing runs on that nobody waits for.
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
        """Called before the value is made; the value, if there is one by now."""
        ...

    async def store(self, made: bytes) -> bytes | None:
        """Store what was made unless there is a value by now; the stored one, or None if it was removed meanwhile."""
        ...

    async def give_up(self) -> None:
        """Called if nothing was made. Raises nothing."""
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
            self._phase = _Phase.OVER  # whoever comes now tries again
            if unmade:
                await attempt.give_up()
            raise
        self._phase = _Phase.STORING
        stored = await attempt.store(made)
        self.outdated = stored is None
        return made if stored is None else stored


class _Callers:
    """Those who want one value now, and the last flight that one of them began."""

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
    """What ``look`` finds; if it finds None, what was made and stored, by this caller or by another one.

    Args:
        what: names the value; callers of one event loop with an equal one share flights.
        look: reads the value.
        make: makes it.
        attempt: begins an attempt to store it.

    Raises:
        RuntimeError: ``make`` asks for the very value that it makes.
        Exception: what ``make`` or the attempt raised, to all who waited for it.
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
