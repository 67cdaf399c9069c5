"""A process that takes a Redlock again and again, and tells a witness.

    python -m tests.support.redlock_worker SETTINGS

SETTINGS is JSON, see ``Work``. What was done is printed as JSON at the end. The witness is one more server, which
nobody disturbs. Whoever is granted the lock says until when: all processes have the same monotonic clock. If the one
before said a later time than it is now, two were inside their validity at once.
"""

from __future__ import annotations

import asyncio
import json
import random
import sys
from dataclasses import asdict, dataclass

from redis.asyncio import Redis

from purse._coordination.attempts import Attempt
from purse._coordination.leases import Lease
from purse._engine.registry import executor_for
from purse._engine.scripts import Script
from purse.errors import LockLost
from purse.redlock import Redlock
from tests.support.clients import connect
from tests.support.units import unit

__all__ = ["Done", "Work", "work"]

_ENTER = Script(
    "witness_enter",
    b"""
    local holder = redis.call('HGETALL', KEYS[1])
    local seen = {}
    for i = 1, #holder, 2 do seen[holder[i]] = holder[i + 1] end
    if seen['until'] and tonumber(seen['until']) > tonumber(ARGV[2]) then
      redis.call('RPUSH', KEYS[2], seen['name'] .. ' until ' .. seen['until'] .. ', ' .. ARGV[1] .. ' at ' .. ARGV[2])
    end
    if ARGV[4] ~= '' and seen['token'] and tonumber(seen['token']) >= tonumber(ARGV[4]) then
      redis.call('RPUSH', KEYS[2], 'token ' .. ARGV[4] .. ' after ' .. seen['token'])
    end
    redis.call('HSET', KEYS[1], 'name', ARGV[1], 'until', ARGV[3], 'token', ARGV[4])
    return redis.call('INCR', KEYS[3])
    """,
)
_LEAVE = Script(
    "witness_leave",
    b"if redis.call('HGET', KEYS[1], 'name') == ARGV[1] then redis.call('HDEL', KEYS[1], 'until') end return 0",
)


@dataclass
class Work:
    """What to do.

    Attributes:
        masters: their URLs.
        witness: its URL.
        seed: of the random times for which the lock is held.
        seconds: for which to go on.
        tasks: at the same time.
        lease_ms: the lease.
        fencing: whether tokens are checked, too.
        min_uptime: of the masters, in seconds.
        hold: seconds for which the lock is held; None: by chance, up to 0.05.
    """

    masters: list[str]
    witness: str
    seed: int
    seconds: float
    tasks: int = 3
    lease_ms: int = 1000
    fencing: bool = True
    min_uptime: float | None = None
    hold: float | None = None


@dataclass
class Done:
    """What was done.

    Attributes:
        grants: how often the lock was held.
        in_vain: calls that gave up after their timeout.
        attempts: takes that were sent to all masters.
        lost: leases that had ended before they were released.
        slowest: seconds by which a call exceeded its timeout at most.
    """

    grants: int = 0
    in_vain: int = 0
    attempts: int = 0
    lost: int = 0
    slowest: float = 0.0

    def add(self, other: Done) -> None:
        """Count what another process has done."""
        self.grants += other.grants
        self.in_vain += other.in_vain
        self.attempts += other.attempts
        self.lost += other.lost
        self.slowest = max(self.slowest, other.slowest)


async def work(work: Work) -> Done:
    """Take the lock again and again, until the time is over."""
    loop = asyncio.get_running_loop()
    end = loop.time() + work.seconds
    done = Done()
    witness = connect(work.witness)
    clients = [connect(url, socket_timeout=None) for url in work.masters]
    shared = _lock(work, clients)

    async def task(number: int) -> None:
        rng = random.Random(work.seed * 100 + number)
        lock = shared if number % 2 else _lock(work, clients)
        while loop.time() < end:
            timeout = rng.uniform(0.1, 1.5)
            started = loop.time()
            granted = await lock.acquire(timeout=timeout)
            done.slowest = max(done.slowest, loop.time() - started - timeout)
            if not granted:
                done.in_vain += 1
                continue
            lease = lock._mine()  # pyright: ignore[reportPrivateUsage]
            assert lease is not None
            seconds = rng.choice((0, 0.001, 0.01, 0.05)) if work.hold is None else work.hold
            await _hold(witness, lease, seconds, done, fencing=work.fencing)
            try:
                await lock.release()
            except LockLost:
                done.lost += 1
            except RuntimeError:
                pass  # not confirmed by a majority, which the driver may just have stopped
            if rng.random() < 0.2:
                await asyncio.sleep(rng.uniform(0, 0.05))

    taking = Attempt.take

    async def counted(self: Attempt, *, note: bool, within: float, connecting: float = 0.0) -> float | None:
        done.attempts += 1
        return await taking(self, note=note, within=within, connecting=connecting)

    setattr(Attempt, "take", counted)  # noqa: B010 - a method is not to be assigned, say the type checkers
    try:
        await asyncio.gather(*map(task, range(work.tasks)))
    finally:
        setattr(Attempt, "take", taking)  # noqa: B010
        await asyncio.gather(*(client.aclose() for client in (witness, *clients)))
    return done


def _lock(work: Work, clients: list[Redis]) -> Redlock:
    return Redlock("gate", clients, auto_release_time=work.lease_ms, fencing=work.fencing, min_uptime=work.min_uptime)


async def _hold(witness: Redis, lease: Lease, seconds: float, done: Done, *, fencing: bool) -> None:
    now = asyncio.get_running_loop().time()
    if not lease.remaining:
        return
    token = lease.token if fencing else ""
    keys = "holder", "violations", "grants"
    until = now + lease.remaining
    await executor_for(witness).execute(unit(_ENTER(keys, lease.owner, repr(now), repr(until), token)))
    done.grants += 1
    await asyncio.sleep(seconds)
    await executor_for(witness).execute(unit(_LEAVE(keys[:1], lease.owner)))


if __name__ == "__main__":
    print(json.dumps(asdict(asyncio.run(work(Work(**json.loads(sys.argv[1])))))))
