"""The fixtures, as the suites of users have them: each runs in a pytest of its own, with every warning an error."""

from __future__ import annotations

import os
import re
from collections.abc import Iterator
from importlib.metadata import entry_points
from pathlib import Path
from typing import Any, cast

import pytest
from redis import Redis

from purse.embedded import Server
from tests.support.scripts import ROOT, run
from tests.testing.suites import ASYNCIO, CROWD, EMBEDDED, LONG_LOOP, STORES

_REGISTERED = any(entry.value == "purse.pytest_plugin" for entry in entry_points(group="pytest11"))
_PLUGIN = [] if _REGISTERED else ["-p", "purse.pytest_plugin"]
_HTTPX = ["-W", "ignore:Using `httpx` with:Warning"]  # what TestClient says of itself, and no test can help
_AUTO, _STRICT = (
    ["-o", f"asyncio_mode={mode}", "-o", "asyncio_default_fixture_loop_scope=function"] for mode in ("auto", "strict")
)


@pytest.fixture
def somewhere() -> Iterator[Server]:
    """A server that the suites are told to use, with one key that is none of theirs."""
    with Server(port=0, password="") as server:
        with _client(server) as client:
            client.set("theirs", "x")
        yield server


def _client(server: Server) -> Any:
    return cast("Any", Redis).from_url(server.url)


def outcomes(suites: list[str], cwd: Path, *options: str, url: str = "") -> tuple[dict[str, int], str]:
    """How often which outcome came, and all that was printed."""
    (cwd / "stores.py").write_text(STORES, "utf-8")
    for number, suite in enumerate(suites):
        (cwd / f"test_{number}.py").write_text(suite, "utf-8")
    arguments = ["-m", "pytest", *_PLUGIN, "-p", "no:cacheprovider", "-W", "error", *_HTTPX, *options]
    ended = run(arguments, cwd=cwd, environment={"PURSE_REDIS_URL": url, "PYTHONDONTWRITEBYTECODE": "1"})
    last = ended.out.splitlines()[-1] if ended.out else ""
    found = {kind: int(count) for count, kind in re.findall(r"(\d+) (passed|failed|error|warning)", last)}
    return found, ended.out + ended.err


def documented() -> list[str]:
    """The suites in the documentation."""
    blocks = re.findall(r"^```python\n(.*?)^```$", (ROOT / "docs" / "testing.md").read_text("utf-8"), re.M | re.S)
    return [block for block in blocks if "def test_" in block and "unittest" not in block]


def assert_nothing_left(server: Server) -> None:
    """No key but the one that is not ours, no connection but this one."""
    with _client(server) as client:
        assert client.keys() == [b"theirs"]
        assert len(client.client_list()) == 1


@pytest.mark.thorough
def test_nothing_is_left_by_any_test(somewhere: Server, tmp_path: Path) -> None:
    """Not in any mode, not by loops that have ended or live on, an application's thread, or a test that fails.

    Somebody else's keys stay, and those of ``rkey=`` go. Nobody gets a warning. So do the examples of the page.
    """
    found, printed = outcomes([ASYNCIO, LONG_LOOP, *documented()], tmp_path, *_AUTO, url=somewhere.url)

    assert found == {"passed": 12, "failed": 1}, printed
    assert "ValueError: on purpose" in printed
    assert "Warning" not in printed
    assert_nothing_left(somewhere)


@pytest.mark.thorough
def test_workers_that_share_a_server_do_not_meet(somewhere: Server, tmp_path: Path) -> None:
    """The same tests in two processes at a time, on one server, see their own data alone; strict mode is the same."""
    found, printed = outcomes([CROWD], tmp_path, *_STRICT, "-n", "2", "--dist", "each", url=somewhere.url)

    assert found == {"passed": 6}, printed
    assert_nothing_left(somewhere)


@pytest.mark.thorough
def test_each_worker_has_a_server_that_ends_with_it(tmp_path: Path) -> None:
    """It is empty at the beginning of each test, and the process is gone at the end; with anyio's plugin, too."""
    pids = tmp_path / "pids"
    pids.mkdir()

    found, printed = outcomes([EMBEDDED], tmp_path, "-p", "no:asyncio", "-n", "2", "--dist", "each")

    assert found == {"passed": 8}, printed
    assert [path.name for path in sorted(pids.iterdir())] == ["gw0", "gw1"]
    running = {int(path.read_text("utf-8")) for path in pids.iterdir()}
    assert len(running) == 2
    for pid in running:
        with pytest.raises(ProcessLookupError):
            os.kill(pid, 0)


def test_loading_the_plugin_loads_nothing(tmp_path: Path) -> None:
    """What every user's pytest pays is this file and the names of the package, not redis, pydantic or asyncio."""
    program = """\
import sys
import pytest
before = {*sys.modules}
import purse.pytest_plugin
print(*sorted({*sys.modules} - before))
"""

    ended = run(["-c", program], cwd=tmp_path)

    assert ended.err == ""
    assert ended.out.split() == ["purse", "purse.pytest_plugin"]
