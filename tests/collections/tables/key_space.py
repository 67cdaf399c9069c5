"""The calls of ``RedisKeySpace`` on a key space with the one entry "a"."""

from __future__ import annotations

from typing import TypeAlias

from redis.asyncio import Redis

from purse.collections.key_space import RedisKeySpace
from purse.ttl import TTL
from tests.collections.garden import collect
from tests.collections.tables.case import Case, clocked

__all__ = ["CALLS", "CLOCK", "KEY", "WITH_A_TTL", "build", "fill", "spoil"]

Ints: TypeAlias = RedisKeySpace[int]

KEY = "{numbers}:one:"
A, NEW = f"{KEY}a", f"{KEY}new"
MARK_A, MARK_NEW = f"making!{A}", f"making!{NEW}"
CLOCK = A
"""The key whose time to live is looked at."""
WITH_A_TTL = ("EVALSHA", "EVAL", "SET", "EXISTS", "PTTL", "PEXPIRE")
"""What a user needs in addition with a policy."""

_SCRIPT = ("EVALSHA", "EVAL")
_SCAN = f"SCAN 0 MATCH {KEY}* COUNT 500 TYPE string"
_SCAN_WITH_MARKERS = f"SCAN 0 MATCH *{KEY}* COUNT 500 TYPE string"
_MGET = f"MGET {A}"


async def fill(redis: Redis) -> None:
    """One entry, so that SCAN has no order to choose."""
    await redis.set(A, "1")


async def spoil(redis: Redis) -> None:
    """The entry is no int."""
    await redis.set(A, b"x")


def build(redis: Redis, ttl: TTL | None = None) -> Ints:
    """The keys that begin with ``KEY``."""
    return RedisKeySpace(redis, KEY, int, ttl=ttl)


async def _patch(space: Ints) -> None:
    beds = RedisKeySpace(space.redis, KEY, dict[str, int], default={"n": 0})
    await beds.patch("new", n=1)


async def _edit(space: Ints) -> None:
    beds = RedisKeySpace(space.redis, KEY, list[int])
    async with beds.edit("new", default=[]) as bed:
        bed.append(1)


WRITES: list[Case[Ints]] = [
    Case("set", lambda s: s.set("a", 5), (f"SET {A} 5",), ("SET",), touches=False, timed=(f"SET {A} 5 PX 3600000",)),
    Case(
        "set with xx",
        lambda s: s.set("a", 5, xx=True),
        (f"SET {A} 5 XX",),
        ("SET",),
        touches=False,
        timed=(f"SET {A} 5 PX 3600000 XX",),
    ),
    Case("increment", lambda s: s.increment("a", -3), (f"INCRBY {A} -3",), ("INCRBY",), reads=True),
    Case(
        "modify",
        lambda s: s.modify("a", lambda n: n + 1),
        (f"GET {A}", f"EVALSHA key_space_replace {A}"),
        (*_SCRIPT, "GET", "SET"),
        trips=2,
        reads=True,
    ),
    Case(
        "update",
        lambda s: s.update({"a": 5, "new": 6}),
        (f"MSET {A} 5 {NEW} 6",),
        ("MSET",),
        touches=False,
        timed=(f"EVALSHA key_space_set {A} {NEW}",),
    ),
    Case(
        "set_many",
        lambda s: s.set_many({"a": 5, "new": 6}),
        (f"MSET {A} 5 {NEW} 6",),
        ("MSET",),
        touches=False,
        timed=(f"EVALSHA key_space_set {A} {NEW}",),
    ),
]
READS: list[Case[Ints]] = [
    Case("get", lambda s: s.get("a"), (f"GET {A}",), ("GET",), reads=True, timed=(f"GETEX {A} PX 3600000",)),
    Case(
        "get with a default",
        lambda s: s.get("a", 7),
        (f"GET {A}",),
        ("GET",),
        reads=True,
        timed=(f"GETEX {A} PX 3600000",),
    ),
    Case(
        "setdefault",
        lambda s: s.setdefault("a", 5),
        (f"EVALSHA key_space_setdefault {A}",),
        (*_SCRIPT, "GET"),
        reads=True,
    ),
    Case(
        "get_or_create",
        lambda s: s.get_or_create("a", lambda: 5),
        (f"GET {A}",),
        ("GET",),
        reads=True,
        timed=(f"GETEX {A} PX 3600000",),
    ),
    Case(
        "get_many",
        lambda s: s.get_many(["a", "new"]),
        (f"MGET {A} {NEW}",),
        ("MGET",),
        reads=True,
        touches=False,
        timed=(f"EVALSHA key_space_read {A} {NEW}",),
    ),
]
LOOKS: list[Case[Ints]] = [
    Case(
        "set with nx",
        lambda s: s.set("a", 5, nx=True),
        (f"SET {A} 5 NX",),
        ("SET",),
        touches=False,
        timed=(f"SET {A} 5 PX 3600000 NX",),
    ),
    Case("contains", lambda s: s.contains("a"), (f"EXISTS {A}",), ("EXISTS",), touches=False),
    Case("ttl", lambda s: s.ttl("a"), (f"TTL {A}",), ("TTL",), touches=False),
    Case("pttl", lambda s: s.pttl("a"), (f"PTTL {A}",), ("PTTL",), touches=False),
    Case("expires_in", lambda s: s.expires_in("a"), (f"PTTL {A}",), ("PTTL",), touches=False),
    Case(
        "update if_none_exist",
        lambda s: s.update({"a": 5, "new": 6}, True),
        (f"MSETNX {A} 5 {NEW} 6",),
        ("MSETNX",),
        touches=False,
        timed=(f"EVALSHA key_space_set {A} {NEW}",),
    ),
    Case("update with nothing", lambda s: s.update({}), (), (), trips=0, touches=False),
    Case("set_many with nothing", lambda s: s.set_many({}), (), (), trips=0, touches=False),
    Case("get_many of nothing", lambda s: s.get_many([]), (), (), trips=0, touches=False),
    Case("len", lambda s: s.len(), (_SCAN,), ("SCAN",), touches=False),
    Case("keys", lambda s: collect(s.keys()), (_SCAN,), ("SCAN",), touches=False),
    Case("keys with the prefix", lambda s: collect(s.keys(None, True)), (_SCAN,), ("SCAN",), touches=False),
    Case(
        "keys with a pattern",
        lambda s: collect(s.keys(10, match="b*")),
        (f"SCAN 0 MATCH {KEY}b* COUNT 10 TYPE string",),
        ("SCAN",),
        touches=False,
    ),
    Case("values", lambda s: collect(s.values()), (_SCAN, _MGET), ("SCAN", "MGET"), trips=2, reads=True, touches=False),
    Case("items", lambda s: collect(s.items()), (_SCAN, _MGET), ("SCAN", "MGET"), trips=2, reads=True, touches=False),
    Case("async for", collect, (_SCAN, _MGET), ("SCAN", "MGET"), trips=2, reads=True, touches=False),
]
OTHERS: list[Case[Ints]] = [
    Case("set with ex", lambda s: s.set("a", 5, 60), (f"SET {A} 5 PX 60000",), ("SET",), touches=False),
    Case("set with px", lambda s: s.set("a", 5, px=60_000), (f"SET {A} 5 PX 60000",), ("SET",), touches=False),
    Case("set with keepttl", lambda s: s.set("a", 5, keepttl=True), (f"SET {A} 5 KEEPTTL",), ("SET",), touches=False),
    Case(
        "setdefault with ex",
        lambda s: s.setdefault("a", 5, 60),
        (f"EVALSHA key_space_setdefault {A}",),
        (*_SCRIPT, "GET"),
        reads=True,
    ),
    Case(
        "get_or_create a missing one",
        lambda s: s.get_or_create("new", lambda: 5),
        (f"GET {NEW}", f"EVALSHA key_space_claim {NEW} {MARK_NEW}", f"EVALSHA key_space_made {NEW} {MARK_NEW}"),
        (*_SCRIPT, "GET", "SET", "DBSIZE", "UNLINK"),
        trips=3,
        touches=False,
    ),
    Case(
        "pop",
        lambda s: s.pop("a"),
        (f"UNLINK {MARK_A}", f"PTTL {A}", f"GETDEL {A}"),
        ("UNLINK", "PTTL", "GETDEL"),
        reads=True,
    ),
    Case(
        "pop with a default",
        lambda s: s.pop("a", 7),
        (f"UNLINK {MARK_A}", f"PTTL {A}", f"GETDEL {A}"),
        ("UNLINK", "PTTL", "GETDEL"),
        reads=True,
    ),
    Case("delete", lambda s: s.delete("a"), (f"UNLINK {MARK_A}", f"UNLINK {A}"), ("UNLINK",), touches=False),
    Case("modify to the same", lambda s: s.modify("a", lambda n: n), (f"GET {A}",), ("GET",), reads=True),
    Case(
        "patch",
        _patch,
        (f"GET {NEW}", f"EVALSHA key_space_replace {NEW}"),
        (*_SCRIPT, "GET", "SET"),
        trips=2,
        touches=False,
    ),
    Case(
        "edit",
        _edit,
        (f"GET {NEW}", f"EVALSHA key_space_replace {NEW}"),
        (*_SCRIPT, "GET", "SET"),
        trips=2,
        touches=False,
    ),
    Case("expire", lambda s: s.expire("a", 1.5), (f"PEXPIRE {A} 1500",), ("PEXPIRE",), touches=False),
    Case("pexpire", lambda s: s.pexpire("a", 1500), (f"PEXPIRE {A} 1500",), ("PEXPIRE",), touches=False),
    Case("expire now", lambda s: s.expire("a", 0), (f"UNLINK {MARK_A}", f"UNLINK {A}"), ("UNLINK",), touches=False),
    Case("persist", lambda s: s.persist("a"), (f"PERSIST {A}",), ("PERSIST",), touches=False),
    Case(
        "set_many with a ttl",
        lambda s: s.set_many({"a": 5, "new": 6}, 60),
        (f"EVALSHA key_space_set {A} {NEW}",),
        (*_SCRIPT, "SET"),
        touches=False,
    ),
    Case(
        "delete_many",
        lambda s: s.delete_many(["a", "new"]),
        (f"UNLINK {MARK_A} {MARK_NEW}", f"UNLINK {A} {NEW}"),
        ("UNLINK",),
        touches=False,
    ),
    Case("delete_many of nothing", lambda s: s.delete_many([]), (), (), trips=0, touches=False),
    Case("clear", lambda s: s.clear(), (_SCAN_WITH_MARKERS, f"UNLINK {A}"), ("SCAN", "UNLINK"), trips=2, touches=False),
]
CALLS = clocked(WRITES, READS, LOOKS, OTHERS)
