"""Nested stores: a store without a namespace as a field of another."""

from __future__ import annotations

import pytest
from redis.asyncio import Redis

from purse import TTL, DeclarationError, RedisClient, RedisHash, RedisKeySpace, RedisList, Store, field
from purse.inspect import fields
from purse.locks import RedisLock
from tests.support.clients import all_keys
from tests.support.declaring import Declare


class Box(Store):
    """A part of a part."""

    labels: RedisHash[str] = field(key="l")


class Shelf(Store, ttl=TTL(hours=2)):
    """A part."""

    lines: RedisList[str]
    stock: RedisKeySpace[int] = field(ttl=TTL(hours=1))
    lock: RedisLock = RedisLock.field(lease=5)
    box: Box

    def __init__(self, redis: RedisClient, *, colour: str = "red") -> None:
        super().__init__(redis)
        self.colour = colour

    async def add(self, line: str) -> int:
        """A method of one's own."""
        return await self.lines.append(line)


class Shop(Store, namespace="nest-shop"):
    """Two shelves."""

    home: Shelf
    cellar: Shelf = field(key="c", ttl=TTL(hours=3))
    log: RedisList[str]


class Branch(Store, namespace="nest-branch:{number}", slots="field"):
    """A nested store in one with parameters."""

    home: Shelf

    def __init__(self, redis: RedisClient, *, number: int) -> None:
        super().__init__(redis, number=number)


async def test_each_place_has_keys_of_its_own(redis: Redis) -> None:
    """The same class in two places is two stores, behind the names of their fields or their ``key=``."""
    shop = Shop(redis)

    await shop.home.add("milk")
    await shop.cellar.add("wine")
    await shop.home.stock.set("milk", 3)
    await shop.home.box.labels.set("a", "b")

    assert sorted(await all_keys(redis)) == [
        b"{nest-shop}:c:lines",
        b"{nest-shop}:home:box:l",
        b"{nest-shop}:home:lines",
        b"{nest-shop}:home:stock:milk",
    ]
    assert await shop.home.lines.getitem(0) == "milk"
    assert shop.home is shop.home
    assert type(shop.home) is Shelf
    assert shop.home.colour == "red"
    assert shop.home.lock.rkey == "{nest-shop}:home:lock"


async def test_all_places_take_part_in_one_atomic_step(redis: Redis) -> None:
    """A nested store has the client and the hash tag of the outer one."""
    shop = Shop(redis)

    assert await shop.atomic(shop.home.lines.append("a"), shop.cellar.lines.append("b"), shop.log.len()) == (1, 1, 0)
    assert await shop.home.atomic(shop.log.append("x")) == (1,)


async def test_clear_deletes_what_is_in_the_place(redis: Redis) -> None:
    """``clear`` of a part clears the part, that of the whole all of them."""
    shop = Shop(redis)
    for line in ("a", "b"):
        await shop.home.add(line)
        await shop.cellar.add(line)
        await shop.home.stock.set(line, 1)
    await shop.home.box.labels.set("a", "b")
    await shop.log.append("x")

    assert await shop.home.clear() == 4
    assert sorted(await all_keys(redis)) == [b"{nest-shop}:c:lines", b"{nest-shop}:log"]
    assert await shop.clear() == 2


async def test_a_nested_store_is_not_closed_by_itself(redis: Redis, server_url: str) -> None:
    """The client belongs to the outermost store."""
    async with Shop.open(server_url) as shop:
        await shop.home.aclose()
        await shop.home.add("a")

        assert await shop.clear() == 1


async def test_parameters_and_slots_reach_nested_fields(redis: Redis) -> None:
    """Namespace, parameters and the layout of slots are the outer store's."""
    branch = Branch(redis, number=3)

    assert branch.home.lines.rkey == "{nest-branch:3::home:lines}"
    await branch.home.add("a")
    await branch.home.stock.set("x", 1)
    assert await branch.clear() == 2


def test_fields_are_listed_with_their_paths() -> None:
    """``purse.inspect.fields`` knows every field that has a key."""
    found = fields(Shop)

    assert [*found] == [
        *("home.lines", "home.stock", "home.lock", "home.box.labels"),
        *("cellar.lines", "cellar.stock", "cellar.lock", "cellar.box.labels"),
        "log",
    ]
    assert str(found["home.box.labels"]) == "Shop.home.box.labels"
    assert found["cellar.box.labels"].key == "{nest-shop}:c:box:l"
    assert fields(Branch)["home.stock"].key == "{nest-branch:{number}::home:stock}:"
    assert vars(Shop)["home"].box.labels is found["home.box.labels"]
    with pytest.raises(AttributeError, match=r"Shop\.home\.box has no field 'label'"):
        _ = vars(Shop)["home"].box.label
    assert repr(vars(Shop)["home"]) == "<nested store Shop.home: Shelf>"


def test_the_nearest_ttl_wins() -> None:
    """Field of the part, ``field(ttl=)`` of the place, the part's class, the outer class."""

    class Outer(Store, namespace="nest-ttl", ttl=TTL(days=1)):
        shelf: Shelf
        other: Shelf = field(ttl=TTL(hours=3))
        box: Box

    found = {path: spec.ttl for path, spec in fields(Outer).items() if "lock" not in path}

    assert found == {
        "shelf.lines": TTL(hours=2),
        "shelf.stock": TTL(hours=1),
        "shelf.box.labels": TTL(hours=2),
        "other.lines": TTL(hours=3),
        "other.stock": TTL(hours=1),
        "other.box.labels": TTL(hours=3),
        "box.labels": TTL(days=1),
    }


async def test_errors_name_the_path(redis: Redis) -> None:
    """What is refused says which key it was for; an assignment says which field."""
    shop = Shop(redis)

    with pytest.raises(AttributeError, match=r"^Shop\.home is a declared field and cannot be assigned"):
        shop.home = shop.cellar
    with pytest.raises(Exception, match=r"\{nest-shop\}:home:lines"):
        await shop.home.lines.append(3)  # type: ignore[arg-type]  # pyright: ignore[reportArgumentType]


async def test_a_subclass_inherits_and_overrides_parts(redis: Redis) -> None:
    """A nested store is inherited with its place, and can be declared anew."""

    class Bigger(Shop, namespace="nest-bigger"):
        attic: Box
        cellar: Shelf

    shop = Bigger(redis)

    assert shop.home.lines.rkey == "{nest-bigger}:home:lines"
    assert shop.cellar.lines.rkey == "{nest-bigger}:cellar:lines"
    assert shop.attic.labels.rkey == "{nest-bigger}:attic:l"
    assert str(fields(Bigger)["home.lines"]) == "Bigger.home.lines"


WRONG = {
    "own namespace": (
        "class P(Store, namespace='nest-p'):\n    n: RedisHash[int]",
        "p: P",
        "move its fields to",
    ),
    "no fields": ("class P(Store): ...", "p: P", "Out.p: P has no fields"),
    "the base": ("", "p: Store", "Out.p: Store has no fields"),
    "engine": ("class P(Store, engine='dedicated'):\n    n: RedisHash[int]", "p: P", "give it to Out"),
    "options": (
        "class P(Store):\n    n: RedisHash[int]",
        "p: P = RedisList.field(maxlen=3)",
        "takes only key= and ttl=, which its",
    ),
    "rkey": ("class P(Store):\n    n: RedisHash[int]", "p: P = field(rkey='x')", "takes only key= and ttl="),
    "abstract": (
        "class P(Store, ABC):\n    n: RedisHash[int]\n    @abstractmethod\n    def f(self): ...",
        "p: P",
        "Out.p: P is abstract",
    ),
    "needs arguments": (
        "class P(Store):\n    n: RedisHash[int]\n    def __init__(self, redis, size):\n        super().__init__(redis)",
        "p: P",
        "__init__ of P needs size",
    ),
    "same key": (
        "class P(Store):\n    n: RedisHash[int]",
        "p: P\n    q: RedisList[int] = field(key='p:n')",
        "same Redis",
    ),
    "inside a key space": (
        "class P(Store):\n    n: RedisHash[int]",
        "p: P\n    q: RedisKeySpace[int] = field(key='p')",
        "belong to Out.q",
    ),
    "type variable": (
        "M = TypeVar('M')\nclass P(Store, Generic[M]):\n    n: RedisHash[M]",
        "p: P",
        "Out.p.n: RedisHash[M] contains a type variable",
    ),
}


@pytest.mark.parametrize(("part", "body", "message"), WRONG.values(), ids=WRONG.keys())
def test_what_cannot_be_nested_is_refused(declare: Declare, part: str, body: str, message: str) -> None:
    """A part has no namespace, is made with the client alone, and its keys are its own."""
    with pytest.raises(DeclarationError) as caught:
        declare(f"{part}\nclass Out(Store, namespace='nest-out'):\n    {body}")

    assert message in str(caught.value)


def test_a_part_is_defined_before_the_whole(declare: Declare) -> None:
    """A store that comes later, or itself, cannot be nested: its fields have to be known."""
    module = declare(
        """
        class Out(Store, namespace="nest-later"):
            p: "Part"
        class Part(Store):
            n: RedisHash[int]
        class Tree(Store, namespace="nest-tree"):
            left: "Tree"
        """
    )

    for store, name in ((module.Out, "Part"), (module.Tree, "Tree")):
        with pytest.raises(DeclarationError, match=f"the store {name} is nested here and defined later: define it"):
            store(Redis())
