"""What Store.atomic does not take: refused by name, with nothing sent."""

from __future__ import annotations

import asyncio
import inspect
import re
from collections.abc import Callable

import pytest

from purse import AtomicFailed
from tests.atomic.garden import PEA, Call, Garden, heard, nowhere, refused, state


async def own(garden: Garden) -> int:
    """A coroutine of the user's."""
    return await garden.log.append("x")


REFUSED: dict[str, tuple[str, Callable[[Garden], object]]] = {
    "own coroutine": (r"call 2 of atomic\(\) \(own\) is your own coroutine", own),
    "asyncio's": (r"call 2 of atomic\(\) \(wait_for\) is your o", lambda g: asyncio.wait_for(asyncio.Future[int](), 1)),
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


@pytest.mark.engines("shared")  # a step by hand into redis-py's own reading would confuse redis-py
async def test_what_has_begun_is_left_alone(garden: Garden) -> None:
    """A call that was begun or ended before, or runs in a task, is refused; what still runs goes on."""
    begun, ended, failed = garden.log.append("x"), garden.log.len(), garden.numbers.pop()
    await asyncio.gather(ended, failed, return_exceptions=True)
    task = asyncio.create_task(garden.visits.increment("gate"))
    begun.send(None)
    for culprit in (begun, ended, failed, task):
        error = await refused(garden, TypeError, [garden.hour.set("gate", 1), culprit])
        assert re.match(
            r"call 2 of atomic\(\) (\(RedisList\.\w+\) was already awaited|is a Task, which runs by its)", str(error)
        )

    assert state(begun) == inspect.CORO_SUSPENDED
    assert await task == 1
    begun.close()


async def test_a_call_given_twice_is_refused(garden: Garden) -> None:
    """One coroutine has one result."""
    call = garden.log.append("x")

    error = await refused(garden, TypeError, [garden.visits.increment("gate"), call, call])

    assert str(error) == "call 3 of atomic() (RedisList.append) was passed twice: call the method twice"


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
