"""More than the wire can take: callers wait in their order, and memory does not grow with them."""

from __future__ import annotations

import asyncio
import tracemalloc

import pytest
from redis.asyncio import Redis

from purse import configure, statistics
from purse._engine import executor, packing
from purse._engine.outbox import OUTBOX
from purse._engine.packing import Packed
from purse._engine.replies import Reply, as_int
from purse._engine.shared import IN_FLIGHT
from purse._engine.unit import Unit
from purse.embedded import Server
from tests.support.clients import connect
from tests.support.polling import until
from tests.support.proxy import Proxy
from tests.support.units import read, send

MIB = 2**20
VALUE = b"x" * MIB


async def _stuck(client: Redis) -> bool:
    """Whether calls wait because nothing leaves any more."""
    before = statistics(client)
    for _ in range(20):
        await asyncio.sleep(0)
    return before.waiting > 0 and statistics(client) == before


@pytest.mark.rows(1)
async def test_queued_writes_take_no_memory(proxy: Proxy, redis: Redis) -> None:
    """64 writes of one MiB to a server that reads nothing: a few MiB of copies; when it reads, all are executed."""
    client = connect(proxy.url)
    await send(client, "PING")
    proxy.stall()
    tracemalloc.start()
    try:
        calls = [asyncio.create_task(send(client, "SET", f"k{n}", VALUE)) for n in range(64)]
        await until(lambda: _stuck(client), True)
        _, peak = tracemalloc.get_traced_memory()
    finally:
        tracemalloc.stop()

    proxy.heal()

    assert peak < 5 * OUTBOX
    assert await asyncio.gather(*calls) == [b"OK"] * 64
    assert [await redis.strlen(f"k{n}") for n in range(64)] == [MIB] * 64


@pytest.mark.thorough
@pytest.mark.engines("shared", "driven")
async def test_a_hundred_thousand_calls_just_work(redis: Redis) -> None:
    """A hundred thousand concurrent calls are all answered, with no more in flight than the limit."""
    await send(redis, "SET", "n", 0)

    replies = await asyncio.gather(*(send(redis, "INCR", "n") for _ in range(100_000)))

    assert replies == [*range(1, 100_001)]
    assert max(statistics(redis).batch_sizes) <= IN_FLIGHT


@pytest.mark.engines("shared", "driven")
async def test_callers_that_wait_for_room_keep_their_order(redis: Redis) -> None:
    """Large and small writes of many tasks are executed in the order in which the tasks made them."""
    values = [b"%06d" % n + (VALUE if n % 3 else b"") for n in range(40)]

    await asyncio.gather(*(send(redis, "RPUSH", "list", value) for value in values))

    stored = await redis.lrange("list", 0, -1)
    assert [value[:6] for value in stored] == [b"%06d" % n for n in range(40)]


async def test_who_gives_up_while_waiting_for_room_sends_nothing(proxy: Proxy, redis: Redis) -> None:
    """Callers that are cancelled before there is room for them are never executed, and hold up nobody."""
    client = connect(proxy.url)
    await send(client, "PING")
    proxy.stall()
    calls = [asyncio.create_task(send(client, "RPUSH", "list", b"%06d" % n + VALUE)) for n in range(40)]
    await until(lambda: _stuck(client), True)
    for call in calls[30:35]:
        call.cancel()
    await asyncio.gather(*calls[30:35], return_exceptions=True)

    proxy.heal()
    await asyncio.gather(*calls[:30], *calls[35:])

    assert await send(client, "PING") == b"PONG"
    stored = {int(value[:6]) for value in await redis.lrange("list", 0, -1)}
    assert stored == {*range(40)} - {*range(30, 35)}


@pytest.mark.rows(1)
@pytest.mark.parametrize("room", [True, False], ids=["in the outbox", "waiting for room"])
async def test_who_gave_up_leaves_nothing(proxy: Proxy, redis: Redis, room: bool) -> None:
    """While a server is stalled, callers come and give up: neither they nor what they bring is kept."""
    client = connect(proxy.url)
    configure(client, socket_timeout=None)
    await send(client, "PING")
    proxy.stall()
    writes: list[asyncio.Task[Reply]] = []
    while statistics(client).waiting < (1 if room else 8):
        writes.append(asyncio.create_task(send(client, "SET", f"k{len(writes)}", VALUE)))
        await asyncio.sleep(0.05)
    before = statistics(client).waiting

    for _ in range(30):
        calls = [asyncio.create_task(send(client, "RPUSH", "list", b"x" * 1000)) for _ in range(100)]
        await asyncio.sleep(0)
        await asyncio.sleep(0)
        for call in calls:
            call.cancel()
        await asyncio.gather(*calls, return_exceptions=True)
        assert statistics(client).waiting < before + 300

    proxy.heal()
    assert await asyncio.gather(*writes) == [b"OK"] * len(writes)
    assert statistics(client).waiting == await redis.llen("list") == 0


@pytest.mark.rows(1)
async def test_who_waits_for_room_goes_on_elsewhere(proxy: Proxy, redis: Redis) -> None:
    """When the connection breaks, those who had no room yet are executed once, on the next one."""
    client = connect(proxy.url)
    await send(client, "PING")
    proxy.stall()
    calls = [asyncio.create_task(send(client, "RPUSH", "list", b"%06d" % n + VALUE)) for n in range(40)]
    await until(lambda: _stuck(client), True)
    waiting = statistics(client).waiting

    proxy.heal()
    proxy.drop()
    outcomes = await asyncio.gather(*calls, return_exceptions=True)

    answered = [n for n, outcome in enumerate(outcomes) if not isinstance(outcome, BaseException)]
    stored = [int(value[:6]) for value in await redis.lrange("list", 0, -1)]
    assert len(answered) >= waiting
    assert len(set(stored)) == len(stored)
    assert {*answered} <= {*stored}


@pytest.mark.rows(2)
@pytest.mark.parametrize("argument", ["\ud800", None, "too much"])
async def test_what_cannot_be_packed_gives_its_place_back(
    proxy: Proxy, redis: Redis, argument: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A call that was granted room and then fails to be packed holds up nobody, neither then nor later."""

    def pack(unit: Unit[object]) -> Packed:
        if any("too much" in command for command in unit.commands if isinstance(command, tuple)):
            raise MemoryError
        return packing.pack(unit)

    monkeypatch.setattr(executor, "pack", pack)
    client = connect(proxy.url)
    await send(client, "PING")
    proxy.stall()
    good = [asyncio.create_task(send(client, "RPUSH", "list", VALUE)) for _ in range(16)]
    wrong = [asyncio.create_task(send(client, "SET", "k", argument, VALUE)) for _ in range(64)]
    last = asyncio.create_task(send(client, "RPUSH", "list", VALUE))
    await until(lambda: _stuck(client), True)

    proxy.heal()
    async with asyncio.timeout(30):
        outcomes = await asyncio.gather(*wrong, return_exceptions=True)
        assert sorted(map(as_int, await asyncio.gather(*good, last))) == [*range(1, 18)]
        await asyncio.gather(*(send(client, "PING") for _ in range(200)))

    assert all(isinstance(outcome, (UnicodeEncodeError, TypeError, MemoryError)) for outcome in outcomes)


async def test_what_goes_over_the_wire_is_counted(redis: Redis, server: Server, engine: str) -> None:
    """Statistics tell the mode, what is under way, and how calls were joined."""
    client = connect(server.url)
    assert statistics(client).connections == statistics(client).commands == 0
    await send(client, "SET", "a", "x")
    await asyncio.gather(*(read(client, "GET", "a") for _ in range(20)))

    seen = statistics(client)

    assert seen.mode == ("dedicated" if engine == "dedicated" else "shared")
    assert seen.commands == 21
    assert sum(seen.batch_sizes.values()) == seen.batches
    assert seen.in_flight == seen.waiting == seen.reconnects == 0
    if engine == "dedicated":
        assert seen.batch_sizes == {1: 21}
        assert 1 <= seen.connections <= 20
    else:
        assert seen.batches == 3  # the first, one that thought it was alone, and all the others
        assert seen.connections == 1


@pytest.mark.engines("shared", "driven")
async def test_reconnects_are_counted(proxy: Proxy) -> None:
    """Each connection that was opened in place of a lost one counts; what the lost one carried is not forgotten."""
    client = connect(proxy.url)
    for times in range(1, 4):
        await send(client, "PING")
        proxy.drop()
        await until(lambda: _connections(client), 0)

        assert statistics(client).commands == times
    await send(client, "PING")

    assert statistics(client).reconnects == 3


async def _connections(client: Redis) -> int:
    return statistics(client).connections
