"""Random histories: each queue beside a ``deque``, a ``list`` and a heap."""

from __future__ import annotations

import asyncio
import heapq
import itertools
from collections import deque
from collections.abc import Callable
from typing import Any

import pytest
from hypothesis import strategies as st
from hypothesis.stateful import invariant, rule

from purse.collections._queue_base import BaseQueue
from purse.collections.priority_queue import RedisPriorityQueue
from purse.collections.queue import RedisLifoQueue, RedisQueue
from purse.embedded import Server
from tests.collections.test_machines import VALUES, Machine, drive
from tests.support.polling import until
from tests.support.selection import thorough_but
from tests.support.tasks import no_task_left

PRIORITIES = st.sampled_from([-1, 0, 0.0, -0.0, 1, 0.5, float("inf")]) | st.floats(allow_nan=False)


# How calls reach Redis makes no difference to what they mean.
pytestmark = pytest.mark.engines("shared")


class Fifo:
    """What a queue should do."""

    def __init__(self) -> None:
        self.items: deque[Any] = deque()

    def put(self, item: Any) -> None:
        self.items.append(item)

    def get(self) -> Any:
        return self.items.popleft()

    def peek(self) -> Any:
        return self.items[0]

    def __len__(self) -> int:
        return len(self.items)


class Lifo(Fifo):
    """What a stack should do."""

    def get(self) -> Any:
        return self.items.pop()

    def peek(self) -> Any:
        return self.items[-1]


class Heap:
    """What a priority queue should do: a heap of priorities and sequence numbers."""

    def __init__(self) -> None:
        self.items: list[tuple[float, int, Any]] = []
        self.count = itertools.count()

    def put(self, item: Any) -> None:
        heapq.heappush(self.items, (item[1], next(self.count), item))

    def get(self) -> Any:
        return heapq.heappop(self.items)[2]

    def peek(self) -> Any:
        return self.items[0][2]

    def __len__(self) -> int:
        return len(self.items)


KINDS: dict[str, tuple[Callable[..., BaseQueue[Any, Any]], Callable[[], Fifo | Heap]]] = {
    "queue": (RedisQueue, Fifo),
    "stack": (RedisLifoQueue, Lifo),
    "priority queue": (RedisPriorityQueue, Heap),
}


def machine(name: str, values: st.SearchStrategy[Any], maxsize: int) -> type[Machine]:
    """A queue beside its model."""
    kind, model = KINDS[name]
    prioritised = name == "priority queue"
    items = st.tuples(values, PRIORITIES) if prioritised else values

    class QueueMachine(Machine):
        def __init__(self) -> None:
            super().__init__()
            self.queue = kind(self.client, "machine", self.value_type, maxsize=maxsize)
            self.model = model()
            self.run(self.queue.clear())

        def room(self, count: int) -> bool:
            return not maxsize or len(self.model) + count <= maxsize

        @rule(item=items, nowait=st.booleans())
        def put(self, item: object, nowait: bool) -> None:
            if self.room(1):
                self.model.put(item)
                put = self.queue.put_nowait if nowait else self.queue.put
                assert self.run(put(item)) == (1 if prioritised else len(self.model))
            else:
                with pytest.raises(asyncio.QueueFull):
                    self.run(self.queue.put_nowait(item))

        @rule(batch=st.lists(items, max_size=6), nowait=st.booleans())
        def put_many(self, batch: list[Any], nowait: bool) -> None:
            if maxsize and len(batch) > maxsize:
                with pytest.raises(ValueError, match="never fit"):
                    self.run(self.queue.put_many(batch))
            elif self.room(len(batch)):
                for item in batch:
                    self.model.put(item)
                put_many = self.queue.put_many_nowait if nowait else self.queue.put_many
                assert self.run(put_many(batch)) == (len(batch) if prioritised or not batch else len(self.model))
            elif batch:
                with pytest.raises(asyncio.QueueFull):
                    self.run(self.queue.put_many_nowait(batch))

        @rule(nowait=st.booleans())
        def get(self, nowait: bool) -> None:
            get = self.queue.get_nowait() if nowait else self.queue.get(timeout=5 if self.model else 0.001)
            if self.model:
                assert self.run(get) == self.model.get()
            else:
                with pytest.raises(asyncio.QueueEmpty):
                    self.run(get)

        @rule(count=st.integers(0, 5) | st.just(10**30))
        def get_many(self, count: int) -> None:
            expected = [self.model.get() for _ in range(min(count, len(self.model)))]
            assert self.run(self.queue.get_many(count)) == expected

        @rule()
        def cancelled_get(self) -> None:
            async def give_up() -> None:
                getting = asyncio.create_task(self.queue.get())
                await asyncio.sleep(0)
                await asyncio.sleep(0)
                getting.cancel()
                await asyncio.gather(getting, return_exceptions=True)
                await until(no_task_left, True)

            self.run(give_up())

        @rule()
        def clear(self) -> None:
            assert self.run(self.queue.clear()) == bool(self.model)
            self.model = model()

        @invariant()
        def same_content(self) -> None:
            async def look() -> list[object]:
                looks = (self.queue.qsize(), self.queue.empty(), self.queue.full(), self.queue.peek())
                return [*await asyncio.gather(*looks, return_exceptions=True)]

            size, empty, full, following = self.run(look())
            assert (size, empty) == (len(self.model), not self.model)
            assert full is bool(maxsize and len(self.model) == maxsize)
            if self.model:
                assert following == self.model.peek()
            else:
                assert isinstance(following, asyncio.QueueEmpty)

        def teardown(self) -> None:
            assert self.run(self.queue.get_many(10**6)) == [self.model.get() for _ in range(len(self.model))]

    return QueueMachine


@pytest.mark.rows(1)
@pytest.mark.parametrize(
    ("name", "values"), [("queue", "str"), ("queue", "dict"), ("stack", "bytes"), ("priority queue", "model")]
)
def test_a_queue_is_what_it_is_named_after(server: Server, name: str, values: str) -> None:
    """Whatever is put and taken: a queue is a deque, a stack a list, a priority queue a heap."""
    value_type, strategy = VALUES[values]

    drive(machine(name, strategy, 0), server, value_type)


@pytest.mark.thorough
@pytest.mark.parametrize("name", thorough_but("queue", every=["queue", "priority queue"]))
def test_a_bounded_queue(server: Server, name: str) -> None:
    """With ``maxsize`` it does the same, and never holds more."""
    value_type, strategy = VALUES["int"]

    drive(machine(name, strategy, 3), server, value_type)
