"""``Json(exclude_unset=True)``: fields that were never set come back as never set, in every structure."""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import Any, Literal, NamedTuple, cast
from uuid import UUID, uuid4

import pytest
from hypothesis import given
from hypothesis import strategies as st
from pydantic import BaseModel, ConfigDict, Field, ValidationInfo, field_validator, model_validator
from redis.asyncio import Redis
from typing_extensions import TypedDict

from purse import (
    RedisHash,
    RedisKeySpace,
    RedisList,
    RedisPriorityQueue,
    RedisQueue,
    RedisSet,
    RedisSortedSet,
    Store,
)
from purse import field as store_field
from purse.codecs import Codec, Json, codec_for
from purse.codecs._binding import bind_codec, canonical_codec_for
from purse.errors import DeclarationError, EncodeError
from purse.inspect import schema

UNSET = Json(exclude_unset=True)


class Address(BaseModel):
    """Nested."""

    street: str | None = None
    town: str = "Bonn"


class Update(BaseModel):
    """A partial update."""

    name: str | None = None
    age: int = 0
    tags: list[str] = Field(default_factory=list[str])
    home: Address | None = None
    others: dict[str, Address] = {}


@dataclass
class Pair:
    """A dataclass, which does not know what has been set of it, around models."""

    left: Address
    right: list[Address] = field(default_factory=list[Address])


class Row(TypedDict):
    home: Address


class Named(NamedTuple):
    home: Address


class Open(BaseModel):
    """Takes anything."""

    model_config = ConfigDict(extra="allow")

    name: str = ""


def sets_of(value: object) -> object:
    """Which fields were set, at every depth."""
    if isinstance(value, BaseModel):
        return {name: sets_of(value.__dict__[name]) for name in value.model_fields_set if name in value.__dict__}
    if isinstance(value, dict):
        return {key: sets_of(part) for key, part in cast("dict[str, object]", value).items()}
    if isinstance(value, (list, tuple)):
        return [sets_of(part) for part in cast("list[object]", value)]
    return vars(value) and {name: sets_of(part) for name, part in vars(value).items()} if isinstance(value, Pair) else 0


addresses = st.fixed_dictionaries(
    {}, optional={"street": st.none() | st.text(max_size=2), "town": st.just("Bonn")}
).map(Address.model_validate)
updates = st.fixed_dictionaries(
    {},
    optional={
        "name": st.none() | st.just("x"),
        "age": st.integers(0, 1),
        "tags": st.just(cast("list[str]", [])),
        "home": st.none() | addresses,
        "others": st.dictionaries(st.text("ab", max_size=1), addresses, max_size=2),
    },
).map(Update.model_validate)


@given(updates)
def test_what_was_set_comes_back_as_set(update: Update) -> None:
    """For any partial update exactly the fields that were set come back as set, nested ones too."""
    for codec in (UNSET(Update), bind_codec(Update, UNSET, searched=True), bind_codec(Update, UNSET, canonical=True)):
        raw = codec.encode(update)
        back = codec.decode(raw)

        assert back == update
        assert sets_of(back) == sets_of(update)
        assert back.model_dump(exclude_unset=True) == update.model_dump(exclude_unset=True)
        assert codec.encode_all([update]) == [raw]
        assert codec.decode_all([raw]) == [back]


@pytest.mark.parametrize(
    ("form", "value", "raw"),
    [
        (Update, Update(), b"{}"),
        (Update, Update(name=None), b'{"name":null}'),
        (list[Update], [Update(age=0), Update()], b'[{"age":0},{}]'),
        (dict[str, Update | None], {"a": Update(), "b": None}, b'{"a":{},"b":null}'),
        (Update, Update(home=Address(town="Bonn")), b'{"home":{"town":"Bonn"}}'),
        (Pair, Pair(Address(), [Address(town="x")]), b'{"left":{},"right":[{"town":"x"}]}'),
        (Row, {"home": Address()}, b'{"home":{}}'),
        (Named, Named(Address()), b"[{}]"),
        (Open, Open.model_validate({"more": 1}), b'{"more":1}'),
        (int, 3, b"3"),
        (str, "x", b"x"),
        (bytes, b"\xff", b"\xff"),
        (datetime, datetime(2024, 1, 1, tzinfo=UTC), b'"2024-01-01T00:00:00Z"'),
    ],
)
def test_what_is_stored(form: Any, value: object, raw: bytes) -> None:
    """Unset fields are left out at every depth; types without models are stored as ever."""
    codec = UNSET(form)

    assert codec.encode(value) == raw
    assert sets_of(codec.decode(raw)) == sets_of(value)


def test_without_the_option_everything_is_stored() -> None:
    """By default all fields are written, and come back as set."""
    for codec in (codec_for(Update), Json()(Update)):
        assert codec.decode(codec.encode(Update())).model_fields_set == {*Update.model_fields}
    assert Json()(Update) is codec_for(Update)


class Setting(BaseModel):
    """A validator sets a field that was not set."""

    name: str = ""
    seen: bool = False
    hidden: int = Field(default=0, exclude=True)

    @model_validator(mode="after")
    def see(self) -> Setting:
        if self.name == "see":
            self.seen = True
        return self


def test_a_set_that_would_change_is_refused() -> None:
    """A value whose set fields would not be the same is refused, and the reason names the field."""
    codec = UNSET(Setting)
    assert codec.decode(codec.encode(Setting(name="see"))).model_fields_set == {"name", "seen"}

    with pytest.raises(EncodeError, match=r"at hidden: the field is excluded from JSON and would be lost"):
        codec.encode(Setting(hidden=0))
    with pytest.raises(EncodeError, match=r"at seen: one that was never set would come back as a field that was set"):
        codec.encode(Setting.model_construct(_fields_set={"name"}, name="see", seen=True))
    grown = Update()
    grown.tags.append("x")
    with pytest.raises(EncodeError, match=r"at tags\[0\]: 'x' would come back as nothing"):
        UNSET(Update).encode(grown)


# --- in stores ----------------------------------------------------------------------------------


class Garden(Store, namespace="unset", codec=UNSET):
    updates: RedisHash[Update]
    sessions: RedisKeySpace[Update]
    log: RedisList[Update]
    work: RedisQueue[Update]
    urgent: RedisPriorityQueue[Update]
    seen: RedisSet[Update]
    ranked: RedisSortedSet[Update]
    visits: RedisHash[int]
    names: RedisSet[str]
    anything: RedisSet[dict]  # type: ignore[type-arg]  # pyright: ignore[reportMissingTypeArgument]
    full: RedisHash[Update] = store_field(codec=codec_for)


async def test_every_structure_keeps_what_was_set(redis: Redis) -> None:
    """Every structure of a store with the option keeps partial updates partial."""
    garden, update = Garden(redis), Update(age=0)
    await garden.updates.set("a", update)
    await garden.sessions.set("a", update)
    await garden.log.append(update)
    await garden.work.put(update)
    await garden.urgent.put((update, 1))
    await garden.seen.add(update)
    await garden.ranked.add((update, 1))

    backs = [
        await garden.updates.get("a"),
        await garden.sessions.get("a"),
        await garden.log.getitem(0),
        await garden.work.get(),
        (await garden.urgent.get())[0],
        (await garden.seen.pop()),
        (await garden.ranked.pop_min())[0][0],
    ]

    assert [back and back.model_fields_set for back in backs] == [{"age"}] * 7
    assert await garden.log.index(update) == 0
    assert await garden.log.index(Update()) is None


async def test_the_other_fields_of_such_a_store_are_as_ever(redis: Redis) -> None:
    """Numbers still count, texts are still raw, and a field may have the default codec."""
    garden = Garden(redis)
    assert await garden.visits.increment("home") == 1
    await garden.names.add("pea")
    assert await redis.smembers("{unset}:names") == {b"pea"}
    await garden.full.set("a", Update())
    back = await garden.full.get("a")
    assert back is not None
    assert back.model_fields_set == {*Update.model_fields}


async def test_changes_keep_the_rest_unset(redis: Redis) -> None:
    """``patch``, ``modify`` and ``edit`` set what they change, and nothing else; a default keeps what was set."""
    updates = RedisHash(redis, "updates", Update, codec=UNSET, default=Update(home=Address()))
    space = RedisKeySpace(redis, "space:", Update, codec=UNSET)
    await updates.set("a", Update(home=Address()))
    await space.set("a", Update())

    assert (await updates.patch("a", age=0)).model_fields_set == {"age", "home"}
    assert (await space.patch("a", name=None)).model_fields_set == {"name"}
    async with updates.edit("a") as update:
        update.name = None
    await updates.modify("b", lambda update: update)
    await updates.setdefault("c", Update())

    assert await redis.hgetall("updates") == {
        b"a": b'{"name":null,"age":0,"home":{}}',
        b"b": b'{"home":{}}',
        b"c": b"{}",
    }
    assert await redis.get("space:a") == b'{"name":null}'


async def test_a_set_tells_apart_what_was_set(redis: Redis) -> None:
    """With the option what was set is part of a member; without it two equal models are one member."""
    kept, merged = RedisSet(redis, "kept", Address, codec=UNSET), RedisSet(redis, "merged", Address)
    for members in (kept, merged):
        await members.update(Address(), Address(town="Bonn"))

    assert await kept.len() == 2
    assert await merged.len() == 1


def test_the_schema_shows_it() -> None:
    """``inspect.schema`` names the option for each field that has it."""
    fields = schema(Garden)["fields"]

    assert {name: fields[name]["codec"] for name in ("updates", "names", "full")} == {
        "updates": "json, exclude_unset",
        "names": "text",
        "full": "json",
    }


# --- factories ----------------------------------------------------------------------------------


class Stamped(BaseModel):
    """Makes another value each time."""

    id: UUID = Field(default_factory=uuid4)


class Around(BaseModel):
    inner: list[Stamped | None] = []


class Tree(BaseModel):
    children: list[Tree] = []
    at: datetime = Field(default_factory=lambda: datetime.now(UTC))


class FromData(BaseModel):
    first: int = 0
    second: int = Field(default_factory=lambda data: data["first"])


class Defaults(BaseModel):
    stamp: Stamped = Field(default_factory=Stamped)


@dataclass
class Holder:
    stamp: Stamped


class Validated(BaseModel):
    """A factory behind validators."""

    id: str = Field(default_factory=lambda: str(uuid4()), validate_default=True)

    @field_validator("id", mode="wrap")
    @classmethod
    def check(cls, value: object, handler: Any, info: ValidationInfo) -> str:
        return cast("str", handler(value))


@pytest.mark.parametrize(
    ("form", "where"),
    [
        (Stamped, r"Stamped\.id \(uuid4\)"),
        (Around, r"Stamped\.id"),
        (list[Around], r"Stamped\.id"),
        (dict[str, Stamped] | None, r"Stamped\.id"),
        (Tree, r"Tree\.at \(Tree\.<lambda>\)"),
        (FromData, r"FromData\.second"),
        (Defaults, r"(Defaults\.stamp|Stamped\.id)"),
        (Holder, r"Stamped\.id"),
        (Validated, r"Validated\.id"),
    ],
)
def test_a_factory_that_may_make_another_value_is_refused(redis: Redis, form: Any, where: str) -> None:
    """The class and the collection are refused when they are made, naming the field and what to write."""
    message = rf"cannot be stored with exclude_unset=True: the default_factory of {where}.*Write a default"
    with pytest.raises(DeclarationError, match=message):
        RedisHash(redis, "x", form, codec=UNSET)
    with pytest.raises(DeclarationError, match=message):
        RedisSet(redis, "x", form, codec=UNSET)
    with pytest.raises(DeclarationError, match=r"Bad\.values"):
        type("Bad", (Store,), {"__annotations__": {"values": RedisList[form]}, "values": store_field(codec=UNSET)})

    RedisHash(redis, "x", form)


class Constant(BaseModel):
    """Factories that make an equal value each time."""

    a: list[str] = Field(default_factory=list)
    b: dict[str, int] = Field(default_factory=dict[str, int])
    c: set[int] = Field(default_factory=set[int])
    d: Counter[str] = Field(default_factory=Counter[str])
    e: Address = Field(default_factory=Address)
    f: Update = Field(default_factory=Update)
    g: Literal["x"] = "x"


def test_factories_that_are_constant_are_taken() -> None:
    """Builtin classes, and models whose own defaults are such, are fine as factories."""
    codec = UNSET(Constant)
    codec.check()

    assert codec.encode(Constant()) == b"{}"
    assert codec.decode(codec.encode(Constant(a=[]))).model_fields_set == {"a"}


def test_keys_are_not_concerned() -> None:
    """The keys of a hash are equal bytes for equal values, whatever was set."""

    class Key(BaseModel):
        model_config = ConfigDict(frozen=True)

        x: int = 0

    codec = canonical_codec_for(Key)
    assert codec.encode(Key()) == codec.encode(Key(x=0)) == b'{"x":0}'


def test_the_option_is_a_value() -> None:
    """Equal options are equal, so that two lists with them can move elements; it is a codec factory for the types."""
    made: Codec[Update] = UNSET(Update)

    assert Json(exclude_unset=True) == UNSET != Json()
    assert made is UNSET(Update)
    assert repr(UNSET) == "Json(exclude_unset=True)"
