"""RedisSortedSet: what its members may be, and what it does about bytes that are none."""

from __future__ import annotations

import math
from collections.abc import Awaitable, Callable
from typing import Any, TypeAlias, cast

import pytest
from redis.asyncio import Redis
from redis.exceptions import ResponseError

from purse.collections.sorted_set import RedisSortedSet
from purse.embedded import Server
from purse.errors import DeclarationError, DecodeError, EncodeError, WrongKind
from purse.ttl import TTL
from tests.collections.garden import HOSTILE, Plant, Tree, collect, shown
from tests.support.clients import connect
from tests.support.units import send

Ranking: TypeAlias = RedisSortedSet[str]

FAR = [2**31, 2**53 + 1, 2**63, 10**40]


async def stored(redis: Redis, key: str) -> dict[bytes, float]:
    return dict(await RedisSortedSet(redis, key, bytes).slice_by_rank(0, -1))


# --- members ------------------------------------------------------------------------------------


@pytest.mark.rows(4)
@pytest.mark.parametrize("value", HOSTILE, ids=shown)
async def test_any_string_is_a_member(redis: Redis, value: str) -> None:
    """Whatever characters a member has, or a key, it works like any other."""
    ranking = RedisSortedSet(redis, value, str)
    await ranking.add_multi([(value, 1), ("other", 2)])

    assert await ranking.peek_min() == (value, 1)
    assert await ranking.score(value) == 1
    assert await ranking.rank(value) == 0
    assert (value, 1) in await collect(ranking)
    assert await ranking.increment((value, 2)) == (value, 3)
    assert await ranking.pop_max() == [(value, 3)]
    assert await ranking.remove("other", value) == 1


async def test_equal_members_are_one(redis: Redis) -> None:
    """Equal models are one member, whatever objects they are and however their parts were ordered."""
    plants = RedisSortedSet(redis, "plants", Plant)
    prices: RedisSortedSet[dict[str, int]] = RedisSortedSet(redis, "prices", dict[str, int])

    assert await plants.add_multi([(Plant(name="pea"), 1), (Plant(tasty=True, name="pea"), 2)]) == 1
    assert await plants.score(Plant(name="pea", healthiness=0)) == 2
    assert await prices.add_multi([({"x": 1, "y": 2}, 1), ({"y": 2, "x": 1}, 2)]) == 1
    assert await prices.rank({"y": 2, "x": 1}) == 0


async def test_members_of_2x(redis: Redis) -> None:
    """A dict that redis-purse 2.x wrote, with spaces and in its own order, is found, moved and removed like ours."""
    prices: RedisSortedSet[dict[str, int]] = RedisSortedSet(redis, "prices", cast("type[dict[str, int]]", dict))
    member, other = {"y": 2, "x": 1}, {"b": 1, "a": 2}
    await redis.zadd("prices", {b'{"y": 2, "x": 1}': 1, b"{}": 5})

    assert await prices.score(member) == 1
    assert await prices.score_multi([member, other, {}]) == [(member, 1), (other, None), ({}, 5)]
    assert (await prices.rank(member), await prices.rank(other)) == (0, None)
    assert await prices.add((member, 2)) == 0
    assert await prices.add_multi([(member, 3), (other, 1)], ch=True) == 2
    assert await prices.increment((member, 1)) == (member, 4)
    assert await prices.increment_multi([(member, 1), (other, 1), (member, 1)]) == [
        (member, 5),
        (other, 2),
        (member, 6),
    ]
    assert await prices.add((member, 1), ch=True, keep="highest") == 0
    assert await prices.len() == 3
    assert await prices.remove(member, other) == 2


async def test_no_increment_to_nan_of_2x_members(redis: Redis) -> None:
    """A member of 2.x, too, is not incremented if another increment of the same call comes to nan."""
    prices: RedisSortedSet[dict[str, int]] = RedisSortedSet(redis, "prices", cast("type[dict[str, int]]", dict))
    await redis.zadd("prices", {b'{"y": 2, "x": 1}': 1})

    with pytest.raises(ResponseError, match="NaN"):
        await prices.increment_multi([({"y": 2, "x": 1}, math.inf), ({"y": 2, "x": 1}, -math.inf)])

    assert await prices.score({"y": 2, "x": 1}) == 1


@pytest.mark.parametrize("value_type", [Any, list[Any]], ids=str)
async def test_types_without_a_canonical_form(redis: Redis, value_type: object) -> None:
    """A type whose equal values may be different bytes is refused at declaration."""
    with pytest.raises(DeclarationError, match="cannot be a key or a member"):
        RedisSortedSet(redis, "ranking", cast("type[object]", value_type))


async def test_no_time_to_live_per_item(redis: Redis) -> None:
    """A sorted set has no clock for each member: ``per_item`` is refused at declaration."""
    with pytest.raises(DeclarationError, match="per_item"):
        RedisSortedSet(redis, "ranking", str, ttl=TTL(hours=1, per_item=True))


# --- bad data -----------------------------------------------------------------------------------

READS: dict[str, Callable[[RedisSortedSet[int]], Awaitable[object]]] = {
    "slice_by_rank": lambda z: z.slice_by_rank(0, -1),
    "slice_by_score": lambda z: z.slice_by_score(),
    "peek_min": lambda z: z.peek_min(),
    "values": lambda z: collect(z.values()),
    "pop_min": lambda z: z.pop_min(),
    "blocking_pop_min": lambda z: z.blocking_pop_min(),
}


@pytest.mark.parametrize("call", READS.values(), ids=READS.keys())
async def test_bad_members(redis: Redis, call: Callable[[RedisSortedSet[int]], Awaitable[object]]) -> None:
    """Bytes that are no member are a DecodeError that names the key and carries them; only a pop removes them."""
    await redis.zadd("numbers", {"x": 1, "7": 2})

    with pytest.raises(DecodeError, match=r"^numbers\[b'x'\]") as caught:
        await call(RedisSortedSet(redis, "numbers", int))

    assert (caught.value.key, caught.value.field, caught.value.raw) == ("numbers", b"x", b"x")
    removed = "It was removed from Redis" in str(caught.value)
    assert await stored(redis, "numbers") == {b"7": 2} | ({} if removed else {b"x": 1})


async def test_bad_members_of_a_long_pop(redis: Redis) -> None:
    """A pop of several items carries the first bad member and puts the others back, so that nothing is lost."""
    await redis.zadd("numbers", {"1": 1, "x": 2, "y": 3, "4": 4})
    numbers = RedisSortedSet(redis, "numbers", int)

    with pytest.raises(DecodeError) as caught:
        await numbers.pop_min(3)

    assert caught.value.raw == b"x"
    assert await stored(redis, "numbers") == {b"1": 1, b"y": 3, b"4": 4}
    with pytest.raises(DecodeError):
        await numbers.pop_max(9)
    assert await numbers.pop_max(9) == [(4, 4), (1, 1)]


async def test_what_cannot_be_put_back_is_in_a_note(redis: Redis, server: Server) -> None:
    """If even putting back is refused, the error says what else was removed."""
    await redis.zadd("numbers", {"1": 1, "x": 2})
    await send(redis, "ACL", "SETUSER", "taker", "on", ">secret", "~*", "+@all", "-zadd")
    client = connect(server.url, username="taker", password="secret")

    with pytest.raises(DecodeError) as caught:
        await RedisSortedSet(client, "numbers", int).pop_min(2)

    assert caught.value.raw == b"x"
    note = caught.value.__notes__[-1]
    assert "could not be put back" in note
    assert note.endswith("b'1' with the score 1.0")
    await send(redis, "ACL", "DELUSER", "taker")


async def test_bad_members_can_be_skipped(redis: Redis) -> None:
    """``on_error="skip"`` passes over bad members."""
    await redis.zadd("numbers", {"1": 1, "x": 2, "3": 3})
    numbers = RedisSortedSet(redis, "numbers", int)

    assert sorted(await collect(numbers.values(on_error="skip"))) == [(1, 1), (3, 3)]


UNFIT: dict[str, Callable[[RedisSortedSet[Plant], Plant], Awaitable[object]]] = {
    "add": lambda z, value: z.add((value, 1)),
    "add_multi": lambda z, value: z.add_multi([(Plant(name="pea"), 1), (value, 1)]),
    "increment": lambda z, value: z.increment((value, 1)),
    "increment_multi": lambda z, value: z.increment_multi([(Plant(name="pea"), 1), (value, 1)]),
    "remove": lambda z, value: z.remove(Plant(name="pea"), value),
    "score": lambda z, value: z.score(value),
    "score_multi": lambda z, value: z.score_multi([Plant(name="pea"), value]),
    "rank": lambda z, value: z.rank(value),
}


@pytest.mark.rows(6)
@pytest.mark.engines("shared")
@pytest.mark.parametrize("call", UNFIT.values(), ids=UNFIT.keys())
@pytest.mark.parametrize("value", [None, "pea", Tree(name="oak")], ids=shown)
async def test_unfit_members(
    redis: Redis, call: Callable[[RedisSortedSet[Plant], Plant], Awaitable[object]], value: object
) -> None:
    """A member that does not fit the declared type is an EncodeError naming the key, and its position among several."""
    plants = RedisSortedSet(redis, "plants", Plant)

    with pytest.raises(EncodeError, match=r"^plants.*Nothing was sent") as caught:
        await call(plants, cast("Plant", value))

    assert (caught.value.key, caught.value.field) in [("plants", None), ("plants", 1)]
    assert not await plants.exists()


async def test_another_type(redis: Redis) -> None:
    """A key of another type is refused by its name and left alone, by the script and by those who wait, too."""
    await redis.set("ranking", "x")
    ranking = RedisSortedSet(redis, "ranking", str, ttl=TTL(hours=1))
    calls: list[Awaitable[object]] = [
        ranking.add_multi((str(n), n) for n in range(1200)),
        ranking.increment_multi([("a", math.inf), ("b", 1)]),
        ranking.blocking_pop_max(),
        ranking.pop_min(3),
    ]

    for call in calls:
        with pytest.raises(WrongKind, match="ranking: the key does not hold a sorted set"):
            await call

    assert await redis.get("ranking") == b"x"
    assert await redis.pttl("ranking") == -1
