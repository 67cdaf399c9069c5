"""``examples/fastapi_app.py`` over HTTP: every route, what it refuses, its worker, and many requests at once."""

from __future__ import annotations

import asyncio
import logging
import signal
import subprocess
import sys
from collections.abc import AsyncIterator, Iterator
from importlib import import_module
from typing import cast

import httpx
import pytest
from fastapi import FastAPI
from redis.asyncio import Redis
from redis.exceptions import ConnectionError

from purse.embedded import Server
from purse.fastapi import lifespan
from tests.fastapi.support import TestClient, fetch, started
from tests.support.clients import command, connect
from tests.support.polling import until
from tests.support.scripts import ROOT

EXAMPLE = import_module("examples.fastapi_app")
APP = cast("FastAPI", EXAMPLE.app)
LEEK = {"name": "leek", "healthiness": 9.0, "tasty": True}


@pytest.fixture
async def http() -> AsyncIterator[httpx.AsyncClient]:
    """A client of the application on an empty server of its own."""
    async with started(APP) as client:
        yield client


async def test_plants_are_put_and_got(http: httpx.AsyncClient) -> None:
    """One by name, and several in the order in which they were asked for."""
    assert (await http.get("/health")).json() == {"status": "ok"}
    assert (await http.put("/plants/leek", json=LEEK)).status_code == 204
    assert (await http.get("/plants/leek")).json() == LEEK
    assert (await http.get("/plants?name=kale&name=leek")).json() == [None, LEEK]
    missing = await http.get("/plants/kale")
    assert (missing.status_code, missing.json()) == (404, {"detail": "there is no kale"})


@pytest.mark.parametrize(
    ("method", "path", "body", "place"),
    [
        ("PUT", "/plants/leek", {"name": "leek"}, ["body", "healthiness"]),
        ("GET", "/plants", None, ["query", "name"]),
        ("POST", "/plants/leek/deliveries?pieces=0", None, ["query", "pieces"]),
        ("POST", "/orders", {"customer_id": 7, "plant": "leek", "pieces": 0}, ["body", "pieces"]),
        ("GET", "/customers/seven/basket", None, ["path", "customer_id"]),
        ("POST", "/customers/7.5/basket/leek", None, ["path", "customer_id"]),
    ],
)
async def test_what_does_not_fit_is_a_422(
    method: str, path: str, body: object, place: list[str], http: httpx.AsyncClient
) -> None:
    """It says where, and the parameters of stores are no exception."""
    answer = await http.request(method, path, json=body)

    assert answer.status_code == 422
    assert [error["loc"] for error in answer.json()["detail"]] == [place]


async def test_orders_are_packed_while_there_is_stock(http: httpx.AsyncClient) -> None:
    """The worker packs them; whoever comes too late is told."""
    assert (await http.post("/plants/leek/deliveries?pieces=3")).json() == 3

    orders = [{"customer_id": customer, "plant": "leek", "pieces": 2} for customer in (1, 2)]
    answers = [await http.post("/orders", json=order) for order in orders]

    assert [answer.status_code for answer in answers] == [202, 409]
    assert answers[1].json() == {"detail": "there are not 2 of leek"}

    async def packed() -> list[str]:
        return cast("list[str]", (await http.get("/packed")).json())

    await until(packed, ["2 leek for 1"])
    assert (await http.get("/counters")).json() == {"plants": 0, "waiting": 0, "packed": 1}


async def test_of_many_orders_at_once_no_more_pass_than_the_limit_and_the_stock_allow(http: httpx.AsyncClient) -> None:
    """Five in a minute; of these as many as there are plants, because looking and taking is behind the lock."""
    await http.post("/plants/leek/deliveries?pieces=3")

    answers = await asyncio.gather(
        *(http.post("/orders", json={"customer_id": customer, "plant": "leek"}) for customer in range(20))
    )

    assert sorted(answer.status_code for answer in answers) == [202] * 3 + [409] * 2 + [429] * 15
    refused = next(answer for answer in answers if answer.status_code == 429)
    assert 11 <= int(refused.headers["Retry-After"]) <= 12
    assert refused.headers["RateLimit-Policy"] == '"ordering";q=5;w=60'
    assert (await http.post("/plants/leek/deliveries?pieces=1")).json() == 1  # all three were taken


async def test_each_customer_has_a_basket(http: httpx.AsyncClient) -> None:
    """The id in the path says whose."""
    for customer, plant in ((7, "leek"), (7, "leek"), (8, "kale")):
        await http.post(f"/customers/{customer}/basket/{plant}")

    assert (await http.get("/customers/7/basket")).json() == {"leek": 2}
    assert (await http.get("/customers/8/basket")).json() == {"kale": 1}
    assert (await http.get("/customers/9/basket")).json() == {}


async def test_two_hundred_requests_at_once(http: httpx.AsyncClient) -> None:
    """Each gets its own answer."""
    await asyncio.gather(*(http.put(f"/plants/p{n}", json={**LEEK, "name": f"p{n}"}) for n in range(100)))

    answers = await asyncio.gather(
        *(http.get(f"/plants/p{n}") for n in range(100)),
        *(http.post(f"/customers/{n % 10}/basket/leek") for n in range(100)),
    )

    assert [answer.json()["name"] for answer in answers[:100]] == [f"p{n}" for n in range(100)]
    assert sorted(answer.json() for answer in answers[100:]) == sorted([*range(1, 11)] * 10)


@pytest.fixture
def own_server() -> Iterator[Server]:
    """A server that a test may kill and restart."""
    with Server(port=0, password="", config={"appendonly": "yes", "appendfsync": "always"}) as server:
        yield server


@pytest.fixture
async def served(own_server: Server) -> AsyncIterator[httpx.AsyncClient]:
    """A client of the application on that server."""
    app = FastAPI(routes=APP.routes, lifespan=lifespan(own_server.url, inner=EXAMPLE.workers))
    async with started(app) as client:
        yield client


@pytest.fixture
async def direct(own_server: Server) -> AsyncIterator[Redis]:
    """Another client of that server."""
    async with connect(own_server.url) as client:
        yield client


@pytest.mark.thorough
async def test_its_worker_outlives_an_outage(
    own_server: Server, served: httpx.AsyncClient, caplog: pytest.LogCaptureFixture
) -> None:
    """While Redis is away requests fail, and the log says so once; afterwards orders are packed as before."""
    caplog.set_level(logging.INFO, logger="purse")
    await served.post("/plants/leek/deliveries?pieces=9")
    assert (await served.post("/orders", json={"customer_id": 1, "plant": "leek"})).status_code == 202
    await until(lambda: _packed(served), ["1 leek for 1"])

    own_server.kill()
    for _ in range(3):  # each has its second of patience
        with pytest.raises(ConnectionError):
            await served.get("/counters")
    own_server.start()

    assert (await served.post("/orders", json={"customer_id": 2, "plant": "leek"})).status_code == 202
    await until(lambda: _packed(served), ["1 leek for 1", "1 leek for 2"], seconds=20)
    assert [record.levelname for record in caplog.records if record.name == "purse"] == ["WARNING", "INFO"]


async def test_its_worker_outlives_what_goes_wrong(
    served: httpx.AsyncClient, direct: Redis, caplog: pytest.LogCaptureFixture
) -> None:
    """A record that is no order, and a packing that fails: both are in the log, and the next order is packed."""
    await served.post("/plants/leek/deliveries?pieces=9")
    await command(direct, "LPUSH", "{nursery}:orders", "no order")
    await command(direct, "SET", "{nursery}:packed", "no list")
    assert (await served.post("/orders", json={"customer_id": 3, "plant": "leek"})).status_code == 202
    await until(lambda: _failures(caplog), 1)
    await command(direct, "DEL", "{nursery}:packed")
    assert (await served.post("/orders", json={"customer_id": 4, "plant": "leek"})).status_code == 202

    await until(lambda: _packed(served), ["1 leek for 4"], seconds=20)
    assert "{nursery}:orders" in caplog.text
    assert "b'no order'" in caplog.text
    assert "This order was taken, and may not be packed: Order(customer_id=3" in caplog.text


async def test_its_end_tells_what_the_worker_ended_with(own_server: Server, monkeypatch: pytest.MonkeyPatch) -> None:
    """A worker that has ended in another way than by being cancelled is an error of the shutdown."""

    async def broken(nursery: object) -> None:
        raise ZeroDivisionError

    monkeypatch.setattr(EXAMPLE, "supervise", broken)
    app = FastAPI(lifespan=lifespan(own_server.url, inner=EXAMPLE.workers))

    with pytest.raises(ZeroDivisionError):
        async with started(app):
            await asyncio.sleep(0.01)


async def _packed(http: httpx.AsyncClient) -> list[str]:
    return cast("list[str]", (await http.get("/packed")).json())


async def _failures(caplog: pytest.LogCaptureFixture) -> int:
    return caplog.text.count("the worker failed")


def test_it_runs_in_the_test_client_as_often_as_one_likes() -> None:
    """Each time on a server of its own, in an event loop of its own."""
    for _ in range(2):
        with TestClient(APP) as client:
            assert fetch(client, "/plants?name=leek") == [None]
            fetch(client, "/customers/7/basket")


def test_uvicorn_runs_it_and_ends_it() -> None:
    """As the docstring says; after SIGTERM it shuts down in order, and nothing is left on standard error."""
    command = [sys.executable, "-m", "uvicorn", "examples.fastapi_app:app", "--port", "0", "--no-access-log"]
    with subprocess.Popen(command, cwd=ROOT, stderr=subprocess.PIPE, text=True) as server:
        assert server.stderr is not None
        lines: list[str] = []
        try:
            while "Uvicorn running on" not in (line := server.stderr.readline()):
                assert line, lines
                lines.append(line)
            url = next(word for word in line.split() if word.startswith("http://"))
            with httpx.Client(base_url=url) as client:
                answer = client.put("/plants/leek", json=LEEK)
                assert answer.status_code == 204
                assert client.get("/plants/leek").json() == LEEK
        finally:
            server.send_signal(signal.SIGTERM)
            rest = server.stderr.read()
    assert "Application shutdown complete." in rest
    assert "rror" not in rest
