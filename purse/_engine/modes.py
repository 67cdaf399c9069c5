"""Which clients share a connection, and why the others do not.

    shared      all calls of one event loop over one connection, for clients that are exactly redis-py's
    dedicated   a connection for each call, through redis-py's public methods, for every other client

A client may have replaced ``Redis.execute_command``: a tracer, a counting subclass, a fake. purse does not call that
method, so its calls would bypass such code. Therefore such a client gets connections that its own pool has made, and
every byte goes through their methods. The mode is chosen without I/O, before a connection is opened.
"""

from __future__ import annotations

import inspect
from dataclasses import dataclass
from typing import Literal, TypeAlias

from purse._engine.clients import RedisClient
from purse.codecs._shown import shown

__all__ = ["Engine", "Mode", "check_engine", "choose_mode"]

Engine: TypeAlias = Literal["auto", "shared", "dedicated"]
"""The values of ``engine=``: see ``purse.configure``."""

_ON_CONNECTION = ("send_packed_command", "read_response", "connect", "disconnect")


@dataclass(frozen=True, slots=True)
class Mode:
    """How the calls of a client reach Redis, and why."""

    name: Literal["shared", "dedicated"]
    reason: str


def check_engine(engine: object) -> None:
    """Refuse a value that is not an ``Engine``.

    Raises:
        ValueError: the message lists the allowed values.
    """
    if engine not in ("auto", "shared", "dedicated"):
        raise ValueError(f'engine= must be "auto", "shared" or "dedicated", not {shown(engine)}')


def choose_mode(client: RedisClient, engine: Engine) -> Mode:
    """Choose the mode of ``client``. No I/O."""
    if engine != "auto":
        return Mode(engine, f'engine="{engine}" was asked for')
    obstacle = _obstacle(client)
    if obstacle is None:
        return Mode("shared", "the client is exactly redis-py's")
    return Mode("dedicated", obstacle)


def _obstacle(client: RedisClient) -> str | None:
    kind = type(client)
    if "execute_command" in vars(client) or not _is_pristine(getattr(kind, "execute_command", None)):
        return f"{kind.__module__}.{kind.__qualname__}.execute_command is not redis-py's own"
    if getattr(client, "single_connection_client", False):
        return "the client was made with single_connection_client=True"
    connection: object = getattr(client.connection_pool, "connection_class", None)
    for name in _ON_CONNECTION:
        if not _is_pristine(getattr(connection, name, None)):
            return f"{getattr(connection, '__qualname__', connection)}.{name} is not redis-py's own"
    return None


def _is_pristine(function: object) -> bool:
    """Whether this is a function as redis-py wrote it: not overridden, not wrapped."""
    return (
        inspect.isfunction(function)
        and not hasattr(function, "__wrapped__")
        and function.__module__.partition(".")[0] == "redis"
    )
