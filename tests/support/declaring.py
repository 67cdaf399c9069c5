"""Executing the source of a module, for declarations that no type checker would pass."""

from __future__ import annotations

from collections.abc import Callable
from types import ModuleType
from typing import TypeAlias

Declare: TypeAlias = Callable[[str], ModuleType]
"""What the fixture ``declare`` gives."""

PRELUDE = """
from abc import ABC, abstractmethod
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import timedelta
from typing import Annotated, Any, ClassVar, Final, Generic, NewType, Optional, TypeVar
from uuid import UUID
from pydantic import BaseModel
from purse import *
from purse.collections import RedisKey
"""
