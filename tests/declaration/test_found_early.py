"""What is found when the class is defined, or a collection is built, and not at the first value."""

from __future__ import annotations

import sys
from typing import Annotated, Any, Literal, NewType, Protocol

import pytest
from pydantic import BaseModel, Field
from redis.asyncio import Redis
from typing_extensions import TypeAliasType, TypeForm

from purse import (
    TTL,
    RedisHash,
    RedisKeySpace,
    RedisLifoQueue,
    RedisList,
    RedisPriorityQueue,
    RedisQueue,
    RedisSet,
    RedisSortedSet,
    Store,
    codec_for,
)
from purse.codecs import Json
from purse.errors import DeclarationError, EncodeError
from purse.inspect import fields
from tests.support.declaring import Declare


class Plant(BaseModel):
    name: str = "leek"


class Unknown:
    """Nothing can store it."""


COLLECTIONS: list[Any] = [
    RedisHash,
    RedisKeySpace,
    RedisLifoQueue,
    RedisList,
    RedisPriorityQueue,
    RedisQueue,
    RedisSet,
    RedisSortedSet,
]

# --- fields that are none ---------------------------------------------------------------------------

HIDDEN = {
    "_log: RedisList[str]": (
        "Garden._log: a name with an underscore in front is not a field: write log: RedisList[str], with "
        'field(key="_log") to keep the Redis key, or annotate self._log in __init__'
    ),
    "__log: RedisList[str]": "a name with an underscore in front is not a field: write log: RedisList[str]",
    "_log: 'Annotated[RedisList[Later], TTL(hours=1)]'": "a name with an underscore in front is not a field",
    "_part: Part": "Garden._part: a name with an underscore in front is not a field: write part: Part",
    "log: ClassVar[RedisList[str]]": (
        "Garden.log: a ClassVar is not a field: write log: RedisList[str], or give it a value if it is not stored"
    ),
    "log: 'ClassVar[RedisList[Later]]'": "a ClassVar is not a field: write log: RedisList[Later]",
    "log: Final[RedisList[str]]": "a ClassVar is not a field: write log: RedisList[str]",
    "log: Annotated[ClassVar[RedisList[str]], 1]": "a ClassVar is not a field",
}


@pytest.mark.parametrize(("line", "message"), HIDDEN.items(), ids=HIDDEN.keys())
def test_a_collection_that_is_no_field_is_refused(declare: Declare, line: str, message: str) -> None:
    """It has a private name or is a constant, and no value: whoever wrote it meant a field."""
    with pytest.raises(DeclarationError) as caught:
        declare(
            f"""
            class Part(Store):
                n: RedisHash[int]
            class Garden(Store, namespace="early-hidden"):
                {line}
            """
        )

    assert message in str(caught.value)


def test_what_is_no_collection_keeps_its_ordinary_meaning(declare: Declare) -> None:
    """Private names and constants of other types, and of collections that have a value, are nothing of a store's."""
    module = declare(
        """
        class Garden(Store, namespace="early-ordinary"):
            _seen: int
            _other: "Elsewhere"
            limit: ClassVar[int] = 3
            shared: ClassVar[RedisHash[int]] = RedisHash(RedisClient(), "shared", int)
            _own: RedisHash[int] = RedisHash(RedisClient(), "own", int)
            plants: RedisHash[str]
        """
    )

    assert [*fields(module.Garden)] == ["plants"]
    assert module.Garden.shared.rkey == "shared"


# --- types ------------------------------------------------------------------------------------------


@pytest.mark.parametrize("collection", COLLECTIONS)
def test_a_type_that_nothing_can_store_is_refused_by_the_constructor(collection: Any) -> None:
    """Each collection says so when it is built, and what to declare."""
    with pytest.raises(DeclarationError, match=r"^Unknown cannot be stored .* Declare a pydantic model, a dataclass"):
        collection(Redis(), "k", Unknown)
    with pytest.raises(DeclarationError, match=r"list\[Unknown\] cannot be stored"):
        collection(Redis(), "k", list[Unknown])


@pytest.mark.parametrize("collection", COLLECTIONS)
def test_a_model_that_is_not_complete_may_be_declared(collection: Any) -> None:
    """The class that it names comes later."""
    if collection in (RedisSet, RedisSortedSet):
        pytest.skip("their members need a canonical form, which is looked at when they are built")

    class Tree(BaseModel):
        fruits: list[Fruit]

    collection(Redis(), "k", Tree)


class Fruit(BaseModel):
    """Comes after the model, which is local and therefore does not see it until it is rebuilt."""


@pytest.mark.parametrize("collection", [RedisHash, RedisKeySpace])
@pytest.mark.parametrize("key_type", [list[int], dict[str, int], set[int], tuple[list[int], int], list[int] | str])
def test_a_key_type_that_cannot_be_hashed_is_refused_by_the_constructor(
    collection: Any, key_type: TypeForm[object]
) -> None:
    """``dict()`` could not return such keys."""
    with pytest.raises(DeclarationError, match="cannot be a key type, because its values cannot be keys of a dict"):
        collection(Redis(), "k", int, key_type=key_type)


class PlantCodec:
    """Says what it is for."""

    def encode(self, value: Plant) -> bytes:
        return value.name.encode()

    def decode(self, raw: bytes) -> Plant:
        return Plant(name=raw.decode())


def _factory(value_type: object) -> object:
    return codec_for(bytes)


class Named(Protocol):
    name: str


class Quiet:
    """Says nothing, or nothing that could be compared."""

    def encode(self, value: Named) -> bytes:
        return value.name.encode()

    def decode(self, raw: bytes) -> Any:
        return Plant(name=raw.decode())


@pytest.mark.parametrize("collection", COLLECTIONS)
@pytest.mark.parametrize(
    ("value_type", "codec", "message"),
    [
        (int, codec_for(str), "codec=TextCodec is for str, and the values are declared as int; declare str"),
        (int, PlantCodec(), "codec=PlantCodec is for Plant, and the values are declared as int"),
        (int, _factory, "codec=BytesCodec is for bytes, and the values are declared as int"),
        (str | None, PlantCodec(), "is for Plant, and the values are declared as str | None"),
    ],
)
def test_a_codec_for_another_type_is_refused(
    collection: Any, value_type: TypeForm[Any], codec: Any, message: str
) -> None:
    """Both types are named."""
    with pytest.raises(DeclarationError) as caught:
        collection(Redis(), "k", value_type, codec=codec)

    assert message in str(caught.value)


@pytest.mark.parametrize(
    ("value_type", "codec"),
    [
        (Plant, PlantCodec()),
        (Plant | None, PlantCodec()),
        (Annotated[Plant, "a plant"], PlantCodec()),
        (BaseModel, PlantCodec()),
        (Plant, Quiet()),
        (Plant, Json()),
        (float, codec_for(int)),
        (int, codec_for(int | str)),
        (Literal["a"], codec_for(str)),
        (int, codec_for(bool)),
    ],
)
def test_a_codec_that_may_fit_is_taken(value_type: TypeForm[Any], codec: Any) -> None:
    """Only what cannot be right is refused."""
    RedisHash(Redis(), "k", value_type, codec=codec)


def test_a_codec_for_another_type_is_refused_in_a_store(declare: Declare) -> None:
    """The field is named."""
    with pytest.raises(DeclarationError, match=r"^Garden\.n: codec=TextCodec is for str, and the values are declared"):
        declare("class Garden(Store, namespace='early-codec'):\n    n: RedisHash[int] = field(codec=codec_for(str))")


# --- what makes a missing value ------------------------------------------------------------------------


def _text() -> str:
    return ""


async def _later() -> int:
    return 0


@pytest.mark.parametrize("collection", [RedisHash, RedisKeySpace])
@pytest.mark.parametrize(
    ("value_type", "factory", "message"),
    [
        (Plant, list, "default_factory= makes a list, but the values are declared as Plant: pass a function"),
        (int, _text, "default_factory= makes a str, but the values are declared as int"),
        (int, _later, "default_factory= is called without await, so it cannot be an async def"),
    ],
)
def test_a_factory_of_another_type_is_refused(
    collection: Any, value_type: TypeForm[Any], factory: Any, message: str
) -> None:
    """As far as it says what it makes."""
    with pytest.raises(DeclarationError) as caught:
        collection(Redis(), "k", value_type, default_factory=factory)

    assert message in str(caught.value)


async def test_a_factory_that_does_not_say_what_it_makes_is_found_at_the_call(redis: Redis) -> None:
    """The error says where the value is from."""
    plants = RedisHash(redis, "k", Plant, default_factory=lambda: [1])  # type: ignore[arg-type, return-value]  # pyright: ignore

    with pytest.raises(EncodeError, match="expected Plant, got list") as caught:
        await plants.get("leek")

    assert "purse: default_factory= of the collection made this value for a missing key" in caught.value.__notes__


def test_a_factory_of_another_type_is_refused_in_a_store(declare: Declare) -> None:
    """The field is named."""
    with pytest.raises(DeclarationError, match=r"^Garden\.n: .*default_factory= makes a list, but the values are"):
        declare(
            "class Garden(Store, namespace='early-factory'):\n"
            "    n: RedisHash[int] = RedisHash.field(default_factory=list)"
        )


# --- type aliases -----------------------------------------------------------------------------------


def test_a_type_alias_may_stand_for_an_annotation(declare: Declare) -> None:
    """Of a collection, with ``Annotated`` around or in it, generic, of a nested store, inside of another."""
    module = declare(
        """
        from typing_extensions import TypeAliasType
        T = TypeVar("T")
        class Part(Store):
            log: RedisList[str]
        Counts = TypeAliasType("Counts", RedisHash[int])
        Map = TypeAliasType("Map", RedisHash[T], type_params=(T,))
        Lists = TypeAliasType("Lists", Map[list[T]], type_params=(T,))
        Timed = TypeAliasType("Timed", Annotated[RedisHash[str], TTL(hours=1)])
        Later = TypeAliasType("Later", "RedisHash[Plant]")
        Parts = TypeAliasType("Parts", Part)
        Constant = TypeAliasType("Constant", ClassVar[int])
        class Garden(Store, namespace="early-alias"):
            counts: Counts
            map: Map[str]
            lists: Lists[int]
            timed: Timed
            longer: Annotated[Timed, TTL(hours=2)] = field(key="l")
            later: Later
            parts: Parts
            constant: Constant = 3
        class Plant(BaseModel):
            name: str
        """
    )
    found = fields(module.Garden)
    garden = module.Garden(module.RedisClient())

    assert {path: spec.value_type for path, spec in found.items()} == {
        "counts": int,
        "map": str,
        "lists": list[int],
        "timed": str,
        "longer": str,
        "later": module.Plant,
        "parts.log": str,
    }
    assert found["timed"].ttl == TTL(hours=1)
    assert found["longer"].ttl == TTL(hours=2)
    assert garden.parts.log.rkey == "{early-alias}:parts:log"
    assert isinstance(garden.counts, RedisHash)


@pytest.mark.skipif(sys.version_info < (3, 12), reason="the statement is new in Python 3.12")
def test_a_type_statement_may_stand_for_an_annotation(declare: Declare) -> None:
    """Its names may come later; one that never comes is told as in any annotation."""
    module = declare(
        """
        type Rows = RedisHash[Later]
        type Map[T] = RedisHash[T]
        type Value = Later
        class Garden(Store, namespace="early-statement"):
            rows: Rows
            map: Map[int]
            values_: RedisHash[Value]
        type Never2 = RedisHash[Nowhere]
        class Unfinished(Store, namespace="early-unfinished"):
            rows: Never2
        class Later(BaseModel):
            name: str
        """
    )

    module.Garden(module.RedisClient())
    assert module.Garden.rows.value_type is module.Later
    assert module.Garden.map.value_type is int
    with pytest.raises(DeclarationError, match=r"^Unfinished\.rows: the annotation .* names 'Nowhere', and"):
        module.Unfinished(module.RedisClient())


# --- numbers ----------------------------------------------------------------------------------------

Coins = NewType("Coins", int)
Money = TypeAliasType("Money", Annotated[float, "in euros"])


@pytest.mark.parametrize("value_type", [int, Annotated[int, "seen"], Coins, Annotated[Coins, 1], Money])
async def test_a_number_under_another_name_is_incremented_on_the_server(
    redis: Redis, value_type: TypeForm[Any]
) -> None:
    """``Annotated``, a ``NewType`` and an alias validate nothing, so the server may add."""
    hashed: RedisHash[Any] = RedisHash(redis, "h", value_type)
    space: RedisKeySpace[Any] = RedisKeySpace(redis, "s:", value_type)

    assert [await hashed.increment("a", 2), await hashed.increment("a")] == [2, 3]
    assert [await space.increment("a", 2), await space.increment("a")] == [2, 3]


@pytest.mark.parametrize("value_type", [Annotated[int, Field(gt=0)], bool, str, int | None])
async def test_a_number_with_rules_is_not_incremented(redis: Redis, value_type: TypeForm[Any]) -> None:
    """The server validates nothing; what does is in the message."""
    hashed: RedisHash[Any] = RedisHash(redis, "h", value_type)

    with pytest.raises(TypeError, match=r"^h\['a'\]: increment\(\) needs values declared as int or float,") as e:
        await hashed.increment("a", 2)
    assert "write await c.modify(key, lambda value: value + 2)" in str(e.value)


class Garden(Store, namespace="early-garden"):
    visits: RedisHash[Annotated[int, "seen"]] = RedisHash.field(default=0)


async def test_a_declared_number_is_incremented_as_checkers_say(redis: Redis) -> None:
    """To a type checker ``Annotated[int, ...]`` is ``int``."""
    assert await Garden(redis).visits.increment("gate") == 1
