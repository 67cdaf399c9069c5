"""Stores as type checkers see them. Read by mypy and pyright, never run."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import timedelta
from typing import Annotated, ClassVar, Generic, Literal, assert_type
from uuid import UUID

from pydantic import BaseModel
from redis.asyncio import Redis
from typing_extensions import TypeVar

from purse import (
    TTL,
    Codec,
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
    codec_for,
    field,
)
from purse.collections import RedisObject
from purse.inspect import FieldSpec, fields

M = TypeVar("M", bound=BaseModel)
K = TypeVar("K", default=str)


class Plant(BaseModel):
    """A value."""

    name: str


class PlantCodec:
    """A codec that a user wrote."""

    def encode(self, value: Plant, /) -> bytes:
        return value.name.encode()

    def decode(self, raw: bytes, /) -> Plant:
        return Plant(name=raw.decode())


class Garden(Store, namespace="typing-garden", ttl=TTL(days=1), codec=codec_for):
    """Every kind of field."""

    limit: ClassVar[int] = 3
    plants: RedisHash[Plant]
    by_id: RedisHash[Plant, int]
    optional: RedisHash[int | None]
    counts: RedisHash[int] = RedisHash.field(default=0)
    notes: RedisKeySpace[list[str]] = RedisKeySpace.field(default_factory=list, slots="key")
    beds: RedisSet[Plant]
    ranking: RedisSortedSet[str]
    tasks: RedisQueue[Plant] = RedisQueue.field(maxsize=10)
    stack: RedisLifoQueue[Plant]
    urgent: RedisPriorityQueue[Plant]
    lock: RedisLock = RedisLock.field(lease=30, watchdog=True)
    api: RedisRateLimiter = RedisRateLimiter.field(rate="10/second", burst=20)
    permits: RedisSemaphore = RedisSemaphore.field(limit=3)
    log: RedisList[str]
    annotated: Annotated[RedisHash[float], TTL(hours=2)]
    visits: RedisHash[int] = field(ttl=TTL(hours=1))
    coded: RedisHash[Plant] = field(codec=PlantCodec())
    made: RedisHash[Plant] = field(codec=codec_for)
    recent: RedisList[Plant] = RedisList.field(maxlen=10, key="latest")
    old: RedisList[str] = field(rkey="redis_list")


class Greenhouse(Garden, namespace="typing-greenhouse"):
    """A subclass with a constructor of its own."""

    heat: RedisHash[float]

    def __init__(self, redis: RedisClient, name: str) -> None:
        super().__init__(redis)
        self.name = name


class Counted(Store):
    """A mixin."""

    hits: RedisHash[int]

    async def count(self, name: str) -> int:
        """A method of its own."""
        return assert_type(await self.hits.increment(name), int)


class Audited(Store):
    """Another."""

    audit: RedisList[str]


class Orchard(Counted, Audited, namespace="typing-orchard", slots="field", engine="dedicated"):
    """Two mixins."""

    trees: RedisSet[str]


class Report(Store, namespace="{tenant}:typing-report:{number}"):
    """A store with parameters."""

    lines: RedisList[str]

    def __init__(self, redis: RedisClient, *, tenant: str, number: UUID | None = None) -> None:
        super().__init__(redis, tenant=tenant, number=number or UUID(int=0))
        self.tenant = tenant


class Shelf(Store):
    """A store without a namespace, to be nested."""

    lines: RedisList[str]
    stock: RedisKeySpace[int] = field(ttl=3600)


class Shop(Store, namespace="typing-shop"):
    """Nested stores."""

    home: Shelf
    cellar: Shelf = field(key="c", ttl=TTL(hours=3))


class Row(Store):
    """A nested store that has another."""

    home: Shelf


class Mall(Store, namespace="typing-mall"):
    """Two levels."""

    shops: Row


class Arcade(Mall, namespace="typing-arcade"):
    """The same, inherited."""


class Service:
    """A class that is not a store."""

    plants: RedisHash[Plant]

    def __init__(self, shop: Shop, plants: RedisHash[Plant]) -> None:
        self.shop = shop
        self.plants = plants


@dataclass
class Held:
    """A dataclass."""

    shop: Shop
    log: RedisList[str]


class Constants:
    """A class that holds them itself."""

    garden = Garden(Redis())
    plants = RedisHash(Redis(), "plants", Plant)


class Repository(Store, Generic[M, K]):
    """A generic store, whose second argument has a default."""

    items: RedisHash[M, K]
    recent: RedisList[M | None]

    async def add(self, key: K, item: M) -> int:
        """A method of its own."""
        return (await self.atomic(self.items.set(key, item), self.recent.appendleft(item)))[1]


class Plants(Repository[Plant], namespace="typing-plants"):
    """One of its kinds."""


class Numbered(Repository[Plant, int], namespace="typing-numbered"):
    """Another."""


class Shape(Store, ABC):
    """An abstract store."""

    points: RedisList[float]

    @abstractmethod
    def area(self) -> float:
        """To be said by each kind."""


class Square(Shape, namespace="typing-square"):
    """A kind."""

    def area(self) -> float:
        return 1.0


codec: Codec[Plant] = PlantCodec()


async def plain(client: Redis, garden: Garden) -> None:
    """Every public method of ``Store`` but ``atomic``, which has a file of its own."""
    assert_type(Garden(client), Garden)
    assert_type(Garden(redis=client), Garden)
    assert_type(Garden.open("redis://localhost"), Garden)
    async with Garden.open("embedded://") as opened:
        assert_type(opened, Garden)
    async with garden as entered:
        assert_type(entered, Garden)
    assert_type(await garden.clear(), int)
    assert_type(await garden.aclose(), None)


async def inherited(client: Redis, orchard: Orchard) -> None:
    """Subclasses and mixins."""
    assert_type(Greenhouse(client, "north"), Greenhouse)
    assert_type(Greenhouse.open("embedded://", "north"), Greenhouse)
    assert_type(Greenhouse.open("embedded://", name="north"), Greenhouse)
    async with Greenhouse(client, "north") as house:
        assert_type(house, Greenhouse)
        assert_type(house.heat, RedisHash[float, str])
        assert_type(house.plants, RedisHash[Plant, str])
    assert_type(orchard.hits, RedisHash[int, str])
    assert_type(orchard.audit, RedisList[str])
    assert_type(orchard.trees, RedisSet[str])
    assert_type(await orchard.count("a"), int)
    assert_type(Orchard.hits, FieldSpec[RedisHash[int, str]])
    mixed: list[Counted] = [orchard]
    assert_type(mixed[0].hits, RedisHash[int, str])


async def parameterised(client: Redis, report: Report) -> None:
    """What ``__init__`` takes, ``open`` takes."""
    assert_type(Report(client, tenant="acme", number=UUID(int=1)), Report)
    assert_type(Report(client, tenant="acme"), Report)
    assert_type(Report.open("embedded://", tenant="acme", number=UUID(int=1)), Report)
    async with Report.open("embedded://", tenant="acme") as opened:
        assert_type(opened, Report)
    assert_type(report.lines, RedisList[str])
    assert_type(report.tenant, str)
    assert_type(Report.lines.key, str)


async def nested(shop: Shop) -> None:
    """A store in a store is one, and a declaration on the class."""
    assert_type(shop.home, Shelf)
    assert_type(shop.home.lines, RedisList[str])
    assert_type(await shop.cellar.stock.get("leek"), int | None)
    assert_type(await shop.home.clear(), int)
    assert_type(await shop.atomic(shop.home.lines.pop(), shop.cellar.lines.len()), tuple[str, int])


def nested_on_the_class() -> None:
    """A nested store has declarations in place of collections, at any depth."""
    assert_type(Shop.home.lines, FieldSpec[RedisList[str]])
    assert_type(Shop.cellar.stock.key, str)
    assert_type(Mall.shops.home.lines, FieldSpec[RedisList[str]])
    assert_type(Arcade.shops.home.stock, FieldSpec[RedisKeySpace[int, str]])


def held_elsewhere(shop: Shop, service: Service) -> None:
    """In a class that is not a store, collections and stores are ordinary attributes."""
    service.plants = Service(shop, service.plants).plants
    assert_type(service.plants, RedisHash[Plant, str])
    assert_type(service.shop.home, Shelf)
    assert_type(Held(shop=shop, log=shop.home.lines).log, RedisList[str])
    assert_type(Constants.garden, Garden)
    assert_type(Constants.plants, RedisHash[Plant, str])


async def generic(plants: Plants, numbered: Numbered, plant: Plant) -> None:
    """Type arguments reach the fields, defaults too."""
    assert_type(plants.items, RedisHash[Plant, str])
    assert_type(await plants.items.get("a"), Plant | None)
    assert_type(await plants.recent.popleft(), Plant | None)
    assert_type(await plants.add("a", plant), int)
    assert_type(numbered.items, RedisHash[Plant, int])
    assert_type(await numbered.items.dict(), dict[int, Plant])
    assert_type(await numbered.add(3, plant), int)


async def newest(repository: Repository[M, K]) -> M | None:
    """A function for every kind."""
    return await repository.recent.getitem(0)


async def abstract(client: Redis, shape: Shape, plants: Plants) -> None:
    """An abstract class is a type; what derives from it can be made."""
    assert_type(Square(client), Square)
    assert_type(Square(client).area(), float)
    assert_type(shape.points, RedisList[float])
    assert_type(await newest(plants), Plant | None)


async def local(client: Redis) -> None:
    """A class in a function."""

    class Local(Store, namespace="typing-local"):
        plants: RedisHash[Plant]

    assert_type(Local(client).plants, RedisHash[Plant, str])
    assert_type(Local.plants, FieldSpec[RedisHash[Plant, str]])
    async with Local.open("embedded://") as opened:
        assert_type(await opened.plants.get("a"), Plant | None)


async def instance_attributes(garden: Garden) -> None:
    """On an instance a field is its collection."""
    assert_type(garden.plants, RedisHash[Plant, str])
    assert_type(garden.by_id, RedisHash[Plant, int])
    assert_type(garden.optional, RedisHash[int | None, str])
    assert_type(garden.log, RedisList[str])
    assert_type(garden.annotated, RedisHash[float, str])
    assert_type(garden.visits, RedisHash[int, str])
    assert_type(garden.recent, RedisList[Plant])
    assert_type(garden.counts, RedisHash[int, str])
    assert_type(garden.notes, RedisKeySpace[list[str], str])
    assert_type(garden.beds, RedisSet[Plant])
    assert_type(garden.ranking, RedisSortedSet[str])
    assert_type(garden.tasks, RedisQueue[Plant])
    assert_type(garden.stack, RedisLifoQueue[Plant])
    assert_type(garden.urgent, RedisPriorityQueue[Plant])
    assert_type(garden.lock, RedisLock)
    assert_type(garden.api, RedisRateLimiter)
    assert_type(garden.permits, RedisSemaphore)
    assert_type(garden.limit, int)


def class_attributes() -> None:
    """On the class a field is its ``FieldSpec``."""
    assert_type(Garden.plants, FieldSpec[RedisHash[Plant, str]])
    assert_type(Garden.log, FieldSpec[RedisList[str]])
    assert_type(Garden.visits, FieldSpec[RedisHash[int, str]])
    assert_type(Greenhouse.plants, FieldSpec[RedisHash[Plant, str]])
    assert_type(Garden.api, FieldSpec[RedisRateLimiter])


def specs(spec: FieldSpec[RedisList[str]]) -> None:
    """What a ``FieldSpec`` says."""
    assert_type(str(spec), str)
    assert_type(spec.key, str)
    assert_type(spec.rkey, str | None)
    assert_type(spec.name, str)
    assert_type(spec.owner, type[object])
    assert_type(spec.collection, type[RedisList[str]])
    assert_type(spec.value_type, object)
    assert_type(spec.key_type, object | None)
    assert_type(spec.ttl, TTL | None)
    assert_type(spec.options, Mapping[str, object])
    assert_type(spec.slots, Literal["store", "field", "key"])


def inspected(garden: Garden) -> None:
    """Questions about stores."""
    assert_type(fields(Garden), Mapping[str, FieldSpec[RedisObject]])
    assert_type(fields(garden), Mapping[str, FieldSpec[RedisObject]])
    any_field: FieldSpec[RedisObject] = Garden.plants
    assert_type(any_field.key, str)


def options() -> None:
    """The annotation in front of ``field`` says which types its options have."""
    hashes: RedisHash[int | None, int] = RedisHash.field(default=None, codec=codec_for)
    made: RedisHash[list[int]] = RedisHash.field(default_factory=list, ttl=TTL(hours=1))
    space: RedisKeySpace[float, int] = RedisKeySpace.field(slots="key", default=0.5)
    items: RedisList[Plant] = RedisList.field(maxlen=3, codec=PlantCodec())
    members: RedisSet[Plant] = RedisSet.field(codec=PlantCodec())
    ranking: RedisSortedSet[str] = RedisSortedSet.field(rkey="ranking")
    jobs: RedisQueue[int] = RedisQueue.field(maxsize=0)
    stack: RedisLifoQueue[int] = RedisLifoQueue.field(maxsize=3)
    urgent: RedisPriorityQueue[int] = RedisPriorityQueue.field(maxsize=3)
    lock: RedisLock = RedisLock.field(lease=timedelta(seconds=3), watchdog=True, replicas=1, replicas_timeout=0.5)
    api: RedisRateLimiter = RedisRateLimiter.field(rate="1/day", algorithm="sliding_window")
    permits: RedisSemaphore = RedisSemaphore.field(limit=3, lease=5)
    every = (hashes, made, space, items, members, ranking, jobs, stack, urgent, lock, api, permits)
    assert len(every) == 12
