"""Options of limits: which ``rate=``, ``lease=`` and ``timeout=`` a limiter and a semaphore accept."""

from __future__ import annotations

from datetime import timedelta

from purse._coordination.rates import MICROSECOND, Rate
from purse.codecs._shown import named, shown
from purse.errors import DeclarationError

__all__ = ["MOST", "check_cost", "lease_us", "limit_of", "rate_of", "seconds_of"]

MOST = 1_000_000
"""The greatest number of permits of a semaphore, and of hits in the log of one identity."""

_SHORTEST, _LONGEST = timedelta(milliseconds=1), timedelta(days=3660)


def rate_of(rkey: str, rate: object) -> Rate:
    """The rate of a limiter, read from text if it is a ``str``.

    Raises:
        DeclarationError: ``rate`` is not a rate.
    """
    try:
        if isinstance(rate, str):
            return Rate.parse(rate)
    except DeclarationError as error:
        raise DeclarationError(f"{named(rkey)}: rate={error}") from None
    if isinstance(rate, Rate):
        return rate
    raise DeclarationError(f'{named(rkey)}: rate= must be a str such as "10/second", or a Rate, not {shown(rate)}')


def limit_of(rkey: str, rate: Rate, burst: object, algorithm: object) -> int:
    """How many hits of a limiter pass at once.

    Raises:
        DeclarationError: ``burst`` or ``algorithm`` is something else, or they cannot be used together.
    """
    if algorithm not in ("gcra", "sliding_window"):
        raise DeclarationError(f'{named(rkey)}: algorithm= must be "gcra" or "sliding_window", not {shown(algorithm)}')
    if burst is not None and (type(burst) is not int or not 1 <= burst <= 10**9):
        raise DeclarationError(f"{named(rkey)}: burst= must be an int from 1 to {10**9}, not {shown(burst)}")
    if algorithm == "sliding_window" and burst is not None:
        raise DeclarationError(f'{named(rkey)}: a sliding window has no burst=: omit it, or write algorithm="gcra"')
    if algorithm == "sliding_window" and rate.count > MOST:
        raise DeclarationError(
            f"{named(rkey)}: a sliding window stores each hit, at most {MOST} of them, so it cannot count {rate}: "
            'write algorithm="gcra"'
        )
    return burst if isinstance(burst, int) else rate.count


def check_cost(rkey: str, cost: int, limit: int) -> None:
    """Refuse a cost with which a hit can never pass.

    Raises:
        TypeError: ``cost`` is not an ``int``.
        ValueError: ``cost`` is less than 1 or more than ``limit``.
    """
    if type(cost) is not int:
        raise TypeError(f"{named(rkey)}: cost= must be an int, not {shown(cost)}")
    if not 1 <= cost <= limit:
        raise ValueError(f"{named(rkey)}: cost={cost} can never pass: write a cost from 1 to the limit, {limit}")


def lease_us(rkey: str, lease: object) -> int:
    """The lease of a semaphore in microseconds.

    Raises:
        DeclarationError: ``lease`` is not a duration, or is too short or too long.
    """
    if isinstance(lease, (int, float)) and not isinstance(lease, bool) and 0 < lease <= _LONGEST.total_seconds():
        lease = timedelta(seconds=lease)
    if not isinstance(lease, timedelta) or not _SHORTEST <= lease <= _LONGEST:
        raise DeclarationError(
            f"{named(rkey)}: lease= must be seconds or a timedelta, from a millisecond to ten years, not {shown(lease)}"
        )
    return lease // MICROSECOND


def seconds_of(timeout: float | timedelta | None, instead: str) -> float | None:
    """A ``timeout`` in seconds, or None to wait for ever.

    Args:
        instead: the call that does not wait, for the message.

    Raises:
        ValueError: ``timeout`` is not positive.
    """
    seconds = timeout.total_seconds() if isinstance(timeout, timedelta) else timeout
    if seconds is not None and not seconds > 0:
        raise ValueError(
            f"timeout= must be positive, or None to wait for ever, not {shown(timeout)}: {instead} if the call is not "
            "to wait"
        )
    return seconds
