"""The executor when the wire breaks, and when servers stall, die and come back.

Every fault is injected by a proxy or by signals to servers that the test started. What is checked is
always the same: the caller is told, an effect is never doubled, no answer reaches the wrong caller,
and the next call works.
"""

from __future__ import annotations

import asyncio
import os
import random
import signal
from collections.abc import AsyncIterator, Iterator

import pytest
from redis.asyncio import Redis
from redis.exceptions import BusyLoadingError, ConnectionError, RedisError, TimeoutError

from purse._engine.registry import executor_for
from purse._engine.scripts import Script
from purse.embedded import Server
from tests.support.clients import connect
from tests.support.proxy import Proxy
from tests.support.selection import size
from tests.support.tasks import tasks_in_memory
from tests.support.units import read, send, unit

LOST = (ConnectionError, TimeoutError)


@pytest.fixture
async def wire(proxy: Proxy, redis: Redis) -> AsyncIterator[Redis]:
    """A client whose commands pass the proxy; ``redis`` reaches the same server directly."""
    client = connect(proxy.url)
    await send(client, "PING")
    yield client
    await client.aclose()


@pytest.fixture
def own_server() -> Iterator[Server]:
    """A server that a test may pause, kill and restart, and that loses nothing."""
    with Server(port=0, password="", config={"appendonly": "yes", "appendfsync": "always"}) as server:
        yield server


async def test_a_reply_cut_at_any_byte_is_never_half_an_answer(proxy: Proxy, wire: Redis, redis: Redis) -> None:
    """Wherever a read's reply is cut, the read is sent again and returns the whole value."""
    await redis.set("a", "x" * 40)
    await redis.rpush("list", *("y" * 10 for _ in range(3)))
    replies = {
        ("GET", "a"): b"x" * 40,
        ("LRANGE", "list", "0", "-1"): [b"y" * 10] * 3,
    }
    for command, value in replies.items():
        length = len("$40\r\n") + 42 if isinstance(value, bytes) else len("*3\r\n") + 3 * len("$10\r\n0123456789\r\n")
        for cut in range(length):
            proxy.cut_after(cut)
            assert await read(wire, *command) == value
            proxy.heal()


@pytest.mark.parametrize("kind", ["command", "unit", "script"])
async def test_a_write_whose_reply_is_cut_happens_once(proxy: Proxy, wire: Redis, redis: Redis, kind: str) -> None:
    """Wherever a write's reply is cut, the caller gets the answer or an error, and the effect is there once."""
    script = Script("count", b"return redis.call('INCR', KEYS[1])")
    await executor_for(wire).execute(unit(script(("warm",))))
    write = {
        "command": unit(("INCR", "n")),
        "unit": unit(("INCR", "n"), ("EXPIRE", "n", 100)),
        "script": unit(script(("n",))),
    }[kind]
    for times in range(1, 30):
        proxy.cut_after(times - 1)
        (outcome,) = await asyncio.gather(executor_for(wire).execute(write), return_exceptions=True)
        proxy.heal()

        if isinstance(outcome, BaseException):
            assert isinstance(outcome, LOST)
            assert "may have been executed" in str(outcome)
        else:
            assert outcome[0] == times

        assert await redis.get("n") == str(times).encode()
        assert await read(wire, "GET", "n") == str(times).encode()


async def test_a_swallowed_reply_never_doubles_an_effect(proxy: Proxy, wire: Redis, redis: Redis) -> None:
    """The server executed the write, its reply is lost with the connection: one effect, one error, then all is well."""
    for times in range(1, 11):
        proxy.swallow()
        call = asyncio.create_task(send(wire, "INCR", "n"))
        await proxy.swallowed()
        proxy.drop()

        with pytest.raises(ConnectionError, match="not sent again"):
            await call
        proxy.heal()
        assert await redis.get("n") == str(times).encode()
        assert await read(wire, "GET", "n") == str(times).encode()


async def test_reads_in_flight_are_sent_again(proxy: Proxy, wire: Redis, redis: Redis, engine: str) -> None:
    """Of a hundred reads in flight when the connection breaks every one is answered, sharing one new one."""
    await asyncio.gather(*(redis.set(f"k{i}", i) for i in range(100)))
    proxy.swallow()
    calls = [asyncio.create_task(read(wire, "GET", f"k{i}")) for i in range(100)]
    await proxy.swallowed()
    before = proxy.accepted

    proxy.heal()
    proxy.drop()

    assert await asyncio.gather(*calls) == [str(i).encode() for i in range(100)]
    if engine != "dedicated":
        assert proxy.accepted == before + 1


async def test_what_never_left_is_sent_on_the_next_connection(proxy: Proxy, wire: Redis, redis: Redis) -> None:
    """Writes that are still queued when the connection breaks are executed once, on the new connection."""
    proxy.drop()
    calls = [asyncio.create_task(send(wire, "INCR", "n")) for _ in range(100)]
    await asyncio.sleep(0)  # all are queued, none is written yet

    replies = await asyncio.gather(*calls, return_exceptions=True)

    answered = [reply for reply in replies if isinstance(reply, int)]
    assert len(set(answered)) == len(answered)
    stored = int(await redis.get("n") or 0)
    assert len(answered) <= stored <= 100
    if not answered:  # the loss was noticed only by writing: then every caller was told
        assert all(isinstance(reply, LOST) for reply in replies)


async def test_a_broken_idle_connection_costs_no_error(proxy: Proxy, wire: Redis) -> None:
    """When the server closes an idle connection, the next call, a write, opens a new one and succeeds."""
    for times in range(1, 6):
        proxy.drop()
        accepted = proxy.accepted
        await asyncio.sleep(0.02)  # the end of the connection arrives

        assert await send(wire, "INCR", "n") == times
        assert proxy.accepted == accepted + 1


async def test_a_late_reply_never_answers_another_call(proxy: Proxy, wire: Redis, redis: Redis) -> None:
    """A call is given up while its reply is on the way; the reply that then comes is nobody else's."""
    await asyncio.gather(*(redis.set(f"k{i}", i) for i in range(50)))
    proxy.delay(0.02)
    for i in range(0, size(20, 50), 2):
        with pytest.raises(asyncio.TimeoutError):
            async with asyncio.timeout(0.005):
                await read(wire, "GET", f"k{i}")
        assert await read(wire, "GET", f"k{i + 1}") == str(i + 1).encode()


async def test_a_stalled_server_is_noticed_in_time(own_server: Server) -> None:
    """A paused server: calls fail within the client's socket timeout; when it goes on, the next call is right."""
    client = connect(own_server.url, socket_timeout=0.3)
    await send(client, "SET", "a", "x")
    loop = asyncio.get_running_loop()
    os.kill(own_server.pid, signal.SIGSTOP)
    try:
        started = loop.time()
        replies = await asyncio.gather(*(send(client, "INCR", "n") for _ in range(50)), return_exceptions=True)
        elapsed = loop.time() - started
    finally:
        os.kill(own_server.pid, signal.SIGCONT)

    assert all(isinstance(reply, TimeoutError) for reply in replies)
    assert 0.25 < elapsed < 2
    assert await read(client, "GET", "a") == b"x"
    reply = await read(client, "GET", "n")
    assert isinstance(reply, bytes)
    assert 1 <= int(reply) <= 50  # each at most once, although the caller was told "timeout"


async def test_a_slow_server_is_not_taken_for_a_stalled_one(proxy: Proxy) -> None:
    """Replies that keep coming, each within the socket timeout, are waited for, however long all of them take."""
    client = connect(proxy.url, socket_timeout=0.2)
    await send(client, "PING")
    proxy.delay(0.08)

    for i in range(5):
        assert await read(client, "ECHO", str(i)) == str(i).encode()


async def test_acknowledged_writes_survive_a_kill(own_server: Server) -> None:
    """SIGKILL under load: every caller is told something, and everything acknowledged is there after the restart."""
    client = connect(own_server.url)
    acknowledged: set[int] = set()
    errors: list[BaseException] = []
    enough = asyncio.Event()

    async def write(first: int) -> None:
        for value in range(first, first + 200):
            try:
                await send(client, "SADD", "seen", value)
            except RedisError as error:
                errors.append(error)
                return
            acknowledged.add(value)
            if len(acknowledged) == 500:
                enough.set()

    writers = [asyncio.create_task(write(1000 * n)) for n in range(20)]
    await enough.wait()
    own_server.kill()
    await asyncio.wait_for(asyncio.gather(*writers), 10)
    own_server.start()

    stored = {int(member) for member in await client.smembers("seen")}
    assert errors
    assert acknowledged <= stored
    assert len(stored - acknowledged) <= len(writers)
    assert await read(client, "SCARD", "seen") == len(stored)


async def test_a_sequential_caller_sees_at_most_one_error(own_server: Server) -> None:
    """The server is killed and restarted between and during calls: one caller, one call after the other, one error."""
    client = connect(own_server.url)
    chance = random.Random(3)
    for _ in range(5):
        errors: list[RedisError] = []
        await send(client, "SET", "n", 0)
        restart = asyncio.create_task(_restart_after(own_server, chance.random() * 0.02))
        while not restart.done():
            try:
                await send(client, "INCR", "n")
            except RedisError as error:
                errors.append(error)
        for _ in range(10):
            try:
                await send(client, "INCR", "n")
            except RedisError as error:
                errors.append(error)
        assert len(errors) <= 1, errors


async def _restart_after(server: Server, seconds: float) -> None:
    await asyncio.sleep(seconds)
    server.kill()
    await asyncio.to_thread(server.start)


@pytest.mark.rows(1)
async def test_a_refused_reconnect_reaches_every_caller(proxy: Proxy, wire: Redis) -> None:
    """While the server is away every call fails after about a second, and works as soon as it is back."""
    await proxy.refuse()
    proxy.drop()
    loop = asyncio.get_running_loop()
    started = loop.time()

    replies = await asyncio.gather(*(send(wire, "PING") for _ in range(10)), return_exceptions=True)

    assert all(isinstance(reply, LOST) for reply in replies)
    assert loop.time() - started < 5
    await proxy.listen_again()
    assert await send(wire, "PING") == b"PONG"


async def test_cancelling_at_every_moment_of_a_broken_call(
    proxy: Proxy, wire: Redis, redis: Redis, engine: str
) -> None:
    """Calls that are cancelled at each step of a reconnect leave no task, and the next call is right."""
    await redis.set("a", "x")
    for steps in range(40):
        proxy.drop()
        call = asyncio.create_task(read(wire, "GET", "a"))
        for _ in range(steps):
            await asyncio.sleep(0)
        call.cancel()
        await asyncio.gather(call, return_exceptions=True)
        assert await read(wire, "GET", "a") == b"x"
    assert tasks_in_memory() == (["purse: reader", "purse: writer"] if engine == "driven" else [])


async def test_a_server_that_is_loading_is_waited_for(proxy: Proxy, wire: Redis, redis: Redis) -> None:
    """A server that answers LOADING has executed nothing: the call is sent again, and takes effect once."""
    loading = b"-LOADING Redis is loading the dataset in memory\r\n"
    proxy.answer(loading, times=3)
    assert await send(wire, "INCR", "n") == 1
    refused_unit = b"+OK\r\n" + 2 * loading + b"-EXECABORT Transaction discarded because of previous errors.\r\n"
    proxy.answer(refused_unit, times=3)

    assert await executor_for(wire).execute(unit(("INCR", "n"), ("INCR", "n"))) == [2, 3]

    assert await redis.get("n") == b"3"


@pytest.mark.rows(1)
async def test_a_server_that_keeps_loading_is_reported(proxy: Proxy, wire: Redis) -> None:
    """If it takes longer than about a second, the caller is told so, on a connection that goes on."""
    accepted = proxy.accepted
    proxy.answer(b"-LOADING Redis is loading the dataset in memory\r\n", times=100)

    with pytest.raises(BusyLoadingError):
        await send(wire, "INCR", "n")

    proxy.heal()
    assert await send(wire, "INCR", "n") == 1
    assert proxy.accepted == accepted
