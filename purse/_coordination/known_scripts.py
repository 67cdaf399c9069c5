"""KnownScripts: EVAL the first time, EVALSHA from then on.

EVALSHA of a script that the server does not know costs a second round trip, and the first one executes nothing. A call
that has to be answered within a bounded time, or that may be the last before its connection closes, cannot afford that.
A server 300 ms away would look like one that hangs, and a release would never be executed.
"""

from __future__ import annotations

from asyncio import get_running_loop
from collections.abc import Coroutine

from purse._engine.executor import ClientExecutor
from purse._engine.interface import Executor
from purse._engine.link import Link
from purse._engine.replies import Reply
from purse._engine.scripts import Script, ScriptCall
from purse._engine.unit import Command, Origin

__all__ = ["KnownScripts"]


class KnownScripts:
    """The scripts that the server has executed on the open link of the running loop.

    A new link may lead to a server that was restarted, or to another server, so it begins without known scripts. If the
    server has forgotten a known script (SCRIPT FLUSH), the executor sends its body.

    Args:
        executor: sends the calls.
    """

    def __init__(self, executor: Executor) -> None:
        self._executor = executor
        self._links = executor.links if isinstance(executor, ClientExecutor) else None
        self._link: Link | None = None
        self._scripts: set[Script] = set()

    def ask(
        self, call: Command | ScriptCall, origin: Origin, *, read_only: bool = False
    ) -> Coroutine[object, None, Reply]:
        """One round trip.

        Raises:
            redis.exceptions.RedisError: as ``Executor.ask``.
        """
        if isinstance(call, ScriptCall):
            self._look()
            if call.script not in self._scripts:
                return self._ask_first(call, origin, read_only)
        return (self._executor.ask_again if read_only else self._executor.ask)(call, origin)

    async def _ask_first(self, call: ScriptCall, origin: Origin, read_only: bool) -> Reply:
        answer = await (self._executor.ask_again if read_only else self._executor.ask)(call.by_body(), origin)
        self._look()  # the call may have opened the connection
        self._scripts.add(call.script)
        return answer

    def _look(self) -> None:
        """Forget the scripts that the server of a former link knew."""
        link = None if self._links is None else self._links.by_loop.get(get_running_loop())
        if link is None or not link.is_open or link is not self._link:
            self._link = link
            self._scripts.clear()
