"""Python's own syntax on a collection: what it cannot do, and the call that is written instead."""

from __future__ import annotations

import copy
import pickle
from collections.abc import Callable
from typing import Any

import pytest
from redis.asyncio import Redis

from purse import (
    RedisHash,
    RedisKeySpace,
    RedisLifoQueue,
    RedisList,
    RedisLock,
    RedisPriorityQueue,
    RedisQueue,
    RedisRateLimiter,
    RedisSemaphore,
    RedisSet,
    RedisSortedSet,
    Store,
)

Use = Callable[[Any], object]


class Garden(Store, namespace="operators"):
    plants: RedisHash[int]
    beds: RedisKeySpace[int]
    log: RedisList[str]
    tags: RedisSet[str]
    rank: RedisSortedSet[str]
    tasks: RedisQueue[str]
    stack: RedisLifoQueue[str]
    jobs: RedisPriorityQueue[str]
    lock: RedisLock
    api: RedisRateLimiter = RedisRateLimiter.field(rate="10/second")
    workers: RedisSemaphore = RedisSemaphore.field(limit=3)


def _assign(collection: Any) -> None:
    collection["a"] = 1


def _delete(collection: Any) -> None:
    del collection["a"]


def _loop(collection: Any) -> None:
    for _ in collection:
        pass


OPERATORS: dict[str, Use] = {
    "get": lambda c: c["a"],
    "slice": lambda c: c[1:3],
    "open slice": lambda c: c[:],
    "set": _assign,
    "delete": _delete,
    "in": lambda c: "a" in c,
    "len": len,
    "for": _loop,
    "list": list,
    "unpack": lambda c: [*c],
}
MAPPING = {
    "get": "[...] cannot wait for Redis: write await {c}.get('a')",
    "set": "[...] = value cannot wait for Redis: write await {c}.set('a', 1)",
    "delete": "del [...] cannot wait for Redis: write await {c}.delete('a')",
    "in": "in cannot wait for Redis: write await {c}.contains('a')",
    "len": "len() cannot wait for Redis: write await {c}.len()",
    "for": "for, without async, cannot wait for Redis: write async for key, value in {c}",
    "list": "write async for key, value in {c}",
    "unpack": "write async for key, value in {c}",
}
QUEUE = {"len": "write await {c}.qsize()", "for": "write async for item in {c}, which takes the items"}
EXPECTED: dict[str, dict[str, str]] = {
    "plants": MAPPING,
    "beds": MAPPING,
    "log": {
        "get": "write await {c}.getitem('a')",
        "slice": "write await {c}.slice(1, 3)",
        "open slice": "write await {c}.slice(0, None)",
        "set": "write await {c}.setitem('a', 1)",
        "delete": "write await {c}.remove(value), or pop() at the end",
        "in": "write await {c}.contains('a')",
        "len": "write await {c}.len()",
        "for": "write async for element in {c}",
    },
    "tags": {
        "in": "write await {c}.contains('a')",
        "len": "write await {c}.len()",
        "for": "write async for member in {c}",
    },
    "rank": {
        "get": "write await {c}.score('a')",
        "slice": "write await {c}.slice_by_rank(first, last)",
        "open slice": "write await {c}.slice_by_rank(first, last)",
        "set": "write await {c}.add(('a', 1))",
        "delete": "write await {c}.remove('a')",
        "in": "write await {c}.score('a') is not None",
        "len": "write await {c}.len()",
        "for": "write async for member, score in {c}",
    },
    "tasks": QUEUE,
    "stack": QUEUE,
    "jobs": QUEUE,
}


@pytest.mark.parametrize("operator", OPERATORS)
@pytest.mark.parametrize("name", EXPECTED)
def test_an_operator_is_answered_with_the_call_to_write(name: str, operator: str) -> None:
    """It is named as the store has it; what the collection has no call for, Python refuses in its own words."""
    collection = getattr(Garden(Redis()), name)

    with pytest.raises(TypeError) as caught:
        OPERATORS[operator](collection)

    message = str(caught.value)
    wanted = EXPECTED[name].get(operator)
    if wanted is not None:
        assert message.startswith(f"{{operators}}:{name}")
        assert wanted.format(c=f"store.{name}") in message
    elif operator not in ("list", "unpack"):
        assert f"{type(collection).__name__}'" in message


def test_a_collection_that_was_built_directly_is_called_c() -> None:
    """It has no name that is known."""
    with pytest.raises(TypeError, match=r"^k: len\(\) cannot wait for Redis: write await c\.len\(\)$"):
        len(RedisHash(Redis(), "k", int))  # type: ignore[arg-type]  # pyright: ignore[reportArgumentType]


def test_a_collection_is_true() -> None:
    """``given or default`` and ``if given:`` ask whether there is a collection, as they did always."""
    assert all(getattr(Garden(Redis()), name) for name in EXPECTED)


@pytest.mark.parametrize("name", [*EXPECTED, "lock", "api", "workers"])
@pytest.mark.parametrize("use", [copy.copy, copy.deepcopy, pickle.dumps])
def test_a_collection_cannot_be_copied_or_pickled(name: str, use: Callable[[object], object]) -> None:
    """It holds a connection; the message says what to do in the other process."""
    collection = getattr(Garden(Redis()), name)

    with pytest.raises(TypeError) as caught:
        use(collection)

    assert (
        "cannot be copied or pickled, because it holds a connection: make another one in the process that uses it "
        in str(caught.value)
    )
    assert f"{type(collection).__name__}(client, '{{operators}}:{name}" in str(caught.value)
