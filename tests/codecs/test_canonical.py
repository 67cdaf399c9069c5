"""The canonical form: equal values of one type are equal bytes, and still come back."""

from __future__ import annotations

import random
from collections import Counter, OrderedDict
from dataclasses import dataclass
from datetime import UTC, datetime, time, timedelta, timezone
from decimal import Decimal, localcontext
from enum import Enum
from ipaddress import IPv4Address
from pathlib import PurePosixPath
from typing import Annotated, Any, Literal, NamedTuple, NotRequired, cast
from uuid import UUID
from zoneinfo import ZoneInfo

import pytest
from annotated_types import Gt
from hypothesis import given, settings
from hypothesis import strategies as st
from pydantic import BaseModel, ConfigDict, Field, PlainSerializer, RootModel, computed_field, field_serializer
from typing_extensions import TypedDict

from purse.codecs import codec_for
from purse.codecs._binding import canonical_codec_for
from purse.codecs._value_codecs import ValueCodec
from purse.errors import DeclarationError, EncodeError

quick = settings(max_examples=60, deadline=None)


class Plant(BaseModel):
    name: str
    healthiness: float
    tasty: bool = True


class Price(BaseModel):
    z_first: str = ""
    amount: Decimal = Decimal(0)
    at: datetime | None = None
    tags: set[str] = set()
    by_place: dict[str, float] = {}


class Open(BaseModel):
    model_config = ConfigDict(extra="allow")

    name: str


class Totals(RootModel[dict[str, int]]):
    pass


class Computed(BaseModel):
    x: int

    @computed_field
    def twice(self) -> int:
        return 2 * self.x


class Scrambled(BaseModel):
    """Writes its mapping in an order of its own."""

    amounts: dict[str, Decimal]

    @field_serializer("amounts")
    def scramble(self, amounts: dict[str, Decimal]) -> dict[str, str]:
        return {name: str(amounts[name]) for name in sorted(amounts, reverse=True)}


class Node(BaseModel):
    children: dict[str, Node] = {}


@dataclass
class Point:
    y: int
    x: frozenset[int]


class Movie(TypedDict):
    title: str
    year: NotRequired[int]
    cast: NotRequired[dict[str, int]]


class Pair(NamedTuple):
    left: dict[str, int]
    right: Decimal = Decimal(0)


class Half(Enum):
    HALF = "0.50"


def canonical(form: object, value: object) -> bytes:
    """The canonical bytes of ``value``, which are also checked to come back and to be stable."""
    codec: ValueCodec[object] = canonical_codec_for(cast("type[object]", form), best_effort=True)
    raw = codec.encode(value)
    assert codec_for(cast("type[object]", form)).decode(raw) == value
    assert codec.encode(codec.decode(raw)) == raw
    return raw


def hours(count: float) -> timezone:
    return timezone(timedelta(hours=count))


NOON = datetime(2024, 7, 1, 12, tzinfo=UTC)


CASES: list[tuple[object, list[object], bytes]] = [
    (float, [1, 1.0], b"1.0"),
    (float, [0.0, -0.0], b"0.0"),
    (float | None, [1, 1.0], b"1.0"),
    (list[float], [[0.0], [-0.0], [0]], b"[0.0]"),
    (Decimal, [Decimal("1.5"), Decimal("1.50"), Decimal("15E-1")], b'"1.5"'),
    (Decimal, [Decimal(100), Decimal("100.00"), Decimal("1E+2")], b'"1E+2"'),
    (Decimal, [Decimal(0), Decimal("-0.00"), Decimal("0E+9")], b'"0"'),
    (
        datetime,
        [NOON, NOON.astimezone(hours(5.5)), NOON.astimezone(ZoneInfo("Asia/Tokyo"))],
        b'"2024-07-01T12:00:00Z"',
    ),
    (time, [time(10, tzinfo=UTC), time(12, tzinfo=hours(2))], b'"10:00:00Z"'),
    (time, [time(1, 15, tzinfo=hours(2)), time(0, 15, tzinfo=hours(1))], b'"00:15:00+01:00"'),
    (time, [time(23, tzinfo=hours(-3)), time(23, 30, tzinfo=hours(-2.5))], b'"23:00:00-03:00"'),
    (dict[str, int], [{"a": 1, "b": 2}, {"b": 2, "a": 1}], b'{"a":1,"b":2}'),
    (dict[float, int], [{0.0: 1, 2.0: 1}, {2: 1, -0.0: 1}], b'{"0.0":1,"2.0":1}'),
    (dict[Decimal, int], [{Decimal("1.0"): 1}, {Decimal(1): 1}], b'{"1":1}'),
    (dict[datetime, int], [{NOON: 1}, {NOON.astimezone(hours(1)): 1}], b'{"2024-07-01T12:00:00Z":1}'),
    (Counter[str], [Counter("aab"), Counter("baa")], b'{"a":2,"b":1}'),
    (OrderedDict[str, int], [OrderedDict(b=1, a=2)], b'{"b":1,"a":2}'),
    (frozenset[int], [frozenset({10, 9, 1}), frozenset({1, 10, 9})], b"[1,10,9]"),
    (frozenset[frozenset[int]], [frozenset({frozenset({2, 1}), frozenset({0})})], b"[[0],[1,2]]"),
    (set[Decimal], [{Decimal("1.10"), Decimal(0)}, {Decimal("1.1"), Decimal("0.0")}], b'["0","1.1"]'),
    (Point, [Point(1, frozenset({8, 1, 64})), Point(1, frozenset({64, 8, 1}))], b'{"y":1,"x":[1,64,8]}'),
    (Pair, [Pair({"b": 1, "a": 2}, Decimal("1.0"))], b'[{"a":2,"b":1},"1"]'),
    (Movie, [{"title": "x", "year": 1}, {"year": 1, "title": "x"}], b'{"title":"x","year":1}'),
    (Movie, [{"cast": {"b": 1, "a": 2}, "title": "x"}], b'{"title":"x","cast":{"a":2,"b":1}}'),
    (Totals, [Totals({"b": 1, "a": 2})], b'{"a":2,"b":1}'),
    (Half, [Half.HALF], b'"0.50"'),
    (Open, [Open.model_validate({"b": 1, "name": "x", "a": 2})], b'{"name":"x","a":2,"b":1}'),
    (Scrambled, [Scrambled(amounts={"a": Decimal("1.0"), "b": Decimal(2)})], b'{"amounts":{"a":"1","b":"2"}}'),
    (Node, [Node(children={"b": Node(), "a": Node()})], b'{"children":{"a":{"children":{}},"b":{"children":{}}}}'),
    (dict, [{"b": [{"d": 1, "c": -0.0}], "a": 1}], b'{"a":1,"b":[{"c":0.0,"d":1}]}'),
    (
        Price,
        [
            Price(amount=Decimal("1.50"), at=NOON, tags={"b", "a"}, by_place={"y": -0.0, "x": 1}),
            Price(amount=Decimal("1.5"), at=NOON.astimezone(hours(3)), tags={"a", "b"}, by_place={"x": 1, "y": 0}),
        ],
        b'{"z_first":"","amount":"1.5","at":"2024-07-01T12:00:00Z","tags":["a","b"],"by_place":{"x":1.0,"y":0.0}}',
    ),
]


@pytest.mark.parametrize(("form", "values", "raw"), CASES, ids=[case[2].decode()[:40] for case in CASES])
def test_equal_values_are_equal_bytes(form: object, values: list[object], raw: bytes) -> None:
    """However an equal value was made, its canonical bytes are the documented ones."""
    for value in values:
        assert value == values[0]
        assert canonical(form, value) == raw


def test_fields_are_in_declared_order() -> None:
    """A model whose fields were set in another order is written in declared order."""
    plant = Plant(name="x", healthiness=1)
    name = plant.name
    del plant.name
    plant.name = name

    assert codec_for(Plant).encode(plant) == b'{"healthiness":1.0,"tasty":true,"name":"x"}'
    assert canonical(Plant, plant) == b'{"name":"x","healthiness":1.0,"tasty":true}'


def test_a_field_of_another_type_that_is_equal() -> None:
    """An int that was assigned to a float is written as the float; nothing else may be of another type."""
    price = Price()
    price.amount = cast("Decimal", 1)
    plant, half = Plant(name="x", healthiness=1), Plant(name="x", healthiness=1)
    plant.healthiness, half.healthiness = 1, True

    assert canonical(Plant, plant) == canonical(Plant, Plant(name="x", healthiness=1))
    for model in (price, half):
        with pytest.raises(EncodeError, match="would come back as"):
            canonical_codec_for(type(model)).encode(model)


def test_the_context_of_decimal_does_not_matter() -> None:
    """No digit is rounded away, whatever the current decimal context."""
    with localcontext(prec=3):
        assert canonical(Decimal, Decimal("123456789.12345678900")) == b'"123456789.123456789"'


@quick
@given(name=st.text(), healthiness=st.floats(allow_nan=False, allow_infinity=False), tasty=st.booleans())
def test_plain_models_are_what_pydantic_writes(name: str, healthiness: float, tasty: bool) -> None:
    """The canonical bytes of a plain model are those of ``model_dump_json()``, which 2.x stored."""
    plant = Plant(name=name, healthiness=healthiness or 0.0, tasty=tasty)
    codec = canonical_codec_for(Plant)

    assert codec.encode(plant) == plant.model_dump_json().encode()
    assert codec.also_stored_as(plant) == ()


scalars = (
    st.none()
    | st.booleans()
    | st.integers()
    | st.floats(allow_nan=False)
    | st.text("ab\xe9\u2028\U0001f600", max_size=3)
)
trees = st.recursive(
    scalars,
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text("abc.-01", max_size=4), inner, max_size=4),
    max_leaves=10,
)


def shuffled(value: object, rng: random.Random) -> object:
    """An equal value: its dicts filled in another order, its zeros with another sign."""
    if isinstance(value, dict):
        items = list(cast("dict[str, object]", value).items())
        rng.shuffle(items)
        return {name: shuffled(item, rng) for name, item in items}
    if isinstance(value, list):
        return [shuffled(item, rng) for item in cast("list[object]", value)]
    return value if value else -value if isinstance(value, float) else value


@quick
@given(value=st.dictionaries(st.text(max_size=2), trees, max_size=4), rng=st.randoms(use_true_random=False))
def test_insertion_order_does_not_matter(value: dict[str, object], rng: random.Random) -> None:
    """Dicts filled in any order, at any depth, are the same bytes."""
    other = cast("dict[str, object]", shuffled(value, rng))

    assert canonical(dict, value) == canonical(dict, other)
    assert canonical(dict[str, Any], value) == canonical(dict[str, Any], other)


@quick
@given(items=st.lists(st.integers() | st.text("ab", max_size=3), max_size=12), rng=st.randoms(use_true_random=False))
def test_set_order_does_not_matter(items: list[int | str], rng: random.Random) -> None:
    """Sets built in any order, with any history of removals, are the same bytes."""
    other = items.copy()
    rng.shuffle(other)
    grown = {*other, *range(1000, 1100)} - set(range(1000, 1100)) | set(items)

    assert canonical(set[int | str], set(items)) == canonical(set[int | str], grown)


@quick
@given(value=st.decimals(allow_nan=False, allow_infinity=False), zeros=st.integers(0, 12))
def test_trailing_zeros_do_not_matter(value: Decimal, zeros: int) -> None:
    """A Decimal with more trailing zeros is the same bytes."""
    sign, digits, exponent = value.as_tuple()
    other = Decimal((sign, digits + (0,) * zeros, cast("int", exponent) - zeros))

    assert canonical(Decimal, value) == canonical(Decimal, other)


@quick
@given(
    at=st.datetimes(datetime(1970, 1, 1), datetime(2100, 1, 1)).map(lambda at: at.replace(fold=0)),  # noqa: DTZ001 - zone below
    minutes=st.integers(-23 * 60, 23 * 60),
    other=st.integers(-23 * 60, 23 * 60),
)
def test_the_time_zone_does_not_matter(at: datetime, minutes: int, other: int) -> None:
    """A moment in another zone is the same bytes, and so is a time of day that Python calls equal."""
    moment = at.replace(tzinfo=hours(minutes / 60))
    assert canonical(datetime, moment) == canonical(datetime, moment.astimezone(hours(other / 60)))

    of_day = at.time().replace(tzinfo=hours(minutes / 60))
    shifted = (at + timedelta(minutes=other - minutes)).replace(tzinfo=hours(other / 60)).timetz()
    raw = canonical(time, of_day)
    assert (canonical(time, shifted) == raw) == (shifted == of_day)


@pytest.mark.parametrize("fold", [0, 1])
def test_an_ambiguous_moment_is_its_instant(fold: int) -> None:
    """A wall clock reading that occurs twice is stored as the instant that its fold means."""
    moment = datetime(2024, 10, 27, 2, 30, fold=fold, tzinfo=ZoneInfo("Europe/Berlin"))
    codec = canonical_codec_for(datetime)

    assert codec.encode(moment) == codec.encode(moment.astimezone(UTC))
    assert codec.decode(codec.encode(moment)) == moment.astimezone(UTC)


def test_the_ends_of_the_calendar() -> None:
    """A moment that has no form in UTC is refused, not stored in another way."""
    with pytest.raises(EncodeError, match="OverflowError"):
        canonical_codec_for(datetime).encode(datetime.max.replace(tzinfo=hours(-1)))


# --- what cannot be a key -----------------------------------------------------------------------


class Opaque(BaseModel):
    x: Annotated[int, PlainSerializer(str)]


@pytest.mark.parametrize(
    ("form", "what"),
    [
        (Any, "Any"),
        (object, "Any"),
        (dict, "Any"),
        (list[Any], "Any"),
        (dict[str, Any], "Any"),
        (Open, "extra fields of any type"),
        (Opaque, "a serializer of your own"),
        (tuple[Opaque, Any], "a serializer of your own and Any"),
        (complex, "'complex'"),
    ],
)
def test_types_without_a_canonical_form(form: object, what: str) -> None:
    """A type for which equal bytes cannot be promised is no key, and the reason names the part."""
    with pytest.raises(DeclarationError, match="cannot be a key or a member: it holds ") as caught:
        canonical_codec_for(cast("type[object]", form))
    for part in what.split(" and "):
        assert part in str(caught.value)

    canonical_codec_for(cast("type[object]", form), best_effort=True)


@pytest.mark.parametrize(
    "form",
    [
        str,
        bytes,
        int,
        float,
        bool,
        None,
        Decimal,
        UUID,
        datetime,
        time,
        timedelta,
        IPv4Address,
        PurePosixPath,
        Half,
        Plant,
        Price,
        Computed,
        Node,
        Point,
        Movie,
        Pair,
        Literal["a", 1],
        int | str | None,
        tuple[int, ...],
        frozenset[tuple[str, Plant | Price]],
        Annotated[int, Gt(0)],
        Annotated[Plant | Price, Field(union_mode="left_to_right")],
    ],
)
def test_types_with_a_canonical_form(form: object) -> None:
    """Every type whose values say all that is needed can be a key."""
    canonical_codec_for(cast("type[object]", form)).check()


# --- what 2.x stored ----------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("form", "value", "others"),
    [
        (str, "x", ()),
        (bytes, b"x", ()),
        (int, 3, ()),
        (Plant, Plant(name="x", healthiness=1), ()),
        (Computed, Computed(x=1), (b'{"x":1,"twice":2}',)),
        (Price, Price(by_place={"b": 1, "a": 2}), (Price(by_place={"b": 1, "a": 2}).model_dump_json().encode(),)),
        (dict, {"b": 1, "a": "\xe9"}, (rb'{"b": 1, "a": "\u00e9"}',)),
        (dict[str, int], {}, ()),
        (Movie, {"title": "x"}, (b'{"title": "x"}',)),
    ],
)
def test_what_2x_stored_is_found(form: object, value: object, others: tuple[bytes, ...]) -> None:
    """The bytes under which 2.x stored an equal value are named, where they are others, and can be read."""
    codec: ValueCodec[object] = canonical_codec_for(cast("type[object]", form), best_effort=True)

    assert codec.also_stored_as(value) == others
    for other in others:
        if form is not Computed:
            assert codec.decode(other) == value


def test_an_unfit_value_was_never_stored() -> None:
    """Looking for a value that could not be stored is the same error as storing it, without a warning."""
    plant = Plant(name="x", healthiness=1)
    plant.healthiness = cast("float", "bad")

    with pytest.raises(EncodeError, match="changed after validation"):
        canonical_codec_for(Plant).also_stored_as(plant)
