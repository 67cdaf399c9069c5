"""One step: several calls without any other call in between, and changes that lose nothing."""

import asyncio

from purse import AtomicFailed, RedisHash, RedisList, Store


class Shop(Store, namespace="shop"):
    stock: RedisHash[int]
    orders: RedisList[str]
    returns: RedisList[str]


async def main() -> None:
    async with Shop.open("embedded://") as shop:
        await shop.stock.update({"spade": 5, "rake": 3})

        # One transaction. The calls are the usual ones, without await.
        left, number = await shop.atomic(shop.stock.increment("spade", -1), shop.orders.append("spade"))
        print("order", number, "leaves", left)

        # Several reads at one moment.
        print(await shop.atomic(shop.stock.get("spade"), shop.orders.slice(0)))

        # The new value depends on the stored one: fifty tasks, and none of their changes is lost.
        await asyncio.gather(*(shop.stock.modify("rake", lambda rakes: rakes + 1) for _ in range(50)))
        print("rakes:", await shop.stock.get("rake"))

        # Isolated, not rolled back: pop() fails, and the order stays.
        try:
            await shop.atomic(shop.orders.append("rake"), shop.returns.pop())
        except AtomicFailed as failed:
            print("results:", failed.results)
        print("orders:", await shop.orders.len())


asyncio.run(main())
