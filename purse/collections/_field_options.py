"""FieldOptions: the arguments of ``field(...)`` or ``RedisHash.field(...)``.

    visits: RedisHash[int] = RedisHash.field(default=0, ttl=TTL(hours=1))
            annotation       FieldOptions

Each structure has a ``field`` beside its constructor, with the same options. A type checker takes what it returns for
the structure itself, and so compares its options with the annotation. At run time it returns FieldOptions: the class
statement reads them, and the constructor is called with them. Only the constructor checks the options.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Literal, Never, Protocol, TypeAlias, cast

from typing_extensions import TypeVar

from purse.collections._missing import MISSING

if TYPE_CHECKING:
    from purse.codecs import CodecFactory
    from purse.ttl import TTL, Lifetime

__all__ = ["AnyCodec", "FieldCodec", "FieldOptions", "field_options"]


F = TypeVar("F")


class FieldCodec(Protocol):
    """A ``Codec`` of any value type: at the call of ``field()`` the annotation's type is not known."""

    def encode(self, value: Never, /) -> bytes: ...
    def decode(self, raw: bytes, /) -> object: ...


AnyCodec: TypeAlias = "FieldCodec | CodecFactory"


@dataclass(frozen=True, slots=True)
class FieldOptions:
    """The options of a field, not yet checked.

    Attributes:
        structure: the class whose ``field`` was called, or None for the plain ``field()``.
        more: the options of this structure that were given, by their names in its constructor.
    """

    structure: type[object] | None = None
    ttl: TTL | None = None
    codec: AnyCodec | None = None
    key: str | None = None
    rkey: str | None = None
    slots: Literal["key"] | None = None
    more: Mapping[str, object] = field(default_factory=dict[str, object])


def field_options(
    structure: type[object] | None,
    *,
    ttl: Lifetime | None = None,
    codec: AnyCodec | None = None,
    key: str | None = None,
    rkey: str | None = None,
    slots: Literal["key"] | None = None,
    **more: object,
) -> F:  # type: ignore[type-var]  # pyright: ignore[reportInvalidTypeVarUse] - the type that ``field`` returns gives F
    """Return the options for ``structure.field(...)``, typed as what that returns for checkers.

    Args:
        more: the options of this structure. None and ``MISSING`` mean that an option was not given.
    """
    given = {name: value for name, value in more.items() if value is not None and value is not MISSING}
    # A default of None is a value, and its argument says MISSING if there is none.
    if more.get("default", MISSING) is None:
        given["default"] = None
    return cast("F", FieldOptions(structure, cast("TTL | None", ttl), codec, key, rkey, slots, given))
