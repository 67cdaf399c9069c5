"""Reach: every Redis key that a field may write, to find fields of one namespace that would share a key.

    plants: RedisHash[Plant]            {garden}:plants
    sessions: RedisKeySpace[Session]                                              {garden}:sessions:  and any text
    api: RedisRateLimiter               {garden}:api                              {garden}:api:       and any text
    gate: RedisLock                     {garden}:gate, fence!{garden}:gate, ...
    ------------------------------------------------------------------------------------------------
                                        keys                                      entries

Fields of different namespaces never share a key, see ``keys``. One namespace has the fields of a class, of its bases
and subclasses and of the stores nested in it, and each key given as ``rkey=`` that looks like a key of the namespace.
"""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, NamedTuple, Protocol

from purse._declaration.keys import namespace_of
from purse._declaration.templates import Template, can_begin, can_meet

if TYPE_CHECKING:
    from collections.abc import Iterator

    from purse._declaration.templates import Kind

__all__ = ["Meeting", "Reach", "Spec", "meetings", "reaches"]

_MARK = re.compile("!?[a-z]+!|")


class Reach(NamedTuple):
    """The keys that a field may write.

    Attributes:
        keys: single keys.
        entries: the prefix and the suffix of all other keys. None without others.
    """

    keys: tuple[str, ...]
    entries: tuple[str, str] | None = None


class Spec(Protocol):
    """The part of a field that is needed to compare keys. See ``FieldSpec``."""

    @property
    def owner(self) -> type[object]: ...
    @property
    def path(self) -> str: ...
    @property
    def rkey(self) -> str | None: ...
    @property
    def collection(self) -> object: ...
    @property
    def value_type(self) -> object: ...
    @property
    def key_type(self) -> object: ...

    def __purse_reach__(self, namespace: str) -> Reach: ...


class Meeting(NamedTuple):
    """Two fields with a key in common.

    Attributes:
        one, other: the fields.
        key: the key, or the prefix of the keys of ``one``.
        begin: the prefix of the keys of ``other``. None if it has just this key, or the same keys as ``one``.
    """

    one: Spec
    other: Spec
    key: str
    begin: str | None


def reaches(specs: Sequence[Spec], template: Template, kinds: Mapping[str, Kind] | None) -> list[tuple[Spec, Reach]]:
    """The fields with the keys that they may write, for an instance whose parameters are their own placeholders.

    Args:
        kinds: the types of the parameters. None if they are not known yet: then ``rkey=`` is not changed.
    """
    found: list[tuple[Spec, Reach]] = []
    for spec in specs:
        reach = spec.__purse_reach__(template.text)
        if spec.rkey is not None and template.parameters and kinds is not None:
            keys = tuple(_placed(key, template, kinds, begins=False) for key in reach.keys)
            entries = reach.entries and (_placed(reach.entries[0], template, kinds, begins=True), reach.entries[1])
            reach = Reach(keys, entries)
        found.append((spec, reach))
    return found


def meetings(ones: Sequence[tuple[Spec, Reach]], others: Sequence[tuple[Spec, Reach]]) -> Iterator[Meeting]:
    """The pairs of ``ones`` and ``others`` that have a key in common. A field is never paired with itself."""
    holders: dict[str, list[Spec]] = {}
    for spec, reach in others:
        for key in reach.keys:
            holders.setdefault(key, []).append(spec)
    for one, reach in ones:
        for key in reach.keys:
            yield from (Meeting(one, other, key, None) for other in holders.get(key, ()) if other is not one)
    yield from _among_entries(ones, others)
    if ones is not others:
        yield from _among_entries(others, ones)


def _among_entries(ones: Sequence[tuple[Spec, Reach]], others: Sequence[tuple[Spec, Reach]]) -> Iterator[Meeting]:
    """The pairs in which ``one`` has a key among the entries of ``other``."""
    for other, reach in others:
        if reach.entries is None:
            continue
        begin, end = reach.entries
        for one, its in ones:
            if one is other:
                continue
            keys = (key for key in its.keys if key.startswith(begin) and key[len(begin) :].endswith(end))
            yield from (Meeting(one, other, key, begin) for key in keys)
            if its.entries is not None and its.entries[0].startswith(begin) and _both_end(its.entries[1], end):
                yield Meeting(one, other, its.entries[0], None if its.entries[0] == begin else begin)


def _both_end(one: str, other: str) -> bool:
    return one.endswith(other) or other.endswith(one)


def _placed(key: str, template: Template, kinds: Mapping[str, Kind], *, begins: bool) -> str:
    """``key`` with the placeholders of the template, if a store of the template may have it, to compare it.

    Args:
        begins: whether ``key`` is only a prefix of keys, and may end before the namespace does.
    """
    match = _MARK.match(key)
    assert match is not None
    rest = key[match.end() :]
    brace = "{" if rest.startswith("{") else ""
    namespace, complete = namespace_of(rest)
    if complete and "{" not in namespace and can_meet(template, kinds, Template(namespace), {}):
        return f"{match[0]}{brace}{template.text}{rest[len(brace) + len(namespace) :]}"
    if begins and not complete and can_begin(template, kinds, namespace):
        return f"{match[0]}{brace}{template.text if namespace else ''}"
    return key
