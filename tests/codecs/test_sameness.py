"""A value comes back with its state, whatever its own ``__eq__`` says, or it is refused with what to write instead."""

from __future__ import annotations

import copy
import enum
import pickle
import re
from collections import Counter, OrderedDict, defaultdict, deque
from collections.abc import Callable
from dataclasses import InitVar, dataclass, field
from datetime import UTC, date, datetime, time, timedelta, timezone
from decimal import Decimal
from fractions import Fraction
from functools import cached_property
from ipaddress import IPv6Address
from pathlib import PureWindowsPath
from typing import Annotated, Any, Generic, NamedTuple, TypeVar, cast
from uuid import UUID, uuid1
from zoneinfo import ZoneInfo

import pydantic.dataclasses
import pytest
from hypothesis import given
from hypothesis import strategies as st
from pydantic import AfterValidator, BaseModel, ConfigDict, Field, PlainSerializer, RootModel, SecretBytes, SecretStr
from typing_extensions import TypedDict

from purse.codecs import codec_for
from purse.codecs._binding import bind_codec, canonical_codec_for, checked
from purse.codecs._sameness import Rule, first_difference
from purse.errors import EncodeError
from tests.support.values import codec_of

T = TypeVar("T")
BERLIN = ZoneInfo("Europe/Berlin")


class ById:
    """A mixin that compares ``id`` alone, or in one of the other ways in which an ``__eq__`` can be wrong."""

    id: int

    def __eq__(self, other: object) -> bool:
        return isinstance(other, ById) and self.id == other.id

    def __hash__(self) -> int:
        return hash(self.id)


class Account(BaseModel):
    """Compares its own ``id``."""

    id: int = 1
    token: SecretStr = SecretStr("hunter2")

    def __eq__(self, other: object) -> bool:
        return isinstance(other, Account) and self.id == other.id

    __hash__ = None  # type: ignore[assignment]


class Mixed(ById, BaseModel):
    """Inherits its ``__eq__``, and leaves a field out."""

    __hash__ = ById.__hash__

    model_config = ConfigDict(frozen=True)

    id: int = 1
    note: str = Field(default="", exclude=True)


class Odd(BaseModel):
    """Has an ``__eq__`` that returns something that is true."""

    x: Annotated[int, PlainSerializer(lambda x: 0)] = 1

    def __eq__(self, other: object) -> Any:
        return "yes"

    __hash__ = None  # type: ignore[assignment]


class Box(BaseModel, Generic[T]):
    """Holds anything."""

    content: T


class Accounts(RootModel[list[Account]]):
    """A root."""


class Note(BaseModel):
    """A model of plain fields, which may hold more than its fields."""

    text: str = ""

    @cached_property
    def length(self) -> int:
        return len(self.text)


class Slotted(BaseModel):
    """Keeps a public attribute outside of its fields."""

    __slots__ = ("extra",)

    text: str = ""


class Related:
    """What an ORM puts into a class for a relationship: a descriptor that is written to."""

    def __get__(self, instance: object, owner: type[object]) -> object:
        return self if instance is None else instance.__dict__.get("team")

    def __set__(self, instance: object, value: object) -> None:
        instance.__dict__["team"] = value


class Hero(BaseModel):
    """As SQLModel makes it: a loaded relationship is in ``__dict__``, and so is the state of the ORM."""

    name: str


Hero.team = Related()  # type: ignore[attr-defined] # pyright: ignore[reportAttributeAccessIssue]


@dataclass(order=True)
class PrioritizedItem:
    """The recipe of Python's documentation for ``heapq`` and ``queue``."""

    priority: int
    item: Any = field(compare=False)


@dataclass(eq=False)
class Uncompared:
    """Is compared by identity."""

    item: Any


@dataclass
class Lazy:
    """Has a field that its constructor does not take."""

    x: int
    y: int = field(init=False, default=3)


@dataclass
class Derived:
    """Works a field out."""

    x: int
    y: int = field(init=False)
    hidden: int = field(default=0, repr=False, compare=False)

    def __post_init__(self) -> None:
        self.y = self.x + 1


@dataclass(slots=True, frozen=True)
class Slots:
    """Has slots."""

    item: Any = field(compare=False, hash=False)


@pydantic.dataclasses.dataclass
class Checked:
    """A dataclass of pydantic's."""

    x: int
    y: int = field(init=False, default=3)


@dataclass(eq=False)
class Fresh:
    """Takes something that it does not keep."""

    x: int
    seed: InitVar[int] = 0

    def __post_init__(self, seed: int) -> None:
        self.seeded = seed

    def __eq__(self, other: object) -> bool:
        return True

    __hash__ = object.__hash__


class Row(TypedDict):
    item: Any


class Pair(NamedTuple):
    item: Any


class Tag(str):
    """A str that is equal to everything."""

    def __eq__(self, other: object) -> bool:
        return True

    __hash__ = str.__hash__


class Amount(int):
    """An int with a currency."""

    currency: str = ""


class Level(enum.IntEnum):
    LOW = 1


class Shout(enum.StrEnum):
    HEY = "hey"


class Stamp(datetime):
    """A datetime with a name."""


class Temperature:
    """A class that pydantic knows through its serializer; compares nothing."""

    def __init__(self, degrees: float, unit: str = "C") -> None:
        self.degrees, self.unit = degrees, unit

    def __eq__(self, other: object) -> bool:
        return True

    __hash__ = object.__hash__


Heat = Annotated[
    Any,
    AfterValidator(lambda value: value if isinstance(value, Temperature) else Temperature(value)),
    PlainSerializer(lambda value: value.degrees),
]


def with_attribute(value: T, name: str, part: object) -> T:
    """``value``, which now holds something beside its fields."""
    object.__setattr__(value, name, part)
    return value


def named(amount: int, currency: str) -> Amount:
    value = Amount(amount)
    value.currency = currency
    return value


def stamped(name: str) -> Stamp:
    value = Stamp(2024, 1, 1, tzinfo=UTC)
    value.name = name  # type: ignore[attr-defined] # pyright: ignore[reportAttributeAccessIssue]
    return value


def ordered(keys: str) -> OrderedDict[str, int]:
    return OrderedDict((key, 1) for key in keys)


def changed(value: T, name: str, part: object) -> T:
    setattr(value, name, part)
    return value


SECRET = "SecretStr is masked in JSON"
EXCLUDED = "the field is excluded from JSON"
NO_FIELD = "it is not a field, and only fields are stored: declare it as one"
NO_INIT = "a field with init=False is not read back: declare it with init=True"
ZONE = "use a fixed offset, tzinfo=timezone(timedelta(hours=...))"
FOLD = "JSON does not store fold: use a datetime with a time zone"
MAXLEN = "AfterValidator(lambda items: deque(items, maxlen=...))"
FACTORY = "Field(default_factory=...)"

LOST: list[tuple[object, object, str]] = [
    # models whose == looks at less than there is, at any depth
    (Account, Account(), f"at token: {SECRET}"),
    (list[Account], [Account()], f"at [0].token: {SECRET}"),
    (dict[str, Account], {"a": Account()}, f"at ['a'].token: {SECRET}"),
    (tuple[int, Account], (1, Account()), f"at [1].token: {SECRET}"),
    (Account | None, Account(), f"at token: {SECRET}"),
    (Account | int, Account(), f"at token: {SECRET}"),
    (Box[Account], Box[Account](content=Account()), f"at content.token: {SECRET}"),
    (Box[list[Account] | None], Box[list[Account] | None](content=[Account()]), f"at content[0].token: {SECRET}"),
    (Accounts, Accounts([Account()]), f"at root[0].token: {SECRET}"),
    (Mixed, Mixed(note="x"), f"at note: {EXCLUDED}"),
    (set[Mixed], {Mixed(note="x")}, "would come back as"),
    (frozenset[Mixed], frozenset({Mixed(note="x")}), "would come back as"),
    (dict[str, Mixed], {"a": Mixed(note="x")}, f"at ['a'].note: {EXCLUDED}"),
    (Odd, Odd(), "at x: 1 would come back as 0"),
    (Box[SecretBytes], Box[SecretBytes](content=SecretBytes(b"x")), "SecretBytes is masked in JSON"),
    # what is no field
    (Note, with_attribute(Note(), "team", "red"), f"at team: 'red' would come back as nothing: {NO_FIELD}"),
    (list[Note], [with_attribute(Note(), "team", "red")], f"at [0].team: 'red' would come back as nothing: {NO_FIELD}"),
    (Hero, with_attribute(Hero(name="x"), "team", ["red"]), f"at team: ['red'] would come back as nothing: {NO_FIELD}"),
    (Slotted, with_attribute(Slotted(), "extra", 1), f"at extra: 1 would come back as nothing: {NO_FIELD}"),
    (Lazy, with_attribute(Lazy(1), "team", 1), f"at team: 1 would come back as nothing: {NO_FIELD}"),
    (Fresh, Fresh(1, seed=5), f"at seeded: 5 would come back as 0: {NO_FIELD}"),
    # dataclasses
    (PrioritizedItem, PrioritizedItem(1, (2, 3)), "at item: (2, 3) would come back as [2, 3]"),
    (list[PrioritizedItem], [PrioritizedItem(1, {4})], "at [0].item: {4} would come back as [4]"),
    (Uncompared, Uncompared((1,)), "at item: (1,) would come back as [1]"),
    (Slots, Slots((1,)), "at item: (1,) would come back as [1]"),
    (Lazy, changed(Lazy(1), "y", 5), f"at y: 5 would come back as 3: {NO_INIT}"),
    (Derived, changed(Derived(1), "y", 9), f"at y: 9 would come back as 2: {NO_INIT}"),
    (Checked, changed(Checked(1), "y", 9), f"at y: 9 would come back as 3: {NO_INIT}"),
    (Row, {"item": (1,)}, "at ['item']: (1,) would come back as [1]"),
    (Pair, Pair((1,)), "at [0]: (1,) would come back as [1]"),
    # containers with a state beside their items
    (deque[int], deque([1], maxlen=3), "at maxlen: 3 would come back as None: JSON does not store maxlen: declare"),
    (list[deque[int]], [deque([1], maxlen=3)], MAXLEN),
    (defaultdict[str, int], defaultdict(lambda: 5, a=1), FACTORY),
    (dict[str, int], OrderedDict(a=1), "OrderedDict is a subclass of dict"),
    (
        list[dict[str, int]],
        [OrderedDict(a=1)],
        "at [0]: OrderedDict is a subclass of dict and would come back as a dict",
    ),
    (list[dict[str, int]], [Counter(a=1)], "at [0]: Counter is a subclass of dict"),
    (list[bytes], [bytearray(b"x")], "at [0]: bytearray(b'x') would come back as b'x'"),
    (Any, [frozenset({1})], "would come back as"),
    # what Python calls equal
    (list[int], [True], "at [0]: bool is a subclass of int and would come back as an int: pass an int"),
    (list[int], [1.0], "at [0]: 1.0 would come back as 1"),
    (list[float], [True], "at [0]: True would come back as 1.0"),
    (list[int], [Level.LOW], "at [0]: Level is a subclass of int and would come back as an int: pass an int"),
    (list[int], [named(5, "EUR")], "at [0]: Amount is a subclass of int"),
    (list[str], [Shout.HEY], "at [0]: Shout is a subclass of str and would come back as a str: pass a str"),
    (dict[str, str], {Shout.HEY: "x"}, "would come back as nothing"),
    (dict[str, int], {"a": True}, "at ['a']: bool is a subclass of int"),
    (set[int], {True}, "would come back as"),
    (Any, Level.LOW, "Level is a subclass of int"),
    (Any, {"a": Shout.HEY}, "at ['a']: Shout is a subclass of str"),
    (Any, [Tag("x")], "at [0]: Tag is a subclass of str"),
    (complex, complex(-0.0, 1), "would come back as"),
    (Annotated[Decimal, PlainSerializer(float)], Decimal("1.0"), "Decimal('1.0') would come back as Decimal('1')"),
    (list[Annotated[float, PlainSerializer(abs)]], [-0.0], "at [0]: -0.0 would come back as 0.0"),
    (Annotated[PureWindowsPath, PlainSerializer(lambda p: str(p).lower())], PureWindowsPath("A"), "would come back as"),
    (
        re.Pattern[str],
        re.compile("a", re.IGNORECASE),
        'JSON does not store flags: write them into the pattern, re.compile("(?i)',
    ),
    # times
    (time, time(12, tzinfo=BERLIN), ZONE),
    (list[time], [time(12, tzinfo=BERLIN)], ZONE),
    (Box[time], Box[time](content=time(12, tzinfo=BERLIN)), ZONE),
    (time, time(12, tzinfo=timezone(timedelta(seconds=3601))), "would come back as"),
    (time, time(2, 30, fold=1), FOLD),
    (datetime, datetime(2024, 10, 27, 2, 30, fold=1), FOLD),  # noqa: DTZ001 - naive on purpose
    (list[datetime], [stamped("x")], "at [0]: Stamp is a subclass of datetime"),
    # classes of which nothing is known
    (Heat, Temperature(1.5, "F"), "at unit: 'F' would come back as 'C'"),
    (Box[Heat], Box[Heat](content=Temperature(1.5, "F")), "at content.unit: 'F' would come back as 'C'"),
]


@pytest.mark.parametrize(("form", "value", "reason"), LOST, ids=[f"{n}-{case[2][:30]}" for n, case in enumerate(LOST)])
def test_what_would_lose_state_is_refused(form: object, value: object, reason: str) -> None:
    """The default codec refuses it as a value and as an element of a list, and says what to write."""
    for codec in (codec_of(form), bind_codec(cast("type[object]", form), searched=True)):
        with pytest.raises(EncodeError) as caught:
            codec.encode(value)
        assert reason in str(caught.value)


KEPT: list[tuple[object, object]] = [
    (Mixed, Mixed()),
    (set[Mixed], {Mixed(id=2), Mixed()}),
    (Note, Note(text="x")),
    (Hero, with_attribute(Hero(name="x"), "_sa_instance_state", object())),
    (Slotted, Slotted(text="x")),
    (Lazy, Lazy(1)),
    (Derived, Derived(1, hidden=3)),
    (Checked, Checked(1)),
    (Fresh, Fresh(1)),
    (PrioritizedItem, PrioritizedItem(1, {"a": [1, True, 1.0, None]})),
    (Slots, Slots([1])),
    (deque[int], deque([1, 2])),
    (Annotated[deque[int], AfterValidator(lambda items: deque(items, maxlen=3))], deque([1], maxlen=3)),
    (defaultdict[str, int], defaultdict(int, a=1)),
    (OrderedDict[str, int], OrderedDict(b=1, a=2)),
    (Counter[str], Counter(a=0, b=2)),
    (list[float], [1, 2.5, -0.0, 0.0]),
    (dict[str, float], {"a": 1}),
    (Decimal, Decimal("1.00")),
    (Decimal, Decimal("-0.0")),
    (float, -0.0),
    (int | float, 1.0),
    (int | float, 1),
    (Any, [1, 1.0, True, -0.0, None, "x", {"a": {}}]),
    (Fraction, Fraction(1, 3)),
    (UUID, uuid1()),
    (IPv6Address, IPv6Address("fe80::1%eth0")),
    (re.Pattern[str], re.compile("(?i)a")),
    (PureWindowsPath, PureWindowsPath("A")),
    (time, time(12, tzinfo=timezone(timedelta(hours=2)))),
    (timedelta, timedelta(days=-1, microseconds=3)),
    (datetime, datetime(2024, 10, 27, 2, 30, fold=1, tzinfo=BERLIN)),
    (set[tuple[int, float]], {(1, 0.5), (2, 0.5), (3, 0.5)}),
    (Heat, Temperature(1.5)),
    (list[datetime], [Stamp(2024, 1, 1, tzinfo=UTC)]),
    (Level, Level.LOW),
]


@pytest.mark.parametrize(("form", "value"), KEPT, ids=[f"{n}-{type(case[1]).__name__}" for n, case in enumerate(KEPT)])
def test_what_keeps_its_state_is_stored(form: object, value: object) -> None:
    """A value of which nothing is lost is stored, whatever its == says."""
    for codec in (codec_of(form), bind_codec(cast("type[object]", form), searched=True)):
        assert first_difference(value, codec.decode(codec.encode(value))) is None


def test_what_is_not_stored_is_not_state() -> None:
    """Private attributes, cached properties and the order of a dict are documented as not kept."""
    note = Note(text="x")
    assert note.length == 1
    with_attribute(note, "_loaded", True)

    assert codec_for(Note).encode(note) == b'{"text":"x"}'
    assert first_difference({"a": 1, "b": 2}, {"b": 2, "a": 1}) is None
    assert first_difference(ordered("ab"), ordered("ba")) is not None


class Pickled:
    """A codec that keeps everything, or all but what the test says."""

    def __init__(self, lose: Callable[[Any], object] = lambda value: value) -> None:
        self.lose = lose

    def encode(self, value: object, /) -> bytes:
        return pickle.dumps(value)

    def decode(self, raw: bytes, /) -> Any:
        value = pickle.loads(raw)
        return self.lose(value)


class Node:
    """An ordinary class, compared by identity, in a cycle."""

    def __init__(self, name: str) -> None:
        self.name = name
        self.next = self


@pytest.mark.parametrize(
    "value",
    [
        Account(),
        Temperature(1.5, "F"),
        Uncompared((1, {2})),
        deque([1], maxlen=3),
        defaultdict(list, a=[1]),
        named(5, "EUR"),
        Tag("x"),
        time(12, tzinfo=BERLIN, fold=1),
        Decimal("sNaN"),
        float("nan"),
        Fraction(1, 3),
        range(3),
        Node("x"),
        [Node("x")],
        {Mixed(id=1), Mixed(id=2)},
        Pair((1,)),
        Level.LOW,
        int,
        re.compile("a", re.IGNORECASE),
        bytearray(b"x"),
        {"a": frozenset({(1, 2.0)})},
    ],
    ids=lambda value: type(value).__name__,
)
def test_a_codec_that_keeps_everything_may_store_anything(value: object) -> None:
    """With a codec of the user's, what comes back with its state is stored, though == may say that it is another."""
    codec = checked(Pickled(), object)

    assert codec.encode(value)


@pytest.mark.parametrize(
    ("value", "name", "part"),
    [
        (Account(), "token", SecretStr("another")),
        (Temperature(1.5), "unit", "F"),
        (Uncompared(1), "item", 2),
        (PrioritizedItem(1, 2), "item", 3),
        (named(5, "EUR"), "currency", "USD"),
        (stamped("x"), "name", "y"),
        (Node("x"), "name", "y"),
        (Fresh(1), "seeded", 2),
    ],
    ids=lambda value: type(value).__name__,
)
def test_a_codec_that_loses_state_is_refused(value: object, name: str, part: object) -> None:
    """A codec of the user's that changes one attribute stores nothing, in values and in sets."""
    for canonical in (False, True):
        codec = checked(Pickled(lambda back: changed(back, name, part)), object, canonical=canonical)
        with pytest.raises(EncodeError, match=r"would come back as|is masked"):
            codec.encode(value)


@pytest.mark.parametrize(
    ("value", "equal"),
    [
        (Decimal("1.0"), Decimal(1)),
        (0.0, -0.0),
        ([Decimal("1.0")], [Decimal(1)]),
        (time(10, tzinfo=UTC), time(12, tzinfo=timezone(timedelta(hours=2)))),
        ({Decimal("1.0"): 0.0}, {Decimal(1): -0.0}),
    ],
)
def test_keys_and_members_need_only_be_equal(value: object, equal: object) -> None:
    """Normal form may change how an equal number or time is written, and nothing else; values keep even that."""
    assert first_difference(value, equal, Rule(normal=True)) is None
    assert first_difference(value, equal) is not None


@pytest.mark.parametrize("form", [time, Decimal, Mixed, tuple[int, time]])
def test_a_key_keeps_its_state_too(form: Any) -> None:
    """A key or member is refused where it would lose more than the way in which it is written."""
    lost = {time: time(12, tzinfo=BERLIN), Mixed: Mixed(note="x"), tuple[int, time]: (1, time(12, tzinfo=BERLIN))}
    codec = canonical_codec_for(form)

    if form is Decimal:
        assert codec.decode(codec.encode(Decimal("1.00"))) == 1
    else:
        with pytest.raises(EncodeError, match=r"would come back as|would be lost"):
            codec.encode(lost[form])


def bounded(items: list[object], maxlen: int | None) -> deque[object]:
    return deque(items, maxlen)


values: st.SearchStrategy[object] = st.recursive(
    st.none()
    | st.booleans()
    | st.integers(-3, 3)
    | st.floats(width=16)
    | st.text("ab", max_size=2)
    | st.binary(max_size=2)
    | st.decimals(-2, 2, places=1)
    | st.dates(date(2024, 1, 1), date(2024, 1, 3))
    | st.sampled_from([Level.LOW, Shout.HEY, Tag("a"), named(1, "EUR"), named(1, "USD"), Mixed(), Mixed(note="x")]),
    lambda inner: (
        st.lists(inner, max_size=3)
        | st.tuples(inner)
        | st.dictionaries(st.text("ab", max_size=1) | st.integers(0, 2), inner, max_size=3)
        | st.builds(bounded, st.lists(inner, max_size=2), st.none() | st.just(5))
        | st.builds(Uncompared, inner)
        | st.builds(PrioritizedItem, st.just(1), inner)
    ),
    max_leaves=6,
)


def shape(value: object) -> object:
    """A value as nested tuples of classes and texts: two are equal only if nothing can tell the values apart."""
    kind = type(value)
    if isinstance(value, enum.Enum):
        return (kind, value.name)
    if isinstance(value, (list, tuple, deque)):
        items = cast("list[object]", value)
        return (kind, tuple(map(shape, items)), getattr(items, "maxlen", None))
    if isinstance(value, dict):
        pairs = cast("dict[object, object]", value)
        return (kind, frozenset((shape(key), shape(item)) for key, item in pairs.items()))
    attributes = tuple((name, shape(part)) for name, part in sorted(getattr(value, "__dict__", {}).items()))
    text = "" if attributes and not isinstance(value, (int, str)) else repr(value)
    return (kind, text, attributes)


@given(values, values)
def test_the_judge_tells_all_values_apart(one: object, other: object) -> None:
    """For arbitrary values the judge says "the same" exactly if neither class, text nor attribute tells them apart."""
    assert first_difference(one, copy.deepcopy(one)) is None
    numbers = isinstance(one, int) and type(other) is float and not isinstance(one, bool)
    if not numbers and "float" not in repr(shape((one, other))):
        assert (first_difference(one, other) is None) is (shape(one) == shape(other))
