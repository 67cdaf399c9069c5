"""RedisList: an element comes back as it was written, and is found by an equal value."""

from __future__ import annotations

from collections import OrderedDict
from datetime import UTC, datetime, timedelta, timezone
from decimal import Decimal
from typing import Any, cast

import pytest
from hypothesis import given
from hypothesis import strategies as st
from pydantic import BaseModel
from redis.asyncio import Redis

from purse import RedisLifoQueue, RedisList, RedisPriorityQueue, RedisQueue
from purse.codecs._binding import canonical_codec_for
from purse.codecs._json_codecs import CanonicalCodec, OrderedCodec

TOKYO = timezone(timedelta(hours=9))
NOON = datetime(2024, 7, 1, 12, tzinfo=TOKYO)


class Offer(BaseModel):
    """Has a part of every kind that normal form changes."""

    price: Decimal
    at: datetime = NOON
    change: float = -0.0
    tags: frozenset[str] = frozenset({"b", "a", "c"})
    places: dict[str, Decimal] = {"z": Decimal("1.50"), "a": Decimal(2)}


AS_WRITTEN: list[tuple[object, object, bytes]] = [
    (Decimal, Decimal("100.00"), b'"100.00"'),
    (Decimal, Decimal("-0.0"), b'"-0.0"'),
    (float, -0.0, b"-0.0"),
    (float, 1, b"1.0"),
    (datetime, NOON, b'"2024-07-01T12:00:00+09:00"'),
    (dict[str, int], {"b": 1, "a": 2}, b'{"b":1,"a":2}'),
    (dict, {"b": [{"d": -0.0, "c": 1}], "a": 2}, b'{"b":[{"d":-0.0,"c":1}],"a":2}'),
    (OrderedDict[str, int], OrderedDict(b=1, a=2), b'{"b":1,"a":2}'),
    (set[str], {"b", "a", "c"}, b'["a","b","c"]'),
    (
        Offer,
        Offer(price=Decimal("100.00")),
        (
            b'{"price":"100.00","at":"2024-07-01T12:00:00+09:00","change":-0.0,"tags":["a","b","c"],'
            b'"places":{"z":"1.50","a":"2"}}'
        ),
    ),
]


def repr_of(value: object) -> str:
    """A text that tells apart what ``==`` does not: the order of a dict, a sign, an exponent, an offset."""
    if isinstance(value, (set, frozenset)):
        return repr(sorted(cast("set[str]", value)))
    if isinstance(value, BaseModel):
        return repr({name: repr_of(part) for name, part in value.__dict__.items()})
    return value.isoformat() if isinstance(value, datetime) else repr(value)


@pytest.mark.parametrize(("form", "value", "raw"), AS_WRITTEN, ids=[case[2].decode()[:30] for case in AS_WRITTEN])
async def test_an_element_comes_back_as_it_was_written(redis: Redis, form: Any, value: object, raw: bytes) -> None:
    """Exponent, sign of zero, time zone and order of keys come back; only sets, which have no order, are sorted."""
    items: RedisList[object] = RedisList(redis, "items", form)
    await items.append(value)
    await items.extend([value])
    await items.appendleft(value)
    await items.insert(1, value)
    await items.setitem(0, value)

    assert await redis.lrange("items", 0, -1) == [raw] * 4
    expected = repr_of(float(cast("float", value)) if form is float else value)
    assert [repr_of(item) for item in await items.slice(0)] == [expected] * 4
    assert repr_of(await items.pop()) == expected
    assert await items.index(value) == 0
    assert await items.remove(value, -1) == 1
    assert await items.remove(value) == 2


@pytest.mark.parametrize("make", [RedisQueue, RedisLifoQueue])
async def test_a_queue_keeps_what_it_is_given(redis: Redis, make: Any) -> None:
    """Items of queues come back as they were written."""
    queue = make(redis, "queue", Offer)
    offer = Offer(price=Decimal("100.00"))
    await queue.put(offer)

    assert repr_of(await queue.get_nowait()) == repr_of(offer)


async def test_a_priority_queue_keeps_what_it_is_given(redis: Redis) -> None:
    """Items of priority queues come back as they were written."""
    queue = RedisPriorityQueue(redis, "queue", Decimal)
    await queue.put((Decimal("100.00"), 1))

    assert repr(await queue.get_nowait()) == repr((Decimal("100.00"), 1.0))


@pytest.mark.parametrize(
    ("form", "stored", "sought"),
    [
        (Decimal, Decimal("100.00"), Decimal("100.00")),
        (Decimal, Decimal("1E+2"), Decimal("100.00")),
        (float, 0.0, -0.0),
        (float, -0.0, -0.0),
        (datetime, NOON.astimezone(UTC), NOON),
        (datetime, NOON, NOON),
        (dict[str, int], {"b": 1, "a": 2}, {"a": 2, "b": 1}),
        (
            dict,
            {"b": [1, {"d": 1, "c": 'x\\"\u2028, y: z'}], "a": {}},
            {"a": {}, "b": [1, {"c": 'x\\"\u2028, y: z', "d": 1}]},
        ),
        (set[str], {"b", "a"}, {"a", "b"}),
        (list[dict[str, Any]], [{"b": "{", "a": "]"}], [{"a": "]", "b": "{"}]),
        (
            Offer,
            Offer(price=Decimal(1), places={"b": Decimal(1), "a": Decimal(2)}),
            Offer(price=Decimal(1), places={"a": Decimal(2), "b": Decimal(1)}),
        ),
    ],
)
async def test_an_equal_element_is_found(redis: Redis, form: Any, stored: object, sought: object) -> None:
    """An element is found by its written and by its normal form, and a dict however its keys are ordered."""
    items: RedisList[object] = RedisList(redis, "items", form, maxlen=9)
    await items.extend([stored, stored])

    assert sought == stored
    assert await items.index(sought) == 0
    assert await items.contains(sought) is True
    assert await items.remove(sought, 1) == 1
    assert await items.remove(sought) == 1
    assert await items.len() == 0
    assert await items.index(sought) is None


@pytest.mark.parametrize(("form", "value", "raw"), AS_WRITTEN, ids=[case[2].decode()[:30] for case in AS_WRITTEN])
async def test_what_was_stored_in_normal_form_is_found(redis: Redis, form: Any, value: object, raw: bytes) -> None:
    """Elements that an earlier version wrote in normal form are found beside those that are as they were written."""
    items: RedisList[object] = RedisList(redis, "items", form)
    normal = canonical_codec_for(cast("type[object]", form), best_effort=True).encode(value)
    await redis.rpush("items", b"null", normal, raw, normal)

    assert await items.index(value) == 1
    assert await items.remove(value, -2) == 2
    assert await redis.lrange("items", 0, -1) == [b"null", normal]
    assert await items.remove(value) == 1


@pytest.mark.rows(5)
@pytest.mark.parametrize(
    "other",
    [
        b'{"a":1,"b":"2"}',
        b'{"b":2,"a":1}',
        b'{"a":"2","b":1,}',
        b'{"a":"2" "b":1}',
        b'{"a":"2","b":1',
        b'["a","2","b",1]',
        b'{"a":"2","b":1.0}',
        b'{"a":"2", "b":1}x',
        b'{"a":"2","b":1}}',
        b'{"a": "2", "c": 1}',
        b"\x01\x021\x02,: \x03",
        b'{"b":1,"a":"\\u0032"}',
        b"",
        b"\xff\x00",
    ],
)
async def test_what_is_not_equal_is_not_found(redis: Redis, other: bytes) -> None:
    """Neither other values nor bytes that are not JSON are taken for an equal dict."""
    items: RedisList[dict[str, Any]] = RedisList(redis, "items", dict[str, Any])
    await redis.rpush("items", other)

    assert await items.index({"b": 1, "a": "2"}) is None
    assert await items.remove({"b": 1, "a": "2"}) == 0
    assert await redis.lrange("items", 0, -1) == [other]


async def test_a_long_list_is_searched_to_its_end(redis: Redis) -> None:
    """A dict is found behind a thousand others, and the first of equal ones is the one that is found."""
    items: RedisList[dict[str, int]] = RedisList(redis, "items", dict[str, int])
    await items.extend([{"a": n, "b": 0} for n in range(1200)])
    await items.extend([{"b": 0, "a": 1100}])

    assert await items.index({"b": 0, "a": 1100}) == 1100
    assert await items.remove({"b": 0, "a": 1100}, -1) == 1
    assert await items.index({"b": 0, "a": 1100}) == 1100
    assert await items.index({"b": 1, "a": 1100}) is None


async def test_the_order_of_an_ordered_dict_is_part_of_it(redis: Redis) -> None:
    """Of two OrderedDicts with the same items in another order only the one that is sought is found."""
    items: RedisList[OrderedDict[str, int]] = RedisList(redis, "items", OrderedDict[str, int])
    await items.extend([OrderedDict(a=1, b=2), OrderedDict(b=2, a=1)])

    assert await items.index(OrderedDict(b=2, a=1)) == 1


texts = st.text(st.sampled_from('ab\\"{}[],: \u00e9\u2028\n/'), max_size=4)
trees = st.recursive(
    st.none() | st.booleans() | st.integers(-2, 2) | st.sampled_from([0.0, -0.0, 1.0, 0.1, 1e300]) | texts,
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(texts, inner, max_size=3),
    max_leaves=8,
)


def reordered(value: object) -> object:
    """An equal value whose dicts are filled in the opposite order."""
    if isinstance(value, dict):
        items = cast("dict[str, object]", value).items()
        return {key: reordered(item) for key, item in reversed(items)}
    return [reordered(item) for item in cast("list[object]", value)] if isinstance(value, list) else value


@given(value=st.dictionaries(texts, trees, max_size=4))
def test_the_written_form_differs_from_the_normal_form_in_order_alone(value: dict[str, object]) -> None:
    """For arbitrary trees the bytes of a list come back in order, and their normal form is that of keys and members."""
    ordered, canonical = OrderedCodec[object](dict), CanonicalCodec[object](dict, best_effort=True)

    raw = ordered.encode(value)

    assert repr(ordered.decode(raw)) == repr(value)
    normal = canonical.encode(value)
    assert normal == canonical.encode(reordered(value))
    assert raw == normal or normal in ordered.also_stored_as(value)


async def test_arbitrary_dicts_are_found_in_any_order(redis: Redis) -> None:
    """Whatever characters and brackets are in a dict, the server finds it by the same dict in another order."""
    items: RedisList[dict[str, Any]] = RedisList(redis, "items", dict)  # pyright: ignore[reportUnknownArgumentType] - 2.x took a plain dict
    found: list[dict[str, Any]] = []

    @given(value=st.dictionaries(texts, trees, max_size=4))
    def collect(value: dict[str, Any]) -> None:
        if value not in found and "-0.0" not in repr(value):
            found.append(value)

    collect()
    await items.extend(found)
    places = [await items.index(cast("dict[str, Any]", reordered(value))) for value in found]

    assert [found[place] for place in places if place is not None] == found
