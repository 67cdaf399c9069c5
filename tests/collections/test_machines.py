"""Random histories: each structure beside the Python one that it is named after.

Every operation's result is compared, and after each step the whole content. The machines are
synchronous, as Hypothesis wants them; one event loop and one client serve all examples of a test.
"""

from __future__ import annotations

import asyncio
from collections import deque
from collections.abc import Coroutine
from typing import Any, TypeVar

import pytest
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, invariant, precondition, rule, run_state_machine_as_test
from redis.asyncio import Redis

from purse.collections import RedisHash, RedisList
from purse.embedded import Server
from tests.collections.garden import HOSTILE, Plant
from tests.support.clients import connect
from tests.support.selection import thorough_but
from tests.support.units import send

T = TypeVar("T")

FAR = [2**31, 2**53 + 1, 2**63, 2**64, 10**30]
TEXTS = st.sampled_from(HOSTILE) | st.text(max_size=8)
KEYS = st.sampled_from(HOSTILE[:8]) | TEXTS  # few, so that keys are met again
INDICES = st.integers(-9, 9) | st.sampled_from([*FAR, *(-n for n in FAR)])
SMALL = st.integers(-2, 2)  # few, so that equal elements are met

VALUES: dict[str, tuple[object, st.SearchStrategy[Any]]] = {
    "str": (str, st.sampled_from(HOSTILE[:4]) | TEXTS),
    "bytes": (bytes, st.sampled_from([b"", b"\0", b"\xff\xfe", b"a"]) | st.binary(max_size=8)),
    "int": (int, SMALL | st.integers()),
    "model": (
        Plant,
        st.builds(Plant, name=TEXTS, healthiness=SMALL.map(float) | st.floats(allow_nan=False, allow_infinity=False)),
    ),
    "dict": (dict[str, int], st.dictionaries(TEXTS, SMALL, max_size=3)),
}


class Machine(RuleBasedStateMachine):
    """A machine that can wait for coroutines."""

    runner: asyncio.Runner
    client: Redis
    value_type: Any

    def run(self, coroutine: Coroutine[Any, Any, T]) -> T:
        return self.runner.run(coroutine)


def drive(kind: type[Machine], server: Server, value_type: object) -> None:
    """Run the examples of a machine on an event loop and a client of their own."""

    async def prepared() -> Redis:
        client = connect(server.url)
        await send(client, "FLUSHALL")
        return client

    with asyncio.Runner() as runner:
        client = runner.run(prepared())

        kind.runner, kind.client, kind.value_type = runner, client, value_type
        try:
            run_state_machine_as_test(kind)
        finally:
            runner.run(client.aclose())


def hash_machine(values: st.SearchStrategy[Any], *, numbers: bool) -> type[Machine]:
    """A ``RedisHash`` beside a ``dict``."""

    class HashMachine(Machine):
        def __init__(self) -> None:
            super().__init__()
            self.hash: RedisHash[Any] = RedisHash(self.client, "machine", self.value_type)
            self.model: dict[str, Any] = {}
            self.run(self.hash.clear())

        @rule(key=KEYS, value=values)
        def set(self, key: str, value: object) -> None:
            assert self.run(self.hash.set(key, value)) == (key not in self.model)
            self.model[key] = value

        @rule(key=KEYS)
        def get(self, key: str) -> None:
            assert self.run(self.hash.get(key)) == self.model.get(key)
            assert self.run(self.hash.get(key, ...)) == self.model.get(key, ...)
            assert self.run(self.hash.contains(key)) is (key in self.model)

        @rule(key=KEYS, value=values)
        def setdefault(self, key: str, value: object) -> None:
            assert self.run(self.hash.setdefault(key, value)) == self.model.setdefault(key, value)

        @rule(key=KEYS)
        def pop(self, key: str) -> None:
            assert self.run(self.hash.pop(key, ...)) == self.model.pop(key, ...)

        @rule(key=KEYS)
        def delete(self, key: str) -> None:
            assert self.run(self.hash.delete(key)) == (self.model.pop(key, None) is not None)

        @rule(mapping=st.dictionaries(KEYS, values, max_size=5))
        def update(self, mapping: dict[str, Any]) -> None:
            assert self.run(self.hash.update(mapping)) == len(mapping.keys() - self.model.keys())
            self.model.update(mapping)

        @rule(keys=st.lists(KEYS, max_size=5))
        def get_many(self, keys: list[str]) -> None:
            expected = {key: self.model[key] for key in keys if key in self.model}
            assert [*self.run(self.hash.get_many(keys)).items()] == [*expected.items()]

        @rule(keys=st.lists(KEYS, max_size=5))
        def delete_many(self, keys: list[str]) -> None:
            there = {key for key in keys if key in self.model}
            assert self.run(self.hash.delete_many(keys)) == len(there)
            for key in there:
                del self.model[key]

        @rule(key=KEYS, value=values)
        def modify(self, key: str, value: object) -> None:
            if key in self.model:
                assert self.run(self.hash.modify(key, lambda _: value)) == value
                self.model[key] = value
            else:
                with pytest.raises(KeyError):
                    self.run(self.hash.modify(key, lambda _: value))

        @precondition(lambda self: numbers)
        @rule(key=KEYS, amount=SMALL)
        def increment(self, key: str, amount: int) -> None:
            expected = self.model.get(key, 0) + amount
            if expected.bit_length() < 64 and self.model.get(key, 0).bit_length() < 64:
                assert self.run(self.hash.increment(key, amount)) == expected
                self.model[key] = expected

        @rule()
        def clear(self) -> None:
            assert self.run(self.hash.clear()) == bool(self.model)
            self.model.clear()

        @invariant()
        def same_content(self) -> None:
            assert self.run(self.hash.dict()) == self.model
            assert self.run(self.hash.len()) == len(self.model)
            assert self.run(self.hash.exists()) is bool(self.model)

        @rule(batch_hint=st.sampled_from([None, 1, 3]))
        def iterate(self, batch_hint: int | None) -> None:
            async def items() -> dict[str, Any]:
                return {key: value async for key, value in self.hash.items(batch_hint=batch_hint)}

            assert self.run(items()) == self.model

    return HashMachine


def list_machine(values: st.SearchStrategy[Any], *, maxlen: int | None) -> type[Machine]:
    """A ``RedisList`` beside a ``list``, or beside a ``deque`` of ``maxlen`` elements."""

    class ListMachine(Machine):
        def __init__(self) -> None:
            super().__init__()
            self.list: RedisList[Any] = RedisList(self.client, "machine", self.value_type, maxlen=maxlen)
            self.model: deque[Any] = deque(maxlen=maxlen)
            self.run(self.list.clear())

        def replace(self, elements: list[Any]) -> None:
            self.model = deque(elements, maxlen=maxlen)

        @rule(value=values)
        def append(self, value: object) -> None:
            self.model.append(value)
            assert self.run(self.list.append(value)) == len(self.model)

        @rule(value=values)
        def appendleft(self, value: object) -> None:
            self.model.appendleft(value)
            assert self.run(self.list.appendleft(value)) == len(self.model)

        @rule(items=st.lists(values, max_size=6))
        def extend(self, items: list[Any]) -> None:
            self.model.extend(items)
            assert self.run(self.list.extend(items)) == (len(self.model) if items else 0)

        @rule(items=st.lists(values, max_size=6))
        def extendleft(self, items: list[Any]) -> None:
            self.model.extendleft(items)
            assert self.run(self.list.extendleft(items)) == (len(self.model) if items else 0)

        @rule(left=st.booleans())
        def pop(self, left: bool) -> None:
            pop = self.list.popleft if left else self.list.pop
            if self.model:
                assert self.run(pop()) == (self.model.popleft() if left else self.model.pop())
            else:
                with pytest.raises(IndexError):
                    self.run(pop())

        @rule(index=INDICES)
        def getitem(self, index: int) -> None:
            try:
                expected = [*self.model][index]
            except IndexError:
                with pytest.raises(IndexError):
                    self.run(self.list.getitem(index))
            else:
                assert self.run(self.list.getitem(index)) == expected

        @rule(index=INDICES, value=values)
        def setitem(self, index: int, value: object) -> None:
            elements = [*self.model]
            try:
                elements[index] = value
            except IndexError:
                with pytest.raises(IndexError):
                    self.run(self.list.setitem(index, value))
            else:
                assert self.run(self.list.setitem(index, value)) is True
                self.replace(elements)

        @rule(index=INDICES, value=values)
        def insert(self, index: int, value: object) -> None:
            if maxlen is not None and len(self.model) == maxlen:
                with pytest.raises(IndexError):
                    self.run(self.list.insert(index, value))
                return
            elements = [*self.model]
            size = len(elements)
            elements.insert(max(-size, min(index, size)), value)  # Python's own takes no int beyond 64 bits
            self.run(self.list.insert(index, value))
            self.replace(elements)

        @rule(start=INDICES, stop=INDICES | st.none())
        def slice(self, start: int, stop: int | None) -> None:
            assert self.run(self.list.slice(start, stop)) == [*self.model][start:stop]

        @rule(start=st.integers(-2, 2), stop=st.integers(-2, 20) | st.none())
        def trim(self, start: int, stop: int | None) -> None:
            self.run(self.list.trim(start, stop))
            self.replace([*self.model][start:stop])

        @rule(value=values, data=st.data())
        def search(self, value: object, data: st.DataObject) -> None:
            value = data.draw(st.sampled_from([value, *self.model]))
            expected = self.model.index(value) if value in self.model else None
            assert self.run(self.list.index(value)) == expected
            assert self.run(self.list.contains(value)) is (expected is not None)

        @rule(value=values, count=st.integers(-3, 3), data=st.data())
        def remove(self, value: object, count: int, data: st.DataObject) -> None:
            value = data.draw(st.sampled_from([value, *self.model]))
            elements = [*self.model]
            at = [index for index, element in enumerate(elements) if element == value]
            doomed = at if count == 0 else at[:count] if count > 0 else at[count:]
            assert self.run(self.list.remove(value, count)) == len(doomed)
            self.replace([element for index, element in enumerate(elements) if index not in doomed])

        @rule(steps=st.sampled_from([1, -1]))
        def rotate(self, steps: int) -> None:
            move = self.list.move(self.list, src="left", dest="right")
            if steps > 0:
                move.close()
                move = self.list.move(self.list, src="right", dest="left")
            if self.model:
                self.model.rotate(steps)
                assert self.run(move) == self.model[0 if steps > 0 else -1]
            else:
                with pytest.raises(IndexError):
                    self.run(move)

        @rule(batch_size=st.sampled_from([None, 1, 2, 3, 500]))
        def iterate(self, batch_size: int | None) -> None:
            async def elements() -> list[Any]:
                return [element async for element in self.list.values(batch_size)]

            assert self.run(elements()) == [*self.model]

        @invariant()
        def same_content(self) -> None:
            assert self.run(self.list.slice(0)) == [*self.model]
            assert self.run(self.list.len()) == len(self.model)
            assert self.run(self.list.exists()) is bool(self.model)

    return ListMachine


@pytest.mark.rows(1)
@pytest.mark.engines("shared", "dedicated")
@pytest.mark.parametrize("name", thorough_but("model", every=VALUES))
def test_a_hash_is_a_dict(server: Server, name: str) -> None:
    """A ``RedisHash`` does what a ``dict`` does, whatever its keys and values are."""
    value_type, values = VALUES[name]

    drive(hash_machine(values, numbers=name == "int"), server, value_type)


@pytest.mark.rows(1)
@pytest.mark.engines("shared", "dedicated")
@pytest.mark.parametrize("name", thorough_but("str", every=VALUES))
def test_a_list_is_a_list(server: Server, name: str) -> None:
    """A ``RedisList`` does what a ``list`` and a ``deque`` do, whatever its elements are."""
    value_type, values = VALUES[name]

    drive(list_machine(values, maxlen=None), server, value_type)


@pytest.mark.thorough
@pytest.mark.parametrize("maxlen", thorough_but(4, every=[1, 4]))
def test_a_bounded_list_is_a_deque(server: Server, maxlen: int) -> None:
    """A ``RedisList`` with ``maxlen`` does what a ``deque`` with ``maxlen`` does."""
    value_type, values = VALUES["int"]

    drive(list_machine(values, maxlen=maxlen), server, value_type)
