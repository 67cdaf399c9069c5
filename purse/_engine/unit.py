"""A unit: what one method call sends, and how its replies become a value.

Collections build units and hand them to an ``Executor``; they know nothing of connections. Alone, a
unit of one command goes out as it is, a unit of several as MULTI ... EXEC in one write, so that either
way it is isolated: nobody sees the half of it.

    garden.visits.set("home", 3)            one unit of two commands
        HSET {garden}:visits home 3         -> 1
        EVAL "...expire..." ...             -> 1
        decode([1, 1])                      -> 1, what set() returns

Replies are always bytes, whatever the client's ``decode_responses`` says.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING, Generic, Protocol, TypeAlias

from typing_extensions import TypeVar

from purse._engine.replies import Reply
from purse._engine.scripts import ScriptCall

if TYPE_CHECKING:
    from purse._engine.waiting import Line
    from purse._engine.wakeups import Wakeups

__all__ = ["Argument", "Command", "Executor", "Origin", "Unit"]

R = TypeVar("R", covariant=True)
E = TypeVar("E")

Argument: TypeAlias = bytes | str | int | float
Command: TypeAlias = tuple[Argument, ...]


class Origin(Protocol):
    """Who built a unit: turns an error of Redis into one that names the key, the field and the fix."""

    def explain(self, error: Exception, field: object) -> Exception:
        """The exception to raise in place of ``error``; may be ``error`` itself, with a note."""
        ...


class Unit(Generic[R]):
    """Commands that go out together, and the function that turns their replies into a value.

    Args:
        commands: one to n commands or script calls, in the order in which they are executed.
        decode: takes the replies, one for each command, none of them an error.
        origin: explains errors.
        field: the hash field, list index, ... that errors should name.
        read_only: executing it twice is harmless, so it may be sent again when its reply was lost.
        loose: several commands need no MULTI, because others may come between them. All but the last are attempts:
            ``decode`` looks at the last reply alone, and an error of another is passed over. (Inside ``atomic`` they
            are commands like all others.)
    """

    __slots__ = ("commands", "decode", "field", "loose", "origin", "read_only")

    def __init__(
        self,
        commands: Sequence[Command | ScriptCall],
        decode: Callable[[list[Reply]], R],
        origin: Origin,
        *,
        field: object = None,
        read_only: bool = False,
        loose: bool = False,
    ) -> None:
        self.commands: Sequence[Command | ScriptCall] = commands
        self.decode: Callable[[list[Reply]], R] = decode
        self.origin: Origin = origin
        self.field: object = field
        self.read_only: bool = read_only
        self.loose: bool = loose


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

    async def ask(
        self, command: Command | ScriptCall, origin: Origin, field: object = None, read_only: bool = False, /
    ) -> Reply:
        """What ``execute`` does for a unit of this one command, and its reply; the way of nearly every call."""
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
        """The line of those who wait for elements of ``key`` in the running loop; see ``Line``.

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

    def wakeups(self) -> Wakeups:
        """What tells that keys of this client have changed, in the running loop."""
        ...

    async def aclose(self) -> None:
        """Close this client's connections of the running loop; calls after it raise ``StoreClosed``."""
        ...
