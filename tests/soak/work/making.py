"""get_or_create: of all who come for a key that nobody removes, everybody gets the same value."""

from __future__ import annotations

import asyncio
from collections.abc import Iterable

from purse import RedisKeySpace
from tests.soak.calls import Caller, Done, Outcome
from tests.soak.work.job import Job, Round, Worker

__all__ = ["Making", "jobs"]

_GROUPS = 3
_TASKS = 4


def jobs(this_round: Round) -> Iterable[Job]:
    """One."""
    return [Making(this_round)]


class Making(Job):
    """Groups of tasks of several clients that want the value of one key, then of the next."""

    _name = "get_or_create"

    def workers(self) -> Iterable[Worker]:
        """See ``Job``."""
        return [self._group(number) for number in range(_GROUPS)]

    async def judge(self) -> None:
        """See ``Job``; each key was judged when all had come."""

    async def _group(self, group: int) -> None:
        number = 0
        while self.round.going:
            number += 1
            key = f"{group}-{number}"
            callers = [self.round.caller(f"{self._name} {key} {task}") for task in range(_TASKS)]
            outcomes = await asyncio.gather(*(self._want(nth, caller, key) for nth, caller in enumerate(callers)))
            last = await callers[0].call(self._name, f"get {key}", self._space(0).get(key), steady=True)
            seen = {outcome.value for outcome in (*outcomes, last) if isinstance(outcome, Done)}
            if len(seen - {None}) > 1 or (None in seen and len(seen) > 1):
                self.round.journal.find(self._name, f"the callers for {key} have got {seen}: a wrong answer", key)
            if any(value is not None and not value.startswith(f"{key} ") for value in seen):
                self.round.journal.find(self._name, f"of {key} they have got {seen}: the answer of another call", key)
            await self.pause(callers[0])

    async def _want(self, nth: int, caller: Caller, key: str) -> Outcome[str]:
        async def make() -> str:
            await asyncio.sleep(caller.rng.choice((0, 0.001, 0.02)))
            return f"{key} made by {caller.fresh()}"

        return await caller.call(self._name, f"get_or_create {key}", self._space(nth).get_or_create(key, make))

    def _space(self, nth: int) -> RedisKeySpace[str]:
        return RedisKeySpace(self.clients[nth % len(self.clients)], self.round.key("made:"), str)
