"""Interoperation with the real redis-purse 2.0.2, which has an environment of its own.

The environment is made once, in pytest's cache. Where no package index can be reached, the tests are skipped;
PURSE_REQUIRE_INTEROP=1 makes that a failure.
"""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest
from redis.asyncio import Redis

from purse import (
    RedisHash,
    RedisKeySpace,
    RedisLifoQueue,
    RedisList,
    RedisPriorityQueue,
    RedisQueue,
    RedisSet,
    RedisSortedSet,
)
from purse.embedded import Server
from tests.collections.garden import collect
from tests.support import purse2
from tests.support.purse2 import SAMPLES, Plant, Sample, same, scored

pytestmark = pytest.mark.thorough

Purse2 = Callable[[str], None]

_REQUIREMENTS = ("redis-purse==2.0.2", "redis<6")


@pytest.fixture(scope="session")
def python_of_2x(pytestconfig: pytest.Config, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The interpreter of an environment with redis-purse 2.0.2."""
    cache: pytest.Cache | None = getattr(pytestconfig, "cache", None)  # absent with -p no:cacheprovider
    place = tmp_path_factory.mktemp("interop") if cache is None else cache.mkdir("redis-purse-2.0.2")
    home = place / "python{}.{}".format(*sys.version_info)
    python = home / "bin" / "python"
    if _version(python) != "2.0.2":
        shutil.rmtree(home, ignore_errors=True)
        made = subprocess.run([sys.executable, "-m", "venv", home], capture_output=True, text=True, check=False)
        assert made.returncode == 0, made.stdout + made.stderr
        pip: list[str | Path] = [
            python,
            "-m",
            "pip",
            "install",
            "--quiet",
            "--disable-pip-version-check",
            *_REQUIREMENTS,
        ]
        # Constraints for the present release would keep an older one from being installed.
        environment = {name: value for name, value in os.environ.items() if name != "PIP_CONSTRAINT"}
        installed = subprocess.run(pip, env=environment, capture_output=True, text=True, check=False)
        if installed.returncode:
            why = f"redis-purse 2.0.2 cannot be installed: {(installed.stderr.strip() or 'no reason').splitlines()[-1]}"
            if os.environ.get("PURSE_REQUIRE_INTEROP") == "1":
                pytest.fail(why)
            pytest.skip(why)
    return python


def _version(python: Path) -> str | None:
    """The version of redis-purse in an environment; None if there is neither."""
    ask = "from importlib.metadata import version; import purse.collections; print(version('redis-purse'))"
    try:
        return subprocess.run([python, "-I", "-c", ask], capture_output=True, text=True, check=True).stdout.strip()
    except (OSError, subprocess.CalledProcessError):
        return None


@pytest.fixture
def purse_2x(python_of_2x: Path, server: Server) -> Purse2:
    """Runs ``tests/support/purse2.py`` on 2.0.2 and the test server."""

    def run(what: str) -> None:
        ended = subprocess.run(
            [python_of_2x, "-I", purse2.__file__, what, server.url], capture_output=True, text=True, check=False
        )
        assert ended.returncode == 0, ended.stderr
        assert ended.stderr == ""

    return run


def hash_of(redis: Redis, sample: Sample) -> RedisHash[object]:
    return RedisHash(redis, f"hash:{sample.name}", sample.value_type)


def list_of(redis: Redis, sample: Sample) -> RedisList[object]:
    return RedisList(redis, f"list:{sample.name}", sample.value_type)


class Others:
    """The other structures of one sample."""

    def __init__(self, redis: Redis, sample: Sample) -> None:
        kind, name = sample.value_type, sample.name
        self.members: RedisSet[object] = RedisSet(redis, f"set:{name}", kind)
        self.ranking: RedisSortedSet[object] = RedisSortedSet(redis, f"ranking:{name}", kind)
        self.space: RedisKeySpace[object] = RedisKeySpace(redis, f"space:{name}:", kind)
        self.queue: RedisQueue[object] = RedisQueue(redis, f"queue:{name}", kind)
        self.lifo: RedisLifoQueue[object] = RedisLifoQueue(redis, f"lifo:{name}", kind)
        self.priorities: RedisPriorityQueue[object] = RedisPriorityQueue(redis, f"priorities:{name}", kind)


async def test_what_2x_wrote_is_read(redis: Redis, purse_2x: Purse2) -> None:
    """Every value of every type comes back equal, by every way of reading."""

    async def check(sample: Sample) -> None:
        rhash = hash_of(redis, sample)
        assert await rhash.dict() == sample.mapping
        assert {key: value async for key, value in rhash} == sample.mapping
        assert await rhash.get_many(sample.mapping) == sample.mapping
        for key, value in sample.mapping.items():
            assert await rhash.get(key) == value
        rlist = list_of(redis, sample)
        assert await rlist.slice(0) == sample.values
        assert [value async for value in rlist] == sample.values
        assert [await rlist.getitem(at) for at in range(len(sample.values))] == sample.values
        structures, values = Others(redis, sample), sample.values
        assert same(await structures.members.members(), values)
        assert same(await collect(structures.members), values)
        assert await structures.ranking.slice_by_rank(0, -1) == scored(values)
        assert same(await collect(structures.ranking), scored(values))
        assert dict(await collect(structures.space)) == sample.mapping
        assert await structures.space.get_many(sample.mapping) == sample.mapping
        assert await structures.space.ttl(next(iter(sample.mapping))) > 3500

    purse_2x("write")

    for sample in SAMPLES:
        await check(sample)


async def test_what_2x_wrote_is_found(redis: Redis, purse_2x: Purse2) -> None:
    """``contains`` and ``index`` find equal values, in whatever form 2.x stored them."""

    async def check(sample: Sample) -> None:
        rlist = list_of(redis, sample)
        for at, value in enumerate(sample.values):
            assert await rlist.index(value) == at
            assert await rlist.contains(value) is True
        structures = Others(redis, sample)
        assert await structures.members.contains_many(sample.values) == [True] * len(sample.values)
        assert await structures.ranking.score_multi(sample.values) == scored(sample.values)
        for at, value in enumerate(sample.values):
            assert await structures.members.contains(value) is True
            assert await structures.ranking.rank(value) == at
            assert await structures.ranking.score(value) == at / 2

    purse_2x("write")

    for sample in SAMPLES:
        await check(sample)


async def test_what_2x_wrote_is_removed(redis: Redis, purse_2x: Purse2) -> None:
    """``remove``, ``pop`` and ``popleft`` take 2.x's elements and fields, and no others."""

    async def check(sample: Sample) -> None:
        rhash, rlist = hash_of(redis, sample), list_of(redis, sample)
        head, middle, *rest, tail = sample.values
        assert await rlist.remove(middle) == 1
        assert await rlist.popleft() == head
        assert await rlist.pop() == tail
        assert await rlist.slice(0) == rest
        for key, value in sample.mapping.items():
            assert await rhash.pop(key) == value
        assert await rhash.exists() is False
        structures, values = Others(redis, sample), sample.values
        assert await structures.members.remove(*values) == len(values)
        assert await structures.ranking.pop_max() == scored(values)[-1:]
        assert await structures.ranking.remove(*values) == len(values) - 1
        assert [await structures.space.pop(key) for key in sample.mapping] == [*sample.mapping.values()]
        assert [await structures.queue.get(1) for _ in values] == values
        assert [await structures.lifo.get_nowait() for _ in values] == values[::-1]
        assert await structures.priorities.get_many(99) == [(value, -nth) for nth, value in enumerate(values)][::-1]

    purse_2x("write")

    for sample in SAMPLES:
        await check(sample)


async def test_what_this_library_writes_is_read_by_2x(redis: Redis, purse_2x: Purse2) -> None:
    """By every way of reading that 2.x has; models and texts are found by value, too."""

    async def write(sample: Sample) -> None:
        rhash, rlist = hash_of(redis, sample), list_of(redis, sample)
        first, *others = sample.mapping.items()
        await rhash.setdefault(*first)
        await rhash.update(dict(others))
        head, second, *rest = sample.values
        await rlist.append(head)
        await rlist.extend(rest)
        await rlist.insert(1, second)
        structures = Others(redis, sample)
        await structures.members.add(head)
        await structures.members.update(*sample.values)
        await structures.ranking.add((head, -1))
        await structures.ranking.add_multi(scored(sample.values))
        await structures.space.set(*first, ex=3600)
        await structures.space.update(dict([*sample.mapping.items()][1:]))
        await structures.lifo.put_many(sample.values)
        for nth, value in enumerate(sample.values):
            await structures.queue.put(value)
            await structures.priorities.put((value, -nth))

    for sample in SAMPLES:
        await write(sample)

    purse_2x("check")


async def test_what_2x_wrote_is_changed(redis: Redis, purse_2x: Purse2) -> None:
    """``modify`` and ``edit`` compare with the bytes that 2.x wrote; afterwards 2.x reads the new value."""
    sample = next(sample for sample in SAMPLES if sample.value_type is Plant)
    plants = RedisHash(redis, f"hash:{sample.name}", Plant)
    purse_2x("write")
    key = next(iter(sample.mapping))
    before = await plants.get(key)
    assert before is not None

    async with plants.edit(key) as plant:
        plant.healthiness = 1.5
    await plants.modify(key, lambda _: before)

    purse_2x("check")
