"""Patching: some fields of a stored model get new values, and the complete model is validated as a new one.

    Plant(name="leek", healthiness=3)   and   healthiness=9   give   Plant(name="leek", healthiness=9.0)

A changed field takes what the constructor takes: for a nested model an instance or a dict, for a float an int. The
validators of the other fields and of the model run again, because they may read the changed fields.

So a validator of an unchanged field gets the value that it returned before. Most validators return it unchanged. One
that decrypts the output of a serializer would damage a field that the caller did not change. Therefore, if an unchanged
field would become different, or the validation fails, the value is validated once more without the changes. If the
result is not the stored value, its class cannot be patched.
"""

from __future__ import annotations

import difflib
from collections.abc import Callable, Hashable, Iterator, Mapping
from dataclasses import fields, is_dataclass
from typing import TypeAlias, TypeVar, cast

from pydantic import AliasChoices, AliasPath, BaseModel, RootModel, TypeAdapter

from purse.codecs._sameness import first_difference
from purse.codecs._shown import evidence, quoted
from purse.codecs._type_caches import cached_by_type
from purse.codecs._wording import invalid
from purse.errors import EncodeError

__all__ = ["patched"]

V = TypeVar("V")
Fields: TypeAlias = dict[str, object]


def patched(value: V, changes: Mapping[str, object], where: str, error: Callable[[str], EncodeError]) -> V:
    """Return ``value`` with the changes, as a new, validated value.

    Args:
        where: the value's name in messages.
        error: makes the ``EncodeError`` of a message.

    Raises:
        TypeError: the value has no fields, or not that one, or its validators do not accept the values that they
            return.
        EncodeError: the changed value is not valid.
    """
    kind = type(value)
    if isinstance(value, dict):
        return cast("V", {**cast("dict[str, object]", value), **changes})  # is validated when it is encoded
    names = _names_in(kind)
    if names is None:
        raise TypeError(
            f"{where}: patch() changes fields of a model, a dataclass or a dict, and a {kind.__name__} has none: write "
            "await h.modify(key, lambda value: ...) instead"
        )
    for name in changes:
        if name not in names and not _is_extra(kind, name):
            close = difflib.get_close_matches(name, names, 1)
            fix = f"Did you mean {quoted(close[0])}?" if close else f"It has {', '.join(map(quoted, names))}."
            raise TypeError(f"{where}: a {kind.__name__} has no field {quoted(name)}. {fix} Nothing was written.")
    current = _fields_of(value, names)
    try:
        changed = _validated(kind, {**current, **changes})
    except Exception as wrong:  # a ValidationError, or what a validator of the user's raises
        _check_validators(value, current, where)
        reason = invalid(kind, wrong).replace("does not hold", "would not hold", 1).removesuffix(".")
        raise error(f"{where} cannot be patched: it {reason}. Nothing was written.") from evidence(wrong)
    _keep_unset(value, changed, changes)
    after = _fields_of(changed, names)
    if any(name not in changes and first_difference(old, after.get(name)) for name, old in current.items()):
        _check_validators(value, current, where)  # or the model works this field out from the others
    return changed


def _keep_unset(value: object, changed: object, changes: Mapping[str, object]) -> None:
    """Mark a field as unset again if it was passed only to keep the value of its factory."""
    if isinstance(value, BaseModel) and isinstance(changed, BaseModel):
        infos, given = type(value).model_fields, value.model_fields_set | changes.keys()
        made = {name for name, info in infos.items() if info.default_factory is not None}
        changed.model_fields_set.difference_update(made - given)


def _check_validators(value: object, current: Fields, where: str) -> None:
    """Refuse a value that its own validators do not return unchanged.

    Raises:
        TypeError: the message names ``modify``.
    """
    cause: Exception | None = None
    try:
        found = first_difference(value, _validated(type(value), current))
        if found is None:
            return
        reason = f"{found.path or 'the value'} would become another"
    except Exception as error:  # what a validator of the user's raises
        cause, reason = error, f"unchanged, it {invalid(type(value), error).removesuffix('.')}"
    raise TypeError(
        f"{where}: a {type(value).__name__} cannot be patched, because its validators do not accept the values that "
        f"they return: {reason}. Nothing was written. Write await h.modify(key, lambda value: ...) instead"
    ) from evidence(cause)


def _names_in(kind: type[object]) -> list[str] | None:
    """The fields of a model or a dataclass, or None for another class."""
    if issubclass(kind, BaseModel):
        # To pydantic the one field of a RootModel is not a field: {"root": value} would be validated as its value.
        return None if issubclass(kind, RootModel) else [*kind.model_fields]
    return [each.name for each in fields(kind) if each.init] if is_dataclass(kind) else None


def _is_extra(kind: type[object], name: str) -> bool:
    """Whether a model accepts a name that is not one of its fields. An alias is another name of a field."""
    return issubclass(kind, BaseModel) and kind.model_config.get("extra") == "allow" and name not in _aliases(kind)


def _fields_of(value: object, names: list[str]) -> Fields:
    """The fields of a model or a dataclass, as its validator takes them."""
    if not isinstance(value, BaseModel):
        return {name: cast("object", getattr(value, name)) for name in names}
    infos, given = type(value).model_fields, value.model_fields_set
    # A field that was never set gets its default again, which need not be valid. A factory is not called twice.
    kept = [name for name in names if name in given or infos[name].default_factory is not None]
    return {name: cast("object", getattr(value, name)) for name in kept} | (value.model_extra or {})


def _aliases(model: type[BaseModel]) -> Iterator[str]:
    """The names other than their own from which fields are read."""
    for info in model.model_fields.values():
        alias = info.validation_alias
        for choice in alias.choices if isinstance(alias, AliasChoices) else (alias,):
            first = choice.path[0] if isinstance(choice, AliasPath) else choice
            if isinstance(first, str):
                yield first


def _validated(kind: type[V], given: Fields) -> V:
    return cast("V", _adapter(cast("Hashable", kind)).validate_python(given, by_alias=True, by_name=True))


@cached_by_type
def _adapter(kind: Hashable) -> TypeAdapter[object]:
    return TypeAdapter(cast("type[object]", kind))
