"""Stores of their own for these tests, and two ways to ask an application: in this event loop, and in another."""

from __future__ import annotations

import warnings
from collections.abc import AsyncGenerator
from contextlib import asynccontextmanager
from typing import TYPE_CHECKING, cast

import httpx
from fastapi import FastAPI
from pydantic import BaseModel

from purse import RedisClient, RedisHash, RedisRateLimiter, Store

with warnings.catch_warnings():
    # Starlette would rather have another package than httpx, of which it needs nothing more here.
    warnings.filterwarnings("ignore", "Using `httpx`")
    from fastapi.testclient import TestClient

if TYPE_CHECKING:
    from collections.abc import Callable

__all__ = ["Garden", "Meadow", "Plant", "TestClient", "Visitor", "asking", "fetch", "started"]


class Plant(BaseModel):
    """A value."""

    name: str
    healthiness: float


class Garden(Store, namespace="fastapi-garden"):
    """A plain store."""

    plants: RedisHash[Plant]
    api: RedisRateLimiter = RedisRateLimiter.field(rate="3/minute")
    fast: RedisRateLimiter = RedisRateLimiter.field(rate="1000/second", burst=1)


class Meadow(Garden, namespace="fastapi-meadow"):
    """A store with a base that is one."""


class Visitor(Store, namespace="fastapi-visitor:{visitor_id}"):
    """A store with a parameter."""

    prefs: RedisHash[str]
    api: RedisRateLimiter = RedisRateLimiter.field(rate="1/minute")

    def __init__(self, redis: RedisClient, *, visitor_id: int) -> None:
        super().__init__(redis, visitor_id=visitor_id)


def asking(app: FastAPI) -> httpx.AsyncClient:
    """A client of ``app`` in this event loop; nothing starts the application."""
    return httpx.AsyncClient(transport=httpx.ASGITransport(app), base_url="http://test")


@asynccontextmanager
async def started(app: FastAPI) -> AsyncGenerator[httpx.AsyncClient]:
    """A client of ``app``, which is started before and shut down afterwards."""
    async with app.router.lifespan_context(app), asking(app) as client:
        yield client


def fetch(http: TestClient, path: str, *, put: object = None) -> object:
    """The JSON that a GET is answered with, or a PUT of ``put``."""
    # To type checkers TestClient is a client of the package that Starlette would rather have, which is not here.
    request = cast("Callable[..., httpx.Response]", http.request)  # pyright: ignore[reportUnknownMemberType]
    answer = request("GET", path) if put is None else request("PUT", path, json=put)
    assert answer.status_code == 200
    return cast("object", answer.json())
