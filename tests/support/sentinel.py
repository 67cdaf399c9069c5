"""A real Redis Sentinel, on a free port of 127.0.0.1, that watches one primary.

    sentinel ──watches──> primary ──replicates──> replica
        ^
        └── "where is the primary now?" ── client of master_for()

One of them decides alone (quorum 1), because what is under test is the client, not the vote. Like the servers it
cannot outlive this process: ``purse.embedded._guarded_child`` sees to that.
"""

from __future__ import annotations

import asyncio
import socket
from collections.abc import Awaitable, Callable
from pathlib import Path
from types import TracebackType
from typing import Any, Self, cast

from redis.asyncio import Redis
from redis.asyncio.sentinel import Sentinel
from redis.exceptions import RedisError

from purse.embedded import Server
from purse.embedded._guarded_child import GuardedChild
from tests.support.polling import until

NAME = "mymaster"
AT_ONCE = {"repl-diskless-sync-delay": "0"}
"""Configuration of a server that is replicated without a pause for more replicas to come."""

_CONFIG = """\
bind 127.0.0.1
port {port}
sentinel monitor {name} 127.0.0.1 {primary} 1
sentinel down-after-milliseconds {name} 300
sentinel failover-timeout {name} 3000
"""


class SentinelProcess:
    """A sentinel that watches ``primary``, which must listen on a TCP port, and its replicas."""

    def __init__(self, primary: Server) -> None:
        self._primary = primary
        self._child = GuardedChild()
        with socket.create_server(("127.0.0.1", 0)) as probe:
            self._port: int = probe.getsockname()[1]
        self._sentinel = Sentinel([("127.0.0.1", self._port)])  # type: ignore[no-untyped-call]
        self._own: Redis = self._sentinel.sentinels[0]

    async def __aenter__(self) -> Self:
        await asyncio.to_thread(self._start)
        await until(self.primary_port, self._primary.port)
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        await self._own.aclose()
        await asyncio.to_thread(self._child.discard)

    def master_for(self, **settings: Any) -> Redis:
        """A client of the primary, whichever server that is, with these settings."""
        client: Redis = self._sentinel.master_for(NAME, **settings)  # pyright: ignore[reportUnknownMemberType]
        return client

    async def primary_port(self) -> int | None:
        """The port of the primary, as clients are told; None while they are told nothing."""
        try:
            # Not GET-MASTER-ADDR-BY-NAME, which names the new primary a moment before clients are told.
            address = cast("tuple[str, int]", await self._sentinel.discover_master(NAME))
        except RedisError:
            return None
        return int(address[1])

    async def fail_over(self) -> None:
        """Have the sentinel promote the replica, and return when it names that one as the primary."""
        await until(self._has_a_replica, True)
        former = await self.primary_port()
        await self._ask("FAILOVER")

        async def moved() -> bool:
            return await self.primary_port() not in (former, None)

        await until(moved, True)

    async def _has_a_replica(self) -> bool:
        """Whether there is a replica, and its replication works."""
        return b"'ok'" in repr(await self._ask("REPLICAS")).encode()

    async def _ask(self, *words: str) -> object:
        ask = cast("Callable[..., Awaitable[object]]", vars(Redis)["execute_command"])
        return await ask(self._own, "SENTINEL", *words, NAME)

    def _start(self) -> None:
        self._child.settle()
        config = Path(str(self._child.directory), "sentinel.conf")
        config.write_text(_CONFIG.format(port=self._port, primary=self._primary.port, name=NAME))
        self._child.spawn([str(self._primary.binary), str(config), "--sentinel"])


async def replicate(replica: Server, primary: Server) -> None:
    """Make one server a replica of another, and return when it has all the data. Its clients stay connected."""
    async with Redis(unix_socket_path=str(replica.socket_path)) as client:
        await client.replicaof("127.0.0.1", primary.port)  # pyright: ignore[reportUnknownMemberType]

        async def status() -> str:
            info = await client.info("replication")  # pyright: ignore[reportUnknownMemberType]
            return str(info.get("master_link_status"))

        await until(status, "up")
