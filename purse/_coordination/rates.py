"""Rates: how many hits are allowed in a time, and the arithmetic of the rate limiter that needs no log of the hits.

GCRA, the generic cell rate algorithm, is a bucket with a hole. Each hit pours in an amount that takes ``per / count``
to leak out. A hit that would make the bucket run over does not pass. ``5/10 seconds``: each hit adds 2 s, and the
bucket holds 5 of them, 10 s:

    level
    10 s |      *  <- full: the next hit has to wait until there is room for it, 2 s
         |     *   .
         |    *        .            *
         |   *             .      *     .
     0 s |__*__________________.__________________.___________________
           5 hits                2 hits                        time

Only one number is stored: the time at which the level will be zero. The level is that time minus now, so it sinks
by itself, and no hits have to be counted or summed up. In any interval of length t, at most ``burst + t * count / per``
hits pass: as many as the bucket holds and as leak out in t.

The time of one hit need not be a whole number of microseconds: for 7/second it is 142857 1/7. So all times are counted
in ``count``-ths of a microsecond. In that unit every number here is an integer, and nothing is rounded. Lua has
doubles, exact up to 2**53, so the script (lua/rate_gcra.lua) adds and compares microseconds and the parts of one
separately:

    1763400000142857 1    the level is down at zero at this time of the server's clock, plus 1/7 us
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from datetime import timedelta
from typing import cast

from purse.codecs._shown import shown
from purse.errors import DeclarationError

__all__ = ["MICROSECOND", "Bucket", "Rate"]

MICROSECOND = timedelta(microseconds=1)

_SHORTEST, _LONGEST = timedelta(milliseconds=1), timedelta(days=3660)
_MOST = 10**9
_RATE = re.compile(r"([1-9][0-9]{0,11})/(?:([1-9][0-9]{0,5}) (second|minute|hour|day)s?|(second|minute|hour|day))")
_UNITS = {
    "second": timedelta(seconds=1),
    "minute": timedelta(minutes=1),
    "hour": timedelta(hours=1),
    "day": timedelta(days=1),
}


@dataclass(frozen=True, slots=True)
class Rate:
    """A number of hits in a time: ``Rate(5, timedelta(seconds=10))``, or ``"5/10 seconds"``.

    Attributes:
        count: the number of hits, from 1 to 1,000,000,000.
        per: the time, from a millisecond to ten years.

    Raises:
        DeclarationError: one of them is something else.
    """

    count: int
    per: timedelta

    def __post_init__(self) -> None:
        if type(self.count) is not int or not 1 <= self.count <= _MOST:
            raise DeclarationError(f"the count of a rate must be an int from 1 to {_MOST}, not {shown(self.count)}")
        given = cast("object", self.per)
        if not isinstance(given, timedelta):
            raise DeclarationError(
                f"the time of a rate must be a timedelta, not {shown(given)}: write Rate({self.count}, timedelta(...))"
            )
        if not _SHORTEST <= given <= _LONGEST:
            raise DeclarationError(f"the time of a rate must be between a millisecond and ten years, not {given}")

    @classmethod
    def parse(cls, text: str) -> Rate:
        """Read a rate from text: ``"10/second"``, ``"100/minute"``, ``"5/10 seconds"``, ``"1/day"``.

        Raises:
            DeclarationError: ``text`` is not a rate.
        """
        found = _RATE.fullmatch(text)
        if found is None:
            raise DeclarationError(
                f'{shown(text)} is not a rate: write "10/second", "5/10 seconds", "100/minute", "1000/hour", "1/day" '
                "or Rate(10, timedelta(seconds=1))"
            )
        count, times, units, unit = found.groups()
        return cls(int(count), int(times or 1) * _UNITS[units or unit])

    @property
    def per_us(self) -> int:
        """``per`` in microseconds."""
        return self.per // MICROSECOND

    def __str__(self) -> str:
        return f"{self.count} per {self.per}"


class Bucket:
    """The bucket of a rate. All its numbers are integers that count ``rate.count``-ths of a microsecond.

    Args:
        rate: how fast the bucket leaks.
        burst: how many hits it holds.

    Raises:
        DeclarationError: such a bucket would take more than ten years to leak out.
    """

    __slots__ = ("_full", "_hit", "_parts")

    def __init__(self, rate: Rate, burst: int) -> None:
        self._parts = rate.count
        self._hit = rate.per_us
        self._full = burst * self._hit
        if self._full > self._parts * (_LONGEST // MICROSECOND):
            raise DeclarationError(
                f"burst={burst} at a rate of {rate} would take more than ten years to leak out: write a smaller burst="
            )

    def words(self, cost: int) -> tuple[int, int, int, int, int]:
        """The arguments of rate_gcra.lua: the parts, how high the level may be, by how much a hit raises it."""
        return self._parts, *divmod(self._full, self._parts), *divmod(cost * self._hit, self._parts)

    def level(self, us: int, part: int) -> int:
        """The level that rate_gcra.lua answered."""
        return us * self._parts + part

    def remaining(self, level: int) -> int:
        """How many more hits fit."""
        return (self._full - level) // self._hit

    def retry_us(self, level: int, cost: int) -> int:
        """Microseconds until a hit of ``cost`` fits, rounded up, so waiting that long is enough."""
        return max(0, -((self._full - level - cost * self._hit) // self._parts))

    def reset_us(self, level: int) -> int:
        """Microseconds until the bucket is empty, rounded up."""
        return -(-level // self._parts)
