"""Every test of the engine runs in each of its modes, unless it is marked for some."""

from __future__ import annotations

import pytest

from tests.support.engines import parametrize


def pytest_generate_tests(metafunc: pytest.Metafunc) -> None:
    """All of these tests hold however calls reach Redis."""
    parametrize(metafunc, "shared", "driven", "dedicated")
