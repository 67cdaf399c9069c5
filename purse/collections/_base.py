"""RedisCollection: what every collection has in common.

    RedisCollection         a client, codecs, a TTL policy; how to send, and what to say when something is wrong
    +-- RedisKey            lives in one Redis key          ``collections._key``
    |   +-- RedisHash, RedisList, RedisSet, RedisSortedSet, the queues
    +-- RedisKeySpace       lives in all keys with one prefix
    +-- RedisLock, ...      holds no values: ``purse.locks``, ``purse.limits``

A collection holds no data and no connection. Each method asks the client's executor for one command, or hands it
one ``Unit`` of several.
"""

from __future__ import annotations

import re
from abc import ABC, abstractmethod
from collections.abc import Callable, Coroutine, Iterable, Iterator, Sequence
from datetime import timedelta
from operator import index
from typing import TYPE_CHECKING, ClassVar, NoReturn, TypeAlias, cast, overload

from redis.asyncio import Redis
from redis.exceptions import NoPermissionError, OutOfMemoryError, ReadOnlyError, RedisError, ResponseError
from typing_extensions import TypeVar

from purse._engine.clients import RedisClient
from purse._engine.interface import Executor
from purse._engine.registry import executor_for
from purse._engine.replies import Reply, as_array, as_int
from purse._engine.scripts import ScriptCall, load_script
from purse._engine.unit import Command, Unit
from purse.codecs._shown import named, place, quoted, shown
from purse.codecs._value_codecs import ValueCodec
from purse.codecs._wording import short
from purse.collections._paging import collector_paused
from purse.errors import DeclarationError, DecodeError, EncodeError, UnsupportedServer, WrongKind
from purse.ttl import TTL, Lifetime, as_ttl

if TYPE_CHECKING:
    from purse._declaration.field_spec import FieldSpec
    from purse._declaration.metaclass import StoreBase

T = TypeVar("T")
D = TypeVar("D", bound="RedisCollection")

Decoder: TypeAlias = Callable[[list[Reply]], T]
Call: TypeAlias = Coroutine[object, None, Reply]

__all__ = [
    "FARTHEST",
    "PAGE",
    "Call",
    "Decoder",
    "RedisCollection",
    "clamped",
    "integer",
    "milliseconds",
    "paged",
    "total",
]

PAGE = 500
"""Elements in one command of a bulk read or write: long enough to be fast, short enough that a small
call behind it does not wait."""

FARTHEST = 2**53  # beyond any list; a Lua script still counts exactly up to here

# What a command inside a script is refused with, for which redis-py has classes when it is alone.
_REFUSED_IN_SCRIPT: tuple[tuple[str, type[ResponseError]], ...] = (
    ("-OOM ", OutOfMemoryError),
    ("-READONLY ", ReadOnlyError),
    ("executing the script can't run this command", NoPermissionError),
    ("ACL failure in script", NoPermissionError),
)
_UNKNOWN_COMMAND = re.compile(r"unknown (redis )?command", re.IGNORECASE)


class RedisCollection(ABC):
    """A client, a name in it, and what the methods of collections are made of.

    Args:
        redis: the client; never closed by a collection.
        name: the key or the prefix, used as it is.
        ttl: a ``TTL``, a ``timedelta`` or seconds: the policy that every write through this object carries.

    Attributes:
        declared_as: the names of the store class and of its field that this is, or None.
        slot: the key whose hash slot is this collection's alone, of a store with ``slots="field"``; None: any slot.

    Raises:
        TypeError: ``redis`` is not a ``redis.asyncio.Redis``, or ``name`` not a ``str``.
        DeclarationError: this collection cannot keep such a policy, or ``name`` has no UTF-8 form.
    """

    __slots__ = ("__weakref__", "_executor", "_ttl", "declared_as", "redis", "slot")

    _redis_type: ClassVar[str] = ""
    _items_can_expire: ClassVar[bool] = False
    _holds_values: ClassVar[bool] = True  # False: a lock, a limiter; no value type, codec or TTL, and never cleared
    _beside: ClassVar[tuple[str, ...]] = ()  # what is kept beside the key, see purse._declaration.keys.beside
    _by_identity: ClassVar[bool] = False  # True: each identity has a key as well, the field's with ":" and it behind

    redis: RedisClient
    declared_as: tuple[str, str] | None
    slot: str | None
    _executor: Executor

    def __init__(self, redis: RedisClient, name: str, *, ttl: Lifetime | None = None) -> None:
        _check_order(type(self).__name__, redis, name)
        if type(name) is not str:
            raise TypeError(f"a key is a str, got {shown(name)}; bytes keys that are UTF-8 can be decoded first")
        policy = as_ttl(ttl, name)
        if policy is not None and policy.per_item and not self._items_can_expire:
            raise DeclarationError(
                f"{named(name)}: a {type(self).__name__} has no time to live per item; drop per_item=True, "
                "and the TTL applies to the whole key"
            )
        try:
            name.encode()
        except UnicodeEncodeError:
            raise DeclarationError(
                f"the key {shown(name)} contains a lone surrogate, which has no UTF-8 form"
            ) from None
        self.redis = redis
        self.declared_as = None
        self.slot = None
        self._ttl: TTL | None = policy
        self._executor = executor_for(redis)

    if TYPE_CHECKING:
        # In a Store class an annotation `plants: RedisHash[Plant]` is a declaration: the class attribute
        # is a FieldSpec, the instance attribute the collection. At run time the FieldSpec does this. D and
        # not Self: jedi, which completes names in many editors, takes Self for the class that is written here.
        @overload
        def __get__(self: D, instance: None, owner: type[StoreBase]) -> FieldSpec[D]: ...
        @overload
        def __get__(self: D, instance: object, owner: type[object]) -> D: ...
        def __get__(self: D, instance: object, owner: type[object]) -> FieldSpec[D] | D: ...

    @property
    @abstractmethod
    def _name(self) -> str:
        """The key or the prefix, for messages."""

    def __repr__(self) -> str:
        return f"<{type(self).__name__} {quoted(self._name)}>"

    def __reduce__(self) -> NoReturn:
        name = type(self).__name__
        raise TypeError(
            f"{named(self._name)}: a {name} cannot be copied or pickled: it holds a connection; make another in the "
            f"process that uses it, {name}(client, {quoted(self._name)}, ...), or pass a store's parameters "
            "and open the store there"
        )

    def explain(self, error: Exception, field: object) -> Exception:
        """Turn an error of Redis into one that names the key (the engine calls this)."""
        text = str(error)
        where = self._where(field)
        if isinstance(error, ResponseError):
            if "WRONGTYPE" in text:
                return WrongKind(
                    f"{where}: the key does not hold a {self._redis_type}, so {type(self).__name__} left it alone. "
                    "key_type() says what it holds; choose another key, or delete it with delete_redis_key().",
                    key=self._name,
                )
            if _UNKNOWN_COMMAND.search(text):
                return UnsupportedServer(
                    f"{where}: the server does not know a command that is needed here ({text}). Nothing was "
                    "written. TTL(per_item=True) needs Redis >= 7.4 or Valkey >= 9; everything else Redis >= 6.2.",
                    key=self._name,
                )
            if type(error) is ResponseError:
                refusal = next((kind for words, kind in _REFUSED_IN_SCRIPT if words in text), None)
                error = error if refusal is None else refusal(text)
        if isinstance(error, RedisError):
            error.add_note(f"purse: {type(self).__name__} {where}")
        return error

    def slot_of(self, field: object) -> str | None:
        """The slot in which a call that concerns ``field`` must stay; None: any (the engine asks this)."""
        return self.slot

    def _refuse_other_slots(self, method: str, *others: RedisCollection) -> None:
        """Refuse what would be one command over several slots.

        Raises:
            TypeError: the message names both.
        """
        for other in others:
            if other.slot != self.slot:
                raise TypeError(
                    f"{self._where()}: {method}() with {named(other._name)} would be one step over two slots of "
                    "a cluster: "
                    'slots="field" gives each field a slot of its own; declare both in a store without slots='
                )

    def _where(self, field: object = None) -> str:
        return place(self._name, field)

    # One command and its reply. What is returned is a coroutine to await: a coroutine around it would cost each call.

    def _send(self, command: Command | ScriptCall, field: object = None) -> Call:
        """A write that concerns no TTL policy."""
        return self._executor.ask(command, self, field)

    def _look(self, command: Command, field: object = None) -> Call:
        """A read that never renews a TTL."""
        return self._executor.ask_again(command, self, field)

    def _policy(self) -> str:
        """The TTL policy as the scripts take it, with this write's own jitter; see lua/renew.lua."""
        ttl = self._ttl
        if ttl is None:
            return ""
        return f"{'item' if ttl.per_item else 'key'}{'-once' if ttl.renew == 'never' else ''}:{ttl.draw_ms()}"

    def _read_policy(self) -> str:
        """What a read that returns stored values owes: nothing, unless the policy says ``renew="read"``."""
        return self._policy() if self._ttl is not None and self._ttl.renew == "read" else ""

    def _with_ttl(
        self,
        policies: dict[str, str],
        commands: Sequence[Command],
        decode: Decoder[T],
        *,
        field: object = None,
        read_only: bool = False,
    ) -> Unit[T]:
        """The unit of plain commands that concern the keys of ``policies``."""
        if not any(policies.values()):
            return Unit(commands, decode, self, field=field, read_only=read_only)
        words = (word for command in commands for word in (len(command), *command))
        call = load_script("with_ttl")((*policies,), *policies.values(), *words)
        return Unit((call,), lambda replies: decode(as_array(replies[0])), self, field=field, read_only=read_only)

    def _encode(self, codec: ValueCodec[T], value: T, field: object = None) -> bytes:
        try:
            return codec.encode(value)
        except EncodeError as error:
            raise EncodeError(
                f"{self._where(field)} cannot store this value: {error} Nothing was sent.", key=self._name, field=field
            ) from error.__cause__

    def _forms(self, codec: ValueCodec[T], value: T, field: object = None) -> list[bytes]:
        """The bytes under which an equal value may be stored: ours first, then normal form and what 2.x wrote."""
        return [self._encode(codec, value, field), *codec.also_stored_as(value)]

    def _encode_all(self, codec: ValueCodec[T], values: Sequence[T], fields: Iterable[object]) -> list[bytes]:
        """Encode many values; ``fields`` say what each is called in an error."""
        try:
            return codec.encode_all(values)
        except EncodeError:
            return [self._encode(codec, value, field) for value, field in zip(values, fields, strict=False)]

    def _decode(self, codec: ValueCodec[T], raw: bytes, field: object = None) -> T:
        try:
            return codec.decode(raw)
        except DecodeError as error:
            fate = (
                f"Stored: {shown(raw)}. If the model changed, see docs/schema.md; to skip bad records while iterating, "
                'pass on_error="skip".'
            )
            raise self._undecodable(error, raw, field, fate) from error.__cause__

    def _decode_all(self, codec: ValueCodec[T], raws: Sequence[bytes], fields: Iterable[object]) -> list[T]:
        """Decode many values; ``fields`` say what each is called in an error."""
        try:
            values: list[T] = []
            for page in paged(raws):
                with collector_paused():
                    values += codec.decode_all(page)
            return values
        except DecodeError:
            return [self._decode(codec, raw, field) for raw, field in zip(raws, fields, strict=False)]

    def _decode_taken(self, codec: ValueCodec[T], raw: bytes, field: object = None) -> T:
        """Decode bytes that this very call has removed: the error is the only place where they still are."""
        try:
            return codec.decode(raw)
        except DecodeError as error:
            fate = f"It was removed from Redis, and is in this error's raw: {shown(raw)}. See docs/schema.md."
            raise self._undecodable(error, raw, field, fate) from error.__cause__

    def _undecodable(self, error: DecodeError, raw: bytes, field: object, fate: str) -> DecodeError:
        return DecodeError(f"{self._where(field)} {error} {fate}", key=self._name, field=field, raw=raw)


def _check_order(collection: str, redis: object, name: object) -> None:
    """Refuse arguments in another order, and a URL for a client.

    Raises:
        TypeError: with the call to write.
    """
    if isinstance(name, Redis):
        raise TypeError(
            f"{collection}(redis, key, ...): the client comes first; write {collection}(client, {quoted(redis)}, ...)"
        )
    if isinstance(redis, str):
        raise TypeError(
            f"{collection} takes a client, redis.asyncio.Redis, and not a str; for a URL write "
            f"{collection}(Redis.from_url(url), {quoted(name)}, ...)"
        )


def total(replies: list[Reply]) -> int:
    """Decode a unit of pages, each of which answers an integer: their sum."""
    return sum(as_int(reply) for reply in replies)


def paged(items: Sequence[T], size: int = PAGE) -> Iterator[tuple[T, ...]]:
    """``items`` cut into pieces of at most ``size``."""
    return (tuple(items[start : start + size]) for start in range(0, len(items), size))


def clamped(number: int) -> int:
    """Any Python integer as one that Redis takes; farther than every list is far enough.

    Raises:
        TypeError: it is not an integer.
    """
    return max(-FARTHEST, min(integer(number), FARTHEST))


def integer(number: int) -> int:
    """An index, a rank or a count.

    Raises:
        TypeError: it is something else.
    """
    try:
        return index(number)
    except TypeError:
        raise TypeError(f"an index, a rank or a count is an int, not {short(number)}") from None


def milliseconds(duration: float | timedelta, unit_ms: int, name: str = "a duration") -> int:
    """``duration`` in milliseconds; a number counts units of ``unit_ms``.

    Args:
        name: of the argument, for messages.

    Raises:
        TypeError: it is neither a number nor a ``timedelta``.
        ValueError: it is not finite.
    """
    if isinstance(duration, timedelta):
        return round(duration / timedelta(milliseconds=1))
    unchecked = cast("object", duration)
    unit = "milliseconds" if unit_ms == 1 else "seconds"
    if isinstance(unchecked, bool) or not isinstance(unchecked, (int, float)):
        raise TypeError(f"{name} is a number of {unit} or a timedelta, not {short(unchecked)}")
    try:
        return round(duration * unit_ms)
    except (ValueError, OverflowError):  # nan, inf
        raise ValueError(f"{name} is a finite number of {unit}, not {shown(duration)}") from None
