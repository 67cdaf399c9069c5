"""``python -m benchmarks http``: requests per second of a FastAPI application, beside the same one written by hand.

    load (its own process)  ->  uvicorn, one worker: examples/fastapi_app.py        ->  one redis-server, TCP
                            ->  uvicorn, one worker: benchmarks/http_by_hand.py     ->

Both servers run all the time and are asked in turns, round by round, the order alternating. A ratio is taken in each
round; the table has the median. An answer that is not what it should be ends the benchmark.

The CPU time is that of the server process for one request. The route without Redis shows what FastAPI, uvicorn and HTTP
take by themselves; what is above that is the price of Redis: client library, codec, sockets. The last table says where
the profiler found the time; it makes Python functions dearer, so trust its order more than its sums.
"""

from __future__ import annotations

import argparse
import contextlib
import http.client
import json
import os
import socket
import statistics
import subprocess
import sys
from collections.abc import Generator, Sequence
from dataclasses import asdict, dataclass, field
from typing import cast

from redis import Redis

from benchmarks.data import Plant, plants_by_name, to_json
from benchmarks.http_load import Load, Outcome
from benchmarks.table import Table
from purse.embedded import Server

__all__ = ["main"]

PLANTS = plants_by_name(1000)
MANY = 20


class Options(argparse.Namespace):
    """The command line, with types."""

    clients: int
    seconds: float
    rounds: int
    only: str
    markdown: bool


@dataclass(frozen=True)
class Route:
    """What is asked of both applications."""

    name: str
    requests: list[str]
    bodies: list[str]
    status: int = 200


@dataclass
class Side:
    """One application: where it is, and what it achieved on the current route."""

    port: int
    rates: list[float] = field(default_factory=list[float])
    micros: list[int] = field(default_factory=list[int])
    cpu: list[float] = field(default_factory=list[float])


def parse(arguments: Sequence[str]) -> Options:
    """The options; ends the program if they do not fit together."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks http", description="Requests per second over HTTP.")
    parser.add_argument("--clients", type=int, default=200, help="connections with one request each (200)")
    parser.add_argument("--seconds", type=float, default=20, help="for each application and route (20)")
    parser.add_argument("--rounds", type=int, default=5, help="turns into which they are divided (5)")
    parser.add_argument("--only", default="", metavar="SUBSTRING", help="only routes with this in their name")
    parser.add_argument("--markdown", action="store_true", help="print Markdown")
    options = parser.parse_args(arguments, namespace=Options())
    if min(options.clients, options.seconds, options.rounds) <= 0:
        parser.error("--clients, --seconds and --rounds are positive")
    return options


def routes() -> list[Route]:
    """The routes, the one without Redis first."""
    names = [name.replace(" ", "-") for name in PLANTS]
    bodies = {name: _json(plant) for name, plant in zip(names, PLANTS.values(), strict=True)}
    groups = [names[at : at + MANY] for at in range(0, len(names), MANY)]
    queries = ["&".join(f"name={name}" for name in group) for group in groups]
    several = ["[" + ",".join(bodies[name] for name in group) + "]" for group in groups]
    return [
        Route("no Redis", [_request("GET", "/health")], ['{"status":"ok"}']),
        Route("read a plant", [_request("GET", f"/plants/{name}") for name in names], list(bodies.values())),
        Route("write a plant", [_request("PUT", f"/plants/{n}", b) for n, b in bodies.items()], [""] * 1000, 204),
        Route(f"read {MANY}: get_many; HMGET", [_request("GET", f"/plants?{query}") for query in queries], several),
        Route(f"read {MANY}: gather; pipeline", [_request("GET", f"/gathered?{query}") for query in queries], several),
    ]


def _json(plant: Plant) -> str:
    return to_json(plant).decode()


def _request(method: str, path: str, body: str = "") -> str:
    headers = "Host: 127.0.0.1\r\n"
    if body:
        headers += f"Content-Type: application/json\r\nContent-Length: {len(body)}\r\n"
    return f"{method} {path} HTTP/1.1\r\n{headers}\r\n{body}"


@contextlib.contextmanager
def serving(app: str, redis_url: str) -> Generator[Side]:
    """One of the applications under uvicorn, as long as the block runs."""
    with socket.create_server(("127.0.0.1", 0), backlog=2048) as listening:
        port = cast("int", listening.getsockname()[1])
        command = [sys.executable, "-m", "benchmarks.http_apps", app, str(listening.fileno())]
        environment = {**os.environ, "PURSE_REDIS_URL": redis_url}
        with subprocess.Popen(command, env=environment, pass_fds=[listening.fileno()]) as server:
            listening.close()  # its own now: if it ends, whoever waits for it is told
            try:
                try:
                    ask(port, "/health")  # accepted now, answered when it has started
                except (OSError, http.client.HTTPException) as error:
                    raise SystemExit(f"benchmarks: the application {app} did not start: {error!r}") from None
                yield Side(port)
            finally:
                server.terminate()


def ask(port: int, path: str) -> object:
    """The JSON that a GET is answered with."""
    with contextlib.closing(http.client.HTTPConnection("127.0.0.1", port, timeout=60)) as connection:
        connection.request("GET", path)
        return cast("object", json.loads(connection.getresponse().read()))


def load(side: Side, route: Route, options: Options, seconds: float) -> Outcome:
    """Ask one side; its CPU time is noted, too.

    Raises:
        SystemExit: an answer was wrong.
    """
    wanted = Load(side.port, options.clients, seconds, route.requests, route.status, route.bodies)
    before = cast("float", ask(side.port, "/-/cpu"))
    command = [sys.executable, "-m", "benchmarks.http_load"]
    given = json.dumps(asdict(wanted))
    try:
        ended = subprocess.run(command, input=given, capture_output=True, text=True, check=False, timeout=seconds + 60)
    except subprocess.TimeoutExpired:
        raise SystemExit(f"benchmarks: {route.name}: no answer for a minute") from None
    if ended.returncode:
        raise SystemExit(f"benchmarks: the load failed:\n{ended.stderr}")
    outcome = Outcome(**json.loads(ended.stdout))
    if outcome.errors or not outcome.micros:
        raise SystemExit(f"benchmarks: {route.name}: wrong answers:\n" + "\n".join(outcome.errors))
    spent = cast("float", ask(side.port, "/-/cpu")) - before
    # The last request of each client is answered, and not counted.
    side.cpu.append(spent / (len(outcome.micros) + options.clients) * 1e6)
    side.rates.append(len(outcome.micros) / outcome.seconds)
    side.micros += outcome.micros
    return outcome


def compare(purse: Side, hand: Side, route: Route, options: Options) -> None:
    """Ask both sides in turns, after a warm-up."""
    for nth in range(options.rounds + 1):
        seconds = options.seconds / options.rounds
        for side in (purse, hand)[:: -1 if nth % 2 else 1]:
            load(side, route, options, seconds)
            if not nth:
                side.rates, side.micros, side.cpu = [], [], []


def cells(purse: Side, hand: Side, route: Route, idle: tuple[float, float] | None) -> tuple[str, ...]:
    """The row of a route; ``idle`` is the CPU time of a request without Redis."""
    ratio = statistics.median(p / h for p, h in zip(purse.rates, hand.rates, strict=True))
    shown = [
        route.name,
        f"{statistics.median(purse.rates):,.0f}",
        f"{statistics.median(hand.rates):,.0f}",
        f"{ratio:.2f}x",
    ]
    for side in (purse, hand):
        ordered = sorted(side.micros)
        shown.append(" / ".join(f"{ordered[int(len(ordered) * part)] / 1000:.1f}" for part in (0.5, 0.99)))
    for nth, side in enumerate((purse, hand)):
        cpu = statistics.median(side.cpu)
        shown.append(f"{cpu:.0f}" if idle is None else f"{cpu:.0f} ({max(0.0, cpu - idle[nth]) / cpu:.0%})")
    return tuple(shown)


def profile(purse: Side, hand: Side, route: Route, options: Options) -> list[tuple[str, ...]]:
    """Microseconds of a request by package, of both sides; the dearest first."""
    found: list[dict[str, float]] = []
    for side in (purse, hand):
        ask(side.port, "/-/profile")
        answered = len(load(side, route, options, options.seconds / options.rounds).micros) + options.clients
        spent = cast("dict[str, float]", ask(side.port, "/-/profile"))
        found.append({package: seconds / answered * 1e6 for package, seconds in spent.items()})
    packages = sorted({*found[0], *found[1]}, key=lambda name: -max(side.get(name, 0.0) for side in found))
    return [(name, *(f"{side.get(name, 0.0):.1f}" for side in found)) for name in packages][:12]


def main(arguments: Sequence[str]) -> None:
    """Measure the routes, and print each as soon as it is known."""
    options = parse(arguments)
    chosen = [route for route in routes() if options.only in route.name or route.name == "no Redis"]
    # redis-py leaves **kwargs of from_url() untyped.
    with Server(port=0, password="") as server, Redis.from_url(server.url) as client:  # pyright: ignore[reportUnknownMemberType]
        client.hset("{nursery}:plants", mapping={n.replace(" ", "-"): to_json(plant) for n, plant in PLANTS.items()})
        with serving("purse", server.url) as purse, serving("by_hand", server.url) as hand:
            print(f"{options.clients} clients, {options.seconds:g} s for each side and route\n")
            headings = ("route", "purse /s", "by hand /s", "ratio", "purse p50 / p99 ms", "by hand p50 / p99 ms")
            table = Table(
                (*headings, "purse CPU us (Redis)", "by hand CPU us (Redis)"),
                (max(len(route.name) for route in chosen), 8, 8, 6, 12, 12, 12, 12),
                markdown=options.markdown,
            )
            table.print_headings()
            idle: tuple[float, float] | None = None
            for route in chosen:
                purse, hand = Side(purse.port), Side(hand.port)
                compare(purse, hand, route, options)
                table.print_row(cells(purse, hand, route, idle))
                idle = idle or (statistics.median(purse.cpu), statistics.median(hand.cpu))
            if len(chosen) > 1:
                print(f"\n{chosen[1].name}: profiled us of a request\n")
                table = Table(("package", "purse", "by hand"), (20, 8, 8), markdown=options.markdown)
                table.print_headings()
                for row in profile(purse, hand, chosen[1], options):
                    table.print_row(row)


if __name__ == "__main__":
    main(sys.argv[1:])
