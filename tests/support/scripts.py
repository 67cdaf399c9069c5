"""Running a program as a user would: in a process of its own, with Python's own checks switched on."""

from __future__ import annotations

import os
import re
import subprocess
import sys
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

__all__ = ["ROOT", "Ended", "run"]

ROOT = Path(__file__).parents[2]

# asyncio's debug mode, which -X dev switches on, tells when the machine was busy. That is no fault of a program's.
_SLOW = re.compile(r"^Executing <.*> took \d+\.\d+ seconds\n", re.MULTILINE)


@dataclass(frozen=True)
class Ended:
    """How a program ended, and what it printed."""

    code: int
    out: str
    err: str


def run(
    arguments: Sequence[str | Path], *, cwd: Path, environment: Mapping[str, str] | None = None, seconds: float = 60
) -> Ended:
    """``python -X dev -W error`` with ``arguments`` in the directory ``cwd``; ``environment`` is added to ours.

    The checkout's purse is importable there, installed or not.
    """
    paths = [str(ROOT), *filter(None, [os.environ.get("PYTHONPATH")])]
    ended = subprocess.run(
        [sys.executable, "-X", "dev", "-W", "error", *arguments],
        stdin=subprocess.DEVNULL,
        capture_output=True,
        encoding="utf-8",
        timeout=seconds,
        cwd=cwd,
        env={**os.environ, "PYTHONPATH": os.pathsep.join(paths), "PYTHONIOENCODING": "utf-8", **(environment or {})},
        check=False,
    )
    return Ended(ended.returncode, ended.stdout, _SLOW.sub("", ended.stderr))
