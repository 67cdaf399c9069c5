"""Tests of garden_app.py on a real server: python -m pytest test_garden_app.py"""

from collections.abc import Iterator

import httpx
import pytest
from garden_app import Garden, Plant, app

from purse.fastapi import provide
from purse.testing import StoreFactory, round_trips

LEEK = Plant(name="leek", healthiness=9)


@pytest.fixture
def garden(purse_store: StoreFactory) -> Iterator[Garden]:
    """A garden whose keys no other test has, in the place of the application's."""
    garden = purse_store(Garden)
    app.dependency_overrides[provide(Garden)] = lambda: garden
    yield garden
    app.dependency_overrides.clear()


def client() -> httpx.AsyncClient:
    return httpx.AsyncClient(transport=httpx.ASGITransport(app), base_url="http://garden")


@pytest.mark.asyncio
async def test_what_is_planted_is_found(garden: Garden) -> None:
    async with client() as http:
        await http.put("/plants/leek", json=LEEK.model_dump())

    assert await garden.plants.get("leek") == LEEK


@pytest.mark.asyncio
async def test_reading_a_plant_is_one_round_trip(garden: Garden) -> None:
    await garden.plants.set("leek", LEEK)

    async with client() as http:
        with round_trips(max=1):
            answer = await http.get("/plants/leek")

    assert answer.json() == LEEK.model_dump()


@pytest.mark.asyncio
async def test_the_third_plant_of_a_minute_is_refused(garden: Garden) -> None:
    async with client() as http:
        codes = [(await http.put("/plants/leek", json=LEEK.model_dump())).status_code for _ in range(3)]

    assert codes == [200, 200, 429]
