"""Parameters: the parameters that the ``__init__`` of a store takes for the placeholders of its namespace.

    class UserStore(Store, namespace="user:{user_id}"):
        def __init__(self, redis: RedisClient, *, user_id: int) -> None:
            super().__init__(redis, user_id=user_id)

The signature is written out, so that type checkers, FastAPI and readers see the same one. This module compares it with
the template. The error for a missing parameter shows the lines to write.
"""

from __future__ import annotations

import inspect
from collections.abc import Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Annotated, NewType, cast, get_args, get_origin
from uuid import UUID

from redis.asyncio import Redis

from purse._declaration.annotations import Annotation
from purse._declaration.signatures import parameters_of
from purse._declaration.type_forms import shown_type
from purse.errors import DeclarationError

if TYPE_CHECKING:
    from purse._declaration.names import Names
    from purse._declaration.templates import Kind, Template

__all__ = ["Parameter", "check_open_arguments", "check_signature", "read_parameters", "signature_of"]

_KINDS = (str, int, UUID)


@dataclass(frozen=True, slots=True)
class Parameter:
    """One parameter of a store.

    Attributes:
        name: the name in the template and in ``__init__``.
        annotation: the annotation in ``__init__``, with the additions of ``Annotated``.
        kind: the type of its values.
        default: the default value, or ``inspect.Parameter.empty`` if it is required.
    """

    name: str
    annotation: object
    kind: Kind
    default: object


def signature_of(cls: type[object]) -> Mapping[str, inspect.Parameter]:
    """The parameters of ``__init__`` after ``self`` and the client."""
    initialise = vars(cls).get("__init__") or cls.__init__
    parameters = list(parameters_of(initialise).values())
    return {parameter.name: parameter for parameter in parameters[2:]}


def check_signature(cls: type[object], template: Template) -> None:
    """Refuse an ``__init__`` that does not take exactly the parameters of the template, by keyword.

    Raises:
        DeclarationError: it does not. The message shows the lines to write.
    """
    takes = signature_of(cls)
    by_keyword = {name for name, parameter in takes.items() if parameter.kind is parameter.KEYWORD_ONLY}
    required = [
        name
        for name, parameter in takes.items()
        if parameter.kind is parameter.KEYWORD_ONLY and parameter.default is parameter.empty
    ]
    missing = [name for name in template.parameters if name not in by_keyword]
    unknown = [name for name in required if name not in template.parameters]
    if missing:
        positional = [name for name in missing if name in takes]
        how = f"takes {_listed(positional)} not only by keyword" if positional else f"does not take {_listed(missing)}"
        raise DeclarationError(
            f'{cls.__name__}: namespace="{template.text}" has the placeholder{"s" * (len(missing) > 1)} '
            f"{_listed(missing)}, and __init__ {how}: write\n\n{_lines(template, takes)}"
        )
    if unknown:
        raise DeclarationError(
            f'{cls.__name__}: __init__ takes {_listed(unknown)}, and namespace="{template.text}" has no such '
            f'placeholder: write namespace="{template.text}:{{{unknown[0]}}}", or give {unknown[0]} a default value'
        )


def check_open_arguments(cls: type[object], template: Template | None, given: Mapping[str, object]) -> None:
    """Refuse options of a client that were passed to ``open``.

    Raises:
        TypeError: there is one. The message says what to write. It shows no value, which may be a password.
    """
    takes = signature_of(cls)
    known = {*takes, *(template.parameters if template is not None else ())}
    options = parameters_of(cast("type[object]", Redis))
    option = next((name for name in given if name not in known and name in options), None)
    if option is not None:
        into = "redis://localhost:6379/2" if option == "db" else f"redis://localhost:6379?{option}=..."
        raise TypeError(
            f"{cls.__name__}.open() takes the options of the client in the URL, {into}: write that, or "
            f"{cls.__name__}(Redis.from_url(url, {option}=...)), with from redis.asyncio import Redis"
        )


def read_parameters(cls: type[object], template: Template, names: Names) -> Mapping[str, Parameter]:
    """The parameters of the template as ``__init__`` declares them.

    Args:
        names: the names with which annotations that are text are evaluated.

    Raises:
        Unresolved: a name in an annotation does not exist (yet).
        DeclarationError: a parameter has no annotation, or another than ``str``, ``int`` or ``UUID``.
    """
    takes = signature_of(cls)
    found: dict[str, Parameter] = {}
    for name in template.parameters:
        where = f"{cls.__name__}.__init__: {name}"
        given = takes[name]
        if given.annotation is given.empty:
            raise DeclarationError(f"{where} has no annotation: write {name}: int, {name}: str or {name}: UUID")
        annotation = Annotation(where, cast("object", given.annotation), names).value()
        found[name] = Parameter(name, annotation, _kind_of(annotation, where), cast("object", given.default))
    return found


def _kind_of(annotation: object, where: str) -> Kind:
    kind = annotation
    while get_origin(kind) is Annotated or hasattr(kind, "__supertype__"):
        kind = get_args(kind)[0] if get_origin(kind) is Annotated else cast("NewType", kind).__supertype__
    for known in _KINDS:
        if kind is known:
            return known
    raise DeclarationError(
        f"{where}: {shown_type(annotation)} cannot be part of a key: declare one of str, int and UUID "
        "(a union of them would give two values one key)"
    )


def _lines(template: Template, takes: Mapping[str, inspect.Parameter]) -> str:
    """The ``__init__`` to write."""

    def annotated(name: str) -> str:
        annotation = takes[name].annotation if name in takes else inspect.Parameter.empty
        return f"{name}: {'int' if annotation is inspect.Parameter.empty else shown_type(annotation)}"

    parameters = ", ".join(map(annotated, template.parameters))
    handed_over = ", ".join(f"{name}={name}" for name in template.parameters)
    return (
        f"    def __init__(self, redis: RedisClient, *, {parameters}) -> None:\n"
        f"        super().__init__(redis, {handed_over})\n"
    )


def _listed(names: list[str]) -> str:
    return " and ".join(names)
