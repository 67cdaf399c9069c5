"""Rows of memory and of import time."""

from __future__ import annotations

import gc
import os
import subprocess
import sys
import tracemalloc
from collections.abc import Awaitable, Callable, Iterator
from dataclasses import dataclass
from itertools import islice
from pathlib import Path
from typing import cast

import purse
from benchmarks.data import Arena, Plant, plants_by_name, to_json, validate_json
from benchmarks.measure import Progress, Raw, Row, Sample, TimedRow, Trial
from purse import RedisHash

__all__ = ["footprint_rows"]

MIB = 2**20
LIMIT_MIB = 2.0
"""What iterating may take at its peak, however large the hash: a few pages, and room for an allocator."""

IMPORT_RATIO = 1.3
"""How many times as long as its two dependencies purse may take to import, them included."""

# In a process of its own, which times nothing but the import.
_IMPORT = """\
import time
wall, cpu = time.perf_counter(), time.process_time()
{statement}
print(time.perf_counter() - wall, time.process_time() - cpu)
"""


def footprint_rows(arena: Arena, items: int) -> Iterator[Row]:
    """The rows of this module; memory is looked at with 20 times as many items as elsewhere."""
    # Names of purse are imported when they are used, so `import purse` alone would be nothing.
    ours = _imports("from purse import TTL, RedisHash, RedisList, Store", arena.scratch)
    # Names of pydantic are, too: `import pydantic` alone is a third of what whoever defines a model imports.
    hand = _imports("import redis.asyncio; from pydantic import BaseModel, TypeAdapter", arena.scratch)
    name = "import purse, against redis and BaseModel"
    yield TimedRow(name, 1, 1 / IMPORT_RATIO, ours, hand, target_text=f"{1 / IMPORT_RATIO:.2f}x")
    yield iteration_memory(arena, 20 * items)


@dataclass(frozen=True)
class Growth:
    """How much memory each side took at its peak."""

    name: str
    purse_mib: float
    hand_mib: float

    @property
    def reached(self) -> str:
        """Whether purse stayed below the limit."""
        return "yes" if self.purse_mib < LIMIT_MIB else "no"

    def cells(self) -> tuple[str, ...]:
        """See ``Result``."""
        sizes = (f"{self.purse_mib:.2f} MiB", f"{self.hand_mib:.2f} MiB")
        return (self.name, *sizes, "", "", f"< {LIMIT_MIB:g} MiB", self.reached)

    def raw(self) -> dict[str, Raw]:
        """See ``Result``."""
        return {
            "name": self.name,
            "purse: peak MiB": self.purse_mib,
            "by hand: peak MiB": self.hand_mib,
            "limit MiB": LIMIT_MIB,
            "reached": self.reached,
        }


@dataclass(frozen=True)
class MemoryRow:
    """A row that compares what two ways of iterating allocate at their peak; once, because it does not vary.

    Args:
        name: what is compared with what.
        load: stores what is iterated over.
        purse: iterates, keeping nothing, and returns how many items there were.
        hand: the same by hand.
        items: how many there are.
    """

    name: str
    load: Callable[[], Awaitable[None]]
    purse: Callable[[], Awaitable[int]]
    hand: Callable[[], Awaitable[int]]
    items: int

    async def measure(self, rounds: int, progress: Progress) -> Growth:
        """See ``Row``."""
        progress(f"{self.name}: loading")
        await self.load()
        progress(self.name)
        return Growth(self.name, await self._peak_mib(self.purse), await self._peak_mib(self.hand))

    async def _peak_mib(self, iterate: Callable[[], Awaitable[int]]) -> float:
        gc.collect()
        tracemalloc.start()
        try:
            before, _ = tracemalloc.get_traced_memory()
            # Where a hash is resized meanwhile HSCAN may return a field twice; never fewer than there are.
            assert await iterate() >= self.items
            _, peak = tracemalloc.get_traced_memory()
        finally:
            tracemalloc.stop()
        return (peak - before) / MIB


def iteration_memory(arena: Arena, items: int) -> Row:
    """Iterate over a large hash without keeping anything: by pages, and by HGETALL."""
    key = arena.key("large hash")
    plants = RedisHash(arena.purse, key, Plant)
    client = arena.hand

    async def load() -> None:
        pairs = iter(plants_by_name(items).items())
        while page := [*islice(pairs, 1000)]:
            await client.hset(key, mapping={name: to_json(plant) for name, plant in page})
        await plants.len()  # opens the connection, whose memory is not the iteration's

    async def async_for() -> int:
        count = 0
        async for name, plant in plants:
            assert plant.name == name
            count += 1
        return count

    async def hgetall() -> int:
        found = cast("dict[bytes, bytes]", await client.hgetall(key))
        for name, raw in found.items():
            assert validate_json(raw).name == name.decode()
        return len(found)

    return MemoryRow(f"memory to iterate a hash of {items:,}, against HGETALL", load, async_for, hgetall, items)


def _imports(statement: str, scratch: Path) -> Trial:
    async def run() -> Sample:
        return _timed_import(statement, scratch)

    return run


def _timed_import(statement: str, scratch: Path) -> Sample:
    root = str(Path(purse.__file__).parents[1])  # the purse that this process has, wherever it is
    path = os.pathsep.join(filter(None, [root, os.environ.get("PYTHONPATH")]))
    # Both sides have their byte code, compiled in the warm-up, whatever is beside the sources.
    environment = {**os.environ, "PYTHONPATH": path, "PYTHONPYCACHEPREFIX": str(scratch)}
    environment.pop("PYTHONDONTWRITEBYTECODE", None)
    ended = subprocess.run(
        [sys.executable, "-c", _IMPORT.format(statement=statement)],
        stdout=subprocess.PIPE,
        encoding="ascii",
        env=environment,
        check=True,
    )
    wall, cpu = map(float, ended.stdout.split())
    return Sample(wall, cpu)
