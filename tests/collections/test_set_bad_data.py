"""RedisSet where something does not fit: bytes that are no member, keys of another type, unfit values, refusals."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from typing import TypeAlias, cast

import pytest
from redis.asyncio import Redis
from redis.exceptions import NoPermissionError, OutOfMemoryError

from purse import Store
from purse.collections.set import RedisSet
from purse.embedded import Server
from purse.errors import DecodeError, EncodeError, WrongKind
from purse.ttl import TTL
from tests.collections.garden import Plant, collect
from tests.collections.test_bad_data import BAD, PEA, PEA_RAW, UNFIT, bad_bytes, check, policies
from tests.support.clients import connect
from tests.support.monitor import Monitor
from tests.support.units import send

Plants: TypeAlias = RedisSet[Plant]
SetCall: TypeAlias = Callable[[RedisSet[int]], Awaitable[object]]

# What decodes, and what the server refuses, is the same whether calls share a connection or not.
pytestmark = pytest.mark.engines("shared")


@pytest.fixture
def plants(redis: Redis) -> Plants:
    return RedisSet(redis, "plants", Plant)


# --- bytes that are no member -------------------------------------------------------------------


async def _random(plants: Plants) -> None:
    while True:  # until it meets the bad one
        await plants.random()


RETURNING: dict[str, Callable[[Plants], Awaitable[object]]] = {
    "members": lambda s: s.members(),
    "random": _random,
    "random with a count": lambda s: s.random(2),
    "union": lambda s: RedisSet(s.redis, "empty", Plant).union(s),
    "intersection": lambda s: s.intersection(s),
    "difference": lambda s: s.difference(RedisSet(s.redis, "empty", Plant)),
    "values": lambda s: collect(s.values()),
    "async for": collect,
}


@pytest.mark.parametrize("call", RETURNING.values(), ids=RETURNING.keys())
async def test_bad_bytes_in_a_set(plants: Plants, redis: Redis, call: Callable[[Plants], Awaitable[object]]) -> None:
    """Every method that would return a bad member raises a DecodeError with its bytes, and leaves it."""
    for raw in BAD.values():
        await redis.delete("plants")
        await redis.sadd("plants", PEA_RAW, raw)

        with pytest.raises(DecodeError) as caught:
            await call(plants)

        error = caught.value
        assert error.key is not None
        check(error, error.key, None, raw)
        assert error.key in ("plants", "empty")
        assert {*await redis.smembers("plants")} == {PEA_RAW, raw}


@bad_bytes
async def test_a_popped_bad_member_is_carried(plants: Plants, redis: Redis, raw: bytes) -> None:
    """``pop`` removes the member whatever it is: the DecodeError carries the bytes, whole."""
    await redis.sadd("plants", raw)

    with pytest.raises(DecodeError) as caught:
        await plants.pop()

    check(caught.value, "plants", None, raw)
    assert not await plants.exists()


@pytest.mark.parametrize("count", [3, 1202])
async def test_what_was_popped_beside_a_bad_member(redis: Redis, count: int) -> None:
    """``pop(count)`` removes the first bad member alone, which the error carries: all the others are put back."""
    numbers = RedisSet(redis, "numbers", int)
    stored = {b"x", b"y", *(b"%d" % n for n in range(count - 2))}
    await redis.sadd("numbers", *stored)

    with pytest.raises(DecodeError, match="removed from Redis") as caught:
        await numbers.pop(count)

    assert caught.value.raw in (b"x", b"y")
    assert {*await redis.smembers("numbers")} == stored - {caught.value.raw}
    assert f"{count - 1} other members too, and has put them back" in caught.value.__notes__[-1]
    with pytest.raises(DecodeError):
        await numbers.pop(count)
    assert len(await numbers.pop(count)) == count - 2


async def test_what_a_bad_member_costs(redis: Redis, monitor: Monitor) -> None:
    """The members popped with a bad one are put back by one SADD."""
    numbers = RedisSet(redis, "numbers", int)
    await redis.sadd("numbers", "1", "x")
    await numbers.exists()
    await monitor.commands()

    with pytest.raises(DecodeError, match="removed from Redis"):
        await numbers.pop(9)

    assert [" ".join(command) for command in await monitor.commands()] == ["SPOP numbers 9", "SADD numbers 1"]


async def test_a_counted_pop_is_no_part_of_atomic(redis: Redis) -> None:
    """``atomic`` refuses ``pop(count)``, which may need a second trip, before anything is sent, and takes ``pop()``."""

    class Garden(Store, namespace="set-pops"):
        """A store without fields."""

    garden = Garden(redis)
    numbers = RedisSet(redis, "numbers", int)
    await numbers.add(1)

    with pytest.raises(TypeError, match=r"RedisSet\.pop\(\) with a count"):
        await garden.atomic(numbers.pop(2))
    assert await garden.atomic(numbers.pop(), numbers.len()) == (1, 0)


async def test_bad_members_stand_in_no_way(redis: Redis) -> None:
    """Methods that return no members do their work beside bad ones."""
    numbers, moved = RedisSet(redis, "numbers", int), RedisSet(redis, "moved", int)
    await redis.sadd("numbers", *BAD.values())

    assert await numbers.add(1) == 1
    assert await numbers.len() == len(BAD) + 1
    assert await numbers.contains(1) is True
    assert await numbers.is_subset(moved) is False
    assert await numbers.union_store(moved) == len(BAD) + 1
    await moved.difference_update(numbers)
    assert await moved.exists() is False
    assert await numbers.discard(1) is True


@bad_bytes
async def test_iteration_can_skip_bad_members(redis: Redis, raw: bytes) -> None:
    """``on_error="skip"`` passes over bad members and yields all the others, in every page."""
    numbers = RedisSet(redis, "numbers", int)
    await numbers.update(*range(1200))
    await redis.sadd("numbers", raw, *(b"no int %d" % n for n in range(600)))

    assert sorted(await collect(numbers.values(on_error="skip"))) == [*range(1200)]
    with pytest.raises(DecodeError):
        await collect(numbers)


# --- a key of another type ----------------------------------------------------------------------


@policies
async def test_others_of_another_type(redis: Redis, policy: TTL | None) -> None:
    """A destination, or another source, that is no set is a WrongKind naming all keys; nothing changes anywhere."""
    numbers = RedisSet(redis, "numbers", int, ttl=policy)
    thing, third = (RedisSet(redis, key, int, ttl=policy) for key in ("thing", "third"))
    await redis.sadd("numbers", "1", "2")
    await redis.sadd("third", "2")
    await redis.set("thing", "x")
    calls: dict[str, Callable[[], Awaitable[object]]] = {
        "numbers or thing": lambda: numbers.move(thing, 1),
        "numbers or third or thing": lambda: numbers.union(third, thing),
        "numbers or thing: ": lambda: numbers.union_store(thing),
        "numbers or thing or third": lambda: numbers.difference_store(thing, third),
        "numbers or third or thing: ": lambda: numbers.intersection_store(third, thing),
        "numbers or thing: one": lambda: numbers.union_update(thing),
        "numbers or thing: one of": lambda: numbers.is_subset(thing),
    }

    for named, call in calls.items():
        with pytest.raises(WrongKind, match=rf"^{named}") as caught:
            await call()
        assert caught.value.key == "numbers"

    assert {*await redis.smembers("numbers")} == {b"1", b"2"}
    assert {*await redis.smembers("third")} == {b"2"}
    assert await redis.get("thing") == b"x"
    assert [await redis.pttl(key) for key in ("numbers", "thing", "third")] == [-1, -1, -1]


# --- values that cannot be stored ---------------------------------------------------------------

TAKING: dict[str, tuple[Callable[[Plants, Plant], Awaitable[object]], int | None]] = {
    "add": (lambda s, value: s.add(value), None),
    "update": (lambda s, value: s.update(PEA, value), 1),
    "remove": (lambda s, value: s.remove(PEA, PEA, value), 2),
    "discard": (lambda s, value: s.discard(value), None),
    "contains": (lambda s, value: s.contains(value), None),
    "contains_many": (lambda s, value: s.contains_many([PEA, value]), 1),
    "move": (lambda s, value: s.move(s, value), None),
}


@pytest.mark.parametrize(("call", "field"), TAKING.values(), ids=TAKING.keys())
async def test_unfit_members(
    plants: Plants, monitor: Monitor, call: Callable[[Plants, Plant], Awaitable[object]], field: int | None
) -> None:
    """A member that does not fit the declared type is an EncodeError naming key and position; nothing is sent."""
    await plants.add(PEA)
    await monitor.commands()

    for make in UNFIT.values():
        with pytest.raises(EncodeError, match=r"^plants") as caught:
            await call(plants, cast("Plant", make()))
        assert (caught.value.key, caught.value.field) == ("plants", field)

    assert await monitor.commands() == []
    assert await plants.members() == [PEA]


async def test_an_update_with_a_bad_member_stores_nothing(redis: Redis) -> None:
    """If the last of 1200 members cannot be encoded, none is stored, and the error names its position."""
    numbers = RedisSet(redis, "numbers", int)

    with pytest.raises(EncodeError, match=r"numbers\[1200\]"):
        await numbers.update(*range(1200), cast("int", "x"))

    assert not await numbers.exists()


# --- refusals of the server ---------------------------------------------------------------------

with_and_without_policy = pytest.mark.parametrize("policy", [None, TTL(hours=1)], ids=["no policy", "policy"])
STORING: dict[str, SetCall] = {
    "add": lambda s: s.add(5),
    "update": lambda s: s.update(*range(1200)),
    "union_update": lambda s: s.union_update(RedisSet(s.redis, "other", int)),
    "difference_update": lambda s: s.difference_update(RedisSet(s.redis, "other", int)),
    "union_store": lambda s: s.union_store(s, RedisSet(s.redis, "other", int)),
}


async def unchanged(redis: Redis, numbers: RedisSet[int], expected: type[Exception]) -> None:
    """Each call is refused with a note that names the key; nothing was written, no clock started."""
    for name, call in STORING.items():
        with pytest.raises(expected) as caught:
            await call(numbers)
        assert any("numbers" in note for note in caught.value.__notes__), name

    assert {*await redis.smembers("numbers")} == {b"1", b"2"}
    assert await redis.pttl("numbers") == -1


@pytest.fixture
async def numbers_of(redis: Redis) -> None:
    """{1, 2} beside {2, 3}."""
    await redis.sadd("numbers", "1", "2")
    await redis.sadd("other", "2", "3")


@with_and_without_policy
@pytest.mark.usefixtures("numbers_of")
async def test_out_of_memory(redis: Redis, policy: TTL | None) -> None:
    """A server without memory refuses writes that need some: OutOfMemoryError, and nothing is half-written."""
    await send(redis, "CONFIG", "SET", "maxmemory-policy", "noeviction")
    await send(redis, "CONFIG", "SET", "maxmemory", 1)
    try:
        await unchanged(redis, RedisSet(redis, "numbers", int, ttl=policy), OutOfMemoryError)
    finally:
        await send(redis, "CONFIG", "SET", "maxmemory", 0)


@with_and_without_policy
@pytest.mark.usefixtures("numbers_of")
async def test_a_user_who_may_only_read(redis: Redis, server: Server, policy: TTL | None) -> None:
    """A user without the permission is refused: NoPermissionError, and nothing is half-written."""
    rules = ("reset", "on", ">secret", "~*", "+@all", "-sadd", "-sunionstore", "-sdiffstore")
    await send(redis, "ACL", "SETUSER", "reader", *rules)
    client = connect(server.url, username="reader", password="secret")
    try:
        await unchanged(redis, RedisSet(client, "numbers", int, ttl=policy), NoPermissionError)
    finally:
        await client.aclose()
        await send(redis, "ACL", "DELUSER", "reader")
