"""The structures through which unique items can go, each as a way in and a way out."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Coroutine
from dataclasses import dataclass
from random import Random
from typing import Any, TypeAlias

from redis.asyncio import Redis

from purse import (
    RedisHash,
    RedisKeySpace,
    RedisLifoQueue,
    RedisList,
    RedisPriorityQueue,
    RedisQueue,
    RedisSet,
    RedisSortedSet,
)

__all__ = ["FULL", "NOTHING", "STRUCTURES", "Structure", "Way"]

Call: TypeAlias = Coroutine[Any, Any, Any]

NOTHING = (asyncio.QueueEmpty, IndexError, KeyError, TimeoutError)
"""What says that there was nothing to take."""

FULL = (asyncio.QueueFull,)
"""What says that there was no room."""

_WAIT = 0.5  # seconds
_MANY = 3


@dataclass(frozen=True, slots=True)
class Way:
    """Ways in and out of one key, of one client.

    Attributes:
        put: calls that put items; which of them is by chance.
        take: a call that takes, and how many items at most.
        drain: a call that takes many.
        items: the items in what ``take`` and ``drain`` returned.
    """

    put: Callable[[Random, list[str]], Call]
    take: Callable[[Random], tuple[Call, int]]
    drain: Callable[[], Call]
    items: Callable[[Any], list[str]]


Structure: TypeAlias = Callable[[Redis, str], Way]


def _queue(make: Callable[[Redis, str], RedisQueue[str] | RedisLifoQueue[str]]) -> Structure:
    def structure(client: Redis, key: str) -> Way:
        queue = make(client, key)

        def put(rng: Random, items: list[str]) -> Call:
            if len(items) > 1:
                return queue.put_many(items)
            return queue.put(items[0]) if rng.random() < 0.7 else queue.put_nowait(items[0])

        return Way(put, lambda rng: _taking(queue, rng), lambda: queue.get_many(100), _listed)

    return structure


def _taking(queue: RedisQueue[str] | RedisLifoQueue[str] | RedisPriorityQueue[str], rng: Random) -> tuple[Call, int]:
    match rng.randrange(4):
        case 0:
            return queue.get_nowait(), 1
        case 1:
            return queue.get_many(_MANY), _MANY
        case _:
            return queue.get(timeout=_WAIT), 1


def _priority_queue(client: Redis, key: str) -> Way:
    queue = RedisPriorityQueue(client, key, str)

    def put(rng: Random, items: list[str]) -> Call:
        pairs = [(item, float(rng.randrange(3))) for item in items]
        return queue.put_many(pairs) if len(pairs) > 1 else queue.put(pairs[0])

    return Way(put, lambda rng: _taking(queue, rng), lambda: queue.get_many(100), _scored)


def _list(client: Redis, key: str) -> Way:
    items = RedisList(client, key, str)

    def put(rng: Random, new: list[str]) -> Call:
        if len(new) > 1:
            return rng.choice((items.extend, items.extendleft))(new)
        match rng.randrange(3):
            case 0:
                return items.append(new[0])
            case 1:
                return items.appendleft(new[0])
            case _:
                return items.insert(rng.randrange(-3, 4), new[0])

    def take(rng: Random) -> tuple[Call, int]:
        return rng.choice((items.pop, items.popleft))(), 1

    return Way(put, take, items.popleft, _listed)


def _set(client: Redis, key: str) -> Way:
    members = RedisSet(client, key, str)

    def put(rng: Random, new: list[str]) -> Call:
        return members.update(*new) if len(new) > 1 else members.add(new[0])

    def take(rng: Random) -> tuple[Call, int]:
        return (members.pop(), 1) if rng.random() < 0.5 else (members.pop(_MANY), _MANY)

    return Way(put, take, lambda: members.pop(100), _listed)


def _sorted_set(client: Redis, key: str) -> Way:
    members = RedisSortedSet(client, key, str)

    def put(rng: Random, new: list[str]) -> Call:
        pairs = [(item, float(rng.randrange(3))) for item in new]
        return members.add_multi(pairs) if len(pairs) > 1 else members.add(pairs[0])

    def take(rng: Random) -> tuple[Call, int]:
        match rng.randrange(4):
            case 0:
                return members.pop_min(), 1
            case 1:
                return members.pop_max(_MANY), _MANY
            case 2:
                return members.blocking_pop_min(_WAIT), 1
            case _:
                return members.blocking_pop_max(_WAIT), 1

    return Way(put, take, lambda: members.pop_min(100), _scored)


def _hash(client: Redis, key: str) -> Way:
    fields = RedisHash(client, key, str)

    def put(rng: Random, new: list[str]) -> Call:
        return fields.update({item: item for item in new}) if len(new) > 1 else fields.set(new[0], new[0])

    async def take_any(rng: Random) -> str | None:
        there = [field async for field, _ in fields.items()]
        return await fields.pop(rng.choice(there)) if there else None

    return Way(put, lambda rng: (take_any(rng), 1), lambda: take_any(Random(0)), _listed)


def _key_space(client: Redis, key: str) -> Way:
    entries = RedisKeySpace(client, f"{key}:", str)

    def put(rng: Random, new: list[str]) -> Call:
        return entries.update({item: item for item in new}) if len(new) > 1 else entries.set(new[0], new[0])

    async def take_any(rng: Random) -> str | None:
        there = [name async for name, _ in entries.items()]
        return await entries.pop(rng.choice(there)) if there else None

    return Way(put, lambda rng: (take_any(rng), 1), lambda: take_any(Random(0)), _listed)


def _listed(came: str | list[str] | None) -> list[str]:
    return came if isinstance(came, list) else [] if came is None else [came]


def _scored(came: tuple[str, float] | list[tuple[str, float]]) -> list[str]:
    return [item for item, _ in (came if isinstance(came, list) else [came])]


STRUCTURES: dict[str, Structure] = {
    "queue": _queue(lambda client, key: RedisQueue(client, key, str)),
    "small queue": _queue(lambda client, key: RedisQueue(client, key, str, maxsize=5)),
    "stack": _queue(lambda client, key: RedisLifoQueue(client, key, str)),
    "priority queue": _priority_queue,
    "list": _list,
    "set": _set,
    "sorted set": _sorted_set,
    "hash": _hash,
    "key space": _key_space,
}
"""By name."""
