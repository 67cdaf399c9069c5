"""Event loops that a program closes without shutting them down, as programs do that are not asynchronous themselves."""

from __future__ import annotations

import asyncio
import gc
import threading
import weakref
from collections.abc import Callable, Coroutine
from concurrent.futures import ThreadPoolExecutor
from contextlib import closing
from itertools import count
from typing import Any, TypeVar

import pytest

from purse import RedisHash, RedisQueue, Store, statistics
from purse._engine.replies import Reply
from purse.embedded import Server
from tests.support.clients import command, connect
from tests.support.polling import until
from tests.support.tls import TlsProxy
from tests.support.units import read

T = TypeVar("T")

LOOPS = 12

_names = count()


class Garden(Store, namespace="ended"):
    """A store with a field of each kind that needs a connection."""

    counts: RedisHash[int]
    tasks: RedisQueue[int]


@pytest.fixture
def name() -> str:
    """The name of this test's connections on the server."""
    return f"ended-{next(_names)}"


@pytest.fixture(
    params=["asyncio", pytest.param("uvloop", marks=pytest.mark.filterwarnings("ignore:unclosed resource"))]
)
def new_loop(request: pytest.FixtureRequest) -> Callable[[], asyncio.AbstractEventLoop]:
    """Makes event loops of each implementation. Those of uvloop close their sockets themselves, with a warning."""
    return asyncio.new_event_loop if request.param == "asyncio" else pytest.importorskip("uvloop").new_event_loop


NewLoop = Callable[[], asyncio.AbstractEventLoop]


def in_own_loop(new_loop: NewLoop, call: Coroutine[Any, Any, T]) -> T:
    """What Celery tasks and Flask views do for each call."""
    with closing(new_loop()) as loop:
        return loop.run_until_complete(call)


def on_the_server(server: Server, name: str, expected: int) -> None:
    """Wait until so many connections of this name are there."""

    async def connections() -> int:  # not through purse, which would close them
        return sum(f"name={name} " in line for line in str(await command(admin, "CLIENT", "LIST")).split("\\n"))

    async def ask() -> None:
        async with admin:
            await until(connections, expected)

    admin = connect(server.url)
    asyncio.run(ask())


def test_a_call_in_a_loop_of_its_own_leaves_one_connection(
    server: Server, name: str, engine: str, new_loop: NewLoop
) -> None:
    """However many loops were closed, at most the last one's connection is open, until anything is asked again."""
    client = connect(server.url, client_name=name)
    hits = RedisHash(client, f"{name}:hits", int)

    for n in range(1, LOOPS + 1):
        assert in_own_loop(new_loop, hits.increment("n")) == n

    on_the_server(server, name, 1 if new_loop is asyncio.new_event_loop else 0)
    assert statistics(client).connections == 0
    on_the_server(server, name, 0)
    assert statistics(client).commands == LOOPS


@pytest.mark.rows(1)
def test_waiting_in_a_loop_of_its_own_leaves_nothing(server: Server, name: str, engine: str, new_loop: NewLoop) -> None:
    """The connection on which the server tells waiting calls is closed like the one of their commands."""
    client = connect(server.url, client_name=name)
    garden = Garden(client)

    for _ in range(LOOPS // 2):
        in_own_loop(new_loop, garden.counts.increment(name))
        with pytest.raises(asyncio.QueueEmpty):
            in_own_loop(new_loop, garden.tasks.get(timeout=0.05))

    assert statistics(client).connections == 0
    on_the_server(server, name, 0)


def test_closed_loops_are_forgotten(server: Server, name: str, engine: str) -> None:
    """Nothing refers any more to a loop that was closed, nor to what belonged to it."""
    client = connect(server.url, client_name=name)
    queue = RedisQueue(client, name, int)
    loops: list[weakref.ref[asyncio.AbstractEventLoop]] = []
    for _ in range(LOOPS // 2):
        with closing(asyncio.new_event_loop()) as loop:
            loop.run_until_complete(read(client, "PING"))
            with pytest.raises(asyncio.QueueEmpty):
                loop.run_until_complete(queue.get(timeout=0.05))
            loops.append(weakref.ref(loop))
        del loop

    statistics(client)
    gc.collect()

    assert {loop() for loop in loops} == {None}


def test_a_loop_that_is_only_stopped_keeps_its_connection(server: Server, name: str, engine: str) -> None:
    """Between two runs of a loop other loops come and go: its connection stays the same."""
    client = connect(server.url, client_name=name)
    with closing(asyncio.new_event_loop()) as loop:
        first = loop.run_until_complete(read(client, "CLIENT", "ID"))
        for _ in range(3):
            in_own_loop(asyncio.new_event_loop, read(client, "PING"))
        assert statistics(client).connections == 1

        assert loop.run_until_complete(read(client, "CLIENT", "ID")) == first

    statistics(client)
    on_the_server(server, name, 0)


@pytest.mark.engines("shared")  # a coroutine of redis-py in which a call is suspended complains when it is collected
def test_calls_under_way_do_not_keep_a_connection(server: Server, name: str, engine: str) -> None:
    """A loop is closed while it waits for replies: its connection is closed all the same."""
    client = connect(server.url, client_name=name)

    async def begin(steps: int) -> None:
        await read(client, "PING")
        calls = [asyncio.ensure_future(read(client, "PING")) for _ in range(3)]
        for _ in range(steps):
            await asyncio.sleep(0)
        under_way.extend(calls)

    for steps in range(5):
        under_way: list[asyncio.Future[Reply]] = []
        in_own_loop(asyncio.new_event_loop, begin(steps))

    assert statistics(client).connections == 0
    on_the_server(server, name, 0)


def test_a_client_that_is_not_used_again_is_closed_too(server: Server, name: str, engine: str) -> None:
    """The connections of closed loops are closed when any client is used."""
    in_own_loop(asyncio.new_event_loop, read(connect(server.url, client_name=name), "PING"))

    in_own_loop(asyncio.new_event_loop, read(connect(server.url), "PING"))

    on_the_server(server, name, 0)


async def test_over_tls(server: Server, name: str, engine: str) -> None:
    """A TLS connection of a closed loop is closed as well."""
    assert server.port is not None
    async with TlsProxy(server.port) as proxy:
        client = connect(proxy.url, client_name=name, ssl_ca_data=proxy.authority)

        def calls() -> None:
            for _ in range(3):
                in_own_loop(asyncio.new_event_loop, read(client, "PING"))
            assert statistics(client).connections == 0
            on_the_server(server, name, 0)

        await asyncio.to_thread(calls)


def test_threads_with_loops_of_their_own(server: Server, name: str, engine: str) -> None:
    """Loops that come and go in several threads, and one that looks on: each call is answered, nothing is left."""
    client = connect(server.url, client_name=name)
    hits = RedisHash(client, f"{name}:hits", int)
    going = threading.Event()

    def calls(field: str) -> None:
        for n in range(1, LOOPS + 1):
            assert in_own_loop(asyncio.new_event_loop, hits.increment(field)) == n

    def look() -> None:
        while not going.is_set():
            statistics(client)

    with ThreadPoolExecutor() as threads:
        looking = threads.submit(look)
        for done in [threads.submit(calls, f"f{n}") for n in range(4)]:
            done.result()
        going.set()
        looking.result()

    assert statistics(client).connections == 0
    on_the_server(server, name, 0)
