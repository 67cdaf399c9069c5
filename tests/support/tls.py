"""TLS in front of a server that may have been built without it: a proxy with an authority of its own."""

from __future__ import annotations

import asyncio
import ssl
from datetime import datetime
from typing import Self

import trustme

from tests.support.proxy import Proxy


class TlsProxy(Proxy):
    """Forwards 127.0.0.1:port, where it speaks TLS, to a server's plain port.

    Args:
        port: the server's.
        until: when the certificate of the proxy is no longer valid.
        clients: clients must have a certificate, too, and none is good enough.

    Attributes:
        authority: the certificate of the authority that a client has to trust, as PEM.
    """

    def __init__(self, port: int, *, until: datetime | None = None, clients: bool = False) -> None:
        super().__init__(port)
        authority = trustme.CA()
        self.authority = authority.cert_pem.bytes().decode()
        self._context = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH)
        certificate = authority.issue_cert("127.0.0.1", not_after=until)
        certificate.configure_cert(self._context)  # pyright: ignore[reportUnknownMemberType]
        if clients:
            self._context.verify_mode = ssl.CERT_REQUIRED

    @property
    def url(self) -> str:
        """The URL of the proxy."""
        return f"rediss://127.0.0.1:{self.port}"

    async def __aenter__(self) -> Self:
        self._listener = await asyncio.start_server(self._accept, "127.0.0.1", 0, ssl=self._context)
        self.port = self._listener.sockets[0].getsockname()[1]
        return self
