"""Values of every kind of type that can be declared, for the tests of the codecs."""

from __future__ import annotations

from dataclasses import dataclass, field
from datetime import datetime
from enum import Enum, IntEnum, StrEnum
from functools import cached_property
from typing import Annotated, Generic, Literal, NamedTuple, NewType, NotRequired, TypeVar, cast
from zoneinfo import ZoneInfo

from pydantic import (
    AliasChoices,
    BaseModel,
    ConfigDict,
    Field,
    PrivateAttr,
    RootModel,
    SecretStr,
    StringConstraints,
    computed_field,
    field_serializer,
    field_validator,
)
from typing_extensions import TypeAliasType, TypedDict

from purse.codecs import codec_for
from purse.codecs._value_codecs import ValueCodec

T = TypeVar("T")


class Plant(BaseModel):
    name: str
    healthiness: float
    tasty: bool = True


class FancyPlant(Plant):
    colour: str = "red"


class Aliased(BaseModel):
    common_name: str = Field(alias="commonName")
    either: int = Field(default=0, validation_alias=AliasChoices("either", "or"), serialization_alias="x")


class Bed(BaseModel):
    model_config = ConfigDict(extra="forbid")

    plants: list[Plant]
    by_row: dict[int, Aliased] = {}

    @computed_field
    def size(self) -> int:
        return len(self.plants)


class Frozen(BaseModel):
    model_config = ConfigDict(frozen=True)

    at: datetime
    tags: frozenset[str] = frozenset()


class Noted(BaseModel):
    name: str
    _touched: int = PrivateAttr(default=0)

    @cached_property
    def initial(self) -> str:
        return self.name[0]


class Trimmed(BaseModel):
    name: str

    @field_validator("name")
    @classmethod
    def trim(cls, name: str) -> str:
        return name.strip()


class Box(BaseModel, Generic[T]):
    content: T


class Names(RootModel[list[str]]):
    pass


class Open(BaseModel):
    model_config = ConfigDict(extra="allow")

    name: str


class Wide(BaseModel):
    model_config = ConfigDict(ser_json_inf_nan="constants", ser_json_bytes="base64", val_json_bytes="base64")

    x: float = 0.0
    raw: bytes = b""


class Cat(BaseModel):
    kind: Literal["cat"] = "cat"
    lives: int = 9


class Dog(BaseModel):
    kind: Literal["dog"] = "dog"
    lives: int = 1


class Node(BaseModel):
    value: int
    next: Node | None = None


class Vault(BaseModel):
    secrets: list[Login] = []


class Login(BaseModel):
    token: SecretStr


class Revealed(BaseModel):
    token: SecretStr

    @field_serializer("token", when_used="json")
    def reveal(self, token: SecretStr) -> str:
        return token.get_secret_value()


@dataclass
class Point:
    x: int
    y: float = 0.0
    tags: list[str] = field(default_factory=list[str])


@dataclass(eq=False, slots=True)
class Bare:
    x: int


class Movie(TypedDict):
    title: str
    year: NotRequired[int]


class Pair(NamedTuple):
    left: int
    right: Plant | None = None


class Colour(Enum):
    RED = "red"
    BLUE = 2


class Level(IntEnum):
    LOW = 1


class Shout(StrEnum):
    HEY = "hey"


PlantId = NewType("PlantId", str)
Blob = NewType("Blob", bytes)
Numbers = TypeAliasType("Numbers", "list[int | Numbers]")
Short = TypeAliasType("Short", Annotated[str, StringConstraints(max_length=3)])

BERLIN = ZoneInfo("Europe/Berlin")
PLANT = Plant(name="spinach", healthiness=9.8)
FANCY = FancyPlant(name="rose", healthiness=1)


def codec_of(form: object) -> ValueCodec[object]:
    """``codec_for`` a form that the checkers are not to look into."""
    return codec_for(cast("type[object]", form))


class Alien:
    """A class that pydantic knows nothing of."""


def mutated(**changes: object) -> Plant:
    """A plant that was changed after it was validated."""
    plant = PLANT.model_copy()
    for name, value in changes.items():
        setattr(plant, name, value)
    return plant
