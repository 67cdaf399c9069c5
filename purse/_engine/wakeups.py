"""Wakeups: being told by the server that a key has changed, for any number of keys on one connection.

A blocking pop (BLPOP) takes what it waits for: if the connection has died unnoticed, or the caller is
gone, the element is gone as well; and each needs a connection to itself. So nothing blocks here. The server is
asked to track what one connection has read (CLIENT TRACKING), and sends that connection a message when it changes:

    EXISTS queue      -> 0, and from now on the server remembers that we have looked at ``queue``
                      <- invalidate [queue]      somebody has put something
    EXISTS queue      ...

The look comes after the server began to remember, so nothing that is put in between is missed. The message
only says that it may be worth to try. Nobody waits longer than ``CHECK`` without a look, which also finds a
connection that is dead without having been closed. Who waits for room in a full queue looks in the same way, at its
size: a ``Look`` says how, and what answer is worth a try.

A server that has too many keys to remember (``tracking-table-max-keys``) forgets some, and says of these that they have
changed. So a caller that was told of a change and found nothing waits a little before it tries again, and longer
each time, unless the change came after a quiet time.

Where there is no such connection (a fake, a server or proxy that refuses CLIENT TRACKING, a client for which
``engine="dedicated"`` was asked for), keys are looked at again and again, at growing intervals.

A proxy may refuse a command by hanging up. If that happens a few times, one after the other (``losses``), when this
connection is set up, keys are looked at over the client's own connection for ``_AGAIN`` seconds. If it happens to the
look, it is not sent there either: the caller just tries.
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
"""Seconds after which a key is looked at although no message came."""

FIRST_POLL, LAST_POLL = 0.005, 0.25  # seconds between two looks where the server sends no messages

_AGAIN = 300.0  # seconds for which words are not sent; it may have been a server that was restarted three times

_SETUP = "CLIENT TRACKING"

_log = logging.getLogger("purse")


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
        contact: is told when the connection is lost, and when there is one.
        tracking: False if there is to be no such connection.
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
        self._losses: defaultdict[str, Losses] = defaultdict(Losses)  # over which words
        self._unsent: dict[str, float] = {}  # words over which connections were lost, and until when not to send them
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
            looks: how patient to be; 0 at first, then what the last call has returned, if the caller has found nothing.
            look: by default whether the key exists, for those who wait for an element.

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
                    if looks:  # it looks well, and yet there was nothing for the caller: others were faster
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
        """Look in the ordinary way; whether it is worth a try."""
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
        """Look at a key, and have the server tell of its next change; whether it is worth a try now."""
        if not link.ready:
            await link.room(len(name))
        seen = (await link.request((pack_command((look.command, name)), 1)))[0]
        if isinstance(seen, Exception):
            return True  # we may not look at it, and the caller should hear why from its own command
        return look.hopeful(as_int(seen))

    async def _told(self, link: AdoptedLink, changed: asyncio.Event) -> bool:
        """Wait until the server tells of a change; False if it does not within ``CHECK``, or cannot any more."""
        with contextlib.suppress(asyncio.TimeoutError):
            async with asyncio.timeout(CHECK):
                await changed.wait()
        if not link.is_open:
            changed.clear()  # woken because nobody would tell any more: look on the next connection
        return changed.is_set()

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
        """Connect; again if the server goes away in the moment in which the connection is set up, but not for ever."""
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
            if link is self._link:  # not while it is set up: a proxy may refuse that
                self.contact.lost(link.lost_by)
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
            if self._closed:  # while it was opened, so nothing else will close it
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
            _log.info("purse: the server, or a proxy, hangs up at %s, so keys are looked at again and again", words)
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
    """Seconds from one look to the next, after so many that found nothing."""
    return min(FIRST_POLL * 2.0 ** min(looks, 10), LAST_POLL)


class _NotTracked(Exception):
    """The server does not send messages about changed keys."""
