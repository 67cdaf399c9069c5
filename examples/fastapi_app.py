"""A plant nursery over HTTP: typed stores in handlers, a worker, a lock and a limit, with nothing of Redis to set up.

    uvicorn examples.fastapi_app:app        on a server of its own, or on PURSE_REDIS_URL; then open /docs
    python examples/fastapi_app.py          a few requests to it without a socket, printed with their answers

A plant is stored by name; ordering one asks the worker to pack it, and each customer has a basket of their own.
"""

from __future__ import annotations

import asyncio
import logging
import os
from collections.abc import AsyncGenerator
from contextlib import asynccontextmanager, suppress
from typing import Annotated

import httpx
from fastapi import Depends, FastAPI, HTTPException, Query
from pydantic import BaseModel, Field
from redis.exceptions import RedisError

from purse import (
    TTL,
    RedisClient,
    RedisHash,
    RedisList,
    RedisLock,
    RedisQueue,
    RedisRateLimiter,
    Store,
)
from purse.fastapi import Inject, bind, lifespan, rate_limit

log = logging.getLogger(__name__)
URL = os.environ.get("PURSE_REDIS_URL", "embedded://")


class Plant(BaseModel):
    name: str
    healthiness: float
    tasty: bool = True


class Order(BaseModel):
    customer_id: int
    plant: str
    pieces: Annotated[int, Field(gt=0)] = 1


class Nursery(Store, namespace="nursery"):
    plants: RedisHash[Plant]
    stock: RedisHash[int]
    orders: RedisQueue[Order] = RedisQueue.field(maxsize=10_000)
    packed: RedisList[str] = RedisList.field(maxlen=100)
    stocktaking: RedisLock = RedisLock.field(lease=5)
    ordering: RedisRateLimiter = RedisRateLimiter.field(rate="5/minute")


class Customer(Store, namespace="customer:{customer_id}", ttl=TTL(days=30)):
    basket: RedisHash[int]

    def __init__(self, redis: RedisClient, *, customer_id: int) -> None:
        super().__init__(redis, customer_id=customer_id)


async def pack(nursery: Nursery) -> None:
    """Pack what is ordered, for ever. There may be any number of these, in any number of processes."""
    async for order in nursery.orders.consume(on_error="skip"):  # waits, also while Redis is away
        try:
            await nursery.packed.append(f"{order.pieces} {order.plant} for {order.customer_id}")
        except RedisError as error:
            error.add_note(f"This order was taken, and may not be packed: {order!r}")
            raise


async def supervise(nursery: Nursery) -> None:
    """Log what a worker raises, and start it again: nobody awaits its task while the application runs."""
    while True:
        try:
            await pack(nursery)
        except Exception:
            log.exception("the worker failed; it starts again in a second")
            await asyncio.sleep(1)


@asynccontextmanager
async def workers(app: FastAPI) -> AsyncGenerator[None]:
    worker = asyncio.create_task(supervise(bind(app, Nursery)))
    try:
        yield
    finally:
        worker.cancel()
        with suppress(asyncio.CancelledError):
            await worker  # raises what else it ended with


app = FastAPI(title="Nursery", lifespan=lifespan(URL, inner=workers))


@app.get("/health")
async def health() -> dict[str, str]:
    return {"status": "ok"}


@app.get("/plants/{name}")
async def get_plant(name: str, nursery: Inject[Nursery]) -> Plant:
    plant = await nursery.plants.get(name)
    if plant is None:
        raise HTTPException(404, f"there is no {name}")
    return plant


@app.put("/plants/{name}", status_code=204, response_model=None)
async def put_plant(name: str, plant: Plant, nursery: Inject[Nursery]) -> None:
    await nursery.plants.set(name, plant)


@app.get("/plants")
async def get_plants(name: Annotated[list[str], Query(max_length=100)], nursery: Inject[Nursery]) -> list[Plant | None]:
    found = await nursery.plants.get_many(name)
    return [found.get(each) for each in name]


@app.get("/counters")
async def counters(nursery: Inject[Nursery]) -> dict[str, int]:
    """Calls that are made together are sent together, whatever they are."""
    plants, waiting, packed = await asyncio.gather(nursery.plants.len(), nursery.orders.qsize(), nursery.packed.len())
    return {"plants": plants, "waiting": waiting, "packed": packed}


@app.post("/plants/{name}/deliveries")
async def deliver(name: str, pieces: Annotated[int, Query(gt=0)], nursery: Inject[Nursery]) -> int:
    return await nursery.stock.increment(name, pieces)


@app.post("/orders", status_code=202, dependencies=[Depends(rate_limit(Nursery.ordering))])
async def order(order: Order, nursery: Inject[Nursery]) -> str:
    """Look and take, with nobody else in between."""
    async with nursery.stocktaking:
        if await nursery.stock.get(order.plant, 0) < order.pieces:
            raise HTTPException(409, f"there are not {order.pieces} of {order.plant}")
        await nursery.atomic(nursery.stock.increment(order.plant, -order.pieces), nursery.orders.put_nowait(order))
    return "it will be packed"


@app.get("/packed")
async def packed(nursery: Inject[Nursery]) -> list[str]:
    return await nursery.packed.slice(0)


@app.get("/customers/{customer_id}/basket")
async def get_basket(customer: Inject[Customer]) -> dict[str, int]:
    return await customer.basket.dict()


@app.post("/customers/{customer_id}/basket/{plant}")
async def put_in_basket(plant: str, customer: Inject[Customer]) -> int:
    return await customer.basket.increment(plant)


async def tour() -> None:
    """What ``app`` answers, asked without a socket."""
    spinach = {"name": "spinach", "healthiness": 9.8}
    requests: list[tuple[str, str, object]] = [
        ("PUT", "/plants/spinach", spinach),
        ("GET", "/plants/spinach", None),
        ("GET", "/plants?name=spinach&name=triffid", None),
        ("POST", "/plants/spinach/deliveries?pieces=10", None),
        *[("POST", "/orders", {"customer_id": 7, "plant": "spinach"})] * 6,
        ("GET", "/packed", None),
        ("GET", "/counters", None),
        ("POST", "/customers/7/basket/leek", None),
        ("GET", "/customers/7/basket", None),
        ("GET", "/customers/seven/basket", None),
    ]
    transport = httpx.ASGITransport(app)
    async with (
        app.router.lifespan_context(app),
        httpx.AsyncClient(transport=transport, base_url="http://nursery") as client,
    ):
        for method, path, body in requests:
            answer = await client.request(method, path, json=body)
            left = f"  RateLimit: {answer.headers['RateLimit']}" if "RateLimit" in answer.headers else ""
            print(f"{method} {path}\n    {answer.status_code} {answer.text}{left}")


if __name__ == "__main__":
    asyncio.run(tour())
