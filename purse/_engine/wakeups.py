"""Wakeups: being told by the server that a key has changed, for any number of keys on one connection.

A blocking pop (BLPOP) takes what it waits for: if the connection has died meanwhile, unnoticed, or the caller is
gone, the element is gone as well; and each needs a connection to itself. So nothing blocks here. The server is
asked to track what one connection has read (CLIENT TRACKING), and sends that connection a message when it changes:

    EXISTS queue      -> 0, and from now on the server remembers that we have looked at ``queue``
                      <- invalidate [queue]      somebody has put something
    EXISTS queue      ...

The look comes after the server began to remember, so nothing that is put in between is missed. The message
only says that it may be worth to try. Nobody waits longer than ``CHECK`` without a look, which also finds a
connection that is dead without having been closed. Who waits for room in a full queue looks in the same way, at its
size: a ``Look`` says how, and what answer is worth a try.

Where there is no such connection (a fake, a server or proxy that refuses CLIENT TRACKING, a client for which
``engine="dedicated"`` was asked for), keys are looked at again and again, at growing intervals.
"""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import Awaitable, Callable
from typing import NamedTuple

from redis.exceptions import ConnectionError, RedisError

from purse._engine.adoption import AdoptedLink, NotAdoptable, adopt
from purse._engine.clients import forget, remember
from purse._engine.connecting import Connector, refused
from purse._engine.guard import forget_link, guard_link
from purse._engine.link import LinkLost
from purse._engine.loops import hang_up
from purse._engine.packing import pack_command
from purse._engine.replies import Reply, as_int

__all__ = ["Look", "Wakeups"]

CHECK = 5.0
"""Seconds after which a key is looked at although no message came."""

FIRST_POLL, LAST_POLL = 0.005, 0.25  # seconds between two looks where the server sends no messages

_SETUPS = 3  # a connection is set up this often at most; each attempt lost it


class Look(NamedTuple):
    """What a caller looks at while it waits for a key to change.

    Attributes:
        command: a command that reads the key, takes nothing else, and answers an integer.
        hopeful: whether what it answered is worth a try.
        ask: sends it in the ordinary way, where the server sends no messages.
    """

    command: str
    hopeful: Callable[[int], bool]
    ask: Callable[[], Awaitable[int]]


class Wakeups:
    """The changes of keys, for one client in one event loop.

    Args:
        connector: opens the connection.
        exists: asks in the ordinary way whether a key exists.
        tracking: False if there is to be no such connection.
    """

    def __init__(self, connector: Connector, exists: Callable[[str], Awaitable[bool]], *, tracking: bool) -> None:
        self._connector = connector
        self._pool = connector.pool
        self._exists = exists
        self._loop = asyncio.get_running_loop()
        self._tracking = tracking
        self._opening = asyncio.Lock()
        self._link: AdoptedLink | None = None
        self._waiting: dict[bytes, set[asyncio.Event]] = {}
        self._closed = False

    @property
    def connections(self) -> int:
        """1 if there is a connection, else 0."""
        return 0 if self._link is None else self._link.connections

    async def wait(self, key: str, looks: int, look: Look | None = None) -> None:
        """Wait until a look at ``key`` is hopeful, or until it may have changed, or until ``aclose``.

        Args:
            looks: how often the caller has looked in vain, which is how patient it should become.
            look: by default whether the key exists, for those who wait for an element.

        Raises:
            redis.exceptions.ConnectionError, redis.exceptions.TimeoutError: the server cannot be reached.
        """
        look = look or Look("EXISTS", bool, lambda: self._exists(key))
        name = key.encode()
        changed = asyncio.Event()
        self._waiting.setdefault(name, set()).add(changed)
        try:
            while not changed.is_set() and not self._closed:
                link = await self._open() if self._tracking else None
                if link is None:
                    await asyncio.sleep(_patience(looks))
                    if look.hopeful(await look.ask()):
                        return
                elif await self._told(link, name, changed, look):
                    if looks:  # it looks well, and yet there was nothing for the caller: others were faster
                        await asyncio.sleep(_patience(looks))
                    return
                looks += 1
        finally:
            self._waiting[name].discard(changed)
            if not self._waiting[name]:
                del self._waiting[name]

    async def _told(self, link: AdoptedLink, name: bytes, changed: asyncio.Event, look: Look) -> bool:
        """Look at a key, and unless that is hopeful wait for its next change; whether it is."""
        try:
            if not link.ready:
                await link.room(len(name))
            seen = (await link.request((pack_command((look.command, name)), 1)))[0]
        except LinkLost:
            return False  # look again, on the next connection
        if isinstance(seen, Exception):
            return True  # we may not look at it, and the caller should hear why from its own command
        if look.hopeful(as_int(seen)):
            return True
        with contextlib.suppress(asyncio.TimeoutError):
            async with asyncio.timeout(CHECK):
                await changed.wait()
        if not link.is_open:
            changed.clear()  # woken because nobody would tell any more: look on the next connection
        return False

    async def aclose(self) -> None:
        """Close the connection; nobody waits any more."""
        self._closed = True
        self._wake_all()
        if self._link is not None:
            await self._link.aclose()

    def disown(self) -> None:
        """Leave the connection alone: this process is a fork."""
        if self._link is not None:
            self._link.disown()

    def abort(self, cause: BaseException) -> None:
        """Hang up at once; nobody waits any more."""
        self._closed = True  # a connection that is being made is not kept either
        if self._link is not None:
            self._link.abort(cause)

    # --- the connection -----------------------------------------------------------------------------

    async def _open(self) -> AdoptedLink | None:
        """The open connection; None if there can be none."""
        async with self._opening:
            if self._link is not None and self._link.is_open:
                return self._link
            if self._closed:
                return None
            try:
                self._link = await self._connect_anyhow()
            except (NotAdoptable, _NotTracked):
                self._tracking = False
                self._link = None
            except LinkLost as lost:
                raise ConnectionError(f"the connection was lost while it was set up: {lost.cause}") from lost
            except RedisError as error:
                raise refused(error, self._pool) from error
            return self._link

    async def _connect_anyhow(self) -> AdoptedLink:
        """Connect; again if the server goes away in the moment in which the connection is set up."""
        for _ in range(_SETUPS - 1):
            with contextlib.suppress(LinkLost):
                return await self._connect()
        return await self._connect()

    async def _connect(self) -> AdoptedLink:
        connection = await self._connector.open_patiently()

        def closed(link: AdoptedLink) -> None:
            forget(self._pool, connection)
            forget_link(self._loop, link)
            if not self._loop.is_closed():
                self._wake_all()  # nobody will be told any more

        try:
            link = adopt(connection, closed)
        except BaseException:
            await hang_up(connection)
            raise
        link.on_push = self._heard
        remember(self._pool, connection)
        try:
            await guard_link(link)
            for command in (("HELLO", "3"), ("CLIENT", "TRACKING", "ON")):
                reply = (await link.request((pack_command(command), 1)))[0]
                if isinstance(reply, Exception):
                    raise _NotTracked
            if self._closed:  # meanwhile, so nobody else will close it
                await link.aclose()
        except GeneratorExit:  # its loop was closed, and nothing can be awaited any more
            link.drop()
            raise
        except BaseException:
            await link.aclose()
            raise
        return link

    def _heard(self, message: list[Reply]) -> None:
        if message[0] != b"invalidate":
            return
        keys = message[1]
        if isinstance(keys, list):
            for key in keys:
                if isinstance(key, bytes):
                    for changed in self._waiting.get(key, ()):
                        changed.set()
        else:  # FLUSHALL
            self._wake_all()

    def _wake_all(self) -> None:
        for waiting in self._waiting.values():
            for changed in waiting:
                changed.set()


def _patience(looks: int) -> float:
    """Seconds to the next look, after so many in vain."""
    return min(FIRST_POLL * 2.0 ** min(looks, 10), LAST_POLL)


class _NotTracked(Exception):
    """The server does not send messages about changed keys."""
