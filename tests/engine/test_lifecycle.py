"""Programs that begin and end in every way leave standard error empty, under ``-X dev -W error``."""

from __future__ import annotations

import subprocess
import sys
import textwrap

import pytest

from purse.embedded import Server

PROLOGUE = """
import asyncio, gc, logging, sys, threading
from redis.asyncio import Redis
from purse import RedisQueue, configure, statistics
from tests.support.units import read, send

# In debug mode asyncio says so when a step took long, and on a busy machine every step may.
logging.getLogger("asyncio").addFilter(lambda record: not record.getMessage().startswith("Executing "))

URL, ENGINE = sys.argv[1:]
client = Redis.from_url(URL)
configure(client, engine=ENGINE)

async def work():
    await send(client, "SET", "a", "x")
    assert await asyncio.gather(*(read(client, "GET", "a") for _ in range(10))) == [b"x"] * 10
"""

PROGRAMS = {
    "the client is closed": """
        async def main():
            await work()
            await client.aclose()
        asyncio.run(main())
    """,
    "the client is never closed": """
        asyncio.run(work())
    """,
    "four asyncio.run over one module-level client": """
        for _ in range(4):
            asyncio.run(work())
    """,
    "purse and redis-py side by side, closed at the end": """
        async def main():
            await work()
            assert await client.get("a") == b"x"
            await work()
            await client.aclose()
        asyncio.run(main())
    """,
    "calls are pending when the program ends": """
        async def main():
            await work()
            global pending
            pending = [asyncio.create_task(read(client, "GET", "a")) for _ in range(10)]
            await asyncio.sleep(0)
        asyncio.run(main())
    """,
    "the first connection is still being made when the program ends": """
        async def main():
            global pending
            pending = asyncio.create_task(work())
            await asyncio.sleep(0)
        asyncio.run(main())
    """,
    "the program ends at any moment": """
        async def main(steps):
            global pending
            pending = asyncio.create_task(work())
            for _ in range(steps):
                await asyncio.sleep(0)
        for steps in range(60):
            asyncio.run(main(steps))
    """,
    "the program ends at the moment the connection is there": """
        async def main(steps):
            global pending
            pending = asyncio.create_task(work())
            while not statistics(client).connections:
                await asyncio.sleep(0)
            for _ in range(steps):
                await asyncio.sleep(0)
        for steps in range(20):
            asyncio.run(main(steps))
        gc.collect()
    """,
    "the client is closed at the moment the connection is there": """
        async def main(steps):
            global pending
            pending = asyncio.create_task(work())
            while not statistics(client).connections:
                await asyncio.sleep(0)
            for _ in range(steps):
                await asyncio.sleep(0)
            await client.aclose()
            await asyncio.gather(pending, return_exceptions=True)
        for steps in range(20):
            asyncio.run(main(steps))
        gc.collect()
    """,
    "an exception ends the program": """
        async def main():
            await work()
            raise SystemExit(0)
        asyncio.run(main())
    """,
    "the client is dropped": """
        async def main():
            global client
            await work()
            client = None
            gc.collect()
            await asyncio.sleep(0.01)
        asyncio.run(main())
    """,
    "each call has a loop that is only closed": """
        for _ in range(20):
            loop = asyncio.new_event_loop()
            loop.run_until_complete(work())
            loop.close()
    """,
    "each call has a loop that is only closed, and the client is closed in another": """
        for _ in range(20):
            loop = asyncio.new_event_loop()
            loop.run_until_complete(work())
            loop.close()
        assert statistics(client).connections == 0
        asyncio.run(client.aclose())
    """,
    "a loop that is only closed while a call waits for an item": """
        for _ in range(5):
            loop = asyncio.new_event_loop()
            loop.run_until_complete(work())
            try:
                loop.run_until_complete(RedisQueue(client, "empty", int).get(timeout=0.05))
            except asyncio.QueueEmpty:
                pass
            loop.close()
            gc.collect()
    """,
    "a second loop in another thread": """
        thread = threading.Thread(target=lambda: asyncio.run(work()))
        async def main():
            await work()
            thread.start()
            await work()
            await asyncio.to_thread(thread.join)
            await work()
        asyncio.run(main())
    """,
}


@pytest.mark.rows(2)
@pytest.mark.parametrize("name", PROGRAMS)
@pytest.mark.engines("shared", "dedicated")
def test_nothing_is_said_at_the_end(name: str, server: Server, engine: str) -> None:
    """A program in which this happens ends with status 0 and an empty standard error."""
    program = PROLOGUE + textwrap.dedent(PROGRAMS[name])

    ended = subprocess.run(
        [sys.executable, "-X", "dev", "-W", "error", "-c", program, server.url, engine],
        capture_output=True,
        text=True,
        timeout=30,
        check=False,
    )

    assert ended.stderr == ""
    assert ended.returncode == 0
