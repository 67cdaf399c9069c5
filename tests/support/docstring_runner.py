"""Examples in docstrings, run one after the other.

    python -m tests.support.docstring_runner      prints a JSON object: {place: traceback or ""}

Each is run with the names of ``prepared``: a garden on a real server, and what goes with it. Functions that it defines
are called, if all their parameters are prepared names.

This is a program of its own, so that the stores in the examples do not meet those of the tests.
"""

from __future__ import annotations

import asyncio
import importlib
import inspect
import json
import traceback
import warnings
from collections.abc import AsyncGenerator
from contextlib import asynccontextmanager

import fastapi
import redis.asyncio
from pydantic import BaseModel

import purse
import purse.fastapi
import purse.testing
from purse import RedisHash, RedisList, RedisLock, RedisRateLimiter, RedisSemaphore, Store
from purse.embedded import Server
from tests.support.docstrings import Example, examples


class Plant(BaseModel):
    name: str


class Garden(Store, namespace="garden"):
    plants: RedisHash[Plant]
    log: RedisList[str]
    visits: RedisHash[int]
    lock: RedisLock
    beds: RedisSemaphore = RedisSemaphore.field(limit=2)
    api: RedisRateLimiter = RedisRateLimiter.field(rate="10/minute")


class _Machines:
    """In the place of ``Redis``: each host is a database of one server."""

    def __init__(self, url: str) -> None:
        self._url = url
        self._hosts: list[str] = []

    def __call__(self, host: str) -> redis.asyncio.Redis:
        self._hosts.append(host)
        return self.from_url(self._url, db=len(self._hosts))

    @staticmethod
    def from_url(url: str, db: int = 0) -> redis.asyncio.Redis:
        return redis.asyncio.Redis.from_url(url, db=db)  # pyright: ignore[reportUnknownMemberType] - **kwargs: untyped


async def _write(*written: object) -> None:
    """In the place of something that takes a token."""


@asynccontextmanager
async def prepared(url: str) -> AsyncGenerator[dict[str, object]]:
    """The names that examples may use."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # the test client says of itself that httpx is going
        from fastapi.testclient import TestClient
    async with Garden.open(url) as garden:
        app = fastapi.FastAPI()
        purse_store = purse.testing.StoreFactory(garden.plants.redis)
        app.dependency_overrides[purse.fastapi.provide(Garden)] = lambda: purse_store(Garden)

        @app.get("/plants/{name}")
        async def get_plant(name: str, garden: purse.fastapi.Inject[Garden]) -> Plant | None:
            return await garden.plants.get(name)

        yield {
            "__name__": "__main__",
            **{name: getattr(purse, name) for name in importlib.import_module("purse").__all__},
            **{name: getattr(purse.fastapi, name) for name in purse.fastapi.__all__},
            **{name: getattr(purse.testing, name) for name in purse.testing.__all__},
            "FastAPI": fastapi.FastAPI,
            "Garden": Garden,
            "Plant": Plant,
            "Redis": _Machines(url),
            "Server": Server,
            "TooManyRequests": RuntimeError,
            "app": app,
            "client": TestClient(app),
            "garden": garden,
            "gather": asyncio.gather,
            "limiter": garden.api,
            "lock": garden.lock,
            "name": "spinach",
            "names": ["spinach", "leek"],
            "other_client": garden.plants.redis,
            "purse_store": purse_store,
            "semaphore": garden.beds,
            "spinach": Plant(name="spinach"),
            "user_id": 42,
            "write": _write,
        }


async def _run(example: Example, url: str) -> str:
    """Its traceback, or nothing."""
    async with prepared(url) as names:
        given = {**names}
        try:
            async with asyncio.timeout(10):
                pending = eval(example.compiled(), names)
                if inspect.iscoroutine(pending):
                    await pending
                for defined in [value for name, value in names.items() if given.get(name) is not value]:
                    if inspect.iscoroutinefunction(defined):
                        parameters = inspect.signature(defined).parameters
                        if parameters.keys() <= given.keys():
                            await defined(*(given[name] for name in parameters))
        except Exception:
            return traceback.format_exc()
    return ""


async def _run_all() -> dict[str, str]:
    with Server(port=0, password="") as server:
        # The examples that open a URL of their own open this one.
        return {
            example.place: await _run(
                Example(example.place, example.code.replace("redis://localhost", server.url)), server.url
            )
            for example in examples()
        }


if __name__ == "__main__":
    print(json.dumps(asyncio.run(_run_all())))
