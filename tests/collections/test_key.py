"""What every collection can do with its key: the commands that take a key of any type."""

from __future__ import annotations

from collections.abc import AsyncIterator
from datetime import timedelta
from typing import TypeAlias, cast

import pytest
from redis import Redis as SyncRedis
from redis.asyncio import Redis, RedisCluster
from redis.exceptions import ResponseError

from purse._engine.replies import as_array, as_bytes
from purse.collections import RedisHash, RedisKey, RedisList
from purse.embedded import Server
from tests.collections.garden import HOSTILE, shown
from tests.support.units import read

Kind: TypeAlias = RedisHash[str] | RedisList[str]


@pytest.fixture(params=["hash", "list"])
async def filled(request: pytest.FixtureRequest, redis: Redis) -> AsyncIterator[Kind]:
    """A hash, then a list, with two elements."""
    if request.param == "hash":
        words = RedisHash(redis, "thing", str)
        await words.update({"a": "1", "b": "2"})
        yield words
    else:
        log = RedisList(redis, "thing", str)
        await log.extend(["1", "2"])
        yield log


async def test_attributes(filled: Kind, redis: Redis) -> None:
    """``redis`` is the client object itself and ``rkey`` the key; ``repr`` shows the class and the key."""
    assert filled.redis is redis
    assert filled.rkey == "thing"
    assert repr(filled) == f"<{type(filled).__name__} 'thing'>"
    assert isinstance(filled, RedisKey)


async def test_a_key_without_a_ttl(filled: Kind) -> None:
    """Without a TTL ``ttl`` and ``pttl`` are -1, ``expires_in`` is None and ``persist`` has nothing to do."""
    assert await filled.ttl() == -1
    assert await filled.pttl() == -1
    assert await filled.expires_in() is None
    assert await filled.persist() is False


async def test_a_missing_key(redis: Redis) -> None:
    """Without a key ``ttl`` and ``pttl`` are -2, and ``expires_in`` is a KeyError that names it."""
    nothing = RedisHash(redis, "nothing", str)

    assert await nothing.ttl() == -2
    assert await nothing.pttl() == -2
    with pytest.raises(KeyError, match="nothing"):
        await nothing.expires_in()
    assert await nothing.expire(10) is False
    assert await nothing.persist() is False
    assert await nothing.dump() is None
    assert await nothing.key_type() == "none"
    assert await nothing.exists() is False
    assert await nothing.clear() == 0
    await nothing.delete_redis_key()


@pytest.mark.parametrize(
    ("seconds", "most_ms"),
    [(100, 100_000), (5.5, 5500), (timedelta(minutes=1), 60_000), (timedelta(milliseconds=7500), 7500)],
)
async def test_expire(filled: Kind, seconds: float | timedelta, most_ms: int) -> None:
    """``expire`` takes seconds, fractions too, or a timedelta; the three ways to read it agree."""
    assert await filled.expire(seconds) is True

    left_ms = await filled.pttl()
    assert most_ms - 4000 < left_ms <= most_ms
    assert most_ms - 4000 <= 1000 * await filled.ttl() <= most_ms + 500
    left = await filled.expires_in()
    assert left is not None
    assert timedelta(0) < left <= timedelta(milliseconds=most_ms)
    assert await filled.persist() is True
    assert await filled.ttl() == -1


@pytest.mark.parametrize("seconds", [0, -5, timedelta(seconds=-1)])
async def test_expiring_now_deletes(filled: Kind, seconds: float | timedelta) -> None:
    """A time to live of zero or less deletes the key, and is True because there was one."""
    assert await filled.expire(seconds) is True
    assert await filled.exists() is False


async def test_key_type_and_exists(filled: Kind) -> None:
    """``key_type`` is Redis' name for what the key holds; ``exists`` is a bool."""
    assert await filled.key_type() == ("hash" if isinstance(filled, RedisHash) else "list")
    assert await filled.exists() is True


async def test_clear(filled: Kind) -> None:
    """``clear`` returns 1 and the key is gone, its TTL with it; a second ``clear`` returns 0."""
    await filled.expire(100)

    assert await filled.clear() == 1
    assert await filled.clear() == 0
    assert await filled.ttl() == -2


async def test_delete_redis_key(filled: Kind, redis: Redis) -> None:
    """``delete_redis_key`` deletes the key, even one of another type, and nothing else."""
    await redis.set("thing2", "x")

    await filled.delete_redis_key()
    assert await read(redis, "KEYS", "*") == [b"thing2"]

    await redis.set("thing", "x")
    await filled.delete_redis_key()
    assert await read(redis, "KEYS", "*") == [b"thing2"]


async def test_dump_and_restore(filled: Kind, redis: Redis) -> None:
    """What ``dump`` returned, ``restore`` creates again, without a TTL unless one is given."""
    dumped = await filled.dump()
    assert dumped is not None
    await filled.expire(100)
    await filled.clear()

    assert await filled.restore(dumped) is True

    assert await filled.len() == 2
    assert await filled.ttl() == -1
    assert await filled.dump() == dumped


@pytest.mark.parametrize("ttl", [5000, timedelta(seconds=5)])
async def test_restore_with_a_time_to_live(filled: Kind, ttl: int | timedelta) -> None:
    """``restore(ttl=)`` takes milliseconds or a timedelta."""
    dumped = await filled.dump()
    assert dumped is not None

    assert await filled.restore(dumped, ttl, True) is True

    assert 4000 < await filled.pttl() <= 5000


async def test_restore_refuses_an_existing_key(filled: Kind) -> None:
    """Without ``replace`` an existing key is redis-py's ResponseError BUSYKEY with a note that names the key."""
    dumped = await filled.dump()
    assert dumped is not None

    with pytest.raises(ResponseError, match="BUSYKEY") as caught:
        await filled.restore(dumped, 5000)

    assert any("thing" in note for note in caught.value.__notes__)
    assert await filled.ttl() == -1
    assert await filled.restore(dumped, replace=True) is True


async def test_restore_refuses_damaged_data(filled: Kind) -> None:
    """Bytes that are no dump are a ResponseError, and what was there stays."""
    with pytest.raises(ResponseError, match=r"checksum|DUMP"):
        await filled.restore(b"nonsense", replace=True)

    assert await filled.len() == 2


@pytest.mark.rows(4)
@pytest.mark.parametrize("rkey", HOSTILE, ids=shown)
async def test_any_string_is_a_key(redis: Redis, rkey: str) -> None:
    """A key is used as it is, whatever characters it has, and its neighbours are not touched."""
    await redis.set("neighbour", "x")
    words, log = RedisHash(redis, rkey, str), RedisList(redis, rkey, str)

    assert await words.set("a", "1") == 1
    assert await words.setdefault("a", "2") == "1"
    assert await words.expire(100) is True
    assert await words.key_type() == "hash"
    assert sorted(map(as_bytes, as_array(await read(redis, "KEYS", "*")))) == sorted([rkey.encode(), b"neighbour"])
    assert await words.clear() == 1
    await log.extend(["1", "3"])
    await log.insert(1, "2")
    assert await log.slice(0) == ["1", "2", "3"]
    assert await log.clear() == 1
    assert await read(redis, "KEYS", "*") == [b"neighbour"]


@pytest.mark.parametrize("rkey", [b"bytes", 1, None, RedisHash])
async def test_a_key_is_a_str(redis: Redis, rkey: object) -> None:
    """Any other key is a TypeError when the collection is made."""
    with pytest.raises(TypeError, match="a key must be a str"):
        RedisList(redis, cast("str", rkey), str)


async def test_a_client_is_an_asyncio_redis(server: Server, redis: Redis) -> None:
    """Anything else is a TypeError when the collection is made, and says what to pass."""
    synchronous = SyncRedis(unix_socket_path=str(server.socket_path))
    for client in (synchronous, redis.pipeline(), RedisCluster, None):
        with pytest.raises(TypeError, match=r"redis\.asyncio\.Redis|its client"):
            RedisHash(cast("Redis", client), "thing", str)
    synchronous.close()
