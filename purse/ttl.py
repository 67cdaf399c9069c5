"""TTL: how long a key lives, as a declared policy that rides on every write.

A policy is a value: it knows the duration and when to renew it, and nothing about Redis. The collections
turn it into the PEXPIRE (or the script argument) that is sent in the same unit as the write,
because a list that is emptied and refilled, or HSET on a field with its own TTL, silently loses the TTL.

    TTL(hours=1)                      every write starts the hour again
    TTL(minutes=30, renew="read")     reads that return stored values also start it again
    TTL(days=1, renew="never")        counts from the key's creation
    TTL(days=1, jitter=0.1)           between 21.6 and 26.4 hours, drawn anew for each write
    TTL(hours=1, per_item=True)       each hash field has its own hour

Where ``ttl=`` is an argument, a ``timedelta`` or a number of seconds means the policy with that duration that every
write starts again.
"""

from __future__ import annotations

import random
from dataclasses import KW_ONLY, InitVar, dataclass, field
from datetime import timedelta
from typing import TYPE_CHECKING, Literal, TypeAlias, cast

from purse.codecs._shown import shown
from purse.errors import DeclarationError

__all__ = ["TTL"]

_MAX_MS = 2**53  # above this a Lua script, whose numbers are doubles, could not count the milliseconds


@dataclass(frozen=True, slots=True)
class TTL:
    """A time-to-live policy for a store, a field, or a collection built directly.

    Args:
        milliseconds, seconds, minutes, hours, days: the duration is their sum, at least 1 ms.
        renew: ``"write"`` restarts the clock at each write. ``"read"`` restarts it at each write and at each read
            that returns stored values (not ``contains``, ``len``, ``ttl``, scans). ``"never"`` counts
            from creation: a write sets a TTL only where the key has none.
        jitter: 0 to 1. Each time the clock is set, the duration is drawn uniformly from
            ``duration * (1 - jitter)`` to ``duration * (1 + jitter)``, so that keys written together do not
            expire together.
        per_item: each hash field expires by itself. Needs Redis >= 7.4 or Valkey >= 9. On other servers writes
            raise ``UnsupportedServer`` and write nothing.

    Raises:
        DeclarationError: the duration is not positive, or an option is not one of the above.
    """

    _: KW_ONLY
    milliseconds: InitVar[float] = 0
    seconds: InitVar[float] = 0
    minutes: InitVar[float] = 0
    hours: InitVar[float] = 0
    days: InitVar[float] = 0
    renew: Literal["write", "read", "never"] = "write"
    jitter: float = 0.0
    per_item: bool = False
    duration_ms: int = field(init=False)

    if not TYPE_CHECKING:  # checkers refuse a duration without a unit

        def __new__(cls, *unitless: object, **parts: object) -> TTL:
            if unitless:
                raise DeclarationError(f"TTL({shown(unitless[0])}) has no unit: write {_fix_for(unitless[0])}")
            return object.__new__(cls)

    def __post_init__(self, milliseconds: float, seconds: float, minutes: float, hours: float, days: float) -> None:
        given: dict[str, object] = {
            "milliseconds": milliseconds,
            "seconds": seconds,
            "minutes": minutes,
            "hours": hours,
            "days": days,
            "jitter": self.jitter,
        }
        for name, part in given.items():
            if isinstance(part, bool) or not isinstance(part, (int, float)):
                fix = "0.1" if name == "jitter" else _number_in(part)
                raise DeclarationError(f"TTL({name}={shown(part)}): {name}= must be a number: write TTL({name}={fix})")
        total = milliseconds + 1000 * (seconds + 60 * (minutes + 60 * (hours + 24 * days)))
        if not 1 <= total <= _MAX_MS:  # also false for nan
            raise DeclarationError(
                f"a TTL must be between 1 ms and {_MAX_MS} ms, not {total} ms: write for example TTL(hours=1), "
                "or omit ttl= for keys that never expire"
            )
        if self.renew not in ("write", "read", "never"):
            raise DeclarationError(f'renew= must be "write", "read" or "never", not {shown(self.renew)}')
        if not 0 <= self.jitter < 1:
            raise DeclarationError(f"jitter= must be at least 0 and below 1, not {shown(self.jitter)}")
        object.__setattr__(self, "duration_ms", round(total))

    @property
    def duration(self) -> timedelta:
        """The declared duration, without jitter."""
        return timedelta(milliseconds=self.duration_ms)

    def __purse_draw_ms__(self) -> int:
        """The milliseconds to set now: the duration, spread by ``jitter``, but at least 1."""
        if not self.jitter:
            return self.duration_ms
        spread = random.uniform(1 - self.jitter, 1 + self.jitter)
        return max(1, round(self.duration_ms * spread))


Lifetime: TypeAlias = TTL | timedelta | float
"""What ``ttl=`` takes: a policy, or the duration of a policy that every write starts again. A number counts seconds."""


def as_ttl(given: Lifetime | None, where: str) -> TTL | None:
    """Turn the value of ``ttl=`` into a policy. None stays None.

    Args:
        where: the beginning of an error's message, ``Garden.visits``.

    Raises:
        DeclarationError: ``given`` is something else, or a duration that Redis cannot keep.
    """
    if given is None or isinstance(given, TTL):
        return given
    unchecked = cast("object", given)
    if isinstance(unchecked, bool) or not isinstance(unchecked, (int, float, timedelta)):
        raise DeclarationError(
            f"{where}: ttl= is a TTL, a timedelta or a number of seconds, not {shown(given)}: write for example "
            f"ttl={_fix_for(unchecked)}"
        )
    try:
        if isinstance(given, timedelta):
            return TTL(milliseconds=given / timedelta(milliseconds=1))
        return TTL(seconds=given)
    except DeclarationError as error:
        raise DeclarationError(f"{where}: ttl={shown(given)}: {error}") from None


def _fix_for(given: object) -> str:
    """The policy that the caller probably meant."""
    return "TTL(hours=1)" if (number := _number_in(given)) == "1" else f"TTL(seconds={number})"


def _number_in(given: object) -> str:
    """The number of seconds that the caller probably meant, or "1"."""
    if isinstance(given, timedelta):
        return f"{given.total_seconds():g}"
    try:
        return f"{float(cast('str', given)):g}" if isinstance(given, (str, int, float)) else "1"
    except ValueError:
        return "1"
