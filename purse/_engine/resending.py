"""Resending: when a unit is sent again that the server has not executed, or may not have executed.

    unit never left the process       sent again on a new link, always
    reply lost, unit is read-only     sent again, up to four times in all
    reply lost, any other unit        raises: it may have been executed, and is never executed twice
    LOADING                           sent again for about a second (not executed: the server has just started)
    READONLY                          sent again once, on a new connection (not executed: no longer the primary)
    NOSCRIPT                          the same call as EVAL (not executed either)
    MULTI or EXEC refused             raises, and nothing was sent: see ``transactions``

``Resending`` implements these rules. A subclass chooses the link that carries a unit, and decides whether to ask
another server after a refusal.
"""

from __future__ import annotations

from abc import ABC, abstractmethod

from redis.exceptions import (
    BusyLoadingError,
    ConnectionError,
    NoScriptError,
    ReadOnlyError,
    RedisError,
    ResponseError,
    TimeoutError,
)

from purse._engine.connecting import DELAYS, pause
from purse._engine.contact import Contact
from purse._engine.link import Leave, Link, LinkLost, lost_reply
from purse._engine.packing import Packer, exec_replies, pack, pack_by_body
from purse._engine.refusals import explained
from purse._engine.replies import Reply
from purse._engine.scripts import ScriptCall
from purse._engine.unit import Unit

__all__ = ["Resending", "answers", "no_error", "says_readonly"]

_READ_ATTEMPTS = 4  # a read is sent at most this often: each attempt lost its connection


class Resending(ABC):
    """Sends units by the rules of this module.

    Args:
        contact: is notified when the connection is lost, and when there is one again.
    """

    def __init__(self, contact: Contact) -> None:
        self._contact = contact

    @abstractmethod
    async def _link_for(self, unit: Unit[object], /) -> Link:
        """Return the open link that carries ``unit``, with room for it right now.

        Raises:
            redis.exceptions.ConnectionError, redis.exceptions.TimeoutError: a link cannot be opened.
            LinkLost: the link was lost while this call waited for room.
            StoreClosed: after ``aclose()``.
        """

    @abstractmethod
    def _elsewhere(self, unit: Unit[object], replies: list[Reply], /) -> bool:
        """Whether to send ``unit`` again, because its server has refused it and ``_link_for`` now returns another link.

        Called for each unit of several commands, and for each unit that was refused.
        """

    async def _exchange(
        self, unit: Unit[object], packer: Packer, lost: LinkLost | None = None, *, leave: Leave | None = None
    ) -> list[Reply]:
        """Send a unit, again if it has not left the process, and return the replies unchanged.

        It is packed when it can be sent, so callers that wait for a connection, or for room, do not hold packed copies.

        Args:
            lost: the error of a first attempt, if there was one.
            leave: see ``Leave``, for a unit that removes elements.

        Raises:
            redis.exceptions.ConnectionError, redis.exceptions.TimeoutError: no connection could be opened, or the
                reply was lost.
        """
        attempts = 0
        contact = self._contact
        while True:
            if lost is not None:
                contact.lost(lost.cause)
            if lost is not None and lost.sent:
                attempts += 1
                if not unit.read_only or attempts >= _READ_ATTEMPTS:
                    error = _lost_reply(lost.cause, attempts, read_only=unit.read_only)
                    raise explained(error, unit.origin, unit.field) from lost.cause
            try:
                link = await self._link_for(unit)
                packed = packer(unit)
                replies = await (link.request(packed) if leave is None else link.take(packed, leave))
                if contact.is_lost:
                    contact.made()
                return replies
            except LinkLost as again:
                lost = again
            except RedisError as error:
                contact.lost(error)  # a further connection of a dedicated link could not be opened
                raise

    async def _settle(self, unit: Unit[object], replies: list[Reply], leave: Leave | None = None) -> list[Reply]:
        """Send a unit again if it was not executed, and return the replies for its decoder.

        Raises:
            Exception: the server's error, explained by the unit's origin.
        """
        replies = await self._insist(unit, pack, replies, leave)
        if isinstance(replies[0], NoScriptError) and isinstance(unit.commands[0], ScriptCall):
            replies = await self._exchange(unit, pack_by_body, leave=leave)
            replies = await self._insist(unit, pack_by_body, replies, leave)
        try:
            return answers(unit, replies)
        except RedisError as error:
            refusal = explained(error, unit.origin, unit.field)
            raise refusal from (None if refusal is error else error)

    async def _insist(
        self, unit: Unit[object], packer: Packer, replies: list[Reply], leave: Leave | None = None
    ) -> list[Reply]:
        """Send a unit again after LOADING or READONLY, and return its replies."""
        for delay in DELAYS:
            if not any(isinstance(reply, BusyLoadingError) for reply in replies):
                break
            await pause(delay)
            replies = await self._exchange(unit, packer, leave=leave)
        if self._elsewhere(unit, replies):
            replies = await self._exchange(unit, packer, leave=leave)
        return replies


def says_readonly(reply: Reply) -> bool:
    """Whether ``reply`` means that the server is not a primary, also in a script's error or inside EXEC."""
    if isinstance(reply, list):
        return any(isinstance(inner, Exception) and says_readonly(inner) for inner in reply)
    return isinstance(reply, ReadOnlyError) or (isinstance(reply, ResponseError) and "-READONLY " in str(reply))


def answers(unit: Unit[object], replies: list[Reply]) -> list[Reply]:
    """Return those replies that ``unit`` decodes.

    Raises:
        Exception: an error that the server answered. For a loose unit only that of the last command.
    """
    if unit.loose:
        no_error(replies[-1:])
        return replies
    return no_error(exec_replies(replies) if len(unit.commands) > 1 else replies)


def no_error(replies: list[Reply]) -> list[Reply]:
    """Return ``replies``, if there is no error among them.

    Raises:
        Exception: the first error among them.
    """
    for reply in replies:
        if isinstance(reply, Exception):
            raise reply
    return replies


def _lost_reply(cause: BaseException, attempts: int, *, read_only: bool) -> RedisError:
    """The error of a call whose connection was lost before the reply came."""
    outcome = (
        f"the read was sent {attempts} times"
        if read_only
        else "the command may have been executed, and was not sent again"
    )
    kind = TimeoutError if isinstance(cause, TimeoutError) else ConnectionError
    return lost_reply(kind(f"{cause} The reply was lost: {outcome}."))
