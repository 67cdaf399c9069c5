"""Replies as they are received, and typed functions to read them.

RESP2 and RESP3 differ in shape: a map comes as a flat list or as a dict, and a null comes as None in both.
The functions below accept both and raise ``InvalidResponse`` on anything else, so a decoder never
guesses.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from operator import itemgetter
from typing import TypeAlias, cast

from redis.exceptions import InvalidResponse

from purse.codecs._shown import shown

__all__ = [
    "Reply",
    "as_all_bytes",
    "as_array",
    "as_bytes",
    "as_flag",
    "as_int",
    "as_optional_bytes",
    "as_pairs",
    "as_taken",
    "bytes_in",
    "first",
]

Reply: TypeAlias = "bytes | int | float | bool | Exception | list[Reply] | dict[bytes, Reply] | None"

first = cast("Callable[[list[Reply]], Reply]", itemgetter(0))
"""The first reply, unchanged."""


def as_int(reply: Reply) -> int:
    """An integer reply."""
    if isinstance(reply, int):
        return reply
    raise InvalidResponse(f"expected an integer reply, got {shown(reply)}")


def as_flag(reply: Reply) -> bool:
    """An integer reply that means yes or no."""
    return as_int(reply) != 0


def as_bytes(reply: Reply) -> bytes:
    """A bulk or simple string."""
    if isinstance(reply, bytes):
        return reply
    raise InvalidResponse(f"expected a string reply, got {shown(reply)}")


def as_optional_bytes(reply: Reply) -> bytes | None:
    """A bulk string, or None for a null."""
    return None if reply is None else as_bytes(reply)


def as_taken(replies: list[Reply]) -> list[bytes]:
    """The value in the first reply of a unit, in a list, or an empty list for a null."""
    return [] if replies[0] is None else [as_bytes(replies[0])]


def as_array(reply: Reply) -> list[Reply]:
    """An array reply."""
    if isinstance(reply, list):
        return reply
    raise InvalidResponse(f"expected an array reply, got {shown(reply)}")


def as_all_bytes(reply: Reply) -> list[bytes]:
    """An array of strings, none of them null."""
    array = as_array(reply)
    if {*map(type, array)} <= {bytes}:
        return cast("list[bytes]", array)
    raise InvalidResponse(f"expected an array of strings, got {shown(array)}")


def as_pairs(reply: Reply) -> Iterator[tuple[bytes, bytes]]:
    """A map of strings: a RESP3 map, or RESP2's flat list of key, value, key, value."""
    if isinstance(reply, dict):
        return ((as_bytes(key), as_bytes(value)) for key, value in reply.items())
    flat = as_all_bytes(reply)
    return zip(flat[::2], flat[1::2], strict=True)


def bytes_in(reply: Reply) -> int:
    """The bytes of the strings in a reply."""
    if isinstance(reply, bytes):
        return len(reply)
    if isinstance(reply, list):
        return sum(map(bytes_in, reply))
    if isinstance(reply, dict):
        return sum(len(key) + bytes_in(value) for key, value in reply.items())
    return 0
