"""Refusals: what a caller is told when the server has answered with an error.

The error is redis-py's. Its words come from outside, so they are made fit to be shown. The origin of the command adds
where it happened, or raises an error of purse's in its place. What only the engine knows stands in a note.
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
    "purse: this server is one node of a Redis Cluster, and the client talks to this node alone ({told}). Use a server "
    "that is not part of a cluster, or the endpoint of the service that hides its cluster (Redis Enterprise, "
    "a proxy): see docs/errors.md#a-node-of-a-cluster."
)


def explained(error: RedisError, origin: Origin, field: object) -> Exception:
    """The exception to raise in place of ``error``, which the server has answered; may be ``error`` itself.

    Args:
        origin, field: of the unit that was refused.
    """
    cluster = _said_by_a_cluster(tidied(error))
    found = origin.__purse_explain__(error, field)
    if isinstance(found, AuthenticationError):  # some servers say so at the first command, not when it is opened
        found.add_note(f"purse: {password_advice(str(error))}")
    if cluster is not None:
        found.add_note(_CLUSTER.format(told=cluster))
    return found


def _said_by_a_cluster(error: RedisError) -> str | None:
    """What a node of a cluster has said, with Redis' word in front, which most versions of redis-py take away."""
    text = str(error)
    for kind, word in _WORDS.items():
        if isinstance(error, kind):
            return f"{word} {text}"
        if type(error) is ResponseError and text.startswith(f"{word} "):
            return text
    return None
