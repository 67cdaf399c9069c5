"""RedisQueue and RedisLifoQueue: a Redis list, seen as an awaitable ``asyncio.Queue``.

                   head (left)                        tail (right)
    RedisQueue     put ->  third   second   first     -> get
    RedisLifoQueue         first   second   third    <-> put, get

Both take items at the tail, as redis-purse 2.x did, so processes with 2.x may use the same queue. Items are stored as
the codec writes them, and nothing is added.
"""

from __future__ import annotations

import itertools
from collections.abc import Sequence
from typing import TYPE_CHECKING, ClassVar, Generic

from typing_extensions import TypeVar

from purse._engine.replies import Reply, as_all_bytes, as_int
from purse._engine.scripts import ScriptCall, load_script
from purse._engine.unit import Argument, Command, Unit
from purse.codecs._binding import bind_codec
from purse.collections._base import Call, paged
from purse.collections._field_options import field_options
from purse.collections._object import RedisType
from purse.collections._queue_base import BaseQueue

if TYPE_CHECKING:
    from typing_extensions import TypeForm

    from purse._engine.clients import RedisClient
    from purse.codecs import Codec, CodecFactory
    from purse.ttl import Lifetime

__all__ = ["RedisLifoQueue", "RedisQueue"]

V = TypeVar("V")
T = TypeVar("T")  # of field(): the annotation in front of it says what it is


class _ListQueue(BaseQueue[V, bytes], Generic[V]):
    """A queue that is a list, with ``get`` at the tail."""

    __slots__ = ("_codec",)

    _push: ClassVar[str]
    _pop = "RPOP"
    _size = "LLEN"
    _next = ("LINDEX", -1)

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

    def _encoded(self, items: Sequence[V]) -> Sequence[Argument]:
        if len(items) == 1:
            return [self._encode(self._codec, items[0])]
        return self._encode_all(self._codec, items, itertools.count())

    def _put_one(self, encoded: Sequence[Argument]) -> Call:
        if self._maxsize:
            return self._write_plain(self._script(encoded))
        return self._write((self._push, self.rkey, *encoded))

    def _putting(self, encoded: Sequence[Argument]) -> Unit[int]:
        pushes: list[Command] = [(self._push, self.rkey, *page) for page in paged(encoded)]
        return self._write_unit(pushes, lambda replies: as_int(replies[len(pushes) - 1]))

    def _script(self, encoded: Sequence[Argument]) -> ScriptCall:
        return load_script("queue_put")((self.rkey,), self._push, self._maxsize, self._policy(), *encoded)

    def _elements(self, reply: Reply) -> list[bytes]:
        if isinstance(reply, bytes):
            return [reply]
        return [] if reply is None else as_all_bytes(reply)

    def _put_back(self, elements: list[bytes]) -> Unit[object]:
        return self._write_unit([("RPUSH", self.rkey, *page) for page in paged(elements[::-1])], lambda replies: None)

    def _item(self, element: bytes, *, taken: bool) -> V:
        return (self._decode_taken if taken else self._decode)(self._codec, element)


class RedisQueue(_ListQueue[V], Generic[V]):
    """A Redis list as an awaitable queue of ``V``: first in, first out.

    Args:
        redis: the client, ``redis.asyncio.Redis``. The collection never closes it.
        rkey: the Redis key, used as it is.
        value_type: any type that pydantic validates. ``str`` and ``bytes`` are stored raw, everything else as JSON.
        codec: stores the items in another way.
        ttl: a ``TTL``, a ``timedelta`` or seconds: the policy that every write applies.
        maxsize: ``put`` waits, and ``put_nowait`` raises ``asyncio.QueueFull``, while there are that many items. 0
            means no limit.

    Raises:
        DeclarationError: a type that cannot be stored, a ``maxsize`` below 0, or a TTL per item.
        TypeError: ``redis`` is not a ``redis.asyncio.Redis``.

    With a TTL policy the commands of a write go inside EVALSHA with_ttl. With ``TTL(renew="read")`` so do those of a
    read that returns stored values.

    Construction does no I/O.
    """

    __slots__ = ()

    __purse_structure__ = True
    redis_type: ClassVar[RedisType] = "list"
    _push = "LPUSH"

    @staticmethod
    def field(
        *,
        maxsize: int | None = None,
        ttl: Lifetime | None = None,
        codec: Codec[T] | CodecFactory | None = None,
        key: str | None = None,
        rkey: str | None = None,
    ) -> RedisQueue[T]:
        """Options of a field of a ``Store``: ``jobs: RedisQueue[Job] = RedisQueue.field(maxsize=100)``.

        Args:
            maxsize: ``put`` waits while there are that many items. 0 means no limit.
            ttl, codec, key, rkey: as for ``purse.field``.
        """
        return field_options(RedisQueue, ttl=ttl, codec=codec, key=key, rkey=rkey, maxsize=maxsize)


class RedisLifoQueue(_ListQueue[V], Generic[V]):
    """A Redis list as an awaitable stack of ``V``: last in, first out. Otherwise as ``RedisQueue``."""

    __slots__ = ()

    __purse_structure__ = True
    redis_type: ClassVar[RedisType] = "list"
    _push = "RPUSH"

    @staticmethod
    def field(
        *,
        maxsize: int | None = None,
        ttl: Lifetime | None = None,
        codec: Codec[T] | CodecFactory | None = None,
        key: str | None = None,
        rkey: str | None = None,
    ) -> RedisLifoQueue[T]:
        """Options of a field of a ``Store``: ``undo: RedisLifoQueue[Edit] = RedisLifoQueue.field(maxsize=100)``.

        Args:
            maxsize: ``put`` waits while there are that many items. 0 means no limit.
            ttl, codec, key, rkey: as for ``purse.field``.
        """
        return field_options(RedisLifoQueue, ttl=ttl, codec=codec, key=key, rkey=rkey, maxsize=maxsize)
