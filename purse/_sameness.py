"""Sameness: whether a value that was written and read back is still the value, and if not, where it changed.

``==`` is asked first and trusted when it says yes. Where it says no, it is often the question that was
wrong, and the walk below asks again, part by part:

    pydantic models        the same class, and the same fields and extras; private attributes and
                           cached properties are not stored, so they do not count
    dataclasses            the same class, and the same compared fields, even with ``eq=False``
    dict, set, list ...    their items
    nan                    is nan
    aware datetimes        the same instant; ``==`` is always False for one whose wall clock reading
                           is ambiguous in its zone (PEP 495)

What compares equal at depth may have another type (``1`` for ``True``, a list subclass for a list): it is
the same as far as Python is concerned. The price: one walk of both values, paid only after ``==`` said no.
"""

from __future__ import annotations

import math
from collections import OrderedDict, deque
from collections.abc import Mapping, Sequence, Set
from dataclasses import dataclass, fields, is_dataclass
from datetime import UTC, datetime
from decimal import Decimal
from enum import Enum
from typing import TypeAlias, TypeGuard, cast

from pydantic import BaseModel

from purse._wording import short

__all__ = ["ABSENT", "Difference", "first_difference"]

Extras: TypeAlias = Mapping[object, object]


class Absent(Enum):
    """The type of ``ABSENT``."""

    ABSENT = "nothing"

    def __repr__(self) -> str:
        return "nothing"


ABSENT = Absent.ABSENT
"""Stands in a ``Difference`` for a side that has no such field, key or element."""


@dataclass(frozen=True, slots=True)
class Difference:
    """The first place where two values differ.

    Attributes:
        path: where, as Python would write it: ``secrets.token``, ``[0].name``, ``['bed']``; empty at the top.
        before: the part that was written.
        after: what it would come back as.
        owner: the model whose field this is, if the last step was a field.
        field: the name of that field.
    """

    path: str
    before: object
    after: object
    owner: BaseModel | None = None
    field: str = ""

    def inside(self, step: str) -> Difference:
        """The same difference, seen from one level further up."""
        dot = "." if self.path and not self.path.startswith("[") else ""
        return Difference(step + dot + self.path, self.before, self.after, self.owner, self.field)


def first_difference(before: object, after: object) -> Difference | None:
    """Where ``after`` is no longer ``before``, or None if it is the same throughout."""
    if before is after or _equal(before, after) or _both_nan(before, after):
        return None
    if type(before) is not type(after):
        return Difference("", before, after)
    if isinstance(before, BaseModel):
        return _between_models(before, cast("BaseModel", after))
    if is_dataclass(before):
        names = [f.name for f in fields(before) if f.compare]
        return _between_attributes({n: getattr(before, n, ABSENT) for n in names}, after)
    if _is_mapping(before) and _is_mapping(after):
        return _between_mappings(before, after)
    if _is_set(before) and _is_set(after):
        return _between_sets(before, after)
    if _is_sequence(before) and _is_sequence(after):
        return _between_sequences(before, after)
    if isinstance(before, datetime) and isinstance(after, datetime) and _same_instant(before, after):
        return None
    return Difference("", before, after)


def _between_models(before: BaseModel, after: BaseModel) -> Difference | None:
    here, there = before.__dict__, after.__dict__
    for name in type(before).model_fields:
        found = first_difference(here.get(name, ABSENT), there.get(name, ABSENT))
        if found:
            if not found.path:
                found = Difference("", found.before, found.after, before, name)
            return found.inside(name)
    extras, others = cast("tuple[Extras, Extras]", (before.__pydantic_extra__ or {}, after.__pydantic_extra__ or {}))
    return _between_mappings(extras, others)


def _between_attributes(before: Mapping[str, object], after: object) -> Difference | None:
    for name, value in before.items():
        found = first_difference(value, getattr(after, name, ABSENT))
        if found:
            return found.inside(name)
    return None


def _between_mappings(before: Mapping[object, object], after: Mapping[object, object]) -> Difference | None:
    lost: list[object] = []
    for key, value in before.items():
        if key not in after:
            lost.append(key)
        elif found := first_difference(value, after[key]):
            return found.inside(f"[{short(key)}]")
    new = [key for key in after if key not in before]
    for key in lost:
        twin = next((k for k in new if first_difference(key, k) is None), ABSENT)
        if twin is ABSENT:
            return Difference(f"[{short(key)}]", before[key], ABSENT)
        new.remove(twin)
        if found := first_difference(before[key], after[twin]):
            return found.inside(f"[{short(key)}]")
    if new:
        return Difference(f"[{short(new[0])}]", ABSENT, after[new[0]])
    if isinstance(before, OrderedDict):  # alone among mappings, it compares the order, too
        return _between_sequences(list(before), list(after))
    return None


def _between_sets(before: Set[object], after: Set[object]) -> Difference | None:
    new = [item for item in after if item not in before]
    for item in before:
        if item in after:
            continue
        twin = next((other for other in new if first_difference(item, other) is None), ABSENT)
        if twin is ABSENT:
            return Difference("", item, new[0] if new else ABSENT)
        new.remove(twin)
    return Difference("", ABSENT, new[0]) if new else None


def _between_sequences(before: Sequence[object], after: Sequence[object]) -> Difference | None:
    for index, (here, there) in enumerate(zip(before, after, strict=False)):
        if found := first_difference(here, there):
            return found.inside(f"[{index}]")
    if len(before) == len(after):
        return None
    index = min(len(before), len(after))
    return Difference(
        f"[{index}]",
        before[index] if index < len(before) else ABSENT,
        after[index] if index < len(after) else ABSENT,
    )


def _equal(before: object, after: object) -> bool:
    try:
        return bool(before == after)
    except Exception:  # the value's own __eq__ failed: the walk decides without it
        return False


def _both_nan(before: object, after: object) -> bool:
    return (
        (isinstance(before, float) and isinstance(after, float) and math.isnan(before) and math.isnan(after))
        or (isinstance(before, Decimal) and isinstance(after, Decimal) and before.is_nan() and after.is_nan())
    )  # fmt: skip


def _same_instant(before: datetime, after: datetime) -> bool:
    if before.tzinfo is None or after.tzinfo is None:
        return False
    try:
        return before.astimezone(UTC) == after.astimezone(UTC)
    except OverflowError:  # within a day of year 1 or 9999
        return False


def _is_mapping(value: object) -> TypeGuard[Mapping[object, object]]:
    return isinstance(value, Mapping)


def _is_set(value: object) -> TypeGuard[Set[object]]:
    return isinstance(value, Set)


def _is_sequence(value: object) -> TypeGuard[Sequence[object]]:
    return isinstance(value, (list, tuple, deque))
