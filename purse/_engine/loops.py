"""Event loops: the values that belong to each loop, and cleaning up after loops that have ended.

    ``PerLoop``         one value for each event loop: a container that several threads share
    ``forget_ended``    takes the values of closed loops out of these containers, and cleans them up
    ``at_end``          calls a function when the running loop is shut down

A program that is not asynchronous itself may make a loop for every call, run the call in it and close it, without
``shutdown_asyncgens()``. Then purse is not notified of the end. The connections of such a loop stay open, and its
transports cannot close them any more, because a transport does that through its loop. So the next use of the library,
in any loop or thread, closes the sockets directly. uvloop closes them together with the loop.
"""

from __future__ import annotations

import asyncio
import contextlib
import inspect
import socket
from collections.abc import AsyncGenerator, Awaitable, Callable
from typing import Generic, TypeAlias, TypeVar

from purse._engine.clients import Connection
from purse._engine.forks import in_child, keep

__all__ = [
    "Loop",
    "PerLoop",
    "at_end",
    "close_connection",
    "drop",
    "everywhere",
    "forget_ended",
    "hang_up",
    "let_go",
    "silence",
    "was_hung_up",
]

Loop: TypeAlias = asyncio.AbstractEventLoop

V = TypeVar("V")


class PerLoop(Generic[V]):
    """One value for each event loop. Any thread may use it.

    It is an exact dict, without a lock. Each method is one call of the dict, which is atomic, or iterates over a copy
    that one call has made. So no other thread, and no finalizer that the garbage collector runs, can act in between.
    Only code that runs in a loop adds that loop's value.

    Attributes:
        entries: the dict, for reading single entries where each nanosecond counts.
    """

    __slots__ = ("entries",)

    def __init__(self) -> None:
        self.entries: dict[Loop, V] = {}

    def get(self, loop: Loop) -> V | None:
        """The value of ``loop``, if it has one."""
        return self.entries.get(loop)

    def here(self, make: Callable[[], V]) -> V:
        """The value of the running loop. If there is none yet, ``make`` makes it."""
        loop = asyncio.get_running_loop()
        value = self.entries.get(loop)
        # setdefault, because a finalizer that runs in between may have made one as well.
        return self.entries.setdefault(loop, make()) if value is None else value

    def put(self, loop: Loop, value: V) -> None:
        """Set the value of ``loop``."""
        self.entries[loop] = value

    def pop(self, loop: Loop) -> V | None:
        """Remove the value of ``loop`` and return it. Only one of several callers receives it."""
        return self.entries.pop(loop, None)

    def copy(self) -> dict[Loop, V]:
        """A copy of all current values."""
        return self.entries.copy()

    def take_ended(self) -> list[V]:
        """Remove the values of closed loops and return them. Each is returned once."""
        ended = [loop for loop in self.entries.copy() if loop.is_closed()]
        return [value for loop in ended if (value := self.entries.pop(loop, None)) is not None]

    def disown(self) -> dict[Loop, V]:
        """Start empty: this process is a fork. The values of the parent's loops are kept for ever, and returned."""
        inherited, self.entries = self.entries, {}
        keep(inherited)
        return inherited


_clean_up: list[Callable[[], None]] = []  # only appended to, when modules are imported


def everywhere(
    clean_up: Callable[[V], object] | None = None, *, disown: Callable[[V], object] | None = None
) -> PerLoop[V]:
    """A ``PerLoop`` of the process: ``forget_ended`` removes closed loops from it, and a fork's child starts empty.

    Args:
        clean_up: called with the value of a closed loop. It must not need the loop.
        disown: called in a fork's child with the value of each loop of the parent.
    """
    values: PerLoop[V] = PerLoop()

    def forget() -> None:
        for value in values.take_ended():
            if clean_up is not None:
                clean_up(value)

    def begin_anew() -> None:
        for value in values.disown().values():
            if disown is not None:
                disown(value)

    _clean_up.append(forget)
    in_child(begin_anew)
    return values


def forget_ended() -> None:
    """Forget the loops that are closed, and close the sockets that they have left open. Any thread may call it."""
    for forget in _clean_up:
        forget()


# --- the end of a loop that is shut down --------------------------------------------------------------


class _End:
    """The functions to call at the end of one event loop.

    ``asyncio.run``, ``Runner`` and test frameworks all end a loop by ``shutdown_asyncgens()``, which comes after the
    cancellation of its tasks and runs the ``finally`` of each asynchronous generator. So one generator is suspended in
    each loop.
    """

    def __init__(self) -> None:
        self.first: list[Callable[[], Awaitable[None]]] = []
        self.last: list[Callable[[], Awaitable[None]]] = []
        self._parked = self._park()
        with contextlib.suppress(StopIteration):  # it means that the generator has yielded
            self._parked.__anext__().send(None)

    async def _park(self) -> AsyncGenerator[None, None]:
        try:
            yield
        finally:
            for do in (*self.first, *self.last):
                await do()

    def disown(self) -> None:
        """Do nothing at the end: this process is a fork, and may still end the loop of its parent."""
        self.first, self.last = [], []


_ends: PerLoop[_End] = everywhere(disown=_End.disown)


def at_end(do: Callable[[], Awaitable[None]], *, last: bool = False) -> None:
    """Await ``do()`` when the running loop is shut down, while the loop still runs.

    Args:
        last: whether to await it after all functions without ``last``.
    """
    end = _ends.here(_End)
    (end.last if last else end.first).append(do)


# --- connections --------------------------------------------------------------------------------------


async def hang_up(connection: Connection) -> None:
    """Close an open connection at once. If the loop is closed before the transport is, ``forget_ended`` does it."""
    writer: object = getattr(connection, "_writer", None)
    try:
        loop = asyncio.get_running_loop()
    except RuntimeError:  # the garbage collector ends a coroutine of a closed loop
        loop = None
    if loop is None or loop is not getattr(writer, "_loop", loop):
        close_connection(connection)
        return
    if isinstance(writer, asyncio.StreamWriter):
        was_hung_up(loop, writer.transport)
    await connection.disconnect(nowait=True)


def was_hung_up(loop: Loop, transport: object) -> None:
    """Note that a transport of ``loop`` is closing. If the loop is closed before that, ``forget_ended`` closes it."""
    closing = _hung_up.get(loop)
    _hung_up.put(loop, [*filter(_holds_socket, closing or ()), transport])


def _close_all(transports: list[object]) -> None:
    for transport in transports:
        _close_transport(transport)


_hung_up: PerLoop[list[object]] = everywhere(_close_all)  # transports that are closing, and may not be closed yet


def close_connection(connection: object) -> None:
    """Close the socket of a redis-py connection whose loop is closed, without that loop."""
    writer: object = getattr(connection, "_writer", None)
    if isinstance(writer, asyncio.StreamWriter):
        _close_transport(writer.transport)
        # The writer asks its transport when it is collected, and one of uvloop does not know that it was closed.
        _set(writer, _transport=_Closed())
    let_go(connection)


def let_go(connection: object) -> None:
    """Mark redis-py's connection as closed, so that it neither warns nor closes again."""
    for name in ("_reader", "_writer"):
        if hasattr(connection, name):
            setattr(connection, name, None)


class _Closed:
    """Stands in for a transport that is closed."""

    def is_closing(self) -> bool:
        return True


def _close_transport(transport: object) -> None:
    # Sets private attributes of asyncio's transports, if they exist as expected: a transport that still
    # has its socket, or does not know that it is closing, warns when it is collected.
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
    """Forget a task whose loop is closed. It will never continue."""
    if task is not None and not task.done():
        silence(task)
        coroutine = task.get_coro()
        if inspect.iscoroutine(coroutine) and inspect.getcoroutinestate(coroutine) == inspect.CORO_CREATED:
            coroutine.close()  # it will not be awaited any more


def _set(owner: object, **attributes: object) -> None:
    for name, value in attributes.items():
        setattr(owner, name, value)
