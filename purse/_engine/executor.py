"""The executor of a client: the rule of what may be sent again, and who may step in between.

    unit never left the process       sent again on a new link, always
    reply lost, unit is read-only     sent again, a few times
    reply lost, anything else         raised: it may have been executed, and is not executed twice
    LOADING                           sent again for about a second (not executed: the server just started)
    READONLY                          sent again once, on a new connection (not executed: no longer the primary)
    NOSCRIPT                          the same call as EVAL (not executed either)
    MULTI or EXEC refused             raised, with nothing sent: see ``transactions``

There is one executor for each client object; its connections are kept in ``links``. An executor never refers to its
client strongly.
"""

from __future__ import annotations

import asyncio
import contextlib
import logging
import weakref
from asyncio import get_running_loop
from collections.abc import Callable, Iterator
from functools import partial

from redis.exceptions import (
    BusyLoadingError,
    ConnectionError,
    NoScriptError,
    ReadOnlyError,
    RedisError,
    ResponseError,
    TimeoutError,
)
from typing_extensions import TypeVar

from purse._engine import hooks
from purse._engine.clients import RedisClient, address_of, check_client, database_of, pool_of
from purse._engine.connecting import DELAYS, Connector, pause
from purse._engine.detached import GRACE, detached
from purse._engine.forks import in_child
from purse._engine.hooks import Call, Observer
from purse._engine.link import Ended, Leave, LinkLost, lost_reply
from purse._engine.links import Links
from purse._engine.loops import PerLoop
from purse._engine.nodes import Nodes
from purse._engine.packing import Packer, exec_replies, pack, pack_command, pack_loose, pack_transaction, size_of
from purse._engine.refusals import explained
from purse._engine.replies import Reply, as_flag, bytes_in, first
from purse._engine.scripts import ScriptCall
from purse._engine.unit import Command, Origin, Unit
from purse._engine.waiting import Line, Waits
from purse._engine.wakeups import Wakeups
from purse.codecs._shown import named, said
from purse.errors import StoreClosed

__all__ = ["ClientExecutor", "executor_for"]

R = TypeVar("R")
E = TypeVar("E")

_log = logging.getLogger("purse")

_READ_ATTEMPTS = 4  # a read is sent this often at most; each attempt lost its connection

_executors: weakref.WeakKeyDictionary[RedisClient, ClientExecutor] = weakref.WeakKeyDictionary()


def executor_for(client: RedisClient) -> ClientExecutor:
    """The executor of ``client``, made at the first call; no I/O.

    Raises:
        TypeError: ``client`` is not a ``redis.asyncio.Redis``.
    """
    try:
        return _executors[client]
    except (KeyError, TypeError):
        check_client(client)
    made = ClientExecutor(client)
    executor = _executors.setdefault(client, made)  # two threads may be the first to use a client
    if executor is made:
        weakref.finalize(client, executor.abandon).atexit = False
    return executor


class ClientExecutor:
    """All calls of one client.

    Attributes:
        connector: opens connections.
        links: those that are open.
    """

    def __init__(self, client: RedisClient) -> None:
        self._pool = pool_of(client)
        self._waits: PerLoop[Waits] = PerLoop()
        self.connector: Connector = Connector(self._pool)
        self.links: Links = Links(client, self.connector)
        self._nodes = Nodes(self.links)

    # --- calls --------------------------------------------------------------------------------------

    async def ask(
        self, command: Command | ScriptCall, origin: Origin, field: object = None, read_only: bool = False, /
    ) -> Reply:
        """See ``Executor.ask``."""
        # Without a detour if there is an open link, and no error: a unit is made only for what goes another way.
        link = self.links.by_loop.get(get_running_loop())
        if link is None or not link.ready or (hooks.watched and hooks.step_in()):
            return await self.execute(Unit((command,), first, origin, field=field, read_only=read_only))
        try:
            words = command.by_sha() if isinstance(command, ScriptCall) else command
            replies = await link.request((pack_command(words), 1))
            if not isinstance(replies[0], Exception):
                return replies[0]
            unit = Unit((command,), first, origin, field=field, read_only=read_only)
        except LinkLost as lost:
            unit = Unit((command,), first, origin, field=field, read_only=read_only)
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
                replies = await link.request((pack_loose if unit.loose else pack)(unit.commands))
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
                replies = await link.take((pack_loose if unit.loose else pack)(unit.commands), leave)
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

    def wakeups(self) -> Wakeups:
        """See ``Executor.wakeups``."""
        return self._waits_here().wakeups

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
        return as_flag(await self.ask(("EXISTS", key), _Looking(key), None, True))

    async def _exchange(
        self, unit: Unit[R], pack: Packer, lost: LinkLost | None = None, *, leave: Leave | None = None
    ) -> list[Reply]:
        """Send a unit by the retry rule of this module and return the replies as they came.

        It is packed when it can be sent: callers that wait for a connection, or for room, hold no copies.

        Args:
            leave: of a unit that removes something.
        """
        attempts = 0
        if unit.loose and pack is not pack_transaction:
            pack = pack_loose
        contact = self.links.contact
        while True:
            if lost is not None:
                contact.lost(lost.cause)
            if lost is not None and lost.sent:
                attempts += 1
                if not unit.read_only or attempts >= _READ_ATTEMPTS:
                    error = _lost_reply(lost.cause, attempts, read_only=unit.read_only)
                    raise explained(error, unit.origin, unit.field) from lost.cause
            try:
                link = await self.links.ready(lambda: size_of(unit.commands))
                packed = pack(unit.commands)
                replies = await (link.request(packed) if leave is None else link.take(packed, leave))
                if contact.is_lost:
                    contact.made()
                return replies
            except LinkLost as again:
                lost = again
            except RedisError as error:
                contact.lost(error)  # a further connection of a dedicated link could not be opened
                raise

    async def _settle(self, unit: Unit[R], replies: list[Reply], leave: Leave | None = None) -> list[Reply]:
        """The replies of a unit to its decoder, after what has not been executed was sent again.

        Raises:
            Exception: what the server answered, explained by the unit's origin.
        """
        replies = await self._insist(unit, pack, replies, leave)
        if isinstance(replies[0], NoScriptError) and isinstance(unit.commands[0], ScriptCall):
            by_body = partial(pack, script_by_body=True)
            replies = await self._insist(unit, by_body, await self._exchange(unit, by_body, leave=leave), leave)
        try:
            return _answers(unit, replies)
        except RedisError as error:
            refusal = explained(error, unit.origin, unit.field)
            raise refusal from (None if refusal is error else error)

    async def _collected(self, unit: Unit[R]) -> R:
        """Leave the sending to the ``atomic`` that steps this call."""
        replies = await hooks.hand_over(self, unit)
        try:
            _no_error(replies)
        except RedisError as error:
            refusal = explained(error, unit.origin, unit.field)
            raise refusal from (None if refusal is error else error)
        return unit.decode(replies)

    async def transact(self, unit: Unit[object]) -> list[Reply]:
        """Send ``unit`` as a transaction, by the same rules; the replies to MULTI, each command and EXEC.

        Raises:
            redis.exceptions.ConnectionError, redis.exceptions.TimeoutError: as ``execute``.
        """
        observer = hooks.observer
        if observer is None:
            return await self._insist(unit, pack_transaction, await self._exchange(unit, pack_transaction))
        with observer(call := self._call(unit, "Store.atomic")):
            replies = await self._insist(unit, pack_transaction, await self._exchange(unit, pack_transaction))
            call.bytes_received = bytes_in(replies)
        return replies

    async def _observed(self, unit: Unit[R], observer: Observer, leave: Leave | None = None) -> R:
        """``execute`` or ``take`` while somebody watches."""
        with observer(call := self._call(unit, hooks.calling_method(unit.origin))):
            replies = await self._settle(unit, await self._exchange(unit, pack, leave=leave), leave)
            call.bytes_received = bytes_in(replies)
            return unit.decode(replies)

    def _call(self, unit: Unit[R], method: str) -> Call:
        store, field = getattr(unit.origin, "declared_as", None) or (None, None)
        scripts = [command.script.name for command in unit.commands if isinstance(command, ScriptCall)]
        names = [
            ("EVALSHA" if len(unit.commands) == 1 else "EVAL") if isinstance(c, ScriptCall) else hooks.command_name(c)
            for c in (unit.commands[-1:] if unit.loose else unit.commands)
        ]
        return Call(
            method=method,
            store=store,
            field=field,
            commands=tuple(names),
            script=scripts[0] if len(scripts) == len(names) == 1 else None,
            server=address_of(self._pool),
            database=database_of(self._pool),
            bytes_sent=size_of(unit.commands),
        )

    async def _insist(
        self, unit: Unit[R], pack: Packer, replies: list[Reply], leave: Leave | None = None
    ) -> list[Reply]:
        """The replies of a unit, after it was sent again where the server had not executed it."""
        for delay in DELAYS:
            if not any(isinstance(reply, BusyLoadingError) for reply in replies):
                break
            await pause(delay)
            replies = await self._exchange(unit, pack, leave=leave)
        if any(map(_says_readonly, replies)) and self.links.replace_demoted():
            replies = await self._exchange(unit, pack, leave=leave)
        return replies

    # --- the end --------------------------------------------------------------------------------------

    @property
    def listening(self) -> int:
        """Open connections on which the server tells of changed keys."""
        return sum(waits.wakeups.connections for waits in self._waits.copy().values())

    async def aclose(self) -> None:
        """See ``Executor.aclose``."""
        try:
            settling = [*self._settle_all(StoreClosed("this store was closed by aclose() while a call waited on it"))]
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
        """Tell those who wait in each loop, and put back what is on its way, in the loop's own thread."""
        here = get_running_loop()
        for loop, waits in self._waits.copy().items():
            if loop is here:
                yield detached(waits.settle(error), "settling")
            elif loop.is_running():
                settling = waits.settle(error)
                try:
                    yield asyncio.wrap_future(asyncio.run_coroutine_threadsafe(settling, loop))
                except RuntimeError:  # it was closed in this moment
                    settling.close()

    def forget_ended(self) -> None:
        """Close the connections that closed loops have left open, and forget those loops; any thread may call it."""
        self.links.forget_ended()
        self._waits.take_ended()

    def abandon(self) -> None:
        """Abort the connections of every loop; any thread may call it."""
        self.forget_ended()
        cause = Ended("the client was closed or dropped")
        self.links.abandon(cause)
        for loop, waits in self._waits.copy().items():
            with contextlib.suppress(RuntimeError):
                loop.call_soon_threadsafe(waits.wakeups.abort, cause)

    def disown(self) -> None:
        """Forget every connection: this process is a fork, they are its parent's."""
        for waits in self._waits.disown().values():
            waits.wakeups.disown()
        self.links.disown()


class _Looking:
    """Explains errors of looking whether a key exists."""

    def __init__(self, key: str) -> None:
        self._key = key

    def explain(self, error: Exception, field: object) -> Exception:
        """See ``Origin.explain``."""
        error.add_note(f"purse: waiting for elements of {named(self._key)}")
        return error


def _leave(unit: Unit[list[E]], line: Callable[[], Line[E]]) -> Callable[[list[Reply] | None], None]:
    """A caller is gone whose unit removes something: its line cares for what the replies bring. See ``Leave``."""
    arrive = line().expect()

    def arrived(replies: list[Reply] | None) -> None:
        taken: list[E] = []
        try:
            if replies is not None:  # an error says that nothing was removed
                taken = unit.decode(_answers(unit, replies))
        except RedisError as error:
            _log.debug("purse: a call that was cancelled would have failed: %s", said(error))
        finally:
            arrive(taken)

    return arrived


def _says_readonly(reply: Reply) -> bool:
    """Whether the server is no primary. A script says it in words of its own, a transaction inside EXEC."""
    if isinstance(reply, list):
        return any(isinstance(inner, Exception) and _says_readonly(inner) for inner in reply)
    return isinstance(reply, ReadOnlyError) or (isinstance(reply, ResponseError) and "-READONLY " in str(reply))


def _answers(unit: Unit[R], replies: list[Reply]) -> list[Reply]:
    """What ``unit`` decodes, out of the replies as they came.

    Raises:
        Exception: an error that the server answered; of a loose unit only that of the last command.
    """
    if unit.loose:
        _no_error(replies[-1:])
        return replies
    return _no_error(exec_replies(replies) if len(unit.commands) > 1 else replies)


def _no_error(replies: list[Reply]) -> list[Reply]:
    for reply in replies:
        if isinstance(reply, Exception):
            raise reply
    return replies


def _lost_reply(cause: BaseException, attempts: int, *, read_only: bool) -> RedisError:
    """What the caller is told when the connection was lost before the reply came."""
    outcome = (
        f"the read was sent {attempts} times"
        if read_only
        else "the command may have been executed; it was not sent again"
    )
    kind = TimeoutError if isinstance(cause, TimeoutError) else ConnectionError
    return lost_reply(kind(f"{cause} The reply was lost: {outcome}."))


def _disown_all() -> None:
    for executor in list(_executors.values()):  # the child has one thread, so nothing is added meanwhile
        executor.disown()


in_child(_disown_all)
