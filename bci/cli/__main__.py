"""``python -m bci.cli``."""

from bci.cli import main

main()
