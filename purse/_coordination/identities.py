"""Identities of a rate limiter: each has a separate key, and no two have the same.

identity          key
"" or None        {shop}:api             the limiter itself
"ada"             {shop}:api:ada
42                {shop}:api:#42         a # in front marks other types than str
UUID(...)         {shop}:api:#0f51...
"#42"             {shop}:api:##42
"""

from __future__ import annotations

from uuid import UUID

from purse.codecs._shown import named, shown
from purse.errors import EncodeError

__all__ = ["key_of"]


def key_of(rkey: str, identity: object) -> str:
    """The key that counts for ``identity``.

    Raises:
        TypeError: ``identity`` is not a ``str``, an ``int`` or a ``UUID``.
        EncodeError: ``identity`` has no UTF-8 form.
    """
    if isinstance(identity, str):
        name = str.__str__(identity)  # of an enum, its value
        try:
            name.encode()
        except UnicodeEncodeError:
            raise EncodeError(
                f"{named(rkey)}: the identity {shown(name)} contains a lone surrogate, which has no UTF-8 form: pass "
                "text that can be encoded",
                key=rkey,
                field=name,
            ) from None
        return f"{rkey}:{'#' if name.startswith('#') else ''}{name}" if name else rkey
    if isinstance(identity, UUID):
        return f"{rkey}:#{identity}"
    if isinstance(identity, int) and not isinstance(identity, bool):
        return f"{rkey}:#{int(identity)}"
    if identity is None:
        return rkey
    raise TypeError(f"{named(rkey)}: an identity must be a str, an int or a UUID, not {shown(identity)}")
