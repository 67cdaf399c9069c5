"""Which worker of xdist takes a test: the one that is free, but the tests of some files stay together.

xdist's own ``loadgroup`` reads its groups off the ids of tests, into which pytest 9.2 no longer lets it write them.
"""

from __future__ import annotations

# xdist has no types.
from xdist.scheduler import LoadScopeScheduling  # type: ignore[import-untyped]  # pyright: ignore[reportMissingTypeStubs]

__all__ = ["Scheduling"]

TOGETHER = {
    "tests/docs/test_docs.py",  # examples in docstrings run once, in one program
    "tests/docs/test_readme.py",  # there is one port 6379
    "tests/test_interop.py",  # and one environment of redis-purse 2.x
}


class Scheduling(LoadScopeScheduling):  # type: ignore[misc]
    """Sends single tests, and the files of ``TOGETHER`` as a whole."""

    def _split_scope(self, nodeid: str) -> str:
        """The unit that a test belongs to. xdist asks for it."""
        file = nodeid.partition("::")[0]
        return file if file in TOGETHER else nodeid
