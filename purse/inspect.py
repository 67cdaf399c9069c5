"""Questions about stores, as functions: a store class has few names of its own, users' fields have the rest."""

from __future__ import annotations

from collections.abc import Mapping
from typing import cast

from purse._fields import FieldSpec
from purse._metaclass import declaration_of
from purse.collections import RedisCollection
from purse.store import Store

__all__ = ["FieldSpec", "fields"]


def fields(store: Store | type[Store]) -> Mapping[str, FieldSpec[RedisCollection]]:
    """The fields of a store class, or of the class of a store, in the order of declaration.

    Inherited fields come first, as in ``dataclasses.fields``. The mapping cannot be changed.

    Raises:
        TypeError: ``store`` is neither.

    Sends nothing.
    """
    given = cast("object", store)  # no checker watches a notebook
    cls = given if isinstance(given, type) else type(given)
    if not issubclass(cls, Store):
        raise TypeError(f"fields() takes a Store class or a store, not {given!r}")
    return declaration_of(cls).fields
