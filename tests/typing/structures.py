"""Sets, sorted sets, key spaces and queues as type checkers see them. Read by mypy and pyright, never run."""

from __future__ import annotations

from collections.abc import AsyncIterator
from datetime import timedelta
from typing import Literal, assert_type

from pydantic import BaseModel
from redis.asyncio import Redis

from purse import RedisKeySpace, RedisLifoQueue, RedisPriorityQueue, RedisQueue, RedisSet, RedisSortedSet
from purse.collections import gt, lt


class Plant(BaseModel):
    """A value."""

    name: str


def constructors(client: Redis) -> None:
    """Every form of type."""
    assert_type(RedisSet(client, "k", Plant), RedisSet[Plant])
    assert_type(RedisSet(client, "k", int | str), RedisSet[int | str])
    assert_type(RedisSortedSet(redis=client, rkey="k", value_type=str), RedisSortedSet[str])
    assert_type(RedisSortedSet(client, "k", Literal["a", "b"]), RedisSortedSet[Literal["a", "b"]])
    assert_type(RedisKeySpace(client, "k:", Plant), RedisKeySpace[Plant, str])
    assert_type(RedisKeySpace(redis=client, prefix="k:", value_type=int | None), RedisKeySpace[int | None, str])
    assert_type(RedisKeySpace(client, "k:{", Plant, key_type=int, suffix="}"), RedisKeySpace[Plant, int])
    assert_type(RedisKeySpace(client, "k:", int, default=0), RedisKeySpace[int, str])
    assert_type(RedisKeySpace(client, "k:", list[int], default_factory=list), RedisKeySpace[list[int], str])
    assert_type(RedisQueue(client, "k", Plant, maxsize=3), RedisQueue[Plant])
    assert_type(RedisLifoQueue(client, "k", list[Plant]), RedisLifoQueue[list[Plant]])
    assert_type(RedisPriorityQueue(client, "k", Plant), RedisPriorityQueue[Plant])


async def sets(beds: RedisSet[Plant], plant: Plant) -> None:
    """``RedisSet``."""
    assert_type(await beds.add(plant), int)
    assert_type(await beds.update(plant, plant), int)
    assert_type(await beds.remove(plant), int)
    assert_type(await beds.discard(plant), bool)
    assert_type(await beds.contains(plant), bool)
    assert_type(await beds.contains_many([plant]), list[bool])
    assert_type(await beds.pop(), Plant)
    assert_type(await beds.pop(2), list[Plant])
    assert_type(await beds.random(), Plant)
    assert_type(await beds.random(count=2), list[Plant])
    assert_type(await beds.members(), list[Plant])
    assert_type(await beds.union(beds), list[Plant])
    assert_type(await beds.union_store(beds, beds), int)
    assert_type(await beds.union_update(beds), None)
    assert_type(await beds.intersection(beds, beds), list[Plant])
    assert_type(await beds.intersection_store(beds, beds, beds), int)
    assert_type(await beds.intersection_update(beds), None)
    assert_type(await beds.difference(), list[Plant])
    assert_type(await beds.difference_store(beds), int)
    assert_type(await beds.difference_update(beds), None)
    assert_type(await beds.is_subset(beds), bool)
    assert_type(await beds.move(beds, plant), bool)
    assert_type(await beds.len(), int)
    assert_type(beds.values(match="a*", on_error="skip"), AsyncIterator[Plant])
    async for bed in beds:
        assert_type(bed, Plant)


async def sorted_sets(ranking: RedisSortedSet[str]) -> None:
    """``RedisSortedSet``."""
    assert_type(await ranking.add(("a", 1), ch=True), int)
    assert_type(await ranking.add(("a", 1), keep="highest"), int)
    assert_type(await ranking.add_multi([("a", 1.5)], nx=True), int)
    assert_type(await ranking.increment(("a", 1)), tuple[str, float])
    assert_type(await ranking.increment_multi([("a", 1)]), list[tuple[str, float]])
    assert_type(await ranking.score("a"), float | None)
    assert_type(await ranking.score_multi(["a"]), list[tuple[str, float | None]])
    assert_type(await ranking.rank("a", descending=True), int | None)
    assert_type(await ranking.slice_by_rank(0, -1), list[tuple[str, float]])
    assert_type(await ranking.slice_by_score(gt(1), lt(5.5)), list[tuple[str, float]])
    assert_type(await ranking.slice_by_lex(gt("a"), "z", count=3), list[str])
    assert_type(await ranking.count(1, lt(2)), int)
    assert_type(await ranking.remove("a", "b"), int)
    assert_type(await ranking.remove_by_rank(0, 3), int)
    assert_type(await ranking.remove_by_score(gt(1), 3), int)
    assert_type(await ranking.pop_min(), list[tuple[str, float]])
    assert_type(await ranking.pop_max(3), list[tuple[str, float]])
    assert_type(await ranking.peek_min(), tuple[str, float])
    assert_type(await ranking.peek_max(), tuple[str, float])
    assert_type(await ranking.peak_min(), tuple[str, float])
    assert_type(await ranking.peak_max(), tuple[str, float])
    assert_type(await ranking.blocking_pop_min(timeout=1), tuple[str, float])
    assert_type(await ranking.blocking_pop_max(timedelta(seconds=1)), tuple[str, float])
    assert_type(await ranking.len(), int)
    assert_type(ranking.values("a*", on_error="skip"), AsyncIterator[tuple[str, float]])
    async for item in ranking:
        assert_type(item, tuple[str, float])


async def key_spaces(sessions: RedisKeySpace[Plant], numbered: RedisKeySpace[Plant, int], plant: Plant) -> None:
    """``RedisKeySpace``."""
    assert_type(sessions.redis, Redis)
    assert_type(sessions.prefix, str)
    assert_type(sessions.suffix, str)
    assert_type(await sessions.set("a", plant, ex=60), bool)
    assert_type(await sessions.set("a", plant, None, timedelta(seconds=1), True), bool)
    assert_type(await sessions.get("a"), Plant | None)
    assert_type(await sessions.get("a", plant), Plant)
    assert_type(await sessions.get("a", default=5), Plant | int)
    assert_type(await sessions.setdefault("a", plant, ex=60), Plant)
    assert_type(await sessions.pop("a"), Plant | None)
    assert_type(await sessions.pop("a", ""), Plant | str)
    assert_type(await sessions.delete("a"), int)
    assert_type(await sessions.contains("a"), bool)
    assert_type(await sessions.update({"a": plant}, if_none_exist=True), bool)
    assert_type(await sessions.set_many({"a": plant}, ttl=60), None)
    assert_type(await sessions.get_many(["a"]), dict[str, Plant])
    assert_type(await sessions.delete_many(["a"]), int)
    assert_type(await sessions.get_or_create("a", lambda: plant), Plant)
    assert_type(await sessions.get_or_create("a", found, px=60_000), Plant)
    assert_type(await sessions.modify("a", lambda old: old), Plant)
    assert_type(await sessions.modify("a", lambda old: old, default=plant, attempts=3), Plant)
    assert_type(await sessions.patch("a", name="leek"), Plant)
    async with sessions.edit("a", default=plant) as edited:
        assert_type(edited, Plant)
    assert_type(await sessions.expire("a", 60), bool)
    assert_type(await sessions.pexpire("a", timedelta(seconds=1)), bool)
    assert_type(await sessions.persist("a"), bool)
    assert_type(await sessions.ttl("a"), int)
    assert_type(await sessions.pttl("a"), int)
    assert_type(await sessions.expires_in("a"), timedelta | None)
    assert_type(await sessions.len(), int)
    assert_type(await sessions.clear(), int)
    assert_type(sessions.values(10, match="s*"), AsyncIterator[Plant])
    assert_type(sessions.items(on_error="skip"), AsyncIterator[tuple[str, Plant]])
    async for pair in sessions:
        assert_type(pair, tuple[str, Plant])

    assert_type(await numbered.get_many([1]), dict[int, Plant])
    assert_type(numbered.keys(), AsyncIterator[int])
    assert_type(numbered.keys(with_prefix=False), AsyncIterator[int])
    assert_type(numbered.keys(with_prefix=True), AsyncIterator[str])
    async for number, _ in numbered:
        assert_type(number, int)


async def found() -> Plant:
    """What ``get_or_create`` may call."""
    return Plant(name="leek")


async def counters(ints: RedisKeySpace[int], floats: RedisKeySpace[float, int]) -> None:
    """``increment`` returns what the values are."""
    assert_type(await ints.increment("a"), int)
    assert_type(await ints.increment("a", 5), int)
    assert_type(await floats.increment(3), float)
    assert_type(await floats.increment(3, 0.5), float)


async def queues(queue: RedisQueue[Plant] | RedisLifoQueue[Plant], plant: Plant) -> None:
    """``RedisQueue`` and ``RedisLifoQueue``."""
    assert_type(queue.maxsize, int)
    assert_type(await queue.put(plant), int)
    assert_type(await queue.put_nowait(plant), int)
    assert_type(await queue.put_many([plant]), int)
    assert_type(await queue.put_many_nowait(iter([plant])), int)
    assert_type(await queue.get(), Plant)
    assert_type(await queue.get(timeout=1.5), Plant)
    assert_type(await queue.get_nowait(), Plant)
    assert_type(await queue.get_many(3), list[Plant])
    assert_type(await queue.peek(), Plant)
    assert_type(await queue.qsize(), int)
    assert_type(await queue.empty(), bool)
    assert_type(await queue.full(), bool)
    async for task in queue:
        assert_type(task, Plant)
    async for task in queue.consume(on_error="skip"):
        assert_type(task, Plant)


async def priority_queues(urgent: RedisPriorityQueue[Plant], plant: Plant) -> None:
    """``RedisPriorityQueue``: each item has its priority with it."""
    assert_type(urgent.maxsize, int)
    assert_type(await urgent.put((plant, 1.5)), int)
    assert_type(await urgent.put_nowait((plant, 1)), int)
    assert_type(await urgent.put_many([(plant, 1)]), int)
    assert_type(await urgent.put_many_nowait([(plant, 1)]), int)
    assert_type(await urgent.get(timedelta(seconds=1)), tuple[Plant, float])
    assert_type(await urgent.get_nowait(), tuple[Plant, float])
    assert_type(await urgent.get_many(3), list[tuple[Plant, float]])
    assert_type(await urgent.peek(), tuple[Plant, float])
    assert_type(await urgent.qsize(), int)
    assert_type(await urgent.empty(), bool)
    assert_type(await urgent.full(), bool)
    async for task, priority in urgent.consume(on_error="skip"):
        assert_type(task, Plant)
        assert_type(priority, float)
    async for task, priority in urgent:
        assert_type(task, Plant)
        assert_type(priority, float)
