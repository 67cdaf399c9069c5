"""Declared, typed Redis data structures for asyncio.

    class Garden(Store, namespace="garden"):
        plants: RedisHash[Plant]

    async with Garden.open("redis://localhost") as garden:
        await garden.plants.set("spinach", spinach)

Names are imported when they are used: ``import purse.collections`` alone does not load ``Store``.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from purse._declaration.options import field
    from purse._engine.clients import RedisClient
    from purse._engine.modes import Engine
    from purse._engine.statistics import Statistics, configure, statistics
    from purse._engine.tracing import instrument, uninstrument
    from purse.codecs import Codec, CodecFactory, codec_for
    from purse.collections import (
        RedisHash,
        RedisKeySpace,
        RedisLifoQueue,
        RedisList,
        RedisPriorityQueue,
        RedisQueue,
        RedisSet,
        RedisSortedSet,
    )
    from purse.errors import (
        AtomicFailed,
        CodecError,
        DeclarationError,
        DecodeError,
        EditConflict,
        EncodeError,
        LockError,
        LockLost,
        LockNotAcquired,
        PurseError,
        ServerFailed,
        ServerNotFound,
        StoreClosed,
        UnsupportedServer,
        WrongKind,
    )
    from purse.limits import RedisRateLimiter, RedisSemaphore
    from purse.locks import RedisLock
    from purse.redlock import Redlock
    from purse.store import Store
    from purse.ttl import TTL

    __version__: str

__all__ = [
    "TTL",
    "AtomicFailed",
    "Codec",
    "CodecError",
    "CodecFactory",
    "DeclarationError",
    "DecodeError",
    "EditConflict",
    "EncodeError",
    "Engine",
    "LockError",
    "LockLost",
    "LockNotAcquired",
    "PurseError",
    "RedisClient",
    "RedisHash",
    "RedisKeySpace",
    "RedisLifoQueue",
    "RedisList",
    "RedisLock",
    "RedisPriorityQueue",
    "RedisQueue",
    "RedisRateLimiter",
    "RedisSemaphore",
    "RedisSet",
    "RedisSortedSet",
    "Redlock",
    "ServerFailed",
    "ServerNotFound",
    "Statistics",
    "Store",
    "StoreClosed",
    "UnsupportedServer",
    "WrongKind",
    "codec_for",
    "configure",
    "field",
    "instrument",
    "statistics",
    "uninstrument",
]

# Hidden from type checkers: to them every unknown name would exist, as an object.
if not TYPE_CHECKING:
    _HOMES = {
        "Engine": "purse._engine.modes",
        "RedisClient": "purse._engine.clients",
        "Statistics": "purse._engine.statistics",
        "configure": "purse._engine.statistics",
        "statistics": "purse._engine.statistics",
        "RedisHash": "purse.collections",
        "RedisKeySpace": "purse.collections",
        "RedisLifoQueue": "purse.collections",
        "RedisList": "purse.collections",
        "RedisPriorityQueue": "purse.collections",
        "RedisQueue": "purse.collections",
        "RedisSet": "purse.collections",
        "RedisSortedSet": "purse.collections",
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
        if name == "__version__":
            value: object = _version()
        elif name in __all__:
            from importlib import import_module

            value = getattr(import_module(_HOMES.get(name, "purse.errors")), name)
        else:
            raise AttributeError(f"module 'purse' has no attribute {name!r}")
        globals()[name] = value
        return value

    def _version() -> str:
        from importlib.metadata import PackageNotFoundError, version

        try:
            return version("redis-purse")
        except PackageNotFoundError:  # a source tree that is not installed
            return "0+unknown"

    def __dir__() -> list[str]:
        return sorted({*globals(), *__all__})
