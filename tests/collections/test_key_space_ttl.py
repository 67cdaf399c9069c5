"""RedisKeySpace: each entry carries the declared time to live, by the very command or script that writes it."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from typing import Literal, TypeAlias

import pytest
from redis.asyncio import Redis

from purse.collections.key_space import RedisKeySpace
from purse.errors import DecodeError, WrongKind
from purse.ttl import TTL
from tests.collections.garden import collect
from tests.support.monitor import Monitor

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

WRITES: dict[str, Call] = {
    "set": lambda s: s.set("a", 5),
    "set xx": lambda s: s.set("a", 5, xx=True),
    "increment": lambda s: s.increment("a"),
    "modify": lambda s: s.modify("a", lambda n: n + 1),
    "update": lambda s: s.update({"a": 5, "new": 6}),
    "set_many": lambda s: s.set_many({"a": 5, "new": 6}),
}
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
READS: dict[str, Call] = {
    "get": lambda s: s.get("a"),
    "get_many": lambda s: s.get_many(["absent", "a"]),
    "setdefault": lambda s: s.setdefault("a", 5),
    "get_or_create": lambda s: s.get_or_create("a", lambda: 5),
}
LOOKS: dict[str, Call] = {
    "contains": lambda s: s.contains("a"),
    "ttl": lambda s: s.ttl("a"),
    "pttl": lambda s: s.pttl("a"),
    "expires_in": lambda s: s.expires_in("a"),
    "len": lambda s: s.len(),
    "keys": lambda s: collect(s.keys()),
    "values": lambda s: collect(s.values()),
    "items": lambda s: collect(s.items()),
    "set nx": lambda s: s.set("a", 5, nx=True),
    "update if_none_exist": lambda s: s.update({"new": 1, "a": 5}, True),
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


@pytest.mark.parametrize("policy", [WRITE, READ, PER_ITEM], ids=["write", "read", "per item"])
@each(WRITES)
async def test_a_write_restarts_the_clock(redis: Redis, policy: TTL, call: Call) -> None:
    """After each write the declared time of that entry runs anew, and that of others is left alone."""
    visits = await filled(redis, policy)
    await redis.set("visits:b", "1", px=SHORT_MS)

    await call(visits)

    assert fresh(await visits.pttl("a"))
    assert old(await visits.pttl("b"))


@each(WRITES)
async def test_never_renewing(redis: Redis, call: Call) -> None:
    """With ``renew="never"`` a write leaves a running clock alone and starts one where there is none."""
    visits = await filled(redis, NEVER)
    await call(visits)
    assert old(await visits.pttl("a"))

    await filled(redis, NEVER, left_ms=0)
    await call(visits)
    assert fresh(await visits.pttl("a"))


@every_policy
@each(CREATIONS)
async def test_a_new_entry_gets_the_declared_time(redis: Redis, policy: TTL, call: Call) -> None:
    """Whatever creates an entry starts its clock."""
    visits = RedisKeySpace(redis, "visits:", int, ttl=policy)

    await call(visits)

    assert fresh(await visits.pttl("new"))


@each(READS)
async def test_reads_that_renew(redis: Redis, call: Call) -> None:
    """What returns stored values restarts their clocks with ``renew="read"``, and with no other."""
    for policy in (WRITE, NEVER, None):
        visits = await filled(redis, policy)
        await call(visits)
        assert old(await visits.pttl("a"))

    visits = await filled(redis, READ)
    await call(visits)
    assert fresh(await visits.pttl("a"))
    assert await visits.contains("absent") is False


@every_policy
@each(LOOKS)
async def test_looking_never_renews(redis: Redis, policy: TTL, call: Call) -> None:
    """Neither scans, nor questions about an entry, nor writes that were not done restart a clock."""
    visits = await filled(redis, policy)

    await call(visits)

    assert old(await visits.pttl("a"))
    assert await visits.get_many(["a", "new"]) == {"a": 1}


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


@pytest.mark.parametrize("renew", ["write", "read", "never"])
async def test_what_is_sent(redis: Redis, monitor: Monitor, renew: Literal["write", "read", "never"]) -> None:
    """The write and its clock are one command where Redis has one, else one script."""
    visits = await filled(redis, TTL(hours=1, renew=renew))
    once = "-once" if renew == "never" else ""
    policy = f"key{once}:3600000"

    async def sent(call: Call) -> list[str]:
        await visits.contains("a")
        await monitor.commands()
        await call(visits)
        return [" ".join(words) for words in await monitor.commands()]

    setting = await sent(lambda s: s.set("a", 5))
    assert setting == [f"EVALSHA key_space_set 1 visits:a  5 {policy}" if once else "SET visits:a 5 PX 3600000"]
    assert await sent(lambda s: s.set("a", 5, nx=True)) == ["SET visits:a 5 PX 3600000 NX"]
    setting = await sent(lambda s: s.set("a", 5, xx=True))
    assert setting == [f"EVALSHA key_space_set 1 visits:a XX 5 {policy}" if once else "SET visits:a 5 PX 3600000 XX"]
    assert await sent(lambda s: s.update({"a": 1})) == [f"EVALSHA key_space_set 1 visits:a  1 {policy}"]
    assert await sent(lambda s: s.update({"a": 1}, True)) == [f"EVALSHA key_space_set 1 visits:a NX 1 {policy}"]
    assert await sent(lambda s: s.increment("a")) == [f"EVALSHA with_ttl 1 visits:a {policy} 3 INCRBY visits:a 1"]
    reading = policy if renew == "read" else ""
    assert await sent(lambda s: s.setdefault("a", 5)) == [
        f"EVALSHA key_space_setdefault 1 visits:a 5 {policy} {reading}"
    ]
    assert await sent(lambda s: s.modify("a", lambda n: n + 1)) == [
        "GET visits:a",
        f"EVALSHA key_space_replace 1 visits:a 1 2 3 {policy}",
    ]
    getting = "GETEX visits:a PX 3600000" if renew == "read" else "GET visits:a"
    assert await sent(lambda s: s.get("a")) == [getting]
    getting = f"EVALSHA key_space_read 1 visits:a {policy}" if renew == "read" else "MGET visits:a"
    assert await sent(lambda s: s.get_many(["a"])) == [getting]
    assert await sent(lambda s: s.pop("a")) == ["UNLINK making!{visits:a}", "PTTL visits:a", "GETDEL visits:a"]
