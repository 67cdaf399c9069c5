"""Fields: from an annotation in a ``Store`` class to a collection on its instances.

    plants: RedisHash[Plant] = field(ttl=TTL(hours=1))
    name    Annotation         FieldOptions                from the class body, once
            FieldSpec                                      one for each store class that has the field
    Garden.plants     the FieldSpec itself
    garden.plants     RedisHash(client, "{garden}:plants", Plant, ttl=...), built at first use and then kept

A subclass has another FieldSpec for each inherited field, because its namespace, TTL, codec, and the types of type
variables may differ. The same applies to a store that is nested in another (``nested``).
"""

from __future__ import annotations

from functools import cache
from types import MappingProxyType
from typing import (
    TYPE_CHECKING,
    Generic,
    NoReturn,
    cast,
    overload,
)

from pydantic.errors import PydanticUndefinedAnnotation, PydanticUserError
from redis.asyncio import Redis
from typing_extensions import TypeVar

from purse._coordination.beside import beside
from purse._declaration.annotations import Annotation, Declared, TypeArguments, Unresolved
from purse._declaration.binding import Binding, Bound, binding_of
from purse._declaration.keys import Slots, entries_of, key_of
from purse._declaration.options import StoreDefaults
from purse._declaration.reach import Reach
from purse._declaration.signatures import parameters_of
from purse.codecs._shown import named
from purse.collections import RedisCollection, RedisKey, RedisObject
from purse.errors import DeclarationError

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping
    from typing import Self

    from purse._engine.clients import RedisClient
    from purse.collections._field_options import AnyCodec, FieldOptions
    from purse.ttl import TTL

__all__ = ["FieldSpec"]

C = TypeVar("C", bound=RedisObject, covariant=True, default=RedisObject)


class FieldSpec(Generic[C]):
    """One field of a store class: the value of ``Garden.plants``, which builds ``garden.plants``.

    Attributes:
        name: the attribute's name.
        owner: the store class, or the outermost one for a field of a nested store.
        origin: the class in whose body it is declared.
    """

    def __init__(
        self,
        owner: type[object],
        name: str,
        annotation: Annotation,
        options: FieldOptions,
        defaults: StoreDefaults,
        origin: type[object] | None = None,
    ) -> None:
        self.owner = owner
        self.origin: type[object] = owner if origin is None else origin
        self.name = name
        self._annotation = annotation
        self._options = options
        self._defaults = defaults
        self._checked = False

    @property
    def key(self) -> str:
        """The Redis key, or for a key space, the beginning of each of its keys.

        For a store with parameters the key contains their placeholders: ``{user:{user_id}}:prefs``.

        Raises:
            DeclarationError: ``owner`` has no namespace, so its fields have no keys.
        """
        return self.__purse_key__(self._defaults.namespace)

    def __purse_key__(self, namespace: str | None) -> str:
        """``key`` for an instance with this namespace."""
        return self._affixes(namespace)[0]

    def __purse_reach__(self, namespace: str) -> Reach:
        """Every key that an instance with this namespace may write.

        Raises:
            DeclarationError: the annotation declares no field.
        """
        begin, end = self._affixes(namespace)
        if self.is_key_space:
            return Reach((), (begin, end))
        sketch = self._annotation.sketch()
        if sketch is None:
            return Reach((begin,))
        collection = sketch.collection
        marks, by_identity = collection.__purse_beside__, collection.__purse_by_identity__
        return Reach((begin, *(beside(begin, mark) for mark in marks)), (f"{begin}:", "") if by_identity else None)

    @property
    def __purse_holds_values__(self) -> bool:
        """Whether it is a collection. Locks, limiters and semaphores have no values that could be cleared.

        Raises:
            DeclarationError: the annotation declares no field.
        """
        sketch = self._annotation.sketch()
        return sketch is None or issubclass(sketch.collection, RedisCollection)

    @property
    def is_key_space(self) -> bool:
        """Whether the field is stored in many keys, which begin with ``key``, and not in one key.

        Raises:
            DeclarationError: the annotation declares no field.
        """
        sketch = self._annotation.sketch()
        return sketch is not None and self.__purse_holds_values__ and not issubclass(sketch.collection, RedisKey)

    @property
    def _tail(self) -> str:
        """The part of the key after the namespace."""
        return self._defaults.prefix + (self.name if self._options.key is None else self._options.key)

    @property
    def rkey(self) -> str | None:
        """The key as ``field(rkey=...)`` gave it."""
        return self._options.rkey

    @property
    def collection(self) -> type[C]:
        """The class of the collection. DeclarationError if a name in the annotation does not exist."""
        return cast("type[C]", self._annotation.resolve().collection)

    @property
    def value_type(self) -> object:
        """The declared type of the values. DeclarationError as for ``collection``."""
        return self._annotation.resolve().value_type

    @property
    def key_type(self) -> object | None:
        """The declared type of the keys, or None without keys. DeclarationError as for ``collection``."""
        return self._annotation.resolve().key_type

    @property
    def ttl(self) -> TTL | None:
        """The policy: ``field(ttl=)``, else ``Annotated[..., TTL(...)]``, else the store's."""
        return self._ttl(self._annotation.resolve())

    @property
    def codec(self) -> AnyCodec | None:
        """The codec of ``field(codec=)``, else of the store. None for the default codec of the type."""
        return self._options.codec or self._defaults.codec

    @property
    def options(self) -> Mapping[str, object]:
        """The given options of the structure itself: ``{"maxlen": 100}`` for ``RedisList.field(maxlen=100)``."""
        return MappingProxyType(self._options.more)

    @property
    def slots(self) -> Slots:
        """How much shares a hash tag with an entry of the field: the store, the field, or only the entry."""
        return self._options.slots or self._defaults.slots

    @property
    def path(self) -> str:
        """The name. For a field of a nested store, with the names of the outer fields: ``home.lines``."""
        return self._defaults.path + self.name

    def __str__(self) -> str:
        return f"{self.owner.__name__}.{self.path}"

    def __repr__(self) -> str:
        where = "" if self.rkey is None and self._defaults.namespace is None else f" at {self.key!r}"
        return f"<field {self}: {self._annotation}{where}>"

    if not TYPE_CHECKING:

        def __getattr__(self, name: str) -> NoReturn:
            raise AttributeError(
                f"{self} is a declaration and has no {name}. The collection belongs to an instance: write "
                f"{self.owner.__name__}(client).{self.path}.{name}"
                if not name.startswith("_")
                else name,
                name=name,
                obj=self,
            )

    @property
    def __purse_members__(self) -> None:
        """See ``Member``."""

    @overload
    def __get__(self, instance: None, owner: type[object]) -> Self: ...
    @overload
    def __get__(self, instance: Bound, owner: type[object]) -> C: ...
    def __get__(self, instance: Bound | None, owner: type[object]) -> Self | C:
        if instance is None:
            return self
        # This descriptor has no __set__, so from now on Python finds the collection without it. Several threads may use
        # a field for the first time at once: setdefault keeps one collection for all of them.
        attributes = cast("dict[str, C]", vars(instance))
        return attributes.setdefault(self.name, self.__purse_bind__(binding_of(instance)))

    def __purse_bind__(self, binding: Binding) -> C:
        """The collection that an instance has for this field."""
        spec = cast("Self", binding.members.get(self.name, self))
        built = spec._build(binding.client, binding.namespace)
        built.__purse_declared__ = (spec.owner.__name__, spec.path)
        built.__purse_spread__ = spec.slots != "store" and spec.rkey is None
        return built

    def __purse_inherited__(self, owner: type[object], defaults: StoreDefaults, types: TypeArguments) -> FieldSpec[C]:
        """The same field of a subclass, or of the store that its store is nested in.

        Args:
            types: the types of the type variables of the class it is inherited from.
        """
        annotation = self._annotation.replacing(types, f"{owner.__name__}.{defaults.path}{self.name}")
        return FieldSpec(owner, self.name, annotation, self._options, defaults, self.origin)

    def __purse_check__(self) -> None:
        """Refuse every mistake that can be found now.

        Raises:
            Unresolved: a name in the annotation, or in its type, does not exist yet, and nothing else was found.
            DeclarationError: the field cannot work. The message says what to write.
        """
        if self._checked:
            return
        try:
            declared = self._annotation.resolve()
        except Unresolved:
            sketch = self._annotation.sketch()
            if sketch is not None:
                self._check_structure(sketch)
            raise
        self._check_structure(declared)
        if declared.variables:
            raise Unresolved(self._open(declared))
        # The keys of a mixin have no namespace yet. The key is cut off the message below, so any namespace will do.
        namespace = self._defaults.namespace or "any"
        try:
            self._build(_nowhere(), namespace)
        except NameError as error:  # in a type alias, which is evaluated now
            raise Unresolved(
                f"{self}: the annotation {self._annotation} has a type alias that names {error.name!r}, and there is "
                "no such name: define it in the module of the alias."
            ) from None
        except Exception as error:  # the constructor of a user's subclass may raise anything
            kind = Unresolved if _is_incomplete(error.__cause__) else DeclarationError
            # The message begins with the field, so the key in front of it is redundant.
            said = str(error).removeprefix(f"{named(self.__purse_key__(namespace))}: ")
            raise kind(f"{self}: {said}") from (error.__cause__ if isinstance(error, DeclarationError) else error)
        self._checked = True

    def __purse_check_closed__(self) -> None:
        """Refuse a type variable that no subclass can give a type, because its class is not generic in it.

        Raises:
            DeclarationError: there is one. The message says what to write.
        """
        try:
            declared = self._annotation.resolve()
        except Unresolved:
            return
        open_in = cast("tuple[object, ...]", getattr(self.owner, "__parameters__", ()))
        if any(variable not in open_in for variable in declared.variables):
            raise DeclarationError(self._open(declared))

    def _open(self, declared: Declared) -> str:
        variables = ", ".join(variable.__name__ for variable in declared.variables)
        origin = self.origin.__name__
        if self.origin is self.owner and not getattr(self.owner, "__parameters__", ()):
            fix = f"write a type, or make the store generic: class {origin}(Store, Generic[{variables}])"
        else:
            fix = f'give it one in a subclass: class Plants({origin}[Plant], namespace="plants")'
        return f"{self}: {self._annotation} contains a type variable, and a field holds one concrete type: {fix}"

    def _affixes(self, namespace: str | None) -> tuple[str, str]:
        """The Redis key and an empty suffix. For a key space, the prefix and the suffix of each key."""
        if self._options.rkey is not None:
            return self._options.rkey, ""
        if namespace is None:
            raise DeclarationError(
                f"{self}: {self.owner.__name__} has no namespace, so its fields have no keys: ask a subclass with one"
            )
        if self.is_key_space:
            return entries_of(namespace, self._tail, self.slots)
        return key_of(namespace, self._tail, self.slots), ""

    def _ttl(self, declared: Declared) -> TTL | None:
        return self._options.ttl or declared.ttl or self._defaults.ttl

    def _build(self, client: RedisClient, namespace: str | None) -> C:
        declared = self._annotation.resolve()
        key, suffix = self._affixes(namespace)
        # The class of this constructor is known only at run time. __purse_check__ has called it once.
        build = cast("Callable[..., C]", declared.collection)
        if not self.__purse_holds_values__:
            return build(client, key, **self._options.more)
        ttl = self._ttl(declared)
        given = {"key_type": declared.key_type, "codec": self.codec, "ttl": ttl, "suffix": suffix or None}
        options = {name: value for name, value in given.items() if value is not None}
        return build(client, key, declared.value_type, **options, **self._options.more)

    def _check_structure(self, declared: Declared) -> None:
        """Refuse options of another structure, and wrong or missing options of a lock, a limiter or a semaphore."""
        options, name = self._options, declared.collection.__name__
        if options.structure is not None and not issubclass(declared.collection, options.structure):
            given = options.structure.__name__
            raise DeclarationError(
                f"{self}: {given}.field() has the options of a {given}, and this is a {name}: write "
                f"{self.name}: {self._annotation} = {_with_field(declared.collection)}.field(...)"
            )
        if self.__purse_holds_values__:
            return
        if options.ttl or declared.ttl or options.codec:
            raise DeclarationError(f"{self}: a {name} has no values, so ttl= and codec= have no effect: omit them")
        needed = next((option for option in _needed_by(declared.collection) if option not in options.more), None)
        if needed is not None:
            raise DeclarationError(
                f"{self}: a {name} needs {needed}=: write {self.name}: {name} = "
                f"{_with_field(declared.collection)}.field({needed}=...)"
            )


@cache
def _nowhere() -> RedisClient:
    """A client that is never used: constructors need one to check their other arguments."""
    return Redis()


def _is_incomplete(cause: object) -> bool:
    """Whether pydantic could not build a schema only because a name in it is not defined yet."""
    if isinstance(cause, PydanticUserError):
        return cause.code == "class-not-fully-defined"
    return isinstance(cause, PydanticUndefinedAnnotation)


def _with_field(collection: type[RedisObject]) -> str:
    """The name of purse's own structure, which has ``field``, behind a user's subclass."""
    return next(cls.__name__ for cls in collection.__mro__ if "field" in vars(cls) or cls is RedisObject)


def _needed_by(collection: type[RedisObject]) -> list[str]:
    """The options without which the constructor of a lock, a limiter or a semaphore cannot be called."""
    _, _, *options = parameters_of(collection).values()
    return [option.name for option in options if option.kind is option.KEYWORD_ONLY and option.default is option.empty]
