"""Event loops that were closed without being shut down: what is left of them, and how its sockets are closed.

A program that is not asynchronous itself may make a loop for every call, run the call in it and close it, without
``shutdown_asyncgens()``: then nobody is told. The connections of such a loop stay open, and
its transports cannot close them any more, because a transport does that through its loop. So the next use of the
library, in whatever loop or thread, closes the sockets themselves. uvloop closes them together with the loop.
"""

from __future__ import annotations

import asyncio
import socket
from typing import TypeAlias, TypeVar

__all__ = ["Loop", "close_connection", "close_transport", "let_go", "silence", "take_ended"]

Loop: TypeAlias = asyncio.AbstractEventLoop

V = TypeVar("V")


def take_ended(by_loop: dict[Loop, V]) -> list[V]:
    """Remove what belongs to closed loops and return it; any thread may call it, and each value is returned once."""
    found: list[V] = []
    for loop in list(by_loop):
        if loop.is_closed() and (value := by_loop.pop(loop, None)) is not None:
            found.append(value)
    return found


def close_connection(connection: object) -> None:
    """Close the socket of a redis-py connection whose loop is closed, without that loop."""
    writer: object = getattr(connection, "_writer", None)
    if isinstance(writer, asyncio.StreamWriter):
        close_transport(writer.transport)
    let_go(connection)


def let_go(connection: object) -> None:
    """Make redis-py's connection know that it is closed, so that it neither warns nor closes again."""
    for name in ("_reader", "_writer"):
        if hasattr(connection, name):
            setattr(connection, name, None)


def close_transport(transport: object) -> None:
    """Close the socket of a transport whose loop is closed, without that loop.

    Private attributes of asyncio's transports are set for that, where they are as we know them: a transport that
    still holds its socket, or does not know that it is closing, warns when it is collected.
    """
    protocol: object = getattr(transport, "_ssl_protocol", None)
    if protocol is not None:
        _set(transport, _closed=True)
        transport = getattr(protocol, "_transport", None)
    sock: object = getattr(transport, "_sock", None)
    if isinstance(sock, socket.socket):
        _set(transport, _closing=True, _sock=None)
        sock.close()


def silence(task: asyncio.Task[V] | None) -> None:
    """Let a task whose loop is closed be collected without a message; it will never go on."""
    if task is not None and not task.done():
        _set(task, _log_destroy_pending=False)  # as asyncio.gather does it for its own


def _set(owner: object, **attributes: object) -> None:
    for name, value in attributes.items():
        setattr(owner, name, value)
