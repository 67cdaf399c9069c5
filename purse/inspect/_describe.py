"""describe(): what Redis has for each field of a store, whatever it is.

    one script    TYPE, a count, PTTL, MEMORY USAGE, OBJECT ENCODING of every field's key; each may be refused by itself
    SCAN          for key spaces, whose entries can only be found by going through the keys of the database

Both go out together. How far SCAN goes is bounded, because a database may be big and somebody only wants to look: of a
big one it sees a part. The order in which Redis scans is that of hashes, so any part is a fair sample, and a number of
entries is estimated from it.
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
from purse.codecs._shown import shown
from purse.collections._base import PAGE
from purse.inspect._fields import fields, pattern_of, redis_type_of
from purse.inspect._table import table
from purse.store import Store

if TYPE_CHECKING:
    from purse._declaration.field_spec import FieldSpec
    from purse._engine.interface import Executor
    from purse._engine.unit import Command
    from purse.collections import RedisKey, RedisKeySpace, RedisObject

__all__ = ["FieldDescription", "StoreDescription", "describe"]

_Space: TypeAlias = "RedisKeySpace[object, object]"


@dataclass(frozen=True, slots=True)
class FieldDescription:
    """What Redis has for one field.

    Attributes:
        name: the field, of a nested store ``home.lines``.
        key: the Redis key; of a key space the pattern of its keys, ``{garden}:sessions:*``.
        structure: the name of the collection's class.
        declared: the Redis type that it needs, as TYPE calls it: ``hash``, ``zset``.
        stored: the Redis type that the key has; None if there is no such key, for key spaces, and if the user may not
            ask.
        exists: whether there is such a key, or any entry of a key space; None if that is not known.
        length: elements of the key, of whatever type it is; None for a string. Of a key space its entries; None if
            no keys of the database were looked at.
        exact: False if not all keys of the database were looked at, so that ``length`` is an estimate.
        expires_in: the time that the key has left; None if it never expires, and for key spaces.
        memory: bytes of the key, of big ones estimated by the server; None for key spaces, and if the user may not
            ask.
        encoding: how Redis keeps the key, as OBJECT ENCODING calls it: ``listpack``; None as ``memory``.
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
        """Whether the key has the declared type; None if there is no key to ask, or several."""
        return None if self.stored is None else self.stored == self.declared


@dataclass(frozen=True, slots=True, repr=False)
class StoreDescription:
    """What Redis has for a store. As a text it is a table.

    Attributes:
        store: the name of its class.
        fields: by name, in the order of declaration; those of nested stores as ``home.lines``.
        scanned: how many keys of the database were looked at to count entries of key spaces.
        keys: how many keys the database has; None if there is no key space, or the user may not ask.
    """

    store: str
    fields: Mapping[str, FieldDescription]
    scanned: int = 0
    keys: int | None = None

    def __repr__(self) -> str:
        seen = "" if self.keys is None else f"\n{self.scanned} of {self.keys} keys of the database were looked at"
        return table(self.store, self.fields.values()) + seen


async def describe(store: Store, *, scan: int | None = 10_000) -> StoreDescription:
    """What Redis has for each field of ``store``: is there a key, of which type, how much of it, until when.

    Nothing fails because a key holds something else than it should: that is what this tells. The keys of fields are
    looked at in one moment; entries of key spaces are counted while others may write. A lock and a limiter are their
    first key: the counts of single identities are not looked for. No TTL is renewed.

    Args:
        scan: how many keys of the database may be looked at to count the entries of key spaces, to the next page of
            500. If there are more, ``length`` is an estimate, and ``exact`` is False. 0: count nothing; None: look
            at all.

    Raises:
        TypeError: ``store`` is not a store, or ``scan`` no ``int``.
        ValueError: ``scan`` is below 0.
        redis.exceptions.NoPermissionError: the user may not run scripts at all.

    One round trip, O(number of fields), and for key spaces one for each page of ``scan``. Sends: EVALSHA describe (one
    for each hash slot that the keys are in), for key spaces SCAN and DBSIZE, and once on each connection HELLO: on a
    node of a cluster their lengths are not known.
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
    given = cast("object", store)  # no checker watches a notebook
    if isinstance(given, type) and issubclass(given, Store):
        name = given.__name__
        raise TypeError(
            f"describe() takes a store, and {name} is a class: it has no client to ask; write await "
            f"describe({name}(client)), or schema({name}) for what it declares"
        )
    if not isinstance(given, Store):
        told = shown(given)  # pyright: ignore[reportUnknownArgumentType] - narrowed to type[Unknown]
        raise TypeError(f"describe() takes a store, not {told}; write await describe(garden)")
    return type(given)


# --- keys -------------------------------------------------------------------------------------------


def _collection(store: Store, name: str) -> RedisObject:
    return cast("RedisObject", attrgetter(name)(store))


async def _look(executor: Executor, note: str, keys: Iterable[str]) -> dict[str, list[Reply]]:
    """What the script says about each key."""
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
    """The keys by their hash tags: those of one are in one slot of a cluster."""
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
    """What a scan has found so far, for each key space; ``keys`` is None if it was not allowed, or not wanted."""

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
        # Without MATCH and TYPE: of how many keys these were, the server says nothing.
        size, page, part = await asyncio.gather(
            executor.ask_again(("DBSIZE",), asking),
            executor.ask_again(_scan(cursor), asking),
            executor.is_cluster_node(),
        )
        if part:  # the keys of this node say nothing of the others
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
            f"describe(): scan= is how many keys may be looked at, an int or None for all, not {shown(scan)}"
        )
    if scan is not None and scan < 0:
        raise ValueError(
            f"describe(): scan={scan} is below 0; write 0 to count no key spaces, None to look at all keys"
        )
