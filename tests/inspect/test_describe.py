"""purse.inspect.describe: what Redis has for a store, in every mode of the engine."""

from __future__ import annotations

from collections.abc import AsyncIterator, Awaitable, Callable
from datetime import timedelta
from typing import cast

import pytest
from redis.asyncio import Redis
from redis.exceptions import NoPermissionError

from purse import (
    RedisHash,
    RedisKeySpace,
    Store,
    statistics,
)
from purse._declaration.isolation import isolate
from purse.embedded import Server
from purse.inspect import (
    FieldDescription,
    StoreDescription,
    describe,
    schema,
)
from tests.support.clients import command, connect
from tests.support.engines import parametrize
from tests.support.inspected import Garden, Plant, UserStore
from tests.support.monitor import Monitor, load_scripts


def pytest_generate_tests(metafunc: pytest.Metafunc) -> None:
    """What concerns a server holds whether calls share a connection or not."""
    parametrize(metafunc, "shared", thorough=["dedicated"])


@pytest.fixture
def garden(redis: Redis) -> Garden:
    """An empty store."""
    return Garden(redis)


@pytest.fixture
async def monitor(server: Server, redis: Redis) -> AsyncIterator[Monitor]:
    """A monitor of a server that has the scripts."""
    await load_scripts(redis)
    assert server.port is not None
    async with Monitor(server.port) as monitor:
        yield monitor


async def test_of_an_empty_store_there_is_nothing(garden: Garden) -> None:
    """Every field is described, and none exists."""
    found = await describe(garden)

    assert found.store == "Garden"
    assert {name: part.key for name, part in found.fields.items()} == {
        name: part["key"] for name, part in schema(Garden)["fields"].items()
    }
    for part in found.fields.values():
        assert part == FieldDescription(part.name, part.key, part.structure, part.declared, None, False, 0)
        assert part.fits is None


async def test_what_is_there_is_described(garden: Garden) -> None:
    """Each structure has the Redis type that it is declared to have, its length, size and time to live."""
    await garden.plants.set("leek", Plant(name="leek"))
    await garden.by_id.update({1: 1, 2: None})
    await garden.tags.add("a")
    await garden.board.add(("a", 1))
    await garden.old.append(b"x")
    await garden.jobs.put("a")
    await garden.stack.put("a")
    await garden.urgent.put((1, 5))
    await garden.api.hit()
    await garden.window.hit()
    await garden.home.lines.extend([*"abc"])
    await garden.home.lines.persist()
    async with garden.lock, garden.beds:
        found = (await describe(garden)).fields

    single = [part for part in found.values() if part.structure != "RedisKeySpace"]
    assert [part.name for part in single if not part.fits] == []
    assert all(part.exists and part.exact and part.memory and part.encoding for part in single)
    assert {part.name: part.length for part in single if part.length is not None and part.length != 1} == {
        "by_id": 2,
        "home.lines": 3,
    }
    assert [part.name for part in single if part.length is None] == ["lock", "api"]
    assert [part.name for part in single if part.expires_in is None] == ["home.lines"]
    left = found["by_id"].expires_in
    assert left is not None
    assert timedelta(hours=23) < left <= timedelta(days=1)


async def test_a_key_of_another_type_is_told_and_fails_nothing(garden: Garden) -> None:
    """It is described as what it is, and so are the others."""
    redis = garden.plants.redis
    await redis.set("{inspected}:plants", "x")
    await redis.rpush("{inspected}:lock", "x", "y")
    await garden.tags.add("a")

    found = (await describe(garden)).fields

    wrong = {name: (part.declared, part.stored, part.length) for name, part in found.items() if part.fits is False}
    assert wrong == {"plants": ("hash", "string", None), "lock": ("string", "list", 2)}
    assert found["tags"].fits is True


async def test_looking_renews_nothing(garden: Garden) -> None:
    """``renew="read"`` is for reads of values."""
    await garden.plants.set("leek", Plant(name="leek"))
    await garden.plants.expire(50)

    left = (await describe(garden)).fields["plants"].expires_in

    assert left is not None
    assert left <= timedelta(seconds=50)
    assert await garden.plants.pttl() <= 50_000


async def test_it_is_one_round_trip(redis: Redis, monitor: Monitor) -> None:
    """One script for all keys of a hash slot, and one page of a scan for all key spaces."""
    garden = Garden(redis)
    await garden.tags.len()
    await monitor.commands()
    before = statistics(redis)

    await describe(garden)

    sent = [words for words in await monitor.commands() if words[0] in ("EVALSHA", "EVAL", "SCAN", "DBSIZE")]
    together = [key for key in keys_of(Garden) if key.startswith("{") and "*" not in key]
    assert sorted(sent) == [
        ("DBSIZE",),
        ("EVALSHA", "describe", "1", "redis_list"),
        ("EVALSHA", "describe", str(len(together)), *together),
        ("SCAN", "0", "COUNT", "500"),
    ]
    if before.mode == "shared":
        # Nothing waits for a reply: the first goes out alone if the last call was alone, the rest in one write.
        assert statistics(redis).batches - before.batches <= 2


class Spread(Store, namespace="inspected-spread", slots="field"):
    """A store over several slots."""

    a: RedisHash[int]
    b: RedisHash[int]


async def test_slots_are_asked_one_by_one(redis: Redis, monitor: Monitor) -> None:
    """No script concerns keys of two slots of a cluster."""
    await describe(Spread(redis))

    sent = [words for words in await monitor.commands() if words[0] == "EVALSHA"]
    assert sorted(words[2:] for words in sent) == [("1", "{inspected-spread::a}"), ("1", "{inspected-spread::b}")]


def keys_of(store: type[Store]) -> list[str]:
    """The keys in its schema."""
    return [part["key"] for part in schema(store)["fields"].values()]


async def test_stores_with_parameters_have_keys_of_their_own(redis: Redis) -> None:
    """What is described is what the instance has, wherever its keys are."""
    isolate(redis, "t1")
    ada, bob = UserStore(redis, user_id=1, part="a/b"), UserStore(redis, user_id=2, part="a")
    await ada.prefs.set("colour", "green")
    await ada.shelf.lines.append("x")

    found, other = await describe(ada), await describe(bob)

    assert {part.key: part.length for part in found.fields.values()} == {
        "{t1:inspected-user:1:a%2Fb}:prefs": 1,
        "{t1:inspected-user:1:a%2Fb}:shelf:lines": 1,
    }
    assert [part.exists for part in other.fields.values()] == [False, False]
    assert (await describe(ada.shelf)).fields["lines"].key == "{t1:inspected-user:1:a%2Fb}:shelf:lines"


class Sessions(Store, namespace="inspected-sessions"):
    """Two key spaces."""

    sessions: RedisKeySpace[int, int]
    spread: RedisKeySpace[int, int] = RedisKeySpace.field(slots="key")


async def test_entries_are_counted(redis: Redis) -> None:
    """Those of all key spaces at once, and of nobody else's keys."""
    store = Sessions(redis)
    await redis.mset({"other": 1, "{inspected-sessions}:session:1": 1, "inspected-sessions::spread:{1": 1})
    await store.sessions.update({1: 1, 2: 2})
    await store.spread.set(1, 1)

    found = await describe(store)

    assert {name: (part.length, part.exact) for name, part in found.fields.items()} == {
        "sessions": (2, True),
        "spread": (1, True),
    }
    assert all(part.exists and part.stored is None and part.fits is None for part in found.fields.values())
    assert (found.scanned, found.keys) == (6, 6)


@pytest.mark.engines("shared")
async def test_a_big_database_is_looked_at_in_part(redis: Redis, monitor: Monitor) -> None:
    """No more pages than needed for what may be looked at; the number of entries is an estimate then."""
    store = Sessions(redis)
    await store.sessions.update(dict.fromkeys(range(3000), 1))
    await redis.mset({f"other:{number}": 1 for number in range(3000)})
    await monitor.commands()

    found = await describe(store, scan=1200)

    part = found.fields["sessions"]
    assert (part.exists, part.exact, found.keys) == (True, False, 6000)
    assert 1200 <= found.scanned < 2400
    assert part.length is not None
    assert 2000 < part.length < 4000  # eleven standard deviations
    spread = found.fields["spread"]
    assert (spread.exists, spread.length, spread.exact) == (None, 0, False)
    assert 1 <= [words[0] for words in await monitor.commands()].count("SCAN") <= 4
    assert (await describe(store, scan=None)).fields["sessions"].length == 3000


async def test_nothing_is_scanned_if_nothing_may_be(redis: Redis, monitor: Monitor) -> None:
    """Then it is not known whether there are entries."""
    await Sessions(redis).sessions.set(1, 1)
    await monitor.commands()

    found = await describe(Sessions(redis), scan=0)

    part = found.fields["sessions"]
    assert (part.exists, part.length, part.exact, found.keys) == (None, None, False, None)
    assert not {"SCAN", "DBSIZE"} & {words[0] for words in await monitor.commands()}


Restricted = Callable[..., Awaitable[Redis]]


@pytest.fixture
async def restricted(server: Server, redis: Redis) -> AsyncIterator[Restricted]:
    """Makes clients of a user with these rules."""
    clients: list[Redis] = []

    async def make(*rules: str) -> Redis:
        await command(redis, "ACL", "SETUSER", "looker", "reset", "on", ">secret", "~*", "+@all", *rules)
        clients.append(connect(f"redis://looker:secret@127.0.0.1:{server.port}"))
        return clients[-1]

    yield make
    for client in clients:
        await client.aclose()
    await command(redis, "ACL", "DELUSER", "looker")


async def test_what_a_user_may_not_ask_is_none(restricted: Restricted, garden: Garden) -> None:
    """The rest is described."""
    await garden.tags.add("a")
    await garden.sessions.set("a", Plant(name="a"))

    found = await describe(Garden(await restricted("-memory", "-object", "-scan", "-type")))

    tags = found.fields["tags"]
    assert (tags.exists, tags.memory, tags.encoding, tags.stored, tags.fits) == (True, None, None, None, None)
    assert found.fields["board"].exists is False
    assert found.fields["sessions"].exists is None
    assert found.keys is None


async def test_memory_may_be_refused_alone(restricted: Restricted, garden: Garden) -> None:
    """As some providers do."""
    await garden.tags.add("a")

    tags = (await describe(Garden(await restricted("-memory")))).fields["tags"]

    assert (tags.stored, tags.length, tags.memory) == ("set", 1, None)
    assert tags.encoding


async def test_without_scripts_there_is_no_description(restricted: Restricted) -> None:
    """The error says what it was for."""
    with pytest.raises(NoPermissionError) as caught:
        await describe(Garden(await restricted("-evalsha", "-eval")))

    assert caught.value.__notes__ == ["purse: describe() of a Garden"]


@pytest.mark.parametrize("settings", [{"protocol": 3}, {"decode_responses": True}])
async def test_every_client_sees_the_same(server_url: str, redis: Redis, settings: dict[str, object]) -> None:
    """Whatever protocol it speaks, and whether it decodes replies."""
    store = Sessions(redis)
    await store.sessions.set(1, 1)
    await redis.sadd("{inspected}:tags", "a")
    client = connect(server_url, **settings)

    assert await describe(Garden(client)) == await describe(Garden(redis))
    assert await describe(Sessions(client)) == await describe(store)


class Empty(Store, namespace="inspected-empty"):
    """No fields."""


async def test_a_store_without_fields_sends_nothing(redis: Redis, monitor: Monitor) -> None:
    """And has an empty description."""
    assert await describe(Empty(redis)) == StoreDescription("Empty", {})
    assert await monitor.commands() == []


async def test_only_a_store_can_be_described(redis: Redis) -> None:
    """The messages say what to pass."""
    with pytest.raises(TypeError, match=r"Garden is a class.*describe\(Garden\(client\)\), or schema\(Garden\)"):
        await describe(cast("Store", Garden))
    with pytest.raises(TypeError, match=r"describe\(\) takes a store, not 3"):
        await describe(cast("Store", 3))
    with pytest.raises(TypeError, match=r"scan= .* not '5'"):
        await describe(Garden(redis), scan=cast("int", "5"))
    with pytest.raises(ValueError, match="scan=-1 is below 0"):
        await describe(Garden(redis), scan=-1)


async def test_it_cannot_be_part_of_a_transaction(garden: Garden) -> None:
    """It is several commands, and asks only what everybody may see."""
    with pytest.raises(TypeError, match=r"describe\(\) needs several commands"):
        await garden.atomic(describe(garden))


def test_a_description_is_a_table() -> None:
    """Columns are as wide as they need to be; what is wrong, estimated or not known is seen."""
    found = StoreDescription(
        "Garden",
        {
            "plants": FieldDescription(
                "plants",
                "{g}:plants",
                "RedisHash",
                "hash",
                "hash",
                True,
                12,
                True,
                timedelta(seconds=3599.6),
                2048,
                "listpack",
            ),
            "log": FieldDescription(
                "log", "a\x1bb", "RedisList", "list", "zset", True, 1, memory=90, encoding="ziplist"
            ),
            "gone": FieldDescription("gone", "{g}:gone", "RedisList", "list", None, False, 0),
            "sessions": FieldDescription(
                "sessions", "{g}:sessions:*", "RedisKeySpace", "string", None, True, 900, False
            ),
            "others": FieldDescription("others", "{g}:others:*", "RedisKeySpace", "string", exact=False),
        },
        1000,
        20000,
    )

    assert str(found) == repr(found)
    assert str(found).splitlines() == [
        "Garden",
        "field     structure      key             holds             length   memory  expires in  encoding",
        "plants    RedisHash      {g}:plants      hash                  12  2.0 KiB     1:00:00  listpack",
        r"log       RedisList      a\x1bb          zset, not a list       1     90 B              ziplist",
        "gone      RedisList      {g}:gone        nothing                0",
        "sessions  RedisKeySpace  {g}:sessions:*  string              ~900",
        "others    RedisKeySpace  {g}:others:*    ?",
        "1000 of 20000 keys of the database were looked at",
    ]
