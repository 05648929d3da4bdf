"""Decoders that are networks. Torch is imported where they are trained, not before."""
