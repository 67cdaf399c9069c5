"""``python -m benchmarks http``: it runs, and checks every answer; how fast is nobody's test."""

from __future__ import annotations

import pytest

from benchmarks.http import serving
from tests.support.scripts import ROOT, run


@pytest.mark.thorough
def test_the_benchmark_over_http_runs() -> None:
    """A row for each route, then where the time went."""
    options = ["--clients", "5", "--seconds", "0.1", "--rounds", "1", "--only", "write"]

    ended = run(["-m", "benchmarks", "http", *options], cwd=ROOT)

    assert ended.err == ""
    assert ended.code == 0
    lines = ended.out.splitlines()
    assert [line.split("  ")[0] for line in lines[3:5]] == ["no Redis", "write a plant"]
    assert "write a plant: profiled us of a request" in lines
    assert any(line.startswith("fastapi ") for line in lines)


@pytest.mark.thorough
def test_an_application_that_does_not_start() -> None:
    """It is told, and not waited for."""
    with (
        pytest.raises(SystemExit, match="the application nowhere did not start"),
        serving("nowhere", "redis://localhost"),
    ):
        pass
