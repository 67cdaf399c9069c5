"""Tables, printed line by line as the rows come in: aligned text for a terminal, or Markdown."""

from __future__ import annotations

from collections.abc import Sequence

__all__ = ["HEADINGS", "Table"]

HEADINGS = ("work", "purse /s", "by hand /s", "wall", "CPU", "target", "reached")
"""Of the comparison: calls, items or imports per second of either side, and how many times as fast purse is."""


class Table:
    """A table whose first column is text and whose other columns are figures, or text at the end.

    Args:
        headings: one for each column.
        widths: how wide each column of plain text is at least.
        markdown: whether to print Markdown.
        left: the columns that are text, and aligned to the left.
    """

    def __init__(
        self, headings: Sequence[str], widths: Sequence[int], *, markdown: bool, left: Sequence[int] = (0,)
    ) -> None:
        self._headings = headings
        self._widths = [max(len(heading), width) for heading, width in zip(headings, widths, strict=True)]
        self._markdown = markdown
        self._left = frozenset(left)

    def print_headings(self) -> None:
        """The first line, and in Markdown the second."""
        self.print_row(self._headings)
        if self._markdown:
            rules = ("---" if nth in self._left else "---:" for nth in range(len(self._headings)))
            print(f"|{'|'.join(rules)}|", flush=True)

    def print_row(self, cells: Sequence[str]) -> None:
        """One row."""
        if self._markdown:
            print(f"| {' | '.join(cells)} |", flush=True)
            return
        padded = (
            cell.ljust(width) if nth in self._left else cell.rjust(width)
            for nth, (cell, width) in enumerate(zip(cells, self._widths, strict=True))
        )
        print("  ".join(padded).rstrip(), flush=True)
