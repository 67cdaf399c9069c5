"""What holds of every method in the tables: what it sends, in how many trips, and what it does if something fails."""

from __future__ import annotations

import inspect
import re
from types import ModuleType
from typing import Any, TypeAlias, cast

import pytest
from redis.asyncio import Redis
from redis.exceptions import ConnectionError, NoPermissionError, TimeoutError

from purse.collections import RedisKey
from purse.embedded import Server
from purse.errors import DecodeError, WrongKind
from tests.collections.tables import key_space, lifo_queue, priority_queue, queue, sorted_set
from tests.collections.tables import set as set_
from tests.collections.tables.case import Case
from tests.collections.test_wire import count_trips
from tests.support.clients import all_keys, command, connect
from tests.support.monitor import Monitor
from tests.support.pages import documented_permissions
from tests.support.proxy import Proxy

AnyCase: TypeAlias = Case[Any]

TABLES: dict[str, ModuleType] = {
    "set": set_,
    "sorted set": sorted_set,
    "key space": key_space,
    "queue": queue,
    "lifo queue": lifo_queue,
    "priority queue": priority_queue,
}
EVERY = [(table, case) for table in TABLES.values() for case in table.CALLS]
NAMES = [f"{name}.{case.name}" for name, table in TABLES.items() for case in table.CALLS]

TOKENS = re.compile(r"\b[0-9a-f]{16}\b")

every_case = pytest.mark.parametrize(("table", "case"), EVERY, ids=NAMES)
every_table = pytest.mark.parametrize("table", TABLES.values(), ids=TABLES.keys())


@every_case
async def test_what_it_sends(
    redis: Redis, monitor: Monitor, monkeypatch: pytest.MonkeyPatch, table: ModuleType, case: AnyCase
) -> None:
    """The commands that the table names are what the server receives, in as many round trips as it says."""
    await table.fill(redis)
    collection = table.build(redis)
    await collection._executor.ask(("PING",), collection)
    await collection._executor.is_cluster_node()  # asked once on each connection, before the first search
    trips = count_trips(monkeypatch)
    await monitor.commands()

    await case.call(collection)

    received = [" ".join(words) for words in await monitor.commands()]
    if table is key_space:
        received = [TOKENS.sub(key_space.TOKEN, line) for line in received]
    assert [line for line in received if line not in ("MULTI", "EXEC")] == [*case.sends]
    assert case.trips is None or len(trips) == case.trips


@every_case
async def test_a_key_of_another_type(redis: Redis, table: ModuleType, case: AnyCase) -> None:
    """It is left alone, and whoever needs the right type is told so by name."""
    await table.fill(redis)
    keys = await all_keys(redis)
    await redis.delete(*keys)
    for key in keys:
        await redis.xadd(key, {"other": "type"})
    before = [await redis.dump(key) for key in keys]
    collection = table.build(redis)

    error: Exception | None = None
    try:
        await case.call(collection)
    except WrongKind as wrong:
        error = wrong

    assert (error is not None) == case.touches
    if error is not None:
        assert str(error).startswith(table.KEY)
        assert [await redis.dump(key) for key in keys] == before


@every_case
async def test_bytes_that_are_no_value(redis: Redis, table: ModuleType, case: AnyCase) -> None:
    """Whoever decodes what is stored raises an error that names the key; nobody else does."""
    await table.spoil(redis)
    collection = table.build(redis)

    error: DecodeError | None = None
    try:
        await case.call(collection)
    except DecodeError as undecodable:
        error = undecodable
    except (KeyError, IndexError):
        pass

    assert (error is not None) == case.reads
    if error is not None:
        assert table.KEY in str(error)
        assert error.key is not None
        assert error.key.startswith(table.KEY)


@pytest.mark.engines("shared")
@every_case
async def test_only_the_documented_permissions(server: Server, redis: Redis, table: ModuleType, case: AnyCase) -> None:
    """A user who may run nothing but the documented commands can make the call."""
    await table.fill(redis)
    allowed = [f"+{name.lower()}" for name in case.acl]
    rules = ["reset", "on", ">secret", "~*", "-@all", "+hello", "+ping", "+multi", "+exec", *allowed]
    await command(redis, "ACL", "SETUSER", "gardener", *rules)
    assert server.port is not None
    client = connect(f"redis://gardener:secret@127.0.0.1:{server.port}")
    try:
        await case.call(table.build(client))
    except NoPermissionError as refusal:
        pytest.fail(f"{case.name} needs more: {refusal}")
    finally:
        await client.aclose()
        await command(redis, "ACL", "DELUSER", "gardener")


async def state(redis: Redis, *, whole: bool) -> dict[bytes, object]:
    """All that is stored; or only how much of it, where a call does not always do the same."""
    found: dict[bytes, object] = {}
    for key in await all_keys(redis):
        kind = await redis.type(key)
        held: list[object]
        if kind == b"set":
            held = sorted(await command(redis, "SMEMBERS", key))
        elif kind == b"zset":
            pairs = await command(redis, "ZRANGE", key, 0, -1, "WITHSCORES")
            # Of a member of a priority queue without the 36 bytes in front, which have the time in them.
            held = [word[36:] if bytes(word).startswith(b"~") else word for word in flat(pairs)]
        elif kind == b"list":
            held = await command(redis, "LRANGE", key, 0, -1)
        else:
            held = [await redis.get(key)]
        found[key] = held if whole else len(held)
    return found


def flat(pairs: list[Any]) -> list[bytes]:
    """Members and scores one after the other, as RESP2 has them, also if RESP3 has them in pairs."""
    words: list[Any] = []
    for part in pairs:
        words += part if isinstance(part, list) else [part]
    return [word if isinstance(word, bytes) else str(word).encode() for word in words]


@every_case
async def test_a_cut_reply_never_doubles_an_effect(
    redis: Redis, proxy: Proxy, table: ModuleType, case: AnyCase
) -> None:
    """Wherever its reply is cut, a call has happened once, or, with an error, at most once; the next call is right."""
    await table.fill(redis)
    await case.call(table.build(redis))
    after = await state(redis, whole=case.same)
    client = connect(proxy.url)
    collection = table.build(client)
    for cut in (0, 1, 4, 11, 30):
        await command(redis, "FLUSHDB")
        await table.fill(redis)
        before = await state(redis, whole=case.same)
        await collection._executor.ask_again(("PING",), collection)
        proxy.cut_after(cut)

        lost = False
        try:
            await case.call(collection)
        except (ConnectionError, TimeoutError):
            lost = True
        proxy.heal()

        assert await state(redis, whole=case.same) in ([before, after] if lost else [after])
    await client.aclose()


@every_table
def test_every_method_is_in_the_table(table: ModuleType) -> None:
    """A new public method has a place where it must be entered."""
    collection = cast("type[object]", type(table.build(Redis())))
    inherited = set(dir(RedisKey))
    methods = {
        name
        for name, _ in inspect.getmembers(collection, inspect.isfunction)
        if not name.startswith("_") and name not in inherited and name not in ("explain", "slot_of")
    }
    entered = {word for case in table.CALLS for word in re.findall(r"\w+", case.name)}

    assert methods <= entered


PAGES = {
    "set": "set",
    "sorted set": "sorted_set",
    "key space": "key_space",
    "queue": "queue",
    "lifo queue": "queue",
    "priority queue": "queue",
}


@pytest.mark.parametrize("name", TABLES)
def test_the_page_has_every_method(name: str) -> None:
    """The table of the page names each method, and the commands that a user must be allowed."""
    documented = documented_permissions(PAGES[name])

    for case in TABLES[name].CALLS:
        method = "async for" if case.name.startswith("async for") else case.name.split()[0].split("(")[0]
        assert method in documented
        assert {name.lower() for name in case.acl} <= documented[method], case.name
