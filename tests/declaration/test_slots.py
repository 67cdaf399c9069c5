"""Key layouts: what shares a hash tag, what a key space may not cover, and what is refused over several slots."""

from __future__ import annotations

import asyncio
from collections.abc import Callable

import pytest
from redis.asyncio import Redis

from purse import (
    DeclarationError,
    RedisClient,
    RedisHash,
    RedisKeySpace,
    RedisList,
    RedisLock,
    RedisPriorityQueue,
    RedisQueue,
    RedisRateLimiter,
    RedisSet,
    RedisSortedSet,
    Store,
    field,
)
from purse.inspect import fields
from purse.locks import fenced_set
from tests.support.clients import all_keys


class Garden(Store, namespace="slots"):
    plants: RedisHash[int]
    sessions: RedisKeySpace[int]
    spread: RedisKeySpace[int, int] = RedisKeySpace.field(slots="key")


class Wide(Store, namespace="slots-wide", slots="field"):
    log: RedisList[str]
    old: RedisList[str]
    beds: RedisSet[str]
    rows: RedisSet[str]
    sessions: RedisKeySpace[int]
    legacy: RedisHash[int] = field(rkey="legacy")


class Wider(Wide, namespace="slots-wider"):
    more: RedisList[str]


class Everything(Store, namespace="slots-all"):
    hash: RedisHash[int, int]
    list: RedisList[int] = RedisList.field(maxlen=2)
    set: RedisSet[int]
    ranking: RedisSortedSet[str]
    space: RedisKeySpace[int]
    queue: RedisQueue[int] = RedisQueue.field(maxsize=2)
    urgent: RedisPriorityQueue[int]


def test_what_is_in_the_braces() -> None:
    """The namespace, with ``slots="field"`` the field as well, with ``slots="key"`` the key of an entry alone."""
    assert Garden.plants.key == "{slots}:plants"
    assert Garden.sessions.key == "{slots}:sessions:"
    assert Garden.spread.key == "slots::spread:{"
    assert Wide.log.key == "{slots-wide::log}"
    assert Wide.sessions.key == "{slots-wide::sessions}:"
    assert Wide.legacy.key == "legacy"
    assert Wider.log.key == "{slots-wider::log}"
    assert [spec.slots for spec in fields(Garden).values()] == ["store", "store", "key"]


async def test_entries_live_where_the_declaration_says(redis: Redis) -> None:
    """The keys of entries are the prefix, the key, and the closing brace where there is one."""
    garden, wide = Garden(redis), Wide(redis)
    await garden.sessions.set("a", 1)
    await garden.spread.set(7, 2)
    await wide.sessions.set("a", 3)

    assert await all_keys(redis) == [
        b"slots::spread:{7}",
        b"{slots-wide::sessions}:a",
        b"{slots}:sessions:a",
    ]
    assert [pair async for pair in garden.spread] == [(7, 2)]
    assert await garden.spread.get(7) == 2


async def test_clear_empties_key_spaces_too(redis: Redis) -> None:
    """Everything that is declared goes, entries and fields of every layout, and neighbours stay."""
    garden, wide = Garden(redis), Wide(redis)
    await redis.set("slots::spread:7", "stays")
    await redis.set("{slots}:session", "stays")
    await garden.plants.set("a", 1)
    await asyncio.gather(*(garden.sessions.set(str(i), i) for i in range(3)))
    await asyncio.gather(*(garden.spread.set(i, i) for i in range(3)))
    await asyncio.gather(wide.log.append("x"), wide.beds.add("x"), wide.sessions.set("a", 1), wide.legacy.set("a", 1))

    assert await garden.clear() == 7
    assert await wide.clear() == 4
    assert await all_keys(redis) == [b"slots::spread:7", b"{slots}:session"]


class Team(Store, namespace="slots:team:{team}", slots="field"):
    notes: RedisKeySpace[str]
    api: RedisRateLimiter = RedisRateLimiter.field(rate="9/day")

    def __init__(self, redis: RedisClient, *, team: str) -> None:
        super().__init__(redis, team=team)


class Member(Store, namespace="slots:team:{team}:{user}", slots="field"):
    q: RedisList[str]
    drafts: RedisKeySpace[str] = RedisKeySpace.field(slots="key")

    def __init__(self, redis: RedisClient, *, team: str, user: str) -> None:
        super().__init__(redis, team=team, user=user)


class Plain(Store, namespace="slots:team:{team}:{user}:x"):
    q: RedisList[str]

    def __init__(self, redis: RedisClient, *, team: str, user: str) -> None:
        super().__init__(redis, team=team, user=user)


class Short(Store, namespace="slots-p", slots="field"):
    items: RedisList[str] = field(key="q:r")
    space: RedisKeySpace[str] = field(key="q:s")


class Long(Store, namespace="slots-p:q", slots="field"):
    items: RedisList[str] = field(key="r")
    s: RedisKeySpace[str]


async def test_stores_of_other_namespaces_are_left_alone(redis: Redis) -> None:
    """Whatever a request chooses for a parameter, ``clear``, ``reset`` and reads concern one store alone."""
    short, long = Short(redis), Long(redis)
    team, member = Team(redis, team="red"), Member(redis, team="red", user="notes")
    limited, plain = Member(redis, team="red", user="api"), Plain(redis, team="red", user="api")
    await asyncio.gather(short.items.append("short"), short.space.set("a", "short"), team.notes.set("q", "team"))
    await asyncio.gather(team.api.hit("x:q"), team.api.hit())

    assert await long.items.slice(0, 9) == []
    assert await long.s.get("a") is None
    await asyncio.gather(long.items.append("long"), long.s.set("a", "long"), plain.q.append("plain"))
    await asyncio.gather(member.q.append("member"), member.drafts.set("a", "member"), limited.q.append("limited"))

    assert await short.clear() == 2
    assert await team.clear() == 1
    assert await team.api.reset("x:q")
    assert await long.items.slice(0, 9) == ["long"]
    assert await long.s.get("a") == "long"
    assert await member.q.slice(0, 9) == ["member"]
    assert await member.drafts.get("a") == "member"
    assert await limited.q.slice(0, 9) == ["limited"]
    assert await plain.q.slice(0, 9) == ["plain"]


async def test_a_lock_may_be_called_like_a_store(redis: Redis) -> None:
    """What is kept beside a lock is no field of a store, and not among its entries."""

    class Press(Store, namespace="slots-press"):
        fence: RedisList[str]
        queue: RedisList[str]
        jobs: RedisKeySpace[str]

    press = Press(redis)
    await asyncio.gather(press.fence.append("mine"), press.queue.append("mine"), press.jobs.set("a", "old"))

    async with RedisLock(redis, "slots-press").within(1) as lease:
        await fenced_set(redis, "{slots-press}:jobs:a", "new", lease)

    assert await press.queue.slice(0, 9) == await press.fence.slice(0, 9) == ["mine"]
    assert [pair async for pair in press.jobs] == [("a", "new")]


REFUSED: dict[str, Callable[[Garden, Wide], object]] = {
    "atomic over fields": lambda g, w: w.atomic(w.log.append("x"), w.beds.add("x")),
    "atomic over entries": lambda g, w: g.atomic(g.spread.set(1, 1), g.spread.set(2, 2)),
    "atomic with an entry": lambda g, w: g.atomic(g.plants.set("a", 1), g.spread.set(2, 2)),
    "list.move": lambda g, w: w.log.move(w.old),
    "set.move": lambda g, w: w.beds.move(w.rows, "x"),
    "set.union": lambda g, w: w.beds.union(w.rows),
    "update": lambda g, w: g.spread.update({1: 1, 2: 2}),
    "clear in atomic": lambda g, w: w.atomic(w.clear()),
}


@pytest.mark.parametrize("call", REFUSED.values(), ids=REFUSED.keys())
async def test_one_step_over_several_slots_is_refused(redis: Redis, call: Callable[[Garden, Wide], object]) -> None:
    """On one server as on a cluster, before anything is sent."""
    garden, wide = Garden(redis), Wide(redis)

    with pytest.raises(TypeError, match=r"slot|several|searches"):
        await call(garden, wide)  # type: ignore[misc]  # pyright: ignore[reportGeneralTypeIssues]

    assert await all_keys(redis) == []


async def test_one_step_in_one_slot_is_not(redis: Redis) -> None:
    """Calls on one field, or one entry, are a transaction as anywhere."""
    garden, wide = Garden(redis), Wide(redis)

    assert await wide.atomic(wide.log.append("x"), wide.log.append("y")) == (1, 2)
    assert await garden.atomic(garden.spread.set(1, 5), garden.spread.increment(1)) == (True, 6)


async def test_every_structure_is_a_field(redis: Redis) -> None:
    """Each is built with its types and options, and all of them can be in one transaction."""
    every = Everything(redis)

    done = await every.atomic(
        every.hash.set(1, 1),
        every.list.append(1),
        every.set.add(1),
        every.ranking.add(("a", 1.0)),
        every.space.set("a", 1),
        every.queue.put_nowait(1),
        every.urgent.put((1, 0)),
    )

    assert done == (1, 1, 1, 1, True, 1, 1)
    assert every.queue.maxsize == 2
    assert await every.clear() == 7


def test_a_key_space_covers_no_other_field() -> None:
    """A field whose key would be one of the entries is refused, and so is a key space inside another."""
    with pytest.raises(
        DeclarationError, match=r"Bad.one has the Redis key '\{slots-bad\}:sessions:1'.*belong to Bad.sess"
    ):

        class Bad(Store, namespace="slots-bad"):  # pyright: ignore[reportUnusedClass]
            sessions: RedisKeySpace[int]
            one: RedisHash[int] = field(key="sessions:1")

    with pytest.raises(DeclarationError, match=r"belong to Worse\.sessions"):

        class Worse(Store, namespace="slots-worse"):  # pyright: ignore[reportUnusedClass]
            sessions: RedisKeySpace[int]
            inner: RedisKeySpace[int] = field(key="sessions:inner")


WRONG = {
    "slots of a hash": (
        "h: RedisHash[int] = RedisKeySpace.field(slots='key')",
        "Bad.h: RedisKeySpace.field() has the options of a RedisKeySpace",
    ),
    "slots unknown": ("s: RedisKeySpace[int] = RedisKeySpace.field(slots='field')", 'slots= of a field must be "key"'),
    "slots and rkey": ("s: RedisKeySpace[int] = RedisKeySpace.field(slots='key', rkey='x:')", "write one of them"),
    "maxsize of a list": (
        "xs: RedisList[int] = RedisQueue.field(maxsize=3)",
        "Bad.xs: RedisQueue.field() has the options of a RedisQueue",
    ),
    "set": ("xs: set[int]", "declare RedisSet[int]"),
}


@pytest.mark.parametrize(("body", "message"), WRONG.values(), ids=WRONG.keys())
def test_a_wrong_layout_is_refused_at_definition(body: str, message: str) -> None:
    """What, where and the fix."""
    names: dict[str, object] = {
        "Store": Store,
        "field": field,
        "RedisHash": RedisHash,
        "RedisList": RedisList,
        "RedisQueue": RedisQueue,
    }
    names |= {"RedisKeySpace": RedisKeySpace, "__name__": __name__}

    with pytest.raises(DeclarationError) as caught:
        exec(f"class Bad(Store, namespace='slots-wrong'):\n    {body}", names)

    assert message in str(caught.value)


def test_a_wrong_layout_of_a_store_is_refused() -> None:
    """A store takes ``"store"`` and ``"field"``."""
    with pytest.raises(DeclarationError, match='slots= must be "store"'):
        exec("class Bad(Store, namespace='slots-wrong', slots='key'): pass", {"Store": Store})
