"""RedisKeySpace.get_or_create: what was computed from old data is not stored after the entry was removed."""

from __future__ import annotations

import asyncio
import random
from collections.abc import AsyncIterator, Awaitable, Callable
from typing import TypeAlias

import pytest
from redis.asyncio import Redis
from redis.exceptions import NoPermissionError

from purse import RedisKeySpace, Store
from purse.embedded import Server
from tests.collections.garden import collect
from tests.support.children import start_python
from tests.support.clients import all_keys, command, connect
from tests.support.polling import until

Pages: TypeAlias = RedisKeySpace[str]
Call: TypeAlias = Callable[[Pages], Awaitable[object]]


class Site(Store, namespace="site"):
    pages: RedisKeySpace[str]
    spread: RedisKeySpace[str] = RedisKeySpace.field(slots="key")


class Data:
    """What a factory reads, and then waits."""

    def __init__(self) -> None:
        self.version = "old"
        self.reads = 0
        self.gate = asyncio.Event()

    async def read(self) -> str:
        found = self.version
        self.reads += 1
        await self.gate.wait()
        return found

    async def count(self) -> int:
        """How often they were read."""
        return self.reads


@pytest.fixture
async def others(server: Server, redis: Redis) -> AsyncIterator[Redis]:
    """Another client."""
    client = connect(server.url)
    yield client
    await client.aclose()


async def twice(pages: Pages, write: Awaitable[object], removal: Awaitable[object]) -> None:
    await write
    await removal


REMOVALS: dict[str, Call] = {
    "delete": lambda p: p.delete("a"),
    "delete_many": lambda p: p.delete_many([*"ab"]),
    "delete_many of 1001": lambda p: p.delete_many(["a", *map(str, range(1000))]),
    "pop": lambda p: p.pop("a"),
    "expire": lambda p: p.expire("a", 0),
    "pexpire": lambda p: p.pexpire("a", -5),
    "clear": lambda p: p.clear(),
    "set and delete": lambda p: twice(p, p.set("a", "other"), p.delete("a")),
    "set and pop": lambda p: twice(p, p.set("a", "other"), p.pop("a")),
    "atomic delete": lambda p: Site(p.redis).atomic(p.delete("a")),
    "atomic pop": lambda p: Site(p.redis).atomic(p.pop("a"), p.contains("a")),
}

SPACES: dict[str, Callable[[Redis], Pages]] = {
    "declared": lambda redis: Site(redis).pages,
    "spread": lambda redis: Site(redis).spread,
    "untagged": lambda redis: RedisKeySpace(redis, "pages:", str),
    "glob": lambda redis: RedisKeySpace(redis, "p[a*]?\\", str),
    "brace": lambda redis: RedisKeySpace(redis, "p}{}", str),
    "like a marker": lambda redis: RedisKeySpace(redis, "ma", str),
}


@pytest.mark.rows(4)
@pytest.mark.parametrize("remove", REMOVALS.values(), ids=REMOVALS.keys())
async def test_a_removal_wins(redis: Redis, others: Redis, remove: Call) -> None:
    """Through any object: nothing is stored, a call that begins after it gets the new data, in each kind of space."""
    for kind, bound in SPACES.items():
        for remover in (bound(redis), bound(others)):
            pages, data = bound(redis), Data()
            early = asyncio.create_task(pages.get_or_create("a", data.read))
            await until(data.count, 1)
            data.version = "new"

            await remove(remover)
            late = [asyncio.create_task(space.get_or_create("a", data.read)) for space in (pages, bound(others))]
            await pages.contains("a")
            data.gate.set()

            assert await early in ("old", "new"), kind  # the new one if that was stored first
            assert await asyncio.gather(*late) == ["new", "new"], kind
            assert await pages.get("a") == "new", kind
            assert await pages.delete("a") == 1, kind
            assert await pages.delete("a") == 0, kind
    assert await all_keys(redis) == []


async def test_the_store_clears_it_too(redis: Redis, others: Redis) -> None:
    """``Store.clear`` of another client."""
    site, data = Site(redis), Data()
    calls = [asyncio.create_task(pages.get_or_create("a", data.read)) for pages in (site.pages, site.spread)]
    await until(data.count, 2)

    await Site(others).clear()
    data.gate.set()

    assert await asyncio.gather(*calls) == ["old", "old"]
    assert await all_keys(redis) == []


@pytest.mark.thorough
async def test_another_process(server: Server, redis: Redis) -> None:
    """A ``delete`` of another process counts."""
    pages, data = Site(redis).pages, Data()
    call = asyncio.create_task(pages.get_or_create("a", data.read))
    await until(data.count, 1)
    code = f"""
import asyncio
from purse import RedisKeySpace, Store
class Site(Store, namespace="site"):
    pages: RedisKeySpace[str]
async def main():
    async with Site.open({server.url!r}) as site:
        assert await site.pages.delete("a") == 0
asyncio.run(main())
"""
    process = await start_python("-c", code)
    assert await process.wait() == 0
    data.gate.set()

    assert await call == "old"
    assert await all_keys(redis) == []


WRITES: dict[str, Call] = {
    "set": lambda p: p.set("a", "newer"),
    "setdefault": lambda p: p.setdefault("a", "newer"),
    "update": lambda p: p.update({"a": "newer"}),
    "set_many": lambda p: p.set_many({"a": "newer"}, 60),
    "modify": lambda p: p.modify("a", lambda text: text + "er", default="new"),
    "delete and set": lambda p: twice(p, p.delete("a"), p.set("a", "newer")),
}


@pytest.mark.parametrize("write", WRITES.values(), ids=WRITES.keys())
async def test_a_newer_write_wins(redis: Redis, others: Redis, write: Call) -> None:
    """All who wait for the factory get what was written, and it stays."""
    pages, data = Site(redis).pages, Data()
    calls = [asyncio.create_task(pages.get_or_create("a", data.read)) for _ in range(3)]
    await until(data.count, 1)

    await write(Site(others).pages)
    data.gate.set()

    assert await asyncio.gather(*calls) == ["newer"] * 3
    assert await pages.get("a") == "newer"
    assert await pages.delete("a") == 1


@pytest.mark.parametrize("key", ["k", "n}k", "{t}k"])
async def test_clear_leaves_neighbours_alone(redis: Redis, key: str) -> None:
    """Only the values of its own entries are not stored, whatever the names look like."""
    prefixes = ["a:", "b:a:", "a*", "a?", "ab:", "{x}:a:", "ma", "x}a:"]
    spaces = {prefix: RedisKeySpace(redis, prefix, str) for prefix in prefixes}
    spaces["c:{"] = RedisKeySpace(redis, "c:{", str, suffix="}")
    spaces["d:{"] = RedisKeySpace(redis, "d:{", str, suffix="}z")
    for cleared in spaces:
        data = Data()
        calls = {prefix: asyncio.create_task(space.get_or_create(key, data.read)) for prefix, space in spaces.items()}
        await until(data.count, len(spaces))

        assert await spaces[cleared].clear() == 0

        assert len(await all_keys(redis)) == len(spaces) - 1, cleared
        data.gate.set()
        await asyncio.gather(*calls.values())
        assert {prefix for prefix, space in spaces.items() if not await space.contains(key)} == {cleared}
        await command(redis, "FLUSHDB")


async def test_markers_are_nobodys_entries(redis: Redis) -> None:
    """While a value is made nobody finds anything, not even with a prefix that the marker's name begins with."""
    data = Data()
    spaces = [RedisKeySpace(redis, prefix, str) for prefix in ("ma", "making!", "pages:")]
    call = asyncio.create_task(spaces[2].get_or_create("a", data.read))
    await until(data.count, 1)

    assert await all_keys(redis) == [b"making!{pages:a}"]
    assert 3_590_000 < await redis.pttl("making!{pages:a}") <= 3_600_000
    for space in (spaces[0], spaces[2]):
        assert await collect(space) == []
        assert await space.len() == 0
    data.gate.set()
    await call


async def test_nothing_is_left_behind(redis: Redis) -> None:
    """A value that was made, or not, leaves no marker; nor does a caller who is cancelled."""
    pages, data = Site(redis).pages, Data()

    with pytest.raises(ZeroDivisionError):
        await pages.get_or_create("a", lambda: str(1 // 0))
    assert await all_keys(redis) == []

    call = asyncio.create_task(pages.get_or_create("a", data.read))
    await until(data.count, 1)
    call.cancel()
    await asyncio.wait([call])
    none: list[bytes] = []
    await until(lambda: all_keys(redis), none)

    assert await pages.get_or_create("a", lambda: "made") == "made"
    assert await all_keys(redis) == [b"{site}:pages:a"]


async def test_in_a_big_database_a_marker_stays_for_a_while(redis: Redis) -> None:
    """For a ``clear`` that searches page by page; it goes with its entry, and is taken over by the next caller."""
    await redis.mset({f"neighbour:{n}": "" for n in range(500)})
    pages = Site(redis).pages

    assert await pages.get_or_create("a", lambda: "made") == "made"
    assert 0 < await redis.pttl("making!{site}:pages:a") <= 10_000
    await command(redis, "UNLINK", "{site}:pages:a")
    assert await pages.get_or_create("a", lambda: "again") == "again"
    assert await pages.clear() == 1

    assert len(await all_keys(redis)) == 500


async def test_a_value_behind_the_search_is_found_by_its_marker(redis: Redis) -> None:
    """``clear`` removes the entry of each marker that it finds, but nothing that is not a string."""
    pages = Site(redis).pages
    await redis.set("making!{site}:pages:a", "token")
    await redis.set("making!{site}:pages:b", "token")
    await redis.rpush("{site}:pages:b", "not an entry")

    assert await pages._delete_found([b"making!{site}:pages:a", b"making!{site}:pages:b"]) == 0  # pyright: ignore[reportPrivateUsage]
    await redis.set("making!{site}:pages:a", "token")
    await pages.set("a", "stored a moment ago")
    assert await pages._delete_found([b"making!{site}:pages:a"]) == 1  # pyright: ignore[reportPrivateUsage]

    assert await all_keys(redis) == [b"{site}:pages:b"]


async def test_what_another_process_makes_is_stored_though_this_one_gives_up(redis: Redis, others: Redis) -> None:
    """Two make the same value; the marker of the one that fails stays for the other."""
    data = Data()
    first = asyncio.create_task(Site(redis).pages.get_or_create("a", data.read))
    await until(data.count, 1)
    second = asyncio.create_task(Site(others).pages.get_or_create("a", data.read))
    await until(data.count, 2)

    first.cancel()
    await asyncio.wait([first])
    data.gate.set()

    assert await second == await Site(redis).pages.get("a") == "old"


@pytest.mark.engines("shared")
async def test_a_user_limited_to_the_entries(server: Server, redis: Redis) -> None:
    """Removes them as before, and cannot make any."""
    await command(redis, "ACL", "SETUSER", "gardener", "reset", "on", ">secret", "~pages:*", "+@all")
    client = connect(server.url, username="gardener", password="secret")
    pages = RedisKeySpace(client, "pages:", str)
    await pages.update({"a": "1", "b": "2", "c": "3"})

    with pytest.raises(NoPermissionError):
        await pages.get_or_create("d", lambda: "4")
    assert (await pages.pop("a"), await pages.delete("b"), await pages.delete_many([*"cx"])) == ("1", 1, 1)

    await client.aclose()
    await command(redis, "ACL", "DELUSER", "gardener")


# --- any interleaving ---------------------------------------------------------------------------------


class Race:
    """Writers that change a source and then remove the entry, and readers with factories that read the source.

    Args:
        spaces: of several clients; two on one client share what is made.
        chance: the seed of everything.
    """

    def __init__(self, spaces: list[Pages], chance: random.Random) -> None:
        self.spaces = spaces
        self.chance = chance
        self.truth = dict.fromkeys("abc", 0)
        self.settled = dict.fromkeys("abc", 0)  # the version that no later call may miss
        self.hits = 0

    async def pause(self) -> None:
        for _ in range(self.chance.choice((0, 0, 1, 3, 10))):
            await asyncio.sleep(0)

    async def write(self) -> None:
        for _ in range(8):
            key, space = self.chance.choice("abc"), self.chance.choice(self.spaces)
            self.truth[key] += 1
            version = self.truth[key]
            await self.pause()
            match self.chance.randrange(6):
                case 0:
                    await space.pop(key)
                case 1:
                    await space.delete_many([key, "x"])
                case 2:
                    await space.expire(key, 0)
                case 3:
                    await space.clear()
                case _:
                    await space.delete(key)
            self.settled[key] = max(self.settled[key], version)
            await self.pause()

    async def read(self) -> None:
        for _ in range(15):
            key, space = self.chance.choice("abc"), self.chance.choice(self.spaces)

            async def load(key: str = key) -> str:
                await self.pause()
                found = self.truth[key]
                await self.pause()
                return str(found)

            least = self.settled[key]
            found = int(await space.get_or_create(key, load))
            assert found >= least, f"{key}: version {found}, and {least} was settled before the call"
            await self.pause()

    async def run(self) -> None:
        await asyncio.gather(*(self.write() for _ in range(3)), *(self.read() for _ in range(6)))
        for key, version in self.truth.items():
            for space in self.spaces:
                assert await space.get(key) in (None, str(version)), key


@pytest.mark.parametrize("neighbours", [0, 1500], ids=["one page", "several pages"])
async def test_the_cache_is_never_behind(server: Server, redis: Redis, others: Redis, neighbours: int) -> None:
    """However writers and readers meet, what is stored in the end is the source's last state or nothing."""
    for seed in range(10):
        await command(redis, "FLUSHDB")
        if neighbours:
            await redis.mset({f"neighbour:{n}": "" for n in range(neighbours)})
        await Race([Site(redis).pages, Site(redis).pages, Site(others).pages], random.Random(seed)).run()
