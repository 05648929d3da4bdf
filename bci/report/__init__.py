"""A session's report: one self-contained page, made from the recording's files alone.

::

    record.py       the files of a session, read
    trials.py       cued trials, and what was decided on each
    tables.py       what is told of them
    page.py         the sections, and the page
    templates/      what the page says above its sections (see `bci.html`)
"""

from bci.report.page import default_path, write_report

__all__ = ["default_path", "write_report"]
