"""Several threads at once: what they share is changed by one of them at a time, and never while another looks on.

Which rule each shared object follows is in docs/threads.md. Where a test can, it lets one
thread come in between each two bytecodes of what another one does (``interleaved``). Elsewhere threads take turns as
often as Python lets them.
"""

from __future__ import annotations

import asyncio
import gc
import os
import threading
import time
from collections.abc import Callable, Generator
from contextlib import closing, nullcontext, suppress
from functools import partial
from itertools import count
from types import new_class
from typing import Any
from weakref import WeakKeyDictionary

import pytest
from pydantic import BaseModel
from redis.asyncio import Redis

from purse import (
    DeclarationError,
    LockError,
    RedisHash,
    RedisLock,
    RedisQueue,
    RedisSemaphore,
    RedisSet,
    Redlock,
    Store,
    configure,
    statistics,
)
from purse._coordination.quorum import master_of
from purse._declaration.claims import settle
from purse._declaration.metaclass import StoreMeta
from purse._declaration.nested import NestedSpec
from purse._engine.executor import ClientExecutor
from purse._engine.hooks import ObservedCall, observe
from purse._engine.link import Traffic
from purse._engine.links import Links
from purse._engine.loops import PerLoop
from purse._engine.modes import Engine, Mode
from purse._engine.registry import executor_for
from purse.codecs._json_codecs import JsonCodec, OrderedCodec
from purse.collections._paging import collector_paused
from purse.embedded import Server
from purse.errors import ServerFailed, StoreClosed
from purse.fastapi._running import Servers
from purse.locks import Lease
from tests.support.clients import connect
from tests.support.polling import until
from tests.support.proxy import Proxy
from tests.support.scripts import ROOT, Ended, run
from tests.support.selection import thorough_but
from tests.support.threads import PATIENCE, at_once, hurried, interleaved


@pytest.fixture(autouse=True)
def often() -> Generator[None]:
    """Threads take turns as often as possible."""
    with hurried():
        yield


# --- made at first use --------------------------------------------------------------------------------


class Shelf(Store):
    """A part of a store."""

    lines: RedisSet[str]


class Shop(Store, namespace="threads-shop"):
    """A store with what is made at first use."""

    visits: RedisHash[int]
    home: Shelf


def test_one_collection_for_a_field() -> None:
    """Threads that use a field for the first time at the same moment get the same collection."""

    def begin() -> tuple[Callable[[], object], Callable[[], object]]:
        shop = Shop(Redis())
        return (lambda: shop.visits), (lambda: shop.visits)

    for one, other in interleaved(begin, type(Shop.visits).__get__):
        assert isinstance(one, RedisHash)
        assert one is other


def test_one_store_for_a_nested_store() -> None:
    """Threads that use a nested store for the first time at the same moment get the same store."""

    def begin() -> tuple[Callable[[], object], Callable[[], object]]:
        shop = Shop(Redis())
        return (lambda: shop.home), (lambda: shop.home)

    for one, other in interleaved(begin, NestedSpec.__get__):
        assert isinstance(one, Shelf)
        assert one is other


async def test_one_store_for_an_application() -> None:
    """Handlers in threads that are the first to ask for a store get the same store."""
    unused = [Servers(Redis(), {}) for _ in range(200)]  # made here, because each belongs to a loop

    def begin() -> tuple[Callable[[], object], Callable[[], object]]:
        servers = unused.pop()
        return partial(servers.plain, Shop), partial(servers.plain, Shop)

    def at_each_moment() -> None:
        for one, other in interleaved(begin, Servers.plain):
            assert isinstance(one, Shop)
            assert one is other

    await asyncio.to_thread(at_each_moment)


def test_one_executor_for_a_client() -> None:
    """Threads that are the first to use a client have one executor, and so one connection for each loop."""

    def begin() -> tuple[Callable[[], object], Callable[[], object]]:
        client = Redis()
        return partial(executor_for, client), partial(executor_for, client)

    for one, other in interleaved(begin, executor_for):
        assert isinstance(one, ClientExecutor)
        assert one is other


class Plant(BaseModel):
    """What is stored."""

    name: str
    tasty: bool = False


@pytest.mark.parametrize("kind", [JsonCodec[Plant], OrderedCodec[Plant]])
def test_a_codec_is_whole_when_it_is_used(kind: type[JsonCodec[Plant]]) -> None:
    """A codec that one thread is making ready is used by another at any moment: both read and write the value."""
    spinach, raw = Plant(name="spinach"), b'{"name":"spinach","tasty":false}'

    def begin() -> tuple[Callable[[], object], Callable[[], object]]:
        codec = kind(Plant)

        def use() -> object:
            return codec.decode(raw), codec.decode_all([raw]), codec.encode(spinach), codec.encode_all([spinach])

        return use, use

    for both in interleaved(begin, kind._bind, JsonCodec[Plant]._bind):  # pyright: ignore[reportPrivateUsage]
        assert both == ((spinach, [spinach], raw, [raw]),) * 2


# --- claims -------------------------------------------------------------------------------------------


_numbers = count()


def declare(name: str, base: type[Store], field: object, **keywords: object) -> type[Store]:
    """A store class in a module that no other class is from."""
    body = {
        "__module__": f"threads_{next(_numbers)}",
        "__qualname__": name,
        "__annotations__": {"plants": field},
    }
    return new_class(name, (base,), keywords, lambda names: names.update(body))


@pytest.mark.thorough
def test_one_of_two_classes_gets_a_namespace() -> None:
    """Two threads define unrelated classes with one namespace: one of them is refused."""

    def begin() -> tuple[Callable[[], object], Callable[[], object]]:
        namespace = f"threads-{next(_numbers)}"
        return (
            partial(declare, "One", Store, RedisHash[int], namespace=namespace),
            partial(declare, "Other", Store, RedisHash[int], namespace=namespace),
        )

    for both in interleaved(begin, StoreMeta.__new__, settle, by_line=True):
        assert sorted(isinstance(result, DeclarationError) for result in both) == [False, True], both


@pytest.mark.thorough
def test_one_of_two_relatives_gets_a_key() -> None:
    """Two threads define subclasses whose fields have one key and hold different types: one of them is refused."""

    def begin() -> tuple[Callable[[], object], Callable[[], object]]:
        garden = new_class("Garden", (Store,), {"namespace": f"threads-{next(_numbers)}"})
        return partial(declare, "One", garden, RedisHash[int]), partial(declare, "Other", garden, RedisHash[str])

    for both in interleaved(begin, StoreMeta.__new__, settle, by_line=True):
        assert sorted(isinstance(result, DeclarationError) for result in both) == [False, True], both


# --- locks and semaphores that threads share ----------------------------------------------------------


class Loop(asyncio.SelectorEventLoop):
    """An event loop whose clock, or whose ``is_closed``, lets another thread do something first."""

    before_time: Callable[[], None] | None = None
    before_is_closed: Callable[[], None] | None = None

    def time(self) -> float:
        do, self.before_time = self.before_time, None
        if do is not None:
            do()
        return super().time()

    def is_closed(self) -> bool:
        do, self.before_is_closed = self.before_is_closed, None
        if do is not None:
            do()
        return super().is_closed()


class Elsewhere:
    """An event loop that runs in another thread."""

    def __init__(self, loop: asyncio.AbstractEventLoop | None = None) -> None:
        self.loop = loop or asyncio.new_event_loop()
        self._thread = threading.Thread(target=self._run, daemon=True)
        self._thread.start()

    def _run(self) -> None:
        asyncio.set_event_loop(self.loop)
        self.loop.run_forever()

    def do(self, call: Any) -> Any:
        """Run a coroutine there, and wait for it."""
        return asyncio.run_coroutine_threadsafe(call, self.loop).result(PATIENCE)

    def end(self) -> None:
        """End it as ``asyncio.run`` does."""
        with suppress(asyncio.CancelledError):
            self.do(self.loop.shutdown_asyncgens())
        self.loop.call_soon_threadsafe(self.loop.stop)
        self._thread.join(PATIENCE)
        self.loop.close()


@pytest.fixture
def here() -> Generator[Elsewhere]:
    """A loop in a thread."""
    place = Elsewhere(Loop())
    yield place
    place.end()


@pytest.fixture
def there() -> Generator[Elsewhere]:
    """Another one."""
    place = Elsewhere(Loop())
    yield place
    place.end()


class Watched(Redlock):
    """A lock that lets another thread do something while it notes a lease: when it asks which of them still count."""

    meanwhile: Callable[[], None] | None = None

    def _hold(self, lease: Lease) -> None:
        loop = asyncio.get_running_loop()
        if self.meanwhile is not None and isinstance(loop, Loop):
            loop.before_time, self.meanwhile = self.meanwhile, None
        super()._hold(lease)


def test_a_lock_knows_all_its_holders(server: Server, engine: str, here: Elsewhere, there: Elsewhere) -> None:
    """Two threads acquire through one lock object at the same moment: each of them can release what it has."""
    lock = Watched("not yet", [connect(server.url)], auto_release_time=60_000)
    key = f"threads-held-{engine}"

    async def acquire(nth: int) -> Lease:
        lock.key = mine = f"{key}-{nth}"
        assert await lock.acquire(timeout=PATIENCE)
        return next(lease for lease in lock._held if lease.key == mine)  # pyright: ignore[reportPrivateUsage]

    first = here.do(acquire(1))
    meanwhile: list[Lease] = []
    lock.meanwhile = lambda: meanwhile.append(there.do(acquire(2)))
    last = here.do(acquire(3))

    here.do(first.release())
    there.do(meanwhile[0].release())
    here.do(last.release())


def test_a_task_is_known_to_hold_a_lock(server: Server, engine: str, here: Elsewhere, there: Elsewhere) -> None:
    """Another thread uses the same lock object: a task that acquires again is told at once, as if it had not."""
    lock = RedisLock(connect(server.url), "threads-again", lease=60)
    acquired, used = threading.Event(), threading.Event()

    async def hold() -> str:
        lease = await lock.acquire()
        acquired.set()
        await asyncio.to_thread(used.wait, PATIENCE)
        gc.collect()
        try:
            await lock.acquire(timeout=1)
        except LockError as error:
            return str(error)
        finally:
            assert lease is not None
            await lease.release()
        return "waits for itself"

    async def use() -> None:
        assert await lock.acquire(blocking=False) is None
        used.set()

    holding = asyncio.run_coroutine_threadsafe(hold(), here.loop)
    assert acquired.wait(PATIENCE)
    there.do(use())

    assert "holds the lock already" in holding.result(PATIENCE)


def test_a_block_ends_its_own_permit(server: Server, engine: str, here: Elsewhere, there: Elsewhere) -> None:
    """While one thread looks for the permit of its block, another leaves its own: each gives back what it has."""
    semaphore = RedisSemaphore(connect(server.url), f"threads-permit-{engine}", limit=2, lease=60)
    entered, leave = threading.Event(), threading.Event()
    left = threading.Event()

    async def first() -> None:
        async with semaphore as permit:
            entered.set()
            await asyncio.to_thread(leave.wait, PATIENCE)
        assert permit.remaining == 0
        left.set()

    async def second() -> None:
        async with semaphore as permit:
            assert isinstance(here.loop, Loop)

            def let_it_leave() -> None:
                leave.set()
                left.wait(PATIENCE)

            here.loop.before_is_closed = let_it_leave  # asked of the loop of the other block's task
        assert permit.remaining == 0

    leaving = asyncio.run_coroutine_threadsafe(first(), here.loop)
    assert entered.wait(PATIENCE)
    there.do(second())
    leaving.result(PATIENCE)

    assert there.do(semaphore.available()) == 2


def test_masters_of_many_loops() -> None:
    """While one thread looks which loops have ended, another begins one: none disturbs the other."""
    client = Redis()

    def ask() -> bool:
        async def twice() -> bool:
            return master_of(client) is master_of(client)

        return asyncio.run(twice())

    with closing(asyncio.new_event_loop()) as loop:
        loop.run_until_complete(_in(loop, lambda: master_of(client)))
        inside = master_of, WeakKeyDictionary[object, object].keys, PerLoop[object].here, PerLoop[object].copy
        for both in interleaved(lambda: (ask, ask), *inside):
            assert both == (True, True)


async def _in(loop: asyncio.AbstractEventLoop, do: Callable[[], object]) -> None:
    do()


def test_what_ended_loops_had_is_taken_once() -> None:
    """Two threads clean up after loops that were closed: each value goes to one of them, and those of others stay."""
    with closing(asyncio.new_event_loop()) as alive:
        ended = [asyncio.new_event_loop() for _ in range(3)]
        for loop in ended:
            loop.close()

        def begin() -> tuple[Callable[[], list[int]], Callable[[], list[int]]]:
            values: PerLoop[int] = PerLoop()
            for nth, loop in enumerate((alive, *ended)):
                values.put(loop, nth)
            left.append(values)
            return values.take_ended, values.take_ended

        left: list[PerLoop[int]] = []
        for one, other in interleaved(begin, PerLoop[int].take_ended):
            assert isinstance(one, list)
            assert isinstance(other, list)
            assert sorted(one + other) == [1, 2, 3]
            assert left.pop().copy() == {alive: 0}


# --- what is counted and watched ----------------------------------------------------------------------


def test_traffic_that_is_looked_at_while_it_is_counted() -> None:
    """Statistics are asked for while a link counts: no error, and at the end all of it is there."""
    for _ in range(200):
        traffic = Traffic()
        counted = threading.Event()

        def count(traffic: Traffic = traffic, counted: threading.Event = counted) -> int:
            for power in range(60):
                traffic.count(1 << power)
            counted.set()
            return 0

        def look(traffic: Traffic = traffic, counted: threading.Event = counted) -> int:
            while not counted.is_set():
                Traffic().add(traffic)
            return 0

        assert at_once(count, look, look) == [0, 0, 0]
        total = Traffic()
        total.add(traffic)
        assert total == traffic


@pytest.mark.thorough
@pytest.mark.engines("shared")
def test_every_call_is_counted_once(server: Server, engine: str) -> None:
    """Two threads ask for statistics when loops have ended: whatever one of them is doing, both see all calls, once."""

    def begin() -> tuple[Callable[[], object], Callable[[], object]]:
        client = connect(server.url)
        for _ in range(2):
            with closing(asyncio.new_event_loop()) as loop:
                loop.run_until_complete(RedisHash(client, "threads-counted", int).get("gate"))
        return (lambda: statistics(client).commands), (lambda: statistics(client).commands)

    for both in interleaved(begin, Links.forget_ended, Links.traffic, Traffic.add):
        assert both == (2, 2)


@pytest.mark.engines("shared")
def test_an_observer_that_goes(server: Server, engine: str, request: pytest.FixtureRequest) -> None:
    """Another thread ceases to observe while a call is made: the call is observed, or not."""
    request.addfinalizer(lambda: observe(None))
    tags = RedisSet(connect(server.url), "threads-observed", str)

    def watch(call: ObservedCall) -> nullcontext[None]:
        return nullcontext()

    def begin() -> tuple[Callable[[], object], Callable[[], object]]:
        observe(watch)
        return lambda: asyncio.run(_popped(tags)), lambda: observe(None)

    for both in interleaved(begin, ClientExecutor.execute, ClientExecutor.take):
        assert both == (None, None)


async def _popped(tags: RedisSet[str]) -> str | None:
    await tags.delete_redis_key()
    await tags.update("tasty", "green")
    return None if await tags.pop() else "nothing"


def test_a_mode_that_is_chosen_anew() -> None:
    """A thread configures the client while a loop of another thread chooses how to connect: it chooses something."""

    def begin() -> tuple[Callable[[], object], Callable[[], object]]:
        client = clients[0] = Redis()
        links = executor_for(client).links
        links.mode = Mode("dedicated", "it was found out")
        return links._choose, partial(configure, client, engine="shared")  # pyright: ignore[reportPrivateUsage]

    clients = [Redis()]
    for one, other in interleaved(begin, Links._choose):  # pyright: ignore[reportPrivateUsage]
        assert isinstance(one, Mode)
        assert other is None


@pytest.mark.parametrize("steps", range(8))
async def test_a_mode_that_is_chosen_while_a_connection_is_made(server: Server, engine: str, steps: int) -> None:
    """``configure`` holds for a connection that is being made as well."""
    client = connect(server.url)
    visits = RedisHash(client, f"threads-chosen-{engine}", int)
    wanted: Engine = "shared" if engine == "dedicated" else "dedicated"
    first = asyncio.ensure_future(visits.get("gate"))
    for _ in range(steps):
        await asyncio.sleep(0)

    configure(client, engine=wanted)
    await first
    await visits.get("gate")

    assert statistics(client).mode == wanted
    assert statistics(client).connections == 1


# --- the end ------------------------------------------------------------------------------------------


def test_a_store_is_closed_in_each_thread(server: Server, engine: str, here: Elsewhere, there: Elsewhere) -> None:
    """``aclose()`` leaves connections of other loops to those: asyncio's debug mode has nothing to complain about."""
    here.loop.set_debug(True)  # then a loop refuses what comes from another thread
    there.loop.set_debug(True)

    class Garden(Store, namespace="threads-close"):
        visits: RedisHash[int]

    garden = Garden.open(server.url)
    if engine == "dedicated":
        configure(garden.visits.redis, engine="dedicated")
    here.do(garden.visits.increment("gate"))
    there.do(garden.visits.increment("gate"))

    here.do(garden.aclose())

    async def call() -> None:
        with pytest.raises(StoreClosed):
            await garden.visits.increment("gate")

    there.do(call())
    assert statistics(garden.visits.redis).connections == 0


def test_a_client_is_closed_in_each_thread(server: Server, engine: str, here: Elsewhere, there: Elsewhere) -> None:
    """The client's own ``aclose()`` leaves connections of other loops to those; the next calls connect again."""
    here.loop.set_debug(True)
    there.loop.set_debug(True)
    client = connect(server.url)
    visits = RedisHash(client, f"threads-close-{engine}", int)
    there.do(visits.increment("gate"))
    here.do(visits.increment("gate"))

    here.do(client.aclose())

    assert there.do(visits.get("gate")) == 2
    assert here.do(visits.get("gate")) == 2


def test_a_client_is_closed_after_its_loops(server: Server, engine: str) -> None:
    """One loop of the client is closed, another one stopped: its ``aclose()`` in a third complains of neither."""
    client = connect(server.url)
    visits = RedisHash(client, f"threads-after-{engine}", int)
    with closing(asyncio.new_event_loop()) as loop:
        loop.run_until_complete(visits.get("gate"))
    with closing(asyncio.new_event_loop()) as stopped:
        stopped.run_until_complete(visits.get("gate"))
        with closing(asyncio.new_event_loop()) as other:
            other.run_until_complete(visits.get("gate"))
            loop.close()

            asyncio.run(client.aclose())

        assert stopped.run_until_complete(visits.get("gate")) is None
    gc.collect()  # what was never awaited would be warned of now
    assert statistics(client).connections == 0


class Work(Store, namespace="threads-work"):
    """What callers wait for."""

    tasks: RedisQueue[int]


def test_a_caller_that_waits_in_another_thread_is_told(server: Server, engine: str, here: Elsewhere) -> None:
    """A store is closed while a call of another thread's loop waits: it hears of it."""
    work = Work.open(server.url)
    if engine == "dedicated":
        configure(work.tasks.redis, engine="dedicated")

    async def wait() -> str:
        with pytest.raises((StoreClosed, ConnectionError, Exception)) as caught:
            await work.tasks.get()
        return type(caught.value).__name__

    async def close() -> None:
        async with work:
            pass

    waiting = asyncio.run_coroutine_threadsafe(wait(), here.loop)
    here.do(asyncio.sleep(0.05))
    asyncio.run(close())

    assert waiting.result(PATIENCE) in ("StoreClosed", "ConnectionError")


async def test_what_another_thread_was_taking_is_put_back(
    server: Server, proxy: Proxy, engine: str, here: Elsewhere
) -> None:
    """A store is closed while an item is on its way to a caller of another thread's loop that is gone: it is kept."""
    untouched = Work(connect(server.url))
    await untouched.clear()
    work = Work.open(proxy.url)
    if engine == "dedicated":
        configure(work.tasks.redis, engine="dedicated")
    taking: list[asyncio.Task[int]] = []

    async def take() -> None:
        await work.tasks.put(7)
        proxy_loop.call_soon_threadsafe(proxy.hold)
        taking.append(asyncio.ensure_future(work.tasks.get_nowait()))
        with suppress(asyncio.CancelledError):
            await taking[0]

    proxy_loop = asyncio.get_running_loop()
    taken = asyncio.run_coroutine_threadsafe(take(), here.loop)
    await until(lambda: asyncio.sleep(0, len(taking)), 1)
    await until(untouched.tasks.qsize, 0)
    here.loop.call_soon_threadsafe(taking[0].cancel)
    await asyncio.wrap_future(taken)

    closing = asyncio.ensure_future(work.aclose())
    proxy.release()
    await closing

    assert await untouched.tasks.get_many(10) == [7]


@pytest.mark.thorough
def test_the_end_of_a_loop_does_not_wait_for_what_is_done() -> None:
    """A task that was detached and has ended, and whose callback an exception has cost, does not keep a loop going."""
    program = """
import asyncio
from purse._engine.detached import detached

class Loop(asyncio.SelectorEventLoop):
    lost = False
    def call_soon(self, callback, *args, context=None):
        handle = super().call_soon(callback, *args, context=context)
        if self.lost:
            handle.cancel()
        return handle

async def main():
    async def work():
        loop.lost = True  # what this task's end would call is lost, as by a Ctrl-C in that moment
    task = detached(work(), "short")
    for _ in range(3):
        await asyncio.sleep(0)
        loop.lost = False
    assert task.done()

loop = Loop()
try:
    loop.run_until_complete(main())
    loop.run_until_complete(loop.shutdown_asyncgens())
finally:
    loop.close()
"""
    assert run(["-c", program], cwd=ROOT, seconds=PATIENCE) == Ended(0, "", "")


# --- the process --------------------------------------------------------------------------------------


def test_the_collectors_switch_is_the_programs() -> None:
    """The collector is switched off by the program while a thread decodes: it stays off. Its thresholds come back."""
    thresholds = gc.get_threshold()
    try:
        with collector_paused():
            gc.disable()
        assert not gc.isenabled()
        assert gc.get_threshold() == thresholds
    finally:
        gc.enable()


def test_pauses_of_the_collector_overlap() -> None:
    """However pauses of threads overlap, the collector pauses up to the end of the last, and then runs as before."""
    thresholds = gc.get_threshold()
    first, second = collector_paused(), collector_paused()
    first.__enter__()
    second.__enter__()
    first.__exit__(None, None, None)
    ran: list[str] = []
    gc.callbacks.append(lambda phase, info: ran.append(phase))
    try:
        garbage: list[list[object]] = [[] for _ in range(20_000)]
        assert ran == []
    finally:
        gc.callbacks.pop()
        second.__exit__(None, None, None)
    assert gc.get_threshold() == thresholds
    assert len(garbage) == 20_000

    def pause() -> int:
        for _ in range(500):
            with collector_paused():
                pass
        return 0

    assert at_once(*[pause] * 4) == [0] * 4
    assert gc.get_threshold() == thresholds


def test_a_threshold_that_the_program_sets_stays() -> None:
    """A threshold that the program sets while the collector pauses is not set back."""
    thresholds = gc.get_threshold()
    try:
        with collector_paused():
            gc.set_threshold(5_000, 20, 20)
        assert gc.get_threshold()[0] == 5_000
    finally:
        gc.set_threshold(*thresholds)


def test_the_pid_of_a_server_that_starts_and_ends() -> None:
    """While one thread starts and kills a server, another sees its process id or that it does not run, never 0."""
    over = threading.Event()
    with Server() as server:

        def restart() -> set[int]:
            pids = {server.pid}
            for _ in range(8):
                server.kill()
                server.start()
                pids.add(server.pid)
            over.set()
            return pids

        def look() -> set[int]:
            seen: set[int] = set()
            while not over.is_set():
                with suppress(ServerFailed):
                    seen.add(server.pid)
                time.sleep(0)
            return seen

        pids, seen = at_once(restart, look)

    assert isinstance(pids, set)
    assert isinstance(seen, set)
    assert seen <= pids


@pytest.mark.thorough
@pytest.mark.skipif(not hasattr(os, "fork"), reason="this system cannot fork")
def test_a_fork_while_another_thread_holds_a_lock() -> None:
    """A child that is forked while another thread declares a store declares its own."""
    program = """
import os, signal, threading, warnings
warnings.simplefilter("ignore", DeprecationWarning)  # of a fork beside other threads
from purse import RedisHash, Store
from purse._declaration import claims

held, over = threading.Event(), threading.Event()

def hold():
    with claims._lock:
        held.set()
        over.wait()

thread = threading.Thread(target=hold)
thread.start()
held.wait()
pid = os.fork()
if not pid:
    signal.alarm(10)
    class Garden(Store, namespace="garden"):
        visits: RedisHash[int]
    os._exit(0)
status = os.waitpid(pid, 0)[1]
over.set()
thread.join()
assert status == 0, status
"""
    assert run(["-c", program], cwd=ROOT, seconds=PATIENCE) == Ended(0, "", "")


# --- all of it ----------------------------------------------------------------------------------------


@pytest.mark.rows(1)
@pytest.mark.parametrize("clients", thorough_but("one client", every=["one client", "many clients"]))
@pytest.mark.engines("shared", "dedicated")
def test_thirty_threads(server: Server, engine: str, clients: str) -> None:
    """Thirty threads whose loops come and go share stores, locks, semaphores and queues: nobody disturbs another."""
    arguments = ["-m", "tests.support.crowd", server.url, engine, clients.split()[0]]

    assert run(arguments, cwd=ROOT, seconds=90) == Ended(0, "", "")
