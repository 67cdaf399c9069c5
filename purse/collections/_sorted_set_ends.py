"""SortedSetEnds: reading, taking and waiting for the items at the two ends of a sorted set.

Nothing blocks on the server. Callers that wait for the lowest item of a key, or for the highest, form one line
(``purse._engine.waiting``). Its task takes as many items as there are waiters, with plain ZPOPMIN or ZPOPMAX.
"""

from __future__ import annotations

from datetime import timedelta
from functools import partial
from typing import TYPE_CHECKING, Generic, Literal, TypeAlias

from typing_extensions import TypeVar

from purse._engine.hooks import refuse_in_atomic
from purse._engine.unit import Argument, Command, Unit
from purse._engine.waiting import NothingCame
from purse.codecs._shown import said, shown
from purse.codecs._value_codecs import ValueCodec
from purse.collections._base import PAGE, clamped, paged, total
from purse.collections._key import RedisKey
from purse.collections._sorted_set_ranges import as_scored, score_word
from purse.errors import DecodeError

if TYPE_CHECKING:
    from purse._engine.waiting import Line

__all__ = ["Scored", "SortedSetEnds"]

V = TypeVar("V")

End: TypeAlias = Literal["min", "max"]
Scored: TypeAlias = tuple[bytes, float]

_SHOWN = 20  # elements that a message names
_POPS: dict[End, str] = {"min": "ZPOPMIN", "max": "ZPOPMAX"}


class SortedSetEnds(RedisKey, Generic[V]):
    """The methods of ``RedisSortedSet`` at its ends."""

    __slots__ = ()

    _codec: ValueCodec[V]

    async def peek_min(self) -> tuple[V, float]:
        """The item with the lowest score, which is not removed.

        Raises:
            IndexError: the sorted set is empty.
            DecodeError: the member is not valid. It is not changed.

        One round trip, O(log N). Sends: ZRANGE.
        """
        return await self._peek(())

    async def peek_max(self) -> tuple[V, float]:
        """The item with the highest score, which is not removed. Otherwise as ``peek_min``.

        One round trip, O(log N). Sends: ZRANGE REV.
        """
        return await self._peek(("REV",))

    async def peak_min(self) -> tuple[V, float]:
        """The name of ``peek_min`` in redis-purse 2.x.

        One round trip, O(log N). Sends: ZRANGE.
        """
        return await self.peek_min()

    async def peak_max(self) -> tuple[V, float]:
        """The name of ``peek_max`` in redis-purse 2.x.

        One round trip, O(log N). Sends: ZRANGE REV.
        """
        return await self.peek_max()

    async def pop_min(self, count: int = 1) -> list[tuple[V, float]]:
        """Remove the items with the lowest scores and return them, the lowest first.

        Each item goes to at most one caller. If the reply is lost on the way, the items are lost (delivery at most
        once).

        Args:
            count: how many at most. ``pop_min(0)`` sends nothing. With more than one the call cannot be part of
                ``atomic``, because it may have to put items back.

        Returns:
            The items, fewer than ``count`` or none if there are no more.

        Raises:
            ValueError: ``count`` is negative.
            DecodeError: removed bytes are not a valid member. The error's ``raw`` holds them. Other items that were
                removed with them have been put back, in a second round trip.

        One round trip, O(n log N). Sends: ZPOPMIN.
        """
        return await self._pop("min", count)

    async def pop_max(self, count: int = 1) -> list[tuple[V, float]]:
        """Remove the items with the highest scores and return them, the highest first. Otherwise as ``pop_min``.

        One round trip, O(n log N). Sends: ZPOPMAX.
        """
        return await self._pop("max", count)

    async def blocking_pop_min(self, timeout: float | timedelta | None = 0) -> tuple[V, float]:
        """Remove the item with the lowest score and return it. Wait for one if there is none.

        Callers of one client are served in the order in which they came, and any number of them share a few
        connections. Nothing blocks on the server. Cancelling the call at any moment loses no item: an item that was on
        its way goes to the next caller, or is put back with its score. During an outage of a server that could be
        reached before, the call continues to wait.

        Args:
            timeout: in seconds, or a ``timedelta``, from the call to the result. 0 or None waits for ever.

        Raises:
            TimeoutError: (the builtin one) no item came in time. Nothing was removed.
            redis.exceptions.ConnectionError, redis.exceptions.TimeoutError: the server could never be reached, or could
                not be reached when ``timeout`` ended, or the connection was lost when an item may have been taken.
            ValueError: ``timeout`` is negative or nan.
            DecodeError: the removed bytes are not a valid member. The error's ``raw`` holds them.
            TypeError: inside ``atomic``, which cannot wait.

        One round trip if there is an item, O(log N). Sends: ZPOPMIN, again whenever the key has changed.
        """
        refuse_in_atomic("blocking_pop_min", "waits until there is an item")
        return await self._wait_and_pop("min", timeout)

    async def blocking_pop_max(self, timeout: float | timedelta | None = 0) -> tuple[V, float]:
        """Remove the item with the highest score and return it. Wait for one if there is none.

        See ``blocking_pop_min``.

        One round trip if there is an item, O(log N). Sends: ZPOPMAX, again whenever the key has changed.
        """
        refuse_in_atomic("blocking_pop_max", "waits until there is an item")
        return await self._wait_and_pop("max", timeout)

    # --- private --------------------------------------------------------------------------------

    async def _slice(self, bounds: tuple[Argument, ...]) -> list[tuple[V, float]]:
        items = as_scored(await self._read(("ZRANGE", self.rkey, *bounds, "WITHSCORES")))
        raws = [raw for raw, _ in items]
        return [*zip(self._decode_all(self._codec, raws, raws), (score for _, score in items), strict=True)]

    async def _peek(self, order: tuple[str, ...]) -> tuple[V, float]:
        items = await self._slice((0, 0, *order))
        if not items:
            raise IndexError(f"{self._where()}: peek into an empty sorted set")
        return items[0]

    async def _pop(self, end: End, count: int) -> list[tuple[V, float]]:
        if count < 0:
            raise ValueError(f"count= must be 0 or more, not {count}")
        if count == 0:
            return []
        if count == 1:
            return [self._taken(item) for item in await self._take(end, 1)]
        refuse_in_atomic(f"pop_{end}", "with a count may have to put items back")
        items = await self._take(end, clamped(count))
        popped: list[tuple[V, float]] = []
        for nth, item in enumerate(items):
            try:
                popped.append(self._taken(item))
            except DecodeError as error:
                others = [*items[:nth], *items[nth + 1 :]]
                refusal = await self._line(end).give_back(others) if others else None
                if refusal is not None:
                    words = ", ".join(f"{shown(raw)} with the score {score}" for raw, score in others[:_SHOWN])
                    more = f" and {len(others) - _SHOWN} more" if len(others) > _SHOWN else ""
                    error.add_note(
                        f"purse: these were also removed and could not be put back yet ({said(refusal)}). They "
                        f"are kept, and putting them back is tried again: {words}{more}"
                    )
                raise
        return popped

    async def _take(self, end: End, count: int) -> list[Scored]:
        return await self._executor.take(self._taking(end, count), partial(self._line, end))

    def _taking(self, end: End, count: int) -> Unit[list[Scored]]:
        return self._write_unit(((_POPS[end], self.rkey, count),), lambda replies: as_scored(replies[0]))

    def _line(self, end: End) -> Line[Scored]:
        # All items of one line are taken under one TTL policy.
        what = f"{_POPS[end]} {self._ttl}"
        return self._executor.line(self.rkey, what, partial(self._taking, end), self._put_back)

    async def _wait_and_pop(self, end: End, timeout: float | timedelta | None) -> tuple[V, float]:
        try:
            item = await self._line(end).get_within(timeout)
        except NothingCame as vain:
            raise TimeoutError(f"{self._where()}: no item came within {vain.seconds} seconds") from None
        return self._taken(item)

    def _put_back(self, items: list[Scored]) -> Unit[object]:
        # NX: a caller that has added the member again since has given it a newer score.
        flat: list[Argument] = [part for raw, score in items for part in (score_word(score), raw)]
        adds: list[Command] = [("ZADD", self.rkey, "NX", *page) for page in paged(flat, 2 * PAGE)]
        return self._write_unit(adds, total)

    def _taken(self, item: Scored) -> tuple[V, float]:
        """Decode the item of a pop."""
        raw, score = item
        return self._decode_taken(self._codec, raw, raw), score
