"""The codecs behind ``purse.codecs``: raw, pydantic JSON, and the user's own under the write rule."""

from __future__ import annotations

import json
from collections.abc import Callable
from dataclasses import is_dataclass
from typing import Annotated, Generic, Literal, NewType, Protocol, TypeAlias, TypeVar, cast, get_args, get_origin

from pydantic import BaseModel, ConfigDict, TypeAdapter
from pydantic_core import PydanticSerializationError
from typing_extensions import TypeAliasType, TypeForm, is_typeddict

from purse._canonical import Need, canonical_bytes, canonical_need, opaque_part
from purse._sameness import difference
from purse._wording import cause, clipped, invalid, name_of, reason, short, wrong_type
from purse.errors import DeclarationError, DecodeError, EncodeError

__all__ = ["Checked", "Codec", "Json", "Raw", "Use", "ValueCodec", "plain_type"]

T = TypeVar("T")

Use: TypeAlias = Literal["value", "element", "key"]
"""Whether the server never compares the bytes, or does so as best it can, or must be able to."""

# For types that bring no configuration of their own: what JSON has no word for, and bytes that are no text.
_CONFIG = ConfigDict(ser_json_inf_nan="constants", ser_json_bytes="base64", val_json_bytes="base64")
_CONFIG_ARBITRARY = ConfigDict(arbitrary_types_allowed=True)


class Codec(Protocol[T]):
    """What stores one value; yours may compress, encrypt or use another format.

    ``field(codec=...)`` and the collections' ``codec=`` take one. Whatever either method raises becomes
    an ``EncodeError`` or ``DecodeError``, with your exception as its cause.
    """

    def encode(self, value: T, /) -> bytes:
        """The bytes to store for ``value``."""
        ...

    def decode(self, raw: bytes, /) -> T:
        """The value that ``encode`` made these bytes of."""
        ...


class ValueCodec(Protocol[T]):
    """What collections hold: a codec that keeps the write rule."""

    def encode(self, value: T, /) -> bytes:
        """The bytes to store; EncodeError, its message the bare reason, if the value would not come back."""
        ...

    def decode(self, raw: bytes, /) -> T:
        """The value; DecodeError, its message the bare reason, if the bytes are not one."""
        ...

    def also_stored_as(self, value: T, /) -> tuple[bytes, ...]:
        """Other bytes under which redis-purse 2.x would have stored an equal value."""
        ...

    def check(self) -> None:
        """Raise at once the DeclarationError that first use would raise."""
        ...


class Raw(Generic[T]):
    """``str`` as UTF-8 and ``bytes`` as they are, with the constraints of ``Annotated`` if there are any."""

    __slots__ = ("_plain", "_type", "_validate")

    def __init__(self, plain: type[object], value_type: object) -> None:
        self._plain = plain
        self._type = value_type
        self._validate: Callable[[object], object] | None = None

    def check(self) -> None:
        """See ``ValueCodec``."""
        if self._validate is None and self._type is not self._plain:
            self._validate = _adapter(self._type).validator.validate_python

    def encode(self, value: T, /) -> bytes:
        """See ``ValueCodec``."""
        if type(value) is not self._plain:
            raise EncodeError(wrong_type(value, self._plain, name_of(self._type)))
        if self._type is not self._plain:
            self._constrained(value)
        if isinstance(value, str):
            try:
                return value.encode()
            except UnicodeEncodeError as error:
                raise EncodeError(f"a lone surrogate at index {error.start} has no UTF-8 form.") from cause(error)
        return cast("bytes", value)

    def decode(self, raw: bytes, /) -> T:
        """See ``ValueCodec``."""
        value: object = raw
        if self._plain is str:
            try:
                value = raw.decode()
            except UnicodeDecodeError as error:
                raise DecodeError(f"does not hold text: byte {error.start} is not UTF-8.", raw=raw) from cause(error)
        if self._type is not self._plain:
            self.check()
            assert self._validate is not None
            try:
                value = self._validate(value)
            except Exception as error:
                raise DecodeError(invalid(error, self._type), raw=raw) from cause(error)
        return cast("T", value)

    def also_stored_as(self, value: T, /) -> tuple[bytes, ...]:
        """See ``ValueCodec``."""
        return ()

    def _constrained(self, value: object) -> None:
        self.check()
        assert self._validate is not None
        try:
            back = self._validate(value)
        except Exception as error:
            raise EncodeError(reason(error)) from cause(error)
        if back != value:
            raise EncodeError(f"it would come back as {short(back)}, which the declared type makes of it.")


class Json(Generic[T]):
    """Pydantic JSON: dumped by field name, validated by name and alias."""

    __slots__ = ("_dump", "_load", "_need", "_type", "_use")

    _dump: Callable[..., bytes] | None

    def __init__(self, value_type: object, use: Use) -> None:
        self._type = value_type
        self._use = use
        self._need: Need = "nothing"
        self._dump = None
        self._load: Callable[..., object] = _unbound

    def check(self) -> None:
        """See ``ValueCodec``."""
        if self._dump is not None:
            return
        adapter = _adapter(self._type)
        if self._use != "value":
            opaque = opaque_part(adapter.core_schema)
            if opaque is not None and self._use == "key":
                raise DeclarationError(
                    f"{name_of(self._type)} has no canonical form, because it contains {opaque}; where Redis compares "
                    "bytes, declare the types exactly, e.g. tuple[str, int] or a frozen model"
                )
            self._need = canonical_need(adapter.core_schema)
        self._load = adapter.validator.validate_json
        self._dump = adapter.serializer.to_json

    def encode(self, value: T, /) -> bytes:
        """See ``ValueCodec``."""
        if self._dump is None:
            self.check()
        try:
            raw, back = self._there_and_back(value)
        except Exception as error:
            raise EncodeError(self._unfit(value, error)) from cause(error)
        try:
            fits = type(back) is type(value) and back == value
        except Exception:  # an __eq__ of the user's; look closer
            fits = False
        if not fits:
            self._look_closer(value, back)
        return raw if self._use == "value" else self._canonical(raw, back)

    def decode(self, raw: bytes, /) -> T:
        """See ``ValueCodec``."""
        if self._dump is None:
            self.check()
        try:
            return cast("T", self._load(raw, by_alias=True, by_name=True))
        except Exception as error:
            raise DecodeError(invalid(error, self._type), raw=raw) from cause(error)

    def also_stored_as(self, value: T, /) -> tuple[bytes, ...]:
        """See ``ValueCodec``."""
        try:
            if isinstance(value, BaseModel):
                other = value.model_dump_json().encode()
            elif self._type is dict:
                other = json.dumps(value).encode()
            else:
                return ()
        except Exception:  # what 2.x could not write, it did not store
            return ()
        return () if other == self.encode(value) else (other,)

    def _there_and_back(self, value: object) -> tuple[bytes, object]:
        assert self._dump is not None
        raw = self._dump(value, by_alias=False, round_trip=True, warnings=False)
        return raw, self._load(raw, by_alias=True, by_name=True)

    def _canonical(self, raw: bytes, back: object) -> bytes:
        assert self._dump is not None
        # Of what comes back, not of what was given: a 3 where a float is declared is 3.0 by now.
        raw = self._dump(back, by_alias=False, round_trip=True, warnings=False)
        if self._need == "walk" or (self._need == "zero" and b"-0.0" in raw):
            raw = canonical_bytes(back, raw)
            again = self._load(raw, by_alias=True, by_name=True)
            if difference(back, again) is not None:
                raise EncodeError(f"its canonical form would come back as {short(again)}.")
        return raw

    def _unfit(self, value: object, error: Exception) -> str:
        """Why a value could not be encoded, or what was encoded is not valid."""
        plain = plain_type(self._type)
        if isinstance(plain, type) and type(value) is not plain:
            return wrong_type(value, plain, name_of(self._type))
        if isinstance(error, PydanticSerializationError):
            return f"it cannot be written as JSON: {clipped(str(error))}."
        changed = " (was it changed after it was validated?)" if isinstance(value, BaseModel) else ""
        return f"{reason(error)[:-1]}{changed}."

    def _look_closer(self, value: object, back: object) -> None:
        """Refuse a value that does not come back, unless it only seems so."""
        plain = plain_type(self._type)
        is_int_for_float = type(back) is float and type(value) is int
        if type(back) is not type(value) and not is_int_for_float:
            if isinstance(plain, type):
                raise EncodeError(wrong_type(value, plain, name_of(self._type)))
            raise EncodeError(
                f"a {name_of(type(value))} would come back as a {name_of(type(back))}: name the type exactly in the "
                f"declaration, which is {name_of(self._type)} now."
            )
        found = difference(back if is_int_for_float and back == value else value, back)
        if found is not None:
            place, was, comes = found
            at = f"at {place}, " if place else ""
            raise EncodeError(
                f"it does not come back equal: {at}{short(was)} would come back as {short(comes)}. "
                "What JSON does not carry (masked secrets, excluded fields, inf and nan in a model) needs a "
                "serializer or another declared type."
            )


class Checked(Generic[T]):
    """A codec of the user's under the write rule."""

    __slots__ = ("_codec", "_is_valid", "_type")

    def __init__(self, codec: Codec[T], value_type: object) -> None:
        self._codec = codec
        self._type = value_type
        self._is_valid: Callable[..., bool] | None = None

    def check(self) -> None:
        """See ``ValueCodec``."""
        if self._is_valid is None:
            self._is_valid = _adapter(self._type, arbitrary=True).validator.isinstance_python

    def encode(self, value: T, /) -> bytes:
        """See ``ValueCodec``."""
        plain = plain_type(self._type)
        if isinstance(plain, type) and type(value) is not plain and not issubclass(type(value), plain):
            raise EncodeError(wrong_type(value, plain, name_of(self._type)))
        if not self._fits(value):
            raise EncodeError(f"{short(value)} is not a valid {name_of(self._type)}.")
        try:
            raw = self._codec.encode(value)
        except Exception as error:
            raise EncodeError(f"the codec {self._codec!r} failed: {clipped(str(error))}.") from cause(error)
        if type(raw) is not bytes:
            raise EncodeError(f"the codec {self._codec!r} returned {name_of(type(raw))}, not bytes.")
        try:
            back = self.decode(raw)
        except DecodeError as error:
            raise EncodeError(f"the codec {self._codec!r} cannot read what it wrote: {error}") from cause(error)
        if type(back) is not type(value) or difference(value, back) is not None:
            raise EncodeError(f"the codec {self._codec!r} would bring it back as {short(back)}.")
        return raw

    def decode(self, raw: bytes, /) -> T:
        """See ``ValueCodec``."""
        try:
            value = self._codec.decode(raw)
        except Exception as error:
            raise DecodeError(
                f"does not hold a valid {name_of(self._type)}: the codec {self._codec!r} says: {clipped(str(error))}.",
                raw=raw,
            ) from cause(error)
        if not self._fits(value):
            raise DecodeError(f"does not hold a valid {name_of(self._type)}, but {short(value)}.", raw=raw)
        return value

    def also_stored_as(self, value: T, /) -> tuple[bytes, ...]:
        """See ``ValueCodec``."""
        return ()

    def _fits(self, value: object) -> bool:
        self.check()
        assert self._is_valid is not None
        return self._is_valid(value, strict=True)


def plain_type(value_type: object) -> object:
    """The type behind annotations, new types and aliases."""
    while True:
        if get_origin(value_type) is Annotated:
            value_type = get_args(value_type)[0]
        elif isinstance(value_type, NewType):
            value_type = value_type.__supertype__
        elif isinstance(value_type, TypeAliasType):
            value_type = value_type.__value__
        else:
            return value_type


def _unbound(*_: object, **__: object) -> object:
    raise AssertionError("a codec is bound before its first use")


def _has_config(plain: object) -> bool:
    """Whether pydantic takes the configuration from the type itself, and refuses another."""
    return is_dataclass(plain) or is_typeddict(plain) or (isinstance(plain, type) and issubclass(plain, BaseModel))


def _adapter(value_type: object, *, arbitrary: bool = False) -> TypeAdapter[object]:
    """A TypeAdapter that is complete: schema, validator and serializer are built.

    Raises:
        DeclarationError: pydantic has no schema for the type; its own error is the cause.
    """
    form = cast("TypeForm[object]", value_type)
    try:
        config = _CONFIG_ARBITRARY if arbitrary else _CONFIG
        adapter = TypeAdapter[object](form, config=None if _has_config(plain_type(value_type)) else config)
        if not adapter.pydantic_complete:
            adapter.rebuild(raise_errors=True)
    except Exception as error:  # TypeError, NameError, RecursionError: whatever a type makes of itself
        raise DeclarationError(
            f"{name_of(value_type)} cannot be stored: {str(error).splitlines()[0]} Declare a type that pydantic can "
            "validate, or give the field a codec of your own with codec=."
        ) from error
    return adapter
