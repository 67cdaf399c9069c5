"""RedisKey: what every collection that lives in one Redis key has in common.

A collection is a client, a key, codecs and options; it holds no data and no connection. Each method
builds one ``Unit`` and hands it to the client's executor.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Coroutine, Iterable, Iterator, Sequence
from datetime import timedelta
from typing import TYPE_CHECKING, ClassVar, TypeAlias, overload

from redis.exceptions import NoPermissionError, OutOfMemoryError, ReadOnlyError, RedisError, ResponseError
from typing_extensions import TypeVar

from purse._engine.clients import RedisClient
from purse._engine.executor import executor_for
from purse._engine.replies import Reply, as_array, as_bytes, as_flag, as_int, as_optional_bytes, first
from purse._engine.scripts import ScriptCall, load_script
from purse._engine.unit import Command, Executor, Unit
from purse._value_codecs import ValueCodec
from purse._wording import shown
from purse.collections._paging import collector_paused
from purse.errors import DeclarationError, DecodeError, EncodeError, UnsupportedServer, WrongKind
from purse.ttl import TTL

if TYPE_CHECKING:
    from typing import Self

    from purse._fields import FieldSpec

T = TypeVar("T")

Decoder: TypeAlias = Callable[[list[Reply]], T]
Call: TypeAlias = Coroutine[object, None, Reply]

__all__ = ["PAGE", "Decoder", "RedisKey", "paged", "total"]

PAGE = 500
"""Elements in one command of a bulk read or write: long enough to be fast, short enough that a small
call behind it does not wait."""

# What a command inside a script is refused with, for which redis-py has classes when it is alone.
_REFUSED_IN_SCRIPT: tuple[tuple[str, type[ResponseError]], ...] = (
    ("-OOM ", OutOfMemoryError),
    ("-READONLY ", ReadOnlyError),
    ("executing the script can't run this command", NoPermissionError),
    ("ACL failure in script", NoPermissionError),
)
_UNKNOWN_COMMAND = re.compile(r"unknown (redis )?command", re.IGNORECASE)


class RedisKey:
    """One Redis key: its client, its name, and the commands that work on a key of any type.

    Args:
        redis: the client; never closed by a collection.
        rkey: the key, used as it is.
        ttl: a policy that every write through this object carries.

    Attributes:
        declared_as: the names of the store class and of its field that this is, or None.

    Raises:
        TypeError: ``redis`` is not a ``redis.asyncio.Redis``, or ``rkey`` not a ``str``.
        DeclarationError: this collection cannot keep such a policy, or ``rkey`` has no UTF-8 form.
    """

    __slots__ = ("__weakref__", "_executor", "_ttl", "declared_as", "redis", "rkey")

    _redis_type: ClassVar[str] = ""
    _items_can_expire: ClassVar[bool] = False

    redis: RedisClient
    rkey: str
    declared_as: tuple[str, str] | None
    _executor: Executor

    def __init__(self, redis: RedisClient, rkey: str, *, ttl: TTL | None = None) -> None:
        if type(rkey) is not str:
            raise TypeError(f"a key is a str, got {rkey!r}; bytes keys that are UTF-8 can be decoded first")
        if ttl is not None and ttl.per_item and not self._items_can_expire:
            raise DeclarationError(
                f"{rkey}: a {type(self).__name__} has no time to live per item; drop per_item=True, "
                "and the TTL applies to the whole key"
            )
        try:
            rkey.encode()
        except UnicodeEncodeError:
            raise DeclarationError(f"the key {rkey!r} contains a lone surrogate, which has no UTF-8 form") from None
        self.redis = redis
        self.rkey = rkey
        self.declared_as = None
        self._ttl = ttl
        self._executor = executor_for(redis)

    if TYPE_CHECKING:
        # In a Store class an annotation `plants: RedisHash[Plant]` is a declaration: the class attribute
        # is a FieldSpec, the instance attribute the collection. At run time the FieldSpec does this.
        @overload
        def __get__(self, instance: None, owner: type[object]) -> FieldSpec[Self]: ...
        @overload
        def __get__(self, instance: object, owner: type[object]) -> Self: ...
        def __get__(self, instance: object, owner: type[object]) -> FieldSpec[Self] | Self: ...

    def __repr__(self) -> str:
        return f"<{type(self).__name__} {self.rkey!r}>"

    # --- commands on the key itself -------------------------------------------------------------

    async def expire(self, seconds: float | timedelta) -> bool:
        """Let the key expire after ``seconds`` (or a ``timedelta``), kept to the millisecond.

        The next write restarts a declared TTL policy with ``renew="write"`` or ``"read"``.

        Returns:
            True if the key exists and now has this time to live. Zero or less deletes the key.

        One round trip, O(1). Sends: PEXPIRE.
        """
        return as_flag(await self._send(("PEXPIRE", self.rkey, _milliseconds(seconds, 1000))))

    async def ttl(self) -> int:
        """Seconds left, rounded; -1 if the key never expires, -2 if there is no key.

        One round trip, O(1). Sends: TTL.
        """
        return as_int(await self._look(("TTL", self.rkey)))

    async def pttl(self) -> int:
        """Milliseconds left; -1 if the key never expires, -2 if there is no key.

        One round trip, O(1). Sends: PTTL.
        """
        return as_int(await self._look(("PTTL", self.rkey)))

    async def expires_in(self) -> timedelta | None:
        """The time left, or None if the key never expires.

        Raises:
            KeyError: there is no such key.

        One round trip, O(1). Sends: PTTL.
        """
        left_ms = await self.pttl()
        if left_ms == -2:
            raise KeyError(self.rkey)
        return None if left_ms == -1 else timedelta(milliseconds=left_ms)

    async def persist(self) -> bool:
        """Take the key's time to live away; a declared policy sets it again at the next write.

        Returns:
            True if there was one.

        One round trip, O(1). Sends: PERSIST.
        """
        return as_flag(await self._send(("PERSIST", self.rkey)))

    async def dump(self) -> bytes | None:
        """The key in the server's own serialised form, for ``restore``; None if there is no key.

        One round trip, O(n) in the size of the value. Sends: DUMP.
        """
        return as_optional_bytes(await self._look(("DUMP", self.rkey)))

    # The boolean is positional because redis-purse 2.x had it so.
    async def restore(self, value: bytes, ttl: int | timedelta = 0, replace: bool = False) -> bool:
        """Create the key from what ``dump`` returned.

        Args:
            value: the serialised form; it also says which Redis type the key gets.
            ttl: milliseconds, or a ``timedelta``; 0 applies the declared policy, or none. (Fields that expire
                one by one come back with the time they had left.)
            replace: overwrite an existing key instead of refusing.

        Returns:
            True.

        Raises:
            redis.exceptions.ResponseError: the key exists (BUSYKEY), or ``value`` is damaged or from a
                newer server; nothing was written.

        One round trip, O(n) in the size of the value. Sends: RESTORE.
        """
        ttl_ms = _milliseconds(ttl, 1)
        command: Command = ("RESTORE", self.rkey, ttl_ms, value, *(("REPLACE",) if replace else ()))
        await (self._send(command) if ttl_ms else self._write(command))
        return True

    async def key_type(self) -> str:
        """The Redis type of the key: ``"hash"``, ``"list"``, ..., ``"none"`` if there is no key.

        One round trip, O(1). Sends: TYPE.
        """
        return as_bytes(await self._look(("TYPE", self.rkey))).decode()

    async def exists(self) -> bool:
        """Whether the key exists; an empty collection has no key.

        One round trip, O(1). Sends: EXISTS.
        """
        return as_flag(await self._look(("EXISTS", self.rkey)))

    async def delete_redis_key(self) -> None:
        """Delete the key, whatever type it has; its memory is freed in the background.

        One round trip, O(1). Sends: UNLINK.
        """
        await self._send(("UNLINK", self.rkey))

    async def clear(self) -> int:
        """Remove everything; the key is gone, its TTL with it.

        Returns:
            1 if there was anything, else 0.

        One round trip, O(1): memory is freed in the background. Sends: UNLINK.
        """
        return as_int(await self._send(("UNLINK", self.rkey)))

    # --- for the collections --------------------------------------------------------------------

    def explain(self, error: Exception, field: object) -> Exception:
        """Turn an error of Redis into one that names the key (the engine calls this)."""
        text = str(error)
        where = self._where(field)
        if isinstance(error, ResponseError):
            if "WRONGTYPE" in text:
                return WrongKind(
                    f"{where}: the key does not hold a {self._redis_type}, so {type(self).__name__} left it alone. "
                    "key_type() says what it holds; choose another key, or delete it with delete_redis_key().",
                    key=self.rkey,
                )
            if _UNKNOWN_COMMAND.search(text):
                return UnsupportedServer(
                    f"{where}: the server does not know a command that is needed here ({text}). Nothing was "
                    "written. TTL(per_item=True) needs Redis >= 7.4 or Valkey >= 9; everything else Redis >= 6.2.",
                    key=self.rkey,
                )
            if type(error) is ResponseError:
                refusal = next((kind for words, kind in _REFUSED_IN_SCRIPT if words in text), None)
                error = error if refusal is None else refusal(text)
        if isinstance(error, RedisError):
            error.add_note(f"purse: {type(self).__name__} {where}")
        return error

    def _where(self, field: object = None) -> str:
        return self.rkey if field is None else f"{self.rkey}[{field!r}]"

    # One command and its reply. What is returned is a coroutine to await: a coroutine around it would cost each call.

    def _send(self, command: Command | ScriptCall, field: object = None) -> Call:
        """A write that concerns no TTL policy."""
        return self._executor.ask(command, self, field)

    def _look(self, command: Command, field: object = None) -> Call:
        """A read that never renews a TTL."""
        return self._executor.ask(command, self, field, True)

    def _write(self, command: Command, field: object = None) -> Call:
        """A write, with what the key's TTL policy owes for it."""
        if self._ttl is None:
            return self._executor.ask(command, self, field)
        return self._executor.execute(self._writing((command,), first, field=field))

    def _read(self, command: Command, field: object = None) -> Call:
        """A read that returns stored values, with what ``renew="read"`` owes for it."""
        if self._ttl is None:
            return self._executor.ask(command, self, field, True)
        return self._executor.execute(self._reading((command,), first, field=field))

    def _policy(self) -> str:
        """The TTL policy as the scripts take it, with this write's own jitter; see lua/renew.lua."""
        ttl = self._ttl
        if ttl is None:
            return ""
        return f"{'item' if ttl.per_item else 'key'}{'-once' if ttl.renew == 'never' else ''}:{ttl.draw_ms()}"

    def _read_policy(self) -> str:
        """What a read that returns stored values owes: nothing, unless the policy says ``renew="read"``."""
        return self._policy() if self._ttl is not None and self._ttl.renew == "read" else ""

    def _writing(self, commands: Sequence[Command], decode: Decoder[T], *, field: object = None) -> Unit[T]:
        """The unit of plain write commands, with what the key's TTL policy owes for them."""
        if self._ttl is None:
            return Unit(commands, decode, self, field=field)
        policy = "" if self._ttl.per_item else self._policy()
        return self._with_ttl({self.rkey: policy}, commands, decode, field=field)

    def _reading(self, commands: Sequence[Command], decode: Decoder[T], *, field: object = None) -> Unit[T]:
        """The unit of commands that return stored values, with what ``renew="read"`` owes for them."""
        policy = self._read_policy()
        if not policy:
            return Unit(commands, decode, self, field=field, read_only=True)
        return self._with_ttl({self.rkey: policy}, commands, decode, field=field, read_only=True)

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
                f"{self._where(field)} cannot store this value: {error} Nothing was sent.", key=self.rkey, field=field
            ) from error.__cause__

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
        return DecodeError(f"{self._where(field)} {error} {fate}", key=self.rkey, field=field, raw=raw)


def total(replies: list[Reply]) -> int:
    """Decode a unit of pages, each of which answers an integer: their sum."""
    return sum(as_int(reply) for reply in replies)


def paged(items: Sequence[T], size: int = PAGE) -> Iterator[tuple[T, ...]]:
    """``items`` cut into pieces of at most ``size``."""
    return (tuple(items[start : start + size]) for start in range(0, len(items), size))


def _milliseconds(duration: float | timedelta, unit_ms: int) -> int:
    if isinstance(duration, timedelta):
        return round(duration / timedelta(milliseconds=1))
    return round(duration * unit_ms)
