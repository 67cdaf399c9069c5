"""What goes over the wire: the commands that each method's docstring names, in one round trip."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from typing import Any, TypeAlias

import pytest
from redis.asyncio import Redis

from purse._engine.dedicated import DedicatedLink
from purse._engine.packing import Packed
from purse._engine.shared import SharedLink
from purse.collections import RedisHash, RedisList
from purse.embedded import Server
from purse.ttl import TTL
from tests.collections.garden import Plant, collect
from tests.support.clients import connect
from tests.support.monitor import Monitor

Call: TypeAlias = Callable[[RedisHash[int], RedisList[int]], Awaitable[object]]

HOUR = TTL(hours=1)


@pytest.fixture
def trips(monkeypatch: pytest.MonkeyPatch) -> list[int]:
    """How many replies were asked for by each round trip."""
    return count_trips(monkeypatch)


def count_trips(monkeypatch: pytest.MonkeyPatch) -> list[int]:
    """A list that grows by each round trip: how many replies it asks for."""
    trips: list[int] = []

    def count(kind: type[SharedLink] | type[DedicatedLink]) -> None:
        original = kind.request

        def counted(link: Any, packed: Packed) -> object:
            trips.append(packed[1])
            return original(link, packed)

        monkeypatch.setattr(kind, "request", counted)

    count(SharedLink)
    count(DedicatedLink)
    return trips


async def sent(
    redis: Redis, monitor: Monitor, call: Call, ttl: TTL | None = None, maxlen: int | None = None
) -> list[str]:
    """What ``call`` sends, one string for each command."""
    visits = RedisHash(redis, "visits", int, ttl=ttl)
    numbers = RedisList(redis, "numbers", int, ttl=ttl, maxlen=maxlen)
    await redis.hset("visits", mapping={"a": "1", "b": "2"})
    await redis.rpush("numbers", "1", "2", "3")
    await visits.exists()
    await monitor.commands()

    await call(visits, numbers)

    return [" ".join(command) for command in await monitor.commands()]


async def _edit(h: RedisHash[int], xs: RedisList[int]) -> None:
    beds = RedisHash(h.redis, "beds", list[int])
    async with beds.edit("a", default=[]) as bed:
        bed.append(1)


ONE_COMMAND: dict[str, tuple[Call, str]] = {
    "hash.set": (lambda h, xs: h.set("a", 5), "HSET visits a 5"),
    "hash.get": (lambda h, xs: h.get("a"), "HGET visits a"),
    "hash.delete": (lambda h, xs: h.delete("a"), "HDEL visits a"),
    "hash.contains": (lambda h, xs: h.contains("a"), "HEXISTS visits a"),
    "hash.increment": (lambda h, xs: h.increment("a", -3), "HINCRBY visits a -3"),
    "hash.update": (lambda h, xs: h.update({"x": 1, "y": 2}), "HSET visits x 1 y 2"),
    "hash.get_many": (lambda h, xs: h.get_many(["a", "x"]), "HMGET visits a x"),
    "hash.delete_many": (lambda h, xs: h.delete_many(["a", "x"]), "HDEL visits a x"),
    "hash.len": (lambda h, xs: h.len(), "HLEN visits"),
    "hash.dict": (lambda h, xs: h.dict(), "HGETALL visits"),
    "hash.keys": (lambda h, xs: collect(h.keys()), "HSCAN visits 0 COUNT 500"),
    "hash.values": (lambda h, xs: collect(h.values("a*")), "HSCAN visits 0 COUNT 500 MATCH a*"),
    "hash.items": (lambda h, xs: collect(h.items(batch_hint=10)), "HSCAN visits 0 COUNT 10"),
    "async for hash": (lambda h, xs: collect(h), "HSCAN visits 0 COUNT 500"),
    "hash.setdefault": (lambda h, xs: h.setdefault("a", 5), "EVALSHA hash_setdefault 1 visits a 5  "),
    "list.append": (lambda h, xs: xs.append(5), "RPUSH numbers 5"),
    "list.appendleft": (lambda h, xs: xs.appendleft(5), "LPUSH numbers 5"),
    "list.extend": (lambda h, xs: xs.extend([5, 6]), "RPUSH numbers 5 6"),
    "list.extendleft": (lambda h, xs: xs.extendleft([5, 6]), "LPUSH numbers 5 6"),
    "list.pop": (lambda h, xs: xs.pop(), "RPOP numbers"),
    "list.popleft": (lambda h, xs: xs.popleft(), "LPOP numbers"),
    "list.move": (lambda h, xs: xs.move(xs), "LMOVE numbers numbers LEFT RIGHT"),
    "list.getitem": (lambda h, xs: xs.getitem(-1), "LINDEX numbers -1"),
    "list.setitem": (lambda h, xs: xs.setitem(1, 5), "LSET numbers 1 5"),
    "list.slice": (lambda h, xs: xs.slice(1, 3), "LRANGE numbers 1 2"),
    "list.slice to the end": (lambda h, xs: xs.slice(1), "LRANGE numbers 1 -1"),
    "list.slice to the second last": (lambda h, xs: xs.slice(0, -1), "LRANGE numbers 0 -2"),
    "list.trim": (lambda h, xs: xs.trim(1, 3), "LTRIM numbers 1 2"),
    "list.contains": (lambda h, xs: xs.contains(2), "LPOS numbers 2"),
    "list.index": (lambda h, xs: xs.index(2), "LPOS numbers 2"),
    "list.remove": (lambda h, xs: xs.remove(2, -1), "LREM numbers -1 2"),
    "list.len": (lambda h, xs: xs.len(), "LLEN numbers"),
    "list.values": (lambda h, xs: collect(xs.values()), "LRANGE numbers 0 499"),
    "async for list": (lambda h, xs: collect(xs), "LRANGE numbers 0 499"),
    "expire": (lambda h, xs: h.expire(1.5), "PEXPIRE visits 1500"),
    "ttl": (lambda h, xs: h.ttl(), "TTL visits"),
    "pttl": (lambda h, xs: h.pttl(), "PTTL visits"),
    "expires_in": (lambda h, xs: h.expires_in(), "PTTL visits"),
    "persist": (lambda h, xs: h.persist(), "PERSIST visits"),
    "dump": (lambda h, xs: h.dump(), "DUMP visits"),
    "key_type": (lambda h, xs: h.key_type(), "TYPE visits"),
    "exists": (lambda h, xs: h.exists(), "EXISTS visits"),
    "delete_redis_key": (lambda h, xs: h.delete_redis_key(), "UNLINK visits"),
    "clear": (lambda h, xs: xs.clear(), "UNLINK numbers"),
}


@pytest.mark.parametrize(("call", "command"), ONE_COMMAND.values(), ids=ONE_COMMAND.keys())
async def test_one_command(redis: Redis, monitor: Monitor, trips: list[int], call: Call, command: str) -> None:
    """The method sends this one command in one round trip."""
    commands = await sent(redis, monitor, call)

    assert commands == [command]
    assert trips[1:] == [1]


SEVERAL: dict[str, tuple[Call, list[str]]] = {
    "hash.pop": (lambda h, xs: h.pop("a"), ["HGET visits a", "HDEL visits a"]),
}
WITH_A_POLICY: dict[str, tuple[Call, list[str]]] = {
    "hash.set": (lambda h, xs: h.set("a", 5), ["HSET visits a 5"]),
    "hash.delete": (lambda h, xs: h.delete("a"), ["HDEL visits a"]),
    "hash.pop": (lambda h, xs: h.pop("a"), ["HGET visits a", "HDEL visits a"]),
    "hash.increment": (lambda h, xs: h.increment("a"), ["HINCRBY visits a 1"]),
    "hash.update": (lambda h, xs: h.update({"x": 1}), ["HSET visits x 1"]),
    "hash.delete_many": (lambda h, xs: h.delete_many(["a"]), ["HDEL visits a"]),
    "list.append": (lambda h, xs: xs.append(5), ["RPUSH numbers 5"]),
    "list.appendleft": (lambda h, xs: xs.appendleft(5), ["LPUSH numbers 5"]),
    "list.extend": (lambda h, xs: xs.extend([5, 6]), ["RPUSH numbers 5 6"]),
    "list.extendleft": (lambda h, xs: xs.extendleft([5, 6]), ["LPUSH numbers 5 6"]),
    "list.pop": (lambda h, xs: xs.pop(), ["RPOP numbers"]),
    "list.popleft": (lambda h, xs: xs.popleft(), ["LPOP numbers"]),
    "list.move": (lambda h, xs: xs.move(xs), ["LMOVE numbers numbers LEFT RIGHT"]),
    "list.setitem": (lambda h, xs: xs.setitem(1, 5), ["LSET numbers 1 5"]),
    "list.trim": (lambda h, xs: xs.trim(1), ["LTRIM numbers 1 -1"]),
    "list.remove": (lambda h, xs: xs.remove(2), ["LREM numbers 0 2"]),
}


def with_ttl(*commands: str) -> str:
    """These commands in one script with the policy ``HOUR``; the words of each are counted."""
    [key] = {command.split()[1] for command in commands}
    return f"EVALSHA with_ttl 1 {key} key:3600000 " + " ".join(f"{len(c.split())} {c}" for c in commands)


@pytest.mark.parametrize(("call", "commands"), SEVERAL.values(), ids=SEVERAL.keys())
async def test_several_commands(
    redis: Redis, monitor: Monitor, trips: list[int], call: Call, commands: list[str]
) -> None:
    """The method sends these commands as one MULTI, in one round trip."""
    assert await sent(redis, monitor, call) == ["MULTI", *commands, "EXEC"]
    assert trips[1:] == [len(commands) + 2]


@pytest.mark.parametrize(("call", "commands"), WITH_A_POLICY.values(), ids=WITH_A_POLICY.keys())
async def test_commands_with_a_policy(
    redis: Redis, monitor: Monitor, trips: list[int], call: Call, commands: list[str]
) -> None:
    """With a TTL policy the write and its clock are one script, in one round trip."""
    assert await sent(redis, monitor, call, ttl=HOUR) == [with_ttl(*commands)]
    assert trips[1:] == [1]


RENEWING: dict[str, tuple[Call, str]] = {
    "hash.get": (lambda h, xs: h.get("a"), "HGET visits a"),
    "hash.get_many": (lambda h, xs: h.get_many(["a"]), "HMGET visits a"),
    "hash.dict": (lambda h, xs: h.dict(), "HGETALL visits"),
    "list.getitem": (lambda h, xs: xs.getitem(0), "LINDEX numbers 0"),
    "list.slice": (lambda h, xs: xs.slice(0), "LRANGE numbers 0 -1"),
}


@pytest.mark.parametrize(("call", "command"), RENEWING.values(), ids=RENEWING.keys())
async def test_reads_that_renew(redis: Redis, monitor: Monitor, trips: list[int], call: Call, command: str) -> None:
    """With ``renew="read"`` the read and its clock are one script; with the others a read is one command."""
    assert await sent(redis, monitor, call, ttl=TTL(hours=1, renew="read")) == [with_ttl(command)]
    assert trips[1:] == [1]
    assert await sent(redis, monitor, call, ttl=HOUR) == [command]
    assert await sent(redis, monitor, call, ttl=TTL(hours=1, renew="never")) == [command]


@pytest.mark.parametrize("ttl", [None, HOUR], ids=["no policy", "policy"])
async def test_scripts(redis: Redis, monitor: Monitor, trips: list[int], ttl: TTL | None) -> None:
    """What checks and writes is one EVALSHA that carries the policy; ``modify`` and ``edit`` read before it."""
    policy = "key:3600000" if ttl else ""

    assert await sent(redis, monitor, lambda h, xs: h.setdefault("a", 5), ttl) == [
        f"EVALSHA hash_setdefault 1 visits a 5 {policy} "
    ]
    assert trips[1:] == [1]
    [insert] = await sent(redis, monitor, lambda h, xs: xs.insert(-1, 5), ttl)
    assert insert.startswith("EVALSHA list_insert 1 numbers -1 5 ")
    assert insert.endswith(f" 0 {policy}")
    trips.clear()
    assert await sent(redis, monitor, lambda h, xs: h.modify("a", lambda n: n + 1), ttl) == [
        "HGET visits a",
        f"EVALSHA hash_replace 1 visits a 1 1 2 {policy}",
    ]
    assert trips[1:] == [1, 1]
    assert await sent(redis, monitor, lambda h, xs: h.modify("new", lambda n: n + 1, default=4), ttl) == [
        "HGET visits new",
        f"EVALSHA hash_replace 1 visits new 0  5 {policy}",
    ]
    assert await sent(redis, monitor, _edit) == ["HGET beds a", "EVALSHA hash_replace 1 beds a 0  [1] "]


async def test_float_increments(redis: Redis, monitor: Monitor) -> None:
    """A hash of floats increments by HINCRBYFLOAT."""
    weights = RedisHash(redis, "weights", float)

    async def increment(h: RedisHash[int], xs: RedisList[int]) -> None:
        await weights.increment("a", 0.25)

    assert await sent(redis, monitor, increment) == ["HINCRBYFLOAT weights a 0.25"]


async def test_a_script_that_the_server_lost(redis: Redis, monitor: Monitor, trips: list[int]) -> None:
    """After NOSCRIPT the same call goes out once more as EVAL, and the next one is EVALSHA again."""
    visits = RedisHash(redis, "visits", int)
    await visits.exists()
    await redis.script_flush()
    await monitor.commands()
    trips.clear()

    assert await visits.setdefault("a", 1) == 1
    assert await visits.setdefault("a", 2) == 1

    # Redis does not show to MONITOR an EVALSHA that it answers with NOSCRIPT.
    named = [command[:2] for command in await monitor.commands()]
    assert named[-2:] == [("EVAL", "hash_setdefault"), ("EVALSHA", "hash_setdefault")]
    assert trips == [1, 1, 1]


async def test_bounded_lists_trim_in_the_same_transaction(redis: Redis, monitor: Monitor) -> None:
    """With ``maxlen`` a push and the trim at the other end are one MULTI."""

    async def push(call: Call) -> list[str]:
        return await sent(redis, monitor, call, maxlen=7)

    assert await push(lambda h, xs: xs.append(5)) == ["MULTI", "RPUSH numbers 5", "LTRIM numbers -7 -1", "EXEC"]
    assert await push(lambda h, xs: xs.extendleft([5])) == ["MULTI", "LPUSH numbers 5", "LTRIM numbers 0 6", "EXEC"]
    assert await push(lambda h, xs: xs.move(xs, dest="left")) == [
        "MULTI",
        "LMOVE numbers numbers LEFT LEFT",
        "LTRIM numbers 0 6",
        "EXEC",
    ]
    assert await sent(redis, monitor, lambda h, xs: xs.append(5), HOUR, maxlen=7) == [
        with_ttl("RPUSH numbers 5", "LTRIM numbers -7 -1")
    ]


async def test_nothing_to_do_sends_nothing(redis: Redis, monitor: Monitor, trips: list[int]) -> None:
    """Empty arguments, an unchanged value in ``modify``'s second half, and construction send nothing."""

    async def nothing(h: RedisHash[int], xs: RedisList[int]) -> None:
        RedisHash(redis, "new", Plant, ttl=HOUR)
        await h.update({})
        await h.get_many([])
        await h.delete_many(iter(()))
        await xs.extend([])
        await xs.extendleft([])

    assert await sent(redis, monitor, nothing, ttl=HOUR, maxlen=3) == []
    assert await sent(redis, monitor, lambda h, xs: h.modify("a", lambda n: n), HOUR) == ["HGET visits a"]


async def test_unchanged_edits_send_nothing(redis: Redis, monitor: Monitor) -> None:
    """A block of ``edit`` that changes nothing, or raises, sends nothing after its HGET."""
    plants = RedisHash(redis, "plants", Plant)
    await plants.set("bed", Plant(name="pea"))
    await monitor.commands()

    async with plants.edit("bed") as plant:
        plant.name = "pea"
    with pytest.raises(ZeroDivisionError):
        async with plants.edit("bed") as plant:
            plant.healthiness = 1 / 0

    assert await monitor.commands() == [("HGET", "plants", "bed")] * 2


# --- pages --------------------------------------------------------------------------------------


def shape(commands: list[tuple[str, ...]]) -> list[tuple[str, int]]:
    """The names of commands with the number of their arguments."""
    return [(command[0], len(command) - 1) for command in commands]


async def test_bulk_calls_are_one_transaction_of_pages(redis: Redis, monitor: Monitor, trips: list[int]) -> None:
    """Of 1200 elements 500 go into one command, and the three commands are one MULTI in one round trip."""
    visits, numbers = RedisHash(redis, "visits", int), RedisList(redis, "numbers", int)
    everything = {str(n): n for n in range(1200)}
    await visits.exists()
    await monitor.commands()
    trips.clear()

    await visits.update(everything)
    await visits.get_many(everything)
    await visits.delete_many(everything)
    await numbers.extend(range(1200))
    await numbers.extendleft(range(1200))

    sizes = (501, 501, 201)
    expected: list[tuple[str, int]] = [("MULTI", 0), ("HSET", 1001), ("HSET", 1001), ("HSET", 401), ("EXEC", 0)]
    for name in ("HMGET", "HDEL", "RPUSH", "LPUSH"):
        expected += [("MULTI", 0), *((name, size) for size in sizes), ("EXEC", 0)]
    assert shape(await monitor.commands()) == expected
    assert trips == [5] * 5


@pytest.mark.parametrize(("fields", "commands"), [(500, 1), (501, 2)])
async def test_a_page_is_five_hundred(redis: Redis, monitor: Monitor, fields: int, commands: int) -> None:
    """Five hundred fields are one command, one more makes two."""
    visits = RedisHash(redis, "visits", int)
    await visits.exists()
    await monitor.commands()

    await visits.update({str(n): n for n in range(fields)})

    assert [name for name, _ in shape(await monitor.commands())].count("HSET") == commands


async def test_iteration_pages(redis: Redis, monitor: Monitor) -> None:
    """Iterating over 1200 elements reads a page at a time, and at most one more than the loop has reached."""
    visits, numbers = RedisHash(redis, "visits", int), RedisList(redis, "numbers", int)
    await visits.update({str(n): n for n in range(1200)})
    await numbers.extend(range(1200))
    await monitor.commands()

    assert len(await collect(visits)) == 1200
    scans = await monitor.commands()
    assert {command[0] for command in scans} == {"HSCAN"}
    assert 2 <= len(scans) <= 4

    assert len(await collect(numbers)) == 1200
    assert [" ".join(command) for command in await monitor.commands()] == [
        "LRANGE numbers 0 499",
        "LRANGE numbers 500 999",
        "LRANGE numbers 1000 1499",
    ]

    async for _ in visits.items():
        break
    async for _ in numbers.values(batch_size=100):
        break
    names = [command[0] for command in await monitor.commands()]
    assert names.count("HSCAN") in (1, 2)
    assert names.count("LRANGE") in (1, 2)  # of twelve pages

    await collect(numbers.values(None))
    assert (await monitor.commands())[-1][:3] == ("LRANGE", "numbers", "0")


# --- protocols ----------------------------------------------------------------------------------


@pytest.mark.parametrize("protocol", [2, 3])
@pytest.mark.parametrize("decode", [False, True], ids=["bytes", "decode_responses"])
async def test_every_client_reads_the_same(server: Server, redis: Redis, protocol: int, decode: bool) -> None:
    """Whatever protocol the client speaks, and whether it decodes replies, collections return the same."""
    client = connect(server.url, protocol=protocol, decode_responses=decode)
    blobs = RedisHash(client, "blobs", bytes, ttl=TTL(hours=1, renew="read"))
    weights = RedisHash(client, "weights", float)
    plants = RedisHash(client, "plants", Plant)
    log = RedisList(client, "log", bytes, maxlen=3)
    pea = Plant(name="pea")

    assert await blobs.set("a", b"\xff") == 1
    assert await blobs.setdefault("a", b"x") == b"\xff"
    assert await blobs.setdefault("b", b"\xfe") == b"\xfe"
    assert await blobs.get("a") == b"\xff"
    assert await blobs.get("x") is None
    assert await blobs.get_many(["a", "x", "b"]) == {"a": b"\xff", "b": b"\xfe"}
    assert await blobs.dict() == {"a": b"\xff", "b": b"\xfe"}
    assert sorted(await collect(blobs)) == [("a", b"\xff"), ("b", b"\xfe")]
    assert await blobs.pop("a") == b"\xff"
    assert await blobs.contains("a") is False
    assert await blobs.key_type() == "hash"
    assert isinstance(await blobs.dump(), bytes)
    assert 3590 < await blobs.ttl() <= 3600
    assert await weights.increment("a", 1.5) == 1.5
    assert await plants.modify("bed", lambda plant: plant.model_copy(update={"healthiness": 2}), default=pea) == Plant(
        name="pea", healthiness=2
    )
    assert await log.extend([b"\xff", b"\xfe", b"\xfd", b"\xfc"]) == 3
    assert await log.slice(0) == [b"\xfe", b"\xfd", b"\xfc"]
    assert await log.index(b"\xfd") == 1
    assert await log.index(b"x") is None
    assert await log.move(log) == b"\xfe"
    assert await log.pop() == b"\xfe"
    await log.insert(1, b"\x00")
    assert await collect(log) == [b"\xfd", b"\x00", b"\xfc"]
    assert await log.remove(b"\x00") == 1
    await client.aclose()
