"""RedisCollection: the base of all objects that hold values: codecs, a TTL policy, and sending with it."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Sequence
from datetime import timedelta
from operator import index
from typing import ClassVar, TypeAlias, cast

from typing_extensions import TypeVar

from purse._engine.clients import RedisClient
from purse._engine.replies import Reply, as_array, as_int
from purse._engine.scripts import load_script
from purse._engine.unit import Command, Unit
from purse.codecs._shown import named, shown
from purse.codecs._value_codecs import ValueCodec
from purse.codecs._wording import short
from purse.collections._object import Call, RedisObject
from purse.collections._paging import collector_paused
from purse.errors import DeclarationError, DecodeError, EncodeError
from purse.ttl import TTL, Lifetime, as_ttl

T = TypeVar("T")

Decoder: TypeAlias = Callable[[list[Reply]], T]

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

FARTHEST = 2**53  # beyond any list, and a Lua script still counts exactly up to here


class RedisCollection(RedisObject):
    """A name in Redis under which values are stored.

    Args:
        redis: the client. A collection never closes it.
        name: the key or the prefix, used as it is.
        ttl: a ``TTL``, a ``timedelta`` or seconds: the policy that every write through this object applies.

    Raises:
        TypeError: ``redis`` is not a ``redis.asyncio.Redis``, or ``name`` is not a ``str``.
        DeclarationError: this collection cannot apply such a policy, or ``name`` has no UTF-8 form.
    """

    __slots__ = ("_ttl",)

    _items_can_expire: ClassVar[bool] = False

    def __init__(self, redis: RedisClient, name: str, *, ttl: Lifetime | None = None) -> None:
        super().__init__(redis, name)
        policy = as_ttl(ttl, name)
        if policy is not None and policy.per_item and not self._items_can_expire:
            raise DeclarationError(
                f"{named(name)}: a {type(self).__name__} has no time to live per item: omit per_item=True, "
                "and the TTL applies to the whole key"
            )
        self._ttl: TTL | None = policy

    def _policy(self) -> str:
        """Return the TTL policy as the scripts take it, with the jitter of this write. See lua/renew.lua."""
        ttl = self._ttl
        if ttl is None:
            return ""
        return f"{'item' if ttl.per_item else 'key'}{'-once' if ttl.renew == 'never' else ''}:{ttl.__purse_draw_ms__()}"

    def _read_policy(self) -> str:
        """Return the policy of a read that returns stored values: empty unless it has ``renew="read"``."""
        return self._policy() if self._ttl is not None and self._ttl.renew == "read" else ""

    def _unit_with_ttl(
        self,
        policies: dict[str, str],
        commands: Sequence[Command],
        decode: Decoder[T],
        *,
        field: object = None,
        read_only: bool = False,
    ) -> Unit[T]:
        """Return the unit of plain commands that concern the keys of ``policies``."""
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
        """Return the bytes under which an equal value may be stored: ours, the normal form, the form of 2.x."""
        return [self._encode(codec, value, field), *codec.also_stored_as(value)]

    def _encode_all(self, codec: ValueCodec[T], values: Sequence[T], fields: Iterable[object]) -> list[bytes]:
        """Encode many values. ``fields`` are their names in errors."""
        try:
            return codec.encode_all(values)
        except EncodeError:
            return [self._encode(codec, value, field) for value, field in zip(values, fields, strict=False)]

    def _decode(self, codec: ValueCodec[T], raw: bytes, field: object = None) -> T:
        try:
            return codec.decode(raw)
        except DecodeError as error:
            fate = (
                f"Stored: {shown(raw)}. If the model changed, see docs/schema.md. To skip bad records while iterating, "
                'pass on_error="skip".'
            )
            raise self._undecodable(error, raw, field, fate) from error.__cause__

    def _decode_all(self, codec: ValueCodec[T], raws: Sequence[bytes], fields: Iterable[object]) -> list[T]:
        """Decode many values. ``fields`` are their names in errors."""
        try:
            values: list[T] = []
            for page in paged(raws):
                with collector_paused():
                    values += codec.decode_all(page)
            return values
        except DecodeError:
            return [self._decode(codec, raw, field) for raw, field in zip(raws, fields, strict=False)]

    def _decode_taken(self, codec: ValueCodec[T], raw: bytes, field: object = None) -> T:
        """Decode bytes that this call has removed. After an error only the error still holds them."""
        try:
            return codec.decode(raw)
        except DecodeError as error:
            fate = f"It was removed from Redis, and this error's raw holds it: {shown(raw)}. See docs/schema.md."
            raise self._undecodable(error, raw, field, fate) from error.__cause__

    def _undecodable(self, error: DecodeError, raw: bytes, field: object, fate: str) -> DecodeError:
        return DecodeError(f"{self._where(field)} {error} {fate}", key=self._name, field=field, raw=raw)


def total(replies: list[Reply]) -> int:
    """Decode a unit of pages whose replies are integers, to their sum."""
    return sum(as_int(reply) for reply in replies)


def paged(items: Sequence[T], size: int = PAGE) -> Iterator[tuple[T, ...]]:
    """``items`` cut into pieces of at most ``size``."""
    return (tuple(items[start : start + size]) for start in range(0, len(items), size))


def clamped(number: int) -> int:
    """Return any Python integer as one that Redis takes, limited to ``FARTHEST``, which is beyond every list.

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
        raise TypeError(f"an index, a rank or a count must be an int, not {short(number)}") from None


def milliseconds(duration: float | timedelta, unit_ms: int, name: str = "a duration") -> int:
    """Return ``duration`` in milliseconds. A number counts units of ``unit_ms``.

    Args:
        name: the argument's name in messages.

    Raises:
        TypeError: it is neither a number nor a ``timedelta``.
        ValueError: it is not finite.
    """
    if isinstance(duration, timedelta):
        return round(duration / timedelta(milliseconds=1))
    unchecked = cast("object", duration)
    unit = "milliseconds" if unit_ms == 1 else "seconds"
    if isinstance(unchecked, bool) or not isinstance(unchecked, (int, float)):
        raise TypeError(f"{name} must be a number of {unit} or a timedelta, not {short(unchecked)}")
    try:
        return round(duration * unit_ms)
    except (ValueError, OverflowError):  # nan, inf
        raise ValueError(f"{name} must be a finite number of {unit}, not {shown(duration)}") from None
