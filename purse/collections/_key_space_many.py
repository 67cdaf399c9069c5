"""ManyEntries: the calls of a key space for several of its entries, or for all of them."""

from __future__ import annotations

import itertools
from collections.abc import AsyncGenerator, AsyncIterator, Iterable, Mapping, Sequence
from contextlib import aclosing
from time import monotonic
from typing import Literal, overload

from typing_extensions import TypeVar

from purse._engine.hooks import refuse_in_atomic
from purse._engine.scripts import ScriptCall, load_script
from purse._engine.unit import Command, Unit
from purse.codecs import codec_for
from purse.codecs._shown import quoted
from purse.collections._arguments import listed, mapped
from purse.collections._base import PAGE, paged
from purse.collections._key_space_entries import Duration, Entries, Entry, lifetime_ms, policy_of, was_stored
from purse.collections._key_space_get_or_create import AFTER
from purse.collections._paging import Fetch, OnError, iterate

__all__ = ["ManyEntries"]

_FEW = 40  # pages: to search them again costs next to nothing, now that the entries are gone

V = TypeVar("V")
K = TypeVar("K", default=str)


class ManyEntries(Entries[V, K]):
    """The bulk methods of ``RedisKeySpace``."""

    __slots__ = ()

    # --- many entries ---------------------------------------------------------------------------

    async def update(self, mapping: Mapping[K, V], if_none_exist: bool = False) -> bool:
        """Store all of ``mapping``: all or nothing, and other clients see them all at once.

        Everything is encoded before anything is sent. ``update({})`` sends nothing.

        Args:
            if_none_exist: store nothing if one of the keys exists.

        Returns:
            Whether they were stored.

        Raises:
            TypeError: ``mapping`` is not a mapping, for instance a list of pairs. Nothing was sent.
            EncodeError: a value or key does not fit the declared type. Nothing was sent.
            TypeError: the key space has a suffix, so its entries cannot change in one step.

        One round trip, O(n). Sends: MSET, in MULTI with 500 entries each if there are more. With ``if_none_exist`` one
        MSETNX, with a TTL policy EVALSHA key_space_set, likewise.
        """
        self._refuse_if_spread("update", "set(key, value) for key, value in mapping.items()")
        return await self._store_all(mapping, None, "update", if_none_exist=if_none_exist)

    async def set_many(self, mapping: Mapping[K, V], ttl: Duration | None = None) -> None:
        """Store all of ``mapping``: all or nothing, and other clients see them all at once.

        Args:
            ttl: let these entries expire after so many seconds, or a ``timedelta``. If not given, the declared policy
                applies.

        Raises:
            TypeError: ``mapping`` is not a mapping, for instance a list of pairs. Nothing was sent.
            EncodeError: a value or key does not fit the declared type. Nothing was sent.
            ValueError: a duration below 1 ms. Nothing was sent.
            TypeError: the key space has a suffix, so its entries cannot change in one step.

        One round trip, O(n). Sends: MSET, in MULTI with 500 entries each if there are more. With ``ttl`` or a TTL
        policy EVALSHA key_space_set, likewise.
        """
        self._refuse_if_spread("set_many", "set(key, value, ex=ttl) for key, value in mapping.items()")
        await self._store_all(mapping, lifetime_ms(ttl, None, names=("ttl=", "")), "set_many")

    async def get_many(self, keys: Iterable[K]) -> dict[K, V]:
        """The values of those ``keys`` that exist, read at one moment, in the order of ``keys``.

        With a suffix it is not one moment: one command for each key, sent together.

        Raises:
            TypeError: ``keys`` is one ``str`` or ``bytes``, which would be split into letters. Nothing was sent.
            DecodeError: stored bytes are not a valid value. They are not changed.

        One round trip, O(n). Sends: MGET, in MULTI with 500 keys each if there are more. With ``TTL(renew="read")``
        EVALSHA key_space_read, likewise.
        """
        wanted = listed(keys, self._name, "get_many", "get")
        found = await self._fetch_all(self._names.names(wanted), "get_many")
        there = {key: raw for key, raw in zip(wanted, found, strict=True) if raw is not None}
        return dict(zip(there, self._decode_all(self._codec, [*there.values()], there), strict=True))

    async def delete_many(self, keys: Iterable[K]) -> int:
        """Remove ``keys``, of any Redis type, all at one moment.

        With a suffix it is not one moment: one command for each key, sent together. A value that a ``get_or_create`` is
        making at this time for one of them is not stored.

        Returns:
            How many of them existed.

        Raises:
            TypeError: ``keys`` is one ``str`` or ``bytes``, which would be split into letters. Nothing was sent.

        One round trip, O(n). Sends: UNLINK of their markers and UNLINK, in MULTI with 500 keys each if there are more.
        """
        wanted = listed(keys, self._name, "delete_many", "delete")
        return await self._delete_all(self._names.names(wanted), "delete_many")

    # --- all entries ----------------------------------------------------------------------------

    async def len(self) -> int:
        """The number of entries. It searches all keys of the database, so it is not a snapshot.

        An entry may be counted twice if the server resizes its table during the search.

        One round trip for each page of about 500 keys, O(all keys of the database). Sends: SCAN.
        """
        refuse_in_atomic("len")
        async with aclosing(_pages(self._scan(None, None))) as pages:
            return sum([len(page) async for page in pages])

    async def clear(self) -> int:
        """Remove all entries, page by page. Other keys, and other Redis types under the prefix, are not changed.

        An entry that is stored during the call may stay. The value of a ``get_or_create`` that began before the call is
        removed, or not stored.

        Returns:
            How many were removed.

        Two round trips for each page of about 500 keys, O(all keys of the database). Sends: SCAN, UNLINK, and for a
        value that is being made, or was made a moment ago, UNLINK of its marker and GETDEL. A search of a few pages, or
        of more than a few seconds, is done twice.
        """
        refuse_in_atomic("clear")
        begun = monotonic()
        removed, pages = await self._clear_once()
        # A value may have been stored in a part that was searched before, and its marker removed before the search came
        # to it.
        if 1 < pages <= _FEW or monotonic() - begun > AFTER / 2:
            removed += (await self._clear_once())[0]
        return removed

    @overload
    def keys(
        self,
        batch_hint: int | None = None,
        with_prefix: Literal[False] = False,
        *,
        match: str | bytes | None = None,
        on_error: OnError = "raise",
    ) -> AsyncIterator[K]: ...
    @overload
    def keys(
        self,
        batch_hint: int | None,
        with_prefix: Literal[True],
        *,
        match: str | bytes | None = None,
        on_error: OnError = "raise",
    ) -> AsyncIterator[str]: ...
    @overload
    def keys(
        self,
        batch_hint: int | None = None,
        *,
        with_prefix: Literal[True],
        match: str | bytes | None = None,
        on_error: OnError = "raise",
    ) -> AsyncIterator[str]: ...
    # The boolean is positional because redis-purse 2.x had it so.
    def keys(
        self,
        batch_hint: int | None = None,
        with_prefix: bool = False,
        *,
        match: str | bytes | None = None,
        on_error: OnError = "raise",
    ) -> AsyncIterator[K] | AsyncIterator[str]:
        """Iterate over the keys, as ``items`` does.

        Args:
            with_prefix: yield complete Redis keys, with prefix and suffix, as ``str``.

        One round trip for each page. Sends: SCAN.
        """
        scan = self._scan(match, batch_hint)
        if with_prefix:
            text = codec_for(str)
            return iterate(scan, text.decode_all, lambda name, _: self._decode(text, name, name), on_error)
        return iterate(scan, self._decode_keys, lambda name, _: self._decode_key(name), on_error)

    def values(
        self, batch_hint: int | None = None, *, match: str | bytes | None = None, on_error: OnError = "raise"
    ) -> AsyncIterator[V]:
        """Iterate over the values, as ``items`` does."""
        return iterate(
            self._entries(match, batch_hint),
            lambda page: [value for _, value in self._decode_pairs(page)],
            lambda entry, _: self._decode_pair(entry)[1],
            on_error,
        )

    def items(
        self, batch_hint: int | None = None, *, match: str | bytes | None = None, on_error: OnError = "raise"
    ) -> AsyncIterator[tuple[K, V]]:
        """Iterate over the pairs, page by page, in no particular order. This is not a snapshot (see the module).

        An entry that is removed before its value is read is left out. Within one page no entry comes twice.

        Args:
            batch_hint: about how many keys of the database a page should search, 500 if not given.
            match: a glob pattern for the stored form of the keys, without the prefix: ``*`` ``?`` ``[a-z]``, ``\\``
                before a literal one of these.
            on_error: ``"skip"`` passes over entries whose bytes are not valid instead of raising
                ``DecodeError``.

        Memory holds two pages: the next one is requested before this one is decoded. One round trip for each page, and
        one more, O(all keys of the database). Sends: SCAN, MGET, both in MULTI if another page follows (with a suffix
        one MGET for each key).
        """
        return iterate(
            self._entries(match, batch_hint),
            self._decode_pairs,
            lambda entry, _: self._decode_pair(entry),
            on_error,
        )

    def __aiter__(self) -> AsyncIterator[tuple[K, V]]:
        """Iterate over the pairs, as ``items()`` does."""
        return self.items()

    # --- private ------------------------------------------------------------------------------------

    def _refuse_if_spread(self, method: str, instead: str) -> None:
        if self._spread:
            raise TypeError(
                f"{self._where()}: {method}() changes several entries in one step, but with suffix="
                f"{quoted(self.suffix)} each entry has a separate hash slot: write "
                f"await asyncio.gather(*(space.{instead}))"
            )

    async def _store_all(
        self, mapping: Mapping[K, V], ms: int | None, method: str, *, if_none_exist: bool = False
    ) -> bool:
        mapping = mapped(mapping, self._name, method)
        if not mapping:
            return True
        keys = [*mapping]
        raws = self._encode_all(self._codec, [mapping[key] for key in keys], keys)
        pages = paged([*zip(self._names.names(keys), raws, strict=True)], len(keys) if if_none_exist else PAGE)
        commands: list[Command | ScriptCall]
        if ms is None and self._ttl is None:
            commands = [("MSETNX" if if_none_exist else "MSET", *itertools.chain(*page)) for page in pages]
        else:
            commands = [self._storing(page, ms, "NX" if if_none_exist else "") for page in pages]
        return await self._executor.execute(Unit(commands, lambda replies: was_stored(replies[0]), self))

    def _storing(self, page: Sequence[Entry], ms: int | None, condition: str) -> ScriptCall:
        policies = (self._policy() if ms is None else policy_of(ms) for _ in page)  # each with a separate jitter
        words = [word for (_, raw), policy in zip(page, policies, strict=True) for word in (raw, policy)]
        return load_script("key_space_set")(tuple(name for name, _ in page), condition, *words)

    async def _clear_once(self) -> tuple[int, int]:
        """Return how many entries were removed, and how many pages were searched."""
        async with aclosing(_pages(self._scan_with_markers())) as pages:
            removed = [await self._delete_found([*page]) async for page in pages]
        return sum(removed), len(removed)


def _pages(scan: Fetch[bytes]) -> AsyncGenerator[Sequence[bytes], None]:
    """Names, page by page."""
    return iterate(scan, lambda page: [page], lambda name, _: [name], "raise")
