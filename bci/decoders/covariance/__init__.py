"""Decoders of covariance: spatial patterns, Riemannian geometry, augmented covariance."""
