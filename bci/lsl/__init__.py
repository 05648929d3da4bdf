"""The border to Lab Streaming Layer: see streams, connect, reconnect, describe.

Nothing of liblsl is shared between threads: a `Link` and all that it holds is
made, pulled and closed by one thread (shared inlets crash). liblsl's own recovery
is off: it reconnects without asking whether the stream is still the same, and a pull
blocks, whatever its time-out, until the sender is back. The price: when a sender
closes its outlet, samples that the reader has not yet taken are gone, so a sender of
a finite stream waits a moment after its last sample.

`network`: load liblsl, list and find streams. `link`: one connection, kept alive.
`metadata`: a stream's XML to and from `bci.types.StreamInfo`. Importing this package
does not load liblsl; the first use does.
"""

from bci.lsl.link import Link
from bci.lsl.metadata import Description, read, stream_info
from bci.lsl.network import StreamSummary, Wanted, available_streams, load

__all__ = [
    "Description",
    "Link",
    "StreamSummary",
    "Wanted",
    "available_streams",
    "load",
    "read",
    "stream_info",
]
