"""Collections on a wire that breaks: a lost reply never doubles an effect, and is never taken for an answer."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from typing import TypeAlias

import pytest
from redis.asyncio import Redis
from redis.exceptions import ConnectionError

from purse.collections import RedisHash, RedisList
from tests.collections.tables.trips import count_trips
from tests.support.clients import connect
from tests.support.monitor import Monitor
from tests.support.proxy import Proxy

Write: TypeAlias = Callable[[RedisHash[int], RedisList[str]], Awaitable[object]]
State: TypeAlias = tuple[dict[str, int], list[str]]

HASH = {"a": 1, "b": 2}
LIST = ["x", "y", "z"]
WRITES: dict[str, tuple[Write, State]] = {
    "set": (lambda h, xs: h.set("a", 7), ({"a": 7, "b": 2}, LIST)),
    "setdefault": (lambda h, xs: h.setdefault("c", 7), ({**HASH, "c": 7}, LIST)),
    "increment": (lambda h, xs: h.increment("a"), ({"a": 2, "b": 2}, LIST)),
    "hash pop": (lambda h, xs: h.pop("a"), ({"b": 2}, LIST)),
    "modify": (lambda h, xs: h.modify("a", lambda n: n + 1), ({"a": 2, "b": 2}, LIST)),
    "update": (lambda h, xs: h.update({"c": 3, "d": 4}), ({**HASH, "c": 3, "d": 4}, LIST)),
    "append": (lambda h, xs: xs.append("w"), (HASH, [*LIST, "w"])),
    "extend": (lambda h, xs: xs.extend(["v", "w"]), (HASH, [*LIST, "v", "w"])),
    "insert": (lambda h, xs: xs.insert(1, "w"), (HASH, ["x", "w", "y", "z"])),
    "pop": (lambda h, xs: xs.pop(), (HASH, ["x", "y"])),
    "popleft": (lambda h, xs: xs.popleft(), (HASH, ["y", "z"])),
    "move": (lambda h, xs: xs.move(xs), (HASH, ["y", "z", "x"])),
    "remove": (lambda h, xs: xs.remove("y"), (HASH, ["x", "z"])),
}
# modify() reads first, and a read whose reply is lost is sent again.
IN_ONE_TRIP = {name: case for name, case in WRITES.items() if name != "modify"}
in_one_trip = pytest.mark.parametrize(("write", "after"), IN_ONE_TRIP.values(), ids=IN_ONE_TRIP.keys())


async def stored(redis: Redis) -> State:
    """What is stored, read past the proxy."""
    return await RedisHash(redis, "h", int).dict(), await RedisList(redis, "xs", str).slice(0)


@in_one_trip
async def test_a_swallowed_reply_is_an_error_and_one_effect(
    redis: Redis, proxy: Proxy, write: Write, after: State
) -> None:
    """The server executed the write and its reply vanished: the caller is told, and it happened exactly once."""
    client = connect(proxy.url)
    h, xs = RedisHash(client, "h", int), RedisList(client, "xs", str)
    await h.update(HASH)
    await xs.extend(LIST)
    # The scripts are known: a NOSCRIPT reply would be swallowed, too, and the call would do nothing.
    await RedisHash(redis, "warm", int).setdefault("a", 1)
    await RedisList(redis, "warm list", str).insert(0, "a")
    proxy.cut_after(0)

    with pytest.raises(ConnectionError, match="not sent again"):
        await write(h, xs)

    assert await stored(redis) == after
    assert await h.dict() == after[0]


async def test_a_script_that_the_server_lost(redis: Redis, monitor: Monitor, monkeypatch: pytest.MonkeyPatch) -> None:
    """After NOSCRIPT the same call goes out once more as EVAL, and the next one is EVALSHA again."""
    visits = RedisHash(redis, "visits", int)
    await visits.exists()
    await redis.script_flush()
    await monitor.commands()
    trips = count_trips(monkeypatch)

    assert await visits.setdefault("a", 1) == 1
    assert await visits.setdefault("a", 2) == 1

    # Redis does not show to MONITOR an EVALSHA that it answers with NOSCRIPT.
    named = [command[:2] for command in await monitor.commands()]
    assert named[-2:] == [("EVAL", "hash_setdefault"), ("EVALSHA", "hash_setdefault")]
    assert trips == [1, 1, 1]
