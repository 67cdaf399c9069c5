"""Plain values: what is written without being read back is what the long way would have written."""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import Annotated, Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from pydantic import AliasChoices, BaseModel, ConfigDict, Field, computed_field, field_serializer, field_validator

from purse.codecs._adapters import adapter_for
from purse.codecs._json_codecs import CanonicalCodec, JsonCodec
from purse.codecs._plain import plain_check
from purse.codecs._value_codecs import ValueCodec
from purse.errors import EncodeError


class Pot(BaseModel):
    """A plain model inside another."""

    size: int
    label: str | None = None


class Plant(BaseModel):
    """A plain model with a field of every plain kind."""

    name: str
    healthiness: float
    tasty: bool = True
    age: int | None = None
    pot: Pot | None = None


class Named(BaseModel):
    """Has an alias."""

    name: str = Field(validation_alias=AliasChoices("n", "name"))


class Short(BaseModel):
    """Has a constraint."""

    name: Annotated[str, Field(max_length=3)]


class Lowered(BaseModel):
    """Has a configuration that changes what is read."""

    model_config = ConfigDict(str_to_lower=True)
    name: str


class Open(BaseModel):
    """Keeps what it does not know."""

    model_config = ConfigDict(extra="allow")
    name: str


class Counted(BaseModel):
    """Has a computed field."""

    name: str

    @computed_field
    def length(self) -> int:
        return len(self.name)


class Checked(BaseModel):
    """Has a validator."""

    name: str

    @field_validator("name")
    @classmethod
    def cut(cls, name: str) -> str:
        return name[:3]


class Hidden(BaseModel):
    """Has a serializer."""

    name: str

    @field_serializer("name")
    def hide(self, name: str) -> str:
        return "*"


class Left(BaseModel):
    """Leaves a field out when it is written."""

    name: str = Field(default="", exclude=True)


class Finished(BaseModel):
    """Does something when it is read."""

    name: str

    def model_post_init(self, context: Any, /) -> None:
        self.name = "x"


class Dug(Plant):
    """A subclass: never written as its base."""

    depth: int = 0


TEXTS = st.text(max_size=5) | st.sampled_from(["", "\0", "null", "-0.0", "\ud800", "é", '"'])
NUMBERS = st.integers() | st.sampled_from([2**63 - 1, 2**63, -(2**63), -(2**63) - 1])
FLOATS = st.floats() | st.sampled_from([-0.0, 0.0, 1e308, 5e-324, 0.1])
ANYTHING = TEXTS | NUMBERS | FLOATS | st.booleans() | st.none() | st.builds(Pot, size=st.integers())


def unchecked(values: dict[str, Any]) -> Plant:
    """A model that may hold anything, in any order."""
    plant = Plant.model_construct()
    object.__setattr__(plant, "__dict__", dict(values))
    return plant


PLANTS = st.builds(
    Plant,
    name=TEXTS,
    healthiness=FLOATS,
    tasty=st.booleans(),
    age=st.none() | NUMBERS,
    pot=st.none() | st.builds(Pot, size=NUMBERS, label=st.none() | TEXTS),
)
WRONG = st.dictionaries(st.sampled_from([*Plant.model_fields, "other"]), ANYTHING).map(unchecked)


FLAT = st.lists(ANYTHING, max_size=3) | st.lists(NUMBERS, max_size=3) | st.lists(FLOATS, max_size=3)
PAIRS = st.dictionaries(TEXTS | NUMBERS, NUMBERS | st.lists(NUMBERS, max_size=2), max_size=3)


class Shelf(BaseModel):
    """Lists and dicts of plain values, in a model."""

    sizes: list[int] = []
    weights: dict[str, float] = {}
    plants: dict[str, list[Pot | None]] = {}


def shelved(values: dict[str, Any]) -> Shelf:
    """A shelf that may hold anything."""
    shelf = Shelf.model_construct()
    object.__setattr__(shelf, "__dict__", {**shelf.__dict__, **values})
    return shelf


POTS = st.dictionaries(TEXTS, st.lists(st.none() | st.builds(Pot, size=NUMBERS), max_size=2), max_size=2)
SHELVES = st.fixed_dictionaries(
    {}, optional={"sizes": FLAT | ANYTHING, "weights": PAIRS | st.dictionaries(TEXTS, FLOATS), "plants": POTS | PAIRS}
).map(shelved)


def outcome(codec: ValueCodec[Any], value: object) -> object:
    """The bytes, or the words of the refusal."""
    try:
        return codec.encode(value)
    except EncodeError as error:
        return str(error)


def codecs(make: Callable[[object], JsonCodec[Any]], form: object) -> tuple[JsonCodec[Any], JsonCodec[Any]]:
    """A codec, and the same without the short way."""
    short, long = make(form), make(form)
    for codec in (short, long):
        codec.check()
    assert short.is_plain is not None
    long.is_plain = None
    return short, long


def canonical(form: object) -> JsonCodec[Any]:
    """The codec of keys and members."""
    return CanonicalCodec(form, best_effort=False)


@pytest.mark.rows(6)
@pytest.mark.parametrize("make", [JsonCodec, canonical])
@pytest.mark.parametrize(
    ("form", "values"),
    [
        (Plant, PLANTS | WRONG | st.builds(Dug, name=TEXTS, healthiness=FLOATS) | ANYTHING),
        (Pot, st.builds(Pot, size=NUMBERS, label=st.none() | TEXTS) | ANYTHING),
        (int, ANYTHING),
        (float, ANYTHING),
        (bool, ANYTHING),
        (int | None, ANYTHING),
        (list[int], FLAT | ANYTHING),
        (list[float], FLAT | ANYTHING),
        (list[str | None], FLAT | st.lists(TEXTS)),
        (list[Plant], st.lists(PLANTS | WRONG, max_size=2)),
    ],
)
def test_the_short_way_writes_what_the_long_way_writes(
    make: Callable[[object], JsonCodec[Any]], form: object, values: st.SearchStrategy[object]
) -> None:
    """Whatever is given, right or wrong, the bytes or the refusal are the same with and without the short way."""
    short, long = codecs(make, form)

    @settings(max_examples=60)
    @given(values)
    def same(value: object) -> None:
        assert outcome(short, value) == outcome(long, value)

    same()


@pytest.mark.rows(2)
@pytest.mark.parametrize("form", [dict[str, int], dict[str, list[int]], Shelf, list[Shelf], Shelf | None])
def test_dicts_are_plain_where_their_order_is_their_own(form: object) -> None:
    """Values with dicts go the short way as values and in lists; where equal values are equal bytes they never do."""
    assert plain_check(adapter_for(form).core_schema, ordered=True, normal=True) is None
    short, long = codecs(JsonCodec, form)

    @settings(max_examples=40)
    @given(PAIRS | SHELVES | st.lists(SHELVES, max_size=2))
    def same(value: object) -> None:
        assert outcome(short, value) == outcome(long, value)

    same()


@given(PLANTS)
def test_most_plants_are_plain(plant: Plant) -> None:
    """A model that holds what it declares is plain, unless a number in it has no exact JSON."""
    check = plain_check(adapter_for(Plant).core_schema)

    assert check is not None
    numbers = [plant.age or 0, plant.pot.size if plant.pot else 0]
    assert check(plant) == (math.isfinite(plant.healthiness) and all(-(2**63) <= n < 2**63 for n in numbers))


@pytest.mark.parametrize("form", [Named, Short, Lowered, Open, Counted, Checked, Hidden, Left, Finished, str, bytes])
def test_types_with_rules_of_their_own_go_the_long_way(form: object) -> None:
    """An alias, a constraint, a validator, a serializer, a configuration: nothing is taken for granted."""
    schema = adapter_for(form).core_schema
    check = plain_check(schema)

    assert check is None or form is str


def test_a_changed_model_is_looked_at_again() -> None:
    """What was plain and is changed in place is refused as before, naming the field."""
    codec = JsonCodec[Any](Plant)
    plant = Plant(name="a", healthiness=1.0)
    assert codec.encode(plant) == b'{"name":"a","healthiness":1.0,"tasty":true,"age":null,"pot":null}'

    plant.name = 3  # type: ignore[assignment] # pyright: ignore[reportAttributeAccessIssue]

    with pytest.raises(EncodeError, match="name"):
        codec.encode(plant)
