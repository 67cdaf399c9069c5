"""Unset fields: which types can be stored without them.

A field that was never set is left out of the JSON, and gets its default when it is read. That is the same value again
if the default is a value, which pydantic copies for each instance, or if its factory makes an equal one each time.
"""

from __future__ import annotations

from collections import Counter, OrderedDict, deque
from collections.abc import Iterator, Mapping
from typing import cast, get_origin

from pydantic import BaseModel

from purse.codecs._canonical import nodes
from purse.codecs._type_names import type_name
from purse.errors import DeclarationError

__all__ = ["check_factories", "has_models"]

_CONSTANT = frozenset(
    {list, dict, set, frozenset, tuple, str, bytes, bytearray, int, float, bool, complex, deque, OrderedDict, Counter}
)
_HAVE_FIELDS = frozenset({"model", "dataclass", "typed-dict", "named-tuple"})


def has_models(core_schema: object) -> bool:
    """Whether a type can hold a model, which knows what has been set of it."""
    return any(node["type"] == "model-fields" for node in nodes(core_schema))


def check_factories(core_schema: object, form: object) -> None:
    """Refuse a type in which a field that was never set could come back with another value.

    Raises:
        DeclarationError: with the field and what to write.
    """
    for model, field, factory in _factories(core_schema):
        if not _is_constant(factory):
            name = getattr(factory, "__qualname__", None) or repr(factory)
            raise DeclarationError(
                f"{type_name(form)} cannot be stored with exclude_unset=True: the default_factory of {model}.{field} "
                f"({name}) may make another value each time, so a field that was never set would come back with "
                f"another. Write a default, `{field}: ... = ...`, which pydantic copies for each instance, or a class "
                "such as list as the factory, or make the field required."
            )


def _factories(core_schema: object) -> Iterator[tuple[str, str, object]]:
    """The default factories of all fields of all models in a schema, each with the names of both."""
    for node in nodes(core_schema):
        if node["type"] != "model-fields":
            continue
        for name, field in cast("Mapping[str, Mapping[str, object]]", node["fields"]).items():
            part: object = field.get("schema")
            while isinstance(part, Mapping):
                inner = cast("Mapping[str, object]", part)
                if "default_factory" in inner:
                    yield str(node.get("model_name", "the model")), name, inner["default_factory"]
                part = None if inner["type"] in _HAVE_FIELDS else inner.get("schema")


def _is_constant(factory: object, outer: frozenset[type] = frozenset()) -> bool:
    """Whether a factory is known to make an equal value each time: a builtin class, or a model of such defaults."""
    made = get_origin(factory) or factory
    if not isinstance(made, type) or made in _CONSTANT or made in outer:
        return isinstance(made, type)
    if not issubclass(made, BaseModel):
        return False
    schema = made.__pydantic_core_schema__
    if any(node.get("custom_init") or node.get("post_init") for node in nodes(schema)):
        return False
    return all(_is_constant(inner, outer | {made}) for _, _, inner in _factories(schema))
