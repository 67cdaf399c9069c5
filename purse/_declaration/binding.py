"""Binding: what a store instance is bound to, and what fields and nested stores have in common.

    Garden.plants, Shop.home        a Member: read from the class body, checked, then a descriptor of the class
    garden.plants, shop.home        made by the Member from the instance's Binding

Names like ``__purse_check__`` are for the library: a user sees the fields of ``Garden.plants``, not its machinery.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Protocol

from purse.errors import DeclarationError

if TYPE_CHECKING:
    from purse._declaration.annotations import TypeArguments
    from purse._declaration.options import StoreDefaults
    from purse._engine.clients import RedisClient

__all__ = ["Binding", "Bound", "Member", "binding_of"]


class Member(Protocol):
    """What an attribute of a store class is: a field, or a nested store.

    Attributes:
        name: the attribute's name.
        owner: the store class; for what is nested the outermost one.
        origin: the class in whose body it is declared.
    """

    @property
    def name(self) -> str: ...
    @property
    def owner(self) -> type[object]: ...
    @property
    def origin(self) -> type[object]: ...

    @property
    def __purse_members__(self) -> Mapping[str, Member] | None:
        """What is nested in it; None for a field."""

    def __purse_inherited__(self, owner: type[object], defaults: StoreDefaults, types: TypeArguments) -> Member:
        """The same member of a subclass, or of the store that its store is nested in.

        Args:
            types: what the type variables of the class it is inherited from stand for.
        """
        ...

    def __purse_check__(self) -> None:
        """Refuse what can be known to be wrong.

        Raises:
            Unresolved: a name does not exist yet; nothing else was found.
            DeclarationError: it cannot work; the message says what to write.
        """

    def __purse_check_closed__(self) -> None:
        """Refuse a type variable that no subclass can give a type, because its class is not generic in it.

        Raises:
            DeclarationError: with what to write.
        """


@dataclass(frozen=True, slots=True)
class Binding:
    """What a store instance is bound to.

    Attributes:
        client: the client of all its collections.
        namespace: that of all its keys, with the values of its parameters.
        members: what its attributes are, by name: those of its class, or of the place where it is nested.
        nested: it is part of another store.
    """

    client: RedisClient
    namespace: str
    members: Mapping[str, Member]
    nested: bool = False


class Bound(Protocol):
    """What a field needs of the store instance it is read from."""

    __purse_binding__: Binding


def binding_of(instance: Bound) -> Binding:
    """What ``instance`` is bound to.

    Raises:
        DeclarationError: nothing; its ``__init__`` has not called that of ``Store`` (yet).
    """
    binding: Binding | None = getattr(instance, "__purse_binding__", None)
    if binding is None:
        raise DeclarationError(
            f"{type(instance).__name__}.__init__ did not bind the store: call super().__init__(redis) in it first"
        )
    return binding
