"""What the tests of declarations share."""

from __future__ import annotations

import sys
import textwrap
from collections.abc import Iterator
from itertools import count
from types import ModuleType

import pytest

from tests.support.declaring import PRELUDE, Declare

_numbers = count()


@pytest.fixture(params=["plain", "future"])
def declare(request: pytest.FixtureRequest) -> Iterator[Declare]:
    """Execute source as a module of its own and return it."""
    made: list[str] = []

    def execute(source: str) -> ModuleType:
        module = ModuleType(f"declared_{next(_numbers)}")
        future = "from __future__ import annotations\n" if request.param == "future" else ""
        sys.modules[module.__name__] = module
        made.append(module.__name__)
        exec(
            compile(future + PRELUDE + textwrap.dedent(source), module.__name__, "exec", dont_inherit=True),
            vars(module),
        )
        return module

    yield execute
    for name in made:
        del sys.modules[name]
