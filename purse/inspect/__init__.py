"""Questions about stores. They are functions and not methods, to leave the names on a store class to users' fields.

fields(Garden)             the declared fields, as objects                        no I/O
schema(Garden)             everything that decides about stored data, as dicts    no I/O
await describe(garden)     the keys that Redis has for each field now             one round trip, key spaces more

Each is in the module of its name. ``_json_schema`` has the schemas of values.
"""

from __future__ import annotations

from purse._declaration.field_spec import FieldSpec
from purse.inspect._describe import FieldDescription, StoreDescription, describe
from purse.inspect._fields import fields
from purse.inspect._schema import FieldSchema, StoreSchema, TTLSchema, schema

__all__ = [
    "FieldDescription",
    "FieldSchema",
    "FieldSpec",
    "StoreDescription",
    "StoreSchema",
    "TTLSchema",
    "describe",
    "fields",
    "schema",
]
