"""Entries: the parts of a key space below its public methods.

    Entries             names, codecs, policies; reading, deleting and searching many keys
    +-- ManyEntries     calls for several entries, or all of them     ``collections._key_space_many``
        +-- RedisKeySpace                                             ``collections.key_space``

Iteration requests the values of one page and the keys of the next in one MULTI, so that a page is one round trip. It is
one step of one task, and is sent before the current page is decoded (``collections._paging``).

    SCAN 1 --> names 1 --- MGET 1 ---> values 1    decode and hand out 1
                           SCAN 2 ---> names 2 --- MGET 2 ---> values 2 ...
                                                   SCAN 3 ---> names 3 ...
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Sequence
from datetime import timedelta
from operator import itemgetter
from typing import TYPE_CHECKING, ClassVar, Generic, TypeAlias, cast

from redis.exceptions import ResponseError
from typing_extensions import TypeVar

from purse._engine.hooks import refuse_in_atomic
from purse._engine.replies import Reply, as_all_bytes, as_array, as_bytes, as_int, as_optional_bytes
from purse._engine.scripts import ScriptCall, load_script
from purse._engine.slots import hash_tag
from purse._engine.unit import Command, Unit
from purse.codecs import Codec
from purse.codecs._binding import bind_codec
from purse.codecs._shown import named, shown
from purse.collections._base import PAGE, RedisCollection, milliseconds, paged, total
from purse.collections._key_space_names import KeyNames
from purse.collections._numbers import Number, not_a_number, number_of
from purse.collections._object import RedisType
from purse.collections._operators import MAPPING, AwaitedInstead
from purse.collections._paging import Fetch
from purse.errors import DeclarationError, UnsupportedServer, WrongKind

if TYPE_CHECKING:
    from typing_extensions import TypeForm

    from purse._engine.clients import RedisClient
    from purse._engine.waiting import Line
    from purse.codecs import CodecFactory
    from purse.ttl import Lifetime

__all__ = ["MAX_MS", "Duration", "Entries", "Entry", "lifetime_ms", "on_a_cluster_node", "policy_of", "was_stored"]

V = TypeVar("V")
K = TypeVar("K", default=str)

Entry: TypeAlias = tuple[bytes, bytes]
"""The name of a Redis key, and the bytes under it."""

Taken: TypeAlias = tuple[bytes, int]
"""The bytes that were under a key, and the milliseconds that they had left, or 0 or less for ever or not known."""

Duration: TypeAlias = float | timedelta
"""A number of the unit that the argument is named after, or a ``timedelta``."""

MAX_MS = 2**53  # above this a Lua script, whose numbers are doubles, could not count the milliseconds


class Entries(AwaitedInstead, RedisCollection, Generic[V, K]):
    """The keys with one prefix. ``RedisKeySpace`` describes the arguments."""

    __slots__ = ("_codec", "_names", "_number", "_spread", "prefix", "suffix")

    redis_type: ClassVar[RedisType] = "string"
    _items_can_expire = True
    _instead = MAPPING

    prefix: str
    suffix: str

    def __init__(
        self,
        redis: RedisClient,
        prefix: str,
        value_type: TypeForm[V],
        key_type: TypeForm[K],
        codec: Codec[V] | CodecFactory | None,
        ttl: Lifetime | None,
        suffix: str,
    ) -> None:
        super().__init__(redis, prefix, ttl=ttl)
        if type(suffix) is not str:
            raise TypeError(f"{named(prefix)}: a suffix must be a str, not {shown(suffix)}")
        try:
            suffix.encode()
        except UnicodeEncodeError:
            raise DeclarationError(
                f"{named(prefix)}: the suffix {shown(suffix)} contains a lone surrogate: remove it"
            ) from None
        if not prefix:
            raise DeclarationError(
                "the prefix of a key space is empty, so every key of the database would be an entry and clear() would "
                'delete them all: write for example prefix="sessions:"'
            )
        self.prefix = prefix
        self.suffix = suffix
        self.__purse_spread__: bool = bool(suffix)
        self._spread = self.__purse_spread__
        self._codec = bind_codec(value_type, codec)
        self._names = KeyNames(prefix, suffix, key_type)
        self._number: Number | None = number_of(value_type, self._codec)

    # --- for the engine -------------------------------------------------------------------------

    def __purse_explain__(self, error: Exception, field: object) -> Exception:
        """See ``Origin``."""
        refusal = not_a_number(error, self._where(field), self.prefix, field)
        if refusal is not None:
            return refusal
        if isinstance(error, ResponseError) and "WRONGTYPE" in str(error):
            return WrongKind(
                f"{self._where(field)}: the Redis key does not hold a string, so RedisKeySpace did not change "
                "it. Choose another key, or remove this one with delete(key).",
                key=self.prefix,
            )
        return super().__purse_explain__(error, field)

    def __purse_slot_of__(self, field: object) -> str:
        """See ``Origin``: with a suffix it is the slot of the entry, so ``field`` must be its key."""
        if not self._spread or field is None:
            return super().__purse_slot_of__(field)
        return hash_tag(self._names.name(cast("K", field)).decode(errors="surrogateescape"))

    # --- policies and many commands -----------------------------------------------------------------

    def _policy(self) -> str:
        # Each entry is a key, so "its own clock" and "the key's clock" are the same.
        return super()._policy().replace("item", "key", 1)

    async def _fetch_all(self, names: Sequence[bytes], method: str) -> list[bytes | None]:
        """Return the bytes under each of ``names``, and renew their TTL for ``renew="read"``."""
        pages = paged(names, 1 if self._spread else PAGE)
        commands: list[Command | ScriptCall]
        if self._read_policy():
            script = load_script("key_space_read")
            commands = [script(tuple(page), *(self._policy() for _ in page)) for page in pages]
        else:
            commands = [("MGET", *page) for page in pages]
        return _flat(await self._execute_all(commands, method, read_only=True))

    def _removal(self, name: bytes, command: str, field: object = None) -> Unit[Reply]:
        """Return the unit that removes one entry by UNLINK or GETDEL, and before it its marker."""
        commands: list[Command] = [("UNLINK", self._names.marker(name)), (command, name)]
        return Unit(commands, _last, self, field=field, loose=True)

    def _taking(self, name: bytes, field: object) -> Unit[list[Taken]]:
        """Return the unit that removes one entry by GETDEL, and before it its marker. A put-back needs its PTTL."""
        commands: list[Command] = [("UNLINK", self._names.marker(name)), ("PTTL", name), ("GETDEL", name)]
        return Unit(commands, _taken, self, field=field, loose=True)

    def _line(self, name: bytes, field: object) -> Line[Taken]:
        """Return the line that puts an entry back with the time it had left, unless another exists by then."""

        def put_back(entries: list[Taken]) -> Unit[object]:
            store = load_script("key_space_setdefault")
            latest_first = [
                store((name,), raw, policy_of(left_ms) if left_ms > 0 else "", "") for raw, left_ms in reversed(entries)
            ]
            return Unit(latest_first, _last, self, field=field)

        return self._executor.line(name.decode(errors="surrogateescape"), "pop", None, put_back)

    async def _delete_all(self, names: Sequence[bytes], method: str) -> int:
        """Delete entries, of any type, and their markers. Returns how many entries existed."""
        if not names:
            return 0
        if self._spread:
            return sum(map(as_int, await self._apart([self._removal(name, "UNLINK") for name in names], method)))
        pages = [*paged(names)]
        markers: list[Command] = [("UNLINK", *map(self._names.marker, page)) for page in pages]
        entries: list[Command] = [("UNLINK", *page) for page in pages]
        loose = len(pages) == 1
        unit = Unit([*markers, *entries], lambda replies: total(replies[-len(pages) :]), self, loose=loose)
        return await self._executor.execute(unit)

    async def _delete_found(self, names: list[bytes]) -> int:
        """Delete the entries and markers that a search has found. Returns how many entries existed."""
        entries, marked = self._names.told_apart(names)
        commands: list[Command] = [("UNLINK", *page) for page in paged(entries, 1 if self._spread else PAGE)]
        removed = total(await self._execute_all(commands, "clear", read_only=False))
        # A value that was stored a moment ago may be in a part that was searched already. Its marker reports it.
        for page in paged(marked):
            calls = (self._executor.execute(self._removal(name, "GETDEL")) for name in page)
            for outcome in await asyncio.gather(*calls, return_exceptions=True):
                if not isinstance(outcome, WrongKind):  # something else than an entry: it stays
                    removed += _no_error(outcome) is not None
        return removed

    async def _execute_all(
        self, commands: Sequence[Command | ScriptCall], method: str, *, read_only: bool
    ) -> list[Reply]:
        """The replies of all ``commands``, executed at one moment unless each is for a separate slot."""
        if not commands:
            return []
        if not self._spread:
            return await self._executor.execute(Unit(commands, list, self, read_only=read_only))
        return await self._apart([Unit((c,), _last, self, read_only=read_only) for c in commands], method)

    async def _apart(self, units: Sequence[Unit[Reply]], method: str) -> list[Reply]:
        """Return the replies of units for separate slots, sent together."""
        refuse_in_atomic(method, "of a key space with a suffix sends one command for each key")
        calls = map(self._executor.execute, units)
        outcomes = await asyncio.gather(*calls, return_exceptions=True)  # none is left running when one has failed
        return [_no_error(outcome) for outcome in outcomes]

    # --- looking for keys ------------------------------------------------------------------------

    def _scan(self, match: str | bytes | None, batch_hint: int | None) -> Fetch[bytes]:
        """Return the function that fetches the names of entries, page by page."""
        return self._searching(_Scan(self._names.pattern(match), self._names.own, batch_hint, self.redis_type))

    def _scan_with_markers(self) -> Fetch[bytes]:
        """Return the function that fetches the names of entries and markers, and perhaps others, page by page."""
        return self._searching(_Scan(self._names.pattern_with_markers(), list, None, self.redis_type))

    def _searching(self, scan: _Scan) -> Fetch[bytes]:
        async def fetch() -> tuple[list[bytes], bool]:
            if scan.is_new:
                await self._refuse_cluster_node()
            return scan.advance(await self._read_plain(scan.command())), scan.more

        return fetch

    def _entries(self, match: str | bytes | None, batch_hint: int | None) -> Fetch[Entry]:
        """Return the function that fetches entries, page by page, without those that were removed in between."""
        scan = _Scan(self._names.pattern(match), self._names.own, batch_hint, self.redis_type)
        following: list[bytes] | None = None

        async def fetch() -> tuple[list[Entry], bool]:
            nonlocal following
            if scan.is_new:
                await self._refuse_cluster_node()
            names = scan.advance(await self._read_plain(scan.command())) if following is None else following
            more = scan.more
            commands: list[Command] = [("MGET", *page) for page in paged(names, 1 if self._spread else PAGE)]
            if more:
                commands.append(scan.command())
            replies = await self._execute_all(commands, "items", read_only=True)
            if more:
                following = scan.advance(replies.pop())
            return [(name, raw) for name, raw in zip(names, _flat(replies), strict=True) if raw is not None], more

        return fetch

    async def _refuse_cluster_node(self) -> None:
        """Refuse to search on a server that has only a part of the keys.

        Raises:
            UnsupportedServer: it is a node of a cluster.
        """
        if await self._executor.is_cluster_node():
            raise on_a_cluster_node(self._where(), self._name)

    def _decode_key(self, name: bytes) -> K:
        raw = self._names.raw_key(name)
        return self._decode(self._names.codec, raw, raw)

    def _decode_keys(self, names: Sequence[bytes]) -> list[K]:
        return self._names.codec.decode_all([*map(self._names.raw_key, names)])

    def _decode_pair(self, entry: Entry) -> tuple[K, V]:
        key = self._decode_key(entry[0])
        return key, self._decode(self._codec, entry[1], key)

    def _decode_pairs(self, page: Sequence[Entry]) -> list[tuple[K, V]]:
        keys = self._decode_keys([name for name, _ in page])
        return [*zip(keys, self._codec.decode_all([raw for _, raw in page]), strict=True)]


class _Scan:
    """The state of a search for the keys of a key space."""

    def __init__(
        self, pattern: bytes, own: Callable[[list[bytes]], list[bytes]], batch_hint: int | None, redis_type: str
    ) -> None:
        self._own = own
        count = PAGE if batch_hint is None else batch_hint
        # The server leaves out other types. MGET would return nil for them, as for a removed key.
        self._options = ("MATCH", pattern, "COUNT", count, "TYPE", redis_type)
        self._cursor = b"0"
        self.is_new = True  # it has not begun

    def command(self) -> Command:
        """Return the command for the next page."""
        self.is_new = False
        return ("SCAN", self._cursor, *self._options)

    def advance(self, reply: Reply) -> list[bytes]:
        """The names in the reply to ``command``."""
        cursor, names = as_array(reply)
        self._cursor = as_bytes(cursor)
        return self._own(as_all_bytes(names))

    @property
    def more(self) -> bool:
        """Whether there is another page."""
        return self._cursor != b"0"


_last = cast("Callable[[list[Reply]], Reply]", itemgetter(-1))


def _flat(replies: list[Reply]) -> list[bytes | None]:
    """The values in the replies of several MGET."""
    return [as_optional_bytes(raw) for page in replies for raw in as_array(page)]


def _no_error(outcome: Reply | BaseException) -> Reply:
    if isinstance(outcome, BaseException):
        raise outcome
    return outcome


def on_a_cluster_node(where: str, key: str | None = None) -> UnsupportedServer:
    """Return the error that refuses a search."""
    return UnsupportedServer(
        f"{where}: this server is one node of a Redis Cluster, and a search for keys would find only those on this "
        "node. Nothing was read or deleted. Use a server that is not part of a cluster, or the endpoint of a service "
        "that hides its cluster.",
        key=key,
    )


def was_stored(reply: Reply) -> bool:
    """Whether the reply of SET, MSET, MSETNX or the script means that they stored."""
    return reply not in (None, 0)


def _taken(replies: list[Reply]) -> list[Taken]:
    left_ms, raw = replies[-2:]
    return [] if raw is None else [(as_bytes(raw), left_ms if isinstance(left_ms, int) else 0)]


def policy_of(ms: int) -> str:
    """Return the TTL policy, as scripts take it, of a call with a duration."""
    return f"key:{ms}"


def lifetime_ms(
    ex: Duration | None, px: Duration | None, *, keepttl: bool = False, names: tuple[str, str] = ("ex=", "px=")
) -> int | None:
    """Return the milliseconds that a call asks for, or None if the policy applies.

    Args:
        names: the names of the two arguments.

    Raises:
        TypeError: one of them is neither a number nor a ``timedelta``.
        ValueError: more than one is given, or a duration that Redis cannot store.
    """
    if (ex is not None) + (px is not None) + keepttl > 1:
        raise ValueError(
            "ex=, px= and keepttl= exclude each other, because each says how long an entry lives: pass one of them"
        )
    given = ex if px is None else px
    if given is None:
        return None
    try:
        ms = milliseconds(given, 1 if ex is None else 1000, names[ex is None])
    except ValueError:  # nan, inf
        ms = 0
    if not 1 <= ms <= MAX_MS:
        raise ValueError(
            f"an entry lives for at least 1 ms and at most {MAX_MS} ms, not {shown(given)}: to remove it, write "
            "delete(key)"
        )
    return ms
