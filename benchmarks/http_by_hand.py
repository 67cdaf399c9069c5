"""What ``python -m benchmarks http`` compares ``examples/fastapi_app.py`` with: its routes on redis-py, by hand.

As a careful author writes them: one client with a pool that is large enough, closed by the lifespan; pydantic's
``TypeAdapter`` with its methods bound once; one command or one pipeline for many plants, never a loop of awaits.
"""

from __future__ import annotations

import os
from collections.abc import AsyncGenerator, Awaitable, Callable
from contextlib import asynccontextmanager
from typing import Annotated, cast

from fastapi import FastAPI, HTTPException, Query
from redis.asyncio import Redis

from benchmarks.data import Plant, to_json, validate_json

__all__ = ["app"]

PLANTS = "{nursery}:plants"

# redis-py leaves **kwargs of from_url() untyped. Its default pool raises at the 101st request at once.
client = Redis.from_url(os.environ.get("PURSE_REDIS_URL", "redis://localhost"), max_connections=2000)  # pyright: ignore[reportUnknownMemberType]


@asynccontextmanager
async def _lifespan(app: FastAPI) -> AsyncGenerator[None]:
    yield
    await client.aclose()


app = FastAPI(title="Nursery", lifespan=_lifespan)


@app.get("/health")
async def health() -> dict[str, str]:
    return {"status": "ok"}


@app.get("/plants/{name}")
async def get_plant(name: str) -> Plant:
    raw = cast("bytes | None", await client.hget(PLANTS, name))
    if raw is None:
        raise HTTPException(404, f"there is no {name}")
    return cast("Plant", validate_json(raw))


@app.put("/plants/{name}", status_code=204)
async def put_plant(name: str, plant: Plant) -> None:
    await client.hset(PLANTS, name, cast("str", to_json(plant)))  # redis-py takes bytes as well, and does not say so


@app.get("/plants")
async def get_plants(name: Annotated[list[str], Query(max_length=100)]) -> list[Plant | None]:
    raws = cast("list[bytes | None]", await client.hmget(PLANTS, name))
    return [None if raw is None else validate_json(raw) for raw in raws]


@app.get("/gathered")
async def get_plants_in_a_pipeline(name: Annotated[list[str], Query(max_length=100)]) -> list[Plant | None]:
    """A pipeline, as for reads of several structures, which no single command does."""
    pipeline = client.pipeline(transaction=False)
    for each in name:
        pipeline.hget(PLANTS, each)  # pyright: ignore[reportUnusedCoroutine]  # it is only noted down
    # redis-py leaves the replies of a pipeline untyped.
    execute = cast("Callable[[], Awaitable[list[bytes | None]]]", pipeline.execute)  # pyright: ignore[reportUnknownMemberType]
    return [None if raw is None else validate_json(raw) for raw in await execute()]
