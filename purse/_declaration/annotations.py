"""Annotations: what ``plants: RedisHash[Plant]`` declares, as soon as its names exist.

    raw annotation                                its declaration
    RedisHash[Plant]                              RedisHash, Plant, key type str
    "Annotated[RedisHash[Plant, int], TTL(...)]"  RedisHash, Plant, int, a TTL
    RedisHash["Later"]                            RedisHash, and Later when there is such a class
    "ClassVar[int]"                               nothing: not stored
    Plants, with type Plants = RedisHash[Plant]   the same as RedisHash[Plant]

An annotation may be a string, by quotes or by ``from __future__ import annotations``, and may name a class
that comes later in the module. At class definition it is evaluated with a ``Missing`` for every missing name, so that
everything that does not depend on that name is known then, such as the collection. See ``evaluating``.
"""

from __future__ import annotations

from collections.abc import Mapping
from contextlib import suppress
from dataclasses import dataclass
from datetime import timedelta
from types import SimpleNamespace
from typing import (
    TYPE_CHECKING,
    Annotated,
    ClassVar,
    Final,
    ForwardRef,
    Protocol,
    TypeAlias,
    cast,
    get_args,
    get_origin,
    get_type_hints,
)

from typing_extensions import NoDefault, TypeVar

from purse._declaration.evaluating import NameIsMissing, NotEvaluated, Written
from purse._declaration.names import Missing
from purse._declaration.type_forms import (
    aliased,
    origin_of,
    shown_type,
    substituted,
    type_parameters,
    type_variables,
)
from purse.codecs._type_names import is_alias
from purse.collections import RedisCollection, RedisKey, RedisObject
from purse.errors import DeclarationError
from purse.ttl import TTL, as_ttl

if TYPE_CHECKING:
    from purse._declaration.names import Names

__all__ = [
    "Annotation",
    "Declared",
    "TypeArguments",
    "Unresolved",
    "type_arguments",
]

_Types: TypeAlias = tuple[object, ...]
TypeArguments: TypeAlias = "Mapping[TypeVar, Annotation]"


@dataclass(frozen=True, slots=True)
class Declared:
    """A field as one annotation declares it."""

    collection: type[RedisObject]
    value_type: object
    key_type: object | None
    ttl: TTL | None

    @property
    def variables(self) -> tuple[TypeVar, ...]:
        """The type variables in the types."""
        return tuple(variable for part in (self.value_type, self.key_type) for variable in type_variables(part))


_CONSTANT: _Types = (ClassVar, Final)
_BASES = (RedisObject, RedisCollection, RedisKey)  # the bases of all collections, which cannot be declared themselves


class Unresolved(DeclarationError):
    """A name of an annotation does not exist (yet)."""


class Annotation:
    """One annotation of a class body.

    Args:
        where: ``Garden.plants``, for messages.
        raw: the annotation as Python has it: an object, a string, a ``ForwardRef``.
        names: the names it is evaluated with.
    """

    def __init__(self, where: str, raw: object, names: Names, types: tuple[TypeArguments, ...] = ()) -> None:
        self._where = where
        self._written = raw if isinstance(raw, Written) else Written(raw, names)
        self._types = types
        self._declared: Declared | None = None

    def __str__(self) -> str:
        if self._types:
            with suppress(DeclarationError):
                return shown_type(self.value())
        return shown_type(self._written.raw)

    def replacing(self, types: TypeArguments, where: str) -> Annotation:
        """The same annotation, with types in place of type variables.

        Args:
            types: the types, applied after those that were replaced before.
            where: as in the constructor.
        """
        all_types = (*self._types, types) if types else self._types
        return Annotation(where, self._written, self._written.names, all_types)

    def value(self) -> object:
        """The annotation as an object, whether it declares a field or not.

        Raises:
            Unresolved: a name does not exist.
        """
        return self._replaced(self._evaluate_nested(self._value()))

    def nested(self) -> type[object] | None:
        """The store class that it names, with or without type arguments, or None if it names another type."""
        origin = origin_of(self._glimpse())
        return cast("type[object]", origin) if _is_store(origin) else None

    def arguments(self, of: type[object]) -> TypeArguments:
        """The types of the type variables of the generic class ``of``, if this is ``of[...]``.

        Raises:
            Unresolved: a name does not exist.
        """
        value, _ = self._bare(self._value())
        return type_arguments(of, get_args(value), self._where, self._written.names, self._types)

    def is_constant(self) -> bool:
        """Whether this is ``ClassVar[...]`` or ``Final``, which are not stored."""
        origin = origin_of(self._glimpse())
        return any(origin is constant for constant in _CONSTANT)

    def hidden(self) -> str | None:
        """The collection, or the store without a namespace, in a constant or a private name. None if there is none.

        The author of ``ClassVar[RedisHash[int]]`` or ``_log: RedisList[str]`` may have meant a field.
        """
        value = self._glimpse()
        while get_origin(value) in (*_CONSTANT, Annotated):
            value = get_args(value)[0]
        origin = origin_of(value)
        is_part = _is_store(origin) and cast("type[_Declares]", origin).__purse__.template is None
        return shown_type(value) if is_part or _is_collection(value) else None

    def sketch(self) -> Declared | None:
        """What is known of the declared field although names are missing. None if not even the collection is known.

        Raises:
            DeclarationError: it declares no field, no matter what the missing names will be.
        """
        if self._declared is not None:
            return self._declared
        try:
            value, extras = self._bare(self._value(lenient=True))
        except Unresolved:  # in an alias, which is evaluated with the names of its own module
            return None
        return None if isinstance(value, (Missing, ForwardRef)) else self._read(value, extras, final=False)

    def resolve(self) -> Declared:
        """The declared field.

        Raises:
            Unresolved: a name does not exist.
            DeclarationError: it declares no field.
        """
        if self._declared is None:
            value, extras = self._bare(self._value())
            self._declared = self._read(self._evaluate_nested(value), extras, final=True)
        return self._declared

    def _glimpse(self) -> object:
        """The annotation without ``Annotated`` and aliases, with missing names left open. None if it is not known."""
        with suppress(DeclarationError):
            return self._bare(self._value(lenient=True))[0]
        return None

    def _bare(self, value: object) -> tuple[object, _Types]:
        """``value`` without ``Annotated`` and type aliases around it, and what ``Annotated`` adds, the outermost last.

        Raises:
            Unresolved: a name in an alias does not exist (yet).
        """
        extras: _Types = ()
        while True:
            if get_origin(value) is Annotated:
                value, *added = get_args(value)
                extras = (*added, *extras)
            elif is_alias(origin_of(value)):
                try:
                    value = aliased(value)
                except (NameError, AttributeError) as error:
                    raise self._unresolved(error) from None
                if isinstance(value, (str, ForwardRef)):
                    value = Annotation(self._where, value, self._written.names)._value()
            else:
                return value, extras

    def _replaced(self, part: object) -> object:
        """``part`` with types in place of its type variables."""
        for types in self._types:
            given = {variable: types[variable].value() for variable in type_variables(part) if variable in types}
            part = substituted(part, given)
        return part

    def _value(self, *, lenient: bool = False) -> object:
        """The annotation as an object. Forward references inside of it are not evaluated."""
        try:
            return self._written.glimpse() if lenient else self._written.value()
        except NameIsMissing as error:
            raise self._unresolved(error) from None
        except NotEvaluated as error:
            raise DeclarationError(
                f"{self._where}: the annotation {shown_type(error.written)!r} cannot be evaluated: {error.__cause__}. "
                "Write a collection with its type, for example RedisHash[str]"
            ) from error.__cause__

    def _evaluate_nested(self, value: object) -> object:
        holder = SimpleNamespace(__annotations__={"it": value})
        try:
            return get_type_hints(holder, {}, self._written.names, include_extras=True)["it"]
        except (NameError, AttributeError) as error:
            raise self._unresolved(error) from None
        except (SyntaxError, TypeError) as error:
            raise DeclarationError(f"{self._where}: {shown_type(value)} is not a type: {error}") from error

    def _unresolved(self, error: NameError | AttributeError | NameIsMissing) -> Unresolved:
        return Unresolved(
            f"{self._where}: the annotation {shown_type(self._written.raw)} names {error.name!r}, and there is no such "
            "name. Define it at module level, or before the store. Import it at run time, not only under TYPE_CHECKING."
        )

    def _read(self, value: object, extras: _Types, *, final: bool) -> Declared:
        """The field that ``value`` declares. If not ``final``, names may be missing in it, and type variables stay."""
        if TTL in extras:
            raise DeclarationError(f"{self._where}: TTL in Annotated needs a duration: write for example TTL(hours=1)")
        timed = next((extra for extra in reversed(extras) if isinstance(extra, (TTL, timedelta))), None)
        ttl = as_ttl(timed, self._where)
        origin = get_origin(value) or value
        if _is_store(origin):
            raise DeclarationError(
                f"{self._where}: the store {shown_type(value)} is nested here and defined later: define it before"
            )
        if not isinstance(origin, type) or not issubclass(origin, RedisObject):
            raise DeclarationError(f"{self._where}: {shown_type(value)} is not a Redis collection: {_fix_for(value)}")
        types = _type_arguments(origin, get_args(value))
        if not types and not issubclass(origin, RedisCollection):
            return Declared(origin, None, None, ttl)
        if not types:
            name = origin.__name__
            raise DeclarationError(
                f"{self._where}: {name} does not say what it holds: "
                + (
                    "declare RedisHash[...], RedisList[...], ..."
                    if origin in _BASES
                    else f"write for example {name}[str]"
                )
            )
        if final:
            types = tuple(map(self._replaced, types))
        return Declared(origin, types[0], types[1] if len(types) > 1 else None, ttl)


def type_arguments(
    cls: type[object], given: _Types, where: str, names: Names, types: tuple[TypeArguments, ...] = ()
) -> TypeArguments:
    """The types of the type variables of a generic class in ``cls[given]``. Omitted ones have their defaults.

    Args:
        where, names, types: for the arguments, as ``Annotation`` takes them.
    """
    arguments: dict[TypeVar, Annotation] = {}
    for index, parameter in enumerate(type_parameters(cls)):
        if index < len(given):
            arguments[parameter] = Annotation(where, given[index], names, types)
        elif getattr(parameter, "__default__", NoDefault) is not NoDefault:
            arguments[parameter] = Annotation(where, cast("object", parameter.__default__), names, types)
    return arguments


def _fix_for(value: object) -> str:
    inner = get_args(value)
    origin = get_origin(value) or value
    constant = f"or ClassVar[{shown_type(value)}] if it is not stored"
    if origin is dict and len(inner) == 2:
        keys = "" if inner[0] is str else f", {shown_type(inner[0])}"
        return f"declare RedisHash[{shown_type(inner[1])}{keys}], {constant}"
    if origin is list and inner:
        return f"declare RedisList[{shown_type(inner[0])}], {constant}"
    if origin in (set, frozenset) and inner:
        return f"declare RedisSet[{shown_type(inner[0])}], {constant}"
    collection = next((part for part in inner if _is_collection(part)), None)
    if collection is not None:
        return f"declare {shown_type(collection)}, because an empty collection simply has no key"
    return f"declare RedisHash[{shown_type(value)}] or RedisList[{shown_type(value)}], {constant}"


def _is_collection(value: object) -> bool:
    origin = origin_of(value)
    return isinstance(origin, type) and issubclass(origin, RedisObject)


def _type_arguments(cls: type[RedisObject], arguments: _Types) -> _Types:
    """The arguments for purse's own collection behind ``cls[arguments]``. Empty if there are none.

    ``class ById(RedisHash[V, int], Generic[V])`` makes ``ById[Plant]`` a ``RedisHash[Plant, int]``.
    """
    parameters = type_parameters(cls)
    for parameter in parameters[len(arguments) :]:
        if parameter.__default__ is not NoDefault and arguments:
            arguments = (*arguments, cast("object", parameter.__default__))
    if vars(cls).get("__purse_structure__"):
        return arguments
    given = dict(zip(parameters, arguments, strict=False))
    bases = cast("_Types", vars(cls).get("__orig_bases__", cls.__bases__))
    for base in bases:
        origin = get_origin(base) or base
        if isinstance(origin, type) and issubclass(origin, RedisObject):
            return _type_arguments(origin, tuple(substituted(part, given) for part in get_args(base)))
    return ()


class _Declares(Protocol):
    """The part of a store class that this module uses."""

    __purse__: _Declaration


class _Declaration(Protocol):
    @property
    def template(self) -> object: ...


def _is_store(value: object) -> bool:
    return isinstance(value, type) and hasattr(value, "__purse__")
