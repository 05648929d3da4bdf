"""Readers of recordings, one module per family of formats; see `bci.sources.files`."""
