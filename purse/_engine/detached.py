"""Tasks that belong to no caller, and how they end together with their event loop.

    ``background``  an ordinary task, which the end of ``asyncio.run`` cancels
    ``hidden``      runs until its work is done or its owner cancels it
    ``detached``    the same, and the end of the loop waits for it: ``GRACE`` seconds, then it is cancelled

The end of ``asyncio.run`` cancels every task that ``asyncio.all_tasks()`` lists. A task that puts an element back,
releases a lock or reads the reply to a command that removed something must not be cancelled like that, so hidden tasks
are not listed. The end of the loop waits for the detached ones instead, after that cancellation (``loops.at_end``).

No task here begins before the function that makes it has returned, with any task factory of the loop. With
``asyncio.eager_task_factory`` a task would run, and might end, before its owner has a reference to it.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Coroutine
from typing import TypeVar

from purse._engine.loops import PerLoop, at_end, everywhere, forget_ended, silence

__all__ = ["GRACE", "background", "detached", "hidden"]

GRACE = 1.0
"""Seconds for which the end of a loop, or of a store, waits for elements that are being put back."""

T = TypeVar("T")


def background(work: Coroutine[object, None, T], name: str) -> asyncio.Task[T]:
    """Make an ordinary task that does not begin at once. The caller keeps a reference to it."""
    # The class and not loop.create_task(), which asks the loop's task factory.
    return asyncio.Task(work, loop=asyncio.get_running_loop(), name=f"purse: {name}")


def hidden(work: Coroutine[object, None, T], name: str) -> asyncio.Task[T]:
    """Make a task that the end of ``asyncio.run`` does not cancel. Its owner cancels it, and keeps a reference."""
    task = background(work, name)
    asyncio._unregister_task(task)
    silence(task)  # a loop that is only closed, and not shut down, leaves it pending
    return task


def detached(
    work: Coroutine[object, None, T], name: str, *, hasten: Callable[[], None] | None = None
) -> asyncio.Task[T]:
    """Run ``work`` in a task that needs no owner. An exception of it that is not retrieved is dropped.

    Args:
        hasten: called when the loop ends, to let ``work`` end soon.
    """
    task = hidden(work, name)
    detachment = _detachments.get(task.get_loop()) or _new_detachment()
    detachment.tasks[task] = hasten  # the loop itself refers to its tasks weakly
    task.add_done_callback(detachment.forget)
    return task


class _Detachment:
    """The detached tasks of one event loop."""

    def __init__(self) -> None:
        self.tasks: dict[asyncio.Task[object], Callable[[], None] | None] = {}

    def forget(self, task: asyncio.Task[object]) -> None:
        self.tasks.pop(task, None)
        if not task.cancelled():
            task.exception()

    async def end(self) -> None:
        """Let the tasks end. Those that take longer than ``GRACE`` seconds are cancelled."""
        loop = asyncio.get_running_loop()
        deadline = loop.time() + GRACE
        while (tasks := self._pending()) and (left := deadline - loop.time()) > 0:
            for hasten in [*self.tasks.values()]:
                if hasten is not None:
                    hasten()
            await asyncio.wait(tasks, timeout=left, return_when=asyncio.FIRST_COMPLETED)
        while tasks := self._pending():
            for task in tasks:
                task.cancel()
            await asyncio.wait(tasks)

    def _pending(self) -> list[asyncio.Task[object]]:
        # Not all of them: waiting for one that is done does not suspend, so its callback might never run and forget it.
        return [task for task in self.tasks if not task.done()]


_detachments: PerLoop[_Detachment] = everywhere()


def _new_detachment() -> _Detachment:
    forget_ended()
    detachment = _detachments.here(_Detachment)
    at_end(detachment.end)
    return detachment
