"""What ``modify`` and ``edit`` need to know about values, whatever structure holds them."""

from __future__ import annotations

from collections.abc import MutableMapping, MutableSequence, MutableSet
from dataclasses import is_dataclass
from enum import Enum
from typing import Final, TypeAlias

from pydantic import BaseModel

__all__ = ["MISSING", "Missing", "check_mutable"]


class Missing(Enum):
    """The type of ``MISSING``: no default was given, which is something else than None."""

    MISSING = "MISSING"

    def __repr__(self) -> str:
        return self.value


MISSING: Final = Missing.MISSING

_Containers: TypeAlias = MutableMapping[object, object] | MutableSequence[object] | MutableSet[object]


def check_mutable(value: object, where: str) -> None:
    """Refuse a value that a ``with`` block could not change.

    Raises:
        TypeError: ``value`` is immutable; the message says to use ``modify``.
    """
    if isinstance(value, BaseModel):
        mutable = not value.model_config.get("frozen", False)
    elif is_dataclass(value):
        # A frozen dataclass has a __setattr__ of its own; the parameters it was made with are private.
        mutable = type(value).__setattr__ is object.__setattr__
    else:
        mutable = isinstance(value, (MutableMapping, MutableSequence, MutableSet, bytearray))
    if not mutable:
        raise TypeError(
            f"{where}: a {type(value).__name__} cannot be changed in place by edit(); write "
            "await h.modify(key, lambda value: ...) instead"
        )
