"""RedisSortedSet: what each method returns and raises."""

from __future__ import annotations

import math
from collections.abc import Awaitable, Callable
from typing import Annotated, Any, TypeAlias, cast

import pytest
from pydantic import StringConstraints
from redis.asyncio import Redis
from redis.exceptions import ResponseError

from purse.collections.sorted_set import RedisSortedSet, gt, lt
from purse.errors import EncodeError
from purse.ttl import TTL
from tests.collections.garden import Plant, collect

Ranking: TypeAlias = RedisSortedSet[str]

FAR = [2**31, 2**53 + 1, 2**63, 10**40]


@pytest.fixture
async def ranking(redis: Redis) -> Ranking:
    """a: 1, b: 2, c: 2, d: 3, e: inf."""
    ranking = RedisSortedSet(redis, "ranking", str)
    await ranking.add_multi([("a", 1), ("b", 2), ("c", 2), ("d", 3), ("e", math.inf)])
    return ranking


async def everything(ranking: RedisSortedSet[Any]) -> dict[Any, float]:
    return dict(await ranking.slice_by_rank(0, -1))


# --- adding -------------------------------------------------------------------------------------


async def test_add_returns_how_many_are_new(redis: Redis) -> None:
    """``add`` returns 1 for a new member and 0 for one that is moved; with ``ch`` a move counts."""
    ranking = RedisSortedSet(redis, "ranking", str)

    assert await ranking.add(("a", 1)) == 1
    assert await ranking.add(("a", 2)) == 0
    assert await ranking.add(("a", 3), ch=True) == 1
    assert await ranking.add(("a", 3), ch=True) == 0
    assert await everything(ranking) == {"a": 3}


async def test_nx_and_xx(ranking: Ranking) -> None:
    """``nx`` leaves members alone that are there, ``xx`` those that are not, by position as in 2.x."""
    assert await ranking.add(("a", 9), True) == 0
    assert await ranking.add(("x", 9), True) == 1
    assert await ranking.add(("y", 9), False, True) == 0
    assert await ranking.add(("a", 8), False, True, True) == 1
    assert await ranking.add_multi([("a", 7), ("y", 7), ("x", 7)], xx=True, ch=True) == 2

    assert await ranking.score_multi(["a", "x", "y"]) == [("a", 7), ("x", 7), ("y", None)]


async def test_keeping_the_highest_or_lowest(ranking: Ranking) -> None:
    """``keep`` lets a score move in one direction only; a new member is added, and may be named several times."""
    assert await ranking.add(("b", 1), ch=True, keep="highest") == 0
    assert await ranking.add(("b", 5), ch=True, keep="highest") == 1
    assert await ranking.add(("c", 5), ch=True, keep="lowest") == 0
    assert await ranking.add(("c", 1), ch=True, keep="lowest") == 1
    assert await ranking.add_multi([("new", 1), ("new", 7), ("new", 3)], keep="highest") == 1
    assert await ranking.add_multi([("d", 9), ("d", -1), ("d", 3)], ch=True, keep="lowest") == 1

    assert [s for _, s in await ranking.score_multi(["b", "c", "new", "d"])] == [5, 1, 7, -1]


async def test_options_that_exclude_each_other(ranking: Ranking) -> None:
    """``nx`` with ``xx`` or ``keep``, and an unknown ``keep``, are ValueErrors; nothing changes."""
    before = await everything(ranking)
    calls: list[Awaitable[int]] = [
        ranking.add(("a", 9), nx=True, xx=True),
        ranking.add(("a", 9), nx=True, keep="lowest"),
        ranking.add_multi([("a", 9)], nx=True, xx=True),
        ranking.add_multi([], nx=True, xx=True),
        ranking.add(("a", 9), keep=cast("Any", "newest")),
    ]

    for call in calls:
        with pytest.raises(ValueError, match=r"nx=|newest"):
            await call

    assert await everything(ranking) == before


async def test_the_last_score_counts(redis: Redis) -> None:
    """Of a member that ``add_multi`` is given several times the last score counts, with ``nx`` too."""
    ranking = RedisSortedSet(redis, "ranking", str)

    assert await ranking.add_multi([("a", 1), ("b", 2), ("a", 3)], ch=True) == 2
    assert await ranking.add_multi([("c", 1), ("c", 3)], nx=True) == 1
    assert await everything(ranking) == {"a": 3, "b": 2, "c": 3}


async def test_nothing_to_do(ranking: Ranking) -> None:
    """Empty arguments are no-ops that return an empty answer."""
    assert await ranking.add_multi([]) == 0
    assert await ranking.increment_multi([]) == []
    assert await ranking.score_multi([]) == []
    assert await ranking.remove() == 0
    assert await ranking.pop_min(0) == []
    assert await ranking.len() == 5


# --- scores -------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "score", [0, -0.0, 0.1, 1e-300, 5e-324, 1.7976931348623157e308, math.inf, -math.inf, 2**53, -(2**53), 2**60, 1e22]
)
async def test_scores_come_back_exactly(redis: Redis, score: float) -> None:
    """Every double, and every int that equals one, is stored without loss."""
    ranking = RedisSortedSet(redis, "ranking", str)

    await ranking.add(("a", score))

    assert await ranking.score("a") == score
    assert type(await ranking.score("a")) is float
    assert await ranking.slice_by_score(score, score) == [("a", score)]
    assert await ranking.count(score, score) == 1


NO_SCORES: list[object] = [math.nan, 2**53 + 1, -(2**53) - 1, 10**400, "1", None, True]
SCORED: dict[str, Callable[[Ranking, float], Awaitable[object]]] = {
    "add": lambda z, score: z.add(("a", score)),
    "add_multi": lambda z, score: z.add_multi([("b", 1), ("a", score)], keep="highest"),
    "increment": lambda z, score: z.increment(("a", score)),
    "increment_multi": lambda z, score: z.increment_multi([("b", 1), ("a", score)]),
    "slice_by_score": lambda z, score: z.slice_by_score(score, 1),
    "slice_by_score gt": lambda z, score: z.slice_by_score(gt(score), 1),
    "slice_by_score lt": lambda z, score: z.slice_by_score(1, lt(score)),
    "count": lambda z, score: z.count(1, score),
    "remove_by_score": lambda z, score: z.remove_by_score(score, 1),
}


@pytest.mark.engines("shared")
@pytest.mark.parametrize("call", SCORED.values(), ids=SCORED.keys())
async def test_what_is_no_score(ranking: Ranking, call: Callable[[Ranking, float], Awaitable[object]]) -> None:
    """nan, an int that would lose digits, and what is no number are EncodeErrors naming the key; nothing is sent."""
    before = await everything(ranking)

    for score in NO_SCORES:
        with pytest.raises(EncodeError, match=r"^ranking.*Nothing was sent") as caught:
            await call(ranking, cast("float", score))
        assert caught.value.key == "ranking"

    assert await everything(ranking) == before


# --- increments ---------------------------------------------------------------------------------


async def test_increment_returns_the_member_and_its_new_score(ranking: Ranking) -> None:
    """``increment`` adds on the server, to 0 where there is nothing, and returns a pair as 2.x did."""
    assert await ranking.increment(("a", 1.5)) == ("a", 2.5)
    assert await ranking.increment(("new", -3)) == ("new", -3)
    assert await ranking.increment(("e", -5)) == ("e", math.inf)


async def test_increments_of_one_member_add_up(ranking: Ranking) -> None:
    """``increment_multi`` answers in the order of its arguments, and repeats add up (2.x dropped them)."""
    steps = [("a", 1.0), ("new", 2.0), ("a", 10.0), ("a", -0.5)]

    assert await ranking.increment_multi(steps) == [("a", 2), ("new", 2), ("a", 12), ("a", 11.5)]
    assert await ranking.score("a") == 11.5


@pytest.mark.parametrize("ttl", [None, TTL(hours=1)], ids=["no policy", "policy"])
async def test_an_increment_to_nan_changes_nothing(redis: Redis, ttl: TTL | None) -> None:
    """inf and -inf have no sum: the server's error, and no increment of the same call has happened."""
    ranking = RedisSortedSet(redis, "ranking", str, ttl=ttl)
    await redis.zadd("ranking", {"a": 1, "e": math.inf})

    calls: list[Awaitable[object]] = [
        ranking.increment(("e", -math.inf)),
        ranking.increment_multi([("a", 1), ("e", -math.inf)]),
        ranking.increment_multi([("a", 1), ("x", math.inf), ("x", -math.inf)]),
    ]
    for call in calls:
        with pytest.raises(ResponseError, match="NaN") as caught:
            await call
        assert "purse: RedisSortedSet ranking" in caught.value.__notes__

    assert await everything(RedisSortedSet(redis, "ranking", str)) == {"a": 1, "e": math.inf}
    assert await ranking.pttl() == -1


async def test_infinite_increments(ranking: Ranking) -> None:
    """Infinite increments that have a sum are applied, in order and with repeats, as finite ones are."""
    steps = [("a", math.inf), ("a", 5.0), ("new", -math.inf), ("b", 1.0), ("b", 1.0)]

    incremented = await ranking.increment_multi(steps)

    assert incremented == [("a", math.inf), ("a", math.inf), ("new", -math.inf), ("b", 3), ("b", 4)]


# --- removing and asking ------------------------------------------------------------------------


async def test_remove(ranking: Ranking) -> None:
    """``remove`` returns how many of the members were there; the same one twice is one."""
    assert await ranking.remove("a", "x", "b", "a") == 2
    assert await ranking.remove("a") == 0
    assert await ranking.len() == 3


async def test_remove_by_rank(ranking: Ranking) -> None:
    """``remove_by_rank`` includes its upper bound; negative ranks count from the highest score."""
    assert await ranking.remove_by_rank(0, 1) == 2
    assert await ranking.remove_by_rank(-1, 10**40) == 1
    assert await ranking.remove_by_rank(5, 9) == 0
    assert await everything(ranking) == {"c": 2, "d": 3}


async def test_remove_by_score(ranking: Ranking) -> None:
    """``remove_by_score`` includes its bounds unless they are ``gt`` and ``lt``."""
    assert await ranking.remove_by_score(gt(1), lt(3)) == 2
    assert await ranking.remove_by_score(3, math.inf) == 2
    assert await everything(ranking) == {"a": 1}


async def test_scores_and_ranks(ranking: Ranking) -> None:
    """``score`` and ``rank`` answer None, not an error, for a member that is not there; ranks count from 0."""
    assert await ranking.score("b") == 2
    assert await ranking.score("x") is None
    assert await ranking.score_multi(iter(["b", "x", "b"])) == [("b", 2), ("x", None), ("b", 2)]
    assert [await ranking.rank(m) for m in "abcdex"] == [0, 1, 2, 3, 4, None]
    assert [await ranking.rank(m, True) for m in "abcdex"] == [4, 3, 2, 1, 0, None]


async def test_a_sorted_set_that_is_not_there(redis: Redis) -> None:
    """Of a missing key every question has the answer of an empty sorted set."""
    ranking = RedisSortedSet(redis, "ranking", str)

    assert await ranking.len() == await ranking.count() == await ranking.remove("a") == 0
    assert await ranking.slice_by_rank(0, -1) == await ranking.slice_by_score() == []
    assert await ranking.slice_by_lex() == []
    assert await ranking.pop_min() == await ranking.pop_max(5) == await collect(ranking) == []
    assert await ranking.score("a") is await ranking.rank("a") is None
    assert await ranking.clear() == 0
    for peek in (ranking.peek_min, ranking.peek_max, ranking.peak_min, ranking.peak_max):
        with pytest.raises(IndexError, match="ranking"):
            await peek()


# --- slices -------------------------------------------------------------------------------------


async def test_slices_by_rank_include_both_ends(ranking: Ranking) -> None:
    """``slice_by_rank(0, 1)`` is two items, as in 2.x; equal scores are in the order of the members' bytes."""
    assert await ranking.slice_by_rank(0, 1) == [("a", 1), ("b", 2)]
    assert await ranking.slice_by_rank(1, 2, True) == [("d", 3), ("c", 2)]
    assert [m for m, _ in await ranking.slice_by_rank(-2, -1)] == ["d", "e"]
    assert [m for m, _ in await ranking.slice_by_rank(0, -1, descending=True)] == [*"edcba"]
    assert await ranking.slice_by_rank(3, 2) == []


@pytest.mark.parametrize("far", FAR)
async def test_far_ranks_clamp(ranking: Ranking, far: int) -> None:
    """A rank beyond an end, however far, means that end, or nothing."""
    assert len(await ranking.slice_by_rank(-far, far)) == 5
    assert await ranking.slice_by_rank(far, far) == []
    assert len(await ranking.slice_by_score(count=far)) == 5
    assert await ranking.slice_by_score(offset=far) == []


async def test_slices_by_score(ranking: Ranking) -> None:
    """``slice_by_score`` includes its bounds, and is in the order of the scores or, descending, the reverse."""
    assert await ranking.slice_by_score(1, 2) == [("a", 1), ("b", 2), ("c", 2)]
    assert await ranking.slice_by_score(1, 2, None, None, True) == [("c", 2), ("b", 2), ("a", 1)]
    assert await ranking.slice_by_score(3, 1) == []
    assert [m for m, _ in await ranking.slice_by_score()] == [*"abcde"]
    assert [m for m, _ in await ranking.slice_by_score(descending=True)] == [*"edcba"]


async def test_bounds_that_are_left_out(ranking: Ranking) -> None:
    """``gt(x)`` and ``lt(x)`` are bounds without ``x`` itself, wherever a score is a bound."""
    assert [m for m, _ in await ranking.slice_by_score(gt(1), lt(3))] == ["b", "c"]
    assert [m for m, _ in await ranking.slice_by_score(gt(1), lt(math.inf), descending=True)] == ["d", "c", "b"]
    assert await ranking.count(gt(2)) == 2
    assert await ranking.count(2, lt(3)) == 2
    assert await ranking.count(max_score=lt(2)) == 1


async def test_bounds_on_the_wrong_side(ranking: Ranking) -> None:
    """``lt`` as the lower bound and ``gt`` as the upper one are TypeErrors that say what to write."""
    with pytest.raises(TypeError, match=r"lt\(1\) is an upper bound.*gt\(x\)"):
        await ranking.count(cast("Any", lt(1)), 2)
    with pytest.raises(TypeError, match=r"gt\('a'\) is a lower bound.*lt\(x\)"):
        await ranking.slice_by_lex("a", cast("Any", gt("a")))


async def test_pages_of_a_slice(ranking: Ranking) -> None:
    """``offset`` and ``count`` page, each without the other too; a negative ``count`` is no limit, as in 2.x."""
    pages = [await ranking.slice_by_score(1, math.inf, offset, 2) for offset in (0, 2, 4, 6)]
    assert [[m for m, _ in page] for page in pages] == [["a", "b"], ["c", "d"], ["e"], []]
    assert [m for m, _ in await ranking.slice_by_score(offset=3)] == ["d", "e"]
    assert [m for m, _ in await ranking.slice_by_score(count=1, descending=True)] == ["e"]
    assert [m for m, _ in await ranking.slice_by_score(offset=1, count=-1)] == [*"bcde"]
    assert await ranking.slice_by_score(count=0) == []
    with pytest.raises(ValueError, match="-1"):
        await ranking.slice_by_score(offset=-1)


async def test_slices_by_lex(redis: Redis) -> None:
    """Where all scores are equal ``slice_by_lex`` is a range of words; bounds need not be members."""
    words = RedisSortedSet(redis, "words", str)
    await words.add_multi((word, 0) for word in ["apple", "apricot", "banana", "cherry", ""])

    assert await words.slice_by_lex() == ["", "apple", "apricot", "banana", "cherry"]
    assert await words.slice_by_lex("ap", lt("aq")) == ["apple", "apricot"]
    assert await words.slice_by_lex(gt("apple"), "banana") == ["apricot", "banana"]
    assert await words.slice_by_lex(gt("")) == ["apple", "apricot", "banana", "cherry"]
    assert await words.slice_by_lex(max_member="b", descending=True) == ["apricot", "apple", ""]
    assert await words.slice_by_lex(None, None, 1, 2, True) == ["banana", "apricot"]


async def test_lexical_bounds_and_constraints(redis: Redis) -> None:
    """Bounds of constrained text are plain text, and bytes are bounds of bytes; another type is an EncodeError."""
    upper: RedisSortedSet[str] = RedisSortedSet(
        redis, "upper", cast("type[str]", Annotated[str, StringConstraints(pattern="^[A-Z]{3}$")])
    )
    blobs = RedisSortedSet(redis, "blobs", bytes)
    await upper.add_multi([("ABC", 0), ("XYZ", 0)])
    await blobs.add_multi([(b"\x00", 0), (b"\xff", 0)])

    assert await upper.slice_by_lex("A", lt("B")) == ["ABC"]
    assert await blobs.slice_by_lex(gt(b"\x00"), b"\xff\xff") == [b"\xff"]
    with pytest.raises(EncodeError, match=r"^blobs"):
        await blobs.slice_by_lex(cast("bytes", "a"))


async def test_members_without_an_order_of_their_own(redis: Redis) -> None:
    """``slice_by_lex`` of members that are stored as JSON is a TypeError that names them."""
    plants = RedisSortedSet(redis, "plants", Plant)

    with pytest.raises(TypeError, match=r"plants: slice_by_lex\(\).*Plant"):
        await plants.slice_by_lex()


# --- the ends -----------------------------------------------------------------------------------


async def test_peeks_take_nothing(ranking: Ranking) -> None:
    """``peek_min`` and ``peek_max``, or as 2.x spelt them, return the first and the last item; both stay."""
    assert await ranking.peek_min() == await ranking.peak_min() == ("a", 1)
    assert await ranking.peek_max() == await ranking.peak_max() == ("e", math.inf)
    assert await ranking.len() == 5


async def test_pops(ranking: Ranking) -> None:
    """``pop_min`` and ``pop_max`` return lists, from their own end inwards."""
    assert await ranking.pop_min() == [("a", 1)]
    assert await ranking.pop_max(2) == [("e", math.inf), ("d", 3)]
    assert await ranking.pop_min(10**40) == [("b", 2), ("c", 2)]
    assert await ranking.exists() is False
    with pytest.raises(ValueError, match="-1"):
        await ranking.pop_min(-1)


# --- iteration ----------------------------------------------------------------------------------


@pytest.mark.parametrize("batch_hint", [None, 1, 10_000])
async def test_iteration(redis: Redis, batch_hint: int | None) -> None:
    """``values`` and ``async for`` yield every item, whatever the size of a page."""
    numbers = RedisSortedSet(redis, "numbers", int)
    await numbers.add_multi((n, -n) for n in range(1300))

    assert {*await collect(numbers.values(batch_hint=batch_hint))} == {(n, -n) for n in range(1300)}
    assert len(await collect(numbers)) == 1300


async def test_iteration_with_a_pattern(ranking: Ranking) -> None:
    """``match`` picks members by their stored form (2.x ignored it)."""
    await ranking.add(("a*", 5))

    assert sorted(await collect(ranking.values("a*"))) == [("a", 1), ("a*", 5)]
    assert await collect(ranking.values("a\\*")) == [("a*", 5)]
    assert sorted(await collect(ranking.values(b"[bd]", 1))) == [("b", 2), ("d", 3)]
    with pytest.raises(ValueError, match="on_error"):
        ranking.values(on_error=cast("Any", "ignore"))
