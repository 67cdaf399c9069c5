"""Type forms: what ``Plant``, ``Plant | None`` or ``Annotated[int, Gt(0)]`` is called, and what it is at the core."""

from __future__ import annotations

from types import NoneType, UnionType
from typing import Annotated, Literal, NewType, Protocol, TypeVar, Union, cast, get_args, get_origin

from typing_extensions import is_typeddict

__all__ = ["fits", "plain_class", "type_name", "unwrapped"]


class _Alias(Protocol):
    __value__: object


def unwrapped(form: object) -> object:
    """``form`` without ``Annotated``, ``NewType`` and type aliases around it."""
    while True:
        if get_origin(form) is Annotated:
            form = get_args(form)[0]
        elif isinstance(form, NewType):
            form = form.__supertype__
        elif _is_alias(form):
            form = cast("_Alias", form).__value__
        else:
            return form


def plain_class(form: object) -> type | None:
    """The one class whose instances ``form`` means, or None for unions, literals and whatever is no class."""
    form = unwrapped(form)
    if form is None:
        return NoneType
    if is_typeddict(form):
        return dict
    core = get_origin(form) or form
    return core if isinstance(core, type) and core is not UnionType else None


def fits(form: object, value: object) -> bool:
    """Whether ``value`` is at the top an instance of ``form``; what it contains is not looked at.

    An int fits where a float is declared; a bool fits neither int nor float. A form that is not understood
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
    """How a message calls a type: ``Plant | None``, ``list[Plant]``; constraints and modules left out."""
    if form is None or form is NoneType:
        return "None"
    if form is Ellipsis:
        return "..."
    if isinstance(form, (TypeVar, str)) or _is_alias(form):
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


def _is_alias(form: object) -> bool:
    # Two classes of this name exist (typing's and typing_extensions'); this is what they share.
    return hasattr(form, "__value__") and hasattr(form, "__type_params__")
