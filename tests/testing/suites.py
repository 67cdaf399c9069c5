"""Suites of a user of the testing kit, which run in a pytest of their own."""

from __future__ import annotations

__all__ = ["ASYNCIO", "CROWD", "EMBEDDED", "LONG_LOOP", "STORES"]

STORES = """\
import asyncio
import os
import pathlib

import pytest
import redis

from purse import RedisHash, RedisKeySpace, RedisList, RedisLock, RedisQueue, Store, configure, field
from purse.testing import StoreFactory, round_trips


class Garden(Store, namespace="kit"):
    plants: RedisHash[str]
    sessions: RedisKeySpace[str] = RedisKeySpace.field(slots="key")
    queue: RedisQueue[str]
    lock: RedisLock
    old: RedisList[str] = field(rkey="old_list")
    old_lock: RedisLock = field(rkey="old_lock")


class UserStore(Store, namespace="kit-user:{user_id}"):
    prefs: RedisHash[str]

    def __init__(self, redis, *, user_id: int) -> None:
        super().__init__(redis, user_id=user_id)


async def use(garden):
    assert await garden.plants.len() == 0
    await asyncio.gather(*(garden.plants.set(str(n), "x") for n in range(20)))
    await garden.sessions.set("a", "b")
    await garden.queue.put("a")
    await garden.old.append("a")
    async with garden.lock, garden.old_lock:
        pass

"""

ASYNCIO = """\
from stores import *

from purse.fastapi import Inject, lifespan, provide

waiting = []


@pytest.mark.parametrize("engine", ["shared", "dedicated"])
async def test_asynchronous(purse_store, purse_redis, engine):
    configure(purse_redis, engine=engine)
    await use(purse_store(Garden))
    await purse_store(UserStore, user_id=1).prefs.set("a", "b")
    await use_redis_py(purse_redis)


async def use_redis_py(client):
    assert await client.ping()
    async with client.pubsub() as heard:
        await heard.subscribe("news")


def test_synchronous(purse_store, purse_redis):
    asyncio.run(use(purse_store(Garden)))
    asyncio.run(use_redis_py(purse_redis))
    asyncio.run(use_redis_py(purse_redis))


def test_unused(purse_store):
    assert purse_store(Garden).plants.rkey.endswith(":kit}:plants")


async def test_somebody_waits_at_the_end(purse_store):
    garden = purse_store(Garden)
    await use(garden)
    await garden.queue.get()
    waiting.append(asyncio.create_task(garden.queue.get()))
    await garden.plants.len()


async def test_failing(purse_store):
    await use(purse_store(Garden))
    raise ValueError("on purpose")


async def test_bound_by_the_tested_code(purse_redis):
    await use(Garden(purse_redis))


def test_application(purse_store):
    from fastapi import FastAPI
    from fastapi.testclient import TestClient

    app = FastAPI(lifespan=lifespan("redis://127.0.0.1:1"))

    @app.get("/plants/{name}")
    async def plant(name: str, garden: Inject[Garden]) -> str | None:
        await garden.plants.set(name, "x")
        return await garden.plants.get(name)

    app.dependency_overrides[provide(Garden)] = lambda: purse_store(Garden)
    with TestClient(app) as client, round_trips(max=4) as trips:
        assert client.get("/plants/spinach").json() == "x"
        assert trips.count == 2
        assert client.get("/plants/spinach").json() == "x"
    assert trips.count == 4
    assert asyncio.run(purse_store(Garden).plants.len()) == 1
"""

LONG_LOOP = """\
from stores import *

pytestmark = pytest.mark.asyncio(loop_scope="module")


@pytest.mark.parametrize("engine", ["shared", "dedicated", "shared"])
async def test_one_loop_for_all_tests(purse_server, purse_redis, purse_store, engine):
    with redis.Redis.from_url(purse_server) as client:
        assert len(client.client_list()) == 1
    configure(purse_redis, engine=engine)
    await use(purse_store(Garden))
    await purse_redis.ping()
"""

CROWD = """\
from stores import *

@pytest.mark.asyncio
@pytest.mark.parametrize("n", range(3))
async def test_alone(purse_store, n):
    garden = purse_store(Garden)
    mine = f"{os.getpid()}-{n}"
    for _ in range(50):
        assert await garden.plants.len() == 0
        await garden.plants.set(mine, "x")
        assert await garden.plants.dict() == {mine: "x"}
        await garden.plants.delete(mine)
"""

EMBEDDED = """\
from stores import *

@pytest.fixture
def anyio_backend():
    return "asyncio"


def nothing_is_left(purse_server):
    with redis.Redis.from_url(purse_server) as client:
        assert client.dbsize() == 0
        assert len(client.client_list()) == 1
        worker = os.environ.get("PYTEST_XDIST_WORKER", "main")
        pathlib.Path("pids", worker).write_text(str(client.info("server")["process_id"]))


@pytest.mark.anyio
@pytest.mark.parametrize("n", range(2))
async def test_asynchronous(purse_server, purse_store, purse_redis, n):
    nothing_is_left(purse_server)
    await use(purse_store(Garden))
    await purse_redis.set("raw", "x")


@pytest.mark.parametrize("n", range(2))
def test_synchronous(purse_server, purse_store, n):
    nothing_is_left(purse_server)
    asyncio.run(use(purse_store(Garden)))
"""
