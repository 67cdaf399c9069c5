"""SortedSetSlices: slices, counts and removals between two ranks, scores or members.

by rank      0 is the lowest score            remove_by_rank, slice_by_rank
by score     gt(x) and lt(x) leave x out      remove_by_score, slice_by_score, count
by bytes     where all scores are equal       slice_by_lex
"""

from __future__ import annotations

import math
from typing import TYPE_CHECKING, Generic, cast

from typing_extensions import TypeVar

from purse._engine.replies import as_all_bytes, as_int
from purse.codecs import codec_for
from purse.codecs._shown import shown
from purse.codecs._type_names import type_name, unwrapped
from purse.codecs._value_codecs import BytesCodec, ConstrainedCodec, TextCodec, ValueCodec
from purse.collections._base import clamped
from purse.collections._sorted_set_ends import SortedSetEnds
from purse.collections._sorted_set_ranges import Above, Below, lex_range, limits, score_range
from purse.errors import EncodeError

if TYPE_CHECKING:
    from typing_extensions import TypeForm

__all__ = ["SortedSetSlices"]

V = TypeVar("V")


class SortedSetSlices(SortedSetEnds[V], Generic[V]):
    """The methods of ``RedisSortedSet`` with a range of members."""

    __slots__ = ()

    _value_type: object

    async def slice_by_rank(self, min_rank: int, max_rank: int, descending: bool = False) -> list[tuple[V, float]]:
        """The items with these ranks as they are at one moment, ``max_rank`` included.

        Args:
            min_rank, max_rank: 0 is the first. Negative ones count from the last, so 0, -1 is everything.
            descending: rank 0 is the highest score instead of the lowest, and the items come in that order.

        Raises:
            DecodeError: a member in it is not valid. Nothing is changed.

        One round trip, O(log N + n). Sends: ZRANGE.
        """
        order = ("REV",) if descending else ()
        return await self._slice((clamped(min_rank), clamped(max_rank), *order))

    async def slice_by_score(
        self,
        min_score: float | Above[float] = -math.inf,
        max_score: float | Below[float] = math.inf,
        offset: int | None = None,
        count: int | None = None,
        descending: bool = False,
    ) -> list[tuple[V, float]]:
        """The items with these scores as they are at one moment.

        Args:
            min_score, max_score: both are included. ``gt(x)`` and ``lt(x)`` leave ``x`` itself out.
            offset: how many items to skip.
            count: how many to return at most, None or negative for all.
            descending: from ``max_score`` down to ``min_score``.

        Raises:
            ValueError: ``offset`` is negative.
            EncodeError: a bound is not a score. Nothing was sent.
            DecodeError: a member in it is not valid. Nothing is changed.

        One round trip, O(log N + n + offset). Sends: ZRANGE BYSCORE.
        """
        low, high = self._score_range(min_score, max_score)
        bounds = (high, low, "BYSCORE", "REV") if descending else (low, high, "BYSCORE")
        return await self._slice((*bounds, *limits(offset, count)))

    async def slice_by_lex(
        self,
        min_member: V | Above[V] | None = None,
        max_member: V | Below[V] | None = None,
        offset: int | None = None,
        count: int | None = None,
        descending: bool = False,
    ) -> list[V]:
        """The members between two others, in the order of their bytes, as they are at one moment.

        Only for members that all have the same score, which are in this order. With different scores the result is
        unspecified. Bounds need not be members, and need not fit the constraints of the declared type.

        Args:
            min_member, max_member: both are included. ``gt(x)`` and ``lt(x)`` leave ``x`` itself out. None means no
                bound.
            offset: how many members to skip.
            count: how many to return at most, None or negative for all.
            descending: from ``max_member`` down to ``min_member``.

        Raises:
            TypeError: the members are not stored raw, as ``str`` and ``bytes`` are, so their bytes have no useful
                order. Nothing was sent.
            ValueError: ``offset`` is negative.
            EncodeError: a bound is not a ``str`` or ``bytes`` like the members. Nothing was sent.
            DecodeError: a member in it is not valid. Nothing is changed.

        One round trip, O(log N + n + offset). Sends: ZRANGE BYLEX.
        """
        codec = self._raw_codec()
        low, high = lex_range(lambda bound: self._encode(codec, bound), min_member, max_member)
        bounds = (high, low, "BYLEX", "REV") if descending else (low, high, "BYLEX")
        raws = as_all_bytes(await self._read(("ZRANGE", self.rkey, *bounds, *limits(offset, count))))
        return self._decode_all(self._codec, raws, raws)

    async def count(
        self, min_score: float | Above[float] = -math.inf, max_score: float | Below[float] = math.inf
    ) -> int:
        """How many members have these scores. Both bounds are included unless they are ``gt(x)`` and ``lt(x)``.

        Raises:
            EncodeError: a bound is not a score. Nothing was sent.

        One round trip, O(log N). Sends: ZCOUNT.
        """
        return as_int(await self._read_plain(("ZCOUNT", self.rkey, *self._score_range(min_score, max_score))))

    async def remove_by_rank(self, min_rank: int, max_rank: int) -> int:
        """Remove the members with these ranks, ``max_rank`` included. Negative ones count from the highest score.

        ``remove_by_rank(0, -101)`` leaves the hundred highest.

        Returns:
            How many were removed.

        One round trip, O(log N + n). Sends: ZREMRANGEBYRANK.
        """
        bounds = (clamped(min_rank), clamped(max_rank))
        return as_int(await self._write(("ZREMRANGEBYRANK", self.rkey, *bounds)))

    async def remove_by_score(self, min_score: float | Above[float], max_score: float | Below[float]) -> int:
        """Remove the members with these scores. Both bounds are included unless they are ``gt(x)`` and ``lt(x)``.

        Returns:
            How many were removed.

        Raises:
            EncodeError: a bound is not a score. Nothing was sent.

        One round trip, O(log N + n). Sends: ZREMRANGEBYSCORE.
        """
        bounds = self._score_range(min_score, max_score)
        return as_int(await self._write(("ZREMRANGEBYSCORE", self.rkey, *bounds)))

    # --- private --------------------------------------------------------------------------------

    def _where(self, field: object = None) -> str:
        """See ``RedisCollection._where``. Bytes are a member, and so a value."""
        return f"{super()._where()}[{shown(field)}]" if isinstance(field, bytes) else super()._where(field)

    def _score_range(self, low: float | Above[float], high: float | Below[float]) -> tuple[str, str]:
        try:
            return score_range(low, high)
        except EncodeError as error:
            raise self._no_score(error) from None

    def _no_score(self, error: EncodeError, field: object = None) -> EncodeError:
        return EncodeError(f"{self._where(field)}: {error} Nothing was sent.", key=self.rkey, field=field)

    def _raw_codec(self) -> ValueCodec[object]:
        """The codec of bounds between members that are stored raw."""
        if not isinstance(self._codec, (TextCodec, BytesCodec, ConstrainedCodec)):
            raise TypeError(
                f"{self._where()}: slice_by_lex() needs str or bytes members, which are stored raw. The "
                f"stored bytes of a {type_name(self._value_type)} have no useful order. Use slice_by_score()."
            )
        return codec_for(cast("TypeForm[object]", unwrapped(self._value_type)))
