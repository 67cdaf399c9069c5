"""Whether the server executes transactions for this user: asked once on each connection.

A unit of several commands is sent as MULTI, its commands and EXEC, in one write. A server that refuses MULTI (because
the user has no right to it, or the service has disabled it) answers with an error, and still executes the commands
behind it, one by one. So a connection first asks the server to execute an empty transaction:

    sent when it is opened    [MULTI] [EXEC] [GET ...] ...    single commands follow the question at once
    answered                  OK, empty                       allowed: transactions are sent from now on
                              NOPERM, EXECABORT               refused: transactions raise, and nothing is sent
                              BUSY, ...                       not known: the next transaction asks again
                              OK, unknown command             still inside MULTI: nothing sent on it was executed, so
                                                              the connection is given up and the calls are sent again

A transaction waits for the answer, which has nearly always come already. A refusal is remembered for ``AGAIN``
seconds, also for the client's next connections. Then the server is asked again: the right may have been granted.

The answer cannot show that a right is removed later, while the connection is open. The first transaction
after that is executed command by command. It raises, and the refusal is remembered like any other.
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
"""Seconds for which a refusal is valid. After that the server is asked again."""

QUESTION: Packed = transaction(())

_TOO_LATE = (
    "The server allowed MULTI when this connection was opened, and refuses it now. The commands behind it were "
    "executed one by one. Later calls of several commands are not sent: grant MULTI again."
)
_DISCARDED = (
    "The server allowed EXEC when this connection was opened, and refuses it now. None of the commands was executed: "
    "grant EXEC again."
)

# Errors about the server's state, not about the rights of this user. redis-py has classes for the others.
_STATES = ("BUSY", "CLUSTERDOWN", "MASTERDOWN", "MISCONF", "NOREPLICAS", "TRYAGAIN")
_FORBIDDEN = re.compile(r"because of: -?NOPERM (.*)", re.DOTALL)


class Verdict(NamedTuple):
    """The outcome of a transaction.

    Attributes:
        error: why it was not executed as a transaction. None if it was.
        refused: whether this user may not send MULTI or EXEC.
        begun: whether MULTI itself was accepted. Then, if there is an error, no command was executed.
        stuck: whether the server still takes every command on this connection for a part of the transaction.
    """

    error: RedisError | None
    refused: bool = False
    begun: bool = True
    stuck: bool = False


def judge(replies: Sequence[Reply]) -> Verdict:
    """Find the outcome of a transaction in its first and its last reply."""
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
    """Return a fresh copy of ``error`` for a caller whose transaction was not sent, with the fix in a note."""
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
    """Add a note to the error of a refused transaction: whether its commands were executed."""
    if verdict.error is None or not verdict.refused:
        return
    verdict.error.add_note(_DISCARDED if verdict.begun else _TOO_LATE)
    if verdict.begun:
        replies[:] = [verdict.error]


class Permission:
    """The latest answers to the connections of one client. Any thread may use it."""

    __slots__ = ("_losses", "_refused")

    def __init__(self) -> None:
        self._refused: tuple[RedisError, float] | None = None  # and until when it is valid, replaced as a whole
        self._losses = Losses()

    @property
    def eager(self) -> bool:
        """Whether a new connection should ask at once, because there is no refusal and no loss."""
        return not self._losses.count and self.refusal() is None

    def refusal(self) -> RedisError | None:
        """A copy, for one caller, of the refusal that is still valid. None if there is none."""
        refused = self._refused
        return None if refused is None or monotonic() >= refused[1] else told(refused[0])

    def refuse(self, error: RedisError) -> None:
        """Note that the server has refused."""
        self._refused = error, monotonic() + AGAIN

    def allow(self) -> None:
        """Note that the server has executed a transaction."""
        self._refused = None
        self._losses.clear()

    def lost(self, connection: object) -> None:
        """Note that a connection was lost before the answer came.

        A proxy may close every connection on which it reads a command that it does not know. So the next connection
        asks only when there is a transaction to send, and after a few losses the transaction raises.
        """
        if self._losses.add(connection):
            times = f"the last {self._losses.count} connections were lost before the answer came"
            self.refuse(ConnectionError(f"Could not find out whether the server executes transactions: {times}."))
