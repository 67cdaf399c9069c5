"""Completion in editors: jedi, of Spyder, python-lsp-server, Vim and Emacs, lists fields, methods and values."""

from __future__ import annotations

import inspect
import sys
from collections.abc import Iterator
from functools import cache
from importlib import import_module
from typing import Protocol, cast

import pytest

import purse
from purse import limits, locks

PROGRAM = """
from pydantic import BaseModel
from redis.asyncio import Redis

from purse import (
    RedisClient, RedisHash, RedisKeySpace, RedisLifoQueue, RedisList, RedisLock, RedisPriorityQueue, RedisQueue,
    RedisRateLimiter, RedisSemaphore, RedisSet, RedisSortedSet, Store, field,
)

class Plant(BaseModel):
    name: str

class Shelf(Store):
    lines: RedisList[str]

class Garden(Store, namespace="garden"):
    plants: RedisHash[Plant]
    sessions: RedisKeySpace[Plant]
    log: RedisList[str]
    beds: RedisSet[str]
    ranking: RedisSortedSet[str]
    tasks: RedisQueue[Plant]
    stack: RedisLifoQueue[Plant]
    urgent: RedisPriorityQueue[Plant]
    lock: RedisLock
    api: RedisRateLimiter = field(rate="10/second")
    permits: RedisSemaphore = field(limit=3)
    home: Shelf

class Greenhouse(Garden, namespace="greenhouse"):
    heat: RedisHash[float]

class UserStore(Store, namespace="user:{user_id}"):
    prefs: RedisHash[str]

    def __init__(self, redis: RedisClient, *, user_id: int) -> None:
        super().__init__(redis, user_id=user_id)

async def main(client: Redis, garden: Garden, greenhouse: Greenhouse) -> None:
    """

OF_THE_LIBRARY = {
    "explain",
    "slot",
    "slot_of",
    "declared_as",
    "bound_to",
    "check",
    "inherited_by",
    "is_of",
    "is_orphan",
}
"""What the layers of the library ask of each other, and no user calls."""

OF_STORES = {"aclose", "atomic", "clear", "open"}

FIELDS = {
    "plants": purse.RedisHash,
    "sessions": purse.RedisKeySpace,
    "log": purse.RedisList,
    "beds": purse.RedisSet,
    "ranking": purse.RedisSortedSet,
    "tasks": purse.RedisQueue,
    "stack": purse.RedisLifoQueue,
    "urgent": purse.RedisPriorityQueue,
    "lock": locks.RedisLock,
    "api": limits.RedisRateLimiter,
    "permits": limits.RedisSemaphore,
}

EACH_FIELD = [pytest.param(name, marks=() if name == "plants" else pytest.mark.thorough) for name in FIELDS]


class Jedi(Protocol):
    """The two functions of jedi that are used; it says the types of neither."""

    def create_environment(self, path: str, *, safe: bool) -> object: ...

    def Script(self, code: str, *, environment: object) -> Script: ...  # noqa: N802


class Script(Protocol):
    """A program in an editor."""

    def complete(self, line: int, column: int) -> list[Name]: ...


class Name(Protocol):
    """A name that is offered."""

    name: str


@pytest.fixture(autouse=True, scope="module")
def cache_of_jedi(tmp_path_factory: pytest.TempPathFactory) -> Iterator[None]:
    """Its cache on disk is not the one of the user that runs the tests."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("jedi.settings.cache_directory", str(tmp_path_factory.mktemp("jedi")))
        yield


@cache
def completed(typed: str) -> frozenset[str]:
    """The public names that an editor offers after these last lines of a program."""
    jedi = cast("Jedi", import_module("jedi"))
    lines = (PROGRAM + typed).splitlines()
    script = jedi.Script("\n".join(lines), environment=jedi.create_environment(sys.prefix, safe=False))
    offered = [each.name for each in script.complete(len(lines), len(lines[-1]))]
    return frozenset(name for name in offered if not name.startswith("_"))


@pytest.mark.parametrize("field", EACH_FIELD)
def test_the_methods_of_a_field_are_offered(field: str) -> None:
    """All public names of its class, and nothing else."""
    names = {name for name, _ in inspect.getmembers(FIELDS[field]) if not name.startswith("_")}

    assert completed(f"garden.{field}.") == names


@pytest.mark.thorough
@pytest.mark.parametrize("field", EACH_FIELD)
def test_names_that_only_the_library_uses_are_not_offered(field: str) -> None:
    """On an instance and on the class."""
    assert not completed(f"garden.{field}.") & OF_THE_LIBRARY
    assert not completed(f"Garden.{field}.") & OF_THE_LIBRARY


@pytest.mark.thorough
@pytest.mark.parametrize(
    "typed",
    [
        "async with Garden.open('embedded://') as opened:\n        opened.",
        pytest.param("garden.", marks=pytest.mark.thorough),
        pytest.param("Garden(client).", marks=pytest.mark.thorough),
        pytest.param("Garden.open('embedded://').", marks=pytest.mark.thorough),
        pytest.param("async with Garden(client) as entered:\n        entered.", marks=pytest.mark.thorough),
    ],
)
def test_the_fields_of_a_store_are_offered(typed: str) -> None:
    """However the store was made: its fields, its nested stores, and the methods of ``Store``."""
    assert completed(typed) == {*FIELDS, "home", *OF_STORES}


@pytest.mark.thorough
@pytest.mark.parametrize(
    ("typed", "names"),
    [
        ("greenhouse.", {"heat", "plants", "home"}),
        ("async with Greenhouse.open('embedded://') as opened:\n        opened.", {"heat", "plants", "home"}),
        ("greenhouse.plants.", {"get", "set", "modify", "items"}),
        ("garden.home.", {"lines", *OF_STORES}),
        ("garden.home.lines.", {"append", "popleft", "values"}),
        ("UserStore.open('embedded://', user_id=42).", {"prefs"}),
        ("UserStore(client, user_id=42).prefs.", {"get", "set", "modify"}),
        ("RedisHash(client, 'plants', Plant).", {"get", "set", "modify"}),
        ("async with garden.lock as lease:\n        lease.", {"token", "extend", "remaining"}),
        ("async with garden.lock.within(5) as lease:\n        lease.", {"token", "extend", "remaining"}),
        ("async with garden.permits as permit:\n        permit.", {"id", "extend", "remaining"}),
        ("(await garden.plants.get('leek')).", {"name"}),
        ("(await garden.sessions.pop('leek')).", {"name"}),
        ("(await garden.tasks.get()).", {"name"}),
        ("async for _, plant in garden.plants.items():\n        plant.", {"name"}),
        ("async for task in garden.tasks:\n        task.", {"name"}),
        ("async with garden.plants.edit('leek') as plant:\n        plant.", {"name"}),
    ],
)
def test_what_stores_and_collections_give_is_known(typed: str, names: set[str]) -> None:
    """Subclasses, nested stores, stores with parameters, leases, permits and stored models."""
    assert completed(typed) >= names
