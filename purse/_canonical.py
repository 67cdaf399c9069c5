"""The canonical form: equal values have equal bytes, so that the server can compare them.

    models, dataclasses    declared field order, as ``model_dump_json`` and redis-purse 2.x write them
    mappings               sorted by key
    sets                   sorted by their elements' JSON
    Decimal                no trailing zeros: 1.10 is 1.1
    aware datetimes        in UTC
    -0.0                   0.0

It is made from the value and its JSON side by side: the value says what each piece of JSON means, so
models keep their order while mappings are sorted. Where the two do not match, because a serializer of
the user's wrote something else, the JSON is left as it is. Most types need none of this: the schema
says so once, when the codec is bound.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Iterable
from datetime import UTC, datetime
from decimal import Decimal
from typing import Literal, TypeAlias, cast

from pydantic import BaseModel
from pydantic_core import from_json, to_json

__all__ = ["Need", "canonical_bytes", "canonical_need", "opaque_part"]

Json: TypeAlias = "dict[str, Json] | list[Json] | str | int | float | bool | None"

Need: TypeAlias = Literal["nothing", "zero", "walk"]

_WALKED = frozenset({"any", "dict", "set", "frozenset", "decimal", "datetime", "typed-dict"})
_OPAQUE = {"any": "Any, whose values have no declared form", "callable": "a callable", "generator": "a generator"}


def canonical_need(schema: object) -> Need:
    """What values of a pydantic core schema need: nothing, only a look for ``-0.0``, or the walk."""
    kinds = set(_kinds(schema))
    if kinds & _WALKED:
        return "walk"
    return "zero" if "float" in kinds else "nothing"


def opaque_part(schema: object) -> str | None:
    """Why no canonical form can be promised for a schema, or None."""
    return next((_OPAQUE[kind] for kind in _kinds(schema) if kind in _OPAQUE), None)


def canonical_bytes(value: object, raw: bytes) -> bytes:
    """The canonical form of ``raw``, the JSON that was made of ``value``."""
    return to_json(_walk(value, cast("Json", from_json(raw))), inf_nan_mode="constants")


def _kinds(schema: object) -> Iterable[str]:
    if isinstance(schema, dict):
        node = cast("dict[str, object]", schema)
        kind = node.get("type")
        if isinstance(kind, str):
            yield kind
            # Bare list, dict, ... say nothing of their items: those are Any.
            if (kind in ("list", "set", "frozenset") and "items_schema" not in node) or (
                kind == "dict" and "values_schema" not in node
            ):
                yield "any"
            if kind in ("model-fields", "typed-dict") and node.get("extra_behavior") == "allow":
                yield "any"
        for name, part in node.items():
            if name not in ("metadata", "cls", "serialization"):
                yield from _kinds(part)
    elif isinstance(schema, (list, tuple)):
        for part in cast("Iterable[object]", schema):
            yield from _kinds(part)


def _walk(value: object, tree: Json) -> Json:
    if isinstance(tree, float):
        return tree + 0.0  # -0.0 + 0.0 is 0.0
    if isinstance(tree, str):
        return _text(value, tree)
    if isinstance(tree, dict):
        return _mapping(value, tree)
    if isinstance(tree, list):
        return _sequence(value, tree)
    return tree


def _text(value: object, text: str) -> str:
    if isinstance(value, Decimal) and value.is_finite():
        return _decimal(value)
    if isinstance(value, datetime) and value.tzinfo is not None:
        try:
            return value.astimezone(UTC).isoformat().replace("+00:00", "Z")
        except OverflowError:  # at the ends of the calendar there is no UTC form
            return text
    return text


def _decimal(value: Decimal) -> str:
    """Without trailing zeros; by hand, because ``normalize`` rounds to the context's precision."""
    sign, digits, exponent = value.as_tuple()
    if not isinstance(exponent, int) or not value:
        return "0"
    while digits[-1] == 0:
        digits, exponent = digits[:-1], exponent + 1
    stripped = Decimal((sign, digits, exponent))
    return format(stripped, "f") if -20 <= exponent <= 20 else str(stripped)


def _mapping(value: object, tree: dict[str, Json]) -> Json:
    if isinstance(value, BaseModel):
        return _fields({**value.__dict__, **(value.model_extra or {})}, tree, tuple(type(value).model_fields))
    if dataclasses.is_dataclass(value):
        names = tuple(field.name for field in dataclasses.fields(value))
        return _fields({name: getattr(value, name, None) for name in names}, tree, names)
    if isinstance(value, dict):
        mapping = cast("dict[object, object]", value)
        if len(mapping) == len(tree):
            # Serializers keep the order, so the nth key of one is the nth key of the other.
            pairs = zip(mapping.items(), tree.items(), strict=True)
            walked = {_text(key, name): _walk(part, item) for (key, part), (name, item) in pairs}
            return {name: walked[name] for name in sorted(walked)}
    return tree


def _fields(parts: dict[str, object], tree: dict[str, Json], declared: tuple[str, ...]) -> Json:
    """A model's JSON: its declared fields in their order, then extras sorted."""
    extras = sorted(name for name in tree if name not in declared)
    names = [*(name for name in declared if name in tree), *extras]
    return {name: _walk(parts.get(name), tree[name]) for name in names}


def _sequence(value: object, tree: list[Json]) -> Json:
    if isinstance(value, (list, tuple, set, frozenset)):
        parts = list(cast("Iterable[object]", value))
        if len(parts) == len(tree):
            walked = [_walk(part, item) for part, item in zip(parts, tree, strict=True)]
            if isinstance(value, (set, frozenset)):
                walked.sort(key=lambda item: to_json(item, inf_nan_mode="constants"))
            return walked
    return tree
