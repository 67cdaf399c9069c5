"""TTL policies: keys that are new, moved, restored or refused. (What each call does to a clock: test_tables.)"""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from typing import cast

import pytest
from redis.asyncio import Redis
from redis.exceptions import NoPermissionError

from purse.collections import RedisHash, RedisList, RedisSortedSet
from purse.errors import DecodeError, WrongKind
from purse.ttl import TTL
from tests.support.clients import connect
from tests.support.units import send

DECLARED_MS = 100_000
SHORT_MS = 50_000
WRITE = TTL(milliseconds=DECLARED_MS)
READ = TTL(milliseconds=DECLARED_MS, renew="read")
NEVER = TTL(milliseconds=DECLARED_MS, renew="never")

every_mode = pytest.mark.parametrize("policy", [WRITE, READ, NEVER], ids=["write", "read", "never"])


def fresh(left_ms: int) -> bool:
    """Whether the declared time was set a moment ago."""
    return DECLARED_MS - 5000 < left_ms <= DECLARED_MS


def old(left_ms: int) -> bool:
    """Whether the shorter time that the test has set still runs."""
    return SHORT_MS - 5000 < left_ms <= SHORT_MS


async def hash_of(redis: Redis, policy: TTL, left_ms: int = SHORT_MS) -> RedisHash[int]:
    """A filled hash with this much time left; 0 for no TTL."""
    await send(redis, "HSET", "thing", "a", 1, "b", 2)
    if left_ms:
        await redis.pexpire("thing", left_ms)
    return RedisHash(redis, "thing", int, ttl=policy)


async def list_of(redis: Redis, policy: TTL, left_ms: int = SHORT_MS, maxlen: int | None = None) -> RedisList[int]:
    """A filled list with this much time left; 0 for no TTL."""
    await redis.rpush("thing", "1", "2", "3")
    if left_ms:
        await redis.pexpire("thing", left_ms)
    return RedisList(redis, "thing", int, ttl=policy, maxlen=maxlen)


@every_mode
async def test_a_new_key_gets_the_declared_time(redis: Redis, policy: TTL) -> None:
    """Whatever creates the key starts the clock, long bulk writes too."""
    visits, numbers = RedisHash(redis, "visits", int, ttl=policy), RedisList(redis, "numbers", int, ttl=policy)

    writes: list[Callable[[], Awaitable[object]]] = [
        lambda: visits.set("a", 1),
        lambda: visits.setdefault("a", 1),
        lambda: visits.increment("a"),
        lambda: visits.modify("a", lambda n: n + 1, default=0),
        lambda: visits.update({str(n): n for n in range(1200)}),
    ]
    pushes: list[Callable[[], Awaitable[object]]] = [
        lambda: numbers.append(1),
        lambda: numbers.appendleft(1),
        lambda: numbers.insert(0, 1),
        lambda: numbers.extend(range(1200)),
        lambda: numbers.extendleft(range(1200)),
    ]

    for write in writes:
        await write()
        assert fresh(await visits.pttl())
        await visits.clear()
    for push in pushes:
        await push()
        assert fresh(await numbers.pttl())
        await numbers.clear()


@every_mode
async def test_a_new_sorted_set_gets_the_declared_time(redis: Redis, policy: TTL) -> None:
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


@every_mode
async def test_an_edit_is_a_write(redis: Redis, policy: TTL) -> None:
    """A changed value at the end of ``edit`` carries the policy; an unchanged one is no write."""
    beds: RedisHash[list[int]] = RedisHash(redis, "beds", list[int], ttl=policy)
    await redis.hset("beds", "a", "[1]")

    async with beds.edit("a"):
        pass
    assert await beds.pttl() == -1

    async with beds.edit("a") as bed:
        bed.append(2)
    assert fresh(await beds.pttl())


async def test_an_unchanged_modify_is_no_write(redis: Redis) -> None:
    """A ``modify`` that leaves the value as it is writes nothing, and restarts nothing."""
    visits = await hash_of(redis, WRITE)

    await visits.modify("a", lambda n: n)

    assert old(await visits.pttl())


async def test_elements_of_2x_are_removed_as_a_write(redis: Redis) -> None:
    """``remove`` of a value with several stored forms carries the policy, too."""
    prices = RedisList(redis, "prices", cast("type[dict[str, int]]", dict), ttl=WRITE)
    await redis.rpush("prices", '{"y": 2, "x": 1}', "{}", '{"x":1,"y":2}')
    await redis.pexpire("prices", SHORT_MS)

    assert await prices.remove({"y": 2, "x": 1}) == 2
    assert fresh(await prices.pttl())


@every_mode
async def test_an_emptied_list_keeps_its_policy(redis: Redis, policy: TTL) -> None:
    """A list that was emptied and filled again has the declared time to live, although Redis forgot it."""
    numbers = RedisList(redis, "numbers", int, ttl=policy)
    await numbers.append(1)
    await numbers.pop()
    assert await numbers.ttl() == -2

    await numbers.append(2)

    assert fresh(await numbers.pttl())


@every_mode
async def test_a_move_carries_both_policies(redis: Redis, policy: TTL) -> None:
    """``move`` is a write to both lists, each under its own policy."""
    source = await list_of(redis, policy, left_ms=0)
    target = RedisList(redis, "target", int, ttl=TTL(seconds=900), maxlen=2)
    plain = RedisList(redis, "plain", int)

    await source.move(target)
    assert fresh(await source.pttl())
    assert 890_000 < await target.pttl() <= 900_000

    await source.move(plain)
    assert await plain.pttl() == -1


# --- explicit times and jitter ------------------------------------------------------------------


@every_mode
async def test_restore_applies_the_policy(redis: Redis, policy: TTL) -> None:
    """``restore`` is a write: it carries the policy, unless the call says how long the key shall live."""
    visits = await hash_of(redis, policy, left_ms=0)
    dumped = await visits.dump()
    assert dumped is not None

    await visits.restore(dumped, replace=True)
    assert fresh(await visits.pttl())

    await visits.restore(dumped, SHORT_MS, replace=True)
    assert old(await visits.pttl())


async def test_restore_of_another_type(redis: Redis) -> None:
    """What is restored gets the policy's clock, whatever type it turns out to have."""
    await redis.set("other", "x")
    dumped = await RedisHash(redis, "other", int).dump()
    assert dumped is not None
    visits = RedisHash(redis, "thing", int, ttl=WRITE)

    await visits.restore(dumped)

    assert await visits.key_type() == "string"
    assert 0 < await visits.pttl() <= WRITE.duration_ms


@pytest.mark.parametrize("refused", ["out of range", "not a number", "no list"])
async def test_a_refused_write_restarts_no_clock(redis: Redis, refused: str) -> None:
    """A write that the server refuses leaves the time to live alone, like everything else."""
    numbers, visits = RedisList(redis, "numbers", int, ttl=WRITE), RedisHash(redis, "visits", int, ttl=WRITE)
    await numbers.append(1)
    await redis.hset("visits", "a", "x")
    calls: dict[str, tuple[str, Callable[[], Awaitable[object]], type[Exception]]] = {
        "out of range": ("numbers", lambda: numbers.setitem(5, 1), IndexError),
        "not a number": ("visits", lambda: visits.increment("a"), DecodeError),
        "no list": ("visits", lambda: RedisList(redis, "visits", int, ttl=WRITE).append(1), WrongKind),
    }
    key, call, error = calls[refused]
    await redis.pexpire(key, SHORT_MS)

    with pytest.raises(error):
        await call()

    assert old(await redis.pttl(key))


async def test_a_forbidden_clock_forbids_the_write(redis: Redis, server_url: str) -> None:
    """If the ACL forbids PEXPIRE, a write that owes it stores nothing (Redis 6.2 cannot be asked beforehand)."""
    if (await redis.info("server"))["redis_version"].startswith("6."):  # pyright: ignore[reportUnknownMemberType]
        pytest.skip("scripts of this server cannot ask what the ACL allows")
    await send(redis, "ACL", "SETUSER", "clockless", "on", ">secret", "~*", "+@all", "-pexpire")
    client = connect(server_url, username="clockless", password="secret")
    numbers, visits = RedisList(client, "numbers", int, ttl=WRITE), RedisHash(client, "visits", int, ttl=WRITE)

    for call in (numbers.append(1), numbers.insert(0, 1), visits.set("a", 1), visits.setdefault("a", 1)):
        with pytest.raises(NoPermissionError, match="PEXPIRE"):
            await call

    assert await redis.exists("numbers", "visits") == 0
    await send(redis, "ACL", "DELUSER", "clockless")


async def test_expire_and_persist_hold_until_the_next_write(redis: Redis) -> None:
    """``expire`` and ``persist`` win over the policy until the next write."""
    visits = RedisHash(redis, "visits", int, ttl=WRITE)
    await visits.set("a", 1)

    await visits.expire(SHORT_MS / 1000)
    assert old(await visits.pttl())
    await visits.persist()
    assert await visits.pttl() == -1
    await visits.set("a", 1)
    assert fresh(await visits.pttl())


async def test_jitter_spreads_the_clocks(redis: Redis) -> None:
    """With jitter each write draws its own time, within the declared part of the duration on either side."""
    policy = TTL(milliseconds=DECLARED_MS, jitter=0.5)
    hashes = [RedisHash(redis, f"hash{n}", int, ttl=policy) for n in range(60)]
    lists = [RedisList(redis, f"list{n}", int, ttl=policy) for n in range(60)]

    for visits, numbers in zip(hashes, lists, strict=True):
        await visits.setdefault("a", 1)
        await numbers.append(1)
    left = [await collection.pttl() for collection in (*hashes, *lists)]

    assert all(45_000 < left_ms <= 150_000 for left_ms in left)
    assert max(left) - min(left) > 30_000
