"""``purse.fastapi`` as type checkers see it. Read by mypy and pyright, never run."""
# pyright: reportUnnecessaryTypeIgnoreComment=true

from __future__ import annotations

from collections.abc import AsyncGenerator, Awaitable, Callable
from contextlib import AbstractAsyncContextManager, asynccontextmanager
from typing import Annotated, assert_type

from fastapi import Depends, FastAPI, Request, WebSocket
from redis.asyncio import Redis
from starlette.applications import Starlette

from purse import RedisClient, RedisHash, RedisRateLimiter, Store
from purse.fastapi import Inject, bind, lifespan, provide, rate_limit
from purse.limits import RateLimit


class Garden(Store, namespace="typing-fastapi"):
    """A plain store."""

    plants: RedisHash[float]
    api: RedisRateLimiter = RedisRateLimiter.field(rate="10/second")


class Visitor(Store, namespace="typing-fastapi-visitor:{visitor_id}"):
    """A store with a parameter."""

    prefs: RedisHash[str]

    def __init__(self, redis: RedisClient, *, visitor_id: int) -> None:
        super().__init__(redis, visitor_id=visitor_id)


async def injected(garden: Inject[Garden], visitor: Inject[Visitor]) -> None:
    """``Inject`` is the store."""
    assert_type(garden, Garden)
    assert_type(visitor, Visitor)
    assert_type(await garden.plants.get("leek"), float | None)
    assert_type(await visitor.prefs.get("leek"), str | None)


def bound(app: FastAPI, request: Request, websocket: WebSocket) -> None:
    """``bind`` takes the parameters of the store."""
    assert_type(bind(app, Garden), Garden)
    assert_type(bind(request, Garden), Garden)
    assert_type(bind(app, Visitor, visitor_id=7), Visitor)
    assert_type(bind(websocket, Visitor, visitor_id=7), Visitor)


def provided() -> None:
    """What can be overridden."""
    assert_type(provide(Garden), Callable[..., Awaitable[Garden]])
    FastAPI().dependency_overrides[provide(Garden)] = lambda: Garden(Redis())


@asynccontextmanager
async def stateless(app: FastAPI) -> AsyncGenerator[None]:
    """A lifespan of the user's."""
    bind(app, Garden)
    yield


@asynccontextmanager
async def stateful(app: FastAPI) -> AsyncGenerator[dict[str, int]]:
    """A lifespan with state."""
    yield {"answer": 42}


def lifespans(client: Redis) -> None:
    """Each is what FastAPI takes."""
    assert_type(lifespan("embedded://"), Callable[[Starlette], AbstractAsyncContextManager[None]])
    assert_type(
        lifespan("embedded://", inner=stateful), Callable[[FastAPI], AbstractAsyncContextManager[dict[str, int]]]
    )
    FastAPI(lifespan=lifespan("redis://localhost"))
    FastAPI(lifespan=lifespan(client, stores={Garden: "redis://elsewhere", Visitor: client}))
    FastAPI(lifespan=lifespan(client, inner=stateless))
    FastAPI(lifespan=lifespan(client, inner=stateful))
    Starlette(lifespan=lifespan(client))


async def user_id(token: str) -> int:
    """A dependency with a parameter that FastAPI fills in."""
    return len(token)


def limits() -> None:
    """Whom to count may be a function of the request, or any dependency."""
    assert_type(rate_limit(Garden.api), Callable[..., Awaitable[RateLimit]])
    rate_limit(Garden.api, key=user_id)
    rate_limit(Garden.api, key=lambda request: request.headers["x-api-key"])
    FastAPI(dependencies=[Depends(rate_limit(Garden.api, cost=2))])


def limited(limit: Annotated[RateLimit, Depends(rate_limit(Garden.api))]) -> int:
    """Its value is what remains."""
    return limit.remaining


async def wrong(app: FastAPI, garden: Inject[Garden]) -> None:
    """What the checkers refuse."""
    await garden.plants.set("leek", "big")  # type: ignore[arg-type]  # pyright: ignore[reportArgumentType]
    bind(app, Visitor)  # type: ignore[arg-type]  # pyright: ignore[reportCallIssue]
    bind(app, Visitor, visitor_id="7")  # type: ignore[call-overload]  # pyright: ignore[reportArgumentType]
    bind(app, Visitor, user_id=7)  # type: ignore[call-overload]  # pyright: ignore[reportCallIssue]
    rate_limit(Garden.plants)  # type: ignore[arg-type]  # pyright: ignore[reportArgumentType]
    lifespan(6379)  # type: ignore[call-overload]  # pyright: ignore[reportArgumentType]


async def not_a_store(number: Inject[int]) -> None:  # type: ignore[type-var]  # pyright: ignore[reportInvalidTypeForm, reportUnknownParameterType]
    """``Inject`` is for stores."""
