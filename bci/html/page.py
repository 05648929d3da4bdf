"""From sections to one page, which loads nothing, runs nothing and prints.

It follows the reader's light or dark setting. The same content gives the same bytes.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from jinja2 import ChoiceLoader, Environment, PackageLoader, StrictUndefined
from markupsafe import Markup

from bci.html.content import Section

_STYLE = "page.css"


def render(
    package: str,
    template: str,
    *,
    title: str,
    kind: str,
    sections: Sequence[Section],
    **others: Any,
) -> str:
    """Fill a template that extends ``page.html.j2``.

    Parameters
    ----------
    package : str
        In whose folder ``templates`` the template lies.
    template : str
        Its name. It fills the blocks "lead" and "end".
    title, kind : str
        Heading of the page, and what it is ("session report").
    sections : sequence of Section
    **others
        All else that the template names.
    """
    own = PackageLoader("bci.html")
    pages = Environment(
        loader=ChoiceLoader([PackageLoader(package), own]), autoescape=True,
        undefined=StrictUndefined, trim_blocks=True, lstrip_blocks=True,
    )  # fmt: skip
    css, _, _ = own.get_source(pages, _STYLE)
    page: str = pages.get_template(template).render(
        title=title, kind=kind, css=Markup(css), sections=sections, **others
    )
    return page
