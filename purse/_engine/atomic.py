"""atomic: calls of several methods, executed by the server as one transaction.

    garden.atomic(garden.log.append("x"), garden.visits.increment("home"))

      step each coroutine, synchronously, up to where it would send  ->  RPUSH, HINCRBY
      one contiguous write                                           ->  MULTI RPUSH HINCRBY EXEC
      resume each coroutine with its own replies                     ->  (1, 7)

The coroutines are those of the same methods that are awaited elsewhere. There are no second
versions of them that build commands. While one is stepped, its executor hands its unit over instead of
sending it (``hooks``). If anything fails up to that moment, nothing was sent. Scripts are sent as EVAL: a SCRIPT FLUSH
between the queuing and the EXEC would otherwise leave half of a transaction.
"""

from __future__ import annotations

import asyncio
import contextlib
import inspect
from collections.abc import Coroutine, Generator, Sequence
from contextvars import Context, copy_context
from dataclasses import dataclass, field
from types import CoroutineType, TracebackType
from typing import Any, TypeAlias, cast

from redis.exceptions import ExecAbortError, InvalidResponse, RedisError

from purse._engine import hooks
from purse._engine.executor import ClientExecutor
from purse._engine.hooks import Handover
from purse._engine.refusals import explained
from purse._engine.replies import Reply
from purse._engine.unit import Noted, Unit
from purse.codecs._shown import said, shown, tidied
from purse.errors import AtomicFailed

__all__ = ["Atomic"]

MethodCall: TypeAlias = "CoroutineType[Any, Any, object]"


@dataclass(slots=True)
class _Part:
    """One coroutine on its way through the transaction."""

    call: MethodCall
    nth: int
    context: Context = field(default_factory=copy_context)
    unit: Unit[object] | None = None  # None: the call did not need the server
    result: object = None
    error: BaseException | None = None

    def __str__(self) -> str:
        return _named(self.call, self.nth)

    def step(self, replies: list[Reply] | None) -> object:
        """Run the coroutine up to the next object that it awaits, and return that, or None if the coroutine has ended.

        Raises:
            Exception: the coroutine raised it.
        """
        hooks.collecting.active = True
        try:
            awaited: object = self.context.run(self.call.send, replies)
            return awaited
        except StopIteration as end:
            self.result = end.value
            return None
        finally:
            hooks.collecting.active = False

    def end(self) -> None:
        """End a coroutine that is suspended, or was never begun, without a result."""
        if inspect.getcoroutinestate(self.call) == inspect.CORO_SUSPENDED:
            with contextlib.suppress(asyncio.CancelledError, Exception):  # its result is not needed any more
                self.context.run(self.call.throw, asyncio.CancelledError())
        self.call.close()


class Atomic(Coroutine[object, None, tuple[object, ...]]):
    """The coroutine that ``Store.atomic`` returns.

    Unlike a plain coroutine it closes the coroutines that it was given, even if it is cancelled before its first step,
    or never awaited.

    Raises:
        TypeError: an argument is not a fresh coroutine of a purse method. The other coroutines are closed.
    """

    def __init__(self, executor: ClientExecutor, calls: Sequence[object]) -> None:
        hooks.watched = True
        parts: list[_Part] = []
        try:
            for nth, call in enumerate(calls, 1):
                parts.append(_Part(_checked(call, nth, parts), nth))
        except TypeError:
            for call in calls:
                fresh = inspect.iscoroutine(call) and inspect.getcoroutinestate(call) == inspect.CORO_CREATED
                if fresh or isinstance(call, Atomic):
                    cast("Coroutine[object, None, object]", call).close()
            raise
        # A separate object: in a cycle, ``__del__`` could run after its parts are gone.
        self._transaction = _Transaction(executor, parts)
        self._main = cast("CoroutineType[object, None, tuple[object, ...]]", self._transaction.perform())
        self._main.__qualname__ = self.__qualname__ = "Store.atomic"
        self.__name__ = "atomic"

    # --- a coroutine, seen from outside -----------------------------------------------------------

    def __await__(self) -> Generator[object, None, tuple[object, ...]]:
        return (yield from self._main.__await__())  # not returned: this frame keeps the object alive

    def send(self, value: None, /) -> object:
        """See ``Coroutine.send``."""
        return self._main.send(value)

    def throw(
        self,
        kind: type[BaseException] | BaseException,
        value: BaseException | object = None,
        trace: TracebackType | None = None,
        /,
    ) -> object:
        """See ``Coroutine.throw``."""
        self._end_if_not_begun()
        return self._main.throw(kind if isinstance(kind, BaseException) else cast("BaseException", value or kind()))

    def close(self) -> None:
        """See ``Coroutine.close``."""
        self._end_if_not_begun()
        self._main.close()

    def __del__(self) -> None:
        if hasattr(self, "_main"):
            self._end_if_not_begun()

    def _end_if_not_begun(self) -> None:
        if inspect.getcoroutinestate(self._main) == inspect.CORO_CREATED:
            self._transaction.end()


class _Transaction:
    """The calls of one ``atomic``, from their first steps to their results."""

    def __init__(self, executor: ClientExecutor, parts: list[_Part]) -> None:
        self._executor = executor
        self._parts = parts

    def end(self) -> None:
        """End every call."""
        for part in self._parts:
            part.end()

    async def perform(self) -> tuple[object, ...]:
        """Collect the units, send them and hand out the replies. Returns the result of each call."""
        try:
            for part in self._parts:
                self._collect(part)
            sent = [part for part in self._parts if part.unit is not None]
            if sent:
                _check_slots(sent)
                for part, replies in zip(sent, await self._transact(sent), strict=True):
                    _resume(part, replies)
        finally:
            self.end()
        return self._results()

    def _collect(self, part: _Part) -> None:
        handed = part.step(None)
        if handed is None:
            return
        if not isinstance(handed, Handover):
            raise TypeError(f"{part} waits for something other than Redis: await it outside of atomic()")
        if handed.executor is not self._executor:
            raise TypeError(
                f"{part} belongs to another client, and a transaction is executed by one server: "
                "pass only calls on the client of this store"
            )
        part.unit = handed.unit

    async def _transact(self, parts: list[_Part]) -> list[list[Reply]]:
        """Send the units of ``parts`` as one transaction. Returns the replies to each.

        Raises:
            Exception: a command was refused when it was queued, so nothing was executed. It is that
                command's own error, explained by the call that it belongs to.
        """
        units = [part.unit for part in parts if part.unit is not None]
        commands = [command for unit in units for command in unit.commands]
        slot = units[0].origin.__purse_slot_of__(units[0].field)
        whole = Unit(
            commands,
            lambda replies: replies,
            Noted(f"atomic() of {', '.join(part.call.__qualname__ for part in parts)}", slot),
            read_only=all(unit.read_only for unit in units),
        )
        replies = await self._executor.transact(whole)
        executed = replies[-1]
        if not isinstance(executed, list):
            if isinstance(replies[0], RedisError):  # MULTI was refused, or was not sent because it would be refused
                raise explained(replies[0], whole.origin, None)
            queued = iter(replies[1:-1])
            for unit in units:
                for _ in unit.commands:
                    refusal = next(queued)
                    if isinstance(refusal, RedisError):
                        raise explained(refusal, unit.origin, unit.field)
            if isinstance(executed, ExecAbortError):
                raise tidied(executed)
            raise InvalidResponse(f"EXEC answered {shown(executed)}")
        answers = iter(executed)
        return [[next(answers) for _ in unit.commands] for unit in units]

    def _results(self) -> tuple[object, ...]:
        results = tuple(part.result if part.error is None else part.error for part in self._parts)
        failed = [part for part in self._parts if part.error is not None]
        if failed:
            raise AtomicFailed(
                f"{len(failed)} of {len(results)} calls failed inside EXEC. The others were executed, and are not "
                "rolled back: see results for what each call returned or raised. "
                f"First, {failed[0]}: {said(failed[0].error)}",
                results=results,
            ) from failed[0].error
        return results


def _check_slots(parts: list[_Part]) -> None:
    """Refuse calls that would need several slots of a cluster.

    Raises:
        TypeError: the message names two of them.
    """
    units = [(part, part.unit) for part in parts if part.unit is not None]
    if not any(unit.origin.__purse_spread__ for _, unit in units):
        return  # one server takes keys of all slots
    slots = [(part, unit.origin.__purse_slot_of__(unit.field)) for part, unit in units]
    first, one = slots[0]
    for part, slot in slots[1:]:
        if slot != one:
            raise TypeError(
                f"{first} and {part} are in different slots of a cluster, because of slots=, and a transaction is "
                "executed in one slot: await them one by one, or declare a store without slots="
            )


def _resume(part: _Part, replies: list[Reply]) -> None:
    try:
        again = part.step(replies)
    except Exception as error:
        part.error = error
    else:
        if again is not None:
            part.error = RuntimeError("it needs another round trip: await it outside of atomic()")


def _checked(call: object, nth: int, before: list[_Part]) -> MethodCall:
    """Return ``call``, if it is a fresh coroutine of a purse method.

    Raises:
        TypeError: it is not. The message says what it is and what to write.
    """
    how = "pass calls of collections' methods, without await: atomic(garden.log.append(x), ...)"
    if isinstance(call, Atomic):
        raise TypeError(f"call {nth} of atomic() is another atomic(): pass the calls of both to one atomic()")
    if asyncio.isfuture(call):
        raise TypeError(f"call {nth} of atomic() is a {call.__class__.__name__}, which runs by itself: {how}")
    if not inspect.iscoroutine(call):
        raise TypeError(f"call {nth} of atomic() is {_kind(call)}, not a coroutine: {how}")
    name = _named(call, nth)
    if any(part.call is call for part in before):
        raise TypeError(f"{name} was passed twice: call the method twice")
    frame = call.cr_frame
    if inspect.getcoroutinestate(call) != inspect.CORO_CREATED or frame is None:
        raise TypeError(f"{name} was already awaited or started: {how}")
    home: object = frame.f_globals.get("__name__")
    if not (isinstance(home, str) and home.startswith("purse.")):
        raise TypeError(
            f"{name} is your own coroutine, and only methods of stores and collections can be part of a "
            "transaction: pass the calls that it makes"
        )
    return call


def _kind(value: object) -> str:
    return "None" if value is None else f"of type {type(value).__name__}"


def _named(call: MethodCall, nth: int) -> str:
    return f"call {nth} of atomic() ({call.__qualname__})"
