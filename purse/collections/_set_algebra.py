"""SetAlgebra: union, intersection and difference of sets, returned or stored, and moves between sets.

The server computes everything, with all the sets at one moment. It compares bytes, so the sets must have one form: the
same member type and codec. The server does not report which of several keys holds another type, so errors name all
keys.

    union             a | b      SUNION     returned
    union_update      a |= b     SUNIONSTORE, by a script that keeps the time to live of a
    union_store       c = a | b  SUNIONSTORE, by the same script, which refuses a c that is not a set
"""

from __future__ import annotations

import itertools
from collections.abc import Iterable
from typing import TYPE_CHECKING, Generic, Literal, TypeAlias, cast

from typing_extensions import TypeVar

from purse._engine.replies import Reply, as_all_bytes, as_flag, as_int, first
from purse._engine.scripts import load_script
from purse._engine.unit import Command, Unit
from purse.codecs._shown import named, shown
from purse.codecs._value_codecs import ValueCodec
from purse.collections._key import RedisKey
from purse.errors import WrongKind

if TYPE_CHECKING:
    from purse.collections.set import RedisSet

__all__ = ["SetAlgebra", "as_members"]

V = TypeVar("V")

Operation: TypeAlias = Literal["union", "intersection", "difference"]

_COMMANDS: dict[Operation, str] = {"union": "SUNION", "intersection": "SINTER", "difference": "SDIFF"}


class _Keys(tuple[str, ...]):
    """The keys of a call with several sets, for its errors."""

    __slots__ = ()


class SetAlgebra(RedisKey, Generic[V]):
    """The methods of ``RedisSet`` with other sets."""

    __slots__ = ()

    _codec: ValueCodec[V]
    _form: object

    async def union(self, *others: RedisSet[V]) -> list[V]:
        """The members of this set and of all ``others``, as they are at one moment.

        Returns:
            Each member once, in no order.

        Raises:
            TypeError: one of ``others`` is not a set with the same member type and client.
            WrongKind: one of the keys holds another Redis type.
            DecodeError: the bytes of a member are not valid. They are not changed.

        One round trip, O(n) for all members together. Sends: SUNION, inside EVALSHA with_ttl if one of the sets has
        ``TTL(renew="read")``.
        """
        return self._decode_members(await self._executor.execute(self._combining("union", others)))

    async def intersection(self, *others: RedisSet[V]) -> list[V]:
        """The members that are in this set and in each of ``others``. Otherwise as ``union``.

        One round trip, O(n) in the smallest set, for each set. Sends: SINTER, as ``union`` sends SUNION.
        """
        return self._decode_members(await self._executor.execute(self._combining("intersection", others)))

    async def difference(self, *others: RedisSet[V]) -> list[V]:
        """The members that are in this set and in none of ``others``. Otherwise as ``union``.

        One round trip, O(n) for all members together. Sends: SDIFF, as ``union`` sends SUNION.
        """
        return self._decode_members(await self._executor.execute(self._combining("difference", others)))

    async def union_update(self, *others: RedisSet[V]) -> None:
        """Add the members of all ``others`` to this set, on the server. With no others it sends nothing.

        Raises:
            TypeError: one of ``others`` is not a set with the same member type and client.
            WrongKind: one of the keys holds another Redis type. Nothing was changed.

        One round trip, O(n) for all members together. Sends: EVALSHA set_store, with SUNIONSTORE.
        """
        if others:
            await self._executor.execute(self._storing("union", "union_update", self, others))

    async def intersection_update(self, *others: RedisSet[V]) -> None:
        """Keep only the members that are also in each of ``others``. Otherwise as ``union_update``.

        One round trip, O(n) in the smallest set, for each set. Sends: EVALSHA set_store, with SINTERSTORE.
        """
        if others:
            await self._executor.execute(self._storing("intersection", "intersection_update", self, others))

    async def difference_update(self, *others: RedisSet[V]) -> None:
        """Remove the members of all ``others`` from this set. Otherwise as ``union_update``.

        One round trip, O(n) for all members together. Sends: EVALSHA set_store, with SDIFFSTORE.
        """
        if others:
            await self._executor.execute(self._storing("difference", "difference_update", self, others))

    async def union_store(self, destination: RedisSet[V], *others: RedisSet[V]) -> int:
        """Replace ``destination`` by the union of this set and all ``others``, on the server.

        ``destination`` becomes a new key: its TTL policy starts its time to live, and without a policy it never
        expires. (A set that is its own destination keeps the time it has left, as in any other write.) For this set and
        ``others`` the call is a read.

        Returns:
            The number of members that ``destination`` now has. An empty result has no key.

        Raises:
            TypeError: one of the sets has another member type or client.
            WrongKind: one of the keys, ``destination`` among them, holds another Redis type. Nothing was changed.

        One round trip, O(n) for all members together. Sends: EVALSHA set_store, with SUNIONSTORE.
        """
        return await self._executor.execute(self._storing("union", "union_store", destination, others))

    async def intersection_store(self, destination: RedisSet[V], *others: RedisSet[V]) -> int:
        """Replace ``destination`` by the intersection of this set and all ``others``. Otherwise as ``union_store``.

        One round trip, O(n) in the smallest set, for each set. Sends: EVALSHA set_store, with SINTERSTORE.
        """
        return await self._executor.execute(self._storing("intersection", "intersection_store", destination, others))

    async def difference_store(self, destination: RedisSet[V], *others: RedisSet[V]) -> int:
        """Replace ``destination`` by the members of this set that are in none of ``others``, as ``union_store``.

        One round trip, O(n) for all members together. Sends: EVALSHA set_store, with SDIFFSTORE.
        """
        return await self._executor.execute(self._storing("difference", "difference_store", destination, others))

    async def is_subset(self, other: RedisSet[V]) -> bool:
        """Whether every member of this set is in ``other``, at one moment. Never restarts a TTL.

        No member leaves the server, and the first missing member ends the search.

        Raises:
            TypeError: ``other`` is not a set with the same member type and client.
            WrongKind: one of the keys holds another Redis type.

        One round trip, O(n) in the size of this set. Sends: EVALSHA set_subset.
        """
        self._check_form("is_subset", other)
        keys = _Keys((self.rkey, other.rkey))
        call = load_script("set_subset")(keys)
        return as_flag(await self._executor.execute(Unit((call,), first, self, field=keys, read_only=True)))

    async def move(self, destination: RedisSet[V], member: V) -> bool:
        """Move ``member`` from this set to ``destination``, in one step.

        It is in one of the two sets at every moment.

        Returns:
            True if it was in this set. Otherwise nothing is moved.

        Raises:
            EncodeError: ``member`` does not fit the declared type. Nothing was sent.
            TypeError: ``destination`` is not a set with the same member type and client.
            WrongKind: one of the two keys holds another Redis type. Nothing was moved.

        One round trip, O(1). Sends: SMOVE (in MULTI with one for each form that 2.x may have written).
        """
        self._check_form("move", destination)
        moves: list[Command] = [
            ("SMOVE", self.rkey, destination.rkey, form) for form in self._forms(self._codec, member)
        ]
        policies = _policies([(self, self._policy()), (destination, destination._policy())])
        concerned = _Keys((self.rkey, destination.rkey))
        return await self._executor.execute(
            self._unit_with_ttl(policies, moves, lambda replies: any(map(as_flag, replies)), field=concerned)
        )

    # --- private --------------------------------------------------------------------------------

    def __purse_explain__(self, error: Exception, field: object) -> Exception:
        """See ``Origin``."""
        if not isinstance(field, _Keys):
            return super().__purse_explain__(error, field)
        explained = super().__purse_explain__(error, None)
        if not isinstance(explained, WrongKind):
            return explained
        keys = " or ".join(map(named, dict.fromkeys(field)))
        return WrongKind(
            f"{keys}: one of these keys does not hold a set, so nothing was changed. "
            "Call key_type() to see what each holds. Choose another key, or delete the wrong one with "
            "delete_redis_key().",
            key=self.rkey,
        )

    def _combining(self, operation: Operation, others: tuple[SetAlgebra[V], ...]) -> Unit[Reply]:
        """Return the unit that computes the operation on this set and ``others``."""
        self._check_form(operation, *others)
        sets = (self, *others)
        keys = _Keys(one.rkey for one in sets)
        policies = _policies([(one, one._read_policy()) for one in sets])
        command = (_COMMANDS[operation], *keys)
        return self._unit_with_ttl(policies, (command,), first, field=keys, read_only=True)

    def _storing(
        self, operation: Operation, method: str, destination: SetAlgebra[V], others: tuple[SetAlgebra[V], ...]
    ) -> Unit[int]:
        """Return the unit that stores the result of the operation in ``destination``. It decodes to its size."""
        self._check_form(method, destination, *others)
        sets = (self, *others)
        keys = tuple(one.rkey for one in (destination, *sets))
        policies = (destination._policy(), *(one._read_policy() for one in sets))
        call = load_script("set_store")(keys, f"{_COMMANDS[operation]}STORE", *policies)
        concerned = _Keys((self.rkey, *keys))
        return Unit((call,), lambda replies: as_int(replies[0]), self, field=concerned)

    def _check_form(self, method: str, *others: SetAlgebra[V]) -> None:
        """Refuse an argument that is not a set on the same client whose members are stored in the same form.

        Raises:
            TypeError: the message names the argument.
        """
        for other in others:
            if getattr(other, "_form", None) != self._form or other.redis is not self.redis:
                raise TypeError(
                    f"{self._where()}: {method}() needs a RedisSet of the same member type on the same client, "
                    f"not {shown(other)}"
                )
        self._refuse_other_slots(method, *others)

    def _decode_members(self, reply: Reply) -> list[V]:
        return self._decode_all(self._codec, as_members(reply), itertools.repeat(None))


def as_members(reply: Reply) -> list[bytes]:
    """Return the members in a reply. RESP3 has a type for sets, which some parsers return as a ``set``."""
    received: object = reply
    return as_all_bytes([*cast("set[bytes]", received)] if isinstance(received, set) else reply)


def _policies(owed: Iterable[tuple[SetAlgebra[V], str]]) -> dict[str, str]:
    """Return the TTL policy of each key. If there are two objects for one key, one may have none."""
    policies: dict[str, str] = {}
    for one, policy in owed:
        policies[one.rkey] = policies.get(one.rkey) or policy
    return policies
