"""``python -m benchmarks profile``: what is left of a call, in functions called and in microseconds.

Two tables. The first counts the Python functions that one call enters (a coroutine that is resumed counts again,
because it costs again) and has its time, measured without the profiler. The second has the functions with the
most time of their own; the profiler makes each of its calls dearer, so trust their order and not their sum.
"""

from __future__ import annotations

import cProfile
import statistics
from pathlib import Path
from types import CodeType

from benchmarks import measure
from benchmarks.calls import PLANTS, Get, get_each
from benchmarks.data import Arena, Plant, to_json, validate_json
from benchmarks.measure import Sample, Stopwatch
from benchmarks.table import Table
from purse import RedisHash

__all__ = ["profile_calls"]

TOP = 12
"""How many functions of each side are shown."""


async def profile_calls(arena: Arena, calls: int, tasks: int, rounds: int, *, markdown: bool) -> None:
    """Profile reading one model from a hash, ``calls`` times by ``tasks`` tasks, and print the tables."""
    key = arena.key("profiled")
    plants = RedisHash(arena.purse, key, Plant)
    client = arena.hand
    await client.hset(key, mapping={name: to_json(plant) for name, plant in PLANTS.items()})

    async def get_plant(name: str) -> Plant | None:
        raw = await client.hget(key, name)
        return None if raw is None else validate_json(raw)

    sides: dict[str, Get] = {"purse": plants.get, "by hand": get_plant}
    samples: dict[str, list[Sample]] = {side: [] for side in sides}
    for nth in range(rounds + 1):
        for side, get in [*sides.items()][:: -1 if nth % 2 else 1]:
            watch = Stopwatch()
            await get_each(get, calls, tasks, watch)
            if nth:
                samples[side].append(watch.sample)
    profiles = {side: await _profiled(get, calls, tasks) for side, get in sides.items()}

    print(f"hash get of a small model, {tasks} tasks\n")
    table = Table(("side", "Python functions per call", "wall us", "CPU us"), (10, 0, 8, 8), markdown=markdown)
    table.print_headings()
    for side, profile in profiles.items():
        wall = statistics.median(sample.wall for sample in samples[side])
        cpu = statistics.median(sample.cpu for sample in samples[side])
        table.print_row(
            (side, f"{profile.python_calls / calls:.1f}", f"{wall / calls * 1e6:.2f}", f"{cpu / calls * 1e6:.2f}")
        )
    for side, profile in profiles.items():
        print()
        table = Table(("own us", "entered", side), (8, 8, 0), markdown=markdown, left=(2,))
        table.print_headings()
        for name, entered, seconds in profile.functions[:TOP]:
            table.print_row((f"{seconds / calls * 1e6:.2f}", f"{entered / calls:.2f}", name))


class _Profile:
    """What the profiler saw: functions, how often each was entered, and its own seconds; the dearest first."""

    def __init__(self, profiler: cProfile.Profile) -> None:
        # What makes the calls is no part of a call.
        entries = [entry for entry in profiler.getstats() if _file(entry.code) != measure.__file__]
        self.python_calls = sum(entry.callcount for entry in entries if isinstance(entry.code, CodeType))
        self.functions = sorted(
            ((_named(entry.code), entry.callcount, entry.inlinetime) for entry in entries),
            key=lambda function: -function[2],
        )


async def _profiled(get: Get, calls: int, tasks: int) -> _Profile:
    profiler = cProfile.Profile()
    await get_each(get, calls, tasks, profiler)
    return _Profile(profiler)


def _file(code: CodeType | str) -> str:
    return "" if isinstance(code, str) else code.co_filename


def _named(code: CodeType | str) -> str:
    """A function as ``redis/asyncio/client.py: Redis.execute_command``; one written in C as the profiler has it."""
    if isinstance(code, str):
        return code.strip("<>").removeprefix("built-in ")
    parts = Path(code.co_filename).parts
    for top in ("site-packages", "purse", "benchmarks"):
        if top in parts[:-1]:
            at = len(parts) - 1 - parts[::-1].index(top)
            parts = parts[at + (top == "site-packages") :]
            break
    else:
        parts = parts[-2:]
    return f"{'/'.join(parts)}: {code.co_qualname}"
