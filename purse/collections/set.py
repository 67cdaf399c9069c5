"""RedisSet: one Redis set, seen as an awaitable ``set``.

A member is only the bytes that the codec wrote. ``{garden}:beds`` with two members is

    members
    {"row":1,"place":4}
    {"row":2,"place":1}

The server compares these bytes, so they are in a canonical form: equal values are one member. Results of several
members are lists, each member once and in no order, because a model need not be hashable. For hashable members write
``set(await beds.members())``.

Every method is one command, one MULTI or one script, and therefore atomic, even with several sets. Only iteration pages
through SSCAN and is not a snapshot: a member that exists during the complete iteration is seen, a member that is added
or removed during it may be seen, and a member may be seen twice if the set is resized during it. ``members()`` is a
snapshot, in one SMEMBERS.
"""

from __future__ import annotations

import itertools
from collections.abc import AsyncIterator, Iterable, Iterator, Sequence
from typing import TYPE_CHECKING, ClassVar, cast, overload

from typing_extensions import TypeVar

from purse._engine.hooks import refuse_in_atomic
from purse._engine.replies import as_array, as_flag, as_int, as_optional_bytes, as_taken
from purse._engine.unit import Command, Unit
from purse.codecs import Json
from purse.codecs._binding import bind_codec
from purse.collections._arguments import listed
from purse.collections._base import integer, paged, total
from purse.collections._field_options import field_options
from purse.collections._object import RedisType
from purse.collections._operators import SET
from purse.collections._paging import OnError
from purse.collections._set_algebra import SetAlgebra, as_members
from purse.errors import DecodeError, EncodeError

if TYPE_CHECKING:
    from typing_extensions import TypeForm

    from purse._engine.clients import RedisClient
    from purse._engine.waiting import Line
    from purse.codecs import Codec, CodecFactory
    from purse.ttl import Lifetime

__all__ = ["RedisSet"]

V = TypeVar("V")
T = TypeVar("T")  # of field(): the annotation in front of it says what it is

_MOST = 2**53  # beyond any set


class RedisSet(SetAlgebra[V]):
    """A Redis set as an awaitable set of ``V``.

    Args:
        redis: the client, ``redis.asyncio.Redis``. The collection never closes it.
        rkey: the Redis key, used as it is.
        value_type: any type whose values have a canonical form. ``str`` and ``bytes`` are stored raw, everything else
            as JSON. Values need not be hashable. (A plain ``dict``, which 2.x took, is written as canonically as its
            contents allow: 1 and 1.0 are two members.)
        codec: stores the members in another way. It must write equal values as equal bytes.
        ttl: a ``TTL``, a ``timedelta`` or seconds: the policy that every write applies.

    Raises:
        DeclarationError: a type that cannot be stored or has no canonical form, or a TTL per item.
        TypeError: ``redis`` is not a ``redis.asyncio.Redis``.

    With a TTL policy the commands of a write go inside EVALSHA with_ttl. With ``TTL(renew="read")`` so do those of a
    read that returns stored values.

    Construction does no I/O.
    """

    __slots__ = ("_codec", "_form")

    __purse_structure__ = True
    __purse_together__: ClassVar[tuple[tuple[str, str], ...]] = (
        ("SADD", "update(*members)"),
        ("SREM", "remove(*members)"),
        ("SISMEMBER", "contains_many(members)"),
    )
    redis_type: ClassVar[RedisType] = "set"
    _instead = SET

    def __init__(
        self,
        redis: RedisClient,
        rkey: str,
        value_type: TypeForm[V],
        *,
        codec: Codec[V] | CodecFactory | None = None,
        ttl: Lifetime | None = None,
    ) -> None:
        super().__init__(redis, rkey, ttl=ttl)
        declared: object = value_type
        taken_by_2x = declared is dict and (codec is None or isinstance(codec, Json))
        self._codec = bind_codec(value_type, codec, canonical=True, best_effort=taken_by_2x)
        # Two sets of one form store a value as the same bytes. The class is part of it, because a list has another
        # form.
        self._form = (RedisSet, value_type, codec)

    @staticmethod
    def field(
        *,
        ttl: Lifetime | None = None,
        codec: Codec[T] | CodecFactory | None = None,
        key: str | None = None,
        rkey: str | None = None,
    ) -> RedisSet[T]:
        """Options of a field of a ``Store``: ``beds: RedisSet[str] = RedisSet.field(ttl=TTL(hours=1))``.

        Args:
            ttl, codec, key, rkey: as for ``purse.field``.
        """
        return field_options(RedisSet, ttl=ttl, codec=codec, key=key, rkey=rkey)

    # --- members --------------------------------------------------------------------------------

    async def add(self, member: V) -> int:
        """Add ``member``.

        Returns:
            1 if it is new, 0 if it existed.

        Raises:
            EncodeError: ``member`` does not fit the declared type. Nothing was sent.

        One round trip, O(1). Sends: SADD.
        """
        return as_int(await self._write(("SADD", self.rkey, self._encode(self._codec, member))))

    async def update(self, *members: V) -> int:
        """Add all ``members``: all or nothing, and other clients see them all at once.

        Everything is encoded before anything is sent. ``update()`` sends nothing. To add the members of another set,
        call ``union_update``.

        Returns:
            How many of them are new.

        Raises:
            EncodeError: a member does not fit the declared type. Nothing was sent.

        One round trip, O(n). Sends: SADD, in MULTI with 500 members each if there are more.
        """
        if not members:
            return 0
        try:
            raws = self._encode_all(self._codec, members, itertools.count())
        except EncodeError as error:
            raise self._not_one_by_one(error, "update", members) from error.__cause__
        return await self._executor.execute(self._write_unit(self._pages("SADD", raws), total))

    async def remove(self, *members: V) -> int:
        """Remove ``members``, all at one moment.

        Members that redis-purse 2.x wrote are found too, although it wrote some values differently.

        Returns:
            How many existed, 0 (not an error) if none did. ``remove()`` sends nothing.

        Raises:
            EncodeError: a member does not fit the declared type. Nothing was sent.

        One round trip, O(n). Sends: SREM, in MULTI with 500 members each if there are more.
        """
        if not members:
            return 0
        try:
            raws = [form for nth, member in enumerate(members) for form in self._forms(self._codec, member, nth)]
        except EncodeError as error:
            raise self._not_one_by_one(error, "remove", members) from error.__cause__
        return await self._executor.execute(self._write_unit(self._pages("SREM", raws), total))

    async def discard(self, member: V) -> bool:
        """Remove ``member``, also if 2.x stored it in another form.

        Returns:
            True if it existed.

        Raises:
            EncodeError: ``member`` does not fit the declared type. Nothing was sent.

        One round trip, O(1). Sends: SREM.
        """
        return as_flag(await self._write(("SREM", self.rkey, *self._forms(self._codec, member))))

    async def contains(self, member: V) -> bool:
        """Whether ``member`` is in the set, also in a form of 2.x. Never restarts a TTL.

        Raises:
            EncodeError: ``member`` does not fit the declared type. Nothing was sent.

        One round trip, O(1). Sends: SISMEMBER (SMISMEMBER if 2.x may have written another form).
        """
        forms = self._forms(self._codec, member)
        if len(forms) == 1:
            return as_flag(await self._read_plain(("SISMEMBER", self.rkey, forms[0])))
        return any(map(as_flag, as_array(await self._read_plain(("SMISMEMBER", self.rkey, *forms)))))

    async def contains_many(self, members: Iterable[V]) -> list[bool]:
        """Whether each of ``members`` is in the set, all checked at one moment. Never restarts a TTL.

        Returns:
            A bool for each of them, in their order. ``contains_many([])`` sends nothing.

        Raises:
            TypeError: ``members`` is one ``str`` or ``bytes``, which would be split into letters. Nothing was sent.
            EncodeError: a member does not fit the declared type. Nothing was sent.

        One round trip, O(n). Sends: SMISMEMBER, in MULTI with 500 members each if there are more.
        """
        wanted = listed(members, self.rkey, "contains_many", "contains")
        forms = [self._forms(self._codec, member, nth) for nth, member in enumerate(wanted)]
        if not forms:
            return []
        looks = self._pages("SMISMEMBER", [form for of_one in forms for form in of_one])
        pages = await self._executor.execute(Unit(looks, list, self, read_only=True))
        there = (as_flag(reply) for page in pages for reply in as_array(page))
        return [any([*itertools.islice(there, len(of_one))]) for of_one in forms]

    @overload
    async def pop(self) -> V: ...
    @overload
    async def pop(self, count: int) -> list[V]: ...
    async def pop(self, count: int | None = None) -> V | list[V]:
        """Remove a random member and return it. With ``count`` remove that many, or all if there are fewer.

        Each member goes to at most one caller. If the connection is lost before the reply arrives, the removed members
        are lost (delivery at most once). If the caller is cancelled by then, the removed members are put back.

        Args:
            count: how many to remove at one moment. ``pop(0)`` sends nothing. A call with ``count`` cannot be part of
                ``atomic``, because it may have to put members back.

        Returns:
            The member, or with ``count`` a list, which is empty if the set is empty.

        Raises:
            KeyError: the set is empty, and there is no ``count``.
            ValueError: ``count`` is negative.
            DecodeError: removed bytes are not a valid member. The error's ``raw`` holds them. With ``count`` the other
                members have been put back, in a second round trip.

        One round trip, O(1), with ``count`` O(count). Sends: SPOP.
        """
        if count is None:
            taken = await self._executor.take(self._write_unit((("SPOP", self.rkey),), as_taken), self._line)
            if not taken:
                raise self._empty("pop from an empty set")
            return self._decode_taken(self._codec, taken[0])
        refuse_in_atomic("RedisSet.pop", "with a count may have to put members back")
        wanted = _checked(count)
        if not wanted:
            return []
        pop = self._write_unit((("SPOP", self.rkey, wanted),), lambda replies: as_members(replies[0]))
        raws = await self._executor.take(pop, self._line)
        try:
            return self._decode_all(self._codec, raws, itertools.repeat(None))
        except DecodeError:
            return await self._putting_back(raws)

    @overload
    async def random(self) -> V: ...
    @overload
    async def random(self, count: int) -> list[V]: ...
    async def random(self, count: int | None = None) -> V | list[V]:
        """A random member, which is not removed. With ``count`` that many different ones, or all if there are fewer.

        Args:
            count: not negative, so no member is returned twice. ``random(0)`` sends nothing.

        Returns:
            The member, or with ``count`` a list, which is empty if the set is empty.

        Raises:
            KeyError: the set is empty, and there is no ``count``.
            ValueError: ``count`` is negative.
            DecodeError: the bytes found are not a valid member. They are not changed.

        One round trip, O(1), with ``count`` O(count). Sends: SRANDMEMBER.
        """
        if count is None:
            raw = as_optional_bytes(await self._read(("SRANDMEMBER", self.rkey)))
            if raw is None:
                raise self._empty("an empty set has no random member")
            return self._decode(self._codec, raw)
        wanted = _checked(count)
        return self._decode_members(await self._read(("SRANDMEMBER", self.rkey, wanted))) if wanted else []

    # --- the whole set --------------------------------------------------------------------------

    async def len(self) -> int:
        """The number of members.

        One round trip, O(1). Sends: SCARD.
        """
        return as_int(await self._read_plain(("SCARD", self.rkey)))

    async def members(self) -> list[V]:
        """All members as they are at one moment, each once, in no order.

        For a big set iterate instead, because this one command occupies the server and the connection while it is
        executed and read.

        Raises:
            DecodeError: the bytes of a member are not valid. They are not changed.

        One round trip, O(n). Sends: SMEMBERS.
        """
        return self._decode_members(await self._read(("SMEMBERS", self.rkey)))

    def values(
        self, match: str | bytes | None = None, batch_hint: int | None = None, *, on_error: OnError = "raise"
    ) -> AsyncIterator[V]:
        """Iterate over the members, page by page, in no particular order. This is not a snapshot (see the module).

        Args:
            match: a glob pattern for the stored form of the members, ``*`` ``?`` ``[a-z]``, ``\\`` before a literal
                one of these.
            batch_hint: about how many members a page should have, 500 if not given.
            on_error: ``"skip"`` passes over members whose bytes are not valid instead of raising ``DecodeError``.

        Memory holds two pages: the next one is requested before this one is decoded. One round trip for each page.
        Sends: SSCAN.
        """
        return self._scan(
            "SSCAN",
            match,
            batch_hint,
            as_members,
            self._codec.decode_all,
            lambda raw: self._decode(self._codec, raw),
            on_error,
        )

    def __aiter__(self) -> AsyncIterator[V]:
        """Iterate over the members, as ``values()`` does."""
        return self.values()

    # --- private --------------------------------------------------------------------------------

    def _not_one_by_one(self, error: EncodeError, method: str, members: tuple[V, ...]) -> EncodeError:
        """Return ``error``, with the correct call if the members came as one argument."""
        given = cast("object", members[0])
        if len(members) > 1 or not isinstance(given, (list, tuple, set, frozenset, Iterator)):
            return error
        return EncodeError(
            f"{error} {method}() takes the members one by one: write {method}(*members).", key=self.rkey, field=0
        )

    def _pages(self, command: str, raws: Sequence[bytes]) -> list[Command]:
        return [(command, self.rkey, *page) for page in paged(raws)]

    async def _putting_back(self, raws: list[bytes]) -> list[V]:
        """Decode removed members. For the first bad one put the others back, then raise its error."""
        members: list[V] = []
        for nth, raw in enumerate(raws):
            try:
                members.append(self._decode_taken(self._codec, raw))
            except DecodeError as error:
                others = raws[:nth] + raws[nth + 1 :]
                if others:
                    await self._line().give_back(others)
                error.add_note(f"purse: the call removed {len(others)} other members too, and has put them back")
                raise
        return members

    def _line(self) -> Line[bytes]:
        return self._executor.line(self.rkey, f"SPOP {self._ttl}", None, self._put_back)

    def _put_back(self, raws: list[bytes]) -> Unit[object]:
        return self._write_unit(self._pages("SADD", raws), total)

    def _empty(self, what: str) -> KeyError:
        return KeyError(f"{self._where()}: {what}")


def _checked(count: int) -> int:
    """Return a count that Redis takes.

    Raises:
        ValueError: it is negative, which Redis would read differently.
    """
    if integer(count) < 0:
        raise ValueError(f"count= must be 0 or more, not {count}")
    return min(count, _MOST)
