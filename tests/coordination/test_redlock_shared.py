"""One Redlock object for many tasks, for event loops one after the other, and for a forked child."""

from __future__ import annotations

import asyncio
import os
from pathlib import Path
from textwrap import dedent

import pytest
from redis.asyncio import Redis

from purse.embedded import Server
from purse.errors import LockError, LockLost
from purse.redlock import Redlock
from tests.support.masters import no_keys_on
from tests.support.scripts import run
from tests.support.selection import thorough_but


async def test_tasks_that_share_an_object_exclude_each_other(masters: list[Redis]) -> None:
    """Twenty tasks, five rounds each, one object: never two inside, nothing lost of what they count."""
    lock = Redlock("gate", masters)
    count = inside = 0

    async def work() -> None:
        nonlocal count, inside
        for _ in range(5):
            async with lock as lease:
                inside += 1
                assert inside == 1
                assert lease.remaining > 0
                value = count
                await asyncio.sleep(0)
                count = value + 1
                inside -= 1

    await asyncio.gather(*(work() for _ in range(20)))

    assert count == 100
    await no_keys_on(masters)


async def test_a_second_acquire_that_fails_forgets_nothing(masters: list[Redis]) -> None:
    """Others try in vain with the same object: the holder's token stays its own, it extends and releases."""
    lock = Redlock("gate", masters)
    assert await lock.acquire()

    refused = await asyncio.gather(
        *(asyncio.create_task(lock.acquire(blocking=False)) for _ in range(5)),
        *(asyncio.create_task(lock.acquire(timeout=0.05)) for _ in range(5)),
    )

    assert refused == [False] * 10
    assert await lock.locked() > 9000
    await lock.extend()
    await lock.release()
    await no_keys_on(masters)


async def test_each_holding_has_an_owner_of_its_own(masters: list[Redis]) -> None:
    """Two acquisitions never share the name under which they hold."""
    lock = Redlock("gate", masters)
    async with lock as first:
        pass
    async with lock as second:
        assert second.owner != first.owner
        assert first.remaining == 0
        with pytest.raises(LockLost):
            await first.release()
        with pytest.raises(LockLost):
            await first.extend()
        assert second.remaining > 0


async def test_a_block_is_released_by_nobody_else(masters: list[Redis]) -> None:
    """Another task that calls ``release`` while a block holds the lock is refused."""
    lock = Redlock("gate", masters)
    async with lock as lease:

        async def meddle() -> None:
            with pytest.raises(LockError, match="not held"):
                await lock.release()

        await asyncio.create_task(meddle())
        assert lease.remaining > 0
        assert await lock.locked() > 0


async def test_what_a_task_acquired_another_can_release(masters: list[Redis]) -> None:
    """``wait_for`` acquires in a task of its own; its caller can release, and so can whoever has the object."""
    lock = Redlock("gate", masters)
    assert await asyncio.wait_for(lock.acquire(), 5)
    await lock.release()

    assert await asyncio.create_task(lock.acquire())
    await lock.release()
    await no_keys_on(masters)


async def test_release_and_acquire_again(masters: list[Redis]) -> None:
    """Released twice is an error; after that it can be acquired again, as often as one likes."""
    lock = Redlock("gate", masters)
    for _ in range(3):
        assert await lock.acquire()
        await lock.release()
        with pytest.raises(LockError):
            await lock.release()


PROLOGUE = """
import asyncio, os, sys
from redis.asyncio import Redis
from purse.redlock import Redlock

masters = [Redis.from_url(url) for url in sys.argv[1:]]
lock = Redlock("gate", masters)
"""

PROGRAMS = {
    "loops one after the other": """
        async def main():
            async with lock as lease:
                assert lease.remaining > 9
            assert await lock.acquire()
            await lock.release()
        for _ in range(3):
            asyncio.run(main())
        """,
    "held from one loop to the next": """
        async def first():
            assert await lock.acquire()
        async def second():
            assert await lock.locked() > 0
            await lock.extend()
            await lock.release()
        asyncio.run(first())
        asyncio.run(second())
        """,
    "a forked child holds nothing": """
        async def parent():
            assert await lock.acquire()
        async def child():
            assert await lock.locked() == 0
            assert not await lock.acquire(blocking=False)
            try:
                await lock.release()
            except RuntimeError:
                pass
            else:
                raise AssertionError("released its parent's lock")
            other = Redlock("other", masters)
            async with other:
                pass
        async def rest():
            assert await lock.locked() > 0
            await lock.release()
        asyncio.run(parent())
        pid = os.fork()
        if pid == 0:
            code = 1
            try:
                asyncio.run(child())
                code = 0
            finally:
                os._exit(code)
        assert os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1]) == 0
        asyncio.run(rest())
        """,
    "the loop ends while some wait and one holds": """
        async def main():
            async def work():
                async with lock:
                    await asyncio.sleep(60)
            tasks = [asyncio.create_task(work()) for _ in range(5)]
            asyncio.create_task(Redlock("gate", masters[:]).acquire())
            await asyncio.sleep(0.2)
        asyncio.run(main())
        """,
    "the loop ends in the middle of an acquisition": """
        async def main():
            tasks = [asyncio.create_task(Redlock(f"gate{i}", masters).acquire()) for i in range(20)]
            for _ in range(steps):
                await asyncio.sleep(0)
        for steps in (0, 1, 2, 3, 5, 8, 13, 20, 50):
            asyncio.run(main())
        """,
    "interrupted in a block with a watchdog": """
        async def main():
            async with Redlock("gate", masters, auto_release_time=1500, watchdog=True):
                await asyncio.sleep(0.7)
                raise KeyboardInterrupt
        try:
            asyncio.run(main())
        except KeyboardInterrupt:
            pass
        """,
}


@pytest.mark.parametrize("program", thorough_but("loops one after the other", every=PROGRAMS))
async def test_programs_end_without_a_word(
    program: str, five_servers: list[Server], masters: list[Redis], tmp_path: Path
) -> None:
    """Under ``-X dev -W error`` nothing is printed, whatever was under way; no key is left but of what was cut off."""
    if "fork" in program and not hasattr(os, "fork"):
        pytest.skip("this system cannot fork")
    path = tmp_path / "program.py"
    path.write_text(PROLOGUE + dedent(PROGRAMS[program]))

    ended = run([path, *(server.url for server in five_servers)], cwd=tmp_path)

    assert ended.err == ""
    assert ended.out == ""
    assert ended.code == 0
    if "middle" not in program:
        await no_keys_on(masters)
