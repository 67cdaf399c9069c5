"""Threads for tests: they begin at one moment, switch as often as Python lets them, and never hang a test."""

from __future__ import annotations

import sys
import threading
from collections.abc import Callable, Generator, Iterator
from contextlib import contextmanager
from functools import partial
from itertools import count
from types import CodeType, FrameType, FunctionType
from typing import Any, Generic, TypeAlias, TypeVar, cast

__all__ = ["PATIENCE", "at_once", "hurried", "interleaved"]

A = TypeVar("A")
B = TypeVar("B")
T = TypeVar("T")
TraceFunction: TypeAlias = Callable[[FrameType, str, Any], Any]

PATIENCE = 30.0
"""Seconds after which a thread is taken to hang. Nothing is measured by it."""


@contextmanager
def hurried() -> Generator[None]:
    """Let threads take turns as often as possible."""
    usual = sys.getswitchinterval()
    sys.setswitchinterval(1e-6)
    try:
        yield
    finally:
        sys.setswitchinterval(usual)


def at_once(*calls: Callable[[], T]) -> list[T | Exception]:
    """Make each call in a thread of its own, all of them at one moment; what they return, or raise."""
    start = threading.Barrier(len(calls))
    results: list[T | Exception] = [AssertionError("the thread hangs")] * len(calls)

    def run(nth: int) -> None:
        start.wait(PATIENCE)
        try:
            results[nth] = calls[nth]()
        except Exception as error:
            results[nth] = error

    threads = [threading.Thread(target=run, args=(nth,), daemon=True) for nth in range(len(calls))]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(PATIENCE)
    return results


def interleaved(
    begin: Callable[[], tuple[Callable[[], A], Callable[[], B]]], *inside: Callable[..., object], by_line: bool = False
) -> Iterator[tuple[A | Exception, B | Exception]]:
    """Every way in which one call of another thread can come in between the steps of a call.

    Args:
        begin: called for each of them; makes the call that is interrupted, and the other one.
        inside: the functions of Python between whose bytecodes the other call comes, once for each bytecode.
        by_line: only once for each line, for what takes long.

    Returns:
        What both returned, or raised. If the other call has to wait for a lock, the first goes on meanwhile.
    """
    codes = {function.__code__ for function in cast("tuple[FunctionType, ...]", inside)}
    for step in count():
        call, other = begin()
        between = _Between(codes, ("line",) if by_line else ("opcode", "line"), step, other)
        (first,) = at_once(partial(between.run, call))
        if between.thread is None:
            assert step, "none of these functions was called"
            return
        between.thread.join(PATIENCE)
        yield first, between.result


class _Between(Generic[B]):
    """Makes a call in another thread when this one is about to execute the bytecode of this number."""

    def __init__(self, codes: set[CodeType], events: tuple[str, ...], step: int, other: Callable[[], B]) -> None:
        self._codes = codes
        self._events = events  # Python 3.12 tells of the bytecodes of a frame only later, so lines count as well
        self._left = step
        self._other = other
        self.thread: threading.Thread | None = None
        self.result: B | Exception = AssertionError("the thread hangs")

    def run(self, call: Callable[[], T]) -> T:
        """Make ``call`` in this thread."""
        sys.settrace(self._trace)
        try:
            return call()
        finally:
            sys.settrace(None)

    def _trace(self, frame: FrameType, event: str, argument: object) -> TraceFunction | None:
        if frame.f_code not in self._codes:
            return None
        frame.f_trace_opcodes = True
        if event in self._events:
            self._left -= 1
            if self._left == -1:
                self.thread = threading.Thread(target=self._come_in_between, daemon=True)
                self.thread.start()
                self.thread.join(_TURN)
        return self._trace

    def _come_in_between(self) -> None:
        try:
            self.result = self._other()
        except Exception as error:
            self.result = error


_TURN = 0.01  # seconds in which a call that waits for no lock is nearly always over; if it is not, it comes later
