"""Scalars: when two numbers, texts, times or paths of one builtin class are the same.

Python's ``==`` is not enough for some of them: -0.0 is equal to 0.0, ``Decimal("1.0")`` to ``Decimal("1")``, a ``time``
in a zone without an offset to the naive one, a Windows path to one in capitals. And an instance of a subclass is never
asked, because its ``==`` may be anything.
"""

from __future__ import annotations

import math
import re
from collections.abc import Callable
from datetime import UTC, date, datetime, time, timedelta
from decimal import Decimal
from fractions import Fraction
from ipaddress import IPv4Address, IPv4Interface, IPv4Network, IPv6Address, IPv6Interface, IPv6Network
from pathlib import PosixPath, PurePath, PurePosixPath, PureWindowsPath, WindowsPath
from types import NoneType
from typing import TypeAlias, cast
from uuid import UUID

__all__ = ["FLAT", "KEPT", "SAME", "SOUND"]

Same: TypeAlias = Callable[[object, object, bool], bool]

SOUND: frozenset[type] = frozenset(
    {str, int, bool, NoneType, bytes, bytearray, date, timedelta, UUID, Fraction, PurePosixPath, PosixPath, re.Pattern}
    | {IPv4Address, IPv4Interface, IPv4Network, IPv6Address, IPv6Interface, IPv6Network}
)
"""Classes whose ``==`` covers all there is to an instance, as long as both sides are of exactly that class."""

FLAT = SOUND | {float}
"""Classes whose instances can be compared many at a time."""

KEPT = (datetime, date, time, timedelta, UUID)
"""Classes of which pydantic lets a field hold an instance of a subclass. A datetime is a date, so it is the first."""


def _by_its_own(kind: type) -> Same:
    """The ``==`` of that very class, not of a subclass."""
    equal = cast("Callable[[object, object], object]", kind.__eq__)
    return lambda before, after, normal: equal(before, after) is True


def _floats(before: object, after: object, normal: bool) -> bool:
    here, there = cast("tuple[float, float]", (before, after))
    return _same_float(float.__pos__(here), float.__pos__(there), normal)


def _complexes(before: object, after: object, normal: bool) -> bool:
    here, there = cast("tuple[complex, complex]", (before, after))
    return _same_float(here.real, there.real, normal) and _same_float(here.imag, there.imag, normal)


def _same_float(here: float, there: float, normal: bool) -> bool:
    if here == there:
        return here != 0 or normal or math.copysign(1, here) == math.copysign(1, there)
    return math.isnan(here) and math.isnan(there)


def _decimals(before: object, after: object, normal: bool) -> bool:
    here, there = Decimal(cast("Decimal", before)), Decimal(cast("Decimal", after))
    # The total order tells 1.0 from 1 and one nan from another. It never looks at the current context.
    return not here.compare_total(there) or (normal and not here.is_snan() and not there.is_snan() and here == there)


def _datetimes(before: object, after: object, normal: bool) -> bool:
    here, there = cast("tuple[datetime, datetime]", (before, after))
    if here.tzinfo is None and there.tzinfo is None:
        return datetime.__eq__(here, there) and here.fold == there.fold
    if here.tzinfo is not there.tzinfo and datetime.__eq__(here, there):
        return here.utcoffset() is not None
    if here.utcoffset() is None or there.utcoffset() is None:
        return False
    # == is always False for a wall clock reading that is ambiguous in its zone (PEP 495), and within one zone it
    # compares wall clock readings. What counts is the instant.
    try:
        return here.astimezone(UTC) == there.astimezone(UTC)
    except OverflowError:  # within a day of year 1 or 9999
        return here.utcoffset() == there.utcoffset() and here.replace(tzinfo=None) == there.replace(tzinfo=None)


def _times(before: object, after: object, normal: bool) -> bool:
    here, there = cast("tuple[time, time]", (before, after))
    offset, other = here.utcoffset(), there.utcoffset()
    if here.fold != there.fold or (here.tzinfo is not there.tzinfo and (offset is None or other is None)):
        return False
    if normal:
        return time.__eq__(here, there)
    return offset == other and time.__eq__(here.replace(tzinfo=None), there.replace(tzinfo=None))


def _paths(before: object, after: object, normal: bool) -> bool:
    return PurePath.__str__(cast("PurePath", before)) == PurePath.__str__(cast("PurePath", after))


_OWN = (str, int, bytes, bytearray, date, timedelta, UUID, Fraction)
_ADDRESSES = (IPv4Address, IPv4Interface, IPv4Network, IPv6Address, IPv6Interface, IPv6Network)
_PATHS = (PurePath, PurePosixPath, PosixPath, PureWindowsPath, WindowsPath)

SAME: dict[type, Same] = {
    **{kind: _by_its_own(kind) for kind in (*_OWN, *_ADDRESSES)},
    **dict.fromkeys(_PATHS, _paths),
    float: _floats,
    complex: _complexes,
    Decimal: _decimals,
    datetime: _datetimes,
    time: _times,
    type: lambda before, after, normal: before is after,
}
"""For each class the function that compares two of its instances, or of a subclass, in what is of that class.

Its third argument is True if numbers and times need only be equal, which is enough for keys and members.
"""
