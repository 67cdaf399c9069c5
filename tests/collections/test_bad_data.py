"""What does not fit: bytes that are no value, keys of another type, values that cannot be stored, refusals."""

from __future__ import annotations

import pickle
from collections.abc import AsyncIterator, Awaitable, Callable
from typing import TypeAlias, cast

import pytest
from redis.asyncio import Redis
from redis.exceptions import NoPermissionError, OutOfMemoryError, ReadOnlyError, ResponseError

from purse.collections import RedisHash, RedisList
from purse.embedded import Server
from purse.errors import DecodeError, EncodeError, WrongKind
from purse.ttl import TTL
from tests.collections.garden import Plant, Tree, collect
from tests.collections.tables import hash as hash_
from tests.support.clients import connect
from tests.support.monitor import Monitor
from tests.support.units import send

Plants: TypeAlias = RedisHash[Plant]
Rows: TypeAlias = RedisList[Plant]

PEA = Plant(name="pea")
PEA_RAW = PEA.model_dump_json().encode()
BAD = {
    "no UTF-8": b"\xff\xfe\x00",
    "no JSON": b"pea",
    "empty": b"",
    "another shape": b'{"name": 3}',
    "another type": b"[1, 2]",
    "cut short": PEA_RAW[:-1],
}

bad_bytes = pytest.mark.parametrize("raw", BAD.values(), ids=BAD.keys())


@pytest.fixture
def rows(redis: Redis) -> Rows:
    return RedisList(redis, "rows", Plant)


def check(error: DecodeError, key: str, field: object, raw: bytes) -> None:
    """The error says where and what, in attributes and in words, and survives a pickle."""
    assert (error.key, error.field, error.raw) == (key, field, raw)
    assert str(error).startswith(key if field is None else f"{key}[{field!r}]")
    assert isinstance(error, ValueError)
    copy = pickle.loads(pickle.dumps(error))
    assert (copy.key, copy.field, copy.raw, str(copy)) == (key, field, raw, str(error))


# --- bytes that are no value: hash --------------------------------------------------------------


async def _edit(plants: Plants) -> None:
    async with plants.edit("bed", default=PEA):
        pytest.fail("the block ran")


RETURNING: dict[str, Callable[[Plants], Awaitable[object]]] = {
    "get": lambda h: h.get("bed"),
    "get with default": lambda h: h.get("bed", PEA),
    "setdefault": lambda h: h.setdefault("bed", PEA),
    "modify": lambda h: h.modify("bed", lambda plant: plant, default=PEA),
    "edit": _edit,
    "get_many": lambda h: h.get_many(["good", "bed"]),
    "dict": lambda h: h.dict(),
    "values": lambda h: collect(h.values()),
    "items": lambda h: collect(h.items()),
    "async for": collect,
}


@pytest.mark.parametrize("call", RETURNING.values(), ids=RETURNING.keys())
async def test_bad_bytes_in_a_hash(plants: Plants, redis: Redis, call: Callable[[Plants], Awaitable[object]]) -> None:
    """Every method that would return a bad value raises a DecodeError naming key and field, and leaves it."""
    for raw in BAD.values():
        await redis.hset(plants.rkey, mapping={"good": PEA_RAW, "bed": raw})

        with pytest.raises(DecodeError) as caught:
            await call(plants)

        check(caught.value, plants.rkey, "bed", raw)
        assert await redis.hgetall(plants.rkey) == {b"good": PEA_RAW, b"bed": raw}


@bad_bytes
async def test_a_popped_bad_value_is_carried(plants: Plants, redis: Redis, raw: bytes) -> None:
    """``pop`` removes the value whatever it is: the DecodeError carries the bytes, whole."""
    await redis.hset(plants.rkey, mapping={"good": PEA_RAW, "bed": raw})

    with pytest.raises(DecodeError) as caught:
        await plants.pop("bed")

    check(caught.value, plants.rkey, "bed", raw)
    assert await redis.hkeys(plants.rkey) == [b"good"]


@bad_bytes
async def test_what_does_not_decode_can_be_replaced(plants: Plants, redis: Redis, raw: bytes) -> None:
    """Bad bytes do not stand in the way of methods that do not return them."""
    await redis.hset(plants.rkey, "bed", raw)

    assert await plants.contains("bed") is True
    assert await plants.len() == 1
    assert await collect(plants.keys()) == ["bed"]
    assert await plants.set("bed", PEA) == 0
    assert await plants.get("bed") == PEA


@bad_bytes
async def test_a_hash_can_skip_bad_values(plants: Plants, redis: Redis, raw: bytes) -> None:
    """``on_error="skip"`` passes over bad values and yields all the others, in every page."""
    good = {f"plant{n}": Plant(name=str(n)) for n in range(600)}
    await plants.update(good)
    await redis.hset(plants.rkey, mapping={f"bad{n}": raw for n in range(600)})

    assert {key: plant async for key, plant in plants.items(on_error="skip")} == good
    assert len(await collect(plants.values(on_error="skip"))) == 600
    assert len(await collect(plants.keys(on_error="skip"))) == 1200


async def test_bad_keys_of_a_hash(redis: Redis) -> None:
    """A field that is no valid key is a DecodeError that carries it; iteration can skip it."""
    plots = RedisHash(redis, "plots", str, key_type=int)
    await redis.hset("plots", mapping={"1": "pea", "x": "bean"})

    for call in (plots.dict(), collect(plots), collect(plots.keys()), collect(plots.values())):
        with pytest.raises(DecodeError) as caught:
            await call
        check(caught.value, "plots", b"x", b"x")

    assert await collect(plots.keys(on_error="skip")) == [1]
    assert await collect(plots.items(on_error="skip")) == [(1, "pea")]
    assert await collect(plots.values(on_error="skip")) == ["pea"]


async def test_strings_that_are_no_utf8(redis: Redis) -> None:
    """A ``str`` value or key that is not UTF-8 is a DecodeError, never a replacement character."""
    words = RedisHash(redis, "words", str)
    await redis.hset("words", mapping={"value": b"\xff", b"\xfe": "key"})

    with pytest.raises(DecodeError) as caught:
        await words.get("value")
    check(caught.value, "words", "value", b"\xff")
    assert await collect(words.items(on_error="skip")) == []
    with pytest.raises(DecodeError):
        await collect(words.keys())


# --- bytes that are no value: list --------------------------------------------------------------


ROWS_RETURNING: dict[str, tuple[Callable[[Rows], Awaitable[object]], int]] = {
    "getitem": (lambda xs: xs.getitem(1), 1),
    "getitem from the end": (lambda xs: xs.getitem(-1), -1),
    "slice": (lambda xs: xs.slice(0), 1),
    "slice from there": (lambda xs: xs.slice(1, 2), 1),
    "values": (lambda xs: collect(xs.values(1)), 1),
    "async for": (collect, 1),
}


@pytest.mark.parametrize(("call", "field"), ROWS_RETURNING.values(), ids=ROWS_RETURNING.keys())
async def test_bad_bytes_in_a_list(
    rows: Rows, redis: Redis, call: Callable[[Rows], Awaitable[object]], field: int
) -> None:
    """Every method that would return a bad element raises a DecodeError naming key and index, and leaves it."""
    for raw in BAD.values():
        await redis.delete("rows")
        await redis.rpush("rows", PEA_RAW, raw)

        with pytest.raises(DecodeError) as caught:
            await call(rows)

        check(caught.value, "rows", field, raw)
        assert await redis.lrange("rows", 0, -1) == [PEA_RAW, raw]


@bad_bytes
async def test_popped_bad_elements_are_carried(rows: Rows, redis: Redis, raw: bytes) -> None:
    """``pop`` and ``popleft`` remove the element whatever it is: the DecodeError carries the bytes, whole."""
    await redis.rpush("rows", raw, PEA_RAW, raw)

    with pytest.raises(DecodeError) as caught:
        await rows.pop()
    check(caught.value, "rows", -1, raw)
    with pytest.raises(DecodeError) as caught:
        await rows.popleft()
    check(caught.value, "rows", 0, raw)

    assert await redis.lrange("rows", 0, -1) == [PEA_RAW]


@bad_bytes
async def test_a_moved_bad_element_is_in_the_destination(rows: Rows, redis: Redis, raw: bytes) -> None:
    """``move`` raises a DecodeError for a bad element; it is in the destination, not lost."""
    await redis.rpush("rows", raw)

    with pytest.raises(DecodeError) as caught:
        await rows.move(RedisList(redis, "others", Plant))

    check(caught.value, "rows", None, raw)
    assert await redis.lrange("others", 0, -1) == [raw]
    assert not await rows.exists()


@bad_bytes
async def test_a_list_can_skip_bad_elements(rows: Rows, redis: Redis, raw: bytes) -> None:
    """``on_error="skip"`` passes over bad elements and keeps the order of the others."""
    for n in range(6):
        await rows.append(Plant(name=str(n)))
        await redis.rpush("rows", raw, raw, raw)

    assert [plant.name async for plant in rows.values(4, on_error="skip")] == [*"012345"]
    assert await rows.len() == 24


# --- a key of another type ----------------------------------------------------------------------

POLICIES = {
    "no policy": None,
    "write": TTL(hours=1),
    "read": TTL(hours=1, renew="read"),
    "never": TTL(hours=1, renew="never"),
}
policies = pytest.mark.parametrize("policy", POLICIES.values(), ids=POLICIES.keys())


async def untouched(redis: Redis, call: Callable[[], Awaitable[object]]) -> None:
    """``call`` on the key "thing" is refused, and neither what is there nor its time to live changes."""
    await redis.persist("thing")
    before = await redis.dump("thing")
    for left_ms in (-1, 50_000):
        if left_ms > 0:
            await redis.pexpire("thing", left_ms)

        with pytest.raises(WrongKind, match=r"^thing") as caught:
            await call()

        assert caught.value.key == "thing"
        assert isinstance(caught.value, ResponseError)
        assert await redis.dump("thing") == before
        assert -1 <= await redis.pttl("thing") <= left_ms


async def test_edits_and_2x_forms_on_a_key_of_another_type(redis: Redis) -> None:
    """``edit`` and the removal of values with several stored forms are refused like all others."""
    await redis.set("thing", "x")
    forms = RedisList(redis, "thing", cast("type[dict[str, int]]", dict), ttl=TTL(hours=1))

    async def edit() -> None:
        async with RedisHash(redis, "thing", Plant, ttl=TTL(hours=1)).edit("bed", default=PEA):
            pytest.fail("the block ran")

    await untouched(redis, edit)
    await untouched(redis, lambda: forms.remove({"a": 1, "b": 2}))
    await untouched(redis, lambda: forms.index({"a": 1, "b": 2}))


@policies
async def test_a_move_to_a_key_of_another_type(redis: Redis, policy: TTL | None) -> None:
    """``move`` to a key that is no list raises WrongKind naming both keys; nothing moves, no TTL changes."""
    source = RedisList(redis, "source", int)
    await source.extend([1, 2])
    await redis.set("thing", "x")
    target = RedisList(redis, "thing", int, ttl=policy, maxlen=5)

    with pytest.raises(WrongKind, match=r"^source or thing") as caught:
        await source.move(target)

    assert caught.value.key == "source"
    assert await source.slice(0) == [1, 2]
    assert await redis.get("thing") == b"x"
    assert await redis.pttl("thing") == -1
    assert await source.pttl() == -1


async def test_per_item_policies_on_a_key_of_another_type(redis: Redis) -> None:
    """With a policy per item, too, a write to a key that is no hash leaves it alone."""
    visits = hash_.build(redis, TTL(hours=1, per_item=True))
    await redis.set(hash_.KEY, "x")

    for case in hash_.CALLS:
        if case.clock in ("write", "read"):
            with pytest.raises(ResponseError, match=rf"^{hash_.KEY}"):
                await case.call(visits)

    assert await redis.get(hash_.KEY) == b"x"
    assert await redis.pttl(hash_.KEY) == -1


# --- values that cannot be stored ---------------------------------------------------------------


def mutated() -> Plant:
    plant = Plant(name="pea")
    plant.healthiness = cast("float", "very")
    return plant


UNFIT: dict[str, Callable[[], object]] = {
    "None": lambda: None,
    "wrong type": lambda: "pea",
    "dict of the right shape": lambda: {"name": "pea"},
    "subclass": lambda: Tree(name="oak"),
    "mutated": mutated,
    "unvalidated": lambda: Plant.model_construct(healthiness=1.0),
}


STORING: dict[str, Callable[[Plants, Plant], Awaitable[object]]] = {
    "set": lambda h, value: h.set("bed", value),
    "setdefault": lambda h, value: h.setdefault("bed", value),
    "update": lambda h, value: h.update({"good": PEA, "bed": value}),
    "modify default": lambda h, value: h.modify("bed", lambda _: PEA, default=value),
}


@pytest.mark.parametrize("call", STORING.values(), ids=STORING.keys())
async def test_unfit_values_of_a_hash(
    plants: Plants, monitor: Monitor, call: Callable[[Plants, Plant], Awaitable[object]]
) -> None:
    """A value that does not fit the declared type is an EncodeError naming key and field; nothing is sent."""
    await plants.set("bed", PEA)
    await monitor.commands()

    for make in UNFIT.values():
        with pytest.raises(EncodeError, match=r"^\{garden\}:plants\['bed'\]") as caught:
            await call(plants, cast("Plant", make()))
        assert (caught.value.key, caught.value.field) == (plants.rkey, "bed")

    assert await monitor.commands() == []
    assert await plants.dict() == {"bed": PEA}


async def test_unfit_values_of_modify(plants: Plants) -> None:
    """What a function returns is checked like any other value, and the old value stays."""
    await plants.set("bed", PEA)

    for make in UNFIT.values():
        with pytest.raises(EncodeError, match=r"^\{garden\}:plants\['bed'\]"):
            await plants.modify("bed", lambda _: cast("Plant", make()))  # noqa: B023 - awaited here

    assert await plants.get("bed") == PEA


TAKING_AN_ELEMENT: dict[str, tuple[Callable[[Rows, Plant], Awaitable[object]], int | None]] = {
    "append": (lambda xs, value: xs.append(value), None),
    "appendleft": (lambda xs, value: xs.appendleft(value), None),
    "extend": (lambda xs, value: xs.extend([PEA, value]), 1),
    "extendleft": (lambda xs, value: xs.extendleft([PEA, PEA, value]), 2),
    "setitem": (lambda xs, value: xs.setitem(0, value), 0),
    "insert": (lambda xs, value: xs.insert(-1, value), -1),
    "contains": (lambda xs, value: xs.contains(value), None),
    "index": (lambda xs, value: xs.index(value), None),
    "remove": (lambda xs, value: xs.remove(value), None),
}


@pytest.mark.parametrize(("call", "field"), TAKING_AN_ELEMENT.values(), ids=TAKING_AN_ELEMENT.keys())
async def test_unfit_elements_of_a_list(
    rows: Rows, monitor: Monitor, call: Callable[[Rows, Plant], Awaitable[object]], field: int | None
) -> None:
    """An element that does not fit the declared type is an EncodeError naming the key; nothing is sent."""
    await rows.append(PEA)
    await monitor.commands()

    for make in UNFIT.values():
        with pytest.raises(EncodeError, match=r"^rows") as caught:
            await call(rows, cast("Plant", make()))
        assert (caught.value.key, caught.value.field) == ("rows", field)

    assert await monitor.commands() == []
    assert await rows.slice(0) == [PEA]


TAKING_A_KEY: dict[str, Callable[[Plants, str], Awaitable[object]]] = {
    "set": lambda h, key: h.set(key, PEA),
    "get": lambda h, key: h.get(key),
    "setdefault": lambda h, key: h.setdefault(key, PEA),
    "pop": lambda h, key: h.pop(key),
    "delete": lambda h, key: h.delete(key),
    "contains": lambda h, key: h.contains(key),
    "modify": lambda h, key: h.modify(key, lambda plant: plant),
    "update": lambda h, key: h.update({"good": PEA, key: PEA}),
    "get_many": lambda h, key: h.get_many(["good", key]),
    "delete_many": lambda h, key: h.delete_many(["good", key]),
}


@pytest.mark.parametrize("call", TAKING_A_KEY.values(), ids=TAKING_A_KEY.keys())
async def test_unfit_keys(plants: Plants, monitor: Monitor, call: Callable[[Plants, str], Awaitable[object]]) -> None:
    """A key that does not fit the declared type is an EncodeError that names it; nothing is sent."""
    await plants.set("good", PEA)
    await monitor.commands()

    for key in (1, None, b"bed", "\ud800"):
        with pytest.raises(EncodeError, match=r"^\{garden\}:plants") as caught:
            await call(plants, cast("str", key))
        assert (caught.value.key, caught.value.field) == (plants.rkey, key)

    assert await monitor.commands() == []
    assert await plants.dict() == {"good": PEA}


# --- refusals of the server ---------------------------------------------------------------------

GROWING: dict[str, Callable[[RedisHash[int], RedisList[int]], Awaitable[object]]] = {
    "set": lambda h, xs: h.set("new", 5),
    "setdefault": lambda h, xs: h.setdefault("new", 5),
    "increment": lambda h, xs: h.increment("new"),
    "modify": lambda h, xs: h.modify("new", lambda n: n + 1, default=0),
    "update": lambda h, xs: h.update({str(n): n for n in range(1200)}),
    "append": lambda h, xs: xs.append(5),
    "appendleft": lambda h, xs: xs.appendleft(5),
    "extend": lambda h, xs: xs.extend(range(1200)),
    "extendleft": lambda h, xs: xs.extendleft(range(1200)),
    "insert": lambda h, xs: xs.insert(1, 5),
}
with_and_without_policy = pytest.mark.parametrize("policy", [None, TTL(hours=1)], ids=["no policy", "policy"])


async def refused(redis: Redis, policy: TTL | None, expected: type[ResponseError], word: str) -> None:
    """Each call raises redis-py's class, with a note that names the key; nothing was written."""
    visits, numbers = RedisHash(redis, "visits", int, ttl=policy), RedisList(redis, "numbers", int, ttl=policy)

    for name, call in GROWING.items():
        with pytest.raises(ResponseError, match=word) as caught:
            await call(visits, numbers)
        assert isinstance(caught.value, expected), name
        assert any("visits" in note or "numbers" in note for note in caught.value.__notes__), name

    assert await visits.dict() == {"a": 1}
    assert await numbers.slice(0) == [1, 2, 3]
    assert await visits.pttl() == await numbers.pttl() == -1


@pytest.fixture(scope="module")
def filled_server() -> Server:
    """A server of this module's own, because the tests change its settings."""
    return Server(port=0, password="")


@pytest.fixture
async def own(filled_server: Server) -> AsyncIterator[Redis]:
    """A client of a server that the test may change, with a hash and a list."""
    with filled_server:
        client = connect(filled_server.url)
        await client.hset("visits", "a", "1")
        await client.rpush("numbers", "1", "2", "3")
        yield client
        await client.aclose()


@with_and_without_policy
async def test_out_of_memory(own: Redis, policy: TTL | None) -> None:
    """A server without memory refuses writes that need some: OutOfMemoryError, and nothing is half-written."""
    await send(own, "CONFIG", "SET", "maxmemory-policy", "noeviction")
    await send(own, "CONFIG", "SET", "maxmemory", "1")

    await refused(own, policy, OutOfMemoryError, "OOM|maxmemory")


@with_and_without_policy
async def test_a_read_only_replica(own: Redis, policy: TTL | None) -> None:
    """A replica refuses every write: ReadOnlyError, and reads go on."""
    await send(own, "REPLICAOF", "127.0.0.1", 1)

    await refused(own, policy, ReadOnlyError, "read only replica|read only script")


@with_and_without_policy
async def test_a_user_who_may_only_read(own: Redis, filled_server: Server, policy: TTL | None) -> None:
    """A user without the permission is refused: NoPermissionError, and nothing is half-written."""
    rules = ("reset", "on", ">secret", "~*", "+@all", "-hset", "-hincrby", "-@list", "+llen", "+lrange")
    await send(own, "ACL", "SETUSER", "reader", *rules)
    client = connect(filled_server.url, username="reader", password="secret")

    await refused(client, policy, NoPermissionError, "permissions|can't run this command|ACL failure")
