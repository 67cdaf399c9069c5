"""Plain types: those of which a look at the value proves that its JSON reads back as an equal value.

The rule for a write is: encode, read back, compare. For a model of strings, numbers, booleans and other such
models, without aliases, constraints, validators or serializers, that always comes out the same way, if the
instance holds what its class declares. So it is enough to see that it does, at a third of the cost. Whatever
is not recognised here, in the type or in the value, is not plain, and goes the long way.

What a plain value is, exactly: an instance of the very class, with exactly the declared fields, each of exactly a
declared type; integers of 64 bits; finite floats. Where equal values must be equal bytes, the fields are in declared
order as well, because that is the order in which they are written.
"""

from __future__ import annotations

import sys
from collections.abc import Callable, Mapping
from dataclasses import dataclass
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


def plain_check(core_schema: object, *, ordered: bool = False) -> PlainCheck | None:
    """The function that recognises plain values of a type, or None if the type has none.

    Args:
        ordered: whether the fields of a plain model must be in declared order.
    """
    schema = cast("Schema", core_schema)
    if schema.get("type") == "model":
        return _model_check(schema, ordered=ordered)
    scalar = _scalar(schema)
    if scalar is None:
        return None
    if scalar in _LOWEST:
        lowest, highest = _LOWEST[scalar], _HIGHEST[scalar]
        return lambda value: type(value) is scalar and lowest <= cast("float", value) <= highest
    return lambda value: type(value) is scalar


def _scalar(schema: Schema) -> type | None:
    return _SCALARS.get(cast("str", schema["type"])) if len(schema) == 1 else None


def _model_check(schema: Schema, *, ordered: bool) -> PlainCheck | None:
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
    declared = cast("Mapping[str, Schema]", fields["fields"])
    tests = [_field_test(nth, field, ordered=ordered) for nth, field in enumerate(declared.values())]
    whole = [test for test in tests if test is not None]
    if len(whole) < len(tests) or not tests:
        return None
    return _compiled(cast("type", schema["cls"]), tuple(declared), whole, ordered=ordered)


def _harmless(schema: Schema) -> bool:
    return schema.keys() <= _KEYS[cast("str", schema["type"])]


@dataclass(frozen=True, slots=True)
class _Test:
    """An expression that is true if one field is plain, and what its names stand for."""

    expression: str
    names: dict[str, object]


def _field_test(nth: int, field: Schema, *, ordered: bool) -> _Test | None:
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
        nested = _model_check(field, ordered=ordered) if field["type"] == "model" else None
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
