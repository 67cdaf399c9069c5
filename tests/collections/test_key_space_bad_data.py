"""RedisKeySpace: bytes that do not decode, other Redis types, transactions, and every kind of client."""

from __future__ import annotations

import pytest
from redis.asyncio import Redis

from purse.collections.key_space import RedisKeySpace
from purse.errors import AtomicFailed, DecodeError, WrongKind
from purse.store import Store
from tests.collections.garden import Plant, collect
from tests.support.units import read

PEA = Plant(name="pea")


@pytest.fixture
def beds(redis: Redis) -> RedisKeySpace[Plant]:
    return RedisKeySpace(redis, "{garden}:beds:", Plant)


@pytest.fixture
def words(redis: Redis) -> RedisKeySpace[str]:
    return RedisKeySpace(redis, "words:", str)


@pytest.fixture
def visits(redis: Redis) -> RedisKeySpace[int]:
    return RedisKeySpace(redis, "visits:", int)


# --- what does not decode, and other types ------------------------------------------------------


async def test_bad_bytes_are_named_and_left_alone(redis: Redis, beds: RedisKeySpace[Plant]) -> None:
    """Whoever reads them raises a DecodeError with prefix, key and bytes; ``setdefault`` does not overwrite."""
    await redis.set("{garden}:beds:a", b'{"name": 3}')

    for call in (
        lambda: beds.get("a"),
        lambda: beds.setdefault("a", PEA),
        lambda: beds.get_or_create("a", lambda: PEA),
        lambda: beds.modify("a", lambda plant: plant, default=PEA),
        lambda: beds.get_many(["b", "a"]),
        lambda: collect(beds.items()),
        lambda: collect(beds.values()),
    ):
        with pytest.raises(DecodeError, match=r"\{garden\}:beds:\['a'\] does not hold a valid Plant") as caught:
            await call()
        assert (caught.value.key, caught.value.field, caught.value.raw) == ("{garden}:beds:", "a", b'{"name": 3}')
    assert await redis.get("{garden}:beds:a") == b'{"name": 3}'


async def test_a_popped_bad_value_is_carried(redis: Redis, beds: RedisKeySpace[Plant]) -> None:
    """The DecodeError has the bytes, which are nowhere else now."""
    await redis.set("{garden}:beds:a", b"\xff")

    with pytest.raises(DecodeError, match="removed from Redis") as caught:
        await beds.pop("a")

    assert caught.value.raw == b"\xff"
    assert await read(redis, "DBSIZE") == 0


async def test_another_redis_type(redis: Redis, words: RedisKeySpace[str]) -> None:
    """What reads it raises WrongKind with what to do; ``get_many`` sees nothing; ``set`` and ``delete`` are told to."""
    await redis.rpush("words:a", "x")

    for call in (words.get("a"), words.pop("a"), words.setdefault("a", "y"), words.modify("a", str.upper)):
        with pytest.raises(WrongKind, match=r"words:\['a'\]: the Redis key does not hold a string.*delete\(key\)"):
            await call
    assert await words.get_many(["a"]) == {}
    assert await redis.lrange("words:a", 0, -1) == [b"x"]
    assert await words.delete("a") == 1
    await redis.rpush("words:a", "x")
    assert await words.set("a", "y") is True
    assert await words.get("a") == "y"


# --- transactions -------------------------------------------------------------------------------


class Alone(Store, namespace="key_space_alone"):
    """A store without fields, for its ``atomic``."""


async def test_calls_in_a_transaction(redis: Redis, visits: RedisKeySpace[int]) -> None:
    """Every method of one trip can be part of ``atomic``; those of several trips say so."""
    garden = Alone(redis)

    assert await garden.atomic(
        visits.set("a", 1),
        visits.setdefault("b", 2),
        visits.update({"c": 3}),
        visits.increment("a"),
        visits.get_many([*"abc"]),
        visits.pop("b"),
        visits.delete_many([*"ab"]),
    ) == (True, 2, True, 2, {"a": 2, "b": 2, "c": 3}, 2, 1)

    for call in (visits.len(), visits.clear(), visits.modify("c", abs), visits.get_or_create("c", lambda: 1)):
        with pytest.raises(TypeError, match="cannot be part of atomic"):
            await garden.atomic(call)


async def test_a_failing_call_in_a_transaction(redis: Redis, visits: RedisKeySpace[int]) -> None:
    """The others are executed, and the error names the key."""
    await redis.rpush("visits:bad", "x")

    with pytest.raises(AtomicFailed, match=r"visits:\['bad'\]") as caught:
        await Alone(redis).atomic(visits.set("a", 1), visits.get("bad"))

    assert caught.value.results[0] is True
    assert isinstance(caught.value.results[1], WrongKind)


# --- clients ------------------------------------------------------------------------------------
