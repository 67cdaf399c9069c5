"""One test that goes through all calls of a structure, and tells of each that does not hold."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from types import ModuleType
from typing import Any, TypeAlias

import pytest
from redis.asyncio import Redis

from tests.collections.tables import TABLES
from tests.collections.tables.case import Case
from tests.support.clients import all_keys, command

__all__ = ["AnyCase", "every_table", "prove", "refill", "state"]

AnyCase: TypeAlias = Case[Any]

every_table = pytest.mark.parametrize("table", TABLES.values(), ids=TABLES.keys())


async def prove(table: ModuleType, holds: Callable[[AnyCase], Awaitable[None]]) -> None:
    """Have ``holds`` look at each case. Those that fail are told by name, all of them.

    One test for all of them costs a fifth of a test for each: what it costs is mostly its fixtures.
    """
    failures: list[Exception] = []
    for case in table.CALLS:
        try:
            await holds(case)
        except Exception as failure:
            failure.add_note(f"The call was: {table.__name__.rpartition('.')[2]}.{case.name}")
            failures.append(failure)
    if failures:
        raise ExceptionGroup(f"{len(failures)} of {len(table.CALLS)} calls", failures)


async def refill(redis: Redis, table: ModuleType) -> None:
    """Nothing is stored but what the calls find."""
    await command(redis, "FLUSHDB")
    await table.fill(redis)


async def state(redis: Redis, *, whole: bool) -> dict[bytes, object]:
    """All that is stored; or only how much of it, where a call does not always do the same."""
    found: dict[bytes, object] = {}
    for key in await all_keys(redis):
        kind = await redis.type(key)
        held: list[object]
        if kind == b"set":
            held = sorted(await command(redis, "SMEMBERS", key))
        elif kind == b"hash":
            held = [*sorted((await redis.hgetall(key)).items())]
        elif kind == b"zset":
            pairs = await command(redis, "ZRANGE", key, 0, -1, "WITHSCORES")
            # Of a member of a priority queue without the 36 bytes in front, which have the time in them.
            held = [word[36:] if bytes(word).startswith(b"~") else word for word in _flat(pairs)]
        elif kind == b"list":
            held = await command(redis, "LRANGE", key, 0, -1)
        else:
            held = [await redis.get(key)]
        found[key] = held if whole else len(held)
    return found


def _flat(pairs: list[Any]) -> list[bytes]:
    """Members and scores one after the other, as RESP2 has them, also if RESP3 has them in pairs."""
    words: list[Any] = []
    for part in pairs:
        words += part if isinstance(part, list) else [part]
    return [word if isinstance(word, bytes) else str(word).encode() for word in words]
