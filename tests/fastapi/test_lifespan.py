"""``lifespan`` and ``bind``: which client serves which application, and that none is left open."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncGenerator, AsyncIterator, Awaitable, Callable
from contextlib import AbstractAsyncContextManager, asynccontextmanager
from typing import cast

import httpx
import pytest
from fastapi import APIRouter, FastAPI, Request, Response, WebSocket
from redis.asyncio import Redis
from starlette.applications import Starlette
from starlette.routing import Mount

from purse import RedisClient, RedisHash, StoreClosed
from purse._declaration.binding import binding_of
from purse._engine.statistics import statistics
from purse.embedded import Server
from purse.fastapi import Inject, bind, lifespan
from tests.fastapi.support import Garden, Meadow, Plant, TestClient, Visitor, asking, fetch, started
from tests.support.clients import all_keys
from tests.support.scripts import ROOT, run

LEEK = Plant(name="leek", healthiness=9.0)


async def get_plant(name: str, garden: Inject[Garden]) -> Plant | None:
    """A handler."""
    return await garden.plants.get(name)


async def put_plant(name: str, plant: Plant, garden: Inject[Garden]) -> None:
    """A handler."""
    await garden.plants.set(name, plant)


async def which(garden: Inject[Garden]) -> int:
    """Which client serves the request."""
    return id(client_of(garden))


def with_routes(app: FastAPI) -> FastAPI:
    """``app`` with the handlers above."""
    app.get("/plants/{name}")(get_plant)
    app.put("/plants/{name}")(put_plant)
    app.get("/which")(which)
    return app


def client_of(store: Garden | Visitor) -> RedisClient:
    """The client that a store is bound to."""
    return binding_of(store).client


async def test_a_url_is_a_client_while_the_application_runs(server: Server, redis: Redis) -> None:
    """What one request writes, another reads, in the keys of the store; afterwards the client is closed."""
    app = with_routes(FastAPI(lifespan=lifespan(server.url)))

    async with started(app) as http:
        garden = bind(app, Garden)
        assert (await http.put("/plants/leek", json=LEEK.model_dump())).status_code == 200
        assert (await http.get("/plants/leek")).json() == LEEK.model_dump()
        assert (await http.get("/which")).json() == id(client_of(garden))

    assert await all_keys(redis) == [b"{fastapi-garden}:plants"]
    assert statistics(client_of(garden)).connections == 0
    with pytest.raises(StoreClosed):
        await garden.plants.get("leek")


async def test_a_client_of_mine_is_not_closed(redis: Redis) -> None:
    """It is used as it is, and still works afterwards."""
    app = FastAPI(lifespan=lifespan(redis))

    async with app.router.lifespan_context(app):
        garden = bind(app, Garden)
        assert client_of(garden) is redis

    await garden.plants.set("leek", LEEK)
    assert await garden.plants.get("leek") == LEEK


async def test_an_embedded_server_ends_with_the_application() -> None:
    """``embedded://`` is a server for all stores of the application, also if it is written twice."""
    app = FastAPI(lifespan=lifespan("embedded://", stores={Visitor: "embedded://"}))

    async with app.router.lifespan_context(app):
        garden, visitor = bind(app, Garden), bind(app, Visitor, visitor_id=7)
        assert client_of(garden) is client_of(visitor)
        await visitor.prefs.set("colour", "green")

    with pytest.raises(StoreClosed):
        await garden.plants.len()


async def test_a_store_lives_where_it_is_placed_and_its_subclasses_with_it(redis: Redis) -> None:
    """The nearest class that is placed decides; whatever is not placed lives on the first server."""
    gardens, meadows = Redis(), Redis()
    app = FastAPI(lifespan=lifespan(redis, stores={Garden: gardens}))
    other = FastAPI(lifespan=lifespan(redis, stores={Garden: gardens, Meadow: meadows}))

    async with app.router.lifespan_context(app), other.router.lifespan_context(other):
        assert client_of(bind(app, Garden)) is gardens
        assert client_of(bind(app, Meadow)) is gardens
        assert client_of(bind(app, Visitor, visitor_id=7)) is redis
        assert client_of(bind(other, Meadow)) is meadows


async def test_the_same_url_is_one_client(server: Server) -> None:
    """One client for each server, not for each store."""
    elsewhere = f"{server.url}/1"
    app = FastAPI(lifespan=lifespan(server.url, stores={Garden: elsewhere, Visitor: elsewhere}))

    async with app.router.lifespan_context(app):
        assert client_of(bind(app, Garden)) is client_of(bind(app, Visitor, visitor_id=7))


async def test_a_lifespan_of_mine_runs_inside_and_its_state_is_passed_on(server: Server, redis: Redis) -> None:
    """Stores are usable from its first line to its last; requests see its state."""

    @asynccontextmanager
    async def mine(app: FastAPI) -> AsyncGenerator[dict[str, str]]:
        await bind(app, Garden).plants.set("first", LEEK)
        yield {"answer": "42"}
        await bind(app, Garden).plants.set("last", LEEK)

    app = FastAPI(lifespan=lifespan(server.url, inner=mine))

    @app.get("/state")
    async def state(request: Request) -> str:
        return cast("str", request.state.answer)

    def ask() -> object:
        with TestClient(app) as http:
            return fetch(http, "/state")

    assert await asyncio.to_thread(ask) == "42"
    assert await RedisHash(redis, "{fastapi-garden}:plants", Plant).dict() == {"first": LEEK, "last": LEEK}


async def test_lifespans_nest_by_hand_too(server: Server, redis: Redis) -> None:
    """``async with lifespan(url)(app)`` in a lifespan of one's own does the same."""

    @asynccontextmanager
    async def mine(app: FastAPI) -> AsyncGenerator[None]:
        async with lifespan(server.url)(app):
            await bind(app, Garden).plants.set("first", LEEK)
            yield

    async with started(with_routes(FastAPI(lifespan=mine))) as http:
        assert (await http.get("/plants/first")).json() == LEEK.model_dump()


@pytest.mark.parametrize("part", ["start-up", "shutdown", "the application"])
async def test_everything_is_closed_whatever_fails(part: str, server: Server) -> None:
    """The error of the other part comes through, and the client is closed."""
    gardens: list[Garden] = []

    @asynccontextmanager
    async def failing(app: FastAPI) -> AsyncGenerator[None]:
        gardens.append(bind(app, Garden))
        await gardens[0].plants.len()
        if part == "start-up":
            raise LookupError(part)
        yield
        if part == "shutdown":
            raise LookupError(part)

    app = FastAPI(lifespan=lifespan(server.url, inner=failing))

    async def start_and_end() -> None:
        async with app.router.lifespan_context(app):
            if part == "the application":
                raise LookupError(part)

    with pytest.raises(LookupError, match=part):
        await start_and_end()

    assert statistics(client_of(gardens[0])).connections == 0
    with pytest.raises(StoreClosed):
        await gardens[0].plants.len()
    with pytest.raises(RuntimeError, match="is not running for this application"):
        bind(app, Garden)


async def test_an_application_starts_again(server: Server, redis: Redis) -> None:
    """Each start-up has a client of its own, and the former one is gone."""
    app = with_routes(FastAPI(lifespan=lifespan(server.url)))

    async with started(app):
        former = bind(app, Garden)
    async with started(app) as http:
        assert bind(app, Garden) is not former
        assert (await http.get("/plants/leek")).json() is None


async def test_one_application_in_two_event_loops(server: Server, redis: Redis) -> None:
    """Each loop has its own start-up, and keeps it when the other has ended."""
    app = with_routes(FastAPI(lifespan=lifespan(server.url)))

    def ask_in_two_loops() -> None:
        with TestClient(app) as one:
            with TestClient(app) as two:
                assert fetch(one, "/which") != fetch(two, "/which")
                fetch(two, "/plants/leek", put=LEEK.model_dump())
            assert fetch(one, "/plants/leek") == LEEK.model_dump()

    await asyncio.to_thread(ask_in_two_loops)


async def test_two_applications_have_two_servers(server: Server, redis: Redis) -> None:
    """They do not see each other's data."""
    one = with_routes(FastAPI(lifespan=lifespan(server.url)))
    two = with_routes(FastAPI(lifespan=lifespan(f"{server.url}/1")))

    async with started(one) as http_one, started(two) as http_two:
        await http_one.put("/plants/leek", json=LEEK.model_dump())

        assert (await http_one.get("/plants/leek")).json() == LEEK.model_dump()
        assert (await http_two.get("/plants/leek")).json() is None


async def test_a_mounted_application_uses_the_stores_of_the_outer_one(redis: Redis) -> None:
    """One lifespan serves all that is mounted, as deep as it may be, in FastAPI and in Starlette."""
    leaf = with_routes(FastAPI())
    middle = FastAPI()
    middle.mount("/leaf", leaf)
    app = FastAPI(lifespan=lifespan(redis))
    app.mount("/middle", middle)
    outer = Starlette(lifespan=lifespan(redis), routes=[Mount("/leaf", leaf)])

    async with started(app) as http:
        assert (await http.get("/middle/leaf/which")).json() == id(redis)
    async with outer.router.lifespan_context(outer):
        transport = httpx.ASGITransport(outer)
        async with httpx.AsyncClient(transport=transport, base_url="http://test") as http:
            assert (await http.get("/leaf/which")).json() == id(redis)


async def test_a_mounted_application_that_is_started_has_stores_of_its_own(redis: Redis) -> None:
    """Whoever starts it says where they live."""
    own = Redis()
    mounted = with_routes(FastAPI(lifespan=lifespan(own)))

    @asynccontextmanager
    async def both(app: FastAPI) -> AsyncGenerator[None]:
        async with mounted.router.lifespan_context(mounted):
            yield

    app = with_routes(FastAPI(lifespan=lifespan(redis, inner=both)))
    app.mount("/mounted", mounted)

    async with started(app) as http:
        assert (await http.get("/mounted/which")).json() == id(own)
        assert (await http.get("/which")).json() == id(redis)


async def test_routers_and_middleware(redis: Redis) -> None:
    """An included router needs nothing, and a router's own lifespan is the application's."""
    router = APIRouter(lifespan=lifespan(redis))
    router.get("/which")(which)
    app = FastAPI()
    app.include_router(router, prefix="/api")
    seen: list[Garden] = []

    @app.middleware("http")
    async def look(request: Request, go_on: Callable[[Request], Awaitable[Response]]) -> Response:
        seen.append(bind(request, Garden))
        seen.append(bind(cast("FastAPI", request.app), Garden))
        return await go_on(request)

    async with started(app) as http:
        assert (await http.get("/api/which")).json() == id(redis)

    assert len({*map(id, seen)}) == 1


async def test_a_websocket_has_stores_and_the_request_a_dependency_of_its_own(server: Server, redis: Redis) -> None:
    """In the loop and the thread of TestClient."""
    app = FastAPI(lifespan=lifespan(server.url))

    @app.websocket("/plants")
    async def plants(websocket: WebSocket, garden: Inject[Garden], visitor: Inject[Visitor]) -> None:
        await websocket.accept()
        await garden.plants.set("leek", LEEK)
        await websocket.send_text(visitor.prefs.rkey)
        assert bind(websocket, Garden) is garden
        await websocket.close()

    def talk() -> str:
        with TestClient(app) as http, http.websocket_connect("/plants?visitor_id=7") as socket:
            return socket.receive_text()

    assert await asyncio.to_thread(talk) == "{fastapi-visitor:7}:prefs"
    assert await all_keys(redis) == [b"{fastapi-garden}:plants"]


async def test_without_a_lifespan_the_error_says_what_to_add() -> None:
    """In a request and in ``bind``."""
    app = with_routes(FastAPI())

    with pytest.raises(RuntimeError, match=r'FastAPI\(lifespan=lifespan\("redis://localhost"\)\)'):
        await asking(app).get("/which")
    with pytest.raises(RuntimeError, match="no server for Garden"):
        bind(app, Garden)


async def test_a_lifespan_that_nobody_ran_is_told(server: Server) -> None:
    """``ASGITransport`` runs none, nor does ``TestClient`` without ``with``; the message has both."""
    app = with_routes(FastAPI(lifespan=lifespan(server.url)))

    with pytest.raises(RuntimeError, match=r"async with app\.router\.lifespan_context\(app\):"):
        await asking(app).get("/which")
    with pytest.raises(RuntimeError, match=r"with TestClient\(app\) as client:"):
        await asyncio.to_thread(fetch, TestClient(app), "/which")


async def test_outside_of_an_event_loop_the_latest_start_up_counts(server: Server) -> None:
    """A handler that is a plain function runs in a thread."""
    app = FastAPI(lifespan=lifespan(server.url))

    async with app.router.lifespan_context(app), app.router.lifespan_context(app):
        assert await asyncio.to_thread(bind, app, Garden) is bind(app, Garden)


async def test_what_is_no_server_is_refused_where_it_is_written() -> None:
    """Before anything starts, with what to write."""
    port, number, no_app = cast("str", 6379), cast("type[Garden]", int), cast("FastAPI", None)
    with pytest.raises(TypeError, match=r"expected a redis\.asyncio\.Redis, got int"):
        lifespan(port)
    with pytest.raises(TypeError, match=r"lifespan\(stores=\{...\}\) takes a store class, not <class 'int'>"):
        lifespan("embedded://", stores={number: "embedded://"})
    with pytest.raises(TypeError, match=r'FastAPI\(lifespan=lifespan\("redis://localhost"\)\)'):
        lifespan(cast("str", FastAPI()))

    async def forgotten(app: FastAPI) -> AsyncIterator[None]:
        yield

    with pytest.raises(TypeError, match="inner=forgotten is an async generator: write @asynccontextmanager above it"):
        lifespan("embedded://", inner=cast("Callable[[FastAPI], AbstractAsyncContextManager[None]]", forgotten))
    with pytest.raises(TypeError, match="is for a FastAPI or Starlette application, not a NoneType"):
        await lifespan("embedded://")(no_app).__aenter__()
    app = FastAPI(lifespan=lifespan("localhost"))
    with pytest.raises(ValueError, match="redis://host:6379/0"):
        await app.router.lifespan_context(app).__aenter__()


async def test_bind_takes_store_classes(redis: Redis) -> None:
    """Whatever else it is given is named."""
    app = FastAPI(lifespan=lifespan(redis))

    async with app.router.lifespan_context(app):
        with pytest.raises(TypeError, match=r"bind\(\) takes a store class, not <class 'int'>"):
            bind(app, cast("type[Garden]", int))
        with pytest.raises(TypeError, match="visitor_id"):
            bind(app, cast("type[Garden]", Visitor))
        assert bind(app, Visitor, visitor_id=7).prefs.rkey == "{fastapi-visitor:7}:prefs"


@pytest.mark.thorough
def test_the_core_never_imports_fastapi() -> None:
    """Not even ``from purse import *``."""
    ended = run(
        ["-c", "from purse import *; import sys; assert not {'fastapi', 'starlette'} & {*sys.modules}"], cwd=ROOT
    )

    assert ended.err == ""
    assert ended.code == 0


def test_without_fastapi_the_error_says_what_to_install() -> None:
    """The exact line."""
    ended = run(["-c", "import sys; sys.modules['fastapi'] = None; import purse.fastapi"], cwd=ROOT)

    assert ended.err.endswith('ModuleNotFoundError: purse.fastapi needs FastAPI: pip install "redis-purse[fastapi]"\n')
