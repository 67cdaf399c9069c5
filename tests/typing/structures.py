"""Sets, sorted sets, key spaces and queues as type checkers see them. Read by mypy and pyright, never run."""

from __future__ import annotations

from collections.abc import AsyncIterator
from datetime import timedelta
from typing import Literal, assert_type

from pydantic import BaseModel
from redis.asyncio import Redis

from purse import (
    TTL,
    RedisHash,
    RedisKeySpace,
    RedisLifoQueue,
    RedisPriorityQueue,
    RedisQueue,
    RedisSet,
    RedisSortedSet,
    Store,
    field,
)
from purse.collections import gt, lt


class Plant(BaseModel):
    """A value."""

    name: str


class Garden(Store, namespace="typing-structures", slots="field"):
    """Each of them as a field."""

    beds: RedisSet[Plant]
    ranking: RedisSortedSet[str]
    sessions: RedisKeySpace[Plant]
    numbered: RedisKeySpace[Plant, int] = field(slots="key")
    tasks: RedisQueue[Plant] = field(maxsize=10, ttl=TTL(hours=1))
    stack: RedisLifoQueue[Plant]
    urgent: RedisPriorityQueue[Plant]


def constructors(client: Redis) -> None:
    """Every form of type."""
    assert_type(RedisSet(client, "k", Plant), RedisSet[Plant])
    assert_type(RedisSet(client, "k", int | str), RedisSet[int | str])
    assert_type(RedisSortedSet(redis=client, rkey="k", value_type=str), RedisSortedSet[str])
    assert_type(RedisSortedSet(client, "k", Literal["a", "b"]), RedisSortedSet[Literal["a", "b"]])
    assert_type(RedisKeySpace(client, "k:", Plant), RedisKeySpace[Plant, str])
    assert_type(RedisKeySpace(redis=client, prefix="k:", value_type=int | None), RedisKeySpace[int | None, str])
    assert_type(RedisKeySpace(client, "k:{", Plant, key_type=int, suffix="}"), RedisKeySpace[Plant, int])
    assert_type(RedisQueue(client, "k", Plant, maxsize=3), RedisQueue[Plant])
    assert_type(RedisLifoQueue(client, "k", list[Plant]), RedisLifoQueue[list[Plant]])
    assert_type(RedisPriorityQueue(client, "k", Plant), RedisPriorityQueue[Plant])


async def sets(garden: Garden, plant: Plant) -> None:
    """A set."""
    beds = garden.beds
    assert_type(beds, RedisSet[Plant])
    assert_type(await beds.add(plant), int)
    assert_type(await beds.update(plant, plant), int)
    assert_type(await beds.remove(plant), int)
    assert_type(await beds.discard(plant), bool)
    assert_type(await beds.contains(plant), bool)
    assert_type(await beds.contains_many([plant]), list[bool])
    assert_type(await beds.pop(), Plant)
    assert_type(await beds.pop(2), list[Plant])
    assert_type(await beds.random(), Plant)
    assert_type(await beds.random(2), list[Plant])
    assert_type(await beds.members(), list[Plant])
    assert_type(await beds.union(beds), list[Plant])
    assert_type(await beds.intersection(beds, beds), list[Plant])
    assert_type(await beds.difference(), list[Plant])
    assert_type(await beds.union_store(beds, beds), int)
    assert_type(await beds.is_subset(beds), bool)
    assert_type(await beds.move(beds, plant), bool)
    assert_type(await beds.len(), int)
    assert_type(await beds.clear(), int)
    assert_type(beds.values(match="a*", on_error="skip"), AsyncIterator[Plant])
    async for bed in beds:
        assert_type(bed, Plant)


async def sorted_sets(garden: Garden) -> None:
    """A sorted set."""
    ranking = garden.ranking
    assert_type(await ranking.add(("a", 1), ch=True), int)
    assert_type(await ranking.add_multi([("a", 1.5)]), int)
    assert_type(await ranking.increment(("a", 1)), tuple[str, float])
    assert_type(await ranking.increment_multi([("a", 1)]), list[tuple[str, float]])
    assert_type(await ranking.score("a"), float | None)
    assert_type(await ranking.score_multi(["a"]), list[tuple[str, float | None]])
    assert_type(await ranking.rank("a", descending=True), int | None)
    assert_type(await ranking.slice_by_rank(0, -1), list[tuple[str, float]])
    assert_type(await ranking.slice_by_score(gt(1), lt(5.5)), list[tuple[str, float]])
    assert_type(await ranking.count(1, 2), int)
    assert_type(await ranking.pop_min(), list[tuple[str, float]])
    assert_type(await ranking.peak_max(), tuple[str, float])
    assert_type(await ranking.peek_min(), tuple[str, float])
    assert_type(await ranking.blocking_pop_min(timeout=1), tuple[str, float])
    async for item in ranking:
        assert_type(item, tuple[str, float])


async def key_spaces(garden: Garden, plant: Plant) -> None:
    """A key space."""
    sessions = garden.sessions
    assert_type(sessions, RedisKeySpace[Plant, str])
    assert_type(garden.numbered, RedisKeySpace[Plant, int])
    assert_type(await sessions.set("a", plant, ex=60), bool)
    assert_type(await sessions.set("a", plant, None, timedelta(seconds=1), True), bool)
    assert_type(await sessions.get("a"), Plant | None)
    assert_type(await sessions.get("a", 5), Plant | int)
    assert_type(await sessions.setdefault("a", plant), Plant)
    assert_type(await sessions.pop("a"), Plant | None)
    assert_type(await sessions.get_many(["a"]), dict[str, Plant])
    assert_type(await sessions.get_or_create("a", lambda: plant), Plant)
    assert_type(await sessions.modify("a", lambda old: old), Plant)
    assert_type(await sessions.ttl("a"), int)
    assert_type(await sessions.expires_in("a"), timedelta | None)
    assert_type(await sessions.clear(), int)
    async with sessions.edit("a") as edited:
        assert_type(edited, Plant)
    async for pair in sessions:
        assert_type(pair, tuple[str, Plant])
    async for number, _ in garden.numbered:
        assert_type(number, int)
    async for key in garden.numbered.keys():
        assert_type(key, int)


async def queues(garden: Garden, plant: Plant) -> None:
    """The queues."""
    assert_type(await garden.tasks.put(plant), int)
    assert_type(await garden.tasks.get(timeout=1.5), Plant)
    assert_type(await garden.tasks.get_nowait(), Plant)
    assert_type(await garden.tasks.get_many(3), list[Plant])
    assert_type(await garden.tasks.qsize(), int)
    assert_type(await garden.tasks.empty(), bool)
    assert_type(await garden.stack.peek(), Plant)
    assert_type(await garden.urgent.put((plant, 1.5)), int)
    assert_type(await garden.urgent.get(), tuple[Plant, float])
    async for task in garden.tasks:
        assert_type(task, Plant)
    assert_type(
        await garden.atomic(garden.tasks.put(plant), garden.ranking.rank("a"), garden.beds.contains(plant)),
        tuple[int, int | None, bool],
    )


async def wrong(garden: Garden, client: Redis, hashed: RedisHash[int]) -> None:
    """What both checkers refuse."""
    await garden.beds.add("x")  # type: ignore[arg-type]  # pyright: ignore[reportArgumentType]
    await garden.ranking.add("a")  # type: ignore[arg-type]  # pyright: ignore[reportArgumentType]
    await garden.ranking.slice_by_score(lt(1), 2)  # type: ignore[arg-type]  # pyright: ignore[reportArgumentType]
    await garden.numbered.get("a")  # type: ignore[call-overload]  # pyright: ignore[reportCallIssue, reportArgumentType]
    await garden.tasks.put(3)  # type: ignore[arg-type]  # pyright: ignore[reportArgumentType]
    await garden.urgent.put((3, 1))  # type: ignore[arg-type]  # pyright: ignore[reportArgumentType]
    RedisKeySpace(client, 3, str)  # type: ignore[call-overload]  # pyright: ignore[reportCallIssue, reportArgumentType]
