"""Fields: from an annotation in a ``Store`` class to a collection on its instances.

    plants: RedisHash[Plant] = field(ttl=TTL(hours=1))
    name    Annotation         FieldOptions                what the class body says, once
            FieldSpec                                      one for each store class that has the field
    Garden.plants     the FieldSpec itself
    garden.plants     RedisHash(client, "{garden}:plants", Plant, ttl=...), made at first use and then kept

A subclass has FieldSpecs of its own for what it inherits: its namespace, TTL and codec may differ.
"""

from __future__ import annotations

import inspect
from dataclasses import dataclass, replace
from datetime import timedelta
from functools import cache
from typing import (
    TYPE_CHECKING,
    Annotated,
    Generic,
    Literal,
    Never,
    Protocol,
    TypeAlias,
    cast,
    get_args,
    get_origin,
    overload,
)

from pydantic.errors import PydanticUndefinedAnnotation, PydanticUserError
from redis.asyncio import Redis
from typing_extensions import TypeVar

from purse._annotations import Annotation, Declared, Unresolved, shown_type
from purse._keys import Slots, check_name, check_rkey, entries_of, key_of
from purse.codecs import bind_codec, canonical_codec_for
from purse.collections import RedisCollection, RedisKey
from purse.errors import DeclarationError
from purse.ttl import TTL

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping
    from typing import Self

    from purse._coordination.rates import Rate
    from purse._engine.clients import RedisClient
    from purse._engine.modes import Engine
    from purse.codecs import Codec, CodecFactory

__all__ = ["Bound", "FieldCodec", "FieldOptions", "FieldSpec", "StoreDefaults", "check_ttl", "field"]

C = TypeVar("C", bound=RedisCollection, covariant=True, default=RedisCollection)
F = TypeVar("F")


class FieldCodec(Protocol):
    """A ``Codec`` of any value type: at the call of ``field()`` the annotation's type is not known."""

    def encode(self, value: Never, /) -> bytes: ...
    def decode(self, raw: bytes, /) -> object: ...


AnyCodec: TypeAlias = "FieldCodec | CodecFactory"


class Bound(Protocol):
    """What a field needs of the store instance it is read from."""

    __purse_client__: RedisClient


@dataclass(frozen=True, slots=True)
class FieldOptions:
    """What ``field(...)`` was called with, not yet checked."""

    ttl: TTL | None = None
    codec: AnyCodec | None = None
    key: str | None = None
    rkey: str | None = None
    maxlen: int | None = None
    maxsize: int | None = None
    slots: Literal["key"] | None = None
    more: tuple[tuple[str, object], ...] = ()  # what only locks, limiters and semaphores take


@dataclass(frozen=True, slots=True)
class StoreDefaults:
    """What a store class gives to fields that do not say it themselves."""

    namespace: str | None = None
    ttl: TTL | None = None
    codec: CodecFactory | None = None
    engine: Engine | None = None
    slots: Literal["store", "field"] = "store"


# The type variable stands once and on purpose: the annotation in front of `= field()` gives the type, as
# with dataclasses.field, and nothing becomes Any.
def field(
    *,
    ttl: TTL | None = None,
    codec: AnyCodec | None = None,
    key: str | None = None,
    rkey: str | None = None,
    maxlen: int | None = None,
    maxsize: int | None = None,
    slots: Literal["key"] | None = None,
    lease: float | timedelta | None = None,
    watchdog: bool | None = None,
    replicas: int | None = None,
    replicas_timeout: float | timedelta | None = None,
    rate: str | Rate | None = None,
    burst: int | None = None,
    algorithm: Literal["gcra", "sliding_window"] | None = None,
    limit: int | None = None,
) -> F:  # type: ignore[type-var]  # pyright: ignore[reportInvalidTypeVarUse]
    """Give a field of a ``Store`` options: ``visits: RedisHash[int] = field(ttl=TTL(hours=1))``.

    Args:
        ttl: a policy that every write carries; wins over ``Annotated[..., TTL(...)]`` and the store's.
        codec: a ``Codec`` or ``CodecFactory`` for the values; wins over the store's.
        key: the last part of the Redis key instead of the field's name: ``{garden}:<key>``.
        rkey: the whole Redis key, used as it is, outside of the store's hash tag.
        maxlen: for lists: never more elements than this.
        maxsize: for queues: ``put`` waits while there are as many items as this.
        slots: for key spaces: ``"key"`` gives each entry a slot of its own on a cluster, ``garden:sessions:{<key>}``,
            at the price of what concerns several entries at one moment.
        lease: for locks and semaphores: seconds, or a ``timedelta``, after which what is held is free again.
        watchdog, replicas, replicas_timeout: for locks, see ``RedisLock``.
        rate, burst, algorithm: for rate limiters, see ``RedisRateLimiter``: ``field(rate="10/second")``.
        limit: for semaphores: how many permits there are.

    What is wrong is a ``DeclarationError`` when the class is defined.
    """
    given: dict[str, object] = {
        "lease": lease,
        "watchdog": watchdog,
        "replicas": replicas,
        "replicas_timeout": replicas_timeout,
        "rate": rate,
        "burst": burst,
        "algorithm": algorithm,
        "limit": limit,
    }
    more = tuple((name, value) for name, value in given.items() if value is not None)
    return cast("F", FieldOptions(ttl, codec, key, rkey, maxlen, maxsize, slots, more))


class FieldSpec(Generic[C]):
    """One field of a store class: what ``Garden.plants`` is, and ``garden.plants`` comes from.

    Attributes:
        name: the attribute's name.
        owner: the store class.
    """

    def __init__(
        self,
        owner: type[object],
        name: str,
        annotation: Annotation,
        options: FieldOptions,
        defaults: StoreDefaults,
    ) -> None:
        self.owner = owner
        self.name = name
        self._annotation = annotation
        self._options = options
        self._defaults = defaults
        self._checked = False

    @property
    def key(self) -> str:
        """The Redis key; of a key space, what each of its keys begins with.

        Raises:
            DeclarationError: ``owner`` has no namespace, so its fields have no keys.
        """
        return self._affixes()[0]

    @property
    def holds_values(self) -> bool:
        """Whether it is a collection, and not a lock, a limiter or a semaphore, which have no values to be cleared.

        Raises:
            DeclarationError: the annotation declares no field.
        """
        sketch = self._annotation.sketch()
        # The flag belongs to the collections and to what declares them; users have no business with it.
        return sketch is None or sketch.collection._holds_values  # pyright: ignore[reportPrivateUsage]

    @property
    def is_key_space(self) -> bool:
        """Whether the field lives in all keys that begin with ``key``, and not in one key.

        Raises:
            DeclarationError: the annotation declares no field.
        """
        sketch = self._annotation.sketch()
        return sketch is not None and self.holds_values and not issubclass(sketch.collection, RedisKey)

    @property
    def tail(self) -> str:
        """The part of the key after the namespace."""
        return self.name if self._options.key is None else self._options.key

    @property
    def rkey(self) -> str | None:
        """The key as ``field(rkey=...)`` gave it."""
        return self._options.rkey

    @property
    def collection(self) -> type[C]:
        """The class of the collection; DeclarationError if the annotation names what does not exist."""
        return cast("type[C]", self._annotation.resolve().collection)

    @property
    def value_type(self) -> object:
        """The declared type of the values; DeclarationError as with ``collection``."""
        return self._annotation.resolve().value_type

    @property
    def key_type(self) -> object | None:
        """The declared type of the keys, None if the collection has none; DeclarationError as with ``collection``."""
        return self._annotation.resolve().key_type

    @property
    def ttl(self) -> TTL | None:
        """The policy: ``field(ttl=)``, else ``Annotated[..., TTL(...)]``, else the store's."""
        return self._ttl(self._annotation.resolve())

    @property
    def codec(self) -> AnyCodec | None:
        """What ``field(codec=)``, else the store, gives; None for the default codec of the type."""
        return self._options.codec or self._defaults.codec

    @property
    def maxlen(self) -> int | None:
        """What ``field(maxlen=)`` gives."""
        return self._options.maxlen

    @property
    def maxsize(self) -> int | None:
        """What ``field(maxsize=)`` gives."""
        return self._options.maxsize

    @property
    def slots(self) -> Slots:
        """What shares a hash tag with an entry of the field: the store, the field, or nothing."""
        return self._options.slots or self._defaults.slots

    def __str__(self) -> str:
        return f"{self.owner.__name__}.{self.name}"

    def __repr__(self) -> str:
        where = "" if self.rkey is None and self._defaults.namespace is None else f" at {self.key!r}"
        return f"<field {self}: {self._annotation}{where}>"

    @overload
    def __get__(self, instance: None, owner: type[object]) -> Self: ...
    @overload
    def __get__(self, instance: Bound, owner: type[object]) -> C: ...
    def __get__(self, instance: Bound | None, owner: type[object]) -> Self | C:
        if instance is None:
            return self
        client: RedisClient | None = getattr(instance, "__purse_client__", None)
        if client is None:
            raise DeclarationError(
                f"{type(instance).__name__}.__init__ did not bind the store; call super().__init__(redis) in it first"
            )
        # This descriptor has no __set__, so from now on Python finds the collection without it.
        built = vars(instance)[self.name] = self._build(client)
        built.declared_as = (self.owner.__name__, self.name)
        built.slot = None if self.slots == "store" or self.rkey is not None else self.key
        return built

    def inherited_by(self, owner: type[object], defaults: StoreDefaults) -> FieldSpec[C]:
        """The same field of a subclass."""
        return FieldSpec(owner, self.name, self._annotation, self._options, defaults)

    def check(self) -> None:
        """Refuse what can be known to be wrong.

        Raises:
            Unresolved: a name of the annotation, or of the type in it, does not exist yet; nothing else was found.
            DeclarationError: the field cannot work; the message says what to write.
        """
        if self._checked:
            return
        if not self.holds_values:
            self._check_coordination()
            self._checked = True
            return
        try:
            declared = self._annotation.resolve()
        except Unresolved:
            sketch = self._annotation.sketch()
            if sketch is not None:
                self._check_options(sketch)
            raise
        self._check_options(declared)
        self._check_types(declared)
        self._checked = True

    def _affixes(self) -> tuple[str, str]:
        """The Redis key and nothing; of a key space, what stands before and behind each key."""
        if self._options.rkey is not None:
            return self._options.rkey, ""
        if self._defaults.namespace is None:
            raise DeclarationError(f"{self}: {self.owner.__name__} has no namespace, so its fields have no keys yet")
        if self.is_key_space:
            return entries_of(self._defaults.namespace, self.tail, self.slots)
        return key_of(self._defaults.namespace, self.tail, self.slots), ""

    def _ttl(self, declared: Declared) -> TTL | None:
        return self._options.ttl or declared.ttl or self._defaults.ttl

    def _check_coordination(self) -> None:
        """Refuse options that this lock, limiter or semaphore does not take."""
        declared = self._annotation.resolve()
        name = declared.collection.__name__
        if self._options.ttl or declared.ttl or self._options.codec or self._options.slots:
            raise DeclarationError(
                f"{self}: a {name} has no values, so ttl=, codec= and slots= mean nothing; drop them"
            )
        self._check_options(declared)
        if self._defaults.namespace is None and self._options.rkey is None:
            return  # of a mixin: its subclasses check it
        try:
            self._build(_nowhere())
        except TypeError as error:  # a DeclarationError, or an argument that is missing
            raise DeclarationError(f"{self}: {error}") from error

    def _build(self, client: RedisClient) -> C:
        declared = self._annotation.resolve()
        key, suffix = self._affixes()
        if not self.holds_values:
            coordinate = cast("Callable[..., C]", declared.collection)
            return coordinate(client, key, **dict(self._options.more))
        given = {
            "key_type": declared.key_type,
            "codec": self.codec,
            "ttl": self._ttl(declared),
            "maxlen": self.maxlen,
            "maxsize": self.maxsize,
            "suffix": suffix or None,
        }
        options = {name: value for name, value in given.items() if value is not None}
        # Which constructor this is, is known only here, at run time; check() has compared it with the options.
        build = cast("Callable[..., C]", declared.collection)
        return build(client, key, declared.value_type, **options)

    def _check_options(self, declared: Declared) -> None:
        options = self._options
        name = declared.collection.__name__
        for option, limit, other in (
            ("maxlen", options.maxlen, "RedisList"),
            ("maxsize", options.maxsize, "RedisQueue"),
        ):
            if limit is None:
                continue
            if option not in _keywords_of(declared.collection):
                raise DeclarationError(f"{self}: a {name} has no {option}=; drop it, or declare a {other}")
            if type(limit) is not int or limit < 1:
                raise DeclarationError(f"{self}: {option}= is an int of at least 1, not {limit!r}")
        for option, value in options.more:
            if option not in _keywords_of(declared.collection):
                raise DeclarationError(f"{self}: a {name} has no {option}=; drop {option}={value!r}")
        if options.slots is not None and issubclass(declared.collection, RedisKey):
            raise DeclarationError(
                f'{self}: slots="key" is for a RedisKeySpace, whose entries are keys; a {name} is one key. '
                'To give each field of a store a slot of its own, write class ...(Store, slots="field")'
            )
        ttl = self._ttl(declared)
        # The flag belongs to the collections and to what declares them; users have no business with it.
        if ttl is not None and ttl.per_item and not declared.collection._items_can_expire:  # pyright: ignore[reportPrivateUsage]
            raise DeclarationError(
                f"{self}: a {name} has no time to live per item; give the field a TTL without per_item=True, "
                "which applies to the whole key"
            )

    def _check_types(self, declared: Declared) -> None:
        """Refuse types that cannot be stored, unless a forward reference inside of them is still open."""
        # Unhashable first: such a type may well have a canonical form, and would fail in dict() only.
        if declared.key_type is not None and not _is_hashable(declared.key_type):
            raise DeclarationError(
                f"{self}: {shown_type(declared.key_type)} cannot be a key type, because its values cannot be keys of "
                "a dict; use str, int, UUID, a tuple, an enum or a frozen model"
            )
        try:
            # What type the value has is known only at run time: the type parameter is of no use here.
            bind_codec(cast("type[object]", declared.value_type), cast("Codec[object] | None", self.codec)).check()
            if declared.key_type is not None:
                canonical_codec_for(cast("type[object]", declared.key_type)).check()
        except DeclarationError as error:
            kind = Unresolved if _is_incomplete(error.__cause__) else DeclarationError
            raise kind(f"{self}: {error}") from error.__cause__


def check_options(options: FieldOptions, where: str, name: str) -> FieldOptions:
    """What ``field(...)`` was given, as far as it does not depend on the annotation.

    Raises:
        DeclarationError: an option is not what it should be.
    """
    if options.key is not None and options.rkey is not None:
        raise DeclarationError(
            f"{where}: key= renames the last part of the key and rkey= gives the whole key; write one of them"
        )
    if options.key is not None:
        options = replace(options, key=check_name(options.key, where, "key", name))
    if options.rkey is not None:
        options = replace(options, rkey=check_rkey(options.rkey, where))
    if options.slots is not None:
        given: object = options.slots
        if given != "key":
            raise DeclarationError(f'{where}: slots= of a field is "key", not {given!r}; a store takes slots="field"')
        if options.rkey is not None:
            raise DeclarationError(
                f"{where}: rkey= gives the whole key as it is, slots= makes another; write one of them"
            )
    check_ttl(options.ttl, where)
    codec: object = options.codec
    if codec is not None and not callable(codec) and not _is_codec(codec):
        raise DeclarationError(
            f"{where}: codec={codec!r} is neither a codec (encode and decode) nor a function from a value type to one"
        )
    return options


def check_ttl(ttl: object, where: str) -> None:
    """Refuse what is not a TTL policy.

    Raises:
        DeclarationError: with the TTL to write.
    """
    if ttl is None or isinstance(ttl, TTL):
        return
    seconds = ttl.total_seconds() if isinstance(ttl, timedelta) else ttl
    fix = f"TTL(seconds={seconds:g})" if isinstance(seconds, (int, float)) else "TTL(hours=1)"
    raise DeclarationError(f"{where}: ttl= is a TTL policy, not {ttl!r}; write ttl={fix}")


def check_store_codec(codec: object, where: str) -> None:
    """Refuse what cannot give each field a codec of its own.

    Raises:
        DeclarationError: it is a codec for one type, or not a function.
    """
    if codec is None or (callable(codec) and not _is_codec(codec)):
        return
    raise DeclarationError(
        f"{where}: codec={codec!r} of a class is a function from a value type to its codec, because fields differ; "
        "give one codec to one field with field(codec=...)"
    )


@cache
def _nowhere() -> RedisClient:
    """A client that is never used: constructors look at it, and say what is wrong with the rest."""
    return Redis()


def _is_codec(codec: object) -> bool:
    # A class with both methods is a factory if calling it gives a codec; only instances are codecs.
    return not isinstance(codec, type) and hasattr(codec, "encode") and hasattr(codec, "decode")


def _is_incomplete(cause: object) -> bool:
    """Whether pydantic could not build a schema only because a name in it is not defined yet."""
    if isinstance(cause, PydanticUserError):
        return cause.code == "class-not-fully-defined"
    return isinstance(cause, PydanticUndefinedAnnotation)


def _is_hashable(annotation: object) -> bool:
    """Whether values of this type can be keys of a dict, as far as the type tells."""
    origin = get_origin(annotation) or annotation
    inner = cast("tuple[object, ...]", get_args(annotation))
    if origin is Annotated:
        return _is_hashable(inner[0])
    if isinstance(origin, type) and getattr(origin, "__hash__", None) is None:
        return False
    return all(_is_hashable(part) for part in inner)


def _keywords_of(collection: type[RedisCollection]) -> set[str]:
    """The keywords that the constructor takes, through ``**kwargs`` of subclasses, too."""
    found: set[str] = set()
    for cls in collection.__mro__:
        if "__init__" in vars(cls):
            parameters: Mapping[str, inspect.Parameter] = inspect.signature(vars(cls)["__init__"]).parameters
            found |= parameters.keys()
            if not any(parameter.kind is parameter.VAR_KEYWORD for parameter in parameters.values()):
                break
    return found
