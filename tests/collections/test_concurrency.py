"""Many callers at once: nothing is lost, doubled, overwritten or seen by halves."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable
from typing import cast

import pytest
from redis.asyncio import Redis

from purse._engine.registry import executor_for
from purse._engine.replies import as_array, as_bytes
from purse.collections import RedisHash, RedisList
from purse.embedded import Server
from purse.errors import EncodeError
from tests.collections.garden import Plant
from tests.support.clients import connect
from tests.support.units import unit


@pytest.fixture
async def clients(redis: Redis, server: Server) -> AsyncIterator[list[Redis]]:
    """Four clients, each with a connection of its own."""
    clients = [connect(server.url) for _ in range(4)]
    yield clients
    await asyncio.gather(*(client.aclose() for client in clients))


async def beside(work: Awaitable[object], watch: Callable[[], Awaitable[None]]) -> int:
    """Do ``watch`` again and again until ``work`` is done; how often it was done."""
    working = asyncio.ensure_future(work)
    rounds = 0
    try:
        while not working.done():
            await watch()
            rounds += 1
        await working
    finally:
        working.cancel()
        await asyncio.gather(working, return_exceptions=True)
    return rounds


# --- hash ---------------------------------------------------------------------------------------


async def test_one_writer_wins(clients: list[Redis]) -> None:
    """Of 50 concurrent callers one stores its plant and all 50 see that one."""
    gardens = [RedisHash(client, "plants", Plant) for client in clients]
    offered = [Plant(name=f"p{i}", healthiness=i) for i in range(50)]

    seen = await asyncio.gather(*(gardens[i % 4].setdefault("bed", plant) for i, plant in enumerate(offered)))

    assert len({plant.name for plant in seen}) == 1
    assert seen[0] in offered
    assert await gardens[0].get("bed") == seen[0]


async def test_setdefault_never_overwrites_a_set(clients: list[Redis]) -> None:
    """Whatever the order, once a ``set`` has returned, its value stays: ``setdefault`` never replaces it."""
    gardens = [RedisHash(client, "words", str) for client in clients]

    for n in range(50):
        key = str(n)
        await asyncio.gather(
            *(gardens[i % 4].setdefault(key, "default") for i in range(6)),
            gardens[n % 4].set(key, "set"),
            *(gardens[i % 4].setdefault(key, "default") for i in range(6)),
        )

        assert await gardens[0].get(key) == "set"


async def test_a_value_is_popped_once(clients: list[Redis]) -> None:
    """Of 200 concurrent pops over 50 values each value goes to exactly one caller, the others get None."""
    gardens = [RedisHash(client, "words", int) for client in clients]
    await gardens[0].update({str(n): n for n in range(50)})

    popped = await asyncio.gather(*(gardens[i // 50].pop(str(i % 50)) for i in range(200)))

    assert sorted(value for value in popped if value is not None) == [*range(50)]
    assert popped.count(None) == 150


async def test_modifications_add_up(clients: list[Redis]) -> None:
    """Fifty concurrent ``modify`` of one value are all applied."""
    gardens = [RedisHash(client, "plants", Plant) for client in clients]

    def grow(plant: Plant) -> Plant:
        plant.healthiness += 1
        return plant

    await asyncio.gather(*(gardens[i % 4].modify("bed", grow, default=Plant(name="pea")) for i in range(50)))

    assert await gardens[0].get("bed") == Plant(name="pea", healthiness=50)


async def test_increments_add_up(clients: list[Redis]) -> None:
    """Of 200 concurrent increments each returns another sum, and the last is their number."""
    gardens = [RedisHash(client, "visits", int) for client in clients]

    sums = await asyncio.gather(*(gardens[i % 4].increment("home") for i in range(200)))

    assert sorted(sums) == [*range(1, 201)]


async def test_an_update_with_a_bad_value_stores_nothing(redis: Redis) -> None:
    """If the last of 1200 values cannot be encoded, none is stored, and the error names its key."""
    visits = RedisHash(redis, "visits", int)
    mapping = {str(n): n for n in range(1200)} | {"bad": cast("int", "x")}

    with pytest.raises(EncodeError, match=r"visits\['bad'\]"):
        await visits.update(mapping)

    assert not await visits.exists()


async def test_an_update_is_seen_all_at_once(clients: list[Redis]) -> None:
    """A reader beside updates of 1200 fields sees the values of one of them only."""
    writer, reader = (RedisHash(client, "visits", int) for client in clients[:2])

    async def write() -> None:
        for n in range(20):
            await writer.update({str(field): n for field in range(1200)})

    async def watch() -> None:
        seen = await reader.dict()
        assert len(seen) in (0, 1200)
        assert len({*seen.values()}) <= 1
        assert len({*(await reader.get_many(map(str, range(1200)))).values()}) <= 1

    assert await beside(write(), watch) > 1


# --- list ---------------------------------------------------------------------------------------


async def test_elements_are_popped_once(clients: list[Redis]) -> None:
    """Of 200 concurrent pops at both ends over 50 elements each element goes to exactly one caller."""
    lists = [RedisList(client, "numbers", int) for client in clients]
    await lists[0].extend(range(50))

    popped = await asyncio.gather(
        *(lists[i % 4].pop() if i % 2 else lists[i % 4].popleft() for i in range(200)), return_exceptions=True
    )

    assert sorted(n for n in popped if isinstance(n, int)) == [*range(50)]
    assert sum(isinstance(error, IndexError) for error in popped) == 150


@pytest.mark.rows(2)
@pytest.mark.parametrize("index", [3, -2, 0, 10**9])
async def test_insert_beside_pushes_and_pops(clients: list[Redis], index: int) -> None:
    """Beside concurrent pushes and pops, ``insert`` loses, doubles and reorders nothing and shows no placeholder."""
    inserter, pusher, popper, reader = (RedisList(client, "log", str) for client in clients)
    await pusher.extend([f"start:{n}" for n in range(6)])
    popped: list[str] = []

    async def produce(name: str, push: Callable[[str], Awaitable[object]]) -> None:
        for n in range(150):
            await push(f"{name}:{n}")

    async def consume() -> None:
        for n in range(150):
            popped.append(await (popper.pop() if n % 2 else popper.popleft()))

    work = asyncio.gather(
        produce("insert", lambda element: inserter.insert(index, element)),
        produce("append", pusher.append),
        produce("appendleft", pusher.appendleft),
        consume(),
    )
    producers = {"start": 6, "insert": 150, "append": 150, "appendleft": 150}
    everything = {f"{name}:{n}" for name, count in producers.items() for n in range(count)}

    async def watch() -> None:
        check(await reader.slice(0))

    def check(seen: list[str]) -> None:
        assert len({*seen}) == len(seen)
        assert {*seen} <= everything
        for name, ascending in (("start", True), ("append", True), ("appendleft", False)):
            order = [int(element.partition(":")[2]) for element in seen if element.startswith(f"{name}:")]
            assert order == sorted(order, reverse=not ascending)

    assert await beside(work, watch) > 10
    left = await reader.slice(0)
    assert sorted([*popped, *left]) == sorted(everything)


async def test_an_extension_with_a_bad_element_stores_nothing(redis: Redis) -> None:
    """If the last of 1200 elements cannot be encoded, none is stored, and the error names its position."""
    numbers = RedisList(redis, "numbers", int)

    for extend in (numbers.extend, numbers.extendleft):
        with pytest.raises(EncodeError, match=r"numbers\[1200\]") as caught:
            await extend([*range(1200), cast("int", "x")])
        assert caught.value.field == 1200

    assert not await numbers.exists()


async def test_an_extension_is_seen_all_at_once(clients: list[Redis]) -> None:
    """A reader beside extensions by 2000 elements never sees a part of one, bounded or not."""
    writer, reader = (RedisList(client, "numbers", int) for client in clients[:2])
    bounded = [RedisList(client, "bounded", int, maxlen=1500) for client in clients[2:]]

    async def write() -> None:
        for _ in range(8):
            await writer.extend(range(2000))
            await bounded[0].extend(range(2000))

    async def watch() -> None:
        assert await reader.len() % 2000 == 0
        assert len(await reader.slice(0)) % 2000 == 0
        assert await bounded[1].slice(0) in ([], [*range(500, 2000)])

    assert await beside(write(), watch) > 1


async def test_a_moving_element_is_always_in_one_list(clients: list[Redis]) -> None:
    """While ten elements circle between two lists, a reader of both at one moment sees each once."""
    here, there = (RedisList(clients[0], key, str) for key in ("here", "there"))
    letters = [letter.encode() for letter in "abcdefghij"]
    await here.extend([*"abcdefghij"])

    async def circle() -> None:
        for _ in range(200):
            await here.move(there)
            await there.move(here)

    async def watch() -> None:
        lists = unit(("LRANGE", "here", 0, -1), ("LRANGE", "there", 0, -1))
        both = [as_array(reply) for reply in await executor_for(clients[1]).execute(lists)]
        assert sorted(as_bytes(element) for reply in both for element in reply) == letters

    assert await beside(asyncio.gather(circle(), circle()), watch) > 10


# --- scripts and load ---------------------------------------------------------------------------


async def test_scripts_survive_a_flush_at_any_moment(clients: list[Redis], redis: Redis) -> None:
    """With SCRIPT FLUSH in a loop beside them, every method that runs a script does its work exactly once."""
    words, visits, log = RedisHash(redis, "words", str), RedisHash(redis, "visits", int), RedisList(redis, "log", str)

    async def work() -> None:
        for n in range(30):
            await asyncio.gather(
                *(words.setdefault(f"{n}:{i}", "x") for i in range(5)),
                *(visits.modify("home", lambda visits: visits + 1, default=0) for _ in range(5)),
                *(log.insert(1, f"{n}:{i}") for i in range(5)),
            )

    async def flush() -> None:
        await clients[0].script_flush()

    assert await beside(work(), flush) > 10
    assert await words.len() == 150
    assert await visits.get("home") == 150
    assert len({*await log.slice(0)}) == await log.len() == 150


@pytest.mark.rows(2)
@pytest.mark.parametrize("max_connections", [None, 1])
@pytest.mark.parametrize("calls", [1000, 10_000])
async def test_many_calls_at_once(server: Server, redis: Redis, max_connections: int | None, calls: int) -> None:
    """Thousands of concurrent reads are each answered with their own value, on a pool of one connection too."""
    client = connect(server.url, max_connections=max_connections)
    visits, log = RedisHash(client, "visits", int), RedisList(client, "log", int)
    await visits.update({f"key{n}": -n for n in range(calls)})
    await log.extend(range(100))

    values = await asyncio.gather(*(visits.get(f"key{n}") for n in range(calls)))
    elements = await asyncio.gather(*(log.getitem(n % 100) for n in range(1000)))

    assert values == [-n for n in range(calls)]
    assert elements == [n % 100 for n in range(1000)]
