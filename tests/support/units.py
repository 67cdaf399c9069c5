"""Raw units, for tests of the engine without a collection above it."""

from __future__ import annotations

from redis.asyncio import Redis

from purse._engine.registry import executor_for
from purse._engine.replies import Reply
from purse._engine.scripts import ScriptCall
from purse._engine.unit import Command, Unit


class Unexplained:
    """Leaves errors as they are."""

    __purse_spread__ = False

    def __purse_explain__(self, error: Exception, field: object) -> Exception:
        """See ``Origin``."""
        return error

    def __purse_slot_of__(self, field: object) -> str:
        """See ``Origin``."""
        return ""


def unit(*commands: Command | ScriptCall, read_only: bool = False) -> Unit[list[Reply]]:
    """A unit that returns its replies as they are."""
    return Unit(commands, lambda replies: replies, Unexplained(), read_only=read_only)


async def send(client: Redis, *command: bytes | str | int | float, read_only: bool = False) -> Reply:
    """Execute one command on the client's executor and return its reply."""
    return (await executor_for(client).execute(unit(command, read_only=read_only)))[0]


async def read(client: Redis, *command: bytes | str | int | float) -> Reply:
    """Execute one read-only command."""
    return await send(client, *command, read_only=True)
