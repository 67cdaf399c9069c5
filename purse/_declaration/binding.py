"""Binding: the client and namespace of a store instance, and the common interface of fields and nested stores.

    Garden.plants, Shop.home        a Member: read from the class body, checked, then a descriptor of the class
    garden.plants, shop.home        the Member makes it from the instance's Binding

Names like ``__purse_check__`` are used by the library only.
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
    """A declared attribute of a store class: a field, or a nested store.

    Attributes:
        name: the attribute's name.
        owner: the store class, or the outermost one if the store is nested.
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
        """The members of a nested store, or None for a field."""

    def __purse_inherited__(self, owner: type[object], defaults: StoreDefaults, types: TypeArguments) -> Member:
        """The same member of a subclass, or of the store that its store is nested in.

        Args:
            types: the types of the type variables of the class it is inherited from.
        """
        ...

    def __purse_check__(self) -> None:
        """Refuse every mistake that can be found now.

        Raises:
            Unresolved: a name does not exist yet, and nothing else was found.
            DeclarationError: it cannot work. The message says what to write.
        """

    def __purse_check_closed__(self) -> None:
        """Refuse a type variable that no subclass can give a type, because its class is not generic in it.

        Raises:
            DeclarationError: there is one. The message says what to write.
        """


@dataclass(frozen=True, slots=True)
class Binding:
    """The client and namespace that a store instance is bound to.

    Attributes:
        client: the client of all its collections.
        namespace: the namespace of all its keys, with the values of its parameters.
        members: its fields and nested stores by name: those of its class, or of the place where it is nested.
        nested: whether it is part of another store.
    """

    client: RedisClient
    namespace: str
    members: Mapping[str, Member]
    nested: bool = False


class Bound(Protocol):
    """The part of a store instance that a field uses."""

    __purse_binding__: Binding


def binding_of(instance: Bound) -> Binding:
    """The binding of ``instance``.

    Raises:
        DeclarationError: it has none, because its ``__init__`` has not called that of ``Store`` (yet).
    """
    binding: Binding | None = getattr(instance, "__purse_binding__", None)
    if binding is None:
        raise DeclarationError(
            f"{type(instance).__name__}.__init__ did not bind the store: call super().__init__(redis) in it first"
        )
    return binding
