"""Event loops that were closed without being shut down: what is left of them, and how its sockets are closed.

A program that is not asynchronous itself may make a loop for every call, run the call in it and close it, without
``shutdown_asyncgens()``: then nobody is told. The connections of such a loop stay open, and its transports cannot close
them any more, because a transport does that through its loop. So the next use of the library, in whatever loop or
thread, closes the sockets themselves. uvloop closes them together with the loop.
"""

from __future__ import annotations

import asyncio
import inspect
import socket
from typing import TypeAlias, TypeVar

from purse._engine.clients import Connection

__all__ = ["Loop", "close_connection", "close_hung_up", "drop", "hang_up", "let_go", "silence", "take_ended"]

Loop: TypeAlias = asyncio.AbstractEventLoop

V = TypeVar("V")

_hung_up: dict[Loop, list[object]] = {}  # transports that were told to close, and may not have done so


def take_ended(by_loop: dict[Loop, V]) -> list[V]:
    """Remove what belongs to closed loops and return it; any thread may call it, and each value is returned once."""
    found: list[V] = []
    for loop in list(by_loop):
        if loop.is_closed() and (value := by_loop.pop(loop, None)) is not None:
            found.append(value)
    return found


async def hang_up(connection: Connection) -> None:
    """Close an open connection at once. If the loop is closed before the transport is, ``close_hung_up`` does it."""
    writer: object = getattr(connection, "_writer", None)
    try:
        loop = asyncio.get_running_loop()
    except RuntimeError:  # a coroutine of a closed loop is collected
        loop = None
    if loop is None or loop is not getattr(writer, "_loop", loop):
        close_connection(connection)
        return
    if isinstance(writer, asyncio.StreamWriter):
        closing = _hung_up.setdefault(loop, [])
        closing[:] = [*filter(_holds_socket, closing), writer.transport]
    await connection.disconnect(nowait=True)


def close_hung_up() -> None:
    """Close what was hung up in loops that are closed by now; any thread may call it."""
    for closing in take_ended(_hung_up):
        for transport in closing:
            _close_transport(transport)


def close_connection(connection: object) -> None:
    """Close the socket of a redis-py connection whose loop is closed, without that loop."""
    writer: object = getattr(connection, "_writer", None)
    if isinstance(writer, asyncio.StreamWriter):
        _close_transport(writer.transport)
        # The writer asks it when it is collected, and a transport of uvloop does not know that it was closed.
        _set(writer, _transport=_Closed())
    let_go(connection)


def let_go(connection: object) -> None:
    """Make redis-py's connection know that it is closed, so that it neither warns nor closes again."""
    for name in ("_reader", "_writer"):
        if hasattr(connection, name):
            setattr(connection, name, None)


class _Closed:
    """Stands in for a transport that is closed."""

    def is_closing(self) -> bool:
        return True


def _close_transport(transport: object) -> None:
    # Private attributes of asyncio's transports are set, where they are as we know them: a transport that still
    # holds its socket, or does not know that it is closing, warns when it is collected.
    if hasattr(transport, "_ssl_protocol"):
        _set(transport, _closed=True)
    transport = _below_tls(transport)
    sock: object = getattr(transport, "_sock", None)
    if isinstance(sock, socket.socket):
        _set(transport, _closing=True, _sock=None)
        sock.close()


def _holds_socket(transport: object) -> bool:
    return getattr(_below_tls(transport), "_sock", None) is not None


def _below_tls(transport: object) -> object:
    protocol: object = getattr(transport, "_ssl_protocol", None)
    return transport if protocol is None else getattr(protocol, "_transport", None)


def silence(task: asyncio.Task[V]) -> None:
    """Let a task be collected without a message if its loop is closed before it is done."""
    _set(task, _log_destroy_pending=False)  # as asyncio.gather does it for its own


def drop(task: asyncio.Task[V] | None) -> None:
    """Forget a task whose loop is closed; it will never go on."""
    if task is not None and not task.done():
        silence(task)
        coroutine = task.get_coro()
        if inspect.iscoroutine(coroutine) and inspect.getcoroutinestate(coroutine) == inspect.CORO_CREATED:
            coroutine.close()  # it will not be awaited any more


def _set(owner: object, **attributes: object) -> None:
    for name, value in attributes.items():
        setattr(owner, name, value)
