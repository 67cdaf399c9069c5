"""Declared: what a store class declares, as the metaclass has read it and everybody else reads it.

class Garden(Store, namespace="garden"):        Garden.__purse__ = Declaration
    plants: RedisHash[Plant]                        own     {plants, visits}
    visits: RedisHash[int] = field(...)             fields  {plants, visits} and what the bases have
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
    """What a store class declares. Only the last two change: they may need names that are defined after the class.

    Attributes:
        defaults: namespace, TTL and codec, its own or inherited.
        template: the namespace; None for a mixin.
        names: what the annotations of an ``__init__`` in its body can use; None if it has no ``__init__`` there.
        own: the fields and nested stores of its body.
        members: all of them in the order of declaration, those of the bases first.
        fields: all fields by their paths, also those of nested stores, ``home.lines``.
        parameters: what ``__init__`` takes for the placeholders of the namespace; empty while it is not known.
        complete: every annotation was resolved and found good.
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
    """What is known of a store class without its metaclass, and what type checkers see in place of that."""

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
    """What ``cls`` declares."""
    return cls.__purse__


def flattened(members: Mapping[str, Member]) -> Iterator[tuple[str, FieldSpec[RedisObject]]]:
    """All fields with their paths, ``home.lines``, those of nested stores where these stand."""
    for name, member in members.items():
        inner = member.__purse_members__
        if inner is None:
            yield name, cast("FieldSpec[RedisObject]", member)
        else:
            yield from ((f"{name}.{path}", spec) for path, spec in flattened(inner))
