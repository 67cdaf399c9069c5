"""Commands that wait on the server (BLPOP, WAIT, ...), each on a connection of its own.

On the shared link such a command would hold up every other caller. Here it holds up nobody: a
connection is opened for the call and closed after it, so nothing can be left behind by a caller that
is cancelled while it waits.
"""

from __future__ import annotations

import math

from purse._engine.clients import Connection, Pool, send_packed
from purse._engine.connecting import open_connection
from purse._engine.loops import hang_up
from purse._engine.packing import pack_command
from purse._engine.replies import Reply
from purse._engine.unit import Command

__all__ = ["execute_blocking"]


async def execute_blocking(pool: Pool, command: Command) -> Reply:
    """Open a connection, send ``command``, wait for its reply however long it takes, close.

    Cancelling the caller closes the connection, which makes the server give up the wait.

    Raises:
        redis.exceptions.RedisError: no connection, it was lost, or the server refused.
    """
    packed = pack_command(command)
    connection: Connection | None = None
    try:
        connection = await open_connection(pool)
        await send_packed(connection, packed)
        return await connection.read_response(disable_decoding=True, timeout=math.inf, disconnect_on_error=False)
    finally:
        if connection is not None:
            await hang_up(connection)
