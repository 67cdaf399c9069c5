"""Templates: namespaces with parameters, and the namespace that results from their values.

    namespace="user:{user_id}:{year}"      the template, in the class statement
    user_id=42, year=2026                  the values of an instance
    user:42:2026                           the namespace of its keys: {user:42:2026}:prefs

A placeholder is a whole segment between colons. Its value is a ``str``, ``int`` or ``UUID``, written so that
different values give different segments and no value can leave its segment: everything but ASCII letters, digits
and ``_ . - ~`` is percent-encoded, and a value is never empty. So a hostile id has no effect on other keys.

Two templates *can meet* if some values give the same namespace: ``user:{id}`` can meet ``user:{name}`` and
``user:42``, but not ``user:me`` if ``id`` is an int. Stores whose templates can meet could read each other's keys.
"""

from __future__ import annotations

import keyword
import re
from collections.abc import Mapping
from dataclasses import dataclass
from functools import cached_property
from typing import TypeAlias
from urllib.parse import quote
from uuid import UUID

from purse._declaration.keys import check_name, cleaned, fault_of
from purse.codecs._shown import shown
from purse.errors import DeclarationError

__all__ = ["Kind", "Template", "Value", "can_begin", "can_meet", "check_template", "written"]

Value: TypeAlias = str | int | UUID
Kind: TypeAlias = type[str] | type[int] | type[UUID]

_PLACEHOLDER = re.compile(r"\{([^{}]*)\}")
_TAKEN = ("self", "redis", "url")  # the other arguments of __init__ and open()

_FORMS: Mapping[type, re.Pattern[str]] = {
    int: re.compile("0|-?[1-9][0-9]*"),
    UUID: re.compile("[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}"),
    str: re.compile("([A-Za-z0-9_.~-]|%[0-9A-F]{2})+"),
}


@dataclass(frozen=True)
class Template:
    """A namespace as it is written in a class statement.

    Attributes:
        text: ``user:{user_id}``.
    """

    text: str

    @cached_property
    def segments(self) -> tuple[tuple[str, bool], ...]:
        """The parts between colons, and whether each is the name of a parameter."""
        return tuple((segment.strip("{}"), segment.startswith("{")) for segment in self.text.split(":"))

    @cached_property
    def parameters(self) -> tuple[str, ...]:
        """The names of the parameters, in order."""
        return tuple(segment for segment, is_parameter in self.segments if is_parameter)

    def filled(self, segments: Mapping[str, str]) -> str:
        """The namespace with a written value for each parameter."""
        return ":".join(segments[part] if is_parameter else part for part, is_parameter in self.segments)


def check_template(text: object, where: str) -> Template:
    """``text`` as a namespace.

    Raises:
        DeclarationError: it is not valid. The message says why, and suggests one.
    """
    example = where.lower()
    if not isinstance(text, str) or "{" not in text:
        return Template(check_name(text, where, "namespace", example))
    text = str.__str__(text)
    names: list[str] = []
    plain: list[str] = []
    for segment in text.split(":"):
        found = _PLACEHOLDER.fullmatch(segment)
        if found is None and ("{" in segment or "}" in segment):
            name = re.sub("[^a-z_]+", "_", segment.lower()).strip("_") or "id"
            raise DeclarationError(
                f"{where}: namespace={text!r} has braces in {segment!r}, and a placeholder is a whole part between "
                f'colons: write for example namespace="{example}:{{{name}}}"'
            )
        if found is not None:
            _check_parameter(found[1], names, where, text)
            names.append(found[1])
        plain.append("id" if found is not None else segment)
    fault = fault_of(":".join(plain))
    if fault:
        parts = (part if _PLACEHOLDER.fullmatch(part) else cleaned(part) for part in text.split(":"))
        fix = ":".join(part for part in parts if part)
        raise DeclarationError(f'{where}: namespace={text!r} {fault}: write for example namespace="{fix}"')
    return Template(text)


def _check_parameter(name: str, others: list[str], where: str, text: str) -> None:
    if not name.isidentifier() or keyword.iskeyword(name) or name.startswith("__"):
        raise DeclarationError(
            f"{where}: namespace={text!r} has the placeholder {name!r}, which cannot be the name of an argument: "
            f'write for example namespace="{where.lower()}:{{{where.lower()}_id}}"'
        )
    if name in _TAKEN:
        raise DeclarationError(
            f"{where}: namespace={text!r} has the placeholder {name!r}, and {', '.join(_TAKEN)} are arguments already: "
            f"choose another name, for example {{{name}_id}}"
        )
    if name in others:
        raise DeclarationError(f"{where}: namespace={text!r} has the placeholder {name!r} twice: remove one of them")


def written(name: str, value: object, kind: Kind, where: str) -> str:
    """The segment for ``value``.

    Args:
        name: the name of the parameter, for messages.
        kind: the type that the value must have.

    Raises:
        TypeError: it has another type.
        ValueError: it is empty, or has no UTF-8 form.
    """
    if not isinstance(value, kind) or isinstance(value, bool):
        raise TypeError(f"{where}: {name}= must be {_a(kind)}, not {shown(value)}")
    if isinstance(value, int):
        return int.__repr__(value)
    if isinstance(value, UUID):
        return UUID.__str__(value)
    text = str.__str__(value)
    if not text:
        raise ValueError(f"{where}: {name}='' is empty and cannot be part of a key: give it at least one character")
    try:
        return quote(text, safe="")
    except UnicodeEncodeError as error:
        raise ValueError(
            f"{where}: {name}={shown(text)} has no UTF-8 form ({error.reason}): pass text that can be encoded"
        ) from None


def can_meet(one: Template, kinds: Mapping[str, Kind], other: Template, others: Mapping[str, Kind]) -> bool:
    """Whether some values give both templates the same namespace.

    Args:
        kinds: the types of the parameters of ``one``. A missing type can be any of the three.
        others: the types of the parameters of ``other``.
    """
    return len(one.segments) == len(other.segments) and all(
        _segments_meet(mine, kinds, theirs, others) for mine, theirs in zip(one.segments, other.segments, strict=True)
    )


def can_begin(template: Template, kinds: Mapping[str, Kind], text: str) -> bool:
    """Whether a namespace of the template, with the ``::`` that may follow it, can begin with ``text``."""
    *whole, last = Template(text).segments
    if "{" in text or len(whole) > len(template.segments):
        return False
    if not all(_segments_meet(mine, kinds, part, {}) for mine, part in zip(template.segments, whole, strict=False)):
        return False
    if len(whole) == len(template.segments):
        return last[0] == ""  # the first of the two colons
    name, is_parameter = template.segments[len(whole)]
    return is_parameter or name.startswith(last[0])  # not checked: whether a value can begin like this


def _segments_meet(
    mine: tuple[str, bool], kinds: Mapping[str, Kind], theirs: tuple[str, bool], others: Mapping[str, Kind]
) -> bool:
    if not mine[1] and not theirs[1]:
        return mine[0] == theirs[0]
    if mine[1] and theirs[1]:
        # Every int and every UUID, as it is written, is also a str that another store may use as an id.
        kind, other = kinds.get(mine[0], str), others.get(theirs[0], str)
        return kind is other or str in (kind, other)
    name, text, known = (mine[0], theirs[0], kinds) if mine[1] else (theirs[0], mine[0], others)
    return _FORMS[known.get(name, str)].fullmatch(text) is not None


def _a(kind: Kind) -> str:
    return "an int" if kind is int else f"a {kind.__name__}"
