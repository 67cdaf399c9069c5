"""Child processes of a test, which do not outlive it."""

from __future__ import annotations

import asyncio
import contextlib
import sys
from asyncio.subprocess import Process
from weakref import WeakKeyDictionary

from tests.support.scripts import ROOT

__all__ = ["end_children", "start_python"]

_started: WeakKeyDictionary[asyncio.AbstractEventLoop, list[Process]] = WeakKeyDictionary()


async def start_python(*arguments: str, stdout: int | None = None, stderr: int | None = None) -> Process:
    """Start this Python with these arguments, in the root of the repository.

    If it still runs when the test ends, it is killed.

    Args:
        stdout, stderr: ``asyncio.subprocess.PIPE``, or None for those of the tests.
    """
    process = await asyncio.create_subprocess_exec(sys.executable, *arguments, cwd=ROOT, stdout=stdout, stderr=stderr)
    _started.setdefault(asyncio.get_running_loop(), []).append(process)
    return process


async def end_children() -> None:
    """Kill the processes that were started in the running loop and still run."""
    for process in _started.pop(asyncio.get_running_loop(), ()):
        with contextlib.suppress(ProcessLookupError):
            process.kill()
        await process.communicate()
