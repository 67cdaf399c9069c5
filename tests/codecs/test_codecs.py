"""Codecs: every kind of type comes back, whatever else is stored is a DecodeError, and types are checked."""

from __future__ import annotations

import contextlib
import math
import threading
from collections import Counter, OrderedDict, deque
from collections.abc import Mapping, Sequence
from datetime import UTC, date, datetime, time, timedelta
from decimal import Decimal
from fractions import Fraction
from ipaddress import IPv4Address
from pathlib import PurePosixPath
from typing import Annotated, Any, Literal, cast
from uuid import UUID

import pytest
from annotated_types import Ge, Gt, MinLen
from hypothesis import given, settings
from hypothesis import strategies as st
from pydantic import (
    BaseModel,
    Field,
    HttpUrl,
    Json,
    SecretStr,
    model_validator,
)
from pydantic.types import Base64Bytes

from purse.codecs import codec_for
from purse.codecs._binding import canonical_codec_for
from purse.errors import DeclarationError, DecodeError, EncodeError
from tests.support.values import (
    BERLIN,
    FANCY,
    PLANT,
    Aliased,
    Alien,
    Bare,
    Bed,
    Blob,
    Box,
    Cat,
    Colour,
    Dog,
    FancyPlant,
    Frozen,
    Level,
    Movie,
    Names,
    Node,
    Noted,
    Numbers,
    Open,
    Pair,
    Plant,
    PlantId,
    Point,
    Revealed,
    Short,
    Shout,
    T,
    Trimmed,
    Wide,
    codec_of,
)

quick = settings(max_examples=60, deadline=None)


# --- what comes back ----------------------------------------------------------------------------

ROUND_TRIPS: list[tuple[object, object]] = [
    (str, ""),
    (str, "spinach \N{LEAF FLUTTERING IN WIND} \x00\n"),
    (bytes, b"\x00\xff"),
    (PlantId, "p1"),
    (Blob, b"\xff"),
    (Short, "abc"),
    (Annotated[str, "a note"], "x"),
    (Annotated[bytes, MinLen(1)], b"\xff"),
    (Base64Bytes, b"hello"),
    (int, 0),
    (int, -(10**400)),
    (float, 9.8),
    (float, math.inf),
    (float, 7),
    (bool, False),
    (None, None),
    (type(None), None),
    (int | None, None),
    (int | None, 5),
    (str | None, "x"),
    (str | None, None),
    (bytes | None, b"\xff"),
    (int | str, "1"),
    (int | str, 1),
    (Annotated[int, Gt(0)], 1),
    (Literal["a", 1, True], True),
    (Literal["a", 1, True], 1),
    (Colour, Colour.BLUE),
    (Level, Level.LOW),
    (Shout, Shout.HEY),
    (Decimal, Decimal("1.10")),
    (Decimal, Decimal("1E+400")),
    (Fraction, Fraction(1, 3)),
    (UUID, UUID(int=7)),
    (date, date(2024, 2, 29)),
    (time, time(23, 59, 59, 999999)),
    (timedelta, timedelta(days=-1, microseconds=3)),
    (datetime, datetime(2024, 1, 1, 12)),  # noqa: DTZ001 - naive on purpose
    (datetime, datetime(2024, 1, 1, 12, tzinfo=UTC)),
    (datetime, datetime(2024, 7, 1, 12, tzinfo=BERLIN)),
    (datetime, datetime(2024, 10, 27, 2, 30, fold=1, tzinfo=BERLIN)),
    (IPv4Address, IPv4Address("10.0.0.1")),
    (PurePosixPath, PurePosixPath("a/b")),
    (HttpUrl, HttpUrl("https://example.org/x")),
    (list[int], []),
    (list[Plant], [PLANT]),
    (tuple[int, ...], (1, 2)),
    (tuple[str, Plant], ("x", PLANT)),
    (set[int], {3, 1, 2}),
    (frozenset[str], frozenset({"b", "a"})),
    (deque[int], deque([1, 2])),
    (dict[str, float], {"b": math.inf, "a": -math.inf}),
    (dict[int, bytes], {1: b"\xff"}),
    (dict[str, Any], {"a": [1, 2.5, None, {"b": True}]}),
    (dict, {"a": 1, "b": [None]}),
    (Counter[str], Counter("abca")),
    (OrderedDict[str, int], OrderedDict(b=1, a=2)),
    (Sequence[int], [1]),
    (Mapping[str, int], {"a": 1}),
    (Movie, {"title": "Alien"}),
    (Movie, {"year": 1979, "title": "Alien"}),
    (Point, Point(1, 2.5, ["a"])),
    (Bare, Bare(1)),
    (Pair, Pair(1, PLANT)),
    (Numbers, [1, [2, [3]]]),
    (Plant, PLANT),
    (Plant, Plant.model_construct(name="x", healthiness=3, tasty=True)),
    (FancyPlant, FANCY),
    (Plant | FancyPlant, FANCY),
    (Plant | None, None),
    (Aliased, Aliased.model_validate({"commonName": "x", "or": 3})),
    (Bed, Bed(plants=[PLANT], by_row={1: Aliased.model_validate({"commonName": "x"})})),
    (Frozen, Frozen(at=datetime(2024, 1, 1, tzinfo=BERLIN), tags=frozenset({"b", "a"}))),
    (Trimmed, Trimmed(name="  x ")),
    (Box[int], Box[int](content=10**30)),
    (Box[list[Plant]], Box[list[Plant]](content=[PLANT])),
    (Names, Names(["a"])),
    (Open, Open.model_validate({"name": "x", "more": [1, {"a": None}]})),
    (Wide, Wide(x=-math.inf, raw=b"\xff")),
    (Annotated[Cat | Dog, Field(discriminator="kind")], Dog()),
    (list[Cat | Dog], [Dog(), Cat(lives=3)]),
    (Node, Node(value=1, next=Node(value=2))),
    (Revealed, Revealed(token=SecretStr("s3"))),
    (Json[list[int]], [1, 2]),
]


def comparable(value: object) -> object:
    """``value``, or what ``==`` can compare of it."""
    if isinstance(value, Bare):
        return value.x
    return value.astimezone(UTC) if isinstance(value, datetime) and value.tzinfo else value


def named(part: object) -> str:
    """A part of a test's name, the same in every process: a set is shown as it is sorted."""
    return repr(sorted(cast("frozenset[str]", part)) if isinstance(part, frozenset) else part)[:40]


@pytest.mark.parametrize(("form", "value"), ROUND_TRIPS, ids=named)
def test_what_is_written_comes_back(form: object, value: object) -> None:
    """Every kind of type comes back equal from the default codec and from the canonical one."""
    for codec in (codec_of(form), canonical_codec_for(cast("type[object]", form), best_effort=True)):
        back = codec.decode(codec.encode(value))

        assert comparable(back) == comparable(value)
        assert type(back) is (float if form is float else type(value))


def test_nan_comes_back_as_nan() -> None:
    """nan, which is not equal to itself, is stored wherever it comes back as nan."""
    assert math.isnan(codec_for(float).decode(codec_for(float).encode(math.nan)))
    points = codec_for(list[Point])
    assert math.isnan(points.decode(points.encode([Point(1, math.nan)]))[0].y)
    wide = codec_for(Wide)
    assert math.isnan(wide.decode(wide.encode(Wide(x=math.nan))).x)


@pytest.mark.parametrize(
    ("form", "value", "raw"),
    [
        (str, "spinach", b"spinach"),
        (PlantId, "p", b"p"),
        (Short, "abc", b"abc"),
        (bytes, b"\xff", b"\xff"),
        (str | None, "spinach", b'"spinach"'),
        (int, 3, b"3"),
        (float, 3, b"3.0"),
        (bool, True, b"true"),
        (Plant, PLANT, b'{"name":"spinach","healthiness":9.8,"tasty":true}'),
        (Aliased, Aliased.model_validate({"commonName": "x"}), b'{"common_name":"x","either":0}'),
        (Bed, Bed(plants=[]), b'{"plants":[],"by_row":{}}'),
        (bytes | None, b"\xff", b'"_w=="'),
    ],
)
def test_what_is_stored(form: object, value: object, raw: bytes) -> None:
    """str and bytes are raw, everything else is JSON by field name, without what is computed."""
    assert codec_of(form).encode(value) == raw


def test_models_are_read_by_name_and_alias() -> None:
    """Models, nested ones too, are read by field name and by alias, whatever their config says."""
    codec = codec_for(dict[str, Aliased])
    assert codec.decode(b'{"a":{"commonName":"x","or":1}}') == codec.decode(b'{"a":{"common_name":"x","either":1}}')


def test_what_is_not_stored_does_not_count() -> None:
    """Private attributes and cached values do not come back, and are no reason to refuse."""
    noted = Noted(name="x")
    noted._touched = 5  # pyright: ignore[reportPrivateUsage]
    assert noted.initial == "x"

    assert codec_for(Noted).encode(noted) == b'{"name":"x"}'
    assert codec_for(list[Noted]).encode([noted]) == b'[{"name":"x"}]'


# --- what cannot be read ------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("form", "raw", "reason"),
    [
        (str, b"\xff", "does not hold a valid str: the bytes are not UTF-8: declare bytes to keep them."),
        (Short, b"\xff", "does not hold a valid str: the bytes are not UTF-8: declare bytes to keep them."),
        (Short, b"spinach", "does not hold a valid Short: String should have at most 3 characters."),
        (int, b"", "does not hold a valid int: Invalid JSON: EOF while parsing a value at line 1 column 0."),
        (
            int,
            b"1.5",
            "does not hold a valid int: Input should be a valid integer, got a number with a fractional part.",
        ),
        (Plant, b'{"name":3}', "does not hold a valid Plant: name: Input should be a valid string."),
        (list[Plant], b"[3]", "does not hold a valid list[Plant]: 0: Input should be an object."),
        (Plant | None, b"\x80\x04", "does not hold a valid Plant | None: Invalid JSON"),
        (Annotated[int, Ge(3)], b"2", "does not hold a valid int: Input should be greater than or equal to 3."),
        (Numbers, b"[" * 5000, "does not hold a valid Numbers: "),
    ],
)
def test_unreadable_bytes_say_why(form: object, raw: bytes, reason: str) -> None:
    """Bytes that are no value raise DecodeError with the first reason, the bytes and pydantic's error."""
    with pytest.raises(DecodeError) as caught:
        codec_of(form).decode(raw)
    assert str(caught.value).startswith(reason)
    assert caught.value.raw == raw
    assert caught.value.__cause__ is not None


class Fussy(BaseModel):
    x: int

    @model_validator(mode="after")
    def fuss(self) -> Fussy:
        raise KeyError(self.x)


def test_validators_may_raise_anything() -> None:
    """What a validator raises, whatever it is, becomes a DecodeError."""
    with pytest.raises(DecodeError, match="does not hold a valid Fussy: KeyError: 1"):
        codec_for(Fussy).decode(b'{"x":1}')


@quick
@given(
    raw=st.binary(max_size=40) | st.text(max_size=40).map(str.encode) | st.from_regex(rb"[\[\]{}\",:0-9eE.tfn-]{0,30}")
)
def test_any_bytes_decode_or_are_refused(raw: bytes) -> None:
    """For arbitrary bytes a codec returns a value or raises DecodeError, nothing else."""
    for form, _ in ROUND_TRIPS:
        with contextlib.suppress(DecodeError):
            codec_of(form).decode(raw)


json_like = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(st.characters()) | st.binary(max_size=5),
    lambda inner: (
        st.lists(inner, max_size=3)
        | st.dictionaries(st.text(max_size=3) | st.integers(), inner, max_size=3)
        | st.tuples(inner)
    ),
    max_leaves=6,
)


def equal(one: object, other: object) -> bool:
    """``==``, except that nan is nan at any depth."""
    if isinstance(one, float) and isinstance(other, float) and math.isnan(one):
        return math.isnan(other)
    if isinstance(one, dict) and isinstance(other, dict):
        pairs, others = cast("tuple[dict[object, object], dict[object, object]]", (one, other))
        return pairs.keys() == others.keys() and all(equal(pairs[key], others[key]) for key in pairs)
    if isinstance(one, (list, tuple)) and isinstance(other, (list, tuple)):
        items, parts = cast("tuple[list[object], list[object]]", (one, other))
        return type(items) is type(parts) and len(items) == len(parts) and all(map(equal, items, parts))
    return one == other


@quick
@given(value=json_like)
def test_arbitrary_values_come_back_or_are_refused(value: object) -> None:
    """For arbitrary values an encode either fails with EncodeError or its bytes decode to an equal value."""
    forms = (Any, dict, list, dict[str, Any], list[int | None], int | str, float, dict[int, float], list[tuple[Any]])
    for form in (*forms, str, bytes | None, str | None, Plant, Open | None):
        canonical = canonical_codec_for(cast("type[object]", form), best_effort=True)
        for codec in (codec_of(form), canonical):
            try:
                raw = codec.encode(value)
            except EncodeError:
                continue
            assert equal(codec.decode(raw), value)
            if codec is canonical:
                assert codec.encode(codec.decode(raw)) == raw


# --- declarations -------------------------------------------------------------------------------


class Unfinished(BaseModel):
    part: Part  # type: ignore[name-defined]  # noqa: F821  # pyright: ignore[reportUndefinedVariable]


@pytest.mark.parametrize("form", [Alien, list[Alien], Alien | None, 3, Annotated[Alien, "x"]])
def test_a_type_that_cannot_be_stored(form: object) -> None:
    """A type that pydantic cannot handle is named with the fix, by ``check`` and at the latest at first use."""
    with pytest.raises(DeclarationError, match=r"(Alien|3).* cannot be stored \(.*Declare a pydantic model"):
        codec_of(form).check()
    with pytest.raises(DeclarationError, match="cannot be stored"):
        codec_of(form).encode(Alien())
    with pytest.raises(DeclarationError, match="cannot be stored"):
        codec_of(form).decode(b"")


@pytest.mark.parametrize("form", ["Plant", T])
def test_a_name_is_no_type(form: object) -> None:
    """A string or a type variable stands for a type that only the caller knows."""
    with pytest.raises(DeclarationError, match="is only the name of a type"):
        codec_of(form)


def test_a_model_may_be_completed_later() -> None:
    """A model that refers to a class not defined yet can be declared and checked, and is used once it is defined."""
    codec, canonical = codec_for(Unfinished), canonical_codec_for(Unfinished)
    codec.check()
    canonical.check()
    with pytest.raises(DeclarationError, match=r"Unfinished is not complete: 'Part' is not defined\. Define it before"):
        codec.decode(b"{}")

    class Part(BaseModel):
        x: int

    Unfinished.model_rebuild(_types_namespace={"Part": Part})

    for each in (codec, canonical):
        assert each.encode(Unfinished.model_validate({"part": {"x": 1}})) == b'{"part":{"x":1}}'


def test_codecs_are_shared_but_never_confused() -> None:
    """The same type has the same codec; types that are merely equal for Python have their own."""
    assert codec_for(Plant) is codec_for(Plant)
    assert codec_of(list[Plant]) is codec_of(list[Plant])
    assert codec_of(int | str) is not codec_of(str | int)
    assert codec_of(Literal[1]).encode(1) == b"1"
    assert codec_of(Literal[True]).encode(True) == b"true"
    assert codec_of(list[Literal[1]]).encode([1]) == b"[1]"
    assert codec_of(list[Literal[True]]).encode([True]) == b"[true]"
    unhashable = Annotated[int, ["a", "list"]]
    assert codec_of(unhashable).encode(1) == b"1"


def test_threads_may_share_a_codec() -> None:
    """First use by many threads at once completes the codec for all of them."""

    class Local(BaseModel):
        x: int

    codec = codec_for(Local)
    done: list[bytes] = []
    threads = [threading.Thread(target=lambda: done.append(codec.encode(Local(x=1)))) for _ in range(16)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()

    assert done == [b'{"x":1}'] * 16
