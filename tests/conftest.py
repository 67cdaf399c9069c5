"""Fixtures: one real server for the whole session, a fresh client for each test.

``PURSE_REDIS_SERVER=/path/to/redis-server`` runs the suite on that server. ``PURSE_REDIS_URL`` is not used here:
the tests empty their server, which must be one that they started.

``python -m pytest`` is the default run, ``python -m pytest --all`` takes every test: see ``tests.support.selection``.
"""

from __future__ import annotations

import ast
import gc
import inspect
import os
import sys
import textwrap
from collections.abc import AsyncIterator, Generator, Iterator
from itertools import count
from types import ModuleType
from typing import Any

import pytest
from redis.asyncio import Redis

from purse.embedded import Server, find_server
from purse.errors import ServerNotFound
from tests.support import engines, selection
from tests.support.children import end_children
from tests.support.clients import close_clients, connect
from tests.support.declaring import PRELUDE, Declare
from tests.support.proxy import Proxy

_numbers = count()


def pytest_addoption(parser: pytest.Parser) -> None:
    """``--all``."""
    selection.add_option(parser)


def pytest_configure(config: pytest.Config) -> None:
    """Before any module of tests is imported."""
    selection.configure(config)


@pytest.hookimpl(wrapper=True)
def pytest_collection_modifyitems(config: pytest.Config, items: list[pytest.Item]) -> Generator[None]:
    """Without ``--all``, tests that are marked thorough are deselected."""
    selection.mark_rows(items)
    yield
    selection.choose(config, items)


@pytest.hookimpl(trylast=True)
def pytest_collection_finish() -> None:
    """Thousands of tests are collected: what lives until the end is not searched by each ``gc.collect()`` in a test."""
    gc.collect()
    gc.freeze()


@pytest.hookimpl(optionalhook=True)
def pytest_xdist_make_scheduler(config: pytest.Config, log: Any) -> object:
    """Say which worker takes a test."""
    from tests.support.scheduling import Scheduling  # xdist is absent with ``-p no:xdist``

    return Scheduling(config, log)


@pytest.hookimpl(optionalhook=True)
def pytest_testnodedown(node: object) -> None:
    """A worker of xdist has ended: what it has deselected is counted."""
    config: pytest.Config = getattr(node, "config")  # noqa: B009 - xdist's classes are not typed
    selection.count(config, node)


def pytest_sessionstart() -> None:
    """Say once, and not in each test, that there is no server to test on."""
    os.environ.pop("PURSE_REDIS_URL", None)
    try:
        find_server()
    except ServerNotFound as error:
        raise pytest.UsageError(f"the tests need a real server.\n{error}") from None


@pytest.fixture(scope="session")
def server() -> Iterator[Server]:
    """A throw-away server with a unix socket and a TCP port."""
    with Server(port=0, password="") as server:
        yield server


@pytest.fixture(autouse=True)
def engine(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> Generator[str]:
    """The mode in which this test's clients reach Redis; ``engines.parametrize`` runs a test in several."""
    with engines.engine(getattr(request, "param", "shared"), monkeypatch) as name:
        yield name


@pytest.fixture
async def nothing_left() -> AsyncIterator[None]:
    """Clients that ``connect`` has made for this test are closed at its end, and child processes killed."""
    yield
    await end_children()
    await close_clients()


@pytest.fixture(autouse=True)
def clean_up(request: pytest.FixtureRequest) -> None:
    """What a test has opened is closed also if it fails in the middle."""
    if inspect.iscoroutinefunction(request.function):
        request.getfixturevalue("nothing_left")


@pytest.fixture
def server_url(server: Server) -> str:
    """The server's TCP URL."""
    return server.url


@pytest.fixture
async def redis(server: Server) -> AsyncIterator[Redis]:
    """A client with redis-py's default settings on an empty database; closed after the test."""
    client = connect(server.url)
    await client.flushall()  # pyright: ignore[reportUnknownMemberType] - redis-py leaves its **kwargs untyped
    await client.script_flush()
    yield client
    await client.aclose()


@pytest.fixture
async def proxy(server: Server) -> AsyncIterator[Proxy]:
    """A TCP proxy in front of the server, which breaks the wire when it is told to."""
    assert server.port is not None
    async with Proxy(server.port) as proxy:
        yield proxy


@pytest.fixture(params=["plain", "future"] if sys.version_info >= (3, 14) else ["plain", "future", "deferred"])
def declare(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> Iterator[Declare]:
    """Execute source as a module of its own and return it; before Python 3.14 also as 3.14 would execute it."""
    made: list[str] = []
    deferred = request.param == "deferred"

    def execute(source: str) -> ModuleType:
        module = ModuleType(f"declared_{next(_numbers)}")
        future = "from __future__ import annotations\n" if request.param == "future" else ""
        sys.modules[module.__name__] = module
        made.append(module.__name__)
        text = future + PRELUDE + textwrap.dedent(source)
        written: str | ast.Module = text
        if deferred:
            from tests.support import deferred as python_3_14

            written = python_3_14.deferring(text)
            vars(module).update(python_3_14.RUNTIME)
        exec(compile(written, module.__name__, "exec", dont_inherit=True), vars(module))
        return module

    if deferred:
        from tests.support.deferred import emulate

        emulate(monkeypatch)

    yield execute
    for name in made:
        del sys.modules[name]
