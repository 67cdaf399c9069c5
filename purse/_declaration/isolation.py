"""Isolation: a prefix in front of the namespaces of all stores that are bound to one client.

    isolate(client, "t1f0")
    Garden(client).plants.rkey       {t1f0:garden}:plants

Only the testing kit uses it, and gives each test a separate client. All stores that the tested code binds to that
client, also in handlers, have keys that no other test has. Fields with ``rkey=`` keep their keys: the bound classes are
recorded, so that the kit can find those fields.
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
        prefix: the beginning of their namespaces.
        classes: the classes that were bound so far. Threads add to it, so a loop needs a copy.
    """

    prefix: str
    classes: set[type[StoreBase]] = field(default_factory=lambda: set())


_isolations: WeakKeyDictionary[RedisClient, Isolation] = WeakKeyDictionary()


def isolate(client: RedisClient, prefix: str) -> Isolation:
    """Give the stores that are bound to ``client`` from now on namespaces that begin with ``prefix``."""
    isolation = _isolations[client] = Isolation(f"{prefix}:")
    return isolation


def prefix_of(client: RedisClient, binds: type[StoreBase] | None = None) -> str:
    """The prefix of the namespaces on ``client``, with its colon, or an empty text for a client that is not isolated.

    Args:
        binds: the class of the store that is being bound.
    """
    isolation = _isolations.get(client)
    if isolation is None:
        return ""
    if binds is not None:
        isolation.classes.add(binds)
    return isolation.prefix
