"""Examples in docstrings: found, and run one after the other by this program.

    python -m tests.support.docstrings      runs all of them, and prints a JSON object: {place: traceback or ""}

An example is an indented block that awaits, enters a context, or declares something. It is run with the names of
``prepared``: a garden on a real server, and what goes with it. Functions that it defines are called, if all their
parameters are prepared names.

This is a program of its own, so that the stores in the examples do not meet those of the tests.
"""

from __future__ import annotations

import ast
import asyncio
import inspect
import json
import re
import textwrap
import traceback
import warnings
from collections.abc import AsyncGenerator, Iterator
from contextlib import asynccontextmanager
from dataclasses import dataclass
from types import CodeType

import fastapi
import redis.asyncio
from pydantic import BaseModel

import purse
import purse.fastapi
import purse.testing
from purse import RedisHash, RedisList, RedisLock, RedisRateLimiter, RedisSemaphore, Store, field
from purse.embedded import Server
from tests.support.scripts import ROOT

__all__ = ["Example", "examples"]

_TELLS_CODE = re.compile(r"\bawait |\basync with |^class .*:$|^@|^with |^\w+ = |\.dependency_overrides", re.MULTILINE)
_WRITTEN = (ast.Module, ast.ClassDef, ast.FunctionDef, ast.AsyncFunctionDef)


@dataclass(frozen=True)
class Example:
    """An example, and where it stands: ``purse/store.py Store.atomic``."""

    place: str
    code: str

    def compiled(self) -> CodeType:
        """It may await outside of a function."""
        flags = ast.PyCF_ALLOW_TOP_LEVEL_AWAIT
        compiled: CodeType = compile(self.code, self.place, "exec", flags=flags, dont_inherit=True)
        return compiled


def examples() -> Iterator[Example]:
    """What looks like code in the docstrings of the package; whether it compiles is not asked."""
    for file in sorted((ROOT / "purse").rglob("*.py")):
        for name, docstring in _docstrings(ast.parse(file.read_text("utf-8")), ""):
            for number, block in enumerate(_blocks(docstring)):
                if _TELLS_CODE.search(block):
                    place = " ".join(filter(None, [str(file.relative_to(ROOT)), name, f"#{number}" if number else ""]))
                    yield Example(place, block)


def _docstrings(node: ast.AST, name: str) -> Iterator[tuple[str, str]]:
    if isinstance(node, _WRITTEN):
        docstring = ast.get_docstring(node)
        if docstring:
            yield name, docstring
        for inner in node.body:
            if isinstance(inner, _WRITTEN[1:]):
                yield from _docstrings(inner, f"{name}.{inner.name}".lstrip("."))


def _blocks(docstring: str) -> Iterator[str]:
    """Indented blocks with an empty line above, but not those of sections such as ``Args:``."""
    for block in re.findall(r"(?:\A|(?<=\n\n))((?: {4}.*\n|\n(?= {4}))+)", docstring + "\n"):
        yield textwrap.dedent(block).strip() + "\n"


class Plant(BaseModel):
    name: str


class Garden(Store, namespace="garden"):
    plants: RedisHash[Plant]
    log: RedisList[str]
    visits: RedisHash[int]
    lock: RedisLock
    beds: RedisSemaphore = field(limit=2)
    api: RedisRateLimiter = field(rate="10/minute")


class _Machines:
    """In the place of ``Redis``: each host is a database of one server."""

    def __init__(self, url: str) -> None:
        self._url = url
        self._hosts: list[str] = []

    def __call__(self, host: str) -> redis.asyncio.Redis:
        self._hosts.append(host)
        return self.from_url(self._url, db=len(self._hosts))

    @staticmethod
    def from_url(url: str, db: int = 0) -> redis.asyncio.Redis:
        return redis.asyncio.Redis.from_url(url, db=db)  # pyright: ignore[reportUnknownMemberType] - **kwargs: untyped


async def _write(*written: object) -> None:
    """In the place of something that takes a token."""


@asynccontextmanager
async def prepared(url: str) -> AsyncGenerator[dict[str, object]]:
    """The names that examples may use."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # the test client says of itself that httpx is going
        from fastapi.testclient import TestClient
    async with Garden.open(url) as garden:
        app = fastapi.FastAPI()
        purse_store = purse.testing.StoreFactory(garden.plants.redis)
        app.dependency_overrides[purse.fastapi.provide(Garden)] = lambda: purse_store(Garden)

        @app.get("/plants/{name}")
        async def get_plant(name: str, garden: purse.fastapi.Inject[Garden]) -> Plant | None:
            return await garden.plants.get(name)

        yield {
            "__name__": "__main__",
            **{name: getattr(purse, name) for name in purse.__all__},
            **{name: getattr(purse.fastapi, name) for name in purse.fastapi.__all__},
            **{name: getattr(purse.testing, name) for name in purse.testing.__all__},
            "FastAPI": fastapi.FastAPI,
            "Garden": Garden,
            "Plant": Plant,
            "Redis": _Machines(url),
            "Server": Server,
            "TooManyRequests": RuntimeError,
            "app": app,
            "client": TestClient(app),
            "garden": garden,
            "gather": asyncio.gather,
            "limiter": garden.api,
            "lock": garden.lock,
            "name": "spinach",
            "names": ["spinach", "leek"],
            "other_client": garden.plants.redis,
            "purse_store": purse_store,
            "semaphore": garden.beds,
            "spinach": Plant(name="spinach"),
            "user_id": 42,
            "write": _write,
        }


async def _run(example: Example, url: str) -> str:
    """Its traceback, or nothing."""
    async with prepared(url) as names:
        given = {**names}
        try:
            async with asyncio.timeout(10):
                pending = eval(example.compiled(), names)
                if inspect.iscoroutine(pending):
                    await pending
                for defined in [value for name, value in names.items() if given.get(name) is not value]:
                    if inspect.iscoroutinefunction(defined):
                        parameters = inspect.signature(defined).parameters
                        if parameters.keys() <= given.keys():
                            await defined(*(given[name] for name in parameters))
        except Exception:
            return traceback.format_exc()
    return ""


async def _run_all() -> dict[str, str]:
    with Server(port=0) as server:
        # The examples that open a URL of their own open this one.
        return {
            example.place: await _run(
                Example(example.place, example.code.replace("redis://localhost", server.url)), server.url
            )
            for example in examples()
        }


if __name__ == "__main__":
    print(json.dumps(asyncio.run(_run_all())))
