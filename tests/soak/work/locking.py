"""Locks: one inside at a time, tokens that grow, and what is written under them."""

from __future__ import annotations

import asyncio
from collections.abc import Iterable

from redis.exceptions import RedisError

from purse import LockLost, LockNotAcquired, RedisLock, Redlock
from purse._coordination.leases import Lease
from purse.locks import fenced_set
from tests.soak.calls import Caller, Done
from tests.soak.checks.holders import Fence, Holders
from tests.soak.work.job import Job, Round, Worker
from tests.support.clients import command

__all__ = ["Locking", "MajorityLocking", "jobs"]

_LEASE = 0.8  # seconds
_BODIES = (0.0, 0.0, 0.002, 0.02, 0.05, 1.0)  # seconds; the last is too long
_ENDS = (LockLost, LockNotAcquired)


def jobs(this_round: Round) -> Iterable[Job]:
    """A lock on one server, and one on three."""
    return [Locking(this_round), MajorityLocking(this_round)]


class Locking(Job):
    """Tasks of three clients take one ``RedisLock``, and write under it."""

    _name = "lock"

    def __init__(self, this_round: Round) -> None:
        super().__init__(this_round)
        self._check = Holders(self._name, 1, this_round.journal)
        self._fence = Fence("fenced value", this_round.journal)

    def workers(self) -> Iterable[Worker]:
        """See ``Job``."""
        return [*(self._take(number) for number in range(16)), self._read_fenced()]

    async def judge(self) -> None:
        """See ``Job``."""
        self.round.journal.count("locks held", self._check.entries)
        lock = self._lock(0)
        caller = self.round.caller("lock judge")
        outcome = await caller.call(self._name, "acquire", lock.acquire(timeout=10), steady=True)
        if isinstance(outcome, Done) and not outcome.value:
            self.round.journal.find(self._name, "nobody uses the lock, and it cannot be acquired within 10 s")

    async def _take(self, number: int) -> None:
        caller = self.round.caller(f"lock {number}")
        lock = self._lock(number)
        while self.round.going:
            await caller.call(self._name, "hold", self._hold(lock, caller), *_ENDS)
            await self.pause(caller)

    async def _hold(self, lock: RedisLock, caller: Caller) -> bool:
        way = caller.rng.randrange(4)
        if way == 0:
            async with lock.within(2) as lease:
                await self._body(lease, caller)
            return True
        if way == 1:
            async with asyncio.timeout(5), lock as lease:
                await self._body(lease, caller)
            return True
        acquired = await (lock.acquire(blocking=False) if way == 2 else lock.acquire(timeout=1))
        if acquired is None:
            return False
        try:
            await self._body(acquired, caller)
        finally:
            await acquired.release()
        return True

    async def _body(self, lease: Lease, caller: Caller) -> None:
        with self._check.inside(caller.name, lease, lease.token):
            await asyncio.sleep(caller.rng.choice(_BODIES))
            if caller.rng.random() < 0.2:
                await lease.extend()
            if caller.rng.random() < 0.5:
                await self._write(lease, caller)

    async def _write(self, lease: Lease, caller: Caller) -> None:
        floor = self._fence.begin(lease.token)
        client = caller.rng.choice(self.clients)
        call = fenced_set(client, self.round.key("fenced"), lease.token, lease)
        outcome = await caller.call("fenced value", f"set {lease.token}", call, LockLost)
        self._fence.wrote(lease.token, outcome, floor)

    async def _read_fenced(self) -> None:
        caller = self.round.caller("fenced value read")
        while self.round.going:
            floor = self._fence.floor
            try:
                token = int(await command(self.round.scene.control, "GET", self.round.key("fenced")) or 0)
            except (RedisError, OSError):
                pass
            else:
                self._fence.read(token, floor)
            await self.pause(caller)

    def _lock(self, number: int) -> RedisLock:
        client = self.clients[number % len(self.clients)]
        return RedisLock(client, self.round.key("lock"), lease=_LEASE, watchdog=number % 4 == 3)


class MajorityLocking(Job):
    """Tasks of two sets of clients take one ``Redlock`` of three masters."""

    _name = "redlock"

    def __init__(self, this_round: Round) -> None:
        super().__init__(this_round)
        lease_ms = int(_LEASE * 1000)
        self._check = Holders(self._name, 1, this_round.journal)
        # One name for all rounds: a new one needs all masters for a moment.
        self._locks = [
            Redlock("soak:redlock", masters, auto_release_time=lease_ms, fencing=True)
            for masters in this_round.scene.of_masters
        ]

    def workers(self) -> Iterable[Worker]:
        """See ``Job``."""
        return [self._take(number) for number in range(6)]

    async def judge(self) -> None:
        """See ``Job``."""
        self.round.journal.count("redlocks held", self._check.entries)

    async def _take(self, number: int) -> None:
        caller = self.round.caller(f"redlock {number}")
        lock = self._locks[number % len(self._locks)]
        while self.round.going:
            await caller.call(self._name, "hold", self._hold(lock, caller), *_ENDS)
            await self.pause(caller)

    async def _hold(self, lock: Redlock, caller: Caller) -> bool:
        # Without a majority leaving the block raises LockError, a RuntimeError: the lock then ends with its lease.
        try:
            async with asyncio.timeout(3), lock as lease:
                with self._check.inside(caller.name, lease, lease.token):
                    await asyncio.sleep(caller.rng.choice(_BODIES))
        except TimeoutError:
            return False
        return True
