"""Recording to XDF, crash-safe; checking, mending and exporting recordings.

- `xdf`: the chunks of an XDF file as bytes; `scan` reads them back, damaged or not
- `writer`, `thread`: the recorder, and the recorder in a thread of its own
- `layout`: which file lies where
- `verify`, `salvage`, `export`: what is done with a recording afterwards
"""
