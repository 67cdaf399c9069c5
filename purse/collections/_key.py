"""RedisKey: a collection that is stored in one Redis key, and the commands for a key of any type."""

from __future__ import annotations

from collections.abc import AsyncIterator, Callable, Sequence
from datetime import timedelta
from typing import TYPE_CHECKING, TypeVar, cast

from purse._engine.replies import Reply, as_array, as_bytes, as_flag, as_int, as_optional_bytes, first
from purse._engine.unit import Command, Unit
from purse.codecs._shown import named
from purse.codecs._wording import short
from purse.collections._base import PAGE, Call, Decoder, RedisCollection, milliseconds
from purse.collections._operators import AwaitedInstead
from purse.collections._paging import OnError, iterate

if TYPE_CHECKING:
    from purse._engine.clients import RedisClient
    from purse.ttl import Lifetime

__all__ = ["RedisKey"]

T = TypeVar("T")
Raw = TypeVar("Raw")


class RedisKey(AwaitedInstead, RedisCollection):
    """One Redis key.

    Args:
        redis: the client. A collection never closes it.
        rkey: the key, used as it is.
        ttl: a ``TTL``, a ``timedelta`` or seconds: the policy that every write through this object applies.

    With a TTL policy the commands of a write go inside EVALSHA with_ttl. With ``TTL(renew="read")`` so do those of a
    read that returns stored values.

    A method sends one command, or gives the executor a unit of several:

                                    one command         a unit of several
        TTL policy      write       _write              _write_unit
                        read        _read               _read_unit
        without it      write       _write_plain        Unit(...)
                        read        _read_plain         Unit(..., read_only=True)
    """

    __slots__ = ("rkey",)

    rkey: str

    def __init__(self, redis: RedisClient, rkey: str, *, ttl: Lifetime | None = None) -> None:
        super().__init__(redis, rkey, ttl=ttl)
        self.rkey = rkey

    # --- commands on the key itself -------------------------------------------------------------

    async def expire(self, seconds: float | timedelta) -> bool:
        """Let the key expire after ``seconds`` (or a ``timedelta``), kept to the millisecond.

        The next write restarts a declared TTL policy with ``renew="write"`` or ``"read"``.

        Returns:
            True if the key exists and now has this time to live. Zero or less deletes the key.

        One round trip, O(1). Sends: PEXPIRE.
        """
        return as_flag(await self._write_plain(("PEXPIRE", self.rkey, milliseconds(seconds, 1000, "seconds"))))

    async def ttl(self) -> int:
        """The seconds left, rounded, -1 if the key never expires, or -2 without a key.

        One round trip, O(1). Sends: TTL.
        """
        return as_int(await self._read_plain(("TTL", self.rkey)))

    async def pttl(self) -> int:
        """The milliseconds left, -1 if the key never expires, or -2 without a key.

        One round trip, O(1). Sends: PTTL.
        """
        return as_int(await self._read_plain(("PTTL", self.rkey)))

    async def expires_in(self) -> timedelta | None:
        """The time left, or None if the key never expires.

        Raises:
            KeyError: the key does not exist.

        One round trip, O(1). Sends: PTTL.
        """
        left_ms = await self.pttl()
        if left_ms == -2:
            raise KeyError(self.rkey)
        return None if left_ms == -1 else timedelta(milliseconds=left_ms)

    async def persist(self) -> bool:
        """Remove the key's time to live. A declared policy sets it again at the next write.

        Returns:
            True if the key had a time to live.

        One round trip, O(1). Sends: PERSIST.
        """
        return as_flag(await self._write_plain(("PERSIST", self.rkey)))

    async def dump(self) -> bytes | None:
        """The key in the server's serialised form, for ``restore``, or None without a key.

        One round trip, O(n) in the size of the value. Sends: DUMP.
        """
        return as_optional_bytes(await self._read_plain(("DUMP", self.rkey)))

    # The boolean is positional because redis-purse 2.x had it so.
    async def restore(self, value: bytes, ttl: int | timedelta = 0, replace: bool = False) -> bool:
        """Create the key from what ``dump`` returned.

        Args:
            value: the serialised form. It includes the Redis type of the key.
            ttl: milliseconds, or a ``timedelta``. 0 applies the declared policy, if there is one. (Fields that expire
                one by one get the time that they had left.)
            replace: overwrite an existing key instead of refusing.

        Returns:
            True.

        Raises:
            redis.exceptions.ResponseError: the key exists (BUSYKEY), or ``value`` is damaged or from a newer server.
                Nothing was written.

        One round trip, O(n) in the size of the value. Sends: RESTORE.
        """
        if type(cast("object", value)) is not bytes:
            raise TypeError(
                f"{named(self.rkey)}: restore() takes the bytes that dump() returned, not {short(value)}: check "
                "for None first, which dump() returns for a key that does not exist"
            )
        ttl_ms = milliseconds(ttl, 1, "ttl=")
        command: Command = ("RESTORE", self.rkey, ttl_ms, value, *(("REPLACE",) if replace else ()))
        await (self._write_plain(command) if ttl_ms else self._write(command))
        return True

    async def key_type(self) -> str:
        """The Redis type of the key: ``"hash"``, ``"list"``, ..., ``"none"`` without a key.

        One round trip, O(1). Sends: TYPE.
        """
        return as_bytes(await self._read_plain(("TYPE", self.rkey))).decode()

    async def exists(self) -> bool:
        """Whether the key exists. An empty collection has no key.

        One round trip, O(1). Sends: EXISTS.
        """
        return as_flag(await self._read_plain(("EXISTS", self.rkey)))

    async def delete_redis_key(self) -> None:
        """Delete the key, of any type. The server frees its memory in the background.

        One round trip, O(1). Sends: UNLINK.
        """
        await self._write_plain(("UNLINK", self.rkey))

    async def clear(self) -> int:
        """Remove everything: the key and its TTL.

        Returns:
            1 if the key existed, else 0.

        One round trip, O(1): memory is freed in the background. Sends: UNLINK.
        """
        return as_int(await self._write_plain(("UNLINK", self.rkey)))

    # --- for the collections --------------------------------------------------------------------

    def _write(self, command: Command, field: object = None) -> Call:
        """Send a write, and apply the key's TTL policy."""
        if self._ttl is None:
            return self._executor.ask(command, self, field)
        return self._executor.execute(self._write_unit((command,), first, field=field))

    def _read(self, command: Command, field: object = None) -> Call:
        """Send a read that returns stored values, and renew the TTL if the policy has ``renew="read"``."""
        if self._ttl is None:
            return self._executor.ask_again(command, self, field)
        return self._executor.execute(self._read_unit((command,), first, field=field))

    def _write_unit(self, commands: Sequence[Command], decode: Decoder[T], *, field: object = None) -> Unit[T]:
        """Return the unit of plain write commands that also applies the key's TTL policy."""
        if self._ttl is None:
            return Unit(commands, decode, self, field=field)
        policy = "" if self._ttl.per_item else self._policy()
        return self._unit_with_ttl({self.rkey: policy}, commands, decode, field=field)

    def _read_unit(self, commands: Sequence[Command], decode: Decoder[T], *, field: object = None) -> Unit[T]:
        """Return the unit of reads of stored values that also renews the TTL for ``renew="read"``."""
        policy = self._read_policy()
        if not policy:
            return Unit(commands, decode, self, field=field, read_only=True)
        return self._unit_with_ttl({self.rkey: policy}, commands, decode, field=field, read_only=True)

    def _scan(
        self,
        command: str,
        match: str | bytes | None,
        batch_hint: int | None,
        page_of: Callable[[Reply], Sequence[Raw]],
        decode_page: Callable[[Sequence[Raw]], list[T]],
        decode: Callable[[Raw], T],
        on_error: OnError,
    ) -> AsyncIterator[T]:
        """Iterate over the results of HSCAN, SSCAN or ZSCAN. Other arguments as in ``iterate``.

        Args:
            page_of: turns the reply without its cursor into raw items.
        """
        options = ("COUNT", PAGE if batch_hint is None else batch_hint, *(() if match is None else ("MATCH", match)))
        cursor = b"0"

        async def fetch() -> tuple[Sequence[Raw], bool]:
            nonlocal cursor
            reply = as_array(await self._read_plain((command, self.rkey, cursor, *options)))
            cursor = as_bytes(reply[0])
            return page_of(reply[1]), cursor != b"0"

        return iterate(fetch, decode_page, lambda raw, _: decode(raw), on_error)
