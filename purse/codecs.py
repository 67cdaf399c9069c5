"""Codecs: how one value becomes the bytes that Redis stores, and back.

    declared type              stored as                    example
    str, bytes                 raw                          spinach
    int, float, bool           as INCR and people read it   3
    everything else            pydantic JSON                {"name":"spinach","healthiness":9.8}

Writing keeps one rule, for the user's own codecs too: encode, decode what was encoded, and refuse unless
the same value comes back: of the same type, and equal. So nothing that Redis holds was silently changed
on its way: no subclass instance that lost its fields, no masked secret, no model that was made invalid
after its validation. (Equal is Python's ``==``: True in a list of int comes back as 1.) Reading
validates.

Where the server compares bytes (list elements, hash keys) values are written in a canonical form, in
which equal values have equal bytes; see ``_canonical``.

The price of the rule is one validation for each write, about a microsecond for a small model.
"""

from __future__ import annotations

from collections.abc import Hashable
from functools import lru_cache
from typing import Protocol, cast, overload

from typing_extensions import TypeForm, TypeVar

from purse._value_codecs import Checked, Codec, Json, Raw, Use, ValueCodec, plain_type
from purse._wording import hide_values

__all__ = ["Codec", "CodecFactory", "codec_for", "hide_values"]

T = TypeVar("T")


class CodecFactory(Protocol):
    """What ``class S(Store, codec=...)`` takes: a value type in, its codec out."""

    def __call__(self, value_type: TypeForm[T], /) -> Codec[T]:
        """The codec for values of ``value_type``."""
        ...


@overload
def codec_for(value_type: type[T], /) -> ValueCodec[T]: ...
@overload
def codec_for(value_type: TypeForm[T], /) -> ValueCodec[T]: ...
def codec_for(value_type: TypeForm[T] | type[T], /) -> ValueCodec[T]:
    """The default codec of a type: raw for ``str`` and ``bytes``, pydantic JSON for everything else.

    Raises:
        DeclarationError: pydantic cannot validate the type; raised at first use, because the type may
            not be complete yet.
    """
    return cast("ValueCodec[T]", _cached(value_type, "value"))


@overload
def canonical_codec_for(value_type: type[T], /, *, best_effort: bool = False) -> ValueCodec[T]: ...
@overload
def canonical_codec_for(value_type: TypeForm[T], /, *, best_effort: bool = False) -> ValueCodec[T]: ...
def canonical_codec_for(value_type: TypeForm[T] | type[T], /, *, best_effort: bool = False) -> ValueCodec[T]:
    """The codec that writes equal values as equal bytes.

    ``best_effort`` does what can be done for types of which that cannot be promised (list elements);
    otherwise those are refused (keys, members).

    Raises:
        DeclarationError: no canonical form, or as ``codec_for``; at first use.
    """
    return cast("ValueCodec[T]", _cached(value_type, "element" if best_effort else "key"))


def bind_codec(value_type: TypeForm[T], codec: Codec[T] | CodecFactory | None = None, /) -> ValueCodec[T]:
    """What ``codec=`` of a field or collection means: None the default, a codec, or a factory for one."""
    if codec is None:
        return codec_for(value_type)
    if isinstance(codec, type) or not hasattr(codec, "encode"):
        codec = cast("CodecFactory", codec)(value_type)
    return codec if isinstance(codec, (Raw, Json, Checked)) else Checked(cast("Codec[T]", codec), value_type)


def _cached(value_type: object, use: Use) -> ValueCodec[object]:
    try:
        # By repr as well: Literal[1] == Literal[True], and the order of a union counts.
        return _codec(value_type, repr(value_type), use)
    except TypeError:  # metadata that cannot be hashed
        return _codec.__wrapped__(value_type, "", use)


@lru_cache(maxsize=1024)
def _codec(value_type: Hashable, _: str, use: Use) -> ValueCodec[object]:
    plain = plain_type(value_type)
    return Raw(plain, value_type) if plain is str or plain is bytes else Json(value_type, use)
