"""A unit: the commands of one method call, and the function that turns their replies into a value.

Collections build units and hand them to an ``Executor``. They do not depend on connections. Outside of ``atomic``, a
unit of one command is sent unchanged, and a unit of several commands as MULTI ... EXEC in one write. So
a unit is isolated: no other client sees one half of it.

    garden.visits.set("home", 3)            one unit of two commands
        HSET {garden}:visits home 3         -> 1
        EVAL "...expire..." ...             -> 1
        decode([1, 1])                      -> 1, what set() returns

Strings in replies are always bytes, with any ``decode_responses`` of the client.
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
    """The builder of a unit: it turns an error of Redis into one that names the key, and knows the slot of its keys.

    Collections are origins, so the names begin and end with underscores, which hides them from users.
    """

    __purse_spread__: bool
    """Whether ``slots=`` has put the keys into another slot than their store. Then a transaction over both is refused
    on any server."""

    def __purse_explain__(self, error: Exception, field: object) -> Exception:
        """Return the exception to raise in place of ``error``. May be ``error`` itself, with a note."""
        ...

    def __purse_slot_of__(self, field: object) -> str:
        """The hash tag of the keys of a unit about ``field``. Empty for SCAN and DBSIZE, which have no key."""
        ...


class Noted:
    """An origin that adds a note to errors.

    Args:
        note: where it happened.
        slot: the hash tag of the keys, or empty if there are no keys.
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
    """Commands that are sent together, and the function that turns their replies into a value.

    Args:
        commands: one or more commands or script calls, in the order in which they are executed.
        decode: takes the replies, one for each command, none of them an error.
        origin: explains errors.
        field: the hash field, list index, ... that errors should name.
        read_only: whether it is harmless to execute it twice, so that it may be sent again if its reply was lost.
        loose: whether several commands are sent without MULTI, because other clients may act in between. All but the
            last are attempts: ``decode`` uses only the last reply, and errors of the others are ignored. (Inside
            ``atomic`` they are commands like all others.)
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
