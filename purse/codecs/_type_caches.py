"""Caches that are asked by type, and how to empty them all.

A cache keeps the types that it was asked for alive, and with them more than it seems: a function in a class keeps the
names of its module, and from Python 3.14 on each class with annotations has such a function. So a store class that the
program has dropped may live on because of a model beside it. Where it matters which classes are really there,
``collect_types`` finds out.
"""

from __future__ import annotations

import gc
import typing
from collections.abc import Callable
from functools import lru_cache
from typing import ParamSpec, Protocol, TypeVar, cast

__all__ = ["cached_by_type", "collect_types"]

P = ParamSpec("P")
T = TypeVar("T")


class _Cache(Protocol):
    def cache_clear(self) -> None: ...


_caches: list[_Cache] = []  # filled while modules are imported, and not changed after that


def cached_by_type(function: Callable[P, T]) -> Callable[P, T]:
    """``lru_cache`` for a function of a type."""
    cached = lru_cache(maxsize=1024)(function)
    _caches.append(cached)
    return cast("Callable[P, T]", cached)


def collect_types() -> None:
    """Collect the classes that nothing but caches and reference cycles keeps alive.

    Takes as long as a full garbage collection, and the next use of each type does its work again.
    """
    for cache in _caches:
        cache.cache_clear()
    # typing remembers RedisHash[Plant]. It has no public way to forget; where this one is missing, it remembers.
    for forget in cast("list[Callable[[], None]]", getattr(typing, "_cleanups", [])):
        forget()
    gc.collect()
