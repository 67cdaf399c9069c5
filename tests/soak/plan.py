"""What goes wrong and when, decided by the seed."""

from __future__ import annotations

from dataclasses import dataclass
from random import Random
from typing import Literal, TypeAlias

__all__ = ["Fault", "Kind", "plan"]

Kind: TypeAlias = Literal[
    "script flush", "oom", "client pause", "stop", "delay", "master stop",
    "kill", "client kill", "cut", "swallow", "long stop", "master kill",
]  # fmt: skip

_GENTLE: tuple[Kind, ...] = ("script flush", "oom", "client pause", "stop", "delay", "master stop")
_HARD: tuple[Kind, ...] = ("kill", "kill", "client kill", "client kill", "cut", "cut", "swallow", "master kill")


@dataclass(frozen=True, slots=True)
class Fault:
    """One fault.

    Attributes:
        at: seconds after the round's beginning.
        kind: what goes wrong.
        seconds: for how long.
        amount: of bytes, where a reply is cut; or the number of a master.
    """

    at: float
    kind: Kind
    seconds: float
    amount: int


def plan(seed: int, number: int, seconds: float, *, rough: bool) -> list[Fault]:
    """The faults of one round, one after the other."""
    rng = Random(f"{seed} plan {number}")
    faults: list[Fault] = []
    at = rng.uniform(0.2, 0.6)
    while at < seconds - 0.5:
        kind = rng.choice((*_GENTLE, *_HARD) if rough else _GENTLE)
        if rough and rng.random() < 0.03:
            kind = "long stop"
        length = 2.5 if kind == "long stop" else rng.choice((0.02, 0.1, 0.3, 0.6)) * rng.uniform(0.5, 1)
        faults.append(Fault(at, kind, length, rng.randrange(300)))
        at += length + rng.uniform(0.05, 1.0)
    return faults
