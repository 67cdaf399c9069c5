"""Patching: some fields of a stored model get new values, and the whole is validated as if it were new.

    Plant(name="leek", healthiness=3)   and   healthiness=9   give   Plant(name="leek", healthiness=9.0)

A changed field takes what the constructor takes: for a nested model an instance or a dict, for a float an int. The
validators of the other fields and of the model run again, because they may look at the changed ones.

So a validator of a field that stays is given what it has returned. Most take it as it is; one that decrypts what a
serializer encrypts would spoil a field that nobody wanted to change. Therefore, if such a field comes out different, or
nothing comes out at all, the value is validated once more without the changes: if that does not give the value that is
stored, its class cannot be patched.
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
    """``value`` with the changes, as a new and validated one.

    Args:
        where: the value's name in messages.
        error: makes the ``EncodeError`` of a message.

    Raises:
        TypeError: the value has no fields, or not that one, or its validators do not take what they have returned.
        EncodeError: it is not valid with them.
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
    """Let a field stay unset that was given only to keep what its factory had made."""
    if isinstance(value, BaseModel) and isinstance(changed, BaseModel):
        infos, given = type(value).model_fields, value.model_fields_set | changes.keys()
        made = {name for name, info in infos.items() if info.default_factory is not None}
        changed.model_fields_set.difference_update(made - given)


def _check_validators(value: object, current: Fields, where: str) -> None:
    """Refuse a value that its own validators do not give back unchanged.

    Raises:
        TypeError: the message says ``modify``.
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
    """The fields of a model or a dataclass; None for another class."""
    if issubclass(kind, BaseModel):
        # The one field of a RootModel is no field to pydantic: {"root": value} would be validated as its value.
        return None if issubclass(kind, RootModel) else [*kind.model_fields]
    return [each.name for each in fields(kind) if each.init] if is_dataclass(kind) else None


def _is_extra(kind: type[object], name: str) -> bool:
    """Whether a model takes a name that is none of its fields; an alias is one of them, by another name."""
    return issubclass(kind, BaseModel) and kind.model_config.get("extra") == "allow" and name not in _aliases(kind)


def _fields_of(value: object, names: list[str]) -> Fields:
    """The fields of a model or a dataclass, as its validator takes them."""
    if not isinstance(value, BaseModel):
        return {name: cast("object", getattr(value, name)) for name in names}
    infos, given = type(value).model_fields, value.model_fields_set
    # A field that was never set gets its default again, which need not be valid; but not a second one of a factory.
    kept = [name for name in names if name in given or infos[name].default_factory is not None]
    return {name: cast("object", getattr(value, name)) for name in kept} | (value.model_extra or {})


def _aliases(model: type[BaseModel]) -> Iterator[str]:
    """The names under which fields are read that are not their own."""
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
