"""Whether what comes back from Redis is the value that was written.

Python's ``==`` decides, and where it says no, a closer look: nan is nan, a model's private attributes
and caches are not stored, two aware datetimes are the same instant even where a clock change makes
``==`` False (PEP 495), a class without ``__eq__`` is compared by its fields.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Iterable, Iterator
from datetime import UTC, datetime
from typing import cast

from pydantic import BaseModel

__all__ = ["difference", "same"]

Path = tuple[str, object, object]


def same(value: object, back: object) -> bool:
    """Whether ``back`` is as good as ``value``."""
    return difference(value, back) is None


def difference(value: object, back: object) -> Path | None:
    """The first place where the two differ: a path such as ``.beds[2].name`` and what is there; None if nowhere."""
    try:
        if value == back:
            return None
    except Exception:  # an __eq__ of the user's that fails says nothing; look closer
        pass
    if type(value) is not type(back):
        return ("", value, back)
    if isinstance(value, float):
        return None if value != value and back != back else ("", value, back)
    if isinstance(value, datetime):
        return _instant(value, cast("datetime", back))
    parts = _parts(value)
    others = _parts(back)
    if parts is None or others is None:
        return ("", value, back)
    return _first(parts, others)


def _instant(value: datetime, back: datetime) -> Path | None:
    if value.tzinfo is None or back.tzinfo is None:
        return ("", value, back)
    return None if value.astimezone(UTC) == back.astimezone(UTC) else ("", value, back)


def _parts(value: object) -> Iterator[tuple[str, object]] | None:
    """The named parts of a value that is made of parts."""
    if isinstance(value, BaseModel):
        stored = {name: value.__dict__.get(name) for name in type(value).model_fields}
        return ((f".{name}", part) for name, part in {**stored, **(value.model_extra or {})}.items())
    if dataclasses.is_dataclass(value):
        return ((f".{field.name}", getattr(value, field.name, None)) for field in dataclasses.fields(value))
    if isinstance(value, dict):
        mapping = cast("dict[object, object]", value)
        return ((f"[{key!r}]", mapping[key]) for key in mapping)
    if isinstance(value, (list, tuple)):
        return ((f"[{at}]", part) for at, part in enumerate(cast("Iterable[object]", value)))
    return None


def _first(parts: Iterator[tuple[str, object]], others: Iterator[tuple[str, object]]) -> Path | None:
    found = dict(others)
    for name, part in parts:
        if name not in found:
            return (name, part, None)
        inner = difference(part, found.pop(name))
        if inner is not None:
            return (name + inner[0], *inner[1:])
    return next(((name, None, extra) for name, extra in found.items()), None)
