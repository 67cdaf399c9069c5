"""Stores to ask questions about."""

from __future__ import annotations

from datetime import timedelta

from pydantic import BaseModel, Field

from purse import (
    TTL,
    RedisClient,
    RedisHash,
    RedisKeySpace,
    RedisLifoQueue,
    RedisList,
    RedisLock,
    RedisPriorityQueue,
    RedisQueue,
    RedisRateLimiter,
    RedisSemaphore,
    RedisSet,
    RedisSortedSet,
    Store,
    field,
)
from purse._coordination.rates import Rate


class Plant(BaseModel):
    """A value."""

    name: str
    healthiness: float = Field(default=1, ge=0, description="From the gardener.")


class Shelf(Store):
    """To be nested."""

    lines: RedisList[str] = RedisList.field(maxlen=3)


class Garden(Store, namespace="inspected", ttl=TTL(days=1)):
    """Some of everything."""

    plants: RedisHash[Plant] = field(ttl=TTL(minutes=90, renew="read", jitter=0.1))
    by_id: RedisHash[int | None, int] = field(key="numbers")
    tags: RedisSet[str]
    board: RedisSortedSet[str]
    old: RedisList[bytes] = field(rkey="redis_list")
    jobs: RedisQueue[str] = RedisQueue.field(maxsize=5)
    stack: RedisLifoQueue[str]
    urgent: RedisPriorityQueue[int]
    sessions: RedisKeySpace[Plant]
    spread: RedisKeySpace[int, int] = RedisKeySpace.field(slots="key")
    lock: RedisLock = RedisLock.field(lease=timedelta(seconds=3), watchdog=True)
    api: RedisRateLimiter = RedisRateLimiter.field(rate="10/second")
    window: RedisRateLimiter = RedisRateLimiter.field(rate=Rate(3, timedelta(minutes=1)), algorithm="sliding_window")
    beds: RedisSemaphore = RedisSemaphore.field(limit=2)
    home: Shelf


class UserStore(Store, namespace="inspected-user:{user_id}:{part}"):
    """A store with parameters."""

    prefs: RedisHash[str]
    shelf: Shelf

    def __init__(self, redis: RedisClient, *, user_id: int, part: str) -> None:
        super().__init__(redis, user_id=user_id, part=part)


class Mixin(Store):
    """Without a namespace."""

    plants: RedisHash[str]


DAY = {"seconds": 86400.0, "renew": "write", "jitter": 0.0, "per_item": False}
TEXT = {"type": "string"}
PLANT = {
    "properties": {"name": {"type": "string"}, "healthiness": {"default": 1, "minimum": 0, "type": "number"}},
    "required": ["name"],
    "type": "object",
}


def declared(key: str, structure: str, redis_type: str, **more: object) -> dict[str, object]:
    """What the schema of a field is, if nothing else is said."""
    nothing = dict.fromkeys(("value_type", "value_schema", "key_type", "key_schema", "codec", "ttl"))
    rest: dict[str, object] = {"slots": "store", "default": False, "options": {}}
    return {"key": key, "structure": structure, "redis_type": redis_type, **nothing, **rest, **more}


def text(key: str, structure: str, redis_type: str, **more: object) -> dict[str, object]:
    """The same for a field of strings."""
    more = {"value_type": "str", "value_schema": TEXT, "codec": "text", "ttl": DAY, **more}
    return declared(key, structure, redis_type, **more)


GARDEN_FIELDS: dict[str, dict[str, object]] = {
    "plants": declared(
        "{inspected}:plants",
        "RedisHash",
        "hash",
        value_type="Plant",
        value_schema=PLANT,
        key_type="str",
        key_schema=TEXT,
        codec="json",
        ttl={"seconds": 5400.0, "renew": "read", "jitter": 0.1, "per_item": False},
    ),
    "by_id": declared(
        "{inspected}:numbers",
        "RedisHash",
        "hash",
        value_type="int | None",
        value_schema={"anyOf": [{"type": "integer"}, {"type": "null"}]},
        key_type="int",
        key_schema={"type": "integer"},
        codec="json",
        ttl=DAY,
    ),
    "tags": text("{inspected}:tags", "RedisSet", "set"),
    "board": text("{inspected}:board", "RedisSortedSet", "zset"),
    "old": text(
        "redis_list",
        "RedisList",
        "list",
        value_type="bytes",
        value_schema={"format": "binary", "type": "string"},
        codec="bytes",
    ),
    "jobs": text("{inspected}:jobs", "RedisQueue", "list", options={"maxsize": 5}),
    "stack": text("{inspected}:stack", "RedisLifoQueue", "list"),
    "urgent": text(
        "{inspected}:urgent",
        "RedisPriorityQueue",
        "zset",
        value_type="int",
        value_schema={"type": "integer"},
        codec="json",
    ),
    "sessions": declared(
        "{inspected}:sessions:*",
        "RedisKeySpace",
        "string",
        value_type="Plant",
        value_schema=PLANT,
        key_type="str",
        key_schema=TEXT,
        codec="json",
        ttl=DAY,
    ),
    "spread": declared(
        "inspected::spread:{*}",
        "RedisKeySpace",
        "string",
        value_type="int",
        value_schema={"type": "integer"},
        key_type="int",
        key_schema={"type": "integer"},
        codec="json",
        ttl=DAY,
        slots="key",
    ),
    "lock": declared("{inspected}:lock", "RedisLock", "string", options={"lease": 3.0, "watchdog": True}),
    "api": declared("{inspected}:api", "RedisRateLimiter", "string", options={"rate": "10/second"}),
    "window": declared(
        "{inspected}:window",
        "RedisRateLimiter",
        "list",
        options={"rate": {"count": 3, "seconds": 60.0}, "algorithm": "sliding_window"},
    ),
    "beds": declared("{inspected}:beds", "RedisSemaphore", "zset", options={"limit": 2}),
    "home.lines": text("{inspected}:home:lines", "RedisList", "list", options={"maxlen": 3}),
}
GARDEN = {"store": "Garden", "namespace": "inspected", "parameters": {}, "fields": GARDEN_FIELDS}
"""The schema of Garden."""
