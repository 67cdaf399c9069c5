"""TTL policies per item: each field of a hash has its own time to live."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from typing import TypeAlias

import pytest
from redis.asyncio import Redis
from redis.exceptions import ResponseError

from purse._engine.replies import as_array, as_int
from purse.collections import RedisHash
from purse.errors import UnsupportedServer
from purse.ttl import TTL
from tests.collections.tables.hash import CALLS, KEY, fill
from tests.collections.test_ttl import DECLARED_MS, SHORT_MS, fresh, old
from tests.support.units import read, send

HashCall: TypeAlias = Callable[[RedisHash[int]], Awaitable[object]]

ITEM_WRITE = TTL(milliseconds=DECLARED_MS, per_item=True)
ITEM_READ = TTL(milliseconds=DECLARED_MS, renew="read", per_item=True)
ITEM_NEVER = TTL(milliseconds=DECLARED_MS, renew="never", per_item=True)
every_item_mode = pytest.mark.parametrize("policy", [ITEM_WRITE, ITEM_READ, ITEM_NEVER], ids=["write", "read", "never"])
STORING: dict[str, HashCall] = {
    "set": lambda h: h.set("a", 5),
    "increment": lambda h: h.increment("a"),
    "modify": lambda h: h.modify("a", lambda n: n + 1),
    "update": lambda h: h.update({"a": 5, "new": 6}),
}
storing = pytest.mark.parametrize("call", STORING.values(), ids=STORING.keys())


async def items_can_expire(redis: Redis) -> bool:
    try:
        await read(redis, "HPTTL", "nothing", "FIELDS", 1, "field")
    except ResponseError:
        return False
    return True


@pytest.fixture
async def modern(redis: Redis) -> Redis:
    """A client of a server whose hash fields can expire."""
    if not await items_can_expire(redis):
        pytest.skip("this server does not know HPEXPIRE; set PURSE_REDIS_SERVER to Redis >= 7.4 or Valkey >= 9")
    return redis


@pytest.fixture
async def dated(redis: Redis) -> Redis:
    """A client of a server whose hash fields cannot expire."""
    if await items_can_expire(redis):
        pytest.skip("this server knows HPEXPIRE; what an older one does is tested on an older one")
    return redis


async def left_of(redis: Redis, *fields: str) -> list[int]:
    """The milliseconds that fields have left; -1 for ever, -2 for no such field."""
    replies = as_array(await read(redis, "HPTTL", KEY, "FIELDS", len(fields), *fields))
    return [as_int(left_ms) for left_ms in replies]


async def items_of(redis: Redis, policy: TTL, left_ms: int = SHORT_MS) -> RedisHash[int]:
    """A filled hash whose fields have this much time left; 0 for no TTL."""
    await fill(redis)
    if left_ms:
        await send(redis, "HPEXPIRE", KEY, left_ms, "FIELDS", 2, "a", "b")
    return RedisHash(redis, KEY, int, ttl=policy)


@pytest.mark.parametrize("policy", [ITEM_WRITE, ITEM_READ], ids=["write", "read"])
@storing
async def test_a_write_restarts_the_clock_of_its_field(modern: Redis, policy: TTL, call: HashCall) -> None:
    """A write restarts the clock of the field that it stores; the others keep theirs, and so does the key."""
    visits = await items_of(modern, policy)

    await call(visits)

    written, other = await left_of(modern, "a", "b")
    assert fresh(written)
    assert old(other)
    assert await visits.pttl() == -1


@storing
async def test_a_field_never_renewed(modern: Redis, call: HashCall) -> None:
    """With ``renew="never"`` a field's clock counts from its creation, although HSET forgets it."""
    visits = await items_of(modern, ITEM_NEVER)
    await call(visits)
    assert [old(left_ms) for left_ms in await left_of(modern, "a", "b")] == [True, True]

    await visits.clear()
    await items_of(modern, ITEM_NEVER, left_ms=0)
    await call(visits)
    written, other = await left_of(modern, "a", "b")
    assert fresh(written)
    assert other == -1


@every_item_mode
async def test_new_fields_get_the_declared_time(modern: Redis, policy: TTL) -> None:
    """Each field that is stored starts its own clock, in long bulk writes too."""
    visits = RedisHash(modern, KEY, int, ttl=policy)

    await visits.set("set", 1)
    await visits.setdefault("setdefault", 1)
    await visits.increment("increment")
    await visits.modify("modify", lambda n: n + 1, default=0)
    await visits.update({str(n): n for n in range(1200)})

    left = await left_of(modern, "set", "setdefault", "increment", "modify", "0", "600", "1199")
    assert all(fresh(left_ms) for left_ms in left)
    assert await visits.len() == 1204


@every_item_mode
async def test_removing_fields_leaves_the_other_clocks(modern: Redis, policy: TTL) -> None:
    """``pop``, ``delete`` and ``delete_many`` work as ever and restart no clock of other fields."""
    visits = await items_of(modern, policy)
    await visits.update({"c": 3, "d": 4})

    assert await visits.pop("a") == 1
    assert await visits.pop("a") is None
    assert await visits.delete("c") == 1
    assert await visits.delete_many(["d", "x"]) == 1

    assert old((await left_of(modern, "b"))[0])
    assert await visits.dict() == {"b": 2}


async def test_reads_restart_the_clocks_of_their_fields(modern: Redis) -> None:
    """Under ``renew="read"`` a read restarts the clocks of the fields whose values it returns."""
    visits = await items_of(modern, ITEM_READ)

    assert await visits.get("a") == 1
    assert [fresh(left_ms) for left_ms in await left_of(modern, "a", "b")] == [True, False]

    await items_of(modern, ITEM_READ)
    assert await visits.get_many(["b", "absent"]) == {"b": 2}
    assert [fresh(left_ms) for left_ms in await left_of(modern, "a", "b")] == [False, True]

    await items_of(modern, ITEM_READ)
    assert await visits.setdefault("a", 9) == 1
    assert [fresh(left_ms) for left_ms in await left_of(modern, "a", "b")] == [True, False]

    await items_of(modern, ITEM_READ)
    assert await visits.dict() == {"a": 1, "b": 2}
    assert [fresh(left_ms) for left_ms in await left_of(modern, "a", "b")] == [True, True]


async def test_reading_a_big_hash_restarts_every_clock(modern: Redis) -> None:
    """``dict`` and ``get_many`` of more fields than one command takes restart the clocks of all of them."""
    visits = RedisHash(modern, KEY, int, ttl=ITEM_READ)
    everything = {str(n): n for n in range(1200)}
    for returned in (visits.dict, lambda: visits.get_many(everything)):
        await visits.update(everything)
        for start in range(0, 1200, 600):
            names = [str(n) for n in range(start, start + 600)]
            await send(modern, "HPEXPIRE", KEY, SHORT_MS, "FIELDS", 600, *names)

        assert await returned() == everything

        assert all(fresh(left_ms) for left_ms in await left_of(modern, "0", "499", "500", "1000", "1199"))


@pytest.mark.parametrize("policy", [ITEM_WRITE, ITEM_NEVER], ids=["write", "never"])
async def test_other_reads_restart_no_clock(modern: Redis, policy: TTL) -> None:
    """Under the other modes reads leave the clocks of fields alone, and looking does so always."""
    visits = await items_of(modern, policy)
    for case in CALLS:
        if case.clock == "read":
            await case.call(visits)
    watched = await items_of(modern, ITEM_READ)
    for case in CALLS:
        if case.clock == "look":
            await case.call(watched)

    assert [old(left_ms) for left_ms in await left_of(modern, "a", "b")] == [True, True]


@every_item_mode
async def test_restored_fields_keep_their_clocks(modern: Redis, policy: TTL) -> None:
    """A dump holds the clocks of the fields: ``restore`` brings them back, and a field without one has none."""
    visits = await items_of(modern, policy)
    await modern.hset(KEY, "c", "3")
    dumped = await visits.dump()
    assert dumped is not None
    await visits.clear()

    await visits.restore(dumped)

    assert [old(left_ms) for left_ms in await left_of(modern, "a", "b")] == [True, True]
    assert await left_of(modern, "c") == [-1]


async def test_fields_do_expire(modern: Redis) -> None:
    """A field is gone when its time is over; the others stay."""
    await modern.hset(KEY, "b", "2")
    visits = RedisHash(modern, KEY, int, ttl=TTL(milliseconds=1, per_item=True))

    await visits.set("a", 1)
    while await visits.contains("a"):
        pass

    assert await visits.dict() == {"b": 2}


STORING_OR_NEW: dict[str, HashCall] = {
    **STORING,
    "setdefault": lambda h: h.setdefault("new", 5),
    "modify default": lambda h: h.modify("new", lambda n: n + 1, default=0),
    "update of 1200": lambda h: h.update({str(n): n for n in range(1200)}),
    "increment of nothing": lambda h: h.increment("new"),
}


@pytest.mark.rows(6)
@every_item_mode
@pytest.mark.parametrize("call", STORING_OR_NEW.values(), ids=STORING_OR_NEW.keys())
async def test_a_server_whose_fields_cannot_expire(dated: Redis, policy: TTL, call: HashCall) -> None:
    """On a server without HPEXPIRE a write raises UnsupportedServer, says what is needed, and writes nothing."""
    await fill(dated)
    visits = RedisHash(dated, KEY, int, ttl=policy)

    with pytest.raises(UnsupportedServer, match=r"^visits.* Redis >= 7\.4 or Valkey >= 9") as caught:
        await call(visits)

    assert caught.value.key == KEY
    assert isinstance(caught.value, ResponseError)
    assert await visits.pttl() == -1
    assert await dated.hgetall(KEY) == {b"a": b"1", b"b": b"2"}


@pytest.mark.parametrize("policy", [ITEM_WRITE, ITEM_NEVER], ids=["write", "never"])
async def test_what_an_old_server_can_do(dated: Redis, policy: TTL) -> None:
    """Reading and removing need no clocks and work on any server."""
    await fill(dated)
    visits = RedisHash(dated, KEY, int, ttl=policy)

    assert await visits.get("a") == 1
    assert await visits.dict() == {"a": 1, "b": 2}
    assert await visits.pop("a") == 1
    assert await visits.delete("x") == 0
    assert await visits.delete_many(["b"]) == 1
