"""Slots: the part of a key that decides its slot in a cluster."""

from __future__ import annotations

__all__ = ["hash_tag"]


def hash_tag(key: str) -> str:
    """The part of ``key`` that decides its slot: keys with the same hash tag share a slot.

    It is the text between the first ``{`` and the next ``}``, or the complete key if there is no such text.
    """
    tag, closed, _ = key.partition("{")[2].partition("}")
    return tag if tag and closed else key
