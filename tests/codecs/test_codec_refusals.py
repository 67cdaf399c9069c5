"""What would not come back is refused before it is sent, and says why; on request without showing data."""

from __future__ import annotations

import math
import operator
import pickle
from collections import defaultdict
from collections.abc import Iterator, Sequence
from typing import Annotated, Any, Literal, cast

import pytest
from annotated_types import Gt
from pydantic import (
    AfterValidator,
    BaseModel,
    Field,
    SecretStr,
    StringConstraints,
    field_serializer,
)

from purse import codecs
from purse.codecs import codec_for, hide_values
from purse.codecs._shown import shown
from purse.errors import DecodeError, EncodeError
from tests.support.values import (
    FANCY,
    PLANT,
    Bed,
    Box,
    Cat,
    Dog,
    FancyPlant,
    Level,
    Login,
    Movie,
    Plant,
    Short,
    Shout,
    Vault,
    codec_of,
    mutated,
)


def refusal(form: object, value: object) -> str:
    """The reason for which ``value`` cannot be stored as ``form``."""
    with pytest.raises(EncodeError) as caught:
        codec_of(form).encode(value)
    assert caught.value.key is None
    return str(caught.value)


def cyclic() -> list[object]:
    """A list that contains itself."""
    items: list[object] = []
    items.append(items)
    return items


class Lossy(BaseModel):
    shown: int = 0
    hidden: int = Field(default=0, exclude=True)


class Demanding(BaseModel):
    hidden: int = Field(exclude=True)


class Rounded(BaseModel):
    x: float

    @field_serializer("x")
    def round(self, x: float) -> str:
        return f"{x:.0f} or so" if x > 9 else f"{x:.0f}"


class Exploding(BaseModel):
    x: int

    @field_serializer("x")
    def explode(self, x: int) -> int:
        raise RuntimeError(f"no {x}")


class Moody(BaseModel):
    x: float

    def __eq__(self, other: object) -> bool:
        raise ArithmeticError("no comparison today")

    __hash__ = None  # type: ignore[assignment]


REFUSALS: list[tuple[object, object, str]] = [
    (str, b"x", "expected str, got bytes."),
    (str, Shout.HEY, "Shout is a subclass of str and would come back as a str: pass a str."),
    (str, None, "expected str, got None: declare str | None."),
    (str, "\udc80", "a str in it has a lone surrogate, and UTF-8 cannot store one: replace it, or declare bytes."),
    (bytes, bytearray(b"x"), "expected bytes, got bytearray."),
    (Short, "spinach", "it is not a valid Short: String should have at most 3 characters."),
    (Annotated[str, StringConstraints(to_lower=True)], "Ab", "'Ab' would come back as 'ab'"),
    (Annotated[str, AfterValidator(operator.itemgetter(9))], "Ab", "IndexError"),
    (int, True, "expected int, got bool."),
    (int, "1", "expected int, got str."),
    (int, 1.0, "expected int, got float."),
    (int, Level.LOW, "Level is a subclass of int and would come back as an int: pass an int."),
    (float, True, "expected float, got bool."),
    (float, 2**53 + 1, "9007199254740993 would come back as 9007199254740992.0"),
    (bool, 1, "expected bool, got int."),
    (int | None, True, "expected int | None, got bool."),
    (int | str, None, "expected int | str, got None: declare int | str | None."),
    (Annotated[int, Gt(0)], -1, "it is not a valid int: Input should be greater than 0."),
    (Literal["a"], "b", "expected Literal['a'], got str."),
    (list[int], (1,), "expected list[int], got tuple."),
    (list[int], ["x"], "it is not a valid list[int]: at 0: Input should be a valid integer"),
    (Sequence[int], (1,), "(1,) would come back as [1]"),
    (dict[str, int], defaultdict(int, a=1), "defaultdict is a subclass of dict and would come back as a dict"),
    (dict[str, Any], {"a": (1, 2)}, "at ['a']: (1, 2) would come back as [1, 2]"),
    (dict[str, Any], {1: "a"}, "at [1]: 'a' would come back as nothing"),
    (dict, {"a": object()}, "dict cannot be written as JSON: PydanticSerializationError: Unable to serialize unknown"),
    (list, cyclic(), "it contains itself, and JSON cannot store a cycle: break it."),
    (set[str], {"\udc80"}, "lone surrogate"),
    (Movie, {"title": "x", "actor": "y"}, "at ['actor']: 'y' would come back as nothing"),
    (Movie, {}, "it is not a valid Movie: at title: Field required."),
    (Plant, {"name": "x"}, "expected Plant, got dict."),
    (Plant, object(), "expected Plant, got object."),
    (Plant, None, "expected Plant, got None: declare Plant | None."),
    (
        Plant,
        FANCY,
        "FancyPlant is a subclass of Plant and its own fields would be lost: declare Plant | FancyPlant.",
    ),
    (Plant | None, FANCY, "FancyPlant is a subclass of Plant and its own fields would be lost: declare Plant | None |"),
    (list[Plant], [PLANT, FANCY], "at [1]: FancyPlant is a subclass of Plant and its own fields would be lost"),
    (
        Plant,
        mutated(name=3),
        "field 'name': Input should be a valid string (the model was changed after validation).",
    ),
    (Plant, mutated(healthiness="9.8"), "at healthiness: '9.8' would come back as 9.8"),
    (Plant, mutated(healthiness=math.nan), "'healthiness': nan is not a JSON number: set model_config = ConfigDict("),
    (Plant, Plant.model_construct(name="x"), "healthiness': Field required (the model was built without validation)."),
    (Bed, Bed.model_construct(plants=[mutated(name=3)]), "field 'plants.0.name': Input should be a valid string (the"),
    (Box[float | None], Box[float | None](content=math.inf), "at content: inf is not a JSON number: set model_config"),
    (
        Box[bytes],
        Box[bytes](content=b"\xff"),
        'a bytes value in it is not UTF-8, and JSON must be: set model_config = ConfigDict(ser_json_bytes="base64"',
    ),
    (Lossy, Lossy(hidden=1), "at hidden: the field is excluded from JSON and would be lost"),
    (Demanding, Demanding(hidden=1), "field 'hidden' is excluded from JSON but required to read it"),
    (
        Vault,
        Vault(secrets=[Login(token=SecretStr("hunter2"))]),
        'at secrets[0].token: SecretStr is masked in JSON: declare a serializer, @field_serializer("token", when_used=',
    ),
    (
        Rounded,
        Rounded(x=1.5),
        "at x: 1.5 would come back as 2.0: store the value that would come back, or make the type's",
    ),
    (Rounded, Rounded(x=10), "unable to parse string as a number, so it could not be read back: store the value"),
    (Exploding, Exploding(x=1), "RuntimeError: no 1: declare a serializer, or pass codec=."),
    (Moody, Moody.model_construct(x="1"), "at x: '1' would come back as 1.0"),
    (Cat | Plant, Dog(), "expected Cat | Plant, got Dog."),
    (Box[Plant | FancyPlant], Box[Plant](content=PLANT), "expected Box[Union[Plant, FancyPlant]], got Box[Plant]."),
    (Any, (1,), "(1,) would come back as [1]"),
]


@pytest.mark.parametrize(("form", "value", "reason"), REFUSALS, ids=[r[2][:40] for r in REFUSALS])
def test_a_refusal_says_why(form: object, value: object, reason: str) -> None:
    """What would not come back is refused with a sentence that names the fix."""
    message = refusal(form, value)

    assert reason in message
    assert message.endswith(".")
    assert "hunter2" not in message


def test_an_unequal_that_is_the_same_is_stored() -> None:
    """A model whose ``__eq__`` raises is compared by its fields."""
    assert codec_for(Moody).encode(Moody(x=1.5)) == b'{"x":1.5}'


def test_reprs_in_reasons_are_short() -> None:
    """A reason quotes at most 80 characters of a value."""
    message = refusal(Box[str], Box[str].model_construct(content=cast("str", ["x" * 5000])))

    assert len(message) < 500


def test_a_broken_repr_is_not_in_the_way() -> None:
    """A value whose ``__repr__`` raises is refused like every other."""

    class Mute:
        def __repr__(self) -> str:
            raise RuntimeError

        def __eq__(self, other: object) -> bool:
            raise RuntimeError

        __hash__ = object.__hash__

    assert "expected int" in refusal(int, Mute())
    assert "unknown type" in refusal(dict, {"a": Mute()})


def test_an_encode_error_shows_its_cause() -> None:
    """Pydantic's own error, where there is one, is the cause."""
    with pytest.raises(EncodeError) as caught:
        codec_for(Plant).encode(mutated(healthiness="bad"))
    assert "1 validation error for Plant" in str(caught.value.__cause__)
    assert pickle.loads(pickle.dumps(caught.value)).args == caught.value.args


@pytest.fixture
def hidden() -> Iterator[None]:
    hide_values()
    yield
    hide_values(False)


# --- hiding values ------------------------------------------------------------------------------


def test_shown_bytes_are_cut() -> None:
    """Stored bytes in a message are a repr of at most 200 of them."""
    assert shown(b"\xff") == r"b'\xff'"
    assert shown(b"x" * 201) == f"b'{'x' * 200}'... (201 bytes)"


def talkative(value: str) -> str:
    if "hunter" in value:
        raise ValueError(f"{value} again")
    return value


class Talker(BaseModel):
    said: Annotated[str, AfterValidator(talkative)] = ""
    by: dict[str, int] = {}
    pet: Annotated[Cat | Dog, Field(discriminator="kind")] | None = None


@pytest.mark.usefixtures("hidden")
@pytest.mark.parametrize(
    ("form", "raw", "reason"),
    [
        (Talker, b'{"said":"hunter2"}', "does not hold a valid Talker: said: value_error."),
        (Talker, b'{"by":{"hunter2":"x"}}', "does not hold a valid Talker: by: int_parsing."),
        (Talker, b'{"pet":{"kind":"hunter2"}}', "does not hold a valid Talker: pet: union_tag_invalid."),
        (dict[str, int], b'{"hunter2":"x"}', "does not hold a valid dict[str, int]: int_parsing."),
        (Literal["a"], b'"hunter2"', "does not hold a valid Literal['a']: literal_error."),
        (str, b"hunter2\xff", "does not hold a valid str: the bytes are not UTF-8: declare bytes to keep them."),
    ],
)
def test_hidden_values_are_not_in_decode_errors(form: object, raw: bytes, reason: str) -> None:
    """After ``hide_values()`` neither message nor causes of a DecodeError hold data; ``raw`` still does."""
    with pytest.raises(DecodeError) as caught:
        codec_of(form).decode(raw)
    assert str(caught.value) == reason
    assert caught.value.raw == raw
    assert caught.value.__cause__ is None
    assert caught.value.__context__ is None
    assert shown(raw) == "<hidden>"


@pytest.mark.usefixtures("hidden")
@pytest.mark.parametrize(
    ("form", "value"),
    [
        (int, "hunter2"),
        (str, "hunter2\udc80"),
        (Talker, Talker.model_construct(said="hunter2")),
        (Talker, Talker.model_construct(by={"hunter2": cast("int", "x")})),
        (dict, {"hunter2": ("hunter2",)}),
        (dict, {"hunter2": object()}),
        (dict[str, Any], {"a": "hunter2\udc80"}),
        (list[int], ["hunter2"]),
        (Literal["a"], "hunter2"),
        (Short, "hunter2"),
        (Plant, mutated(healthiness="hunter2")),
    ],
)
def test_hidden_values_are_not_in_encode_errors(form: object, value: object) -> None:
    """After ``hide_values()`` neither message nor causes of an EncodeError hold data."""
    with pytest.raises(EncodeError) as caught:
        codec_of(form).encode(value)
    assert "hunter" not in str(caught.value)
    assert caught.value.__cause__ is None
    assert caught.value.__context__ is None


def test_values_can_be_shown_again() -> None:
    """``hide_values(False)`` undoes ``hide_values()``."""
    codecs.hide_values()
    codecs.hide_values(False)
    assert shown(b"x") == "b'x'"
