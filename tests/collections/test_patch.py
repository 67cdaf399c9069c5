"""``patch``: some fields of a stored value, validated with the rest, in one atomic step."""

from __future__ import annotations

import asyncio
import contextlib
import itertools
import uuid
from dataclasses import dataclass
from typing import Annotated, Literal, Self

import pytest
from pydantic import (
    AliasChoices,
    BaseModel,
    BeforeValidator,
    ConfigDict,
    Field,
    PlainSerializer,
    RootModel,
    field_validator,
    model_validator,
)
from redis import Redis as Rival
from redis.asyncio import Redis
from typing_extensions import TypedDict

from purse import TTL, DecodeError, EditConflict, EncodeError, RedisHash, RedisKeySpace, Store, WrongKind
from purse.embedded import Server
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


class Bill(BaseModel):
    """One field is worked out from the others; one is never stored; one is made up."""

    price: int = 0
    total: int = 0
    note: str = Field(default=None, exclude=True)  # type: ignore[assignment]  # pyright: ignore[reportAssignmentType]  # its default need not be valid
    number: uuid.UUID = Field(default_factory=uuid.uuid4)

    @model_validator(mode="after")
    def _add_up(self) -> Bill:
        self.total = self.price * 2
        return self

    @field_validator("price")
    @classmethod
    def _affordable(cls, price: int) -> int:
        return {9: 1}[price] if price >= 9 else price  # a validator with a KeyError in it


Reversed = Annotated[str, BeforeValidator(lambda text: text[::-1]), PlainSerializer(lambda text: text[::-1])]
Split = Annotated[list[str], BeforeValidator(lambda text: text.split(",")), PlainSerializer(",".join)]


class Sealed(BaseModel):
    """What is stored is not what the attribute holds: a validator reads the form that the serializer writes."""

    word: Reversed
    n: int = 0


class Joined(BaseModel):
    """The same, with a validator that fails on what it has returned."""

    words: Split
    n: int = 0


class Open(BaseModel):
    """Takes more, and reads a field under another name, too."""

    model_config = ConfigDict(extra="allow")
    code: int = Field(default=0, validation_alias=AliasChoices("code", "zip"))


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
        TypeError, match=r"plants\['a'\]: a Plant has no field 'hihg'\. Did you mean 'high'\? Nothing was"
    ):
        await plants.patch("a", hihg=3)
    with pytest.raises(TypeError, match=r"a Plant has no field 'zip'\. It has 'name', 'low', 'high', 'address'"):
        await plants.patch("a", zip=3)
    with pytest.raises(
        TypeError, match=r"patch\(\) needs at least one change: write for example patch\(key, name=value\)"
    ):
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


async def test_a_field_that_nobody_changes_is_never_spoilt(redis: Redis) -> None:
    """Validators that do not take what they have returned are refused; a patch of that very field is not."""
    sealed, joined = RedisHash(redis, "sealed", Sealed), RedisHash(redis, "joined", Joined)
    await sealed.set("a", Sealed(word="kale"))
    await joined.set("a", Joined.model_validate({"words": "kale,leek"}))
    before = [await command(redis, "HGET", name, "a") for name in ("sealed", "joined")]

    with pytest.raises(TypeError, match=r"sealed\['a'\]: a Sealed cannot be .*: word would become another.*h\.modify"):
        await sealed.patch("a", n=1)
    with pytest.raises(TypeError, match=r"joined\['a'\]: a Joined cannot be .*: unchanged, .*'split'.*h\.modify"):
        await joined.patch("a", n=1)
    assert [await command(redis, "HGET", name, "a") for name in ("sealed", "joined")] == before
    assert (await sealed.patch("a", word="keel")).word == "leek"


async def test_fields_that_the_model_works_out(redis: Redis) -> None:
    """They follow the changed ones; what was never set, and is not stored, is left to the model; ids stay."""
    bills = RedisHash(redis, "bills", Bill)
    await command(redis, "HSET", "bills", "a", b'{"price":1,"total":2}')  # from before there were numbers
    old = await bills.modify("a", lambda bill: bill)

    patched = await bills.patch("a", price=3)

    assert (patched.price, patched.total, patched.number) == (3, 6, old.number)
    assert await bills.get("a") == patched
    assert patched.model_fields_set >= {"price", "total", "number"}


async def test_an_error_in_a_validator_names_the_key(redis: Redis) -> None:
    """Whatever it raises is an EncodeError with the key."""
    bills = RedisHash(redis, "bills", Bill)
    await bills.set("a", Bill(price=1))

    with pytest.raises(
        EncodeError, match=r"bills\['a'\] cannot be patched: .* KeyError: 10\. Nothing was written"
    ) as e:
        await bills.patch("a", price=10)
    assert isinstance(e.value.__cause__, KeyError)


async def test_a_root_model_has_no_fields(redis: Redis) -> None:
    """Its one field is its value: it is refused, not wrapped once more."""
    roots: RedisHash[RootModel[dict[str, object]]] = RedisHash(redis, "roots", RootModel[dict[str, object]])
    await roots.set("a", RootModel[dict[str, object]]({"b": 1}))

    with pytest.raises(TypeError, match=r"roots\['a'\]: .* has none: write await h\.modify"):
        await roots.patch("a", root={"b": 2})
    assert await command(redis, "HGET", "roots", "a") == b'{"b":1}'


async def test_open_models_take_no_alias_for_a_new_field(redis: Redis) -> None:
    """A name under which a field is read is not stored as one more field beside it."""
    things = RedisHash(redis, "things", Open)
    await things.set("a", Open(code=1))

    with pytest.raises(TypeError, match=r"a Open has no field 'zip'\. It has 'code'"):
        await things.patch("a", zip=2)
    assert (await things.patch("a", colour="grey")).model_extra == {"colour": "grey"}
    assert await things.patch("a", code=2) == await things.get("a") == Open(code=2, colour="grey")  # type: ignore[call-arg]  # pyright: ignore[reportCallIssue]


async def test_always_slower_than_others(redis: Redis, server: Server) -> None:
    """After a hundred attempts it is an EditConflict, whose advice is one that ``patch`` can follow."""
    numbers = itertools.count()
    with Rival.from_url(server.url) as rival:  # pyright: ignore[reportUnknownMemberType]

        class Contested(BaseModel):
            """While it is validated, between the read and the write, somebody else stores another one."""

            low: int = 0
            high: int

            @model_validator(mode="after")
            def _too_late(self) -> Self:
                rival.hset("plants", "a", f'{{"low":0,"high":{next(numbers)}}}')
                return self

        plants = RedisHash(redis, "plants", Contested)
        await redis.hset("plants", "a", '{"low":0,"high":-1}')

        with pytest.raises(EditConflict, match=r"during each of 100 attempts\. .* modify\(attempts=\)"):
            await plants.patch("a", low=1)

        assert next(numbers) >= 100
        assert (await plants.dict())["a"].low == 0


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
