"""Recorded histories of concurrent calls have an order that explains them, broken wires and cancellations included.

Each run is decided by its seed; the failing history is printed.
"""

from __future__ import annotations

import asyncio
import random
from collections.abc import AsyncIterator, Coroutine
from typing import Any

import pytest
from redis.asyncio import Redis

from purse.collections import RedisHash, RedisList
from tests.support.clients import connect
from tests.support.linearizable import History, PutBack, Recorded
from tests.support.proxy import Proxy

CLIENTS = 3
CALLS = 5

Field = int | None
Items = tuple[str, ...]


@pytest.fixture
async def clients(proxy: Proxy, redis: Redis) -> AsyncIterator[list[Redis]]:
    """Clients with connections of their own, all through one proxy to an empty server."""
    clients = [connect(proxy.url) for _ in range(CLIENTS)]
    yield clients
    for client in clients:
        await client.aclose()


def test_the_search_finds_an_order_where_there_is_one() -> None:
    """The search accepts a read of either value while a write runs, and refuses a stale read after it."""

    def write(_: int) -> tuple[int, object]:
        return 1, None

    def read(state: int) -> tuple[int, object]:
        return state, state

    def history(first: int, second: int) -> History[int]:
        async def run() -> History[int]:
            history: History[int] = History()
            begun = asyncio.Event()

            async def answer(value: object) -> object:
                await begun.wait()
                return value

            writing = asyncio.create_task(history.record("write", answer(None), write))
            reading = asyncio.create_task(history.record("read", answer(first), read))
            await asyncio.sleep(0)
            begun.set()
            await asyncio.gather(writing, reading)
            await history.record("read", answer(second), read)
            return history

        return asyncio.run(run())

    assert history(0, 1).explained_from(0)
    assert history(1, 1).explained_from(0)
    assert not history(0, 0).explained_from(0)
    assert not history(2, 1).explained_from(0)


def back_if_absent(s: Field, popped: Field) -> Field:
    """Putting back what was popped, unless there is another value."""
    return popped if s is None else s


def hash_call(h: RedisHash[int], chance: random.Random) -> Recorded:
    """One call on the field "x", and its model."""
    value = chance.randrange(5)
    match chance.randrange(8):
        case 0:
            return f"set {value}", h.set("x", value), lambda s: (value, int(s is None))
        case 1:
            return "get", h.get("x"), lambda s: (s, s)
        case 2:
            return f"setdefault {value}", h.setdefault("x", value), lambda s: (value, value) if s is None else (s, s)
        case 3:
            return "pop", h.pop("x"), lambda s: (None, s), PutBack(back_if_absent)
        case 4:
            return "increment", h.increment("x"), lambda s: ((s or 0) + 1, (s or 0) + 1)
        case 5:
            return "delete", h.delete("x"), lambda s: (None, int(s is not None))
        case 6:
            return "contains", h.contains("x"), lambda s: (s, s is not None)
        case _:
            return "modify", h.modify("x", lambda v: v + 10, default=0), lambda s: ((s or 0) + 10, (s or 0) + 10)


def list_call(items: RedisList[str], chance: random.Random) -> Recorded:
    """One call on a list, and its model."""
    value, index = chance.choice("abc"), chance.randrange(-3, 4)

    def inserted(s: Items) -> tuple[Items, object]:
        after = [*s]
        after.insert(index, value)
        return tuple(after), None

    def removed(s: Items) -> tuple[Items, object]:
        return tuple(item for item in s if item != value), s.count(value)

    def back_at(end: int) -> PutBack[Items]:
        def back(s: Items, popped: Any) -> Items:
            if popped is IndexError:
                return s
            return (*s, popped) if end else (popped, *s)

        return PutBack(back)

    match chance.randrange(9):
        case 0:
            return f"append {value}", items.append(value), lambda s: ((*s, value), len(s) + 1)
        case 1:
            return f"appendleft {value}", items.appendleft(value), lambda s: ((value, *s), len(s) + 1)
        case 2:
            return "pop", items.pop(), lambda s: (s[:-1], s[-1]) if s else (s, IndexError), back_at(-1)
        case 3:
            return "popleft", items.popleft(), lambda s: (s[1:], s[0]) if s else (s, IndexError), back_at(0)
        case 4:
            return f"insert {index} {value}", items.insert(index, value), inserted
        case 5:
            return f"remove {value}", items.remove(value), removed
        case 6:
            return "move", items.move(items), lambda s: ((*s[1:], s[0]), s[0]) if s else (s, IndexError)
        case 7:
            return "slice", items.slice(0), lambda s: (s, [*s])
        case _:
            return "len", items.len(), lambda s: (s, len(s))


async def disturb(proxy: Proxy, tasks: list[asyncio.Task[None]], chance: random.Random) -> None:
    """Cancel some calls and break the wire, at moments that the seed decides."""
    for _ in range(chance.randrange(12)):
        await asyncio.sleep(0)
    match chance.randrange(4):
        case 0:
            proxy.drop()
        case 1:
            proxy.cut_after(chance.randrange(60))
        case 2:
            chance.choice(tasks).cancel()
        case _:
            pass


async def call_hash(client: Redis, key: str, chance: random.Random, history: History[Field]) -> None:
    for _ in range(CALLS):
        await history.record(*hash_call(RedisHash(client, key, int), chance))


async def call_list(client: Redis, key: str, chance: random.Random, history: History[Items]) -> None:
    for _ in range(CALLS):
        await history.record(*list_call(RedisList(client, key, str), chance))


async def run_disturbed(callers: list[Coroutine[Any, Any, None]], proxy: Proxy, chance: random.Random) -> None:
    tasks = [asyncio.create_task(caller) for caller in callers]
    await disturb(proxy, tasks, chance)
    await asyncio.gather(*tasks, return_exceptions=True)
    proxy.heal()


async def test_every_hash_history_has_an_explanation(proxy: Proxy, clients: list[Redis]) -> None:
    """Three clients use one field while calls are cancelled and the wire is cut: some order explains each history."""
    for seed in range(150):
        chance = random.Random(seed)
        history: History[Field] = History()

        await run_disturbed([call_hash(client, f"h{seed}", chance, history) for client in clients], proxy, chance)

        assert history.explained_from(None), f"seed {seed}:\n{history}"


@pytest.mark.thorough
async def test_every_list_history_has_an_explanation(proxy: Proxy, clients: list[Redis]) -> None:
    """Three clients use one list while calls are cancelled and the wire is cut: some order explains each history."""
    for seed in range(150):
        chance = random.Random(seed)
        history: History[Items] = History()

        await run_disturbed([call_list(client, f"l{seed}", chance, history) for client in clients], proxy, chance)

        assert history.explained_from(()), f"seed {seed}:\n{history}"
