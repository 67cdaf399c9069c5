"""What somebody else has written where locks and limits keep their own: named, or passed over; never a raw error."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from typing import TypeAlias, cast

import pytest
from redis.asyncio import Redis

from purse import RedisKeySpace, RedisPriorityQueue
from purse._coordination.beside import beside
from purse._coordination.fencing import fenced_set
from purse._engine.replies import as_all_bytes
from purse.codecs import hide_values
from purse.errors import LockLost, LockNotAcquired, WrongKind
from purse.limits import RedisRateLimiter, RedisSemaphore
from purse.locks import RedisLock
from purse.redlock import Redlock
from tests.support.clients import all_keys, command
from tests.support.units import read

STRANGE = ["", "nan", "-nan", "inf", "-inf", "0x10", "1e3", " 7", "-1", "1.5", "9" * 30, "precious", "a\nb\x1b", "é"]
"""What ``tonumber`` takes for a number, or what makes it fail, and is no number that purse writes."""

Use: TypeAlias = "Callable[[Redis], Awaitable[object]]"


async def use_lock(redis: Redis) -> None:
    """Take it, extend it, have another wait in vain, give it back."""
    lock = RedisLock(redis, "gate")
    async with lock.within(5):
        await asyncio.create_task(RedisLock(redis, "gate").acquire(timeout=0.01))
        await lock.extend()


async def use_semaphore(redis: Redis) -> None:
    """Take a permit, extend it, look, give it back."""
    semaphore = RedisSemaphore(redis, "workers", limit=50)
    async with semaphore as permit:
        await permit.extend()
        await semaphore.available()


async def use_limiter(redis: Redis) -> None:
    """Hit it until it refuses, and look."""
    for algorithm in ("gcra", "sliding_window"):
        limiter = RedisRateLimiter(redis, algorithm, rate="3/second", algorithm=algorithm)
        for _ in range(5):
            await limiter.hit()
            await limiter.peek(cost=2)


async def use_fence(redis: Redis) -> None:
    """Write under a lock."""
    async with RedisLock(redis, "other") as lease:
        await fenced_set(redis, "plan", "x", lease)


async def refusal(use: Use, redis: Redis) -> WrongKind | None:
    """The refusal, if there was one; every other error is a fault."""
    try:
        await use(redis)
    except WrongKind as error:
        return error
    return None


async def write(redis: Redis, kind: str, key: str, what: str) -> None:
    """Write something that is not ours."""
    if kind == "string":
        await redis.set(key, what)
    elif kind == "list":
        await redis.rpush(key, what)
    elif kind == "member":
        await redis.zadd(key, {what: 1})
    else:
        await command(redis, "ZADD", key, what, "precious")


PLACES: dict[str, tuple[str, str, Use]] = {
    "the fence of a lock": ("string", beside("gate", "fence"), use_lock),
    "a fence that is a list": ("list", beside("gate", "fence"), use_lock),
    "a queue that is a list": ("list", beside("gate", "queue"), use_lock),
    "a place in a queue": ("member", beside("gate", "queue"), use_lock),
    "a session": ("member", beside("gate", "sessions"), use_lock),
    "sessions that are a string": ("string", beside("gate", "sessions"), use_lock),
    "a permit": ("member", "workers", use_semaphore),
    "the state of a bucket": ("string", "gcra", use_limiter),
    "a hit": ("list", "sliding_window", use_limiter),
    "the token of a string": ("string", beside("plan", "fenced"), use_fence),
    "a token that is a list": ("list", beside("plan", "fenced"), use_fence),
    "a list in place of the string": ("list", "plan", use_fence),
}


@pytest.mark.rows(16)
@pytest.mark.parametrize("place", PLACES)
@pytest.mark.parametrize("what", STRANGE, ids=ascii)
async def test_what_somebody_else_has_written(redis: Redis, place: str, what: str) -> None:
    """It works, or it is refused with an error that names the key, and what was there is still there."""
    kind, key, use = PLACES[place]
    await write(redis, kind, key, what)
    before = await redis.dump(key)
    refused = await refusal(use, redis)
    if refused is not None:
        assert refused.key in ("gate", "workers", "gcra", "sliding_window", "plan")
        assert key in str(refused)
        assert str(refused).isprintable()
        assert await redis.dump(key) == before


@pytest.mark.rows(4)
@pytest.mark.parametrize("score", ["inf", "-inf", "-1", "0", "1e300", "-1e300", "9e15", "9007199254740993", "0.5"])
@pytest.mark.parametrize("key", [beside("gate", "queue"), beside("gate", "sessions"), "workers"])
async def test_scores_that_somebody_else_has_written(redis: Redis, key: str, score: str) -> None:
    """The same of scores."""
    await command(redis, "ZADD", key, score, "precious")
    refused = await refusal(use_semaphore if key == "workers" else use_lock, redis)
    if refused is not None:
        assert refused.key == "workers"
        assert "precious" in str(refused)
        assert await redis.zcard("workers") == 1


@pytest.mark.parametrize("what", [what for what in STRANGE if not what.isdigit()], ids=ascii)
async def test_a_hit_in_the_middle(redis: Redis, what: str) -> None:
    """A foreign element that bisection meets is named; nothing is counted and nothing cut off."""
    limiter = RedisRateLimiter(redis, "api", rate="9/second", algorithm="sliding_window")
    times = [int(time * 1e6) for time in (1, 2, 3, 4, 5, 6, 7)]
    await redis.rpush("api", *times[:3], what, *times[4:])
    with pytest.raises(WrongKind, match="an element that is not the time of a hit"):
        await limiter.hit()
    assert await redis.llen("api") == 7


async def test_a_token_that_is_not_a_number_lets_nobody_write(redis: Redis) -> None:
    """No comparison with "nan" is true, so the check of tokens would pass: it is refused."""
    lock = RedisLock(redis, "gate")
    async with lock as early:
        pass
    async with lock as late:
        await fenced_set(redis, "plan", "new", late)
    with pytest.raises(LockLost):
        await fenced_set(redis, "plan", "old", early)
    await redis.set(beside("plan", "fenced"), "nan")

    with pytest.raises(WrongKind, match=r"plan was not set: .*fenced.*'nan'"):
        await fenced_set(redis, "plan", "old", early)
    assert await redis.get("plan") == b"new"


async def test_a_write_under_a_lock_replaces_strings_only(redis: Redis) -> None:
    """A list under the key stays, and the error says what to do."""
    await redis.rpush("plan", "precious")
    async with RedisLock(redis, "gate") as lease:
        with pytest.raises(WrongKind, match="plan was not set: the key does not hold a string") as caught:
            await fenced_set(redis, "plan", "x", lease)
    assert caught.value.key == "plan"
    assert await redis.lrange("plan", 0, -1) == [b"precious"]


async def test_a_fence_that_somebody_has_deleted(redis: Redis) -> None:
    """A question that is repeated for the holder, whose fence is gone, is answered with a token."""
    lock = RedisLock(redis, "gate")
    async with lock as lease:
        await redis.delete(beside("gate", "fence"))
        lease_ms, line = 10_000, lock._lines.get(asyncio.get_running_loop())  # pyright: ignore[reportPrivateUsage]
        assert line is not None
        answer = await line._ask(lease.owner, lease_ms / 1000, lock, wait=True)  # pyright: ignore[reportPrivateUsage]
        assert answer[:2] == (lease.owner, 1)


async def test_a_lock_is_released_whatever_is_beside_it(redis: Redis) -> None:
    """The keys of the queue and of a note are replaced by others while it is held; it is free after the block."""
    async with RedisLock(redis, "gate"):
        await redis.set(beside("gate", "queue"), "precious")
    assert await all_keys(redis) == [beside("gate", "fence").encode(), beside("gate", "queue").encode()]


async def test_a_note_of_another_type(masters: list[Redis]) -> None:
    """``Redlock`` is released, and told so, whatever is under the key of the notes."""
    lock = Redlock("gate", masters)
    assert await lock.acquire()
    await asyncio.gather(*(master.rpush(beside("gate", "waiting"), "precious") for master in masters))
    await lock.release()


@pytest.mark.parametrize("what", ["nan", "inf", "precious"])
async def test_a_fence_of_redlock(masters: list[Redis], what: str) -> None:
    """A master whose fence is not a token has no vote; the error names the key."""
    await asyncio.gather(*(master.set(beside("gate", "fence"), what) for master in masters[:3]))
    lock = Redlock("gate", masters, fencing=True)
    with pytest.raises(LockNotAcquired) as caught:
        await lock.acquire(timeout=0.1, raise_on_redis_errors=True)
    cause = cast("ExceptionGroup[Exception]", caught.value.__cause__)
    assert sum(isinstance(error, WrongKind) and what in str(error) for error in cause.exceptions) > 0
    assert [await master.get(beside("gate", "fence")) for master in masters[:3]] == [what.encode()] * 3


async def test_hidden_values(redis: Redis) -> None:
    """After ``hide_values()`` the message does not say what was found."""
    await redis.zadd("workers", {"precious": 1})
    hide_values()
    try:
        with pytest.raises(WrongKind, match="not a permit, <hidden>"):
            await RedisSemaphore(redis, "workers", limit=1).acquire()
    finally:
        hide_values(False)


@pytest.mark.parametrize("what", STRANGE, ids=ascii)
async def test_a_marker_of_somebody_else(redis: Redis, what: str) -> None:
    """``get_or_create`` makes and stores its value, whatever is under the key of its marker."""
    notes = RedisKeySpace(redis, "notes", str)
    markers: list[bytes] = []

    async def make() -> str:
        markers.extend(await all_keys(redis))
        return "x"

    await notes.get_or_create("a", make)
    await redis.delete("notesa")
    await redis.set(markers[0], what)

    assert await notes.get_or_create("a", make) == "x"
    assert await notes.get("a") == "x"
    assert len(markers) == 2


@pytest.mark.parametrize("number", ["inf", "9" * 19, "nan", "0x" + "f" * 17, " " * 18 + "7"])
async def test_a_number_in_a_priority_queue(redis: Redis, number: str) -> None:
    """Items go in and come out beside a member whose number nobody of ours has written."""
    queue = RedisPriorityQueue(redis, "tasks", str)
    await queue.put(("first", 1))
    (member,) = as_all_bytes(await read(redis, "ZRANGE", "tasks", 0, -1))
    await redis.zadd("tasks", {member[:17] + number.ljust(19).encode() + member[36:]: 1})
    await queue.put_many([("second", 1), ("third", 1), ("third", 1)])
    seen = [(await queue.get_nowait())[0] for _ in range(5)]

    assert sorted(seen) == ["first", "first", "second", "third", "third"]
    assert [item for item in seen if item != "first"] == ["second", "third", "third"]
