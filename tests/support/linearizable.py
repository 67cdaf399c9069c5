"""Recording concurrent calls, and searching an order that explains what they returned (Wing & Gong).

A history is linearizable if its calls can be put into one order that respects real time (a call that
returned before another began comes first) and in which a sequential model returns what was observed.
A call whose outcome nobody saw, because it was cancelled or its connection broke, may have taken
effect at any moment after it began, or never. If it takes something, that may have been put back at any moment after.
"""

from __future__ import annotations

import asyncio
import itertools
from collections.abc import Awaitable, Callable, Coroutine, Hashable
from dataclasses import dataclass, field
from typing import Any, Generic, TypeVar

from redis.exceptions import ConnectionError, TimeoutError

S = TypeVar("S", bound=Hashable)

Step = Callable[[S], tuple[S, object]]
"""The model of one call: from a state to the next state and what the call returns."""


@dataclass(frozen=True, slots=True)
class PutBack(Generic[S]):
    """The model of putting back what a call has returned: from a state and that to the state after it."""

    after: Callable[[S, Any], S]


Recorded = tuple[str, Coroutine[Any, Any, object], *tuple[Step[Any] | PutBack[Any], ...]]
"""A call and its models, as ``History.record`` takes them."""

_NEVER = 2**62


@dataclass(slots=True)
class _Call(Generic[S]):
    name: str
    steps: list[Step[S]]
    put_back: PutBack[S] | None
    began: int
    ended: int = _NEVER
    seen: bool = False
    result: object = None


@dataclass(slots=True)
class History(Generic[S]):
    """The calls of one run, recorded by the tasks that made them."""

    calls: list[_Call[S]] = field(default_factory=list[_Call[S]])
    _clock: itertools.count[int] = field(default_factory=itertools.count)

    async def record(
        self,
        name: str,
        call: Awaitable[object],
        *models: Step[S] | PutBack[S],
        refused: tuple[type[Exception], ...] = (),
    ) -> None:
        """Await ``call`` and write down when it ran and what came of it; IndexError counts as a result.

        Args:
            models: of the call, which may do what any of them does; and of putting back what it took.
            refused: errors that say that the call has done nothing; they are raised.
        """
        entry = _Call[S](name, [], None, next(self._clock))
        for model in models:
            if isinstance(model, PutBack):
                entry.put_back = model
            else:
                entry.steps.append(model)
        self.calls.append(entry)
        try:
            entry.result = await call
        except IndexError:
            entry.result = IndexError
        except refused:
            self.calls = [other for other in self.calls if other is not entry]
            raise
        except (ConnectionError, TimeoutError, asyncio.CancelledError):
            return
        entry.seen = True
        entry.ended = next(self._clock)

    def explained_from(self, state: S) -> bool:
        """Whether some order of the calls, beginning in ``state``, returns what was observed."""
        calls = self.calls
        tried: set[tuple[frozenset[int], frozenset[tuple[int, str]], S]] = set()
        taken: dict[tuple[int, str], object] = {}

        def search(left: frozenset[int], away: frozenset[tuple[int, str]], state: S) -> bool:
            """``left``: the calls to come. ``away``: what was taken by calls that nobody saw the end of."""
            if all(not calls[i].seen for i in left):
                return True
            if (left, away, state) in tried:
                return False
            tried.add((left, away, state))
            for what in away:
                back = calls[what[0]].put_back
                if back is not None and search(left, away - {what}, back.after(state, taken[what])):
                    return True
            first_end = min(calls[i].ended for i in left)
            for i in left:
                if calls[i].began < first_end:  # nothing that is left had returned before it began
                    for after, result in (step(state) for step in calls[i].steps):
                        if calls[i].seen and result != calls[i].result:
                            continue
                        gone: frozenset[tuple[int, str]] = frozenset()
                        if not calls[i].seen and calls[i].put_back is not None:
                            what = i, repr(result)
                            taken[what] = result
                            gone = frozenset({what})
                        if search(left - {i}, away | gone, after):
                            return True
            return False

        return search(frozenset(range(len(calls))), frozenset(), state)

    def __str__(self) -> str:
        lines = [f"{c.began:>3}-{c.ended if c.seen else '':<3} {c.name} -> {c.result!r}" for c in self.calls]
        return "\n".join(lines)
