"""The calls of ``RedisQueue``; ``lifo_queue`` has the same ones, with another command that puts."""

from __future__ import annotations

from collections.abc import Callable
from typing import Generic, TypeVar
from weakref import WeakKeyDictionary

from redis.asyncio import Redis

from purse.collections._key import RedisKey
from purse.collections._queue_base import BaseQueue
from purse.collections.queue import RedisQueue
from purse.ttl import TTL
from tests.collections.tables.case import Case

Q = TypeVar("Q", bound=BaseQueue[int, bytes])
B = TypeVar("B", bound=RedisKey)

KEY = "queue"
MAXSIZE = 9


class Builder(Generic[B]):
    """Builds queues, and for each the same one with a ``maxsize``."""

    def __init__(self, make: Callable[[Redis, TTL | None, int], B]) -> None:
        self._make = make
        self._bounded: WeakKeyDictionary[B, B] = WeakKeyDictionary()

    def __call__(self, redis: Redis, ttl: TTL | None = None) -> B:
        """A queue without limit."""
        queue = self._make(redis, ttl, 0)
        self._bounded[queue] = self._make(redis, ttl, MAXSIZE)
        return queue

    def bounded(self, queue: B) -> B:
        """The same queue with a ``maxsize``."""
        return self._bounded[queue]


def calls(bounded: Callable[[Q], Q], key: str, push: str) -> list[Case[Q]]:
    """The calls of a queue that is a list with three elements."""
    script = f"EVALSHA queue_put {key}"
    inside = ("EVALSHA", "EVAL", "LLEN", push)
    return [
        Case("put", lambda q: q.put(5), (f"{push} {key} 5",), (push,), clock="write"),
        Case("put with maxsize", lambda q: bounded(q).put(5), (script,), inside, clock="write"),
        Case("put_nowait", lambda q: q.put_nowait(5), (f"{push} {key} 5",), (push,), clock="write"),
        Case("put_nowait with maxsize", lambda q: bounded(q).put_nowait(5), (script,), inside, clock="write"),
        Case("put_many", lambda q: q.put_many([5, 6]), (f"{push} {key} 5 6",), (push,), clock="write"),
        Case("put_many with maxsize", lambda q: bounded(q).put_many([5, 6]), (script,), inside, clock="write"),
        Case("put_many_nowait", lambda q: q.put_many_nowait([5, 6]), (f"{push} {key} 5 6",), (push,), clock="write"),
        Case(
            "put_many_nowait with maxsize",
            lambda q: bounded(q).put_many_nowait([5, 6]),
            (script,),
            inside,
            clock="write",
        ),
        Case("get", lambda q: q.get(), (f"RPOP {key} 1",), ("RPOP",), reads=True, clock="write"),
        Case(
            "get with a timeout", lambda q: q.get(timeout=5), (f"RPOP {key} 1",), ("RPOP",), reads=True, clock="write"
        ),
        Case("async for", lambda q: anext(q), (f"RPOP {key} 1",), ("RPOP",), reads=True, clock="write"),
        Case("consume", lambda q: anext(aiter(q.consume())), (f"RPOP {key} 1",), ("RPOP",), reads=True, clock="write"),
        Case("get_nowait", lambda q: q.get_nowait(), (f"RPOP {key}",), ("RPOP",), reads=True, clock="write"),
        Case("get_many", lambda q: q.get_many(1), (f"RPOP {key} 1",), ("RPOP",), reads=True, clock="write"),
        Case("peek", lambda q: q.peek(), (f"LINDEX {key} -1",), ("LINDEX",), reads=True, clock="read"),
        Case("qsize", lambda q: q.qsize(), (f"LLEN {key}",), ("LLEN",), clock="look"),
        Case("empty", lambda q: q.empty(), (f"LLEN {key}",), ("LLEN",), clock="look"),
        Case("full", lambda q: q.full(), (), (), trips=0, touches=False, clock="look"),
        Case("full with maxsize", lambda q: bounded(q).full(), (f"LLEN {key}",), ("LLEN",), clock="look"),
    ]


async def fill(redis: Redis) -> None:
    """Three items: 1 comes first."""
    await redis.lpush(KEY, "1", "2", "3")


async def spoil(redis: Redis) -> None:
    """Items that are no int."""
    await redis.lpush(KEY, "x", "x", "x")


build = Builder(lambda redis, ttl, maxsize: RedisQueue(redis, KEY, int, ttl=ttl, maxsize=maxsize))

CALLS: list[Case[RedisQueue[int]]] = calls(build.bounded, KEY, "LPUSH")
