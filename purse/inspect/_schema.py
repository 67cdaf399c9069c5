"""schema(): a store class as plain data, for reading in a review, committing, and comparing in a test.

    class Garden(Store, namespace="garden"):        {"store": "Garden", "namespace": "garden", ...,
        visits: RedisHash[int] = field(...)          "fields": {"visits": {"key": "{garden}:visits", ...}}}

``json.dumps`` can write it, and ``json.loads`` reads it back equal. The same declaration gives the same text in every
process. It contains everything that decides about stored data. It does not contain docstrings, titles, or the module of
the class.
"""

from __future__ import annotations

from collections.abc import Mapping
from datetime import timedelta
from typing import TYPE_CHECKING, Literal, TypedDict, cast

from pydantic import JsonValue

from purse._coordination.rates import Rate
from purse._declaration.declared import declaration_of
from purse._declaration.metaclass import complete
from purse.codecs import codec_for
from purse.codecs._json_codecs import JsonCodec
from purse.codecs._type_names import type_name, unwrapped
from purse.codecs._value_codecs import BytesCodec, ConstrainedCodec, TextCodec
from purse.errors import DeclarationError
from purse.inspect._fields import class_of, options_of, pattern_of, redis_type_of
from purse.inspect._json_schema import json_schema_of

if TYPE_CHECKING:
    from collections.abc import Callable

    from purse._declaration.field_spec import FieldSpec
    from purse.collections import RedisObject
    from purse.store import Store
    from purse.ttl import TTL

__all__ = ["FieldSchema", "StoreSchema", "TTLSchema", "schema"]

_DEFAULT_CODECS: Mapping[type, str] = {TextCodec: "text", BytesCodec: "bytes"}


class TTLSchema(TypedDict):
    """A TTL policy, see ``purse.TTL``."""

    seconds: float
    renew: Literal["write", "read", "never"]
    jitter: float
    per_item: bool


class FieldSchema(TypedDict):
    """One field of a store class.

    Keys:
        key: the Redis key, with placeholders for the store's parameters, and with a ``*`` for the keys of a key space.
        structure: the name of the collection's class: ``RedisHash``.
        redis_type: as Redis' TYPE calls it: ``hash``, ``zset``. For a key space, the type of each entry.
        value_type: the declared type without constraints, or None for a lock, a limiter or a semaphore.
        value_schema: the JSON schema of the values as the default codec writes them, or None if they have none.
        key_type, key_schema: the same for the keys, or None if the structure has no keys.
        codec: the codec of the values: ``text`` and ``bytes`` store them as they are, ``json``, ``json,
            exclude_unset``, or the class of your own codec.
        ttl: the policy of the field, whether the field or its store declares it.
        slots: what shares a hash tag: all of the store, the field, or each key.
        default: whether ``default=`` or ``default_factory=`` was given.
        options: the structure's own options that were given: ``maxlen``, ``rate``, ``lease``. Durations are in seconds.
    """

    key: str
    structure: str
    redis_type: str
    value_type: str | None
    value_schema: dict[str, JsonValue] | None
    key_type: str | None
    key_schema: dict[str, JsonValue] | None
    codec: str | None
    ttl: TTLSchema | None
    slots: Literal["store", "field", "key"]
    default: bool
    options: dict[str, JsonValue]


class StoreSchema(TypedDict):
    """A store class.

    Keys:
        store: the name of the class.
        namespace: as declared, with placeholders: ``user:{user_id}``.
        parameters: for each placeholder its type: ``str``, ``int`` or ``UUID``.
        fields: by name, in the order of declaration. Fields of nested stores have names like ``home.lines``.
    """

    store: str
    namespace: str
    parameters: dict[str, str]
    fields: dict[str, FieldSchema]


def schema(store: Store | type[Store]) -> StoreSchema:
    """A store class, or the class of a store, as plain data: ``json.dumps(schema(Garden), indent=2)``.

    Returns:
        A new dict, equal for equal declarations. ``json.dumps`` takes it, and ``json.loads`` gives it back equal.

    Raises:
        TypeError: ``store`` is neither a store class nor a store.
        DeclarationError: the class has no namespace, so its fields have no keys, or an annotation uses a name that does
            not exist.

    Sends nothing. Each call makes the JSON schemas anew, which takes milliseconds for big models.
    """
    cls = class_of(store, "schema")
    complete(cls)
    declaration = declaration_of(cls)
    if declaration.defaults.namespace is None:
        raise DeclarationError(
            f"{cls.__name__} has no namespace, so its fields have no keys: ask for the schema of a store that inherits "
            "from it or has it as a field"
        )
    return {
        "store": cls.__name__,
        "namespace": declaration.defaults.namespace,
        "parameters": {name: parameter.kind.__name__ for name, parameter in declaration.parameters.items()},
        "fields": {name: _field_schema(spec) for name, spec in declaration.fields.items()},
    }


def _field_schema(spec: FieldSpec[RedisObject]) -> FieldSchema:
    options = options_of(spec)
    defaults = {"default", "default_factory"}
    value_type = spec.value_type if spec.__purse_holds_values__ else None
    codec = _codec_name(spec) if spec.__purse_holds_values__ else None
    return {
        "key": _key_of(spec),
        "structure": spec.collection.__name__,
        "redis_type": redis_type_of(spec),
        "value_type": type_name(value_type) if spec.__purse_holds_values__ else None,
        "value_schema": _value_schema(value_type, codec) if spec.__purse_holds_values__ else None,
        "key_type": None if spec.key_type is None else type_name(spec.key_type),
        "key_schema": None if spec.key_type is None else json_schema_of(spec.key_type),
        "codec": codec,
        "ttl": _ttl_schema(spec.ttl) if spec.ttl is not None and spec.__purse_holds_values__ else None,
        "slots": spec.slots,
        "default": not defaults.isdisjoint(options),
        "options": {name: _plain(value) for name, value in options.items() if name not in defaults},
    }


def _key_of(spec: FieldSpec[RedisObject]) -> str:
    return pattern_of(spec.key, "}" if spec.slots == "key" else "") if spec.is_key_space else spec.key


def _value_schema(value_type: object, codec: str | None) -> dict[str, JsonValue] | None:
    found = json_schema_of(value_type)
    if found is not None and codec == "bytes":
        found["format"] = "binary"  # not base64, which is for bytes inside of JSON
    return found


def _codec_name(spec: FieldSpec[RedisObject]) -> str:
    codec = spec.codec
    if codec is None:
        made: object = codec_for(cast("type[object]", spec.value_type))
    elif isinstance(codec, type) or not hasattr(codec, "encode"):
        made = cast("Callable[[object], object]", codec)(spec.value_type)
    else:
        made = codec
    if isinstance(made, ConstrainedCodec):
        return "bytes" if unwrapped(spec.value_type) is bytes else "text"
    if isinstance(made, JsonCodec):
        return "json, exclude_unset" if cast("JsonCodec[object]", made).exclude_unset else "json"
    return next((name for kind, name in _DEFAULT_CODECS.items() if isinstance(made, kind)), type(made).__name__)


def _ttl_schema(ttl: TTL) -> TTLSchema:
    return {"seconds": ttl.duration_ms / 1000, "renew": ttl.renew, "jitter": ttl.jitter, "per_item": ttl.per_item}


def _plain(value: object) -> JsonValue:
    """An option as JSON."""
    if isinstance(value, timedelta):
        return value.total_seconds()
    if isinstance(value, Rate):
        return {"count": value.count, "seconds": value.per.total_seconds()}
    return value if isinstance(value, (bool, int, float, str)) else str(value)
