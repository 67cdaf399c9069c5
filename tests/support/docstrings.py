"""Examples in docstrings, found: ``docstring_runner`` runs them.

An example is an indented block that awaits, enters a context, or declares something.
"""

from __future__ import annotations

import ast
import re
import textwrap
from collections.abc import Iterator
from dataclasses import dataclass
from types import CodeType

from tests.support.scripts import ROOT

__all__ = ["Example", "examples"]

_TELLS_CODE = re.compile(r"\bawait |\basync with |^class .*:$|^@|^with |^\w+ = |\.dependency_overrides", re.MULTILINE)
_WRITTEN = (ast.Module, ast.ClassDef, ast.FunctionDef, ast.AsyncFunctionDef)


@dataclass(frozen=True)
class Example:
    """An example, and where it stands: ``purse/store.py Store.atomic``."""

    place: str
    code: str

    def compiled(self) -> CodeType:
        """It may await outside of a function."""
        flags = ast.PyCF_ALLOW_TOP_LEVEL_AWAIT
        compiled: CodeType = compile(self.code, self.place, "exec", flags=flags, dont_inherit=True)
        return compiled


def examples() -> Iterator[Example]:
    """What looks like code in the docstrings of the package; whether it compiles is not asked."""
    for file in sorted((ROOT / "purse").rglob("*.py")):
        for name, docstring in _docstrings(ast.parse(file.read_text("utf-8")), ""):
            for number, block in enumerate(_blocks(docstring)):
                if _TELLS_CODE.search(block):
                    place = " ".join(filter(None, [str(file.relative_to(ROOT)), name, f"#{number}" if number else ""]))
                    yield Example(place, block)


def _docstrings(node: ast.AST, name: str) -> Iterator[tuple[str, str]]:
    if isinstance(node, _WRITTEN):
        docstring = ast.get_docstring(node)
        if docstring:
            yield name, docstring
        for inner in node.body:
            if isinstance(inner, _WRITTEN[1:]):
                yield from _docstrings(inner, f"{name}.{inner.name}".lstrip("."))


def _blocks(docstring: str) -> Iterator[str]:
    """Indented blocks with an empty line above, but not those of sections such as ``Args:``."""
    for block in re.findall(r"(?:\A|(?<=\n\n))((?: {4}.*\n|\n(?= {4}))+)", docstring + "\n"):
        yield textwrap.dedent(block).strip() + "\n"
