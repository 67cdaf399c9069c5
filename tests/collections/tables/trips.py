"""How often a call waits for the server, and for how many replies each time."""

from __future__ import annotations

from typing import Any

import pytest

from purse._engine.dedicated import DedicatedLink
from purse._engine.packing import Packed
from purse._engine.shared import SharedLink

__all__ = ["count_trips"]


def count_trips(monkeypatch: pytest.MonkeyPatch) -> list[int]:
    """A list that grows by each round trip: how many replies it asks for."""
    trips: list[int] = []

    def count(kind: type[SharedLink] | type[DedicatedLink]) -> None:
        original = kind.request

        def counted(link: Any, packed: Packed) -> object:
            trips.append(packed[1])
            return original(link, packed)

        monkeypatch.setattr(kind, "request", counted)

    count(SharedLink)
    count(DedicatedLink)
    return trips
