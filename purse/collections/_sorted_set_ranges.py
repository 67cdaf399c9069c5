"""Scores and ranges of a sorted set: how they are written to Redis, and how they are read.

                       as a lower bound    as an upper bound
    a score 5          5                   5
    gt(5), lt(5)       (5                  (5
    a member "b"       [b                  [b
    gt("b"), lt("b")   (b                  (b
    no member          -                   +

A score is a double. RESP2 writes it as a string behind its member in one flat list. RESP3 has a type for it, and a list
of pairs. Inside a script, replies are always those of RESP2.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Generic, TypeGuard, TypeVar

from redis.exceptions import InvalidResponse

from purse._engine.replies import Reply, as_all_bytes, as_array, as_bytes
from purse.codecs._shown import shown
from purse.collections._base import clamped, integer
from purse.errors import EncodeError

__all__ = [
    "Above",
    "Below",
    "as_optional_score",
    "as_score",
    "as_scored",
    "gt",
    "lex_range",
    "limits",
    "lt",
    "score_range",
    "score_word",
]

T = TypeVar("T")
T_co = TypeVar("T_co", covariant=True)


@dataclass(frozen=True, slots=True)
class Above(Generic[T_co]):
    """A lower bound that does not belong to the range. ``gt`` makes it."""

    bound: T_co

    def __repr__(self) -> str:
        return f"gt({shown(self.bound)})"


@dataclass(frozen=True, slots=True)
class Below(Generic[T_co]):
    """An upper bound that does not belong to the range. ``lt`` makes it."""

    bound: T_co

    def __repr__(self) -> str:
        return f"lt({shown(self.bound)})"


def gt(bound: T) -> Above[T]:
    """Everything greater than ``bound``, itself excluded: ``slice_by_score(gt(5), 10)``.

    Args:
        bound: a score, or for ``slice_by_lex`` a member.
    """
    return Above(bound)


def lt(bound: T) -> Below[T]:
    """Everything less than ``bound``, itself excluded: ``slice_by_score(5, lt(10))``.

    Args:
        bound: a score, or for ``slice_by_lex`` a member.
    """
    return Below(bound)


def score_word(score: object) -> str:
    """A score as Redis reads it.

    Raises:
        EncodeError: it is not a number, nan, or an int that no double equals. The message is only the reason.
    """
    if isinstance(score, bool) or not isinstance(score, (int, float)):
        raise EncodeError(f"a score must be a float or an int, not {shown(score)}.")
    if score != score:
        raise EncodeError("nan cannot be a score, because it has no place in any order.")
    if isinstance(score, float):
        return float.__repr__(score)
    try:
        exact = int(float(score)) == score
    except OverflowError:
        exact = False
    if not exact:
        raise EncodeError(
            f"an int of {score.bit_length()} bits would lose digits, because scores are doubles, exact for ints up to "
            "2**53."
        )
    return int.__repr__(score)


def score_range(low: float | Above[float], high: float | Below[float]) -> tuple[str, str]:
    """The bounds of a range of scores.

    Raises:
        TypeError: ``gt`` as the upper bound, or ``lt`` as the lower one.
        EncodeError: a bound is not a score. The message is only the reason.
    """
    _check_sides(low, high)
    return (
        f"({score_word(low.bound)}" if isinstance(low, Above) else score_word(low),
        f"({score_word(high.bound)}" if isinstance(high, Below) else score_word(high),
    )


def lex_range(raw: Callable[[object], bytes], low: object, high: object) -> tuple[bytes, bytes]:
    """The bounds of a range of members. None means no bound.

    Args:
        raw: encodes a member.

    Raises:
        TypeError: ``gt`` as the upper bound, or ``lt`` as the lower one.
    """
    _check_sides(low, high)
    return _lex_bound(raw, low, b"-"), _lex_bound(raw, high, b"+")


def limits(offset: int | None, count: int | None) -> tuple[str | int, ...]:
    """The LIMIT of a range. As in redis-purse 2.x a negative ``count`` means no limit.

    Raises:
        ValueError: ``offset`` is negative.
    """
    if offset is not None and integer(offset) < 0:
        raise ValueError(f"offset= must be 0 or more, not {offset}")
    if offset is None and count is None:
        return ()
    return ("LIMIT", clamped(offset or 0), -1 if count is None else clamped(count))


def as_score(reply: Reply) -> float:
    """A score: a double of RESP3, or the string that RESP2 has for it."""
    return reply if isinstance(reply, float) else float(as_bytes(reply))


def as_optional_score(reply: Reply) -> float | None:
    """A score, or None for a null."""
    return None if reply is None else as_score(reply)


def as_scored(reply: Reply) -> list[tuple[bytes, float]]:
    """Members with their scores: RESP3's list of pairs, or a flat list of member, score, member, score."""
    array = as_array(reply)
    if array and isinstance(array[0], list):
        return [_as_pair(pair) for pair in array]
    members = as_all_bytes(array[::2])
    return [*zip(members, map(as_score, array[1::2]), strict=True)]


def _as_pair(reply: Reply) -> tuple[bytes, float]:
    pair = as_array(reply)
    if len(pair) != 2:
        raise InvalidResponse(f"expected a member and its score, got {shown(pair)}")
    return as_bytes(pair[0]), as_score(pair[1])


def _lex_bound(raw: Callable[[object], bytes], bound: object, none: bytes) -> bytes:
    if _is_excluded(bound):
        return b"(" + raw(bound.bound)
    return none if bound is None else b"[" + raw(bound)


def _is_excluded(bound: object) -> TypeGuard[Above[object] | Below[object]]:
    return isinstance(bound, (Above, Below))


def _check_sides(low: object, high: object) -> None:
    if isinstance(low, Below):
        raise TypeError(f"{low} is an upper bound: as the lower bound write gt(x), or x itself")
    if isinstance(high, Above):
        raise TypeError(f"{high} is a lower bound: as the upper bound write lt(x), or x itself")
