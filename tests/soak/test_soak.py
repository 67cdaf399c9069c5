"""The soak in short, in both modes of the engine; ``python -m tests.soak`` is the long form."""

from __future__ import annotations

import pytest

from tests.soak.running import soak
from tests.soak.scene import Mode

SEED = 7


@pytest.mark.thorough
@pytest.mark.parametrize("mode", ["shared", "dedicated"])
async def test_nothing_is_found_in_a_calm_and_a_rough_round(mode: Mode) -> None:
    """200 tasks use every structure, cancelled and disturbed: no wrong answer, nothing lost, doubled or left behind."""
    report = await soak(seconds=4, seed=SEED, mode=mode)

    assert report.findings == [], str(report)
    assert report.tasks == 200
    done = report.tally
    assert done["rounds"] == 2
    assert {"cancelled", "items handed over", "histories", "locks held", "permits held", "hits"} <= done.keys()
