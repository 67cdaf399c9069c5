"""A forked process uses the client of its parent without taking anything from it.

Links and loops are the parent's: the child opens its own, and must neither use, nor close, nor warn of what it
has inherited. Each program runs under ``-X dev -W error`` and ends with an empty standard error. That includes
Python 3.12's warning of a fork beside other threads: asyncio starts threads to look host names up, and these
programs use a unix socket.
"""

from __future__ import annotations

import os
from pathlib import Path
from textwrap import dedent

import pytest

from purse.embedded import Server
from tests.support.scripts import Ended, run
from tests.support.selection import thorough_but

pytestmark = [
    pytest.mark.engines("shared", "dedicated"),
    pytest.mark.skipif(not hasattr(os, "fork"), reason="this system cannot fork"),
]

PROLOGUE = """
import asyncio, gc, multiprocessing, os, re, sys, traceback
from redis.asyncio import Redis
from purse import RedisHash, configure, statistics
from tests.support.units import send

client = Redis.from_url(sys.argv[1], client_name="ours", socket_timeout=3)
configure(client, engine=sys.argv[2])
visits = RedisHash(client, "visits", int)

def run(main):
    with asyncio.Runner(debug=False) as runner:  # not as -X dev has it, which takes ten times as long
        runner.run(main)

async def work(name=""):
    name = f"{os.getpid()} {name}"
    counts = await asyncio.gather(*(visits.increment(name) for _ in range(30)))
    assert sorted(counts) == [*range(min(counts), min(counts) + 30)], counts
    echoes = await asyncio.gather(*(send(client, "ECHO", f"{name} {n}") for n in range(30)))
    assert echoes == [f"{name} {n}".encode() for n in range(30)], echoes

async def connections():
    clients = await send(client, "CLIENT", "LIST")
    return {int(number) for number in re.findall(rb"\\bid=(\\d+) .* name=ours ", clients)}

async def child(inherited, generation):
    gc.collect()
    assert statistics(client).connections == 0
    await work()
    assert await send(client, "CLIENT", "ID") not in inherited
    assert inherited <= await connections()
    if generation == 1:
        await ended(fork(await connections(), 2))

async def ended(status):
    "Work until a child has ended, and see that it succeeded."
    while (code := status()) is None:
        await work()
    assert code == 0, code
"""

FORKS = {
    "os.fork": """
        def fork(inherited, generation=1):
            pid = os.fork()
            if pid:
                def status():
                    gone, how = os.waitpid(pid, os.WNOHANG)
                    return os.waitstatus_to_exitcode(how) if gone else None
                return status
            code = 1
            try:
                run(child(inherited, generation))
                code = 0
            except BaseException:
                traceback.print_exc()
            os._exit(code)
    """,
    "os.fork, and the child runs to the end of the program": """
        def fork(inherited, generation=2):
            pid = os.fork()
            if pid:
                return lambda: os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1])
            run(child(inherited, generation))
            sys.exit()
    """,
    "os.fork, and the child leaves through the loop of its parent": """
        def fork(inherited):
            pid = os.fork()
            if not pid:
                sys.exit()
            return lambda: os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1])
    """,
    "multiprocessing": """
        def in_child(inherited, generation):
            run(child(inherited, generation))

        def fork(inherited, generation=1):
            process = multiprocessing.get_context("fork").Process(target=in_child, args=(inherited, generation))
            process.start()
            return lambda: process.exitcode
    """,
}

MOMENTS = {
    "the loop runs": """
        async def main():
            await work()
            before = await connections()
            await ended(fork(before))
            assert before <= await connections()
            assert statistics(client).reconnects == 0
        run(main())
    """,
    "calls are under way": """
        async def main():
            await work()
            before = await connections()
            for steps in range(4):
                calls = [asyncio.create_task(work(f"{n}")) for n in range(3)]
                for _ in range(steps):
                    await asyncio.sleep(0)
                await ended(fork(before))
                await asyncio.gather(*calls)
            assert before <= await connections()
            assert statistics(client).reconnects == 0
        run(main())
    """,
    "a connection is being made": """
        async def main(steps):
            calls = asyncio.create_task(work("first"))
            for _ in range(steps):
                await asyncio.sleep(0)
            await ended(fork(set()))
            await calls
        for steps in range(4):
            run(main(steps))
    """,
    "the loop has ended": """
        run(work())
        status = fork(set())
        run(ended(status))
        run(work())
    """,
}


@pytest.mark.rows(1)
@pytest.mark.parametrize(
    ("moment", "how"),
    thorough_but(
        ("the loop runs", "os.fork"),
        ("the loop has ended", "multiprocessing"),
        every=[
            ("the loop runs", "os.fork"),
            ("the loop runs", "os.fork, and the child leaves through the loop of its parent"),
            ("the loop runs", "multiprocessing"),
            ("calls are under way", "os.fork"),
            ("a connection is being made", "os.fork"),
            ("the loop has ended", "os.fork"),
            ("the loop has ended", "os.fork, and the child runs to the end of the program"),
            ("the loop has ended", "multiprocessing"),
        ],
    ),
)
def test_parent_and_child_get_their_own_answers(
    moment: str, how: str, server: Server, engine: str, tmp_path: Path
) -> None:
    """Forked at this moment, child and grandchild connect anew, and the parent goes on with what it has."""
    program = PROLOGUE + dedent(FORKS[how]) + dedent(MOMENTS[moment])

    ended = run(["-c", program, f"unix://{server.socket_path}", engine], cwd=tmp_path)

    assert ended == Ended(0, "", "")
