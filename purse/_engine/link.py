"""Link: the protocol between the executor and the connections, and ``LinkLost``.

A link carries packed requests of one client and one event loop to the server and their replies back:

    ``shared.SharedLink``        one connection for many callers, in two forms:
        ``adoption.AdoptedLink``     on the connection's own transport, the fast one
        ``driven.DrivenLink``        through redis-py's public methods
    ``dedicated.DedicatedLink``  a connection for each call, for clients that must not share one

A link that is lost or closed is never reopened. The executor opens another one.
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
"""``Link.take`` calls it if its caller is cancelled after the request may have been sent. It returns a function that is
called once: with the replies when they have come, or with None if the connection was lost before."""


class LinkLost(Exception):
    """The link closed before all replies to a request had come.

    Attributes:
        sent: False if no byte of the request left this process.
        cause: the exception that closed the link.
    """

    def __init__(self, cause: BaseException, *, sent: bool) -> None:
        super().__init__(cause, sent)
        self.cause = cause
        self.sent = sent


class Ended(ConnectionError):
    """The cause of a link that this side has closed: no connection was lost."""


def lost_reply(error: RedisError) -> RedisError:
    """Mark ``error``: it is not known whether the command was executed. Returns ``error``."""
    vars(error)["reply_lost"] = True
    return error


def reply_was_lost(error: BaseException) -> bool:
    """Whether ``error`` leaves open if the command was executed."""
    return "reply_lost" in vars(error)


@dataclass(slots=True)
class Traffic:
    """Counts the requests of a link, once for each write, in the thread of its loop. Any thread may read it.

    Attributes:
        commands: requests that were sent. A unit of several commands counts as one.
        batches: writes in which they were sent.
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
        """Add the counts of another link."""
        self.commands += other.commands
        self.batches += other.batches
        for bound, times in other.batch_sizes.copy().items():  # a copy: its link may still count in another thread
            self.batch_sizes[bound] = self.batch_sizes.get(bound, 0) + times


class Link(Protocol):
    """Sends requests and reads replies until it is lost. Only the loop's own thread uses it, except for ``traffic``.

    Attributes:
        ready: whether it is open, and has room for one more request now.
        is_open: whether it takes requests, at once or after ``room``.
        traffic: the counts of its requests.
    """

    ready: bool
    is_open: bool
    traffic: Traffic

    def request(self, packed: Packed, /) -> Awaitable[list[Reply]]:
        """Send a request in one contiguous write. The awaitable returns its replies, with errors as values.

        Call it only while ``ready``, or right after ``room``. Cancelling it is always safe.

        Raises:
            LinkLost: the link was lost before all replies had come. The awaitable raises it.
        """
        ...

    async def take(self, packed: Packed, leave: Leave, /) -> list[Reply]:
        """``request`` for commands that remove something: the replies are read even if the caller is cancelled.

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
        """Share ``permission``, the answers about MULTI and EXEC, with the client's other links.

        It is called once, before all other methods. A shared link asks the server at once. Only transactions wait for
        the answer.
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
        """Take no more requests, and close when all requests under way are answered."""
        ...

    def abort(self, cause: BaseException) -> None:
        """Fail every request that is under way and hang up. The first cause counts.

        It is safe to call it again. After an exception (a Ctrl-C) has ended it half-way, the next call does the rest.
        """
        ...

    def disown(self) -> None:
        """Do nothing any more, and do not touch the sockets: this process is a fork, and they are its parent's."""
        ...

    def drop(self) -> None:
        """Close every socket without the loop, which is closed. Any thread may call it."""
        ...

    async def aclose(self) -> None:
        """Abort, and wait until every socket is closed."""
        ...
