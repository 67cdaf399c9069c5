"""The testing kit: fixtures for pytest on a real server, and a budget of round trips.

    async def test_planting(purse_store: StoreFactory) -> None:
        garden = purse_store(Garden)
        with round_trips(max=1):
            await garden.plants.set("spinach", spinach)

A real server starts in 10 to 30 ms, so the kit does not need a fake that behaves almost like one.

    _isolation    the server, and for each test a client and a namespace that is cleaned up
    _counting     round_trips

``purse.pytest_plugin`` makes fixtures of it: ``purse_server``, ``purse_redis``, ``purse_store``. For another test
runner, the context managers ``serving`` and ``isolated`` do the same.
"""

from purse.testing._counting import RoundTrips, round_trips
from purse.testing._isolation import StoreFactory, isolated, serving

__all__ = ["RoundTrips", "StoreFactory", "isolated", "round_trips", "serving"]
