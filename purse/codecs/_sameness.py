"""Sameness: whether a value that was written and read back is still the value, and if not, where it changed.

The judge looks at the state of both, part by part, and never asks an ``__eq__`` of the user's: a model may compare
its ``id`` alone, a dataclass may leave fields out, and Python itself calls ``True``, ``1`` and ``1.0`` equal.

    everything             the same class, but an int may come back as the equal float
    pydantic models        the same fields and extras, and no other public attribute, such as a loaded relationship
    dataclasses            all fields, compared or not, and no other public attribute
    dict, set, list ...    their items, a deque's ``maxlen``, a defaultdict's ``default_factory``
    float, Decimal         the same sign of zero, the same exponent, and nan is nan
    datetime, time         aware or naive, as before, and ``fold``, but only the instant of an aware datetime
    any other class        what it would be pickled as, or its ``==`` if it cannot be pickled

Private attributes and cached properties are not stored, so they do not count. Nor does the order of a dict, unless it
is an OrderedDict. Below the top, a subclass of a date, a time or a UUID that adds no attributes may come back as what
it is derived from: pydantic lets a field hold it, and database drivers and the clocks of test suites put it there.

The price: one walk of both values, in which lists and dicts of strings and numbers are compared at once.
"""

from __future__ import annotations

import marshal
from array import array
from collections import Counter, OrderedDict, defaultdict, deque
from collections.abc import Callable, Hashable, Iterator, Mapping, Sequence, Set
from dataclasses import dataclass, is_dataclass, replace
from typing import TypeAlias, cast

from pydantic import BaseModel

from purse.codecs._difference import ABSENT, NEVER_SET, WAS_SET, Difference
from purse.codecs._same_scalars import FLAT, KEPT, SAME, SOUND
from purse.codecs._state import Reduced, field_names, held, is_cached, own_slots, reduced
from purse.codecs._type_caches import cached_by_type
from purse.codecs._wording import fix_for, short

__all__ = ["EXACT", "Rule", "first_difference", "lost"]


@dataclass(frozen=True, slots=True)
class Rule:
    """What counts as the same.

    Attributes:
        normal: numbers and times need only be equal, for keys and members: ``Decimal("1.0")`` may come back as
            ``Decimal("1")``, -0.0 as 0.0.
        fields_set: which fields of a model have been set counts, too.
        native: what comes back holds no bytes, so that lists and dicts of what JSON has can be compared by ``marshal``.
        begun: the pairs whose comparison has begun, if there may be a cycle.
    """

    normal: bool = False
    fields_set: bool = False
    native: bool = False
    begun: set[tuple[int, int]] | None = None


EXACT = Rule()


Judge: TypeAlias = Callable[[object, object, Rule], "Difference | None"]


def first_difference(before: object, after: object, rule: Rule = EXACT) -> Difference | None:
    """Where ``after`` is no longer ``before``, or None if it is the same throughout.

    Raises:
        RecursionError: they are too deep.
    """
    try:
        return _difference(before, after, rule)
    except RecursionError:  # perhaps a cycle, which a codec of the user's may be able to store
        return _difference(before, after, replace(rule, begun=set()))


def lost(value: object, back: object, rule: Rule = EXACT) -> Difference | None:
    """What of ``value`` is not in ``back``, or None if it has the same type and the same state."""
    found = first_difference(value, back, rule)
    if found is None and type(back) is not type(value) and not (type(back) is float and type(value) is int):
        return Difference("", value, back)
    return found


def _difference(before: object, after: object, rule: Rule) -> Difference | None:
    if before is after:
        return None
    kind = type(before)
    if kind is not type(after):
        return _between_classes(before, after, rule)
    if kind in SOUND:
        return None if before == after else _leaf(before, after)
    if rule.begun is not None:
        pair = id(before), id(after)
        if pair in rule.begun:
            return None
        rule.begun.add(pair)
    judge = _BUILTIN.get(kind) or _judge_of(cast("Hashable", kind))
    return judge(before, after, rule)


def _leaf(before: object, after: object) -> Difference:
    return Difference("", before, after, fix=fix_for(before))


@cached_by_type
def _judge_of(cls: Hashable) -> Judge:
    """What compares two instances of exactly this class."""
    kind = cast("type[object]", cls)
    if issubclass(kind, BaseModel):
        return _models
    base = next((base for base in kind.__mro__ if base in _BUILTIN), None)
    if base is None:
        return _dataclasses if is_dataclass(kind) and not own_slots(cls, object) else _others(kind)
    part = _BUILTIN[base]
    if base is kind:
        return part
    return lambda before, after, rule: part(before, after, rule) or _attributes(before, after, rule, base)


def _between_classes(before: object, after: object, rule: Rule) -> Difference | None:
    if type(before) is int and type(after) is float and before == after:
        return None
    base = next((base for base in KEPT if isinstance(before, base)), None)
    # == is asked here as well, because a class written in C may hold what nobody sees, such as nanoseconds.
    if base is not None and type(after) is base and not held(before, base) and _equal(before, after):
        return _BUILTIN[base](before, after, rule)
    return _leaf(before, after)


def _scalars(same: Callable[[object, object, bool], bool]) -> Judge:
    return lambda before, after, rule: None if same(before, after, rule.normal) else _leaf(before, after)


# --- containers -----------------------------------------------------------------------------------


def _sequences(kind: type) -> Judge:
    # Not what a subclass iterates over.
    iterate = cast("Callable[[object], Iterator[object]]", vars(kind)["__iter__"])

    def judge(before: object, after: object, rule: Rule) -> Difference | None:
        if rule.native and _same_builtins(before, after):
            return None
        return _between_sequences([*iterate(before)], [*iterate(after)], rule)

    return judge


def _same_builtins(before: object, after: object) -> bool:
    """Whether both are made of the same strings, numbers, lists and dicts, in the same order. False if in doubt.

    ``marshal`` knows classes exactly, refuses all that are not builtin, and tells -0.0 from 0.0. It takes bytearrays
    and the like for bytes. In format 2 it does not look at which objects are the same.
    """
    try:
        return _DUMPS(before, 2) == _DUMPS(after, 2)
    except ValueError:
        return False


def _deques(before: object, after: object, rule: Rule) -> Difference | None:
    here, there = cast("tuple[deque[object], deque[object]]", (before, after))
    if here.maxlen != there.maxlen:
        return Difference("maxlen", here.maxlen, there.maxlen, fix=fix_for(before))
    return _sequences(deque)(before, after, rule)


def _dicts(before: object, after: object, rule: Rule) -> Difference | None:
    if rule.native and _same_builtins(before, after):
        return None
    here, there = cast("tuple[dict[object, object], dict[object, object]]", (before, after))
    return _between_mappings([*_ITEMS(here)], [*_ITEMS(there)], rule)


def _ordered_dicts(before: object, after: object, rule: Rule) -> Difference | None:
    here, there = cast("tuple[OrderedDict[object, object], OrderedDict[object, object]]", (before, after))
    pairs, others = [*_ORDERED_ITEMS(here)], [*_ORDERED_ITEMS(there)]
    found = _between_mappings(pairs, others, rule)
    return found or _between_sequences([key for key, _ in pairs], [key for key, _ in others], rule)


def _defaultdicts(before: object, after: object, rule: Rule) -> Difference | None:
    here, there = cast("tuple[defaultdict[object, object], defaultdict[object, object]]", (before, after))
    if here.default_factory is not there.default_factory:
        return Difference("default_factory", here.default_factory, there.default_factory, fix=fix_for(before))
    return _dicts(before, after, rule)


def _sets(before: object, after: object, rule: Rule) -> Difference | None:
    here, there = [*cast("Set[object]", before)], [*cast("Set[object]", after)]
    kinds = {*map(type, here)}
    alike = len(kinds) == 1 and kinds <= FLAT and kinds == {*map(type, there)}
    if alike and (float not in kinds or 0.0 not in here) and {*here} == {*there}:
        return None
    twins = _twins(here, there, rule)
    new = next((item for nth, item in enumerate(there) if nth not in {*twins}), ABSENT)
    if None in twins:
        return Difference("", here[twins.index(None)], new)
    return None if new is ABSENT else Difference("", ABSENT, new)


def _between_sequences(here: Sequence[object], there: Sequence[object], rule: Rule) -> Difference | None:
    if _flat(here, there):
        return None
    for index, (item, other) in enumerate(zip(here, there, strict=False)):
        if found := _difference(item, other, rule):
            return found.inside(f"[{index}]")
    if len(here) == len(there):
        return None
    index = min(len(here), len(there))
    before, after = (items[index] if index < len(items) else ABSENT for items in (here, there))
    return Difference(f"[{index}]", before, after)


def _between_mappings(
    here: Sequence[tuple[object, object]], there: Sequence[tuple[object, object]], rule: Rule
) -> Difference | None:
    keys, others = [key for key, _ in here], [key for key, _ in there]
    values, parts = [value for _, value in here], [value for _, value in there]
    in_place = _flat(keys, others)
    if in_place and _flat(values, parts):
        return None
    twins = range(len(keys)) if in_place else _twins(keys, others, rule)
    for nth, twin in enumerate(twins):
        part = ABSENT if twin is None else parts[twin]
        if found := _difference(values[nth], part, rule):
            return found.inside(f"[{short(keys[nth])}]")
    if len(keys) < len(others):
        used = {*twins}
        new = next(nth for nth in range(len(others)) if nth not in used)
        return Difference(f"[{short(others[new])}]", ABSENT, parts[new])
    return None


def _flat(here: Sequence[object], there: Sequence[object]) -> bool:
    """Whether both hold the same strings, numbers and the like. False also where that takes a closer look."""
    kinds = {*map(type, here)}
    if not kinds <= FLAT:
        return False
    if len(kinds) == 1:
        if kinds != {*map(type, there)}:
            return False
    elif [*map(type, here)] != [*map(type, there)]:
        return False
    return here == there and (float not in kinds or _same_zeros(here, there))


def _same_zeros(here: Sequence[object], there: Sequence[object]) -> bool:
    """Whether zeros have the same signs, which ``==`` ignores."""
    if 0.0 not in here:
        return True
    floats, others = ([part for part in parts if type(part) is float] for parts in (here, there))
    return array("d", floats).tobytes() == array("d", others).tobytes()


def _twins(here: Sequence[object], there: Sequence[object], rule: Rule) -> list[int | None]:
    """For each of ``here`` the index of the same in ``there``, each used once, or None if there is none."""
    near: dict[int, list[int]] = {}
    for nth, item in enumerate(there):
        near.setdefault(_hash(item), []).append(nth)
    left = dict.fromkeys(range(len(there)))
    twins: list[int | None] = []
    for item in here:
        likely = near.get(_hash(item), [])
        # nan, and what is hashed by its identity, is elsewhere. One that is nowhere is enough.
        places = likely if None in twins else [*likely, *left]
        twin = next((nth for nth in places if nth in left and not _difference(item, there[nth], rule)), None)
        if twin is not None:
            del left[twin]
        twins.append(twin)
    return twins


def _hash(value: object) -> int:
    try:
        return hash(value)
    except Exception:  # of the user's
        return 0


# --- models, dataclasses, everything else ---------------------------------------------------------


def _models(before: object, after: object, rule: Rule) -> Difference | None:
    model, other = cast("tuple[BaseModel, BaseModel]", (before, after))
    here, there = model.__dict__, other.__dict__
    new = len(there) - len(here)
    for name, value in here.items():
        part = there.get(name, ABSENT)
        if value is part or (type(value) is type(part) and type(value) in SOUND and value == part):
            continue
        if found := _difference(value, part, rule):
            if _counts(model, name):
                return _in_model(found, model, name)
            new += part is ABSENT
    if new:
        for name in there.keys() - here.keys():
            if _counts(model, name):
                return _in_model(Difference("", ABSENT, there[name]), model, name)
    if model.__pydantic_extra__ or other.__pydantic_extra__:
        extras, others = cast("tuple[dict[str, object], ...]", (model.model_extra or {}, other.model_extra or {}))
        if found := _between_mappings([*extras.items()], [*others.items()], rule):
            return found
    for name in own_slots(type(model), BaseModel):
        found = _difference(getattr(model, name, ABSENT), getattr(other, name, ABSENT), rule)
        if found and _counts(model, name):
            return _in_model(found, model, name)
    return _between_fields_set(model, other) if rule.fields_set else None


def _counts(model: BaseModel, name: str) -> bool:
    """Whether an attribute of a model is to come back: a field, or what is neither private nor worked out."""
    kind = type(model)
    return name in kind.model_fields or not (name.startswith("_") or is_cached(kind, name))


def _in_model(found: Difference, model: BaseModel, name: str) -> Difference:
    kind = type(model)
    if name not in kind.model_fields:
        copy = f"{kind.__name__}.model_validate(value.model_dump())"
        return Difference(name, found.before, found.after, fix=f"{_NO_FIELD}, or store a copy without it, {copy}")
    return (found if found.path else found._replace(owner=model, field=name)).inside(name)


def _between_fields_set(model: BaseModel, other: BaseModel) -> Difference | None:
    here, there = model.model_fields_set, other.model_fields_set
    for name in type(model).model_fields:
        if (name in here) is not (name in there):
            before, after = (WAS_SET, NEVER_SET) if name in here else (NEVER_SET, WAS_SET)
            return Difference(name, before, after, model, name)
    return None


def _others(kind: type) -> Judge:
    return _attributes if is_dataclass(kind) else _objects


def _dataclasses(before: object, after: object, rule: Rule) -> Difference | None:
    """Compare instances of a dataclass without slots: all that they hold is in their ``__dict__``."""
    here, there = before.__dict__, after.__dict__
    if here.keys() == there.keys():
        for name, value in here.items():
            part = there[name]
            if value is part or (type(value) is type(part) and type(value) in SOUND and value == part):
                continue
            if _difference(value, part, rule):
                break
        else:
            return None
    return _attributes(before, after, rule)


def _attributes(before: object, after: object, rule: Rule, base: type = object) -> Difference | None:
    """Compare the fields of a dataclass, and what else instances hold beside what is in a builtin ``base``."""
    kind = type(before)
    declared = field_names(cast("Hashable", kind))
    for name, init in declared.items():
        value, part = getattr(before, name, ABSENT), getattr(after, name, ABSENT)
        if value is part or (type(value) is type(part) and type(value) in SOUND and value == part):
            continue
        if found := _difference(value, part, rule):
            return (found if init or found.path else found._replace(fix=_NO_INIT)).inside(name)
    here, there = held(before, base), held(after, base)
    if here.keys() == declared.keys() == there.keys():
        return None
    for name in (here | there).keys() - declared.keys():
        if (declared and name.startswith("_")) or is_cached(kind, name):
            continue
        if found := _difference(here.get(name, ABSENT), there.get(name, ABSENT), rule):
            if name.startswith("_"):  # what its repr may hide
                return Difference("", before, after)
            return Difference(name, found.before, found.after, fix=_NO_FIELD if declared else "")
    return None


def _objects(before: object, after: object, rule: Rule) -> Difference | None:
    """Compare instances of a class about which nothing is known."""
    here, there = reduced(before), reduced(after)
    if here is not None and there is not None:
        found = _difference(here.made, there.made, rule) or _between_attributes(here, there, rule)
        # What its repr may hide, as a secret's does, is not shown either.
        return found if found is None or found.path[:1].isalpha() else Difference("", before, after)
    if issubclass(type(before), Mapping):
        ours, theirs = cast("tuple[Mapping[object, object], Mapping[object, object]]", (before, after))
        return _between_mappings([*ours.items()], [*theirs.items()], rule)
    return None if _equal(before, after) else Difference("", before, after)


def _between_attributes(here: Reduced, there: Reduced, rule: Rule) -> Difference | None:
    ours, theirs = here.attributes, there.attributes
    for name in ours | theirs:
        if found := _difference(ours.get(name, ABSENT), theirs.get(name, ABSENT), rule):
            return found.inside(name)
    return None


def _equal(before: object, after: object) -> bool:
    try:
        return bool(before == after)
    except Exception:  # of the user's
        return False


_DUMPS = cast("Callable[[object, int], bytes]", marshal.dumps)
# Not what a subclass says that its items are.
_ITEMS = dict[object, object].items
_ORDERED_ITEMS = OrderedDict[object, object].items

_NO_FIELD = "it is not a field, and only fields are stored: declare it as one"
_NO_INIT = "a field with init=False is not read back: declare it with init=True"

_BUILTIN: dict[type, Judge] = {
    **{kind: _scalars(same) for kind, same in SAME.items()},
    list: _sequences(list),
    tuple: _sequences(tuple),
    deque: _deques,
    dict: _dicts,
    Counter: _dicts,
    OrderedDict: _ordered_dicts,
    defaultdict: _defaultdicts,
    set: _sets,
    frozenset: _sets,
}
