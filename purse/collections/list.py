"""RedisList: one Redis list, seen as an awaitable ``list`` and ``deque``.

    index     0        1         2            -3       -2        -1
    element   planted  watered   harvested    planted  watered   harvested
              head (left)        tail (right)

Indices and slices work as in Python: negative ones count from the end, and slices and ``insert`` clamp to the ends.
Every method is one command, one MULTI or one script, and therefore atomic. Only iteration pages by index and is not a
snapshot: while other clients push or pop at the head, the elements move, so they may be seen twice or not at all.

Calls at the ends are O(1). An index, a search or an ``insert`` walks the list on the server, O(n).
"""

from __future__ import annotations

import itertools
import os
from collections.abc import AsyncIterator, Iterable
from typing import TYPE_CHECKING, ClassVar, Generic, Literal, TypeAlias

from redis.exceptions import ResponseError
from typing_extensions import TypeVar

from purse._engine.replies import Reply, as_all_bytes, as_bytes, as_int, as_taken, first
from purse._engine.scripts import load_script
from purse._engine.unit import Command, Unit
from purse.codecs._binding import bind_codec
from purse.codecs._shown import named, shown
from purse.collections._arguments import listed
from purse.collections._base import FARTHEST, PAGE, clamped, integer, paged
from purse.collections._field_options import field_options
from purse.collections._key import RedisKey
from purse.collections._object import RedisType
from purse.collections._operators import LIST
from purse.collections._paging import OnError, iterate
from purse.errors import DeclarationError, WrongKind

if TYPE_CHECKING:
    from typing_extensions import TypeForm

    from purse._engine.clients import RedisClient
    from purse._engine.waiting import Line
    from purse.codecs import Codec, CodecFactory
    from purse.ttl import Lifetime

__all__ = ["RedisList"]

V = TypeVar("V")
T = TypeVar("T")  # of field(): the annotation in front of it says what it is

Side: TypeAlias = Literal["left", "right"]


class RedisList(RedisKey, Generic[V]):
    """A Redis list as an awaitable sequence of ``V``.

    Args:
        redis: the client, ``redis.asyncio.Redis``. The collection never closes it.
        rkey: the Redis key, used as it is.
        value_type: any type that pydantic validates. ``str`` and ``bytes`` are stored raw, everything else as JSON, so
            that an element comes back as it was written.
        codec: stores the elements in another way. It must write equal values as equal bytes if ``contains``, ``index``
            or ``remove`` are to find them.
        ttl: a ``TTL``, a ``timedelta`` or seconds: the policy that every write applies.
        maxlen: the list never holds more elements. A push at one end drops elements from the other end in the same
            atomic step, as with ``collections.deque``.

    Raises:
        DeclarationError: a type that cannot be stored, ``maxlen`` below 1, or a TTL per item.
        TypeError: ``redis`` is not a ``redis.asyncio.Redis``.

    With a TTL policy the commands of a write go inside EVALSHA with_ttl. With ``TTL(renew="read")`` so do those of a
    read that returns stored values.

    Construction does no I/O.
    """

    __slots__ = ("_codec", "_form", "_maxlen")

    __purse_structure__ = True
    __purse_together__: ClassVar[tuple[tuple[str, str], ...]] = (
        ("RPUSH", "extend(items)"),
        ("LPUSH", "extendleft(items)"),
    )
    redis_type: ClassVar[RedisType] = "list"
    _instead = LIST

    def __init__(
        self,
        redis: RedisClient,
        rkey: str,
        value_type: TypeForm[V],
        *,
        codec: Codec[V] | CodecFactory | None = None,
        ttl: Lifetime | None = None,
        maxlen: int | None = None,
    ) -> None:
        super().__init__(redis, rkey, ttl=ttl)
        if maxlen is not None and (type(maxlen) is not int or maxlen < 1):
            raise DeclarationError(f"{named(rkey)}: maxlen= must be an int of at least 1, not {shown(maxlen)}")
        self._codec = bind_codec(value_type, codec, searched=True)
        self._form = (value_type, codec)  # two lists of one form store a value as the same bytes
        self._maxlen = maxlen

    @staticmethod
    def field(
        *,
        maxlen: int | None = None,
        ttl: Lifetime | None = None,
        codec: Codec[T] | CodecFactory | None = None,
        key: str | None = None,
        rkey: str | None = None,
    ) -> RedisList[T]:
        """Options of a field of a ``Store``: ``log: RedisList[str] = RedisList.field(maxlen=100)``.

        Args:
            maxlen: the list never holds more elements than this, at least 1.
            ttl, codec, key, rkey: as for ``purse.field``.
        """
        return field_options(RedisList, ttl=ttl, codec=codec, key=key, rkey=rkey, maxlen=maxlen)

    # --- the ends -------------------------------------------------------------------------------

    async def append(self, item: V) -> int:
        """Add ``item`` at the tail.

        Returns:
            The new length.

        Raises:
            EncodeError: ``item`` does not fit the declared type. Nothing was sent.

        One round trip, O(1). Sends: RPUSH, with ``maxlen`` in MULTI with LTRIM.
        """
        push = ("RPUSH", self.rkey, self._encode(self._codec, item))
        if self._maxlen is not None:
            return await self._push_all("RPUSH", [push])
        return as_int(await self._write(push))

    async def appendleft(self, item: V) -> int:
        """Add ``item`` at the head.

        Returns:
            The new length.

        Raises:
            EncodeError: ``item`` does not fit the declared type. Nothing was sent.

        One round trip, O(1). Sends: LPUSH, as ``append`` sends RPUSH.
        """
        push = ("LPUSH", self.rkey, self._encode(self._codec, item))
        if self._maxlen is not None:
            return await self._push_all("LPUSH", [push])
        return as_int(await self._write(push))

    async def extend(self, items: Iterable[V]) -> int:
        """Add all ``items`` at the tail: all or nothing, and other clients see them all at once.

        Everything is encoded before anything is sent. ``extend([])`` sends nothing.

        Returns:
            The new length, or 0 if there were no items.

        Raises:
            TypeError: ``items`` is one ``str`` or ``bytes``, which would be split into letters. Nothing was sent.
            EncodeError: an item does not fit the declared type. Nothing was sent.

        One round trip, O(n). Sends: RPUSH, in MULTI with 500 elements each if there are more.
        """
        return await self._push("RPUSH", listed(items, self.rkey, "extend", "append"))

    async def extendleft(self, items: Iterable[V]) -> int:
        """Add all ``items`` at the head, one after the other, so that they are in reverse order, as with ``deque``.

        Returns:
            The new length, or 0 if there were no items.

        Raises:
            TypeError: ``items`` is one ``str`` or ``bytes``, which would be split into letters. Nothing was sent.
            EncodeError: an item does not fit the declared type. Nothing was sent.

        One round trip, O(n). Sends: LPUSH, in MULTI with 500 elements each if there are more.
        """
        return await self._push("LPUSH", listed(items, self.rkey, "extendleft", "appendleft"))

    async def pop(self) -> V:
        """Remove the last element and return it.

        Each element goes to at most one caller. If the connection is lost before the reply arrives, the element is lost
        (delivery at most once). If the caller is cancelled by then, the element is put back at the same end.

        Raises:
            IndexError: the list is empty.
            DecodeError: the removed bytes are not a valid element. The error's ``raw`` holds them.

        One round trip, O(1). Sends: RPOP.
        """
        return await self._pop("RPOP", -1)

    async def popleft(self) -> V:
        """Remove the first element and return it, as ``pop`` does with the last one.

        One round trip, O(1). Sends: LPOP.
        """
        return await self._pop("LPOP", 0)

    async def move(self, destination: RedisList[V], *, src: Side = "left", dest: Side = "right") -> V:
        """Take the element at the ``src`` end and add it at the ``dest`` end of ``destination``, in one step.

        The element is in one of the two lists at every moment. ``destination`` may be this list itself, which rotates
        it.

        Returns:
            The element.

        Raises:
            IndexError: this list is empty.
            WrongKind: one of the two keys holds another Redis type. Nothing was moved.
            TypeError: ``destination`` is not a list with the same element type and client.
            DecodeError: the bytes are not a valid element. They are in ``destination`` now.

        One round trip, O(1). Sends: LMOVE, with a ``maxlen`` in MULTI with LTRIM.
        """
        same_form = getattr(destination, "_form", None) == self._form
        if not same_form or destination.redis is not self.redis:
            raise TypeError(
                f"{self._where()}: move() needs a RedisList of the same element type on the same client, "
                f"not {shown(destination)}"
            )
        self._refuse_other_slots("move", destination)
        command: Command = ("LMOVE", self.rkey, destination.rkey, _side(src), _side(dest))
        trim = destination._trim("RPUSH" if dest == "right" else "LPUSH")
        policies = {self.rkey: self._policy(), destination.rkey: destination._policy()}
        try:
            raw = await self._executor.execute(self._unit_with_ttl(policies, (command, *trim), first))
        except WrongKind as error:
            raise WrongKind(
                f"{self._where()} or {named(destination.rkey)}: one of the two keys does not hold a list, so "
                "nothing was moved. Call key_type() to see what each holds. Choose another key, or delete the wrong "
                "one with delete_redis_key().",
                key=self.rkey,
            ) from error.__cause__
        if raw is None:
            raise self._out_of_range("move from an empty list")
        return self._decode(self._codec, as_bytes(raw))

    # --- by index -------------------------------------------------------------------------------

    async def getitem(self, index: int) -> V:
        """The element at ``index``.

        Raises:
            IndexError: ``index`` is out of range.
            DecodeError: the stored bytes are not a valid element. They are not changed.

        One round trip, O(1) at the ends, O(n) between. Sends: LINDEX.
        """
        raw = await self._read(("LINDEX", self.rkey, _index(index)), index)
        if raw is None:
            raise self._out_of_range("list index out of range")
        return self._decode(self._codec, as_bytes(raw), index)

    async def setitem(self, index: int, value: V) -> bool:
        """Replace the element at ``index``.

        Returns:
            True.

        Raises:
            IndexError: ``index`` is out of range. Nothing was changed.
            EncodeError: ``value`` does not fit the declared type. Nothing was sent.

        One round trip, O(1) at the ends, O(n) between. Sends: LSET.
        """
        await self._write(("LSET", self.rkey, _index(index), self._encode(self._codec, value, index)), index)
        return True

    async def insert(self, index: int, item: V) -> None:
        """Insert ``item`` before ``index``, as ``list.insert`` does. An index beyond an end means that end.

        It is one script, so that no concurrent push or pop can happen between the search for the place and the
        insertion.

        Raises:
            IndexError: the list already has ``maxlen`` elements. Nothing was changed.
            EncodeError: ``item`` does not fit the declared type. Nothing was sent.

        One round trip, O(n). Sends: EVALSHA list_insert.
        """
        place = clamped(index)
        raw = self._encode(self._codec, item, index)
        script = load_script("list_insert")
        call = script((self.rkey,), place, raw, os.urandom(16), self._maxlen or 0, self._policy())
        if as_int(await self._write_plain(call, index)) < 0:
            raise self._out_of_range(f"list already at its maximum size of {self._maxlen}")

    async def slice(self, start: int, stop: int | None = None) -> list[V]:
        """The elements ``[start:stop]`` as they are at one moment. ``stop`` None means to the end.

        Raises:
            DecodeError: an element in it is not valid. Nothing is changed.

        One round trip, O(n). Sends: LRANGE.
        """
        start, last = _bounds(start, stop)
        raws = as_all_bytes(await self._read(("LRANGE", self.rkey, start, last)))
        # Where start is negative the indices in an error count from the slice's own start.
        return self._decode_all(self._codec, raws, itertools.count(max(start, 0)))

    async def trim(self, start: int, stop: int | None = None) -> None:
        """Keep only the elements ``[start:stop]``. ``stop`` None means to the end.

        One round trip, O(n) in the number of removed elements. Sends: LTRIM.
        """
        start, last = _bounds(start, stop)
        await self._write(("LTRIM", self.rkey, start, last))

    # --- by value -------------------------------------------------------------------------------

    async def contains(self, value: V) -> bool:
        """Whether an element equals ``value``, compared as ``index`` does.

        Raises:
            EncodeError: ``value`` does not fit the declared type. Nothing was sent.

        One round trip, O(n). Sends: as ``index``.
        """
        return await self.index(value) is not None

    async def index(self, value: V) -> int | None:
        """The index of the first element that equals ``value``, or None (not an error) without such an element.

        The server compares bytes. It finds elements that are stored in the form in which ``value`` would be stored, in
        its normal form (docs/codecs.md), or in the form of redis-purse 2.x. It also finds sets, and dicts with their
        keys in any order. It does not find ``Decimal("1.50")`` by ``Decimal("1.500")``, nor a moment by the same moment
        in a third zone.

        Raises:
            EncodeError: ``value`` does not fit the declared type. Nothing was sent.

        One round trip, O(n). Sends: LPOS, in MULTI with one for each form if there are several, or EVALSHA list_index
        for a type that can hold a dict.
        """
        forms = self._forms(self._codec, value)
        if self._codec.any_order:
            reply = await self._executor.ask_again(load_script("list_index")((self.rkey,), *forms), self)
            return None if reply is None else as_int(reply)
        commands = [("LPOS", self.rkey, form) for form in forms]
        if len(commands) == 1:
            replies = [await self._read_plain(commands[0])]
        else:
            replies = await self._executor.execute(Unit(commands, list, self, read_only=True))
        return min((as_int(reply) for reply in replies if reply is not None), default=None)

    async def remove(self, value: V, count: int = 0) -> int:
        """Remove elements that equal ``value``, as ``index`` finds them.

        Args:
            count: 0 removes all of them, n > 0 the first n, n < 0 the last -n.

        Returns:
            How many were removed, or 0 (not an error) without such an element.

        Raises:
            EncodeError: ``value`` does not fit the declared type. Nothing was sent.

        One round trip, O(n). Sends: LREM, EVALSHA list_remove if there are several forms, or EVALSHA list_remove_any
        for a type that can hold a dict.
        """
        forms, any_order = self._forms(self._codec, value), self._codec.any_order
        count = clamped(count)
        if len(forms) == 1 and not any_order:
            return as_int(await self._write(("LREM", self.rkey, count, forms[0])))
        script = load_script("list_remove_any") if any_order else load_script("list_remove")
        call = script((self.rkey,), count, os.urandom(16), self._policy(), *forms)
        return as_int(await self._write_plain(call))

    # --- the whole list -------------------------------------------------------------------------

    async def len(self) -> int:
        """The number of elements.

        One round trip, O(1). Sends: LLEN.
        """
        return as_int(await self._read_plain(("LLEN", self.rkey)))

    def values(self, batch_size: int | None = PAGE, *, on_error: OnError = "raise") -> AsyncIterator[V]:
        """Iterate over the elements from head to tail, page by page. This is not a snapshot (see the module).

        Args:
            batch_size: elements in a page. None or 0 reads the complete list in one command, which is a snapshot.
            on_error: ``"skip"`` passes over elements whose bytes are not valid instead of raising
                ``DecodeError``.

        Memory holds two pages: the next one is requested before this one is decoded. One round trip for each page.
        Sends: LRANGE.
        """
        size = clamped(batch_size or FARTHEST)
        if size < 0:
            raise ValueError(f"batch_size= must be 0 or more, not {batch_size}")
        start = 0

        async def fetch() -> tuple[list[bytes], bool]:
            nonlocal start
            page = as_all_bytes(await self._read_plain(("LRANGE", self.rkey, start, start + size - 1)))
            start += size
            return page, len(page) == size

        return iterate(
            fetch, self._codec.decode_all, lambda raw, index: self._decode(self._codec, raw, index), on_error
        )

    def __aiter__(self) -> AsyncIterator[V]:
        """Iterate over the elements, as ``values()`` does."""
        return self.values()

    # --- private --------------------------------------------------------------------------------

    def __purse_explain__(self, error: Exception, field: object) -> Exception:
        """See ``Origin``."""
        if isinstance(error, ResponseError) and ("index out of range" in str(error) or "no such key" in str(error)):
            return self._out_of_range(f"list assignment index out of range: {field}")
        return super().__purse_explain__(error, field)

    async def _push(self, command: str, items: list[V]) -> int:
        if not items:
            return 0
        raws = self._encode_all(self._codec, items, itertools.count())
        return await self._push_all(command, [(command, self.rkey, *page) for page in paged(raws)])

    async def _push_all(self, command: str, pushes: list[Command]) -> int:
        def decode(replies: list[Reply]) -> int:
            length = as_int(replies[len(pushes) - 1])
            return length if self._maxlen is None else min(length, self._maxlen)

        return await self._executor.execute(self._write_unit((*pushes, *self._trim(command)), decode))

    def _trim(self, command: str) -> tuple[Command, ...]:
        """Return the command that keeps ``maxlen`` after a push: it drops the excess elements at the other end."""
        if self._maxlen is None:
            return ()
        bounds = (-self._maxlen, -1) if command == "RPUSH" else (0, self._maxlen - 1)
        return (("LTRIM", self.rkey, *bounds),)

    async def _pop(self, command: str, index: int) -> V:
        """Remove and return the element at one end."""

        def line() -> Line[bytes]:
            push = "RPUSH" if command == "RPOP" else "LPUSH"

            def put_back(raws: list[bytes]) -> Unit[object]:
                return self._write_unit([(push, self.rkey, *page) for page in paged(raws[::-1])], first)

            return self._executor.line(self.rkey, f"{command} {self._ttl}", None, put_back)

        taken = await self._executor.take(self._write_unit(((command, self.rkey),), as_taken, field=index), line)
        if not taken:
            raise self._out_of_range("pop from an empty list")
        return self._decode_taken(self._codec, taken[0], index)

    def _out_of_range(self, what: str) -> IndexError:
        return IndexError(f"{self._where()}: {what}")


def _index(index: int) -> int:
    """A Python index as one that LINDEX and LSET take.

    Redis 7.2 and later keep only its lower 32 bits if a list is small, so 2**32 would be index 0.
    """
    return max(-(2**31), min(integer(index), 2**31 - 1))


def _bounds(start: int, stop: int | None) -> tuple[int, int]:
    """A Python slice as the inclusive bounds that LRANGE and LTRIM take."""
    if stop is None:
        return clamped(start), -1
    if stop == 0:
        return 1, 0  # Redis would read the bound -1 as "to the end"
    return clamped(start), clamped(stop) - 1


def _side(side: Side) -> str:
    if side not in ("left", "right"):
        raise ValueError(f'src= and dest= must be "left" or "right", not {shown(side)}')
    return side.upper()
