"""Arguments: checks for common mistakes in a call, and their messages.

Type checkers refuse all of these. Without a type checker the caller gets the error here, before anything is sent.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import TypeVar, cast

from purse.codecs._wording import short

__all__ = ["a_or_an", "is_pair", "listed", "mapped", "no_pair"]

T = TypeVar("T")
K = TypeVar("K")
V = TypeVar("V")


def listed(given: Iterable[T], where: str, method: str, single: str) -> list[T]:
    """The elements of an argument that is iterated over.

    Args:
        where: the key, for the message.
        method, single: the called method, and the method for one element.

    Raises:
        TypeError: it is a ``str`` or ``bytes``, whose elements would be its letters.
    """
    unchecked: object = given
    if isinstance(unchecked, (str, bytes, bytearray)):
        raise TypeError(
            f"{where}: {method}() takes an iterable, and would split a {type(unchecked).__name__} into its "
            f"{'letters' if isinstance(unchecked, str) else 'numbers'}: write {single}({short(unchecked)}), or "
            f"{method}([{short(unchecked)}])"
        )
    return [*given]


def mapped(given: Mapping[K, V], where: str, method: str) -> Mapping[K, V]:
    """The argument of a method that takes a mapping.

    Raises:
        TypeError: it is not a mapping but, for instance, a list of pairs.
    """
    unchecked = cast("object", given)
    if isinstance(unchecked, (dict, Mapping)) or hasattr(unchecked, "keys"):
        return given
    raise TypeError(
        f"{where}: {method}() takes a mapping, {method}({{key: value}}), not {a_or_an(unchecked)}: for pairs "
        f"write {method}(dict(pairs))"
    )


def is_pair(given: object) -> bool:
    """Whether it is a pair, such as a member with its score."""
    return isinstance(given, (tuple, list)) and len(cast("list[object]", given)) == 2


def no_pair(given: object, where: str, call: str, nth: int | None = None) -> TypeError:
    """Return the error for an argument that is not a pair.

    Args:
        call: the call to write, ``add((member, score))``.
        nth: its position among other items.
    """
    position = "" if nth is None else f"item {nth} is {a_or_an(given)} and not a pair: "
    return TypeError(f"{where}: {position or f'{a_or_an(given)} is not a pair: '}write {call}")


def a_or_an(given: object) -> str:
    """Return the type of an argument with its article, ``a list``."""
    name = type(given).__name__
    return f"{'an' if name[0] in 'aeiouAEIOU' else 'a'} {name}"
