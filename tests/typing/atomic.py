"""``Store.atomic`` as type checkers see it. Read by mypy and pyright, never run."""

from __future__ import annotations

import asyncio
from collections.abc import Coroutine
from datetime import timedelta
from typing import assert_type

from .stores import Garden, Plant, Report, Shop


async def up_to_eight(garden: Garden) -> None:
    """Each result keeps its own type."""
    log, visits, plants = garden.log, garden.visits, garden.plants
    assert_type(await garden.atomic(), tuple[()])
    assert_type(await garden.atomic(log.append("a")), tuple[int])
    assert_type(await garden.atomic(log.append("a"), plants.get("a")), tuple[int, Plant | None])
    assert_type(await garden.atomic(plants.get("a", 3), log.pop(), log.slice(0)), tuple[Plant | int, str, list[str]])
    assert_type(
        await garden.atomic(plants.dict(), garden.by_id.dict(), visits.increment("a"), log.insert(0, "a")),
        tuple[dict[str, Plant], dict[int, Plant], int, None],
    )
    assert_type(
        await garden.atomic(log.index("a"), log.contains("a"), log.dump(), garden.clear(), log.expires_in()),
        tuple[int | None, bool, bytes | None, int, timedelta | None],
    )
    assert_type(
        await garden.atomic(log.len(), log.pop(), log.len(), log.pop(), log.len(), log.exists()),
        tuple[int, str, int, str, int, bool],
    )
    assert_type(
        await garden.atomic(log.len(), log.pop(), log.len(), log.pop(), log.len(), log.pop(), log.exists()),
        tuple[int, str, int, str, int, str, bool],
    )
    assert_type(
        await garden.atomic(log.len(), log.pop(), log.len(), log.pop(), log.len(), log.pop(), log.len(), log.exists()),
        tuple[int, str, int, str, int, str, int, bool],
    )


async def beyond(garden: Garden) -> None:
    """Nine and more, or a number that is not known, have one type."""
    n = garden.visits.increment
    assert_type(
        await garden.atomic(n("a"), n("b"), n("c"), n("d"), n("e"), n("f"), n("g"), n("h"), n("i")), tuple[int, ...]
    )
    assert_type(await garden.atomic(*[garden.plants.get(name) for name in "abc"]), tuple[Plant | None, ...])


async def like_any_coroutine(garden: Garden) -> None:
    """What runs coroutines keeps the types, and results can be unpacked."""
    length, plant = await garden.atomic(garden.log.append("a"), garden.plants.get("a"))
    assert_type(length, int)
    assert_type(plant, Plant | None)
    transaction = await assert_type(garden.atomic(garden.log.pop()), Coroutine[object, None, tuple[str]])
    assert_type(transaction, tuple[str])
    assert_type(await asyncio.create_task(garden.atomic(garden.log.pop(), garden.log.len())), tuple[str, int])
    assert_type(await asyncio.wait_for(garden.atomic(garden.log.pop()), 1), tuple[str])
    async with asyncio.TaskGroup() as group:
        task = group.create_task(garden.atomic(garden.log.pop(), garden.plants.get("a")))
    assert_type(task.result(), tuple[str, Plant | None])


async def of_every_kind(garden: Garden, report: Report, shop: Shop, plant: Plant) -> None:
    """Calls of any collection, and of several stores on one client."""
    assert_type(
        await garden.atomic(garden.tasks.put(plant), garden.ranking.rank("a"), garden.beds.contains(plant)),
        tuple[int, int | None, bool],
    )
    assert_type(
        await garden.atomic(garden.notes.get("a"), report.lines.append("a"), shop.home.lines.pop()),
        tuple[list[str] | None, int, str],
    )
    assert_type(await report.atomic(garden.urgent.peek(), report.lines.len()), tuple[tuple[Plant, float], int])
