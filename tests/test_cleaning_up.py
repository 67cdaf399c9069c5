"""A test that fails leaves nothing behind: the next file does not suffer from it."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

from tests.support.scripts import ROOT

FAILS = """\
import asyncio
from purse import RedisLock, RedisQueue
from tests.support.children import start_python
from tests.support.clients import connect

async def test_fails_in_the_middle(server, redis, engine):
    client, alone, plain = connect(server.url), connect(server.url, max_connections=1), connect(server.url)
    waiting = asyncio.create_task(RedisQueue(client, "queue", int).get())
    holding = await RedisLock(alone, "lock").acquire()
    await plain.ping()
    running = await start_python("-c", "import time; time.sleep(0.1)", stdout=asyncio.subprocess.PIPE)
    await asyncio.sleep(0.05)
    assert not holding

async def test_forgets(server, redis, engine):
    await connect(server.url).ping()
"""
NEXT = """\
import gc
import time
from tests.support.clients import command

async def test_is_alone(redis):
    gc.collect()
    listed = await command(redis, "CLIENT", "LIST")
    assert len(listed.splitlines()) == 1, listed

def test_has_no_warning():
    time.sleep(0.3)  # the child process has ended, and its transport is garbage
    gc.collect()
"""


@pytest.mark.thorough
def test_a_test_that_fails_leaves_nothing_to_the_next(tmp_path: Path) -> None:
    """Its clients are closed, shared connections and those that wait included, and no warning of it comes later."""
    for name, source in (("test_1.py", FAILS), ("test_2.py", NEXT)):
        (tmp_path / name).write_text(source)

    ended = subprocess.run(
        [
            *(sys.executable, "-m", "pytest", "-p", "tests.conftest", "-p", "no:cacheprovider", "-n", "0", "-q"),
            *("--tb=short", "-c", str(ROOT / "pyproject.toml"), "--rootdir", str(tmp_path), str(tmp_path)),
        ],
        cwd=ROOT,
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )

    assert "1 failed, 3 passed" in ended.stdout, ended.stdout + ended.stderr
    assert "assert not holding" in ended.stdout
