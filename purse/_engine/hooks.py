"""What may step in between a method and its executor: ``atomic``, which collects units, and a tracer.

Both are looked for only after one of them has been used in this process, so that nobody else pays.
"""

from __future__ import annotations

import threading
from collections.abc import Generator
from dataclasses import dataclass
from types import coroutine
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from purse._engine.executor import ClientExecutor
    from purse._engine.replies import Reply
    from purse._engine.unit import Unit

__all__ = ["Handover", "collecting", "hand_over", "refuse_in_atomic"]

watched = False
"""Whether an executor has to look here before it sends a unit. Never reset: threads would race for it."""


class _Collecting(threading.local):
    """Whether this thread is inside the synchronous step of a coroutine that ``atomic`` was given."""

    active = False


collecting = _Collecting()


@dataclass(slots=True)
class Handover:
    """What a coroutine yields to ``atomic`` in place of sending it."""

    executor: ClientExecutor
    unit: Unit[object]


@coroutine
def hand_over(executor: ClientExecutor, unit: Unit[object]) -> Generator[Handover, list[Reply] | None, list[Reply]]:
    """Give ``unit`` to the ``atomic`` that runs this coroutine, and wait for its replies.

    Raises:
        RuntimeError: something else resumed the coroutine.
    """
    replies = yield Handover(executor, unit)
    if replies is None:
        raise RuntimeError("this call was given to atomic() and is awaited somewhere else, too")
    return replies


def refuse_in_atomic(method: str) -> None:
    """The first line of a method that needs several round trips.

    Raises:
        TypeError: it is called inside ``atomic``.
    """
    if collecting.active:
        raise TypeError(f"{method}() needs several round trips, so it cannot be part of atomic(); await it alone")
