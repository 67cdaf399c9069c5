"""Opening a link of the right kind."""

from __future__ import annotations

import asyncio
import logging

from redis.exceptions import ConnectionError

from purse._engine.adoption import NotAdoptable, adopt
from purse._engine.clients import Connection, Pool, forget, remember
from purse._engine.connecting import open_connection, open_patiently
from purse._engine.dedicated import DedicatedLink
from purse._engine.driven import DrivenLink
from purse._engine.guard import forget_link, guard_link
from purse._engine.link import Link
from purse._engine.loops import hang_up
from purse._engine.modes import Mode

__all__ = ["open_link", "report"]

_log = logging.getLogger("purse")


async def open_link(pool: Pool, mode: Mode, *, patiently: bool) -> tuple[Link, Mode]:
    """A link over a new connection of ``pool`` that lives until it is lost, closed, or the loop ends.

    Args:
        mode: the kind of link. A shared one becomes dedicated if nobody asked for it and the connection
            cannot be shared.
        patiently: try for about a second; there was a link before.

    Returns:
        The link, and the mode in which it is.

    Raises:
        redis.exceptions.ConnectionError, redis.exceptions.TimeoutError: no connection; nothing is left behind.
    """
    connection: Connection | None = None
    link: Link | None = None
    try:
        connection = await (open_patiently(pool) if patiently else open_connection(pool))
        link, mode = _link_over(pool, connection, mode)
        await guard_link(link)
        return link, mode
    except BaseException:
        if link is not None:
            link.abort(ConnectionError("the connection was not wanted any more"))
        elif connection is not None:
            await hang_up(connection)
        raise


def _link_over(pool: Pool, connection: Connection, mode: Mode) -> tuple[Link, Mode]:
    loop = asyncio.get_running_loop()

    def closed(link: Link) -> None:
        forget(pool, connection)
        forget_link(loop, link)

    if mode.name == "dedicated":
        return DedicatedLink(pool, connection, closed), mode
    link: Link
    try:
        link = adopt(connection, closed)
    except NotAdoptable as obstacle:
        if type(connection).__module__.partition(".")[0] != "redis" and mode.reason.startswith("the client"):
            mode = Mode("dedicated", str(obstacle))
            report(mode)
            return DedicatedLink(pool, connection, closed), mode
        link = DrivenLink(connection, closed)
    remember(pool, connection)
    return link, mode


def report(mode: Mode) -> None:
    """Say once for each client that it does not share a connection, and why."""
    _log.info("purse uses a connection for each call of this client, which is slower: %s", mode.reason)
