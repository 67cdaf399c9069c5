"""Producers and consumers of unique items, and an outsider that renames their key."""

from __future__ import annotations

import asyncio
from collections.abc import Iterable

from redis.exceptions import RedisError

from purse import RedisQueue
from tests.soak.calls import Caller, Done, Unsure
from tests.soak.checks.handover import Handover, InOrder
from tests.soak.work.job import Job, Round, Worker
from tests.soak.work.structures import FULL, NOTHING, STRUCTURES, Way
from tests.support.clients import command

__all__ = ["HandingOver", "InTurn", "jobs"]

_GIVING_BACK = 10.0  # seconds in which all that was taken for callers that are gone is back
_PATIENCE = 0.6  # seconds for which a producer waits for room


def jobs(this_round: Round) -> Iterable[Job]:
    """One for each structure, and the queue whose order is looked at."""
    return [*(HandingOver(this_round, name) for name in STRUCTURES), InTurn(this_round)]


class HandingOver(Job):
    """Items go through one structure.

    Args:
        this_round: what it shares with the others.
        name: the structure.
    """

    def __init__(self, this_round: Round, name: str) -> None:
        super().__init__(this_round)
        self._name = name
        self._key = this_round.key(name)
        self._away = this_round.key(f"away {name}")
        self._check = Handover(name, this_round.journal, this_round.breaks)

    def workers(self) -> Iterable[Worker]:
        """See ``Job``."""
        yield from (self._produce(number) for number in range(3))
        yield from (self._consume(number) for number in range(5))
        if self._name != "key space":
            yield self._rename()

    async def judge(self) -> None:
        """See ``Job``."""
        caller = self.round.caller(f"{self._name} drain")
        loop = asyncio.get_running_loop()
        ways = [self._way(client, key) for key in (self._key, self._away) for client in range(len(self.clients))]
        began = loop.time()
        while True:
            for way in ways:
                await self._drain(way, caller)
            missing, passed = len(self._check.missing()), loop.time() - began
            if not missing or passed > _GIVING_BACK or (passed > 1 and missing <= self._check.excused()):
                break
            await asyncio.sleep(0.1)
        self._check.judge()

    async def _produce(self, number: int) -> None:
        caller = self.round.caller(f"{self._name} put {number}")
        way = self._way(number)
        while self.round.going:
            items = [caller.fresh() for _ in range(caller.rng.choice((1, 1, 1, 3)))]
            self._check.putting(*items)
            outcome = await caller.call(self._name, f"put {items}", way.put(caller.rng, items), *FULL, within=_PATIENCE)
            self._check.put(outcome, *items)
            await self.pause(caller)

    async def _consume(self, number: int) -> None:
        caller = self.round.caller(f"{self._name} take {number}")
        way = self._way(number)
        while self.round.going:
            call, most = way.take(caller.rng)
            await self._take(way, caller, call, most)
            await self.pause(caller)

    async def _take(self, way: Way, caller: Caller, call: Worker, most: int, *, steady: bool = False) -> int:
        outcome = await caller.call(self._name, "take", call, *NOTHING, steady=steady)
        match outcome:
            case Done(value):
                items = way.items(value)
                self._check.took(caller.name, items)
                return len(items)
            case Unsure():
                self._check.may_have_taken(outcome, most)
            case _:
                pass
        return 0

    async def _drain(self, way: Way, caller: Caller) -> None:
        while await self._take(way, caller, way.drain(), 100, steady=True):
            pass

    async def _rename(self) -> None:
        """An outsider takes the key away, and brings it back or leaves it: nothing is lost, and who waits is told."""
        caller = self.round.caller(f"{self._name} rename")
        way = self._way(0, self._away)
        while self.round.going:
            await asyncio.sleep(caller.rng.uniform(0.5, 1.5))
            for words in ((self._key, self._away), (self._away, self._key)):
                try:
                    moved = await command(self.round.scene.control, "RENAMENX", *words)
                except (RedisError, OSError) as error:  # no such key, or the server is away
                    moved = error
                self.round.journal.count("renames", moved is True)
                self.round.journal.note(self._name, f"RENAMENX {words}: {moved!r}")
                await asyncio.sleep(caller.rng.uniform(0, 0.05))
            await self._take(way, caller, way.drain(), 100)

    def _way(self, number: int, key: str | None = None) -> Way:
        return STRUCTURES[self._name](self.clients[number % len(self.clients)], key or self._key)


class InTurn(Job):
    """A queue with one consumer, which sees the items of each producer in their order."""

    def __init__(self, this_round: Round) -> None:
        super().__init__(this_round)
        self._check = Handover(self._name, this_round.journal, this_round.breaks)
        self._order = InOrder(self._name, this_round.journal, this_round.breaks)

    _name = "queue with one consumer"

    def workers(self) -> Iterable[Worker]:
        """See ``Job``."""
        yield from (self._produce(number) for number in range(3))
        yield self._consume(self.round.caller(f"{self._name} take"))

    async def judge(self) -> None:
        """See ``Job``."""
        caller = self.round.caller(f"{self._name} drain")
        loop = asyncio.get_running_loop()
        began = loop.time()
        while self._check.missing() and loop.time() - began < _GIVING_BACK:
            await self._get(caller, steady=True)
            if loop.time() - began > 1 and len(self._check.missing()) <= self._check.excused():
                break
        self._check.judge()

    async def _produce(self, number: int) -> None:
        caller = self.round.caller(f"{self._name} put {number}")
        queue = self._queue(number)
        while self.round.going:
            item = caller.fresh()
            self._check.putting(item)
            outcome = await caller.call(self._name, f"put {item}", queue.put(item))
            self._check.put(outcome, item)
            self._order.put(outcome, item)
            await self.pause(caller)

    async def _consume(self, caller: Caller) -> None:
        while self.round.going:
            await self._get(caller)
            await asyncio.sleep(caller.rng.uniform(0, 0.04))

    async def _get(self, caller: Caller, *, steady: bool = False) -> None:
        outcome = await caller.call(self._name, "get", self._queue(0).get(timeout=0.3), *NOTHING, steady=steady)
        if isinstance(outcome, Done):
            self._check.took(caller.name, [outcome.value])
            self._order.took(outcome.value, outcome.ended)
        elif isinstance(outcome, Unsure):
            self._check.may_have_taken(outcome, 1)

    def _queue(self, number: int) -> RedisQueue[str]:
        return RedisQueue(self.clients[number % len(self.clients)], self.round.key(self._name), str)
