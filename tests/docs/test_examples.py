"""The programs in ``examples/`` and ``benchmarks/``: they run, say what they do, and leave nothing behind."""

from __future__ import annotations

import os
import subprocess
import sys
import tempfile
import time
from pathlib import Path

import pytest
from redis.asyncio import Redis

from purse.embedded import Server
from tests.support.scripts import ROOT, run
from tests.support.selection import thorough_but

GARDEN = ROOT / "examples" / "garden.py"
CANONICAL = ROOT / "examples" / "canonical.py"
EXAMPLES = sorted((ROOT / "examples").glob("*.py"))


@pytest.mark.parametrize("example", thorough_but(CANONICAL, every=EXAMPLES), ids=lambda path: path.name)
def test_every_example_runs(example: Path, tmp_path: Path) -> None:
    """It ends with status 0, without a word on standard error, and leaves no file behind."""
    ended = run([example], cwd=tmp_path)

    assert ended.err == ""
    assert ended.code == 0
    assert ended.out
    assert not list(tmp_path.iterdir())


@pytest.mark.thorough
def test_the_benchmark_runs(tmp_path: Path) -> None:
    """It prints a row for each comparison, checking what it reads; how fast is nobody's test."""
    ended = run(["-m", "benchmarks", "--rounds", "1", "--calls", "50", "--items", "50"], cwd=tmp_path)

    assert ended.err == ""
    assert ended.code == 0
    assert len(ended.out.splitlines()) == 3 + 53  # where it ran, an empty line, the headings, the rows


@pytest.mark.thorough
def test_the_garden_shows_calls_commands_and_values(tmp_path: Path) -> None:
    """Below each call stand the commands that the server received, then the value or the error."""
    out = run([GARDEN], cwd=tmp_path).out

    assert "garden.visits  {garden}:visits              RedisHash[int]  kept for 1:00:00 after a write" in out
    assert (
        """\
await garden.plants.set("spinach", spinach)
    HSET {garden}:plants spinach {"name":"spinach","healthiness":9.8,"tasty":false}
  = 1
await garden.plants.get("spinach")
    HGET {garden}:plants spinach
  = Plant(name='spinach', healthiness=9.8, tasty=False)
"""
        in out
    )
    assert "  ! EncodeError: {garden}:plants['stone'] cannot store this value" in out
    assert "    HGET {garden}:plants triffid   (50 times)\n" in out
    assert "await garden.clear()\n    UNLINK {garden}:plants {garden}:log {garden}:visits\n  = 3\n" in out


@pytest.mark.thorough
def test_colours_are_for_terminals(tmp_path: Path) -> None:
    """What is piped into a file has no escape codes."""
    assert "\033" not in run([GARDEN], cwd=tmp_path).out


@pytest.mark.thorough
async def test_the_garden_on_a_server_of_mine_leaves_its_data_alone(
    server: Server, redis: Redis, tmp_path: Path
) -> None:
    """It uses keys of its own, even where a store of the same name lives, and removes them at the end."""
    await redis.hset("{garden}:plants", "mine", "kept")
    await redis.set("other", "kept")

    ended = run([GARDEN, "--url", server.url], cwd=tmp_path)

    assert ended.err == ""
    assert ended.code == 0
    assert "HSET {purse-garden-demo}:plants spinach" in ended.out
    assert "HSET {garden}:plants" not in ended.out
    assert await redis.exists(*(f"{{purse-garden-demo}}:{name}" for name in ("plants", "log", "visits"))) == 0
    assert await redis.hgetall("{garden}:plants") == {b"mine": b"kept"}
    assert await redis.get("other") == b"kept"


@pytest.mark.thorough
async def test_the_garden_does_not_touch_keys_that_were_there(server: Server, redis: Redis, tmp_path: Path) -> None:
    """Keys under its own name may be somebody's after all."""
    await redis.rpush("{purse-garden-demo}:log", "mine")

    ended = run([GARDEN, "--url", server.url], cwd=tmp_path)

    assert ended.code == 1
    assert ended.err.startswith("garden.py: these keys are in use")
    assert await redis.lrange("{purse-garden-demo}:log", 0, -1) == [b"mine"]


@pytest.mark.thorough
def test_a_refused_connection_is_no_traceback(tmp_path: Path) -> None:
    """One line has the address, one what to do."""
    with Server(port=0, password="") as server:
        url = server.url  # free again once the server is gone

    ended = run([GARDEN, "--url", url], cwd=tmp_path)

    assert ended.code == 1
    told, fix = ended.err.splitlines()
    assert told.startswith("garden.py: ")
    assert url.rpartition(":")[2] in told
    assert "Is a server running there" in fix


@pytest.mark.thorough
def test_no_server_to_run_is_no_traceback(tmp_path: Path) -> None:
    """The message says where it looked."""
    ended = run([GARDEN], cwd=tmp_path, environment={"PURSE_REDIS_SERVER": "/nowhere/redis-server"})

    assert ended.code == 1
    assert ended.err.startswith("garden.py: PURSE_REDIS_SERVER=/nowhere/redis-server does not exist")


@pytest.mark.thorough
def test_a_url_that_is_none_is_one_line(tmp_path: Path) -> None:
    """No traceback, and what to write instead."""
    ended = run([GARDEN, "--url", "localhost"], cwd=tmp_path)

    assert ended.code == 1
    assert "redis://host:6379/0" in ended.err
    assert ended.err.count("\n") == 1


@pytest.mark.thorough
def test_killing_the_garden_leaves_no_server() -> None:
    """SIGKILL in the middle of the tour: three seconds later its server and directory are gone."""
    with tempfile.TemporaryDirectory(prefix="kill-") as directory:  # tmp_path is too long for a unix socket
        place = Path(directory)
        demo = subprocess.Popen(
            [sys.executable, "-u", GARDEN],
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            bufsize=0,
            pipesize=4096,  # the tour prints more than that, so it cannot end while nobody reads
            env={**os.environ, "PYTHONPATH": str(ROOT), "TMPDIR": directory},
        )
        assert demo.stdout is not None
        with demo.stdout as out:
            while b"await" not in out.readline():
                assert demo.poll() is None
            assert len([*place.glob("purse-*/redis.sock")]) == 1
            demo.kill()
            demo.wait()

        deadline = time.monotonic() + 3
        while [*place.iterdir()]:
            assert time.monotonic() < deadline
            time.sleep(0.01)
