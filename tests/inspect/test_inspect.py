"""purse.inspect: fields and schema, what a class declares."""

from __future__ import annotations

import json
import re
from collections.abc import Callable
from dataclasses import dataclass
from decimal import Decimal
from math import inf, isnan, nan
from types import new_class
from typing import Annotated, Generic, NewType, TypeVar, cast

import pytest
from pydantic import BaseModel, ConfigDict, Field, PlainSerializer, computed_field
from redis.asyncio import Redis
from typing_extensions import TypedDict, TypeForm

from purse import (
    TTL,
    Codec,
    DeclarationError,
    RedisHash,
    Store,
    codec_for,
)
from purse._declaration.isolation import isolate
from purse.inspect import (
    FieldSchema,
    FieldSpec,
    StoreSchema,
    fields,
    schema,
)
from tests.support.inspected import DAY, GARDEN, GARDEN_FIELDS, TEXT, Garden, Mixin, Plant, UserStore
from tests.support.scripts import ROOT, run

T = TypeVar("T")


def test_a_schema_has_all_that_decides_about_stored_data() -> None:
    """For each field, in the order of declaration and through nested stores."""
    assert schema(Garden) == GARDEN
    assert list(schema(Garden)["fields"]) == list(fields(Garden))


def test_a_schema_is_plain_data() -> None:
    """``json.dumps`` takes it, and it comes back equal; each call makes it anew."""
    first = schema(Garden)

    assert json.loads(json.dumps(first, allow_nan=False)) == first
    first["fields"].clear()
    assert schema(Garden) == GARDEN


async def test_a_store_has_the_schema_of_its_class(redis: Redis) -> None:
    """Whatever it is bound to."""
    isolate(redis, "t1")

    assert schema(UserStore(redis, user_id=1, part="a")) == schema(UserStore)


def test_a_schema_shows_templates_and_parameters() -> None:
    """Keys have the placeholders of the namespace, whose types are listed."""
    found = schema(UserStore)

    assert found["namespace"] == "inspected-user:{user_id}:{part}"
    assert found["parameters"] == {"user_id": "int", "part": "str"}
    assert {name: spec["key"] for name, spec in found["fields"].items()} == {
        "prefs": "{inspected-user:{user_id}:{part}}:prefs",
        "shelf.lines": "{inspected-user:{user_id}:{part}}:shelf:lines",
    }


M = TypeVar("M", bound=BaseModel)


class Repo(Store, Generic[M], ttl=TTL(days=1)):
    """Generic."""

    items: RedisHash[M]


class Plants(Repo[Plant], namespace="inspected-plants"):
    """Of plants."""


def test_what_is_inherited_is_in_the_schema() -> None:
    """With the types that the class gives to the variables of a generic one."""
    expected = GARDEN_FIELDS["plants"] | {"key": "{inspected-plants}:items", "ttl": DAY}

    assert schema(Plants)["fields"] == {"items": expected}
    with pytest.raises(DeclarationError, match="items"):
        schema(Repo)


SETS = """
import json
from pydantic import BaseModel
from purse import RedisHash, Store
from purse.inspect import schema
class Bed(BaseModel):
    names: frozenset[str] = frozenset("abcdef")
    rows: list[set[str]] = [{"carrot", "leek", "spinach", "kale"}]
class Garden(Store, namespace="garden"):
    beds: RedisHash[Bed]
print(json.dumps(schema(Garden)))
"""


@pytest.mark.thorough
def test_a_schema_is_the_same_text_in_every_process(monkeypatch: pytest.MonkeyPatch) -> None:
    """Sets among the defaults of a model, too, however strings are hashed."""
    shown: set[str] = set()
    for seed in ("1", "2"):
        monkeypatch.setenv("PYTHONHASHSEED", seed)
        ended = run(["-c", SETS], cwd=ROOT)
        assert ended.err == ""
        shown.add(ended.out)

    assert len(shown) == 1
    assert '["carrot", "kale", "leek", "spinach"]' in shown.pop()


class Renamed(BaseModel):
    """Aliases, words, and what is not stored."""

    model_config = ConfigDict(title="Something else")

    title: str = Field(alias="Title", title="Said to people", examples=["a"])
    description: Annotated[int, PlainSerializer(str, return_type=str)]

    @computed_field  # type: ignore[prop-decorator]  # mypy has no decorated properties
    @property
    def twice(self) -> int:
        return 2 * self.description


@dataclass
class Point:
    """A dataclass."""

    x: int = 0


class Keyed(TypedDict):
    """A typed dict."""

    a: int


class Limits(BaseModel):
    """Defaults that are no JSON."""

    low: float = -inf
    none: float = nan
    most: Decimal = Decimal("1.50")


def schema_of(value_type: object, **options: object) -> FieldSchema:
    """The schema of a hash of this type."""
    hash_type = cast("dict[object, object]", RedisHash)[value_type]
    body: dict[str, object] = {"__annotations__": {"it": hash_type}, "__module__": __name__}
    if options:
        body["it"] = cast("Callable[..., object]", RedisHash.field)(**options)
    made = new_class("Made", (Store,), {"namespace": "inspected-made"}, lambda names: names.update(body))
    return schema(cast("type[Store]", made))["fields"]["it"]


def test_a_default_is_mentioned_and_is_no_option() -> None:
    """Whether there is one belongs to the stored format's description; what it is, or makes it, does not."""
    for options in ({"default": 0}, {"default": None}, {"default_factory": int}):
        described = schema_of(int | None, **options)

        assert described["default"] is True
        assert described["options"] == {}
    assert schema_of(int)["default"] is False


def test_a_value_schema_is_of_what_is_written() -> None:
    """By field name, as serializers write it, without computed fields and without words for people."""
    assert schema_of(Renamed)["value_schema"] == {
        "properties": {"title": {"type": "string"}, "description": {"type": "string"}},
        "required": ["title", "description"],
        "type": "object",
    }


@pytest.mark.parametrize(
    ("value_type", "codec", "properties"),
    [
        (Point, "json", {"x": {"default": 0, "type": "integer"}}),
        (Keyed, "json", {"a": {"type": "integer"}}),
    ],
)
def test_other_records_than_models_have_a_schema(value_type: object, codec: str, properties: object) -> None:
    """Dataclasses and typed dicts."""
    found = schema_of(value_type)

    assert found["codec"] == codec
    assert found["value_schema"] is not None
    assert found["value_schema"]["properties"] == properties


def test_defaults_that_json_has_no_word_for_are_strings() -> None:
    """So that a schema that was stored is equal to the one that is made."""
    value_schema = schema_of(Limits)["value_schema"]

    assert isnan(Limits().none)
    assert value_schema is not None
    assert json.loads(json.dumps(value_schema, allow_nan=False)) == value_schema
    assert re.findall(r"-Infinity|NaN", json.dumps(value_schema)) == ["-Infinity", "NaN"]


class PlantCodec:
    """A codec that a user wrote."""

    def encode(self, value: object, /) -> bytes:
        return str(value).encode()

    def decode(self, raw: bytes, /) -> object:
        return raw.decode()


def made_for(value_type: TypeForm[T], /) -> Codec[T]:
    """A function that makes a codec."""
    return cast("Codec[T]", PlantCodec())


class Opaque:
    """Something that pydantic does not know."""


Name = NewType("Name", str)


@pytest.mark.parametrize(
    ("value_type", "options", "expected"),
    [
        (str, {"codec": PlantCodec()}, ("PlantCodec", "str", TEXT)),
        (str, {"codec": made_for}, ("PlantCodec", "str", TEXT)),
        (int, {"codec": codec_for}, ("json", "int", {"type": "integer"})),
        (Opaque, {"codec": PlantCodec()}, ("PlantCodec", "Opaque", None)),
        (Name, {}, ("text", "Name", TEXT)),
        (Annotated[str, Field(max_length=3)], {}, ("text", "str", TEXT | {"maxLength": 3})),
        (
            Annotated[bytes, Field(max_length=3)],
            {},
            ("bytes", "bytes", {"format": "binary", "maxLength": 3, "type": "string"}),
        ),
    ],
)
def test_a_schema_names_the_codec(
    value_type: object, options: dict[str, object], expected: tuple[str, str, object]
) -> None:
    """The class of a codec of the user's, also of one that a function makes; what a type has by default."""
    found = schema_of(value_type, **options)

    assert (found["codec"], found["value_type"], found["value_schema"]) == expected


class Later(BaseModel):
    """Plant as it is after a change of its docstring alone."""

    name: str = Field(title="Name")
    healthiness: float = Field(default=1, ge=0)


class Stricter(BaseModel):
    """Plant with a new field."""

    name: str
    healthiness: float = Field(default=1, ge=0)
    beds: int


def test_the_test_of_the_documentation_fails_when_the_stored_format_changes() -> None:
    """A new field, another type, key or policy is seen; what is said about a model is not."""
    committed = json.loads(json.dumps(schema_of(Plant)))

    assert schema_of(Later) | {"value_type": "Plant"} == committed
    for changed in (
        schema_of(Stricter),
        schema_of(dict[str, Plant]),
        schema_of(Plant, key="other"),
        schema_of(Plant, ttl=TTL(hours=1)),
        schema_of(Plant, codec=made_for),
    ):
        assert changed | {"value_type": "Plant"} != committed


@pytest.mark.parametrize(
    ("ask", "message"), [(fields, r"fields\(\) takes a Store class or a store, not 3"), (schema, r"schema\(\) takes")]
)
def test_what_is_no_store_is_refused(ask: Callable[[type[Store]], object], message: str) -> None:
    """With a message that says what to pass."""
    for wrong in (3, int, "Garden", None):
        with pytest.raises(TypeError, match=message.replace("3", re.escape(repr(wrong)))):
            ask(cast("type[Store]", wrong))


def test_a_mixin_has_no_schema() -> None:
    """It has no keys."""
    with pytest.raises(DeclarationError, match="Mixin has no namespace, so its fields have no keys"):
        schema(Mixin)


def test_a_schema_needs_every_name() -> None:
    """An annotation that cannot be resolved is told as when the store is used."""

    class Open(Store, namespace="inspected-open"):
        plants: RedisHash[NotThere]  # type: ignore[name-defined]  # noqa: F821  # pyright: ignore

    with pytest.raises(DeclarationError, match="NotThere"):
        schema(Open)


def test_fields_are_flat() -> None:
    """Those of nested stores by their paths; the mapping cannot be changed."""
    found = fields(Garden)

    assert [*found][-1] == "home.lines"
    assert all(isinstance(spec, FieldSpec) for spec in found.values())
    with pytest.raises(TypeError):
        cast("dict[str, object]", found)["new"] = 1


def test_a_schema_is_typed() -> None:
    """What checkers see is what there is."""
    found: StoreSchema = schema(UserStore)
    spec: FieldSchema = found["fields"]["prefs"]

    assert found.keys() == StoreSchema.__annotations__.keys()
    assert spec.keys() == FieldSchema.__annotations__.keys()
