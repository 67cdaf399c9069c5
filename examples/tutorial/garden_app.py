"""A FastAPI application that keeps its plants in Redis: uvicorn garden_app:app"""

import asyncio

import httpx
from fastapi import Depends, FastAPI, HTTPException
from pydantic import BaseModel

from purse import RedisHash, RedisRateLimiter, Store
from purse.fastapi import Inject, lifespan, rate_limit


class Plant(BaseModel):
    name: str
    healthiness: float


class Garden(Store, namespace="garden"):
    plants: RedisHash[Plant]
    api: RedisRateLimiter = RedisRateLimiter.field(rate="2/minute")


app = FastAPI(lifespan=lifespan("embedded://"))  # or redis://localhost


@app.get("/plants/{name}")
async def get_plant(name: str, garden: Inject[Garden]) -> Plant:
    plant = await garden.plants.get(name)
    if plant is None:
        raise HTTPException(404, f"no {name} in this garden")
    return plant


@app.put("/plants/{name}", dependencies=[Depends(rate_limit(Garden.api))])
async def put_plant(name: str, plant: Plant, garden: Inject[Garden]) -> None:
    await garden.plants.set(name, plant)


async def try_it() -> None:
    transport = httpx.ASGITransport(app)
    async with (
        app.router.lifespan_context(app),  # uvicorn does this
        httpx.AsyncClient(transport=transport, base_url="http://garden") as client,
    ):
        for _ in range(3):
            answer = await client.put("/plants/leek", json={"name": "leek", "healthiness": 9})
            print("PUT", answer.status_code, answer.headers["RateLimit"].split(";")[1])
        print("GET", (await client.get("/plants/leek")).json())
        print("GET", (await client.get("/plants/oak")).json())


if __name__ == "__main__":
    asyncio.run(try_it())
