"""From units to the bytes that are sent, and from the received replies to those of the unit's commands.

    one command         [HGET ...]                           1 reply
    one script          [EVALSHA ...]                        1 reply, or NOSCRIPT: then the same again as EVAL
    several             [MULTI] [HSET ...] [EVAL ...] [EXEC] n + 2 replies, the last contains the n
    several, loose      [UNLINK ...] [GETDEL ...]            n replies, and only the last one must not be an error

Packing happens before a request is queued: an argument that cannot be packed must not shift the
replies of other calls.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import TypeAlias, cast

import hiredis
from redis.exceptions import InvalidResponse

from purse._engine.replies import Reply
from purse._engine.scripts import ScriptCall
from purse._engine.unit import Command, Unit
from purse.codecs._shown import shown

__all__ = [
    "PING",
    "Packed",
    "Packer",
    "exec_replies",
    "pack",
    "pack_by_body",
    "pack_command",
    "pack_transaction",
    "size_of",
    "transaction",
]

PING = b"*1\r\n$4\r\nPING\r\n"
"""The bytes that are sent to find out whether the server answers."""

_MULTI = b"*1\r\n$5\r\nMULTI\r\n"
_EXEC = b"*1\r\n$4\r\nEXEC\r\n"

Packed = tuple[bytes, int]
"""The bytes of one contiguous write, and the number of its replies: negative for several commands without MULTI."""

Packer: TypeAlias = "Callable[[Unit[object]], Packed]"
"""Turns a unit into the bytes to send."""


# Its stub says "a tuple of one argument".
pack_command = cast("Callable[[Command], bytes]", hiredis.pack_command)  # pyright: ignore[reportUnknownMemberType]


def pack(unit: Unit[object], *, script_by_body: bool = False) -> Packed:
    """The bytes of a unit that is sent outside of ``atomic``."""
    commands = unit.commands
    if len(commands) == 1:
        only = commands[0]
        if isinstance(only, ScriptCall):
            only = only.by_body() if script_by_body else only.by_sha()
        return pack_command(only), 1
    return _pack_loose(commands) if unit.loose else transaction(commands)


def pack_by_body(unit: Unit[object]) -> Packed:
    """``pack`` after a NOSCRIPT: a single script is sent as EVAL."""
    return pack(unit, script_by_body=True)


def pack_transaction(unit: Unit[object]) -> Packed:
    """The bytes of a unit as a transaction, even if it is a single command."""
    return transaction(unit.commands)


def transaction(commands: Sequence[Command | ScriptCall]) -> Packed:
    """MULTI, the commands and EXEC, even around a single command. Scripts are sent by their bodies."""
    parts = [_MULTI]
    parts += [pack_command(c.by_body() if isinstance(c, ScriptCall) else c) for c in commands]
    parts.append(_EXEC)
    return b"".join(parts), len(commands) + 2


def _pack_loose(commands: Sequence[Command | ScriptCall]) -> Packed:
    """The commands one after the other, without MULTI. Scripts are not allowed."""
    return b"".join([pack_command(c) for c in commands if not isinstance(c, ScriptCall)]), -len(commands)


def size_of(commands: Sequence[Command | ScriptCall]) -> int:
    """Estimate how many bytes ``pack`` will make of ``commands``, without packing them."""
    size = 0
    for command in commands:
        for argument in command.arguments if isinstance(command, ScriptCall) else command:
            size += len(argument) if isinstance(argument, (bytes, str)) else 8
    return size


def exec_replies(replies: list[Reply]) -> list[Reply]:
    """Return the replies inside EXEC.

    Args:
        replies: the replies to MULTI, each queued command, and EXEC itself.

    Raises:
        Exception: a command was refused when it was queued, so nothing was executed. It is that
            command's own error, which is more exact than EXEC's EXECABORT.
    """
    executed = replies[-1]
    if isinstance(executed, list):
        return executed
    for reply in replies:
        if isinstance(reply, Exception):
            raise reply
    raise InvalidResponse(f"EXEC answered {shown(executed)}")
