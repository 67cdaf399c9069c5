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
from typing import Generic, Protocol, TypeAlias

from typing_extensions import TypeVar

from purse._engine.replies import Reply
from purse._engine.scripts import ScriptCall

__all__ = ["Argument", "Command", "Noted", "Origin", "Unit"]

R = TypeVar("R", covariant=True)

Argument: TypeAlias = bytes | str | int | float
Command: TypeAlias = tuple[Argument, ...]


class Origin(Protocol):
    """What built a unit: it turns an error of Redis into one that names the key, and knows the slot of its keys.

    A collection is one, so the names are those that users do not see.
    """

    __purse_spread__: bool
    """``slots=`` has put the keys into another slot than their store: a step over both is refused on any server."""

    def __purse_explain__(self, error: Exception, field: object) -> Exception:
        """The exception to raise in place of ``error``; may be ``error`` itself, with a note."""
        ...

    def __purse_slot_of__(self, field: object) -> str:
        """The hash tag of the keys of a unit that concerns ``field``; empty for SCAN and DBSIZE, which have none."""
        ...


class Noted:
    """An origin that adds a note to errors.

    Args:
        note: where it happened.
        slot: the hash tag of the keys; empty if there is none.
    """

    __purse_spread__ = False

    def __init__(self, note: str, slot: str = "") -> None:
        self._note = note
        self._slot = slot

    def __purse_explain__(self, error: Exception, field: object) -> Exception:
        """See ``Origin``."""
        error.add_note(f"purse: {self._note}")
        return error

    def __purse_slot_of__(self, field: object) -> str:
        """See ``Origin``."""
        return self._slot


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
