"""Random histories: a ``RedisKeySpace`` beside a ``dict``, among neighbours that must not notice."""

from __future__ import annotations

from typing import Any

import pytest
from hypothesis import strategies as st
from hypothesis.stateful import invariant, precondition, rule

from purse._engine.replies import Reply, as_all_bytes
from purse.collections.key_space import RedisKeySpace
from purse.embedded import Server
from purse.ttl import TTL
from tests.collections.garden import collect
from tests.collections.test_machines import KEYS, SMALL, VALUES, Machine, drive
from tests.support.selection import thorough_but
from tests.support.units import read, send

# As patterns they would match keys of others.
PREFIXES = {"str": "a*", "int": "a\\", "model": "{a}?"}
NEIGHBOURS = ["a", "aX", "ab", "ab*", "a\\", "a?", "a[", "{a}:", "", "xa*", "A*"]


def key_space_machine(values: st.SearchStrategy[Any], *, prefix: str, numbers: bool, ttl: TTL | None) -> type[Machine]:
    """A ``RedisKeySpace`` beside a ``dict``."""

    class KeySpaceMachine(Machine):
        def __init__(self) -> None:
            super().__init__()
            self.space: RedisKeySpace[Any] = RedisKeySpace(self.client, prefix, self.value_type, ttl=ttl)
            self.model: dict[str, Any] = {}
            self.neighbours = [name.encode() for name in NEIGHBOURS if not name.startswith(prefix)]
            self.run(send(self.client, "FLUSHALL"))
            self.run(send(self.client, "MSET", *(word for name in self.neighbours for word in (name, b"theirs"))))

        @rule(key=KEYS, value=values, condition=st.sampled_from(["", "nx", "xx"]))
        def set(self, key: str, value: object, condition: str) -> None:
            stores = not condition or (condition == "xx") == (key in self.model)
            assert self.run(self.space.set(key, value, **({condition: True} if condition else {}))) is stores
            if stores:
                self.model[key] = value

        @rule(key=KEYS)
        def get(self, key: str) -> None:
            assert self.run(self.space.get(key, ...)) == self.model.get(key, ...)
            assert self.run(self.space.contains(key)) is (key in self.model)

        @rule(key=KEYS, value=values)
        def setdefault(self, key: str, value: object) -> None:
            assert self.run(self.space.setdefault(key, value)) == self.model.setdefault(key, value)

        @rule(key=KEYS, value=values)
        def get_or_create(self, key: str, value: object) -> None:
            assert self.run(self.space.get_or_create(key, lambda: value)) == self.model.setdefault(key, value)

        @rule(key=KEYS)
        def pop(self, key: str) -> None:
            assert self.run(self.space.pop(key, ...)) == self.model.pop(key, ...)

        @rule(key=KEYS)
        def delete(self, key: str) -> None:
            assert self.run(self.space.delete(key)) == (self.model.pop(key, None) is not None)

        @rule(mapping=st.dictionaries(KEYS, values, max_size=5), if_none_exist=st.booleans())
        def update(self, mapping: dict[str, Any], if_none_exist: bool) -> None:
            stores = not (if_none_exist and mapping.keys() & self.model.keys())
            assert self.run(self.space.update(mapping, if_none_exist)) is stores
            if stores:
                self.model.update(mapping)

        @rule(mapping=st.dictionaries(KEYS, values, max_size=5), seconds=st.sampled_from([None, 1000]))
        def set_many(self, mapping: dict[str, Any], seconds: int | None) -> None:
            self.run(self.space.set_many(mapping, seconds))
            self.model.update(mapping)

        @rule(keys=st.lists(KEYS, max_size=5))
        def get_many(self, keys: list[str]) -> None:
            expected = {key: self.model[key] for key in keys if key in self.model}
            assert [*self.run(self.space.get_many(keys)).items()] == [*expected.items()]

        @rule(keys=st.lists(KEYS, max_size=5))
        def delete_many(self, keys: list[str]) -> None:
            there = {key for key in keys if key in self.model}
            assert self.run(self.space.delete_many(keys)) == len(there)
            for key in there:
                del self.model[key]

        @rule(key=KEYS, value=values)
        def modify(self, key: str, value: object) -> None:
            if key in self.model:
                assert self.run(self.space.modify(key, lambda _: value)) == value
                self.model[key] = value
            else:
                with pytest.raises(KeyError):
                    self.run(self.space.modify(key, lambda _: value))

        @precondition(lambda self: numbers)
        @rule(key=KEYS, amount=SMALL)
        def increment(self, key: str, amount: int) -> None:
            expected = self.model.get(key, 0) + amount
            if expected.bit_length() < 64 and self.model.get(key, 0).bit_length() < 64:
                assert self.run(self.space.increment(key, amount)) == expected
                self.model[key] = expected

        @rule(batch_hint=st.sampled_from([None, 1, 3]))
        def iterate(self, batch_hint: int | None) -> None:
            async def everything() -> tuple[list[str], list[tuple[str, Any]], list[Any], int]:
                space = self.space
                keys, values = collect(space.keys(batch_hint)), collect(space.values(batch_hint))
                return await keys, await collect(space.items(batch_hint)), await values, await space.len()

            keys, items, values, count = self.run(everything())
            assert {*keys} == {*self.model}
            assert dict(items) == self.model
            assert len(values) == count == len(self.model)

        @rule()
        def clear(self) -> None:
            assert self.run(self.space.clear()) == len(self.model)
            self.model.clear()

        @invariant()
        def same_content(self) -> None:
            async def stored() -> tuple[dict[str, Any], Reply]:
                return await self.space.get_many(self.model), await read(self.client, "KEYS", "*")

            values, names = self.run(stored())
            mine = [prefix.encode() + key.encode() for key in self.model]
            assert values == self.model
            assert sorted(as_all_bytes(names)) == sorted([*mine, *self.neighbours])

    return KeySpaceMachine


@pytest.mark.engines("shared")
@pytest.mark.parametrize("name", thorough_but("str", every=PREFIXES))
def test_a_key_space_is_a_dict(server: Server, name: str) -> None:
    """A ``RedisKeySpace`` does what a ``dict`` does, whatever its keys and values are; its neighbours stay."""
    value_type, values = VALUES[name]

    drive(key_space_machine(values, prefix=PREFIXES[name], numbers=name == "int", ttl=None), server, value_type)


@pytest.mark.thorough
@pytest.mark.engines("shared")
def test_a_policy_changes_no_result(server: Server) -> None:
    """With a TTL policy, whose writes are scripts, a ``RedisKeySpace`` does the same."""
    value_type, values = VALUES["int"]
    ttl = TTL(hours=1, renew="never")

    drive(key_space_machine(values, prefix="a*", numbers=True, ttl=ttl), server, value_type)


@pytest.mark.thorough
@pytest.mark.engines("dedicated")
def test_connections_of_their_own_change_no_result(server: Server) -> None:
    """Where calls do not share a connection, and reads renew a clock, a ``RedisKeySpace`` does the same."""
    value_type, values = VALUES["int"]
    ttl = TTL(hours=1, renew="read")

    drive(key_space_machine(values, prefix="a[b]", numbers=True, ttl=ttl), server, value_type)
