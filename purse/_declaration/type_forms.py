"""Type forms: the parts of ``RedisHash[Plant]`` and other objects of ``typing``, and how they are written."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from types import UnionType
from typing import ForwardRef, Union, cast, get_args, get_origin

from typing_extensions import Format, TypeVar

from purse.codecs._type_names import Alias

__all__ = ["aliased", "origin_of", "shown_type", "substituted", "type_parameters", "type_variables"]


def shown_type(annotation: object) -> str:
    """An annotation as its author would write it."""
    if isinstance(annotation, str):
        return annotation
    if isinstance(annotation, ForwardRef):
        # From Python 3.14 on a reference to "int | Later" contains a generated name for int.
        evaluate = cast("Callable[..., str] | None", getattr(annotation, "evaluate", None))
        return annotation.__forward_arg__ if evaluate is None else evaluate(format=Format.STRING)
    if isinstance(annotation, TypeVar):
        return annotation.__name__
    origin = get_origin(annotation)
    if annotation is None or annotation is type(None):
        return "None"
    if origin is None and isinstance(annotation, type):
        return annotation.__name__
    if origin in (Union, UnionType):
        return " | ".join(map(shown_type, get_args(annotation)))
    if isinstance(origin, type):
        parts: list[object] = [*get_args(annotation)]
        parameters = type_parameters(origin)
        if len(parts) == len(parameters) > 1 and parts[-1] is parameters[-1].__default__:
            parts.pop()
        return f"{origin.__name__}[{', '.join(map(shown_type, parts))}]"
    return repr(annotation).removeprefix("typing.")


def origin_of(value: object) -> object:
    return get_origin(value) or value


def aliased(value: object) -> object:
    """The type behind a type alias, ``Plants`` or ``Plants[int]``.

    Raises:
        NameError: the alias is evaluated now, and a name in it does not exist (yet).
    """
    alias = cast("Alias", origin_of(value))
    parameters = cast("tuple[TypeVar, ...]", alias.__type_params__)
    return substituted(alias.__value__, dict(zip(parameters, get_args(value), strict=False)))


def type_variables(part: object) -> tuple[TypeVar, ...]:
    return (part,) if isinstance(part, TypeVar) else type_parameters(part)


def type_parameters(annotation: object) -> tuple[TypeVar, ...]:
    return cast("tuple[TypeVar, ...]", getattr(annotation, "__parameters__", ()))


def substituted(part: object, given: Mapping[TypeVar, object]) -> object:
    if isinstance(part, TypeVar):
        return given.get(part, part)
    inner = type_parameters(part)
    if not inner or isinstance(part, type):
        return part
    return cast("Mapping[object, object]", part)[tuple(given.get(parameter, parameter) for parameter in inner)]
