"""A new structure is a file of its own and one line of registration: tried on a copy of the package."""

from __future__ import annotations

import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from purse.embedded import Server
from tests.support.scripts import ROOT, run

LINE = "from purse.collections.bloom import RedisBloom as RedisBloom\n"

STRUCTURE = '''
"""RedisBloom: a Redis string as a set of bits, one for each member, which says what was surely never added."""

from __future__ import annotations

from collections.abc import Iterable
from typing import TYPE_CHECKING, Generic
from zlib import crc32

from typing_extensions import TypeVar

from purse._engine.replies import as_flag
from purse._engine.unit import Command, Unit
from purse.codecs._binding import bind_codec
from purse.collections._field_options import field_options
from purse.collections._key import RedisKey
from purse.errors import DeclarationError

if TYPE_CHECKING:
    from typing_extensions import TypeForm

    from purse._engine.clients import RedisClient
    from purse.codecs import Codec, CodecFactory
    from purse.ttl import Lifetime

__all__ = ["RedisBloom"]

V = TypeVar("V")
T = TypeVar("T")


class RedisBloom(RedisKey, Generic[V]):
    """A set of bits."""

    __slots__ = ("_bits", "_codec")

    __purse_structure__ = True
    __purse_together__ = (("GETBIT", "contains_many(members)"),)
    redis_type = "string"

    def __init__(
        self,
        redis: RedisClient,
        rkey: str,
        value_type: TypeForm[V],
        *,
        codec: Codec[V] | CodecFactory | None = None,
        ttl: Lifetime | None = None,
        bits: int = 4096,
    ) -> None:
        super().__init__(redis, rkey, ttl=ttl)
        if bits < 1:
            raise DeclarationError(f"bits= must be at least 1, not {bits}")
        self._bits = bits
        self._codec = bind_codec(value_type, codec, canonical=True)

    @staticmethod
    def field(*, bits: int | None = None, ttl: Lifetime | None = None, key: str | None = None) -> RedisBloom[T]:
        """Options of a field."""
        return field_options(RedisBloom, ttl=ttl, key=key, bits=bits)

    async def add(self, member: V) -> bool:
        """Whether ``member`` is new."""
        return not as_flag(await self._write(("SETBIT", self.rkey, self._bit(member), 1)))

    async def contains(self, member: V) -> bool:
        """Whether ``member`` may have been added."""
        return as_flag(await self._read_plain(("GETBIT", self.rkey, self._bit(member))))

    async def contains_many(self, members: Iterable[V]) -> list[bool]:
        """The same for many."""
        reads: list[Command] = [("GETBIT", self.rkey, self._bit(member)) for member in members]
        return await self._executor.execute(Unit(reads, lambda replies: [*map(as_flag, replies)], self))

    def _bit(self, member: V) -> int:
        return crc32(self._encode(self._codec, member)) % self._bits
'''

USES = """
import asyncio
import json
import sys
from typing import assert_type

import redis.asyncio

import purse
from purse import TTL, DeclarationError, RedisBloom, RedisHash, Store, WrongKind, field
from purse.collections import RedisBloom as FromCollections
from purse.inspect import describe, fields, schema
from purse.testing import round_trips


class Garden(Store, namespace="new-structure"):
    seen: RedisBloom[int] = field(ttl=TTL(hours=1))
    rare: RedisBloom[str] = RedisBloom.field(bits=1, key="few")
    plants: RedisHash[int]


class Base(Store):
    names: RedisBloom[str]


class Child(Base, namespace="new-structure-child", slots="field"): ...


async def main() -> None:
    client = redis.asyncio.Redis.from_url(sys.argv[1])
    await client.flushdb()
    garden = Garden(client)
    assert_type(garden.seen, RedisBloom[int])
    assert await garden.seen.add(7)
    assert await garden.seen.contains_many([7, 8]) == [True, False]
    assert 3590 < await garden.seen.ttl() <= 3600
    assert await RedisBloom(client, "{new-structure}:seen", int).contains(7)

    assert await garden.rare.add("any")
    assert await garden.rare.contains("other"), "there is one bit for all"
    assert await garden.rare.clear() == 1
    try:

        class Wrong(Store, namespace="new-structure-wrong"):
            empty: RedisBloom[int] = RedisBloom.field(bits=0)

    except DeclarationError as error:
        assert str(error) == "Wrong.empty: bits= must be at least 1, not 0"
    else:
        raise AssertionError("a field without bits")

    spec = fields(Garden)["seen"]
    assert (spec.collection, spec.value_type, spec.key) == (RedisBloom, int, "{new-structure}:seen")
    assert schema(Garden)["fields"]["seen"]["redis_type"] == "string"
    found = (await describe(garden)).fields["seen"]
    assert found.fits and found.structure == "RedisBloom"

    assert await garden.atomic(garden.seen.add(8), garden.plants.set("a", 1)) == (True, 1)
    assert await Child(client).names.add("ada")
    try:
        await garden.atomic(garden.seen.add(9), Child(client).names.add("bob"))
    except TypeError as error:
        assert "slots" in str(error)
    else:
        raise AssertionError("one transaction over two slots")
    try:
        with round_trips(max=1):
            for member in (1, 2, 3):
                await garden.seen.contains(member)
    except AssertionError as error:
        assert "write contains_many(members), one trip for all" in str(error)
    await client.delete("{new-structure}:seen")
    await client.rpush("{new-structure}:seen", "x")
    try:
        await garden.seen.add(1)
    except WrongKind as error:
        assert "does not hold a string, so RedisBloom did not change it" in str(error)
    assert await garden.clear() == 2
    await client.aclose()


assert "RedisBloom" in dir(purse)
assert FromCollections is RedisBloom
asyncio.run(main())
print("used everywhere")
"""


@pytest.fixture
def package(tmp_path: Path) -> Path:
    """A directory with a copy of purse that has one structure more."""
    shutil.copytree(ROOT / "purse", tmp_path / "purse", ignore=shutil.ignore_patterns("__pycache__"))
    (tmp_path / "purse" / "collections" / "bloom.py").write_text(STRUCTURE)
    with (tmp_path / "purse" / "collections" / "_structures.py").open("a") as registration:
        registration.write(LINE)
    (tmp_path / "uses.py").write_text(USES)
    return tmp_path


def test_one_file_and_one_line_are_enough(server: Server, package: Path) -> None:
    """It is declared with an option, inspected, part of a transaction, cleared and explained as every other one."""
    ended = run(["uses.py", server.url], cwd=package, environment={"PYTHONPATH": str(package)})

    assert ended.out == "used everywhere\n", ended.err


@pytest.mark.thorough
def test_type_checkers_see_it(package: Path) -> None:
    """mypy finds its name in both packages, and knows what a field of it is."""
    (package / "mypy.ini").write_text("[mypy]\nstrict = true\nfollow_imports = silent\n")

    ended = subprocess.run(
        [sys.executable, "-m", "mypy", "--cache-dir", str(package / "cache"), "uses.py", "purse/collections/bloom.py"],
        cwd=package,
        capture_output=True,
        text=True,
        check=False,
    )

    assert ended.returncode == 0, ended.stdout + ended.stderr
