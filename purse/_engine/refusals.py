"""Refusals: the exception that a caller receives when the server has answered with an error.

The error is redis-py's. Its text comes from the server, so it is cleaned before it is shown. The origin of the command
adds the place where it happened, or replaces it with an error of purse's. The engine adds its own advice as a note.
"""

from __future__ import annotations

from redis.exceptions import (
    AskError,
    AuthenticationError,
    ClusterCrossSlotError,
    ClusterDownError,
    MovedError,
    RedisError,
    ResponseError,
    TryAgainError,
)

from purse._engine.advice import password_advice
from purse._engine.unit import Origin
from purse.codecs._shown import tidied

__all__ = ["explained"]

_WORDS: dict[type[RedisError], str] = {
    MovedError: "MOVED",  # before its base, AskError
    AskError: "ASK",
    ClusterCrossSlotError: "CROSSSLOT",
    ClusterDownError: "CLUSTERDOWN",
    TryAgainError: "TRYAGAIN",
}
_CLUSTER = (
    "purse: this server is one node of a Redis Cluster, and the client is connected to this node only ({told}): use a "
    "server that is not part of a cluster, or an endpoint that hides the cluster (Redis Enterprise, a proxy). See "
    "docs/errors.md#a-node-of-a-cluster."
)


def explained(error: RedisError, origin: Origin, field: object) -> Exception:
    """Return the exception to raise in place of ``error``, which the server has answered. May be ``error`` itself.

    Args:
        origin, field: those of the unit that was refused.
    """
    cluster = _said_by_a_cluster(tidied(error))
    found = origin.__purse_explain__(error, field)
    if isinstance(found, AuthenticationError):  # some servers refuse the first command, not the connection
        found.add_note(f"purse: {password_advice(str(error))}")
    if cluster is not None:
        found.add_note(_CLUSTER.format(told=cluster))
    return found


def _said_by_a_cluster(error: RedisError) -> str | None:
    """The error text of a cluster node, with Redis' error code in front, which most versions of redis-py remove."""
    text = str(error)
    for kind, word in _WORDS.items():
        if isinstance(error, kind):
            return f"{word} {text}"
        if type(error) is ResponseError and text.startswith(f"{word} "):
            return text
    return None
