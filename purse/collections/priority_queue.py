"""RedisPriorityQueue: a Redis sorted set, seen as an awaitable ``asyncio.PriorityQueue``.

Items are pairs ``(value, priority)``. The item with the lowest priority is taken first, and among equal priorities the
item that was put first. The score is the priority. Redis orders members of one score by their bytes, so the bytes begin
with a number that grows with each put:

    byte 0     1                  17                    36
         "~" | 4024000000000000 | 0001763400000000000 | what the codec wrote
               the priority, an   the number, decimal
               IEEE double, hex

- redis-purse 2.x wrote ``str(uuid4())`` in place of these 36 bytes and cuts them off unread, so each version reads the
  items of the other. At equal priority the items of 2.x come first, in no particular order, because "~" sorts behind
  every digit.
- The server gives the number in the same script that puts the item, because the clocks of clients differ. It is the
  server's clock in microseconds, or one more than the last number in the queue for this priority if the clock is not
  beyond that number. So a later item sorts behind all items of its priority in the queue, for any number of clients,
  even after the server's clock was set back or a replica with another clock took over. No second key is needed, and an
  empty queue leaves nothing behind.
- The clock keeps the numbers growing while a queue is empty: an item that was taken for a caller that was cancelled
  goes back under its old number, before all items that were put since. (If the clock was set back at that moment, it
  may go behind some of them.)
- The bytes contain the priority because two items of one script may get the same number, and would be one member if
  their values were also equal.
"""

from __future__ import annotations

import itertools
import math
import struct
from collections.abc import Iterable, Sequence
from typing import TYPE_CHECKING, ClassVar, Generic, TypeAlias, cast

from typing_extensions import TypeVar

from purse._engine.replies import Reply
from purse._engine.scripts import ScriptCall, load_script
from purse._engine.unit import Argument, Command, Unit
from purse.codecs._binding import bind_codec
from purse.codecs._shown import shown
from purse.collections._base import PAGE, Call, paged, total
from purse.collections._field_options import field_options
from purse.collections._object import RedisType
from purse.collections._queue_base import BaseQueue
from purse.collections._sorted_set_ranges import as_scored
from purse.errors import DecodeError, EncodeError

if TYPE_CHECKING:
    from typing_extensions import TypeForm

    from purse._engine.clients import RedisClient
    from purse.codecs import Codec, CodecFactory
    from purse.ttl import Lifetime

__all__ = ["RedisPriorityQueue"]

V = TypeVar("V")
T = TypeVar("T")  # of field(): the annotation in front of it says what it is

Member: TypeAlias = tuple[bytes, float]

_PREFIX = 36  # bytes before what the codec wrote
_WORDS = 3  # of the script, for each item


class RedisPriorityQueue(BaseQueue[tuple[V, float], Member], Generic[V]):
    """A Redis sorted set as an awaitable queue of pairs ``(V, priority)``: lowest first, then first in, first out.

    A priority is any int or float that a float holds exactly, except nan. It comes back as an equal float. (redis-purse
    2.x returned an int without the digits after the point.)

    Args:
        redis: the client, ``redis.asyncio.Redis``. The collection never closes it.
        rkey: the Redis key, used as it is.
        value_type: any type that pydantic validates. ``str`` and ``bytes`` are stored raw, everything else as JSON.
        codec: stores the values in another way.
        ttl: a ``TTL``, a ``timedelta`` or seconds: the policy that every write applies.
        maxsize: ``put`` waits, and ``put_nowait`` raises ``asyncio.QueueFull``, while there are that many items. 0
            means no limit.

    Raises:
        DeclarationError: a type that cannot be stored, a ``maxsize`` below 0, or a TTL per item.
        TypeError: ``redis`` is not a ``redis.asyncio.Redis``.

    With a TTL policy a command that takes items goes inside EVALSHA with_ttl. With ``TTL(renew="read")`` so does
    ``peek``. Construction does no I/O.
    """

    __slots__ = ("_codec",)

    __purse_structure__ = True
    redis_type: ClassVar[RedisType] = "zset"
    _in_words = "sorted set"
    _pop = "ZPOPMIN"
    _size = "ZCARD"
    _next = ("ZRANGE", 0, 0, "WITHSCORES")

    def __init__(
        self,
        redis: RedisClient,
        rkey: str,
        value_type: TypeForm[V],
        *,
        codec: Codec[V] | CodecFactory | None = None,
        ttl: Lifetime | None = None,
        maxsize: int = 0,
    ) -> None:
        super().__init__(redis, rkey, ttl=ttl, maxsize=maxsize)
        self._codec = bind_codec(value_type, codec)

    @staticmethod
    def field(
        *,
        maxsize: int | None = None,
        ttl: Lifetime | None = None,
        codec: Codec[T] | CodecFactory | None = None,
        key: str | None = None,
        rkey: str | None = None,
    ) -> RedisPriorityQueue[T]:
        """Options of a field of a ``Store``: ``jobs: RedisPriorityQueue[Job] = RedisPriorityQueue.field(maxsize=100)``.

        Args:
            maxsize: ``put`` waits while there are that many items. 0 means no limit.
            ttl, codec, key, rkey: as for ``purse.field``.
        """
        return field_options(RedisPriorityQueue, ttl=ttl, codec=codec, key=key, rkey=rkey, maxsize=maxsize)

    def _encoded(self, items: Sequence[tuple[V, float]]) -> Sequence[Argument]:
        for item in items:
            if not isinstance(cast("object", item), tuple) or len(item) != 2:
                raise EncodeError(
                    f"{self._where()}: an item must be a tuple (value, priority), not {type(item).__name__}. "
                    "Nothing was sent.",
                    key=self.rkey,
                )
        priorities = [self._priority(priority) for _, priority in items]
        names: Iterable[object] = itertools.count() if len(items) > 1 else [None]
        raws = self._encode_all(self._codec, [value for value, _ in items], names)
        return [
            word
            for priority, raw in zip(priorities, raws, strict=True)
            for word in (repr(priority), struct.pack(">d", priority).hex(), raw)
        ]

    def _put_one(self, encoded: Sequence[Argument]) -> Call:
        return self._write_plain(self._script(encoded))

    def _putting(self, encoded: Sequence[Argument]) -> Unit[int]:
        return Unit([self._script(page) for page in paged(encoded, _WORDS * PAGE)], total, self)

    def _script(self, encoded: Sequence[Argument]) -> ScriptCall:
        return load_script("priority_queue_put")((self.rkey,), self._maxsize, self._policy(), *encoded)

    def _elements(self, reply: Reply) -> list[Member]:
        return as_scored(reply)

    def _put_back(self, elements: list[Member]) -> Unit[object]:
        adds: list[Command] = [
            ("ZADD", self.rkey, *(word for member, score in page for word in (repr(score), member)))
            for page in paged(elements)
        ]
        return self._write_unit(adds, lambda replies: None)

    def _item(self, element: Member, *, taken: bool) -> tuple[V, float]:
        member, priority = element
        if len(member) < _PREFIX:
            fate = "It was removed from Redis, and this error's raw holds it" if taken else "It was not changed"
            raise DecodeError(
                f"{self._where()} holds a member without the {_PREFIX} bytes that a queue puts in front of each "
                f"item: {shown(member)}. {fate}.",
                key=self.rkey,
                raw=member,
            )
        return (self._decode_taken if taken else self._decode)(self._codec, member[_PREFIX:]), priority

    def _priority(self, priority: float) -> float:
        """Return a priority as Redis can order it.

        Raises:
            EncodeError: it is not a number, or would not come back equal.
        """
        given = cast("object", priority)
        if isinstance(given, (int, float)):
            try:
                exact = float(given)
            except OverflowError:
                exact = math.nan
            if exact == given:
                return exact + 0.0  # -0.0 is 0.0
        raise EncodeError(
            f"{self._where()}: a priority must be a number that a float holds exactly, and not nan: got "
            f"{shown(given)}. Nothing was sent.",
            key=self.rkey,
        )
