"""Clients for tests: redis-py's, with its untyped keyword arguments kept in one place."""

from __future__ import annotations

from typing import Any

from redis.asyncio import Redis


def connect(url: str, **settings: Any) -> Redis:
    """A client with redis-py's default settings and these; no I/O."""
    return Redis.from_url(url, **settings)  # pyright: ignore[reportUnknownMemberType]
