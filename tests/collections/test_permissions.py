"""The pages say which commands a user must be allowed; a user who may run nothing else can use the structure."""

from __future__ import annotations

from collections.abc import AsyncIterator, Awaitable, Callable
from typing import TypeAlias

import pytest
from redis.asyncio import Redis

from purse.collections import RedisHash, RedisList
from purse.embedded import Server
from purse.ttl import TTL
from tests.collections.calls import (
    ELEMENTS,
    FIELDS,
    HASH_LOOKS,
    HASH_READS,
    HASH_WRITES,
    KEY_LOOKS,
    LIST_LOOKS,
    LIST_READS,
    LIST_WRITES,
)
from tests.support.clients import command, connect
from tests.support.pages import documented_permissions

Gardener: TypeAlias = Callable[[frozenset[str]], Awaitable[Redis]]

# Which calls do not share a connection or share one makes no difference here.
pytestmark = pytest.mark.engines("shared")

CONNECTING = ("+hello", "+ping")
WITH_A_TTL = {"evalsha", "eval", "pexpire", "pttl"}

HASH_CALLS = {**HASH_WRITES, **HASH_READS, **HASH_LOOKS}
LIST_CALLS = {**LIST_WRITES, **LIST_READS, **LIST_LOOKS}


@pytest.fixture
async def gardener(server: Server, redis: Redis) -> AsyncIterator[Gardener]:
    """Makes clients of a user who may run these commands and no others."""
    clients: list[Redis] = []

    async def make(commands: frozenset[str]) -> Redis:
        rules = ("reset", "on", ">secret", "~*", "-@all", *CONNECTING, *(f"+{name}" for name in commands))
        await command(redis, "ACL", "SETUSER", "gardener", *rules)
        clients.append(connect(f"redis://gardener:secret@127.0.0.1:{server.port}"))
        return clients[-1]

    await redis.hset("h", mapping=dict(zip(FIELDS[::2], FIELDS[1::2], strict=True)))
    await redis.rpush("xs", *ELEMENTS)
    yield make
    for client in clients:
        await client.aclose()
    await command(redis, "ACL", "DELUSER", "gardener")


@pytest.mark.parametrize("method", HASH_CALLS)
async def test_a_hash_needs_what_its_page_says(gardener: Gardener, method: str) -> None:
    """Each method of a hash, with no more than the commands in its row."""
    client = await gardener(documented_permissions("hash")[method])

    await HASH_CALLS[method](RedisHash(client, "h", int))


@pytest.mark.parametrize("method", LIST_CALLS)
async def test_a_list_needs_what_its_page_says(gardener: Gardener, method: str) -> None:
    """Each method of a list, with no more than the commands in its row."""
    client = await gardener(documented_permissions("list")[method])

    await LIST_CALLS[method](RedisList(client, "xs", int))


@pytest.mark.parametrize("method", KEY_LOOKS)
async def test_a_key_needs_what_its_page_says(gardener: Gardener, method: str) -> None:
    """What works on a key of any type."""
    client = await gardener(documented_permissions("list")[method])

    await KEY_LOOKS[method](RedisList(client, "xs", int))


@pytest.mark.parametrize("renew", ["write", "never"])
async def test_a_policy_needs_a_few_more(gardener: Gardener, renew: str) -> None:
    """With a TTL policy the scripts and the commands of the clock come in addition."""
    ttl = TTL(hours=1, renew="never" if renew == "never" else "write")
    permissions = documented_permissions("hash")
    client = await gardener(permissions["set"] | permissions["pop"] | WITH_A_TTL)

    await RedisHash(client, "h", int, ttl=ttl).set("a", 5)
    assert await RedisHash(client, "h", int, ttl=ttl).pop("a") == 5
