"""Refusals: what a caller is told when the server has answered with an error.

The error is redis-py's. Its words come from outside, so they are made fit to be shown; whoever built the command adds
where it happened, or raises an error of purse's in its place; and what only the engine knows stands in a note.
"""

from __future__ import annotations

from redis.exceptions import (
    AskError,
    AuthenticationError,
    ClusterCrossSlotError,
    ClusterDownError,
    MovedError,
    RedisError,
    TryAgainError,
)

from purse._engine.advice import password_advice
from purse._engine.unit import Origin
from purse._showing import tidied

__all__ = ["explained"]

_OF_A_CLUSTER = (AskError, ClusterCrossSlotError, ClusterDownError, MovedError, TryAgainError)
_CLUSTER = (
    "purse: this server is one node of a Redis Cluster, and the client talks to this node alone ({said}). Use a server "
    "that is not part of a cluster, or the endpoint of the service that hides its cluster (Redis Enterprise, "
    "a proxy): see docs/errors.md#a-node-of-a-cluster."
)


def explained(error: RedisError, origin: Origin, field: object) -> Exception:
    """The exception to raise in place of ``error``, which the server has answered; may be ``error`` itself.

    Args:
        origin, field: of the unit that was refused.
    """
    of_a_cluster = isinstance(error, _OF_A_CLUSTER)
    found = origin.explain(tidied(error), field)
    if isinstance(found, AuthenticationError):  # some servers say so at the first command, not when it is opened
        found.add_note(f"purse: {password_advice(str(error))}")
    if of_a_cluster:
        found.add_note(_CLUSTER.format(said=_word(error)))
    return found


def _word(error: RedisError) -> str:
    """What the server has said, in Redis' word: redis-py takes it out of the text."""
    if isinstance(error, MovedError):
        return f"MOVED {error}"
    if isinstance(error, AskError):
        return f"ASK {error}"
    return str(error)
