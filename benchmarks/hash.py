"""RedisHash beside careful hand-written redis-py: the same work, one process, interleaved rounds.

    python benchmarks/hash.py [--rounds 7] [--calls 4000] [--url redis://...]

By hand means: the same redis-py client class with hiredis, pydantic's ``TypeAdapter`` bound once, and a
pool that is large enough. Each round runs both sides one after the other, the order alternating; the
table shows the median of the wall-clock and client-CPU ratios over the rounds. Every value read is
checked.
"""

from __future__ import annotations

import argparse
import asyncio
import statistics
import time
from collections.abc import Awaitable, Callable

from pydantic import BaseModel, TypeAdapter
from redis.asyncio import Redis

from purse import RedisHash
from purse.embedded import Server

FIELDS = 100


class Plant(BaseModel):
    """A small model, as most stored things are."""

    name: str
    healthiness: float
    tasty: bool = True


PLANTS = [Plant(name=f"plant {i}", healthiness=i / 8) for i in range(FIELDS)]
_adapter = TypeAdapter(Plant)
_to_json = _adapter.serializer.to_json
_validate_json = _adapter.validator.validate_json

Call = Callable[[int], Awaitable[None]]


def with_purse(url: str) -> tuple[Redis, dict[str, Call]]:
    """The calls as a user of purse writes them."""
    client = Redis.from_url(url)  # pyright: ignore[reportUnknownMemberType]
    plants = RedisHash(client, "benchmark:purse", Plant)

    async def set_one(i: int) -> None:
        await plants.set(f"f{i % FIELDS}", PLANTS[i % FIELDS])

    async def get_one(i: int) -> None:
        assert await plants.get(f"f{i % FIELDS}") == PLANTS[i % FIELDS]

    return client, {"set": set_one, "get": get_one}


def by_hand(url: str) -> tuple[Redis, dict[str, Call]]:
    """The same calls on redis-py."""
    client = Redis.from_url(url, max_connections=2000)  # pyright: ignore[reportUnknownMemberType]

    async def set_one(i: int) -> None:
        await client.hset("benchmark:hand", f"f{i % FIELDS}", _to_json(PLANTS[i % FIELDS]).decode())

    async def get_one(i: int) -> None:
        raw = await client.hget("benchmark:hand", f"f{i % FIELDS}")
        assert raw is not None
        assert _validate_json(raw) == PLANTS[i % FIELDS]

    return client, {"set": set_one, "get": get_one}


async def timed(call: Call, calls: int, tasks: int) -> tuple[float, float]:
    """Wall-clock and CPU seconds of ``calls`` calls spread over ``tasks`` tasks."""

    async def work(first: int) -> None:
        for i in range(first, calls, tasks):
            await call(i)

    wall, cpu = time.perf_counter(), time.process_time()
    await asyncio.gather(*(work(first) for first in range(tasks)))
    return time.perf_counter() - wall, time.process_time() - cpu


async def compare(url: str, rounds: int, calls: int) -> None:
    """Print the table."""
    purse_client, purse_calls = with_purse(url)
    hand_client, hand_calls = by_hand(url)
    print(f"{'call':<6}{'tasks':>6}{'purse ops/s':>14}{'by hand ops/s':>16}{'wall ratio':>12}{'CPU ratio':>11}")
    for name in purse_calls:
        for tasks in (1, 10, 100, 1000):
            wall: list[float] = []
            cpu: list[float] = []
            seconds: list[tuple[float, float]] = []
            for nth in range(rounds + 1):
                sides = (purse_calls[name], hand_calls[name])
                if nth % 2:
                    hand, purse = await timed(sides[1], calls, tasks), await timed(sides[0], calls, tasks)
                else:
                    purse, hand = await timed(sides[0], calls, tasks), await timed(sides[1], calls, tasks)
                if nth:  # the first round warms up
                    wall.append(hand[0] / purse[0])
                    cpu.append(hand[1] / purse[1])
                    seconds.append((purse[0], hand[0]))
            ours, theirs = (calls / statistics.median(side) for side in zip(*seconds, strict=True))
            ratios = f"{statistics.median(wall):>11.1f}x{statistics.median(cpu):>10.1f}x"
            print(f"{name:<6}{tasks:>6}{ours:>14,.0f}{theirs:>16,.0f}{ratios}")
    for client, key in ((purse_client, "benchmark:purse"), (hand_client, "benchmark:hand")):
        await client.delete(key)
        await client.aclose()


def main() -> None:
    """Run on ``--url``, or on an embedded server."""
    arguments = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    arguments.add_argument("--rounds", type=int, default=7)
    arguments.add_argument("--calls", type=int, default=4000)
    arguments.add_argument("--url")
    options = arguments.parse_args()
    if options.url:
        asyncio.run(compare(options.url, options.rounds, options.calls))
        return
    with Server(port=0) as server:
        asyncio.run(compare(server.url, options.rounds, options.calls))


if __name__ == "__main__":
    main()
