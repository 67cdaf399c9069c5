"""The tables of methods in the pages of the documentation."""

from __future__ import annotations

import re
from pathlib import Path

__all__ = ["documented_permissions"]

DOCS = Path(__file__).parents[2] / "docs"


def documented_permissions(page: str) -> dict[str, frozenset[str]]:
    """For each method on a page the commands that a user must be allowed, in lower case; of several rows all."""
    found: dict[str, set[str]] = {}
    for line in (DOCS / f"{page}.md").read_text("utf-8").splitlines():
        cells = [cell.strip() for cell in line.strip("|").split(" | ")]
        if not line.startswith("| `") or len(cells) < 4:
            continue
        for method in re.findall(r"`(?:\w+\.)?(async for|\w+)[(`\s]", cells[0]):
            found.setdefault(method, set()).update(re.findall(r"[A-Z]{2,}", cells[-1]))
    return {method: frozenset(command.lower() for command in commands) for method, commands in found.items()}
