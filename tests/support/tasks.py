"""The tasks of the library, those included that ``asyncio.all_tasks()`` does not list."""

from __future__ import annotations

import asyncio
import gc
from typing import cast

from purse._engine import detached

__all__ = ["no_task_left", "purse_tasks", "tasks_in_memory"]


def purse_tasks() -> list[str]:
    """The names of the library's tasks in the running loop that are not done."""
    loop = asyncio.get_running_loop()
    here = detached._detachments.get(loop)  # pyright: ignore[reportPrivateUsage] - no public way to see them
    tasks = {*asyncio.all_tasks(), *(here.tasks if here is not None else ())}
    return sorted(task.get_name() for task in tasks if task.get_name().startswith("purse") and not task.done())


def tasks_in_memory() -> list[str]:
    """The same, those of connections included. Slow: it looks at every object of the process."""
    loop = asyncio.get_running_loop()
    tasks = cast("list[asyncio.Task[object]]", [one for one in gc.get_objects() if isinstance(one, asyncio.Task)])
    ours = [task for task in tasks if task.get_name().startswith("purse") and task.get_loop() is loop]
    return sorted(task.get_name() for task in ours if not task.done())


async def no_task_left() -> bool:
    """Whether nothing waits any more, and nothing is being put back."""
    return "purse: waiting" not in purse_tasks()
