"""Random histories of two sets beside two of Python's; see test_machines.

The second set is what the first is united with, moved to and stored in.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from typing import Any, Literal, TypeAlias

import pytest
from hypothesis import strategies as st
from hypothesis.stateful import invariant, rule
from pydantic import BaseModel

from purse.collections.set import RedisSet
from purse.embedded import Server
from tests.collections.garden import HOSTILE, collect
from tests.collections.test_machines import SMALL, TEXTS, Machine, drive
from tests.support.selection import thorough_but

Operation: TypeAlias = Literal["union", "intersection", "difference"]


class Bed(BaseModel, frozen=True):
    name: str
    size: float = 0


NTH = st.integers(0, 9)
OPERATIONS: st.SearchStrategy[Operation] = st.sampled_from(("union", "intersection", "difference"))
VALUES: dict[str, tuple[object, st.SearchStrategy[Any]]] = {
    "str": (str, st.sampled_from(HOSTILE) | TEXTS),
    "bytes": (bytes, st.sampled_from([b"", b"\0", b"\xff\xfe", b"a"]) | st.binary(max_size=2)),
    "int": (int, SMALL | st.integers()),
    "model": (Bed, st.builds(Bed, name=st.sampled_from(HOSTILE[:4]), size=SMALL.map(float) | st.just(-0.0))),
}


def set_machine(values: st.SearchStrategy[Any]) -> type[Machine]:
    """Two ``RedisSet`` beside two ``set``."""
    several = st.lists(values, max_size=5)

    class SetMachine(Machine):
        def __init__(self) -> None:
            super().__init__()
            self.set: RedisSet[Any] = RedisSet(self.client, "machine", self.value_type)
            self.other: RedisSet[Any] = RedisSet(self.client, "other", self.value_type)
            self.model, self.other_model = set[Any](), set[Any]()
            self.run(self.set.clear())
            self.run(self.other.clear())

        def one(self, nth: int, value: object) -> object:
            """A member that is there, or ``value``. (What is drawn must not depend on what ``pop`` has taken.)"""
            there = sorted(self.model, key=repr)
            return there[nth] if nth < len(there) else value

        def unique(self, call: Awaitable[list[Any]]) -> set[Any]:
            """What a call returns, each member once."""

            async def called() -> list[Any]:
                return await call

            found = self.run(called())
            assert len({*found}) == len(found)
            return {*found}

        @rule(value=values)
        def add(self, value: object) -> None:
            assert self.run(self.set.add(value)) == (value not in self.model)
            self.model.add(value)

        @rule(members=several)
        def update(self, members: list[Any]) -> None:
            assert self.run(self.set.update(*members)) == len({*members} - self.model)
            self.model.update(members)

        @rule(members=several)
        def fill_the_other(self, members: list[Any]) -> None:
            assert self.run(self.other.update(*members)) == len({*members} - self.other_model)
            self.other_model.update(members)

        @rule(members=several, nths=st.lists(NTH, min_size=5, max_size=5))
        def remove(self, members: list[Any], nths: list[int]) -> None:
            doomed = {self.one(nth, member) for nth, member in zip(nths, members, strict=False)}
            assert self.run(self.set.remove(*doomed)) == len(doomed & self.model)
            self.model -= doomed

        @rule(value=values, nth=NTH)
        def discard(self, value: object, nth: int) -> None:
            value = self.one(nth, value)
            assert self.run(self.set.discard(value)) is (value in self.model)
            self.model.discard(value)

        @rule(value=values, members=several, nth=NTH)
        def contains(self, value: object, members: list[Any], nth: int) -> None:
            value = self.one(nth, value)
            assert self.run(self.set.contains(value)) is (value in self.model)
            sought = [value, *members, *self.model]
            assert self.run(self.set.contains_many(sought)) == [member in self.model for member in sought]

        @rule()
        def pop(self) -> None:
            if self.model:
                self.model.remove(self.run(self.set.pop()))
            else:
                with pytest.raises(KeyError):
                    self.run(self.set.pop())

        @rule(count=st.integers(0, 9))
        def pop_several(self, count: int) -> None:
            popped = self.unique(self.set.pop(count))
            assert len(popped) == min(count, len(self.model))
            assert popped <= self.model
            self.model -= popped

        @rule(count=st.integers(0, 9))
        def random(self, count: int) -> None:
            found = self.unique(self.set.random(count))
            assert len(found) == min(count, len(self.model))
            assert found <= self.model
            if self.model:
                assert self.run(self.set.random()) in self.model

        @rule(value=values, nth=NTH)
        def move(self, value: object, nth: int) -> None:
            value = self.one(nth, value)
            assert self.run(self.set.move(self.other, value)) is (value in self.model)
            if value in self.model:
                self.model.remove(value)
                self.other_model.add(value)

        @rule(operation=OPERATIONS)
        def combine(self, operation: Operation) -> None:
            calls: dict[Operation, Callable[..., Awaitable[list[Any]]]] = {
                "union": self.set.union,
                "intersection": self.set.intersection,
                "difference": self.set.difference,
            }
            assert self.unique(calls[operation](self.other)) == self.combined(operation)
            assert self.run(self.set.is_subset(self.other)) is (self.model <= self.other_model)

        @rule(operation=OPERATIONS)
        def combine_in_place(self, operation: Operation) -> None:
            update = {
                "union": self.set.union_update,
                "intersection": self.set.intersection_update,
                "difference": self.set.difference_update,
            }[operation]
            self.run(update(self.other))
            self.model = self.combined(operation)

        @rule(operation=OPERATIONS)
        def combine_and_store(self, operation: Operation) -> None:
            store = {
                "union": self.set.union_store,
                "intersection": self.set.intersection_store,
                "difference": self.set.difference_store,
            }[operation]
            self.other_model = self.combined(operation)
            assert self.run(store(self.other, self.other)) == len(self.other_model)

        def combined(self, operation: Operation) -> set[Any]:
            match operation:
                case "union":
                    return self.model | self.other_model
                case "intersection":
                    return self.model & self.other_model
                case "difference":
                    return self.model - self.other_model

        @rule()
        def clear(self) -> None:
            assert self.run(self.set.clear()) == bool(self.model)
            self.model.clear()

        @rule(batch_hint=st.sampled_from([None, 1, 3]))
        def iterate(self, batch_hint: int | None) -> None:
            assert {*self.run(collect(self.set.values(batch_hint=batch_hint)))} == self.model
            assert self.run(self.set.len()) == len(self.model)
            assert self.run(self.set.exists()) is bool(self.model)

        @invariant()
        def same_content(self) -> None:
            assert self.unique(self.set.members()) == self.model
            assert self.unique(self.other.members()) == self.other_model

    return SetMachine


@pytest.mark.rows(1)
@pytest.mark.engines("shared", "dedicated")
@pytest.mark.parametrize("name", thorough_but("str", every=VALUES))
def test_a_set_is_a_set(server: Server, name: str) -> None:
    """A ``RedisSet`` does what a ``set`` does, whatever its members are."""
    value_type, values = VALUES[name]

    drive(set_machine(values), server, value_type)
