"""RedisSortedSet: callers that wait for an item get each one once, in turn, and lose nothing when they give up."""

from __future__ import annotations

import asyncio
import random
from collections.abc import Callable, Coroutine
from datetime import timedelta
from typing import Any, TypeAlias

import anyio
import pytest
from redis.asyncio import Redis

from purse import Store
from purse._engine import dedicated
from purse._engine.registry import executor_for
from purse.collections.sorted_set import RedisSortedSet
from purse.embedded import Server
from purse.errors import DecodeError, StoreClosed
from purse.ttl import TTL
from tests.support.clients import connect
from tests.support.polling import until
from tests.support.proxy import Proxy
from tests.support.tasks import no_task_left

Numbers: TypeAlias = RedisSortedSet[int]
Pop: TypeAlias = Callable[[Numbers], Coroutine[Any, Any, tuple[int, float]]]

POPS: dict[str, Pop] = {
    "min": lambda z: z.blocking_pop_min(),
    "max": lambda z: z.blocking_pop_max(None),
}
both_ends = pytest.mark.parametrize("pop", POPS.values(), ids=POPS.keys())


@pytest.fixture
def numbers(redis: Redis) -> Numbers:
    """An empty sorted set of numbers."""
    return RedisSortedSet(redis, "numbers", int)


async def waiting(client: Redis, end: str = "ZPOPMIN") -> int:
    """How many callers wait in the line for one end of ``numbers``."""
    return len(executor_for(client).line("numbers", f"{end} None", _never, _never))


def _never(_: object) -> Any:
    raise AssertionError("a line of a test's own was used")


async def left(numbers: Numbers) -> dict[int, float]:
    return dict(await numbers.slice_by_rank(0, -1))


async def test_an_item_that_is_there_is_taken_at_once(numbers: Numbers) -> None:
    """``blocking_pop_min`` takes the lowest item, ``blocking_pop_max`` the highest, each with its score."""
    await numbers.add_multi([(1, 1.5), (2, 2.5), (3, 3.5)])

    assert await numbers.blocking_pop_min(5) == (1, 1.5)
    assert await numbers.blocking_pop_max(timedelta(seconds=5)) == (3, 3.5)
    assert await left(numbers) == {2: 2.5}


@both_ends
async def test_an_item_that_comes_ends_the_waiting(numbers: Numbers, pop: Pop) -> None:
    """A caller that waits gets the item that is added, by whichever method."""
    adding: list[Callable[[], Coroutine[Any, Any, object]]] = [
        lambda: numbers.add((7, 0.5)),
        lambda: numbers.add_multi([(7, 0.5)]),
        lambda: numbers.increment((7, 0.5)),
    ]
    for add in adding:
        task = asyncio.create_task(pop(numbers))
        await asyncio.sleep(0)
        await add()

        assert await asyncio.wait_for(task, 5) == (7, 0.5)


@pytest.mark.parametrize(("end", "sign"), [("min", 1), ("max", -1)])
async def test_who_came_first_is_served_first(numbers: Numbers, end: str, sign: int) -> None:
    """Fifty callers that wait get the items in the order in which they came; none overtakes them."""
    tasks = [asyncio.create_task(POPS[end](numbers)) for _ in range(50)]
    await asyncio.sleep(0)
    for n in range(50):
        await numbers.add((n, sign * n))
        if not n % 10:
            assert await asyncio.wait_for(tasks[n], 5) == (n, sign * n)

    assert await asyncio.wait_for(asyncio.gather(*tasks), 5) == [(n, sign * n) for n in range(50)]


@pytest.mark.parametrize("timeout", [0.01, timedelta(milliseconds=10)], ids=["seconds", "timedelta"])
async def test_a_timeout_is_the_builtin_one(numbers: Numbers, timeout: float | timedelta) -> None:
    """If nothing comes in time, both raise TimeoutError naming the key (2.x: a TypeError); nothing waits after it."""
    for pop in (numbers.blocking_pop_min, numbers.blocking_pop_max):
        with pytest.raises(TimeoutError, match=r"numbers: no item came within 0\.01 seconds"):
            await pop(timeout)

    await until(no_task_left, True)
    await numbers.add((1, 1))
    assert await left(numbers) == {1: 1}


@pytest.mark.parametrize("timeout", [-1, float("nan"), timedelta(seconds=-1)], ids=str)
async def test_a_timeout_that_is_none(numbers: Numbers, timeout: float | timedelta) -> None:
    """A negative timeout and nan are ValueErrors; nothing is taken."""
    await numbers.add((1, 1))

    with pytest.raises(ValueError, match="timeout="):
        await numbers.blocking_pop_min(timeout)

    assert await left(numbers) == {1: 1}


async def test_waiting_outlasts_the_socket_timeout(server: Server, redis: Redis) -> None:
    """A caller may wait longer than the client's socket timeout, and give up far earlier."""
    client = connect(server.url, socket_timeout=0.05)
    numbers = RedisSortedSet(client, "numbers", int)
    patient = asyncio.create_task(numbers.blocking_pop_min(timeout=20))
    with pytest.raises(TimeoutError):
        await numbers.blocking_pop_min(timeout=0.001)
    done, _ = await asyncio.wait([patient], timeout=0.2)
    assert not done

    await redis.zadd("numbers", {"7": 1})

    assert await patient == (7, 1)


async def test_a_cancelled_caller_at_any_moment_loses_nothing(numbers: Numbers) -> None:
    """Cancelled after each number of steps, a caller either has its item, or it is in the set with its score."""
    everything = {1: 1.5, 2: 2.5}
    for steps in range(40):
        await numbers.clear()
        if steps % 2:
            await numbers.add_multi(everything.items())
        task = asyncio.create_task(numbers.blocking_pop_max() if steps % 4 < 2 else numbers.blocking_pop_min())
        if not steps % 2:
            await asyncio.sleep(0)
            await numbers.add_multi(everything.items())
        for _ in range(steps // 2):
            await asyncio.sleep(0)
        task.cancel()
        (outcome,) = await asyncio.gather(task, return_exceptions=True)
        await until(no_task_left, True)

        taken = dict([outcome]) if isinstance(outcome, tuple) else {}
        assert await left(numbers) | taken == everything, steps
        assert len(await left(numbers)) == 2 - len(taken)


@pytest.mark.parametrize("scopes", ["asyncio", "anyio"])
async def test_callers_that_give_up_beside_producers(numbers: Numbers, scopes: str) -> None:
    """Hundreds of callers give up at random moments at both ends: each item goes to one caller or stays."""
    chance = random.Random(20261125)
    seen: list[tuple[int, float]] = []
    given_up = 0

    async def pop() -> None:
        seen.append(await (numbers.blocking_pop_min() if chance.random() < 0.5 else numbers.blocking_pop_max()))

    async def impatient() -> None:
        nonlocal given_up
        while given_up < 500:
            patience = chance.uniform(0, 0.004)
            if scopes == "asyncio":
                try:
                    async with asyncio.timeout(patience):
                        await pop()
                except TimeoutError:
                    given_up += 1
            else:
                with anyio.move_on_after(patience) as scope:
                    await pop()
                given_up += scope.cancelled_caught

    async def produce() -> int:
        number = 0
        while given_up < 500:
            await numbers.add_multi((n, n / 2) for n in range(number, number + 3))
            number += 3
            await asyncio.sleep(0.001)
        return number

    producing = asyncio.create_task(produce())
    await asyncio.gather(*(impatient() for _ in range(20)))
    total = await producing
    await until(no_task_left, True)

    assert sorted([*seen, *await numbers.slice_by_rank(0, -1)]) == [(n, n / 2) for n in range(total)]


async def test_what_is_put_back_is_not_newer_than_what_is_there(redis: Redis, proxy: Proxy, numbers: Numbers) -> None:
    """If a member was added again while it was on its way to a caller who is gone, its newer score stays."""
    client = connect(proxy.url)
    far = RedisSortedSet(client, "numbers", int)
    await numbers.add_multi([(1, 1), (2, 2)])
    assert await far.len() == 2
    proxy.delay(0.05)
    tasks = [asyncio.create_task(far.blocking_pop_min()) for _ in range(2)]
    await until(numbers.len, 0)  # both are on their way

    await numbers.add((1, 9))
    for task in tasks:
        task.cancel()
    proxy.heal()
    await until(no_task_left, True)

    assert await left(numbers) == {1: 9, 2: 2}


async def test_a_thousand_wait_on_a_few_connections(redis: Redis, numbers: Numbers, engine: str) -> None:
    """A thousand callers at both ends share a handful of connections, other calls go on, and all are served."""
    tasks = [asyncio.create_task(POPS[end](numbers)) for end in ("min", "max") for _ in range(500)]
    await until(lambda: waiting(redis, "ZPOPMIN"), 500)
    await until(lambda: waiting(redis, "ZPOPMAX"), 500)

    clients = len(await redis.client_list())  # pyright: ignore[reportUnknownMemberType]
    assert clients < (10 if engine == "shared" else 10 + dedicated.LIMIT)
    assert await numbers.len() == 0
    await numbers.add_multi((n, n) for n in range(1000))

    assert sorted(await asyncio.wait_for(asyncio.gather(*tasks), 10)) == [(n, n) for n in range(1000)]


async def test_each_item_goes_to_one_of_many_clients(redis: Redis, server: Server, numbers: Numbers) -> None:
    """Callers of three clients share what comes; nothing twice, nothing lost."""
    clients = [connect(server.url) for _ in range(3)]
    sets = [RedisSortedSet(client, "numbers", int) for client in clients]
    tasks = [asyncio.create_task(each.blocking_pop_min()) for each in sets for _ in range(30)]

    for n in range(0, 90, 10):
        await numbers.add_multi((m, m) for m in range(n, n + 10))

    assert sorted(await asyncio.wait_for(asyncio.gather(*tasks), 10)) == [(n, n) for n in range(90)]
    for client in clients:
        await client.aclose()


async def test_a_broken_wire_while_waiting(redis: Redis, proxy: Proxy) -> None:
    """A caller whose connections break goes on waiting, and is served."""
    client = connect(proxy.url)
    task = asyncio.create_task(RedisSortedSet(client, "numbers", int).blocking_pop_min())
    await until(lambda: waiting(client), 1)
    for _ in range(3):
        await until(lambda: _idle(client), True)
        proxy.drop()

    await until(lambda: _idle(client), True)
    await redis.zadd("numbers", {"7": 1})

    assert await asyncio.wait_for(task, 5) == (7, 1)


async def _idle(client: Redis) -> bool:
    """Whether nothing is on its way: what is taken in the moment when the wire breaks may be lost."""
    return executor_for(client).line("numbers", "ZPOPMIN None", _never, _never).idle


async def test_bad_bytes_reach_only_one_caller(redis: Redis, numbers: Numbers) -> None:
    """A caller that gets bytes that are no member has them in its error; the next one gets the next item."""
    tasks = [asyncio.create_task(numbers.blocking_pop_min()) for _ in range(2)]
    await asyncio.sleep(0)
    await redis.zadd("numbers", {"x": 1, "2": 2})

    bad, good = await asyncio.wait_for(asyncio.gather(*tasks, return_exceptions=True), 5)

    assert isinstance(bad, DecodeError)
    assert (bad.key, bad.raw) == ("numbers", b"x")
    assert good == (2, 2)


@both_ends
async def test_waiting_is_no_part_of_a_transaction(redis: Redis, pop: Pop) -> None:
    """``atomic`` refuses to wait, and pops of several items, before anything is sent; plain pops it executes."""

    class Garden(Store, namespace="garden"):
        pass

    garden = Garden(redis)
    numbers = RedisSortedSet(redis, "numbers", int)
    await numbers.add_multi([(1, 1), (2, 2)])

    with pytest.raises(TypeError, match=r"blocking_pop_m\w+\(\) waits"):
        await garden.atomic(pop(numbers))
    with pytest.raises(TypeError, match=r"pop_min\(\) with a count"):
        await garden.atomic(numbers.pop_min(2))
    assert await garden.atomic(numbers.pop_min(), numbers.rank(2)) == ([(1, 1)], 0)


@pytest.mark.parametrize("renew", ["write", "read", "never"])
async def test_waiting_carries_the_policy(redis: Redis, renew: Any) -> None:
    """What a waiting caller takes, and what is put back, is a write: the policy's clock runs."""
    numbers = RedisSortedSet(redis, "numbers", int, ttl=TTL(seconds=100, renew=renew))
    task = asyncio.create_task(numbers.blocking_pop_min())
    await asyncio.sleep(0)
    await redis.zadd("numbers", {"1": 1, "2": 2})

    assert await asyncio.wait_for(task, 5) == (1, 1)
    assert 95_000 < await numbers.pttl() <= 100_000

    await numbers.clear()
    await redis.zadd("numbers", {"x": 1, "2": 2})
    with pytest.raises(DecodeError):
        await numbers.pop_min(2)
    assert 95_000 < await numbers.pttl() <= 100_000
    assert await left(numbers) == {2: 2}


async def test_closing_ends_the_waiting(server: Server, redis: Redis) -> None:
    """When the client's calls are closed, everybody who waits is told, and no task is left."""
    client = connect(server.url)
    tasks = [asyncio.create_task(RedisSortedSet(client, "numbers", int).blocking_pop_max(60)) for _ in range(3)]
    await until(lambda: waiting(client, "ZPOPMAX"), 3)

    await executor_for(client).aclose()

    outcomes = await asyncio.gather(*tasks, return_exceptions=True)
    assert all(isinstance(outcome, StoreClosed) for outcome in outcomes)
    await until(no_task_left, True)
