"""Statistics and settings of a client's engine: ``purse.statistics`` and ``purse.configure``."""

from __future__ import annotations

from dataclasses import dataclass
from types import EllipsisType
from typing import Literal

from purse._engine.clients import RedisClient
from purse._engine.modes import Engine, choose_mode
from purse._engine.registry import executor_for
from purse.codecs._shown import shown

__all__ = ["Statistics", "configure", "statistics"]


@dataclass(frozen=True, slots=True)
class Statistics:
    """How the calls of a client reach Redis, and counts of them so far.

    Attributes:
        mode: ``"shared"``, one connection for each event loop, or ``"dedicated"``, one for each call.
        reason: why it is this mode.
        connections: open connections of all event loops, including those on which the server reports changed
            keys to waiting calls.
        in_flight: calls that were sent and wait for their replies.
        waiting: calls that wait to be sent.
        commands: calls that were sent. A call that needs several commands counts as one.
        batches: writes in which they were sent.
        batch_sizes: calls in one write, in powers of two: ``{1: 90, 8: 4}`` means 90 writes of one
            call and four of 5 to 8.
        reconnects: connections that were opened in place of lost ones.
    """

    mode: Literal["shared", "dedicated"]
    reason: str
    connections: int
    in_flight: int
    waiting: int
    commands: int
    batches: int
    batch_sizes: dict[int, int]
    reconnects: int


def statistics(client: RedisClient) -> Statistics:
    """Return how the calls of ``client`` reach Redis: its mode and the reason, and counts since it was first bound.

    Raises:
        TypeError: ``client`` is not a ``redis.asyncio.Redis``.

    No I/O. Before the first call, the mode is the one that would be tried.
    """
    executor = executor_for(client)
    executor.forget_ended()
    mode = executor.links.mode or choose_mode(client, executor.links.engine)
    links = executor.links.in_use()
    traffic = executor.links.traffic()
    return Statistics(
        mode=mode.name,
        reason=mode.reason,
        connections=sum(link.connections for link in links) + executor.listening,
        in_flight=sum(link.in_flight for link in links),
        waiting=sum(link.waiting for link in links),
        commands=traffic.commands,
        batches=traffic.batches,
        batch_sizes=dict(sorted(traffic.batch_sizes.items())),
        reconnects=executor.links.reconnects,
    )


def configure(
    client: RedisClient, *, engine: Engine | None = None, socket_timeout: float | EllipsisType | None = ...
) -> None:
    """Choose how the calls of ``client`` reach Redis, for all stores and collections that are bound to it.

    A setting that is not passed stays unchanged.

    Args:
        engine: ``"auto"``: a client that is exactly redis-py's shares one connection for each event loop,
            any other gets a connection for each call. ``"shared"``: one connection for any client.
            ``"dedicated"``: a connection for each call.
        socket_timeout: seconds without any byte after which purse gives up a connection that has a reply due, or
            that is being opened, if the client has no ``socket_timeout``. 5 by default. None: never. One
            silent connection then holds up every call.

    Raises:
        ValueError: ``engine`` is something else, or ``socket_timeout`` is not positive.
        TypeError: ``client`` is not a ``redis.asyncio.Redis``.

    No I/O. Calls that are under way finish with the former settings.
    """
    executor = executor_for(client)
    if engine is not None:
        executor.links.configure(engine)
    if not isinstance(socket_timeout, EllipsisType):
        if socket_timeout is not None and not socket_timeout > 0:
            raise ValueError(f"socket_timeout= must be positive, or None for no limit, not {shown(socket_timeout)}")
        executor.connector.socket_timeout = socket_timeout
        executor.links.replace()
