"""The executor and its shared link, on a healthy server."""

from __future__ import annotations

import asyncio
import gc
import itertools
import random
import threading
import time

import anyio
import pytest
import redis as redis_py
from redis.asyncio import Redis, RedisCluster
from redis.exceptions import AuthenticationError, ConnectionError, ExecAbortError, NoPermissionError, ResponseError

from purse import statistics
from purse._engine.packing import pack_command
from purse._engine.registry import executor_for
from purse._engine.replies import Reply, as_int
from purse._engine.scripts import Script
from purse._engine.unit import Unit
from purse.embedded import Server
from purse.errors import StoreClosed
from tests.support.clients import connect
from tests.support.polling import until
from tests.support.proxy import Proxy
from tests.support.units import Unexplained, read, send, unit


async def connections(redis: Redis) -> int:
    """How many clients the server has, the one that asks not counted."""
    return len(await redis.client_list()) - 1  # pyright: ignore[reportUnknownMemberType]


async def _settled(tasks: set[asyncio.Task[object]]) -> bool:
    """Whether no task is left that was not there before."""
    return asyncio.all_tasks() <= tasks


@pytest.mark.engines("shared", "driven")
async def test_concurrent_calls_leave_together(redis: Redis) -> None:
    """Commands issued while the loop runs other tasks are one write on one connection; a thousand, one for each 50.

    Only the first time the very first of them leaves alone: the link had reason to think it is.
    """
    await send(redis, "SET", "a", "1")
    await asyncio.gather(*(read(redis, "GET", "a") for _ in range(3)))
    for calls, batches in ((40, 1), (1000, 20)):
        before = statistics(redis)

        replies = await asyncio.gather(*(read(redis, "GET", "a") for _ in range(calls)))

        assert replies == [b"1"] * calls
        after = statistics(redis)
        assert after.commands - before.commands == calls
        assert after.batches - before.batches <= batches


@pytest.mark.engines("shared", "driven")
async def test_many_first_callers_share_one_connection(proxy: Proxy, redis: Redis) -> None:
    """However many callers come before there is a connection, one is opened, and all are answered."""
    client = connect(proxy.url)

    replies = await asyncio.gather(*(send(client, "INCR", "n") for _ in range(200)))

    assert sorted(reply for reply in replies if isinstance(reply, int)) == list(range(1, 201))
    assert proxy.accepted == 1


@pytest.mark.rows(2)
async def test_each_caller_gets_its_own_reply(redis: Redis) -> None:
    """Ten thousand concurrent calls on default settings are each answered with their own value."""
    await asyncio.gather(*(send(redis, "SET", f"k{i}", i) for i in range(10_000)))

    replies = await asyncio.gather(*(read(redis, "GET", f"k{i}") for i in range(10_000)))

    assert replies == [str(i).encode() for i in range(10_000)]


@pytest.mark.rows(1)
async def test_a_pool_of_one_serves_purse_and_its_owner(server: Server, redis: Redis) -> None:
    """With ``max_connections=1`` ten thousand calls succeed, and so do the client's own."""
    client = connect(server.url, max_connections=1)

    replies = await asyncio.gather(*(send(client, "INCR", "n") for _ in range(10_000)))

    assert len({reply for reply in replies if isinstance(reply, int)}) == 10_000
    assert await client.get("n") == b"10000"


@pytest.mark.parametrize("protocol", [2, 3])
@pytest.mark.parametrize("decode", [False, True])
async def test_replies_are_bytes(server: Server, redis: Redis, protocol: int, decode: bool) -> None:
    """Whatever the protocol and ``decode_responses``, a reply is bytes."""
    client = connect(server.url, protocol=protocol, decode_responses=decode)

    assert await send(client, "SET", b"\xff", b"\xfe") == b"OK"
    assert await read(client, "GET", b"\xff") == b"\xfe"
    assert await read(client, "LRANGE", "none", 0, -1) == []


async def test_a_unit_of_several_commands_is_isolated(redis: Redis) -> None:
    """Units of several commands never interleave: within each, nobody else's writes are seen."""

    async def both(token: int) -> bool:
        set_and_get = unit(("SET", "shared", token), ("GET", "shared"))
        return (await executor_for(redis).execute(set_and_get))[1] == str(token).encode()

    assert all(await asyncio.gather(*(both(token) for token in range(500))))


async def test_a_command_refused_when_queued_applies_nothing(redis: Redis) -> None:
    """An unknown command inside a unit reports itself, not EXECABORT, and nothing of the unit is executed."""
    with pytest.raises(ResponseError, match="unknown command") as caught:
        await executor_for(redis).execute(unit(("SET", "a", 1), ("NOSUCHCOMMAND", "a"), ("SET", "b", 1)))

    assert not isinstance(caught.value, ExecAbortError)
    assert await read(redis, "EXISTS", "a", "b") == 0


async def test_a_loose_unit(proxy: Proxy, redis: Redis) -> None:
    """Its commands go out in one write without MULTI; the last reply counts, and an error of another is passed over."""
    client = connect(proxy.url)
    await send(client, "SET", "word", "x")
    proxy.requests.clear()

    def loose(*commands: tuple[str | int, ...]) -> Unit[list[Reply]]:
        return Unit(commands, lambda replies: replies[-1:], Unexplained(), loose=True)

    execute = executor_for(client).execute
    assert await execute(loose(("INCR", "word"), ("INCR", "n"), ("INCR", "n"))) == [2]
    assert proxy.requests == b"".join(pack_command(c) for c in (("INCR", "word"), ("INCR", "n"), ("INCR", "n")))
    with pytest.raises(ResponseError, match="not an integer"):
        await execute(loose(("INCR", "n"), ("INCR", "word")))
    replies = await asyncio.gather(*(execute(loose(("PING",), ("INCR", "n"))) for _ in range(3)))
    assert sorted(map(as_int, itertools.chain(*replies))) == [4, 5, 6]
    assert statistics(client).commands == 6
    proxy.cut_after(0)
    with pytest.raises(ConnectionError, match="not sent again"):
        await execute(loose(("INCR", "n"), ("GET", "word")))
    assert await read(client, "GET", "n") == b"7"


async def test_an_error_inside_exec_is_raised(redis: Redis) -> None:
    """A command that fails when it is executed raises its error, and the connection goes on."""
    await send(redis, "SET", "string", "x")

    with pytest.raises(ResponseError, match="WRONGTYPE"):
        await executor_for(redis).execute(unit(("LPUSH", "string", 1), ("SET", "b", 1)))

    assert await read(redis, "GET", "string") == b"x"


async def test_an_argument_that_cannot_be_packed_disturbs_nobody(redis: Redis) -> None:
    """A packing error is raised to its own caller before anything is queued; the neighbours' replies stay theirs."""
    calls = [send(redis, "ECHO", f"{i}" if i % 2 else "\ud800") for i in range(20)]

    replies = await asyncio.gather(*calls, return_exceptions=True)

    assert all(isinstance(reply, UnicodeEncodeError) for reply in replies[0::2])
    assert replies[1::2] == [str(i).encode() for i in range(1, 20, 2)]


async def test_scripts_survive_a_flush_at_any_moment(redis: Redis, server: Server) -> None:
    """With SCRIPT FLUSH in a loop beside them, scripts alone and in units are executed exactly once each."""
    script = Script("count", b"return redis.call('INCR', KEYS[1])")
    flusher = connect(server.url)
    done = asyncio.Event()

    async def flush() -> None:
        while not done.is_set():
            await flusher.script_flush()

    flushing = asyncio.create_task(flush())
    execute = executor_for(redis).execute
    for _ in range(20):
        await asyncio.gather(
            *(execute(unit(script(("alone",)))) for _ in range(10)),
            *(execute(unit(("INCR", "plain"), script(("inside",)))) for _ in range(10)),
        )
    done.set()
    await flushing

    assert await read(redis, "MGET", "alone", "plain", "inside") == [b"200"] * 3


@pytest.mark.rows(2)
@pytest.mark.parametrize("scopes", ["asyncio", "anyio"])
async def test_cancelled_calls_leave_every_other_answer_right(redis: Redis, scopes: str) -> None:
    """Of 5000 concurrent calls some 500 are cut short at random moments: the others get their own values."""
    chance = random.Random(20261123)
    await asyncio.gather(*(send(redis, "SET", f"k{i}", i) for i in range(100)))
    wrong: list[object] = []

    async def call(i: int) -> bool:
        patience = chance.uniform(0, 0.01) if chance.random() < 0.1 else 60
        if scopes == "asyncio":
            try:
                async with asyncio.timeout(patience):
                    reply = await read(redis, "GET", f"k{i % 100}")
            except TimeoutError:
                return False
        else:
            reply = None
            with anyio.move_on_after(patience) as scope:
                reply = await read(redis, "GET", f"k{i % 100}")
            if scope.cancelled_caught:
                return False
        if reply != str(i % 100).encode():
            wrong.append((i, reply))
        return True

    for _ in range(10):
        finished = await asyncio.gather(*(call(i) for i in range(500)))
        assert finished.count(True) >= 400

    assert not wrong


@pytest.mark.rows(1)
async def test_two_hundred_rounds_of_cancellation_leak_nothing(redis: Redis) -> None:
    """After 200 rounds with cancelled calls there is no task left and no connection too many."""
    chance = random.Random(7)
    await send(redis, "SET", "a", "x")
    before = asyncio.all_tasks()

    for _ in range(200):
        calls = [asyncio.create_task(read(redis, "GET", "a")) for _ in range(100)]
        for _ in range(chance.randrange(3)):
            await asyncio.sleep(0)
        for call in chance.sample(calls, 20):
            call.cancel()
        replies = await asyncio.gather(*calls, return_exceptions=True)
        assert all(reply == b"x" for reply in replies if not isinstance(reply, asyncio.CancelledError))

    await until(lambda: _settled(before), True)
    await until(lambda: connections(redis), statistics(redis).connections)


@pytest.mark.engines("shared", "driven")
async def test_a_call_cancelled_before_its_write_never_happens(redis: Redis) -> None:
    """A call that is cancelled while it waits for its write is not sent at all."""
    await asyncio.gather(send(redis, "SET", "n", 0), *(send(redis, "PING") for _ in range(3)))  # no more alone
    call = asyncio.create_task(send(redis, "INCR", "n"))
    await asyncio.sleep(0)  # the call runs up to its await

    call.cancel()
    await asyncio.gather(call, return_exceptions=True)

    assert await read(redis, "GET", "n") == b"0"


async def test_a_cancelled_first_caller_does_not_stop_the_others(proxy: Proxy) -> None:
    """Cancelling the caller that happened to open the connection leaves the other callers waiting for it."""
    client = connect(proxy.url)
    first, second = (asyncio.create_task(send(client, "ECHO", word)) for word in ("first", "second"))
    await asyncio.sleep(0)

    first.cancel()

    assert await second == b"second"
    assert first.cancelled()


async def test_server_refusals_keep_the_connection(redis: Redis, proxy: Proxy) -> None:
    """A refused command raises redis-py's class for it; the connection serves the next call."""
    await send(redis, "ACL", "SETUSER", "reader", "on", ">secret", "~*", "+get", "+ping")
    client = connect(proxy.url, username="reader", password="secret")

    with pytest.raises(NoPermissionError):
        await send(client, "SET", "a", 1)

    assert await read(client, "GET", "a") is None
    assert proxy.accepted == 1
    await client.aclose()
    await send(redis, "ACL", "DELUSER", "reader")


async def test_an_idle_connection_outlasts_the_socket_timeout(proxy: Proxy) -> None:
    """The socket timeout counts only while a reply is due: an idle connection is kept."""
    client = connect(proxy.url, socket_timeout=0.05)
    await send(client, "PING")
    await asyncio.sleep(0.2)

    assert await send(client, "PING") == b"PONG"
    assert proxy.accepted == 1


async def test_closing_the_client_closes_the_link(redis: Redis, server: Server) -> None:
    """``client.aclose()`` closes the shared connection too; a later call opens a new one."""
    client = connect(server.url)
    await send(client, "PING")
    before = await connections(redis)

    await client.aclose()

    await until(lambda: connections(redis), before - 1)
    assert await send(client, "PING") == b"PONG"
    await client.aclose()


async def test_a_dropped_client_takes_its_link_with_it(redis: Redis, server: Server) -> None:
    """When the last reference to a client goes, its shared connection closes, without a warning."""
    client = connect(server.url)
    await send(client, "PING")
    before = await connections(redis)

    del client
    gc.collect()

    await until(lambda: connections(redis), before - 1)


async def test_a_closed_executor_says_so(server: Server) -> None:
    """After ``aclose()`` every call raises StoreClosed, those that wait for a connection included."""
    client = connect(server.url)
    executor = executor_for(client)
    waiting = asyncio.create_task(send(client, "PING"))
    await asyncio.sleep(0)

    await executor.aclose()

    with pytest.raises(StoreClosed):
        await waiting
    with pytest.raises(StoreClosed):
        await send(client, "PING")
    await client.aclose()


async def test_a_second_loop_gets_a_link_of_its_own(redis: Redis) -> None:
    """One client used from two event loops at once: each has its own connection and its own answers."""
    await send(redis, "SET", "a", "x")
    answers: list[object] = []

    def elsewhere() -> None:
        async def ask() -> None:
            answers.extend(await asyncio.gather(*(read(redis, "GET", "a") for _ in range(100))))

        asyncio.run(ask())

    thread = threading.Thread(target=elsewhere)
    thread.start()
    here = await asyncio.gather(*(read(redis, "GET", "a") for _ in range(100)))
    await asyncio.to_thread(thread.join)

    assert here == answers == [b"x"] * 100


async def test_a_refused_connection_is_reported_at_once() -> None:
    """Where no server listens, every caller is told so immediately, and what to do about it."""
    client = Redis(port=1)
    started = time.monotonic()

    errors = await asyncio.gather(*(send(client, "PING") for _ in range(3)), return_exceptions=True)

    assert time.monotonic() - started < 1  # redis-py's own retries would take seconds
    assert len({id(error) for error in errors}) == 3
    for error in errors:
        assert isinstance(error, ConnectionError)
        assert "localhost:1" in str(error)
        assert "Is a server running there" in "".join(error.__notes__)


async def test_a_wrong_password_is_reported_as_such(redis: Redis, server: Server) -> None:
    """A refused login is redis-py's AuthenticationError, at once, with a hint at the password."""
    client = connect(server.url, username="nobody", password="wrong")

    with pytest.raises(AuthenticationError) as caught:
        await send(client, "PING")

    assert "password" in "".join(caught.value.__notes__)


def test_other_clients_are_refused_with_the_right_one_named() -> None:
    """A synchronous client, a pipeline, a cluster client or anything else is a TypeError that says what to pass."""
    cluster = RedisCluster.__new__(RedisCluster)
    for client, telling in (
        (redis_py.Redis(), "synchronous"),
        (Redis().pipeline(), "Pipeline"),
        (cluster, "RedisCluster is not supported yet"),
        ("redis://localhost", "got str"),
    ):
        with pytest.raises(TypeError, match=telling):
            executor_for(client)  # type: ignore[arg-type] # pyright: ignore[reportArgumentType]
