"""Losses: when connections that are lost over the same words are too many."""

from __future__ import annotations

from purse._engine.link import Ended, LinkLost
from purse._engine.losses import MOST, Losses


def lost() -> LinkLost:
    """A connection that was lost."""
    return LinkLost(Ended("a test wants it so"), sent=True)


def test_a_connection_counts_once() -> None:
    """However many calls have waited for its answer."""
    losses, connection = Losses(), lost()

    assert not any(losses.add(connection) for _ in range(10 * MOST))
    assert losses.count == 1


def test_several_connections_are_too_many() -> None:
    """The last of ``MOST`` connections, one after the other, is one too many, and so is each after it."""
    losses, connections = Losses(), [lost() for _ in range(MOST + 1)]

    assert [losses.add(connection) for connection in connections] == [False] * (MOST - 1) + [True, True]


def test_an_answer_begins_anew() -> None:
    """Connections that were lost before the last answer do not count, not even if the same is lost again."""
    losses, connection = Losses(), lost()
    for _ in range(MOST - 1):
        losses.add(lost())
    losses.add(connection)

    losses.clear()

    assert not losses.add(connection)
    assert losses.count == 1
