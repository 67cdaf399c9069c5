"""Exceptions that come between two lines: a Ctrl-C, or no memory.

Python raises a KeyboardInterrupt before whatever line is the next, so the tests raise one before each.
"""

from __future__ import annotations

import gc
import sys
from collections.abc import Collection
from types import FrameType, ModuleType, TracebackType
from typing import Any, Self

Line = tuple[str, int]
"""A file, and the number of a line in it."""


class Interruption:
    """Counts the lines of some modules that are executed in this block, and raises before one of them.

    Args:
        modules: whose lines count.
        nth: before which of them to raise, the first is 0; None: before none.
        error: what is raised, once.

    Attributes:
        lines: the lines that were met, the one before which it has raised included.
    """

    def __init__(self, modules: Collection[ModuleType], nth: int | None, error: type[BaseException]) -> None:
        self._files = {module.__file__ for module in modules}
        self._nth = nth
        self._error = error
        self.lines: list[Line] = []

    def __enter__(self) -> Self:
        self._former = sys.gettrace()
        gc.disable()  # the finalizer of another client would run here, and nobody catches what is raised in it
        sys.settrace(self._called)
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        sys.settrace(self._former)
        gc.enable()

    def _called(self, frame: FrameType, event: str, argument: object) -> Any:
        return self._passed if frame.f_code.co_filename in self._files else None

    def _passed(self, frame: FrameType, event: str, argument: object) -> Any:
        if event == "line":
            self.lines.append((frame.f_code.co_filename, frame.f_lineno))
            if len(self.lines) - 1 == self._nth:  # Python traces no more after an exception of the tracer's
                raise self._error("a test wants it so")
        return self._passed
