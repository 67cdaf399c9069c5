"""Slots: which keys are on the same node of a cluster, whichever it is."""

from __future__ import annotations

__all__ = ["hash_tag"]


def hash_tag(key: str) -> str:
    """The part of ``key`` that decides its slot: keys with the same one share a slot.

    It is what stands between the first ``{`` and the next ``}``, or the whole key if nothing does.
    """
    tag, closed, _ = key.partition("{")[2].partition("}")
    return tag if tag and closed else key
