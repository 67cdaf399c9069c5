"""RedisList: what each method returns and raises."""

from __future__ import annotations

from collections import deque
from typing import cast

import pytest
from redis.asyncio import Redis

from purse.collections import RedisHash, RedisList
from purse.errors import DeclarationError
from purse.ttl import TTL
from tests.collections.garden import HOSTILE, Plant, collect, shown

FAR = [2**31, 2**53, 2**63, 2**64, 10**40]
ENDS = [None, *range(-7, 8), *FAR, *(-n for n in FAR)]


@pytest.fixture
async def letters(redis: Redis) -> RedisList[str]:
    """The list a, b, c, d, e."""
    letters = RedisList(redis, "letters", str)
    await letters.extend([*"abcde"])
    return letters


def bounded(redis: Redis, maxlen: int, rkey: str = "bounded") -> RedisList[int]:
    return RedisList(redis, rkey, int, maxlen=maxlen)


# --- the ends -----------------------------------------------------------------------------------


async def test_pushes_return_the_new_length(log: RedisList[str]) -> None:
    """``append``, ``appendleft``, ``extend`` and ``extendleft`` return how long the list is now."""
    assert await log.append("c") == 1
    assert await log.appendleft("b") == 2
    assert await log.extend(["d", "e"]) == 4
    assert await log.extendleft(x for x in ["a", "_"]) == 6
    assert await log.slice(0) == ["_", "a", "b", "c", "d", "e"]
    assert await log.len() == 6


async def test_extending_by_nothing(log: RedisList[str]) -> None:
    """``extend([])`` and ``extendleft([])`` change nothing and return 0."""
    assert await log.extend([]) == 0
    assert await log.extendleft(()) == 0
    assert not await log.exists()


async def test_long_extensions_keep_their_order(redis: Redis) -> None:
    """More elements than one command takes keep their order; ``extendleft`` reverses them as a deque does."""
    numbers = RedisList(redis, "numbers", int)

    assert await numbers.extend(range(1201)) == 1201
    assert await numbers.extendleft(range(-1, -1202, -1)) == 2402
    assert await numbers.slice(0) == [*range(-1201, 0), *range(1201)]


async def test_pops_return_the_ends(letters: RedisList[str]) -> None:
    """``pop`` takes the last element, ``popleft`` the first."""
    assert await letters.pop() == "e"
    assert await letters.popleft() == "a"
    assert await letters.slice(0) == ["b", "c", "d"]


async def test_pop_of_an_empty_list(log: RedisList[str]) -> None:
    """``pop``, ``popleft`` and ``move`` of an empty list are IndexErrors that name the key."""
    for call in (log.pop, log.popleft, lambda: log.move(log)):
        with pytest.raises(IndexError, match=r"\{garden\}:log"):
            await call()


# --- by index -----------------------------------------------------------------------------------


async def test_getitem(letters: RedisList[str]) -> None:
    """``getitem`` takes indices from either end."""
    assert [await letters.getitem(i) for i in range(-5, 5)] == [*"abcdeabcde"]


async def test_setitem(letters: RedisList[str]) -> None:
    """``setitem`` replaces the element at an index from either end and returns True."""
    assert await letters.setitem(0, "A") is True
    assert await letters.setitem(-1, "E") is True
    assert await letters.slice(0) == [*"AbcdE"]


@pytest.mark.parametrize("index", [5, -6, *FAR, *(-n for n in FAR)])
async def test_an_index_out_of_range(letters: RedisList[str], index: int) -> None:
    """``getitem`` and ``setitem`` beyond an end are IndexErrors that name the key, however far; nothing changes."""
    with pytest.raises(IndexError, match="letters"):
        await letters.getitem(index)
    with pytest.raises(IndexError, match="letters"):
        await letters.setitem(index, "x")

    assert await letters.slice(0) == [*"abcde"]


@pytest.mark.parametrize("index", [0, -1, 10**40])
async def test_an_index_into_a_missing_key(log: RedisList[str], index: int) -> None:
    """``getitem`` and ``setitem`` of a list without elements are IndexErrors; no key appears."""
    with pytest.raises(IndexError):
        await log.getitem(index)
    with pytest.raises(IndexError):
        await log.setitem(index, "x")

    assert not await log.exists()


@pytest.mark.rows(8)
@pytest.mark.parametrize("start", [end for end in ENDS if end is not None])
async def test_slices_are_pythons(letters: RedisList[str], start: int) -> None:
    """``slice(start, stop)`` is ``list[start:stop]``, for negative, far and crossing bounds."""
    got = {stop: await letters.slice(start, stop) for stop in ENDS}

    assert got == {stop: [*"abcde"][start:stop] for stop in ENDS}


@pytest.mark.rows(6)
@pytest.mark.parametrize("start", [end for end in ENDS if end is not None])
async def test_trim_keeps_a_slice(redis: Redis, start: int) -> None:
    """``trim(start, stop)`` leaves ``list[start:stop]`` and returns None."""
    for stop in ENDS:
        numbers = RedisList(redis, "numbers", int)
        await numbers.clear()
        await numbers.extend(range(5))

        await numbers.trim(start, stop)

        assert await numbers.slice(0) == [*range(5)][start:stop], (start, stop)


@pytest.mark.rows(8)
@pytest.mark.parametrize("index", [end for end in ENDS if end is not None])
async def test_insert_clamps(letters: RedisList[str], index: int) -> None:
    """``insert`` puts the element where ``list.insert`` does, for negative and far indices."""
    expected = [*"abcde"]
    expected.insert(max(-9, min(index, 9)), "x")  # Python's own takes no int beyond 64 bits

    await letters.insert(index, "x")

    assert await letters.slice(0) == expected


@pytest.mark.parametrize("index", [0, 1, -1, 10**40])
async def test_insert_into_a_missing_key(log: RedisList[str], index: int) -> None:
    """Inserting anywhere into an empty list makes a list of one."""
    await log.insert(index, "x")

    assert await log.slice(0) == ["x"]


async def test_insert_beside_equal_elements(redis: Redis) -> None:
    """``insert`` goes by the index alone, whatever elements are equal to the one there."""
    same = RedisList(redis, "same", str)
    await same.extend(["x"] * 4)

    await same.insert(2, "y")
    await same.insert(-1, "x")

    assert await same.slice(0) == ["x", "x", "y", "x", "x", "x"]


# --- by value -----------------------------------------------------------------------------------


async def test_contains_is_a_bool(letters: RedisList[str]) -> None:
    """``contains`` returns True, at index 0 too, or False."""
    assert await letters.contains("a") is True
    assert await letters.contains("e") is True
    assert await letters.contains("x") is False


async def test_index_of_the_first(letters: RedisList[str]) -> None:
    """``index`` returns where the first equal element is, 0 among the answers, and None if there is none."""
    await letters.extend([*"abc"])

    assert [await letters.index(letter) for letter in "abcdex"] == [0, 1, 2, 3, 4, None]


@pytest.mark.parametrize(
    ("count", "removed", "left"),
    [
        (0, 3, "bcd"),
        (1, 1, "bacad"),
        (2, 2, "bcad"),
        (9, 3, "bcd"),
        (-1, 1, "abacd"),
        (-2, 2, "abcd"),
        (10**40, 3, "bcd"),
        (-(10**40), 3, "bcd"),
    ],
)
async def test_remove_counts_from_either_end(log: RedisList[str], count: int, removed: int, left: str) -> None:
    """``remove`` takes all, the first n or the last n equal elements, and returns how many."""
    await log.extend([*"abacad"])

    assert await log.remove("a", count) == removed
    assert await log.slice(0) == [*left]


async def test_remove_of_what_is_not_there(letters: RedisList[str]) -> None:
    """``remove`` returns 0 if nothing is equal; by default it removes all that is."""
    assert await letters.remove("x") == 0
    assert await letters.remove("a") == 1
    assert await letters.contains("a") is False


async def test_models_are_found_by_value(redis: Redis) -> None:
    """An equal model is found whatever object it is, and however its parts were ordered."""
    plants = RedisList(redis, "plants", Plant)
    prices: RedisList[dict[str, int]] = RedisList(redis, "prices", dict[str, int])
    await plants.extend([Plant(name="pea"), Plant(name="bean", healthiness=2)])
    await prices.append({"pea": 1, "bean": 2})

    assert await plants.index(Plant(healthiness=2, name="bean")) == 1
    assert await plants.remove(Plant(name="pea")) == 1
    assert await prices.contains({"bean": 2, "pea": 1}) is True


@pytest.mark.parametrize(
    ("count", "removed", "left"),
    [(0, 4, "z"), (1, 1, "bzab"), (3, 3, "zb"), (9, 4, "z"), (-1, 1, "abza"), (-3, 3, "az"), (10**40, 4, "z")],
)
async def test_elements_of_2x_are_found(redis: Redis, count: int, removed: int, left: str) -> None:
    """A dict that redis-purse 2.x wrote, with spaces and in its own order, is found and removed like ours."""
    prices: RedisList[dict[str, int]] = RedisList(redis, "prices", cast("type[dict[str, int]]", dict))
    forms = {"a": b'{"y": 2, "x": 1}', "b": b'{"x":1,"y":2}', "z": b'{"z":0}'}
    await redis.rpush("prices", *(forms[letter] for letter in "abzab"))

    assert await prices.slice(0, 2) == [{"x": 1, "y": 2}] * 2
    assert await prices.index({"y": 2, "x": 1}) == 0
    assert await prices.contains({"y": 2, "x": 1}) is True
    assert await prices.remove({"y": 2, "x": 1}, count) == removed

    assert await redis.lrange("prices", 0, -1) == [forms[letter] for letter in left]


@pytest.mark.rows(4)
@pytest.mark.parametrize("value", HOSTILE, ids=shown)
async def test_any_string_is_an_element(log: RedisList[str], value: str) -> None:
    """Whatever characters an element has, it is stored as it is and found again."""
    await log.extend(["first", value])

    assert await log.getitem(-1) == value
    assert await log.index(value) == 1
    await log.insert(1, value)
    assert await log.remove(value) == 2
    assert await log.slice(0) == ["first"]


# --- move ---------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("src", "dest", "taken", "here", "there"),
    [
        ("left", "right", "a", "bcde", "xya"),
        ("left", "left", "a", "bcde", "axy"),
        ("right", "left", "e", "abcd", "exy"),
        ("right", "right", "e", "abcd", "xye"),
    ],
)
async def test_move_between_lists(
    letters: RedisList[str], log: RedisList[str], src: str, dest: str, taken: str, here: str, there: str
) -> None:
    """``move`` takes the element at one end, adds it at an end of the other list, and returns it."""
    await log.extend([*"xy"])

    moved = await letters.move(log, src=src, dest=dest)  # type: ignore[arg-type]  # pyright: ignore[reportArgumentType]

    assert moved == taken
    assert await letters.slice(0) == [*here]
    assert await log.slice(0) == [*there]


async def test_move_by_default_is_a_queue(letters: RedisList[str], log: RedisList[str]) -> None:
    """By default the first element becomes the last of the other list."""
    assert [await letters.move(log) for _ in range(5)] == [*"abcde"]
    assert await log.slice(0) == [*"abcde"]
    assert not await letters.exists()


async def test_a_list_moved_to_itself_rotates(letters: RedisList[str]) -> None:
    """A list may be its own destination, under another object too: it rotates."""
    assert await letters.move(letters) == "a"
    assert await letters.move(RedisList(letters.redis, "letters", str), src="right", dest="left") == "a"
    assert await letters.move(letters, src="left", dest="left") == "a"
    assert await letters.slice(0) == [*"abcde"]


async def test_move_refuses_another_form(letters: RedisList[str], redis: Redis) -> None:
    """A destination with another element type, of another kind or on another client is a TypeError."""
    other_client = Redis(connection_pool=redis.connection_pool)
    others: list[object] = [
        RedisList(redis, "other", int),
        RedisList(other_client, "other", str),
        RedisHash(redis, "other", str),
        "other",
        None,
    ]

    for other in others:
        with pytest.raises(TypeError, match="letters"):
            await letters.move(cast("RedisList[str]", other))

    assert await letters.slice(0) == [*"abcde"]


async def test_move_knows_two_sides(letters: RedisList[str], log: RedisList[str]) -> None:
    """A side that is neither "left" nor "right" is a ValueError, and nothing moves."""
    with pytest.raises(ValueError, match="top"):
        await letters.move(log, src="top")  # type: ignore[arg-type]  # pyright: ignore[reportArgumentType]
    with pytest.raises(ValueError, match="LEFT"):
        await letters.move(log, dest="LEFT")  # type: ignore[arg-type]  # pyright: ignore[reportArgumentType]

    assert await letters.len() == 5


# --- iteration ----------------------------------------------------------------------------------


@pytest.mark.rows(3)
@pytest.mark.parametrize("batch_size", [None, 0, 1, 7, 500, 1300, 1301, 10**40])
async def test_iteration(redis: Redis, batch_size: int | None) -> None:
    """``values`` and ``async for`` yield the elements in order, whatever the size of a page."""
    numbers = RedisList(redis, "numbers", int)
    await numbers.extend(range(1300))

    assert await collect(numbers.values(batch_size)) == [*range(1300)]
    assert await collect(numbers) == [*range(1300)]


async def test_iteration_over_nothing(log: RedisList[str]) -> None:
    """A list that does not exist iterates as an empty one."""
    assert await collect(log) == []
    assert await log.slice(0) == []
    assert await log.len() == 0


async def test_a_negative_batch_size_is_refused(log: RedisList[str]) -> None:
    """A negative page size is a ValueError when the iterator is made."""
    with pytest.raises(ValueError, match="-1"):
        log.values(-1)


# --- maxlen -------------------------------------------------------------------------------------


@pytest.mark.parametrize("maxlen", [1, 3])
async def test_a_bounded_list_drops_from_the_other_end(redis: Redis, maxlen: int) -> None:
    """With ``maxlen`` a push at one end drops elements from the other, as a deque does; lengths stay bounded."""
    numbers, model = bounded(redis, maxlen), deque[int](maxlen=maxlen)

    for n in range(5):
        model.append(n)
        assert await numbers.append(n) == len(model)
    assert await numbers.slice(0) == [*model]
    for n in range(5):
        model.appendleft(-n)
        assert await numbers.appendleft(-n) == len(model)
    assert await numbers.slice(0) == [*model]


@pytest.mark.parametrize("many", [2, 4, 1200])
async def test_a_bounded_list_extended_beyond_its_length(redis: Redis, many: int) -> None:
    """Extending by more than fits keeps what a deque would keep, at either end."""
    numbers, model = bounded(redis, 3), deque[int]([1, 2, 3], maxlen=3)
    await numbers.extend([1, 2, 3])

    assert await numbers.extend(range(100, 100 + many)) == 3
    model.extend(range(100, 100 + many))
    assert await numbers.slice(0) == [*model]

    assert await numbers.extendleft(range(many)) == 3
    model.extendleft(range(many))
    assert await numbers.slice(0) == [*model]


async def test_insert_into_a_full_list(redis: Redis) -> None:
    """Inserting into a full bounded list is an IndexError, as a deque's, and changes nothing."""
    numbers = bounded(redis, 3)
    await numbers.extend([1, 3])
    await numbers.insert(1, 2)

    for index in (0, 1, 3, -1):
        with pytest.raises(IndexError, match=r"bounded: .*3"):
            await numbers.insert(index, 9)

    assert await numbers.slice(0) == [1, 2, 3]


async def test_move_into_a_bounded_list(redis: Redis) -> None:
    """An element moved into a full bounded list drops one at the other end."""
    source = RedisList(redis, "source", int)
    await source.extend([10, 20, 30])
    target = bounded(redis, 2)
    await target.extend([1, 2])

    assert await source.move(target) == 10
    assert await target.slice(0) == [2, 10]
    assert await source.move(target, dest="left") == 20
    assert await target.slice(0) == [20, 2]
    assert await target.move(target) == 20
    assert await target.slice(0) == [2, 20]


async def test_a_longer_list_shrinks_at_the_next_push(redis: Redis) -> None:
    """A list that was longer before it was declared bounded is cut by the next push."""
    await RedisList(redis, "bounded", int).extend(range(10))

    assert await bounded(redis, 3).append(10) == 3
    assert await bounded(redis, 3).slice(0) == [8, 9, 10]


@pytest.mark.parametrize("maxlen", [0, -1, True, 1.5, "3"])
async def test_maxlen_is_a_positive_int(redis: Redis, maxlen: object) -> None:
    """Any other ``maxlen`` is a DeclarationError that names the key."""
    with pytest.raises(DeclarationError, match="bounded"):
        bounded(redis, cast("int", maxlen))


async def test_a_list_has_no_time_per_item(redis: Redis) -> None:
    """A policy per item is refused when the list is declared, because Redis has no such thing."""
    with pytest.raises(DeclarationError, match="per_item"):
        RedisList(redis, "log", str, ttl=TTL(hours=1, per_item=True))
