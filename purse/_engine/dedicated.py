"""DedicatedLink: a connection for each call, for clients whose connections must not be shared.

For a fake, a subclass or an instrumented client every byte goes through the public methods of its
connections. The promises are those of the shared link, kept in another way:

* A call that is cancelled, or fails while replies are on the way, closes its connection, so that a late
  reply cannot answer another call.
* A call for which no connection is free waits, first come first served, instead of raising.
* A connection that the server has closed is noticed before anything is sent on it. A connection that was idle
  for longer than the client's ``health_check_interval`` has to answer a PING first.
* The first call on a connection also asks whether the server executes transactions. If the call is itself a
  transaction, it waits for the answer.
* An exception between two lines (a Ctrl-C) discards the connection of its call. Each call is counted once and never
  twice, in whichever line the exception came.

The client's pool makes the connections, but they are kept here. A connection in the pool may belong to an
event loop that has ended, and redis-py's own commands must not run out of connections because of purse's.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from time import monotonic
from typing import Any, TypeAlias

from redis.exceptions import RedisError

from purse._engine.cancellation import CAME_BETWEEN
from purse._engine.clients import (
    Connection,
    forget,
    has_unread,
    health_check_interval,
    is_closed_here,
    outdated,
    read_reply,
    remember,
    send_packed,
    was_closed_by_client,
)
from purse._engine.connecting import Connector, refused
from purse._engine.detached import background, detached
from purse._engine.link import Ended, Leave, LinkLost, Traffic
from purse._engine.loops import close_connection, drop, hang_up
from purse._engine.outbox import OUTBOX
from purse._engine.packing import PING, Packed
from purse._engine.replies import Reply
from purse._engine.room import Room
from purse._engine.taking import tell_of
from purse._engine.transactions import QUESTION, Permission, annotate, judge, told

__all__ = ["DedicatedLink"]

Caller: TypeAlias = "asyncio.Task[Any] | None"
"""The task that makes a call. It makes one at a time."""

LIMIT = 50
"""Connections of one client and loop: at most this many, at most half of its pool's ``max_connections``, at least 1."""


class DedicatedLink:
    """Calls of one client in one loop, each with a separate connection while it lasts.

    Args:
        connector: opens the client's connections.
        first: an open connection that is not used elsewhere.
        on_close: called once, when the last connection is closed.
    """

    def __init__(self, connector: Connector, first: Connection, on_close: Callable[[DedicatedLink], None]) -> None:
        self._connector = connector
        self._pool = pool = connector.pool
        self._loop = asyncio.get_running_loop()
        self._limit = max(1, min(LIMIT, pool.max_connections // 2))
        self._room = Room()
        self._calls: dict[Caller, int] = {}  # bytes of the calls under way, by task: each makes one call at a time
        self._idle = [first]
        self._idle_since = {first: monotonic()}
        self._busy: dict[Connection, Caller] = {}  # and the call that uses it
        self._permission = Permission()
        self._unasked = {first}  # connections that were not asked yet whether they may send MULTI and EXEC
        self._transacting: set[Connection] = set()  # connections that may send MULTI and EXEC
        self._tasks: dict[asyncio.Task[None], Connection] = {}  # tasks that close connections
        self._sent: set[object] = set()  # tasks whose request may have been sent
        self._on_close: Callable[[DedicatedLink], None] | None = on_close
        self._lost: BaseException | None = None
        self._disowned = False
        self.ready = False  # every call waits for room, in its order
        self.is_open = True
        self.traffic = Traffic()
        remember(pool, first)

    async def request(self, packed: Packed) -> list[Reply]:
        """See ``Link.request``.

        Raises:
            redis.exceptions.RedisError: another connection was needed, and could not be opened.
        """
        call = asyncio.current_task()
        if call in self._calls:  # an exception has ended its former call in the ``finally`` below
            del self._calls[call]
            self._reclaim()
        connection: Connection | None = None
        whole = False
        try:
            self._calls[call] = len(packed[0])
            connection = await self._connection(call)
            self._sent.add(call)
            replies = await self._call(connection, packed)
            whole = True
            return replies
        finally:
            self._sent.discard(call)
            self._calls.pop(call, None)
            if connection is not None:
                if whole and self.is_open and connection.is_connected and not outdated(connection):
                    self._idle.append(connection)
                    self._idle_since[connection] = monotonic()
                    self._busy.pop(connection, None)
                else:
                    self._discard(connection)
            self._admit()

    async def take(self, packed: Packed, leave: Leave) -> list[Reply]:
        """See ``Link.take``."""
        taking = detached(self.request(packed), "taking")
        try:
            await asyncio.wait((taking,))
        except BaseException:
            if taking not in self._sent:
                taking.cancel()
            tell_of(taking, leave())
            raise
        return taking.result()

    def permit(self, permission: Permission) -> None:
        """See ``Link.permit``. Here each connection asks with its first call."""
        self._permission = permission

    async def room(self, size: int) -> None:
        """See ``Link.room``. Here room is a place among the calls that may be under way at a time."""
        if not self.is_open:
            raise self._turned_away()
        await self._room.wait(size, self._admit)

    def _admit(self) -> None:
        """Let waiting callers continue, as far as there are connections and memory for them."""
        if len(self._busy) > len(self._calls):
            self._reclaim()
        room = self._room
        room.recount()
        while room and not self._loop.is_closed():
            under_way = len(self._calls) + room.granted
            size_of_all = sum(self._calls.values()) + room.reserved
            if under_way >= self._limit or (under_way and size_of_all >= OUTBOX):
                if not self._reclaim():
                    return
                continue
            room.grant()

    def _reclaim(self) -> bool:
        """Remove calls that have ended from the count, and discard their connections.

        A call does both itself, unless an exception came in just those lines.

        Returns:
            Whether there was such a call.
        """
        gone = [call for call in self._calls if call is None or call.done()]
        for call in gone:
            del self._calls[call]
        for connection in [used for used, call in self._busy.items() if call not in self._calls]:
            self._discard(connection)
        return bool(gone)

    def _turned_away(self) -> LinkLost:
        return LinkLost(self._why_closed(), sent=False)

    def _why_closed(self) -> BaseException:
        return self._lost or Ended("the connection was replaced")

    async def _connection(self, call: Caller) -> Connection:
        """Return a connection that works, and count it as busy with ``call``."""
        while self.is_open:
            connection: Connection | None = None
            try:
                if self._idle:
                    connection = self._idle[-1]
                    self._busy[connection] = call
                    self._idle.remove(connection)
                    usable = not await has_unread(connection) and await self._is_well(connection)
                else:
                    connection = await self._open()
                    self._busy[connection] = call
                    remember(self._pool, connection)
                    self._unasked.add(connection)
                    usable = True
                if usable and self.is_open:
                    return connection
            except BaseException:
                if connection is not None:
                    self._discard(connection)
                raise
            self._discard(connection)
        raise self._turned_away()

    async def _is_well(self, connection: Connection) -> bool:
        """Whether the server answers, on a connection that was idle for longer than ``health_check_interval``."""
        interval = health_check_interval(connection)
        if not interval or monotonic() - self._idle_since.get(connection, 0.0) <= interval:
            return True
        try:
            await send_packed(connection, PING)
            await read_reply(connection, seconds=connection.socket_timeout)  # any reply shows that the server answers
        except (RedisError, OSError):
            return False
        return True

    async def _open(self) -> Connection:
        try:
            return await self._connector.open_patiently()
        except RedisError as error:
            raise refused(error, self._pool) from error

    async def _call(self, connection: Connection, packed: Packed) -> list[Reply]:
        """Send a request. A transaction waits until the server has said on ``connection`` that it executes them."""
        payload, wanted = packed
        if wanted > 1 and connection not in self._transacting:
            refusal = self._permission.refusal() or await self._ask(connection)
            if refusal is not None:
                return [refusal]
        self.traffic.count(1)
        if connection in self._unasked and self._permission.eager:
            question, asked = QUESTION
            replies = await self._exchange(connection, (question + payload, asked + abs(wanted)), asking=True)
            self._learn(connection, replies[:asked])
            return replies[asked:]
        replies = await self._exchange(connection, packed)
        if wanted > 1 and isinstance(replies[-1], Exception):
            await self._look_at(connection, replies)
        return replies

    async def _ask(self, connection: Connection) -> RedisError | None:
        """Ask whether ``connection`` may send MULTI and EXEC. Returns the refusal, or None if it may.

        Raises:
            LinkLost: the connection was lost. Only the question was sent.
        """
        try:
            return self._learn(connection, await self._exchange(connection, QUESTION, asking=True))
        except LinkLost as lost:
            raise LinkLost(lost.cause, sent=False) from lost

    def _learn(self, connection: Connection, answer: list[Reply]) -> RedisError | None:
        self._unasked.discard(connection)
        verdict = judge(answer)
        if verdict.error is None:
            self._transacting.add(connection)
            self._permission.allow()
            return None
        if verdict.refused:
            self._permission.refuse(verdict.error)
        if verdict.stuck:  # no command that came after it was executed
            raise LinkLost(verdict.error, sent=False)
        return told(verdict.error)

    async def _look_at(self, connection: Connection, replies: list[Reply]) -> None:
        """Handle the replies to a transaction that was not executed: note a refusal, explain it to the caller."""
        verdict = judge(replies)
        if verdict.refused and verdict.error is not None:
            self._transacting.discard(connection)
            self._permission.refuse(verdict.error)
        annotate(replies, verdict)
        if verdict.stuck:
            await connection.disconnect(nowait=True)

    async def _exchange(self, connection: Connection, packed: Packed, *, asking: bool = False) -> list[Reply]:
        payload, wanted = packed
        replies: list[Reply] = []
        written = False
        try:
            await send_packed(connection, payload)
            written = True
            while len(replies) < abs(wanted):
                reply = await read_reply(connection, seconds=connection.socket_timeout)
                replies.append(reply)
                if isinstance(reply, Exception) and not connection.is_connected:
                    # A connection of Sentinel's closes itself when its server refuses because it is no
                    # longer the primary. So the server has refused the rest of the unit as well.
                    replies += [reply] * (abs(wanted) - len(replies))
        except (RedisError, OSError) as error:
            if asking:
                self._permission.lost(connection)
            # While a call reads from it, only the client's own ``aclose`` closes it on this side.
            here = was_closed_by_client(connection) or (written and is_closed_here(connection))
            ended = Ended("The client was closed.") if here else None
            raise LinkLost(self._lost or ended or error, sent=True) from error
        return replies

    def _discard(self, connection: Connection) -> None:
        if self._loop.is_closed() and not self._disowned:
            self.drop()
        if self._disowned:
            return
        self._unasked.discard(connection)
        self._transacting.discard(connection)
        self._idle_since.pop(connection, None)
        if connection.is_connected:
            self._disconnect(connection)
        forget(self._pool, connection)
        if connection in self._idle:
            self._idle.remove(connection)
        self._busy.pop(connection, None)
        self._maybe_closed()

    def _disconnect(self, connection: Connection) -> None:
        # In a separate task: a caller that was cancelled would be cancelled again while it waits.
        task = background(hang_up(connection), "closing")
        self._tasks[task] = connection
        task.add_done_callback(self._done)

    def _done(self, task: asyncio.Task[None]) -> None:
        connection = self._tasks.pop(task, None)
        error = asyncio.CancelledError() if task.cancelled() else task.exception()
        # Otherwise it is closed.
        if connection is not None and isinstance(error, CAME_BETWEEN) and not self._disowned:
            self._disconnect(connection)
        self._maybe_closed()

    def _maybe_closed(self) -> None:
        if not self.is_open and not self._busy and not self._idle and not self._tasks and self._on_close is not None:
            on_close, self._on_close = self._on_close, None
            on_close(self)

    # --- the end --------------------------------------------------------------------------------------

    def retire(self) -> None:
        """See ``Link.retire``."""
        self.is_open = False
        self._room.turn_away(self._why_closed())
        for connection in list(self._idle):
            self._discard(connection)

    def abort(self, cause: BaseException) -> None:
        """See ``Link.abort``."""
        if self._disowned:
            return
        if self._lost is None:
            self._lost = cause
        self.retire()
        self._reclaim()
        for connection in self._busy:  # the call that reads from it raises
            if connection.is_connected:
                self._disconnect(connection)
            forget(self._pool, connection)
        self._maybe_closed()

    def disown(self) -> None:
        """See ``Link.disown``."""
        self._disowned = True
        self._lost = Ended("this process is a fork")
        self.is_open = False

    def drop(self) -> None:
        """See ``Link.drop``."""
        self._disowned = True
        self._lost = Ended("the event loop was closed")
        self.is_open = False
        for task in [*self._tasks]:
            drop(task)
        for connection in (*self._idle, *self._busy, *self._tasks.values()):
            close_connection(connection)
            forget(self._pool, connection)
        self._idle.clear()
        self._busy.clear()
        on_close, self._on_close = self._on_close, None
        if on_close is not None:
            on_close(self)

    async def aclose(self) -> None:
        """See ``Link.aclose``."""
        self.abort(Ended("the connection was closed by aclose()"))
        if self._tasks:
            await asyncio.wait(self._tasks)

    @property
    def in_flight(self) -> int:
        """See ``Link.in_flight``."""
        return len(self._busy)

    @property
    def waiting(self) -> int:
        """See ``Link.waiting``."""
        return len(self._room)

    @property
    def connections(self) -> int:
        """See ``Link.connections``."""
        return len(self._idle) + len(self._busy)
