"""Bulk calls and iteration: 500 elements a command, all commands of a call in one transaction, a page at a time."""

from __future__ import annotations

from collections.abc import Awaitable, Callable

import pytest
from redis.asyncio import Redis

from purse.collections import RedisHash, RedisList, RedisSet, RedisSortedSet
from tests.collections.garden import collect
from tests.collections.tables.trips import count_trips
from tests.support.monitor import Monitor

N = 1200
"""Elements of which 500 go into one command: two pages, and a part of one."""

WORDS = [str(n) for n in range(N)]


def shape(commands: list[tuple[str, ...]]) -> list[tuple[str, int]]:
    """The names of commands with the number of their arguments."""
    return [(command[0], len(command) - 1) for command in commands]


def transaction(name: str, *, pairs: bool = False) -> list[tuple[str, int]]:
    """One MULTI with the three commands of N elements."""
    sizes = (1001, 1001, 401) if pairs else (501, 501, 201)
    return [("MULTI", 0), *((name, size) for size in sizes), ("EXEC", 0)]


BULK: dict[str, tuple[Callable[[Redis], Awaitable[object]], list[tuple[str, int]]]] = {
    "hash.update": (lambda r: RedisHash(r, "h", int).update(dict.fromkeys(WORDS, 1)), transaction("HSET", pairs=True)),
    "hash.get_many": (lambda r: RedisHash(r, "h", int).get_many(WORDS), transaction("HMGET")),
    "hash.delete_many": (lambda r: RedisHash(r, "h", int).delete_many(WORDS), transaction("HDEL")),
    "list.extend": (lambda r: RedisList(r, "l", int).extend(range(N)), transaction("RPUSH")),
    "list.extendleft": (lambda r: RedisList(r, "l", int).extendleft(range(N)), transaction("LPUSH")),
    "set.update": (lambda r: RedisSet(r, "s", int).update(*range(N)), transaction("SADD")),
    "set.contains_many": (lambda r: RedisSet(r, "s", int).contains_many(range(N)), transaction("SMISMEMBER")),
    "set.remove": (lambda r: RedisSet(r, "s", int).remove(*range(N)), transaction("SREM")),
    "sorted set.add_multi": (
        lambda r: RedisSortedSet(r, "z", int).add_multi((n, n) for n in range(N)),
        transaction("ZADD", pairs=True),
    ),
    "sorted set.score_multi": (lambda r: RedisSortedSet(r, "z", int).score_multi(range(N)), transaction("ZMSCORE")),
    "sorted set.remove": (lambda r: RedisSortedSet(r, "z", int).remove(*range(N)), transaction("ZREM")),
}


async def test_bulk_calls_are_one_transaction_of_pages(
    redis: Redis, monitor: Monitor, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Of 1200 elements 500 go into one command, and the three commands are one MULTI in one round trip."""
    await RedisHash(redis, "any", int).exists()
    trips = count_trips(monkeypatch)
    for name, (call, expected) in BULK.items():
        await monitor.commands()
        trips.clear()

        await call(redis)

        assert shape(await monitor.commands()) == expected, name
        assert trips == [5], name


@pytest.mark.parametrize(("fields", "commands"), [(500, 1), (501, 2)])
async def test_a_page_is_five_hundred(redis: Redis, monitor: Monitor, fields: int, commands: int) -> None:
    """Five hundred fields are one command, one more makes two."""
    visits = RedisHash(redis, "visits", int)
    await visits.exists()
    await monitor.commands()

    await visits.update({str(n): n for n in range(fields)})

    assert [name for name, _ in shape(await monitor.commands())].count("HSET") == commands


async def test_iterating_over_hashes_and_lists(redis: Redis, monitor: Monitor) -> None:
    """Iterating over 1200 elements reads a page at a time, and at most one more than the loop has reached."""
    visits, numbers = RedisHash(redis, "visits", int), RedisList(redis, "numbers", int)
    await visits.update({str(n): n for n in range(1200)})
    await numbers.extend(range(1200))
    await monitor.commands()

    assert len(await collect(visits)) == 1200
    scans = await monitor.commands()
    assert {command[0] for command in scans} == {"HSCAN"}
    assert 2 <= len(scans) <= 4

    assert len(await collect(numbers)) == 1200
    assert [" ".join(command) for command in await monitor.commands()] == [
        "LRANGE numbers 0 499",
        "LRANGE numbers 500 999",
        "LRANGE numbers 1000 1499",
    ]

    async for _ in visits.items():
        break
    async for _ in numbers.values(batch_size=100):
        break
    names = [command[0] for command in await monitor.commands()]
    assert names.count("HSCAN") in (1, 2)
    assert names.count("LRANGE") in (1, 2)  # of twelve pages

    await collect(numbers.values(None))
    assert (await monitor.commands())[-1][:3] == ("LRANGE", "numbers", "0")


async def test_iterating_over_sets(redis: Redis, monitor: Monitor) -> None:
    """A loop that is left reads at most one page more than it has reached."""
    numbers = RedisSet(redis, "numbers", int)
    await numbers.update(2**70, *range(3000))
    await monitor.commands()

    async for _ in numbers.values(batch_hint=100):
        break
    assert len(await monitor.commands()) in (1, 2)  # of thirty


async def test_iterating_over_sorted_sets(redis: Redis, monitor: Monitor) -> None:
    """Iterating over 1200 members reads a page at a time, and at most one more than the loop has reached."""
    ranking = RedisSortedSet(redis, "ranking", int)
    await ranking.add_multi((n, n) for n in range(1200))
    await monitor.commands()

    assert sorted(await collect(ranking)) == [(n, n) for n in range(1200)]
    assert {command[0] for command in await monitor.commands()} == {"ZSCAN"}

    async for _ in ranking.values(batch_hint=50):
        break
    assert len(await monitor.commands()) in (1, 2)
