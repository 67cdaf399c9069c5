"""A job: tasks that use some structures, and what must hold of them when the round is over."""

from __future__ import annotations

import asyncio
from abc import ABC, abstractmethod
from collections.abc import Coroutine, Iterable
from dataclasses import dataclass
from random import Random
from typing import Any, TypeAlias

from redis.asyncio import Redis

from tests.soak.calls import Caller
from tests.soak.journal import Breaks, Journal
from tests.soak.scene import Scene

__all__ = ["Job", "Round", "Worker"]

Worker: TypeAlias = Coroutine[Any, Any, None]

_PAUSE = 0.15  # seconds at most between two calls of a task


@dataclass(frozen=True, slots=True)
class Round:
    """What the jobs of one round share.

    Attributes:
        seed: of the soak.
        number: of the round.
        end: the event loop's time at which the tasks stop.
        scene: servers and clients.
        journal: counts, events and findings.
        breaks: when connections were lost.
    """

    seed: int
    number: int
    end: float
    scene: Scene
    journal: Journal
    breaks: Breaks

    @property
    def going(self) -> bool:
        """Whether the tasks go on."""
        return asyncio.get_running_loop().time() < self.end

    def key(self, name: str) -> str:
        """A key of this round alone."""
        return f"soak:{self.number}:{name}"

    def caller(self, name: str) -> Caller:
        """A caller with randomness of its own."""
        return Caller(name, Random(f"{self.seed} {self.number} {name}"), self.journal, self.breaks)


class Job(ABC):
    """Tasks that use some structures.

    Args:
        this_round: what it shares with the others.
    """

    def __init__(self, this_round: Round) -> None:
        self.round = this_round

    @property
    def clients(self) -> list[Redis]:
        """The clients of the main server."""
        return self.round.scene.clients

    @abstractmethod
    def workers(self) -> Iterable[Worker]:
        """The tasks; each ends soon after the round's end."""

    @abstractmethod
    async def judge(self) -> None:
        """Everything works, and the tasks have ended: what must hold now?"""

    async def pause(self, caller: Caller) -> None:
        """Between two calls."""
        await asyncio.sleep(caller.rng.uniform(0, _PAUSE))
