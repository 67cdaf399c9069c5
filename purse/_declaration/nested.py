"""Nested stores: a store without a namespace as a field of another store, whose namespace it uses.

    class Shelf(Store):                        without a namespace: a mixin, or a part
        lines: RedisList[str]
    class Shop(Store, namespace="shop"):
        home: Shelf                            Shop.home is a NestedSpec
        cellar: Shelf = field(key="c")

    shop.home           a Shelf on shop's client, built at first use and then kept
    shop.home.lines     {shop}:home:lines
    shop.cellar.lines   {shop}:c:lines

All keys share the hash tag of the outer store, so ``shop.atomic(...)`` takes calls of all of them. For each place where
a store is nested there is another NestedSpec with other FieldSpecs, because keys and defaults differ by place.
"""

from __future__ import annotations

import inspect
from dataclasses import replace
from typing import TYPE_CHECKING, cast, overload

from purse._declaration.binding import Bound, Member, binding_of
from purse._declaration.options import StoreDefaults
from purse._declaration.parameters import signature_of
from purse.collections._field_options import FieldOptions
from purse.errors import DeclarationError

if TYPE_CHECKING:
    from collections.abc import Mapping
    from typing import Self

    from purse._declaration.annotations import Annotation, TypeArguments
    from purse._declaration.declared import StoreBase

__all__ = ["NestedSpec"]


class NestedSpec:
    """One nested store of a store class: the value of ``Shop.home``, which builds ``shop.home``.

    Attributes:
        name: the attribute's name.
        owner: the store class, or the outermost one if it is nested more than once.
        origin: the class in whose body it is declared.
        store: the class of the nested store.
        members: its fields and nested stores, with the keys and defaults of this place.
    """

    def __init__(
        self,
        owner: type[object],
        name: str,
        annotation: Annotation,
        options: FieldOptions,
        outer: StoreDefaults,
        origin: type[object] | None = None,
    ) -> None:
        self.owner = owner
        self.name = name
        self.origin = owner if origin is None else origin
        self._annotation = annotation
        self._options = options
        self._outer = outer
        self.store = cast("type[StoreBase]", annotation.nested())
        self._check()
        inner = self.store.__purse__.defaults
        defaults = StoreDefaults(
            namespace=outer.namespace,
            ttl=options.ttl or inner.ttl or outer.ttl,
            codec=inner.codec or outer.codec,
            slots="field" if "field" in (inner.slots, outer.slots) else "store",
            prefix=f"{outer.prefix}{options.key or name}:",
            path=f"{outer.path}{name}.",
        )
        types = annotation.arguments(self.store)
        self.members: Mapping[str, Member] = {
            name: member.__purse_inherited__(owner, defaults, types)
            for name, member in self.store.__purse__.members.items()
        }

    def __getattr__(self, name: str) -> Member:
        """``Shop.home.lines``: the field with the key and defaults of this place."""
        members: Mapping[str, Member] = vars(self).get("members", {})
        if name not in members:
            raise AttributeError(f"{self} has no field {name!r}", name=name, obj=self)
        return members[name]

    def __str__(self) -> str:
        return f"{self.owner.__name__}.{self._outer.path}{self.name}"

    def __repr__(self) -> str:
        return f"<nested store {self}: {self._annotation}>"

    @property
    def __purse_members__(self) -> Mapping[str, Member]:
        """See ``Member``."""
        return self.members

    @overload
    def __get__(self, instance: None, owner: type[object]) -> Self: ...
    @overload
    def __get__(self, instance: Bound, owner: type[object]) -> StoreBase: ...
    def __get__(self, instance: Bound | None, owner: type[object]) -> Self | StoreBase:
        if instance is None:
            return self
        outer = binding_of(instance)
        spec = cast("Self", outer.members.get(self.name, self))
        store = spec.store.__new__(spec.store)
        # Bound before its __init__ runs, which may be the user's.
        vars(store)["__purse_binding__"] = replace(outer, members=spec.members, nested=True)
        initialise = cast("type[_ByClient]", spec.store).__init__
        initialise(cast("_ByClient", store), outer.client)
        return cast("dict[str, StoreBase]", vars(instance)).setdefault(self.name, store)  # as FieldSpec.__get__

    def __purse_inherited__(self, owner: type[object], defaults: StoreDefaults, types: TypeArguments) -> NestedSpec:
        """The same nested store of a subclass, or of the store that its store is nested in."""
        annotation = self._annotation.replacing(types, f"{owner.__name__}.{defaults.path}{self.name}")
        return NestedSpec(owner, self.name, annotation, self._options, defaults, self.origin)

    def __purse_check__(self) -> None:
        """Refuse every mistake in its fields that can be found now, as ``FieldSpec.__purse_check__`` does."""
        for member in self.members.values():
            member.__purse_check__()

    def __purse_check_closed__(self) -> None:
        """See ``FieldSpec.__purse_check_closed__``."""
        for member in self.members.values():
            member.__purse_check_closed__()

    def _check(self) -> None:
        name = self.store.__name__
        defaults = self.store.__purse__.defaults
        if defaults.namespace is not None:
            raise DeclarationError(
                f"{self}: {name} has the namespace {defaults.namespace!r}, and nested it would have another: move its "
                f"fields to a class without one, class {name}Fields(Store), and use that in both places"
            )
        if not self.store.__purse__.members:
            raise DeclarationError(f"{self}: {name} has no fields: declare some in a class {name}Part(Store)")
        if defaults.engine is not None:
            raise DeclarationError(
                f"{self}: engine={defaults.engine!r} of {name} would apply to the whole client: give it to "
                f"{self.owner.__name__}"
            )
        needed = [
            parameter.name
            for parameter in signature_of(self.store).values()
            if parameter.default is parameter.empty
            and parameter.kind not in (parameter.VAR_KEYWORD, parameter.VAR_POSITIONAL)
        ]
        if needed:
            raise DeclarationError(
                f"{self}: __init__ of {name} needs {needed[0]}, and a nested store is made with the client alone: "
                f"give {needed[0]} a default value"
            )
        if inspect.isabstract(self.store):
            raise DeclarationError(f"{self}: {name} is abstract: nest a class that has all of its methods")
        if self._options != FieldOptions(ttl=self._options.ttl, key=self._options.key):
            raise DeclarationError(
                f"{self}: field() of a nested store takes only key= and ttl=, which its fields use: omit the rest"
            )


class _ByClient:
    """The ``__init__`` of a nested store: it takes only the client."""

    def __init__(self, redis: object, /) -> None: ...
