"""Nodes: whether a server is one node of a cluster, which has only a part of the keys.

For a key on another node, such a server returns the error MOVED. For a search it does not: SCAN returns only its own
keys. So before the first search on a connection the server is asked for its mode:

    HELLO            "mode": "standalone", "sentinel", "cluster"     every user may send it
    INFO cluster     cluster_enabled:1                               if HELLO is refused

A server that refuses both counts as one that has all keys. So does a server or proxy that has closed the connection at
this question a few times: a proxy shows all keys, or it does not know SCAN either.
"""

from __future__ import annotations

from typing import TYPE_CHECKING
from weakref import WeakKeyDictionary

from redis.exceptions import TimeoutError

from purse._engine.link import Link, LinkLost
from purse._engine.losses import MOST
from purse._engine.packing import Packed, pack_command
from purse._engine.replies import Reply

if TYPE_CHECKING:
    from purse._engine.links import Links

__all__ = ["Nodes"]

_HELLO: Packed = pack_command(("HELLO",)), 1
_INFO: Packed = pack_command(("INFO", "cluster")), 1


class Nodes:
    """Finds out whether the servers of one client's connections are nodes of a cluster.

    Any thread may use it: each loop reads and adds only the entry of its own link, and no thread iterates.

    Args:
        links: the client's connections.
    """

    def __init__(self, links: Links) -> None:
        self._links = links
        self._known: WeakKeyDictionary[Link, bool] = WeakKeyDictionary()
        self._silent = False

    async def is_cluster_node(self) -> bool:
        """Whether the server of the running loop's connection is a node of a cluster.

        Raises:
            redis.exceptions.ConnectionError, redis.exceptions.TimeoutError: no connection can be opened, or the server
                does not answer in time.
            StoreClosed: after ``aclose()``.

        One round trip on a connection that was not asked yet (two if HELLO is refused), otherwise none. Sends: HELLO,
        INFO cluster.
        """
        losses = 0  # of this search: a dedicated link is one link, with another connection each time
        while True:
            link = await self._links.ready(lambda: len(_HELLO[0]))
            known = self._known.get(link, False if self._silent else None)
            if known is not None:
                return known
            try:
                answer = _mode_in(await link.request(_HELLO))
                if answer is None:
                    link = await self._links.ready(lambda: len(_INFO[0]))
                    answer = _enabled_in(await link.request(_INFO))
            except LinkLost as lost:
                if isinstance(lost.cause, TimeoutError):  # the server is silent, and would not answer the search either
                    raise TimeoutError(str(lost.cause)) from lost.cause
                losses += lost.sent
                if losses >= MOST:
                    self._silent = True
                    return False
                continue
            self._known[link] = answer
            return answer


def _mode_in(replies: list[Reply]) -> bool | None:
    """Whether the reply to HELLO names the mode "cluster". None if it was refused, or does not contain a mode."""
    reply = replies[0]
    if isinstance(reply, list):  # RESP2
        reply = dict(zip((key for key in reply[::2] if isinstance(key, bytes)), reply[1::2], strict=False))
    mode = reply.get(b"mode") if isinstance(reply, dict) else None
    return None if mode is None else mode == b"cluster"


def _enabled_in(replies: list[Reply]) -> bool:
    reply = replies[0]
    return isinstance(reply, bytes) and b"cluster_enabled:1" in reply
