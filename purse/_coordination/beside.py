"""Keys beside a key: the additional keys of a lock, a semaphore or a limiter.

key                                 beside it
{garden}:gate                       fence!{garden}:gate
gate                                !fence!{gate}               gate becomes the hash tag
"""

from __future__ import annotations

__all__ = ["beside"]


def beside(key: str, what: str) -> str:
    """The name of an additional key that belongs to ``key``, in the same slot of a cluster: ``fence!{garden}:gate``.

    Two different keys never share such a key. If ``key`` is an entry of a key space, the result is not an entry of it.
    """
    if "}" in key:  # else it has no hash tag and becomes one: the ! in front distinguishes gate from {gate}
        return f"{what}!{key}"
    return f"!{what}!{{{key}}}"
