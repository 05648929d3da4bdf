"""Neuroloop: acquire EEG, clean it, decode it while it streams.

Importing `bci` loads nothing heavy: numpy, scipy, scikit-learn, MNE, torch and
Qt are imported by the module that needs them, when it is needed.
"""

__version__ = "0.1.0"
