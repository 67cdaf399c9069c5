"""The executor of a client of one server: the way of each call, ``atomic`` and observers, and the end.

    ask, ask_again      one command, and its reply: a packed request on an open link, and nothing else
    execute             a unit
    take                a unit that removes elements: if its caller is cancelled, they go to its line
    transact            the calls that ``atomic`` has collected

Each of them gets the link itself, because one more Python call would slow down every request. Only an error, a link
that is not ready, ``atomic`` and an observer (``hooks``) take a longer way. Lost connections and refusals are handled
in ``resending``.

There is one executor for each client object (``registry``). Its connections are kept in ``links``. An executor never
refers to its client strongly.
"""

from __future__ import annotations

import asyncio
import contextlib
import logging
from asyncio import get_running_loop
from collections.abc import Callable, Iterator
from functools import partial

from redis.exceptions import RedisError
from typing_extensions import TypeVar

from purse._engine import hooks
from purse._engine.clients import Connection, RedisClient, pool_of
from purse._engine.connecting import Connector
from purse._engine.detached import GRACE, detached
from purse._engine.hooks import Observer
from purse._engine.link import Ended, Leave, Link, LinkLost
from purse._engine.links import Links
from purse._engine.loops import PerLoop
from purse._engine.nodes import Nodes
from purse._engine.packing import pack, pack_command, pack_transaction, size_of
from purse._engine.refusals import explained
from purse._engine.replies import Reply, as_flag, bytes_in, first
from purse._engine.resending import Resending, answers, no_error, says_readonly
from purse._engine.scripts import ScriptCall
from purse._engine.slots import hash_tag
from purse._engine.unit import Command, Noted, Origin, Unit
from purse._engine.waiting import Line
from purse._engine.waits import Waits
from purse._engine.wakeups import Wakeups
from purse.codecs._shown import named, said
from purse.errors import StoreClosed

__all__ = ["ClientExecutor"]

R = TypeVar("R")
E = TypeVar("E")

_log = logging.getLogger("purse")


class ClientExecutor(Resending):
    """All calls of one client.

    Attributes:
        connector: opens connections.
        links: its connections.
    """

    def __init__(self, client: RedisClient) -> None:
        self._pool = pool_of(client)
        self._waits: PerLoop[Waits] = PerLoop()
        self.connector: Connector = Connector(self._pool)
        self.links: Links = Links(client, self.connector)
        self._nodes = Nodes(self.links)
        super().__init__(self.links.contact)

    # --- calls --------------------------------------------------------------------------------------

    async def ask(self, command: Command | ScriptCall, origin: Origin, field: object = None, /) -> Reply:
        """See ``Executor.ask``."""
        replies, lost = None, None
        link = self.links.by_loop.get(get_running_loop())
        if link is not None and link.ready and not (hooks.watched and hooks.step_in()):
            try:
                words = command.by_sha() if isinstance(command, ScriptCall) else command
                replies = await link.request((pack_command(words), 1))
                if not isinstance(replies[0], Exception):
                    return replies[0]
            except LinkLost as caught:
                lost = caught
        return await self._go_on(Unit((command,), first, origin, field=field), replies, lost)

    async def ask_again(self, command: Command | ScriptCall, origin: Origin, field: object = None, /) -> Reply:
        """See ``Executor.ask_again``."""
        replies, lost = None, None  # as in ``ask``, without a call between the two
        link = self.links.by_loop.get(get_running_loop())
        if link is not None and link.ready and not (hooks.watched and hooks.step_in()):
            try:
                words = command.by_sha() if isinstance(command, ScriptCall) else command
                replies = await link.request((pack_command(words), 1))
                if not isinstance(replies[0], Exception):
                    return replies[0]
            except LinkLost as caught:
                lost = caught
        return await self._go_on(Unit((command,), first, origin, field=field, read_only=True), replies, lost)

    async def _go_on(self, unit: Unit[Reply], replies: list[Reply] | None, lost: LinkLost | None) -> Reply:
        """Finish a single command that was refused, or lost, or not sent yet."""
        if replies is None:
            if lost is None:
                return await self.execute(unit)
            replies = await self._exchange(unit, pack, lost)
        return first(await self._settle(unit, replies))

    async def execute(self, unit: Unit[R], /) -> R:
        """See ``Executor.execute``."""
        if hooks.watched:
            if hooks.collecting.active:
                return await self._collected(unit)
            if (observer := hooks.observer) is not None:
                return await self._observed(unit, observer)
        link = self.links.by_loop.get(get_running_loop())
        if link is not None and link.ready:
            try:
                replies = await link.request(pack(unit))
            except LinkLost as lost:
                replies = await self._exchange(unit, pack, lost)
        else:
            replies = await self._exchange(unit, pack)
        if isinstance(replies[-1], Exception) or (len(replies) > 1 and not unit.loose):
            replies = await self._settle(unit, replies)
        return unit.decode(replies)

    async def take(self, unit: Unit[list[E]], line: Callable[[], Line[E]], /) -> list[E]:
        """See ``Executor.take``."""
        leave = partial(_leave, unit, line)
        if hooks.watched:
            if hooks.collecting.active:
                return await self._collected(unit)
            if (observer := hooks.observer) is not None:
                return await self._observed(unit, observer, leave)
        link = self.links.by_loop.get(get_running_loop())
        if link is not None and link.ready:
            try:
                replies = await link.take(pack(unit), leave)
            except LinkLost as lost:
                replies = await self._exchange(unit, pack, lost, leave=leave)
        else:
            replies = await self._exchange(unit, pack, leave=leave)
        if isinstance(replies[-1], Exception) or (len(replies) > 1 and not unit.loose):
            replies = await self._settle(unit, replies, leave)
        return unit.decode(replies)

    def line(
        self,
        key: str,
        what: str,
        take: Callable[[int], Unit[list[E]]] | None,
        put_back: Callable[[list[E]], Unit[object]],
        /,
    ) -> Line[E]:
        """See ``Executor.line``."""
        return self._waits_here().line(key, what, take, put_back)

    async def is_cluster_node(self) -> bool:
        """See ``Executor.is_cluster_node``."""
        return await self._nodes.is_cluster_node()

    def wakeups(self, key: str, /) -> Wakeups:
        """See ``Executor.wakeups``."""
        return self._waits_here().wakeups

    async def connect(self, key: bytes | str, /) -> Connection:
        """See ``Executor.connect``."""
        return await self.connector.open()

    def _waits_here(self) -> Waits:
        self.links.check_open()
        waits = self._waits.get(get_running_loop())
        if waits is None:
            self.forget_ended()
            waits = self._waits.here(self._new_waits)
        return waits

    def _new_waits(self) -> Waits:
        tracking = self.links.engine != "dedicated"
        return Waits(self, Wakeups(self.connector, self._exists, self.links.contact, tracking=tracking))

    async def _exists(self, key: str) -> bool:
        return as_flag(
            await self.ask_again(("EXISTS", key), Noted(f"waiting for elements of {named(key)}", hash_tag(key)))
        )

    async def _collected(self, unit: Unit[R]) -> R:
        """Hand the unit to the ``atomic`` that steps this call, and wait for the replies."""
        replies = await hooks.hand_over(self, unit)
        try:
            no_error(replies)
        except RedisError as error:
            refusal = explained(error, unit.origin, unit.field)
            raise refusal from (None if refusal is error else error)
        return unit.decode(replies)

    async def transact(self, unit: Unit[object]) -> list[Reply]:
        """Send ``unit`` as a transaction, by the same rules. Returns the replies to MULTI, each command and EXEC.

        Raises:
            redis.exceptions.ConnectionError, redis.exceptions.TimeoutError: as ``execute``.
        """
        observer = hooks.observer
        if observer is None:
            return await self._insist(unit, pack_transaction, await self._exchange(unit, pack_transaction))
        with observer(call := hooks.seen(unit, "Store.atomic", self._pool)):
            replies = await self._insist(unit, pack_transaction, await self._exchange(unit, pack_transaction))
            call.bytes_received = bytes_in(replies)
        return replies

    async def _observed(self, unit: Unit[R], observer: Observer, leave: Leave | None = None) -> R:
        """``execute`` or ``take`` while there is an observer."""
        with observer(call := hooks.seen(unit, hooks.calling_method(unit.origin), self._pool)):
            replies = await self._settle(unit, await self._exchange(unit, pack, leave=leave), leave)
            call.bytes_received = bytes_in(replies)
            return unit.decode(replies)

    async def _link_for(self, unit: Unit[object], /) -> Link:
        return await self.links.ready(lambda: size_of(unit.commands))

    def _elsewhere(self, unit: Unit[object], replies: list[Reply], /) -> bool:
        return any(map(says_readonly, replies)) and self.links.replace_demoted()

    # --- the end --------------------------------------------------------------------------------------

    @property
    def listening(self) -> int:
        """The number of open connections on which the server reports changed keys."""
        return sum(waits.wakeups.connections for waits in self._waits.copy().values())

    async def aclose(self) -> None:
        """See ``Executor.aclose``."""
        try:
            settling = [
                *self._settle_all(
                    StoreClosed(
                        "this store was closed by aclose() while a call waited: keep it open until calls return"
                    )
                )
            ]
            if settling:
                _, late = await asyncio.wait(settling, timeout=2 * GRACE)
                for one in late:  # the loop of another thread is busy, or has just ended
                    one.cancel()
        finally:  # also if this caller is cancelled while something is being put back
            await self.links.stop_opening()
            waits = self._waits.pop(get_running_loop())
            if waits is not None:
                await waits.wakeups.aclose()
            await self.links.aclose()
            self.abandon()

    def _settle_all(self, error: StoreClosed) -> Iterator[asyncio.Future[None]]:
        """In each loop's own thread, let waiting callers raise ``error``, and put back elements on their way."""
        here = get_running_loop()
        for loop, waits in self._waits.copy().items():
            if loop is here:
                yield detached(waits.settle(error), "settling")
            elif loop.is_running():
                settling = waits.settle(error)
                try:
                    yield asyncio.wrap_future(asyncio.run_coroutine_threadsafe(settling, loop))
                except RuntimeError:  # the loop was closed in this moment
                    settling.close()

    def forget_ended(self) -> None:
        """Close the connections that closed loops have left open, and forget those loops. Any thread may call it."""
        self.links.forget_ended()
        self._waits.take_ended()

    def abandon(self) -> None:
        """Abort the connections of every loop. Any thread may call it."""
        self.forget_ended()
        cause = Ended("the client was closed or dropped")
        self.links.abandon(cause)
        for loop, waits in self._waits.copy().items():
            with contextlib.suppress(RuntimeError):
                loop.call_soon_threadsafe(waits.wakeups.abort, cause)

    def disown(self) -> None:
        """Forget every connection: this process is a fork, and they are its parent's."""
        for waits in self._waits.disown().values():
            waits.wakeups.disown()
        self.links.disown()


def _leave(unit: Unit[list[E]], line: Callable[[], Line[E]]) -> Callable[[list[Reply] | None], None]:
    """The ``Leave`` of a unit that removes elements: if its caller is cancelled, the elements go to its line."""
    arrive = line().expect()

    def arrived(replies: list[Reply] | None) -> None:
        taken: list[E] = []
        try:
            if replies is not None:  # an error in the replies means that nothing was removed
                taken = unit.decode(answers(unit, replies))
        except RedisError as error:
            _log.debug("purse: a call that was cancelled would have failed: %s", said(error))
        finally:
            arrive(taken)

    return arrived
