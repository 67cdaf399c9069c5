"""Semaphores and rate limiters: never too many at a time, never too often."""

from __future__ import annotations

import asyncio
from collections.abc import Iterable

from purse import LockLost, RedisRateLimiter, RedisSemaphore
from purse.limits import Permit
from tests.soak.calls import Caller, Done
from tests.soak.checks.holders import Holders
from tests.soak.checks.rates import Rates
from tests.soak.work.job import Job, Round, Worker
from tests.support.polling import until

__all__ = ["Permits", "Windows", "jobs"]

_LEASE = 1.0  # seconds
_LIMIT = 3
_BODIES = (0.0, 0.0, 0.01, 0.05, 1.2)  # seconds; the last is too long


def jobs(this_round: Round) -> Iterable[Job]:
    """A semaphore, and two limiters."""
    return [Permits(this_round), Windows(this_round, "sliding window"), Windows(this_round, "bucket")]


class Permits(Job):
    """Tasks of three clients share three permits."""

    _name = "semaphore"

    def __init__(self, this_round: Round) -> None:
        super().__init__(this_round)
        self._check = Holders(self._name, _LIMIT, this_round.journal)

    def workers(self) -> Iterable[Worker]:
        """See ``Job``."""
        return [self._take(number) for number in range(16)]

    async def judge(self) -> None:
        """See ``Job``."""
        self.round.journal.count("permits held", self._check.entries)
        try:
            await until(self._semaphore(0).available, _LIMIT, seconds=_LEASE + 5)
        except AssertionError as error:
            self.round.journal.find(self._name, f"nobody holds a permit, and not all are free: {error}")

    async def _take(self, number: int) -> None:
        caller = self.round.caller(f"semaphore {number}")
        semaphore = self._semaphore(number)
        while self.round.going:
            await caller.call(self._name, "hold", self._hold(semaphore, caller), LockLost)
            await self.pause(caller)

    async def _hold(self, semaphore: RedisSemaphore, caller: Caller) -> bool:
        way = caller.rng.randrange(3)
        if way == 0:
            async with asyncio.timeout(5), semaphore as permit:
                await self._body(permit, caller)
            return True
        taken = await (semaphore.acquire(blocking=False) if way == 1 else semaphore.acquire(timeout=1))
        if taken is None:
            return False
        async with taken:
            await self._body(taken, caller)
        return True

    async def _body(self, permit: Permit, caller: Caller) -> None:
        with self._check.inside(caller.name, permit):
            await asyncio.sleep(caller.rng.choice(_BODIES))
            if caller.rng.random() < 0.2:
                await permit.extend()

    def _semaphore(self, number: int) -> RedisSemaphore:
        client = self.clients[number % len(self.clients)]
        return RedisSemaphore(client, self.round.key("semaphore"), limit=_LIMIT, lease=_LEASE)


class Windows(Job):
    """Tasks of three clients hit one limiter.

    Args:
        this_round: what it shares with the others.
        name: the algorithm.
    """

    _count, _seconds, _burst = 10, 1.0, 5

    def __init__(self, this_round: Round, name: str) -> None:
        super().__init__(this_round)
        self._name = name
        self._check = Rates(name, this_round.journal)

    def workers(self) -> Iterable[Worker]:
        """See ``Job``."""
        return [self._hit(number) for number in range(6)]

    async def judge(self) -> None:
        """See ``Job``."""
        if self._name == "bucket":
            self._check.judge_bucket(self._burst, self._count / self._seconds)
        else:
            self._check.judge_window(self._count, self._seconds)

    async def _hit(self, number: int) -> None:
        caller = self.round.caller(f"{self._name} {number}")
        limiter = self._limiter(number)
        while self.round.going:
            cost = caller.rng.choice((1, 1, 2))
            call = limiter.hit("ada", cost=cost) if number else limiter.wait("ada", cost=cost, timeout=0.5)
            outcome = await caller.call(self._name, f"hit {cost}", call, TimeoutError)
            if isinstance(outcome, Done) and outcome.value.allowed:
                for _ in range(cost):
                    self._check.passed(outcome.began, outcome.ended)
            await self.pause(caller)

    def _limiter(self, number: int) -> RedisRateLimiter:
        client, key = self.clients[number % len(self.clients)], self.round.key(self._name)
        rate = f"{self._count}/second"
        if self._name == "bucket":
            return RedisRateLimiter(client, key, rate=rate, burst=self._burst)
        return RedisRateLimiter(client, key, rate=rate, algorithm="sliding_window")
