"""A benchmark's report: one self-contained page, a summary in Markdown, a table as CSV.

::

    page.py         what is written, and where
    rows.py         rows of the results frame, completed and put in order
    data.py         from it scores by subject, data set and evaluation
    intervals.py    the intervals beside them
    statistics.py   effects between pipelines, as the report shows them
    tables.py       tables, for HTML and Markdown alike
    online.py       what the pseudo-online rows tell
    sections.py     which figure and table stands where, and what is said about it
    plots.py, forest.py, curves.py, confusion.py   the figures
    svg.py          lines, marks and text as SVG
    templates/      what the page says above and below its sections (see `bci.html`)
"""

from bci.benchmark.report.page import write_report

__all__ = ["write_report"]
