"""Every client reads the same: whatever protocol it speaks, and whether it decodes replies."""

from __future__ import annotations

import math

import pytest
from redis.asyncio import Redis

from purse.collections import RedisHash, RedisKeySpace, RedisList, RedisSet, RedisSortedSet
from purse.embedded import Server
from purse.ttl import TTL
from tests.collections.garden import Plant, collect
from tests.support.clients import connect

READ = TTL(hours=1, renew="read")

protocols = pytest.mark.parametrize("protocol", [2, 3])
decoding = pytest.mark.parametrize("decode", [False, True], ids=["bytes", "decode_responses"])


@protocols
@decoding
async def test_hashes_and_lists(server: Server, redis: Redis, protocol: int, decode: bool) -> None:
    """Whatever protocol the client speaks, and whether it decodes replies, collections return the same."""
    client = connect(server.url, protocol=protocol, decode_responses=decode)
    blobs = RedisHash(client, "blobs", bytes, ttl=READ)
    weights = RedisHash(client, "weights", float)
    plants = RedisHash(client, "plants", Plant)
    log = RedisList(client, "log", bytes, maxlen=3)
    pea = Plant(name="pea")

    assert await blobs.set("a", b"\xff") == 1
    assert await blobs.setdefault("a", b"x") == b"\xff"
    assert await blobs.setdefault("b", b"\xfe") == b"\xfe"
    assert await blobs.get("a") == b"\xff"
    assert await blobs.get("x") is None
    assert await blobs.get_many(["a", "x", "b"]) == {"a": b"\xff", "b": b"\xfe"}
    assert await blobs.dict() == {"a": b"\xff", "b": b"\xfe"}
    assert sorted(await collect(blobs)) == [("a", b"\xff"), ("b", b"\xfe")]
    assert await blobs.pop("a") == b"\xff"
    assert await blobs.contains("a") is False
    assert await blobs.key_type() == "hash"
    assert isinstance(await blobs.dump(), bytes)
    assert 3590 < await blobs.ttl() <= 3600
    assert await weights.increment("a", 1.5) == 1.5
    assert await plants.modify("bed", lambda plant: plant.model_copy(update={"healthiness": 2}), default=pea) == Plant(
        name="pea", healthiness=2
    )
    assert await log.extend([b"\xff", b"\xfe", b"\xfd", b"\xfc"]) == 3
    assert await log.slice(0) == [b"\xfe", b"\xfd", b"\xfc"]
    assert await log.index(b"\xfd") == 1
    assert await log.index(b"x") is None
    assert await log.move(log) == b"\xfe"
    assert await log.pop() == b"\xfe"
    await log.insert(1, b"\x00")
    assert await collect(log) == [b"\xfd", b"\x00", b"\xfc"]
    assert await log.remove(b"\x00") == 1


@protocols
@decoding
@pytest.mark.parametrize("ttl", [None, READ], ids=["no policy", "policy"])
async def test_sets(server: Server, redis: Redis, protocol: int, decode: bool, ttl: TTL | None) -> None:
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


@protocols
@decoding
@pytest.mark.parametrize("ttl", [None, READ], ids=["no policy", "policy"])
async def test_sorted_sets(server: Server, redis: Redis, protocol: int, decode: bool, ttl: TTL | None) -> None:
    """Whatever protocol the client speaks, and whether it decodes replies, the same is returned."""
    client = connect(server.url, protocol=protocol, decode_responses=decode)
    blobs = RedisSortedSet(client, "blobs", bytes, ttl=ttl)
    bets: RedisSortedSet[dict[str, int]] = RedisSortedSet(client, "bets", dict[str, int], ttl=ttl)
    member = {"b": 1, "a": 2}
    everything = [(b"\xfe", -math.inf), (b"a", 0.1), (b"\xff", 1e300)]

    assert await blobs.add_multi(everything) == 3
    assert await blobs.add((b"a", 0.1), ch=True) == 0
    assert await blobs.score(b"a") == 0.1
    assert await blobs.score(b"x") is None
    assert await blobs.score_multi([b"x", b"\xff"]) == [(b"x", None), (b"\xff", 1e300)]
    assert await blobs.rank(b"\xff") == 2
    assert await blobs.rank(b"x") is None
    assert await blobs.slice_by_rank(0, -1) == everything
    assert await blobs.slice_by_score(count=1) == everything[:1]
    assert await blobs.peek_max() == (b"\xff", 1e300)
    assert sorted(await collect(blobs)) == sorted(everything)
    assert await blobs.increment((b"new", math.inf)) == (b"new", math.inf)
    assert await blobs.increment_multi([(b"a", 1), (b"a", 0.5)]) == [(b"a", 1.1), (b"a", 1.6)]
    assert await blobs.increment_multi([(b"n", 1), (b"m", -math.inf)]) == [(b"n", 1), (b"m", -math.inf)]
    assert await blobs.pop_max() == [(b"new", math.inf)]
    assert await blobs.pop_min(2) == [(b"m", -math.inf), (b"\xfe", -math.inf)]
    assert await blobs.blocking_pop_min() == (b"n", 1)
    assert await blobs.pop_max(9) == [(b"\xff", 1e300), (b"a", 1.6)]
    assert await blobs.pop_min() == []

    assert await bets.add((member, 1)) == 1
    assert await bets.increment((member, 1.5)) == (member, 2.5)
    assert await bets.score(member) == 2.5
    assert await bets.remove(member) == 1


@protocols
@decoding
async def test_key_spaces(server: Server, redis: Redis, protocol: int, decode: bool) -> None:
    """Whatever protocol the client speaks, and whether it decodes replies, a key space returns the same."""
    client = connect(server.url, protocol=protocol, decode_responses=decode)
    blobs = RedisKeySpace(client, "blobs:", bytes)
    weights = RedisKeySpace(client, "weights:", float)

    assert await blobs.set("a", b"\xff") is True
    assert await blobs.set("a", b"x", nx=True) is False
    assert await blobs.setdefault("a", b"x") == b"\xff"
    assert await blobs.setdefault("b", b"\xfe") == b"\xfe"
    assert await blobs.get_many(["a", "x", "b"]) == {"a": b"\xff", "b": b"\xfe"}
    assert sorted(await collect(blobs)) == [("a", b"\xff"), ("b", b"\xfe")]
    assert sorted(await collect(blobs.keys(with_prefix=True))) == ["blobs:a", "blobs:b"]
    assert await blobs.update({"c": b"\x00"}, True) is True
    assert await blobs.modify("c", lambda raw: raw + b"\xff") == b"\x00\xff"
    await blobs.set_many({"c": b"d"}, 100)
    assert await blobs.pop("c") == b"d"
    assert await weights.increment("a", 1.5) == 1.5
    assert (await blobs.len(), await weights.len(), await blobs.clear()) == (2, 1, 2)
