"""RedisPriorityQueue: the lowest priority first, then first in, first out; and the bytes that make it so."""

from __future__ import annotations

import asyncio
import itertools
from enum import IntEnum
from fractions import Fraction
from typing import Any, TypeAlias
from uuid import uuid4

import pytest
from redis.asyncio import Redis

from purse._engine.replies import as_all_bytes
from purse.collections.priority_queue import RedisPriorityQueue
from purse.embedded import Server
from purse.errors import AtomicFailed, DeclarationError, DecodeError, EncodeError, WrongKind
from purse.store import Store
from purse.ttl import TTL
from tests.collections.garden import HOSTILE, Plant, shown
from tests.support.clients import connect
from tests.support.units import read

Jobs: TypeAlias = RedisPriorityQueue[str]

INF = float("inf")


class Beds(Store, namespace="priority-queue-tests"):
    """Holds nothing; its ``atomic`` is what is needed."""


class Urgency(IntEnum):
    NOW = 1
    LATER = 2


@pytest.fixture
def jobs(redis: Redis) -> Jobs:
    """An empty queue of strings."""
    return RedisPriorityQueue(redis, "jobs", str)


async def members(redis: Redis, key: str = "jobs") -> list[bytes]:
    """What is stored, in the order in which it will be taken."""
    return as_all_bytes(await read(redis, "ZRANGE", key, 0, -1))


# --- order --------------------------------------------------------------------------------------


@pytest.mark.engines("shared", "dedicated")
async def test_the_lowest_priority_comes_first(jobs: Jobs) -> None:
    """Whatever the order in which they were put; infinite ones are at the ends."""
    assert await jobs.put(("b", 2)) == 1
    assert await jobs.put_nowait(("a", 1.5)) == 1
    assert await jobs.put_many([("last", INF), ("first", -INF), ("c", 10)]) == 3

    assert await jobs.peek() == ("first", -INF)
    assert await jobs.get() == ("first", -INF)
    assert await jobs.get_nowait() == ("a", 1.5)
    assert await jobs.get_many(9) == [("b", 2), ("c", 10), ("last", INF)]


@pytest.mark.parametrize("count", [3, 499, 500, 501, 1100])
async def test_equal_priorities_are_first_in_first_out(redis: Redis, jobs: Jobs, count: int) -> None:
    """Items of one priority come out as they were put: many at once, one by one, by the same script or another."""
    first = [(f"{n}", n % 2) for n in range(count)]
    then = [(f"one {n}", n % 2) for n in range(10)]
    assert await jobs.put_many(first) == count
    for item in then:
        await jobs.put(item)
    bounded = RedisPriorityQueue(redis, "jobs", str, maxsize=5000)
    last = [(f"last {n}", n % 2) for n in range(count)]
    assert await bounded.put_many(last) == count

    expected = sorted([*first, *then, *last], key=lambda item: item[1])
    assert await jobs.get_many(5000) == expected


async def test_many_producers_at_once(redis: Redis, server: Server, jobs: Jobs) -> None:
    """Fifty producers of five clients put at once: nothing is lost, and the items of each come out in order."""
    clients = [connect(server.url) for _ in range(5)]

    async def produce(producer: int) -> None:
        queue = RedisPriorityQueue(clients[producer % 5], "jobs", str)
        for n in range(10):
            await queue.put((f"{producer} {n}", n % 2))

    await asyncio.gather(*(produce(producer) for producer in range(50)))

    taken = await jobs.get_many(1000)
    for producer, priority in itertools.product(range(50), range(2)):
        mine = [value for value, of in taken if of == priority and value.split()[0] == str(producer)]
        assert mine == [f"{producer} {n}" for n in range(10) if n % 2 == priority]
    for client in clients:
        await client.aclose()


async def test_equal_items_are_as_many_as_were_put(redis: Redis, jobs: Jobs) -> None:
    """The same value with the same and with another priority, in one script and in several: none replaces another."""
    await jobs.put_many([("a", 1), ("a", 1), ("a", 2), ("a", 0.0), ("a", -0.0)])
    await asyncio.gather(*(jobs.put(("a", priority)) for priority in (1, 2) for _ in range(20)))

    assert await jobs.get_many(100) == [("a", 0)] * 2 + [("a", 1)] * 22 + [("a", 2)] * 21


# --- the bytes in front -------------------------------------------------------------------------


async def test_the_36_bytes_are_drawn_as_they_are(redis: Redis, jobs: Jobs) -> None:
    """A tilde, the priority's bits, a number of nineteen digits, and what the codec wrote."""
    await jobs.put(("spinach", 10))

    (member,) = await members(redis)

    assert member[:17] == b"~4024000000000000"
    assert member[17:36].isdigit()
    assert member[36:] == b"spinach"
    seconds, microseconds = as_all_bytes(await read(redis, "TIME"))
    assert 0 <= int(seconds) * 10**6 + int(microseconds) - int(member[17:36]) < 60 * 10**6


@pytest.mark.parametrize("priority", [1, -2.5, 0.1, 1e300, -INF])
async def test_a_clock_that_was_set_back_changes_no_order(redis: Redis, jobs: Jobs, priority: float) -> None:
    """Where the number of the last item is beyond the server's clock, the next ones count on from there."""
    await jobs.put(("before", priority))
    (member,) = await members(redis)
    tomorrow = int(member[17:36]) + 86400 * 10**6
    await redis.delete("jobs")
    await redis.zadd("jobs", {member[:17] + b"%019d" % tomorrow + b"from tomorrow": priority})

    await jobs.put(("one", priority))
    await jobs.put_many([("two", priority), ("other", 5), ("three", priority)])

    mine = [member for member in await members(redis) if not member.endswith(b"other")]
    assert [int(member[17:36]) - tomorrow for member in mine] == [0, 1, 2, 3]
    assert [member[36:] for member in mine] == [b"from tomorrow", b"one", b"two", b"three"]


async def test_an_item_that_goes_back_goes_before_those_put_meanwhile(redis: Redis, jobs: Jobs) -> None:
    """Bytes that do not decode among many: the others are where they were, though the queue was filled again."""
    numbers = RedisPriorityQueue(redis, "jobs", int)
    await jobs.put_many([("1", 1), ("2", 1), ("x", 1), ("3", 1)])

    calls = (numbers.get_many(9), jobs.put(("4", 1)), jobs.put(("0", 0)))
    error, *_ = await asyncio.gather(*calls, return_exceptions=True)

    assert isinstance(error, DecodeError)
    assert error.raw == b"x"
    assert await numbers.get_many(9) == [(0, 0), (1, 1), (2, 1), (3, 1), (4, 1)]


async def test_2_x_and_3_x_read_each_other(redis: Redis, jobs: Jobs) -> None:
    """2.x cuts 36 bytes off, and so do we; at equal priority its items come first."""
    await jobs.put(("ours", 1))
    await redis.zadd("jobs", {f"{uuid4()}theirs": 1, f"{uuid4()}later": 2})
    await jobs.put(("ours too", 1))

    assert [member[36:] for member in await members(redis)] == [b"theirs", b"ours", b"ours too", b"later"]
    assert await jobs.get_many(9) == [("theirs", 1), ("ours", 1), ("ours too", 1), ("later", 2)]


async def test_a_member_that_no_queue_has_put(redis: Redis, jobs: Jobs) -> None:
    """A member shorter than what a queue puts in front is an error that carries it, also where any text is valid."""
    await redis.zadd("jobs", {"short": 1})
    with pytest.raises(DecodeError, match=r"without the 36 bytes.*not changed") as seen:
        await jobs.peek()
    with pytest.raises(DecodeError, match=r"without the 36 bytes.*removed") as taken:
        await jobs.get()

    assert (seen.value.raw, taken.value.raw, taken.value.key) == (b"short", b"short", "jobs")
    assert await jobs.empty()


# --- values and priorities ----------------------------------------------------------------------


@pytest.mark.rows(4)
@pytest.mark.parametrize("text", HOSTILE, ids=shown)
async def test_hostile_keys_and_values(redis: Redis, text: str) -> None:
    """Any text is a key and a value like any other."""
    queue = RedisPriorityQueue(redis, text, str)
    await queue.put_many([(text, 1), (text, 1)])

    assert await queue.peek() == (text, 1)
    assert await queue.get() == (text, 1)
    assert await queue.get_many(2) == [(text, 1)]


@pytest.mark.parametrize(
    ("value_type", "value"),
    [
        (bytes, b"\xff\x00"),
        (int, 2**70),
        (Plant, Plant(name="spinach", healthiness=9.8)),
        (Plant | None, None),
        (dict[str, int], {"a": 1}),
    ],
    ids=shown,
)
async def test_what_is_put_comes_back(redis: Redis, value_type: Any, value: object) -> None:
    """Values of any type come back equal."""
    queue: RedisPriorityQueue[Any] = RedisPriorityQueue(redis, "jobs", value_type)
    await queue.put((value, 1))

    assert await queue.peek() == (value, 1)
    assert await queue.get() == (value, 1)


@pytest.mark.parametrize(
    "priority", [0, -0.0, 3, Urgency.LATER, True, 0.1, 5e-324, -1.7976931348623157e308, 2**53, INF]
)
async def test_a_priority_comes_back_as_an_equal_float(jobs: Jobs, priority: float) -> None:
    """Ints, floats, infinite ones and members of an IntEnum."""
    await jobs.put(("a", priority))

    _, back = await jobs.get()

    assert type(back) is float
    assert back == priority


@pytest.mark.parametrize("priority", [float("nan"), 2**53 + 1, 10**400, "1", None, 1j, Fraction(1, 2)], ids=repr)
async def test_a_priority_that_cannot_be_kept_is_refused(priority: Any) -> None:
    """nan has no place in an order, and what a float does not hold exactly would come back changed."""
    queue = RedisPriorityQueue(Redis(port=1), "jobs", str)
    for call in (queue.put(("a", priority)), queue.put_many([("a", 1), ("b", priority)])):
        with pytest.raises(EncodeError, match=r"^jobs: a priority must be"):
            await call


@pytest.mark.parametrize("item", ["ab", ("a",), ("a", 1, 2), ["a", 1]], ids=repr)
async def test_an_item_that_is_no_pair_is_refused(item: Any) -> None:
    """Nothing is sent of it, nor of the items beside it."""
    queue = RedisPriorityQueue(Redis(port=1), "jobs", str)
    for call in (queue.put(item), queue.put_many([("a", 1), item])):
        with pytest.raises(EncodeError, match=r"^jobs: an item must be a tuple \(value, priority\)"):
            await call


async def test_a_value_that_does_not_encode_is_refused() -> None:
    """The error names its place among many."""
    queue: RedisPriorityQueue[Any] = RedisPriorityQueue(Redis(port=1), "jobs", int)
    with pytest.raises(EncodeError, match=r"^jobs cannot store"):
        await queue.put(("x", 1))
    with pytest.raises(EncodeError, match=r"^jobs\[1\]"):
        await queue.put_many([(1, 1), ("x", 1)])


# --- sizes, errors, clients ---------------------------------------------------------------------


async def test_an_empty_queue(jobs: Jobs) -> None:
    """Taking from it and looking into it raise what asyncio's queues raise."""
    for call in (jobs.get_nowait(), jobs.peek(), jobs.get(timeout=0.01)):
        with pytest.raises(asyncio.QueueEmpty, match="jobs"):
            await call
    assert await jobs.get_many(2) == []
    assert await jobs.put_many([]) == 0
    assert (await jobs.qsize(), await jobs.empty(), await jobs.full()) == (0, True, False)


async def test_a_full_queue(redis: Redis) -> None:
    """With ``maxsize`` a queue takes no more than that, and nothing of what does not fit as a whole."""
    queue = RedisPriorityQueue(redis, "jobs", int, maxsize=3)
    assert await queue.put_many([(1, 1), (2, 2)]) == 2
    with pytest.raises(asyncio.QueueFull, match=r"jobs: .*maxsize=3"):
        await queue.put_many_nowait([(3, 3), (4, 4)])
    assert await queue.put((0, 0)) == 1
    assert await queue.full()
    with pytest.raises(asyncio.QueueFull):
        await queue.put_nowait((4, 4))
    with pytest.raises(ValueError, match="never fit"):
        await queue.put_many([(n, n) for n in range(4)])

    assert await queue.get_many(9) == [(0, 0), (1, 1), (2, 2)]
    assert await queue.clear() == 0


async def test_wrong_declarations() -> None:
    """A negative ``maxsize`` and a TTL per item are refused."""
    with pytest.raises(DeclarationError, match="maxsize="):
        RedisPriorityQueue(Redis(), "jobs", str, maxsize=-1)
    with pytest.raises(DeclarationError, match="per item"):
        RedisPriorityQueue(Redis(), "jobs", str, ttl=TTL(hours=1, per_item=True))


async def test_a_key_of_another_type_is_left_alone(redis: Redis, jobs: Jobs) -> None:
    """The error says what the key does not hold."""
    await redis.set("jobs", "text")
    for call in (jobs.put(("a", 1)), jobs.get(), jobs.get_nowait(), jobs.peek()):
        with pytest.raises(WrongKind, match="sorted set"):
            await call
    assert await redis.get("jobs") == b"text"


@pytest.mark.parametrize("decode_responses", [False, True])
@pytest.mark.parametrize("protocol", [2, 3])
@pytest.mark.parametrize("ttl", [None, TTL(hours=1)], ids=["no policy", "policy"])
async def test_every_kind_of_client(
    redis: Redis, server: Server, decode_responses: bool, protocol: int, ttl: TTL | None
) -> None:
    """Replies differ in shape; what is returned does not."""
    client = connect(server.url, decode_responses=decode_responses, protocol=protocol)
    queue = RedisPriorityQueue(client, "jobs", bytes, ttl=ttl)
    await queue.put_many([(b"\xff", -0.1), (b"b", 1), (b"c", 1e22), (b"d", INF)])

    assert await queue.peek() == (b"\xff", -0.1)
    assert await queue.get() == (b"\xff", -0.1)
    assert await queue.get_nowait() == (b"b", 1)
    assert await queue.get_many(5) == [(b"c", 1e22), (b"d", INF)]
    assert await queue.get_many(5) == []
    with pytest.raises(asyncio.QueueEmpty):
        await queue.get_nowait()


async def test_calls_in_a_transaction(redis: Redis, jobs: Jobs) -> None:
    """Calls that do not wait can be part of one; what raises alone is the cause of AtomicFailed."""
    results = await Beds(redis).atomic(
        jobs.put(("a", 1)), jobs.put_many([("b", 1), ("c", 0)]), jobs.get_nowait(), jobs.peek(), jobs.qsize()
    )
    assert [*results] == [1, 2, ("c", 0), ("a", 1), 2]

    with pytest.raises(AtomicFailed) as full:
        await Beds(redis).atomic(RedisPriorityQueue(redis, "jobs", str, maxsize=2).put_nowait(("d", 1)), jobs.qsize())
    assert isinstance(full.value.__cause__, asyncio.QueueFull)
