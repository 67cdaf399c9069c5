"""Every kind of client runs the same calls to the same effect, in the mode in which it should be.

The rest of the suite uses redis-py's own client on TCP. Here are the others: other ways to the server, and
clients that somebody has had a hand in, each compared with the plain one on a real server.
"""

from __future__ import annotations

import asyncio
import functools
import logging
import random
import re
import socket
from collections.abc import AsyncGenerator, Awaitable, Callable
from contextlib import AbstractAsyncContextManager, AsyncExitStack, asynccontextmanager, nullcontext
from dataclasses import dataclass
from itertools import product
from pathlib import Path
from types import SimpleNamespace
from typing import Any, ClassVar, Literal, TypeAlias, cast

import pytest
from fakeredis import FakeAsyncRedis, FakeServer
from opentelemetry.instrumentation.redis import RedisInstrumentor
from opentelemetry.sdk.trace import TracerProvider
from redis import UsernamePasswordCredentialProvider
from redis.asyncio import BlockingConnectionPool, Connection, ConnectionPool, Redis
from redis.exceptions import ReadOnlyError

from purse import TTL, Engine, RedisHash, RedisList, Store, configure, statistics
from purse._engine.adoption import AdoptedLink
from purse._engine.dedicated import DedicatedLink
from purse._engine.registry import executor_for
from purse.embedded import Server
from tests.collections.garden import Plant, collect
from tests.collections.tables import TABLES
from tests.engine.test_executor import connections
from tests.support import engines
from tests.support.clients import connect
from tests.support.engines import choose_engine
from tests.support.polling import until
from tests.support.scripts import Ended, run
from tests.support.selection import thorough_but
from tests.support.sentinel import AT_ONCE, SentinelProcess, replicate
from tests.support.tls import TlsProxy
from tests.support.units import send

pytestmark = pytest.mark.engines("shared")

Opener: TypeAlias = Callable[[Server], AbstractAsyncContextManager[Redis]]

EXECUTE: Callable[..., Awaitable[object]] = vars(Redis)["execute_command"]

# --- the kinds of clients -------------------------------------------------------------------------


@asynccontextmanager
async def closing(client: Redis) -> AsyncGenerator[Redis]:
    """``client``, closed at the end."""
    try:
        yield client
    finally:
        await client.aclose()


def plain(**settings: object) -> Opener:
    """redis-py's client on TCP, with these settings."""
    return lambda server: closing(connect(server.url, **settings))


def made(make: Callable[[Server], Redis]) -> Opener:
    """What ``make`` returns."""
    return lambda server: closing(make(server))


def of_class(kind: type[Redis], **settings: object) -> Opener:
    """A client of a class of its own."""
    return made(lambda server: cast("Callable[..., Redis]", kind)(host="127.0.0.1", port=server.port, **settings))


def pooled(kind: Callable[..., ConnectionPool], server: Server, **settings: object) -> Redis:
    """A client with a pool of its own."""
    return Redis.from_pool(kind(host="127.0.0.1", port=server.port, **settings))


def altered(alter: Callable[[Redis], None]) -> Opener:
    """redis-py's client on TCP, after this was done to it."""

    def make(server: Server) -> Redis:
        client = connect(server.url)
        alter(client)
        return client

    return made(make)


def as_user(**settings: object) -> Opener:
    """A client that has to log in."""

    @asynccontextmanager
    async def opened(server: Server) -> AsyncGenerator[Redis]:
        async with closing(connect(server.url)) as owner, closing(connect(server.url, **settings)) as client:
            await send(owner, "ACL", "SETUSER", "gardener", "on", ">secret", "~*", "&*", "+@all")
            yield client
            await send(owner, "ACL", "DELUSER", "gardener")

    return opened


@asynccontextmanager
async def on_tls(server: Server) -> AsyncGenerator[Redis]:
    assert server.port is not None
    async with TlsProxy(server.port) as proxy, closing(connect(proxy.url, ssl_ca_data=proxy.authority)) as client:
        yield client


@asynccontextmanager
async def of_sentinel(server: Server) -> AsyncGenerator[Redis]:
    async with SentinelProcess(server) as sentinel, closing(sentinel.master_for()) as client:
        yield client


class Counting(Redis):
    """A subclass that counts commands."""

    counted = 0

    async def execute_command(self, *args: object, **options: object) -> object:
        self.counted += 1
        return await EXECUTE(self, *args, **options)


def wrap(client: Redis) -> None:
    vars(client)["execute_command"] = functools.partial(EXECUTE, client)


@asynccontextmanager
async def wrapped_in_its_class(server: Server) -> AsyncGenerator[Redis]:
    @functools.wraps(EXECUTE)
    def execute_command(self: Redis, *args: object, **options: object) -> Awaitable[object]:
        return EXECUTE(self, *args, **options)

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(Redis, "execute_command", execute_command)
        async with closing(connect(server.url)) as client:
            yield client


@asynccontextmanager
async def traced_in_its_class(server: Server) -> AsyncGenerator[Redis]:
    RedisInstrumentor().instrument(tracer_provider=TracerProvider())  # pyright: ignore[reportUnknownMemberType]
    try:
        async with closing(connect(server.url)) as client:
            yield client
    finally:
        RedisInstrumentor().uninstrument()


@asynccontextmanager
async def fake(_: Server) -> AsyncGenerator[Redis]:
    """A fake; meanwhile nobody connects anywhere."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(socket.socket, "connect", None)
        async with closing(FakeAsyncRedis(server=FakeServer())) as client:
            yield client


@dataclass(frozen=True)
class Kind:
    """A kind of client.

    Attributes:
        open: a new one, of this server; closed at the end.
        mode: how its calls reach Redis.
        reason: why, as a regular expression.
        said: lines of the log about that.
    """

    open: Opener
    mode: Literal["shared", "dedicated"] = "shared"
    reason: str = "the client is exactly redis-py's"
    said: int = 0


def dedicated(opener: Opener, reason: str, *, said: int = 1) -> Kind:
    return Kind(opener, "dedicated", reason, said)


REPLACED = r"[\w.]+\.execute_command is not redis-py's own"
KINDS = {
    "TCP": Kind(plain()),
    "unix socket": Kind(made(lambda server: connect(f"unix://{server.socket_path}"))),
    "TLS": Kind(on_tls),
    "user and password": Kind(as_user(username="gardener", password="secret")),
    "credential provider": Kind(as_user(credential_provider=UsernamePasswordCredentialProvider("gardener", "secret"))),
    "database and name": Kind(plain(db=3, client_name="spade")),
    "decode_responses": Kind(plain(decode_responses=True)),
    "RESP 2": Kind(plain(protocol=2)),
    "RESP 3": Kind(plain(protocol=3, decode_responses=True)),
    "blocking pool": Kind(made(functools.partial(pooled, BlockingConnectionPool))),
    "Sentinel": Kind(of_sentinel),
    "innocent subclass": Kind(of_class(type("Named", (Redis,), {}))),
    "fakeredis": dedicated(fake, r"Fake\w+\.\w+ is not redis-py's own"),
    "counting subclass": dedicated(of_class(Counting), REPLACED),
    "wrapped instance": dedicated(altered(wrap), REPLACED),
    "wrapped class": dedicated(wrapped_in_its_class, REPLACED),
    "traced instance": dedicated(altered(RedisInstrumentor.instrument_client), REPLACED),
    "traced class": dedicated(traced_in_its_class, REPLACED),
    "single connection": dedicated(plain(single_connection_client=True), r".*\bsingle_connection_client=True"),
    "asked for": dedicated(
        altered(lambda client: configure(client, engine="dedicated")), 'engine="dedicated" was asked for', said=0
    ),
}

every_kind = pytest.mark.parametrize("kind", KINDS.values(), ids=KINDS.keys())

# --- what each of them does -----------------------------------------------------------------------


class Garden(Store, namespace="clients"):
    log: RedisList[str]
    visits: RedisHash[int]


async def outcomes(client: Redis) -> dict[str, tuple[object, object]]:
    """What each call returns on a filled hash and a filled list, and what is stored after it, by redis-py's word."""
    found: dict[str, tuple[object, object]] = {}
    for name in ("hash", "list", "key"):
        table = TABLES[name]
        for case in table.CALLS:
            await client.delete(table.KEY, "others")
            await table.fill(client)
            returned = await case.call(table.build(client))
            kept = client.hgetall(table.KEY) if name == "hash" else client.lrange(table.KEY, 0, -1)
            stored = (await kept, await client.lrange("others", 0, -1), await client.pttl(table.KEY) > 0)
            # A dump is each server's own affair. What redis-py says is str, if the client decodes replies.
            found[f"{name} {case.name}"] = (
                type(returned) if case.name == "dump" else returned,
                str(stored).replace("b'", "'"),
            )
    return found


@every_kind
async def test_the_mode_and_the_reason(
    kind: Kind, server: Server, redis: Redis, caplog: pytest.LogCaptureFixture
) -> None:
    """Before and after the first call the mode is that of the kind, with the reason.

    Where connections are not shared although nobody asked for that, one line of INFO says so, at the first call,
    however often connections are opened anew; otherwise nothing is said.
    """
    caplog.set_level(logging.INFO, logger="purse")
    async with kind.open(server) as client:
        visits = RedisHash(client, "visits", int)
        before = statistics(client)
        assert not caplog.records

        for _ in range(3):
            await asyncio.gather(*(visits.increment("home") for _ in range(3)))
            await client.connection_pool.disconnect()
        await visits.increment("home")

        after = statistics(client)
        links = {type(link) for link in executor_for(client).links.in_use()}
        said = [*caplog.records]
    assert (before.mode, before.reason) == (after.mode, after.reason)
    assert after.mode == kind.mode
    assert re.fullmatch(kind.reason, after.reason)
    assert links == {AdoptedLink if kind.mode == "shared" else DedicatedLink}
    assert [record.levelname for record in said] == ["INFO"] * kind.said
    assert all(after.reason in record.getMessage() for record in said)


@pytest.mark.rows(4)
@every_kind
async def test_every_method_has_the_same_effect(kind: Kind, server: Server, redis: Redis) -> None:
    """Each call returns and stores what it does with redis-py's own client on a real server."""
    expected = await outcomes(redis)

    async with kind.open(server) as client:
        found = await outcomes(client)

    assert found == expected


@pytest.mark.thorough
@every_kind
async def test_a_thousand_calls_at_once(kind: Kind, server: Server, redis: Redis) -> None:
    """A thousand concurrent calls are each answered with their own result, and each is executed once."""
    async with kind.open(server) as client:
        visits, log = RedisHash(client, "visits", int), RedisList(client, "log", int)

        counts, lengths = await asyncio.gather(
            asyncio.gather(*(visits.increment("home") for _ in range(500))),
            asyncio.gather(*(log.append(n) for n in range(500))),
        )

        assert sorted(counts) == sorted(lengths) == [*range(1, 501)]
        assert sorted(await log.slice(0)) == [*range(500)]


@pytest.mark.thorough
@every_kind
async def test_cancelled_calls_disturb_nobody(kind: Kind, server: Server, redis: Redis) -> None:
    """Of a hundred concurrent calls twenty are cancelled, again and again: the others get their own values."""
    chance = random.Random(20261124)
    async with kind.open(server) as client:
        plots = RedisHash(client, "plots", int)
        await plots.update({str(n): n for n in range(100)})
        for steps in (0, 1, 2, 3, 5, 10, 20, 30, 50, 100):
            tasks = [asyncio.create_task(plots.get(str(n))) for n in range(100)]
            for _ in range(steps):
                await asyncio.sleep(0)
            for task in chance.sample(tasks, 20):
                task.cancel()
            await asyncio.wait(tasks)

            answers = {n: task.result() for n, task in enumerate(tasks) if not task.cancelled()}
            assert len(answers) >= 80
            assert all(n == answer for n, answer in answers.items())


@pytest.mark.thorough
@every_kind
async def test_two_thousand_elements_are_iterated(kind: Kind, server: Server, redis: Redis) -> None:
    """A hash and a list of four pages are iterated completely; the list in its order."""
    async with kind.open(server) as client:
        plots, queue = RedisHash(client, "plots", int), RedisList(client, "queue", int)
        await plots.update({str(n): n for n in range(2000)})
        await queue.extend(range(2000))

        assert sorted(await collect(plots.items())) == sorted((str(n), n) for n in range(2000))
        assert await collect(queue) == [*range(2000)]


@pytest.mark.rows(6)
@every_kind
async def test_scripts_and_transactions(kind: Kind, server: Server, redis: Redis) -> None:
    """``setdefault``, ``modify``, ``edit``, ``insert`` and ``atomic`` stay atomic, and writes carry their TTL."""
    async with kind.open(server) as client:
        plants = RedisHash(client, "plants", Plant, ttl=TTL(hours=1))
        queue = RedisList(client, "queue", float, ttl=TTL(hours=1), maxlen=5)
        garden = Garden(client)

        offered = [Plant(name=str(n)) for n in range(50)]
        assert {p.name for p in await asyncio.gather(*(plants.setdefault("a", p) for p in offered))} < {
            p.name for p in offered
        }
        async with plants.edit("bed", default=Plant(name="spinach")) as plant:
            plant.healthiness = 9.8
        assert await plants.get("bed") == Plant(name="spinach", healthiness=9.8)

        await queue.extend([1, 2, 3])
        await queue.insert(1, 1.5)
        await queue.insert(-1, 2.5)
        assert await queue.remove(2) == 1
        assert await queue.slice(0) == [1, 1.5, 2.5, 3]
        assert 3590 < (await plants.ttl() or 0) <= 3600
        assert 3590 < (await queue.ttl() or 0) <= 3600

        log, visits = garden.log, garden.visits
        together = (garden.atomic(log.append("x"), visits.increment("a"), visits.setdefault("a", 0)) for _ in range(50))
        assert sorted(await asyncio.gather(*together)) == [(n, n, n) for n in range(1, 51)]
        await asyncio.gather(*(visits.modify("a", lambda n: n + 1, attempts=100) for _ in range(20)))
        assert await visits.get("a") == 70


# --- settings and limits --------------------------------------------------------------------------


@pytest.mark.engines("shared", "dedicated")
async def test_connections_have_the_settings_of_the_client(server: Server, redis: Redis) -> None:
    """User, password, database and name of the client hold on the connections that purse uses."""
    async with as_user(username="gardener", password="secret", db=3, client_name="spade")(server) as client:
        number = await send(client, "CLIENT", "ID")

        entries = await redis.client_list()  # pyright: ignore[reportUnknownMemberType]

        [entry] = [entry for entry in entries if entry["id"] == str(number)]
        assert (entry["user"], entry["db"], entry["name"]) == ("gardener", "3", "spade")


@pytest.mark.engines("shared", "dedicated")
async def test_a_small_blocking_pool_serves_purse_and_its_owner(server: Server, redis: Redis) -> None:
    """On a blocking pool of four, a thousand calls and two hundred of the client's own go on at the same time."""
    async with closing(pooled(BlockingConnectionPool, server, max_connections=4)) as client:
        choose_engine(client)
        visits = RedisHash(client, "visits", int)

        counts, own = await asyncio.gather(
            asyncio.gather(*(visits.increment("home") for _ in range(1000))),
            asyncio.gather(*(client.incr("own") for _ in range(200))),
        )

        assert sorted(counts) == [*range(1, 1001)]
        assert sorted(own) == [*range(1, 201)]
        assert len(await redis.client_list()) <= 1 + 4 + 2  # pyright: ignore[reportUnknownMemberType]


@pytest.mark.thorough
@pytest.mark.parametrize("limit", thorough_but(1, every=[None, 1]))
async def test_ten_thousand_calls_with_a_connection_for_each(server: Server, redis: Redis, limit: int | None) -> None:
    """Calls that find no free connection wait for one, however many they are."""
    async with of_class(Counting, max_connections=limit)(server) as client:
        visits = RedisHash(client, "visits", int)

        assert len(set(await asyncio.gather(*(visits.increment("home") for _ in range(10_000))))) == 10_000


class Metered(Connection):
    """A connection that writes to something of its own, not to the writer that asyncio made."""

    async def meter(self) -> None:
        await self.on_connect()
        names = [name for name in dir(self._writer) if not name.startswith("_")]
        meter = SimpleNamespace(**{name: getattr(self._writer, name) for name in names})
        self._writer = cast("asyncio.StreamWriter", meter)


async def test_a_connection_that_cannot_be_shared(
    server: Server, redis: Redis, caplog: pytest.LogCaptureFixture
) -> None:
    """What shows only when a connection is open is found out at the first call, which succeeds, and said once."""
    caplog.set_level(logging.INFO, logger="purse")
    settings = {"connection_class": Metered, "redis_connect_func": Metered.meter}
    async with closing(pooled(ConnectionPool, server, **settings)) as client:
        visits = RedisHash(client, "visits", int)
        assert statistics(client).mode == "shared"

        for _ in range(3):
            await asyncio.gather(*(visits.increment("home") for _ in range(50)))
            await client.connection_pool.disconnect()

        assert await visits.get("home") == 150
        assert (statistics(client).mode, len(caplog.records)) == ("dedicated", 1)
        assert statistics(client).reason in caplog.text


# --- changes while calls are under way ------------------------------------------------------------


async def test_the_engine_of_a_live_client_is_changed(redis: Redis) -> None:
    """Whenever the engine is changed, calls that are under way end as if nothing had happened."""
    visits = RedisHash(redis, "visits", int)
    switches: list[Engine] = ["dedicated", "shared", "auto"]
    counts: list[int] = []

    for steps in range(20):
        tasks = [asyncio.create_task(visits.increment("home")) for _ in range(200)]
        for engine in switches[steps % 2 :]:
            for _ in range(steps):
                await asyncio.sleep(0)
            configure(redis, engine=engine)
        counts += await asyncio.gather(*tasks)

    assert sorted(counts) == [*range(1, 4001)]
    await until(lambda: connections(redis), statistics(redis).connections)


async def test_a_subclass_may_be_made_to_share(server: Server, redis: Redis) -> None:
    """``engine="shared"`` overrules the caution: one connection, past the method that the subclass overrides."""
    async with of_class(Counting)(server) as client:
        with pytest.raises(ValueError, match="'pooled'"):
            configure(client, engine=cast("Engine", "pooled"))

        configure(client, engine="shared")
        await test_every_method_has_the_same_effect(Kind(lambda _: nullcontext(client)), server, redis)

        assert statistics(client).mode == "shared"
        assert {type(link) for link in executor_for(client).links.in_use()} == {AdoptedLink}


class Listed(Connection):
    """A connection that the test knows of."""

    made: ClassVar[list[Connection]] = []

    def __init__(self, **settings: Any) -> None:
        super().__init__(**settings)  # pyright: ignore[reportUnknownMemberType]
        self.made.append(self)


@pytest.mark.rows(2)
@pytest.mark.engines("shared", "driven", "dedicated")
@pytest.mark.parametrize(("wish", "arguments"), [("mark_for_reconnect", ()), ("set_re_auth_token", (object(),))])
async def test_an_outdated_connection_is_replaced(
    server: Server, redis: Redis, wish: str, arguments: tuple[object, ...]
) -> None:
    """What redis-py wants replaced, for new credentials or because the server moves, is, and no call is lost."""
    if not hasattr(Connection, wish):
        pytest.skip(f"this redis-py has no {wish}()")
    Listed.made.clear()
    async with closing(pooled(ConnectionPool, server, connection_class=Listed, socket_timeout=0.2)) as client:
        choose_engine(client)
        visits = RedisHash(client, "visits", int)
        counts = [await visits.increment("home")]
        outdated = [*Listed.made]
        for connection in outdated:
            getattr(connection, wish)(*arguments)

        async def use() -> None:
            while any(connection.is_connected for connection in outdated):
                counts.append(await visits.increment("home"))

        await asyncio.wait_for(asyncio.gather(*(use() for _ in range(20))), 5)

        assert sorted(counts) == [*range(1, len(counts) + 1)]
        assert await visits.get("home") == len(counts)


@pytest.mark.rows(2)
@pytest.mark.engines("shared", "driven", "dedicated")
@pytest.mark.parametrize("age", [0, 1000])
async def test_a_demoted_server_refuses_writes(redis: Redis, age: int, monkeypatch: pytest.MonkeyPatch) -> None:
    """A write to a server that has become a replica raises ReadOnlyError, on an old connection and on a new one."""
    monkeypatch.setattr("purse._engine.links._DEMOTED_AGE", age)
    async with (
        Server(port=0, password="", config=AT_ONCE) as primary,
        Server(port=0, password="") as demoted,
        closing(connect(demoted.url)) as client,
    ):
        garden = Garden(client)
        await garden.visits.set("home", 1)
        await replicate(demoted, primary)

        for _ in range(3):
            for write in (
                garden.visits.increment("home"),
                garden.log.extend(["x"] * 1000),
                garden.visits.setdefault("home", 1),
                garden.atomic(garden.visits.increment("home")),
            ):
                with pytest.raises(ReadOnlyError):
                    await write
        assert await garden.visits.dict() == {}

        await send(client, "REPLICAOF", "NO", "ONE")
        assert await garden.visits.increment("home") == 1


WRITES: dict[str, Callable[[Garden, str], Awaitable[object]]] = {
    "command": lambda garden, name: garden.visits.increment(name),
    "script": lambda garden, name: garden.visits.setdefault(name, 1),
    "transaction": lambda garden, name: garden.atomic(garden.visits.increment(name), garden.log.append(name)),
    "transaction of scripts": lambda garden, name: garden.atomic(garden.visits.setdefault(name, 1)),
}


@pytest.mark.rows(1)
@pytest.mark.parametrize("fault", ["demoted", "killed"])
async def test_writes_follow_the_primary(fault: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """With Sentinel the first write after a failover, whatever it is, goes to the new primary and raises nothing."""
    monkeypatch.setattr("purse._engine.links._DEMOTED_AGE", 0.1)
    async with Server(port=0, password="", config=AT_ONCE) as old, Server(port=0, password="", config=AT_ONCE) as new:
        await replicate(new, old)
        async with SentinelProcess(old) as sentinel, AsyncExitStack() as stack:
            gardens: dict[str, tuple[Garden, str]] = {}
            for engine, write in product(("shared", "driven", "dedicated"), WRITES):
                client = await stack.enter_async_context(closing(sentinel.master_for()))
                with monkeypatch.context() as patch, engines.engine(engine, patch):
                    choose_engine(client)
                    gardens[f"{write}, {engine}"] = garden, _ = Garden(client), write
                    await garden.log.append(write)
            if fault == "killed":
                old.kill()
                await until(sentinel.primary_port, new.port)
            else:
                await sentinel.fail_over()
                await replicate(old, new)

            found = await asyncio.gather(
                *(WRITES[write](garden, name) for name, (garden, write) in gardens.items()), return_exceptions=True
            )

            assert not {name: error for name, error in zip(gardens, found, strict=True) if isinstance(error, Exception)}
        async with closing(connect(new.url)) as witness:
            assert await Garden(witness).visits.dict() == dict.fromkeys(gardens, 1)


# --- other event loops ----------------------------------------------------------------------------

UVLOOP = """
import asyncio, uvloop
from tests.engine.test_clients import *

async def main():
    assert type(asyncio.get_running_loop()).__module__.startswith("uvloop")
    with Server(port=0, password="") as server:
        async with closing(connect(server.url)) as redis:
            for name in ("TCP", "unix socket", "TLS", "asked for"):
                for test in (
                    test_every_method_has_the_same_effect,
                    test_a_thousand_calls_at_once,
                    test_cancelled_calls_disturb_nobody,
                    test_two_thousand_elements_are_iterated,
                    test_scripts_and_transactions,
                ):
                    await redis.flushall()
                    await test(KINDS[name], server, redis)
            await test_a_subclass_may_be_made_to_share(server, redis)

with asyncio.Runner(debug=False, loop_factory=uvloop.new_event_loop) as runner:  # debug=True takes ten times as long
    runner.run(main())
"""


@pytest.mark.thorough
def test_uvloop(tmp_path: Path) -> None:
    """All of this holds on uvloop, and nothing is said at the end of the loop."""
    pytest.importorskip("uvloop", reason="there is no uvloop for this Python")

    assert run(["-c", UVLOOP], cwd=tmp_path) == Ended(0, "", "")
