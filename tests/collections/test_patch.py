"""``patch``: some fields of a stored value, validated with the rest, in one atomic step."""

from __future__ import annotations

import asyncio
import contextlib
from dataclasses import dataclass
from typing import Annotated, Literal

import pytest
from pydantic import BaseModel, ConfigDict, Field, field_validator, model_validator
from redis.asyncio import Redis
from typing_extensions import TypedDict

from purse import TTL, DecodeError, EncodeError, RedisHash, RedisKeySpace, Store, WrongKind
from tests.support.clients import command


class Address(BaseModel):
    """Nested, with an alias."""

    zip_code: str = Field(alias="zip", default="0")


class Plant(BaseModel):
    """Validated by itself and as a whole."""

    name: str
    low: float = 0
    high: float = 10
    address: Address | None = None

    @field_validator("name")
    @classmethod
    def _no_space(cls, name: str) -> str:
        return name.strip()

    @model_validator(mode="after")
    def _in_order(self) -> Plant:
        assert self.low <= self.high, "low is above high"
        return self


class Stone(BaseModel, frozen=True):
    """Frozen, and open to more."""

    model_config = ConfigDict(extra="allow")
    kind: Literal["stone"] = "stone"
    weight: int


class Tree(BaseModel):
    """The other of a union."""

    kind: Literal["tree"] = "tree"
    height: int


class Row(TypedDict):
    """A dict with known keys."""

    a: int
    b: str


@dataclass(frozen=True)
class Point:
    """A dataclass."""

    x: int
    y: int = 0


Thing = Annotated[Stone | Tree, Field(discriminator="kind")]


@pytest.fixture
def plants(redis: Redis) -> RedisHash[Plant]:
    """A hash of models."""
    return RedisHash(redis, "plants", Plant)


@pytest.fixture
def space(redis: Redis) -> RedisKeySpace[Plant]:
    """A key space of models."""
    return RedisKeySpace(redis, "plants:", Plant)


async def test_the_other_fields_stay(plants: RedisHash[Plant], space: RedisKeySpace[Plant]) -> None:
    """What is changed is validated and stored; the rest is as it was; the new value is returned."""
    leek = Plant(name="leek", low=1, address=Address(zip="10115"))
    for where in (plants, space):
        await where.set("a", leek)

        patched = await where.patch("a", name=" kale ", high=20)

        assert patched == Plant(name="kale", low=1, high=20.0, address=Address(zip="10115"))
        assert await where.get("a") == patched


async def test_nested_models_may_be_given_as_dicts(plants: RedisHash[Plant]) -> None:
    """By name or alias, as the constructor takes them, or as instances."""
    await plants.set("a", Plant(name="a"))

    assert (await plants.patch("a", address={"zip": "1"})).address == Address(zip="1")
    assert (await plants.patch("a", address={"zip_code": "2"})).address == Address(zip="2")
    assert (await plants.patch("a", address=Address(zip="3"))).address == Address(zip="3")
    assert (await plants.patch("a", address=None)).address is None


async def test_frozen_models_unions_dataclasses_and_dicts(redis: Redis) -> None:
    """The class of the stored value decides; a new instance takes the old one's place."""
    things: RedisHash[Stone | Tree] = RedisHash(redis, "things", Thing)
    await things.update({"s": Stone(weight=1), "t": Tree(height=2)})
    points = RedisHash(redis, "points", Point)
    await points.set("p", Point(1))
    rows = RedisHash(redis, "rows", Row)
    await rows.set("r", {"a": 1, "b": "x"})

    assert await things.patch("s", weight="7", colour="grey") == Stone(weight=7, colour="grey")  # type: ignore[call-arg]  # pyright: ignore[reportCallIssue]
    assert await things.patch("s", weight=8) == await things.get("s") == Stone(weight=8, colour="grey")  # type: ignore[call-arg]  # pyright: ignore[reportCallIssue]
    assert await things.patch("t", height=3) == Tree(height=3)
    assert await points.patch("p", y=5) == await points.get("p") == Point(1, 5)
    assert await rows.patch("r", a=2) == await rows.get("r") == {"a": 2, "b": "x"}


async def test_what_is_not_valid_is_not_written(plants: RedisHash[Plant]) -> None:
    """Validators of fields and of the whole model see the change; the error names the key and the field."""
    await plants.set("a", Plant(name="a"))

    with pytest.raises(
        EncodeError, match=r"^plants\['a'\] cannot be patched: it .*high: .*valid number.* Nothing was w"
    ) as e:
        await plants.patch("a", high="much")
    assert (e.value.key, e.value.field) == ("plants", "a")
    with pytest.raises(EncodeError, match="low is above high"):
        await plants.patch("a", low=11)
    with pytest.raises(
        TypeError, match=r"plants\['a'\]: a Plant has no field 'hihg'; did you mean 'high'\? Nothing was"
    ):
        await plants.patch("a", hihg=3)
    with pytest.raises(TypeError, match="a Plant has no field 'zip'; it has 'name', 'low', 'high', 'address'"):
        await plants.patch("a", zip=3)
    with pytest.raises(TypeError, match=r"patch\(\) without a change; write e.g. patch\(key, name=value\)"):
        await plants.patch("a")
    assert await plants.get("a") == Plant(name="a")


async def test_values_without_fields_are_refused(redis: Redis) -> None:
    """A number has no fields; a dict is checked against its type when it is written."""
    numbers = RedisHash(redis, "numbers", int)
    await numbers.set("n", 3)
    rows = RedisHash(redis, "rows", Row)
    await rows.set("r", {"a": 1, "b": "x"})

    with pytest.raises(
        TypeError, match=r"numbers\['n'\]: patch\(\) changes fields of a model, .* write await h.modify"
    ):
        await numbers.patch("n", a=3)
    with pytest.raises(EncodeError, match=r"rows\['r'\]"):
        await rows.patch("r", a="x")
    with pytest.raises(EncodeError, match=r"rows\['r'\]"):
        await rows.patch("r", c=1)
    assert await rows.get("r") == {"a": 1, "b": "x"}


async def test_a_missing_key_and_bad_data(redis: Redis, plants: RedisHash[Plant], space: RedisKeySpace[Plant]) -> None:
    """A missing key is a KeyError; undecodable bytes and other Redis types are left alone."""
    await command(redis, "HSET", "plants", "bad", "{")
    await command(redis, "LPUSH", "plants:list", "x")

    with pytest.raises(KeyError):
        await plants.patch("absent", name="x")
    with pytest.raises(DecodeError, match=r"plants\['bad'\]"):
        await plants.patch("bad", name="x")
    with pytest.raises(WrongKind):
        await space.patch("list", name="x")
    assert await command(redis, "HGET", "plants", "bad") == b"{"
    assert await plants.len() == 1


async def test_patches_of_different_fields_all_survive(redis: Redis) -> None:
    """Fifty at once, each of its own key in a dict, and a modify among them: nothing is lost."""
    rows = RedisHash(redis, "rows", dict[str, int])
    await rows.set("r", {"n": 0})

    await asyncio.gather(
        *(rows.patch("r", **{f"k{i}": i}) for i in range(50)),
        *(rows.modify("r", lambda row: {**row, "n": row["n"] + 1}) for _ in range(20)),
    )

    assert await rows.get("r") == {"n": 20, **{f"k{i}": i for i in range(50)}}


async def test_cancelled_patches_are_whole_or_not_at_all(plants: RedisHash[Plant]) -> None:
    """Cancelled after any number of steps, the value is the old or the new one, never half of it."""
    for steps in range(12):
        await plants.set("a", Plant(name="a", low=0, high=1))
        patching = asyncio.create_task(plants.patch("a", low=5, high=6))
        for _ in range(steps):
            await asyncio.sleep(0)
        patching.cancel()
        with contextlib.suppress(asyncio.CancelledError):
            await patching

        found = await plants.get("a")
        assert found is not None
        assert (found.low, found.high) in {(0, 1), (5, 6)}


class Timed(Store, namespace="patch-timed"):
    """With policies."""

    by_write: RedisHash[Plant]
    entries: RedisKeySpace[Plant]


async def test_a_patch_restarts_the_clock(redis: Redis) -> None:
    """It is a write: the policy rides on it; an unchanged value is not written."""
    timed = RedisHash(redis, "timed", Plant, ttl=TTL(hours=1))
    await timed.set("a", Plant(name="a"))
    await command(redis, "PEXPIRE", "timed", 5000)

    await timed.patch("a", name="a")
    assert await timed.ttl() <= 5
    await timed.patch("a", name="b")
    assert await timed.ttl() > 3000


async def test_a_patch_is_refused_in_atomic(redis: Redis) -> None:
    """It needs two trips, and says so by its name."""
    garden = Timed(redis)

    with pytest.raises(TypeError, match="patch"):
        await garden.atomic(garden.by_write.patch("a", name="x"))
