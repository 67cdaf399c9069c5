"""Plain types: those of which a look at the value proves that its JSON reads back as an equal value.

The rule for a write is: encode, read back, compare. For a model of strings, numbers, booleans and other such
models, without aliases, constraints, validators or serializers, that always comes out the same way, if the
instance holds what its class declares. So it is enough to see that it does, at a third of the cost. Whatever
is not recognised here, in the type or in the value, is not plain, and goes the long way.

What a plain value is, exactly: an instance of the very class, with exactly the declared fields in declared order,
each of exactly a declared type; integers of 64 bits; finite floats.
"""

from __future__ import annotations

import sys
from collections.abc import Callable, Mapping
from types import NoneType
from typing import TypeAlias, cast

__all__ = ["PlainCheck", "plain_check"]

PlainCheck: TypeAlias = Callable[[object], bool]
Schema: TypeAlias = "Mapping[str, object]"

_SCALARS: dict[str, type] = {"str": str, "int": int, "float": float, "bool": bool, "none": NoneType}
_LOWEST = {int: -(2**63), float: -sys.float_info.max}
_HIGHEST = {int: 2**63 - 1, float: sys.float_info.max}

# The keys that a node of a core schema may have without meaning anything for how a given value is written and read:
# what a missing one defaults to, and what its JSON schema says. Any other key is a reason to go the long way.
_KEYS = {
    "default": {"type", "schema", "metadata", "default", "default_factory", "default_factory_takes_data"},
    "nullable": {"type", "schema", "metadata"},
    "model-field": {"type", "schema", "metadata", "frozen"},
    "model-fields": {"type", "fields", "model_name", "computed_fields"},
    "model": {"type", "cls", "schema", "config", "custom_init", "root_model", "metadata", "ref"},
}
_CONFIG_KEYS = {"title", "frozen"}


def plain_check(core_schema: object) -> PlainCheck | None:
    """The function that recognises plain values of a type, or None if the type has none."""
    schema = cast("Schema", core_schema)
    if schema.get("type") == "model":
        return _model_check(schema)
    scalar = _scalar(schema)
    if scalar is None:
        return None
    if scalar in _LOWEST:
        lowest, highest = _LOWEST[scalar], _HIGHEST[scalar]
        return lambda value: type(value) is scalar and lowest <= cast("float", value) <= highest
    return lambda value: type(value) is scalar


def _scalar(schema: Schema) -> type | None:
    return _SCALARS.get(cast("str", schema["type"])) if len(schema) == 1 else None


def _model_check(schema: Schema) -> PlainCheck | None:
    fields = cast("Schema", schema["schema"])
    config = cast("Schema", schema.get("config") or {})
    if (
        not _harmless(schema)
        or schema.get("custom_init")
        or schema.get("root_model")
        or not config.keys() <= _CONFIG_KEYS
        or fields["type"] != "model-fields"
        or not _harmless(fields)
        or fields.get("computed_fields")
    ):
        return None
    cls = cast("type", schema["cls"])
    allowed: list[set[type]] = []
    numbers: list[tuple[str, float, float]] = []
    models: list[tuple[str, PlainCheck]] = []
    names = tuple(cast("Schema", fields["fields"]))
    for name, field in cast("Mapping[str, Schema]", fields["fields"]).items():
        kinds: set[type] = set()
        inner = field
        while inner["type"] in ("model-field", "default", "nullable"):
            if not _harmless(inner):
                return None
            if inner["type"] == "nullable":
                kinds.add(NoneType)
            inner = cast("Schema", inner["schema"])
        scalar = _scalar(inner)
        if scalar is not None:
            kinds.add(scalar)
            if scalar in _LOWEST:
                numbers.append((name, _LOWEST[scalar], _HIGHEST[scalar]))
        else:
            nested = _model_check(inner) if inner["type"] == "model" else None
            if nested is None:
                return None
            kinds.add(cast("type", inner["cls"]))
            models.append((name, nested))
        allowed.append(kinds)
    return _check_of(cls, names, allowed, numbers, models)


def _harmless(schema: Schema) -> bool:
    return schema.keys() <= _KEYS[cast("str", schema["type"])]


def _check_of(
    cls: type,
    names: tuple[str, ...],
    allowed: list[set[type]],
    numbers: list[tuple[str, float, float]],
    models: list[tuple[str, PlainCheck]],
) -> PlainCheck:
    seen: set[tuple[type, ...]] = set()  # combinations of field types that are right; few, as most fields have one

    def check(value: object) -> bool:
        if type(value) is not cls:
            return False
        held = value.__dict__
        types = (*map(type, held.values()),)
        if types not in seen:
            if len(types) != len(allowed) or any(kind not in kinds for kind, kinds in zip(types, allowed, strict=True)):
                return False
            if len(seen) < 256:
                seen.add(types)
        if (*held,) != names:
            return False
        for name, lowest, highest in numbers:
            number = held[name]
            if number is not None and not lowest <= number <= highest:
                return False
        for name, nested in models:
            model = held[name]
            if model is not None and not nested(model):
                return False
        return True

    return check
