"""Loops that were closed without being shut down, as Celery, Flask and Streamlit do it: nothing of them stays open."""

from __future__ import annotations

import subprocess
import sys
import textwrap

import pytest
import redis as synchronous

from purse.embedded import Server

PROLOGUE = """
import asyncio, gc, logging, sys
from redis.asyncio import Redis
from purse import RedisHash, RedisQueue, Store, configure, statistics
from tests.support import engines

# In debug mode asyncio says so when a step took long, and on a busy machine every step may.
logging.getLogger("asyncio").addFilter(lambda record: not record.getMessage().startswith("Executing "))

URL, ENGINE, LOOPS = sys.argv[1], sys.argv[2], int(sys.argv[3])
client = Redis.from_url(URL)
visits, queue = RedisHash(client, "visits", int), RedisQueue(client, "queue", int)

def run(work):
    loop = asyncio.new_event_loop()
    try:
        return loop.run_until_complete(work)
    finally:
        loop.close()

async def wait():
    getter = asyncio.create_task(queue.get())
    while ENGINE != "dedicated" and statistics(client).connections < 2:
        await asyncio.sleep(0.001)
    await queue.put(1)
    assert await getter == 1

def main():
    BODY
    gc.collect()
    print(statistics(client).connections, flush=True)
    sys.stdin.readline()
    # The last loop's connections are closed by the next use, and here by the end of one that is shut down.
    asyncio.run(visits.len())

if ENGINE == "driven":
    import pytest
    with pytest.MonkeyPatch.context() as patch, engines.engine("driven", patch):
        engines.choose_engine(client)
        main()
else:
    configure(client, engine=ENGINE)
    main()
"""

BODIES = {
    "calls": """
        for n in range(1, LOOPS + 1):
            assert run(visits.increment("n")) == n
    """,
    "calls that wait": """
        for n in range(LOOPS // 4):
            run(wait())
    """,
    "many calls at once": """
        async def work():
            await asyncio.gather(*(visits.increment("n") for _ in range(20)))
        for n in range(LOOPS // 4):
            run(work())
    """,
    "beside a loop that goes on": """
        kept = asyncio.new_event_loop()
        for n in range(LOOPS // 4):
            run(visits.increment("n"))
            assert kept.run_until_complete(visits.get("n")) == n + 1
        assert kept.run_until_complete(visits.get("n")) == LOOPS // 4
        kept.run_until_complete(kept.shutdown_asyncgens())
        kept.close()
    """,
}

_MOST = {"calls": 1, "calls that wait": 2, "many calls at once": 20, "beside a loop that goes on": 1}


@pytest.mark.parametrize("name", BODIES)
def test_connections_of_closed_loops_are_closed(name: str, server: Server, engine: str) -> None:
    """After many loops the server has the connections of the last one, and the program says nothing about it."""
    body = textwrap.indent(textwrap.dedent(BODIES[name]), "    ").strip()
    with synchronous.Redis.from_url(server.url) as eye:  # pyright: ignore[reportUnknownMemberType]
        eye.flushall()  # pyright: ignore[reportUnknownMemberType]
        before = len(eye.client_list())  # pyright: ignore
        program = subprocess.Popen(
            [
                sys.executable,
                "-X",
                "dev",
                "-W",
                "error",
                "-c",
                PROLOGUE.replace("BODY", body),
                server.url,
                engine,
                "40",
            ],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
        )
        try:
            assert program.stdout is not None
            counted = program.stdout.readline()
            at_work = len(eye.client_list()) - before  # pyright: ignore
            _, said = program.communicate("\n", timeout=30)
        finally:
            program.kill()
            program.wait()

    assert said == ""
    assert program.returncode == 0
    most = _MOST[name] if engine == "dedicated" or name != "many calls at once" else 1
    assert int(counted) <= most
    assert at_work <= most
