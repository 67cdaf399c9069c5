"""A client of one node of a real cluster: it is told so, and never answered with a part of the keys."""

from __future__ import annotations

from collections.abc import AsyncGenerator, AsyncIterator, Awaitable, Callable, Iterator
from contextlib import asynccontextmanager
from typing import Any, NamedTuple

import pytest
from redis.asyncio import Redis
from redis.exceptions import ResponseError, TimeoutError

from purse import RedisHash, RedisKeySpace, RedisList, RedisSet, Store, statistics
from purse.embedded import Server
from purse.errors import UnsupportedServer
from purse.inspect import describe
from tests.collections.garden import collect
from tests.support.clients import command, connect
from tests.support.polling import until
from tests.support.proxy import Proxy

CLUSTER = {"cluster-enabled": "yes", "cluster-node-timeout": "60000"}
HALF = 8192  # slots of each of the two nodes
FIRST, SECOND = "bar", "foo"  # a key in a slot of each: 5061 and 12182
ENTRIES = 90


class Nodes(NamedTuple):
    """Two nodes with half of the slots each."""

    one: Server
    other: Server


async def add_slots(client: Redis, first: int) -> None:
    """Give a node half of the slots; in pieces, because it is one word for each."""
    for start in range(first, first + HALF, 1024):
        await command(client, "CLUSTER", "ADDSLOTS", *range(start, start + 1024))


@asynccontextmanager
async def client_of(server: Server, **settings: Any) -> AsyncGenerator[Redis]:
    """A plain client of one node."""
    client = connect(server.url, **settings)
    try:
        yield client
    finally:
        await client.aclose()


@pytest.fixture(scope="module")
def servers() -> Iterator[Nodes]:
    """The processes, with a TCP port each, because nodes talk over TCP."""
    with Server(port=0, password="", config=CLUSTER) as one, Server(port=0, password="", config=CLUSTER) as other:
        yield Nodes(one, other)


@pytest.fixture
async def nodes(servers: Nodes) -> AsyncIterator[Nodes]:
    """The cluster, when all nodes know all slots, and with 90 entries of a key space, spread over both."""
    async with client_of(servers.one) as one, client_of(servers.other) as other:
        for client, first in ((one, 0), (other, HALF)):
            if b"cluster_slots_assigned:0\r" in await command(client, "CLUSTER", "INFO"):
                await add_slots(client, first)
        await command(one, "CLUSTER", "MEET", "127.0.0.1", servers.other.port or 0)

        async def states() -> list[bool]:
            infos = [await command(client, "CLUSTER", "INFO") for client in (one, other)]
            return [b"cluster_state:ok" in info and b"cluster_slots_assigned:16384" in info for info in infos]

        await until(states, [True, True], seconds=60)
        for client in (one, other):
            await command(client, "FLUSHALL")
        for number in range(ENTRIES):
            try:
                await command(one, "SET", f"s:{number}", "1")
            except ResponseError:  # MOVED, for which redis-py 5 has no class
                await command(other, "SET", f"s:{number}", "1")
        yield servers


class Garden(Store, namespace="bar"):
    """A store whose slot is on the first node."""

    visits: RedisHash[int]
    sessions: RedisKeySpace[int]


SEARCHES: dict[str, Callable[[RedisKeySpace[int]], Awaitable[object]]] = {
    "len": lambda space: space.len(),
    "clear": lambda space: space.clear(),
    "keys": lambda space: collect(space.keys()),
    "keys with the prefix": lambda space: collect(space.keys(with_prefix=True)),
    "values": lambda space: collect(space.values()),
    "items": lambda space: collect(space.items()),
    "async for": collect,
}


async def sizes(servers: Nodes) -> list[int]:
    """How many keys each node has."""
    found: list[int] = []
    for server in servers:
        async with client_of(server) as client:
            found.append(await command(client, "DBSIZE"))
    return found


@pytest.mark.rows(2)
@pytest.mark.parametrize("protocol", [2, 3])
@pytest.mark.parametrize("search", SEARCHES)
async def test_a_search_on_a_node_is_refused(nodes: Nodes, search: str, protocol: int) -> None:
    """Each node has a part of the entries: no method answers with that part, and ``clear`` deletes nothing."""
    before = await sizes(nodes)
    assert all(before)
    assert sum(before) == ENTRIES

    for server in nodes:
        async with client_of(server, protocol=protocol) as client:
            for _ in range(2):  # the second time, too
                with pytest.raises(UnsupportedServer, match="one node of a Redis Cluster") as caught:
                    await SEARCHES[search](RedisKeySpace(client, "s:", int))
                assert caught.value.key == "s:"

    assert await sizes(nodes) == before


async def test_clearing_a_store_on_a_node_deletes_nothing(nodes: Nodes) -> None:
    """A store with a key space is cleared as a whole or not at all; without one it is."""
    async with client_of(nodes.one) as client:
        garden = Garden(client)
        await garden.visits.set("home", 1)
        await garden.sessions.set("ada", 1)

        with pytest.raises(UnsupportedServer, match=r"Garden\.clear\(\): this server is one node of a Redis Cluster"):
            await garden.clear()

        assert await garden.visits.get("home") == 1
        assert await garden.sessions.get("ada") == 1


async def test_a_description_does_not_count_a_part(nodes: Nodes) -> None:
    """The length of a key space is not known; what else is there is told."""
    async with client_of(nodes.one) as client:
        garden = Garden(client)
        await garden.visits.set("home", 1)
        await garden.sessions.set("ada", 1)

        found = await describe(garden)

    assert found.fields["visits"].length == 1
    assert (found.fields["sessions"].length, found.fields["sessions"].exists) == (None, None)
    assert found.keys is None


async def note_of(call: Awaitable[object]) -> str:
    """The notes of the refusal."""
    with pytest.raises(ResponseError) as caught:
        await call
    return "\n".join(caught.value.__notes__)


async def test_what_is_elsewhere_says_that_it_is_a_cluster(nodes: Nodes) -> None:
    """MOVED and CROSSSLOT, of single commands, scripts and transactions, have a note."""
    cluster = "one node of a Redis Cluster, and the client is connected to this node only"
    moved = f"{cluster} (MOVED 12182 127.0.0.1:{nodes.other.port})"
    crossing = f"{cluster} (CROSSSLOT Keys in request"
    async with client_of(nodes.one) as client:
        elsewhere = RedisHash(client, SECOND, int)
        calls: list[tuple[Awaitable[object], str]] = [
            (elsewhere.get("a"), moved),
            (elsewhere.set("a", 1), moved),
            (elsewhere.setdefault("a", 1), moved),
            (elsewhere.pop("a"), moved),
            (RedisList(client, SECOND, int).popleft(), moved),
            (Garden(client).atomic(elsewhere.set("a", 1), Garden(client).visits.set("a", 1)), moved),
            (RedisSet(client, FIRST, int).union(RedisSet(client, SECOND, int)), crossing),
            (RedisKeySpace(client, "s:", int).get_many([str(n) for n in range(9)]), crossing),
        ]
        for call, told in calls:
            assert told in await note_of(call)


async def test_a_slot_that_moves_says_that_it_is_a_cluster(nodes: Nodes) -> None:
    """ASK, for a key of a slot that is on its way to the other node."""
    async with client_of(nodes.one) as client, client_of(nodes.other) as target:
        await command(client, "CLUSTER", "SETSLOT", 5061, "MIGRATING", await command(target, "CLUSTER", "MYID"))
        try:
            note = await note_of(RedisHash(client, FIRST, int).get("a"))
        finally:
            await command(client, "CLUSTER", "SETSLOT", 5061, "STABLE")

    assert f"(ASK 5061 127.0.0.1:{nodes.other.port})" in note


async def test_a_node_without_slots_says_that_it_is_a_cluster() -> None:
    """CLUSTERDOWN."""
    with Server(port=0, password="", config=CLUSTER) as server:
        async with client_of(server) as client:
            note = await note_of(RedisHash(client, FIRST, int).get("a"))

    assert "one node of a Redis Cluster, and the client is connected to this node only (CLUSTERDOWN " in note


async def test_a_database_of_a_node(nodes: Nodes) -> None:
    """A node has database 0 alone, and that is what is told."""
    client = connect(f"{nodes.one.url}/1")
    note = await note_of(RedisHash(client, FIRST, int).get("a"))
    await client.aclose()

    assert "has only database 0" in note


# --- the question ---------------------------------------------------------------------------------------


async def asked(client: Redis, name: str) -> int:
    """How often a server has executed a command."""
    stats = await command(client, "INFO", "commandstats")
    return int(stats.get(f"cmdstat_{name}", {"calls": 0})["calls"])


async def test_a_server_is_asked_once_for_each_connection(redis: Redis, server: Server) -> None:
    """Not before the first search, not again behind it, again on a new connection; and it is no call of anybody."""
    async with client_of(server, protocol=2) as client:  # redis-py sends no HELLO of its own then
        space = RedisKeySpace(client, "s:", int)
        before = await asked(redis, "hello")
        await space.set("ada", 1)
        assert await space.get("ada") == 1
        assert await asked(redis, "hello") == before

        assert await space.len() == 1
        assert await collect(space.keys()) == ["ada"]
        assert await space.clear() == 1
        assert await asked(redis, "hello") == before + 1

        if statistics(client).mode == "shared":
            await command(redis, "CLIENT", "KILL", "TYPE", "normal", "SKIPME", "yes")
            for _ in range(2):  # the first may find out that the connection is lost
                assert await space.len() == 0
            assert await asked(redis, "hello") == before + 2


@pytest.mark.parametrize("protocol", [2, 3])
async def test_a_plain_server_is_searched(redis: Redis, server: Server, protocol: int) -> None:
    """Where there is no cluster nothing is refused, in either protocol."""
    async with client_of(server, protocol=protocol) as client:
        space = RedisKeySpace(client, "s:", int)
        await space.update({str(number): number for number in range(5)})

        assert await space.len() == 5
        assert await space.clear() == 5


async def test_a_node_that_refuses_hello_is_asked_otherwise() -> None:
    """INFO tells, too."""
    with Server(port=0, password="", config=CLUSTER | {"rename-command": 'HELLO ""'}) as server:
        async with client_of(server, protocol=2) as client:
            with pytest.raises(UnsupportedServer, match="one node of a Redis Cluster"):
                await RedisKeySpace(client, "s:", int).len()


async def test_a_server_that_refuses_every_question_is_searched() -> None:
    """Neither HELLO nor INFO may be asked: a search works as ever."""
    with Server(port=0, password="", config={"rename-command": 'HELLO ""'}) as server:
        async with client_of(server, protocol=2) as client:
            await command(client, "ACL", "SETUSER", "default", "-info")
            space = RedisKeySpace(client, "s:", int)
            await space.set("ada", 1)

            assert await space.len() == 1
            assert await space.clear() == 1


async def test_a_proxy_that_hangs_up_at_the_question_is_searched(redis: Redis, proxy: Proxy) -> None:
    """It is asked a few times, not at each search, and then searched as ever."""
    proxy.hang_up_at(b"HELLO")
    client = connect(proxy.url, protocol=2)
    space = RedisKeySpace(client, "s:", int)
    await space.set("ada", 1)

    assert await space.len() == 1
    connections = proxy.accepted
    assert connections <= 6
    assert await collect(space.keys()) == ["ada"]
    assert await space.clear() == 1
    assert proxy.accepted <= connections + 1


async def test_a_silent_server_is_asked_again(redis: Redis, proxy: Proxy) -> None:
    """A question that was not answered in time is an error of that search, and is asked before the next one."""
    client = connect(proxy.url, protocol=2, socket_timeout=0.3)
    space = RedisKeySpace(client, "s:", int)
    await space.set("ada", 1)
    before = await asked(redis, "hello")
    proxy.stall()
    with pytest.raises(TimeoutError):
        await space.len()
    proxy.drop()
    proxy.heal()

    assert await space.len() == 1
    assert await asked(redis, "hello") > before
