"""fields(): what a store declares, and how the functions of ``purse.inspect`` find it."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, cast

from purse._declaration.declared import declaration_of
from purse.codecs._shown import shown
from purse.store import Store

if TYPE_CHECKING:
    from purse._declaration.field_spec import FieldSpec
    from purse.collections import RedisObject
    from purse.collections._object import RedisType

__all__ = ["class_of", "fields", "options_of", "pattern_of", "redis_type_of"]


def fields(store: Store | type[Store]) -> Mapping[str, FieldSpec[RedisObject]]:
    """The fields of a store class, or of the class of a store, in the order of declaration.

    Inherited fields come first, as in ``dataclasses.fields``. The mapping cannot be changed.

    Raises:
        TypeError: ``store`` is neither a store class nor a store.

    Sends nothing.
    """
    return declaration_of(class_of(store, "fields")).fields


def class_of(store: Store | type[Store], asking: str) -> type[Store]:
    """The store class that ``store`` is, or is an instance of.

    Args:
        asking: the function that was called, for the message.

    Raises:
        TypeError: ``store`` is neither a store nor a class of stores.
    """
    given = cast("object", store)  # a notebook has no type checker
    cls = given if isinstance(given, type) else type(given)
    if not issubclass(cls, Store):
        raise TypeError(f"{asking}() takes a Store class or a store, not {shown(given)}")
    return cls


def options_of(spec: FieldSpec[RedisObject]) -> dict[str, object]:
    """What ``RedisList.field(...)`` was given beside TTL, codec and names: limits, defaults, rates."""
    return dict(spec.options)


def pattern_of(prefix: str, suffix: str) -> str:
    """The keys of a key space as one pattern."""
    return f"{prefix}*{suffix}"


def redis_type_of(spec: FieldSpec[RedisObject]) -> RedisType:
    """The Redis type of the field's key, or keys, as TYPE calls it."""
    return spec.collection.__purse_type__(options_of(spec))
