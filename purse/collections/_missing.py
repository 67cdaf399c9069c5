"""MISSING: no argument was given, where None is a value."""

from __future__ import annotations

from enum import Enum
from typing import Final

__all__ = ["MISSING", "Missing"]


class Missing(Enum):
    """The type of ``MISSING``."""

    MISSING = "MISSING"

    def __repr__(self) -> str:
        return self.value


MISSING: Final = Missing.MISSING
