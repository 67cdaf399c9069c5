"""Counting round trips: what waits for what, the same in each mode, and what a failure says."""

from __future__ import annotations

import asyncio
import re
import threading
from collections.abc import Iterator

import pytest
from redis.asyncio import Redis

from purse import RedisHash, RedisKeySpace, RedisList, RedisLock, RedisQueue, Store, configure
from purse._engine.dedicated import DedicatedLink
from purse._engine.links import Links
from purse._engine.shared import SharedLink
from purse.embedded import Server
from purse.testing import RoundTrips, StoreFactory, isolated, round_trips
from tests.support.clients import command


class Garden(Store, namespace="round-trips"):
    """Something of each way to wait."""

    plants: RedisHash[str]
    log: RedisList[str]
    queue: RedisQueue[str]
    lock: RedisLock


@pytest.fixture
def client(server: Server) -> Iterator[Redis]:
    """A client of its own."""
    with isolated(server.url) as client:
        yield client


@pytest.fixture(params=["shared", "dedicated"])
def garden(client: Redis, request: pytest.FixtureRequest) -> Garden:
    """A store, whose client is in each mode."""
    configure(client, engine=request.param)
    return StoreFactory(client)(Garden)


async def both(garden: Garden, name: str) -> None:
    """Two calls, one after the other."""
    await garden.plants.set(name, "x")
    await garden.plants.get(name)


async def test_each_wait_is_a_trip(garden: Garden) -> None:
    """Awaits in a row are as many trips; connecting is none."""
    with round_trips() as trips:
        for name in "abc":
            await garden.plants.get(name)

    assert trips.count == 3
    assert trips.trips == ((f"HGET {garden.plants.rkey}",),) * 3


@pytest.mark.rows(1)
@pytest.mark.parametrize("calls", [2, 300])
async def test_calls_that_do_not_wait_for_each_other_share_one(garden: Garden, calls: int) -> None:
    """One gather is one trip, on one connection as on many, and the next gather is the second."""
    with round_trips(max=2) as trips:
        await asyncio.gather(*(garden.plants.get(str(n)) for n in range(calls)))
        await asyncio.gather(*(garden.plants.get(str(n)) for n in range(calls)))

    assert [len(shared) for shared in trips.trips] == [calls, calls]


async def test_tasks_side_by_side_count_once(garden: Garden) -> None:
    """Of tasks that run side by side the longest counts, however the replies are mixed; of what follows, each."""
    with round_trips() as trips:
        await garden.plants.len()
        async with asyncio.TaskGroup() as group:
            for n in range(40):
                group.create_task(both(garden, str(n)))
        await garden.plants.len()
        await asyncio.gather(both(garden, "a"), asyncio.wait_for(both(garden, "b"), 60))

    assert [len(shared) for shared in trips.trips] == [1, 40, 40, 1, 2, 2]


async def test_tasks_that_wait_for_others_come_later(garden: Garden) -> None:
    """Where a semaphore lets one call through at a time, five tasks are five trips."""
    door = asyncio.Semaphore(1)

    async def one(name: str) -> None:
        async with door:
            await garden.plants.get(name)

    with round_trips() as trips:
        await asyncio.gather(*(one(name) for name in "abcde"))

    assert trips.count == 5


async def test_a_transaction_is_one(garden: Garden) -> None:
    """So is a call of several commands; the first use of a script is not two, whichever test came first."""
    with round_trips() as trips:
        await garden.atomic(garden.plants.set("a", "x"), garden.log.append("planted"))
        await command_of(garden, "SCRIPT", "FLUSH")
        await garden.plants.setdefault("b", "x")
        await garden.plants.setdefault("b", "x")

    hash_key, list_key = garden.plants.rkey, garden.log.rkey
    script = (f"EVALSHA hash_setdefault {hash_key}",)
    assert trips.trips == ((f"HSET {hash_key}, RPUSH {list_key}",), script, script)


async def command_of(garden: Garden, *words: str) -> None:
    """A command by redis-py itself, which is not counted."""
    await command(garden.plants.redis, *words)


async def test_what_a_waiting_call_takes_is_one(garden: Garden) -> None:
    """``put`` and ``get`` are two, although a task of the engine fetches the element; what comes next waited for it."""
    with round_trips() as trips:
        await garden.queue.put("a")
        await garden.queue.get()
        async with garden.lock:
            await garden.plants.len()

    assert trips.count == 5


async def test_other_threads_count(garden: Garden) -> None:
    """Calls of an event loop in another thread are counted, one loop after the other."""
    with round_trips(max=4) as trips:
        for name in "ab":
            thread = threading.Thread(target=asyncio.run, args=[both(garden, name)])
            thread.start()
            await asyncio.to_thread(thread.join)

    assert trips.count == 4


async def test_one_client_alone(garden: Garden, server: Server) -> None:
    """With a store or a client only its calls count."""
    with isolated(server.url) as other:
        elsewhere = Garden(other)
        await elsewhere.plants.len()
        with round_trips(garden) as of_store, round_trips(other) as of_client, round_trips() as of_all:
            await both(garden, "a")
            await elsewhere.plants.len()

        assert (of_store.count, of_client.count, of_all.count) == (2, 1, 3)


async def in_a_row(garden: Garden, most: int, calls: int = 15) -> None:
    """Many calls, one after the other, and an allowance."""
    with round_trips(max=most):
        for n in range(calls):
            await garden.plants.set(f"field{n}", "secret")


async def test_too_many_say_what_to_do(garden: Garden) -> None:
    """The error has the number, the first trips with their commands and keys but no value, and what to use."""
    key = re.escape(garden.plants.rkey)

    with pytest.raises(
        AssertionError, match=rf"^15 round trips, but at most 2 were allowed:\n +1  HSET {key}\n"
    ) as told:
        await in_a_row(garden, 2)

    message = str(told.value)
    assert "... and 3 more" in message
    assert (
        f"HSET {garden.plants.rkey} was sent 15 times, one after the other: write update(mapping), one trip" in message
    )
    assert "asyncio.gather" in message
    assert "secret" not in message
    assert "field1" not in message


async def test_an_error_in_the_block_is_not_hidden(garden: Garden) -> None:
    """What the code raises comes out, however many trips it made."""

    async def failing() -> None:
        with round_trips(max=0):
            await garden.plants.len()
            raise KeyError

    with pytest.raises(KeyError):
        await failing()


async def test_exactly_as_many_are_allowed(garden: Garden) -> None:
    """The maximum is the last that passes, and 0 allows none."""
    await in_a_row(garden, 2, calls=2)
    await in_a_row(garden, 0, calls=0)

    with pytest.raises(AssertionError, match=r"^1 round trip, but at most 0 were allowed"):
        await in_a_row(garden, 0, calls=1)


async def test_nobody_pays_when_nobody_counts(garden: Garden) -> None:
    """After the last counter, nested or not, the engine is as it was, and the count stays."""
    before = Links.ready, SharedLink.request, DedicatedLink.request
    with round_trips() as outer, round_trips():
        await garden.plants.len()

    await garden.plants.len()

    assert outer.count == 1
    assert repr(outer) == "<round trips: 1>"
    assert (Links.ready, SharedLink.request, DedicatedLink.request) == before


@pytest.mark.parametrize("wrong", [-1, 1.5, True, "2"])
def test_a_maximum_is_a_number_of_trips(wrong: int) -> None:
    """Anything else is a ValueError."""
    with pytest.raises(ValueError, match="max= must be the number of allowed round trips"):
        round_trips(max=wrong)


def test_what_is_no_client_is_refused() -> None:
    """As everywhere else, with a TypeError."""
    with pytest.raises(TypeError, match=r"expected a redis\.asyncio\.Redis, got str"):
        round_trips("redis://localhost")  # type: ignore[arg-type]  # pyright: ignore[reportArgumentType]


def test_it_is_what_the_annotation_says() -> None:
    """``RoundTrips`` is there for annotations."""
    assert isinstance(round_trips(), RoundTrips)


async def test_what_goes_in_front_of_a_removal_is_not_shown(garden: Garden) -> None:
    """Removing an entry of a key space is one trip, listed as the command that the caller knows."""
    pages = RedisKeySpace(garden.plants.redis, "pages:", str)

    with round_trips() as trips:
        await pages.delete("a")
        await pages.pop("a")

    assert trips.trips == (("UNLINK pages:a",), ("GETDEL pages:a",))
