"""Waiting for the server to notice something, without a fixed sleep."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from typing import TypeVar

T = TypeVar("T")


async def until(ask: Callable[[], Awaitable[T]], answer: T, *, seconds: float = 5) -> None:
    """Ask again and again until the answer comes; fail after ``seconds`` with the last one."""
    last = await ask()
    deadline = asyncio.get_running_loop().time() + seconds
    while last != answer:
        assert asyncio.get_running_loop().time() < deadline, f"still {last!r}, not {answer!r}, after {seconds} s"
        await asyncio.sleep(0.001)
        last = await ask()
