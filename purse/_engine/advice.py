"""Advice: why a connection could not be opened, as far as it shows, and what to do about it.

redis-py says what has happened, and has the exception of the operating system or of TLS as the context of its
exception. The fix depends on that, and on how the client was told to connect: the same "no such file" is a unix socket
that is not there, or a certificate.
"""

from __future__ import annotations

import socket
import ssl
from collections.abc import Mapping
from pathlib import Path

from redis.exceptions import AuthenticationError, NoPermissionError, RedisError, ResponseError, TimeoutError

from purse._engine.clients import Pool, speaks_tls
from purse.codecs._shown import quoted

__all__ = ["advice_for", "password_advice"]

_RUNNING = (
    "Is a server running there, and is the URL right? "
    'Store.open("embedded://") runs one for you (pip install "redis-purse[embedded]").'
)
_ENCODE = (
    'In a URL a password with one of / ? # [ ] @ : % in it is percent-encoded: urllib.parse.quote(password, safe="").'
)
_CLIENT = (
    "it may want a certificate of this client that it trusts: "
    "rediss://host:6379?ssl_certfile=/path/to/client.pem&ssl_keyfile=/path/to/client.key."
)
_FILES = ("ssl_ca_certs", "ssl_ca_path", "ssl_certfile", "ssl_keyfile")
_EXPIRED, _NOT_YET = 10, 9  # OpenSSL's X509_V_ERR_...
_OTHER_NAMES = (62, 64)
_NO_AUTHORITY = (2, 18, 19, 20, 21)


def advice_for(error: RedisError, pool: Pool) -> str:
    """What to do about ``error``, which was raised while a connection of ``pool`` was opened; may be empty."""
    settings, encrypted = pool.connection_kwargs, speaks_tls(pool)
    text = str(error)
    if isinstance(error, AuthenticationError):
        return password_advice(text)
    if isinstance(error, (ResponseError, NoPermissionError)):
        return _of_database(text, settings.get("db"))
    if "max number of clients" in text:
        return "The server has as many connections as its maxclients allows: close some, or raise it."
    cause = _cause(error)
    if isinstance(cause, ssl.SSLError):
        return _of_tls(cause)
    if encrypted and isinstance(cause, FileNotFoundError):
        return _of_file(settings)
    if encrypted and isinstance(cause, PermissionError):
        return "A file that ssl_ca_certs=, ssl_certfile= or ssl_keyfile= names cannot be read by this user."
    if isinstance(cause, socket.gaierror):
        return "The name of the host is not known here: is the URL right?"
    if isinstance(error, TimeoutError):
        tls = " A port without TLS does not answer rediss:// either: write redis:// for it." if encrypted else ""
        return f"Nothing answered in time: are the host and the port right, and does no firewall stand between?{tls}"
    if "losed by server" in text or isinstance(cause, ConnectionResetError):
        other = f"If not, write redis://. If it does, {_CLIENT}" if encrypted else "Then write rediss://."
        full = "Or the server has as many clients as it takes: see its maxclients."
        return f"The connection was closed before the server had answered. Does this port speak TLS? {other} {full}"
    if "rotocol error" in text.lower():
        return "Something else than Redis answers there: are the host and the port right?"
    return _RUNNING


def _cause(error: BaseException) -> OSError | None:
    """The exception of the operating system, or of TLS, behind redis-py's."""
    seen: BaseException | None = error
    while seen is not None and not isinstance(seen, OSError):
        seen = seen.__cause__ or seen.__context__
    return seen


def password_advice(text: str) -> str:
    """What to do about a server that wants another user or password, and says so in these words."""
    if "uthentication required" in text or "already authenticated" in text:
        return (
            f"The server wants a password: redis://:PASSWORD@host:6379, or redis://USER:PASSWORD@host:6379. {_ENCODE}"
        )
    return f"Are the user and the password right? {_ENCODE}"


def _of_database(text: str, number: object) -> str:
    if "cluster mode" in text:
        return "A node of a Redis Cluster has the database 0 alone: leave the number out."
    if "DB index" in text or "Invalid Database" in text:
        return (
            f"The server has no database {quoted(number)}: redis-server has 16 of them, 0 to 15, unless its databases "
            "setting says otherwise."
        )
    return ""


def _of_tls(cause: ssl.SSLError) -> str:
    if isinstance(cause, ssl.SSLCertVerificationError):
        if cause.verify_code in _OTHER_NAMES:
            return (
                "The certificate of the server is for another name: connect to a name that is in it, or, if the name "
                "cannot be right, ssl_check_hostname=false."
            )
        if cause.verify_code in (_EXPIRED, _NOT_YET):
            return "The certificate of the server is not valid today: renew it, or is a clock wrong?"
        if cause.verify_code not in _NO_AUTHORITY:
            return "The certificate of the server is not good enough for this client; the error says why."
        return (
            "The certificate of the server is not signed by an authority that is known here: name the file with "
            "that authority's certificate, rediss://host:6379?ssl_ca_certs=/path/to/ca.pem."
        )
    reason = cause.reason or ""
    if "CERTIFICATE_REQUIRED" in reason or "HANDSHAKE_FAILURE" in reason or "UNKNOWN_CA" in reason:
        return f"The server refuses this client: {_CLIENT}"
    if "PEM" in reason or "NO_CERTIFICATE" in reason or "KEY_VALUES" in reason:
        return "A file that ssl_ca_certs=, ssl_certfile= or ssl_keyfile= names does not hold what it should, in PEM."
    return "What answers there does not speak TLS, or not as this client does: for a port without TLS write redis://."


def _of_file(settings: Mapping[str, object]) -> str:
    missing = [
        f"{name}={quoted(path)}"
        for name in _FILES
        if isinstance(path := settings.get(name), str) and not Path(path).exists()
    ]
    return f"There is no such file: {', '.join(missing) or 'one of those that the ssl_ settings name'}."
