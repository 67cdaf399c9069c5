"""Generic, abstract and redefined stores."""

from __future__ import annotations

import importlib
import sys
from abc import ABC, abstractmethod
from pathlib import Path
from typing import Generic

import pytest
from pydantic import BaseModel
from redis.asyncio import Redis
from typing_extensions import TypeVar

from purse import DeclarationError, RedisHash, RedisKeySpace, RedisList, Store
from purse.inspect import fields
from tests.support.declaring import Declare

M = TypeVar("M", bound=BaseModel)
K = TypeVar("K", default=str)


class Plant(BaseModel):
    """A value."""

    name: str


class Tool(BaseModel):
    """Another."""

    weight: float


class Repository(Store, Generic[M, K]):
    """What every kind of thing needs."""

    items: RedisHash[M, K]
    recent: RedisList[M | None]
    drafts: RedisKeySpace[list[M], K]

    async def add(self, key: K, item: M) -> None:
        """Keep it, and remember it as the newest."""
        await self.atomic(self.items.set(key, item), self.recent.appendleft(item))


class Plants(Repository[Plant], namespace="generic-plants"):
    """With the default key."""


class Tools(Repository[Tool, int], namespace="generic-tools"):
    """With keys of its own."""


async def test_a_repository_is_written_once(redis: Redis) -> None:
    """Each subclass stores, and checks, its own type."""
    plants, tools = Plants(redis), Tools(redis)

    await plants.add("leek", Plant(name="leek"))
    await tools.add(7, Tool(weight=2))

    assert await plants.items.get("leek") == Plant(name="leek")
    assert await tools.recent.getitem(0) == Tool(weight=2.0)
    with pytest.raises(Exception, match=r"\{generic-tools\}:items.*expected Tool, got Plant"):
        await tools.items.set(7, Plant(name="x"))  # type: ignore[arg-type]  # pyright: ignore[reportArgumentType]


def test_fields_have_the_types_of_the_subclass() -> None:
    """Type variables are replaced wherever they stand in an annotation, those left out by their defaults."""
    plants, tools = fields(Plants), fields(Tools)

    assert (plants["items"].value_type, plants["items"].key_type) == (Plant, str)
    assert (tools["items"].value_type, tools["items"].key_type) == (Tool, int)
    assert plants["recent"].value_type == Plant | None
    assert tools["drafts"].value_type == list[Tool]
    assert repr(plants["drafts"]) == "<field Plants.drafts: RedisKeySpace[list[Plant]] at '{generic-plants}:drafts:'>"


def test_types_are_handed_down_step_by_step(declare: Declare) -> None:
    """A generic subclass of a generic store, two bases with one variable, a mixin beside them, text as argument."""
    module = declare(
        """
        M = TypeVar("M")
        N = TypeVar("N")
        class Repo(Store, Generic[M]):
            items: RedisHash[M]
        class Logged(Store, Generic[M]):
            log: RedisList[M]
        class Both(Repo[M], Logged[N], Generic[M, N]):
            pairs: RedisHash[M, N]
        class Swapped(Both[N, M], Generic[M, N]): ...
        # typing keeps the generic classes, and they their module: each run has a namespace of its own.
        class Ready(Swapped[int, "str"], namespace=f"{__name__}-ready"): ...
        class Shelf(Store, Generic[M]):
            repo: Repo[list[M]]
        class Shop(Store, namespace=f"{__name__}-shop"):
            home: Shelf[bytes]
            work: Shelf[int]
        """
    )

    def types(store: type[Store]) -> dict[str, object]:
        return {path: spec.value_type for path, spec in fields(store).items()}

    assert types(module.Ready) == {"log": int, "items": str, "pairs": str}
    assert fields(module.Ready)["pairs"].key_type is int
    assert types(module.Shop) == {"home.repo.items": list[bytes], "work.repo.items": list[int]}
    assert module.Shop(Redis()).work.repo.items.rkey.endswith("-shop}:work:repo:items")


def test_a_generic_store_has_no_instances(declare: Declare) -> None:
    """What is still open is told with the subclass to write."""
    module = declare(
        """
        M = TypeVar("M")
        class Repo(Store, Generic[M], namespace="generic-open"):
            items: RedisHash[M]
        """
    )

    with pytest.raises(DeclarationError, match=r"give it one in a subclass: class Plants\(Repo\[Plant\], namespace="):
        module.Repo(Redis())
    with pytest.raises(
        DeclarationError, match=r"Sub\.items: RedisHash\[M\] contains a type variable.* give it one in a sub"
    ):
        declare(f"from {module.__name__} import Repo\nclass Sub(Repo, namespace='generic-sub'): ...")


def test_a_type_that_cannot_be_stored_is_refused_where_it_is_given(declare: Declare) -> None:
    """The generic store is fine; the subclass with the wrong type is told."""
    with pytest.raises(DeclarationError, match=r"^Bad\.items: "):
        declare(
            """
            M = TypeVar("M")
            class Repo(Store, Generic[M]):
                items: RedisHash[int, M]
            class Bad(Repo[list[int]], namespace="generic-bad"): ...
            """
        )


def test_an_unknown_keyword_of_a_generic_store_is_refused(declare: Declare) -> None:
    """``Generic`` takes no class keywords, although it has an ``__init_subclass__``."""
    with pytest.raises(DeclarationError, match="unknown class keyword colour="):
        declare("M = TypeVar('M')\nclass Repo(Store, Generic[M], colour='red'): ...")


# --- abstract stores ----------------------------------------------------------------------------------


class Journal(Store, ABC):
    """Declares a field, and leaves a method open."""

    log: RedisList[str]

    @abstractmethod
    def title(self) -> str:
        """What the first line is."""

    async def begin(self) -> int:
        """Write the first line."""
        return await self.log.append(self.title())


class Diary(Journal, namespace="generic-diary"):
    """Has the method."""

    def title(self) -> str:
        return "Dear diary"


async def test_an_abstract_store_is_filled_in_by_a_subclass(redis: Redis) -> None:
    """``ABC`` works with stores as with any class."""
    diary = Diary(redis)

    assert await diary.begin() == 1
    assert await diary.log.getitem(0) == "Dear diary"
    assert isinstance(diary, Journal)


def test_an_abstract_store_has_no_instances(redis: Redis) -> None:
    """A class with a namespace and without a method of its base cannot be bound."""

    class Half(Journal, namespace="generic-half"):
        pass

    with pytest.raises(TypeError, match="abstract"):
        Half(redis)  # type: ignore[abstract]  # pyright: ignore[reportAbstractUsage]


# --- the same class again -----------------------------------------------------------------------------


def test_a_module_can_be_reloaded(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """After an edit and a reload the new class has the namespace, parts and templates included."""
    monkeypatch.setattr(sys, "path", [str(tmp_path), *sys.path])
    monkeypatch.setattr(sys, "dont_write_bytecode", True)
    source = """
from purse import *
class Part(Store):
    n: RedisHash[{type}]
class Reloaded(Store, namespace="generic-reloaded:{{a}}"):
    part: Part
    def __init__(self, redis: RedisClient, *, a: {type}) -> None:
        super().__init__(redis, a=a)
class Sub(Reloaded): ...
"""
    path = tmp_path / "purse_reloaded.py"
    path.write_text(source.format(type="int"))
    module = importlib.import_module("purse_reloaded")
    old = module.Reloaded

    path.write_text(source.format(type="str"))
    importlib.reload(module)

    assert module.Reloaded is not old
    assert fields(module.Sub)["part.n"].value_type is str
    assert module.Sub(Redis(), a="x").part.n.rkey == "{generic-reloaded:x}:part:n"
    assert old(Redis(), a=1).part.n.rkey == "{generic-reloaded:1}:part:n"


def test_a_notebook_cell_can_be_run_again(declare: Declare) -> None:
    """The same statement in the same module takes over, with other fields, too, and so do its subclasses."""
    cell = "class Garden(Store, namespace='generic-cell'):\n    {}\nclass Sub(Garden): ...\n"

    module = declare(cell.format("plants: RedisHash[int]") + cell.format("trees: RedisHash[str]"))

    assert [*fields(module.Sub)] == ["trees"]


def test_a_function_can_define_its_store_each_time() -> None:
    """A store in a function, as in a test or a factory, with types of the call."""

    def define(kind: type[BaseModel]) -> type[Store]:
        class Local(Store, namespace="generic-local"):
            items: RedisHash[kind]  # type: ignore[valid-type]  # pyright: ignore[reportInvalidTypeForm]

        return Local

    first, second = define(Plant), define(Tool)

    assert fields(first)["items"].value_type is Plant
    assert fields(second)["items"].value_type is Tool
