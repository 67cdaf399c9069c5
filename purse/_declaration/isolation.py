"""Isolation: stores that are bound to one client have a prefix in front of their namespaces.

    isolate(client, "t1f0")
    Garden(client).plants.rkey       {t1f0:garden}:plants

For the testing kit alone, which gives each test a client: whatever the tested code binds to it, in handlers too,
has keys that no other test has. Not for ``field(rkey=...)``, whose keys are what they are; so it is remembered which
classes were bound.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING
from weakref import WeakKeyDictionary

if TYPE_CHECKING:
    from purse._declaration.declared import StoreBase
    from purse._engine.clients import RedisClient

__all__ = ["Isolation", "isolate", "prefix_of"]


@dataclass(slots=True)
class Isolation:
    """How the stores of one client are kept apart.

    Attributes:
        prefix: what their namespaces begin with.
        classes: those of them that were bound so far; threads add to it, so it is looked through in a copy.
    """

    prefix: str
    classes: set[type[StoreBase]] = field(default_factory=lambda: set())


_isolations: WeakKeyDictionary[RedisClient, Isolation] = WeakKeyDictionary()


def isolate(client: RedisClient, prefix: str) -> Isolation:
    """Give the stores that are bound to ``client`` from now on namespaces that begin with ``prefix``."""
    isolation = _isolations[client] = Isolation(f"{prefix}:")
    return isolation


def prefix_of(client: RedisClient, binds: type[StoreBase] | None = None) -> str:
    """What their namespaces begin with, with the colon behind it; nothing for any other client.

    Args:
        binds: the class of the store that is being bound.
    """
    isolation = _isolations.get(client)
    if isolation is None:
        return ""
    if binds is not None:
        isolation.classes.add(binds)
    return isolation.prefix
