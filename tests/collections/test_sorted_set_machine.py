"""Random histories of a RedisSortedSet beside a dict from members to scores, sorted by score and stored bytes."""

from __future__ import annotations

import math
from typing import Any

import pytest
from hypothesis import strategies as st
from hypothesis.stateful import invariant, rule
from redis.exceptions import ResponseError

from purse.codecs._binding import canonical_codec_for
from purse.collections.sorted_set import RedisSortedSet, gt, lt
from purse.embedded import Server
from tests.collections.test_machines import VALUES, Machine, drive
from tests.support.selection import thorough_but

SCORES = st.sampled_from([-math.inf, -1.5, 0, 1, 2, math.inf]) | st.floats(allow_nan=False) | st.integers(-9, 9)
RANKS = st.integers(-6, 6) | st.sampled_from([2**63, -(10**30)])
KEEP = st.sampled_from([None, "highest", "lowest"])

Item = tuple[Any, float]


def machine(values: st.SearchStrategy[Any], value_type: Any) -> type[Machine]:
    """A ``RedisSortedSet`` beside its oracle."""
    encode = canonical_codec_for(value_type).encode
    items = st.tuples(values, SCORES)

    class SortedSetMachine(Machine):
        def __init__(self) -> None:
            super().__init__()
            self.zset: RedisSortedSet[Any] = RedisSortedSet(self.client, "machine", value_type)
            self.model: dict[bytes, Item] = {}
            self.run(self.zset.clear())

        def ordered(self) -> list[Item]:
            return [self.model[raw] for raw in sorted(self.model, key=lambda raw: (self.model[raw][1], raw))]

        def put(self, item: Item, *, nx: bool = False, xx: bool = False, keep: str | None = None) -> tuple[bool, bool]:
            """Whether the item is new, and whether it is new or changed."""
            raw, old = encode(item[0]), self.model.get(encode(item[0]))
            if old is None:
                if not xx:
                    self.model[raw] = item
                return not xx, not xx
            better = {None: True, "highest": item[1] > old[1], "lowest": item[1] < old[1]}[keep]
            if nx or not better or item[1] == old[1]:
                return False, False
            self.model[raw] = item
            return False, True

        @rule(item=items, nx=st.booleans(), xx=st.booleans(), ch=st.booleans(), keep=KEEP)
        def add(self, item: Item, nx: bool, xx: bool, ch: bool, keep: Any) -> None:
            if nx and (xx or keep):
                with pytest.raises(ValueError, match="nx= only adds new members"):
                    self.run(self.zset.add(item, nx, xx, ch, keep=keep))
            else:
                expected = self.put(item, nx=nx, xx=xx, keep=keep)
                assert self.run(self.zset.add(item, nx, xx, ch, keep=keep)) == expected[ch]

        @rule(pairs=st.lists(items, max_size=6), ch=st.booleans(), keep=KEEP)
        def add_multi(self, pairs: list[Item], ch: bool, keep: Any) -> None:
            last: dict[bytes, Item] = {}
            for value, score in pairs:
                _, old = last.get(raw := encode(value), (value, score))
                last[raw] = (value, max(old, score) if keep == "highest" else min(old, score) if keep else score)
            expected = sum(self.put(item, keep=keep)[ch] for item in last.values())
            assert self.run(self.zset.add_multi(pairs, ch=ch, keep=keep)) == expected

        @rule(pairs=st.lists(items, min_size=1, max_size=4))
        def increment(self, pairs: list[Item]) -> None:
            after, expected = dict(self.model), list[Item]()
            for value, by in pairs:
                raw = encode(value)
                old = after.get(raw, (value, 0.0))
                after[raw] = (old[0], old[1] + by)
                expected.append((value, after[raw][1]))
            one = len(pairs) == 1
            if any(math.isnan(score) for _, score in expected):
                with pytest.raises(ResponseError, match="NaN"):
                    self.run(self.zset.increment(pairs[0]) if one else self.zset.increment_multi(pairs))
            else:
                got = [self.run(self.zset.increment(pairs[0]))] if one else self.run(self.zset.increment_multi(pairs))
                assert got == expected
                self.model = after

        @rule(members=st.lists(values, max_size=4))
        def remove(self, members: list[Any]) -> None:
            there = {encode(member) for member in members} & self.model.keys()
            assert self.run(self.zset.remove(*members)) == len(there)
            for raw in there:
                del self.model[raw]

        @rule(low=RANKS, high=RANKS, descending=st.booleans())
        def ranks(self, low: int, high: int, descending: bool) -> None:
            expected = by_rank(self.ordered()[::-1] if descending else self.ordered(), low, high)
            assert self.run(self.zset.slice_by_rank(low, high, descending)) == expected

        @rule(low=RANKS, high=RANKS)
        def remove_by_rank(self, low: int, high: int) -> None:
            doomed = by_rank(self.ordered(), low, high)
            assert self.run(self.zset.remove_by_rank(low, high)) == len(doomed)
            self.forget(doomed)

        @rule(
            low=SCORES,
            high=SCORES,
            open_ends=st.booleans(),
            offset=st.none() | st.integers(0, 3),
            count=st.none() | st.integers(-1, 3),
            descending=st.booleans(),
        )
        def scores(
            self, low: float, high: float, open_ends: bool, offset: int | None, count: int | None, descending: bool
        ) -> None:
            inside = self.between(low, high, open_ends=open_ends)
            page = (inside[::-1] if descending else inside)[offset or 0 :]
            page = page if count is None or count < 0 else page[:count]
            lower, upper = (gt(low), lt(high)) if open_ends else (low, high)
            assert self.run(self.zset.slice_by_score(lower, upper, offset, count, descending)) == page
            assert self.run(self.zset.count(lower, upper)) == len(inside)

        @rule(low=SCORES, high=SCORES, open_ends=st.booleans())
        def remove_by_score(self, low: float, high: float, open_ends: bool) -> None:
            doomed = self.between(low, high, open_ends=open_ends)
            bounds = (gt(low), lt(high)) if open_ends else (low, high)
            assert self.run(self.zset.remove_by_score(*bounds)) == len(doomed)
            self.forget(doomed)

        @rule(member=values, data=st.data())
        def ask(self, member: Any, data: st.DataObject) -> None:
            member = data.draw(st.sampled_from([member, *(value for value, _ in self.model.values())]))
            raws = [encode(value) for value, _ in self.ordered()]
            rank = raws.index(encode(member)) if encode(member) in raws else None
            score = None if rank is None else self.ordered()[rank][1]
            assert self.run(self.zset.rank(member)) == rank
            assert self.run(self.zset.rank(member, True)) == (None if rank is None else len(raws) - 1 - rank)
            assert self.run(self.zset.score(member)) == score
            assert self.run(self.zset.score_multi([member, member])) == [(member, score)] * 2

        @rule(highest=st.booleans(), count=st.integers(0, 3), wait=st.booleans())
        def pop(self, highest: bool, count: int, wait: bool) -> None:
            expected = self.ordered()[::-1] if highest else self.ordered()
            if not expected:
                with pytest.raises(IndexError):
                    self.run(self.zset.peek_max() if highest else self.zset.peek_min())
            elif wait:
                expected = expected[:1]
                pop = self.zset.blocking_pop_max if highest else self.zset.blocking_pop_min
                assert self.run(self.zset.peek_max() if highest else self.zset.peek_min()) == expected[0]
                assert [self.run(pop())] == expected
                self.forget(expected)
            else:
                expected = expected[:count]
                assert self.run(self.zset.pop_max(count) if highest else self.zset.pop_min(count)) == expected
                self.forget(expected)

        @rule(batch_hint=st.sampled_from([None, 1, 3]))
        def iterate(self, batch_hint: int | None) -> None:
            async def found() -> list[Item]:
                return [item async for item in self.zset.values(batch_hint=batch_hint)]

            by_bytes = {encode(value): score for value, score in self.run(found())}
            assert self.run(self.zset.len()) == len(self.model)
            assert self.run(self.zset.exists()) is bool(self.model)
            assert by_bytes == {raw: score for raw, (_, score) in self.model.items()}

        @invariant()
        def same_content(self) -> None:
            assert self.run(self.zset.slice_by_rank(0, -1)) == self.ordered()

        def between(self, low: float, high: float, *, open_ends: bool) -> list[Item]:
            return [item for item in self.ordered() if (low < item[1] < high if open_ends else low <= item[1] <= high)]

        def forget(self, doomed: list[Item]) -> None:
            for value, _ in doomed:
                del self.model[encode(value)]

    return SortedSetMachine


def by_rank(items: list[Item], low: int, high: int) -> list[Item]:
    """The items from rank ``low`` to ``high``, both included, as Redis counts them."""
    size = len(items)
    first = max(low + size if low < 0 else low, 0)
    last = min(high + size if high < 0 else high, size - 1)
    return items[first : last + 1] if first <= last else []


@pytest.mark.rows(1)
@pytest.mark.engines("shared", "dedicated")
@pytest.mark.parametrize("name", thorough_but("str", every=["str", "dict"]))
def test_a_sorted_set_is_a_sorted_dict(server: Server, name: str) -> None:
    """A ``RedisSortedSet`` does what a dict of scores does that is sorted by score and bytes."""
    value_type, values = VALUES[name]

    drive(machine(values, value_type), server, value_type)
