"""What the tests of collections store, and the keys that are meant to break them."""

from __future__ import annotations

from collections.abc import AsyncIterable
from typing import TypeVar

from pydantic import BaseModel

T = TypeVar("T")

HOSTILE = [
    "",
    " ",
    "\n",
    "\0",
    "a b\tc\r\n",
    "*",
    "h?llo[a-z]\\",
    "{",
    "}",
    "{}",
    "{garden}:plants",
    '"quoted"',
    "ключ 🌱\u2028",
    "k" * 10_000,
]
"""Keys, fields and values that must work like any other."""


class Plant(BaseModel):
    name: str
    healthiness: float = 0
    tasty: bool = True


class Tree(Plant):
    height: float = 1


async def collect(items: AsyncIterable[T]) -> list[T]:
    """All that an asynchronous iterator yields."""
    return [item async for item in items]


def shown(parameter: object) -> str:
    """A parameter as part of a test's name."""
    return repr(parameter)[:20]
