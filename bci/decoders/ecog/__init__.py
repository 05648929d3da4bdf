"""Decoders of ECoG: high-gamma broadband power, band power, and a small network."""
