"""RedisHash: what each method returns and raises."""

from __future__ import annotations

import math
from typing import cast

import pytest
from redis.asyncio import Redis
from redis.exceptions import ResponseError

from purse.collections import RedisHash
from purse.errors import DecodeError, EncodeError
from tests.collections.garden import HOSTILE, Plant, collect, shown

SPINACH = Plant(name="spinach", healthiness=9.8, tasty=False)
AVOCADO = Plant(name="avocado", healthiness=8)


@pytest.fixture
def visits(redis: Redis) -> RedisHash[int]:
    return RedisHash(redis, "visits", int)


@pytest.fixture
def weights(redis: Redis) -> RedisHash[float]:
    return RedisHash(redis, "weights", float)


@pytest.fixture
def words(redis: Redis) -> RedisHash[str]:
    return RedisHash(redis, "words", str)


# --- one field ----------------------------------------------------------------------------------


async def test_set_says_whether_the_field_is_new(plants: RedisHash[Plant]) -> None:
    """``set`` returns 1 for a new field and 0 for a replaced value, which ``get`` then returns."""
    assert await plants.set("bed", SPINACH) == 1
    assert await plants.set("bed", AVOCADO) == 0
    assert await plants.get("bed") == AVOCADO


async def test_get_of_a_missing_key(plants: RedisHash[Plant]) -> None:
    """``get`` returns None for a missing key, or the default, whatever type that has."""
    assert await plants.get("bed") is None
    assert await plants.get("bed", "nothing") == "nothing"
    assert await plants.get("bed", default=AVOCADO) is AVOCADO


async def test_a_stored_none_is_a_value(redis: Redis) -> None:
    """Where None is a value of the declared type, a stored None is told from a missing key."""
    hopes: RedisHash[int | None] = RedisHash(redis, "hopes", int | None)
    await hopes.set("a", None)

    assert await hopes.get("a", 7) is None
    assert await hopes.get_many(["a", "b"]) == {"a": None}
    assert await hopes.setdefault("a", 7) is None
    assert await hopes.pop("a", 7) is None
    assert await hopes.pop("a", 7) == 7


async def test_setdefault_stores_only_if_absent(plants: RedisHash[Plant]) -> None:
    """``setdefault`` returns the offered value if it stored it, else the one that was there."""
    assert await plants.setdefault("bed", SPINACH) == SPINACH
    assert await plants.setdefault("bed", AVOCADO) == SPINACH
    assert await plants.dict() == {"bed": SPINACH}


async def test_an_empty_value_counts_as_present(words: RedisHash[str]) -> None:
    """An empty string is a value: ``setdefault`` leaves it, ``get`` and ``pop`` return it."""
    await words.set("a", "")

    assert await words.setdefault("a", "x") == ""
    assert await words.get("a", "x") == ""
    assert await words.pop("a", "x") == ""


async def test_pop_removes_and_returns(plants: RedisHash[Plant]) -> None:
    """``pop`` returns the value and removes it; then it returns None, or the default."""
    await plants.set("bed", SPINACH)

    assert await plants.pop("bed") == SPINACH
    assert await plants.pop("bed") is None
    assert await plants.pop("bed", default=0) == 0
    assert not await plants.exists()


async def test_delete_says_how_many(plants: RedisHash[Plant]) -> None:
    """``delete`` returns 1 if the key was there and 0 if not."""
    await plants.set("bed", SPINACH)

    assert await plants.delete("bed") == 1
    assert await plants.delete("bed") == 0


async def test_contains_is_a_bool(plants: RedisHash[Plant]) -> None:
    """``contains`` returns True or False, not a number."""
    await plants.set("bed", SPINACH)

    assert await plants.contains("bed") is True
    assert await plants.contains("Bed") is False


async def test_keys_may_have_another_type(redis: Redis) -> None:
    """``key_type=int`` gives int keys, in and out; a str is refused."""
    plots: RedisHash[str, int] = RedisHash(redis, "plots", str, key_type=int)
    await plots.update({1: "spinach", -20: "avocado"})

    assert await plots.get(-20) == "avocado"
    assert await plots.dict() == {1: "spinach", -20: "avocado"}
    assert sorted(await collect(plots.keys())) == [-20, 1]
    assert await redis.hget("plots", "1") == b"spinach"
    with pytest.raises(EncodeError, match="plots"):
        await plots.get(cast("int", "1"))


@pytest.mark.rows(4)
@pytest.mark.parametrize("key", HOSTILE, ids=shown)
async def test_any_string_is_a_key_and_a_value(words: RedisHash[str], key: str) -> None:
    """Whatever characters a key or value has, it is stored as it is, beside others."""
    await words.set("other", "value")

    assert await words.set(key, key) == 1
    assert await words.get(key) == key
    assert await words.contains(key)
    assert await words.get_many([key]) == {key: key}
    assert (key, key) in await collect(words.items())
    assert await words.delete_many([key]) == 1
    assert await words.dict() == {"other": "value"}


async def test_two_x_reads_what_is_stored(redis: Redis, plants: RedisHash[Plant], words: RedisHash[str]) -> None:
    """Strings and bytes are stored raw, models as their JSON in declared order, as redis-purse 2.x did."""
    blobs: RedisHash[bytes] = RedisHash(redis, "blobs", bytes)

    await plants.set("bed", SPINACH)
    await words.set("a", "b c")
    await blobs.set("a", b"\xff\x00")

    assert await redis.hget(plants.rkey, "bed") == SPINACH.model_dump_json().encode()
    assert await redis.hget("words", "a") == b"b c"
    assert await redis.hget("blobs", "a") == b"\xff\x00"


# --- many fields --------------------------------------------------------------------------------


async def test_update_counts_the_new_fields(words: RedisHash[str]) -> None:
    """``update`` returns how many fields are new; an empty mapping changes nothing."""
    assert await words.update({"a": "1", "b": "2"}) == 2
    assert await words.update({"b": "3", "c": "4"}) == 1
    assert await words.update({}) == 0
    assert await words.dict() == {"a": "1", "b": "3", "c": "4"}
    assert await words.len() == 3


async def test_updates_of_several_pages_are_counted_together(words: RedisHash[str]) -> None:
    """An update of more fields than one command takes is one result."""
    everything = {str(n): str(-n) for n in range(1201)}
    await words.update({"7": "x", "1100": "x"})

    assert await words.update(everything) == 1199
    assert await words.dict() == everything
    assert await words.get_many(everything) == everything
    assert await words.delete_many([*everything, "absent"]) == 1201


async def test_get_many_keeps_the_order_of_the_keys(words: RedisHash[str]) -> None:
    """``get_many`` leaves out absent keys, keeps the order of the others, and takes any iterable."""
    await words.update({"a": "1", "b": "2", "c": "3"})

    found = await words.get_many(key for key in ["c", "absent", "a", "c"])

    assert [*found.items()] == [("c", "3"), ("a", "1")]
    assert await words.get_many([]) == {}
    assert await words.get_many(["absent"]) == {}


async def test_delete_many_counts_what_was_there(words: RedisHash[str]) -> None:
    """``delete_many`` returns how many keys were there; a repeated key counts once."""
    await words.update({"a": "1", "b": "2", "c": "3"})

    assert await words.delete_many(["a", "a", "absent", "c"]) == 2
    assert await words.delete_many([]) == 0
    assert await words.dict() == {"b": "2"}


async def test_iteration(words: RedisHash[str]) -> None:
    """``keys``, ``values``, ``items`` and ``async for`` yield everything once; ``async for`` yields pairs."""
    everything = {str(n): str(-n) for n in range(1300)}
    await words.update(everything)

    assert sorted(await collect(words.keys())) == sorted(everything)
    assert sorted(await collect(words.values())) == sorted(everything.values())
    assert sorted(await collect(words.items(batch_hint=7))) == sorted(everything.items())
    assert sorted(await collect(words)) == sorted(everything.items())


async def test_iteration_over_nothing(words: RedisHash[str]) -> None:
    """A hash that does not exist iterates as an empty one."""
    assert await collect(words) == []
    assert await words.dict() == {}
    assert await words.len() == 0


@pytest.mark.parametrize("pattern", ["1?", b"1?"])
async def test_match_is_a_glob(words: RedisHash[str], pattern: str | bytes) -> None:
    """``match=`` yields only keys that match the pattern, in each of the iterations."""
    await words.update({str(n): str(-n) for n in range(120)})

    assert sorted(await collect(words.keys(match=pattern))) == [str(n) for n in range(10, 20)]
    assert sorted(await collect(words.values(match=pattern))) == [str(-n) for n in range(10, 20)]
    assert sorted(await collect(words.items(pattern, 3))) == [(str(n), str(-n)) for n in range(10, 20)]


async def test_a_glob_can_be_taken_literally(words: RedisHash[str]) -> None:
    """A backslash before a glob character in ``match=`` takes it as itself."""
    await words.update({"*": "star", "x": "x"})

    assert await collect(words.keys(match=r"\*")) == ["*"]


async def test_an_iteration_can_be_left_and_another_begun(words: RedisHash[str]) -> None:
    """A loop may be left at any point; a second loop starts from the beginning."""
    await words.update({str(n): "" for n in range(1000)})

    async for _ in words:
        break

    assert len(await collect(words)) == 1000


async def test_on_error_is_checked_at_once(words: RedisHash[str]) -> None:
    """A misspelt ``on_error=`` is a ValueError when the iterator is made."""
    with pytest.raises(ValueError, match="ignore"):
        words.items(on_error="ignore")  # type: ignore[arg-type]  # pyright: ignore[reportArgumentType]


# --- increment ----------------------------------------------------------------------------------


async def test_increment_adds_ints(visits: RedisHash[int]) -> None:
    """``increment`` starts at 0, takes negative amounts, and returns the sum, which ``get`` returns too."""
    assert await visits.increment("home") == 1
    assert await visits.increment("home", 41) == 42
    assert await visits.increment("home", -50) == -8
    assert await visits.get("home") == -8


async def test_increment_adds_to_what_set_stored(visits: RedisHash[int], weights: RedisHash[float]) -> None:
    """What ``set`` stored is a number that ``increment`` adds to."""
    await visits.set("home", 10)
    await weights.set("bean", 1e-7)

    assert await visits.increment("home", 5) == 15
    assert await weights.increment("bean", 1) == pytest.approx(1.0000001)


async def test_increment_adds_floats(weights: RedisHash[float]) -> None:
    """Floats are added with more digits than Python's: 0.1 + 0.2 is 0.3; the result is a float."""
    assert await weights.increment("bean", 0.1) == 0.1
    assert await weights.increment("bean", 0.2) == 0.3
    assert await weights.get("bean") == 0.3

    whole = await weights.increment("pea", 2)

    assert whole == 2.0
    assert type(whole) is float
    assert type(await weights.get("pea")) is float


@pytest.mark.parametrize("amount", [2**63, -(2**63) - 1, 10**400, 1.5, True, "1", None], ids=shown)
async def test_increment_of_ints_takes_64_bit_ints(visits: RedisHash[int], amount: object) -> None:
    """An amount that is not an int of 64 bits is an EncodeError that names key and field; nothing is stored."""
    with pytest.raises(EncodeError, match=r"visits\['home'\]") as caught:
        await visits.increment("home", cast("int", amount))

    assert (caught.value.key, caught.value.field) == ("visits", "home")
    assert not await visits.exists()


@pytest.mark.parametrize("amount", [float("inf"), float("-inf"), float("nan"), 10**400, True, "1", None], ids=shown)
async def test_increment_of_floats_takes_finite_floats(weights: RedisHash[float], amount: object) -> None:
    """An amount that is not a finite float is an EncodeError that names key and field; nothing is stored."""
    with pytest.raises(EncodeError, match=r"weights\['bean'\]"):
        await weights.increment("bean", cast("float", amount))

    assert not await weights.exists()


async def test_a_sum_beyond_64_bits_changes_nothing(visits: RedisHash[int]) -> None:
    """An int sum that would overflow is redis-py's ResponseError; the stored value stays."""
    await visits.set("home", 2**63 - 1)

    with pytest.raises(ResponseError, match="overflow") as caught:
        await visits.increment("home")

    assert any("visits['home']" in note for note in caught.value.__notes__)
    assert await visits.get("home") == 2**63 - 1


async def test_a_float_sum_beyond_the_largest_is_inf(weights: RedisHash[float]) -> None:
    """A float sum that no Python float can hold is inf, as in Python, for ``get`` too."""
    await weights.set("bean", 1.7e308)

    assert await weights.increment("bean", 1.7e308) == math.inf
    assert await weights.get("bean") == math.inf


@pytest.mark.parametrize("stored", ["", "abc", "1.5", " 1", "99999999999999999999"])
async def test_what_is_not_an_int_is_left_alone(visits: RedisHash[int], redis: Redis, stored: str) -> None:
    """Incrementing bytes that are no 64-bit int is a DecodeError naming key and field; they stay."""
    await redis.hset("visits", "home", stored)

    with pytest.raises(DecodeError, match=r"visits\['home'\]") as caught:
        await visits.increment("home")

    assert (caught.value.key, caught.value.field) == ("visits", "home")
    assert await redis.hget("visits", "home") == stored.encode()


@pytest.mark.parametrize("stored", ["", "abc", "1,5"])
async def test_what_is_not_a_float_is_left_alone(weights: RedisHash[float], redis: Redis, stored: str) -> None:
    """Incrementing bytes that are no float is a DecodeError naming key and field; they stay."""
    await redis.hset("weights", "bean", stored)

    with pytest.raises(DecodeError, match=r"weights\['bean'\]"):
        await weights.increment("bean", 0.5)

    assert await redis.hget("weights", "bean") == stored.encode()


async def test_increment_is_for_plain_numbers(redis: Redis, plants: RedisHash[Plant]) -> None:
    """Values of any other type than exactly int or float are refused with a TypeError that says ``modify``."""
    flags: RedisHash[bool] = RedisHash(redis, "flags", bool)
    either: RedisHash[int | str] = RedisHash(redis, "either", int | str)

    for collection in (flags, either, plants):
        with pytest.raises(TypeError, match="modify"):
            await cast("RedisHash[int]", collection).increment("a")
        assert not await collection.exists()
