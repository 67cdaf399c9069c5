"""What the executor asks of a link, and what losing one means.

A link carries packed requests of one client and one event loop to the server and their replies back:

    ``shared.SharedLink``        one connection, many callers; two ways to drive it:
        ``adoption.AdoptedLink``     on the connection's own transport, the fast one
        ``driven.DrivenLink``        through redis-py's public methods
    ``dedicated.DedicatedLink``  a connection for each call, for clients that must not share one

A link lives once: lost or closed it is never reopened, the executor opens another.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from dataclasses import dataclass, field
from typing import Protocol, TypeAlias

from redis.exceptions import ConnectionError, RedisError

from purse._engine.packing import Packed
from purse._engine.replies import Reply
from purse._engine.transactions import Permission

__all__ = ["Ended", "Leave", "Link", "LinkLost", "Traffic", "lost_reply", "reply_was_lost"]

Leave: TypeAlias = "Callable[[], Callable[[list[Reply] | None], None]]"
"""What ``Link.take`` calls when its caller is gone after the request may have been sent. What it returns is called once
more, with the replies when they have come, or with None when the connection was lost before."""


class LinkLost(Exception):
    """The link closed before all replies to a request had come.

    Attributes:
        sent: False if no byte of the request left this process.
        cause: what closed the link.
    """

    def __init__(self, cause: BaseException, *, sent: bool) -> None:
        super().__init__(cause, sent)
        self.cause = cause
        self.sent = sent


class Ended(ConnectionError):
    """Why a link is closed that nothing has happened to: this side has ended it."""


def lost_reply(error: RedisError) -> RedisError:
    """``error``, marked as one after which nobody knows whether the command was executed."""
    vars(error)["reply_lost"] = True
    return error


def reply_was_lost(error: BaseException) -> bool:
    """Whether ``error`` means that the command may have been executed, or may not."""
    return "reply_lost" in vars(error)


@dataclass(slots=True)
class Traffic:
    """What went over a link, counted once for each write by the thread of its loop. Any thread may look at it.

    Attributes:
        commands: requests that were sent; a unit of several commands counts as one.
        batches: writes that carried them.
        batch_sizes: requests in one write, in powers of two: ``{1: 90, 8: 4}`` means 90 writes of one
            request and four of 5 to 8.
    """

    commands: int = 0
    batches: int = 0
    batch_sizes: dict[int, int] = field(default_factory=dict[int, int])

    def count(self, batch: int) -> None:
        """Count one write of ``batch`` requests."""
        self.commands += batch
        self.batches += 1
        bound = 1 << (batch - 1).bit_length()
        self.batch_sizes[bound] = self.batch_sizes.get(bound, 0) + 1

    def add(self, other: Traffic) -> None:
        """Count what another link has carried, too."""
        self.commands += other.commands
        self.batches += other.batches
        for bound, times in other.batch_sizes.copy().items():  # a copy: its link may go on counting in another thread
            self.batch_sizes[bound] = self.batch_sizes.get(bound, 0) + times


class Link(Protocol):
    """Carries requests until it is lost. Everything but ``traffic`` is for the loop's own thread.

    Attributes:
        ready: it is open, and has room for one more request now.
        is_open: it takes requests, at once or after ``room``.
        traffic: what went over it.
    """

    ready: bool
    is_open: bool
    traffic: Traffic

    def request(self, packed: Packed, /) -> Awaitable[list[Reply]]:
        """Send one contiguous write; brings its replies, errors among them as values.

        To be called only while ``ready``, or right after ``room``. Cancelling it is always safe.

        Raises:
            LinkLost: the link was lost before all replies had come; raised by the awaitable.
        """
        ...

    async def take(self, packed: Packed, leave: Leave, /) -> list[Reply]:
        """``request`` for what removes something: its replies are read to the end even if the caller is cancelled.

        Args:
            leave: see ``Leave``. It is not called if the caller is cancelled before anything was sent.

        Raises:
            LinkLost: as ``request``.
        """
        ...

    async def room(self, size: int, /) -> None:
        """Wait, first come first served, until a request of ``size`` bytes may be made.

        Raises:
            LinkLost: the link was lost before there was room.
        """
        ...

    def permit(self, permission: Permission, /) -> None:
        """Share with the client's other links what the server says about MULTI and EXEC; to be called once, at first.

        A shared link asks the server at once. Only transactions wait for the answer.
        """
        ...

    @property
    def in_flight(self) -> int:
        """Requests that were sent and wait for replies."""
        ...

    @property
    def waiting(self) -> int:
        """Requests that have not been sent yet."""
        ...

    @property
    def connections(self) -> int:
        """Open connections."""
        ...

    def retire(self) -> None:
        """Take no more requests; close when what is under way has been answered."""
        ...

    def abort(self, cause: BaseException) -> None:
        """Fail every request that is under way and hang up. The first cause counts.

        Safe to call again, also after an exception (a Ctrl-C) has ended it half-way: then it does the rest.
        """
        ...

    def disown(self) -> None:
        """Do nothing any more, and leave the sockets alone: this process is a fork, they are its parent's."""
        ...

    def drop(self) -> None:
        """Close every socket without the loop, which is closed. Any thread may call it."""
        ...

    async def aclose(self) -> None:
        """Abort, and wait until every socket is closed."""
        ...
