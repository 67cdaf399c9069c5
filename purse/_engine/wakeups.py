"""Wakeups: messages of the server that a key has changed, for any number of keys on one connection.

A blocking pop (BLPOP) removes the element that it waits for: if the connection has died unnoticed, or the caller has
left, the element is lost. It also needs a separate connection. So no command blocks here. The server is
asked to track the keys that one connection has read (CLIENT TRACKING), and sends it a message when one changes:

    EXISTS queue      -> 0, and from now on the server remembers that this connection has read ``queue``
                      <- invalidate [queue]      a client has added an element
    EXISTS queue      ...

The server begins to remember before it executes the read, so no change is missed. The message only means that it may
be worth trying. A key is read again after at most ``CHECK`` seconds, which also finds a connection that is dead and was
not closed. A caller that waits for room in a full queue reads its size in the same way. A ``Look`` names the command,
and the replies that are worth a try.

A server that has too many keys to remember (``tracking-table-max-keys``) forgets some, and reports these as
changed. So a caller that found nothing after such a message waits a little before it tries again, and longer
each time, unless the message came after a quiet time.

Without such a connection (a fake, a server or proxy that refuses CLIENT TRACKING, a client with ``engine="dedicated"``)
keys are polled, at growing intervals.

A proxy may refuse a command by closing the connection. If that happens a few times, one after the other (``losses``),
while this connection is set up, keys are polled over the client's own connection for ``_AGAIN`` seconds. If it happens
at the command of a ``Look``, that is not sent there either, and the caller just tries.
"""

from __future__ import annotations

import asyncio
import contextlib
import logging
from collections import defaultdict
from collections.abc import Awaitable, Callable
from typing import NamedTuple

from redis.exceptions import ConnectionError, RedisError

from purse._engine.adoption import AdoptedLink, NotAdoptable, adopt
from purse._engine.clients import forget, remember
from purse._engine.connecting import Connector, refused
from purse._engine.contact import Contact
from purse._engine.guard import forget_link, guard_link
from purse._engine.link import LinkLost, reply_was_lost
from purse._engine.loops import hang_up
from purse._engine.losses import Losses
from purse._engine.packing import pack_command
from purse._engine.replies import Reply, as_int

__all__ = ["Look", "Wakeups"]

CHECK = 5.0
"""Seconds after which a key is read again although no message came."""

FIRST_POLL, LAST_POLL = 0.005, 0.25  # seconds between two looks if the server sends no messages

_AGAIN = 300.0  # seconds for which a command is not sent: the cause may have been a server that restarted three times

_SETUP = "CLIENT TRACKING"

_log = logging.getLogger("purse")


class Look(NamedTuple):
    """How a caller checks a key while it waits for a change.

    Attributes:
        command: a command that reads the key, has no other argument, and returns an integer.
        hopeful: tells whether its reply is worth a try.
        ask: sends it in the ordinary way, if the server sends no messages.
    """

    command: str
    hopeful: Callable[[int], bool]
    ask: Callable[[], Awaitable[int]]


class Wakeups:
    """Reports changes of keys, for one client in one event loop.

    Args:
        connector: opens the connection.
        exists: asks in the ordinary way whether a key exists.
        contact: is notified when the connection is lost, and when there is one.
        tracking: whether to open such a connection. False: keys are polled.
    """

    def __init__(
        self, connector: Connector, exists: Callable[[str], Awaitable[bool]], contact: Contact, *, tracking: bool
    ) -> None:
        self._connector = connector
        self._pool = connector.pool
        self.contact: Contact = contact
        self._exists = exists
        self._loop = asyncio.get_running_loop()
        self._tracking = tracking
        self._losses: defaultdict[str, Losses] = defaultdict(Losses)  # by command
        self._unsent: dict[str, float] = {}  # commands that proxies refused, and until when not to send them
        self._opening = asyncio.Lock()
        self._link: AdoptedLink | None = None
        self._waiting: dict[bytes, set[asyncio.Event]] = {}
        self._closed = False

    @property
    def connections(self) -> int:
        """1 if there is a connection, else 0."""
        return 0 if self._link is None else self._link.connections

    async def wait(self, key: str, looks: int, look: Look | None = None) -> int:
        """Wait until a look at ``key`` is hopeful, or until it may have changed, or until ``aclose``.

        Args:
            looks: how long to pause: 0 at first, then the result of the last call if the caller has found nothing.
            look: how to check the key. By default with EXISTS, for callers that wait for an element.

        Raises:
            redis.exceptions.ConnectionError, redis.exceptions.TimeoutError: the server cannot be reached.
        """
        look = look or Look("EXISTS", bool, lambda: self._exists(key))
        name = key.encode()
        changed = asyncio.Event()
        self._waiting.setdefault(name, set()).add(changed)
        try:
            while not self._closed:
                told_of = self._tracking and not self._is_unsent(look.command)
                link = await self._open() if told_of else None
                if link is None:
                    await asyncio.sleep(_patience(looks))
                    if await self._looks_well(look):
                        return looks + 1
                    looks += 1
                    continue
                began = self._loop.time()
                try:
                    hopeful = await self._look(link, name, look)
                except LinkLost as lost:
                    changed.clear()  # look again, on the next connection
                    if lost.sent:
                        self._lost_over(look.command, link)
                    continue
                self._losses[look.command].clear()
                if hopeful:
                    if looks:  # the caller has found nothing before, although the key exists: others were faster
                        await asyncio.sleep(_patience(looks))
                    return looks + 1
                if not await self._told(link, changed):
                    looks = 0
                    continue
                early = began + _patience(looks) - self._loop.time()
                if early <= 0:
                    return 0
                if looks:
                    await asyncio.sleep(early)
                return looks + 1
            return looks
        finally:
            self._waiting[name].discard(changed)
            if not self._waiting[name]:
                del self._waiting[name]

    async def _looks_well(self, look: Look) -> bool:
        """Check the key in the ordinary way. Returns whether it is worth a try."""
        if self._is_unsent(look.command):
            return True
        try:
            return look.hopeful(await look.ask())
        except ConnectionError as error:
            if not reply_was_lost(error):
                raise
            self._leave_unsent(look.command)  # it was sent several times, and each time the connection was lost
            return True

    async def _look(self, link: AdoptedLink, name: bytes, look: Look) -> bool:
        """Check a key, and let the server report its next change. Returns whether it is worth a try now."""
        if not link.ready:
            await link.room(len(name))
        seen = (await link.request((pack_command((look.command, name)), 1)))[0]
        if isinstance(seen, Exception):
            return True  # this user may not read it: the caller's own command raises the reason
        return look.hopeful(as_int(seen))

    async def _told(self, link: AdoptedLink, changed: asyncio.Event) -> bool:
        """Wait until the server reports a change. False if none came within ``CHECK`` or the connection was lost."""
        with contextlib.suppress(asyncio.TimeoutError):
            async with asyncio.timeout(CHECK):
                await changed.wait()
        if not link.is_open:
            changed.clear()  # woken because the connection is closed: look on the next one
        return changed.is_set()

    async def aclose(self) -> None:
        """Close the connection, and end every ``wait``."""
        self._closed = True
        self._wake_all()
        if self._link is not None:
            await self._link.aclose()

    def disown(self) -> None:
        """Do not touch the connection: this process is a fork."""
        if self._link is not None:
            self._link.disown()

    def abort(self, cause: BaseException) -> None:
        """Close the connection at once, and end every ``wait``."""
        self._closed = True  # a connection that is being opened is not kept either
        if self._link is not None:
            self._link.abort(cause)

    # --- the connection -----------------------------------------------------------------------------

    async def _open(self) -> AdoptedLink | None:
        """Return the open connection, or None if there cannot be one."""
        if self._is_unsent(_SETUP):
            return None
        async with self._opening:
            if self._link is not None and self._link.is_open:
                return self._link
            if self._closed:
                return None
            try:
                self._link = await self._connect_anyhow()
                if self._link is not None:
                    self.contact.made()
            except (NotAdoptable, _NotTracked):
                self._tracking = False
                self._link = None
            except RedisError as error:
                self.contact.lost(error)
                raise refused(error, self._pool) from error
            return self._link

    async def _connect_anyhow(self) -> AdoptedLink | None:
        """Connect, and try again if the connection is lost while it is set up. None after too many losses."""
        while not self._is_unsent(_SETUP):
            try:
                link = await self._connect()
            except LinkLost as lost:
                self._lost_over(_SETUP, lost)
            else:
                self._losses[_SETUP].clear()
                return link
        return None

    async def _connect(self) -> AdoptedLink:
        connection = await self._connector.open_patiently()

        def closed(link: AdoptedLink) -> None:
            forget(self._pool, connection)
            forget_link(self._loop, link)
            if link is self._link:  # not while it is set up: a proxy may refuse the setup
                self.contact.lost(link.lost_by)
            if not self._loop.is_closed():
                self._wake_all()  # no message will come any more

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
            if self._closed:  # ``aclose`` ended while it was being opened, so it has to be closed here
                await link.aclose()
        except GeneratorExit:  # its loop was closed, and nothing can be awaited any more
            link.drop()
            raise
        except BaseException:
            await link.aclose()
            raise
        return link

    def _is_unsent(self, words: str) -> bool:
        until = self._unsent.get(words)
        return until is not None and self._loop.time() < until

    def _lost_over(self, words: str, connection: object) -> None:
        if self._losses[words].add(connection):
            self._losses[words].clear()
            self._leave_unsent(words)

    def _leave_unsent(self, words: str) -> None:
        if words not in self._unsent:
            _log.info("purse: the server, or a proxy, closes the connection at %s, so keys are polled", words)
        self._unsent[words] = self._loop.time() + _AGAIN

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
    """Seconds until the next look, after ``looks`` looks that found nothing."""
    return min(FIRST_POLL * 2.0 ** min(looks, 10), LAST_POLL)


class _NotTracked(Exception):
    """The server refuses to send messages about changed keys."""
