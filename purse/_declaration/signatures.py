"""Signatures of functions whose annotations may contain names that do not exist yet, or only for type checkers."""

from __future__ import annotations

import inspect
from collections.abc import Callable, Mapping
from typing import cast

from typing_extensions import Format

__all__ = ["parameters_of"]


def parameters_of(function: object) -> Mapping[str, inspect.Parameter]:
    """The parameters of ``function``, their annotations evaluated as far as that can be done now.

    Python 3.14 evaluates annotations when they are read, and raises NameError unless it is told to leave missing names
    open. Earlier versions evaluate them at the definition.
    """
    signature = cast("Callable[..., inspect.Signature]", inspect.signature)
    if "annotation_format" in inspect.signature(signature).parameters:
        return signature(function, annotation_format=Format.FORWARDREF).parameters
    return signature(function).parameters
