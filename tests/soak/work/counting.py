"""Counters in a hash, a key space and a sorted set, and two that are only ever counted together."""

from __future__ import annotations

from collections.abc import Callable, Coroutine, Iterable
from typing import Any, NamedTuple, TypeAlias

from redis.asyncio import Redis

from purse import RedisClient, RedisHash, RedisKeySpace, RedisSortedSet, Store
from tests.soak.calls import Done
from tests.soak.checks.counting import Count
from tests.soak.work.job import Job, Round, Worker

__all__ = ["Counting", "Together", "jobs"]

Number: TypeAlias = Coroutine[Any, Any, float | None]


class _Way(NamedTuple):
    add: Callable[[str], Coroutine[Any, Any, float]]
    read: Callable[[str], Number]


def _hash(client: Redis, key: str) -> _Way:
    visits = RedisHash(client, key, int)
    return _Way(visits.increment, visits.get)


def _key_space(client: Redis, key: str) -> _Way:
    visits = RedisKeySpace(client, f"{key}:", int)
    return _Way(visits.increment, visits.get)


def _sorted_set(client: Redis, key: str) -> _Way:
    ranking = RedisSortedSet(client, key, str)

    async def add(member: str) -> float:
        return (await ranking.increment((member, 1)))[1]

    return _Way(add, ranking.score)


_COUNTERS = {"hash counter": _hash, "key space counter": _key_space, "sorted set counter": _sorted_set}


def jobs(this_round: Round) -> Iterable[Job]:
    """One for each structure that counts, and the two counters."""
    return [*(Counting(this_round, name) for name in _COUNTERS), Together(this_round)]


class Counting(Job):
    """Tasks add 1 to two counters.

    Args:
        this_round: what it shares with the others.
        name: the structure.
    """

    def __init__(self, this_round: Round, name: str) -> None:
        super().__init__(this_round)
        self._name = name
        self._checks = {field: Count(name, field, this_round.journal) for field in ("gate", "bed")}

    def workers(self) -> Iterable[Worker]:
        """See ``Job``."""
        return [self._count(number) for number in range(8)]

    async def judge(self) -> None:
        """See ``Job``."""
        caller = self.round.caller(f"{self._name} judge")
        for field, check in self._checks.items():
            outcome = await caller.call(self._name, f"read {field}", self._way(0).read(field), steady=True)
            if isinstance(outcome, Done):
                check.judge(outcome.value)

    async def _count(self, number: int) -> None:
        caller = self.round.caller(f"{self._name} {number}")
        way = self._way(number)
        while self.round.going:
            field, check = caller.rng.choice([*self._checks.items()])
            adding = caller.rng.random() < 0.7
            least = check.begin(adding=adding)
            if adding:
                check.added(caller.name, await caller.call(self._name, f"add to {field}", way.add(field)), least)
            else:
                check.read(caller.name, await caller.call(self._name, f"read {field}", way.read(field)), least)
            await self.pause(caller)

    def _way(self, number: int) -> _Way:
        return _COUNTERS[self._name](self.clients[number % len(self.clients)], self.round.key(self._name))


class _Pair(Store, namespace="soak:{number}:pair"):
    left: RedisHash[int]
    right: RedisHash[int]

    def __init__(self, redis: RedisClient, *, number: int) -> None:
        super().__init__(redis, number=number)


class Together(Job):
    """Two counters of a store that are only ever counted together, in a transaction: they are never seen to differ."""

    _name = "transaction"

    def __init__(self, this_round: Round) -> None:
        super().__init__(this_round)
        self._check = Count(self._name, "left and right", this_round.journal)

    def workers(self) -> Iterable[Worker]:
        """See ``Job``."""
        return [self._count(number) for number in range(8)]

    async def judge(self) -> None:
        """See ``Job``."""
        pair = self._pair(0)
        outcome = await self.round.caller("transaction judge").call(
            self._name, "read", pair.atomic(pair.left.get("n"), pair.right.get("n")), steady=True
        )
        if isinstance(outcome, Done):
            self._same(outcome.value)
            self._check.judge(outcome.value[0])

    async def _count(self, number: int) -> None:
        caller = self.round.caller(f"{self._name} {number}")
        pair = self._pair(number)
        while self.round.going:
            adding = caller.rng.random() < 0.6
            least = self._check.begin(adding=adding)
            if adding:
                added = await caller.call(self._name, "add", self._first(pair))
                self._check.added(caller.name, added, least)
            else:
                both = pair.atomic(pair.left.get("n"), pair.right.get("n"))
                read = await caller.call(self._name, "read", both)
                if isinstance(read, Done):
                    self._same(read.value)
                    self._check.read(caller.name, Done(read.value[0], read.began, read.ended), least)
            await self.pause(caller)

    async def _first(self, pair: _Pair) -> float:
        both = await pair.atomic(pair.left.increment("n"), pair.right.increment("n"))
        self._same(both)
        return both[0]

    def _same(self, both: tuple[int | None, int | None]) -> None:
        if both[0] != both[1]:
            self.round.journal.find(self._name, f"half of a transaction was seen: {both}")

    def _pair(self, number: int) -> _Pair:
        return _Pair(self.clients[number % len(self.clients)], number=self.round.number)
