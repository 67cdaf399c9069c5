"""The codecs that write JSON.

``JsonCodec`` stores every type that pydantic validates, ``OrderedCodec`` does it for lists, which are searched,
``CanonicalCodec`` where the server compares values byte by byte.

``encode`` is written for the value that is fine: dump, load, compare, with pydantic's functions bound once. Where a
look proves that the value is fine (``_plain``, ``_plain_json``) the dump is enough. In every other case ``_carefully``
does the same again step by step, to accept the value after all or to say what is wrong.
"""

from __future__ import annotations

import json
from dataclasses import replace
from functools import partial
from typing import TYPE_CHECKING, ClassVar, TypeVar, cast

from pydantic import BaseModel, TypeAdapter, ValidationError
from pydantic.errors import PydanticUndefinedAnnotation

from purse.codecs._adapters import adapter_for
from purse.codecs._canonical import canonical, makes_no_bytes, plan_for
from purse.codecs._plain import plain_check
from purse.codecs._plain_json import json_reader, json_writer
from purse.codecs._sameness import EXACT, Rule, first_difference, lost
from purse.codecs._shown import evidence
from purse.codecs._type_names import type_name
from purse.codecs._unset import check_factories, has_models
from purse.codecs._value_codecs import ValueCodec
from purse.codecs._wording import changed, invalid, not_read_back, unwritable, wrong_type
from purse.errors import DeclarationError, DecodeError, EncodeError, PurseError

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable

    from purse.codecs._canonical import Plan
    from purse.codecs._plain import PlainCheck
    from purse.codecs._plain_json import JsonWriter

__all__ = ["CanonicalCodec", "JsonCodec", "OrderedCodec"]

T = TypeVar("T")


class JsonCodec(ValueCodec[T]):
    """Any type that pydantic validates, as JSON.

    Attributes:
        exclude_unset: leave out the fields of models that were never set, and keep them unset.
    """

    __slots__ = ("_load_json", "_load_plain", "_rule", "_to_json", "_write_plain", "exclude_unset", "is_plain")

    _ordered: ClassVar[bool] = False  # whether the fields of a model are written in declared order
    _exact: ClassVar[Rule] = EXACT

    def __init__(self, value_type: object, *, exclude_unset: bool = False) -> None:
        super().__init__(value_type)
        self.exclude_unset = exclude_unset
        self._rule = self._exact
        # Until the first use these bind; then they are pydantic's own, without a layer between.
        self._to_json: Callable[..., bytes] = self._first_dump
        self._load_json: Callable[..., T] = self._first_load
        self._write_plain: JsonWriter | None = None
        self._load_plain: Callable[[bytes], T] | None = None
        self.is_plain: PlainCheck | None = None

    def encode(self, value: T, /) -> bytes:
        try:
            if self.is_plain is not None and self.is_plain(value):
                return self._to_json(value)
            if self._write_plain is not None and (written := self._write_plain(value)) is not None:
                return written
            raw = self._to_json(value, by_alias=False, round_trip=True, warnings=False)
            if self._is_kept(value, self._load_json(raw, by_alias=True, by_name=True)):
                return raw
        except Exception:  # explained by what follows, which meets it again
            pass
        return self._carefully(value)

    def decode(self, raw: bytes, /) -> T:
        try:
            load = self._load_plain
            if load is not None:
                return load(raw)
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
        load = self._load_plain
        if load is None:
            return super().decode_all(raws)
        try:
            return [*map(load, raws)]
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
        # there, which needs all that comes before. A thread that finds less than that binds once more, to the same.
        self._rule = rule
        self._to_json = to_json
        self._load_json = load = adapter.validator.validate_json
        if plain is None:
            self._write_plain = json_writer(adapter.core_schema, sort=self._exact.normal)
            self._load_plain = json_reader(adapter.core_schema, load)
        else:
            self._load_plain = load  # no aliases, so no word about them
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

    __slots__ = ("_normal_plan", "_plan", "_sort_plain")

    _ordered = True
    _plan: Plan
    _normal_plan: Plan
    _sort_plain: JsonWriter | None

    def encode(self, value: T, /) -> bytes:
        try:
            if self.is_plain is not None and self.is_plain(value):
                plain: bytes | None = self._to_json(value)
            else:
                plain = None if self._write_plain is None else self._write_plain(value)
            if plain is not None and not (self._plan.normal and b"-0.0" in plain):
                return plain
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
        normal, older = self._in_normal_form(value, raw), self._form_of_2x(value)
        if normal == raw and not older:
            return ()
        return tuple(dict.fromkeys((raw, normal, *older)))[1:]

    def _in_normal_form(self, value: T, raw: bytes) -> bytes:
        plan = self._normal_plan
        if plan is self._plan or not (plan.walk or b"-0.0" in raw):
            return raw
        if self._sort_plain is not None and b"-0.0" not in raw and (written := self._sort_plain(value)) is not None:
            return written
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
        self._sort_plain = json_writer(adapter.core_schema, sort=True)
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
