"""Keys beside a key: where a lock, a semaphore or a limiter keeps what it needs besides its own key.

key                                 beside it
{garden}:gate                       fence!{garden}:gate
gate                                !fence!{gate}               gate becomes the hash tag
"""

from __future__ import annotations

__all__ = ["beside"]


def beside(key: str, what: str) -> str:
    """The key of something that belongs to ``key``, in its slot of a cluster: ``fence!{garden}:gate``.

    No two keys have one beside them in common. It is not an entry of the key space that ``key`` may be an entry of.
    """
    if "}" in key:  # else it has no hash tag, and becomes one: the ! in front tells gate from {gate}
        return f"{what}!{key}"
    return f"!{what}!{{{key}}}"
