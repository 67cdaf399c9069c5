"""Options: the options of ``field(...)`` and the class keywords, and the checks that do not need the annotation.

visits: RedisHash[int] = field(ttl=TTL(hours=1), key="v")      FieldOptions
class Garden(Store, namespace="garden", codec=compressed)      StoreDefaults, for fields without the option

The options of one structure, ``RedisList.field(maxlen=100)``, are declared in its module.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Literal

from typing_extensions import TypeVar

from purse._declaration.keys import check_name, check_rkey
from purse.collections._field_options import FieldOptions, field_options
from purse.errors import DeclarationError
from purse.ttl import as_ttl

if TYPE_CHECKING:
    from purse._engine.modes import Engine
    from purse.codecs import CodecFactory
    from purse.collections._field_options import AnyCodec
    from purse.ttl import TTL, Lifetime

__all__ = [
    "StoreDefaults",
    "check_options",
    "check_store_codec",
    "field",
]

F = TypeVar("F")


@dataclass(frozen=True, slots=True)
class StoreDefaults:
    """The values that a store class gives to fields which do not set them themselves.

    Attributes:
        namespace: the namespace, with its placeholders.
        prefix: the text before the tail of each key, ``home:`` in a nested store.
        path: the text before the name of each field in messages, ``home.`` in a nested store.
    """

    namespace: str | None = None
    ttl: TTL | None = None
    codec: CodecFactory | None = None
    engine: Engine | None = None
    slots: Literal["store", "field"] = "store"
    prefix: str = ""
    path: str = ""


# The type variable stands once and on purpose: the annotation in front of `= field()` gives the type, as
# with dataclasses.field, and nothing becomes Any.
def field(
    *,
    ttl: Lifetime | None = None,
    codec: AnyCodec | None = None,
    key: str | None = None,
    rkey: str | None = None,
) -> F:  # type: ignore[type-var]  # pyright: ignore[reportInvalidTypeVarUse]
    """Give a field of a ``Store`` options: ``plants: RedisHash[Plant] = field(ttl=TTL(hours=1))``.

    These are the options that every structure has. Each structure has a ``field`` with its other options as well:
    ``log: RedisList[str] = RedisList.field(maxlen=100, ttl=TTL(hours=1))``.

    Args:
        ttl: a ``TTL``, a ``timedelta`` or seconds: the policy that every write applies. It overrides
            ``Annotated[..., TTL(...)]`` and the store's policy. Locks, limiters and semaphores refuse it.
        codec: a ``Codec`` or ``CodecFactory`` for the values. It overrides the store's codec. Locks, limiters and
            semaphores refuse it.
        key: the last part of the Redis key instead of the field's name: ``{garden}:<key>``.
        rkey: the whole Redis key, used unchanged, outside of the store's hash tag.

    A wrong option is a ``DeclarationError`` when the class is defined.
    """
    return field_options(None, ttl=ttl, codec=codec, key=key, rkey=rkey)


def check_options(options: FieldOptions, where: str, name: str) -> FieldOptions:
    """Check the options of ``field(...)`` that do not depend on the annotation, and return them in normal form.

    Raises:
        DeclarationError: an option has a wrong value.
    """
    if options.key is not None and options.rkey is not None:
        raise DeclarationError(
            f"{where}: key= renames the last part of the key and rkey= gives the whole key: write one of them"
        )
    if options.key is not None:
        options = replace(options, key=check_name(options.key, where, "key", name))
    if options.rkey is not None:
        options = replace(options, rkey=check_rkey(options.rkey, where))
    if options.slots is not None:
        given: object = options.slots
        if given != "key":
            raise DeclarationError(
                f'{where}: slots= of a field must be "key", not {given!r}: only a store takes slots="field"'
            )
        if options.rkey is not None:
            raise DeclarationError(
                f"{where}: rkey= gives the whole key, and slots= makes another key: write one of them"
            )
    options = replace(options, ttl=as_ttl(options.ttl, where))
    codec: object = options.codec
    if codec is not None and not callable(codec) and not _is_codec(codec):
        raise DeclarationError(
            f"{where}: codec= must be a codec (encode and decode) or a function from a value type to one, not {codec!r}"
        )
    return options


def check_store_codec(codec: object, where: str) -> None:
    """Refuse a ``codec=`` of a class that cannot make a codec for each field.

    Raises:
        DeclarationError: it is a codec for one type, or not a function.
    """
    if codec is None or (callable(codec) and not _is_codec(codec)):
        return
    raise DeclarationError(
        f"{where}: codec= of a class must be a function from a value type to its codec, because fields differ, not "
        f"{codec!r}: give one codec to one field with field(codec=...)"
    )


def _is_codec(codec: object) -> bool:
    # A class with both methods is a factory, if a call of it returns a codec. Only instances are codecs.
    return not isinstance(codec, type) and hasattr(codec, "encode") and hasattr(codec, "decode")
