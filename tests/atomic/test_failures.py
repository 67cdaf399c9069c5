"""A transaction that cannot be sent, that the server does not queue, or of which some calls fail."""

from __future__ import annotations

import asyncio
import inspect
import pickle
import re
from collections.abc import Awaitable, Callable
from typing import cast

import pytest
from redis.asyncio import Redis
from redis.exceptions import ExecAbortError, NoPermissionError, RedisError

from purse import AtomicFailed, RedisList, StoreClosed, WrongKind
from purse.collections.list import Side
from purse.errors import DecodeError, EncodeError
from tests.atomic.garden import Call, Garden, heard, refused, state

BAD: dict[str, tuple[type[Exception], str, Callable[[Garden], Call]]] = {
    "value": (EncodeError, r"\{atomic\}:log cannot store", lambda g: g.log.append(cast("str", 3))),
    "key": (EncodeError, r"\{atomic\}:visits cannot have the key", lambda g: g.visits.get(cast("str", 3))),
    "amount": (EncodeError, r"\{atomic\}:visits\['a'\]", lambda g: g.visits.increment("a", cast("int", "1"))),
    "bulk": (EncodeError, r"\{atomic\}:visits\['b'\]", lambda g: g.visits.update({"a": 1, "b": cast("int", "x")})),
    "collection": (TypeError, r"\{atomic\}:log: move", lambda g: g.log.move(cast("RedisList[str]", g.numbers))),
    "side": (ValueError, "'top'", lambda g: g.log.move(g.log, src=cast("Side", "top"))),
    "duration": (ValueError, "seconds must be a finite number", lambda g: g.log.expire(float("inf"))),
    "not packable": (TypeError, "", lambda g: g.log.restore(cast("bytes", object()))),
}


@pytest.mark.rows(16)
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
        "3 of 6 calls failed inside EXEC. The others were executed, and are not rolled back: see results for what each "
        f"call returned or raised. First, call 2 of atomic() (RedisHash.get): {undecodable}"
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
