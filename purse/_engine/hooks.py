"""Hooks between a method and its executor: ``atomic``, which collects units, and an observer.

An executor checks for them only after one of them has been used in this process, so other programs do not pay for them.
"""

from __future__ import annotations

import sys
import threading
from collections.abc import Generator
from contextlib import AbstractContextManager
from dataclasses import dataclass
from types import coroutine
from typing import TYPE_CHECKING, Protocol

from purse._engine.clients import Pool, address_of, database_of
from purse._engine.packing import size_of
from purse._engine.replies import Reply
from purse._engine.scripts import ScriptCall
from purse._engine.unit import Command, Unit

if TYPE_CHECKING:
    from types import FrameType

__all__ = [
    "Handover",
    "ObservedCall",
    "Observer",
    "calling_method",
    "collecting",
    "hand_over",
    "observe",
    "refuse_in_atomic",
    "seen",
    "step_in",
]

watched = False
"""Whether an executor has to check for a hook before it sends a unit. Never reset, because threads would race."""


@dataclass(slots=True)
class ObservedCall:
    """One call of a method, as an observer sees it.

    Attributes:
        method: ``RedisHash.set``, ``Store.atomic``.
        store, field: the names of the store class and its field, or None for a collection that was built directly.
        commands: the Redis command that is sent, or several inside MULTI. For a single script, ``EVALSHA``.
        script: the name of the script, if a single one is sent.
        server: host and port, or the path of a unix socket and None.
        database: the database's number.
        bytes_sent: bytes of the arguments in the request.
        bytes_received: bytes of the values in the reply. 0 until it has come.
    """

    method: str
    store: str | None
    field: str | None
    commands: tuple[str, ...]
    script: str | None
    server: tuple[str, int | None]
    database: int
    bytes_sent: int
    bytes_received: int = 0


class Observer(Protocol):
    """Sees every call of every client of this process."""

    def __call__(self, call: ObservedCall, /) -> AbstractContextManager[object]:
        """Return a context manager: entered before ``call`` is sent, left when it has its replies or its exception."""
        ...


observer: Observer | None = None
"""The observer. Another thread may replace it at any time, so it is read once for each call."""


def observe(new: Observer | None) -> None:
    """Make ``new`` the observer of every call from now on. None removes the observer."""
    global observer, watched
    observer = new
    watched = True


def calling_method(origin: object) -> str:
    """The method whose call is being executed: ``RedisHash.set``.

    It is found on the stack, so that methods need not pass their name when there is no observer.
    """
    classes = {cls.__name__ for cls in type(origin).__mro__}
    found = type(origin).__name__
    frame: FrameType | None = sys._getframe(1)  # pyright: ignore[reportPrivateUsage]
    while frame is not None and str(frame.f_globals.get("__name__")).startswith("purse."):
        owner, _, method = frame.f_code.co_qualname.partition(".<locals>")[0].rpartition(".")
        if owner in classes:
            found = f"{type(origin).__name__}.{method.lstrip('_')}"
        elif owner == "Store":
            found = f"Store.{method}"
        frame = frame.f_back
    return found


def seen(unit: Unit[object], method: str, pool: Pool) -> ObservedCall:
    """Describe ``unit``, which ``method`` sends to the server of ``pool``, for an observer."""
    store, field = getattr(unit.origin, "__purse_declared__", None) or (None, None)
    scripts = [command.script.name for command in unit.commands if isinstance(command, ScriptCall)]
    names = [
        ("EVALSHA" if len(unit.commands) == 1 else "EVAL") if isinstance(command, ScriptCall) else _name_of(command)
        for command in (unit.commands[-1:] if unit.loose else unit.commands)
    ]
    return ObservedCall(
        method=method,
        store=store,
        field=field,
        commands=tuple(names),
        script=scripts[0] if len(scripts) == len(names) == 1 else None,
        server=address_of(pool),
        database=database_of(pool),
        bytes_sent=size_of(unit.commands),
    )


def _name_of(command: Command) -> str:
    name = command[0]
    return name.decode() if isinstance(name, bytes) else str(name)


class _Collecting(threading.local):
    """Whether this thread is inside the synchronous step of a coroutine that ``atomic`` was given."""

    active = False


collecting = _Collecting()


def step_in() -> bool:
    """Whether ``atomic`` or an observer handles this call."""
    return collecting.active or observer is not None


@dataclass(slots=True)
class Handover:
    """A unit that a coroutine yields to ``atomic`` instead of sending it.

    Attributes:
        executor: the executor of the call. It is only compared.
        unit: the unit that would have been sent.
    """

    executor: object
    unit: Unit[object]


@coroutine
def hand_over(executor: object, unit: Unit[object]) -> Generator[Handover, list[Reply] | None, list[Reply]]:
    """Give ``unit`` to the ``atomic`` that runs this coroutine, and wait for its replies.

    Raises:
        RuntimeError: the coroutine was resumed by another caller.
    """
    replies = yield Handover(executor, unit)
    if replies is None:
        raise RuntimeError("this call was passed to atomic() and is also awaited elsewhere: await only atomic()")
    return replies


def refuse_in_atomic(method: str, why: str = "needs several round trips") -> None:
    """Refuse a method that cannot be part of a transaction. Called in its first line.

    Raises:
        TypeError: the method is called inside ``atomic``.
    """
    if collecting.active:
        raise TypeError(f"{method}() {why}, so it cannot be part of atomic(): await it alone")
