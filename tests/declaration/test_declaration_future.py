"""Forward references where every annotation is a string: see test_declaration.py for the rest."""

from __future__ import annotations

import sys
import weakref
from typing import Annotated, ClassVar

from pydantic import BaseModel

from purse import TTL, RedisHash, RedisList, Store, field
from purse.inspect import fields


class Orchard(Store, namespace="future-orchard"):
    """Names its model in every way that Python has before the model exists."""

    limit: ClassVar[int] = 3
    plain: RedisHash[Tree]
    quoted: "RedisHash[Tree]"  # noqa: UP037
    inner: RedisHash["Tree"]  # noqa: UP037
    nested: RedisHash[list[Tree]]
    annotated: Annotated[RedisHash[Tree], TTL(hours=1)]
    keyed: RedisHash[Tree, int] = field(key="by-id")


class Tree(BaseModel):
    """Comes after the store."""

    name: str


def test_a_model_may_come_after_the_store() -> None:
    """Forward references are resolved when they are needed, whatever way they are written."""
    assert [spec.value_type for spec in fields(Orchard).values()] == [Tree, Tree, Tree, list[Tree], Tree, Tree]
    assert Orchard.annotated.ttl == TTL(hours=1)
    assert Orchard.keyed.key_type is int
    assert Orchard.keyed.key == "{future-orchard}:by-id"


def test_a_model_may_be_local_to_the_function() -> None:
    """A store in a function can name the function's models; of its frame nothing else is kept."""

    class Local(BaseModel):
        name: str

    class Bystander:
        pass

    def define() -> tuple[type[Store], weakref.ref[Bystander]]:
        bystander = Bystander()

        class Item(BaseModel):
            name: str

        class Garden(Store, namespace="future-local"):
            plants: RedisHash[Item]
            log: RedisList[list[Item]]

        assert Garden.plants.value_type is Item
        return Garden, weakref.ref(bystander)

    garden, bystander = define()

    if sys.implementation.name == "cpython":
        assert bystander() is None
    assert [*fields(garden)] == ["plants", "log"]

    class Garden(Store, namespace="future-here"):
        plants: RedisHash[Local]

    assert Garden.plants.value_type is Local
