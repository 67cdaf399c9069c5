"""Annotations of which names are missing when the class is defined: Python 3.14, and its rules before it."""

from __future__ import annotations

import importlib
import sys
from typing import get_type_hints

import pytest

import purse
from purse import RedisHash, RedisList, Store
from purse.errors import DeclarationError
from purse.inspect import fields
from tests.support.declaring import Declare


@pytest.fixture(autouse=True)
def _unquoted(request: pytest.FixtureRequest) -> None:
    """Without quotes and without the future import only Python 3.14 leaves names open."""
    mode = request.node.callspec.params.get("declare") if hasattr(request.node, "callspec") else None
    if mode == "plain" and sys.version_info < (3, 14):
        pytest.skip("evaluated at definition")


FORMS = {
    "RedisHash[Later]": "Later",
    "RedisHash[list[Later]]": "list[Later]",
    "RedisHash[Later | None]": "Later | None",
    "RedisHash[None | Later]": "None | Later",
    "RedisHash[int | Later]": "int | Later",
    "RedisHash[dict[str, int | Later]]": "dict[str, int | Later]",
    "RedisHash[Annotated[Later, 1]]": "Annotated[Later, 1]",
    "RedisHash[Later, int]": "Later",
    "RedisHash[outer.Later]": "Later",
    "RedisHash['Later']": "Later",
    "RedisHash[list['Later']]": "list[Later]",
    "Annotated[RedisHash[Later], TTL(hours=1)]": "Later",
    "Later2[Later]": "Later",
    "Later2[int | Later]": "int | Later",
}


@pytest.mark.rows(8)
@pytest.mark.parametrize(("annotation", "value_type"), FORMS.items(), ids=FORMS.keys())
def test_a_name_inside_an_annotation_may_come_later(declare: Declare, annotation: str, value_type: str) -> None:
    """Whatever stands around it: an item, a union, an attribute, an alias that comes later itself."""
    module = declare(
        f"""
        class Garden(Store, namespace="deferred-forms"):
            plants: {annotation}
        class Later(BaseModel):
            name: str
        class outer:
            Later = Later
        Later2 = RedisHash
        expected = {value_type}
        """
    )

    garden = module.Garden(module.RedisClient())

    assert isinstance(garden.plants, RedisHash)
    assert fields(module.Garden)["plants"].value_type == module.expected


async def test_a_union_that_never_comes_is_shown_as_it_was_written(declare: Declare) -> None:
    """Names that Python has made up for itself are in no message."""
    module = declare("class Garden(Store, namespace='deferred-union'):\n    plants: RedisHash[int | Later]")

    with pytest.raises(DeclarationError) as caught:
        module.Garden(module.RedisClient())

    assert str(caught.value).startswith("Garden.plants: the annotation RedisHash[int | Later] names 'Later', and")
    assert "RedisHash[int | Later]" in repr(module.Garden.plants)


def test_a_constructor_may_name_what_only_checkers_know(declare: Declare) -> None:
    """What the ``__init__`` of a store or a collection takes beside the parameters need not exist at run time."""
    module = declare(
        """
        class Traced(RedisHash[int]):
            def __init__(self, redis: RedisClient, rkey: str, value_type: type, *, by: Tracer = None, **more: Options):
                super().__init__(redis, rkey, value_type, **more)
        class Basket(Store):
            lines: RedisHash[int]
            def __init__(self, redis: RedisClient, *, tracer: Tracer | None = None) -> None:
                super().__init__(redis)
        class Shop(Store, namespace="deferred:{user_id}"):
            counts: Traced
            basket: Basket
            def __init__(self, redis: RedisClient, *, user_id: UserId, tracer: Tracer | None = None) -> None:
                super().__init__(redis, user_id=user_id)
        UserId = NewType("UserId", int)
        """
    )

    shop = module.Shop(module.RedisClient(), user_id=7)

    assert shop.basket.lines.rkey == "{deferred:7}:basket:lines"


def test_a_store_that_was_dropped_claims_nothing_because_of_its_model(declare: Declare) -> None:
    """Caches of codecs and of typing keep models; a model keeps its module; and the module keeps the store."""
    source = """
        class Plant(BaseModel):
            name: str
            def shout(self) -> str: return self.name
        class Garden(Store, namespace="deferred-gone"):
            plants: RedisHash[Plant]
            lists: RedisList[list[Plant]]
        RedisHash(RedisClient(), "k", Plant)._codec.encode(Plant(name="leek"))
    """
    module = declare(source)
    del sys.modules[module.__name__]
    name = module.__name__
    del module

    again = declare(source)
    sys.modules[name] = again  # for the fixture

    assert again.Garden.plants.value_type is again.Plant


class Meadow(Store, namespace="deferred-hints"):
    plants: RedisHash[int]
    log: RedisList[str]


def test_type_hints_of_a_store_can_be_read() -> None:
    """``typing.get_type_hints`` gives the fields, and of each public class what it declares."""
    assert get_type_hints(Meadow) == {"plants": RedisHash[int], "log": RedisList[str]}
    for name in importlib.import_module("purse").__all__:
        public = getattr(purse, name)
        if isinstance(public, type) and public.__module__.startswith("purse"):
            get_type_hints(public)
