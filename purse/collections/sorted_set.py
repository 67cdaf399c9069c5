"""RedisSortedSet: one Redis sorted set, members of type ``V`` in the order of their scores.

    rank   reversed   score   member
    0      2          8.0     avocado
    1      1          9.8     kale
    2      0          9.8     spinach     equal scores: in the order of the members' bytes

A member exists once. Adding it again moves it to its new score. Scores are doubles, infinite ones included. Every
method is one command, one MULTI or one script, and therefore atomic. Only iteration pages through ZSCAN, and is neither
in order nor a snapshot: a member that exists during the complete iteration is seen, a member that is added or removed
during it may be seen, and a member may be seen twice. ``slice_by_rank`` and ``slice_by_score`` are snapshots.
``slice_by_score`` pages by ``offset`` and ``count``.

A member is found, and written, in O(log N).
"""

from __future__ import annotations

import itertools
import math
from collections.abc import AsyncIterator, Callable, Iterable, Sequence
from typing import TYPE_CHECKING, ClassVar, Literal, TypeAlias, cast

from typing_extensions import TypeVar

from purse._engine.replies import Reply, as_array, as_int
from purse._engine.scripts import load_script
from purse._engine.unit import Argument, Command, Unit
from purse.codecs import Json
from purse.codecs._binding import bind_codec
from purse.codecs._shown import shown
from purse.codecs._wording import short
from purse.collections._arguments import is_pair, listed, no_pair
from purse.collections._base import PAGE, paged, total
from purse.collections._field_options import field_options
from purse.collections._object import RedisType
from purse.collections._operators import SORTED_SET
from purse.collections._paging import OnError
from purse.collections._sorted_set_ends import Scored
from purse.collections._sorted_set_ranges import (
    Above,
    Below,
    as_optional_score,
    as_score,
    as_scored,
    gt,
    lt,
    score_word,
)
from purse.collections._sorted_set_slices import SortedSetSlices
from purse.errors import EncodeError

if TYPE_CHECKING:
    from typing_extensions import TypeForm

    from purse._engine.clients import RedisClient
    from purse.codecs import Codec, CodecFactory
    from purse.ttl import Lifetime

__all__ = ["Above", "Below", "RedisSortedSet", "gt", "lt"]

V = TypeVar("V")
T = TypeVar("T")

Keep: TypeAlias = Literal["highest", "lowest"]
Given: TypeAlias = tuple[float, str]  # a score, and how it is written

_KEEPING: dict[Keep | None, tuple[tuple[str, ...], Callable[[Given, Given], Given]]] = {
    None: ((), lambda earlier, later: later),
    "highest": (("GT",), max),
    "lowest": (("LT",), min),
}


class RedisSortedSet(SortedSetSlices[V]):
    """A Redis sorted set of ``V``. Its items are ``(member, score)``.

    Args:
        redis: the client, ``redis.asyncio.Redis``. The collection never closes it.
        rkey: the Redis key, used as it is.
        value_type: the type of the members: any that pydantic validates and that has a canonical form, because equal
            members must have equal bytes. ``str`` and ``bytes`` are stored raw, everything else as JSON. (A plain
            ``dict``, which 2.x took, is written as canonically as its contents allow: 1 and 1.0 are two.)
        codec: stores the members in another way. It must write equal values as equal bytes.
        ttl: a ``TTL``, a ``timedelta`` or seconds: the policy that every write applies.

    Raises:
        DeclarationError: a type that cannot be stored or has no canonical form, or a TTL per item.
        TypeError: ``redis`` is not a ``redis.asyncio.Redis``.

    With a TTL policy the commands of a write go inside EVALSHA with_ttl. With ``TTL(renew="read")`` so do those of a
    read that returns stored values.

    A score is a float or an int. nan, and an int beyond 2**53 that would lose digits, raise ``EncodeError`` before
    anything is sent. Construction does no I/O.
    """

    __slots__ = ("_codec", "_value_type")

    __purse_structure__ = True
    __purse_together__: ClassVar[tuple[tuple[str, str], ...]] = (
        ("ZADD", "add_multi(members)"),
        ("ZSCORE", "score_multi(members)"),
        ("ZINCRBY", "increment_multi(members)"),
        ("ZREM", "remove(*members)"),
    )
    redis_type: ClassVar[RedisType] = "zset"
    _in_words = "sorted set"
    _instead = SORTED_SET

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
        self._value_type: object = value_type
        taken_by_2x = self._value_type is dict and (codec is None or isinstance(codec, Json))
        self._codec = bind_codec(value_type, codec, canonical=True, best_effort=taken_by_2x)

    @staticmethod
    def field(
        *,
        ttl: Lifetime | None = None,
        codec: Codec[T] | CodecFactory | None = None,
        key: str | None = None,
        rkey: str | None = None,
    ) -> RedisSortedSet[T]:
        """Options of a field of a ``Store``: ``ranking: RedisSortedSet[str] = RedisSortedSet.field(key="top")``.

        Args:
            ttl, codec, key, rkey: as for ``purse.field``.
        """
        return field_options(RedisSortedSet, ttl=ttl, codec=codec, key=key, rkey=rkey)

    # --- adding and removing --------------------------------------------------------------------

    # The booleans are positional because redis-purse 2.x had them so.
    async def add(
        self, member: tuple[V, float], nx: bool = False, xx: bool = False, ch: bool = False, *, keep: Keep | None = None
    ) -> int:
        """Add a member with its score, or give an existing member this score.

        Args:
            member: ``(member, score)``.
            nx: only add. Do not change an existing member.
            xx: only change. Add nothing.
            ch: return how many were added or changed, instead of added.
            keep: if the member exists, keep the ``"highest"`` or the ``"lowest"`` of its score and this one.

        Returns:
            1 if the member was added (or, with ``ch``, changed), else 0.

        Raises:
            TypeError: ``member`` is not a pair. Nothing was sent.
            ValueError: ``nx`` with ``xx`` or ``keep``. Nothing was sent.
            EncodeError: the member does not fit the declared type, or the score is none. Nothing was sent.

        One round trip, O(log N). Sends: ZADD (EVALSHA sorted_set_store if 2.x may have written another form).
        """
        options = _options(nx, xx, ch, keep)
        if not is_pair(member):
            score_in_nx = not isinstance(cast("object", nx), bool)
            raise no_pair(member, self.rkey, f"add(({short(member)}, {repr(nx) if score_in_nx else 'score'}))")
        value, score = member
        word, forms = self._score_word(score), self._forms(self._codec, value)
        if len(forms) > 1:
            return await self._executor.execute(self._storing(options, [(word, forms)], _sum_of_all))
        return as_int(await self._write(("ZADD", self.rkey, *options, word, *forms)))

    async def add_multi(
        self,
        members: Iterable[tuple[V, float]],
        nx: bool = False,
        xx: bool = False,
        ch: bool = False,
        *,
        keep: Keep | None = None,
    ) -> int:
        """Add all ``members``, or give them these scores: all or nothing, and other clients see them all at once.

        Everything is encoded before anything is sent. ``add_multi([])`` sends nothing. If a member is given several
        times, its last score is used, or with ``keep`` the highest or the lowest.

        Args:
            members: pairs ``(member, score)``.
            nx: only add. Do not change existing members.
            xx: only change. Add nothing.
            ch: return how many were added or changed, instead of added.
            keep: for existing members, keep the ``"highest"`` or the ``"lowest"`` of their score and this one.

        Returns:
            How many were added (or, with ``ch``, also those that changed).

        Raises:
            TypeError: one of ``members`` is not a pair. Nothing was sent.
            ValueError: ``nx`` with ``xx`` or ``keep``. Nothing was sent.
            EncodeError: a member does not fit the declared type, or a score is none. Nothing was sent.

        One round trip, O(n log N). Sends: ZADD, in MULTI with 500 members each if there are more (EVALSHA
        sorted_set_store if 2.x may have written another form).
        """
        options = _options(nx, xx, ch, keep)
        _, best = _KEEPING[keep]
        pairs = self._pairs(members, "add_multi")
        given = [(score, self._score_word(score, nth)) for nth, (_, score) in enumerate(pairs)]
        stored: dict[bytes, tuple[Given, list[bytes]]] = {}
        for new, forms in zip(given, self._all_forms([value for value, _ in pairs]), strict=True):
            earlier = stored.get(forms[0])
            stored[forms[0]] = (new if earlier is None else best(earlier[0], new)), forms
        if not stored:
            return 0
        if any(len(forms) > 1 for _, forms in stored.values()):
            changes = [(word, forms) for (_, word), forms in stored.values()]
            return await self._executor.execute(self._storing(options, changes, _sum_of_all))
        flat: list[Argument] = [part for raw, ((_, word), _) in stored.items() for part in (word, raw)]
        adds: list[Command] = [("ZADD", self.rkey, *options, *page) for page in paged(flat, 2 * PAGE)]
        return await self._executor.execute(self._write_unit(adds, total))

    async def increment(self, member: tuple[V, float]) -> tuple[V, float]:
        """Add to the score of a member on the server. A missing member counts as 0 and is added.

        Args:
            member: ``(member, by)``.

        Returns:
            The member and its new score.

        Raises:
            TypeError: ``member`` is not a pair. Nothing was sent.
            EncodeError: the member does not fit the declared type, or ``by`` is not a score. Nothing was sent.
            redis.exceptions.ResponseError: the sum of inf and -inf would be nan. Nothing was changed.

        One round trip, O(log N). Sends: ZINCRBY (EVALSHA sorted_set_store if 2.x may have written another form).
        """
        value, by = self._pair(member, "increment((member, by))")
        word, forms = self._score_word(by), self._forms(self._codec, value)
        if len(forms) > 1:
            [score] = await self._executor.execute(self._storing(("INCR",), [(word, forms)], _scores_of_all))
            return value, score
        return value, as_score(await self._write(("ZINCRBY", self.rkey, word, *forms)))

    async def increment_multi(self, members: Iterable[tuple[V, float]]) -> list[tuple[V, float]]:
        """Add to the scores of all ``members``, one after the other: all or nothing, and other clients see them all at
        once.

        A member that is given several times is incremented several times. ``increment_multi([])`` sends nothing.

        Args:
            members: pairs ``(member, by)``.

        Returns:
            The members in their order, each with the score that it had after its increment.

        Raises:
            TypeError: one of ``members`` is not a pair. Nothing was sent.
            EncodeError: a member does not fit the declared type, or one ``by`` is not a score. Nothing was sent.
            redis.exceptions.ResponseError: the sum of inf and -inf would be nan. Nothing was changed.

        One round trip, O(n log N). Sends: ZINCRBY, in MULTI if there are several (EVALSHA sorted_set_store if one
        of them is infinite, or if 2.x may have written another form).
        """
        given = self._pairs(members, "increment_multi")
        values = [value for value, _ in given]
        words = [self._score_word(by, nth) for nth, (_, by) in enumerate(given)]
        forms = self._all_forms(values)
        if not given:
            return []
        # Inside MULTI an increment that comes to nan would not undo those before it: the script looks first.
        if any(map(math.isinf, (by for _, by in given))) or any(len(known) > 1 for known in forms):
            unit = self._storing(("INCR",), zip(words, forms, strict=True), _scores_of_all)
        else:
            steps = [("ZINCRBY", self.rkey, word, known[0]) for word, known in zip(words, forms, strict=True)]
            unit = self._write_unit(steps, lambda replies: [as_score(reply) for reply in replies])
        return [*zip(values, await self._executor.execute(unit), strict=True)]

    async def remove(self, *members: V) -> int:
        """Remove ``members``, all at one moment. ``remove()`` sends nothing.

        Returns:
            How many of them existed.

        Raises:
            EncodeError: a member does not fit the declared type. Nothing was sent.

        One round trip, O(n log N). Sends: ZREM, in MULTI with 500 members each if there are more.
        """
        raws = [form for forms in self._all_forms(members) for form in forms]
        if not raws:
            return 0
        removals: list[Command] = [("ZREM", self.rkey, *page) for page in paged(raws)]
        return await self._executor.execute(self._write_unit(removals, total))

    # --- one member -----------------------------------------------------------------------------

    async def score(self, member: V) -> float | None:
        """The score of ``member``, or None if it does not exist.

        Members that redis-purse 2.x wrote are found too, although it wrote some values differently.

        Raises:
            EncodeError: ``member`` does not fit the declared type. Nothing was sent.

        One round trip, O(1). Sends: ZSCORE (ZMSCORE if 2.x may have written another form).
        """
        forms = self._forms(self._codec, member)
        if len(forms) == 1:
            return as_optional_score(await self._read(("ZSCORE", self.rkey, *forms)))
        return _first_found(as_array(await self._read(("ZMSCORE", self.rkey, *forms))))

    async def score_multi(self, members: Iterable[V]) -> list[tuple[V, float | None]]:
        """The scores of ``members``, read at one moment, None for missing members.

        Returns:
            The members in their order, each with its score.

        Raises:
            TypeError: ``members`` is one ``str`` or ``bytes``, which would be split into letters. Nothing was sent.
            EncodeError: a member does not fit the declared type. Nothing was sent.

        One round trip, O(n). Sends: ZMSCORE, in MULTI with 500 members each if there are more.
        """
        values = listed(members, self.rkey, "score_multi", "score")
        forms = self._all_forms(values)
        if not values:
            return []
        raws = [form for known in forms for form in known]
        reads: list[Command] = [("ZMSCORE", self.rkey, *page) for page in paged(raws)]
        replies = await self._executor.execute(self._read_unit(reads, list))
        found = (score for page in replies for score in as_array(page))
        scores = [_first_found([*itertools.islice(found, len(known))]) for known in forms]
        return [*zip(values, scores, strict=True)]

    async def rank(self, member: V, descending: bool = False) -> int | None:
        """How many members come before ``member``, or None if it does not exist.

        Args:
            descending: counted from the highest score instead of the lowest.

        Raises:
            EncodeError: ``member`` does not fit the declared type. Nothing was sent.

        One round trip, O(log N). Sends: ZRANK or ZREVRANK (in MULTI with one for each form that 2.x may have
        written).
        """
        name = "ZREVRANK" if descending else "ZRANK"
        commands = [(name, self.rkey, form) for form in self._forms(self._codec, member)]
        if len(commands) == 1:
            replies = [await self._read_plain(commands[0])]
        else:
            replies = await self._executor.execute(Unit(commands, list, self, read_only=True))
        return next((as_int(reply) for reply in replies if reply is not None), None)

    # --- the whole sorted set -------------------------------------------------------------------

    async def len(self) -> int:
        """The number of members.

        One round trip, O(1). Sends: ZCARD.
        """
        return as_int(await self._read_plain(("ZCARD", self.rkey)))

    def values(
        self, match: str | bytes | None = None, batch_hint: int | None = None, *, on_error: OnError = "raise"
    ) -> AsyncIterator[tuple[V, float]]:
        """Iterate over the items, page by page, in no particular order. This is not a snapshot (see the module).

        Args:
            match: a glob pattern for the stored form of the members, ``*`` ``?`` ``[a-z]``, ``\\`` before a
                literal one of these.
            batch_hint: about how many items a page should have, 500 if not given.
            on_error: ``"skip"`` passes over members whose bytes are not valid instead of raising
                ``DecodeError``.

        Memory holds two pages: the next one is requested before this one is decoded. One round trip for each page.
        Sends: ZSCAN.
        """

        def decode_page(page: Sequence[Scored]) -> list[tuple[V, float]]:
            members = self._codec.decode_all([raw for raw, _ in page])
            return [*zip(members, (score for _, score in page), strict=True)]

        def decode(item: Scored) -> tuple[V, float]:
            return self._decode(self._codec, item[0], item[0]), item[1]

        return self._scan("ZSCAN", match, batch_hint, as_scored, decode_page, decode, on_error)

    def __aiter__(self) -> AsyncIterator[tuple[V, float]]:
        """Iterate over the items, as ``values()`` does."""
        return self.values()

    # --- private --------------------------------------------------------------------------------

    def _storing(
        self,
        options: tuple[str, ...],
        members: Iterable[tuple[str, list[bytes]]],
        decode: Callable[[list[Reply]], T],
    ) -> Unit[T]:
        """Return the unit that stores each of ``members`` (a score and forms) under its existing form."""
        words: list[Argument] = []
        for score, forms in members:
            words += (score, len(forms), *forms)
        call = load_script("sorted_set_store")((self.rkey,), self._policy(), " ".join(options), *words)
        return Unit((call,), decode, self)

    def _all_forms(self, members: Sequence[V]) -> list[list[bytes]]:
        """Return ``_forms`` of each member, in less time. An error names the position."""
        raws = self._encode_all(self._codec, members, itertools.count())
        return [[raw, *self._codec.also_stored_as(member)] for raw, member in zip(raws, members, strict=True)]

    def _pair(self, given: tuple[V, float], call: str) -> tuple[V, float]:
        if not is_pair(given):
            raise no_pair(given, self.rkey, call)
        return given

    def _pairs(self, members: Iterable[tuple[V, float]], method: str) -> list[tuple[V, float]]:
        pairs = listed(members, self.rkey, method, method.removesuffix("_multi"))
        for nth, pair in enumerate(pairs):
            if not is_pair(pair):
                call = f"{method}([(member, score), ...]), or {method}(scores.items()) for a dict"
                raise no_pair(pair, self.rkey, call, nth)
        return pairs

    def _score_word(self, score: float, nth: int | None = None) -> str:
        try:
            return score_word(score)
        except EncodeError as error:
            raise self._no_score(error, nth) from None


def _options(nx: bool, xx: bool, ch: bool, keep: Keep | None) -> tuple[str, ...]:
    """The options of ZADD."""
    if keep not in _KEEPING:
        raise ValueError(f'keep= must be "highest" or "lowest", not {shown(keep)}')
    if nx and (xx or keep):
        raise ValueError("nx= only adds new members, but xx= and keep= concern existing ones: pass nx= without them")
    words, _ = _KEEPING[keep]
    return (*(("NX",) if nx else ()), *(("XX",) if xx else ()), *words, *(("CH",) if ch else ()))


def _first_found(replies: Iterable[Reply]) -> float | None:
    return next((as_score(reply) for reply in replies if reply is not None), None)


def _sum_of_all(replies: list[Reply]) -> int:
    return total(as_array(replies[0]))


def _scores_of_all(replies: list[Reply]) -> list[float]:
    return [as_score(reply) for reply in as_array(replies[0])]
