"""Artifact removal away from the stream: what denoisers learn from and are judged by."""
