"""What comes from outside stands in messages, notes, logs and reprs: bounded, printable, hidden if it is a value."""

from __future__ import annotations

import ast
import traceback
from collections.abc import Awaitable, Callable, Iterator
from pathlib import Path
from typing import Any, cast

import pytest
from pydantic import BaseModel
from redis.asyncio import Redis
from redis.exceptions import InvalidResponse, RedisError

import purse
from purse import (
    TTL,
    RedisHash,
    RedisKeySpace,
    RedisLifoQueue,
    RedisList,
    RedisLock,
    RedisPriorityQueue,
    RedisQueue,
    RedisRateLimiter,
    RedisSemaphore,
    RedisSet,
    RedisSortedSet,
    Redlock,
    Store,
    codec_for,
    configure,
)
from purse._engine import replies
from purse._engine.packing import exec_replies
from purse.codecs import hide_values
from purse.codecs._shown import is_hidden, named, place, quoted, said, shown
from purse.embedded import Server
from purse.errors import UnsupportedServer
from tests.collections.garden import collect
from tests.collections.tables import TABLES
from tests.support.clients import connect
from tests.support.proxy import Proxy

SECRET = "hunter2"
LONG = 1_000_000
HOSTILE = "{x}\nERROR forged\x1b[31m\u202e" + "k" * LONG
TOLD = 3_000  # characters that a message may have, with all its notes


@pytest.fixture
def hidden() -> Iterator[None]:
    """Values are hidden for the time of a test."""
    hide_values()
    yield
    hide_values(False)


def told(error: BaseException) -> str:
    """What a log has of an exception: message, notes and causes, without the lines of code."""
    lines: list[str] = []
    seen: BaseException | None = error
    while seen is not None:
        lines += traceback.format_exception_only(seen)
        seen = seen.__cause__ or (None if seen.__suppress_context__ else seen.__context__)
    return "".join(lines)


def check(text: str) -> None:
    """It is short, and each of its lines is one that purse has made."""
    assert len(text) <= TOLD
    assert "\nERROR forged" not in text
    assert all(line.isprintable() for line in text.splitlines())
    assert all(char == "\n" or char.isprintable() for char in text)


# --- the functions ------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "value",
    [
        "x" * LONG,
        b"x" * LONG,
        ["x" * LONG] * 3,
        [b"\x1b"] * LONG,
        {"k" * LONG: {"k" * LONG: ["v" * LONG]}},
        {b"a": [b"x" * LONG], b"b": None},
        ("x" * LONG,),
        {"x" * LONG},
        10**5000,  # of which Python refuses to make a text
        [[[[[[[["x"]]]]]]]] * LONG,
    ],
    ids=lambda value: type(value).__name__,
)
def test_each_is_bounded(value: object) -> None:
    """However large a value is, a message has a few hundred characters of it."""
    for text in (shown(value), quoted(value), place("k", value)):
        check(text)
        assert len(text) < 500


def test_a_value_inside_itself_is_bounded() -> None:
    """A list that holds itself, or lists in lists without end, can be shown."""
    endless: list[object] = []
    endless.append(endless)

    assert len(shown(endless)) < 500


@pytest.mark.parametrize(
    "value",
    [
        "a",
        "'",
        "\n",
        b"\xff",
        [],
        [1, "a"],
        (),
        (1,),
        (1, 2),
        {},
        {"a": [1]},
        {1},
        set[int](),
        frozenset({1}),
        None,
        1.5,
    ],
    ids=repr,
)
def test_what_is_small_is_a_repr(value: object) -> None:
    """It stands there as Python shows it."""
    assert shown(value) == repr(value)


class Rude:
    """Its repr is of several lines, or none at all."""

    def __init__(self, text: str | None) -> None:
        self._text = text

    def __repr__(self) -> str:
        if self._text is None:
            raise RuntimeError("no")
        return self._text


def test_reprs_of_others_are_made_printable() -> None:
    """A ``__repr__`` with line ends and escape sequences, or one that raises, cannot spoil a message."""
    assert shown(Rude("a\n\x1b[31m")) == "a\\n\\x1b[31m"
    assert shown(Rude(None)) == "<Rude>"
    assert shown([Rude(None)]) == "[<Rude>]"
    check(said(ValueError(HOSTILE)))
    check(named(HOSTILE))


class Client(Redis):
    """A client of a user's."""


@pytest.mark.parametrize("kind", [Redis, Client])
def test_a_client_is_shown_by_its_class(kind: type[Redis]) -> None:
    """Redis-py's repr of a client has the address, and in some versions the user and the password."""
    client = kind(host="h", password=SECRET)

    assert shown(client) == shown([client])[1:-1] == f"<{kind.__name__}>"
    with pytest.raises(TypeError, match=rf"write RedisHash\(client, <{kind.__name__}>, "):
        RedisHash(client, cast("str", client), int)


def test_ordinary_keys_stand_as_they_are() -> None:
    """Printable keys of any script are shown without quotes, and fields with."""
    assert place("{garden}:beete:ä", "spinach") == "{garden}:beete:ä['spinach']"
    assert place("{garden}:beds", 3) == "{garden}:beds[3]"
    assert named("a\nb") == "a\\nb"


@pytest.mark.usefixtures("hidden")
def test_hidden_values_leave_their_type() -> None:
    """Of a value only its type is told; keys and fields say where, and stay."""
    assert is_hidden()
    assert shown(SECRET) == "str"
    assert shown([SECRET]) == "list"
    assert shown(SECRET.encode()) == "<hidden>"
    assert place("k", "f") == "k['f']"


def test_a_server_does_not_repeat_what_it_was_sent() -> None:
    """The arguments that a server quotes for a command that it does not know are left out."""
    text = f"unknown command 'HSET', with args beginning with: 'k' 'card' '{SECRET}' "

    assert said(RedisError(text)) == "unknown command 'HSET'"


# --- the kind: every place that shows something ---------------------------------------------------------

PURSE = Path(purse.__file__).parent
# What these show stands in the source of the program: names, options and annotations of a class body.
DECLARATIONS = {
    "codecs/_adapters.py",
    "codecs/_binding.py",
    "codecs/_canonical.py",
    "codecs/_type_names.py",
    "codecs/_value_codecs.py",
}
OUTSIDE = {"rkey", "prefix", "suffix", "_prefix", "_key", "_name", "raw", "reply", "url"}


def modules() -> list[Path]:
    """The modules that run when calls are made."""
    paths = sorted(PURSE.rglob("*.py"))
    return [path for path in paths if not _declares(path.relative_to(PURSE)) and path.name != "_shown.py"]


def _declares(path: Path) -> bool:
    return path.stem == "__init__" or path.parts[0] == "_declaration" or path.as_posix() in DECLARATIONS


def told_in(tree: ast.AST) -> Iterator[ast.JoinedStr]:
    """The texts that exceptions, notes and reprs are made of."""
    for node in ast.walk(tree):
        reports = isinstance(node, ast.Raise)
        if isinstance(node, ast.Call):
            name = node.func.attr if isinstance(node.func, ast.Attribute) else getattr(node.func, "id", "")
            reports = name == "add_note" or name.endswith(("Error", "WrongKind", "LockLost", "LockNotAcquired"))
        if isinstance(node, ast.FunctionDef):
            reports = node.name == "__repr__"
        if reports:
            yield from (part for part in ast.walk(node) if isinstance(part, ast.JoinedStr))


@pytest.mark.rows(16)
@pytest.mark.parametrize("path", modules(), ids=lambda path: str(path.relative_to(PURSE)))
def test_nothing_is_shown_by_itself(path: Path) -> None:
    """No module quotes with ``!r``, and none puts a key into a message as it is: they ask ``_shown``."""
    tree = ast.parse(path.read_text(encoding="utf-8"))
    faults = {
        (node.lineno, ast.unparse(part.value))
        for node in ast.walk(tree)
        if isinstance(node, ast.JoinedStr)
        for part in node.values
        if isinstance(part, ast.FormattedValue) and part.conversion == ord("r")
    }
    for text in told_in(tree):
        for part in text.values:
            if isinstance(part, ast.FormattedValue) and isinstance(part.value, (ast.Name, ast.Attribute)):
                name = part.value.attr if isinstance(part.value, ast.Attribute) else part.value.id
                if name in OUTSIDE:
                    faults.add((text.lineno, ast.unparse(part.value)))

    assert faults == set()


NOW = {name: [case for case in table.CALLS if case.trips != 0] for name, table in TABLES.items()}


@pytest.mark.rows(1)
@pytest.mark.parametrize("name", TABLES)
async def test_every_method_tells_a_hostile_key(redis: Redis, monkeypatch: pytest.MonkeyPatch, name: str) -> None:
    """A key of a megabyte with line ends and escape sequences makes a short, printable message in each method."""
    table = TABLES[name]
    monkeypatch.setattr(table, "KEY", HOSTILE)
    collection = table.build(redis)
    errors = 0
    check(repr(collection))

    for case in NOW[name]:
        if "waits" in case.name:
            continue
        await redis.delete(HOSTILE, f"{HOSTILE}a")
        await redis.xadd(HOSTILE, {"a": "1"})  # of no type that is tested here
        await redis.xadd(f"{HOSTILE}a", {"a": "1"})
        try:
            await case.call(collection)
        except Exception as error:
            check(told(error))
            errors += 1

    assert errors >= sum(case.touches for case in NOW[name])


async def test_hostile_fields_and_identities(redis: Redis) -> None:
    """The same for fields, values, identities, locks and what is not found."""
    await redis.set(HOSTILE, "x")
    await redis.hset("h", HOSTILE, "x")
    await redis.set(f"limits:{HOSTILE}", "x")
    h, xs = RedisHash(redis, HOSTILE, int), RedisList(redis, HOSTILE, int)
    calls: list[Callable[[], Awaitable[object]]] = [
        lambda: h.set("a", cast("int", HOSTILE)),
        lambda: h.get(cast("str", 3)),
        lambda: h.update({HOSTILE: cast("int", HOSTILE)}),
        lambda: RedisHash(redis, "h", int).get(HOSTILE),
        lambda: RedisHash(redis, "h", int).increment(HOSTILE),
        lambda: collect(RedisHash(redis, "h", int, key_type=int).items()),
        lambda: RedisHash(redis, "h", dict[str, int], default_factory=dict[str, int]).patch(HOSTILE, **{HOSTILE: 1}),
        lambda: xs.move(cast("RedisList[int]", HOSTILE)),
        lambda: RedisKeySpace(redis, HOSTILE, int).update(cast("dict[str, int]", {3: 1})),
        lambda: RedisRateLimiter(redis, HOSTILE, rate="1/hour").hit(),
        lambda: RedisRateLimiter(redis, "limits", rate="1/hour").hit(HOSTILE),
        lambda: RedisLock(redis, HOSTILE).within(0.05).__aenter__(),
        lambda: RedisLock(redis, HOSTILE).release(),
        lambda: RedisSemaphore(redis, HOSTILE, limit=1).acquire(),
        lambda: Redlock(key=HOSTILE, masters=[redis]).release(),
    ]

    for nth, call in enumerate(calls):
        with pytest.raises(Exception) as caught:  # noqa: PT011 - whatever it is, its text is what is tested
            await call()
        assert not isinstance(caught.value, AssertionError), nth
        check(told(caught.value))


async def test_the_words_of_a_server_are_bounded(proxy: Proxy) -> None:
    """Whatever a server answers in place of a value: an error of a megabyte, with escape sequences, is a short line."""
    client = connect(proxy.url)
    h = RedisHash(client, "h", int)
    assert await h.get("a") is None
    for kind in (b"ERR", b"NOPERM", b"OOM", b"WRONGTYPE", b"MISCONF", b"CLUSTERDOWN"):
        proxy.answer(b"-" + kind + b" \x1b[31m" + b"x" * LONG + b"\r\n", 1)
        with pytest.raises(RedisError) as caught:
            await h.get("a")
        check(told(caught.value))


async def test_collections_of_hostile_names_have_a_repr(redis: Redis) -> None:
    """Every collection, a permit and a store show their key in a few characters."""

    class Plot(Store, namespace="plot:{name}"):
        """Has a parameter."""

        def __init__(self, redis: Redis, *, name: str) -> None:
            super().__init__(redis, name=name)

    made: list[object] = [
        RedisHash(redis, HOSTILE, int),
        RedisList(redis, HOSTILE, int),
        RedisSet(redis, HOSTILE, int),
        RedisSortedSet(redis, HOSTILE, int),
        RedisKeySpace(redis, HOSTILE, int),
        RedisQueue(redis, HOSTILE, int),
        RedisLifoQueue(redis, HOSTILE, int),
        RedisPriorityQueue(redis, HOSTILE, int),
        RedisRateLimiter(redis, HOSTILE, rate="1/hour"),
        RedisLock(redis, HOSTILE),
        semaphore := RedisSemaphore(redis, HOSTILE, limit=1),
        await semaphore.acquire(),
        Plot(redis, name=HOSTILE),
    ]

    for thing in made:
        check(repr(thing))


# --- hidden values ------------------------------------------------------------------------------------


class Bed(BaseModel):
    """Has a field."""

    name: str = ""


GIVEN: dict[str, Callable[[Redis, Any], object]] = {
    "a key": lambda r, x: RedisHash(r, x, int),
    "a hash key": lambda r, x: RedisHash(r, "k", int, key_type=int).get(x),
    "a hash value": lambda r, x: RedisHash(r, "k", int).set("a", x),
    "a number to add": lambda r, x: RedisHash(r, "k", int).increment("a", x),
    "a key of a key space": lambda r, x: RedisKeySpace(r, "k:", int, key_type=int).get(x),
    "a suffix": lambda r, x: RedisKeySpace(r, "k:", int, suffix=x),
    "a duration": lambda r, x: RedisKeySpace(r, "k:", int).set("a", 1, ex=x),
    "an element": lambda r, x: RedisList(r, "k", int).append(x),
    "another list": lambda r, x: RedisList(r, "k", int).move(x),
    "maxlen": lambda r, x: RedisList(r, "k", int, maxlen=x),
    "a side": lambda r, x: RedisList(r, "k", int).move(RedisList(r, "l", int), src=x),
    "a member": lambda r, x: RedisSet(r, "k", int).add(x),
    "another set": lambda r, x: RedisSet(r, "k", int).union(x),
    "a score": lambda r, x: RedisSortedSet(r, "k", int).add((1, x)),
    "keep": lambda r, x: RedisSortedSet(r, "k", int).add((1, 1), keep=x),
    "on_error": lambda r, x: collect(RedisList(r, "k", int).values(on_error=x)),
    "maxsize": lambda r, x: RedisQueue(r, "k", int, maxsize=x),
    "a priority": lambda r, x: RedisPriorityQueue(r, "k", int).put((1, x)),
    "an item": lambda r, x: RedisPriorityQueue(r, "k", int).put(x),
    "an identity": lambda r, x: RedisRateLimiter(r, "k", rate="1/hour").hit(x),
    "a cost": lambda r, x: RedisRateLimiter(r, "k", rate="1/hour").hit(cost=x),
    "a rate": lambda r, x: RedisRateLimiter(r, "k", rate=x),
    "a limit": lambda r, x: RedisSemaphore(r, "k", limit=x),
    "a lease": lambda r, x: RedisLock(r, "k", lease=x),
    "replicas": lambda r, x: RedisLock(r, "k", replicas=x),
    "renew": lambda r, x: TTL(hours=1, renew=x),
    "jitter": lambda r, x: TTL(hours=1, jitter=x),
    "an engine": lambda r, x: configure(r, engine=x),
    "a client": lambda r, x: RedisHash(x, "k", int),
    "a value of a codec": lambda r, x: codec_for(Bed).encode(x),
}


@pytest.mark.rows(16)
@pytest.mark.usefixtures("hidden")
@pytest.mark.parametrize("given", [f"{SECRET}\udc80", [SECRET], {SECRET: SECRET}], ids=["str", "list", "dict"])
@pytest.mark.parametrize("name", GIVEN)
async def test_what_was_given_is_hidden(redis: Redis, name: str, given: object) -> None:
    """A value that stands where something else belongs is not in the message that refuses it."""
    try:
        outcome = GIVEN[name](redis, given)
        if isinstance(outcome, Awaitable):
            await outcome
    except Exception as error:
        refused = told(error)
    else:
        refused = ""
    assert SECRET not in refused
    assert refused


@pytest.mark.usefixtures("hidden")
async def test_members_are_hidden(redis: Redis) -> None:
    """A stored member that does not decode is in no message, not as the place either."""
    await redis.zadd("z", {SECRET: 1})
    await redis.sadd("s", SECRET)
    await redis.rpush("l", SECRET)
    calls: list[Callable[[], Awaitable[object]]] = [
        lambda: collect(RedisSortedSet(redis, "z", int).values()),
        lambda: RedisSortedSet(redis, "z", int).pop_min(),
        lambda: collect(RedisSet(redis, "s", int).values()),
        lambda: RedisSet(redis, "s", int).pop(),
        lambda: collect(RedisList(redis, "l", int).values()),
        lambda: RedisList(redis, "l", int).pop(),
    ]

    for call in calls:
        with pytest.raises(ValueError) as caught:  # noqa: PT011 - its text is what is tested
            await call()
        assert SECRET not in told(caught.value)


READERS: dict[str, Callable[[Any], object]] = {
    "as_int": lambda reply: replies.as_int(reply),
    "as_bytes": lambda reply: replies.as_bytes([reply]),
    "as_array": lambda reply: replies.as_array(reply),
    "as_all_bytes": lambda reply: replies.as_all_bytes([reply, None]),
    "as_pairs": lambda reply: replies.as_pairs([reply, None]),
    "exec_replies": lambda reply: exec_replies([reply]),
}


@pytest.mark.usefixtures("hidden")
@pytest.mark.parametrize("name", READERS)
def test_a_reply_of_another_shape_is_hidden(name: str) -> None:
    """A reply that cannot be what was asked for is told by its type."""
    with pytest.raises(InvalidResponse) as caught:
        READERS[name](SECRET.encode() * LONG)
    assert SECRET not in told(caught.value)
    check(told(caught.value))


@pytest.mark.parametrize("hide", [False, True])
async def test_a_command_that_the_server_does_not_know(hide: bool) -> None:
    """The server repeats the arguments of a command that it does not know; the message does not."""
    with Server(config={"rename-command": 'HSET ""'}) as server:
        client = connect(server.url)
        hide_values(hide)
        try:
            with pytest.raises(UnsupportedServer, match=r"unknown command .HSET.") as caught:
                await RedisHash(client, "k", str).set("card", SECRET)
        finally:
            hide_values(False)
            await client.aclose()

    assert SECRET not in told(caught.value)
