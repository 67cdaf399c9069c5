"""Resending: the rule of what is sent again is the same whichever server an executor chooses."""

from __future__ import annotations

from redis.asyncio import Redis
from redis.exceptions import ResponseError

from purse._engine.link import Link
from purse._engine.packing import pack, size_of
from purse._engine.registry import executor_for
from purse._engine.replies import Reply
from purse._engine.resending import Resending
from purse._engine.unit import Unit
from purse.embedded import Server
from tests.support.clients import Connect
from tests.support.units import send, unit

COUNT = """
if redis.call("EXISTS", "moved") == 1 then
    return redis.error_reply("MOVED 7 127.0.0.1:7")
end
return redis.call("INCR", KEYS[1])
"""


class TwoServers(Resending):
    """An executor that asks the second server after the first has refused."""

    def __init__(self, first: Redis, second: Redis) -> None:
        self._links = [executor_for(first).links, executor_for(second).links]
        self.asked: list[int] = []
        super().__init__(self._links[0].contact)

    async def _link_for(self, unit: Unit[object], /) -> Link:
        self.asked.append(len(self.asked))
        return await self._links[self.asked[-1]].ready(lambda: size_of(unit.commands))

    def _elsewhere(self, unit: Unit[object], replies: list[Reply], /) -> bool:
        return isinstance(replies[0], ResponseError)

    async def perform(self, unit: Unit[object]) -> list[Reply]:
        """Send it, and settle what came back."""
        return await self._settle(unit, await self._exchange(unit, pack))


async def test_a_refused_unit_goes_where_the_executor_says(redis: Redis, client_of: Connect) -> None:
    """It is executed once, by the other server."""
    await send(redis, "SET", "moved", 1)
    with Server() as server:
        other = client_of(server.url)
        count = unit(("EVAL", COUNT, 1, "n"))

        executor = TwoServers(redis, other)

        assert await executor.perform(count) == [1]
        assert executor.asked == [0, 1]
        assert await send(redis, "EXISTS", "n") == 0
        assert await send(other, "GET", "n") == b"1"
