"""Plain JSON: what orjson writes and reads is what pydantic would write and read."""

from __future__ import annotations

import dataclasses
import enum
import json
import math
import uuid
from collections import Counter, OrderedDict
from collections.abc import Callable
from datetime import UTC, date, datetime
from typing import Annotated, Any, cast

import orjson
import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st
from pydantic import ConfigDict, Field, JsonValue, TypeAdapter
from pydantic_core import from_json, to_json
from redis.asyncio import Redis

from purse import DecodeError, EncodeError, RedisHash, RedisList, RedisSet
from purse.codecs import _plain_json, codec_for
from purse.codecs._adapters import adapter_for
from purse.codecs._binding import canonical_codec_for
from purse.codecs._plain_json import json_reader, json_writer

FORMS: list[Any] = [
    *(dict, list, Any, object, dict[str, Any], list[Any], JsonValue, dict[str, JsonValue], list[JsonValue]),
    *(
        dict[Any, Any],
        dict[str, object] | None,
        list[dict[str, Any]],
        dict[str, list[Any]],
        dict[str, JsonValue] | None,
    ),
    *(list[list[object] | None], Annotated[dict[str, Any], "a note"]),
]


class Colour(enum.Enum):
    RED = "red"


class Level(enum.IntEnum):
    LOW = 1


class Word(str, enum.Enum):  # noqa: UP042 - a StrEnum writes itself differently
    YES = "yes"


class Text(str):
    __slots__ = ()


class Number(int):
    pass


class Ratio(float):
    pass


class Names(dict[str, object]):
    pass


class Row(list[object]):
    pass


@dataclasses.dataclass
class Point:
    x: int = 1


OTHER_CLASSES: list[Any] = [
    *((), (1, 2), ("a",), Colour.RED, Level.LOW, Word.YES, Text("a"), Number(1), Ratio(1.5), Names(a=1), Row([1])),
    *(Point(), uuid.UUID(int=1), datetime(2024, 1, 1, tzinfo=UTC), datetime(2024, 1, 1), date(2024, 1, 1)),  # noqa: DTZ001
    *(b"bytes", bytearray(b"a"), {1}, frozenset({1}), 1j, OrderedDict(a=1), Counter("a"), orjson.Fragment(b"1"), Point),
]
OTHER_KEYS: list[Any] = [{1: "a"}, {None: 1}, {Text("a"): 1}, {(1,): 1}, {Colour.RED: 1}, {1.5: 1}, {True: 1}]
BORDERS: list[Any] = [
    *(math.nan, math.inf, -math.inf, -0.0, 1e16, 1e-7, 5e-324, 0.1 * 3, -1.5e300, "\ud800", {"\udfff": 1}),
    *(2**63, 2**64 - 1, 2**64, -(2**63), -(2**63) - 1, 10**400),
]
HOSTILE = OTHER_CLASSES + OTHER_KEYS + BORDERS

texts = st.text(st.characters(), max_size=6)  # lone surrogates among them
leaves: st.SearchStrategy[object] = st.none() | st.booleans() | st.integers(-(2**66), 2**66) | st.floats() | texts
hostile: st.SearchStrategy[object] = st.sampled_from(HOSTILE)


def within(inner: st.SearchStrategy[object]) -> st.SearchStrategy[object]:
    """Lists and dicts of such values."""
    return st.lists(inner, max_size=4) | st.dictionaries(texts, inner, max_size=4)


json_values = st.recursive(leaves, within)
values = json_values | hostile | within(hostile | leaves) | within(within(hostile | leaves))


def exactly(value: object) -> object:
    """``value`` with the class of each part, so that ``==`` tells 1 from 1.0 and True, and -0.0 from 0.0."""
    if type(value) is dict:
        return dict, [(exactly(key), exactly(part)) for key, part in cast("dict[object, object]", value).items()]
    if type(value) is list:
        return list, [exactly(part) for part in cast("list[object]", value)]
    return type(value), repr(value)


def alone(value: object) -> object:
    return value


def in_list(value: object) -> object:
    return [value]


def in_dict(value: object) -> object:
    return {"a": value}


class Pydantic:
    """The rule of writing and reading without orjson: pydantic writes it, and what it reads must be the same."""

    def __init__(self, form: Any) -> None:
        config = ConfigDict(ser_json_inf_nan="constants", ser_json_bytes="base64", val_json_bytes="base64")
        self.adapter: TypeAdapter[Any] = TypeAdapter(form, config=config)

    def encode(self, value: object) -> bytes | None:
        try:
            raw = self.adapter.dump_json(value, by_alias=False, round_trip=True, warnings=False)
            return raw if exactly(self.adapter.validate_json(raw)) == exactly(value) else None
        except Exception:
            return None

    def decode(self, raw: bytes) -> object:
        try:
            return exactly(self.adapter.validate_json(raw))
        except ValueError:
            return "refused"


ORACLES = [(form, Pydantic(form)) for form in FORMS]


def written(form: Any, value: object) -> bytes | None:
    try:
        return codec_for(form).encode(value)
    except EncodeError:
        return None


def read(form: Any, raw: bytes) -> object:
    try:
        return exactly(codec_for(form).decode(raw))
    except DecodeError:
        return "refused"


@pytest.mark.parametrize("form", FORMS, ids=str)
def test_orjson_writes_and_reads_plain_json(form: Any) -> None:
    """These types are recognised as plain JSON."""
    adapter = adapter_for(form)

    assert json_writer(adapter.core_schema) is not None
    assert json_reader(adapter.core_schema, adapter.validate_json) is not None


@pytest.mark.parametrize(
    "form",
    [dict[str, int], dict[int, Any], Annotated[dict[str, Any], Field(min_length=1)], list[Any] | dict[str, Any]],
    ids=str,
)
def test_pydantic_writes_and_reads_the_rest(form: Any) -> None:
    """A type that says more than "JSON" is pydantic's: it may convert or refuse."""
    adapter = adapter_for(form)

    assert json_writer(adapter.core_schema) is None
    assert json_reader(adapter.core_schema, adapter.validate_json) is None


@settings(max_examples=200)
@given(values)
def test_a_value_becomes_the_bytes_that_pydantic_writes(value: object) -> None:
    """Each value is stored as the bytes that pydantic alone writes, or refused where those do not come back."""
    for form, oracle in ORACLES:
        assert written(form, value) == oracle.encode(value), form


@pytest.mark.rows(20)
@pytest.mark.parametrize("value", HOSTILE, ids=lambda value: repr(value).partition(" object at ")[0])
@pytest.mark.parametrize("wrap", [alone, in_list, in_dict])
def test_what_orjson_would_write_as_something_else(wrap: Callable[[object], object], value: object) -> None:
    """What orjson takes for something else is stored, or refused, as by pydantic alone."""
    for form, oracle in ORACLES:
        for given_ in (wrap(value), [None, 1.5, wrap(value)]):
            assert written(form, given_) == oracle.encode(given_), form


@pytest.mark.parametrize("deep", [199, 200, 201, 202, 254, 255, 5000])
@pytest.mark.parametrize("wrap", [in_list, in_dict])
@pytest.mark.parametrize("core", [1, None, "a", [], {}], ids=repr)
def test_nesting(deep: int, wrap: Callable[[object], object], core: object) -> None:
    """Values are written and read down to the depth that pydantic reads."""
    value, opened, closed = core, *json.dumps(wrap(None)).encode().split(b"null")
    for _ in range(deep):
        value = wrap(value)
    raw = opened * deep + json.dumps(core).encode() + closed * deep
    readable = is_json(Pydantic(Any).adapter.validate_json, raw)

    assert is_json(codec_for(Any).encode, value) is readable
    assert is_json(codec_for(Any).decode, raw) is readable


def is_json(call: Callable[[Any], object], given: object) -> bool:
    """Whether ``call`` takes it. What it returns may be too deep to look at."""
    try:
        call(given)
    except ValueError:
        return False
    return True


def test_a_cycle_is_refused() -> None:
    """A value that contains itself is refused."""
    loop: list[object] = []
    loop += [loop, loop]

    with pytest.raises(EncodeError, match="contains itself"):
        codec_for(list[Any]).encode(loop)


NUMBERS = [
    *b"0 -0 -0.0 1.0 1e5 1E+5 1e400 -1e400 1e-400 01 +1 .5 1. - NaN Infinity -Infinity nan".split(),
    *b"9223372036854775807 9223372036854775808 18446744073709551615 18446744073709551616".split(),
    *b"-9223372036854775808 -9223372036854775809 -10000000000000000000 10000000000000000000".split(),
    *b"99999999999999999999 -9999999999999999999 12345678901234567890e-3 1.12345678901234567890".split(),
    *(b"1" * 4000, b"1" * 5000),
]
TOKENS = [
    *NUMBERS,
    *b"""[ ] { } {} , : null true false "a" "a": 1, "\\ud800" "\\ud83d\\ude00" "\\u00e9" "\\u0000" // ' " \\""".split(),
    *(b'{"a":1,"b":2,"a":3}', b'"\xc3\xa9"', b'"\xff"', b'"\xed\xa0\x80"', b'"\x01"', b"\xef\xbb\xbf", b"\xc2\xa0"),
    *(b" ", b"\n", b"\t", b"\x0b", b"\x00"),
]
soup = st.lists(st.sampled_from(TOKENS), max_size=8).map(b"".join)


@st.composite
def documents(draw: st.DrawFn) -> bytes:
    """JSON as the standard library may have written it, now and then damaged in one place."""
    spaces = draw(st.sampled_from([None, 1]))
    text = json.dumps(draw(json_values), ensure_ascii=draw(st.booleans()), indent=spaces)
    raw = text.encode("utf-8", "surrogatepass")
    at = draw(st.integers(0, 40))
    return draw(st.sampled_from([raw, raw[:at] + draw(soup) + raw[at + 1 :]]))


@st.composite
def numbers(draw: st.DrawFn) -> bytes:
    """A number somewhere in a list."""
    number = draw(st.sampled_from(NUMBERS) | st.integers(-(10**21), 10**21).map(lambda n: b"%d" % n))
    return b'["' + b"x" * draw(st.integers(0, 9)) + b'",' + number + b"]"


@settings(max_examples=200)
@given(documents() | numbers() | soup | st.binary())
@example(b'\xef\xbb\xbf{"a":1}')
@example(b'{"a":1,"b":2,"a":[18446744073709551616]}')
@example(b"[" * 150 + b"0" + b"]" * 150)
def test_bytes_are_read_as_by_pydantic(raw: bytes) -> None:
    """Any bytes are read as the value that pydantic alone reads, to the class of each number, or refused like there."""
    for form, oracle in ORACLES:
        assert read(form, raw) == oracle.decode(raw), form


@pytest.mark.parametrize("number", NUMBERS, ids=lambda raw: raw[:30].decode())
@pytest.mark.parametrize("shift", range(6))
def test_a_number_is_read_exactly_wherever_it_stands(number: bytes, shift: int) -> None:
    """An integer beyond 64 bits is never read as a float, at whatever offset of the bytes it begins."""
    raw = b"[" + b" " * shift + number + b',"' + b"x" * 300 + b'"]'

    assert read(list[Any], raw) == Pydantic(list[Any]).decode(raw)


CANONICAL: list[Any] = [
    *(dict[str, int], dict[str, float], dict[str, str | None], dict[str, dict[str, bool]], list[dict[str, int]]),
    *(dict[str, list[float]], dict[str, int] | None),
]


def in_order(value: object) -> object:
    """``value`` with the keys of all dicts sorted by code points, and without negative zeros."""
    if type(value) is dict:
        items = sorted(cast("dict[str, object]", value).items())
        return {key: in_order(part) for key, part in items}
    if type(value) is list:
        return [in_order(part) for part in cast("list[object]", value)]
    return (value or 0.0) if type(value) is float else value


@pytest.mark.rows(3)
@pytest.mark.parametrize("form", CANONICAL, ids=str)
def test_the_canonical_form_is_pydantics_with_sorted_keys(form: Any) -> None:
    """Members are the bytes that pydantic writes of a value with sorted keys, so earlier ones are found."""
    codec = canonical_codec_for(form)

    @given(st.from_type(form))
    def each(value: object) -> None:
        try:
            raw = codec.encode(value)
        except EncodeError:
            assert Pydantic(form).encode(value) is None
            return
        assert raw == to_json(from_json(to_json(in_order(value), inf_nan_mode="constants")), inf_nan_mode="constants")
        assert exactly(codec.decode(raw)) == exactly(in_order(value))

    each()


@given(json_values)
def test_the_canonical_form_of_any_json(value: object) -> None:
    """Where any JSON may be a member, as in a set of redis-purse 2.x, its keys are sorted, too."""
    codec = canonical_codec_for(object, best_effort=True)
    try:
        raw = codec.encode(value)
    except EncodeError:
        assert Pydantic(Any).encode(value) is None
        return

    ordered = cast("Any", in_order(value))
    assert raw == Pydantic(Any).adapter.dump_json(ordered)


async def test_what_was_stored_before_is_read_and_found(redis: Redis) -> None:
    """JSON with spaces and escapes, as redis-purse 2.x wrote it, and compact JSON are read, found and removed."""
    log = RedisList(redis, "log", dict[str, Any])
    value = {"name": "Zoë", "big": 2**70, "b": [1, 2.5, None], "a": {"y": 1, "x": 2}}
    compact = to_json(value), to_json(in_order(value))

    for form in (json.dumps(value).encode(), json.dumps(value, sort_keys=True).encode(), *compact):
        await redis.rpush("log", form)

        assert await log.getitem(0) == value
        assert await log.contains(value)
        assert await log.index(value) == 0
        assert await log.remove(value) == 1
        assert await log.len() == 0


async def test_members_and_values_of_earlier_releases(redis: Redis) -> None:
    """A member that was written before is the same member, and a hash reads what was written before."""
    members = RedisSet(redis, "members", dict[str, int])
    await redis.sadd("members", to_json({"a": 1, "é": 2, "\U0001f600": 3, "\uffff": 4}))
    plants = RedisHash(redis, "plants", JsonValue)
    await redis.hset("plants", "x", json.dumps({"name": "é", "n": [2**64, 1.0]}))

    assert await members.contains({"\U0001f600": 3, "\uffff": 4, "é": 2, "a": 1}) is False
    await redis.sadd("members", to_json(in_order({"a": 1, "é": 2, "\U0001f600": 3, "\uffff": 4})))
    assert await members.contains({"\U0001f600": 3, "\uffff": 4, "é": 2, "a": 1}) is True
    assert exactly(await plants.get("x")) == exactly({"name": "é", "n": [2**64, 1.0]})


@pytest.mark.parametrize("value", [1e22, [-1.5e300], {"a": 5e-324, "b": 1.5}])
def test_numbers_with_an_exponent_where_orjson_and_pydantic_differ(
    monkeypatch: pytest.MonkeyPatch, value: object
) -> None:
    """With releases of the two that write exponents differently, pydantic writes these numbers."""
    monkeypatch.setattr(_plain_json, "_SAME_EXPONENTS", False)
    write = json_writer({"type": "any"})

    assert write is not None
    assert write(value) is None
    assert write([1.5, 0.0, -0.0, 123456789.25]) == b"[1.5,0.0,-0.0,123456789.25]"
