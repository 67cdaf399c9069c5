"""An attempt to take a lock on a majority of masters under a unique name, and the removal of what it leaves there."""

from __future__ import annotations

import math
from asyncio import get_running_loop
from collections.abc import Sequence
from functools import partial
from secrets import token_hex

from purse._coordination.beside import beside
from purse._coordination.fencing import Plan, Reading, judge, reading_of, repairs
from purse._coordination.quorum import (
    PATIENCE,
    Ask,
    Round,
    ask_all,
    is_positive,
    majority_of,
    master_of,
    took,
    took_nothing,
)
from purse._engine.clients import RedisClient
from purse._engine.replies import Reply
from purse._engine.scripts import ScriptCall, load_script
from purse._engine.unit import Command, Origin

__all__ = ["Attempt", "drift_of"]

_TAKE, _RELEASE = load_script("redlock_take"), load_script("redlock_release")


def drift_of(lease_time: float) -> float:
    """Seconds that are subtracted from a lease, because clocks do not run at the same rate."""
    return lease_time / 100 + 0.002


class Attempt:
    """One attempt and its result. ``take`` begins it, and undoes it unless the lock was acquired.

    Args:
        key: the lock's key.
        masters: all masters of the lock.
        lease_time: in seconds.
        origin: explains errors.
        line: the name of the line of tasks for which the attempt is made.
        token: the token to propose, or None without fencing.
        min_uptime: seconds for which a master's server must have been up, or None for any uptime.

    Attributes:
        owner: the unique name of this attempt.
        round: the answers of the masters.
    """

    round: Round

    def __init__(
        self,
        key: str,
        masters: Sequence[RedisClient],
        lease_time: float,
        origin: Origin,
        line: str,
        token: int | None,
        min_uptime: float | None,
    ) -> None:
        self.key = key
        self.owner = token_hex(16)
        self.token = token
        self._masters = [master_of(master) for master in masters]
        self._lease_time = lease_time
        self._origin = origin
        self._line = line
        # Servers count whole seconds and round up: 7 may be a little more than 6.
        self._uptime = 0 if min_uptime is None else math.ceil(min_uptime) + 1
        self._until = 0.0

    async def take(self, *, note: bool, within: float, connecting: float = 0.0) -> float | None:
        """Ask all masters for the lock.

        Args:
            note: whether to tell the holder that others wait.
            within: seconds for which to wait for the masters, but never longer than the lease.
            connecting: seconds for which to wait, before that, for masters without a connection. Ignored with a token,
                because a token must be taken on all masters within ``PATIENCE``.

        Returns:
            The loop's time until which the lock is certainly held, or None if it is not held. In that case the keys
            that were taken are being released.
        """
        self.round = ask_all(self._masters, self._call(note=note), self._origin, took, self._lease_time)
        self._until = self.round.started + self._lease_time
        until: float | None = None
        try:
            fenced = self.token is not None
            connecting = 0.0 if fenced else connecting
            if await self.round.won(min(self._lease_time, within), connecting=connecting, strictly=fenced):
                until = self._until - drift_of(self._lease_time)
                if until <= get_running_loop().time():
                    until = None
        finally:
            if until is None:
                self._release()
        return until

    def _call(self, *, note: bool) -> Command | ScriptCall:
        lease_ms = round(self._lease_time * 1000)
        if self.token is None and not self._uptime and not note:
            return "SET", self.key, self.owner, "NX", "PX", lease_ms
        keys = self.key, beside(self.key, "waiting"), beside(self.key, "fence")
        token = "" if self.token is None else self.token
        return _TAKE(keys, self.owner, lease_ms, self._uptime, self._line if note else "", token)

    def prolong(self, until: float) -> None:
        """Note that its keys have been extended and expire at ``until``."""
        self._until = max(self._until, until)

    def release(self) -> Round:
        """Release the lock that this attempt acquired."""
        if self.token is not None:
            self._send_repairs(self._plan())
        return self._release()

    def _release(self) -> Round:
        """Release on every master that said yes or may still say yes. The other masters count as having refused."""
        call = _RELEASE((self.key, beside(self.key, "waiting")), self.owner, self._line)
        left = self._until - get_running_loop().time()
        lease = max(self._lease_time, left)
        asks: list[Ask | Reply] = [
            0
            if took_nothing(answer) or self.round.withdraw(place)
            else Ask(master, partial(master.release, call, self.owner, self._origin, lease, self.round, place))
            for place, (master, answer) in enumerate(zip(self._masters, self.round.answers, strict=True))
        ]
        return Round(asks, is_positive, max(0.0, left))

    # --- tokens ---------------------------------------------------------------------------------------

    @property
    def greatest_token(self) -> int:
        """The greatest token seen so far."""
        return self._plan().token - 1

    def _readings(self) -> list[Reading | None]:
        """The answers that came in time. Later answers do not count: the round must have read all fences together."""
        end = self.round.started + PATIENCE
        answers = zip(self.round.answers, self.round.times, strict=True)
        return [reading_of(answer) if time <= end else None for answer, time in answers]

    def _plan(self) -> Plan:
        return judge(self._readings(), self.token or 0)

    async def repair(self, until: float) -> bool:
        """After a refused attempt: give fences to masters that have none.

        Args:
            until: the loop's time until which to wait for the masters, if needed.

        Returns:
            Whether another attempt can succeed at once.
        """
        if self.token is None:
            return False
        loop = get_running_loop()
        if self._plan().repair is None:  # perhaps no master has one: to know that, all of them must have answered
            await self.round.answered(max(0.0, min(until, self.round.started + PATIENCE) - loop.time()))
        plan, readings = self._plan(), self._readings()
        willing = sum(reading is not None and reading.vote in ("took", "low") for reading in readings)
        missing = majority_of(len(readings)) - willing
        repaired = self._send_repairs(plan, missing)
        if repaired is not None:
            await repaired.won(until - loop.time())
            missing -= sum(isinstance(answer, int) for answer in repaired.answers)
        return missing <= 0 and (repaired is not None or plan.token > (self.token or 0))

    def _send_repairs(self, plan: Plan, needed: int = 1) -> Round | None:
        """Give ``plan.repair`` to masters without a fence. The returned round is won if ``needed`` of them took it."""
        if plan.repair is None:
            return None
        calls = zip(self._masters, repairs(self._readings(), beside(self.key, "fence"), plan.repair), strict=True)
        asks: list[Ask | Reply] = [
            Ask(master, partial(master.ask, call, self._origin)) for master, call in calls if call is not None
        ]
        return Round(asks, is_positive, self._lease_time, needed=min(max(1, needed), len(asks))) if asks else None
