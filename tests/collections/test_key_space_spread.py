"""RedisKeySpace with a suffix: each entry in a slot of its own, at the price of what concerns several at one moment."""

from __future__ import annotations

import asyncio

import pytest
from redis.asyncio import Redis
from redis.exceptions import NoPermissionError

from purse._engine.replies import as_all_bytes
from purse.collections.key_space import RedisKeySpace
from purse.embedded import Server
from purse.store import Store
from purse.ttl import TTL
from tests.collections.garden import HOSTILE, collect, shown
from tests.support.clients import connect
from tests.support.monitor import Monitor
from tests.support.units import read, send


@pytest.fixture
def visits(redis: Redis) -> RedisKeySpace[int]:
    return RedisKeySpace(redis, "garden:visits:{", int, suffix="}")


async def fill(visits: RedisKeySpace[int], count: int) -> dict[str, int]:
    """So many entries."""
    numbers = {str(n): n for n in range(count)}
    await asyncio.gather(*(visits.set(key, n) for key, n in numbers.items()))
    return numbers


async def test_the_redis_key_ends_with_the_suffix(redis: Redis, visits: RedisKeySpace[int]) -> None:
    """The key is between prefix and suffix, and what has only one of them is no entry."""
    await visits.set("a", 1)
    await redis.mset({"garden:visits:{b": "2", "garden:visits:c}": "3", "garden:visits:{d}e": "4"})

    assert await redis.get("garden:visits:{a}") == b"1"
    assert await collect(visits) == [("a", 1)]
    assert await collect(visits.keys(with_prefix=True)) == ["garden:visits:{a}"]
    assert (await visits.len(), await visits.clear()) == (1, 1)
    assert await read(redis, "DBSIZE") == 3


@pytest.mark.rows(4)
@pytest.mark.parametrize("key", [*HOSTILE, "a}b", "}{"], ids=shown)
async def test_any_string_is_a_key(visits: RedisKeySpace[int], key: str) -> None:
    """Braces in a key, too."""
    await visits.set(key, 1)

    assert await visits.get(key) == 1
    assert await collect(visits) == [(key, 1)]
    assert await visits.delete_many([key]) == 1


@pytest.mark.parametrize("suffix", ["}", "*", "]", "\\", "a*"])
async def test_a_suffix_means_itself(redis: Redis, suffix: str) -> None:
    """Glob characters in it match nothing else, and a pattern of the caller's cannot swallow it."""
    words = RedisKeySpace(redis, "w[", str, suffix=suffix)
    await words.set("a", "mine")
    await redis.mset({"w[a": "theirs", "w[ax": "theirs", f"w[ab{suffix}x": "theirs", "w[": "theirs"})

    assert await collect(words) == [("a", "mine")]
    for match in ("[a", "a\\", "*[a", "?\\"):
        assert {*await collect(words.keys(match=match))} <= {"a"}
    assert await collect(words.keys(match="[a]")) == ["a"]
    assert await words.clear() == 1


async def test_several_entries_at_one_moment_are_refused(visits: RedisKeySpace[int], redis: Redis) -> None:
    """``update`` and ``set_many`` are a TypeError that says what to write instead; nothing is sent."""
    with pytest.raises(TypeError, match=r"update\(\).*asyncio\.gather\(\*\(space\.set\(key, value\) for key, value in"):
        await visits.update({"a": 1, "b": 2})
    with pytest.raises(TypeError, match=r"set_many\(\).*gather\(\*\(space\.set\(key, value, ex=ttl\)"):
        await visits.set_many({"a": 1}, ttl=5)

    assert await read(redis, "DBSIZE") == 0


async def test_many_entries(visits: RedisKeySpace[int]) -> None:
    """``get_many``, ``delete_many``, iteration, ``len`` and ``clear`` do what they do without a suffix."""
    numbers = await fill(visits, 700)

    assert [*(await visits.get_many(["5", "x", "3"])).items()] == [("5", 5), ("3", 3)]
    assert await visits.get_many([]) == {}
    assert dict(await collect(visits)) == numbers
    assert await visits.delete_many(["1", "2", "x"]) == 2
    assert await visits.delete_many([]) == 0
    assert (await visits.len(), await visits.clear(), await visits.len()) == (698, 698, 0)


async def test_each_command_names_one_key(visits: RedisKeySpace[int], monitor: Monitor) -> None:
    """Nothing that is sent would need two slots, and nothing is a transaction."""
    await fill(visits, 3)
    await monitor.commands()

    await visits.get_many([*"012"])
    await collect(visits)
    await visits.delete_many([*"01"])
    await visits.clear()

    sent = [words for words in await monitor.commands() if words[0] not in ("HELLO", "CLIENT")]
    assert {words[0] for words in sent} == {"MGET", "SCAN", "UNLINK"}
    assert all(len(words) == 2 for words in sent if words[0] != "SCAN")


async def test_each_entry_has_the_declared_time(redis: Redis) -> None:
    """Reads renew entry by entry."""
    visits = RedisKeySpace(redis, "visits:{", int, suffix="}", ttl=TTL(seconds=100, renew="read"))
    await asyncio.gather(visits.set("a", 1, 10), visits.set("b", 2, 10))

    assert await visits.get_many([*"abc"]) == {"a": 1, "b": 2}

    assert await visits.ttl("a") == await visits.ttl("b") == 100
    assert as_all_bytes(await read(redis, "KEYS", "*c*")) == []


class Alone(Store, namespace="key_space_spread"):
    """A store without fields, for its ``atomic``."""


async def test_a_transaction_is_about_one_entry(redis: Redis, visits: RedisKeySpace[int]) -> None:
    """Calls for one key can be one transaction; those for two keys, or for many, are refused."""
    garden = Alone(redis)

    assert await garden.atomic(visits.set("a", 1), visits.increment("a")) == (True, 2)

    with pytest.raises(TypeError, match="slot"):
        await garden.atomic(visits.set("a", 1), visits.set("b", 1))
    for call in (visits.get_many([*"ab"]), visits.delete_many([*"ab"])):
        with pytest.raises(TypeError, match="sends one command for each key"):
            await garden.atomic(call)
    assert await visits.get("b") is None


async def test_a_refused_command_leaves_nothing_running(server: Server, redis: Redis) -> None:
    """If one of the commands is refused, the call raises when the others have ended, and they have done their work."""
    await fill(RedisKeySpace(redis, "visits:{", int, suffix="}"), 50)
    rules = ("reset", "on", ">secret", "~visits:{[1-9]*", "+@all")
    await send(redis, "ACL", "SETUSER", "gardener", *rules)
    client = connect(f"redis://gardener:secret@127.0.0.1:{server.port}", max_connections=1)
    visits = RedisKeySpace(client, "visits:{", int, suffix="}")
    await visits.contains("1")

    with pytest.raises(NoPermissionError):
        await visits.delete_many(map(str, range(50)))

    assert as_all_bytes(await read(redis, "KEYS", "*")) == [b"visits:{0}"]
    await client.aclose()
    await send(redis, "ACL", "DELUSER", "gardener")
