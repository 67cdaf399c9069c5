"""Recording concurrent calls, and searching an order that explains what they returned (Wing & Gong).

A history is linearizable if its calls can be put into one order that respects real time (a call that
returned before another began comes first) and in which a sequential model returns what was observed.
A call whose outcome nobody saw, because it was cancelled or its connection broke, may have taken
effect at any moment after it began, or never.
"""

from __future__ import annotations

import asyncio
import itertools
from collections.abc import Awaitable, Callable, Hashable
from dataclasses import dataclass, field
from typing import Generic, TypeVar

from redis.exceptions import ConnectionError, TimeoutError

S = TypeVar("S", bound=Hashable)

Step = Callable[[S], tuple[S, object]]
"""The model of one call: from a state to the next state and what the call returns."""

_NEVER = 2**62


@dataclass(slots=True)
class _Call(Generic[S]):
    name: str
    step: Step[S]
    began: int
    ended: int = _NEVER
    seen: bool = False
    result: object = None


@dataclass(slots=True)
class History(Generic[S]):
    """The calls of one run, recorded by the tasks that made them."""

    calls: list[_Call[S]] = field(default_factory=list[_Call[S]])
    _clock: itertools.count[int] = field(default_factory=itertools.count)

    async def record(self, name: str, call: Awaitable[object], step: Step[S]) -> None:
        """Await ``call`` and write down when it ran and what came of it; IndexError counts as a result."""
        entry = _Call(name, step, next(self._clock))
        self.calls.append(entry)
        try:
            entry.result = await call
        except IndexError:
            entry.result = IndexError
        except (ConnectionError, TimeoutError, asyncio.CancelledError):
            return
        entry.seen = True
        entry.ended = next(self._clock)

    def explained_from(self, state: S) -> bool:
        """Whether some order of the calls, beginning in ``state``, returns what was observed."""
        calls = self.calls
        tried: set[tuple[frozenset[int], S]] = set()

        def search(left: frozenset[int], state: S) -> bool:
            if all(not calls[i].seen for i in left):
                return True
            if (left, state) in tried:
                return False
            tried.add((left, state))
            first_end = min(calls[i].ended for i in left)
            for i in left:
                if calls[i].began < first_end:  # nothing that is left had returned before it began
                    after, result = calls[i].step(state)
                    if (not calls[i].seen or result == calls[i].result) and search(left - {i}, after):
                        return True
            return False

        return search(frozenset(range(len(calls))), state)

    def __str__(self) -> str:
        lines = [f"{c.began:>3}-{c.ended if c.seen else '':<3} {c.name} -> {c.result!r}" for c in self.calls]
        return "\n".join(lines)
