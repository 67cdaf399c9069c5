"""Replicas: a write that returns when so many replicas have it.

WAIT speaks of the writes of its own connection: it waits until replicas have everything that the primary had written
to its replication stream when this very connection last wrote. On a connection that has written nothing it waits for
nothing, and says at once how many replicas there are. So neither the shared connection will do, which WAIT would hold
up for everybody, nor one that was opened for WAIT alone:

    connection of its own      EVAL ...        a write. The stream is one, so whatever was written before, by
                                               whichever connection, stands before it
                               WAIT 2 1000     -> 2: two replicas have read the stream up to there

It is opened for the call and closed after it, so nothing is left behind by a caller who is cancelled meanwhile.
"""

from __future__ import annotations

import math

from purse._engine.clients import RedisClient, pool_of, send_packed
from purse._engine.connecting import open_connection
from purse._engine.packing import pack_command
from purse._engine.replies import Reply, as_int
from purse._engine.scripts import ScriptCall

__all__ = ["write_and_wait"]


async def write_and_wait(redis: RedisClient, call: ScriptCall, replicas: int, timeout_ms: int) -> tuple[Reply, int]:
    """Execute ``call``, which must write, and wait until ``replicas`` replicas have it, or ``timeout_ms`` have passed.

    Returns:
        The script's reply, and how many replicas have it.

    Raises:
        redis.exceptions.RedisError: no connection, it was lost, or the server refused.
    """
    # EVAL, not EVALSHA: the primary may be one that has never seen the script.
    packed = pack_command(call.by_body()) + pack_command(("WAIT", replicas, timeout_ms))
    connection = await open_connection(pool_of(redis))
    try:
        await send_packed(connection, packed)
        # The server bounds the wait, and the caller; the client's socket timeout may be shorter.
        reply = await connection.read_response(disable_decoding=True, timeout=math.inf, disconnect_on_error=False)
        have = await connection.read_response(disable_decoding=True, timeout=math.inf, disconnect_on_error=False)
        return reply, as_int(have)
    finally:
        await connection.disconnect(nowait=True)
