"""Making: a value that is made for a missing entry is stored only if nothing has happened to the entry since.

A factory may have read data that change while it works. Whoever changes them deletes the entry afterwards; but an
entry that is missing cannot be deleted, so a *marker* stands in for it while its value is made:

    caller A               {garden}:sessions:ada        making!{garden}:sessions:ada
    looks again, claims    missing                      token 1, for an hour
    factory reads ...      missing                      token 1
    B deletes ada          missing                      missing
    A stores?              missing                      missing: refused

The marker holds a random token. A caller of another process that makes the same value takes over the token that is
there, so that either may store. What removes an entry removes its marker first, in the same write. Others may come
between the two: they see an entry that is still there, or begin to make a value after the removal was asked for. A
value that was written in the meantime is there, and wins.

``clear`` searches page by page. A value may be stored in a part of the database where it has searched already, so in a
database of more than ``SMALL`` keys the marker stays for ``AFTER`` seconds, and where ``clear`` finds it, it removes
the entry, too. A smaller database is searched in one step, or once more.

A marker that is left behind, because a process has ended, does no harm: the next caller takes it over.

Its name begins with what no name in a declaration may hold, so it is under no prefix of a key space. It has the entry's
hash tag, or the whole entry as one, and so is in the same slot of a cluster.
"""

from __future__ import annotations

import asyncio
import contextlib
import secrets
from collections.abc import Awaitable, Callable
from dataclasses import dataclass, field

from redis.exceptions import RedisError

from purse._engine.replies import Reply, as_array, as_bytes, as_flag, as_optional_bytes
from purse._engine.scripts import ScriptCall, load_script
from purse.errors import StoreClosed

__all__ = ["AFTER", "LONGEST", "SMALL", "Making"]

LONGEST = 3600.0
"""Seconds that a factory may take; what it makes after that is not stored."""

AFTER = 10.0
"""Seconds for which a marker outlives the making of its value in a big database."""

SMALL = 400
"""Keys in a database below which SCAN sees all of them in one step."""

_PATIENCE = 1.0  # seconds for the removal of a marker, so that the end of an event loop does not hang


@dataclass(slots=True)
class Making:
    """One attempt to make and store a value.

    Attributes:
        entry, marker: the two Redis keys.
        send: sends a script; the flag says that it may be sent again if its reply is lost.
        write_policy: the TTL policy of the value.
        read_policy: that of a read which finds a value.
        token: that of the marker.
    """

    entry: bytes
    marker: bytes
    send: Callable[[ScriptCall, bool], Awaitable[Reply]]
    write_policy: str
    read_policy: str
    token: bytes = field(default_factory=lambda: secrets.token_hex(8).encode())

    async def claim(self) -> bytes | None:
        """Look again, and if there is no value leave a marker; the value."""
        call = load_script("key_space_claim")
        keys = self.entry, self.marker
        reply = as_array(await self.send(call(keys, self.token, _ms(LONGEST), SMALL, self.read_policy), True))
        stored = as_optional_bytes(reply[0])
        if stored is None:
            self.token = as_bytes(reply[1])
        return stored

    async def store(self, made: bytes) -> bytes | None:
        """Store what was made; what is stored now, or None if the entry was removed and nothing is."""
        call = load_script("key_space_made")
        keys = self.entry, self.marker
        policies = self.write_policy, self.read_policy
        stored, valid = as_array(await self.send(call(keys, self.token, _ms(AFTER), made, *policies), False))
        if stored is not None:
            return as_bytes(stored)
        return made if as_flag(valid) else None

    async def give_up(self) -> None:
        """Remove the marker; if that fails it goes by itself, later."""
        call = load_script("key_space_unmade")
        with contextlib.suppress(RedisError, StoreClosed, TimeoutError):
            async with asyncio.timeout(_PATIENCE):
                await self.send(call((self.marker,), self.token), True)


def _ms(seconds: float) -> int:
    return round(seconds * 1000)
