"""Declared: the Declaration of a store class. The metaclass fills it, and all other modules read it.

class Garden(Store, namespace="garden"):        Garden.__purse__ = Declaration
    plants: RedisHash[Plant]                        own     {plants, visits}
    visits: RedisHash[int] = field(...)             fields  {plants, visits} and those of the bases
"""

from __future__ import annotations

from abc import ABCMeta
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, ClassVar, Literal, cast

if TYPE_CHECKING:
    from purse._declaration.binding import Member
    from purse._declaration.field_spec import FieldSpec
    from purse._declaration.names import Names
    from purse._declaration.options import StoreDefaults
    from purse._declaration.parameters import Parameter
    from purse._declaration.templates import Template
    from purse._engine.modes import Engine
    from purse.codecs import CodecFactory
    from purse.collections import RedisObject
    from purse.ttl import Lifetime

__all__ = ["Declaration", "StoreBase", "declaration_of", "flattened"]


@dataclass(slots=True)
class Declaration:
    """All that a store class declares. Only the last two change, as they may need names that are defined later.

    Attributes:
        defaults: namespace, TTL and codec, its own or inherited.
        template: the namespace, or None for a mixin.
        names: the names that annotations of an ``__init__`` in its body can use. None without an ``__init__`` there.
        own: the fields and nested stores in its body.
        members: all fields and nested stores in the order of declaration, those of the bases first.
        fields: all fields by their paths, including those of nested stores, ``home.lines``.
        parameters: the parameters of ``__init__`` for the placeholders. Empty while they are not known.
        complete: whether every annotation was resolved and accepted.
    """

    defaults: StoreDefaults
    template: Template | None
    names: Names | None
    own: Mapping[str, Member]
    members: Mapping[str, Member]
    fields: Mapping[str, FieldSpec[RedisObject]]
    parameters: Mapping[str, Parameter]
    complete: bool = False


# ABCMeta, which checkers know: in an abstract class fields need no value (reportUninitializedInstanceVariable).
class StoreBase(metaclass=ABCMeta):  # noqa: B024 - the stores of a program may be abstract
    """The base of store classes without the metaclass. Type checkers see this class in place of ``DeclaredStore``."""

    if TYPE_CHECKING:
        __purse__: ClassVar[Declaration]

        def __init_subclass__(
            cls,
            *,
            namespace: str = ...,
            ttl: Lifetime | None = None,
            codec: CodecFactory | None = None,
            engine: Engine | None = None,
            slots: Literal["store", "field"] = "store",
        ) -> None: ...


def declaration_of(cls: type[StoreBase]) -> Declaration:
    """The declaration of ``cls``."""
    return cls.__purse__


def flattened(members: Mapping[str, Member]) -> Iterator[tuple[str, FieldSpec[RedisObject]]]:
    """All fields with their paths, ``home.lines``. The fields of a nested store come in its place."""
    for name, member in members.items():
        inner = member.__purse_members__
        if inner is None:
            yield name, cast("FieldSpec[RedisObject]", member)
        else:
            yield from ((f"{name}.{path}", spec) for path, spec in flattened(inner))
