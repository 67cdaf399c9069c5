"""Canonical form: equal values of one type are equal bytes, so that the server can compare them.

Members of sets and hash keys are compared by Redis byte by byte. Pydantic's JSON alone is not enough: it writes a dict
in insertion order, a set in hash order, ``Decimal("1.0")`` and ``Decimal("1")`` differently. The canonical form is the
same JSON, with

    models, dataclasses, TypedDicts    fields in declared order (as ``model_dump_json`` writes), extras by name
    mappings                           by key (not an OrderedDict, whose order is part of its value)
    sets                               by their elements' bytes
    Decimal                            without trailing zeros: "1.50" is "1.5", "100" is "1E+2"
    aware datetime, time               in UTC. A time that would pass midnight moves by whole hours only as far
                                       as needed, because Python does not compare times modulo a day
    -0.0                               0.0

Equal means equal and of the same types all the way down: ``1``, ``1.0`` and ``True`` in a ``int | float | bool`` are
three values here. Which of these a type can contain is read from its core schema once (``plan_for``). Only such
types pay for the parse, the walk of value and JSON side by side, and the second dump.

Elements of lists are written by ``Plan.as_written``: only sets are sorted, which cannot be seen in a value. Their
canonical form is one of those that are searched for.
"""

from __future__ import annotations

from collections import OrderedDict, deque
from collections.abc import Mapping, Set
from dataclasses import fields, is_dataclass
from datetime import UTC, datetime, time, timedelta, timezone
from decimal import Decimal
from types import NoneType
from typing import TYPE_CHECKING, NamedTuple, TypeAlias, cast

from pydantic import BaseModel, RootModel
from pydantic_core import from_json, to_json, to_jsonable_python

if TYPE_CHECKING:
    from collections.abc import Iterable

__all__ = ["Plan", "canonical", "has_serializer", "makes_no_bytes", "nodes", "plan_for"]

Json: TypeAlias = "bool | int | float | str | list[Json] | dict[str, Json] | None"

# Core schema nodes whose JSON depends on nothing but the value, or whose children decide. (Fields are written in the
# order of the instance; but what was read has the declared order, and only that is made canonical.)
_SETTLED = frozenset(
    {"str", "int", "float", "bool", "none", "bytes", "date", "timedelta", "uuid", "url", "multi-host-url", "enum"}
    | {"literal", "fraction", "missing-sentinel", "list", "tuple", "deque", "nullable", "union", "tagged-union"}
    | {"default", "definitions", "definition-ref", "chain", "lax-or-strict", "json-or-python"}
    | {"function-before", "function-after", "function-wrap"}
    | {"model", "model-fields", "model-field", "dataclass", "dataclass-args", "dataclass-field", "typed-dict"}
    | {"typed-dict-field", "named-tuple", "named-tuple-field", "call", "arguments", "arguments-v3"}
)
# Nodes that need the walk.
_WALKED = frozenset(
    {"dict", "set", "frozenset", "decimal", "datetime", "time", "counter", "defaultdict", "ordered-dict"}
)
# Keys of a node that hold no schema a value is read from JSON with, though some look like one.
_OTHER = frozenset(
    {"cls", "config", "computed_fields", "custom_error_context", "default", "expected", "function", "members"}
    | {"metadata", "python_schema", "serialization", "strict_schema"}
)
_MICROSECOND = timedelta(microseconds=1)
# Classes whose instances are certainly no pydantic model: asking pydantic is slow.
_BUILTIN = frozenset({str, int, float, bool, NoneType, list, tuple, dict, set, frozenset, Decimal, datetime, time})
_CALLED = {"any": "Any", "function-plain": "a type with a validator of its own"}


class Plan(NamedTuple):
    """What it takes to make one type canonical.

    Attributes:
        walk: it can hold what only the walk of value and JSON puts right.
        typed_dicts: the declared keys of each TypedDict in it.
        doubts: parts for which equal values may still be different bytes.
        sets: it can hold a set, whose order is that of its hashes.
        any_order: it can hold a mapping, and none of which the order is part of the value.
        normal: put everything into normal form. Otherwise the sets are sorted, and the rest stays as it was written.
    """

    walk: bool
    typed_dicts: tuple[tuple[str, ...], ...] = ()
    doubts: tuple[str, ...] = ()
    sets: bool = True
    any_order: bool = False
    normal: bool = True

    def as_written(self) -> Plan:
        """What it takes to write equal sets as equal bytes, and to change nothing that can be seen in a value."""
        return self._replace(walk=self.sets, normal=False)


def plan_for(core_schema: object) -> Plan:
    """Read from a core schema what its values need to be canonical."""
    types: set[str] = set()
    typed_dicts: list[tuple[str, ...]] = []
    doubts: dict[str, None] = {}
    for node in nodes(core_schema):
        kind = cast("str", node["type"])
        types.add(kind)
        if kind == "typed-dict":
            typed_dicts.append(tuple(cast("Mapping[str, object]", node["fields"])))
        if _keeps_extras(node):
            doubts["extra fields of any type"] = None
        if kind not in _SETTLED | _WALKED and not (kind == "function-plain" and _is_pydantics(node)):
            doubts[_CALLED.get(kind, f"{kind!r}")] = None
        if not _is_pydantics(node.get("serialization")):
            doubts["a serializer of your own"] = None
    sets = bool(types & {"set", "frozenset"}) or (bool(doubts) and any(kind.startswith("function-") for kind in types))
    mappings = bool(types & {"dict", "defaultdict", "counter"}) or bool(doubts)
    return Plan(
        walk=bool(doubts) or bool(types & _WALKED),
        typed_dicts=tuple(typed_dicts),
        doubts=tuple(doubts),
        sets=sets,
        any_order=mappings and "ordered-dict" not in types,
    )


def canonical(value: object, raw: bytes, plan: Plan) -> bytes:
    """``raw``, the JSON of ``value``, put into canonical form. Where the two do not match, it is left as it is."""
    return to_json(_walk(value, cast("Json", from_json(raw)), plan))


def has_serializer(core_schema: object) -> bool:
    """Whether any part of a type is written by a function."""
    return any("serialization" in node for node in nodes(core_schema))


def makes_no_bytes(core_schema: object) -> bool:
    """Whether no value that is read as this type can hold bytes."""
    for node in nodes(core_schema):
        kind = cast("str", node["type"])
        if kind not in _SETTLED | _WALKED | {"any"} or kind in ("bytes", "literal", "enum") or not _is_pydantics(node):
            return False
    return True


def nodes(schema: object) -> Iterable[Mapping[str, object]]:
    waiting = [schema]
    while waiting:
        node = waiting.pop()
        if isinstance(node, Mapping):
            mapping = cast("Mapping[str, object]", node)
            if isinstance(mapping.get("type"), str):
                yield mapping
                waiting.extend(child for key, child in mapping.items() if key not in _OTHER)
            else:  # field name -> field, tag -> choice
                waiting.extend(mapping.values())
        elif isinstance(node, (list, tuple)):
            waiting.extend(cast("list[object]", node))


def _keeps_extras(node: Mapping[str, object]) -> bool:
    config = node.get("config")
    of_config = (
        cast("Mapping[str, object]", config).get("extra_fields_behavior") if isinstance(config, Mapping) else None
    )
    return "allow" in (of_config, node.get("extra_behavior"))


def _is_pydantics(node: object) -> bool:
    """Whether no function, or one that belongs to pydantic, decides how values of this node are read or written."""
    function = node
    while isinstance(function, Mapping):  # in some nodes the function is itself wrapped in a mapping
        function = cast("Mapping[str, object]", function).get("function")
    return function is None or str(getattr(function, "__module__", "")).startswith("pydantic")


def _walk(value: object, tree: Json, plan: Plan) -> Json:
    if type(value) not in _BUILTIN:
        while isinstance(value, RootModel):
            value = cast("object", value.root)
    if isinstance(tree, dict):
        return _walk_object(value, tree, plan)
    if isinstance(tree, list):
        return _walk_array(value, tree, plan)
    if isinstance(tree, float):
        return (tree or 0.0) if plan.normal else tree  # -0.0 is false, too
    return _leaf(value, tree) if plan.normal and isinstance(tree, str) else tree


def _walk_object(value: object, tree: dict[str, Json], plan: Plan) -> Json:
    if type(value) is dict:
        return _walk_mapping(cast("dict[object, object]", value), tree, plan)
    if isinstance(value, BaseModel):
        parts = value.__dict__ | (value.__pydantic_extra__ or {})
        return _walk_fields(type(value).model_fields, parts, tree, plan)
    if is_dataclass(value):
        return _walk_fields({f.name: f for f in fields(value)}, {n: getattr(value, n, None) for n in tree}, tree, plan)
    return _walk_mapping(cast("Mapping[object, object]", value), tree, plan) if isinstance(value, Mapping) else tree


def _walk_mapping(value: Mapping[object, object], tree: dict[str, Json], plan: Plan) -> Json:
    if len(value) != len(tree):
        return tree
    pairs = zip(value.items(), tree.items(), strict=True)
    if not plan.normal:
        return {name: _walk(item, part, plan) for (_, item), (name, part) in pairs}
    done = {_leaf(key, name): _walk(item, part, plan) for (key, item), (name, part) in pairs}
    if isinstance(value, OrderedDict):
        return done
    if not plan.typed_dicts:
        return {name: done[name] for name in sorted(done)}
    # A mapping that has a TypedDict's keys is put into its order even if it is a plain one: the order then still
    # depends on nothing but the keys.
    declared = next((keys for keys in plan.typed_dicts if done.keys() <= set(keys)), ())
    return {k: done[k] for k in (*(k for k in declared if k in done), *sorted(done.keys() - set(declared)))}


def _walk_fields(
    declared: Mapping[str, object], values: Mapping[str, object], tree: dict[str, Json], plan: Plan
) -> Json:
    # What was read back is written in declared order, extras behind.
    if not plan.normal:
        return {name: _walk(values.get(name), part, plan) for name, part in tree.items()}
    order = [name for name in tree if name in declared]
    order += sorted(name for name in tree if name not in declared)
    return {name: _walk(values.get(name), tree[name], plan) for name in order}


def _walk_array(value: object, tree: list[Json], plan: Plan) -> Json:
    if not isinstance(value, (list, tuple, deque, Set)) or len(cast("Set[object]", value)) != len(tree):
        return tree
    parts = [_walk(v, part, plan) for v, part in zip(cast("Set[object]", value), tree, strict=True)]
    return sorted(parts, key=to_json) if isinstance(value, Set) else parts


def _leaf(value: object, text: str) -> str:
    """``text``, or the canonical way to write ``value`` if it has one and ``text`` is another."""
    kind = type(value)
    if kind is Decimal:
        return _plain_decimal(cast("Decimal", value), text)
    if kind is datetime or kind is time:
        return _in_utc(cast("datetime | time", value), text)
    return "0.0" if kind is float and text == "-0.0" else text


def _plain_decimal(value: Decimal, text: str) -> str:
    if not value.is_finite() or text != str(value):
        return text
    sign, digits, exponent = value.as_tuple()
    if not value or not isinstance(exponent, int):
        return "0"
    significant = "".join(map(str, digits)).rstrip("0")
    # Decimal.normalize() would round to the precision of the current context.
    return str(Decimal((sign, tuple(map(int, significant)), exponent + len(digits) - len(significant))))


def _in_utc(value: datetime | time, text: str) -> str:
    offset = value.utcoffset()
    if offset is None or text != to_jsonable_python(value):
        return text
    if isinstance(value, datetime):
        return str(to_jsonable_python(value.astimezone(UTC)))
    micros = ((value.hour * 60 + value.minute) * 60 + value.second) * 1_000_000 + value.microsecond
    hours, rest = divmod(micros - offset // _MICROSECOND, 3_600_000_000)
    hour = min(max(hours, 0), 23)
    zone = UTC if hour == hours else timezone(timedelta(hours=hour - hours))
    minutes, rest = divmod(rest, 60_000_000)
    clock = time(hour, minutes, rest // 1_000_000, rest % 1_000_000, tzinfo=zone)
    return str(to_jsonable_python(clock))
