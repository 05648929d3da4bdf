"""Decoders of steady-state visual evoked potentials (SSVEP): from sines to learned templates."""
