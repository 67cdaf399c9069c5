"""One call of one public method, and what is to be seen of it from outside.

Each structure has a module here with a list ``CALLS``. Generic tests run over all of them: what the server's MONITOR
shows, how many round trips there are, what becomes of the time to live, what happens at a key of another type, at
bytes that do not decode, for a user who may run nothing but the documented commands.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from dataclasses import dataclass, replace
from typing import Generic, Literal, TypeVar

__all__ = ["Case", "clocked"]

C = TypeVar("C")


@dataclass(frozen=True)
class Case(Generic[C]):
    """A call on a filled collection of ``int`` values.

    Attributes:
        name: the method, and what is special about this call: ``pop``, ``pop with a count``.
        call: makes the call and awaits it, or reads an iterator to its end.
        sends: the commands as MONITOR shows them, words joined by spaces, without MULTI and EXEC; a script as
            ``EVALSHA name_of_script key ...``, without its arguments and the commands that it calls.
        trips: round trips; None if the number depends on others.
        reads: it decodes stored values, so bytes that are no int make it raise ``DecodeError``.
        touches: it needs a key of the right type: at a key of another type it raises ``WrongKind``.
        same: it does the same each time: it pops no random member.
        acl: the commands that a user must be allowed, those inside scripts included.
        clock: what the call is for a TTL policy: a "write" restarts the clock with ``renew="write"`` and "read" and
            starts one where there is none, a "read" only with "read", a "look" never. Empty: none of these, because it
            sets a time itself, removes the key, or is made on a collection of another type.
        timed: what it sends with a policy that concerns it, where that is neither its own script nor ``with_ttl`` with
            the collection's key.
    """

    name: str
    call: Callable[[C], Awaitable[object]]
    sends: tuple[str, ...]
    acl: tuple[str, ...]
    trips: int | None = 1
    reads: bool = False
    touches: bool = True
    same: bool = True
    clock: Literal["write", "read", "look", ""] = ""
    timed: tuple[str, ...] | None = None


def clocked(writes: list[Case[C]], reads: list[Case[C]], looks: list[Case[C]], others: list[Case[C]]) -> list[Case[C]]:
    """All of them, each with its column for the clock."""
    return [
        *(replace(case, clock="write") for case in writes),
        *(replace(case, clock="read") for case in reads),
        *(replace(case, clock="look") for case in looks),
        *others,
    ]
