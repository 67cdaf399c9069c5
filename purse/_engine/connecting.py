"""Opening connections: by the client's own pool, with its settings, but without redis-py's retries.

redis-py's retries would send a write again whose reply was lost, and delay the error of a refused connection by
seconds. A first connection that fails is reported at once. A lost connection is opened again with
jittered back-off for about a second, because a server that restarts is back within that time.

A client may have no ``socket_timeout``. Then a silent connection, because a firewall has dropped it or
because a server accepts and sends nothing, would stop all callers that share it. So its connections get one here.
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
"""Seconds of silence after which a connection is given up if its client has no ``socket_timeout``: as in redis-py 8."""

_BEAT = 0.05  # seconds between two checks whether the loop is held up
_HELD_UP = 3  # how often a connection is tried again because the loop was held up


class Connector:
    """Opens the connections of one client.

    Args:
        pool: the client's connection pool.

    Attributes:
        socket_timeout: seconds, for a client without that setting, or None for no limit.
    """

    def __init__(self, pool: Pool) -> None:
        self.pool: Pool = pool
        self.socket_timeout: float | None = SOCKET_TIMEOUT  # read when the client is first used

    async def open(self) -> Connection:
        """Open a new connection with the client's settings, which never retries by itself.

        Raises:
            redis.exceptions.ConnectionError, redis.exceptions.TimeoutError: it cannot be opened. No socket stays
                open, neither then nor if the caller is cancelled.
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
        """Try ``open`` for about a second, because there was a connection before.

        A server that accepts and then sends nothing has already used up the time limit, so it is not tried again.
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
    """Notices that the loop is held up, by reading the clock at regular intervals.

    redis-py's timers fire before the loop has read the bytes that came during a delay: see ``deadlines``. The checks
    end when the object is collected.
    """

    def __init__(self) -> None:
        self._loop = asyncio.get_running_loop()
        self._last = self._loop.time()
        self._late = 0.0
        _beat_later(self._loop, self)

    def look(self) -> None:
        """Read the clock."""
        now = self._loop.time()
        self._late = max(self._late, now - self._last - _BEAT)
        self._last = now

    def held_up(self) -> bool:
        """Whether the loop was once late by more than the time between two checks."""
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
    """Wait between half and all of ``seconds``, so that clients of one server do not come back at the same moment."""
    await asyncio.sleep(seconds * random.uniform(0.5, 1))


def refused(error: RedisError, pool: Pool) -> RedisError:
    """Return a fresh copy of a connection error, with a note that tells the fix.

    Each caller that waited for the same attempt gets its own copy, because raising attaches a traceback.
    """
    copy = (ConnectionError if isinstance(error, Ended) else type(error))(*tidied(error).args)
    fix = advice_for(error, pool)
    copy.add_note(f"purse could not open a connection, so nothing was sent. {fix}".rstrip())
    return copy
