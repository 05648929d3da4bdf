"""Benchmarks of what cleans the signal: by its figures, and by what it does to decoders."""
