"""What a codec stores and a function makes, as far as they say so: to compare it with what is declared.

    codec_for(str)                          str
    def encode(self, value: Plant) -> bytes     Plant
    default_factory=list                    list
    def plant() -> Plant                    Plant

Two types *clash* if no value can be of both: ``Plant`` and ``int``. Where something cannot be known, nothing clashes.
"""

from __future__ import annotations

import typing
from collections.abc import Callable
from contextlib import suppress
from types import UnionType
from typing import Any, Literal, TypeVar, Union, cast, get_args, get_origin

from purse.codecs._type_names import plain_class, type_name, unwrapped

__all__ = ["clash", "made_by", "stored_by"]

_UNKNOWN = object()


def stored_by(codec: object, value_type: object) -> str | None:
    """The name of the type that ``codec`` is for, if that clashes with ``value_type``."""
    own: object = getattr(codec, "value_type", _UNKNOWN)
    if own is not _UNKNOWN:
        return type_name(own) if clash(own, value_type) else None
    encode = _hints(getattr(codec, "encode", None))
    taken = [hint for name, hint in encode.items() if name != "return"][:1]
    decoded = _hints(getattr(codec, "decode", None)).get("return", _UNKNOWN)
    return next((type_name(hint) for hint in (*taken, decoded) if clash(hint, value_type)), None)


def made_by(factory: Callable[[], object]) -> object:
    """What ``factory`` returns: itself if it is a class, else what its annotation says."""
    return factory if isinstance(factory, type) else _hints(factory).get("return", _UNKNOWN)


def clash(one: object, other: object) -> bool:
    """Whether no value can be of both types."""
    if one is _UNKNOWN or other is _UNKNOWN:
        return False
    return all(_are_apart(a, b) for a in _classes(one) for b in _classes(other))


def _classes(form: object) -> list[type]:
    """The classes whose instances ``form`` means, or ``object`` if that is not known."""
    form = unwrapped(form)
    if form is Any:  # a class, to Python
        return [object]
    if get_origin(form) in (Union, UnionType):
        return [cls for member in get_args(form) for cls in _classes(member)]
    if get_origin(form) is Literal:
        return [type(cast("object", member)) for member in get_args(form)]
    return [plain_class(form) or object]


def _are_apart(one: type, other: type) -> bool:
    if {one, other} == {int, float}:  # an int may be given for a float
        return False
    try:
        return not issubclass(one, other) and not issubclass(other, one)
    except TypeError:  # a Protocol that is not for issubclass
        return False


def _hints(function: object) -> dict[str, object]:
    """The annotations of a function, or none if they cannot be evaluated."""
    with suppress(Exception):  # they are the user's: whatever evaluating them raises
        found = typing.get_type_hints(function)
        return {name: hint for name, hint in found.items() if not isinstance(hint, TypeVar)}
    return {}
