"""What holds of every method in the tables: what it sends, in how many trips, and what it does if something fails."""

from __future__ import annotations

import inspect
import pickle
import re
from types import ModuleType
from typing import cast

import pytest
from redis.asyncio import Redis
from redis.exceptions import ConnectionError, NoPermissionError, ResponseError, TimeoutError

from purse.collections import RedisHash, RedisKey, RedisKeySpace
from purse.embedded import Server
from purse.errors import DecodeError, WrongKind
from purse.ttl import TTL
from tests.collections.garden import collect
from tests.collections.tables import TABLES, key, key_space
from tests.collections.tables.proving import AnyCase, every_table, prove, refill, state
from tests.collections.tables.trips import count_trips
from tests.support.clients import all_keys, command, connect
from tests.support.monitor import Monitor, spoken
from tests.support.pages import documented_permissions
from tests.support.proxy import Proxy

WRITE = TTL(hours=1)
READ = TTL(hours=1, renew="read")
NEVER = TTL(hours=1, renew="never")
WITH_A_TTL = ("EVALSHA", "EVAL", "PEXPIRE", "PTTL")


def sends(table: ModuleType, case: AnyCase, policy: TTL | None) -> tuple[str, ...]:
    """What a call sends with a policy."""
    if policy is None or (case.clock == "read" and policy is not READ):
        return case.sends
    if case.timed is not None:
        return case.timed
    if case.clock == "look" or any(line.startswith("EVALSHA") for line in case.sends):
        return case.sends
    return (f"EVALSHA with_ttl {getattr(table, 'CLOCK', table.KEY)}",)


@every_table
async def test_what_it_sends(
    redis: Redis, monitor: Monitor, monkeypatch: pytest.MonkeyPatch, table: ModuleType
) -> None:
    """The commands that the table names are what the server receives, in as many round trips as it says.

    With a TTL policy that concerns the call, the call and its clock are one command, or one script.
    """
    await RedisHash(redis, "any", int).exists()
    await collect(RedisKeySpace(redis, "any:", int).keys())  # before the first search each connection is asked once
    trips = count_trips(monkeypatch)

    async def holds(case: AnyCase) -> None:
        for policy in (None, WRITE, READ, NEVER) if case.clock or case.timed else (None,):
            if table is key_space and policy is NEVER and case.clock == "write":
                continue  # a script, because Redis has no such command: see test_key_space_ttl
            collection = table.build(redis, policy)
            await refill(redis, table)
            await monitor.commands()
            trips.clear()

            await case.call(collection)

            received = [spoken(words) for words in await monitor.commands()]
            assert [line for line in received if line not in ("MULTI", "EXEC")] == [*sends(table, case, policy)]
            assert case.trips is None or len(trips) == case.trips

    await prove(table, holds)


@pytest.mark.rows(5)
@every_table
async def test_a_key_of_another_type(redis: Redis, table: ModuleType) -> None:
    """It is left alone, its time to live too, and a call that needs the right type raises an error with the key."""

    async def holds(case: AnyCase) -> None:
        for policy in (None, WRITE, READ, NEVER):
            await refill(redis, table)
            keys = await all_keys(redis)
            await redis.delete(*keys)
            for stored in keys:
                await redis.xadd(stored, {"other": "type"})
                await redis.pexpire(stored, 50_000)
            before = [await redis.dump(stored) for stored in keys]

            error: Exception | None = None
            try:
                await case.call(table.build(redis, policy))
            except WrongKind as wrong:
                error = wrong

            assert (error is not None) == case.touches
            if isinstance(error, WrongKind):
                assert isinstance(error, ResponseError)
                assert str(error).startswith(table.KEY)
                assert error.key is not None
                assert error.key.startswith(table.KEY)
                assert [await redis.dump(stored) for stored in keys] == before
                assert all([0 < await redis.pttl(stored) <= 50_000 for stored in keys])

    await prove(table, holds)


@every_table
async def test_bytes_that_are_no_value(redis: Redis, table: ModuleType) -> None:
    """A call that decodes what is stored raises an error with the key and the bytes; no other call does."""

    async def holds(case: AnyCase) -> None:
        await command(redis, "FLUSHDB")
        await table.spoil(redis)

        error: DecodeError | None = None
        try:
            await case.call(table.build(redis))
        except DecodeError as undecodable:
            error = undecodable
        except (KeyError, IndexError):
            pass

        assert (error is not None) == case.reads
        if error is not None:
            assert table.KEY in str(error)
            assert error.key is not None
            assert error.key.startswith(table.KEY)
            copy = pickle.loads(pickle.dumps(error))
            assert (copy.key, copy.field, copy.raw, str(copy)) == (error.key, error.field, error.raw, str(error))

    await prove(table, holds)


@pytest.mark.engines("shared")
@every_table
async def test_only_the_documented_permissions(server: Server, redis: Redis, table: ModuleType) -> None:
    """A user who may run only the documented commands can make the call.

    A write with a TTL policy needs the scripts and the commands of the clock in addition.
    """
    client = connect(f"redis://gardener:secret@127.0.0.1:{server.port}")
    in_addition = getattr(table, "WITH_A_TTL", WITH_A_TTL)

    async def holds(case: AnyCase) -> None:
        for policy, more in ((None, ()), (WRITE, in_addition), (NEVER, in_addition)):
            if policy and case.clock != "write":
                continue
            await refill(redis, table)
            allowed = [f"+{name.lower()}" for name in (*case.acl, *more)]
            rules = ["reset", "on", ">secret", "~*", "-@all", "+hello", "+ping", "+multi", "+exec", *allowed]
            await command(redis, "ACL", "SETUSER", "gardener", *rules)
            try:
                await case.call(table.build(client, policy))
            except NoPermissionError as refusal:
                raise AssertionError(f"{case.name} needs more: {refusal}") from None

    await prove(table, holds)
    await command(redis, "ACL", "DELUSER", "gardener")


@pytest.mark.rows(2)
@every_table
async def test_a_cut_reply_never_doubles_an_effect(redis: Redis, proxy: Proxy, table: ModuleType) -> None:
    """Wherever its reply is cut, a call has happened once, or, with an error, at most once; the next call is right."""
    client = connect(proxy.url)
    ready = RedisHash(client, "any", int).exists

    async def holds(case: AnyCase) -> None:
        for policy in (None, WRITE) if case.clock == "write" else (None,):
            await refill(redis, table)
            await case.call(table.build(redis, policy))
            after = await state(redis, whole=case.same)
            collection = table.build(client, policy)
            for cut in (0, 1, 4, 9, 16, 30) if case.trips else ():
                await refill(redis, table)
                before = await state(redis, whole=case.same)
                await ready()
                connections = proxy.accepted
                proxy.cut_after(cut)

                lost = False
                try:
                    await case.call(collection)
                except (ConnectionError, TimeoutError):
                    lost = True
                proxy.heal()

                assert await state(redis, whole=case.same) in ([before, after] if lost else [after])
                await ready()
                if proxy.accepted == connections:
                    break  # no reply has so many bytes

    await prove(table, holds)


# --- the time to live -----------------------------------------------------------------------------

DECLARED_MS, SHORT_MS = 100_000, 50_000
CLOCKS: dict[str, TTL | None] = {
    "write": TTL(milliseconds=DECLARED_MS),
    "read": TTL(milliseconds=DECLARED_MS, renew="read"),
    "never": TTL(milliseconds=DECLARED_MS, renew="never"),
    "no policy": None,
}
RESTARTED_BY = {"write": ("write", "read"), "read": ("read",), "look": ()}
"""The policies that restart the clock, for each kind of call."""


def clock_of(left_ms: int) -> str:
    """Which time runs: the declared one, from a moment ago; the shorter one that the test has set; or none."""
    for name, set_ms in (("declared", DECLARED_MS), ("set before", SHORT_MS)):
        if set_ms - 5000 < left_ms <= set_ms:
            return name
    return {-1: "none"}.get(left_ms, f"{left_ms} ms")


@pytest.mark.rows(5)
@pytest.mark.engines("shared")
@every_table
async def test_what_restarts_the_clock(redis: Redis, table: ModuleType) -> None:
    """A write restarts the clock with ``renew="write"`` and "read", a read only with "read", a look never.

    With "never" the clock counts from the creation: a write leaves a running clock alone and starts one where there is
    none. A call without a policy leaves every clock alone. A policy changes nothing else of what a call does.
    """
    watched = getattr(table, "CLOCK", table.KEY)

    async def holds(case: AnyCase) -> None:
        if not case.clock:
            return
        await refill(redis, table)
        await case.call(table.build(redis))
        after = await state(redis, whole=case.same)
        for renew, policy in CLOCKS.items():
            if table is key_space and policy is None and case.clock == "write":
                continue  # Redis' SET takes the time to live away
            restarts = renew in RESTARTED_BY[case.clock]
            starts = restarts or (renew == "never" and case.clock == "write")
            for left_ms, expected in (
                (SHORT_MS, "declared" if restarts else "set before"),
                (0, "declared" if starts else "none"),
            ):
                await refill(redis, table)
                if left_ms:
                    await redis.pexpire(watched, left_ms)
                await case.call(table.build(redis, policy))
                assert clock_of(await redis.pttl(watched)) == expected, f"renew={renew}, {left_ms} ms were left"
                assert await state(redis, whole=case.same) == after

    await prove(table, holds)


# --- the tables -----------------------------------------------------------------------------------


@every_table
def test_every_method_is_in_the_table(table: ModuleType) -> None:
    """A new public method has a place where it must be entered."""
    collection = RedisKey if table is key else cast("type[object]", type(table.build(Redis())))
    inherited: set[str] = set() if table is key else set(dir(RedisKey))
    methods = {
        name
        for name, _ in inspect.getmembers(collection, inspect.isfunction)
        if not name.startswith("_") and name not in inherited and name != "field"
    }
    entered = {word for case in table.CALLS for word in re.findall(r"\w+", case.name)}

    assert methods <= entered


PAGES = {"key": "list", "sorted set": "sorted_set", "key space": "key_space"}


@pytest.mark.parametrize("name", TABLES)
def test_the_page_has_every_method(name: str) -> None:
    """The table of the page names each method, and the commands that a user must be allowed."""
    documented = documented_permissions("queue" if "queue" in name else PAGES.get(name, name))

    for case in TABLES[name].CALLS:
        method = "async for" if case.name.startswith("async for") else re.split(r"\W", case.name)[0]
        assert method in documented
        assert {name.lower() for name in case.acl} <= documented[method], case.name
