"""Defaults: what a missing key of a hash or key space stands for."""

from __future__ import annotations

from typing import Any

import pytest
from pydantic import BaseModel
from redis.asyncio import Redis

from purse import DeclarationError, EncodeError, RedisHash, RedisKeySpace, RedisList, Store
from tests.support.clients import all_keys, command
from tests.support.declaring import Declare


class Cart(BaseModel):
    """Mutable."""

    items: list[str] = []


class Shop(Store, namespace="default-shop"):
    """One of each kind."""

    counts: RedisHash[int] = RedisHash.field(default=0)
    carts: RedisHash[Cart] = RedisHash.field(default=Cart(items=["bag"]))
    names: RedisKeySpace[str | None] = RedisKeySpace.field(default=None)
    lists: RedisKeySpace[list[int], int] = RedisKeySpace.field(default_factory=list)
    plain: RedisHash[int]


@pytest.fixture
def shop(redis: Redis) -> Shop:
    """A store on an empty database."""
    return Shop(redis)


async def test_get_gives_the_default_of_the_field(redis: Redis, shop: Shop) -> None:
    """Unless the call has a default of its own; reading stores nothing."""
    assert await shop.counts.get("x") == 0
    assert await shop.counts.get("x", None) is None
    assert await shop.counts.get("x", "none") == "none"
    assert await shop.carts.get("x") == Cart(items=["bag"])
    assert await shop.names.get("x") is None
    assert await shop.lists.get(1) == []
    assert await shop.plain.get("x") is None
    assert await all_keys(redis) == []


async def test_what_changes_a_value_starts_from_the_default(shop: Shop) -> None:
    """``modify``, ``edit`` and ``patch`` store it with the change; a default of the call wins."""
    assert await shop.counts.modify("x", lambda n: n + 1) == 1
    assert await shop.counts.modify("y", lambda n: n + 1, default=10) == 11
    async with shop.lists.edit(7) as numbers:
        numbers.append(3)
    async with shop.carts.edit("ada") as cart:
        cart.items.append("kale")
    assert await shop.carts.patch("bob", items=["leek"]) == Cart(items=["leek"])

    assert await shop.lists.get(7) == [3]
    assert await shop.carts.get("ada") == Cart(items=["bag", "kale"])


async def test_everybody_gets_a_value_of_their_own(shop: Shop) -> None:
    """A default that is changed in place does not change the next one."""
    for _ in range(2):
        cart = await shop.carts.get("x")
        assert cart is not None
        assert cart == Cart(items=["bag"])
        cart.items.append("x")
        numbers = await shop.lists.get(1)
        assert numbers is not None
        assert numbers == []
        numbers.append(1)


async def test_methods_of_many_keys_leave_missing_ones_out(shop: Shop) -> None:
    """``get_many``, ``pop``, ``contains``, ``increment`` and iteration know nothing of a default."""
    assert await shop.counts.get_many(["a", "b"]) == {}
    assert await shop.counts.pop("a") is None
    assert not await shop.counts.contains("a")
    assert await shop.counts.dict() == {}
    assert await shop.counts.increment("a") == 1


async def test_a_default_in_atomic(shop: Shop) -> None:
    """What ``get`` returns inside a transaction is the same."""
    assert await shop.atomic(shop.counts.get("x"), shop.lists.get(3), shop.plain.get("x")) == (0, [], None)


async def test_undecodable_bytes_are_not_missing(redis: Redis, shop: Shop) -> None:
    """The default stands for a missing key, never for a bad value."""
    await command(redis, "HSET", "{default-shop}:counts", "x", "nonsense")

    with pytest.raises(Exception, match=r"counts\['x'\] does not hold a valid int"):
        await shop.counts.get("x")


async def test_what_a_factory_makes_is_checked(redis: Redis) -> None:
    """A value that could not be stored is an error where it is made, with the key."""

    def make() -> Any:
        return "three"

    for collection in (
        RedisHash(redis, "bad", int, default_factory=make),
        RedisKeySpace(redis, "bad:", int, default_factory=make),
    ):
        with pytest.raises(EncodeError, match="expected int, got str"):
            await collection.get("x")


WRONG = {
    "type": (
        "RedisHash[int] = RedisHash.field(default='x')",
        "X.f: ",
        "default='x' cannot be stored: expected int, got str",
    ),
    "none": ("RedisHash[int] = RedisHash.field(default=None)", "X.f: ", "default=None cannot be stored"),
    "both": ("RedisHash[int] = RedisHash.field(default=1, default_factory=int)", "X.f: ", "write only one of them"),
    "factory": (
        "RedisHash[int] = RedisHash.field(default_factory=3)",
        "X.f: ",
        "default_factory= must be a function that makes a value, not 3",
    ),
    "list": ("RedisList[int] = RedisHash.field(default=3)", "X.f: ", "this is a RedisList"),
    "lock": ("RedisLock = RedisHash.field(default=3)", "X.f: ", "this is a RedisLock"),
    "nested": ("Part = RedisHash.field(default=3)", "X.f: ", "field() of a nested store takes only key= and ttl="),
}


@pytest.mark.parametrize(("declared", "where", "message"), WRONG.values(), ids=WRONG.keys())
def test_a_wrong_default_is_refused_at_definition(declare: Declare, declared: str, where: str, message: str) -> None:
    """What cannot be stored, or belongs to no missing key, is told with the field."""
    with pytest.raises(DeclarationError) as caught:
        declare(
            "from purse.locks import RedisLock\nclass Part(Store):\n    n: RedisHash[int]\n"
            f"class X(Store, namespace='default-x'):\n    f: {declared}"
        )

    assert str(caught.value).startswith(where)
    assert message in str(caught.value)


def test_other_collections_take_no_default(redis: Redis) -> None:
    """A list has no keys that could be missing."""
    with pytest.raises(TypeError):
        RedisList(redis, "x", int, default=3)  # type: ignore[call-arg]  # pyright: ignore[reportCallIssue]
