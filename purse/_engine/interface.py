"""Executor: the methods of the engine that collections, locks and limiters call.

    Executor              this protocol, below all modules that use it
    ClientExecutor        one server                              ``executor``
    executor_for(client)  the executor of a client                ``registry``

Methods that concern a key have it as an argument, because an executor of several servers has to choose one.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Protocol

from typing_extensions import TypeVar

from purse._engine.clients import Connection
from purse._engine.replies import Reply
from purse._engine.scripts import ScriptCall
from purse._engine.unit import Command, Origin, Unit
from purse._engine.waiting import Line
from purse._engine.wakeups import Wakeups

__all__ = ["Executor"]

R = TypeVar("R")
E = TypeVar("E")


class Executor(Protocol):
    """Sends units to Redis. There is one executor for each client."""

    async def execute(self, unit: Unit[R], /) -> R:
        """Send ``unit`` in one write, wait for its replies and decode them.

        It is executed at most once unless it is read-only: a unit that never left the process is sent
        again on a new connection, and a unit whose reply was lost raises. Cancelling the caller never
        disturbs another call. A unit that was already sent is still executed.

        Raises:
            redis.exceptions.ConnectionError, redis.exceptions.TimeoutError: no connection could be opened, or it was
                lost before the reply came.
            redis.exceptions.ResponseError: the server refused. ``unit.origin`` explains the error.
            StoreClosed: after ``aclose()``.
        """
        ...

    async def ask(self, command: Command | ScriptCall, origin: Origin, field: object = None, /) -> Reply:
        """``execute`` a unit of this one command, and return its reply. Nearly every call takes this way."""
        ...

    async def ask_again(self, command: Command | ScriptCall, origin: Origin, field: object = None, /) -> Reply:
        """``ask`` for a command that may be executed twice: it is sent again if its reply was lost."""
        ...

    async def take(self, unit: Unit[list[E]], line: Callable[[], Line[E]], /) -> list[E]:
        """``execute`` a unit that removes elements and returns them.

        If the caller is cancelled after the unit may have been sent, its replies are read nevertheless, and the
        elements in them go to the line: to the next caller that waits there, or back to where they were.

        Args:
            line: returns the line that puts these elements back. It is called only after a cancellation.
        """
        ...

    def line(
        self,
        key: str,
        what: str,
        take: Callable[[int], Unit[list[E]]] | None,
        put_back: Callable[[list[E]], Unit[object]],
        /,
    ) -> Line[E]:
        """The line of the callers that wait for elements of ``key`` in the running loop, see ``Line``.

        Args:
            what: names the way of taking elements: each way has its own line.
            take: makes the unit that removes and returns at most so many elements. None if no caller waits for any.
            put_back: makes the unit that puts elements back where they were, in their order.
        """
        ...

    async def is_cluster_node(self) -> bool:
        """Whether the server has only a part of the keys, so that a search would not find the others.

        The server is asked once on each connection, in one round trip that an observer does not see.
        """
        ...

    def wakeups(self, key: str, /) -> Wakeups:
        """The ``Wakeups`` that report to the running loop that ``key`` has changed."""
        ...

    async def connect(self, key: bytes | str, /) -> Connection:
        """Open a new connection to the server of ``key``, for commands that must not be sent on a shared one.

        The caller closes it.

        Raises:
            redis.exceptions.ConnectionError, redis.exceptions.TimeoutError: it cannot be opened.
        """
        ...

    async def aclose(self) -> None:
        """Close this client's connections in the running loop. Later calls raise ``StoreClosed``."""
        ...
