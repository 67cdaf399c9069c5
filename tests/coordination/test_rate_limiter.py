"""RedisRateLimiter: never more than the limit by the server's clock, and never less than what is promised."""

from __future__ import annotations

import asyncio
import os
import random
from collections.abc import AsyncIterator
from datetime import timedelta
from enum import Enum
from typing import Any, cast
from uuid import UUID

import anyio
import pytest
from redis.asyncio import Redis

from purse import limits
from purse.embedded import Server
from purse.errors import DeclarationError, EncodeError, WrongKind
from purse.limits import Rate, RateLimit, RedisRateLimiter
from tests.support.clients import all_keys, command, connect
from tests.support.monitor import Monitor
from tests.support.polling import until
from tests.support.proxy import Proxy

both = pytest.mark.parametrize("algorithm", ["gcra", "sliding_window"])
SECOND = 1_000_000  # microseconds
LONG = os.environ.get("PURSE_HYPOTHESIS") == "long"


# --- declaring ----------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("text", "count", "per"),
    [
        ("10/second", 10, timedelta(seconds=1)),
        ("100/minute", 100, timedelta(minutes=1)),
        ("5/10 seconds", 5, timedelta(seconds=10)),
        ("1000/hour", 1000, timedelta(hours=1)),
        ("1/day", 1, timedelta(days=1)),
        ("3/1 minute", 3, timedelta(minutes=1)),
        ("1000000000/second", 10**9, timedelta(seconds=1)),
    ],
)
async def test_rates_are_read_as_they_are_written(redis: Redis, text: str, count: int, per: timedelta) -> None:
    """A count, a slash, and a unit of time or several of them."""
    assert RedisRateLimiter(redis, "api", rate=text).rate == Rate(count, per) == Rate.parse(text)


NO_RATES: list[Any] = [
    *("", "10", "10/", "/second", "10 / second", "10/seconds", "10/0 seconds", "0/second", "-1/second", "1.5/second"),
    *("10/second ", "10/Second", "10/sec", "10 per second", "010/second", "\u0661/second", "10/1.5 seconds"),
    *("9999999999/day", "1/9999 days", 10, 10.0, None, (10, 1), b"10/second"),
]


@pytest.mark.parametrize("rate", NO_RATES)
async def test_what_is_no_rate_is_refused(redis: Redis, rate: Any) -> None:
    """The message names the key and has examples."""
    with pytest.raises(DeclarationError, match="api: rate="):
        RedisRateLimiter(redis, "api", rate=rate)


async def test_other_options_that_make_no_sense_are_refused(redis: Redis) -> None:
    """Each says what to write instead; a TTL or a codec is not even an argument."""
    make: Any = RedisRateLimiter
    senseless: list[tuple[dict[str, object], str]] = [
        ({"algorithm": "leaky"}, '"gcra" or "sliding_window"'),
        ({"burst": 0}, "burst= must be an int"),
        ({"burst": True}, "burst= must be an int"),
        ({"burst": 5, "algorithm": "sliding_window"}, "has no burst="),
        ({"rate": "2000000/day", "algorithm": "sliding_window"}, "at most 1000000"),
        ({"rate": "1/3000 days", "burst": 1000}, "ten years"),
    ]
    for options, words in senseless:
        with pytest.raises(DeclarationError, match=words):
            make(redis, "api", **{"rate": "10/second", **options})
    for option in ("ttl", "codec"):
        with pytest.raises(TypeError, match="unexpected keyword"):
            make(redis, "api", rate="10/second", **{option: None})
    for count, per in ((0, timedelta(1)), (True, timedelta(1)), (1, 1.0), (1, timedelta(0)), (1, timedelta(9999))):
        with pytest.raises(DeclarationError):
            Rate(count, cast("timedelta", per))


# --- hitting ------------------------------------------------------------------------------------


@both
async def test_a_limit_is_used_up_and_refused(redis: Redis, algorithm: Any) -> None:
    """Each hit takes one; when none remains a hit is refused, says when to come again, and costs nothing."""
    limiter = RedisRateLimiter(redis, "api", rate="3/hour", algorithm=algorithm)

    answers = [await limiter.hit("ada") for _ in range(5)]

    assert [(bool(answer), answer.remaining) for answer in answers] == [
        (True, 2),
        (True, 1),
        (True, 0),
        (False, 0),
        (False, 0),
    ]
    assert all(answer.limit == 3 for answer in answers)
    assert [answer.retry_after for answer in answers[:3]] == [0.0] * 3
    whole, part = (3600, 1200) if algorithm == "gcra" else (3600, 3600)
    assert part - 60 < answers[3].retry_after <= part
    assert whole - 60 < answers[3].reset_after <= whole
    assert await limiter.hit("bob") == RateLimit(True, 2, 3, 0.0, whole / 3 if algorithm == "gcra" else whole)


@both
async def test_a_look_costs_nothing(redis: Redis, algorithm: Any) -> None:
    """``peek`` tells what a hit would get, writes nothing, and is sent as a read."""
    limiter = RedisRateLimiter(redis, "api", rate="3/hour", algorithm=algorithm)
    assert await limiter.peek() == RateLimit(True, 3, 3, 0.0, 0.0)
    assert await all_keys(redis) == []

    await limiter.hit(cost=2)

    assert [(await limiter.peek()).remaining for _ in range(3)] == [1, 1, 1]
    assert (await limiter.peek()).allowed
    refused = await limiter.peek(cost=2)
    assert not refused.allowed
    assert refused.retry_after > 0
    assert refused.remaining == 1


@both
async def test_forgetting_starts_again(redis: Redis, algorithm: Any) -> None:
    """``reset`` forgets one identity, and tells whether there was anything."""
    limiter = RedisRateLimiter(redis, "api", rate="3/hour", algorithm=algorithm)
    await limiter.hit("ada", cost=3)
    await limiter.hit("bob", cost=3)

    assert await limiter.reset("ada") is True
    assert await limiter.reset("ada") is False

    assert (await limiter.hit("ada", cost=3)).allowed
    assert not (await limiter.hit("bob")).allowed


@both
async def test_what_can_never_pass_is_an_error(redis: Redis, algorithm: Any) -> None:
    """A cost above the limit or below 1, or of another type, is refused before anything is sent."""
    limiter = RedisRateLimiter(redis, "api", rate="3/hour", algorithm=algorithm)
    for call in (limiter.hit, limiter.peek, limiter.wait):
        for cost in (4, 0, -1):
            with pytest.raises(ValueError, match="can never pass"):
                await call("ada", cost=cost)
        others: list[Any] = [1.0, True, "1"]
        for other in others:
            with pytest.raises(TypeError, match="cost= must be an int"):
                await call("ada", cost=other)
    assert await all_keys(redis) == []


class Colour(str, Enum):  # noqa: UP042 - the older way, whose f-string is "Colour.RED"
    RED = "red"


async def test_no_two_identities_share_a_key(redis: Redis) -> None:
    """A str, an int and a UUID that print alike are counted by themselves, and none is the limiter itself."""
    limiter = RedisRateLimiter(redis, "api", rate="1/hour")
    uuid = UUID(int=42)
    identities: list[str | int | UUID] = [
        "",
        "ada",
        "42",
        42,
        -42,
        uuid,
        str(uuid),
        "#42",
        "##42",
        "#",
        ":",
        "a:b",
        "a b\n{}*",
        "é",
    ]

    for identity in identities:
        assert (await limiter.hit(identity)).allowed, identity

    keys = await all_keys(redis)
    assert len(keys) == len(identities)
    assert {b"api", b"api:ada", b"api:42", b"api:#42", b"api:##42", b"api:#" + str(uuid).encode()} < {*keys}
    assert (await limiter.hit("red")).allowed
    assert not (await limiter.hit(Colour.RED)).allowed


async def test_other_identities_are_refused(redis: Redis) -> None:
    """The message names the limiter."""
    limiter = RedisRateLimiter(redis, "api", rate="1/hour")
    for identity in (True, 1.0, b"ada", ("ada",)):
        with pytest.raises(TypeError, match="api: an identity must be a str, an int or a UUID"):
            await limiter.hit(cast("str", identity))
    with pytest.raises(EncodeError, match="api: the identity"):
        await limiter.hit("\ud800")


@both
async def test_each_call_is_one_script(redis: Redis, server: Server, algorithm: Any) -> None:
    """One round trip, whatever the outcome."""
    limiter = RedisRateLimiter(redis, "{shop}:api", rate="1/hour", algorithm=algorithm)
    name = "rate_gcra" if algorithm == "gcra" else "rate_window"
    await limiter.peek()
    assert server.port is not None
    async with Monitor(server.port) as monitor:
        await limiter.hit("ada")
        await limiter.hit("ada")
        await limiter.peek("ada")
        await limiter.reset("ada")

        sent = await monitor.commands()

    assert [words[:2] + words[3:4] for words in sent] == [("EVALSHA", name, "{shop}:api:ada")] * 3 + [
        ("UNLINK", "{shop}:api:ada")
    ]


@both
async def test_foreign_values_are_left_alone(redis: Redis, algorithm: Any) -> None:
    """A key that holds something else, or the state of the other algorithm, is refused by name and stays."""
    limiter = RedisRateLimiter(redis, "api", rate="1/hour", algorithm=algorithm)
    other = RedisRateLimiter(redis, "api", rate="1/hour", algorithm="gcra" if algorithm != "gcra" else "sliding_window")
    await redis.set("api:text", "precious")
    await redis.rpush("api:list", "precious", "things")
    await redis.hset("api:hash", "a", "b")
    await other.hit("other")
    before = [await redis.dump(key) for key in await all_keys(redis)]

    for identity in ("text", "list", "hash", "other"):
        for call in (limiter.hit, limiter.peek):
            with pytest.raises(WrongKind, match=f"api.*{identity}.*did not change it") as caught:
                await call(identity)
            assert caught.value.key == f"api:{identity}"

    assert [await redis.dump(key) for key in await all_keys(redis)] == before


@both
async def test_idle_keys_expire(redis: Redis, algorithm: Any) -> None:
    """A key lives about as long as it says something, and a second more."""
    limiter = RedisRateLimiter(redis, "api", rate="4/8 seconds", algorithm=algorithm)
    await limiter.hit("ada")
    assert 1000 < await redis.pttl("api:ada") <= (3000 if algorithm == "gcra" else 9000)
    quick = RedisRateLimiter(redis, "quick", rate="1/second", algorithm=algorithm)
    await quick.hit()
    await redis.pexpire("quick", 1)  # what the server does after a second more

    await until(lambda: redis.exists("quick"), 0)

    assert (await quick.hit()).allowed


@pytest.mark.thorough
async def test_the_log_is_small_and_goes_away(redis: Redis) -> None:
    """A hit takes about 11 bytes of a sliding window, and what is too old is cut off, however much it is."""
    limiter = RedisRateLimiter(redis, "api", rate="100000/second", algorithm="sliding_window")
    assert (await limiter.hit(cost=100_000)).remaining == 0

    assert cast("int", await command(redis, "MEMORY", "USAGE", "api", "SAMPLES", 0)) < 13 * 100_000
    answer = await limiter.wait(cost=2)

    assert answer.remaining == 100_000 - 2
    assert await redis.llen("api") == 2


@pytest.mark.parametrize("protocol", [2, 3])
async def test_either_protocol(server: Server, redis: Redis, protocol: int) -> None:
    """RESP2 and RESP3 say the same."""
    client = connect(server.url, protocol=protocol, decode_responses=True)
    limiter = RedisRateLimiter(client, "api", rate="2/hour")
    assert [(await limiter.hit()).allowed for _ in range(3)] == [True, True, False]


# --- many at once -------------------------------------------------------------------------------


@pytest.fixture
async def clients(redis: Redis, server: Server) -> AsyncIterator[list[Redis]]:
    """Five clients, each with a connection of its own."""
    clients = [connect(server.url) for _ in range(5)]
    yield clients
    await asyncio.gather(*(client.aclose() for client in clients))


@pytest.mark.thorough
@both
async def test_fifty_callers_never_pass_the_limit(clients: list[Redis], algorithm: Any) -> None:
    """Fifty callers of five clients ask without pause: by the server's clock no window has more hits than may pass."""
    rate = Rate(20, timedelta(milliseconds=200))
    limiters = [RedisRateLimiter(client, "api", rate=rate, algorithm=algorithm) for client in clients]
    passed: list[tuple[int, int]] = []  # the server's time before a hit, and after it
    refused = 0
    ends = asyncio.get_running_loop().time() + 1.5

    async def server_time(limiter: RedisRateLimiter) -> int:
        seconds, us = await limiter._executor.ask(("TIME",), limiter)  # type: ignore[misc]  # pyright: ignore
        return int(cast("bytes", seconds)) * SECOND + int(cast("bytes", us))

    async def insist(limiter: RedisRateLimiter, chance: random.Random) -> None:
        nonlocal refused
        while asyncio.get_running_loop().time() < ends:
            # One after the other on one connection, and sent at once.
            before, answer, after = await asyncio.gather(server_time(limiter), limiter.hit(), server_time(limiter))
            if answer.allowed:
                passed.append((before, after))
            else:
                refused += 1
                await asyncio.sleep(chance.uniform(0, answer.retry_after))

    await asyncio.gather(*(insist(limiters[nth % 5], random.Random(nth)) for nth in range(50)))

    passed.sort()
    per = 200_000
    for first in range(len(passed)):
        for last in range(first, len(passed)):
            within = max(after for _, after in passed[first : last + 1]) - passed[first][0]
            most = 20 if algorithm == "sliding_window" and within < per else 20 + within * 20 // per
            if algorithm == "gcra" or within < per:
                assert last - first + 1 <= most
    assert refused > 50
    assert len(passed) > 60  # 20 at once, and most of those that came back in time


@both
async def test_of_fifty_at_once_the_limit_passes(clients: list[Redis], algorithm: Any) -> None:
    """Exactly as many as the limit, whichever client asks."""
    limiters = [RedisRateLimiter(client, "api", rate="17/hour", algorithm=algorithm) for client in clients]

    answers = await asyncio.gather(*(limiters[nth % 5].hit("ada") for nth in range(50)))

    assert sum(answer.allowed for answer in answers) == 17
    assert sorted(answer.remaining for answer in answers if answer) == [*range(17)]


# --- waiting ------------------------------------------------------------------------------------


@both
async def test_who_waits_gets_in_as_soon_as_possible(redis: Redis, algorithm: Any) -> None:
    """``wait`` returns when the hit has passed, not much earlier than it may."""
    limiter = RedisRateLimiter(redis, "api", rate="1/100 seconds", algorithm=algorithm)
    quick = RedisRateLimiter(redis, "quick", rate=Rate(1, timedelta(seconds=0.2)), algorithm=algorithm)
    assert (await limiter.wait()).allowed
    await quick.wait()
    before = asyncio.get_running_loop().time()

    answer = await quick.wait(timeout=30)

    assert answer.allowed
    assert asyncio.get_running_loop().time() - before > 0.15


async def test_who_waits_is_served_in_order(redis: Redis) -> None:
    """In one process the first comes first, also if it wants more than those behind it; others are not held up."""
    limiter = RedisRateLimiter(redis, "api", rate=Rate(5, timedelta(seconds=0.2)))
    twin = RedisRateLimiter(redis, "api", rate=Rate(5, timedelta(seconds=0.2)))
    await limiter.hit(cost=5)
    order: list[int] = []

    async def wait(nth: int) -> None:
        await (limiter if nth % 2 else twin).wait(cost=5 if nth == 0 else 1)
        order.append(nth)

    waiting = [asyncio.create_task(wait(nth)) for nth in range(8)]
    await asyncio.sleep(0)
    assert (await limiter.wait("somebody else", timeout=30)).allowed
    await asyncio.gather(*waiting)

    assert order == [*range(8)]


async def test_a_wait_that_cannot_succeed_ends_at_once(redis: Redis) -> None:
    """If the time that is left is too short that is told at once, and nothing is counted."""
    limiter = RedisRateLimiter(redis, "api", rate="2/hour")
    await limiter.hit("ada", cost=2)
    before = asyncio.get_running_loop().time()

    with pytest.raises(TimeoutError, match=r"api\['ada'\]: no hit could pass within timeout=60"):
        await limiter.wait("ada", timeout=60)

    assert asyncio.get_running_loop().time() - before < 30
    for timeout in (0, -1, timedelta(0), float("nan")):
        with pytest.raises(ValueError, match=r"call hit\(\) if the call is not to wait"):
            await limiter.wait(timeout=timeout)


async def test_who_is_behind_gives_up_in_time(redis: Redis) -> None:
    """A timeout counts in the queue, too, and whoever gives up leaves the others where they are."""
    limiter = RedisRateLimiter(redis, "api", rate="1/hour")
    await limiter.hit()
    first = asyncio.create_task(limiter.wait())
    await asyncio.sleep(0)

    with pytest.raises(TimeoutError, match="no hit could pass"):
        await limiter.wait(timeout=0.05)
    with anyio.move_on_after(0.05) as scope:
        await limiter.wait()

    assert scope.cancelled_caught
    assert not first.done()
    first.cancel()
    await asyncio.gather(first, return_exceptions=True)
    await limiter.reset()
    assert (await limiter.wait(timeout=30)).allowed


async def test_a_reset_is_noticed(redis: Redis, monkeypatch: pytest.MonkeyPatch) -> None:
    """Who waits for long asks from time to time."""
    monkeypatch.setattr(limits, "_PATIENCE", 0.05)
    limiter = RedisRateLimiter(redis, "api", rate="1/day")
    await limiter.hit()
    waiting = asyncio.create_task(limiter.wait())
    await asyncio.sleep(0)

    await limiter.reset()

    assert (await asyncio.wait_for(waiting, 30)).allowed


async def test_a_server_that_hangs_holds_nobody_up_for_longer(redis: Redis, proxy: Proxy) -> None:
    """The timeout of ``wait`` holds although the client has none, and counts as the builtin TimeoutError."""
    client = connect(proxy.url)
    limiter = RedisRateLimiter(client, "api", rate="5/second")
    await limiter.hit()
    proxy.stall()

    with pytest.raises(TimeoutError, match="no hit could pass"):
        await limiter.wait(timeout=0.1)

    proxy.heal()
    assert (await limiter.wait(timeout=30)).allowed


async def test_a_lost_reply_counts_once(redis: Redis, proxy: Proxy) -> None:
    """A hit whose reply was lost raises, and is not counted twice."""
    client = connect(proxy.url)
    limiter = RedisRateLimiter(client, "api", rate="5/hour")
    await limiter.peek()
    proxy.swallow()
    hit = asyncio.create_task(limiter.hit())
    await proxy.swallowed()
    proxy.drop()

    with pytest.raises(Exception, match="not sent again"):
        await hit
    proxy.heal()

    assert (await limiter.peek()).remaining == 4
