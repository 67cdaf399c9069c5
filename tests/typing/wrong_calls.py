"""Calls of collections that type checkers must refuse, each below the right line; see wrong.py."""
# pyright: reportUnnecessaryTypeIgnoreComment=true
# pyright: reportUnknownVariableType=false, reportUnknownMemberType=false, reportUnknownLambdaType=false
# pyright: reportUnusedExpression=false, reportUnusedVariable=false
# ruff: noqa: B018, F841

from __future__ import annotations

import asyncio
from collections.abc import Coroutine

from purse.collections import gt, lt

from .wrong import Garden, Plant


async def hashes(garden: Garden, plant: Plant) -> None:
    """``RedisHash``."""
    await garden.plants.set("a", plant)
    await garden.plants.set("a", "plant")  # type: ignore[arg-type]  # pyright: ignore[reportArgumentType]
    await garden.plants.set("a", plant)
    await garden.plants.set(1, plant)  # type: ignore[arg-type]  # pyright: ignore[reportArgumentType]
    await garden.plants.set("a", plant)
    garden.plants.set("a", plant)  # type: ignore[unused-coroutine]  # pyright: ignore[reportUnusedCoroutine]
    await garden.by_id.get(1)
    await garden.by_id.get("1")  # type: ignore[call-overload]  # pyright: ignore[reportArgumentType]
    await garden.visits.set("a", 1)
    await garden.visits.set("a", "1")  # type: ignore[arg-type]  # pyright: ignore[reportArgumentType]
    await garden.visits.set("a", 1)
    await garden.visits.set("a", None)  # type: ignore[arg-type]  # pyright: ignore[reportArgumentType]
    await garden.plants.setdefault("a", plant)
    await garden.plants.setdefault("a", None)  # type: ignore[arg-type]  # pyright: ignore[reportArgumentType]
    await garden.plants.setdefault("a", plant)
    await garden.plants.set_default("a", plant)  # type: ignore[attr-defined]  # pyright: ignore[reportAttributeAccessIssue]
    await garden.plants.update({"a": plant})
    await garden.plants.update({1: plant})  # type: ignore[dict-item]  # pyright: ignore[reportArgumentType]
    await garden.plants.update({"a": plant})
    await garden.plants.update({"a", plant})  # type: ignore[arg-type]  # pyright: ignore[reportArgumentType, reportUnhashable]
    await garden.plants.get_many(["a"])
    await garden.plants.get_many([1])  # type: ignore[list-item]  # pyright: ignore[reportArgumentType]
    await garden.plants.delete_many(["a"])
    await garden.plants.delete_many([b"a"])  # type: ignore[list-item]  # pyright: ignore[reportArgumentType]
    await garden.plants.modify("a", lambda old: old)
    await garden.plants.modify("a", lambda old: None)  # type: ignore[arg-type, return-value]  # pyright: ignore[reportArgumentType]
    await garden.plants.modify("a", Plant.model_copy)
    await garden.plants.modify("a", Plant.model_dump)  # type: ignore[arg-type]  # pyright: ignore[reportArgumentType]
    await garden.plants.modify("a", lambda old: old, default=plant)
    await garden.plants.modify("a", lambda old: old, default=None)  # type: ignore[arg-type]  # pyright: ignore[reportArgumentType]
    await garden.plants.modify("a", lambda old: old, attempts=3)
    await garden.plants.modify("a", lambda old: old, retries=3)  # type: ignore[call-arg]  # pyright: ignore[reportCallIssue]
    await garden.plants.patch("a", age=3)
    await garden.plants.patch(1, age=3)  # type: ignore[arg-type]  # pyright: ignore[reportArgumentType]
    await garden.plants.patch("a", age=3)
    await garden.plants.pacth("a", age=3)  # type: ignore[attr-defined]  # pyright: ignore[reportAttributeAccessIssue]
    await garden.visits.increment("a", 2)
    await garden.visits.increment("a", 0.5)  # type: ignore[arg-type]  # pyright: ignore[reportArgumentType]
    await garden.visits.increment("a", amount=2)
    await garden.visits.increment("a", by=2)  # type: ignore[call-arg]  # pyright: ignore[reportCallIssue]
    garden.plants.items(on_error="skip")
    garden.plants.items(on_error="ignore")  # type: ignore[arg-type]  # pyright: ignore[reportArgumentType]
    (await garden.plants.get("a", plant)).name
    (await garden.plants.get("a", None)).name  # type: ignore[union-attr]  # pyright: ignore[reportOptionalMemberAccess]
    number: int = await garden.visits.get("a", 0)
    number_: int = await garden.visits.get("a", None)  # type: ignore[arg-type]  # pyright: ignore[reportAssignmentType]
    name: str = (await garden.plants.setdefault("a", plant)).name
    name_: int = (await garden.plants.setdefault("a", plant)).name  # type: ignore[assignment]  # pyright: ignore[reportAssignmentType]
    async for _ in garden.plants:
        pass
    for _ in garden.plants:  # type: ignore[attr-defined]  # pyright: ignore[reportGeneralTypeIssues]
        pass
    async with garden.plants.edit("a"):
        pass
    with garden.plants.edit("a"):  # type: ignore[attr-defined]  # pyright: ignore[reportGeneralTypeIssues]
        pass
    async with garden.plants.edit("a"):
        pass
    async with garden.plants.edit(1):  # type: ignore[arg-type]  # pyright: ignore[reportArgumentType]
        pass
    async with garden.plants.edit("a") as edited:
        edited.name = "broccoli"
        edited.nmae = "broccoli"  # type: ignore[attr-defined]  # pyright: ignore[reportAttributeAccessIssue]
    async for key, _ in garden.by_id.items():
        key.bit_length()
        key.upper()  # type: ignore[attr-defined]  # pyright: ignore[reportAttributeAccessIssue]


async def increments(garden: Garden) -> None:
    """Only numbers have it. ty takes all that follows the wrong line for unreachable, so nothing does."""
    await garden.visits.increment("a")
    await garden.plants.increment("a")  # type: ignore[misc]  # pyright: ignore[reportAttributeAccessIssue]


async def lists(garden: Garden, plant: Plant) -> None:
    """``RedisList``."""
    async for _ in garden.log:
        pass
    for _ in garden.log:  # type: ignore[attr-defined]  # pyright: ignore[reportGeneralTypeIssues]
        pass
    await garden.log.append("a")
    await garden.log.append(3)  # type: ignore[arg-type]  # pyright: ignore[reportArgumentType]
    await garden.log.append("a")
    await garden.log.add("a")  # type: ignore[attr-defined]  # pyright: ignore[reportAttributeAccessIssue]
    await garden.log.append("a")
    garden.log.append("a")  # type: ignore[unused-coroutine]  # pyright: ignore[reportUnusedCoroutine]
    await garden.log.appendleft("a")
    await garden.log.appendleft(None)  # type: ignore[arg-type]  # pyright: ignore[reportArgumentType]
    await garden.log.extend(["a"])
    await garden.log.extend([1])  # type: ignore[list-item]  # pyright: ignore[reportArgumentType]
    await garden.log.insert(0, "a")
    await garden.log.insert("0", "a")  # type: ignore[arg-type]  # pyright: ignore[reportArgumentType]
    await garden.log.getitem(0)
    await garden.log.getitem("0")  # type: ignore[arg-type]  # pyright: ignore[reportArgumentType]
    await garden.log.setitem(0, "a")
    await garden.log.setitem(0, b"a")  # type: ignore[arg-type]  # pyright: ignore[reportArgumentType]
    await garden.log.remove("a")
    await garden.log.remove(3)  # type: ignore[arg-type]  # pyright: ignore[reportArgumentType]
    await garden.log.slice(0, 3)
    await garden.log.slice(0, 3.5)  # type: ignore[arg-type]  # pyright: ignore[reportArgumentType]
    await garden.log.move(garden.log)
    await garden.log.move(garden.recent)  # type: ignore[arg-type]  # pyright: ignore[reportArgumentType]
    await garden.log.move(garden.log, src="right")
    await garden.log.move(garden.log, src="top")  # type: ignore[arg-type]  # pyright: ignore[reportArgumentType]
    await garden.log.popleft()
    await garden.log.popright()  # type: ignore[attr-defined]  # pyright: ignore[reportAttributeAccessIssue]
    await garden.recent.append(plant)
    await garden.recent.append(Plant)  # type: ignore[arg-type]  # pyright: ignore[reportArgumentType]
    text: str = await garden.log.pop()
    text_: int = await garden.log.pop()  # type: ignore[assignment]  # pyright: ignore[reportAssignmentType]
    (await garden.log.index("a") or 0).bit_length()
    (await garden.log.index("a") or "").bit_length()  # type: ignore[union-attr]  # pyright: ignore[reportAttributeAccessIssue]
    garden.log.values(batch_size=100)
    garden.log.values(batch_hint=100)  # type: ignore[call-arg]  # pyright: ignore[reportCallIssue]
    await garden.log.expire(60)
    await garden.log.expire("60")  # type: ignore[arg-type]  # pyright: ignore[reportArgumentType]
    await garden.log.restore(b"")
    await garden.log.restore("")  # type: ignore[arg-type]  # pyright: ignore[reportArgumentType]


async def sets(garden: Garden) -> None:
    """``RedisSet`` and ``RedisSortedSet``."""
    await garden.beds.add("a")
    await garden.beds.add(3)  # type: ignore[arg-type]  # pyright: ignore[reportArgumentType]
    await garden.beds.add("a")
    await garden.beds.append("a")  # type: ignore[attr-defined]  # pyright: ignore[reportAttributeAccessIssue]
    await garden.beds.contains_many(["a"])
    await garden.beds.contains_many([1])  # type: ignore[list-item]  # pyright: ignore[reportArgumentType]
    await garden.beds.union(garden.names)
    await garden.beds.union(garden.numbers)  # type: ignore[arg-type]  # pyright: ignore[reportArgumentType]
    await garden.beds.move(garden.names, "a")
    await garden.beds.move(garden.ranking, "a")  # type: ignore[arg-type]  # pyright: ignore[reportArgumentType]
    one: str = await garden.beds.pop()
    one_: str = await garden.beds.pop(2)  # type: ignore[assignment]  # pyright: ignore[reportAssignmentType]
    some: list[str] = await garden.beds.random(2)
    some_: list[int] = await garden.beds.random(2)  # type: ignore[assignment]  # pyright: ignore[reportAssignmentType]
    await garden.ranking.add(("a", 1))
    await garden.ranking.add(("a", "1"))  # type: ignore[arg-type]  # pyright: ignore[reportArgumentType]
    await garden.ranking.add(("a", 1))
    await garden.ranking.add((1, 1))  # type: ignore[arg-type]  # pyright: ignore[reportArgumentType]
    await garden.ranking.add(("a", 1), keep="highest")
    await garden.ranking.add(("a", 1), keep="biggest")  # type: ignore[arg-type]  # pyright: ignore[reportArgumentType]
    await garden.ranking.add_multi([("a", 1)])
    await garden.ranking.add([("a", 1)])  # type: ignore[arg-type]  # pyright: ignore[reportArgumentType]
    await garden.ranking.increment_multi([("a", 1)])
    await garden.ranking.increment_multi([("a", None)])  # type: ignore[list-item]  # pyright: ignore[reportArgumentType]
    await garden.ranking.slice_by_score(gt(1), 2)
    await garden.ranking.slice_by_score(lt(1), 2)  # type: ignore[arg-type]  # pyright: ignore[reportArgumentType]
    await garden.ranking.slice_by_lex(gt("a"))
    await garden.ranking.slice_by_lex(gt(1))  # type: ignore[arg-type]  # pyright: ignore[reportArgumentType]
    await garden.ranking.count(1)
    await garden.ranking.count("1")  # type: ignore[arg-type]  # pyright: ignore[reportArgumentType]
    await garden.ranking.rank("a", descending=True)
    await garden.ranking.rank("a", reverse=True)  # type: ignore[call-arg]  # pyright: ignore[reportCallIssue]
    rank: int | None = await garden.ranking.rank("a")
    rank_: str | None = await garden.ranking.rank("a")  # type: ignore[assignment]  # pyright: ignore[reportAssignmentType]


async def key_spaces(garden: Garden, plant: Plant) -> None:
    """``RedisKeySpace``."""
    await garden.sessions.set("a", plant)
    await garden.sessions.set("a", b"plant")  # type: ignore[arg-type]  # pyright: ignore[reportArgumentType]
    await garden.sessions.set("a", plant, ex=60)
    await garden.sessions.set("a", plant, ex="60")  # type: ignore[arg-type]  # pyright: ignore[reportArgumentType]
    await garden.sessions.set("a", plant, ex=60)
    await garden.sessions.set("a", plant, ttl=60)  # type: ignore[call-arg]  # pyright: ignore[reportCallIssue]
    await garden.numbered.get(1)
    await garden.numbered.get("1")  # type: ignore[call-overload]  # pyright: ignore[reportArgumentType]
    await garden.numbered.set_many({1: plant})
    await garden.numbered.set_many({"1": plant})  # type: ignore[dict-item]  # pyright: ignore[reportArgumentType]
    await garden.sessions.get_or_create("a", lambda: plant)
    await garden.sessions.get_or_create("a", lambda: None)  # type: ignore[arg-type, return-value]  # pyright: ignore[reportArgumentType]
    await garden.sessions.patch("a", age=3)
    await garden.sessions.patch(None, age=3)  # type: ignore[arg-type]  # pyright: ignore[reportArgumentType]
    await garden.sessions.expire("a", 60)
    await garden.sessions.expire(1, 60)  # type: ignore[arg-type]  # pyright: ignore[reportArgumentType]
    await garden.sessions.pexpire("a", 60)
    garden.sessions.pexpire("a", 60)  # type: ignore[unused-coroutine]  # pyright: ignore[reportUnusedCoroutine]
    (await garden.sessions.pop("a", plant)).name
    (await garden.sessions.pop("a", None)).name  # type: ignore[union-attr]  # pyright: ignore[reportOptionalMemberAccess]


async def queues(garden: Garden, plant: Plant) -> None:
    """The queues."""
    await garden.tasks.put(plant)
    await garden.tasks.put(3)  # type: ignore[arg-type]  # pyright: ignore[reportArgumentType]
    await garden.tasks.put(plant)
    garden.tasks.put(plant)  # type: ignore[unused-coroutine]  # pyright: ignore[reportUnusedCoroutine]
    await garden.tasks.get(timeout=1)
    await garden.tasks.get(timeout="1")  # type: ignore[arg-type]  # pyright: ignore[reportArgumentType]
    await garden.tasks.get_many(3)
    await garden.tasks.get_many("3")  # type: ignore[arg-type]  # pyright: ignore[reportArgumentType]
    await garden.tasks.qsize()
    await garden.tasks.size()  # type: ignore[attr-defined]  # pyright: ignore[reportAttributeAccessIssue]
    await garden.urgent.put((plant, 1.5))
    await garden.urgent.put((plant, "1.5"))  # type: ignore[arg-type]  # pyright: ignore[reportArgumentType]
    await garden.urgent.put((plant, 1))
    await garden.urgent.put((3, 1))  # type: ignore[arg-type]  # pyright: ignore[reportArgumentType]
    await garden.urgent.put_many([(plant, 1)])
    await garden.urgent.put([(plant, 1)])  # type: ignore[arg-type]  # pyright: ignore[reportArgumentType]


async def atomically(
    garden: Garden, call: Coroutine[object, None, int], task: asyncio.Task[int], future: asyncio.Future[int]
) -> None:
    """``atomic``."""
    await garden.atomic(garden.log.len())
    garden.atomic(garden.log.len())  # type: ignore[unused-coroutine]  # pyright: ignore[reportUnusedCoroutine]
    await garden.atomic(garden.log.len())
    await garden.atomic(await garden.log.len())  # type: ignore[call-overload]  # pyright: ignore[reportArgumentType, reportCallIssue]
    await garden.atomic(garden.log.append("a"))
    await garden.atomic(garden.log.append(3))  # type: ignore[arg-type]  # pyright: ignore[reportArgumentType]
    await garden.atomic(garden.log.pop())
    await garden.atomic(garden.log.values())  # type: ignore[call-overload]  # pyright: ignore[reportArgumentType, reportCallIssue]
    await garden.atomic(garden.plants.get("a"))
    await garden.atomic(garden.plants.edit("a"))  # type: ignore[call-overload]  # pyright: ignore[reportArgumentType, reportCallIssue]
    await garden.atomic(call)
    await garden.atomic(task)  # type: ignore[call-overload]  # pyright: ignore[reportArgumentType, reportCallIssue]
    await garden.atomic(call)
    await garden.atomic(future)  # type: ignore[call-overload]  # pyright: ignore[reportArgumentType, reportCallIssue]
    one: tuple[int] = await garden.atomic(garden.log.len())
    one_: tuple[str] = await garden.atomic(garden.log.len())  # type: ignore[assignment]  # pyright: ignore[reportAssignmentType]
    both: tuple[int, str] = await garden.atomic(garden.log.len(), garden.log.pop())
    both_: tuple[int, int] = await garden.atomic(garden.log.len(), garden.log.pop())  # type: ignore[assignment]  # pyright: ignore[reportAssignmentType]
    (await garden.atomic(garden.log.len(), garden.log.pop()))[1]
    (await garden.atomic(garden.log.len(), garden.log.pop()))[2]  # type: ignore[misc]  # pyright: ignore[reportGeneralTypeIssues]
    (await garden.atomic(garden.log.len(), garden.log.pop()))[1].upper()
    (await garden.atomic(garden.log.len(), garden.log.pop()))[0].upper()  # type: ignore[attr-defined]  # pyright: ignore[reportAttributeAccessIssue]
