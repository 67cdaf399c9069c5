"""BaseQueue: the common part of the queues, which is everything except the stored form of an item.

    put --> [ one Redis key ] --> get
    waits for room                waits for an item
    LLEN < maxsize?               a line of all callers of one client that wait, served in their order

Nothing blocks on the server. A task of the engine (``_engine.waiting``) takes the items for callers that wait. It puts
back an item that was taken for a caller that was cancelled, so cancelling a ``get`` at any moment loses and reorders
nothing. An item goes to one caller, at most once: items that were taken but not delivered are lost if the process is
killed or the connection breaks. The orderly end of a store or an event loop loses nothing.
"""

from __future__ import annotations

import asyncio
import logging
from abc import abstractmethod
from collections.abc import AsyncIterator, Awaitable, Callable, Iterable, Sequence
from datetime import timedelta
from typing import TYPE_CHECKING, ClassVar, Generic, TypeVar

from purse._engine.hooks import refuse_in_atomic
from purse._engine.replies import Reply, as_int
from purse._engine.scripts import ScriptCall
from purse._engine.unit import Argument, Command, Unit
from purse._engine.waiting import NothingCame
from purse._engine.wakeups import Look
from purse.codecs._shown import named, shown
from purse.collections._arguments import listed
from purse.collections._base import Call, integer
from purse.collections._key import RedisKey
from purse.collections._operators import QUEUE
from purse.collections._paging import OnError, check_on_error
from purse.errors import DeclarationError, DecodeError

if TYPE_CHECKING:
    from typing import Self

    from purse._engine.clients import RedisClient
    from purse._engine.waiting import Line
    from purse.ttl import Lifetime

__all__ = ["BaseQueue"]

I = TypeVar("I")  # noqa: E741 - an item, as callers see it
E = TypeVar("E")

_log = logging.getLogger("purse")
_MOST = 2**31 - 1  # beyond any queue


class BaseQueue(RedisKey, Generic[I, E]):
    """A queue of items ``I``, each of which is an element ``E`` in Redis.

    It is its own asynchronous iterator: ``async for item in queue`` waits for items and takes them one by one, for
    ever. Leaving the loop, or cancelling the task in it, loses no item.

    Args:
        redis: the client. A collection never closes it.
        rkey: the key, used as it is.
        ttl: a ``TTL``, a ``timedelta`` or seconds: the policy that every write through this object applies.
        maxsize: how many items the queue may hold before a put waits. 0 means no limit.
    """

    __slots__ = ("_line_name", "_maxsize")

    _instead = QUEUE

    _pop: ClassVar[str]
    _size: ClassVar[str]
    _next: ClassVar[tuple[Argument, ...]]  # reads the next item: the command, and its arguments after the key

    def __init__(self, redis: RedisClient, rkey: str, *, ttl: Lifetime | None, maxsize: int) -> None:
        super().__init__(redis, rkey, ttl=ttl)
        if type(maxsize) is not int or not 0 <= maxsize <= _MOST:
            raise DeclarationError(f"{named(rkey)}: maxsize= must be an int, 0 for no limit, not {shown(maxsize)}")
        self._maxsize = maxsize
        self._line_name = f"queue {self._pop} {self._ttl}"  # all items of one line are taken under one policy

    @property
    def maxsize(self) -> int:
        """How many items the queue may hold before a put waits. 0 means no limit."""
        return self._maxsize

    # --- putting --------------------------------------------------------------------------------

    async def put(self, item: I) -> int:
        """Put ``item``. If there is a ``maxsize``, wait until the queue holds fewer items.

        Callers of one client get room in the order in which they found the queue full, and later callers wait behind
        them. Cancelling a caller that waits puts nothing. If its item was just being sent, the item may still be put,
        once.

        Returns:
            The number of items in the queue, or 1 for a ``RedisPriorityQueue``, as in redis-purse 2.x.

        Raises:
            EncodeError: ``item`` does not fit the declared type. Nothing was sent.

        One round trip, O(1), or while it waits one for each look. Sends: LPUSH (a ``RedisLifoQueue``: RPUSH), with
        ``maxsize`` EVALSHA queue_put, and LLEN while it waits. A ``RedisPriorityQueue`` sends EVALSHA
        priority_queue_put, and ZCARD while it waits.
        """
        if not self._maxsize:
            return await self.put_nowait(item)
        refuse_in_atomic("put", "waits while the queue is full")
        return await self._put_waiting(self._offer(self._encoded([item])), 1)

    async def put_nowait(self, item: I) -> int:
        """Put ``item`` if there is room for it.

        Returns:
            As ``put``.

        Raises:
            asyncio.QueueFull: the queue has ``maxsize`` items, and nothing was put.
            EncodeError: ``item`` does not fit the declared type. Nothing was sent.

        One round trip, O(1). Sends: the same as ``put``, without the looks.
        """
        return self._accepted(await self._put_one(self._encoded([item])))

    async def put_many(self, items: Iterable[I]) -> int:
        """Put all ``items`` one after the other: all or nothing, and other clients see them all at once.

        If there is a ``maxsize``, wait until there is room for all of them, as ``put`` does. Everything is
        encoded before anything is sent. ``put_many([])`` sends nothing.

        Returns:
            The number of items in the queue, or for a ``RedisPriorityQueue`` how many were put. 0 if ``items`` is
            empty.

        Raises:
            TypeError: ``items`` is one ``str`` or ``bytes``, which would be split into letters. Nothing was sent.
            ValueError: there are more items than ``maxsize``, so there will never be room. Nothing was sent.
            EncodeError: an item does not fit the declared type. Nothing was sent.

        One round trip, O(n), or while it waits one for each look. Sends: the same as ``put``, in MULTI with 500 items
        each if there are more (with ``maxsize`` a single script).
        """
        encoded = self._encoded(wanted := listed(items, self.rkey, "put_many", "put"))
        if not wanted:
            return 0
        if not self._maxsize:
            return await self._executor.execute(self._putting(encoded))
        refuse_in_atomic("put_many", "waits while the queue is full")
        return await self._put_waiting(self._offer(encoded, len(wanted)), len(wanted))

    async def put_many_nowait(self, items: Iterable[I]) -> int:
        """Put all ``items`` if there is room for all of them: all or nothing. Otherwise as ``put_many``.

        Raises:
            TypeError: ``items`` is one ``str`` or ``bytes``, which would be split into letters. Nothing was sent.
            asyncio.QueueFull: the queue has no room for all of them, and nothing was put.
            ValueError: there are more items than ``maxsize``. Nothing was sent.
            EncodeError: an item does not fit the declared type. Nothing was sent.

        One round trip, O(n). Sends: the same as ``put_many``, without the looks.
        """
        if not self._maxsize:
            return await self.put_many(items)
        encoded = self._encoded(wanted := listed(items, self.rkey, "put_many_nowait", "put_nowait"))
        return self._accepted(await self._write_plain(self._offer(encoded, len(wanted)))) if wanted else 0

    # --- taking ---------------------------------------------------------------------------------

    async def get(self, timeout: float | timedelta | None = 0) -> I:
        """Wait for the next item and take it.

        Callers of one client are served in the order in which they came. Cancelling a call at any moment, by
        ``asyncio.timeout``, ``wait_for`` or a scope of anyio, loses and reorders nothing. During an outage of a server
        that could be reached before, the call continues to wait.

        Args:
            timeout: seconds, or a ``timedelta``, after which to give up. 0 or None waits for ever. It includes the
                round trip and is independent of the client's ``socket_timeout``.

        Raises:
            asyncio.QueueEmpty: no item came within ``timeout``.
            redis.exceptions.ConnectionError, redis.exceptions.TimeoutError: the server could never be reached, or could
                not be reached when ``timeout`` ended, or the connection was lost when an item may have been taken.
            ValueError: ``timeout`` is negative.
            DecodeError: the taken bytes are not a valid item. The error's ``raw`` holds them.

        One round trip, O(1), if there is an item. While it waits, one for each check, which all waiting callers share.
        Sends: RPOP (a ``RedisPriorityQueue``: ZPOPMIN), and EXISTS while it waits.
        """
        refuse_in_atomic("get", "waits for an item")
        try:
            element = await self._line().get_within(timeout)
        except NothingCame:
            raise self._empty() from None
        return self._item(element, taken=True)

    async def get_nowait(self) -> I:
        """Take the next item.

        The item is delivered at most once: if the connection is lost before the reply arrives, the item is lost. If the
        caller is cancelled by then, the item goes to the next caller of this client that waits in ``get``, or back to
        its place.

        Raises:
            asyncio.QueueEmpty: the queue is empty.
            DecodeError: the taken bytes are not a valid item. The error's ``raw`` holds them.

        One round trip, O(1). Sends: RPOP (a ``RedisPriorityQueue``: ZPOPMIN).
        """
        elements = await self._executor.take(self._taking((self._pop, self.rkey)), self._line)
        if not elements:
            raise self._empty()
        return self._item(elements[0], taken=True)

    async def get_many(self, count: int) -> list[I]:
        """Take up to ``count`` items of the queue, in their order, or none if it is empty.

        Each item is delivered at most once, and a cancelled caller loses none, as with ``get_nowait``.

        Raises:
            ValueError: ``count`` is negative.
            DecodeError: the bytes of an item are not valid. The error's ``raw`` holds them, and the other items were
                put back in front, in a second round trip. If the server refuses that, they are kept and putting them
                back is tried again.

        One round trip, O(n). Sends: RPOP with a count (a ``RedisPriorityQueue``: ZPOPMIN).
        """
        refuse_in_atomic("get_many", "puts items back if one of them is not valid")
        if integer(count) < 0:
            raise ValueError(f"count= must be 0 or more, not {count}")
        if count == 0:
            return []
        elements = await self._executor.take(self._take(min(count, _MOST)), self._line)
        items: list[I] = []
        for nth, element in enumerate(elements):
            try:
                items.append(self._item(element, taken=True))
            except DecodeError:
                if len(elements) > 1:
                    await self._line().give_back([*elements[:nth], *elements[nth + 1 :]])
                raise
        return items

    def __aiter__(self) -> Self:
        """Wait for items and take them, for ever."""
        return self

    async def __anext__(self) -> I:
        """The next item, as ``get()``."""
        return await self.get()

    def consume(self, *, on_error: OnError = "raise") -> AsyncIterator[I]:
        """Wait for items and take them, for ever: ``async for item in queue`` with a choice.

        By default one item whose bytes are not valid ends the loop, and usually its worker. With ``"skip"`` the loop
        continues. The item was removed from Redis, so the logger ``purse`` gets an ERROR with the key and the bytes
        (without the bytes after ``hide_values()``).

        Args:
            on_error: ``"skip"`` logs items whose bytes are not valid instead of raising ``DecodeError``.

        Raises:
            ValueError: ``on_error`` is neither ``"raise"`` nor ``"skip"``.
            DecodeError: the taken bytes are not a valid item. The error's ``raw`` holds them.
            redis.exceptions.ConnectionError, redis.exceptions.TimeoutError: as ``get``.

        As many round trips as ``get``. Sends: as ``get``.
        """
        check_on_error(on_error)
        return self if on_error == "raise" else _Skipping(self.get)

    # --- looking --------------------------------------------------------------------------------

    async def peek(self) -> I:
        """The next item, which is not removed. Another caller may have taken it before this call returns.

        Raises:
            asyncio.QueueEmpty: the queue is empty.
            DecodeError: the stored bytes are not a valid item. They are not changed.

        One round trip, O(1). Sends: LINDEX (a ``RedisPriorityQueue``: ZRANGE).
        """
        command, *arguments = self._next
        elements = self._elements(await self._read((command, self.rkey, *arguments)))
        if not elements:
            raise self._empty()
        return self._item(elements[0], taken=False)

    async def qsize(self) -> int:
        """The number of items.

        One round trip, O(1). Sends: LLEN (a ``RedisPriorityQueue``: ZCARD).
        """
        return as_int(await self._read_plain((self._size, self.rkey)))

    async def empty(self) -> bool:
        """Whether there are no items.

        One round trip, O(1). Sends: as ``qsize``.
        """
        return await self.qsize() == 0

    async def full(self) -> bool:
        """Whether there are ``maxsize`` items or more. Always False without a ``maxsize``.

        One round trip, O(1), or none without a ``maxsize``. Sends: as ``qsize``.
        """
        return self._maxsize > 0 and await self.qsize() >= self._maxsize

    # --- how items are stored ---------------------------------------------------------------------

    @abstractmethod
    def _encoded(self, items: Sequence[I]) -> Sequence[Argument]:
        """The items as words of the commands below."""

    @abstractmethod
    def _put_one(self, encoded: Sequence[Argument]) -> Call:
        """Put one item. The reply is None if there is no room."""

    @abstractmethod
    def _putting(self, encoded: Sequence[Argument]) -> Unit[int]:
        """Put items, whether there is room or not."""

    @abstractmethod
    def _script(self, encoded: Sequence[Argument]) -> ScriptCall:
        """Put items if there is room for all of them. The reply is None if there is not."""

    @abstractmethod
    def _elements(self, reply: Reply) -> list[E]:
        """Return the elements in the reply to a command that pops or reads one or several."""

    @abstractmethod
    def _put_back(self, elements: list[E]) -> Unit[object]:
        """Put elements in front, in their order."""

    @abstractmethod
    def _item(self, element: E, *, taken: bool) -> I:
        """Decode an element that this call has removed, or only read."""

    # --- private --------------------------------------------------------------------------------

    def _offer(self, encoded: Sequence[Argument], count: int = 1) -> ScriptCall:
        if count > self._maxsize:
            raise ValueError(
                f"{self._where()}: {count} items will never fit into a queue with maxsize={self._maxsize}: put fewer "
                "at once"
            )
        return self._script(encoded)

    async def _put_waiting(self, call: ScriptCall, count: int) -> int:
        line = self._line()
        # Sent at once, unless other callers wait already.
        reply = None if line.bringing else await self._write_plain(call)
        if reply is None:
            room = Look(self._size, (self._maxsize - count).__ge__, self.qsize)
            reply = await line.bring(lambda: self._write_plain(call), room)
        return as_int(reply)

    def _accepted(self, reply: Reply) -> int:
        if reply is None:
            raise asyncio.QueueFull(f"{self._where()}: there is no room for more than maxsize={self._maxsize} items")
        return as_int(reply)

    def _empty(self) -> asyncio.QueueEmpty:
        return asyncio.QueueEmpty(f"{self._where()}: the queue is empty")

    def _line(self) -> Line[E]:
        return self._executor.line(self.rkey, self._line_name, self._take, self._put_back)

    def _take(self, most: int) -> Unit[list[E]]:
        return self._taking((self._pop, self.rkey, most))

    def _taking(self, command: Command) -> Unit[list[E]]:
        return self._write_unit((command,), lambda replies: self._elements(replies[0]))


class _Skipping(Generic[I]):
    """Takes the items of a queue, and logs those whose bytes are not valid."""

    __slots__ = ("_get",)

    def __init__(self, get: Callable[[], Awaitable[I]]) -> None:
        self._get = get

    def __aiter__(self) -> Self:
        return self

    async def __anext__(self) -> I:
        while True:
            try:
                return await self._get()
            except DecodeError as error:
                whole = shown(error.raw or b"", None)
                _log.error(
                    "purse: an item was skipped: %s%s", error, "" if whole in str(error) else f" All bytes: {whole}"
                )
