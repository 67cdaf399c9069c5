"""Stores as type checkers see them. Read by mypy and pyright, never run."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Annotated, ClassVar, assert_type

from pydantic import BaseModel
from redis.asyncio import Redis

from purse import TTL, Codec, RedisClient, RedisHash, RedisList, Store, codec_for, field
from purse.collections import RedisCollection
from purse.inspect import FieldSpec, fields


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
    log: RedisList[str]
    annotated: Annotated[RedisHash[float], TTL(hours=2)]
    visits: RedisHash[int] = field(ttl=TTL(hours=1))
    coded: RedisHash[Plant] = field(codec=PlantCodec())
    made: RedisHash[Plant] = field(codec=codec_for)
    recent: RedisList[Plant] = field(maxlen=10, key="latest")
    old: RedisList[str] = field(rkey="redis_list")


class Greenhouse(Garden, namespace="typing-greenhouse"):
    """A subclass with a constructor of its own."""

    heat: RedisHash[float]

    def __init__(self, redis: RedisClient, name: str) -> None:
        super().__init__(redis)
        self.name = name


codec: Codec[Plant] = PlantCodec()


async def stores(client: Redis) -> None:
    """Every public method of ``Store``."""
    garden = Garden(client)
    assert_type(garden, Garden)
    assert_type(Garden(redis=client), Garden)
    assert_type(Garden.open("redis://localhost"), Garden)
    async with Garden.open("embedded://") as opened:
        assert_type(opened, Garden)
    async with Garden(client) as bound:
        assert_type(bound, Garden)
    assert_type(await garden.clear(), int)
    await garden.aclose()
    assert_type(Greenhouse(client, "north"), Greenhouse)
    async with Greenhouse(client, "north") as house:
        assert_type(house, Greenhouse)
        assert_type(house.heat, RedisHash[float, str])
        assert_type(house.plants, RedisHash[Plant, str])


async def instance_attributes(garden: Garden) -> None:
    """On an instance a field is its collection."""
    assert_type(garden.plants, RedisHash[Plant, str])
    assert_type(garden.by_id, RedisHash[Plant, int])
    assert_type(garden.optional, RedisHash[int | None, str])
    assert_type(garden.log, RedisList[str])
    assert_type(garden.annotated, RedisHash[float, str])
    assert_type(garden.visits, RedisHash[int, str])
    assert_type(garden.recent, RedisList[Plant])
    assert_type(garden.limit, int)


def class_attributes() -> None:
    """On the class a field is its ``FieldSpec``."""
    assert_type(Garden.plants, FieldSpec[RedisHash[Plant, str]])
    assert_type(Garden.log, FieldSpec[RedisList[str]])
    assert_type(Garden.visits, FieldSpec[RedisHash[int, str]])
    assert_type(Greenhouse.plants, FieldSpec[RedisHash[Plant, str]])
    assert_type(Garden.plants.key, str)
    assert_type(Garden.plants.name, str)
    assert_type(Garden.plants.collection, type[RedisHash[Plant, str]])
    assert_type(Garden.plants.value_type, object)
    assert_type(Garden.plants.ttl, TTL | None)
    assert_type(Garden.log.maxlen, int | None)


def inspected(garden: Garden) -> None:
    """Questions about stores."""
    assert_type(fields(Garden), Mapping[str, FieldSpec[RedisCollection]])
    assert_type(fields(garden), Mapping[str, FieldSpec[RedisCollection]])
    any_field: FieldSpec[RedisCollection] = Garden.plants
    assert_type(any_field.key, str)
