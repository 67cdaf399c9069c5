"""TTL policies of sets: every set of a call has its own. (What each call does to a clock: test_tables.)"""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from typing import TypeAlias

import pytest
from redis.asyncio import Redis

from purse.collections.set import RedisSet
from purse.errors import DecodeError
from purse.ttl import TTL
from tests.collections.test_ttl import NEVER, READ, SHORT_MS, WRITE, every_mode, fresh, old

Ints: TypeAlias = RedisSet[int]


def beside(numbers: Ints, rkey: str = "other", ttl: TTL | None = None) -> Ints:
    return RedisSet(numbers.redis, rkey, int, ttl=ttl)


async def filled(redis: Redis, policy: TTL | None, left_ms: int = SHORT_MS) -> Ints:
    """{1, 2, 3} with this much time left, beside {2, 3, 4}; 0 for no TTL."""
    await redis.sadd("thing", "1", "2", "3")
    await redis.sadd("other", "2", "3", "4")
    if left_ms:
        await redis.pexpire("thing", left_ms)
    return RedisSet(redis, "thing", int, ttl=policy)


@every_mode
async def test_a_new_key_gets_the_declared_time(redis: Redis, policy: TTL) -> None:
    """Whatever creates the key starts the clock, long bulk writes and other sets too."""
    other = RedisSet(redis, "other", int)
    numbers = RedisSet(redis, "numbers", int, ttl=policy)
    writes: list[Callable[[], Awaitable[object]]] = [
        lambda: numbers.add(1),
        lambda: numbers.update(*range(1200)),
        lambda: numbers.union_update(other),
        lambda: other.union_store(numbers),
        lambda: other.move(numbers, 1),
    ]
    await other.update(1, 2)

    for write in writes:
        await write()
        assert fresh(await numbers.pttl())
        await numbers.clear()


@every_mode
async def test_a_stored_set_is_a_new_key(redis: Redis, policy: TTL) -> None:
    """What a store form replaces has its own policy's time from the start again, or none without a policy."""
    numbers = await filled(redis, None)
    for store in (numbers.union_store, numbers.intersection_store, numbers.difference_store):
        target = RedisSet(redis, "target", int, ttl=policy)
        await target.add(9)
        await target.expire(SHORT_MS / 1000)

        await store(target, beside(numbers))
        assert fresh(await target.pttl())

        await store(beside(numbers, "target"), beside(numbers))
        assert await target.pttl() == -1
    assert old(await numbers.pttl())


@every_mode
async def test_a_move_carries_both_policies(redis: Redis, policy: TTL) -> None:
    """``move`` is a write to both sets, each under its own policy."""
    numbers = await filled(redis, policy, left_ms=0)
    target, plain = beside(numbers, "target", TTL(seconds=900)), beside(numbers, "plain")

    await numbers.move(target, 1)
    assert fresh(await numbers.pttl())
    assert 890_000 < await target.pttl() <= 900_000

    await numbers.move(plain, 2)
    assert await plain.pttl() == -1


@every_mode
async def test_an_emptied_set_keeps_its_policy(redis: Redis, policy: TTL) -> None:
    """A set that was emptied and filled again has the declared time to live, although Redis forgot it."""
    numbers = RedisSet(redis, "numbers", int, ttl=policy)
    await numbers.add(1)
    await numbers.pop()
    await numbers.difference_update(numbers)
    assert await numbers.ttl() == -2

    await numbers.add(2)

    assert fresh(await numbers.pttl())


@every_mode
async def test_members_put_back_have_their_time(redis: Redis, policy: TTL) -> None:
    """Members that a ``pop`` puts back, because one beside them is not valid, carry the policy."""
    await redis.sadd("numbers", "1", "x")
    numbers = RedisSet(redis, "numbers", int, ttl=policy)

    with pytest.raises(DecodeError):
        await numbers.pop(2)

    assert await numbers.members() == [1]
    assert fresh(await numbers.pttl())


async def test_members_of_2x_are_removed_as_a_write(redis: Redis) -> None:
    """Removing and moving a member that has several stored forms carries the policies, too."""
    prices = RedisSet(redis, "prices", dict[str, int], ttl=WRITE)
    moved = RedisSet(redis, "moved", dict[str, int], ttl=WRITE)
    await redis.sadd("prices", '{"y": 2, "x": 1}', "{}", '{"z": 1}')
    await redis.pexpire("prices", SHORT_MS)

    assert await prices.move(moved, {"y": 2, "x": 1}) is True
    assert fresh(await prices.pttl())
    assert fresh(await moved.pttl())


USES: list[Callable[[Ints], Awaitable[object]]] = [lambda s: beside(s).union(s), lambda s: beside(s).union_update(s)]


@pytest.mark.parametrize("call", USES, ids=["union", "union_update"])
async def test_a_set_read_by_another(redis: Redis, call: Callable[[Ints], Awaitable[object]]) -> None:
    """With ``renew="read"`` a set has its clock restarted by calls of others that read it; other modes leave it."""
    for policy, expected in ((READ, fresh), (WRITE, old), (NEVER, old)):
        numbers = await filled(redis, policy)
        await call(numbers)
        assert expected(await numbers.pttl())


async def test_each_set_of_a_read_has_its_own_policy(redis: Redis) -> None:
    """A union restarts the clocks of those sets that say so, and no others."""
    numbers = await filled(redis, READ)
    other, plain = beside(numbers, ttl=TTL(seconds=900, renew="read")), beside(numbers, "plain")
    await redis.sadd("plain", "9")

    assert len(await numbers.union(other, plain)) == 5

    assert fresh(await numbers.pttl())
    assert 890_000 < await other.pttl() <= 900_000
    assert await plain.pttl() == -1
