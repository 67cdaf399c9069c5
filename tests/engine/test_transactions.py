"""Nothing that stands behind a refused MULTI or EXEC is executed, and a client that may use them pays nothing."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable, Iterator, Sequence
from typing import TypeAlias, cast

import pytest
from redis.asyncio import Redis
from redis.exceptions import (
    BusyLoadingError,
    ConnectionError,
    ExecAbortError,
    NoPermissionError,
    RedisError,
    ResponseError,
)

from purse import statistics
from purse._engine import transactions
from purse._engine.packing import pack
from purse._engine.registry import executor_for
from purse._engine.replies import Reply
from purse._engine.transactions import QUESTION, judge
from purse.embedded import Server
from tests.support.clients import all_keys, command, connect
from tests.support.monitor import Monitor
from tests.support.polling import until
from tests.support.proxy import Proxy
from tests.support.units import read, send, unit

Rules: TypeAlias = Callable[..., Awaitable[None]]
Refused: TypeAlias = "tuple[tuple[str, ...], str | None]"

REFUSED = [
    pytest.param((("-multi",), None), id="no MULTI"),
    pytest.param((("-exec",), None), id="no EXEC"),
    pytest.param((("-@transaction",), None), id="neither"),
    pytest.param(((), "MULTI"), id="MULTI disabled"),
    pytest.param(((), "EXEC"), id="EXEC disabled"),
]
BOTH = (("SET", "left", 1), ("SET", "right", 1))


@pytest.fixture(scope="module")
def disabling() -> Iterator[dict[str, Server]]:
    """Servers on which a command is disabled, as some services do it."""
    with (
        Server(port=0, password="", config={"rename-command": 'MULTI ""'}) as multi,
        Server(port=0, password="", config={"rename-command": 'EXEC ""'}) as exec_,
    ):
        yield {"MULTI": multi, "EXEC": exec_}


@pytest.fixture
async def gardener(redis: Redis) -> AsyncIterator[Rules]:
    """Sets what the user ``gardener`` may do beside everything."""

    async def rules(*words: str) -> None:
        await command(redis, "ACL", "SETUSER", "gardener", "on", ">secret", "~*", "+@all", *words)

    await rules()
    yield rules
    await command(redis, "ACL", "DELUSER", "gardener")


@pytest.fixture(params=REFUSED)
def refused(request: pytest.FixtureRequest) -> Refused:
    """ACL rules of a user, and a command that is disabled."""
    return cast("Refused", request.param)


@pytest.fixture
async def owner(server: Server, redis: Redis, refused: Refused, disabling: dict[str, Server]) -> AsyncIterator[Redis]:
    """A client of the server that ``refused`` concerns, which sends single commands."""
    _, disabled = refused
    client = connect((server if disabled is None else disabling[disabled]).url)
    await command(client, "FLUSHALL")
    yield client
    await client.aclose()


@pytest.fixture
async def client(
    server: Server, gardener: Rules, refused: Refused, disabling: dict[str, Server], owner: Redis
) -> AsyncIterator[Redis]:
    """A client that may not use transactions: of a restricted user, or of a server that has disabled them."""
    rules, disabled = refused
    await gardener(*rules)
    if disabled is None:
        client = connect(server.url, username="gardener", password="secret")
    else:
        client = connect(disabling[disabled].url)
    yield client
    await client.aclose()


async def transact(client: Redis) -> list[Reply]:
    return await executor_for(client).execute(unit(*BOTH))


def says_what_to_do(error: BaseException) -> bool:
    return any("+multi +exec" in note for note in error.__notes__)


# --- refused --------------------------------------------------------------------------------------


@pytest.mark.parametrize("warm", [False, True], ids=["first call", "later"])
async def test_nothing_behind_it_is_executed(client: Redis, owner: Redis, warm: bool) -> None:
    """The error is the server's with the fix, nothing was applied, and every later call is right."""
    if warm:
        assert await send(client, "SET", "warm", 1) == b"OK"

    for _ in range(3):
        with pytest.raises(ResponseError, match=r"(?i)multi|exec") as caught:
            await transact(client)
        assert says_what_to_do(caught.value)

    assert await owner.exists("left", "right") == 0
    assert await send(client, "INCR", "n") == 1
    assert await read(client, "GET", "n") == b"1"


@pytest.mark.rows(6)
@pytest.mark.parametrize("rounds", range(3))
async def test_calls_of_other_tasks_are_right(client: Redis, owner: Redis, rounds: int) -> None:
    """Of 200 calls that come together, the single ones are executed once each, in their order, and no unit is."""

    async def call(nth: int) -> object:
        return await (transact(client) if nth % 3 == rounds else send(client, "RPUSH", "calls", nth))

    outcomes = await asyncio.gather(*(call(nth) for nth in range(200)), return_exceptions=True)

    single = [nth for nth in range(200) if nth % 3 != rounds]
    wrong = {nth: outcome for nth, outcome in enumerate(outcomes) if isinstance(outcome, int) != (nth in single)}
    assert wrong == {}
    assert sorted(n for n in outcomes if isinstance(n, int)) == list(range(1, len(single) + 1))
    pushed = [int(word) for word in await command(owner, "LRANGE", "calls", 0, -1)]
    assert sorted(pushed) == single
    if statistics(client).mode == "shared":
        assert pushed == single
    assert await all_keys(owner) == [b"calls"]


async def test_a_transaction_of_one_command(client: Redis, owner: Redis) -> None:
    """``transact``, which sends MULTI around a single command too, is answered with the refusal alone."""
    replies = await executor_for(client).transact(unit(("SET", "left", 1)))

    assert [isinstance(reply, ResponseError) for reply in replies] == [True]
    assert await all_keys(owner) == []


async def test_each_caller_has_an_error_to_itself(client: Redis) -> None:
    """What one caller adds to its error is not seen by another."""
    outcomes = await asyncio.gather(*(transact(client) for _ in range(5)), return_exceptions=True)

    errors = [outcome for outcome in outcomes if isinstance(outcome, RedisError)]
    assert len({*map(id, errors)}) == 5
    assert {len(error.__notes__) for error in errors} == {2}


async def test_a_refusal_is_remembered(
    proxy: Proxy, redis: Redis, gardener: Rules, monkeypatch: pytest.MonkeyPatch
) -> None:
    """While it counts nothing is asked again; then a right that was granted since is noticed on the same connection."""
    await gardener("-multi")
    client = connect(proxy.url, username="gardener", password="secret", max_connections=2)
    monkeypatch.setattr(transactions, "AGAIN", 1e6)
    for _ in range(10):
        with pytest.raises(NoPermissionError):
            await transact(client)
    assert proxy.requests.count(b"MULTI") == 1
    accepted = proxy.accepted
    await gardener("+multi")

    with pytest.raises(NoPermissionError):
        await transact(client)
    permission = executor_for(client).links._permission  # pyright: ignore[reportPrivateUsage]
    assert permission._refused is not None  # pyright: ignore[reportPrivateUsage]
    permission._refused = permission._refused[0], 0.0  # pyright: ignore[reportPrivateUsage]

    assert await transact(client) == [b"OK", b"OK"]
    assert proxy.accepted == accepted


@pytest.mark.parametrize("right", ["multi", "exec"])
async def test_a_right_that_is_taken_away(server: Server, redis: Redis, gardener: Rules, right: str) -> None:
    """The call that finds out says what became of its commands; nothing of a later one is executed."""
    client = connect(server.url, username="gardener", password="secret")
    assert await transact(client) == [b"OK", b"OK"]
    await redis.delete("left", "right")
    await gardener(f"-{right}")

    with pytest.raises(NoPermissionError, match=right) as caught:
        await transact(client)
    fate = {"multi": "executed one by one", "exec": "None of the commands was executed"}[right]
    assert any(fate in note for note in caught.value.__notes__)
    assert await redis.exists("left", "right") == (2 if right == "multi" else 0)
    await redis.delete("left", "right")

    outcomes = await asyncio.gather(*(transact(client) for _ in range(5)), return_exceptions=True)
    assert [type(outcome) for outcome in outcomes] == [NoPermissionError] * 5
    assert await redis.exists("left", "right") == 0
    counted = await asyncio.gather(*(send(client, "INCR", "n") for _ in range(5)))
    assert sorted(n for n in counted if isinstance(n, int)) == [1, 2, 3, 4, 5]


# --- allowed --------------------------------------------------------------------------------------


async def test_it_costs_no_round_trip(proxy: Proxy, redis: Redis) -> None:
    """The question goes out once on a connection, in front of its first call; a unit is what it always was."""
    client = connect(proxy.url)
    await send(client, "PING")
    proxy.requests.clear()

    for _ in range(20):
        await transact(client)

    assert bytes(proxy.requests) == pack(unit(*BOTH))[0] * 20
    assert (statistics(client).commands, statistics(client).batches) == (21, 21)


async def test_it_is_asked_before_the_first_call(server: Server, redis: Redis) -> None:
    """It is not seen between a call's own commands."""
    assert server.port is not None
    client = connect(server.url)
    async with Monitor(server.port) as monitor:
        await send(client, "SET", "n", 1)
        first = [words[0] for words in await monitor.commands() if words[0] not in ("HELLO", "CLIENT")]
        await transact(client)

        assert first == ["MULTI", "EXEC", "SET"]
        assert [words[0] for words in await monitor.commands()] == ["MULTI", "SET", "SET", "EXEC"]


@pytest.mark.engines("shared", "driven")
async def test_the_order_is_kept(proxy: Proxy, redis: Redis) -> None:
    """Calls behind a unit that waits for the answer are executed behind it."""
    client = connect(proxy.url)
    proxy.delay(0.01)

    replies: Sequence[object] = await asyncio.gather(
        send(client, "RPUSH", "calls", 1),
        executor_for(client).execute(unit(("RPUSH", "calls", 2), ("RPUSH", "calls", 3))),
        send(client, "RPUSH", "calls", 4),
        executor_for(client).execute(unit(("RPUSH", "calls", 5), ("LLEN", "calls"))),
        send(client, "LLEN", "calls"),
    )

    assert replies == [1, [2, 3], 4, [5, 5], 5]
    assert proxy.requests.count(QUESTION[0]) == 1


async def test_a_unit_that_waits_for_the_answer_can_be_cancelled(proxy: Proxy, redis: Redis) -> None:
    """It was not sent, so it is never executed; the others are."""
    client = connect(proxy.url)
    await command(client, "PING")
    asked = len(proxy.requests)
    proxy.delay(0.05)
    waiting = [asyncio.create_task(transact(client)) for _ in range(3)]
    await until(lambda: question_is_out(proxy, asked), True)
    waiting[0].cancel()

    outcomes = await asyncio.gather(*waiting, return_exceptions=True)

    assert isinstance(outcomes[0], asyncio.CancelledError)
    assert outcomes[1:] == [[b"OK", b"OK"]] * 2
    assert proxy.requests.count(b"left") == 2


async def question_is_out(proxy: Proxy, beyond: int = 0) -> bool:
    return QUESTION[0] in proxy.requests[beyond:]


async def test_a_connection_that_is_lost_before_the_answer(proxy: Proxy, redis: Redis) -> None:
    """A unit that waited for it was not sent: it is sent on the next connection, once."""
    client = connect(proxy.url)
    push = unit(("RPUSH", "calls", 1), ("RPUSH", "calls", 2))
    await command(client, "PING")
    proxy.delay(0.1)  # of the answer: the connection is set up before it
    call = asyncio.create_task(executor_for(client).execute(push))
    await until(lambda: question_is_out(proxy), True)

    proxy.drop()
    proxy.heal()

    assert await call == [1, 2]
    assert await transact(client) == [b"OK", b"OK"]


async def test_a_proxy_that_hangs_up(proxy: Proxy, redis: Redis) -> None:
    """One that closes connections over a MULTI makes units fail, by name, and leaves single calls alone."""
    client = connect(proxy.url)
    proxy.hang_up_at(b"MULTI")

    for _ in range(3):
        with pytest.raises(ConnectionError, match="Could not find out whether the server executes transactions"):
            await transact(client)
        assert await send(client, "PING") == b"PONG"

    assert await all_keys(redis) == []


@pytest.mark.engines("shared", "driven")
async def test_a_thousand_units_on_a_new_connection(proxy: Proxy, redis: Redis) -> None:
    """They wait for one answer, also if their bytes are more than may wait to be sent."""
    client = connect(proxy.url)
    big = b"x" * 20_000
    calls = [unit(("RPUSH", "big", big), ("RPUSH", "calls", nth)) for nth in range(1000)]

    replies = await asyncio.gather(*(executor_for(client).execute(call) for call in calls))

    assert replies == [[nth, nth] for nth in range(1, 1001)]
    assert proxy.requests.count(QUESTION[0]) == 1


@pytest.mark.rows(2)
@pytest.mark.engines("shared")
async def test_units_beyond_the_room_are_turned_away(client: Redis, owner: Redis) -> None:
    """Refused units whose bytes are more than may wait leave nobody waiting."""
    big = b"x" * 20_000
    calls = [unit(("RPUSH", "big", big), ("RPUSH", "calls", nth)) for nth in range(1000)]

    outcomes = await asyncio.gather(
        *(executor_for(client).execute(call) for call in calls),
        *(send(client, "APPEND", "log", big) for _ in range(500)),
        return_exceptions=True,
    )

    assert all(isinstance(outcome, ResponseError) for outcome in outcomes[:1000])
    assert outcomes[1000:] == [20_000 * nth for nth in range(1, 501)]
    assert await all_keys(owner) == [b"log"]


# --- what a server says ---------------------------------------------------------------------------

FORBIDDEN = NoPermissionError("this user has no permissions to run the 'multi' command")
UNKNOWN = ResponseError("unknown command `EXEC`, with args beginning with: ")
SAYINGS: dict[str, tuple[list[Reply], bool, bool, bool, bool]] = {
    # replies to MULTI, ..., EXEC        -> an error, refused, begun, stuck
    "executed": ([b"OK", []], False, False, True, False),
    "commands": ([b"OK", b"QUEUED", [b"OK"]], False, False, True, False),
    "no MULTI": ([FORBIDDEN, ResponseError("EXEC without MULTI")], True, True, False, False),
    "neither": ([FORBIDDEN, FORBIDDEN], True, True, False, False),
    "disabled": ([UNKNOWN, UNKNOWN], True, True, False, False),
    "in words of its own": ([ResponseError("command is not allowed"), UNKNOWN], True, True, False, False),
    "no EXEC": (
        [b"OK", ExecAbortError("Transaction discarded because of: NOPERM this user has no permissions")],
        *(True, True, True, False),
    ),
    "no EXEC, stuck": ([b"OK", UNKNOWN], True, True, True, True),
    "a script runs": (
        [b"OK", ExecAbortError("Transaction discarded because of: BUSY Redis is busy")],
        *(True, False, True, False),
    ),
    "a command": (
        [b"OK", FORBIDDEN, ExecAbortError("Transaction discarded because of previous errors.")],
        *(True, False, True, False),
    ),
    "loading": ([BusyLoadingError("loading"), BusyLoadingError("loading")], True, False, False, False),
    "no primary": ([ResponseError("MASTERDOWN Link with MASTER is down"), b""], True, False, False, False),
}


@pytest.mark.parametrize(("replies", "error", "refuses", "begun", "stuck"), SAYINGS.values(), ids=SAYINGS.keys())
@pytest.mark.engines("shared")
def test_what_a_server_says(replies: list[Reply], error: bool, refuses: bool, begun: bool, stuck: bool) -> None:
    """A refusal is told from a server that cannot execute a transaction just now."""
    verdict = judge(replies)

    assert (verdict.error is not None, verdict.refused, verdict.begun, verdict.stuck) == (error, refuses, begun, stuck)
