"""OpenTelemetry: a span for each call, and metrics of durations and bytes.

Calls on a shared connection do not pass ``Redis.execute_command``, which tracers of redis-py patch, so they would not
see a purse call. Here the method is known, and the store and the field as declared. The names
are those of OpenTelemetry's conventions for databases, with purse's own in addition:

    span "HSET"     db.system.name=redis  db.operation.name=HSET  db.namespace=0  server.address=...  server.port=...
                    purse.method=RedisHash.set  purse.store=Garden  purse.field=plants
                    purse.bytes_sent=87  purse.bytes_received=0
    metrics         db.client.operation.duration (s), purse.client.sent (By), purse.client.received (By)

Keys and values are never recorded. The text of an exception may contain both, so it is not recorded either: the span
of a failed call has the exception's class, as ``error.type`` and as its status.
"""

from __future__ import annotations

from collections.abc import Generator
from contextlib import contextmanager
from time import perf_counter
from typing import TYPE_CHECKING

from purse._engine import hooks
from purse._engine.hooks import ObservedCall

if TYPE_CHECKING:
    from opentelemetry.metrics import MeterProvider
    from opentelemetry.trace import TracerProvider

__all__ = ["instrument", "uninstrument"]


def instrument(*, tracer_provider: TracerProvider | None = None, meter_provider: MeterProvider | None = None) -> None:
    """Record a span and metrics for each call of every store and collection in this process, from now on.

    Args:
        tracer_provider: receives the spans. By default OpenTelemetry's global one.
        meter_provider: receives the metrics. By default OpenTelemetry's global one.

    Raises:
        ModuleNotFoundError: OpenTelemetry is not installed. The message says what to install.

    A call costs some ten microseconds more while this is on, and nothing before. Calling it again
    replaces the former providers.
    """
    try:
        from opentelemetry import metrics, trace
    except ModuleNotFoundError as error:
        raise ModuleNotFoundError(
            'purse.instrument() needs OpenTelemetry: pip install "redis-purse[otel]"', name=error.name
        ) from error
    tracer = trace.get_tracer("purse", tracer_provider=tracer_provider)
    meter = metrics.get_meter("purse", meter_provider=meter_provider)
    duration = meter.create_histogram("db.client.operation.duration", "s", "Duration of calls")
    sent = meter.create_histogram("purse.client.sent", "By", "Bytes of requests")
    received = meter.create_histogram("purse.client.received", "By", "Bytes of the values in replies")

    @contextmanager
    def observe(call: ObservedCall) -> Generator[None, None, None]:
        name = call.commands[0] if len(call.commands) == 1 else "MULTI"
        attributes = _attributes(call, name)
        began = perf_counter()
        with tracer.start_as_current_span(
            name,
            kind=trace.SpanKind.CLIENT,
            attributes=attributes,
            record_exception=False,  # its message and its traceback contain keys and values
            set_status_on_exception=False,
        ) as span:
            span.set_attribute("purse.bytes_sent", call.bytes_sent)
            try:
                yield
            except BaseException as error:
                kind = attributes["error.type"] = type(error).__qualname__
                span.set_attribute("error.type", kind)
                span.set_status(trace.StatusCode.ERROR, kind)
                raise
            finally:
                span.set_attribute("purse.bytes_received", call.bytes_received)
                duration.record(perf_counter() - began, attributes)
                sent.record(call.bytes_sent, attributes)
                received.record(call.bytes_received, attributes)

    hooks.observe(observe)


def uninstrument() -> None:
    """Stop recording spans and metrics."""
    hooks.observe(None)


def _attributes(call: ObservedCall, name: str) -> dict[str, str | int]:
    host, port = call.server
    attributes: dict[str, str | int] = {
        "db.system.name": "redis",
        "db.operation.name": name,
        "db.namespace": str(call.database),
        "server.address": host,
        "purse.method": call.method,
    }
    if port is not None:
        attributes["server.port"] = port
    if len(call.commands) > 1:
        attributes["db.operation.batch.size"] = len(call.commands)
    if call.script is not None:
        attributes["db.stored_procedure.name"] = call.script
    if call.store is not None and call.field is not None:
        attributes["purse.store"] = call.store
        attributes["purse.field"] = call.field
    return attributes
