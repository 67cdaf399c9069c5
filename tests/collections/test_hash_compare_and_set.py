"""RedisHash: ``modify`` and ``edit``, which store a value only if nobody has changed it since it was read."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import cast

import pytest
from pydantic import BaseModel, ConfigDict
from redis import Redis as Rival
from redis.asyncio import Redis

from purse.collections import RedisHash
from purse.embedded import Server
from purse.errors import EditConflict, EncodeError
from tests.collections.garden import Plant
from tests.support.monitor import Monitor

SPINACH = Plant(name="spinach", healthiness=9.8, tasty=False)
AVOCADO = Plant(name="avocado", healthiness=8)


class Frozen(BaseModel):
    model_config = ConfigDict(frozen=True)
    name: str


@dataclass
class Bed:
    plants: int


@dataclass(frozen=True)
class Fence:
    posts: int


@pytest.fixture
def visits(redis: Redis) -> RedisHash[int]:
    return RedisHash(redis, "visits", int)


@pytest.fixture
def rival(server: Server) -> Iterator[Rival]:
    """Somebody else, who writes within a function that only computes: a synchronous client."""
    with Rival.from_url(server.url) as rival:  # pyright: ignore[reportUnknownMemberType]
        yield rival


# --- modify -------------------------------------------------------------------------------------


def healthier(plant: Plant) -> Plant:
    return plant.model_copy(update={"healthiness": plant.healthiness + 1})


async def test_modify_stores_what_the_function_returns(plants: RedisHash[Plant]) -> None:
    """``modify`` returns the new value, and it is stored."""
    await plants.set("bed", AVOCADO)

    assert await plants.modify("bed", healthier) == healthier(AVOCADO)
    assert await plants.get("bed") == healthier(AVOCADO)


async def test_modify_may_change_its_argument(plants: RedisHash[Plant]) -> None:
    """The function may change its argument in place and return it."""
    await plants.set("bed", AVOCADO)

    def rename(plant: Plant) -> Plant:
        plant.name = "pear"
        return plant

    assert (await plants.modify("bed", rename)).name == "pear"
    assert await plants.get("bed") == AVOCADO.model_copy(update={"name": "pear"})


async def test_modify_of_a_missing_key(plants: RedisHash[Plant]) -> None:
    """Without ``default=`` a missing key is a KeyError, and nothing is stored."""
    with pytest.raises(KeyError, match="bed") as caught:
        await plants.modify("bed", healthier)

    assert any("{garden}:plants" in note for note in caught.value.__notes__)
    assert not await plants.exists()


async def test_modify_starts_from_the_default(plants: RedisHash[Plant]) -> None:
    """With ``default=`` the function gets an equal value, and the caller's own is not changed."""
    default = Plant(name="cress")

    def grow(plant: Plant) -> Plant:
        plant.healthiness += 1
        return plant

    assert await plants.modify("bed", grow, default=default) == Plant(name="cress", healthiness=1)
    assert default == Plant(name="cress")


async def test_modify_stores_an_unchanged_default(visits: RedisHash[int]) -> None:
    """A default that the function returns as it is is stored: the key was missing."""
    assert await visits.modify("home", lambda n: n, default=3) == 3
    assert await visits.get("home") == 3


async def test_none_can_be_a_default(redis: Redis) -> None:
    """``default=None`` is a default, not the absence of one."""
    hopes: RedisHash[int | None] = RedisHash(redis, "hopes", int | None)

    assert await hopes.modify("a", lambda hope: 1 if hope is None else 2, default=None) == 1


async def test_modify_sees_the_newer_value_after_a_conflict(visits: RedisHash[int], rival: Rival) -> None:
    """If someone writes in between, the function is called again with the newer value, and wins then."""
    await visits.set("home", 1)
    seen: list[int] = []

    def add_one(n: int) -> int:
        seen.append(n)
        if len(seen) < 3:
            rival.hset("visits", "home", 100 * len(seen))
        return n + 1

    assert await visits.modify("home", add_one) == 201
    assert seen == [1, 100, 200]
    assert await visits.get("home") == 201


async def test_modify_notices_a_key_that_vanished(visits: RedisHash[int], rival: Rival) -> None:
    """A key deleted in between counts as missing: the default is used, or a KeyError raised."""
    seen: list[int] = []

    def add_one(n: int) -> int:
        seen.append(n)
        if len(seen) == 1:
            rival.hdel("visits", "home")
        return n + 1

    await visits.set("home", 5)
    assert await visits.modify("home", add_one, default=10) == 11
    assert seen == [5, 10]

    await visits.set("home", 5)
    seen.clear()
    with pytest.raises(KeyError, match="home"):
        await visits.modify("home", add_one)
    assert not await visits.exists()


async def test_modify_notices_a_key_that_appeared(visits: RedisHash[int], rival: Rival) -> None:
    """A default is never stored over a value that someone else stored meanwhile."""
    seen: list[int] = []

    def add_one(n: int) -> int:
        seen.append(n)
        if len(seen) == 1:
            rival.hset("visits", "home", 50)
        return n + 1

    assert await visits.modify("home", add_one, default=0) == 51
    assert seen == [0, 50]


async def test_modify_gives_up(visits: RedisHash[int], rival: Rival) -> None:
    """After ``attempts`` calls that others were faster than, EditConflict names key and field; theirs stays."""
    await visits.set("home", 0)
    calls: list[int] = []

    def never_first(n: int) -> int:
        calls.append(n)
        rival.hincrby("visits", "home", 10)
        return n + 1

    with pytest.raises(EditConflict, match=r"visits\['home'\].* 3 attempts") as caught:
        await visits.modify("home", never_first, attempts=3)

    assert (caught.value.key, caught.value.field) == ("visits", "home")
    assert calls == [0, 10, 20]
    assert await visits.get("home") == 30


async def test_a_function_that_returns_nothing_is_noticed(plants: RedisHash[Plant]) -> None:
    """A function that forgets to return is an EncodeError that names key and field; nothing is written."""
    await plants.set("bed", AVOCADO)

    def forgetful(plant: Plant) -> None:
        plant.healthiness += 1

    with pytest.raises(EncodeError, match=r"plants\['bed'\].*None") as caught:
        await plants.modify("bed", cast("Callable[[Plant], Plant]", forgetful))

    assert caught.value.field == "bed"
    assert await plants.get("bed") == AVOCADO


async def test_an_error_of_the_function_passes_through(plants: RedisHash[Plant]) -> None:
    """What the function raises reaches the caller, and nothing is written."""
    await plants.set("bed", AVOCADO)

    with pytest.raises(ZeroDivisionError):
        await plants.modify("bed", lambda plant: Plant(name="x", healthiness=1 / 0))

    assert await plants.get("bed") == AVOCADO


# --- edit ---------------------------------------------------------------------------------------


async def test_edit_stores_the_changed_value(plants: RedisHash[Plant]) -> None:
    """At the end of the block the changed value is stored."""
    await plants.set("bed", AVOCADO)

    async with plants.edit("bed") as plant:
        assert plant == AVOCADO
        plant.healthiness += 1

    assert await plants.get("bed") == healthier(AVOCADO)


async def test_edit_of_containers(redis: Redis) -> None:
    """Lists, dicts, sets and dataclasses can be edited, too."""
    beds: RedisHash[list[str]] = RedisHash(redis, "beds", list[str])
    prices: RedisHash[dict[str, int]] = RedisHash(redis, "prices", dict[str, int])
    classes: RedisHash[Bed] = RedisHash(redis, "classes", Bed)

    async with beds.edit("a", default=[]) as bed:
        bed.append("pea")
    async with prices.edit("a", default={"pea": 1}) as price:
        price["bean"] = 2
    async with classes.edit("a", default=Bed(plants=1)) as plot:
        plot.plants += 1

    assert await beds.get("a") == ["pea"]
    assert await prices.get("a") == {"pea": 1, "bean": 2}
    assert await classes.get("a") == Bed(plants=2)


async def test_edit_conflicts_with_a_faster_writer(plants: RedisHash[Plant]) -> None:
    """If someone else wrote meanwhile, the block ends in EditConflict, and their value stays."""
    await plants.set("bed", AVOCADO)

    async def too_slow() -> None:
        async with plants.edit("bed") as plant:
            plant.healthiness += 1
            await plants.set("bed", SPINACH)

    with pytest.raises(EditConflict, match=r"plants\['bed'\]") as caught:
        await too_slow()

    assert (caught.value.key, caught.value.field) == ("{garden}:plants", "bed")
    assert await plants.get("bed") == SPINACH


async def test_edit_conflicts_with_a_delete(plants: RedisHash[Plant]) -> None:
    """A value that was deleted meanwhile is not brought back."""
    await plants.set("bed", AVOCADO)

    async def too_slow() -> None:
        async with plants.edit("bed") as plant:
            plant.healthiness += 1
            await plants.delete("bed")

    with pytest.raises(EditConflict):
        await too_slow()

    assert not await plants.exists()


async def test_an_error_in_the_block_writes_nothing(plants: RedisHash[Plant]) -> None:
    """An exception in the block reaches the caller, and nothing is written."""
    await plants.set("bed", AVOCADO)

    async def fail() -> None:
        async with plants.edit("bed") as plant:
            plant.healthiness += 1
            plant.healthiness /= 0

    with pytest.raises(ZeroDivisionError):
        await fail()

    assert await plants.get("bed") == AVOCADO


async def test_an_invalid_change_writes_nothing(plants: RedisHash[Plant]) -> None:
    """A value that is not valid at the end of the block is an EncodeError naming key and field."""
    await plants.set("bed", AVOCADO)

    with pytest.raises(EncodeError, match=r"plants\['bed'\]"):
        async with plants.edit("bed") as plant:
            plant.healthiness = cast("float", "very")

    assert await plants.get("bed") == AVOCADO


async def test_edit_of_a_missing_key(plants: RedisHash[Plant]) -> None:
    """A missing key is a KeyError before the block runs, unless there is a default."""
    with pytest.raises(KeyError, match="bed"):
        async with plants.edit("bed"):
            pytest.fail("the block ran")

    default = Plant(name="cress")
    async with plants.edit("bed", default=default) as plant:
        plant.healthiness = 3

    assert await plants.get("bed") == Plant(name="cress", healthiness=3)
    assert default == Plant(name="cress")


async def test_an_unchanged_default_is_stored(plants: RedisHash[Plant]) -> None:
    """A default that the block leaves as it is is stored: the key was missing."""
    async with plants.edit("bed", default=AVOCADO):
        pass

    assert await plants.get("bed") == AVOCADO


@pytest.mark.parametrize(
    ("value_type", "value"),
    [(int, 1), (str, "x"), (bytes, b"x"), (Frozen, Frozen(name="x")), (Fence, Fence(1)), (tuple[int, ...], (1, 2))],
)
async def test_edit_refuses_what_cannot_change(redis: Redis, value_type: type[object], value: object) -> None:
    """An immutable value is a TypeError before the block runs, and the message says ``modify``."""
    things = RedisHash(redis, "things", value_type)
    await things.set("a", value)

    with pytest.raises(TypeError, match=r"things\['a'\].*modify"):
        async with things.edit("a"):
            pytest.fail("the block ran")

    assert await things.get("a") == value


async def test_edit_has_one_attempt(visits: RedisHash[int], redis: Redis) -> None:
    """Of ten concurrent edits that read the same value one is stored, and the other nine are told."""
    beds: RedisHash[list[int]] = RedisHash(redis, "beds", list[int])
    await beds.set("a", [])
    everyone = asyncio.Barrier(10)

    async def add(n: int) -> None:
        async with beds.edit("a") as bed:
            await everyone.wait()
            bed.append(n)

    outcomes = await asyncio.gather(*(add(n) for n in range(10)), return_exceptions=True)

    stored = await beds.get("a")
    assert stored is not None
    assert outcomes.count(None) == len(stored) == 1
    assert sum(isinstance(outcome, EditConflict) for outcome in outcomes) == 9


async def test_edits_that_change_nothing_send_nothing(redis: Redis, monitor: Monitor) -> None:
    """A block of ``edit`` that changes nothing, or raises, sends nothing after its HGET."""
    plants = RedisHash(redis, "plants", Plant)
    await plants.set("bed", Plant(name="pea"))
    await monitor.commands()

    async with plants.edit("bed") as plant:
        plant.name = "pea"
    with pytest.raises(ZeroDivisionError):
        async with plants.edit("bed") as plant:
            plant.healthiness = 1 / 0

    assert await monitor.commands() == [("HGET", "plants", "bed")] * 2
