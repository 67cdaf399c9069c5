"""Rows of what purse itself costs per call, with no network and no server.

A method of a collection builds a unit, hands it to the executor of its client and decodes the reply. Here the
executor answers at once, so that what remains is the layer: checks, codec, unit, coroutine. Beside it stand

    bare code       the least that a hand-written function can do: the tuple of arguments, the codec, one await;
                    no check, no TTL policy, no error that names the key
    redis-py        a hand-written function with the client's hget(), hset(), rpush(), where execute_command()
                    answers at once
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Iterator
from typing import TYPE_CHECKING, Generic, TypeVar, cast

from redis.asyncio import Redis

from benchmarks.data import Arena, Plant, to_json, validate_json
from benchmarks.measure import Row, Sample, Stopwatch, TimedRow, Trial
from purse import RedisHash, RedisList

if TYPE_CHECKING:
    from purse._engine.replies import Reply
    from purse._engine.scripts import ScriptCall
    from purse._engine.unit import Command, Origin
    from purse.collections import RedisKey

__all__ = ["layer_rows"]

T = TypeVar("T")

PLANT = Plant(name="spinach", healthiness=9.8)
STORED = to_json(PLANT)

CHUNK = 500
"""Calls between two looks at the results: kept for longer, they would give the garbage collector work."""


class CannedExecutor:
    """The executor of a collection that is asked for single commands and gets one reply to all of them."""

    def __init__(self, collection: RedisKey, reply: bytes | int) -> None:
        self._reply = reply
        self.sent: object = None
        # No public way leads there: users have no reason to answer for Redis.
        object.__setattr__(collection, "_executor", self)

    async def ask(self, command: Command | ScriptCall, origin: Origin, field: object = None, /) -> Reply:
        """The reply."""
        self.sent = command
        return self._reply

    ask_again = ask


class CannedConnection(Generic[T]):
    """What bare code awaits in place of the network."""

    def __init__(self, reply: T) -> None:
        self._reply = reply
        self.sent: object = None

    async def execute(self, *words: object) -> T:
        """The reply."""
        self.sent = words
        return self._reply


class CannedClient(Redis):
    """A redis-py client whose commands are answered at once, all with the same reply."""

    reply: bytes | int
    sent: object

    async def execute_command(self, *args: object, **options: object) -> bytes | int:
        """The reply."""
        self.sent = args
        return self.reply


def layer_rows(arena: Arena, calls: int) -> Iterator[Row]:
    """The rows of this module. A call takes microseconds here, so a trial has ten times as many as elsewhere."""
    calls = max(10 * calls // CHUNK, 1) * CHUNK
    for name, trials in {"hash get": hash_get, "hash set": hash_set, "list append": list_append}.items():
        purse, bare, client = trials(arena, calls)
        yield TimedRow(f"own cost of {name}, against bare code", calls, 1.0, purse, bare)
        yield TimedRow(f"own cost of {name}, against redis-py", calls, 1.0, purse, client)


def hash_get(arena: Arena, calls: int) -> tuple[Trial, Trial, Trial]:
    """Build HGET, decode a model: by purse, by bare code, by redis-py."""
    key = arena.key("own cost")
    plants = RedisHash(arena.purse, key, Plant)
    executor = CannedExecutor(plants, STORED)
    connection = CannedConnection[bytes | None](STORED)
    client = _client(STORED)

    async def bare_get(name: str) -> Plant | None:
        raw = await connection.execute("HGET", key, name)
        return None if raw is None else validate_json(raw)

    async def client_get(name: str) -> Plant | None:
        raw = await client.hget(key, name)
        return None if raw is None else validate_json(raw)

    sent = ("HGET", key, "spinach")
    return (
        _trial(lambda: plants.get("spinach"), calls, PLANT, lambda: executor.sent, sent),
        _trial(lambda: bare_get("spinach"), calls, PLANT, lambda: connection.sent, sent),
        _trial(lambda: client_get("spinach"), calls, PLANT, lambda: client.sent, sent),
    )


def hash_set(arena: Arena, calls: int) -> tuple[Trial, Trial, Trial]:
    """Encode a model, build HSET: by purse, by bare code, by redis-py."""
    key = arena.key("own cost")
    plants = RedisHash(arena.purse, key, Plant)
    executor = CannedExecutor(plants, 1)
    connection = CannedConnection(1)
    client = _client(1)

    async def bare_set(name: str, plant: Plant) -> int:
        return await connection.execute("HSET", key, name, to_json(plant))

    async def client_set(name: str, plant: Plant) -> int:
        return await client.hset(key, name, to_json(plant))

    sent = ("HSET", key, "spinach", STORED)
    return (
        _trial(lambda: plants.set("spinach", PLANT), calls, 1, lambda: executor.sent, sent),
        _trial(lambda: bare_set("spinach", PLANT), calls, 1, lambda: connection.sent, sent),
        _trial(lambda: client_set("spinach", PLANT), calls, 1, lambda: client.sent, sent),
    )


def list_append(arena: Arena, calls: int) -> tuple[Trial, Trial, Trial]:
    """Encode a model, build RPUSH: by purse, by bare code, by redis-py."""
    key = arena.key("own cost")
    log = RedisList(arena.purse, key, Plant)
    executor = CannedExecutor(log, 1)
    connection = CannedConnection(1)
    client = _client(1)

    async def bare_append(plant: Plant) -> int:
        return await connection.execute("RPUSH", key, to_json(plant))

    async def client_append(plant: Plant) -> int:
        return await client.rpush(key, to_json(plant))

    sent = ("RPUSH", key, STORED)
    return (
        _trial(lambda: log.append(PLANT), calls, 1, lambda: executor.sent, sent),
        _trial(lambda: bare_append(PLANT), calls, 1, lambda: connection.sent, sent),
        _trial(lambda: client_append(PLANT), calls, 1, lambda: client.sent, sent),
    )


def _client(reply: bytes | int) -> CannedClient:
    client = CannedClient()
    client.reply = reply
    client.sent = None
    return client


def _trial(
    call: Callable[[], Awaitable[object]],
    calls: int,
    wanted: object,
    sent: Callable[[], object],
    command: tuple[object, ...],
) -> Trial:
    """``calls`` calls, each of which must return ``wanted``, and the last of which must have sent ``command``."""

    async def run() -> Sample:
        watch = Stopwatch()
        for _ in range(calls // CHUNK):
            with watch:
                results = [await call() for _ in range(CHUNK)]
            assert results == [wanted] * CHUNK
        assert isinstance(words := sent(), tuple)
        assert [*map(_word, cast("tuple[object, ...]", words))] == [*map(_word, command)]
        return watch.sample

    return run


def _word(word: object) -> bytes:
    """A key or a field may go out as str or as the same in UTF-8."""
    return word if isinstance(word, bytes) else str(word).encode()
