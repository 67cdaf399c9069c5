"""Lines that type checkers must refuse, each below the right line that it differs from in one token.

    await garden.plants.set("a", plant)
    await garden.plants.set(1, plant)

So nothing else in a wrong line is wrong: the line above it is the same, and passes. A token is another one, left out or
too many; the name that a line defines does not count. Each wrong line says what mypy and what pyright report, and
unnecessary ignore comments are errors. tests/test_wrong_lines.py compares the tokens, takes the comments away and asks
both checkers which lines they report. Read by them, never run.
"""
# pyright: reportUnnecessaryTypeIgnoreComment=true
# What else pyright says of a line that is wrong anyway proves nothing:
# pyright: reportUnknownVariableType=false, reportUnknownMemberType=false, reportUnknownLambdaType=false
# pyright: reportUnknownParameterType=false, reportUnusedVariable=false, reportUnusedImport=false
# pyright: reportUnusedExpression=false
# ruff: noqa: B018, F401, F841, I001

from __future__ import annotations

from abc import ABC, abstractmethod
from datetime import timedelta
from typing import Generic, TypeVar

from fastapi import FastAPI
from pydantic import BaseModel
from redis import Redis as SyncRedis
from redis.asyncio import Redis

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
    Redlock,
    Store,
    codec_for,
    configure,
    field,
    statistics,
)
from purse.codecs import Json
from purse.embedded import Server
from purse.fastapi import Inject, bind, lifespan, rate_limit
from purse.inspect import FieldSpec, fields
from purse import LockLost
from purse import LockLots  # type: ignore[attr-defined]  # pyright: ignore[reportAttributeAccessIssue]

M = TypeVar("M", bound=BaseModel)


class Plant(BaseModel):
    """A value."""

    name: str
    age: int = 0


class Garden(Store, namespace="typing-wrong"):
    """Every kind of field."""

    plants: RedisHash[Plant]
    by_id: RedisHash[Plant, int]
    visits: RedisHash[int]
    log: RedisList[str]
    recent: RedisList[Plant]
    beds: RedisSet[str]
    names: RedisSet[str]
    numbers: RedisSet[int]
    ranking: RedisSortedSet[str]
    sessions: RedisKeySpace[Plant]
    numbered: RedisKeySpace[Plant, int]
    tasks: RedisQueue[Plant]
    urgent: RedisPriorityQueue[Plant]
    lock: RedisLock = RedisLock.field(lease=30)
    api: RedisRateLimiter = RedisRateLimiter.field(rate="10/second")
    permits: RedisSemaphore = RedisSemaphore.field(limit=3)


class UserStore(Store, namespace="typing-wrong-user:{user_id}"):
    """A store with a parameter."""

    prefs: RedisHash[str]

    def __init__(self, redis: RedisClient, *, user_id: int) -> None:
        super().__init__(redis, user_id=user_id)


class Shop(Store, namespace="typing-wrong-shop"):
    """A store in a store."""

    home: Shelf


class Shelf(Store):
    """What is in it."""

    lines: RedisList[str]


class Repo(Store, Generic[M]):
    """A generic store."""

    items: RedisHash[M]


class Plants(Repo[Plant], namespace="typing-wrong-plants"):
    """One of its kinds."""


class Clock(Store, ABC):
    """An abstract store."""

    ticks: RedisHash[int]

    @abstractmethod
    def name(self) -> str: ...


class Watch(Clock, namespace="typing-wrong-watch"):
    """One that is not abstract."""

    def name(self) -> str:
        return "watch"


# --- declarations -------------------------------------------------------------------------------------------------


class Spelt(Store, namespace="typing-wrong-1"): ...


class Misspelt(Store, namspace="typing-wrong-1"): ...  # type: ignore[call-arg]  # pyright: ignore[reportCallIssue, reportGeneralTypeIssues]


class Text(Store, namespace="typing-wrong-2"): ...


class Number(Store, namespace=2): ...  # type: ignore[arg-type]  # pyright: ignore[reportArgumentType, reportGeneralTypeIssues]


class Lasting(Store, namespace="typing-wrong-3", ttl=86400): ...


class Seconds(Store, namespace="typing-wrong-3", ttl="86400"): ...  # type: ignore[arg-type]  # pyright: ignore[reportArgumentType, reportGeneralTypeIssues]


class Coded(Store, namespace="typing-wrong-4", codec=codec_for): ...


class Uncoded(Store, namespace="typing-wrong-4", codec=str): ...  # type: ignore[arg-type]  # pyright: ignore[reportArgumentType, reportGeneralTypeIssues]


class Sharing(Store, namespace="typing-wrong-5", engine="shared"): ...


class Pooled(Store, namespace="typing-wrong-5", engine="pooled"): ...  # type: ignore[arg-type]  # pyright: ignore[reportArgumentType, reportGeneralTypeIssues]


class Together(Store, namespace="typing-wrong-6", slots="field"): ...


class Apart(Store, namespace="typing-wrong-6", slots="fields"): ...  # type: ignore[arg-type]  # pyright: ignore[reportArgumentType, reportGeneralTypeIssues]


class Ints(Store, namespace="typing-wrong-7"):
    """Annotations."""

    two: RedisHash[int, str]
    two_: RedisList[int, str]  # type: ignore[type-arg]  # pyright: ignore[reportInvalidTypeArguments]


class Typed(Repo[Plant], namespace="typing-wrong-8"): ...


class Untyped(Repo[int], namespace="typing-wrong-8"): ...  # type: ignore[type-var]  # pyright: ignore[reportInvalidTypeArguments]


class Options(Store, namespace="typing-wrong-options"):
    """Options of fields."""

    unit: RedisHash[int] = field(ttl=TTL(hours=1))
    unit_: RedisHash[int] = field(ttl=TTL(hour=1))  # type: ignore[call-arg]  # pyright: ignore[reportCallIssue]
    policy: RedisHash[int] = field(ttl=3600)
    policy_: RedisHash[int] = field(ttl="3600")  # type: ignore[arg-type]  # pyright: ignore[reportArgumentType]
    renew: RedisHash[int] = field(ttl=TTL(hours=1, renew="read"))
    renew_: RedisHash[int] = field(ttl=TTL(hours=1, renew="always"))  # type: ignore[arg-type]  # pyright: ignore[reportArgumentType]
    option: RedisList[int] = RedisList.field(maxlen=3)
    option_: RedisList[int] = RedisList.field(max_len=3)  # type: ignore[call-arg]  # pyright: ignore[reportCallIssue]
    length: RedisList[int] = RedisList.field(maxlen=3)
    length_: RedisList[int] = RedisList.field(maxlen="3")  # type: ignore[arg-type]  # pyright: ignore[reportArgumentType]
    size: RedisQueue[int] = RedisQueue.field(maxsize=3)
    size_: RedisQueue[int] = RedisQueue.field(maxsize=3.5)  # type: ignore[arg-type]  # pyright: ignore[reportArgumentType]
    tail: RedisList[int] = field(key="tail")
    tail_: RedisList[int] = field(key=b"tail")  # type: ignore[arg-type]  # pyright: ignore[reportArgumentType]
    whole: RedisList[int] = field(rkey="whole")
    whole_: RedisList[int] = field(rkye="whole")  # type: ignore[call-arg]  # pyright: ignore[reportCallIssue]
    codec: RedisHash[int] = field(codec=codec_for)
    codec_: RedisHash[int] = field(codec=str)  # type: ignore[arg-type]  # pyright: ignore[reportArgumentType]
    unset: RedisHash[int] = field(codec=Json(exclude_unset=True))
    unset_: RedisHash[int] = field(codec=Json(exclude_unset="yes"))  # type: ignore[arg-type]  # pyright: ignore[reportArgumentType]
    slots: RedisKeySpace[int] = RedisKeySpace.field(slots="key")
    slots_: RedisKeySpace[int] = RedisKeySpace.field(slots="keys")  # type: ignore[arg-type]  # pyright: ignore[reportArgumentType]
    default: RedisHash[list[int]] = RedisHash.field(default_factory=list)
    default_: RedisHash[list[int]] = RedisHash.field(default_factory=3)  # type: ignore[arg-type]  # pyright: ignore[reportArgumentType]
    lease: RedisLock = RedisLock.field(lease=30)
    lease_: RedisLock = RedisLock.field(lease="30")  # type: ignore[arg-type]  # pyright: ignore[reportArgumentType]
    guard: RedisLock = RedisLock.field(watchdog=True)
    guard_: RedisLock = RedisLock.field(watchdog="yes")  # type: ignore[arg-type]  # pyright: ignore[reportArgumentType]
    rate: RedisRateLimiter = RedisRateLimiter.field(rate="10/second")
    rate_: RedisRateLimiter = RedisRateLimiter.field(rate=10)  # type: ignore[arg-type]  # pyright: ignore[reportArgumentType]
    algorithm: RedisRateLimiter = RedisRateLimiter.field(rate="10/second", algorithm="sliding_window")
    algorithm_: RedisRateLimiter = RedisRateLimiter.field(rate="10/second", algorithm="sliding")  # type: ignore[arg-type]  # pyright: ignore[reportArgumentType]
    limit: RedisSemaphore = RedisSemaphore.field(limit=3)
    limit_: RedisSemaphore = RedisSemaphore.field(limit="3")  # type: ignore[arg-type]  # pyright: ignore[reportArgumentType]
    value: RedisHash[int] = RedisHash.field(default=0)
    value_: RedisHash[int] = RedisHash.field(default="x")  # type: ignore[arg-type]  # pyright: ignore[reportAssignmentType]
    nothing: RedisHash[int] = RedisHash.field(default=0)
    nothing_: RedisHash[int] = RedisHash.field(default=None)  # type: ignore[arg-type]  # pyright: ignore[reportAssignmentType]
    entry: RedisKeySpace[str] = RedisKeySpace.field(default="x")
    entry_: RedisKeySpace[str] = RedisKeySpace.field(default=3)  # type: ignore[arg-type]  # pyright: ignore[reportAssignmentType]
    its: RedisHash[int] = RedisHash.field(ttl=3)
    its_: RedisHash[int] = RedisHash.field(maxlen=3)  # type: ignore[call-arg]  # pyright: ignore[reportCallIssue]
    same: RedisQueue[int] = RedisQueue.field(maxsize=3)
    same_: RedisQueue[int] = RedisLifoQueue.field(maxsize=3)  # type: ignore[assignment]  # pyright: ignore[reportAssignmentType]
    other: RedisList[int] = RedisList.field(maxlen=3)
    other_: RedisHash[int] = RedisList.field(maxlen=3)  # type: ignore[assignment]  # pyright: ignore[reportAssignmentType]
    timeless: RedisLock = RedisLock.field(lease=3)
    timeless_: RedisLock = RedisLock.field(ttl=3)  # type: ignore[call-arg]  # pyright: ignore[reportCallIssue]
    plain: RedisHash[int] = field(ttl=3)
    plain_: RedisHash[int] = field(default=3)  # type: ignore[call-arg]  # pyright: ignore[reportCallIssue]


# --- stores -------------------------------------------------------------------------------------------------------


async def stores(client: Redis, sync: SyncRedis, garden: Garden) -> None:
    """Stores and their fields."""
    Garden(client)
    Garden(sync)  # type: ignore[arg-type]  # pyright: ignore[reportArgumentType]
    Garden(client)
    Garden()  # type: ignore[call-arg]  # pyright: ignore[reportCallIssue]
    Garden(redis=client)
    Garden(redsi=client)  # type: ignore[arg-type, call-arg]  # pyright: ignore[reportCallIssue]
    Garden.open("redis://localhost")
    Garden.open(client)  # type: ignore[arg-type]  # pyright: ignore[reportArgumentType]
    Garden.open("embedded://")
    Garden.open()  # type: ignore[call-arg]  # pyright: ignore[reportCallIssue]
    Garden.open("embedded://")
    Garden.opne("embedded://")  # type: ignore[attr-defined]  # pyright: ignore[reportAttributeAccessIssue]
    async with garden:
        pass
    with garden:  # type: ignore[attr-defined]  # pyright: ignore[reportGeneralTypeIssues]
        pass
    garden.plants
    garden.plant  # type: ignore[attr-defined]  # pyright: ignore[reportAttributeAccessIssue]
    await garden.clear()
    garden.clear()  # type: ignore[unused-coroutine]  # pyright: ignore[reportUnusedCoroutine]
    await garden.clear()
    await garden.clear("plants")  # type: ignore[call-arg]  # pyright: ignore[reportCallIssue]
    await garden.aclose()
    garden.aclose()  # type: ignore[unused-coroutine]  # pyright: ignore[reportUnusedCoroutine]
    await garden.aclose()
    await garden.close()  # type: ignore[attr-defined]  # pyright: ignore[reportAttributeAccessIssue]
    await garden.plants.get("a")
    await Garden.plants.get("a")  # type: ignore[attr-defined]  # pyright: ignore[reportAttributeAccessIssue]
    Garden.plants.key
    garden.plants.key  # type: ignore[attr-defined]  # pyright: ignore[reportAttributeAccessIssue]
    Garden.log.options
    Garden.log.maxlen  # type: ignore[attr-defined]  # pyright: ignore[reportAttributeAccessIssue]
    spec: FieldSpec[RedisList[str]] = Garden.log
    spec_: FieldSpec[RedisList[str]] = Garden.recent  # type: ignore[assignment]  # pyright: ignore[reportAssignmentType]
    fields(garden)
    fields(client)  # type: ignore[arg-type]  # pyright: ignore[reportArgumentType]
    configure(client, engine="shared")
    configure(client, engine="pooled")  # type: ignore[arg-type]  # pyright: ignore[reportArgumentType]
    statistics(client)
    statistics(garden)  # type: ignore[arg-type]  # pyright: ignore[reportArgumentType]


async def kinds_of_stores(client: Redis, shop: Shop, plants: Plants, user: UserStore, plant: Plant) -> None:
    """Parameters, nested stores, generic and abstract ones."""
    UserStore(client, user_id=42)
    UserStore(client, user_id="42")  # type: ignore[arg-type]  # pyright: ignore[reportArgumentType]
    UserStore(client, user_id=42)
    UserStore(client, user=42)  # type: ignore[call-arg]  # pyright: ignore[reportCallIssue]
    UserStore.open("embedded://", user_id=42)
    UserStore.open("embedded://", user=42)  # type: ignore[call-arg]  # pyright: ignore[reportCallIssue]
    UserStore.open("embedded://", user_id=42)
    UserStore.open("embedded://", user_id=None)  # type: ignore[arg-type]  # pyright: ignore[reportArgumentType]
    await user.prefs.set("colour", "green")
    await user.prefs.set("colour", 3)  # type: ignore[arg-type]  # pyright: ignore[reportArgumentType]
    await shop.home.lines.append("leek")
    await shop.home.lines.append(3)  # type: ignore[arg-type]  # pyright: ignore[reportArgumentType]
    await shop.home.lines.len()
    await shop.home.line.len()  # type: ignore[attr-defined]  # pyright: ignore[reportAttributeAccessIssue]
    await plants.items.set("a", plant)
    await plants.items.set("a", 3)  # type: ignore[arg-type]  # pyright: ignore[reportArgumentType]
    await plants.items.set("a", plant)
    await plants.item.set("a", plant)  # type: ignore[attr-defined]  # pyright: ignore[reportAttributeAccessIssue]
    Watch(client)
    Clock(client)  # type: ignore[abstract]  # pyright: ignore[reportAbstractUsage]


async def declared_inside(shop: Shop) -> None:
    """What a nested store declares."""
    Shop.home.lines.key
    Shop.home.line.key  # type: ignore[attr-defined]  # pyright: ignore[reportAttributeAccessIssue]
    await shop.home.lines.len()
    await Shop.home.lines.len()  # type: ignore[attr-defined]  # pyright: ignore[reportAttributeAccessIssue]
    lines: FieldSpec[RedisList[str]] = Shop.home.lines
    lines_: FieldSpec[RedisList[int]] = Shop.home.lines  # type: ignore[assignment]  # pyright: ignore[reportAssignmentType]


def constructors(client: Redis) -> None:
    """Collections by themselves."""
    RedisHash(client, "k", str)
    RedisHash("redis://localhost", "k", str)  # type: ignore[arg-type]  # pyright: ignore[reportArgumentType]
    RedisHash(client, "k", str)
    RedisHash(client, b"k", str)  # type: ignore[arg-type]  # pyright: ignore[reportArgumentType]
    RedisHash(client, "k", str)
    RedisHash(client, "k", 3)  # type: ignore[arg-type]  # pyright: ignore[reportArgumentType]
    RedisHash(client, "k", int, key_type=int)
    RedisList(client, "k", int, key_type=int)  # type: ignore[call-arg]  # pyright: ignore[reportCallIssue]
    counts: RedisHash[int] = RedisHash(client, "k", int, default=0)
    counts_: RedisHash[int] = RedisHash(client, "k", int, default="0")  # type: ignore[arg-type]  # pyright: ignore[reportAssignmentType]
    RedisList(client, "k", str, maxlen=3)
    RedisList(client, "k", str, maxlen="3")  # type: ignore[arg-type]  # pyright: ignore[reportArgumentType]
    RedisList(client, "k", str, maxlen=3)
    RedisList(client, "k", str, maxsize=3)  # type: ignore[call-arg]  # pyright: ignore[reportCallIssue]
    RedisKeySpace(client, "k:", str)
    RedisKeySpace(client, 3, str)  # type: ignore[arg-type]  # pyright: ignore[reportArgumentType]
    RedisKeySpace(client, prefix="k:", value_type=str)
    RedisKeySpace(client, rkey="k:", value_type=str)  # type: ignore[call-arg]  # pyright: ignore[reportCallIssue]
    strings: RedisHash[str] = RedisHash(client, "k", str)
    strings_: RedisHash[str] = RedisHash(client, "k", int)  # type: ignore[arg-type]  # pyright: ignore[reportAssignmentType]
    TTL(hours=1)
    TTL(hours="1")  # type: ignore[arg-type]  # pyright: ignore[reportArgumentType]


# --- locks and limits ---------------------------------------------------------------------------------------------


async def locks(garden: Garden, client: Redis, masters: list[Redis]) -> None:
    """Locks, limiters, semaphores."""
    RedisLock(client, "k", lease=30)
    RedisLock(client, "k", lease=None)  # type: ignore[arg-type]  # pyright: ignore[reportArgumentType]
    RedisLock(client, "k", lease=30)
    RedisLock(client, "k", leese=30)  # type: ignore[call-arg]  # pyright: ignore[reportCallIssue]
    RedisRateLimiter(client, "k", rate="10/second")
    RedisRateLimiter(client, "k", rate=10)  # type: ignore[arg-type]  # pyright: ignore[reportArgumentType]
    RedisSemaphore(client, "k", limit=3)
    RedisSemaphore(client, "k", limit="3")  # type: ignore[arg-type]  # pyright: ignore[reportArgumentType]
    Redlock("k", masters)
    Redlock("k", client)  # type: ignore[arg-type]  # pyright: ignore[reportArgumentType]
    Redlock("k", masters, auto_release_time=10_000)
    Redlock("k", masters, auto_release_time=10.5)  # type: ignore[arg-type]  # pyright: ignore[reportArgumentType]
    await garden.lock.acquire(timeout=1)
    await garden.lock.acquire(timeout="1")  # type: ignore[arg-type]  # pyright: ignore[reportArgumentType]
    await garden.lock.acquire(blocking=False)
    garden.lock.acquire(blocking=False)  # type: ignore[unused-coroutine]  # pyright: ignore[reportUnusedCoroutine]
    await garden.lock.release()
    await garden.lock.relaese()  # type: ignore[attr-defined]  # pyright: ignore[reportAttributeAccessIssue]
    async with garden.lock.within(5):
        pass
    async with garden.lock.within("5"):  # type: ignore[arg-type]  # pyright: ignore[reportArgumentType]
        pass
    async with garden.lock:
        pass
    with garden.lock:  # type: ignore[attr-defined]  # pyright: ignore[reportGeneralTypeIssues]
        pass
    async with garden.lock as lease:
        lease.token
        lease.tokens  # type: ignore[attr-defined]  # pyright: ignore[reportAttributeAccessIssue]
    await garden.api.hit("me", cost=2)
    await garden.api.hit("me", cost="2")  # type: ignore[arg-type]  # pyright: ignore[reportArgumentType]
    await garden.api.hit("me", cost=2)
    await garden.api.hit("me", price=2)  # type: ignore[call-arg]  # pyright: ignore[reportCallIssue]
    (await garden.api.hit()).retry_after
    (garden.api.hit()).retry_after  # type: ignore[attr-defined]  # pyright: ignore[reportAttributeAccessIssue]
    await garden.permits.acquire(timeout=1)
    await garden.permits.acquire(timeout="1")  # type: ignore[call-overload]  # pyright: ignore[reportArgumentType, reportCallIssue]


# --- around it ----------------------------------------------------------------------------------------------------


async def handler(garden: Inject[Garden]) -> None: ...


async def handler_(garden: Inject[Plant]) -> None: ...  # type: ignore[type-var]  # pyright: ignore[reportInvalidTypeForm]


async def served(app: FastAPI, client: Redis, garden: Inject[Garden]) -> None:
    """FastAPI, and a server of one's own."""
    await garden.visits.set("leek", 3)
    await garden.visits.set("leek", "3")  # type: ignore[arg-type]  # pyright: ignore[reportArgumentType]
    bind(app, UserStore, user_id=7)
    bind(app, UserStore, user_id="7")  # type: ignore[call-overload]  # pyright: ignore[reportArgumentType]
    bind(app, UserStore, user_id=7)
    bind(app, UserStore, user=7)  # type: ignore[call-overload]  # pyright: ignore[reportCallIssue]
    bind(app, Garden)
    bind(app, Plant)  # type: ignore[arg-type, type-var]  # pyright: ignore[reportArgumentType, reportCallIssue]
    rate_limit(Garden.api)
    rate_limit(Garden.plants)  # type: ignore[arg-type]  # pyright: ignore[reportArgumentType]
    rate_limit(Garden.api)
    rate_limit(garden.api)  # type: ignore[call-overload]  # pyright: ignore[reportArgumentType]
    lifespan("redis://localhost")
    lifespan(6379)  # type: ignore[call-overload]  # pyright: ignore[reportArgumentType]
    Server(port=7000)
    Server(port="7000")  # type: ignore[arg-type]  # pyright: ignore[reportArgumentType]
