"""Type forms: what ``Plant``, ``Plant | None`` or ``Annotated[int, Gt(0)]`` is called, and what it is at the core."""

from __future__ import annotations

import typing
from types import NoneType, UnionType
from typing import Annotated, Literal, NewType, Protocol, TypeVar, Union, cast, get_args, get_origin

from typing_extensions import TypeAliasType, is_typeddict

__all__ = ["Alias", "fits", "is_alias", "is_hashable", "one_less", "plain_class", "type_name", "unwrapped"]

# Python's own, from 3.12 on, and that of typing_extensions. To look whether there is a __value__ would evaluate it.
_ALIASES: tuple[type, ...] = (TypeAliasType, getattr(typing, "TypeAliasType", TypeAliasType))


class Alias(Protocol):
    """``type Plants = RedisHash[Plant]``, or a ``TypeAliasType`` of ``typing_extensions``."""

    @property
    def __value__(self) -> object: ...
    @property
    def __type_params__(self) -> tuple[object, ...]: ...


def unwrapped(form: object) -> object:
    """``form`` without ``Annotated``, ``NewType`` and type aliases around it.

    Raises:
        NameError: an alias names what does not exist (yet).
    """
    while (inner := one_less(form)) is not form:
        form = inner
    return form


def one_less(form: object) -> object:
    """``form`` without the outermost ``Annotated``, ``NewType`` or type alias, or ``form`` itself."""
    if get_origin(form) is Annotated:
        return cast("object", get_args(form)[0])
    if isinstance(form, NewType):
        return form.__supertype__
    if is_alias(origin := get_origin(form) or form):
        return cast("Alias", origin).__value__
    return form


def plain_class(form: object) -> type | None:
    """The one class whose instances ``form`` means, or None for unions, literals and other forms."""
    form = unwrapped(form)
    if form is None:
        return NoneType
    if is_typeddict(form):
        return dict
    core = get_origin(form) or form
    return core if isinstance(core, type) and core is not UnionType else None


def fits(form: object, value: object) -> bool:
    """Whether ``value`` is at the top an instance of ``form``. What it contains is not looked at.

    An int fits where a float is declared, a bool fits neither int nor float. A form that is not understood
    fits everything.
    """
    form = unwrapped(form)
    if get_origin(form) in (Union, UnionType):
        return any(fits(member, value) for member in get_args(form))
    if get_origin(form) is Literal:
        return any(type(value) is type(member) and value == member for member in get_args(form))
    cls = plain_class(form)
    if cls is None:
        return True
    if cls in (int, float):
        return type(value) is not bool and isinstance(value, (int, cls))
    try:
        return isinstance(value, cls)
    except TypeError:  # a Protocol that is not for isinstance
        return True


def type_name(form: object) -> str:
    """How a message calls a type: ``Plant | None``, ``list[Plant]``, without constraints and modules."""
    if form is None or form is NoneType:
        return "None"
    if form is Ellipsis:
        return "..."
    if isinstance(form, (TypeVar, str)) or is_alias(form):
        return str(form)
    origin, args = get_origin(form), cast("tuple[object, ...]", get_args(form))
    if origin is Annotated:
        return type_name(args[0])
    if origin in (Union, UnionType):
        return " | ".join(type_name(member) for member in args)
    if origin is Literal:
        return f"Literal[{', '.join(repr(member) for member in args)}]"
    if origin is not None:
        return f"{type_name(origin)}[{', '.join(type_name(member) for member in args)}]"
    name = getattr(form, "__name__", None)
    return name if isinstance(name, str) else str(form)


def is_hashable(form: object) -> bool:
    """Whether values of this type can be keys of a dict, as far as the type tells."""
    form = unwrapped(form)
    origin = get_origin(form) or form
    if origin is Literal:
        return True
    if isinstance(origin, type) and getattr(origin, "__hash__", None) is None:
        return False
    return all(is_hashable(part) for part in get_args(form))


def is_alias(form: object) -> bool:
    """Whether it is a type alias without arguments. With arguments its ``get_origin`` is one."""
    return isinstance(form, _ALIASES)
