"""RedisKeySpace: many callers at once, cancelled callers, broken wires; nothing lost, doubled or seen by halves."""

from __future__ import annotations

import asyncio
import random
from collections.abc import AsyncIterator, Awaitable, Callable, Coroutine
from typing import Any, TypeAlias

import pytest
from redis.asyncio import Redis
from redis.exceptions import ConnectionError

from purse.collections.key_space import RedisKeySpace
from purse.embedded import Server
from purse.ttl import TTL
from tests.collections.garden import Plant, collect
from tests.collections.test_concurrency import beside
from tests.collections.test_linearizable import back_if_absent, run_disturbed
from tests.support.clients import connect
from tests.support.linearizable import History, PutBack, Recorded
from tests.support.proxy import Proxy

Visits: TypeAlias = RedisKeySpace[int]
Field: TypeAlias = int | None

policies = pytest.mark.parametrize(
    "ttl", [None, TTL(hours=1), TTL(hours=1, renew="never")], ids=["no policy", "write", "never"]
)


@pytest.fixture
async def clients(redis: Redis, server: Server) -> AsyncIterator[list[Redis]]:
    """Four clients, each with a connection of its own."""
    clients = [connect(server.url) for _ in range(4)]
    yield clients
    await asyncio.gather(*(client.aclose() for client in clients))


# --- at once ------------------------------------------------------------------------------------


@policies
async def test_one_writer_wins(clients: list[Redis], ttl: TTL | None) -> None:
    """Of 50 concurrent callers of ``setdefault`` one stores its plant and all 50 return that one."""
    beds = [RedisKeySpace(client, "beds:", Plant, ttl=ttl) for client in clients]
    offered = [Plant(name=f"p{n}", healthiness=n) for n in range(50)]

    seen = await asyncio.gather(*(beds[n % 4].setdefault("a", plant) for n, plant in enumerate(offered)))

    assert len({plant.name for plant in seen}) == 1
    assert seen[0] in offered
    assert await beds[0].get("a") == seen[0]


@policies
async def test_setdefault_and_get_or_create_never_overwrite_a_set(clients: list[Redis], ttl: TTL | None) -> None:
    """Whatever the order, once a ``set`` has returned, its value stays."""
    words = [RedisKeySpace(client, "words:", str, ttl=ttl) for client in clients]

    for n in range(20):
        key = str(n)
        await asyncio.gather(
            *(words[i % 4].setdefault(key, "default") for i in range(6)),
            *(words[i % 4].get_or_create(key, lambda: "made") for i in range(6)),
            words[n % 4].set(key, "set"),
            *(words[i % 4].get_or_create(key, lambda: "made") for i in range(6)),
        )

        assert await words[0].get(key) == "set"


async def test_only_one_sets_a_new_entry(clients: list[Redis]) -> None:
    """Of 50 callers of ``set(nx=True)``, and of ``update(if_none_exist=True)``, exactly one is told True."""
    visits = [RedisKeySpace(client, "visits:", int) for client in clients]

    stored = await asyncio.gather(*(visits[n % 4].set("a", n, nx=True) for n in range(50)))
    assert stored.count(True) == 1
    stored = await asyncio.gather(*(visits[n % 4].update({"b": n, "c": n}, True) for n in range(50)))
    assert stored.count(True) == 1
    assert await visits[0].get("b") == await visits[0].get("c") == stored.index(True)


async def test_a_value_is_popped_once(clients: list[Redis]) -> None:
    """Of 200 concurrent pops over 50 values each value goes to exactly one caller, the others get None."""
    visits = [RedisKeySpace(client, "visits:", int) for client in clients]
    await visits[0].update({str(n): n for n in range(50)})

    popped = await asyncio.gather(*(visits[n // 50].pop(str(n % 50)) for n in range(200)))

    assert sorted(value for value in popped if value is not None) == [*range(50)]
    assert popped.count(None) == 150


@policies
async def test_changes_add_up(clients: list[Redis], ttl: TTL | None) -> None:
    """Fifty concurrent ``modify`` and a hundred increments of one value are all applied."""
    visits = [RedisKeySpace(client, "visits:", int, ttl=ttl) for client in clients]

    await asyncio.gather(
        *(visits[n % 4].modify("a", lambda value: value + 1, default=0) for n in range(50)),
        *(visits[n % 4].increment("a") for n in range(100)),
    )

    assert await visits[0].get("a") == 150


@policies
async def test_an_update_is_seen_all_at_once(clients: list[Redis], ttl: TTL | None) -> None:
    """A reader beside updates of 1200 entries sees the values of one of them only."""
    writer, reader = (RedisKeySpace(client, "visits:", int, ttl=ttl) for client in clients[:2])
    keys = [str(n) for n in range(1200)]

    async def write() -> None:
        for n in range(10):
            await writer.update(dict.fromkeys(keys, n))

    async def watch() -> None:
        seen = await reader.get_many(keys)
        assert len(seen) in (0, 1200)
        assert len({*seen.values()}) <= 1

    assert await beside(write(), watch) > 1


async def test_scripts_survive_a_flush_at_any_moment(clients: list[Redis], redis: Redis) -> None:
    """With SCRIPT FLUSH in a loop beside them, every method that runs a script does its work exactly once."""
    visits = RedisKeySpace(redis, "visits:", int, ttl=TTL(hours=1, renew="never"))

    async def work() -> None:
        for n in range(20):
            await asyncio.gather(
                *(visits.setdefault(f"{n}:{i}", 1) for i in range(5)),
                *(visits.modify("all", lambda value: value + 1, default=0) for _ in range(3)),
                *(visits.increment("all") for _ in range(3)),
                visits.update({f"{n}:x": 1, f"{n}:y": 1}),
                visits.set(f"{n}:z", 1),
            )

    async def flush() -> None:
        await clients[0].script_flush()

    assert await beside(work(), flush) > 10
    assert await visits.len() == 20 * 8 + 1
    assert await visits.get("all") == 120


@pytest.mark.parametrize("max_connections", [None, 1])
async def test_many_calls_at_once(server: Server, redis: Redis, max_connections: int | None) -> None:
    """Many concurrent reads are each answered with their own value, on a pool of one connection too."""
    client = connect(server.url, max_connections=max_connections)
    visits = RedisKeySpace(client, "visits:", int)
    await visits.update({str(n): -n for n in range(1500)})

    assert await asyncio.gather(*(visits.get(str(n)) for n in range(1500))) == [-n for n in range(1500)]
    assert await visits.clear() == 1500


# --- cancelled ----------------------------------------------------------------------------------


async def test_cancelled_calls_disturb_no_other(server: Server, redis: Redis) -> None:
    """In 25 rounds of a hundred calls, of which some are cancelled, every answer is right and no task is left."""
    client = connect(server.url)
    visits = RedisKeySpace(client, "visits:", int)
    await visits.update({str(n): n for n in range(100)})
    before = asyncio.all_tasks()

    async def call(n: int) -> None:
        match n % 5:
            case 0:
                assert (await visits.get_many([str(n), "x"])) == {str(n): n}
            case 1:
                assert await visits.get_or_create(f"new{n}", lambda: n) == n
            case 2:
                assert await visits.setdefault(str(n), -1) == n
            case 3 if n % 20 == 3:
                assert await visits.len() >= 100
                assert {value for _, value in await collect(visits.items(30))} >= {*range(100)}
            case _:
                assert await visits.get(str(n)) == n

    for seed in range(25):
        chance = random.Random(seed)
        calls = [asyncio.create_task(call(n)) for n in range(100)]
        for _ in range(chance.randrange(8)):
            await asyncio.sleep(0)
        for doomed in chance.sample(calls, 30):
            doomed.cancel()
        results = await asyncio.gather(*calls, return_exceptions=True)
        wrong = [r for r in results if r is not None and not isinstance(r, asyncio.CancelledError)]
        assert not wrong, f"seed {seed}: {wrong}"

    await visits.get("0")
    left = [task for task in asyncio.all_tasks() - before if not task.get_name().startswith("purse: ")]
    assert not left


# --- broken wires -------------------------------------------------------------------------------

START = {"a": 1, "b": 2}
WRITES: dict[str, tuple[Callable[[Visits], Awaitable[object]], dict[str, int]]] = {
    "set": (lambda s: s.set("a", 7), {"a": 7, "b": 2}),
    "setdefault": (lambda s: s.setdefault("c", 7), {**START, "c": 7}),
    "increment": (lambda s: s.increment("a"), {"a": 2, "b": 2}),
    "pop": (lambda s: s.pop("a"), {"b": 2}),
    "delete": (lambda s: s.delete("a"), {"b": 2}),
    "update": (lambda s: s.update({"c": 3, "d": 4}), {**START, "c": 3, "d": 4}),
    "update if_none_exist": (lambda s: s.update({"c": 3, "d": 4}, True), {**START, "c": 3, "d": 4}),
    "set_many": (lambda s: s.set_many({"a": 3, "d": 4}, 500), {"a": 3, "b": 2, "d": 4}),
    "delete_many": (lambda s: s.delete_many(["a", "b", "c"]), {}),
}


@pytest.mark.rows(6)
@pytest.mark.parametrize("ttl", [None, TTL(hours=1, renew="never")], ids=["no policy", "never"])
@pytest.mark.parametrize(("write", "after"), WRITES.values(), ids=WRITES.keys())
async def test_a_swallowed_reply_is_an_error_and_one_effect(
    redis: Redis,
    proxy: Proxy,
    write: Callable[[Visits], Awaitable[object]],
    after: dict[str, int],
    ttl: TTL | None,
) -> None:
    """The server executed the write and its reply vanished: the caller is told, and it happened exactly once."""
    client = connect(proxy.url)
    visits, direct = (RedisKeySpace(c, "visits:", int, ttl=ttl) for c in (client, redis))
    # The scripts are known: a NOSCRIPT reply would be swallowed, too, and the call would do nothing.
    for name in ("x", "y"):
        await direct.setdefault(name, 1)
        await direct.increment(name)
        await direct.set_many({name: 1}, 5)
    await direct.clear()
    await direct.update(START)
    await visits.contains("a")
    proxy.cut_after(0)

    with pytest.raises(ConnectionError, match="not sent again"):
        await write(visits)

    assert dict(await collect(direct)) == after
    assert dict(await collect(visits)) == after


@pytest.mark.parametrize("cut", [0, 3, 20, 60, 400])
async def test_reads_survive_a_cut(redis: Redis, proxy: Proxy, cut: int) -> None:
    """A read whose reply is cut is sent again, also in the middle of an iteration."""
    client = connect(proxy.url)
    visits = RedisKeySpace(client, "visits:", int)
    numbers = {str(n): n for n in range(700)}
    await RedisKeySpace(redis, "visits:", int).update(numbers)
    await visits.contains("a")

    proxy.cut_after(cut)
    assert await visits.get_many(numbers) == numbers
    proxy.cut_after(cut)
    assert dict(await collect(visits.items(100))) == numbers
    proxy.cut_after(cut)
    assert await visits.len() == 700
    proxy.heal()


# --- histories ----------------------------------------------------------------------------------


def some_call(space: Visits, chance: random.Random) -> Recorded:
    """One call on the entry "x", and its model."""
    value = chance.randrange(5)

    def default(s: Field) -> tuple[Field, object]:
        return (value, value) if s is None else (s, s)

    match chance.randrange(11):
        case 0:
            return f"set {value}", space.set("x", value), lambda s: (value, True)
        case 1:
            return (
                f"set {value} nx",
                space.set("x", value, nx=True),
                lambda s: (value, True) if s is None else (s, False),
            )
        case 2:
            return "get", space.get("x"), lambda s: (s, s)
        case 3:
            return f"setdefault {value}", space.setdefault("x", value), default
        case 4 | 5:
            return (
                f"get_or_create {value}",
                space.get_or_create("x", lambda: value),
                default,
                lambda s: (s, value if s is None else s),  # the entry was removed meanwhile: returned, and not stored
            )
        case 6:
            return "pop", space.pop("x"), lambda s: (None, s), PutBack(back_if_absent)
        case 7:
            return "increment", space.increment("x"), lambda s: ((s or 0) + 1, (s or 0) + 1)
        case 8:
            return "delete", space.delete("x"), lambda s: (None, int(s is not None))
        case 9:
            return "get_many", space.get_many([*"xy"]), lambda s: (s, {} if s is None else {"x": s})
        case _:
            return "modify", space.modify("x", lambda v: v + 10, default=0), lambda s: ((s or 0) + 10, (s or 0) + 10)


async def call_some(space: Visits, chance: random.Random, history: History[Field]) -> None:
    for _ in range(5):
        await history.record(*some_call(space, chance))


@pytest.mark.rows(1)
@pytest.mark.parametrize("ttl", [None, TTL(hours=1, renew="never")], ids=["no policy", "never"])
async def test_every_history_has_an_explanation(redis: Redis, proxy: Proxy, ttl: TTL | None) -> None:
    """Three callers use one entry while calls are cancelled and the wire is cut: some order explains it.

    Two of them share a client, and with it what ``get_or_create`` makes.
    """
    clients = [connect(proxy.url) for _ in range(2)]
    for seed in range(30):
        chance = random.Random(seed)
        history: History[Field] = History()
        spaces = [RedisKeySpace(clients[n // 2], f"{seed}:", int, ttl=ttl) for n in range(3)]
        callers: list[Coroutine[Any, Any, None]] = [call_some(space, chance, history) for space in spaces]

        await run_disturbed(callers, proxy, chance)

        assert history.explained_from(None), f"seed {seed}:\n{history}"
    for client in clients:
        await client.aclose()
