"""Small histories of concurrent calls on one key: some order explains what they returned."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Iterable
from random import Random
from typing import Any, TypeAlias

from redis.asyncio import Redis
from redis.exceptions import ResponseError

from purse import RedisHash, RedisList
from tests.collections.test_linearizable import hash_call, list_call
from tests.soak.calls import Caller
from tests.soak.work.job import Job, Round, Worker
from tests.support.clients import command
from tests.support.linearizable import History, Recorded

__all__ = ["Histories", "jobs"]

_GROUPS = 4
_TASKS = 3
_CALLS = 4

Calls: TypeAlias = Callable[[Redis, str, Random], Recorded]


def _hash(client: Redis, key: str, chance: Random) -> Recorded:
    return hash_call(RedisHash(client, key, int), chance)


def _list(client: Redis, key: str, chance: Random) -> Recorded:
    return list_call(RedisList(client, key, str), chance)


_KINDS: dict[str, tuple[Calls, Any]] = {"hash history": (_hash, None), "list history": (_list, ())}


def jobs(this_round: Round) -> Iterable[Job]:
    """One for hashes, one for lists."""
    return [Histories(this_round, name) for name in _KINDS]


class Histories(Job):
    """Groups of tasks that use one key for a moment, then the next.

    Args:
        this_round: what it shares with the others.
        name: the structure.
    """

    def __init__(self, this_round: Round, name: str) -> None:
        super().__init__(this_round)
        self._name = name
        self._call, self._empty = _KINDS[name]

    def workers(self) -> Iterable[Worker]:
        """See ``Job``."""
        return [self._group(number) for number in range(_GROUPS)]

    async def judge(self) -> None:
        """See ``Job``; each history was judged when it was over."""

    async def _group(self, group: int) -> None:
        number = 0
        while self.round.going:
            number += 1
            key = self.round.key(f"{self._name} {group} {number}")
            history: History[Any] = History()
            callers = [self.round.caller(f"{self._name} {group} {number} {task}") for task in range(_TASKS)]
            await asyncio.gather(*(self._calls(nth, caller, key, history) for nth, caller in enumerate(callers)))
            self.round.journal.count("histories")
            if not history.explained_from(self._empty):
                self.round.journal.find(self._name, f"no order of these calls explains what they returned:\n{history}")
            await self.pause(callers[0])

    async def _calls(self, nth: int, caller: Caller, key: str, history: History[Any]) -> None:
        client = self.clients[nth % len(self.clients)]
        for _ in range(_CALLS):
            outsider = caller.rng.random() < 0.05
            name, call, *models = self._delete(key) if outsider else self._call(client, key, caller.rng)
            recorded = history.record(name, call, *models, refused=(ResponseError,))
            await caller.call(self._name, f"{key} {name}", recorded)

    def _delete(self, key: str) -> Recorded:
        """An outsider deletes the key."""

        async def delete() -> None:
            await command(self.round.scene.control, "DEL", key)

        def deleted(_: Any) -> tuple[Any, object]:
            return self._empty, None

        return "outsider's DEL", delete(), deleted
