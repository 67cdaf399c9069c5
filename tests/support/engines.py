"""The ways in which calls can reach Redis, each of which keeps the same promises.

    shared      one connection, whose transport was adopted: what users of redis-py's own client get
    driven      one connection through redis-py's public methods: if its transport cannot be adopted
    dedicated   a connection for each call: what users of fakes, subclasses and tracers get

Tests say nothing of it: a client made by ``connect`` is in the mode of the test that runs. A test that only
makes sense in some modes is marked ``@pytest.mark.engines("shared", ...)``.
"""

from __future__ import annotations

from collections.abc import Callable, Generator, Sequence
from contextlib import contextmanager

import pytest
from redis.asyncio import Redis

from purse import configure
from purse._engine import opening
from purse._engine.adoption import AdoptedLink, NotAdoptable
from purse._engine.clients import Connection

SERVED_BY = {"server", "redis", "proxy", "wire", "own_server", "nodes", "forgetful"}
"""Fixtures of tests that reach a server; other tests run once."""

_current = "shared"


def parametrize(metafunc: pytest.Metafunc, *engines: str, thorough: Sequence[str] = ()) -> None:
    """Run a test in each of ``engines``, with ``--all`` also in each of ``thorough``; or in those of its mark."""
    mark = metafunc.definition.get_closest_marker("engines")
    if SERVED_BY.intersection(metafunc.fixturenames):
        others = [pytest.param(name, marks=pytest.mark.thorough) for name in thorough]
        metafunc.parametrize("engine", mark.args if mark else [*engines, *others], indirect=True)


@contextmanager
def engine(name: str, monkeypatch: pytest.MonkeyPatch) -> Generator[str]:
    """Have the clients that ``connect`` makes reach Redis in this way."""
    global _current
    _current = name
    if name == "driven":
        monkeypatch.setattr(opening, "adopt", _not_adoptable)
    yield name
    _current = "shared"


def choose_engine(client: Redis) -> None:
    """Put a client into the mode of the test that runs."""
    if _current == "dedicated":
        configure(client, engine="dedicated")


def _not_adoptable(connection: Connection, on_close: Callable[[AdoptedLink], None]) -> AdoptedLink:
    raise NotAdoptable("a test wants it so")
