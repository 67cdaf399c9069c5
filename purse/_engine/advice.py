"""Advice: the likely reason why a connection could not be opened, and what to do about it.

redis-py reports what happened, with the exception of the operating system or of TLS as the context of its
exception. The fix depends on that, and on the client's settings: the same "no such file" can mean a missing unix socket
or a missing certificate.
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
    'Store.open("embedded://") starts one for you (pip install "redis-purse[embedded]").'
)
_ENCODE = (
    'In a URL, percent-encode a password that contains one of / ? # [ ] @ : %: urllib.parse.quote(password, safe="").'
)
_CLIENT = (
    "it may want a client certificate that it trusts: write "
    "rediss://host:6379?ssl_certfile=/path/to/client.pem&ssl_keyfile=/path/to/client.key."
)
_FILES = ("ssl_ca_certs", "ssl_ca_path", "ssl_certfile", "ssl_keyfile")
_EXPIRED, _NOT_YET = 10, 9  # OpenSSL's X509_V_ERR_...
_OTHER_NAMES = (62, 64)
_NO_AUTHORITY = (2, 18, 19, 20, 21)


def advice_for(error: RedisError, pool: Pool) -> str:
    """Tell what to do about ``error``, which was raised while a connection of ``pool`` was opened. May be empty."""
    settings, encrypted = pool.connection_kwargs, speaks_tls(pool)
    text = str(error)
    if isinstance(error, AuthenticationError):
        return password_advice(text)
    if isinstance(error, (ResponseError, NoPermissionError)):
        return _of_database(text, settings.get("db"))
    if "max number of clients" in text:
        return "The server has as many connections as its maxclients setting allows: close some, or raise maxclients."
    cause = _cause(error)
    if isinstance(cause, ssl.SSLError):
        return _of_tls(cause)
    if encrypted and isinstance(cause, FileNotFoundError):
        return _of_file(settings)
    if encrypted and isinstance(cause, PermissionError):
        return "This user cannot read a file of ssl_ca_certs=, ssl_certfile= or ssl_keyfile=: change its permissions."
    if isinstance(cause, socket.gaierror):
        return "The name of the host is not known here: check the URL."
    if isinstance(error, TimeoutError):
        tls = " A port without TLS does not answer rediss:// either: write redis:// for it." if encrypted else ""
        return f"No answer came in time: check the host, the port and the firewalls in between.{tls}"
    if "losed by server" in text or isinstance(cause, ConnectionResetError):
        other = f"If not, write redis://. If it does, {_CLIENT}" if encrypted else "Then write rediss://."
        full = "Or the server has reached its limit of clients: see its maxclients setting."
        return f"The connection was closed before the server had answered. Does this port use TLS? {other} {full}"
    if "rotocol error" in text.lower():
        return "Something other than Redis answers there: check the host and the port."
    return _RUNNING


def _cause(error: BaseException) -> OSError | None:
    """The exception of the operating system, or of TLS, that caused redis-py's."""
    seen: BaseException | None = error
    while seen is not None and not isinstance(seen, OSError):
        seen = seen.__cause__ or seen.__context__
    return seen


def password_advice(text: str) -> str:
    """Tell what to do about a server that requires another user or password. ``text`` is its error."""
    if "uthentication required" in text or "already authenticated" in text:
        return (
            "The server requires a password: write redis://:PASSWORD@host:6379, or "
            f"redis://USER:PASSWORD@host:6379. {_ENCODE}"
        )
    return f"Check the user and the password. {_ENCODE}"


def _of_database(text: str, number: object) -> str:
    if "cluster mode" in text:
        return "A node of a Redis Cluster has only database 0: omit the number."
    if "DB index" in text or "Invalid Database" in text:
        return (
            f"The server has no database {quoted(number)}: write a smaller number. By default redis-server has 16 "
            "databases, 0 to 15: see its databases setting."
        )
    return ""


def _of_tls(cause: ssl.SSLError) -> str:
    if isinstance(cause, ssl.SSLCertVerificationError):
        if cause.verify_code in _OTHER_NAMES:
            return (
                "The certificate of the server is for another name: connect to a name that it contains, or, if that is "
                "not possible, write ssl_check_hostname=false."
            )
        if cause.verify_code in (_EXPIRED, _NOT_YET):
            return "The certificate of the server is not valid today: renew it, or check the clocks of both machines."
        if cause.verify_code not in _NO_AUTHORITY:
            return "This client does not accept the certificate of the server: the error says why."
        return (
            "The certificate of the server is not signed by an authority that is known here: name the file with "
            "that authority's certificate, rediss://host:6379?ssl_ca_certs=/path/to/ca.pem."
        )
    reason = cause.reason or ""
    if "CERTIFICATE_REQUIRED" in reason or "HANDSHAKE_FAILURE" in reason or "UNKNOWN_CA" in reason:
        return f"The server refuses this client: {_CLIENT}"
    if "PEM" in reason or "NO_CERTIFICATE" in reason or "KEY_VALUES" in reason:
        return (
            "A file of ssl_ca_certs=, ssl_certfile= or ssl_keyfile= does not contain the certificate or key that is "
            "needed, in PEM format: name the right file."
        )
    return "The server there does not use TLS, or not as this client does: for a port without TLS write redis://."


def _of_file(settings: Mapping[str, object]) -> str:
    missing = [
        f"{name}={quoted(path)}"
        for name in _FILES
        if isinstance(path := settings.get(name), str) and not Path(path).exists()
    ]
    return f"There is no such file: {', '.join(missing) or 'a file of the ssl_ settings'}."
