"""RedisSortedSet with many callers, broken wires and cancellations: nothing is lost, doubled or seen by halves."""

from __future__ import annotations

import asyncio
import math
import random
from collections.abc import AsyncIterator, Awaitable, Callable
from typing import Any, TypeAlias, cast

import pytest
from redis.asyncio import Redis
from redis.exceptions import ConnectionError

from purse.collections.sorted_set import RedisSortedSet, gt
from purse.embedded import Server
from purse.errors import EncodeError
from tests.collections.test_concurrency import beside
from tests.collections.test_linearizable import run_disturbed
from tests.support.clients import connect
from tests.support.linearizable import History, PutBack, Recorded
from tests.support.polling import until
from tests.support.proxy import Proxy
from tests.support.tasks import no_task_left

Ranking: TypeAlias = RedisSortedSet[str]
State: TypeAlias = tuple[tuple[str, float], ...]


@pytest.fixture
async def rankings(redis: Redis, server: Server) -> AsyncIterator[list[Ranking]]:
    """The same sorted set through four clients, each with a connection of its own."""
    clients = [connect(server.url) for _ in range(4)]
    yield [RedisSortedSet(client, "ranking", str) for client in clients]
    await asyncio.gather(*(client.aclose() for client in clients))


# --- concurrency --------------------------------------------------------------------------------


async def test_one_of_fifty_adds(rankings: list[Ranking]) -> None:
    """Of 50 concurrent callers with ``nx`` one adds the member, and its score stays."""
    added = await asyncio.gather(*(rankings[i % 4].add(("a", i), nx=True) for i in range(50)))

    assert sum(added) == 1
    assert await rankings[0].score("a") == added.index(1)


async def test_the_highest_of_fifty_stays(rankings: list[Ranking]) -> None:
    """Whatever the order of 50 concurrent callers with ``keep``, the highest score is kept."""
    scores = [*range(50)]
    random.Random(7).shuffle(scores)

    await asyncio.gather(*(rankings[i % 4].add(("a", score), keep="highest") for i, score in enumerate(scores)))

    assert await rankings[0].score("a") == 49


async def test_increments_add_up(rankings: list[Ranking]) -> None:
    """Of 200 concurrent increments each returns another sum, and the last is their number."""
    pairs = await asyncio.gather(*(rankings[i % 4].increment(("a", 1)) for i in range(200)))

    assert sorted(score for _, score in pairs) == [*range(1, 201)]


async def test_an_item_is_popped_once(rankings: list[Ranking]) -> None:
    """Of 200 concurrent pops at both ends over 50 items each item goes to exactly one caller."""
    everything = [(str(n), float(n)) for n in range(50)]
    await rankings[0].add_multi(everything)

    pops = [rankings[i % 4].pop_min() if i % 3 else rankings[i % 4].pop_max(2) for i in range(200)]
    popped = await asyncio.gather(*pops)

    assert sorted(item for items in popped for item in items) == sorted(everything)


async def test_bulk_writes_are_seen_all_at_once(rankings: list[Ranking]) -> None:
    """A reader beside bulk writes of 1200 members sees all of one, or nothing of it."""
    writer, incrementer, reader = rankings[:3]
    names = [f"{n:04}" for n in range(1200)]

    async def write() -> None:
        for score in range(8):
            await writer.add_multi((name, score) for name in names)
            await incrementer.increment_multi((name, 0.5) for name in names)
            await writer.remove(*names)

    async def watch() -> None:
        items = await reader.slice_by_rank(0, -1)
        assert len(items) in (0, 1200)
        assert len({score for _, score in items}) <= 1
        assert len({score for _, score in await reader.score_multi(names)}) == 1

    assert await beside(write(), watch) > 1


async def test_a_bad_member_stores_nothing(redis: Redis) -> None:
    """If the last of 1200 members cannot be encoded, or its score, none is stored; the error names its position."""
    numbers = RedisSortedSet(redis, "numbers", int)
    good: list[tuple[int, float]] = [(n, n) for n in range(1199)]
    bad = [(cast("int", "x"), 1.0), (1, float("nan"))]

    for call in (numbers.add_multi, numbers.increment_multi):
        for pair in bad:
            with pytest.raises(EncodeError, match=r"numbers\[1199\]") as caught:
                await call([*good, pair])
            assert caught.value.field == 1199

    assert not await numbers.exists()


async def test_scripts_survive_a_flush_at_any_moment(redis: Redis, rankings: list[Ranking]) -> None:
    """With SCRIPT FLUSH in a loop beside it the script for 2.x's members does its work exactly once."""
    prices: RedisSortedSet[dict[str, int]] = RedisSortedSet(redis, "prices", cast("type[dict[str, int]]", dict))
    member = {"y": 2, "x": 1}
    await redis.zadd("prices", {b'{"y": 2, "x": 1}': 0})

    async def work() -> None:
        for _ in range(20):
            await asyncio.gather(*(prices.increment((member, 1)) for _ in range(5)))

    async def flush() -> None:
        await rankings[0].redis.script_flush()

    assert await beside(work(), flush) > 5
    assert await prices.slice_by_rank(0, -1) == [(member, 100)]


# --- histories ----------------------------------------------------------------------------------


def ordered(state: dict[str, float]) -> State:
    return tuple(sorted(state.items(), key=lambda item: (item[1], item[0])))


def call(z: Ranking, chance: random.Random) -> Recorded:
    """One call on a small sorted set, and its model."""
    member, score = chance.choice("ab"), chance.randrange(4)

    def added(s: State) -> tuple[State, object]:
        return ordered({**dict(s), member: score}), int(member not in dict(s))

    def raised(s: State) -> tuple[State, object]:
        after = {**dict(s), member: max(score, dict(s).get(member, score))}
        return ordered(after), int(after != dict(s))

    def incremented(s: State) -> tuple[State, object]:
        total = dict(s).get(member, 0) + score
        return ordered({**dict(s), member: total}), (member, total)

    def removed(s: State) -> tuple[State, object]:
        return tuple(item for item in s if item[0] != member), int(member in dict(s))

    def cut_off(s: State) -> tuple[State, object]:
        left = tuple(item for item in s if item[1] <= score)
        return left, len(s) - len(left)

    def back(s: State, popped: Any) -> State:
        return ordered({**dict(popped), **dict(s)})

    match chance.randrange(9):
        case 0:
            return f"add {member} {score}", z.add((member, score)), added
        case 1:
            return f"keep highest {member} {score}", z.add((member, score), ch=True, keep="highest"), raised
        case 2:
            return f"increment {member} {score}", z.increment((member, score)), incremented
        case 3:
            return "pop_min", z.pop_min(), lambda s: (s[1:], [*s[:1]]), PutBack(back)
        case 4:
            return "pop_max", z.pop_max(), lambda s: (s[:-1], [*s[-1:]]), PutBack(back)
        case 5:
            return f"remove {member}", z.remove(member), removed
        case 6:
            return f"remove above {score}", z.remove_by_score(gt(score), 99), cut_off
        case 7:
            return "slice", z.slice_by_rank(0, -1), lambda s: (s, [*s])
        case _:
            return f"score {member}", z.score(member), lambda s: (s, dict(s).get(member))


async def test_every_history_has_an_explanation(proxy: Proxy, redis: Redis) -> None:
    """Three clients use one set while calls are cancelled and the wire is cut: some order explains each history."""
    clients = [connect(proxy.url) for _ in range(3)]

    async def use(client: Redis, key: str, chance: random.Random, history: History[State]) -> None:
        for _ in range(5):
            await history.record(*call(RedisSortedSet(client, key, str), chance))

    for seed in range(60):
        chance = random.Random(seed)
        history: History[State] = History()

        await run_disturbed([use(client, f"z{seed}", chance, history) for client in clients], proxy, chance)

        assert history.explained_from(()), f"seed {seed}:\n{history}"
    for client in clients:
        await client.aclose()


async def test_waiting_pops_beside_plain_ones(redis: Redis, server: Server) -> None:
    """Waiting pops of two clients that give up, beside adds and plain pops: each item was taken once, or is there."""
    clients = [connect(server.url) for _ in range(2)]

    async def impatient(z: Ranking, patience: float) -> list[tuple[str, float]]:
        try:
            async with asyncio.timeout(patience):
                return [await z.blocking_pop_min()]
        except TimeoutError:
            return []

    async def use(z: Ranking, chance: random.Random, taken: list[tuple[str, float]], added: list[str]) -> None:
        for n in range(6):
            match chance.randrange(3):
                case 0:
                    name = f"{id(z)}:{n}"
                    added.append(name)
                    await z.add((name, chance.randrange(4)))
                case 1:
                    taken += await z.pop_max()
                case _:
                    taken += await impatient(z, chance.uniform(0, 0.002))

    for seed in range(40):
        chance = random.Random(seed)
        sets = [RedisSortedSet(client, f"w{seed}", str) for client in clients for _ in range(3)]
        taken, added = list[tuple[str, float]](), list[str]()

        await asyncio.gather(*(use(z, chance, taken, added) for z in sets))
        await until(no_task_left, True)

        left = await sets[0].slice_by_rank(0, -1)
        assert sorted(name for name, _ in [*taken, *left]) == sorted(added), seed
    for client in clients:
        await client.aclose()


# --- faults -------------------------------------------------------------------------------------

WRITES: dict[str, tuple[Callable[[Ranking], Awaitable[object]], dict[str, float]]] = {
    "add": (lambda z: z.add(("c", 3)), {"a": 1, "b": 2, "c": 3}),
    "add_multi": (lambda z: z.add_multi([("a", 5), ("c", 3)]), {"a": 5, "b": 2, "c": 3}),
    "increment": (lambda z: z.increment(("a", 1)), {"a": 2, "b": 2}),
    "increment_multi": (lambda z: z.increment_multi([("a", 1), ("a", 1)]), {"a": 3, "b": 2}),
    "increment_multi in a script": (
        lambda z: z.increment_multi([("a", 1), ("b", math.inf)]),
        {"a": 2, "b": math.inf},
    ),
    "remove": (lambda z: z.remove("a"), {"b": 2}),
    "pop_min": (lambda z: z.pop_min(), {"b": 2}),
    "pop_max": (lambda z: z.pop_max(2), {}),
}


@pytest.mark.parametrize(("write", "after"), WRITES.values(), ids=WRITES.keys())
async def test_a_swallowed_reply_is_an_error_and_one_effect(
    redis: Redis, proxy: Proxy, write: Callable[[Ranking], Awaitable[object]], after: dict[str, float]
) -> None:
    """The server executed the write and its reply vanished: the caller is told, and it happened exactly once."""
    client = connect(proxy.url)
    ranking, near = RedisSortedSet(client, "ranking", str), RedisSortedSet(redis, "ranking", str)
    await RedisSortedSet(client, "warm", str).increment_multi([("a", 1), ("b", math.inf)])
    await near.add_multi([("a", 1), ("b", 2)])
    proxy.cut_after(0)

    with pytest.raises(ConnectionError, match="not sent again"):
        await write(ranking)

    assert dict(await near.slice_by_rank(0, -1)) == after
    assert dict(await ranking.slice_by_rank(0, -1)) == after


async def test_cancelled_calls_disturb_nobody(redis: Redis, server: Server) -> None:
    """Of 50 concurrent calls some are cancelled, 20 rounds: no wrong answer, no task left, no effect doubled."""
    client = connect(server.url)
    ranking = RedisSortedSet(client, "ranking", str)
    chance = random.Random(20261126)
    await ranking.add_multi((str(n), n) for n in range(50))
    incremented = asked = 0

    for _ in range(20):
        scores = [asyncio.create_task(ranking.score(str(n))) for n in range(40)]
        sums = [asyncio.create_task(ranking.increment(("sum", 1))) for _ in range(10)]
        for _ in range(chance.randrange(6)):
            await asyncio.sleep(0)
        for task in chance.sample([*scores, *sums], 20):
            task.cancel()
        await asyncio.wait([*scores, *sums])

        assert all(task.cancelled() or task.result() == n for n, task in enumerate(scores))
        asked += 10
        incremented += sum(not task.cancelled() for task in sums)

    assert incremented <= (await ranking.score("sum") or 0) <= asked
    assert len(asyncio.all_tasks()) == 1
