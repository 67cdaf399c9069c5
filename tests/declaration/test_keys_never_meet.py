"""No two stores, parameters, fields or entries have one Redis key, if they can be declared in one program.

PURSE_SEARCH=full     every pair, where the suite takes a sample with a fixed seed
PURSE_TRIPLES=n       so many random (namespace, parameters, field, entry)
"""

from __future__ import annotations

import asyncio
import itertools
import os
import random
import re
from bisect import bisect_left
from collections import Counter, defaultdict
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from functools import cache
from typing import TypeVar
from uuid import UUID

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from purse import Store
from purse._declaration.templates import Value
from purse.inspect import fields
from tests.support.layouts import Field, Written, accepted, alone, declared, instances_of, recorder, store_source

T = TypeVar("T")

NAMESPACES = (
    *("p", "q", "p:q", "q:r", "p:q:r", "p:p"),
    *("p:{x:int}", "p:{x:str}", "p:{x:UUID}", "q:{x:str}", "{x:str}", "{x:int}:q", "{x:str}:q"),
    *("p:{x:str}:{y:str}", "p:{x:int}:q", "p:q:{x:str}", "p:{x:str}:r"),
)
TAILS = ("q", "r", "q:r", "r:q", "q:fence")
SLOTS = ("store", "field")
EVERY_KIND = ("hash", "list", "set", "ranking", "queue", "urgent", "space", "spread", "lock", "rate", "places")
UNLIKE = ("list", "space", "spread", "lock", "rate", "places")
"""Of those whose keys are made alike, one."""
RKEYS = (
    *("q", "{p}:q", "{p}:q:", "{p}:q:r", "{p", "{p::q}", "{p::q", "p", "p::q:{", "p::q:{r}", "p:", "{q}:q"),
    *("fence!{p}:q", "{p:1}:q", "{p:1", "{p:1::q}", "p:1::q:{", "p:1:", "{p:1}:q:fence"),
)
FULL = os.environ.get("PURSE_SEARCH") == "full"
TRIPLES = int(os.environ.get("PURSE_TRIPLES", "800"))


def some(everything: Iterable[T], count: int) -> Sequence[T]:
    """All of it in a full search, else a sample that is always the same."""
    found = [*everything]
    return found if FULL or len(found) <= count else random.Random(11).sample(found, count)


def simple(kinds: Iterable[str]) -> list[Field]:
    """Every field of these kinds with every tail, in the store itself and in a part of it."""
    plain = [Field(kind, tail) for kind in kinds for tail in TAILS]
    return plain + [Field(one.kind, one.tail, nested=True) for one in plain if ":" in one.tail]


def kinds_of(store: type[Store]) -> dict[str, str]:
    """The kind of each field, from its annotation: what ``Written`` has to call."""
    names = {"RedisHash": "hash", "RedisList": "list", "RedisSet": "set", "RedisSortedSet": "ranking"}
    names |= {"RedisQueue": "queue", "RedisPriorityQueue": "urgent", "RedisKeySpace": "space", "RedisLock": "lock"}
    names |= {"RedisRateLimiter": "rate", "RedisSemaphore": "places"}
    return {path: names[spec.collection.__name__] for path, spec in fields(store).items()}


async def all_written(store: type[Store]) -> list[tuple[str, Written]]:
    """What the instances of ``store`` write, each with what tells it from the others."""
    client = recorder()
    kinds = kinds_of(store)
    return [(repr(values), await Written.by(store(client, **values), kinds)) for values in instances_of(store)]


def check_one_owner(found: Iterable[tuple[str, Written]], source: str) -> None:
    """Fail if two of those who write something write, or delete by a pattern, the same key."""
    owners: dict[bytes, tuple[str, str, str]] = {}
    for who, written in found:
        for (path, entry), keys in written.keys.items():
            for key in keys:
                owner = owners.setdefault(key, (who, path, entry))
                assert owner == (who, path, entry), f"{key!r} is of {owner} and {(who, path, entry)} in\n{source}"
    for who, written in found:
        for path, patterns in written.patterns.items():
            for pattern in patterns:
                for key in written.cleared(path, matching(pattern, sorted(owners))):
                    assert owners[key][:2] == (who, path), f"{pattern!r} finds {key!r} of {owners[key]} in\n{source}"


def matching(pattern: bytes, keys: Sequence[bytes]) -> list[bytes]:
    """Those of the sorted keys that SCAN finds by a pattern which has no special character but ``*`` and ``\\``."""
    parts = re.findall(rb"\\(.)|(\*)|([^\\*])", pattern, re.DOTALL)
    expression = re.compile(b"".join(b".*" if star else re.escape(a or b) for a, star, b in parts), re.DOTALL)
    begin = b"".join(a or b for a, _, b in itertools.takewhile(lambda part: not part[1], parts))
    found: list[bytes] = []
    for key in itertools.islice(keys, bisect_left(keys, begin), None):
        if not key.startswith(begin):
            break
        if expression.fullmatch(key):
            found.append(key)
    return found


# --- two stores ---------------------------------------------------------------------------------------


@cache
def both_accepted(one: str, other: str) -> bool:
    """Whether stores with these namespaces, and nothing else in common, may be declared in one program."""
    field = [Field("list", "q")]
    return accepted(store_source("A", one, "store", field), store_source("B", other, "store", field))


@pytest.mark.thorough
async def test_stores_that_are_accepted_together_share_no_key() -> None:
    """Of all small stores: if two have a key in common, or one would clear it, one of the two is refused."""
    made = some(itertools.product(NAMESPACES, SLOTS, simple(EVERY_KIND)), 300)
    owners: defaultdict[bytes, dict[str, str]] = defaultdict(dict)  # of each namespace one source is enough
    patterns: list[tuple[bytes, Written, str, str, str]] = []
    for namespace, slots, one in made:
        source = store_source("A", namespace, slots, [one])
        with alone():
            (store,) = declared(source)
        found = await all_written(store)
        check_one_owner(found, source)
        for _, written in found:
            for key in itertools.chain(*written.keys.values()):
                owners[key][namespace] = source
            patterns += [
                (each, written, path, namespace, source) for path, all_ in written.patterns.items() for each in all_
            ]

    ordered = sorted(owners)
    for pattern, written, path, namespace, source in patterns:
        for key in written.cleared(path, matching(pattern, ordered)):
            owners[key][namespace] = source
    meet = {pair for holders in owners.values() for pair in itertools.combinations(sorted(holders.items()), 2)}
    shared = [(one[1], other[1]) for one, other in meet if both_accepted(one[0], other[0])]
    stores = Counter(namespace for namespace, _, _ in made)
    count = sum(stores[a] * stores[b] for a, b in itertools.combinations(stores, 2) if both_accepted(a, b))
    print(f"{len(made)} stores, {count} pairs accepted together, {len(owners)} keys, {len(shared)} pairs share one")

    assert count > 20_000
    assert shared[:3] == []


# --- two fields ---------------------------------------------------------------------------------------


def pairs_of_fields() -> list[tuple[str, str, Field, Field]]:
    """Namespace, slots, and two fields for one store."""
    one = simple(UNLIKE)
    more = [Field(kind, "", rkey=rkey) for kind in ("list", "space", "lock", "rate") for rkey in RKEYS]
    two = [*itertools.combinations_with_replacement(one, 2), *itertools.product(one, more)]
    return [(namespace, slots, a, b) for namespace in ("p", "p:{x:int}") for slots in SLOTS for a, b in two]


@pytest.mark.thorough
@pytest.mark.parametrize(
    "how", ["in one class", "in base and subclass", "in two subclasses", "in a mixin", "in a special case"]
)
async def test_fields_that_are_accepted_together_share_no_key(how: str) -> None:
    """Of all pairs of fields in one namespace: if they have a key in common, the second class is refused."""
    pairs = [pair for pair in pairs_of_fields() if how in ("in one class", "in a mixin") or pair[3].rkey is None]
    refused = 0
    tried = some(pairs, 300 if how in ("in one class", "in a mixin") else 120)
    for namespace, slots, a, b in tried:
        source = sources_of(how, namespace, slots, a, b)
        if not accepted(source):
            refused += 1
            continue
        with alone():
            stores = declared(source)
            # For the only value of the only parameter: all of them are in one namespace.
            found = [("", written) for store in stores for _, written in await all_written(store)]
        check_one_owner(found, source)
    print(f"{how}: {len(tried)} pairs, {refused} refused")

    assert 0 < refused < len(tried) / 2


def sources_of(how: str, namespace: str, slots: str, a: Field, b: Field) -> str:
    """The source of one or several classes that have both fields in one namespace."""
    if how == "in one class":
        return store_source("A", namespace, slots, [a, b])
    if how == "in a mixin":
        mixin = store_source("M", "", "", [a], prefix="m")
        return f"{mixin}\n{store_source('A', namespace, slots, [b], 'M')}"
    if how == "in base and subclass":
        base = store_source("A", namespace, slots, [a], prefix="a")
        return f"{base}\n{store_source('B', '', '', [b], 'A')}"
    if how == "in a special case":  # of the template: what it gives for one value
        special = namespace.replace("{x:int}", "1")
        return f"{store_source('A', namespace, slots, [a], prefix='a')}\n{store_source('B', special, '', [b], 'A')}"
    base = store_source("A", namespace, slots, [])
    one, other = store_source("B", "", "", [a], "A", prefix="a"), store_source("C", "", "", [b], "A")
    return f"{base}\n{one}\n{other}"


# --- random -------------------------------------------------------------------------------------------


@dataclass(frozen=True)
class Triple:
    """Where a random key is to be: in which store, of which parameters, in which field, which entry."""

    namespace: str
    slots: str
    field: Field
    values: tuple[Value, ...]
    entry: str

    @property
    def store(self) -> tuple[str, str, Field]:
        """What its store is made of."""
        return self.namespace, self.slots, self.field


def excused(one: Triple, other: Triple) -> bool:
    """Whether two that have a key in common cannot be declared in one program, or are the same."""
    if one.store == other.store:
        return one == other
    if one.namespace != other.namespace:
        return not both_accepted(one.namespace, other.namespace)
    return not accepted_as_siblings(one.namespace, (one.slots, one.field), (other.slots, other.field))


@cache
def accepted_as_siblings(namespace: str, one: tuple[str, Field], other: tuple[str, Field]) -> bool:
    """Whether two fields can be in one namespace, the slots of which are not the same."""
    base = store_source("A", namespace, "", [])
    first = store_source("B", "", one[0], [one[1]], "A", prefix="a")
    return accepted(base, first, store_source("C", "", other[0], [other[1]], "A", prefix="b"))


class Places:
    """Stores by what they are made of, and the keys of random triples in them."""

    def __init__(self) -> None:
        self._stores: dict[tuple[str, str, Field], type[Store]] = {}
        self._client = recorder()

    async def keys(self, triple: Triple) -> set[bytes]:
        """The keys of ``triple``."""
        store = self._stores.get(triple.store)
        if store is None:
            with alone():
                (store,) = declared(store_source("A", triple.namespace, triple.slots, [triple.field]))
                store(self._client, **next(instances_of(store)))
            self._stores[triple.store] = store
        parameters = dict(zip(store.__purse__.parameters, triple.values, strict=True))
        written = await Written.by(store(self._client, **parameters), kinds_of(store), [triple.entry])
        return {key for (_, entry), keys in written.keys.items() if entry == triple.entry for key in keys}


CHARACTERS = "pqr:{}#!%é"
ANY_CHARACTER = st.characters(exclude_categories=["Cs"])
KEYED = ("space", "spread", "rate")


def random_triple(choice: random.Random) -> Triple:
    """Any one, of a small world in which keys would soon meet."""
    namespace = choice.choice(NAMESPACES)
    kinds = re.findall(r":(int|str|UUID)\}", namespace)
    values = tuple(
        choice.randrange(3) if kind == "int" else UUID(int=choice.randrange(3)) if kind == "UUID" else word(choice, 1)
        for kind in kinds
    )
    field = choice.choice(FIELDS)
    return Triple(namespace, choice.choice(SLOTS), field, values, word(choice, 0) if field.kind in KEYED else "")


def word(choice: random.Random, least: int) -> str:
    """A few characters, those that keys are made of."""
    return "".join(choice.choices(CHARACTERS, k=choice.randint(least, 4)))


FIELDS = simple(UNLIKE)


@pytest.mark.thorough
async def test_random_places_have_keys_of_their_own() -> None:
    """Of n random (namespace, parameters, field, entry) no two different ones have one key."""
    choice = random.Random(11)
    places = Places()
    owners: dict[bytes, Triple] = {}
    for _ in range(TRIPLES):
        triple = random_triple(choice)
        for key in await places.keys(triple):
            owner = owners.setdefault(key, triple)
            assert owner == triple or excused(owner, triple), f"{key!r} is of {owner} and of {triple}"
    print(f"{TRIPLES} triples, {len(owners)} keys")


NAMES = st.text("pqé7", min_size=1, max_size=2)
PARTS = st.one_of(NAMES, st.sampled_from(["{x:str}", "{x:int}"]))


@st.composite
def places_of_any_name(draw: st.DrawFn) -> Triple:
    """One with any names, values and entry."""
    parts = draw(st.lists(PARTS, min_size=1, max_size=3).filter(lambda parts: sum("{" in part for part in parts) < 2))
    tail = ":".join(draw(st.lists(NAMES, min_size=1, max_size=3)))
    kind = draw(st.sampled_from(UNLIKE))
    values: dict[str, st.SearchStrategy[Value]] = {
        "{x:str}": st.text(st.one_of(st.sampled_from(CHARACTERS), ANY_CHARACTER), min_size=1, max_size=4),
        "{x:int}": st.integers(),
    }
    return Triple(
        ":".join(parts),
        draw(st.sampled_from(SLOTS)),
        Field(kind, tail, nested=":" in tail and draw(st.booleans())),
        tuple(draw(values[part]) for part in parts if part in values),
        draw(st.text(st.one_of(st.sampled_from(CHARACTERS), ANY_CHARACTER), max_size=5)) if kind in KEYED else "",
    )


@given(st.lists(places_of_any_name(), min_size=2, max_size=6))
@settings(max_examples=40, deadline=None)
def test_any_places_have_keys_of_their_own(triples: list[Triple]) -> None:
    """Whatever names, values and entries there are: one key, one place."""

    async def check() -> None:
        places = Places()
        owners: dict[bytes, Triple] = {}
        for triple in triples:
            for key in await places.keys(triple):
                owner = owners.setdefault(key, triple)
                assert owner == triple or excused(owner, triple), f"{key!r} is of {owner} and of {triple}"

    asyncio.run(check())
