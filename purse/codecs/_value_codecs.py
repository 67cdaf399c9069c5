"""ValueCodec: what collections hold to turn one value into bytes and back, and the codecs that store raw.

``TextCodec`` and ``BytesCodec`` store raw, ``ConstrainedCodec`` is around them if the type has constraints. Everything
else is JSON (``_json_codecs``). All codecs return from ``encode`` only bytes that decode to the same value.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from typing import TYPE_CHECKING, Generic, Protocol, TypeVar

from pydantic import TypeAdapter, ValidationError

from purse.codecs._difference import Difference
from purse.codecs._shown import evidence
from purse.codecs._wording import changed, invalid, not_read_back, unwritable, wrong_type
from purse.errors import DecodeError, EncodeError

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable

__all__ = ["BytesCodec", "Codec", "ConstrainedCodec", "TextCodec", "ValueCodec"]

T = TypeVar("T")


class Codec(Protocol[T]):
    """What stores values of one type. Implement it for compression, encryption or another format.

    Both methods are synchronous, may be called from any thread, and may raise any exception for a value or bytes
    that they cannot handle. It becomes the ``__cause__`` of an ``EncodeError`` or ``DecodeError``. A collection calls
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
        """The bytes to store for ``value``. They decode to a value of the same type and state.

        Raises:
            EncodeError: there are no such bytes. The message is only the reason.
            DeclarationError: the type cannot be stored at all.
        """

    @abstractmethod
    def decode(self, raw: bytes, /) -> T:
        """The value that ``raw`` stands for.

        Raises:
            DecodeError: ``raw`` is not a valid value of the type. The message is only the reason.
            DeclarationError: the type cannot be stored at all.
        """

    def encode_all(self, values: Iterable[T], /) -> list[bytes]:
        """What ``encode`` returns for each of ``values``, but faster.

        Raises:
            EncodeError: one of them cannot be stored. ``encode`` tells which one.
        """
        return [self.encode(value) for value in values]

    def decode_all(self, raws: Iterable[bytes], /) -> list[T]:
        """What ``decode`` returns for each of ``raws``, but faster.

        Raises:
            DecodeError: one of them is not valid. ``decode`` tells which one.
        """
        return [self.decode(raw) for raw in raws]

    @property
    def any_order(self) -> bool:
        """Whether equal values may be stored as JSON in which the members of objects stand in another order."""
        return False

    def also_stored_as(self, value: T, /) -> tuple[bytes, ...]:
        """The other bytes under which an equal value may be stored, mostly none.

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
            DeclarationError: it cannot. The message says what to declare instead.
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
