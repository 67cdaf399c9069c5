"""ValueCodec: what collections hold to turn one value into bytes and back.

``TextCodec`` and ``BytesCodec`` store raw (``ConstrainedCodec`` is around them if the type has constraints),
``JsonCodec`` stores everything else, ``OrderedCodec`` does it for lists, which are searched, ``CanonicalCodec`` where
the server compares values byte by byte. All of them return from ``encode`` only bytes that decode to the same value.

``encode`` is written for the value that is fine: dump, load, compare, with pydantic's functions bound once; where a
look proves that the value is fine (``_plain``) the dump is enough.
Whatever else happens there, ``_carefully`` does the same again step by step, to accept the value after all or to
say what is wrong.
"""

from __future__ import annotations

import json
from abc import ABC, abstractmethod
from dataclasses import is_dataclass, replace
from functools import partial
from typing import TYPE_CHECKING, ClassVar, Generic, Protocol, TypeVar, cast, get_args

from pydantic import BaseModel, ConfigDict, TypeAdapter, ValidationError
from pydantic.errors import PydanticUndefinedAnnotation, PydanticUserError
from pydantic_core import SchemaSerializer
from typing_extensions import is_typeddict

from purse.codecs._canonical import canonical, makes_no_bytes, nodes, plan_for
from purse.codecs._plain import plain_check
from purse.codecs._sameness import EXACT, Difference, Rule, first_difference
from purse.codecs._shown import evidence, said
from purse.codecs._type_names import type_name, unwrapped
from purse.codecs._unset import check_factories, has_models
from purse.codecs._wording import changed, invalid, not_read_back, unwritable, wrong_type
from purse.errors import DeclarationError, DecodeError, EncodeError, PurseError

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable

    from purse.codecs._canonical import Plan
    from purse.codecs._plain import PlainCheck

__all__ = [
    "BytesCodec",
    "CanonicalCodec",
    "ConstrainedCodec",
    "JsonCodec",
    "OrderedCodec",
    "TextCodec",
    "ValueCodec",
    "adapter_for",
    "lost",
]

T = TypeVar("T")

# Pydantic's defaults lose inf and nan (they become null) and refuse bytes that are not UTF-8. A model
# has its own config: there it is the model's to say.
_CONFIG = ConfigDict(ser_json_inf_nan="constants", ser_json_bytes="base64", val_json_bytes="base64")


class Codec(Protocol[T]):
    """What stores values of one type; implement it for compression, encryption or another format.

    Both methods are synchronous, may be called from any thread, and raise whatever they like for a value or bytes
    they cannot handle: it becomes the ``__cause__`` of an ``EncodeError`` or ``DecodeError``. A collection calls
    ``decode`` on what ``encode`` returned before it sends anything, and refuses what does not come back with its state.
    """

    def encode(self, value: T, /) -> bytes:
        """The bytes to store for ``value``."""
        ...

    def decode(self, raw: bytes, /) -> T:
        """The value that ``encode`` turned into ``raw``."""
        ...


class ValueCodec(ABC, Generic[T]):
    """A ``Codec`` that keeps the write rule and raises only purse's errors.

    Attributes:
        value_type: the type it was made for.
    """

    __slots__ = ("value_type",)

    value_type: object

    def __init__(self, value_type: object) -> None:
        self.value_type = value_type

    @abstractmethod
    def encode(self, value: T, /) -> bytes:
        """The bytes to store for ``value``; they decode to a value of the same type and state.

        Raises:
            EncodeError: there are no such bytes; the message is only the reason.
            DeclarationError: the type cannot be stored at all.
        """

    @abstractmethod
    def decode(self, raw: bytes, /) -> T:
        """The value that ``raw`` stands for.

        Raises:
            DecodeError: ``raw`` is not a valid value of the type; the message is only the reason.
            DeclarationError: the type cannot be stored at all.
        """

    def encode_all(self, values: Iterable[T], /) -> list[bytes]:
        """What ``encode`` returns for each of ``values``, sooner.

        Raises:
            EncodeError: one of them cannot be stored; which one, ``encode`` says.
        """
        return [self.encode(value) for value in values]

    def decode_all(self, raws: Iterable[bytes], /) -> list[T]:
        """What ``decode`` returns for each of ``raws``, sooner.

        Raises:
            DecodeError: one of them is not valid; which one, ``decode`` says.
        """
        return [self.decode(raw) for raw in raws]

    @property
    def any_order(self) -> bool:
        """Whether equal values may be stored as JSON in which the members of objects stand in another order."""
        return False

    def also_stored_as(self, value: T, /) -> tuple[bytes, ...]:
        """The other bytes under which an equal value may be stored; mostly none.

        They are its normal form, for a list, and what redis-purse 2.x wrote.

        Raises:
            EncodeError: as ``encode``.
        """
        self.encode(value)
        return ()

    def check(self) -> None:
        """Find out now, instead of at first use, whether the type can be stored.

        A type that refers to a class that is not defined yet passes, and is checked again at first use.

        Raises:
            DeclarationError: it cannot; the message says what to declare instead.
        """


class TextCodec(ValueCodec[str]):
    """``str``, stored raw as UTF-8."""

    __slots__ = ()

    def encode(self, value: str, /) -> bytes:
        if type(value) is str:
            try:
                return value.encode()
            except UnicodeEncodeError as error:
                cause = error
            raise EncodeError(unwritable(str, cause)) from evidence(cause)
        raise EncodeError(wrong_type(str, value) or changed(str, Difference("", value, "")))

    def decode_all(self, raws: Iterable[bytes], /) -> list[str]:
        try:
            return [raw.decode() for raw in raws]
        except UnicodeDecodeError as error:
            raise DecodeError(invalid(str, error)) from evidence(error)

    def decode(self, raw: bytes, /) -> str:
        try:
            return raw.decode()
        except UnicodeDecodeError as error:
            cause = error
        raise DecodeError(invalid(str, cause), raw=raw) from evidence(cause)


class BytesCodec(ValueCodec[bytes]):
    """``bytes``, stored raw."""

    __slots__ = ()

    def encode(self, value: bytes, /) -> bytes:
        if type(value) is bytes:
            return value
        raise EncodeError(wrong_type(bytes, value) or changed(bytes, Difference("", value, b"")))

    def decode(self, raw: bytes, /) -> bytes:
        return raw

    def decode_all(self, raws: Iterable[bytes], /) -> list[bytes]:
        return [*raws]


class ConstrainedCodec(ValueCodec[T]):
    """A ``str`` or ``bytes`` with constraints: stored as it is, and validated both ways."""

    __slots__ = ("_raw", "_validate")

    def __init__(self, value_type: object, raw: ValueCodec[T], adapter: TypeAdapter[T]) -> None:
        super().__init__(value_type)
        self._raw = raw
        self._validate: Callable[[T], T] = adapter.validator.validate_python

    def encode(self, value: T, /) -> bytes:
        raw = self._raw.encode(value)
        cause: Exception | None = None
        try:
            back = self._validate(value)
            if type(back) is type(value) and back == value:
                return raw
            reason = changed(self.value_type, Difference("", value, back))
        except ValidationError as error:
            cause, reason = error, not_read_back(self.value_type, value, error)
        except Exception as error:  # from a validator of the user's
            cause, reason = error, unwritable(self.value_type, error)
        raise EncodeError(reason) from evidence(cause)

    def decode(self, raw: bytes, /) -> T:
        text = self._raw.decode(raw)
        try:
            return self._validate(text)
        except Exception as error:  # ValidationError, or what a validator of the user's raises
            cause = error
        raise DecodeError(invalid(self.value_type, cause), raw=raw) from evidence(cause)


class JsonCodec(ValueCodec[T]):
    """Any type that pydantic validates, as JSON.

    Attributes:
        exclude_unset: leave out the fields of models that were never set, and keep them unset.
    """

    __slots__ = ("_load_json", "_rule", "_to_json", "exclude_unset", "is_plain")

    _ordered: ClassVar[bool] = False  # whether the fields of a model are written in declared order
    _exact: ClassVar[Rule] = EXACT

    def __init__(self, value_type: object, *, exclude_unset: bool = False) -> None:
        super().__init__(value_type)
        self.exclude_unset = exclude_unset
        self._rule = self._exact
        # Until the first use these bind; then they are pydantic's own, without a layer between.
        self._to_json: Callable[..., bytes] = self._first_dump
        self._load_json: Callable[..., T] = self._first_load
        self.is_plain: PlainCheck | None = None

    def encode(self, value: T, /) -> bytes:
        try:
            if self.is_plain is not None and self.is_plain(value):
                return self._to_json(value)
            raw = self._to_json(value, by_alias=False, round_trip=True, warnings=False)
            if self._is_kept(value, self._load_json(raw, by_alias=True, by_name=True)):
                return raw
        except Exception:  # explained by what follows, which meets it again
            pass
        return self._carefully(value)

    def decode(self, raw: bytes, /) -> T:
        try:
            if self.is_plain is not None:
                return self._load_json(raw)  # no aliases, so no word about them
            return self._load_json(raw, by_alias=True, by_name=True)
        except PurseError:
            raise
        except Exception as error:  # ValidationError, or what a validator of the user's raises
            cause = error
        raise DecodeError(invalid(self.value_type, cause), raw=raw) from evidence(cause)

    def encode_all(self, values: Iterable[T], /) -> list[bytes]:
        plain, dump, encode = self.is_plain, self._to_json, self.encode
        if plain is None:
            return super().encode_all(values)
        try:
            return [dump(value) if plain(value) else encode(value) for value in values]
        except ValueError as error:  # what pydantic raises for a lone surrogate, EncodeError among them
            raise EncodeError(unwritable(self.value_type, error)) from evidence(error)

    def decode_all(self, raws: Iterable[bytes], /) -> list[T]:
        load = self._load_json
        if load == self._first_load or self.is_plain is None:
            return super().decode_all(raws)
        try:
            return [*map(load, raws)]  # no aliases, so no word about them
        except ValidationError as error:
            raise DecodeError(invalid(self.value_type, error)) from evidence(error)

    def check(self) -> None:
        if self._load_json != self._first_load:
            return
        try:
            self._bind()
        except DeclarationError as error:
            if not isinstance(error.__cause__, PydanticUndefinedAnnotation):
                raise

    def _bind(self) -> TypeAdapter[T]:
        adapter = cast("TypeAdapter[T]", adapter_for(self.value_type))
        to_json: Callable[..., bytes] = adapter.serializer.to_json
        rule = replace(self._exact, native=makes_no_bytes(adapter.core_schema))
        plain: PlainCheck | None = None
        if self.exclude_unset and has_models(adapter.core_schema):
            check_factories(adapter.core_schema, self.value_type)
            rule = replace(rule, fields_set=True)
            to_json = partial(to_json, exclude_unset=True)
        else:
            plain = plain_check(adapter.core_schema, ordered=self._ordered, normal=self._exact.normal)
        # In this order: another thread may use the codec at the same time, and takes a shorter way if ``is_plain`` is
        # there, which needs all that comes before. Whoever finds less than that binds once more, to the same.
        self._rule = rule
        self._to_json = to_json
        self._load_json = adapter.validator.validate_json
        self.is_plain = plain
        return adapter

    def _first_dump(self, value: T, /, *, by_alias: bool, round_trip: bool, warnings: bool) -> bytes:
        self._bind()
        return self._to_json(value, by_alias=by_alias, round_trip=round_trip, warnings=warnings)

    def _first_load(self, raw: bytes, /, *, by_alias: bool, by_name: bool) -> T:
        self._bind()
        return self._load_json(raw, by_alias=by_alias, by_name=by_name)

    def _is_kept(self, value: object, back: object) -> bool:
        return type(back) is type(value) and first_difference(value, back, self._rule) is None

    def _write(self, value: T) -> bytes:
        return self._to_json(value, by_alias=False, round_trip=True, warnings=False)

    def _read(self, raw: bytes) -> T:
        return self._load_json(raw, by_alias=True, by_name=True)

    def _carefully(self, value: T) -> bytes:
        cause: Exception | None = None
        try:
            raw = self._write(value)
            found = lost(value, self._read(raw), self._rule)
            if found is None:
                return raw
            reason = wrong_type(self.value_type, value) or changed(self.value_type, found)
        except PurseError:
            raise
        except ValidationError as error:
            cause = error
            reason = wrong_type(self.value_type, value) or not_read_back(self.value_type, value, error)
        except Exception as error:  # from pydantic's serializer, or from code of the value's own
            cause = error
            reason = wrong_type(self.value_type, value) or unwritable(self.value_type, error)
        raise EncodeError(reason) from evidence(cause)


class OrderedCodec(JsonCodec[T]):
    """JSON of which the bytes do not depend on how the value was made, for lists, which are searched.

    Fields are in declared order, and sets are sorted. Everything else is as it was written, so that it comes back
    like that.
    """

    __slots__ = ("_normal_plan", "_plan")

    _ordered = True
    _plan: Plan
    _normal_plan: Plan

    def encode(self, value: T, /) -> bytes:
        try:
            if self.is_plain is not None and self.is_plain(value):
                raw = self._to_json(value)
                if not self._plan.normal or b"-0.0" not in raw:
                    return raw
            raw = self._to_json(value, by_alias=False, round_trip=True, warnings=False)
            back = self._load_json(raw, by_alias=True, by_name=True)
            if self._is_kept(value, back):
                best = self._put_right(back, self._plan)
                if best == raw or self._is_kept(value, self._load_json(best, by_alias=True, by_name=True)):
                    return best
        except Exception:  # explained by what follows, which meets it again
            pass
        return self._carefully(value)

    @property
    def any_order(self) -> bool:
        if self._load_json == self._first_load:
            self._bind()
        return self._plan.any_order and not self._plan.normal

    def also_stored_as(self, value: T, /) -> tuple[bytes, ...]:
        raw = self.encode(value)
        normal, older = self._in_normal_form(raw), self._form_of_2x(value)
        if normal == raw and not older:
            return ()
        return tuple(dict.fromkeys((raw, normal, *older)))[1:]

    def _in_normal_form(self, raw: bytes) -> bytes:
        plan = self._normal_plan
        if plan is self._plan or not (plan.walk or b"-0.0" in raw):
            return raw
        return canonical(self._read(raw), raw, plan)

    def _form_of_2x(self, value: T) -> tuple[bytes, ...]:
        try:
            if isinstance(value, BaseModel):
                if self.is_plain is not None and self.is_plain(value):
                    return ()  # it wrote it as it is written now
                return (value.model_dump_json(warnings=False).encode(),)
            return (json.dumps(value).encode(),) if type(value) is dict else ()
        except Exception:  # then 2.x could not store it either
            return ()

    def _bind(self) -> TypeAdapter[T]:
        adapter = cast("TypeAdapter[T]", adapter_for(self.value_type))
        self._normal_plan = plan_for(adapter.core_schema)
        self._plan = self._chosen(self._normal_plan)
        return super()._bind()

    def _chosen(self, plan: Plan) -> Plan:
        """The plan by which values are written.

        Raises:
            DeclarationError: the type cannot be stored in this way.
        """
        return plan.as_written()

    def _write(self, value: T) -> bytes:
        return self._put_right(self._read(super()._write(value)), self._plan)

    def _put_right(self, back: T, plan: Plan) -> bytes:
        """The bytes of a value that was read.

        What was read is dumped again, because it has its fields in declared order and its parts of the declared
        types: what was given may hold a ``1`` where ``1.0`` comes back.
        """
        raw = self._to_json(back, by_alias=False, round_trip=True, warnings=False)
        return canonical(back, raw, plan) if plan.walk or (plan.normal and b"-0.0" in raw) else raw


class CanonicalCodec(OrderedCodec[T]):
    """JSON in canonical form: equal values are equal bytes, as `purse.codecs._canonical` defines it."""

    __slots__ = ("_best_effort",)

    _exact = Rule(normal=True)

    def __init__(self, value_type: object, *, best_effort: bool, exclude_unset: bool = False) -> None:
        super().__init__(value_type, exclude_unset=exclude_unset)
        self._best_effort = best_effort

    def encode_all(self, values: Iterable[T], /) -> list[bytes]:
        given = [*values]
        raws = super().encode_all(given)
        if b"-0.0" not in b"".join(raws):
            return raws
        return [self.encode(value) if b"-0.0" in raw else raw for value, raw in zip(given, raws, strict=True)]

    def _chosen(self, plan: Plan) -> Plan:
        if plan.doubts and not self._best_effort:
            raise DeclarationError(
                f"{type_name(self.value_type)} cannot be a key or a member: it holds {' and '.join(plan.doubts)}, for "
                "which equal values may be stored as different bytes. Declare its exact type, or use it as a value."
            )
        return plan


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
            raise DeclarationError(f"a value type is a class, and not an instance of it: pass {name}, not {name}(...)")
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
                "Python 3.12; write from typing_extensions import TypedDict"
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
            f"{cls.__name__} is a model of pydantic.v1, which pydantic 2 does not read or write as it does its own; "
            "derive it from pydantic.BaseModel, or pass codec= with a codec for it"
        )


def _has_config(core: object) -> bool:
    """Whether pydantic takes the configuration from the type itself, and refuses another."""
    return is_dataclass(core) or is_typeddict(core) or (isinstance(core, type) and issubclass(core, BaseModel))


def lost(value: object, back: object, rule: Rule = EXACT) -> Difference | None:
    """What of ``value`` is not in ``back``; nothing, if it has the same type and the same state."""
    found = first_difference(value, back, rule)
    if found is None and type(back) is not type(value) and not (type(back) is float and type(value) is int):
        return Difference("", value, back)
    return found
