"""Operators: errors for Python's own syntax on a collection, which only ``await`` can read.

``plants["leek"]`` and ``len(plants)`` are a ``TypeError`` with the call to write, as the store at hand has it:
``await store.plants.get('leek')``, ``await store.plants.len()``.

Type checkers know none of these methods, and so refuse the syntax by themselves. A collection is always true, even an
empty one, because its size is not known here.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, ClassVar, Literal, NoReturn, TypeAlias

from purse.codecs._shown import named
from purse.codecs._wording import short

__all__ = ["LIST", "MAPPING", "QUEUE", "SET", "SORTED_SET", "AwaitedInstead"]

Operator: TypeAlias = Literal["get", "slice", "set", "delete", "contains", "len", "iterate"]

_SYNTAX: dict[Operator, str] = {
    "get": "[...]",
    "slice": "[a:b]",
    "set": "[...] = value",
    "delete": "del [...]",
    "contains": "in",
    "len": "len()",
    "iterate": "for, without async,",
}
# Python's messages for a class without such a method.
_UNSUPPORTED: dict[Operator, str] = {
    "get": "{0!r} object is not subscriptable",
    "slice": "{0!r} object is not subscriptable",
    "set": "{0!r} object does not support item assignment",
    "delete": "{0!r} object doesn't support item deletion",
    "contains": "argument of type {0!r} is not iterable",
    "len": "object of type {0!r} has no len()",
    "iterate": "{0!r} object is not iterable",
}

# What to write: {c} is the collection, {0} and {1} are the operands.
MAPPING: Mapping[Operator, str] = {
    "get": "await {c}.get({0})",
    "set": "await {c}.set({0}, {1})",
    "delete": "await {c}.delete({0})",
    "contains": "await {c}.contains({0})",
    "len": "await {c}.len()",
    "iterate": "async for key, value in {c}",
}
LIST: Mapping[Operator, str] = {
    "get": "await {c}.getitem({0})",
    "slice": "await {c}.slice({0}, {1})",
    "set": "await {c}.setitem({0}, {1})",
    "delete": "await {c}.remove(value), or pop() at the end, because Redis does not delete by index",
    "contains": "await {c}.contains({0})",
    "len": "await {c}.len()",
    "iterate": "async for element in {c}",
}
SET: Mapping[Operator, str] = {
    "contains": "await {c}.contains({0})",
    "len": "await {c}.len()",
    "iterate": "async for member in {c}",
}
SORTED_SET: Mapping[Operator, str] = {
    "get": "await {c}.score({0})",
    "slice": "await {c}.slice_by_rank(first, last)",
    "set": "await {c}.add(({0}, {1}))",
    "delete": "await {c}.remove({0})",
    "contains": "await {c}.score({0}) is not None",
    "len": "await {c}.len()",
    "iterate": "async for member, score in {c}",
}
QUEUE: Mapping[Operator, str] = {
    "len": "await {c}.qsize()",
    "iterate": "async for item in {c}, which takes the items",
}


class AwaitedInstead:
    """Answers an operator with the call to write, which a class has in ``_instead``."""

    __slots__ = ()

    _instead: ClassVar[Mapping[Operator, str]] = {}

    if not TYPE_CHECKING:

        def __getitem__(self, key: object) -> NoReturn:
            if isinstance(key, slice):
                self._refuse("slice", key.start or 0, key.stop)
            self._refuse("get", key)

        def __setitem__(self, key: object, value: object) -> NoReturn:
            self._refuse("set", key, value)

        def __delitem__(self, key: object) -> NoReturn:
            self._refuse("delete", key)

        def __contains__(self, key: object) -> NoReturn:
            self._refuse("contains", key)

        def __len__(self) -> NoReturn:  # noqa: PLE0303 - it raises
            self._refuse("len")

        def __iter__(self) -> NoReturn:
            self._refuse("iterate")

        def __bool__(self) -> bool:
            return True

        def _refuse(self, operator: Operator, *arguments: object) -> NoReturn:
            call = self._instead.get(operator)
            if call is None:
                raise TypeError(_UNSUPPORTED[operator].format(type(self).__name__))
            this = "c" if self.__purse_declared__ is None else f"store.{self.__purse_declared__[1]}"
            shown = call.format(*map(short, arguments), c=this)
            raise TypeError(f"{named(self._name)}: {_SYNTAX[operator]} cannot wait for Redis: write {shown}")
