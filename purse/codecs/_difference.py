"""Difference: the first place where what was read back is not what was written."""

from __future__ import annotations

from enum import Enum
from typing import NamedTuple

from pydantic import BaseModel

__all__ = ["ABSENT", "NEVER_SET", "WAS_SET", "Difference", "Mark"]


class Mark(Enum):
    """What a message calls something that is not a value."""

    ABSENT = "nothing"
    WAS_SET = "a field that was set"
    NEVER_SET = "one that was never set"

    def __repr__(self) -> str:
        return self.value


ABSENT, WAS_SET, NEVER_SET = Mark


class Difference(NamedTuple):
    """The first place where two values differ.

    Attributes:
        path: where, as Python would write it: ``secrets.token``, ``[0].name``, ``['bed']``. Empty at the top.
        before: the part that was written.
        after: what it would come back as.
        owner: the model whose field this is, if the last step was a field.
        field: the name of that field.
        fix: what to write instead, where the judge knows it.
    """

    path: str
    before: object
    after: object
    owner: BaseModel | None = None
    field: str = ""
    fix: str = ""

    def inside(self, step: str) -> Difference:
        """The same difference, seen from one level further up."""
        dot = "." if self.path and not self.path.startswith("[") else ""
        return self._replace(path=step + dot + self.path)
