"""Blocks of a semaphore: which permit the end of ``async with semaphore`` gives back."""

from __future__ import annotations

import asyncio
import weakref
from typing import TYPE_CHECKING

from purse._coordination.leases import has_ended

if TYPE_CHECKING:
    from purse._coordination.permits import Permit

__all__ = ["PermitBlocks"]


class PermitBlocks:
    """The permits of the blocks that are entered, with the tasks that entered them, in that order."""

    __slots__ = ("_blocks",)

    def __init__(self) -> None:
        self._blocks: dict[Permit, weakref.ref[asyncio.Task[object]] | None] = {}

    def enter(self, permit: Permit) -> None:
        """Note that the running task has entered a block with ``permit``."""
        task = asyncio.current_task()
        self._blocks[permit] = None if task is None else weakref.ref(task)

    def leave(self) -> Permit | None:
        """Remove and return the permit of the innermost block of this task, or else of a task that has ended.

        None without such a block.
        """
        here = asyncio.current_task()
        blocks = [(permit, None if task is None else task()) for permit, task in self._blocks.copy().items()]
        mine = [permit for permit, task in blocks if task is here]
        # A fixture of pytest may leave the block in another task than the one that entered it.
        orphaned = [permit for permit, task in blocks if has_ended(task)]
        for permit in reversed(mine or orphaned):
            if self._blocks.pop(permit, self) is not self:  # or else another task, or thread, was faster
                return permit
        return None
