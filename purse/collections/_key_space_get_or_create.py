"""Making: a value that is made for a missing entry is stored only if nothing has happened to the entry since.

A factory may have read data that change while it works. The code that changes them deletes the entry afterwards. A
missing entry cannot be deleted, so a *marker* represents it while its value is made:

    caller A               {garden}:sessions:ada        making!{garden}:sessions:ada
    looks again, claims    missing                      token 1, for an hour
    factory reads ...      missing                      token 1
    B deletes ada          missing                      missing
    A stores?              missing                      missing: refused

The marker holds a random token. A caller of another process that makes the same value takes over the existing token, so
that either may store. Each removal of an entry removes its marker first, in the same write. Other callers may act
between the two steps: they see an entry that still exists, or begin to make a value after the removal was requested. If
another caller has written a value in between, that value is kept.

``clear`` searches page by page. A value may be stored in a part of the database that it has already searched, so in a
database of more than ``SMALL`` keys the marker stays for ``AFTER`` seconds, and if ``clear`` finds it, it also removes
the entry. A smaller database is searched in one step, or once more.

A marker that is left behind, because a process has ended, does no harm: the next caller takes it over.

Its name begins with a character sequence that is not allowed in declared names, so no prefix of a key space matches it.
It has the entry's hash tag, or the whole entry as one, and so is in the same slot of a cluster.
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
"""Seconds that a factory may take. A value that it makes later is not stored."""

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
        send: sends a script. The flag allows it to send the script again if the reply is lost.
        write_policy: the TTL policy of the value.
        read_policy: the TTL policy of a read that finds a value.
        token: the content of the marker.
    """

    entry: bytes
    marker: bytes
    send: Callable[[ScriptCall, bool], Awaitable[Reply]]
    write_policy: str
    read_policy: str
    token: bytes = field(default_factory=lambda: secrets.token_hex(8).encode())

    async def claim(self) -> bytes | None:
        """Read again, and if there is no value leave a marker. Returns the value."""
        call = load_script("key_space_claim")
        keys = self.entry, self.marker
        reply = as_array(await self.send(call(keys, self.token, _ms(LONGEST), SMALL, self.read_policy), True))
        stored = as_optional_bytes(reply[0])
        if stored is None:
            self.token = as_bytes(reply[1])
        return stored

    async def store(self, made: bytes) -> bytes | None:
        """Store the made value. Returns the stored value, or None if the entry was removed and nothing is stored."""
        call = load_script("key_space_made")
        keys = self.entry, self.marker
        policies = self.write_policy, self.read_policy
        stored, valid = as_array(await self.send(call(keys, self.token, _ms(AFTER), made, *policies), False))
        if stored is not None:
            return as_bytes(stored)
        return made if as_flag(valid) else None

    async def give_up(self) -> None:
        """Remove the marker. If that fails, the marker expires later."""
        call = load_script("key_space_unmade")
        with contextlib.suppress(RedisError, StoreClosed, TimeoutError):
            async with asyncio.timeout(_PATIENCE):
                await self.send(call((self.marker,), self.token), True)


def _ms(seconds: float) -> int:
    return round(seconds * 1000)
