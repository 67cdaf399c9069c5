"""describe(): the keys that Redis has for each field of a store, whatever their type.

    one script    TYPE, a count, PTTL, MEMORY USAGE, OBJECT ENCODING of every field's key. Each may be refused by itself
    SCAN          for key spaces, whose entries can only be found by going through the keys of the database

Both are sent together. SCAN is bounded because a database may be big, so in a big database it sees only a part. Redis
scans in the order of hashes, so any part is a fair sample, and the number of entries is estimated from it.
"""

from __future__ import annotations

import asyncio
from collections.abc import Collection, Iterable, Mapping
from dataclasses import dataclass
from datetime import timedelta
from operator import attrgetter
from typing import TYPE_CHECKING, TypeAlias, cast

from redis.exceptions import NoPermissionError

from purse._engine.hooks import refuse_in_atomic
from purse._engine.registry import executor_for
from purse._engine.replies import Reply, as_all_bytes, as_array, as_bytes, as_int, as_optional_bytes
from purse._engine.scripts import load_script
from purse._engine.slots import hash_tag
from purse._engine.unit import Noted
from purse.codecs._shown import named, shown
from purse.collections._base import PAGE
from purse.inspect._fields import fields, pattern_of, redis_type_of
from purse.store import Store

if TYPE_CHECKING:
    from purse._declaration.field_spec import FieldSpec
    from purse._engine.interface import Executor
    from purse._engine.unit import Command
    from purse.collections import RedisKey, RedisKeySpace, RedisObject

__all__ = ["FieldDescription", "StoreDescription", "describe"]

_Space: TypeAlias = "RedisKeySpace[object, object]"

_HEAD = ("field", "structure", "key", "holds", "length", "memory", "expires in", "encoding")
_TO_THE_RIGHT = frozenset({"length", "memory", "expires in"})


@dataclass(frozen=True, slots=True)
class FieldDescription:
    """What Redis has for one field.

    Attributes:
        name: the name of the field. For a field of a nested store ``home.lines``.
        key: the Redis key. For a key space the pattern of its keys, ``{garden}:sessions:*``.
        structure: the name of the collection's class.
        declared: the Redis type that the collection needs, as TYPE calls it: ``hash``, ``zset``.
        stored: the Redis type of the key. None if the key does not exist, for key spaces, and if the user may not
            ask for it.
        exists: whether the key, or any entry of the key space, exists. None if that is not known.
        length: the number of elements of the key, whatever its type, or None for a string. For a key space the number
            of its entries, or None if no keys of the database were looked at.
        exact: False if not all keys of the database were looked at, so that ``length`` is an estimate.
        expires_in: the time that the key has left. None if it never expires, and for key spaces.
        memory: the bytes of the key, estimated by the server for big keys. None for key spaces, and if the user may
            not ask for it.
        encoding: how Redis keeps the key, as OBJECT ENCODING calls it: ``listpack``. None in the cases of ``memory``.
    """

    name: str
    key: str
    structure: str
    declared: str
    stored: str | None = None
    exists: bool | None = None
    length: int | None = None
    exact: bool = True
    expires_in: timedelta | None = None
    memory: int | None = None
    encoding: str | None = None

    @property
    def fits(self) -> bool | None:
        """Whether the key has the declared type. None if there is no such key, or the field has several keys."""
        return None if self.stored is None else self.stored == self.declared


@dataclass(frozen=True, slots=True, repr=False)
class StoreDescription:
    """What Redis has for a store. ``str()`` and ``repr()`` show it as a table.

    Attributes:
        store: the name of the store's class.
        fields: by name, in the order of declaration. Fields of nested stores have names like ``home.lines``.
        scanned: how many keys of the database were looked at to count the entries of key spaces.
        keys: how many keys the database has. None if the store has no key space, or the user may not ask for it.
    """

    store: str
    fields: Mapping[str, FieldDescription]
    scanned: int = 0
    keys: int | None = None

    def __repr__(self) -> str:
        seen = "" if self.keys is None else f"\n{self.scanned} of {self.keys} keys of the database were looked at"
        return _table(self.store, self.fields.values()) + seen


async def describe(store: Store, *, scan: int | None = 10_000) -> StoreDescription:
    """Report what Redis has for each field of ``store``: the type of its key, its length, its remaining time.

    A key of the wrong type is reported and is not an error. The keys of fields are looked at in one moment. The entries
    of key spaces are counted while others may write. A lock or a limiter is described by its first key, and the counts
    of single identities are not searched for. TTLs are not renewed.

    Args:
        store: the store.
        scan: how many keys of the database may be looked at to count the entries of key spaces, rounded up to a page of
            500. If the database has more, ``length`` is an estimate, and ``exact`` is False. 0 counts nothing, None
            looks at all keys.

    Raises:
        TypeError: ``store`` is not a store, or ``scan`` is not an ``int``.
        ValueError: ``scan`` is below 0.
        redis.exceptions.NoPermissionError: the user may not run scripts at all.

    One round trip, O(number of fields), and for key spaces one for each page of ``scan``. Sends: EVALSHA describe (one
    for each hash slot of the keys). For key spaces SCAN, DBSIZE, and HELLO once on each connection: on a node of a
    cluster the lengths of key spaces are not known.
    """
    refuse_in_atomic("describe", "needs several commands")
    cls = _class_of(store)
    _check_scan(scan)
    bound = {name: (spec, _collection(store, name)) for name, spec in fields(cls).items()}
    if not bound:
        return StoreDescription(cls.__name__, {})
    executor = executor_for(next(iter(bound.values()))[1].redis)
    note = f"describe() of a {cls.__name__}"
    single = {name: cast("RedisKey", made).rkey for name, (spec, made) in bound.items() if not spec.is_key_space}
    spaces = {name: cast("_Space", made) for name, (spec, made) in bound.items() if spec.is_key_space}
    replies, counts = await asyncio.gather(
        _look(executor, note, single.values()), _count(executor, Noted(note), spaces, scan)
    )
    described = {
        name: counts.described(name, spec, spaces[name])
        if name in spaces
        else _described(name, spec, single[name], replies[single[name]])
        for name, (spec, _) in bound.items()
    }
    return StoreDescription(cls.__name__, described, counts.scanned, counts.keys)


def _class_of(store: Store) -> type[Store]:
    given = cast("object", store)  # a notebook has no type checker
    if isinstance(given, type) and issubclass(given, Store):
        name = given.__name__
        raise TypeError(
            f"describe() takes a store, but {name} is a class and has no client: write await describe({name}(client)), "
            f"or schema({name}) for its declaration"
        )
    if not isinstance(given, Store):
        told = shown(given)  # pyright: ignore[reportUnknownArgumentType] - narrowed to type[Unknown]
        raise TypeError(f"describe() takes a store, not {told}: write await describe(garden)")
    return type(given)


# --- keys -------------------------------------------------------------------------------------------


def _collection(store: Store, name: str) -> RedisObject:
    return cast("RedisObject", attrgetter(name)(store))


async def _look(executor: Executor, note: str, keys: Iterable[str]) -> dict[str, list[Reply]]:
    """The reply of the script for each key."""
    script = load_script("describe")
    groups = _by_slot(keys)
    asked = (executor.ask_again(script(group), Noted(note, tag)) for tag, group in groups.items())
    replies = await asyncio.gather(*asked)
    return {
        key: as_array(part)
        for group, reply in zip(groups.values(), replies, strict=True)
        for key, part in zip(group, as_array(reply), strict=True)
    }


def _by_slot(keys: Iterable[str]) -> dict[str, tuple[str, ...]]:
    """Group the keys by their hash tags: keys with the same tag are in one slot of a cluster."""
    groups: dict[str, list[str]] = {}
    for key in dict.fromkeys(keys):
        groups.setdefault(hash_tag(key), []).append(key)
    return {tag: tuple(group) for tag, group in groups.items()}


def _described(name: str, spec: FieldSpec[RedisObject], key: str, reply: list[Reply]) -> FieldDescription:
    kind, length, left_ms, memory, encoding = reply
    stored = _text(kind)
    left = _number(left_ms)
    if stored is not None:
        exists: bool | None = stored != "none"
    else:
        exists = None if left is None else left != -2
    return FieldDescription(
        name,
        key,
        spec.collection.__name__,
        redis_type_of(spec),
        stored=None if stored == "none" else stored,
        exists=exists,
        length=0 if exists is False else _number(length),
        expires_in=None if left is None or left < 0 else timedelta(milliseconds=left),
        memory=_number(memory),
        encoding=_text(encoding),
    )


def _text(reply: Reply) -> str | None:
    raw = as_optional_bytes(reply)
    return None if raw is None else raw.decode()


def _number(reply: Reply) -> int | None:
    return None if reply is None else as_int(reply)


# --- key spaces -------------------------------------------------------------------------------------


@dataclass(slots=True)
class _Counts:
    """The result of a scan so far, for each key space. ``keys`` is None if the scan was not allowed or not wanted."""

    found: dict[str, int]
    scanned: int = 0
    keys: int | None = None
    complete: bool = False

    def add(self, names: Collection[bytes], affixes: Mapping[str, tuple[bytes, bytes]]) -> None:
        """Count a page of names."""
        self.scanned += len(names)
        for name, (begin, end) in affixes.items():
            least = len(begin) + len(end)
            self.found[name] += sum(key.startswith(begin) and key.endswith(end) and len(key) >= least for key in names)

    def described(self, name: str, spec: FieldSpec[RedisObject], space: _Space) -> FieldDescription:
        found, length = self.found[name], None
        if self.complete:
            length = found
        elif self.keys is not None and self.scanned:
            length = max(found, round(found * self.keys / self.scanned))
        return FieldDescription(
            name,
            pattern_of(space.prefix, space.suffix),
            spec.collection.__name__,
            redis_type_of(spec),
            exists=True if found else False if self.complete else None,
            length=length,
            exact=self.complete,
        )


async def _count(executor: Executor, asking: Noted, spaces: Mapping[str, _Space], scan: int | None) -> _Counts:
    """Count the entries of all key spaces in one pass over the keys of the database."""
    counts = _Counts(dict.fromkeys(spaces, 0))
    if not spaces or scan == 0:
        return counts
    affixes = {name: (space.prefix.encode(), space.suffix.encode()) for name, space in spaces.items()}
    cursor = b"0"
    try:
        # Without MATCH and TYPE, because with them the server does not report how many keys it looked at.
        size, page, part = await asyncio.gather(
            executor.ask_again(("DBSIZE",), asking),
            executor.ask_again(_scan(cursor), asking),
            executor.is_cluster_node(),
        )
        if part:  # the keys of this node say nothing about the keys of other nodes
            return counts
        while True:
            raw_cursor, names = as_array(page)
            cursor = as_bytes(raw_cursor)
            counts.add(dict.fromkeys(as_all_bytes(names)), affixes)
            if cursor == b"0" or (scan is not None and counts.scanned >= scan):
                break
            page = await executor.ask_again(_scan(cursor), asking)
    except NoPermissionError:
        return _Counts(dict.fromkeys(spaces, 0))
    counts.keys = as_int(size)
    counts.complete = cursor == b"0"
    return counts


def _scan(cursor: bytes) -> Command:
    return ("SCAN", cursor, "COUNT", PAGE)


def _check_scan(scan: object) -> None:
    if scan is not None and type(scan) is not int:
        raise TypeError(
            f"describe(): scan= must be the number of keys to look at, an int, or None for all, not {shown(scan)}"
        )
    if scan is not None and scan < 0:
        raise ValueError(
            f"describe(): scan={scan} is below 0: write 0 to count no key spaces, or None to look at all keys"
        )


# --- the table --------------------------------------------------------------------------------------


def _table(store: str, fields: Iterable[FieldDescription]) -> str:
    """A line for each field, under the name of the store's class."""
    rows = [_HEAD, *map(_row, fields)]
    widths = [max(map(len, column)) for column in zip(*rows, strict=True)]
    lines = ("  ".join(_justified(*cell) for cell in zip(row, widths, _HEAD, strict=True)).rstrip() for row in rows)
    return "\n".join((store, *lines))


def _justified(text: str, width: int, column: str) -> str:
    return text.rjust(width) if column in _TO_THE_RIGHT else text.ljust(width)


def _row(field: FieldDescription) -> tuple[str, ...]:
    return (
        field.name,
        field.structure,
        named(field.key),
        _held(field),
        "" if field.length is None else f"{'' if field.exact else '~'}{field.length}",
        "" if field.memory is None else _bytes(field.memory),
        "" if field.expires_in is None else str(timedelta(seconds=round(field.expires_in.total_seconds()))),
        field.encoding or "",
    )


def _held(field: FieldDescription) -> str:
    if field.exists is None:
        return "?"
    if not field.exists:
        return "nothing"
    if field.fits is False:
        return f"{field.stored}, not a {field.declared}"
    return field.stored or field.declared


def _bytes(number: int) -> str:
    size, unit = float(number), "B"
    for larger in ("KiB", "MiB", "GiB", "TiB"):
        if size < 1024:
            break
        size, unit = size / 1024, larger
    return f"{size:.0f} {unit}" if unit == "B" else f"{size:.1f} {unit}"
