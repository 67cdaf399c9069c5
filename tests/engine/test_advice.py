"""What is told when a connection cannot be opened: each cause has a fix of its own."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncGenerator, AsyncIterator
from contextlib import asynccontextmanager
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
from redis.exceptions import AuthenticationError, RedisError

from purse import RedisHash, RedisQueue
from purse.embedded import Server
from tests.support.clients import command, connect
from tests.support.tls import TlsProxy

RUNNING = "Is a server running"


async def note_of(url: str) -> str:
    """The notes of what a call on a client of ``url`` raises."""
    client = connect(url)
    try:
        async with asyncio.timeout(20):
            with pytest.raises(RedisError) as caught:
                await RedisHash(client, "h", int).get("a")
        return "\n".join(caught.value.__notes__)
    finally:
        await client.aclose()


@asynccontextmanager
async def answering(words: bytes) -> AsyncGenerator[int]:
    """The port of something that answers whatever comes with ``words``, and hangs up."""

    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await reader.read(1000)
        writer.write(words)
        writer.close()

    listener = await asyncio.start_server(serve, "127.0.0.1", 0)
    async with listener:
        yield listener.sockets[0].getsockname()[1]


@pytest.fixture
async def tls(server: Server) -> AsyncIterator[TlsProxy]:
    """A TLS port, with a certificate for 127.0.0.1 of an authority that nobody knows."""
    assert server.port is not None
    async with TlsProxy(server.port) as proxy:
        yield proxy


@pytest.fixture
def authority(tls: TlsProxy, tmp_path: Path) -> Path:
    """The file with the certificate of that authority."""
    path = tmp_path / "ca.pem"
    path.write_text(tls.authority)
    return path


@pytest.mark.parametrize("url", ["redis://127.0.0.1:1", "unix:///nowhere/redis.sock"])
async def test_no_server(url: str) -> None:
    """Where nobody listens, the question is whether a server runs."""
    note = await note_of(url)

    assert RUNNING in note
    assert "nothing was sent" in note


async def test_no_such_host() -> None:
    """A name that is not known is a question of the URL."""
    note = await note_of("redis://no-such-host.invalid")

    assert "name of the host is not known" in note
    assert RUNNING not in note


async def test_no_such_database(server: Server) -> None:
    """A number that the server does not have is named."""
    note = await note_of(f"{server.url}/99")

    assert "no database 99" in note
    assert RUNNING not in note


async def test_a_password_is_missing_or_wrong() -> None:
    """What to write is there, and that a URL wants it percent-encoded."""
    with Server(port=0, config={"requirepass": "right"}) as server:
        url = f"redis://127.0.0.1:{server.port}"
        missing, older = await note_of(url), await note_of(f"{url}?protocol=2")
        wrong = await note_of(f"redis://:wrong@127.0.0.1:{server.port}")

    for note in (missing, older):
        assert "requires a password: write redis://:PASSWORD@host" in note
        assert "percent-encode a password" in note
    assert "Check the user and the password." in wrong
    assert "percent-encode a password" in wrong


async def test_too_many_clients() -> None:
    """A server that is full says so, and what to do."""
    with Server(port=0, password="") as server:
        first = connect(server.url)
        await command(first, "CONFIG", "SET", "maxclients", "1")
        note = await note_of(server.url)
        await first.aclose()

    assert "maxclients" in note
    assert RUNNING not in note


async def test_an_authority_that_is_not_known(tls: TlsProxy, authority: Path) -> None:
    """The option for the file is named; with it the certificate is good."""
    note = await note_of(tls.url)

    assert "not signed by an authority that is known here" in note
    assert "ssl_ca_certs=" in note
    assert RUNNING not in note
    client = connect(f"{tls.url}?ssl_ca_certs={authority}")
    assert await RedisHash(client, "tls", int).get("a") is None


async def test_a_file_that_is_missing(tls: TlsProxy) -> None:
    """The option and the path are named."""
    note = await note_of(f"{tls.url}?ssl_ca_certs=/nowhere/ca.pem")

    assert "There is no such file: ssl_ca_certs='/nowhere/ca.pem'" in note
    assert RUNNING not in note


async def test_a_file_that_holds_no_certificate(tls: TlsProxy, tmp_path: Path) -> None:
    """That it is not in PEM is said."""
    path = tmp_path / "ca.pem"
    path.write_text("not a certificate")

    note = await note_of(f"{tls.url}?ssl_ca_certs={path}")

    assert "in PEM format: name the right file" in note


async def test_a_certificate_for_another_name(tls: TlsProxy, authority: Path) -> None:
    """The certificate of 127.0.0.1 is not that of localhost."""
    note = await note_of(f"rediss://localhost:{tls.port}?ssl_ca_certs={authority}&ssl_check_hostname=true")

    assert "certificate of the server is for another name" in note
    assert RUNNING not in note


async def test_a_certificate_that_has_expired(server: Server, tmp_path: Path) -> None:
    """The certificate of yesterday."""
    assert server.port is not None
    yesterday = datetime.now(UTC) - timedelta(days=1)
    async with TlsProxy(server.port, until=yesterday) as proxy:
        path = tmp_path / "ca.pem"
        path.write_text(proxy.authority)
        note = await note_of(f"{proxy.url}?ssl_ca_certs={path}")

    assert "not valid today" in note


async def test_a_server_that_wants_a_certificate(server: Server, tmp_path: Path) -> None:
    """The options of the client's own certificate are named."""
    assert server.port is not None
    async with TlsProxy(server.port, clients=True) as proxy:
        path = tmp_path / "ca.pem"
        path.write_text(proxy.authority)
        note = await note_of(f"{proxy.url}?ssl_ca_certs={path}")

    assert "ssl_certfile=" in note
    assert RUNNING not in note


@pytest.mark.parametrize("protocol", [2, 3])
async def test_plain_words_to_a_tls_port(tls: TlsProxy, protocol: int) -> None:
    """``redis://`` to a port with TLS: write rediss://."""
    note = await note_of(f"redis://127.0.0.1:{tls.port}?protocol={protocol}")

    assert "Then write rediss://" in note
    assert RUNNING not in note


@pytest.mark.thorough
async def test_tls_to_a_plain_port(server: Server) -> None:
    """``rediss://`` to a port without TLS: write redis://, whether the server is silent or says what it thinks."""
    silent = await note_of(f"rediss://127.0.0.1:{server.port}?socket_connect_timeout=1&socket_timeout=1")
    async with answering(b"-ERR unknown command\r\n") as port:
        loud = await note_of(f"rediss://127.0.0.1:{port}")
    async with answering(b"") as port:
        gone = await note_of(f"rediss://127.0.0.1:{port}")

    for note in (silent, loud, gone):
        assert "write redis://" in note
        assert RUNNING not in note


async def test_something_else_than_redis() -> None:
    """A web server is not told to be started."""
    async with answering(b"HTTP/1.1 400 Bad Request\r\n\r\n") as port:
        note = await note_of(f"redis://127.0.0.1:{port}")

    assert "Something other than Redis answers there" in note
    assert RUNNING not in note


async def test_those_who_wait_are_told_the_same(server: Server) -> None:
    """A getter that waits for an item has the fix in its error as well."""
    with Server(port=0, config={"requirepass": "right"}) as locked:
        client = connect(f"redis://127.0.0.1:{locked.port}")
        with pytest.raises(AuthenticationError) as caught:
            await RedisQueue(client, "q", int).get()
        await client.aclose()

    assert "requires a password" in "".join(caught.value.__notes__)
