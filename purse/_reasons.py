"""Reasons: the words in which a codec says why a value cannot be stored or read.

A reason is one sentence that names what is wrong and ends with the fix. It knows neither key nor
field: the collection that called the codec adds them. Of the data it contains reprs of at most 80
characters; after ``hide_values()`` it contains none: no reprs, no mapping keys, no message of a
user's validator, only type names, declared field names and pydantic's error codes. Nothing here runs
while all is well.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping
from types import NoneType, UnionType
from typing import Annotated, Literal, NewType, TypeVar, Union, cast, get_args, get_origin

from pydantic import BaseModel, Secret, SecretBytes, SecretStr, ValidationError

__all__ = [
    "evidence",
    "hide_values",
    "invalid",
    "plain_class",
    "shown",
    "short",
    "type_name",
]
