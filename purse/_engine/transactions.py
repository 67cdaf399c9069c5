"""Whether the server executes transactions for this user: asked once on each connection.

A unit of several commands goes out as MULTI, its commands and EXEC, in one write. A server that refuses MULTI (a user
without the right to it, a service that has disabled it) answers with an error, and then executes the commands all the
same, one by one. So the first thing that a connection is asked is whether it may send an empty transaction:

    sent when it is opened    [MULTI] [EXEC] [GET ...] ...    single commands go right behind the question
    answered                  OK, empty                       allowed: transactions are sent from now on
                              NOPERM, EXECABORT               refused: transactions are answered here, nothing is sent
                              BUSY, ...                       not known: the next transaction asks again
                              OK, unknown command             still inside MULTI: nothing sent on it was executed, so
                                                              the connection is given up and the calls are sent again

A transaction waits for the answer, which is nearly always there already. A refusal is remembered for ``AGAIN``
seconds, also by the client's next connections, and then asked for again: somebody may have granted the right.

What the answer cannot show is a right that is taken away later, while the connection is open. The first transaction
after that is executed command by command; it raises, and the refusal is remembered like any other.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from time import monotonic
from typing import NamedTuple

from redis.exceptions import ConnectionError, ExecAbortError, NoPermissionError, RedisError, ResponseError

from purse._engine.losses import Losses
from purse._engine.packing import Packed, transaction
from purse._engine.replies import Reply

__all__ = ["AGAIN", "QUESTION", "Permission", "Verdict", "annotate", "judge", "told"]

AGAIN = 1.0
"""Seconds for which a refusal is taken for granted."""

QUESTION: Packed = transaction(())

_TOO_LATE = (
    "The server allowed MULTI when this connection was opened, and refuses it now. The commands behind it were "
    "executed one by one. Later calls of several commands are not sent."
)
_DISCARDED = (
    "The server allowed EXEC when this connection was opened, and refuses it now. None of the commands was executed."
)

# Errors that tell of the server's state, not of what this user may do. redis-py has classes for the others.
_STATES = ("BUSY", "CLUSTERDOWN", "MASTERDOWN", "MISCONF", "NOREPLICAS", "TRYAGAIN")
_FORBIDDEN = re.compile(r"because of: -?NOPERM (.*)", re.DOTALL)


class Verdict(NamedTuple):
    """What the replies to MULTI, ..., EXEC say.

    Attributes:
        error: why there was no transaction; None: there was one.
        refused: this user may not send MULTI or EXEC.
        begun: MULTI itself was accepted, so that no command was executed.
        stuck: the server still takes every command on this connection for a part of the transaction.
    """

    error: RedisError | None
    refused: bool = False
    begun: bool = True
    stuck: bool = False


def judge(replies: Sequence[Reply]) -> Verdict:
    """What became of a transaction, by its first and its last reply."""
    multi, executed = replies[0], replies[-1]
    if isinstance(multi, RedisError):
        return Verdict(multi, _is_refusal(multi), begun=False)
    if not isinstance(executed, RedisError):
        return Verdict(None)
    if not isinstance(executed, ExecAbortError):
        return Verdict(executed, _is_refusal(executed), stuck=True)
    forbidden = _FORBIDDEN.search(str(executed))  # redis-server discards a transaction whose EXEC it refuses
    if forbidden is not None:
        return Verdict(NoPermissionError(forbidden[1]), refused=True)
    return Verdict(executed)


def _is_refusal(error: RedisError) -> bool:
    return type(error) in (NoPermissionError, ResponseError) and not str(error).startswith(_STATES)


def told(error: RedisError) -> RedisError:
    """A fresh copy of ``error`` for one of the callers whose transaction was not sent, with the fix."""
    copy = type(error)(*error.args)
    copy.add_note(
        "purse asks on each connection whether it may send MULTI and EXEC, which a call of several commands needs. "
        "Nothing of this call was sent."
    )
    if _is_refusal(error):
        copy.add_note(
            "Grant both (ACL SETUSER name +multi +exec), or enable them on the server: see "
            "docs/engine.md#transactions-that-the-server-refuses."
        )
    return copy


def annotate(replies: list[Reply], verdict: Verdict) -> None:
    """Have the replies to a transaction that the server refused say what became of its commands."""
    if verdict.error is None or not verdict.refused:
        return
    verdict.error.add_note(_DISCARDED if verdict.begun else _TOO_LATE)
    if verdict.begun:
        replies[:] = [verdict.error]


class Permission:
    """What the connections of one client were told lately. Any thread may use it."""

    __slots__ = ("_losses", "_refused")

    def __init__(self) -> None:
        self._refused: tuple[RedisError, float] | None = None  # replaced as one, with the time until which it counts
        self._losses = Losses()

    @property
    def eager(self) -> bool:
        """Whether a new connection should ask at once: nothing speaks against it."""
        return not self._losses.count and self.refusal() is None

    def refusal(self) -> RedisError | None:
        """A copy of the refusal that still counts, for one caller."""
        refused = self._refused
        return None if refused is None or monotonic() >= refused[1] else told(refused[0])

    def refuse(self, error: RedisError) -> None:
        """The server has refused."""
        self._refused = error, monotonic() + AGAIN

    def allow(self) -> None:
        """The server has executed a transaction."""
        self._refused = None
        self._losses.clear()

    def lost(self, connection: object) -> None:
        """A connection was lost before it answered.

        A proxy may close every connection on which it reads a command that it does not know. So the next connection
        asks only when there is a transaction to send, and after a few losses the caller is told.
        """
        if self._losses.add(connection):
            times = f"the last {self._losses.count} connections were lost before they answered"
            self.refuse(ConnectionError(f"Cannot find out whether the server executes transactions: {times}."))
