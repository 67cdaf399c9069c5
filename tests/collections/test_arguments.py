"""Arguments that look like what is wanted, and what the caller is told; nothing is sent."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from typing import Any

import pytest
from redis.asyncio import Redis

from purse import RedisHash, RedisKeySpace, RedisLifoQueue, RedisList, RedisQueue, RedisRateLimiter, RedisSet
from purse import RedisSortedSet as Ranking
from purse.errors import EncodeError

Call = Callable[[Redis], Awaitable[object]]


async def _is_empty(redis: Redis) -> bool:
    return await redis.dbsize() == 0  # pyright: ignore[reportUnknownMemberType] - redis-py leaves **kwargs untyped


LETTERS: dict[str, tuple[Call, str]] = {
    "list extend": (lambda r: RedisList(r, "k", str).extend("ab"), "write append('ab'), or extend(['ab'])"),
    "list extendleft": (
        lambda r: RedisList(r, "k", str).extendleft("ab"),
        "write appendleft('ab'), or extendleft(['ab'])",
    ),
    "hash get_many": (lambda r: RedisHash(r, "k", int).get_many("ab"), "write get('ab'), or get_many(['ab'])"),
    "hash delete_many": (lambda r: RedisHash(r, "k", int).delete_many("ab"), "write delete('ab'), or delete_many"),
    "key space get_many": (lambda r: RedisKeySpace(r, "k:", int).get_many("ab"), "write get('ab'), or get_many"),
    "key space delete_many": (
        lambda r: RedisKeySpace(r, "k:", int).delete_many("ab"),
        "write delete('ab'), or delete_many(['ab'])",
    ),
    "set contains_many": (
        lambda r: RedisSet(r, "k", str).contains_many("ab"),
        "write contains('ab'), or contains_many(['ab'])",
    ),
    "score_multi": (lambda r: Ranking(r, "k", str).score_multi("ab"), "write score('ab'), or score_multi(['ab'])"),
    "queue put_many": (lambda r: RedisQueue(r, "k", str).put_many("ab"), "write put('ab'), or put_many(['ab'])"),
    "queue put_many_nowait": (
        lambda r: RedisLifoQueue(r, "k", str, maxsize=9).put_many_nowait("ab"),
        "write put_nowait('ab'), or put_many_nowait(['ab'])",
    ),
}
"""Every method that takes an iterable of elements."""


@pytest.mark.parametrize(("call", "fix"), LETTERS.values(), ids=LETTERS.keys())
async def test_a_bare_str_is_not_taken_apart(redis: Redis, call: Call, fix: str) -> None:
    """Of ``extend("ab")`` two letters would be stored, and by ``delete_many("ab")`` two other keys deleted."""
    with pytest.raises(TypeError) as caught:
        await call(redis)

    assert "takes an iterable, and would split a str into its letters: " in str(caught.value)
    assert fix in str(caught.value)
    assert await _is_empty(redis)


async def test_bytes_are_not_taken_apart_into_numbers(redis: Redis) -> None:
    """A list of ints would take them."""
    with pytest.raises(TypeError, match="split a bytes into its numbers: write append"):
        await RedisList(redis, "k", int).extend(b"ab")


PAIRS: list[tuple[str, Callable[[Redis], Any]]] = [
    ("hash", lambda r: RedisHash(r, "k", int)),
    ("key space", lambda r: RedisKeySpace(r, "k:", int)),
]


@pytest.mark.parametrize(("name", "build"), PAIRS)
@pytest.mark.parametrize("pairs", [[("a", 1)], [], (("a", 1),), {"a"}, "ab"])
async def test_update_takes_a_mapping(redis: Redis, name: str, build: Callable[[Redis], Any], pairs: object) -> None:
    """A list of pairs is answered with the call to write, also an empty one."""
    methods = ["update"] if name == "hash" else ["update", "set_many"]
    for method in methods:
        with pytest.raises(
            TypeError, match=rf"{method}\(\) takes a mapping, .* for pairs write {method}\(dict\(pairs\)\)"
        ):
            await getattr(build(redis), method)(pairs)


async def test_an_iterable_is_not_one_member(redis: Redis) -> None:
    """``tags.update([...])`` is refused, and so is ``remove``."""
    tags: RedisSet[Any] = RedisSet(redis, "tags", str)

    for given in (["a", "b"], ("a",), {"a"}, iter(["a"])):
        with pytest.raises(EncodeError, match=r"Nothing was sent\. update\(\) takes the members one by one: write upd"):
            await tags.update(given)
        with pytest.raises(EncodeError, match=r"remove\(\) takes the members one by one: write remove\(\*members\)"):
            await tags.remove(given)
    with pytest.raises(EncodeError) as caught:
        await tags.update(3)
    assert "one by one" not in str(caught.value)
    assert await RedisSet(redis, "pairs", tuple[int, int]).update((1, 2)) == 1


WITHOUT_PAIR: dict[str, tuple[Callable[[Any], Awaitable[object]], str]] = {
    "add": (lambda k: k.add("a", 3), "k: a str is not a pair: write add(('a', 3))"),
    "add two letters": (lambda k: k.add("ab"), "write add(('ab', score))"),
    "add three": (lambda k: k.add(("a", 1, 2)), "k: a tuple is not a pair: write add("),
    "increment": (lambda k: k.increment("a"), "write increment((member, by))"),
    "add_multi dict": (
        lambda k: k.add_multi({"a": 1}),
        "item 0 is a str and not a pair: write add_multi([(member, score), ...]), or add_multi(scores.items()) for a",
    ),
    "add_multi str": (lambda k: k.add_multi("ab"), "write add('ab'), or add_multi(['ab'])"),
    "increment_multi": (
        lambda k: k.increment_multi([("a", 1), "b"]),
        "k: item 1 is a str and not a pair: write increment_multi([(",
    ),
}


@pytest.mark.parametrize(("call", "message"), WITHOUT_PAIR.values(), ids=WITHOUT_PAIR.keys())
async def test_a_member_comes_with_its_score(
    redis: Redis, call: Callable[[Any], Awaitable[object]], message: str
) -> None:
    """``rank.add("a", 3)`` is answered with ``add(("a", 3))``."""
    with pytest.raises(TypeError) as caught:
        await call(Ranking(redis, "k", str))

    assert message in str(caught.value)
    assert await _is_empty(redis)


DURATIONS: dict[str, tuple[Callable[[Any, Any], Awaitable[object]], str]] = {
    "set ex": (lambda s, d: s.set("a", 1, ex=d), "ex= must be a number of seconds or a timedelta"),
    "set px": (lambda s, d: s.set("a", 1, px=d), "px= must be a number of milliseconds or a timedelta"),
    "setdefault": (lambda s, d: s.setdefault("a", 1, ex=d), "ex= must be a number of seconds or a timedelta"),
    "get_or_create": (lambda s, d: s.get_or_create("a", lambda: 1, px=d), "px= must be a number of milliseconds or"),
    "set_many": (lambda s, d: s.set_many({"a": 1}, ttl=d), "ttl= must be a number of seconds or a timedelta"),
    "expire": (lambda s, d: s.expire("a", d), "seconds must be a number of seconds or a timedelta"),
    "pexpire": (lambda s, d: s.pexpire("a", d), "millis must be a number of milliseconds or a timedelta"),
    "hash expire": (lambda s, d: RedisHash(s.redis, "h", int).expire(d), "seconds must be a number of seconds or a"),
    "restore": (
        lambda s, d: RedisHash(s.redis, "h", int).restore(b"", d),
        "ttl= must be a number of milliseconds or a",
    ),
}


@pytest.mark.parametrize(("call", "message"), DURATIONS.values(), ids=DURATIONS.keys())
@pytest.mark.parametrize("given", ["60", True, [60]])
async def test_a_duration_is_a_number(
    redis: Redis, call: Callable[[Any, Any], Awaitable[object]], message: str, given: object
) -> None:
    """``ex="60"`` names the argument, its unit and what was passed."""
    with pytest.raises(TypeError) as caught:
        await call(RedisKeySpace(redis, "k:", int), given)

    assert str(caught.value).endswith(f", not {given!r}")
    assert message in str(caught.value)
    assert await _is_empty(redis)


@pytest.mark.parametrize("given", [float("nan"), float("inf")])
async def test_a_duration_is_finite(redis: Redis, given: float) -> None:
    """What is not a duration is a ValueError with its name."""
    with pytest.raises(ValueError, match=r"^seconds must be a finite number of seconds, not (nan|inf)"):
        await RedisHash(redis, "h", int).expire(given)


PLACES: dict[str, Call] = {
    "getitem": lambda r: RedisList(r, "k", str).getitem("0"),  # type: ignore[arg-type]  # pyright: ignore[reportArgumentType]
    "setitem": lambda r: RedisList(r, "k", str).setitem(1.5, "x"),  # type: ignore[arg-type]  # pyright: ignore[reportArgumentType]
    "insert, swapped": lambda r: RedisList(r, "k", str).insert("x", 0),  # type: ignore[arg-type]  # pyright: ignore[reportArgumentType]
    "slice": lambda r: RedisList(r, "k", str).slice("0", "1"),  # type: ignore[arg-type]  # pyright: ignore[reportArgumentType]
    "remove": lambda r: RedisList(r, "k", str).remove("x", "1"),  # type: ignore[arg-type]  # pyright: ignore[reportArgumentType]
    "set pop": lambda r: RedisSet(r, "k", str).pop("a"),  # type: ignore[call-overload]  # pyright: ignore
    "set random": lambda r: RedisSet(r, "k", str).random(1.5),  # type: ignore[call-overload]  # pyright: ignore
    "queue get_many": lambda r: RedisQueue(r, "k", str).get_many("3"),  # type: ignore[arg-type]  # pyright: ignore[reportArgumentType]
    "slice_by_rank": lambda r: Ranking(r, "k", str).slice_by_rank("0", "1"),  # type: ignore[arg-type]  # pyright: ignore[reportArgumentType]
    "offset": lambda r: Ranking(r, "k", str).slice_by_score(offset="1"),  # type: ignore[arg-type]  # pyright: ignore[reportArgumentType]
}


@pytest.mark.parametrize("call", PLACES.values(), ids=PLACES.keys())
async def test_a_place_is_an_int(redis: Redis, call: Call) -> None:
    """An index, a rank and a count say so, also of a float, which Redis would refuse."""
    with pytest.raises(TypeError, match="an index, a rank or a count must be an int, not "):
        await call(redis)


async def test_what_makes_a_value_is_a_function(redis: Redis) -> None:
    """A value in its place is answered with the method that takes one."""
    space: RedisKeySpace[Any] = RedisKeySpace(redis, "k:", int)
    given: Any = 3

    with pytest.raises(TypeError, match=r"get_or_create\(\) takes a function .* write setdefault\(key, value\)"):
        await space.get_or_create("a", given)
    with pytest.raises(
        TypeError,
        match=r"modify\(\) takes a function of the old value, not 3: to replace the value whatever it is, write set",
    ):
        await space.modify("a", given)


async def test_what_is_restored_was_dumped(redis: Redis) -> None:
    """``dump`` of a key that is not there is None."""
    hashed: RedisHash[Any] = RedisHash(redis, "h", int)
    dumped: Any = await hashed.dump()

    with pytest.raises(
        TypeError, match=r"restore\(\) takes the bytes that dump\(\) returned, not None: check for None first"
    ):
        await hashed.restore(dumped)


async def test_nobody_is_not_an_identity(redis: Redis) -> None:
    """All who are nobody would share one count."""
    limiter = RedisRateLimiter(redis, "api", rate="10/second")
    nobody: Any = None

    for method in (limiter.hit, limiter.peek, limiter.reset, limiter.wait):
        with pytest.raises(TypeError, match=r'api: an identity of None would count all callers as one: pass ""'):
            await method(nobody)
