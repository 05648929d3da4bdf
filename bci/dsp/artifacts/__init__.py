"""Stages that take artifacts out of the signal, or reject what cannot be mended."""
