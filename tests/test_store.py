"""Store: binding, opening, closing and clearing, against a real server."""

from __future__ import annotations

import asyncio
import copy
import gc
import pickle
import re
import subprocess
import sys
import textwrap
import weakref
from typing import Annotated, TypeVar, cast

import pytest
from pydantic import BaseModel
from redis import Redis as SyncRedis
from redis.asyncio import Redis
from typing_extensions import TypeForm

from purse import TTL, DeclarationError, RedisHash, RedisList, Store, StoreClosed, field
from purse.codecs import Codec, codec_for
from purse.embedded import Server
from purse.inspect import fields

T = TypeVar("T")


class Plant(BaseModel):
    """A value."""

    name: str


class Garden(Store, namespace="store-garden"):
    """What most tests use."""

    plants: RedisHash[Plant]
    visits: RedisHash[int] = field(ttl=TTL(hours=1))
    log: RedisList[str] = RedisList.field(key="diary", maxlen=2)
    old: RedisHash[str] = field(rkey="redis_hash")


async def command(redis: Redis, *words: str) -> object:
    """Send a raw command."""
    # redis-py leaves execute_command untyped.
    return await redis.execute_command(*words)  # type: ignore[no-untyped-call]  # pyright: ignore


class Empty(Store, namespace="store-empty"):
    """No fields."""


SPINACH = Plant(name="spinach")


# --- bound to a client ------------------------------------------------------------------------------


async def test_fields_of_an_instance_are_collections(redis: Redis) -> None:
    """What goes in through a field comes out of it, from the keys that were declared."""
    garden = Garden(redis)

    await garden.plants.set("spinach", SPINACH)
    await garden.log.extend(["planted", "watered", "eaten"])
    await garden.old.set("a", "b")

    assert await garden.plants.get("spinach") == SPINACH
    assert await redis.hget("{store-garden}:plants", "spinach") == b'{"name":"spinach"}'
    assert await redis.lrange("{store-garden}:diary", 0, -1) == [b"watered", b"eaten"]
    assert await redis.hgetall("redis_hash") == {b"a": b"b"}


async def test_a_collection_is_built_once_for_each_store(redis: Redis) -> None:
    """Reading a field again gives the same object; another store has its own."""
    garden = Garden(redis)

    assert garden.plants is garden.plants
    assert garden.plants is not Garden(redis).plants


async def test_binding_does_no_io() -> None:
    """A store can be bound to a client whose server does not exist."""
    garden = Garden(Redis(host="127.0.0.1", port=1))

    assert repr(garden) == "<Garden namespace='store-garden'>"
    assert garden.plants.rkey == "{store-garden}:plants"


@pytest.mark.parametrize("client", [SyncRedis(), None, "redis://localhost"])
def test_only_asyncio_clients_are_bound(client: object) -> None:
    """Anything but a ``redis.asyncio.Redis`` is refused at once."""
    with pytest.raises(TypeError, match=r"redis\.asyncio\.Redis"):
        Garden(client)  # type: ignore[arg-type]  # pyright: ignore[reportArgumentType]


def test_a_mixin_has_no_instances() -> None:
    """A store without a namespace cannot be bound; the message says what to write."""

    class Logged(Store):
        log: RedisList[str]

    with pytest.raises(DeclarationError) as caught:
        Logged(Redis())

    assert str(caught.value) == (
        'Logged has no namespace, so its fields have no keys: write class Logged(Store, namespace="..."), '
        'or use it as a mixin: class Garden(Logged, namespace="garden")'
    )
    with pytest.raises(DeclarationError, match="Store is the base of stores: write class Garden"):
        Store(Redis())


def test_a_constructor_of_ones_own_must_bind() -> None:
    """Forgetting ``super().__init__`` is told at the first field."""

    class Forgetful(Store, namespace="store-forgetful"):
        log: RedisList[str]

        def __init__(self, redis: Redis) -> None:
            pass

    with pytest.raises(DeclarationError, match=re.escape("call super().__init__(redis) in it first")):
        _ = Forgetful(Redis()).log


async def test_instances_have_attributes_of_their_own(redis: Redis) -> None:
    """Whatever is not a field can be set and deleted as on any object."""

    class Named(Garden):
        def __init__(self, redis: Redis, name: str) -> None:
            super().__init__(redis)
            self.name = name
            self.__client = name

        def who(self) -> str:
            return self.__client

    named = Named(redis, "mine")
    del named.name

    assert named.who() == "mine"
    assert await named.plants.len() == 0


def test_a_field_cannot_be_assigned_or_deleted() -> None:
    """A field is no variable; the message says how to change what it stores."""
    garden = Garden(Redis())

    with pytest.raises(
        AttributeError, match=r"Garden\.plants is a declared field and cannot be assigned.*plants\.clear"
    ):
        garden.plants = RedisHash(Redis(), "x", Plant)
    with pytest.raises(AttributeError, match=r"Garden\.plants is a declared field and cannot be deleted"):
        del garden.plants


def test_a_store_is_neither_copied_nor_pickled() -> None:
    """It holds a connection: a copy would close it for the original."""
    garden = Garden(Redis())

    for attempt in (copy.copy, copy.deepcopy, pickle.dumps):
        with pytest.raises(TypeError, match=r"a Garden cannot be copied or pickled.*Garden\(client\)"):
            attempt(garden)


async def test_a_store_does_not_close_the_client_of_its_user(redis: Redis) -> None:
    """Neither ``aclose`` nor ``async with`` touches a client that was passed in."""
    async with Garden(redis) as garden:
        await garden.plants.set("spinach", SPINACH)
    await garden.aclose()

    assert await garden.plants.get("spinach") == SPINACH
    assert await command(redis, "PING")


# --- declared policies ------------------------------------------------------------------------------


async def test_ttl_policies_reach_the_server(redis: Redis) -> None:
    """Store default < Annotated < field(ttl=), as the server sees it."""

    class Timed(Store, namespace="store-timed", ttl=TTL(hours=1)):
        plain: RedisHash[str]
        annotated: Annotated[RedisHash[str], TTL(hours=2)]
        given: Annotated[RedisList[str], TTL(hours=2)] = field(ttl=TTL(hours=3))

    timed = Timed(redis)
    await timed.plain.set("a", "b")
    await timed.annotated.set("a", "b")
    await timed.given.append("a")

    left = [await redis.pttl(spec.key) for spec in fields(Timed).values()]
    assert [round(ms / 3_600_000, 1) for ms in left] == [1, 2, 3]


class Shouting(Codec[str]):
    """Stores text in capitals, marked."""

    def __init__(self, mark: str = "!") -> None:
        self._mark = mark

    def encode(self, value: str, /) -> bytes:
        return (value.upper() + self._mark).encode()

    def decode(self, raw: bytes, /) -> str:
        return raw.decode().removesuffix(self._mark).lower()


async def test_a_codec_of_the_field_wins_over_the_store(redis: Redis) -> None:
    """The store's factory makes codecs for all fields but those that bring their own."""
    asked: list[object] = []

    def factory(value_type: TypeForm[T], /) -> Codec[T]:
        asked.append(value_type)
        return cast("Codec[T]", Shouting())

    class Loud(Store, namespace="store-loud", codec=factory):
        words: RedisHash[str]
        louder: RedisHash[str] = field(codec=Shouting("!!"))
        made: RedisList[str] = field(codec=codec_for)

    loud = Loud(redis)
    for words in (loud.words, loud.louder):
        await words.set("a", "b")
        assert await words.get("a") == "b"
    await loud.made.append("b")

    assert await redis.hget("{store-loud}:words", "a") == b"B!"
    assert await redis.hget("{store-loud}:louder", "a") == b"B!!"
    assert await redis.lindex("{store-loud}:made", 0) == b"b"
    assert {*asked} == {str}


# --- clear ------------------------------------------------------------------------------------------


async def test_clear_deletes_the_stores_own_keys_only(redis: Redis) -> None:
    """Neighbours whose keys look alike stay, however hostile their names."""
    garden = Garden(redis)
    neighbours = [
        "store-garden",
        "store-garden:plants",
        "{store-garden}",
        "{store-garden}:",
        "{store-garden}:plants:x",
        "{store-garden}:log",
        "{store-garden}:*",
        "{store-garden2}:plants",
        "x{store-garden}:plants",
        "{store-garden}:plant?",
        "redis_hash2",
    ]
    for key in neighbours:
        await redis.set(key, "stays")
    await garden.plants.set("spinach", SPINACH)
    await garden.log.append("planted")
    await garden.old.set("a", "b")

    assert await garden.clear() == 3
    assert await garden.clear() == 0
    assert await command(redis, "EXISTS", *neighbours) == len(neighbours)
    assert await command(redis, "DBSIZE") == len(neighbours)


async def test_clear_is_one_command(redis: Redis) -> None:
    """All keys go in one UNLINK, at one moment and in one round trip."""
    garden = Garden(redis)
    await garden.log.append("planted")
    await command(redis, "CONFIG", "RESETSTAT")

    await garden.clear()

    stats = str(await command(redis, "INFO", "commandstats"))
    counted = dict(re.findall(r"cmdstat_(\w+)\S*?:\D*calls\D+(\d+)", stats.replace("': ", ":")))
    assert counted.pop("unlink") == "1"
    assert {*counted} <= {"config", "info"}


async def test_clear_without_fields_sends_nothing() -> None:
    """There is nothing to delete, and no server is asked."""
    assert await Empty(Redis(host="127.0.0.1", port=1)).clear() == 0


# --- opened -----------------------------------------------------------------------------------------


async def test_open_makes_a_store_with_a_client_of_its_own(redis: Redis, server_url: str) -> None:
    """``async with Garden.open(url)`` works on the server behind the URL, and is closed behind the block."""
    async with Garden.open(server_url) as garden:
        await garden.plants.set("spinach", SPINACH)

    assert await redis.hlen("{store-garden}:plants") == 1
    with pytest.raises(StoreClosed, match="open it again"):
        await garden.plants.get("spinach")
    with pytest.raises(StoreClosed):
        await garden.clear()


async def test_open_does_no_io() -> None:
    """The server is asked at the first call, so that a store can be opened before it is up."""
    garden = Garden.open("redis://127.0.0.1:1")
    await garden.aclose()


async def test_a_unix_socket_can_be_opened(server: Server, redis: Redis) -> None:
    """``unix://`` URLs name a socket."""
    async with Garden.open(f"unix://{server.socket_path}") as garden:
        await garden.log.append("planted")

    assert await redis.llen("{store-garden}:diary") == 1


async def test_an_exception_in_the_block_closes_the_store(server_url: str) -> None:
    """The exception goes on, and the store is closed."""
    garden = Garden.open(server_url)

    async def use() -> None:
        async with garden:
            await garden.log.append("planted")
            raise ZeroDivisionError

    with pytest.raises(ZeroDivisionError):
        await use()

    with pytest.raises(StoreClosed):
        await garden.log.len()


async def test_aclose_closes_connections_and_twice_is_once(redis: Redis, server_url: str) -> None:
    """No connection is left on the server."""
    garden = Garden.open(server_url + "?client_name=closing")
    await garden.log.append("planted")

    await garden.aclose()
    await asyncio.gather(garden.aclose(), garden.aclose())

    async with asyncio.timeout(5):  # the server sees the end of the connection in its own time
        while "closing" in str(await command(redis, "CLIENT", "LIST")):
            pass


async def test_an_embedded_server_belongs_to_its_store() -> None:
    """``embedded://`` is a real server, alone for this store, and gone when it is closed."""
    async with Garden.open("embedded://") as garden, Garden.open("embedded://") as other:
        await garden.plants.set("spinach", SPINACH)
        assert await garden.plants.get("spinach") == SPINACH
        assert await other.plants.get("spinach") is None
        servers = [opened.server for store in (garden, other) if (opened := store.__purse_opened__) is not None]
        assert len(servers) == 2
        assert all(server is not None and server.running for server in servers)

    assert not any(server is not None and server.running for server in servers)
    with pytest.raises(StoreClosed):
        await garden.plants.get("spinach")


async def test_an_embedded_store_may_be_sent_elsewhere(
    redis: Redis, server_url: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """With ``PURSE_REDIS_URL`` in the environment ``embedded://`` starts nothing and uses that server."""
    monkeypatch.setenv("PURSE_REDIS_URL", server_url)

    async with Garden.open("embedded://") as garden, Garden.open(server_url) as other:
        await garden.log.append("planted")

        assert await other.log.slice(0) == ["planted"]


async def test_a_collection_keeps_its_embedded_server() -> None:
    """Who keeps only a collection can go on using it."""
    log = Garden.open("embedded://").log
    gc.collect()

    assert await log.append("planted") == 1


async def test_a_dropped_embedded_store_takes_its_server_with_it() -> None:
    """Without ``aclose`` the server ends with the last object that could use it."""
    garden = Garden.open("embedded://")
    opened, there = garden.__purse_opened__, weakref.ref(garden)
    assert opened is not None
    assert opened.server is not None
    server = opened.server

    del garden, opened
    gc.collect()

    assert there() is None
    assert not server.running


def test_a_store_that_cannot_be_bound_leaves_no_server() -> None:
    """``open`` that fails stops what it has started."""

    class Logged(Store):
        log: RedisList[str]

    before = [thing for thing in gc.get_objects() if isinstance(thing, Server) and thing.running]
    with pytest.raises(DeclarationError, match="Logged has no namespace"):
        Logged.open("embedded://")
    after = [thing for thing in gc.get_objects() if isinstance(thing, Server) and thing.running]

    assert len(after) <= len(before)


@pytest.mark.parametrize(
    ("url", "message"),
    [
        ("localhost:6379", "open() takes a URL, not a text without ://. Write one of: redis://"),
        ("", "open() takes a URL, not an empty text"),
        ("user:secret@localhost", "open() takes a URL, not a text without ://"),
        ("http://localhost", "open() does not know http://. Write one of: redis://"),
        ("http://u:secret@localhost", "open() does not know http://"),
        ("redis://localhost:port", "open(): this redis:// URL does not have an address of the form host or host:port"),
        ("redis://u:secret/x@localhost", "open(): this redis:// URL does not have an address"),
        ("redis://localhost?socket_timeout=soon", "has the option socket_timeout with a value that redis-py refuses"),
        ("redis://localhost?scoket_timeout=1", "has the option scoket_timeout that redis-py does not know"),
        ("embedded://somewhere", 'this URL has text behind "embedded://": write only'),
        (None, "open() takes a URL as a str, not a NoneType"),
        (b"redis://localhost", "open() takes a URL as a str, not a bytes"),
    ],
)
def test_a_wrong_url_is_refused_with_the_accepted_forms(url: str, message: str) -> None:
    """What is wrong is said, what is accepted as well, and no password."""
    with pytest.raises(ValueError, match=re.escape(message)) as caught:
        Garden.open(url)

    assert "embedded://" in str(caught.value)
    assert "secret" not in str(caught.value)


@pytest.mark.rows(1)
@pytest.mark.parametrize("url", ["embedded://", "server"])
def test_a_store_that_is_never_closed_does_not_complain_at_exit(server_url: str, url: str) -> None:
    """A script may simply end: nothing is printed and the exit status is 0."""
    script = textwrap.dedent(
        """
        import asyncio, sys
        from purse import RedisList, Store

        class Garden(Store, namespace="garden"):
            log: RedisList[str]

        async def main():
            global garden
            garden = Garden.open(sys.argv[1])
            await garden.log.append("planted")

        asyncio.run(main())
        """
    )

    ended = subprocess.run(
        [sys.executable, "-c", script, server_url if url == "server" else url],
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )

    assert (ended.returncode, ended.stdout, ended.stderr) == (0, "", "")
