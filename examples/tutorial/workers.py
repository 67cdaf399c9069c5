"""Work for several processes: a queue, a lock, a limit on how many at a time and on how often."""

import asyncio

from pydantic import BaseModel

from purse import RedisHash, RedisLock, RedisQueue, RedisRateLimiter, RedisSemaphore, Store


class Order(BaseModel):
    plant: str
    pieces: int


class Shop(Store, namespace="shop"):
    orders: RedisQueue[Order] = RedisQueue.field(maxsize=100)
    stock: RedisHash[int]
    till: RedisLock = RedisLock.field(lease=10)
    vans: RedisSemaphore = RedisSemaphore.field(limit=2)
    api: RedisRateLimiter = RedisRateLimiter.field(rate="3/minute")


async def worker(shop: Shop) -> None:
    while True:
        order = await shop.orders.get()  # waits at no cost for the server
        async with shop.vans:  # two at a time, among all processes
            await shop.stock.increment(order.plant, -order.pieces)
        if await shop.stock.increment("orders") == 6:
            return


async def main() -> None:
    async with Shop.open("embedded://") as shop:
        await shop.stock.set("leek", 100)
        await shop.orders.put_many([Order(plant="leek", pieces=pieces) for pieces in range(1, 7)])
        async with asyncio.TaskGroup() as group:  # raises what a worker raises
            workers = [group.create_task(worker(shop)) for _ in range(3)]
            await asyncio.wait(workers, return_when=asyncio.FIRST_COMPLETED)
            for task in workers:
                task.cancel()  # a caller that waits loses nothing
        print("leeks:", await shop.stock.get("leek"), "waiting:", await shop.orders.qsize())

        async with shop.till as lease:  # first come, first served
            print("the till is ours for 10 seconds:", 9 < lease.remaining <= 10)
            print("another task:", await asyncio.create_task(shop.till.acquire(blocking=False)))

        print("calls:", [bool(await shop.api.hit("ada")) for _ in range(4)])


asyncio.run(main())
