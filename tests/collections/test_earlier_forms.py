"""Values of which redis-purse 2.x may have written another form: what calls that name them send."""

from __future__ import annotations

from redis.asyncio import Redis

from purse.collections import RedisSet, RedisSortedSet
from tests.support.monitor import Monitor, spoken


async def sent(monitor: Monitor) -> list[str]:
    """What was sent since this was last asked, without MULTI and EXEC."""
    commands = [spoken(command) for command in await monitor.commands()]
    return [command for command in commands if command not in ("MULTI", "EXEC")]


async def test_members_of_sets(redis: Redis, monitor: Monitor) -> None:
    """The call names both forms and is still one command, or one MULTI."""
    prices, moved = RedisSet(redis, "prices", dict[str, int]), RedisSet(redis, "moved", dict[str, int])
    price, ours, theirs = {"y": 2, "x": 1}, '{"x":1,"y":2}', '{"y": 2, "x": 1}'
    await prices.exists()
    await monitor.commands()

    await prices.contains(price)
    await prices.discard(price)
    assert await sent(monitor) == [f"SMISMEMBER prices {ours} {theirs}", f"SREM prices {ours} {theirs}"]

    await prices.move(moved, price)
    assert [spoken(command) for command in await monitor.commands()] == [
        "MULTI",
        f"SMOVE prices moved {ours}",
        f"SMOVE prices moved {theirs}",
        "EXEC",
    ]


async def test_members_of_sorted_sets(redis: Redis, monitor: Monitor) -> None:
    """Where 2.x may have written another form both are asked for, and writes are one script."""
    bets: RedisSortedSet[dict[str, int]] = RedisSortedSet(redis, "bets", dict[str, int])
    await bets.exists()
    await monitor.commands()
    member, forms = {"b": 1, "a": 2}, '{"a":2,"b":1} {"b": 1, "a": 2}'

    await bets.score(member)
    await bets.score_multi([member])
    await bets.rank(member)
    await bets.add((member, 1), ch=True)
    await bets.increment((member, 1))
    await bets.remove(member)

    ours, theirs = '{"a":2,"b":1}', '{"b": 1, "a": 2}'
    assert await sent(monitor) == [
        f"ZMSCORE bets {forms}",
        f"ZMSCORE bets {forms}",
        f"ZRANK bets {ours}",
        f"ZRANK bets {theirs}",
        "EVALSHA sorted_set_store bets",
        "EVALSHA sorted_set_store bets",
        f"ZREM bets {forms}",
    ]
