"""Small declarations, and every Redis key that they write: read from the commands that real stores send.

    store_source("A", "p:{x:int}", "field", [Field("space", "q:r")])     the source of a store
    declared(source), accepted(source, source)                           it, executed; whether it may be
    Written.by(store, {"f0": "space"})                                   (field, entry) -> keys; patterns of clear()

Nothing here knows what a key looks like: a recorder stands where the client's executor would.
"""

from __future__ import annotations

import contextlib
import gc
import itertools
import re
from collections import defaultdict
from collections.abc import Awaitable, Callable, Coroutine, Generator, Iterable, Iterator, Mapping
from dataclasses import dataclass
from functools import cache
from typing import TYPE_CHECKING, Any, TypeAlias, cast
from unittest.mock import patch
from uuid import UUID

from redis.asyncio import Redis

from purse import DeclarationError, RedisLock, Store
from purse._declaration import claims
from purse._declaration.templates import Value
from purse._engine import registry
from purse._engine.replies import Reply
from purse._engine.scripts import ScriptCall, load_script
from purse.collections import RedisKeySpace
from tests.support.declaring import PRELUDE

if TYPE_CHECKING:
    from purse._engine.unit import Command, Unit

__all__ = [
    "HOSTILE",
    "KINDS",
    "VALUES",
    "Field",
    "Owner",
    "Written",
    "accepted",
    "alone",
    "declared",
    "instances_of",
    "recorder",
    "store_source",
]

Owner: TypeAlias = tuple[str, str]
"""The path of a field, and the entry or identity in it: "" if there is none."""

HOSTILE = ("", "r", "q:r", "r:{", ":", "::", "}", "{}", "}:q", "{r}", "r}", "fence", "#7", "7", "fence!{p}:q")
"""Entries and identities that try to leave their key space."""

VALUES: Mapping[str, tuple[Value, ...]] = {
    "int": (1,),
    "str": ("1", "q", "r", "q:r", "q}:r", "00000000-0000-0000-0000-000000000001"),
    "UUID": (UUID(int=1),),
}
"""Values for parameters of each kind."""

KINDS: Mapping[str, str] = {
    "hash": "RedisHash[str]",
    "list": "RedisList[str]",
    "set": "RedisSet[str]",
    "ranking": "RedisSortedSet[str]",
    "queue": "RedisQueue[str]",
    "urgent": "RedisPriorityQueue[str]",
    "space": "RedisKeySpace[str]",
    "spread": "RedisKeySpace[str]",
    "lock": "RedisLock",
    "rate": "RedisRateLimiter",
    "places": "RedisSemaphore",
}
"""What a field can be: its annotation."""

_OPTIONS: Mapping[str, str] = {"spread": 'slots="key"', "rate": 'rate="9/second"', "places": "limit=9"}

_CALLS: Mapping[str, Callable[[Any], Coroutine[object, None, object]]] = {
    "hash": lambda it: it.set("x", "x"),
    "list": lambda it: it.append("x"),
    "set": lambda it: it.add("x"),
    "ranking": lambda it: it.add(("x", 1.0)),
    "queue": lambda it: it.put_nowait("x"),
    "urgent": lambda it: it.put(("x", 1)),
    "lock": lambda it: _lock_and_release(it),
    "places": lambda it: it.acquire(blocking=False),
}


async def _lock_and_release(lock: RedisLock) -> None:
    async with lock.within(60):
        pass


@dataclass(frozen=True, slots=True)
class Field:
    """One field of a small declaration.

    Attributes:
        kind: one of ``KINDS``.
        tail: ``key=``.
        nested: it is a field of a part, and ``tail`` is of two names or more.
        rkey: ``rkey=`` in place of ``tail``.
    """

    kind: str
    tail: str
    nested: bool = False
    rkey: str | None = None

    def lines(self, name: str) -> list[str]:
        """The lines before the class, and the line in it, that declare this as ``name``."""
        place, _, tail = self.tail.rpartition(":") if self.nested else ("", "", self.tail)
        named = f"key={tail!r}" if self.rkey is None else f"rkey={self.rkey!r}"
        options = ", ".join(filter(None, (named, _OPTIONS.get(self.kind))))
        structure = KINDS[self.kind].partition("[")[0]
        line = f"{name}: {KINDS[self.kind]} = {structure}.field({options})"
        if not place:
            return [line]
        return [f"class Part_{name}(Store):", f"    {line}", f"{name}_in: Part_{name} = field(key={place!r})"]


def store_source(
    name: str, namespace: str, slots: str, declared: Iterable[Field], base: str = "Store", prefix: str = "f"
) -> str:
    """The source of a store, with a namespace such as ``p:{x:int}``, whose fields are ``f0``, ``f1``, ..."""
    before: list[str] = []
    body: list[str] = []
    for number, one in enumerate(declared):
        *part, line = one.lines(f"{prefix}{number}")
        before += part
        body.append(line)
    kinds = dict(re.findall(r"\{(\w+):(\w+)\}", namespace))
    template = re.sub(r":(int|str|UUID)\}", "}", namespace)
    keywords = ([f"namespace={template!r}"] if namespace else []) + ([f"slots={slots!r}"] if slots else [])
    if kinds:
        takes = ", ".join(f"{parameter}: {kind}" for parameter, kind in kinds.items())
        given = ", ".join(f"{parameter}={parameter}" for parameter in kinds)
        body += [f"def __init__(self, redis, *, {takes}):", f"    super().__init__(redis, {given})"]
    elif namespace:
        body += ["def __init__(self, redis):", "    Store.__init__(self, redis)"]
    statement = f"class {name}({', '.join([base, *keywords])}):"
    # Each part has a name of its own: two stores in one source must not share it.
    return "\n".join([*before, statement, *(f"    {line}" for line in body or ["pass"])]).replace(
        "Part_", f"{name}Part_"
    )


@contextlib.contextmanager
def alone() -> Generator[None]:
    """No namespace is claimed: as if no store had been declared before."""
    with contextlib.ExitStack() as stack:
        for name, registry in cast("Mapping[str, object]", vars(claims)).items():
            if name in ("_claims", "_families"):
                stack.enter_context(patch.object(claims, name, type(registry)()))
        # Before a refusal garbage is collected, which may be the class in the way. Here it is not.
        stack.enter_context(patch.object(gc, "collect", lambda: 0))
        yield


_modules = itertools.count()


def declared(source: str) -> list[type[Store]]:
    """The stores of ``source`` that have a namespace; it is executed as a module of its own.

    Raises:
        DeclarationError: they are refused, each for itself or together.
    """
    names: dict[str, object] = {**_prelude(), "__name__": f"layouts_{next(_modules)}"}
    exec(compile(source, "layouts", "exec", dont_inherit=True), names)
    stores = [made for made in names.values() if isinstance(made, type) and issubclass(made, Store)]
    return [store for store in stores if store.__purse__.template is not None]


@cache
def _prelude() -> Mapping[str, object]:
    names: dict[str, object] = {}
    exec(PRELUDE, names)
    return names


def accepted(*sources: str) -> bool:
    """Whether these stores can be declared in one program."""
    with alone():
        try:
            for store in declared("\n".join(sources)):
                store(recorder(), **next(iter(instances_of(store))))
        except DeclarationError:
            return False
    return True


def instances_of(store: type[Store], values: Mapping[str, tuple[Value, ...]] = VALUES) -> Iterator[dict[str, Value]]:
    """Arguments for instances of ``store``: each value of each parameter."""
    given = store.__purse__.parameters
    for combined in itertools.product(*(values[parameter.kind.__name__] for parameter in given.values())):
        yield dict(zip(given, combined, strict=True))


class Written:
    """What one store instance writes.

    Attributes:
        keys: for each field and entry the Redis keys.
        patterns: for each field the glob patterns by which ``clear()`` looks for keys.
        picks: for each key space what ``clear()`` picks out of the keys that were found.
    """

    def __init__(self) -> None:
        self.keys: dict[Owner, set[bytes]] = defaultdict(set)
        self.patterns: dict[str, set[bytes]] = defaultdict(set)
        self.picks: dict[str, Callable[[list[bytes]], tuple[list[bytes], list[bytes]]]] = {}

    def cleared(self, path: str, keys: list[bytes]) -> list[bytes]:
        """Those of the keys that a search has found which ``clear()`` of the field deletes."""
        entries, marked = self.picks[path](keys)
        return [*entries, *marked]

    @classmethod
    async def by(cls, store: Store, kinds: Mapping[str, str], entries: Iterable[str] = HOSTILE) -> Written:
        """What ``store``, on a ``recorder`` client, writes; its fields are of these kinds, by their paths."""
        found = cls()
        recorder = cast("Recorder", registry.executor_for(store.__purse_binding__.client))
        for path, kind in kinds.items():
            collection: object = store
            for name in path.split("."):
                collection = getattr(collection, name)
            if isinstance(collection, RedisKeySpace):
                names = cast("RedisKeySpace[str]", collection)._names  # pyright: ignore[reportPrivateUsage]
                found.picks[path] = names.told_apart
            for entry, call in _calls(kind, collection, entries):
                recorder.commands.clear()
                await call
                recorded = [*map(_concerned, recorder.commands)]
                found.keys[path, entry].update(key for keys, _ in recorded for key in keys)
                found.patterns[path].update(pattern for _, patterns in recorded for pattern in patterns)
        recorder.commands.clear()
        await store.clear()
        for keys, patterns in map(_concerned, recorder.commands):
            assert keys <= set().union(*found.keys.values())
            assert patterns <= set().union(*found.patterns.values())
        return found


def _calls(kind: str, collection: Any, entries: Iterable[str]) -> Iterator[tuple[str, Awaitable[object]]]:
    if kind in ("space", "spread"):
        for entry in entries:
            yield entry, collection.set(entry, "x")
        yield "", collection.clear()
    elif kind == "rate":
        for entry in entries:
            yield entry, collection.hit(entry)
            yield entry, collection.reset(entry)
        yield "the number 7", collection.hit(7)
    else:
        yield "", _CALLS[kind](collection)


def _concerned(command: Command | ScriptCall) -> tuple[set[bytes], set[bytes]]:
    """The keys, and the patterns, of a command."""
    if isinstance(command, ScriptCall):
        return {*map(_raw, command.keys)}, set()
    if command[0] == "EVAL":
        return {*map(_raw, command[3 : 3 + int(command[2])])}, set()
    if command[0] == "SCAN":
        return set(), {_raw(command[command.index("MATCH") + 1])}
    if command[0] == "UNLINK":
        return {*map(_raw, command[1:])}, set()
    return {_raw(command[1])}, set()


def _raw(word: object) -> bytes:
    return word if isinstance(word, bytes) else str(word).encode()


class Recorder:
    """An executor that sends nothing, and remembers what it was given."""

    def __init__(self) -> None:
        self.commands: list[Command | ScriptCall] = []

    async def ask(self, command: Command | ScriptCall, origin: object, field: object = None, /) -> Reply:
        """See ``Executor.ask``."""
        self.commands.append(command)
        return _reply(command)

    ask_again = ask

    async def execute(self, unit: Unit[Any], /) -> Any:
        """See ``Executor.execute``."""
        self.commands += unit.commands
        return unit.decode([_reply(command) for command in unit.commands])

    async def is_cluster_node(self) -> bool:
        """See ``Executor.is_cluster_node``."""
        return False


def _reply(command: Command | ScriptCall) -> Reply:
    if isinstance(command, ScriptCall):
        replies: dict[str, Reply] = {"lock_acquire": [1, 1], "rate_gcra": [1, 0, 0], "semaphore_acquire": [1, 0]}
        return replies.get(command.script.name, 1)
    if command[0] == "EVAL":
        return [1, 1] if command[1] == load_script("lock_acquire").body else 1
    return [b"0", []] if command[0] == "SCAN" else 1


@cache
def recorder() -> Redis:
    """A client, always the same, of a ``Recorder``."""
    client = Redis()
    registry._executors[client] = cast("Any", Recorder())  # pyright: ignore[reportPrivateUsage]
    return client
