"""Tasks that belong to no caller, and what becomes of them when their event loop ends.

    ``hidden``     runs until its work is done or its owner cancels it
    ``detached``   the same, and the end of the loop waits for it: ``GRACE`` seconds, then it is cancelled

The end of ``asyncio.run`` cancels every task that ``asyncio.all_tasks()`` lists. What puts an element back, releases
a lock or reads the reply to a command that removed something must not be torn out like that, so these tasks are not
listed. An asynchronous generator is parked in the loop instead: ``asyncio.run``, ``Runner`` and test frameworks all
end a loop by ``shutdown_asyncgens()``, which comes after the cancellation and runs the generator's ``finally``.

No task here begins before the function that makes it has returned, whatever the loop's task factory does: with
``asyncio.eager_task_factory`` a task would run, and might end, before its owner has noted that there is one.
"""

from __future__ import annotations

import asyncio
import contextlib
import os
from collections.abc import AsyncGenerator, Callable, Coroutine
from typing import TypeVar

from purse._engine.loops import silence, take_ended

__all__ = ["GRACE", "background", "detached", "end_of_detached", "forget_ended", "hidden"]

GRACE = 1.0
"""Seconds for which the end of a loop, or of a store, waits for what is being given back."""

T = TypeVar("T")


def background(work: Coroutine[object, None, T], name: str) -> asyncio.Task[T]:
    """An ordinary task that does not begin at once; the caller keeps a reference to it."""
    # The class and not loop.create_task(), which asks the loop's task factory.
    return asyncio.Task(work, loop=asyncio.get_running_loop(), name=f"purse: {name}")


def hidden(work: Coroutine[object, None, T], name: str) -> asyncio.Task[T]:
    """A task that the end of ``asyncio.run`` does not cancel; its owner does, and keeps a reference to it."""
    task = background(work, name)
    asyncio._unregister_task(task)
    silence(task)  # a loop that is only closed, and not shut down, leaves it as it is
    return task


def detached(
    work: Coroutine[object, None, T], name: str, *, hasten: Callable[[], None] | None = None
) -> asyncio.Task[T]:
    """Run ``work`` in a task that nobody has to wait for; its exception, if nobody takes it, is dropped.

    Args:
        hasten: called when the loop ends, to let ``work`` come to its end soon.
    """
    task = hidden(work, name)
    loop = task.get_loop()
    detachment = _detachments.get(loop)
    if detachment is None:
        forget_ended()
        detachment = _detachments[loop] = _Detachment()
    detachment.tasks[task] = hasten  # the loop itself refers to its tasks weakly
    task.add_done_callback(detachment.forget)
    return task


def forget_ended() -> None:
    """Forget the tasks of loops that were closed; any thread may call it."""
    take_ended(_detachments)


async def end_of_detached() -> None:
    """Let the detached tasks of the running loop end; those that take longer than ``GRACE`` seconds are cancelled."""
    detachment = _detachments.get(asyncio.get_running_loop())
    if detachment is not None:
        await detachment.end()


class _Detachment:
    """The detached tasks of one event loop."""

    def __init__(self) -> None:
        self.tasks: dict[asyncio.Task[object], Callable[[], None] | None] = {}
        self._parked = self._park()
        with contextlib.suppress(StopIteration):  # which means: it yielded
            self._parked.__anext__().send(None)

    def forget(self, task: asyncio.Task[object]) -> None:
        self.tasks.pop(task, None)
        if not task.cancelled():
            task.exception()

    async def end(self) -> None:
        loop = asyncio.get_running_loop()
        deadline = loop.time() + GRACE
        while self.tasks and (left := deadline - loop.time()) > 0:
            for hasten in [*self.tasks.values()]:
                if hasten is not None:
                    hasten()
            await asyncio.wait([*self.tasks], timeout=left, return_when=asyncio.FIRST_COMPLETED)
        while self.tasks:
            for task in [*self.tasks]:
                task.cancel()
            await asyncio.wait([*self.tasks])

    async def _park(self) -> AsyncGenerator[None, None]:
        try:
            yield
        finally:
            await self.end()


_detachments: dict[asyncio.AbstractEventLoop, _Detachment] = {}
_inherited: list[object] = []


def _after_fork() -> None:
    """Keep the tasks, which are the parent's: to drop one would wake its loop."""
    _inherited.append(dict(_detachments))
    _detachments.clear()


if hasattr(os, "register_at_fork"):
    os.register_at_fork(after_in_child=_after_fork)
