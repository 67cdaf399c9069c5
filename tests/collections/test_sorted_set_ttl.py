"""RedisSortedSet: every write carries the declared time to live, and nothing else does."""

from __future__ import annotations

from typing import TypeAlias, cast

import pytest
from redis.asyncio import Redis

from purse.collections.sorted_set import RedisSortedSet
from purse.errors import WrongKind
from purse.ttl import TTL
from tests.collections.tables.case import Case
from tests.collections.tables.sorted_set import CALLS, KEY, build, fill
from tests.collections.test_ttl import DECLARED_MS, NEVER, READ, SHORT_MS, WRITE, every_mode, fresh, old, renewing

Call: TypeAlias = Case[RedisSortedSet[int]]

_WRITING = ("add", "increment", "remove", "pop", "blocking_pop")
_READING = ("score", "slice", "peek", "peak")
WRITES = [case for case in CALLS if case.name.startswith(_WRITING) and case.trips]
READS = [case for case in CALLS if case.name.startswith(_READING) and case.trips and "lex" not in case.name]
LOOKS = [case for case in CALLS if not case.name.startswith((*_WRITING, *_READING)) or not case.trips]

writes = pytest.mark.parametrize("case", WRITES, ids=lambda case: case.name)
reads = pytest.mark.parametrize("case", READS, ids=lambda case: case.name)
looks = pytest.mark.parametrize("case", LOOKS, ids=lambda case: case.name)


async def filled(redis: Redis, policy: TTL, left_ms: int = SHORT_MS) -> RedisSortedSet[int]:
    """The sorted set of the table with this much time left; 0 for no TTL."""
    await redis.delete(KEY)
    await fill(redis)
    if left_ms:
        await redis.pexpire(KEY, left_ms)
    return build(redis, policy)


@renewing
@writes
async def test_a_write_restarts_the_clock(redis: Redis, policy: TTL, case: Call) -> None:
    """After each write the declared time runs anew."""
    ranking = await filled(redis, policy)

    await case.call(ranking)

    assert fresh(await ranking.pttl())


@writes
async def test_never_renewing(redis: Redis, case: Call) -> None:
    """With ``renew="never"`` a write leaves a running clock alone and starts one where there is none."""
    ranking = await filled(redis, NEVER)
    await case.call(ranking)
    assert old(await ranking.pttl())

    ranking = await filled(redis, NEVER, left_ms=0)
    await case.call(ranking)
    assert fresh(await ranking.pttl())


@reads
async def test_reads(redis: Redis, case: Call) -> None:
    """A method that returns stored members or scores restarts the clock under ``renew="read"``, and only there."""
    for policy, expected in ((READ, fresh), (WRITE, old), (NEVER, old)):
        ranking = await filled(redis, policy)
        await case.call(ranking)
        assert expected(await ranking.pttl())


@looks
async def test_looking(redis: Redis, case: Call) -> None:
    """What only looks (``len``, ``count``, ``rank``, scans), or sends nothing, neither restarts nor starts a clock."""
    for policy in (WRITE, READ, NEVER):
        ranking = await filled(redis, policy)
        await case.call(ranking)
        assert old(await ranking.pttl())

        ranking = await filled(redis, policy, left_ms=0)
        await case.call(ranking)
        assert await ranking.pttl() == -1


@every_mode
async def test_a_new_key_gets_the_declared_time(redis: Redis, policy: TTL) -> None:
    """Whatever creates the key starts the clock, long bulk writes and the script for 2.x's members too."""
    ranking = RedisSortedSet(redis, "new", int, ttl=policy)
    prices: RedisSortedSet[dict[str, int]] = RedisSortedSet(
        redis, "new", cast("type[dict[str, int]]", dict), ttl=policy
    )
    old_form = {"y": 2, "x": 1}

    for write in (
        lambda: ranking.add((1, 1)),
        lambda: ranking.add_multi((n, n) for n in range(1200)),
        lambda: ranking.increment((1, 1)),
        lambda: ranking.increment_multi((n, n) for n in range(1200)),
        lambda: prices.add((old_form, 1)),
        lambda: prices.add_multi([(old_form, 1)]),
        lambda: prices.increment_multi([(old_form, 1)]),
    ):
        await write()
        assert fresh(await ranking.pttl())
        await ranking.clear()


async def test_words_are_read_as_everything_else(redis: Redis) -> None:
    """``slice_by_lex`` restarts the clock under ``renew="read"``."""
    words = RedisSortedSet(redis, "words", str, ttl=READ)
    await redis.zadd("words", {"a": 0, "b": 0})

    assert await words.slice_by_lex() == ["a", "b"]

    assert fresh(await words.pttl())


@writes
async def test_a_refused_write_restarts_no_clock(redis: Redis, case: Call) -> None:
    """A write to a key of another type is refused and leaves the time to live alone."""
    await redis.set(KEY, "x", px=SHORT_MS)

    with pytest.raises(WrongKind):
        await case.call(build(redis, WRITE))

    assert 0 < await redis.pttl(KEY) <= SHORT_MS < DECLARED_MS
