"""The calls of ``RedisPriorityQueue``."""

from __future__ import annotations

from uuid import UUID

from redis.asyncio import Redis

from purse.collections.priority_queue import RedisPriorityQueue
from tests.collections.tables.case import Case
from tests.collections.tables.queue import Builder

KEY = "priorities"

_PUT = f"EVALSHA priority_queue_put {KEY}"
_INSIDE = ("EVALSHA", "EVAL", "TIME", "ZREVRANGEBYSCORE", "ZADD")
_INSIDE_BOUNDED = (*_INSIDE, "ZCARD")
_ITEM = (5, 1.5)
_ITEMS = [_ITEM, (6, 2)]


async def fill(redis: Redis) -> None:
    """Three items as redis-purse 2.x puts them."""
    await redis.zadd(KEY, {f"{UUID(int=n)}{n}": n for n in (1, 2, 3)})


async def spoil(redis: Redis) -> None:
    """Items that are no int."""
    await redis.zadd(KEY, {f"{UUID(int=n)}x": n for n in (1, 2, 3)})


build = Builder(lambda redis, ttl, maxsize: RedisPriorityQueue(redis, KEY, int, ttl=ttl, maxsize=maxsize))
bounded = build.bounded

CALLS: list[Case[RedisPriorityQueue[int]]] = [
    Case("put", lambda q: q.put(_ITEM), (_PUT,), _INSIDE, clock="write"),
    Case("put with maxsize", lambda q: bounded(q).put(_ITEM), (_PUT,), _INSIDE_BOUNDED, clock="write"),
    Case("put_nowait", lambda q: q.put_nowait(_ITEM), (_PUT,), _INSIDE, clock="write"),
    Case("put_nowait with maxsize", lambda q: bounded(q).put_nowait(_ITEM), (_PUT,), _INSIDE_BOUNDED, clock="write"),
    Case("put_many", lambda q: q.put_many(_ITEMS), (_PUT,), _INSIDE, clock="write"),
    Case("put_many with maxsize", lambda q: bounded(q).put_many(_ITEMS), (_PUT,), _INSIDE_BOUNDED, clock="write"),
    Case("put_many_nowait", lambda q: q.put_many_nowait(_ITEMS), (_PUT,), _INSIDE, clock="write"),
    Case(
        "put_many_nowait with maxsize",
        lambda q: bounded(q).put_many_nowait(_ITEMS),
        (_PUT,),
        _INSIDE_BOUNDED,
        clock="write",
    ),
    Case("get", lambda q: q.get(), (f"ZPOPMIN {KEY} 1",), ("ZPOPMIN",), reads=True, clock="write"),
    Case(
        "get with a timeout", lambda q: q.get(timeout=5), (f"ZPOPMIN {KEY} 1",), ("ZPOPMIN",), reads=True, clock="write"
    ),
    Case("async for", lambda q: anext(q), (f"ZPOPMIN {KEY} 1",), ("ZPOPMIN",), reads=True, clock="write"),
    Case(
        "consume", lambda q: anext(aiter(q.consume())), (f"ZPOPMIN {KEY} 1",), ("ZPOPMIN",), reads=True, clock="write"
    ),
    Case("get_nowait", lambda q: q.get_nowait(), (f"ZPOPMIN {KEY}",), ("ZPOPMIN",), reads=True, clock="write"),
    Case("get_many", lambda q: q.get_many(1), (f"ZPOPMIN {KEY} 1",), ("ZPOPMIN",), reads=True, clock="write"),
    Case("peek", lambda q: q.peek(), (f"ZRANGE {KEY} 0 0 WITHSCORES",), ("ZRANGE",), reads=True, clock="read"),
    Case("qsize", lambda q: q.qsize(), (f"ZCARD {KEY}",), ("ZCARD",), clock="look"),
    Case("empty", lambda q: q.empty(), (f"ZCARD {KEY}",), ("ZCARD",), clock="look"),
    Case("full", lambda q: q.full(), (), (), trips=0, touches=False, clock="look"),
    Case("full with maxsize", lambda q: bounded(q).full(), (f"ZCARD {KEY}",), ("ZCARD",), clock="look"),
]
