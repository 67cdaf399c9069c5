"""Patching: some fields of a stored model get new values, and the whole is validated as if it were new.

    Plant(name="leek", healthiness=3)   and   healthiness=9   give   Plant(name="leek", healthiness=9.0)

A changed field takes what the constructor takes: for a nested model an instance or a dict, for a float an int. The
validators of the other fields and of the model run again, because they may look at the changed ones.
"""

from __future__ import annotations

import difflib
from collections.abc import Callable, Hashable, Mapping
from dataclasses import fields, is_dataclass
from functools import cache
from typing import TypeVar, cast

from pydantic import BaseModel, TypeAdapter, ValidationError

from purse._wording import evidence, invalid
from purse.errors import EncodeError

__all__ = ["patched"]

V = TypeVar("V")


def patched(value: V, changes: Mapping[str, object], where: str, error: Callable[[str], EncodeError]) -> V:
    """``value`` with the changes, as a new and validated one.

    Args:
        where: the value's name in messages.
        error: makes the ``EncodeError`` of a message.

    Raises:
        TypeError: the value has no fields, or not that one.
        EncodeError: it is not valid with them.
    """
    kind = type(value)
    if isinstance(value, dict):
        return cast("V", {**cast("dict[str, object]", value), **changes})  # is validated when it is encoded
    if isinstance(value, BaseModel):
        extra = value.model_extra or {}
        names, open_to_more = [*type(value).model_fields], type(value).model_config.get("extra") == "allow"
    elif is_dataclass(value):
        extra, open_to_more = {}, False
        names = [each.name for each in fields(value) if each.init]
    else:
        raise TypeError(
            f"{where}: patch() changes fields of a model, a dataclass or a dict, and a {kind.__name__} has none; write "
            "await h.modify(key, lambda value: ...) instead"
        )
    for name in changes:
        if name not in names and not open_to_more:
            close = difflib.get_close_matches(name, names, 1)
            fix = f"did you mean {close[0]!r}?" if close else f"it has {', '.join(map(repr, names))}."
            raise TypeError(f"{where}: a {kind.__name__} has no field {name!r}; {fix} Nothing was written.")
    current = {name: cast("object", getattr(value, name)) for name in names}
    try:
        changed = _adapter(cast("Hashable", kind)).validate_python(
            {**current, **extra, **changes}, by_alias=True, by_name=True
        )
    except ValidationError as wrong:
        reason = invalid(kind, wrong).replace("does not hold", "would not hold", 1).removesuffix(".")
        raise error(f"{where} cannot be patched: it {reason}. Nothing was written.") from evidence(wrong)
    return cast("V", changed)


@cache
def _adapter(kind: Hashable) -> TypeAdapter[object]:
    return TypeAdapter(cast("type[object]", kind))
