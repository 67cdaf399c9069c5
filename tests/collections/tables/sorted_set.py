"""Every public method of RedisSortedSet, and the commands that it sends."""

from __future__ import annotations

from redis.asyncio import Redis

from purse.collections.sorted_set import RedisSortedSet, gt, lt
from purse.ttl import TTL
from tests.collections.garden import collect
from tests.collections.tables.case import Case, clocked

__all__ = ["CALLS", "KEY", "build", "fill", "spoil"]

KEY = "ranking"


def build(redis: Redis, ttl: TTL | None = None) -> RedisSortedSet[int]:
    """The sorted set that the calls are made on."""
    return RedisSortedSet(redis, KEY, int, ttl=ttl)


async def fill(redis: Redis) -> None:
    """Three members: 1, 2 and 3, each with itself as its score."""
    await redis.zadd(KEY, {"1": 1, "2": 2, "3": 3})


async def spoil(redis: Redis) -> None:
    """The same three scores with members that are no int."""
    await redis.zadd(KEY, {"x": 1, "y": 2, "z": 3})


WRITES: list[Case[RedisSortedSet[int]]] = [
    Case("add", lambda z: z.add((5, 1.5)), ("ZADD ranking 1.5 5",), ("ZADD",)),
    Case("add an int score", lambda z: z.add((5, 7)), ("ZADD ranking 7 5",), ("ZADD",)),
    Case("add nx", lambda z: z.add((5, 7), True), ("ZADD ranking NX 7 5",), ("ZADD",)),
    Case("add xx ch", lambda z: z.add((1, 7), False, True, True), ("ZADD ranking XX CH 7 1",), ("ZADD",)),
    Case("add keep highest", lambda z: z.add((1, 7), keep="highest"), ("ZADD ranking GT 7 1",), ("ZADD",)),
    Case("add keep lowest", lambda z: z.add((1, 7), ch=True, keep="lowest"), ("ZADD ranking LT CH 7 1",), ("ZADD",)),
    Case("add_multi", lambda z: z.add_multi([(5, 7), (1, 2)]), ("ZADD ranking 7 5 2 1",), ("ZADD",)),
    Case("increment", lambda z: z.increment((1, -3)), ("ZINCRBY ranking -3 1",), ("ZINCRBY",)),
    Case(
        "increment_multi",
        lambda z: z.increment_multi([(1, 2), (5, 0.5), (1, 2)]),
        ("ZINCRBY ranking 2 1", "ZINCRBY ranking 0.5 5", "ZINCRBY ranking 2 1"),
        ("ZINCRBY", "MULTI", "EXEC"),
    ),
    Case(
        "increment_multi by infinity",
        lambda z: z.increment_multi([(1, 2), (5, float("inf"))]),
        ("EVALSHA sorted_set_store ranking",),
        ("EVALSHA", "EVAL", "ZSCORE", "ZADD"),
    ),
    Case("remove", lambda z: z.remove(1, 5), ("ZREM ranking 1 5",), ("ZREM",)),
    Case("remove_by_rank", lambda z: z.remove_by_rank(0, -2), ("ZREMRANGEBYRANK ranking 0 -2",), ("ZREMRANGEBYRANK",)),
    Case(
        "remove_by_score",
        lambda z: z.remove_by_score(gt(1), 2),
        ("ZREMRANGEBYSCORE ranking (1 2",),
        ("ZREMRANGEBYSCORE",),
    ),
    Case("pop_min", lambda z: z.pop_min(), ("ZPOPMIN ranking 1",), ("ZPOPMIN",), reads=True),
    Case("pop_min several", lambda z: z.pop_min(2), ("ZPOPMIN ranking 2",), ("ZPOPMIN", "ZADD"), reads=True),
    Case("pop_max", lambda z: z.pop_max(), ("ZPOPMAX ranking 1",), ("ZPOPMAX",), reads=True),
    Case("pop_max several", lambda z: z.pop_max(2), ("ZPOPMAX ranking 2",), ("ZPOPMAX", "ZADD"), reads=True),
    Case("blocking_pop_min", lambda z: z.blocking_pop_min(), ("ZPOPMIN ranking 1",), ("ZPOPMIN",), reads=True),
    Case("blocking_pop_max", lambda z: z.blocking_pop_max(9), ("ZPOPMAX ranking 1",), ("ZPOPMAX",), reads=True),
]
READS: list[Case[RedisSortedSet[int]]] = [
    Case("score", lambda z: z.score(1), ("ZSCORE ranking 1",), ("ZSCORE",)),
    Case("score_multi", lambda z: z.score_multi([1, 5]), ("ZMSCORE ranking 1 5",), ("ZMSCORE",)),
    Case(
        "slice_by_rank", lambda z: z.slice_by_rank(0, -1), ("ZRANGE ranking 0 -1 WITHSCORES",), ("ZRANGE",), reads=True
    ),
    Case(
        "slice_by_rank descending",
        lambda z: z.slice_by_rank(0, 1, True),
        ("ZRANGE ranking 0 1 REV WITHSCORES",),
        ("ZRANGE",),
        reads=True,
    ),
    Case(
        "slice_by_score",
        lambda z: z.slice_by_score(1, 2.5),
        ("ZRANGE ranking 1 2.5 BYSCORE WITHSCORES",),
        ("ZRANGE",),
        reads=True,
    ),
    Case(
        "slice_by_score without bounds",
        lambda z: z.slice_by_score(),
        ("ZRANGE ranking -inf inf BYSCORE WITHSCORES",),
        ("ZRANGE",),
        reads=True,
    ),
    Case(
        "slice_by_score a page",
        lambda z: z.slice_by_score(gt(0), lt(9), 1, 2, True),
        ("ZRANGE ranking (9 (0 BYSCORE REV LIMIT 1 2 WITHSCORES",),
        ("ZRANGE",),
        reads=True,
    ),
    Case("peek_min", lambda z: z.peek_min(), ("ZRANGE ranking 0 0 WITHSCORES",), ("ZRANGE",), reads=True),
    Case("peek_max", lambda z: z.peek_max(), ("ZRANGE ranking 0 0 REV WITHSCORES",), ("ZRANGE",), reads=True),
    Case("peak_min", lambda z: z.peak_min(), ("ZRANGE ranking 0 0 WITHSCORES",), ("ZRANGE",), reads=True),
    Case("peak_max", lambda z: z.peak_max(), ("ZRANGE ranking 0 0 REV WITHSCORES",), ("ZRANGE",), reads=True),
]
LOOKS: list[Case[RedisSortedSet[int]]] = [
    Case("add_multi nothing", lambda z: z.add_multi([]), (), (), trips=0, touches=False),
    Case("increment_multi nothing", lambda z: z.increment_multi([]), (), (), trips=0, touches=False),
    Case("remove nothing", lambda z: z.remove(), (), (), trips=0, touches=False),
    Case("score_multi nothing", lambda z: z.score_multi([]), (), (), trips=0, touches=False),
    Case("rank", lambda z: z.rank(2), ("ZRANK ranking 2",), ("ZRANK",)),
    Case("rank descending", lambda z: z.rank(2, True), ("ZREVRANK ranking 2",), ("ZREVRANK",)),
    Case("count", lambda z: z.count(1, lt(3)), ("ZCOUNT ranking 1 (3",), ("ZCOUNT",)),
    Case("pop_min nothing", lambda z: z.pop_min(0), (), (), trips=0, touches=False),
    Case("len", lambda z: z.len(), ("ZCARD ranking",), ("ZCARD",)),
    Case("values", lambda z: collect(z.values()), ("ZSCAN ranking 0 COUNT 500",), ("ZSCAN",), reads=True),
    Case(
        "values that match",
        lambda z: collect(z.values("[1x]", 10)),
        ("ZSCAN ranking 0 COUNT 10 MATCH [1x]",),
        ("ZSCAN",),
        reads=True,
    ),
    Case("async for", collect, ("ZSCAN ranking 0 COUNT 500",), ("ZSCAN",), reads=True),
]
OTHERS: list[Case[RedisSortedSet[int]]] = [
    Case(
        "slice_by_lex",
        lambda z: RedisSortedSet(z.redis, KEY, str).slice_by_lex(gt("1"), "2"),  # refused where members are no text
        ("ZRANGE ranking (1 [2 BYLEX",),
        ("ZRANGE",),
    ),
    Case(
        "slice_by_lex without bounds",
        lambda z: RedisSortedSet(z.redis, KEY, str).slice_by_lex(),
        ("ZRANGE ranking - + BYLEX",),
        ("ZRANGE",),
    ),
    Case(
        "slice_by_lex a page",
        lambda z: RedisSortedSet(z.redis, KEY, str).slice_by_lex(gt("1"), lt("3"), 1, 2, True),
        ("ZRANGE ranking (3 (1 BYLEX REV LIMIT 1 2",),
        ("ZRANGE",),
    ),
]
CALLS = clocked(WRITES, READS, LOOKS, OTHERS)
