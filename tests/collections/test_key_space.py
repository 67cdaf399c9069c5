"""RedisKeySpace: what each method that concerns one entry, or some of them, returns and raises."""

from __future__ import annotations

import math
from collections.abc import Iterator
from datetime import timedelta
from typing import Any, cast
from uuid import UUID

import pytest
from redis import Redis as Rival
from redis.asyncio import Redis
from redis.exceptions import ResponseError

from purse.collections.key_space import RedisKeySpace
from purse.embedded import Server
from purse.errors import DeclarationError, DecodeError, EditConflict, EncodeError
from tests.collections.garden import HOSTILE, Plant, Tree, collect, shown
from tests.support.units import read

PEA = Plant(name="pea")
LEEK = Plant(name="leek", healthiness=9.5, tasty=False)


@pytest.fixture
def beds(redis: Redis) -> RedisKeySpace[Plant]:
    return RedisKeySpace(redis, "{garden}:beds:", Plant)


@pytest.fixture
def words(redis: Redis) -> RedisKeySpace[str]:
    return RedisKeySpace(redis, "words:", str)


@pytest.fixture
def visits(redis: Redis) -> RedisKeySpace[int]:
    return RedisKeySpace(redis, "visits:", int)


@pytest.fixture
def rival(server: Server) -> Iterator[Rival]:
    """Somebody else, who writes within a function that only computes: a synchronous client."""
    with Rival.from_url(server.url) as rival:  # pyright: ignore[reportUnknownMemberType]
        yield rival


# --- declaration --------------------------------------------------------------------------------


async def test_attributes(redis: Redis, beds: RedisKeySpace[Plant]) -> None:
    """``redis`` is the client, ``prefix`` and ``suffix`` are as given; ``repr`` shows the class and the prefix."""
    assert beds.redis is redis
    assert (beds.prefix, beds.suffix) == ("{garden}:beds:", "")
    assert repr(beds) == "<RedisKeySpace '{garden}:beds:'>"


async def test_an_empty_prefix_is_refused(redis: Redis) -> None:
    """It would be the whole database; the message says so, and what to write."""
    with pytest.raises(DeclarationError, match="every key of the database"):
        RedisKeySpace(redis, "", str)


@pytest.mark.parametrize("prefix", [b"words:", 1, None])
async def test_a_prefix_is_a_str(redis: Redis, prefix: object) -> None:
    """Any other prefix or suffix is a TypeError when the collection is made."""
    with pytest.raises(TypeError, match="must be a str"):
        RedisKeySpace(redis, cast("str", prefix), str)
    with pytest.raises(TypeError, match="must be a str"):
        RedisKeySpace(redis, "words:", str, suffix=cast("str", prefix))


async def test_names_have_a_utf8_form(redis: Redis) -> None:
    """A prefix or suffix with a lone surrogate is refused."""
    with pytest.raises(DeclarationError, match="surrogate"):
        RedisKeySpace(redis, "\ud800", str)
    with pytest.raises(DeclarationError, match="surrogate"):
        RedisKeySpace(redis, "words:", str, suffix="\ud800")


async def test_keys_need_a_canonical_form(redis: Redis) -> None:
    """A key type for which equal keys could be different bytes is refused."""
    with pytest.raises(DeclarationError, match="cannot be a key"):
        RedisKeySpace(redis, "words:", str, key_type=cast("type[str]", Any))


# --- one entry ----------------------------------------------------------------------------------


async def test_the_redis_key_is_prefix_and_key(redis: Redis, words: RedisKeySpace[str]) -> None:
    """Nothing is put between them, and the value is what the codec wrote."""
    await words.set("a:b", "x")

    assert await redis.get("words:a:b") == b"x"


async def test_set_and_get(beds: RedisKeySpace[Plant]) -> None:
    """``set`` stores and replaces and returns True; ``get`` returns the value, or None, or a default."""
    assert await beds.set("a", PEA) is True
    assert await beds.set("a", LEEK) is True

    assert await beds.get("a") == LEEK
    assert await beds.get("b") is None
    assert await beds.get("b", PEA) == PEA
    assert await beds.get("a", None) == LEEK


async def test_set_only_if_absent_or_present(words: RedisKeySpace[str]) -> None:
    """``nx`` stores only a new entry, ``xx`` only an old one; False says that nothing was stored."""
    assert await words.set("a", "1", xx=True) is False
    assert await words.set("a", "2", nx=True) is True
    assert await words.set("a", "3", nx=True) is False
    assert await words.get("a") == "2"
    assert await words.set("a", "4", xx=True) is True
    assert await words.get("a") == "4"


@pytest.mark.parametrize(
    ("ex", "px", "left_ms"),
    [
        (100, None, 100_000),
        (1.5, None, 1500),
        (timedelta(minutes=1), None, 60_000),
        (None, 5000, 5000),
        (None, timedelta(seconds=5), 5000),
    ],
)
async def test_set_with_a_time_to_live(
    words: RedisKeySpace[str], ex: float | timedelta | None, px: float | timedelta | None, left_ms: int
) -> None:
    """``ex`` counts seconds and ``px`` milliseconds, both take a timedelta; positions are those of 2.x."""
    await words.set("a", "1", ex, px)

    assert left_ms - 1000 < await words.pttl("a") <= left_ms
    assert await words.setdefault("b", "1", ex, px) == "1"
    assert left_ms - 1000 < await words.pttl("b") <= left_ms


async def test_set_takes_the_time_to_live_away_unless_told(words: RedisKeySpace[str]) -> None:
    """``keepttl`` keeps the time that is left; without it the entry never expires."""
    await words.set("a", "1", 100)
    await words.set("a", "2", keepttl=True)
    assert 0 < await words.ttl("a") <= 100

    await words.set("a", "3")
    assert await words.ttl("a") == -1


@pytest.mark.parametrize("bad", [0, -1, 0.0001, math.nan, math.inf, timedelta(0), timedelta(days=-1), 1e300])
async def test_a_duration_is_at_least_a_millisecond(
    redis: Redis, words: RedisKeySpace[str], bad: float | timedelta
) -> None:
    """Anything else is a ValueError that says so, and nothing is sent."""
    with pytest.raises(ValueError, match="at least 1 ms"):
        await words.set("a", "1", ex=bad)
    with pytest.raises(ValueError, match="at least 1 ms"):
        await words.setdefault("a", "1", px=bad)
    with pytest.raises(ValueError, match="at least 1 ms"):
        await words.set_many({"a": "1"}, bad)
    with pytest.raises(ValueError, match="at least 1 ms"):
        await words.get_or_create("a", lambda: "1", ex=bad)

    assert await read(redis, "DBSIZE") == 0


async def test_options_that_exclude_each_other(redis: Redis, words: RedisKeySpace[str]) -> None:
    """``ex`` and ``px``, either with ``keepttl``, and ``nx`` with ``xx`` are ValueErrors; nothing is sent."""
    with pytest.raises(ValueError, match="pass one of them"):
        await words.set("a", "1", ex=1, px=1)
    with pytest.raises(ValueError, match="pass one of them"):
        await words.set("a", "1", px=1, keepttl=True)
    with pytest.raises(ValueError, match="pass one of them"):
        await words.set("a", "1", nx=True, xx=True)
    with pytest.raises(ValueError, match="pass one of them"):
        await words.setdefault("a", "1", ex=1, px=1)

    assert await read(redis, "DBSIZE") == 0


async def test_setdefault(words: RedisKeySpace[str]) -> None:
    """It stores only what is missing and returns what is stored; 2.x's other options have no effect."""
    assert await words.setdefault("a", "1") == "1"
    assert await words.setdefault("a", "2") == "1"
    assert await words.setdefault("a", "3", 10, None, False, True, False) == "1"
    assert await words.setdefault("b", "4", None, None, True, True, True) == "4"
    assert await words.ttl("a") == -1


async def test_pop_and_delete(beds: RedisKeySpace[Plant]) -> None:
    """``pop`` returns what it removed, None or a default if there was nothing; ``delete`` counts."""
    await beds.update({"a": PEA, "b": LEEK})

    assert await beds.pop("a") == PEA
    assert await beds.pop("a") is None
    assert await beds.pop("a", LEEK) == LEEK
    assert await beds.contains("a") is False
    assert await beds.contains("b") is True
    assert await beds.delete("b") == 1
    assert await beds.delete("b") == 0


async def test_none_as_a_value(redis: Redis) -> None:
    """A stored None is a value; ``get`` with a default tells it from a missing one."""
    perhaps = RedisKeySpace[int | None](redis, "perhaps:", int | None)

    await perhaps.set("a", None)

    assert await perhaps.get("a", 5) is None
    assert await perhaps.contains("a") is True
    assert await perhaps.setdefault("a", 5) is None
    assert await perhaps.get_or_create("a", lambda: 5) is None
    assert await perhaps.get_many(["a"]) == {"a": None}
    assert await perhaps.pop("a", 5) is None


@pytest.mark.rows(4)
@pytest.mark.parametrize("key", HOSTILE, ids=shown)
async def test_any_string_is_a_key(redis: Redis, words: RedisKeySpace[str], key: str) -> None:
    """Whatever characters a key and a value have, they come back."""
    await redis.set("neighbour", "x")

    assert await words.set(key, key) is True
    assert await words.get(key) == key
    assert await words.setdefault(key, "x") == key
    assert await words.get_many([key]) == {key: key}
    assert await collect(words) == [(key, key)]
    assert await words.modify(key, lambda word: word + "!") == key + "!"
    assert await redis.get(b"words:" + key.encode()) == (key + "!").encode()
    assert await words.pop(key) == key + "!"
    assert await read(redis, "DBSIZE") == 1


async def test_keys_of_other_types(redis: Redis) -> None:
    """Keys are encoded canonically: ints as digits, UUIDs as JSON, bytes as they are."""
    by_number = RedisKeySpace(redis, "number:", str, key_type=int)
    by_id = RedisKeySpace(redis, "id:", str, key_type=UUID)
    by_bytes = RedisKeySpace(redis, "bytes:", str, key_type=bytes)
    some_id = UUID(int=7)

    await by_number.set(-5, "n")
    await by_id.set(some_id, "i")
    await by_bytes.set(b"\xff\x00*", "b")

    assert await redis.get("number:-5") == b"n"
    assert await redis.get(b"bytes:\xff\x00*") == b"b"
    assert await collect(by_number) == [(-5, "n")]
    assert await collect(by_id) == [(some_id, "i")]
    assert await collect(by_bytes) == [(b"\xff\x00*", "b")]
    assert await by_bytes.setdefault(b"\xff\x00*", "x") == "b"
    assert await by_bytes.modify(b"\xff\x00*", str.upper) == "B"
    assert await by_bytes.clear() == 1


async def test_what_does_not_fit_is_refused(redis: Redis, beds: RedisKeySpace[Plant]) -> None:
    """A value or key of another type, a subclass too, is an EncodeError that names the key; nothing is sent."""
    with pytest.raises(EncodeError, match=r"\{garden\}:beds:\['a'\] cannot store") as caught:
        await beds.set("a", Tree(name="oak"))
    assert (caught.value.key, caught.value.field) == ("{garden}:beds:", "a")
    with pytest.raises(EncodeError, match=r"cannot have the key 5") as caught:
        await beds.set(cast("str", 5), PEA)
    assert caught.value.field == 5
    with pytest.raises(EncodeError, match=r"\['b'\]"):
        await beds.update({"a": PEA, "b": Tree(name="oak")})
    with pytest.raises(EncodeError, match="cannot have the key 5"):
        await beds.set_many({"a": PEA, cast("str", 5): LEEK})
    with pytest.raises(EncodeError, match="cannot have the key 5"):
        await beds.get_many(["a", cast("str", 5)])
    with pytest.raises(EncodeError, match="cannot store"):
        await beds.get_or_create("a", lambda: Tree(name="oak"))

    assert await read(redis, "DBSIZE") == 0


# --- the time of an entry -----------------------------------------------------------------------


async def test_reading_the_time_left(words: RedisKeySpace[str]) -> None:
    """-1 for an entry that never expires, -2 for none; ``expires_in`` says None and KeyError."""
    await words.set("a", "1")

    assert (await words.ttl("a"), await words.pttl("a"), await words.expires_in("a")) == (-1, -1, None)
    assert (await words.ttl("b"), await words.pttl("b")) == (-2, -2)
    with pytest.raises(KeyError, match="b"):
        await words.expires_in("b")


async def test_setting_the_time_left(words: RedisKeySpace[str]) -> None:
    """``expire`` takes seconds and ``pexpire`` milliseconds or a timedelta; ``persist`` takes the time away."""
    await words.set("a", "1")

    assert await words.expire("a", 1.5) is True
    assert 0 < await words.pttl("a") <= 1500
    assert await words.pexpire("a", timedelta(seconds=100)) is True
    assert 90_000 < await words.pttl("a") <= 100_000
    left = await words.expires_in("a")
    assert left is not None
    assert timedelta(seconds=90) < left <= timedelta(seconds=100)
    assert await words.persist("a") is True
    assert await words.persist("a") is False
    assert await words.expire("b", 10) is False


@pytest.mark.parametrize("seconds", [0, -5, -(10**30), timedelta(days=-1)])
async def test_expiring_now_deletes(words: RedisKeySpace[str], seconds: float | timedelta) -> None:
    """Zero or less deletes the entry, and is True because there was one; too much is a ValueError."""
    await words.set("a", "1")
    with pytest.raises(ValueError, match="at most"):
        await words.expire("a", 10**30)

    assert await words.expire("a", seconds) is True
    assert await words.contains("a") is False


# --- numbers ------------------------------------------------------------------------------------


async def test_increment(redis: Redis, visits: RedisKeySpace[int]) -> None:
    """A missing number counts as 0; the sum is returned, and is what ``get`` reads."""
    weights = RedisKeySpace(redis, "weights:", float)

    assert await visits.increment("a") == 1
    assert await visits.increment("a", -5) == -4
    assert await visits.get("a") == -4
    assert await weights.increment("a", 0.5) == 0.5
    assert await weights.increment("a") == 1.5
    assert await weights.get("a") == 1.5
    assert type(await weights.increment("b", 2)) is float


async def test_increment_keeps_the_time_left(visits: RedisKeySpace[int]) -> None:
    """Without a policy the clock runs on."""
    await visits.set("a", 1, 100)

    await visits.increment("a")

    assert 0 < await visits.ttl("a") <= 100


async def test_what_cannot_be_added(redis: Redis, visits: RedisKeySpace[int]) -> None:
    """Amounts that are no such number are refused before sending, sums beyond 64 bits by the server."""
    weights = RedisKeySpace(redis, "weights:", float)
    for amount in (1.5, True, "1", 2**63):
        with pytest.raises(EncodeError, match="only a 64-bit int"):
            await visits.increment("a", cast("int", amount))
    for amount in (math.nan, math.inf, "1", 10**400):
        with pytest.raises(EncodeError, match="only a finite float"):
            await weights.increment("a", cast("float", amount))
    assert await read(redis, "DBSIZE") == 0

    await visits.set("a", 2**63 - 1)
    with pytest.raises(ResponseError, match="overflow"):
        await visits.increment("a")
    assert await visits.get("a") == 2**63 - 1


async def test_only_numbers_are_incremented(redis: Redis, words: RedisKeySpace[str]) -> None:
    """Other declared types are a TypeError that names ``modify``; bytes that are no number a DecodeError."""
    with pytest.raises(TypeError, match="modify"):
        await words.increment("a")  # type: ignore[misc]  # pyright: ignore
    await redis.set("visits:a", "x")

    for kind in (int, float):
        with pytest.raises(DecodeError, match=r"visits:\['a'\] does not hold a number") as caught:
            await RedisKeySpace[Any](redis, "visits:", kind).increment("a")
        assert (caught.value.key, caught.value.field) == ("visits:", "a")
    assert await redis.get("visits:a") == b"x"


# --- compare and set ----------------------------------------------------------------------------


async def test_modify(beds: RedisKeySpace[Plant]) -> None:
    """The new value is stored and returned; a missing one is a KeyError, or starts from ``default``."""

    def grow(plant: Plant) -> Plant:
        plant.healthiness += 1
        return plant

    with pytest.raises(KeyError, match="a"):
        await beds.modify("a", grow)
    assert await beds.modify("a", grow, default=PEA) == Plant(name="pea", healthiness=1)
    assert await beds.modify("a", grow) == Plant(name="pea", healthiness=2)
    assert await beds.get("a") == Plant(name="pea", healthiness=2)
    assert PEA.healthiness == 0


async def test_modify_keeps_the_time_left(words: RedisKeySpace[str]) -> None:
    """Without a policy the clock runs on."""
    await words.set("a", "1", 100)

    await words.modify("a", lambda word: word + "2")

    assert await words.get("a") == "12"
    assert 0 < await words.ttl("a") <= 100


async def test_modify_tries_again(words: RedisKeySpace[str], rival: Rival) -> None:
    """If somebody else was faster, ``fn`` gets the newer value; after ``attempts`` it is an EditConflict."""
    await words.set("a", "0")
    seen: list[str] = []

    def disturbed(word: str) -> str:
        seen.append(word)
        if len(seen) < 3:
            rival.set("words:a", str(len(seen)))  # pyright: ignore[reportUnknownMemberType]
        return word + "!"

    assert await words.modify("a", disturbed) == "2!"
    assert seen == ["0", "1", "2"]

    def always(word: str) -> str:
        rival.append("words:a", "x")
        return word + "!"

    with pytest.raises(EditConflict, match=r"words:\['a'\] was changed by other callers during each of 2") as caught:
        await words.modify("a", always, attempts=2)
    assert (caught.value.key, caught.value.field) == ("words:", "a")
    assert await words.get("a") == "2!xx"


async def test_edit(beds: RedisKeySpace[Plant], rival: Rival) -> None:
    """The changed value is stored at the end of the block, unless somebody was faster or the block raised."""
    async with beds.edit("a", default=PEA) as plant:
        plant.tasty = False
    assert await beds.get("a") == Plant(name="pea", tasty=False)

    with pytest.raises(ZeroDivisionError):
        async with beds.edit("a") as plant:
            plant.healthiness = 1 / 0

    async def disturbed() -> None:
        async with beds.edit("a") as plant:
            plant.healthiness = 5
            rival.delete("{garden}:beds:a")

    with pytest.raises(EditConflict):
        await disturbed()
    assert await beds.get("a") is None
    with pytest.raises(KeyError):
        async with beds.edit("a"):
            pytest.fail("the block ran")


async def test_edit_refuses_what_cannot_be_changed_in_place(words: RedisKeySpace[str]) -> None:
    """It names ``modify``."""
    await words.set("a", "x")
    with pytest.raises(TypeError, match="modify"):
        async with words.edit("a"):
            pytest.fail("the block ran")


# --- many entries -------------------------------------------------------------------------------


async def test_update(beds: RedisKeySpace[Plant]) -> None:
    """All are stored and True is returned, also for nothing."""
    assert await beds.update({}) is True
    assert await beds.update({"a": PEA, "b": PEA}) is True
    assert await beds.update({"b": LEEK, "c": LEEK}) is True

    assert await beds.get_many([*"abc"]) == {"a": PEA, "b": LEEK, "c": LEEK}


@pytest.mark.parametrize("size", [2, 1200])
async def test_update_if_none_exist(visits: RedisKeySpace[int], size: int) -> None:
    """If one of the keys exists, nothing is stored and False is returned."""
    mapping = {str(n): n for n in range(size)}
    await visits.set(str(size - 1), -1)

    assert await visits.update(mapping, True) is False
    assert await visits.get_many(mapping) == {str(size - 1): -1}
    await visits.clear()
    assert await visits.update(mapping, if_none_exist=True) is True
    assert await visits.get_many(mapping) == mapping


async def test_update_takes_the_time_to_live_away(visits: RedisKeySpace[int]) -> None:
    """As ``set`` does; ``set_many`` with ``ttl`` sets it for all."""
    await visits.set("a", 1, 100)
    await visits.update({"a": 2})
    assert await visits.ttl("a") == -1

    await visits.set_many({"a": 3, "b": 4}, 50)
    assert 0 < await visits.ttl("a") <= 50
    assert 0 < await visits.ttl("b") <= 50
    await visits.set_many({"a": 5}, ttl=timedelta(seconds=200))
    assert 100 < await visits.ttl("a") <= 200
    await visits.set_many({"a": 6})
    assert (await visits.get("a"), await visits.ttl("a")) == (6, -1)


async def test_get_many(visits: RedisKeySpace[int]) -> None:
    """Those that exist, in the order asked, each once, however many; any iterable of keys will do."""
    everything = {str(n): n for n in range(1200)}
    await visits.update(everything)

    assert [*(await visits.get_many(iter(["7", "x", "3", "7"]))).items()] == [("7", 7), ("3", 3)]
    assert [*await visits.get_many(reversed(everything))] == [*reversed(everything)]
    assert await visits.get_many([]) == {}


async def test_delete_many(visits: RedisKeySpace[int]) -> None:
    """It returns how many were there, and removes no other."""
    await visits.update({str(n): n for n in range(1200)})

    assert await visits.delete_many([]) == 0
    assert await visits.delete_many(map(str, range(1, 1300))) == 1199
    assert await collect(visits) == [("0", 0)]
