"""What the soak looks for is found: histories with a fault that was planted in them."""

from __future__ import annotations

import asyncio
from random import Random

import pytest

from purse import LockLost
from tests.soak.calls import Caller, Done, Outcome, Refused, Unsure
from tests.soak.checks.counting import Count
from tests.soak.checks.handover import Handover, InOrder
from tests.soak.checks.holders import Fence, Holders
from tests.soak.checks.rates import Rates
from tests.soak.checks.register import Register
from tests.soak.flatness import Flatness, Sample
from tests.soak.journal import Breaks, Journal
from tests.soak.plan import plan


@pytest.fixture
def journal() -> Journal:
    """An empty journal."""
    return Journal()


@pytest.fixture
def breaks() -> Breaks:
    """One connection was lost, between the times 100 and 101."""
    breaks = Breaks()
    breaks.add(100, 101)
    return breaks


def done(value: object = None, began: float = 0, ended: float = 1) -> Done[object]:
    """A call that returned."""
    return Done(value, began, ended)


def counted(number: int) -> Done[float]:
    """A call that returned a number."""
    return Done(number, 0, 1)


REFUSED = Refused(LockLost("by the server"), 0, 1)
CANCELLED = Unsure(None, 0, 1)


def found(journal: Journal, *words: str) -> bool:
    """Whether there is one finding, with these words."""
    return len(journal.findings) == 1 and all(word in journal.findings[0] for word in words)


# --- handing over -----------------------------------------------------------------------------------


@pytest.fixture
def handover(journal: Journal, breaks: Breaks) -> Handover:
    """A structure into which ``a`` and ``b`` were put for certain, ``c`` perhaps; ``d`` was refused."""
    handover = Handover("queue", journal, breaks)
    outcomes: dict[str, Outcome[object]] = {"a": done(), "b": done(), "c": CANCELLED, "d": REFUSED}
    for item, outcome in outcomes.items():
        handover.putting(item)
        handover.put(outcome, item)
    return handover


def test_a_right_handover_is_not_found(handover: Handover, journal: Journal) -> None:
    """What was put came out once; what may have been put may come out or not."""
    handover.took("ann", ["b"])
    handover.took("bob", ["a"])
    handover.judge()

    assert not journal.findings


def test_a_lost_item_is_found(handover: Handover, journal: Journal) -> None:
    """An item that was put never came out, although no connection was lost while somebody took."""
    handover.took("ann", ["a"])
    handover.may_have_taken(Unsure(None, 50, 51), 1)
    handover.judge()

    assert found(journal, "queue", "lost", "'b'")


def test_more_lost_items_than_were_being_taken_are_found(handover: Handover, journal: Journal) -> None:
    """One call lost its connection while it took one item; two are gone."""
    handover.may_have_taken(Unsure(None, 99, 100), 1)
    handover.judge()

    assert found(journal, "lost: 2 items", "1 of them may have been lost")


def test_what_was_being_taken_when_the_connection_broke_may_be_gone(handover: Handover, journal: Journal) -> None:
    """At most once: this is what a lost connection means."""
    handover.may_have_taken(Unsure(None, 99, 100), 2)
    handover.judge()

    assert not journal.findings
    assert journal.tally["items lost with their connection"] == 2


def test_a_doubled_item_is_found(handover: Handover, journal: Journal) -> None:
    """Two callers got the same item; the finding has the history of it."""
    journal.note("queue", "ann take -> 'a'")
    handover.took("ann", ["a"])
    handover.took("bob", ["a"])

    assert found(journal, "doubled", "bob took 'a', as ann did", "ann take -> 'a'")


def test_an_item_that_nobody_has_put_is_found(handover: Handover, journal: Journal) -> None:
    """A wrong answer: the item is of somewhere else."""
    handover.took("ann", ["x"])

    assert found(journal, "'x'", "nobody has put")


@pytest.mark.parametrize("taken_first", [True, False])
def test_a_refused_put_that_was_applied_is_found(journal: Journal, breaks: Breaks, taken_first: bool) -> None:
    """The server said no, and the item came out nevertheless, before the answer or after it."""
    handover = Handover("queue", journal, breaks)
    handover.putting("a")
    if taken_first:
        handover.took("ann", ["a"])
    handover.put(REFUSED, "a")
    if not taken_first:
        handover.took("ann", ["a"])

    assert found(journal, "refused")


def test_items_out_of_order_are_found(journal: Journal, breaks: Breaks) -> None:
    """An item that was put before another comes after it, and no connection was lost at that time."""
    order = InOrder("queue", journal, breaks)
    for item in ("ann/1", "ann/2"):
        order.put(done(), item)
    order.took("ann/2", 50)
    order.took("ann/1", 51)

    assert found(journal, "out of order", "ann/1", "ann/2")


def test_items_of_several_producers_have_no_order(journal: Journal, breaks: Breaks) -> None:
    """Nor have those of which nobody knows when they were put."""
    order = InOrder("queue", journal, breaks)
    order.put(CANCELLED, "ann/1")
    order.put(done(), "ann/2")
    order.put(done(), "bob/1")
    for item in ("ann/2", "bob/1", "ann/1"):
        order.took(item, 50)

    assert not journal.findings


# --- counting ---------------------------------------------------------------------------------------


@pytest.fixture
def count(journal: Journal) -> Count:
    """A counter to which ann has added 1."""
    count = Count("hash", "gate", journal)
    count.added("ann", counted(1), count.begin(adding=True))
    return count


def test_a_right_count_is_not_found(count: Count, journal: Journal) -> None:
    """Two were added, of which one perhaps: 1 or 2 at the end."""
    count.added("bob", CANCELLED, count.begin(adding=True))
    count.judge(2)
    count.judge(1)

    assert not journal.findings


def test_a_number_that_two_have_got_is_found(journal: Journal) -> None:
    """Two calls at once have counted the same."""
    count = Count("hash", "gate", journal)
    first, second = count.begin(adding=True), count.begin(adding=True)
    count.added("ann", counted(1), first)
    count.added("ann", counted(1), second)

    assert found(journal, "got 1", "ann did before")


def test_a_number_that_goes_back_is_found(count: Count, journal: Journal) -> None:
    """A call that began after another had ended saw less."""
    count.read("bob", counted(0), count.begin(adding=False))

    assert found(journal, "saw 0")


def test_a_refused_count_that_was_applied_is_found(count: Count, journal: Journal) -> None:
    """The server said no, and somebody sees one more."""
    count.added("bob", REFUSED, count.begin(adding=True))
    count.read("cat", counted(2), count.begin(adding=False))

    assert found(journal, "saw 2")


@pytest.mark.parametrize("final", [0, 2])
def test_a_final_count_that_cannot_be_is_found(count: Count, journal: Journal, final: int) -> None:
    """One was added for certain, and no other."""
    count.judge(final)

    assert found(journal, f"is {final}")


# --- registers --------------------------------------------------------------------------------------


@pytest.fixture
def register(journal: Journal) -> Register:
    """A key to which ``new`` was written for certain, after ``lost`` perhaps."""
    register = Register("hash", "k", journal)
    register.wrote("lost", CANCELLED)
    register.wrote("new", done())
    return register


def test_a_wrong_value_is_found(register: Register, journal: Journal) -> None:
    """The key holds what nobody has written last."""
    register.read(Done("other", 0, 1))

    assert found(journal, "'other'", "'new'")


def test_a_write_that_happens_twice_is_found(register: Register, journal: Journal) -> None:
    """A write whose end nobody saw may come late, but not again after another."""
    register.read(Done("lost", 0, 1))
    assert not journal.findings

    register.wrote("newer", done())
    register.read(Done("lost", 0, 1))

    assert found(journal, "'lost'", "'newer'")


def test_a_refused_write_that_was_applied_is_found(register: Register, journal: Journal) -> None:
    """The server said no, and the value is there."""
    register.wrote("refused", REFUSED)
    register.read(Done("refused", 0, 1))

    assert found(journal, "'refused'")


# --- locks and limits -------------------------------------------------------------------------------


class Validity:
    """A lease that is good for so many seconds."""

    def __init__(self, remaining: float) -> None:
        self.remaining = remaining


def test_two_holders_are_found(journal: Journal) -> None:
    """Somebody comes in while another is inside its validity."""
    holders = Holders("lock", 1, journal)
    with holders.inside("ann", Validity(0.5), 1), holders.inside("bob", Validity(1), 2):
        pass

    assert found(journal, "bob came in", "ann for 0.5")


def test_a_holder_whose_lease_is_over_does_not_count(journal: Journal) -> None:
    """Neither one that is still inside, nor one that comes in."""
    holders = Holders("lock", 1, journal)
    with (
        holders.inside("ann", Validity(0), 2),
        holders.inside("bob", Validity(1), 3),
        holders.inside("cat", Validity(0), 1),
    ):
        pass

    assert not journal.findings


def test_one_more_than_there_are_permits_is_found(journal: Journal) -> None:
    """Of two permits three are inside."""
    holders = Holders("semaphore", 2, journal)
    with holders.inside("ann", Validity(1)), holders.inside("bob", Validity(1)), holders.inside("cat", Validity(1)):
        pass

    assert found(journal, "cat came in")


def test_a_token_that_does_not_grow_is_found(journal: Journal) -> None:
    """One after the other, with the same token."""
    holders = Holders("lock", 1, journal)
    for name in ("ann", "bob"):
        with holders.inside(name, Validity(1), 7):
            pass

    assert found(journal, "bob has the token 7, after 7")


def test_a_late_holder_that_overwrites_is_found(journal: Journal) -> None:
    """A write with an earlier token was accepted after a later one had been; so was seen."""
    fence = Fence("value", journal)
    fence.wrote(2, Done(None, 0, 1), fence.begin(2))
    fence.wrote(1, Done(None, 0, 1), fence.begin(1))
    assert found(journal, "1 was written over 2")

    fence.read(1, fence.floor)
    assert len(journal.findings) == 2


def test_a_write_that_is_refused_for_no_reason_is_found(journal: Journal) -> None:
    """Nobody has a later token."""
    fence = Fence("value", journal)
    fence.wrote(2, REFUSED, fence.begin(2))

    assert found(journal, "2 was refused")


def test_one_hit_too_many_is_found(journal: Journal) -> None:
    """Four hits within a second where three may pass, in a window and from a bucket."""
    rates = Rates("limiter", journal)
    for nth in range(4):
        rates.passed(nth / 10, nth / 10 + 0.05)

    rates.judge_window(4, 1)
    rates.judge_bucket(3, 3)
    assert not journal.findings
    rates.judge_window(3, 1)
    rates.judge_bucket(3, 2)
    assert len(journal.findings) == 2


# --- calls, the plan, what is left -----------------------------------------------------------------


async def test_a_call_says_what_came_of_it(journal: Journal, breaks: Breaks) -> None:
    """Done with its value, refused, or cancelled; an error that nobody expects is found."""

    async def returns() -> int:
        return 1

    async def raises(error: Exception) -> int:
        raise error

    caller = Caller("ann", Random(1), journal, breaks)
    outcomes: list[Outcome[int]] = [
        await caller.call("queue", "get", returns(), steady=True),
        await caller.call("queue", "get", raises(IndexError("empty")), IndexError, steady=True),
        await caller.call("queue", "get", asyncio.Event().wait(), within=0.001),
    ]
    assert [type(outcome) for outcome in outcomes] == [Done, Refused, Unsure]
    assert not journal.findings

    await caller.call("queue", "get", raises(ValueError("a fault")), steady=True)
    assert found(journal, "a fault")


async def test_a_call_that_hangs_is_found(journal: Journal, breaks: Breaks, monkeypatch: pytest.MonkeyPatch) -> None:
    """The finding says where it stands."""
    monkeypatch.setattr("tests.soak.calls.HANGS", 0.01)
    caller = Caller("ann", Random(1), journal, breaks)

    await caller.call("queue", "get", asyncio.Event().wait(), steady=True)

    assert found(journal, "ann get hangs", "Event.wait:")


def test_the_seed_decides_what_goes_wrong() -> None:
    """The same seed, the same plan; a calm round breaks no connection."""
    assert plan(1, 1, 60, rough=True) == plan(1, 1, 60, rough=True) != plan(2, 1, 60, rough=True)
    assert "kill" in {fault.kind for fault in plan(1, 1, 60, rough=True)}
    assert not {"kill", "client kill", "cut", "swallow"} & {fault.kind for fault in plan(1, 1, 60, rough=False)}


@pytest.mark.parametrize("what", ["memory", "objects", "tasks", "connections", "clients"])
def test_what_grows_is_found(journal: Journal, what: str) -> None:
    """Each quantity, if it doubles from the second third to the last."""
    usual = {"memory": 60_000, "objects": 60_000, "tasks": 10, "connections": 12, "clients": 12}
    flat, grown = Flatness(), Flatness()
    flat.samples = [Sample(**usual) for _ in range(9)]
    grown.samples = [*flat.samples[:6], *(Sample(**usual | {what: 2 * usual[what]}) for _ in range(3))]

    flat.judge(journal)
    assert not journal.findings
    grown.judge(journal)

    assert found(journal, f"{what} is not flat")
