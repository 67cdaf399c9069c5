"""Plain JSON: values whose type says no more than "JSON", written and read by orjson.

    dict   list   dict[str, Any]   list[dict[str, object]]   JsonValue   Any   object   and ``| None`` of these

orjson is two to three times as fast as pydantic there, but its rule is another one: it writes a tuple as a list, an
enum as its value and nan as null, and it reads an integer beyond 64 bits as a float. So both functions of this module
take only what orjson certainly handles as pydantic does, and leave the rest to pydantic:

    writer      returns the bytes that pydantic would write, if they read back as the same value, or None
    reader      returns what pydantic would return, and asks pydantic where orjson might return something else

In canonical form (``sort``) the keys of objects are sorted. There the types of single values may be declared as well,
as in ``dict[str, int]``, because without orjson each value would be written twice and sorted in Python.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Collection, Iterable, Mapping
from gc import get_referents
from types import NoneType
from typing import NamedTuple, TypeAlias, TypeVar, cast

import orjson
from pydantic_core import to_json

__all__ = ["JsonWriter", "json_reader", "json_writer"]

T = TypeVar("T")
JsonWriter: TypeAlias = Callable[[object], "bytes | None"]
Schema: TypeAlias = "Mapping[str, object]"

_DECLARED: dict[object, type] = {"str": str, "int": int, "float": float, "bool": bool, "none": NoneType}
_SCALARS = frozenset({str, int, float, bool, NoneType})
_CONTAINERS = frozenset({list, dict})
_JSON = _SCALARS | _CONTAINERS
# Any other key of a node says how its values are validated or written, and then it is a matter for pydantic.
_KEYS: dict[object, set[str]] = {
    "any": {"type", "metadata"},
    "list": {"type", "items_schema", "metadata"},
    "dict": {"type", "keys_schema", "values_schema", "metadata"},
    "nullable": {"type", "schema", "metadata"},
    "definitions": {"type", "schema", "definitions", "metadata"},
    "definition-ref": {"type", "schema_ref", "metadata"},
}
_STRINGS = (None, {"type": "any"}, {"type": "str"})  # keys that are read from JSON as they are
_DEEPEST = 200  # containers inside each other that pydantic reads; orjson writes 254 and reads 1024

# Without these, orjson would write an instance of a subclass, a dataclass or a datetime as something else. All of
# these are also found by ``_comes_back``. Two barriers, because a value that is changed silently is the worst outcome.
_OPTIONS = orjson.OPT_PASSTHROUGH_SUBCLASS | orjson.OPT_PASSTHROUGH_DATACLASS | orjson.OPT_PASSTHROUGH_DATETIME

# Releases of orjson and of pydantic write 1e+22 or 1e22. Where the two installed ones differ, numbers with an
# exponent are left to pydantic, so that the bytes never depend on which of them wrote a value.
_PROBES = [1e16, 1.5e22, 1.7976931348623157e308, 1e-5, 1.5e-7, 5e-324]
_SAME_EXPONENTS = orjson.dumps(_PROBES) == to_json(_PROBES)

# Turns each digit and "-" into "0", and everything else into a space.
_DIGITS = bytes(48 if byte in b"-0123456789" else 32 for byte in range(256))
_LONG_NUMBER = b"0" * 20  # the least digits, or sign and digits, of an integer beyond 64 bits
_SAMPLES = slice(None, None, 5)  # each fifth byte: of twenty bytes in a row there are four in it
_LONG_NUMBER_IN_SAMPLES = b"0" * 4
_FLAT = 2 * _DEEPEST  # bytes in which there is no room for deeper nesting


class _Shape(NamedTuple):
    """What a plain JSON type says about its values.

    Attributes:
        kinds: the classes that a value may have, or None for any.
        parts: what it says about the items of a list or the values of a dict, or None.
    """

    kinds: frozenset[type] | None
    parts: _Shape | None = None

    def accepts(self, value: object) -> bool:
        """Whether ``value`` has the declared shape. Parts declared as any JSON are not looked at."""
        kind = type(value)
        if self.kinds is None:
            return True
        if kind not in self.kinds:
            return False
        if self.parts is None or kind not in _CONTAINERS:
            return True
        inside = cast("dict[str, object]", value).values() if kind is dict else cast("list[object]", value)
        if self.parts.parts is None:
            return self.parts.kinds is None or {*map(type, inside)} <= self.parts.kinds
        return all(map(self.parts.accepts, inside))


_ANY = _Shape(None)


def json_writer(core_schema: object, *, sort: bool = False) -> JsonWriter | None:
    """The function that writes values of a type if they are plain JSON, or None if the type is not.

    What it returns is what pydantic would write, and reads back as the same value. It returns None for a value for
    which that is not certain.

    Args:
        sort: sort the keys of objects. Only then the type may name the classes of single values.
    """
    shape = _shape(cast("Schema", core_schema), {}, scalars=sort)
    if shape is None or (shape.kinds is not None and shape.kinds.isdisjoint(_CONTAINERS)):
        return None
    dumps, accepts = orjson.dumps, None if shape is _ANY else shape.accepts
    options = _OPTIONS | orjson.OPT_SORT_KEYS if sort else _OPTIONS

    def write(value: object) -> bytes | None:
        if accepts is not None and not accepts(value):
            return None
        try:
            raw = dumps(value, None, options)
        except TypeError:  # orjson's own: a class or an integer that it does not write, a key that is not a str
            return None
        return raw if _comes_back(value, raw) else None

    return write


def json_reader(core_schema: object, load: Callable[[bytes], T]) -> Callable[[bytes], T] | None:
    """The function that reads plain JSON, or None if the type is not.

    Args:
        load: reads as pydantic does. It is asked for all that orjson refuses or may read differently.
    """
    shape = _shape(cast("Schema", core_schema), {}, scalars=False)
    if shape is None:
        return None
    loads: Callable[[bytes], T] = orjson.loads
    accepts = None if shape is _ANY else shape.accepts
    # Most values are of the one declared class, and need no second look.
    only = next(iter(shape.kinds), None) if shape.kinds and shape.parts is None else None

    def read(raw: bytes) -> T:
        try:
            # Not "in", which first tries to take the bytes for a number: that takes longer than the search.
            if (raw[_SAMPLES].translate(_DIGITS).find(_LONG_NUMBER_IN_SAMPLES) >= 0 and _has_long_number(raw)) or (
                len(raw) > _FLAT and _may_be_deep(raw)
            ):
                return load(raw)
            value = loads(raw)
        except ValueError:  # not JSON; or nan, which pydantic reads
            return load(raw)
        if accepts is None or type(value) is only or accepts(value):
            return value
        return load(raw)

    return read


def _comes_back(value: object, raw: bytes) -> bool:
    """Whether ``value``, which orjson wrote as ``raw``, reads back from it as the same value.

    It does if all in it is of exactly the classes that JSON has. orjson has refused everything else but tuples, enums,
    UUIDs and its own fragments, and it wrote nan and inf as null. The garbage collector visits all parts that could be
    in a cycle, and those three are; ``_OPTIONS`` refuses what it may pass over.
    """
    look = not _SAME_EXPONENTS or raw.find(b"null") >= 0
    level: list[object] = get_referents(value) if type(value) in _CONTAINERS else [value]
    for _ in range(_DEEPEST):
        kinds = {*map(type, level)}
        if look and float in kinds and not _have_one_form(level):
            return False
        if kinds <= _SCALARS:
            return True
        if not kinds <= _JSON:
            return False
        # The items of all lists and the values of all dicts. The keys have been checked by orjson.
        level = get_referents(*level)
    return False


def _have_one_form(values: Iterable[object]) -> bool:
    """Whether all floats among ``values`` are finite, and written alike by orjson and by pydantic."""
    floats = [value for value in values if type(value) is float]
    return all(map(math.isfinite, floats)) and (
        _SAME_EXPONENTS or all(not value or 1e-4 <= abs(value) < 1e16 for value in floats)
    )


def _has_long_number(raw: bytes) -> bool:
    return _LONG_NUMBER in raw.translate(_DIGITS)


def _may_be_deep(raw: bytes) -> bool:
    return raw.count(b"[") + raw.count(b"{") > _DEEPEST


def _shape(schema: Schema, known: Mapping[object, _Shape], *, scalars: bool) -> _Shape | None:
    """The shape of a type, or None if it is not plain JSON.

    Args:
        known: the shapes of what the schema refers to.
        scalars: whether it may name the classes of single values.
    """
    kind = schema["type"]
    if len(schema) == 1 and kind in _DECLARED:
        return _Shape(frozenset({_DECLARED[kind]})) if scalars else None
    if not schema.keys() <= _KEYS.get(kind, set()):
        return None
    if kind == "any":
        return _ANY
    if kind == "definition-ref":
        return known.get(schema["schema_ref"])
    if kind == "definitions":
        defined = cast("Collection[Schema]", schema["definitions"])
        known = {one["ref"]: _ANY for one in defined if _is_json_value(one)}
        return _shape(cast("Schema", schema["schema"]), known, scalars=scalars)
    if kind == "dict" and cast("Schema", schema.get("keys_schema", {"type": "any"})) not in (
        {"type": "str"},
        {"type": "any"},
    ):
        return None
    inner = schema.get({"list": "items_schema", "dict": "values_schema"}.get(cast("str", kind), "schema"))
    parts = _ANY if inner is None else _shape(cast("Schema", inner), known, scalars=scalars)
    if parts is None:
        return None
    if kind == "nullable":
        return _ANY if parts.kinds is None else _Shape(parts.kinds | {NoneType}, parts.parts)
    return _Shape(frozenset({list if kind == "list" else dict}), None if parts is _ANY else parts)


def _is_json_value(schema: Schema) -> bool:
    """Whether a definition is pydantic's JsonValue, which from JSON takes anything."""
    return schema["type"] == "json-or-python" and schema["json_schema"] == {"type": "any"}
