r"""KeyNames: how the keys of a key space become names of Redis keys, and back.

    prefix      key       suffix    name
    sessions:   ada                 sessions:ada
    sessions:{  ada       }         sessions:{ada}

Nothing is put between the parts. Names are bytes, as they are in Redis: a key may be any bytes of the canonical key
codec. The part between prefix and suffix is the key, so no two keys have the same name.

In a glob pattern the prefix must be literal: ``a*`` as a prefix is written ``a\*``.

While a value is made, a marker represents its entry (see ``_key_space_get_or_create``). It has the entry's hash tag:

    entry       {garden}:sessions:ada              sessions:ada
    marker      making!{garden}:sessions:ada       making!{sessions:ada}
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Sequence
from typing import TYPE_CHECKING, Generic

from typing_extensions import TypeVar

from purse.codecs._binding import key_codec_for
from purse.codecs._shown import named, shown
from purse.codecs._value_codecs import ValueCodec
from purse.errors import EncodeError

if TYPE_CHECKING:
    from typing_extensions import TypeForm

__all__ = ["MAKING", "KeyNames"]

K = TypeVar("K", default=str)

_GLOB = re.compile(rb"[*?\[\\]")
MAKING = b"making!"
"""The beginning of the names of markers."""


class KeyNames(Generic[K]):
    """The names of one key space.

    Args:
        prefix, suffix: the parts before and behind each key.
        key_type: the type of the keys.

    Attributes:
        codec: encodes and decodes keys.

    Raises:
        DeclarationError: values of ``key_type`` cannot be hashed, or have no canonical form.
    """

    __slots__ = ("_begin", "_end", "_meets_markers", "_prefix", "_tagged", "codec")

    def __init__(self, prefix: str, suffix: str, key_type: TypeForm[K]) -> None:
        self._prefix = prefix
        self._begin = prefix.encode()
        self._end = suffix.encode()
        self._meets_markers = MAKING.startswith(self._begin)  # such a prefix cannot be declared
        self._tagged = _has_tag(self._begin)  # so every name has one
        self.codec: ValueCodec[K] = key_codec_for(key_type)

    def name(self, key: K) -> bytes:
        """The Redis key of ``key``.

        Raises:
            EncodeError: ``key`` does not fit the declared type.
        """
        try:
            return self._begin + self.codec.encode(key) + self._end
        except EncodeError as error:
            raise EncodeError(
                f"{named(self._prefix)} cannot have the key {shown(key)}: {error} Nothing was sent.",
                key=self._prefix,
                field=key,
            ) from error.__cause__

    def names(self, keys: Sequence[K]) -> list[bytes]:
        """The Redis keys of ``keys``.

        Raises:
            EncodeError: one of them does not fit the declared type. The message names it.
        """
        begin, end = self._begin, self._end
        try:
            return [begin + raw + end for raw in self.codec.encode_all(keys)]
        except EncodeError:
            return [self.name(key) for key in keys]

    def raw_key(self, name: bytes) -> bytes:
        """The encoded key in a name."""
        return name[len(self._begin) : len(name) - len(self._end)]

    def own(self, names: Iterable[bytes]) -> list[bytes]:
        """Return the names with the suffix, each once. SCAN may repeat names, and a pattern may match the suffix."""
        end = self._end
        if self._meets_markers:
            names = [name for name in names if not name.startswith(MAKING)]
        return [name for name in dict.fromkeys(names) if name.endswith(end)] if end else [*dict.fromkeys(names)]

    def pattern(self, match: str | bytes | None) -> bytes:
        """The glob pattern for the names whose encoded key matches ``match``, or for all names if it is None."""
        glob = b"*" if match is None else match.encode() if isinstance(match, str) else match
        return _escaped(self._begin) + glob + _escaped(self._end)

    def marker(self, name: bytes) -> bytes:
        """The Redis key that represents the entry ``name`` while its value is made."""
        # A name with a lone } has no tag, and cannot be one.
        tagged = self._tagged or _has_tag(name) or b"}" in name
        return MAKING + name if tagged else b"%b{%b}" % (MAKING, name)

    def pattern_with_markers(self) -> bytes:
        """The glob pattern for all entries and their markers. It may find others, which ``told_apart`` leaves out."""
        end = _escaped(self._end)
        return b"*" + _escaped(self._begin) + b"*" + (end + b"*" if end else b"")

    def told_apart(self, names: list[bytes]) -> tuple[list[bytes], list[bytes]]:
        """Return the entries among ``names``, and the entries for which there are markers."""
        begin, end, least = self._begin, self._end, len(self._begin) + len(self._end)
        # What is between two names that begin in the same way begins so, too. Nearly always these are all.
        if names and min(names).startswith(begin) and max(names).startswith(begin):
            entries = names
        else:
            entries = [name for name in names if name.startswith(begin)]
        if end:
            entries = [name for name in entries if name.endswith(end) and len(name) >= least]
        if len(entries) == len(names) and not self._meets_markers:
            return entries, []
        marked: dict[bytes, None] = {}
        for name in names:
            if name.startswith(MAKING):
                rest = name[len(MAKING) :]
                marked.update(
                    dict.fromkeys(e for e in (rest, rest[1:-1]) if self._is_own(e) and self.marker(e) == name)
                )
        return self.own(entries), [*marked]

    def _is_own(self, name: bytes) -> bool:
        begin, end = self._begin, self._end
        return name.startswith(begin) and name.endswith(end) and len(name) >= len(begin) + len(end)


def _has_tag(name: bytes) -> bool:
    """Whether a part of ``name`` is its hash tag: what is between the first { and the next }, if anything is."""
    start = name.find(b"{")
    return start >= 0 and name.find(b"}", start + 1) > start + 1


def _escaped(text: bytes) -> bytes:
    return _GLOB.sub(rb"\\\g<0>", text)
