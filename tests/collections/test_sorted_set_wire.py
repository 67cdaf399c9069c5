"""RedisSortedSet on the wire: policies, pages, protocols. (What each call sends is in its table.)"""

from __future__ import annotations

import math

import pytest
from redis.asyncio import Redis

from purse.collections.sorted_set import RedisSortedSet, gt, lt
from purse.embedded import Server
from purse.ttl import TTL
from tests.collections.garden import collect
from tests.collections.tables.case import Case
from tests.collections.tables.sorted_set import CALLS, build, fill
from tests.support.clients import connect
from tests.support.monitor import Monitor

HOUR = TTL(hours=1)
CLOCK = "EVALSHA with_ttl 1 ranking key:3600000 "


async def sent(monitor: Monitor) -> list[str]:
    """What was sent since this was last asked, one string for each command; without MULTI and EXEC."""
    commands = [" ".join(command) for command in await monitor.commands()]
    return [command for command in commands if command not in ("MULTI", "EXEC")]


WRITES = ("add", "increment", "remove", "pop", "blocking")


@pytest.mark.parametrize("case", [case for case in CALLS if case.name.startswith(WRITES)], ids=lambda case: case.name)
async def test_writes_and_their_clock_are_one_script(
    redis: Redis, monitor: Monitor, case: Case[RedisSortedSet[int]]
) -> None:
    """With a TTL policy a write goes out inside one script, or its own script carries the policy."""
    await fill(redis)
    ranking = build(redis, HOUR)
    await ranking.exists()
    await monitor.commands()

    await case.call(ranking)

    if "EVALSHA" in "".join(case.sends):
        assert await sent(monitor) == [case.sends[0].replace("  ", " key:3600000 ")]
    else:
        words = " ".join(f"{len(command.split())} {command}" for command in case.sends)
        assert await sent(monitor) == ([CLOCK + words] if words else [])


def shape(commands: list[tuple[str, ...]]) -> list[tuple[str, int]]:
    """The names of commands with the number of their arguments."""
    return [(command[0], len(command) - 1) for command in commands]


async def test_bulk_calls_are_one_transaction_of_pages(redis: Redis, monitor: Monitor) -> None:
    """Of 1200 members 500 go into one command, and the three commands are one MULTI."""
    ranking = build(redis)
    await ranking.exists()
    await monitor.commands()

    assert await ranking.add_multi((n, n) for n in range(1200)) == 1200
    assert [score for _, score in await ranking.score_multi(range(1200))] == [*range(1200)]
    assert await ranking.remove(*range(1200)) == 1200

    expected: list[tuple[str, int]] = [("MULTI", 0), ("ZADD", 1001), ("ZADD", 1001), ("ZADD", 401), ("EXEC", 0)]
    for name in ("ZMSCORE", "ZREM"):
        expected += [("MULTI", 0), (name, 501), (name, 501), (name, 201), ("EXEC", 0)]
    assert shape(await monitor.commands()) == expected


async def test_slices_of_words(redis: Redis, monitor: Monitor) -> None:
    """``slice_by_lex`` is one ZRANGE BYLEX."""
    words = RedisSortedSet(redis, "words", str)
    await words.exists()
    await monitor.commands()

    await words.slice_by_lex()
    await words.slice_by_lex("a", lt("c"))
    await words.slice_by_lex(gt("a"), "c", 1, 2, True)

    assert await sent(monitor) == [
        "ZRANGE words - + BYLEX",
        "ZRANGE words [a (c BYLEX",
        "ZRANGE words [c (a BYLEX REV LIMIT 1 2",
    ]


async def test_members_with_other_forms(redis: Redis, monitor: Monitor) -> None:
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
        f"EVALSHA sorted_set_store 1 bets  CH 1 2 {forms}",
        f"EVALSHA sorted_set_store 1 bets  INCR 1 2 {forms}",
        f"ZREM bets {forms}",
    ]


async def test_iteration_pages(redis: Redis, monitor: Monitor) -> None:
    """Iterating over 1200 members reads a page at a time, and at most one more than the loop has reached."""
    ranking = build(redis)
    await ranking.add_multi((n, n) for n in range(1200))
    await monitor.commands()

    assert sorted(await collect(ranking)) == [(n, n) for n in range(1200)]
    assert {command[0] for command in await monitor.commands()} == {"ZSCAN"}

    async for _ in ranking.values(batch_hint=50):
        break
    assert len(await monitor.commands()) in (1, 2)


@pytest.mark.parametrize("protocol", [2, 3])
@pytest.mark.parametrize("decode", [False, True], ids=["bytes", "decode_responses"])
@pytest.mark.parametrize("ttl", [None, TTL(hours=1, renew="read")], ids=["no policy", "policy"])
async def test_every_client_reads_the_same(
    server: Server, redis: Redis, protocol: int, decode: bool, ttl: TTL | None
) -> None:
    """Whatever protocol the client speaks, and whether it decodes replies, the same is returned."""
    client = connect(server.url, protocol=protocol, decode_responses=decode)
    blobs = RedisSortedSet(client, "blobs", bytes, ttl=ttl)
    bets: RedisSortedSet[dict[str, int]] = RedisSortedSet(client, "bets", dict[str, int], ttl=ttl)
    member = {"b": 1, "a": 2}
    everything = [(b"\xfe", -math.inf), (b"a", 0.1), (b"\xff", 1e300)]

    assert await blobs.add_multi(everything) == 3
    assert await blobs.add((b"a", 0.1), ch=True) == 0
    assert await blobs.score(b"a") == 0.1
    assert await blobs.score(b"x") is None
    assert await blobs.score_multi([b"x", b"\xff"]) == [(b"x", None), (b"\xff", 1e300)]
    assert await blobs.rank(b"\xff") == 2
    assert await blobs.rank(b"x") is None
    assert await blobs.slice_by_rank(0, -1) == everything
    assert await blobs.slice_by_score(count=1) == everything[:1]
    assert await blobs.peek_max() == (b"\xff", 1e300)
    assert sorted(await collect(blobs)) == sorted(everything)
    assert await blobs.increment((b"new", math.inf)) == (b"new", math.inf)
    assert await blobs.increment_multi([(b"a", 1), (b"a", 0.5)]) == [(b"a", 1.1), (b"a", 1.6)]
    assert await blobs.increment_multi([(b"n", 1), (b"m", -math.inf)]) == [(b"n", 1), (b"m", -math.inf)]
    assert await blobs.pop_max() == [(b"new", math.inf)]
    assert await blobs.pop_min(2) == [(b"m", -math.inf), (b"\xfe", -math.inf)]
    assert await blobs.blocking_pop_min() == (b"n", 1)
    assert await blobs.pop_max(9) == [(b"\xff", 1e300), (b"a", 1.6)]
    assert await blobs.pop_min() == []

    assert await bets.add((member, 1)) == 1
    assert await bets.increment((member, 1.5)) == (member, 2.5)
    assert await bets.score(member) == 2.5
    assert await bets.remove(member) == 1
    await client.aclose()
