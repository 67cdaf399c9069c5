"""Executor: what collections, locks and limiters ask of the engine, and all that they know of it.

    Executor              this protocol, below all that use it
    ClientExecutor        one server                              ``executor``
    executor_for(client)  which executor a client has             ``registry``

Methods that concern a key are told which, because an executor of several servers has to choose one.
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
    """How units reach Redis; one for each client."""

    async def execute(self, unit: Unit[R], /) -> R:
        """Send ``unit`` in one write, wait for its replies and decode them.

        It is executed at most once unless it is read-only: a unit that never left the process is sent
        again on a new connection, one whose reply was lost raises. Cancelling the caller never
        disturbs another call; what was already sent is still executed.

        Raises:
            redis.exceptions.ConnectionError, redis.exceptions.TimeoutError: no connection, or it was
                lost before the reply came.
            redis.exceptions.ResponseError: the server refused; explained by ``unit.origin``.
            StoreClosed: after ``aclose()``.
        """
        ...

    async def ask(self, command: Command | ScriptCall, origin: Origin, field: object = None, /) -> Reply:
        """What ``execute`` does for a unit of this one command; its reply. Nearly every call takes this way."""
        ...

    async def ask_again(self, command: Command | ScriptCall, origin: Origin, field: object = None, /) -> Reply:
        """``ask`` for what may be executed twice: it is sent again if its reply was lost."""
        ...

    async def take(self, unit: Unit[list[E]], line: Callable[[], Line[E]], /) -> list[E]:
        """What ``execute`` does, for a unit that removes elements and returns them.

        If the caller is cancelled after the unit may have been sent, its replies are read nevertheless, and what they
        brought goes to the line: to the next caller that waits there, or back to where it was.

        Args:
            line: the line that puts these elements back; asked for only after a cancellation.
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
        """The line of the callers that wait for elements of ``key`` in the running loop; see ``Line``.

        Args:
            what: which elements, if there are several ways to take some: each has its own line.
            take: the unit that removes at most so many elements, and returns them; None: no caller waits for any.
            put_back: the unit that puts elements back where they were, in their order.
        """
        ...

    async def is_cluster_node(self) -> bool:
        """Whether the server has a part of the keys only, so that a search would not see the others.

        Asked once on each connection, in one round trip, which an observer does not see.
        """
        ...

    def wakeups(self, key: str, /) -> Wakeups:
        """What tells the running loop that ``key`` has changed."""
        ...

    async def connect(self, key: bytes | str, /) -> Connection:
        """A new connection to the server of ``key``, for what must not be sent on a shared one; the caller closes it.

        Raises:
            redis.exceptions.ConnectionError, redis.exceptions.TimeoutError: it cannot be opened.
        """
        ...

    async def aclose(self) -> None:
        """Close this client's connections of the running loop; calls after it raise ``StoreClosed``."""
        ...
