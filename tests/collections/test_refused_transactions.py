"""A user without the right to MULTI: a call that needs it does nothing, in every structure; every other call works."""

from __future__ import annotations

from collections.abc import AsyncIterator, Awaitable, Callable
from types import ModuleType
from typing import Any, TypeAlias

import pytest
from redis.asyncio import Redis
from redis.exceptions import NoPermissionError

from purse.collections import (
    RedisHash,
    RedisKeySpace,
    RedisList,
    RedisPriorityQueue,
    RedisQueue,
    RedisSet,
    RedisSortedSet,
)
from purse.embedded import Server
from tests.collections.tables import TABLES
from tests.collections.tables.case import Case
from tests.collections.tables.trips import count_trips
from tests.support.clients import all_keys, command, connect

Call: TypeAlias = Callable[[Redis], Awaitable[object]]

MANY = range(1001)
WORDS = [str(n) for n in MANY]


async def fill_many(redis: Redis) -> None:
    await redis.hset("h", mapping=dict.fromkeys(WORDS, "0"))
    await redis.sadd("s", *WORDS)
    await redis.zadd("z", dict.fromkeys(WORDS, 0))
    await redis.mset({"k:0": "0", "k:1000": "0"})


def on(collection: type[Any], key: str, call: Callable[[Any], Awaitable[object]]) -> Call:
    return lambda redis: call(collection(redis, key, int))


def of_table(table: ModuleType, case: Case[Any]) -> Call:
    return lambda redis: case.call(table.build(redis))


MORE: dict[str, Call] = {
    "hash.update": on(RedisHash, "h", lambda h: h.update(dict.fromkeys([*WORDS, "new"], 1))),
    "hash.delete_many": on(RedisHash, "h", lambda h: h.delete_many(WORDS)),
    "list.extend": on(RedisList, "xs", lambda xs: xs.extend(MANY)),
    "list.extendleft": on(RedisList, "xs", lambda xs: xs.extendleft(MANY)),
    "list.append, bounded": lambda redis: RedisList(redis, "xs", int, maxlen=2).append(7),
    "set.update": on(RedisSet, "s", lambda s: s.update(*range(2000, 3001))),
    "set.remove": on(RedisSet, "s", lambda s: s.remove(*MANY)),
    "set.contains_many": on(RedisSet, "s", lambda s: s.contains_many([*MANY])),
    "sorted set.add_multi": on(RedisSortedSet, "z", lambda z: z.add_multi([(n, 2.0) for n in range(2000)])),
    "sorted set.increment_multi": on(RedisSortedSet, "z", lambda z: z.increment_multi([(n, 1.0) for n in MANY])),
    "sorted set.remove": on(RedisSortedSet, "z", lambda z: z.remove(*MANY)),
    "key space.update": on(RedisKeySpace, "k:", lambda k: k.update(dict.fromkeys([*WORDS, "new"], 1))),
    "key space.delete_many": on(RedisKeySpace, "k:", lambda k: k.delete_many(WORDS)),
    "queue.put_many": on(RedisQueue, "q", lambda q: q.put_many(MANY)),
    "priority queue.put_many": on(RedisPriorityQueue, "p", lambda q: q.put_many([(n, 1.0) for n in MANY])),
}

CALLS: dict[str, tuple[Callable[[Redis], Awaitable[None]], dict[str, Call]]] = {
    **{
        name: (
            table.fill,
            {case.name: of_table(table, case) for case in table.CALLS},
        )
        for name, table in TABLES.items()
    },
    "more than a page": (fill_many, MORE),
}


@pytest.fixture
async def restricted(server: Server, redis: Redis) -> AsyncIterator[Redis]:
    """A client that may do everything but MULTI."""
    await command(redis, "ACL", "SETUSER", "gardener", "reset", "on", ">secret", "~*", "+@all", "-multi")
    client = connect(server.url, username="gardener", password="secret")
    yield client
    await client.aclose()
    await command(redis, "ACL", "DELUSER", "gardener")


async def stored(redis: Redis) -> dict[bytes, object]:
    return {key: await redis.dump(key) for key in await all_keys(redis)}


@pytest.mark.rows(3)
@pytest.mark.parametrize(("fill", "several"), CALLS.values(), ids=CALLS.keys())
async def test_all_or_nothing(
    redis: Redis,
    restricted: Redis,
    monkeypatch: pytest.MonkeyPatch,
    fill: Callable[[Redis], Awaitable[None]],
    several: dict[str, Call],
) -> None:
    """A call is refused exactly if it sends several commands, and then nothing has changed."""
    replies = count_trips(monkeypatch)
    for name, call in several.items():
        await command(redis, "FLUSHDB")
        await fill(redis)
        before = await stored(redis)
        refusal = None
        try:
            await call(restricted)
        except NoPermissionError as error:
            refusal = error
            assert await stored(redis) == before, name

        await command(redis, "FLUSHDB")
        await fill(redis)
        replies.clear()
        await call(redis)
        assert (refusal is not None) == any(wanted > 1 for wanted in replies), name
