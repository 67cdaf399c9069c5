"""Compare-and-set: change one stored value without losing what another client has written since it was read.

``modify``, ``edit`` and ``patch`` are the same for every structure that keeps values under keys: they read a value and
replace it on the condition that it has not changed. Each structure has its ``Place``, which reads and replaces the
bytes of one value. WATCH is not used, because it needs a connection for each caller.

A collection may have a default for missing keys. It is stored as bytes, so that each caller gets a copy.
"""

from __future__ import annotations

from abc import abstractmethod
from collections.abc import AsyncGenerator, Awaitable, Callable, MutableMapping, MutableSequence, MutableSet
from contextlib import AbstractAsyncContextManager, asynccontextmanager
from dataclasses import dataclass, is_dataclass
from inspect import iscoroutine, iscoroutinefunction
from typing import Generic

from pydantic import BaseModel
from typing_extensions import TypeVar

from purse._engine.hooks import refuse_in_atomic
from purse.codecs._codec_types import clash, made_by
from purse.codecs._shown import named, place, shown
from purse.codecs._type_names import type_name
from purse.codecs._value_codecs import ValueCodec
from purse.codecs._wording import short
from purse.collections._missing import MISSING, Missing
from purse.collections._patching import patched
from purse.errors import DeclarationError, EditConflict, EncodeError

__all__ = ["Changing", "Default", "Place", "default_of"]

V = TypeVar("V")
K = TypeVar("K", default=str)


@dataclass(frozen=True, slots=True)
class Place(Generic[V]):
    """Where one value is stored.

    Attributes:
        rkey: the Redis key.
        key: the caller's key of the value.
        encode, decode: the collection's codec, with errors that name the place.
        read: returns the bytes that are stored now, or None.
        absent: makes the default value of a missing key, or None without a default.
        replace: stores the second argument if the stored bytes are still the first. Returns whether it did so, and the
            bytes that are stored now.
    """

    rkey: str
    key: object
    encode: Callable[[V], bytes]
    decode: Callable[[bytes], V]
    read: Callable[[], Awaitable[bytes | None]]
    absent: Callable[[object], V] | None
    replace: Callable[[bytes | None, bytes], Awaitable[tuple[bool, bytes | None]]]

    @property
    def where(self) -> str:
        """Its name in messages, ``{garden}:plants['spinach']``."""
        return place(self.rkey, self.key)


async def _modify(
    place: Place[V], fn: Callable[[V], V], default: V | Missing, attempts: int, method: str = "modify"
) -> V:
    """Replace the value by ``fn(value)``, as ``RedisHash.modify`` describes."""
    refuse_in_atomic(method)
    if iscoroutinefunction(fn):
        raise _asynchronous(place.where)
    if not callable(fn):
        raise TypeError(
            f"{place.where}: modify() takes a function of the old value, not {short(fn)}: to replace the "
            "value whatever it is, write set(key, value)"
        )
    fallback = None if isinstance(default, Missing) else place.encode(default)
    stored = await place.read()
    for _ in range(attempts):
        value = fn(_current(place, stored, fallback))
        raw = _encoded(place, value)
        if raw == stored:
            return value
        replaced, stored = await place.replace(stored, raw)
        if replaced:
            return value
    more = "attempts=" if method == "modify" else "modify(attempts=)"
    raise EditConflict(
        f"{place.where} was changed by other callers during each of {attempts} attempts. Nothing was written. "
        f"Allow more attempts with {more}, or split the value over several keys.",
        key=place.rkey,
        field=place.key,
    )


def _encoded(place: Place[V], value: V) -> bytes:
    """Encode the result of a function that was given to ``modify``."""
    try:
        return place.encode(value)
    except EncodeError as error:
        if iscoroutine(value):
            value.close()  # otherwise Python warns that it was never awaited
            raise _asynchronous(place.where) from None
        if value is not None:
            raise
        raise EncodeError(
            f"{place.where}: the function given to modify() returned None. It must return the value to store: end it "
            "with return, even if it changes its argument in place. Nothing was written.",
            key=place.rkey,
            field=place.key,
        ) from error.__cause__


def _asynchronous(where: str) -> TypeError:
    return TypeError(
        f"{where}: modify() takes a plain function and not an async def, because it calls the function again if "
        "another caller was faster: await what it needs before the call, or use async with edit()"
    )


@asynccontextmanager
async def _edit(place: Place[V], default: V | Missing) -> AsyncGenerator[V, None]:
    """Hand out the value to be changed in place, then replace it, as ``RedisHash.edit`` describes."""
    fallback = None if isinstance(default, Missing) else place.encode(default)
    stored = await place.read()
    value = _current(place, stored, fallback)
    _check_mutable(value, place.where)
    yield value
    raw = place.encode(value)
    if raw == stored:
        return
    replaced, _ = await place.replace(stored, raw)
    if not replaced:
        raise EditConflict(
            f"{place.where} was changed by another caller during edit(). Nothing was written. "
            "Run the block again, or use modify(), which tries again by itself.",
            key=place.rkey,
            field=place.key,
        )


def _current(place: Place[V], stored: bytes | None, fallback: bytes | None) -> V:
    """The value to change: the stored one, or a fresh copy of the default."""
    raw = fallback if stored is None else stored
    if raw is None and place.absent is not None:
        return place.absent(place.key)
    if raw is None:
        missing = KeyError(place.key)
        missing.add_note(f"purse: {named(place.rkey)} has no such key: give it a default to start from a value")
        raise missing
    return place.decode(raw)


def _check_mutable(value: object, where: str) -> None:
    """Refuse a value that a ``with`` block could not change.

    Raises:
        TypeError: ``value`` is immutable. The message names ``modify``.
    """
    if isinstance(value, BaseModel):
        mutable = not value.model_config.get("frozen", False)
    elif is_dataclass(value):
        # A frozen dataclass defines __setattr__. Its dataclass parameters are private.
        mutable = type(value).__setattr__ is object.__setattr__
    else:
        mutable = isinstance(value, (MutableMapping, MutableSequence, MutableSet, bytearray))
    if not mutable:
        raise TypeError(
            f"{where}: a {type(value).__name__} cannot be changed in place by edit(): write "
            "await h.modify(key, lambda value: ...) instead"
        )


class Default(Generic[V]):
    """The default value of a missing key.

    Args:
        make: a new value each time.
        check: refuses a value that cannot be stored. Its second argument is the key for the error.
    """

    __slots__ = ("_check", "_make")

    def __init__(self, make: Callable[[], V], check: Callable[[V, object], object] | None) -> None:
        self._make = make
        self._check = check

    def __call__(self, key: object) -> V:
        """A value for ``key``.

        Raises:
            EncodeError: the value that the factory made cannot be stored.
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
    """Return the default that the two arguments of a constructor declare, or None without one.

    Args:
        check: refuses a value of the factory that cannot be stored.

    Raises:
        DeclarationError: both are given, the default cannot be stored, or the factory is not a function.
    """
    if factory is not None:
        if not isinstance(default, Missing):
            raise DeclarationError(
                f"{where}: default= is a value and default_factory= makes one: write only one of them"
            )
        if not callable(factory):
            raise DeclarationError(
                f"{where}: default_factory= must be a function that makes a value, not {shown(factory)}"
            )
        if iscoroutinefunction(factory):
            raise DeclarationError(
                f"{where}: default_factory= is called without await, so it cannot be an async def: pass a plain "
                "function, or pass the async def to get_or_create() of a RedisKeySpace"
            )
        made = made_by(factory)
        if clash(made, codec.value_type):
            raise DeclarationError(
                f"{where}: default_factory= makes a {type_name(made)}, but the values are declared as "
                f"{type_name(codec.value_type)}: pass a function that makes such a value"
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
        """Return the place of the value of ``key``, to be compared and set."""

    async def modify(self, key: K, fn: Callable[[V], V], *, default: V | Missing = MISSING, attempts: int = 100) -> V:
        """Replace the value under ``key`` by ``fn(value)`` without losing another caller's change.

        The new value is stored only if the stored bytes are still those that ``fn`` saw. Otherwise ``fn`` is called
        again with the newer value. So ``fn`` may be called several times and should only compute. It may change its
        argument in place, but must return the value to store. An unchanged value is not written. In a key space without
        a policy the entry keeps the time it has left.

        Args:
            default: the argument of ``fn`` if the key is missing. If not given, the collection's default.
            attempts: how often ``fn`` may be called.

        Returns:
            The value that is stored now.

        Raises:
            KeyError: the key is missing and has no default.
            EditConflict: other callers were faster ``attempts`` times. Nothing was written.
            EncodeError: ``fn`` returned a value that cannot be stored, for instance None because it has no ``return``.
                Nothing was written.
            TypeError: ``fn`` is an ``async def``.
            DecodeError: the stored bytes are not a valid value. They are not changed.
            WrongKind: the Redis key holds another type.

        Two round trips, and one more for each conflict. Sends: HGET, EVALSHA hash_replace (for a key space GET, EVALSHA
        key_space_replace).
        """
        return await _modify(self._place(key), fn, default, attempts)

    def edit(self, key: K, *, default: V | Missing = MISSING) -> AbstractAsyncContextManager[V]:
        """Change a value in place: ``async with h.edit("spinach") as plant: plant.healthiness += 1``.

        This is one attempt: at the end of the block the value is stored if no other caller has changed it since it was
        read. After an exception in the block nothing is written, and an unchanged value is not written.

        Args:
            default: the value to start from if the key is missing. If not given, the collection's default.

        Raises:
            KeyError: the key is missing and has no default.
            TypeError: the value cannot be changed in place (``int``, ``str``, a frozen model). Use ``modify``.
            EditConflict: another caller was faster. Nothing was written.
            EncodeError: the changed value is not valid any more. Nothing was written.
            DecodeError: the stored bytes are not a valid value. They are not changed.
            WrongKind: the Redis key holds another type.

        Two round trips. Sends: HGET, EVALSHA hash_replace (for a key space GET, EVALSHA key_space_replace).
        """
        return _edit(self._place(key), default)

    async def patch(self, key: K, /, **changes: object) -> V:
        """Give fields of a stored model new values: ``await h.patch("spinach", healthiness=9)``.

        The complete value is validated with the changes, and stored only if no other caller has changed it since it was
        read. Otherwise the patch is done again with the newer value. So concurrent patches of different fields all
        survive, and no caller ever sees a part of one. An unchanged value is not written.

        Args:
            changes: by the names of fields of a pydantic model, a dataclass or a dict. A nested model may also be given
                as a dict. Frozen models can be patched, because a new one is stored.

        Returns:
            The value that is stored now.

        Raises:
            TypeError: the value has no such field, or no fields at all, or there are no changes. Nothing was written.
            EncodeError: the changed value is not valid. Nothing was written.
            KeyError: the key is missing and the collection has no default.
            EditConflict: other callers were faster a hundred times. Nothing was written.
            DecodeError: the stored bytes are not a valid value. They are not changed.
            WrongKind: the Redis key holds another type.

        Two round trips, and one more for each conflict. Sends: HGET, EVALSHA hash_replace (for a key space GET, EVALSHA
        key_space_replace).
        """
        place = self._place(key)
        if not changes:
            raise TypeError(
                f"{place.where}: patch() needs at least one change: write for example patch(key, name=value)"
            )

        def error(message: str) -> EncodeError:
            return EncodeError(message, key=place.rkey, field=place.key)

        return await _modify(place, lambda value: patched(value, changes, place.where, error), MISSING, 100, "patch")
