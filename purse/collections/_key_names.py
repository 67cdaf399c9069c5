r"""KeyNames: how the keys of a key space become names of Redis keys, and back.

    prefix      key       suffix    name
    sessions:   ada                 sessions:ada
    sessions:{  ada       }         sessions:{ada}

Nothing is put between the parts. Names are bytes, as they are in Redis: a key may be any bytes of the canonical key
codec. What is between prefix and suffix is the key, so no two keys have the same name.

A glob pattern that finds them must not mean more than it says: ``a*`` as a prefix is written ``a\*``.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Sequence
from typing import TYPE_CHECKING, Generic

from typing_extensions import TypeVar

from purse.codecs import ValueCodec, canonical_codec_for
from purse.errors import EncodeError

if TYPE_CHECKING:
    from typing_extensions import TypeForm

__all__ = ["KeyNames"]

K = TypeVar("K", default=str)

_GLOB = re.compile(rb"[*?\[\\]")


class KeyNames(Generic[K]):
    """The names of one key space.

    Args:
        prefix, suffix: what stands before and behind each key.
        key_type: the type of the keys.

    Attributes:
        codec: encodes and decodes keys.

    Raises:
        DeclarationError: ``key_type`` has no canonical form.
    """

    __slots__ = ("_begin", "_end", "_prefix", "codec")

    def __init__(self, prefix: str, suffix: str, key_type: TypeForm[K]) -> None:
        self._prefix = prefix
        self._begin = prefix.encode()
        self._end = suffix.encode()
        self.codec: ValueCodec[K] = canonical_codec_for(key_type)

    def name(self, key: K) -> bytes:
        """The Redis key of ``key``.

        Raises:
            EncodeError: ``key`` does not fit the declared type.
        """
        try:
            return self._begin + self.codec.encode(key) + self._end
        except EncodeError as error:
            raise EncodeError(
                f"{self._prefix} cannot have the key {key!r}: {error} Nothing was sent.", key=self._prefix, field=key
            ) from error.__cause__

    def names(self, keys: Sequence[K]) -> list[bytes]:
        """The Redis keys of ``keys``.

        Raises:
            EncodeError: one of them does not fit the declared type; the message says which.
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
        """Those that have the suffix, each once; SCAN may repeat names, and a user's pattern swallow the suffix."""
        end = self._end
        return [name for name in dict.fromkeys(names) if name.endswith(end)] if end else [*dict.fromkeys(names)]

    def pattern(self, match: str | bytes | None) -> bytes:
        """The glob pattern for the names whose encoded key matches ``match``; None: all."""
        glob = b"*" if match is None else match.encode() if isinstance(match, str) else match
        return _escaped(self._begin) + glob + _escaped(self._end)


def _escaped(text: bytes) -> bytes:
    return _GLOB.sub(rb"\\\g<0>", text)
