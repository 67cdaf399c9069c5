"""A class that can be defined can be used: every structure, with every option and with types of every kind."""

from __future__ import annotations

import inspect
from collections.abc import Callable, Iterator, Mapping
from datetime import datetime, timedelta
from decimal import Decimal
from itertools import count
from typing import Any, Literal, cast

import pytest
from pydantic import BaseModel, JsonValue
from redis.asyncio import Redis

import purse.collections
from purse import TTL, DeclarationError, Store, codec_for, field, limits, locks
from purse.codecs import Json
from purse.collections import RedisCollection, RedisHash, RedisKey, RedisKeySpace, RedisList, RedisQueue
from purse.inspect import FieldSpec

TRIALS = count()


class Plant(BaseModel):
    name: str
    tags: set[str] = set()


class Loose(BaseModel):
    anything: Any


class Foreign:
    """A class that pydantic knows nothing of."""


class IntCodec:
    """A codec for one type."""

    def encode(self, value: int, /) -> bytes:
        return b"%d" % value

    def decode(self, raw: bytes, /) -> int:
        return int(raw)


def nothing(value_type: object) -> int:
    """A factory that makes no codec."""
    return 3


def structures() -> Iterator[type[RedisCollection]]:
    """All of them: a new one is in a public list, too."""
    for module in (purse.collections, locks, limits):
        for name in module.__all__:
            found = getattr(module, name)
            if isinstance(found, type) and issubclass(found, RedisCollection) and found not in BASES:
                yield found


BASES = (RedisCollection, RedisKey)
STRUCTURES = [*structures()]
TYPES: list[object] = [
    *(Any, object, int, float, str, bytes, bool, None, datetime, Decimal, type, Exception),
    *(Plant, Loose, Foreign, JsonValue),
    *(list, dict, set, tuple, list[Any], list[object], dict[str, Any], set[Any], tuple[Any, ...], dict[str, object]),
    *(list[Plant], dict[Any, int], dict[Plant, int], Callable[[], int], Iterator[int]),
    *(Literal["a", 1], int | Any, Foreign | None),
    *(3, ..., list[3], "Later"),  # type: ignore[valid-type]
]  # fmt: skip
NEEDED: dict[str, object] = {"rate": "9/second", "limit": 3}
OWN = {"ttl", "codec", "key", "rkey", "slots"}
"""What the declaration gives to constructors, or keeps for itself."""

NUMBERS: list[object] = [
    -1,
    0,
    1,
    2.5,
    True,
    "3",
    2**31 - 1,
    2**31,
    2**63,
    10**30,
    float("nan"),
    float("inf"),
    b"1",
    [1],
]
DURATIONS: list[object] = [*NUMBERS, 1e-9, timedelta(0), timedelta(seconds=-1), timedelta(seconds=5), timedelta.max]
VALUES: Mapping[str, list[object]] = {
    "ttl": [*DURATIONS, TTL(hours=1), TTL(hours=1, per_item=True), TTL],
    "codec": [Json(), Json(exclude_unset=True), Json, codec_for, str, int, IntCodec(), IntCodec, 3, nothing],
    "key": ["other", "", "a{b", "::", "*", 3, b"k"],
    "rkey": ["other", "", "\ud800", 3, b"k"],
    "slots": ["key", "field", "store", "", 3],
    "maxlen": NUMBERS,
    "maxsize": NUMBERS,
    "default": [None, 0, "x", [], Foreign(), float("nan")],
    "default_factory": [int, str, list, 3, None, Foreign, lambda: 3],
    "lease": DURATIONS,
    "watchdog": [True, False, 1, "yes", []],
    "replicas": NUMBERS,
    "replicas_timeout": DURATIONS,
    "rate": [*NUMBERS, "", "often", "0/day", "5/10 seconds", "1/0 days", limits.Rate(1, timedelta(1))],
    "burst": NUMBERS,
    "algorithm": ["gcra", "sliding_window", "sliding", "", 3],
    "limit": NUMBERS,
}
"""Right and wrong values of every option, wrong in every way."""


def options_of(structure: type[RedisCollection]) -> Mapping[str, inspect.Parameter]:
    return inspect.signature(cast("Any", structure).field).parameters


def needed_by(structure: type[RedisCollection], *, without: str = "") -> dict[str, object]:
    return {name: value for name, value in NEEDED.items() if name in options_of(structure) and name != without}


def annotated(structure: type[RedisCollection], *types: object) -> object:
    return cast("Any", structure)[types] if getattr(structure, "__parameters__", ()) else structure


async def usable(redis: Redis, annotation: object, options: object = None, **keywords: object) -> bool:
    """Whether a store with this field can be defined; asserts that it can be used then, and is refused by name else."""
    body: dict[str, object] = {"__module__": __name__, "__qualname__": "Garden", "__annotations__": {"f": annotation}}
    if options is not None:
        body["f"] = options
    keywords["namespace"] = f"usable-{next(TRIALS)}"
    garden = refusal = None
    try:
        garden = cast("Any", type(Store))("Garden", (Store,), body, **keywords)
        if "Later" in repr(annotation):  # a name that is missing is found out by the first instance
            garden(redis)
    except DeclarationError as error:
        refusal = str(error)
    if refusal is not None:
        assert refusal.startswith("Garden.f: ")
    elif garden is not None:
        assert isinstance(garden(redis).f, RedisCollection)
    return refusal is None


@pytest.mark.parametrize("structure", STRUCTURES)
async def test_every_type(redis: Redis, structure: type[RedisCollection]) -> None:
    """A type of values or keys that the constructor refuses is refused with the class, and named by the field."""
    if not getattr(structure, "__parameters__", ()):
        assert await usable(redis, structure, cast("Any", structure).field(**needed_by(structure)))
        return

    seen = {await usable(redis, annotated(structure, written)) for written in TYPES}
    if len(cast("Any", structure).__parameters__) > 1:
        seen |= {await usable(redis, annotated(structure, int, written)) for written in TYPES}

    assert seen == {True, False}


@pytest.mark.parametrize("structure", STRUCTURES)
async def test_every_option(redis: Redis, structure: type[RedisCollection]) -> None:
    """An option that the constructor refuses is refused with the class, whatever is wrong with it."""
    for name in options_of(structure):
        assert name in VALUES, f"write down right and wrong values of {structure.__name__}.field({name}=)"
        seen: set[bool] = set()
        for value in VALUES[name]:
            options = cast("Any", structure).field(**{name: value}, **needed_by(structure, without=name))
            seen.add(await usable(redis, annotated(structure, int), options))
        assert True in seen, name
        assert False in seen or name == "watchdog", name


@pytest.mark.parametrize("keyword", ["ttl", "codec"])
@pytest.mark.parametrize("structure", STRUCTURES)
async def test_every_default_of_a_store(redis: Redis, structure: type[RedisCollection], keyword: str) -> None:
    """What the store gives to its fields is checked with each of them."""
    options = cast("Any", structure).field(**needed_by(structure))

    for value in (TTL(hours=1), TTL(hours=1, per_item=True)) if keyword == "ttl" else (Json(), codec_for, int):
        await usable(redis, annotated(structure, int), options, **{keyword: value})


@pytest.mark.parametrize("structure", STRUCTURES)
def test_field_takes_what_the_constructor_takes(structure: type[RedisCollection]) -> None:
    """A structure declares each option of its constructor; those without which it cannot be built have no default."""
    constructor = inspect.signature(structure).parameters
    keywords = {name for name, option in constructor.items() if option.kind is option.KEYWORD_ONLY}
    holds = "value_type" in constructor
    options = options_of(structure)

    assert options.keys() - OWN == keywords - OWN - {"key_type", "suffix"}
    assert options.keys() & OWN == {"key", "rkey"} | ({"ttl", "codec"} if holds else set[str]()) | (
        {"slots"} if issubclass(structure, RedisKeySpace) else set[str]()
    )
    assert {name for name, option in options.items() if option.default is option.empty} == {
        name for name in keywords if constructor[name].default is inspect.Parameter.empty
    } - {"key_type"}


async def test_a_queue_may_say_that_it_has_no_limit(redis: Redis) -> None:
    """``maxsize=0`` is what the constructor takes for that."""
    unlimited: RedisQueue[int] = RedisQueue.field(maxsize=0)

    assert await usable(redis, RedisQueue[int], unlimited)


@pytest.mark.parametrize("structure", STRUCTURES)
async def test_the_options_of_another_structure(redis: Redis, structure: type[RedisCollection]) -> None:
    """They are refused, by the name of the field."""
    for other in STRUCTURES:
        options = cast("Any", other).field(**needed_by(other))

        assert await usable(redis, annotated(structure, int), options) == (other is structure)


class ByName(RedisHash[Plant]):
    """A structure of the user's: the types are fixed."""


class Strict(RedisQueue[int]):
    """A structure of the user's that has a rule of its own."""

    def __init__(self, redis: Redis, rkey: str, value_type: type[int], **options: Any) -> None:
        if options.get("maxsize", 0) < 10:
            raise ValueError("maxsize= is at least 10 here")
        super().__init__(redis, rkey, value_type, **options)


async def test_a_subclass_takes_the_options_of_its_structure(redis: Redis) -> None:
    """It takes them from the plain ``field()``, and from that of the structure it is made of."""
    plain: ByName = field(ttl=TTL(hours=1))
    right: RedisHash[Plant] = RedisHash.field(default=Plant(name="leek"))
    wrong: RedisHash[int] = RedisHash.field(default=3)
    other: RedisList[Plant] = RedisList.field(maxlen=3)

    assert [await usable(redis, ByName, each) for each in (plain, right, wrong, other)] == [True, True, False, False]


async def test_a_constructor_of_the_users_may_refuse(redis: Redis) -> None:
    """Whatever it raises is told when the class is defined, with the name of the field."""
    right: RedisQueue[int] = RedisQueue.field(maxsize=10)
    wrong: RedisQueue[int] = RedisQueue.field(maxsize=9)

    assert [await usable(redis, Strict, each) for each in (right, wrong, None)] == [True, False, False]


def test_the_options_of_another_structure_are_answered_with_the_line_to_write() -> None:
    """It names the field, both structures, and the ``field`` to call."""
    with pytest.raises(DeclarationError) as caught:

        class Garden(Store, namespace="usable-other"):  # pyright: ignore[reportUnusedClass]
            plants: ByName = RedisList.field(maxlen=3)  # type: ignore[assignment]  # pyright: ignore[reportAssignmentType, reportUnknownVariableType]

    assert str(caught.value) == (
        "Garden.plants: RedisList.field() has the options of a RedisList, and this is a ByName: write "
        "plants: ByName = RedisHash.field(...)"
    )


def test_a_user_sees_of_a_field_what_a_user_can_use() -> None:
    """Completion of ``Garden.plants.`` shows what it declares, and none of the library's steps."""
    seen = {name for name in dir(FieldSpec) if not name.startswith("_")}

    types = {"collection", "value_type", "key_type"}
    assert seen == types | {"key", "rkey", "path", "is_key_space", "ttl", "codec", "slots", "options"}
