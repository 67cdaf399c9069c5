"""Rates: how much may happen in how much time, and the arithmetic of the rate limiter that needs no log.

GCRA, the generic cell rate algorithm, is a bucket with a hole. Each hit pours in what takes ``per / count`` to leak
out; what would make it run over does not pass. ``5/10 seconds``: 2 s a hit, and the bucket holds 5 of them, 10 s:

    level
    10 s |      *  <- full: the next hit has to wait until there is room for it, 2 s
         |     *   .
         |    *        .            *
         |   *             .      *     .
     0 s |__*__________________.__________________.___________________
           5 hits                2 hits                        time

What is stored is one number, the time at which the level will be down at zero: the level is that time minus now, it
sinks by itself, and there is nothing to count or to sum up. Between any two moments t apart no more hits pass than
the bucket holds and what leaks out in t, ``burst + t * count / per``.

The time of one hit need not be a whole number of microseconds: 7/second is 142857 1/7. So all times are counted in
``count``-ths of a microsecond; in those everything here is an integer, and nothing is ever rounded. Lua has doubles,
exact up to 2**53, so the script (lua/rate_gcra.lua) adds and compares microseconds and parts of one by themselves:

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
    """So many hits in so much time: ``Rate(5, timedelta(seconds=10))``, or ``"5/10 seconds"``.

    Attributes:
        count: how many hits; at least 1, at most a thousand million.
        per: in how much time; at least a millisecond, at most ten years.

    Raises:
        DeclarationError: one of them is something else.
    """

    count: int
    per: timedelta

    def __post_init__(self) -> None:
        if type(self.count) is not int or not 1 <= self.count <= _MOST:
            raise DeclarationError(f"the count of a rate is an int from 1 to {_MOST}, not {shown(self.count)}")
        given = cast("object", self.per)
        if not isinstance(given, timedelta):
            raise DeclarationError(
                f"a rate is per timedelta, not {shown(given)}; write Rate({self.count}, timedelta(...))"
            )
        if not _SHORTEST <= given <= _LONGEST:
            raise DeclarationError(f"a rate is per a millisecond at least and ten years at most, not {given}")

    @classmethod
    def parse(cls, text: str) -> Rate:
        """The rate that ``text`` says: ``"10/second"``, ``"100/minute"``, ``"5/10 seconds"``, ``"1/day"``.

        Raises:
            DeclarationError: it says none.
        """
        found = _RATE.fullmatch(text)
        if found is None:
            raise DeclarationError(
                f'{shown(text)} is not a rate; write "10/second", "5/10 seconds", "100/minute", "1000/hour", "1/day", '
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
    """The bucket of a rate, in integers: counted in ``rate.count``-ths of a microsecond.

    Args:
        rate: what leaks out.
        burst: how many hits it holds.

    Raises:
        DeclarationError: such a bucket takes lifetimes to leak out.
    """

    __slots__ = ("_full", "_hit", "_parts")

    def __init__(self, rate: Rate, burst: int) -> None:
        self._parts = rate.count
        self._hit = rate.per_us
        self._full = burst * self._hit
        if self._full > self._parts * (_LONGEST // MICROSECOND):
            raise DeclarationError(f"burst={burst} at a rate of {rate} would take more than ten years to be forgotten")

    def words(self, cost: int) -> tuple[int, int, int, int, int]:
        """What rate_gcra.lua is to know: the parts, how high the level may be, by how much a hit raises it."""
        return self._parts, *divmod(self._full, self._parts), *divmod(cost * self._hit, self._parts)

    def level(self, us: int, part: int) -> int:
        """The level that rate_gcra.lua answered."""
        return us * self._parts + part

    def remaining(self, level: int) -> int:
        """How many hits still fit."""
        return (self._full - level) // self._hit

    def retry_us(self, level: int, cost: int) -> int:
        """Microseconds until a hit of ``cost`` fits, rounded up: waiting that long is enough."""
        return max(0, -((self._full - level - cost * self._hit) // self._parts))

    def reset_us(self, level: int) -> int:
        """Microseconds until the bucket is empty, rounded up."""
        return -(-level // self._parts)
