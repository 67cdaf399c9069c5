"""serving() and isolated(): what the fixtures are made of, for other test runners."""

from __future__ import annotations

import asyncio
import os
from typing import Any, cast

import pytest
import redis
from redis.asyncio import Redis

from purse import RedisHash, RedisKeySpace, RedisList, RedisLock, Store, StoreClosed, field
from purse.embedded import Server
from purse.testing import StoreFactory, isolated, serving
from tests.support.clients import all_keys


class Garden(Store, namespace="kit-garden"):
    """Keys of each form."""

    plants: RedisHash[str]
    spread: RedisKeySpace[str] = RedisKeySpace.field(slots="key")
    old: RedisList[str] = field(rkey="kit-old")
    lock: RedisLock = field(rkey="kit-lock")
    entries: RedisKeySpace[str] = field(rkey="kit-entry:")


class Rows(Store, namespace="kit-rows", slots="field"):
    """A store whose fields have slots of their own."""

    plants: RedisHash[str]


async def fill(garden: Garden) -> None:
    """One key in each field, and those beside the lock."""
    await garden.plants.set("a", "x")
    await garden.spread.set("a", "x")
    await garden.old.append("x")
    await garden.entries.set("a", "x")
    async with garden.lock:
        pass


async def test_two_clients_do_not_meet(server: Server, redis: Redis) -> None:
    """Stores of one class on two of them share nothing; those on one share all."""
    with isolated(server.url) as one, isolated(server.url) as two:
        await Garden(one).plants.set("a", "x")

        assert await Garden(one).plants.get("a") == "x"
        assert await Garden(two).plants.get("a") is None
        assert await Garden(redis).plants.get("a") is None
        assert Garden(one).plants.rkey.endswith(":kit-garden}:plants")
        assert Garden(redis).plants.rkey == "{kit-garden}:plants"


async def test_its_own_keys_go_and_no_others(server: Server, redis: Redis) -> None:
    """On a server that it has not started it deletes what lies in the namespace or was named by ``rkey=``."""
    await redis.set("theirs", "x")
    await Garden(redis).plants.set("a", "x")
    with isolated(server.url) as client:
        await fill(StoreFactory(client)(Garden))
        await Rows(client).plants.set("a", "x")

        assert len(await all_keys(redis)) >= 8

    assert await all_keys(redis) == [b"kit-entry:a", b"theirs", b"{kit-garden}:plants"]


async def test_rkey_of_a_store_that_was_not_bound_is_not_touched(server: Server, redis: Redis) -> None:
    """A class that exists somewhere in the program deletes nothing."""
    await RedisList(redis, "kit-old", str).append("x")
    with isolated(server.url) as client:
        await Rows(client).plants.set("a", "x")

    assert await all_keys(redis) == [b"kit-old"]


def test_afterwards_the_client_is_closed(server: Server) -> None:
    """Code that still uses a store in a loop that lives on is told so."""
    with asyncio.Runner() as runner:
        with isolated(server.url) as client:
            garden = Garden(client)
            runner.run(garden.plants.len())

        with pytest.raises(StoreClosed):
            runner.run(garden.plants.len())


def test_a_server_is_started_and_emptied(monkeypatch: pytest.MonkeyPatch) -> None:
    """Without PURSE_REDIS_URL, or with embedded://, a server is started, emptied after each block, and ended."""
    monkeypatch.setenv("PURSE_REDIS_URL", "embedded://")
    with serving() as url:
        with isolated(url) as client:
            asyncio.run(RedisHash(client, "raw", str).set("a", "x"))
        with cast("Any", redis.Redis).from_url(url) as looking:
            assert looking.dbsize() == 0
            pid = looking.info("server")["process_id"]

    with pytest.raises(ProcessLookupError):
        os.kill(pid, 0)


def test_a_server_that_is_there_is_used(monkeypatch: pytest.MonkeyPatch, server: Server) -> None:
    """With PURSE_REDIS_URL nothing is started."""
    monkeypatch.setenv("PURSE_REDIS_URL", server.url)

    with serving() as url:
        assert url == server.url


def test_a_client_that_is_not_used_connects_to_nobody() -> None:
    """Binding stores needs no server, and so does the end."""
    with isolated("redis://127.0.0.1:1") as client:
        Garden(client)
