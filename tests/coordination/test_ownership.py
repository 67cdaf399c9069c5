"""Whose lease it is: a task that shares a lock with others gives back, extends and ends only what is its own."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import AsyncExitStack
from functools import partial

import pytest
from redis.asyncio import Redis

from purse.embedded import Server
from purse.errors import LockError, LockLost
from purse.limits import RedisSemaphore
from purse.locks import RedisLock
from purse.redlock import Redlock
from tests.support.engines import parametrize
from tests.support.monitor import Monitor

KEY = "gate"

Lock = RedisLock | Redlock
MakeLock = Callable[..., Lock]


def pytest_generate_tests(metafunc: pytest.Metafunc) -> None:
    """All of this holds however calls reach Redis."""
    parametrize(metafunc, "shared", thorough=["dedicated"])


@pytest.fixture(params=[RedisLock, Redlock])
def make(request: pytest.FixtureRequest, redis: Redis) -> MakeLock:
    """Makes a lock of either kind."""

    def make(*, watchdog: bool = False) -> Lock:
        if request.param is RedisLock:
            return RedisLock(redis, KEY, watchdog=watchdog)
        return Redlock(KEY, [redis], watchdog=watchdog)

    return make


@pytest.fixture
def lock(make: MakeLock) -> Lock:
    """A lock of either kind, with ten seconds of lease."""
    return make()


@pytest.fixture
async def monitor(server: Server) -> AsyncIterator[Monitor]:
    """What the server hears."""
    assert server.port is not None
    async with Monitor(server.port) as monitor:
        yield monitor


class Holder:
    """A task that holds ``lock`` until it is told to let go, and goes on living after that until it is awaited."""

    def __init__(self, lock: Lock, *, block: bool) -> None:
        self._holding, self._enough = asyncio.Event(), asyncio.Event()
        self._task = asyncio.create_task(self._block(lock) if block else self._hold(lock))

    async def _hold(self, lock: Lock) -> None:
        assert await lock.acquire()
        self._holding.set()
        await self._enough.wait()
        await lock.release()

    async def _block(self, lock: Lock) -> None:
        async with lock:
            self._holding.set()
            await self._enough.wait()

    async def holds(self) -> None:
        """Wait until it does."""
        await self._holding.wait()

    async def lets_go(self) -> None:
        """Have it release the lock; raises if that was not its own any more."""
        self._enough.set()
        await self._task


@pytest.fixture(params=["acquire", "block"])
async def holder(request: pytest.FixtureRequest, lock: Lock) -> AsyncIterator[Holder]:
    """Another task that holds the lock, by ``acquire`` or in a block; it must hold it to the end of the test."""
    holder = Holder(lock, block=request.param == "block")
    await holder.holds()
    yield holder
    await holder.lets_go()


# --- tasks that hold nothing ------------------------------------------------------------------------


@pytest.mark.parametrize("tried", [True, False])
@pytest.mark.parametrize("method", ["release", "extend"])
async def test_a_task_that_holds_nothing(
    redis: Redis, lock: Lock, holder: Holder, monitor: Monitor, method: str, tried: bool
) -> None:
    """It gets a LockError that says what to do, nothing is sent, and the holder keeps what it has."""
    owner = await redis.get(KEY)
    if tried:
        assert not await lock.acquire(timeout=0.01)
    await monitor.commands()

    with pytest.raises(LockError, match=rf"gate: {method}\(\) failed.* not held.*lease\.{method}\(\)"):
        await getattr(lock, method)()

    assert await monitor.commands() == []
    assert await redis.get(KEY) == owner


async def test_the_finally_of_a_task_that_came_too_late(lock: Lock) -> None:
    """Thirty tasks that release in ``finally`` whether they acquired or not: never two are inside."""
    inside = 0
    refused = 0

    async def work() -> None:
        nonlocal inside, refused
        try:
            if await lock.acquire(timeout=0.03):
                inside += 1
                assert inside == 1
                await asyncio.sleep(0.01)
                inside -= 1
        finally:
            try:
                await lock.release()
            except LockError:
                refused += 1

    await asyncio.gather(*(work() for _ in range(30)))

    assert refused > 0


async def test_the_validity_is_the_holders(redis: Redis) -> None:
    """``Redlock.locked()`` tells a task that holds nothing 0, and the holder what is left."""
    lock = Redlock(KEY, [redis])
    holder = Holder(lock, block=False)
    await holder.holds()

    assert await lock.locked() == 0

    await holder.lets_go()
    assert await asyncio.create_task(lock.acquire())
    assert await lock.locked() > 9000
    await lock.release()


async def test_a_block_is_not_ended_by_another_task(redis: Redis, make: MakeLock) -> None:
    """A task that leaves a block which another task is still in gets a LockError; lock and watchdog go on."""
    lock = make(watchdog=True)
    holder = Holder(lock, block=True)
    await holder.holds()
    owner = await redis.get(KEY)

    with pytest.raises(LockError, match=r"gate: the block belongs to another task.*release"):
        await lock.__aexit__(None, None, None)

    assert await redis.get(KEY) == owner
    assert lock._blocks  # pyright: ignore[reportPrivateUsage] - the watchdog as well
    await holder.lets_go()
    assert await redis.get(KEY) is None


async def test_a_block_of_another_task_masks_no_exception(lock: Lock) -> None:
    """What the body raised comes out, with a note that the lock was not released."""
    holder = Holder(lock, block=True)
    await holder.holds()

    async def leave() -> None:
        async with AsyncExitStack() as stack:
            stack.push_async_exit(lock)
            raise KeyError("mine")

    with pytest.raises(KeyError) as raised:
        await leave()

    assert "belongs to another task" in raised.value.__notes__[0]
    await holder.lets_go()


async def test_a_block_of_a_semaphore_is_not_ended_by_another_task(redis: Redis) -> None:
    """The permit of a block is given back by its task, or when that has ended by any other; by nobody else."""
    semaphore = RedisSemaphore(redis, KEY, limit=2)
    entered, enough = asyncio.Event(), asyncio.Event()

    async def work() -> None:
        async with semaphore:
            entered.set()
            await enough.wait()

    working = asyncio.create_task(work())
    await entered.wait()
    with pytest.raises(LockError, match="gate: the block belongs to another task"):
        await semaphore.__aexit__(None, None, None)
    error = KeyError("mine")
    await semaphore.__aexit__(KeyError, error, None)
    assert "belongs to another task" in error.__notes__[0]
    assert await semaphore.available() == 1

    await asyncio.create_task(semaphore.__aenter__())
    await semaphore.__aexit__(None, None, None)

    assert await semaphore.available() == 1
    enough.set()
    await working
    assert await semaphore.available() == 2


# --- leases whose task has ended ----------------------------------------------------------------------


async def by_wait_for(lock: Lock) -> None:
    """Up to Python 3.11 this acquires in a task of its own."""
    assert await asyncio.wait_for(lock.acquire(), 5)


async def by_task(lock: Lock) -> None:
    """A task that ends."""
    assert await asyncio.create_task(lock.acquire())


async def by_gather(lock: Lock) -> None:
    """Beside something else."""
    held, _ = await asyncio.gather(lock.acquire(), asyncio.sleep(0))
    assert held


async def by_group(lock: Lock) -> None:
    """A child of a task group."""
    async with asyncio.TaskGroup() as group:
        group.create_task(by_itself(lock))


async def by_shield(lock: Lock) -> None:
    """Shielded."""
    assert await asyncio.shield(lock.acquire())


async def by_itself(lock: Lock) -> None:
    """The ordinary way."""
    assert await lock.acquire()


WAYS = [by_wait_for, by_task, by_gather, by_group, by_shield, by_itself]


@pytest.mark.parametrize("way", WAYS)
async def test_ways_to_acquire(redis: Redis, lock: Lock, way: Callable[[Lock], Awaitable[None]]) -> None:
    """However it was acquired, the caller extends and releases it; a second release is refused."""
    await way(lock)
    await redis.pexpire(KEY, 1000)

    await lock.extend()
    assert await redis.pttl(KEY) > 9000
    await lock.release()

    assert await redis.get(KEY) is None
    with pytest.raises(LockError, match="not held"):
        await lock.release()


@pytest.mark.parametrize(
    "wrap", [asyncio.create_task, asyncio.shield, asyncio.gather, partial(asyncio.wait_for, timeout=5)]
)
async def test_the_task_that_calls_counts(redis: Redis, lock: Lock, wrap: Callable[..., Awaitable[object]]) -> None:
    """A lease is the caller's, also if ``wait_for``, ``shield``, ``gather`` or another task awaits the call."""
    assert await lock.acquire()
    await redis.pexpire(KEY, 1000)

    await wrap(lock.extend())
    assert await redis.pttl(KEY) > 9000
    if isinstance(lock, Redlock):
        left = asyncio.create_task(lock.locked())
        assert await left > 9000
    await wrap(lock.release())

    assert not await redis.exists(KEY)


async def test_a_block_that_is_entered_by_a_task_that_ends(redis: Redis, make: MakeLock) -> None:
    """As those of fixtures are: another task leaves it, and no ``release`` of another takes it away before."""
    lock = make(watchdog=True)
    await asyncio.create_task(lock.__aenter__())

    with pytest.raises(LockError, match="not held"):
        await lock.release()
    assert await redis.exists(KEY)
    await lock.__aexit__(None, None, None)

    assert not await redis.exists(KEY)


async def test_ones_own_comes_first(redis: Redis, lock: Lock) -> None:
    """A task releases its own lease, and then the latest of those whose tasks have ended, each once."""
    for _ in range(2):
        await by_task(lock)
        await redis.delete(KEY)
        if isinstance(lock, Redlock):
            line = lock._lines.get(asyncio.get_running_loop())  # pyright: ignore[reportPrivateUsage]
            assert line is not None
            line.leave(lock._held[-1], others_wait=False)  # pyright: ignore[reportPrivateUsage]
    assert await lock.acquire()
    held = [*lock._held]  # pyright: ignore[reportPrivateUsage]

    await lock.release()
    assert lock._held == held[:2]  # pyright: ignore[reportPrivateUsage]
    assert not await redis.exists(KEY)
    for left in (held[:1], []):
        with pytest.raises(LockLost):
            await lock.release()
        assert lock._held == left  # pyright: ignore[reportPrivateUsage]


async def test_a_lease_of_a_loop_that_was_closed(redis: Redis, lock: Lock) -> None:
    """A task that was left behind by a loop that is closed counts as one that has ended."""
    left_behind: list[asyncio.Task[None]] = []

    async def hold(holding: asyncio.Event) -> None:
        assert await lock.acquire()
        holding.set()
        await asyncio.Event().wait()

    async def start() -> None:
        holding = asyncio.Event()
        left_behind.append(asyncio.create_task(hold(holding)))
        await holding.wait()

    def run() -> None:
        loop = asyncio.new_event_loop()
        loop.run_until_complete(start())
        loop.run_until_complete(loop.shutdown_asyncgens())
        loop.close()

    await asyncio.to_thread(run)
    assert await redis.exists(KEY)
    await lock.release()
    assert not await redis.exists(KEY)


# --- what may be handed over ------------------------------------------------------------------------------


async def test_a_lease_is_for_whoever_it_is_handed_to(redis: Redis, lock: Lock) -> None:
    """The lease of a living task's block is extended and released by the task that it was handed to."""
    async with lock as lease:

        async def other() -> None:
            await lease.extend()
            await lease.release()

        await asyncio.create_task(other())
        assert not await redis.exists(KEY)


async def test_within_knows_its_lease(redis: Redis) -> None:
    """A block of ``within`` is one object for each, so an exit stack that is handed over ends just that one."""
    lock = RedisLock(redis, KEY)
    stack = AsyncExitStack()
    await stack.enter_async_context(lock.within(1))

    await asyncio.create_task(stack.aclose())

    assert not await redis.exists(KEY)


async def test_two_objects_of_one_lock(redis: Redis, lock: Lock, make: MakeLock, monitor: Monitor) -> None:
    """What was acquired through one object is not released through another one, and stays held."""
    other = make()
    assert await lock.acquire()
    await monitor.commands()

    for method in (other.release, other.extend):
        with pytest.raises(LockError, match="not held by this task through this object"):
            await method()

    assert await monitor.commands() == []
    await lock.release()
