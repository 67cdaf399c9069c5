"""RedisKeySpace.get_or_create: however many miss a value, one makes it."""

from __future__ import annotations

import asyncio
import gc
from collections.abc import Generator
from typing import cast

import pytest
from redis.asyncio import Redis

from purse.collections import _single_flight
from purse.collections.key_space import RedisKeySpace
from purse.embedded import Server
from purse.errors import EncodeError
from purse.ttl import TTL
from tests.collections.garden import Plant
from tests.support.clients import connect
from tests.support.polling import until


@pytest.fixture
def beds(redis: Redis) -> RedisKeySpace[Plant]:
    return RedisKeySpace(redis, "beds:", Plant)


class Factory:
    """Makes plants, each by another name, when it is told to."""

    def __init__(self, *, open_at_once: bool = True) -> None:
        self.calls = 0
        self.cancelled = 0
        self.gate = asyncio.Event()
        if open_at_once:
            self.gate.set()

    async def count(self) -> int:
        """How often it was called."""
        return self.calls

    async def stopped(self) -> int:
        """How many of the calls were cancelled."""
        return self.cancelled

    async def __call__(self) -> Plant:
        self.calls += 1
        name = f"plant {self.calls}"
        try:
            await self.gate.wait()
        except asyncio.CancelledError:
            self.cancelled += 1
            raise
        return Plant(name=name)


@pytest.fixture(autouse=True)
def nothing_is_left() -> Generator[None]:
    """After each test nobody is registered as wanting a value."""
    yield
    assert not any(_single_flight._wanted.copy().values())  # pyright: ignore[reportPrivateUsage]


async def flights() -> int:
    """How many tasks make a value now."""
    return sum("single flight" in task.get_name() for task in asyncio.all_tasks())


async def test_a_missing_value_is_made_and_stored(beds: RedisKeySpace[Plant]) -> None:
    """The factory, sync or async, is called only if there is no value."""
    make = Factory()

    assert await beds.get_or_create("a", make) == Plant(name="plant 1")
    assert await beds.get_or_create("a", make) == await beds.get("a") == Plant(name="plant 1")
    assert await beds.get_or_create("b", lambda: Plant(name="sync")) == Plant(name="sync")
    assert make.calls == 1
    await beds.delete("a")
    assert await beds.get_or_create("a", make) == Plant(name="plant 2")


async def test_concurrent_callers_share_one_call(redis: Redis, beds: RedisKeySpace[Plant]) -> None:
    """A hundred callers, through two objects on one client, wait for one call; each gets an object of its own."""
    make = Factory(open_at_once=False)
    other = RedisKeySpace(redis, "beds:", Plant)

    callers = [asyncio.create_task(space.get_or_create("a", make)) for space in (beds, other) for _ in range(50)]
    await until(make.count, 1)
    make.gate.set()
    plants = await asyncio.gather(*callers)

    assert make.calls == 1
    assert plants == [Plant(name="plant 1")] * 100
    assert len({id(plant) for plant in plants}) == 100


async def test_a_fast_factory_is_shared_too(beds: RedisKeySpace[Plant]) -> None:
    """Callers who begin together share the call, also if it is over before some of them hear that there is no value."""
    for n in range(30):
        calls = 0

        def make() -> Plant:
            nonlocal calls
            calls += 1
            return Plant(name="pea")

        await asyncio.gather(*(beds.get_or_create(str(n), make) for _ in range(40)))

        assert calls == 1


async def test_keys_do_not_wait_for_each_other(redis: Redis, beds: RedisKeySpace[Plant]) -> None:
    """Another key, another prefix or another client is another value."""
    make = Factory(open_at_once=False)
    others = RedisKeySpace(redis, "other beds:", Plant)

    callers = [asyncio.create_task(space.get_or_create(key, make)) for space in (beds, others) for key in "ab"]
    await until(make.count, 4)
    make.gate.set()

    assert len({plant.name for plant in await asyncio.gather(*callers)}) == 4


async def test_processes_return_the_stored_value(server: Server, redis: Redis) -> None:
    """Callers on several clients may each make one; all of them return the one that was stored."""
    clients = [connect(server.url) for _ in range(4)]
    spaces = [RedisKeySpace(client, "beds:", Plant) for client in clients]
    make = Factory(open_at_once=False)

    callers = [asyncio.create_task(spaces[n % 4].get_or_create("a", make)) for n in range(20)]
    await until(make.count, 4)
    make.gate.set()
    plants = await asyncio.gather(*callers)

    assert make.calls == 4
    assert len({plant.name for plant in plants}) == 1
    assert await spaces[0].get("a") == plants[0]
    for client in clients:
        await client.aclose()


async def test_a_set_meanwhile_wins(beds: RedisKeySpace[Plant]) -> None:
    """What somebody stores while the factory works is returned, and not overwritten."""
    make = Factory(open_at_once=False)
    caller = asyncio.create_task(beds.get_or_create("a", make))
    await until(make.count, 1)

    await beds.set("a", Plant(name="theirs"))
    make.gate.set()

    assert await caller == await beds.get("a") == Plant(name="theirs")


async def test_an_error_goes_to_all_who_wait(beds: RedisKeySpace[Plant]) -> None:
    """Nothing is stored, and the next call tries again, also while somebody of before is still there."""
    make = Factory(open_at_once=False)

    async def fail() -> Plant:
        raise ZeroDivisionError((await make()).name)

    callers = [asyncio.create_task(beds.get_or_create("a", fail)) for _ in range(10)]
    await until(make.count, 1)
    make.gate.set()
    errors = await asyncio.gather(*callers, return_exceptions=True)

    assert [str(error) for error in errors] == ["plant 1"] * 10
    assert await beds.contains("a") is False
    assert await beds.get_or_create("a", make) == Plant(name="plant 2")


async def test_what_cannot_be_stored_is_an_error_for_all(beds: RedisKeySpace[Plant]) -> None:
    """A factory that returns another type is an EncodeError that names the key."""

    def make() -> Plant:
        return cast("Plant", "no plant")

    errors = await asyncio.gather(*(beds.get_or_create("a", make) for _ in range(3)), return_exceptions=True)

    assert {type(error) for error in errors} == {EncodeError}
    assert "beds:['a']" in str(errors[0])


async def test_a_cancelled_caller_leaves_the_call_to_the_others(beds: RedisKeySpace[Plant]) -> None:
    """Also the one who began it."""
    make = Factory(open_at_once=False)
    first = asyncio.create_task(beds.get_or_create("a", make))
    await until(make.count, 1)
    others = [asyncio.create_task(beds.get_or_create("a", make)) for _ in range(5)]
    await beds.contains("a")

    first.cancel()
    others[0].cancel()
    await asyncio.wait([first, others[0]])
    make.gate.set()

    assert await asyncio.gather(*others[1:]) == [Plant(name="plant 1")] * 4
    assert (make.calls, make.cancelled) == (1, 0)


async def test_the_last_one_takes_the_call_along(beds: RedisKeySpace[Plant]) -> None:
    """When nobody waits any more the factory is cancelled; nothing is stored, and the next call begins anew."""
    make = Factory(open_at_once=False)
    callers = [asyncio.create_task(beds.get_or_create("a", make)) for _ in range(5)]
    await until(make.count, 1)

    for caller in callers:
        caller.cancel()
    await asyncio.wait(callers)
    await until(make.stopped, 1)

    make.gate.set()
    assert await beds.get("a") is None
    assert await beds.get_or_create("a", make) == Plant(name="plant 2")


async def test_an_error_that_nobody_waits_for_is_no_noise(
    beds: RedisKeySpace[Plant], caplog: pytest.LogCaptureFixture
) -> None:
    """If the factory raises while it is cancelled, asyncio has nothing to complain about."""
    begun = asyncio.Event()

    async def make() -> Plant:
        begun.set()
        try:
            await asyncio.Event().wait()
        finally:
            raise ZeroDivisionError

    caller = asyncio.create_task(beds.get_or_create("a", make))
    await begun.wait()
    caller.cancel()
    await asyncio.wait([caller])
    await until(flights, 0)
    gc.collect()

    assert caplog.records == []


async def test_a_factory_that_asks_for_its_own_value(beds: RedisKeySpace[Plant]) -> None:
    """It would wait for itself for ever: a RuntimeError says so."""

    async def make() -> Plant:
        return await beds.get_or_create("a", make)

    with pytest.raises(RuntimeError, match="asks for the value that it makes"):
        await asyncio.wait_for(beds.get_or_create("a", make), 5)


async def test_a_factory_may_ask_for_other_values(beds: RedisKeySpace[Plant]) -> None:
    """Of the same key space, too."""

    async def make() -> Plant:
        return await beds.get_or_create("b", Factory())

    assert await beds.get_or_create("a", make) == await beds.get("b") == Plant(name="plant 1")


async def test_whoever_comes_after_the_store_looks_again(beds: RedisKeySpace[Plant]) -> None:
    """A caller never returns a value that was removed before the call began."""
    make = Factory()
    removed: set[str] = set()

    async def call() -> None:
        for _ in range(60):
            gone = {*removed}
            plant = await beds.get_or_create("a", make)
            assert plant.name not in gone

    async def remove() -> None:
        for nth in range(60):
            for _ in range(nth % 4):  # a value that is removed while it is made is not stored
                await beds.contains("a")
            plant = await beds.pop("a")
            if plant is not None:
                removed.add(plant.name)

    await asyncio.gather(*(call() for _ in range(6)), *(remove() for _ in range(2)))

    assert removed


@pytest.mark.parametrize(
    ("ttl", "options", "left"),
    [
        (None, {}, (-1, -1)),
        (None, {"ex": 50}, (40, 50)),
        (None, {"px": 50_000}, (40, 50)),
        (TTL(seconds=100), {}, (90, 100)),
        (TTL(seconds=100), {"ex": 50}, (40, 50)),
        (TTL(seconds=100, renew="never"), {}, (90, 100)),
    ],
)
async def test_time_to_live(redis: Redis, ttl: TTL | None, options: dict[str, float], left: tuple[int, int]) -> None:
    """What is stored lives as the call says, or as the policy says; what was there keeps its clock."""
    beds = RedisKeySpace(redis, "beds:", Plant, ttl=ttl)
    await redis.set("beds:old", '{"name":"old"}', 77)

    assert await beds.get_or_create("a", Factory(), **options) == Plant(name="plant 1")
    await beds.get_or_create("old", Factory(), **options)

    assert left[0] <= await beds.ttl("a") <= left[1]
    assert await beds.ttl("old") == 77


async def test_a_hit_renews_where_the_policy_says_so(redis: Redis) -> None:
    """With ``renew="read"`` a value that was there gets the whole time again."""
    beds = RedisKeySpace(redis, "beds:", Plant, ttl=TTL(seconds=100, renew="read"))
    await redis.set("beds:a", '{"name":"old"}', 7)

    await beds.get_or_create("a", Factory())

    assert await beds.ttl("a") == 100


def test_event_loops_do_not_share(server: Server) -> None:
    """A call in another loop makes its own; the stored value is one."""

    async def once(name: str) -> Plant:
        client = connect(server.url)
        beds = RedisKeySpace(client, "loops:", Plant)
        try:
            return await beds.get_or_create("a", lambda: Plant(name=name))
        finally:
            await client.aclose()

    first = asyncio.run(once("first"))
    assert asyncio.run(once("second")) == first
