"""A Ctrl-C, or a MemoryError, between any two lines of a link: no answer goes to another call, and the next work."""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import Coroutine, Iterator
from itertools import cycle
from types import ModuleType
from typing import Any, ClassVar

import pytest
from redis.asyncio import Redis
from redis.exceptions import RedisError

from purse import statistics
from purse._engine import adoption, dedicated, driven, gate, guard, links, opening, outbox, room, shared
from purse._engine.registry import executor_for
from purse.embedded import Server
from tests.support.clients import connect
from tests.support.interrupting import Interruption, Line
from tests.support.units import read, send, unit

MODULES: dict[str, tuple[ModuleType, ...]] = {
    "shared": (adoption, shared, outbox, gate, room, links, opening, guard),
    "driven": (driven,),
    "dedicated": (dedicated, room),
}
"""Before whose lines the exceptions come, in each mode: each line of the link's modules is met in one."""

KEYS = 9
PATIENCE = 4  # seconds after which a call counts as hanging


@pytest.fixture(autouse=True)
def narrow(monkeypatch: pytest.MonkeyPatch) -> None:
    """Limits so low that a few calls reach them, and short waits."""
    monkeypatch.setattr(shared, "IN_FLIGHT", 5)
    monkeypatch.setattr(outbox, "_CHUNK", 80)
    monkeypatch.setattr(shared, "_EARLY", 4)
    monkeypatch.setattr(shared, "_AGAIN", 0.05)
    monkeypatch.setattr(adoption, "_UNHEARD", 0.05)
    monkeypatch.setattr(dedicated, "LIMIT", 3)
    for module in (shared, dedicated):
        monkeypatch.setattr(module, "OUTBOX", 150)


class Program:
    """A program that makes calls in every way, on a loop that goes on after an exception has come out of it."""

    clients: ClassVar[list[Redis]] = []  # kept: the end of one is no moment for an exception in another program

    def __init__(self, url: str) -> None:
        self.client: Redis = connect(url, socket_timeout=1)
        self.clients.append(self.client)
        self.loop = asyncio.new_event_loop()
        self.loop.set_exception_handler(lambda loop, context: self.logged.append(str(context)))
        self.logged: list[str] = []
        self.wrong: list[object] = []
        self._tasks: list[asyncio.Task[None]] = []
        self._counted: set[int] = set()

    def work(self) -> None:
        """Calls together, alone and cancelled, a connection that is lost, and one that is closed."""
        for step in (self._together, self._alone, self._cancelled, self._lost, self._alone, self._close):
            with contextlib.suppress(RedisError):
                self.loop.run_until_complete(self._begin(step()))

    def settle(self) -> None:
        """Go on after the exception: every call comes to an end."""
        with contextlib.suppress(RuntimeError):  # asyncio stops a loop once more that was about to be stopped
            self.loop.run_until_complete(asyncio.sleep(0))
        while going := [task for task in self._tasks if not task.done()]:
            _, hanging = self.loop.run_until_complete(asyncio.wait(going, timeout=PATIENCE))
            assert not hanging, hanging
        for task in self._tasks:
            error = None if task.cancelled() else task.exception()
            assert error is None or isinstance(error, (RedisError, MemoryError, KeyboardInterrupt)), error
        self._tasks.clear()

    def go_on(self) -> None:
        """The next calls, a write and reads: all of them succeed."""
        for step in (self._count, self._together):
            self.loop.run_until_complete(asyncio.wait_for(self._begin(step()), PATIENCE))
        for task in self._tasks:
            task.result()

    def end(self) -> None:
        """End as ``asyncio.run`` does; no task is left, however long it would take to end."""
        self.loop.run_until_complete(executor_for(self.client).aclose())
        self.loop.run_until_complete(self.client.aclose())
        self.loop.run_until_complete(self.loop.shutdown_asyncgens())
        left = asyncio.all_tasks(self.loop)
        self.loop.close()
        assert not left, left
        assert statistics(self.client).connections == 0

    def _begin(self, call: Coroutine[Any, Any, None]) -> asyncio.Task[None]:
        task = self.loop.create_task(call)
        self._tasks.append(task)
        return task

    async def _together(self) -> None:
        await asyncio.wait([self._begin(self._get(n)) for n in range(KEYS)] + [self._begin(self._count())])

    async def _alone(self) -> None:
        await self._get(1)
        await self._get(2)
        await self._count()

    async def _cancelled(self) -> None:
        calls = [self._begin(self._get(n)) for n in range(KEYS)]
        for n in range(3):
            await asyncio.sleep(0)
            calls[n].cancel()
            calls[-1 - n].cancel()
        await asyncio.wait(calls)

    async def _lost(self) -> None:
        calls = [self._begin(self._get(n)) for n in range(3)]
        with contextlib.suppress(RedisError):
            await send(self.client, "CLIENT", "KILL", "TYPE", "normal", "SKIPME", "no")
        await asyncio.wait(calls)

    async def _close(self) -> None:
        await executor_for(self.client).links.aclose()

    async def _get(self, n: int) -> None:
        answer = await read(self.client, "GET", f"k{n}")
        if answer != b"%d" % n:
            self.wrong.append((n, answer))

    async def _count(self) -> None:
        before, after = await executor_for(self.client).execute(unit(("INCR", "n"), ("INCR", "n")))
        if not isinstance(before, int) or after != before + 1 or before in self._counted:
            self.wrong.append(("INCR", before, after))
        else:
            self._counted.add(before)


@pytest.fixture
def url(server: Server) -> Iterator[str]:
    """A server whose keys have values that tell which key was asked for."""

    async def fill() -> None:
        async with connect(server.url) as client:
            await client.mset({f"k{n}": n for n in range(KEYS)})

    asyncio.run(fill())
    yield server.url
    Program.clients.clear()


def run(url: str, engine: str, nth: int | None, error: type[BaseException]) -> list[Line]:
    """A program in which ``error`` comes before the nth line of the modules, and then goes on; its lines."""
    program = Program(url)
    with Interruption(MODULES[engine], nth, error) as interruption, contextlib.suppress(error):
        program.work()
    try:
        program.settle()
        program.go_on()
        program.end()
        assert program.wrong == []
        assert len(program.logged) < 5, program.logged
    except BaseException as failure:
        failure.add_note(f"{error.__name__} came before {interruption.lines[-1]}, line {nth} of the program")
        raise
    return interruption.lines


@pytest.mark.thorough
def test_an_exception_before_any_line(url: str, engine: str) -> None:
    """One comes before each line of the link's modules: every call ends, none has a wrong answer, and the next work."""
    errors = cycle([KeyboardInterrupt, MemoryError])
    met: set[Line] = set()
    for nth, line in enumerate(run(url, engine, None, next(errors))):
        if line not in met:
            met.update(run(url, engine, nth, next(errors))[nth:])
