"""Decoders that are networks. Only `training` imports torch; a trained one decides without."""
