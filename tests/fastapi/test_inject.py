"""``Inject`` and ``provide``: where a store and its parameters come from, and what the schema says of them."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import AsyncIterator
from typing import Annotated, NewType, cast
from uuid import UUID

import pytest
from fastapi import APIRouter, Cookie, Depends, FastAPI, Header, HTTPException, Query
from redis.asyncio import Redis

from purse import RedisClient, RedisHash, RedisList, Store
from purse.fastapi import Inject, lifespan, provide
from tests.fastapi.support import Garden, Meadow, Visitor, started

Slug = NewType("Slug", str)


async def current_user(authorization: Annotated[str, Header()]) -> int:
    """Whose request it is."""
    if not authorization.startswith("user "):
        raise HTTPException(401)
    return int(authorization.removeprefix("user "))


async def opened(visitor: Inject[Visitor]) -> AsyncIterator[str]:
    """A dependency with a store, and something to do at the end."""
    await visitor.prefs.set("opened", "yes")
    yield visitor.prefs.rkey
    await visitor.prefs.set("closed", await visitor.prefs.pop("opened", "no"))


class Own(Store, namespace="fastapi-own:{user_id}"):
    """A store whose parameter is not for the client to choose."""

    prefs: RedisHash[str]

    def __init__(self, redis: RedisClient, *, user_id: Annotated[int, Depends(current_user)]) -> None:
        super().__init__(redis, user_id=user_id)


class Tenant(Store, namespace="fastapi-tenant:{x_tenant}:{session}:{slug}:{doc}"):
    """A store with parameters of all kinds and from everywhere, and an argument that is none."""

    docs: RedisHash[str]

    def __init__(
        self,
        redis: RedisClient,
        *,
        doc: UUID,
        x_tenant: Annotated[str, Header()],
        session: Annotated[str, Cookie()] = "none",
        slug: Slug = Slug("home"),
        admin: bool = False,
    ) -> None:
        super().__init__(redis, doc=doc, x_tenant=x_tenant, session=session, slug=slug)
        self.admin = admin


class Named(Store, namespace="fastapi-named:{connection}"):
    """A store whose parameter has a name that others use, too."""

    prefs: RedisHash[str]

    def __init__(self, redis: RedisClient, *, connection: str) -> None:
        super().__init__(redis, connection=connection)


def with_visitors(app: FastAPI) -> FastAPI:
    """``app`` with a parameter from the path, one from the path that the handler has, too, and one from the query."""

    @app.get("/visitors/{visitor_id}")
    async def one(visitor: Inject[Visitor]) -> str:
        return visitor.prefs.rkey

    @app.get("/visitors/{visitor_id}/twice")
    async def twice(visitor_id: int, visitor: Inject[Visitor], other: Inject[Visitor]) -> bool:
        return visitor is other

    @app.get("/visitor")
    async def from_query(visitor: Inject[Visitor]) -> str:
        return visitor.prefs.rkey

    return app


async def test_a_plain_store_is_bound_once(redis: Redis) -> None:
    """All requests have the same object; a subclass is a store by itself."""
    app = FastAPI(lifespan=lifespan(redis))

    @app.get("/")
    async def ids(garden: Inject[Garden], again: Inject[Garden], meadow: Inject[Meadow]) -> list[int]:
        return [id(garden), id(again), id(meadow)]

    async with started(app) as http:
        first, second = (await http.get("/")).json(), (await http.get("/")).json()

    assert first == second
    assert first[0] == first[1] != first[2]


def test_there_is_one_dependency_for_each_class() -> None:
    """So that it can be overridden."""
    assert provide(Garden) is provide(Garden)
    assert provide(Garden) is not provide(Meadow)


async def test_a_store_can_be_overridden(redis: Redis) -> None:
    """As any dependency: then neither a lifespan nor the parameters are asked for."""
    app = with_visitors(FastAPI())
    app.dependency_overrides[provide(Visitor)] = lambda: Visitor(redis, visitor_id=99)

    async with started(app) as http:
        assert (await http.get("/visitor")).json() == "{fastapi-visitor:99}:prefs"


async def test_parameters_come_from_the_path_else_from_the_query(redis: Redis) -> None:
    """Two of one request are one object."""
    async with started(with_visitors(FastAPI(lifespan=lifespan(redis)))) as http:
        assert (await http.get("/visitors/7")).json() == "{fastapi-visitor:7}:prefs"
        assert (await http.get("/visitors/7/twice")).json() is True
        assert (await http.get("/visitor?visitor_id=-8")).json() == "{fastapi-visitor:-8}:prefs"


@pytest.mark.parametrize("bad", ["x", "1.5", "9" * 5000, "%00", "7a", "None"])
async def test_a_bad_id_is_a_422_with_the_usual_body(bad: str, redis: Redis) -> None:
    """As if the handler had declared it."""
    async with started(with_visitors(FastAPI(lifespan=lifespan(redis)))) as http:
        from_path, from_query = await http.get(f"/visitors/{bad}"), await http.get(f"/visitor?visitor_id={bad}")

    for answer, place in ((from_path, "path"), (from_query, "query")):
        assert answer.status_code == 422
        [told] = answer.json()["detail"]
        assert told["loc"] == [place, "visitor_id"]
        assert {"type", "loc", "msg", "input"} <= told.keys()


async def test_headers_cookies_and_defaults(redis: Redis) -> None:
    """Where ``Annotated`` says so; an argument that is no part of the namespace keeps its default value."""
    app = FastAPI(lifespan=lifespan(redis))

    @app.get("/docs/{doc}")
    async def doc(tenant: Inject[Tenant]) -> tuple[str, bool]:
        return tenant.docs.rkey, tenant.admin

    path, headers = "/docs/0F511111-2222-3333-4444-555555555555", {"X-Tenant": "a:b{c}"}
    stored = "0f511111-2222-3333-4444-555555555555"
    async with started(app) as http:
        answer = await http.get(path, headers=headers)
        assert answer.json() == [f"{{fastapi-tenant:a%3Ab%7Bc%7D:none:home:{stored}}}:docs", False]
        answer = await http.get(f"{path}?slug=x&admin=1", headers={**headers, "Cookie": "session=s"})
        assert answer.json() == [f"{{fastapi-tenant:a%3Ab%7Bc%7D:s:x:{stored}}}:docs", False]
        for bad in (
            await http.get(path),
            await http.get(path, headers={"X-Tenant": ""}),
            await http.get(f"{path}?slug=", headers=headers),
            await http.get("/docs/0f51", headers=headers),
        ):
            assert bad.status_code == 422
            assert [*bad.json()] == ["detail"]


async def test_a_parameter_may_be_a_dependency(redis: Redis) -> None:
    """Then the client cannot choose it: not by a query parameter of its name."""
    app = FastAPI(lifespan=lifespan(redis))

    @app.get("/own")
    async def own(own: Inject[Own]) -> str:
        return own.prefs.rkey

    async with started(app) as http:
        answer = await http.get("/own?user_id=8", headers={"Authorization": "user 7"})
        assert answer.json() == "{fastapi-own:7}:prefs"
        assert (await http.get("/own?user_id=8", headers={"Authorization": "?"})).status_code == 401


async def test_hostile_text_stays_in_its_own_segment(redis: Redis) -> None:
    """Braces, colons, control characters, bytes that are no UTF-8: each is just another id."""
    app = FastAPI(lifespan=lifespan(redis))

    @app.get("/named/{connection}")
    async def named(named: Inject[Named]) -> str:
        return named.prefs.rkey

    async with started(app) as http:
        for sent, stored in {
            "%F0%9F%8C%B1": "%F0%9F%8C%B1",
            "a:b": "a%3Ab",
            "%7D:prefs": "%7D%3Aprefs",
            "%00%0D%0A": "%00%0D%0A",
            "%FF": "%EF%BF%BD",  # the server's replacement character
            "%2525": "%2525",
        }.items():
            assert (await http.get(f"/named/{sent}")).json() == f"{{fastapi-named:{stored}}}:prefs"


async def test_a_plain_store_adds_nothing_to_the_schema(redis: Redis) -> None:
    """The whole OpenAPI document is that of the same application without the store."""

    def schema(*, with_store: bool) -> object:
        app = FastAPI()
        router = APIRouter(dependencies=[Depends(provide(Garden))] if with_store else [])

        async def plain(name: str, limit: Annotated[int, Query()] = 1) -> str:
            return name

        async def stored(name: str, garden: Inject[Garden], limit: Annotated[int, Query()] = 1) -> str:
            return name

        stored.__name__ = "plain"
        router.get("/plants/{name}")(stored if with_store else plain)
        app.include_router(router)
        return app.openapi()

    assert schema(with_store=True) == schema(with_store=False)


def test_a_store_with_parameters_adds_exactly_these_to_the_schema() -> None:
    """Once each, also if the handler declares the same one."""
    paths = with_visitors(FastAPI()).openapi()["paths"]

    expected = {"name": "visitor_id", "required": True, "schema": {"type": "integer", "title": "Visitor Id"}}
    assert paths["/visitors/{visitor_id}"]["get"]["parameters"] == [{**expected, "in": "path"}]
    assert paths["/visitors/{visitor_id}/twice"]["get"]["parameters"] == [{**expected, "in": "path"}]
    assert paths["/visitor"]["get"]["parameters"] == [{**expected, "in": "query"}]


async def test_a_store_may_be_part_of_another_dependency(redis: Redis) -> None:
    """Also of one that cleans up after itself."""
    app = FastAPI(lifespan=lifespan(redis))

    @app.get("/visitors/{visitor_id}")
    async def visit(rkey: Annotated[str, Depends(opened)]) -> str:
        return rkey

    async with started(app) as http:
        assert (await http.get("/visitors/7")).json() == "{fastapi-visitor:7}:prefs"
    assert await Visitor(redis, visitor_id=7).prefs.dict() == {"closed": "yes"}


class Shelf(Store, ABC):
    """An interface."""

    @abstractmethod
    async def look(self) -> str: ...


class Wooden(Shelf, namespace="fastapi-wooden"):
    """What fills it in."""

    lines: RedisList[str]

    async def look(self) -> str:
        return await self.lines.pop()


async def test_an_abstract_store_is_an_interface(redis: Redis) -> None:
    """Handlers ask for it, the application says which store it is."""
    app = FastAPI(lifespan=lifespan(redis))
    app.dependency_overrides[provide(Shelf)] = provide(Wooden)

    @app.get("/")
    async def look(shelf: Inject[Shelf]) -> str:
        return await shelf.look()

    async with started(app) as http:
        await Wooden(redis).lines.append("a book")
        assert (await http.get("/")).json() == "a book"


def test_what_is_no_store_is_refused() -> None:
    """With what to write."""
    with pytest.raises(TypeError, match=r"provide\(\) takes a store class, not <class 'int'>"):
        provide(cast("type[Garden]", int))
    with pytest.raises(TypeError, match=r'"Inject\[Garden\]"'):
        Inject["Garden"]
