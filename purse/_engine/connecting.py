"""Opening connections: by the client's own pool, with its settings, but without redis-py's retries.

Those would send a write again whose reply was lost, and hold back the error of a refused connection for
seconds. A first connection that fails is reported at once; one that had been there is opened again with
jittered back-off for about a second, because a server that restarts is back within that.
"""

from __future__ import annotations

import asyncio
import random

from redis.asyncio.retry import Retry
from redis.backoff import NoBackoff
from redis.exceptions import AuthenticationError, ConnectionError, RedisError

from purse._engine.cancellation import keeping_cancellation
from purse._engine.clients import Connection, Pool
from purse._engine.loops import hang_up

__all__ = ["DELAYS", "open_connection", "open_patiently", "pause", "refused"]

DELAYS = (0.0, 0.01, 0.02, 0.05, 0.1, 0.2, 0.3, 0.5)  # seconds, each drawn from half to whole


async def open_connection(pool: Pool) -> Connection:
    """An open connection with the client's settings that nobody else uses and that never retries by itself.

    Raises:
        redis.exceptions.ConnectionError, redis.exceptions.TimeoutError: it cannot be opened; nothing is
            left behind. The same when the caller is cancelled.
    """
    connection = pool.make_connection()
    connection.retry = Retry(NoBackoff(), 0)
    try:
        await keeping_cancellation(connection.connect())
        return connection
    except BaseException:
        await hang_up(connection)
        raise


async def open_patiently(pool: Pool) -> Connection:
    """As ``open_connection``, for about a second, because there was a connection before.

    A server that accepts and then says nothing has taken the client's own timeout already; it is not asked again.
    """
    for delay in DELAYS:
        try:
            return await open_connection(pool)
        except AuthenticationError:
            raise
        except ConnectionError:
            await pause(delay)
    return await open_connection(pool)


async def pause(seconds: float) -> None:
    """Wait between half and all of ``seconds``, so that clients of one server do not come back in step."""
    await asyncio.sleep(seconds * random.uniform(0.5, 1))


def refused(error: RedisError) -> RedisError:
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
