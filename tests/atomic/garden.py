"""The stores of the tests of transactions, and what these tests ask of calls, clients and warnings."""

from __future__ import annotations

import gc
import inspect
import warnings
from collections.abc import Coroutine, Generator
from contextlib import contextmanager
from typing import Any, TypeAlias, cast

import pytest
from pydantic import BaseModel
from redis.asyncio import Redis

from purse import TTL, RedisHash, RedisList, Store, field, statistics

Call: TypeAlias = Coroutine[Any, Any, object]


class Plant(BaseModel):
    name: str


class Garden(Store, namespace="atomic"):
    log: RedisList[str]
    numbers: RedisList[int]
    plants: RedisHash[Plant]
    visits: RedisHash[int]
    hour: RedisHash[int] = field(ttl=TTL(hours=1))
    seen: RedisHash[int] = field(ttl=TTL(hours=1, renew="read"))
    once: RedisHash[int] = field(ttl=TTL(hours=1, renew="never"))


class Shed(Store, namespace="atomic-shed"):
    tools: RedisList[str]


class Empty(Store, namespace="atomic-empty"):
    """No fields."""


PEA = Plant(name="pea")


def nowhere() -> Garden:
    """A store whose server does not exist."""
    return Garden(Redis(host="127.0.0.1", port=1))


def atomic(garden: Garden, calls: list[object]) -> Coroutine[object, None, tuple[object, ...]]:
    """``garden.atomic`` of what it does not take."""
    return garden.atomic(*cast("list[Call]", calls))


def state(call: object) -> str:
    """Where a coroutine is: CORO_CREATED, CORO_SUSPENDED, CORO_CLOSED."""
    return inspect.getcoroutinestate(cast("Call", call))


def requests(garden: Garden) -> int:
    """How many requests the store's client has sent."""
    return statistics(garden.log.redis).commands


@contextmanager
def heard(*expected: str) -> Generator[None]:
    """Collect the garbage at the end of the block; exactly these warnings are heard."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        gc.collect()  # what a test before this one left behind is not heard
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always")
        yield
        gc.collect()
    assert [str(warning.message) for warning in caught] == [*expected]


async def refused(garden: Garden, kind: type[Exception], calls: list[object]) -> Exception:
    """The error of a transaction of which nothing was sent; its calls are closed, and no warning is heard."""
    before = requests(garden)
    fresh = [call for call in calls if inspect.iscoroutine(call) and state(call) == inspect.CORO_CREATED]
    with heard():
        with pytest.raises(kind) as caught:
            await atomic(garden, calls)
        assert {*map(state, fresh)} <= {inspect.CORO_CLOSED}
        error = caught.value.with_traceback(None)
        calls.clear()
        del caught, fresh  # nothing refers to the calls any more, so what they leave behind is heard
    assert requests(garden) == before
    return error
