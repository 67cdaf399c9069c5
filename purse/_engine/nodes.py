"""Nodes: whether a server is one node of a cluster, which has a part of the keys only.

A client of such a node is told MOVED for a key that is elsewhere. A search for keys is not: SCAN answers what is here.
So before the first search on a connection the server is asked what it is:

    HELLO            "mode": "standalone", "sentinel", "cluster"     every user may send it
    INFO cluster     cluster_enabled:1                               where HELLO is refused

A server that refuses both is taken for a whole one. So is what hangs up at such a question, as some proxies do, when it
has done so a few times: a proxy shows all keys, or it does not know SCAN either.
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
    """What the servers behind the connections of one client are.

    Any thread may use it: each loop looks up and adds its own link, and nothing is iterated.

    Args:
        links: the connections.
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

        One round trip on a connection that was not asked yet, else none.
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
                if isinstance(lost.cause, TimeoutError):  # a server that is silent, and will be at the search
                    raise TimeoutError(str(lost.cause)) from lost.cause
                losses += lost.sent
                if losses >= MOST:
                    self._silent = True
                    return False
                continue
            self._known[link] = answer
            return answer


def _mode_in(replies: list[Reply]) -> bool | None:
    """What HELLO says; None if it was refused, or says nothing of a mode."""
    reply = replies[0]
    if isinstance(reply, list):  # RESP2
        reply = dict(zip((key for key in reply[::2] if isinstance(key, bytes)), reply[1::2], strict=False))
    mode = reply.get(b"mode") if isinstance(reply, dict) else None
    return None if mode is None else mode == b"cluster"


def _enabled_in(replies: list[Reply]) -> bool:
    reply = replies[0]
    return isinstance(reply, bytes) and b"cluster_enabled:1" in reply
