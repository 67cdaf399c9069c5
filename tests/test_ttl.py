"""TTL, the value object; what it does to keys is tested with the collections."""

from __future__ import annotations

from datetime import timedelta

import pytest

from purse import TTL, DeclarationError


def test_the_duration_is_the_sum_of_its_parts() -> None:
    """Parts add up, fractions too; policies of the same duration and options are equal and hash alike."""
    ttl = TTL(days=1, hours=1.5, minutes=30, seconds=1, milliseconds=5)

    assert ttl.duration == timedelta(days=1, hours=2, seconds=1, milliseconds=5)
    assert ttl.duration_ms == 93_601_005
    assert TTL(hours=1) == TTL(minutes=60)
    assert hash(TTL(hours=1)) == hash(TTL(minutes=60))
    assert TTL(hours=1) != TTL(hours=1, renew="read")


@pytest.mark.parametrize("parts", [{}, {"hours": 0}, {"hours": -1}, {"milliseconds": 0.4}, {"hours": float("nan")}])
def test_a_duration_below_a_millisecond_is_refused(parts: dict[str, float]) -> None:
    """Nothing, zero, a negative or no number at all is a DeclarationError that shows what to write."""
    with pytest.raises(DeclarationError, match="TTL\\(hours=1\\)"):
        TTL(**parts)  # type: ignore[arg-type] # pyright: ignore[reportArgumentType]


def test_a_duration_that_scripts_cannot_count_is_refused() -> None:
    """Beyond 2**53 ms a Lua number is not exact."""
    with pytest.raises(DeclarationError, match="between 1 ms"):
        TTL(milliseconds=2**53 + 2)


def test_unknown_options_are_refused() -> None:
    """A misspelt ``renew=`` and a jitter outside of 0 to 1 name what is allowed."""
    with pytest.raises(DeclarationError, match='"write", "read" or "never"'):
        TTL(hours=1, renew="writes")  # type: ignore[arg-type] # pyright: ignore[reportArgumentType]
    for jitter in (-0.1, 1, 2, float("nan")):
        with pytest.raises(DeclarationError, match="jitter"):
            TTL(hours=1, jitter=jitter)


def test_jitter_spreads_around_the_duration() -> None:
    """Each draw is within the declared spread, and draws differ; without jitter all are the duration."""
    drawn = {TTL(seconds=100, jitter=0.1).draw_ms() for _ in range(1000)}

    assert 90_000 <= min(drawn) < 95_000
    assert 105_000 < max(drawn) <= 110_000
    assert {TTL(seconds=100).draw_ms() for _ in range(100)} == {100_000}
    assert TTL(milliseconds=1, jitter=0.9).draw_ms() >= 1
