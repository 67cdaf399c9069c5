"""Plain types: those of which a look at the value proves that its JSON reads back as the same value.

The rule for a write is: encode, read back, compare. For strings, numbers and booleans, for models of them without
aliases, constraints, validators or serializers, and for lists and string-keyed dicts of all these, that always comes
out the same way, if the value holds what its type declares. So it is enough to see that it does, at a third of the
cost. Whatever is not recognised here, in the type or in the value, is not plain, and goes the long way.

What a plain value is, exactly: an instance of the very class, with exactly the declared fields, each of exactly a
declared type; integers of 64 bits, finite floats. Where equal values must be equal bytes, the fields are in declared
order as well, because that is the order in which they are written, and there is no dict, whose order is its own.
"""

from __future__ import annotations

import math
import sys
from array import array
from collections.abc import Callable, Collection, Mapping
from types import NoneType
from typing import NamedTuple, TypeAlias, cast

from pydantic import BaseModel

from purse.codecs._state import own_slots

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
    "list": {"type", "items_schema", "metadata"},
    "dict": {"type", "keys_schema", "values_schema", "metadata"},
    "model": {"type", "cls", "schema", "config", "custom_init", "root_model", "metadata", "ref"},
}
_CONFIG_KEYS = {"title", "frozen"}


def plain_check(core_schema: object, *, ordered: bool = False, normal: bool = False) -> PlainCheck | None:
    """The function that recognises plain values of a type, or None if the type has none.

    Args:
        ordered: whether the fields of a plain model must be in declared order.
        normal: whether equal values must be equal bytes, so that there can be no dict.
    """
    return _check(cast("Schema", core_schema), _Order(ordered, normal))


class _Order(NamedTuple):
    """What plain values must be beside plain."""

    fields: bool
    normal: bool


def _check(schema: Schema, order: _Order) -> PlainCheck | None:
    kind = schema["type"]
    if kind == "model":
        return _model_check(schema, order)
    if kind in ("list", "dict") and _harmless(schema):
        return _list_check(schema, order) if kind == "list" else _dict_check(schema, order)
    if kind == "nullable" and _harmless(schema):
        inner = _check(cast("Schema", schema["schema"]), order)
        return None if inner is None else lambda value: value is None or inner(value)
    scalar = _scalar(schema)
    if scalar is None:
        return None
    if scalar in _LOWEST:
        lowest, highest = _LOWEST[scalar], _HIGHEST[scalar]
        return lambda value: type(value) is scalar and lowest <= cast("float", value) <= highest
    return lambda value: type(value) is scalar


def _list_check(schema: Schema, order: _Order) -> PlainCheck | None:
    every = _every(schema.get("items_schema"), order)
    return None if every is None else lambda value: type(value) is list and every(cast("list[object]", value))


def _dict_check(schema: Schema, order: _Order) -> PlainCheck | None:
    every = _every(schema.get("values_schema"), order)
    keys = schema.get("keys_schema")
    if order.normal or every is None or not isinstance(keys, dict) or _scalar(cast("Schema", keys)) is not str:
        return None

    def check(value: object) -> bool:
        if type(value) is not dict:
            return False
        given = cast("dict[str, object]", value)
        return {*map(type, given)} <= {str} and _has_utf8("".join(given)) and every(given.values())

    return check


def _has_utf8(text: str) -> bool:
    # Of a str with a lone surrogate pydantic raises an error, but in a key it writes something else.
    try:
        text.encode()
    except UnicodeEncodeError:
        return False
    return True


def _every(items: object, order: _Order) -> Callable[[Collection[object]], bool] | None:
    """The function that recognises a list or the like of plain values, at once for all where that is quicker."""
    if items is None:
        return None
    schema = cast("Schema", items)
    scalar = _scalar(schema)
    if scalar is int:

        def integers(values: Collection[object]) -> bool:
            if not {*map(type, values)} <= {int}:
                return False
            try:
                return len(array("q", cast("Collection[int]", values))) == len(values)
            except OverflowError:  # one has more than 64 bits
                return False

        return integers
    if scalar is float:
        return lambda values: {*map(type, values)} <= {float} and all(map(math.isfinite, cast("list[float]", values)))
    if scalar is not None:
        return lambda values: {*map(type, values)} <= {scalar}
    each = _check(schema, order)
    return None if each is None else lambda values: all(map(each, values))


def _scalar(schema: Schema) -> type | None:
    return _SCALARS.get(cast("str", schema["type"])) if len(schema) == 1 else None


def _model_check(schema: Schema, order: _Order) -> PlainCheck | None:
    fields = cast("Schema", schema["schema"])
    config = cast("Schema", schema.get("config") or {})
    if (
        not _harmless(schema)
        or schema.get("custom_init")
        or schema.get("root_model")
        or own_slots(cast("type", schema["cls"]), BaseModel)
        or not config.keys() <= _CONFIG_KEYS
        or fields["type"] != "model-fields"
        or not _harmless(fields)
        or fields.get("computed_fields")
    ):
        return None
    declared = cast("Mapping[str, Schema]", fields["fields"])
    tests = [_field_test(nth, field, order) for nth, field in enumerate(declared.values())]
    whole = [test for test in tests if test is not None]
    if len(whole) < len(tests) or not tests:
        return None
    return _compiled(cast("type", schema["cls"]), tuple(declared), whole, ordered=order.fields)


def _harmless(schema: Schema) -> bool:
    return schema.keys() <= _KEYS[cast("str", schema["type"])]


class _Test(NamedTuple):
    """An expression that is true if one field is plain, and what its names stand for."""

    expression: str
    names: dict[str, object]


def _field_test(nth: int, field: Schema, order: _Order) -> _Test | None:
    optional = False
    while field["type"] in ("model-field", "default", "nullable"):
        if not _harmless(field):
            return None
        optional = optional or field["type"] == "nullable"
        field = cast("Schema", field["schema"])
    value = f"v{nth}"
    names: dict[str, object] = {}
    scalar = _scalar(field)
    if scalar is not None:
        expression = f"type({value}) is t{nth}"
        names[f"t{nth}"] = scalar
        if scalar in _LOWEST:
            expression += f" and l{nth} <= {value} <= h{nth}"
            names |= {f"l{nth}": _LOWEST[scalar], f"h{nth}": _HIGHEST[scalar]}
    else:
        nested = _check(field, order)
        if nested is None:
            return None
        expression = f"c{nth}({value})"
        names[f"c{nth}"] = nested
    return _Test(f"({value} is None or {expression})" if optional else expression, names)


def _compiled(cls: type, names: tuple[str, ...], tests: list[_Test], *, ordered: bool) -> PlainCheck:
    """The tests of all fields as one function.

    Put together as source, as ``dataclasses`` does it, because a loop over the fields would take longer than it takes
    to write the value. Nothing of the user's is in that source: fields are numbered.
    """
    order = "    if (*held,) != names: return False\n" if ordered else ""
    values = "; ".join(f"v{nth} = held[n{nth}]" for nth in range(len(tests)))
    source = (
        "def check(value):\n"
        "    if type(value) is not cls: return False\n"
        "    held = value.__dict__\n"
        f"    if len(held) != {len(tests)}: return False\n"
        f"{order}"
        f"    try: {values}\n"
        "    except KeyError: return False\n"
        f"    return {' and '.join(test.expression for test in tests)}\n"
    )
    scope: dict[str, object] = {"cls": cls, "names": names}
    scope |= {f"n{nth}": name for nth, name in enumerate(names)}
    for test in tests:
        scope |= test.names
    exec(source, scope)
    return cast("PlainCheck", scope["check"])
