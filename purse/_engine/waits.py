"""Waits: the lines of one client in one event loop, and the ``Wakeups`` that report changes of their keys."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from typing import TypeVar, cast
from weakref import WeakValueDictionary

from purse._engine.detached import GRACE
from purse._engine.unit import Unit
from purse._engine.waiting import Executes, Line
from purse._engine.wakeups import Wakeups

__all__ = ["Waits"]

E = TypeVar("E")


class Waits:
    """All lines of one client in one event loop.

    Args:
        executor: the client's executor.
        wakeups: the changes of its keys in this loop.
    """

    def __init__(self, executor: Executes, wakeups: Wakeups) -> None:
        self.wakeups = wakeups
        self._executor = executor
        self._lines: WeakValueDictionary[tuple[str, str], Line[object]] = WeakValueDictionary()

    def line(
        self,
        key: str,
        what: str,
        take: Callable[[int], Unit[list[E]]] | None,
        put_back: Callable[[list[E]], Unit[object]],
    ) -> Line[E]:
        """The line for ``what`` of ``key``. It exists as long as a caller waits in it, or elements must be put back."""
        found = self._lines.get((key, what))
        if found is not None:
            return cast("Line[E]", found)
        line = Line(self._executor, self.wakeups, key, take, put_back)
        self._lines[key, what] = cast("Line[object]", line)
        return line

    def __len__(self) -> int:
        """How many callers wait."""
        return sum(map(len, self._all_lines()))

    def _all_lines(self) -> list[Line[object]]:
        # Not ``values()``: the garbage collector may remove a line in another thread.
        return [line for ref in self._lines.valuerefs() if (line := ref()) is not None]

    async def settle(self, error: BaseException) -> None:
        """Let all waiting callers raise ``error``, and put back elements that are on their way.

        It takes at most ``GRACE`` seconds, and one loop iteration if there are none.
        """
        if self._lines:
            await asyncio.sleep(0)  # for callers that have an element, and do not run again yet
        tasks = [task for line in self._all_lines() if (task := line.close(error)) is not None]
        if tasks:
            _, late = await asyncio.wait(tasks, timeout=GRACE)
            for task in late:
                task.cancel()
            if late:
                await asyncio.wait(late)
