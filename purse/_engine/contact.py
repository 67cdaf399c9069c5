"""Contact: one line in the log when a client has lost its server, and one when it is connected again.

    connection lost     WARNING     once, however many connections and calls it had
    call, call, call                each raises or waits, none is logged
    connected again     INFO        once

A connection that this side has ended (``aclose``, a loop that ends, a connection that is replaced) does not count as
lost. A client that never had a connection has not lost one either: its first call raises.
"""

from __future__ import annotations

import logging

from purse._engine.clients import Pool, address_of
from purse._engine.forks import ThreadLock
from purse._engine.link import Ended
from purse.codecs._shown import said

__all__ = ["Contact"]

_log = logging.getLogger("purse")


class Contact:
    """Whether one client has a connection. Any thread may use it.

    Args:
        pool: the client's pool, which has the address.

    Attributes:
        is_lost: whether a connection was lost and there is not a new one yet.
        was_made: whether there has ever been a connection.
    """

    def __init__(self, pool: Pool) -> None:
        self._pool = pool
        self._lock = ThreadLock()
        self.is_lost: bool = False
        self.was_made: bool = False

    def made(self) -> None:
        """Note that a connection is open, and works."""
        with self._lock:
            was_lost, self.is_lost, self.was_made = self.is_lost, False, True
        if was_lost:
            _log.info("purse: connected to %s again", self._address())

    def lost(self, cause: BaseException | None) -> None:
        """Note that a connection was lost, or that a lost one could not be replaced."""
        with self._lock:
            is_new = self.was_made and not self.is_lost and not isinstance(cause, Ended)
            self.is_lost = self.is_lost or is_new
        if is_new:
            _log.warning("purse: the connection to %s was lost: %s", self._address(), said(cause))

    def _address(self) -> str:
        host, port = address_of(self._pool)
        return host if port is None else f"{host}:{port}"
