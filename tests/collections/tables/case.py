"""One call of one public method, and what is to be seen of it from outside.

Each structure has a module here with a list ``CALLS``. Generic tests run over all of them: what the server's MONITOR
shows, how many round trips there are, what happens at a key of another type, at bytes that do not decode, for a user
who may run nothing but the documented commands.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from typing import Generic, TypeVar

__all__ = ["Case"]

C = TypeVar("C")


@dataclass(frozen=True)
class Case(Generic[C]):
    """A call on a filled collection of ``int`` values.

    Attributes:
        name: the method, and what is special about this call: ``pop``, ``pop with a count``.
        call: makes the call and awaits it, or reads an iterator to its end.
        sends: the commands as MONITOR shows them, words joined by spaces, without MULTI and EXEC; a script as
            ``EVALSHA name_of_script 1 key ...`` (the commands that it calls are not listed).
        trips: round trips; None if the number depends on others.
        reads: it decodes stored values, so bytes that are no int make it raise ``DecodeError``.
        touches: it needs a key of the right type: at a key of another type it raises ``WrongKind``.
        same: it does the same each time: it pops no random member.
        acl: the commands that a user must be allowed, those inside scripts included.
    """

    name: str
    call: Callable[[C], Awaitable[object]]
    sends: tuple[str, ...]
    acl: tuple[str, ...]
    trips: int | None = 1
    reads: bool = False
    touches: bool = True
    same: bool = True
