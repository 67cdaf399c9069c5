"""The executor of a client: finds or opens the shared link of the running loop, and keeps the retry rule.

    unit never left the process       sent again on a new link, always
    reply lost, unit is read-only     sent again, a few times
    reply lost, anything else         raised: it may have been executed, and is not executed twice
    LOADING                           sent again for about a second (not executed: the server just started)
    NOSCRIPT                          the same call as EVAL (not executed either)

There is one executor for each client object and one link for each (client, running loop), opened at
the first command by a single task however many callers wait for it. A first connection that fails is
reported at once; a lost one is re-opened with jittered back-off for about a second, because a server
that restarts is back within that.
"""

from __future__ import annotations

import asyncio
import contextlib
import random
import weakref

from redis.exceptions import (
    AuthenticationError,
    BusyLoadingError,
    ConnectionError,
    NoScriptError,
    RedisError,
    TimeoutError,
)
from typing_extensions import TypeVar

from purse._engine.blocking import execute_blocking
from purse._engine.clients import (
    Connection,
    RedisClient,
    check_client,
    forget,
    open_connection,
    pool_of,
    remember,
)
from purse._engine.link import Link, LinkLost
from purse._engine.packing import exec_replies, pack
from purse._engine.replies import Reply
from purse._engine.scripts import ScriptCall
from purse._engine.unit import Command, Executor, Unit
from purse.errors import StoreClosed

__all__ = ["executor_for"]

R = TypeVar("R")

_READ_ATTEMPTS = 4  # a read is sent this often at most; each attempt lost its connection
_RETRY_DELAYS = (0.0, 0.01, 0.02, 0.05, 0.1, 0.2, 0.3, 0.5)  # seconds, each drawn from half to whole

_executors: weakref.WeakKeyDictionary[RedisClient, SharedExecutor] = weakref.WeakKeyDictionary()


def executor_for(client: RedisClient) -> Executor:
    """The executor of ``client``, made at the first call; no I/O.

    Raises:
        TypeError: ``client`` is not a ``redis.asyncio.Redis``.
    """
    try:
        return _executors[client]
    except (KeyError, TypeError):
        check_client(client)
    executor = _executors[client] = SharedExecutor(client)
    # The executor never refers to the client, so a dropped client takes its links with it.
    weakref.finalize(client, executor.abandon).atexit = False
    return executor


class SharedExecutor:
    """All calls of one client over one link per event loop."""

    def __init__(self, client: RedisClient) -> None:
        self._pool = pool_of(client)
        self._links: weakref.WeakKeyDictionary[asyncio.AbstractEventLoop, Link] = weakref.WeakKeyDictionary()
        self._opening: weakref.WeakKeyDictionary[asyncio.AbstractEventLoop, asyncio.Future[Link]] = (
            weakref.WeakKeyDictionary()
        )
        self._tasks: set[asyncio.Task[None]] = set()
        self._closed = False

    async def execute(self, unit: Unit[R], /) -> R:
        """See ``Executor.execute``."""
        replies = await self._send(unit, script_by_body=False)
        for delay in _RETRY_DELAYS:
            if not any(isinstance(reply, BusyLoadingError) for reply in replies):
                break
            await _pause(delay)
            replies = await self._send(unit, script_by_body=False)
        if isinstance(replies[0], NoScriptError) and isinstance(unit.commands[0], ScriptCall):
            replies = await self._send(unit, script_by_body=True)
        try:
            if len(unit.commands) > 1:
                replies = exec_replies(replies)
            for reply in replies:
                if isinstance(reply, Exception):
                    raise reply
        except RedisError as error:
            explained = unit.origin.explain(error, unit.field)
            raise explained from (None if explained is error else error)
        return unit.decode(replies)

    async def execute_blocking(self, command: Command, /) -> Reply:
        """See ``Executor.execute_blocking``."""
        self._check_open()
        return await execute_blocking(self._pool, command)

    async def aclose(self) -> None:
        """See ``Executor.aclose``."""
        self._closed = True
        loop = asyncio.get_running_loop()
        opening = self._opening.pop(loop, None)
        if opening is not None:
            opening.cancel()
        link = self._links.pop(loop, None)
        if link is not None:
            await link.aclose()
        tasks = [task for task in self._tasks if task.get_loop() is loop]
        for task in tasks:
            task.cancel()
        if tasks:
            await asyncio.wait(tasks)
        self.abandon()

    def abandon(self) -> None:
        """Abort the links of every loop that still runs; any thread may call it."""
        for loop, link in list(self._links.items()):
            with contextlib.suppress(RuntimeError):  # that loop is closed, and its tasks with it
                loop.call_soon_threadsafe(link.abort, ConnectionError("the client was closed or dropped"))

    def _check_open(self) -> None:
        if self._closed:
            raise StoreClosed("this store was closed by aclose(); open it again, or keep it open while calls are made")

    async def _send(self, unit: Unit[R], *, script_by_body: bool) -> list[Reply]:
        """Send a unit by the retry rule of this module and return the replies as they came."""
        packed = pack(unit.commands, script_by_body=script_by_body)
        loop = asyncio.get_running_loop()
        attempts = 0
        while True:
            self._check_open()
            link = self._links.get(loop)
            if link is None or not link.is_open:
                link = await self._link(loop)
            try:
                return await link.request(packed)
            except LinkLost as lost:
                if lost.sent:
                    attempts += 1
                    if not unit.read_only or attempts >= _READ_ATTEMPTS:
                        error = _lost_reply(lost.cause, attempts, read_only=unit.read_only)
                        raise unit.origin.explain(error, unit.field) from lost.cause

    async def _link(self, loop: asyncio.AbstractEventLoop) -> Link:
        """The open link of ``loop``; callers that come while it opens wait for the same attempt."""
        opening = self._opening.get(loop)
        if opening is None:
            opening = self._opening[loop] = loop.create_future()
            task = loop.create_task(self._serve(loop, opening), name="purse: connection")
            self._tasks.add(task)  # the loop itself refers to its tasks weakly
            task.add_done_callback(self._tasks.discard)
        try:
            return await asyncio.shield(opening)
        except asyncio.CancelledError:
            if opening.cancelled():  # not this caller was cancelled: the store was closed meanwhile
                self._check_open()
            raise
        except RedisError as error:
            raise _refused(error) from error

    async def _serve(self, loop: asyncio.AbstractEventLoop, opening: asyncio.Future[Link]) -> None:
        """Open a link, announce it, and drive it to its end."""
        try:
            connection = await self._open(loop)
        except Exception as error:
            if not opening.done():
                opening.set_exception(error)
                opening.exception()  # retrieved, even if every caller has been cancelled
            return
        finally:
            self._opening.pop(loop, None)
        remember(self._pool, connection)
        link = self._links[loop] = Link(connection)
        if not opening.done():
            opening.set_result(link)
        try:
            await link.run()
        finally:
            forget(self._pool, connection)

    async def _open(self, loop: asyncio.AbstractEventLoop) -> Connection:
        delays = iter(_RETRY_DELAYS if self._links.pop(loop, None) is not None else ())
        while True:
            try:
                return await open_connection(self._pool)
            except (ConnectionError, TimeoutError) as error:
                delay = next(delays, None)
                if delay is None or isinstance(error, AuthenticationError):
                    raise
                await _pause(delay)


async def _pause(seconds: float) -> None:
    """Wait between half and all of ``seconds``, so that clients of one server do not come back in step."""
    await asyncio.sleep(seconds * random.uniform(0.5, 1))


def _lost_reply(cause: BaseException, attempts: int, *, read_only: bool) -> RedisError:
    """What the caller is told when the connection was lost before the reply came."""
    outcome = (
        f"the read was sent {attempts} times"
        if read_only
        else "the command may have been executed; it was not sent again"
    )
    kind = TimeoutError if isinstance(cause, TimeoutError) else ConnectionError
    return kind(f"{cause} The reply was lost: {outcome}.")


def _refused(error: RedisError) -> RedisError:
    """A fresh copy of a connection error for each of the callers that waited for one attempt, with the fix."""
    copy = type(error)(*error.args)
    if isinstance(error, AuthenticationError):
        fix = "Are the user and the password right?"
    else:
        fix = (
            "Is a server running there, and is the URL right? "
            'Store.open("embedded://") runs one for you (pip install "redis-purse[embedded]").'
        )
    copy.add_note(f"purse could not open a connection; nothing was sent. {fix}")
    return copy
