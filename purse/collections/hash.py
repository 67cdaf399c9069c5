"""RedisHash: one Redis hash, seen as an awaitable ``dict[K, V]``.

The whole mapping is one key. ``{garden}:plants`` with two fields is stored as

    field     value (what the codec wrote)
    spinach   {"name":"spinach","healthiness":9.8,"tasty":false}
    avocado   {"name":"avocado","healthiness":8.0,"tasty":true}

Every method is one command, one MULTI or one script, and therefore atomic. ``modify``, ``edit`` and ``patch`` are a
read and a compare-and-set. Only iteration (``keys``, ``values``, ``items``, ``async for``) pages through HSCAN and
never holds the server for longer than one page. The price is that it is not a snapshot: a field that exists during the
complete iteration is seen, a field that is added or removed during it may be seen, and a field may be seen twice if the
hash is resized during it. ``dict()`` is a snapshot, in one HGETALL.
"""

from __future__ import annotations

import builtins
from collections.abc import AsyncIterator, Callable, Iterable, Mapping, Sequence
from functools import partial
from typing import TYPE_CHECKING, ClassVar, Generic, overload

from typing_extensions import TypeVar

from purse._engine.replies import (
    Reply,
    as_array,
    as_bytes,
    as_flag,
    as_int,
    as_optional_bytes,
    as_pairs,
    as_taken,
    first,
)
from purse._engine.scripts import load_script
from purse._engine.unit import Command, Unit
from purse.codecs import Codec
from purse.codecs._binding import bind_codec, key_codec_for
from purse.codecs._shown import shown
from purse.collections._arguments import listed, mapped
from purse.collections._base import PAGE, Decoder, paged, total
from purse.collections._compare_and_set import Changing, Place, default_of
from purse.collections._field_options import field_options
from purse.collections._key import RedisKey
from purse.collections._missing import MISSING, Missing
from purse.collections._numbers import Number, addend, as_sum, not_a_number, number_of
from purse.collections._object import RedisType
from purse.collections._operators import MAPPING
from purse.collections._paging import OnError
from purse.errors import EncodeError

if TYPE_CHECKING:
    from typing_extensions import TypeForm

    from purse._engine.clients import RedisClient
    from purse._engine.waiting import Line
    from purse.codecs import CodecFactory
    from purse.ttl import Lifetime

__all__ = ["RedisHash"]

V = TypeVar("V")
K = TypeVar("K", default=str)
D = TypeVar("D")
T = TypeVar("T")  # of field(): the annotation in front of it says what they are
U = TypeVar("U")


class RedisHash(RedisKey, Changing[V, K], Generic[V, K]):
    """A Redis hash as an awaitable mapping of ``K`` to ``V``.

    Args:
        redis: the client, ``redis.asyncio.Redis``. The collection never closes it.
        rkey: the Redis key, used as it is.
        value_type: any type that pydantic validates. ``str`` and ``bytes`` are stored raw, everything else as JSON.
        key_type: the type of the keys. Its values must be hashable and have a canonical form.
        codec: stores the values in another way than ``value_type`` does by default.
        ttl: a ``TTL``, a ``timedelta`` or seconds: the policy that every write applies. ``TTL(per_item=True)`` gives
            each field a separate time to live.
        default: the value that ``get``, ``modify``, ``edit`` and ``patch`` use for a missing key, a copy each time.
            Only the last three store it, with the change. Methods of many fields leave out a missing key.
        default_factory: makes such a value, called each time.

    Raises:
        DeclarationError: a type or a default that cannot be stored.
        TypeError: ``redis`` is not a ``redis.asyncio.Redis``.

    With a TTL policy the commands of a write go inside EVALSHA with_ttl. With ``TTL(renew="read")`` so do those of a
    read that returns stored values. Iterating (``async for key, value in h``) yields pairs, unlike ``dict``.
    Construction does no I/O.
    """

    __slots__ = ("_codec", "_default", "_key_codec", "_number")

    __purse_structure__ = True
    __purse_together__: ClassVar[tuple[tuple[str, str], ...]] = (
        ("HGET", "get_many(keys)"),
        ("HSET", "update(mapping)"),
        ("HDEL", "delete_many(keys)"),
    )
    redis_type: ClassVar[RedisType] = "hash"
    _items_can_expire = True
    _instead = MAPPING

    def __init__(
        self,
        redis: RedisClient,
        rkey: str,
        value_type: TypeForm[V],
        *,
        key_type: TypeForm[K] = str,  # type: ignore[assignment]  # K's default, which a checker cannot know
        codec: Codec[V] | CodecFactory | None = None,
        ttl: Lifetime | None = None,
        default: V | Missing = MISSING,
        default_factory: Callable[[], V] | None = None,
    ) -> None:
        super().__init__(redis, rkey, ttl=ttl)
        self._codec = bind_codec(value_type, codec)
        self._key_codec = key_codec_for(key_type)
        self._number: Number | None = number_of(value_type, self._codec)
        self._default = default_of(default, default_factory, rkey, self._codec, partial(self._encode, self._codec))

    @staticmethod
    def field(
        *,
        default: T | Missing = MISSING,
        default_factory: Callable[[], T] | None = None,
        ttl: Lifetime | None = None,
        codec: Codec[T] | CodecFactory | None = None,
        key: str | None = None,
        rkey: str | None = None,
    ) -> RedisHash[T, U]:  # pyright: ignore[reportInvalidTypeVarUse] - the annotation gives U
        """Options of a field of a ``Store``: ``visits: RedisHash[int] = RedisHash.field(default=0)``.

        Args:
            default: the value that ``get``, ``modify``, ``edit`` and ``patch`` use for a missing key.
            default_factory: makes such a value, called each time.
            ttl, codec, key, rkey: as for ``purse.field``.
        """
        return field_options(
            RedisHash, ttl=ttl, codec=codec, key=key, rkey=rkey, default=default, default_factory=default_factory
        )

    # --- one field ------------------------------------------------------------------------------

    async def set(self, key: K, value: V) -> int:
        """Store ``value`` under ``key``, and replace any earlier value.

        Returns:
            1 if the field is new, 0 if a value was replaced.

        Raises:
            EncodeError: ``value`` or ``key`` does not fit the declared type. Nothing was sent.

        One round trip, O(1). Sends: HSET (with ``per_item`` EVALSHA hash_set_items).
        """
        field = self._field(key)
        raw = self._encode(self._codec, value, key)
        if self._ttl is not None and self._ttl.per_item:
            return await self._executor.execute(self._storing([field, raw], field=key))
        return as_int(await self._write(("HSET", self.rkey, field, raw), key))

    @overload
    async def get(self, key: K) -> V | None: ...
    @overload
    async def get(self, key: K, default: D) -> V | D: ...
    async def get(self, key: K, default: object = MISSING) -> V | object:
        """The value under ``key``, or else ``default``, the hash's default, or None, in this order.

        Raises:
            DecodeError: the stored bytes are not a valid value. They are not changed.

        One round trip, O(1). Sends: HGET (with ``per_item`` and ``renew="read"`` MULTI, HGET, HPEXPIRE, EXEC).
        """
        field = self._field(key)
        command = ("HGET", self.rkey, field)
        if self._ttl is not None and self._ttl.per_item:
            raw = await self._executor.execute(self._reading_fields((command,), [field], first, field=key))
        else:
            raw = await self._read(command, key)
        if raw is None:
            return default if default is not MISSING else self._default and self._default(key)
        return self._decode(self._codec, as_bytes(raw), key)

    async def setdefault(self, key: K, value: V) -> V:
        """Store ``value`` unless ``key`` exists, and return the value that is stored now.

        The check and the write are one script, so of many concurrent callers exactly one stores its
        value and all of them return that one.

        Raises:
            EncodeError: ``value`` or ``key`` does not fit the declared type. Nothing was sent.
            DecodeError: the bytes already stored are not a valid value. They are not changed.

        One round trip, O(1). Sends: EVALSHA hash_setdefault.
        """
        raw = self._encode(self._codec, value, key)
        script = load_script("hash_setdefault")
        call = script((self.rkey,), self._field(key), raw, self._policy(), self._read_policy())
        stored = as_optional_bytes(await self._write_plain(call, key))
        return value if stored is None else self._decode(self._codec, stored, key)

    @overload
    async def pop(self, key: K) -> V | None: ...
    @overload
    async def pop(self, key: K, default: D) -> V | D: ...
    async def pop(self, key: K, default: object = None) -> V | object:
        """Remove ``key`` and return its value, or ``default`` if it does not exist.

        Each value goes to at most one caller. If the connection is lost before the reply arrives, the value is lost
        (delivery at most once). If the caller is cancelled by then, the value is put back, unless another one was
        stored under ``key`` since. It then has the time to live that the declared policy gives it.

        Raises:
            DecodeError: the removed bytes are not a valid value. The error's ``raw`` holds them.

        One round trip, O(1). Sends: MULTI, HGET, HDEL, EXEC.
        """
        field = self._field(key)
        commands = (("HGET", self.rkey, field), ("HDEL", self.rkey, field))

        def line() -> Line[bytes]:
            return self._executor.line(self.rkey, f"pop {shown(field)} {self._ttl}", None, put_back)

        def put_back(raws: list[bytes]) -> Unit[object]:
            store = load_script("hash_setdefault")
            latest_first = [store((self.rkey,), field, raw, self._policy(), "") for raw in reversed(raws)]
            return Unit(latest_first, first, self, field=key)

        taken = await self._executor.take(self._write_unit(commands, as_taken, field=key), line)
        return self._decode_taken(self._codec, taken[0], key) if taken else default

    async def delete(self, key: K) -> int:
        """Remove ``key``.

        Returns:
            1 if it existed, else 0.

        One round trip, O(1). Sends: HDEL.
        """
        return as_int(await self._write(("HDEL", self.rkey, self._field(key)), key))

    async def contains(self, key: K) -> bool:
        """Whether ``key`` has a value. Never restarts a TTL.

        One round trip, O(1). Sends: HEXISTS.
        """
        return as_flag(await self._read_plain(("HEXISTS", self.rkey, self._field(key)), key))

    @overload
    async def increment(self: RedisHash[int, K], key: K, amount: int = 1) -> int: ...
    @overload
    async def increment(self: RedisHash[float, K], key: K, amount: float = 1) -> float: ...
    async def increment(self, key: K, amount: float = 1) -> float:
        """Add ``amount`` to the number under ``key`` on the server. A missing one counts as 0.

        Only for a ``value_type`` of ``int`` or ``float`` without constraints, with the default codec: for anything else
        use ``modify``, which validates.

        Returns:
            The sum. Floats are added by Redis with more digits than Python's: 0.1 + 0.2 gives 0.3.

        Raises:
            TypeError: the values are not declared as ``int`` or ``float``. Use ``modify``.
            EncodeError: ``amount`` is not such a number, or beyond 64 bits. Nothing was sent.
            DecodeError: the stored value is not such a number. It is not changed.
            redis.exceptions.ResponseError: a sum of ints would not fit 64 bits. Nothing was changed. (Beyond the
                largest float the sum is inf, as in Python.)

        One round trip, O(1). Sends: HINCRBY or HINCRBYFLOAT (with ``per_item`` in MULTI with HPEXPIRE).
        """
        field = self._field(key)
        added = addend(self._number, amount, key=self.rkey, field=key)
        command = ("HINCRBY" if self._number == "int" else "HINCRBYFLOAT", self.rkey, field, added)
        return await self._executor.execute(self._incrementing(command, field, key))

    # --- many fields ----------------------------------------------------------------------------

    async def update(self, mapping: Mapping[K, V]) -> int:
        """Store all of ``mapping``: all or nothing, and other clients see them all at once.

        Everything is encoded before anything is sent. ``update({})`` sends nothing.

        Returns:
            How many of the fields are new.

        Raises:
            TypeError: ``mapping`` is not a mapping, for instance a list of pairs. Nothing was sent.
            EncodeError: a value or key does not fit the declared type. Nothing was sent.

        One round trip, O(n). Sends: HSET, in MULTI with 500 fields each if there are more
        (``per_item``: EVALSHA hash_set_items).
        """
        mapping = mapped(mapping, self.rkey, "update")
        if not mapping:
            return 0
        keys = [*mapping]
        values = self._encode_all(self._codec, [mapping[key] for key in keys], keys)
        flat = [raw for pair in zip(self._fields(keys), values, strict=True) for raw in pair]
        return await self._executor.execute(self._storing(flat))

    async def get_many(self, keys: Iterable[K]) -> builtins.dict[K, V]:
        """The values of those ``keys`` that exist, read at one moment, in the order of ``keys``.

        Raises:
            TypeError: ``keys`` is one ``str`` or ``bytes``, which would be split into letters. Nothing was sent.
            DecodeError: stored bytes are not a valid value. They are not changed.

        One round trip, O(n). Sends: HMGET, in MULTI with 500 fields each if there are more.
        """
        wanted = listed(keys, self.rkey, "get_many", "get")
        if not wanted:
            return {}
        fields = self._fields(wanted)
        reads: list[Command] = [("HMGET", self.rkey, *page) for page in paged(fields)]
        replies = await self._executor.execute(self._reading_fields(reads, fields, list))
        found = (as_optional_bytes(raw) for page in replies[: len(reads)] for raw in as_array(page))
        there = {key: raw for key, raw in zip(wanted, found, strict=True) if raw is not None}
        return builtins.dict(zip(there, self._decode_all(self._codec, [*there.values()], there), strict=True))

    async def delete_many(self, keys: Iterable[K]) -> int:
        """Remove ``keys``, all at one moment.

        Returns:
            How many of them existed.

        Raises:
            TypeError: ``keys`` is one ``str`` or ``bytes``, which would be split into letters. Nothing was sent.

        One round trip, O(n). Sends: HDEL, in MULTI with 500 fields each if there are more.
        """
        fields = self._fields(listed(keys, self.rkey, "delete_many", "delete"))
        if not fields:
            return 0
        deletes: list[Command] = [("HDEL", self.rkey, *page) for page in paged(fields)]
        return await self._executor.execute(self._write_unit(deletes, total))

    async def len(self) -> int:
        """The number of keys.

        One round trip, O(1). Sends: HLEN.
        """
        return as_int(await self._read_plain(("HLEN", self.rkey)))

    async def dict(self) -> builtins.dict[K, V]:
        """The whole hash as it is at one moment.

        For a big hash iterate instead, because this one command occupies the server and the connection while it is
        executed and read.

        Raises:
            DecodeError: a stored key or value is not valid. Nothing is changed.

        One round trip, O(n). Sends: HGETALL.
        """
        stored = builtins.dict(as_pairs(await self._read(("HGETALL", self.rkey))))
        keys = self._decode_all(self._key_codec, [*stored], stored)
        return builtins.dict(zip(keys, self._decode_all(self._codec, [*stored.values()], keys), strict=True))

    def keys(
        self, match: str | bytes | None = None, batch_hint: int | None = None, *, on_error: OnError = "raise"
    ) -> AsyncIterator[K]:
        """Iterate over the keys, as ``items`` does."""
        return self._pairs(
            match,
            batch_hint,
            lambda page: self._key_codec.decode_all([key for key, _ in page]),
            lambda pair: self._decode_key(pair[0]),
            on_error,
        )

    def values(
        self, match: str | bytes | None = None, batch_hint: int | None = None, *, on_error: OnError = "raise"
    ) -> AsyncIterator[V]:
        """Iterate over the values, as ``items`` does."""
        return self._pairs(
            match,
            batch_hint,
            lambda page: [value for _, value in self._decode_pairs(page)],
            lambda pair: self._decode_pair(pair)[1],
            on_error,
        )

    def items(
        self, match: str | bytes | None = None, batch_hint: int | None = None, *, on_error: OnError = "raise"
    ) -> AsyncIterator[tuple[K, V]]:
        """Iterate over the pairs, page by page, in no particular order. This is not a snapshot (see the module).

        Args:
            match: a glob pattern for the stored form of the keys, ``*`` ``?`` ``[a-z]``, ``\\`` before a literal one.
            batch_hint: about how many fields a page should have, 500 if not given.
            on_error: ``"skip"`` passes over pairs whose bytes are not valid instead of raising ``DecodeError``.

        Memory holds two pages: the next one is requested before this one is decoded. One round trip for each page.
        Sends: HSCAN.
        """
        return self._pairs(match, batch_hint, self._decode_pairs, self._decode_pair, on_error)

    def __aiter__(self) -> AsyncIterator[tuple[K, V]]:
        """Iterate over the pairs, as ``items()`` does."""
        return self.items()

    def __purse_explain__(self, error: Exception, field: object) -> Exception:
        """See ``Origin``."""
        refusal = not_a_number(error, self._where(field), self.rkey, field)
        return super().__purse_explain__(error, field) if refusal is None else refusal

    # --- private --------------------------------------------------------------------------------

    def _pairs(
        self,
        match: str | bytes | None,
        batch_hint: int | None,
        decode_page: Callable[[Sequence[tuple[bytes, bytes]]], list[D]],
        decode: Callable[[tuple[bytes, bytes]], D],
        on_error: OnError,
    ) -> AsyncIterator[D]:
        return self._scan("HSCAN", match, batch_hint, lambda found: [*as_pairs(found)], decode_page, decode, on_error)

    def _storing(self, flat: list[bytes], *, field: object = None) -> Unit[int]:
        """Return the unit that stores ``flat`` (field, value, field, value). It decodes to the number of new fields."""
        pages = paged(flat, 2 * PAGE)
        if self._ttl is not None and self._ttl.per_item:
            script = load_script("hash_set_items")
            calls = [script((self.rkey,), self._policy(), *page) for page in pages]
            return Unit(calls, total, self, field=field)
        writes: list[Command] = [("HSET", self.rkey, *page) for page in pages]
        return self._write_unit(writes, total, field=field)

    def _reading_fields(
        self, commands: Sequence[Command], fields: list[bytes], decode: Decoder[D], *, field: object = None
    ) -> Unit[D]:
        """Return the unit of commands that return the values of ``fields``."""
        if self._ttl is None or self._ttl.renew != "read" or not self._ttl.per_item:
            return self._read_unit(commands, decode, field=field)
        ms = self._ttl.__purse_draw_ms__()
        renewals: list[Command] = [("HPEXPIRE", self.rkey, ms, "FIELDS", len(page), *page) for page in paged(fields)]
        return Unit((*commands, *renewals), decode, self, field=field, read_only=True)

    def _incrementing(self, command: Command, field: bytes, key: K) -> Unit[float]:
        if self._ttl is None or not self._ttl.per_item:
            return self._write_unit((command,), self._decode_sum, field=key)
        only_if_none = ("NX",) if self._ttl.renew == "never" else ()
        renewal = ("HPEXPIRE", self.rkey, self._ttl.__purse_draw_ms__(), *only_if_none, "FIELDS", 1, field)
        return Unit((command, renewal), self._decode_sum, self, field=key)

    def _field(self, key: K) -> bytes:
        try:
            return self._key_codec.encode(key)
        except EncodeError as error:
            raise EncodeError(
                f"{self._where()} cannot have the key {shown(key)}: {error} Nothing was sent.", key=self.rkey, field=key
            ) from error.__cause__

    def _fields(self, keys: Sequence[K]) -> list[bytes]:
        try:
            return self._key_codec.encode_all(keys)
        except EncodeError:
            return [self._field(key) for key in keys]

    def _decode_key(self, raw: bytes) -> K:
        return self._decode(self._key_codec, raw, raw)

    def _decode_pair(self, pair: tuple[bytes, bytes]) -> tuple[K, V]:
        key = self._decode_key(pair[0])
        return key, self._decode(self._codec, pair[1], key)

    def _decode_pairs(self, page: Sequence[tuple[bytes, bytes]]) -> list[tuple[K, V]]:
        keys = self._key_codec.decode_all([key for key, _ in page])
        return [*zip(keys, self._codec.decode_all([raw for _, raw in page]), strict=True)]

    def _decode_sum(self, replies: list[Reply]) -> float:
        return as_sum(self._number, replies[0])

    def _place(self, key: K) -> Place[V]:
        """Return the place of one field, to be compared and set."""
        field = self._field(key)
        script = load_script("hash_replace")

        async def read() -> bytes | None:
            return as_optional_bytes(await self._read_plain(("HGET", self.rkey, field), key))

        async def replace(stored: bytes | None, raw: bytes) -> tuple[bool, bytes | None]:
            call = script((self.rkey,), field, int(stored is not None), stored or b"", raw, self._policy())
            reply = as_array(await self._write_plain(call, key))
            return (True, raw) if as_int(reply[0]) else (False, as_optional_bytes(reply[1]))

        return Place(
            rkey=self.rkey,
            key=key,
            encode=lambda value: self._encode(self._codec, value, key),
            decode=lambda raw: self._decode(self._codec, raw, key),
            read=read,
            absent=self._default,
            replace=replace,
        )
