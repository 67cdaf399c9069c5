"""A garden on Redis: each call of a declared store, the commands that the server received, the value read back.

    python examples/garden.py                            on a server of its own, gone at the end
    python examples/garden.py --url redis://localhost    on yours: three keys, removed at the end

Read ``Garden`` and ``tour``: they are ordinary typed code. The rest executes ``tour`` one statement at a
time, as a Python prompt does, while a second connection watches the server with MONITOR.
"""

from __future__ import annotations

import argparse
import ast
import asyncio
import inspect
import os
import sys
import textwrap
from collections import Counter
from pprint import pformat

from pydantic import BaseModel
from redis.asyncio import Redis
from redis.exceptions import RedisError

from purse import TTL, PurseError, RedisHash, RedisList, Store, field
from purse.embedded import Server
from purse.inspect import fields


class Plant(BaseModel):
    name: str
    healthiness: float
    tasty: bool = True


class Garden(Store, namespace="garden"):
    plants: RedisHash[Plant]
    log: RedisList[str] = field(maxlen=5)
    visits: RedisHash[int] = field(ttl=TTL(hours=1))


class Guest(Garden, namespace="purse-garden-demo"):
    """The same garden on somebody's server: under a name that nobody else uses."""


async def tour(garden: Garden) -> None:
    # Values go in as models and come out as models.
    spinach = Plant(name="spinach", healthiness=9.8, tasty=False)
    await garden.plants.set("spinach", spinach)
    await garden.plants.get("spinach")
    await garden.plants.get("triffid")

    # What does not fit never leaves this process; mypy and pyright refuse the line as well.
    await garden.plants.set("stone", "grey")  # type: ignore[arg-type]  # pyright: ignore[reportArgumentType]

    # Many at once: all or nothing.
    await garden.plants.update({name: Plant(name=name, healthiness=8) for name in ("avocado", "leek")})

    # Unless it is there already: one script decides on the server, sent with its body the first time.
    await garden.plants.setdefault("spinach", Plant(name="weed", healthiness=0))

    # A list with Python's indices and slices; this one keeps its last five elements.
    await garden.log.extend(["dug", "sowed", "watered", "weeded", "sang"])
    await garden.log.append("harvested")
    await garden.log.slice(-2)
    await garden.log.index("watered")

    # Counters. The declared time to live rides on every write, in the same transaction.
    await garden.visits.increment("gate", 41)
    await garden.visits.expires_in()

    # A hundred awaits at once share one connection, and each gets its own answer.
    counts = await asyncio.gather(*(garden.visits.increment("gate") for _ in range(100)))
    await garden.visits.get("gate")

    # Iteration pages through a collection of any size.
    tasty = [name async for name, plant in garden.plants if plant.tasty]

    # Read, change, write: stored only if nobody was faster. modify() tries again, edit() says so.
    await garden.plants.modify("leek", lambda leek: leek.model_copy(update={"healthiness": 9}))
    async with garden.plants.edit("leek") as leek:
        leek.tasty = False
    await garden.plants.get("leek")

    # Every key of this store, and no other.
    await garden.clear()


async def run(garden: Garden, watch: Redis) -> None:
    """Execute ``tour`` statement by statement and show what happens."""
    source = inspect.getsource(tour)
    function = ast.parse(source).body[0]
    assert isinstance(function, ast.AsyncFunctionDef)
    names: dict[str, object] = {**globals(), "garden": garden}
    line = function.lineno
    async with watch.monitor() as monitor:
        for statement in function.body:
            for comment in source.splitlines()[line : statement.lineno - 1]:
                print(paint("1", comment[4:]))
            line = statement.end_lineno or line
            print(paint("36", textwrap.dedent(f"    {ast.get_source_segment(source, statement)}")))
            outcome = await execute(statement, names)
            await watch.echo("that was it")  # what MONITOR shows up to here was caused by the statement
            received: list[tuple[str, str]] = []
            while (seen := await monitor.next_command())["command"] != "ECHO that was it":
                received.append((f"{seen['client_address']}:{seen['client_port']}", seen["command"]))
            for command in sent_by(garden, received):
                print(paint("33", f"    {command}"))
            print(textwrap.indent(outcome, "  = ") if outcome else "", end="\n" if outcome else "")


async def execute(statement: ast.stmt, names: dict[str, object]) -> str:
    """Run one statement of ``tour`` and return its value as text."""
    value: object = None
    has_value = isinstance(statement, ast.Expr)
    node = ast.Expression(statement.value) if isinstance(statement, ast.Expr) else ast.Module([statement], [])
    code = compile(node, __file__, "eval" if has_value else "exec", ast.PyCF_ALLOW_TOP_LEVEL_AWAIT)
    try:
        value = eval(code, names)
        if inspect.isawaitable(value):
            value = await value
    except PurseError as error:
        return paint("31", textwrap.fill(f"{type(error).__name__}: {error}", 100))
    if isinstance(statement, ast.Assign) and isinstance(statement.targets[0], ast.Name):
        has_value, value = True, names[statement.targets[0].id]
    return textwrap.shorten(pformat(value), 100, placeholder=" ...") if has_value else ""


def sent_by(garden: Garden, received: list[tuple[str, str]]) -> list[str]:
    """The commands of the connections that named a key of ``garden``: MULTI ... EXEC in one line, repeats counted."""
    keys = [spec.key for spec in fields(garden).values()]
    ours = {client for client, command in received if any(key in command for key in keys)}
    lines: list[str] = []
    for client, command in received:
        if client in ours and not client.startswith("lua"):
            if lines and lines[-1].startswith("MULTI") and not lines[-1].endswith("EXEC"):
                lines[-1] += f" | {short(command)}"
            else:
                lines.append(short(command))
    return [line if times == 1 else f"{line}   ({times} times)" for line, times in Counter(lines).items()]


def short(command: str) -> str:
    """A command without the body or the long hash of a script."""
    name, _, rest = command.partition(" ")
    if name == "EVALSHA":
        return f"EVALSHA {rest[:8]}...{rest[40:]}"
    if name == "EVAL":
        body, _, rest = rest.rpartition(" 1 {")
        return f"EVAL ({len(body)} bytes of Lua) 1 {{{rest}"
    return command


def paint(colour: str, text: str) -> str:
    return f"\033[{colour}m{text}\033[0m" if sys.stdout.isatty() and "NO_COLOR" not in os.environ else text


async def show(url: str, store: type[Garden]) -> None:
    async with store.open(url) as garden, Redis.from_url(url) as watch:
        if any(await asyncio.gather(garden.plants.exists(), garden.log.exists(), garden.visits.exists())):
            keys = " ".join(spec.key for spec in fields(garden).values())
            sys.exit(f"garden.py: there are keys of an earlier run. To remove them: redis-cli -u {url} unlink {keys}")
        print(paint("36", inspect.getsource(Garden)))
        for spec in fields(garden).values():
            ttl = f"for {spec.ttl.duration}" if spec.ttl else ""
            print(f"  {spec.name:<7} {spec.key:<28} {spec!r:<1} {ttl}")
        try:
            await run(garden, watch)
        finally:
            await garden.clear()


def main() -> None:
    parser = argparse.ArgumentParser(description="A typed garden on Redis, and what it sends.")
    parser.add_argument("--url", help="a server of yours, redis://...; without it one is started for the tour")
    url: str | None = parser.parse_args().url
    try:
        if url is not None:
            asyncio.run(show(url, Guest))
        else:
            with Server() as server:
                asyncio.run(show(server.url, Garden))
    except (RedisError, PurseError, ValueError) as error:
        sys.exit(f"garden.py: {error}")


if __name__ == "__main__":
    main()
