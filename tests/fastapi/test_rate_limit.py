"""``rate_limit``: who is counted, what a refused request is told, and what it costs."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from typing import Annotated, cast
from uuid import UUID

import pytest
from fastapi import Depends, FastAPI, Header, Request, WebSocket
from redis.asyncio import Redis
from starlette.websockets import WebSocketDisconnect

from purse import Store, configure
from purse._engine.modes import Engine
from purse.embedded import Server
from purse.fastapi import lifespan, rate_limit
from purse.inspect import FieldSpec, fields
from purse.limits import RateLimit, RedisRateLimiter
from tests.fastapi.support import Garden, TestClient, Visitor, started
from tests.support.clients import all_keys
from tests.support.monitor import Monitor, load_scripts

Limit = Callable[..., object]

COUNTED = rate_limit(Garden.api)


def limited(redis: Redis, *limits: Limit) -> FastAPI:
    """An application with a route that has these limits."""
    app = FastAPI(lifespan=lifespan(redis))

    @app.get("/", dependencies=[Depends(limit) for limit in limits])
    async def hello() -> str:
        return "hello"

    return app


@pytest.mark.parametrize("engine", ["shared", "dedicated"])
async def test_the_fourth_of_three_requests_is_a_429(engine: Engine, redis: Redis) -> None:
    """It says when to come back, in whole seconds, rounded up; all answers say what is left."""
    configure(redis, engine=engine)

    async with started(limited(redis, rate_limit(Garden.api))) as http:
        passed = [await http.get("/") for _ in range(3)]
        refused = await http.get("/")

    assert [answer.status_code for answer in passed] == [200, 200, 200]
    assert [answer.headers["RateLimit"] for answer in passed] == ['"api";r=2;t=20', '"api";r=1;t=40', '"api";r=0;t=60']
    assert {answer.headers["RateLimit-Policy"] for answer in (*passed, refused)} == {'"api";q=3;w=60'}
    assert refused.status_code == 429
    assert refused.headers["Retry-After"] == "20"
    assert refused.headers["RateLimit"] == '"api";r=0;t=20'
    assert refused.json() == {"detail": "Too many requests. Try again in 20 seconds."}
    assert "Retry-After" not in passed[0].headers


async def test_of_fifty_requests_at_once_three_pass(redis: Redis) -> None:
    """However many come together."""
    async with started(limited(redis, rate_limit(Garden.api))) as http:
        answers = await asyncio.gather(*(http.get("/") for _ in range(50)))

    assert sorted(answer.status_code for answer in answers) == [200] * 3 + [429] * 47


async def test_a_request_is_one_command(server: Server, redis: Redis) -> None:
    """One round trip, whether it passes or not."""
    assert server.port is not None
    await load_scripts(redis)

    async with started(limited(redis, rate_limit(Garden.api, cost=2))) as http, Monitor(server.port) as monitor:
        await http.get("/")
        await http.get("/")

        sent = [
            command[:4]
            for command in await monitor.commands()
            if command[0] not in ("HELLO", "CLIENT", "MULTI", "EXEC")
        ]

    assert sent == [("EVALSHA", "rate_gcra", "1", "{fastapi-garden}:api:127.0.0.1")] * 2


async def by_header(x_api_key: Annotated[str, Header()]) -> str:
    """A dependency."""
    return x_api_key


def by_request(request: Request) -> str:
    """A dependency that is a function of the request, in a thread."""
    return request.headers["x-api-key"]


async def later(request: Request) -> UUID:
    """A key that is no str."""
    assert "x-api-key" in request.headers
    return UUID(int=1)


LAMBDA: Callable[[Request], str] = lambda request: request.headers["x-api-key"]  # noqa: E731 - what is tested
LATER: Callable[[Request], Awaitable[UUID]] = lambda request: later(request)  # noqa: E731 - what is tested


@pytest.mark.parametrize(
    ("key", "stored"),
    [
        (None, "127.0.0.1"),
        (by_header, "ada"),
        (by_request, "ada"),
        (LAMBDA, "ada"),
        (LATER, "#00000000-0000-0000-0000-000000000001"),
        (lambda: "everybody", "everybody"),
    ],
    ids=["address", "dependency", "function", "lambda", "coroutine", "constant"],
)
async def test_who_is_counted(key: Callable[..., str | Awaitable[UUID]] | None, stored: str, redis: Redis) -> None:
    """The address of the client, or what ``key`` says: a dependency, or a function of the request."""
    limit = rate_limit(Garden.api) if key is None else rate_limit(Garden.api, key=key)

    async with started(limited(redis, limit)) as http:
        answer = await http.get("/", headers={"x-api-key": "ada"})

    assert answer.status_code == 200
    assert await all_keys(redis) == [f"{{fastapi-garden}}:api:{stored}".encode()]


async def test_a_key_with_parameters_is_part_of_the_schema_and_validated(redis: Redis) -> None:
    """As any dependency; a limit by itself adds nothing."""
    app = limited(redis, rate_limit(Garden.api, key=by_header))

    async with started(app) as http:
        assert (await http.get("/")).status_code == 422
    [parameter] = app.openapi()["paths"]["/"]["get"]["parameters"]
    assert (parameter["name"], parameter["in"]) == ("x-api-key", "header")
    assert "parameters" not in limited(redis, rate_limit(Garden.api)).openapi()["paths"]["/"]["get"]


async def test_a_key_that_is_none_is_an_error(redis: Redis) -> None:
    """Everybody without one would share a count unnoticed."""
    limit = rate_limit(Garden.api, key=lambda request: cast("str", request.headers.get("x-api-key")))

    async with started(limited(redis, limit)) as http:
        with pytest.raises(TypeError, match=r"rate_limit\(Garden.api, key=...\): the key is None"):
            await http.get("/")


async def test_two_limits_are_told_both(redis: Redis) -> None:
    """In two lines of each field; the one that refuses tells its own."""
    app = limited(redis, rate_limit(Garden.api), rate_limit(Garden.fast, key=lambda: "all"))

    async with started(app) as http:
        answer = await http.get("/")

    assert answer.headers.get_list("RateLimit-Policy") == ['"api";q=3;w=60', '"fast";q=1;w=1']
    assert answer.headers.get_list("RateLimit") == ['"api";r=2;t=20', '"fast";r=0;t=1']


async def test_a_limit_of_a_store_with_parameters_is_that_of_its_own(redis: Redis) -> None:
    """Each visitor has one."""
    app = FastAPI(lifespan=lifespan(redis))

    @app.get("/visitors/{visitor_id}", dependencies=[Depends(rate_limit(Visitor.api, key=lambda: ""))])
    async def visit() -> None: ...

    async with started(app) as http:
        codes = [(await http.get(f"/visitors/{visitor}")).status_code for visitor in (7, 7, 8, "x")]

    assert codes == [200, 429, 200, 422]
    assert await all_keys(redis) == [b"{fastapi-visitor:7}:api", b"{fastapi-visitor:8}:api"]


async def test_the_handler_can_have_the_answer(redis: Redis) -> None:
    """The dependency's value is the ``RateLimit``, counted once in a request."""
    app = FastAPI(lifespan=lifespan(redis))

    @app.get("/", dependencies=[Depends(COUNTED)])
    async def left(answer: Annotated[RateLimit, Depends(COUNTED)]) -> int:
        return answer.remaining

    async with started(app) as http:
        assert (await http.get("/")).json() == 2


async def test_a_websocket_is_closed_with_try_again_later(server: Server, redis: Redis) -> None:
    """Before it is accepted."""
    app = FastAPI(lifespan=lifespan(server.url))

    @app.websocket("/")
    async def talk(websocket: WebSocket, limit: Annotated[RateLimit, Depends(rate_limit(Visitor.api))]) -> None:
        await websocket.accept()
        await websocket.close()

    def twice() -> tuple[int, str]:
        with TestClient(app) as http:
            with http.websocket_connect("/?visitor_id=1"):
                pass
            with (
                pytest.raises(WebSocketDisconnect) as refused,
                http.websocket_connect("/?visitor_id=1"),
            ):
                pass
        return refused.value.code, refused.value.reason

    assert await asyncio.to_thread(twice) == (1013, "Too many requests. Try again in 60 seconds.")


class Door(Store):
    """A part."""

    api: RedisRateLimiter = RedisRateLimiter.field(rate="1/hour")


class House(Store, namespace="fastapi-house"):
    """A whole."""

    front: Door


async def test_a_limit_of_a_nested_store(redis: Redis) -> None:
    """It is named by its path, in the headers, too."""
    nested = cast("FieldSpec[RedisRateLimiter]", fields(House)["front.api"])

    async with started(limited(redis, rate_limit(nested))) as http:
        codes = [(await http.get("/")).status_code for _ in range(2)]
        policy = (await http.get("/")).headers["RateLimit-Policy"]

    assert codes == [200, 429]
    assert policy == '"front.api";q=1;w=3600'
    assert await all_keys(redis) == [b"{fastapi-house}:front:api:127.0.0.1"]


async def test_what_is_no_limiter_is_refused_where_it_is_written() -> None:
    """A field of another kind, or something that is no field."""
    for wrong in (Garden.plants, fields(Garden)["plants"], "api"):
        with pytest.raises(TypeError, match=r"rate_limit\(\) takes a declared RedisRateLimiter"):
            rate_limit(cast("FieldSpec[RedisRateLimiter]", wrong))
