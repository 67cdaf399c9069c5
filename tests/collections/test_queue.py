"""RedisQueue and RedisLifoQueue: what each method does, on a queue that nobody has to wait for."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Coroutine
from datetime import timedelta
from typing import Any, TypeAlias

import pytest
from redis.asyncio import Redis

from purse.collections.queue import RedisLifoQueue, RedisQueue
from purse.embedded import Server
from purse.errors import AtomicFailed, DeclarationError, DecodeError, EncodeError, WrongKind
from purse.store import Store
from purse.ttl import TTL
from tests.collections.garden import HOSTILE, Plant, shown
from tests.support.clients import connect

Kind: TypeAlias = type[RedisQueue[Any]] | type[RedisLifoQueue[Any]]

both = pytest.mark.parametrize("kind", [RedisQueue, RedisLifoQueue])


class Beds(Store, namespace="queue-tests"):
    """Holds nothing; its ``atomic`` is what is needed."""


# --- order --------------------------------------------------------------------------------------


@pytest.mark.engines("shared", "dedicated")
async def test_first_in_first_out(redis: Redis) -> None:
    """A queue gives items back in the order in which they were put, one by one or many at once."""
    queue = RedisQueue(redis, "queue", str)
    assert await queue.put("a") == 1
    assert await queue.put_many(["b", "c"]) == 3
    assert await queue.put_nowait("d") == 4

    assert await queue.get() == "a"
    assert await queue.get_nowait() == "b"
    assert await queue.get_many(5) == ["c", "d"]


@pytest.mark.engines("shared", "dedicated")
async def test_last_in_first_out(redis: Redis) -> None:
    """A stack gives back first what was put last."""
    stack = RedisLifoQueue(redis, "stack", str)
    assert await stack.put("a") == 1
    assert await stack.put_many(["b", "c"]) == 3
    assert await stack.put_nowait("d") == 4

    assert await stack.get() == "d"
    assert await stack.get_nowait() == "c"
    assert await stack.get_many(5) == ["b", "a"]


async def test_the_layout_is_that_of_2_x(redis: Redis) -> None:
    """Both take at the tail of a list; a queue puts at its head, a stack at its tail; items are stored as they are."""
    await RedisQueue(redis, "queue", str).put_many(["a", "b"])
    await RedisLifoQueue(redis, "stack", str).put_many(["a", "b"])

    assert await redis.lrange("queue", 0, -1) == [b"b", b"a"]
    assert await redis.lrange("stack", 0, -1) == [b"a", b"b"]

    await redis.lpush("queue", "from 2.x")
    assert await redis.brpop(["queue"], timeout=1) == (b"queue", b"a")
    assert await RedisQueue(redis, "queue", str).get_many(2) == ["b", "from 2.x"]


@both
@pytest.mark.parametrize("count", [499, 500, 501, 1001])
async def test_many_items_keep_their_order(redis: Redis, kind: Kind, count: int) -> None:
    """Items that go out in several commands are one sequence."""
    queue = kind(redis, "queue", int)
    assert await queue.put_many(range(count)) == count
    assert await kind(redis, "bounded", int, maxsize=count).put_many(range(count)) == count

    expected = [*range(count)] if kind is RedisQueue else [*reversed(range(count))]
    assert await queue.get_many(count) == expected
    assert await kind(redis, "bounded", int).get_many(count + 1) == expected


# --- values -------------------------------------------------------------------------------------


@pytest.mark.rows(6)
@both
@pytest.mark.parametrize("text", HOSTILE, ids=shown)
async def test_hostile_keys_and_items(redis: Redis, kind: Kind, text: str) -> None:
    """Any text is a key and an item like any other."""
    queue = kind(redis, text, str)
    await queue.put(text)
    await queue.put_many([text])

    assert await queue.peek() == text
    assert await queue.get() == text
    assert await queue.get_many(2) == [text]


@pytest.mark.rows(6)
@both
@pytest.mark.parametrize(
    ("value_type", "value"),
    [
        (bytes, b"\xff\x00"),
        (int, 2**70),
        (float, 0.1),
        (Plant, Plant(name="spinach", healthiness=9.8)),
        (Plant | None, None),
        (dict[str, int], {"a": 1}),
        (list[Plant], [Plant(name="pea")]),
    ],
    ids=shown,
)
async def test_what_is_put_comes_back(redis: Redis, kind: Kind, value_type: Any, value: object) -> None:
    """Values of any type come back equal, None too."""
    queue = kind(redis, "queue", value_type)
    await queue.put(value)
    await queue.put_many([value])

    assert await queue.peek() == value
    assert await queue.get() == value
    assert await queue.get_nowait() == value


@pytest.mark.rows(2)
@pytest.mark.parametrize("decode_responses", [False, True])
@pytest.mark.parametrize("protocol", [2, 3])
@pytest.mark.parametrize("ttl", [None, TTL(hours=1)], ids=["no policy", "policy"])
async def test_every_kind_of_client(
    redis: Redis, server: Server, decode_responses: bool, protocol: int, ttl: TTL | None
) -> None:
    """How the client speaks with the server makes no difference."""
    client = connect(server.url, decode_responses=decode_responses, protocol=protocol)
    queue = RedisQueue(client, "queue", bytes, ttl=ttl)
    await queue.put_many([b"\xff", b"b", b"c", b"d"])

    assert await queue.get() == b"\xff"
    assert await queue.peek() == b"b"
    assert await queue.get_nowait() == b"b"
    assert await queue.get_many(5) == [b"c", b"d"]
    assert await queue.get_many(5) == []
    with pytest.raises(asyncio.QueueEmpty):
        await queue.get_nowait()
    with pytest.raises(asyncio.QueueEmpty):
        await queue.peek()
    with pytest.raises(asyncio.QueueEmpty):
        await queue.get(timeout=0.01)


# --- sizes --------------------------------------------------------------------------------------


@both
async def test_an_empty_queue(redis: Redis, kind: Kind) -> None:
    """Taking from it and looking into it raise what asyncio's queues raise, and name the key."""
    queue = kind(redis, "queue", str)
    for call in (queue.get_nowait(), queue.peek(), queue.get(timeout=0.01), queue.get(timeout=timedelta(0, 0, 1))):
        with pytest.raises(asyncio.QueueEmpty, match="queue"):
            await call

    assert await queue.qsize() == 0
    assert await queue.empty() is True
    assert await queue.get_many(3) == []
    assert await queue.clear() == 0


@both
async def test_nothing_to_do_sends_nothing(kind: Kind) -> None:
    """No items, or none wanted: there is not even a server."""
    nowhere = Redis(port=1)
    for queue in (kind(nowhere, "queue", str), kind(nowhere, "queue", str, maxsize=1)):
        assert await queue.put_many([]) == 0
        assert await queue.put_many_nowait([]) == 0
        assert await queue.get_many(0) == []
    assert await kind(nowhere, "queue", str).full() is False


@both
async def test_a_full_queue(redis: Redis, kind: Kind) -> None:
    """With ``maxsize`` a queue takes no more than that: ``put_nowait`` raises QueueFull, and nothing was put."""
    queue = kind(redis, "queue", int, maxsize=3)
    assert queue.maxsize == 3
    assert await queue.put_many([1, 2]) == 2
    assert await queue.full() is False
    with pytest.raises(asyncio.QueueFull, match=r"queue: .*maxsize=3"):
        await queue.put_many_nowait([3, 4])
    assert await queue.put_nowait(3) == 3
    assert await queue.full() is True
    with pytest.raises(asyncio.QueueFull):
        await queue.put_nowait(4)

    assert sorted(await queue.get_many(9)) == [1, 2, 3]
    assert await queue.put(4) == 1


@both
async def test_more_than_will_ever_fit(redis: Redis, kind: Kind) -> None:
    """More items at once than ``maxsize`` would wait for ever: that is a ValueError, and nothing was put."""
    queue = kind(redis, "queue", int, maxsize=2)
    for call in (queue.put_many([1, 2, 3]), queue.put_many_nowait([1, 2, 3])):
        with pytest.raises(ValueError, match="never fit"):
            await call
    assert await queue.put_many(n for n in [1, 2]) == 2


@both
async def test_what_2_x_put_counts(redis: Redis, kind: Kind) -> None:
    """A queue that others have filled beyond ``maxsize`` is full, and can be emptied."""
    await redis.rpush("queue", 1, 2, 3)
    queue = kind(redis, "queue", int, maxsize=2)
    assert await queue.full()
    with pytest.raises(asyncio.QueueFull):
        await queue.put_nowait(4)
    assert await queue.get_many(5) == [3, 2, 1]


# --- misuse -------------------------------------------------------------------------------------


@both
@pytest.mark.parametrize("maxsize", [-1, 1.0, True, None, 2**31])
async def test_a_wrong_maxsize(kind: Kind, maxsize: Any) -> None:
    """``maxsize`` is an int of at least 0."""
    with pytest.raises(DeclarationError, match="maxsize="):
        kind(Redis(), "queue", str, maxsize=maxsize)


@both
async def test_wrong_arguments(kind: Kind) -> None:
    """Negative counts and timeouts are refused; a queue has no TTL per item."""
    queue = kind(Redis(port=1), "queue", str)
    with pytest.raises(ValueError, match="count= must be 0 or more"):
        await queue.get_many(-1)
    for timeout in (-1, timedelta(seconds=-1), float("nan")):
        with pytest.raises(ValueError, match="timeout="):
            await queue.get(timeout)
    with pytest.raises(DeclarationError, match="per item"):
        kind(Redis(), "queue", str, ttl=TTL(hours=1, per_item=True))


@both
@pytest.mark.parametrize("maxsize", [0, 5])
async def test_what_does_not_encode(kind: Kind, maxsize: int) -> None:
    """A value of another type is refused before anything is sent, and the error names its place among many."""
    queue = kind(Redis(port=1), "queue", int, maxsize=maxsize)
    wrong: Any = "x"
    for call in (queue.put(wrong), queue.put_nowait(wrong)):
        with pytest.raises(EncodeError, match=r"^queue cannot store") as error:
            await call
        assert error.value.field is None
    for call in (queue.put_many([1, wrong]), queue.put_many_nowait([1, wrong])):
        with pytest.raises(EncodeError, match=r"^queue\[1\]"):
            await call


# --- bad data -----------------------------------------------------------------------------------

TAKES: dict[str, Callable[[RedisQueue[int]], Coroutine[Any, Any, object]]] = {
    "get": lambda q: q.get(),
    "get with a timeout": lambda q: q.get(5),
    "get_nowait": lambda q: q.get_nowait(),
    "get_many": lambda q: q.get_many(1),
    "async for": lambda q: anext(q),
}


@pytest.mark.parametrize("take", TAKES.values(), ids=TAKES.keys())
async def test_taken_bytes_that_are_no_item_are_in_the_error(
    redis: Redis, take: Callable[[RedisQueue[int]], Coroutine[Any, Any, object]]
) -> None:
    """Bytes that do not decode leave the queue, so that it goes on; the error carries them."""
    await redis.lpush("queue", b"\xffx", "2")
    queue = RedisQueue(redis, "queue", int)

    with pytest.raises(DecodeError, match=r"^queue does not hold .* It was removed") as error:
        await take(queue)

    assert (error.value.key, error.value.raw) == ("queue", b"\xffx")
    assert await queue.get() == 2


async def test_peeking_leaves_bad_bytes_alone(redis: Redis) -> None:
    """``peek`` of bytes that do not decode raises, and they stay."""
    await redis.lpush("queue", "x")

    with pytest.raises(DecodeError) as error:
        await RedisQueue(redis, "queue", int).peek()

    assert error.value.raw == b"x"
    assert await redis.lrange("queue", 0, -1) == [b"x"]


@both
async def test_one_bad_item_among_many_costs_no_other(redis: Redis, kind: Kind) -> None:
    """``get_many`` that meets bytes that do not decode carries them in its error and puts the others back in front."""
    await redis.rpush("queue", "9", "5", "4", "x", "2", "1")
    queue = kind(redis, "queue", int)

    with pytest.raises(DecodeError) as error:
        await queue.get_many(5)

    assert error.value.raw == b"x"
    assert await queue.get_many(9) == [1, 2, 4, 5, 9]


@both
async def test_a_key_of_another_type_is_left_alone(redis: Redis, kind: Kind) -> None:
    """Whoever waits, waits no longer, and is told what is wrong with the key."""
    queue = kind(redis, "queue", int)
    waiting = [asyncio.create_task(queue.get()) for _ in range(3)]
    await asyncio.sleep(0)
    await redis.set("queue", "text")

    outcomes = await asyncio.gather(*waiting, return_exceptions=True)

    assert all(isinstance(outcome, WrongKind) and outcome.key == "queue" for outcome in outcomes)
    assert await redis.get("queue") == b"text"


# --- atomic -------------------------------------------------------------------------------------


@both
async def test_calls_that_do_not_wait_can_be_part_of_a_transaction(redis: Redis, kind: Kind) -> None:
    """``put`` without a ``maxsize``, the calls without waiting, and the looks."""
    queue, bounded = kind(redis, "queue", int), kind(redis, "bounded", int, maxsize=2)

    results = await Beds(redis).atomic(
        queue.put(1),
        queue.put_many([2, 3]),
        bounded.put_nowait(7),
        bounded.put_many_nowait([]),
        queue.get_nowait(),
        queue.peek(),
        queue.qsize(),
        queue.full(),
    )

    taken, following = (1, 2) if kind is RedisQueue else (3, 2)
    assert results == (1, 3, 1, 0, taken, following, 2, False)


async def test_a_full_or_empty_queue_fails_its_transaction(redis: Redis) -> None:
    """What raises alone is the cause of AtomicFailed."""
    bounded = RedisQueue(redis, "bounded", int, maxsize=1)
    await bounded.put(1)

    with pytest.raises(AtomicFailed) as full:
        await Beds(redis).atomic(bounded.put_nowait(2), bounded.qsize())
    with pytest.raises(AtomicFailed) as empty:
        await Beds(redis).atomic(RedisQueue(redis, "none", int).get_nowait())

    assert isinstance(full.value.__cause__, asyncio.QueueFull)
    assert isinstance(empty.value.__cause__, asyncio.QueueEmpty)


async def test_calls_that_wait_cannot(redis: Redis) -> None:
    """They say so, and nothing is sent."""
    bounded = RedisQueue(redis, "queue", int, maxsize=2)
    calls: dict[str, Callable[[], Coroutine[Any, Any, object]]] = {
        "get": lambda: bounded.get(),
        "put": lambda: bounded.put(1),
        "put_many": lambda: bounded.put_many([1]),
        "get_many": lambda: bounded.get_many(2),
    }
    for name, call in calls.items():
        with pytest.raises(TypeError, match=rf"{name}\(\) .* atomic"):
            await Beds(redis).atomic(call())
    assert await redis.exists("queue") == 0
