"""Opening a link of the right kind."""

from __future__ import annotations

import asyncio
import logging

from purse._engine.adoption import NotAdoptable, adopt
from purse._engine.clients import Connection, forget, remember
from purse._engine.connecting import Connector
from purse._engine.contact import Contact
from purse._engine.dedicated import DedicatedLink
from purse._engine.driven import DrivenLink
from purse._engine.guard import forget_link, guard_link
from purse._engine.link import Ended, Link
from purse._engine.loops import hang_up
from purse._engine.modes import Mode
from purse._engine.shared import SharedLink

__all__ = ["open_link", "report"]

_log = logging.getLogger("purse")


async def open_link(connector: Connector, mode: Mode, contact: Contact, *, patiently: bool) -> tuple[Link, Mode]:
    """Open a link over a new connection. It stays open until it is lost, closed, or the loop ends.

    Args:
        mode: the kind of link. A shared one becomes dedicated if the mode was not set with ``configure`` and the
            connection cannot be shared.
        contact: is notified when the link is lost.
        patiently: whether to try for about a second, because there was a link before.

    Returns:
        The link, and its mode.

    Raises:
        redis.exceptions.ConnectionError, redis.exceptions.TimeoutError: no connection could be opened. No socket
            stays open.
    """
    connection: Connection | None = None
    link: Link | None = None
    try:
        connection = await (connector.open_patiently() if patiently else connector.open())
        link, mode = _link_over(connector, connection, mode, contact)
        await guard_link(link)
        return link, mode
    except BaseException:
        if link is not None:
            link.abort(Ended("the connection was not wanted any more"))
        elif connection is not None:
            await hang_up(connection)
        raise


def _link_over(connector: Connector, connection: Connection, mode: Mode, contact: Contact) -> tuple[Link, Mode]:
    loop = asyncio.get_running_loop()

    def closed(link: Link) -> None:
        forget(connector.pool, connection)
        forget_link(loop, link)
        if isinstance(link, SharedLink):
            contact.lost(link.lost_by)

    if mode.name == "dedicated":
        return DedicatedLink(connector, connection, closed), mode
    link: Link
    try:
        link = adopt(connection, closed)
    except NotAdoptable as obstacle:
        if type(connection).__module__.partition(".")[0] != "redis" and mode.reason.startswith("the client"):
            mode = Mode("dedicated", str(obstacle))
            report(mode)
            return DedicatedLink(connector, connection, closed), mode
        link = DrivenLink(connection, closed)
    remember(connector.pool, connection)
    return link, mode


def report(mode: Mode) -> None:
    """Log, once for each client, that it does not share a connection, and why."""
    _log.info("purse uses a connection for each call of this client, which is slower, because %s", mode.reason)
