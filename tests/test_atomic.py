"""Store.atomic: the calls of one transaction, against a real server and on a wire that breaks."""

from __future__ import annotations

import asyncio
import gc
import inspect
import pickle
import re
import sys
import textwrap
import threading
import warnings
from collections.abc import AsyncIterator, Awaitable, Callable, Coroutine, Generator
from contextlib import contextmanager, suppress
from contextvars import ContextVar
from pathlib import Path
from typing import Any, TypeAlias, cast

import anyio
import pytest
from pydantic import BaseModel
from redis.asyncio import Redis
from redis.exceptions import ConnectionError, ExecAbortError, NoPermissionError, RedisError, TimeoutError

from purse import TTL, AtomicFailed, RedisHash, RedisList, Store, StoreClosed, WrongKind, field, statistics
from purse._engine import executor
from purse._engine.clients import check_client
from purse.codecs import Codec
from purse.collections.list import Side
from purse.embedded import Server
from purse.errors import DecodeError, EncodeError
from tests.support import engines
from tests.support.clients import connect
from tests.support.monitor import Monitor
from tests.support.polling import until
from tests.support.proxy import Proxy
from tests.support.scripts import run

Call: TypeAlias = Coroutine[Any, Any, object]


def pytest_generate_tests(metafunc: pytest.Metafunc) -> None:
    """All of these tests hold whether calls share a connection or not."""
    engines.parametrize(metafunc, "shared", "dedicated")


@pytest.fixture(autouse=True)
def engine(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> Generator[str]:
    """The mode in which this test's clients reach Redis."""
    with engines.engine(getattr(request, "param", "shared"), monkeypatch) as name:
        yield name


class Plant(BaseModel):
    name: str


class Garden(Store, namespace="atomic"):
    log: RedisList[str]
    numbers: RedisList[int]
    plants: RedisHash[Plant]
    visits: RedisHash[int]
    hour: RedisHash[int] = field(ttl=TTL(hours=1))
    seen: RedisHash[int] = field(ttl=TTL(hours=1, renew="read"))
    once: RedisHash[int] = field(ttl=TTL(hours=1, renew="never"))


class Shed(Store, namespace="atomic-shed"):
    tools: RedisList[str]


class Empty(Store, namespace="atomic-empty"):
    """No fields."""


PEA = Plant(name="pea")


@pytest.fixture
def garden(redis: Redis) -> Garden:
    """A store on an empty database."""
    return Garden(redis)


@pytest.fixture
async def monitor(server: Server, garden: Garden) -> AsyncIterator[Monitor]:
    """A monitor that begins when the store is connected."""
    assert server.port is not None
    await garden.visits.exists()
    async with Monitor(server.port) as monitor:
        yield monitor


def nowhere() -> Garden:
    """A store whose server does not exist."""
    return Garden(Redis(host="127.0.0.1", port=1))


def atomic(garden: Garden, calls: list[object]) -> Coroutine[object, None, tuple[object, ...]]:
    """``garden.atomic`` of what it does not take."""
    return garden.atomic(*cast("list[Call]", calls))


def state(call: object) -> str:
    """Where a coroutine is: CORO_CREATED, CORO_SUSPENDED, CORO_CLOSED."""
    return inspect.getcoroutinestate(cast("Call", call))


def requests(garden: Garden) -> int:
    """How many requests the store's client has sent."""
    return statistics(garden.log.redis).commands


@contextmanager
def heard(*expected: str) -> Generator[None]:
    """Collect the garbage at the end of the block; exactly these warnings are heard."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        gc.collect()  # what a test before this one left behind is not heard
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always")
        yield
        gc.collect()
    assert [str(warning.message) for warning in caught] == [*expected]


async def refused(garden: Garden, kind: type[Exception], calls: list[object]) -> Exception:
    """The error of a transaction of which nothing was sent; its calls are closed, and no warning is heard."""
    before = requests(garden)
    fresh = [call for call in calls if inspect.iscoroutine(call) and state(call) == inspect.CORO_CREATED]
    with heard():
        with pytest.raises(kind) as caught:
            await atomic(garden, calls)
        assert {*map(state, fresh)} <= {inspect.CORO_CLOSED}
        error = caught.value.with_traceback(None)
        calls.clear()
        del caught, fresh  # nothing refers to the calls any more, so what they leave behind is heard
    assert requests(garden) == before
    return error


async def test_results_come_in_the_order_of_the_calls(garden: Garden) -> None:
    """Each call's decoded result is at its place, whatever the call is, those included that send nothing."""
    results = await garden.atomic(
        garden.log.extend(["sown", "planted"]),
        garden.log.extend([]),
        garden.plants.set("bed", PEA),
        garden.plants.get("bed"),
        garden.plants.get("field"),
        garden.visits.update({}),
        garden.log.popleft(),
        garden.visits.setdefault("gate", 3),
        garden.seen.get_many(["gate"]),
        garden.log.insert(0, "dug"),
        garden.log.contains("dug"),
        garden.numbers.slice(0),
        garden.clear(),
        garden.log.exists(),
    )

    assert results == (2, 0, 1, PEA, None, 0, "sown", 3, {}, None, True, [], 3, False)
    assert type(results[10]) is bool


@pytest.mark.parametrize("count", [1, 8, 9, 1000])
async def test_any_number_of_calls(garden: Garden, count: int) -> None:
    """They are executed in their order, each once."""
    results = await garden.atomic(*(garden.visits.increment("gate") for _ in range(count)))

    assert results == (*range(1, count + 1),)


async def test_without_anything_to_do_nothing_is_sent() -> None:
    """Without calls, and with such as need nothing of the server, there is no connection and no error."""
    garden = nowhere()

    assert await garden.atomic() == ()
    calls = garden.log.extend([]), garden.visits.get_many([]), Empty(garden.log.redis).clear()
    assert await garden.atomic(*calls) == (0, {}, 0)
    with pytest.raises(ConnectionError):
        await garden.atomic(garden.log.extend([]), garden.log.len())


async def test_everything_on_one_client_can_be_in_one_transaction(redis: Redis, monitor: Monitor) -> None:
    """Several stores, and collections that were built directly, as long as they have the same client."""
    log = RedisList(redis, "old-log", str)
    await monitor.commands()

    assert await Garden(redis).atomic(
        log.append("a"), Shed(redis).tools.append("rake"), Garden(redis).log.append("b"), Shed(redis).clear()
    ) == (1, 1, 1, 1)

    keys = [command[1:2] for command in await monitor.commands()]
    assert keys == [(), ("old-log",), ("{atomic-shed}:tools",), ("{atomic}:log",), ("{atomic-shed}:tools",), ()]
    assert await redis.lrange("old-log", 0, -1) == [b"a"]


# --- what is sent -----------------------------------------------------------------------------------


async def test_the_transaction_is_one_request(redis: Redis, garden: Garden, monitor: Monitor) -> None:
    """One MULTI around the commands of all calls, scripts by their bodies, also if the server has never seen them."""
    await redis.script_flush()
    await monitor.commands()
    before = statistics(redis)

    await garden.atomic(
        garden.log.append("planted"),
        garden.plants.pop("bed"),
        garden.hour.set("gate", 1),
        garden.hour.get("gate"),
        garden.seen.increment("gate"),
        garden.seen.get("gate"),
        garden.once.set("gate", 2),
        garden.visits.setdefault("gate", 3),
        garden.once.clear(),
    )

    after = statistics(redis)
    assert (after.commands - before.commands, after.batches - before.batches) == (1, 1)
    assert [" ".join(command) for command in await monitor.commands()] == [
        "MULTI",
        "RPUSH {atomic}:log planted",
        "HGET {atomic}:plants bed",
        "HDEL {atomic}:plants bed",
        "EVAL with_ttl 1 {atomic}:hour key:3600000 4 HSET {atomic}:hour gate 1",
        "HGET {atomic}:hour gate",
        "EVAL with_ttl 1 {atomic}:seen key:3600000 4 HINCRBY {atomic}:seen gate 1",
        "EVAL with_ttl 1 {atomic}:seen key:3600000 3 HGET {atomic}:seen gate",
        "EVAL with_ttl 1 {atomic}:once key-once:3600000 4 HSET {atomic}:once gate 2",
        "EVAL hash_setdefault 1 {atomic}:visits gate 3  ",
        "UNLINK {atomic}:once",
        "EXEC",
    ]


async def test_ttl_policies_hold(redis: Redis, garden: Garden) -> None:
    """Calls restart the clocks that they restart elsewhere, and no other."""
    for words in (garden.hour, garden.seen, garden.once):
        await words.set("gate", 1)
        await words.expire(60)

    calls = garden.hour.set("gate", 2), garden.seen.get("gate"), garden.once.set("gate", 2)
    assert await garden.atomic(*calls) == (0, 1, 0)

    assert [await words.ttl() for words in (garden.hour, garden.seen, garden.once)] == [3600, 3600, 60]


async def test_scripts_survive_a_flush_at_any_moment(garden: Garden, server: Server) -> None:
    """With SCRIPT FLUSH in a loop beside them, 200 transactions with scripts and TTL policies add up."""
    flusher = connect(server.url)
    done = asyncio.Event()

    async def flush() -> int:
        flushes = 0
        while not done.is_set():
            await flusher.script_flush()
            flushes += 1
        return flushes

    flushing = asyncio.create_task(flush())

    async def transaction(n: int) -> None:
        await garden.atomic(
            garden.hour.increment("gate"),
            garden.log.append("x"),
            garden.visits.setdefault(str(n), 1),
            garden.numbers.insert(1, n),
        )

    try:
        for first in range(0, 200, 10):
            await asyncio.gather(*(transaction(first + n) for n in range(10)))
    finally:
        done.set()

    assert await flushing > 20
    counts = garden.hour.get("gate"), garden.log.len(), garden.visits.len(), garden.numbers.len()
    assert await garden.atomic(*counts) == (200, 200, 200, 200)
    await flusher.aclose()


async def test_nobody_comes_between(garden: Garden, server: Server) -> None:
    """Beside other transactions and plain calls of four clients, no half of a transaction is ever seen."""
    gardens = [garden, *(Garden(connect(server.url)) for _ in range(3))]
    long = "x" * 40_000  # longer than what the server reads of one connection at a time

    async def write(g: Garden, name: str) -> None:
        await g.atomic(
            g.visits.increment("gate"), g.log.append(f"{name} {long}"), g.hour.increment("gate"), g.log.append(name)
        )

    async def look(g: Garden) -> None:
        first, second = await g.atomic(g.visits.get("gate"), g.hour.get("gate"))
        assert first == second

    for round_ in range(8):
        names = [f"{round_}:{n}" for n in range(24)]
        await asyncio.gather(
            *(write(gardens[n % 4], name) for n, name in enumerate(names)),
            *(gardens[(n + 1) % 4].log.append("plain") for n in range(24)),
            *(look(gardens[(n + 2) % 4]) for n in range(24)),
        )

    log = [entry.removesuffix(long) for entry in await garden.log.slice(0)]
    assert len(log) == 8 * 24 * 3
    firsts = [at for at, entry in enumerate(log) if entry.endswith(" ")]
    assert len(firsts) == 8 * 24
    assert all(log[at].strip() == log[at + 1] for at in firsts)
    for other in gardens[1:]:
        await other.log.redis.aclose()


async def test_two_event_loops_at_once(garden: Garden) -> None:
    """Transactions and plain calls in three threads, each with a loop, get their own answers."""

    async def work(name: str) -> None:
        for n in range(1, 101):
            (length, values), plain, (count,) = await asyncio.gather(
                garden.atomic(garden.visits.increment(name), garden.visits.get_many([name])),
                garden.hour.increment(name),
                garden.atomic(garden.seen.increment(name)),
            )
            assert (length, values, plain, count) == (n, {name: n}, n, n)

    await garden.clear()
    pause = sys.getswitchinterval()
    sys.setswitchinterval(1e-6)
    others = (asyncio.to_thread(asyncio.run, work(name)) for name in ("left", "right"))
    ends = await asyncio.gather(*others, work("here"), return_exceptions=True)
    sys.setswitchinterval(pause)

    assert ends == [None, None, None]
    assert await garden.visits.dict() == {"left": 100, "right": 100, "here": 100}


@pytest.mark.engines("shared")
async def test_a_client_that_two_threads_use_first_is_one_client(
    redis: Redis, server: Server, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Collections that two threads build at the same moment, on a new client, can be in one transaction."""
    client, both = connect(server.url), threading.Barrier(2)

    def slowly(given: object) -> Redis:
        with suppress(threading.BrokenBarrierError):  # it is broken if only one thread comes here, which is right
            both.wait(0.2)
        return check_client(given)

    monkeypatch.setattr(executor, "check_client", slowly)
    logs = await asyncio.gather(*(asyncio.to_thread(RedisList[str], client, "log", str) for _ in range(2)))

    try:
        assert await Garden(client).atomic(*[log.append("x") for log in logs]) == (1, 2)
    finally:
        await client.aclose()


# --- nothing is executed ----------------------------------------------------------------------------

BAD: dict[str, tuple[type[Exception], str, Callable[[Garden], Call]]] = {
    "value": (EncodeError, r"\{atomic\}:log cannot store", lambda g: g.log.append(cast("str", 3))),
    "key": (EncodeError, r"\{atomic\}:visits cannot have the key", lambda g: g.visits.get(cast("str", 3))),
    "amount": (EncodeError, r"\{atomic\}:visits\['a'\]", lambda g: g.visits.increment("a", cast("int", "1"))),
    "bulk": (EncodeError, r"\{atomic\}:visits\['b'\]", lambda g: g.visits.update({"a": 1, "b": cast("int", "x")})),
    "collection": (TypeError, r"\{atomic\}:log: move", lambda g: g.log.move(cast("RedisList[str]", g.numbers))),
    "side": (ValueError, "'top'", lambda g: g.log.move(g.log, src=cast("Side", "top"))),
    "duration": (OverflowError, "infinity", lambda g: g.log.expire(float("inf"))),
    "not packable": (TypeError, "", lambda g: g.log.restore(cast("bytes", object()))),
}


@pytest.mark.parametrize("position", range(4))
@pytest.mark.parametrize(("kind", "message", "bad"), BAD.values(), ids=BAD.keys())
async def test_an_error_before_sending_sends_nothing(
    garden: Garden, kind: type[Exception], message: str, bad: Callable[[Garden], Call], position: int
) -> None:
    """Whichever call cannot be sent, its own error is raised, nothing is executed and the others are closed."""
    calls: list[object] = [garden.visits.increment("a"), garden.log.append("x"), garden.hour.set("b", 1)]
    calls.insert(position, bad(garden))

    error = await refused(garden, kind, calls)

    assert re.search(message, str(error))


@pytest.fixture
async def restricted(server: Server, redis: Redis) -> AsyncIterator[Callable[[str], Awaitable[Garden]]]:
    """Makes the store of a user who may do everything but one command."""
    clients: list[Redis] = []

    async def without(command: str) -> Garden:
        # redis-py leaves execute_command untyped.
        rules = ("ACL", "SETUSER", "gardener", "on", ">secret", "~*", "+@all", f"-{command}")
        await redis.execute_command(*rules)  # type: ignore[no-untyped-call]  # pyright: ignore
        clients.append(connect(server.url, username="gardener", password="secret"))
        return Garden(clients[-1])

    yield without
    for client in clients:
        await client.aclose()
    await redis.acl_deluser("gardener")  # pyright: ignore[reportUnknownMemberType]


@pytest.mark.parametrize("position", range(3))
async def test_a_command_that_is_not_queued(
    redis: Redis, restricted: Callable[[str], Awaitable[Garden]], position: int
) -> None:
    """The server's reply to that very command is raised, with its key; nothing of the others is executed."""
    garden = await restricted("hincrby")
    calls: list[Call] = [garden.log.append("x"), garden.hour.set("gate", 1)]
    calls.insert(position, garden.visits.increment("gate"))

    with heard(), pytest.raises(NoPermissionError, match="hincrby") as caught:
        await garden.atomic(*calls)

    assert not isinstance(caught.value, ExecAbortError)
    assert caught.value.__notes__ == ["purse: RedisHash {atomic}:visits['gate']"]
    assert {*map(state, calls)} == {inspect.CORO_CLOSED}
    assert await redis.keys() == []  # pyright: ignore[reportUnknownMemberType]
    assert await garden.atomic(garden.log.append("x")) == (1,)


@pytest.mark.parametrize("command", ["multi", "exec"])
async def test_a_user_without_transactions(restricted: Callable[[str], Awaitable[Garden]], command: str) -> None:
    """If MULTI or EXEC itself is refused, the error says so, and the connection is right for the next call."""
    garden = await restricted(command)

    with pytest.raises(RedisError, match=command):
        await garden.atomic(garden.log.append("x"), garden.visits.increment("gate"))

    assert sorted(await asyncio.gather(*(garden.hour.increment("gate") for _ in range(3)))) == [1, 2, 3]


async def test_a_closed_store(server_url: str) -> None:
    """After ``aclose`` a transaction raises StoreClosed, and its calls are closed."""
    garden = Garden.open(server_url)
    await garden.aclose()

    await refused(garden, StoreClosed, [garden.log.append("x"), garden.visits.increment("gate")])


async def test_a_failure_does_not_stop_the_others(redis: Redis, garden: Garden) -> None:
    """What failed is at its place in ``results``, the others are executed; the first is the cause."""
    await redis.set("{atomic}:log", "a string")
    await redis.hset("{atomic}:plants", "bed", "not JSON")
    calls = garden.plants.get("bed"), garden.log.append("x"), garden.numbers.pop(), garden.hour.set("gate", 2)

    with heard(), pytest.raises(AtomicFailed) as caught:
        await garden.atomic(garden.visits.increment("gate"), *calls, garden.visits.increment("gate"))

    error = caught.value
    first, undecodable, wrong, empty, *others = error.results
    assert (first, *others) == (1, 1, 2)
    assert isinstance(undecodable, DecodeError)
    assert (undecodable.key, undecodable.field, undecodable.raw) == ("{atomic}:plants", "bed", b"not JSON")
    assert isinstance(wrong, WrongKind)
    assert wrong.key == "{atomic}:log"
    assert isinstance(empty, IndexError)
    assert str(empty) == "{atomic}:numbers: pop from an empty list"
    assert error.__cause__ is undecodable
    assert str(error) == (
        "3 of 6 calls failed inside EXEC. The others were executed, and are not rolled back; results has what each "
        f"returned or raised. First, call 2 of atomic() (RedisHash.get): {undecodable}"
    )
    assert {*map(state, calls)} == {inspect.CORO_CLOSED}
    assert (await garden.visits.get("gate"), await garden.hour.get("gate")) == (2, 2)
    assert await redis.get("{atomic}:log") == b"a string"
    copy = pickle.loads(pickle.dumps(error))
    assert (type(copy), str(copy), repr(copy.results)) == (AtomicFailed, str(error), repr(error.results))


async def test_a_failure_inside_a_script(redis: Redis, garden: Garden) -> None:
    """A call with a TTL policy on a key of another type fails alone, and leaves that key's clock alone."""
    await redis.set("{atomic}:hour", "a string")

    with pytest.raises(AtomicFailed) as caught:
        await garden.atomic(garden.visits.increment("gate"), garden.hour.increment("gate"), garden.log.append("x"))

    assert isinstance(caught.value.__cause__, WrongKind)
    assert caught.value.results == (1, caught.value.__cause__, 1)
    assert await redis.pttl("{atomic}:hour") == -1


# --- what is refused --------------------------------------------------------------------------------


async def own(garden: Garden) -> int:
    """A coroutine of the user's."""
    return await garden.log.append("x")


REFUSED: dict[str, tuple[str, Callable[[Garden], object]]] = {
    "own coroutine": (r"call 2 of atomic\(\) \(own\) is a coroutine of your own", own),
    "asyncio's": (r"call 2 of atomic\(\) \(wait_for\) is a cor", lambda g: asyncio.wait_for(asyncio.Future[int](), 1)),
    "future": (r"call 2 of atomic\(\) is a Future", lambda g: asyncio.get_running_loop().create_future()),
    "value": (r"call 2 of atomic\(\) is of type int, .* without await", lambda g: 3),
    "None": (r"call 2 of atomic\(\) is None", lambda g: None),
    "method": (r"call 2 of atomic\(\) is of type method", lambda g: g.log.len),
    "atomic": (r"call 2 of atomic\(\) is another atomic\(\)", lambda g: g.atomic(g.log.append("x"))),
    "modify": (r"modify\(\) needs several round trips", lambda g: g.visits.modify("gate", abs, default=1)),
    "edit": (r"call 2 of atomic\(\) is of type \w*ContextManager", lambda g: g.plants.edit("bed", default=PEA)),
    "values": (r"call 2 of atomic\(\) is of type \w+, not a coroutine", lambda g: g.visits.values()),
    "other client": (r"call 2 of atomic\(\) \(RedisHash\.set\) belongs to an", lambda g: nowhere().hour.set("a", 1)),
    "aclose": (r"aclose\(\) closes connections", lambda g: g.aclose()),
}


@pytest.mark.parametrize(("message", "make"), REFUSED.values(), ids=REFUSED.keys())
async def test_a_culprit_is_named(garden: Garden, message: str, make: Callable[[Garden], object]) -> None:
    """What is no fresh call of one round trip on this client is refused by name; nothing is sent, all are closed."""
    calls = [garden.visits.increment("gate"), make(garden), garden.log.append("x")]

    error = await refused(garden, TypeError, calls)

    assert re.search(message, str(error))
    assert await garden.visits.get("gate") is None


async def test_what_has_begun_is_left_alone(garden: Garden) -> None:
    """A call that was begun or ended before, or runs in a task, is refused; what still runs goes on."""
    begun, ended, failed = garden.log.append("x"), garden.log.len(), garden.numbers.pop()
    await asyncio.gather(ended, failed, return_exceptions=True)
    task = asyncio.create_task(garden.visits.increment("gate"))
    begun.send(None)
    for culprit in (begun, ended, failed, task):
        error = await refused(garden, TypeError, [garden.hour.set("gate", 1), culprit])
        assert re.match(
            r"call 2 of atomic\(\) (\(RedisList\.\w+\) was awaited|is a Task, which runs by its)", str(error)
        )

    assert state(begun) == inspect.CORO_SUSPENDED
    assert await task == 1
    begun.close()


async def test_a_call_given_twice_is_refused(garden: Garden) -> None:
    """One coroutine has one result."""
    call = garden.log.append("x")

    error = await refused(garden, TypeError, [garden.visits.increment("gate"), call, call])

    assert str(error) == "call 3 of atomic() (RedisList.append) is given twice; call the method twice"


@pytest.mark.parametrize("order", ["task, transaction", "built, task, awaited", "transaction, task"])
async def test_a_call_that_a_task_runs_too(garden: Garden, order: str) -> None:
    """Whoever is first, nobody waits for ever: at least one of the two gets an error, and the next call is right."""
    call = garden.log.append("x")
    built = None if order.startswith("task") else garden.atomic(call)

    async def transaction() -> object:
        return await (built or garden.atomic(call))

    runners: list[Call] = [transaction(), call] if order.startswith("transaction") else [call, transaction()]
    both = [asyncio.create_task(runner) for runner in runners]
    with heard():
        async with asyncio.timeout(10):
            ends = await asyncio.gather(*both, return_exceptions=True)

    assert any(isinstance(end, (RuntimeError, TypeError, AtomicFailed)) for end in ends)
    assert await garden.log.len() <= 1
    assert await garden.atomic(garden.visits.increment("gate")) == (1,)


# --- a coroutine like any other ---------------------------------------------------------------------

WAYS: dict[str, Callable[[Call], Awaitable[object]]] = {
    "await": lambda call: call,
    "create_task": asyncio.create_task,
    "gather": lambda call: asyncio.gather(call),
    "wait_for": lambda call: asyncio.wait_for(call, 10),
    "shield": asyncio.shield,
    "TaskGroup": lambda call: in_task_group(call),
    "to_thread": lambda call: asyncio.to_thread(asyncio.run, call),
}


async def in_task_group(call: Call) -> object:
    """The result of a task of a group."""
    async with asyncio.TaskGroup() as group:
        task = group.create_task(call)
    return task.result()


@pytest.mark.parametrize("way", WAYS.values(), ids=WAYS.keys())
async def test_whatever_runs_coroutines_runs_it(garden: Garden, way: Callable[[Call], Awaitable[object]]) -> None:
    """Tasks, groups and timeouts take it, and give its results."""
    with heard():
        results = await way(garden.atomic(garden.visits.increment("gate"), garden.log.append("x")))

    assert results in ((1, 1), [(1, 1)])


async def test_a_forgotten_await_is_told_once(garden: Garden) -> None:
    """The warning names ``Store.atomic``, not each of its calls; these are closed, and nothing is sent."""
    calls = garden.log.append("x"), garden.visits.increment("gate")

    with heard("coroutine 'Store.atomic' was never awaited"):
        garden.atomic(*calls)  # type: ignore[unused-coroutine]  # pyright: ignore[reportUnusedCoroutine]

    assert {*map(state, calls)} == {inspect.CORO_CLOSED}
    assert requests(garden) == 0


@pytest.mark.parametrize("how", ["cancelled", "closed"])
async def test_what_never_begins_leaves_nothing(garden: Garden, how: str) -> None:
    """Closed, or cancelled before its first step, it closes its calls, silently, and nothing is sent."""
    calls = garden.log.append("x"), garden.visits.increment("gate")

    with heard():
        transaction = garden.atomic(*calls)
        if how == "cancelled":
            task = asyncio.create_task(transaction)
            task.cancel()
            await asyncio.wait([task])
            assert task.cancelled()
        transaction.close()

    assert {*map(state, calls)} == {inspect.CORO_CLOSED}
    assert requests(garden) == 0


@pytest.mark.engines("shared")
async def test_a_program_hears_of_its_mistakes_once(tmp_path: Path, redis: Redis, server: Server) -> None:
    """With all of Python's own checks on, a forgotten await is one warning; errors and cancellations are none."""
    program = """
        import asyncio, sys
        from redis.asyncio import Redis
        from purse import RedisHash, RedisList, Store

        class Garden(Store, namespace="atomic-program"):
            log: RedisList[str]
            visits: RedisHash[int]

        async def main():
            async with Garden.open(sys.argv[1]) as garden:
                good = lambda: (garden.log.append("x"), garden.visits.increment("a"))
                for bad in (garden.log.append(3), garden.visits.modify("a", abs), 3, asyncio.sleep(0)):
                    try:
                        await garden.atomic(*good(), bad, *good())
                    except (TypeError, ValueError):
                        print("refused")
                task = asyncio.create_task(garden.atomic(*good()))
                task.cancel()
                await asyncio.wait([task])
                print(task.cancelled(), await garden.atomic(*good()))
                if sys.argv[2] == "forgets":
                    garden.atomic(*good())

        asyncio.run(main())
        """
    for what, warned in (("awaits", 0), ("forgets", 1)):
        ended = run(["-c", textwrap.dedent(program), server.url, what], cwd=tmp_path)
        assert ended.out == "refused\n" * 4 + f"True ({warned + 1}, {warned + 1})\n"
        assert ended.err.count("never awaited") == ended.err.count("'Store.atomic' was never") == warned
        assert bool(ended.err) == bool(warned)


@pytest.mark.parametrize("scopes", ["asyncio", "anyio"])
@pytest.mark.parametrize("connected", [True, False])
async def test_cancelling_at_every_moment(redis: Redis, server: Server, scopes: str, connected: bool) -> None:
    """A cancelled transaction is executed as a whole or not at all, leaves no task, and the next call is right."""
    garden = Garden(connect(server.url))
    before = asyncio.all_tasks()
    ended = 0

    async def transaction() -> None:
        nonlocal ended
        await garden.atomic(garden.visits.increment("gate"), garden.hour.increment("gate"))
        ended += 1

    async def settled() -> set[asyncio.Task[Any]]:
        return asyncio.all_tasks()

    for steps in range(40):
        if connected:
            await garden.log.len()
        else:
            await garden.log.redis.aclose()
        if scopes == "asyncio":
            task = asyncio.create_task(transaction())
            for _ in range(steps):
                await asyncio.sleep(0)
            task.cancel()
            await asyncio.gather(task, return_exceptions=True)
        else:
            async with anyio.create_task_group() as group:
                group.start_soon(transaction)
                for _ in range(steps):
                    await asyncio.sleep(0)
                group.cancel_scope.cancel()
        here, there = await garden.atomic(garden.visits.get("gate", 0), garden.hour.get("gate", 0))
        assert here == there >= ended

    assert ended < 40
    await garden.log.redis.aclose()
    await until(settled, before)


current: ContextVar[str] = ContextVar("current", default="nothing")


class Leaking(Codec[str]):
    """A codec that changes a context variable, and writes down what it was."""

    def __init__(self) -> None:
        self.before: list[str] = []
        self.decoded: list[str] = []

    def encode(self, value: str, /) -> bytes:
        self.before.append(current.get())
        current.set(value)
        return value.encode()

    def decode(self, raw: bytes, /) -> str:
        self.decoded.append(current.get())
        return raw.decode()


async def test_each_call_has_a_context_of_its_own(redis: Redis, garden: Garden) -> None:
    """What a call changes in its context is there when it decodes, and neither seen by others nor by the caller."""
    codec = Leaking()
    words = RedisHash(redis, "words", str, codec=codec)
    await redis.hset("words", mapping={"a": "x", "b": "y"})
    token = current.set("outside")

    assert await garden.atomic(words.setdefault("a", "1"), words.setdefault("b", "2")) == ("x", "y")

    after = current.get()
    current.reset(token)
    assert after == "outside"
    assert codec.before == ["outside", "outside"]
    assert codec.decoded[-2:] == ["1", "2"]


# --- a wire that breaks -----------------------------------------------------------------------------

LOST = r"The reply was lost: the command may have been executed; it was not sent again"


@pytest.fixture
async def wire(proxy: Proxy, redis: Redis) -> AsyncIterator[Garden]:
    """A store behind the proxy; its server has nothing stored."""
    client = connect(proxy.url, socket_timeout=0.3)
    yield Garden(client)
    await client.aclose()


async def counted(garden: Garden) -> tuple[object, object]:
    """Two counters at one moment."""
    return await garden.atomic(garden.visits.get("gate", 0), garden.hour.get("gate", 0))


async def test_a_cut_reply_never_doubles_an_effect(wire: Garden, garden: Garden, proxy: Proxy) -> None:
    """Wherever its reply is cut, the transaction was executed once, as a whole, and the error leaves that open."""
    whole = len(b"+OK\r\n+QUEUED\r\n+QUEUED\r\n*2\r\n:1\r\n*1\r\n:1\r\n")
    for cut in range(whole):
        assert await counted(wire) == (cut, cut)
        proxy.cut_after(cut)

        with pytest.raises(ConnectionError, match=LOST) as caught:
            await wire.atomic(wire.visits.increment("gate"), wire.hour.increment("gate"))

        assert caught.value.__notes__ == ["purse: atomic() of RedisHash.increment, RedisHash.increment"]
        assert await counted(garden) == (cut + 1, cut + 1)


async def test_a_swallowed_reply_never_doubles_an_effect(wire: Garden, garden: Garden, proxy: Proxy) -> None:
    """The server executed the transaction and said so in vain: it is not sent again, though a part of it reads."""
    await counted(wire)
    proxy.swallow()

    with pytest.raises((ConnectionError, TimeoutError), match=LOST):
        await wire.atomic(wire.visits.get("gate"), wire.visits.increment("gate"), wire.hour.increment("gate"))
    proxy.heal()

    assert await counted(garden) == await counted(wire) == (1, 1)


async def test_a_transaction_of_reads_is_sent_again(wire: Garden, garden: Garden, proxy: Proxy) -> None:
    """Wherever the reply is cut, reads get their values, those that renew a clock included."""
    await garden.visits.set("gate", 1)
    await garden.seen.set("gate", 2)
    whole = len(b"+OK\r\n+QUEUED\r\n+QUEUED\r\n*2\r\n$1\r\n1\r\n*1\r\n$1\r\n2\r\n")
    for cut in range(whole):
        await wire.log.len()
        proxy.cut_after(cut)

        assert await wire.atomic(wire.visits.get("gate"), wire.seen.get("gate")) == (1, 2)


async def test_a_server_that_is_loading_is_waited_for(wire: Garden, garden: Garden, proxy: Proxy) -> None:
    """A server that answers LOADING has queued nothing: the transaction is sent again, and takes effect once."""
    loading = b"-LOADING Redis is loading the dataset in memory\r\n"
    await wire.log.len()
    proxy.answer(b"+OK\r\n" + 2 * loading + b"-EXECABORT Transaction discarded because of: LOADING\r\n", times=3)

    assert await wire.atomic(wire.visits.increment("gate"), wire.hour.increment("gate")) == (1, 1)

    assert await counted(garden) == (1, 1)
