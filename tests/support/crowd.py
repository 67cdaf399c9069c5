"""A program: thirty threads, each with event loops that come and go, over one client or over many.

    python -m tests.support.crowd URL ENGINE one|many

It prints nothing if all is well: no call has failed, each field was one object in all threads, and no connection is
left at the end.
"""

from __future__ import annotations

import asyncio
import os
import sys
import threading
import traceback
from contextlib import closing

from redis.asyncio import Redis
from starlette.applications import Starlette

from purse import (
    RedisHash,
    RedisKeySpace,
    RedisLock,
    RedisQueue,
    RedisSemaphore,
    RedisSet,
    Redlock,
    Store,
    configure,
    statistics,
)
from purse.fastapi import bind, lifespan
from tests.support.clients import command

THREADS, LOOPS, PATIENCE = 30, 2, 80.0

errors: list[str] = []


class Shelf(Store):
    """A part of the store."""

    lines: RedisSet[int]


class Garden(Store, namespace="crowd"):
    """What all threads share."""

    visits: RedisHash[int]
    plants: RedisKeySpace[int]
    tasks: RedisQueue[int]
    lock: RedisLock
    places: RedisSemaphore = RedisSemaphore.field(limit=12)
    shelf: Shelf
    inside: RedisHash[int]


class Seen:
    """The objects that threads have seen under one name."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self.by_name: dict[str, set[int]] = {}
        self.kept: list[object] = []  # or an id might come to stand for another object

    def note(self, name: str, what: object) -> None:
        """Under ``name`` there was ``what``."""
        with self._lock:
            self.by_name.setdefault(name, set()).add(id(what))
            self.kept.append(what)


async def call_all(garden: Garden, thread: int, masters: list[Redis]) -> None:
    """Calls of each kind; at the same time, unless that would be a connection for each of them."""

    async def locked() -> None:
        async with garden.lock as lease:
            assert await garden.inside.increment("lock") == 1, "two are inside"
            await garden.inside.increment("lock", -1)
            assert lease.token > 0

    async def placed() -> None:
        async with garden.places as permit:
            assert permit.remaining > 0

    async def queued() -> None:
        await garden.tasks.put(thread)
        assert 0 <= await garden.tasks.get(timeout=PATIENCE) < THREADS

    async def on_masters() -> None:
        async with Redlock(f"crowd-{thread}", masters) as lease:
            assert lease.remaining > 0

    async def made() -> None:
        assert await garden.plants.get_or_create(f"plant-{thread}", lambda: thread) == thread

    calls = [queued(), queued(), made(), made(), garden.shelf.lines.add(thread), on_masters(), placed()]
    # Not all of them: a lock that thirty threads of one process hand round takes its time.
    calls += [locked()] if thread % 3 == 0 else []
    if statistics(masters[0]).mode == "shared":
        await asyncio.gather(*calls)
    else:
        for call in calls:
            await call
    await garden.visits.increment(str(thread))


def in_loops(app: Starlette, client: Redis | None, url: str, engine: str, thread: int, seen: Seen) -> None:
    """What one thread does: each loop is shut down, or only closed."""
    try:
        for nth in range(LOOPS):
            mine = client or made(url, engine)
            garden = Garden(mine) if client is None else bind(app, Garden)
            if client is not None:
                for name in ("visits", "plants", "tasks", "lock", "places", "shelf", "inside"):
                    seen.note(name, getattr(garden, name))
                seen.note("lines", garden.shelf.lines)
            if (nth + thread) % 2:
                with asyncio.Runner(debug=False) as runner:
                    runner.run(call_all(garden, thread, [mine]))
            else:
                with closing(asyncio.new_event_loop()) as loop:
                    loop.set_debug(False)
                    loop.run_until_complete(call_all(garden, thread, [mine]))
            statistics(mine)
    except BaseException:
        errors.append(traceback.format_exc())


def made(url: str, engine: str) -> Redis:
    """A client in this mode."""
    client = Redis.from_url(url)  # pyright: ignore[reportUnknownMemberType] - redis-py leaves its **kwargs untyped
    configure(client, engine="dedicated" if engine == "dedicated" else "auto")
    return client


async def main(url: str, engine: str, how_many: str) -> None:
    """Let the threads run, and look at what they have left."""
    client = made(url, engine)
    await client.flushall()  # pyright: ignore[reportUnknownMemberType] - as above
    app = Starlette()
    seen = Seen()
    async with lifespan(client)(app):
        threads = [
            threading.Thread(
                target=in_loops, args=(app, client if how_many == "one" else None, url, engine, nth, seen), daemon=True
            )
            for nth in range(THREADS)
        ]
        for thread in threads:
            thread.start()
        deadline = asyncio.get_running_loop().time() + PATIENCE
        for thread in threads:
            await asyncio.to_thread(thread.join, deadline - asyncio.get_running_loop().time())
        hanging = [thread.ident for thread in threads if thread.is_alive()]
        if hanging:
            frames = sys._current_frames()  # pyright: ignore[reportPrivateUsage] - to see where
            errors.extend("".join(traceback.format_stack(frames[ident])) for ident in hanging if ident in frames)
        garden = Garden(client)
        visits = {} if hanging else await garden.visits.dict()
        if not hanging and visits != {str(nth): LOOPS for nth in range(THREADS)}:
            errors.append(f"calls were lost, or doubled: {visits}")
        if not hanging and (left := await garden.tasks.qsize()):
            errors.append(f"{left} items are left in the queue")
    errors.extend(f"there are {len(ids)} objects for {name}" for name, ids in seen.by_name.items() if len(ids) > 1)
    own = statistics(client).connections
    if own > 2:  # of this loop: one for calls, and one on which the server tells of changed keys
        errors.append(f"{own} connections are open")
    others = str(await command(client, "CLIENT", "LIST")).split("\\n")
    await client.aclose()
    if len(others) > 6:
        errors.append(f"{len(others)} connections are open on the server")


if __name__ == "__main__":
    sys.setswitchinterval(1e-6)
    with asyncio.Runner(debug=False) as of_main:
        of_main.run(main(*sys.argv[1:4]))
    for text, times in {text: errors.count(text) for text in errors}.items():
        print(times, text, file=sys.stderr)
    sys.stderr.flush()
    os._exit(1 if errors else 0)  # threads that hang do not keep it
