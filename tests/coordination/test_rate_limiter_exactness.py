"""RedisRateLimiter, exactly: the same scripts under a clock that the test sets, beside an oracle."""

from __future__ import annotations

import os
from collections import deque
from datetime import timedelta
from fractions import Fraction
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from redis.asyncio import Redis

from purse import limits
from purse._engine.scripts import Script, load_script
from purse.limits import Rate, RedisRateLimiter

both = pytest.mark.parametrize("algorithm", ["gcra", "sliding_window"])
SECOND = 1_000_000  # microseconds
LONG = os.environ.get("PURSE_HYPOTHESIS") == "long"


# --- exactness: the same scripts, under a clock that the test sets ---------------------------------


class SetClock:
    """The server's TIME as the test sets it, in microseconds."""

    def __init__(self, redis: Redis) -> None:
        self._redis = redis
        self.now = 0

    async def set(self, now: int) -> None:
        self.now = now
        await self._redis.mset({"clock": now // SECOND, "clock:us": now % SECOND})


@pytest.fixture
async def clock(redis: Redis, monkeypatch: pytest.MonkeyPatch) -> SetClock:
    """Scripts of the limiter that read the time from two keys."""

    def with_set_clock(name: str) -> Script:
        script = load_script(name)
        assert script.body.count(b"redis.call('TIME')") == 1
        return Script(name, script.body.replace(b"redis.call('TIME')", b"redis.call('MGET', 'clock', 'clock:us')"))

    monkeypatch.setattr(limits, "load_script", with_set_clock)
    return SetClock(redis)


class Tokens:
    """GCRA told in another way: tokens that come back at the rate, in exact fractions."""

    def __init__(self, rate: Rate, burst: int) -> None:
        self._per_us = Fraction(rate.count, rate.per // timedelta(microseconds=1))
        self._burst = burst
        self._tokens = Fraction(burst)
        self._at: int | None = None

    def ask(self, now: int, cost: int, *, hit: bool) -> tuple[bool, int, float, float]:
        tokens = self._tokens
        if self._at is not None:
            tokens = min(Fraction(self._burst), max(Fraction(0), tokens + (now - self._at) * self._per_us))
        allowed = tokens >= cost
        missing = Fraction(0) if allowed else cost - tokens
        if hit:
            tokens -= cost if allowed else 0
            self._tokens, self._at = tokens, now
        return allowed, int(tokens), self._seconds(missing), self._seconds(self._burst - tokens)

    def _seconds(self, tokens: Fraction) -> float:
        return -(-tokens // self._per_us) / 1e6


class Log:
    """A sliding window, counted hit by hit."""

    def __init__(self, rate: Rate) -> None:
        self._limit, self._per = rate.count, rate.per // timedelta(microseconds=1)
        self._hits: deque[int] = deque()

    def ask(self, now: int, cost: int, *, hit: bool) -> tuple[bool, int, float, float]:
        hits = sorted(min(at, now) for at in self._hits)
        hits = [at for at in hits if at + self._per > now]
        allowed = len(hits) + cost <= self._limit
        retry = 0 if allowed else hits[len(hits) + cost - self._limit - 1] + self._per - now
        if hit:
            hits += [now] * cost * allowed
            self._hits = deque(hits)
        reset = hits[-1] + self._per - now if hits else 0
        return allowed, self._limit - len(hits), retry / 1e6, reset / 1e6


RATES = st.builds(
    Rate,
    st.integers(1, 12) | st.sampled_from([97, 1000, 999_983]),
    st.sampled_from([timedelta(milliseconds=1), timedelta(seconds=1), timedelta(seconds=7), timedelta(days=1)]),
)
STEPS = st.lists(
    st.tuples(
        st.integers(0, 2000) | st.integers(-300, 1000).map(lambda thousandths: ("per", thousandths)),
        st.booleans() | st.just(True),
        st.integers(1, 5) | st.just(1),
    ),
    min_size=1,
    max_size=40,
)
exhaustively = settings(
    max_examples=2000 if LONG else 60,
    deadline=None,
    suppress_health_check=[HealthCheck.function_scoped_fixture],
)


async def follow(limiter: RedisRateLimiter, oracle: Tokens | Log, clock: SetClock, steps: Any) -> None:
    """Each answer is the oracle's, to the microsecond, while the clock goes on, jumps, and is set back."""
    now = 1_763_400_000_123_456
    per = limiter.rate.per // timedelta(microseconds=1)
    for step, hit, wanted in steps:
        now += step if isinstance(step, int) else per * step[1] // 1000
        await clock.set(now)
        cost = min(wanted, limiter.limit)
        answer = await (limiter.hit if hit else limiter.peek)(cost=cost)
        told = (answer.allowed, answer.remaining, answer.retry_after, answer.reset_after)
        assert told == oracle.ask(now, cost, hit=hit)
        if not hit or answer.allowed:
            continue
        await clock.set(now + round(answer.retry_after * 1e6) - 1)
        assert not (await limiter.peek(cost=cost)).allowed
        await clock.set(now + round(answer.retry_after * 1e6))
        assert (await limiter.peek(cost=cost)).allowed


@exhaustively
@given(rate=RATES, burst=st.none() | st.integers(1, 10), steps=STEPS)
async def test_gcra_agrees_with_exact_tokens(
    redis: Redis, clock: SetClock, rate: Rate, burst: int | None, steps: Any
) -> None:
    """To the microsecond, for rates that do not divide one, on a clock that jumps both ways: nothing is rounded away.

    (PURSE_HYPOTHESIS=long tries 2000 schedules.)
    """
    await redis.unlink("api")
    limiter = RedisRateLimiter(redis, "api", rate=rate, burst=burst)
    await follow(limiter, Tokens(rate, burst or rate.count), clock, steps)


@pytest.mark.thorough
@exhaustively
@given(rate=RATES, steps=STEPS)
async def test_a_sliding_window_agrees_with_a_log(redis: Redis, clock: SetClock, rate: Rate, steps: Any) -> None:
    """To the microsecond, on a clock that jumps both ways.

    (PURSE_HYPOTHESIS=long tries 2000 schedules.)
    """
    await redis.unlink("api")
    await follow(RedisRateLimiter(redis, "api", rate=rate, algorithm="sliding_window"), Log(rate), clock, steps)


async def test_a_seventh_of_a_microsecond_is_not_given_away(redis: Redis, clock: SetClock) -> None:
    """At 7/second a hit takes 142857 1/7 us, and after 142857 the next one does not pass."""
    await clock.set(SECOND)
    limiter = RedisRateLimiter(redis, "api", rate="7/second")
    assert (await limiter.hit(cost=7)).reset_after == 1.0
    assert (await limiter.hit()).retry_after == 0.142858

    await clock.set(SECOND + 142_857)
    assert not (await limiter.hit()).allowed
    await clock.set(SECOND + 142_858)
    assert (await limiter.hit()).allowed


async def test_another_rate_goes_on_from_what_was_used(redis: Redis, clock: SetClock) -> None:
    """A limit that was lowered is full at most; a rate with other fractions reads what was stored."""
    await clock.set(SECOND)
    await RedisRateLimiter(redis, "api", rate="7/second").hit(cost=3)
    assert (await RedisRateLimiter(redis, "api", rate="3/second").peek()).remaining == 1

    await RedisRateLimiter(redis, "api", rate="100/hour").hit(cost=90)
    lowered = RedisRateLimiter(redis, "api", rate="1/second")
    assert (await lowered.hit()).retry_after == 1.0
    await clock.set(2 * SECOND)
    assert (await lowered.hit()).allowed
