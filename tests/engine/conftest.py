"""Every test of the engine runs in each of its modes, unless it is marked for some."""

from __future__ import annotations

from collections.abc import Generator

import pytest

from tests.support import engines
from tests.support.engines import parametrize


def pytest_generate_tests(metafunc: pytest.Metafunc) -> None:
    """All of these tests hold however calls reach Redis."""
    parametrize(metafunc, "shared", "driven", "dedicated")


@pytest.fixture(autouse=True)
def engine(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> Generator[str]:
    """The mode in which this test's clients reach Redis."""
    with engines.engine(getattr(request, "param", "shared"), monkeypatch) as name:
        yield name
