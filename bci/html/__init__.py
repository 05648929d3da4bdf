"""Self-contained pages: what every report consists of, and the one page that shows it.

::

    content.py      tables, blocks and sections, before anything is drawn
    page.py         from them to one page that loads nothing and runs nothing
    templates/      the page and its style sheet
"""

from bci.html.content import Block, Section, Table, escape_markdown
from bci.html.page import render

__all__ = ["Block", "Section", "Table", "escape_markdown", "render"]
