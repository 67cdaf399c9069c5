"""TTL policies: every write carries the declared time to live, and nothing else does."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from datetime import timedelta
from typing import cast

import pytest
from redis.asyncio import Redis
from redis.exceptions import NoPermissionError, ResponseError

from purse._engine.replies import as_array, as_int
from purse.collections import RedisHash, RedisList
from purse.errors import DecodeError, UnsupportedServer, WrongKind
from purse.ttl import TTL
from tests.collections.calls import (
    ELEMENTS,
    FIELDS,
    HASH_LOOKS,
    HASH_READS,
    HASH_WRITES,
    KEY_LOOKS,
    LIST_LOOKS,
    LIST_READS,
    LIST_WRITES,
    HashCall,
    ListCall,
)
from tests.support.clients import connect
from tests.support.units import read, send

DECLARED_MS = 100_000
SHORT_MS = 50_000
WRITE = TTL(milliseconds=DECLARED_MS)
READ = TTL(milliseconds=DECLARED_MS, renew="read")
NEVER = TTL(milliseconds=DECLARED_MS, renew="never")

renewing = pytest.mark.parametrize("policy", [WRITE, READ], ids=["write", "read"])
every_mode = pytest.mark.parametrize("policy", [WRITE, READ, NEVER], ids=["write", "read", "never"])


def fresh(left_ms: int) -> bool:
    """Whether the declared time was set a moment ago."""
    return DECLARED_MS - 5000 < left_ms <= DECLARED_MS


def old(left_ms: int) -> bool:
    """Whether the shorter time that the test has set still runs."""
    return SHORT_MS - 5000 < left_ms <= SHORT_MS


async def hash_of(redis: Redis, policy: TTL, left_ms: int = SHORT_MS) -> RedisHash[int]:
    """A filled hash with this much time left; 0 for no TTL."""
    await send(redis, "HSET", "thing", *FIELDS)
    if left_ms:
        await redis.pexpire("thing", left_ms)
    return RedisHash(redis, "thing", int, ttl=policy)


async def list_of(redis: Redis, policy: TTL, left_ms: int = SHORT_MS, maxlen: int | None = None) -> RedisList[int]:
    """A filled list with this much time left; 0 for no TTL."""
    await redis.rpush("thing", *ELEMENTS)
    if left_ms:
        await redis.pexpire("thing", left_ms)
    return RedisList(redis, "thing", int, ttl=policy, maxlen=maxlen)


hash_writes = pytest.mark.parametrize("call", HASH_WRITES.values(), ids=HASH_WRITES.keys())
list_writes = pytest.mark.parametrize("call", LIST_WRITES.values(), ids=LIST_WRITES.keys())


# --- writes -------------------------------------------------------------------------------------


@renewing
@hash_writes
async def test_a_write_to_a_hash_restarts_the_clock(redis: Redis, policy: TTL, call: HashCall) -> None:
    """After each write the declared time runs anew."""
    visits = await hash_of(redis, policy)

    await call(visits)

    assert fresh(await visits.pttl())


@renewing
@list_writes
@pytest.mark.parametrize("maxlen", [None, 10])
async def test_a_write_to_a_list_restarts_the_clock(
    redis: Redis, policy: TTL, call: ListCall, maxlen: int | None
) -> None:
    """After each write the declared time runs anew, in a bounded list too."""
    numbers = await list_of(redis, policy, maxlen=maxlen)

    await call(numbers)

    assert fresh(await numbers.pttl())


@hash_writes
async def test_never_renewing_a_hash(redis: Redis, call: HashCall) -> None:
    """With ``renew="never"`` a write leaves a running clock alone and starts one where there is none."""
    visits = await hash_of(redis, NEVER)
    await call(visits)
    assert old(await visits.pttl())

    await visits.clear()
    await hash_of(redis, NEVER, left_ms=0)
    await call(visits)
    assert fresh(await visits.pttl())


@list_writes
async def test_never_renewing_a_list(redis: Redis, call: ListCall) -> None:
    """With ``renew="never"`` a write leaves a running clock alone and starts one where there is none."""
    numbers = await list_of(redis, NEVER)
    await call(numbers)
    assert old(await numbers.pttl())

    await numbers.clear()
    await list_of(redis, NEVER, left_ms=0)
    await call(numbers)
    assert fresh(await numbers.pttl())


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


async def test_no_policy_leaves_every_clock_alone(redis: Redis) -> None:
    """Without a policy a write neither sets a time to live nor takes one away."""
    visits = RedisHash(redis, "visits", int)
    await visits.set("a", 1)
    assert await visits.pttl() == -1

    await visits.expire(timedelta(milliseconds=SHORT_MS))
    for call in HASH_WRITES.values():
        await visits.set("a", 1)
        await call(visits)
        assert old(await visits.pttl())


# --- reads --------------------------------------------------------------------------------------


@pytest.mark.parametrize("call", HASH_READS.values(), ids=HASH_READS.keys())
async def test_reads_of_a_hash(redis: Redis, call: HashCall) -> None:
    """A method that returns stored values restarts the clock under ``renew="read"``, and only there."""
    for policy, expected in ((READ, fresh), (WRITE, old), (NEVER, old)):
        visits = await hash_of(redis, policy)
        await call(visits)
        assert expected(await visits.pttl())


@pytest.mark.parametrize("call", LIST_READS.values(), ids=LIST_READS.keys())
async def test_reads_of_a_list(redis: Redis, call: ListCall) -> None:
    """A method that returns stored elements restarts the clock under ``renew="read"``, and only there."""
    for policy, expected in ((READ, fresh), (WRITE, old), (NEVER, old)):
        numbers = await list_of(redis, policy)
        await call(numbers)
        assert expected(await numbers.pttl())


async def test_setdefault_of_a_present_key_is_a_read(redis: Redis) -> None:
    """``setdefault`` that finds a value restarts the clock as a read does: only under ``renew="read"``."""
    for policy, expected in ((READ, fresh), (WRITE, old), (NEVER, old)):
        visits = await hash_of(redis, policy)
        assert await visits.setdefault("a", 5) == 1
        assert expected(await visits.pttl())


@every_mode
@pytest.mark.parametrize("call", (HASH_LOOKS | KEY_LOOKS).values(), ids=(HASH_LOOKS | KEY_LOOKS).keys())
async def test_looking_at_a_hash(redis: Redis, policy: TTL, call: HashCall) -> None:
    """What only looks (``contains``, ``len``, ``ttl``, scans, ...) never restarts a clock, nor starts one."""
    visits = await hash_of(redis, policy)
    await call(visits)
    assert old(await visits.pttl())

    await visits.persist()
    await call(visits)
    assert await visits.pttl() == -1


@every_mode
@pytest.mark.parametrize("call", (LIST_LOOKS | KEY_LOOKS).values(), ids=(LIST_LOOKS | KEY_LOOKS).keys())
async def test_looking_at_a_list(redis: Redis, policy: TTL, call: ListCall) -> None:
    """What only looks (``contains``, ``len``, ``ttl``, scans, ...) never restarts a clock, nor starts one."""
    numbers = await list_of(redis, policy)
    await call(numbers)
    assert old(await numbers.pttl())

    await numbers.persist()
    await call(numbers)
    assert await numbers.pttl() == -1


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
    await client.aclose()


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


# --- per item -----------------------------------------------------------------------------------

ITEM_WRITE = TTL(milliseconds=DECLARED_MS, per_item=True)
ITEM_READ = TTL(milliseconds=DECLARED_MS, renew="read", per_item=True)
ITEM_NEVER = TTL(milliseconds=DECLARED_MS, renew="never", per_item=True)
every_item_mode = pytest.mark.parametrize("policy", [ITEM_WRITE, ITEM_READ, ITEM_NEVER], ids=["write", "read", "never"])
STORING = ("set", "increment", "modify", "update")
storing = pytest.mark.parametrize("call", [HASH_WRITES[name] for name in STORING], ids=STORING)


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
    replies = as_array(await read(redis, "HPTTL", "thing", "FIELDS", len(fields), *fields))
    return [as_int(left_ms) for left_ms in replies]


async def items_of(redis: Redis, policy: TTL, left_ms: int = SHORT_MS) -> RedisHash[int]:
    """A filled hash whose fields have this much time left; 0 for no TTL."""
    await send(redis, "HSET", "thing", *FIELDS)
    if left_ms:
        await send(redis, "HPEXPIRE", "thing", left_ms, "FIELDS", 2, "a", "b")
    return RedisHash(redis, "thing", int, ttl=policy)


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
    visits = RedisHash(modern, "thing", int, ttl=policy)

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
    visits = RedisHash(modern, "thing", int, ttl=ITEM_READ)
    everything = {str(n): n for n in range(1200)}
    for returned in (visits.dict, lambda: visits.get_many(everything)):
        await visits.update(everything)
        for start in range(0, 1200, 600):
            names = [str(n) for n in range(start, start + 600)]
            await send(modern, "HPEXPIRE", "thing", SHORT_MS, "FIELDS", 600, *names)

        assert await returned() == everything

        assert all(fresh(left_ms) for left_ms in await left_of(modern, "0", "499", "500", "1000", "1199"))


@pytest.mark.parametrize("policy", [ITEM_WRITE, ITEM_NEVER], ids=["write", "never"])
async def test_other_reads_restart_no_clock(modern: Redis, policy: TTL) -> None:
    """Under the other modes reads leave the clocks of fields alone, and looking does so always."""
    visits = await items_of(modern, policy)
    for call in HASH_READS.values():
        await call(visits)
    watched = await items_of(modern, ITEM_READ)
    for look in HASH_LOOKS.values():
        await look(watched)

    assert [old(left_ms) for left_ms in await left_of(modern, "a", "b")] == [True, True]


@every_item_mode
async def test_restored_fields_keep_their_clocks(modern: Redis, policy: TTL) -> None:
    """A dump holds the clocks of the fields: ``restore`` brings them back, and a field without one has none."""
    visits = await items_of(modern, policy)
    await modern.hset("thing", "c", "3")
    dumped = await visits.dump()
    assert dumped is not None
    await visits.clear()

    await visits.restore(dumped)

    assert [old(left_ms) for left_ms in await left_of(modern, "a", "b")] == [True, True]
    assert await left_of(modern, "c") == [-1]


async def test_fields_do_expire(modern: Redis) -> None:
    """A field is gone when its time is over; the others stay."""
    await modern.hset("thing", "b", "2")
    visits = RedisHash(modern, "thing", int, ttl=TTL(milliseconds=1, per_item=True))

    await visits.set("a", 1)
    while await visits.contains("a"):
        pass

    assert await visits.dict() == {"b": 2}


STORING_OR_NEW: dict[str, HashCall] = {
    **{name: HASH_WRITES[name] for name in STORING},
    "setdefault": HASH_WRITES["setdefault"],
    "modify default": lambda h: h.modify("new", lambda n: n + 1, default=0),
    "update of 1200": lambda h: h.update({str(n): n for n in range(1200)}),
    "increment of nothing": lambda h: h.increment("new"),
}


@every_item_mode
@pytest.mark.parametrize("call", STORING_OR_NEW.values(), ids=STORING_OR_NEW.keys())
async def test_a_server_whose_fields_cannot_expire(dated: Redis, policy: TTL, call: HashCall) -> None:
    """On a server without HPEXPIRE a write raises UnsupportedServer, says what is needed, and writes nothing."""
    await send(dated, "HSET", "thing", *FIELDS)
    visits = RedisHash(dated, "thing", int, ttl=policy)

    with pytest.raises(UnsupportedServer, match=r"^thing.* Redis >= 7\.4 or Valkey >= 9") as caught:
        await call(visits)

    assert caught.value.key == "thing"
    assert isinstance(caught.value, ResponseError)
    assert await visits.pttl() == -1
    assert await dated.hgetall("thing") == {b"a": b"1", b"b": b"2"}


@pytest.mark.parametrize("policy", [ITEM_WRITE, ITEM_NEVER], ids=["write", "never"])
async def test_what_an_old_server_can_do(dated: Redis, policy: TTL) -> None:
    """Reading and removing need no clocks and work on any server."""
    await send(dated, "HSET", "thing", *FIELDS)
    visits = RedisHash(dated, "thing", int, ttl=policy)

    assert await visits.get("a") == 1
    assert await visits.dict() == {"a": 1, "b": 2}
    assert await visits.pop("a") == 1
    assert await visits.delete("x") == 0
    assert await visits.delete_many(["b"]) == 1
