"""Replicas: a write that returns when a given number of replicas have it.

WAIT concerns the writes of the connection that sends it: it waits until replicas have everything that the primary had
written to its replication stream when this connection last wrote. On a connection that has written nothing it does not
wait, and returns at once how many replicas there are. So the shared connection cannot be used, because WAIT would hold
it up for all callers. Nor can a connection that sends only WAIT:

    separate connection        EVAL ...        a write. There is one stream, so all earlier writes of all
                                               connections stand before it
                               WAIT 2 1000     -> 2: two replicas have read the stream up to there

The connection is opened for the call and closed after it, so a cancelled caller leaves nothing behind.
"""

from __future__ import annotations

from purse._engine.clients import RedisClient, read_reply, send_packed
from purse._engine.packing import pack_command
from purse._engine.registry import executor_for
from purse._engine.replies import Reply, as_int
from purse._engine.scripts import ScriptCall

__all__ = ["write_and_wait"]


async def write_and_wait(redis: RedisClient, call: ScriptCall, replicas: int, timeout_ms: int) -> tuple[Reply, int]:
    """Execute ``call``, which must write, and wait until ``replicas`` replicas have it, or ``timeout_ms`` have passed.

    Returns:
        The script's reply, and how many replicas have the write.

    Raises:
        redis.exceptions.RedisError: the connection could not be opened or was lost, or the server refused.
    """
    # EVAL, not EVALSHA: the primary may be one that has never seen the script.
    packed = pack_command(call.by_body()) + pack_command(("WAIT", replicas, timeout_ms))
    connection = await executor_for(redis).connect(call.keys[0])
    try:
        await send_packed(connection, packed)
        patience = connection.socket_timeout
        reply = _no_error(await read_reply(connection, seconds=patience))
        have = await read_reply(connection, seconds=patience and patience + timeout_ms / 1000)
        return reply, as_int(_no_error(have))
    finally:
        await connection.disconnect(nowait=True)


def _no_error(reply: Reply) -> Reply:
    if isinstance(reply, Exception):
        raise reply
    return reply
