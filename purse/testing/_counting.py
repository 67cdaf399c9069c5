"""Counting round trips: how often a piece of code has waited for the server.

    a = await garden.plants.get("a")                trip 1
    b = await garden.plants.get("b")                trip 2      it was sent when the reply to "a" was there
    await gather(get("c"), get("d"), get("e"))      trip 3      none of them waited for another

Counting writes to the socket would be wrong: their number depends on the engine's mode and on other calls that are in
flight, and a test must not depend on those. So calls are ordered by the calls that they waited for. A task's second
call waited for its first. The first call of a new task waited for the calls that its parent had made. A call after
``gather`` waited for the calls of the tasks that are done. The number of a call is one more than the greatest number of
the calls that it waited for. The count is the greatest number: the latency of the code, in round trips.

    task              calls         parent of a task: the last task that had made a call in the context that it copied
    ├── task          2, 3
    └── task          2             the next call of the parent is 4

The engine is watched only inside a ``round_trips`` block, which replaces methods of its links. Other code has no cost.
"""

from __future__ import annotations

import asyncio
import hashlib
from collections import Counter
from collections.abc import Awaitable, Callable, Iterator
from contextvars import ContextVar
from dataclasses import dataclass, field
from functools import cache
from importlib.resources import files
from typing import TYPE_CHECKING, NamedTuple, Self, TypeAlias, cast

import hiredis

from purse._declaration.binding import binding_of
from purse._engine.adoption import AdoptedLink
from purse._engine.clients import RedisClient
from purse._engine.dedicated import DedicatedLink
from purse._engine.executor import ClientExecutor
from purse._engine.forks import ThreadLock
from purse._engine.link import Link
from purse._engine.links import Links
from purse._engine.packing import Packed
from purse._engine.registry import executor_for
from purse._engine.replies import Reply
from purse._engine.scripts import load_script
from purse._engine.shared import SharedLink
from purse.codecs._shown import named, shown
from purse.collections import __purse_structures__
from purse.collections._key_space_names import MAKING
from purse.store import Store

if TYPE_CHECKING:
    from types import TracebackType

__all__ = ["RoundTrips", "round_trips"]

_SHOWN = 12  # trips that a failure lists
_WIDE = 100  # characters of each

_KEYLESS = {"MULTI", "EXEC"}

Task: TypeAlias = "asyncio.Task[object]"

_caller: ContextVar[Task | None] = ContextVar("purse_caller", default=None)
"""The last task that made a call during a count, in this context or in one that it was copied from."""

_changing = ThreadLock()
_counting: list[RoundTrips] = []


def round_trips(
    of: Store | RedisClient | None = None,
    /,
    *,
    max: int | None = None,  # noqa: A002 - round_trips(max=2) reads as what it means
) -> RoundTrips:
    """Count how often code waits for the server, and fail if that is too often.

        with round_trips(max=1):
            await garden.plants.get_many(names)

        with round_trips() as trips:
            client.get("/plants/spinach")       # an application in another thread also counts
        assert trips.count == 1

    Calls that do not wait for one another, as with ``gather``, are one trip in every mode of the client.
    A call of several commands is one, and so is ``atomic``. A call that has to be sent again is two. The exception is
    the first use of a script on a server, where EVAL follows EVALSHA: it is one, so that the order of tests makes no
    difference. Not counted are connecting, the notifications that a call gets while it waits for an element, and calls
    of redis-py's own methods.

    Args:
        of: count only the calls of this store's client, or of this client. By default count all calls in this process.
        max: the greatest number that is allowed. If there were more at the end of the block, an ``AssertionError``
            lists the trips with their commands and keys, but never values. An exception of the block is not replaced.

    Raises:
        TypeError, ValueError: ``of`` or ``max`` is something else.

    Sends nothing.
    """
    if max is not None and (type(max) is not int or max < 0):
        raise ValueError(f"max= must be the number of allowed round trips, an int of at least 0, not {shown(max)}")
    if of is None:
        return RoundTrips(None, max)
    return RoundTrips(executor_for(binding_of(of).client if isinstance(of, Store) else of), max)


@dataclass(slots=True, eq=False)
class _Caller:
    """A task that has made calls.

    Attributes:
        task: None for the root, and for calls from outside of a task.
        number: the number of its last call, or of a call that it has waited for since.
        children: the tasks that it has started, directly or through a task that has made no calls.
        planned: the number of the call that waits for a connection or for room, or 0.
        script: the script that its last call has executed.
    """

    task: Task | None
    number: int
    planned: int = 0
    script: _SentScript | None = None
    children: list[_Caller] = field(default_factory=list["_Caller"])

    def waited_for(self) -> int:
        """The greatest number among its calls and those of tasks that it can have waited for."""
        running: list[_Caller] = []
        for child in self.children:
            if child.is_over():
                self.number = max(self.number, child.waited_for())
            if child.task is None or child.task.done():
                running += child.children  # the child has ended, so its children become children of this task
            else:
                running.append(child)
        self.children = running
        return self.number

    def is_over(self) -> bool:
        # A task of the engine takes elements of a queue for the waiting callers, and is not done when they have them.
        return self.task is None or self.task.done() or self.task.get_name().startswith("purse: ")


class RoundTrips:
    """The round trips of a ``with`` block, while it runs and afterwards. ``round_trips`` makes it.

    Attributes:
        count: the number of round trips.
        trips: for each round trip the calls that shared it, ``("HGET {garden}:plants", "LLEN {garden}:log")``. A
            script is shown by its name, a transaction by all its commands.
    """

    def __init__(self, executor: ClientExecutor | None, most: int | None) -> None:
        self._executor = executor
        self._most = most
        self._lock = ThreadLock()
        self._root = _Caller(None, 0)
        self._callers: dict[Task, _Caller] = {}
        self._trips: list[list[bytes]] = []

    @property
    def count(self) -> int:
        return len(self._trips)

    @property
    def trips(self) -> tuple[tuple[str, ...], ...]:
        with self._lock:
            trips = [payloads.copy() for payloads in self._trips]
        return tuple(tuple(map(_shown, payloads)) for payloads in trips)

    def __repr__(self) -> str:
        return f"<round trips: {self.count}>"

    def __enter__(self) -> Self:
        with _changing:
            if not _counting:
                _watch(ready=_ready, shared=_shared, dedicated=_dedicated)
            _counting.append(self)
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        with _changing:
            _counting.remove(self)
            if not _counting:
                _watch(ready=_links_ready, shared=_shared_request, dedicated=_dedicated_request)
        with self._lock:
            self._callers.clear()
            self._root.children.clear()
        if error is None and self._most is not None and self.count > self._most:
            raise AssertionError(self._too_many(self._most))

    def _plan(self, links: Links, parent: Task | None, task: Task | None) -> None:
        """Number a call of ``task`` that is about to wait until it can be sent."""
        if self._executor is None or links is self._executor.links:
            with self._lock:
                caller = self._calling(task, parent)
                caller.planned = caller.waited_for() + 1

    def _request(self, link: Link, payload: bytes, parent: Task | None, task: Task | None) -> None:
        """Number a call of ``task`` that is about to be sent."""
        if self._executor is not None and link not in self._executor.links.by_loop.copy().values():
            return
        with self._lock:
            caller = self._calling(task, parent)
            planned, caller.planned = caller.planned, 0
            former, caller.script = caller.script, _script_in(payload)
            if former is not None and not former.whole and caller.script == former._replace(whole=True):
                return  # the server did not know the script: not counted, as it would depend on the order of tests
            caller.number = planned or caller.waited_for() + 1
            if caller.number > len(self._trips):
                self._trips.append([])
            self._trips[caller.number - 1].append(payload)

    def _calling(self, task: Task | None, parent: Task | None) -> _Caller:
        if task is None:
            return self._root
        caller = self._callers.get(task)
        if caller is None:
            above = self._root if parent is None else self._callers.get(parent, self._root)
            caller = self._callers[task] = _Caller(task, above.waited_for())
            above.children.append(caller)
        return caller

    def _too_many(self, most: int) -> str:
        """The message about too many round trips."""
        trips = self.trips
        number_of = f"{len(trips)} round trip{'s' if len(trips) > 1 else ''}"
        lines = [f"{number_of}, but at most {most} {'was' if most == 1 else 'were'} allowed:"]
        for number, calls in enumerate(trips[:_SHOWN], 1):
            call, *others = calls
            lines.append(f"  {number:>3}  {call[:_WIDE]}{f' and {len(others)} more' if others else ''}")
        if len(trips) > _SHOWN:
            lines.append(f"  ... and {len(trips) - _SHOWN} more")
        alone = Counter(calls[0] for calls in trips if len(calls) == 1)
        often, times = next(iter(alone.most_common(1)), ("", 0))
        together = _together().get(often.partition(" ")[0])
        if times > 2 and together is not None:
            lines.append(f"{often} was sent {times} times, one after the other: write {together}, one trip for all.")
        lines.append(
            "Each trip waited for the one before. Calls that do not depend on one another can share a trip: await "
            "asyncio.gather(...) of them, or garden.atomic(...) if no other client may act in between. For many items "
            "of one field use get_many, update or extend."
        )
        return "\n".join(lines)


def _together() -> dict[str, str]:
    """For a command of one item the call that does the same for many, of every structure."""
    return dict(pair for structure in __purse_structures__.values() for pair in structure.__purse_together__)


# --- what is sent -------------------------------------------------------------------------------------


_shared_request = SharedLink.request
_dedicated_request = DedicatedLink.request
_links_ready = Links.ready


def _watch(*, ready: object, shared: object, dedicated: object) -> None:
    for kind, method, function in (
        (Links, "ready", ready),
        (SharedLink, "request", shared),
        (DedicatedLink, "request", dedicated),
    ):
        setattr(kind, method, function)


def _ready(links: Links, size: Callable[[], int]) -> Awaitable[Link]:
    task, parent = _task_and_parent()
    for counter in tuple(_counting):
        counter._plan(links, parent, task)  # pyright: ignore[reportPrivateUsage]  # of this module
    return _links_ready(links, size)


def _shared(link: SharedLink, packed: Packed) -> Awaitable[list[Reply]]:
    # The connection with on_push is the one on which the server tells that keys have changed.
    if link.is_open and not (isinstance(link, AdoptedLink) and link.on_push is not None):
        _sent(link, packed)
    return _shared_request(link, packed)


def _dedicated(link: DedicatedLink, packed: Packed) -> Awaitable[list[Reply]]:
    _sent(link, packed)
    return _dedicated_request(link, packed)


def _sent(link: Link, packed: Packed) -> None:
    task, parent = _task_and_parent()
    for counter in tuple(_counting):
        counter._request(link, packed[0], parent, task)  # pyright: ignore[reportPrivateUsage]  # of this module


def _task_and_parent() -> tuple[Task | None, Task | None]:
    task, parent = asyncio.current_task(), _caller.get()
    if task is not None and parent is not task:
        _caller.set(task)
    return task, parent


class _SentScript(NamedTuple):
    sha: bytes
    whole: bool


def _script_in(payload: bytes) -> _SentScript | None:
    """The script that a request executes, if it is a lone EVAL or EVALSHA."""
    if not payload.startswith((b"$4\r\nEVAL\r\n", b"$7\r\nEVALSHA\r\n"), payload.find(b"\r\n") + 2):
        return None
    reader = hiredis.Reader()
    reader.feed(payload)
    command, script, *_ = cast("list[bytes]", reader.gets())
    if command == b"EVALSHA":
        return _SentScript(script, whole=False)
    return _SentScript(hashlib.sha1(script, usedforsecurity=False).hexdigest().encode(), whole=True)


def _shown(payload: bytes) -> str:
    """The commands of a request with their keys."""
    return ", ".join(_commands(payload))


def _commands(payload: bytes) -> Iterator[str]:
    # A request is an array of byte strings, so the parser of replies can read it.
    reader = hiredis.Reader()
    reader.feed(payload)
    before_pop = False
    while isinstance(words := cast("object", reader.gets()), list):
        name, *arguments = cast("list[bytes]", words)
        command = name.decode().upper()
        if command in ("EVALSHA", "EVAL"):
            sha = arguments[0].decode() if command == "EVALSHA" else _sha_of(arguments[0])
            arguments = arguments[2:] if int(arguments[1]) else []
            command = f"{command} {_scripts().get(sha, sha)}"
        if command == "UNLINK" and arguments[0].startswith(MAKING):
            before_pop = True
            continue  # a key space sends it in front of the command that the caller knows
        if command == "PTTL" and before_pop:
            continue  # as above
        if command not in _KEYLESS:
            yield f"{command} {named(arguments[0].decode(errors='backslashreplace'))}" if arguments else command


def _sha_of(body: bytes) -> str:
    return hashlib.sha1(body, usedforsecurity=False).hexdigest()


@cache
def _scripts() -> dict[str, str]:
    """The names of purse's scripts by their SHA-1."""
    names = (entry.name.removesuffix(".lua") for entry in files("purse").joinpath("lua").iterdir())
    return {load_script(name).sha: name for name in names}
