"""A garden on Redis: each call of a declared store, the commands that the server received, the value read back.

    python examples/garden.py                            on a server of its own, gone at the end
    python examples/garden.py --url redis://localhost    on yours: three keys, removed at the end (or PURSE_REDIS_URL)

``Garden`` and ``tour`` are ordinary typed code, and all there is to learn. The rest executes ``tour`` one
statement at a time, as a Python prompt does, while a second connection watches the server with MONITOR.
"""

from __future__ import annotations

import argparse
import ast
import asyncio
import inspect
import os
import re
import sys
import textwrap
from collections import Counter

from pydantic import BaseModel
from redis.asyncio import Redis
from redis.asyncio.client import Monitor
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
    log: RedisList[str] = RedisList.field(maxlen=5)
    visits: RedisHash[int] = field(ttl=TTL(hours=1))


class Guest(Garden, namespace="purse-garden-demo"):
    """The same garden on somebody's server, under a name that nobody else uses."""


async def tour(garden: Garden) -> None:
    # Models go in and models come out.
    spinach = Plant(name="spinach", healthiness=9.8, tasty=False)
    await garden.plants.set("spinach", spinach)
    await garden.plants.get("spinach")
    await garden.plants.get("triffid")

    # What does not fit never leaves this process; mypy and pyright refuse this line as well.
    await garden.plants.set("stone", "grey")  # type: ignore[arg-type]  # pyright: ignore[reportArgumentType]

    # Many at once, all or nothing.
    await garden.plants.update({name: Plant(name=name, healthiness=8) for name in ("leek", "kale")})

    # Unless it is there already: a script decides on the server. Its body is sent if it is new there.
    await garden.plants.setdefault("spinach", Plant(name="weed", healthiness=0))

    # A list with Python's indices and slices. This one keeps its last five elements.
    await garden.log.extend(["dug", "sowed", "watered", "weeded", "sang"])
    await garden.log.append("harvested")
    await garden.log.slice(-2)
    await garden.log.index("watered")

    # A counter. The declared time to live rides on every write, in the same step.
    await garden.visits.increment("gate", 41)
    await garden.visits.ttl()

    # A hundred awaits at once share one connection, and each gets its own answer.
    await asyncio.gather(*(garden.plants.get(name) for name in 50 * ["spinach", "triffid"]))

    # Iteration pages through a collection of any size.
    [name async for name, plant in garden.plants if plant.tasty]

    # Read, change, write; stored only if nobody was faster. modify() tries again, edit() says so.
    await garden.plants.modify("leek", lambda leek: leek.model_copy(update={"healthiness": 9.5}))
    async with garden.plants.edit("leek") as leek:
        leek.tasty = False
    await garden.plants.get("leek")

    # Every key of this store, and no other.
    await garden.clear()


async def show(url: str, store: type[Garden]) -> None:
    """Print what ``store`` declares, then ``tour`` with all that it does."""
    async with store.open(url) as garden, Redis.from_url(url) as client:  # pyright: ignore[reportUnknownMemberType]
        keys = [spec.key for spec in fields(garden).values()]
        if any(await asyncio.gather(garden.plants.exists(), garden.log.exists(), garden.visits.exists())):
            sys.exit(f"garden.py: these keys are in use, perhaps by a run that was cut short: {' '.join(keys)}")
        print(paint("36", inspect.getsource(Garden)))
        for spec in fields(garden).values():
            kind = f"{spec.collection.__name__}[{getattr(spec.value_type, '__name__', spec.value_type)}]"
            limits = f"  kept for {spec.ttl.duration} after a write" if spec.ttl else ""
            print(f"    garden.{spec.name:<7} {spec.key:<28} {kind}{limits}")
        print()
        try:
            async with client.monitor() as monitor:
                await watch(garden, keys, client, monitor)
        finally:
            await garden.clear()


async def watch(garden: Garden, keys: list[str], client: Redis, monitor: Monitor) -> None:
    """Execute ``tour`` statement by statement and print what the server receives meanwhile."""
    source = inspect.getsource(tour)
    function = ast.parse(source).body[0]
    assert isinstance(function, ast.AsyncFunctionDef)
    names: dict[str, object] = {**globals(), "garden": garden}
    printed = function.lineno
    for statement in function.body:
        comments = source.splitlines()[printed : statement.lineno - 1]
        print(*(paint("1", comment[4:]) for comment in comments), sep="\n", end="\n" if comments else "")
        print(paint("36", textwrap.dedent(f"    {ast.get_source_segment(source, statement)}")))
        printed = statement.end_lineno or printed
        outcome = await execute(statement, names)
        await client.echo("that was all")  # pyright: ignore[reportUnknownMemberType]
        received: list[tuple[str, str]] = []
        while (line := await monitor.next_command())["command"] != "ECHO that was all":
            received.append((f"{line['client_address']}:{line['client_port']}", line["command"]))
        for command, times in Counter(sent_by_garden(received, keys)).items():
            print(paint("33", f"    {shortened(command)}{f'   ({times} times)' if times > 1 else ''}"))
        print(outcome, end="\n" if outcome else "")


async def execute(statement: ast.stmt, names: dict[str, object]) -> str:
    """Run one statement of ``tour`` and return its value, if it is an expression, as text to print."""
    node = ast.Expression(statement.value) if isinstance(statement, ast.Expr) else ast.Module([statement], [])
    mode = "eval" if isinstance(node, ast.Expression) else "exec"
    try:
        value: object = eval(compile(node, __file__, mode, ast.PyCF_ALLOW_TOP_LEVEL_AWAIT), names)
        if inspect.isawaitable(value):
            value = await value
    except PurseError as error:
        return paint("31", f"  ! {type(error).__name__}: {error}")
    return f"  = {shortened(repr(value))}" if mode == "eval" else ""


def sent_by_garden(received: list[tuple[str, str]], keys: list[str]) -> list[str]:
    """The commands of the connection that named one of ``keys``, what is between MULTI and EXEC in one line."""
    ours = {client for client, command in received if any(key in command for key in keys)} - {"lua:"}
    lines: list[str] = []
    for client, command in received:
        command = re.sub(r"^(EVALSHA .{8})\S+", r"\1...", re.sub(r"^EVAL .*?(?= \d+ \{\S+:)", "EVAL <script>", command))
        if client in ours and lines and lines[-1].startswith("MULTI") and not lines[-1].endswith("EXEC"):
            lines[-1] += f" | {command}"
        elif client in ours:
            lines.append(command)
    return lines


def shortened(text: str) -> str:
    return text if len(text) <= 112 else f"{text[:109]}..."


def paint(colour: str, text: str) -> str:
    return f"\033[{colour}m{text}\033[0m" if sys.stdout.isatty() and "NO_COLOR" not in os.environ else text


def main() -> None:
    parser = argparse.ArgumentParser(description="A typed garden on Redis, and every command that it sends.")
    parser.add_argument(
        "--url",
        default=os.environ.get("PURSE_REDIS_URL"),
        help="your server, redis://...; without it and PURSE_REDIS_URL, one is started for the tour",
    )
    url: str | None = parser.parse_args().url
    try:
        if url is None:
            with Server() as server:
                asyncio.run(show(server.url, Garden))
        else:
            asyncio.run(show(url, Guest))
    except (RedisError, PurseError, ValueError) as error:
        sys.exit("\n".join([f"garden.py: {error}", *getattr(error, "__notes__", [])]))


if __name__ == "__main__":
    main()
