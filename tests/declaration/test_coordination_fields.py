"""Locks, limiters and semaphores as fields of a store."""

from __future__ import annotations

import pytest
from redis.asyncio import Redis

from purse import DeclarationError, RedisHash, Store, field
from purse.limits import RedisRateLimiter, RedisSemaphore
from purse.locks import RedisLock
from tests.support.clients import all_keys


class Garden(Store, namespace="coordinated", ttl=None):
    visits: RedisHash[int]
    lock: RedisLock = RedisLock.field(lease=5, watchdog=True)
    gate: RedisLock
    api: RedisRateLimiter = RedisRateLimiter.field(rate="2/hour")
    beds: RedisSemaphore = RedisSemaphore.field(limit=2, lease=30, key="places")


async def test_each_is_built_with_its_options(redis: Redis) -> None:
    """The key is the field's, in the store's slot; the options are those of the constructor."""
    garden = Garden(redis)

    async with garden.lock as lease, garden.beds, garden.beds:
        assert lease.key == "{coordinated}:lock"
        assert 4 < lease.remaining <= 5
        assert await garden.beds.available() == 0
        assert [bool(await garden.api.hit("me")) for _ in range(3)] == [True, True, False]
        assert garden.gate is not garden.lock


async def test_clear_leaves_them_alone(redis: Redis) -> None:
    """Whoever clears a store's values takes nobody's lock away, and forgets no fencing token."""
    garden = Garden(redis)
    await garden.visits.set("a", 1)
    async with garden.lock:
        before = await all_keys(redis)

        assert await garden.clear() == 1

        assert set(await all_keys(redis)) == {*before} - {b"{coordinated}:visits"}


WRONG = {
    "no rate": ("api: RedisRateLimiter", "Bad.api: .*rate"),
    "wrong rate": ("api: RedisRateLimiter = RedisRateLimiter.field(rate='often')", "Bad.api: .*often"),
    "no limit": ("beds: RedisSemaphore", "Bad.beds: .*limit"),
    "wrong lease": ("lock: RedisLock = RedisLock.field(lease=-1)", "Bad.lock: .*lease"),
    "a rate for a lock": ("lock: RedisLock = RedisRateLimiter.field(rate='1/day')", "Bad.lock: .*this is a RedisLock"),
    "a lease for a hash": ("h: RedisHash[int] = RedisLock.field(lease=3)", "Bad.h: .*this is a RedisHash"),
    "a ttl": ("lock: RedisLock = field(ttl=TTL(hours=1))", "has no values"),
    "a codec": ("lock: RedisLock = field(codec=str)", "has no values"),
    "a key beside": (
        "api: RedisRateLimiter = RedisRateLimiter.field(rate='1/day')\n    h: RedisHash[int] = field(key='api:me')",
        "belong",
    ),
}


@pytest.mark.parametrize(("body", "message"), WRONG.values(), ids=WRONG.keys())
def test_what_is_wrong_is_said_at_definition(body: str, message: str) -> None:
    """What, where and why, before there is an instance."""
    from purse import TTL

    names: dict[str, object] = {"Store": Store, "field": field, "RedisHash": RedisHash, "TTL": TTL}
    names |= {"RedisLock": RedisLock, "RedisRateLimiter": RedisRateLimiter, "RedisSemaphore": RedisSemaphore}
    names["__name__"] = __name__

    with pytest.raises(DeclarationError, match=message):
        exec(f"class Bad(Store, namespace='coordinated-wrong'):\n    {body}", names)
