"""A store for each user, and stores made of stores."""

import asyncio

from purse import RedisClient, RedisHash, RedisList, Store


class Basket(Store):
    """No namespace: a part for other stores."""

    lines: RedisList[str]
    notes: RedisHash[str]


class UserStore(Store, namespace="user:{user_id}"):
    prefs: RedisHash[str]
    basket: Basket

    def __init__(self, redis: RedisClient, *, user_id: int) -> None:
        super().__init__(redis, user_id=user_id)


async def main() -> None:
    async with UserStore.open("embedded://", user_id=42) as ada:
        bob = UserStore(ada.prefs.redis, user_id=43)  # on the same client
        await ada.prefs.set("theme", "dark")
        await ada.basket.lines.append("3 leeks")
        print("ada:", await ada.prefs.dict(), await ada.basket.lines.slice(0))
        print("bob:", await bob.prefs.dict(), await bob.basket.lines.slice(0))

        print(UserStore.prefs.key, "->", ada.prefs.rkey)
        print(ada.basket.lines.rkey)

        # All of one user's keys share a hash slot, so this is also one step on a cluster.
        await ada.atomic(ada.prefs.set("theme", "light"), ada.basket.lines.append("1 spade"))
        print("gone:", await ada.clear())


asyncio.run(main())
