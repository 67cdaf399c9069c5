"""A first store: a hash of numbers and a list of lines, declared in one class."""

import asyncio

from purse import RedisHash, RedisList, Store


class Garden(Store, namespace="garden"):
    visits: RedisHash[int]
    log: RedisList[str]


async def main() -> None:
    async with Garden.open("embedded://") as garden:
        await garden.visits.set("gate", 41)
        await garden.visits.increment("gate")
        await garden.log.extend(["planted leek", "watered leek"])

        print("at the gate:", await garden.visits.get("gate"))
        print("at the pond:", await garden.visits.get("pond"))
        async for line in garden.log:
            print("log:", line)

    print("stored under", Garden.visits.key, "and", Garden.log.key)


asyncio.run(main())
