"""Keys: how a namespace and a tail become a Redis key, and which of them are refused.

    namespace   garden
    tail                 plants       the field's name, or its key=
    key         {garden}:plants

The braces are Redis' hash tag: on a cluster all keys of one store are on one node, so the calls that are atomic on a
single server stay atomic there, and no key has to be renamed. Only this module writes braces. Names that a user gives
have none. The declaration says how much shares a tag, and with it a slot of the cluster:

    slots       "store", the default    "field", for a store      "key", for a key space
    a field     {garden}:plants         {garden::plants}
    an entry    {garden}:sessions:k     {garden::sessions}:k      garden::sessions:{k}

A name consists of letters and digits of any script and of ``_ . : - /``. Everything else is refused: glob
characters and backslashes would change the meaning of a key pattern, with invisible characters two keys could look the
same, braces would move the hash tag, and ``!`` marks the keys beside a key.

No two stores have a key in common, because every key shows its namespace. A namespace contains neither braces nor
``::``, because none of its parts is empty and values of parameters are percent-encoded. It ends at the first of these:

    {garden}:sessions:k        begins with {, and the first } ends the namespace              "store"
    {garden::sessions}:k       begins with {, and the first :: ends it, the first } the tail  "field"
    garden::sessions:{k}       else: the first :: ends it, the first { behind it the tail     "key"
    fence!{garden}:gate        belongs to the key behind the !

An entry may contain any text, because it comes after those places. So it is enough to compare namespaces, as ``claims``
does. ``reach`` compares the fields of one namespace with each other: the entry ``a:b`` of ``{garden}:sessions`` has the
key that a field with the tail ``sessions:a:b`` would have.
"""

from __future__ import annotations

import re
import unicodedata
from typing import Literal, TypeAlias

from purse.errors import DeclarationError

__all__ = [
    "Slots",
    "check_name",
    "check_rkey",
    "cleaned",
    "entries_of",
    "fault_of",
    "key_of",
    "namespace_of",
]

Slots: TypeAlias = Literal["store", "field", "key"]
"""How much shares a hash tag: all of a store, all of a field, or one entry of a key space."""

_PUNCTUATION = frozenset("_.:-/")
_GOOD_CATEGORIES = frozenset("LMN")  # letters, the marks that belong to them, numbers


def key_of(namespace: str, tail: str, slots: Slots = "store") -> str:
    """The Redis key of a field: ``{garden}:plants``."""
    return f"{{{namespace}::{tail}}}" if slots == "field" else f"{{{namespace}}}:{tail}"


def entries_of(namespace: str, tail: str, slots: Slots = "store") -> tuple[str, str]:
    """The prefix and the suffix of each key of a key space: ``{garden}:sessions:`` and an empty text."""
    if slots == "key":
        return f"{namespace}::{tail}:{{", "}"
    return f"{key_of(namespace, tail, slots)}:", ""


def namespace_of(key: str) -> tuple[str, bool]:
    """The namespace at the beginning of ``key``, and whether it is complete there: a longer key may continue it."""
    found, ends = key, ""
    if key.startswith("{"):
        found, ends, _ = key[1:].partition("}")
    namespace, goes_on, _ = found.partition("::")
    return namespace, bool(ends or goes_on)


def check_name(name: object, where: str, option: str, example: str) -> str:
    """``name`` as a namespace or tail.

    Args:
        where: the class or field that declares it, for the message.
        option: the keyword it was given with.
        example: the suggestion if nothing of ``name`` can be kept.

    Raises:
        DeclarationError: it is not a name. The message says why and suggests one.
    """
    if not isinstance(name, str):
        raise DeclarationError(f'{where}: {option}= must be a str, not {name!r}: write {option}="{example}"')
    name = str.__str__(name)
    fault = fault_of(name)
    if fault:
        fix = cleaned(name) or example
        raise DeclarationError(f'{where}: {option}={name!r} {fault}: write for example {option}="{fix}"')
    return name


def check_rkey(rkey: object, where: str) -> str:
    """``rkey`` as a Redis key that is used unchanged.

    Raises:
        DeclarationError: it is not a str, is empty, or has no UTF-8 form.
    """
    if not isinstance(rkey, str):
        raise DeclarationError(f"{where}: rkey= must be the whole Redis key as a str, not {rkey!r}")
    rkey = str.__str__(rkey)
    if not rkey:
        raise DeclarationError(f"{where}: rkey= is empty: write the whole Redis key, or omit it")
    try:
        rkey.encode()
    except UnicodeEncodeError as error:
        raise DeclarationError(
            f"{where}: rkey={rkey!r} has no UTF-8 form ({error.reason}): write a key that can be encoded"
        ) from None
    return rkey


def fault_of(name: str) -> str | None:
    """The mistake in ``name`` as a namespace or tail, as the end of a sentence. None if ``name`` is valid."""
    if not name:
        return "is empty"
    if "{" in name or "}" in name:
        return "has braces, and braces are reserved for the hash tag that purse itself writes ({garden}:plants)"
    wrong = next((char for char in name if not _is_good(char)), None)
    if wrong is not None:
        return f"contains {wrong!r}, and only letters, digits and _ . : - / are allowed"
    if name.startswith(":") or name.endswith(":") or "::" in name:
        return 'has an empty part, because ":" separates parts and cannot be first, last or doubled'
    return None


def _is_good(char: str) -> bool:
    return char in _PUNCTUATION or unicodedata.category(char)[0] in _GOOD_CATEGORIES


def cleaned(name: str) -> str:
    """``name`` with refused characters replaced, as a suggestion. May be empty."""
    kept = "".join(char if _is_good(char) else "-" for char in name)
    parts = (re.sub("-{2,}", "-", part).strip("-") for part in kept.split(":"))
    return ":".join(part for part in parts if part)
