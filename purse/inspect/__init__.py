"""Questions about stores, as functions: a store class has few names of its own, users' fields have the rest.

fields(Garden)             the declared fields, as objects                        no I/O
schema(Garden)             all that decides about stored data, as plain data      no I/O
await describe(garden)     what Redis has for each field now                      one round trip, key spaces more
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
