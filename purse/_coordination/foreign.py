"""Foreign values: values of other programs that a script found in its keys and reported (lua/foreign.lua)."""

from __future__ import annotations

import re

from purse.codecs._shown import shown

__all__ = ["found_in"]

_FOUND = re.compile(r"purse found (.*?): (.*)", re.DOTALL)


def found_in(error: Exception) -> str | None:
    """Describe, for a message, a value that purse did not write: ``a member that is not a permit, b'ada'``.

    None if ``error`` does not report one. The value is hidden after ``hide_values()``.
    """
    found = _FOUND.search(str(error))
    return None if found is None else f"{found[1]}, {shown(found[2].encode())}"
