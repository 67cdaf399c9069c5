"""Fencing tokens: a number for each holding of a lock, greater than that of every earlier holder.

A lease may end while its holder is suspended. A resource that a late holder must not change has to refuse tokens that
are smaller than one it has seen. ``fenced_set`` does that for a Redis string.

On one server INCR makes such numbers. On several masters it does not: the greatest of their counters may come from a
master that is down the next time. So each master keeps a *fence* beside the lock: the greatest token that it has
accepted. The rule:

1. A task that wants the lock proposes a token, and takes the lock on each master with one script. The script refuses
   if the lock is held, *if the fence is not below the proposed token*, or *if the fence is missing*. Otherwise the
   token becomes the fence.
2. The token is granted if a majority took, within ``PATIENCE`` of the first take that was sent.
3. A task that was refused because of a fence starts again, above the greatest fence that it saw. A task that does not
   know a fence yet proposes 0, which takes nothing, until it has seen the fences of a majority.
4. A master without a fence has never had one, or was restarted without its data. It is given the greatest fence of a
   majority of masters that have one, read in the same round. If *all* masters answered and no fence is above 0, which
   is the case for the very first token, it is given 0. It is given nothing while its server is up for less than
   ``YOUNG``, or if the server was restarted since the round.

Why tokens grow. Let T be a token that was granted by the majority M. (a) *A master of M that has a fence has one of at
least T.* It accepted T, and fences only rise. Or it has lost that fence since, and was given another. Then more than
two rounds had passed, so T had been granted already (its round had ended). The fence that the master was given is the
greatest fence of a majority. That majority contains a master of M, for which (a) holds. (b) A later token T' was taken
by a majority of masters with a fence. One of them is in M, and had a fence below T'. So T' > T.

Assumptions: masters keep their data, or those that lose it leave a majority with a fence. A server's uptime counts its
seconds (the server's wall clock keeps it). Fences are not deleted: unlike a restart, a deletion cannot be detected.
tests/coordination/test_fencing_model.py checks the rule exhaustively for three masters.
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
from purse._engine.slots import hash_tag
from purse._engine.unit import Noted
from purse.codecs._shown import named
from purse.errors import LockLost, WrongKind

if TYPE_CHECKING:
    from purse._coordination.leases import Lease
    from purse._engine.clients import RedisClient

__all__ = ["YOUNG", "Plan", "Reading", "fenced_set", "judge", "reading_of", "repairs", "vote_of"]

YOUNG = 3
"""Seconds of uptime, as the server rounds them, from which on a master without a fence may be given one."""


def vote_of(*, held: bool, fence: int | None, token: int) -> str:
    """The answer of one master to a take, by the same rule as redlock_take.lua."""
    if held:
        return "held"
    if fence is None:
        return "unfenced"
    return "took" if fence < token else "low"


@dataclass(frozen=True, slots=True)
class Reading:
    """The answer of one master to a take.

    Attributes:
        vote: "took", "held", "young", "unfenced" or "low".
        fence: the master's fence after the take, or None if it has none.
        run: the run id of its server, if it has no fence.
        uptime: seconds since its server started, if it has no fence.
    """

    vote: str
    fence: int | None
    run: str = ""
    uptime: int = YOUNG


@dataclass(frozen=True, slots=True)
class Plan:
    """The conclusion from the answers to one round.

    Attributes:
        token: the token to propose the next time.
        repair: the fence for masters that have none, or None if they cannot be given one yet.
    """

    token: int
    repair: int | None


def judge(readings: Sequence[Reading | None], token: int) -> Plan:
    """Draw the conclusion after ``token`` was proposed to all masters.

    Args:
        readings: the answers, None for a master that did not answer in time.
        token: the proposed token.
    """
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
    return Plan(token, repair)


def reading_of(answer: Answer) -> Reading | None:
    """Read an answer of redlock_take.lua. None for an error, and while there is no answer."""
    if not isinstance(answer, list):
        return None
    vote, fence, run, uptime = as_array(answer)
    value = as_bytes(fence)
    return Reading(as_bytes(vote).decode(), int(value) if value else None, as_bytes(run).decode(), as_int(uptime))


def repairs(readings: Sequence[Reading | None], fence: str, value: int) -> list[ScriptCall | None]:
    """For each master the call that gives it a fence, or None if that is not needed or not allowed yet."""
    return [
        load_script("redlock_fence")((fence,), value, reading.run)
        if reading is not None and reading.fence is None and reading.run and reading.uptime >= YOUNG
        else None
        for reading in readings
    ]


async def fenced_set(client: RedisClient, key: str, value: bytes | str | int | float, lease: Lease) -> None:
    """Set the string ``key`` to ``value``, unless a later holder of the lock has done so.

    The check and the write are one script. A holder that was suspended when its lease ended, and does not know it yet,
    cannot overwrite the value of a later holder. (Before the later holder writes it still can, because the key does not
    know the new token yet.) All writers of ``key`` have to use this function, with leases of the same lock.

    Args:
        client: a client of the server that has ``key``. It need not be one of the lock's masters.
        key: a string. The token is kept beside it, without a time to live: ``fenced!{garden}:gate``.
        value: stored as it is.
        lease: a lease of a lock that gives tokens.

    Raises:
        LockLost: a later holder has written. Nothing was changed.
        LockError: the lock gives no tokens.
        WrongKind: ``key`` holds another type than a string, or the key beside it holds something else than a token.
            Nothing was changed.

    One round trip, O(1). Sends: EVALSHA fenced_set.
    """
    call = load_script("fenced_set")((key, beside(key, "fenced")), value, lease.token)
    if not as_flag(await executor_for(client).ask(call, _Fenced(key))):
        raise LockLost(
            f"{named(key)} was not set: a later holder of the lock {named(lease.key)} has set it already. Acquire the "
            "lock again before you write",
            key=lease.key,
        )


class _Fenced(Noted):
    """Explains errors of a write that depends on a token."""

    def __init__(self, key: str) -> None:
        super().__init__(f"setting {named(key)} under a lock", hash_tag(key))
        self._key = key

    def __purse_explain__(self, error: Exception, field: object) -> Exception:
        """See ``Origin``."""
        if isinstance(error, ResponseError) and "WRONGTYPE" in str(error):
            found = found_in(error)
            what = "the key does not hold a string"
            if found is not None:
                token = named(beside(self._key, "fenced"))
                what = f"the key {token} must hold the token, but another program has written to it: found {found}"
            return WrongKind(
                f"{named(self._key)} was not set: {what}. Delete that key, or choose another one.", key=self._key
            )
        return super().__purse_explain__(error, field)
