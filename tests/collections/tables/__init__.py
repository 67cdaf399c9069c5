"""The calls of each structure, one module for each. (What is special about a structure is in its own tests.)

A module has ``CALLS``, the ``KEY`` of the collection, ``fill`` and ``spoil``, which store what the calls find, and
``build``, which makes the collection. ``CLOCK`` is the key whose time to live is looked at,
where it is not ``KEY``, and ``WITH_A_TTL`` the commands that a policy needs, where they are not the usual ones.
"""

from __future__ import annotations

from types import ModuleType

from tests.collections.tables import hash as hash_
from tests.collections.tables import key, key_space, lifo_queue, priority_queue, queue, sorted_set
from tests.collections.tables import list as list_
from tests.collections.tables import set as set_

__all__ = ["TABLES"]

TABLES: dict[str, ModuleType] = {
    "key": key,
    "hash": hash_,
    "list": list_,
    "set": set_,
    "sorted set": sorted_set,
    "key space": key_space,
    "queue": queue,
    "lifo queue": lifo_queue,
    "priority queue": priority_queue,
}
