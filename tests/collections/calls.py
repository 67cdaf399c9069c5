"""Every public method, as a call that does something to a filled collection.

``FIELDS`` are the hash's fields, ``ELEMENTS`` the list's; a call on ``h`` concerns the field "a", one on
``xs`` some element. Tables of tests are made of these, so that a new method has one place to be entered.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from typing import TypeAlias

from purse.collections import RedisHash, RedisList
from tests.collections.garden import collect

HashCall: TypeAlias = Callable[[RedisHash[int]], Awaitable[object]]
ListCall: TypeAlias = Callable[[RedisList[int]], Awaitable[object]]

FIELDS = ("a", "1", "b", "2")
ELEMENTS = ["1", "2", "3"]


async def _move(xs: RedisList[int]) -> int:
    return await xs.move(xs)


HASH_WRITES: dict[str, HashCall] = {
    "set": lambda h: h.set("a", 5),
    "setdefault": lambda h: h.setdefault("new", 5),
    "pop": lambda h: h.pop("a"),
    "delete": lambda h: h.delete("a"),
    "increment": lambda h: h.increment("a"),
    "modify": lambda h: h.modify("a", lambda n: n + 1),
    "update": lambda h: h.update({"a": 5, "new": 6}),
    "delete_many": lambda h: h.delete_many(["a", "absent"]),
}
HASH_READS: dict[str, HashCall] = {
    "get": lambda h: h.get("a"),
    "get_many": lambda h: h.get_many(["a", "absent"]),
    "dict": lambda h: h.dict(),
}
HASH_LOOKS: dict[str, HashCall] = {
    "contains": lambda h: h.contains("a"),
    "len": lambda h: h.len(),
    "keys": lambda h: collect(h.keys()),
    "values": lambda h: collect(h.values()),
    "items": lambda h: collect(h.items()),
    "async for": collect,
}
LIST_WRITES: dict[str, ListCall] = {
    "append": lambda xs: xs.append(5),
    "appendleft": lambda xs: xs.appendleft(5),
    "extend": lambda xs: xs.extend([5, 6]),
    "extendleft": lambda xs: xs.extendleft([5, 6]),
    "pop": lambda xs: xs.pop(),
    "popleft": lambda xs: xs.popleft(),
    "move": _move,
    "setitem": lambda xs: xs.setitem(1, 5),
    "insert": lambda xs: xs.insert(1, 5),
    "trim": lambda xs: xs.trim(0, 2),
    "remove": lambda xs: xs.remove(2),
}
LIST_READS: dict[str, ListCall] = {
    "getitem": lambda xs: xs.getitem(1),
    "slice": lambda xs: xs.slice(0, 2),
}
LIST_LOOKS: dict[str, ListCall] = {
    "contains": lambda xs: xs.contains(2),
    "index": lambda xs: xs.index(2),
    "len": lambda xs: xs.len(),
    "values": lambda xs: collect(xs.values()),
    "async for": collect,
}
KEY_LOOKS: dict[str, Callable[[RedisHash[int] | RedisList[int]], Awaitable[object]]] = {
    "ttl": lambda c: c.ttl(),
    "pttl": lambda c: c.pttl(),
    "expires_in": lambda c: c.expires_in(),
    "key_type": lambda c: c.key_type(),
    "exists": lambda c: c.exists(),
    "dump": lambda c: c.dump(),
}
