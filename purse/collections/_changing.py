"""Changing: what a hash and a key space do with one value that has to be read first, and what a missing one is.

All three, ``modify``, ``edit`` and ``patch``, read a value and replace it on the condition that nobody else has, which
is what ``_editing`` does with a ``Place``. Here are the methods; a collection says where the place is.

A collection may have a default for missing keys. It is kept as bytes, and each that asks gets a value of its own.
"""

from __future__ import annotations

import inspect
from abc import abstractmethod
from collections.abc import Callable
from contextlib import AbstractAsyncContextManager
from typing import Generic

from typing_extensions import TypeVar

from purse.codecs._codec_types import clash, made_by
from purse.codecs._shown import shown
from purse.codecs._type_names import type_name
from purse.codecs._value_codecs import ValueCodec
from purse.codecs._wording import short
from purse.collections._editing import Place, edit, modify
from purse.collections._missing import MISSING, Missing
from purse.collections._patching import patched
from purse.errors import DeclarationError, EncodeError

__all__ = ["Changing", "Default", "default_of"]

V = TypeVar("V")
K = TypeVar("K", default=str)


class Default(Generic[V]):
    """What a missing key stands for.

    Args:
        make: a new value each time.
        check: refuses a value that could not be stored; given what the value is called in the error.
    """

    __slots__ = ("_check", "_make")

    def __init__(self, make: Callable[[], V], check: Callable[[V, object], object] | None) -> None:
        self._make = make
        self._check = check

    def __call__(self, key: object) -> V:
        """A value for ``key``.

        Raises:
            EncodeError: what the factory made cannot be stored.
        """
        value = self._make()
        if self._check is not None:
            try:
                self._check(value, key)
            except EncodeError as error:
                error.add_note("purse: default_factory= of the collection made this value for a missing key")
                raise
        return value


def default_of(
    default: V | Missing,
    factory: Callable[[], V] | None,
    where: str,
    codec: ValueCodec[V],
    check: Callable[[V, object], object],
) -> Default[V] | None:
    """The default that the two arguments of a constructor declare; None for none.

    Args:
        check: refuses what the factory has made for a key, if it cannot be stored.

    Raises:
        DeclarationError: both are given, the default cannot be stored, or the factory is no function.
    """
    if factory is not None:
        if not isinstance(default, Missing):
            raise DeclarationError(f"{where}: default= is a value and default_factory= makes one; write one of them")
        if not callable(factory):
            raise DeclarationError(f"{where}: default_factory={shown(factory)} is not a function that makes a value")
        if inspect.iscoroutinefunction(factory):
            raise DeclarationError(
                f"{where}: default_factory= is called without await, so it cannot be an async def; get_or_create() of "
                "a RedisKeySpace takes one"
            )
        made = made_by(factory)
        if clash(made, codec.value_type):
            raise DeclarationError(
                f"{where}: default_factory= makes a {type_name(made)}, and the values are declared as "
                f"{type_name(codec.value_type)}; pass a function that makes one of these"
            )
        return Default(factory, check)
    if isinstance(default, Missing):
        return None
    try:
        raw = codec.encode(default)
    except EncodeError as error:
        raise DeclarationError(f"{where}: default={short(default)} cannot be stored: {error}") from error.__cause__
    return Default(lambda: codec.decode(raw), None)


class Changing(Generic[V, K]):
    """``modify``, ``edit`` and ``patch``."""

    __slots__ = ()

    @abstractmethod
    def _place(self, key: K) -> Place[V]:
        """Where the value of ``key`` is, to be compared and set."""

    async def modify(self, key: K, fn: Callable[[V], V], *, default: V | Missing = MISSING, attempts: int = 100) -> V:
        """Replace the value under ``key`` by ``fn(value)``, and by nothing that someone else wrote meanwhile.

        The new value is stored only if the bytes that ``fn`` saw are still there; otherwise ``fn`` is
        called again with the newer value. So ``fn`` may be called several times: it should only
        compute. It may change its argument in place, but must return the value to store. If the value
        comes out unchanged, nothing is written. In a key space without a policy the entry keeps the time it has left.

        Args:
            default: what ``fn`` is given if the key is missing; if not given, the collection's own default.
            attempts: how often ``fn`` may be called.

        Returns:
            The value that is stored now.

        Raises:
            KeyError: the key is missing and there is no default.
            EditConflict: others were faster ``attempts`` times; nothing was written.
            EncodeError: ``fn`` returned something that cannot be stored, None for instance because it has no
                ``return``; nothing was written.
            TypeError: ``fn`` is an ``async def``.
            DecodeError: the stored bytes are not a valid value; they are left alone.
            WrongKind: the Redis key holds another type.

        Two round trips, and one more for each conflict. Sends: HGET, EVALSHA hash_replace; of a key space GET,
        EVALSHA key_space_replace.
        """
        return await modify(self._place(key), fn, default, attempts)

    def edit(self, key: K, *, default: V | Missing = MISSING) -> AbstractAsyncContextManager[V]:
        """Change a value in place: ``async with h.edit("spinach") as plant: plant.healthiness += 1``.

        One attempt: at the end of the block the value is stored if nobody else has changed it since it
        was read. An exception in the block writes nothing, and neither does an unchanged value.

        Args:
            default: the value to start from if the key is missing; if not given, the collection's own default.

        Raises:
            KeyError: the key is missing and there is no default.
            TypeError: the value cannot be changed in place (``int``, ``str``, a frozen model); use ``modify``.
            EditConflict: someone else was faster; nothing was written.
            EncodeError: the changed value is not valid any more; nothing was written.
            DecodeError: the stored bytes are not a valid value; they are left alone.
            WrongKind: the Redis key holds another type.

        Two round trips. Sends: HGET, EVALSHA hash_replace; of a key space GET, EVALSHA key_space_replace.
        """
        return edit(self._place(key), default)

    async def patch(self, key: K, /, **changes: object) -> V:
        """Give fields of a stored model new values: ``await h.patch("spinach", healthiness=9)``.

        The whole value is validated with the changes, and stored only if nobody else has changed it since it was
        read; otherwise that is done again with the newer value. So concurrent patches of different fields all
        survive, and no half of one is ever seen. An unchanged value is not written.

        Args:
            changes: by the names of fields of a pydantic model, a dataclass or a dict. A nested model may be given as
                a dict, too. Frozen models can be patched: a new one is stored.

        Returns:
            The value that is stored now.

        Raises:
            TypeError: the value has no such field, or no fields at all, or there are no changes; nothing was written.
            EncodeError: the changed value is not valid; nothing was written.
            KeyError: the key is missing and the collection has no default.
            EditConflict: others were faster a hundred times; nothing was written.
            DecodeError: the stored bytes are not a valid value; they are left alone.
            WrongKind: the Redis key holds another type.

        Two round trips, and one more for each conflict. Sends: HGET, EVALSHA hash_replace; of a key space GET,
        EVALSHA key_space_replace.
        """
        place = self._place(key)
        if not changes:
            raise TypeError(f"{place.where}: patch() without a change; write e.g. patch(key, name=value)")

        def error(message: str) -> EncodeError:
            return EncodeError(message, key=place.rkey, field=place.key)

        return await modify(place, lambda value: patched(value, changes, place.where, error), MISSING, 100, "patch")
