"""``python -m tests.soak --seconds 600 --seed 7 --mode shared``."""

from __future__ import annotations

import argparse
import asyncio
import sys
import time
from typing import get_args

from tests.soak.running import soak
from tests.soak.scene import Mode


def main() -> int:
    """Soak as told, print what happened; 1 if anything was found."""
    parser = argparse.ArgumentParser(prog="python -m tests.soak", description="Soak the library; see tests/soak.")
    parser.add_argument("--seconds", type=float, default=600, help="for which the tasks work (default: 600)")
    parser.add_argument("--seed", type=int, default=time.time_ns() % 10**6, help="decides what is done (default: any)")
    parser.add_argument("--mode", choices=get_args(Mode), default="shared", help="of the engine (default: shared)")
    given = parser.parse_args()
    print(f"seed {given.seed}", flush=True)
    report = asyncio.run(soak(seconds=given.seconds, seed=given.seed, mode=given.mode))
    print(report)
    return 1 if report.findings else 0


if __name__ == "__main__":
    sys.exit(main())
