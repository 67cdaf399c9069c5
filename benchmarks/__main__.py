"""The command line of the benchmarks; ``benchmarks/__init__.py`` says what is measured."""

from __future__ import annotations

import argparse
import asyncio
import importlib
import json
import platform
import sys
from collections.abc import Callable
from contextlib import ExitStack
from functools import partial
from importlib.metadata import version
from pathlib import Path
from typing import cast

from redis.exceptions import ConnectionError

from benchmarks.bulk import bulk_rows
from benchmarks.calls import call_rows
from benchmarks.codecs import codec_rows
from benchmarks.data import Arena, open_arena
from benchmarks.footprint import footprint_rows
from benchmarks.layer import layer_rows
from benchmarks.locks import lock_rows
from benchmarks.measure import Raw, Row
from benchmarks.profiling import profile_calls
from benchmarks.structures import structure_rows
from benchmarks.table import HEADINGS, Table
from purse.embedded import Server
from purse.errors import ServerFailed, ServerNotFound


class Options(argparse.Namespace):
    """The command line, with types."""

    command: str
    rounds: int
    calls: int
    items: int
    tasks: int
    url: str | None
    unix: bool
    uvloop: bool
    only: str
    markdown: bool
    json: Path | None


def parse() -> Options:
    """The options; ends the program if they do not fit together."""
    parser = argparse.ArgumentParser(
        prog="python -m benchmarks", description="How fast purse is, beside careful hand-written redis-py."
    )
    parser.add_argument("command", nargs="?", choices=("compare", "profile"), default="compare")
    parser.add_argument("--rounds", type=int, default=7, help="counted rounds, after one that warms up (7)")
    parser.add_argument("--calls", type=int, default=4000, help="calls in one trial (4000)")
    parser.add_argument("--items", type=int, default=10_000, help="models in the bulk rows, a 20th of the memory row")
    parser.add_argument("--tasks", type=int, default=100, help="concurrent tasks of `profile` (100)")
    parser.add_argument("--url", help="a server of yours; only keys named purse-benchmark-... are used")
    parser.add_argument("--unix", action="store_true", help="the embedded server's unix socket instead of TCP")
    parser.add_argument("--uvloop", action="store_true", help="uvloop's event loop instead of asyncio's")
    parser.add_argument("--only", default="", metavar="SUBSTRING", help="only rows with this in their name")
    parser.add_argument("--markdown", action="store_true", help="print Markdown")
    parser.add_argument("--json", type=Path, metavar="FILE", help="write all samples to this file")
    options = parser.parse_args(namespace=Options())
    if min(options.rounds, options.calls, options.items, options.tasks) < 1:
        parser.error("--rounds, --calls, --items and --tasks are at least 1")
    if options.command == "profile" and (options.only or options.json):
        parser.error("--only and --json are not for `profile`")
    if options.url and not options.url.startswith(("redis://", "rediss://", "unix://")):
        parser.error("--url is redis://..., rediss://... or unix://...")
    if options.url and options.unix:
        parser.error("--unix is for the embedded server; a --url may be unix:///path/to/redis.sock itself")
    return options


def rows(arena: Arena, options: Options) -> list[Row]:
    """The rows that were asked for."""
    every = (
        *call_rows(arena, options.calls),
        *bulk_rows(arena, options.items),
        *structure_rows(arena, options.calls, options.items),
        *lock_rows(arena, options.calls),
        *layer_rows(arena, options.calls),
        *codec_rows(options.calls),
        *footprint_rows(arena, options.items),
    )
    chosen = [row for row in every if options.only in row.name]
    if not chosen:
        raise SystemExit(f"benchmarks: no row has {options.only!r} in its name:\n" + "\n".join(r.name for r in every))
    return chosen


async def compare(arena: Arena, options: Options) -> None:
    """Measure the rows, and print each as soon as it is known."""
    chosen = rows(arena, options)
    table = Table(HEADINGS, (max(len(row.name) for row in chosen), 10, 10, 7, 7, 12, 9), markdown=options.markdown)
    where = await environment(arena, options)
    print(", ".join(f"{name} {is_}" for name, is_ in where.items()), end="\n\n")
    table.print_headings()
    raw: list[dict[str, Raw]] = []
    for nth, row in enumerate(chosen, 1):
        result = await row.measure(options.rounds, partial(tell, f"[{nth}/{len(chosen)}]"))
        tell()
        table.print_row(result.cells())
        raw.append(result.raw())
    if options.json:
        settings = {"rounds": options.rounds, "calls": options.calls, "items": options.items}
        written = json.dumps({"environment": where, "options": settings, "rows": raw}, indent=2)
        await asyncio.to_thread(options.json.write_text, written + "\n", encoding="utf-8")


async def environment(arena: Arena, options: Options) -> dict[str, str]:
    """What the figures depend on."""
    # redis-py leaves **kwargs of info() untyped.
    info = cast("dict[str, object]", await arena.hand.info("server"))  # pyright: ignore[reportUnknownMemberType]
    server = str(info.get("valkey_version") or info["redis_version"])
    packages = {name: version(name) for name in ("redis", "hiredis", "pydantic", "orjson")}
    loop = f"uvloop {version('uvloop')}" if options.uvloop else "asyncio"
    transport = "unix socket" if options.unix or (options.url or "").startswith("unix:") else "TCP"
    return {"Python": platform.python_version(), **packages, "loop": loop, "server": f"{server} over {transport}"}


def tell(*words: str) -> None:
    """Show ``words`` on the last line of the terminal, in place of what was there; nothing if it is no terminal."""
    if sys.stderr.isatty():
        print("\r\x1b[K", *words, sep=" ", end="", file=sys.stderr, flush=True)


async def run(url: str, options: Options) -> None:
    """Do what was asked for on the server at ``url``."""
    async with open_arena(url) as arena:
        if options.command == "profile":
            await profile_calls(arena, options.calls, options.tasks, options.rounds, markdown=options.markdown)
        else:
            await compare(arena, options)


def loop_factory(options: Options) -> Callable[[], asyncio.AbstractEventLoop] | None:
    """What makes the event loop; None is asyncio's own."""
    if not options.uvloop:
        return None
    try:
        module = importlib.import_module("uvloop")  # no dependency, also of type checkers
    except ImportError as error:
        raise SystemExit("benchmarks: --uvloop needs the package uvloop") from error
    return cast("Callable[[], asyncio.AbstractEventLoop]", module.new_event_loop)


def main() -> None:
    """Run on ``--url``, or on an embedded server."""
    if sys.argv[1:2] == ["http"]:  # which has options of its own, and needs FastAPI and uvicorn
        importlib.import_module("benchmarks.http").main(sys.argv[2:])
        return
    options = parse()
    with ExitStack() as stack:
        try:
            runner = stack.enter_context(asyncio.Runner(loop_factory=loop_factory(options)))
            url = options.url or stack.enter_context(Server(port=None if options.unix else 0, password="")).url
            runner.run(run(url, options))
        except (ConnectionError, ServerFailed, ServerNotFound) as error:
            raise SystemExit(f"benchmarks: {error}") from error


if __name__ == "__main__":
    main()
