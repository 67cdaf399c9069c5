"""Compare-and-set: change one stored value without losing what someone else wrote meanwhile.

``modify`` and ``edit`` are the same for every structure that keeps values under keys. What differs is a
``Place``: how the bytes of one value are read, and replaced on the condition that they have not changed.
Never WATCH, which would need a connection for each caller.
"""

from __future__ import annotations

from collections.abc import AsyncGenerator, Awaitable, Callable, MutableMapping, MutableSequence, MutableSet
from contextlib import asynccontextmanager
from dataclasses import dataclass, is_dataclass
from inspect import iscoroutine, iscoroutinefunction
from typing import Generic, TypeVar

from pydantic import BaseModel

from purse._engine.hooks import refuse_in_atomic
from purse.codecs._shown import named, place
from purse.codecs._wording import short
from purse.collections._missing import Missing
from purse.errors import EditConflict, EncodeError

__all__ = ["Place", "edit", "modify"]

V = TypeVar("V")


@dataclass(frozen=True, slots=True)
class Place(Generic[V]):
    """Where one value is stored.

    Attributes:
        rkey: the Redis key.
        key: what the caller calls the value.
        encode, decode: the collection's codec, with errors that name the place.
        read: the bytes that are stored now, or None.
        absent: makes the value of a missing key, if it has one.
        replace: store the second argument if the stored bytes are still the first; whether it did, and what
            is stored now.
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


async def modify(
    place: Place[V], fn: Callable[[V], V], default: V | Missing, attempts: int, method: str = "modify"
) -> V:
    """Replace the value by ``fn`` of it; see ``RedisHash.modify``."""
    refuse_in_atomic(method)
    if iscoroutinefunction(fn):
        raise _asynchronous(place.where)
    if not callable(fn):
        raise TypeError(
            f"{place.where}: modify() takes a function of the old value, not {short(fn)}; write set(key, value) to "
            "replace it whatever it is"
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
        f"{place.where} was changed by others during each of {attempts} attempts; nothing was written. "
        f"Allow more with {more}, or split the value over several keys.",
        key=place.rkey,
        field=place.key,
    )


def _encoded(place: Place[V], value: V) -> bytes:
    """The bytes of what a function given to ``modify`` returned."""
    try:
        return place.encode(value)
    except EncodeError as error:
        if iscoroutine(value):
            value.close()  # or else Python warns that it was never awaited
            raise _asynchronous(place.where) from None
        if value is not None:
            raise
        raise EncodeError(
            f"{place.where}: the function given to modify() returned None. It must return the value to store: end it "
            "with return, also if it changed its argument in place. Nothing was written.",
            key=place.rkey,
            field=place.key,
        ) from error.__cause__


def _asynchronous(where: str) -> TypeError:
    return TypeError(
        f"{where}: modify() takes a plain function, because it is called again if somebody else was faster, and not an "
        "async def; await what it needs before, or use async with edit()"
    )


@asynccontextmanager
async def edit(place: Place[V], default: V | Missing) -> AsyncGenerator[V, None]:
    """Hand out the value to be changed in place, then replace it; see ``RedisHash.edit``."""
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
            f"{place.where} was changed by someone else during edit(); nothing was written. "
            "Run the block again, or use modify(), which retries by itself.",
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
        missing.add_note(f"purse: {named(place.rkey)} has no such key; give it a default to start from a value")
        raise missing
    return place.decode(raw)


def _check_mutable(value: object, where: str) -> None:
    """Refuse a value that a ``with`` block could not change.

    Raises:
        TypeError: ``value`` is immutable; the message says to use ``modify``.
    """
    if isinstance(value, BaseModel):
        mutable = not value.model_config.get("frozen", False)
    elif is_dataclass(value):
        # A frozen dataclass has a __setattr__ of its own; the parameters it was made with are private.
        mutable = type(value).__setattr__ is object.__setattr__
    else:
        mutable = isinstance(value, (MutableMapping, MutableSequence, MutableSet, bytearray))
    if not mutable:
        raise TypeError(
            f"{where}: a {type(value).__name__} cannot be changed in place by edit(); write "
            "await h.modify(key, lambda value: ...) instead"
        )
