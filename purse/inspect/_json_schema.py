"""JSON schemas of the values that codecs write: pydantic's, without the parts that are never stored.

pydantic, mode="serialization"    by field name, because values are written by field name
computed fields                   left out: they are not written
titles, descriptions, examples    left out: they change nothing that is stored
defaults that are sets            sorted, so that two processes give the same text
"""

from __future__ import annotations

from typing import TypeVar, cast

from pydantic import JsonValue, TypeAdapter
from pydantic.errors import PydanticUserError
from pydantic.json_schema import GenerateJsonSchema, JsonSchemaValue
from pydantic_core import PydanticOmit, from_json, to_json
from pydantic_core.core_schema import DataclassArgsSchema, ModelFieldsSchema, TypedDictSchema

from purse.codecs._adapters import adapter_for
from purse.codecs._canonical import Plan, canonical
from purse.errors import DeclarationError

__all__ = ["json_schema_of"]

S = TypeVar("S", ModelFieldsSchema, DataclassArgsSchema, TypedDictSchema)

_WORDS = frozenset({"title", "description", "examples", "deprecated"})
_VALUES = frozenset({"default", "const", "enum", "required", "discriminator"})
_SCHEMAS_BY_NAME = frozenset({"properties", "patternProperties", "$defs"})
_EVERYTHING = Plan(walk=True, typed_dicts=(), doubts=())


def json_schema_of(form: object) -> dict[str, JsonValue] | None:
    """The JSON schema of the values of a type, or None if the type has none."""
    try:
        adapter = adapter_for(form)
        return _essential(_generated(adapter))
    except (DeclarationError, PydanticUserError, PydanticOmit):  # the user's codec may store it
        return None


def _generated(adapter: TypeAdapter[object]) -> dict[str, JsonValue]:
    made = adapter.json_schema(by_alias=False, mode="serialization", schema_generator=_AsStored)
    # Through JSON, so that it comes back equal after it was saved, which the float nan would not.
    return cast("dict[str, JsonValue]", from_json(to_json(made, inf_nan_mode="strings", fallback=str)))


def _essential(schema: dict[str, JsonValue]) -> dict[str, JsonValue]:
    """A schema without the words that explain it to people."""
    kept: dict[str, JsonValue] = {}
    for name, part in schema.items():
        if name in _WORDS:
            continue
        if name in _SCHEMAS_BY_NAME and isinstance(part, dict):  # a field may be called "title"
            kept[name] = {key: _essential_part(inner) for key, inner in part.items()}
        else:
            kept[name] = part if name in _VALUES else _essential_part(part)
    return kept


def _essential_part(part: JsonValue) -> JsonValue:
    if isinstance(part, list):
        return [_essential_part(inner) for inner in part]
    return _essential(part) if isinstance(part, dict) else part


class _AsStored(GenerateJsonSchema):
    """Pydantic's generator, for values as purse stores them."""

    ignored_warning_kinds = {"skipped-choice", "non-serializable-default"}  # noqa: RUF012 - as pydantic declares it

    def encode_default(self, dft: object) -> JsonValue:
        encoded = cast("JsonValue", super().encode_default(dft))
        return cast("JsonValue", from_json(canonical(dft, to_json(encoded), _EVERYTHING)))

    def model_fields_schema(self, schema: ModelFieldsSchema) -> JsonSchemaValue:
        return super().model_fields_schema(_without_computed_fields(schema))

    def dataclass_args_schema(self, schema: DataclassArgsSchema) -> JsonSchemaValue:
        return super().dataclass_args_schema(_without_computed_fields(schema))

    def typed_dict_schema(self, schema: TypedDictSchema) -> JsonSchemaValue:
        return super().typed_dict_schema(_without_computed_fields(schema))


def _without_computed_fields(schema: S) -> S:
    rest = {name: part for name, part in schema.items() if name != "computed_fields"}
    return cast("S", rest)
