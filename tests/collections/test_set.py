"""RedisSet: what each method returns and raises."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from datetime import UTC, datetime, timedelta, timezone
from typing import Any, cast

import pytest
from pydantic import BaseModel
from redis.asyncio import Redis

from purse import Store
from purse.collections import RedisHash, RedisList
from purse.collections.set import RedisSet
from purse.errors import DeclarationError, EncodeError
from purse.ttl import TTL
from tests.collections.garden import HOSTILE, Plant, collect, shown
from tests.support.units import send

FAR = [2**31, 2**53, 2**63, 2**64, 10**40]


class Bed(BaseModel, frozen=True):
    row: int
    place: int = 1


class Reversed:
    """A codec that writes a text from its end."""

    def encode(self, value: str, /) -> bytes:
        return value[::-1].encode()

    def decode(self, raw: bytes, /) -> str:
        return raw.decode()[::-1]


class Salted:
    """A codec that writes an equal text differently each time."""

    def __init__(self) -> None:
        self.written = 0

    def encode(self, value: str, /) -> bytes:
        self.written += 1
        return b"%d:" % self.written + value.encode()

    def decode(self, raw: bytes, /) -> str:
        return raw.partition(b":")[2].decode()


@pytest.fixture
async def tags(redis: Redis) -> RedisSet[str]:
    """The set a, b, c."""
    tags = RedisSet(redis, "tags", str)
    await tags.update("a", "b", "c")
    return tags


@pytest.fixture
async def others(redis: Redis) -> RedisSet[str]:
    """The set b, c, d."""
    others = RedisSet(redis, "others", str)
    await others.update("b", "c", "d")
    return others


async def stored(redis: Redis, key: str = "tags") -> set[bytes]:
    """What is stored, read with redis-py."""
    return cast("set[bytes]", await redis.smembers(key))


# --- members ------------------------------------------------------------------------------------


async def test_add_says_whether_it_is_new(redis: Redis) -> None:
    """``add`` returns 1 for a new member and 0 for one that is there."""
    tags = RedisSet(redis, "tags", str)

    assert await tags.add("a") == 1
    assert await tags.add("a") == 0
    assert await tags.len() == 1


async def test_update_counts_what_is_new(tags: RedisSet[str]) -> None:
    """``update`` returns how many members are new, each counted once."""
    assert await tags.update("c", "d", "e", "d") == 2
    assert await tags.len() == 5


async def test_remove_counts_what_was_there(tags: RedisSet[str]) -> None:
    """``remove`` returns how many members were there; an absent one is no error."""
    assert await tags.remove("a", "x", "b", "a") == 2
    assert await tags.members() == ["c"]
    assert await tags.remove("x") == 0


async def test_discard_says_whether_it_was_there(tags: RedisSet[str]) -> None:
    """``discard`` returns True for a member that it removed, False for one that was not there."""
    assert await tags.discard("a") is True
    assert await tags.discard("a") is False


async def test_nothing_is_no_change(tags: RedisSet[str]) -> None:
    """``update()``, ``remove()``, ``contains_many([])``, ``pop(0)`` and ``random(0)`` return nothing and do nothing."""
    assert await tags.update() == 0
    assert await tags.remove() == 0
    assert await tags.contains_many(iter(())) == []
    assert await tags.pop(0) == []
    assert await tags.random(0) == []
    assert await tags.len() == 3


async def test_contains_is_a_bool(tags: RedisSet[str]) -> None:
    """``contains`` returns True or False."""
    assert await tags.contains("a") is True
    assert await tags.contains("x") is False


async def test_contains_many_answers_in_order(tags: RedisSet[str]) -> None:
    """``contains_many`` returns a bool for each member that was asked for, in that order, repeats too."""
    assert await tags.contains_many(x for x in "axbxa") == [True, False, True, False, True]


async def test_many_members(redis: Redis) -> None:
    """More members than one command takes are added, found and removed."""
    numbers = RedisSet(redis, "numbers", int)

    assert await numbers.update(*range(1201), *range(7)) == 1201
    assert sorted(await numbers.members()) == [*range(1201)]
    assert await numbers.contains_many(range(-1, 1201)) == [False, *[True] * 1201]
    assert await numbers.remove(*range(1, 1301)) == 1200
    assert await numbers.members() == [0]


async def test_a_set_that_does_not_exist(redis: Redis) -> None:
    """A set without members reads as an empty one, and has no key."""
    tags = RedisSet(redis, "tags", str)

    assert await tags.members() == await collect(tags) == []
    assert await tags.len() == 0
    assert await tags.contains("a") is False
    assert await tags.contains_many(["a"]) == [False]
    assert await tags.discard("a") is False
    assert await tags.pop(5) == await tags.random(5) == []
    assert await tags.clear() == 0
    assert await tags.exists() is False


async def test_clear_removes_everything(tags: RedisSet[str]) -> None:
    """``clear`` returns 1 if there was anything, and the key is gone."""
    assert await tags.clear() == 1
    assert await tags.exists() is False


@pytest.mark.rows(4)
@pytest.mark.parametrize("value", HOSTILE, ids=shown)
async def test_any_string_is_a_member(redis: Redis, value: str) -> None:
    """Whatever characters a member has, it is stored as it is, found, moved and removed."""
    tags, moved = RedisSet(redis, "tags", str), RedisSet(redis, "moved", str)
    await tags.update("first", value)

    assert await stored(redis) == {b"first", value.encode()}
    assert await tags.contains(value) is True
    assert set(await tags.members()) == {"first", value}
    assert await tags.move(moved, value) is True
    assert await moved.pop() == value
    assert await tags.discard(value) is False


@pytest.mark.rows(4)
@pytest.mark.parametrize("rkey", [key for key in HOSTILE if key], ids=shown)
async def test_any_string_is_a_key(redis: Redis, rkey: str) -> None:
    """Whatever characters a key has, it is used as it is, in scripts, too."""
    tags, others = RedisSet(redis, rkey, str), RedisSet(redis, "others", str)
    await tags.update("a", "b")

    assert await tags.is_subset(tags) is True
    assert await others.union_store(tags, tags) == 2
    assert await stored(redis, rkey) == {b"a", b"b"}


# --- equality -----------------------------------------------------------------------------------


async def test_equal_values_are_one_member(redis: Redis) -> None:
    """Members are told apart by value: equal models, mappings and moments are one member."""
    beds = RedisSet(redis, "beds", Bed)
    prices = RedisSet(redis, "prices", dict[str, int])
    moments = RedisSet(redis, "moments", datetime)
    noon = datetime(2024, 6, 1, 12, tzinfo=UTC)

    assert await beds.update(Bed(row=1, place=2), Bed(place=2, row=1), Bed(row=1)) == 2
    assert await beds.contains(Bed(row=1, place=1)) is True
    assert await prices.update({"pea": 1, "bean": 2}, {"bean": 2, "pea": 1}) == 1
    assert await prices.contains({"bean": 2, "pea": 1}) is True
    assert await moments.update(noon, noon.astimezone(timezone(timedelta(hours=2)))) == 1


async def test_members_need_not_be_hashable(redis: Redis) -> None:
    """Models that Python cannot hash are members like any other; results are lists."""
    plants = RedisSet(redis, "plants", Plant)
    pea, bean = Plant(name="pea"), Plant(name="bean")
    await plants.update(pea, bean, Plant(name="pea"))

    assert sorted(await plants.members(), key=lambda plant: plant.name) == [bean, pea]
    assert sorted(await plants.union(plants), key=lambda plant: plant.name) == [bean, pea]
    assert await plants.remove(pea) == 1
    assert await plants.pop() == bean


@pytest.mark.parametrize("value_type", [dict[str, Any], Any, list[object]], ids=shown)
async def test_types_without_a_canonical_form(redis: Redis, value_type: Any) -> None:
    """A type whose equal values may be different bytes is refused when the set is made."""
    with pytest.raises(DeclarationError, match="cannot be a key or a member"):
        RedisSet(redis, "tags", value_type)


async def test_members_of_2x_are_found(redis: Redis) -> None:
    """A dict that redis-purse 2.x wrote, with spaces and in its own order, is found, moved and removed like ours."""
    prices: RedisSet[dict[str, int]] = RedisSet(redis, "prices", cast("type[dict[str, int]]", dict))
    theirs = b'{"y": 2, "x": 1}'
    price = {"y": 2, "x": 1}
    await redis.sadd("prices", theirs, b'{"z":0}')

    assert await prices.contains(price) is True
    assert await prices.contains_many([{"z": 0}, price, {}]) == [True, True, False]
    assert price in await prices.members()
    assert await prices.move(prices, price) is True
    assert await prices.discard(price) is True
    assert await stored(redis, "prices") == {b'{"z":0}'}

    await redis.sadd("prices", theirs)
    assert await prices.remove({"z": 0}, price) == 2
    await redis.sadd("prices", theirs)
    moved: RedisSet[dict[str, int]] = RedisSet(redis, "moved", cast("type[dict[str, int]]", dict))
    assert await prices.move(moved, price) is True
    assert await stored(redis, "moved") == {theirs}


async def test_a_codec_of_your_own(redis: Redis) -> None:
    """A codec stores the members in its own way; one that writes equal values differently is refused at write."""
    tags = RedisSet(redis, "tags", str, codec=Reversed())
    assert await tags.update("abc", "de") == 2
    assert await stored(redis) == {b"cba", b"ed"}
    assert await tags.contains("abc") is True
    with pytest.raises(EncodeError, match="equal values to equal bytes"):
        await RedisSet(redis, "tags", str, codec=Salted()).add("x")


async def test_a_policy_per_item_is_refused(redis: Redis) -> None:
    """A set has one clock: a TTL per item is refused when the set is made."""
    with pytest.raises(DeclarationError, match="per item"):
        RedisSet(redis, "tags", str, ttl=TTL(hours=1, per_item=True))


# --- random members -----------------------------------------------------------------------------


async def test_pop_removes_what_it_returns(tags: RedisSet[str]) -> None:
    """``pop`` returns a member that is gone then; each comes out once."""
    popped = [await tags.pop() for _ in range(3)]

    assert sorted(popped) == ["a", "b", "c"]
    assert await tags.exists() is False


async def test_pop_of_several(tags: RedisSet[str]) -> None:
    """``pop(count)`` returns a list of so many members, or of all that there are."""
    two = await tags.pop(2)
    rest = await tags.pop(2)

    assert (len(two), len(rest)) == (2, 1)
    assert sorted([*two, *rest]) == ["a", "b", "c"]


async def test_random_leaves_what_it_returns(tags: RedisSet[str]) -> None:
    """``random`` returns a member, ``random(count)`` so many different ones; they stay."""
    assert await tags.random() in {"a", "b", "c"}
    assert len({*await tags.random(2)}) == 2
    assert await tags.len() == 3


@pytest.mark.parametrize("count", [3, 4, *FAR])
async def test_more_than_there_are(tags: RedisSet[str], count: int) -> None:
    """A count beyond the size takes all there are, however far."""
    assert sorted(await tags.random(count)) == ["a", "b", "c"]
    assert sorted(await tags.pop(count)) == ["a", "b", "c"]


async def test_pop_and_random_of_an_empty_set(redis: Redis) -> None:
    """``pop`` and ``random`` of an empty set are KeyErrors that name the key."""
    tags = RedisSet(redis, "tags", str)

    for call in (tags.pop, tags.random):
        with pytest.raises(KeyError, match="tags"):
            await call()


@pytest.mark.parametrize("count", [-1, *(-n for n in FAR)])
async def test_negative_counts_are_refused(tags: RedisSet[str], count: int) -> None:
    """A negative count, with which Redis would repeat members, is a ValueError; nothing is removed."""
    with pytest.raises(ValueError, match="count= must be 0 or more"):
        await tags.random(count)
    with pytest.raises(ValueError, match="count= must be 0 or more"):
        await tags.pop(count)

    assert await tags.len() == 3


# --- several sets -------------------------------------------------------------------------------


async def test_union_intersection_difference(tags: RedisSet[str], others: RedisSet[str], redis: Redis) -> None:
    """They return what Python's methods of that name do, for any number of others, and change nothing."""
    third = RedisSet(redis, "third", str)
    await third.update("a", "d")
    absent = RedisSet(redis, "absent", str)
    a, b, c = set("abc"), set("bcd"), set("ad")

    assert {*await tags.union(others)} == a | b
    assert {*await tags.union(others, third, absent)} == a | b | c
    assert {*await tags.intersection(others)} == a & b
    assert await tags.intersection(others, third) == await tags.intersection(absent) == []
    assert {*await tags.difference(others)} == a - b
    assert await tags.difference(others, third) == []
    assert {*await tags.difference(absent)} == a
    assert {*await absent.union(tags)} == a
    assert await stored(redis) == {b"a", b"b", b"c"}
    assert await stored(redis, "others") == {b"b", b"c", b"d"}


async def test_alone_they_return_the_members(tags: RedisSet[str]) -> None:
    """Without others all three return the members of the set; with itself they are those or none."""
    for call in (tags.union, tags.intersection, tags.difference):
        assert sorted(await call()) == ["a", "b", "c"]
    assert sorted(await tags.union(tags)) == sorted(await tags.intersection(tags)) == ["a", "b", "c"]
    assert await tags.difference(tags) == []


async def test_updates_in_place(tags: RedisSet[str], others: RedisSet[str], redis: Redis) -> None:
    """The update forms change this set alone, and return None as Python's do."""
    await tags.union_update(others)
    assert await stored(redis) == {b"a", b"b", b"c", b"d"}

    await tags.intersection_update(others, tags)
    assert await stored(redis) == {b"b", b"c", b"d"}

    await others.discard("d")
    await tags.difference_update(others)
    assert await stored(redis) == {b"d"}
    assert await stored(redis, "others") == {b"b", b"c"}


async def test_updates_with_nothing(tags: RedisSet[str], redis: Redis) -> None:
    """Without others an update changes nothing."""
    await tags.union_update()
    await tags.intersection_update()
    await tags.difference_update()

    assert await stored(redis) == {b"a", b"b", b"c"}


async def test_an_update_to_nothing_leaves_no_key(tags: RedisSet[str], redis: Redis) -> None:
    """A set that loses its last member has no key."""
    await tags.difference_update(tags)

    assert await tags.exists() is False
    await tags.union_update(RedisSet(redis, "absent", str))
    assert await tags.exists() is False


async def test_stores_replace_the_destination(tags: RedisSet[str], others: RedisSet[str], redis: Redis) -> None:
    """The store forms replace what was in the destination, return its new size, and leave the sources alone."""
    target = RedisSet(redis, "target", str)
    await target.add("old")

    assert await tags.union_store(target, others) == 4
    assert await stored(redis, "target") == {b"a", b"b", b"c", b"d"}
    assert await tags.intersection_store(target, others) == 2
    assert await stored(redis, "target") == {b"b", b"c"}
    assert await tags.difference_store(target, others) == 1
    assert await stored(redis, "target") == {b"a"}
    assert await tags.union_store(target) == 3
    assert await tags.difference_store(target, tags) == 0
    assert await target.exists() is False
    assert await stored(redis) == {b"a", b"b", b"c"}


async def test_a_source_may_be_the_destination(tags: RedisSet[str], others: RedisSet[str], redis: Redis) -> None:
    """The destination may be one of the sources: it is read before it is replaced."""
    assert await tags.difference_store(others, others) == 1
    assert await stored(redis, "others") == {b"a"}
    assert await tags.union_store(tags, others) == 3


async def test_is_subset(tags: RedisSet[str], redis: Redis) -> None:
    """``is_subset`` is Python's ``<=``: equal sets and the empty one are subsets."""
    more, less, absent = (RedisSet(redis, key, str) for key in ("more", "less", "absent"))
    await more.update(*"abcd")
    await less.update(*"abx")

    assert await tags.is_subset(more) is True
    assert await tags.is_subset(tags) is True
    assert await more.is_subset(tags) is False
    assert await less.is_subset(tags) is False
    assert await absent.is_subset(tags) is await absent.is_subset(absent) is True
    assert await tags.is_subset(absent) is False


@pytest.mark.parametrize("kind", ["hash table", "intset"])
async def test_is_subset_of_big_sets(redis: Redis, kind: str) -> None:
    """One stranger among thousands is found, whatever the server's own form of the sets."""
    part, whole = RedisSet(redis, "part", int), RedisSet(redis, "whole", int)
    if kind == "hash table":
        await whole.add(2**70)
    await send(redis, "CONFIG", "SET", "set-max-intset-entries", 20_000)
    try:
        await part.update(*range(9000))
        await whole.update(*range(-1, 9000))

        assert await part.is_subset(whole) is True
        await part.add(-2)
        assert await part.is_subset(whole) is False
    finally:
        await send(redis, "CONFIG", "SET", "set-max-intset-entries", 512)  # what a server has by default


# --- move ---------------------------------------------------------------------------------------


async def test_move(tags: RedisSet[str], others: RedisSet[str], redis: Redis) -> None:
    """``move`` takes a member from one set to the other; False if it was not there, whatever the other has."""
    assert await tags.move(others, "a") is True
    assert await tags.move(others, "b") is True  # it is in both
    assert await tags.move(others, "d") is False
    assert await stored(redis) == {b"c"}
    assert await stored(redis, "others") == {b"a", b"b", b"c", b"d"}


async def test_move_to_itself(tags: RedisSet[str], redis: Redis) -> None:
    """A set may be its own destination: nothing changes."""
    assert await tags.move(tags, "a") is True
    assert await tags.move(RedisSet(redis, "tags", str), "x") is False
    assert await stored(redis) == {b"a", b"b", b"c"}


TAKING_A_SET: dict[str, Callable[[RedisSet[str], RedisSet[str]], Awaitable[object]]] = {
    "move": lambda s, other: s.move(other, "a"),
    "union": lambda s, other: s.union(s, other),
    "intersection": lambda s, other: s.intersection(other),
    "difference": lambda s, other: s.difference(other),
    "union_update": lambda s, other: s.union_update(other),
    "intersection_update": lambda s, other: s.intersection_update(other),
    "difference_update": lambda s, other: s.difference_update(other),
    "union_store": lambda s, other: s.union_store(other),
    "intersection_store": lambda s, other: s.intersection_store(s, other),
    "difference_store": lambda s, other: s.difference_store(s, other),
    "is_subset": lambda s, other: s.is_subset(other),
}


async def test_sets_of_another_form_are_refused(tags: RedisSet[str], redis: Redis) -> None:
    """A set of another member type, codec, kind or client is a TypeError naming the method; nothing changes."""
    unfit: list[object] = [
        RedisSet(redis, "tags", bytes),
        RedisSet(redis, "tags", str, codec=Reversed()),
        RedisSet(Redis(connection_pool=redis.connection_pool), "tags", str),
        RedisList(redis, "tags", str),
        RedisHash(redis, "tags", str),
        "tags",
        None,
    ]

    for other in [cast("RedisSet[str]", other) for other in unfit]:
        for method, call in TAKING_A_SET.items():
            with pytest.raises(TypeError, match=rf"^tags: {method}\(\) needs a RedisSet"):
                await call(tags, other)

    assert await stored(redis) == {b"a", b"b", b"c"}


async def test_sets_in_other_slots_are_refused(redis: Redis) -> None:
    """Sets of a store whose fields have slots of their own on a cluster cannot be one step: a TypeError names both."""

    class Wide(Store, namespace="set-slots", slots="field"):
        here: RedisSet[str]
        there: RedisSet[str]

    wide = Wide(redis)

    for call in TAKING_A_SET.values():
        with pytest.raises(TypeError, match=r"set-slots::here.*set-slots::there.*two hash slots"):
            await call(wide.here, wide.there)
    assert await wide.here.is_subset(wide.here) is True


async def test_a_list_moves_into_no_set(tags: RedisSet[str], redis: Redis) -> None:
    """A list refuses a set as the destination of a move, although their elements have one type."""
    log = RedisList(redis, "log", str)
    await log.append("a")

    with pytest.raises(TypeError, match="needs a RedisList"):
        await log.move(cast("RedisList[str]", tags))

    assert await log.len() == 1


# --- iteration ----------------------------------------------------------------------------------


@pytest.mark.parametrize("batch_hint", [None, 1, 7, 500, 10_000])
async def test_iteration(redis: Redis, batch_hint: int | None) -> None:
    """``values`` and ``async for`` yield each member, whatever the size of a page."""
    numbers = RedisSet(redis, "numbers", int)
    await numbers.update(2**70, *range(1300))

    assert {*await collect(numbers.values(batch_hint=batch_hint))} == {2**70, *range(1300)}
    assert {*await collect(numbers)} == {2**70, *range(1300)}


@pytest.mark.parametrize(
    ("match", "found"),
    [
        ("le*", {"leek", "lettuce"}),
        (b"le*", {"leek", "lettuce"}),
        ("l?ek", {"leek"}),
        ("[kl]e*", {"leek", "lettuce"}),
        ("\\*", {"*"}),
        ("kale", {"kale"}),
        ("x*", set[str]()),
        ("*", {"leek", "lettuce", "kale", "*"}),
    ],
)
async def test_iteration_over_what_matches(redis: Redis, match: str | bytes, found: set[str]) -> None:
    """``values(match)`` yields only members whose stored form matches the pattern."""
    plants = RedisSet(redis, "plants", str)
    await plants.update("leek", "lettuce", "kale", "*")

    assert {*await collect(plants.values(match))} == found


async def test_what_stays_is_seen(redis: Redis) -> None:
    """While other members come and go, each that is there all the time is yielded."""
    names = RedisSet(redis, "names", str)
    stays = {f"stays {n}" for n in range(1000)}
    await names.update(*stays)
    seen = list[str]()

    async for name in names.values(batch_hint=50):
        seen.append(name)
        await names.add(f"comes {len(seen)}")
        await names.discard(f"comes {len(seen) - 5}")

    assert stays <= {*seen}


async def test_a_loop_that_is_left(tags: RedisSet[str]) -> None:
    """Leaving the loop early leaves the set and the client usable."""
    async for _ in tags:
        break

    assert await tags.len() == 3
