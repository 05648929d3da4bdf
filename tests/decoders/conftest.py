"""Lets tests of decoders import the modules beside them, which are no tests."""

import sys
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parent))
