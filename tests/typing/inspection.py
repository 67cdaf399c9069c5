"""Questions about stores as type checkers see them. Read by mypy and pyright, never run."""
# pyright: reportUnnecessaryTypeIgnoreComment=true

from __future__ import annotations

import json
from collections.abc import Mapping
from datetime import timedelta
from typing import Literal, assert_type

from pydantic import JsonValue

from purse import RedisHash, Store
from purse.collections import RedisObject
from purse.inspect import (
    FieldDescription,
    FieldSchema,
    FieldSpec,
    StoreDescription,
    StoreSchema,
    TTLSchema,
    describe,
    fields,
    schema,
)


class Garden(Store, namespace="typing-inspected"):
    """A store."""

    plants: RedisHash[int]


def declared(garden: Garden) -> None:
    """What a class declares."""
    assert_type(fields(Garden), Mapping[str, FieldSpec[RedisObject]])
    assert_type(schema(Garden), StoreSchema)
    assert_type(schema(garden), StoreSchema)
    assert_type(schema(Garden)["parameters"], dict[str, str])
    plants = schema(Garden)["fields"]["plants"]
    assert_type(plants, FieldSchema)
    assert_type(plants["key"], str)
    assert_type(plants["value_type"], str | None)
    assert_type(plants["value_schema"], dict[str, JsonValue] | None)
    assert_type(plants["ttl"], TTLSchema | None)
    assert_type(plants["slots"], Literal["store", "field", "key"])
    assert_type(plants["options"], dict[str, JsonValue])
    assert_type(json.dumps(schema(Garden), indent=2), str)


async def stored(garden: Garden) -> None:
    """What Redis has."""
    found = await describe(garden)
    assert_type(found, StoreDescription)
    assert_type(await describe(garden, scan=None), StoreDescription)
    assert_type(found.fields, Mapping[str, FieldDescription])
    assert_type(found.keys, int | None)
    plants = found.fields["plants"]
    assert_type(plants.length, int | None)
    assert_type(plants.exists, bool | None)
    assert_type(plants.fits, bool | None)
    assert_type(plants.expires_in, timedelta | None)
    await describe(Garden)  # type: ignore[arg-type]  # pyright: ignore[reportArgumentType]
    await describe(garden, scan="5")  # type: ignore[arg-type]  # pyright: ignore[reportArgumentType]
    schema("Garden")  # type: ignore[arg-type]  # pyright: ignore[reportArgumentType]
    plants.length = 3  # type: ignore[misc]  # pyright: ignore[reportAttributeAccessIssue]
    schema(Garden)["field"]  # type: ignore[typeddict-item]  # pyright: ignore[reportGeneralTypeIssues]
