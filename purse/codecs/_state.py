"""State: what an instance holds, read without asking any method of its class that compares.

    held(value)       attributes, from ``__dict__`` and ``__slots__``
    reduced(value)    what it would be pickled as, for classes about which nothing else is known

What a class works out and keeps with the instance, as ``cached_property`` does, is not state (``is_cached``).
"""

from __future__ import annotations

from collections.abc import Hashable, Iterable, Mapping
from dataclasses import fields, is_dataclass
from types import FunctionType
from typing import Final, NamedTuple, cast

from purse.codecs._difference import ABSENT
from purse.codecs._type_caches import cached_by_type

__all__ = ["Reduced", "field_names", "held", "is_cached", "own_slots", "reduced"]

_MISSING: Final = object()


def held(value: object, base: type = object) -> dict[str, object]:
    """The attributes of an instance, not to be changed.

    Args:
        base: a class that it is derived from, whose slots are another matter.
    """
    kind: type = type(value)
    own = cast("dict[str, object]", getattr(value, "__dict__", None) or {})
    slots = own_slots(kind, base)
    return {**own, **{name: cast("object", getattr(value, name, ABSENT)) for name in slots}} if slots else own


def is_cached(kind: type, name: str) -> bool:
    """Whether the class has something under this name that works the value out, as ``cached_property`` does.

    Such a descriptor has no ``__set__``, so that the instance can keep the value under the same name. What an ORM puts
    there for a column or a relationship, has.
    """
    found = next((cast("object", vars(cls)[name]) for cls in kind.__mro__ if name in vars(cls)), _MISSING)
    described: type = type(found)
    return hasattr(described, "__get__") and not hasattr(described, "__set__") and described is not FunctionType


@cached_by_type
def field_names(kind: Hashable) -> Mapping[str, bool]:
    """All fields of a dataclass, and whether its constructor takes them. Another class has none."""
    return {field.name: field.init for field in fields(kind)} if is_dataclass(kind) else {}


class Reduced(NamedTuple):
    """What a value would be pickled as.

    Attributes:
        made: what makes it, and what is put into it, or the name of something global.
        attributes: what it holds by name.
    """

    made: object
    attributes: dict[str, object]


def reduced(value: object) -> Reduced | None:
    """What ``value`` would be pickled as, or None if it cannot be.

    That is how its class, or Python for it, says what it takes to make another one like it.
    """
    try:
        parts = value.__reduce_ex__(4)
    except Exception:  # the class is the user's; or it is a file, a lock, a generator
        return None
    if isinstance(parts, str):
        return Reduced(parts, {})
    function, arguments, state, items, pairs = (*cast("tuple[object, ...]", parts), None, None, None)[:5]
    put_in = [None if part is None else [*cast("Iterable[object]", part)] for part in (items, pairs)]
    if type(state) is not dict:
        return Reduced((function, arguments, state, *put_in), {})
    attributes = cast("dict[str, object]", state)
    kept = {name: part for name, part in attributes.items() if not is_cached(type(value), name)}
    return Reduced((function, arguments, *put_in), kept)


@cached_by_type
def own_slots(kind: Hashable, base: Hashable) -> tuple[str, ...]:
    """The slots of a class and of its bases, down to ``base``, by the names under which an instance has them."""
    names: dict[str, None] = {}
    for cls in cast("type", kind).__mro__:
        if cls in cast("type", base).__mro__:
            continue
        declared = cast("str | Iterable[str]", vars(cls).get("__slots__", ()))
        for name in (declared,) if isinstance(declared, str) else declared:
            private = name.startswith("__") and not name.endswith("__")
            names[f"_{cls.__name__.lstrip('_')}{name}" if private else name] = None
    return tuple(name for name in names if not (name.startswith("__") and name.endswith("__")))
