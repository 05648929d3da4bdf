"""What a report consists of: sections of blocks of figures, tables and text."""

from __future__ import annotations

from dataclasses import dataclass, field

from markupsafe import Markup


@dataclass(frozen=True)
class Table:
    """Rows of text under a title.

    `n_text` columns at the left are text, the others numbers.
    """

    title: str
    columns: tuple[str, ...]
    rows: tuple[tuple[str, ...], ...]
    n_text: int = 1

    @property
    def n_rows(self) -> int:
        """Rows below the heading."""
        return len(self.rows)

    def markdown(self) -> str:
        """The table in Markdown; what could be read as markup is escaped."""
        marks = [":--" if k < self.n_text else "--:" for k in range(len(self.columns))]
        lines = [self.columns, tuple(marks), *self.rows]
        body = "\n".join("| " + " | ".join(map(_markdown_cell, line)) + " |" for line in lines)
        return f"### {escape_markdown(self.title)}\n\n{body}\n" if self.title else f"{body}\n"


def escape_markdown(text: str) -> str:
    """Text that Markdown shows as it is."""
    for character in "\\`*_[]<>#|":
        text = text.replace(character, f"\\{character}")
    return " ".join(text.split())


def _markdown_cell(text: str) -> str:
    return escape_markdown(text) if set(text) - set(":-") else text


@dataclass(frozen=True)
class Block:
    """Figures, tables or text under one heading.

    `fold` is the summary line of tables or code that can be folded away; `small` figures
    stand side by side.
    """

    heading: str = ""
    figures: tuple[Markup, ...] = ()
    caption: str = ""
    tables: tuple[Table, ...] = ()
    fold: str = ""
    small: bool = False
    code: str = ""


@dataclass(frozen=True)
class Section:
    """A part of the report; left out where it has no blocks."""

    key: str
    title: str
    text: str = ""
    blocks: tuple[Block, ...] = field(default=())
