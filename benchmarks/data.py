"""The model, the hand-written codec, and the place where both sides meet: two clients and some keys."""

from __future__ import annotations

import contextlib
import secrets
import tempfile
from collections.abc import AsyncGenerator, AsyncIterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import cast

from pydantic import BaseModel, TypeAdapter
from redis.asyncio import Redis

__all__ = ["Arena", "Plant", "open_arena", "plants_by_name", "to_json", "validate_json"]


class Plant(BaseModel):
    """A small model, as most stored things are."""

    name: str
    healthiness: float
    tasty: bool = True


# The fastest that pydantic has: the methods of one adapter, bound once.
_adapter = TypeAdapter(Plant)
to_json = _adapter.serializer.to_json
validate_json = _adapter.validator.validate_json


def plants_by_name(count: int) -> dict[str, Plant]:
    """``count`` different plants."""
    names = (f"plant {i}" for i in range(count))
    return {name: Plant(name=name, healthiness=i / 8, tasty=i % 3 > 0) for i, name in enumerate(names)}


@dataclass(frozen=True)
class Arena:
    """One server, a client for each side, and the keys that were used.

    The side of purse has a client as a user would make it; the hand-written side has a pool with a
    connection for each of 1000 tasks, because redis-py's default pool raises at the 101st. ``scratch`` is a
    directory that is removed at the end; what is pushed to ``closing`` is closed then.
    """

    purse: Redis
    hand: Redis
    scratch: Path
    closing: contextlib.AsyncExitStack
    prefix: str = field(default_factory=lambda: f"purse-benchmark-{secrets.token_hex(4)}")
    used: set[str] = field(default_factory=set[str])
    prefixes: set[str] = field(default_factory=set[str])

    def key(self, name: str) -> str:
        """A key that nobody else has, deleted at the end."""
        key = f"{self.prefix}:{name}"
        self.used.add(key)
        return key

    def prefix_of(self, name: str) -> str:
        """A prefix of keys that nobody else has; they are deleted at the end."""
        prefix = f"{self.prefix}:{name}:"
        self.prefixes.add(prefix)
        return prefix


@contextlib.asynccontextmanager
async def open_arena(url: str) -> AsyncGenerator[Arena, None]:
    """Two clients on ``url``; at the end the keys are deleted and the clients closed."""
    # redis-py leaves **kwargs of from_url() untyped.
    with tempfile.TemporaryDirectory(prefix="purse-benchmark-") as scratch:
        async with (
            Redis.from_url(url) as purse,  # pyright: ignore[reportUnknownMemberType]
            Redis.from_url(url, max_connections=2000) as hand,  # pyright: ignore[reportUnknownMemberType]
            contextlib.AsyncExitStack() as closing,
        ):
            arena = Arena(purse, hand, Path(scratch), closing)
            try:
                yield arena
            finally:
                for prefix in arena.prefixes:
                    # redis-py leaves **kwargs of scan_iter(), and what it yields, untyped.
                    keys = cast("AsyncIterator[bytes]", hand.scan_iter(f"{prefix}*", count=1000))  # pyright: ignore[reportUnknownMemberType]
                    arena.used.update([key.decode() async for key in keys])
                if arena.used:
                    await hand.unlink(*arena.used)
