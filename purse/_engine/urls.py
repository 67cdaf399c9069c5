"""URLs: those that may be passed to redis-py, and the errors for all others.

    redis://user:password@host:6379/0?socket_timeout=5        rediss:// is the same over TLS
    unix://user:password@/path/to/redis.sock?db=0
    embedded://                                               a server is started

A password that contains one of ``/ ? # [ ]`` ends the address too early. redis-py then connects to a host that is named
after the user, or its error quotes a part of the password. So a URL is checked here before redis-py parses it, and the
error of a refused URL shows only its scheme.
"""

from __future__ import annotations

import inspect
import os
import re

from redis.asyncio import ConnectionPool, Redis

from purse._engine.clients import RedisClient

__all__ = ["check_url", "client_for", "embedded_is_at"]

_SCHEMES = ("redis", "rediss", "unix")
_FORMS = "redis://host:6379/0, rediss://host:6379/0 (TLS), unix:///path/to/redis.sock, embedded://"
_ENCODE = (
    'Percent-encode a user or a password that contains one of / ? # [ ] @ : %: urllib.parse.quote(password, safe="")'
)
_SCHEME = re.compile(r"[a-z][a-z0-9+.-]{0,19}", re.IGNORECASE)
_ADDRESS = re.compile(r"([^:\[\]]*|\[[0-9a-f:.%]+\])(:[0-9]{1,5})?", re.IGNORECASE)
_DATABASE = re.compile(r"/?|/[0-9]+/?")
_QUOTED_NAME = re.compile(r"'(\w+)'")


def check_url(url: object, asked: str) -> str:
    """Check a URL, and return its scheme: one that ``redis.asyncio.Redis.from_url`` reads correctly, or ``embedded``.

    Args:
        asked: the function that takes it, for messages: ``open()``.

    Raises:
        ValueError: it is not such a URL. The message says what to write, and never shows a part that may be a password.

    No I/O.
    """
    if not isinstance(url, str):
        raise ValueError(
            f"{asked} takes a URL as a str, not a {type(url).__name__}: write one of {_FORMS}, or, for a client, "
            "Store(client)"
        )
    scheme, separator, rest = url.partition("://")
    if not separator:
        raise ValueError(f"{asked} takes a URL, not {'a text without ://' if url else 'an empty text'}. {_write()}")
    if scheme == "embedded":
        if rest:
            raise ValueError(f'{asked}: this URL has text behind "embedded://": write only "embedded://"')
        return scheme
    if scheme not in _SCHEMES:
        told = f"{scheme}://" if _SCHEME.fullmatch(scheme) else "the text before the :// of this URL"
        raise ValueError(f"{asked} does not know {told}. {_write()}")
    fault = _fault(scheme, rest) or _fault_of_options(url, rest)
    if fault is not None:
        raise ValueError(f"{asked}: this {scheme}:// URL {fault}. {_write()}. {_ENCODE}")
    return scheme


def embedded_is_at() -> str | None:
    """The URL of a server to use instead of an embedded one, from the environment variable ``PURSE_REDIS_URL``.

    Raises:
        ValueError: it is not a URL of Redis.
    """
    url = os.environ.get("PURSE_REDIS_URL")
    return url if url and check_url(url, "PURSE_REDIS_URL") != "embedded" else None


def client_for(url: str) -> RedisClient:
    """A client of redis-py for a URL that was checked. No I/O."""
    return Redis.from_url(url)  # pyright: ignore[reportUnknownMemberType] - redis-py leaves **kwargs untyped


def _write() -> str:
    return f"Write one of: {_FORMS}"


def _fault(scheme: str, rest: str) -> str | None:
    """Why redis-py would misread a URL. None if it would not."""
    if not all("!" <= char != "\x7f" for char in rest):
        return "contains a space or a control character"
    if "#" in rest:
        return "contains a #, and the text behind a # is ignored"
    place, _, query = rest.partition("?")
    authority, slash, path = place.partition("/")
    user, _, address = authority.rpartition("@")
    if "[" in user or "]" in user:
        return "has brackets before the @, but they are only for IPv6 addresses behind it"
    if query and not all("=" in option for option in query.split("&")):
        return "has something other than name=value behind the ?"
    if scheme == "unix":
        if address or not path:
            return "does not name a socket: a path begins with a third slash"
        return None
    found = _ADDRESS.fullmatch(address)
    if found is None or (found[2] is not None and not 0 < int(found[2][1:]) < 2**16):
        return "does not have an address of the form host or host:port, with a port up to 65535"
    if not _DATABASE.fullmatch(slash + path):
        return "has something other than the number of a database behind the host"
    return None


def _fault_of_options(url: str, rest: str) -> str | None:
    """Why redis-py refuses the options. None if it does not. It makes a connection for that, and does not open it."""
    try:
        pool = ConnectionPool.from_url(url)  # pyright: ignore[reportUnknownMemberType] - redis-py leaves it untyped
        pool.make_connection()  # type: ignore[no-untyped-call]
    except Exception as error:  # redis-py raises half a dozen kinds, some of them by mistake
        name = _QUOTED_NAME.search(str(error))
        known = name is not None and ("@" not in rest or name[1] in _options())
        what = f"the option {name[1]}" if name is not None and known else "an option"
        verb = "that redis-py does not know" if isinstance(error, TypeError) else "with a value that redis-py refuses"
        return f"has {what} {verb}"
    return None


def _options() -> set[str]:
    """The names of the options that redis-py documents for connections."""
    from redis.asyncio import Connection, SSLConnection
    from redis.asyncio.connection import AbstractConnection

    kinds = (AbstractConnection, Connection, SSLConnection)
    return {name for kind in kinds for name in inspect.signature(kind).parameters}
