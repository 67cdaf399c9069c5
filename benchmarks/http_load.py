"""The load of ``python -m benchmarks http``, a process of its own: clients that ask as fast as they are answered.

    python -m benchmarks.http_load < a line of JSON     what to ask, see ``Load``; prints an ``Outcome`` as JSON

Each client is a connection that is kept open and has one request under way. Every answer is compared with what it
should be. HTTP/1.1 is read here as far as uvicorn writes it: a status, headers with a Content-Length, a body.
"""

from __future__ import annotations

import asyncio
import json
import sys
import time
from dataclasses import asdict, dataclass, field
from functools import partial
from typing import cast

__all__ = ["Load", "Outcome"]


@dataclass(frozen=True)
class Load:
    """What to ask.

    Attributes:
        port: of the server, on 127.0.0.1.
        clients: connections, each with one request at a time.
        seconds: for how long.
        requests: whole requests, asked in turn, each client beginning at another.
        status: of each answer.
        bodies: of each answer.
    """

    port: int
    clients: int
    seconds: float
    requests: list[str]
    status: int
    bodies: list[str]


@dataclass
class Outcome:
    """What came of it.

    Attributes:
        seconds: from the first request to the end of the last one that counts.
        micros: for each answer, how long it took, in microseconds.
        errors: answers that are not what they should be, and lost connections: the first few of them, as text.
    """

    seconds: float = 0.0
    micros: list[int] = field(default_factory=list[int])
    errors: list[str] = field(default_factory=list[str])


class _Client(asyncio.Protocol):
    """One connection."""

    def __init__(self, load: Load, outcome: Outcome, first: int) -> None:
        self._load = load
        self._outcome = outcome
        self._nth = first % len(load.requests)
        self._requests = [request.encode("latin-1") for request in load.requests]
        self._bodies = [body.encode("latin-1") for body in load.bodies]
        self._status = f"HTTP/1.1 {load.status} ".encode()
        self._received = b""
        self._asked_at = 0.0
        self._until = 0.0
        self.done = asyncio.get_running_loop().create_future()

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self._transport = cast("asyncio.Transport", transport)

    def begin(self, until: float) -> None:
        """Ask, and go on asking."""
        self._until = until
        self._ask()

    def data_received(self, data: bytes) -> None:
        self._received += data
        head, found, body = self._received.partition(b"\r\n\r\n")
        if not found:
            return
        at = head.lower().find(b"content-length: ")
        length = 0 if at < 0 else int(head[at + 16 :].split(b"\r\n", 1)[0])
        if len(body) < length:
            return
        now = time.perf_counter()
        if not head.startswith(self._status) or body != self._bodies[self._nth]:
            self._fail(f"{self._requests[self._nth]!r}: {self._received!r}")
        if now < self._until:
            self._outcome.micros.append(int((now - self._asked_at) * 1e6))
            self._nth = (self._nth + 1) % len(self._requests)
            self._ask()
        else:
            self._end()

    def connection_lost(self, exc: Exception | None) -> None:
        if not self.done.done():
            self._fail(f"lost: {exc!r}")
            self._end()

    def _ask(self) -> None:
        self._received = b""
        self._asked_at = time.perf_counter()
        self._transport.write(self._requests[self._nth])

    def _fail(self, told: str) -> None:
        if len(self._outcome.errors) < 5:
            self._outcome.errors.append(told[:500])

    def _end(self) -> None:
        if not self.done.done():
            self.done.set_result(None)
        self._transport.close()


async def run(load: Load) -> Outcome:
    """Connect all clients, let them ask, and wait for their last answers."""
    loop = asyncio.get_running_loop()
    outcome = Outcome(load.seconds)
    clients: list[_Client] = []
    for nth in range(load.clients):
        connected = partial(_Client, load, outcome, nth * 7)
        _, client = await loop.create_connection(connected, "127.0.0.1", load.port)
        clients.append(client)
    until = time.perf_counter() + load.seconds
    for client in clients:
        client.begin(until)
    await asyncio.wait_for(asyncio.gather(*(client.done for client in clients)), load.seconds + 30)
    return outcome


if __name__ == "__main__":
    print(json.dumps(asdict(asyncio.run(run(Load(**json.loads(sys.stdin.readline())))))))
