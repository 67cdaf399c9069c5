"""Which codec a collection gets, and what a codec of the user's has to prove."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, ForwardRef, Protocol, TypeVar, cast

from purse.codecs._adapters import adapter_for
from purse.codecs._canonical import has_serializer
from purse.codecs._codec_types import stored_by
from purse.codecs._json_codecs import CanonicalCodec, JsonCodec, OrderedCodec
from purse.codecs._sameness import Rule, lost
from purse.codecs._shown import evidence, is_hidden, quoted
from purse.codecs._type_caches import cached_by_type
from purse.codecs._type_names import fits, is_hashable, type_name, unwrapped
from purse.codecs._value_codecs import BytesCodec, Codec, ConstrainedCodec, TextCodec, ValueCodec
from purse.codecs._wording import changed, invalid, message_of, wrong_type
from purse.errors import CodecError, DeclarationError, DecodeError, EncodeError, PurseError

if TYPE_CHECKING:
    from collections.abc import Callable

    from typing_extensions import TypeForm

    from purse.codecs._difference import Difference

__all__ = ["CodecFactory", "Json", "bind_codec", "canonical_codec_for", "checked", "codec_for", "key_codec_for"]

T = TypeVar("T")


class CodecFactory(Protocol):
    """What ``class S(Store, codec=...)`` takes: called with the value type of each field, it returns the codec.

    ``codec_for`` is one, and so is a codec class whose constructor takes the value type.
    """

    def __call__(self, value_type: TypeForm[T], /) -> Codec[T]:
        """The codec for values of ``value_type``."""
        ...


def codec_for(value_type: TypeForm[T], /) -> ValueCodec[T]:
    """The codec that purse uses for ``value_type`` unless you declare another.

    ``str`` and ``bytes``, also with constraints, are stored raw, everything else as JSON. Wrap the codec to build
    another one: ``zlib.compress(self._inner.encode(value))``. Codecs are cached, so another call is cheap.

    Args:
        value_type: any type pydantic can validate.

    Returns:
        A codec. It is completed at its first use, so ``value_type`` may still refer to classes that are defined later.

    Raises:
        DeclarationError: pydantic cannot validate such a type. Raised at first use at the latest.
    """
    return cast("ValueCodec[T]", _cached(_Make(), value_type))


def canonical_codec_for(value_type: TypeForm[T], /, *, best_effort: bool = False) -> ValueCodec[T]:
    """The codec for ``value_type`` under which equal values are equal bytes (`purse.codecs._canonical` says how).

    It reads and writes what ``codec_for`` reads, and for plain models the same bytes.

    Args:
        value_type: any type pydantic can validate.
        best_effort: accept types for which that cannot be promised (``Any``, serializers of your own), and
            normalise what can be. For lists, which compare bytes only when they are searched.

    Raises:
        DeclarationError: equal values could be different bytes, or pydantic cannot validate such a type. A
            type that is not complete yet is refused at first use.
    """
    found = cast("ValueCodec[T]", _cached(_Make(CanonicalCodec, best_effort), value_type))
    found.check()
    return found


def checked(codec: Codec[T], value_type: TypeForm[T], /, *, canonical: bool = False) -> ValueCodec[T]:
    """A codec of the user's, put under the write rule.

    Args:
        codec: what encodes and decodes.
        value_type: what it is declared to hold.
        canonical: the server compares the bytes, so the value that was read back must encode to the same bytes
            again. That refuses, for example, encryption with a random nonce.
    """
    return _CheckedCodec(codec, value_type, canonical=canonical)


def bind_codec(
    value_type: TypeForm[T],
    codec: Codec[T] | CodecFactory | None = None,
    /,
    *,
    canonical: bool = False,
    best_effort: bool = False,
    searched: bool = False,
) -> ValueCodec[T]:
    """The codec of one field: its own, one from a factory, or the default.

    Args:
        value_type: what the field holds.
        codec: as declared, or None for the default.
        canonical: the server compares these bytes.
        best_effort: as for ``canonical_codec_for``. A codec of the user's need not be deterministic then.
        searched: values come back as they were written, and are searched for by their bytes.

    Raises:
        DeclarationError: ``codec`` is neither a codec nor a factory of one, or is one for another type, or nothing can
            store ``value_type``. Also as for ``canonical_codec_for`` and ``Json``.
    """
    made: object = codec
    if codec is not None and not _is_codec(codec):
        if not callable(codec):
            raise DeclarationError(f"codec= must be a codec or a function from a type to a codec, not {quoted(codec)}")
        try:
            made = codec(value_type)
        except PurseError:
            raise
        except Exception as error:  # the function is the user's, or none that makes codecs: codec=int
            raise DeclarationError(
                f"codec={quoted(codec)} raised {message_of(error)} for {type_name(value_type)}: pass a codec, or a "
                "function from a type to a codec"
            ) from error
        if not _is_codec(made):
            raise DeclarationError(
                f"codec={quoted(codec)} returned {quoted(made)} for {type_name(value_type)}: return an object with "
                "encode(value) and decode(raw)"
            )
    if made is not None and not _is_default(made, value_type):
        other = stored_by(made, value_type)
        if other is not None:
            raise DeclarationError(
                f"codec={type(made).__name__} is for {other}, and the values are declared as {type_name(value_type)}; "
                f"declare {other}, or pass a codec for {type_name(value_type)}"
            )
        return checked(cast("Codec[T]", made), value_type, canonical=canonical and not best_effort)
    exclude_unset = isinstance(made, JsonCodec) and made.exclude_unset
    kind: type[JsonCodec[object]] = CanonicalCodec if canonical else OrderedCodec if searched else JsonCodec
    found = cast("ValueCodec[T]", _cached(_Make(kind, best_effort, exclude_unset), value_type))
    found.check()
    return found


def key_codec_for(key_type: TypeForm[T], /) -> ValueCodec[T]:
    """The codec for the keys of a mapping.

    Raises:
        DeclarationError: such keys cannot be hashed, or as for ``canonical_codec_for``.
    """
    # Unhashable first: such a type may well have a canonical form, and would fail in dict() only.
    if not is_hashable(key_type):
        raise DeclarationError(
            f"{type_name(key_type)} cannot be a key type, because its values cannot be keys of a dict: use str, int, "
            "UUID, a tuple, an enum or a frozen model"
        )
    return canonical_codec_for(key_type)


@dataclass(frozen=True, slots=True, kw_only=True)
class Json:
    """The codec of ``codec_for``, with options: ``plants: RedisHash[Plant] = field(codec=Json(exclude_unset=True))``.

    It is a ``CodecFactory``, so ``class Garden(Store, codec=Json(exclude_unset=True))`` gives it to all fields. ``str``
    and ``bytes`` are always stored raw.

    Args:
        exclude_unset: leave the fields out of the JSON of a model that were never set, in nested models too. They come
            back as never set, so that ``model_dump(exclude_unset=True)`` gives what it gave before: a partial update
            stays partial. For such a codec which fields were set is part of the value, so a set tells two models
            apart that differ in that alone.

    Raises:
        DeclarationError: when a field or collection is made with it: a ``default_factory`` in one of the models may
            make another value each time, so that an unset field would come back with another value.
    """

    exclude_unset: bool = False

    def __call__(self, value_type: TypeForm[T], /) -> ValueCodec[T]:
        """The codec for values of ``value_type``."""
        return cast("ValueCodec[T]", _cached(_Make(exclude_unset=self.exclude_unset), value_type))


class _CheckedCodec(ValueCodec[T]):
    """A codec of the user's under the write rule. Its exceptions become purse's."""

    __slots__ = ("_canonical", "_codec", "_name", "_rule")

    def __init__(self, codec: Codec[T], value_type: object, *, canonical: bool) -> None:
        super().__init__(value_type)
        self._codec = codec
        self._canonical = canonical
        self._rule = Rule(normal=canonical)
        self._name = type(codec).__name__

    def encode(self, value: T, /) -> bytes:
        cause: Exception | None = None
        reason = wrong_type(self.value_type, value)
        if reason is None:
            step = "encode"
            try:
                raw = self._codec.encode(value)
                step = "decode"
                back = self._codec.decode(raw)
                found = lost(value, back, self._rule)
                if found is None and type(raw) is bytes and not (self._canonical and self._codec.encode(back) != raw):
                    return raw
                reason = self._refusal(raw, found)
            except Exception as error:  # the codec is the user's: anything
                cause, reason = error, self._failure(step, error)
                if isinstance(error, CodecError):
                    cause = cast("Exception | None", error.__cause__)
        raise EncodeError(reason) from evidence(cause)

    def decode(self, raw: bytes, /) -> T:
        try:
            value = self._codec.decode(raw)
            if fits(self.value_type, value):
                return value
            cause = None
            reason = f"does not hold a valid {type_name(self.value_type)}: {self._name} decoded {type(value).__name__}."
        except CodecError as error:
            hide = is_hidden() and not _is_ours(error)
            cause, reason = error.__cause__, invalid(self.value_type, error) if hide else str(error)
        except Exception as error:  # the codec is the user's: anything
            cause, reason = error, invalid(self.value_type, error)
        raise DecodeError(reason, raw=raw) from evidence(cast("Exception | None", cause))

    def _refusal(self, raw: object, found: Difference | None) -> str:
        if type(raw) is not bytes:
            return f"{self._name}.encode returned {type(raw).__name__}: return bytes."
        if found is not None:
            return changed(self.value_type, found)
        return (
            f"{self._name} does not encode equal values to equal bytes, which keys and members need: "
            "use a codec without randomness."
        )

    def _failure(self, step: str, error: Exception) -> str:
        if isinstance(error, CodecError) and not (is_hidden() and not _is_ours(error)):
            return str(error) if step == "encode" else f"{self._name} cannot read back what it wrote: it {error}"
        if step == "encode":
            return f"{self._name} could not encode it: {message_of(error)}."
        return f"{self._name} cannot read back what it wrote: {message_of(error)}."


def _is_ours(error: CodecError) -> bool:
    """Whether purse has raised it, so that it holds no hidden value. A codec of the user's may raise one, too."""
    frame = error.__traceback__
    while frame is not None and frame.tb_next is not None:
        frame = frame.tb_next
    return frame is not None and str(frame.tb_frame.f_globals.get("__name__")).startswith("purse.")


def _is_codec(made: object) -> bool:
    # A class with these methods is a factory: calling it with the type makes the codec.
    return not isinstance(made, type) and hasattr(made, "encode") and hasattr(made, "decode")


def _is_default(made: object, value_type: object) -> bool:
    return isinstance(made, (TextCodec, BytesCodec, ConstrainedCodec, JsonCodec)) and made.value_type == value_type


def _cached(make: Callable[[object], ValueCodec[object]], value_type: object) -> ValueCodec[object]:
    if isinstance(value_type, (str, ForwardRef, TypeVar)):
        raise DeclarationError(f"{quoted(value_type)} is only the name of a type: pass the type itself")
    try:
        hash(value_type)
    except TypeError:  # Annotated with metadata that cannot be hashed
        return make(value_type)
    # ``int | str`` and ``str | int`` are equal, but pydantic tries them in order. Where the forms are equal and spelt
    # the same, they are the same.
    return _made(make, value_type, "" if isinstance(value_type, type) else repr(value_type))


@cached_by_type
def _made(make: Callable[[object], ValueCodec[object]], value_type: object, _spelt: str) -> ValueCodec[object]:
    return make(value_type)


@dataclass(frozen=True, slots=True)
class _Make:
    """Makes the codec of a type, one and the same for equal types."""

    kind: type[JsonCodec[object]] = JsonCodec
    best_effort: bool = False
    exclude_unset: bool = False

    def __call__(self, value_type: object) -> ValueCodec[object]:
        raw = _raw(value_type)
        if raw is not None:
            return raw
        if self.kind is CanonicalCodec:
            return CanonicalCodec(value_type, best_effort=self.best_effort, exclude_unset=self.exclude_unset)
        return self.kind(value_type, exclude_unset=self.exclude_unset)


def _raw(value_type: object) -> ValueCodec[object] | None:
    """The codec of a ``str`` or ``bytes``, or None for every other type, and for one with a serializer of its own."""
    core = unwrapped(value_type)
    if core is str:
        raw: ValueCodec[object] = cast("ValueCodec[object]", TextCodec(str))
    elif core is bytes:
        raw = cast("ValueCodec[object]", BytesCodec(bytes))
    else:
        return None
    if value_type is core:
        return raw
    adapter = adapter_for(value_type)
    if has_serializer(adapter.core_schema):
        return None
    if adapter.core_schema.keys() <= {"type", "metadata"}:
        return raw
    return ConstrainedCodec(value_type, raw, adapter)
