"""Fencing tokens: a number for each holding of a lock, greater than that of every earlier holder.

A lease ends while its holder may be asleep. Whatever must not be changed by a holder who is late has to refuse tokens
that are smaller than one it has seen; ``fenced_set`` does that for a Redis string.

On one server INCR makes such numbers. On several masters it does not: the greatest of their counters may come from a
master that is down the next time. Here each master keeps, beside the lock, a *fence*: the greatest token that it has
accepted. The rule:

1. Who wants the lock proposes a token, and takes the lock on each master in one script, which refuses where the lock
   is held, *where the fence is not below the proposed token*, and *where there is no fence*; else the fence becomes the
   token.
2. The token is granted if a majority took, within ``PATIENCE`` of the first take that was sent.
3. Who was refused because of a fence starts again, above the greatest that it saw. Who knows of none yet proposes 0,
   which takes nothing, until it has seen the fences of a majority.
4. A master without a fence has never had one, or was restarted without its data. It is given the greatest fence of a
   majority of masters that have one, read in the same round; or 0, if *all* masters answered and no fence is above 0,
   which is the very first time. Not while its server is up for less than ``YOUNG``, and not if it was restarted since.

Why tokens grow. Say T was granted, by the majority M. (a) *A master of M that has a fence has one of at least T.* It
accepted T, and fences only rise. Or it has lost that fence since, and was given another: then more than two rounds
had passed, so T had been granted already (its round had ended), and what the master was given is the greatest fence of
a majority, in which there is a master of M, for which (a) holds. (b) A later token T' was taken by a majority of
masters with a fence. One of them is in M, and had a fence below T'. So T' > T.

What it rests on: masters keep their data, or those that lose it leave a majority with a fence; a server's uptime
counts its seconds (the server's wall clock keeps it); nobody deletes fences, which a restart would not betray. The rule
is checked exhaustively for three masters in tests/coordination/test_fencing_model.py.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

from redis.exceptions import ResponseError

from purse._coordination.beside import beside
from purse._coordination.foreign import found_in
from purse._coordination.quorum import Answer, majority_of
from purse._engine.registry import executor_for
from purse._engine.replies import as_array, as_bytes, as_flag, as_int
from purse._engine.scripts import ScriptCall, load_script
from purse.codecs._shown import named
from purse.errors import LockLost, WrongKind

if TYPE_CHECKING:
    from purse._coordination.leases import Lease
    from purse._engine.clients import RedisClient

__all__ = ["YOUNG", "Plan", "Reading", "fenced_set", "judge", "reading_of", "repairs", "vote_of"]

YOUNG = 3
"""Seconds of uptime, as the server rounds them, from which on a master without a fence may be given one."""


def vote_of(*, held: bool, fence: int | None, token: int) -> str:
    """What one master answers to a take; redlock_take.lua says the same."""
    if held:
        return "held"
    if fence is None:
        return "unfenced"
    return "took" if fence < token else "low"


@dataclass(frozen=True, slots=True)
class Reading:
    """What one master answered to a take.

    Attributes:
        vote: "took", "held", "young", "unfenced" or "low".
        fence: its fence, after the take; None: it has none.
        run: the run of its server, if it has none.
        uptime: seconds since its server started, if it has none.
    """

    vote: str
    fence: int | None
    run: str = ""
    uptime: int = YOUNG


@dataclass(frozen=True, slots=True)
class Plan:
    """What follows from the answers to one round.

    Attributes:
        is_granted: the proposed token is the lock's.
        token: what to propose the next time.
        repair: the fence for masters that have none; None: they cannot be given one yet.
    """

    is_granted: bool
    token: int
    repair: int | None


def judge(readings: Sequence[Reading | None], token: int) -> Plan:
    """What follows when ``token`` was proposed to all masters; None stands for those that did not answer in time."""
    majority = majority_of(len(readings))
    answers = [reading for reading in readings if reading is not None]
    fences = [reading.fence for reading in answers if reading.fence is not None]
    greatest = max(fences, default=0)
    repair: int | None = None
    # A take while there are few fences would leave some that are above 0 and no majority: it could never be repaired.
    if len(fences) >= majority:
        token = max(token, greatest + 1)
    if len(fences) >= majority or (len(answers) == len(readings) and greatest == 0):
        repair = greatest
    took = sum(reading.vote == "took" for reading in answers)
    return Plan(took >= majority, token, repair)


def reading_of(answer: Answer) -> Reading | None:
    """An answer of redlock_take.lua; None for an error, and while there is none."""
    if not isinstance(answer, list):
        return None
    vote, fence, run, uptime = as_array(answer)
    value = as_bytes(fence)
    return Reading(as_bytes(vote).decode(), int(value) if value else None, as_bytes(run).decode(), as_int(uptime))


def repairs(readings: Sequence[Reading | None], fence: str, value: int) -> list[ScriptCall | None]:
    """For each master the call that gives it a fence; None where that is not needed, or not yet to be done."""
    return [
        load_script("redlock_fence")((fence,), value, reading.run)
        if reading is not None and reading.fence is None and reading.run and reading.uptime >= YOUNG
        else None
        for reading in readings
    ]


async def fenced_set(client: RedisClient, key: str, value: bytes | str | int | float, lease: Lease) -> None:
    """Set the string ``key`` to ``value``, unless a later holder of the lock has done so.

    The check and the write are one script. A holder who was asleep when its lease ended, and does not know it yet,
    cannot overwrite what a later one has written. (Before that one writes it can: nobody has told this key of it.)
    All writers of ``key`` have to come this way, with leases of one and the same lock.

    Args:
        client: where ``key`` lives; it need not be one of the lock's masters.
        key: a string. The token is kept beside it, without a time to live: ``fenced!{garden}:gate``.
        value: as it is to be stored.
        lease: of a lock that gives tokens.

    Raises:
        LockLost: a later holder has written; nothing was changed.
        LockError: the lock gives no tokens.
        WrongKind: ``key`` holds another type than a string, or something else than a token is kept beside it; nothing
            was changed.

    One round trip, O(1). Sends: EVALSHA fenced_set.
    """
    call = load_script("fenced_set")((key, beside(key, "fenced")), value, lease.token)
    if not as_flag(await executor_for(client).ask(call, _Fenced(key))):
        raise LockLost(
            f"{named(key)} was not set: somebody who held the lock {named(lease.key)} later has set it", key=lease.key
        )


class _Fenced:
    """Explains errors of a write that depends on a token."""

    def __init__(self, key: str) -> None:
        self._key = key

    def explain(self, error: Exception, field: object) -> Exception:
        """See ``Origin.explain``."""
        if isinstance(error, ResponseError) and "WRONGTYPE" in str(error):
            found = found_in(error)
            what = "the key does not hold a string"
            if found is not None:
                token = named(beside(self._key, "fenced"))
                what = f"{token}, the token, was written by something else: there is {found}"
            return WrongKind(
                f"{named(self._key)} was not set: {what}. Delete that, or choose another key.", key=self._key
            )
        error.add_note(f"purse: setting {named(self._key)} under a lock")
        return error
