"""Pydantic's side of a type: its validator, its serializer and its core schema.

Here a type is refused that pydantic cannot validate, with what to declare instead.
"""

from __future__ import annotations

from dataclasses import is_dataclass
from typing import cast, get_args

from pydantic import BaseModel, ConfigDict, TypeAdapter
from pydantic.errors import PydanticUndefinedAnnotation, PydanticUserError
from pydantic_core import SchemaSerializer
from typing_extensions import is_typeddict

from purse.codecs._canonical import nodes
from purse.codecs._shown import said
from purse.codecs._type_names import type_name, unwrapped
from purse.errors import DeclarationError

__all__ = ["adapter_for"]

# Pydantic's defaults lose inf and nan (they become null) and refuse bytes that are not UTF-8. A model
# has its own config: there it is the model's to say.
_CONFIG = ConfigDict(ser_json_inf_nan="constants", ser_json_bytes="base64", val_json_bytes="base64")


def adapter_for(form: object) -> TypeAdapter[object]:
    """A complete pydantic adapter for a type.

    Raises:
        DeclarationError: pydantic has no way to validate it, or it refers to a class that is not defined (then
            the cause is a ``PydanticUndefinedAnnotation``).
    """
    value_type = cast("type[object]", form)
    try:
        if isinstance(form, BaseModel) or (is_dataclass(form) and not isinstance(form, type)):
            name = type(form).__name__
            raise DeclarationError(f"a value type is a class, not an instance: pass {name}, not {name}(...)")
        _refuse_old_models(form)
        adapter = TypeAdapter(value_type, config=None if _has_config(unwrapped(form)) else _CONFIG)
        if not adapter.pydantic_complete:
            adapter.rebuild(raise_errors=True)
        if adapter.core_schema["type"] == "typed-dict":
            # Pydantic validates by the __pydantic_config__ of a TypedDict, and does not serialise by it.
            adapter.serializer = SchemaSerializer(adapter.core_schema, adapter.core_schema.get("config"))
        for node in nodes(adapter.core_schema):
            function = node.get("function")
            if isinstance(function, dict):
                _refuse_old_model(getattr(cast("dict[str, object]", function).get("function"), "__self__", None))
        return adapter
    except DeclarationError:
        raise
    except PydanticUndefinedAnnotation as error:
        raise DeclarationError(
            f"{type_name(form)} is not complete: {error.name!r} is not defined. Define it before the first use, or "
            "call model_rebuild() of the model that names it, where both are known."
        ) from error
    except PydanticUserError as error:
        if error.code == "typed-dict-version":
            raise DeclarationError(
                f"{type_name(form)} has a typing.TypedDict in it, which keeps too little of its declaration before "
                "Python 3.12: write from typing_extensions import TypedDict"
            ) from error
        raise _unstorable(form, error) from error
    except Exception as error:  # what a __get_pydantic_core_schema__ of the user's raises
        raise _unstorable(form, error) from error


def _unstorable(form: object, error: Exception) -> DeclarationError:
    text = said(str(error).split("\n", 1)[0].rstrip("."))
    return DeclarationError(
        f"{type_name(form)} cannot be stored ({text}). Declare a pydantic model, a dataclass or a TypedDict, or "
        "pass codec= with a codec for it."
    )


def _refuse_old_models(form: object) -> None:
    """Refuse models of ``pydantic.v1`` that the type names, before pydantic warns of them."""
    form = unwrapped(form)
    _refuse_old_model(form)
    for part in cast("tuple[object, ...]", get_args(form)):
        _refuse_old_models(part)


def _refuse_old_model(cls: object) -> None:
    if isinstance(cls, type) and any(base.__module__ == "pydantic.v1.main" for base in cls.__mro__):
        raise DeclarationError(
            f"{cls.__name__} is a model of pydantic.v1, which pydantic 2 does not read or write like its own models: "
            "derive it from pydantic.BaseModel, or pass codec= with a codec for it"
        )


def _has_config(core: object) -> bool:
    """Whether pydantic takes the configuration from the type itself, and refuses another."""
    return is_dataclass(core) or is_typeddict(core) or (isinstance(core, type) and issubclass(core, BaseModel))
