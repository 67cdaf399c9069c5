"""Rows of plain JSON: the whole encoding and decoding of one value, with no network and no server.

purse's side is the codec of the type, with the proof that a value comes back. By hand stands what a careful program
would write: pydantic's adapter, bound once, without such a proof; and for the canonical form, in which the members of
a set are compared, ``json.dumps`` with sorted keys.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator
from typing import Any, cast

from pydantic import JsonValue, TypeAdapter

from benchmarks.measure import Row, Sample, Stopwatch, TimedRow, Trial
from purse.codecs import Codec, codec_for
from purse.codecs._binding import canonical_codec_for

__all__ = ["codec_rows"]

CHUNK = 500
"""Calls between two looks at the results: kept for longer, they would give the garbage collector work."""

USER = {
    "id": 4711,
    "name": "Ada Lovelace",
    "mail": "ada@example.org",
    "tags": ["mathematics", "poetry"],
    "active": True,
    "score": 9.75,
    "address": {"street": "12 St James Square", "city": "London", "code": "SW1Y 4JH"},
    "visits": [1, 2, 3, 5, 8, 13, 21],
    "note": None,
    "source": {"by": "import", "version": 3, "share": 0.125},
}
USERS = [USER | {"id": 4711 + nth} for nth in range(18)]
COUNTS = {f"plant number {nth % 7}.{nth}": nth * 1001 for nth in range(12)}


def codec_rows(calls: int) -> Iterator[Row]:
    """The rows of this module. A call takes microseconds here, so a trial has more of them than elsewhere."""
    small, large = max(10 * calls // CHUNK, 1) * CHUNK, max(calls // CHUNK, 1) * CHUNK
    forms: list[tuple[str, object, object, int]] = [
        ("dict[str, Any]", dict[str, Any], USER, small),
        ("list", list[Any], [*USER.values()], small),
        ("JsonValue", JsonValue, USER, small),
        ("Any", object, USER, small),
        ("dict[str, Any], 5 kB", dict[str, Any], {"users": USERS}, large),
        ("list, 5 kB", list[Any], USERS, large),
        ("JsonValue, 5 kB", JsonValue, USERS, large),
        ("Any, 5 kB", object, USERS, large),
    ]
    for name, form, value, amount in forms:
        value_type = cast("type[Any]", form)
        codec: Codec[Any] = codec_for(value_type)
        adapter: TypeAdapter[Any] = TypeAdapter(value_type)
        yield from _rows(name, codec, value, amount, adapter.serializer.to_json, adapter.validator.validate_json)
    members: Codec[Any] = canonical_codec_for(dict[str, int])
    yield _encoding("member dict[str, int]", members, COUNTS, small, _sorted_json)
    loose: Codec[Any] = canonical_codec_for(object, best_effort=True)
    yield _encoding("member Any", loose, USER, small, _sorted_json)


def _rows(
    name: str,
    codec: Codec[Any],
    value: object,
    calls: int,
    dump: Callable[[Any], bytes],
    load: Callable[[bytes], object],
) -> Iterator[Row]:
    raw = codec.encode(value)
    yield _encoding(name, codec, value, calls, dump)
    yield TimedRow(
        f"decode {name}", calls, 1.0, _trial(codec.decode, raw, value, calls), _trial(load, raw, value, calls)
    )


def _encoding(name: str, codec: Codec[Any], value: object, calls: int, dump: Callable[[Any], bytes]) -> Row:
    raw = codec.encode(value)
    purse, hand = _trial(codec.encode, value, raw, calls), _trial(dump, value, raw, calls)
    return TimedRow(f"encode {name}", calls, 1.0, purse, hand)


def _sorted_json(value: object) -> bytes:
    return json.dumps(value, sort_keys=True, separators=(",", ":"), ensure_ascii=False).encode()


def _trial(call: Callable[[Any], object], given: object, wanted: object, calls: int) -> Trial:
    """``calls`` calls, each of which must return ``wanted``."""

    async def run() -> Sample:
        watch = Stopwatch()
        for _ in range(calls // CHUNK):
            with watch:
                results = [call(given) for _ in range(CHUNK)]
            assert results == [wanted] * CHUNK
        return watch.sample

    return run
