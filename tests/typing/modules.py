"""Codecs, TTLs, errors, statistics and the embedded server as type checkers see them. Read by them, never run."""

from __future__ import annotations

from datetime import timedelta
from pathlib import Path
from typing import Literal, assert_type

from redis.asyncio import Redis
from redis.exceptions import ResponseError

from purse import (
    TTL,
    AtomicFailed,
    Codec,
    DeclarationError,
    DecodeError,
    EditConflict,
    EncodeError,
    Engine,
    LockLost,
    LockNotAcquired,
    PurseError,
    RedisHash,
    RedisList,
    RedisQueue,
    ServerFailed,
    ServerNotFound,
    Statistics,
    Store,
    StoreClosed,
    UnsupportedServer,
    WrongKind,
    codec_for,
    configure,
    field,
    instrument,
    statistics,
    uninstrument,
)
from purse.codecs import Json, hide_values
from purse.embedded import Server, find_server


def codecs(codec: Codec[int]) -> None:
    """A codec knows the type of its values."""
    assert_type(codec.encode(3), bytes)
    assert_type(codec.decode(b"3"), int)
    ints: Codec[int] = codec_for(int)
    optional: Codec[int | None] = codec_for(int | None)
    assert_type(codec_for(list[str]).decode(b"[]"), list[str])
    assert_type(codec_for(int | None).encode(None), bytes)
    assert_type([ints.decode(b""), optional.decode(b"")], list[int | None])
    hide_values()
    hide_values(False)


def options(client: Redis) -> None:
    """The options of the JSON codec make a codec of any type, and are taken wherever a factory is."""
    unset = Json(exclude_unset=True)
    assert_type(unset.exclude_unset, bool)
    partial: Codec[list[int]] = unset(list[int])
    assert_type(unset(int | None).decode(b"1"), int | None)
    assert_type(RedisList(client, "k", int, codec=unset), RedisList[int])
    assert_type(partial.decode(b"[]"), list[int])


class Partial(Store, namespace="typing-partial", codec=Json(exclude_unset=True)):
    """A store of partial updates."""

    updates: RedisQueue[dict[str, int]]
    others: RedisHash[int] = field(codec=Json())


def ttls(ttl: TTL) -> None:
    """A policy, from units of time."""
    assert_type(TTL(days=1, hours=2, minutes=3, seconds=4.5, milliseconds=6), TTL)
    assert_type(TTL(hours=1, renew="never", jitter=0.1, per_item=True), TTL)
    assert_type(ttl.duration, timedelta)
    assert_type(ttl.duration_ms, int)
    assert_type(ttl.renew, Literal["write", "read", "never"])
    assert_type(ttl.jitter, float)
    assert_type(ttl.per_item, bool)


def engine(client: Redis, seen: Statistics, chosen: Engine) -> None:
    """What can be set, and what can be watched."""
    configure(client, engine=chosen)
    configure(client, engine="dedicated")
    assert_type(statistics(client), Statistics)
    assert_type(seen.mode, Literal["shared", "dedicated"])
    assert_type(seen.reason, str)
    assert_type(seen.connections, int)
    assert_type(seen.in_flight, int)
    assert_type(seen.waiting, int)
    assert_type(seen.commands, int)
    assert_type(seen.batches, int)
    assert_type(seen.batch_sizes, dict[int, int])
    assert_type(seen.reconnects, int)
    instrument()
    instrument(tracer_provider=None, meter_provider=None)
    uninstrument()


def server(server: Server) -> None:
    """A server of one's own."""
    assert_type(find_server(), Path)
    assert_type(Server(port=7000, binary="redis-server", password="", config={"maxmemory": "10mb"}), Server)
    with server as entered:
        assert_type(entered, Server)
    assert_type(server.start(), None)
    assert_type(server.url, str)
    assert_type(server.port, int | None)
    assert_type(server.password, str | None)
    assert_type(server.pid, int)
    assert_type(server.running, bool)
    assert_type(server.binary, Path)
    assert_type(server.version, tuple[int, int, int])
    assert_type(server.socket_path, Path)
    assert_type(server.log(), str)
    assert_type(server.stop(), None)
    assert_type(server.kill(), None)
    assert_type(server.close(), None)


def errors(
    decoding: DecodeError,
    encoding: EncodeError,
    conflict: EditConflict,
    failed: AtomicFailed,
    kind: WrongKind,
    unsupported: UnsupportedServer,
    lost: LockLost,
    not_acquired: LockNotAcquired,
) -> None:
    """What an error carries, and what catches it."""
    assert_type(PurseError.docs, str)
    assert_type(decoding.key, str | None)
    assert_type(decoding.field, object)
    assert_type(decoding.raw, bytes | None)
    assert_type(encoding.key, str | None)
    assert_type(conflict.key, str | None)
    assert_type(conflict.field, object)
    assert_type(failed.results, tuple[object, ...])
    assert_type(kind.key, str | None)
    assert_type(unsupported.key, str | None)
    assert_type(lost.key, str | None)
    assert_type(not_acquired.key, str | None)
    values: list[ValueError] = [decoding, encoding]
    responses: list[ResponseError] = [kind, unsupported]
    runtimes: list[RuntimeError] = [lost, not_acquired, StoreClosed(), ServerFailed(), ServerNotFound()]
    types: list[TypeError] = [DeclarationError("a field")]
    ours: list[PurseError] = [decoding, conflict, failed, kind, lost, StoreClosed()]
    everything: list[Exception] = [*values, *responses, *runtimes, *types, *ours]
    assert_type(everything[0], Exception)
