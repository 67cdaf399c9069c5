"""TTL, the value object; what it does to keys is tested with the collections."""

from __future__ import annotations

import copy
import pickle
from collections.abc import Callable
from datetime import timedelta
from typing import Any

import pytest
from redis.asyncio import Redis

from purse import (
    TTL,
    DeclarationError,
    RedisHash,
    RedisKeySpace,
    RedisLifoQueue,
    RedisList,
    RedisPriorityQueue,
    RedisQueue,
    RedisSet,
    RedisSortedSet,
    Store,
    field,
)
from purse.collections import RedisCollection
from purse.inspect import fields
from purse.ttl import Lifetime, as_ttl

Build = Callable[[Redis, Lifetime], RedisCollection]


def test_the_duration_is_the_sum_of_its_parts() -> None:
    """Parts add up, fractions too; policies of the same duration and options are equal and hash alike."""
    ttl = TTL(days=1, hours=1.5, minutes=30, seconds=1, milliseconds=5)

    assert ttl.duration == timedelta(days=1, hours=2, seconds=1, milliseconds=5)
    assert ttl.duration_ms == 93_601_005
    assert TTL(hours=1) == TTL(minutes=60)
    assert hash(TTL(hours=1)) == hash(TTL(minutes=60))
    assert TTL(hours=1) != TTL(hours=1, renew="read")


@pytest.mark.parametrize("parts", [{}, {"hours": 0}, {"hours": -1}, {"milliseconds": 0.4}, {"hours": float("nan")}])
def test_a_duration_below_a_millisecond_is_refused(parts: dict[str, float]) -> None:
    """Nothing, zero, a negative or no number at all is a DeclarationError that shows what to write."""
    with pytest.raises(DeclarationError, match="TTL\\(hours=1\\)"):
        TTL(**parts)  # type: ignore[arg-type] # pyright: ignore[reportArgumentType]


def test_a_duration_that_scripts_cannot_count_is_refused() -> None:
    """Beyond 2**53 ms a Lua number is not exact."""
    with pytest.raises(DeclarationError, match="between 1 ms"):
        TTL(milliseconds=2**53 + 2)


def test_unknown_options_are_refused() -> None:
    """A misspelt ``renew=`` and a jitter outside of 0 to 1 name what is allowed."""
    with pytest.raises(DeclarationError, match='"write", "read" or "never"'):
        TTL(hours=1, renew="writes")  # type: ignore[arg-type] # pyright: ignore[reportArgumentType]
    for jitter in (-0.1, 1, 2, float("nan")):
        with pytest.raises(DeclarationError, match="jitter"):
            TTL(hours=1, jitter=jitter)


def test_jitter_spreads_around_the_duration() -> None:
    """Each draw is within the declared spread, and draws differ; without jitter all are the duration."""
    drawn = {TTL(seconds=100, jitter=0.1).__purse_draw_ms__() for _ in range(1000)}

    assert 90_000 <= min(drawn) < 95_000
    assert 105_000 < max(drawn) <= 110_000
    assert {TTL(seconds=100).__purse_draw_ms__() for _ in range(100)} == {100_000}
    assert TTL(milliseconds=1, jitter=0.9).__purse_draw_ms__() >= 1


@pytest.mark.parametrize("unitless", [3600, 3600.0, "3600", timedelta(hours=1)])
def test_a_duration_without_a_unit_is_refused(unitless: Any) -> None:
    """``TTL(3600)`` is answered with the call that was meant."""
    with pytest.raises(DeclarationError, match=r"has no unit: write TTL\(seconds=3600\)"):
        TTL(unitless)  # type: ignore[call-arg] # pyright: ignore[reportCallIssue]


def test_a_part_that_is_not_a_number_is_refused() -> None:
    """The part is named, and what was meant where that can be seen."""
    with pytest.raises(DeclarationError, match=r"^TTL\(hours='2'\): hours= must be a number: write TTL\(hours=2\)"):
        TTL(hours="2")  # type: ignore[arg-type] # pyright: ignore[reportArgumentType]
    with pytest.raises(DeclarationError, match=r"seconds= must be a number: write TTL\(seconds=60\)"):
        TTL(seconds=timedelta(minutes=1))  # type: ignore[arg-type] # pyright: ignore[reportArgumentType]
    with pytest.raises(DeclarationError, match=r"jitter= must be a number: write TTL\(jitter=0\.1\)"):
        TTL(hours=1, jitter="10%")  # type: ignore[arg-type] # pyright: ignore[reportArgumentType]


def test_a_policy_can_be_copied_and_pickled() -> None:
    """It is a value."""
    policy = TTL(hours=1, renew="read", jitter=0.1)

    assert copy.deepcopy(policy) == pickle.loads(pickle.dumps(policy)) == policy


COLLECTIONS: dict[str, Build] = {
    "hash": lambda redis, ttl: RedisHash(redis, "k", int, ttl=ttl),
    "list": lambda redis, ttl: RedisList(redis, "k", int, ttl=ttl),
    "set": lambda redis, ttl: RedisSet(redis, "k", int, ttl=ttl),
    "sorted set": lambda redis, ttl: RedisSortedSet(redis, "k", int, ttl=ttl),
    "queue": lambda redis, ttl: RedisQueue(redis, "k", int, ttl=ttl),
    "lifo queue": lambda redis, ttl: RedisLifoQueue(redis, "k", int, ttl=ttl),
    "priority queue": lambda redis, ttl: RedisPriorityQueue(redis, "k", int, ttl=ttl),
    "key space": lambda redis, ttl: RedisKeySpace(redis, "k", int, ttl=ttl),
}


@pytest.mark.parametrize("build", COLLECTIONS.values(), ids=COLLECTIONS.keys())
def test_every_collection_takes_a_duration_for_a_policy(build: Build) -> None:
    """A ``timedelta`` or a number of seconds is the policy of that duration; what is neither names the key."""
    for given in (TTL(minutes=1), timedelta(minutes=1), 60, 60.0):
        assert build(Redis(), given)._ttl == TTL(seconds=60)  # pyright: ignore[reportPrivateUsage]
    assert build(Redis(), 0.25)._ttl == TTL(milliseconds=250)  # pyright: ignore[reportPrivateUsage]
    for wrong in ("60", True, 0, -1, float("nan"), timedelta(0), TTL):
        with pytest.raises(DeclarationError, match=r"^k: ttl="):
            build(Redis(), wrong)  # type: ignore[arg-type] # pyright: ignore[reportArgumentType]


class Garden(Store, namespace="ttl-durations", ttl=timedelta(days=1)):
    """Durations wherever a declaration takes a policy."""

    default: RedisHash[int]
    seconds: RedisHash[int] = field(ttl=90)
    delta: RedisHash[int] = field(ttl=timedelta(minutes=2))


def test_every_declaration_takes_a_duration_for_a_policy() -> None:
    """Of a store, of a field, of a nested store's field: what is asked for it later is the policy."""

    class Outer(Store, namespace="ttl-outer", ttl=5):
        part: Part = field(ttl=7)
        own: RedisList[int]

    assert {name: spec.ttl for name, spec in fields(Garden).items()} == {
        "default": TTL(days=1),
        "seconds": TTL(seconds=90),
        "delta": TTL(minutes=2),
    }
    assert {name: spec.ttl for name, spec in fields(Outer).items()} == {
        "part.log": TTL(seconds=7),
        "own": TTL(seconds=5),
    }


class Part(Store):
    log: RedisList[int]


async def test_a_duration_rides_on_a_write(redis: Redis) -> None:
    """The key has the time to live that the duration says."""
    garden = Garden(redis)

    await garden.seconds.set("a", 1)

    assert 80 < await garden.seconds.ttl() <= 90


def test_what_is_none_stays_none() -> None:
    """No policy is a policy, too."""
    assert as_ttl(None, "k") is None
