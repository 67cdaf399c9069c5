"""Store.atomic: its results, what it sends, and what runs beside it."""

from __future__ import annotations

import asyncio
import sys
import threading
from contextlib import suppress

import pytest
from redis.asyncio import Redis
from redis.exceptions import ConnectionError

from purse import RedisList, statistics
from purse._engine import registry
from purse._engine.clients import check_client
from purse.embedded import Server
from tests.atomic.garden import PEA, Empty, Garden, Shed, nowhere
from tests.support.clients import connect
from tests.support.monitor import Monitor


async def test_results_come_in_the_order_of_the_calls(garden: Garden) -> None:
    """Each call's decoded result is at its place, whatever the call is, those included that send nothing."""
    results = await garden.atomic(
        garden.log.extend(["sown", "planted"]),
        garden.log.extend([]),
        garden.plants.set("bed", PEA),
        garden.plants.get("bed"),
        garden.plants.get("field"),
        garden.visits.update({}),
        garden.log.popleft(),
        garden.visits.setdefault("gate", 3),
        garden.seen.get_many(["gate"]),
        garden.log.insert(0, "dug"),
        garden.log.contains("dug"),
        garden.numbers.slice(0),
        garden.clear(),
        garden.log.exists(),
    )

    assert results == (2, 0, 1, PEA, None, 0, "sown", 3, {}, None, True, [], 3, False)
    assert type(results[10]) is bool


@pytest.mark.parametrize("count", [1, 8, 9, 1000])
async def test_any_number_of_calls(garden: Garden, count: int) -> None:
    """They are executed in their order, each once."""
    results = await garden.atomic(*(garden.visits.increment("gate") for _ in range(count)))

    assert results == (*range(1, count + 1),)


async def test_without_anything_to_do_nothing_is_sent() -> None:
    """Without calls, and with such as need nothing of the server, there is no connection and no error."""
    garden = nowhere()

    assert await garden.atomic() == ()
    calls = garden.log.extend([]), garden.visits.get_many([]), Empty(garden.log.redis).clear()
    assert await garden.atomic(*calls) == (0, {}, 0)
    with pytest.raises(ConnectionError):
        await garden.atomic(garden.log.extend([]), garden.log.len())


async def test_everything_on_one_client_can_be_in_one_transaction(redis: Redis, monitor: Monitor) -> None:
    """Several stores, and collections that were built directly, as long as they have the same client."""
    log = RedisList(redis, "old-log", str)
    await monitor.commands()

    assert await Garden(redis).atomic(
        log.append("a"), Shed(redis).tools.append("rake"), Garden(redis).log.append("b"), Shed(redis).clear()
    ) == (1, 1, 1, 1)

    keys = [command[1:2] for command in await monitor.commands()]
    assert keys == [(), ("old-log",), ("{atomic-shed}:tools",), ("{atomic}:log",), ("{atomic-shed}:tools",), ()]
    assert await redis.lrange("old-log", 0, -1) == [b"a"]


async def test_the_transaction_is_one_request(redis: Redis, garden: Garden, monitor: Monitor) -> None:
    """One MULTI around the commands of all calls, scripts by their bodies, also if the server has never seen them."""
    await redis.script_flush()
    await monitor.commands()
    before = statistics(redis)

    await garden.atomic(
        garden.log.append("planted"),
        garden.plants.pop("bed"),
        garden.hour.set("gate", 1),
        garden.hour.get("gate"),
        garden.seen.increment("gate"),
        garden.seen.get("gate"),
        garden.once.set("gate", 2),
        garden.visits.setdefault("gate", 3),
        garden.once.clear(),
    )

    after = statistics(redis)
    assert (after.commands - before.commands, after.batches - before.batches) == (1, 1)
    assert [" ".join(command) for command in await monitor.commands()] == [
        "MULTI",
        "RPUSH {atomic}:log planted",
        "HGET {atomic}:plants bed",
        "HDEL {atomic}:plants bed",
        "EVAL with_ttl 1 {atomic}:hour key:3600000 4 HSET {atomic}:hour gate 1",
        "HGET {atomic}:hour gate",
        "EVAL with_ttl 1 {atomic}:seen key:3600000 4 HINCRBY {atomic}:seen gate 1",
        "EVAL with_ttl 1 {atomic}:seen key:3600000 3 HGET {atomic}:seen gate",
        "EVAL with_ttl 1 {atomic}:once key-once:3600000 4 HSET {atomic}:once gate 2",
        "EVAL hash_setdefault 1 {atomic}:visits gate 3  ",
        "UNLINK {atomic}:once",
        "EXEC",
    ]


async def test_ttl_policies_hold(redis: Redis, garden: Garden) -> None:
    """Calls restart the clocks that they restart elsewhere, and no other."""
    for words in (garden.hour, garden.seen, garden.once):
        await words.set("gate", 1)
        await words.expire(60)

    calls = garden.hour.set("gate", 2), garden.seen.get("gate"), garden.once.set("gate", 2)
    assert await garden.atomic(*calls) == (0, 1, 0)

    assert [await words.ttl() for words in (garden.hour, garden.seen, garden.once)] == [3600, 3600, 60]


async def test_scripts_survive_a_flush_at_any_moment(garden: Garden, server: Server) -> None:
    """With SCRIPT FLUSH in a loop beside them, 200 transactions with scripts and TTL policies add up."""
    flusher = connect(server.url)
    done = asyncio.Event()

    async def flush() -> int:
        flushes = 0
        while not done.is_set():
            await flusher.script_flush()
            flushes += 1
        return flushes

    flushing = asyncio.create_task(flush())

    async def transaction(n: int) -> None:
        await garden.atomic(
            garden.hour.increment("gate"),
            garden.log.append("x"),
            garden.visits.setdefault(str(n), 1),
            garden.numbers.insert(1, n),
        )

    try:
        for first in range(0, 200, 10):
            await asyncio.gather(*(transaction(first + n) for n in range(10)))
    finally:
        done.set()

    assert await flushing > 20
    counts = garden.hour.get("gate"), garden.log.len(), garden.visits.len(), garden.numbers.len()
    assert await garden.atomic(*counts) == (200, 200, 200, 200)


@pytest.mark.rows(1)
async def test_nobody_comes_between(garden: Garden, server: Server) -> None:
    """Beside other transactions and plain calls of four clients, no half of a transaction is ever seen."""
    gardens = [garden, *(Garden(connect(server.url)) for _ in range(3))]
    long = "x" * 40_000  # longer than what the server reads of one connection at a time

    async def write(g: Garden, name: str) -> None:
        await g.atomic(
            g.visits.increment("gate"), g.log.append(f"{name} {long}"), g.hour.increment("gate"), g.log.append(name)
        )

    async def look(g: Garden) -> None:
        first, second = await g.atomic(g.visits.get("gate"), g.hour.get("gate"))
        assert first == second

    for round_ in range(8):
        names = [f"{round_}:{n}" for n in range(24)]
        await asyncio.gather(
            *(write(gardens[n % 4], name) for n, name in enumerate(names)),
            *(gardens[(n + 1) % 4].log.append("plain") for n in range(24)),
            *(look(gardens[(n + 2) % 4]) for n in range(24)),
        )

    log = [entry.removesuffix(long) for entry in await garden.log.slice(0)]
    assert len(log) == 8 * 24 * 3
    firsts = [at for at, entry in enumerate(log) if entry.endswith(" ")]
    assert len(firsts) == 8 * 24
    assert all(log[at].strip() == log[at + 1] for at in firsts)
    for other in gardens[1:]:
        await other.log.redis.aclose()


@pytest.mark.rows(1)
async def test_two_event_loops_at_once(garden: Garden) -> None:
    """Transactions and plain calls in three threads, each with a loop, get their own answers."""

    async def work(name: str) -> None:
        for n in range(1, 101):
            (length, values), plain, (count,) = await asyncio.gather(
                garden.atomic(garden.visits.increment(name), garden.visits.get_many([name])),
                garden.hour.increment(name),
                garden.atomic(garden.seen.increment(name)),
            )
            assert (length, values, plain, count) == (n, {name: n}, n, n)

    await garden.clear()
    pause = sys.getswitchinterval()
    sys.setswitchinterval(1e-6)
    others = (asyncio.to_thread(asyncio.run, work(name)) for name in ("left", "right"))
    ends = await asyncio.gather(*others, work("here"), return_exceptions=True)
    sys.setswitchinterval(pause)

    assert ends == [None, None, None]
    assert await garden.visits.dict() == {"left": 100, "right": 100, "here": 100}


@pytest.mark.engines("shared")
async def test_a_client_that_two_threads_use_first_is_one_client(
    redis: Redis, server: Server, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Collections that two threads build at the same moment, on a new client, can be in one transaction."""
    client, both = connect(server.url), threading.Barrier(2)

    def slowly(given: object) -> Redis:
        with suppress(threading.BrokenBarrierError):  # it is broken if only one thread comes here, which is right
            both.wait(0.2)
        return check_client(given)

    monkeypatch.setattr(registry, "check_client", slowly)
    logs = await asyncio.gather(*(asyncio.to_thread(RedisList[str], client, "log", str) for _ in range(2)))

    try:
        assert await Garden(client).atomic(*[log.append("x") for log in logs]) == (1, 2)
    finally:
        await client.aclose()
