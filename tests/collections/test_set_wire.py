"""What RedisSet sends where the table of its calls does not say it: policies, several forms, pages, protocols."""

from __future__ import annotations

from collections.abc import Awaitable, Callable

import pytest
from redis.asyncio import Redis

from purse.collections.set import RedisSet
from purse.embedded import Server
from purse.ttl import TTL
from tests.collections.garden import collect
from tests.collections.test_set_ttl import READS, SetCall
from tests.support.clients import connect
from tests.support.monitor import Monitor

HOUR = TTL(hours=1)
READ = TTL(hours=1, renew="read")
NEVER = TTL(hours=1, renew="never")


async def sent(redis: Redis, monitor: Monitor, call: Callable[[], Awaitable[object]]) -> list[str]:
    """What ``call`` sends, one string for each command."""
    await RedisSet(redis, "any", str).exists()
    await monitor.commands()

    await call()

    return [" ".join(command) for command in await monitor.commands()]


WITH_A_POLICY: dict[str, tuple[SetCall, str]] = {
    "add": (lambda s: s.add(5), "SADD thing 5"),
    "update": (lambda s: s.update(5, 6), "SADD thing 5 6"),
    "remove": (lambda s: s.remove(1, 2), "SREM thing 1 2"),
    "discard": (lambda s: s.discard(1), "SREM thing 1"),
    "pop": (lambda s: s.pop(), "SPOP thing"),
    "pop with a count": (lambda s: s.pop(2), "SPOP thing 2"),
}
RENEWING: dict[str, tuple[SetCall, str]] = {
    "members": (READS["members"], "SMEMBERS thing"),
    "random": (READS["random"], "SRANDMEMBER thing"),
    "random with a count": (READS["random with a count"], "SRANDMEMBER thing 2"),
    "union": (lambda s: s.union(), "SUNION thing"),
}


def with_ttl(command: str) -> str:
    """This command in the script that carries an hour for the key."""
    return f"EVALSHA with_ttl 1 thing key:3600000 {len(command.split())} {command}"


@pytest.mark.parametrize(("call", "command"), WITH_A_POLICY.values(), ids=WITH_A_POLICY.keys())
async def test_a_write_with_a_policy(redis: Redis, monitor: Monitor, call: SetCall, command: str) -> None:
    """With a TTL policy the write and its clock are one script."""
    numbers = RedisSet(redis, "thing", int, ttl=HOUR)
    await redis.sadd("thing", "1", "2", "3")

    assert await sent(redis, monitor, lambda: call(numbers)) == [with_ttl(command)]


@pytest.mark.parametrize(("call", "command"), RENEWING.values(), ids=RENEWING.keys())
async def test_a_read_that_renews(redis: Redis, monitor: Monitor, call: SetCall, command: str) -> None:
    """With ``renew="read"`` the read and its clock are one script; with the others a read is one command."""
    await redis.sadd("thing", "1", "2", "3")

    for policy, expected in ((READ, with_ttl(command)), (HOUR, command), (NEVER, command)):
        numbers = RedisSet(redis, "thing", int, ttl=policy)
        assert await sent(redis, monitor, lambda: call(numbers)) == [expected]  # noqa: B023 - awaited here


async def test_several_policies(redis: Redis, monitor: Monitor) -> None:
    """A call over several sets carries a policy for each: of a write for those written to, of a read for the others."""
    here, there, plain = (
        RedisSet(redis, key, int, ttl=ttl) for key, ttl in (("here", READ), ("there", HOUR), ("plain", None))
    )
    hour, once = "key:3600000", "key-once:3600000"

    assert await sent(redis, monitor, lambda: here.move(there, 1)) == [
        f"EVALSHA with_ttl 2 here there {hour} {hour} 4 SMOVE here there 1"
    ]
    assert await sent(redis, monitor, lambda: plain.move(RedisSet(redis, "plain", int, ttl=NEVER), 1)) == [
        f"EVALSHA with_ttl 1 plain {once} 4 SMOVE plain plain 1"
    ]
    assert await sent(redis, monitor, lambda: there.union(here, plain)) == [
        f"EVALSHA with_ttl 3 there here plain  {hour}  4 SUNION there here plain"
    ]
    assert await sent(redis, monitor, lambda: there.union_store(plain, here)) == [
        f"EVALSHA set_store 3 plain there here SUNIONSTORE   {hour}"
    ]
    assert await sent(redis, monitor, lambda: there.difference_update(here)) == [
        f"EVALSHA set_store 3 there there here SDIFFSTORE {hour}  {hour}"
    ]


async def test_forms_of_2x(redis: Redis, monitor: Monitor) -> None:
    """Where 2.x may have written another form, the call names both and is still one command, or one MULTI."""
    prices, moved = RedisSet(redis, "prices", dict[str, int]), RedisSet(redis, "moved", dict[str, int])
    price, ours, theirs = {"y": 2, "x": 1}, '{"x":1,"y":2}', '{"y": 2, "x": 1}'

    assert await sent(redis, monitor, lambda: prices.contains(price)) == [f"SMISMEMBER prices {ours} {theirs}"]
    assert await sent(redis, monitor, lambda: prices.discard(price)) == [f"SREM prices {ours} {theirs}"]
    assert await sent(redis, monitor, lambda: prices.move(moved, price)) == [
        "MULTI",
        f"SMOVE prices moved {ours}",
        f"SMOVE prices moved {theirs}",
        "EXEC",
    ]


async def test_bulk_calls_are_one_transaction_of_pages(redis: Redis, monitor: Monitor) -> None:
    """Of 1200 members 500 go into one command, and the three commands are one MULTI."""
    numbers = RedisSet(redis, "numbers", int)

    async def call() -> None:
        await numbers.update(*range(1200))
        await numbers.contains_many(range(1200))
        await numbers.remove(*range(1200))

    commands = [command.split() for command in await sent(redis, monitor, call)]

    expected: list[tuple[str, int]] = []
    for name in ("SADD", "SMISMEMBER", "SREM"):
        expected += [("MULTI", 1), (name, 502), (name, 502), (name, 202), ("EXEC", 1)]
    assert [(words[0], len(words)) for words in commands] == expected


async def test_what_a_bad_member_costs(redis: Redis, monitor: Monitor) -> None:
    """The members popped with a bad one are put back by one SADD."""
    numbers = RedisSet(redis, "numbers", int)
    await redis.sadd("numbers", "1", "x")

    async def call() -> None:
        with pytest.raises(ValueError, match="removed from Redis"):
            await numbers.pop(9)

    assert await sent(redis, monitor, call) == ["SPOP numbers 9", "SADD numbers 1"]


async def test_iteration_pages(redis: Redis, monitor: Monitor) -> None:
    """A loop that is left reads at most one page more than it has reached."""
    numbers = RedisSet(redis, "numbers", int)
    await numbers.update(2**70, *range(3000))

    async def call() -> None:
        async for _ in numbers.values(batch_hint=100):
            break

    assert len(await sent(redis, monitor, call)) in (1, 2)  # of thirty


@pytest.mark.parametrize("protocol", [2, 3])
@pytest.mark.parametrize("decode", [False, True], ids=["bytes", "decode_responses"])
@pytest.mark.parametrize("ttl", [None, READ], ids=["no policy", "policy"])
async def test_every_client_reads_the_same(
    server: Server, redis: Redis, protocol: int, decode: bool, ttl: TTL | None
) -> None:
    """Whatever protocol the client speaks, and whether it decodes replies, a set returns the same."""
    client = connect(server.url, protocol=protocol, decode_responses=decode)
    blobs, others = RedisSet(client, "blobs", bytes, ttl=ttl), RedisSet(client, "others", bytes, ttl=ttl)

    assert await blobs.update(b"\xff", b"\xfe", b"a") == 3
    assert await blobs.add(b"a") == 0
    assert await others.update(b"\xff", b"b") == 2
    assert sorted(await blobs.members()) == sorted(await collect(blobs)) == [b"a", b"\xfe", b"\xff"]
    assert sorted(await blobs.random(3)) == [b"a", b"\xfe", b"\xff"]
    assert await blobs.random() in {b"a", b"\xfe", b"\xff"}
    assert sorted(await blobs.union(others)) == [b"a", b"b", b"\xfe", b"\xff"]
    assert await blobs.intersection(others) == [b"\xff"]
    assert sorted(await blobs.difference(others)) == [b"a", b"\xfe"]
    assert await blobs.contains_many([b"a", b"x"]) == [True, False]
    assert await blobs.contains(b"\xff") is True
    assert await blobs.is_subset(others) is False
    assert await blobs.move(others, b"a") is True
    assert await others.difference_store(blobs, blobs) == 2
    assert sorted(await blobs.pop(2)) == [b"a", b"b"]
    assert await others.remove(b"a", b"b", b"x") == 2
    assert await others.pop() == b"\xff"
    await client.aclose()
