"""RedisKeySpace: what iteration, ``len`` and ``clear`` see, and what they leave alone."""

from __future__ import annotations

import pytest
from redis.asyncio import Redis

from purse._engine.replies import as_all_bytes
from purse.collections.key_space import RedisKeySpace
from purse.embedded import Server
from purse.errors import DecodeError
from tests.collections.garden import collect, shown
from tests.support.clients import connect
from tests.support.monitor import Monitor
from tests.support.polling import until
from tests.support.units import read

MANY = {str(n): n for n in range(1300)}


@pytest.fixture
def visits(redis: Redis) -> RedisKeySpace[int]:
    return RedisKeySpace(redis, "visits:", int)


async def stored(redis: Redis) -> list[bytes]:
    """Every key of the database."""
    return sorted(as_all_bytes(await read(redis, "KEYS", "*")))


# --- what is seen -------------------------------------------------------------------------------


@pytest.mark.parametrize("batch_hint", [None, 1, 10, 5000])
async def test_everything_is_seen(visits: RedisKeySpace[int], batch_hint: int | None) -> None:
    """Keys, values, pairs and their number, whatever the pages."""
    few = dict([*MANY.items()][:300])
    await visits.update(few)

    assert {*await collect(visits.keys(batch_hint))} == {*few}
    assert {*await collect(visits.keys(batch_hint, True))} == {f"visits:{key}" for key in few}
    assert {*await collect(visits.values(batch_hint))} == {*few.values()}
    assert dict(await collect(visits.items(batch_hint))) == few


async def test_many_pages(visits: RedisKeySpace[int]) -> None:
    """An undisturbed iteration yields each entry once; ``len`` counts and ``clear`` removes as many."""
    await visits.update(MANY)

    assert sorted(await collect(visits)) == sorted(MANY.items())
    assert await visits.len() == len(MANY)
    assert await visits.clear() == len(MANY)
    assert await visits.len() == await visits.clear() == 0
    assert await collect(visits) == []


async def test_match(redis: Redis) -> None:
    """``match`` is a glob on the key, not on the prefix."""
    words = RedisKeySpace(redis, "w*:", str)
    await words.update({key: key for key in ("apple", "avocado", "banana", "a*", "")})

    assert sorted(await collect(words.keys(match="a*"))) == ["a*", "apple", "avocado"]
    assert sorted(await collect(words.values(match=b"[ab]????*"))) == ["apple", "avocado", "banana"]
    assert await collect(words.items(match="a\\*")) == [("a*", "a*")]
    assert await collect(words.keys(match="w*")) == []
    assert await collect(words.keys(match="")) == [""]


async def test_entries_that_stay_are_seen_whatever_else_changes(redis: Redis, visits: RedisKeySpace[int]) -> None:
    """While others come and go, and the server's table is resized, each entry that is there all the time is seen."""
    await visits.update(MANY)
    seen: list[str] = []

    async for key, _ in visits.items(50):
        seen.append(key)
        if len(seen) % 100 == 0:
            await visits.set_many({f"new{len(seen)}:{n}": n for n in range(400)})

    assert {*MANY} <= {*seen}


async def test_items_never_yields_what_vanished(redis: Redis, visits: RedisKeySpace[int]) -> None:
    """Entries removed, or replaced by another type, between SCAN and MGET are passed over, not yielded as None."""
    await visits.update(MANY)
    pairs: list[tuple[str, int]] = []

    async for pair in visits.items(20):
        pairs.append(pair)
        gone = [str((pair[1] + n) % len(MANY)) for n in range(5)]
        await visits.delete_many(gone)
        await redis.rpush(f"visits:{gone[0]}", "x")

    assert pairs
    assert all(MANY[key] == value for key, value in pairs)


async def test_an_expired_entry_is_not_seen(visits: RedisKeySpace[int]) -> None:
    """Neither by iteration nor by ``len``."""
    await visits.set("a", 1, px=1)
    await visits.set("b", 2)
    await until(lambda: visits.contains("a"), answer=False)

    assert await collect(visits) == [("b", 2)]
    assert await visits.len() == 1


# --- what is left alone -------------------------------------------------------------------------

PREFIXES = ["a*", "a", "a?", "a[b]", "a\\", "a\\*", "[", "a^", "a-b", "{a}:", "a*b", " ", "\n", "\0", "ключ🌱"]


@pytest.mark.parametrize("prefix", PREFIXES, ids=shown)
async def test_neighbours_are_never_touched(redis: Redis, prefix: str) -> None:
    """Glob characters in a prefix mean themselves: keys that the pattern would match are neither seen nor removed."""
    neighbours = {f"{other}{tail}": "theirs" for other in PREFIXES for tail in ("", "x", "1:y")}
    neighbours |= {"ab": "theirs", "axb": "theirs", "bx": "theirs", "": "theirs", prefix[:-1]: "theirs"}
    neighbours = {key: value for key, value in neighbours.items() if not key.startswith(prefix)}
    await redis.mset({key.encode(): value for key, value in neighbours.items()})
    mine = RedisKeySpace(redis, prefix, str)
    await mine.update({"1": "mine", "": "mine"})

    assert {*await collect(mine.keys())} == {"1", ""}
    assert await collect(mine.values()) == ["mine", "mine"]
    assert await mine.len() == 2
    assert await mine.clear() == 2
    assert await stored(redis) == sorted(key.encode() for key in neighbours)


async def test_other_types_are_no_entries(redis: Redis, visits: RedisKeySpace[int]) -> None:
    """A hash or list under the prefix is not iterated over, counted or cleared."""
    await visits.update({"a": 1, "b": 2})
    await redis.hset("visits:hash", "f", "1")
    await redis.rpush("visits:list", "1")

    assert sorted(await collect(visits)) == [("a", 1), ("b", 2)]
    assert sorted(await collect(visits.keys())) == ["a", "b"]
    assert (await visits.len(), await visits.clear()) == (2, 2)
    assert await read(redis, "DBSIZE") == 2


# --- what does not decode -----------------------------------------------------------------------


async def test_bad_entries_raise_or_are_skipped(redis: Redis) -> None:
    """By default iteration raises where the bad entry is; ``on_error="skip"`` yields all others, of every page."""
    numbers = RedisKeySpace(redis, "numbers:", int, key_type=int)
    good = {n: -n for n in range(600)}
    await numbers.update(good)
    await redis.mset({f"numbers:{n}": b"x" for n in range(1000, 1300)})
    await redis.mset({f"numbers:x{n}": b"1" for n in range(300)})

    assert dict(await collect(numbers.items(on_error="skip"))) == good
    assert sorted(await collect(numbers.values(on_error="skip"))) == sorted(good.values())
    assert {*await collect(numbers.keys(on_error="skip"))} == {*good, *range(1000, 1300)}
    assert len(await collect(numbers.keys(with_prefix=True))) == 1200
    with pytest.raises(DecodeError, match=r"numbers:\["):
        await collect(numbers)
    with pytest.raises(DecodeError, match=r"numbers:\[b'x\d+'\] does not hold a valid int"):
        await collect(numbers.keys())
    assert await numbers.len() == await numbers.clear() == 1200


async def test_a_name_that_is_no_text(redis: Redis) -> None:
    """``keys(with_prefix=True)`` yields str; a name that is no UTF-8 is a DecodeError or skipped."""
    await redis.set(b"blobs:\xff", b"x")
    blobs = RedisKeySpace(redis, "blobs:", bytes, key_type=bytes)

    assert await collect(blobs) == [(b"\xff", b"x")]
    assert await collect(blobs.keys(with_prefix=True, on_error="skip")) == []
    with pytest.raises(DecodeError, match=r"blobs:\[b'blobs:\\xff'\]"):
        await collect(blobs.keys(with_prefix=True))


async def test_an_unknown_way_to_handle_errors(visits: RedisKeySpace[int]) -> None:
    """Anything but "raise" and "skip" is a ValueError at once."""
    with pytest.raises(ValueError, match="on_error="):
        visits.items(on_error="ignore")  # type: ignore[arg-type]  # pyright: ignore[reportArgumentType]


# --- how ----------------------------------------------------------------------------------------


async def names_of(monitor: Monitor) -> list[str]:
    """The commands since this was last asked, but for what a connection or a transaction begins and ends with."""
    return [words[0] for words in await monitor.commands() if words[0] not in ("HELLO", "CLIENT", "MULTI", "EXEC")]


async def test_pages_over_the_wire(visits: RedisKeySpace[int], monitor: Monitor) -> None:
    """There are SCAN and MGET for each page of about 500; SCAN and UNLINK where it is cleared, and SCAN once more."""
    await visits.update(MANY)
    await monitor.commands()

    await collect(visits)
    names = await names_of(monitor)
    assert {*names} == {"SCAN", "MGET"}
    assert 2 <= names.count("SCAN") <= names.count("MGET") <= 10

    await visits.clear()
    names = await names_of(monitor)
    assert {*names} == {"SCAN", "UNLINK"}
    assert 2 <= names.count("SCAN") <= 15
    assert 2 <= names.count("UNLINK") <= 10


async def test_leaving_early(visits: RedisKeySpace[int], monitor: Monitor) -> None:
    """Whoever leaves the loop has asked for the values of one page more at most."""
    await visits.update(MANY)
    await monitor.commands()

    async for _ in visits.items(100):
        break

    assert (await names_of(monitor)).count("MGET") <= 2


@pytest.mark.engines("shared")
async def test_the_next_page_is_asked_for_before_this_one_is_decoded(
    server: Server, redis: Redis, monitor: Monitor
) -> None:
    """When the first pair is yielded, the values of the second page are on their way."""
    client = connect(server.url)
    visits = RedisKeySpace(client, "visits:", int)
    await visits.update(MANY)
    await monitor.commands()

    pairs = aiter(visits.items(100))
    await anext(pairs)

    assert (await names_of(monitor)).count("MGET") == 2


async def test_bulk_calls_are_one_transaction_of_pages(visits: RedisKeySpace[int], monitor: Monitor) -> None:
    """Of 1300 entries 500 go into one command, and the three commands are one MULTI."""
    await visits.contains("a")
    await monitor.commands()

    await visits.update(MANY)
    await visits.get_many(MANY)
    await visits.delete_many(MANY)
    await visits.update(MANY, if_none_exist=True)

    shape = [(command[0], len(command) - 1) for command in await monitor.commands()]
    expected = [("MULTI", 0), ("MSET", 1000), ("MSET", 1000), ("MSET", 600), ("EXEC", 0)]
    expected += [("MULTI", 0), ("MGET", 500), ("MGET", 500), ("MGET", 300), ("EXEC", 0)]
    expected += [("MULTI", 0), *[("UNLINK", 500), ("UNLINK", 500), ("UNLINK", 300)] * 2, ("EXEC", 0)]
    assert shape == [*expected, ("MSETNX", 2600)]
