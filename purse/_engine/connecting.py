"""Opening connections: by the client's own pool, with its settings, but without redis-py's retries.

Those would send a write again whose reply was lost, and hold back the error of a refused connection for
seconds. A first connection that fails is reported at once; one that had been there is opened again with
jittered back-off for about a second, because a server that restarts is back within that.

A client may have no ``socket_timeout``. Then a connection that is silent, because a firewall has forgotten it or
because a server accepts and says nothing, would stop all who share it. So its connections get one here.
"""

from __future__ import annotations

import asyncio
import random
import weakref

from redis.asyncio.retry import Retry
from redis.backoff import NoBackoff
from redis.exceptions import AuthenticationError, ConnectionError, RedisError, TimeoutError

from purse._engine.advice import advice_for
from purse._engine.cancellation import keeping_cancellation
from purse._engine.clients import Connection, Pool
from purse._engine.link import Ended
from purse._engine.loops import Loop, hang_up
from purse.codecs._shown import tidied

__all__ = ["DELAYS", "SOCKET_TIMEOUT", "Connector", "pause", "refused"]

DELAYS = (0.0, 0.01, 0.02, 0.05, 0.1, 0.2, 0.3, 0.5)  # seconds, each drawn from half to whole

SOCKET_TIMEOUT = 5.0
"""Seconds of silence after which a connection is given up whose client has no ``socket_timeout``: redis-py 8's own."""

_BEAT = 0.05  # seconds between two looks whether the loop is held up
_HELD_UP = 3  # how often a connection is tried again because the loop was held up


class Connector:
    """Opens the connections of one client.

    Args:
        pool: the client's.

    Attributes:
        socket_timeout: seconds, for a client without that setting; None: no limit.
    """

    def __init__(self, pool: Pool) -> None:
        self.pool: Pool = pool
        self.socket_timeout: float | None = SOCKET_TIMEOUT  # looked up when the client is first used

    async def open(self) -> Connection:
        """An open connection with the client's settings that nobody else uses and that never retries by itself.

        Raises:
            redis.exceptions.ConnectionError, redis.exceptions.TimeoutError: it cannot be opened; nothing is
                left behind. The same when the caller is cancelled.
        """
        for _ in range(_HELD_UP - 1):
            pulse = _Pulse()
            try:
                return await self._open_once()
            except TimeoutError:
                if not pulse.held_up():
                    raise
        return await self._open_once()

    async def open_patiently(self) -> Connection:
        """As ``open``, for about a second, because there was a connection before.

        A server that accepts and then says nothing has taken the time limit already; it is not asked again.
        """
        for delay in DELAYS:
            try:
                return await self.open()
            except AuthenticationError:
                raise
            except ConnectionError:
                await pause(delay)
        return await self.open()

    async def _open_once(self) -> Connection:
        connection = self.pool.make_connection()
        connection.retry = Retry(NoBackoff(), 0)
        if connection.socket_timeout is None:
            connection.socket_timeout = self.socket_timeout
        if getattr(connection, "socket_connect_timeout", 0) is None:
            connection.socket_connect_timeout = self.socket_timeout
        try:
            await keeping_cancellation(connection.connect())
            return connection
        except BaseException:
            await hang_up(connection)
            raise


class _Pulse:
    """Notices that the loop is held up, by looking at the clock now and then.

    redis-py's timers do not know what came while nobody looked: see ``deadlines``. It looks as long as somebody refers
    to it.
    """

    def __init__(self) -> None:
        self._loop = asyncio.get_running_loop()
        self._last = self._loop.time()
        self._late = 0.0
        _beat_later(self._loop, self)

    def look(self) -> None:
        """Look at the clock."""
        now = self._loop.time()
        self._late = max(self._late, now - self._last - _BEAT)
        self._last = now

    def held_up(self) -> bool:
        """Whether that was for longer than between two beats."""
        self.look()
        return self._late > _BEAT


def _beat_later(loop: Loop, pulse: _Pulse) -> None:
    loop.call_later(_BEAT, _beat, loop, weakref.ref(pulse))


def _beat(loop: Loop, pulse: weakref.ref[_Pulse]) -> None:
    alive = pulse()
    if alive is not None:
        _beat_later(loop, alive)
        alive.look()


async def pause(seconds: float) -> None:
    """Wait between half and all of ``seconds``, so that clients of one server do not come back in step."""
    await asyncio.sleep(seconds * random.uniform(0.5, 1))


def refused(error: RedisError, pool: Pool) -> RedisError:
    """A fresh copy of a connection error for each of the callers that waited for one attempt, with the fix."""
    copy = (ConnectionError if isinstance(error, Ended) else type(error))(*tidied(error).args)
    fix = advice_for(error, pool)
    copy.add_note(f"purse could not open a connection; nothing was sent. {fix}".rstrip())
    return copy
