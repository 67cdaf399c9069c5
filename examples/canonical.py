"""Everything at once: a store, one with a parameter, atomic steps, FastAPI handlers. Run it; it needs no server.

    python examples/canonical.py                       on a real Redis of its own
    python examples/canonical.py redis://localhost     on yours

It leaves nothing behind.
"""

from __future__ import annotations

import asyncio
import sys

import httpx
from fastapi import FastAPI
from pydantic import BaseModel

from purse import (
    TTL,
    EditConflict,
    RedisClient,
    RedisHash,
    RedisKeySpace,
    RedisList,
    RedisSortedSet,
    Store,
    field,
)
from purse.fastapi import Inject, lifespan

URL = sys.argv[1] if len(sys.argv) > 1 and "://" in sys.argv[1] else "embedded://"


class Session(BaseModel):
    """What a visitor is remembered by."""

    user_id: int


class Plant(BaseModel):
    """A plant in the garden."""

    name: str
    healthiness: float
    tasty: bool = True


class Garden(Store, namespace="garden"):
    """Where everything is: one hash tag, five structures."""

    plants: RedisHash[Plant]  # str -> Plant
    ranking: RedisSortedSet[str]
    log: RedisList[str]
    visits: RedisHash[int] = field(ttl=TTL(hours=1))
    sessions: RedisKeySpace[Session] = field(ttl=TTL(minutes=30, renew="read"))


class UserStore(Store, namespace="user:{user_id}"):
    """What belongs to one user."""

    prefs: RedisHash[str]

    def __init__(self, redis: RedisClient, *, user_id: int) -> None:
        super().__init__(redis, user_id=user_id)


def grow(plant: Plant) -> Plant:
    """What a day of sun does."""
    return plant.model_copy(update={"healthiness": plant.healthiness + 1})


app = FastAPI(lifespan=lifespan(URL))


@app.put("/plants/{name}")
async def put_plant(name: str, plant: Plant, garden: Inject[Garden]) -> None:
    """Plant it."""
    await garden.plants.set(name, plant)


@app.get("/plants/{name}")
async def get_plant(name: str, garden: Inject[Garden]) -> Plant | None:
    """One plant, or null."""
    return await garden.plants.get(name)


@app.get("/users/{user_id}/theme")
async def get_theme(user: Inject[UserStore]) -> str | None:
    """The parameter of the store is the one of the path."""
    return await user.prefs.get("theme")


async def tour() -> None:
    """What a store can do, call by call."""
    names = ["spinach", "leek", "kale"]
    async with Garden.open(URL) as garden:
        spinach = Plant(name="spinach", healthiness=9)
        await garden.plants.set("spinach", spinach)
        plant = await garden.plants.get("spinach")
        print("get:", plant)
        found = await asyncio.gather(*(garden.plants.get(name) for name in names))
        print("gather:", [each and each.name for each in found])

        size, rank = await garden.atomic(garden.log.append("planted"), garden.ranking.rank("spinach"))
        print("atomic:", size, rank)

        print("modify:", (await garden.plants.modify("spinach", grow)).healthiness)
        try:
            async with garden.plants.edit("spinach") as edited:
                edited.healthiness += 1
                await garden.plants.modify("spinach", grow)  # somebody is faster
        except EditConflict:
            print("edit: somebody was faster")
        print("patch:", await garden.plants.patch("spinach", healthiness=5, tasty=False))

        await garden.visits.increment("spinach")
        await garden.sessions.set("cookie", Session(user_id=42))
        print("session:", await garden.sessions.get("cookie"), await garden.sessions.ttl("cookie"), "s")
        print("cleared:", await garden.clear(), "keys")

    async with UserStore.open(URL, user_id=42) as user:
        await user.prefs.set("theme", "dark")
        print(user.prefs, await user.prefs.get("theme"))
        await user.clear()


async def handlers() -> None:
    """The same stores in handlers."""
    web = httpx.AsyncClient(transport=httpx.ASGITransport(app), base_url="http://garden")
    async with app.router.lifespan_context(app), web:
        await web.put("/plants/leek", json={"name": "leek", "healthiness": 3})
        for path in ("/plants/leek", "/users/42/theme", "/users/x/theme"):
            answer = await web.get(path)
            print("GET", path, answer.status_code, answer.text)
        async with Garden.open(URL) as garden:
            await garden.clear()


async def main() -> None:
    """First by hand, then over HTTP."""
    await tour()
    await handlers()


if __name__ == "__main__":
    asyncio.run(main())
