"""Links: the connections of one client, one link for each event loop that uses it.

    loop A  --> link, open            opened at the first command, by one task for all callers that wait for it
    loop B  --> link, lost            stays until the next call replaces it
    loop C  --> link, being opened

Another loop, or a child process after a fork, gets another link. Nothing here refers to the client strongly, so
a dropped client takes its links with it.
"""

from __future__ import annotations

import asyncio
import contextlib
import weakref
from asyncio import get_running_loop
from collections.abc import Callable
from time import monotonic

from redis.exceptions import RedisError

from purse._engine.awaited import Awaited
from purse._engine.clients import RedisClient
from purse._engine.connecting import Connector, refused
from purse._engine.contact import Contact
from purse._engine.detached import background
from purse._engine.forks import ThreadLock
from purse._engine.link import Ended, Link, Traffic
from purse._engine.loops import Loop, PerLoop, drop, forget_ended
from purse._engine.modes import Engine, Mode, check_engine, choose_mode
from purse._engine.opening import open_link, report
from purse._engine.transactions import Permission
from purse.errors import StoreClosed

__all__ = ["Links"]

_DEMOTED_AGE = 1.0  # seconds a connection must have been used before READONLY replaces it


class Links:
    """The links of one client.

    Args:
        client: the client.
        connector: opens its connections.

    Attributes:
        by_loop: the link of each event loop, open or lost. It is the dict of a ``PerLoop``, to get single entries from.
        contact: logs when the client has lost its server.
        engine: the setting of ``configure``.
        mode: how calls reach Redis. Decided when a link is opened.
        reconnects: links that were opened in place of lost ones.
    """

    def __init__(self, client: RedisClient, connector: Connector) -> None:
        self._client = weakref.ref(client)
        self._connector = connector
        self._links: PerLoop[Link] = PerLoop()
        self._opened: PerLoop[float] = PerLoop()
        self._opening: PerLoop[Awaited[Link]] = PerLoop()
        self._closed = False
        self._counting = ThreadLock()  # held while a link takes the place of another, so that its traffic counts once
        self._past = Traffic()
        self._permission = Permission()
        self.contact: Contact = Contact(connector.pool)
        self.by_loop: dict[Loop, Link] = self._links.entries
        self.engine: Engine = "auto"
        self.mode: Mode | None = None
        self.reconnects: int = 0

    async def ready(self, size: Callable[[], int]) -> Link:
        """Return the open link of the running loop, with room for a request of ``size()`` bytes right now.

        Raises:
            redis.exceptions.ConnectionError, redis.exceptions.TimeoutError: a link cannot be opened.
            LinkLost: the link was lost while this call waited for room.
            StoreClosed: after ``aclose()``.
        """
        loop = get_running_loop()
        while True:
            self.check_open()
            link = self.by_loop.get(loop)
            if link is None or not link.is_open:
                link = await self._open(loop)
            if link.ready:
                return link
            if link.is_open:
                await link.room(size())
                return link

    async def _open(self, loop: Loop) -> Link:
        """Open a new link of ``loop``. Callers that come while it opens wait for the same attempt."""
        while True:
            attempt = self._opening.get(loop)
            if attempt is None or attempt.task.done():
                attempt = Awaited(background(self._connect(loop), "connection"))
                self._opening.put(loop, attempt)
                attempt.task.add_done_callback(self._opened_or_not)
            opening = attempt.task
            task = asyncio.current_task()
            cancelling = task.cancelling() if task is not None else 0
            try:
                return await attempt.result()
            except asyncio.CancelledError:
                if not opening.cancelled() or task is None or task.cancelling() > cancelling:
                    raise
                self.check_open()  # if it is open: the program has cancelled the opening task, but not this caller
            except RedisError as error:
                raise refused(error, self._connector.pool) from error
            except (KeyboardInterrupt, SystemExit) as error:
                if not opening.done() or opening.exception() is not error:
                    raise
                # It came in the middle of opening, and the program has received it: this caller tries again.

    def _opened_or_not(self, opening: asyncio.Task[Link]) -> None:
        loop = opening.get_loop()
        attempt = self._opening.get(loop)
        if attempt is not None and attempt.task is opening:  # only the thread of that loop changes it
            self._opening.pop(loop)

    async def _connect(self, loop: Loop) -> Link:
        link: Link | None = None
        engine = self.engine
        try:
            self.forget_ended()
            former = self.by_loop.get(loop)
            link, self.mode = await open_link(
                self._connector, self._choose(), self.contact, patiently=former is not None
            )
            link.permit(self._permission)
            self._opened.put(loop, monotonic())
            with self._counting:
                if former is not None:
                    self._past.add(former.traffic)
                    self.reconnects += 1
                self._links.put(loop, link)
            self.contact.made()
            # Checked after the link is in by_loop: a thread that closes or retires all links either finds this one
            # there, or has set ``_closed`` or ``engine`` before.
            self.check_open()
            if self.engine != engine:
                self.mode = None
                link.retire()  # callers open another
            return link
        except BaseException as error:
            if link is not None:
                link.abort(Ended("the connection was not wanted any more"))
            if isinstance(error, RedisError):
                self.contact.lost(error)
            raise

    def forget_ended(self) -> None:
        """Forget the links of closed loops, and close what those loops have left open. Any thread may call it."""
        forget_ended()
        with self._counting:
            for link in self._links.take_ended():
                self._past.add(link.traffic)
        self._opened.take_ended()
        for attempt in self._opening.take_ended():
            drop(attempt.task)

    def _choose(self) -> Mode:
        """Choose the mode of the next link. A fall-back to ``dedicated`` that was found before stays."""
        client, known, engine = self._client(), self.mode, self.engine  # read once: another thread may configure it
        if client is None or (known is not None and known.name == "dedicated" and engine == "auto"):
            return known or Mode("shared", "the client was dropped")
        mode = choose_mode(client, engine)
        if mode.name == "dedicated" and mode != known and engine == "auto":
            report(mode)
        return mode

    def replace_demoted(self) -> bool:
        """After a READONLY reply: let the next call open a new connection, to the current primary.

        Returns False if the current connection is younger than a second. Then the reply is final.
        """
        loop = get_running_loop()
        link = self.by_loop.get(loop)
        if link is None or not link.is_open:
            return True
        if monotonic() - (self._opened.get(loop) or 0.0) < _DEMOTED_AGE:
            return False
        link.retire()
        return True

    # --- what can be watched, and set --------------------------------------------------------------

    def in_use(self) -> list[Link]:
        """The open links of all loops, and retired links that still wait for replies."""
        return [link for link in self._links.copy().values() if link.connections]

    def traffic(self) -> Traffic:
        """The counts of all links of this client so far."""
        total = Traffic()
        with self._counting:
            total.add(self._past)
            for link in self._links.copy().values():
                total.add(link.traffic)
        return total

    def configure(self, engine: Engine) -> None:
        """Choose again how calls reach Redis. Open links finish their requests under way."""
        check_engine(engine)
        if engine != self.engine:
            self.engine = engine
            self.mode = None
            self.replace()

    def replace(self) -> None:
        """Let the next calls open new connections. Open links finish their requests under way."""
        self._on_every_loop(lambda link: link.retire())

    # --- the end --------------------------------------------------------------------------------------

    async def stop_opening(self) -> None:
        """Open no more links. Callers that wait for the link of the running loop raise ``StoreClosed``."""
        self._closed = True
        attempt = self._opening.get(get_running_loop())
        if attempt is not None:
            attempt.task.cancel()
            await attempt.done()

    async def aclose(self) -> None:
        """Close the link of the running loop."""
        link = self.by_loop.get(get_running_loop())
        if link is not None:
            await link.aclose()

    def abandon(self, cause: BaseException) -> None:
        """Abort the links of every loop that is not closed. Any thread may call it."""
        self._on_every_loop(lambda link: link.abort(cause))

    def disown(self) -> None:
        """Forget every link: this process is a fork, and the links are its parent's."""
        for link in self._links.disown().values():
            link.disown()
        self._opening.disown()
        self._opened.disown()
        self.by_loop = self._links.entries

    def _on_every_loop(self, do: Callable[[Link], None]) -> None:
        for loop, link in self._links.copy().items():
            with contextlib.suppress(RuntimeError):  # that loop was closed in this moment
                loop.call_soon_threadsafe(do, link)

    def check_open(self) -> None:
        """Refuse calls after ``aclose()``.

        Raises:
            StoreClosed: it was closed.
        """
        if self._closed:
            raise StoreClosed("this store was closed by aclose(): open it again, or keep it open while calls are made")
