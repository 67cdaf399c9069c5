"""RedisKeySpace: all Redis keys with one prefix, seen as one awaitable ``dict[K, V]``.

Every entry is a separate Redis string with a separate time to live, and no entry is ever part of a big reply.
``{garden}:sessions:`` with two entries is stored as

    Redis key                string (what the codec wrote)                time to live
    {garden}:sessions:ada    {"user":"ada","cart":["spinach"]}            1799 s
    {garden}:sessions:bob    {"user":"bob","cart":[]}                     none

Every method is one command, one MULTI or one script, and therefore atomic. ``modify``, ``edit`` and ``patch`` are a
read and a compare-and-set. ``get_or_create`` is a read, a script before the factory and a script after it (see
``_key_space_get_or_create``). Iteration, ``len`` and ``clear`` search for the keys among all keys of the database, page
by page. That is O(all keys), and not a snapshot: an entry that exists during the complete search is seen, an entry that
is added or removed during it may be seen, and an entry may be seen twice if the server resizes its table.

Only strings are entries. Iteration, ``len``, ``clear`` and ``get_many`` do not see keys of another Redis type under the
prefix. ``get`` and the other reads of such a key raise ``WrongKind``. ``set``, ``update`` and ``delete`` replace or
delete a key of any type.
"""

from __future__ import annotations

import inspect
from collections.abc import Awaitable, Callable
from datetime import timedelta
from functools import partial
from typing import TYPE_CHECKING, ClassVar, Literal, cast, overload

from typing_extensions import TypeVar

from purse._engine.hooks import refuse_in_atomic
from purse._engine.replies import Reply, as_array, as_bytes, as_flag, as_int, as_optional_bytes
from purse._engine.scripts import ScriptCall, load_script
from purse._engine.unit import Command
from purse.codecs import Codec
from purse.codecs._wording import short
from purse.collections._base import milliseconds
from purse.collections._compare_and_set import Changing, Place, default_of
from purse.collections._field_options import field_options
from purse.collections._key_space_entries import MAX_MS, Duration, lifetime_ms, policy_of, was_stored
from purse.collections._key_space_get_or_create import Making
from purse.collections._key_space_many import ManyEntries
from purse.collections._missing import MISSING, Missing
from purse.collections._numbers import addend, as_sum
from purse.collections._single_flight import single_flight

if TYPE_CHECKING:
    from typing_extensions import TypeForm

    from purse._engine.clients import RedisClient
    from purse.codecs import CodecFactory
    from purse.ttl import Lifetime

__all__ = ["RedisKeySpace"]

V = TypeVar("V")
K = TypeVar("K", default=str)
D = TypeVar("D")
T = TypeVar("T")  # of field(): the annotation in front of it says what they are
U = TypeVar("U")


class RedisKeySpace(ManyEntries[V, K], Changing[V, K]):
    """All Redis keys with one prefix as an awaitable mapping of ``K`` to ``V``.

    Args:
        redis: the client, ``redis.asyncio.Redis``. The collection never closes it.
        prefix: the beginning of the Redis keys, used as it is. A key is appended without a separator.
        value_type: any type that pydantic validates. ``str`` and ``bytes`` are stored raw, everything else as JSON.
        key_type: the type of the keys. Its values must be hashable and have a canonical form.
        codec: stores the values in another way than ``value_type`` does by default.
        ttl: a ``TTL``, a ``timedelta`` or seconds: the policy that every write applies. Each entry has a separate time
            to live, with ``per_item`` or without.
        suffix: the end of the Redis keys. A ``{`` at the end of the prefix and ``}`` as suffix spread the entries over
            all slots of a cluster. Calls for several entries then cannot be one step: ``update`` and ``set_many`` are
            refused, and ``get_many``, ``delete_many``, ``clear`` and iteration send a command for each entry.
        default: the value that ``get``, ``modify``, ``edit`` and ``patch`` use for a missing key, a copy each time.
            Only the last three store it, with the change. Methods of many entries leave out a missing key.
        default_factory: makes such a value, called each time.

    Attributes:
        prefix, suffix: as given.

    Raises:
        DeclarationError: a type or a default that cannot be stored, or an empty prefix.
        TypeError: ``redis`` is not a ``redis.asyncio.Redis``.

    Iterating (``async for key, value in space``) yields pairs, unlike ``dict``. Construction does no I/O.

    Iteration, ``len`` and ``clear`` search all keys of the server. On a node of a cluster, which has only a part of the
    keys, they raise ``UnsupportedServer``. To detect that, the first such call on a connection sends HELLO before its
    SCAN.
    """

    __slots__ = ("_default",)

    __purse_structure__ = True
    __purse_together__: ClassVar[tuple[tuple[str, str], ...]] = (
        ("GET", "get_many(keys)"),
        ("SET", "update(mapping)"),
        ("UNLINK", "delete_many(keys)"),
    )

    def __init__(
        self,
        redis: RedisClient,
        prefix: str,
        value_type: TypeForm[V],
        *,
        key_type: TypeForm[K] = str,  # type: ignore[assignment]  # K's default, which a checker cannot know
        codec: Codec[V] | CodecFactory | None = None,
        ttl: Lifetime | None = None,
        suffix: str = "",
        default: V | Missing = MISSING,
        default_factory: Callable[[], V] | None = None,
    ) -> None:
        super().__init__(redis, prefix, value_type, key_type, codec, ttl, suffix)
        self._default = default_of(default, default_factory, prefix, self._codec, partial(self._encode, self._codec))

    @staticmethod
    def field(
        *,
        slots: Literal["key"] | None = None,
        default: T | Missing = MISSING,
        default_factory: Callable[[], T] | None = None,
        ttl: Lifetime | None = None,
        codec: Codec[T] | CodecFactory | None = None,
        key: str | None = None,
        rkey: str | None = None,
    ) -> RedisKeySpace[T, U]:  # pyright: ignore[reportInvalidTypeVarUse] - the annotation gives U
        """Options of a field of a ``Store``: ``drafts: RedisKeySpace[str] = RedisKeySpace.field(slots="key")``.

        Args:
            slots: ``"key"`` gives each entry a separate hash slot on a cluster, ``garden::sessions:{<key>}``. A step
                with several entries is then not possible, see docs/store.md.
            default: the value that ``get``, ``modify``, ``edit`` and ``patch`` use for a missing key.
            default_factory: makes such a value, called each time.
            ttl, codec, key, rkey: as for ``purse.field``.
        """
        return field_options(
            RedisKeySpace,
            ttl=ttl,
            codec=codec,
            key=key,
            rkey=rkey,
            slots=slots,
            default=default,
            default_factory=default_factory,
        )

    # --- one entry ------------------------------------------------------------------------------

    # The booleans are positional because redis-purse 2.x had them so.
    async def set(
        self,
        key: K,
        value: V,
        ex: Duration | None = None,
        px: Duration | None = None,
        nx: bool = False,
        xx: bool = False,
        keepttl: bool = False,
    ) -> bool:
        """Store ``value`` under ``key``, and replace any earlier value, of any Redis type.

        Without ``ex``, ``px`` and ``keepttl`` the declared policy applies. Without a policy the entry never expires,
        even if the replaced entry had a time to live.

        Args:
            ex: let the entry expire after so many seconds, or a ``timedelta``, kept to the millisecond.
            px: the same in milliseconds.
            nx: only if the entry does not exist.
            xx: only if the entry exists.
            keepttl: keep the time that the entry has left.

        Returns:
            Whether it was stored.

        Raises:
            EncodeError: ``value`` or ``key`` does not fit the declared type. Nothing was sent.
            ValueError: options that exclude each other, or a duration below 1 ms. Nothing was sent.

        One round trip, O(1). Sends: SET, or with ``TTL(renew="never")`` EVALSHA key_space_set.
        """
        name = self._names.name(key)
        raw = self._encode(self._codec, value, key)
        if nx and xx:
            raise ValueError(
                "nx=True stores only a new entry and xx=True replaces only an existing one: pass one of them"
            )
        ms = lifetime_ms(ex, px, keepttl=keepttl)
        if ms is None and not keepttl and self._ttl is not None:
            if self._ttl.renew == "never" and not nx:
                call = load_script("key_space_set")((name,), "XX" if xx else "", raw, self._policy())
                return was_stored(await self._write_plain(call, key))
            ms = self._ttl.__purse_draw_ms__()
        clock = ("KEEPTTL",) if keepttl else () if ms is None else ("PX", ms)
        condition = ("NX",) if nx else ("XX",) if xx else ()
        return was_stored(await self._write_plain(("SET", name, raw, *clock, *condition), key))

    @overload
    async def get(self, key: K) -> V | None: ...
    @overload
    async def get(self, key: K, default: D) -> V | D: ...
    async def get(self, key: K, default: object = MISSING) -> V | object:
        """The value under ``key``, or else ``default``, the key space's default, or None, in this order.

        Raises:
            DecodeError: the stored bytes are not a valid value. They are not changed.
            WrongKind: the Redis key holds another type.

        One round trip, O(1). Sends: GET, or with ``TTL(renew="read")`` GETEX.
        """
        raw = await self._read_plain(self._get_command(self._names.name(key)), key)
        if raw is None:
            return default if default is not MISSING else self._default and self._default(key)
        return self._decode(self._codec, as_bytes(raw), key)

    # The booleans are there, and positional, because redis-purse 2.x had them so.
    async def setdefault(
        self,
        key: K,
        value: V,
        ex: Duration | None = None,
        px: Duration | None = None,
        nx: bool = False,
        xx: bool = False,
        keepttl: bool = False,
    ) -> V:
        """Store ``value`` unless ``key`` exists, and return the value that is stored now.

        The check and the write are one script, so of many concurrent callers exactly one stores its value and all of
        them return that one. An existing value is never overwritten.

        Args:
            ex, px: as for ``set``, for a value that this call stores.
            nx, xx, keepttl: without effect, but redis-purse 2.x had them.

        Raises:
            EncodeError: ``value`` or ``key`` does not fit the declared type. Nothing was sent.
            ValueError: ``ex`` and ``px``, or a duration below 1 ms. Nothing was sent.
            DecodeError: the bytes already stored are not a valid value. They are not changed.
            WrongKind: the Redis key holds another type.

        One round trip, O(1). Sends: EVALSHA key_space_setdefault.
        """
        raw = self._encode(self._codec, value, key)
        stored = await self._store_default(self._names.name(key), raw, lifetime_ms(ex, px), key)
        return value if stored is raw else self._decode(self._codec, stored, key)

    async def get_or_create(
        self,
        key: K,
        factory: Callable[[], V | Awaitable[V]],
        *,
        ex: Duration | None = None,
        px: Duration | None = None,
    ) -> V:
        """Return the value under ``key``. If there is none, store and return the value of ``factory``.

        Concurrent callers of one event loop, with this or another object on the same client, share one call of a
        factory. Several processes may each call their factory. One value is stored and all return that one. Each caller
        gets a separate object. A cancelled caller leaves the factory to the other callers. The factory is cancelled
        only with the last of them.

        The data that the factory has read may be out of date when it ends. So a value is not stored if the entry was
        removed while the value was made, by ``delete``, ``delete_many``, ``pop``, ``expire(key, 0)`` or ``clear`` of
        any process, and no call that begins after the removal returns it. A value that another caller wrote in between
        is kept and returned.

        Args:
            factory: takes no argument and returns the value, or an awaitable of it.
            ex, px: as for ``set``, for a value that this call stores.

        Raises:
            Exception: the error of ``factory``, raised in all callers that waited for it. The next call tries again.
            EncodeError: ``factory`` returned a value that cannot be stored, or ``key`` does not fit. Nothing was
                stored.
            ValueError: ``ex`` and ``px``, or a duration below 1 ms. Nothing was sent.
            DecodeError: the bytes already stored are not a valid value. They are not changed.
            WrongKind: the Redis key holds another type.
            RuntimeError: ``factory`` itself calls this for the same key.

        A value that takes more than an hour to make is returned and not stored.

        One round trip if the value exists, else three, and the time of ``factory``. O(1). Sends: GET (with
        ``TTL(renew="read")`` GETEX), EVALSHA key_space_claim, EVALSHA key_space_made.
        """
        refuse_in_atomic("get_or_create")
        if not callable(factory):
            raise TypeError(
                f"{self._where(key)}: get_or_create() takes a function that makes the value, not {short(factory)}: "
                "to store a value, write setdefault(key, value)"
            )
        name = self._names.name(key)
        ms = lifetime_ms(ex, px)

        async def look() -> bytes | None:
            return as_optional_bytes(await self._read_plain(self._get_command(name), key))

        async def make() -> bytes:
            made = factory()
            value = await cast("Awaitable[V]", made) if inspect.isawaitable(made) else made
            return self._encode(self._codec, value, key)

        def attempt() -> Making:
            policy = self._policy() if ms is None else policy_of(ms)
            return Making(name, self._names.marker(name), send, policy, self._read_policy())

        def send(call: ScriptCall, again: bool) -> Awaitable[Reply]:
            return (self._executor.ask_again if again else self._executor.ask)(call, self, key)

        raw = await single_flight((self._executor, name), look, make, attempt)
        return self._decode(self._codec, raw, key)

    @overload
    async def pop(self, key: K) -> V | None: ...
    @overload
    async def pop(self, key: K, default: D) -> V | D: ...
    async def pop(self, key: K, default: object = None) -> V | object:
        """Remove ``key`` and return its value, or ``default`` if it does not exist.

        Each value goes to at most one caller. If the connection is lost before the reply arrives, the value is lost
        (delivery at most once). If the caller is cancelled by then, the value is put back with the time it had left,
        unless another one was stored under ``key`` since. A value that a ``get_or_create`` is making at this time is
        not stored.

        Raises:
            DecodeError: the removed bytes are not a valid value. The error's ``raw`` holds them.
            WrongKind: the Redis key holds another type.

        One round trip, O(1). Sends: UNLINK of the entry's marker, PTTL, GETDEL.
        """
        name = self._names.name(key)
        taken = await self._executor.take(self._taking(name, key), lambda: self._line(name, key))
        return self._decode_taken(self._codec, taken[0][0], key) if taken else default

    async def delete(self, key: K) -> int:
        """Remove ``key``, of any Redis type. The server frees its memory in the background.

        A value that a ``get_or_create`` is making at this time is not stored. So after a change of the data that a
        factory reads, one ``delete`` is enough.

        Returns:
            1 if it existed, else 0.

        One round trip, O(1). Sends: UNLINK of the entry's marker, UNLINK.
        """
        return as_int(await self._executor.execute(self._removal(self._names.name(key), "UNLINK", key)))

    async def contains(self, key: K) -> bool:
        """Whether the Redis key of ``key`` exists. Never restarts a TTL.

        One round trip, O(1). Sends: EXISTS.
        """
        return as_flag(await self._read_plain(("EXISTS", self._names.name(key)), key))

    @overload
    async def increment(self: RedisKeySpace[int, K], key: K, amount: int = 1) -> int: ...
    @overload
    async def increment(self: RedisKeySpace[float, K], key: K, amount: float = 1) -> float: ...
    async def increment(self, key: K, amount: float = 1) -> float:
        """Add ``amount`` to the number under ``key`` on the server. A missing one counts as 0.

        Only for a ``value_type`` of ``int`` or ``float`` without constraints, with the default codec: for anything else
        use ``modify``, which validates. Without a policy the entry keeps the time it has left.

        Returns:
            The sum. Floats are added by Redis with more digits than Python's: 0.1 + 0.2 gives 0.3.

        Raises:
            TypeError: the values are not declared as ``int`` or ``float``. Use ``modify``.
            EncodeError: ``amount`` is not such a number, or beyond 64 bits. Nothing was sent.
            DecodeError: the stored value is not such a number. It is not changed.
            WrongKind: the Redis key holds another type.
            redis.exceptions.ResponseError: a sum of ints would not fit 64 bits. Nothing was changed.

        One round trip, O(1). Sends: INCRBY or INCRBYFLOAT.
        """
        name = self._names.name(key)
        added = addend(self._number, amount, key=self.prefix, field=key)
        command = ("INCRBY" if self._number == "int" else "INCRBYFLOAT", name, added)
        if self._ttl is None:
            return as_sum(self._number, await self._write_plain(command, key))
        call = load_script("with_ttl")((name,), self._policy(), len(command), *command)
        return as_sum(self._number, as_array(await self._write_plain(call, key))[0])

    # --- the time of an entry -------------------------------------------------------------------

    async def ttl(self, key: K) -> int:
        """The seconds left, rounded, -1 if the entry never expires, or -2 without an entry.

        One round trip, O(1). Sends: TTL.
        """
        return as_int(await self._read_plain(("TTL", self._names.name(key)), key))

    async def pttl(self, key: K) -> int:
        """The milliseconds left, -1 if the entry never expires, or -2 without an entry.

        One round trip, O(1). Sends: PTTL.
        """
        return as_int(await self._read_plain(("PTTL", self._names.name(key)), key))

    async def expires_in(self, key: K) -> timedelta | None:
        """The time left, or None if the entry never expires.

        Raises:
            KeyError: the entry does not exist.

        One round trip, O(1). Sends: PTTL.
        """
        left_ms = await self.pttl(key)
        if left_ms == -2:
            raise KeyError(key)
        return None if left_ms == -1 else timedelta(milliseconds=left_ms)

    async def expire(self, key: K, seconds: Duration) -> bool:
        """Let the entry expire after ``seconds`` (or a ``timedelta``), kept to the millisecond.

        The next write restarts a declared TTL policy with ``renew="write"`` or ``"read"``.

        Returns:
            True if the entry exists and now has this time to live. Zero or less deletes it.

        One round trip, O(1). Sends: PEXPIRE, or for zero or less the same as ``delete``.
        """
        return await self._expire(key, milliseconds(seconds, 1000, "seconds"))

    async def pexpire(self, key: K, millis: Duration) -> bool:
        """Let the entry expire after ``millis`` milliseconds (or a ``timedelta``). Otherwise as ``expire``.

        One round trip, O(1). Sends: PEXPIRE.
        """
        return await self._expire(key, milliseconds(millis, 1, "millis"))

    async def persist(self, key: K) -> bool:
        """Remove the entry's time to live. A declared policy sets it again at the next write.

        Returns:
            True if the entry had a time to live.

        One round trip, O(1). Sends: PERSIST.
        """
        return as_flag(await self._write_plain(("PERSIST", self._names.name(key)), key))

    # --- private ------------------------------------------------------------------------------------

    def _get_command(self, name: bytes) -> Command:
        """Return the command that reads a value, which also renews the TTL for ``renew="read"``."""
        ttl = self._ttl
        return (
            ("GETEX", name, "PX", ttl.__purse_draw_ms__()) if ttl is not None and ttl.renew == "read" else ("GET", name)
        )

    async def _expire(self, key: K, ms: int) -> bool:
        if ms > MAX_MS:
            raise ValueError(
                f"an entry lives for at most {MAX_MS} ms, not {ms} ms: to keep it for ever, call persist(key)"
            )
        if ms <= 0:
            return bool(await self.delete(key))
        return as_flag(await self._write_plain(("PEXPIRE", self._names.name(key), ms), key))

    async def _store_default(self, name: bytes, raw: bytes, ms: int | None, key: K) -> bytes:
        """Store ``raw`` unless there is a value. Returns the object ``raw`` itself if it was stored, else the value."""
        policy = self._policy() if ms is None else policy_of(ms)
        call = load_script("key_space_setdefault")((name,), raw, policy, self._read_policy())
        stored = as_optional_bytes(await self._write_plain(call, key))
        return raw if stored is None else stored

    def _place(self, key: K) -> Place[V]:
        """Return the place of one entry, to be compared and set."""
        name = self._names.name(key)
        script = load_script("key_space_replace")

        async def read() -> bytes | None:
            return as_optional_bytes(await self._read_plain(("GET", name), key))

        async def replace(stored: bytes | None, raw: bytes) -> tuple[bool, bytes | None]:
            call = script((name,), int(stored is not None), stored or b"", raw, self._policy())
            reply = as_array(await self._write_plain(call, key))
            return (True, raw) if as_int(reply[0]) else (False, as_optional_bytes(reply[1]))

        return Place(
            rkey=self.prefix,
            key=key,
            encode=lambda value: self._encode(self._codec, value, key),
            decode=lambda raw: self._decode(self._codec, raw, key),
            read=read,
            absent=self._default,
            replace=replace,
        )
