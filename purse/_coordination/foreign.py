"""Foreign values: what a script found where it keeps its own, and says so (lua/foreign.lua)."""

from __future__ import annotations

import re

from purse.codecs._shown import shown

__all__ = ["found_in"]

_FOUND = re.compile(r"purse found (.*?): (.*)", re.DOTALL)


def found_in(error: Exception) -> str | None:
    """What a script has found that purse did not write, for a message: ``a member that is not a permit, b'ada'``.

    None if ``error`` does not say so. What was found is hidden after ``hide_values()``.
    """
    found = _FOUND.search(str(error))
    return None if found is None else f"{found[1]}, {shown(found[2].encode())}"
