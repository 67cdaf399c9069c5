"""Many calls at once: they share one connection, and few writes."""

import asyncio

from purse import RedisHash, Store, statistics


class Garden(Store, namespace="garden"):
    visits: RedisHash[int]


async def visitor(garden: Garden, number: int) -> None:
    gate = "north" if number % 2 else "south"
    await garden.visits.increment(gate)
    await garden.visits.increment("all")


async def main() -> None:
    async with Garden.open("embedded://") as garden:
        async with asyncio.TaskGroup() as group:
            for number in range(1000):
                group.create_task(visitor(garden, number))

        north, south = await asyncio.gather(garden.visits.get("north"), garden.visits.get("south"))
        print("north:", north, "south:", south)
        print("all:", await garden.visits.get("all"))

        seen = statistics(garden.visits.redis)
        print(seen.commands, "commands over", seen.connections, "connection")
        print("in fewer than 50 writes:", seen.batches < 50)


asyncio.run(main())
