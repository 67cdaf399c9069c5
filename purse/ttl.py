"""TTL: how long a key lives, as a declared policy that rides on every write.

A policy is a value: it knows how long and when to renew, and nothing of Redis. The collections
turn it into the PEXPIRE (or the script argument) that goes out in the same unit as the write,
because a list emptied and refilled, or HSET on a field with a TTL of its own, silently loses it.

    TTL(hours=1)                      every write starts the hour again
    TTL(minutes=30, renew="read")     reads that return stored values start it again, too
    TTL(days=1, renew="never")        counts from the key's creation
    TTL(days=1, jitter=0.1)           between 21.6 and 26.4 hours, drawn anew for each write
    TTL(hours=1, per_item=True)       each hash field has an hour of its own
"""

from __future__ import annotations

import random
from dataclasses import KW_ONLY, InitVar, dataclass, field
from datetime import timedelta
from typing import Literal

from purse.errors import DeclarationError

__all__ = ["TTL"]

_MAX_MS = 2**53  # above this a Lua script, whose numbers are doubles, could not count the milliseconds


@dataclass(frozen=True, slots=True)
class TTL:
    """A time-to-live policy for a store, a field, or a collection built directly.

    Args:
        milliseconds, seconds, minutes, hours, days: the duration is their sum, at least 1 ms.
        renew: ``"write"`` restarts the clock at each write; ``"read"`` at each write and at each read
            that returns stored values (not ``contains``, ``len``, ``ttl``, scans); ``"never"`` counts
            from creation: a write sets a TTL only where the key has none.
        jitter: 0 to 1; each time the clock is set, the duration is drawn uniformly from
            ``duration * (1 - jitter)`` to ``duration * (1 + jitter)``, so that keys written together do not
            expire together.
        per_item: each hash field expires by itself. Needs Redis >= 7.4 or Valkey >= 9; elsewhere writes
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

    def __post_init__(self, milliseconds: float, seconds: float, minutes: float, hours: float, days: float) -> None:
        total = milliseconds + 1000 * (seconds + 60 * (minutes + 60 * (hours + 24 * days)))
        if not 1 <= total <= _MAX_MS:  # also false for nan
            raise DeclarationError(
                f"a TTL must be between 1 ms and {_MAX_MS} ms, not {total} ms; write e.g. TTL(hours=1), "
                "or leave ttl= out for keys that never expire"
            )
        if self.renew not in ("write", "read", "never"):
            raise DeclarationError(f'renew= must be "write", "read" or "never", not {self.renew!r}')
        if not 0 <= self.jitter < 1:
            raise DeclarationError(f"jitter= must be at least 0 and below 1, not {self.jitter!r}")
        object.__setattr__(self, "duration_ms", round(total))

    @property
    def duration(self) -> timedelta:
        """The declared duration, without jitter."""
        return timedelta(milliseconds=self.duration_ms)

    def draw_ms(self) -> int:
        """The milliseconds to set now: the duration, spread by ``jitter``; never below 1."""
        if not self.jitter:
            return self.duration_ms
        spread = random.uniform(1 - self.jitter, 1 + self.jitter)
        return max(1, round(self.duration_ms * spread))
