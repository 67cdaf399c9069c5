"""Tracing: a span and metrics for each call, on OpenTelemetry's own SDK; and nothing at all while it is off."""

from __future__ import annotations

import contextlib
from collections.abc import Awaitable, Callable, Iterator
from typing import cast

import pytest
from opentelemetry.sdk.metrics import MeterProvider
from opentelemetry.sdk.metrics.export import HistogramDataPoint, InMemoryMetricReader
from opentelemetry.sdk.trace import ReadableSpan, TracerProvider
from opentelemetry.sdk.trace.export import SimpleSpanProcessor
from opentelemetry.sdk.trace.export.in_memory_span_exporter import InMemorySpanExporter
from opentelemetry.trace import SpanKind, StatusCode
from redis.asyncio import Redis

import purse
from purse import TTL, RedisHash, RedisKeySpace, RedisList, RedisRateLimiter, Store, field
from purse.embedded import Server
from purse.errors import DecodeError, WrongKind
from tests.collections.garden import collect
from tests.support.clients import connect


class Garden(Store, namespace="traced-garden"):
    """What is traced here."""

    visits: RedisHash[int]
    log: RedisList[str] = field(ttl=TTL(hours=1))


@pytest.fixture
def spans() -> Iterator[InMemorySpanExporter]:
    """The spans of a test; afterwards nothing is recorded any more."""
    exporter = InMemorySpanExporter()
    provider = TracerProvider()
    provider.add_span_processor(SimpleSpanProcessor(exporter))
    purse.instrument(tracer_provider=provider, meter_provider=MeterProvider())
    yield exporter
    purse.uninstrument()
    provider.shutdown()


def facts(span: ReadableSpan, *names: str) -> tuple[object, ...]:
    """Attributes of a span."""
    attributes = span.attributes or {}
    return tuple(attributes.get(name) for name in names)


METHOD = ("purse.method", "purse.store", "purse.field")


async def test_a_call_is_one_span(redis: Redis, server: Server, spans: InMemorySpanExporter) -> None:
    """It says which command went where, for which method of which field, and how many bytes."""
    garden = Garden(redis)

    await garden.visits.set("home", 3)

    (span,) = spans.get_finished_spans()
    assert span.name == "HSET"
    assert span.kind is SpanKind.CLIENT
    assert facts(span, *METHOD) == ("RedisHash.set", "Garden", "visits")
    assert facts(span, "db.system.name", "db.operation.name", "db.namespace") == ("redis", "HSET", "0")
    assert facts(span, "server.address", "server.port") == ("127.0.0.1", server.port)
    request = ("HSET", "{traced-garden}:visits", "home", "3")
    assert facts(span, "purse.bytes_sent", "purse.bytes_received") == (sum(map(len, request)), 0)
    assert span.status.status_code is StatusCode.UNSET


async def test_what_came_is_counted(redis: Redis, spans: InMemorySpanExporter) -> None:
    """The bytes of the values in a reply, lists included."""
    log = RedisList(redis, "log", str)
    await log.extend(["a", "bcd"])
    await log.slice(0)

    received = [facts(span, "purse.bytes_received", *METHOD) for span in spans.get_finished_spans()]

    assert received == [(0, "RedisList.extend", None, None), (4, "RedisList.slice", None, None)]


async def test_scripts_transactions_and_pages_have_names(redis: Redis, spans: InMemorySpanExporter) -> None:
    """A script is named, a transaction is one span, a page of an iteration is one of its method."""
    garden = Garden(redis)
    await garden.visits.setdefault("home", 1)
    await garden.visits.pop("home")
    await garden.log.append("x")
    await garden.atomic(garden.log.append("y"), garden.visits.set("a", 1))
    await collect(garden.log)
    await garden.visits.expires_in()
    await garden.clear()

    seen = [
        (span.name, *facts(span, "purse.method", "db.stored_procedure.name", "db.operation.batch.size"))
        for span in spans.get_finished_spans()
    ]

    assert seen == [
        ("EVALSHA", "RedisHash.setdefault", "hash_setdefault", None),
        ("MULTI", "RedisHash.pop", None, 2),
        ("EVALSHA", "RedisList.append", "with_ttl", None),
        ("MULTI", "Store.atomic", None, 2),
        ("LRANGE", "RedisList.values", None, None),
        ("PTTL", "RedisHash.expires_in", None, None),
        ("UNLINK", "Store.clear", None, None),
    ]


async def test_errors_are_recorded(redis: Redis, spans: InMemorySpanExporter) -> None:
    """A call that the server refuses is a span with the error's type and status; one whose reply came is none.

    A reply that does not decode is an error of the caller's own span, in which it is raised.
    """
    await redis.set("{traced-garden}:visits", "x")
    garden = Garden(redis)
    with pytest.raises(WrongKind):
        await garden.visits.get("home")
    await redis.delete("{traced-garden}:visits")
    await redis.hset("{traced-garden}:visits", "home", "not a number")
    with pytest.raises(DecodeError):
        await garden.visits.get("home")

    found = spans.get_finished_spans()

    assert [facts(span, "error.type") for span in found] == [("WrongKind",), (None,)]
    assert [span.status.status_code for span in found] == [StatusCode.ERROR, StatusCode.UNSET]


async def test_a_span_has_no_key_no_field_and_no_value(redis: Redis, spans: InMemorySpanExporter) -> None:
    """Whatever a call fails with, and whatever the error's message says: of that the span has the class alone."""
    secret = "ada@example.org"
    await redis.set(secret, secret)
    await redis.hset("people", secret, secret)
    people = RedisHash(redis, "people", int)
    limiter = RedisRateLimiter(redis, "limits", rate="5/second")
    failing: list[Callable[[], Awaitable[object]]] = [
        lambda: RedisHash(redis, secret, int).get(secret),  # the key holds another type
        lambda: people.increment(secret),  # no number is stored there
        lambda: people.pop(secret),  # what was stored does not decode
        lambda: RedisKeySpace(redis, secret, int).increment(""),
        lambda: RedisList(redis, secret, str).append(secret),
        lambda: Garden(redis).atomic(RedisList(redis, secret, str).append(secret), people.increment("b")),
        lambda: limiter.hit(secret),
    ]
    await redis.hset(f"limits:{secret}", "x", "1")

    for call in failing:
        with contextlib.suppress(Exception):
            await call()

    recorded = [span.to_json() for span in spans.get_finished_spans()]
    assert sum("error.type" in text for text in recorded) >= 4
    assert [text for text in recorded if "ada@" in text] == []


async def test_metrics_have_durations_and_bytes(redis: Redis) -> None:
    """Each call counts once in the duration and in the bytes, with its attributes."""
    reader = InMemoryMetricReader()
    purse.instrument(tracer_provider=TracerProvider(), meter_provider=MeterProvider([reader]))
    try:
        garden = Garden(redis)
        await garden.visits.set("home", 3)
        await garden.visits.get("home")
        await garden.visits.get("home")
    finally:
        purse.uninstrument()

    data = reader.get_metrics_data()
    assert data is not None
    metrics = {metric.name: metric for scope in data.resource_metrics[0].scope_metrics for metric in scope.metrics}
    assert metrics.keys() == {"db.client.operation.duration", "purse.client.sent", "purse.client.received"}
    for name, metric in metrics.items():
        points = cast("list[HistogramDataPoint]", metric.data.data_points)
        assert {(dict(point.attributes or {}).get("purse.method"), point.count) for point in points} == {
            ("RedisHash.set", 1),
            ("RedisHash.get", 2),
        }, name


async def test_another_database_and_a_unix_socket_are_named(server: Server, spans: InMemorySpanExporter) -> None:
    """The span says where the command went."""
    client = connect(f"unix://{server.socket_path}?db=3")

    await RedisHash(client, "h", int).len()

    (span,) = spans.get_finished_spans()
    assert facts(span, "server.address", "server.port", "db.namespace") == (str(server.socket_path), None, "3")


async def test_when_it_is_off_nothing_is_recorded(redis: Redis, spans: InMemorySpanExporter) -> None:
    """After ``uninstrument()`` calls leave no trace."""
    purse.uninstrument()

    await Garden(redis).visits.set("home", 3)

    assert not spans.get_finished_spans()
