"""How often an annotation that is text is evaluated: it may be slow, and what it calls may be seen."""

from __future__ import annotations

from types import ModuleType

import pytest
from redis.asyncio import Redis

from purse import DeclarationError
from purse.inspect import fields, schema
from tests.support.declaring import Declare

SEEN = """
calls = []
def seen(structure):
    calls.append(structure)
    return structure
"""


def use_all_of(module: ModuleType, redis: Redis) -> None:
    """Ask everything that can be asked of the class, and bind it."""
    for spec in fields(module.Garden).values():
        assert spec.collection
        assert spec.value_type
        assert str(spec)
        assert repr(spec)
    assert schema(module.Garden)["fields"]
    assert module.Garden(redis).plants
    assert module.Garden(redis).plants


def test_once_if_all_names_exist(declare: Declare, redis: Redis) -> None:
    """One evaluation serves the class, its subclasses, what is nested, and all instances."""
    module = declare(
        f"""{SEEN}
class Part(Store):
    log: "seen(RedisList[str])"
class Base(Store):
    plants: "seen(RedisHash[int])"
    part: "seen(Part)"
    limit: "seen(ClassVar[int])"
class Garden(Base, namespace="evaluated-once"):
    pass
class Orchard(Garden, namespace="evaluated-orchard"):
    pass
"""
    )
    use_all_of(module, redis)

    assert len(module.calls) == 4


def test_once_more_leniently_if_a_name_is_missing(declare: Declare, redis: Redis) -> None:
    """And strictly again when the name exists, but not before."""
    module = declare(
        f"""{SEEN}
class Garden(Store, namespace="evaluated-twice"):
    plants: "seen(RedisHash)[Later]"
class Orchard(Garden, namespace="evaluated-twice-orchard"):
    pass
"""
    )
    assert len(module.calls) == 2
    with pytest.raises(DeclarationError, match="Later"):
        module.Garden(redis)
    assert len(module.calls) == 2

    vars(module)["Later"] = int
    use_all_of(module, redis)
    assert module.Orchard(redis).plants

    assert len(module.calls) == 3
