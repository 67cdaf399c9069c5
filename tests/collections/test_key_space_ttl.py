"""RedisKeySpace: each entry carries the declared time to live, by the very command or script that writes it."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from typing import TypeAlias

import pytest
from redis.asyncio import Redis

from purse.collections.key_space import RedisKeySpace
from purse.errors import DecodeError, WrongKind
from purse.ttl import TTL
from tests.collections.tables.key_space import CALLS, CLOCK, KEY, build, fill
from tests.support.monitor import Monitor, spoken

Visits: TypeAlias = RedisKeySpace[int]
Call: TypeAlias = Callable[[Visits], Awaitable[object]]

# What is sent does not depend on the connection it goes over; the state machine runs with policies on both kinds.
pytestmark = pytest.mark.engines("shared")

DECLARED_MS = 100_000
SHORT_MS = 50_000
WRITE = TTL(milliseconds=DECLARED_MS)
READ = TTL(milliseconds=DECLARED_MS, renew="read")
NEVER = TTL(milliseconds=DECLARED_MS, renew="never")
PER_ITEM = TTL(milliseconds=DECLARED_MS, per_item=True)

CREATIONS: dict[str, Call] = {
    "set": lambda s: s.set("new", 5),
    "set nx": lambda s: s.set("new", 5, nx=True),
    "setdefault": lambda s: s.setdefault("new", 5),
    "get_or_create": lambda s: s.get_or_create("new", lambda: 5),
    "increment": lambda s: s.increment("new"),
    "modify": lambda s: s.modify("new", lambda n: n + 1, default=0),
    "update": lambda s: s.update({"new": 5}),
    "update if_none_exist": lambda s: s.update({"new": 5, "newer": 6}, True),
    "set_many": lambda s: s.set_many({"new": 5}),
    "many": lambda s: s.update({str(n): n for n in range(1200)} | {"new": 5}),
}
EXPLICIT: dict[str, Call] = {
    "ex": lambda s: s.set("a", 5, SHORT_MS // 1000),
    "px": lambda s: s.set("a", 5, px=SHORT_MS),
    "keepttl": lambda s: s.set("a", 5, keepttl=True),
    "px nx": lambda s: s.set("new", 5, px=SHORT_MS, nx=True),
    "setdefault": lambda s: s.setdefault("new", 5, px=SHORT_MS),
    "get_or_create": lambda s: s.get_or_create("new", lambda: 5, px=SHORT_MS),
    "set_many": lambda s: s.set_many({"a": 5, "new": 5}, SHORT_MS / 1000),
}


def each(calls: dict[str, Call]) -> pytest.MarkDecorator:
    return pytest.mark.parametrize("call", calls.values(), ids=calls.keys())


every_policy = pytest.mark.parametrize(
    "policy", [WRITE, READ, NEVER, PER_ITEM], ids=["write", "read", "never", "per item"]
)


async def filled(redis: Redis, policy: TTL | None, left_ms: int = SHORT_MS) -> Visits:
    """A key space with one entry that has this much time left; 0 for no TTL."""
    await redis.set("visits:a", "1", px=left_ms or None)
    return RedisKeySpace(redis, "visits:", int, ttl=policy)


def fresh(left_ms: int) -> bool:
    """Whether the declared time was set a moment ago."""
    return DECLARED_MS - 5000 < left_ms <= DECLARED_MS


def old(left_ms: int) -> bool:
    """Whether the shorter time that the test has set still runs."""
    return SHORT_MS - 5000 < left_ms <= SHORT_MS


@pytest.mark.rows(10)
@every_policy
@each(CREATIONS)
async def test_a_new_entry_gets_the_declared_time(redis: Redis, policy: TTL, call: Call) -> None:
    """Whatever creates an entry starts its clock."""
    visits = RedisKeySpace(redis, "visits:", int, ttl=policy)

    await call(visits)

    assert fresh(await visits.pttl("new"))


@pytest.mark.rows(8)
@every_policy
@each(EXPLICIT)
async def test_what_a_call_says_wins(redis: Redis, policy: TTL, call: Call) -> None:
    """``ex``, ``px``, ``keepttl`` and ``ttl`` hold for this one call."""
    visits = await filled(redis, policy)

    await call(visits)

    assert old(await visits.pttl("a"))
    assert old(await visits.pttl("new")) or await visits.contains("new") is False


async def test_keeping_no_time_to_live(redis: Redis) -> None:
    """``keepttl`` on an entry that never expires keeps that, whatever the policy."""
    visits = await filled(redis, WRITE, left_ms=0)

    await visits.set("a", 5, keepttl=True)

    assert await visits.ttl("a") == -1


async def test_jitter_is_drawn_for_each_entry(redis: Redis) -> None:
    """Entries that are written, or read, together do not expire together."""
    visits = RedisKeySpace(redis, "visits:", int, ttl=TTL(hours=1, jitter=0.5, renew="read"))
    keys = [str(n) for n in range(20)]

    await visits.update(dict.fromkeys(keys, 1))
    written = [await visits.pttl(key) for key in keys]
    await visits.get_many(keys)
    read = [await visits.pttl(key) for key in keys]

    for left_ms in (written, read):
        assert max(left_ms) - min(left_ms) > 100_000
        assert all(1_700_000 < ms <= 5_400_000 for ms in left_ms)


@every_policy
async def test_a_refused_write_changes_no_clock(redis: Redis, policy: TTL) -> None:
    """Neither that of bytes that are no number, nor that of another Redis type."""
    visits = RedisKeySpace(redis, "visits:", int, ttl=policy)
    await redis.set("visits:text", "x", px=SHORT_MS)
    await redis.rpush("visits:list", "x")
    await redis.pexpire("visits:list", SHORT_MS)

    with pytest.raises(DecodeError):
        await visits.increment("text")
    for call in (visits.increment("list"), visits.get("list"), visits.setdefault("list", 1)):
        with pytest.raises(WrongKind):
            await call
    await visits.get_many(["list"])

    assert old(await visits.pttl("text"))
    assert old(await visits.pttl("list"))
    assert await redis.lrange("visits:list", 0, -1) == [b"x"]


async def test_a_policy_per_item_is_an_ordinary_one(redis: Redis) -> None:
    """A write restarts the clock of its entry, a read or a look does not, and those of other entries are left alone."""
    for case in CALLS:
        if not case.clock:
            continue
        await fill(redis)
        await redis.pexpire(CLOCK, SHORT_MS)
        await redis.set(f"{KEY}b", "1", px=SHORT_MS)

        await case.call(build(redis, PER_ITEM))

        assert (fresh if case.clock == "write" else old)(await redis.pttl(CLOCK)), case.name
        assert old(await redis.pttl(f"{KEY}b"))


async def test_a_clock_that_is_never_restarted(redis: Redis, monitor: Monitor) -> None:
    """With ``renew="never"`` a write asks for the clock first, inside a script, because Redis has no command for it."""
    visits = await filled(redis, NEVER)
    await visits.contains("a")
    await monitor.commands()

    await visits.set("a", 5)
    await visits.set("a", 5, nx=True)
    await visits.set("a", 5, xx=True)
    await visits.update({"a": 1})
    await visits.update({"a": 1}, True)
    await visits.increment("a")
    await visits.modify("a", lambda n: n + 1)

    assert [spoken(command) for command in await monitor.commands()] == [
        "EVALSHA key_space_set visits:a",
        f"SET visits:a 5 PX {DECLARED_MS} NX",
        "EVALSHA key_space_set visits:a",
        "EVALSHA key_space_set visits:a",
        "EVALSHA key_space_set visits:a",
        "EVALSHA with_ttl visits:a",
        "GET visits:a",
        "EVALSHA key_space_replace visits:a",
    ]


async def test_a_read_makes_no_entry(redis: Redis) -> None:
    """With ``renew="read"`` an entry that was read and is not there is not there afterwards either."""
    visits = await filled(redis, READ)

    assert await visits.get_many(["absent", "a"]) == {"a": 1}

    assert await visits.contains("absent") is False
