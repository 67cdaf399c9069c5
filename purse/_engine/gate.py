"""Gate: transactions stay in the outbox of a shared link until the server has said that it executes them.

    [MULTI] [EXEC] [GET ...] [MULTI SET SET EXEC] [GET ...]
    the question   is sent   held, and all requests behind it

The question is the first request in the outbox, so single commands follow it without waiting. ``transactions`` explains
why it is asked, and the meaning of the answers.
"""

from __future__ import annotations

import asyncio

from redis.exceptions import RedisError

from purse._engine.outbox import Future, Outbox, Request, future_of
from purse._engine.replies import Reply
from purse._engine.transactions import QUESTION, Permission, Verdict, annotate, judge, told

__all__ = ["Gate"]


class Gate:
    """Whether transactions may leave the outbox of one link.

    Args:
        outbox: the outbox of the link.

    Attributes:
        is_open: whether the server has said on this link that it executes transactions.
        holding: whether a transaction is in the outbox, and waits for the answer.
        question: the question, until it is answered. None before it is asked.
    """

    __slots__ = ("_outbox", "_permission", "holding", "is_open", "question")

    def __init__(self, outbox: Outbox) -> None:
        self._outbox = outbox
        self._permission = Permission()
        self.is_open: bool = False
        self.holding: bool = False
        self.question: Request | None = None

    def permit(self, permission: Permission) -> bool:
        """See ``Link.permit``. Returns whether the question is in the outbox now."""
        self._permission = permission
        if permission.eager:
            self._ask()
        return self.question is not None

    def _ask(self) -> None:
        """Put the question in front of all requests that wait to be sent."""
        nobody: Future = asyncio.get_running_loop().create_future()
        nobody.set_result([])  # no caller waits for it: the link reads the answer when it is delivered
        self.question = (nobody, QUESTION[1])
        self._outbox.put_first(QUESTION[0], self.question)

    def lets_in(self, future: Future) -> bool:
        """Whether a transaction may join the outbox. If not, ``future`` has the refusal as its reply."""
        if self.is_open:
            return True
        if self.question is None:
            refusal = self._permission.refusal()
            if refusal is not None:
                future.set_result([refusal])
                return False
            self._ask()
        self.holding = True
        return True

    def before_transactions(self) -> int:
        """How many requests of the outbox may be sent before the question is answered."""
        held = (n for n, request in enumerate(self._outbox.requests) if self._is_transaction(request))
        return next(held, len(self._outbox))

    def _is_transaction(self, request: Request) -> bool:
        return type(request) is tuple and request is not self.question

    def learn(self, replies: list[Reply], *, asked: bool) -> Verdict:
        """Handle the replies to a transaction that was not executed, or the answer to the question.

        Args:
            replies: the replies. If the transaction was refused, they are changed to say whether it was executed.
            asked: whether they are the answer to the question.
        """
        verdict = judge(replies)
        if verdict.refused and verdict.error is not None:
            self._permission.refuse(verdict.error)
        if asked:
            self.question = None
            self.holding = False
            self.is_open = verdict.error is None
            if verdict.error is None:
                self._permission.allow()
        else:
            annotate(replies, verdict)
            self.is_open = self.is_open and not verdict.refused
        if verdict.error is not None and (asked or verdict.refused):
            self._turn_away(verdict.error)
        return verdict

    def _turn_away(self, error: RedisError) -> None:
        """Answer the transactions in the outbox with ``error`` and remove them: they are not sent."""
        outbox = self._outbox
        kept = [not self._is_transaction(request) for request in outbox.requests]
        for request, stays in zip(outbox.requests, kept, strict=True):
            if not stays and not future_of(request).done():
                future_of(request).set_result([told(error)])
        outbox.keep(kept)

    def lost(self, link: object) -> None:
        """Note that the link is lost."""
        if self.question is not None:
            self._permission.lost(link)
