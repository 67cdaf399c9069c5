"""Time to live: declared once, and kept by every write."""

import asyncio

from pydantic import BaseModel

from purse import TTL, RedisHash, RedisKeySpace, Store, field


class Session(BaseModel):
    user: str
    cart: list[str] = []


class Shop(Store, namespace="shop"):
    offers: RedisHash[int] = field(ttl=TTL(hours=12))
    sessions: RedisKeySpace[Session] = field(ttl=TTL(minutes=30, renew="read"))


async def main() -> None:
    async with Shop.open("embedded://") as shop:
        await shop.offers.set("spade", 15)
        print("offers live for", round(await shop.offers.ttl() / 3600), "hours")

        await shop.sessions.set("a1", Session(user="ada"))
        await shop.sessions.set("g7", Session(user="guest"), ex=60)  # this one for a minute
        print("ada's session lives for", round(await shop.sessions.ttl("a1") / 60), "minutes")
        print("the guest's for", round(await shop.sessions.ttl("g7") / 60))

        await shop.sessions.expire("a1", 5)  # as if she had been away for nearly half an hour
        await shop.sessions.get("a1")  # a read: the half hour begins again
        print("ada's again", round(await shop.sessions.ttl("a1") / 60))

        await shop.sessions.expire("g7", 0)
        print("the guest:", await shop.sessions.get("g7"))
        print("sessions:", [key async for key, _ in shop.sessions.items()])


asyncio.run(main())
