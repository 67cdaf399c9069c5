"""Declared, typed Redis data structures for asyncio.

    class Garden(Store, namespace="garden"):
        plants: RedisHash[Plant]

    async with Garden.open("redis://localhost") as garden:
        await garden.plants.set("spinach", spinach)

Names are imported at first use: ``import purse.collections`` alone does not load ``Store``.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from purse._declaration.options import field as field
    from purse._engine.clients import RedisClient as RedisClient
    from purse._engine.modes import Engine as Engine
    from purse._engine.statistics import Statistics as Statistics
    from purse._engine.statistics import configure as configure
    from purse._engine.statistics import statistics as statistics
    from purse._engine.tracing import instrument as instrument
    from purse._engine.tracing import uninstrument as uninstrument
    from purse.codecs import Codec as Codec
    from purse.codecs import CodecFactory as CodecFactory
    from purse.codecs import codec_for as codec_for
    from purse.collections._structures import *  # noqa: F403
    from purse.errors import *  # noqa: F403
    from purse.limits import RedisRateLimiter as RedisRateLimiter
    from purse.limits import RedisSemaphore as RedisSemaphore
    from purse.locks import RedisLock as RedisLock
    from purse.redlock import Redlock as Redlock
    from purse.store import Store as Store
    from purse.ttl import TTL as TTL

    __version__: str

# Hidden from type checkers, because with a __getattr__ every unknown name would exist for them, as an object.
if not TYPE_CHECKING:
    _HOMES = {
        "Engine": "purse._engine.modes",
        "RedisClient": "purse._engine.clients",
        "Statistics": "purse._engine.statistics",
        "configure": "purse._engine.statistics",
        "statistics": "purse._engine.statistics",
        "RedisLock": "purse.locks",
        "RedisRateLimiter": "purse.limits",
        "RedisSemaphore": "purse.limits",
        "Redlock": "purse.redlock",
        "Codec": "purse.codecs",
        "CodecFactory": "purse.codecs",
        "codec_for": "purse.codecs",
        "Store": "purse.store",
        "TTL": "purse.ttl",
        "field": "purse._declaration.options",
        "instrument": "purse._engine.tracing",
        "uninstrument": "purse._engine.tracing",
    }

    def __getattr__(name: str) -> object:
        from importlib import import_module

        if name == "__all__":
            return _all()
        if name == "__version__":
            value: object = _version()
        elif name in _HOMES:
            value = getattr(import_module(_HOMES[name]), name)
        elif name in (errors := import_module("purse.errors")).__all__:
            value = getattr(errors, name)
        elif not name.startswith("_") and name in (structures := _structures()):
            value = structures[name]
        else:
            raise AttributeError(f"module 'purse' has no attribute {name!r}")
        globals()[name] = value
        return value

    def _structures() -> dict[str, object]:
        from purse.collections import __purse_structures__  # loads redis and pydantic

        return __purse_structures__

    def _all() -> list[str]:
        from purse import errors

        names = {*_HOMES, *errors.__all__, *_structures()}
        return sorted(names, key=lambda name: (not name.isupper(), not name[0].isupper(), name))

    def _version() -> str:
        from importlib.metadata import PackageNotFoundError, version

        try:
            return version("redis-purse")
        except PackageNotFoundError:  # a source tree that is not installed
            return "0+unknown"

    def __dir__() -> list[str]:
        return sorted({*globals(), *_all()})
